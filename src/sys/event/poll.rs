//! The only wait of PID 1: for a signal, a descriptor, or a deadline.

use super::signals::SignalSet;
use super::{clock, signals};
use crate::model::{Moment, Pid, Signal};
use crate::text::gather::Gather;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::time::Duration;

/// What ended a wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wake {
    /// A signal arrived.
    Signal {
        /// The signal.
        signal: Signal,
        /// Its sender; 0 is outside this PID namespace, `None` is the kernel (a key on the terminal).
        sender: Option<Pid>,
    },
    /// The descriptor is ready, or its other end was closed.
    Ready(RawFd),
    /// The deadline has passed.
    Due,
}

/// A descriptor and what to wait for. Its other end being closed always ends the wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PollInterest {
    /// The descriptor.
    pub fd: RawFd,
    /// Wait until it is readable.
    pub read: bool,
    /// Wait until it is writable.
    pub write: bool,
}

impl PollInterest {
    /// Waits until it is readable.
    #[must_use]
    pub fn reading(fd: RawFd) -> Self {
        Self { fd, read: true, write: false }
    }

    fn entry(self) -> libc::pollfd {
        let read = if self.read { libc::POLLIN } else { 0 };
        let write = if self.write { libc::POLLOUT } else { 0 };
        libc::pollfd { fd: self.fd, events: read | write, revents: 0 }
    }
}

/// How long signals may go unnoticed where they cannot be waited for together with descriptors.
const MAX_BLIND_WAIT: Duration = Duration::from_millis(50);

/// So many rounds may begin with a SIGCHLD before the signals behind it are looked for.
const MAX_DEATHS: u8 = 7;

/// SIGCHLD in a set of signals.
const CHILD: SignalSet = 1 << (libc::SIGCHLD - 1);

/// Waits. Without descriptors it is a plain rt_sigtimedwait(2), the cheapest wait there is; with descriptors, a
/// signalfd(2) joins them in one ppoll(2).
///
/// The kernel delivers the lowest signal number first, so a flood of one signal would starve all higher ones. So
/// signals are taken in rounds: each at most once per round; when no other is pending, the descriptors and the
/// deadline are checked.
#[derive(Default)]
pub struct Waiter {
    signals: Option<OwnedFd>,
    /// Signals taken in this round.
    taken: SignalSet,
    /// Rounds in which there was a SIGCHLD and nothing else was looked for.
    deaths: u8,
    /// The descriptor reported last: the next search starts behind it.
    last: Option<RawFd>,
}

impl Waiter {
    /// Waits until a signal arrives, one of `fds` is ready, or `until` has passed.
    pub fn wait(&mut self, until: Option<Moment>, fds: &[PollInterest]) -> Wake {
        let is_due = || until.is_some_and(|moment| clock::now() >= moment);
        if self.taken == CHILD && fds.is_empty() && self.deaths < MAX_DEATHS {
            // One call in place of two for most of many deaths.
            self.deaths += 1;
            self.taken = 0;
        } else if self.taken != 0 {
            self.deaths = 0;
            if let Some(wake) = self.take(Some(Duration::ZERO)) {
                return wake;
            }
            self.taken = 0;
            if !fds.is_empty()
                && let Some(wake) = self.poll(Some(Duration::ZERO), fds, None)
            {
                return wake;
            }
            if is_due() {
                return Wake::Due;
            }
        }
        loop {
            let left = until.map(|moment| moment.since(clock::now()));
            let wake = if fds.is_empty() {
                self.take(left)
            } else {
                let signal_fd = self.signal_fd();
                // Without a signalfd, check for pending signals before each wait.
                let signal = if signal_fd.is_none() { self.take(Some(Duration::ZERO)) } else { None };
                signal.or_else(|| self.poll(left, fds, signal_fd))
            };
            if let Some(wake) = wake {
                return wake;
            }
            if is_due() {
                return Wake::Due;
            }
        }
    }

