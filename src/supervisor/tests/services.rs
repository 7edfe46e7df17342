//! The rules of a single service, one short story each.

use super::scenes::*;
use super::world::{S, World};
use crate::model::Condition::{Completed, Healthy, Started};
use crate::model::*;
use crate::supervisor::event::{Action, Event, Next, Note, Over, StopReason};
use crate::supervisor::{ServiceStatus, Supervisor};

// Starting.

#[test]
fn services_start_as_listed_and_after_what_they_need() {
    let w = up(vec![needs(&[(2, Started)], daemon()), daemon(), daemon()]);
    assert_eq!(spawns(&w), [1, 2, 0]);
    assert_eq!(w.core.start_order().iter().map(|id| id.0).collect::<Vec<_>>(), [2, 0, 1]);
}

#[test]
fn completed_waits_for_success() {
    let mut w = up(vec![oneshot(), needs(&[(0, Completed)], daemon())]);
    assert!(!w.runs(1));
    w.exit(0, 0);
    w.answer_all();
    assert!(w.runs(1));
    assert_eq!(w.next(0), Some(Next::Done));
}

#[test]
fn what_needs_a_failed_service_is_unreachable_all_the_way() {
    let mut w =
        up(vec![oneshot(), needs(&[(0, Completed)], daemon()), needs(&[(1, Started)], essential(daemon()))]);
    w.exit(0, 7);
    assert!(told(&w, Note::Unreachable { service: ServiceId(1), needs: ServiceId(0) }));
    assert!(told(&w, Note::Unreachable { service: ServiceId(2), needs: ServiceId(1) }));
    assert!(told(&w, Note::ShuttingDown { because: Some(ServiceId(2)) }));
    assert_eq!(w.finish(), 7);
}

fn off(rules: ServicePolicy) -> ServicePolicy {
    ServicePolicy { enabled: false, ..rules }
}

/// A oneshot with `when_missing` blocked all its dependents from the second start on.
#[test]
fn what_needs_a_service_that_is_off_goes_without() {
    let probed = ServicePolicy { health: super::scenes::probed().health, ..daemon() };
    for (on, condition) in [(oneshot(), Completed), (daemon(), Started), (probed, Healthy)] {
        let w = up(vec![off(on), needs(&[(0, condition)], essential(daemon()))]);
        assert!(w.runs(1), "{condition:?}");
    }
}

#[test]
fn order_holds_through_services_that_are_off() {
    let between = |rules| [off(needs(&[(0, Completed)], daemon())), off(needs(&[(1, Started)], rules))];
    for last in [needs(&[(2, Healthy)], daemon()), after(2, daemon())] {
        let mut rules = vec![oneshot()];
        rules.extend(between(daemon()));
        rules.push(last);
        let mut w = up(rules);
        assert_eq!(spawns(&w), [0]);
        w.exit(0, 0);
        w.answer_all();
        assert_eq!(spawns(&w), [0, 3]);
    }
}

#[test]
fn what_one_that_is_off_would_need_is_missed_behind_it() {
    let rules = |required| {
        let mut rules =
            vec![oneshot(), off(needs(&[(0, Completed)], daemon())), needs(&[(1, Started)], daemon())];
        rules[2].depends_on[0].required = required;
        rules
    };
    let mut w = up(rules(true));
    w.exit(0, 7);
    assert!(told(&w, Note::Unreachable { service: ServiceId(2), needs: ServiceId(0) }));
    let mut w = up(rules(false));
    w.exit(0, 7);
    w.answer_all();
    assert!(w.runs(2));
}

#[test]
fn a_stop_is_in_order_through_services_that_are_off() {
    let mut w = up(vec![
        daemon(),
        off(needs(&[(0, Started)], daemon())),
        needs(&[(1, Started)], ServicePolicy { stop_grace: 10 * S, ..daemon() }),
    ]);
    w.signal(Signal::TERM);
    assert!(w.runs(0) && !matches!(w.status(0), ServiceStatus::Stopping { .. }));
    w.die(2, Signal::TERM);
    assert!(matches!(w.status(0), ServiceStatus::Stopping { .. }));
}

#[test]
fn twenty_thousand_that_are_off_stand_in_one_chain() {
    let mut rules = vec![oneshot()];
    rules.extend((0..20_000).map(|on| off(needs(&[(on, Completed)], daemon()))));
    rules.push(needs(&[(20_000, Started)], daemon()));
    let mut core = Supervisor::new(rules, Settings::default());
    let mut out = Vec::new();
    let mut step = |event| {
        core.step(Moment::default(), event, &mut out);
        std::mem::take(&mut out)
    };
    let spawn = |id| Action::Spawn { service: ServiceId(id) };
    assert_eq!(step(Event::Begin), [spawn(0)]);
    step(Event::Spawned { service: ServiceId(0), pid: 100 });
    let last = step(Event::Exited { pid: 100, outcome: ExitStatus::Code(0), group_left: false });
    assert!(last.contains(&spawn(20_001)), "{last:?}");
}

