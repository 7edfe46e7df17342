//! One client: its input, its pending output, and the position in its current answer.

use super::journal::Journal;
use super::protocol::{self, MAX_REQUEST_BYTES, Refusal, Request};
use super::reloads;
use super::rows::{self, Row};
use super::{Rights, View};
use crate::model::{Moment, ServiceId};
use crate::service::context::ExecContext;
use crate::sys::Errno;
use crate::sys::event::poll::PollInterest;
use crate::sys::net::local::LocalStream;
use std::time::Duration;

/// The limit of pending output: above it rinit neither writes nor reads more for this client.
pub const HIGH_WATER_BYTES: usize = 16_384;

/// After this time an idle client may be dropped to make room for another one, if no slot is left; and so may one that
/// does not read its output.
const IDLE_TIMEOUT: Duration = Duration::from_secs(1);
const STALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How much is read at once.
const PIECE_BYTES: usize = 4096;

/// An answer in progress: one row after another as the client reads.
pub struct RowStream {
    /// The id of the client's request.
    pub id: Option<u64>,
    /// What it returns.
    pub rows: Rows,
}

/// The kind of rows of an answer, and the position of the next one.
pub enum Rows {
    /// `status`, `metrics`, `timeline`: the service at `at` of these (`None`: of all).
    Services { kind: ServiceRows, ids: Option<Vec<ServiceId>>, at: usize },
    /// `graph`: this dependency of this service.
    Edges { at: usize, edge: usize },
    /// `events`: from number `next`; `until`: the last one.
    Events { next: u64, until: Option<u64> },
    /// `logs`: the service at `at` of these.
    Logs { ids: Vec<ServiceId>, since: Option<u64>, at: usize },
    /// `reload`: what came of that of this number, once it is over; line `at`.
    Reload { number: u64, at: usize },
    /// `exec-context`: the context itself, then its variables.
    Context { service: ServiceId, context: Box<ExecContext>, at: usize },
}

/// A kind of answer with one row per service.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ServiceRows {
    /// The state.
    Status,
    /// The same, with totals at the end.
    Metrics,
    /// The times of its first run.
    Timeline,
}

/// A connected client.
pub struct Session {
    stream: LocalStream,
    /// Its access rights.
    pub rights: Rights,
    input: Vec<u8>,
    output: Vec<u8>,
    answer: Option<RowStream>,
    /// It has closed its sending side.
    ended: bool,
    /// To be closed once its output is sent.
    closing: bool,
    /// When it last sent or read something.
    heard: Moment,
}

/// The result of one turn.
pub enum SessionTurn {
    /// The client stays.
    Open,
    /// The client has disconnected, or must be closed.
    Gone,
    /// It has sent this request.
    Asked(Request),
}

impl Session {
    /// Creates a session.
    pub fn new(stream: LocalStream, rights: Rights, now: Moment) -> Self {
        let (input, output) = (Vec::new(), Vec::new());
        Self { stream, rights, input, output, answer: None, ended: false, closing: false, heard: now }
    }

    /// Returns whether it follows events.
    pub fn follows(&self) -> bool {
        matches!(self.answer, Some(RowStream { rows: Rows::Events { until: None, .. }, .. }))
    }

    /// Returns from when it may be dropped for another client: it has sent nothing, or not read its output, for a
    /// while.
    pub fn goes_at(&self) -> Option<Moment> {
        let is_idle = self.answer.is_none() && self.output.is_empty() && !self.has_line();
        let patience = if is_idle { IDLE_TIMEOUT } else { STALL_TIMEOUT };
        (!self.follows()).then(|| self.heard.after(patience))
    }

    /// Returns its descriptor.
    pub fn fd(&self) -> std::os::fd::RawFd {
        self.stream.raw()
    }

    /// Returns what to wait for.
    pub fn interest(&self, journal: &Journal) -> PollInterest {
        let has_rows = match &self.answer {
            Some(RowStream { rows: Rows::Events { next, until: None }, .. }) => *next <= journal.newest(),
            Some(RowStream { rows: Rows::Reload { number, .. }, .. }) => journal.reloads.is_over(*number),
            Some(_) => true,
            None => self.has_line() && !self.closing,
        };
        let full = self.output.len() >= HIGH_WATER_BYTES || self.input.len() >= MAX_REQUEST_BYTES;
        let reads = self.answer.is_none() && !self.ended && !self.closing && !full;
        PollInterest { fd: self.stream.raw(), read: reads, write: has_rows || !self.output.is_empty() }
    }

    fn has_line(&self) -> bool {
        self.input.contains(&b'\n')
    }

