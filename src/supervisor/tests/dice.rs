//! Random sets of services, and random events.

use super::clock::{self, Way};
use super::world::{Group, S, World};
use crate::model::*;
use crate::supervisor::event::{ControlOrder, Event, SelfReport};
use crate::supervisor::reload::{Change, Slot};
use std::time::Duration;

/// Random numbers, reproducible from the seed, and the events they choose.
pub(super) struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()].clone()
    }

    fn span(&mut self) -> Duration {
        Duration::from_millis(self.one(&[0, 1, 100, 1000, 3000, 10_000]))
    }

    fn outcome(&mut self) -> ExitStatus {
        let signals = [Signal::TERM, Signal::KILL, Signal::from_number(11).unwrap(), Signal::INT];
        let ends = [0, 0, 1, 3, 143].map(ExitStatus::Code);
        if self.chance(60) { self.one(&ends) } else { ExitStatus::Signal(self.one(&signals)) }
    }

    fn update(&mut self, id: u16) -> UpdateRules {
        UpdateRules { start_first: id < 13 && self.chance(40), monitor: self.one(&[Duration::ZERO, S]) }
    }

    #[expect(clippy::too_many_lines, reason = "one table")]
    fn rules(&mut self, id: u16, order: &[u16]) -> ServicePolicy {
        let kind = if self.chance(30) { ServiceType::Oneshot } else { ServiceType::Daemon };
        let place = order.iter().position(|other| *other == id).unwrap();
        let mut depends_on = Vec::new();
        for other in &order[..place] {
            if self.chance(30) {
                let conditions = [Condition::Started, Condition::Healthy, Condition::Completed];
                depends_on.push(Dependency {
                    on: ServiceId(*other),
                    condition: if self.chance(25) { None } else { Some(self.one(&conditions)) },
                    required: self.chance(70),
                    restart: self.chance(30),
                    any: 0,
                });
            }
        }
        if self.chance(40) {
            // The first ones are instances of one service, of which one is enough.
            let count = usize::try_from(1 + self.below(3)).unwrap().min(depends_on.len());
            if let Some(first) = depends_on.first().copied() {
                for edge in &mut depends_on[..count] {
                    *edge = Dependency { on: edge.on, any: 1, ..first };
                }
            }
        }
        ServicePolicy {
            kind,
            enabled: self.chance(90),
            essential: self.chance(15),
            depends_on,
            restart: RestartPolicy {
                when: self.one(&[Restart::No, Restart::Always, Restart::OnFailure, Restart::UnlessStopped]),
                delay: self.span(),
                jitter: self.one(&[0.0, 0.5]),
                max_attempts: self.one(&[None, Some(0), Some(1), Some(3)]),
                window: self.one(&[S, 10 * S]),
                start_limit: self.rate(),
                never_on: if self.chance(20) { vec![self.outcome()] } else { Vec::new() },
                always_on: if self.chance(20) { vec![self.outcome()] } else { Vec::new() },
                ..RestartPolicy::default()
            },
            success: if self.chance(20) { vec![self.outcome()] } else { Vec::new() },
            on_demand: kind == ServiceType::Daemon && self.chance(20),
            start_timeout: self.chance(20).then(|| self.span()),
            run_timeout: self.chance(20).then(|| self.span()),
            stop_signal: self.one(&[Signal::TERM, Signal::INT]),
            stop_grace: self.span(),
            kill_mode: self.one(&[KillMode::Mixed, KillMode::Group, KillMode::Process, KillMode::All]),
            readiness: (kind == ServiceType::Daemon && self.chance(30)).then(|| {
                let notifies = self.chance(70);
                let watchdog = (notifies && self.chance(50)).then(|| self.span());
                Box::new(ReadinessRules { notifies, forks: self.chance(40), watchdog })
            }),
            update: self.update(id),
            health: self.chance(40).then(|| HealthRules {
                interval: self.span(),
                timeout: self.span(),
                retries: self.one(&[1, 2]),
                start_period: self.span(),
                start_interval: self.span(),
                on_unhealthy: self.one(&[OnUnhealthy::Restart, OnUnhealthy::Ignore, OnUnhealthy::Stop]),
            }),
            min_uptime: if self.chance(20) { self.span() } else { Duration::ZERO },
            hooks: self.chance(30).then(|| self.hooks().into()),
            schedule: (kind == ServiceType::Oneshot && self.chance(25)).then(|| self.schedule().into()),
        }
    }

    fn schedule(&mut self) -> Schedule {
        let lines =
            ["* * * * *", "*/2 * * * *", "*/30 * * * *", "0,30 0-6 * * *", "30 2 * * *", "15 1 * * *"];
        let mut schedule = clock::schedule(self.one(&lines), self.one(&[clock::BERLIN, "UTC0"]));
        schedule.overlap = self.one(&[Overlap::Skip, Overlap::Queue]);
        schedule.jitter = self.one(&[Duration::ZERO, S, 20 * S]);
        schedule
    }

    /// The wall clock goes on, is set, or nobody can look at it.
    fn clock(&mut self, world: &mut World) {
        const STEPS: [i64; 10] = [60, -60, 240, -240, 1800, -3600, 7200, -7200, 14_400, -86_400];
        match self.below(6) {
            0 => world.tell_wall(Way::Set(self.one(&STEPS))),
            1 => {
                world.now = world.now.after(Duration::from_secs(self.one(&[90, 600, 7200, 20_000])));
                world.feed(Event::Resumed);
                if world.core.deadline().is_some_and(|at| at <= world.now) {
                    world.feed(Event::Tick);
                }
                world.tell_wall(Way::Frozen);
            }
            _ => world.wait(Duration::from_secs(self.one(&[10, 60, 60, 120]))),
        }
    }

    fn rate(&mut self) -> Option<RateLimit> {
        let burst = 1 + u32::try_from(self.below(3)).unwrap();
        self.chance(20).then(|| RateLimit { burst, interval: self.one(&[S, 10 * S, Duration::MAX]) })
    }

    fn hooks(&mut self) -> HookTimeouts {
        let mut timeouts = HookTimeouts::default();
        for limit in &mut timeouts.0 {
            *limit = self.chance(50).then(|| self.one(&[S, 3 * S, 20 * S, Duration::MAX]));
        }
        // Only that before the stop has a grace period that ends it.
        for hook in [0, 1, 3, 4] {
            timeouts.0[hook] = timeouts.0[hook].map(|limit| limit.min(20 * S));
        }
        timeouts
    }

    pub fn world(&mut self) -> World {
        let count = u16::try_from(2 + self.below(11)).unwrap();
        let mut order: Vec<u16> = (0..count).collect();
        for at in (1..order.len()).rev() {
            let other = usize::try_from(self.below(at as u64 + 1)).unwrap();
            order.swap(at, other);
        }
        let mut rules: Vec<ServicePolicy> = (0..count).map(|id| self.rules(id, &order)).collect();
        wait_for_probed(rules.iter_mut());
        let main = self.chance(30).then(|| self.one(&order));
        if let Some(main) = main {
            // So does it refuse that the COMMAND waits for connections.
            rules[usize::from(main)].on_demand = false;
        }
        without_schedule(&mut rules.iter_mut(), main.map(ServiceId));
        let to = SignalRule::To(ServiceId(0), Signal::HUP);
        let signal_rules = [SignalRule::Stop, SignalRule::Ignore, SignalRule::As(Signal::TERM), to];
        let whole = Settings {
            main: main.map(ServiceId),
            stop_within: self.chance(30).then(|| self.span()),
            stop_delay: if self.chance(30) { self.span() } else { Duration::ZERO },
            sweep_grace: self.span(),
            leftovers: self.one(&[Leftovers::Stop, Leftovers::Tell(Signal::TERM), Leftovers::Leave]),
            signals: if self.chance(30) { vec![(Signal::HUP, self.one(&signal_rules))] } else { Vec::new() },
            group_signals: self.chance(50),
            term_stops_main: self.chance(50),
            restart_limit: if self.chance(30) { self.rate() } else { None },
            stay_when_idle: self.chance(30),
            seed: self.0,
        };
        World::new(rules, whole)
    }

    /// Another set of services.
    fn slots(&mut self, world: &World) -> Vec<Slot> {
        let known = world.core.slots();
        let main = world.core.whole.main;
        let more = usize::from(self.chance(40)).min(14 - known.len().min(14));
        let mut slots: Vec<Slot> = known;
        slots.extend((0..more).map(|_| Slot { policy: ServicePolicy::default(), change: Change::Vacant }));
        for (at, slot) in slots.iter_mut().enumerate() {
            let is_main = main.is_some_and(|main| main.index() == at);
            slot.change = match slot.change {
                Change::Keep if !is_main && self.chance(20) => Change::Remove,
                Change::Keep if self.chance(30) => Change::Restart,
                Change::Vacant if self.chance(60) => Change::Add,
                change => change,
            };
        }
        // None that stays may need one that does not.
        let ids = (0..u16::try_from(slots.len()).unwrap())
            .filter(|id| !matches!(slots[usize::from(*id)].change, Change::Remove | Change::Vacant));
        let mut order: Vec<u16> = ids.collect();
        for at in (1..order.len()).rev() {
            let other = usize::try_from(self.below(at as u64 + 1)).unwrap();
            order.swap(at, other);
        }
        let is_redone = self.chance(50);
        for id in order.clone() {
            let slot = &mut slots[usize::from(id)];
            let new = self.rules(id, &order);
            match slot.change {
                Change::Add => slot.policy = new,
                _ if is_redone => {
                    let enabled = if main == Some(ServiceId(id)) { slot.policy.enabled } else { new.enabled };
                    // A stop that has begun goes on as it began; a test of its own has that.
                    let (kind, kill_mode) = (slot.policy.kind, slot.policy.kill_mode);
                    let readiness = slot.policy.readiness.clone();
                    let on_demand = new.on_demand && kind == ServiceType::Daemon;
                    let schedule = new.schedule.clone().filter(|_| kind == ServiceType::Oneshot);
                    let schedule = if self.chance(50) { slot.policy.schedule.clone() } else { schedule };
                    slot.policy =
                        ServicePolicy { enabled, kind, kill_mode, schedule, readiness, on_demand, ..new };
                }
                _ => slot.policy.depends_on.retain(|edge| order.contains(&edge.on.0)),
            }
        }
        if !is_redone {
            // The old order holds; what is new needs nobody.
            for slot in slots.iter_mut().filter(|slot| slot.change == Change::Add) {
                slot.policy.depends_on.clear();
            }
        }
        wait_for_probed(slots.iter_mut().map(|slot| &mut slot.policy));
        without_schedule(&mut slots.iter_mut().map(|slot| &mut slot.policy), main);
        while slots.last().is_some_and(|slot| slot.change == Change::Vacant) {
            slots.pop();
        }
        slots
    }

    /// Makes something happen.
    pub fn event(&mut self, world: &mut World) {
        let signals =
            [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT, Signal::from_number(10).unwrap()];
        if !world.asks.is_empty() && self.chance(60) {
            match self.below(10) {
                0 => world.refuse(self.chance(20), 127),
                1 => world.answer_early(self.outcome(), self.chance(20)),
                2 if world.core.is_stopping() => world.skip(),
                2 => world.answer_slowly(),
                3 => world.pass(),
                _ => _ = world.answer(),
            }
            return;
        }
        match self.below(100) {
            0..15 if !world.core.jobs.is_empty() => self.clock(world),
            0..30 => self.time(world),
            30..75 => self.process(world),
            75..77 => self.stranger(world),
            83 if self.chance(70) => {
                let count = u64::try_from(world.rules.len()).unwrap();
                world.connect(u16::try_from(self.below(count)).unwrap());
            }
            84..94 => {
                let count = u64::try_from(world.rules.len()).unwrap().max(1);
                let id = if self.chance(2) { 99 } else { u16::try_from(self.below(count)).unwrap() };
                let orders = [
                    ControlOrder::Start,
                    ControlOrder::Stop { only: false, all: false },
                    ControlOrder::Stop { only: false, all: true },
                    ControlOrder::Stop { only: true, all: false },
                    ControlOrder::Restart,
                    ControlOrder::Roll,
                    ControlOrder::Roll,
                    ControlOrder::Signal(Signal::HUP),
                ];
                world.order(id, self.one(&orders));
            }
            94 if self.chance(10) => world.feed(Event::Shutdown { code: None }),
            77 => world.feed(Event::Spawned { service: ServiceId(99), pid: 1 }),
            78 => world.feed(Event::Childless),
            79 if self.chance(10) => world.feed(Event::Stop { code: 70 }),
            80 | 81 if self.chance(20) || world.core.is_stopping() => world.signal(self.one(&signals)),
            82 => world.signal(signals[4]),
            83 => {
                let slots = self.slots(world);
                world.replace(slots);
            }
            95 | 96 => {
                let count = u64::try_from(world.rules.len()).unwrap().max(1);
                let service = ServiceId(u16::try_from(self.below(count)).unwrap());
                world.feed(Event::ProbeNow { service });
            }
            97..100 => self.report(world),
            _ => self.time(world),
        }
    }

    fn time(&mut self, world: &mut World) {
        let span = self.span();
        match world.due() {
            Some(at) if at <= world.now.after(span) || self.chance(30) => {
                if world.wall_due().is_some_and(|wall| wall <= at) {
                    world.tick();
                    return;
                }
                world.now = at.max(world.now).after(Duration::from_nanos(self.below(2)));
                world.feed(Event::Tick);
            }
            _ => world.now = world.now.after(span),
        }
    }

    fn process(&mut self, world: &mut World) {
        let all: Vec<(Pid, Group)> = world.groups.iter().map(|(pid, group)| (*pid, *group)).collect();
        if all.is_empty() {
            return self.time(world);
        }
        let (pid, group) = self.one(&all);
        if group.loading && !group.given_up {
            match self.below(4) {
                0 | 1 => return world.load(pid),
                2 => return world.load_fails(pid, self.chance(20)),
                _ => {}
            }
        }
        let outcome = if group.killed { ExitStatus::Signal(Signal::KILL) } else { self.outcome() };
        if group.leader {
            let outcome = if group.probe && self.chance(70) { ExitStatus::Code(0) } else { outcome };
            world.end(pid, outcome, !group.probe && !group.given_up && self.chance(25));
        } else if group.given_up {
            world.groups.remove(&pid);
        } else {
            world.group_gone(group.of.0);
        }
    }

    /// A service reports on itself; most of those that are to.
    fn report(&mut self, world: &mut World) {
        let may = |id: &u16| world.rules[usize::from(*id)].readiness.is_some();
        let all: Vec<u16> = (0..u16::try_from(world.rules.len()).unwrap()).collect();
        let some: Vec<u16> = all.iter().copied().filter(may).collect();
        if all.is_empty() {
            return self.time(world);
        }
        let id = if some.is_empty() || self.chance(5) { self.one(&all) } else { self.one(&some) };
        if self.chance(10) && world.runs(id) && world.rules[usize::from(id)].readiness.is_some() {
            world.change_main(id);
            return;
        }
        let reports = [
            SelfReport::Ready,
            SelfReport::Ready,
            SelfReport::Ready,
            SelfReport::Alive,
            SelfReport::Reloading,
            SelfReport::Stopping,
            SelfReport::Trigger,
            SelfReport::Watchdog(self.span()),
            SelfReport::Extend(self.span()),
        ];
        world.report(id, self.one(&reports));
    }

    /// An unknown orphan ends: nothing changes.
    fn stranger(&mut self, world: &mut World) {
        let (before, seen) = (world.key(), world.seen.len());
        world.feed(Event::Exited { pid: 9, outcome: self.outcome(), group_left: self.chance(10) });
        let changed = world.asks.is_empty() && world.key() != before;
        if changed || world.seen.len() != seen {
            world.fault.get_or_insert_with(|| "an unknown pid changed something".into());
        }
    }
}

