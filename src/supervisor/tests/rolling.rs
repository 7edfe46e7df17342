//! Rolling restarts: what always holds, and short stories.

use super::invariants::rule;
use super::scenes::*;
use super::world::{Known, S, World};
use crate::model::*;
use crate::supervisor::event::{ControlOrder, Note};
use crate::supervisor::service::{ServiceState, Tenure};
use crate::supervisor::shutdown::Phase;

impl World {
    /// One at a time, and only those that were ordered to.
    pub(super) fn check_turn(&mut self, id: ServiceId, order: ControlOrder) -> Result<(), &'static str> {
        if order != ControlOrder::Roll {
            return Ok(());
        }
        rule(self.rolling.is_none(), "two turns at once")?;
        if let Some((slot, _)) = self.stand_in.filter(|(_, of)| *of == id) {
            rule(self.is_ready(slot), "the old process is stopped before the new one is ready")?;
        }
        rule(self.rolls & (1 << id.0) != 0, "nobody ordered that, or the roll had failed")?;
        (self.rolling, self.rolls) = (Some(id), self.rolls & !(1 << id.0));
        Ok(())
    }

    pub(super) fn check_rolled(&mut self, id: ServiceId) -> Result<(), &'static str> {
        rule(self.rolling.take() == Some(id), "it was not its turn")?;
        rule(self.is_ready(id), "the roll goes on before it is ready")
    }

    fn is_ready(&self, id: ServiceId) -> bool {
        let known = self.known[id.index()];
        let rules = &self.rules[id.index()];
        match rules.kind {
            ServiceType::Oneshot => known == Known::Done,
            // A reload may have given it a healthcheck when it was ready already.
            ServiceType::Daemon if rules.health.is_some() && known == Known::Started => {
                matches!(self.core.records[id].state, ServiceState::Running { ready: true, .. })
            }
            ServiceType::Daemon => matches!(known, Known::Started | Known::Healthy | Known::Listening),
        }
    }

    /// A service gets a stand-in in a vacant slot, one at a time.
    pub(super) fn stand_in(&mut self, of: ServiceId, slot: ServiceId) -> Result<(), &'static str> {
        rule(self.stand_in.is_none() && self.rolling.is_none(), "two stand-ins at once")?;
        self.take_set();
        self.known[slot.index()] = Known::New;
        self.stand_in = Some((slot, of));
        Ok(())
    }

    /// A turn ends once its service is ready or down.
    pub(super) fn check_rolling(&self) -> Result<(), &'static str> {
        let up = self.core.phase == Phase::Up;
        let stands_in = |id| self.core.records[id].tenure == Tenure::StandIn;
        let left = self.core.records.ids().any(stands_in);
        rule(!left || !up || self.core.rolling.is_some(), "a stand-in that nobody dismisses")?;
        let Some(id) = self.rolling.filter(|_| up) else { return Ok(()) };
        rule(self.core.rolls() == Some(id), "a turn that nobody knows of")?;
        match self.core.records[id].state {
            ServiceState::Running { .. } if self.rules[id.index()].kind == ServiceType::Oneshot => Ok(()),
            ServiceState::Running { since, ready: true, .. } => {
                let rules = &self.rules[id.index()];
                let reports = rules.health.is_some() || rules.readiness.is_some();
                let lasts = !reports && since.after(rules.update.monitor) > self.now;
                rule(lasts, "a turn that does not end")
            }
            ServiceState::Backoff { .. } | ServiceState::Down(_) | ServiceState::Off => {
                rule(false, "a turn that goes on without its service")
            }
            _ => Ok(()),
        }
    }
}

fn three() -> World {
    let mut w = up(vec![probed(), probed(), probed()]);
    for id in 0..3 {
        w.wait(S);
        w.answer_all();
        w.probe(id, 0);
    }
    for id in 0..3 {
        w.order(id, ControlOrder::Roll);
    }
    w
}

fn healthy_again(w: &mut World, id: u16) {
    w.die(id, Signal::TERM);
    w.answer_all();
    w.wait(S);
    w.answer_all();
    w.probe(id, 0);
}

