//! Visits every reachable state of two services, and makes a million random steps with more.

use super::Mutant;
use super::dice::Dice;
use super::world::{Group, Input, S, World};
use crate::model::*;
use crate::supervisor::event::{ControlOrder, Event, SelfReport};
use crate::supervisor::service::ServiceState;
use std::collections::{HashSet, VecDeque};
use std::time::Duration;

// Breadth first.

/// Returns the worlds after everything that can happen next.
#[expect(clippy::too_many_lines, reason = "one table")]
fn futures(world: &World) -> Vec<World> {
    let mut all = Vec::new();
    let mut then = |what: &dyn Fn(&mut World)| {
        let mut next = world.clone();
        what(&mut next);
        all.push(next);
    };
    if world.halted.is_some() {
        return all;
    }
    let is_plain = world.is_plain();
    if !world.asks.is_empty() {
        then(&|w| {
            w.answer();
        });
        then(&|w| w.refuse(true, 127));
        if !is_plain {
            then(&|w| w.refuse(false, 127));
        }
        then(&|w| w.pass());
        if world.core.is_stopping() {
            then(&|w| w.skip());
        }
        if !is_plain {
            for outcome in [ExitStatus::Code(0), ExitStatus::Code(1)] {
                then(&|w| w.answer_early(outcome, false));
            }
            then(&|w| w.answer_early(ExitStatus::Code(1), true));
            then(&|w| w.answer_slowly());
        }
    }
    for (pid, group) in &world.groups {
        if group.loading {
            then(&|w| w.load(*pid));
            then(&|w| w.load_fails(*pid, false));
        }
        if group.leader {
            let outcomes: &[ExitStatus] = match (group.killed, group.probe) {
                (true, _) => &[ExitStatus::Signal(Signal::KILL)],
                (false, false) if is_plain => &[ExitStatus::Code(0)],
                (false, true) => &[ExitStatus::Code(0), ExitStatus::Code(1)],
                (false, false) => {
                    &[ExitStatus::Code(0), ExitStatus::Code(1), ExitStatus::Signal(Signal::TERM)]
                }
            };
            for outcome in outcomes {
                then(&|w| w.end(*pid, *outcome, false));
            }
            if !group.probe && !group.given_up && !is_plain {
                then(&|w| w.end(*pid, ExitStatus::Code(1), true));
            }
        } else if !group.given_up {
            then(&|w| w.group_gone(group.of.0));
        }
    }
    if world.orders {
        for id in 0..u16::try_from(world.rules.len()).unwrap() {
            for order in [
                ControlOrder::Start,
                ControlOrder::Stop { only: false, all: false },
                ControlOrder::Stop { only: true, all: false },
                ControlOrder::Restart,
                ControlOrder::Signal(Signal::HUP),
            ] {
                then(&|w| w.order(id, order));
            }
        }
        then(&|w| w.feed(Event::Shutdown { code: Some(3) }));
    }
    for (id, rules) in (0..).zip(world.rules.iter()) {
        if rules.on_demand {
            then(&|w| w.connect(id));
        }
        let reports = [SelfReport::Ready, SelfReport::Alive, SelfReport::Stopping, SelfReport::Extend(S)];
        for report in reports.into_iter().filter(|_| rules.readiness.is_some()) {
            then(&|w| w.report(id, report));
        }
        if rules.readiness.is_some() && world.runs(id) {
            then(&|w| _ = w.change_main(id));
        }
    }
    then(&|w| w.signal(Signal::TERM));
    if !is_plain {
        // Without a main service the signal would only double the states: reported or not.
        if world.core.whole.main.is_some() {
            then(&|w| w.signal(Signal::HUP));
        }
        then(&|w| w.signal(Signal::INT));
        then(&|w| w.feed(Event::Stop { code: 70 }));
    }
    if world.core.deadline().is_some() {
        then(&|w| {
            w.tick();
        });
    }
    if world.groups.is_empty() && world.asks.is_empty() {
        then(&|w| w.feed(Event::Childless));
    }
    all
}

/// Visits every reachable state; returns how many there are, or the first fault.
fn visit(start: &World, memory: Duration) -> Result<usize, String> {
    let mut start = start.clone();
    start.begin();
    start.rebase(memory);
    let mut known = HashSet::from([start.key()]);
    let mut queue = VecDeque::from([start]);
    while let Some(world) = queue.pop_front() {
        for mut next in futures(&world) {
            if let Some(fault) = next.fault {
                return Err(fault);
            }
            next.seen.clear();
            next.rebase(memory);
            // A process that was given up has no owner any more; the random walk lets it end.
            next.groups.retain(|_, group| !group.given_up);
            if known.insert(next.key()) {
                ends(&next)?;
                // A stop takes no orders; other walks cover it.
                if !(next.is_plain() && next.core.is_stopping()) {
                    queue.push_back(next);
                }
            }
        }
    }
    Ok(known.len())
}