    /// Does one step: reads input, writes output, and takes at most one request.
    pub fn turn(&mut self, view: &View<'_>) -> SessionTurn {
        let interest = self.interest(view.journal);
        if !interest.read && !interest.write {
            return SessionTurn::Gone; // Its other end is closed, and that is all there was to be told.
        }
        if interest.read && !self.read(view.now) {
            return SessionTurn::Gone;
        }
        if !self.write(view) {
            return SessionTurn::Gone;
        }
        if self.answer.is_none() && !self.closing && self.output.len() < HIGH_WATER_BYTES {
            match self.request() {
                Some(Ok(request)) => return SessionTurn::Asked(request),
                Some(Err((id, refusal))) => self.refuse(id, &refusal, view),
                None => {}
            }
        }
        let over = self.output.is_empty() && self.answer.is_none() && !self.has_line();
        if over && (self.closing || self.ended) { SessionTurn::Gone } else { SessionTurn::Open }
    }

    /// Reads once; `false`: the connection is broken.
    fn read(&mut self, now: Moment) -> bool {
        let mut piece = [0; PIECE_BYTES];
        let room = MAX_REQUEST_BYTES.saturating_sub(self.input.len()).min(PIECE_BYTES);
        match self.stream.receive(piece.get_mut(..room).unwrap_or_default()) {
            Ok(0) => self.ended = true,
            Ok(count) => {
                self.heard = now;
                self.input.extend_from_slice(piece.get(..count).unwrap_or_default());
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => return false,
        }
        true
    }

    /// Fills the output up to the limit and writes as much as fits; `false`: the connection is broken.
    fn write(&mut self, view: &View<'_>) -> bool {
        self.fill(view);
        if self.output.is_empty() {
            return true;
        }
        match self.stream.send(&self.output) {
            Ok(count) => {
                self.heard = view.now;
                self.output.drain(..count.min(self.output.len()));
                if self.output.is_empty() {
                    self.output = Vec::new(); // Who is silent costs nothing.
                }
                true
            }
            Err(Errno::EAGAIN | Errno::EINTR) => true,
            Err(_) => false,
        }
    }

    /// Takes one line. Rejects one that is too long or ends without a newline.
    fn request(&mut self) -> Option<Result<Request, (Option<u64>, Refusal)>> {
        let Some(end) = self.input.iter().position(|byte| *byte == b'\n') else {
            if self.input.len() >= MAX_REQUEST_BYTES {
                self.input = Vec::new();
                self.closing = true;
                let refusal = Refusal::new("too-large", "a request has at most 16384 bytes");
                return Some(Err((None, refusal)));
            }
            if self.ended {
                self.input = Vec::new();
            }
            return None;
        };
        let rest = self.input.split_off(end + 1);
        let line = std::mem::replace(&mut self.input, rest);
        let line = line.trim_ascii();
        // Ignore empty lines, as typed at a terminal.
        if line.is_empty() { None } else { Some(protocol::parse(line)) }
    }

    /// Sends the last row of an answer without further rows.
    pub fn grant(&mut self, row: Row) {
        self.say(&row.end());
    }

    /// Sends a refusal as the last row.
    pub fn refuse(&mut self, id: Option<u64>, refusal: &Refusal, view: &View<'_>) {
        self.say(&Row::last(id, view.journal.newest(), Some(refusal)).end());
    }

    /// Starts an answer with many rows.
    pub fn begin(&mut self, answer: RowStream, view: &View<'_>) {
        self.answer = Some(answer);
        self.fill(view);
    }

    fn say(&mut self, line: &str) {
        self.output.extend_from_slice(line.as_bytes());
    }

    /// Produces rows up to the output limit.
    fn fill(&mut self, view: &View<'_>) {
        while self.output.len() < HIGH_WATER_BYTES {
            let Some(answer) = &mut self.answer else { return };
            let (line, over) = answer.next(view);
            let Some(line) = line else { return };
            self.output.extend_from_slice(line.as_bytes());
            if over {
                self.answer = None;
            }
        }
    }
}

impl RowStream {
    /// Returns the next row, if available now, and whether it is the last.
    fn next(&mut self, view: &View<'_>) -> (Option<String>, bool) {
        let id = self.id;
        let row = match &mut self.rows {
            Rows::Services { kind, ids, at } => {
                let is_vacant =
                    |at: usize| u16::try_from(at).is_ok_and(|at| view.core.is_vacant(ServiceId(at)));
                while ids.is_none() && *at < view.services.len() && is_vacant(*at) {
                    *at += 1;
                }
                let service = match ids {
                    Some(ids) => ids.get(*at).copied(),
                    None => {
                        let service = view.ids().skip(*at).find(|id| !view.core.is_vacant(*id));
                        *at = service.map_or(*at, ServiceId::index);
                        service
                    }
                };
                *at += 1;
                match kind {
                    ServiceRows::Status | ServiceRows::Metrics => {
                        service.map(|one| view.service_row(id, one))
                    }
                    ServiceRows::Timeline => service.map(|one| view.timeline_row(id, one)),
                }
            }
            Rows::Edges { at, edge } => next_edge(id, at, edge, view),
            Rows::Events { next, until } => match next_event(id, next, *until, view) {
                None if until.is_none() => return (None, false),
                row => row,
            },
            Rows::Logs { ids, since, at } => next_log(id, ids, since, at, view),
            Rows::Reload { number, at } => {
                if !view.journal.reloads.is_over(*number) {
                    return (None, false);
                }
                *at += 1;
                let report = view.journal.reloads.report(*number);
                let line = report.and_then(|report| report.lines.get(*at - 1));
                line.map(|line| reloads::reload_row(id, line))
            }
            Rows::Context { service, context, at } => {
                *at += 1;
                match at.checked_sub(2) {
                    None => Some(view.context_row(id, *service, context)),
                    Some(at) => {
                        context.environment.get(at).map(|entry| rows::environment_row(id, entry.as_bytes()))
                    }
                }
            }
        };
        match row {
            Some(row) => (Some(row), false),
            None => (Some(self.last(view)), true),
        }
    }

