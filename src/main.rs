//! The door: arguments in, exit code out, nothing else.
//!
//! `no_main`: Rust's own start-up would set SIGPIPE to ignored, map an alternate stack and read
//! /proc, all of which a child would inherit or PID 1 would pay for.
#![cfg_attr(not(test), no_main)]

// Not in a test, which needs the real unwinder to catch a panic.
#[cfg(all(not(test), target_env = "musl"))]
#[path = "sys/unwind.rs"]
mod unwind;

#[cfg(all(not(test), target_env = "musl"))]
#[path = "sys/malloc.rs"]
mod malloc;

use std::ffi::{c_char, c_int};

#[global_allocator]
static HEAP: rinit::sys::allocator::GlobalHeap = rinit::sys::allocator::GlobalHeap;

/// What the C start-up code calls.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    c_int::from(rinit::run(argc, argv))
}
