//! Each rule by itself, as a short story: what happens, and what must come of it.

use super::super::Status;
use super::super::event::{Action, Cause, Event, Next, Note};
use super::super::graph;
use super::world::{S, World};
use crate::model::*;
use std::time::Duration;

fn daemon() -> Rules {
    let restart = RestartPolicy { when: Restart::No, delay: S, ..RestartPolicy::default() };
    Rules { essential: false, stop_grace: 10 * S, restart, ..Rules::default() }
}

fn oneshot() -> Rules {
    Rules { kind: ServiceType::Oneshot, ..daemon() }
}

fn restarting(when: Restart) -> Rules {
    Rules { restart: RestartPolicy { when, ..daemon().restart }, ..daemon() }
}

fn essential(rules: Rules) -> Rules {
    Rules { essential: true, ..rules }
}

fn probed() -> Rules {
    let health = HealthRules {
        interval: 10 * S,
        timeout: 3 * S,
        retries: 2,
        start_period: 20 * S,
        start_interval: S,
        on_unhealthy: OnUnhealthy::Restart,
    };
    Rules { health: Some(health), ..restarting(Restart::OnFailure) }
}

fn needs(on: &[(u16, Condition)], rules: Rules) -> Rules {
    let edge = |(on, condition): &(u16, Condition)| Dependency {
        on: ServiceId(*on),
        condition: Some(*condition),
        required: true,
        restart: false,
    };
    Rules { depends_on: on.iter().map(edge).collect(), ..rules }
}

fn after(on: u16, rules: Rules) -> Rules {
    let edge = Dependency { on: ServiceId(on), condition: None, required: false, restart: false };
    Rules { depends_on: vec![edge], ..rules }
}

/// A world that has begun and in which every process that was asked for runs.
fn up(rules: Vec<Rules>) -> World {
    up_with(rules, Whole::default())
}

fn up_with(rules: Vec<Rules>, whole: Whole) -> World {
    let mut w = World::new(rules, whole);
    w.begin();
    w.answer_all();
    w
}

fn main_is(id: u16) -> Whole {
    Whole { main: Some(ServiceId(id)), ..Whole::default() }
}

fn spawns(w: &World) -> Vec<u16> {
    let spawn = |a: &Action| if let Action::Spawn { service } = a { Some(service.0) } else { None };
    w.seen.iter().filter_map(spawn).collect()
}

fn probes(w: &World) -> usize {
    w.seen.iter().filter(|a| matches!(a, Action::Probe { .. })).count()
}

fn told(w: &World, note: Note) -> bool {
    w.notes().any(|n| *n == note)
}

fn restarts_in(w: &World, id: u16) -> Option<Duration> {
    match w.next(id) {
        Some(Next::Restarting { delay, .. }) => Some(delay),
        _ => None,
    }
}

use Condition::{Completed, Healthy, Started};

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

#[test]
fn what_needs_a_service_that_is_off_is_unreachable() {
    let off = Rules { enabled: false, ..daemon() };
    let mut w = up(vec![off, needs(&[(0, Started)], essential(daemon()))]);
    assert_eq!(w.finish(), 1);
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
    let mut w =
        up(vec![oneshot(), after(0, daemon()), after(3, daemon()), Rules { enabled: false, ..daemon() }]);
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
    let cause = Cause::Dependency(ServiceId(0));
    assert!(matches!(w.status(2), Status::Stopping { cause: c, .. } if c == cause));
    w.die(2, Signal::TERM);
    assert_eq!(w.status(2), Status::Waiting);
    w.tick();
    w.answer_all();
    assert!(w.runs(0) && w.runs(2));
    assert_eq!(w.core.attempts_of(ServiceId(2)), 0);
}

#[test]
fn a_lasting_failure_to_start_is_final_and_another_is_an_attempt() {
    let mut w = World::new(vec![essential(restarting(Restart::Always)), daemon()], Whole::default());
    w.begin();
    w.refuse(false, 71);
    assert_eq!(restarts_in(&w, 0), Some(S));
    w.answer_all();
    w.tick();
    w.refuse(true, 127);
    assert_eq!(w.next(0), Some(Next::Failed));
    assert_eq!(w.finish(), 127);
}

#[test]
fn a_child_that_died_before_its_pid_was_known_is_not_lost() {
    let mut w = World::new(vec![oneshot(), daemon()], Whole::default());
    w.begin();
    w.answer_early(Outcome::Code(3), false);
    assert_eq!(w.next(0), Some(Next::Failed));
    assert_eq!(w.status(0), Status::Failed);
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
    rules.restart.never_on = vec![Outcome::Code(1), Outcome::Code(2)];
    rules.restart.always_on = vec![Outcome::Code(0), Outcome::Code(2)];
    for (code, restarts) in [(0, true), (1, false), (2, false), (3, true)] {
        let mut w = up(vec![rules.clone(), daemon()]);
        w.exit(0, code);
        assert_eq!(restarts_in(&w, 0).is_some(), restarts, "{code}");
    }
}

