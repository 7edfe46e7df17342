//! File metadata and access as the kernel sees them: owner, mode, access, free space.

use super::dir;
use crate::sys::Errno;
use crate::text::gather::Gather;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::time::{Duration, SystemTime};

/// Metadata of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stat {
    /// User id of the owner.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Permission bits with set-id and sticky bits: 0o7777.
    pub mode: u32,
    /// Whether it is a directory.
    pub dir: bool,
    /// Whether it is a regular file.
    pub file: bool,
    /// Whether it is a socket.
    pub socket: bool,
    /// Whether it is a FIFO.
    pub fifo: bool,
    /// Size in bytes.
    pub size: u64,
    /// When it was last modified, in nanoseconds since 1970.
    pub modified: i64,
    /// How long ago that is by the system's clock; zero: in its future.
    pub age: Duration,
}

/// A kind of access to a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Read it; list a directory.
    Read,
    /// Write it; create and remove entries of a directory.
    Write,
    /// Execute it; enter a directory.
    Execute,
}

/// Space on a file system.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Space {
    /// Bytes available to unprivileged users.
    pub free: u64,
    /// Total bytes.
    pub size: u64,
    /// Inodes available to unprivileged users.
    pub free_inodes: u64,
    /// Total inodes; 0: no limit.
    pub inodes: u64,
}

/// Returns metadata; follows links.
pub fn stat(path: &str) -> io::Result<Stat> {
    let data = std::fs::metadata(path)?;
    let kind = data.file_type();
    let age = data.modified().ok().and_then(|then| SystemTime::now().duration_since(then).ok());
    Ok(Stat {
        uid: data.uid(),
        gid: data.gid(),
        mode: data.mode() & 0o7777,
        dir: kind.is_dir(),
        file: kind.is_file(),
        socket: kind.is_socket(),
        fifo: kind.is_fifo(),
        size: data.len(),
        modified: data.mtime().saturating_mul(1_000_000_000).saturating_add(data.mtime_nsec()),
        age: age.unwrap_or_default(),
    })
}

/// Returns whether a path is missing, an empty file, or a directory without entries other than `lost+found`.
#[must_use]
pub fn is_empty(path: &str) -> bool {
    match stat(path) {
        Ok(found) if found.dir => dir::is_empty(path).unwrap_or(false),
        Ok(found) => found.file && found.size == 0,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Returns the target of a symbolic link.
pub fn read_link(path: &str) -> io::Result<String> {
    Ok(std::fs::read_link(path)?.to_string_lossy().into_owned())
}

/// Lists the names in a directory.
pub fn list(path: &str) -> io::Result<Vec<String>> {
    Ok(dir::names(path)?.iter().map(|name| name.to_string_lossy().into_owned()).gather())
}

/// Finds set-user-id and set-group-id files below these paths. Does not cross mount points or follow links; a missing
/// path counts as empty. An error includes the directory that could not be read.
pub fn set_id_files(paths: &[String]) -> Result<Vec<String>, (String, io::Error)> {
    let mut found = Vec::new();
    for path in paths {
        let Ok(top) = std::fs::metadata(path) else { continue };
        let mut directories = vec![std::path::PathBuf::from(path)];
        while let Some(directory) = directories.pop() {
            let unread = |error| (directory.to_string_lossy().into_owned(), error);
            for name in dir::names(&directory).map_err(unread)? {
                let path = directory.join(name);
                let Ok(data) = std::fs::symlink_metadata(&path) else { continue };
                if data.dev() != top.dev() {
                    continue;
                }
                if data.is_dir() {
                    directories.push(path);
                } else if data.is_file() && data.mode() & 0o6000 != 0 && data.mode() & 0o111 != 0 {
                    found.push(path.to_string_lossy().into_owned());
                }
            }
        }
    }
    crate::text::sort::sort(&mut found);
    Ok(found)
}

/// Returns the SHA-256 of a file in hexadecimal.
pub fn sha256(path: &str) -> io::Result<String> {
    super::digest::sha256(&mut open(path)?)
}

/// Returns the path with links and dots resolved.
pub fn real_path(path: &str) -> io::Result<String> {
    Ok(std::fs::canonicalize(path)?.to_string_lossy().into_owned())
}

/// Asks the kernel whether this process, with its current ids and capabilities, may access a path. EACCES: denied by
/// the mode, EROFS: read-only mount. Changes nothing.
pub fn access(path: &str, access: Access) -> io::Result<()> {
    let mode = match access {
        Access::Read => libc::R_OK,
        Access::Write => libc::W_OK,
        Access::Execute => libc::X_OK,
    };
    let path = std::ffi::CString::new(path)?;
    let (call, older, here) = (libc::SYS_faccessat2, libc::SYS_faccessat, libc::AT_FDCWD);
    // SAFETY: a string that outlives the call, and integers.
    let answer = unsafe { libc::syscall(call, here, path.as_ptr(), mode, libc::AT_EACCESS) };
    let answer = match Errno::result(answer) {
        // faccessat2 is unknown before Linux 5.8 and blocked by engines that do not know it; C libraries return that
        // error. The older call uses the real ids, which equal the effective ones here.
        Err(Errno::ENOSYS | Errno::EPERM | Errno::EINVAL) => {
            // SAFETY: as above.
            Errno::result(unsafe { libc::syscall(older, here, path.as_ptr(), mode) })
        }
        answer => answer,
    };
    Ok(answer.map(drop)?)
}

/// Returns the space on the file system of a path.
pub fn space(path: &str) -> io::Result<Space> {
    let data = nix::sys::statvfs::statvfs(path)?;
    // The types differ between C libraries.
    #[allow(clippy::useless_conversion)]
    let (unit, free, size) =
        (u64::from(data.fragment_size()), u64::from(data.blocks_available()), u64::from(data.blocks()));
    // See above.
    #[allow(clippy::useless_conversion)]
    let (free_inodes, inodes) = (u64::from(data.files_available()), u64::from(data.files()));
    Ok(Space { free: free.saturating_mul(unit), size: size.saturating_mul(unit), free_inodes, inodes })
}

fn open(path: &str) -> io::Result<std::fs::File> {
    std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// Reads a file; more than `limit` bytes are an error.
pub fn read(path: &str, limit: u64) -> io::Result<Vec<u8>> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let bytes = super::files::slurp(path, limit)?;
    if bytes.len() > limit {
        return Err(io::Error::from_raw_os_error(libc::EFBIG));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::stat::*;

    #[test]
    fn the_kernel_answers() {
        assert!(stat("/").expect("root").dir);
        assert!(access("/", Access::Read).is_ok());
        assert_eq!(access("/nowhere", Access::Read).expect_err("none").raw_os_error(), Some(libc::ENOENT));
        assert!(space("/").expect("statvfs").size > 0);
        assert_eq!(real_path("/proc/../proc/./sys").expect("path"), "/proc/sys");
    }

    #[test]
    fn a_directory_that_cannot_be_read_is_named() {
        let (directory, error) = set_id_files(&["/proc/self/status".into()]).expect_err("no directory");
        assert_eq!((directory.as_str(), error.raw_os_error()), ("/proc/self/status", Some(libc::ENOTDIR)));
    }

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        assert!(read("/proc/self/status", 1 << 20).expect("status").starts_with(b"Name:"));
        assert_eq!(read("/proc/self/status", 3).expect_err("long").raw_os_error(), Some(libc::EFBIG));
    }
}
