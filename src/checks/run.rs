//! Runs all checks: what is instant here, what may block or waits in helper processes side by side; then
//! groups, exports and the report. PID 1 never blocks in a check, and a stop ends them all at once.

use super::report::{ANY_OF, Entry, Report, Status};
use super::{Check, Facts, Failure, Finding, Level, facts, wire};
use crate::config::fault::Sources;
use crate::config::words::show_duration;
use crate::environ::Environ;
use crate::model::{Moment, Pid, Signal};
use std::collections::VecDeque;
use std::io;
use std::time::Duration;

/// Helpers at a time.
const MOST: usize = 256;

/// What became of a wait for helpers.
#[derive(Debug)]
pub enum Wake {
    /// A helper has ended; what it wrote, when it ended well.
    Done(Pid, Option<Vec<u8>>),
    /// A signal for rinit.
    Signal(Signal),
    /// The moment has come.
    Due,
}

/// Processes of rinit's own, as the runtime makes them.
pub trait Helpers {
    /// Starts a process that runs `job`, writes what it gives to a pipe, and exits.
    fn start(&mut self, job: &mut dyn FnMut(&mut Vec<u8>)) -> io::Result<Pid>;
    /// Waits for a helper's end (its pipe read to the end, the process reaped), a signal, or a moment.
    fn wait(&mut self, until: Moment) -> Wake;
    /// Kills a helper. Its end need not be told; if it is, it is ignored.
    fn kill(&mut self, helper: Pid);
    /// Now.
    fn now(&self) -> Moment;
    /// Tells the user how a wait goes.
    fn tell(&mut self, line: &str);
}

/// The checks were ended by TERM, INT or QUIT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interrupted(pub Signal);

/// Runs all checks that are on. Of a check that holds without a warning the report has words only with `every`.
pub fn run(
    checks: &[Check],
    facts: &mut Facts,
    sources: &Sources,
    helpers: &mut dyn Helpers,
    every: bool,
) -> Result<Report, Interrupted> {
    // Only a look at all names under a prefix asks for the names that others speak of.
    if checks.iter().any(|check| check.kind == "env" && check.name == "*") {
        let docs = checks.iter().filter_map(|check| check.judge.doc());
        let named = docs.flat_map(|doc| [Some(doc.name), doc.file].into_iter().flatten().chain(doc.others));
        facts.known = named.chain(checks.iter().filter_map(|check| check.export.clone())).collect();
    }
    let mut findings: Vec<Option<Finding>> = checks.iter().map(|_| None).collect();
    let helped: Vec<bool> = checks
        .iter()
        .map(|check| check.wait.is_some() || check.as_user.is_some() || check.judge.may_block(facts))
        .collect();
    let helped = |n: usize| helped.get(n).copied().unwrap_or(true);
    let mut crew = Crew { checks, helpers, queue: VecDeque::new(), live: Vec::new() };
    let on = |(_, check): &(usize, &Check)| check.off.is_none();
    crew.queue = checks.iter().enumerate().filter(on).map(|(n, _)| n).filter(|n| helped(*n)).collect();
    // First what takes time.
    crew.fill(facts, &mut findings);
    for (n, check) in checks.iter().enumerate().filter(on).filter(|(n, _)| !helped(*n)) {
        put(&mut findings, n, look(check, facts));
    }
    crew.collect(facts, &mut findings)?;
    Ok(conclude(checks, findings, &facts.environ, sources, every))
}

fn put(findings: &mut [Option<Finding>], n: usize, finding: Finding) {
    if let Some(place) = findings.get_mut(n) {
        *place = Some(finding);
    }
}

/// The helpers at work.
struct Crew<'c> {
    checks: &'c [Check],
    helpers: &'c mut dyn Helpers,
    /// Checks that have no helper yet.
    queue: VecDeque<usize>,
    /// Helper, its check, and when it must be done.
    live: Vec<(Pid, usize, Moment)>,
}

