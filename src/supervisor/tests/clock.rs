//! The clock of schedules: the core's, which looks only when it must, beside cron's own loop, which looks each minute.

use super::invariants::rule;
use super::world::{Ask, Group, Known, World};
use crate::model::cron::CronLine;
use crate::model::time_zone::TimeZone;
use crate::model::*;
use crate::supervisor::ServiceStatus;
use crate::supervisor::event::{Action, Event, Note};
use crate::supervisor::schedule::VirtualClock;
use crate::supervisor::service::ServiceState;
use crate::supervisor::shutdown::Phase;
use std::time::Duration;

/// 2026-03-28 22:00 UTC: three hours before daylight saving begins in Europe.
pub(super) const EVENING: i64 = 1_774_735_200;

pub(super) const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

pub(super) fn schedule(line: &str, zone: &str) -> Schedule {
    Schedule {
        line: line.into(),
        cron: CronLine::parse(line).expect(line),
        zone_name: zone.into(),
        zone: TimeZone::posix(zone).expect(zone),
        overlap: Overlap::Skip,
        jitter: Duration::ZERO,
    }
}

/// Cron's loop for one job.
#[derive(Clone)]
pub(super) struct SlowCron {
    schedule: Schedule,
    wall: i64,
    running: i64,
    virtual_time: i64,
    /// The offset of a quarter of an hour; none changes within one.
    offset: (i64, i64),
}

impl SlowCron {
    pub fn new(schedule: &Schedule, wall: i64) -> Self {
        let mut cron =
            Self { schedule: schedule.clone(), wall, running: 0, virtual_time: 0, offset: (i64::MIN, 0) };
        cron.running = cron.minute(wall);
        cron.virtual_time = cron.running;
        cron
    }

    fn minute(&mut self, wall: i64) -> i64 {
        let quarter = wall.div_euclid(900);
        if self.offset.0 != quarter {
            self.offset = (quarter, self.schedule.zone.offset(wall).into());
        }
        (wall + self.offset.1).div_euclid(60)
    }

    fn find(&self, minute: i64, wild: bool, fixed: bool) -> u16 {
        let cron = &self.schedule.cron;
        u16::from((if cron.is_wildcard { wild } else { fixed }) && cron.matches(minute))
    }

    /// One turn of the loop.
    fn look(&mut self, wall: i64) -> u16 {
        self.wall = wall;
        let running = self.minute(wall);
        if running == self.running {
            return 0;
        }
        self.running = running;
        let ahead = running - self.virtual_time;
        if (-180..=0).contains(&ahead) {
            return self.find(running, true, false);
        }
        let mut due = 0;
        if (6..=180).contains(&ahead) {
            due += self.find(running, true, false);
        } else if !(1..=180).contains(&ahead) {
            self.virtual_time = running;
            return self.find(running, true, true);
        }
        while self.virtual_time < running {
            self.virtual_time += 1;
            due += self.find(self.virtual_time, ahead <= 5, true);
        }
        due
    }

    /// Time goes on, and each minute is looked at.
    pub fn pass(&mut self, to: i64) -> u16 {
        let mut due = 0;
        while self.wall < to {
            due += self.look(to.min((self.wall.div_euclid(60) + 1) * 60));
        }
        due
    }

    /// Nobody looks until `to`, or the clock is set to it.
    pub fn jump(&mut self, to: i64) -> u16 {
        self.look(to)
    }
}

/// How the wall clock came to what it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    Went,
    /// Somebody set it: so many seconds further.
    Set(i64),
    /// It went on while nobody could look.
    Frozen,
}

impl World {
    pub fn wall(&self) -> i64 {
        let passed = (self.now.0 - super::world::NOON) / 1_000_000_000;
        EVENING + i64::try_from(passed).unwrap() + self.set_by
    }

    /// When the core is to be told the wall clock.
    pub fn wall_due(&self) -> Option<Moment> {
        let left = self.core.wall_deadline()?.saturating_sub(self.wall()).max(0);
        // To the whole second.
        let now = self.now.0 - (self.now.0 - super::world::NOON) % 1_000_000_000;
        Some(Moment(now).after(Duration::from_secs(left.unsigned_abs())).max(self.now))
    }

