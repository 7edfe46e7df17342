//! Orders of control clients, as short stories.

use super::Mutant;
use super::scenes::*;
use super::world::{S, World};
use crate::model::Condition::Started;
use crate::model::*;
use crate::supervisor::ServiceStatus;
use crate::supervisor::event::{ControlOrder, Next, Note};

const STOP: ControlOrder = ControlOrder::Stop { only: false, all: false };

fn pair() -> World {
    up(vec![essential(restarting(Restart::Always)), needs(&[(0, Started)], essential(daemon()))])
}

#[test]
fn what_needs_it_stops_first_and_nothing_comes_back() {
    let mut w = pair();
    w.order(0, STOP);
    assert_eq!(w.signals_to(w.pid(1)), [Signal::TERM]);
    assert_eq!(w.signals_to(w.pid(0)), []);
    w.die(1, Signal::TERM);
    assert_eq!(w.signals_to(w.pid(0)), [Signal::TERM]);
    w.die(0, Signal::TERM);
    w.wait(100 * S);
    assert_eq!([w.status(0), w.status(1)], [ServiceStatus::Stopped; 2]);
    assert_eq!((w.halted, w.fault.clone()), (None, None));
    // Its dependencies are started with it.
    w.order(1, ControlOrder::Start);
    w.answer_all();
    assert!(w.runs(0) && w.runs(1));
    assert_eq!(w.fault, None);
}

#[test]
fn the_world_notices_when_all_stop_at_once() {
    let mut w = pair().with(Some(Mutant::StopNeedsFirst));
    w.order(0, STOP);
    assert!(w.fault.is_some(), "{:?}", w.seen);
}

#[test]
fn what_is_wanted_again_while_it_stops_is_started_then() {
    let mut w = up(vec![essential(daemon())]);
    w.order(0, STOP);
    w.order(0, ControlOrder::Start);
    w.die(0, Signal::TERM);
    assert_eq!(w.next(0), Some(Next::Again));
    w.answer_all();
    assert!(w.runs(0));
    w.order(0, ControlOrder::Restart);
    w.order(0, STOP);
    w.die(0, Signal::TERM);
    assert_eq!((w.next(0), w.status(0)), (Some(Next::Stopped), ServiceStatus::Stopped));
}

#[test]
fn a_stop_before_anything_runs_holds_too() {
    let mut w = World::new(vec![daemon(), needs(&[(0, Started)], essential(daemon()))], Settings::default());
    w.begin();
    w.order(0, STOP);
    assert_eq!(w.status(1), ServiceStatus::Stopped);
    assert!(told(&w, Note::StoppedIdle { service: ServiceId(1) }));
    // Its process is created, and asked to stop at once.
    w.answer_all();
    assert_eq!(w.signals_to(w.pid(0)), [Signal::TERM]);
    w.die(0, Signal::TERM);
    assert_eq!((w.status(0), w.halted), (ServiceStatus::Stopped, None));
    // A failed start must not be retried.
    w.order(0, ControlOrder::Start);
    w.order(0, STOP);
    w.refuse(false, 127);
    assert_eq!((w.status(0), w.fault), (ServiceStatus::Stopped, None));
}

#[test]
fn a_start_by_hand_clears_the_attempts_of_what_was_given_up() {
    let mut rules = restarting(Restart::Always);
    rules.restart.max_attempts = Some(1);
    let mut w = up_with(vec![rules, daemon()], Settings::default());
    w.exit(0, 1);
    w.wait(S);
    w.answer_all();
    w.exit(0, 1);
    assert_eq!(w.next(0), Some(Next::GivenUp { attempts: 1 }));
    w.order(0, ControlOrder::Start);
    w.answer_all();
    assert!(w.runs(0) && w.core.attempts_of(ServiceId(0)) == 0);
}

/// TERM was taken for a signal to the main service, which was down, and nothing stopped.
#[test]
fn a_request_to_stop_is_for_rinit_when_main_was_stopped_by_hand() {
    let whole = Settings { main: Some(ServiceId(0)), term_stops_main: true, ..Settings::default() };
    let mut w = up_with(vec![daemon(), daemon()], whole);
    w.order(0, STOP);
    w.die(0, Signal::TERM);
    assert_eq!(w.halted, None);
    w.signal(Signal::TERM);
    assert_eq!(w.finish(), 0);
}
