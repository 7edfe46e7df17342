//! rinit in real containers: what a user of Docker sees, told as stories.
//!
//! ```text
//! cargo build --release --target x86_64-unknown-linux-musl
//! cargo test --features docker --test docker
//! ```
//!
//! Needs root, a running Docker engine, and Debian's packages `debootstrap` and `busybox-static`. Nothing is
//! pulled from a registry of images: [`images`] makes them. The binary under test is `$RINIT_BIN`, else the
//! one that the first line builds.
//!
//! Each container has a name of its own and is removed when its test ends; what a test waits for is a
//! condition with a deadline.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that meets the unexpected is to stop, loudly"
)]

mod engine;
mod images;
mod terminal;

mod codes;
mod configs;
mod control;
mod dockerfile;
mod ends;
mod ensure;
mod init_path;
mod jobs;
mod kinds;
mod links;
mod logs;
mod nested;
mod scenarios;
mod service_hooks;
mod services;
mod sockets;
mod start_up_examples;
mod stops;
mod surroundings;
mod terminals;

use std::time::{Duration, Instant};

/// How long anything may take that has no bound of its own: it is reached by bugs alone.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `condition` yields something, and fails the test when it does not within [`PATIENCE`].
#[track_caller]
fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