/// From here a stop ends within its bound, whatever the processes do.
fn ends(world: &World) -> Result<(), String> {
    for (react, obey_kill) in [(false, false), (false, true), (true, true)] {
        stop_in_time(&mut world.clone(), react, obey_kill)?;
    }
    Ok(())
}

/// Stops `world`, whose processes `react` to the request or not, and `obey_kill` or not.
fn stop_in_time(world: &mut World, react: bool, obey_kill: bool) -> Result<(), String> {
    let begin = world.now;
    let bound = begin.after(world.core.stop_bound());
    world.feed(Event::Stop { code: 70 });
    for _ in 0..10_000 {
        if let Some(fault) = &world.fault {
            return Err(fault.clone());
        }
        if world.halted.is_some() {
            return Ok(());
        }
        if world.now > bound {
            return Err(format!("a stop took {:?}, bound {:?}", world.now.since(begin), bound.since(begin)));
        }
        if !world.asks.is_empty() {
            world.answer();
            continue;
        }
        let going = world.groups.iter().find(|(_, group)| {
            let asked = match world.core.records[group.of].state {
                ServiceState::Stopping(_) => react,
                _ => false,
            };
            !group.given_up && (asked || (group.killed && obey_kill))
        });
        let going = going.map(|(pid, group)| (*pid, *group));
        match going {
            Some((pid, Group { leader: true, killed, .. })) => {
                let signal = if killed { Signal::KILL } else { Signal::TERM };
                world.end(pid, ExitStatus::Signal(signal), false);
            }
            Some((_, group)) => world.group_gone(group.of.0),
            None if !world.tick() => return Err("a stop that nothing drives on".into()),
            None => {}
        }
    }
    Err("a stop that never ends".into())
}

#[test]
fn every_state_of_a_service_with_hooks() {
    for hooks in [
        [Some(S), None, None, Some(S), None],
        [None, None, Some(S), None, None],
        [Some(S), None, None, None, Some(S)],
    ] {
        let mut rules = two(|_, _, _| {}).rules[0].clone();
        (rules.hooks, rules.start_timeout) = (Some(HookTimeouts(hooks).into()), None);
        visits(500, &World::new(vec![rules], Settings { sweep_grace: S, ..Settings::default() }));
    }
}

fn two(change: impl FnOnce(&mut ServicePolicy, &mut ServicePolicy, &mut Settings)) -> World {
    let restart = RestartPolicy { delay: S, max_attempts: Some(1), window: S, ..RestartPolicy::default() };
    let start_timeout = Some(S);
    let plain =
        ServicePolicy { stop_grace: S, essential: false, restart, start_timeout, ..ServicePolicy::default() };
    let (mut below, mut above, mut whole) =
        (plain.clone(), plain, Settings { sweep_grace: S, ..Settings::default() });
    above.depends_on = vec![on(0, Some(Condition::Started))];
    change(&mut below, &mut above, &mut whole);
    World::new(vec![below, above], whole)
}

fn on(id: u16, condition: Option<Condition>) -> Dependency {
    Dependency { on: ServiceId(id), condition, required: true, restart: false, any: 0 }
}

fn visits(at_least: usize, world: &World) {
    let count = visit(world, S).unwrap_or_else(|fault| panic!("{fault}"));
    println!("{count} states");
    assert!(count >= at_least, "only {count} states were reached");
}

#[test]
fn every_state_of_two_services() {
    visits(20_000, &two(|_, _, _| {}));
}

#[test]
fn every_state_of_two_tied_services() {
    visits(30_000, &two(|_, above, _| above.depends_on[0].restart = true));
}

#[test]
fn every_state_of_a_oneshot_and_the_main_service() {
    visits(
        800,
        &two(|below, above, whole| {
            below.kind = ServiceType::Oneshot;
            above.depends_on = vec![on(0, Some(Condition::Completed))];
            above.restart.when = Restart::No;
            (whole.main, whole.term_stops_main) = (Some(ServiceId(1)), true);
        }),
    );
}

#[test]
fn every_state_of_a_probed_service_and_its_dependent() {
    visits(
        15_000,
        &two(|below, above, whole| {
            below.health = Some(health());
            below.restart.when = Restart::No;
            above.depends_on = vec![on(0, Some(Condition::Healthy))];
            above.restart.when = Restart::No;
            whole.stop_within = Some(2 * S);
        }),
    );
}

#[test]
fn every_state_of_a_service_that_reports() {
    for (notifies, forks) in [(true, false), (false, true)] {
        let mut rules = two(|_, _, _| {}).rules[0].clone();
        let watchdog = notifies.then_some(S);
        rules.readiness = Some(Box::new(ReadinessRules { notifies, forks, watchdog }));
        let whole = Settings { sweep_grace: S, stop_within: Some(2 * S), ..Settings::default() };
        visits(500, &World::new(vec![rules], whole));
    }
}

