//! Checks process groups whose leader is gone. The kernel does not notify rinit when the last member ends and is
//! reaped by another parent, so groups are checked after each reaped child, and periodically while there are any.

use super::EventLoop;
use crate::model::{Moment, Pid, ServiceId};
use crate::supervisor::event::Event;
use crate::supervisor::{ServiceStatus, Supervisor};
use std::collections::VecDeque;
use std::time::Duration;

/// Bounds of the pause between two checks; it doubles each time.
const MIN_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// The groups to check, one by one.
#[derive(Default)]
pub(super) struct GroupLooks {
    queue: VecDeque<(ServiceId, Pid)>,
    /// When the next check is due; `None`: no groups.
    due: Option<Moment>,
    pause: Duration,
}

impl GroupLooks {
    /// Returns when the next check is due.
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.due
    }

    /// Starts a check of all groups; it includes those left over from the last check.
    pub(super) fn look(&mut self, core: &Supervisor, now: fn() -> Moment) {
        self.queue.clear();
        self.queue.extend(core.lingering());
        if self.queue.is_empty() {
            (self.due, self.pause) = (None, Duration::ZERO);
            return;
        }
        let now = now();
        if self.due.is_none_or(|due| due <= now) {
            self.pause = (self.pause * 2).clamp(MIN_PAUSE, MAX_PAUSE);
            self.due = Some(now.after(self.pause));
        }
    }

    /// Returns the next group of this check: its service and the pid of its former leader.
    pub(super) fn next(&mut self) -> Option<(ServiceId, Pid)> {
        self.queue.pop_front()
    }
}

impl EventLoop {
    /// Checks one group whose leader is gone; returns false if none is left to check.
    pub(super) fn look_at_group(&mut self) -> bool {
        let Some((service, leader)) = self.groups.next() else { return false };
        let status = self.runtime.core.state_of(service);
        let is_current = matches!(status, ServiceStatus::Stopping { pid, .. } if pid == leader);
        if is_current && !self.runtime.core.knows(leader) && !self.is_left(leader) {
            self.step(Event::GroupGone { service });
        }
        true
    }
}
