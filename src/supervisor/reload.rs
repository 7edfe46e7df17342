//! Another set of services at run time: a reload of the configuration, or another number of replicas.
//!
//! The caller takes [`Supervisor::slots`], changes the list, and hands it to [`Supervisor::replace`]. An id never means
//! another service while anything of the old one is left: a service that is removed keeps its slot, and its policy,
//! until its last process is gone ([`Note::Removed`]). Then the slot is vacant, and may be given to a new service.
//!
//! What is removed, turned off or restarted is stopped with its dependents first (the bonds between them). What is added
//! or restarted is started when all that is removed is gone, so that a service under a new name finds its port free.
//! All else keeps its process, its attempts and its state.

use super::event::{Action, Note, StopReason};
use super::graph::Graph;
use super::service::{FinalState, Load, Order, ProbeState, Record, ServiceState, Tenure};
use super::service_map::SharedMap;
use super::shutdown::Phase;
use super::timers::Timers;
use super::{Step, Supervisor, faulty};
use crate::model::{Moment, ServiceId, ServicePolicy, ServiceType, Settings};

/// One service of the new set; its place in the list is its id.
#[derive(Clone, Debug)]
pub struct Slot {
    /// Its policy; `depends_on` names ids of the new set.
    pub policy: ServicePolicy,
    /// What becomes of it.
    pub change: Change,
}

/// What becomes of a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// It is not touched; only its policy is followed from now on, but for how it reports on itself, which its process
    /// was told (`readiness`). One that is no longer `enabled` is stopped, one that
    /// is now is started.
    Keep,
    /// It is started again: what it runs has changed. One that was stopped by hand stays so.
    Restart,
    /// It is new. Its slot must be vacant, or one more than there were.
    Add,
    /// It is stopped, and its slot is vacant then. Its policy in the list does not matter.
    Remove,
    /// There is none in this slot. Vacant slots at the end may be left out.
    Vacant,
}

impl Supervisor {
    /// Returns the services as they are, for [`Supervisor::replace`].
    #[must_use]
    pub fn slots(&self) -> Vec<Slot> {
        let slot = |id: ServiceId| {
            let policy =
                ServicePolicy { depends_on: self.graph.depends_on[id].to_vec(), ..self.rules[id].clone() };
            let change = match self.records[id].tenure {
                Tenure::Stays | Tenure::Restarts | Tenure::TurnsOff => Change::Keep,
                Tenure::Leaves | Tenure::StandIn => Change::Remove,
                Tenure::Vacant => Change::Vacant,
            };
            Slot { policy, change }
        };
        self.records.ids().map(slot).collect()
    }

    /// Returns whether the set of services may be replaced now: not before the start, and not once a stop was asked for.
    #[must_use]
    pub fn is_replaceable(&self) -> bool {
        self.phase == Phase::Up && !self.is_draining()
    }

    /// Replaces the set of services, and appends the resulting actions to `out`, like [`Supervisor::step`]. Nothing is
    /// done unless [`Supervisor::is_replaceable`].
    pub fn replace(&mut self, now: Moment, slots: Vec<Slot>, out: &mut Vec<Action>) {
        if self.is_replaceable() {
            let mut step = Step { core: self, now, out };
            step.replace(slots);
            step.spread();
            step.roll();
            step.core.set_timers();
        }
    }

    /// Changes the settings of the container; the COMMAND stays what it is.
    pub fn set_settings(&mut self, whole: Settings) {
        self.whole = Settings { main: self.whole.main, seed: self.whole.seed, ..whole };
        self.share = self.share_of_graces();
    }

    /// Returns whether there is no service in this slot.
    #[must_use]
    pub fn is_vacant(&self, id: ServiceId) -> bool {
        id.index() >= self.graph.order.len() || self.records[id].tenure == Tenure::Vacant
    }

    /// Returns whether this service is removed, and some process of it is left.
    #[must_use]
    pub fn is_leaving(&self, id: ServiceId) -> bool {
        self.records[id].tenure == Tenure::Leaves
    }

    /// Returns whether this service is the COMMAND.
    #[must_use]
    pub fn is_main(&self, id: ServiceId) -> bool {
        self.whole.main == Some(id)
    }

    /// Returns the number of slots, vacant or not.
    #[must_use]
    pub fn slot_count(&self) -> usize {
        self.graph.order.len()
    }

