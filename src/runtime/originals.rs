//! The verbose messages of tini and dumb-init, word for word: their users' scripts and their own test suites look for
//! them. Under its own name, and as catatonit, rinit uses its own messages.

use super::EventLoop;
use crate::cli::{LogLevel, Persona};
use crate::config::Program;
use crate::exit_code;
use crate::model::{ExitStatus, Pid, Signal};
use crate::output;
use crate::sys::event::signals::description;
use crate::sys::process::spawn::SessionMode;
use crate::text::template::fill;

impl EventLoop {
    /// Returns whether rinit uses the messages of another init.
    pub(super) fn speaks_for_another(&self) -> bool {
        matches!(self.runtime.persona, Persona::Tini | Persona::DumbInit)
    }

    /// Returns whether every process and signal is logged. tini's `-v` is a lower level than rinit's.
    pub(super) fn is_talkative(&self) -> bool {
        let tini = self.runtime.persona == Persona::Tini;
        output::is_verbose() || tini && tracing::enabled!(tracing::Level::INFO)
    }

    /// Returns the init whose messages are wanted, if any.
    fn spoken_for(&self) -> Option<Persona> {
        Some(self.runtime.persona).filter(|_| self.speaks_for_another() && self.is_talkative())
    }

    fn original(&self, level: LogLevel, text: &str) {
        self.say(level, None, text);
    }

    /// The COMMAND was started.
    pub(super) fn original_spawned(&self, program: &Program, pid: Pid) {
        let Some(persona) = self.spoken_for() else { return };
        let pid = pid.to_string();
        if persona == Persona::Tini {
            let word = program.argv.first().map_or_else(Default::default, |word| word.to_string_lossy());
            self.original(LogLevel::Info, &fill!("Spawned child process '{}' with pid '{}'", &word, &pid));
            return;
        }
        self.original(LogLevel::Debug, &fill!("Child spawned with PID {}.", &pid));
        if self.runtime.starter.place == SessionMode::OwnTerminal {
            self.original(LogLevel::Debug, "setsid complete.");
        }
    }

    /// A signal was received.
    pub(super) fn original_received(&self, signal: Signal) {
        let Some(persona) = self.spoken_for() else { return };
        match (persona, signal) {
            (Persona::Tini, Signal::CHLD) => self.original(LogLevel::Debug, "Received SIGCHLD"),
            // tini ignores these.
            (Persona::Tini, Signal::TTIN | Signal::TTOU) => {}
            (Persona::Tini, _) => {
                self.original(LogLevel::Debug, &fill!("Passing signal: '{}'", description(signal)));
            }
            (_, _) => {
                self.original(LogLevel::Debug, &fill!("Received signal {}.", &signal.number().to_string()))
            }
        }
    }

    /// A signal was forwarded, replaced or dropped.
    pub(super) fn original_forwarded(&self, signal: Signal) {
        if self.spoken_for() != Some(Persona::DumbInit) {
            return;
        }
        let taken = self.runtime.rewrites.iter().find(|(from, _)| *from == signal).map(|(_, to)| *to);
        let to = taken.unwrap_or(Some(signal)).map_or(0, Signal::number).to_string();
        if taken.is_some() {
            let from = signal.number().to_string();
            self.original(LogLevel::Debug, &fill!("Translating signal {} to {}.", &from, &to));
        }
        let text = match to.as_str() {
            "0" => fill!("Not forwarding signal {} to children (ignored).", &to),
            _ => fill!("Forwarded signal {} to children.", &to),
        };
        self.original(LogLevel::Debug, &text);
        if [Signal::TSTP, Signal::TTIN, Signal::TTOU].contains(&signal) {
            self.original(LogLevel::Debug, "Suspending self due to TTY signal.");
        }
    }

    /// A process was reaped.
    pub(super) fn original_reaped(&self, pid: Pid, outcome: ExitStatus) {
        let Some(persona) = self.spoken_for() else { return };
        let is_main = self.main_pid == Some(pid);
        let pid = pid.to_string();
        let (number, text) = match outcome {
            ExitStatus::Code(code) => (code.to_string(), ""),
            ExitStatus::Signal(signal) => (signal.number().to_string(), description(signal)),
        };
        let killed = !text.is_empty();
        match persona {
            Persona::Tini => {
                self.original(LogLevel::Debug, &fill!("Reaped child with pid: '{}'", &pid));
                let how = match killed {
                    true => fill!("Main child exited with signal (with signal '{}')", text),
                    false => fill!("Main child exited normally (with status '{}')", &number),
                };
                if is_main {
                    self.original(LogLevel::Info, &how);
                }
            }
            _ => {
                let how = if killed { "was terminated by signal" } else { "exited with exit status" };
                self.original(LogLevel::Debug, &fill!("A child with PID {} {} {}.", &pid, how, &number));
                if is_main {
                    self.original_forwarded(Signal::TERM);
                    let code = exit_code::of(outcome).to_string();
                    self.original(LogLevel::Debug, &fill!("Child exited with status {}. Goodbye.", &code));
                }
            }
        }
    }

    /// Everything that can be reaped now is reaped.
    pub(super) fn original_reaped_all(&self, any_left: bool) {
        if self.spoken_for() == Some(Persona::Tini) {
            let what = if any_left { "No child to reap" } else { "No child to wait" };
            self.original(LogLevel::Trace, what);
        }
    }
}