#[test]
fn each_waits_until_the_one_before_is_healthy() {
    let mut w = three();
    for id in 0..3 {
        assert_eq!(w.core.rolls(), Some(ServiceId(id)));
        assert!((0..3).all(|other| w.runs(other) == (other != id)), "{:?}", w.seen);
        healthy_again(&mut w, id);
        assert!(told(&w, Note::Rolled { service: ServiceId(id) }));
    }
    assert_eq!((w.core.rolls(), w.fault), (None, None));
}

#[test]
fn one_that_does_not_get_ready_ends_it() {
    let mut w = three();
    healthy_again(&mut w, 0);
    w.die(1, Signal::TERM);
    w.answer_all();
    w.exit(1, 1);
    assert!(told(&w, Note::RollFailed { service: ServiceId(1), left: 1, kept: false }));
    assert_eq!((w.core.rolls(), w.signals_to(w.pid(2))), (None, vec![]));
    assert_eq!(w.fault, None);
}

/// Without a healthcheck it is ready at once, and may fail in the next moment.
#[test]
fn one_without_a_healthcheck_has_to_run_for_a_while() {
    let mut w = up(vec![daemon(), daemon()]);
    w.order(0, ControlOrder::Roll);
    w.order(1, ControlOrder::Roll);
    w.die(0, Signal::TERM);
    w.answer_all();
    assert_eq!(w.signals_to(w.pid(1)), []);
    w.wait(S);
    assert_eq!(w.signals_to(w.pid(1)), [Signal::TERM]);
    w.order(1, ControlOrder::Stop { only: false, all: false });
    assert!(told(&w, Note::RollFailed { service: ServiceId(1), left: 0, kept: false }));
    assert_eq!(w.fault, None);
}

fn start_first() -> World {
    let mut rules = probed();
    rules.update.start_first = true;
    let mut w = up(vec![rules]);
    w.wait(S);
    w.answer_all();
    w.probe(0, 0);
    w.order(0, ControlOrder::Roll);
    w.answer_all();
    w
}

#[test]
fn with_start_first_the_old_one_stays_until_another_is_ready() {
    let mut w = start_first();
    let old = w.pid(0);
    assert_eq!((w.runs(0), w.runs(1)), (true, true));
    w.wait(S);
    w.answer_all();
    w.probe(1, 0);
    assert_eq!((w.signals_to(old), w.runs(1)), (vec![Signal::TERM], true));
    healthy_again(&mut w, 0);
    assert!(told(&w, Note::Rolled { service: ServiceId(0) }));
    // Now the stand-in goes.
    assert!(w.runs(0) && !w.runs(1), "{:?}", w.seen);
    w.die(1, Signal::TERM);
    assert!(w.runs(0) && w.core.is_vacant(ServiceId(1)) && w.core.rolling.is_none());
    assert_eq!(w.fault, None);
}

#[test]
fn with_start_first_the_old_one_runs_on_where_no_other_gets_ready() {
    let mut w = start_first();
    w.exit(1, 1);
    assert!(told(&w, Note::RollFailed { service: ServiceId(0), left: 0, kept: true }));
    assert!(w.runs(0) && w.core.is_vacant(ServiceId(1)) && w.core.rolling.is_none());
    assert_eq!(w.fault, None);
}

/// What replaces the old process may fail too, though another had got ready.
#[test]
fn a_stand_in_serves_until_the_service_is_back() {
    let mut w = start_first();
    w.wait(S);
    w.answer_all();
    w.probe(1, 0);
    w.die(0, Signal::TERM);
    w.answer_all();
    w.exit(0, 1);
    assert!(told(&w, Note::RollFailed { service: ServiceId(0), left: 0, kept: false }));
    assert_eq!((w.core.rolls(), w.runs(1)), (None, true));
    w.probe(0, 1); // the one that was killed
    w.wait(S);
    w.answer_all();
    w.wait(S);
    w.answer_all();
    w.probe(0, 0);
    assert!(w.runs(0) && !w.runs(1), "{:?}", w.seen);
    w.die(1, Signal::TERM);
    assert!(w.runs(0) && w.core.rolling.is_none());
    assert_eq!(w.fault, None);
}
