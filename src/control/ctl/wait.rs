//! `rinitctl wait`, and the waiting common to all verbs: the progress of a service.

use super::client::{ChangeWatch, CtlClient};
use super::status::{last_exit, why};
use super::table::{COMPLETED, SOCKET, STOPPED};
use super::{CtlError, CtlRequest};
use crate::exit_code::{FAILURE, TIMED_OUT};
use crate::model::Moment;
use crate::sys::event::clock;
use crate::text::gather::Gather;
use crate::text::json::Json;
use crate::text::template::fill;
use std::time::Duration;

/// A service that ends sooner than this counts as not started (like supervisord's `startsecs`).
const MIN_UPTIME: Duration = Duration::from_secs(1);

/// What to wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum WaitGoal {
    /// Healthy; running if it has no healthcheck; a oneshot: done.
    Ready,
    /// The same, for a run that began after an order: it may not end before [`MIN_UPTIME`], and a restart does not
    /// count.
    Started,
    /// Without a process.
    Stopped,
    /// Completed with success.
    Completed,
}

/// How far a service is from a goal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum GoalProgress {
    /// There.
    Reached,
    /// Not yet; check again after this time if nothing happens before.
    Pending(Option<Duration>),
    /// It will not get there, and why.
    Lost(String),
}

/// Returns the progress of a service. `first` is the first pid seen in this run, for [`WaitGoal::Started`].
pub(super) fn progress(goal: WaitGoal, row: &Json, first: Option<u64>) -> GoalProgress {
    let state = row.text("state").unwrap_or_default();
    let ended = matches!(state, "failed" | "stopped" | "off") || state == "done" && !is_oneshot(row);
    // A job between two runs has done what there is to do, if its last run has succeeded.
    if state == "scheduled" {
        return match (goal, row.text("last_result")) {
            (WaitGoal::Ready | WaitGoal::Stopped, _) | (_, Some("success")) => GoalProgress::Reached,
            (_, Some(_)) => GoalProgress::Lost(told(row)),
            (_, None) => GoalProgress::Pending(None),
        };
    }
    match goal {
        WaitGoal::Stopped => match state {
            "failed" | "stopped" | "off" | "done" => GoalProgress::Reached,
            _ => GoalProgress::Pending(None),
        },
        WaitGoal::Completed => match state {
            "done" => GoalProgress::Reached,
            "failed" | "stopped" | "off" => GoalProgress::Lost(told(row)),
            _ => GoalProgress::Pending(None),
        },
        WaitGoal::Ready | WaitGoal::Started if state == "done" && is_oneshot(row) => GoalProgress::Reached,
        WaitGoal::Ready | WaitGoal::Started if ended => GoalProgress::Lost(told(row)),
        WaitGoal::Ready if row.is_true("ready") && state == "running" => match row.text("health") {
            Some("unhealthy") => GoalProgress::Pending(None),
            _ => GoalProgress::Reached,
        },
        WaitGoal::Ready if state == "listening" => GoalProgress::Reached,
        WaitGoal::Ready => GoalProgress::Pending(None),
        WaitGoal::Started => started(row, state, first),
    }
}

fn started(row: &Json, state: &str, first: Option<u64>) -> GoalProgress {
    let pid = row.number("pid");
    if state == "backoff" || first.is_some() && pid != first {
        return GoalProgress::Lost(told(row));
    }
    if !row.is_true("ready") || state != "running" {
        return GoalProgress::Pending(None);
    }
    // A passed healthcheck is better evidence than the uptime.
    let ran = Duration::from_millis(row.number("uptime_ms").unwrap_or(0));
    match MIN_UPTIME.checked_sub(ran).filter(|left| !left.is_zero()) {
        Some(left) if row.text("health").is_none() => GoalProgress::Pending(Some(left)),
        _ => GoalProgress::Reached,
    }
}

fn is_oneshot(row: &Json) -> bool {
    row.text("type") == Some("oneshot")
}

/// Describes the state of a service.
fn told(row: &Json) -> String {
    let state = row.text("state").unwrap_or("?");
    let reason = why(row);
    let exit = last_exit(row).filter(|exit| !reason.contains(exit.as_str()));
    let parts = [Some(reason).filter(|reason| !reason.is_empty()), exit];
    let parts: Vec<String> = parts.into_iter().flatten().gather();
    if parts.is_empty() { state.to_string() } else { fill!("{}: {}", state, parts.join("; ")) }
}

