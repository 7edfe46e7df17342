//! Files as the kernel judges them: who owns them, who may use them, how much room is left.

use super::dir;
use crate::sys::Errno;
use crate::text::gather::Gather;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};

/// What a look at a path tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stat {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits, with set-id and sticky: 0o7777.
    pub mode: u32,
    /// Whether it is a directory.
    pub dir: bool,
    /// Whether it is a regular file.
    pub file: bool,
    /// Whether it is a socket.
    pub socket: bool,
    /// Whether it is a FIFO.
    pub fifo: bool,
    /// Bytes in it.
    pub size: u64,
}

/// What is to be done with a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Read it; list a directory.
    Read,
    /// Write it; make and remove what is in a directory.
    Write,
    /// Run it; enter a directory.
    Execute,
}

/// Room on a file system.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Space {
    /// Bytes that a user without privileges can still write.
    pub free: u64,
    /// Bytes in all.
    pub size: u64,
    /// Files that such a user can still make.
    pub free_inodes: u64,
    /// Files in all; 0 where the file system sets no limit.
    pub inodes: u64,
}

/// Looks at a path; links are followed.
pub fn stat(path: &str) -> io::Result<Stat> {
    let data = std::fs::metadata(path)?;
    let kind = data.file_type();
    Ok(Stat {
        uid: data.uid(),
        gid: data.gid(),
        mode: data.mode() & 0o7777,
        dir: kind.is_dir(),
        file: kind.is_file(),
        socket: kind.is_socket(),
        fifo: kind.is_fifo(),
        size: data.len(),
    })
}

/// Whether nothing is there, or an empty file, or a directory with nothing of anybody's in it.
#[must_use]
pub fn is_empty(path: &str) -> bool {
    match stat(path) {
        Ok(found) if found.dir => dir::is_empty(path).unwrap_or(false),
        Ok(found) => found.file && found.size == 0,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// What a symbolic link says.
pub fn read_link(path: &str) -> io::Result<String> {
    Ok(std::fs::read_link(path)?.to_string_lossy().into_owned())
}

/// The names in a directory.
pub fn list(path: &str) -> io::Result<Vec<String>> {
    Ok(dir::names(path)?.iter().map(|name| name.to_string_lossy().into_owned()).gather())
}

/// The files below these paths that give whoever runs them another user or group. Other file systems that are
/// mounted there are not entered, nor are links followed; a path that does not exist holds none. An error comes
/// with the directory that could not be read.
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

/// The SHA-256 of a file, in hexadecimal.
pub fn sha256(path: &str) -> io::Result<String> {
    super::digest::sha256(&mut open(path)?)
}

/// The path without links and dots.
pub fn real_path(path: &str) -> io::Result<String> {
    Ok(std::fs::canonicalize(path)?.to_string_lossy().into_owned())
}

/// Whether this process, with the ids and capabilities that it has now, may use a path. The kernel's own
/// answer: EACCES by the mode, EROFS on a read-only mount. Nothing is changed.
pub fn access(path: &str, access: Access) -> io::Result<()> {
    let mode = match access {
        Access::Read => libc::R_OK,
        Access::Write => libc::W_OK,
        Access::Execute => libc::X_OK,
    };
    let path = std::ffi::CString::new(path)?;
    let (call, older, here) = (libc::SYS_faccessat2, libc::SYS_faccessat, libc::AT_FDCWD);
    // SAFETY: a string that lives for the call, and numbers.
    let answer = unsafe { libc::syscall(call, here, path.as_ptr(), mode, libc::AT_EACCESS) };
    let answer = match Errno::result(answer) {
        // Before Linux 5.8 it is not known, and an engine that does not know it forbids it, which the C libraries take
        // for the answer. The older call goes by the real ids, which are the effective ones here.
        Err(Errno::ENOSYS | Errno::EPERM | Errno::EINVAL) => {
            // SAFETY: as above.
            Errno::result(unsafe { libc::syscall(older, here, path.as_ptr(), mode) })
        }
        answer => answer,
    };
    Ok(answer.map(drop)?)
}

/// Room on the file system of a path.
pub fn space(path: &str) -> io::Result<Space> {
    let data = nix::sys::statvfs::statvfs(path)?;
    // The types differ between C libraries.
    #[allow(clippy::useless_conversion)]
    let (unit, free, size) =
        (u64::from(data.fragment_size()), u64::from(data.blocks_available()), u64::from(data.blocks()));
    // As above.
    #[allow(clippy::useless_conversion)]
    let (free_inodes, inodes) = (u64::from(data.files_available()), u64::from(data.files()));
    Ok(Space { free: free.saturating_mul(unit), size: size.saturating_mul(unit), free_inodes, inodes })
}

fn open(path: &str) -> io::Result<std::fs::File> {
    std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// The bytes of a file; more than `limit` are an error.
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
