//! Rolling restarts: services are restarted one after the other, each when the one before is ready again. One that does
//! not get ready ends the roll, and those behind it run on as they are.
//!
//! With `order = "start-first"` a stand-in is started before: another process of the same program, in a slot of its own,
//! as of a reload. Only when that is ready the service is restarted, and when it is ready again, the stand-in is stopped.
//! If the service does not come back, the stand-in serves until it does.

use super::event::{Action, ControlOrder, Note, StopReason};
use super::reload::{Change, Slot};
use super::service::{FinalState, ProbeState, ServiceState, Tenure};
use super::shutdown::Phase;
use super::{Step, Supervisor, faulty};
use crate::model::{Moment, Restart, RestartPolicy, ServiceId, ServicePolicy, ServiceType};
use std::collections::VecDeque;

/// A rolling restart that is under way.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Rolling {
    /// Those whose turn is to come.
    queue: VecDeque<ServiceId>,
    /// Whose turn it is.
    turn: Option<RollTurn>,
    /// When that one has run long enough.
    pub(super) due: Option<Moment>,
}

/// The turn of one service.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct RollTurn {
    service: ServiceId,
    stand_in: Option<ServiceId>,
    stage: RollStage,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum RollStage {
    /// The stand-in is to get ready.
    Prepare,
    /// The service is to get ready.
    Restart,
    /// The service did not get ready: the stand-in serves until it does.
    Mend,
    /// The stand-in is to be gone.
    Finish,
}

/// What has become of a service that is to get ready.
enum RollVerdict {
    /// It is on its way, or has to run until then.
    Wait(Option<Moment>),
    /// It runs, and is ready.
    Ready,
    /// It is down, or unhealthy.
    Failed,
}

impl Supervisor {
    /// Returns the service whose turn it is in a rolling restart, if one is under way.
    #[must_use]
    pub fn rolls(&self) -> Option<ServiceId> {
        let turn = self.rolling.as_ref()?.turn?;
        matches!(turn.stage, RollStage::Prepare | RollStage::Restart).then_some(turn.service)
    }

    /// Returns when the rolling restart goes on, if only time is missing.
    pub(super) fn roll_due(&self) -> Option<Moment> {
        self.rolling.as_ref()?.due
    }

    /// Returns the stand-in of a turn, as long as there is one: a reload may have removed it.
    fn stand_in(&self, turn: RollTurn) -> Option<ServiceId> {
        turn.stand_in.filter(|slot| self.records[*slot].tenure == Tenure::StandIn)
    }

    /// Returns a slot for a stand-in.
    fn free_slot(&self) -> Option<ServiceId> {
        let is_free = |id: &ServiceId| self.is_vacant(*id) && self.records[*id].probe == ProbeState::Off;
        let new = || u16::try_from(self.slot_count()).ok().map(ServiceId);
        self.records.ids().find(is_free).or_else(new)
    }
}

