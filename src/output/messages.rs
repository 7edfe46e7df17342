//! Formats the supervisor's notes as log lines.

use crate::cli::LogLevel;
use crate::model::{Condition, ExitStatus, HookKind, ServiceId, Signal};
use crate::supervisor::Wait;
use crate::supervisor::event::{ControlOrder, Next, Note, Over, StopReason};
use crate::text::escape::toml_key;
use crate::text::gather::Gather;
use crate::text::template::fill;
use crate::text::units::show_duration;
use std::time::Duration;

/// A note as it is logged.
pub struct Words {
    /// Log level.
    pub level: LogLevel,
    /// The service it is about.
    pub service: Option<ServiceId>,
    /// One line.
    pub text: String,
}

/// Returns the name of a note's event, for lines that programs read (JSON).
#[must_use]
pub fn event_name(note: Note) -> &'static str {
    match note {
        Note::Started { .. } => "started",
        Note::Ready { .. } => "ready",
        Note::Reloading { .. } => "reloading",
        Note::Reloaded { .. } => "reloaded",
        Note::MainPid { .. } => "main_pid",
        Note::Healthy { .. } => "healthy",
        Note::HookFailed { .. } => "hook_failed",
        Note::HookRuns { .. } => "hook_slow",
        Note::Unhealthy { .. } => "unhealthy",
        Note::Ended { .. } => "ended",
        Note::NotStarted { .. } => "not_started",
        Note::SlowStart { .. } => "slow_start",
        Note::Unreachable { .. } => "unreachable",
        Note::Stopping { .. } => "stopping",
        Note::Killing { .. } => "killing",
        Note::Stuck { .. } => "stuck",
        Note::Draining { .. } => "draining",
        Note::ShuttingDown { .. } => "shutting_down",
        Note::KillingAll => "killing_all",
        Note::Sweeping { .. } => "sweeping",
        Note::NotForwarded { .. } => "not_forwarded",
        Note::Unused { .. } => "unused_signal",
        Note::Forwarded { .. } => "forwarded",
        Note::StillWaiting => "still_waiting",
        Note::StillStopping => "still_stopping",
        Note::Ordered { .. } => "ordered",
        Note::StoppedIdle { .. } => "stopped_idle",
        Note::NotReloaded => "not_reloaded",
        Note::ConfigReloaded { .. } => "configuration_reloaded",
        Note::Added { .. } => "added",
        Note::Removed { .. } => "removed",
        Note::TurnedOff { .. } => "turned_off",
        Note::Rolled { .. } => "rolled",
        Note::RollFailed { .. } => "roll_failed",
        Note::Listening { .. } => "listening",
        Note::Activated { .. } => "activated",
        Note::RunSkipped { .. } => "run_skipped",
    }
}

const LISTENING: &str = "the next connection starts it";

const STUCK: &str = "killed, but still there (in uninterruptible sleep?); waiting for it no longer";

const SKIPPED: &str = "due by its schedule while the last run goes on; skipped, as are those that follow meanwhile; schedule.overlap = \"queue\" would run it later";

