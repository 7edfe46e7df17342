//! Who waits for what, told when nothing else has been told for a while, and again after ever longer times.

use super::event::Note;
use super::service::ServiceState;
use super::shutdown::Phase;
use super::{Step, Supervisor, faulty};
use crate::model::{Condition, Moment, ServiceId};
use std::time::Duration;

/// How long nothing has been told before a wait is.
const SILENCE: Duration = Duration::from_secs(10);

/// The longest time between two such lines.
const MAX_INTERVAL: Duration = Duration::from_secs(600);

/// When waits are told. Only while something waits is it a reason to wake up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// When anything was told last.
    said: Moment,
    next: Moment,
    interval: Duration,
}

/// A service that waits for another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wait {
    /// Which.
    pub service: ServiceId,
    /// For which one, which does not wait itself.
    pub on: ServiceId,
    /// Until it has reached this; `None`: it is ready, if it starts at all.
    pub condition: Option<Condition>,
    /// For so long.
    pub span: Duration,
}

impl Supervisor {
    /// Every service that waits for one that does not wait itself.
    pub fn waits(&self, now: Moment) -> impl Iterator<Item = Wait> {
        let waiting = self.records.ids().filter(|id| self.records[*id].state == ServiceState::Waiting);
        waiting.filter_map(move |service| {
            let record = &self.records[service];
            let edge = self.graph.depends_on[service].get(record.blocker())?;
            let waits_itself =
                matches!(self.records[edge.on].state, ServiceState::Waiting | ServiceState::Off);
            let wait = Wait {
                service,
                on: edge.on,
                condition: edge.condition,
                span: now.since(record.waiting_since),
            };
            (!waits_itself).then_some(wait)
        })
    }

    /// Every service that has been asked to stop, and how long it has until it is killed; `None`: it was.
    pub fn stops(&self, now: Moment) -> impl Iterator<Item = (ServiceId, Option<Duration>)> {
        self.records.ids().filter_map(move |id| match self.records[id].state {
            ServiceState::Stopping(ending) => {
                let due = self.stop.kill_at.map_or(ending.due, |at| at.min(ending.due));
                Some((id, (!ending.killed).then(|| due.since(now))))
            }
            ServiceState::Off
            | ServiceState::Waiting
            | ServiceState::Spawning { .. }
            | ServiceState::Running { .. }
            | ServiceState::Backoff { .. }
            | ServiceState::Down(_) => None,
        })
    }

    /// When a wait is to be told, if there is one.
    pub(super) fn progress_due(&self) -> Option<Moment> {
        let count = match self.phase {
            Phase::Up => self.waiting,
            Phase::Stopping => self.stopping,
            Phase::New | Phase::Sweeping { .. } | Phase::Halted => 0,
        };
        (count > 0).then(|| self.progress.next.max(self.progress.said.after(SILENCE)))
    }
}

impl Step<'_> {
    /// A wait begins.
    pub(super) fn begin_wait(&mut self) {
        self.core.progress.next = self.now.after(SILENCE);
        self.core.progress.interval = SILENCE;
    }

    /// Something is told.
    pub(super) fn end_silence(&mut self, note: Note) {
        let is_shown = !matches!(note, Note::Forwarded { .. } | Note::Sweeping { .. });
        if is_shown {
            self.core.progress.said = self.now;
        }
    }

    /// Nothing was told for a while, and something waits.
    pub(super) fn tell_progress(&mut self) {
        if faulty!(self.core, SilentWait) {
            self.begin_wait();
            return;
        }
        let longer = (self.core.progress.interval * 2).min(MAX_INTERVAL);
        self.core.progress.interval = longer;
        self.core.progress.next = self.now.after(longer);
        self.tell(if self.core.is_stopping() { Note::StillStopping } else { Note::StillWaiting });
    }
}
