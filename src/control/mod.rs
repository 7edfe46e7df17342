//! Control from outside: the socket, its protocol (`docs/control.md`), and the client, [`ctl`] (`rinitctl`).
//!
//! PID 1 serves clients between two checks for signals, one small step of one client at a time (`Session::turn`). Rows
//! are produced as the client reads them, so no answer is ever held as a whole.

mod access;
pub mod ctl;
pub mod journal;
pub mod protocol;
pub mod reloads;
mod rows;
mod schedule;
mod session;

pub use access::{ControlAccess, Rights};

use crate::config::RunnableService;
use crate::model::{Moment, ServiceId};
use crate::service::context::ExecContext;
use crate::supervisor::Supervisor;
use crate::supervisor::event::ControlOrder;
use crate::sys::Errno;
use crate::sys::event::poll::PollInterest;
use crate::sys::net::local::{LocalListener, LocalStream};
use crate::text::escape::escaped;
use crate::text::gather::Gather;
use crate::text::template::fill;
use journal::Journal;
use protocol::{Refusal, Request, RequestVerb};
use rows::Row;
use session::{RowStream, Rows, ServiceRows, Session, SessionTurn};
use std::os::fd::RawFd;
use std::time::Duration;

/// The maximum number of clients.
pub const MAX_CLIENTS: usize = 64;

/// The maximum number of clients that follow events: beyond that they make room for each other.
pub const MAX_FOLLOWERS: usize = 48;

/// The pause after a failed accept, and between two checks of the socket's file.
const PAUSE: Duration = Duration::from_secs(1);

/// Descriptors reserved for starting services.
const RESERVED_FDS: u64 = 16;

/// Everything that clients can query.
pub struct View<'v> {
    /// The state of all services.
    pub core: &'v Supervisor,
    /// The services, by id.
    pub services: &'v [RunnableService],
    /// Recent events.
    pub journal: &'v Journal,
    /// The current time.
    pub now: Moment,
    /// The number of clients.
    pub clients: usize,
    /// Returns the configuration files.
    pub files: &'v dyn Fn() -> Vec<String>,
    /// Returns why the last probe of a service failed.
    pub probe_failure: &'v dyn Fn(ServiceId) -> Option<String>,
    /// Returns what a service has said of itself, if it has a NOTIFY_SOCKET.
    pub said_of_itself: &'v dyn Fn(ServiceId) -> Option<SelfDescription<'v>>,
    /// Returns the end of a service's output from a position on, if rinit keeps it: the actual start, and the bytes.
    pub tail: &'v dyn Fn(ServiceId, u64) -> Option<(u64, Vec<u8>)>,
    /// Returns lines, bytes and lost bytes of a service's output, if rinit counts them.
    pub log_counts: &'v dyn Fn(ServiceId) -> Option<[u64; 3]>,
    /// Returns how many log files could not be reopened; inner `None`: in progress; outer `None`: no log files.
    pub unopened_logs: &'v dyn Fn() -> Option<Option<u64>>,
    /// Returns the context of a service's process, or why there is none.
    pub exec_context: &'v dyn Fn(ServiceId) -> Result<ExecContext, String>,
}

/// What a service has said of itself in this run (sd_notify(3)).
#[derive(Clone, Copy, Debug)]
pub struct SelfDescription<'v> {
    /// `STATUS`; empty: none.
    pub status: &'v str,
    /// `ERRNO`.
    pub errno: Option<u16>,
    /// `EXIT_STATUS`.
    pub exit_status: Option<u8>,
    /// How many descriptors are kept for it.
    pub stored: u16,
}

impl View<'_> {
    /// Returns all ids, those of vacant slots too.
    fn ids(&self) -> impl Iterator<Item = ServiceId> + use<> {
        (0..u16::try_from(self.services.len()).unwrap_or(u16::MAX)).map(ServiceId)
    }

    fn uptime_ms(&self) -> u64 {
        u64::try_from(self.now.since(self.journal.began).as_millis()).unwrap_or(u64::MAX)
    }
}

/// An order of a client, to be passed to the supervisor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Demand {
    /// An order for each of these services.
    Services(Vec<(ServiceId, ControlOrder)>),
    /// Stop the container.
    Shutdown(Option<u8>),
    /// Reopen all log files.
    ReopenLogs,
    /// Read the configuration anew; true: only tell what would change.
    Reload(bool),
}

/// The control socket and its clients.
pub struct Server {
    access: ControlAccess,
    listener: Option<LocalListener>,
    sessions: Vec<Session>,
    /// Do not accept connections before this time.
    paused: Option<Moment>,
    /// When the socket's file was last seen in its place.
    looked: Moment,
    /// Descriptors from this number on are not used for clients.
    fd_limit: u64,
}

