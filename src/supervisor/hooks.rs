//! Hooks: commands of a service that run before and after its start and its stop.
//!
//! `pre_start` is part of the start, like a program that takes long to load ([`super::service::Load`]). `post_start`
//! runs beside the service, which counts as started once it is done. `pre_stop` runs between the request to stop and
//! the stop signal, within the grace period. `post_stop` runs when nothing is left of the service, before its end has
//! any consequence ([`ServiceState::Finishing`]).

use super::event::{Action, Note, StopReason};
use super::process_table::Owner;
use super::restart::scaled;
use super::service::{Ended, Load, ServiceState, Stopping};
use super::{Step, Supervisor, faulty};
use crate::exit_code;
use crate::model::{ExitStatus, HookKind, Moment, Pid, ServiceId, ServiceType};
use std::time::Duration;

/// Say after this time that a hook still runs.
const TELL_AFTER: Duration = Duration::from_secs(10);

/// The share of a grace period that `pre_stop` may take: the program needs time after its stop signal.
const SHARE_OF_GRACE: f64 = 0.9;

/// The limit of a hook that runs and is not in the configuration any more.
const LIMIT_OF_REMOVED: Duration = Duration::from_secs(10);

/// A hook other than `pre_start`, from the request for its process until it has ended or is no longer wanted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct HookRun {
    pub(super) service: ServiceId,
    pub(super) hook: HookKind,
    pub(super) since: Moment,
    pub(super) state: HookState,
}

/// What is known of its process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum HookState {
    /// Requested.
    Asked,
    /// Requested, but no longer wanted: it is killed as soon as it is there.
    Stale,
    /// It runs; at `tell` that is said, and at `until` it is killed.
    Running { pid: Pid, tell: Moment, until: Moment },
}

impl HookRun {
    fn pid(&self) -> Option<Pid> {
        if let HookState::Running { pid, .. } = self.state { Some(pid) } else { None }
    }

    fn due(&self) -> Option<Moment> {
        let HookState::Running { tell, until, .. } = self.state else { return None };
        Some(tell.min(until)).filter(|at| at.0 < u64::MAX)
    }
}

impl Supervisor {
    /// Returns when a hook of this service is due.
    pub(super) fn hook_due_at(&self, id: ServiceId) -> Option<Moment> {
        self.hooks.iter().filter(|run| run.service == id).filter_map(HookRun::due).min()
    }

    /// Returns how long a hook may take if it is started now; `None`: there is none.
    pub(super) fn hook_limit(&self, id: ServiceId, hook: HookKind, now: Moment) -> Option<Duration> {
        let limit = self.rules[id].hooks.as_ref()?.of(hook)?;
        Some(match hook {
            HookKind::Checks | HookKind::PreStart | HookKind::PostStart => limit,
            HookKind::PreStop => limit.min(scaled(self.grace(id), SHARE_OF_GRACE)),
            HookKind::PostStop if self.is_stopping() => {
                // Past the time in which everything should have stopped it gets what can still be given.
                let left = self.stop.halt_at.filter(|_| self.stop.kill_all).map(|at| at.since(now) / 2);
                scaled(limit, self.share).min(left.unwrap_or(Duration::MAX))
            }
            HookKind::PostStop => limit,
        })
    }

    fn hook_at(&self, id: ServiceId, is: impl Fn(&HookRun) -> bool) -> Option<usize> {
        self.hooks.iter().position(|run| run.service == id && is(run))
    }

    /// Returns whether this hook was requested, and is waited for.
    pub(super) fn runs_hook(&self, id: ServiceId, hook: HookKind) -> bool {
        self.hook_at(id, |run| run.hook == hook && run.state != HookState::Stale).is_some()
    }

    fn take_hook(&mut self, at: usize) -> HookRun {
        let run = self.hooks.remove(at);
        if self.hooks.is_empty() {
            self.hooks = Vec::new();
        }
        // Its timer is that of the service.
        self.records.touch(run.service);
        run
    }
}

