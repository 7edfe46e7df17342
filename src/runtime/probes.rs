//! The output of probes: it does not go to the container's log; its last line is shown when a probe fails.

use super::EventLoop;
use crate::checks::{Touched, quoted};
use crate::cli::LogLevel;
use crate::config::ProbeSpec;
use crate::model::{ExitStatus, Moment, Pid, ServiceId};
use crate::supervisor::ServiceStatus;
use crate::supervisor::event::{Event, Note, StopReason};
use crate::sys::process::fork;
use crate::text::gather::Gather;
use crate::text::template::fill;
use crate::text::units::show_duration;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::time::Duration;

/// How much of a probe's output is kept, from its end.
const MAX_OUTPUT: usize = 4096;

/// A running probe.
pub(super) struct RunningProbe {
    service: ServiceId,
    pid: Pid,
    /// `None` at end of file.
    pipe: Option<OwnedFd>,
    output: Vec<u8>,
    /// Whether it has been killed.
    is_killed: bool,
    /// Whether it is a check, which explains its failure itself.
    is_check: bool,
}

/// Why the last probe of a service failed.
pub(super) struct ProbeFailure {
    service: ServiceId,
    why: String,
    /// Whether the service has passed a probe since then.
    is_over: bool,
}

/// What the probes of one service have seen of a file's age.
pub(super) struct SeenFile {
    service: ServiceId,
    touched: Touched,
}

/// The first byte of a line in which a probe hands on what it has seen of a file's age.
const TOUCHED: char = '\u{1}';

/// The line for [`read_touched`].
pub(super) fn show_touched(touched: Touched) -> String {
    let [at, looked] = [touched.at, touched.looked].map(|moment| moment.0.to_string());
    fill!("\u{1}{} {} {}\n", &touched.modified.to_string(), &at, &looked)
}

fn read_touched(output: &[u8]) -> Option<Touched> {
    let line = std::str::from_utf8(output).ok()?.strip_prefix(TOUCHED)?.lines().next()?;
    let mut words = line.split(' ');
    let modified = words.next()?.parse().ok()?;
    let mut moment = || words.next()?.parse().ok().map(Moment);
    Some(Touched { modified, at: moment()?, looked: moment()? })
}

impl RunningProbe {
    pub(super) fn new(service: ServiceId, pid: Pid, pipe: Option<OwnedFd>, is_check: bool) -> Self {
        Self { service, pid, pipe, output: Vec::new(), is_killed: false, is_check }
    }

    /// Reads once; keeps only the end, so endless output uses no memory.
    fn read(&mut self, fd: RawFd) {
        if fork::read_some(fd, &mut self.output) == 0 {
            self.pipe = None;
        }
        let end = self.output.len().saturating_sub(MAX_OUTPUT);
        self.output.drain(..end);
    }

    /// Reads the rest after its end, and closes the pipe even if another process holds it open.
    fn read_rest(&mut self) {
        if let Some(pipe) = self.pipe.take() {
            fork::read_rest(pipe.as_raw_fd(), &mut self.output);
        }
    }

    /// Explains the failure, with the last line of output.
    fn why(&self, what: &str) -> String {
        let text = String::from_utf8_lossy(&self.output);
        let last = text.lines().map(str::trim).rfind(|line| !line.is_empty() && !line.starts_with(TOUCHED));
        if let Some(line) = last.filter(|_| self.is_check) {
            return line.to_string();
        }
        last.map_or_else(|| what.to_string(), |line| fill!("{}, and said {}", what, &quoted(line)))
    }
}

impl EventLoop {
    /// Returns the pipes of running probes.
    pub(super) fn probe_pipes(&self) -> Vec<RawFd> {
        self.probes.iter().filter_map(|probe| Some(probe.pipe.as_ref()?.as_raw_fd())).gather()
    }

    /// Reads a probe's output, if this descriptor belongs to a probe.
    pub(super) fn probe_says(&mut self, fd: RawFd) -> bool {
        let is = |probe: &&mut RunningProbe| probe.pipe.as_ref().is_some_and(|pipe| pipe.as_raw_fd() == fd);
        let Some(probe) = self.probes.iter_mut().find(is) else { return false };
        probe.read(fd);
        true
    }

    /// A probe is being killed: if its service still runs, the probe timed out.
    pub(super) fn probe_killed(&mut self, pid: Pid) {
        let Some(probe) = self.probes.iter_mut().find(|probe| probe.pid == pid) else { return };
        probe.is_killed = true;
        probe.read_rest();
        let service = probe.service;
        if let Some(health) = self.runtime.core.rules(service).health.as_ref()
            && matches!(self.runtime.core.state_of(service), ServiceStatus::Running { .. })
        {
            let what = fill!("over its timeout of {}", &show_duration(health.timeout));
            let why = probe.why(&what);
            self.probe_failed(service, why);
        }
    }

