//! Hooks: what must hold of them, and single rules.

use super::invariants::rule;
use super::scenes::*;
use super::world::{Ask, Group, S, World};
use crate::model::HookKind::{Checks, PostStart, PostStop, PreStart, PreStop};
use crate::model::*;
use crate::supervisor::ServiceStatus;
use crate::supervisor::event::{Action, Next, Note, StopReason};
use crate::supervisor::service::ServiceState;
use std::time::Duration;

/// What the world knows of hooks.
#[derive(Clone, Default, Debug)]
pub(super) struct HookLedger {
    /// Services of which an attempt to start was made that no `post_stop` has followed yet.
    pub owed: u16,
    /// Services whose `pre_start` was requested, and no start after it; those of them whose `pre_start` has succeeded.
    pub prepared: u16,
    pub pre_started: u16,
    /// The same of `checks`.
    pub checked: u16,
    pub passed: u16,
    /// Services whose `post_start` has succeeded since their start.
    pub post_started: u16,
    /// When each was started, and its `min_uptime`.
    pub started_at: Vec<Option<(Moment, Duration)>>,
}

impl World {
    /// A hook's process has ended.
    pub(super) fn hook_ended(&mut self, of: ServiceId, hook: Option<HookKind>, outcome: ExitStatus) {
        let good = u16::from(outcome == ExitStatus::Code(0)) << of.0;
        match hook {
            Some(Checks) => self.hooks.passed |= good,
            Some(PreStart) => self.hooks.pre_started |= good,
            Some(PostStart) => self.hooks.post_started |= good,
            Some(PreStop | PostStop) | None => {}
        }
    }

    /// A service was started.
    pub(super) fn hooks_of_start(&mut self, id: ServiceId) {
        let count = self.rules.len();
        self.hooks.started_at.resize(count, None);
        self.hooks.started_at[id.index()] = Some((self.now, self.rules[id.index()].min_uptime));
        let free = self.limit(id, PostStart).is_none();
        self.hooks.post_started = self.hooks.post_started & !(1 << id.0) | u16::from(free) << id.0;
    }

    /// The set of services was replaced.
    pub(super) fn hooks_of_set(&mut self) {
        for id in self.core.records.ids() {
            self.forget_starts(id);
            let owes = u16::from(self.limit(id, PostStop).is_some());
            self.hooks.owed &= !((1 - owes) << id.0);
        }
    }

