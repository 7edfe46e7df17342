//! A oneshot whose `command` is a directory: rinit's own file runs it, as the service's user, by words that
//! [`crate::config`] puts together.

use super::Hooks;
use crate::cli::{LogFormat, LogLevel, Persona};
use crate::config::resolve::{HOOKS_WORD, TRUSTED_WORD};
use crate::config::{ExportEnv, HookRules};
use crate::exit_code;
use crate::output;
use crate::service::exports::VARIABLE;
use crate::sys::{args, stdio};
use crate::text::escape::text_as_bytes;
use crate::text::gather::Gather;
use crate::text::template::fill;
use crate::text::units;
use std::ffi::CStr;

/// The words behind the one that says so, where the file is started for this.
#[must_use]
pub fn asked<'w, 'a>(words: &'w [&'a CStr]) -> Option<&'w [&'a CStr]> {
    let (first, rest) = words.get(1..)?.split_first()?;
    (first.to_bytes() == HOOKS_WORD.as_bytes()).then_some(rest)
}

/// Runs the directory: `TIMEOUT DIRECTORY [trusted]`. The exit code: that of the first hook that fails.
#[cold]
#[inline(never)]
pub fn run(words: &[&CStr]) -> u8 {
    output::install(LogLevel::Info, LogFormat::Text, Persona::Rinit);
    let word = |at: usize| words.get(at).and_then(|word| word.to_str().ok());
    let Some(directory) = word(1) else { return exit_code::USAGE };
    let file = args::variable(VARIABLE).and_then(|path| std::str::from_utf8(path).ok());
    let rules = HookRules {
        timeout: word(0).and_then(|word| units::duration(word).ok()),
        trusted: word(2) == Some(TRUSTED_WORD),
        // What may be handed on in the end, who reads this run's file decides.
        export_env: file.map(|_| Box::new(ExportEnv::Any)),
    };
    let mut environ = args::environment();
    environ.remove(VARIABLE);
    let mut hooks = Hooks::new(&rules, environ);
    let done = hooks.run(directory);
    if let Err(failure) = done {
        output::line(LogLevel::Error, "", &fill!("hook {}", failure.why));
        return exit_code::of_failure(failure.code);
    }
    let records = hooks
        .process
        .exported
        .iter()
        .map(|(name, value)| [b"\0", name.as_bytes(), b"=", &text_as_bytes(value), b"\0"].concat());
    let records: Vec<u8> = records.flatten().gather();
    // It is a descriptor of this process, whether or not there is a /proc.
    let fd = file.and_then(|path| path.rsplit('/').next()?.parse().ok());
    if fd.is_some_and(|fd| !stdio::write_all(fd, &records)) {
        let text = "the variables of the hooks cannot be handed on: no memory for them";
        output::line(LogLevel::Error, "", text);
        return exit_code::OS_ERROR;
    }
    exit_code::SUCCESS
}
