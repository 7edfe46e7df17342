//! Files and directories held by descriptor, so that what was looked at is what is changed, whoever renames it or puts
//! a link in its place meanwhile. Nothing here follows a link; nothing opens a FIFO or a device for real (`O_PATH`).

use crate::sys::{Errno, raw};
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

/// What kind of file it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FileKind {
    /// A regular file.
    #[default]
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Link,
    /// A FIFO or a socket.
    Ipc,
    /// A block or character device.
    Device,
}

/// What a look at an entry itself tells; a link is not followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EntryStat {
    /// Of what kind it is.
    pub kind: FileKind,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits, with set-id and sticky: 0o7777.
    pub mode: u32,
    /// Names that it has.
    pub links: u32,
    /// Bytes in it.
    pub size: u64,
    /// When its content was last changed, in seconds.
    pub mtime: i64,
    /// The rest of a second of that.
    pub mtime_nsec: u32,
    /// Which file it is: the file system and the number in it.
    pub id: (u64, u64),
    /// The kernel's number of the mount that it lies on; 0 where the kernel does not tell.
    pub mount: u64,
    /// Whether something is mounted right here.
    pub is_mount_root: bool,
    /// Whether it is immutable or append-only (chattr(1)).
    pub immutable: bool,
}

/// Looks at `name` in a directory, or at what the descriptor itself is where the name is empty.
pub fn stat_at(dir: RawFd, name: &CStr) -> Result<EntryStat, Errno> {
    let flags = libc::AT_SYMLINK_NOFOLLOW | libc::AT_NO_AUTOMOUNT | libc::AT_EMPTY_PATH;
    let mask = libc::STATX_BASIC_STATS | libc::STATX_MNT_ID;
    let mut found = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: a path that ends with NUL, and a structure of ours for the kernel to fill.
    let result = unsafe {
        raw::call(
            libc::SYS_statx,
            &[
                raw::number(dir),
                raw::address(name.as_ptr()),
                raw::number(flags),
                mask as usize,
                raw::address(found.as_mut_ptr()),
            ],
        )
    };
    match result {
        // A kernel or an engine that does not know the call.
        Err(Errno::ENOSYS | Errno::EPERM | Errno::EINVAL) => return old_stat_at(dir, name),
        result => result?,
    };
    // SAFETY: any bytes make one, zeros too.
    let found = unsafe { found.assume_init() };
    let attribute = |bit: libc::c_int| found.stx_attributes & u64::from(bit.unsigned_abs()) != 0;
    Ok(EntryStat {
        kind: kind(u32::from(found.stx_mode)),
        uid: found.stx_uid,
        gid: found.stx_gid,
        mode: u32::from(found.stx_mode) & 0o7777,
        links: found.stx_nlink,
        size: found.stx_size,
        mtime: found.stx_mtime.tv_sec,
        mtime_nsec: found.stx_mtime.tv_nsec,
        id: (u64::from(found.stx_dev_major) << 32 | u64::from(found.stx_dev_minor), found.stx_ino),
        mount: if found.stx_mask & libc::STATX_MNT_ID == 0 { 0 } else { found.stx_mnt_id },
        is_mount_root: attribute(libc::STATX_ATTR_MOUNT_ROOT),
        immutable: attribute(libc::STATX_ATTR_IMMUTABLE) || attribute(libc::STATX_ATTR_APPEND),
    })
}

/// The same without statx(2).
#[cold]
fn old_stat_at(dir: RawFd, name: &CStr) -> Result<EntryStat, Errno> {
    let flags = libc::AT_SYMLINK_NOFOLLOW | libc::AT_NO_AUTOMOUNT | libc::AT_EMPTY_PATH;
    let mut found = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: a path that ends with NUL, and a structure of ours for the kernel to fill.
    Errno::result(unsafe { libc::fstatat(dir, name.as_ptr(), found.as_mut_ptr(), flags) })?;
    // SAFETY: any bytes make one.
    let found = unsafe { found.assume_init() };
    // The types differ between architectures.
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
    Ok(EntryStat {
        kind: kind(found.st_mode),
        uid: found.st_uid,
        gid: found.st_gid,
        mode: found.st_mode & 0o7777,
        links: u32::try_from(found.st_nlink).unwrap_or(u32::MAX),
        size: u64::try_from(found.st_size).unwrap_or(0),
        mtime: found.st_mtime,
        mtime_nsec: u32::try_from(found.st_mtime_nsec).unwrap_or(0),
        id: (found.st_dev as u64, found.st_ino),
        ..EntryStat::default()
    })
}

fn kind(mode: u32) -> FileKind {
    match mode & libc::S_IFMT {
        libc::S_IFDIR => FileKind::Dir,
        libc::S_IFLNK => FileKind::Link,
        libc::S_IFREG => FileKind::File,
        libc::S_IFIFO | libc::S_IFSOCK => FileKind::Ipc,
        _ => FileKind::Device,
    }
}

