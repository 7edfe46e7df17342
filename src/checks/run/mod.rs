//! Runs all checks: what is instant here, what may block or waits in helper processes side by side; then
//! groups, exports and the report. PID 1 never blocks in a check, and a stop ends them all at once.

use super::report::{ANY_OF, CheckEntry, CheckStatus, Report};
use super::{Check, Facts, Finding, Level};
use crate::config::source::diagnostic::SourceMap;
use crate::model::environ::Environ;
use crate::model::{Moment, Pid, Signal};
use crate::sys::fs::mounts;
use crate::text::gather::Gather;
use crate::text::template::fill;
use pool::WorkerPool;
use std::io;

/// What became of a wait for helpers.
#[derive(Debug)]
pub enum WorkerEvent {
    /// A helper has ended; what it wrote, when it ended well.
    Done(Pid, Option<Vec<u8>>),
    /// A signal that ends all.
    Signal(Signal),
    /// The moment has come.
    Due,
}

/// Processes of rinit's own, as the runtime makes them.
pub trait SpawnWorker {
    /// Starts a process that runs `job`, writes what it gives to a pipe, and exits.
    fn start(&mut self, job: &mut dyn FnMut(&mut Vec<u8>)) -> io::Result<Pid>;
    /// Waits for a helper's end (its pipe read to the end, the process reaped), a signal, or a moment.
    fn wait(&mut self, until: Moment) -> WorkerEvent;
    /// Kills a helper. Its end need not be told; if it is, it is ignored.
    fn kill(&mut self, helper: Pid);
    /// Now.
    fn now(&self) -> Moment;
    /// Tells the user how a wait goes.
    fn tell(&mut self, line: &str);
}

/// The checks were ended by a signal, such as TERM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interrupted(pub Signal);

/// Runs all checks that are on. Of a check that holds without a warning the report has words only with `every`.
pub fn run(
    checks: &[Check],
    facts: &mut Facts,
    sources: &SourceMap,
    helpers: &mut dyn SpawnWorker,
    every: bool,
) -> Result<Report, Interrupted> {
    // Only a look at all names under a prefix asks for the names that others speak of.
    if checks.iter().any(|check| check.kind.name == "env" && check.name == "*") {
        let docs = checks.iter().filter_map(|check| Some(check.spec.variable.as_ref()?.doc()));
        let named = docs.flat_map(|doc| [Some(doc.name), doc.file].into_iter().flatten().chain(doc.others));
        facts.known = named.chain(checks.iter().filter_map(|check| check.export.clone())).gather();
    }
    let helped: Vec<bool> = checks
        .iter()
        .map(|check| {
            check.wait.is_some()
                || check.as_user.is_some()
                || check.spec.may_block(facts)
                || check.kind.looks_at_paths && mounts::may_hang(facts.system.mounts())
        })
        .gather();
    let helped = |n: usize| helped.get(n).copied().unwrap_or(true);
    let on = |(_, check): &(usize, &Check)| check.off.is_none();
    let ask = checks.iter().enumerate().filter(on).map(|(n, _)| n).filter(|n| helped(*n));
    // First what takes time.
    let mut crew = WorkerPool::new(checks, helpers, ask);
    crew.fill(facts);
    for (n, check) in checks.iter().enumerate().filter(on).filter(|(n, _)| !helped(*n)) {
        crew.put(n, look(check, facts));
    }
    let findings = crew.collect(facts)?;
    Ok(conclude(checks, findings, &facts.environ, sources, every))
}

/// Looks once. A value that no variable can hold is a failure where it is to become one: it could only be dropped.
fn look(check: &Check, facts: &Facts) -> Finding {
    let finding = check.spec.evaluate(facts);
    let finding = match &check.spec.ensure {
        Some(ensure) => ensure.foresee(finding, facts),
        None => finding,
    };
    let exported = finding.value.iter().filter(|_| check.export.is_some());
    let mut values = exported.chain(finding.sets.iter().map(|(_, value)| value));
    if finding.ok && values.any(|value| value.contains('\0')) {
        return Finding::fail(
            "a value that holds a NUL, which no variable can".into(),
            "give a value without it, or leave out what makes it a variable".into(),
        );
    }
    finding
}

