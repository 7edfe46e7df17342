//! Rolling restarts: services are restarted one after the other, each when the one before is ready again. One that does
//! not get ready ends the roll, and those behind it run on as they are.

use super::event::{ControlOrder, Note};
use super::service::{FinalState, ServiceState};
use super::shutdown::Phase;
use super::{Step, Supervisor, faulty};
use crate::model::{Moment, ServiceId, ServiceType};
use std::collections::VecDeque;
use std::time::Duration;

/// How long a service without a healthcheck or `notify` must have run before the next one is restarted.
const MONITOR: Duration = Duration::from_secs(1);

/// A rolling restart that is under way.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Rolling {
    /// Those whose turn is to come.
    queue: VecDeque<ServiceId>,
    /// Whose turn it is.
    turn: Option<ServiceId>,
    /// When that one has run long enough.
    pub(super) due: Option<Moment>,
}

/// What has become of the service whose turn it is.
enum Verdict {
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
        self.rolling.as_ref().and_then(|rolling| rolling.turn)
    }

    /// Returns when the rolling restart goes on, if only time is missing.
    pub(super) fn roll_due(&self) -> Option<Moment> {
        self.rolling.as_ref()?.due
    }
}

impl Step<'_> {
    /// Queues a service for a rolling restart, which begins at the end of this step.
    pub(super) fn roll_by_hand(&mut self, id: ServiceId) {
        let rolling = self.core.rolling.get_or_insert_default();
        if rolling.turn != Some(id) && !rolling.queue.contains(&id) {
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
            let left = rolling.queue.len();
            let Some(id) = rolling.turn else {
                match rolling.queue.pop_front() {
                    // A reload may have removed it.
                    Some(next) if self.core.is_vacant(next) || self.core.is_leaving(next) => {}
                    Some(next) => self.begin_turn(next),
                    None => self.core.rolling = None,
                }
                continue;
            };
            match self.verdict(id) {
                Verdict::Wait(due) => {
                    if let Some(rolling) = &mut self.core.rolling {
                        rolling.due = due;
                    }
                    return;
                }
                Verdict::Ready => {
                    self.end_turn();
                    self.tell(Note::Rolled { service: id });
                }
                Verdict::Failed if faulty!(self.core, RollOn) => self.end_turn(),
                Verdict::Failed => {
                    self.core.rolling = None;
                    self.tell(Note::RollFailed { service: id, left });
                }
            }
        }
    }

    fn begin_turn(&mut self, id: ServiceId) {
        if let Some(rolling) = &mut self.core.rolling {
            rolling.turn = Some(id);
        }
        self.start_by_hand(id, ControlOrder::Roll);
        self.spread();
    }

    fn end_turn(&mut self) {
        if let Some(rolling) = &mut self.core.rolling {
            rolling.turn = None;
        }
    }

    fn verdict(&self, id: ServiceId) -> Verdict {
        let (record, rules) = (&self.core.records[id], &self.core.rules[id]);
        if record.by_hand || record.tenure.ends() {
            return Verdict::Failed;
        }
        match record.state {
            ServiceState::Running { .. } if self.is_unhealthy(id) => Verdict::Failed,
            ServiceState::Running { since, ready: true, .. } if rules.kind == ServiceType::Daemon => {
                let due = since.after(MONITOR);
                if rules.health.is_some() || rules.readiness.is_some() || due <= self.now {
                    Verdict::Ready
                } else {
                    Verdict::Wait(Some(due))
                }
            }
            ServiceState::Running { .. }
            | ServiceState::Waiting
            | ServiceState::Spawning { .. }
            | ServiceState::Stopping(_)
            | ServiceState::Finishing(_)
                if faulty!(self.core, RollAhead) =>
            {
                Verdict::Ready
            }
            ServiceState::Running { .. }
            | ServiceState::Waiting
            | ServiceState::Spawning { .. }
            | ServiceState::Stopping(_)
            | ServiceState::Finishing(_) => Verdict::Wait(None),
            // It is started by the next connection.
            ServiceState::Listening { .. } => Verdict::Ready,
            ServiceState::Down(FinalState::Success) if rules.kind == ServiceType::Oneshot => Verdict::Ready,
            // Its run is over.
            ServiceState::Scheduled { .. } if self.core.last_run(id) != Some(false) => Verdict::Ready,
            ServiceState::Scheduled { .. }
            | ServiceState::Backoff { .. }
            | ServiceState::Down(_)
            | ServiceState::Off => Verdict::Failed,
        }
    }
}