impl Server {
    /// Listens, if enabled. Also returns a message for the user if that fails.
    #[must_use]
    pub fn open(access: ControlAccess, now: Moment) -> (Self, Option<String>) {
        let (soft, _) = crate::sys::process::rlimits::get("nofile").unwrap_or((256, 256));
        let fd_limit = soft.saturating_sub(RESERVED_FDS.min(soft / 4));
        let sessions = Vec::new();
        let mut server = Self { access, listener: None, sessions, paused: None, looked: now, fd_limit };
        let why = server.listen().err();
        (server, why)
    }

    fn listen(&mut self) -> Result<(), String> {
        self.listener = self.access.bind()?;
        Ok(())
    }

    /// Returns the socket's name; `None`: not listening.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        self.listener.is_some().then(|| self.access.name())
    }

    /// Returns the number of clients.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.sessions.len()
    }

    /// Returns the descriptors that the event loop must wait for.
    #[must_use]
    pub fn interests(&self, journal: &Journal, now: Moment) -> Vec<PollInterest> {
        let mut all: Vec<PollInterest> =
            self.sessions.iter().map(|session| session.interest(journal)).gather();
        if let Some(listener) = self.listener.as_ref().filter(|_| self.opens_at(now).is_none()) {
            all.push(PollInterest::reading(listener.raw()));
        }
        all
    }

    /// Returns when it needs attention without any activity.
    #[must_use]
    pub fn deadline(&self, now: Moment) -> Option<Moment> {
        self.listener.as_ref().and_then(|_| self.opens_at(now))
    }

    /// Returns when the next connection may be accepted; `None`: now.
    fn opens_at(&self, now: Moment) -> Option<Moment> {
        let paused = self.paused.filter(|until| *until > now);
        if self.sessions.len() < MAX_CLIENTS {
            return paused;
        }
        let free = self.first_to_go().map(|(_, at)| at).filter(|at| *at > now);
        paused.max(free)
    }

    /// Returns the client to drop first if room is needed, and from when.
    fn first_to_go(&self) -> Option<(usize, Moment)> {
        let sessions = self.sessions.iter().enumerate();
        sessions.filter_map(|(at, session)| Some((at, session.goes_at()?))).min_by_key(|(_, at)| *at)
    }

    /// Checks, at most once a second, that the socket's file is in its place; recreates it if not. Returns a message
    /// for the user, if any.
    pub fn look(&mut self, now: Moment) -> Option<String> {
        if now < self.looked.after(PAUSE) {
            return None;
        }
        self.looked = now;
        if self.listener.as_ref().is_none_or(LocalListener::is_in_place) {
            return None;
        }
        match self.listen() {
            Ok(()) => Some("the control socket was removed; it is made again".into()),
            Err(why) => {
                self.listener = None;
                Some(fill!("the control socket was removed: {}", why))
            }
        }
    }

    /// Handles a ready descriptor; returns the order that a client gave, if any.
    pub fn ready(&mut self, fd: RawFd, view: &View<'_>) -> Option<Demand> {
        if self.listener.as_ref().is_some_and(|listener| listener.raw() == fd) {
            self.accept(view);
            return None;
        }
        let at = self.sessions.iter().position(|session| session.fd() == fd)?;
        let followers = self.sessions.iter().filter(|session| session.follows()).count();
        let session = self.sessions.get_mut(at)?;
        match session.turn(view) {
            SessionTurn::Open => None,
            SessionTurn::Gone => {
                self.sessions.swap_remove(at);
                None
            }
            SessionTurn::Asked(request) => answer(session, request, followers, view),
        }
    }

    fn accept(&mut self, view: &View<'_>) {
        let Some(listener) = &self.listener else { return };
        let stream = match listener.accept() {
            Ok(stream) => stream,
            // The client has disconnected meanwhile.
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNABORTED) => return,
            Err(_) => return self.paused = Some(view.now.after(PAUSE)),
        };
        if u64::try_from(stream.raw()).unwrap_or(0) >= self.fd_limit {
            // The remaining descriptors are for services.
            self.paused = Some(view.now.after(PAUSE));
            return turn_away(&stream, "busy", "too few descriptors are left", view);
        }
        let Some(rights) = stream.peer().and_then(|peer| self.access.rights_of(peer)) else {
            return turn_away(
                &stream,
                "denied",
                "this user may not; see [control] allow and read_only",
                view,
            );
        };
        if self.sessions.len() >= MAX_CLIENTS
            && let Some((at, _)) = self.first_to_go()
        {
            self.sessions.swap_remove(at);
        }
        self.sessions.push(Session::new(stream, rights, view.now));
    }

    /// Closes the socket and removes its file.
    pub fn close(&mut self) {
        if let Some(listener) = self.listener.take() {
            listener.remove();
        }
    }
}

