//! Files that are there whole or not at all: written beside their place, with owner and mode before the first byte, and
//! moved there.

use super::place::{self, FilePlace, NoPlace};
use crate::sys::Errno;
use crate::sys::event::clock;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, fchmod, fstat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, linkat, unlinkat};
use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How the name of a file begins that is not yet in its place: no pattern of a program's matches it.
const TEMPORARY: &str = ".rinit-";

/// One that is older was left behind by somebody who was killed.
const MAX_TEMPORARY_AGE: i64 = 30;

/// How long one that is empty may be one that is being written, where it cannot be made at once.
const EMPTY_TIMEOUT: Duration = Duration::from_secs(2);

/// What is to be there.
#[derive(Clone, Copy, Debug)]
pub struct FileSpec<'a> {
    /// An absolute path.
    pub path: &'a Path,
    /// Whom it is given to.
    pub uid: Option<u32>,
    /// Which group it is given to.
    pub gid: Option<u32>,
    /// Permission bits of a new one.
    pub mode: u32,
    /// Whether one that stays gets these bits too.
    pub sets_mode: bool,
    /// Whether what is there already stays as it is.
    pub keep: bool,
}

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Publication {
    /// It was so already; nothing was touched.
    Unchanged,
    /// It was there, and stays as it is.
    Kept,
    /// The bytes were the same, owner or mode were given.
    Given,
    /// It was made, or took the place of another.
    Written,
    /// It is a mount itself, and was written where it is.
    InPlace,
}

/// What was done, and what could not be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Published {
    /// What came of it.
    pub how: Publication,
    /// Why it does not belong to whom it was to be given to.
    pub not_given: Option<Errno>,
    /// Its permission bits.
    pub mode: u32,
    /// Where it is, links followed.
    pub path: PathBuf,
}

/// Why it is not there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unpublished {
    /// No place for it.
    NoPlace(NoPlace),
    /// Something that is no file is in its place.
    NoFile(PathBuf),
    /// Only whom it could not be given to may read it.
    NotGiven(PathBuf, Errno),
    /// The system's word.
    Refused(PathBuf, Errno),
}

/// Has these bytes there. Another file in its place is replaced, all at once.
pub fn publish(spec: &FileSpec<'_>, bytes: &[u8]) -> Result<Published, Unpublished> {
    let place = place::find(spec.path).map_err(Unpublished::NoPlace)?;
    let there = existing(&place)?;
    if let Some((_, stat)) = there.as_ref().filter(|_| spec.keep) {
        return Ok(published(Publication::Kept, None, stat.st_mode, &place));
    }
    if let Some((Some(file), stat)) = &there
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

/// Has something there that is made once: `make` is asked for it only where nothing is there yet, and of several that make
/// it at once one wins. The bytes that are there in the end, and whether an empty file was replaced.
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
                let bytes = super::files::read_all(&file, usize::try_from(stat.st_size).unwrap_or(0));
                let bytes = bytes.map_err(|error| refused(&place, crate::sys::errno(&error)))?;
                return Ok((stays(&place, spec, &file, &stat)?, bytes, was_empty));
            }
            // Where neither rename nor link can do it, it is empty for the moment in which it is written.
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
                    // The other's is read.
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

/// The file that is there, open where it may be read.
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
    // What was opened is what counts.
    let stat = file.as_ref().and_then(|file| fstat(file).ok()).unwrap_or(stat);
    Ok(Some((file, stat)))
}

fn holds(file: &OwnedFd, stat: &FileStat, bytes: &[u8]) -> bool {
    usize::try_from(stat.st_size) == Ok(bytes.len())
        && super::files::read_all(file, bytes.len()).is_ok_and(|found| found == bytes)
}

/// Gives a file that stays whom it is for, and its mode, where they differ.
fn stays(
    place: &FilePlace,
    spec: &FileSpec<'_>,
    file: &OwnedFd,
    stat: &FileStat,
) -> Result<Published, Unpublished> {
    let (mut how, mut not_given) = (Publication::Unchanged, None);
    let mode = if spec.sets_mode { spec.mode } else { stat.st_mode & 0o7777 };
    let is_theirs =
        spec.uid.is_none_or(|uid| uid == stat.st_uid) && spec.gid.is_none_or(|gid| gid == stat.st_gid);
    if !is_theirs || mode != stat.st_mode & 0o7777 {
        how = Publication::Given;
        not_given = give(place, spec, file, mode)?;
    }
    let mode = fstat(file).map_or(mode, |stat| stat.st_mode);
    Ok(published(how, not_given, mode, place))
}

