//! Services that are started by the clock.
//!
//! The rules are Vixie cron's. Time is compared in local minutes with a virtual clock, here one for each schedule and
//! its time zone. Where the local time is up to 5 minutes ahead of it, each missed minute is run; up to 3 hours (daylight
//! saving begins): a job that follows the clock (its minute or hour begins with `*`) runs for now only, any other for each
//! skipped minute; behind it by up to 3 hours (daylight saving ends): only the former run, and the virtual clock waits; any
//! more: the clock was set, and nothing is made up for.
//!
//! Cron looks each minute. Here the core says when it wants to know the wall clock next ([`Supervisor::wall_deadline`]):
//! in the next minute that matters, and at each change of the zone's offset. Until then the virtual clock goes with the
//! wall clock as if somebody had looked. The shell also tells it at once when the clock is set.

use super::event::Note;
use super::reload::Slot;
use super::service::{FinalState, ServiceState};
use super::shutdown::Phase;
use super::{Step, Supervisor, faulty};
use crate::model::{Moment, Overlap, Schedule, ServiceId, ServicePolicy};
use std::time::Duration;

/// How far late, in minutes, every missed minute is run.
const MAX_LATE: i64 = 5;

/// How far the local time may jump, in minutes, before the clock counts as set.
const MAX_CHANGE: i64 = 180;

/// Smaller steps of the wall clock, in seconds, do not count: a time server's corrections, and what rounding adds.
const MAX_DRIFT: u64 = 2;

/// How many runs of one service can wait for the last one to end.
const MAX_QUEUED: u16 = 60;

/// The next run is found within so many changes of a zone's offset.
const MAX_LOOKS: u16 = 1000;

/// A service with a schedule.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) id: ServiceId,
    /// `None`: nobody has told the time yet.
    pub(super) clock: Option<VirtualClock>,
    /// Runs that wait for the last one to end.
    pub(super) queued: u16,
    /// Whether a skipped run was told since the last start.
    told: bool,
    /// Whether the last run that is over was a success.
    success: Option<bool>,
}

/// How far one schedule is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct VirtualClock {
    /// When the wall clock was told last, and what it was.
    now: Moment,
    wall: i64,
    /// The local minute of that.
    minute: i64,
    /// The last local minute that is dealt with.
    handled: i64,
    /// When it must be told next.
    wake: i64,
}

impl VirtualClock {
    /// Starts with this minute, which counts as dealt with.
    pub(super) fn new(schedule: &Schedule, now: Moment, wall: i64) -> Self {
        let minute = local_minute(wall, schedule.zone.offset(wall));
        let clock = Self { now, wall, minute, handled: minute, wake: wall };
        Self { wake: clock.next_wake(schedule), ..clock }
    }

    /// Returns when, by the wall clock, it must be told next.
    pub(super) fn wake(&self) -> i64 {
        self.wake
    }

    /// The wall clock is told. Returns how many runs are due.
    pub(super) fn advance(&mut self, schedule: &Schedule, now: Moment, wall: i64) -> u16 {
        let passed = i64::try_from(now.since(self.now).as_secs()).unwrap_or(i64::MAX);
        let expected = self.wall.saturating_add(passed);
        let went_on = wall.abs_diff(expected) <= MAX_DRIFT;
        if went_on && wall < self.wall {
            return 0;
        }
        // Until the minute before the one that was waited for there was nothing to do, unless the clock was set.
        let quiet = if went_on { wall } else { expected }.min(self.wake.saturating_sub(60)).max(self.wall);
        self.minute = local_minute(quiet, schedule.zone.offset(self.wall));
        self.handled = self.handled.max(self.minute);
        let minute = local_minute(wall, schedule.zone.offset(wall));
        let due = if minute == self.minute { 0 } else { self.look(schedule, minute) };
        (self.now, self.wall, self.minute) = (now, wall, minute);
        self.wake = self.next_wake(schedule);
        due
    }

    /// Looks which jobs are due in a new minute, as cron does.
    fn look(&mut self, schedule: &Schedule, minute: i64) -> u16 {
        let cron = &schedule.cron;
        let missed = self.handled.saturating_add(1)..=minute;
        let now = u16::from(cron.matches(minute));
        let ahead = minute.saturating_sub(self.handled);
        if (-MAX_CHANGE..=0).contains(&ahead) {
            return if cron.is_wildcard { now } else { 0 };
        }
        self.handled = minute;
        match ahead {
            1..=MAX_LATE => count(cron, missed),
            1..=MAX_CHANGE if !cron.is_wildcard => count(cron, missed),
            _ => now,
        }
    }