    /// A start follows a `pre_start` that has succeeded; returns whether there was one.
    pub(super) fn check_prepared(&mut self, id: ServiceId) -> Result<bool, &'static str> {
        let bit = 1 << id.0;
        let prepared = self.hooks.prepared & bit != 0;
        let good = self.hooks.pre_started & bit != 0;
        // A reload may have taken away the hook of an attempt that has failed.
        rule(
            !prepared || good || self.limit(id, PreStart).is_none(),
            "started after a hook that has failed",
        )?;
        let prepared = prepared && good;
        (self.hooks.prepared, self.hooks.pre_started) =
            (self.hooks.prepared & !bit, self.hooks.pre_started & !bit);
        Ok(prepared)
    }

    /// What follows `checks` follows them when they have passed; returns whether there were any.
    pub(super) fn check_checked(&mut self, id: ServiceId) -> Result<bool, &'static str> {
        let bit = 1 << id.0;
        let passed = self.hooks.checked & self.hooks.passed & bit != 0;
        rule(passed || self.limit(id, Checks).is_none(), "started before its checks")?;
        (self.hooks.checked, self.hooks.passed) = (self.hooks.checked & !bit, self.hooks.passed & !bit);
        Ok(passed)
    }

    pub(super) fn limit(&self, id: ServiceId, hook: HookKind) -> Option<Duration> {
        self.rules[id.index()].hooks.as_ref()?.of(hook)
    }

    /// Returns whether a service that runs counts as started.
    pub(super) fn is_started(&self, id: ServiceId) -> bool {
        let rules = &self.rules[id.index()];
        let hook = self.limit(id, PostStart).is_none() || self.hooks.post_started & (1 << id.0) != 0;
        let (since, uptime) =
            self.hooks.started_at.get(id.index()).copied().flatten().unwrap_or((self.now, rules.min_uptime));
        let is_long = self.now.since(since) >= uptime.min(rules.min_uptime);
        hook && (rules.kind == ServiceType::Oneshot || is_long)
    }

    /// An attempt to start a service begins: a `post_stop` must follow.
    pub(super) fn begin_attempt(&mut self, id: ServiceId) {
        if self.limit(id, PostStop).is_some() {
            self.hooks.owed |= 1 << id.0;
        }
    }

    /// What must hold when a hook is requested.
    pub(super) fn check_hook(&mut self, id: ServiceId, hook: HookKind) -> Result<(), &'static str> {
        rule(self.limit(id, hook).is_some(), "a hook that it does not have")?;
        let own = |group: &Group| group.of == id && !group.given_up;
        let lives = self.groups.values().any(|group| own(group) && !group.probe && group.leader);
        let twice = self.groups.values().any(|group| own(group) && group.hook == Some(hook) && !group.killed);
        rule(!twice, "a hook that runs already")?;
        match hook {
            PreStart | Checks => {
                rule(!self.stopping, "a start while the container stops")?;
                rule(!self.is_by_hand(id), "started, though it was stopped by hand")?;
                // Otherwise it was due when its checks were requested.
                if hook == Checks || !self.check_checked(id)? {
                    self.check_spawn_in_time(id)?;
                    self.count_start(id);
                    self.check_needs(id)?;
                }
                self.begin_attempt(id);
                self.hooks.pre_started &= !(1 << id.0);
                if hook == Checks {
                    self.hooks.checked |= 1 << id.0;
                    self.hooks.passed &= !(1 << id.0);
                    self.hooks.prepared &= !(1 << id.0);
                } else {
                    self.hooks.prepared |= 1 << id.0;
                }
                rule(!lives, "a hook before the start of what runs")
            }
            PostStart | PreStop => rule(lives, "a hook of what does not run"),
            PostStop => {
                self.hooks.owed &= !(1 << id.0);
                rule(!lives, "a hook after the end of what runs")
            }
        }
    }

    /// What must hold when an end is told: its hook has run, unless a second request ended everything.
    pub(super) fn check_post_stop(&mut self, id: ServiceId) -> Result<(), &'static str> {
        let bit = 1 << id.0;
        let owed = self.hooks.owed & bit != 0;
        // The next attempt may have no hook before it, after a reload.
        self.hooks.prepared &= !bit;
        self.hooks.owed &= !bit;
        (self.hooks.prepared, self.hooks.pre_started) =
            (self.hooks.prepared & !bit, self.hooks.pre_started & !bit);
        rule(!owed || self.core.stop.skip_hooks, "an end without its post_stop")
    }

    /// A service gets its stop signal after the hook before it.
    pub(super) fn check_pre_stop(&self, id: ServiceId, asked: bool) -> Result<(), &'static str> {
        let is =
            |group: &Group| group.of == id && group.hook == Some(PreStop) && !group.killed && !group.given_up;
        let stops = matches!(self.core.records[id].state, ServiceState::Stopping(ending) if !ending.killed);
        let runs = self.groups.values().any(is) || self.asks.contains(&Ask::Hook(id, PreStop));
        rule(!(asked && stops && runs), "asked to stop while its pre_stop runs")
    }

    /// A service whose processes are gone waits for a hook, and for nothing else.
    pub(super) fn check_finishing(&self, id: ServiceId) -> Result<(), &'static str> {
        let mine = |group: &Group| group.of == id && !group.probe && !group.given_up && group.leader;
        rule(!self.groups.values().any(mine), "it finishes, and still lives")?;
        let waits =
            self.core.hooks.iter().any(|run| run.service == id && matches!(run.hook, PreStop | PostStop));
        rule(waits, "waits for a hook that is not there")
    }

    /// Whether the core waits for this hook.
    pub(super) fn is_awaited(&self, id: ServiceId, hook: HookKind, pid: Pid) -> bool {
        match self.core.records[id].state {
            ServiceState::Spawning { load: Some(load), .. } => load.hook == Some(hook) && load.pid == pid,
            state => {
                let right = match hook {
                    PreStart | Checks => false,
                    PostStart => matches!(state, ServiceState::Running { .. }),
                    PreStop => matches!(state, ServiceState::Stopping(_) | ServiceState::Finishing(_)),
                    PostStop => matches!(state, ServiceState::Finishing(_)),
                };
                right && self.core.pids.all().any(|(known, _)| known == pid)
            }
        }
    }
}

fn hooked(hooks: &[HookKind], rules: ServicePolicy) -> ServicePolicy {
    let mut timeouts = HookTimeouts::default();
    hooks.iter().for_each(|hook| timeouts.0[*hook as usize] = Some(3 * S));
    ServicePolicy { hooks: Some(timeouts.into()), ..rules }
}

fn hooks(w: &World) -> Vec<(HookKind, Option<ExitStatus>)> {
    let hook =
        |a: &Action| if let Action::Hook { hook, outcome, .. } = a { Some((*hook, *outcome)) } else { None };
    w.seen.iter().filter_map(hook).collect()
}

