//! Processes of rinit's own, for whatever may block: a probe, a check that waits. They are reaped like
//! every other child; one that hangs is killed, one that dies has failed, and PID 1 takes no harm.

use crate::model::{Pid, Signal};
use crate::sys::Errno;
use crate::sys::event::{clock, signals};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::time::Duration;

/// Forks. The child leads a session of its own, has nothing blocked or ignored (`ignored` is what rinit was
/// given), runs `job` and ends with the code that it returns.
pub fn fork(ignored: &[Signal], job: impl FnOnce() -> u8) -> Result<Pid, Errno> {
    // SAFETY: rinit is single-threaded, so its child may do anything that rinit may.
    match Errno::result(unsafe { libc::fork() })? {
        0 => {
            // SAFETY: no arguments.
            unsafe { libc::setsid() };
            signals::clean_slate(ignored);
            let code = job();
            // SAFETY: ends the child at once, without the parent's exit handlers.
            unsafe { libc::_exit(i32::from(code)) }
        }
        pid => Ok(pid),
    }
}

/// What a job finds out that may block; `None` where it takes longer than `timeout`, which is what PID 1 waits at most.
pub fn answer(ignored: &[Signal], timeout: Duration, job: &dyn Fn(&mut Vec<u8>)) -> Option<Vec<u8>> {
    let (read, write) = pipe().ok()?;
    let helper = fork(ignored, || {
        let mut found = Vec::new();
        job(&mut found);
        crate::sys::stdio::write_all(write.as_raw_fd(), &found);
        0
    });
    let helper = helper.ok()?;
    drop(write);
    let until = clock::now().after(timeout);
    let mut found = Vec::new();
    loop {
        let left = clock::timespec(until.since(clock::now()));
        let mut set = libc::pollfd { fd: read.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one entry and a time, both ours.
        let ready = unsafe { libc::ppoll(&raw mut set, 1, &raw const left, std::ptr::null()) };
        if ready == 1 && read_some(read.as_raw_fd(), &mut found) == 0 {
            // It is beyond all signals, on the last steps of its exit: this does not wait.
            // SAFETY: a child of ours that nobody else knows; no status is asked for.
            unsafe { libc::waitpid(helper, std::ptr::null_mut(), 0) };
            return Some(found);
        }
        if ready != 1 && clock::now() >= until {
            // It is reaped like any other.
            let _ = super::kill::process(helper, &[Signal::KILL]);
            return None;
        }
    }
}

/// A pipe, both ends closed on exec: the end to read, the end to write.
pub fn pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    let mut ends: [RawFd; 2] = [-1, -1];
    // SAFETY: a place for two descriptors.
    Errno::result(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
    let [read, write] = ends;
    // SAFETY: both are new, and owned from here on.
    Ok(unsafe { (OwnedFd::from_raw_fd(read), OwnedFd::from_raw_fd(write)) })
}

/// Whether something accepts connections at `host:port` within `patience` for each of its addresses.
#[must_use]
pub fn connects(host: &str, port: u16, patience: Duration) -> bool {
    crate::sys::net::resolver::resolve(host).is_ok_and(|found| {
        let mut all = found.addresses.iter().map(|address| SocketAddr::new(*address, port));
        all.any(|address| crate::sys::net::connect(address, patience).is_ok())
    })
}

/// Reads what is there; nothing at the end of the pipe, or on an error.
pub fn read_some(from: RawFd, into: &mut Vec<u8>) -> usize {
    let mut piece = [0u8; 1024];
    loop {
        // SAFETY: a place of ours and its size.
        let count = unsafe { libc::read(from, piece.as_mut_ptr().cast(), piece.len()) };
        match Errno::result(count) {
            Err(Errno::EINTR) => {}
            Err(_) => return 0,
            Ok(count) => {
                let count = count.unsigned_abs();
                into.extend_from_slice(piece.get(..count).unwrap_or_default());
                return count;
            }
        }
    }
}

/// Reads what lies in the pipe of a process that has ended, and no more: another that was left behind may hold it
/// open, or write to it, for ever.
pub fn read_rest(from: RawFd, into: &mut Vec<u8>) {
    let mut left: libc::c_int = 0;
    // SAFETY: the kernel writes one number into a place of ours.
    unsafe { libc::ioctl(from, libc::FIONREAD, &raw mut left) };
    let until = into.len() + usize::try_from(left).unwrap_or(0);
    while into.len() < until && read_some(from, into) > 0 {}
}
