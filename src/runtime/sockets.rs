//! The sockets of services in the event loop: those that wait for connections are polled, and what is not open, or has
//! lost its file, is bound (again) in a helper, for which a start waits.

use super::EventLoop;
use crate::cli::LogLevel;
use crate::config::SocketSettings;
use crate::exit_code;
use crate::model::listen::ListenSpec;
use crate::model::{Moment, Pid, ServiceId, Signal};
use crate::service::sockets::{BoundSocket, Rebinding};
use crate::supervisor::ServiceStatus;
use crate::supervisor::event::{Event, Next, Note};
use crate::sys::event::clock;
use crate::sys::event::poll::PollInterest;
use crate::sys::process::{fork, kill};
use crate::sys::stdio;
use crate::text::gather::Gather;
use crate::text::template::fill;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::rc::Rc;
use std::time::Duration;

/// How long a start waits for a file system to bind a socket in.
const BIND_TIMEOUT: Duration = Duration::from_secs(3);

/// A helper that looks at sockets, and binds what is not there.
pub(super) struct SocketJob {
    pid: Pid,
    pipe: OwnedFd,
    settings: Rc<SocketSettings>,
    sockets: Vec<Rebinding>,
    /// Services that are to be started after it.
    waiting: Vec<ServiceId>,
    until: Moment,
}

impl EventLoop {
    /// Returns the sockets of a service.
    fn sockets_of(&self, service: ServiceId) -> Option<Rc<SocketSettings>> {
        self.runtime.services.get(service.index())?.program.sockets.clone()
    }

    /// Returns the other services that have the same sockets: its replicas.
    fn sharers(&self, service: ServiceId, settings: &SocketSettings) -> impl Iterator<Item = ServiceId> {
        let all = (0..).map(ServiceId).zip(&*self.runtime.services);
        let others = all.filter(move |(id, other)| {
            *id != service && other.program.sockets.as_deref().is_some_and(|own| own == settings)
        });
        others.map(|(id, _)| id)
    }

    /// Returns the sockets that a connection is waited for at, each with its service.
    fn awaited_connections(&self) -> impl Iterator<Item = (ServiceId, RawFd)> {
        self.runtime.core.listening().flat_map(|id| {
            let found = self.runtime.services.get(id.index());
            let settings = found.and_then(|found| found.program.sockets.as_deref());
            let sockets = settings.map_or(&[][..], |settings| &settings.sockets);
            let table = &self.runtime.starter.sockets;
            sockets.iter().filter_map(move |socket| Some((id, table.raw_fd(&socket.listen)?)))
        })
    }

    /// Adds the sockets to wait for.
    pub(super) fn add_sockets(&self, all: &mut Vec<PollInterest>) {
        all.extend(self.awaited_connections().map(|(_, fd)| PollInterest::reading(fd)));
    }

    /// Tells the supervisor of a connection, if this descriptor is such a socket.
    pub(super) fn socket_says(&mut self, fd: RawFd) -> bool {
        let Some((service, _)) = self.awaited_connections().find(|(_, known)| *known == fd) else {
            return false;
        };
        self.events.push_back(Event::Activated { service });
        true
    }

    /// Readies a service's sockets for its start. Returns whether that waits for a helper, or cannot be.
    pub(super) fn awaits_sockets(&mut self, service: ServiceId) -> bool {
        let Some(settings) = self.sockets_of(service) else { return false };
        if let Some(job) = self.socket_jobs.iter_mut().find(|job| job.settings == settings) {
            job.waiting.push(service);
            return true;
        }
        let table = &self.runtime.starter.sockets;
        if table.named(&settings).is_none() {
            self.bind_sockets(&settings, Some(service));
            return true;
        }
        // Another process of the same sockets may count on what it has set, and would block if that were changed.
        let is_live = |id| {
            let status = self.runtime.core.state_of(id);
            matches!(status, ServiceStatus::Running { .. } | ServiceStatus::Stopping { .. })
        };
        if !self.sharers(service, &settings).any(is_live) {
            table.be_blocking(&settings);
        }
        false
    }

    /// A service's process has ended: whoever removed the file of a socket has left it to nobody.
    pub(super) fn look_at_sockets(&mut self, service: ServiceId) {
        let Some(settings) = self.sockets_of(service) else { return };
        let known = self.socket_jobs.iter().any(|job| job.settings == settings);
        if !known && !self.runtime.core.is_stopping() && self.runtime.starter.sockets.has_files(&settings) {
            self.bind_sockets(&settings, None);
        }
    }

    /// Starts a helper that binds what is not there. `service` is to be started after it.
    fn bind_sockets(&mut self, settings: &Rc<SocketSettings>, service: Option<ServiceId>) {
        let sockets = self.runtime.starter.sockets.rebindings(settings);
        let begun = fork::pipe().and_then(|(read, write)| {
            let job = || {
                let mut found = Vec::new();
                sockets.iter().for_each(|socket| socket.run(&mut found));
                stdio::write_all(write.as_raw_fd(), &found);
                0
            };
            Ok((fork::fork(&self.runtime.starter.ignored, job)?, read))
        });
        let waiting = service.into_iter().gather();
        match begun {
            Ok((pid, pipe)) => {
                let until = clock::now().after(BIND_TIMEOUT);
                let settings = Rc::clone(settings);
                self.socket_jobs.push(SocketJob { pid, pipe, settings, sockets, waiting, until });
            }
            Err(errno) => {
                let why = fill!("no process to bind its sockets in: {}", crate::sys::describe(errno));
                self.start_with_sockets(waiting, Err(why));
            }
        }
    }

