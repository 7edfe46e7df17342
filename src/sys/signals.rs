//! rinit's own signal state: every signal is blocked and taken one at a time by [`super::wait`], so that
//! none can be lost, whatever was ignored or blocked before. What was given is kept for the COMMAND.

use crate::model::Signal;
use std::mem::MaybeUninit;

/// What rinit's parent had blocked, and whether it ignored SIGCHLD.
pub struct Inherited {
    mask: libc::sigset_t,
    child_ignored: bool,
}

/// A set with every signal in it.
pub(super) fn all() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigfillset initialises the whole set.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        set.assume_init()
    }
}

fn none() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the whole set.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        set.assume_init()
    }
}

fn set_disposition(signal: libc::c_int, handler: libc::sighandler_t) -> libc::sighandler_t {
    let mut before = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: both structures are ours and zero is a valid sigaction; the handler is SIG_DFL or SIG_IGN.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        libc::sigaction(signal, &raw const action, before.as_mut_ptr());
        before.assume_init().sa_sigaction
    }
}

/// Blocks every signal and takes SIGCHLD back from a parent that ignored it (an ignored SIGCHLD would
/// let the kernel reap behind rinit's back). A blocked signal is kept even when it is ignored, so nothing
/// else needs a handler. A fault of rinit's own still kills it: the kernel does not let those be blocked.
pub fn take_over() -> Inherited {
    let every = all();
    let mut mask = MaybeUninit::zeroed();
    // SAFETY: both sets are ours; zero is a valid set.
    let mask = unsafe {
        libc::sigprocmask(libc::SIG_SETMASK, &raw const every, mask.as_mut_ptr());
        mask.assume_init()
    };
    let before = set_disposition(libc::SIGCHLD, libc::SIG_DFL);
    Inherited { mask, child_ignored: before == libc::SIG_IGN }
}

/// The signals that are ignored now; a child inherits that through execve(2).
#[must_use]
pub fn ignored() -> Vec<Signal> {
    (1..=64)
        .filter_map(Signal::from_number)
        .filter(|signal| {
            let mut action = MaybeUninit::<libc::sigaction>::zeroed();
            // SAFETY: a query into a structure of ours.
            unsafe {
                libc::sigaction(libc::c_int::from(signal.number()), std::ptr::null(), action.as_mut_ptr())
                    == 0
                    && action.assume_init().sa_sigaction == libc::SIG_IGN
            }
        })
        .collect()
}

/// For a child, right before execve: the signal state that rinit was given. Async-signal-safe.
pub(super) fn restore(inherited: &Inherited) {
    if inherited.child_ignored {
        set_disposition(libc::SIGCHLD, libc::SIG_IGN);
    }
    // SAFETY: sets the calling process's mask from a set of ours.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const inherited.mask, std::ptr::null_mut()) };
}

/// For a child, right before execve: nothing ignored, nothing blocked. Async-signal-safe.
pub(super) fn clean_slate(ignored: &[Signal]) {
    for signal in ignored {
        set_disposition(libc::c_int::from(signal.number()), libc::SIG_DFL);
    }
    let none = none();
    // SAFETY: as in `restore`.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()) };
}

/// Stops rinit itself, as a shell expects of a job whose process has stopped.
pub fn stop_self() {
    let _ = signal_hook::low_level::raise(signal_hook::consts::SIGSTOP);
}