#[test]
fn a_oneshot_that_succeeded_is_done_whatever_its_policy() {
    let mut w = up(vec![Rules { kind: ServiceType::Oneshot, ..restarting(Restart::Always) }, daemon()]);
    w.exit(0, 0);
    assert_eq!(w.status(0), Status::Done);
}

#[test]
fn waits_grow_up_to_the_longest_and_attempts_run_out() {
    let mut rules = restarting(Restart::No);
    rules.restart.always_on = vec![Outcome::Code(1)];
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
        let mut w = up_with(vec![rules.clone()], Whole { seed, ..Whole::default() });
        w.exit(0, 1);
        let delay = restarts_in(&w, 0).unwrap();
        assert!(delay >= S / 2 && delay <= 1200 * S / 1000, "{delay:?}");
    }
}

// Ending.

#[test]
fn a_stop_is_asked_for_then_killed_then_given_up() {
    let mut w = up(vec![daemon()]);
    let pid = w.pid(0);
    w.take();
    w.signal(Signal::TERM);
    assert!(w.seen.contains(&Action::Signal { pid, group: true, signal: Signal::TERM, wake: true }));
    w.wait(9 * S);
    assert_eq!(w.signals_to(pid), [Signal::TERM]);
    w.wait(S);
    assert!(told(&w, Note::Killing { service: ServiceId(0), after: 10 * S, leader: true }));
    assert_eq!(w.signals_to(pid), [Signal::TERM, Signal::KILL]);
    w.wait(2 * S);
    assert!(told(&w, Note::Stuck { service: ServiceId(0) }));
    assert!(w.seen.contains(&Action::Sweep { signal: Signal::TERM }));
}

#[test]
fn the_rest_of_a_group_is_cleared_away_before_the_restart() {
    let mut w = up(vec![restarting(Restart::Always)]);
    let pid = w.pid(0);
    w.end(pid, Outcome::Code(1), true);
    assert_eq!(w.signals_to(pid), [Signal::TERM]);
    assert_eq!(w.core.lingering().collect::<Vec<_>>(), [(ServiceId(0), pid)]);
    w.wait(10 * S);
    assert!(told(&w, Note::Killing { service: ServiceId(0), after: 10 * S, leader: false }));
    w.group_gone(0);
    assert_eq!(restarts_in(&w, 0), Some(S));
    assert_eq!(w.core.lingering().count(), 0);
}

#[test]
fn timeouts_are_failures() {
    for cause in [Cause::StartTimeout, Cause::RunTimeout] {
        let timeout = Some(5 * S);
        let (start_timeout, run_timeout) =
            if cause == Cause::StartTimeout { (timeout, None) } else { (None, timeout) };
        let mut w = up(vec![essential(Rules { start_timeout, run_timeout, ..oneshot() })]);
        w.wait(5 * S);
        assert!(told(&w, Note::Stopping { service: ServiceId(0), cause }));
        w.exit(0, 0);
        assert_eq!(w.next(0), Some(Next::Failed));
        assert_eq!(w.finish(), 1);
    }
}

#[test]
fn a_daemon_that_is_ready_has_no_start_timeout() {
    let w = up(vec![Rules { start_timeout: Some(S), ..daemon() }]);
    assert_eq!(w.core.deadline(), None);
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
        w.end(pid, Outcome::Signal(Signal::KILL), false);
        w.wait(10 * S);
        w.refuse(false, 0);
        assert!(told(&w, Note::Unhealthy { service: ServiceId(0), failures: 2 }));
        w.die(0, Signal::TERM);
        assert_eq!(restarts_in(&w, 0).is_some(), restarts);
        assert!(restarts || w.status(0) == Status::Failed);
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
    w.end(pid, Outcome::Code(0), false);
    assert_eq!(w.seen.len(), actions);
}

// The whole container.

#[test]
fn the_end_of_an_essential_service_ends_the_container() {
    for (rules, code, ends) in
        [(daemon(), 0, Some(0)), (daemon(), 3, Some(3)), (oneshot(), 0, None), (oneshot(), 3, Some(3))]
    {
        let mut w = up(vec![essential(rules), daemon()]);
        w.exit(0, code);
        assert_eq!(w.core.is_stopping(), ends.is_some());
        if let Some(ends) = ends {
            assert_eq!(w.finish(), ends);
        }
    }
}

