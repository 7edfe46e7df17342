//! The COMMAND as the file sees it: which program runs, before anything else is read.

use super::interpolate::{Expanded, Scope, expand};
use crate::config::source::document::{Node, Value};
use crate::text::glob::glob;
use crate::text::shell_words;
use std::ffi::CString;

/// The name of the service that the COMMAND is.
pub const MAIN: &str = "main";

/// What `[services.main]` says of a key.
#[must_use]
pub fn of_main<'a>(root: &'a Node, key: &str) -> Option<&'a Node> {
    root.get("services")?.get(MAIN)?.get(key)
}

/// Which program runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MainProgram {
    /// This one, by its name or path.
    Named(String),
    /// None: there is no COMMAND.
    Absent,
    /// Its name needs a variable that is not set yet.
    Later,
}

/// The alias that the COMMAND's first word is, if it is one.
#[must_use]
pub fn alias<'a>(root: &'a Node, command: &[CString]) -> Option<&'a Node> {
    root.get("aliases")?.get(command.first()?.to_str().ok()?)
}

/// The COMMAND's first word, or that of its alias as it is written.
fn typed(root: &Node, command: &[CString]) -> Option<String> {
    match alias(root, command) {
        Some(words) => first_word(words),
        None => command.first().map(|word| word.to_string_lossy().into_owned()),
    }
}

/// The program of a COMMAND before which the file's `command` is not put.
#[must_use]
pub fn own_program(root: &Node, command: &[CString]) -> Option<String> {
    let word = typed(root, command).filter(|word| !word.starts_with('-'))?;
    let fits = |node: &Node| match &node.value {
        Value::Text(pattern) => glob(pattern.as_bytes(), word.as_bytes()),
        _ => false,
    };
    let patterns = of_main(root, "prepend_for").filter(|_| of_main(root, "command").is_some());
    let prepended = patterns.is_some_and(|node| match &node.value {
        Value::List(patterns) => patterns.iter().any(fits),
        _ => fits(node),
    });
    (!prepended).then_some(word)
}

/// The program that the COMMAND runs, or the file's `command` where that is put before it.
#[must_use]
pub fn program(root: &Node, command: &[CString], scope: &Scope<'_>) -> MainProgram {
    if let Some(word) = own_program(root, command) {
        return MainProgram::Named(word);
    }
    let Some(word) = of_main(root, "command").and_then(first_word) else {
        return MainProgram::Absent;
    };
    match expand(&word, scope) {
        Ok(Expanded::Text(word)) => MainProgram::Named(word),
        _ => MainProgram::Later,
    }
}

/// The first word of a command, as it is written.
#[must_use]
pub fn first_word(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(line) => shell_words::split(line).ok()?.into_iter().next(),
        Value::List(words) => match &words.first()?.value {
            Value::Text(word) => Some(word.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a program is meant by a name: its own word, or that without the directory.
#[must_use]
pub fn is_called(program: &str, name: &str) -> bool {
    program == name || program.rsplit('/').next() == Some(name)
}
