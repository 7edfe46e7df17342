//! rinit beside its peers: `cargo bench --bench peers [-- [--markdown] [--quick] SUBJECT…]`.
//!
//! Every program is PID 1 of a fresh PID namespace (so root is needed), takes its turn after the others
//! in every round, and lies on a disk. What is measured, and against which bar, is said by the subjects:
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
//! `RINIT_BIN` names the binary under test (else the musl release build is taken), `RINIT_SMALL` a second
//! one, e.g. the one that is released.
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
