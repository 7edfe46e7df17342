//! rinitctl: queries and controls the rinit that is PID 1. A process of its own, so it may block and allocate; nothing
//! here runs in PID 1.

mod arguments;
mod check;
mod client;
mod completions;
mod events;
mod exec;
mod graph;
mod health;
pub mod http;
mod logs;
mod metrics;
mod names;
mod orders;
mod picture;
mod rolling;
mod status;
mod table;
mod timeline;
mod wait;

use crate::exit_code::{FAILURE, USAGE};
use crate::sys::event::clock;
use crate::sys::event::signals::{self, Inherited};
use crate::sys::stdio;
use crate::text::template::fill;
use crate::text::units;
use arguments::Arguments;
use client::CtlClient;
use std::ffi::CStr;
use table::{HELP, SOCKET, TIMEOUT, VERSION};

/// Why a verb failed: the exit code, and a line for the user (empty: already reported).
#[derive(Clone, PartialEq, Eq, Debug)]
struct CtlError {
    code: u8,
    text: String,
}

impl CtlError {
    fn new(code: u8, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

/// A parsed command line with its context.
struct CtlRequest<'a> {
    arguments: &'a Arguments,
    inherited: Inherited,
}

impl CtlRequest<'_> {
    /// Connects to rinit.
    fn connect(&self) -> Result<CtlClient, CtlError> {
        CtlClient::connect(self.arguments.value(&SOCKET), None)
    }

    /// Returns the deadline set by `--timeout`.
    fn deadline(&self) -> Result<Option<crate::model::Moment>, CtlError> {
        let Some(text) = self.arguments.value(&TIMEOUT) else { return Ok(None) };
        let span = units::duration(text)
            .map_err(|why| CtlError::new(USAGE, fill!("--timeout {}: {}", text, why)))?;
        Ok(Some(clock::now().after(span)))
    }
}

/// Returns the words after the name, if started as rinitctl or with `--ctl`.
#[must_use]
pub fn asked<'w, 'a>(words: &'w [&'a CStr]) -> Option<&'w [&'a CStr]> {
    let (name, rest) = words.split_first()?;
    let base = name.to_bytes().rsplit(|byte| *byte == b'/').next()?;
    if base.starts_with(b"rinitctl") {
        return Some(rest);
    }
    let (first, rest) = rest.split_first()?;
    (first.to_bytes() == b"--ctl").then_some(rest)
}

/// Runs rinitctl; returns the exit code.
#[cold]
#[inline(never)]
pub fn run(words: &[&CStr], inherited: Inherited) -> u8 {
    // Not an init: Ctrl-C and a closed pipe end it.
    signals::give_back(&inherited);
    let arguments = match arguments::parse(words) {
        Ok(arguments) => arguments,
        Err(why) => {
            complain(&why);
            return USAGE;
        }
    };
    if arguments.has(&HELP) {
        let named = words.iter().any(|word| word.to_bytes() == arguments.verb.name.as_bytes());
        return print(&arguments::help(named.then_some(arguments.verb)));
    }
    if arguments.has(&VERSION) {
        return print(concat!("rinitctl ", env!("CARGO_PKG_VERSION"), "\n"));
    }
    let request = CtlRequest { arguments: &arguments, inherited };
    match (arguments.verb.run)(&request) {
        Ok(code) => code,
        Err(failure) => {
            if !failure.text.is_empty() {
                complain(&failure.text);
            }
            failure.code
        }
    }
}

/// Writes to standard output; returns the exit code. A reader that closes early is no failure.
fn print(text: &str) -> u8 {
    if stdio::write_all(1, text.as_bytes()) { 0 } else { FAILURE }
}

/// Writes a line to standard error.
fn complain(text: &str) {
    let line = fill!("rinitctl: {}\n", &crate::text::escape::printable(text));
    stdio::write_all(2, line.as_bytes());
}