/// Every order in every state.
#[test]
fn every_state_of_a_service_that_is_ordered_about() {
    for (enabled, kind) in [(true, ServiceType::Daemon), (false, ServiceType::Oneshot)] {
        let mut rules = two(|_, _, _| {}).rules[0].clone();
        (rules.enabled, rules.kind) = (enabled, kind);
        let whole = Settings { sweep_grace: S, stay_when_idle: !enabled, ..Settings::default() };
        let mut world = World::new(vec![rules], whole);
        world.orders = true;
        visits(300, &world);
    }
}

/// Two services, as far as one needs the other; the walk above covers a single one.
#[test]
fn every_state_of_two_services_that_are_ordered_about() {
    for tied in [false, true] {
        let mut world = two(|below, above, _| {
            for rules in [&mut *below, &mut *above] {
                (rules.start_timeout, rules.restart.when) = (None, Restart::No);
            }
            above.depends_on[0].restart = tied;
        });
        world.orders = true;
        visits(5_000, &world);
    }
}

fn health() -> HealthRules {
    HealthRules {
        interval: S,
        timeout: S,
        retries: 1,
        start_period: Duration::ZERO,
        start_interval: S,
        on_unhealthy: OnUnhealthy::Restart,
    }
}

// At random.

/// One random life from the start to a stop, twice. Returns the number of steps.
fn life(seed: u64, mutant: Option<Mutant>) -> Result<u64, String> {
    let mut dice = Dice(seed);
    let mut world = dice.world().with(mutant);
    let fresh = world.core.clone();
    world.events = Some(Vec::new());
    if dice.chance(98) {
        world.begin();
    }
    for _ in 0..dice.below(400) {
        if world.halted.is_some() || world.fault.is_some() {
            break;
        }
        dice.event(&mut world);
    }
    if let Some(fault) = world.fault {
        return Err(fault);
    }
    stop_in_time(&mut world, dice.chance(50), dice.chance(50))?;
    for event in [Event::Tick, Event::Begin, Event::Signal(Signal::TERM), Event::Childless] {
        world.feed(event);
    }
    if let Some(fault) = world.fault {
        return Err(fault);
    }
    let (mut again, mut out) = (fresh, Vec::new());
    for (now, event) in world.events.iter().flatten() {
        match event {
            Input::Event(event) => again.step(*now, *event, &mut out),
            Input::Replace(slots) => again.replace(*now, slots.clone(), &mut out),
        }
    }
    if out != world.seen {
        return Err("the same events gave other actions".into());
    }
    Ok(world.steps)
}

#[test]
fn a_million_random_steps() {
    let mut steps = 0;
    let mut seed = 1;
    while steps < 1_000_000 {
        steps += life(seed * 0x9E37_79B9, None).unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
        seed += 1;
    }
    println!("{seed} lives, {steps} steps");
}

/// Lives in which rare faults are seen, so that not thousands are searched for them. Which these are changes with the
/// dice: then the search takes longer, and prints the new ones (`--nocapture`).
const SEEN_BY: [u64; 8] = [5734, 4164, 754, 581, 459, 428, 414, 317];

/// The walks are only worth something if they find every injected fault.
#[test]
fn the_invariants_find_every_fault_that_is_put_in() {
    for mutant in Mutant::ALL.iter().copied() {
        let found = SEEN_BY
            .into_iter()
            .chain(1..20_000)
            .find_map(|seed| life(seed * 0x9E37_79B9, Some(mutant)).err().map(|fault| (seed, fault)));
        println!("{mutant:?}: {found:?}");
        assert!(found.is_some(), "nobody noticed {mutant:?}");
    }
}

#[test]
fn the_walk_of_all_states_finds_faults_too() {
    let mutants =
        [Mutant::DropEarlyExit, Mutant::LoseKillTimer, Mutant::ForgetDependents, Mutant::StopAllAtOnce];
    for mutant in mutants {
        let found = visit(&two(|_, _, _| {}).with(Some(mutant)), S);
        assert!(found.is_err(), "nobody noticed {mutant:?}");
    }
}

#[test]
fn a_thousand_services_start_in_no_time() {
    let last = 999;
    let mut rules = vec![ServicePolicy { essential: false, ..ServicePolicy::default() }; 1000];
    rules[last].depends_on = (0..999).map(|id| on(id, Some(Condition::Started))).collect();
    let mut core = super::super::Supervisor::new(rules, Settings::default());
    let mut out = Vec::new();
    core.step(Moment(1), Event::Begin, &mut out);
    for id in 0..1000 {
        core.step(Moment(2), Event::Spawned { service: ServiceId(id), pid: 100 + i32::from(id) }, &mut out);
    }
    assert!(
        (0..1000)
            .all(|id| matches!(core.state_of(ServiceId(id)), super::super::ServiceStatus::Running { .. }))
    );
}
