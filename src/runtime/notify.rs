//! What services report on themselves: messages to their NOTIFY_SOCKET, or a newline on a descriptor.
//!
//! A service may send without end. Of each socket only so many messages are read in a time: the rest waits in the
//! socket, and its sender with it.

use super::EventLoop;
use super::fd_store::FdStore;
use crate::cli::LogLevel;
use crate::config::{NotifyChannel, NotifySettings};
use crate::control::SelfDescription;
use crate::model::{Moment, ServiceId};
use crate::service::extras::StartExtras;
use crate::service::notify::{MAX_MESSAGE, NotifyMessage};
use crate::supervisor::ServiceStatus;
use crate::supervisor::event::{Event, SelfReport};
use crate::sys::Errno;
use crate::sys::event::clock;
use crate::sys::event::poll::PollInterest;
use crate::sys::net::local::PeerCredentials;
use crate::sys::net::notify_socket::{NotifyDatagram, NotifySocket};
use crate::sys::process::spawn::PassedFd;
use crate::sys::process::{credentials, fork};
use crate::text::gather::Gather;
use crate::text::template::fill;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::time::Duration;

/// How many messages of one service are read within [`WINDOW`]; a newline needs fewer.
const MAX_MESSAGES: u32 = 64;
const WINDOW: Duration = Duration::from_millis(50);
/// What a message costs that may lead to a look at processes, or to a line in the log.
const NEWS_COST: u32 = 8;
/// How many messages are read at once.
const MAX_AT_ONCE: u32 = 16;

/// Where a service reports on itself.
pub(super) struct ReportChannel {
    service: ServiceId,
    end: ReportEnd,
    /// Who may report, besides root and rinit's own user.
    uid: u32,
    /// Messages read since the window began.
    count: u32,
    window: Moment,
    /// Whether a refused message was told.
    told: bool,
    said: SaidOfItself,
    store: FdStore,
}

/// What a service has said in this run that is only to be shown.
#[derive(Default)]
struct SaidOfItself {
    /// STATUS; empty: none.
    status: String,
    errno: Option<u16>,
    exit_status: Option<u8>,
    /// Whether it has said that it is ready.
    ready: bool,
    /// Whether it was told that its MAINPID is refused.
    told_main: bool,
}

enum ReportEnd {
    /// Nowhere: its main process is found by its PID file.
    None,
    /// `notify = "systemd"`. It stays open over restarts.
    Socket(NotifySocket),
    /// `notify = FD`: the read end, until a newline or the end has come, and the write end, until the process has it.
    Pipe { read: Option<OwnedFd>, write: Option<OwnedFd> },
}

impl ReportChannel {
    pub(super) fn service(&self) -> ServiceId {
        self.service
    }

    pub(super) fn store(&mut self) -> &mut FdStore {
        &mut self.store
    }

    fn fd(&self) -> Option<RawFd> {
        match &self.end {
            ReportEnd::None => None,
            ReportEnd::Socket(socket) => Some(socket.raw()),
            ReportEnd::Pipe { read, .. } => read.as_ref().map(|pipe| pipe.as_raw_fd()),
        }
    }

    /// Returns until when nothing more is read.
    fn paused_until(&self, now: Moment) -> Option<Moment> {
        Some(self.window.after(WINDOW)).filter(|at| self.count >= MAX_MESSAGES && *at > now)
    }

    fn count_one(&mut self, now: Moment) {
        if self.window.after(WINDOW) <= now {
            (self.window, self.count) = (now, 0);
        }
        self.count += 1;
    }
}

impl EventLoop {
    /// Returns the descriptors of services that report on themselves.
    pub(super) fn report_descriptors(&self, all: &mut Vec<PollInterest>) {
        if self.channels.is_empty() {
            return;
        }
        let now = clock::now();
        let open = self.channels.iter().filter(|channel| channel.paused_until(now).is_none());
        all.extend(open.filter_map(ReportChannel::fd).map(PollInterest::reading));
        all.extend(self.channels.iter().flat_map(|channel| channel.store.watched()));
    }

