//! The checks that a service's `checks` names: found when the configuration is read, and judged right before each start
//! of the service, in a process of its own. PID 1 keeps nothing of them but their text.

use super::probe::{document_of, parse_file};
use super::run::workers::Workers;
use super::{Check, Facts, Level, run};
use crate::config::GateCheck;
use crate::config::read::interpolate::{Scope, StartFacts};
use crate::config::read::table::ReadContext;
use crate::config::source::diagnostic::{SourceMap, Span};
use crate::config::source::document::Node;
use crate::model::Signal;
use crate::model::environ::Environ;
use crate::received::Early;
use crate::sys::container::kernel;
use crate::sys::event::signals;
use crate::sys::fs::{files, stat};
use crate::sys::process::credentials;
use crate::text::redact;
use crate::text::template::fill;
use std::time::Duration;

/// How much longer than its checks take a gate may take: the machine may be busy.
const SLACK: Duration = Duration::from_secs(10);

/// Finds the checks that a service names below `[checks]`; returns how long they may take.
pub fn complete(
    gate: &mut [GateCheck],
    (service, at): (&str, Span),
    written: Option<&Node>,
    sources: &SourceMap,
    reading: &ReadContext<'_>,
) -> Duration {
    let mut longest = Duration::ZERO;
    for one in gate {
        let named = std::mem::take(&mut one.name);
        let (kind, name) = named.split_once('.').unwrap_or((&named, ""));
        let of_kind = written.and_then(|written| written.get(kind));
        let found = if name.is_empty() { of_kind } else { of_kind.and_then(|node| node.get(name)) };
        let fault =
            |why: &str| reading.fault(at, fill!("services.{}.checks: \"{}\" {}", service, &named, why));
        let Some(found) = found else {
            fault(
                "is no check of the configuration; expected \"KIND.NAME\", such as \"tcp.db\" for [checks.tcp.db]",
            );
            continue;
        };
        if let Some(key) = ["export", "ensure"].into_iter().find(|key| found.get(key).is_some()) {
            fault(&fill!(
                "has {}, which is for the container's start; drop it there, or leave it out here",
                key
            ));
        }
        (one.kind, one.name) = (kind.into(), name.into());
        let (file, line, _) = sources.place(found.at);
        one.place = (file.to_string(), line);
        found.entries().iter().for_each(|entry| entry.write(&mut one.table));
        let mut own = SourceMap::default();
        let file = own.add(String::new(), document_of(&one.kind, &one.name, &one.table));
        // Its faults are told as those of the check.
        for check in parse_file(&own, file, &reading.scope).0 {
            // A look may begin at the end of the wait; one of several looks twice.
            longest = longest.max(check.wait.unwrap_or_default() + 2 * check.spec.patience());
        }
    }
    longest + SLACK
}

/// Marks the checks that are a service's as not to be judged at the container's start.
pub fn take_out(checks: &mut [Check], service: &str, gate: &[GateCheck]) {
    for check in checks.iter_mut().filter(|check| check.off.is_none()) {
        if gate.iter().any(|one| one.kind == check.kind.name && one.name == check.name) {
            check.off = Some(fill!("judged before each start of {}", service));
        }
    }
}

/// In a process of its own: judges them, and returns whether all hold, with what is to be told.
pub fn judge(gate: &[GateCheck], environ: Environ, ignored: Vec<Signal>) -> (bool, Vec<(Level, String)>) {
    // The workers' ends are heard as signals.
    signals::block_all();
    let variable = |name: &str| environ.text(name);
    let start = StartFacts {
        uid: || credentials::current().uid,
        arch: || kernel::uname().1,
        is_empty: stat::is_empty,
        ..StartFacts::default()
    };
    let read = |_: &str| Err(String::new());
    let scope = Scope { variable: &variable, exists: &files::exists, read: &read, later: &[], start };
    let (mut sources, mut checks, mut lines) = (SourceMap::default(), Vec::new(), Vec::new());
    for one in gate {
        let (path, line) = &one.place;
        let text = "\n".repeat(line.saturating_sub(1)) + &document_of(&one.kind, &one.name, &one.table);
        let file = sources.add(path.clone(), text);
        let (found, faults) = parse_file(&sources, file, &scope);
        checks.extend(found);
        lines.extend(faults.into_iter().map(|fault| (Level::Error, fault)));
    }
    if !lines.is_empty() {
        return (false, lines);
    }
    let mut early = Early::new(&[], &[]);
    let mut workers = Workers::new(ignored, &mut early);
    let Ok(mut report) = run::run(&checks, &mut Facts::live(environ.clone()), &sources, &mut workers, false)
    else {
        return (false, lines);
    };
    redact::keep(&report.secrets);
    redact::hide_in(report.texts());
    (report.ok(), report.lines())
}
