//! When two states of the world are the same.

use super::world::{NOON, World};
use crate::model::*;
use crate::supervisor::service::{ProbeState, ServiceState};
use crate::supervisor::shutdown::Phase;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

impl World {
    /// Set the clock back to noon: two states are the same when they differ by the time alone.
    /// What is longer ago than `memory` is that long ago.
    pub fn rebase(&mut self, memory: Duration) {
        let now = self.now.0;
        let memory = u64::try_from(memory.as_nanos()).unwrap();
        let shift = |at: &mut Moment| {
            let past = now.saturating_sub(at.0).min(memory);
            *at = Moment(NOON + at.0.saturating_sub(now) - past);
        };
        let core = &mut self.core;
        for id in core.records.ids() {
            core.records[id].waiting_since = Moment(NOON); // Only ever told.
            match &mut core.records[id].state {
                ServiceState::Running { since, .. } => shift(since),
                ServiceState::Backoff { until } => shift(until),
                ServiceState::Stopping(ending) => {
                    [&mut ending.since, &mut ending.due].into_iter().for_each(shift);
                    ending.asked = Moment(NOON); // Only ever told.
                    if let Some((_, at)) = &mut ending.leader {
                        shift(at);
                    }
                }
                ServiceState::Spawning { load: Some(load), .. } => {
                    [&mut load.since, &mut load.due].into_iter().for_each(shift);
                }
                ServiceState::Off
                | ServiceState::Waiting
                | ServiceState::Spawning { load: None, .. }
                | ServiceState::Down(_) => {}
            }
            match &mut core.records[id].probe {
                ProbeState::Due(at)
                | ProbeState::Running { until: at, .. }
                | ProbeState::Killed { again: at, .. } => shift(at),
                ProbeState::Off | ProbeState::Asked | ProbeState::Stale => {}
            }
        }
        if let Phase::Sweeping { due, .. } = &mut core.phase {
            shift(due);
        }
        core.stop.moments().into_iter().flatten().for_each(shift);
        self.interrupted.iter_mut().for_each(shift);
        shift(&mut self.said);
        self.now = Moment(NOON);
    }

    pub fn key(&self) -> u64 {
        let mut hash = DefaultHasher::new();
        let core = &self.core;
        (&core.records, &core.pids, core.phase, core.stop, core.code, &core.pending, core.unused)
            .hash(&mut hash);
        (self.by_hand, self.alone).hash(&mut hash);
        (&core.lingering, &self.groups, &self.asks, &self.known, self.halted, self.now).hash(&mut hash);
        hash.finish()
    }
}
