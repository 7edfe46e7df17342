//! The kernel and the machine: what it is called, what time it has, whether it has entropy.

use std::ffi::CStr;
use std::mem::MaybeUninit;

/// Release and machine, as uname(2) has them: `6.1.0-18-amd64`, `x86_64`.
#[must_use]
pub fn uname() -> (String, String) {
    let mut name = MaybeUninit::<libc::utsname>::zeroed();
    // SAFETY: the kernel fills a structure of ours, for which zeros are valid.
    let name = unsafe {
        libc::uname(name.as_mut_ptr());
        name.assume_init()
    };
    // SAFETY: each field ends with a NUL, by uname(2) as by the zeros from before.
    let text =
        |field: &[libc::c_char]| unsafe { CStr::from_ptr(field.as_ptr()) }.to_string_lossy().into_owned();
    (text(&name.release), text(&name.machine))
}

/// Seconds since 1970, as this machine believes.
#[must_use]
pub fn clock() -> i64 {
    // The types differ between machines.
    #[allow(clippy::useless_conversion)]
    // SAFETY: null asks for the result alone.
    i64::from(unsafe { libc::time(std::ptr::null_mut()) })
}

/// Whether getrandom(2) would answer at once. Where it is forbidden or not known, nobody will wait for it.
#[must_use]
pub fn has_entropy() -> bool {
    let mut byte = 0u8;
    // SAFETY: a place for one byte, ours.
    let count = unsafe { libc::getrandom((&raw mut byte).cast(), 1, libc::GRND_NONBLOCK) };
    count == 1 || crate::sys::Errno::last() != crate::sys::Errno::EAGAIN
}

#[cfg(test)]
mod tests {
    use super::super::kernel::*;

    #[test]
    fn this_machine_has_a_name_and_a_time() {
        let (release, machine) = uname();
        assert!(release.starts_with(|c: char| c.is_ascii_digit()) && !machine.is_empty());
        assert!(clock() > 1_700_000_000 && has_entropy());
    }
}
