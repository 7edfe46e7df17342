//! The monotonic clock (clock_gettime(2)); all timers use only this clock.

use crate::model::Moment;

/// Returns the current time.
#[must_use]
pub fn now() -> Moment {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // Not through the vDSO: its first use costs two page faults, and rinit reads the clock rarely.
    // SAFETY: the kernel fills a timespec of ours. It cannot fail for this clock.
    unsafe { libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_MONOTONIC, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Moment(seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// Converts a duration for the kernel.
#[must_use]
pub(in crate::sys) fn timespec(span: std::time::Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: libc::c_long::from(span.subsec_nanos().cast_signed()),
    }
}

/// Returns the wall-clock time, for log lines: seconds since 1970 and nanoseconds.
#[must_use]
pub fn calendar() -> (u64, u32) {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel fills a timespec of ours.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut time) };
    (u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
