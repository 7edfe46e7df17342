//! The one wait: for a signal, for a descriptor, or until a moment.

use super::{signals, time};
use crate::model::{Moment, Pid, Signal};
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
    /// This descriptor can be read (or its other end is closed).
    Readable(RawFd),
    /// The moment has come.
    Due,
}

/// How long signals may go unheard where they cannot be waited for beside descriptors.
const MAX_BLIND_WAIT: Duration = Duration::from_millis(50);

/// Waits. Without descriptors it is a bare rt_sigtimedwait(2), the cheapest there is; with some, a
/// signalfd(2) joins them in one ppoll(2).
#[derive(Default)]
pub struct Waiter {
    signals: Option<OwnedFd>,
}

impl Waiter {
    /// Waits until a signal comes, a descriptor of `fds` can be read, or `until` is reached.
    pub fn wait(&mut self, until: Option<Moment>, fds: &[RawFd]) -> Wake {
        loop {
            let left = until.map(|moment| moment.since(time::now()));
            let wake = if fds.is_empty() { wait_for_signal(left) } else { self.poll(left, fds) };
            if let Some(wake) = wake {
                return wake;
            }
            if until.is_some_and(|moment| time::now() >= moment) {
                return Wake::Due;
            }
        }
    }

    fn poll(&mut self, left: Option<Duration>, fds: &[RawFd]) -> Option<Wake> {
        let signal_fd = self.signal_fd();
        let entry = |fd: RawFd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut set: Vec<libc::pollfd> = fds.iter().copied().map(entry).collect();
        set.extend(signal_fd.map(entry));
        // Without a signalfd (the engine forbids it, or no descriptor is free) signals do not wake this: look often.
        let blind = signal_fd.is_none();
        let left = if blind { Some(left.unwrap_or(MAX_BLIND_WAIT).min(MAX_BLIND_WAIT)) } else { left };
        let timeout = left.map(time::timespec);
        let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        let count = libc::nfds_t::try_from(set.len()).unwrap_or(0);
        // SAFETY: `set` is a list of `count` entries of ours, the timeout is null or ours.
        let ready = unsafe { libc::ppoll(set.as_mut_ptr(), count, timeout, std::ptr::null()) };
        if ready <= 0 && !blind {
            return None;
        }
        // A signal first: a stop must not wait behind a busy descriptor.
        if let Some(Wake::Signal { signal, sender }) = wait_for_signal(Some(Duration::ZERO)) {
            return Some(Wake::Signal { signal, sender });
        }
        set.iter()
            .find(|entry| entry.revents != 0 && Some(entry.fd) != signal_fd)
            .map(|entry| Wake::Readable(entry.fd))
    }

    fn signal_fd(&mut self) -> Option<RawFd> {
        if self.signals.is_none() {
            self.signals = signals::descriptor();
        }
        self.signals.as_ref().map(|fd| fd.as_raw_fd())
    }
}

/// Takes one pending signal, waiting for one until `left` has passed. `None`: time is over, or the wait was interrupted.
fn wait_for_signal(left: Option<Duration>) -> Option<Wake> {
    let (signal, info) = signals::take_one(left)?;
    // SAFETY: a user's signal carries its sender's pid.
    let sender = (info.si_code <= 0).then(|| unsafe { info.si_pid() });
    Some(Wake::Signal { signal, sender })
}