    /// Returns whether a service is on its way down, and some process of it is left.
    fn is_still_to_go(&self, id: ServiceId) -> bool {
        let record = &self.records[id];
        record.state.is_live() && (record.tenure.goes() || record.by_hand)
    }

    /// Returns whether a start has to wait until all that is removed is gone.
    pub(super) fn is_held_back(&self, id: ServiceId) -> bool {
        self.records[id].is_new && self.removing > 0
    }
}

impl Step<'_> {
    /// A signal asks for a reload.
    pub(super) fn ask_reload(&mut self) {
        if self.core.is_replaceable() {
            self.act(Action::Reload);
        } else {
            self.tell(Note::NotReloaded);
        }
    }

    pub(super) fn replace(&mut self, mut slots: Vec<Slot>) {
        let before = self.core.slots();
        // Only vacant slots at the end may be left out, of which nothing is to come any more.
        let is_used = |id: &ServiceId| {
            let record = &self.core.records[*id];
            record.tenure != Tenure::Vacant || record.probe != ProbeState::Off
        };
        let used = self.core.records.ids().rev().find(is_used).map_or(0, |id| id.index() + 1);
        slots.extend(before.iter().take(used).skip(slots.len()).cloned());
        self.mark(&before, &mut slots);
        self.bind();
        let changes: Vec<Change> = slots.iter().map(|slot| slot.change).collect();
        self.install(&before, slots);
        let each = || (0..).map(ServiceId).zip(changes.iter().copied());
        for (id, change) in each() {
            self.settle_in(id, change, before.get(id.index()).map(|slot| &slot.policy));
        }
        self.try_again_unreached();
        self.core.share = self.core.share_of_graces();
        for id in self.core.start_order() {
            if self.core.records[id].state.is_waiting_or_off() {
                self.look_again(id);
            }
        }
        for (id, _) in each() {
            self.turn_to_leave(id);
            self.turn_by_hand(id);
        }
    }

    /// Decides which services have to go, and corrects what cannot be.
    fn mark(&mut self, before: &[Slot], slots: &mut [Slot]) {
        for (at, (slot, old)) in slots.iter_mut().zip(before).enumerate() {
            let Ok(at) = u16::try_from(at) else { return };
            let id = ServiceId(at);
            let record = self.core.records[id];
            slot.change = match (record.tenure, slot.change) {
                (Tenure::Vacant, Change::Add) => Change::Add,
                (Tenure::Vacant, _) => Change::Vacant,
                (Tenure::Leaves | Tenure::StandIn, _) | (_, Change::Remove | Change::Vacant) => {
                    Change::Remove
                }
                (_, Change::Add | Change::Restart) => Change::Restart,
                (_, Change::Keep) if faulty!(self.core, DisturbKept) => Change::Restart,
                (_, Change::Keep) => Change::Keep,
            };
            let is_live = record.state.is_live();
            // One that is about to be turned off by an earlier set still is.
            let was_on = old.policy.enabled || record.tenure == Tenure::TurnsOff;
            let turns_off = was_on && !slot.policy.enabled;
            self.core.records[id].tenure = match slot.change {
                Change::Remove => Tenure::Leaves,
                Change::Restart | Change::Keep if turns_off && record.state.is_busy() => Tenure::TurnsOff,
                // It is asked to stop already.
                Change::Restart | Change::Keep if record.tenure == Tenure::TurnsOff => {
                    if slot.policy.enabled { Tenure::Restarts } else { Tenure::TurnsOff }
                }
                Change::Restart if is_live && !record.by_hand => Tenure::Restarts,
                Change::Add | Change::Restart | Change::Keep | Change::Vacant => record.tenure,
            };
        }
    }

    /// Notes which of the services that go must go before which, by the old dependencies.
    fn bind(&mut self) {
        let goes = |core: &Supervisor, id: ServiceId| {
            core.records[id].tenure.goes() && core.records[id].state.is_live()
        };
        let mut bonds = std::mem::take(&mut self.core.bonds);
        bonds.retain(|(by, on)| goes(self.core, *by) && goes(self.core, *on));
        for on in self.core.records.ids().filter(|id| goes(self.core, *id)) {
            let dependents = self.core.graph.dependents[on].iter().map(|other| other.by);
            bonds.extend(dependents.filter(|by| goes(self.core, *by)).map(|by| (by, on)));
        }
        bonds.sort_unstable();
        bonds.dedup();
        self.core.bonds = bonds;
    }

    /// Puts the new policies and their graph in place.
    fn install(&mut self, before: &[Slot], slots: Vec<Slot>) {
        let mut policies: Vec<ServicePolicy> = Vec::with_capacity(slots.len());
        let is_vacant =
            |id: ServiceId| before.get(id.index()).is_none_or(|slot| slot.change == Change::Vacant);
        for (slot, old) in slots.into_iter().zip(before.iter().map(Some).chain(std::iter::repeat(None))) {
            policies.push(match (slot.change, old) {
                // What goes is stopped as it was configured, and after what it needs no more.
                (Change::Remove, Some(old)) => {
                    let mut policy = old.policy.clone();
                    policy.depends_on.retain(|edge| !is_vacant(edge.on));
                    policy
                }
                (Change::Vacant | Change::Remove, _) => nobody(),
                (Change::Keep, Some(old)) => {
                    ServicePolicy { readiness: old.policy.readiness.clone(), ..slot.policy }
                }
                (Change::Keep | Change::Restart | Change::Add, _) => slot.policy,
            });
        }
        self.keep_jobs(before, &policies);
        let core = &mut *self.core;
        let count = policies.len();
        core.graph = Graph::new(&mut policies);
        let is_enabled: Vec<bool> = policies.iter().map(|policy| policy.enabled).collect();
        core.rules = SharedMap::new(policies, Box::new(nobody()));
        core.records.resize(count, |id| Record::new(is_enabled.get(id.index()).copied().unwrap_or_default()));
        core.timers = Timers::new(count);
        core.timers_are_up = true;
        (core.busy, core.waiting, core.stopping, core.listening) = (0, 0, 0, 0);
        for id in core.records.ids() {
            let record = &mut core.records[id];
            record.blocker = 0;
            if record.state == ServiceState::Off {
                record.order = Order::Waits;
            }
            let state = record.state;
            core.count(state, usize::saturating_add);
        }
        core.removing = core.records.ids().filter(|id| core.records[*id].tenure == Tenure::Leaves).count();
    }

    /// One service takes its place in the new set.
    fn settle_in(&mut self, id: ServiceId, change: Change, old: Option<&ServicePolicy>) {
        let state = self.core.records[id].state;
        match self.core.records[id].tenure {
            Tenure::Leaves | Tenure::TurnsOff if !state.is_live() => return self.take_out(id),
            Tenure::Leaves | Tenure::TurnsOff | Tenure::Restarts => {
                if let ServiceState::Spawning { disturbed, load: Some(load) } = state {
                    self.kill_load(id, disturbed, load, StopReason::Reload);
                }
                return;
            }
            Tenure::Stays | Tenure::StandIn | Tenure::Vacant => {}
        }
        let is_enabled = self.core.rules[id].enabled;
        match change {
            Change::Add => {
                let probe = self.core.records[id].probe;
                self.set(id, ServiceState::Off);
                self.core.records[id] = Record { probe, ..Record::new(false) };
                self.tell(Note::Added { service: id });
                if is_enabled {
                    self.begin_anew(id);
                }
            }
            Change::Restart if self.core.records[id].by_hand || state.is_live() => {}
            Change::Restart if state == ServiceState::Off && !is_enabled => {}
            Change::Restart => self.begin_anew(id),
            Change::Keep if state == ServiceState::Off && is_enabled => self.begin_anew(id),
            Change::Keep => {
                self.follow_policy(id, old);
                self.follow_schedule(id, old.is_some_and(|old| old.schedule.is_some()));
            }
            Change::Remove | Change::Vacant => {}
        }
    }

    /// Waits to be started as at the first time.
    pub(super) fn begin_anew(&mut self, id: ServiceId) {
        self.core.starts.forget(id);
        if self.schedule_anew(id) {
            return;
        }
        self.begin_to_wait(id);
        let record = &mut self.core.records[id];
        (record.attempts, record.is_new) = (0, true);
        (record.order, record.blocker) = (Order::Waits, 0);
    }

    /// A service that is not touched has got other limits: its healthcheck, or the time for its start.
    fn follow_policy(&mut self, id: ServiceId, old: Option<&ServicePolicy>) {
        let (pid, since, ready) = match self.core.records[id].state {
            ServiceState::Running { pid, since, ready } => (pid, since, ready),
            ServiceState::Spawning { disturbed, load: Some(load) }
                if load.killed.is_none() && load.hook.is_none() =>
            {
                let due = load.due.min(self.load_limit(id, load.since)).max(self.now);
                let load = Some(Load { due, ..load });
                return self.set(id, ServiceState::Spawning { disturbed, load });
            }
            // It waits for connections no more.
            ServiceState::Listening { .. } if !self.core.rules[id].on_demand => return self.begin_anew(id),
            _ => return,
        };
        let had = old.is_some_and(|old| old.health.is_some());
        let rules = &self.core.rules[id];
        match (had, rules.health.is_some()) {
            (false, true) => self.start_health(id),
            (true, false) => {
                let is_started = self.core.records[id].pending.is_none();
                let is_daemon = rules.kind == ServiceType::Daemon;
                let is_ready = is_daemon && is_started && rules.readiness.is_none();
                self.end_probes(id);
                self.set(id, ServiceState::Running { pid, since, ready: ready || is_ready });
                self.become_ready(id);
                self.core.news.push(id);
            }
            _ => {}
        }
    }

    /// What was given up because a dependency had failed gets another chance where that is no longer so.
    fn try_again_unreached(&mut self) {
        for id in self.core.start_order() {
            let record = &self.core.records[id];
            let is_down = record.state == ServiceState::Down(FinalState::Failure);
            if is_down && record.is_unreached && !self.lacks_for_ever(id) {
                self.begin_anew(id);
            }
        }
    }

    /// Stops a service that has to go, once all that must go before it is gone.
    pub(super) fn turn_to_leave(&mut self, id: ServiceId) {
        if !self.core.records[id].tenure.goes() || self.core.phase != Phase::Up {
            return;
        }
        if !self.core.bonds.iter().any(|(by, on)| *on == id && self.core.is_still_to_go(*by)) {
            self.stop(id, StopReason::Reload);
        }
    }

    /// A service has changed: if it is gone, those that had to wait for that may be stopped.
    pub(super) fn let_go_to_leave(&mut self, id: ServiceId) {
        if self.core.bonds.is_empty() || self.core.is_still_to_go(id) || faulty!(self.core, ForgetLeaving) {
            return;
        }
        let mut freed = Vec::new();
        self.core.bonds.retain(|(by, on)| {
            let is_kept = *by != id;
            freed.extend((!is_kept).then_some(*on));
            is_kept
        });
        for on in freed {
            self.turn_to_leave(on);
        }
        if self.core.bonds.is_empty() {
            self.core.bonds = Vec::new();
        }
    }

    /// A service that was removed or turned off has no process any more.
    pub(super) fn left(&mut self, id: ServiceId) {
        let tenure = self.core.records[id].tenure;
        self.take_out(id);
        // It may have been stopped by hand too, and before what it needs.
        for at in 0.. {
            let Some(edge) = self.core.graph.depends_on[id].get(at).copied() else { break };
            self.turn_by_hand(edge.on);
        }
        if tenure == Tenure::TurnsOff {
            self.core.share = self.core.share_of_graces();
            self.look_again(id);
        } else if tenure == Tenure::Leaves && self.core.removing == 0 {
            self.release_new();
        }
    }

    fn take_out(&mut self, id: ServiceId) {
        let (tenure, probe) = (self.core.records[id].tenure, self.core.records[id].probe);
        self.set(id, ServiceState::Off);
        self.forget_runs(id);
        let gone = Record { probe, ..Record::new(false) };
        self.core.news.push(id);
        if tenure != Tenure::TurnsOff {
            self.core.records[id] = Record { tenure: Tenure::Vacant, order: Order::Open, ..gone };
            self.core.removing = self.core.removing.saturating_sub(usize::from(tenure == Tenure::Leaves));
            self.tell(Note::Removed { service: id });
        } else {
            self.core.records[id] = gone;
            self.tell(Note::TurnedOff { service: id });
        }
    }

    /// All that is removed is gone: starts what has waited for that.
    fn release_new(&mut self) {
        for id in self.core.records.ids() {
            if std::mem::take(&mut self.core.records[id].is_new)
                && self.core.records[id].state == ServiceState::Waiting
            {
                self.consider(id);
            }
        }
    }
}

/// The policy of a slot without a service.
pub(super) fn nobody() -> ServicePolicy {
    ServicePolicy { enabled: false, ..ServicePolicy::default() }
}
