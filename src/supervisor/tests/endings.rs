//! How a service is stopped, as short stories: which processes are reached, when it is killed, what is left.

use super::scenes::*;
use super::world::S;
use crate::model::*;
use crate::supervisor::event::{Action, Next, Note, StopReason};

#[test]
fn a_stop_is_asked_for_then_killed_then_given_up() {
    let mut w = up(vec![daemon()]);
    let pid = w.pid(0);
    w.take();
    w.signal(Signal::TERM);
    assert!(w.seen.contains(&Action::Signal { pid, group: false, signal: Signal::TERM, wake: true }));
    w.wait(9 * S);
    assert_eq!(w.signals_to(pid), [Signal::TERM]);
    w.wait(S);
    assert!(told(&w, Note::Killing { service: ServiceId(0), after: 10 * S, leader: true }));
    assert_eq!(w.signals_to(pid), [Signal::TERM, Signal::KILL]);
    w.wait(2 * S);
    assert!(told(&w, Note::Stuck { service: ServiceId(0) }));
    assert!(w.seen.contains(&Action::Sweep { signal: Signal::TERM }));
}

/// The whole group got TERM at once, so the workers quit although their master was waiting for them to finish.
#[test]
fn kill_mode_says_whom_a_stop_reaches() {
    let pid = 100;
    let to = |group, signal| Action::Signal { pid, group, signal, wake: signal != Signal::KILL };
    let (quit, term, kill) = (Signal::QUIT, Signal::TERM, Signal::KILL);
    let escaped = |signal| Action::SignalEscaped { pid, signal, wake: signal != Signal::KILL };
    let list = [
        (KillMode::Mixed, vec![to(false, quit), to(true, term), to(true, kill)]),
        (KillMode::Group, vec![to(true, quit), to(true, kill)]),
        (KillMode::Process, vec![to(false, quit)]),
        (
            KillMode::All,
            vec![
                Action::Survey { pid },
                to(false, quit),
                to(true, term),
                escaped(term),
                to(true, kill),
                escaped(kill),
            ],
        ),
    ];
    for (kill_mode, expected) in list {
        let mut w = up(vec![ServicePolicy { stop_signal: quit, kill_mode, ..daemon() }]);
        w.take();
        w.signal(Signal::TERM);
        w.wait(6 * S);
        w.end(pid, ExitStatus::Code(0), true);
        assert_eq!(w.core.lingering().count(), usize::from(kill_mode != KillMode::Process));
        // The rest gets the remaining grace period.
        w.wait(3 * S);
        assert!(!w.signals_to(pid).contains(&kill));
        w.wait(S);
        let sent = w.seen.iter().filter(|action| {
            matches!(action, Action::Signal { .. } | Action::Survey { .. } | Action::SignalEscaped { .. })
        });
        assert_eq!(sent.cloned().collect::<Vec<_>>(), expected, "{kill_mode:?}");
    }
}

/// `-g` reaches the COMMAND's whole group, also where the configuration replaces TERM.
#[test]
fn a_stop_of_main_reaches_its_group_where_signals_do() {
    for group_signals in [false, true] {
        let whole = Settings { group_signals, term_stops_main: true, ..main_is(0) };
        let mut w = up_with(vec![daemon()], whole);
        let pid = w.pid(0);
        w.signal(Signal::TERM);
        assert!(w.seen.contains(&Action::Signal {
            pid,
            group: group_signals,
            signal: Signal::TERM,
            wake: true
        }));
    }
}

#[test]
fn the_rest_of_a_group_is_cleared_away_before_the_restart() {
    let mut w = up(vec![restarting(Restart::Always)]);
    let pid = w.pid(0);
    w.end(pid, ExitStatus::Code(1), true);
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
    for cause in [StopReason::StartTimeout, StopReason::RunTimeout] {
        let timeout = Some(5 * S);
        let (start_timeout, run_timeout) =
            if cause == StopReason::StartTimeout { (timeout, None) } else { (None, timeout) };
        let mut w = up(vec![essential(ServicePolicy { start_timeout, run_timeout, ..oneshot() })]);
        w.wait(5 * S);
        assert!(told(&w, Note::Stopping { service: ServiceId(0), cause }));
        w.exit(0, 0);
        assert_eq!(w.next(0), Some(Next::Failed));
        assert_eq!(w.finish(), 1);
    }
}

#[test]
fn a_daemon_that_is_ready_has_no_start_timeout() {
    let w = up(vec![ServicePolicy { start_timeout: Some(S), ..daemon() }]);
    assert_eq!(w.core.deadline(), None);
}
