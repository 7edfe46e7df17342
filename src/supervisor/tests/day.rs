//! A day and a night in the life of a container, in seconds: services that crash, jobs by the clock, a clock that is set,
//! pauses and reloads, at random; at the end a stop.

use super::clock::{BERLIN, Way, schedule};
use super::dice::Dice;
use super::scenes::{needs, oneshot, probed, restarting};
use super::world::{Ask, S, World};
use crate::model::*;
use crate::supervisor::event::{Action, ControlOrder, Event};
use crate::supervisor::service::ServiceState;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn job(line: &str, overlap: Overlap, jitter: Duration) -> ServicePolicy {
    let schedule = Schedule { overlap, jitter, ..schedule(line, BERLIN) };
    ServicePolicy { schedule: Some(schedule.into()), ..oneshot() }
}

/// The job of the night in which daylight saving begins: at a time that there is not.
const NIGHTLY: u16 = 4;

fn services() -> Vec<ServicePolicy> {
    vec![
        restarting(Restart::Always),
        needs(&[(0, Condition::Started)], probed()),
        needs(&[(1, Condition::Healthy)], restarting(Restart::OnFailure)),
        needs(&[(0, Condition::Started)], job("*/5 * * * *", Overlap::Queue, 20 * S)),
        job("30 2 * * *", Overlap::Skip, Duration::ZERO),
        job("0 * * * *", Overlap::Skip, 60 * S),
    ]
}

/// What runs does something: a request is answered, or a process ends.
fn act(dice: &mut Dice, world: &mut World) {
    if let Some(ask) = world.asks.first().copied() {
        match (ask, dice.below(40)) {
            (Ask::Spawn(_), 0) => world.refuse(false, 71),
            _ => _ = world.answer(),
        }
        return;
    }
    let all: Vec<_> = world.groups.iter().map(|(pid, group)| (*pid, *group)).collect();
    let Some((pid, group)) = all.get(usize::try_from(dice.below(all.len().max(1) as u64)).unwrap()).copied()
    else {
        return;
    };
    if group.given_up || !group.leader {
        return;
    }
    let outcome = match () {
        () if group.killed => ExitStatus::Signal(Signal::KILL),
        () if group.probe => ExitStatus::Code(u8::from(dice.chance(3))),
        () => ExitStatus::Code(u8::from(dice.chance(50))),
    };
    // A daemon crashes now and then, all else ends.
    let daemon = world.rules[group.of.index()].kind == ServiceType::Daemon && !group.probe && !group.killed;
    let asked = matches!(world.core.records[group.of].state, ServiceState::Stopping(_));
    if !daemon || asked || dice.chance(4) {
        world.end(pid, outcome, false);
    }
}

fn day(seed: u64) -> Result<usize, String> {
    let mut dice = Dice(seed);
    let whole = Settings { sweep_grace: S, stay_when_idle: true, ..Settings::default() };
    let mut world = World::new(services(), whole);
    world.begin();
    let begin = world.wall();
    let mut nights = 0;
    // By the wall clock, however often it is set.
    while world.wall() < begin + 24 * 3600 {
        if let Some(fault) = &world.fault {
            return Err(fault.clone());
        }
        match dice.below(1000) {
            0..500 => act(&mut dice, &mut world),
            500 => world.tell_wall(Way::Set([60, -60, 1800, -1800][usize::try_from(dice.below(4)).unwrap()])),
            501 => {
                world.now = world.now.after(HOUR / 4);
                world.feed(Event::Resumed);
                world.feed(Event::Tick);
                world.tell_wall(Way::Frozen);
            }
            502 => {
                let mut slots = world.core.slots();
                slots[2].policy.stop_grace = S;
                world.replace(slots);
            }
            503 => world.order(3, ControlOrder::Start),
            _ => world.wait(Duration::from_secs(1 + dice.below(20))),
        }
        let spawned = |action: &Action| *action == (Action::Spawn { service: ServiceId(NIGHTLY) });
        nights += world.take().iter().filter(|action| spawned(action)).count();
    }
    if nights != 1 {
        return Err(format!("the night job ran {nights} times"));
    }
    world.signal(Signal::TERM);
    world.finish();
    Ok(usize::try_from(world.steps).unwrap())
}

#[test]
fn a_day_of_crashes_pauses_reloads_and_a_clock_that_is_set() {
    let mut steps = 0;
    for seed in 1..=3_u64 {
        steps += day(seed * 0x9E37_79B9).unwrap_or_else(|fault| panic!("day {seed}: {fault}"));
    }
    println!("{steps} steps");
}
