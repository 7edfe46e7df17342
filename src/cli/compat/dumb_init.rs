//! dumb-init 1.2.5.

use super::{Options, Persona, Variable, answer, invocation, version};
use crate::cli::{LogLevel, Parsed};
use crate::model::Signal;
use crate::text::template::fill;

const VERSION: &str = version!("dumb-init v1.2.5");

const HELP: &str = " [option] command [[arg] ...]

Runs a command below an init that forwards signals to all of its session.

  -c, --single-child   no session: signals go to the command alone (DUMB_INIT_SETSID=0)
  -r, --rewrite s:r    send the signal r (1 to 31) in place of s, or none (0); may be repeated
  -v, --verbose        say what is done (DUMB_INIT_DEBUG=1)
  -h, --help           print this
  -V, --version        print the version
";

const REWRITE: &str = "\
Usage: -r option takes <signum>:<signum>, where <signum> is between 1 and 31.
This option can be specified multiple times.
Use --help for full usage.
";

const LONG: &[(&str, u8)] =
    &[("help", b'h'), ("single-child", b'c'), ("rewrite", b'r'), ("verbose", b'v'), ("version", b'V')];

pub(crate) fn parse(options: &mut Options<'_>, variable: Variable<'_>) -> Result<Parsed, String> {
    options.letters = b"hvVcr:";
    options.long = LONG;
    let name = options.name;
    let mut asked = invocation(Persona::DumbInit, &[]);
    let mut verbose = variable("DUMB_INIT_DEBUG") == Some(b"1");
    asked.session = variable("DUMB_INIT_SETSID") != Some(b"0");
    loop {
        match options.next() {
            Err(why) => return answer(2, 1, why),
            Ok(None) => break,
            Ok(Some((b'r', value))) => match rewrite(value) {
                Some((from, to)) => {
                    asked.rewrites.retain(|(known, _)| *known != from);
                    asked.rewrites.push((from, to));
                }
                None => return answer(2, 1, REWRITE.into()),
            },
            Ok(Some((b'v', _))) => verbose = true,
            Ok(Some((b'c', _))) => asked.session = false,
            Ok(Some((b'V', _))) => return answer(2, 0, VERSION.into()),
            Ok(Some(_)) => return answer(2, 0, fill!("{}Usage: {}{}", VERSION, name, HELP)),
        }
    }
    asked.command = options.command();
    if asked.command.is_empty() {
        let lines = ["Usage: ", name, " [option] program [args]\nTry ", name, " --help for full usage.\n"];
        return answer(2, 1, lines.concat());
    }
    if asked.session {
        asked.group = true;
        // In a session without a shell nobody could continue what the terminal's stop signals stop.
        for signal in [Signal::TSTP, Signal::TTIN, Signal::TTOU] {
            if !asked.rewrites.iter().any(|(from, _)| *from == signal) {
                asked.rewrites.push((signal, Some(Signal::STOP)));
            }
        }
    }
    asked.log_level = Some(if verbose { LogLevel::Debug } else { LogLevel::Error });
    Ok(Parsed::Run(asked))
}

/// Parses two numbers like scanf(3) with `%d:%d`: allows spaces before each and anything after the second.
fn rewrite(value: &[u8]) -> Option<(Signal, Option<Signal>)> {
    let (from, rest) = number(str::from_utf8(value).ok()?)?;
    let (to, _) = number(rest.strip_prefix(':')?)?;
    Some((Signal::from_number(from)?, Signal::from_number(to)))
}

/// Parses a signal number or 0; also returns the rest.
fn number(text: &str) -> Option<(i32, &str)> {
    let text = text.trim_start();
    let sign = usize::from(text.starts_with(['+', '-']));
    let digits = text.bytes().skip(sign).take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at_checked(sign + digits)?;
    Some((number.parse().ok().filter(|number| (0..=31).contains(number))?, rest))
}
