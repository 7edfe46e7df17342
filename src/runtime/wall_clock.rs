//! The wall clock, for services that are started by it.

use super::EventLoop;
use crate::model::Moment;
use crate::supervisor::event::Event;
use crate::sys::event::clock;
use crate::sys::event::wall_timer::WallTimer;
use std::os::fd::RawFd;

/// The clock may be set again and again; after so many times in a row the rest of the loop has its turn.
const MAX_SETTINGS: u8 = 3;

/// The timer, and what it is set to.
pub(super) struct WallClock {
    pub(super) timer: WallTimer,
    due: Option<i64>,
}

impl EventLoop {
    /// Tells the supervisor the wall clock if it wants to know it at another time than it did.
    pub(super) fn follow_wall_clock(&mut self) {
        let due = self.runtime.core.wall_deadline();
        if due.is_none() {
            self.wall_clock = None;
        } else if self.wall_clock.as_ref().is_none_or(|clock| clock.due != due) {
            self.wall_clock.get_or_insert_with(|| WallClock { timer: WallTimer::new(), due: None });
            self.tell_wall_clock();
        }
    }

    /// Tells the supervisor the wall clock, and waits for the time that it names.
    pub(super) fn tell_wall_clock(&mut self) {
        for _ in 0..MAX_SETTINGS {
            self.step(Event::WallClock { at: clock::calendar().0.cast_signed() });
            let due = self.runtime.core.wall_deadline();
            let Some(clock) = &mut self.wall_clock else { return };
            let is_set = clock.timer.set(due);
            clock.due = due.filter(|_| is_set);
            if is_set {
                return;
            }
        }
    }

    /// Returns the descriptor that is readable once it is time.
    pub(super) fn wall_descriptor(&self) -> Option<RawFd> {
        self.wall_clock.as_ref()?.timer.descriptor()
    }

    /// Returns when to look at the clock, if there is no such descriptor.
    pub(super) fn wall_look(&self) -> Option<Moment> {
        self.wall_clock.as_ref()?.timer.deadline()
    }
}