#[test]
fn a_life_with_all_hooks() {
    let all = hooked(&[PreStart, PostStart, PreStop, PostStop], daemon());
    let mut w = up(vec![all, needs(&[(0, Condition::Started)], daemon())]);
    assert_eq!(spawns(&w), [] as [u16; 0]);
    w.hook(0, PreStart, 0);
    w.answer_all();
    assert_eq!(spawns(&w), [0], "its dependent waits for post_start");
    w.hook(0, PostStart, 0);
    w.answer_all();
    assert!(told(&w, Note::Ready { service: ServiceId(0) }));
    assert_eq!(spawns(&w), [0, 1]);
    w.signal(Signal::TERM);
    w.die(1, Signal::TERM);
    w.answer_all();
    let pid = w.pid(0);
    assert_eq!(w.signals_to(pid), []);
    w.hook(0, PreStop, 0);
    assert_eq!(w.signals_to(pid), [Signal::TERM]);
    w.die(0, Signal::TERM);
    w.answer_all();
    assert_eq!(hooks(&w).last(), Some(&(PostStop, Some(ExitStatus::Signal(Signal::TERM)))));
    assert_eq!(w.status(0), ServiceStatus::Finishing);
    w.hook(0, PostStop, 0);
    assert_eq!(w.next(0), Some(Next::Stopped));
    assert_eq!(w.finish(), 0);
}

#[test]
fn a_failed_pre_start_is_a_failed_start_and_post_stop_follows() {
    let mut w = up(vec![hooked(&[PreStart, PostStop], restarting(Restart::OnFailure))]);
    w.hook(0, PreStart, 4);
    w.answer_all();
    assert_eq!(hooks(&w).last(), Some(&(PostStop, Some(ExitStatus::Code(4)))));
    w.hook(0, PostStop, 0);
    assert_eq!(restarts_in(&w, 0), Some(S));
    assert_eq!(spawns(&w), [] as [u16; 0]);
    w.wait(S);
    w.answer_all();
    w.wait(3 * S);
    let failed = Note::HookFailed { service: ServiceId(0), hook: PreStart, outcome: None, after: 3 * S };
    assert!(told(&w, failed));
}

#[test]
fn a_failed_post_start_stops_the_service() {
    let mut w = up(vec![hooked(&[PostStart], restarting(Restart::OnFailure))]);
    w.hook(0, PostStart, 1);
    assert!(told(&w, Note::Stopping { service: ServiceId(0), cause: StopReason::PostStart }));
    w.die(0, Signal::TERM);
    assert_eq!(restarts_in(&w, 0), Some(S));
}

#[test]
fn a_pre_stop_that_hangs_leaves_a_tenth_of_the_grace() {
    let mut w = up(vec![ServicePolicy { stop_grace: 2 * S, ..hooked(&[PreStop], daemon()) }]);
    let pid = w.pid(0);
    w.signal(Signal::TERM);
    w.answer_all();
    w.wait(S);
    assert_eq!(w.signals_to(pid), []);
    w.wait(S * 8 / 10);
    assert_eq!(w.signals_to(pid), [Signal::TERM]);
    w.wait(S * 2 / 10);
    assert_eq!(w.signals_to(pid), [Signal::TERM, Signal::KILL]);
}

#[test]
fn hooks_get_their_share_of_within() {
    let whole = Settings { stop_within: Some(10 * S), ..Settings::default() };
    let rules = ServicePolicy { stop_grace: 6 * S, ..hooked(&[PostStop], daemon()) };
    let w = World::new(vec![rules.clone(), needs(&[(0, Condition::Started)], rules)], whole);
    // Twice 6 s and 3 s in 9 s.
    assert_eq!(w.core.share, 0.5);
    assert_eq!(w.core.stop_bound_without_within(), 2 * (6 * S + 3 * S + 2 * S) + 4 * S);
}

#[test]
fn a_second_interrupt_ends_hooks_too() {
    let mut w = up(vec![hooked(&[PreStop, PostStop], daemon()), hooked(&[PostStop], daemon())]);
    w.signal(Signal::INT);
    w.die(1, Signal::TERM);
    w.answer_all();
    w.wait(S);
    w.signal(Signal::INT);
    let killed = w.seen.iter().filter(|a| matches!(a, Action::KillHook { .. })).count();
    assert_eq!(killed, 2);
    w.die(0, Signal::KILL);
    assert!(w.swept, "no hook any more: {:?}", w.seen);
}

#[test]
fn an_end_before_min_uptime_is_a_failed_start() {
    let mut w = up(vec![
        ServicePolicy { min_uptime: 5 * S, ..restarting(Restart::OnFailure) },
        needs(&[(0, Condition::Started)], daemon()),
    ]);
    w.wait(3 * S);
    w.exit(0, 0);
    let Some(Note::Ended { cause, next: Next::Restarting { .. }, .. }) = w.notes().last() else {
        panic!("{:?}", w.seen)
    };
    assert_eq!(*cause, StopReason::TooEarly);
    w.wait(S);
    w.answer_all();
    w.wait(4 * S);
    assert_eq!(spawns(&w), [0, 0]);
    w.wait(S);
    assert_eq!(spawns(&w), [0, 0, 1]);
    w.answer_all();
    w.exit(0, 0);
    assert_eq!(w.next(0), Some(Next::Done));
}
