//! The container as a whole: up, stopping, swept, halted.

use super::event::StopReason;
use super::event::{Action, Note};
use super::restart::scaled;
use super::service::{FinalState, ServiceState, Stopping};
use super::{KILL_TIMEOUT, Step, Supervisor, faulty};
use crate::exit_code;
use crate::model::{Leftovers, Moment, ServiceId, Signal};
use std::time::Duration;

/// The share of `within` that services may take to stop by themselves. What is left then is killed.
const SHARE_OF_WITHIN: f64 = 0.9;

/// An INT or QUIT this soon after the first is no second one: a client may send it twice.
const REPEAT_WINDOW: Duration = Duration::from_secs(1);

/// The life of the container. It only ever moves forwards.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Phase {
    /// [`super::event::Event::Begin`] has not been told.
    New,
    Up,
    /// Services stop, dependents first. Nothing is started any more.
    Stopping,
    /// No service is left; everything else is asked to go (or killed).
    Sweeping {
        due: Moment,
        killed: bool,
    },
    Halted,
}

/// What is known of the stop of the container.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Stop {
    /// When the first INT or QUIT asked for it. At a second one, [`REPEAT_WINDOW`] later, everything is killed.
    first_interrupt: Option<Moment>,
    /// Everything was killed; what still appears is killed too.
    pub(super) kill_all: bool,
    /// By `within`: when that is due, and when it ends in any case.
    pub(super) kill_at: Option<Moment>,
    halt_at: Option<Moment>,
}

impl Stop {
    /// For a test that compares states whatever the time.
    #[cfg(test)]
    pub(super) fn moments(&mut self) -> [&mut Option<Moment>; 3] {
        [&mut self.kill_at, &mut self.halt_at, &mut self.first_interrupt]
    }
}

impl Supervisor {
    /// The longest time that a stop of the container may take.
    #[must_use]
    pub fn stop_bound(&self) -> Duration {
        let all = self.bound_by_graces(self.share);
        self.whole.stop_within.map_or(all, |within| all.min(within))
    }

    /// The longest time that a stop might take if there were no `within`.
    #[must_use]
    pub fn stop_bound_without_within(&self) -> Duration {
        self.bound_by_graces(1.0)
    }

    /// The longest chain of dependents, then the sweep. Each is asked, and killed past its grace.
    fn bound_by_graces(&self, share: f64) -> Duration {
        let services = self.graph.longest(|id| match self.records[id].state {
            ServiceState::Off => Duration::ZERO,
            _ => scaled(self.rules[id].stop_grace, share).saturating_add(KILL_TIMEOUT),
        });
        services.saturating_add(self.whole.sweep_grace).saturating_add(KILL_TIMEOUT)
    }

    /// By how much graces are cut so that a stop fits into `within`.
    pub(super) fn share_of_graces(&self) -> f64 {
        let Some(within) = self.whole.stop_within else { return 1.0 };
        let chain = self.graph.longest(|id| match self.records[id].state {
            ServiceState::Off => Duration::ZERO,
            _ => self.rules[id].stop_grace,
        });
        let share = SHARE_OF_WITHIN * within.as_secs_f64() / chain.as_secs_f64();
        // Not a number: both are nothing.
        if share.is_nan() { 1.0 } else { share.min(1.0) }
    }

    /// How long a service may take to stop.
    pub(super) fn grace(&self, id: ServiceId) -> Duration {
        let grace = self.rules[id].stop_grace;
        if self.is_stopping() { scaled(grace, self.share) } else { grace }
    }

    /// When something must happen to the container as a whole.
    pub(super) fn whole_due(&self) -> Option<Moment> {
        let sweep = match self.phase {
            Phase::Sweeping { due, .. } => Some(due),
            Phase::New | Phase::Up | Phase::Stopping => None,
            Phase::Halted => return None,
        };
        [sweep, self.stop.kill_at, self.stop.halt_at].into_iter().flatten().min()
    }
}

