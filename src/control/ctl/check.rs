//! `rinitctl check`: becomes `rinit --check` with the files that PID 1 has read.

use super::table::JSON;
use super::{Failure, Request, UNREACHED};
use crate::config::Program;
use crate::launch::bare;
use crate::sys::process::spawn::SessionMode;
use crate::text::json::Json;
use std::ffi::CString;

pub(super) fn run(request: &Request<'_>) -> Result<u8, Failure> {
    let mut client = request.connect()?;
    let version = client.ask("version", &[], "", &mut |_| {})?;
    let files: Vec<&str> = version.list("config").iter().filter_map(Json::as_text).collect();
    if files.is_empty() {
        return Err(Failure::new(UNREACHED, "rinit has read no configuration: there is nothing to check"));
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
    let argv: Vec<CString> = words.into_iter().filter_map(|word| CString::new(word).ok()).collect();
    drop(client);
    let failure =
        bare(request.inherited, SessionMode::Foreground).replace(&Program { argv, ..Program::default() });
    Err(Failure::new(failure.code, failure.why))
}
