//! What services report on themselves (`notify`, `watchdog`, `pid_file`): ready, reloading, stopping, alive.
//!
//! A service that notifies is started, for its dependents, once it has said that it is ready, as with systemd's
//! `Type=notify`; it is ready once it is healthy too, if it has a healthcheck.

use super::event::{Action, Note, SelfReport, StopReason};
use super::process_table::{Owner, ProcessEnd};
use super::service::{ServiceState, Stopping};
use super::{Step, Supervisor, faulty};
use crate::model::{ExitStatus, Moment, Pid, ReadinessRules, ServiceId, ServiceType};
use std::time::Duration;

/// How long a reload may take, if the service has no `start_timeout`: then it counts as running again.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(90);

/// The minimum interval of a watchdog, whatever the service says: avoids a busy loop.
const MIN_WATCHDOG: Duration = Duration::from_millis(1);

/// What a service has reported in this run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Reported {
    pub(super) id: ServiceId,
    /// When its first process was started.
    pub(super) since: Moment,
    /// It has said that it is ready (or need not).
    pub(super) ready: bool,
    /// Its main process is known.
    pub(super) followed: bool,
    /// It has been healthy.
    pub(super) healthy: bool,
    /// It reloads, until then at most.
    pub(super) reloading: Option<Moment>,
    /// Until when it has asked for more time.
    pub(super) extended: Option<Moment>,
    /// The interval of its watchdog, and when that is due (once it is ready).
    pub(super) watchdog: Option<Duration>,
    pub(super) alive_until: Option<Moment>,
}

impl Reported {
    fn new(id: ServiceId, since: Moment, rules: &ReadinessRules) -> Self {
        Self {
            id,
            since,
            ready: !rules.notifies,
            followed: !rules.forks,
            healthy: false,
            reloading: None,
            extended: None,
            watchdog: rules.watchdog,
            alive_until: None,
        }
    }

    /// Returns whether dependents that wait for its start may start.
    fn has_started(&self) -> bool {
        self.ready && self.followed
    }

    /// Returns when a time limit of this run ends: at the later of the limit and what the service has asked for.
    pub(super) fn limit(&self, span: Duration) -> Moment {
        let at = self.since.after(span);
        self.extended.map_or(at, |extended| extended.max(at))
    }

    /// Returns when the watchdog or the reload is due.
    pub(super) fn due(&self) -> [Option<Moment>; 2] {
        [self.alive_until, self.reloading]
    }

    fn arm(&mut self, now: Moment) {
        self.alive_until = self.watchdog.map(|span| now.after(span.max(MIN_WATCHDOG)));
    }
}

/// The reports of the services that run and have [`ReadinessRules`]: nobody else has a row.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Reports {
    /// Sorted by id.
    rows: Vec<Reported>,
}

impl Reports {
    fn find(&self, id: ServiceId) -> Result<usize, usize> {
        self.rows.binary_search_by_key(&id, |row| row.id)
    }

    pub(super) fn of(&self, id: ServiceId) -> Option<&Reported> {
        self.rows.get(self.find(id).ok()?)
    }

    pub(super) fn of_mut(&mut self, id: ServiceId) -> Option<&mut Reported> {
        let at = self.find(id).ok()?;
        self.rows.get_mut(at)
    }

    /// Forgets the reports of a run that is over.
    pub(super) fn forget(&mut self, id: ServiceId) {
        if let Ok(at) = self.find(id) {
            self.rows.remove(at);
        }
    }

    #[cfg(test)]
    pub(super) fn rows_mut(&mut self) -> &mut [Reported] {
        &mut self.rows
    }
}

impl Supervisor {
    /// Returns whether a running service counts as started for its dependents.
    pub(super) fn has_started(&self, id: ServiceId) -> bool {
        let is_complete = self.records[id].pending.is_none() || faulty!(self, StartedAtOnce);
        is_complete && self.reports.of(id).is_none_or(Reported::has_started)
    }

    /// Returns whether a service has said that it reloads, and not yet that it is ready again.
    #[must_use]
    pub fn is_reloading(&self, id: ServiceId) -> bool {
        self.reports.of(id).is_some_and(|row| row.reloading.is_some())
    }

