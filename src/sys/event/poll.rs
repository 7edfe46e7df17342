//! The one wait: for a signal, for a descriptor, or until a moment.

use super::signals::SignalSet;
use super::{clock, signals};
use crate::model::{Moment, Pid, Signal};
use crate::text::gather::Gather;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::time::Duration;

/// What ended a wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wake {
    /// This signal came.
    Signal {
        /// Which.
        signal: Signal,
        /// From whom; 0 is outside of this PID namespace, and `None` the kernel (a key on the terminal).
        sender: Option<Pid>,
    },
    /// Something can be done for this descriptor, or its other end is closed.
    Ready(RawFd),
    /// The moment has come.
    Due,
}

/// What is waited for of a descriptor. Whatever that is: that its other end is closed ends a wait too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PollInterest {
    /// Which.
    pub fd: RawFd,
    /// That it can be read.
    pub read: bool,
    /// That it can be written.
    pub write: bool,
}

impl PollInterest {
    /// That it can be read.
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

/// How long signals may go unheard where they cannot be waited for beside descriptors.
const MAX_BLIND_WAIT: Duration = Duration::from_millis(50);

/// Waits. Without descriptors it is a bare rt_sigtimedwait(2), the cheapest there is; with some, a
/// signalfd(2) joins them in one ppoll(2).
///
/// The kernel hands out the lowest number first, so that a flood of one signal would hide all above it for ever. Signals
/// are taken in rounds: within one each is taken once, and when no other is pending it is the turn of the descriptors and
/// of the moment.
#[derive(Default)]
pub struct Waiter {
    signals: Option<OwnedFd>,
    /// What has been taken in this round.
    taken: SignalSet,
    /// The descriptor that was told last: next time those behind it come first.
    last: Option<RawFd>,
}

impl Waiter {
    /// Waits until a signal comes, one of `fds` is as somebody waits for it, or `until` is reached.
    pub fn wait(&mut self, until: Option<Moment>, fds: &[PollInterest]) -> Wake {
        let is_due = || until.is_some_and(|moment| clock::now() >= moment);
        if self.taken != 0 {
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
                // Where nothing says that one is pending, it is looked for before each wait.
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

    /// Waits for a descriptor, and for a signal too where `signal_fd` says when one is pending.
    fn poll(
        &mut self,
        left: Option<Duration>,
        fds: &[PollInterest],
        signal_fd: Option<RawFd>,
    ) -> Option<Wake> {
        let mut set: Vec<libc::pollfd> = fds.iter().map(|interest| interest.entry()).gather();
        set.extend(signal_fd.map(|fd| PollInterest::reading(fd).entry()));
        // Without a signalfd (the engine forbids it, or no descriptor is free) signals do not wake this: look often.
        let blind = signal_fd.is_none();
        let left = if blind { Some(left.unwrap_or(MAX_BLIND_WAIT).min(MAX_BLIND_WAIT)) } else { left };
        let timeout = left.map(clock::timespec);
        let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        let count = libc::nfds_t::try_from(set.len()).unwrap_or(0);
        // SAFETY: `set` is a list of `count` entries of ours, the timeout is null or ours.
        let ready = unsafe { libc::ppoll(set.as_mut_ptr(), count, timeout, std::ptr::null()) };
        if ready < 0 && !blind {
            // Refused (a filter, no memory): signals alone are waited for, and not for long.
            return self.take(Some(left.unwrap_or(MAX_BLIND_WAIT).min(MAX_BLIND_WAIT)));
        }
        if ready == 0 && !blind {
            return None;
        }
        // A signal first: a stop must not wait behind a busy descriptor.
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

    /// Takes one pending signal that was not taken in this round, waiting for one until `left` has passed. `None`: time is
    /// over, or the wait was interrupted.
    fn take(&mut self, left: Option<Duration>) -> Option<Wake> {
        let (signal, info) = signals::take_one(signals::ALL & !self.taken, left)?;
        self.taken |= 1 << (signal.number() - 1);
        // SAFETY: a user's signal carries its sender's pid.
        let sender = (info.si_code <= 0).then(|| unsafe { info.si_pid() });
        Some(Wake::Signal { signal, sender })
    }
}

#[cfg(test)]
mod tests {
    use super::super::poll::*;
    use crate::sys::process::fork;

    /// In a process of its own, where every signal is blocked.
    fn in_a_child(test: fn() -> bool) {
        let pid = fork::fork(&[], || {
            let _ = signals::take_over();
            u8::from(!test())
        })
        .expect("a process");
        let mut status = 0;
        // SAFETY: our own child.
        unsafe { libc::waitpid(pid, &raw mut status, 0) };
        assert_eq!(status, 0);
    }

    fn number(number: i32) -> Signal {
        Signal::from_number(number).expect("a signal")
    }

    fn raise(signal: Signal) {
        // SAFETY: numbers.
        unsafe { libc::kill(libc::getpid(), i32::from(signal.number())) };
    }

    /// HUP, USR1 and CHLD that come without end were taken for ever, lowest first, and TERM or PWR never.
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

    /// The moment comes, whatever else does.
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