    /// Returns when a channel is read again.
    pub(super) fn reports_due(&self) -> Option<Moment> {
        let now = if self.channels.is_empty() { return None } else { clock::now() };
        self.channels.iter().filter_map(|channel| channel.paused_until(now)).min()
    }

    /// Opens the channel of a service that is about to be started, and adds what the process needs for it.
    pub(super) fn open_channel(
        &mut self,
        service: ServiceId,
        settings: &NotifySettings,
        extras: &mut StartExtras,
    ) -> Result<(), Errno> {
        match settings.channel {
            None => {
                if self.channel_of(service).is_none() {
                    self.add_channel(service, ReportEnd::None);
                }
            }
            Some(NotifyChannel::Socket) => {
                let has_socket = |channel: &ReportChannel| {
                    channel.service == service && matches!(channel.end, ReportEnd::Socket(_))
                };
                let at = match self.channels.iter().position(has_socket) {
                    Some(at) => at,
                    None => self.add_channel(service, ReportEnd::Socket(NotifySocket::open()?)),
                };
                // What was said in an earlier run does not count for this one.
                self.read_socket(at, MAX_MESSAGES, false);
                let Some(channel) = self.channels.get_mut(at) else { return Ok(()) };
                channel.said = SaidOfItself::default();
                channel.store.max = settings.fd_store;
                extras.listed = channel.store.all().map(|(name, fd)| (name.to_string(), fd)).gather();
                if settings.fd_store > 0 {
                    extras.variables.push(("FDSTORE", settings.fd_store.to_string()));
                }
                if let ReportEnd::Socket(socket) = &channel.end {
                    extras.variables.push(("NOTIFY_SOCKET", socket.name().to_string()));
                }
                if let Some(span) = settings.watchdog {
                    extras.variables.push(("WATCHDOG_USEC", span.as_micros().to_string()));
                    extras.variables.push(("WATCHDOG_PID", String::new()));
                    extras.pid_variables.push(b"WATCHDOG_PID=");
                }
            }
            Some(NotifyChannel::Descriptor(to)) => {
                let (read, write) = fork::pipe()?;
                extras.passed.push(PassedFd { from: write.as_raw_fd(), to });
                self.add_channel(service, ReportEnd::Pipe { read: Some(read), write: Some(write) });
            }
        }
        Ok(())
    }

    pub(super) fn forget_channel(&mut self, service: ServiceId) {
        self.channels.retain(|channel| channel.service != service);
    }

    fn channel_of(&self, service: ServiceId) -> Option<usize> {
        self.channels.iter().position(|channel| channel.service == service)
    }

    /// Returns the user that a service runs as.
    pub(super) fn reporter(&self, service: ServiceId) -> u32 {
        let channel = self.channels.iter().find(|channel| channel.service == service);
        channel.map_or_else(|| credentials::current().uid, |channel| channel.uid)
    }

    fn add_channel(&mut self, service: ServiceId, end: ReportEnd) -> usize {
        self.forget_channel(service);
        let (uid, said, store) = (credentials::current().uid, SaidOfItself::default(), FdStore::default());
        let channel =
            ReportChannel { service, end, uid, count: 0, window: Moment(0), told: false, said, store };
        self.channels.push(channel);
        self.channels.len() - 1
    }

    /// The process of a service was created, and runs as this user.
    pub(super) fn set_reporter(&mut self, service: ServiceId, uid: Option<u32>) {
        if let Some(channel) = self.channels.iter_mut().find(|channel| channel.service == service) {
            channel.uid = uid.unwrap_or_else(|| credentials::current().uid);
        }
    }

    /// The process of a service has its descriptors, or will never have them.
    pub(super) fn hand_over_channel(&mut self, service: ServiceId) {
        let channel = self.channels.iter_mut().find(|channel| channel.service == service);
        if let Some(ReportChannel { end: ReportEnd::Pipe { write, .. }, .. }) = channel {
            *write = None;
        }
    }

