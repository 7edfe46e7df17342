//! What the world knows of what services report on themselves, and what must hold of it.

use super::invariants::rule;
use super::world::{Ask, Group, Known, World};
use crate::model::*;
use crate::supervisor::event::{Event, SelfReport};
use std::time::Duration;

impl World {
    /// A service reports on itself.
    pub fn report(&mut self, id: u16, report: SelfReport) {
        self.feed(Event::Notified { service: ServiceId(id), report });
    }

    /// The main process of a running service is another one from now on.
    pub fn change_main(&mut self, id: u16) -> Pid {
        let (old, pid) = (self.pid(id), self.free_pid());
        let group = self.groups.get_mut(&old).unwrap();
        let new = Group { members: false, ..*group };
        group.given_up = true;
        self.groups.insert(pid, new);
        self.feed(Event::MainPid { service: ServiceId(id), pid });
        pid
    }

    /// The main process of a service is looked for, once its first process has put it into the background.
    pub(super) fn check_follow(&mut self, service: ServiceId, pid: Pid) -> Result<(), &'static str> {
        let forks = self.rules[service.index()].readiness.as_ref().is_some_and(|rules| rules.forks);
        rule(forks && !self.stopping, "nobody is to be followed")?;
        rule(self.followed & (1 << service.0) == 0, "followed twice")?;
        self.asks.push(Ask::Spawn(service));
        // What is left of the group is the shell's.
        self.groups.get_mut(&pid).into_iter().for_each(|group| group.given_up = true);
        Ok(())
    }

    /// Returns whether a service that runs has reported what its dependents wait for.
    pub(super) fn has_reported(&self, id: ServiceId) -> bool {
        let bit = 1 << id.0;
        self.rules[id.index()].readiness.as_ref().is_none_or(|rules| {
            (!rules.notifies || self.notified & bit != 0) && (!rules.forks || self.followed & bit != 0)
        })
    }

    /// Records what the world expects of a report before it is made: one of a run that is over changes nothing.
    pub(super) fn expect_report(&mut self, id: ServiceId, report: SelfReport) {
        let Some(known) = self.known.get(id.index()) else { return };
        let runs = self.groups.values().any(|group| group.of == id && !group.probe && group.leader);
        if !matches!(known, Known::Started | Known::Healthy) || !runs && !self.core.is_following(id) {
            return;
        }
        let bit = 1 << id.0;
        match report {
            SelfReport::Ready if self.notified & bit == 0 => {
                self.notified |= bit;
                self.alive[id.index()] = self.now;
            }
            SelfReport::Alive => self.alive[id.index()] = self.now,
            SelfReport::Watchdog(_) => self.rewatched |= bit,
            _ => {}
        }
    }

    /// A service that is to say that it is alive has done so, or is stopped.
    pub(super) fn check_watchdog(&self, id: ServiceId) -> Result<(), &'static str> {
        let span = self.rules[id.index()].readiness.as_ref().and_then(|rules| rules.watchdog);
        let bit = 1 << id.0;
        let Some(span) = span.filter(|_| self.notified & bit != 0 && self.rewatched & bit == 0) else {
            return Ok(());
        };
        let due = self.alive[id.index()].after(span.max(Duration::from_millis(1)));
        rule(due > self.now, "a watchdog that nobody watches")
    }
}
