//! Real processes in real namespaces: what every integration test stands on.
//!
//! A test says what is to be started ([`Launch`]), looks at what runs ([`Running`]) and waits for
//! conditions ([`eventually`]); it never sleeps to be in step. Each start is a fresh PID and mount
//! namespace with a `/proc` of its own, so that nothing a test leaves behind outlives it:
//!
//! ```text
//! test process ── PID 1: the init under test          Launch::start
//!              └─ PID 1: nanny ── the init under test Launch::nested: not PID 1, survivors stay visible
//! ```
//!
//! Inside, whatever the machine's directories are called, stand
//!
//! | path | what |
//! | --- | --- |
//! | [`INIT`] | the binary under test: `$RINIT_BIN`, else the one that cargo has just built |
//! | [`Init::AS_TINI`], … | the same under the names of its peers |
//! | [`PROBE`] | a helper that reports what it was given ([`probe`]); it is the test's own executable |
//! | [`FILES`] | this start's own directory, the only place that is always writable |
//!
//! With `RINIT_BARE=1` every start happens on a read-only root with an empty, read-only `/run` and
//! `/tmp`, which is how careful people run containers: the whole suite must pass there too.
//!
//! Root is needed for more than one user id; otherwise a user namespace is made and the tests of
//! `user = …` say that they cannot be run.

// Each test file compiles its own copy and uses a part of it.
#![allow(dead_code, unused_imports, missing_docs)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that meets the unexpected is to stop, loudly"
)]

mod client;
mod inits;
mod launch;
mod probe;
mod process;
mod running;
mod sandbox;

pub use client::Client;
pub use inits::{Init, Kind};
pub use launch::Launch;
pub use probe::now_ns;
pub use process::{Process, has_signal};
pub use running::{Ended, Running};

use std::time::{Duration, Instant};

/// The binary under test, inside.
pub const INIT: &str = "/mnt/rinit";
/// The helper program, inside.
pub const PROBE: &str = "/mnt/probe";
/// The directory of this start's files, inside.
pub const FILES: &str = "/mnt/files";

/// How long anything may take that has no bound of its own. Generous: it is reached by bugs alone.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Milliseconds, shorter.
pub const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A stop with nothing to wait for. Far below every grace, far above a busy machine's hiccup.
pub const AT_ONCE: Duration = ms(1500);

/// Waits until `condition` holds, and fails the test when it does not within [`PATIENCE`].
#[track_caller]
pub fn eventually(what: &str, condition: impl FnMut() -> bool) {
    eventually_within(PATIENCE, what, condition);
}

/// Waits until `condition` holds, and fails the test when it does not within `patience`.
#[track_caller]
pub fn eventually_within(patience: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < patience, "not within {patience:?}: {what}");
        std::thread::sleep(ms(1));
    }
}

/// Fails the test unless more than one user id is at hand.
#[track_caller]
pub fn needs_root() {
    // SAFETY: reads a number.
    let uid = unsafe { libc::geteuid() };
    assert_eq!(uid, 0, "this test gives processes to other users: run `cargo test` as root");
}

/// Every signal that a process can catch, except SIGCHLD, which means something else to an init,
/// and 32 and 33, which belong to the C library.
pub fn catchable_signals() -> impl Iterator<Item = i32> {
    (1..=64).filter(|n| ![libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD, 32, 33].contains(n))
}
