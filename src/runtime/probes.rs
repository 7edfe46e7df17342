//! What probes say: nothing of it goes into the container's log. The last line is told when a probe fails.

use super::EventLoop;
use crate::checks::quoted;
use crate::cli::LogLevel;
use crate::model::{ExitStatus, Pid, ServiceId};
use crate::supervisor::ServiceStatus;
use crate::supervisor::event::{Note, StopReason};
use crate::sys::process::fork;
use crate::text::gather::Gather;
use crate::text::units::show_duration;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::time::Duration;

/// As much of a probe's output as is kept: its end.
const MAX_OUTPUT: usize = 4096;

/// A probe that runs.
pub(super) struct RunningProbe {
    service: ServiceId,
    pid: Pid,
    /// `None` once it has been read to its end.
    pipe: Option<OwnedFd>,
    output: Vec<u8>,
    /// Whether it has been killed.
    is_killed: bool,
    /// Whether it is a check, which says itself why it failed.
    is_check: bool,
}

/// Why the last probe of a service failed.
pub(super) struct ProbeFailure {
    service: ServiceId,
    why: String,
    /// Whether the service has passed a probe since.
    is_over: bool,
}

impl RunningProbe {
    pub(super) fn new(service: ServiceId, pid: Pid, pipe: Option<OwnedFd>, is_check: bool) -> Self {
        Self { service, pid, pipe, output: Vec::new(), is_killed: false, is_check }
    }

    /// Reads a piece; a program that writes for ever costs no memory.
    fn read(&mut self, fd: RawFd) {
        if fork::read_some(fd, &mut self.output) == 0 {
            self.pipe = None;
        }
        let end = self.output.len().saturating_sub(MAX_OUTPUT);
        self.output.drain(..end);
    }

    /// Reads what is left when it has ended, and lets go of who else may hold the pipe.
    fn read_rest(&mut self) {
        if let Some(pipe) = self.pipe.take() {
            fork::read_rest(pipe.as_raw_fd(), &mut self.output);
        }
    }

    /// Why it failed, with the last line that it wrote.
    fn why(&self, what: &str) -> String {
        let text = String::from_utf8_lossy(&self.output);
        let last = text.lines().map(str::trim).rfind(|line| !line.is_empty());
        if let Some(line) = last.filter(|_| self.is_check) {
            return line.to_string();
        }
        last.map_or_else(|| what.to_string(), |line| [what, ", and said ", &quoted(line)].concat())
    }
}

impl EventLoop {
    /// The pipes of the probes that run.
    pub(super) fn probe_pipes(&self) -> Vec<RawFd> {
        self.probes.iter().filter_map(|probe| Some(probe.pipe.as_ref()?.as_raw_fd())).gather()
    }

    /// A probe has written, if it is one that has this descriptor.
    pub(super) fn probe_says(&mut self, fd: RawFd) -> bool {
        let is = |probe: &&mut RunningProbe| probe.pipe.as_ref().is_some_and(|pipe| pipe.as_raw_fd() == fd);
        let Some(probe) = self.probes.iter_mut().find(is) else { return false };
        probe.read(fd);
        true
    }

    /// A probe is to be killed: if its service still runs, it took too long.
    pub(super) fn probe_killed(&mut self, pid: Pid) {
        let Some(probe) = self.probes.iter_mut().find(|probe| probe.pid == pid) else { return };
        probe.is_killed = true;
        probe.read_rest();
        let service = probe.service;
        if let Some(health) = self.runtime.core.rules(service).health.as_ref()
            && matches!(self.runtime.core.state_of(service), ServiceStatus::Running { .. })
        {
            let what = ["over its timeout of ", &show_duration(health.timeout)].concat();
            let why = probe.why(&what);
            self.probe_failed(service, why);
        }
    }

    /// A process has ended; if it was a probe, what it gave.
    pub(super) fn probe_ended(&mut self, pid: Pid, outcome: ExitStatus) {
        let Some(at) = self.probes.iter().position(|probe| probe.pid == pid) else { return };
        let mut probe = self.probes.swap_remove(at);
        if probe.is_killed {
            return;
        }
        probe.read_rest();
        if outcome == ExitStatus::Code(0) {
            if let Some(known) = known_mut(&mut self.failures, probe.service) {
                known.is_over = true;
            }
            if crate::output::is_verbose() {
                let why = probe.why("healthcheck passed");
                self.say(LogLevel::Debug, Some(probe.service), &why);
            }
        } else {
            let why = probe.why(&outcome.to_string());
            self.probe_failed(probe.service, why);
        }
    }

    /// Tells the first failure of a healthy service, and of its repetitions those that are no repetition; where one is
    /// enough, and while it has never been healthy, what follows is told with that. `-v` shows each.
    fn probe_failed(&mut self, service: ServiceId, why: String) {
        let is_healthy =
            matches!(self.runtime.core.state_of(service), ServiceStatus::Running { ready: true, .. });
        let retries = self.runtime.core.rules(service).health.as_ref().map_or(1, |health| health.retries);
        let is_known = |failure: &ProbeFailure| failure.service == service && failure.why == why;
        let is_news = !self.failures.iter().any(is_known);
        let level = if is_healthy && retries > 1 && is_news { LogLevel::Info } else { LogLevel::Debug };
        self.say(level, Some(service), &["healthcheck failed: ", &why].concat());
        match known_mut(&mut self.failures, service) {
            Some(known) => (known.why, known.is_over) = (why, false),
            None => self.failures.push(ProbeFailure { service, why, is_over: false }),
        }
    }

    /// Why the last probe of a service failed, in words that follow a note that comes of that.
    pub(super) fn why_by_probe(&self, note: Note) -> Option<String> {
        let (service, before) = match note {
            Note::Unhealthy { service, .. } => (service, ": "),
            Note::Stopping { service, cause: StopReason::StartTimeout } => (service, "; healthcheck: "),
            _ => return None,
        };
        let is = |failure: &&ProbeFailure| failure.service == service && !failure.is_over;
        self.failures.iter().find(is).map(|failure| [before, &failure.why].concat())
    }

    /// Why the last probe of a service failed, if it did.
    pub(super) fn probe_failure(&self, service: ServiceId) -> Option<String> {
        let is = |failure: &&ProbeFailure| failure.service == service && !failure.is_over;
        self.failures.iter().find(is).map(|failure| failure.why.clone())
    }

    /// How long a probe of a service may take.
    pub(super) fn probe_timeout(&self, service: ServiceId) -> Duration {
        let health = self.runtime.core.rules(service).health.as_ref();
        health.map_or(Duration::from_secs(5), |health| health.timeout)
    }
}

fn known_mut(failures: &mut [ProbeFailure], service: ServiceId) -> Option<&mut ProbeFailure> {
    failures.iter_mut().find(|failure| failure.service == service)
}
