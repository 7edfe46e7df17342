//! The variables that oneshots write to the file named by `RINIT_ENV`: read when the process has ended, before its
//! dependents are started.

use super::EventLoop;
use crate::cli::LogLevel;
use crate::exit_code;
use crate::model::{ExitStatus, Pid, ServiceId};
use crate::service::exports::EnvFile;
use crate::sys::process::kill;

/// The variables file of one run.
pub(super) struct OpenEnvFile {
    service: ServiceId,
    file: EnvFile,
    /// Once its process has ended: its pid, and the size of the file at that time.
    ended: Option<(Pid, u64)>,
}

impl OpenEnvFile {
    /// Returns whether it is of a run of this service.
    pub(super) fn is_of(&self, service: ServiceId) -> bool {
        self.service == service
    }
}

impl EventLoop {
    /// Registers the file of a new run; `None`: it has none.
    pub(super) fn keep_env_file(&mut self, service: ServiceId, file: Option<EnvFile>) {
        self.env_files.retain(|known| known.service != service);
        self.env_files.extend(file.map(|file| OpenEnvFile { service, file, ended: None }));
    }

    /// A process has ended: takes over its variables if it has succeeded. Returns the exit status that counts.
    pub(super) fn take_env(&mut self, pid: Pid, outcome: ExitStatus) -> ExitStatus {
        let Some(service) = self.runtime.core.service_of(pid).filter(|_| !self.env_files.is_empty()) else {
            return outcome;
        };
        let services = self.services();
        let found = self.env_files.iter_mut().find(|file| file.service == service && file.ended.is_none());
        let allowed = services.get(service.index()).and_then(|service| service.program.export_env.as_ref());
        let (Some(open), Some(allowed)) = (found, allowed) else { return outcome };
        open.ended = Some((pid, open.file.size()));
        let success = &self.runtime.core.rules(service).success;
        if outcome != ExitStatus::Code(exit_code::SUCCESS) && !success.contains(&outcome) {
            return outcome;
        }
        match open.file.read(allowed) {
            Ok(written) => {
                let refused = written.refused.join(", ");
                self.runtime.starter.exports.take(written.taken);
                if !refused.is_empty() {
                    let why = "not handed on, for export_env does not name it: ";
                    self.say(LogLevel::Warn, Some(service), &[why, &refused].concat());
                }
                outcome
            }
            Err(why) => {
                let text =
                    ["what it wrote to RINIT_ENV ", &why, "; nothing of it is taken, and the run has failed"];
                self.say(LogLevel::Error, Some(service), &text.concat());
                ExitStatus::Code(exit_code::BAD_DATA)
            }
        }
    }

    /// Closes the files of ended processes, and warns about late writes by processes that they left behind.
    pub(super) fn look_at_env_files(&mut self) {
        let mut late = Vec::new();
        self.env_files.retain(|open| {
            let Some((leader, size)) = open.ended else { return true };
            if open.file.size() > size {
                late.push(open.service);
                return false;
            }
            kill::group_outlives(leader)
        });
        for service in late {
            let text = "one of its processes wrote to RINIT_ENV when the first had ended: not taken; let that wait for the others (`wait` in a shell)";
            self.say(LogLevel::Warn, Some(service), text);
        }
    }
}