fn turn_away(stream: &LocalStream, error: &'static str, message: &str, view: &View<'_>) {
    let refusal = Refusal::new(error, message);
    let line = Row::last(None, view.journal.newest(), Some(&refusal)).end();
    let _ = stream.send(line.as_bytes());
}

/// Answers a request, or starts an answer; returns the order it contains.
fn answer(session: &mut Session, request: Request, followers: usize, view: &View<'_>) -> Option<Demand> {
    let id = request.id;
    match grant(session.rights, request, followers, view) {
        Ok(Granted::Rows(rows)) => {
            session.begin(RowStream { id, rows }, view);
            None
        }
        Ok(Granted::Line(row)) => {
            session.grant(row);
            None
        }
        Ok(Granted::Later(rows, demand)) => {
            session.begin(RowStream { id, rows }, view);
            Some(demand)
        }
        Ok(Granted::Order(demand)) => {
            session.grant(Row::last(id, view.journal.newest(), None));
            Some(demand)
        }
        Err(refusal) => {
            session.refuse(id, &refusal, view);
            None
        }
    }
}

/// How a request is granted.
enum Granted {
    Rows(Rows),
    Line(Row),
    Order(Demand),
    /// An order that is answered when it is carried out.
    Later(Rows, Demand),
}

fn grant(rights: Rights, request: Request, followers: usize, view: &View<'_>) -> Result<Granted, Refusal> {
    let allowed = match rights {
        Rights::All => true,
        Rights::Orders => request.verb != RequestVerb::ExecContext,
        Rights::Reading => request.verb.is_reading(),
    };
    if !allowed {
        return Err(Refusal::new("denied", "this user may not; see [control] allow"));
    }
    let ids = lookup(&request.names, view)?;
    let listed = |ids: &[ServiceId]| Some(ids.to_vec()).filter(|ids| !ids.is_empty());
    let services = |kind| Rows::Services { kind, ids: listed(&ids), at: 0 };
    Ok(match request.verb {
        RequestVerb::Version => Granted::Line(version(request.id, view)),
        RequestVerb::Status => Granted::Rows(services(ServiceRows::Status)),
        RequestVerb::Metrics => Granted::Rows(services(ServiceRows::Metrics)),
        RequestVerb::Timeline => Granted::Rows(services(ServiceRows::Timeline)),
        RequestVerb::Graph => Granted::Rows(Rows::Edges { at: 0, edge: 0 }),
        RequestVerb::Events { since, follow } => Granted::Rows(events(since, follow, followers, view)?),
        RequestVerb::Logs { since } => Granted::Rows(logs(ids, since, view)?),
        RequestVerb::ExecContext => Granted::Rows(exec_context(&ids, view)?),
        RequestVerb::Shutdown { code } => Granted::Order(Demand::Shutdown(code)),
        RequestVerb::ReopenLogs if (view.unopened_logs)().is_none() => {
            let message = "no service that was started has logging = \"file\": there is nothing to open anew";
            return Err(Refusal::new("unavailable", message));
        }
        RequestVerb::Reload { .. } if !view.core.is_replaceable() => {
            return Err(Refusal::new("stopping", "the container stops"));
        }
        RequestVerb::Reload { dry_run } => {
            let number = view.journal.reloads.number(dry_run);
            Granted::Later(Rows::Reload { number, at: 0 }, Demand::Reload(dry_run))
        }
        RequestVerb::ReopenLogs => Granted::Order(Demand::ReopenLogs),
        RequestVerb::Start => order(ids, ControlOrder::Start, view)?,
        RequestVerb::Stop { only } => order(ids, ControlOrder::Stop { only, all: false }, view)?,
        RequestVerb::Restart { rolling: false } => order(ids, ControlOrder::Restart, view)?,
        RequestVerb::Restart { rolling: true } => order(ids, ControlOrder::Roll, view)?,
        RequestVerb::Signal(signal) => order(ids, ControlOrder::Signal(signal), view)?,
    })
}

fn lookup(names: &[String], view: &View<'_>) -> Result<Vec<ServiceId>, Refusal> {
    let mut ids = Vec::with_capacity(names.len());
    for name in names {
        let count = ids.len();
        // One that is removed may have left its name to another.
        let all = named(view, |service| service.name == *name);
        ids.extend(all.min_by_key(|id| view.core.is_leaving(*id)));
        if ids.len() == count {
            ids.extend(named(view, |service| service.program.instance > 0 && service.base() == name));
        }
        if ids.len() == count {
            return Err(Refusal {
                error: "unknown",
                message: fill!("there is no service \"{}\"", &escaped(name)),
                name: Some(name.clone()),
            });
        }
    }
    Ok(ids)
}

