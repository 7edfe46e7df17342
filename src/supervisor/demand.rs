//! Services that are started by the first connection to their sockets (`start = "on-demand"`).
//!
//! The shell looks at the sockets only while a service is `Listening`, so a connection that is not accepted at once
//! wakes nobody while the service starts or is in backoff. A run that was short and did not accept what is there would
//! be started for the same connection for ever: then the connection waits as long as a restart would.

use super::event::Note;
use super::restart::delay;
use super::service::ServiceState;
use super::{Step, Supervisor, faulty};
use crate::model::ServiceId;
use std::time::Duration;

/// A run that ends well after less than this may have left its connection unserved.
const MIN_SERVING_RUN: Duration = Duration::from_secs(1);

impl Supervisor {
    /// Returns the services that wait for a connection.
    pub fn listening(&self) -> impl Iterator<Item = ServiceId> {
        // Usually none, and then there is nothing to look through.
        let all = self.records.ids().take(if self.listening == 0 { 0 } else { usize::MAX });
        all.filter(|id| matches!(self.records[*id].state, ServiceState::Listening { .. }))
    }
}

impl Step<'_> {
    /// Returns whether it is not to be started before a client connects.
    pub(super) fn awaits_connection(&self, id: ServiceId) -> bool {
        self.core.rules[id].on_demand && !self.core.records[id].wanted && !faulty!(self.core, StartUnasked)
    }

    /// Returns whether a restart of one of its dependencies restarts it.
    pub(super) fn is_tied(&self, id: ServiceId) -> bool {
        self.core.graph.depends_on[id].iter().any(|edge| edge.restart)
    }

    /// Waits for a connection.
    pub(super) fn listen(&mut self, id: ServiceId) {
        self.set(id, ServiceState::Listening { not_before: None });
        self.tell(Note::Listening { service: id });
        self.core.news.push(id);
    }

    /// It has ended well, after a run of this length: waits for the next connection.
    pub(super) fn listen_again(&mut self, id: ServiceId, ran: Duration) {
        let short = ran < MIN_SERVING_RUN;
        if !short {
            self.core.records[id].attempts = 0;
        }
        let attempt = self.core.records[id].attempts.saturating_add(1);
        let wait = delay(&self.core.rules[id].restart, attempt, &mut self.core.random);
        let not_before = short.then(|| self.now.after(wait));
        self.set(id, ServiceState::Listening { not_before });
    }

    /// A client has connected.
    pub(super) fn activated(&mut self, id: ServiceId) {
        let ServiceState::Listening { not_before } = self.core.records[id].state else { return };
        if let Some(until) = not_before.filter(|until| *until > self.now && !faulty!(self.core, ServeAtOnce))
        {
            let attempts = self.core.records[id].attempts.saturating_add(1);
            self.core.records[id].attempts = attempts;
            self.set(id, ServiceState::Backoff { until });
            return;
        }
        if not_before.is_some() {
            self.core.records[id].attempts = 0;
        }
        self.tell(Note::Activated { service: id });
        if self.is_tied(id) {
            self.core.records[id].wanted = true;
            self.wait_again(id);
        } else {
            self.spawn(id);
        }
    }
}
