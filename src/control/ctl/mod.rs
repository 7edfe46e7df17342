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
mod logs;
mod metrics;
mod names;
mod orders;
mod picture;
mod status;
mod table;
mod timeline;
mod wait;

use crate::sys::event::clock;
use crate::sys::event::signals::{self, Inherited};
use crate::sys::stdio;
use crate::text::units;
use arguments::Arguments;
use client::Client;
use std::ffi::CStr;
use table::{HELP, SOCKET, TIMEOUT, VERSION};

/// What was asked for did not come.
const FAILED: u8 = 1;
/// `status`: a service that was named does not run (LSB, supervisorctl, systemctl).
const NOT_RUNNING: u8 = 3;
/// There is no service of that name.
const UNKNOWN: u8 = 4;
/// No rinit answers.
const UNREACHED: u8 = 69;
/// rinit does not let this user (EX_NOPERM).
const DENIED: u8 = 77;
/// The time is over, as timeout(1) has it.
const TIMED_OUT: u8 = 124;

/// Why a verb was not done: the exit code, and a line for the user (empty: all is said).
#[derive(Clone, PartialEq, Eq, Debug)]
struct Failure {
    code: u8,
    text: String,
}

impl Failure {
    fn new(code: u8, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

/// A command line, and how the world around it is.
struct Request<'a> {
    arguments: &'a Arguments,
    inherited: Inherited,
}

impl Request<'_> {
    /// Connects to rinit.
    fn connect(&self) -> Result<Client, Failure> {
        Client::connect(self.arguments.value(&SOCKET), None)
    }

    /// When `--timeout` is over.
    fn deadline(&self) -> Result<Option<crate::model::Moment>, Failure> {
        let Some(text) = self.arguments.value(&TIMEOUT) else { return Ok(None) };
        let span = units::duration(text)
            .map_err(|why| Failure::new(crate::launch::USAGE, format!("--timeout {text}: {why}")))?;
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
            return crate::launch::USAGE;
        }
    };
    if arguments.has(&HELP) {
        let named = words.iter().any(|word| word.to_bytes() == arguments.verb.name.as_bytes());
        return print(&arguments::help(named.then_some(arguments.verb)));
    }
    if arguments.has(&VERSION) {
        return print(concat!("rinitctl ", env!("CARGO_PKG_VERSION"), "\n"));
    }
    let request = Request { arguments: &arguments, inherited };
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
    if stdio::write_all(1, text.as_bytes()) { 0 } else { FAILED }
}

/// Writes a line to standard error.
fn complain(text: &str) {
    let line = ["rinitctl: ", &crate::text::escape::printable(text), "\n"].concat();
    stdio::write_all(2, line.as_bytes());
}
