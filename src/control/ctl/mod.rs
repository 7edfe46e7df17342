//! rinitctl: asks the rinit that is PID 1, and gives it orders. Its own process, so it may wait, and allocate; nothing
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
mod status;
mod table;
mod timeline;
mod wait;

use crate::exit_code::{FAILURE, USAGE};
use crate::sys::event::clock;
use crate::sys::event::signals::{self, Inherited};
use crate::sys::stdio;
use crate::text::units;
use arguments::Arguments;
use client::CtlClient;
use std::ffi::CStr;
use table::{HELP, SOCKET, TIMEOUT, VERSION};

/// Why a verb was not done: the exit code, and a line for the user (empty: all is said).
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

/// A command line, and how the world around it is.
struct CtlRequest<'a> {
    arguments: &'a Arguments,
    inherited: Inherited,
}

impl CtlRequest<'_> {
    /// Connects to rinit.
    fn connect(&self) -> Result<CtlClient, CtlError> {
        CtlClient::connect(self.arguments.value(&SOCKET), None)
    }

    /// When `--timeout` is over.
    fn deadline(&self) -> Result<Option<crate::model::Moment>, CtlError> {
        let Some(text) = self.arguments.value(&TIMEOUT) else { return Ok(None) };
        let span =
            units::duration(text).map_err(|why| CtlError::new(USAGE, format!("--timeout {text}: {why}")))?;
        Ok(Some(clock::now().after(span)))
    }
}

/// The words behind the name, where the file is started as rinitctl, or with `--ctl`.
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

/// Does what the words ask for; the exit code.
#[cold]
#[inline(never)]
pub fn run(words: &[&CStr], inherited: Inherited) -> u8 {
    // It is no init: Ctrl-C ends it, and a pipe that nobody reads.
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

/// Writes to standard output; the exit code. Who closes it has seen enough.
fn print(text: &str) -> u8 {
    if stdio::write_all(1, text.as_bytes()) { 0 } else { FAILURE }
}

/// Writes a line to standard error.
fn complain(text: &str) {
    let line = ["rinitctl: ", &crate::text::escape::printable(text), "\n"].concat();
    stdio::write_all(2, line.as_bytes());
}