impl Crew<'_> {
    fn fill(&mut self, facts: &mut Facts, findings: &mut [Option<Finding>]) {
        while let Some(n) = self.queue.front().copied().filter(|_| self.live.len() < MOST) {
            let Some(check) = self.checks.get(n) else { return };
            let started = self.helpers.start(&mut |out| wire::encode(&attempt(check, facts), out));
            match started {
                Ok(helper) => {
                    self.live.push((helper, n, self.helpers.now().after(bound(check))));
                }
                // Processes may be scarce: another try when one has ended.
                Err(_) if !self.live.is_empty() => return,
                Err(error) => {
                    let found = format!("no process to look with: {}", facts::why(&error));
                    put(
                        findings,
                        n,
                        Finding::fail(found, "raise the limit of processes (docker run --pids-limit)".into()),
                    );
                }
            }
            self.queue.pop_front();
        }
    }

    fn collect(&mut self, facts: &mut Facts, findings: &mut [Option<Finding>]) -> Result<(), Interrupted> {
        let mut progress = Progress::new(self.helpers.now());
        while let Some(until) = self.live.iter().map(|(_, _, until)| *until).min() {
            match self.helpers.wait(until.min(progress.next)) {
                Wake::Done(helper, bytes) => {
                    let Some(at) = self.live.iter().position(|(known, ..)| *known == helper) else {
                        continue;
                    };
                    let (_, n, _) = self.live.swap_remove(at);
                    let finding = bytes.and_then(|bytes| wire::decode(&bytes)).unwrap_or_else(|| {
                        Finding::fail("no answer: the process that looked has died".into(), String::new())
                    });
                    put(findings, n, finding);
                }
                Wake::Signal(signal @ (Signal::TERM | Signal::INT | Signal::QUIT)) => {
                    self.live.iter().for_each(|(helper, ..)| self.helpers.kill(*helper));
                    return Err(Interrupted(signal));
                }
                Wake::Signal(_) => {}
                Wake::Due => {
                    self.give_up(findings);
                    if progress.due(self.helpers.now()) {
                        self.tell_progress();
                    }
                }
            }
            self.fill(facts, findings);
        }
        Ok(())
    }

    /// What is awaited, and for how long still.
    fn tell_progress(&mut self) {
        let now = self.helpers.now();
        let mut waited: Vec<String> = Vec::new();
        for (_, n, until) in &self.live {
            let Some(check) = self.checks.get(*n).filter(|check| check.wait.is_some()) else { continue };
            // The last look may begin when the wait ends.
            let left = until.since(now).saturating_sub(check.judge.patience());
            let left = match (left + Duration::from_millis(500)).as_secs() {
                0 => "looking for the last time".into(),
                left => show_duration(Duration::from_secs(left)) + " left",
            };
            waited.push([check.judge.subject().as_str(), " (", &left, ")"].concat());
        }
        if !waited.is_empty() {
            self.helpers.tell(&["waiting for ", &waited.join(", ")].concat());
        }
    }

    /// Ends the helpers that have taken too long.
    fn give_up(&mut self, findings: &mut [Option<Finding>]) {
        let now = self.helpers.now();
        for (helper, n, _) in self.live.extract_if(.., |(_, _, until)| *until <= now) {
            self.helpers.kill(helper);
            let bound = self.checks.get(n).map(bound).unwrap_or_default();
            let found = format!("no answer within {}", show_duration(bound));
            put(findings, n, Finding::fail(found, "look for a name server or file system that hangs".into()));
        }
    }
}

/// When the user is next told what is awaited: after a second, then after ever longer times, up to ten seconds.
struct Progress {
    next: Moment,
    step: Duration,
}

impl Progress {
    fn new(now: Moment) -> Self {
        let step = Duration::from_secs(1);
        Self { next: now.after(step), step }
    }

    fn due(&mut self, now: Moment) -> bool {
        let due = now >= self.next;
        if due {
            self.step = (self.step * 2).min(Duration::from_secs(10));
            self.next = now.after(self.step);
        }
        due
    }
}

/// How long a helper may take: the wait, and a look that was begun at its end (a name server that does not
/// answer takes most of it).
fn bound(check: &Check) -> Duration {
    check.wait.unwrap_or_default().saturating_add(check.judge.patience())
}

/// In a helper: takes on the user's rights, then looks until it holds, cannot change, or time is up.
fn attempt(check: &Check, facts: &mut Facts) -> Finding {
    if let Some(user) = &check.as_user
        && let Err(failure) = become_user(user, facts)
    {
        return failure.into();
    }
    let wait = check.wait.unwrap_or_default();
    let until = facts.system.now().after(wait);
    loop {
        facts.system.forget();
        let mut finding = look(check, facts);
        let left = until.since(facts.system.now());
        if finding.ok || !finding.may_change {
            return finding;
        }
        if left.is_zero() {
            if !wait.is_zero() {
                finding.found.push_str(&format!(", still after {}", show_duration(wait)));
            }
            return finding;
        }
        facts.system.sleep(check.interval.min(left));
    }
}