impl Step<'_> {
    /// Queues a service for a rolling restart, which begins at the end of this step.
    pub(super) fn roll_by_hand(&mut self, id: ServiceId) {
        if self.core.records[id].tenure == Tenure::StandIn {
            return;
        }
        let rolling = self.core.rolling.get_or_insert_default();
        if let Some(turn) = rolling.turn.as_mut().filter(|turn| turn.stage == RollStage::Mend) {
            turn.stage = RollStage::Finish;
        }
        let is_its_turn = rolling.turn.is_some_and(|turn| {
            turn.service == id && matches!(turn.stage, RollStage::Prepare | RollStage::Restart)
        });
        if !is_its_turn && !rolling.queue.contains(&id) {
            rolling.queue.push_back(id);
        }
    }

    /// Goes on with a rolling restart as far as that is possible now.
    pub(super) fn roll(&mut self) {
        if self.core.phase != Phase::Up {
            self.core.rolling = None;
        }
        while let Some(rolling) = &mut self.core.rolling {
            rolling.due = None;
            let Some(turn) = rolling.turn else {
                match rolling.queue.pop_front() {
                    // A reload may have removed it.
                    Some(next) if self.core.is_vacant(next) || self.core.is_leaving(next) => {}
                    Some(next) => self.begin_turn(next),
                    None => self.core.rolling = None,
                }
                continue;
            };
            let goes_on = match turn.stage {
                RollStage::Prepare => self.prepare(turn),
                RollStage::Restart => self.await_restart(turn),
                RollStage::Mend => self.mend(turn),
                RollStage::Finish => self.finish_turn(turn),
            };
            if !goes_on {
                return;
            }
        }
    }

    fn set_turn(&mut self, turn: Option<RollTurn>) {
        if let Some(rolling) = &mut self.core.rolling {
            rolling.turn = turn;
        }
    }

    fn begin_turn(&mut self, id: ServiceId) {
        let runs = matches!(self.core.records[id].state, ServiceState::Running { .. });
        let is_main = self.core.whole.main == Some(id);
        let rules = &self.core.rules[id];
        let starts_first = rules.update.start_first && rules.kind == ServiceType::Daemon && runs && !is_main;
        match self.core.free_slot().filter(|_| starts_first) {
            Some(slot) => {
                let stage = RollStage::Prepare;
                self.set_turn(Some(RollTurn { service: id, stand_in: Some(slot), stage }));
                self.start_stand_in(id, slot);
            }
            None => self.restart(RollTurn { service: id, stand_in: None, stage: RollStage::Restart }),
        }
    }

    /// Starts another process of a service, which is never restarted and ends nothing.
    fn start_stand_in(&mut self, id: ServiceId, slot: ServiceId) {
        let mut slots = self.core.slots();
        let Some(own) = slots.get(id.index()).map(|own| own.policy.clone()) else { return };
        let restart = RestartPolicy { when: Restart::No, max_attempts: Some(0), ..own.restart };
        let policy = ServicePolicy {
            enabled: true,
            essential: false,
            on_demand: false,
            schedule: None,
            restart,
            ..own
        };
        let new = Slot { policy, change: Change::Add };
        match slots.get_mut(slot.index()) {
            Some(vacant) => *vacant = new,
            None => slots.push(new),
        }
        self.act(Action::StandIn { service: id, slot });
        self.replace(slots);
        self.core.records[slot].tenure = Tenure::StandIn;
        self.spread();
    }

    fn restart(&mut self, turn: RollTurn) {
        self.set_turn(Some(RollTurn { stage: RollStage::Restart, ..turn }));
        self.start_by_hand(turn.service, ControlOrder::Roll);
        self.spread();
    }

    fn prepare(&mut self, turn: RollTurn) -> bool {
        let verdict = match self.core.stand_in(turn) {
            Some(slot) if !self.is_given_up(turn.service) => self.verdict(slot),
            _ => RollVerdict::Failed,
        };
        match verdict {
            RollVerdict::Wait(due) if !faulty!(self.core, StopFirst) => return self.wait_until(due),
            RollVerdict::Wait(_) | RollVerdict::Ready => self.restart(turn),
            RollVerdict::Failed => {
                self.tell_failed(turn.service, true);
                self.set_turn(Some(RollTurn { stage: RollStage::Finish, ..turn }));
            }
        }
        true
    }

    fn await_restart(&mut self, turn: RollTurn) -> bool {
        let id = turn.service;
        let verdict = if self.is_given_up(id) { RollVerdict::Failed } else { self.verdict(id) };
        let stage = match verdict {
            RollVerdict::Wait(due) => return self.wait_until(due),
            RollVerdict::Ready => {
                self.tell(Note::Rolled { service: id });
                RollStage::Finish
            }
            RollVerdict::Failed => {
                self.tell_failed(id, false);
                RollStage::Mend
            }
        };
        self.set_turn(Some(RollTurn { stage, ..turn }));
        true
    }

    fn mend(&mut self, turn: RollTurn) -> bool {
        if self.core.stand_in(turn).is_some() && !self.is_given_up(turn.service) {
            match self.verdict(turn.service) {
                RollVerdict::Wait(due) => return self.wait_until(due),
                RollVerdict::Failed => return self.wait_until(None),
                RollVerdict::Ready => {}
            }
        }
        self.set_turn(Some(RollTurn { stage: RollStage::Finish, ..turn }));
        true
    }

    /// Stops the stand-in; the turn ends when it is gone.
    fn finish_turn(&mut self, turn: RollTurn) -> bool {
        let Some(slot) = self.core.stand_in(turn).filter(|_| !faulty!(self.core, KeepStandIn)) else {
            self.set_turn(None);
            return true;
        };
        let state = self.core.records[slot].state;
        if let ServiceState::Running { .. } = state {
            self.stop(slot, StopReason::Rolled);
        } else if let ServiceState::Spawning { disturbed, load: Some(load) } = state {
            self.kill_load(slot, disturbed, load, StopReason::Rolled);
        } else if !state.is_live() {
            self.left(slot);
            self.spread();
            return true;
        }
        false
    }

    fn wait_until(&mut self, due: Option<Moment>) -> bool {
        if let Some(rolling) = &mut self.core.rolling {
            rolling.due = due;
        }
        false
    }

    /// The roll ends here. `kept`: the old process runs on.
    fn tell_failed(&mut self, service: ServiceId, kept: bool) {
        let goes_on = faulty!(self.core, RollOn);
        let Some(rolling) = &mut self.core.rolling else { return };
        let left = rolling.queue.len();
        if !goes_on {
            rolling.queue.clear();
        }
        self.tell(Note::RollFailed { service, left, kept });
    }

    /// Returns whether somebody has stopped it meanwhile, or a reload removes it.
    fn is_given_up(&self, id: ServiceId) -> bool {
        self.core.records[id].by_hand || self.core.records[id].tenure.ends() || self.core.is_vacant(id)
    }

    fn verdict(&self, id: ServiceId) -> RollVerdict {
        let (record, rules) = (&self.core.records[id], &self.core.rules[id]);
        match record.state {
            ServiceState::Running { .. } if self.is_unhealthy(id) => RollVerdict::Failed,
            ServiceState::Running { since, ready: true, .. } if rules.kind == ServiceType::Daemon => {
                let due = since.after(rules.update.monitor);
                if rules.health.is_some() || rules.readiness.is_some() || due <= self.now {
                    RollVerdict::Ready
                } else {
                    RollVerdict::Wait(Some(due))
                }
            }
            ServiceState::Running { .. }
            | ServiceState::Waiting
            | ServiceState::Spawning { .. }
            | ServiceState::Stopping(_)
            | ServiceState::Finishing(_)
                if faulty!(self.core, RollAhead) =>
            {
                RollVerdict::Ready
            }
            ServiceState::Running { .. }
            | ServiceState::Waiting
            | ServiceState::Spawning { .. }
            | ServiceState::Stopping(_)
            | ServiceState::Finishing(_) => RollVerdict::Wait(None),
            // It is started by the next connection.
            ServiceState::Listening { .. } => RollVerdict::Ready,
            ServiceState::Down(FinalState::Success) if rules.kind == ServiceType::Oneshot => {
                RollVerdict::Ready
            }
            // Its run is over.
            ServiceState::Scheduled { .. } if self.core.last_run(id) != Some(false) => RollVerdict::Ready,
            ServiceState::Scheduled { .. }
            | ServiceState::Backoff { .. }
            | ServiceState::Down(_)
            | ServiceState::Off => RollVerdict::Failed,
        }
    }
}