/// The configuration rejects waiting for the health of a service without a healthcheck.
fn wait_for_probed<'r>(rules: impl Iterator<Item = &'r mut ServicePolicy>) {
    let mut rules: Vec<&mut ServicePolicy> = rules.collect();
    let probed: Vec<bool> =
        rules.iter().map(|rules| rules.health.is_some() || rules.readiness.is_some()).collect();
    for edge in rules.iter_mut().flat_map(|rules| &mut rules.depends_on) {
        if edge.condition == Some(Condition::Healthy) && !probed[edge.on.index()] {
            edge.condition = Some(Condition::Started);
        }
    }
}

/// Nothing waits for what the clock starts, and the COMMAND is not.
fn without_schedule(rules: &mut dyn Iterator<Item = &mut ServicePolicy>, main: Option<ServiceId>) {
    let mut rules: Vec<&mut ServicePolicy> = rules.collect();
    if let Some(main) = main.and_then(|main| rules.get_mut(main.index())) {
        main.schedule = None;
    }
    // Runs are counted by their programs: the walk has no hooks beside a schedule.
    for rules in rules.iter_mut().filter(|rules| rules.hooks.is_some()) {
        rules.schedule = None;
    }
    let scheduled: Vec<bool> = rules.iter().map(|rules| rules.schedule.is_some()).collect();
    for rules in rules {
        rules.depends_on.retain(|edge| !scheduled[edge.on.index()]);
    }
}