/// A service that is waited for.
pub(super) struct Awaited {
    pub name: String,
    /// The pid from before the order, which does not count.
    pub before: Option<u64>,
    /// The first pid of the run after the order.
    pub first: Option<u64>,
}

impl Awaited {
    fn progress(&mut self, goal: WaitGoal, row: &Json) -> GoalProgress {
        let pid = row.number("pid");
        if self.before.is_some() && pid == self.before {
            return GoalProgress::Pending(None);
        }
        // The old process is gone; the service was stopping as long as it was there.
        if self.before.is_some() && pid.is_none() && row.text("state") == Some("stopping") {
            return GoalProgress::Pending(None);
        }
        self.before = None;
        let progress = progress(goal, row, self.first);
        self.first = self.first.or(pid);
        progress
    }
}

/// Waits until all have reached the goal. `since`: the number of the last event seen. `tell` is called for each that
/// has, and for those that have not yet.
pub(super) fn wait_for(
    client: &mut CtlClient,
    socket: Option<&str>,
    goal: WaitGoal,
    mut left: Vec<Awaited>,
    since: Option<u64>,
    until: Option<Moment>,
    tell: &mut dyn FnMut(Told<'_>),
) -> Result<u8, CtlError> {
    let mut changes = ChangeWatch::since(socket, since);
    let mut code = 0;
    loop {
        let names: Vec<&str> = left.iter().map(|one| one.name.as_str()).gather();
        if names.is_empty() {
            return Ok(code);
        }
        let (rows, last) = client.services(&names)?;
        let mut again: Option<Duration> = None;
        let stops = last.text("state") == Some("stopping");
        left.retain_mut(|one| {
            let Some(row) = rows.iter().find(|row| row.text("name") == Some(&one.name)) else {
                code = FAILURE;
                tell(Told::Lost(&one.name, "is no service any more"));
                return false;
            };
            match one.progress(goal, row) {
                GoalProgress::Reached => tell(Told::Reached(&one.name)),
                GoalProgress::Lost(why) => {
                    code = FAILURE;
                    tell(Told::Lost(&one.name, &why));
                }
                GoalProgress::Pending(_)
                    if stops && goal != WaitGoal::Stopped && goal != WaitGoal::Completed =>
                {
                    code = FAILURE;
                    tell(Told::Lost(&one.name, "the container stops"));
                }
                GoalProgress::Pending(after) => {
                    tell(Told::Pending(&one.name, row));
                    again = [again, after].into_iter().flatten().min();
                    return true;
                }
            }
            false
        });
        if left.is_empty() {
            return Ok(code);
        }
        if until.is_some_and(|until| clock::now() >= until) {
            for one in &left {
                tell(Told::Late(&one.name));
            }
            return Ok(TIMED_OUT);
        }
        let look = again.map(|again| clock::now().after(again));
        if !changes.wait([look, until].into_iter().flatten().min()) && goal == WaitGoal::Stopped {
            return Ok(code);
        }
    }
}

/// A report on a service that is waited for.
pub(super) enum Told<'a> {
    /// It is there.
    Reached(&'a str),
    /// Not yet, with its row.
    Pending(&'a str, &'a Json),
    /// It will not get there, and why.
    Lost(&'a str, &'a str),
    /// Not in time.
    Late(&'a str),
}

pub(super) fn run(request: &CtlRequest<'_>) -> Result<u8, CtlError> {
    let arguments = request.arguments;
    let until = request.deadline()?;
    let goal = if arguments.has(&STOPPED) {
        WaitGoal::Stopped
    } else if arguments.has(&COMPLETED) {
        WaitGoal::Completed
    } else {
        WaitGoal::Ready
    };
    let mut client = request.connect()?;
    let (rows, last) = client.chosen(&arguments.words)?;
    let awaited = |row: &Json| {
        let name = row.text("name")?.to_string();
        Some(Awaited { name, before: None, first: None })
    };
    let left = rows.iter().filter_map(awaited).gather();
    wait_for(&mut client, arguments.value(&SOCKET), goal, left, last.number("seq"), until, &mut |told| {
        match told {
            Told::Lost(name, why) => super::complain(&fill!("{}: {}", name, why)),
            Told::Late(name) => super::complain(&fill!("{}: not within the time", name)),
            Told::Reached(_) | Told::Pending(..) => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::wait::*;
    use crate::text::json::parse;

    #[test]
    fn a_goal_is_reached_or_lost() {
        use WaitGoal::{Completed, Ready, Started, Stopped};
        let lost = |why: &str| GoalProgress::Lost(why.into());
        let pending = GoalProgress::Pending(None);
        let second = |ms| GoalProgress::Pending(Some(Duration::from_millis(ms)));
        for (goal, row, first, want) in [
            (Ready, r#"{"state":"running","ready":true,"health":null}"#, None, GoalProgress::Reached),
            (Ready, r#"{"state":"running","ready":false,"health":"starting"}"#, None, pending.clone()),
            (Ready, r#"{"state":"running","ready":true,"health":"unhealthy"}"#, None, pending.clone()),
            (Ready, r#"{"state":"running","ready":false,"type":"oneshot"}"#, None, pending.clone()),
            (Ready, r#"{"state":"done","type":"oneshot"}"#, None, GoalProgress::Reached),
            (Ready, r#"{"state":"done","type":"daemon"}"#, None, lost("done")),
            (Ready, r#"{"state":"backoff"}"#, None, pending.clone()),
            (
                Ready,
                r#"{"state":"failed","reason":"given-up","last_exit":{"code":3}}"#,
                None,
                lost("failed: given up; exited with code 3"),
            ),
            (Started, r#"{"state":"running","ready":true,"uptime_ms":400,"pid":7}"#, Some(7), second(600)),
            (
                Started,
                r#"{"state":"running","ready":true,"uptime_ms":1400,"pid":7}"#,
                Some(7),
                GoalProgress::Reached,
            ),
            (
                Started,
                r#"{"state":"running","ready":true,"uptime_ms":4,"health":"healthy","pid":7}"#,
                Some(7),
                GoalProgress::Reached,
            ),
            (
                Started,
                r#"{"state":"running","ready":true,"uptime_ms":4,"pid":8,"last_exit":{"code":1}}"#,
                Some(7),
                lost("running: exited with code 1"),
            ),
            (
                Started,
                r#"{"state":"backoff","last_exit":{"code":1}}"#,
                None,
                lost("backoff: starts again; exited with code 1"),
            ),
            (Stopped, r#"{"state":"stopping"}"#, None, pending.clone()),
            (Stopped, r#"{"state":"stopped"}"#, None, GoalProgress::Reached),
            (Ready, r#"{"state":"scheduled","last_result":null}"#, None, GoalProgress::Reached),
            (Completed, r#"{"state":"scheduled","last_result":null}"#, None, pending.clone()),
            (Started, r#"{"state":"scheduled","last_result":"success"}"#, Some(7), GoalProgress::Reached),
            (
                Started,
                r#"{"state":"scheduled","last_result":"failure","last_exit":{"code":3},"next_run_unix":0}"#,
                Some(7),
                lost("scheduled: exited with code 3"),
            ),
            (Completed, r#"{"state":"done"}"#, None, GoalProgress::Reached),
            (Completed, r#"{"state":"stopped","reason":"by-hand"}"#, None, lost("stopped: by hand")),
        ] {
            assert_eq!(progress(goal, &parse(row).expect("JSON"), first), want, "{goal:?} {row}");
        }
    }

    /// A restart is not complete before the old process is gone.
    #[test]
    fn the_run_before_an_order_is_not_meant() {
        let row = |text: &str| parse(text).expect("JSON");
        let mut one = Awaited { name: "web".into(), before: Some(7), first: None };
        let old = row(r#"{"state":"running","ready":true,"uptime_ms":9000,"pid":7}"#);
        assert_eq!(one.progress(WaitGoal::Started, &old), GoalProgress::Pending(None));
        let gone = row(r#"{"state":"stopping","pid":null}"#);
        assert_eq!(one.progress(WaitGoal::Started, &gone), GoalProgress::Pending(None));
        let new = row(r#"{"state":"running","ready":true,"uptime_ms":9000,"pid":8}"#);
        assert_eq!(one.progress(WaitGoal::Started, &new), GoalProgress::Reached);
    }
}
