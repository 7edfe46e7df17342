//! The rows of an answer: one JSON object per line.

use super::View;
use super::journal::{Reason, ServiceTally, event_word, service};
use super::protocol::{Refusal, VERSION};
use crate::config::Off;
use crate::model::{Condition, Dependency, ExitStatus, Moment, ServiceId, ServiceType, Ulimit};
use crate::service::context::ExecContext;
use crate::supervisor::ServiceStatus;
use crate::supervisor::event::{Next, Note};
use crate::text::escape::json_string;
use crate::text::gather::Gather;
use crate::text::template::fill;
use std::time::Duration;

/// A row being written.
pub struct Row {
    text: String,
}

impl Row {
    /// Starts a row of the answer to the request with this id.
    pub fn new(id: Option<u64>) -> Self {
        let mut row = Self { text: "{".into() };
        if let Some(id) = id {
            row.number("id", id);
        }
        row
    }

    /// Starts a row of this kind.
    pub fn of(kind: &str, id: Option<u64>) -> Self {
        let mut row = Self::new(id);
        row.text("row", kind);
        row
    }

    /// Starts the last row.
    pub fn last(id: Option<u64>, seq: u64, refusal: Option<&Refusal>) -> Self {
        let mut row = Self::new(id);
        row.flag("ok", refusal.is_none());
        row.number("v", VERSION);
        row.number("seq", seq);
        if let Some(refusal) = refusal {
            row.text("error", refusal.error);
            row.text("message", &refusal.message);
            if let Some(name) = &refusal.name {
                row.text("name", name);
            }
            if refusal.error == "version" {
                row.versions();
            }
        }
        row
    }

    /// Adds the supported protocol versions.
    pub fn versions(&mut self) {
        self.key("versions");
        self.text.push_str("[1]");
    }

    fn key(&mut self, key: &str) {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        json_string(key, &mut self.text);
        self.text.push(':');
    }

