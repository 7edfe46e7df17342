//! The rules of the container as a whole, one short story each.

use super::scenes::*;
use super::world::{S, World};
use crate::model::Condition::{Completed, Started};
use crate::model::*;
use crate::supervisor::event::{Action, Event, Note};
use crate::supervisor::{ServiceStatus, graph};

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
        let mut w = up_with(vec![oneshot(), oneshot()], Settings { stay_when_idle, ..Settings::default() });
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
    assert_eq!((w.status(4), w.status(5)), (ServiceStatus::Stopped, ServiceStatus::Stopped));
    w.die(1, Signal::TERM);
    assert!(!w.runs(0));
    assert_eq!(w.finish(), 0);
}

#[test]
fn what_is_being_started_is_stopped_when_it_is_there() {
    let mut w = World::new(vec![daemon()], Settings::default());
    w.begin();
    w.signal(Signal::TERM);
    let pid = w.answer();
    assert_eq!(w.signals_to(pid), [Signal::TERM]);
    assert_eq!(w.finish(), 0);
}

/// `timeout 5 docker run` sends TERM twice within 50 ms: redis was killed before it had saved.
#[test]
fn term_again_and_a_quick_second_int_change_nothing() {
    let ms = S / 1000;
    for signal in [Signal::TERM, Signal::PWR, Signal::RTMIN_PLUS_3, Signal::INT, Signal::QUIT] {
        let mut w = up(vec![daemon(), needs(&[(0, Started)], daemon())]);
        let pid = w.pid(1);
        w.signal(signal);
        for pause in [50 * ms, 900 * ms] {
            w.wait(pause);
            w.signal(signal);
            w.signal(Signal::TERM);
        }
        assert_eq!(w.signals_to(pid), [Signal::TERM], "{signal}");
        assert!(!told(&w, Note::KillingAll));
        w.wait(50 * ms);
        w.signal(signal);
        let kills = [Signal::INT, Signal::QUIT].contains(&signal);
        assert_eq!(told(&w, Note::KillingAll), kills, "{signal}");
    }
}

#[test]
fn a_second_int_a_second_later_kills_at_once() {
    let mut w = up(vec![daemon(), needs(&[(0, Started)], essential(daemon()))]);
    let pids = [w.pid(0), w.pid(1)];
    w.signal(Signal::INT);
    w.wait(S);
    w.signal(Signal::QUIT);
    assert!(told(&w, Note::KillingAll));
    assert!(pids.iter().all(|pid| w.signals_to(*pid).last() == Some(&Signal::KILL)));
    assert_eq!(w.finish(), 137);
    assert!(w.seen.contains(&Action::Sweep { signal: Signal::KILL }));
}

#[test]
fn a_signal_that_nobody_uses_is_told_once() {
    let mut w = up(vec![daemon()]);
    w.take();
    for _ in 0..2 {
        for number in [10, 12, 28, 18, 64] {
            w.signal(Signal::from_number(number).unwrap());
        }
    }
    let unused = |number| Action::Tell(Note::Unused { signal: Signal::from_number(number).unwrap() });
    // All except CONT.
    assert_eq!(w.seen, [10, 12, 28, 64].map(unused));
}

#[test]
fn hup_asks_for_a_reload_where_no_command_takes_it() {
    let mut w = up(vec![daemon()]);
    w.take();
    w.signal(Signal::HUP);
    assert_eq!(w.seen, [Action::Reload]);
    w.signal(Signal::TERM);
    w.take();
    w.signal(Signal::HUP);
    assert_eq!(w.seen, [Action::Tell(Note::NotReloaded)]);
    let usr1 = Signal::from_number(10).unwrap();
    let whole = Settings {
        main: Some(ServiceId(0)),
        signals: vec![(usr1, SignalRule::Reload)],
        ..Settings::default()
    };
    let mut w = up_with(vec![daemon()], whole);
    w.take();
    w.signal(usr1);
    assert_eq!(w.take(), [Action::Reload]);
    w.signal(Signal::HUP);
    assert_eq!(w.signals_to(w.pid(0)), [Signal::HUP]);
}