impl Step<'_> {
    /// Somebody outside wants the container to stop. Whether all was killed because they want it for the second time.
    pub(super) fn request_stop(&mut self, signal: Signal, code: Option<u8>) -> bool {
        if !self.core.is_stopping() {
            self.core.code = self.core.code.or(code);
            self.tell(Note::ShuttingDown { because: None });
            self.shut_down();
        }
        let again = self.is_second_interrupt(signal);
        if again {
            self.kill_all();
        }
        again
    }

    /// Who presses Ctrl-C once more has lost patience. TERM again means nothing: an engine's client and the engine may
    /// both send it, within milliseconds, and a database must not lose what it has not saved yet.
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

    /// Somebody outside wants the container to stop, and may want it to end with this code.
    pub(super) fn shut_down_by_hand(&mut self, code: Option<u8>) {
        if self.core.phase == Phase::New || self.core.is_stopping() {
            return;
        }
        self.core.code = self.core.code.or(code);
        self.tell(Note::ShuttingDown { because: None });
        self.shut_down();
    }

    /// rinit itself wants to end.
    pub(super) fn stop_with(&mut self, code: u8) {
        self.core.code.get_or_insert(code);
        if !self.core.is_stopping() {
            self.tell(Note::ShuttingDown { because: None });
            self.shut_down();
        }
    }

    /// Begin to stop: what has not started never does, and of what runs those go first that nothing
    /// live depends on.
    pub(super) fn shut_down(&mut self) {
        self.core.phase = Phase::Stopping;
        self.begin_wait();
        if let Some(within) = self.core.whole.stop_within {
            self.core.stop.kill_at = Some(self.now.after(scaled(within, SHARE_OF_WITHIN)));
            self.core.stop.halt_at = Some(self.now.after(within));
        }
        for id in self.core.records.ids() {
            self.core.records[id].held =
                u32::try_from(self.core.graph.dependents[id].len()).unwrap_or(u32::MAX);
            match self.core.records[id].state {
                ServiceState::Backoff { .. } if faulty!(self.core, SpawnDuringStop) => {}
                ServiceState::Waiting | ServiceState::Backoff { .. } => {
                    self.set(id, ServiceState::Down(FinalState::Stopped))
                }
                ServiceState::Running { .. } => self.end_health(id),
                // Nothing of its program runs, so there is nothing to wait for.
                ServiceState::Spawning { disturbed, load: Some(load) } => {
                    self.kill_load(id, disturbed, load, StopReason::Shutdown);
                }
                ServiceState::Stopping(ending) => {
                    let due = ending.due.min(self.now.after(self.core.grace(id)));
                    if !ending.killed {
                        self.set(id, ServiceState::Stopping(Stopping { due, ..ending }));
                    }
                }
                ServiceState::Off | ServiceState::Spawning { load: None, .. } | ServiceState::Down(_) => {}
            }
        }
        for at in (0..self.core.graph.order.len()).rev() {
            if let Some(id) = self.core.graph.order.get(at).copied() {
                self.its_turn(id);
            }
        }
    }

    /// A service's turn to stop comes when nothing holds it any more.
    fn its_turn(&mut self, id: ServiceId) {
        if self.core.records[id].held > 0 && !faulty!(self.core, StopAllAtOnce) {
            return;
        }
        match self.core.records[id].state {
            ServiceState::Running { .. } => self.stop(id, StopReason::Shutdown),
            ServiceState::Off
            | ServiceState::Waiting
            | ServiceState::Backoff { .. }
            | ServiceState::Down(_) => self.core.news.push(id),
            // It is on its way, or is stopped as soon as it is there.
            ServiceState::Spawning { .. } | ServiceState::Stopping(_) => {}
        }
    }

    /// A service that is gone, and that nothing holds, holds nothing any more itself. (One that
    /// is gone and still held keeps its hold: a service may well use what its dependency uses.)
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

    /// A second request: no more patience.
    fn kill_all(&mut self) {
        if !self.core.stop.kill_all {
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

    /// No service is running, nor will be.
    pub(super) fn nothing_left(&mut self) {
        match self.core.phase {
            // Who stopped them may start them again.
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

    /// Ask all that is left to go; kill it if it was asked before, or if there is no patience.
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
            // Only now it is certain that something is left.
            self.tell(Note::Sweeping { signal });
        }
        self.act(Action::Sweep { signal });
    }

    /// Nothing at all is left.
    pub(super) fn childless(&mut self) {
        match self.core.phase {
            Phase::Sweeping { .. } => self.halt(),
            // There may be more services to come.
            Phase::New | Phase::Up | Phase::Stopping | Phase::Halted => {}
        }
    }

    /// One of the moments has come that the container as a whole waits for.
    pub(super) fn fire_whole(&mut self) {
        let past = |at: Option<Moment>| at.is_some_and(|at| at <= self.now);
        if past(self.core.stop.halt_at) {
            self.halt();
        } else if past(self.core.stop.kill_at) {
            self.kill_what_is_left(true);
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