    fn last(&self, view: &View<'_>) -> String {
        let refusal = self.refusal(view);
        let mut row = Row::last(self.id, view.journal.newest(), refusal.as_ref());
        match self.rows {
            Rows::Services { kind: ServiceRows::Timeline, .. } => row.number("uptime_ms", view.uptime_ms()),
            Rows::Services { kind, .. } => {
                row.text(
                    "state",
                    if view.core.is_stopping() || view.core.is_draining() { "stopping" } else { "up" },
                );
                if kind == ServiceRows::Metrics {
                    row.number("uptime_ms", view.uptime_ms());
                    row.number("orphans_reaped", view.journal.orphans);
                    row.number("clients", u64::try_from(view.clients).unwrap_or(0));
                }
            }
            Rows::Edges { .. }
            | Rows::Events { .. }
            | Rows::Logs { .. }
            | Rows::Reload { .. }
            | Rows::Context { .. } => {}
        }
        row.end()
    }

    /// Returns why what was asked for was not done.
    fn refusal(&self, view: &View<'_>) -> Option<Refusal> {
        let Rows::Reload { number, .. } = self.rows else { return None };
        let is_refused = view.journal.reloads.report(number).is_some_and(|report| !report.ok);
        is_refused.then(|| Refusal::new("refused", "not reloaded; what runs goes on as it was"))
    }
}

/// Returns a gap row if output was lost, then the available output.
fn next_log(
    id: Option<u64>,
    ids: &[ServiceId],
    since: &mut Option<u64>,
    at: &mut usize,
    view: &View<'_>,
) -> Option<String> {
    let service = *ids.get(*at)?;
    let (from, bytes) = (view.tail)(service, since.unwrap_or(0))?;
    if let Some(known) = since.take_if(|known| *known < from) {
        return Some(view.log_gap_row(id, service, from - known));
    }
    *at += 1;
    Some(view.log_row(id, service, from, &bytes))
}

fn next_edge(id: Option<u64>, at: &mut usize, edge: &mut usize, view: &View<'_>) -> Option<String> {
    while *at < view.services.len() {
        let from = ServiceId(u16::try_from(*at).ok()?);
        let known = view.core.dependencies(from).get(*edge).filter(|_| !view.core.is_vacant(from));
        if let Some(found) = known {
            *edge += 1;
            return Some(view.edge_row(id, from, found));
        }
        (*at, *edge) = (*at + 1, 0);
    }
    None
}

fn next_event(id: Option<u64>, next: &mut u64, until: Option<u64>, view: &View<'_>) -> Option<String> {
    let last = until.unwrap_or(u64::MAX).min(view.journal.newest());
    if *next > last {
        return None;
    }
    let oldest = view.journal.oldest();
    if *next < oldest {
        let missed = oldest - *next;
        *next = oldest;
        return Some(rows::gap_row(id, missed));
    }
    let event = view.journal.event(*next)?;
    *next += 1;
    Some(view.event_row(id, *next - 1, event))
}
