//! rinit's own signal state: every signal is blocked and taken one at a time by [`super::poll`], so that none is lost,
//! whatever was ignored or blocked before. The inherited state is kept for the COMMAND.

use crate::model::{Pid, Signal};
use crate::sys::raw;
use crate::text::gather::Gather;
use std::mem::MaybeUninit;

/// A signal set in the kernel's format, one bit per signal. Not the C library's: musl reserves signals 32 to 34 and
/// removes them from every set, but they can be sent to rinit like all others.
pub(in crate::sys) type SignalSet = u64;

/// Every signal. (The kernel ignores KILL and STOP in it.)
pub(in crate::sys) static ALL: SignalSet = SignalSet::MAX;
/// No signal.
const NONE: SignalSet = 0;
/// The size that the kernel wants with each set.
pub(in crate::sys) const SET_SIZE: usize = size_of::<SignalSet>();

/// The inherited mask, and whether SIGCHLD was ignored.
#[derive(Clone, Copy)]
pub struct Inherited {
    mask: SignalSet,
    child_ignored: bool,
}

/// The kernel's `struct sigaction`: its first word is the handler on every 64-bit machine; with room for the other
/// fields.
type KernelAction = [usize; 8];

/// Sets the signal mask; returns the previous one. Async-signal-safe. Retries once if it is refused (by a seccomp
/// filter or tracer): rinit would miss signals that are not blocked.
fn set_mask(mask: SignalSet) -> SignalSet {
    let mut before: SignalSet = 0;
    for _ in 0..2 {
        let how = raw::number(libc::SIG_SETMASK);
        let arguments = [how, raw::address(&raw const mask), raw::address(&raw mut before), SET_SIZE];
        // SAFETY: both sets are ours and of the given size.
        if unsafe { raw::call(libc::SYS_rt_sigprocmask, &arguments) }.is_ok() {
            break;
        }
    }
    before
}

/// Returns the handler of a signal (an address, `SIG_DFL` or `SIG_IGN`); optionally sets a new one. Async-signal-safe.
fn disposition(signal: u8, set_to: Option<libc::sighandler_t>) -> libc::sighandler_t {
    let action: KernelAction = [set_to.unwrap_or(0), 0, 0, 0, 0, 0, 0, 0];
    let new = set_to.map_or(std::ptr::null(), |_| action.as_ptr());
    let mut before: KernelAction = [0; 8];
    let arguments = [usize::from(signal), raw::address(new), raw::address(&raw mut before), SET_SIZE];
    // SAFETY: both are at least as large as the kernel's structure, and the handlers set here are SIG_DFL or SIG_IGN,
    // which need no other field.
    let _ = unsafe { raw::call(libc::SYS_rt_sigaction, &arguments) };
    let [handler, ..] = before;
    handler
}

/// Blocks every signal and resets SIGCHLD if the parent ignored it (otherwise the kernel would reap children by
/// itself). A blocked signal stays pending even if it is ignored, so no other handlers are needed. A crash of rinit
/// still kills it: the kernel does not block synchronous faults.
pub fn take_over() -> Inherited {
    let mask = set_mask(ALL);
    let before = disposition(Signal::CHLD.number(), Some(libc::SIG_DFL));
    Inherited { mask, child_ignored: before == libc::SIG_IGN }
}

/// Blocks every signal, in a helper that only KILL may end.
pub fn block_all() {
    set_mask(ALL);
}

/// Resets the inherited state: nothing blocked or ignored for the child (as dumb-init does).
pub fn forget(inherited: &mut Inherited) {
    *inherited = Inherited { mask: NONE, child_ignored: false };
    for signal in 1..=31 {
        disposition(signal, Some(libc::SIG_DFL));
    }
}

/// For rinit just before it executes the program: ignores Ctrl-Z, which would stop a process that nobody knows yet.
/// Execve restores the default.
pub(in crate::sys) fn outlast_terminal_stop() {
    extern "C" fn nothing(_: libc::c_int) {}
    if disposition(Signal::TSTP.number(), None) != libc::SIG_DFL {
        return;
    }
    // SAFETY: zero is valid; the handler does nothing, and its code is in memory that the child shares.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as *const () as libc::sighandler_t;
        libc::sigaction(libc::SIGTSTP, &raw const action, std::ptr::null_mut());
    }
}

fn set_of(signals: &[Signal]) -> SignalSet {
    signals.iter().fold(NONE, |set, signal| set | 1 << (signal.number() - 1))
}

