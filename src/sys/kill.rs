//! Sending signals: to one process, to a group, to all that is left.

use super::{Errno, procs};
use crate::model::{Pid, Signal};

/// kill(2) on one process.
pub fn process(pid: Pid, signal: Signal) -> Result<(), Errno> {
    raw(pid, i32::from(signal.number()))
}

/// kill(2) on a process group.
pub fn group(leader: Pid, signal: Signal) -> Result<(), Errno> {
    raw(-leader, i32::from(signal.number()))
}

/// Whether a process group has a member, dead ones that nobody reaped included.
#[must_use]
pub fn group_exists(leader: Pid) -> bool {
    raw(-leader, 0) != Err(Errno::ESRCH)
}

fn raw(target: Pid, signal: i32) -> Result<(), Errno> {
    if target == 0 || target == -1 {
        return Err(Errno::EINVAL); // would be rinit's own group, or everybody
    }
    // SAFETY: kill takes no memory.
    Errno::result(unsafe { libc::kill(target, signal) }).map(drop)
}

/// Sends a signal to every process that is left below rinit: as PID 1 to everybody in the namespace,
/// otherwise to every descendant. A child of rinit does it, for kill(-1, SIGKILL) can block on a process
/// in uninterruptible sleep; it is reaped like any other. SIGCONT follows, so that a stopped process can take it.
pub fn everything(signal: Signal) {
    let rinit = super::pid();
    // SAFETY: rinit is single-threaded, so the child may do anything; it only sends signals and ends.
    match unsafe { libc::fork() } {
        0 => {
            send_to_all(rinit, signal);
            // SAFETY: ends the child at once, without exit handlers.
            unsafe { libc::_exit(0) }
        }
        // No process to be had: then rinit does it itself.
        -1 => send_to_all(rinit, signal),
        _ => {}
    }
}

fn send_to_all(rinit: Pid, signal: Signal) {
    let number = i32::from(signal.number());
    if rinit == 1 {
        // SAFETY: kill takes no memory; -1 spares the caller and PID 1.
        unsafe {
            libc::kill(-1, number);
            libc::kill(-1, libc::SIGCONT);
        }
        return;
    }
    let spared = [rinit, super::pid()];
    for pid in procs::descendants(rinit).into_iter().filter(|pid| !spared.contains(pid)) {
        // SAFETY: as above.
        unsafe {
            libc::kill(pid, number);
            libc::kill(pid, libc::SIGCONT);
        }
    }
}
