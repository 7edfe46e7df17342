//! The container as a whole: up, stopping, sweeping, halted.

use super::event::StopReason;
use super::event::{Action, Note};
use super::restart::scaled;
use super::service::{FinalState, ServiceState, Stopping};
use super::{KILL_TIMEOUT, Step, Supervisor, faulty};
use crate::exit_code;
use crate::model::{HookKind, Leftovers, Moment, ServiceId, Signal};
use std::time::Duration;

/// The share of `within` that services may take to stop by themselves. Then the rest is killed.
const SHARE_OF_WITHIN: f64 = 0.9;

/// The share of `within` that is left for graces, however long `delay` is.
const MIN_SHARE: f64 = 0.01;

/// An INT or QUIT this soon after the first does not count as a second request: a client may send it twice.
const REPEAT_WINDOW: Duration = Duration::from_secs(1);

/// The phase of the container. It only moves forwards.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Phase {
    /// Before [`super::event::Event::Begin`].
    New,
    Up,
    /// Services stop, dependents first. Nothing is started.
    Stopping,
    /// No service is left; all other processes are asked to stop, or killed.
    Sweeping {
        due: Moment,
        killed: bool,
    },
    Halted,
}

/// The state of a container stop.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Stop {
    /// When the first INT or QUIT came. A second one, at least [`REPEAT_WINDOW`] later, kills everything.
    first_interrupt: Option<Moment>,
    /// Everything was killed; processes that appear later are killed too.
    pub(super) kill_all: bool,
    /// It was a second request that killed everything: no hook runs any more.
    pub(super) skip_hooks: bool,
    /// Deadlines of `within`: when to kill everything, and when to exit in any case.
    pub(super) kill_at: Option<Moment>,
    pub(super) halt_at: Option<Moment>,
    /// While everything still serves after a request (`[stop] delay`): when the stop begins.
    drained_at: Option<Moment>,
}

impl Stop {
    pub(super) fn is_draining(&self) -> bool {
        self.drained_at.is_some()
    }

    /// Lets a test compare states regardless of time.
    #[cfg(test)]
    pub(super) fn moments(&mut self) -> [&mut Option<Moment>; 4] {
        [&mut self.kill_at, &mut self.halt_at, &mut self.drained_at, &mut self.first_interrupt]
    }
}

impl Supervisor {
    /// Returns the longest time that a stop of the container may take.
    #[must_use]
    pub fn stop_bound(&self) -> Duration {
        let Some(within) = self.whole.stop_within else { return self.bound_by_graces(self.share) };
        // A service that notifies may ask for more time than its grace period.
        let may_extend = self.records.ids().any(|id| self.rules[id].readiness.is_some());
        if may_extend { within } else { self.bound_by_graces(self.share).min(within) }
    }

    /// Returns the same bound without `within`.
    #[must_use]
    pub fn stop_bound_without_within(&self) -> Duration {
        self.bound_by_graces(1.0)
    }

    /// Sums the longest chain of dependents and the sweep: each may use its grace period and then be killed.
    fn bound_by_graces(&self, share: f64) -> Duration {
        let services = self.graph.longest(|id| match self.records[id].state {
            ServiceState::Off => Duration::ZERO,
            _ => scaled(self.longest_stop(id), share).saturating_add(KILL_TIMEOUT),
        });
        let rest = self.whole.sweep_grace.saturating_add(KILL_TIMEOUT).saturating_add(self.whole.stop_delay);
        services.saturating_add(rest)
    }

    /// Returns how long a service may take to stop, with the hook that follows.
    fn longest_stop(&self, id: ServiceId) -> Duration {
        let rules = &self.rules[id];
        let hook = rules.hooks.as_ref().and_then(|hooks| hooks.of(HookKind::PostStop));
        rules.stop_grace.saturating_add(hook.unwrap_or_default())
    }

    /// Returns the factor by which grace periods shrink so that a stop fits into `within`.
    pub(super) fn share_of_graces(&self) -> f64 {
        let Some(within) = self.whole.stop_within else { return 1.0 };
        let chain = self.graph.longest(|id| match self.records[id].state {
            ServiceState::Off => Duration::ZERO,
            _ => self.longest_stop(id),
        });
        let left = SHARE_OF_WITHIN * within.as_secs_f64() - self.whole.stop_delay.as_secs_f64();
        // Never nothing at all: who is asked to stop hears it before KILL.
        let share = left.max(MIN_SHARE * within.as_secs_f64()) / chain.as_secs_f64();
        // NaN: both are zero.
        if share.is_nan() { 1.0 } else { share.min(1.0) }
    }

    /// Returns how long a service may take to stop.
    pub(super) fn grace(&self, id: ServiceId) -> Duration {
        let grace = self.rules[id].stop_grace;
        if self.is_stopping() { scaled(grace, self.share) } else { grace }
    }

