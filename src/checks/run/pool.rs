//! The helpers at work: each looks for one check, some at a time, and what takes too long is given up.
//!
//! Of the checks of a group (`any_of`) each looks once, so that what is told does not depend on who was the quickest;
//! only while none holds do those go on that may wait, and the first that holds ends the wait of the others.

use super::codec;
use super::{Interrupted, SpawnWorker, WorkerEvent, look};
use crate::checks::{Check, CheckFailure, Facts, Finding, facts};
use crate::model::{Moment, Pid};
use crate::sys::{Errno, errno};
use crate::text::gather::Gather;
use crate::text::template::fill;
use crate::text::units::show_duration;
use std::collections::VecDeque;
use std::time::Duration;

/// Helpers at a time.
const MAX_WORKERS: usize = 256;

/// Who wakes this much later than it was to be woken was frozen, or starved.
const MAX_WAKE_DELAY: Duration = Duration::from_millis(500);

/// How often a helper looks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// Once, of a group.
    First,
    /// Until it holds or its time is up.
    Last,
}

/// A helper at work.
struct RunningCheck {
    helper: Pid,
    /// Its check.
    n: usize,
    turn: Pass,
    begun: Moment,
    /// When it must be done.
    until: Moment,
}

/// All of them, and what they have found.
pub(super) struct WorkerPool<'c> {
    checks: &'c [Check],
    helpers: &'c mut dyn SpawnWorker,
    findings: Vec<Option<Finding>>,
    /// Checks that have no helper yet.
    queue: VecDeque<(usize, Pass)>,
    live: Vec<RunningCheck>,
    begun: Moment,
}

impl<'c> WorkerPool<'c> {
    /// A crew for these of the checks.
    pub fn new(
        checks: &'c [Check],
        helpers: &'c mut dyn SpawnWorker,
        ask: impl Iterator<Item = usize>,
    ) -> Self {
        let turn = |n: usize| {
            let one_of_many = checks.get(n).is_some_and(|check| check.any_of.is_some());
            if one_of_many { Pass::First } else { Pass::Last }
        };
        let queue = ask.map(|n| (n, turn(n))).collect();
        let begun = helpers.now();
        let findings = checks.iter().map(|_| None).collect();
        Self { checks, helpers, findings, queue, live: Vec::new(), begun }
    }

    /// Keeps what was found.
    pub fn put(&mut self, n: usize, finding: Finding) {
        if let Some(place) = self.findings.get_mut(n) {
            *place = Some(finding);
        }
    }

    /// Starts helpers while there is room.
    pub fn fill(&mut self, facts: &mut Facts) {
        while let Some((n, turn)) = self.queue.front().copied().filter(|_| self.live.len() < MAX_WORKERS) {
            let Some(check) = self.checks.get(n) else { return };
            let wait = self.wait(check, turn);
            let started = self.helpers.start(&mut |out| codec::encode(&attempt(check, wait, facts), out));
            match started {
                Ok(helper) => {
                    let begun = self.helpers.now();
                    // A look that is begun at the end of the wait may take long: a name server that does not answer.
                    let until = begun.after(wait.unwrap_or_default().saturating_add(check.spec.patience()));
                    self.live.push(RunningCheck { helper, n, turn, begun, until });
                }
                // Processes may be scarce: another try when one has ended.
                Err(_) if !self.live.is_empty() => return,
                Err(error) => {
                    let found = fill!("no process to look with: {}", facts::why(&error));
                    let remedy = "raise the limit of processes (docker run --pids-limit)".into();
                    self.put(n, Finding::fail(found, remedy));
                }
            }
            self.queue.pop_front();
        }
    }

    /// How long a check may still wait, if it may at all.
    fn wait(&self, check: &Check, turn: Pass) -> Option<Duration> {
        let wait = check.wait.filter(|_| turn == Pass::Last)?;
        Some(wait.saturating_sub(self.helpers.now().since(self.begun)))
    }

    /// Waits for all of them; all that was found.
    pub fn collect(mut self, facts: &mut Facts) -> Result<Vec<Option<Finding>>, Interrupted> {
        let mut progress = PassProgress::new(self.helpers.now());
        while let Some(until) = self.live.iter().map(|live| live.until).min() {
            let until = until.min(progress.next);
            let wake = self.helpers.wait(until);
            // Frozen (`docker pause`): nobody had the time that has passed since.
            let lost = self.helpers.now().since(until);
            if lost > MAX_WAKE_DELAY {
                self.live.iter_mut().for_each(|live| live.until = live.until.after(lost));
            }
            match wake {
                WorkerEvent::Done(helper, bytes) => {
                    let Some(at) = self.live.iter().position(|live| live.helper == helper) else {
                        continue;
                    };
                    let live = self.live.swap_remove(at);
                    let finding = bytes.and_then(|bytes| codec::decode(&bytes)).unwrap_or_else(|| {
                        Finding::fail("no answer: the process that looked has died".into(), String::new())
                    });
                    self.found(live.n, live.turn, finding);
                }
                WorkerEvent::Signal(signal) => {
                    self.live.iter().for_each(|live| self.helpers.kill(live.helper));
                    return Err(Interrupted(signal));
                }
                WorkerEvent::Due => {
                    self.give_up();
                    if progress.due(self.helpers.now()) {
                        self.tell_progress();
                    }
                }
            }
            self.fill(facts);
        }
        Ok(self.findings)
    }

