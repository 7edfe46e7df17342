//! The only place that reaps: every child, known or orphan (waitpid(2)).

use crate::model::{ExitStatus, Pid, Signal};
use crate::sys::Errno;
use std::os::fd::{FromRawFd as _, OwnedFd};

/// The result of one reap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reaped {
    /// This child has ended.
    Ended(Pid, ExitStatus),
    /// This child was stopped by a signal; it is still alive.
    Stopped(Pid, Signal),
    /// There are children, but none has ended.
    NoneReady,
    /// There are no children.
    NoChildren,
}

/// Reaps one child without waiting.
pub fn next() -> Reaped {
    let mut asked_twice = false;
    loop {
        let mut status = 0;
        // SAFETY: the status is a local variable. nix's wrapper fails for a death by a real-time signal.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG | libc::WUNTRACED) };
        return match pid {
            0 => Reaped::NoneReady,
            -1 if Errno::last() == Errno::EINTR => continue,
            // A bogus error (from a tracer or seccomp filter) must not hide the end of a child: try twice.
            -1 if !std::mem::replace(&mut asked_twice, true) => continue,
            -1 => Reaped::NoChildren,
            pid if libc::WIFSTOPPED(status) => match Signal::from_number(libc::WSTOPSIG(status)) {
                Some(signal) => Reaped::Stopped(pid, signal),
                None => continue,
            },
            pid if libc::WIFSIGNALED(status) => {
                let signal = Signal::from_number(libc::WTERMSIG(status)).unwrap_or(Signal::KILL);
                Reaped::Ended(pid, ExitStatus::Signal(signal))
            }
            pid => Reaped::Ended(
                pid,
                ExitStatus::Code(u8::try_from(libc::WEXITSTATUS(status)).unwrap_or(u8::MAX)),
            ),
        };
    }
}

/// Returns a descriptor that is readable once this process has ended (pidfd_open(2)), whoever reaps it.
pub fn end_of(pid: Pid) -> Result<OwnedFd, Errno> {
    // SAFETY: integers only; a new descriptor, owned from here on, and close-on-exec.
    unsafe {
        let fd = Errno::result(libc::syscall(libc::SYS_pidfd_open, pid, 0))?;
        Ok(OwnedFd::from_raw_fd(i32::try_from(fd).unwrap_or(-1)))
    }
}

/// Peeks at the next zombie (WNOWAIT) while /proc still has its name.
#[must_use]
pub fn peek() -> Option<Pid> {
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the siginfo is ours, zero is valid, and it stays zero if no child has ended.
    let pid = unsafe {
        libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), options);
        info.assume_init().si_pid()
    };
    (pid != 0).then_some(pid)
}

/// Returns whether any child is left, live or zombie. Reaps nothing.
#[must_use]
pub fn any_child() -> bool {
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the siginfo is ours.
    unsafe { libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), options) == 0 }
}
