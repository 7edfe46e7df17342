//! The last events, numbered, and a summary of events per service.

use super::reloads::Reloads;
use crate::model::{ExitStatus, Moment, ServiceId};
use crate::supervisor::event::{ControlOrder, Next, Note, Over, StopReason};
use std::collections::VecDeque;

/// How many events are kept.
pub const MAX_EVENTS: usize = 512;

/// Why a service has stopped or failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// It was stopped for this reason.
    Stop(StopReason),
    /// Its process could not be created.
    StartFailed,
    /// Its restart attempts are used up.
    GivenUp,
    /// Its restart policy does not allow a restart.
    Policy,
    /// This dependency has failed.
    Needs(ServiceId),
}

impl Reason {
    /// Returns its name in the protocol.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Stop(StopReason::Itself) => "itself",
            Self::Stop(StopReason::TooEarly) => "too-early",
            Self::Stop(StopReason::PostStart) => "post-start",
            Self::Stop(StopReason::Shutdown) => "shutdown",
            Self::Stop(StopReason::StartTimeout) => "start-timeout",
            Self::Stop(StopReason::RunTimeout) => "run-timeout",
            Self::Stop(StopReason::Unhealthy) => "unhealthy",
            Self::Stop(StopReason::Watchdog) => "watchdog",
            Self::Stop(StopReason::Dependency(_)) => "dependency",
            Self::Stop(StopReason::ByHand) => "by-hand",
            Self::Stop(StopReason::Reload) => "reload",
            Self::Stop(StopReason::Rolled) => "rolled",
            Self::StartFailed => "start-failed",
            Self::GivenUp => "given-up",
            Self::Policy => "policy",
            Self::Needs(_) => "needs",
        }
    }
}

/// The summary of a service's events.
#[derive(Clone, Copy, Default, Debug)]
pub struct ServiceTally {
    /// The number of started processes.
    pub starts: u32,
    /// How and when its last process ended.
    pub last_exit: Option<(ExitStatus, Moment)>,
    /// Why it is down or stopping.
    pub reason: Option<Reason>,
    /// When it was first started, first ready and first ended.
    pub started: Option<Moment>,
    /// See above.
    pub ready: Option<Moment>,
    /// See above.
    pub ended: Option<Moment>,
}

/// The events and their summaries.
#[derive(Debug)]
pub struct Journal {
    events: VecDeque<(Moment, Note)>,
    /// The number of the newest event.
    newest: u64,
    tallies: Vec<ServiceTally>,
    /// When the journal was started.
    pub began: Moment,
    /// The number of reaped orphans.
    pub orphans: u64,
    /// Reloads of the configuration.
    pub reloads: Reloads,
}

impl Journal {
    /// Creates a journal for this number of services.
    #[must_use]
    pub fn new(services: usize, began: Moment) -> Self {
        let tallies = vec![ServiceTally::default(); services];
        let reloads = Reloads::default();
        Self { events: VecDeque::new(), newest: 0, tallies, began, orphans: 0, reloads }
    }

    /// Returns the number of the newest event; 0: none.
    #[must_use]
    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// Returns the number of the oldest event that is kept.
    #[must_use]
    pub fn oldest(&self) -> u64 {
        self.newest + 1 - u64::try_from(self.events.len()).unwrap_or(0)
    }

    /// Returns the event with this number.
    #[must_use]
    pub fn event(&self, number: u64) -> Option<(Moment, Note)> {
        let at = number.checked_sub(self.oldest())?;
        self.events.get(usize::try_from(at).ok()?).copied()
    }

    /// Returns the summary of a service's events.
    #[must_use]
    pub fn tally(&self, id: ServiceId) -> ServiceTally {
        self.tallies.get(id.index()).copied().unwrap_or_default()
    }

    /// Changes the number of services; the counts of these begin anew: other services have their ids now.
    pub fn resize(&mut self, services: usize, new: &[ServiceId]) {
        self.tallies.resize(services, ServiceTally::default());
        self.tallies.shrink_to_fit();
        for id in new {
            self.tallies.get_mut(id.index()).into_iter().for_each(|tally| *tally = ServiceTally::default());
        }
    }

