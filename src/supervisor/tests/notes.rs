//! What must hold of everything that the core reports.

use super::invariants::rule;
use super::world::{Ask, Group, Known, S, World};
use crate::model::*;
use crate::supervisor::ServiceStatus;
use crate::supervisor::event::{Next, Note, Over, StopReason};

impl World {
    #[expect(clippy::too_many_lines, reason = "one table")]
    pub(super) fn check_note(&mut self, note: &Note) -> Result<(), &'static str> {
        match *note {
            Note::Started { service, .. } => {
                self.known[service.index()] = Known::Started;
                self.hooks_of_start(service);
            }
            Note::Healthy { service } => self.known[service.index()] = Known::Healthy,
            Note::MainPid { service, .. } => self.followed |= 1 << service.0,
            Note::Ended { service, next, .. } | Note::NotStarted { service, next } => {
                self.check_end(note, service, next)?;
            }
            Note::Listening { service } => self.known[service.index()] = Known::Listening,
            Note::Unreachable { service, needs } => self.check_unreachable(service, needs)?,
            Note::RunSkipped { service, .. } => self.check_skipped(service)?,
            Note::Stopping { service, cause: StopReason::Shutdown } => {
                let above = self.above[service.index()];
                let holds = |group: &Group| !group.probe && !group.given_up && above & (1 << group.of.0) != 0;
                rule(!self.groups.values().any(holds), "stopped before a dependent was gone")?;
                let asked = |ask: &Ask| matches!(ask, Ask::Spawn(id) if above & (1 << id.0) != 0);
                rule(!self.asks.iter().any(asked), "stopped before a dependent had come and gone")?;
            }
            Note::Ordered { service, order, .. } => {
                self.check_turn(service, order)?;
                self.ordered(service, order);
            }
            Note::Rolled { service } => self.check_rolled(service)?,
            Note::RollFailed { service, kept, .. } => {
                rule(kept || self.rolling == Some(service), "a roll that fails elsewhere")?;
                (self.rolling, self.rolls) = (None, 0);
            }
            Note::StoppedIdle { service } => self.check_idle(service)?,
            Note::Stopping { service, cause: StopReason::ByHand } => self.check_stop_by_hand(service)?,
            Note::Stopping { service, cause: StopReason::Reload } => self.check_going(service)?,
            Note::Removed { service } | Note::TurnedOff { service } => self.gone(service)?,
            Note::Stuck { service } => self.give_up(service)?,
            Note::StillWaiting | Note::StillStopping => self.check_progress(note)?,
            Note::KillingAll => {
                let patient = self.interrupted.is_none_or(|at| self.now.since(at) < S);
                rule(!patient, "killed by less than a second INT or QUIT, a second after the first")?;
            }
            Note::ShuttingDown { because } => {
                rule(!because.is_some_and(|id| self.is_by_hand(id)), "ended by what was stopped by hand")?;
                rule(!self.stopping, "stops twice")?;
                self.stopping = true;
            }
            Note::Draining { .. } if !self.stopping && !self.draining => self.draining = true,
            Note::Draining { .. } => return Err("drains twice, or while it stops"),
            Note::Stopping { .. }
            | Note::Added { .. }
            | Note::Activated { .. }
            | Note::NotReloaded
            | Note::ConfigReloaded { .. }
            | Note::Ready { .. }
            | Note::Reloading { .. }
            | Note::Reloaded { .. }
            | Note::Unhealthy { .. }
            | Note::Killing { .. }
            | Note::HookFailed { .. }
            | Note::HookRuns { .. }
            | Note::SlowStart { .. }
            | Note::Sweeping { .. }
            | Note::NotForwarded { .. }
            | Note::Unused { .. }
            | Note::Forwarded { .. } => {}
        }
        Ok(())
    }

    /// A service has ended or could not be started.
    fn check_end(&mut self, note: &Note, service: ServiceId, next: Next) -> Result<(), &'static str> {
        self.check_post_stop(service)?;
        self.check_limits(service, next)?;
        self.check_wanted(service, next)?;
        self.check_next(note)?;
        self.reload.restarts &= !(1 << service.0);
        self.known[service.index()] = match next {
            Next::Restarting { .. } => Known::Restarting,
            Next::Listening => Known::Listening,
            Next::Done => Known::Done,
            // Given up after an end that was a success in itself: the attempts of `always` are used up.
            Next::GivenUp { .. } | Next::Over(Over::StartLimit | Over::RestartLimit) => {
                match self.core.state_of(service) {
                    ServiceStatus::Done => Known::Done,
                    _ => Known::Failed,
                }
            }
            Next::Failed | Next::Over(_) => Known::Failed,
            Next::Stopped | Next::Again => Known::Stopped,
        };
        let whole = &self.core.whole;
        let leaves = self.rules[service.index()].kill_mode == KillMode::Process
            || whole.leftovers != Leftovers::Stop
                && whole.main == Some(service)
                && self.rules[service.index()].restart.when == Restart::No;
        let mine = |group: &&mut Group| group.of == service && !group.probe && !group.given_up;
        for group in self.groups.values_mut().filter(mine) {
            rule(leaves && !group.leader, "ended, but it lives")?;
            group.given_up = true;
        }
        Ok(())
    }
}
