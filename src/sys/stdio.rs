//! Descriptors 0, 1 and 2, and other inherited descriptors.

use super::process::descriptors;
use super::{Errno, raw};
use crate::text::gather::Gather;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};

/// Opens /dev/null (or else an unconnected socket) for each of 0, 1 and 2 that is closed, so that no other file of
/// rinit or of a child gets that number.
pub fn fill_gaps() {
    let mut set = [0, 1, 2].map(|fd| libc::pollfd { fd, events: 0, revents: 0 });
    // SAFETY: an array of three entries of ours; a zero timeout does not wait.
    let bad = unsafe { libc::poll(set.as_mut_ptr(), 3, 0) };
    if bad <= 0 {
        return;
    }
    for _ in set.iter().filter(|entry| entry.revents & libc::POLLNVAL != 0) {
        // SAFETY: opens the lowest free descriptor, which is the gap; it stays open for the whole run.
        unsafe {
            if libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) < 0 {
                libc::socket(libc::AF_UNIX, libc::SOCK_DGRAM, 0);
            }
        }
    }
}

/// Opens /dev/null for reading and writing, close-on-exec; `None` if there is none.
#[must_use]
pub fn open_null() -> Option<OwnedFd> {
    // SAFETY: a new descriptor, owned from here on.
    unsafe {
        let fd = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        (fd >= 0).then(|| OwnedFd::from_raw_fd(fd))
    }
}

/// Closes every descriptor from 3 on (close_range(2), or one by one). Async-signal-safe.
pub fn close_above_stderr() {
    // SAFETY: rinit owns no descriptor when it calls this; a child has none to lose.
    if unsafe { raw::call(libc::SYS_close_range, &[3, u32::MAX as usize, 0]) }.is_err() {
        descriptors::close_one_by_one(&[]);
    }
}

/// Returns the open descriptors from 3 on.
#[must_use]
pub fn open_above_stderr() -> Vec<RawFd> {
    // SAFETY: takes an integer; a closed descriptor is just an error.
    let open = |fd: &RawFd| unsafe { libc::fcntl(*fd, libc::F_GETFD) } >= 0;
    match super::fs::dir::names("/proc/self/fd") {
        Ok(names) => {
            let mut fds: Vec<RawFd> = names.iter().filter_map(|name| name.to_str()?.parse().ok()).gather();
            // The directory's own descriptor is listed too, but closed by now.
            fds.retain(|fd| *fd > 2 && open(fd));
            fds
        }
        Err(_) => (3..descriptors::highest()).filter(open).gather(),
    }
}

/// Closes inherited descriptors that are no longer needed.
pub fn close(fds: &[RawFd]) {
    for fd in fds {
        // SAFETY: the numbers come from `open_above_stderr`; nothing in rinit owns them.
        unsafe { libc::close(*fd) };
    }
}

/// Writes everything, waiting for the reader; returns whether that worked. For helper processes, which may block.
pub fn write_all(fd: RawFd, bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while !rest.is_empty() {
        // SAFETY: the bytes are borrowed for the call.
        let count = unsafe { libc::write(fd, rest.as_ptr().cast(), rest.len()) };
        match Errno::result(count) {
            Ok(count) => rest = rest.get(count.unsigned_abs()..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
    true
}

/// Returns whether a descriptor is a terminal.
#[must_use]
pub fn is_terminal(fd: RawFd) -> bool {
    // SAFETY: takes an integer.
    unsafe { libc::isatty(fd) == 1 }
}