    /// Time passes.
    pub fn wait(&mut self, span: Duration) {
        let until = self.now.after(span);
        while self.due().is_some_and(|at| at <= until) {
            self.tick();
            if self.fault.is_some() {
                return;
            }
        }
        self.now = until;
    }

    /// When the next timer is due, or the wall clock is to be told.
    pub fn due(&self) -> Option<Moment> {
        [self.core.deadline(), self.wall_due()].into_iter().flatten().min()
    }

    /// Advances the time until a timer is due.
    pub fn tick(&mut self) -> bool {
        let Some(at) = self.due() else { return false };
        let by_wall = self.core.deadline().is_none_or(|tick| tick > at);
        self.now = at.max(self.now);
        if by_wall {
            self.tell_wall(Way::Went);
        } else {
            self.feed(Event::Tick);
        }
        true
    }

    /// Tells the core the wall clock, and works out what is due by cron's loop.
    pub fn tell_wall(&mut self, way: Way) {
        let before = self.wall();
        if let Way::Set(by) = way {
            self.set_by += by;
        }
        let wall = self.wall();
        self.crons.retain(|(id, _)| {
            let job = self.core.jobs.iter().find(|job| job.id == *id);
            job.is_some_and(|job| job.clock.is_some() || self.core.phase == Phase::New)
        });
        let mut due = Vec::new();
        for (id, cron) in &mut self.crons {
            // A pause counts from when the service wanted to look.
            let job = self.core.jobs.iter().find(|job| job.id == *id).unwrap();
            let wake = job.clock.map_or(i64::MAX, |clock| clock.wake());
            let mut count = cron.pass(if way == Way::Frozen { before.min(wake - 60) } else { before });
            if way != Way::Went {
                count += cron.jump(wall);
            }
            due.push((*id, count));
        }
        for job in &self.core.jobs {
            if !self.crons.iter().any(|(id, _)| *id == job.id) {
                let schedule = self.rules[job.id.index()].schedule.as_ref().unwrap();
                self.crons.push((job.id, SlowCron::new(schedule, wall)));
            }
        }
        let counts = self.core.phase == Phase::Up && !self.core.is_draining();
        let mut must = Vec::new();
        for (id, count) in due.into_iter().filter(|(_, count)| counts && *count > 0) {
            must.extend(self.credit(id, count));
        }
        let before = self.seen.len();
        self.feed(Event::WallClock { at: wall });
        for id in must {
            let tried = self.seen.iter().skip(before).any(
                |action| matches!(action, Action::Tell(Note::Unreachable { service, .. }) if *service == id),
            );
            let idle = self.core.records[id].state == (ServiceState::Scheduled { start: None });
            if self.halted.is_none() && idle && !tried {
                self.fault.get_or_insert_with(|| format!("a run that was due did not begin: {id:?}"));
            }
        }
    }

