//! Orders of a control client (`rinitctl`): start, stop, restart or signal a service.
//!
//! A stop is remembered ([`super::service::Record::by_hand`]) until a start or restart. It stops all dependents first.
//! A start also starts all that the service needs. A service that is stopping and is ordered to start is started once
//! it is gone ([`super::service::Record::again`]).

use super::event::{ControlOrder, Note, StopReason};
use super::service::{FinalState, Order, ServiceState, Tenure};
use super::shutdown::Phase;
use super::starting::Hold;
use super::{Step, Supervisor, faulty};
use crate::model::{Dependency, ServiceId, Signal};

impl Supervisor {
    /// Returns the marked services, dependencies first.
    fn in_start_order(&self, marked: &[bool]) -> Vec<ServiceId> {
        let is_marked = |id: &&ServiceId| marked.get(id.index()).copied().unwrap_or(false);
        self.graph.order.iter().filter(is_marked).copied().collect()
    }

    /// Returns the other edges of a service of which one is enough, instead of this one.
    pub(super) fn others(&self, by: ServiceId, edge: &Dependency) -> impl Iterator<Item = &Dependency> {
        let (on, any) = (edge.on, edge.any);
        self.graph.depends_on[by].iter().filter(move |other| any != 0 && other.any == any && other.on != on)
    }

    /// Returns whether the service was stopped by hand and not started since.
    #[must_use]
    pub fn is_stopped_by_hand(&self, id: ServiceId) -> bool {
        self.records[id].by_hand
    }

    /// Returns whether any service was stopped by hand and may be started again: then rinit stays.
    pub(super) fn awaits_hand(&self) -> bool {
        self.records.ids().any(|id| self.records[id].by_hand)
    }
}