/// The mount of a descriptor as `/proc` tells it, where statx(2) does not (before Linux 5.8).
#[must_use]
pub fn mount_by_proc(fd: RawFd) -> u64 {
    let text = super::files::system_text(&["/proc/self/fdinfo/", &fd.to_string()].concat());
    let text = text.unwrap_or_default();
    let id = text.lines().find_map(|line| line.strip_prefix("mnt_id:"));
    id.and_then(|id| id.trim().parse().ok()).unwrap_or(0)
}

/// openat(2), closed on exec, without following a link at the end.
pub fn open_at(dir: RawFd, name: &CStr, flags: libc::c_int, mode: u32) -> Result<OwnedFd, Errno> {
    let flags = flags | libc::O_CLOEXEC | libc::O_NOFOLLOW;
    loop {
        // SAFETY: a path that ends with NUL, and numbers.
        match Errno::result(unsafe { libc::openat(dir, name.as_ptr(), flags, mode) }) {
            Err(Errno::EINTR) => {}
            // SAFETY: a new descriptor, owned from here on.
            result => return result.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }),
        }
    }
}

/// A directory for reading its names. Its time of access stays, where the kernel lets this process ask for that.
pub fn open_dir_at(dir: RawFd, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NONBLOCK;
    match open_at(dir, name, flags | libc::O_NOATIME, 0) {
        Err(Errno::EPERM) => open_at(dir, name, flags, 0),
        result => result,
    }
}

/// A file or directory that stays the same one, whatever its name comes to mean.
#[derive(Debug)]
pub struct Pinned {
    /// Opened by `O_PATH`, or a directory for reading.
    pub fd: OwnedFd,
    /// As it was when it was looked at last.
    pub stat: EntryStat,
}

impl Pinned {
    /// Takes hold of `name` in a directory.
    pub fn at(dir: RawFd, name: &CStr) -> Result<Self, Errno> {
        Self::of(open_at(dir, name, libc::O_PATH, 0)?)
    }

    /// Takes hold of what is open already.
    pub fn of(fd: OwnedFd) -> Result<Self, Errno> {
        let stat = stat_at(fd.as_raw_fd(), c"")?;
        Ok(Self { fd, stat })
    }

    /// The descriptor's number.
    #[must_use]
    pub fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Looks again.
    pub fn look(&mut self) -> Result<EntryStat, Errno> {
        self.stat = stat_at(self.raw(), c"")?;
        Ok(self.stat)
    }

    /// Gives it to a user, a group, or both.
    pub fn chown(&self, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
        let (uid, gid) = (uid.unwrap_or(u32::MAX), gid.unwrap_or(u32::MAX));
        // SAFETY: a path that ends with NUL, and numbers.
        Errno::result(unsafe { libc::fchownat(self.raw(), c"".as_ptr(), uid, gid, libc::AT_EMPTY_PATH) })
            .map(drop)
    }

    /// Sets its permission bits. Never for a link, which has none.
    pub fn chmod(&self, mode: u32) -> Result<(), Errno> {
        /// fchmodat2(2), since Linux 6.6; the C libraries do not all know it.
        const SYS_FCHMODAT2: libc::c_long = 452;
        // SAFETY: numbers.
        match Errno::result(unsafe { libc::fchmod(self.raw(), mode) }) {
            // Held by O_PATH.
            Err(Errno::EBADF) => {}
            result => return result.map(drop),
        }
        let flags = raw::number(libc::AT_EMPTY_PATH);
        // SAFETY: a path that ends with NUL, and numbers.
        let result = unsafe {
            raw::call(
                SYS_FCHMODAT2,
                &[raw::number(self.raw()), raw::address(c"".as_ptr()), mode as usize, flags],
            )
        };
        match result {
            Err(Errno::ENOSYS | Errno::EPERM | Errno::EINVAL) => {}
            result => return result.map(drop),
        }
        // SAFETY: as above.
        Errno::result(unsafe { libc::chmod(self.proc_path().as_ptr(), mode) }).map(drop)
    }

    /// The name in `/proc` that leads to just this file, for calls that take no descriptor of `O_PATH`.
    #[must_use]
    pub fn proc_path(&self) -> CString {
        let path = ["/proc/self/fd/", &self.raw().to_string()].concat();
        CString::new(path).unwrap_or_default()
    }

    /// Where it is now, by `/proc`.
    #[must_use]
    pub fn real_path(&self) -> Option<String> {
        super::stat::read_link(self.proc_path().to_str().ok()?).ok().filter(|path| path.starts_with('/'))
    }

    /// The capabilities of a program (`security.capability`), as bytes.
    #[must_use]
    pub fn capabilities(&self) -> Option<Vec<u8>> {
        let mut value = vec![0u8; 64];
        let path = self.proc_path();
        // SAFETY: strings that end with NUL, and a place of ours whose size is said.
        let length = unsafe {
            libc::getxattr(path.as_ptr(), CAPABILITY.as_ptr(), value.as_mut_ptr().cast(), value.len())
        };
        value.truncate(usize::try_from(length).ok()?);
        Some(value)
    }

