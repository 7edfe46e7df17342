//! Runs real processes in real namespaces: the basis of all integration tests.
//!
//! A test describes a start ([`Launch`]), inspects what runs ([`Running`]) and waits for conditions ([`eventually`]);
//! it never sleeps to synchronise. Each start has a new PID and mount namespace with its own `/proc`, so nothing that
//! a test leaves behind survives it:
//!
//! ```text
//! test process ── PID 1: the init under test          Launch::start
//!              └─ PID 1: nanny ── the init under test Launch::nested: not PID 1, survivors stay visible
//! ```
//!
//! Inside the namespace, regardless of the machine's directories:
//!
//! | path | what |
//! | --- | --- |
//! | [`INIT`] | the binary under test: `$RINIT_BIN`, else the one that cargo has just built |
//! | [`Init::AS_TINI`], … | the same under the names of its peers |
//! | [`PROBE`] | a helper that reports what it was given ([`probe`]); it is the test's own executable |
//! | [`FILES`] | this start's own directory, the only place that is always writable |
//!
//! With `RINIT_BARE=1` every start has a read-only root with an empty, read-only `/run` and `/tmp`, like a hardened
//! container: the whole suite must pass there too.
//!
//! More than one user id needs root; otherwise a user namespace is used, and the tests of `user = …` report that they
//! cannot run.

// Not every helper is used in every build.
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

/// The path of the binary under test, inside.
pub const INIT: &str = "/mnt/rinit";
/// The path of the helper program, inside.
pub const PROBE: &str = "/mnt/probe";
/// The directory of this start's files, inside.
pub const FILES: &str = "/mnt/files";

/// The default time limit. Generous: only bugs reach it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Returns a duration in milliseconds.
pub const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// The time limit of a stop with nothing to wait for. Far below every grace period, far above delays of a busy
/// machine.
pub const AT_ONCE: Duration = ms(1500);

/// Waits until `condition` holds; fails the test after [`PATIENCE`].
#[track_caller]
pub fn eventually(what: &str, condition: impl FnMut() -> bool) {
    eventually_within(PATIENCE, what, condition);
}

/// Waits until `condition` holds; fails the test after `patience`.
#[track_caller]
pub fn eventually_within(patience: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < patience, "not within {patience:?}: {what}");
        std::thread::sleep(ms(1));
    }
}

/// Fails the test if only one user id is available.
#[track_caller]
pub fn needs_root() {
    // SAFETY: no arguments.
    let uid = unsafe { libc::geteuid() };
    assert_eq!(uid, 0, "this test gives processes to other users: run `cargo test` as root");
}

/// All signals that a process can catch, except SIGCHLD, which is special for an init, and 32 and 33, which the C
/// library uses.
pub fn catchable_signals() -> impl Iterator<Item = i32> {
    (1..=64).filter(|n| ![libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD, 32, 33].contains(n))
}