    fn next_wake(&self, schedule: &Schedule) -> i64 {
        let from = if schedule.cron.is_wildcard { self.minute } else { self.minute.max(self.handled) };
        let offset = i64::from(schedule.zone.offset(self.wall));
        let next = schedule.cron.next(from.saturating_add(1)).map(|minute| minute * 60 - offset);
        [next, schedule.zone.next_change(self.wall)].into_iter().flatten().min().unwrap_or(i64::MAX)
    }

    /// Returns when the next run is due, if the clock just goes on.
    fn next_run(mut self, schedule: &Schedule) -> Option<i64> {
        for _ in 0..MAX_LOOKS {
            if self.wake == i64::MAX {
                return None;
            }
            let (at, passed) = (self.wake, self.wake.saturating_sub(self.wall));
            let passed = Duration::from_secs(u64::try_from(passed).unwrap_or(0));
            if self.advance(schedule, self.now.after(passed), at) > 0 {
                return Some(at);
            }
        }
        None
    }
}

fn count(cron: &crate::model::cron::CronLine, minutes: std::ops::RangeInclusive<i64>) -> u16 {
    u16::try_from(minutes.filter(|minute| cron.matches(*minute)).count()).unwrap_or(u16::MAX)
}

fn local_minute(wall: i64, offset: i32) -> i64 {
    wall.saturating_add(offset.into()).div_euclid(60)
}

/// Returns the services with a schedule. Each of `before` goes on as it was.
pub(super) fn jobs(services: &[ServicePolicy], before: &[Job]) -> Box<[Job]> {
    let ids = (0_u16..).map(ServiceId);
    let scheduled = ids.zip(services).filter(|(_, rules)| rules.schedule.is_some());
    let job = |id: ServiceId| {
        let known = before.iter().find(|job| job.id == id).cloned();
        known.unwrap_or(Job { id, clock: None, queued: 0, told: false, success: None })
    };
    scheduled.map(|(id, _)| job(id)).collect()
}

impl Supervisor {
    /// Returns when, by the wall clock, in seconds since 1970, the core must be told of it next.
    #[must_use]
    pub fn wall_deadline(&self) -> Option<i64> {
        let jobs = self.jobs.iter().filter(|_| !self.is_stopping());
        // One that was added has to be told at once.
        jobs.map(|job| job.clock.map_or(i64::MIN, |clock| clock.wake())).min()
    }

    /// Returns when a service is started by the clock next, in seconds since 1970.
    #[must_use]
    pub fn next_run(&self, id: ServiceId) -> Option<i64> {
        let state = self.records[id].state;
        if self.is_stopping() || matches!(state, ServiceState::Off | ServiceState::Down(_)) {
            return None;
        }
        self.find_job(id)?.clock?.next_run(self.rules[id].schedule.as_deref()?)
    }

    /// Returns whether the last run of a service with a schedule was a success, if one is over.
    #[must_use]
    pub fn last_run(&self, id: ServiceId) -> Option<bool> {
        self.find_job(id)?.success
    }

    fn find_job(&self, id: ServiceId) -> Option<&Job> {
        self.jobs.get(self.jobs.binary_search_by_key(&id, |job| job.id).ok()?)
    }

    /// Returns whether the clock starts a service again after a run.
    pub(super) fn is_rescheduled(&self, id: ServiceId) -> bool {
        let rules = &self.rules[id];
        rules.schedule.is_some() && rules.enabled && !self.is_stopping()
    }

    fn job(&mut self, id: ServiceId) -> Option<&mut Job> {
        let at = self.jobs.binary_search_by_key(&id, |job| job.id).ok()?;
        self.jobs.get_mut(at)
    }
}

