//! Parses the command line. Pure: looks nothing up, prints nothing.

pub use compat::{Answer, Persona, Variable};
pub use options::help;

use crate::model::Signal;
use crate::text::gather::Gather;
use crate::text::suggest::did_you_mean;
use crate::text::template::fill;
use crate::text::words::words;
use options::{Applied, OPTIONS, OptionSpec};
use std::ffi::{CStr, CString};
use std::time::Duration;

/// The result of parsing.
#[derive(Clone, PartialEq, Debug)]
pub enum Parsed {
    /// `--help`.
    Help,
    /// `--version`.
    Version,
    /// A fixed answer in the name of another init.
    Answer(Answer),
    /// Anything else.
    Run(Invocation),
}

/// What to do with the configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// Check, then supervise.
    #[default]
    Supervise,
    /// Check, then execute the command in place of rinit.
    Exec,
    /// Check and report.
    Check,
    /// Report faults of the configuration.
    Validate,
    /// Explain what would be done.
    Explain,
    /// Write checks that describe this container.
    Record,
    /// Document the environment variables.
    EnvDocs,
}

/// The format of a report of checks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Format {
    /// Human-readable.
    #[default]
    Human,
    /// One JSON object.
    Json,
    /// Test Anything Protocol.
    Tap,
    /// JUnit XML.
    Junit,
}

words!(Format { "human" => Human, "json" => Json, "tap" => Tap, "junit" => Junit });

/// The format of rinit's log lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LogFormat {
    /// `rinit: web: exited with code 3`.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

words!(LogFormat { "text" => Text, "json" => Json });

/// The level of rinit's log lines.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LogLevel {
    /// Failures that end the container.
    Error,
    /// Likely mistakes.
    Warn,
    /// Events of services.
    Info,
    /// Events of rinit itself.
    Debug,
    /// Everything.
    Trace,
}

words!(LogLevel { "error" => Error, "warn" => Warn, "info" => Info, "debug" => Debug, "trace" => Trace });

/// A command line that runs something.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Invocation {
    /// The init to imitate, from the name that rinit was started under.
    pub persona: Persona,
    /// dumb-init's default: the command gets its own session with the terminal.
    pub session: bool,
    /// catatonit's `-P`: no command; reap until TERM or INT.
    pub pause: bool,
    /// `--config` paths in order.
    pub config: Vec<String>,
    /// The mode.
    pub mode: Mode,
    /// `--format`.
    pub format: Format,
    /// `--only`: kinds or names of checks.
    pub only: Vec<String>,
    /// `--skip`: kinds or names of checks.
    pub skip: Vec<String>,
    /// `--profile`, and `RINIT_PROFILES`.
    pub profiles: Vec<String>,
    /// `-g`: signals go to the command's process group.
    pub group: bool,
    /// `-s`: become a subreaper; rinit does this anyway if it is not PID 1.
    pub subreaper: bool,
    /// `-p`: the signal that rinit gets when its parent dies.
    pub pdeathsig: Option<Signal>,
    /// `-w`: warn about every reaped orphan.
    pub warn_on_reap: bool,
    /// `-e`: exit codes of the command that are replaced by 0.
    pub remap: Vec<u8>,
    /// The number of `-v`.
    pub verbosity: u8,
    /// `-r`: a signal and its replacement; `None` drops it.
    pub rewrites: Vec<(Signal, Option<Signal>)>,
    /// `-q`.
    pub quiet: bool,
    /// `--log-level`.
    pub log_level: Option<LogLevel>,
    /// `--log-format`.
    pub log_format: Option<LogFormat>,
    /// `--kill-after`: how long leftovers of the command may take to stop. Zero: they are left alone.
    pub kill_after: Option<Duration>,
    /// The COMMAND and its arguments, as bytes.
    pub command: Vec<CString>,
}

/// The output of `-l`, and of catatonit's `-L`.
const LICENSE: &str = include_str!("../../LICENSE");

/// Parses the arguments, starting with the program's name, and the variables that replace some of them. The error is
/// one line for the user.
pub fn parse(arguments: &[&CStr], variable: Variable<'_>) -> Result<Parsed, String> {
    let mut rest = arguments.iter();
    let persona = rest.next().map_or(Persona::Rinit, |name| Persona::of(name.to_bytes()));
    if persona != Persona::Rinit {
        return compat::parse(persona, arguments, variable);
    }
    let mut invocation = Invocation {
        group: variable("TINI_KILL_PROCESS_GROUP").is_some(),
        verbosity: u8::from(variable("DUMB_INIT_DEBUG") == Some(b"1")),
        ..Invocation::default()
    };
    while let Some(argument) = rest.as_slice().first() {
        let word = argument.to_bytes();
        if !word.starts_with(b"-") || word == b"-" {
            break;
        }
        rest.next();
        if word == b"--" {
            break;
        }
        let text =
            argument.to_str().map_err(|_| fill!("unknown option \"{}\"", argument.to_string_lossy()))?;
        let special = match text.strip_prefix("--") {
            Some(long) => long_option(&mut invocation, long, &mut rest)?,
            None => short_options(&mut invocation, text.strip_prefix('-').unwrap_or(text), &mut rest)?,
        };
        if let Some(special) = special {
            return Ok(special);
        }
    }
    invocation.command = rest.map(|word| CString::from(*word)).gather();
    misplaced_file(&invocation)?;
    if invocation.log_level.is_none() && invocation.verbosity == 0 && !invocation.quiet {
        invocation.log_level = compat::tini_level(variable);
    }
    Ok(Parsed::Run(invocation))
}

