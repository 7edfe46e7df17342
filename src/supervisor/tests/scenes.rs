//! Common beginnings of the stories, and common questions at their end.

use super::world::{S, World};
use crate::model::*;
use crate::supervisor::event::{Action, Next, Note};
use std::time::Duration;

pub(super) fn daemon() -> ServicePolicy {
    let restart = RestartPolicy { when: Restart::No, delay: S, ..RestartPolicy::default() };
    ServicePolicy { essential: false, stop_grace: 10 * S, restart, ..ServicePolicy::default() }
}

pub(super) fn oneshot() -> ServicePolicy {
    ServicePolicy { kind: ServiceType::Oneshot, ..daemon() }
}

pub(super) fn restarting(when: Restart) -> ServicePolicy {
    ServicePolicy { restart: RestartPolicy { when, ..daemon().restart }, ..daemon() }
}

pub(super) fn essential(rules: ServicePolicy) -> ServicePolicy {
    ServicePolicy { essential: true, ..rules }
}

pub(super) fn probed() -> ServicePolicy {
    let health = HealthRules {
        interval: 10 * S,
        timeout: 3 * S,
        retries: 2,
        start_period: 20 * S,
        start_interval: S,
        on_unhealthy: OnUnhealthy::Restart,
    };
    ServicePolicy { health: Some(health), ..restarting(Restart::OnFailure) }
}

pub(super) fn needs(on: &[(u16, Condition)], rules: ServicePolicy) -> ServicePolicy {
    let edge = |(on, condition): &(u16, Condition)| Dependency {
        on: ServiceId(*on),
        condition: Some(*condition),
        required: true,
        restart: false,
        any: 0,
    };
    ServicePolicy { depends_on: on.iter().map(edge).collect(), ..rules }
}

pub(super) fn after(on: u16, rules: ServicePolicy) -> ServicePolicy {
    let edge = Dependency { on: ServiceId(on), condition: None, required: false, restart: false, any: 0 };
    ServicePolicy { depends_on: vec![edge], ..rules }
}

/// Creates a world that has begun, with all requested processes running.
pub(super) fn up(rules: Vec<ServicePolicy>) -> World {
    up_with(rules, Settings::default())
}

pub(super) fn up_with(rules: Vec<ServicePolicy>, whole: Settings) -> World {
    let mut w = World::new(rules, whole);
    w.begin();
    w.answer_all();
    w
}

pub(super) fn main_is(id: u16) -> Settings {
    Settings { main: Some(ServiceId(id)), ..Settings::default() }
}

pub(super) fn spawns(w: &World) -> Vec<u16> {
    let spawn = |a: &Action| if let Action::Spawn { service } = a { Some(service.0) } else { None };
    w.seen.iter().filter_map(spawn).collect()
}

pub(super) fn probes(w: &World) -> usize {
    w.seen.iter().filter(|a| matches!(a, Action::Probe { .. })).count()
}

pub(super) fn told(w: &World, note: Note) -> bool {
    w.notes().any(|n| *n == note)
}

pub(super) fn restarts_in(w: &World, id: u16) -> Option<Duration> {
    match w.next(id) {
        Some(Next::Restarting { delay, .. }) => Some(delay),
        _ => None,
    }
}
