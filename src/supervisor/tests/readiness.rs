//! What services report on themselves: the rules, one by one.

use super::scenes::{daemon, needs, restarting};
use super::world::{S, World};
use crate::model::*;
use crate::supervisor::ServiceStatus;
use crate::supervisor::event::{Action, Event, Next, Note, SelfReport, StopReason};
use std::time::Duration;

fn notifying(watchdog: Option<Duration>) -> ServicePolicy {
    let rules = ReadinessRules { notifies: true, forks: false, watchdog };
    ServicePolicy { readiness: Some(Box::new(rules)), ..restarting(Restart::OnFailure) }
}

fn forking() -> ServicePolicy {
    let rules = ReadinessRules { notifies: false, forks: true, watchdog: None };
    ServicePolicy { readiness: Some(Box::new(rules)), ..daemon() }
}

fn begun(rules: Vec<ServicePolicy>, whole: Settings) -> World {
    let mut world = World::new(rules, whole);
    world.begin();
    world.answer_all();
    world
}

fn up(rules: Vec<ServicePolicy>) -> World {
    begun(rules, Settings::default())
}

fn is_ready(world: &World, id: u16) -> bool {
    matches!(world.status(id), ServiceStatus::Running { ready: true, .. })
}

#[test]
fn dependents_wait_for_the_report_whatever_they_wait_for() {
    for condition in [Condition::Started, Condition::Healthy] {
        let mut w = up(vec![notifying(None), needs(&[(0, condition)], daemon())]);
        assert!(w.asks.is_empty() && !is_ready(&w, 0));
        w.report(0, SelfReport::Ready);
        assert!(is_ready(&w, 0) && w.asks.len() == 1);
        w.answer();
        // A second one says nothing new; a restart has to say it again.
        w.report(0, SelfReport::Ready);
        assert_eq!(w.notes().filter(|note| matches!(note, Note::Ready { .. })).count(), 1);
        w.exit(0, 1);
        w.wait(S);
        w.answer();
        assert!(w.runs(0) && !is_ready(&w, 0));
        assert_eq!(w.fault, None);
    }
}

#[test]
fn one_with_a_healthcheck_has_to_be_healthy_too() {
    for ready_first in [true, false] {
        let rules = ServicePolicy { health: super::scenes::probed().health, ..notifying(None) };
        let mut w = up(vec![rules, needs(&[(0, Condition::Healthy)], daemon())]);
        let steps: [fn(&mut World); 2] = [|w| w.report(0, SelfReport::Ready), |w| w.probe(0, 0)];
        let order = if ready_first { [0, 1] } else { [1, 0] };
        steps[order[0]](&mut w);
        assert!(!is_ready(&w, 0) && w.asks.is_empty());
        steps[order[1]](&mut w);
        assert!(is_ready(&w, 0) && w.asks.len() == 1);
    }
}

#[test]
fn the_first_extension_comes_in_time_and_ready_ends_it() {
    let mut w = up(vec![ServicePolicy { start_timeout: Some(3 * S), ..notifying(None) }]);
    w.wait(2 * S);
    w.report(0, SelfReport::Extend(5 * S));
    w.wait(4 * S);
    assert!(w.runs(0));
    w.wait(2 * S);
    assert!(matches!(w.status(0), ServiceStatus::Stopping { cause: StopReason::StartTimeout, .. }));
    let mut w = up(vec![ServicePolicy { run_timeout: Some(3 * S), ..notifying(None) }]);
    w.report(0, SelfReport::Extend(50 * S));
    w.report(0, SelfReport::Ready);
    w.wait(3 * S);
    assert!(matches!(w.status(0), ServiceStatus::Stopping { cause: StopReason::RunTimeout, .. }));
}

/// Where nothing else bounds a stop of the container, its bound is the sum of the grace periods.
#[test]
fn a_stop_is_extended_within_its_bound_only() {
    for (within, lives) in [(None, false), (Some(60 * S), true)] {
        let mut w = begun(vec![notifying(None)], Settings { stop_within: within, ..Settings::default() });
        w.signal(Signal::TERM);
        let pid = w.pid(0);
        w.report(0, SelfReport::Extend(1000 * S));
        w.wait(11 * S);
        assert_eq!(!w.signals_to(pid).contains(&Signal::KILL), lives);
        w.wait(50 * S);
        assert!(w.signals_to(pid).contains(&Signal::KILL) && w.fault.is_none());
    }
    let mut w = up(vec![notifying(None)]);
    w.order(0, crate::supervisor::event::ControlOrder::Restart);
    w.report(0, SelfReport::Extend(100 * S));
    let pid = w.pid(0);
    w.wait(99 * S);
    assert!(!w.signals_to(pid).contains(&Signal::KILL));
}