    /// Adds a string.
    pub fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        json_string(value, &mut self.text);
    }

    /// Adds a string or null.
    pub fn maybe_text(&mut self, key: &str, value: Option<&str>) {
        match value {
            Some(value) => self.text(key, value),
            None => self.raw(key, "null"),
        }
    }

    /// Adds bytes: as a string if they are UTF-8, otherwise in hexadecimal as `KEY_hex`.
    pub fn bytes(&mut self, key: &str, value: &[u8]) {
        match std::str::from_utf8(value) {
            Ok(value) => self.text(key, value),
            Err(_) => {
                let digit = |n: u8| char::from_digit(u32::from(n), 16).unwrap_or('0');
                let hex: String =
                    value.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
                self.text(&fill!("{}_hex", key), &hex);
            }
        }
    }

    /// Adds a whole number.
    pub fn number(&mut self, key: &str, value: u64) {
        self.raw(key, &value.to_string());
    }

    /// Adds a whole number or null.
    pub fn maybe_number(&mut self, key: &str, value: Option<u64>) {
        match value {
            Some(value) => self.number(key, value),
            None => self.raw(key, "null"),
        }
    }

    /// Adds a boolean.
    pub fn flag(&mut self, key: &str, value: bool) {
        self.raw(key, if value { "true" } else { "false" });
    }

    /// Adds a value that is already JSON.
    pub fn raw(&mut self, key: &str, value: &str) {
        self.key(key);
        self.text.push_str(value);
    }

    /// Adds a list of numbers or null.
    fn numbers(&mut self, key: &str, values: Option<&[u32]>) {
        let Some(values) = values else { return self.raw(key, "null") };
        let list: Vec<String> = values.iter().map(u32::to_string).gather();
        self.raw(key, &fill!("[{}]", &list.join(",")));
    }

    /// Adds a list of strings.
    pub fn texts<'t>(&mut self, key: &str, values: impl Iterator<Item = &'t str>) {
        self.key(key);
        self.text.push('[');
        for (at, value) in values.enumerate() {
            if at > 0 {
                self.text.push(',');
            }
            json_string(value, &mut self.text);
        }
        self.text.push(']');
    }

    /// Adds an exit status.
    fn outcome(&mut self, outcome: ExitStatus) {
        match outcome {
            ExitStatus::Code(code) => self.number("code", code.into()),
            ExitStatus::Signal(signal) => self.text("signal", &signal.to_string()),
        }
    }

    /// Finishes the row.
    pub fn end(mut self) -> String {
        self.text.push_str("}\n");
        self.text
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl View<'_> {
    /// Adds the name of a service, and its number if it is an instance of a replicated one.
    fn service(&self, row: &mut Row, key: &str, id: ServiceId) {
        row.text(key, self.name(id));
        let instance = self.services.get(id.index()).map_or(0, |service| service.program.instance);
        if instance > 0 {
            row.number("instance", instance.into());
        }
    }

    fn name(&self, id: ServiceId) -> &str {
        self.services.get(id.index()).map_or("?", |service| service.name.as_str())
    }

    fn at(&self, moment: Moment) -> u64 {
        millis(moment.since(self.journal.began))
    }

    /// Returns the `status` row of a service.
    pub fn service_row(&self, id: Option<u64>, service: ServiceId) -> String {
        let (core, rules) = (self.core, self.core.rules(service));
        let tally = self.journal.tally(service);
        let status = core.state_of(service);
        let mut row = Row::of("service", id);
        self.service(&mut row, "name", service);
        row.text("type", if rules.kind == ServiceType::Daemon { "daemon" } else { "oneshot" });
        row.text("state", state_word(status));
        row.flag("ready", status.is_ready());
        self.health(&mut row, service, status);
        self.process(&mut row, service, status);
        row.number("restarts", tally.starts.saturating_sub(1).into());
        row.number("attempts", core.attempts_of(service).into());
        self.last_exit(&mut row, &tally);
        let reason = tally.reason.filter(|_| !matches!(status, ServiceStatus::Running { .. }));
        row.maybe_text("reason", reason.map(Reason::word));
        let waits_for = match (core.waits_for(service), reason) {
            (None, Some(Reason::Needs(needs))) if status == ServiceStatus::Failed => Some(needs),
            (waits_for, _) => waits_for,
        };
        row.maybe_text("waits_for", waits_for.map(|id| self.name(id)));
        let restart_in = match status {
            ServiceStatus::Backoff { until } => Some(millis(until.since(self.now))),
            _ => None,
        };
        row.maybe_number("restart_in_ms", restart_in);
        if let Some(said) = (self.said_of_itself)(service) {
            row.text("status_text", said.status);
            row.maybe_number("errno", said.errno.map(u64::from));
            row.maybe_number("exit_status", said.exit_status.map(u64::from));
            row.number("stored_fds", said.stored.into());
            row.flag("reloading", core.is_reloading(service));
        }
        self.schedule(&mut row, service);
        row.flag("enabled", rules.enabled);
        let off = self.services.get(service.index()).and_then(|service| service.off.as_deref());
        row.maybe_text("off", off.map(Off::why));
        row.flag("essential", rules.essential);
        row.flag("by_hand", core.is_stopped_by_hand(service));
        if let Some([lines, bytes, dropped]) = (self.log_counts)(service) {
            row.number("log_lines", lines);
            row.number("log_bytes", bytes);
            row.number("log_dropped", dropped);
        }
        row.end()
    }

    fn health(&self, row: &mut Row, service: ServiceId, status: ServiceStatus) {
        let failures = self.core.failed_probes_of(service);
        let health = match (status, &self.core.rules(service).health) {
            (ServiceStatus::Running { ready, .. }, Some(health)) => Some(match ready {
                _ if failures >= health.retries.max(1) => "unhealthy",
                true => "healthy",
                false => "starting",
            }),
            (ServiceStatus::Running { ready: false, .. }, None)
                if self.core.rules(service).readiness.is_some() =>
            {
                Some("starting")
            }
            _ => None,
        };
        row.maybe_text("health", health);
        row.number("health_failures", failures.into());
        row.maybe_text("health_reason", (self.probe_failure)(service).as_deref());
    }

    fn process(&self, row: &mut Row, service: ServiceId, status: ServiceStatus) {
        let process = match status {
            ServiceStatus::Running { since, .. } | ServiceStatus::Stopping { since, .. } => {
                self.core.leader_of(service).map(|pid| (pid, since))
            }
            _ => None,
        };
        row.maybe_number("pid", process.and_then(|(pid, _)| u64::try_from(pid).ok()));
        row.maybe_number("uptime_ms", process.map(|(_, since)| millis(self.now.since(since))));
    }

    fn last_exit(&self, row: &mut Row, tally: &ServiceTally) {
        let Some((outcome, at)) = tally.last_exit else {
            row.raw("last_exit", "null");
            return row.raw("last_exit_ms", "null");
        };
        let mut value = Row::new(None);
        value.outcome(outcome);
        row.raw("last_exit", value.end().trim_end());
        row.number("last_exit_ms", millis(self.now.since(at)));
    }

    /// Returns the row of an event.
    pub fn event_row(&self, id: Option<u64>, number: u64, (at, note): (Moment, Note)) -> String {
        let mut row = Row::of("event", id);
        row.number("seq", number);
        row.number("at_ms", self.at(at));
        row.text("event", event_word(note));
        if let Some(service) = service(note) {
            self.service(&mut row, "service", service);
        }
        match note {
            Note::Started { pid, .. } | Note::MainPid { pid, .. } => {
                row.number("pid", pid.unsigned_abs().into())
            }
            Note::Unhealthy { failures, .. } => row.number("failures", failures.into()),
            Note::RollFailed { left, kept, .. } => {
                row.number("left", u64::try_from(left).unwrap_or(0));
                row.flag("kept", kept);
            }
            Note::Ended { outcome, after, cause, next, .. } => {
                row.outcome(outcome);
                row.number("after_ms", millis(after));
                row.text("reason", Reason::Stop(cause).word());
                next_fields(&mut row, next);
            }
            Note::NotStarted { next, .. } => next_fields(&mut row, next),
            Note::HookFailed { hook, outcome, after, .. } => {
                row.text("hook", hook.key());
                if let Some(outcome) = outcome {
                    row.outcome(outcome);
                }
                row.number("after_ms", millis(after));
            }
            Note::SlowStart { after, .. } | Note::HookRuns { after, .. } | Note::Killing { after, .. } => {
                row.number("after_ms", millis(after))
            }
            Note::Unreachable { needs, .. } => row.text("needs", self.name(needs)),
            Note::Stopping { cause, .. } => row.text("reason", Reason::Stop(cause).word()),
            Note::Sweeping { signal } => row.text("signal", &signal.to_string()),
            Note::Forwarded { signal, pid, .. } => {
                row.text("signal", &signal.to_string());
                row.number("pid", pid.unsigned_abs().into());
            }
            Note::Ordered { because, service, .. } if because != service => {
                row.text("because", self.name(because));
            }
            _ => {}
        }
        row.end()
    }

    /// Returns a row with a service's output.
    pub fn log_row(&self, id: Option<u64>, service: ServiceId, from: u64, bytes: &[u8]) -> String {
        let mut row = Row::of("log", id);
        row.text("service", self.name(service));
        row.number("from", from);
        row.number("to", from.saturating_add(u64::try_from(bytes.len()).unwrap_or(0)));
        row.bytes("text", bytes);
        row.end()
    }

    /// Returns the row for output of a service that is no longer kept.
    pub fn log_gap_row(&self, id: Option<u64>, service: ServiceId, missed: u64) -> String {
        let mut row = Row::of("gap", id);
        row.text("service", self.name(service));
        row.number("missed", missed);
        row.end()
    }

    /// Returns the row of a dependency.
    pub fn edge_row(&self, id: Option<u64>, from: ServiceId, edge: &Dependency) -> String {
        let mut row = Row::of("edge", id);
        row.text("from", self.name(from));
        row.text("to", self.name(edge.on));
        let condition = match edge.condition {
            Some(Condition::Started) => "started",
            Some(Condition::Healthy) => "healthy",
            Some(Condition::Completed) => "completed",
            None => "after",
        };
        row.text("condition", condition);
        row.flag("required", edge.required && edge.condition.is_some());
        row.flag("restart", edge.restart);
        if edge.any > 0 {
            row.flag("any", true);
        }
        row.end()
    }

    /// Returns the `timeline` row of a service.
    pub fn timeline_row(&self, id: Option<u64>, service: ServiceId) -> String {
        let tally = self.journal.tally(service);
        let mut row = Row::of("timeline", id);
        self.service(&mut row, "name", service);
        row.maybe_number("waiting_ms", self.core.rules(service).enabled.then_some(0));
        row.maybe_number("started_ms", tally.started.map(|at| self.at(at)));
        row.maybe_number("ready_ms", tally.ready.map(|at| self.at(at)));
        row.maybe_number("ended_ms", tally.ended.map(|at| self.at(at)));
        row.end()
    }

    /// Returns the first row of `exec-context`.
    pub fn context_row(&self, id: Option<u64>, service: ServiceId, context: &ExecContext) -> String {
        let mut row = Row::of("context", id);
        row.text("name", self.name(service));
        let program = self.services.get(service.index()).map(|service| &service.program);
        let user = program.and_then(|program| program.user.as_ref());
        row.maybe_text("user", user.map(|user| user.user.as_str()).filter(|user| !user.is_empty()));
        row.maybe_text("group", user.and_then(|user| user.group.as_deref()));
        row.texts("groups", user.iter().flat_map(|user| &user.groups).map(String::as_str));
        row.flag("keep_groups", user.is_some_and(|user| user.keep_groups));
        let ids = context.ids.as_ref();
        row.maybe_number("uid", ids.map(|ids| ids.uid.into()));
        row.maybe_number("gid", ids.map(|ids| ids.gid.into()));
        row.numbers("gids", ids.map(|ids| ids.groups.as_slice()));
        match &context.directory {
            Some(directory) => row.bytes("working_dir", directory.as_bytes()),
            None => row.raw("working_dir", "null"),
        }
        row.maybe_number("umask", context.umask.map(u64::from));
        let limits: Vec<String> = context.ulimits.iter().map(limit).gather();
        row.raw("ulimits", &fill!("[{}]", &limits.join(",")));
        row.end()
    }
}

