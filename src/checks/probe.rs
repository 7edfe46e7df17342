//! A check as the probe of a service's health: found and proved when the configuration is read, judged in a process of
//! its own each time. PID 1 keeps nothing of it but its text.

use super::{Check, Facts, Touched, read, run};
use crate::config::CheckProbe;
use crate::config::read::interpolate::{Scope, StartFacts};
use crate::config::read::table::ReadContext;
use crate::config::source::diagnostic::SourceMap;
use crate::config::source::document::{self, Node, Value};
use crate::model::environ::Environ;
use crate::text::escape::toml_key;
use crate::text::gather::Gather;
use crate::text::template::fill;
use std::cell::Cell;

/// Finds the check that a probe names below `[checks]`, and notes the faults of one that has keys of its own.
pub fn complete(probe: &mut CheckProbe, service: &str, written: Option<&Node>, reading: &ReadContext<'_>) {
    let path = fill!("services.{}.healthcheck", service);
    if !probe.kind.is_empty() {
        let (_, faults) = parse(probe, &reading.scope);
        for message in faults {
            let message = message.strip_prefix("checks.").unwrap_or(&message);
            reading.fault(probe.at, fill!("{}.{}", path, message));
        }
        return;
    }
    let named = std::mem::take(&mut probe.name);
    let (kind, name) = named.split_once('.').unwrap_or((&named, ""));
    let of_kind = written.and_then(|written| written.get(kind));
    let found = if name.is_empty() { of_kind } else { of_kind.and_then(|node| node.get(name)) };
    let Some(found) = found else {
        let example = "; expected \"KIND.NAME\", such as \"tcp.db\" for [checks.tcp.db]";
        reading.fault(probe.at, fill!("{}.check: no check is called \"{}\"{}", path, named, example));
        return;
    };
    (probe.kind, probe.name) = (kind.into(), name.into());
    found.entries().iter().for_each(|entry| entry.write(&mut probe.table));
}

/// Judges once; the error is what was found, and what was expected. `touched` is what the last look has seen of a file's
/// age, then what this one has.
pub fn judge(probe: &CheckProbe, environ: Environ, touched: &mut Option<Touched>) -> Result<(), String> {
    let variable = |name: &str| environ.text(name);
    let scope = Scope {
        variable: &variable,
        exists: &|_| false,
        read: &|_| Err(String::new()),
        later: &[],
        start: StartFacts::default(),
    };
    let (mut checks, faults) = parse(probe, &scope);
    let Some(check) = checks.first_mut() else { return Err(faults.join("; ")) };
    if probe.as_user.is_some() {
        check.as_user.clone_from(&probe.as_user);
    }
    let mut facts = Facts { touched: Cell::new(*touched), ..Facts::live(environ.clone()) };
    let finding = run::pool::attempt(check, None, &mut facts);
    *touched = facts.touched.get();
    if finding.ok {
        return Ok(());
    }
    // It is tried again anyway.
    let remedy = finding.remedy.replace(", or keep trying with wait", "");
    let end = if remedy.is_empty() { "" } else { "; " };
    let (subject, expected) = (&*check.spec.subject, &*check.spec.expected);
    Err(fill!("{}: found {}, expected {}{}{}", subject, finding.found, expected, end, remedy))
}

/// The check of a probe, and the messages of its faults.
fn parse(probe: &CheckProbe, scope: &Scope<'_>) -> (Vec<Check>, Vec<String>) {
    let text = document_of(&probe.kind, &probe.name, &probe.table);
    let mut sources = SourceMap::default();
    let file = sources.add(String::new(), text);
    parse_file(&sources, file, scope)
}

/// A check as a file of its own.
pub(super) fn document_of(kind: &str, name: &str, table: &str) -> String {
    let name = if name.is_empty() { String::new() } else { fill!(".{}", &toml_key(name)) };
    fill!("[checks.{}{}]\n{}", &toml_key(kind), name, table)
}

/// The checks of such a file, and the messages of its faults.
pub(super) fn parse_file(sources: &SourceMap, file: u16, scope: &Scope<'_>) -> (Vec<Check>, Vec<String>) {
    let mut faults = Vec::new();
    let root = document::parse(sources, file, &mut faults);
    let reading = ReadContext::new(*scope);
    let checks = match &root.value {
        Value::Table(_) => read(root.get("checks"), &reading),
        _ => Vec::new(),
    };
    faults.extend(reading.into_faults());
    (checks, faults.into_iter().map(|fault| fault.message).gather())
}
