//! The COMMAND, which is the service `main`.

use super::{MAIN, Plan, Service, id};
use crate::config::Program;
use crate::config::read::table::Table;
use crate::config::read::{command_line, condition};
use crate::config::source::document::{Node, Value};
use crate::model::{Restart, RestartPolicy, ServicePolicy, Settings};
use std::ffi::CString;

/// The plan for a COMMAND without a configuration: it alone.
pub fn alone(command: &[CString]) -> Plan {
    if command.is_empty() {
        return Plan::default();
    }
    let restart = RestartPolicy { when: Restart::No, ..RestartPolicy::default() };
    let main = Service {
        name: MAIN.into(),
        rules: ServicePolicy { restart, ..ServicePolicy::default() },
        program: Program { argv: command.to_vec(), ..Program::default() },
        ..Service::default()
    };
    let whole = Settings { main: id(0), ..Settings::default() };
    Plan { services: vec![main], whole, ..Plan::default() }
}

/// Whether the configuration is meant for this COMMAND (`services.main.when_command`). When it is not, the
/// COMMAND is just run: no check, no service, `resolve(None, …)`.
#[must_use]
pub fn for_this_command(root: &Node, command: &[CString]) -> bool {
    let Some(program) = command_line::own_program(root, command) else { return true };
    let Some(names) = command_line::of_main(root, "when_command") else { return true };
    let names = match &names.value {
        Value::List(names) => names.as_slice(),
        _ => std::slice::from_ref(names),
    };
    let texts = names.iter().filter_map(|name| match &name.value {
        Value::Text(name) => Some(name.as_str()),
        _ => None,
    });
    condition::is_one_of(&program, texts)
}

/// What the COMMAND is to `main`.
#[derive(Clone, Copy)]
pub struct MainCommand<'a> {
    /// Its words, with an alias replaced.
    pub words: &'a [CString],
    /// Whether the file's `command` is put before them.
    pub prepended: bool,
}

impl MainCommand<'_> {
    /// What `main` runs. `written` is the file's `command`.
    pub fn argv(self, written: Option<Vec<CString>>) -> Vec<CString> {
        match written {
            Some(mut argv) if self.prepended => {
                argv.extend_from_slice(self.words);
                argv
            }
            _ => self.words.to_vec(),
        }
    }
}

/// Reads `[aliases]`, and returns the COMMAND with its first word replaced, if that is one of them.
pub fn unaliased(root: &Table<'_>, command: &[CString]) -> Option<Vec<CString>> {
    let table = root.table("aliases")?;
    let mut found = None;
    for entry in table.entries() {
        if command_line::first_word(&entry.node).is_some_and(|word| word.contains("${")) {
            let message = "found a variable in the first word, which is compared before anything is expanded; write the program itself";
            table.reading().fault(entry.node.at, [&table.path_of(&entry.key), ": ", message].concat());
        }
        let words = table.command_of(&entry.key, &entry.node);
        if command.first().is_some_and(|word| word.to_bytes() == entry.key.as_bytes()) {
            found = words.map(|words| {
                let mut argv = super::words(words);
                argv.extend_from_slice(command.get(1..).unwrap_or_default());
                argv
            });
        }
    }
    found
}

/// Reads `prepend_for` for its faults; what it says is judged by [`command_line::own_program`].
pub fn check_prepend_for(table: &Table<'_>) {
    const KEY: &str = "prepend_for";
    let Some(patterns) = table.list(KEY) else { return };
    if patterns.is_empty() || patterns.iter().any(String::is_empty) {
        table.fault(KEY, "names no word; expected patterns such as \"*.conf\"");
    }
    if !table.has("command") {
        table.fault(KEY, "can never act: there is no command to put before these words; add one");
    }
}

/// Reads `when_command` for its faults; what it says is judged by [`for_this_command`].
pub fn check_when_command(table: &Table<'_>) {
    const KEY: &str = "when_command";
    let Some(node) = table.node(KEY) else { return };
    let names = match &node.value {
        Value::List(names) => names.as_slice(),
        _ => std::slice::from_ref(node),
    };
    if names.is_empty() {
        table.fault(KEY, "is an empty list, so that no COMMAND is meant; name a program, or drop the key");
    }
    for name in names {
        match &name.value {
            Value::Text(text) if text.contains("${") => {
                table.fault(
                    KEY,
                    "found a variable; it is compared before anything is expanded, so write the name itself",
                );
            }
            Value::Text(_) => {}
            _ => table.wrong(KEY, name, "the name of a program"),
        }
    }
}
