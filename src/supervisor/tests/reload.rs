//! Another set of services at run time: single rules, and what the walk must find.

use super::invariants::rule;
use super::world::{Ask, Group, Input, Known, S, World, above};
use crate::model::*;
use crate::supervisor::event::{Action, ControlOrder, Event, Note, StopReason};
use crate::supervisor::reload::{Change, Slot};
use crate::supervisor::service::ServiceState;
use crate::supervisor::{ServiceStatus, Supervisor};

/// What the world expects after reloads; sets of services.
#[derive(Clone, Default, Debug)]
pub(super) struct Expected {
    /// Removed, and not gone.
    removed: u16,
    /// Turned off, and not gone.
    pub turned: u16,
    /// To be started again, and not gone.
    pub restarts: u16,
    /// Not to be started beside what is removed.
    pub new: u16,
    /// The first has to go before the second.
    bonds: Vec<(ServiceId, ServiceId)>,
}

impl World {
    pub(super) fn give_up(&mut self, service: ServiceId) -> Result<(), &'static str> {
        let is_start =
            |group: &Group| !group.probe || group.hook.is_some_and(HookKind::is_before_start) && group.killed;
        let stuck =
            self.groups.values_mut().find(|group| group.of == service && is_start(group) && !group.given_up);
        let stuck = stuck.ok_or("stuck, but not there")?;
        rule(stuck.killed, "given up and never killed")?;
        stuck.given_up = true;
        Ok(())
    }

    /// Replaces the set of services.
    pub fn replace(&mut self, slots: Vec<Slot>) {
        self.steps += 1;
        if let Some(events) = &mut self.events {
            events.push((self.now, Input::Replace(slots.clone())));
        }
        if self.core.is_replaceable() {
            self.expect_set(&slots);
        }
        let mut out = Vec::new();
        self.core.replace(self.now, slots, &mut out);
        self.take_set();
        // What has changed is started at once, whatever it waited for.
        self.demand.not_before = vec![Moment(0); self.rules.len()];
        self.judge(self.halted, out, None, "another set", Event::Begin);
        if self.core.wall_deadline().is_some_and(|at| at <= self.wall()) {
            self.tell_wall(super::clock::Way::Went);
        }
    }

    /// Takes over the services as they are now.
    pub(super) fn take_set(&mut self) {
        let core = &self.core;
        let policy = |id: ServiceId| ServicePolicy {
            depends_on: core.graph.depends_on[id].to_vec(),
            ..core.rules[id].clone()
        };
        self.rules = core.records.ids().map(policy).collect();
        self.above = above(core);
        self.known.resize(self.rules.len(), Known::New);
        self.alive.resize(self.rules.len(), self.now);
        self.demand.not_before.resize(self.rules.len(), Moment(0));
        self.hooks_of_set();
        self.credits.resize(self.rules.len(), 0);
    }

    #[expect(clippy::too_many_lines, reason = "one table")]
    fn expect_set(&mut self, slots: &[Slot]) {
        // It is removed as what the new set lacks.
        self.stand_in = None;
        // An id may mean another service by now.
        let mut bonds = std::mem::take(&mut self.reload.bonds);
        bonds.retain(|(by, on)| self.has_to_go(*by) && self.has_to_go(*on));
        self.reload.bonds = bonds;
        let known = self.core.slots();
        for (at, (old, new)) in known.iter().zip(slots).enumerate() {
            let id = ServiceId(u16::try_from(at).unwrap());
            let bit = 1 << at;
            let lives = self.lives(id);
            let times = |slot: &Slot| slot.policy.schedule.as_ref().map(|s| (s.cron, s.zone.clone()));
            if times(old) != times(new) {
                let state = self.core.records[id].state;
                let waits = state == ServiceState::Waiting || self.core.due(id).is_some();
                let is_scheduled =
                    !matches!(state, ServiceState::Backoff { .. }) && old.policy.schedule.is_some();
                self.credits[at] = u16::from(waits && is_scheduled && !lives);
            }
            let was_off = self.reload.turned & bit != 0;
            let (turns_off, turns_on) =
                (old.policy.enabled && !new.policy.enabled, !old.policy.enabled && new.policy.enabled);
            let is_gone = matches!(
                self.core.state_of(id),
                ServiceStatus::Done | ServiceStatus::Failed | ServiceStatus::Stopped
            );
            match new.change {
                Change::Remove => {
                    self.reload.removed |= bit;
                    self.wanted &= !bit;
                }
                Change::Keep | Change::Restart if turns_off && !is_gone => {
                    self.reload.turned |= bit;
                    self.wanted &= !bit;
                }
                Change::Restart | Change::Keep if was_off && new.policy.enabled => {
                    (self.reload.turned, self.reload.restarts) =
                        (self.reload.turned & !bit, self.reload.restarts | bit);
                    self.reload.new |= bit;
                }
                Change::Restart if !new.policy.enabled && self.core.state_of(id) == ServiceStatus::Off => {}
                Change::Restart if !new.policy.enabled && was_off => {}
                Change::Restart if !self.is_by_hand(id) => {
                    self.reload.new |= bit;
                    self.reload.restarts |= if lives { bit } else { 0 };
                }
                Change::Keep if turns_on && self.core.state_of(id) == ServiceStatus::Off => {
                    self.reload.new |= bit
                }
                // What runs stays ready when it gets a healthcheck.
                Change::Keep if old.policy.health.is_none() && self.known[at] == Known::Started => {
                    self.known[at] = Known::Healthy;
                }
                _ => {}
            }
        }
        for (at, slot) in slots.iter().enumerate() {
            let is_started = slot.change == Change::Add && slot.policy.enabled;
            self.reload.new |= if is_started { 1 << at } else { 0 };
        }
        let going = self.going();
        for (by, slot) in (0..).map(ServiceId).zip(&known) {
            let on = slot.policy.depends_on.iter().map(|edge| edge.on).filter(|on| going & 1 << on.0 != 0);
            self.reload.bonds.extend(on.filter(|_| going & 1 << by.0 != 0).map(|on| (by, on)));
        }
    }

    fn going(&self) -> u16 {
        self.reload.removed | self.reload.turned | self.reload.restarts
    }

    pub(super) fn lives(&self, id: ServiceId) -> bool {
        let mine = |group: &Group| group.of == id && !group.probe && !group.given_up;
        // Its hooks are part of it.
        let hook = match self.core.records[id].state {
            ServiceState::Finishing(_) => true,
            ServiceState::Spawning { load, .. } => load.is_none_or(|load| load.hook.is_some()),
            _ => false,
        };
        hook || self.groups.values().any(mine) || self.asks.contains(&Ask::Spawn(id))
    }

    /// Returns whether a service has to wait for another one to go.
    fn has_to_wait(&self, id: ServiceId) -> bool {
        self.reload.bonds.iter().any(|(by, on)| *on == id && self.has_to_go(*by))
    }

    fn has_to_go(&self, id: ServiceId) -> bool {
        (self.going() & 1 << id.0 != 0 || self.is_by_hand(id)) && self.lives(id)
    }

    /// A service that a reload stops is one that it was to stop, and its dependents are gone.
    pub(super) fn check_going(&self, id: ServiceId) -> Result<(), &'static str> {
        rule(self.going() & 1 << id.0 != 0, "stopped, though it has not changed")?;
        rule(!self.has_to_wait(id), "stopped before what needs it")
    }

    /// What a reload adds is not started beside what it removes, nor on what is about to be restarted.
    pub(super) fn check_new(&mut self, id: ServiceId) -> Result<(), &'static str> {
        let bit = 1 << id.0;
        let is_new = self.reload.new & bit != 0;
        self.reload.new &= !bit;
        let beside =
            self.core.records.ids().any(|other| self.reload.removed & 1 << other.0 != 0 && self.lives(other));
        rule(!(is_new && beside), "started beside what it replaces")?;
        rule(self.reload.removed & bit == 0, "started, though it is removed")
    }

    pub(super) fn gone(&mut self, id: ServiceId) -> Result<(), &'static str> {
        rule(!self.lives(id), "gone, but it lives")?;
        let bit: u16 = 1 << id.0;
        self.reload.removed &= !bit;
        self.reload.turned &= !bit;
        (self.demand.connected, self.demand.summoned) =
            (self.demand.connected & !bit, self.demand.summoned & !bit);
        (self.by_hand, self.alone, self.wanted) =
            (self.by_hand & !bit, self.alone & !bit, self.wanted & !bit);
        self.known[id.index()] = Known::New;
        self.credits[id.index()] = 0;
        self.stand_in = self.stand_in.filter(|(slot, _)| *slot != id);
        Ok(())
    }

    /// What has to go does so, as soon as nothing that needs it is left.
    pub(super) fn check_reload(&mut self) -> Result<(), &'static str> {
        if self.reload.removed == 0 {
            self.reload.new = 0;
        }
        if self.going() == 0 {
            self.reload.bonds.clear();
        }
        for id in self.core.records.ids().filter(|id| self.going() & 1 << id.0 != 0) {
            let runs = matches!(self.core.records[id].state, ServiceState::Running { .. });
            rule(
                !runs || self.stopping || self.core.is_stopping() || self.has_to_wait(id),
                "runs, and has to go",
            )?;
        }
        Ok(())
    }
}