#[test]
fn what_is_not_required_is_not_missed() {
    let mut rules = vec![oneshot(), needs(&[(0, Completed)], daemon())];
    rules[1].depends_on[0].required = false;
    let mut w = up(rules);
    w.exit(0, 1);
    w.answer_all();
    assert!(w.runs(1));
}

#[test]
fn after_waits_for_what_starts_and_for_nothing_else() {
    let mut w = up(vec![
        oneshot(),
        after(0, daemon()),
        after(3, daemon()),
        ServicePolicy { enabled: false, ..daemon() },
    ]);
    assert!(!w.runs(1) && w.runs(2));
    w.exit(0, 1);
    w.answer_all();
    assert!(w.runs(1));
}

#[test]
fn a_restart_disturbs_nobody_but_those_that_are_tied() {
    let mut rules = vec![restarting(Restart::Always)];
    rules.extend([needs(&[(0, Started)], daemon()), needs(&[(0, Started)], daemon())]);
    rules[2].depends_on[0].restart = true;
    let mut w = up(rules);
    w.exit(0, 1);
    assert!(w.runs(1));
    let cause = StopReason::Dependency(ServiceId(0));
    assert!(matches!(w.status(2), ServiceStatus::Stopping { cause: c, .. } if c == cause));
    w.die(2, Signal::TERM);
    assert_eq!(w.status(2), ServiceStatus::Waiting);
    w.tick();
    w.answer_all();
    assert!(w.runs(0) && w.runs(2));
    assert_eq!(w.core.attempts_of(ServiceId(2)), 0);
}

#[test]
fn a_lasting_failure_to_start_is_final_and_another_is_an_attempt() {
    let mut w = World::new(vec![essential(restarting(Restart::Always)), daemon()], Settings::default());
    w.begin();
    w.refuse(false, 71);
    assert_eq!(restarts_in(&w, 0), Some(S));
    w.answer_all();
    w.tick();
    w.refuse(true, 127);
    assert_eq!(w.next(0), Some(Next::Over(Over::Stays)));
    assert_eq!(w.finish(), 127);
}

#[test]
fn a_child_that_died_before_its_pid_was_known_is_not_lost() {
    let mut w = World::new(vec![oneshot(), daemon()], Settings::default());
    w.begin();
    w.answer_early(ExitStatus::Code(3), false);
    assert_eq!(w.next(0), Some(Next::Failed));
    assert_eq!(w.status(0), ServiceStatus::Failed);
}

// Restarting.

#[test]
fn the_policy_decides() {
    let list = [
        (Restart::No, 1, Some(Next::Failed)),
        (Restart::No, 0, Some(Next::Done)),
        (Restart::OnFailure, 0, Some(Next::Done)),
        (Restart::OnFailure, 1, None),
        (Restart::Always, 0, None),
        (Restart::UnlessStopped, 0, None),
    ];
    for (when, code, next) in list {
        let mut w = up(vec![restarting(when), daemon()]);
        w.exit(0, code);
        match next {
            Some(next) => assert_eq!(w.next(0), Some(next), "{when:?} {code}"),
            None => assert_eq!(restarts_in(&w, 0), Some(S), "{when:?} {code}"),
        }
    }
}

#[test]
fn never_on_wins_over_always_on_over_when() {
    let mut rules = restarting(Restart::OnFailure);
    rules.restart.never_on = vec![ExitStatus::Code(1), ExitStatus::Code(2)];
    rules.restart.always_on = vec![ExitStatus::Code(0), ExitStatus::Code(2)];
    for (code, restarts) in [(0, true), (1, false), (2, false), (3, true)] {
        let mut w = up(vec![rules.clone(), daemon()]);
        w.exit(0, code);
        assert_eq!(restarts_in(&w, 0).is_some(), restarts, "{code}");
    }
}

#[test]
fn a_oneshot_that_succeeded_is_done_whatever_its_policy() {
    let mut w =
        up(vec![ServicePolicy { kind: ServiceType::Oneshot, ..restarting(Restart::Always) }, daemon()]);
    w.exit(0, 0);
    assert_eq!(w.status(0), ServiceStatus::Done);
}

#[test]
fn waits_grow_up_to_the_longest_and_attempts_run_out() {
    let mut rules = restarting(Restart::No);
    rules.restart.always_on = vec![ExitStatus::Code(1)];
    rules.restart.max_attempts = Some(4);
    rules.restart.max_delay = 5 * S;
    let mut w = up(vec![rules, daemon()]);
    for seconds in [1, 2, 4, 5] {
        w.exit(0, 1);
        assert_eq!(restarts_in(&w, 0), Some(seconds * S));
        w.wait(seconds * S);
        w.answer_all();
    }
    w.exit(0, 1);
    assert_eq!(w.next(0), Some(Next::GivenUp { attempts: 4 }));
}

#[test]
fn a_long_run_clears_the_count() {
    let mut w = up(vec![restarting(Restart::Always), daemon()]);
    for (run, delay) in [(S, S), (S, 2 * S), (60 * S, S)] {
        w.wait(run);
        w.exit(0, 1);
        assert_eq!(restarts_in(&w, 0), Some(delay));
        w.wait(delay);
        w.answer_all();
    }
}

