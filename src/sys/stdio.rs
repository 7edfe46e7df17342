//! Descriptors 0, 1 and 2, and the descriptors rinit was given besides.

use super::process::descriptors;
use super::{Errno, raw};
use crate::text::gather::Gather;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};

/// Opens /dev/null (or, without it, an unconnected socket) on each of 0, 1 and 2 that is closed, so that no
/// file of ours, or of a child's, lands there.
pub fn fill_gaps() {
    let mut set = [0, 1, 2].map(|fd| libc::pollfd { fd, events: 0, revents: 0 });
    // SAFETY: a list of three entries of ours; no time is spent waiting.
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

/// /dev/null, for reading and writing, closed on exec; `None` where there is none.
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
    // SAFETY: rinit keeps no owned descriptor when it calls this; a child has none at all to lose.
    if unsafe { raw::call(libc::SYS_close_range, &[3, u32::MAX as usize, 0]) }.is_err() {
        descriptors::close_one_by_one(-1);
    }
}

/// The descriptors from 3 on that are open now.
#[must_use]
pub fn open_above_stderr() -> Vec<RawFd> {
    // SAFETY: a query on a number; a closed descriptor is an error, not a fault.
    let open = |fd: &RawFd| unsafe { libc::fcntl(*fd, libc::F_GETFD) } >= 0;
    match super::fs::dir::names("/proc/self/fd") {
        Ok(names) => {
            let mut fds: Vec<RawFd> = names.iter().filter_map(|name| name.to_str()?.parse().ok()).gather();
            // The directory's own descriptor is among them, and closed by now.
            fds.retain(|fd| *fd > 2 && open(fd));
            fds
        }
        Err(_) => (3..descriptors::highest()).filter(open).gather(),
    }
}

/// Closes descriptors that were given to rinit and are nobody's any more.
pub fn close(fds: &[RawFd]) {
    for fd in fds {
        // SAFETY: the caller has them from `open_above_stderr`; no owner in rinit has these numbers.
        unsafe { libc::close(*fd) };
    }
}

/// Writes all of it, waiting for the reader: for a helper process, which may wait. Whether all was written.
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

/// Whether a descriptor is a terminal.
#[must_use]
pub fn is_terminal(fd: RawFd) -> bool {
    // SAFETY: a query on a number.
    unsafe { libc::isatty(fd) == 1 }
}
