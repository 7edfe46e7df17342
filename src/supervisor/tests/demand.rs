//! Services that are started by connections: what the world knows of them, and when they may be started.

use super::invariants::rule;
use super::world::{S, World};
use crate::model::*;
use crate::supervisor::ServiceStatus;
use crate::supervisor::event::{Event, Next, Note, StopReason};

/// What is known; sets of services.
#[derive(Clone, Debug)]
pub(super) struct Demand {
    /// With a connection that was waited for.
    pub connected: u16,
    /// Ordered to start.
    pub summoned: u16,
    /// When each may be started again.
    pub not_before: Vec<Moment>,
}

impl Demand {
    pub fn new(count: usize) -> Self {
        Self { connected: 0, summoned: 0, not_before: vec![Moment(0); count] }
    }
}

impl World {
    /// A client connects to a socket of a service.
    pub fn connect(&mut self, id: u16) {
        if self.status(id) == ServiceStatus::Listening {
            self.demand.connected |= 1 << id;
        }
        self.feed(Event::Activated { service: ServiceId(id) });
    }

    /// Whether it is the time to start a service, and whether anybody wants it.
    pub(super) fn check_spawn_in_time(&mut self, id: ServiceId) -> Result<(), &'static str> {
        let bit = 1 << id.0;
        let asked = (self.demand.connected | self.demand.summoned) & bit != 0;
        // What has begun goes on, though a reload lets it wait for connections.
        let hooks = &self.hooks;
        let begun = (hooks.prepared & hooks.pre_started | hooks.checked & hooks.passed) & bit != 0;
        rule(asked || begun || !self.rules[id.index()].on_demand, "started without a connection")?;
        (self.demand.connected, self.demand.summoned) =
            (self.demand.connected & !bit, self.demand.summoned & !bit);
        // A new run by the clock does not wait for the retry of the last one.
        let by_clock = self.rules[id.index()].schedule.is_some();
        rule(by_clock || self.now >= self.demand.not_before[id.index()], "started again too early")
    }

    /// When a service may be started again, and that a clean end of one that waits for connections is not its last.
    pub(super) fn check_next(&mut self, note: &Note) -> Result<(), &'static str> {
        match *note {
            Note::Ended { service, next: Next::Restarting { delay, .. }, .. }
            | Note::NotStarted { service, next: Next::Restarting { delay, .. } } => {
                self.demand.not_before[service.index()] = self.now.after(delay);
            }
            Note::Ended { service, after, next: Next::Listening, .. } if after < S => {
                let policy = &self.rules[service.index()].restart;
                let wait = policy.delay.mul_f64(1.0 - policy.jitter).min(policy.max_delay);
                self.demand.not_before[service.index()] = self.now.after(wait);
            }
            Note::Ended {
                service, outcome: ExitStatus::Code(0), cause: StopReason::Itself, next, ..
            } if self.rules[service.index()].on_demand && !self.core.is_stopping() => {
                rule(!matches!(next, Next::Done | Next::Restarting { .. }), "a clean end was the last")?;
            }
            _ => {}
        }
        Ok(())
    }
}