    /// Returns whether an event that is kept names this service.
    #[must_use]
    pub fn names(&self, id: ServiceId) -> bool {
        self.events.iter().any(|(_, note)| service(*note) == Some(id) || other(*note) == Some(id))
    }

    /// Adds an event. `ready`: a daemon is ready as soon as it has started.
    pub fn add(&mut self, now: Moment, note: Note, ready: bool) {
        if !is_event(note) {
            return;
        }
        if self.events.len() >= MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back((now, note));
        self.newest += 1;
        self.count(now, note, ready);
    }

    fn count(&mut self, now: Moment, note: Note, ready: bool) {
        let Some(tally) = service(note).and_then(|id| self.tallies.get_mut(id.index())) else { return };
        match note {
            Note::Started { .. } => {
                tally.starts = tally.starts.saturating_add(1);
                tally.reason = None;
                tally.started.get_or_insert(now);
                if ready {
                    tally.ready.get_or_insert(now);
                }
            }
            Note::Healthy { .. } | Note::Ready { .. } => _ = tally.ready.get_or_insert(now),
            Note::Stopping { cause, .. } => tally.reason = Some(Reason::Stop(cause)),
            Note::Ended { outcome, cause, next, .. } => {
                tally.last_exit = Some((outcome, now));
                tally.ended.get_or_insert(now);
                tally.reason = Some(after(next).unwrap_or(Reason::Stop(cause)));
                if next == Next::Done {
                    tally.ready.get_or_insert(now);
                }
            }
            Note::NotStarted { next, .. } => {
                tally.reason = Some(after(next).unwrap_or(Reason::StartFailed));
            }
            Note::Unreachable { needs, .. } => tally.reason = Some(Reason::Needs(needs)),
            Note::StoppedIdle { .. } => tally.reason = Some(Reason::Stop(StopReason::ByHand)),
            _ => {}
        }
    }
}

fn after(next: Next) -> Option<Reason> {
    match next {
        Next::GivenUp { .. } | Next::Over(Over::StartLimit | Over::RestartLimit) => Some(Reason::GivenUp),
        Next::Failed => Some(Reason::Policy),
        Next::Over(Over::Stays) => Some(Reason::StartFailed),
        Next::Over(Over::Stopping | Over::Unhealthy | Over::Scheduled)
        | Next::Done
        | Next::Restarting { .. }
        | Next::Stopped
        | Next::Listening
        | Next::Again => None,
    }
}

/// Returns the other service that an event names.
fn other(note: Note) -> Option<ServiceId> {
    match note {
        Note::Unreachable { needs, .. } => Some(needs),
        Note::Ordered { because, .. } => Some(because),
        Note::Stopping { cause: StopReason::Dependency(on), .. }
        | Note::Ended { cause: StopReason::Dependency(on), .. } => Some(on),
        _ => None,
    }
}

/// Returns whether a note is an event of the protocol.
fn is_event(note: Note) -> bool {
    !matches!(
        note,
        Note::StillWaiting | Note::StillStopping | Note::NotForwarded { .. } | Note::Unused { .. }
    )
}

