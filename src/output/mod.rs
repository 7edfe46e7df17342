//! rinit's own lines: one event a line, to stderr, through `tracing`. PID 1 never waits for who reads them: a line
//! that finds no room is dropped whole, and how many were is told when there is room again.

pub mod messages;

use crate::cli::{LogFormat, LogLevel, Persona};
use crate::model::Moment;
use crate::sys::Errno;
use crate::sys::event::clock;
use crate::sys::fs::shared;
use crate::sys::write::{pause, write_some};
use crate::text::escape::{json_string, printable};
use crate::text::redact;
use crate::text::timestamp::rfc3339;
use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::os::fd::RawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber, span};
use tracing_subscriber::filter::LevelFilter;

/// How often a reader that has stopped is looked for, while something is owed to it.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// As many milliseconds a line waits for the end of another that is being written.
const MAX_WAIT_FOR_LINE_MS: u32 = 5;

/// As long a line may be, its end counted: a write of 4,096 bytes to a pipe is never mixed with another's (PIPE_BUF), and
/// a line end may have to go before it. What is longer is told in pieces.
const MAX_LINE_BYTES: usize = 4095;

/// The time that is left to a slow reader for the last lines.
const FINISH_TIMEOUT: Duration = Duration::from_millis(200);

/// What the readers have not taken. There is one, as there is one standard error.
static BACKLOG: Mutex<Backlogs> = Mutex::new(Backlogs { err: Backlog::of(2), out: Backlog::of(1) });

fn backlog() -> MutexGuard<'static, Backlogs> {
    BACKLOG.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What this process shares standard error with: another of rinit's, which may have begun a line there.
struct SharedStderr {
    memory: RawFd,
    half_line: usize,
    torn: usize,
}

static SHARED: Mutex<Option<SharedStderr>> = Mutex::new(None);

/// Another process of rinit's writes to standard error too, and says at these places of a memory whether it has begun a
/// line there (then that is ended first), or is in the middle of one.
pub fn share_stderr(memory: RawFd, half_line: usize, torn: usize) {
    *SHARED.lock().unwrap_or_else(PoisonError::into_inner) = Some(SharedStderr { memory, half_line, torn });
}

/// For a process of rinit's own that speaks for itself: what rinit owes its readers is not its business.
pub fn owe_nothing() {
    let mut backlog = backlog();
    for one in [0, 1] {
        let one = backlog.of(one == 1);
        (one.rest, one.dropped) = (Vec::new(), 0);
    }
}

impl SharedStderr {
    /// Whether a line may begin now, or must wait for the end of another; and whether it first has to end one itself.
    fn may_begin(&self) -> Result<bool, Errno> {
        for _ in 0..MAX_WAIT_FOR_LINE_MS {
            if shared::read_word(self.memory, self.torn) == 0 {
                let is_half = shared::read_word(self.memory, self.half_line) != 0;
                if is_half {
                    shared::write_word(self.memory, self.half_line, 0);
                }
                return Ok(is_half);
            }
            if !pause() {
                break;
            }
        }
        Err(Errno::EAGAIN)
    }
}

struct Backlogs {
    err: Backlog,
    /// Only in tini's name.
    out: Backlog,
}

impl Backlogs {
    fn of(&mut self, out: bool) -> &mut Backlog {
        if out { &mut self.out } else { &mut self.err }
    }

    fn is_owing(&self) -> bool {
        self.err.is_owing() || self.out.is_owing()
    }

    fn catch_up(&mut self) {
        self.err.catch_up();
        self.out.catch_up();
    }

    fn retry_at(&self) -> Option<Moment> {
        [&self.err, &self.out].into_iter().filter(|one| one.is_owing()).map(|one| one.retry_at).min()
    }
}

struct Backlog {
    fd: i32,
    /// The end of a line whose beginning was taken: it goes first, for no line is cut.
    rest: Vec<u8>,
    /// How many lines found no room after that.
    dropped: usize,
    /// Whether there may be room again (a reader that has stopped, not one that is gone).
    may_pass: bool,
    /// Whether the last try took its time (a terminal, whose writes all may wait): then the next lines do not try, for
    /// a signal is not heard meanwhile.
    is_slow: bool,
    /// When it is tried again in any case.
    retry_at: Moment,
    style: (LogFormat, Persona),
}

impl Backlog {
    const fn of(fd: i32) -> Self {
        let style = (LogFormat::Text, Persona::Rinit);
        Self { fd, rest: Vec::new(), dropped: 0, may_pass: false, is_slow: false, retry_at: Moment(0), style }
    }

