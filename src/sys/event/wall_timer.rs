//! A timer on the wall clock that also fires when the clock is set (timerfd_create(2)).

use super::clock;
use crate::model::Moment;
use crate::sys::Errno;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::time::Duration;

/// Without such a timer (a sandbox, no free descriptor) a change of the clock is noticed after this time at the latest.
const MAX_UNNOTICED: Duration = Duration::from_secs(60);

/// The timer.
pub struct WallTimer {
    fd: Option<OwnedFd>,
    /// When to look without it.
    look: Option<Moment>,
}

impl WallTimer {
    /// Creates a timer that is not set.
    #[must_use]
    pub fn new() -> Self {
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: integers only.
        let fd = Errno::result(unsafe { libc::timerfd_create(libc::CLOCK_REALTIME, flags) });
        // SAFETY: a new descriptor, owned from here on.
        let fd = fd.ok().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
        Self { fd, look: None }
    }

    /// Sets it to a time in seconds since 1970, or to the next change of the clock alone; it is not ready until then.
    /// Returns false if the clock was set meanwhile.
    pub fn set(&mut self, at: Option<i64>) -> bool {
        self.look = None;
        let seconds = at.unwrap_or(i64::MAX).clamp(1, i64::MAX / 1_000_000_000);
        if let Some(fd) = &self.fd {
            let mut fired = [0_u8; 8];
            let zero = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            let value = libc::timespec { tv_sec: seconds, ..zero };
            let timer = libc::itimerspec { it_interval: zero, it_value: value };
            let flags = libc::TFD_TIMER_ABSTIME | libc::TFD_TIMER_CANCEL_ON_SET;
            // SAFETY: a buffer and a value of ours; the read does not block.
            let set = unsafe {
                libc::read(fd.as_raw_fd(), fired.as_mut_ptr().cast(), fired.len());
                libc::timerfd_settime(fd.as_raw_fd(), flags, &raw const timer, std::ptr::null_mut())
            };
            match Errno::result(set) {
                Ok(_) => return true,
                Err(Errno::ECANCELED) => return false,
                Err(_) => self.fd = None,
            }
        }
        let left = seconds.saturating_sub_unsigned(clock::calendar().0);
        let left = Duration::from_secs(u64::try_from(left).unwrap_or(0)).min(MAX_UNNOTICED);
        // The calendar may be within a second of it.
        self.look = Some(clock::now().after(left.max(Duration::from_millis(100))));
        true
    }

    /// Returns its descriptor, which is readable once it has fired.
    #[must_use]
    pub fn descriptor(&self) -> Option<RawFd> {
        self.fd.as_ref().map(|fd| fd.as_raw_fd())
    }

    /// Returns when to look at the clock, if it has no descriptor.
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        self.look
    }
}

impl Default for WallTimer {
    fn default() -> Self {
        Self::new()
    }
}
