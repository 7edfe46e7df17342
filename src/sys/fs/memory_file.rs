//! A file of a child's own that no directory holds: a memfd(2), which the child opens by its descriptor
//! (`/proc/self/fd/N`). It is there on a read-only root, and to look into it asks no file system.

use crate::sys::Errno;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

/// Its descriptor is at least this: scripts name those below (`exec 3>&1`), and shells put their own at free ones.
const MIN_FD: RawFd = 10;

/// See the module.
#[derive(Debug)]
pub struct MemoryFile {
    fd: OwnedFd,
}

impl MemoryFile {
    /// An empty one that this user and group alone may open. Closed on exec; what is written goes to its end.
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
            // Who may not give it away opens it to all who can reach it: they have its descriptor already.
            libc::fchmod(fd.as_raw_fd(), if given { 0o600 } else { 0o666 });
        }
        Ok(Self { fd })
    }

    /// Its number, which the child has it by too.
    #[must_use]
    pub fn raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Its path, for a process that has it as a descriptor.
    #[must_use]
    pub fn path(&self) -> String {
        ["/proc/self/fd/", &self.raw_fd().to_string()].concat()
    }

    /// How many bytes there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        // SAFETY: all zero is a valid value of a plain structure, which the kernel fills.
        unsafe {
            let mut found: libc::stat = std::mem::zeroed();
            libc::fstat(self.raw_fd(), &raw mut found);
            found.st_size.cast_unsigned()
        }
    }

    /// Its first bytes, up to so many.
    #[must_use]
    pub fn read(&self, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; most.min(usize::try_from(self.size()).unwrap_or(most))];
        let mut count = 0;
        while let Some(rest) = bytes.get_mut(count..).filter(|rest| !rest.is_empty()) {
            let at = i64::try_from(count).unwrap_or(i64::MAX);
            // SAFETY: a place of ours and its size.
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

    /// A script's `exec 3>&1` would have put its output there; `>>` and the bare descriptor both append.
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
