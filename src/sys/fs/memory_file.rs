//! A file for one child that is in no directory: a memfd(2), which the child opens as `/proc/self/fd/N`. Works on a
//! read-only root, and reading it does not depend on any file system.

use crate::sys::Errno;
use crate::text::template::fill;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

/// The lowest descriptor to use: scripts use lower ones themselves (`exec 3>&1`), and shells use free ones.
const MIN_FD: RawFd = 10;

/// See the module documentation.
#[derive(Debug)]
pub struct MemoryFile {
    fd: OwnedFd,
}

impl MemoryFile {
    /// Creates an empty file that only this user and group may open. Close-on-exec; writes append.
    pub fn new(owner: Option<(u32, u32)>) -> Result<Self, Errno> {
        // SAFETY: a name, and new descriptors that are owned from here on.
        let fd = unsafe {
            let made = Errno::result(libc::memfd_create(c"rinit-env".as_ptr(), libc::MFD_CLOEXEC))?;
            let made = OwnedFd::from_raw_fd(made);
            let high = libc::fcntl(made.as_raw_fd(), libc::F_DUPFD_CLOEXEC, MIN_FD);
            OwnedFd::from_raw_fd(Errno::result(high)?)
        };
        // SAFETY: flags, owner and mode of a file of ours.
        unsafe {
            libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, libc::O_APPEND);
            let given = owner.is_none_or(|(user, group)| libc::fchown(fd.as_raw_fd(), user, group) == 0);
            // Without the right to chown, let everybody open it: only a process with the descriptor can reach it.
            libc::fchmod(fd.as_raw_fd(), if given { 0o600 } else { 0o666 });
        }
        Ok(Self { fd })
    }

    /// Returns its descriptor, which has the same number in the child.
    #[must_use]
    pub fn raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Returns its path, for a process that has the descriptor.
    #[must_use]
    pub fn path(&self) -> String {
        fill!("/proc/self/fd/{}", &self.raw_fd().to_string())
    }

    /// Returns its size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        // SAFETY: zero is valid for this structure, which the kernel fills.
        unsafe {
            let mut found: libc::stat = std::mem::zeroed();
            libc::fstat(self.raw_fd(), &raw mut found);
            found.st_size.cast_unsigned()
        }
    }

    /// Reads its first bytes, up to `most`.
    #[must_use]
    pub fn read(&self, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; most.min(usize::try_from(self.size()).unwrap_or(most))];
        let mut count = 0;
        while let Some(rest) = bytes.get_mut(count..).filter(|rest| !rest.is_empty()) {
            let at = i64::try_from(count).unwrap_or(i64::MAX);
            // SAFETY: a buffer of ours and its size.
            let read = unsafe { libc::pread(self.raw_fd(), rest.as_mut_ptr().cast(), rest.len(), at) };
            match Errno::result(read) {
                Ok(0) | Err(_) => break,
                Ok(read) => count += read.unsigned_abs(),
            }
        }
        bytes.truncate(count);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    /// A script's `exec 3>&1` would have sent its output there; `>>` and the plain descriptor both append.
    #[test]
    fn what_is_written_by_path_and_by_descriptor_follows_each_other() {
        let file = MemoryFile::new(None).expect("a file");
        assert!(file.raw_fd() >= MIN_FD);
        let open = || std::fs::OpenOptions::new().append(true).create(true).open(file.path());
        open().expect("opens").write_all(b"A=1\n").expect("writes");
        crate::sys::stdio::write_all(file.raw_fd(), b"B=2\n");
        open().expect("opens").write_all(b"C=3\n").expect("writes");
        assert_eq!((file.size(), file.read(99)), (12, b"A=1\nB=2\nC=3\n".to_vec()));
        assert_eq!(file.read(5), b"A=1\nB");
    }
}
