//! Copies of trees with owners, modes, links, times, holes, capabilities and access lists; not of what is no file,
//! directory or link. A copy is made in a place of its own and renamed when it is whole.

use super::pin::{self, EntryStat, FileKind, Pinned};
use super::walk;
use crate::sys::Errno;
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

/// Bytes that are read at a time; where all of them are zero, a hole is left.
const PIECE_BYTES: usize = 64 << 10;

/// Why a copy was not made: what could not be copied, by its path below the top, and the reason; `None`: it is of a kind
/// that is not copied.
#[derive(Debug)]
pub struct Uncopied {
    /// Relative to what was to be copied.
    pub path: String,
    /// The system's reason.
    pub errno: Option<Errno>,
}

/// Copies `name` of one directory, with all that is below it, into another directory that has no such name.
pub fn copy(from: RawFd, name: &CStr, to: RawFd) -> Result<(), Uncopied> {
    copy_entry(from, name, to).map_err(|mut why| {
        let shown = name.to_string_lossy();
        why.path = if why.path.is_empty() { shown.into_owned() } else { [&shown, "/", &why.path].concat() };
        why
    })
}

fn copy_entry(from: RawFd, name: &CStr, to: RawFd) -> Result<(), Uncopied> {
    let failed = |errno| Uncopied { path: String::new(), errno: Some(errno) };
    let stat = pin::stat_at(from, name).map_err(failed)?;
    match stat.kind {
        FileKind::Link => copy_link(from, name, to, &stat).map_err(failed),
        FileKind::File => copy_file(from, name, to, &stat).map_err(failed),
        FileKind::Dir => {
            let source = pin::open_dir_at(from, name).and_then(Pinned::of).map_err(failed)?;
            pin::make_dir(to, name, 0o700).map_err(failed)?;
            let made = pin::open_dir_at(to, name).and_then(Pinned::of).map_err(failed)?;
            for below in walk::names(&source).map_err(failed)? {
                copy(source.raw(), &below, made.raw())?;
            }
            finish(&source, &made, &stat).map_err(failed)
        }
        FileKind::Ipc | FileKind::Device => Err(Uncopied { path: String::new(), errno: None }),
    }
}

fn copy_link(from: RawFd, name: &CStr, to: RawFd, stat: &EntryStat) -> Result<(), Errno> {
    let target = CString::new(pin::link_target(&Pinned::at(from, name)?)?).map_err(|_| Errno::EINVAL)?;
    pin::make_link(&target, to, name)?;
    let made = Pinned::at(to, name)?;
    let _ = made.chown(Some(stat.uid), Some(stat.gid));
    // SAFETY: a path that ends with NUL, and two times of ours.
    unsafe { libc::utimensat(to, name.as_ptr(), times(stat).as_ptr(), libc::AT_SYMLINK_NOFOLLOW) };
    Ok(())
}

fn copy_file(from: RawFd, name: &CStr, to: RawFd, stat: &EntryStat) -> Result<(), Errno> {
    let source = pin::open_at(from, name, libc::O_RDONLY | libc::O_NONBLOCK, 0).and_then(Pinned::of)?;
    if source.stat.id != stat.id {
        return Err(Errno::ESTALE);
    }
    let made = pin::open_at(to, name, libc::O_CREAT | libc::O_EXCL | libc::O_RDWR, 0o600)?;
    copy_bytes(&source.fd, &made)?;
    finish(&source, &Pinned::of(made)?, stat)
}