fn daemon() -> ServicePolicy {
    ServicePolicy { essential: false, stop_grace: S, ..ServicePolicy::default() }
}

fn needs(on: u16) -> ServicePolicy {
    let condition = Some(Condition::Started);
    let edge = Dependency { on: ServiceId(on), condition, required: true, restart: false, any: 0 };
    ServicePolicy { depends_on: vec![edge], ..daemon() }
}

fn slots(world: &World, change: impl FnOnce(&mut Vec<Slot>)) -> Vec<Slot> {
    let mut slots = world.core.slots();
    change(&mut slots);
    slots
}

fn running(rules: Vec<ServicePolicy>) -> World {
    let mut world = World::new(rules, Settings { stay_when_idle: true, ..Settings::default() });
    world.begin();
    world.answer_all();
    world.take();
    world
}

fn vacant(world: &World, id: u16) -> bool {
    world.core.is_vacant(ServiceId(id))
}

#[test]
fn what_has_not_changed_keeps_its_process() {
    let mut world = running(vec![daemon(), needs(0)]);
    let pids = [world.pid(0), world.pid(1)];
    world.replace(slots(&world, |slots| slots[0].policy.stop_grace = 3 * S));
    assert_eq!(world.seen, []);
    assert_eq!([world.pid(0), world.pid(1)], pids);
    assert_eq!(world.core.rules(ServiceId(0)).stop_grace, 3 * S, "but its rules are the new ones");
    assert_eq!(world.fault, None);
}