    /// Reads what a service has to say, if this descriptor belongs to one.
    pub(super) fn report_comes(&mut self, fd: RawFd) -> bool {
        let Some(at) = self.channels.iter().position(|channel| channel.fd() == Some(fd)) else {
            return self.channels.iter_mut().any(|channel| channel.store.hung_up(fd));
        };
        if !self.read_pipe(at, true) {
            self.read_socket(at, MAX_AT_ONCE, true);
        }
        true
    }

    /// The first process of a service is about to be reported as ended: what it has said before comes first.
    pub(super) fn hear_before_the_end(&mut self, service: ServiceId) {
        if let Some(at) = self.channel_of(service) {
            if !self.read_pipe(at, false) {
                self.read_socket(at, MAX_MESSAGES, true);
            }
            while let Some(event) = self.events.pop_front() {
                self.step(event);
            }
        }
    }

    /// Reads the descriptor of a service; returns false if it has a socket. `is_ready`: there is something to read, or
    /// the end.
    fn read_pipe(&mut self, at: usize, is_ready: bool) -> bool {
        let Some(ReportChannel { service, end: ReportEnd::Pipe { read, .. }, .. }) =
            self.channels.get_mut(at)
        else {
            return false;
        };
        let (service, mut text) = (*service, Vec::new());
        let Some(pipe) = read else { return true };
        fork::read_rest(pipe.as_raw_fd(), &mut text);
        if text.contains(&b'\n') {
            *read = None;
            self.events.push_back(Event::Notified { service, report: SelfReport::Ready });
        } else if is_ready && text.is_empty() {
            *read = None;
            let what = "closed the descriptor of notify without a newline: so it never is ready";
            self.say(LogLevel::Warn, Some(service), what);
        }
        true
    }

    /// Reads messages from the socket of a service, and takes or discards them.
    fn read_socket(&mut self, at: usize, most: u32, takes: bool) {
        let now = clock::now();
        let mut text = [0; MAX_MESSAGE];
        for _ in 0..most {
            let Some(channel) = self.channels.get_mut(at) else { return };
            let ReportEnd::Socket(socket) = &channel.end else { return };
            let Ok(datagram) = socket.receive(&mut text) else { return };
            channel.count_one(now);
            if takes && self.is_accepted(at, &datagram) {
                let said = text.get(..datagram.length).unwrap_or_default();
                self.take_message(at, NotifyMessage::new(said), datagram.fds);
            }
            // Its descriptors are closed here, also the one of BARRIER=1, whose sender waits for that.
        }
    }

    /// Returns whether a message comes from who may report on the service; tells the first that does not. The user
    /// counts, not the process: `systemd-notify` is another one, and gone by now.
    fn is_accepted(&mut self, at: usize, datagram: &NotifyDatagram) -> bool {
        let Some(channel) = self.channels.get_mut(at) else { return false };
        let sender = datagram.sender.unwrap_or(PeerCredentials { pid: 0, uid: u32::MAX });
        let users = [0, channel.uid, credentials::current().uid];
        // Pid 0: it is in another container, which shares the network.
        let known = sender.pid != 0 && users.contains(&sender.uid);
        if known && !datagram.cut {
            return true;
        }
        if !std::mem::replace(&mut channel.told, true) {
            let (service, uid) = (channel.service, channel.uid.to_string());
            let (pid, of) = (sender.pid.to_string(), sender.uid.to_string());
            let why = match (known, sender.pid) {
                (true, _) => "a message to its NOTIFY_SOCKET is longer than 4096 bytes: ignored".to_string(),
                (false, 0) => {
                    "a message to its NOTIFY_SOCKET came from outside the container: ignored".to_string()
                }
                (false, _) => fill!(
                    "a message to its NOTIFY_SOCKET from pid {} of uid {} is ignored: only uid {} and root may send one",
                    &pid,
                    &of,
                    &uid
                ),
            };
            self.say(LogLevel::Warn, Some(service), &why);
        }
        false
    }