/// Returns the name of an event in the protocol.
#[must_use]
pub fn event_word(note: Note) -> &'static str {
    match note {
        Note::Started { .. } => "started",
        Note::Ready { .. } => "ready",
        Note::Reloading { .. } => "reloading",
        Note::Reloaded { confirmed: true, .. } => "reloaded",
        Note::Reloaded { confirmed: false, .. } => "reload-failed",
        Note::MainPid { .. } => "main-pid",
        Note::Healthy { .. } => "healthy",
        Note::HookFailed { .. } => "hook-failed",
        Note::HookRuns { .. } => "hook-slow",
        Note::Unhealthy { .. } => "unhealthy",
        Note::Ended { .. } => "exited",
        Note::NotStarted { .. } => "start-failed",
        Note::SlowStart { .. } => "start-slow",
        Note::Unreachable { .. } => "unreachable",
        Note::Stopping { .. } => "stopping",
        Note::Killing { .. } => "killing",
        Note::Stuck { .. } => "stuck",
        Note::Draining { .. } => "draining",
        Note::ShuttingDown { .. } => "shutting-down",
        Note::KillingAll => "killing-all",
        Note::Sweeping { .. } => "sweeping",
        Note::Ordered { order: ControlOrder::Start, .. } => "start-ordered",
        Note::Ordered { order: ControlOrder::Stop { .. }, .. } => "stop-ordered",
        Note::Ordered { order: ControlOrder::Restart | ControlOrder::Roll, .. } => "restart-ordered",
        Note::StoppedIdle { .. } => "stopped",
        Note::NotReloaded | Note::ConfigReloaded { ok: false } => "configuration-refused",
        Note::ConfigReloaded { ok: true } => "configuration-reloaded",
        Note::Added { .. } => "added",
        Note::Removed { .. } => "removed",
        Note::TurnedOff { .. } => "turned-off",
        Note::Rolled { .. } => "rolled",
        Note::RollFailed { .. } => "roll-failed",
        Note::RunSkipped { .. } => "run-skipped",
        Note::Listening { .. } => "listening",
        Note::Activated { .. } => "activated",
        Note::Forwarded { .. } | Note::Ordered { order: ControlOrder::Signal(_), .. } => "signalled",
        Note::StillWaiting | Note::StillStopping | Note::NotForwarded { .. } | Note::Unused { .. } => "other",
    }
}

/// Returns the service that an event is about.
#[must_use]
pub fn service(note: Note) -> Option<ServiceId> {
    match note {
        Note::Started { service, .. }
        | Note::Ready { service }
        | Note::Reloading { service }
        | Note::Reloaded { service, .. }
        | Note::MainPid { service, .. }
        | Note::Healthy { service }
        | Note::HookFailed { service, .. }
        | Note::HookRuns { service, .. }
        | Note::Unhealthy { service, .. }
        | Note::Ended { service, .. }
        | Note::NotStarted { service, .. }
        | Note::SlowStart { service, .. }
        | Note::Unreachable { service, .. }
        | Note::Stopping { service, .. }
        | Note::Killing { service, .. }
        | Note::Stuck { service }
        | Note::Ordered { service, .. }
        | Note::StoppedIdle { service }
        | Note::Added { service }
        | Note::Removed { service }
        | Note::TurnedOff { service }
        | Note::Rolled { service }
        | Note::RollFailed { service, .. }
        | Note::Listening { service }
        | Note::Activated { service }
        | Note::RunSkipped { service, .. }
        | Note::NotForwarded { service, .. }
        | Note::Forwarded { service, .. } => Some(service),
        Note::ShuttingDown { because } => because,
        Note::KillingAll
        | Note::NotReloaded
        | Note::ConfigReloaded { .. }
        | Note::Draining { .. }
        | Note::Sweeping { .. }
        | Note::StillWaiting
        | Note::StillStopping
        | Note::Unused { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::journal::*;

    #[test]
    fn the_last_events_are_kept_and_numbered() {
        let mut journal = Journal::new(1, Moment(0));
        assert_eq!((journal.newest(), journal.oldest(), journal.event(1)), (0, 1, None));
        let note = Note::Started { service: ServiceId(0), pid: 5 };
        for at in 1..=600 {
            journal.add(Moment(at), note, true);
            journal.add(Moment(at), Note::StillWaiting, false);
        }
        assert_eq!((journal.newest(), journal.oldest()), (600, 89));
        assert_eq!(journal.event(88), None);
        assert_eq!(journal.event(89), Some((Moment(89), note)));
        assert_eq!(journal.event(600), Some((Moment(600), note)));
        assert_eq!(journal.event(601), None);
        assert_eq!(journal.tally(ServiceId(0)).starts, 600);
        assert_eq!(journal.tally(ServiceId(0)).ready, Some(Moment(1)));
        assert_eq!(journal.tally(ServiceId(9)).starts, 0);
    }
}
