//! The invariants of a process that has not loaded its program.

use super::invariants::rule;
use super::world::{S, World};
use crate::model::*;
use crate::supervisor::event::Event;
use crate::supervisor::service::Load;

impl World {
    /// It is a leader until it is given up, and no longer than it may take.
    pub(super) fn check_load(&self, id: ServiceId, load: Load, event: Event) -> Result<(), &'static str> {
        let group = self.groups.get(&load.pid).ok_or("what loads is gone")?;
        rule(
            group.leader && group.probe == load.hook.is_some() && group.hook == load.hook,
            "what loads is dead",
        )?;
        rule(group.killed == load.killed.is_some(), "killed or not?")?;
        rule(!self.stopping || group.killed, "a start that a stop waits for")?;
        let most = match load.hook {
            // Another set may have another limit for the next one.
            Some(_) => 20 * S,
            None => self.rules[id.index()].start_timeout.unwrap_or(300 * S),
        };
        let over = event == Event::Tick && load.since.after(most) <= self.now;
        rule(!over || group.killed, "a start that is never given up")
    }
}