impl Step<'_> {
    /// Requests a hook if the service has it; returns whether it has.
    pub(super) fn ask_hook(&mut self, id: ServiceId, hook: HookKind, outcome: Option<ExitStatus>) -> bool {
        if self.core.hook_limit(id, hook, self.now).is_none() {
            return false;
        }
        self.core.pids.ask();
        if !hook.is_before_start() {
            let run = HookRun { service: id, hook, since: self.now, state: HookState::Asked };
            self.core.hooks.push(run);
        }
        self.act(Action::Hook { service: id, hook, outcome });
        true
    }

    pub(super) fn hook_spawned(&mut self, id: ServiceId, hook: HookKind, pid: Pid) {
        if hook.is_before_start() {
            self.pre_start_spawned(id, hook, pid);
            return;
        }
        let Some(at) = self.core.hook_at(id, |run| run.hook == hook && run.pid().is_none()) else { return };
        let limit = self.core.hook_limit(id, hook, self.now).unwrap_or(LIMIT_OF_REMOVED);
        let (tell, until) = (self.now.after(TELL_AFTER), self.now.after(limit));
        self.core.records.touch(id);
        match self.core.hooks.get_mut(at) {
            Some(run) if run.state == HookState::Asked => {
                let until = if faulty!(self.core, AwaitHook) { Moment(u64::MAX) } else { until };
                run.state = HookState::Running { pid, tell, until };
                if let Some(end) = self.core.pids.answer(pid, Owner::Hook(id, hook)) {
                    self.hook_gone(id, hook, pid, end.outcome);
                }
            }
            _ => {
                self.core.take_hook(at);
                if self.core.pids.answer_for_nobody(pid).is_none() {
                    self.act(Action::KillHook { pid });
                }
            }
        }
    }

    pub(super) fn hook_not_spawned(&mut self, id: ServiceId, hook: HookKind, lasting: bool, code: u8) {
        if hook.is_before_start() {
            if let ServiceState::Spawning { load: None, .. } = self.core.records[id].state {
                self.core.pids.answer_without_process();
                self.finish(id, Ended::Start { lasting, code });
            }
            return;
        }
        let Some(at) = self.core.hook_at(id, |run| run.hook == hook && run.pid().is_none()) else { return };
        self.core.pids.answer_without_process();
        if self.core.take_hook(at).state == HookState::Asked {
            self.hook_over(id, hook, false);
        }
    }

    /// A hook's process has ended.
    pub(super) fn hook_gone(&mut self, id: ServiceId, hook: HookKind, pid: Pid, outcome: ExitStatus) {
        if hook.is_before_start() {
            self.pre_start_gone(id, hook, pid, outcome);
        } else if let Some(at) = self.core.hook_at(id, |run| run.hook == hook && run.pid() == Some(pid)) {
            let run = self.core.take_hook(at);
            let good = self.judge_hook(id, hook, outcome, run.since);
            self.hook_over(id, hook, good);
        }
    }

    fn judge_hook(&mut self, id: ServiceId, hook: HookKind, outcome: ExitStatus, since: Moment) -> bool {
        let good = outcome == ExitStatus::Code(0);
        if !good {
            let after = self.now.since(since);
            self.tell(Note::HookFailed { service: id, hook, outcome: Some(outcome), after });
        }
        good
    }

    /// Handles the timer of a service's hook, if that is due; returns whether it was.
    pub(super) fn hook_due(&mut self, id: ServiceId) -> bool {
        let due = |run: &HookRun| run.due().is_some_and(|at| at <= self.now);
        let Some(at) = self.core.hook_at(id, due) else { return false };
        self.core.records.touch(id);
        let Some(run) = self.core.hooks.get_mut(at) else { return false };
        let (hook, since) = (run.hook, run.since);
        let HookState::Running { pid, tell, until } = &mut run.state else { return false };
        let (pid, after) = (*pid, self.now.since(since));
        if *until > self.now {
            let limit = until.since(since);
            *tell = Moment(u64::MAX);
            self.tell(Note::HookRuns { service: id, hook, after, limit });
        } else {
            self.tell(Note::HookFailed { service: id, hook, outcome: None, after });
            self.core.take_hook(at);
            self.core.pids.forget(pid);
            self.act(Action::KillHook { pid });
            self.hook_over(id, hook, false);
        }
        true
    }

    /// A hook is done, has failed, or was killed: what waited for it goes on.
    fn hook_over(&mut self, id: ServiceId, hook: HookKind, good: bool) {
        match (hook, self.core.records[id].state) {
            (HookKind::PostStart, _) if good => {
                self.core.records[id].pending.post_start = false;
                self.check_started(id);
            }
            (HookKind::PostStart, _) => self.stop(id, StopReason::PostStart),
            (
                HookKind::PreStop,
                ServiceState::Stopping(ending @ Stopping { leader: None, killed: false, .. }),
            ) => {
                self.ask_to_stop(id, ending);
            }
            (HookKind::PreStop, ServiceState::Finishing(ended)) => self.finish(id, ended),
            (HookKind::PostStop, ServiceState::Finishing(ended)) => self.conclude(id, ended),
            // Nothing waits for it any more.
            (HookKind::Checks | HookKind::PreStart | HookKind::PreStop | HookKind::PostStop, _) => {}
        }
    }

    /// Kills a hook that nobody waits for any more.
    pub(super) fn drop_hook(&mut self, id: ServiceId, hook: HookKind) {
        let is = |run: &HookRun| run.hook == hook && run.state != HookState::Stale;
        let Some(at) = self.core.hook_at(id, is) else { return };
        if let Some(pid) = self.core.hooks.get(at).and_then(HookRun::pid) {
            self.core.take_hook(at);
            self.core.pids.forget(pid);
            if !faulty!(self.core, LeaveHook) {
                self.act(Action::KillHook { pid });
            }
        } else if let Some(run) = self.core.hooks.get_mut(at) {
            run.state = HookState::Stale;
        }
    }

    /// Kills the hooks of a service, which go on with what waits for them.
    pub(super) fn kill_hooks(&mut self, id: ServiceId) {
        let was_last = self.core.runs_hook(id, HookKind::PostStop);
        self.drop_hook(id, HookKind::PreStop);
        self.drop_hook(id, HookKind::PostStop);
        match self.core.records[id].state {
            ServiceState::Finishing(ended) if was_last => self.conclude(id, ended),
            ServiceState::Finishing(ended) => self.finish(id, ended),
            _ => {}
        }
    }

    /// The container stops: what runs gets no more time than it would if it were started now.
    pub(super) fn hurry_hooks(&mut self, id: ServiceId) {
        for hook in [HookKind::PreStop, HookKind::PostStop] {
            // One that a reload has taken away still runs: it gets what the service itself would.
            let limit = self.core.hook_limit(id, hook, self.now).unwrap_or_else(|| self.core.grace(id));
            let latest = self.now.after(limit);
            let is = |run: &HookRun| run.hook == hook;
            let found = self.core.hook_at(id, is).and_then(|at| self.core.hooks.get_mut(at));
            if let Some(HookRun { state: HookState::Running { until, .. }, .. }) = found {
                *until = latest.min(*until);
                self.core.records.touch(id);
            }
        }
    }

    /// After a freeze: a hook that is overdue gets its time once more.
    pub(super) fn resume_hooks(&mut self, id: ServiceId) {
        for at in 0..self.core.hooks.len() {
            let Some(run) = self.core.hooks.get(at).copied().filter(|run| run.service == id) else {
                continue;
            };
            let limit = self.core.hook_limit(id, run.hook, self.now).unwrap_or(LIMIT_OF_REMOVED);
            let (now, later) = (self.now, self.now.after(limit));
            if let Some(HookRun { state: HookState::Running { until, .. }, .. }) = self.core.hooks.get_mut(at)
                && *until <= now
            {
                *until = later;
                self.core.records.touch(id);
            }
        }
    }

    // Before the start.

    /// Goes through what precedes the service's own process: `checks`, then `pre_start`.
    pub(super) fn begin_start(&mut self, id: ServiceId) {
        if !self.ask_hook(id, HookKind::Checks, None) {
            self.after_checks(id);
        }
    }

    fn after_checks(&mut self, id: ServiceId) {
        if !self.ask_hook(id, HookKind::PreStart, None) {
            self.core.pids.ask();
            self.act(Action::Spawn { service: id });
        }
    }

    fn pre_start_spawned(&mut self, id: ServiceId, hook: HookKind, pid: Pid) {
        let ServiceState::Spawning { disturbed, load: None } = self.core.records[id].state else { return };
        let limit = self.core.hook_limit(id, hook, self.now).unwrap_or(LIMIT_OF_REMOVED);
        let due = self.now.after(limit.min(TELL_AFTER));
        let load = Load { pid, since: self.now, due, killed: None, hook: Some(hook) };
        self.set(id, ServiceState::Spawning { disturbed, load: Some(load) });
        if let Some(end) = self.core.pids.answer(pid, Owner::Hook(id, hook)) {
            self.pre_start_gone(id, hook, pid, end.outcome);
        } else {
            self.kill_unwanted_load(id, disturbed, load, None);
        }
        self.release_signals(id);
    }

    fn pre_start_gone(&mut self, id: ServiceId, hook: HookKind, pid: Pid, outcome: ExitStatus) {
        let ServiceState::Spawning { disturbed, load: Some(load) } = self.core.records[id].state else {
            return;
        };
        if load.hook != Some(hook) || load.pid != pid {
            return;
        }
        if load.killed.is_some() {
            self.pre_start_killed(id, load);
        } else if self.is_unwanted(id) {
            self.unstarted(id);
        } else if self.judge_hook(id, hook, outcome, load.since) || faulty!(self.core, IgnorePreStart) {
            self.set(id, ServiceState::Spawning { disturbed, load: None });
            if hook == HookKind::Checks && !faulty!(self.core, SkipPreStart) {
                self.after_checks(id);
            } else {
                self.core.pids.ask();
                self.act(Action::Spawn { service: id });
            }
        } else {
            self.finish(id, Ended::Start { lasting: false, code: exit_code::of(outcome) });
        }
    }

    /// Returns whether a service that is being started is not to run any more.
    fn is_unwanted(&self, id: ServiceId) -> bool {
        let record = &self.core.records[id];
        self.core.is_stopping() || record.by_hand || record.tenure.goes()
    }

    fn pre_start_killed(&mut self, id: ServiceId, load: Load) {
        if load.killed == Some(StopReason::StartTimeout) {
            self.finish(id, Ended::Start { lasting: false, code: exit_code::TIMED_OUT });
        } else {
            self.unstarted(id);
        }
    }

    /// The timer of a `pre_start` hook is due, which is not being killed.
    pub(super) fn pre_start_due(&mut self, id: ServiceId, disturbed: Option<ServiceId>, load: Load) {
        let Some(hook) = load.hook else { return };
        let after = self.now.since(load.since);
        let limit = self.core.hook_limit(id, hook, self.now).unwrap_or(LIMIT_OF_REMOVED);
        let due = load.since.after(limit);
        if due <= self.now {
            self.tell(Note::HookFailed { service: id, hook, outcome: None, after });
            self.kill_load(id, disturbed, load, StopReason::StartTimeout);
        } else {
            self.tell(Note::HookRuns { service: id, hook, after, limit });
            self.set(id, ServiceState::Spawning { disturbed, load: Some(Load { due, ..load }) });
        }
    }

    // After the start.

    /// A service runs: what it takes until it counts as started.
    pub(super) fn begin_start_up(&mut self, id: ServiceId) {
        let rules = &self.core.rules[id];
        let uptime = rules.kind == ServiceType::Daemon && !rules.min_uptime.is_zero();
        let post_start = self.core.hook_limit(id, HookKind::PostStart, self.now).is_some();
        self.core.records[id].pending = super::service::Pending { post_start, uptime, healthy: false };
    }

    /// A service runs, and its main process is known: starts the hook that is to follow, once.
    pub(super) fn begin_post_start(&mut self, id: ServiceId) {
        let is_followed = self.core.reports.of(id).is_none_or(|row| row.followed);
        let is_due = self.core.records[id].pending.post_start && is_followed;
        if is_due && !self.core.runs_hook(id, HookKind::PostStart) {
            self.ask_hook(id, HookKind::PostStart, None);
        }
    }

    /// It has run for `min_uptime`.
    pub(super) fn uptime_reached(&mut self, id: ServiceId) {
        self.core.records[id].pending.uptime = false;
        self.check_started(id);
    }

    /// Something that a running service lacked is there: it may count as started now, and be ready.
    fn check_started(&mut self, id: ServiceId) {
        let (record, rules) = (&self.core.records[id], &self.core.rules[id]);
        let ServiceState::Running { ready, .. } = record.state else { return };
        if !record.pending.is_none() {
            return;
        }
        let (is_probed, is_silent) = (rules.health.is_some(), rules.readiness.is_none());
        if !ready && record.pending.healthy && self.is_first_health(id) {
            self.tell(Note::Healthy { service: id });
        }
        self.become_ready(id);
        let is_ready = matches!(self.core.records[id].state, ServiceState::Running { ready: true, .. });
        if is_ready && !ready && !is_probed && is_silent {
            self.tell(Note::Ready { service: id });
        }
        self.core.news.push(id);
    }

    // After the end.

    /// A run, or an attempt to start, is over: hooks first, then the consequences.
    pub(super) fn finish(&mut self, id: ServiceId, ended: Ended) {
        self.set(id, ServiceState::Finishing(ended));
        if self.core.runs_hook(id, HookKind::PreStop) {
            return;
        }
        let skipped = self.core.stop.skip_hooks || faulty!(self.core, SkipPostStop);
        if skipped || !self.ask_hook(id, HookKind::PostStop, ended.outcome()) {
            self.conclude(id, ended);
        }
    }

    /// Draws the consequences of an end, after its hooks.
    fn conclude(&mut self, id: ServiceId, ended: Ended) {
        match ended {
            Ended::Run(ending, outcome) => self.settled(id, ending, outcome),
            Ended::Start { lasting, code } => self.not_started(id, lasting, code),
            Ended::Unstarted => self.stays_down(id),
        }
    }
}