    /// A service with a schedule starts when a run is due or ordered, or when its policy restarts it.
    pub fn check_run(&mut self, id: ServiceId) -> Result<(), &'static str> {
        let credit = &mut self.credits[id.index()];
        if self.rules[id.index()].schedule.is_none() || self.known[id.index()] == Known::Restarting {
            return Ok(());
        }
        *credit = credit.checked_sub(1).ok_or("a run that was not due")?;
        Ok(())
    }

    pub fn check_skipped(&self, id: ServiceId) -> Result<(), &'static str> {
        rule(self.rules[id.index()].schedule.is_some(), "skipped, but it has no schedule")?;
        let goes_on = self.core.state_of(id) != ServiceStatus::Scheduled || self.core.due(id).is_some();
        rule(goes_on, "skipped for nothing")
    }

    /// A service is ordered to start.
    pub fn expect_run(&mut self, id: ServiceId) {
        let Some(credit) = self.credits.get_mut(id.index()).filter(|_| self.core.phase == Phase::Up) else {
            return;
        };
        match self.core.records[id].state {
            ServiceState::Backoff { .. } => {
                *credit += 1;
                self.known[id.index()] = Known::New;
            }
            ServiceState::Off | ServiceState::Down(_) | ServiceState::Scheduled { start: None } => {
                *credit += 1;
            }
            _ => {}
        }
    }

    /// A service has its turn in a rolling restart.
    pub fn expect_rolled_run(&mut self, id: ServiceId) {
        let mine = |group: &Group| group.of == id && !group.probe && !group.given_up;
        if !self.groups.values().any(mine) && !self.asks.contains(&Ask::Spawn(id)) {
            self.credits[id.index()] = self.credits[id.index()].max(1);
            if self.known[id.index()] == Known::Restarting {
                self.known[id.index()] = Known::New;
            }
        }
    }

    /// So many runs of a service are due. Returns it if one must begin now.
    fn credit(&mut self, id: ServiceId, count: u16) -> Option<ServiceId> {
        let credit = &mut self.credits[id.index()];
        let queues = self.rules[id.index()].schedule.as_ref().unwrap().overlap == Overlap::Queue;
        let state = self.core.records[id].state;
        if matches!(state, ServiceState::Backoff { .. }) {
            // The new run is no restart, which would have to wait.
            self.known[id.index()] = Known::New;
            self.demand.not_before[id.index()] = Moment(0);
        }
        match state {
            ServiceState::Off | ServiceState::Down(_) => return None,
            ServiceState::Scheduled { start: None } | ServiceState::Backoff { .. } => {
                *credit = if queues { (*credit + count).min(61) } else { 1 };
                return Some(id);
            }
            // 60 wait at most, besides the one that is about to begin.
            ServiceState::Scheduled { .. } | ServiceState::Waiting if queues => {
                *credit = (*credit + count).min(61);
            }
            _ if queues => *credit = (*credit + count).min(60),
            _ => {}
        }
        None
    }
}

const ZONES: [&str; 7] = [
    "UTC0",
    BERLIN,
    "EST5EDT,M3.2.0,M11.1.0",
    // Lord Howe: half an hour.
    "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
    // Havana and Cairo: at midnight.
    "CST5CDT,M3.2.0/0,M11.1.0/1",
    "EET-2EEST,M4.5.5/0,M10.5.4/24",
    "IST-5:30",
];

const LINES: [&str; 10] = [
    "30 2 * * *",
    "0,30 0-3 * * *",
    "15 1 * * *",
    "*/20 * * * *",
    "0 * * * *",
    "* 2 * * *",
    "0 0 * * *",
    "59 23 31 * *",
    "10 3 * 3,10 sun",
    "45 1 1 */6 *",
];

/// Runs for so many days; each run that is due with the time of it.
fn runs(schedule: &Schedule, from: i64, days: i64) -> Vec<(i64, u16)> {
    let mut clock = VirtualClock::new(schedule, Moment(0), from);
    let mut runs = Vec::new();
    while clock.wake() < from + days * 86_400 {
        let wall = clock.wake();
        let now = Moment(0).after(Duration::from_secs((wall - from).unsigned_abs()));
        let due = clock.advance(schedule, now, wall);
        if due > 0 {
            runs.push((wall, due));
        }
    }
    runs
}

/// 2026-01-01 UTC.
const NEW_YEAR: i64 = 1_767_225_600;

#[test]
fn a_year_with_both_changes_is_as_cron_has_it() {
    for (number, zone) in ZONES.iter().enumerate() {
        // A third of all: enough of each.
        for line in LINES.iter().skip(number % 3).step_by(3) {
            let schedule = schedule(line, zone);
            let mut slow = SlowCron::new(&schedule, NEW_YEAR);
            let mut want = Vec::new();
            while slow.wall < NEW_YEAR + 365 * 86_400 - 60 {
                let due = slow.pass(slow.wall + 60);
                if due > 0 {
                    want.push((slow.wall, due));
                }
            }
            assert_eq!(runs(&schedule, NEW_YEAR, 365), want, "{line} in {zone}");
        }
    }
}

