//! Invariants between services, and between services and processes.

use super::invariants::rule;
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
            needs && self.is_by_hand(by) && self.core.records[by].state.is_live()
        })
    }

    /// Returns whether a waiting service waits for something, and for nothing that will never come.
    pub(super) fn waits_rightly(&self, id: ServiceId) -> bool {
        let mut blocked = false;
        for edge in &self.rules[id.index()].depends_on {
            let on = &self.core.records[edge.on];
            let retries = self.rules[edge.on.index()].health.as_ref().map_or(1, |health| health.retries);
            match (on.state, edge.condition) {
                (
                    ServiceState::Waiting
                    | ServiceState::Spawning { .. }
                    | ServiceState::Stopping(_)
                    | ServiceState::Backoff { .. },
                    _,
                ) => blocked = true,
                (ServiceState::Running { .. }, Some(Condition::Completed)) => blocked = true,
                (ServiceState::Running { ready, .. }, Some(Condition::Healthy)) => {
                    blocked |= !ready || on.failures >= retries
                }
                (ServiceState::Running { ready, .. }, None) => blocked |= !ready,
                (ServiceState::Running { .. }, Some(Condition::Started)) => {}
                (ServiceState::Down(FinalState::Success), Some(Condition::Healthy)) => {
                    if edge.required {
                        return false;
                    }
                }
                (ServiceState::Down(FinalState::Success), _) => {}
                (ServiceState::Down(FinalState::Stopped), Some(_)) if edge.required => blocked = true,
                (ServiceState::Off, _) if on.order == Order::Waits => blocked = true,
                (ServiceState::Off, _) if on.order == Order::Open => {}
                (ServiceState::Off | ServiceState::Down(_), Some(_)) if edge.required => return false,
                (ServiceState::Off | ServiceState::Down(_), _) => {}
            }
        }
        blocked
    }
}