    /// A process has ended: evaluates the result if it was a probe.
    pub(super) fn probe_ended(&mut self, pid: Pid, outcome: ExitStatus) {
        let Some(at) = self.probes.iter().position(|probe| probe.pid == pid) else { return };
        let mut probe = self.probes.swap_remove(at);
        if probe.is_killed {
            return;
        }
        probe.read_rest();
        if let Some(touched) = read_touched(&probe.output).filter(|_| probe.is_check) {
            self.seen_files.retain(|seen| seen.service != probe.service);
            self.seen_files.push(SeenFile { service: probe.service, touched });
        }
        if outcome == ExitStatus::Code(0) {
            self.probe_passed(probe.service);
            if crate::output::is_verbose() {
                let why = probe.why("healthcheck passed");
                self.say(LogLevel::Debug, Some(probe.service), &why);
            }
        } else {
            let why = probe.why(&outcome.to_string());
            self.probe_failed(probe.service, why);
        }
    }

    /// Answers a probe that asks whether the service has written a line; returns false for other probes.
    pub(super) fn probe_log(&mut self, service: ServiceId) -> bool {
        let found = self.runtime.services.get(service.index()).map(|service| &service.program.probe);
        let Some(Some(ProbeSpec::Log(pattern))) = found else { return false };
        let passed = self.runtime.logs.as_ref().is_some_and(|logs| logs.seen().any(|seen| seen == service));
        if passed {
            self.probe_passed(service);
            self.events.push_back(Event::ProbePassed { service });
        } else {
            self.probe_failed(service, fill!("no line of its output has {} yet", &quoted(pattern)));
            self.events.push_back(Event::ProbeFailed { service });
        }
        true
    }

    /// The relay has seen something: a service that waits for that need not wait for its next probe.
    pub(super) fn look_at_patterns(&mut self) {
        let Some(logs) = &self.runtime.logs else { return };
        let core = &self.runtime.core;
        let waits = |service: &ServiceId| {
            matches!(core.state_of(*service), ServiceStatus::Running { ready: false, .. })
        };
        let events = logs.seen().filter(waits).map(|service| Event::ProbeNow { service });
        self.events.extend(events);
    }

    fn probe_passed(&mut self, service: ServiceId) {
        if let Some(known) = known_mut(&mut self.failures, service) {
            known.is_over = true;
        }
    }

    /// Logs the first failure of a healthy service, and later ones only if the reason differs; not where one failure
    /// suffices or the service was never healthy, since the note that follows includes it. `-v` shows every failure.
    fn probe_failed(&mut self, service: ServiceId, why: String) {
        let is_healthy =
            matches!(self.runtime.core.state_of(service), ServiceStatus::Running { ready: true, .. });
        let retries = self.runtime.core.rules(service).health.as_ref().map_or(1, |health| health.retries);
        let is_known = |failure: &ProbeFailure| failure.service == service && failure.why == why;
        let is_news = !self.failures.iter().any(is_known);
        let level = if is_healthy && retries > 1 && is_news { LogLevel::Info } else { LogLevel::Debug };
        self.say(level, Some(service), &fill!("healthcheck failed: {}", why));
        match known_mut(&mut self.failures, service) {
            Some(known) => (known.why, known.is_over) = (why, false),
            None => self.failures.push(ProbeFailure { service, why, is_over: false }),
        }
    }

    /// Explains, after a note caused by a failed probe, why the probe failed.
    pub(super) fn why_by_probe(&self, note: Note) -> Option<String> {
        let (service, before) = match note {
            Note::Unhealthy { service, .. } => (service, ": "),
            Note::Stopping { service, cause: StopReason::StartTimeout } => (service, "; healthcheck: "),
            _ => return None,
        };
        let is = |failure: &&ProbeFailure| failure.service == service && !failure.is_over;
        self.failures.iter().find(is).map(|failure| [before, &failure.why].concat())
    }

    /// Returns why the last probe of a service failed, if it did.
    pub(super) fn probe_failure(&self, service: ServiceId) -> Option<String> {
        let is = |failure: &&ProbeFailure| failure.service == service && !failure.is_over;
        self.failures.iter().find(is).map(|failure| failure.why.clone())
    }

    /// Returns what the last probe of a service has seen of a file's age.
    pub(super) fn touched_by(&self, service: ServiceId) -> Option<Touched> {
        self.seen_files.iter().find(|seen| seen.service == service).map(|seen| seen.touched)
    }

    /// Returns the timeout of a service's probes.
    pub(super) fn probe_timeout(&self, service: ServiceId) -> Duration {
        let health = self.runtime.core.rules(service).health.as_ref();
        health.map_or(Duration::from_secs(5), |health| health.timeout)
    }
}

fn known_mut(failures: &mut [ProbeFailure], service: ServiceId) -> Option<&mut ProbeFailure> {
    failures.iter_mut().find(|failure| failure.service == service)
}