#[test]
fn when_nothing_is_left_it_ends_or_stays() {
    for stay_when_idle in [false, true] {
        let mut w = up_with(vec![oneshot(), oneshot()], Whole { stay_when_idle, ..Whole::default() });
        w.exit(0, 0);
        w.exit(1, 9);
        assert_eq!(w.core.is_stopping(), !stay_when_idle);
        w.signal(Signal::TERM);
        assert_eq!(w.finish(), 0);
    }
}

#[test]
fn dependents_stop_first_and_waiting_ones_never_start() {
    let mut w = up(vec![
        daemon(),
        needs(&[(0, Started)], daemon()),
        daemon(),
        oneshot(),
        needs(&[(3, Completed)], daemon()),
        restarting(Restart::Always),
    ]);
    w.exit(5, 1);
    w.signal(Signal::TERM);
    assert!(w.runs(0) && !w.runs(1) && !w.runs(2) && !w.runs(3));
    assert_eq!((w.status(4), w.status(5)), (Status::Stopped, Status::Stopped));
    w.die(1, Signal::TERM);
    assert!(!w.runs(0));
    assert_eq!(w.finish(), 0);
}

#[test]
fn what_is_being_started_is_stopped_when_it_is_there() {
    let mut w = World::new(vec![daemon()], Whole::default());
    w.begin();
    w.signal(Signal::TERM);
    let pid = w.answer();
    assert_eq!(w.signals_to(pid), [Signal::TERM]);
    assert_eq!(w.finish(), 0);
}

#[test]
fn a_second_request_kills_at_once() {
    let mut w = up(vec![daemon(), needs(&[(0, Started)], essential(daemon()))]);
    let pids = [w.pid(0), w.pid(1)];
    w.signal(Signal::INT);
    w.signal(Signal::TERM);
    assert!(told(&w, Note::KillingAll));
    assert!(pids.iter().all(|pid| w.signals_to(*pid).last() == Some(&Signal::KILL)));
    assert_eq!(w.finish(), 137);
    assert!(w.seen.contains(&Action::Sweep { signal: Signal::KILL }));
}

#[test]
fn without_main_other_signals_mean_nothing() {
    let mut w = up(vec![daemon()]);
    let actions = w.seen.len();
    for number in [1, 10, 12, 28] {
        w.signal(Signal::from_number(number).unwrap());
    }
    assert_eq!(w.seen.len(), actions);
}

#[test]
fn within_cuts_graces_kills_and_ends() {
    let rules = vec![daemon(), needs(&[(0, Started)], daemon())];
    let mut w = up_with(rules, Whole { stop_within: Some(10 * S), ..Whole::default() });
    assert_eq!(w.core.stop_bound(), 10 * S);
    let (below, above) = (w.pid(0), w.pid(1));
    w.signal(Signal::TERM);
    w.wait(4500 * S / 1000);
    assert_eq!(w.signals_to(above), [Signal::TERM, Signal::KILL]);
    w.wait(4500 * S / 1000);
    assert_eq!(w.signals_to(below).last(), Some(&Signal::KILL));
    w.wait(S);
    assert_eq!((w.halted, w.fault.clone()), (Some(0), None));
}

#[test]
fn the_bound_is_the_longest_chain() {
    let w = up(vec![daemon(), needs(&[(0, Started)], daemon()), daemon()]);
    assert_eq!(w.core.stop_bound(), (10 + 2 + 10 + 2 + 2 + 2) * S);
}

#[test]
fn the_sweep_asks_kills_and_ends() {
    let mut w = up(vec![oneshot()]);
    w.exit(0, 0);
    assert_eq!(w.seen.last(), Some(&Action::Sweep { signal: Signal::TERM }));
    w.wait(2 * S);
    assert_eq!(w.seen.last(), Some(&Action::Sweep { signal: Signal::KILL }));
    w.wait(2 * S);
    assert_eq!(w.seen.last(), Some(&Action::Halt { code: 0 }));
    assert_eq!(w.core.deadline(), None);
}

#[test]
fn a_stop_of_rinits_own_has_its_code() {
    let mut w = up(vec![essential(daemon())]);
    w.feed(Event::Stop { code: 71 });
    assert_eq!(w.finish(), 71);
}

// The COMMAND.

#[test]
fn signals_go_to_main_and_its_code_comes_back() {
    for group_signals in [false, true] {
        let mut w = up_with(vec![daemon(), daemon()], Whole { group_signals, ..main_is(0) });
        let pid = w.pid(0);
        w.signal(Signal::TERM);
        w.signal(Signal::HUP);
        let signal = |signal| Action::Signal { pid, group: group_signals, signal, wake: false };
        assert!(w.seen.contains(&signal(Signal::TERM)) && w.seen.contains(&signal(Signal::HUP)));
        assert!(!w.core.is_stopping());
        w.exit(0, 42);
        assert_eq!(w.finish(), 42);
    }
}

