//! Processes that take long to load their program (a slow file system): warn, give up, kill.

use super::event::{Action, Note, StopReason};
use super::process_table::{Owner, ProcessEnd};
use super::service::{Ended, FinalState, Load, ServiceState, Stopping};
use super::{KILL_TIMEOUT, Step, faulty};
use crate::exit_code;
use crate::model::{Moment, Pid, ServiceId};
use std::time::Duration;

/// Warn after this time that a program is not loaded yet; again each time the wait has grown [`AGAIN`]-fold.
const TELL_AFTER: Duration = Duration::from_secs(3);
const AGAIN: u32 = 3;

/// How long a program may take to load if it has no `start_timeout`. Any working file system is faster.
const LOAD_TIMEOUT: Duration = Duration::from_secs(300);

impl Step<'_> {
    /// A process was created, but its program is not loaded yet.
    pub(super) fn starting(&mut self, id: ServiceId, pid: Pid) {
        let Some((disturbed, before)) = self.core.records[id].state.spawning() else { return };
        match before {
            None => {
                if let Some(end) = self.core.pids.answer(pid, Owner::Leader(id)) {
                    self.came_up(id, pid, disturbed, Some(end));
                    return;
                }
            }
            // Its process is not requested yet.
            Some(before) if before.hook.is_some() => return,
            Some(before) => self.replace_load(id, pid, before),
        }
        // A main process that is looked for belongs to the same start.
        let since = self.core.reports.of(id).map_or(self.now, |row| row.since);
        let since = before.map_or(since, |load| load.since);
        let due = self.load_limit(id, since).min(since.after(TELL_AFTER)).max(self.now);
        let load = Load { pid, since, due, killed: None, hook: None };
        self.set(id, ServiceState::Spawning { disturbed, load: Some(load) });
        self.kill_unwanted_load(id, disturbed, load, before.and_then(|load| load.killed));
        // A stop request that was queued for this service now goes to rinit.
        self.release_signals(id);
    }

    /// Kills a process that is still loading if the service was stopped meanwhile, or was `killed` before.
    pub(super) fn kill_unwanted_load(
        &mut self,
        id: ServiceId,
        disturbed: Option<ServiceId>,
        load: Load,
        killed: Option<StopReason>,
    ) {
        let record = &self.core.records[id];
        let by_hand = Some(StopReason::ByHand).filter(|_| record.by_hand);
        let reload = Some(StopReason::Reload).filter(|_| record.tenure.goes());
        let shutdown = Some(StopReason::Shutdown).filter(|_| self.core.is_stopping());
        if let Some(cause) = killed.or(by_hand).or(reload).or(shutdown) {
            self.kill_load(id, disturbed, load, cause);
        }
    }

    /// A slow process has loaded its program.
    pub(super) fn loaded(&mut self, id: ServiceId, pid: Pid, disturbed: Option<ServiceId>, load: Load) {
        if pid != load.pid {
            self.replace_load(id, pid, load);
        }
        match load.killed {
            None => self.came_up(id, pid, disturbed, None),
            Some(cause) if pid != load.pid => {
                self.kill_load(id, disturbed, Load { pid, killed: None, ..load }, cause)
            }
            // It is being killed already.
            Some(_) => {}
        }
    }

    /// Replaces a process that is gone by a new one.
    fn replace_load(&mut self, id: ServiceId, pid: Pid, before: Load) {
        self.core.pids.forget(before.pid);
        self.core.pids.adopt(pid, Owner::Leader(id));
    }

    /// A process has ended before it was known to have loaded its program.
    pub(super) fn load_ended(
        &mut self,
        id: ServiceId,
        disturbed: Option<ServiceId>,
        load: Load,
        end: ProcessEnd,
    ) {
        match load.killed {
            // It had loaded the program, and the program ended quickly.
            None => self.came_up(id, load.pid, disturbed, Some(end)),
            Some(_) if !end.group_left => self.unstarted(id),
            // It had loaded the program and forked before all were killed.
            Some(cause) => {
                let (pid, since, asked) = (load.pid, load.since, self.now);
                let leader = Some((end.outcome, self.now));
                let due = self.now.after(KILL_TIMEOUT);
                let mode = self.core.rules[id].kill_mode;
                let ending = Stopping { pid, since, asked, leader, due, killed: true, cause, mode };
                self.core.lingering.push(id);
                self.set(id, ServiceState::Stopping(ending));
            }
        }
    }

    /// The timer of a process that is still loading is due.
    pub(super) fn load_due(&mut self, id: ServiceId, disturbed: Option<ServiceId>, load: Load) {
        if load.killed.is_some() {
            self.tell(Note::Stuck { service: id });
            self.core.pids.forget(load.pid);
            self.unstarted(id);
            return;
        }
        if load.hook.is_some() {
            self.pre_start_due(id, disturbed, load);
            return;
        }
        let limit = self.load_limit(id, load.since);
        let after = self.now.since(load.since);
        let given_up = limit <= self.now && !faulty!(self.core, NeverGiveUp);
        self.tell(Note::SlowStart { service: id, after, given_up });
        if given_up {
            self.kill_load(id, disturbed, load, StopReason::StartTimeout);
        } else {
            let again = load.since.after((after * AGAIN).max(TELL_AFTER));
            let load = Load { due: limit.min(again).max(self.now.after(Duration::from_millis(1))), ..load };
            self.set(id, ServiceState::Spawning { disturbed, load: Some(load) });
        }
    }

    pub(super) fn load_limit(&self, id: ServiceId, since: Moment) -> Moment {
        since.after(self.core.rules[id].start_timeout.unwrap_or(LOAD_TIMEOUT))
    }

    /// Kills a process that is still loading, once.
    pub(super) fn kill_load(
        &mut self,
        id: ServiceId,
        disturbed: Option<ServiceId>,
        load: Load,
        cause: StopReason,
    ) {
        if load.killed.is_some() || cause == StopReason::Shutdown && faulty!(self.core, AwaitLoad) {
            return;
        }
        let killed = Load { due: self.now.after(KILL_TIMEOUT), killed: Some(cause), ..load };
        self.set(id, ServiceState::Spawning { disturbed, load: Some(killed) });
        self.act(Action::KillStart { pid: load.pid });
    }

    /// A process that was killed while loading is gone.
    pub(super) fn unstarted(&mut self, id: ServiceId) {
        let stopping = self.core.is_stopping();
        let failed = Ended::Start { lasting: false, code: exit_code::OS_ERROR };
        self.finish(id, if stopping { Ended::Unstarted } else { failed });
    }

    /// A start that the stop of the container has ended is over.
    pub(super) fn stays_down(&mut self, id: ServiceId) {
        self.core.reports.forget(id);
        self.set(id, ServiceState::Down(FinalState::Stopped));
        self.core.news.push(id);
        self.release_signals(id);
    }
}