/// Groups, exports, statuses.
fn conclude(
    checks: &[Check],
    mut findings: Vec<Option<Finding>>,
    given: &Environ,
    sources: &SourceMap,
    every: bool,
) -> Report {
    let (environ, overrides) = exports(checks, &findings, given);
    let secret = |(check, finding): (&Check, Option<&Finding>)| {
        finding.filter(|finding| check.spec.is_secret(finding))?.value.clone()
    };
    let secrets = judged(checks, &findings).filter_map(secret).gather();
    let mut entries: Vec<CheckEntry> = Vec::with_capacity(checks.len());
    let mut labels: Vec<&str> = Vec::new();
    for (n, check) in checks.iter().enumerate() {
        let mut entry = match check.any_of.as_deref() {
            None => single(check, findings.get_mut(n).and_then(Option::take), every),
            Some(label) if labels.contains(&label) => continue,
            Some(label) => {
                labels.push(label);
                let members = |(one, _): &(&Check, Option<&Finding>)| one.any_of.as_deref() == Some(label);
                group(label, &judged(checks, &findings).filter(members).gather())
            }
        };
        let ours = |(m, _): &&(usize, String)| {
            *m == n || check.any_of.is_some() && checks.get(*m).is_some_and(|one| one.any_of == check.any_of)
        };
        entry.warnings.extend(overrides.iter().filter(ours).map(|(_, warning)| warning.clone()));
        if entry.status == CheckStatus::Pass && !entry.warnings.is_empty() {
            entry.status = CheckStatus::Warn;
        }
        if every || entry.status != CheckStatus::Pass {
            let (file, line, _) = sources.place(check.at);
            (entry.file, entry.line) = (file.to_string(), line);
        }
        entries.push(entry);
    }
    Report { entries, environ, secrets }
}

fn judged<'c>(
    checks: &'c [Check],
    findings: &'c [Option<Finding>],
) -> impl Iterator<Item = (&'c Check, Option<&'c Finding>)> {
    checks.iter().zip(findings.iter().map(Option::as_ref))
}

/// The environment with what the checks set, and warnings about what was set already, each with its check.
fn exports(
    checks: &[Check],
    findings: &[Option<Finding>],
    given: &Environ,
) -> (Environ, Vec<(usize, String)>) {
    let mut environ = given.clone();
    // Most have nothing to hand on.
    let gives = |check: &Check, finding: &Finding| {
        finding.ok && (check.export.is_some() || !finding.sets.is_empty() || !finding.unsets.is_empty())
    };
    let held: Vec<(usize, &Check, &Finding)> = judged(checks, findings)
        .enumerate()
        .filter_map(|(n, (check, finding))| Some((n, check, finding.filter(|one| gives(check, one))?)))
        .gather();
    if held.is_empty() {
        return (environ, Vec::new());
    }
    // What the user gave in a file comes first, as if it had been set.
    for (_, _, finding) in held.iter().filter(|(_, _, finding)| !finding.unsets.is_empty()) {
        finding.sets.iter().for_each(|(name, value)| environ.set(name, value));
        finding.unsets.iter().for_each(|name| environ.remove(name));
    }
    let given = environ.clone();
    let mut warnings = Vec::new();
    for (n, check, finding) in &held {
        let (Some(name), Some(value)) = (&check.export, &finding.value) else { continue };
        // A check of the variable itself hands on nothing new.
        if check.kind.name == "env" && check.name == *name {
            continue;
        }
        if given.get_full(name).is_some() {
            warnings.push((*n, fill!("{} is set and overrides {}", name, check.spec.subject)));
        } else if environ.get_full(name).is_none() {
            environ.set(name, value);
        }
    }
    // Defaults last: they are for what nothing else has set.
    for (name, value) in held.iter().flat_map(|(_, _, finding)| &finding.sets) {
        if environ.get_full(name).is_none() {
            environ.set(name, value);
        }
    }
    (environ, warnings)
}

