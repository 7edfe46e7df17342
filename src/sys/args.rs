//! rinit's arguments and environment. Rust's own start-up code does not run (`no_main`), so `std::env::args` is empty
//! with musl, and the pointers come from C's `main`.

use crate::model::environ::Environ;
use crate::text::gather::Gather;
use std::ffi::{CStr, CString, c_char, c_int};

unsafe extern "C" {
    /// The C library's environment: `NAME=value` strings, terminated by a null pointer (environ(7)).
    static environ: *const *const c_char;
}

/// Returns the arguments of C's `main`, the program's name first.
///
/// `argv` is what the kernel set up: `argc` pointers to strings that live as long as the process.
#[must_use]
#[expect(clippy::not_unsafe_ptr_arg_deref, reason = "only C's main has an argc and argv to give")]
pub fn arguments(argc: c_int, argv: *const *const c_char) -> Vec<&'static CStr> {
    let count = usize::try_from(argc).unwrap_or(0);
    // SAFETY: the caller is C's `main`; the kernel put `argc` valid strings there for the whole run.
    (0..count).map(|n| unsafe { CStr::from_ptr(*argv.add(n)) }).gather()
}

/// Returns the environment block in the form of execve(2).
#[must_use]
pub fn environment_block() -> *const *const c_char {
    // SAFETY: read once; rinit never calls setenv(3), so the block does not move.
    unsafe { environ }
}

fn entries() -> impl Iterator<Item = &'static CStr> {
    let block = environment_block();
    (0..).map_while(move |n| {
        if block.is_null() {
            return None;
        }
        // SAFETY: the block is terminated by a null pointer; iteration stops there.
        let entry = unsafe { *block.add(n) };
        // SAFETY: each entry is a string that lives as long as the process.
        (!entry.is_null()).then(|| unsafe { CStr::from_ptr(entry) })
    })
}

/// Returns the value of a variable without copying the environment.
#[must_use]
pub fn variable(name: &str) -> Option<&'static [u8]> {
    entries().find_map(|entry| entry.to_bytes().strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

/// Returns a copy of the whole environment.
#[must_use]
pub fn environment() -> Environ {
    Environ::from_entries(entries().map(CString::from))
}
