//! When two states of the world are equal.

use super::world::{NOON, World};
use crate::model::*;
use crate::supervisor::hooks::HookState;
use crate::supervisor::service::{Ended, ProbeState, ServiceState, Stopping};
use crate::supervisor::shutdown::Phase;
use std::hash::{Hash, Hasher};
use std::time::Duration;

impl World {
    /// Sets the clock back to noon: states that differ only in time are equal. Moments longer ago than `memory` are
    /// clamped to it.
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
                ServiceState::Backoff { until } | ServiceState::Scheduled { start: Some(until) } => {
                    shift(until)
                }
                ServiceState::Listening { not_before } => not_before.iter_mut().for_each(shift),
                ServiceState::Stopping(ending) => shift_ending(ending, &shift),
                ServiceState::Finishing(Ended::Run(ending, _)) => {
                    shift_ending(ending, &shift);
                    ending.due = Moment(NOON); // It is over.
                }
                ServiceState::Spawning { load: Some(load), .. } => {
                    [&mut load.since, &mut load.due].into_iter().for_each(shift);
                }
                ServiceState::Off
                | ServiceState::Waiting
                | ServiceState::Scheduled { start: None }
                | ServiceState::Spawning { load: None, .. }
                | ServiceState::Finishing(Ended::Start { .. } | Ended::Unstarted)
                | ServiceState::Down(_) => {}
            }
            match &mut core.records[id].probe {
                ProbeState::Due(at)
                | ProbeState::Running { until: at, .. }
                | ProbeState::Killed { again: at, .. } => shift(at),
                ProbeState::Off | ProbeState::Asked | ProbeState::Stale => {}
            }
        }
        for row in core.reports.rows_mut() {
            let moments = [&mut row.reloading, &mut row.extended, &mut row.alive_until];
            moments.into_iter().flatten().chain([&mut row.since]).for_each(shift);
        }
        for run in &mut core.hooks {
            shift(&mut run.since);
            if let HookState::Running { tell, until, .. } = &mut run.state {
                [tell, until].into_iter().filter(|at| at.0 < u64::MAX).for_each(shift);
            }
        }
        self.hooks.started_at.iter_mut().flatten().for_each(|(at, _)| shift(at));
        self.alive.iter_mut().for_each(shift);
        if let Phase::Sweeping { due, .. } = &mut core.phase {
            shift(due);
        }
        core.set_timers();
        core.rolling.iter_mut().filter_map(|rolling| rolling.due.as_mut()).for_each(shift);
        core.stop.moments().into_iter().flatten().for_each(shift);
        self.interrupted.iter_mut().for_each(shift);
        self.demand.not_before.iter_mut().for_each(shift);
        shift(&mut self.said);
        self.now = Moment(NOON);
    }

    pub fn key(&self) -> u64 {
        let mut hash = Mix::default();
        let core = &self.core;
        (core.records.rows(), &core.pids, core.phase, core.stop, core.code, &core.pending, core.unused)
            .hash(&mut hash);
        (self.by_hand, self.alone, &core.bonds, &core.rolling, self.rolling, self.rolls, self.stand_in)
            .hash(&mut hash);
        (self.notified, self.followed, self.rewatched, &core.reports).hash(&mut hash);
        (self.hooks.owed, self.hooks.post_started, self.hooks.prepared, &core.hooks).hash(&mut hash);
        (self.hooks.checked, self.hooks.passed).hash(&mut hash);
        (&core.lingering, &self.groups, &self.asks, &self.known, self.halted, self.now).hash(&mut hash);
        hash.finish()
    }
}

fn shift_ending(ending: &mut Stopping, shift: &dyn Fn(&mut Moment)) {
    [&mut ending.since, &mut ending.due].into_iter().for_each(shift);
    ending.asked = Moment(NOON); // Only ever told.
    if let Some((_, at)) = &mut ending.leader {
        shift(at);
    }
}

/// A hash that is fast without optimisation; its two halves give a million states distinct keys.
#[derive(Default)]
struct Mix(u64, u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        (self.0 ^ self.1.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        self.1 = (self.1 ^ word.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31);
    }

    fn write_u8(&mut self, word: u8) {
        self.write_u64(u64::from(word));
    }

    fn write_u16(&mut self, word: u16) {
        self.write_u64(u64::from(word));
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn write_i32(&mut self, word: i32) {
        self.write_u64(u64::from(word.cast_unsigned()));
    }

    fn write_isize(&mut self, word: isize) {
        self.write_u64(word.cast_unsigned() as u64);
    }
}
