//! The tree -> what is to be run. One reading finds every fault there is.

mod control;
mod depends_on;
mod environment;
mod health;
mod hooks;
mod logging;
mod main;
mod prepared;
mod privileges;
mod readiness;
mod replicas;
mod restart;
mod schedule;
mod service;
mod service_hooks;
mod signals;
mod sockets;
mod ulimits;

#[cfg(test)]
mod tests;

pub use hooks::{HOOKS_WORD, TRUSTED_WORD, names as hook_variables};
pub use main::{alone, for_this_command};
pub use prepared::written_secrets;

use super::read::command_line;
use super::read::interpolate::Scope;
use super::read::table::{ReadContext, Table};
use super::source::diagnostic::{Diagnostic, SourceMap, Span};
use super::source::document::{Node, Value};
use super::source::files::Files;
use super::{Plan, Service, base_name};
use crate::model::{ServiceId, Settings};
use crate::text::escape::escaped;
use crate::text::escape::text_as_bytes;
use crate::text::template::fill;
use crate::text::words::words;
use depends_on::{Draft, Index};
use main::MainCommand;
use std::ffi::CString;

/// The path of `[defaults]`, where a key may be that acts for some services only.
const DEFAULTS: &str = "defaults";

pub use super::read::command_line::MAIN;

/// What `[services.main]` is when no file has it.
static NOTHING: Node = Node { value: Value::Table(Vec::new()), at: Span { file: 0, start: 0, end: 0 } };

/// `when_idle`: what follows when nothing is left to run.
#[derive(Clone, Copy, PartialEq)]
enum WhenIdle {
    Exit,
    Stay,
}

words!(WhenIdle { "exit" => Exit, "stay" => Stay });

/// Resolves the configuration, and the COMMAND with it, for one state of the environment. `files` is `None`
/// when there is no configuration, or when it is not meant for this COMMAND ([`for_this_command`]). The plan
/// is to be used only if no fault was added.
pub fn resolve(
    files: Option<&Files>,
    scope: &Scope<'_>,
    command: &[CString],
    faults: &mut Vec<Diagnostic>,
) -> Plan {
    let Some(files) = files else { return main::alone(command) };
    let reading = ReadContext::new(*scope);
    let mut plan = Plan::default();
    if let Some(root) = Table::open(&reading, String::new(), files.root.at, &files.root) {
        let prepended = command_line::own_program(&files.root, command).is_none();
        plan = whole(&root, &files.sources, command, prepended);
        root.close();
    }
    faults.extend(reading.into_faults());
    plan
}

fn whole(root: &Table<'_>, sources: &SourceMap, command: &[CString], prepended: bool) -> Plan {
    // Read by `checks::read`, before anything here.
    let _ = root.node("checks");
    let defaults = root.node("defaults");
    if let Some(table) = root.table("defaults") {
        service::check_defaults(&table, sources);
    }
    let replaced = main::unaliased(root, command);
    let command = MainCommand { words: replaced.as_deref().unwrap_or(command), prepended };
    let mut drafts = services(root, defaults, sources, command);
    let index = Index::new(&drafts, root);
    let main = drafts.last().filter(|draft| draft.is_main && draft.service.off.is_none());
    let main = main.and_then(|_| id(drafts.len() - 1));
    sockets::check_shared(root.reading(), &drafts);
    depends_on::link(root.reading(), &mut drafts, &index);
    let (within, delay) = root.table("stop").map_or((None, None), |table| {
        let (within, delay) = (table.duration("within"), table.duration("delay"));
        if within.is_some_and(|span| span.is_zero()) {
            table.fault("within", "found no time at all, expected how long a stop may take, such as \"9s\"");
        } else if let (Some(within), Some(delay)) = (within, delay)
            && delay >= within
        {
            table.fault("delay", "leaves no time to stop: it is part of stop.within, and must be less");
        }
        table.close();
        (within, delay)
    });
    let restart_limit = root.table("restart").and_then(|table| {
        let limit = restart::of_container(&table);
        table.close();
        limit
    });
    let control = root.table("control").map(|table| {
        let settings = control::read(&table);
        table.close();
        settings
    });
    let hooks = root.table("hooks").map(|table| {
        let settings = hooks::read(&table);
        table.close();
        settings
    });
    let signals = root.table("signals").map_or_else(Vec::new, |table| signals::read(&table, &drafts, &index));
    let whole = Settings {
        main,
        stop_within: within,
        stop_delay: delay.unwrap_or_default(),
        restart_limit,
        signals,
        term_stops_main: true,
        stay_when_idle: root.word("when_idle") == Some(WhenIdle::Stay),
        ..Settings::default()
    };
    let services = drafts.into_iter().map(|draft| draft.service).collect();
    let prepared = prepared::read(root, sources);
    let (control, hooks) = (control.unwrap_or_default(), hooks.unwrap_or_default());
    Plan { services, whole, control, hooks, prepared }
}

