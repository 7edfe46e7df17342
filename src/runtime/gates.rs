//! A service's `checks`: judged by a helper process before each start, whose words are told when it has ended.

use super::EventLoop;
use crate::checks;
use crate::cli::LogLevel;
use crate::exit_code;
use crate::model::{Level, Pid, ServiceId};
use crate::service::launcher::StartFailure;
use crate::sys::process::fork;
use crate::sys::{args, stdio};
use crate::text::gather::Gather;
use std::os::fd::{AsRawFd as _, OwnedFd};

/// The most that is told of one gate: what a pipe holds for certain, since nobody reads it before the end.
const MAX_TOLD: usize = 4096;

/// A helper that judges.
pub(super) struct RunningGate {
    service: ServiceId,
    pid: Pid,
    pipe: Option<OwnedFd>,
}

impl EventLoop {
    /// Starts to judge the checks of a service.
    pub(super) fn judge_gate(&mut self, service: ServiceId) -> Result<Pid, StartFailure> {
        let services = std::rc::Rc::clone(&self.runtime.services);
        let gate = services.get(service.index()).map_or(&[][..], |found| &found.program.gate);
        let (read, write) = fork::pipe().ok().unzip();
        let starter = self.runtime.starter;
        let job = || {
            let mut environ = starter.environ.clone().unwrap_or_else(args::environment);
            starter.exports.add_to(&mut environ, None, "checks");
            let (holds, lines) = checks::gate::judge(gate, environ, starter.ignored.clone());
            let mark = |level| if level == Level::Error { "e" } else { "w" };
            let lines = lines.into_iter().map(|(level, line)| [mark(level), &line, "\n"].concat()).gather();
            let mut text = lines.concat();
            text.truncate(text.floor_char_boundary(MAX_TOLD));
            if let Some(write) = &write {
                stdio::write_all(write.as_raw_fd(), text.as_bytes());
            }
            if holds { exit_code::SUCCESS } else { exit_code::CHECK_FAILED }
        };
        let pid = fork::fork(&starter.ignored, job).map_err(StartFailure::no_probe)?;
        self.gates.push(RunningGate { service, pid, pipe: read });
        Ok(pid)
    }

    /// A process has ended: tells what was found, if it has judged a service's checks.
    pub(super) fn gate_ended(&mut self, pid: Pid) {
        let Some(at) = self.gates.iter().position(|gate| gate.pid == pid) else { return };
        let gate = self.gates.swap_remove(at);
        let mut told = Vec::new();
        if let Some(pipe) = &gate.pipe {
            fork::read_rest(pipe.as_raw_fd(), &mut told);
        }
        for line in String::from_utf8_lossy(&told).lines() {
            let level = if line.starts_with('e') { LogLevel::Error } else { LogLevel::Warn };
            self.say(level, Some(gate.service), line.get(1..).unwrap_or_default());
        }
    }
}
