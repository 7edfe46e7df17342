//! Helper processes of rinit that do not count as children: they live as long as rinit needs them, and the check
//! whether any child is left ignores them.

use crate::model::{ExitStatus, Pid, Signal};
use crate::sys::event::signals;
use crate::sys::{Errno, raw};
use std::os::fd::RawFd;

/// Forks without an exit signal (clone(2)): wait(2) ignores such a child unless called with `__WCLONE`. The child
/// leads its own session and keeps every signal blocked: only KILL ends it.
pub fn fork(job: impl FnOnce() -> u8) -> Result<Pid, Errno> {
    // SAFETY: rinit is single-threaded and the child has a copy of all its memory, so it may run any code.
    match unsafe { raw::call(libc::SYS_clone, &[0, 0, 0, 0, 0]) }? {
        0 => {
            signals::block_all();
            // SAFETY: no arguments.
            unsafe { libc::setsid() };
            let code = job();
            // SAFETY: ends the child at once, without running the parent's exit handlers.
            unsafe { libc::_exit(i32::from(code)) }
        }
        pid => Ok(Pid::try_from(pid).unwrap_or(0)),
    }
}

/// Reaps such a child if it has ended; with `waits`, blocks until it has.
#[must_use]
pub fn reap(pid: Pid, waits: bool) -> Option<ExitStatus> {
    let mut status = 0;
    let flags = libc::__WCLONE | if waits { 0 } else { libc::WNOHANG };
    loop {
        // SAFETY: a child of ours; the status is a local variable.
        let found = unsafe { libc::waitpid(pid, &raw mut status, flags) };
        return match found {
            0 => None,
            -1 if Errno::last() == Errno::EINTR => continue,
            // No such child any more.
            -1 => Some(ExitStatus::Code(0)),
            _ if libc::WIFSIGNALED(status) => {
                Some(ExitStatus::Signal(Signal::from_number(libc::WTERMSIG(status)).unwrap_or(Signal::KILL)))
            }
            _ => Some(ExitStatus::Code(u8::try_from(libc::WEXITSTATUS(status)).unwrap_or(u8::MAX))),
        };
    }
}

/// Drops all privileges: root becomes nobody; no capabilities, no new ones (no_new_privs), not dumpable.
pub fn give_up_rights() {
    const NOBODY: usize = 65_534;
    // SAFETY: integers only; a failure (uid not mapped, not root) means that there is less to drop.
    unsafe {
        if libc::geteuid() == 0 {
            let _ = raw::call(libc::SYS_setgroups, &[0, 0]);
            let _ = raw::call(libc::SYS_setresgid, &[NOBODY, NOBODY, NOBODY]);
            let _ = raw::call(libc::SYS_setresuid, &[NOBODY, NOBODY, NOBODY]);
        }
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
    }
    let _ = super::caps::drop_all();
}

/// Closes every descriptor above 2 except these.
pub fn keep_only(fds: &mut [RawFd]) {
    crate::text::sort::sort_by_key(fds, |fd| *fd);
    let mut from = 3;
    for fd in fds.iter().copied().filter(|fd| *fd > 2) {
        close_range(from, fd - 1);
        from = fd + 1;
    }
    close_range(from, RawFd::MAX);
}

fn close_range(from: RawFd, to: RawFd) {
    if from > to {
        return;
    }
    // SAFETY: the caller owns nothing in this range that it will use again.
    let done = unsafe { raw::call(libc::SYS_close_range, &[raw::number(from), raw::number(to), 0]) };
    if done.is_err() {
        for fd in from..=to.min(super::descriptors::highest()) {
            // SAFETY: as above.
            unsafe { libc::close(fd) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::aside;

    /// Such a helper must not count as a child: a stop would wait for it forever.
    #[test]
    fn it_is_reaped_by_its_number_alone() {
        let pid = aside::fork(|| 7).expect("a process");
        // SAFETY: a status of ours; other tests have children too, so wait for this pid only.
        let passed_by = unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
        assert_eq!(passed_by, -1);
        assert_eq!(aside::reap(pid, true), Some(crate::model::ExitStatus::Code(7)));
    }
}