/// The COMMAND of a configuration that is not meant for it, if its first word is an alias: what it stands for.
pub fn unaliased(
    files: &Files,
    scope: &Scope<'_>,
    command: &[CString],
    faults: &mut Vec<Diagnostic>,
) -> Option<Vec<CString>> {
    command_line::alias(&files.root, command)?;
    let reading = ReadContext::new(*scope);
    let words = main::unaliased(&Table::open(&reading, String::new(), files.root.at, &files.root)?, command);
    faults.extend(reading.into_faults());
    words
}

/// All services as they are written, `main` last.
fn services(
    root: &Table<'_>,
    defaults: Option<&Node>,
    sources: &SourceMap,
    command: MainCommand<'_>,
) -> Vec<Draft> {
    let reading = root.reading();
    let table = root.table("services");
    let written = table.as_ref().map_or(&[][..], Table::entries);
    if written.len() > usize::from(u16::MAX) {
        reading.fault(root.at, format!("found {} services, expected at most {}", written.len(), u16::MAX));
        return Vec::new();
    }
    let mut drafts = Vec::with_capacity(written.len() + 1);
    for entry in written.iter().filter(|entry| entry.key != MAIN) {
        check_name(reading, &entry.key, entry.at);
        let place = service::ServiceSite {
            name: &entry.key,
            at: Some(entry.at),
            node: &entry.node,
            defaults,
            sources,
        };
        match replicas::count(reading, &place) {
            None => drafts.push(service::read(reading, &place, 0, None)),
            Some(count) => {
                drafts.extend((1..=count).map(|instance| service::read(reading, &place, instance, None)));
            }
        }
    }
    let main = written.iter().find(|entry| entry.key == MAIN);
    if main.is_some() || !command.words.is_empty() {
        let node = main.map_or(&NOTHING, |entry| &entry.node);
        let place =
            service::ServiceSite { name: MAIN, at: main.map(|entry| entry.at), node, defaults, sources };
        drafts.push(service::read(reading, &place, 0, Some(command)));
    }
    replicas::check_names(reading, written);
    if id(drafts.len()).is_none() {
        let count = drafts.len().to_string();
        let most = u16::MAX.to_string();
        reading
            .fault(root.at, fill!("found {} services with their replicas, expected at most {}", count, most));
        return Vec::new();
    }
    drafts
}

fn check_name(reading: &ReadContext<'_>, name: &str, at: Span) {
    let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '"' | '\'');
    if name.is_empty() || name.starts_with('-') || name.contains(bad) {
        let shown = escaped(name);
        let message = format!(
            "\"{shown}\" cannot name a service; expected letters, digits, \"-\", \"_\" or \".\", not \"-\" first"
        );
        reading.fault(at, format!("services: {message}"));
    }
}

/// The service at this place of the list.
fn id(index: usize) -> Option<ServiceId> {
    u16::try_from(index).ok().map(ServiceId)
}

/// Words for execve(2). None holds a NUL: that is a fault of the text that they come from.
fn words(words: Vec<String>) -> Vec<CString> {
    words.iter().filter_map(|word| CString::new(text_as_bytes(word)).ok()).collect()
}

impl Service {
    /// NAME of `[services.NAME]`, which all instances of a replicated service share.
    #[must_use]
    pub fn base(&self) -> &str {
        base_name(&self.name, self.program.instance)
    }

    /// Whether it is started by itself.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.off.is_none()
    }
}