#[test]
fn a_chain_stops_from_its_end_and_starts_from_its_root() {
    let mut world = running(vec![daemon(), needs(0), needs(1)]);
    world.replace(slots(&world, |slots| slots.iter_mut().for_each(|slot| slot.change = Change::Restart)));
    for id in [2, 1, 0] {
        let asked: Vec<_> =
            world.notes().filter(|note| matches!(note, Note::Stopping { .. })).copied().collect();
        assert_eq!(asked, [Note::Stopping { service: ServiceId(id), cause: StopReason::Reload }]);
        assert_eq!(world.asks, []);
        world.take();
        world.die(id, Signal::TERM);
    }
    for id in [0, 1, 2] {
        assert_eq!(world.asks, [Ask::Spawn(ServiceId(id))]);
        world.answer();
    }
    assert_eq!(world.fault, None);
}

#[test]
fn what_is_added_waits_until_what_is_removed_is_gone_and_takes_a_free_id() {
    let mut world = running(vec![daemon(), needs(0)]);
    world.replace(slots(&world, |slots| {
        slots[1].change = Change::Remove;
        slots.push(Slot { policy: needs(0), change: Change::Add });
    }));
    assert_eq!(world.asks, [], "its port may be that of the removed one");
    assert!(world.core.is_leaving(ServiceId(1)));
    world.die(1, Signal::TERM);
    assert!(vacant(&world, 1));
    assert_eq!(world.asks, [Ask::Spawn(ServiceId(2))]);
    world.answer();
    world.replace(slots(&world, |slots| slots[1] = Slot { policy: daemon(), change: Change::Add }));
    assert_eq!(world.asks, [Ask::Spawn(ServiceId(1))]);
    world.answer();
    world.replace(slots(&world, |slots| slots[2].change = Change::Remove));
    world.die(2, Signal::TERM);
    world.replace(slots(&world, |slots| slots.truncate(2)));
    assert_eq!(world.core.slot_count(), 2, "what is vacant at the end is given back");
    assert_eq!(world.finish_by_stop(), 0);
}

