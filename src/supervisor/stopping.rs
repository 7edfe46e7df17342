//! How a service goes down: asked to stop, killed, or ended by itself; and what follows.

use super::event::{Action, Next, Note, Over, StopReason};
use super::process_table::ProcessEnd;
use super::restart::{RestartVerdict, decide};
use super::service::{Ended, FinalState, ServiceState, Stopping};
use super::{KILL_TIMEOUT, Step, faulty};
use crate::exit_code;
use crate::model::{
    ExitStatus, HookKind, KillMode, Leftovers, OnUnhealthy, Restart, ServiceId, ServicePolicy, ServiceType,
    Signal,
};

impl Step<'_> {
    /// The first process of a service has ended.
    pub(super) fn leader_gone(&mut self, id: ServiceId, end: ProcessEnd) {
        let leader = Some((end.outcome, self.now));
        let state = self.core.records[id].state;
        let ending = match state {
            ServiceState::Running { pid, .. } if self.follow(id, pid, end) => return,
            ServiceState::Running { pid, since, .. } => {
                self.end_health(id);
                let (asked, due) = (self.now, self.now.after(self.core.grace(id)));
                let early = self.core.records[id].pending.uptime && !self.core.is_stopping();
                let cause = if early { StopReason::TooEarly } else { StopReason::Itself };
                let mode = self.core.rules[id].kill_mode;
                Stopping { pid, since, asked, leader, due, killed: false, cause, mode }
            }
            ServiceState::Stopping(ending) => Stopping { leader, ..ending },
            ServiceState::Spawning { disturbed, load: Some(load) } => {
                self.load_ended(id, disturbed, load, end);
                return;
            }
            // These have no first process.
            ServiceState::Off
            | ServiceState::Waiting
            | ServiceState::Scheduled { .. }
            | ServiceState::Spawning { .. }
            | ServiceState::Finishing(_)
            | ServiceState::Backoff { .. }
            | ServiceState::Listening { .. }
            | ServiceState::Down(_) => {
                return;
            }
        };
        if !end.group_left || self.leaves(id, ending) || faulty!(self.core, ForgetGroup) {
            self.settle(id, ending, end.outcome);
            return;
        }
        self.core.lingering.push(id);
        self.set(id, ServiceState::Stopping(ending));
        if ending.killed {
            return; // All of it was.
        }
        if self.core.stop.kill_all {
            self.kill(id);
        } else if !faulty!(self.core, ForgetRest) {
            self.ask_the_rest(id, ending);
        }
    }

    /// Asks the rest of the group to stop, after the first process is gone. It gets the remaining grace period.
    fn ask_the_rest(&mut self, id: ServiceId, ending: Stopping) {
        let signal = match ending.mode {
            KillMode::Group if ending.cause.is_own() || self.core.runs_hook(id, HookKind::PreStop) => {
                self.core.rules[id].stop_signal
            }
            KillMode::Mixed | KillMode::All => Signal::TERM,
            // Asked already, or left alone.
            KillMode::Group | KillMode::Process => return,
        };
        self.reach_all(ending, signal, true);
    }

    /// Sends a signal to every process that the service's `kill_mode` reaches.
    fn reach_all(&mut self, ending: Stopping, signal: Signal, wake: bool) {
        let Stopping { pid, mode, .. } = ending;
        self.act(Action::Signal { pid, group: mode != KillMode::Process, signal, wake });
        if mode == KillMode::All {
            self.act(Action::SignalEscaped { pid, signal, wake });
        }
    }

    /// Returns whether the rest of this service's group is left alone; may report it.
    fn leaves(&mut self, id: ServiceId, Stopping { pid, mode, .. }: Stopping) -> bool {
        if mode == KillMode::Process {
            return true;
        }
        // A COMMAND that may be restarted must not meet leftovers of its last run.
        let main = self.core.whole.main == Some(id) && self.core.rules[id].restart.when == Restart::No;
        match self.core.whole.leftovers {
            Leftovers::Tell(signal) if main => {
                self.act(Action::Signal { pid, group: true, signal, wake: false });
                true
            }
            Leftovers::Leave => main,
            Leftovers::Tell(_) | Leftovers::Stop => false,
        }
    }

    /// The last process of a group is gone, after its first.
    pub(super) fn group_gone(&mut self, id: ServiceId) {
        match self.core.records[id].state {
            ServiceState::Stopping(ending) => {
                if let Some((outcome, _)) = ending.leader {
                    self.settle(id, ending, outcome);
                }
            }
            ServiceState::Off
            | ServiceState::Waiting
            | ServiceState::Scheduled { .. }
            | ServiceState::Spawning { .. }
            | ServiceState::Running { .. }
            | ServiceState::Finishing(_)
            | ServiceState::Backoff { .. }
            | ServiceState::Listening { .. }
            | ServiceState::Down(_) => {}
        }
    }

    /// Asks a running service to stop.
    pub(super) fn stop(&mut self, id: ServiceId, cause: StopReason) {
        let ServiceState::Running { pid, since, .. } = self.core.records[id].state else { return };
        self.end_health(id);
        let due = self.now.after(self.core.grace(id));
        let mode = self.core.rules[id].kill_mode;
        let ending = Stopping { pid, since, asked: self.now, leader: None, due, killed: false, cause, mode };
        self.set(id, ServiceState::Stopping(ending));
        self.tell(Note::Stopping { service: id, cause });
        let asked = self.ask_hook(id, HookKind::PreStop, None);
        if !asked || faulty!(self.core, SignalFirst) {
            self.ask_to_stop(id, ending);
        }
    }

    /// Sends its stop signal to a service.
    pub(super) fn ask_to_stop(&mut self, id: ServiceId, Stopping { pid, mode, .. }: Stopping) {
        let signal = self.core.rules[id].stop_signal;
        let group =
            mode == KillMode::Group || self.core.reaches_group(id) || faulty!(self.core, AskAllAtOnce);
        if mode == KillMode::All {
            self.act(Action::Survey { pid });
        }
        self.act(Action::Signal { pid, group, signal, wake: true });
    }

    /// A stopping service has exceeded its grace period.
    pub(super) fn escalate(&mut self, id: ServiceId, ending: Stopping) {
        if faulty!(self.core, NeverEscalate) {
            self.set(id, ServiceState::Stopping(Stopping { due: self.now.after(KILL_TIMEOUT), ..ending }));
            return;
        }
        if !ending.killed {
            let after = self.now.since(ending.asked);
            self.tell(Note::Killing { service: id, after, leader: ending.leader.is_none() });
            self.kill(id);
            return;
        }
        self.tell(Note::Stuck { service: id });
        self.core.pids.forget(ending.pid);
        let outcome = ending.leader.map_or(ExitStatus::Signal(Signal::KILL), |(outcome, _)| outcome);
        self.settle(id, ending, outcome);
    }

    /// Kills everything of a service that its `kill_mode` reaches, once.
    pub(super) fn kill(&mut self, id: ServiceId) {
        let (now, due) = (self.now, self.now.after(KILL_TIMEOUT));
        let ending = match self.core.records[id].state {
            ServiceState::Running { pid, since, .. } => {
                self.end_health(id);
                Stopping {
                    pid,
                    since,
                    asked: now,
                    leader: None,
                    due,
                    killed: true,
                    cause: StopReason::Shutdown,
                    mode: self.core.rules[id].kill_mode,
                }
            }
            ServiceState::Stopping(ending) if !ending.killed => Stopping { due, killed: true, ..ending },
            ServiceState::Spawning { disturbed, load: Some(load) } => {
                self.kill_load(id, disturbed, load, StopReason::Shutdown);
                return;
            }
            ServiceState::Finishing(_) => {
                self.kill_hooks(id);
                return;
            }
            // Killed already, or nothing to kill (yet).
            ServiceState::Stopping(_)
            | ServiceState::Off
            | ServiceState::Waiting
            | ServiceState::Scheduled { .. }
            | ServiceState::Spawning { .. }
            | ServiceState::Backoff { .. }
            | ServiceState::Listening { .. }
            | ServiceState::Down(_) => return,
        };
        self.drop_hook(id, HookKind::PreStop);
        let lost = faulty!(self.core, LoseKillTimer);
        self.set(
            id,
            ServiceState::Stopping(Stopping {
                due: if lost { ending.due.after(KILL_TIMEOUT * 50) } else { due },
                ..ending
            }),
        );
        self.reach_all(ending, Signal::KILL, false);
    }

    /// Nothing of a service is left.
    fn settle(&mut self, id: ServiceId, ending: Stopping, outcome: ExitStatus) {
        self.core.lingering.retain(|other| *other != id);
        let ending = Stopping { leader: Some(ending.leader.unwrap_or((outcome, self.now))), ..ending };
        self.finish(id, Ended::Run(ending, outcome));
    }

    /// Decides what follows the end of a run.
    pub(super) fn settled(&mut self, id: ServiceId, ending: Stopping, outcome: ExitStatus) {
        let ended = ending.leader.map_or(self.now, |(_, at)| at);
        let after = ended.since(ending.since);
        let rules = &self.core.rules[id];
        if after >= rules.restart.window {
            self.core.records[id].attempts = 0;
        }
        let success = self.is_success(rules, ending.cause, outcome);
        let next = match self.next(id, ending.cause, outcome, success) {
            Next::Failed if self.core.is_rescheduled(id) => Next::Over(Over::Scheduled),
            next => next,
        };
        let until = if ending.cause.is_own() { ended } else { ending.asked };
        let (after, took) = (until.since(ending.since), self.now.since(until));
        self.tell(Note::Ended { service: id, outcome, after, took, cause: ending.cause, next });
        let code = self.exit_code(id, ending.cause, outcome);
        self.core.records[id].code = code;
        match next {
            Next::Restarting { delay, attempt, .. } => {
                self.core.records[id].attempts = attempt;
                self.set(id, ServiceState::Backoff { until: self.now.after(delay) });
                self.disturb_dependents(id);
            }
            Next::Stopped if self.core.records[id].tenure.ends() && !self.core.is_stopping() => self.left(id),
            Next::Listening => {
                self.listen_again(id, after);
                self.disturb_dependents(id);
            }
            Next::Stopped if self.core.records[id].by_hand && !self.core.is_stopping() => {
                self.down_by_hand(id)
            }
            Next::Stopped | Next::Again if !self.core.is_stopping() => {
                self.disturb_dependents(id);
                self.wait_again(id);
            }
            Next::Stopped | Next::Again => self.down(id, FinalState::Stopped, code),
            Next::Done | Next::Failed | Next::Over(_) | Next::GivenUp { .. } => {
                let end = if success { FinalState::Success } else { FinalState::Failure };
                self.down_for(id, next, end, code);
            }
        }
        self.core.news.push(id);
    }

    fn next(&mut self, id: ServiceId, cause: StopReason, outcome: ExitStatus, success: bool) -> Next {
        let rules = &self.core.rules[id];
        if self.core.is_stopping() {
            return match (success, cause) {
                (false, _) => Next::Over(Over::Stopping),
                (true, StopReason::Itself) => Next::Done,
                (true, _) => Next::Stopped,
            };
        }
        if self.core.records[id].tenure.ends() {
            return Next::Stopped;
        }
        if self.core.records[id].by_hand && !faulty!(self.core, ForgetStopped) {
            return Next::Stopped;
        }
        if self.core.records[id].again || self.core.records[id].tenure.goes() {
            self.core.records[id].attempts = 0;
            return Next::Again;
        }
        let for_good = rules.health.as_ref().is_some_and(|health| health.on_unhealthy == OnUnhealthy::Stop);
        let outcome = match cause {
            StopReason::Dependency(_) => return Next::Stopped,
            StopReason::Unhealthy if for_good => return Next::Over(Over::Unhealthy),
            StopReason::Itself | StopReason::TooEarly => Some(outcome),
            StopReason::Shutdown
            | StopReason::PostStart
            | StopReason::StartTimeout
            | StopReason::RunTimeout
            | StopReason::ByHand
            | StopReason::Reload
            | StopReason::Rolled
            | StopReason::Unhealthy
            | StopReason::Watchdog => None,
        };
        if rules.on_demand && success && cause == StopReason::Itself && !faulty!(self.core, EndOnDemand) {
            return Next::Listening;
        }
        let (verdict, attempts) = (RestartVerdict { success, outcome }, self.core.records[id].attempts);
        let next = decide(rules, verdict, attempts, &mut self.core.random);
        self.limited(id, next)
    }

    /// Returns whether an end counts as success.
    fn is_success(&self, rules: &ServicePolicy, cause: StopReason, outcome: ExitStatus) -> bool {
        let stop = rules.stop_signal;
        let as_asked =
            outcome == ExitStatus::Signal(stop) || outcome == ExitStatus::Code(exit_code::of_signal(stop));
        let good = is_good(rules, outcome);
        match cause {
            StopReason::StartTimeout
            | StopReason::RunTimeout
            | StopReason::Unhealthy
            | StopReason::Watchdog
            | StopReason::TooEarly
            | StopReason::PostStart => false,
            StopReason::Shutdown
            | StopReason::Dependency(_)
            | StopReason::ByHand
            | StopReason::Reload
            | StopReason::Rolled => good || as_asked,
            // It may have been told to stop by someone else, such as a terminal.
            StopReason::Itself => good || (as_asked && self.core.is_stopping()),
        }
    }

    /// Returns rinit's exit code if this end decides it.
    fn exit_code(&self, id: ServiceId, cause: StopReason, outcome: ExitStatus) -> u8 {
        let forced = match cause {
            StopReason::StartTimeout
            | StopReason::RunTimeout
            | StopReason::Unhealthy
            | StopReason::Watchdog
            | StopReason::TooEarly
            | StopReason::PostStart => true,
            StopReason::Itself
            | StopReason::Shutdown
            | StopReason::Dependency(_)
            | StopReason::ByHand
            | StopReason::Reload
            | StopReason::Rolled => false,
        };
        let code =
            if is_good(&self.core.rules[id], outcome) { exit_code::SUCCESS } else { exit_code::of(outcome) };
        if forced { exit_code::of_failure(code) } else { code }
    }

    /// A service is down for good. This may end the container or decide its exit code.
    pub(super) fn down(&mut self, id: ServiceId, end: FinalState, code: u8) {
        self.core.records[id].code = code;
        self.core.news.push(id);
        let ends_all = end == FinalState::Failure && self.core.rules[id].essential;
        if !ends_all && self.back_to_schedule(id, end) {
            return;
        }
        self.set(id, ServiceState::Down(end));
        let rules = &self.core.rules[id];
        let main = self.core.main();
        let decides = if self.core.is_stopping() {
            // With a COMMAND its own code counts; without, that of the first service to fail.
            main == Some(id) || (main.is_none() && rules.essential && end == FinalState::Failure)
        } else {
            let ends_all = rules.kind == ServiceType::Daemon || end == FinalState::Failure;
            main == Some(id) || (rules.essential && ends_all)
        };
        if !decides {
            return;
        }
        self.core.code.get_or_insert(code);
        if !self.core.is_stopping() {
            self.tell(Note::ShuttingDown { because: Some(id) });
            self.shut_down();
        }
    }

    /// Restarts the running services with a `restart = true` dependency on this one.
    fn disturb_dependents(&mut self, id: ServiceId) {
        for at in 0.. {
            let Some(dependent) = self.core.graph.dependents[id].get(at).copied() else { return };
            if !dependent.edge.restart {
                continue;
            }
            match self.core.records[dependent.by].state {
                ServiceState::Running { .. } => self.stop(dependent.by, StopReason::Dependency(id)),
                ServiceState::Spawning { load, .. } => {
                    self.set(dependent.by, ServiceState::Spawning { disturbed: Some(id), load });
                }
                // Not started yet, or will wait for it again before they start.
                ServiceState::Off
                | ServiceState::Waiting
                | ServiceState::Scheduled { .. }
                | ServiceState::Stopping(_)
                | ServiceState::Finishing(_)
                | ServiceState::Backoff { .. }
                | ServiceState::Listening { .. }
                | ServiceState::Down(_) => {}
            }
        }
    }
}

/// Returns whether the service's configuration counts this status as success.
fn is_good(rules: &ServicePolicy, outcome: ExitStatus) -> bool {
    outcome == ExitStatus::Code(0) || rules.success.contains(&outcome)
}