/// Formats a note. `name` returns a service's name.
#[expect(clippy::too_many_lines, reason = "one table")]
pub fn words<'n>(note: Note, name: impl Fn(ServiceId) -> &'n str) -> Words {
    let (level, service, text) = match note {
        Note::Started { service, pid } => (LogLevel::Info, Some(service), format!("started (pid {pid})")),
        Note::Ready { service } => (LogLevel::Info, Some(service), "ready".into()),
        Note::Reloading { service } => (LogLevel::Info, Some(service), "reloading".into()),
        Note::Reloaded { service, confirmed: true } => (LogLevel::Info, Some(service), "reloaded".into()),
        Note::Reloaded { service, confirmed: false } => (
            LogLevel::Warn,
            Some(service),
            "said RELOADING=1, and in time neither READY=1 nor STOPPING=1; it counts as running again".into(),
        ),
        Note::MainPid { service, pid } => {
            (LogLevel::Info, Some(service), format!("its main process is pid {pid}"))
        }
        Note::Healthy { service } => (LogLevel::Info, Some(service), "healthy".into()),
        Note::HookFailed { service, hook, outcome, after } => {
            (LogLevel::Warn, Some(service), hook_failed(hook, outcome, &show_duration(after)))
        }
        Note::HookRuns { service, hook, after, limit } => {
            let (after, limit) = (show_duration(after), show_duration(limit));
            (
                LogLevel::Info,
                Some(service),
                fill!("{} still runs after {} (at most {})", hook.key(), &after, &limit),
            )
        }
        Note::Unhealthy { service, failures } => (
            LogLevel::Warn,
            Some(service),
            match failures {
                1 => "unhealthy: its healthcheck failed".into(),
                _ => format!("unhealthy: its healthcheck failed {failures} times in a row"),
            },
        ),
        Note::Ended { service, outcome, after, took, cause, next } => {
            let (level, text) = ended(outcome, &show_duration(after), took, cause, next, &name);
            (level, Some(service), text)
        }
        Note::NotStarted { service, next } => {
            let (level, what) = following(next);
            (level, Some(service), fill!("not started; {}", what))
        }
        Note::SlowStart { service, after, given_up } => {
            let (level, text) = slow_start(&show_duration(after), given_up);
            (level, Some(service), text)
        }
        Note::Unreachable { service, needs } => (
            LogLevel::Error,
            Some(service),
            fill!("not started: it needs {}, which failed; required = false starts it without", name(needs)),
        ),
        Note::Stopping { service, cause } => {
            let level = match cause {
                StopReason::Itself | StopReason::Shutdown | StopReason::ByHand => LogLevel::Debug,
                StopReason::Reload | StopReason::Rolled => LogLevel::Info,
                _ => LogLevel::Warn,
            };
            (level, Some(service), fill!("stopping{}", because(cause, &name)))
        }
        Note::Killing { service, after, leader } => {
            let who = if leader { "it" } else { "its process group" };
            let text = fill!("did not stop within {}; killing {}", show_duration(after), who);
            (LogLevel::Warn, Some(service), text)
        }
        Note::Stuck { service } => (LogLevel::Error, Some(service), STUCK.into()),
        Note::Ordered { service, order, because } => {
            (LogLevel::Info, Some(service), ordered(service, order, name(because), because))
        }
        Note::StoppedIdle { service } => (LogLevel::Info, Some(service), "stopped (it did not run)".into()),
        Note::NotReloaded => (LogLevel::Warn, None, "not reloaded: the container stops".into()),
        // The runtime tells what has changed, or what is wrong.
        Note::ConfigReloaded { .. } => (LogLevel::Debug, None, "the configuration was read anew".into()),
        Note::Added { service } => (LogLevel::Info, Some(service), "added".into()),
        Note::Removed { service } => (LogLevel::Info, Some(service), "removed".into()),
        Note::TurnedOff { service } => (LogLevel::Info, Some(service), "off".into()),
        Note::Rolled { service } => (LogLevel::Info, Some(service), "restarted in its turn".into()),
        Note::RollFailed { service, left, kept } => {
            let what = if kept {
                "the new process beside it did not get ready, and it runs on"
            } else {
                "not ready after its restart"
            };
            let rest = if left == 0 { String::new() } else { format!(", and {left} more run as they were") };
            let text = [what, "; the rolling restart ends here", &rest].concat();
            (LogLevel::Error, Some(service), text)
        }
        Note::Listening { service } => (LogLevel::Info, Some(service), LISTENING.into()),
        Note::Activated { service } => {
            (LogLevel::Debug, Some(service), "a client has connected; starting".into())
        }
        Note::RunSkipped { service, queued: 0 } => (LogLevel::Warn, Some(service), SKIPPED.into()),
        Note::RunSkipped { service, queued } => {
            (LogLevel::Warn, Some(service), format!("due by its schedule while {queued} runs wait; skipped"))
        }
        Note::Draining { delay } => {
            let delay = show_duration(delay);
            (LogLevel::Info, None, ["stopping in ", &delay, "; everything serves until then"].concat())
        }
        Note::ShuttingDown { because: None } => (LogLevel::Info, None, "stopping".into()),
        Note::ShuttingDown { because: Some(service) } => {
            (LogLevel::Info, None, fill!("stopping, because {} has ended", name(service)))
        }
        Note::KillingAll => (LogLevel::Warn, None, "asked to stop again; killing everything".into()),
        Note::Sweeping { signal } => {
            (LogLevel::Debug, None, format!("sending {signal} to the processes that are left over"))
        }
        // The runtime adds the list of services.
        Note::StillWaiting | Note::StillStopping => (LogLevel::Info, None, String::new()),
        Note::NotForwarded { signal, service } => {
            (LogLevel::Info, Some(service), format!("{signal} is for it, and it does not run"))
        }
        Note::Unused { signal } => (LogLevel::Info, None, unused(signal, name(ServiceId(0)))),
        Note::Forwarded { signal, service, pid, group } => {
            let whom = if group { "process group" } else { "pid" };
            (LogLevel::Debug, Some(service), format!("passed {signal} on to {whom} {pid}"))
        }
    };
    Words { level, service, text }
}