#[test]
fn what_was_stopped_by_hand_or_given_up_stays_so() {
    let mut world = running(vec![daemon(), ServicePolicy { restart: never(), ..daemon() }]);
    world.order(0, ControlOrder::Stop { only: false, all: false });
    world.die(0, Signal::TERM);
    world.exit(1, 3);
    let all =
        |world: &World, change| slots(world, |slots| slots.iter_mut().for_each(|slot| slot.change = change));
    world.replace(all(&world, Change::Keep));
    assert_eq!(world.asks, []);
    world.replace(all(&world, Change::Restart));
    assert_eq!(world.asks, [Ask::Spawn(ServiceId(1))], "one that has changed gets another chance");
    assert_eq!(world.status(0), ServiceStatus::Stopped);
}

#[test]
fn what_could_not_start_does_when_what_it_needs_is_mended() {
    let mut world = World::new(
        vec![ServicePolicy { restart: never(), ..daemon() }, needs(0)],
        Settings { stay_when_idle: true, ..Settings::default() },
    );
    world.begin();
    world.refuse(true, 127);
    assert_eq!(world.status(1), ServiceStatus::Failed);
    world.replace(slots(&world, |_| {}));
    assert_eq!((world.status(1), world.asks.len()), (ServiceStatus::Failed, 0));
    world.replace(slots(&world, |slots| slots[0].change = Change::Restart));
    world.answer_all();
    assert!(world.runs(0) && world.runs(1));
}

#[test]
fn what_is_turned_off_stops_and_what_is_turned_on_starts() {
    let mut world = running(vec![daemon(), ServicePolicy { enabled: false, ..daemon() }]);
    world.replace(slots(&world, |slots| {
        (slots[0].policy.enabled, slots[1].policy.enabled) = (false, true);
    }));
    assert_eq!(world.asks, [Ask::Spawn(ServiceId(1))]);
    world.answer();
    world.die(0, Signal::TERM);
    assert_eq!(world.status(0), ServiceStatus::Off);
    world.replace(slots(&world, |slots| slots[0].policy.enabled = true));
    world.answer_all();
    assert!(world.runs(0));
    assert_eq!(world.fault, None);
}

/// Otherwise the signal would go to a process that was reaped.
#[test]
fn a_stop_that_has_begun_goes_on_as_it_began() {
    let mut world = running(vec![daemon()]);
    let pid = world.pid(0);
    world.end(pid, ExitStatus::Code(0), true);
    world.take();
    world.replace(slots(&world, |slots| slots[0].policy.kill_mode = KillMode::Process));
    world.wait(S);
    let kill = Action::Signal { pid, group: true, signal: Signal::KILL, wake: false };
    assert!(world.seen.contains(&kill), "{:?}", world.seen);
}

#[test]
fn a_stop_during_a_reload_starts_nothing_more() {
    let mut world = running(vec![daemon(), needs(0)]);
    world.replace(slots(&world, |slots| {
        slots[1].change = Change::Remove;
        slots.push(Slot { policy: daemon(), change: Change::Add });
    }));
    world.signal(Signal::TERM);
    assert!(!world.core.is_replaceable());
    let none = slots(&world, |slots| slots.iter_mut().for_each(|slot| slot.change = Change::Remove));
    world.take();
    world.replace(none);
    assert_eq!(world.seen, []);
    assert_eq!(world.finish(), 0);
}

fn never() -> RestartPolicy {
    RestartPolicy { when: Restart::No, ..RestartPolicy::default() }
}

impl World {
    fn finish_by_stop(&mut self) -> u8 {
        self.signal(Signal::TERM);
        self.finish()
    }
}

/// A thousand sets one after the other take no more room than one.
#[test]
fn a_thousand_sets_leave_nothing_behind() {
    let mut world = running(vec![daemon()]);
    for _ in 0..1000 {
        let at = world.core.slot_count();
        world.replace(slots(&world, |slots| match slots.get_mut(1) {
            Some(slot) => *slot = Slot { policy: daemon(), change: Change::Add },
            None => slots.push(Slot { policy: daemon(), change: Change::Add }),
        }));
        world.answer_all();
        world.replace(slots(&world, |slots| slots[1].change = Change::Remove));
        world.die(1, Signal::TERM);
        assert!(at <= 2 && vacant(&world, 1));
        world.take();
    }
    let core: &Supervisor = &world.core;
    assert_eq!((core.slot_count(), core.bonds.capacity(), core.removing), (2, 0, 0));
}
