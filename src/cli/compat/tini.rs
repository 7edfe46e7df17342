//! tini 0.19.0, and docker-init, which is identical.

use super::{Options, Persona, Variable, answer, invocation, version};
use crate::cli::{LogLevel, Parsed, signal};
use crate::model::Signal;
use crate::text::template::fill;

const VERSION: &str = version!("tini version 0.19.0");

const USAGE: &str = " [OPTIONS] PROGRAM -- [ARGS] | --version

Execute a program under the supervision of a valid init process (rinit, in place of tini)

Command line options:

  --version: Show version and exit.
  -h: Show this help message and exit.
  -s: Register as a process subreaper, when not PID 1.
  -p SIGNAL: Take SIGNAL when the parent dies, e.g. \"-p SIGKILL\".
  -v: Say more; up to three times.
  -w: Print a warning for each zombie that is reaped.
  -g: Send signals to the child's process group.
  -e EXIT_CODE: Remap EXIT_CODE (from 0 to 255) to 0 (can be repeated).
  -l: Show license and exit.

Environment variables:

  TINI_SUBREAPER: As -s.
  TINI_VERBOSITY: 0 to 4 (default: 1).
  TINI_KILL_PROCESS_GROUP: As -g.
";

pub(crate) fn parse(options: &mut Options<'_>, variable: Variable<'_>) -> Result<Parsed, String> {
    if options.rest == [c"--version"] {
        return answer(1, 0, VERSION.into());
    }
    options.letters = b"p:hvwgle:s";
    let base = options.base();
    let usage = |fd, code, why: &str| {
        answer(fd, code, fill!("{}{} ({})\nUsage: {}{}", why, base, VERSION.trim_ascii_end(), base, USAGE))
    };
    let mut asked = invocation(Persona::Tini, &[Signal::TTIN, Signal::TTOU]);
    let mut verbosity = 1_i32;
    loop {
        match options.next() {
            Err(why) => return usage(2, 1, &why),
            Ok(None) => break,
            Ok(Some((b'p', value))) => {
                let named = str::from_utf8(value).ok().filter(|text| text.starts_with("SIG"));
                // tini knows no names of real-time signals.
                let taken = named.and_then(|text| signal(text).ok()).filter(|signal| signal.number() < 32);
                asked.pdeathsig = Some(taken.ok_or_else(|| wrong("-p: ", value))?);
            }
            Ok(Some((b'e', value))) => {
                let code = str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                asked.remap.push(code.ok_or_else(|| wrong("-e: ", value))?);
            }
            Ok(Some((b'v', _))) => verbosity += 1,
            Ok(Some((b'w', _))) => asked.warn_on_reap = true,
            Ok(Some((b'g', _))) => asked.group = true,
            Ok(Some((b's', _))) => asked.subreaper = true,
            Ok(Some((b'l', _))) => return answer(1, 0, crate::cli::LICENSE.into()),
            Ok(Some(_)) => return usage(1, 0, ""),
        }
    }
    asked.command = options.command();
    if asked.command.is_empty() {
        return usage(2, 1, "");
    }
    asked.subreaper |= variable("TINI_SUBREAPER").is_some();
    asked.group |= variable("TINI_KILL_PROCESS_GROUP").is_some();
    asked.log_level = Some(level(variable).unwrap_or_else(|| of(verbosity)));
    Ok(Parsed::Run(asked))
}

fn wrong(what: &str, value: &[u8]) -> String {
    fill!("Not a valid option for {}{}", what, &String::from_utf8_lossy(value))
}

/// Returns the level of `TINI_VERBOSITY`, which overrides `-v`; a value that is not a number is 0, as with atoi(3).
pub(in crate::cli) fn level(variable: Variable<'_>) -> Option<LogLevel> {
    let value = variable("TINI_VERBOSITY")?;
    Some(of(str::from_utf8(value).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)))
}

fn of(verbosity: i32) -> LogLevel {
    match verbosity {
        ..=0 => LogLevel::Error,
        1 => LogLevel::Warn,
        2 => LogLevel::Info,
        3 => LogLevel::Debug,
        4.. => LogLevel::Trace,
    }
}
