//! `rinitctl check`: executes `rinit --check` with the files that PID 1 has read.

use super::table::JSON;
use super::{CtlError, CtlRequest, complain};
use crate::config::{Program, ProgramSettings};
use crate::exit_code::UNREACHED;
use crate::model::Pid;
use crate::service::launcher::Starter;
use crate::sys::fs::files::slurp;
use crate::sys::process::spawn::SessionMode;
use crate::text::escape::bytes_as_text;
use crate::text::gather::Gather;
use crate::text::json::Json;
use crate::text::template::fill;
use std::ffi::CString;

/// The maximum size of an environment (execve(2)).
const MAX_ENVIRONMENT: usize = 6 << 20;

pub(super) fn run(request: &CtlRequest<'_>) -> Result<u8, CtlError> {
    let mut client = request.connect()?;
    let version = client.ask("version", &[], "", &mut |_| {})?;
    let files: Vec<&str> = version.list("config").iter().filter_map(Json::as_text).gather();
    if files.is_empty() {
        return Err(CtlError::new(UNREACHED, "rinit has read no configuration: there is nothing to check"));
    }
    let mut words = vec!["/proc/self/exe", "--check"];
    for file in files {
        words.extend(["--config", file]);
    }
    for word in &request.arguments.words {
        words.extend(["--only", word]);
    }
    if request.arguments.has(&JSON) {
        words.extend(["--format", "json"]);
    }
    let argv: Vec<CString> = words.into_iter().filter_map(|word| CString::new(word).ok()).gather();
    let settings = match client.pid().and_then(environment) {
        Some(environment) => ProgramSettings { environment, clear_env: true, ..ProgramSettings::default() },
        None => {
            complain(
                "the environment of rinit may not be read by this user: the checks see that of this command",
            );
            ProgramSettings::default()
        }
    };
    drop(client);
    let failure = Starter::bare(request.inherited, SessionMode::Foreground).replace(&Program {
        argv,
        settings: settings.into(),
        ..Program::default()
    });
    Err(CtlError::new(failure.code, failure.why))
}

/// Returns the initial environment of a process.
fn environment(pid: Pid) -> Option<Vec<(String, String)>> {
    let block = slurp(&fill!("/proc/{}/environ", &pid.to_string()), MAX_ENVIRONMENT).ok()?;
    let pair = |entry: &[u8]| {
        let at = entry.iter().position(|byte| *byte == b'=')?;
        Some((bytes_as_text(entry.get(..at)?), bytes_as_text(entry.get(at + 1..)?)))
    };
    Some(block.split(|byte| *byte == 0).filter_map(pair).gather())
}
