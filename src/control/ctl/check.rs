//! `rinitctl check`: becomes `rinit --check` with the files that PID 1 has read.

use super::table::JSON;
use super::{CtlError, CtlRequest};
use crate::config::Program;
use crate::exit_code::UNREACHED;
use crate::service::launcher::Starter;
use crate::sys::process::spawn::SessionMode;
use crate::text::json::Json;
use std::ffi::CString;

pub(super) fn run(request: &CtlRequest<'_>) -> Result<u8, CtlError> {
    let mut client = request.connect()?;
    let version = client.ask("version", &[], "", &mut |_| {})?;
    let files: Vec<&str> = version.list("config").iter().filter_map(Json::as_text).collect();
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
    let argv: Vec<CString> = words.into_iter().filter_map(|word| CString::new(word).ok()).collect();
    drop(client);
    let failure = Starter::bare(request.inherited, SessionMode::Foreground)
        .replace(&Program { argv, ..Program::default() });
    Err(CtlError::new(failure.code, failure.why))
}