/// The maximum number of names in such a line.
const MAX_NAMES: usize = 6;

/// Lists who waits for what, grouped by what they wait for: "web and api wait for db to be healthy (12s)".
pub fn waits<'n>(waits: &[Wait], name: &impl Fn(ServiceId) -> &'n str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for (at, wait) in waits.iter().enumerate() {
        let alike = |other: &&Wait| other.on == wait.on && other.condition == wait.condition;
        if waits.iter().take(at).any(|other| alike(&other)) {
            continue;
        }
        let who: Vec<&str> = waits.iter().filter(alike).map(|wait| name(wait.service)).gather();
        let verb = if who.len() == 1 { "waits" } else { "wait" };
        let what = match wait.condition {
            Some(Condition::Started) => "to start",
            Some(Condition::Healthy) => "to be healthy",
            Some(Condition::Completed) => "to be completed",
            None => "to be ready",
        };
        let span = show_duration(Duration::from_secs(wait.span.as_secs()));
        lines.push(fill!("{} {} for {} {} ({})", list(&who), verb, name(wait.on), what, span));
    }
    lines.join("; ")
}

/// Lists the services that have not stopped yet: "web is still stopping (KILL in 7s)".
pub fn stops<'n>(stops: &[(ServiceId, Option<Duration>)], name: &impl Fn(ServiceId) -> &'n str) -> String {
    let shown = |(id, left): &(ServiceId, Option<Duration>)| {
        let left = left.map_or_else(
            || "killed".into(),
            |left| fill!("KILL in {}", show_duration(Duration::from_secs(left.as_secs()))),
        );
        fill!("{} ({})", name(*id), left)
    };
    let who: Vec<String> = stops.iter().map(shown).gather();
    let who: Vec<&str> = who.iter().map(String::as_str).gather();
    fill!("still stopping: {}", list(&who))
}

