//! Reports of probes.

use super::common::start::now;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::Path;

/// A FIFO where probes report.
pub struct Fifo {
    fd: OwnedFd,
}

/// A report of a probe.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    /// The time, read as its first action.
    pub at: u64,
    /// Its pid in its namespace, or other data.
    pub more: u64,
}

impl Fifo {
    /// Creates one at this path. With `keep` it has no end of file, even without writers.
    pub fn new(path: &Path, keep: bool) -> Self {
        let _ = fs::remove_file(path);
        let name = CString::new(path.to_str().unwrap()).unwrap();
        let how = if keep { libc::O_RDWR } else { libc::O_RDONLY };
        // SAFETY: a string of ours; a new descriptor, owned from here on.
        unsafe {
            assert_eq!(libc::mkfifo(name.as_ptr(), 0o666), 0, "{}", io::Error::last_os_error());
            let fd = libc::open(name.as_ptr(), how | libc::O_NONBLOCK | libc::O_CLOEXEC);
            assert!(fd >= 0, "{}", io::Error::last_os_error());
            libc::fcntl(fd, libc::F_SETPIPE_SZ, 1 << 20);
            Self { fd: OwnedFd::from_raw_fd(fd) }
        }
    }

    /// Creates a pipe; also returns its write end.
    pub fn pipe() -> (Self, OwnedFd) {
        let mut ends = [0; 2];
        // SAFETY: two new descriptors, owned from here on.
        unsafe {
            assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
            libc::fcntl(ends[0], libc::F_SETFL, libc::O_NONBLOCK);
            (Self { fd: OwnedFd::from_raw_fd(ends[0]) }, OwnedFd::from_raw_fd(ends[1]))
        }
    }

    /// Returns the next report, waiting up to `patience` milliseconds.
    pub fn next(&self, patience: u64) -> Option<Mark> {
        let end = now() + patience * 1_000_000;
        loop {
            let mut words = [0u64; 2];
            // SAFETY: 16 bytes of ours.
            let count = unsafe { libc::read(self.fd.as_raw_fd(), words.as_mut_ptr().cast(), 16) };
            if count == 16 {
                return Some(Mark { at: words[0], more: words[1] });
            }
            if now() > end {
                return None;
            }
            if count == 0 {
                // Currently no writer: nothing to poll for.
                std::thread::sleep(std::time::Duration::from_micros(200));
            } else {
                self.poll(end);
            }
        }
    }

    fn poll(&self, end: u64) -> i16 {
        let mut set = libc::pollfd { fd: self.fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let left = (end.saturating_sub(now()) / 1_000_000 + 1).try_into().unwrap();
        // SAFETY: one entry of ours.
        unsafe { libc::poll(&raw mut set, 1, left) };
        set.revents
    }

    /// Waits until no writer is left; returns the time.
    pub fn deserted(&self, patience: u64) -> Option<u64> {
        let end = now() + patience * 1_000_000;
        while now() < end {
            let happened = self.poll(end);
            if happened & libc::POLLIN != 0 {
                self.next(0);
            } else if happened & libc::POLLHUP != 0 {
                return Some(now());
            }
        }
        None
    }
}