    fn take_message(&mut self, at: usize, message: NotifyMessage<'_>, fds: Vec<OwnedFd>) {
        let Some(channel) = self.channels.get_mut(at) else { return };
        let service = channel.service;
        let status = self.runtime.core.state_of(service);
        if !matches!(
            status,
            ServiceStatus::Starting | ServiceStatus::Running { .. } | ServiceStatus::Stopping { .. }
        ) {
            return; // What an earlier run has left behind.
        }
        let news = ["READY", "RELOADING", "STOPPING", "MAINPID", "FDSTORE"];
        if news.into_iter().any(|name| message.value(name).is_some()) {
            channel.count += NEWS_COST;
        }
        if let Some(status) = message.status() {
            channel.said.status = status;
        }
        channel.said.errno = message.errno().or(channel.said.errno);
        channel.said.exit_status = message.exit_status().or(channel.said.exit_status);
        channel.said.ready |= message.says("READY");
        if let Some(pid) = message.main_pid() {
            self.take_main_pid(service, pid);
        }
        let reports = [
            (message.says("RELOADING"), SelfReport::Reloading),
            (message.says("READY"), SelfReport::Ready),
            (message.says("STOPPING"), SelfReport::Stopping),
            (message.says("WATCHDOG"), SelfReport::Alive),
            (message.value("WATCHDOG") == Some(b"trigger"), SelfReport::Trigger),
        ];
        let mut said: Vec<SelfReport> =
            reports.into_iter().filter(|(is_said, _)| *is_said).map(|(_, report)| report).gather();
        said.extend(message.span("WATCHDOG_USEC").map(SelfReport::Watchdog));
        said.extend(message.span("EXTEND_TIMEOUT_USEC").map(SelfReport::Extend));
        self.events.extend(said.into_iter().map(|report| Event::Notified { service, report }));
        self.take_fds(service, message, fds);
    }

    /// Returns whether this is the first refusal of a MAINPID in this run.
    pub(super) fn is_first_refusal(&mut self, service: ServiceId) -> bool {
        let channel = self.channels.iter_mut().find(|channel| channel.service == service);
        channel.is_some_and(|channel| !std::mem::replace(&mut channel.said.told_main, true))
    }

    /// Explains, after a note that says so, why a service is not ready.
    pub(super) fn why_not_ready(&self, service: ServiceId) -> &'static str {
        let channel = self.channels.iter().find(|channel| channel.service == service);
        match channel.map(|channel| (&channel.end, channel.said.ready)) {
            Some((ReportEnd::Socket(_), false)) => "; no READY=1 came to its NOTIFY_SOCKET",
            Some((ReportEnd::Pipe { read: Some(_), .. }, _)) => {
                "; no newline came on the descriptor of notify, which some programs close at their start"
            }
            Some((ReportEnd::None, _)) => {
                "; its first process has not ended, and pid_file is for a program that puts itself into the background"
            }
            _ => "",
        }
    }

    /// Returns what a service has said of itself in this run, if it has a NOTIFY_SOCKET.
    pub(super) fn said_of_itself(&self, service: ServiceId) -> Option<SelfDescription<'_>> {
        let channel = self.channels.iter().find(|channel| channel.service == service)?;
        let SaidOfItself { status, errno, exit_status, .. } = &channel.said;
        matches!(channel.end, ReportEnd::Socket(_)).then(|| SelfDescription {
            status,
            errno: *errno,
            exit_status: *exit_status,
            stored: channel.store.count(),
        })
    }

    /// Adds to a note that a service has failed what it has said itself.
    pub(super) fn what_it_said(&self, service: ServiceId, text: &mut String) {
        let Some(said) = self.said_of_itself(service) else { return };
        if let Some(errno) = said.errno {
            let name = crate::sys::describe(Errno::from_raw(errno.into()));
            text.push_str(&fill!("; it said ERRNO={} ({})", &errno.to_string(), name));
        }
        if let Some(status) = said.exit_status {
            text.push_str(&fill!("; it said EXIT_STATUS={}", &status.to_string()));
        }
        if !said.status.is_empty() {
            text.push_str(&fill!("; its last STATUS was \"{}\"", said.status));
        }
    }
}