#[test]
fn jitter_stays_within_its_share_and_the_longest_wait() {
    let mut rules = restarting(Restart::Always);
    (rules.restart.jitter, rules.restart.factor, rules.restart.max_delay) = (0.5, 1.0, 1200 * S / 1000);
    for seed in 0..200 {
        let mut w = up_with(vec![rules.clone()], Settings { seed, ..Settings::default() });
        w.exit(0, 1);
        let delay = restarts_in(&w, 0).unwrap();
        assert!(delay >= S / 2 && delay <= 1200 * S / 1000, "{delay:?}");
    }
}

// Health.

#[test]
fn probes_follow_the_clock() {
    let mut w = up(vec![probed(), needs(&[(0, Healthy)], daemon())]);
    assert_eq!(probes(&w), 1);
    for failures in 1..5 {
        w.probe(0, 1); // These do not count yet.
        w.wait(S);
        w.answer_all();
        assert_eq!(probes(&w), failures + 1);
    }
    w.probe(0, 0);
    w.answer_all();
    assert!(told(&w, Note::Healthy { service: ServiceId(0) }));
    assert!(w.runs(1));
    w.wait(9 * S);
    assert_eq!(probes(&w), 5);
    w.wait(S);
    assert_eq!(probes(&w), 6);
}

/// `docker pause`: the probe's timeout passed while everything was frozen, and a healthy service was restarted.
#[test]
fn what_is_overdue_after_a_pause_gets_its_time_once_more() {
    let mut rules = probed();
    rules.health.as_mut().unwrap().retries = 1;
    let mut w = up(vec![rules, daemon()]);
    w.probe(0, 0);
    w.wait(10 * S);
    w.answer_all();
    let pid = w.probe_pid(0);
    w.now = w.now.after(100 * S);
    w.feed(Event::Resumed);
    assert!(w.seen.contains(&Action::KillProbe { pid }));
    w.end(pid, ExitStatus::Signal(Signal::KILL), false);
    w.feed(Event::Tick);
    assert!(w.runs(0) && !w.notes().any(|note| matches!(note, Note::Unhealthy { .. })));
    let before = probes(&w);
    w.wait(10 * S);
    assert_eq!(probes(&w), before + 1);
    // A grace period starts anew, too.
    w.signal(Signal::TERM);
    let pid = w.pid(1);
    w.now = w.now.after(100 * S);
    w.feed(Event::Resumed);
    w.feed(Event::Tick);
    assert!(!w.signals_to(pid).contains(&Signal::KILL));
    w.wait(10 * S);
    assert!(w.signals_to(pid).contains(&Signal::KILL));
}

#[test]
fn enough_failures_are_unhealthy() {
    for (on_unhealthy, restarts) in [(OnUnhealthy::Restart, true), (OnUnhealthy::Stop, false)] {
        let mut rules = probed();
        rules.health.as_mut().unwrap().on_unhealthy = on_unhealthy;
        let mut w = up(vec![rules, daemon()]);
        w.probe(0, 0);
        w.wait(10 * S);
        w.answer_all();
        w.wait(3 * S); // The probe takes too long.
        let pid = w.probe_pid(0);
        assert!(w.seen.contains(&Action::KillProbe { pid }));
        w.end(pid, ExitStatus::Signal(Signal::KILL), false);
        w.wait(10 * S);
        w.refuse(false, 0);
        assert!(told(&w, Note::Unhealthy { service: ServiceId(0), failures: 2 }));
        w.die(0, Signal::TERM);
        assert_eq!(restarts_in(&w, 0).is_some(), restarts);
        assert!(restarts || w.status(0) == ServiceStatus::Failed);
    }
}

#[test]
fn who_ignores_it_is_told_once_and_runs_on() {
    let mut rules = probed();
    rules.health.as_mut().unwrap().on_unhealthy = OnUnhealthy::Ignore;
    let mut w = up(vec![rules]);
    w.probe(0, 0);
    for _ in 0..5 {
        w.wait(10 * S);
        w.answer_all();
        w.probe(0, 1);
    }
    assert!(w.runs(0));
    assert_eq!(w.notes().filter(|note| matches!(note, Note::Unhealthy { .. })).count(), 1);
}

#[test]
fn a_probe_does_not_outlive_its_service() {
    let mut w = up(vec![probed(), daemon()]);
    let pid = w.probe_pid(0);
    w.exit(0, 1);
    assert!(w.seen.contains(&Action::KillProbe { pid }));
    let actions = w.seen.len();
    w.end(pid, ExitStatus::Code(0), false);
    assert_eq!(w.seen.len(), actions);
}

/// Its pid may be reused: its end no longer matters.
#[test]
fn a_killed_probe_is_forgotten_with_its_service() {
    let mut w = up(vec![probed(), daemon()]);
    let pid = w.probe_pid(0);
    w.wait(3 * S); // It takes too long.
    assert!(w.seen.contains(&Action::KillProbe { pid }) && w.core.knows(pid));
    w.exit(0, 1);
    assert!(!w.core.knows(pid));
}
