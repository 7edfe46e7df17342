//! Formats the supervisor's notes, adding facts about the system that the supervisor does not know.

use super::EventLoop;
use crate::cli::{LogLevel, Persona};
use crate::diagnosis;
use crate::exit_code;
use crate::model::{ExitStatus, Pid, ServiceId, ServiceType, Signal};
use crate::output::messages;
use crate::received;
use crate::service::launcher::Role;
use crate::supervisor::ServiceStatus;
use crate::supervisor::event::{Next, Note, StopReason};
use crate::sys::event::clock;
use crate::sys::process::reap;
use crate::text::escape::on_one_line;
use crate::text::gather::Gather;
use crate::text::template::fill;
use std::time::Duration;

/// Explains a SIGKILL that the kernel has no record of.
const BY_HAND: &str = "killed by SIGKILL, and neither by rinit nor for the container's memory limit: somebody sent it, or the machine itself ran out of memory (the host's dmesg tells)";

impl EventLoop {
    pub(super) fn orphan(&self, pid: Pid) {
        if self.runtime.warn_on_reap {
            let text = match self.runtime.persona {
                Persona::Tini => format!("Reaped zombie process with pid={pid}"),
                _ => format!("reaped an orphan (pid {pid})"),
            };
            self.say(LogLevel::Warn, None, &text);
        }
    }

    pub(super) fn tell(&mut self, note: Note) {
        let services = self.services();
        let name = |id: ServiceId| services.get(id.index()).map_or("?", |service| service.name.as_str());
        let mut words = messages::words(note, name);
        self.list_those_meant(note, &mut words.text);
        let slow = if let Note::SlowStart { service, .. } = note { self.why_slow(service) } else { None };
        if let Note::SlowStart { service, given_up, .. } = note
            && let Some(why) = self.why_not_followed(service)
        {
            words.text = fill!("{}{}", &why, if given_up { "; given up" } else { "" });
        }
        if let Some(why) = &slow {
            words.text = fill!("{}: {}", words.text, why);
        }
        match (note, self.heard) {
            (
                Note::ShuttingDown { because: None } | Note::Draining { .. } | Note::KillingAll,
                Some(heard),
            ) => {
                words.text.push_str(&format!(" ({} {})", heard.0, received::sender(heard)));
            }
            // A terminal is resized whenever its client likes.
            (Note::Unused { signal: Signal::WINCH }, Some((_, None))) => words.level = LogLevel::Debug,
            _ => {}
        }
        if let Some(why) = self.why_by_probe(note) {
            words.text.push_str(&why);
        }
        if let Note::Stopping { service, cause: StopReason::StartTimeout } = note {
            words.text.push_str(self.why_not_ready(service));
        }
        if let Note::Ended { service, .. } = note
            && words.level <= LogLevel::Warn
        {
            self.what_it_said(service, &mut words.text);
        }
        let who = words.service.map_or_else(String::new, |id| fill!("{}: ", name(id)));
        // Other inits print no such lines.
        let hint = if self.runtime.persona == Persona::Rinit { self.hint(note) } else { None };
        self.keep_last_words(note, &words, &who, hint.as_ref().map_or("", |(_, text)| text));
        // As with any init, the end of a single command is not logged.
        if self.runtime.alone && slow.is_none() {
            if self.speaks_for_another() {
                return; // in words of its own
            }
            words.level = words.level.max(LogLevel::Debug);
        }
        self.say_event(words.level, words.service, messages::event_name(note), &words.text);
        if let Some((level, text)) = hint {
            self.say(level, words.service.filter(|_| !self.runtime.alone), &text);
        }
        self.await_last_lines(note);
    }

    /// Lists the services of a note that names none.
    fn list_those_meant(&self, note: Note, text: &mut String) {
        let name = |id: ServiceId| {
            self.runtime.services.get(id.index()).map_or("?", |service| service.name.as_str())
        };
        let now = clock::now();
        match note {
            Note::StillWaiting => {
                *text = messages::waits(&self.runtime.core.waits(now).gather(), &name);
            }
            Note::StillStopping => {
                *text = messages::stops(&self.runtime.core.stops(now).gather(), &name);
            }
            _ => {}
        }
    }

