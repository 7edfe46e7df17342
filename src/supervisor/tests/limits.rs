//! Limits of how often services are started: what must hold of them, and single rules.

use super::invariants::rule;
use super::scenes::*;
use super::world::{S, World};
use crate::model::*;
use crate::supervisor::event::{Next, Note, Over};

/// What the world knows of starts: those of each service since it was last ordered, and all restarts.
#[derive(Clone, Default, Debug)]
pub(super) struct StartLedger {
    starts: Vec<(ServiceId, Moment)>,
    restarts: Vec<Moment>,
}

impl World {
    pub(super) fn count_start(&mut self, id: ServiceId) {
        self.started.starts.push((id, self.now));
    }

    /// A service begins anew.
    pub(super) fn forget_starts(&mut self, id: ServiceId) {
        self.started.starts.retain(|(known, _)| *known != id);
    }

    /// A restart that is announced keeps the limits.
    pub(super) fn check_limits(&mut self, id: ServiceId, next: Next) -> Result<(), &'static str> {
        let Next::Restarting { delay, .. } = next else { return Ok(()) };
        let at = self.now.after(delay);
        if let Some(limit) = self.rules[id.index()].restart.start_limit {
            let recent =
                |(known, time): &&(ServiceId, Moment)| *known == id && at.since(*time) < limit.interval;
            let count = self.started.starts.iter().filter(recent).count();
            rule(count < limit.burst as usize, "started too often")?;
        }
        if let Some(limit) = self.core.whole.restart_limit {
            let count =
                self.started.restarts.iter().filter(|time| self.now.since(**time) < limit.interval).count();
            rule(count < limit.burst as usize, "too many restarts of all")?;
        }
        self.started.restarts.push(self.now);
        Ok(())
    }
}

fn limited(burst: u32, interval: u32) -> ServicePolicy {
    let mut rules = restarting(Restart::Always);
    rules.restart.factor = 1.0;
    rules.restart.start_limit = Some(RateLimit { burst, interval: S * interval });
    rules
}

#[test]
fn so_many_starts_within_a_time_are_enough() {
    let mut w = up(vec![limited(3, 10), daemon()]);
    for _ in 0..2 {
        w.exit(0, 1);
        assert_eq!(restarts_in(&w, 0), Some(S));
        w.wait(S);
        w.answer_all();
    }
    w.exit(0, 1);
    assert_eq!(w.next(0), Some(Next::Over(Over::StartLimit)));
    // An order begins anew.
    w.order(0, crate::supervisor::event::ControlOrder::Start);
    w.answer_all();
    w.exit(0, 1);
    assert_eq!(restarts_in(&w, 0), Some(S));
}

/// `max_attempts` would have given up; none of these runs is long enough to clear its count.
#[test]
fn starts_that_are_far_enough_apart_go_on() {
    let mut w = up(vec![limited(2, 10), daemon()]);
    for _ in 0..20 {
        w.wait(10 * S);
        w.exit(0, 1);
        assert_eq!(restarts_in(&w, 0), Some(S));
        w.wait(S);
        w.answer_all();
    }
}

#[test]
fn too_many_restarts_of_all_end_the_container() {
    let limit = RateLimit { burst: 3, interval: 60 * S };
    let whole = Settings { restart_limit: Some(limit), ..Settings::default() };
    let mut w = up_with(vec![restarting(Restart::Always), restarting(Restart::Always)], whole);
    for id in [0, 1, 0] {
        w.exit(id, 0);
        w.wait(S);
        w.answer_all();
    }
    w.exit(1, 0);
    assert_eq!(w.next(1), Some(Next::Over(Over::RestartLimit)));
    assert!(told(&w, Note::ShuttingDown { because: Some(ServiceId(1)) }));
    assert_eq!(w.finish(), 1);
}
