//! A process of rinit's own that is no child like the others: it lives as long as rinit has work for it, and whether
//! children are left does not depend on it.

use crate::model::{ExitStatus, Pid, Signal};
use crate::sys::event::signals;
use crate::sys::{Errno, raw};
use std::os::fd::RawFd;

/// Forks without a signal at its end (clone(2)): wait(2) passes such a child by unless it is asked for by `__WCLONE`. It
/// leads a session of its own, and every signal stays blocked: only KILL ends it.
pub fn fork(job: impl FnOnce() -> u8) -> Result<Pid, Errno> {
    // SAFETY: rinit is single-threaded, and the child has a copy of all its memory, so it may do anything that rinit may.
    match unsafe { raw::call(libc::SYS_clone, &[0, 0, 0, 0, 0]) }? {
        0 => {
            signals::block_all();
            // SAFETY: no arguments.
            unsafe { libc::setsid() };
            let code = job();
            // SAFETY: ends the child at once, without the parent's exit handlers.
            unsafe { libc::_exit(i32::from(code)) }
        }
        pid => Ok(Pid::try_from(pid).unwrap_or(0)),
    }
}

/// Reaps it: at once if it has ended, or with `waits` when it does.
#[must_use]
pub fn reap(pid: Pid, waits: bool) -> Option<ExitStatus> {
    let mut status = 0;
    let flags = libc::__WCLONE | if waits { 0 } else { libc::WNOHANG };
    loop {
        // SAFETY: a child of ours; the status is ours.
        let found = unsafe { libc::waitpid(pid, &raw mut status, flags) };
        return match found {
            0 => None,
            -1 if Errno::last() == Errno::EINTR => continue,
            // There is no such child any more.
            -1 => Some(ExitStatus::Code(0)),
            _ if libc::WIFSIGNALED(status) => {
                Some(ExitStatus::Signal(Signal::from_number(libc::WTERMSIG(status)).unwrap_or(Signal::KILL)))
            }
            _ => Some(ExitStatus::Code(u8::try_from(libc::WEXITSTATUS(status)).unwrap_or(u8::MAX))),
        };
    }
}

/// Gives up what the process needs no longer: where it is root, it is nobody from here on; it has no capabilities, gets
/// none, and nobody may look into it.
pub fn give_up_rights() {
    const NOBODY: usize = 65_534;
    // SAFETY: numbers only; a refusal (a user that is not mapped, rinit not being root) leaves less to give up.
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

/// Closes every descriptor above 2 but these.
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
    // SAFETY: the caller owns nothing in this range that it uses again.
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

    /// Whether children are left does not depend on it: a stop would wait for it in vain.
    #[test]
    fn it_is_reaped_by_its_number_alone() {
        let pid = aside::fork(|| 7).expect("a process");
        // SAFETY: a status of ours; other tests have children too, so only this one is asked for.
        let passed_by = unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
        assert_eq!(passed_by, -1);
        assert_eq!(aside::reap(pid, true), Some(crate::model::ExitStatus::Code(7)));
    }
}
