//! Limits of how often services are started within a time: each by `start_limit_burst`, and restarts of all together by
//! `[restart] max_restarts`.

use super::event::{Next, Note, Over};
use super::service::FinalState;
use super::{Step, faulty};
use crate::exit_code;
use crate::model::{Moment, RateLimit, ServiceId};
use std::collections::VecDeque;

/// When services with a limit were last started, and (`None`) any was restarted. Nobody else has a row.
#[derive(Clone, Debug, Default)]
pub(super) struct StartTimes {
    rows: Vec<(Option<ServiceId>, VecDeque<Moment>)>,
}

impl StartTimes {
    fn add(&mut self, of: Option<ServiceId>, at: Moment, limit: RateLimit) {
        if !self.rows.iter().any(|(known, _)| *known == of) {
            self.rows.push((of, VecDeque::new()));
        }
        if let Some((_, times)) = self.rows.iter_mut().find(|(known, _)| *known == of) {
            times.push_back(at);
            while times.len() > limit.burst as usize {
                times.pop_front();
            }
        }
    }

    /// Returns whether one more at this moment would exceed the limit.
    fn is_full(&self, of: Option<ServiceId>, at: Moment, limit: RateLimit) -> bool {
        let row = self.rows.iter().find(|(known, _)| *known == of);
        let recent = |(_, times): &(_, VecDeque<Moment>)| {
            times.iter().filter(|time| at.since(**time) < limit.interval).count()
        };
        row.map_or(0, recent) >= limit.burst as usize
    }

    /// An order, or a reload, begins anew.
    pub(super) fn forget(&mut self, id: ServiceId) {
        self.rows.retain(|(known, _)| *known != Some(id));
    }
}

impl Step<'_> {
    /// A service is being started.
    pub(super) fn count_start(&mut self, id: ServiceId) {
        if let Some(limit) = self.core.rules[id].restart.start_limit {
            self.core.starts.add(Some(id), self.now, limit);
        }
    }

    /// Refuses a restart that would exceed a limit.
    pub(super) fn limited(&mut self, id: ServiceId, next: Next) -> Next {
        let Next::Restarting { delay, .. } = next else { return next };
        let at = self.now.after(delay);
        let own = self.core.rules[id].restart.start_limit;
        if faulty!(self.core, IgnoreLimits) {
            return next;
        }
        if own.is_some_and(|limit| self.core.starts.is_full(Some(id), at, limit)) {
            return Next::Over(Over::StartLimit);
        }
        if let Some(limit) = self.core.whole.restart_limit {
            // By the time of the decision: a later one may be for an earlier start.
            if self.core.starts.is_full(None, self.now, limit) {
                return Next::Over(Over::RestartLimit);
            }
            self.core.starts.add(None, self.now, limit);
        }
        next
    }

    /// A service is down for good; with its restart the container would have had too many, which ends it.
    pub(super) fn down_for(&mut self, id: ServiceId, next: Next, end: FinalState, code: u8) {
        let ends_all = next == Next::Over(Over::RestartLimit);
        if ends_all {
            self.core.code.get_or_insert(exit_code::of_failure(code));
        }
        self.down(id, end, code);
        if ends_all && !self.core.is_stopping() {
            self.tell(Note::ShuttingDown { because: Some(id) });
            self.shut_down();
        }
    }
}
