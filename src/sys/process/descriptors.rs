//! Closes inherited descriptors where close_range(2) is blocked or unknown (before Linux 5.9).

use crate::sys::{Errno, raw};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

/// A descriptor that a process gets under a number of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PassedFd {
    /// rinit's number; close-on-exec.
    pub from: RawFd,
    /// The number in the process, from 3 on.
    pub to: RawFd,
}

/// Gives each descriptor its number. A number may be one of rinit's own, even another one that is passed, so all move
/// out of the way first. Async-signal-safe.
pub fn pass(all: &[PassedFd]) -> Result<(), Errno> {
    let highest = all.iter().map(|passed| passed.from.max(passed.to)).max().unwrap_or(2);
    let dup = |from: RawFd, to: RawFd, flags: i32| {
        raw::call_integers(libc::SYS_dup3, &[raw::number(from), raw::number(to), raw::number(flags)])
    };
    for (aside, passed) in (highest + 1..).zip(all) {
        dup(passed.from, aside, libc::O_CLOEXEC)?;
    }
    for (aside, passed) in (highest + 1..).zip(all) {
        dup(aside, passed.to, 0)?;
        close(aside);
    }
    Ok(())
}

/// Returns whether two descriptors are of the same open file (kcmp(2)). Where that is blocked, as by Docker's profile:
/// whether they are of the same file, and opened alike.
#[must_use]
pub fn is_same(one: &OwnedFd, other: &OwnedFd) -> bool {
    const KCMP_FILE: libc::c_int = 0;
    let file = |fd: &OwnedFd| {
        // SAFETY: zero is valid for this structure, which the kernel fills; the rest is integers.
        unsafe {
            let mut found: libc::stat = std::mem::zeroed();
            libc::fstat(fd.as_raw_fd(), &raw mut found);
            (found.st_dev, found.st_ino, libc::fcntl(fd.as_raw_fd(), libc::F_GETFL))
        }
    };
    let own = crate::sys::pid();
    // SAFETY: integers only.
    match unsafe { libc::syscall(libc::SYS_kcmp, own, own, KCMP_FILE, one.as_raw_fd(), other.as_raw_fd()) } {
        0 => true,
        -1 => file(one) == file(other),
        _ => false,
    }
}

/// Closes every descriptor from 3 on except those in `kept`. Descriptors may lie above the current limit, if that was lowered
/// later, so this asks `/proc`, and without it tries every possible number. Async-signal-safe.
pub fn close_one_by_one(kept: &[PassedFd]) {
    let is_kept = |fd: RawFd| kept.iter().any(|passed| passed.to == fd);
    // With all descriptors in use, /proc cannot be opened: close one first.
    if close_listed(&is_kept).is_err() {
        (3..).find(|fd| !is_kept(*fd)).into_iter().for_each(close);
        if close_listed(&is_kept).is_err() {
            (3..highest()).filter(|fd| !is_kept(*fd)).for_each(close);
        }
    }
}

/// Closes every descriptor from 3 on except those that were [passed](pass). Async-signal-safe.
pub fn close_all_but(kept: &[PassedFd]) {
    let mut from = 3;
    loop {
        let next = kept.iter().map(|passed| passed.to).filter(|fd| *fd >= from).min();
        let to = next.map_or(RawFd::MAX, |fd| fd - 1);
        // SAFETY: runs in a child that uses none of them again.
        let close = || unsafe { raw::call(libc::SYS_close_range, &[raw::number(from), raw::number(to), 0]) };
        if from <= to && close().is_err() {
            return close_one_by_one(kept);
        }
        let Some(next) = next else { return };
        from = next + 1;
    }
}

fn close(fd: RawFd) {
    // SAFETY: the caller closes everything and uses none of it any more; closing an unused number just fails.
    let _ = unsafe { raw::call(libc::SYS_close, &[raw::number(fd)]) };
}

/// Returns an upper bound of descriptor numbers. The soft limit may have been lowered since they were opened, and may
/// be unlimited.
#[must_use]
pub fn highest() -> RawFd {
    /// The default of `fs.nr_open`.
    const MAX_PROBED: RawFd = 1 << 20;
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: u64::MAX };
    let arguments = [0, libc::RLIMIT_NOFILE as usize, 0, raw::address(&raw mut limit)];
    // SAFETY: the kernel fills a structure of ours.
    let _ = unsafe { raw::call(libc::SYS_prlimit64, &arguments) };
    RawFd::try_from(limit.rlim_max).unwrap_or(MAX_PROBED).clamp(1 << 16, MAX_PROBED)
}

/// Closes everything listed in `/proc/self/fd`. The listing goes by number, so closing entries meanwhile is safe.
fn close_listed(is_kept: &dyn Fn(RawFd) -> bool) -> Result<(), Errno> {
    /// linux_dirent64: inode, offset, 16-bit length, 8-bit type, then the name.
    const LENGTH_AT: usize = 16;
    const NAME_AT: usize = 19;
    let flags = raw::number(libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC);
    let arguments = [raw::number(libc::AT_FDCWD), raw::address(c"/proc/self/fd".as_ptr()), flags];
    // SAFETY: a new descriptor, closed below.
    let list = unsafe { raw::call(libc::SYS_openat, &arguments) }?;
    let list = RawFd::try_from(list).unwrap_or(RawFd::MAX);
    let mut buffer = [0u8; 512];
    let result = loop {
        let arguments = [raw::number(list), raw::address(buffer.as_mut_ptr()), buffer.len()];
        // SAFETY: the kernel writes at most the length that it is given.
        let mut entries = match unsafe { raw::call(libc::SYS_getdents64, &arguments) } {
            Ok(0) => break Ok(()),
            Ok(count) => buffer.get(..count).unwrap_or_default(),
            Err(errno) => break Err(errno),
        };
        while let Some(&[low, high]) = entries.get(LENGTH_AT..LENGTH_AT + 2) {
            let length = usize::from(u16::from_ne_bytes([low, high])).max(NAME_AT);
            let fd = entries.get(NAME_AT..length).and_then(number);
            if let Some(fd) = fd.filter(|fd| *fd > 2 && *fd != list && !is_kept(*fd)) {
                close(fd);
            }
            entries = entries.get(length..).unwrap_or_default();
        }
    };
    close(list);
    result
}

/// Parses a directory entry as a number; `.` and `..` are none.
fn number(name: &[u8]) -> Option<RawFd> {
    let digits = name.split(|byte| *byte == 0).next().filter(|digits| !digits.is_empty())?;
    digits.iter().try_fold(0, |number: RawFd, digit| {
        let digit = digit.is_ascii_digit().then(|| RawFd::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::super::descriptors::*;

    #[test]
    fn names_of_the_list_are_numbers() {
        for (name, want) in [
            (&b"0\0\0"[..], Some(0)),
            (b"1234\0x", Some(1234)),
            (b".\0", None),
            (b"..\0", None),
            (b"", None),
            (b"99999999999\0", None),
        ] {
            assert_eq!(number(name), want);
        }
        assert!(highest() >= 1 << 16);
    }
}