/// The hint if `docker run IMAGE --appendonly yes` passes options of the COMMAND to rinit.
const BEHIND_DASHES: &str = "rinit --help lists them; those of the COMMAND go behind --, which an image writes as \
    ENTRYPOINT [\"/sbin/rinit\", \"--\"]";

/// Rejects a configuration file in the place of the COMMAND, in a mode that only inspects.
fn misplaced_file(invocation: &Invocation) -> Result<(), String> {
    const ENDINGS: [&str; 8] = [".toml", ".d", "/", ".yaml", ".yml", ".json", ".ini", ".conf"];
    let option = match invocation.mode {
        Mode::Check => "--check",
        Mode::Validate => "--validate",
        Mode::Explain => "--explain",
        Mode::EnvDocs => "--env-docs",
        Mode::Supervise | Mode::Exec | Mode::Record => return Ok(()),
    };
    match invocation.command.first().and_then(|word| word.to_str().ok()) {
        Some(file) if ENDINGS.iter().any(|ending| file.ends_with(ending)) => Err(fill!(
            "{}: {} stands where a COMMAND goes; a configuration is named with --config: rinit {} --config {}",
            option,
            file,
            option,
            file
        )),
        _ => Ok(()),
    }
}

type Rest<'r, 'a> = std::slice::Iter<'r, &'a CStr>;

fn long_option(
    invocation: &mut Invocation,
    text: &str,
    rest: &mut Rest<'_, '_>,
) -> Result<Option<Parsed>, String> {
    let (name, inline) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    let Some(option) = OptionSpec::by_long(name) else {
        let hint = did_you_mean(name, OPTIONS.iter().map(|option| option.long)).replace('"', "");
        let hint = hint.replace("mean ", "mean --");
        return Err(format!("unknown option --{name}{hint}; {BEHIND_DASHES}"));
    };
    if option.takes_value() {
        return apply(invocation, option, &value(&fill!("--{}", name), inline, rest)?);
    }
    match inline {
        None => apply(invocation, option, ""),
        Some(_) => Err(fill!("--{} takes no value", name)),
    }
}

fn short_options(
    invocation: &mut Invocation,
    letters: &str,
    rest: &mut Rest<'_, '_>,
) -> Result<Option<Parsed>, String> {
    for (at, letter) in letters.char_indices() {
        let Some(option) = OptionSpec::by_short(letter) else {
            return Err(format!("unknown option -{letter}; {BEHIND_DASHES}"));
        };
        if option.takes_value() {
            let attached = letters.get(at + letter.len_utf8()..).filter(|tail| !tail.is_empty());
            return apply(invocation, option, &value(&format!("-{letter}"), attached, rest)?);
        }
        if let Some(special) = apply(invocation, option, "")? {
            return Ok(Some(special));
        }
    }
    Ok(None)
}

fn value(option: &str, given: Option<&str>, rest: &mut Rest<'_, '_>) -> Result<String, String> {
    if let Some(value) = given {
        return Ok(value.to_string());
    }
    let next = rest.next().ok_or_else(|| fill!("{} needs a value", option))?;
    next.to_str().map(str::to_string).map_err(|_| fill!("{}: the value is not UTF-8", option))
}

fn apply(invocation: &mut Invocation, option: &OptionSpec, value: &str) -> Applied {
    (option.apply)(invocation, value).map_err(|why| match option.takes_value() {
        true => fill!("--{} {}: {}", option.long, value, why),
        false => why,
    })
}

fn mode(invocation: &mut Invocation, mode: Mode) -> Applied {
    if invocation.mode != Mode::Supervise && invocation.mode != mode {
        return Err(
            "--exec, --check, --record, --env-docs, --validate and --explain exclude each other".into()
        );
    }
    invocation.mode = mode;
    Ok(None)
}

fn signal(text: &str) -> Result<Signal, String> {
    crate::config::read::table::signal(text)
}

/// Parses dumb-init's `FROM:TO`, also with signal names.
fn rewrite(text: &str) -> Result<(Signal, Option<Signal>), String> {
    let (from, to) = text.split_once(':').ok_or("expected FROM:TO, such as 15:3 or TERM:QUIT")?;
    let to = if to.trim() == "0" { None } else { Some(signal(to)?) };
    Ok((signal(from)?, to))
}

mod compat;
pub mod options;
#[cfg(test)]
mod tests;
