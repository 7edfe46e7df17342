//! Invariants between services, and between services and processes.

use super::invariants::{instead_of, rule};
use super::world::World;
use crate::model::*;
use crate::supervisor::process_table::Owner;
use crate::supervisor::service::{FinalState, Order, ProbeState, ServiceState};

impl World {
    /// Every known pid has an owner now.
    pub(super) fn check_owners(&self) -> Result<(), &'static str> {
        for (pid, owner) in self.core.pids.all() {
            let theirs = match owner {
                Owner::Leader(id) => match self.core.records[id].state {
                    ServiceState::Spawning { load: Some(load), .. } => load.pid == pid,
                    state => state.leader() == Some(pid),
                },
                Owner::Probe(id) => match self.core.records[id].probe {
                    ProbeState::Running { pid: probe, .. } | ProbeState::Killed { pid: probe, .. } => {
                        probe == pid
                    }
                    ProbeState::Off | ProbeState::Due(_) | ProbeState::Asked | ProbeState::Stale => false,
                },
                Owner::Hook(id, hook) => match self.core.records[id].state {
                    ServiceState::Spawning { load: Some(load), .. } => {
                        load.hook == Some(hook) && load.pid == pid
                    }
                    _ => self.is_awaited(id, hook, pid),
                },
            };
            rule(theirs, "a pid that is nobody's")?;
        }
        Ok(())
    }

    /// Returns whether a live service needs this one and must stop before it.
    pub(super) fn is_held(&self, id: ServiceId) -> bool {
        self.core.records.ids().any(|by| {
            let edges = &self.rules[by.index()].depends_on;
            let needs = edges.iter().any(|edge| edge.on == id && edge.required && edge.condition.is_some());
            let goes = self.is_by_hand(by) || self.wanted & (1 << by.0) != 0;
            needs && goes && self.core.records[by].state.is_live()
        })
    }

    /// Returns whether a waiting service waits for something, and for nothing that will never come.
    pub(super) fn waits_rightly(&self, id: ServiceId) -> bool {
        let mut blocked = self.core.is_held_back(id);
        let edges = &self.rules[id.index()].depends_on;
        for edge in edges {
            let all: Vec<Bond> = instead_of(edge, edges).map(|edge| self.bond(edge)).collect();
            if all.contains(&Bond::Holds) {
                continue;
            }
            let never = all.iter().all(|bond| *bond == Bond::Never);
            if never && edge.required && edge.condition.is_some() {
                return false;
            }
            blocked |= !never;
        }
        blocked
    }

    fn bond(&self, edge: &Dependency) -> Bond {
        let on = &self.core.records[edge.on];
        let retries = self.rules[edge.on.index()].health.as_ref().map_or(1, |health| health.retries);
        let holds = match (on.state, edge.condition) {
            (
                ServiceState::Waiting
                | ServiceState::Scheduled { .. }
                | ServiceState::Spawning { .. }
                | ServiceState::Stopping(_)
                | ServiceState::Finishing(_)
                | ServiceState::Backoff { .. },
                _,
            ) => false,
            (ServiceState::Running { .. }, _) if on.tenure.goes() => false,
            (ServiceState::Running { .. }, Some(Condition::Completed)) => false,
            (ServiceState::Running { ready, .. }, Some(Condition::Healthy)) => ready && on.failures < retries,
            (ServiceState::Listening { .. }, Some(Condition::Completed | Condition::Healthy)) => false,
            (ServiceState::Listening { .. }, Some(Condition::Started) | None) => true,
            (ServiceState::Running { ready, .. }, None) => ready,
            (ServiceState::Running { .. }, Some(Condition::Started)) => {
                on.pending.is_none() && self.has_reported(edge.on)
            }
            (ServiceState::Down(FinalState::Success), Some(Condition::Healthy)) => return Bond::Never,
            (ServiceState::Down(FinalState::Success), _) => true,
            (ServiceState::Down(FinalState::Stopped), Some(_)) if edge.required => false,
            (ServiceState::Off, _) if on.order == Order::Waits => false,
            (ServiceState::Off, _) if on.order == Order::Open => true,
            (ServiceState::Off | ServiceState::Down(_), _) => return Bond::Never,
        };
        if holds { Bond::Holds } else { Bond::Waits }
    }
}

/// What a dependency means for its dependent now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bond {
    Holds,
    Waits,
    Never,
}