    /// Explains a note with facts from the system: why a service ended, or never becomes healthy.
    fn hint(&mut self, note: Note) -> Option<(LogLevel, String)> {
        let (service, outcome, after, next) = match note {
            Note::Ended { service, outcome, after, cause: StopReason::Itself, next, .. } => {
                (service, outcome, after, next)
            }
            Note::Unhealthy { service, .. } => {
                let (ServiceStatus::Running { pid, .. } | ServiceStatus::Stopping { pid, .. }) =
                    self.runtime.core.state_of(service)
                else {
                    return None;
                };
                let found = self.runtime.services.get(service.index())?;
                let why = diagnosis::never_healthy(found, pid, self.ended.map(|(_, outcome)| outcome));
                return why.map(|why| (LogLevel::Warn, why));
            }
            _ => return None,
        };
        let found = self.runtime.services.get(service.index())?;
        let is_main = self.runtime.main == Some(service);
        let first = !matches!(next, Next::Restarting { attempt: 2.., .. } | Next::GivenUp { .. });
        match outcome {
            _ if exit_code::of(outcome) == exit_code::KILLED => {
                let itself = outcome == ExitStatus::Signal(Signal::KILL);
                let why = diagnosis::killed(found, itself, &mut self.short_of_memory);
                let somebody = itself && !is_main;
                let by_hand = || somebody.then(|| BY_HAND.to_string());
                why.or_else(by_hand).map(|why| (LogLevel::Error, why))
            }
            _ if matches!(next, Next::Done | Next::Stopped) && outcome != ExitStatus::Code(0) => None,
            // A SIGPIPE in a shell pipeline is normal, too.
            ExitStatus::Signal(signal)
                if first && !self.has_come(signal) && !(is_main && signal == Signal::PIPE) =>
            {
                diagnosis::killed_by(signal).map(|why| (LogLevel::Error, why))
            }
            ExitStatus::Code(code) if first && code > exit_code::SIGNAL_BASE => {
                diagnosis::told_by(code).map(|why| (LogLevel::Error, why))
            }
            ExitStatus::Code(1..) if first && self.may_be_excused(service, outcome) => {
                let role = if is_main { Role::Main } else { Role::Service };
                self.runtime.starter.explain_exit(&found.program, role).map(|why| (LogLevel::Error, why))
            }
            ExitStatus::Code(0) if self.runtime.core.rules(service).kind == ServiceType::Daemon => {
                let (leader, _) = self.ended?;
                // For the COMMAND only if it was alone: scanning all processes takes time.
                let look = if is_main { self.runtime.alone && reap::any_child() } else { first };
                if look && let Some(why) = self.background(service, leader) {
                    return Some((LogLevel::Error, why));
                }
                let at_once = first && !is_main && after < Duration::from_secs(1);
                at_once.then(|| (LogLevel::Warn, diagnosis::at_once(found)))
            }
            _ => None,
        }
    }

    /// Returns whether it is worth inspecting the program: its exit code is typical, or it was started unusually.
    fn may_be_excused(&self, service: ServiceId, outcome: ExitStatus) -> bool {
        let Some(found) = self.runtime.services.get(service.index()) else { return false };
        matches!(outcome, ExitStatus::Code(code) if exit_code::may_be_unreadable_script(code))
            || self.runtime.starter.by_shell.get()
            || found.program.argv.iter().skip(1).any(|word| diagnosis::is_operator(word.to_bytes()))
    }

    fn background(&self, service: ServiceId, leader: Pid) -> Option<String> {
        let found = self.runtime.services.get(service.index())?;
        let by_name = self.runtime.main == Some(service);
        diagnosis::background(found, leader, by_name, &|pid| self.runtime.core.knows(pid))
    }

    /// A group is asked to stop: if its leader has just exited with success, a daemon may have tried to go into the
    /// background.
    pub(super) fn left_behind(&self, pid: Pid) {
        if self.ended != Some((pid, ExitStatus::Code(0))) {
            return;
        }
        let Some((service, _)) = self.runtime.core.lingering().find(|(_, leader)| *leader == pid) else {
            return;
        };
        // After a stop request the leader may end first.
        let asked = !matches!(
            self.runtime.core.state_of(service),
            ServiceStatus::Stopping { cause: StopReason::Itself, .. }
        );
        let is_daemon = !asked && self.runtime.core.rules(service).kind == ServiceType::Daemon;
        if is_daemon
            && self.runtime.main != Some(service)
            && let Some(why) = self.background(service, pid)
        {
            self.say(LogLevel::Error, Some(service), &why);
        }
    }

    /// Logs one line.
    pub(super) fn say(&self, level: LogLevel, service: Option<ServiceId>, text: &str) {
        self.say_event(level, service, "", text);
    }

    /// Logs one line for a named event.
    fn say_event(&self, level: LogLevel, service: Option<ServiceId>, event: &str, text: &str) {
        let found = service.and_then(|id| self.runtime.services.get(id.index()));
        let name = found.map_or("", |service| service.name.as_str());
        crate::output::event(level, name, event, &on_one_line(text));
    }
}