fn named(view: &View<'_>, is: impl Fn(&RunnableService) -> bool) -> impl Iterator<Item = ServiceId> {
    let all = view.services.iter().zip(0..);
    all.filter(move |(service, _)| is(service))
        .map(|(_, id)| ServiceId(id))
        .filter(|id| !view.core.is_vacant(*id))
}

/// Returns the order for one of these services. A stop says whether all other instances are stopped with it.
fn order_for(id: ServiceId, ids: &[ServiceId], order: ControlOrder, view: &View<'_>) -> ControlOrder {
    let own = view.services.get(id.index()).filter(|service| service.program.instance > 0);
    match (order, own) {
        (ControlOrder::Stop { only, .. }, Some(own)) => {
            let mut others = named(view, |other| other.program.instance > 0 && other.base() == own.base());
            ControlOrder::Stop { only, all: others.all(|other| ids.contains(&other)) }
        }
        (order, _) => order,
    }
}

fn order(ids: Vec<ServiceId>, order: ControlOrder, view: &View<'_>) -> Result<Granted, Refusal> {
    if let ControlOrder::Signal(_) = order {
        let idle = ids.iter().find(|id| view.core.leader_of(**id).is_none());
        if let Some(name) = idle.and_then(|id| view.services.get(id.index())).map(|service| &service.name) {
            let message = fill!("{} does not run", name.as_str());
            return Err(Refusal { error: "not-running", message, name: Some(name.clone()) });
        }
    } else if view.core.is_stopping() || view.core.is_draining() {
        return Err(Refusal::new("stopping", "the container stops"));
    }
    if let (ControlOrder::Roll, Some(turn)) = (order, view.core.rolls()) {
        let name = view.services.get(turn.index()).map_or("", |service| service.name.as_str());
        let message = fill!("a rolling restart is under way: it is the turn of {}", name);
        return Err(Refusal::new("busy", &message));
    }
    let orders = ids.iter().map(|id| (*id, order_for(*id, &ids, order, view))).gather();
    Ok(Granted::Order(Demand::Services(orders)))
}

fn events(since: Option<u64>, follow: bool, followers: usize, view: &View<'_>) -> Result<Rows, Refusal> {
    if follow && followers >= MAX_FOLLOWERS {
        return Err(Refusal::new("busy", "48 clients follow already"));
    }
    let newest = view.journal.newest();
    let since = since.unwrap_or(if follow { newest } else { view.journal.oldest() - 1 });
    // A number that does not exist yet: start with the next event.
    let next = since.min(newest) + 1;
    Ok(Rows::Events { next, until: (!follow).then_some(newest) })
}

fn logs(mut ids: Vec<ServiceId>, since: Option<u64>, view: &View<'_>) -> Result<Rows, Refusal> {
    let all = ids.is_empty();
    if all {
        ids = view.ids().filter(|id| !view.core.is_vacant(*id)).gather();
    } else if since.is_some() && ids.len() > 1 {
        return Err(Refusal::new("bad-request", "since is a position of one service; expected one name"));
    }
    let is_kept = |id: &ServiceId| (view.tail)(*id, u64::MAX).is_some();
    let named = |id: &ServiceId| view.services.get(id.index()).map(|service| service.name.clone());
    if let Some(other) = ids.iter().find(|id| !all && !is_kept(id)) {
        let message = "its output goes by rinit: logging is \"inherit\" or \"none\"";
        return Err(Refusal { name: named(other), ..Refusal::new("unavailable", message) });
    }
    ids.retain(is_kept);
    Ok(Rows::Logs { ids, since, at: 0 })
}

fn exec_context(ids: &[ServiceId], view: &View<'_>) -> Result<Rows, Refusal> {
    let [service] = ids else { return Err(Refusal::new("bad-request", "expected one name")) };
    let context = (view.exec_context)(*service).map_err(|why| Refusal::new("unavailable", &why))?;
    Ok(Rows::Context { service: *service, context: Box::new(context), at: 0 })
}

fn version(id: Option<u64>, view: &View<'_>) -> Row {
    let mut row = Row::last(id, view.journal.newest(), None);
    row.text("version", env!("CARGO_PKG_VERSION"));
    row.number("pid", u64::try_from(crate::sys::pid()).unwrap_or(0));
    row.versions();
    row.number("uptime_ms", view.uptime_ms());
    let files = (view.files)();
    row.texts("config", files.iter().map(String::as_str));
    if let Some(unopened) = (view.unopened_logs)() {
        row.maybe_number("logs_unopened", unopened);
    }
    row
}
