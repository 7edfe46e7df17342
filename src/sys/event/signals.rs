//! rinit's own signal state: every signal is blocked and taken one at a time by [`super::poll`], so that
//! none can be lost, whatever was ignored or blocked before. What was given is kept for the COMMAND.

use crate::model::{Pid, Signal};
use crate::sys::raw;
use crate::text::gather::Gather;
use std::mem::MaybeUninit;

/// A set of signals as the kernel has it, one bit each. Not the C library's: musl keeps the signals 32 to 34
/// to itself and leaves them out of every set, but they can be sent to rinit like all others.
pub(in crate::sys) type SignalSet = u64;

/// Every signal. (The kernel leaves KILL and STOP out by itself.)
pub(in crate::sys) static ALL: SignalSet = SignalSet::MAX;
/// No signal.
const NONE: SignalSet = 0;
/// What the kernel wants to be told with each set.
pub(in crate::sys) const SET_SIZE: usize = size_of::<SignalSet>();

/// What rinit's parent had blocked, and whether it ignored SIGCHLD.
#[derive(Clone, Copy)]
pub struct Inherited {
    mask: SignalSet,
    child_ignored: bool,
}

/// `struct sigaction` as the kernel has it, whose first word is the handler on every 64-bit machine, with
/// room for what follows it.
type KernelAction = [usize; 8];

/// Sets the mask of blocked signals; the one before. Async-signal-safe. What refuses it once (a filter of system
/// calls, a tracer) is asked again: rinit hears nothing of signals that are not blocked.
fn set_mask(mask: SignalSet) -> SignalSet {
    let mut before: SignalSet = 0;
    for _ in 0..2 {
        let how = raw::number(libc::SIG_SETMASK);
        let arguments = [how, raw::address(&raw const mask), raw::address(&raw mut before), SET_SIZE];
        // SAFETY: both sets are ours and as large as is said.
        if unsafe { raw::call(libc::SYS_rt_sigprocmask, &arguments) }.is_ok() {
            break;
        }
    }
    before
}

/// The handler of a signal, an address or `SIG_DFL`, `SIG_IGN`; set to another one if one is given. Async-signal-safe.
fn disposition(signal: u8, set_to: Option<libc::sighandler_t>) -> libc::sighandler_t {
    let action: KernelAction = [set_to.unwrap_or(0), 0, 0, 0, 0, 0, 0, 0];
    let new = set_to.map_or(std::ptr::null(), |_| action.as_ptr());
    let mut before: KernelAction = [0; 8];
    let arguments = [usize::from(signal), raw::address(new), raw::address(&raw mut before), SET_SIZE];
    // SAFETY: both are at least as large as the kernel's structure, and a handler of rinit's making is SIG_DFL or
    // SIG_IGN, for which no other field matters.
    let _ = unsafe { raw::call(libc::SYS_rt_sigaction, &arguments) };
    let [handler, ..] = before;
    handler
}

/// Blocks every signal and takes SIGCHLD back from a parent that ignored it (an ignored SIGCHLD would
/// let the kernel reap behind rinit's back). A blocked signal is kept even when it is ignored, so nothing
/// else needs a handler. A fault of rinit's own still kills it: the kernel does not let those be blocked.
pub fn take_over() -> Inherited {
    let mask = set_mask(ALL);
    let before = disposition(Signal::CHLD.number(), Some(libc::SIG_DFL));
    Inherited { mask, child_ignored: before == libc::SIG_IGN }
}

/// Blocks every signal, for a process of rinit's own that only KILL is to end.
pub(in crate::sys) fn block_all() {
    set_mask(ALL);
}

/// Forgets what was given: nothing is blocked and nothing ignored for the child (as dumb-init's is).
pub fn forget(inherited: &mut Inherited) {
    *inherited = Inherited { mask: NONE, child_ignored: false };
    for signal in 1..=31 {
        disposition(signal, Some(libc::SIG_DFL));
    }
}

/// For rinit in the moment before it becomes the program: Ctrl-Z is swallowed (execve puts the default back), for it
/// would stop a process that nobody knows yet.
pub(in crate::sys) fn outlast_terminal_stop() {
    extern "C" fn nothing(_: libc::c_int) {}
    if disposition(Signal::TSTP.number(), None) != libc::SIG_DFL {
        return;
    }
    // SAFETY: zero is valid; the handler does nothing, and lives in memory that the child shares.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as *const () as libc::sighandler_t;
        libc::sigaction(libc::SIGTSTP, &raw const action, std::ptr::null_mut());
    }
}

fn set_of(signals: &[Signal]) -> SignalSet {
    signals.iter().fold(NONE, |set, signal| set | 1 << (signal.number() - 1))
}

/// What a signal runs that is not blocked.
pub(in crate::sys) type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// Runs `job` with this one signal let through to `handler`, which interrupts a system call; what was is put back.
pub(in crate::sys) fn with_handler<T>(signal: Signal, handler: Handler, job: impl FnOnce() -> T) -> T {
    let number = libc::c_int::from(signal.number());
    // SAFETY: zero is valid for both; the handler is async-signal-safe by its type's promise, and lives for ever.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        let mut before: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_SIGINFO;
        libc::sigaction(number, &raw const action, &raw mut before);
        let mask = set_mask(ALL & !set_of(&[signal]));
        let result = job();
        set_mask(mask);
        libc::sigaction(number, &raw const before, std::ptr::null_mut());
        result
    }
}