    /// Returns whether the main process of a service, which has put itself into the background, is looked for.
    #[must_use]
    pub fn is_following(&self, id: ServiceId) -> bool {
        self.reports.of(id).is_some() && self.records[id].state.spawning().is_some()
    }
}

impl Step<'_> {
    /// A service has come up. Returns whether it is another process of the same run.
    pub(super) fn begin_reports(&mut self, id: ServiceId) -> bool {
        let Some(rules) = self.core.rules[id].readiness.as_deref() else { return false };
        match self.core.reports.find(id) {
            Ok(at) => {
                self.core.reports.rows.get_mut(at).into_iter().for_each(|row| row.followed = true);
                true
            }
            Err(at) => {
                let mut row = Reported::new(id, self.now, rules);
                row.ready |= faulty!(self.core, ReadyAtOnce);
                if row.ready {
                    row.arm(self.now);
                }
                self.core.reports.rows.insert(at, row);
                false
            }
        }
    }

    pub(super) fn notified(&mut self, id: ServiceId, report: SelfReport) {
        match (self.core.records[id].state, report) {
            (ServiceState::Stopping(ending), SelfReport::Extend(span)) => self.extend_stop(id, ending, span),
            (ServiceState::Running { pid, since, .. }, SelfReport::Stopping) => {
                self.stops_itself(id, pid, since)
            }
            (ServiceState::Running { .. }, SelfReport::Trigger) => self.stop(id, StopReason::Watchdog),
            (ServiceState::Running { .. } | ServiceState::Spawning { .. }, _) => self.take_report(id, report),
            // A report of a run that is over.
            (
                ServiceState::Off
                | ServiceState::Waiting
                | ServiceState::Scheduled { .. }
                | ServiceState::Stopping(_)
                | ServiceState::Finishing(_)
                | ServiceState::Backoff { .. }
                | ServiceState::Listening { .. }
                | ServiceState::Down(_),
                _,
            ) => {}
        }
    }

    fn take_report(&mut self, id: ServiceId, report: SelfReport) {
        let now = self.now;
        let patience = self.core.rules[id].start_timeout.unwrap_or(RELOAD_TIMEOUT);
        let forgets = faulty!(self.core, ForgetWatchdog);
        // Its timer may change.
        self.core.records.touch(id);
        let Some(row) = self.core.reports.of_mut(id) else { return };
        match report {
            SelfReport::Ready => {
                let reloaded = row.reloading.take().is_some();
                let first = !std::mem::replace(&mut row.ready, true);
                row.extended = None;
                if (first || row.alive_until.is_none()) && !forgets {
                    row.arm(now);
                }
                if first {
                    self.tell(Note::Ready { service: id });
                    self.core.news.push(id);
                } else if reloaded {
                    self.tell(Note::Reloaded { service: id, confirmed: true });
                }
                self.become_ready(id);
            }
            SelfReport::Reloading if row.ready => {
                let first = row.reloading.replace(now.after(patience)).is_none();
                if first {
                    self.tell(Note::Reloading { service: id });
                }
            }
            SelfReport::Alive if row.alive_until.is_some() => row.arm(now),
            SelfReport::Watchdog(span) => {
                row.watchdog = Some(span).filter(|span| !span.is_zero());
                row.alive_until = None;
                if row.ready {
                    row.arm(now);
                }
            }
            SelfReport::Extend(span) => row.extended = Some(now.after(span)),
            SelfReport::Reloading | SelfReport::Alive | SelfReport::Stopping | SelfReport::Trigger => {}
        }
    }

    /// It has passed its healthcheck. Returns whether that is new in this run, if it is to report anything else.
    pub(super) fn is_first_health(&mut self, id: ServiceId) -> bool {
        self.core.reports.of_mut(id).is_none_or(|row| !std::mem::replace(&mut row.healthy, true))
    }

    /// A running daemon is ready once it has said so and is healthy, as far as it has to be.
    pub(super) fn become_ready(&mut self, id: ServiceId) {
        let rules = &self.core.rules[id];
        let healthy = rules.health.is_none() || self.core.records[id].pending.healthy;
        if rules.kind == ServiceType::Daemon && healthy && self.core.has_started(id) {
            self.set_ready(id);
        }
    }

    pub(super) fn set_ready(&mut self, id: ServiceId) {
        if let ServiceState::Running { pid, since, ready: false } = self.core.records[id].state {
            self.set(id, ServiceState::Running { pid, since, ready: true });
            self.core.news.push(id);
        }
    }

    /// A service stops by itself. It gets its grace period for that; how it ends then decides what follows.
    fn stops_itself(&mut self, id: ServiceId, pid: Pid, since: Moment) {
        self.end_health(id);
        let (asked, due, cause) = (self.now, self.now.after(self.core.grace(id)), StopReason::Itself);
        let mode = self.core.rules[id].kill_mode;
        let ending = Stopping { pid, since, asked, leader: None, due, killed: false, cause, mode };
        self.set(id, ServiceState::Stopping(ending));
        self.tell(Note::Stopping { service: id, cause });
    }

    /// A stopping service asks for more time. While the container stops, only `[stop] within` can give it some:
    /// otherwise the stop would have no bound.
    fn extend_stop(&mut self, id: ServiceId, ending: Stopping, span: Duration) {
        let is_bounded = !self.core.is_stopping() || self.core.whole.stop_within.is_some();
        if is_bounded && !ending.killed && !self.core.stop.kill_all {
            let due = ending.due.max(self.now.after(span));
            self.set(id, ServiceState::Stopping(Stopping { due, ..ending }));
        }
    }

    /// The main process of a service is another one.
    pub(super) fn main_pid(&mut self, id: ServiceId, pid: Pid) {
        let ServiceState::Running { pid: old, since, ready } = self.core.records[id].state else { return };
        if old == pid || self.core.pids.knows(pid) || self.core.rules[id].readiness.is_none() {
            return;
        }
        self.core.pids.forget(old);
        if !faulty!(self.core, KeepOldMain) {
            self.core.pids.adopt(pid, Owner::Leader(id));
        }
        self.set(id, ServiceState::Running { pid, since, ready });
        if let Some(row) = self.core.reports.of_mut(id) {
            row.followed = true;
        }
        self.tell(Note::MainPid { service: id, pid });
        self.core.news.push(id);
        self.become_ready(id);
        self.begin_post_start(id);
    }

    /// The first process of a service has ended: looks for its main process, if it has one that is not known.
    pub(super) fn follow(&mut self, id: ServiceId, pid: Pid, end: ProcessEnd) -> bool {
        let wanted = self.core.reports.of(id).is_some_and(|row| !row.followed);
        if !wanted || end.outcome != ExitStatus::Code(0) || self.core.is_stopping() {
            return false;
        }
        self.end_probes(id);
        self.set(id, ServiceState::Spawning { disturbed: None, load: None });
        self.core.pids.ask();
        self.act(Action::FollowFork { service: id, pid });
        true
    }

    /// The watchdog or the reload of a running service may be due. Returns whether it was.
    pub(super) fn report_due(&mut self, id: ServiceId) -> bool {
        let now = self.now;
        let past = |at: Option<Moment>| at.is_some_and(|at| at <= now);
        self.core.records.touch(id);
        let Some(row) = self.core.reports.of_mut(id) else { return false };
        if past(row.alive_until) {
            self.stop(id, StopReason::Watchdog);
        } else if past(row.reloading) {
            row.reloading = None;
            self.tell(Note::Reloaded { service: id, confirmed: false });
        } else {
            return false;
        }
        true
    }

    /// After a freeze: nobody could say anything meanwhile.
    pub(super) fn resume_reports(&mut self, id: ServiceId) {
        let (now, patience) = (self.now, self.core.rules[id].start_timeout.unwrap_or(RELOAD_TIMEOUT));
        let Some(row) = self.core.reports.of_mut(id) else { return };
        if row.alive_until.is_some_and(|at| at <= now) {
            row.arm(now);
        }
        if row.reloading.is_some_and(|at| at <= now) {
            row.reloading = Some(now.after(patience));
        }
        self.core.records.touch(id);
    }
}
