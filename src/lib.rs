//! rinit: the init process for containers.
//!
//! One file that an image starts as PID 1. It checks the environment that the container was given,
//! starts and supervises services, forwards signals, reaps orphans, and ends with a truthful exit code.
//!
//! # How it is built
//!
//! A pure core decides; a thin shell acts.
//!
//! - [`supervisor`] is the core. [`supervisor::Supervisor::step`] is told one event and answers with
//!   actions; `deadline` says when it wants to be woken. It has no I/O, no clock and no Linux: time is an
//!   argument. Its whole vocabulary is one page, [`supervisor::event`].
//! - [`sys`] is the shell: the only place that names nix, libc or signal_hook, and the only one with `unsafe`.
//! - [`runtime`] joins them: wait, tell the core what happened, do what it answers. One thread, one wait.
//! - [`config`] turns text into a plan in three steps: `source` (files, the TOML parser, the merge), `read` (typed
//!   values), `resolve` (services and their graph). Every fault of every file is found in one run and knows its place.
//! - [`checks`] judge facts about the container: `kinds` has one file a kind, `run` the processes in which whatever may
//!   block is done, `facts` what can be looked at, `report` the words for the user.
//! - [`prepare`] does what is to be done between the checks and the first service, in a helper process.
//! - [`logs`] carry what services write, in a process of their own: PID 1 makes the pipes and copies no byte.
//! - [`launch`] is the way from the command line ([`cli`]) to the loop: read, check, resolve, run.
//! - [`service`] makes a service's process, and [`diagnosis`] says why there is none, or why it ended early.
//! - [`control`] is the socket over which clients see what runs and order it about (`docs/control.md`).
//! - [`output`] is how rinit speaks. [`received`] tells whose signals are meant for whom,
//!   [`exit_code`] what each exit code means.
//! - [`model`] has the nouns that all share, [`text`] what is done with strings alone.
//!
//! # Who may use whom
//!
//! `tests/layering.rs` reads this table and holds the code to it: what is not listed is not allowed. `supervisor` and
//! `sys` never see each other, and `config` sees nothing of either but the walk over the graph of services
//! ([`supervisor::graph`]).
//!
//! | module | may use |
//! | --- | --- |
//! | `text` | |
//! | `model` | `text` |
//! | `exit_code` | `model` |
//! | `cli` | `config`, `model`, `text` |
//! | `config` | `model`, `supervisor`, `text` |
//! | `supervisor` | `exit_code`, `model` |
//! | `sys` | `model`, `text` |
//! | `diagnosis` | `config`, `exit_code`, `model`, `sys`, `text` |
//! | `output` | `cli`, `model`, `supervisor`, `sys`, `text` |
//! | `logs` | `cli`, `config`, `model`, `output`, `sys`, `text` |
//! | `received` | `model`, `supervisor`, `sys` |
//! | `service` | `cli`, `config`, `diagnosis`, `exit_code`, `model`, `output`, `sys`, `text` |
//! | `checks` | `cli`, `config`, `diagnosis`, `model`, `output`, `received`, `sys`, `text` |
//! | `prepare` | `checks`, `cli`, `config`, `diagnosis`, `exit_code`, `model`, `output`, `service`, `sys`, `text` |
//! | `control` | `cli`, `config`, `exit_code`, `model`, `service`, `supervisor`, `sys`, `text` |
//! | `runtime` | `checks`, `cli`, `config`, `control`, `diagnosis`, `exit_code`, `logs`, `model`, `output`, `received`, `service`, `supervisor`, `sys`, `text` |
//! | `launch` | `checks`, `cli`, `config`, `diagnosis`, `exit_code`, `logs`, `model`, `output`, `prepare`, `received`, `runtime`, `service`, `supervisor`, `sys`, `text` |
//!
//! # What always holds
//!
//! - PID 1 does not panic: `unwrap`, `expect`, `panic!`, indexing and the print macros are denied.
//! - PID 1 waits for nothing but its one wait, [`sys::event::poll`].
//! - Every child is reaped in one place, [`sys::process::reap`]; nobody else waits for a process.
//! - Every signal is blocked, always, and taken by the one wait; none is lost, whatever rinit was given.
//! - Only CLOCK_MONOTONIC drives a timer, but for `schedule`, which is about the wall clock; and a timer is a field of the
//!   core, not an object.
//! - Nothing is written to disk, but the last words to `/dev/termination-log` where that exists.

pub mod checks;
pub mod cli;
pub mod config;
pub mod control;
pub mod diagnosis;
pub mod exit_code;
pub mod launch;
pub mod logs;
pub mod model;
pub mod output;
pub mod prepare;
pub mod received;
pub mod runtime;
pub mod service;
pub mod supervisor;
pub mod sys;
pub mod text;

use std::ffi::{c_char, c_int};

/// Runs rinit on the arguments of C's `main`, and returns its exit code.
#[must_use]
pub fn run(argc: c_int, argv: *const *const c_char) -> u8 {
    sys::stdio::fill_gaps();
    // First of all: from here on no signal is lost.
    let inherited = sys::event::signals::take_over();
    let arguments = sys::args::arguments(argc, argv);
    if let Some(words) = control::ctl::asked(&arguments) {
        return control::ctl::run(words, inherited);
    }
    if let Some(words) = prepare::hooks::oneshot::asked(&arguments) {
        return prepare::hooks::oneshot::run(words);
    }
    let code = match cli::parse(&arguments, &sys::args::variable) {
        Ok(cli::Parsed::Help) => launch::answer(&cli::help(), exit_code::SUCCESS),
        Ok(cli::Parsed::Version) => {
            launch::answer(concat!("rinit ", env!("CARGO_PKG_VERSION"), "\n"), exit_code::SUCCESS)
        }
        Ok(cli::Parsed::Answer(answer)) => {
            match sys::write::answer(answer.fd, answer.text.as_bytes()) {
                Err(sys::write::Unwritten::Signal(signal)) => exit_code::of_signal(signal),
                // Of an answer that could not be written the init that rinit stands in for makes nothing.
                _ => answer.code,
            }
        }
        Ok(cli::Parsed::Run(invocation)) => launch::launch(&invocation, inherited),
        Err(why) => {
            let persona = cli::Persona::of(arguments.first().map_or(b"", |name| name.to_bytes()));
            output::install(cli::LogLevel::Error, cli::LogFormat::Text, persona);
            let why = text::escape::on_one_line(&why);
            output::line(cli::LogLevel::Error, "", &why);
            launch::last_words(&why);
            if persona == cli::Persona::Rinit { exit_code::USAGE } else { exit_code::FAILURE }
        }
    };
    output::finish();
    code
}
