//! Writes files atomically: to a temporary file next to the target, with owner and mode set before the first byte,
//! then moved into place.

use super::place::{self, FilePlace, NoPlace, has_other_names};
use crate::sys::Errno;
use crate::sys::event::clock;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, fchmod, fstat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, linkat, unlinkat};
use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The prefix of temporary names; chosen so that no program's glob pattern matches it.
const TEMPORARY: &str = ".rinit-";

/// Older temporary files were left behind by a killed process.
const MAX_TEMPORARY_AGE: i64 = 30;

/// How long an empty file may still be one that is being written, on file systems without an atomic way to create it.
const EMPTY_TIMEOUT: Duration = Duration::from_secs(2);

/// The file to write.
#[derive(Clone, Copy, Debug)]
pub struct FileSpec<'a> {
    /// An absolute path.
    pub path: &'a Path,
    /// Its owner.
    pub uid: Option<u32>,
    /// Its group.
    pub gid: Option<u32>,
    /// The permission bits of a new file.
    pub mode: u32,
    /// Whether an existing file that is kept gets these bits too.
    pub sets_mode: bool,
    /// Whether an existing file is kept.
    pub keep: bool,
}

/// The result of writing a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Publication {
    /// It had the right content, owner and mode already.
    Unchanged,
    /// It existed and was kept.
    Kept,
    /// It had the right content; owner or mode were changed.
    Given,
    /// It was created or replaced.
    Written,
    /// It is a mount point, and was overwritten in place.
    InPlace,
}

/// The details of a written file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Published {
    /// What was done.
    pub how: Publication,
    /// Why its owner could not be set.
    pub not_given: Option<Errno>,
    /// Its permission bits.
    pub mode: u32,
    /// Its path with links resolved.
    pub path: PathBuf,
}

/// Why a file could not be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unpublished {
    /// No place was found for it.
    NoPlace(NoPlace),
    /// There is something other than a regular file.
    NoFile(PathBuf),
    /// It has another name, which may be anybody's, and its owner or mode would have to be set.
    HardLink(PathBuf),
    /// Its owner could not be set, and nobody else may read it.
    NotGiven(PathBuf, Errno),
    /// The error of a system call.
    Refused(PathBuf, Errno),
}

/// Writes a file with this content. Replaces an existing file atomically.
pub fn publish(spec: &FileSpec<'_>, bytes: &[u8]) -> Result<Published, Unpublished> {
    let place = place::find(spec.path).map_err(Unpublished::NoPlace)?;
    let there = existing(&place)?;
    if let Some((_, stat)) = there.as_ref().filter(|_| spec.keep) {
        return Ok(published(Publication::Kept, None, stat.st_mode, &place));
    }
    if let Some((Some(file), stat)) = &there
        && !(has_other_names(stat) && differs(spec, stat))
        && holds(file, stat, bytes)
    {
        return stays(&place, spec, file, stat);
    }
    let temporary = Temporary::write(&place, spec, bytes)?;
    let moved = if spec.keep { temporary.publish_new(spec, bytes) } else { temporary.replace() };
    match moved {
        Ok(()) => {}
        Err(Errno::EEXIST) => return Ok(published(Publication::Kept, None, spec.mode, &place)),
        Err(Errno::EBUSY | Errno::EXDEV) if there.is_some() => return in_place(&place, spec, bytes),
        Err(errno) => return Err(refused(&place, errno)),
    }
    let (not_given, mode) = (temporary.not_given, temporary.mode());
    temporary.settle();
    Ok(published(Publication::Written, not_given, mode, &place))
}