    /// Returns when the container's own timer is due.
    pub(super) fn whole_due(&self) -> Option<Moment> {
        let sweep = match self.phase {
            Phase::Sweeping { due, .. } => Some(due),
            Phase::New | Phase::Up | Phase::Stopping => None,
            Phase::Halted => return None,
        };
        [sweep, self.stop.kill_at, self.stop.halt_at, self.stop.drained_at].into_iter().flatten().min()
    }
}

impl Step<'_> {
    /// Handles a stop request from outside. Returns whether it was a repeated one that killed everything.
    pub(super) fn request_stop(&mut self, signal: Signal, code: Option<u8>) -> bool {
        self.drain(code);
        let again = self.is_second_interrupt(signal);
        if again {
            self.end_drain();
            self.kill_all();
        }
        again
    }

    /// A repeated Ctrl-C kills everything. A repeated TERM does not: an engine's client and the engine may both send
    /// one within milliseconds, and a database must not lose unsaved data.
    fn is_second_interrupt(&mut self, signal: Signal) -> bool {
        if faulty!(self.core, KillAtSecondTerm) && signal == Signal::TERM {
            return self.core.stop.first_interrupt.replace(self.now).is_some();
        }
        if ![Signal::INT, Signal::QUIT].contains(&signal) {
            return false;
        }
        let first = *self.core.stop.first_interrupt.get_or_insert(self.now);
        self.now.since(first) >= REPEAT_WINDOW
    }

    /// Handles a stop order of a control client, optionally with an exit code.
    pub(super) fn shut_down_by_hand(&mut self, code: Option<u8>) {
        if self.core.phase != Phase::New {
            self.drain(code);
        }
    }

    /// Begins a stop that was asked for: what runs serves on for `[stop] delay`, so that a load balancer can drain.
    fn drain(&mut self, code: Option<u8>) {
        if self.core.is_stopping() || self.core.is_draining() {
            return;
        }
        self.core.code = self.core.code.or(code);
        self.bound_stop();
        let delay = self.core.whole.stop_delay;
        if delay.is_zero() || self.core.busy == 0 {
            self.tell(Note::ShuttingDown { because: None });
            self.shut_down();
        } else {
            self.core.stop.drained_at = Some(self.now.after(delay));
            self.tell(Note::Draining { delay });
        }
    }

    /// Ends the delay, if there is one.
    fn end_drain(&mut self) {
        if self.core.is_draining() {
            self.tell(Note::ShuttingDown { because: None });
            self.shut_down();
        }
    }

    /// Sets the deadlines of `within`, which count from the request.
    fn bound_stop(&mut self) {
        if let Some(within) = self.core.whole.stop_within.filter(|_| self.core.stop.halt_at.is_none()) {
            self.core.stop.kill_at = Some(self.now.after(scaled(within, SHARE_OF_WITHIN)));
            self.core.stop.halt_at = Some(self.now.after(within));
        }
    }

    /// Stops for a reason of rinit's own.
    pub(super) fn stop_with(&mut self, code: u8) {
        self.core.code.get_or_insert(code);
        if !self.core.is_stopping() {
            self.tell(Note::ShuttingDown { because: None });
            self.shut_down();
        }
    }

    /// Begins to stop: waiting services never start, and running ones stop as soon as no live service depends on them.
    pub(super) fn shut_down(&mut self) {
        self.core.phase = Phase::Stopping;
        self.core.stop.drained_at = None;
        self.begin_wait();
        self.bound_stop();
        for id in self.core.records.ids() {
            self.core.records[id].held =
                u32::try_from(self.core.graph.dependents[id].len()).unwrap_or(u32::MAX);
            match self.core.records[id].state {
                ServiceState::Backoff { .. } if faulty!(self.core, SpawnDuringStop) => {}
                ServiceState::Waiting
                | ServiceState::Scheduled { .. }
                | ServiceState::Backoff { .. }
                | ServiceState::Listening { .. } => self.set(id, ServiceState::Down(FinalState::Stopped)),
                ServiceState::Running { .. } => self.end_health(id),
                // Its program does not run yet, so there is nothing to wait for.
                ServiceState::Spawning { disturbed, load: Some(load) } => {
                    self.kill_load(id, disturbed, load, StopReason::Shutdown);
                }
                ServiceState::Stopping(ending) => {
                    let due = ending.due.min(self.now.after(self.core.grace(id)));
                    if !ending.killed {
                        self.set(id, ServiceState::Stopping(Stopping { due, ..ending }));
                    }
                    self.hurry_hooks(id);
                }
                ServiceState::Finishing(_) => self.hurry_hooks(id),
                ServiceState::Off | ServiceState::Spawning { load: None, .. } | ServiceState::Down(_) => {}
            }
        }
        for at in (0..self.core.graph.order.len()).rev() {
            if let Some(id) = self.core.graph.order.get(at).copied() {
                self.its_turn(id);
            }
        }
    }

    /// Stops a service once no dependent holds it.
    fn its_turn(&mut self, id: ServiceId) {
        if self.core.records[id].held > 0 && !faulty!(self.core, StopAllAtOnce) {
            return;
        }
        match self.core.records[id].state {
            ServiceState::Running { .. } => self.stop(id, StopReason::Shutdown),
            ServiceState::Off
            | ServiceState::Waiting
            | ServiceState::Scheduled { .. }
            | ServiceState::Backoff { .. }
            | ServiceState::Listening { .. }
            | ServiceState::Down(_) => self.core.news.push(id),
            // Already stopping, or stopped as soon as its process exists.
            ServiceState::Spawning { .. } | ServiceState::Stopping(_) | ServiceState::Finishing(_) => {}
        }
    }

    /// Releases the dependencies of a service that is gone and not held. (One that is gone but still held keeps its
    /// hold: its dependents may use its dependencies too.)
    pub(super) fn let_go(&mut self, id: ServiceId) {
        let record = &mut self.core.records[id];
        if record.let_go || record.held > 0 || record.state.is_live() {
            return;
        }
        record.let_go = true;
        for at in 0.. {
            let Some(edge) = self.core.graph.depends_on[id].get(at).copied() else { return };
            let on = &mut self.core.records[edge.on];
            on.held = on.held.saturating_sub(1);
            if on.held == 0 {
                self.its_turn(edge.on);
            }
        }
    }

    /// A second request: kills everything at once.
    fn kill_all(&mut self) {
        self.core.stop.skip_hooks = true;
        if self.core.stop.kill_all {
            // Hooks of what was killed may run.
            self.core.records.ids().for_each(|id| self.kill_hooks(id));
        } else {
            self.tell(Note::KillingAll);
            self.kill_what_is_left(false);
        }
    }

    fn kill_what_is_left(&mut self, tell: bool) {
        self.core.stop.kill_all = true;
        self.core.stop.kill_at = None;
        for id in self.core.records.ids() {
            let state = self.core.records[id].state;
            if let ServiceState::Stopping(ending @ Stopping { killed: false, .. }) = state
                && tell
            {
                self.escalate(id, ending);
            } else {
                self.kill(id);
            }
        }
        match self.core.phase {
            Phase::Sweeping { killed: false, .. } => self.sweep(),
            Phase::Sweeping { .. } | Phase::New | Phase::Up | Phase::Stopping | Phase::Halted => {}
        }
    }

    /// No service is running or will be.
    pub(super) fn nothing_left(&mut self) {
        match self.core.phase {
            // Services that were stopped by hand may be started again.
            Phase::Up if self.core.awaits_hand() && !faulty!(self.core, EndWhenStopped) => {}
            Phase::Up if !self.core.whole.stay_when_idle => {
                self.shut_down();
                self.core.news.clear();
                self.sweep();
            }
            Phase::Stopping => self.sweep(),
            Phase::New | Phase::Up | Phase::Sweeping { .. } | Phase::Halted => {}
        }
    }

    /// Asks all remaining processes to stop; kills them if they were asked before or on a second request.
    fn sweep(&mut self) {
        if self.core.whole.leftovers != Leftovers::Stop {
            self.halt();
            return;
        }
        let asked = match self.core.phase {
            Phase::Sweeping { .. } => true,
            Phase::New | Phase::Up | Phase::Stopping | Phase::Halted => false,
        };
        let killed = asked || self.core.stop.kill_all;
        let (signal, patience) =
            if killed { (Signal::KILL, KILL_TIMEOUT) } else { (Signal::TERM, self.core.whole.sweep_grace) };
        self.core.phase = Phase::Sweeping { due: self.now.after(patience), killed };
        if asked {
            // Only now it is certain that processes are left.
            self.tell(Note::Sweeping { signal });
        }
        self.act(Action::Sweep { signal });
    }

    /// No child is left.
    pub(super) fn childless(&mut self) {
        match self.core.phase {
            Phase::Sweeping { .. } => self.halt(),
            // Services may still be started.
            Phase::New | Phase::Up | Phase::Stopping | Phase::Halted => {}
        }
    }

    /// Handles the container's own timers.
    pub(super) fn fire_whole(&mut self) {
        let past = |at: Option<Moment>| at.is_some_and(|at| at <= self.now);
        if past(self.core.stop.halt_at) {
            self.halt();
        } else if past(self.core.stop.kill_at) {
            self.end_drain();
            self.kill_what_is_left(true);
        } else if past(self.core.stop.drained_at) {
            self.end_drain();
        } else {
            match self.core.phase {
                Phase::Sweeping { killed: true, .. } => self.halt(),
                Phase::Sweeping { killed: false, .. } => self.sweep(),
                Phase::New | Phase::Up | Phase::Stopping | Phase::Halted => {}
            }
        }
    }

    fn halt(&mut self) {
        self.core.phase = Phase::Halted;
        let code = self.core.code.unwrap_or(exit_code::SUCCESS);
        self.act(Action::Halt { code });
    }
}