fn copy_bytes(from: &OwnedFd, to: &OwnedFd) -> Result<(), Errno> {
    let mut piece = vec![0u8; PIECE_BYTES];
    let mut size: i64 = 0;
    loop {
        let count = match nix::unistd::read(from, &mut piece) {
            Err(Errno::EINTR) => continue,
            result => result?,
        };
        let mut rest = piece.get(..count).unwrap_or_default();
        if rest.is_empty() {
            break;
        }
        let begins = size;
        size += i64::try_from(count).unwrap_or(0);
        if rest.iter().all(|byte| *byte == 0) {
            continue;
        }
        let mut at = begins;
        while !rest.is_empty() {
            // SAFETY: bytes of ours, whose number is said.
            let written = unsafe { libc::pwrite(to.as_raw_fd(), rest.as_ptr().cast(), rest.len(), at) };
            match Errno::result(written) {
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
                Ok(0) => return Err(Errno::EIO),
                Ok(written) => {
                    rest = rest.get(written.unsigned_abs()..).unwrap_or_default();
                    at += i64::try_from(written).unwrap_or(0);
                }
            }
        }
    }
    // SAFETY: numbers.
    Errno::result(unsafe { libc::ftruncate(to.as_raw_fd(), size) }).map(drop)
}

/// What is beside the content. Who may not give files away keeps them, as with cp -a.
fn finish(source: &Pinned, made: &Pinned, stat: &EntryStat) -> Result<(), Errno> {
    let given = made.chown(Some(stat.uid), Some(stat.gid));
    // A set-id bit is for the owner that is meant.
    made.chmod(if given.is_ok() { stat.mode } else { stat.mode & 0o1777 })?;
    copy_attributes(source.raw(), made.raw());
    // SAFETY: two times of ours.
    unsafe { libc::futimens(made.raw(), times(stat).as_ptr()) };
    Ok(())
}

fn times(stat: &EntryStat) -> [libc::timespec; 2] {
    let mut time: libc::timespec = crate::sys::event::clock::timespec(std::time::Duration::ZERO);
    time.tv_sec = stat.mtime;
    time.tv_nsec = i64::from(stat.mtime_nsec);
    [time, time]
}

/// Extended attributes, but for labels, which belong to the place. Where a file system has none, none are copied.
fn copy_attributes(from: RawFd, to: RawFd) {
    let mut list = vec![0u8; 4096];
    // SAFETY: a place of ours whose size is said.
    let length = unsafe { libc::flistxattr(from, list.as_mut_ptr().cast(), list.len()) };
    list.truncate(usize::try_from(length).unwrap_or(0));
    let mut value = vec![0u8; 4096];
    for name in list.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let wanted = name.starts_with(b"user.")
            || name.starts_with(b"system.posix_acl_")
            || name == b"security.capability";
        let Ok(name) = CString::new(name) else { continue };
        if !wanted {
            continue;
        }
        // SAFETY: strings that end with NUL, and a place of ours whose size is said.
        unsafe {
            let length = libc::fgetxattr(from, name.as_ptr(), value.as_mut_ptr().cast(), value.len());
            if let Ok(length) = usize::try_from(length) {
                libc::fsetxattr(to, name.as_ptr(), value.as_ptr().cast(), length, 0);
            }
        }
    }
}

/// Removes a name, with all that is below it. No link is followed.
pub fn remove_tree(dir: RawFd, name: &CStr) -> Result<(), Errno> {
    match pin::remove_file(dir, name) {
        Err(Errno::EISDIR | Errno::EPERM) => {}
        Err(Errno::ENOENT) => return Ok(()),
        result => return result,
    }
    let held = pin::open_dir_at(dir, name).and_then(Pinned::of)?;
    for below in walk::names(&held)? {
        remove_tree(held.raw(), &below)?;
    }
    pin::remove_dir(dir, name)
}

/// Whether this process has the one lock on a file or directory now: another may have it. `None`: there are no locks here.
#[must_use]
pub fn lock(file: &Pinned) -> Option<bool> {
    // SAFETY: numbers.
    match Errno::result(unsafe { libc::flock(file.raw(), libc::LOCK_EX | libc::LOCK_NB) }) {
        Ok(_) => Some(true),
        Err(Errno::EWOULDBLOCK | Errno::EINTR) => Some(false),
        Err(_) => None,
    }
}

/// Writes out what the file system has in memory.
pub fn sync(file: &Pinned) {
    // SAFETY: a number.
    unsafe { libc::syncfs(file.raw()) };
}
