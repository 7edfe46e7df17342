//! The COMMAND, which is the service `main`.

use super::{MAIN, Plan, Service, id};
use crate::config::Program;
use crate::config::read::table::Table;
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
    let Some(program) = command.first().map(|word| word.to_bytes()).filter(|word| !word.starts_with(b"-"))
    else {
        return true;
    };
    let names =
        root.get("services").and_then(|node| node.get(MAIN)).and_then(|node| node.get("when_command"));
    let is = |node: &Node| match &node.value {
        Value::Text(name) => {
            let base = program.rsplit(|b| *b == b'/').next().unwrap_or(program);
            name.as_bytes() == program || name.as_bytes() == base
        }
        _ => false,
    };
    match names.map(|node| (node, &node.value)) {
        None => true,
        Some((_, Value::List(names))) => names.iter().any(is),
        Some((node, _)) => is(node),
    }
}

/// What `main` runs. `written` is the file's `command`.
pub fn argv(written: Option<Vec<CString>>, command: &[CString]) -> Vec<CString> {
    let begins = command.first().is_none_or(|word| word.to_bytes().starts_with(b"-"));
    match written {
        Some(mut argv) if begins => {
            argv.extend_from_slice(command);
            argv
        }
        _ => command.to_vec(),
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