/// Whether one of these signals waits to be taken.
#[must_use]
pub(in crate::sys) fn is_pending(signals: &[Signal]) -> bool {
    let mut pending: SignalSet = NONE;
    // SAFETY: a set of ours, as large as is said.
    unsafe { libc::syscall(libc::SYS_rt_sigpending, &raw mut pending, SET_SIZE) };
    pending & set_of(signals) != NONE
}

/// Throws away what is pending of these signals.
pub(in crate::sys) fn drop_pending(signals: &[Signal]) {
    let set = set_of(signals);
    let now = super::clock::timespec(std::time::Duration::ZERO);
    // SAFETY: the set and the time are ours; nobody asks for the details.
    while unsafe {
        libc::syscall(libc::SYS_rt_sigtimedwait, &raw const set, 0usize, &raw const now, SET_SIZE)
    } > 0
    {}
}

/// Makes a signal that was taken pending again, as from who had sent it (`None`: the kernel).
pub fn put_back(signal: Signal, sender: Option<Pid>) {
    // siginfo_t: number, errno, code, padding, the sender's pid and uid.
    let number = i32::from(signal.number());
    let code = if sender.is_some() { libc::SI_USER } else { libc::SI_KERNEL };
    let mut info = [0i32; 32];
    let [its_number, _, its_code, _, its_sender, ..] = &mut info;
    (*its_number, *its_code, *its_sender) = (number, code, sender.unwrap_or(0));
    // SAFETY: numbers, and a structure of ours that is as large as the kernel's; a process may say so of itself.
    unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, libc::getpid(), number, info.as_ptr()) };
}

/// The signals that are ignored now; a child inherits that through execve(2).
#[must_use]
pub fn ignored() -> Vec<Signal> {
    let is_ignored = |signal: &Signal| disposition(signal.number(), None) == libc::SIG_IGN;
    (1..=64).filter_map(Signal::from_number).filter(is_ignored).gather()
}

/// For a child, right before execve: the signal state that rinit was given. Async-signal-safe.
pub(in crate::sys) fn restore(inherited: &Inherited) {
    if inherited.child_ignored {
        disposition(Signal::CHLD.number(), Some(libc::SIG_IGN));
    }
    set_mask(inherited.mask);
}

/// For rinit where it is no init but a client of one: what it was given holds for itself.
pub fn give_back(inherited: &Inherited) {
    restore(inherited);
}

/// For a child, right before execve: nothing ignored, nothing blocked. Async-signal-safe.
pub(in crate::sys) fn clean_slate(ignored: &[Signal]) {
    for signal in ignored {
        disposition(signal.number(), Some(libc::SIG_DFL));
    }
    set_mask(NONE);
}

/// Takes one pending signal of `set`, waiting for one until `left` has passed (rt_sigtimedwait(2)).
pub(in crate::sys) fn take_one(
    set: SignalSet,
    left: Option<std::time::Duration>,
) -> Option<(Signal, libc::siginfo_t)> {
    let timeout = left.map(super::clock::timespec);
    let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: the set, the timeout and the siginfo are ours.
    let number = unsafe {
        libc::syscall(libc::SYS_rt_sigtimedwait, &raw const set, info.as_mut_ptr(), timeout, SET_SIZE)
    };
    let signal = Signal::from_number(i32::try_from(number).ok()?)?;
    // SAFETY: zero was valid, and the kernel has filled it.
    Some((signal, unsafe { info.assume_init() }))
}

/// A descriptor that polls readable while a signal is pending (signalfd(2)).
pub(in crate::sys) fn descriptor() -> Option<std::os::fd::OwnedFd> {
    use std::os::fd::FromRawFd as _;
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: a new descriptor for a set of ours, owned from here on.
    unsafe {
        let fd = libc::syscall(libc::SYS_signalfd4, -1, &raw const ALL, SET_SIZE, flags);
        i32::try_from(fd).ok().filter(|fd| *fd >= 0).map(|fd| std::os::fd::OwnedFd::from_raw_fd(fd))
    }
}

/// A signal in words, as strsignal(3) has them: `User defined signal 1`.
#[must_use]
pub fn description(signal: Signal) -> &'static str {
    // SAFETY: the answer is a C string of the C library's, which only another call may change, and nobody calls it
    // in a thread of its own.
    let text = unsafe { libc::strsignal(libc::c_int::from(signal.number())) };
    if text.is_null() {
        return "";
    }
    // SAFETY: not null, and ends in NUL.
    unsafe { std::ffi::CStr::from_ptr(text) }.to_str().unwrap_or("")
}

/// Stops rinit itself, as a shell expects of a job whose process has stopped.
pub fn stop_self() {
    let _ = signal_hook::low_level::raise(signal_hook::consts::SIGSTOP);
}
