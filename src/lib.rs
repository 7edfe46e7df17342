//! rinit: the init process for containers.

pub mod checks;
pub mod config;
pub mod environ;
pub mod model;
pub mod supervisor;
pub mod sys;

use std::ffi::{c_char, c_int};

/// placeholder, replaced next
pub fn run(_argc: c_int, _argv: *const *const c_char) -> u8 {
    0
}
