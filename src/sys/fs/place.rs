//! Finds the directory and the name under which to write a file, one component at a time: follows a symbolic link only
//! if its owner could have written to the target anyway.

use crate::sys::Errno;
use crate::text::gather::Gather as _;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{FileStat, Mode, fchmod, fstat, mkdirat};
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// The kernel's limit of links to follow.
const MAX_LINKS: usize = 40;

/// Where to write a file.
#[derive(Debug)]
pub struct FilePlace {
    /// The directory (O_PATH).
    pub dir: OwnedFd,
    /// The name in it.
    pub name: OsString,
    /// The path with links resolved.
    pub path: PathBuf,
}

/// Why no place was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NoPlace {
    /// This link belongs neither to root nor to this process's user, and so cannot be trusted.
    ForeignLink(PathBuf, u32),
    /// This link has another name: a user may have linked it here.
    HardLink(PathBuf),
    /// The error of a system call on this directory.
    Refused(PathBuf, Errno),
}

/// Finds the place of an absolute path. Creates missing directories with mode 0755.
pub fn find(path: &Path) -> Result<FilePlace, NoPlace> {
    // In reverse: the next component is the last item.
    let mut rest = parts(path).rev().gather();
    let (mut dir, mut here, mut links) = (root()?, PathBuf::from("/"), 0);
    loop {
        let Some(name) = rest.pop() else { return Err(NoPlace::Refused(here, Errno::EISDIR)) };
        let at = here.join(&name);
        let refused = |errno| NoPlace::Refused(at.clone(), errno);
        let found = match open(&dir, &name) {
            Err(Errno::ENOENT) if rest.is_empty() => return Ok(FilePlace { dir, name, path: at }),
            Err(Errno::ENOENT) => make(&dir, &name),
            found => found,
        };
        let found = found.map_err(refused)?;
        let stat = fstat(&found).map_err(refused)?;
        match stat.st_mode & libc::S_IFMT {
            libc::S_IFLNK => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(refused(Errno::ELOOP));
                }
                if stat.st_uid != 0 && stat.st_uid != nix::unistd::geteuid().as_raw() {
                    return Err(NoPlace::ForeignLink(at, stat.st_uid));
                }
                if has_other_names(&stat) {
                    return Err(NoPlace::HardLink(at));
                }
                let to = nix::fcntl::readlinkat(&found, "").map_err(refused)?;
                let to = Path::new(&to);
                if to.is_absolute() {
                    (dir, here) = (root()?, PathBuf::from("/"));
                }
                parts(to).rev().for_each(|part| rest.push(part));
            }
            libc::S_IFDIR => {
                if rest.is_empty() {
                    return Err(refused(Errno::EISDIR));
                }
                dir = found;
                if name == ".." {
                    here.pop();
                } else {
                    here = at;
                }
            }
            _ if rest.is_empty() => return Ok(FilePlace { dir, name, path: at }),
            _ => return Err(refused(Errno::ENOTDIR)),
        }
    }
}

impl FilePlace {
    /// Returns the metadata of a name, without following a link.
    pub fn stat(&self, name: &OsStr) -> Result<FileStat, Errno> {
        nix::sys::stat::fstatat(&self.dir, name, nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW)
    }
}

/// Whether it may be a file or link of root's that a user has linked where it was found: it must be neither given away nor
/// followed then.
pub(super) fn has_other_names(stat: &FileStat) -> bool {
    let protected = || super::files::system_text("/proc/sys/fs/protected_hardlinks");
    stat.st_nlink > 1 && !protected().is_ok_and(|text| text.trim() == "1")
}

fn root() -> Result<OwnedFd, NoPlace> {
    nix::fcntl::open("/", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(|errno| NoPlace::Refused("/".into(), errno))
}

fn open(dir: &OwnedFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    openat(dir, name, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())
}

fn make(dir: &OwnedFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    let mode = Mode::from_bits_truncate(0o755);
    match mkdirat(dir, name, mode) {
        Ok(()) => {
            // Independent of the umask.
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            fchmod(openat(dir, name, flags, Mode::empty())?, mode)?;
        }
        // Another process has just created it.
        Err(Errno::EEXIST) => {}
        Err(errno) => return Err(errno),
    }
    open(dir, name)
}

/// Returns the significant components of a path.
fn parts(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    let bytes = path.as_os_str().as_bytes();
    let parts = bytes.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    parts.map(|part| OsStr::from_bytes(part).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn links_of_ones_own_are_followed_and_directories_made() {
        let base = std::env::temp_dir().join(format!("place-{}", std::process::id()));
        std::fs::create_dir_all(base.join("real")).expect("a directory");
        let base = base.canonicalize().expect("a path");
        symlink("real/../real", base.join("link")).expect("a link");
        symlink(base.join("real/x"), base.join("file")).expect("a link");
        symlink("loop", base.join("loop")).expect("a link");
        let place = find(&base.join("link/./a/b//c")).expect("a place");
        assert_eq!((place.path, place.name.to_str()), (base.join("real/a/b/c"), Some("c")));
        let mode = base.join("real/a/b").metadata().expect("made").permissions().mode();
        assert_eq!(mode & 0o777, 0o755);
        assert_eq!(find(&base.join("file")).expect("a place").path, base.join("real/x"));
        std::fs::write(base.join("real/x"), "").expect("a file");
        let refused = |path: &str| match find(&base.join(path)).expect_err(path) {
            NoPlace::Refused(at, errno) => (at, errno),
            other => panic!("{other:?}"),
        };
        assert_eq!(refused("loop"), (base.join("loop"), Errno::ELOOP));
        assert_eq!(refused("file/y"), (base.join("real/x"), Errno::ENOTDIR));
        assert_eq!(refused("link"), (base.join("real"), Errno::EISDIR));
        std::fs::remove_dir_all(base).expect("gone");
    }
}