/// Mode, then owner: what is given away can no longer be changed without CAP_FOWNER. Why the owner could not be given; an
/// error where nobody else may read it.
fn give(
    place: &FilePlace,
    spec: &FileSpec<'_>,
    file: &OwnedFd,
    mode: u32,
) -> Result<Option<Errno>, Unpublished> {
    let bits = Mode::from_bits_truncate(mode);
    // Where modes are fiction, what came of it is told.
    let _ = fchmod(file, bits);
    let own = fstat(file).map_or((u32::MAX, u32::MAX), |stat| (stat.st_uid, stat.st_gid));
    let uid = spec.uid.filter(|uid| *uid != own.0);
    let gid = spec.gid.filter(|gid| *gid != own.1);
    if uid.is_none() && gid.is_none() {
        return Ok(None);
    }
    match fchown(file, uid.map(Uid::from_raw), gid.map(Gid::from_raw)) {
        Ok(()) => {
            // chown(2) takes the set-id bits away.
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

/// Writes into the file that is there, where no other can take its place.
fn in_place(place: &FilePlace, spec: &FileSpec<'_>, bytes: &[u8]) -> Result<Published, Unpublished> {
    let flags = OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let refuse = |errno| refused(place, errno);
    let file = openat(&place.dir, place.name.as_os_str(), flags, Mode::empty()).map_err(refuse)?;
    let stat = fstat(&file).map_err(refuse)?;
    let mode = if spec.sets_mode { spec.mode } else { stat.st_mode & 0o7777 };
    let not_given = give(place, spec, &file, mode)?;
    nix::unistd::ftruncate(&file, 0).map_err(refuse)?;
    write_all(&file, bytes).map_err(refuse)?;
    let _ = nix::unistd::fsync(&file);
    let mode = fstat(&file).map_or(mode, |stat| stat.st_mode);
    Ok(published(Publication::InPlace, not_given, mode, place))
}

/// Takes an empty file out of the way, unless somebody has filled it meanwhile.
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

/// Seconds since it was written.
fn age(stat: &FileStat) -> i64 {
    i64::try_from(clock::calendar().0).unwrap_or(0).saturating_sub(stat.st_mtime)
}

fn temporary_name() -> OsString {
    let random = crate::sys::random::bytes(8).unwrap_or_default();
    let pid = crate::sys::pid().unsigned_abs();
    let number = random.iter().fold(u64::from(pid), |all, byte| all << 8 ^ all >> 56 ^ u64::from(*byte));
    format!("{TEMPORARY}{number:016x}").into()
}

/// A file that is not yet in its place; gone when it is dropped before.
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
    /// Makes it, whole.
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
        if self.is_durable {
            nix::unistd::fsync(&self.file).map_err(refuse)?;
        }
        Ok(())
    }

    /// Its mode, as it has become.
    fn mode(&self) -> u32 {
        fstat(&self.file).map_or(0, |stat| stat.st_mode)
    }

    /// Takes the place of what is there.
    fn replace(&self) -> Result<(), Errno> {
        let (dir, name) = (&self.place.dir, self.place.name.as_os_str());
        renameat(dir, self.name.as_os_str(), dir, name)
    }

    /// Takes its place if nothing is there; EEXIST where something is. Where the file system can do that with neither
    /// rename nor link, it is written there.
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
            // The name that it had goes with this.
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

    /// It is in its place: the directory is to remember that too. What is left of its old name goes.
    fn settle(self) {
        if self.is_durable {
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            // EINVAL on some file systems in user space, and nothing to be done about anything else.
            let dir = openat(&self.place.dir, ".", flags, Mode::empty());
            let _ = dir.and_then(|dir| nix::unistd::fsync(&dir));
        }
    }
}

/// A file that was not there, for nobody else yet.
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

/// Whether what is written there is there after the machine has lost its power, and matters then: not in memory, and not
/// in the layer of a container.
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

/// Removes what was left behind in this directory by those who were killed.
fn remove_old(place: &FilePlace) {
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
