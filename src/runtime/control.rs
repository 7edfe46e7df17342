//! The control socket in the event loop: what clients may see, and how their orders are carried out.

use super::EventLoop;
use crate::cli::LogLevel;
use crate::config::ControlSettings;
use crate::control::journal::Journal;
use crate::control::{ControlAccess, Demand, Server, View};
use crate::model::ServiceId;
use crate::service::context::ExecContext;
use crate::service::launcher::Role;
use crate::supervisor::ServiceStatus;
use crate::supervisor::event::{Event, Note};
use crate::sys::args;
use crate::sys::event::clock;
use crate::sys::event::poll::PollInterest;
use crate::text::gather::Gather;
use std::os::fd::RawFd;

/// The control socket and the journal of events for its clients.
pub struct Control {
    /// The socket and its clients.
    pub server: Server,
    /// Recent events.
    pub journal: Journal,
}

impl Control {
    /// Opens the socket. Reports a failure.
    #[must_use]
    pub fn open(settings: &ControlSettings, services: usize) -> Box<Self> {
        let variable = args::variable("RINIT_SOCKET").and_then(|value| std::str::from_utf8(value).ok());
        let (access, mut faults) = ControlAccess::new(variable, settings);
        let now = clock::now();
        let (server, why) = Server::open(access, now);
        faults.extend(why);
        for fault in faults {
            crate::output::line(LogLevel::Warn, "", &fault);
        }
        Box::new(Self { server, journal: Journal::new(services, now) })
    }
}

impl EventLoop {
    /// Returns the descriptors to wait for, besides signals.
    pub(super) fn descriptors(&self) -> Vec<PollInterest> {
        let mut all: Vec<PollInterest> = self.probe_pipes().into_iter().map(PollInterest::reading).gather();
        all.extend(self.reload_pipe().map(PollInterest::reading));
        all.extend(self.runtime.logs.as_ref().and_then(|logs| logs.descriptor()).map(PollInterest::reading));
        self.report_descriptors(&mut all);
        self.main_descriptors(&mut all);
        self.add_sockets(&mut all);
        all.extend(self.wall_descriptor().map(PollInterest::reading));
        if let Some(control) = &self.runtime.control {
            all.extend(control.server.interests(&control.journal, clock::now()));
        }
        all
    }

    /// Handles a ready descriptor.
    pub(super) fn ready(&mut self, fd: RawFd) {
        if self.wall_descriptor() == Some(fd) {
            self.tell_wall_clock();
        } else if let Some(logs) = self.runtime.logs.as_mut().filter(|logs| logs.descriptor() == Some(fd)) {
            logs.attend();
            self.tell_last_lines(false);
            self.look_at_patterns();
        } else if !self.probe_says(fd)
            && !self.report_comes(fd)
            && !self.main_ended(fd)
            && !self.socket_says(fd)
            && !self.reload_says(fd)
        {
            self.client_says(fd);
        }
    }

    /// Serves a client whose descriptor is ready; passes its orders to the supervisor.
    pub(super) fn client_says(&mut self, fd: RawFd) {
        let Some(mut control) = self.runtime.control.take() else { return };
        let runtime = &self.runtime;
        let files = || {
            let places = runtime.starter.places.iter();
            places.flat_map(|places| places.borrow().files().map(str::to_string).collect::<Vec<_>>()).gather()
        };
        let view = View {
            core: &runtime.core,
            services: &runtime.services,
            journal: &control.journal,
            now: clock::now(),
            clients: control.server.clients(),
            files: &files,
            probe_failure: &|service| self.probe_failure(service),
            said_of_itself: &|service| self.said_of_itself(service),
            tail: &|service, since| {
                let tail = runtime.logs.as_ref()?.tail(service, since)?;
                Some((tail.from, tail.bytes))
            },
            log_counts: &|service| runtime.logs.as_ref()?.counts(service),
            unopened_logs: &|| Some(runtime.logs.as_ref().filter(|logs| logs.has_files())?.unopened()),
            exec_context: &|service| self.exec_context(service),
        };
        let demand = control.server.ready(fd, &view);
        self.runtime.control = Some(control);
        match demand {
            None => {}
            Some(Demand::Services(orders)) => {
                let orders = orders.into_iter().map(|(service, order)| Event::Order { service, order });
                self.events.extend(orders);
            }
            Some(Demand::Reload(dry_run)) => self.ask_reload(dry_run),
            Some(Demand::ReopenLogs) => {
                if let Some(logs) = &self.runtime.logs {
                    logs.reopen();
                }
            }
            Some(Demand::Shutdown(code)) => {
                // This stop was not caused by the last signal.
                self.heard = None;
                self.events.push_back(Event::Shutdown { code });
            }
        }
        self.look_at_socket();
    }

    fn exec_context(&self, service: ServiceId) -> Result<ExecContext, String> {
        let found = self.runtime.services.get(service.index()).ok_or("no such service")?;
        let role = if self.runtime.main == Some(service) { Role::Main } else { Role::Service };
        self.runtime.starter.context(&found.program, role)
    }

    /// Records a note of the supervisor as an event for clients.
    pub(super) fn write_down(&mut self, note: Note) {
        let Some(control) = &mut self.runtime.control else { return };
        let ready = match note {
            Note::Started { service, .. } => {
                matches!(self.runtime.core.state_of(service), ServiceStatus::Running { ready: true, .. })
            }
            _ => false,
        };
        control.journal.add(clock::now(), note, ready);
    }

    pub(super) fn count_orphan(&mut self) {
        if let Some(control) = &mut self.runtime.control {
            control.journal.orphans += 1;
        }
    }

    /// Checks from time to time that clients can still find the socket.
    pub(super) fn look_at_socket(&mut self) {
        let Some(control) = &mut self.runtime.control else { return };
        if let Some(text) = control.server.look(clock::now()) {
            self.say(LogLevel::Warn, None, &text);
        }
    }

    pub(super) fn close_socket(&mut self) {
        if let Some(control) = &mut self.runtime.control {
            control.server.close();
        }
    }
}
