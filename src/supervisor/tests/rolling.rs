//! Rolling restarts: what always holds, and short stories.

use super::invariants::rule;
use super::scenes::*;
use super::world::{Known, S, World};
use crate::model::*;
use crate::supervisor::event::{ControlOrder, Note};
use crate::supervisor::service::ServiceState;
use crate::supervisor::shutdown::Phase;

impl World {
    /// One at a time, and only those that were ordered to.
    pub(super) fn check_turn(&mut self, id: ServiceId, order: ControlOrder) -> Result<(), &'static str> {
        if order != ControlOrder::Roll {
            return Ok(());
        }
        rule(self.rolling.is_none(), "two turns at once")?;
        rule(self.rolls & (1 << id.0) != 0, "nobody ordered that, or the roll had failed")?;
        (self.rolling, self.rolls) = (Some(id), self.rolls & !(1 << id.0));
        Ok(())
    }

    pub(super) fn check_rolled(&mut self, id: ServiceId) -> Result<(), &'static str> {
        rule(self.rolling.take() == Some(id), "it was not its turn")?;
        let known = self.known[id.index()];
        let rules = &self.rules[id.index()];
        let is_ready = match rules.kind {
            ServiceType::Oneshot => known == Known::Done,
            // A reload may have given it a healthcheck when it was ready already.
            ServiceType::Daemon if rules.health.is_some() && known == Known::Started => {
                matches!(self.core.records[id].state, ServiceState::Running { ready: true, .. })
            }
            ServiceType::Daemon => matches!(known, Known::Started | Known::Healthy | Known::Listening),
        };
        rule(is_ready, "the roll goes on before it is ready")
    }

    /// A turn ends once its service is ready or down.
    pub(super) fn check_rolling(&self) -> Result<(), &'static str> {
        let Some(id) = self.rolling.filter(|_| self.core.phase == Phase::Up) else { return Ok(()) };
        rule(self.core.rolls() == Some(id), "a turn that nobody knows of")?;
        match self.core.records[id].state {
            ServiceState::Running { .. } if self.rules[id.index()].kind == ServiceType::Oneshot => Ok(()),
            ServiceState::Running { since, ready: true, .. } => {
                let waits = &self.rules[id.index()];
                let lasts = waits.health.is_none() && waits.readiness.is_none() && since.after(S) > self.now;
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
    assert!(told(&w, Note::RollFailed { service: ServiceId(1), left: 1 }));
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
    assert!(told(&w, Note::RollFailed { service: ServiceId(1), left: 0 }));
    assert_eq!(w.fault, None);
}
