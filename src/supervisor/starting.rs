//! How a service comes up: waiting, spawning, running.

use super::event::{Next, Note, Over, StopReason};
use super::orders::is_need;
use super::process_table::{Owner, ProcessEnd};
use super::restart::{RestartVerdict, decide};
use super::service::{Ended, FinalState, Order, ServiceState, Tenure};
use super::shutdown::Phase;
use super::{Step, faulty};
use crate::model::{Condition, Dependency, HookKind, Pid, ServiceId, ServiceType};

/// Whether a dependency is satisfied.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Hold {
    Yes,
    NotYet,
    Never,
}

impl Step<'_> {
    /// Starts everything that can be started.
    pub(super) fn begin(&mut self) {
        if self.core.phase != Phase::New {
            return;
        }
        self.core.phase = Phase::Up;
        self.begin_wait();
        for id in self.core.records.ids() {
            self.core.records[id].waiting_since = self.now;
            // Those that the clock starts have nothing to wait for yet.
            if self.core.records[id].state.is_waiting_or_off() {
                self.consider(id);
            }
        }
    }

    /// Starts a waiting service if nothing blocks it; unblocks the dependents of one that is off. Continues at the
    /// dependency where it stopped last time, and checks all of them once more before the start: a service with a
    /// thousand dependencies costs a thousand checks, not a million.
    pub(super) fn consider(&mut self, id: ServiceId) {
        let record = &self.core.records[id];
        if !record.state.awaits_others(record.order) || self.core.is_stopping() {
            return;
        }
        let edges = &self.core.graph.depends_on[id];
        let from = self.core.records[id].blocker();
        let places = (from..edges.len()).chain(0..from.min(edges.len()));
        let blocked = places
            .filter_map(|at| edges.get(at).map(|edge| (at, edge.on, self.best_hold(id, edge))))
            .find(|(_, _, hold)| *hold != Hold::Yes);
        match blocked {
            None if self.core.records[id].state == ServiceState::Off => {
                self.core.records[id].order = Order::Open;
                self.core.news.push(id);
            }
            None if self.core.is_held_back(id) && !faulty!(self.core, StartBesideRemoved) => {}
            None if self.awaits_connection(id) => self.listen(id),
            None => self.spawn(id),
            Some((_, needs, Hold::Never)) => self.unreachable(id, needs),
            Some((at, ..)) => self.core.records[id].blocker = u32::try_from(at).unwrap_or(u32::MAX),
        }
    }

    /// Returns whether a dependency of this service is satisfied, by it or by another one that is enough instead.
    pub(super) fn best_hold(&self, by: ServiceId, edge: &Dependency) -> Hold {
        let mut best = self.own_hold(edge);
        for other in self.core.others(by, edge) {
            best = match (best, self.own_hold(other)) {
                (Hold::Yes, _) | (_, Hold::Yes) => return Hold::Yes,
                (Hold::Never, Hold::Never) => Hold::Never,
                _ => Hold::NotYet,
            };
        }
        // An optional dependency is waited for, but its failure does not matter.
        if best == Hold::Never && !is_need(edge) { Hold::Yes } else { best }
    }

    /// Returns whether a dependency is satisfied by what it names alone, be it needed or not.
    pub(super) fn own_hold(&self, edge: &Dependency) -> Hold {
        let record = &self.core.records[edge.on];
        let hold = match record.state {
            ServiceState::Waiting
            | ServiceState::Scheduled { .. }
            | ServiceState::Spawning { .. }
            | ServiceState::Stopping(_)
            | ServiceState::Finishing(_)
            | ServiceState::Backoff { .. } => Hold::NotYet,
            // Soon to be stopped by a reload.
            ServiceState::Running { .. } if record.tenure.goes() => Hold::NotYet,
            // Whoever connects is served: the connection waits until the service runs.
            ServiceState::Listening { .. } => match edge.condition {
                Some(Condition::Started) | None => Hold::Yes,
                Some(Condition::Healthy | Condition::Completed) => Hold::NotYet,
            },
            ServiceState::Running { ready, .. } => {
                let holds = match edge.condition {
                    Some(Condition::Started) => self.core.has_started(edge.on),
                    Some(Condition::Healthy) => ready && !self.is_unhealthy(edge.on),
                    Some(Condition::Completed) => false,
                    None => ready,
                };
                if holds { Hold::Yes } else { Hold::NotYet }
            }
            ServiceState::Down(FinalState::Success) if edge.condition != Some(Condition::Healthy) => {
                Hold::Yes
            }
            ServiceState::Off => match record.order {
                Order::Waits => Hold::NotYet,
                Order::Open => Hold::Yes,
                Order::Broken(_) => Hold::Never,
            },
            ServiceState::Down(_) => Hold::Never,
        };
        // A service that was stopped by hand may be started again.
        let by_hand = record.state == ServiceState::Down(FinalState::Stopped);
        match hold {
            Hold::Never if by_hand && is_need(edge) && !faulty!(self.core, GiveUpStopped) => Hold::NotYet,
            hold => hold,
        }
    }

    /// Rechecks the dependents of `id` after a change.
    pub(super) fn tell_dependents(&mut self, id: ServiceId) {
        for at in 0.. {
            let Some(dependent) = self.core.graph.dependents[id].get(at).copied() else { return };
            let record = &self.core.records[dependent.by];
            if !record.state.awaits_others(record.order) || faulty!(self.core, ForgetDependents) {
                continue;
            }
            if self.best_hold(dependent.by, &dependent.edge) == Hold::Never {
                self.unreachable(dependent.by, id);
            } else {
                let record = &self.core.records[dependent.by];
                let edges = &self.core.graph.depends_on[dependent.by];
                let any = dependent.edge.any;
                let is_of = |edge: &Dependency| {
                    edge.on == id || any != 0 && edge.any == any && !faulty!(self.core, ForgetOthers)
                };
                if edges.get(record.blocker()).is_some_and(is_of) {
                    self.consider(dependent.by);
                }
            }
        }
    }

    fn unreachable(&mut self, id: ServiceId, needs: ServiceId) {
        // If it is off, blame the dependency that it lacks.
        let needs = match self.core.records[needs].order {
            Order::Broken(root) => root,
            Order::Waits | Order::Open => needs,
        };
        if self.core.records[id].state == ServiceState::Off {
            self.core.records[id].order = Order::Broken(needs);
            self.core.news.push(id);
            return;
        }
        let code = self.core.records[needs].code;
        self.tell(Note::Unreachable { service: id, needs });
        self.core.records[id].is_unreached = true;
        self.down(id, FinalState::Failure, code);
    }

    pub(super) fn spawn(&mut self, id: ServiceId) {
        let record = &mut self.core.records[id];
        (record.is_new, record.wanted) = (false, false);
        self.set(id, ServiceState::Spawning { disturbed: None, load: None });
        self.count_start(id);
        self.begin_start(id);
    }

    pub(super) fn spawned(&mut self, id: ServiceId, pid: Pid) {
        // An answer without a request: the process has no owner.
        let Some((disturbed, load)) = self.core.records[id].state.spawning() else { return };
        match load {
            None => {
                let early = self.core.pids.answer(pid, Owner::Leader(id));
                let early = early.filter(|_| !faulty!(self.core, DropEarlyExit));
                self.came_up(id, pid, disturbed, early);
            }
            // Its process is not requested yet.
            Some(load) if load.hook.is_some() => {}
            Some(load) => self.loaded(id, pid, disturbed, load),
        }
    }

    /// The program of a service runs, or has run and already ended.
    pub(super) fn came_up(
        &mut self,
        id: ServiceId,
        pid: Pid,
        disturbed: Option<ServiceId>,
        early: Option<ProcessEnd>,
    ) {
        if self.core.reports.of(id).is_none() {
            self.begin_start_up(id);
        }
        let rules = &self.core.rules[id];
        let is_started = self.core.records[id].pending.is_none();
        let is_plain = rules.health.is_none() && rules.readiness.is_none();
        let ready = rules.kind == ServiceType::Daemon && is_plain && is_started;
        self.set(id, ServiceState::Running { pid, since: self.now, ready });
        if self.begin_reports(id) {
            self.tell(Note::MainPid { service: id, pid });
        } else {
            self.tell(Note::Started { service: id, pid });
        }
        self.become_ready(id);
        self.core.news.push(id);
        if let Some(end) = early {
            self.leader_gone(id, end);
        } else if self.core.is_stopping() {
            if self.core.stop.kill_all {
                self.kill(id);
            } else if self.core.records[id].held == 0 {
                self.stop(id, StopReason::Shutdown);
            }
        } else if let Some(on) = disturbed {
            self.stop(id, StopReason::Dependency(on));
        } else {
            self.start_health(id);
            self.begin_post_start(id);
        }
        self.turn_by_hand(id);
        self.turn_to_leave(id);
        self.release_signals(id);
    }

    /// The container is stopping, and the process was not created.
    pub(super) fn spawn_skipped(&mut self, id: ServiceId) {
        match self.core.records[id].state {
            ServiceState::Spawning { load: None, .. } if self.core.is_stopping() => {
                self.core.pids.answer_without_process();
                if self.core.hook_limit(id, HookKind::PreStart, self.now).is_some() {
                    // What that has begun is to be ended.
                    self.finish(id, Ended::Unstarted);
                } else {
                    self.set(id, ServiceState::Down(FinalState::Stopped));
                    self.core.news.push(id);
                }
            }
            ServiceState::Spawning { .. }
            | ServiceState::Off
            | ServiceState::Waiting
            | ServiceState::Scheduled { .. }
            | ServiceState::Running { .. }
            | ServiceState::Stopping(_)
            | ServiceState::Finishing(_)
            | ServiceState::Backoff { .. }
            | ServiceState::Listening { .. }
            | ServiceState::Down(_) => {}
        }
    }

    pub(super) fn spawn_failed(&mut self, id: ServiceId, lasting: bool, code: u8) {
        match self.core.records[id].state {
            ServiceState::Spawning { load: None, .. } => self.core.pids.answer_without_process(),
            ServiceState::Spawning { load: Some(load), .. } if load.hook.is_none() => {
                self.core.pids.forget(load.pid);
                if load.killed.is_some() {
                    self.unstarted(id);
                    return;
                }
            }
            ServiceState::Off
            | ServiceState::Waiting
            | ServiceState::Spawning { .. }
            | ServiceState::Scheduled { .. }
            | ServiceState::Running { .. }
            | ServiceState::Stopping(_)
            | ServiceState::Finishing(_)
            | ServiceState::Backoff { .. }
            | ServiceState::Listening { .. }
            | ServiceState::Down(_) => return,
        }
        self.finish(id, Ended::Start { lasting, code });
    }

    /// Decides what follows a failed start.
    pub(super) fn not_started(&mut self, id: ServiceId, lasting: bool, code: u8) {
        self.core.reports.forget(id);
        let next = if self.core.is_stopping() {
            Next::Over(Over::Stopping)
        } else if self.core.records[id].by_hand || self.core.records[id].tenure.ends() {
            Next::Stopped
        } else if self.core.records[id].again || self.core.records[id].tenure.goes() {
            Next::Again
        } else if lasting {
            Next::Over(Over::Stays)
        } else {
            let verdict = RestartVerdict { success: false, outcome: None };
            let attempts = self.core.records[id].attempts;
            let next = decide(&self.core.rules[id], verdict, attempts, &mut self.core.random);
            self.limited(id, next)
        };
        self.tell(Note::NotStarted { service: id, next });
        match next {
            Next::Restarting { delay, attempt, .. } => {
                self.core.records[id].attempts = attempt;
                self.core.records[id].code = code;
                self.set(id, ServiceState::Backoff { until: self.now.after(delay) });
            }
            Next::Stopped if self.core.records[id].tenure.ends() => self.left(id),
            Next::Stopped => self.down_by_hand(id),
            Next::Again => {
                self.core.news.push(id);
                self.wait_again(id);
            }
            Next::Listening => self.listen(id),
            Next::Done | Next::Failed | Next::Over(_) | Next::GivenUp { .. } => {
                self.down_for(id, next, FinalState::Failure, code);
            }
        }
        self.release_signals(id);
    }

    /// The restart delay is over. Dependencies are not checked again, except for a service with a `restart = true`
    /// dependency: it waits for that one as at its first start.
    pub(super) fn start_again(&mut self, id: ServiceId) {
        if self.is_tied(id) {
            self.wait_again(id);
        } else if self.awaits_connection(id) {
            self.listen(id);
        } else {
            self.spawn(id);
        }
    }

    /// Waits as at the first start, unless a needed dependency has failed meanwhile.
    pub(super) fn wait_again(&mut self, id: ServiceId) {
        self.begin_to_wait(id);
        self.look_again(id);
    }

    pub(super) fn begin_to_wait(&mut self, id: ServiceId) {
        self.set(id, ServiceState::Waiting);
        let record = &mut self.core.records[id];
        record.waiting_since = self.now;
        record.again = false;
        record.is_unreached = false;
        if record.tenure == Tenure::Restarts {
            (record.tenure, record.is_new) = (Tenure::Stays, true);
            record.attempts = 0;
        }
        self.begin_wait();
    }

    pub(super) fn look_again(&mut self, id: ServiceId) {
        match self.never_there(id) {
            Some(needs) => self.unreachable(id, needs),
            None => self.consider(id),
        }
    }

    /// Returns a dependency that will never be there.
    fn never_there(&self, id: ServiceId) -> Option<ServiceId> {
        let mut edges = self.core.graph.depends_on[id].iter();
        edges.find(|edge| self.best_hold(id, edge) == Hold::Never).map(|edge| edge.on)
    }

    pub(super) fn lacks_for_ever(&self, id: ServiceId) -> bool {
        self.never_there(id).is_some()
    }
}
