//! Helper processes for work that may block: probes, checks that wait. They are reaped like every other child; if one
//! hangs it is killed, if one crashes its job has failed, and PID 1 is not affected.

use super::credentials::{self, Identity};
use crate::model::{Pid, Signal};
use crate::sys::Errno;
use crate::sys::event::{clock, signals};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::time::Duration;

/// Forks a helper that leads its own session with all signals unblocked and at their defaults (`ignored` are those
/// that rinit inherited as ignored). It runs `job` and exits with the code returned.
pub fn fork(ignored: &[Signal], job: impl FnOnce() -> u8) -> Result<Pid, Errno> {
    // SAFETY: rinit is single-threaded, so its child may run any code.
    match Errno::result(unsafe { libc::fork() })? {
        0 => {
            // SAFETY: numbers alone. Whoever works for rinit does not go on without it, where rinit is not PID 1.
            unsafe {
                libc::setsid();
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
            }
            signals::clean_slate(ignored);
            let code = job();
            // SAFETY: ends the child at once, without running the parent's exit handlers.
            unsafe { libc::_exit(i32::from(code)) }
        }
        pid => Ok(pid),
    }
}

/// Runs a job that may block in a helper and returns its output; `None` if it takes longer than `timeout`. PID 1 waits
/// no longer than that.
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
        // SAFETY: one entry and a timeout, both ours.
        let ready = unsafe { libc::ppoll(&raw mut set, 1, &raw const left, std::ptr::null()) };
        if ready == 1 && read_some(read.as_raw_fd(), &mut found) == 0 {
            // The helper is past all signals, in the last steps of its exit: this does not block.
            // SAFETY: a child of ours that no other code knows; no status is requested.
            unsafe { libc::waitpid(helper, std::ptr::null_mut(), 0) };
            return Some(found);
        }
        if ready != 1 && clock::now() >= until {
            // Reaped like any other child.
            let _ = super::kill::process(helper, &[Signal::KILL]);
            return None;
        }
    }
}

/// Runs `job` as another user, in a process of its own, and waits for the code that it returns. `None`: this process may
/// not become that user. For helpers alone: PID 1 waits for nobody.
#[must_use]
pub fn run_as(who: &Identity, job: &dyn Fn() -> u8) -> Option<u8> {
    const NOBODY: u8 = 255;
    let child = fork(&[], || credentials::switch_to(who, false).map_or(NOBODY, |()| job())).ok()?;
    let mut status = 0;
    loop {
        // SAFETY: a child of ours; the status is ours.
        match unsafe { libc::waitpid(child, &raw mut status, 0) } {
            -1 if Errno::last() == Errno::EINTR => {}
            -1 => return None,
            _ if libc::WIFEXITED(status) => break,
            _ => return None,
        }
    }
    u8::try_from(libc::WEXITSTATUS(status)).ok().filter(|code| *code != NOBODY)
}

/// Creates a pipe with both ends close-on-exec: the read end, the write end.
pub fn pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    let mut ends: [RawFd; 2] = [-1, -1];
    // SAFETY: an array for two descriptors.
    Errno::result(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
    let [read, write] = ends;
    // SAFETY: both are new and owned from here on.
    Ok(unsafe { (OwnedFd::from_raw_fd(read), OwnedFd::from_raw_fd(write)) })
}

/// Returns whether a connection to any address of `host:port` succeeds, waiting up to `patience` for each.
#[must_use]
pub fn connects(host: &str, port: u16, patience: Duration) -> bool {
    crate::sys::net::resolver::resolve(host).is_ok_and(|found| {
        let mut all = found.addresses.iter().map(|address| SocketAddr::new(*address, port));
        all.any(|address| crate::sys::net::connect(address, patience).is_ok())
    })
}

/// Reads what is available; returns 0 at the end of the pipe or on an error.
pub fn read_some(from: RawFd, into: &mut Vec<u8>) -> usize {
    let mut piece = [0u8; 1024];
    loop {
        // SAFETY: a buffer of ours and its size.
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

/// Reads what is in the pipe of a process that has ended, and no more: a process that it left behind may hold the pipe
/// open, or write to it, forever.
pub fn read_rest(from: RawFd, into: &mut Vec<u8>) {
    let mut left: libc::c_int = 0;
    // SAFETY: the kernel writes one integer of ours.
    unsafe { libc::ioctl(from, libc::FIONREAD, &raw mut left) };
    let until = into.len() + usize::try_from(left).unwrap_or(0);
    while into.len() < until && read_some(from, into) > 0 {}
}