#[test]
fn the_watchdog_begins_when_it_is_ready_and_a_pause_is_forgiven() {
    let mut w = up(vec![notifying(Some(5 * S))]);
    w.wait(100 * S);
    assert!(w.runs(0));
    w.report(0, SelfReport::Ready);
    w.wait(4 * S);
    w.report(0, SelfReport::Alive);
    w.wait(4 * S);
    assert!(w.runs(0));
    w.now = w.now.after(100 * S);
    w.feed(Event::Resumed);
    w.alive[0] = w.now;
    w.feed(Event::Tick);
    assert!(w.runs(0));
    w.wait(5 * S);
    assert!(matches!(w.status(0), ServiceStatus::Stopping { cause: StopReason::Watchdog, .. }));
    w.exit(0, 0);
    assert!(matches!(w.next(0), Some(Next::Restarting { .. })), "an end with success does not help");
    w.wait(S);
    w.answer();
    w.report(0, SelfReport::Trigger);
    assert!(matches!(w.status(0), ServiceStatus::Stopping { cause: StopReason::Watchdog, .. }));
}

#[test]
fn a_watchdog_may_be_set_and_ended_at_run_time() {
    let mut w = up(vec![notifying(None)]);
    w.report(0, SelfReport::Ready);
    w.report(0, SelfReport::Watchdog(2 * S));
    w.report(0, SelfReport::Watchdog(Duration::ZERO));
    w.wait(100 * S);
    assert!(w.runs(0));
    w.report(0, SelfReport::Watchdog(2 * S));
    w.wait(2 * S);
    assert!(!w.runs(0));
}

#[test]
fn a_reload_that_is_not_confirmed_ends_some_day() {
    let mut w = up(vec![notifying(None)]);
    w.report(0, SelfReport::Reloading);
    assert!(!w.core.is_reloading(ServiceId(0)), "it is not ready yet");
    w.report(0, SelfReport::Ready);
    for confirmed in [true, false] {
        w.report(0, SelfReport::Reloading);
        assert!(w.core.is_reloading(ServiceId(0)) && is_ready(&w, 0));
        if confirmed {
            w.report(0, SelfReport::Ready);
        } else {
            w.wait(90 * S);
        }
        assert!(!w.core.is_reloading(ServiceId(0)) && is_ready(&w, 0));
        assert!(w.notes().any(|note| *note == Note::Reloaded { service: ServiceId(0), confirmed }));
    }
}

#[test]
fn one_that_stops_by_itself_gets_its_grace_and_its_end_counts() {
    let mut w = up(vec![notifying(None)]);
    let pid = w.pid(0);
    w.report(0, SelfReport::Stopping);
    assert_eq!(w.signals_to(pid), []);
    w.wait(10 * S);
    assert_eq!(w.signals_to(pid), [Signal::KILL]);
    w.die(0, Signal::KILL);
    assert!(matches!(w.next(0), Some(Next::Restarting { .. })));
}

#[test]
fn the_main_process_of_one_that_forks_is_followed() {
    let mut w = up(vec![forking(), needs(&[(0, Condition::Started)], daemon())]);
    assert!(w.asks.is_empty() && !is_ready(&w, 0));
    let first = w.pid(0);
    w.end(first, ExitStatus::Code(0), true);
    assert!(w.seen.contains(&Action::FollowFork { service: ServiceId(0), pid: first }));
    w.answer_slowly();
    let helper = w.pid(0);
    w.load(helper);
    assert!(is_ready(&w, 0) && w.pid(0) != helper);
    w.answer();
    assert!(w.runs(1));
    // Its second end is an end.
    w.exit(0, 0);
    assert_eq!((w.next(0), w.fault), (Some(Next::Done), None));
}

#[test]
fn one_that_forks_and_fails_is_not_followed() {
    let mut w = up(vec![forking()]);
    w.exit(0, 1);
    assert_eq!(w.next(0), Some(Next::Failed));
    // Nor is one whose main process is not found in time.
    let mut w = up(vec![ServicePolicy { start_timeout: Some(3 * S), ..forking() }]);
    w.exit(0, 0);
    w.answer_slowly();
    let helper = w.pid(0);
    w.wait(3 * S);
    assert!(w.seen.contains(&Action::KillStart { pid: helper }));
    w.die(0, Signal::KILL);
    assert_eq!((w.next(0), w.fault), (Some(Next::Failed), None));
}
