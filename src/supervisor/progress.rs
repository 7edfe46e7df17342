//! Reports who waits for what when nothing else was reported for a while; repeats at growing intervals.

use super::event::Note;
use super::service::ServiceState;
use super::shutdown::Phase;
use super::{Step, Supervisor, faulty};
use crate::model::{Condition, Moment, ServiceId};
use std::time::Duration;

/// How long to stay silent before a wait is reported.
const SILENCE: Duration = Duration::from_secs(10);

/// The longest interval between two such reports.
const MAX_INTERVAL: Duration = Duration::from_secs(600);

/// When to report waits. Causes wake-ups only while something waits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// When anything was last reported.
    said: Moment,
    next: Moment,
    interval: Duration,
}

/// A service that waits for another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wait {
    /// The waiting service.
    pub service: ServiceId,
    /// The service it waits for, which does not wait itself.
    pub on: ServiceId,
    /// The state it waits for; `None`: ready, if it starts at all.
    pub condition: Option<Condition>,
    /// How long it has waited.
    pub span: Duration,
}

impl Supervisor {
    /// Returns every service that waits for one that does not wait itself.
    pub fn waits(&self, now: Moment) -> impl Iterator<Item = Wait> {
        let waiting = self.records.ids().filter(|id| self.records[*id].state == ServiceState::Waiting);
        waiting.filter_map(move |service| {
            let record = &self.records[service];
            let edge = self.graph.depends_on[service].get(record.blocker())?;
            let waits_itself = self.records[edge.on].state.is_waiting_or_off();
            let wait = Wait {
                service,
                on: edge.on,
                condition: edge.condition,
                span: now.since(record.waiting_since),
            };
            (!waits_itself).then_some(wait)
        })
    }

    /// Returns every stopping service and the time until it is killed; `None`: it was killed already.
    pub fn stops(&self, now: Moment) -> impl Iterator<Item = (ServiceId, Option<Duration>)> {
        self.records.ids().filter_map(move |id| match self.records[id].state {
            ServiceState::Stopping(ending) => {
                let due = self.stop.kill_at.map_or(ending.due, |at| at.min(ending.due));
                Some((id, (!ending.killed).then(|| due.since(now))))
            }
            // Its hook is killed then.
            ServiceState::Finishing(_) => Some((id, self.hook_due_at(id).map(|due| due.since(now)))),
            ServiceState::Off
            | ServiceState::Waiting
            | ServiceState::Scheduled { .. }
            | ServiceState::Spawning { .. }
            | ServiceState::Running { .. }
            | ServiceState::Backoff { .. }
            | ServiceState::Listening { .. }
            | ServiceState::Down(_) => None,
        })
    }

    /// Returns when the next report is due, if anything waits.
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
    /// A wait begins: restart the timer.
    pub(super) fn begin_wait(&mut self) {
        self.core.progress.next = self.now.after(SILENCE);
        self.core.progress.interval = SILENCE;
    }

    /// Something was reported: restart the timer.
    pub(super) fn end_silence(&mut self, note: Note) {
        let is_shown = !matches!(note, Note::Forwarded { .. } | Note::Sweeping { .. });
        if is_shown {
            self.core.progress.said = self.now;
        }
    }

    /// Reports the waits: nothing else was reported for a while.
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