    fn is_owing(&self) -> bool {
        self.may_pass && (self.dropped > 0 || !self.rest.is_empty())
    }

    /// Writes one line, or keeps what is left of it; false when nothing of it was taken.
    fn put(&mut self, line: &[u8]) -> bool {
        if !self.rest.is_empty() {
            return false;
        }
        let shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let may_begin = match shared.as_ref().filter(|_| self.fd == 2) {
            Some(shared) => shared.may_begin(),
            None => Ok(false),
        };
        let ends_half = may_begin == Ok(true);
        let written = match may_begin {
            Err(errno) => Err(errno),
            Ok(false) => write_some(self.fd, line),
            Ok(true) => write_some(self.fd, &[b"\n", line].concat()).map(|count| count.saturating_sub(1)),
        };
        match written {
            Ok(count) => {
                self.is_slow = false;
                self.rest = line.get(count..).unwrap_or_default().to_vec();
                if !self.rest.is_empty() {
                    self.retry_at = clock::now().after(RETRY_INTERVAL);
                }
                self.may_pass = true;
                true
            }
            Err(error) => {
                if let Some(shared) = shared.as_ref().filter(|_| ends_half) {
                    // It is a half line still.
                    shared::write_word(shared.memory, shared.half_line, 1);
                }
                self.may_pass = matches!(error, Errno::EAGAIN | Errno::ETIMEDOUT);
                self.is_slow = error == Errno::ETIMEDOUT;
                self.retry_at = clock::now().after(RETRY_INTERVAL);
                false
            }
        }
    }

    /// Writes what is left of a line, and how many were dropped after it.
    fn catch_up(&mut self) {
        if !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            if !self.put(&rest) && self.may_pass {
                self.rest = rest;
            }
        }
        if self.dropped > 0 && self.rest.is_empty() {
            let what = if self.dropped == 1 { "1 line was" } else { &format!("{} lines were", self.dropped) };
            let stream = if self.fd == 1 { "output" } else { "error" };
            let message = [what, " dropped here: standard ", stream, " was not read"].concat();
            let mut line = String::new();
            let (format, persona) = self.style;
            let fields = Fields { message, ..Fields::default() };
            let _ = format.write(&mut line, persona, Level::WARN, &fields);
            if self.put(line.as_bytes()) {
                self.dropped = 0;
            }
        }
    }

    fn say(&mut self, line: &str) {
        if !self.is_slow || clock::now() >= self.retry_at {
            self.catch_up();
        }
        if self.dropped > 0 || !self.put(line.as_bytes()) {
            self.dropped = self.dropped.saturating_add(1);
        }
    }
}

/// When somebody who has stopped reading is to be told what is owed; `None`: nothing is.
#[must_use]
pub fn retry_at() -> Option<Moment> {
    backlog().retry_at()
}

/// Tells it, if the reader is back.
pub fn catch_up() {
    backlog().catch_up();
}

/// The same at the end: who reads slowly gets a moment for it.
pub fn finish() {
    let mut backlog = backlog();
    if !backlog.is_owing() {
        return;
    }
    let until = clock::now().after(FINISH_TIMEOUT);
    while backlog.is_owing() && clock::now() < until {
        backlog.catch_up();
        if !pause() {
            return;
        }
    }
}

/// Installs the subscriber. Until then, lines go nowhere and cost a load and a branch.
pub fn install(level: LogLevel, format: LogFormat, persona: Persona) {
    let level = LevelFilter::from_level(match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    });
    backlog().err.style = (format, persona);
    backlog().out.style = (format, persona);
    // Fails only when one is installed already, and that one serves.
    let _ = tracing::dispatcher::set_global_default(Dispatch::new(Lines { level, format, persona }));
}

/// Whether lines for who debugs are wanted (`-v`).
#[inline(never)]
pub fn is_verbose() -> bool {
    tracing::enabled!(Level::DEBUG)
}

/// Says one line; `service` is empty when it is about none.
pub fn line(level: LogLevel, service: &str, text: &str) {
    event(level, service, "", text);
}

/// Says one line about an event that has a name, for who reads them as JSON.
pub fn event(level: LogLevel, service: &str, event: &str, text: &str) {
    match level {
        LogLevel::Error => tracing::error!(service, event, message = text),
        LogLevel::Warn => tracing::warn!(service, event, message = text),
        LogLevel::Info => tracing::info!(service, event, message = text),
        LogLevel::Debug => tracing::debug!(service, event, message = text),
        LogLevel::Trace => tracing::trace!(service, event, message = text),
    }
}