/// Creates a file that is generated only once: calls `make` only if it does not exist; if several processes create it
/// at the same time, one wins. Returns the final content, and whether an empty file was replaced.
pub fn publish_once(
    spec: &FileSpec<'_>,
    make: &dyn Fn() -> std::io::Result<Vec<u8>>,
) -> Result<(Published, Vec<u8>, bool), Unpublished> {
    let place = place::find(spec.path).map_err(Unpublished::NoPlace)?;
    let until = clock::now().after(EMPTY_TIMEOUT);
    let mut was_empty = false;
    loop {
        match existing(&place)? {
            Some((file, stat)) if stat.st_size > 0 => {
                let Some(file) = file else { return Err(refused(&place, Errno::EACCES)) };
                if has_other_names(&stat) && differs(spec, &stat) {
                    return Err(Unpublished::HardLink(place.path));
                }
                let bytes = super::files::read_all(&file, usize::try_from(stat.st_size).unwrap_or(0));
                let bytes = bytes.map_err(|error| refused(&place, crate::sys::errno(&error)))?;
                return Ok((stays(&place, spec, &file, &stat)?, bytes, was_empty));
            }
            // On a file system without an atomic way it is briefly empty while another process writes it.
            Some((_, stat)) if age(&stat) < 2 && clock::now() < until => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Some(_) => {
                was_empty = true;
                match set_aside(&place) {
                    Ok(()) => {}
                    Err(Errno::EBUSY | Errno::EXDEV) => {
                        let bytes = make().map_err(|error| refused(&place, crate::sys::errno(&error)))?;
                        return Ok((in_place(&place, spec, &bytes)?, bytes, was_empty));
                    }
                    Err(errno) => return Err(refused(&place, errno)),
                }
            }
            None => {
                let bytes = make().map_err(|error| refused(&place, crate::sys::errno(&error)))?;
                let temporary = Temporary::write(&place, spec, &bytes)?;
                match temporary.publish_new(spec, &bytes) {
                    Ok(()) => {
                        let (not_given, mode) = (temporary.not_given, temporary.mode());
                        temporary.settle();
                        let how = published(Publication::Written, not_given, mode, &place);
                        return Ok((how, bytes, was_empty));
                    }
                    // Use the file of the other process.
                    Err(Errno::EEXIST) => {}
                    Err(errno) => return Err(refused(&place, errno)),
                }
            }
        }
    }
}

fn published(how: Publication, not_given: Option<Errno>, mode: u32, place: &FilePlace) -> Published {
    Published { how, not_given, mode: mode & 0o7777, path: place.path.clone() }
}

fn refused(place: &FilePlace, errno: Errno) -> Unpublished {
    Unpublished::Refused(place.path.clone(), errno)
}

/// Opens the existing file if it is readable.
fn existing(place: &FilePlace) -> Result<Option<(Option<OwnedFd>, FileStat)>, Unpublished> {
    let stat = match place.stat(&place.name) {
        Ok(stat) => stat,
        Err(Errno::ENOENT) => return Ok(None),
        Err(errno) => return Err(refused(place, errno)),
    };
    if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
        return Err(Unpublished::NoFile(place.path.clone()));
    }
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let file = openat(&place.dir, place.name.as_os_str(), flags, Mode::empty()).ok();
    // The file may have been replaced: use the metadata of the open one.
    let stat = file.as_ref().and_then(|file| fstat(file).ok()).unwrap_or(stat);
    Ok(Some((file, stat)))
}

fn holds(file: &OwnedFd, stat: &FileStat, bytes: &[u8]) -> bool {
    usize::try_from(stat.st_size) == Ok(bytes.len())
        && super::files::read_all(file, bytes.len()).is_ok_and(|found| found == bytes)
}

/// The mode of a file that is kept.
fn mode_of(spec: &FileSpec<'_>, stat: &FileStat) -> u32 {
    if spec.sets_mode { spec.mode } else { stat.st_mode & 0o7777 }
}

/// Whether owner, group or mode are to be set.
fn differs(spec: &FileSpec<'_>, stat: &FileStat) -> bool {
    spec.uid.is_some_and(|uid| uid != stat.st_uid)
        || spec.gid.is_some_and(|gid| gid != stat.st_gid)
        || mode_of(spec, stat) != stat.st_mode & 0o7777
}

/// Sets owner and mode of a file that is kept, if they differ.
fn stays(
    place: &FilePlace,
    spec: &FileSpec<'_>,
    file: &OwnedFd,
    stat: &FileStat,
) -> Result<Published, Unpublished> {
    let (mut how, mut not_given) = (Publication::Unchanged, None);
    let mode = mode_of(spec, stat);
    if differs(spec, stat) {
        how = Publication::Given;
        not_given = give(place, spec, file, mode)?;
    }
    let mode = fstat(file).map_or(mode, |stat| stat.st_mode);
    Ok(published(how, not_given, mode, place))
}