    /// Returns whether the ended process was such a helper.
    pub(super) fn socket_job_ended(&mut self, pid: Pid) -> bool {
        let Some(at) = self.socket_jobs.iter().position(|job| job.pid == pid) else { return false };
        let job = self.socket_jobs.swap_remove(at);
        let mut found = Vec::new();
        fork::read_rest(job.pipe.as_raw_fd(), &mut found);
        let found = String::from_utf8_lossy(&found);
        let mut lines = found.lines();
        let mut result = Ok(());
        let owner =
            (0..).map(ServiceId).find(|id| self.sockets_of(*id).is_none_or(|own| own == job.settings));
        for socket in job.sockets {
            let was_open = socket.was_open();
            match socket.result(lines.next()) {
                Ok(BoundSocket::InPlace) => {}
                Ok(BoundSocket::New(spec, fd, file)) => {
                    if was_open {
                        let path = spec.address.to_string();
                        let text = fill!(
                            "the file of its socket {} was removed (by itself, as it ended?); it is bound again",
                            &path
                        );
                        self.say(LogLevel::Warn, owner, &text);
                    }
                    self.runtime.starter.sockets.add(spec, fd, file);
                }
                Err(why) => result = Err(why),
            }
        }
        if let (Err(why), true) = (&result, job.waiting.is_empty()) {
            self.say(LogLevel::Error, owner, why);
        }
        self.start_with_sockets(job.waiting, result);
        true
    }

    /// Starts the services that have waited for their sockets.
    fn start_with_sockets(&mut self, waiting: Vec<ServiceId>, sockets: Result<(), String>) {
        for service in waiting {
            if self.is_skipped(service) {
                self.events.push_back(Event::SpawnSkipped { service });
            } else if let Err(why) = &sockets {
                let text = [why.as_str(), &self.runtime.starter.place_of(service, "sockets")].concat();
                self.say_later(LogLevel::Error, Some(service), text);
                let code = exit_code::OS_ERROR;
                self.events.push_back(Event::SpawnFailed { service, lasting: false, code });
            } else {
                self.spawn(service);
            }
        }
    }

    /// Returns when the first of the helpers has had its time.
    pub(super) fn socket_jobs_due(&self) -> Option<Moment> {
        self.socket_jobs.iter().map(|job| job.until).min()
    }

    /// Gives up helpers that get no answer.
    pub(super) fn give_up_socket_jobs(&mut self) {
        let now = clock::now();
        while let Some(at) = self.socket_jobs.iter().position(|job| job.until <= now) {
            let job = self.socket_jobs.swap_remove(at);
            let _ = kill::process(job.pid, &[Signal::KILL]);
            let first =
                job.settings.sockets.first().map_or_else(String::new, |one| one.listen.address.to_string());
            let why = fill!("no answer from the file system under its sockets, such as {}", &first);
            self.start_with_sockets(job.waiting, Err(why));
        }
    }

    /// Closes the sockets that no service has any more, and opens those of one that waits for a connection.
    pub(super) fn settle_sockets(&mut self, note: Note) {
        let (service, for_good) = match note {
            Note::Ended {
                service,
                next: Next::Done | Next::Failed | Next::Over(_) | Next::GivenUp { .. },
                ..
            }
            | Note::NotStarted { service, next: Next::Failed | Next::Over(_) | Next::GivenUp { .. } }
            | Note::Unreachable { service, .. } => (service, true),
            Note::Started { service, .. } | Note::Removed { service } | Note::TurnedOff { service } => {
                (service, false)
            }
            Note::Listening { service } => return self.open_awaited(service),
            _ => return,
        };
        // Of one that is removed nothing else may be known any more.
        let is_its = !matches!(note, Note::Started { .. }) || self.sockets_of(service).is_some();
        if !is_its || self.runtime.core.is_stopping() {
            return;
        }
        let is_over = |id| {
            let status = self.runtime.core.state_of(id);
            matches!(status, ServiceStatus::Off | ServiceStatus::Done | ServiceStatus::Failed)
        };
        let is_had = |spec: &ListenSpec| {
            let mut live = (0..).map(ServiceId).zip(&*self.runtime.services).filter(|(id, _)| !is_over(*id));
            live.any(|(_, one)| one.program.sockets().iter().any(|own| own.listen.is_same_place(spec)))
        };
        let closed = self.runtime.starter.sockets.retain(&is_had);
        if closed && for_good {
            let text = "its sockets are closed: clients are refused until it is started again";
            self.say_later(LogLevel::Warn, Some(service), text.into());
        }
    }

    /// A service waits for connections, and may have got its sockets by a reload.
    fn open_awaited(&mut self, service: ServiceId) {
        let Some(settings) = self.sockets_of(service) else { return };
        let known = self.socket_jobs.iter().any(|job| job.settings == settings);
        if !known && self.runtime.starter.sockets.named(&settings).is_none() {
            self.bind_sockets(&settings, None);
        }
    }
}