    /// Gives it these.
    pub fn set_capabilities(&self, value: &[u8]) -> Result<(), Errno> {
        let path = self.proc_path();
        // SAFETY: strings that end with NUL, and bytes of ours whose number is said.
        let result = unsafe {
            libc::setxattr(path.as_ptr(), CAPABILITY.as_ptr(), value.as_ptr().cast(), value.len(), 0)
        };
        Errno::result(result).map(drop)
    }
}

const CAPABILITY: &CStr = c"security.capability";

/// What a link that is held says.
pub fn link_target(link: &Pinned) -> Result<Vec<u8>, Errno> {
    let mut target = vec![0u8; 4096];
    // SAFETY: a path that ends with NUL, and a place of ours whose size is said.
    let length = Errno::result(unsafe {
        libc::readlinkat(link.raw(), c"".as_ptr(), target.as_mut_ptr().cast(), target.len())
    })?;
    target.truncate(length.unsigned_abs());
    Ok(target)
}

/// Makes a directory.
pub fn make_dir(dir: RawFd, name: &CStr, mode: u32) -> Result<(), Errno> {
    // SAFETY: a path that ends with NUL, and numbers.
    Errno::result(unsafe { libc::mkdirat(dir, name.as_ptr(), mode) }).map(drop)
}

/// Makes a link that says `target`.
pub fn make_link(target: &CStr, dir: RawFd, name: &CStr) -> Result<(), Errno> {
    // SAFETY: paths that end with NUL.
    Errno::result(unsafe { libc::symlinkat(target.as_ptr(), dir, name.as_ptr()) }).map(drop)
}

/// Renames; with `replaces` what has the new name already is gone, else that is an error.
pub fn rename(from: (RawFd, &CStr), to: (RawFd, &CStr), replaces: bool) -> Result<(), Errno> {
    if replaces {
        // SAFETY: paths that end with NUL.
        let result = unsafe { libc::renameat(from.0, from.1.as_ptr(), to.0, to.1.as_ptr()) };
        return Errno::result(result).map(drop);
    }
    let words = [
        raw::number(from.0),
        raw::address(from.1.as_ptr()),
        raw::number(to.0),
        raw::address(to.1.as_ptr()),
        libc::RENAME_NOREPLACE as usize,
    ];
    // SAFETY: as above.
    unsafe { raw::call(libc::SYS_renameat2, &words) }.map(drop)
}

/// Removes a name; `flags` is `AT_REMOVEDIR` of a directory.
fn unlink(dir: RawFd, name: &CStr, flags: libc::c_int) -> Result<(), Errno> {
    // SAFETY: a path that ends with NUL.
    Errno::result(unsafe { libc::unlinkat(dir, name.as_ptr(), flags) }).map(drop)
}

/// Removes the name of anything but a directory.
pub fn remove_file(dir: RawFd, name: &CStr) -> Result<(), Errno> {
    unlink(dir, name, 0)
}

/// Removes an empty directory.
pub fn remove_dir(dir: RawFd, name: &CStr) -> Result<(), Errno> {
    unlink(dir, name, libc::AT_REMOVEDIR)
}

/// Whether this process can work there: read and enter a directory, and make a file in it; read a file, and write to it.
/// By doing it, for permission bits do not tell of every file system.
pub fn can_work(path: &str, is_dir: bool, writes: bool) -> Result<(), Errno> {
    if !is_dir {
        let wanted = if writes { super::stat::Access::Write } else { super::stat::Access::Read };
        return super::stat::access(path, wanted).map_err(|error| crate::sys::errno(&error));
    }
    let path = CString::new(path).map_err(|_| Errno::EINVAL)?;
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: a path that ends with NUL, and numbers.
    let fd = Errno::result(unsafe { libc::open(path.as_ptr(), flags) })?;
    // SAFETY: a new descriptor, owned from here on.
    let dir = unsafe { OwnedFd::from_raw_fd(fd) };
    if !writes {
        return Ok(());
    }
    let name = CString::new([".rinit-try-", &crate::sys::pid().to_string()].concat()).unwrap_or_default();
    match open_at(dir.as_raw_fd(), &name, libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY, 0o600) {
        Ok(_) => remove_file(dir.as_raw_fd(), &name),
        // It may, and there is no room.
        Err(Errno::ENOSPC | Errno::EDQUOT | Errno::EEXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Makes an empty file that nobody else can use yet, and holds it. Never one that is there already.
pub fn make_file(dir: RawFd, name: &CStr) -> Result<Pinned, Errno> {
    open_at(dir, name, libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY, 0o600).and_then(Pinned::of)
}

/// How a file is opened to be read: a FIFO that has taken its place would not be waited for.
pub const READ: libc::c_int = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;

/// The first bytes of a file that is open for reading.
pub fn read_start(file: &Pinned, most: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0u8; most];
    // SAFETY: a place of ours whose size is said.
    let count = unsafe { libc::pread(file.raw(), bytes.as_mut_ptr().cast(), most, 0) };
    bytes.truncate(Errno::result(count)?.unsigned_abs());
    Ok(bytes)
}