    /// Waits for a descriptor, and also for a signal if there is a signalfd.
    fn poll(
        &mut self,
        left: Option<Duration>,
        fds: &[PollInterest],
        signal_fd: Option<RawFd>,
    ) -> Option<Wake> {
        let mut set: Vec<libc::pollfd> = fds.iter().map(|interest| interest.entry()).gather();
        set.extend(signal_fd.map(|fd| PollInterest::reading(fd).entry()));
        // Without a signalfd (blocked by the engine, or no descriptor is free) signals do not wake ppoll: wake up
        // often.
        let blind = signal_fd.is_none();
        let left = if blind { Some(left.unwrap_or(MAX_BLIND_WAIT).min(MAX_BLIND_WAIT)) } else { left };
        let timeout = left.map(clock::timespec);
        let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        let count = libc::nfds_t::try_from(set.len()).unwrap_or(0);
        // SAFETY: `set` has `count` entries of ours, the timeout is null or ours.
        let ready = unsafe { libc::ppoll(set.as_mut_ptr(), count, timeout, std::ptr::null()) };
        if ready < 0 && !blind {
            // ppoll failed (a filter, out of memory): wait for signals alone, but not for long.
            return self.take(Some(left.unwrap_or(MAX_BLIND_WAIT).min(MAX_BLIND_WAIT)));
        }
        if ready == 0 && !blind {
            return None;
        }
        // Signals first: a stop must not wait behind a busy descriptor.
        if signal_fd.is_some()
            && let Some(wake) = self.take(Some(Duration::ZERO))
        {
            return Some(wake);
        }
        let ready = set.get(..fds.len())?;
        let from =
            self.last.and_then(|last| fds.iter().position(|one| one.fd == last)).map_or(0, |at| at + 1);
        let (before, after) = ready.split_at_checked(from)?;
        let found = after.iter().chain(before).find(|entry| entry.revents != 0)?.fd;
        self.last = Some(found);
        Some(Wake::Ready(found))
    }

    fn signal_fd(&mut self) -> Option<RawFd> {
        if self.signals.is_none() {
            self.signals = signals::descriptor();
        }
        self.signals.as_ref().map(|fd| fd.as_raw_fd())
    }

    /// Takes one pending signal that was not taken in this round; waits for at most `left`. `None`: timed out or
    /// interrupted.
    fn take(&mut self, left: Option<Duration>) -> Option<Wake> {
        let (signal, info) = signals::take_one(signals::ALL & !self.taken, left)?;
        self.taken |= 1 << (signal.number() - 1);
        // SAFETY: a signal sent by a user has its sender's pid.
        let sender = (info.si_code <= 0).then(|| unsafe { info.si_pid() });
        Some(Wake::Signal { signal, sender })
    }
}

#[cfg(test)]
mod tests {
    use super::super::poll::*;
    use crate::sys::process::fork;

    /// Runs a test in its own process with every signal blocked.
    fn in_a_child(test: fn() -> bool) {
        let pid = fork::fork(&[], || {
            let _ = signals::take_over();
            u8::from(!test())
        })
        .expect("a process");
        let mut status = 0;
        // SAFETY: a child of ours.
        unsafe { libc::waitpid(pid, &raw mut status, 0) };
        assert_eq!(status, 0);
    }

    fn number(number: i32) -> Signal {
        Signal::from_number(number).expect("a signal")
    }

    fn raise(signal: Signal) {
        // SAFETY: integers only.
        unsafe { libc::kill(libc::getpid(), i32::from(signal.number())) };
    }

    /// Endless HUP, USR1 or CHLD were taken forever, lowest first, and TERM or PWR never.
    #[test]
    fn a_flood_of_one_signal_hides_no_other() {
        in_a_child(|| {
            let mut waiter = Waiter::default();
            let flood = [Signal::HUP, number(libc::SIGUSR1), Signal::CHLD];
            flood.into_iter().for_each(raise);
            raise(Signal::TERM);
            raise(number(libc::SIGPWR));
            let (read, write) = fork::pipe().expect("a pipe");
            drop(write);
            let mut came = Vec::new();
            for _ in 0..7 {
                came.push(waiter.wait(Some(Moment(0)), &[PollInterest::reading(read.as_raw_fd())]));
                flood.into_iter().for_each(raise);
            }
            let has = |wanted| {
                came.iter().any(|wake| matches!(wake, Wake::Signal { signal, .. } if *signal == wanted))
            };
            has(Signal::TERM) && has(number(libc::SIGPWR)) && came.contains(&Wake::Ready(read.as_raw_fd()))
        });
    }

    /// A flood of signals does not delay the deadline.
    #[test]
    fn a_flood_does_not_stop_the_clock() {
        in_a_child(|| {
            let mut waiter = Waiter::default();
            (0..3).any(|_| {
                raise(number(libc::SIGUSR1));
                waiter.wait(Some(Moment(0)), &[]) == Wake::Due
            })
        });
    }

    #[test]
    fn one_busy_descriptor_hides_no_other() {
        let mut waiter = Waiter::default();
        let ends = [(); 2].map(|()| fork::pipe().expect("a pipe").0);
        let fds = ends.each_ref().map(|fd| fd.as_raw_fd());
        let all = fds.map(PollInterest::reading);
        let mut next = || waiter.poll(Some(Duration::ZERO), &all, None);
        assert_eq!([next(), next(), next()], [0, 1, 0].map(|n: usize| Some(Wake::Ready(fds[n]))));
    }
}