/// Returns the row of an environment variable.
pub fn environment_row(id: Option<u64>, entry: &[u8]) -> String {
    let mut row = Row::of("environment", id);
    let mut parts = entry.splitn(2, |byte| *byte == b'=');
    row.bytes("name", parts.next().unwrap_or_default());
    row.bytes("value", parts.next().unwrap_or_default());
    row.end()
}

/// Returns the row for events that the client has missed.
pub fn gap_row(id: Option<u64>, missed: u64) -> String {
    let mut row = Row::of("gap", id);
    row.number("missed", missed);
    row.end()
}

fn limit(limit: &Ulimit) -> String {
    let known = |value: u64| Some(value).filter(|value| *value != u64::MAX);
    let mut row = Row::new(None);
    row.text("name", limit.name);
    row.maybe_number("soft", known(limit.soft));
    row.maybe_number("hard", known(limit.hard));
    row.end().trim_end().to_string()
}

fn state_word(status: ServiceStatus) -> &'static str {
    match status {
        ServiceStatus::Off => "off",
        ServiceStatus::Waiting => "waiting",
        ServiceStatus::Scheduled => "scheduled",
        ServiceStatus::Starting => "starting",
        ServiceStatus::Running { .. } => "running",
        ServiceStatus::Stopping { .. } | ServiceStatus::Finishing => "stopping",
        ServiceStatus::Backoff { .. } => "backoff",
        ServiceStatus::Listening => "listening",
        ServiceStatus::Done => "done",
        ServiceStatus::Failed => "failed",
        ServiceStatus::Stopped => "stopped",
    }
}

fn next_fields(row: &mut Row, next: Next) {
    let word = match next {
        Next::Restarting { delay, attempt, .. } => {
            row.number("delay_ms", millis(delay));
            row.number("attempt", attempt.into());
            "restarting"
        }
        Next::Again => "restarting",
        Next::Done => "done",
        Next::Failed | Next::Over(_) => "failed",
        Next::GivenUp { .. } => "given-up",
        Next::Stopped => "stopped",
        Next::Listening => "listening",
    };
    row.text("next", word);
}
