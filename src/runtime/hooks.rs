//! Runs the hooks of services.

use super::EventLoop;
use crate::cli::LogLevel;
use crate::model::{ExitStatus, HookKind, ServiceId};
use crate::service::launcher::Started;
use crate::supervisor::event::Event;
use crate::text::template::fill;
use std::ffi::CString;

impl EventLoop {
    pub(super) fn hook(&mut self, service: ServiceId, hook: HookKind, outcome: Option<ExitStatus>) {
        let services = self.services();
        let own = self.stands_for(service);
        let name = services.get(own.index()).map_or("", |own| own.name.as_str());
        let Some(found) = services.get(service.index()) else { return };
        if hook == HookKind::Checks {
            let event = match self.judge_gate(service) {
                Ok(pid) => Event::HookSpawned { service, hook, pid },
                Err(failure) => {
                    self.say_later(LogLevel::Error, Some(service), failure.why);
                    let (lasting, code) = (failure.lasting, failure.code);
                    Event::HookNotSpawned { service, hook, lasting, code }
                }
            };
            self.events.push_back(event);
            return;
        }
        let commands = found.program.hooks.as_ref();
        let argv = commands.and_then(|commands| commands.0.get(hook as usize)).map_or(&[][..], Vec::as_slice);
        let variables = self.hook_variables(service, name, hook, outcome);
        let outputs = self.runtime.logs.as_mut().and_then(|logs| logs.outputs(own));
        match self.runtime.starter.hook(&found.program, argv, outputs, variables) {
            Ok(started) => {
                self.events.push_back(Event::HookSpawned { service, hook, pid: started.pid() });
                if let Started::Loading(loading) = started {
                    self.load(loading, None);
                }
            }
            Err(failure) => {
                let key = if failure.key == "command" { hook.key() } else { failure.key };
                let place = self.runtime.starter.place_of(service, key);
                let text = fill!("{}: {}{}", hook.key(), &failure.why, &place);
                self.say_later(LogLevel::Error, Some(service), text);
                let (lasting, code) = (failure.lasting, failure.code);
                self.events.push_back(Event::HookNotSpawned { service, hook, lasting, code });
            }
        }
    }

    /// Returns what a hook is told in its environment.
    fn hook_variables(
        &self,
        service: ServiceId,
        name: &str,
        hook: HookKind,
        outcome: Option<ExitStatus>,
    ) -> Vec<CString> {
        let starts = self.runtime.control.as_ref().map_or(0, |control| control.journal.tally(service).starts);
        // The start that it precedes is not counted yet.
        let restarts = if hook == HookKind::PreStart { starts } else { starts.saturating_sub(1) };
        let mut lines =
            vec![["RINIT_SERVICE=", name].concat(), ["RINIT_RESTARTS=", &restarts.to_string()].concat()];
        match outcome {
            Some(ExitStatus::Code(code)) => {
                lines.push(["RINIT_EXIT_CODE=", &code.to_string()].concat());
            }
            Some(ExitStatus::Signal(signal)) => {
                lines.push(["RINIT_EXIT_SIGNAL=", &signal.to_string()].concat());
            }
            None => {}
        }
        lines.into_iter().filter_map(|line| CString::new(line).ok()).collect()
    }
}