impl Step<'_> {
    pub(super) fn order(&mut self, id: ServiceId, order: ControlOrder) {
        if id.index() >= self.core.graph.order.len() {
            return;
        }
        let is_configured = !self.core.is_vacant(id) && !self.core.is_leaving(id);
        match (self.core.phase, order) {
            (Phase::Up | Phase::Stopping, ControlOrder::Signal(signal)) => self.signal_by_hand(id, signal),
            (Phase::Up, _) if !is_configured => {}
            // It is started once, for its service.
            (Phase::Up, ControlOrder::Start | ControlOrder::Restart)
                if self.core.records[id].tenure == Tenure::StandIn => {}
            (Phase::Up, ControlOrder::Start | ControlOrder::Restart) => self.start_by_hand(id, order),
            (Phase::Up, ControlOrder::Roll) if !self.core.is_draining() => self.roll_by_hand(id),
            (Phase::Up, ControlOrder::Roll) => {}
            (Phase::Up, ControlOrder::Stop { only, all }) => self.stop_by_hand(id, only, all),
            (Phase::New | Phase::Stopping | Phase::Sweeping { .. } | Phase::Halted, _) => {}
        }
    }

    fn signal_by_hand(&mut self, id: ServiceId, signal: Signal) {
        match self.core.records[id].state.leader() {
            Some(_) => self.pass_on(id, signal),
            None => self.tell(Note::NotForwarded { signal, service: id }),
        }
    }

    /// Starts or restarts a service and what it needs.
    pub(super) fn start_by_hand(&mut self, id: ServiceId, order: ControlOrder) {
        let reached = self.needs_of(id);
        for one in &reached {
            let order = if *one == id { order } else { ControlOrder::Start };
            self.tell(Note::Ordered { service: *one, order, because: id });
            self.want(*one, order, *one == id);
        }
        for one in reached {
            self.spare(one);
            if self.core.records[one].state.is_waiting_or_off() {
                self.look_again(one);
            }
        }
    }

    /// A service is not stopped any more: what was to be stopped after it and is not needed, as another one is enough,
    /// does not have to wait for that.
    fn spare(&mut self, id: ServiceId) {
        for at in 0.. {
            let Some(edge) = self.core.graph.depends_on[id].get(at).copied() else { return };
            if edge.any > 0 {
                self.turn_by_hand(edge.on);
            }
        }
    }

    /// Returns a service and those of its dependencies that only a start by hand can bring up; dependencies first.
    fn needs_of(&self, id: ServiceId) -> Vec<ServiceId> {
        let mut seen = vec![false; self.core.graph.order.len()];
        let mut marked = seen.clone();
        let mut stack = vec![id];
        while let Some(one) = stack.pop() {
            let Some(seen) = seen.get_mut(one.index()).filter(|seen| !**seen) else { continue };
            *seen = true;
            let record = &self.core.records[one];
            let down = match record.state {
                ServiceState::Down(_) => true,
                ServiceState::Off => matches!(record.order, Order::Broken(_)),
                ServiceState::Waiting
                | ServiceState::Scheduled { .. }
                | ServiceState::Spawning { .. }
                | ServiceState::Running { .. }
                | ServiceState::Stopping(_)
                | ServiceState::Finishing(_)
                | ServiceState::Backoff { .. }
                | ServiceState::Listening { .. } => record.by_hand,
            };
            if let Some(marked) = marked.get_mut(one.index()) {
                *marked = one == id || down;
            }
            let is_there =
                |edge: &Dependency| !self.core.records[edge.on].by_hand && self.own_hold(edge) == Hold::Yes;
            let lacks = |edge: &&Dependency| !is_there(edge) && !self.core.others(one, edge).any(is_there);
            let edges = self.core.graph.depends_on[one].iter().filter(|edge| is_need(edge));
            stack.extend(edges.filter(lacks).map(|edge| edge.on));
        }
        self.core.in_start_order(&marked)
    }

    /// Marks a service as wanted. `named`: the order names it, rather than a service that needs it.
    fn want(&mut self, id: ServiceId, order: ControlOrder, named: bool) {
        let record = &mut self.core.records[id];
        record.by_hand = false;
        record.attempts = 0;
        self.core.starts.forget(id);
        let record = &mut self.core.records[id];
        if record.tenure == Tenure::TurnsOff {
            record.tenure = Tenure::Stays;
            self.core.news.push(id);
        }
        let record = &mut self.core.records[id];
        record.wanted = match record.state {
            ServiceState::Running { .. } => order != ControlOrder::Start,
            ServiceState::Spawning { load, .. } => load.is_some_and(|load| load.killed.is_some()),
            ServiceState::Off
            | ServiceState::Waiting
            | ServiceState::Scheduled { .. }
            | ServiceState::Stopping(_)
            | ServiceState::Finishing(_)
            | ServiceState::Backoff { .. }
            | ServiceState::Listening { .. }
            | ServiceState::Down(_) => true,
        };
        match record.state {
            ServiceState::Running { .. } if matches!(order, ControlOrder::Restart | ControlOrder::Roll) => {
                record.again = true;
                self.stop(id, StopReason::ByHand);
            }
            ServiceState::Spawning { load, .. } => {
                record.again = load.is_some_and(|load| load.killed.is_some())
            }
            ServiceState::Stopping(_) | ServiceState::Finishing(_) => {
                record.again = !faulty!(self.core, ForgetAgain)
            }
            // It is off for its own reasons; only reset what blocks those behind it.
            ServiceState::Off if !named => (record.order, record.blocker) = (Order::Waits, 0),
            ServiceState::Off
            | ServiceState::Down(_)
            | ServiceState::Scheduled { .. }
            | ServiceState::Backoff { .. }
            | ServiceState::Listening { .. } => {
                let was_off = record.state == ServiceState::Off;
                (record.order, record.blocker) = (Order::Waits, 0);
                self.begin_to_wait(id);
                if was_off {
                    // One more grace period to account for.
                    self.core.share = self.core.share_of_graces();
                }
            }
            ServiceState::Running { .. } | ServiceState::Waiting => {}
        }
    }

    /// Stops a service, after everything that needs it.
    fn stop_by_hand(&mut self, id: ServiceId, only: bool, all: bool) {
        if !self.core.records[id].state.is_busy() {
            return; // It is down already, and nobody is to miss it anew.
        }
        let order = ControlOrder::Stop { only, all };
        let mut reached = if only { vec![id] } else { self.needed_by(id, all) };
        reached.reverse();
        for one in &reached {
            let record = &mut self.core.records[*one];
            record.again = false;
            if record.tenure == Tenure::Restarts {
                record.tenure = Tenure::Stays;
            }
            if std::mem::replace(&mut record.by_hand, true) && !only {
                continue;
            }
            let state = record.state;
            self.tell(Note::Ordered { service: *one, order, because: id });
            match state {
                ServiceState::Waiting
                | ServiceState::Scheduled { .. }
                | ServiceState::Backoff { .. }
                | ServiceState::Listening { .. } => {
                    self.tell(Note::StoppedIdle { service: *one });
                    self.down_by_hand(*one);
                }
                ServiceState::Spawning { disturbed, load: Some(load) } => {
                    self.kill_load(*one, disturbed, load, StopReason::ByHand);
                }
                // Stopped below, once its process exists, or already stopping.
                ServiceState::Running { .. }
                | ServiceState::Spawning { load: None, .. }
                | ServiceState::Stopping(_)
                | ServiceState::Finishing(_)
                | ServiceState::Off
                | ServiceState::Down(_) => {}
            }
        }
        if only {
            self.stop(id, StopReason::ByHand);
        }
        for one in reached {
            self.turn_by_hand(one);
        }
    }

    /// Returns a service and all that needs it, as far as they are busy; dependencies first. `all`: the other instances
    /// of this service are stopped too.
    fn needed_by(&self, id: ServiceId, all: bool) -> Vec<ServiceId> {
        let mut marked = vec![false; self.core.graph.order.len()];
        let mut stack = vec![id];
        while let Some(one) = stack.pop() {
            let Some(mark) = marked.get_mut(one.index()).filter(|mark| !**mark) else { continue };
            *mark = true;
            let dependents = self.core.graph.dependents[one].iter();
            let goes_on = |edge: &Dependency| {
                let record = &self.core.records[edge.on];
                record.state.is_busy()
                    && !record.by_hand
                    && !marked.get(edge.on.index()).is_some_and(|mark| *mark)
            };
            let busy = dependents.filter(|other| {
                let has_another =
                    || !(all && one == id) && self.core.others(other.by, &other.edge).any(goes_on);
                is_need(&other.edge) && self.core.records[other.by].state.is_busy() && !has_another()
            });
            stack.extend(busy.map(|other| other.by));
        }
        self.core.in_start_order(&marked)
    }

    /// Stops a service that was stopped by hand, once all dependents that were stopped with it are gone.
    pub(super) fn turn_by_hand(&mut self, id: ServiceId) {
        if !self.core.records[id].by_hand || self.core.phase != Phase::Up {
            return;
        }
        let holds = |by: ServiceId| self.core.records[by].is_still_going();
        let mut dependents = self.core.graph.dependents[id].iter();
        let held = dependents.any(|other| is_need(&other.edge) && holds(other.by));
        if !held || faulty!(self.core, StopNeedsFirst) {
            self.stop(id, StopReason::ByHand);
        }
    }

    /// A service has changed: if it is gone, those of its dependencies that were stopped by hand may be stopped.
    pub(super) fn let_go_by_hand(&mut self, id: ServiceId) {
        if self.core.records[id].is_still_going() {
            return;
        }
        for at in 0.. {
            let Some(edge) = self.core.graph.depends_on[id].get(at).copied() else { return };
            if is_need(&edge) {
                self.turn_by_hand(edge.on);
            }
        }
    }

    /// A service that was stopped by hand is down. This never ends the container.
    pub(super) fn down_by_hand(&mut self, id: ServiceId) {
        self.set(id, ServiceState::Down(FinalState::Stopped));
        self.core.records[id].attempts = 0;
        self.core.records[id].again = false;
        self.forget_runs(id);
        self.core.news.push(id);
    }
}

/// Returns whether an edge is a real need, not just an ordering or an optional dependency.
pub(super) fn is_need(edge: &Dependency) -> bool {
    edge.required && edge.condition.is_some()
}
