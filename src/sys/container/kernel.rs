//! The kernel and the machine: release, architecture, clock, entropy.

use std::ffi::CStr;
use std::mem::MaybeUninit;

/// Returns release and machine of uname(2): `6.1.0-18-amd64`, `x86_64`.
#[must_use]
pub fn uname() -> (String, String) {
    let mut name = MaybeUninit::<libc::utsname>::zeroed();
    // SAFETY: the kernel fills a structure of ours, for which zero is valid.
    let name = unsafe {
        libc::uname(name.as_mut_ptr());
        name.assume_init()
    };
    // SAFETY: each field is NUL-terminated, by uname(2) and because it was zeroed.
    let text =
        |field: &[libc::c_char]| unsafe { CStr::from_ptr(field.as_ptr()) }.to_string_lossy().into_owned();
    (text(&name.release), text(&name.machine))
}

/// Returns the machine's time in seconds since 1970.
#[must_use]
pub fn clock() -> i64 {
    // The types differ between platforms.
    #[allow(clippy::useless_conversion)]
    // SAFETY: with null only the result is returned.
    i64::from(unsafe { libc::time(std::ptr::null_mut()) })
}

/// Returns whether getrandom(2) answers at once. Also true where it is blocked or unknown: then no program waits for
/// it.
#[must_use]
pub fn has_entropy() -> bool {
    let mut byte = 0u8;
    // SAFETY: a buffer of one byte.
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