#[test]
fn a_success_of_main_is_0_and_a_signal_is_128_more() {
    let rules = Rules { success: vec![Outcome::Code(143)], ..daemon() };
    let mut w = up_with(vec![rules], main_is(0));
    w.exit(0, 143);
    assert_eq!(w.finish(), 0);
    let mut w = up_with(vec![daemon()], main_is(0));
    w.die(0, Signal::KILL);
    assert_eq!(w.finish(), 137);
}

#[test]
fn term_may_stop_main_with_its_own_signal_and_grace() {
    let rules = Rules { stop_signal: Signal::QUIT, ..daemon() };
    let mut w = up_with(vec![rules], Whole { term_stops_main: true, ..main_is(0) });
    let pid = w.pid(0);
    w.signal(Signal::TERM);
    w.wait(10 * S);
    assert_eq!(w.signals_to(pid), [Signal::QUIT, Signal::KILL]);
    assert_eq!(w.finish(), 137);

    let mut w = up_with(vec![daemon()], Whole { term_stops_main: true, ..main_is(0) });
    w.signal(Signal::TERM);
    w.signal(Signal::TERM);
    assert!(told(&w, Note::KillingAll));
}

#[test]
fn a_signal_while_main_is_being_started_is_not_lost() {
    let mut w = World::new(vec![daemon()], main_is(0));
    w.begin();
    w.signal(Signal::TERM);
    w.signal(Signal::HUP);
    let pid = w.answer();
    assert_eq!(w.signals_to(pid), [Signal::HUP, Signal::TERM]);
}

#[test]
fn before_main_runs_a_request_stops_everything() {
    for (number, code) in [(15, Some(143)), (2, Some(130)), (3, Some(131)), (1, Some(129)), (10, None)] {
        let mut w = up_with(vec![oneshot(), needs(&[(0, Completed)], daemon())], main_is(1));
        w.signal(Signal::from_number(number).unwrap());
        assert_eq!(w.core.is_stopping(), code.is_some());
        if let Some(code) = code {
            assert_eq!(w.finish(), code);
        }
    }
}

#[test]
fn a_first_request_in_a_stop_that_rinit_began_does_not_kill() {
    let mut w = up_with(vec![daemon(), essential(daemon())], main_is(0));
    let pid = w.pid(0);
    w.exit(1, 5);
    w.signal(Signal::TERM);
    assert_eq!(w.signals_to(pid), [Signal::TERM, Signal::TERM]);
    w.signal(Signal::TERM);
    assert_eq!(w.signals_to(pid).last(), Some(&Signal::KILL));
    assert_eq!(w.finish(), 5);
}

#[test]
fn rules_for_signals() {
    let usr1 = Signal::from_number(10).unwrap();
    let rule = |rule| Whole { signals: vec![(usr1, rule)], ..main_is(0) };
    let world = |whole| {
        let mut w = up_with(vec![daemon(), daemon()], whole);
        w.take();
        w.signal(usr1);
        w
    };
    assert!(world(rule(SignalRule::Stop)).core.is_stopping());
    assert!(world(rule(SignalRule::Ignore)).seen.is_empty());
    let w = world(rule(SignalRule::As(Signal::HUP)));
    assert_eq!(w.signals_to(w.pid(0)), [Signal::HUP]);
    let w = world(rule(SignalRule::To(ServiceId(1), Signal::QUIT)));
    assert_eq!(w.signals_to(w.pid(1)), [Signal::QUIT]);
}

// The graph.

#[test]
fn a_cycle_is_named_and_does_no_harm() {
    let rules = vec![
        needs(&[(1, Started)], daemon()),
        needs(&[(2, Started)], daemon()),
        needs(&[(1, Started)], daemon()),
    ];
    let deps: Vec<&[Dependency]> = rules.iter().map(|rules| rules.depends_on.as_slice()).collect();
    assert_eq!(graph::cycle(&deps), Some(vec![ServiceId(1), ServiceId(2)]));
    assert_eq!(graph::cycle(&deps[..0]), None);
    let mut core = super::super::Supervisor::new(rules, Whole::default());
    let mut out = Vec::new();
    core.step(Moment(1), Event::Begin, &mut out);
    core.step(Moment(1), Event::Signal(Signal::TERM), &mut out);
    assert_eq!(core.start_order().len(), 3);
}