/// Writes each event as one line. rinit has no spans, so there is no registry of them: that of
/// tracing-subscriber's `fmt` would touch a dozen pages in each start.
struct Lines {
    level: LevelFilter,
    format: LogFormat,
    persona: Persona,
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        fields.message = redact::hide(fields.message);
        // A program's name, a value, an answer from outside: nothing in it is to command a terminal.
        if let Cow::Owned(shown) = printable(&fields.message) {
            fields.message = shown;
        }
        let level = *event.metadata().level();
        // What tini says on request goes to standard output, where its users look for it.
        let out = self.persona == Persona::Tini && level > Level::WARN;
        let mut rest = String::new();
        loop {
            let mut line = String::new();
            let _ = self.format.write(&mut line, self.persona, level, &fields);
            match piece_of(&fields.message, line.len()) {
                Some(end) => {
                    let next = fields.message.split_off(end);
                    rest = [next.strip_prefix('\n').unwrap_or(&next), &rest].concat();
                }
                None => {
                    backlog().of(out).say(&line);
                    if rest.is_empty() {
                        return;
                    }
                    fields.message = std::mem::take(&mut rest);
                }
            }
        }
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// Where a message is cut whose line is `length` bytes long; `None`: it is short enough. At a line's end, if there is one.
fn piece_of(message: &str, length: usize) -> Option<usize> {
    if length <= MAX_LINE_BYTES {
        return None;
    }
    // As far as it is too long: what is escaped takes more room than it has bytes.
    let room = message.len() * MAX_LINE_BYTES / length;
    let end = message.floor_char_boundary(room.saturating_sub(100));
    let end = message.get(..end)?.rfind('\n').unwrap_or(end);
    Some(end).filter(|end| *end > 0)
}

/// What a line begins with: the mark of the init that rinit stands in for.
fn begin(out: &mut String, persona: Persona, level: Level) -> fmt::Result {
    let level = match (persona, level) {
        (Persona::Rinit, _) => return out.write_str("rinit: "),
        (Persona::DumbInit, _) => return out.write_str("[dumb-init] "),
        (Persona::Tini, Level::ERROR) => "FATAL",
        (_, level) => level.as_str(),
    };
    let pid = crate::sys::pid();
    match persona {
        Persona::Tini => write!(out, "[{level:<5} tini ({pid})] "),
        _ => write!(out, "{level} (catatonit:{pid}): "),
    }
}

impl LogFormat {
    fn write(self, out: &mut String, persona: Persona, level: Level, fields: &Fields) -> fmt::Result {
        let service = Some(fields.service.as_str()).filter(|name| !name.is_empty());
        match self {
            Self::Text => {
                begin(out, persona, level)?;
                if let Some(name) = service {
                    write!(out, "{name}: ")?;
                }
                // A message of several lines (a fault with its line) keeps them.
                writeln!(out, "{}", fields.message)
            }
            Self::Json => {
                let level = level.as_str().to_ascii_lowercase();
                let (seconds, nanoseconds) = clock::calendar();
                let time = rfc3339(seconds, nanoseconds);
                let time = std::str::from_utf8(&time).unwrap_or_default();
                write!(out, "{{\"time\":\"{time}\",\"level\":\"{level}\"")?;
                if !fields.event.is_empty() {
                    write!(out, ",\"event\":\"{}\"", fields.event)?;
                }
                if let Some(name) = service {
                    out.push_str(",\"service\":");
                    json_string(name, out);
                }
                out.push_str(",\"message\":");
                json_string(&fields.message, out);
                out.push_str("}\n");
                Ok(())
            }
        }
    }
}

/// The fields that rinit's events have.
#[derive(Default)]
struct Fields {
    message: String,
    service: String,
    event: String,
}

impl Visit for Fields {
    // All are strings. `{:?}` would be empty in the released file, which is built without it.
    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}

    // No event has such a field; what would print them takes 10 KB.
    fn record_f64(&mut self, _: &Field, _: f64) {}
    fn record_i128(&mut self, _: &Field, _: i128) {}
    fn record_u128(&mut self, _: &Field, _: u128) {}

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            "service" => self.service.push_str(value),
            "event" => self.event.push_str(value),
            _ => {}
        }
    }
}