/// Looks once. A value that no variable can hold is a failure where it is to become one: it could only be dropped.
fn look(check: &Check, facts: &Facts) -> Finding {
    let finding = check.judge.judge(facts);
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

fn become_user(user: &str, facts: &Facts) -> Result<(), Failure> {
    let who = facts.system.accounts().identity(user).map_err(|why| {
        Failure::for_good(why, format!("add {user} to the image, or write its number in as_user"))
    })?;
    let now = facts.system.current();
    if now.uid == who.uid && now.gid == who.gid && now.uid != 0 {
        return Ok(());
    }
    facts.system.switch_to(&who).map_err(|error| {
        let found = format!("no right to judge as {user}: {}", facts::why(&error));
        let how = if now.uid == 0 {
            "docker run --cap-add SETUID --cap-add SETGID, run as "
        } else {
            "run as root, or as "
        };
        Failure::for_good(found, [how, user, " itself, or leave out as_user"].concat())
    })
}

/// Groups, exports, statuses.
fn conclude(
    checks: &[Check],
    mut findings: Vec<Option<Finding>>,
    given: &Environ,
    sources: &Sources,
    every: bool,
) -> Report {
    let (environ, overrides) = exports(checks, &findings, given);
    let secret = judged(checks, &findings).filter(|(check, _)| check.judge.is_secret());
    let secrets = secret.flat_map(|(_, finding)| finding.and_then(|one| one.value.clone())).collect();
    let mut entries: Vec<Entry> = Vec::with_capacity(checks.len());
    let mut labels: Vec<&str> = Vec::new();
    for (n, check) in checks.iter().enumerate() {
        let mut entry = match check.any_of.as_deref() {
            None => single(check, findings.get_mut(n).and_then(Option::take), every),
            Some(label) if labels.contains(&label) => continue,
            Some(label) => {
                labels.push(label);
                let members = |(one, _): &(&Check, Option<&Finding>)| one.any_of.as_deref() == Some(label);
                group(label, &judged(checks, &findings).filter(members).collect::<Vec<_>>())
            }
        };
        let ours = |(m, _): &&(usize, String)| {
            *m == n || check.any_of.is_some() && checks.get(*m).is_some_and(|one| one.any_of == check.any_of)
        };
        entry.warnings.extend(overrides.iter().filter(ours).map(|(_, warning)| warning.clone()));
        if entry.status == Status::Pass && !entry.warnings.is_empty() {
            entry.status = Status::Warn;
        }
        if every || entry.status != Status::Pass {
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
        .collect();
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
        if check.kind == "env" && check.name == *name {
            continue;
        }
        if given.get_full(name).is_some() {
            warnings.push((*n, format!("{name} is set and overrides {}", check.judge.subject())));
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

fn single(check: &Check, finding: Option<Finding>, every: bool) -> Entry {
    let on = finding.is_some();
    let finding = finding.unwrap_or_else(|| Finding {
        ok: true,
        found: check.off.clone().unwrap_or_default(),
        ..Finding::default()
    });
    let status = match (on, finding.ok, check.level) {
        (false, ..) => Status::Skip,
        (_, true, _) => Status::Pass,
        (_, false, Level::Warn) => Status::Warn,
        (_, false, Level::Error) => Status::Fail,
    };
    // An export may yet get a warning.
    let told = every || !finding.ok || !finding.warnings.is_empty() || check.export.is_some();
    let words = |words: &dyn Fn() -> String| if told { words() } else { String::new() };
    Entry {
        kind: check.kind,
        name: words(&|| check.name.clone()),
        subject: words(&|| check.judge.subject()),
        status,
        holds: finding.ok,
        expected: words(&|| check.judge.expected()),
        hint: if finding.ok { String::new() } else { check.hint.clone().unwrap_or(finding.remedy) },
        found: finding.found,
        warnings: finding.warnings,
        file: String::new(),
        line: 0,
    }
}

/// One entry for the checks that share a label.
fn group(label: &str, members: &[(&Check, Option<&Finding>)]) -> Entry {
    let judged: Vec<(&Check, &Finding)> =
        members.iter().filter_map(|(check, finding)| finding.map(|finding| (*check, finding))).collect();
    let holding: Vec<&(&Check, &Finding)> = judged.iter().filter(|(_, finding)| finding.ok).collect();
    let told =
        |(check, finding): &(&Check, &Finding)| format!("{} ({})", check.judge.subject(), finding.found);
    let (mut found, mut hints) = (String::new(), String::new());
    if !holding.is_empty() {
        found = holding.iter().map(|one| told(one)).collect::<Vec<_>>().join("; ");
    } else if !judged.is_empty() {
        found = format!("none of: {}", judged.iter().map(told).collect::<Vec<_>>().join("; "));
        // The user's own words, if there are any, say it for all.
        let mut own: Vec<String> = judged.iter().filter_map(|(check, _)| check.hint.clone()).collect();
        if own.is_empty() {
            own =
                judged.iter().map(|(_, finding)| finding.remedy.clone()).filter(|r| !r.is_empty()).collect();
        }
        own.dedup();
        hints = own.join("; or ");
    }
    let holds = !holding.is_empty() || judged.is_empty();
    let grave = judged.iter().any(|(check, _)| check.level == Level::Error);
    let subjects: Vec<String> = members.iter().map(|(check, _)| check.judge.subject()).collect();
    Entry {
        kind: ANY_OF,
        name: label.to_string(),
        subject: format!("\"{label}\""),
        status: match (judged.is_empty(), holds, grave) {
            (true, ..) => Status::Skip,
            (_, true, _) => Status::Pass,
            (_, false, true) => Status::Fail,
            (_, false, false) => Status::Warn,
        },
        holds,
        found,
        expected: format!("one of {}", subjects.join(", ")),
        hint: hints,
        warnings: holding.iter().flat_map(|(_, finding)| finding.warnings.clone()).collect(),
        file: String::new(),
        line: 0,
    }
}

#[cfg(test)]
mod tests;