    /// A helper is done: whether its check, or those that wait beside it, go on.
    fn found(&mut self, n: usize, turn: Pass, finding: Finding) {
        let (ok, may_change) = (finding.ok, finding.may_change);
        self.put(n, finding);
        let Some(check) = self.checks.get(n).filter(|check| check.any_of.is_some()) else { return };
        let member = |n: usize| self.checks.get(n).is_some_and(|one| one.any_of == check.any_of);
        if ok {
            self.queue.retain(|(n, turn)| *turn == Pass::First || !member(*n));
            for live in self.live.extract_if(.., |live| live.turn == Pass::Last && member(live.n)) {
                self.helpers.kill(live.helper);
            }
        } else if turn == Pass::First && may_change && check.wait.is_some() {
            let mut findings = self.findings.iter().enumerate();
            if !findings.any(|(n, one)| member(n) && one.as_ref().is_some_and(|one| one.ok)) {
                self.queue.push_back((n, Pass::Last));
            }
        }
    }

    /// What is awaited, and for how long still.
    fn tell_progress(&mut self) {
        let now = self.helpers.now();
        let mut waited: Vec<String> = Vec::new();
        for RunningCheck { n, until, .. } in self.live.iter().filter(|live| live.turn == Pass::Last) {
            let Some(check) = self.checks.get(*n).filter(|check| check.wait.is_some()) else { continue };
            // The last look may begin when the wait ends.
            let left = until.since(now).saturating_sub(check.spec.patience());
            let left = match (left + Duration::from_millis(500)).as_secs() {
                0 => "looking for the last time".into(),
                left => show_duration(Duration::from_secs(left)) + " left",
            };
            waited.push(fill!("{} ({})", check.spec.subject.as_str(), left));
        }
        if !waited.is_empty() {
            self.helpers.tell(&fill!("waiting for {}", &waited.join(", ")));
        }
    }

    /// Ends the helpers that have taken too long.
    fn give_up(&mut self) {
        let now = self.helpers.now();
        let late: Vec<RunningCheck> = self.live.extract_if(.., |live| live.until <= now).gather();
        for RunningCheck { helper, n, turn, begun, until } in late {
            self.helpers.kill(helper);
            let found = fill!("no answer within {}", show_duration(until.since(begun)));
            let remedy = self.checks.get(n).map_or("", |check| check.kind.hang_hint);
            self.found(n, turn, Finding::fail(found, remedy.into()));
        }
    }
}

/// When the user is next told what is awaited: after a second, then after ever longer times, up to ten seconds.
struct PassProgress {
    next: Moment,
    step: Duration,
}

impl PassProgress {
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

/// In a helper: takes on the user's rights, then looks until it holds, cannot change, or `wait` is over.
pub(in crate::checks) fn attempt(check: &Check, wait: Option<Duration>, facts: &mut Facts) -> Finding {
    if let Some(user) = &check.as_user
        && let Err(failure) = become_user(user, facts)
    {
        return failure.into();
    }
    let mut until = facts.system.now().after(wait.unwrap_or_default());
    loop {
        facts.system.forget();
        let mut finding = look(check, facts);
        let left = until.since(facts.system.now());
        if finding.ok || !finding.may_change {
            return finding;
        }
        if left.is_zero() {
            if let Some(whole) = check.wait.filter(|_| wait.is_some()) {
                finding.found.push_str(&fill!(", still after {}", show_duration(whole)));
            }
            if check.wait.is_some() {
                // It has been tried.
                finding.remedy = finding.remedy.replace(", or keep trying with wait", "");
            }
            return finding;
        }
        let awake = facts.system.now().after(check.interval.min(left));
        facts.system.sleep(check.interval.min(left));
        let lost = facts.system.now().since(awake);
        if lost > MAX_WAKE_DELAY {
            until = until.after(lost);
        }
    }
}

fn become_user(user: &str, facts: &Facts) -> Result<(), CheckFailure> {
    let who = facts.system.accounts().identity(user).map_err(|why| {
        CheckFailure::for_good(why, "add it to the image (adduser, addgroup), or use a number".into())
    })?;
    let now = facts.system.current();
    if who.is_had_by(&now) {
        return Ok(());
    }
    facts.system.switch_to(&who).map_err(|error| {
        let found = fill!("no right to judge as {}: {}", user, facts::why(&error));
        let how = match errno(&error) {
            Errno::EPERM if now.uid == 0 => "docker run --cap-add SETUID --cap-add SETGID",
            Errno::EPERM => "run as root, or as that user itself",
            _ => "use one that the user namespace has (/proc/self/uid_map, gid_map)",
        };
        CheckFailure::for_good(found, fill!("{}, or leave out as_user", how))
    })
}
