//! catatonit 0.2.1, whose version claims to be tini's, so that Docker can parse it.

use super::{Options, Persona, Variable, answer, invocation, version};
use crate::cli::{LogLevel, Parsed};
use crate::model::Signal;
use crate::text::template::fill;

const VERSION: &str = version!("tini version 0.2.1_catatonit");

const USAGE: &str = "usage: catatonit [-ghLPV] [--] <progname> [<arguments>...]\n";

const OPTIONS: &str = "
  -g             send signals to the program's process group
  -h             print this
  -L             print the license
  -P             run nothing: reap, and end at SIGINT or SIGTERM
  -V, --version  print the version
";

pub(crate) fn parse(options: &mut Options<'_>, variable: Variable<'_>) -> Result<Parsed, String> {
    options.letters = b"ghLPV";
    options.long = &[("version", b'V')];
    options.permute = true;
    let mut asked = invocation(Persona::Catatonit, &[Signal::TSTP, Signal::TTIN, Signal::TTOU]);
    loop {
        match options.next() {
            Err(why) => return answer(2, 1, why + USAGE),
            Ok(None) => break,
            Ok(Some((b'g', _))) => asked.group = true,
            Ok(Some((b'P', _))) => asked.pause = true,
            Ok(Some((b'L', _))) => return answer(1, 0, crate::cli::LICENSE.into()),
            Ok(Some((b'V', _))) => return answer(1, 0, VERSION.into()),
            Ok(Some(_)) => return answer(2, 0, [USAGE, OPTIONS].concat()),
        }
    }
    asked.command = options.command();
    if asked.pause {
        asked.command.clear();
    } else if asked.command.is_empty() {
        return Err(fill!("missing program name\n{}", USAGE.trim_ascii_end()));
    }
    let debug = variable("CATATONIT_DEBUG").is_some();
    asked.log_level = Some(if debug { LogLevel::Debug } else { LogLevel::Error });
    Ok(Parsed::Run(asked))
}