#[test]
fn within_cuts_graces_kills_and_ends() {
    let rules = vec![daemon(), needs(&[(0, Started)], daemon())];
    let mut w = up_with(rules, Settings { stop_within: Some(10 * S), ..Settings::default() });
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

/// A second INT while only foreign processes are left: they are killed at once. A second TERM changes nothing here
/// either.
#[test]
fn a_second_request_in_the_sweep_means_what_it_means_before() {
    for (signal, kills) in [(Signal::INT, true), (Signal::QUIT, true), (Signal::TERM, false)] {
        let mut w = up_with(vec![daemon()], Settings { sweep_grace: 10 * S, ..Settings::default() });
        w.signal(signal);
        w.die(0, Signal::TERM);
        w.wait(S);
        assert_eq!(w.take().last(), Some(&Action::Sweep { signal: Signal::TERM }));
        w.signal(signal);
        assert_eq!(w.take().contains(&Action::Sweep { signal: Signal::KILL }), kills, "{signal}");
        w.signal(signal);
        assert_eq!(w.take(), [], "{signal}");
        w.wait(2 * S);
        assert_eq!(w.halted.is_some(), kills, "{signal}");
        assert_eq!(w.fault, None);
    }
}

/// A service that is already stopping gets no more time than those that are asked only now.
#[test]
fn within_cuts_the_grace_of_what_ends_already() {
    let slow = ServicePolicy { start_timeout: Some(S), ..probed() };
    let rules = vec![daemon(), needs(&[(0, Started)], slow)];
    let mut w = up_with(rules, Settings { stop_within: Some(10 * S), ..Settings::default() });
    let above = w.pid(1);
    w.wait(S);
    assert_eq!(w.signals_to(above), [Signal::TERM]);
    w.wait(S);
    w.signal(Signal::TERM);
    w.wait(4 * S);
    assert_eq!(w.signals_to(above), [Signal::TERM]);
    // Half of nine seconds, for two in a chain.
    w.wait(S / 2);
    assert_eq!(w.signals_to(above), [Signal::TERM, Signal::KILL]);
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
        let mut w = up_with(vec![daemon(), daemon()], Settings { group_signals, ..main_is(0) });
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
    let rules = ServicePolicy { success: vec![ExitStatus::Code(143)], ..daemon() };
    let mut w = up_with(vec![rules], main_is(0));
    w.exit(0, 143);
    assert_eq!(w.finish(), 0);
    let mut w = up_with(vec![daemon()], main_is(0));
    w.die(0, Signal::KILL);
    assert_eq!(w.finish(), 137);
}

#[test]
fn term_may_stop_main_with_its_own_signal_and_grace() {
    let rules = ServicePolicy { stop_signal: Signal::QUIT, ..daemon() };
    let mut w = up_with(vec![rules], Settings { term_stops_main: true, ..main_is(0) });
    let pid = w.pid(0);
    w.signal(Signal::TERM);
    w.wait(10 * S);
    assert_eq!(w.signals_to(pid), [Signal::QUIT, Signal::KILL]);
    assert_eq!(w.finish(), 137);

    let mut w = up_with(vec![daemon()], Settings { term_stops_main: true, ..main_is(0) });
    let pid = w.pid(0);
    w.signal(Signal::TERM);
    w.signal(Signal::TERM);
    assert_eq!(w.signals_to(pid), [Signal::TERM]);
}

#[test]
fn a_signal_while_main_is_being_started_is_not_lost() {
    let mut w = World::new(vec![daemon()], main_is(0));
    w.begin();
    w.signal(Signal::TERM);
    w.signal(Signal::HUP);
    w.signal(Signal::TERM);
    let pid = w.answer();
    assert_eq!(w.signals_to(pid), [Signal::TERM, Signal::HUP], "in order, each once");
}

#[test]
fn what_was_kept_for_main_is_given_to_it_once() {
    let mut w = World::new(vec![restarting(Restart::Always)], main_is(0));
    w.begin();
    w.signal(Signal::HUP);
    let first = w.answer();
    assert_eq!(w.signals_to(first), [Signal::HUP]);
    w.take();
    w.exit(0, 1);
    w.wait(S);
    let second = w.answer();
    assert_eq!(w.signals_to(second), []);
}

#[test]
fn before_main_runs_a_request_stops_everything() {
    for (number, code) in [
        (15, Some(143)),
        (2, Some(130)),
        (3, Some(131)),
        (30, Some(158)),
        (37, Some(165)),
        (1, None),
        (10, None),
    ] {
        let mut w = up_with(vec![oneshot(), needs(&[(0, Completed)], daemon())], main_is(1));
        w.signal(Signal::from_number(number).unwrap());
        assert_eq!(w.core.is_stopping(), code.is_some());
        if let Some(code) = code {
            assert_eq!(w.finish(), code);
        } else {
            // It is for main, which gets it once its process exists.
            w.exit(0, 0);
            let pid = w.answer();
            assert_eq!(w.signals_to(pid), [Signal::from_number(number).unwrap()]);
        }
    }
}

#[test]
fn a_first_request_in_a_stop_that_rinit_began_does_not_kill() {
    let mut w = up_with(vec![daemon(), essential(daemon())], main_is(0));
    let pid = w.pid(0);
    w.exit(1, 5);
    w.signal(Signal::INT);
    assert_eq!(w.signals_to(pid), [Signal::TERM, Signal::INT]);
    w.wait(S);
    w.signal(Signal::INT);
    assert_eq!(w.signals_to(pid).last(), Some(&Signal::KILL));
    assert_eq!(w.finish(), 5);
}

#[test]
fn rules_for_signals() {
    let usr1 = Signal::from_number(10).unwrap();
    let rule = |rule| Settings { signals: vec![(usr1, rule)], ..main_is(0) };
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
    let mut w = world(rule(SignalRule::To(ServiceId(1), Signal::QUIT)));
    assert_eq!(w.signals_to(w.pid(1)), [Signal::QUIT]);
    w.exit(1, 1);
    w.signal(usr1);
    assert!(told(&w, Note::NotForwarded { signal: Signal::QUIT, service: ServiceId(1) }));
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
    let mut cycles = Vec::new();
    assert_eq!(graph::order(&deps, &mut |way, edge| cycles.push((way.to_vec(), edge))).len(), 3);
    assert_eq!(cycles, [(vec![ServiceId(1), ServiceId(2)], 0)]);
    assert_eq!(graph::order(&[], &mut |_, _| ()), []);
    let mut core = super::super::Supervisor::new(rules, Settings::default());
    let mut out = Vec::new();
    core.step(Moment(1), Event::Begin, &mut out);
    core.step(Moment(1), Event::Signal(Signal::TERM), &mut out);
    assert_eq!(core.start_order().len(), 3);
}

#[test]
fn what_the_command_leaves_is_stopped_told_or_left() {
    for leftovers in [Leftovers::Stop, Leftovers::Tell(Signal::QUIT), Leftovers::Leave] {
        let whole = Settings { main: Some(ServiceId(0)), leftovers, ..Settings::default() };
        let mut w = up_with(vec![restarting(Restart::No)], whole);
        let pid = w.pid(0);
        w.end(pid, ExitStatus::Code(3), true);
        let told: &[Signal] = match leftovers {
            Leftovers::Stop => &[Signal::TERM],
            Leftovers::Tell(_) => &[Signal::QUIT],
            Leftovers::Leave => &[],
        };
        assert_eq!(w.signals_to(pid), told);
        assert_eq!(w.halted.is_some(), leftovers != Leftovers::Stop);
        assert_eq!(w.finish(), 3);
        let swept = w.seen.iter().any(|action| matches!(action, Action::Sweep { .. }));
        assert_eq!(swept, leftovers == Leftovers::Stop);
    }
}

/// A load balancer sends requests for some seconds after it was told to stop: everything serves, and what dies is restarted.
#[test]
fn everything_serves_while_it_drains() {
    let whole = || Settings { stop_delay: 5 * S, stop_within: Some(20 * S), ..Settings::default() };
    let mut w = up_with(vec![daemon(), restarting(Restart::Always)], whole());
    let pid = w.pid(0);
    w.signal(Signal::TERM);
    assert!(told(&w, Note::Draining { delay: 5 * S }) && w.core.is_draining() && !w.core.is_stopping());
    w.wait(2 * S);
    w.exit(1, 1);
    w.wait(S);
    w.answer();
    w.signal(Signal::TERM);
    assert!(w.runs(0) && w.runs(1) && w.signals_to(pid).is_empty());
    w.wait(2 * S);
    assert!(w.core.is_stopping() && !w.core.is_draining());
    assert_eq!(w.signals_to(pid), [Signal::TERM]);
    assert_eq!(w.finish(), 0);
    // `within` counts from the request, and a second Ctrl-C does not wait.
    let mut w = up_with(vec![daemon()], whole());
    let pid = w.pid(0);
    w.signal(Signal::INT);
    w.wait(S);
    w.signal(Signal::INT);
    assert!(told(&w, Note::KillingAll) && w.signals_to(pid).last() == Some(&Signal::KILL));
    // What ends for good ends the container as ever.
    let mut w = up_with(vec![essential(daemon())], whole());
    w.signal(Signal::TERM);
    w.exit(0, 3);
    assert_eq!(w.finish(), 3);
    // Where nothing runs there is nothing to drain.
    let mut w = up_with(vec![], Settings { stay_when_idle: true, ..whole() });
    w.signal(Signal::TERM);
    assert_eq!(w.finish(), 0);
}