fn single(check: &Check, finding: Option<Finding>, every: bool) -> CheckEntry {
    let on = finding.is_some();
    let finding = finding.unwrap_or_else(|| Finding {
        ok: true,
        found: check.off.clone().unwrap_or_default(),
        ..Finding::default()
    });
    let status = match (on, finding.ok, check.level) {
        (false, ..) => CheckStatus::Skip,
        (_, true, _) => CheckStatus::Pass,
        (_, false, Level::Warn) => CheckStatus::Warn,
        (_, false, Level::Error) => CheckStatus::Fail,
    };
    // An export may yet get a warning.
    let told =
        every || !finding.ok || finding.mendable || !finding.warnings.is_empty() || check.export.is_some();
    let words = |words: &dyn Fn() -> String| if told { words() } else { String::new() };
    CheckEntry {
        kind: check.kind.name,
        name: words(&|| check.name.clone()),
        subject: words(&|| check.spec.subject.clone()),
        status,
        holds: finding.ok,
        is_foreseen: finding.ok && finding.mendable,
        expected: words(&|| check.spec.expected.clone()),
        hint: if finding.ok { String::new() } else { check.hint.clone().unwrap_or(finding.remedy) },
        found: finding.found,
        warnings: finding.warnings,
        file: String::new(),
        line: 0,
    }
}

/// One entry for the checks that share a label.
fn group(label: &str, members: &[(&Check, Option<&Finding>)]) -> CheckEntry {
    let judged: Vec<(&Check, &Finding)> =
        members.iter().filter_map(|(check, finding)| finding.map(|finding| (*check, finding))).gather();
    let holding: Vec<&(&Check, &Finding)> = judged.iter().filter(|(_, finding)| finding.ok).gather();
    let told = |(check, finding): &(&Check, &Finding)| fill!("{} ({})", check.spec.subject, finding.found);
    let mut hints = String::new();
    let found;
    if !holding.is_empty() {
        found = holding.iter().map(|one| told(one)).gather().join("; ");
    } else if !judged.is_empty() {
        found = fill!("none of: {}", judged.iter().map(told).gather().join("; "));
        // The user's own words, if there are any, say it for all.
        let mut own: Vec<String> = judged.iter().filter_map(|(check, _)| check.hint.clone()).gather();
        if own.is_empty() {
            own = judged.iter().map(|(_, finding)| finding.remedy.clone()).filter(|r| !r.is_empty()).gather();
        }
        own.dedup();
        hints = own.join("; or ");
    } else {
        let off = members.iter().filter_map(|(check, _)| check.off.as_deref());
        found = off.gather().join("; ");
    }
    let holds = !holding.is_empty() || judged.is_empty();
    let grave = judged.iter().any(|(check, _)| check.level == Level::Error);
    let subjects: Vec<String> = members.iter().map(|(check, _)| check.spec.subject.clone()).gather();
    CheckEntry {
        kind: ANY_OF,
        name: label.to_string(),
        subject: fill!("\"{}\"", label),
        status: match (judged.is_empty(), holds, grave) {
            (true, ..) => CheckStatus::Skip,
            (_, true, _) => CheckStatus::Pass,
            (_, false, true) => CheckStatus::Fail,
            (_, false, false) => CheckStatus::Warn,
        },
        holds,
        is_foreseen: false,
        found,
        expected: fill!("one of {}", subjects.join(", ")),
        hint: hints,
        warnings: holding.iter().flat_map(|(_, finding)| finding.warnings.clone()).gather(),
        file: String::new(),
        line: 0,
    }
}

pub mod codec;
pub(in crate::checks) mod pool;
#[cfg(test)]
mod tests;
pub mod workers;
