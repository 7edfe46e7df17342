//! When a service is probed, and what the result of a probe means.

use super::event::{Action, Note, StopReason};
use super::process_table::Owner;
use super::service::{ProbeState, ServiceState};
use super::{Step, faulty};
use crate::model::{ExitStatus, HealthRules, HookKind, Moment, OnUnhealthy, Pid, ServiceId};
use std::time::Duration;

/// The minimum time between two probes, whatever the configuration says: avoids a busy loop.
const MIN_PROBE_PAUSE: Duration = Duration::from_millis(1);

impl Step<'_> {
    /// Starts probing: the service runs now, and the first probe is due at once.
    pub(super) fn start_health(&mut self, id: ServiceId) {
        if self.core.rules[id].health.is_none() {
            return;
        }
        let record = &mut self.core.records[id];
        record.failures = 0;
        match record.probe {
            ProbeState::Off => self.ask_probe(id),
            // One probe at a time: the next one starts when the old one is answered.
            ProbeState::Stale => {}
            // Impossible: the end of the previous run has cleared these.
            ProbeState::Due(_)
            | ProbeState::Asked
            | ProbeState::Running { .. }
            | ProbeState::Killed { .. } => {}
        }
    }

    /// Ends probing, and forgets what the service has reported: it no longer runs.
    pub(super) fn end_health(&mut self, id: ServiceId) {
        self.core.reports.forget(id);
        self.drop_hook(id, HookKind::PostStart);
        self.end_probes(id);
    }

    pub(super) fn end_probes(&mut self, id: ServiceId) {
        let after = match self.core.records[id].probe {
            ProbeState::Off | ProbeState::Due(_) => ProbeState::Off,
            ProbeState::Asked | ProbeState::Stale => ProbeState::Stale,
            ProbeState::Running { pid, .. } => {
                self.core.pids.forget(pid);
                if !faulty!(self.core, LeaveProbe) {
                    self.act(Action::KillProbe { pid });
                }
                ProbeState::Off
            }
            ProbeState::Killed { pid, .. } => {
                self.core.pids.forget(pid);
                ProbeState::Off
            }
        };
        self.core.records[id].probe = after;
        self.core.records[id].failures = 0;
    }

    fn ask_probe(&mut self, id: ServiceId) {
        self.core.records[id].probe = ProbeState::Asked;
        self.core.pids.ask();
        self.act(Action::Probe { service: id });
    }

    pub(super) fn probe_spawned(&mut self, id: ServiceId, pid: Pid) {
        match self.core.records[id].probe {
            ProbeState::Asked => {
                let timeout =
                    self.core.rules[id].health.as_ref().map_or(MIN_PROBE_PAUSE, |health| health.timeout);
                let early = self.core.pids.answer(pid, Owner::Probe(id));
                self.core.records[id].probe = ProbeState::Running { pid, until: self.now.after(timeout) };
                if let Some(end) = early {
                    self.probe_result(id, end.outcome == ExitStatus::Code(0));
                }
            }
            ProbeState::Stale => {
                if self.core.pids.answer_for_nobody(pid).is_none() {
                    self.act(Action::KillProbe { pid });
                }
                self.stale_answered(id);
            }
            // No probe was requested.
            ProbeState::Off | ProbeState::Due(_) | ProbeState::Running { .. } | ProbeState::Killed { .. } => {
            }
        }
    }

    /// A probe was answered without a process.
    pub(super) fn probe_answered(&mut self, id: ServiceId, passed: bool) {
        match self.core.records[id].probe {
            ProbeState::Asked => {
                self.core.pids.answer_without_process();
                self.probe_result(id, passed);
            }
            ProbeState::Stale => {
                self.core.pids.answer_without_process();
                self.stale_answered(id);
            }
            ProbeState::Off | ProbeState::Due(_) | ProbeState::Running { .. } | ProbeState::Killed { .. } => {
            }
        }
    }

    /// A probe is worth asking for before it is due.
    pub(super) fn probe_now(&mut self, id: ServiceId) {
        match self.core.records[id].probe {
            ProbeState::Due(_) => self.ask_probe(id),
            ProbeState::Running { .. } if faulty!(self.core, ProbeTwice) => self.ask_probe(id),
            // There is one, or there is to be none.
            ProbeState::Off
            | ProbeState::Asked
            | ProbeState::Stale
            | ProbeState::Running { .. }
            | ProbeState::Killed { .. } => {}
        }
    }

    /// The probe of an earlier run was answered; this run can be probed now.
    fn stale_answered(&mut self, id: ServiceId) {
        self.core.records[id].probe = ProbeState::Off;
        match self.core.records[id].state {
            ServiceState::Running { .. } if !self.core.is_stopping() => self.ask_probe(id),
            ServiceState::Off
            | ServiceState::Waiting
            | ServiceState::Scheduled { .. }
            | ServiceState::Spawning { .. }
            | ServiceState::Running { .. }
            | ServiceState::Stopping(_)
            | ServiceState::Finishing(_)
            | ServiceState::Backoff { .. }
            | ServiceState::Listening { .. }
            | ServiceState::Down(_) => {}
        }
    }

    /// A probe's process has ended.
    pub(super) fn probe_gone(&mut self, id: ServiceId, pid: Pid, outcome: ExitStatus) {
        match self.core.records[id].probe {
            ProbeState::Running { pid: current, .. } if current == pid => {
                self.probe_result(id, outcome == ExitStatus::Code(0));
            }
            // It already counted as failed when it was killed.
            ProbeState::Killed { pid: current, again } if current == pid => {
                self.core.records[id].probe = ProbeState::Due(again);
            }
            // Not the current probe.
            ProbeState::Running { .. }
            | ProbeState::Killed { .. }
            | ProbeState::Off
            | ProbeState::Due(_)
            | ProbeState::Asked
            | ProbeState::Stale => {}
        }
    }

    /// The probe timer of a service is due.
    pub(super) fn probe_due(&mut self, id: ServiceId) {
        if self.core.records[id].probe.due().is_none_or(|at| at > self.now) {
            return;
        }
        match self.core.records[id].probe {
            ProbeState::Due(_) => self.ask_probe(id),
            ProbeState::Running { pid, .. } => {
                self.act(Action::KillProbe { pid });
                let again = self.now.after(self.pause(id, false));
                self.core.records[id].probe = ProbeState::Killed { pid, again };
                self.failed(id);
            }
            ProbeState::Killed { pid, .. } => {
                let again = self.now.after(self.pause(id, false));
                self.core.records[id].probe = ProbeState::Killed { pid, again };
                self.failed(id);
            }
            ProbeState::Off | ProbeState::Asked | ProbeState::Stale => {}
        }
    }

    /// After a freeze: a probe that was running says nothing about the service, so drop it and probe again after one
    /// more interval.
    pub(super) fn resume_health(&mut self, id: ServiceId) {
        // Gives the killed probe time to go away, however short the interval is.
        let timeout = self.core.rules[id].health.as_ref().map_or(MIN_PROBE_PAUSE, |health| health.timeout);
        let again = self.now.after(self.pause(id, false).max(timeout));
        let probe = match self.core.records[id].probe {
            ProbeState::Due(at) if at <= self.now => ProbeState::Due(again),
            ProbeState::Running { pid, .. } => {
                self.act(Action::KillProbe { pid });
                ProbeState::Killed { pid, again }
            }
            ProbeState::Killed { pid, again: at } if at <= self.now => ProbeState::Killed { pid, again },
            probe @ (ProbeState::Off
            | ProbeState::Asked
            | ProbeState::Stale
            | ProbeState::Due(_)
            | ProbeState::Killed { .. }) => probe,
        };
        self.core.records[id].probe = probe;
    }

    fn probe_result(&mut self, id: ServiceId, passed: bool) {
        let again = self.now.after(self.pause(id, passed));
        self.core.records[id].probe = ProbeState::Due(again);
        if passed {
            self.passed(id);
        } else {
            self.failed(id);
        }
    }

    fn passed(&mut self, id: ServiceId) {
        let ServiceState::Running { ready, .. } = self.core.records[id].state else { return };
        let news = !ready || self.is_unhealthy(id);
        let record = &mut self.core.records[id];
        (record.failures, record.pending.healthy) = (0, true);
        if !record.pending.is_none() {
            return;
        }
        if !ready {
            if self.is_first_health(id) {
                self.tell(Note::Healthy { service: id });
            }
            self.become_ready(id);
        }
        if news {
            self.core.news.push(id);
        }
    }

    fn failed(&mut self, id: ServiceId) {
        self.core.records[id].pending.healthy = false;
        if !self.failure_counts(id) {
            return;
        }
        let Some(health) = &self.core.rules[id].health else { return };
        let (enough, then) = (health.retries.max(1), health.on_unhealthy);
        let record = &mut self.core.records[id];
        record.failures = record.failures.saturating_add(1);
        let failures = record.failures;
        if failures != enough {
            return;
        }
        self.tell(Note::Unhealthy { service: id, failures });
        match then {
            OnUnhealthy::Restart | OnUnhealthy::Stop => self.stop(id, StopReason::Unhealthy),
            OnUnhealthy::Ignore => {}
        }
    }

    /// Returns whether the service has failed its limit of probes in a row.
    pub(super) fn is_unhealthy(&self, id: ServiceId) -> bool {
        let health = self.core.rules[id].health.as_ref();
        health.is_some_and(|health| self.core.records[id].failures >= health.retries.max(1))
    }

    /// Returns whether failures count: not in the start period of a run, unless the service was healthy once.
    fn failure_counts(&self, id: ServiceId) -> bool {
        let ServiceState::Running { since, ready, .. } = self.core.records[id].state else { return false };
        let health = self.core.rules[id].health.as_ref();
        ready || health.is_none_or(|health| counts_from(health, since) <= self.now)
    }

    /// Returns the pause between the end of a probe and the start of the next.
    fn pause(&self, id: ServiceId, passed: bool) -> Duration {
        let Some(health) = &self.core.rules[id].health else { return MIN_PROBE_PAUSE };
        let pause = if passed || self.failure_counts(id) { health.interval } else { health.start_interval };
        pause.max(MIN_PROBE_PAUSE)
    }
}

fn counts_from(health: &HealthRules, since: Moment) -> Moment {
    since.after(health.start_period.max(health.interval))
}