/// Sets the mode, then the owner: after chown(2) the mode can only be changed with CAP_FOWNER. Returns why the owner
/// could not be set; an error if then nobody else may read the file.
fn give(
    place: &FilePlace,
    spec: &FileSpec<'_>,
    file: &OwnedFd,
    mode: u32,
) -> Result<Option<Errno>, Unpublished> {
    let bits = Mode::from_bits_truncate(mode);
    // Some file systems do not store modes: the actual mode is reported.
    let _ = fchmod(file, bits);
    let own = fstat(file).map_or((u32::MAX, u32::MAX), |stat| (stat.st_uid, stat.st_gid));
    let uid = spec.uid.filter(|uid| *uid != own.0);
    let gid = spec.gid.filter(|gid| *gid != own.1);
    if uid.is_none() && gid.is_none() {
        return Ok(None);
    }
    match fchown(file, uid.map(Uid::from_raw), gid.map(Gid::from_raw)) {
        Ok(()) => {
            // chown(2) clears the set-id bits.
            if mode & 0o6000 != 0 {
                let _ = fchmod(file, bits);
            }
            Ok(None)
        }
        Err(errno) if nix::unistd::geteuid().is_root() && mode & 0o004 == 0 => {
            Err(Unpublished::NotGiven(place.path.clone(), errno))
        }
        Err(errno) => Ok(Some(errno)),
    }
}

/// Overwrites an existing file that cannot be replaced.
fn in_place(place: &FilePlace, spec: &FileSpec<'_>, bytes: &[u8]) -> Result<Published, Unpublished> {
    let flags = OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let refuse = |errno| refused(place, errno);
    let file = openat(&place.dir, place.name.as_os_str(), flags, Mode::empty()).map_err(refuse)?;
    let stat = fstat(&file).map_err(refuse)?;
    if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
        return Err(Unpublished::NoFile(place.path.clone()));
    }
    let mode = mode_of(spec, &stat);
    let not_given = give(place, spec, &file, mode)?;
    nix::unistd::ftruncate(&file, 0).map_err(refuse)?;
    write_all(&file, bytes).map_err(refuse)?;
    let _ = nix::unistd::fsync(&file);
    let mode = fstat(&file).map_or(mode, |stat| stat.st_mode);
    Ok(published(Publication::InPlace, not_given, mode, place))
}

/// Removes an empty file, unless another process has filled it meanwhile.
fn set_aside(place: &FilePlace) -> Result<(), Errno> {
    let aside = temporary_name();
    match renameat(&place.dir, place.name.as_os_str(), &place.dir, aside.as_os_str()) {
        Ok(()) => {}
        Err(Errno::ENOENT) => return Ok(()),
        Err(errno) => return Err(errno),
    }
    if place.stat(&aside).is_ok_and(|stat| stat.st_size > 0) {
        let _ = linkat(&place.dir, aside.as_os_str(), &place.dir, place.name.as_os_str(), AtFlags::empty());
    }
    let _ = unlinkat(&place.dir, aside.as_os_str(), UnlinkatFlags::NoRemoveDir);
    Ok(())
}

/// Returns the seconds since its last modification.
fn age(stat: &FileStat) -> i64 {
    i64::try_from(clock::calendar().0).unwrap_or(0).saturating_sub(stat.st_mtime)
}

fn temporary_name() -> OsString {
    let random = crate::sys::random::bytes(8).unwrap_or_default();
    let pid = crate::sys::pid().unsigned_abs();
    let number = random.iter().fold(u64::from(pid), |all, byte| all << 8 ^ all >> 56 ^ u64::from(*byte));
    format!("{TEMPORARY}{number:016x}").into()
}

/// A temporary file; removed on drop unless it was moved into place.
struct Temporary<'p> {
    place: &'p FilePlace,
    name: OsString,
    file: OwnedFd,
    not_given: Option<Errno>,
    is_durable: bool,
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            let _ = unlinkat(&self.place.dir, self.name.as_os_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
}

impl<'p> Temporary<'p> {
    /// Creates it with its whole content.
    fn write(place: &'p FilePlace, spec: &FileSpec<'_>, bytes: &[u8]) -> Result<Self, Unpublished> {
        remove_old(place);
        let (name, refuse) = (temporary_name(), |errno| refused(place, errno));
        let file = create(place, &name).map_err(refuse)?;
        let is_durable = spec.keep || is_durable(&file);
        let mut temporary = Self { place, name, file, not_given: None, is_durable };
        temporary.fill(spec, bytes)?;
        Ok(temporary)
    }

    fn fill(&mut self, spec: &FileSpec<'_>, bytes: &[u8]) -> Result<(), Unpublished> {
        self.not_given = give(self.place, spec, &self.file, spec.mode)?;
        let refuse = |errno| refused(self.place, errno);
        write_all(&self.file, bytes).map_err(refuse)?;
        if !self.is_durable {
            return Ok(());
        }
        match nix::unistd::fsync(&self.file) {
            // What is told of a disk that fails or is full; others do not know the call (FUSE).
            Err(errno @ (Errno::EIO | Errno::ENOSPC | Errno::EDQUOT)) => Err(refuse(errno)),
            _ => Ok(()),
        }
    }