/// A signal handler with siginfo.
pub(in crate::sys) type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

/// Runs `job` with this one signal unblocked and handled by `handler`, which interrupts system calls; then restores
/// both.
pub(in crate::sys) fn with_handler<T>(signal: Signal, handler: Handler, job: impl FnOnce() -> T) -> T {
    let number = libc::c_int::from(signal.number());
    // SAFETY: zero is valid for both; the handler is async-signal-safe by its type's contract and lives forever.
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

/// Returns whether any of these signals is pending.
#[must_use]
pub(in crate::sys) fn is_pending(signals: &[Signal]) -> bool {
    let mut pending: SignalSet = NONE;
    // SAFETY: a set of ours, of the given size.
    unsafe { libc::syscall(libc::SYS_rt_sigpending, &raw mut pending, SET_SIZE) };
    pending & set_of(signals) != NONE
}

/// Discards pending signals of this set.
pub(in crate::sys) fn drop_pending(signals: &[Signal]) {
    let set = set_of(signals);
    let now = super::clock::timespec(std::time::Duration::ZERO);
    // SAFETY: the set and the time are ours; no siginfo is requested.
    while unsafe {
        libc::syscall(libc::SYS_rt_sigtimedwait, &raw const set, 0usize, &raw const now, SET_SIZE)
    } > 0
    {}
}

/// Makes a signal pending again, with its original sender (`None`: the kernel).
pub fn put_back(signal: Signal, sender: Option<Pid>) {
    // siginfo_t: signal, errno, code, padding, the sender's pid and uid.
    let number = i32::from(signal.number());
    let code = if sender.is_some() { libc::SI_USER } else { libc::SI_KERNEL };
    let mut info = [0i32; 32];
    let [its_number, _, its_code, _, its_sender, ..] = &mut info;
    (*its_number, *its_code, *its_sender) = (number, code, sender.unwrap_or(0));
    // SAFETY: integers and a structure of ours that is as large as the kernel's; a process may send any code to
    // itself.
    unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, libc::getpid(), number, info.as_ptr()) };
}

/// Returns the signals that are ignored; children inherit this through execve(2).
#[must_use]
pub fn ignored() -> Vec<Signal> {
    let is_ignored = |signal: &Signal| disposition(signal.number(), None) == libc::SIG_IGN;
    (1..=64).filter_map(Signal::from_number).filter(is_ignored).gather()
}

/// In a child just before execve: restores the signal state that rinit inherited. Async-signal-safe.
pub(in crate::sys) fn restore(inherited: &Inherited) {
    if inherited.child_ignored {
        disposition(Signal::CHLD.number(), Some(libc::SIG_IGN));
    }
    set_mask(inherited.mask);
}

/// In a client (not init): restores the inherited signal state for rinit itself.
pub fn give_back(inherited: &Inherited) {
    restore(inherited);
}

/// In a child just before execve: nothing ignored, nothing blocked. Async-signal-safe.
pub(in crate::sys) fn clean_slate(ignored: &[Signal]) {
    for signal in ignored {
        disposition(signal.number(), Some(libc::SIG_DFL));
    }
    set_mask(NONE);
}

/// Takes one pending signal of `set`; waits for at most `left` (rt_sigtimedwait(2)).
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

/// Creates a descriptor that is readable while a signal is pending (signalfd(2)).
pub(in crate::sys) fn descriptor() -> Option<std::os::fd::OwnedFd> {
    use std::os::fd::FromRawFd as _;
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: a new descriptor for a set of ours, owned from here on.
    unsafe {
        let fd = libc::syscall(libc::SYS_signalfd4, -1, &raw const ALL, SET_SIZE, flags);
        i32::try_from(fd).ok().filter(|fd| *fd >= 0).map(|fd| std::os::fd::OwnedFd::from_raw_fd(fd))
    }
}

/// Returns the description of strsignal(3): `User defined signal 1`.
#[must_use]
pub fn description(signal: Signal) -> &'static str {
    // SAFETY: returns a static C string that only another call may change, and no other thread calls it.
    let text = unsafe { libc::strsignal(libc::c_int::from(signal.number())) };
    if text.is_null() {
        return "";
    }
    // SAFETY: not null, NUL-terminated.
    unsafe { std::ffi::CStr::from_ptr(text) }.to_str().unwrap_or("")
}

/// Stops rinit itself, as a shell expects of a job whose process has stopped.
pub fn stop_self() {
    let _ = signal_hook::low_level::raise(signal_hook::consts::SIGSTOP);
}
