//! Writing without ever waiting for a reader: PID 1 must stay responsive.

use super::Errno;
use super::event::{clock, signals};
use crate::model::{Moment, Signal};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

/// How long a write(2) may block where the kernel has no non-blocking one (a terminal, a pipe before Linux 6.5):
/// "writable" means room for a byte, not for a line.
const WRITE_TIMEOUT: Duration = Duration::from_millis(10);

/// The longest pause between two attempts to write an answer.
const MAX_RETRY_DELAY: Duration = Duration::from_millis(50);

/// Why an answer was not written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unwritten {
    /// This signal arrived before it was read.
    Signal(Signal),
    /// The write failed.
    Refused(Errno),
}

/// Writes as much as there is room for. EAGAIN: no room; ETIMEDOUT: no room, and it took `WRITE_TIMEOUT` to find out.
pub fn write_some(fd: RawFd, bytes: &[u8]) -> Result<usize, Errno> {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match write_once(fd, rest) {
            Ok(0) | Err(Errno::EAGAIN) if written > 0 => break,
            Ok(0) => return Err(Errno::EAGAIN),
            Ok(count) => written += count,
            Err(Errno::EINTR) => {}
            Err(_) if written > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

fn write_once(fd: RawFd, rest: &[u8]) -> Result<usize, Errno> {
    let part = libc::iovec { iov_base: rest.as_ptr().cast_mut().cast(), iov_len: rest.len() };
    // SAFETY: one buffer, borrowed for the call; -1 writes at the current position.
    let count = unsafe { libc::pwritev2(fd, &raw const part, 1, -1, libc::RWF_NOWAIT) };
    if let Ok(count) = Errno::result(count) {
        return Ok(count.unsigned_abs());
    }
    match Errno::last() {
        // Not supported by this kind of file (a terminal), blocked by a filter, or it would wait (a disk).
        Errno::EAGAIN | Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EPERM | Errno::EINVAL | Errno::ESPIPE => {}
        error => return Err(error),
    }
    let mut ask = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one entry of ours; a zero timeout does not wait.
    if unsafe { libc::poll(&raw mut ask, 1, 0) } != 1 {
        return Err(Errno::EAGAIN);
    }
    write_in_time(fd, rest)
}

/// The sender of a SIGALRM that was not from the timer.
static FOREIGN_ALARM: AtomicI32 = AtomicI32::new(NO_ALARM);

/// No sender.
const NO_ALARM: i32 = -1;

extern "C" fn on_alarm(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel's siginfo is valid while the handler runs; a signal sent by a user has a sender.
    unsafe {
        if (*info).si_code <= 0 {
            FOREIGN_ALARM.store((*info).si_pid(), Ordering::Relaxed);
        }
    }
}

/// A write(2) that SIGALRM interrupts. `O_NONBLOCK` would be simpler, but it is a flag of the open file description,
/// which is shared with the services. A foreign alarm that arrives meanwhile is kept for the event loop.
fn write_in_time(fd: RawFd, rest: &[u8]) -> Result<usize, Errno> {
    let span = libc::timeval { tv_sec: 0, tv_usec: i64::from(WRITE_TIMEOUT.subsec_micros()) };
    // Repeats, since the first alarm may come before the write has begun.
    let armed = libc::itimerval { it_interval: span, it_value: span };
    let result = signals::with_handler(Signal::ALRM, on_alarm, || {
        // SAFETY: a zero timer is off; both are ours, and the previous timer is restored.
        unsafe {
            let mut before: libc::itimerval = std::mem::zeroed();
            libc::setitimer(libc::ITIMER_REAL, &raw const armed, &raw mut before);
            let count = Errno::result(libc::write(fd, rest.as_ptr().cast(), rest.len()));
            libc::setitimer(libc::ITIMER_REAL, &raw const before, std::ptr::null_mut());
            count
        }
    });
    let sender = FOREIGN_ALARM.swap(NO_ALARM, Ordering::Relaxed);
    if sender != NO_ALARM {
        signals::put_back(Signal::ALRM, Some(sender));
    }
    match result {
        Ok(count) => Ok(count.unsigned_abs()),
        Err(Errno::EINTR) => Err(Errno::ETIMEDOUT),
        Err(error) => Err(error),
    }
}

/// Writes an answer for the command line (`--help`) in full, waiting for the reader; TERM, INT, HUP and QUIT end the
/// wait.
pub fn answer(fd: RawFd, bytes: &[u8]) -> Result<(), Unwritten> {
    let mut rest = bytes;
    let mut delay = Duration::from_millis(1);
    while !rest.is_empty() {
        match write_some(fd, rest) {
            Ok(count) => {
                rest = rest.get(count..).unwrap_or_default();
                delay = Duration::from_millis(1);
            }
            Err(Errno::EAGAIN | Errno::ETIMEDOUT) => {
                if let Some((signal, _)) = signals::take_one(signals::ALL, Some(delay))
                    && [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT].contains(&signal)
                {
                    return Err(Unwritten::Signal(signal));
                }
                delay = (delay * 2).min(MAX_RETRY_DELAY);
            }
            Err(error) => return Err(Unwritten::Refused(error)),
        }
    }
    Ok(())
}

/// Writes everything, waiting for the reader until this moment; false: not all of it was written.
pub fn write_until(fd: RawFd, bytes: &[u8], until: Moment) -> bool {
    let mut rest = bytes;
    while !rest.is_empty() {
        match write_some(fd, rest) {
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(Errno::EAGAIN | Errno::ETIMEDOUT) if clock::now() < until => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(_) => return false,
        }
    }
    true
}

/// Pauses briefly; returns false if a stop signal arrives meanwhile, which stays pending.
#[must_use]
pub fn pause() -> bool {
    std::thread::sleep(Duration::from_millis(1));
    !signals::is_pending(&[Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT])
}

#[cfg(test)]
mod tests {
    use super::super::write::*;
    use std::os::fd::AsRawFd as _;

    /// A pipe without room for everything takes a part, and reports when it takes nothing.
    #[test]
    fn a_full_pipe_takes_what_it_can() {
        let (_read, write) = super::super::process::fork::pipe().expect("a pipe");
        let fd = write.as_raw_fd();
        let line = vec![b'x'; 100_000];
        let first = write_some(fd, &line).expect("room");
        assert!((1..line.len()).contains(&first), "{first}");
        // In this multi-threaded test the alarm may hit another thread: tests/it/unread.rs tests the interruption.
        assert_eq!(write_some(fd, &line), Err(Errno::EAGAIN));
    }
}
