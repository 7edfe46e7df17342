//! Looks at process groups whose leader is gone: the kernel tells nobody when the last member of one ends that a parent
//! outside of rinit reaps, so they are looked at after each child of rinit's, and from time to time while there are any.

use crate::model::{Moment, Pid, ServiceId};
use crate::supervisor::Supervisor;
use std::collections::VecDeque;
use std::time::Duration;

/// The pauses between two looks, each twice as long as the one before.
const MIN_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// The groups that are to be looked at, one by one.
#[derive(Default)]
pub(super) struct GroupLooks {
    queue: VecDeque<(ServiceId, Pid)>,
    /// When they are looked at next; `None` when none is there.
    due: Option<Moment>,
    pause: Duration,
}

impl GroupLooks {
    /// When the next look is due.
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.due
    }

    /// Begins to look at all there are. Those that are left of a look before are among them.
    pub(super) fn look(&mut self, core: &Supervisor, now: Moment) {
        self.queue.clear();
        self.queue.extend(core.lingering());
        let overdue = self.due.is_none_or(|due| due <= now);
        if self.queue.is_empty() {
            (self.due, self.pause) = (None, Duration::ZERO);
        } else if overdue {
            self.pause = (self.pause * 2).clamp(MIN_PAUSE, MAX_PAUSE);
            self.due = Some(now.after(self.pause));
        }
    }

    /// The next group of this look: its service, and the number that its leader had.
    pub(super) fn next(&mut self) -> Option<(ServiceId, Pid)> {
        self.queue.pop_front()
    }
}