fn list(names: &[&str]) -> String {
    let shown = names.get(..MAX_NAMES).unwrap_or(names).join(", ");
    match names.len().saturating_sub(MAX_NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Suggests what to do about an unused signal; `to` is a service that might handle it.
fn unused(signal: Signal, to: &str) -> String {
    let text = signal.to_string();
    let word = text.strip_prefix("SIG").map_or_else(|| signal.number().to_string(), str::to_string);
    let key = toml_key(&word);
    format!(
        "{signal} came, and nobody uses it: a service gets it by this line under [signals]: {key} = {{ service = \"{to}\", signal = \"{word}\" }}"
    )
}

fn ended<'n>(
    outcome: ExitStatus,
    after: &str,
    took: Duration,
    cause: StopReason,
    next: Next,
    name: &impl Fn(ServiceId) -> &'n str,
) -> (LogLevel, String) {
    // The run and the stop are timed separately.
    let ran = || fill!("(ran {}, stop took {})", after, show_duration(took));
    let is_asked = matches!(cause, StopReason::ByHand | StopReason::Reload | StopReason::Rolled);
    if cause == StopReason::Shutdown || is_asked && next == Next::Stopped {
        // Nothing is restarted now, whatever the policy says.
        return if asked_for(outcome) || next == Next::Stopped {
            (LogLevel::Info, fill!("stopped {}", ran()))
        } else {
            (LogLevel::Warn, format!("stopped with a failure {}: {outcome}", ran()))
        };
    }
    let (level, what) = following(next);
    let reason = because(cause, name);
    let text = if next == Next::Stopped && reason.is_empty() && asked_for(outcome) {
        fill!("stopped {}", ran())
    } else if next == Next::Done || next == Next::Stopped && reason.is_empty() {
        format!("{outcome} after {after}")
    } else {
        format!("{outcome} after {after}{reason}; {what}")
    };
    (level, text)
}

/// Returns whether a stopped service ended as expected.
fn asked_for(outcome: ExitStatus) -> bool {
    match outcome {
        ExitStatus::Code(code) => code == 0,
        ExitStatus::Signal(signal) => signal != Signal::KILL,
    }
}

fn slow_start(after: &str, given_up: bool) -> (LogLevel, String) {
    if given_up {
        (LogLevel::Error, fill!("its program was not loaded within {}; killing it", after))
    } else {
        (LogLevel::Warn, fill!("its program is not loaded after {}", after))
    }
}

fn hook_failed(hook: HookKind, outcome: Option<ExitStatus>, after: &str) -> String {
    if let (HookKind::Checks, Some(ExitStatus::Code(_))) = (hook, outcome) {
        // What does not hold has been told.
        return fill!("its checks do not hold, after {}", after);
    }
    let how = outcome.map_or_else(|| "not done, and killed".into(), |outcome| outcome.to_string());
    fill!("{}: {} after {}", hook.key(), &how, after)
}

/// Describes an order for a service, given directly or through another one.
fn ordered(service: ServiceId, order: ControlOrder, name: &str, because: ServiceId) -> String {
    let (what, why) = match order {
        ControlOrder::Start => ("start by hand", " needs it"),
        ControlOrder::Stop { .. } => ("stop by hand", ", which it needs, is to stop"),
        ControlOrder::Restart => ("restart by hand", ""),
        ControlOrder::Roll => ("restart by hand, in its turn", ""),
        ControlOrder::Signal(_) => ("signal by hand", ""),
    };
    if service == because { what.into() } else { fill!("{}: {}{}", what, name, why) }
}

fn following(next: Next) -> (LogLevel, String) {
    match next {
        Next::Restarting { delay, attempt, of } => {
            let count = of.map_or_else(|| format!("{attempt}"), |of| format!("{attempt} of {of}"));
            (LogLevel::Warn, fill!("restarting in {} ({})", show_duration(delay), count))
        }
        Next::Done => (LogLevel::Info, "done".into()),
        Next::Failed => (LogLevel::Error, "failed, and its restart policy does not start it again".into()),
        Next::Over(Over::Scheduled) => (LogLevel::Error, "failed; its schedule starts it again".into()),
        Next::Over(Over::Stays) => (LogLevel::Error, "failed, and would fail again as it is".into()),
        Next::Over(Over::Stopping) => (LogLevel::Error, "failed while the container stops".into()),
        Next::Over(Over::Unhealthy) => {
            (LogLevel::Error, "failed, and on_unhealthy = \"stop\" ends it".into())
        }
        Next::Over(Over::StartLimit) => (
            LogLevel::Error,
            "failed; given up: started as often in this time as start_limit_burst allows".into(),
        ),
        Next::Over(Over::RestartLimit) => (
            LogLevel::Error,
            "failed; restart.max_restarts ends the container: no more restarts in this time".into(),
        ),
        Next::GivenUp { attempts: 1 } => (LogLevel::Error, "failed; given up after 1 restart".into()),
        Next::GivenUp { attempts } => {
            (LogLevel::Error, format!("failed; given up after {attempts} restarts"))
        }
        Next::Stopped => (LogLevel::Info, "stopped".into()),
        Next::Again => (LogLevel::Info, "starting again".into()),
        Next::Listening => (LogLevel::Info, LISTENING.into()),
    }
}

fn because<'n>(cause: StopReason, name: &impl Fn(ServiceId) -> &'n str) -> String {
    match cause {
        StopReason::Itself | StopReason::Shutdown | StopReason::ByHand => String::new(),
        StopReason::TooEarly => " (a failed start: shorter than min_uptime)".into(),
        StopReason::PostStart => " (post_start has failed)".into(),
        StopReason::StartTimeout => " (not ready within start_timeout)".into(),
        StopReason::RunTimeout => " (ran longer than run_timeout)".into(),
        StopReason::Unhealthy => " (unhealthy)".into(),
        StopReason::Reload => " (its configuration has changed)".into(),
        StopReason::Watchdog => " (no WATCHDOG=1 in time)".into(),
        StopReason::Rolled => " (it stood in)".into(),
        StopReason::Dependency(on) => fill!(" (because {} is restarted)", name(on)),
    }
}
