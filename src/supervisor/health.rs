//! When a service is probed, and what a probe's result means.

use super::event::{Action, Cause, Note};
use super::process_table::Owner;
use super::service::{Probe, State};
use super::{Turn, faulty};
use crate::model::{HealthRules, Moment, OnUnhealthy, Outcome, Pid, ServiceId};
use std::time::Duration;

/// No two probes are closer than this, whatever the configuration says: a loop must not be busy.
const SHORTEST: Duration = Duration::from_millis(1);

impl Turn<'_> {
    /// A service runs now: probe it at once.
    pub(super) fn start_health(&mut self, id: ServiceId) {
        if self.core.rules[id].health.is_none() {
            return;
        }
        let record = &mut self.core.records[id];
        record.failures = 0;
        match record.probe {
            Probe::Off => self.ask_probe(id),
            // One question at a time: the next is asked when the old answer has come.
            Probe::Stale => {}
            // The end of the run before has left none of these.
            Probe::Due(_) | Probe::Asked | Probe::Running { .. } | Probe::Killed { .. } => {}
        }
    }

    /// A service runs no longer: so does no probe.
    pub(super) fn end_health(&mut self, id: ServiceId) {
        let after = match self.core.records[id].probe {
            Probe::Off | Probe::Due(_) => Probe::Off,
            Probe::Asked | Probe::Stale => Probe::Stale,
            Probe::Running { pid, .. } => {
                self.core.pids.forget(pid);
                if !faulty!(self.core, LeaveProbe) {
                    self.act(Action::KillProbe { pid });
                }
                Probe::Off
            }
            Probe::Killed { pid, .. } => {
                self.core.pids.forget(pid);
                Probe::Off
            }
        };
        self.core.records[id].probe = after;
        self.core.records[id].failures = 0;
    }

    fn ask_probe(&mut self, id: ServiceId) {
        self.core.records[id].probe = Probe::Asked;
        self.core.pids.ask();
        self.act(Action::Probe { service: id });
    }

    pub(super) fn probe_spawned(&mut self, id: ServiceId, pid: Pid) {
        match self.core.records[id].probe {
            Probe::Asked => {
                let timeout = self.core.rules[id].health.as_ref().map_or(SHORTEST, |health| health.timeout);
                let early = self.core.pids.answer(pid, Owner::Probe(id));
                self.core.records[id].probe = Probe::Running { pid, until: self.now.after(timeout) };
                if let Some(end) = early {
                    self.probe_result(id, end.outcome == Outcome::Code(0));
                }
            }
            Probe::Stale => {
                if self.core.pids.answer_for_nobody(pid).is_none() {
                    self.act(Action::KillProbe { pid });
                }
                self.stale_answered(id);
            }
            // Nobody asked for it.
            Probe::Off | Probe::Due(_) | Probe::Running { .. } | Probe::Killed { .. } => {}
        }
    }

    pub(super) fn probe_failed(&mut self, id: ServiceId) {
        match self.core.records[id].probe {
            Probe::Asked => {
                self.core.pids.answer_without_process();
                self.probe_result(id, false);
            }
            Probe::Stale => {
                self.core.pids.answer_without_process();
                self.stale_answered(id);
            }
            Probe::Off | Probe::Due(_) | Probe::Running { .. } | Probe::Killed { .. } => {}
        }
    }

    /// The answer to the question of an earlier run has come. This run's can be asked.
    fn stale_answered(&mut self, id: ServiceId) {
        self.core.records[id].probe = Probe::Off;
        match self.core.records[id].state {
            State::Running { .. } if !self.core.is_stopping() => self.ask_probe(id),
            State::Off
            | State::Waiting
            | State::Spawning { .. }
            | State::Running { .. }
            | State::Ending(_)
            | State::Backoff { .. }
            | State::Down(_) => {}
        }
    }

    /// A probe's process ended.
    pub(super) fn probe_gone(&mut self, id: ServiceId, pid: Pid, outcome: Outcome) {
        match self.core.records[id].probe {
            Probe::Running { pid: current, .. } if current == pid => {
                self.probe_result(id, outcome == Outcome::Code(0));
            }
            // It had failed when it was killed.
            Probe::Killed { pid: current, again } if current == pid => {
                self.core.records[id].probe = Probe::Due(again);
            }
            // Not the current one.
            Probe::Running { .. }
            | Probe::Killed { .. }
            | Probe::Off
            | Probe::Due(_)
            | Probe::Asked
            | Probe::Stale => {}
        }
    }

    /// The moment has come that the probing of a service waits for.
    pub(super) fn probe_due(&mut self, id: ServiceId) {
        match self.core.records[id].probe {
            Probe::Due(_) => self.ask_probe(id),
            Probe::Running { pid, .. } => {
                self.act(Action::KillProbe { pid });
                let again = self.now.after(self.pause(id, false));
                self.core.records[id].probe = Probe::Killed { pid, again };
                self.failed(id);
            }
            Probe::Killed { pid, .. } => {
                let again = self.now.after(self.pause(id, false));
                self.core.records[id].probe = Probe::Killed { pid, again };
                self.failed(id);
            }
            Probe::Off | Probe::Asked | Probe::Stale => {}
        }
    }

    /// Everybody was frozen: a probe that ran meanwhile says nothing about the service, and the next comes after one more
    /// interval.
    pub(super) fn resume_health(&mut self, id: ServiceId) {
        // The killed one is to be gone by then, however short the interval.
        let timeout = self.core.rules[id].health.as_ref().map_or(SHORTEST, |health| health.timeout);
        let again = self.now.after(self.pause(id, false).max(timeout));
        let probe = match self.core.records[id].probe {
            Probe::Due(at) if at <= self.now => Probe::Due(again),
            Probe::Running { pid, .. } => {
                self.act(Action::KillProbe { pid });
                Probe::Killed { pid, again }
            }
            Probe::Killed { pid, again: at } if at <= self.now => Probe::Killed { pid, again },
            probe @ (Probe::Off | Probe::Asked | Probe::Stale | Probe::Due(_) | Probe::Killed { .. }) => {
                probe
            }
        };
        self.core.records[id].probe = probe;
    }

    fn probe_result(&mut self, id: ServiceId, passed: bool) {
        let again = self.now.after(self.pause(id, passed));
        self.core.records[id].probe = Probe::Due(again);
        if passed {
            self.passed(id);
        } else {
            self.failed(id);
        }
    }

    fn passed(&mut self, id: ServiceId) {
        let State::Running { pid, since, ready } = self.core.records[id].state else { return };
        let news = !ready || self.is_unhealthy(id);
        self.core.records[id].failures = 0;
        if !ready {
            self.set(id, State::Running { pid, since, ready: true });
            self.tell(Note::Healthy { service: id });
        }
        if news {
            self.core.news.push(id);
        }
    }

    fn failed(&mut self, id: ServiceId) {
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
            OnUnhealthy::Restart | OnUnhealthy::Stop => self.stop(id, Cause::Unhealthy),
            OnUnhealthy::Ignore => {}
        }
    }

    /// Whether a service's last probes failed, as often as it takes.
    pub(super) fn is_unhealthy(&self, id: ServiceId) -> bool {
        let health = self.core.rules[id].health.as_ref();
        health.is_some_and(|health| self.core.records[id].failures >= health.retries.max(1))
    }

    /// Failures do not count in the first moments of a run, until the service is healthy once.
    fn failure_counts(&self, id: ServiceId) -> bool {
        let State::Running { since, ready, .. } = self.core.records[id].state else { return false };
        let health = self.core.rules[id].health.as_ref();
        ready || health.is_none_or(|health| counts_from(health, since) <= self.now)
    }

    /// The wait between the end of a probe and the start of the next.
    fn pause(&self, id: ServiceId, passed: bool) -> Duration {
        let Some(health) = &self.core.rules[id].health else { return SHORTEST };
        let pause = if passed || self.failure_counts(id) { health.interval } else { health.start_interval };
        pause.max(SHORTEST)
    }
}

fn counts_from(health: &HealthRules, since: Moment) -> Moment {
    since.after(health.start_period.max(health.interval))
}
