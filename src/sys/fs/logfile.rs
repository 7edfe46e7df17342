//! Log files: opened so that no line is lost when somebody truncates or moves them, and rotated.

use crate::sys::Errno;
use crate::text::template::fill;
use std::ffi::CString;
use std::os::fd::{FromRawFd as _, OwnedFd};

/// Opens or creates a file for appending; only regular files.
pub fn open(path: &str, emptied: bool) -> Result<OwnedFd, Errno> {
    let path = CString::new(path).map_err(|_| Errno::EINVAL)?;
    // O_APPEND: after an external truncation the next line goes to the start. O_NONBLOCK: do not hang on a FIFO.
    let flags =
        libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND | libc::O_CLOEXEC | libc::O_NOCTTY | libc::O_NONBLOCK;
    let flags = if emptied { flags | libc::O_TRUNC } else { flags };
    // SAFETY: a string that outlives the call; the descriptor is new and owned from here on.
    let fd = unsafe { OwnedFd::from_raw_fd(Errno::result(libc::open(path.as_ptr(), flags, 0o644))?) };
    match nix::sys::stat::fstat(&fd)?.st_mode & libc::S_IFMT {
        libc::S_IFREG => Ok(fd),
        _ => Err(Errno::EINVAL),
    }
}

/// Renames `path` to `path.1`, that to `path.2` and so on, up to `max_file` files; returns the new file. An error
/// loses nothing: the current file is renamed last.
pub fn rotate(path: &str, max_file: u32) -> Result<OwnedFd, Errno> {
    let name = |n: u32| if n == 0 { path.to_string() } else { fill!("{}.{}", path, &n.to_string()) };
    for n in (0..max_file.saturating_sub(1)).rev() {
        match nix::fcntl::renameat(
            nix::fcntl::AT_FDCWD,
            name(n).as_str(),
            nix::fcntl::AT_FDCWD,
            name(n + 1).as_str(),
        ) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    open(path, max_file <= 1)
}

/// Returns the current size.
#[must_use]
pub fn size(fd: &OwnedFd) -> u64 {
    nix::sys::stat::fstat(fd).ok().and_then(|stat| u64::try_from(stat.st_size).ok()).unwrap_or(0)
}
