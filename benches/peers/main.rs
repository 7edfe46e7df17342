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

mod idle;
mod launch;
mod pidns;
mod procs;
mod programs;
mod reaping;
mod restart;
mod resting;
mod services;
mod signal;
mod table;
mod thousand;

use programs::Programs;
use table::Table;

/// What the command line asks for.
pub struct Options {
    markdown: bool,
    /// A tenth of the samples: to see whether it works.
    quick: bool,
    wanted: Vec<String>,
}

impl Options {
    /// How many samples are taken where a careful run takes `count`.
    pub fn samples(&self, count: usize) -> usize {
        if self.quick { (count / 10).max(3) } else { count }
    }
}

type Subject = fn(&Programs, &Options) -> Vec<Table>;

const SUBJECTS: [(&str, Subject); 11] = [
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
    let mut options = Options { markdown: false, quick: false, wanted: Vec::new() };
    for word in std::env::args().skip(1) {
        match word.as_str() {
            "--markdown" => options.markdown = true,
            "--quick" => options.quick = true,
            "--bench" => {} // cargo's own
            word if SUBJECTS.iter().any(|(name, _)| *name == word) => options.wanted.push(word.to_owned()),
            word => {
                let names: Vec<&str> = SUBJECTS.iter().map(|(name, _)| *name).collect();
                eprintln!("no subject {word}: there are {}", names.join(", "));
                std::process::exit(64);
            }
        }
    }
    // SAFETY: reads a number.
    if unsafe { libc::geteuid() } != 0 {
        eprintln!("a PID namespace of its own for every start needs root");
        std::process::exit(77);
    }
    let programs = Programs::find();
    let mut bars = Vec::new();
    let mut tables = String::new();
    for (name, subject) in SUBJECTS {
        if options.wanted.is_empty() || options.wanted.iter().any(|wanted| wanted == name) {
            for table in subject(&programs, &options) {
                let text = table.text(options.markdown);
                if options.markdown {
                    tables.push_str(&text); // After the bars.
                } else {
                    print!("{text}");
                }
                bars.extend(table.judged());
            }
        }
    }
    let bars = table::bars(&bars, options.markdown);
    if options.markdown {
        print!("{}{bars}\n## The figures\n\n{tables}", programs.preface());
    } else {
        print!("{bars}");
    }
}