/// Whatever the zone does, a daily job runs once a day.
#[test]
fn a_job_at_a_fixed_time_runs_once_each_day() {
    for zone in ZONES {
        for line in ["30 2 * * *", "15 0 * * *", "0 3 * * *", "59 1 * * *", "30 23 * * *", "0 0 * * *"] {
            let schedule = schedule(line, zone);
            let runs = runs(&schedule, NEW_YEAR, 365);
            let mut days: Vec<i64> = runs
                .iter()
                .map(|(wall, due)| {
                    assert_eq!(*due, 1);
                    // A run from before midnight that was made up for after it is still that day's.
                    (wall + i64::from(schedule.zone.offset(*wall - 3600))).div_euclid(86_400)
                })
                .collect();
            days.dedup();
            assert!((364..=365).contains(&days.len()), "{line} in {zone}: {} days", days.len());
            assert!((364..=365).contains(&runs.len()), "{line} in {zone}: {} runs", runs.len());
        }
    }
}

/// The clock is set at any time by up to three hours: what cron does, and no local minute of a fixed time twice.
#[test]
fn a_clock_that_is_set_runs_what_cron_runs() {
    let mut seed = 1_u64;
    let mut below = |most: i64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        i64::try_from(seed >> 33).unwrap() % most
    };
    for round in 0..600_usize {
        let zone = ZONES[round % ZONES.len()];
        let schedule = schedule(LINES[round / 7 % LINES.len()], zone);
        let mut clock = VirtualClock::new(&schedule, Moment(0), EVENING);
        let mut slow = SlowCron::new(&schedule, EVENING);
        let (mut second, mut wall) = (0_i64, EVENING);
        for _ in 0..60 {
            let moment = |second: i64| Moment(0).after(Duration::from_secs(second.unsigned_abs()));
            // It goes on for a while,
            let until = wall + below(5 * 3600);
            while clock.wake() <= until {
                second += clock.wake() - wall;
                wall = clock.wake();
                assert_eq!(clock.advance(&schedule, moment(second), wall), slow.pass(wall), "{schedule:?}");
            }
            (second, wall) = (second + until - wall, until);
            assert_eq!(slow.pass(wall), 0, "{schedule:?}");
            // and is set.
            wall += [60, -60, 7200, -7200, 14_400, -14_400, 240, -86_400][round % 8] + below(50);
            assert_eq!(clock.advance(&schedule, moment(second), wall), slow.jump(wall), "{schedule:?}");
        }
    }
}

#[test]
fn no_minute_of_a_fixed_time_runs_twice_when_the_clock_goes_back() {
    for by in [60, 3599, 7200, 10_800] {
        for minute in 0..240 {
            let schedule = schedule("0,30 0-5 * * *", "UTC0");
            let mut clock = VirtualClock::new(&schedule, Moment(0), NEW_YEAR - 60);
            let (mut wall, mut second, mut due) = (NEW_YEAR - 60, 0, 0);
            let mut set = false;
            while wall < NEW_YEAR + 12 * 3600 {
                let goal = if set { i64::MAX } else { NEW_YEAR + minute * 60 };
                let next = clock.wake().min(goal).min(NEW_YEAR + 12 * 3600);
                (second, wall) = (second + next - wall, next);
                if next == NEW_YEAR + 12 * 3600 {
                    break;
                }
                if next == goal {
                    (wall, set) = (wall - by, true);
                }
                let now = Moment(0).after(Duration::from_secs(i64::unsigned_abs(second)));
                due += clock.advance(&schedule, now, wall);
            }
            assert_eq!(due, 12, "set back by {by} s after {minute} minutes");
        }
    }
}

#[test]
fn a_small_step_of_the_clock_is_no_new_minute() {
    let schedule = schedule("* * * * *", "UTC0");
    let mut clock = VirtualClock::new(&schedule, Moment(0), NEW_YEAR);
    assert_eq!(clock.advance(&schedule, Moment(60_000_000_000), NEW_YEAR + 60), 1);
    // A time server's correction, just after the minute began.
    assert_eq!(clock.advance(&schedule, Moment(60_100_000_000), NEW_YEAR + 59), 0);
    assert_eq!(clock.advance(&schedule, Moment(61_100_000_000), NEW_YEAR + 60), 0);
    assert_eq!(clock.advance(&schedule, Moment(121_000_000_000), NEW_YEAR + 120), 1);
}