impl Step<'_> {
    /// The wall clock is told, in seconds since 1970.
    pub(super) fn wall_clock(&mut self, wall: i64) {
        for at in 0..self.core.jobs.len() {
            let Some(job) = self.core.jobs.get_mut(at) else { return };
            let id = job.id;
            let Some(schedule) = self.core.rules[id].schedule.as_deref() else { continue };
            let due = match &mut job.clock {
                Some(clock) => {
                    if faulty!(self.core, ForgetVirtualTime) {
                        clock.handled = clock.minute;
                    }
                    clock.advance(schedule, self.now, wall)
                }
                None => {
                    job.clock = Some(VirtualClock::new(schedule, self.now, wall));
                    0
                }
            };
            let serves = !self.core.is_draining() || faulty!(self.core, RunWhileDraining);
            if due > 0 && self.core.phase == Phase::Up && serves && !faulty!(self.core, LoseRun) {
                self.run_is_due(id, due);
            }
        }
    }

    /// So many runs of a service are due.
    fn run_is_due(&mut self, id: ServiceId, due: u16) {
        let Some((overlap, jitter)) =
            self.core.rules[id].schedule.as_ref().map(|schedule| (schedule.overlap, schedule.jitter))
        else {
            return;
        };
        let (begins, more) = match self.core.records[id].state {
            ServiceState::Scheduled { start: None } => (Some(self.core.random.below(jitter)), due - 1),
            // A retry of the last run gives way to the new one.
            ServiceState::Backoff { .. } => (Some(Duration::ZERO), due - 1),
            ServiceState::Scheduled { .. }
            | ServiceState::Waiting
            | ServiceState::Spawning { .. }
            | ServiceState::Running { .. }
            | ServiceState::Stopping(_)
            | ServiceState::Finishing(_) => (None, due),
            // Disabled, or stopped by hand; or it is no job, which no connection starts.
            ServiceState::Off | ServiceState::Down(_) | ServiceState::Listening { .. } => return,
        };
        if let Some(delay) = begins {
            self.set(id, ServiceState::Scheduled { start: Some(self.now.after(delay)) });
        }
        if overlap == Overlap::Queue || begins.is_none() {
            self.overlaps(id, overlap, more);
        }
        self.start_if_due(id);
    }

    /// So many more runs are due than can begin now.
    fn overlaps(&mut self, id: ServiceId, overlap: Overlap, more: u16) {
        let Some(job) = self.core.job(id) else { return };
        let room = if overlap == Overlap::Queue { MAX_QUEUED - job.queued } else { 0 };
        job.queued += more.min(room);
        if more > room && !std::mem::replace(&mut job.told, true) {
            let queued = job.queued;
            self.tell(Note::RunSkipped { service: id, queued });
        }
    }

    /// Starts a run at once if nothing delays it.
    fn start_if_due(&mut self, id: ServiceId) {
        match self.core.records[id].state {
            ServiceState::Scheduled { start: Some(at) } if at <= self.now => self.start_run(id),
            _ => {}
        }
    }

    /// A run begins: waits for what the service depends on, and starts.
    pub(super) fn start_run(&mut self, id: ServiceId) {
        self.core.records[id].attempts = 0;
        if let Some(job) = self.core.job(id) {
            job.told = false;
        }
        self.wait_again(id);
    }

    /// A run is over for good. Returns whether the service goes back to its schedule.
    pub(super) fn back_to_schedule(&mut self, id: ServiceId, end: FinalState) -> bool {
        if !self.core.is_rescheduled(id) {
            return false;
        }
        let now = self.now;
        let Some(job) = self.core.job(id) else { return false };
        job.success = Some(end == FinalState::Success);
        let next = job.queued.checked_sub(1);
        job.queued = next.unwrap_or(0);
        let next = next.filter(|_| !faulty!(self.core, LoseQueued));
        // Not at once: a run that fails at once must not begin the next from within.
        self.set(id, ServiceState::Scheduled { start: next.map(|_| now) });
        true
    }

    /// The set of services is another one: what of the old schedules does not hold any more.
    pub(super) fn keep_jobs(&mut self, before: &[Slot], policies: &[ServicePolicy]) {
        let same = |job: &&Job| {
            let old = before.get(job.id.index()).and_then(|slot| slot.policy.schedule.as_ref());
            let new = policies.get(job.id.index()).and_then(|policy| policy.schedule.as_ref());
            old.zip(new).is_some_and(|(old, new)| old.cron == new.cron && old.zone == new.zone)
        };
        let kept: Vec<Job> = self.core.jobs.iter().filter(same).cloned().collect();
        self.core.jobs = jobs(policies, &kept);
    }

    /// A service that is new, or has changed, waits for its schedule, if it has one; returns whether it does. A run that
    /// has not begun yet still does; a retry begins now.
    pub(super) fn schedule_anew(&mut self, id: ServiceId) -> bool {
        let state = self.core.records[id].state;
        if self.core.rules[id].schedule.is_none() || matches!(state, ServiceState::Backoff { .. }) {
            return false;
        }
        if matches!(state, ServiceState::Off | ServiceState::Down(_)) {
            self.set(id, ServiceState::Scheduled { start: None });
            self.core.records[id].attempts = 0;
        }
        self.core.records[id].is_new = true;
        true
    }

    /// A service that a change of the configuration does not restart has, or had, a schedule.
    pub(super) fn follow_schedule(&mut self, id: ServiceId, had: bool) {
        let has = self.core.rules[id].schedule.is_some();
        match self.core.records[id].state {
            ServiceState::Scheduled { .. } if !has => self.begin_anew(id),
            ServiceState::Waiting | ServiceState::Backoff { .. } if has && !had => {
                self.set(id, ServiceState::Scheduled { start: None });
            }
            ServiceState::Down(_) if has && !had && !self.core.records[id].by_hand => {
                self.set(id, ServiceState::Scheduled { start: None });
            }
            _ => {}
        }
    }

    /// A service was stopped by hand: what was queued is dropped.
    pub(super) fn forget_runs(&mut self, id: ServiceId) {
        if let Some(job) = self.core.job(id) {
            job.queued = 0;
        }
    }
}
