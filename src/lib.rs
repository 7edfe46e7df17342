//! rinit: the init process for containers.

pub mod checks;
pub mod cli;
pub mod config;
pub mod diagnosis;
pub mod environ;
pub mod model;
pub mod say;
pub mod starter;
pub mod supervisor;
pub mod sys;

use std::ffi::{c_char, c_int};

/// placeholder, replaced next
pub fn run(_argc: c_int, _argv: *const *const c_char) -> u8 {
    0
}
