//! rinit beside its peers: `cargo bench --bench peers [-- [--markdown] [--quick] SUBJECT…]`.
//!
//! Each program is on disk, and runs as PID 1 of a new PID namespace (so root is needed), once per round, in turn. The
//! subjects define what is measured, and the bars:
//!
//! | subject | file |
//! | --- | --- |
//! | `size`, `memory` | `resting.rs` |
//! | `launch`, `run`, `configured` | `launch.rs` |
//! | `orphans`, `blow` | `reaping.rs` |
//! | `signal` | `signal.rs` |
//! | `restart` | `restart.rs` |
//! | `thousand` | `thousand.rs` |
//! | `idle` | `idle.rs` |
//!
//! `RINIT_BIN` names the binary under test (default: the musl release build), `RINIT_SMALL` a second one, e.g. the
//! released one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement that meets the unexpected is to stop, loudly"
)]

#[path = "../common/mod.rs"]
mod common;
mod fifo;
mod idle;
mod launch;
mod procs;
mod programs;
mod reaping;
mod restart;
mod resting;
mod services;
mod signal;
mod thousand;

use common::{Options, Subject};
use programs::Programs;

const SUBJECTS: [Subject<Programs>; 11] = [
    ("size", resting::size),
    ("memory", resting::memory),
    ("launch", launch::launch),
    ("run", launch::run),
    ("configured", launch::configured),
    ("orphans", reaping::orphans),
    ("blow", reaping::blow),
    ("signal", signal::signal),
    ("restart", restart::restart),
    ("thousand", thousand::thousand),
    ("idle", idle::idle),
];

fn main() {
    let options = Options::read(&SUBJECTS);
    let programs = Programs::find();
    options.measure(&SUBJECTS, &programs, || programs.preface());
}