    /// Returns its actual mode.
    fn mode(&self) -> u32 {
        fstat(&self.file).map_or(0, |stat| stat.st_mode)
    }

    /// Moves it into place; replaces an existing file.
    fn replace(&self) -> Result<(), Errno> {
        let (dir, name) = (&self.place.dir, self.place.name.as_os_str());
        renameat(dir, self.name.as_os_str(), dir, name)
    }

    /// Moves it into place if there is no file; EEXIST if there is. Where the file system supports neither that kind
    /// of rename nor links, writes the target directly.
    fn publish_new(&self, spec: &FileSpec<'_>, bytes: &[u8]) -> Result<(), Errno> {
        let cannot = |errno| {
            matches!(errno, Errno::EINVAL | Errno::ENOSYS | Errno::EPERM | Errno::EOPNOTSUPP | Errno::EMLINK)
        };
        let (dir, from, to) = (&self.place.dir, self.name.as_os_str(), self.place.name.as_os_str());
        match rename_new(dir, from, to) {
            Err(errno) if cannot(errno) => {}
            done => return done,
        }
        match linkat(dir, from, dir, to, AtFlags::empty()) {
            Err(errno) if cannot(errno) => {}
            // The rename has removed the temporary name.
            done => return done,
        }
        let file = create(self.place, to)?;
        let written = give(self.place, spec, &file, spec.mode).map_err(|_| Errno::EPERM);
        let written = written.and_then(|_| write_all(&file, bytes)).and_then(|()| nix::unistd::fsync(&file));
        if written.is_err() {
            let _ = unlinkat(dir, to, UnlinkatFlags::NoRemoveDir);
        }
        written
    }

    /// Syncs the directory after the move, and removes the temporary name if it still exists.
    fn settle(self) {
        if self.is_durable {
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            // EINVAL on some FUSE file systems; no other error can be handled either.
            let dir = openat(&self.place.dir, ".", flags, Mode::empty());
            let _ = dir.and_then(|dir| nix::unistd::fsync(&dir));
        }
    }
}

/// Creates a new file that only the owner may access.
fn create(place: &FilePlace, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(&place.dir, name, flags, Mode::from_bits_truncate(0o600))
}

/// renameat2(2) with RENAME_NOREPLACE.
fn rename_new(dir: &OwnedFd, from: &OsStr, to: &OsStr) -> Result<(), Errno> {
    let (from, to) = (CString::new(from.as_bytes()), CString::new(to.as_bytes()));
    let (Ok(from), Ok(to)) = (from, to) else { return Err(Errno::ENOENT) };
    let (dir, flags) = (dir.as_raw_fd(), libc::RENAME_NOREPLACE);
    // SAFETY: a descriptor and two strings that live for the call, and numbers.
    let done = unsafe { libc::syscall(libc::SYS_renameat2, dir, from.as_ptr(), dir, to.as_ptr(), flags) };
    Errno::result(done).map(drop)
}

/// Returns whether the file's data should survive a power failure: it is neither in memory nor in a container's layer.
fn is_durable(file: &OwnedFd) -> bool {
    let kind = nix::sys::statfs::fstatfs(file).map(|stat| stat.filesystem_type());
    use nix::sys::statfs::{OVERLAYFS_SUPER_MAGIC, TMPFS_MAGIC};
    kind.is_ok_and(|kind| kind != TMPFS_MAGIC && kind != OVERLAYFS_SUPER_MAGIC)
}

fn write_all(file: &OwnedFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match nix::unistd::write(file, bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Removes temporary files in this directory that killed processes have left behind. If many files are written to one
/// directory, only the first does it.
fn remove_old(place: &FilePlace) {
    static SEEN: AtomicU64 = AtomicU64::new(0);
    let id = fstat(&place.dir).map_or(0, |stat| stat.st_ino.rotate_left(20) ^ stat.st_dev);
    if id != 0 && SEEN.swap(id, Ordering::Relaxed) == id {
        return;
    }
    let names = place.path.parent().map(super::dir::names);
    for name in names.into_iter().flatten().flatten() {
        let is_ours = name.as_bytes().starts_with(TEMPORARY.as_bytes());
        let old =
            |stat: FileStat| stat.st_mode & libc::S_IFMT == libc::S_IFREG && age(&stat) > MAX_TEMPORARY_AGE;
        if is_ours && place.stat(&name).is_ok_and(old) {
            let _ = unlinkat(&place.dir, name.as_os_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
}
