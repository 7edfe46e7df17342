//! rinit's log: one line per event, to stderr, through `tracing`. PID 1 never waits for a slow reader: a line that
//! finds no room is dropped whole, and the number of dropped lines is reported once there is room again.

pub mod messages;

use crate::cli::{LogFormat, LogLevel, Persona};
use crate::model::Moment;
use crate::sys::Errno;
use crate::sys::event::clock;
use crate::sys::fs::shared;
use crate::sys::write::{pause, write_some};
use crate::text::escape::{json_string, printable};
use crate::text::redact;
use crate::text::template::fill;
use crate::text::timestamp::rfc3339;
use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::os::fd::RawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber, span};
use tracing_subscriber::filter::LevelFilter;

/// How often to retry writing to a reader that has stopped, while something is pending.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// How many milliseconds to wait for the end of a line that another process is writing.
const MAX_WAIT_FOR_LINE_MS: u32 = 5;

/// The maximum length of a line with its newline: writes of up to 4,096 bytes to a pipe are atomic (PIPE_BUF), and one
/// more newline may have to precede it. Longer messages are split.
const MAX_LINE_BYTES: usize = 4095;

/// How much time a slow reader gets for the last lines.
const FINISH_TIMEOUT: Duration = Duration::from_millis(200);

/// Pending output. Global, because standard error is.
static BACKLOG: Mutex<Backlogs> = Mutex::new(Backlogs { err: Backlog::of(2), out: Backlog::of(1) });

fn backlog() -> MutexGuard<'static, Backlogs> {
    BACKLOG.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shared state with the relay, which writes to the same standard error and may be in the middle of a line.
struct SharedStderr {
    memory: RawFd,
    half_line: usize,
    torn: usize,
}

static SHARED: Mutex<Option<SharedStderr>> = Mutex::new(None);

/// Registers the shared memory of another rinit process that writes to standard error: the words at these offsets tell
/// whether it has begun a line there (then rinit ends that first) or is in the middle of writing one.
pub fn share_stderr(memory: RawFd, half_line: usize, torn: usize) {
    *SHARED.lock().unwrap_or_else(PoisonError::into_inner) = Some(SharedStderr { memory, half_line, torn });
}

/// Drops all pending output, in a helper that writes for itself: what rinit has pending is not its concern.
pub fn owe_nothing() {
    let mut backlog = backlog();
    for one in [0, 1] {
        let one = backlog.of(one == 1);
        (one.rest, one.dropped) = (Vec::new(), 0);
    }
}

impl SharedStderr {
    /// Waits until a line may begin; returns whether another one must be ended first.
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
    /// Only used in tini's name.
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
    /// The rest of a partly written line: it goes out first, so that no line is cut.
    rest: Vec<u8>,
    /// How many lines were dropped after that.
    dropped: usize,
    /// Whether there may be room again (a reader that has stopped, not one that is gone).
    may_pass: bool,
    /// Whether the last write was slow (a terminal, where every write may block): then the next lines do not try,
    /// since signals are not heard meanwhile.
    is_slow: bool,
    /// When to retry in any case.
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

    /// Writes one line, or queues the rest of it; false if nothing of it was written.
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
                    // The line is still incomplete.
                    shared::write_word(shared.memory, shared.half_line, 1);
                }
                self.may_pass = matches!(error, Errno::EAGAIN | Errno::ETIMEDOUT);
                self.is_slow = error == Errno::ETIMEDOUT;
                self.retry_at = clock::now().after(RETRY_INTERVAL);
                false
            }
        }
    }

    /// Writes the rest of a line and the number of lines dropped after it.
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
            let message = fill!("{} dropped here: standard {} was not read", what, stream);
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

/// Returns when to retry pending output; `None`: nothing is pending.
#[must_use]
pub fn retry_at() -> Option<Moment> {
    backlog().retry_at()
}

/// Retries pending output.
pub fn catch_up() {
    backlog().catch_up();
}

/// Retries at exit: a slow reader gets a moment.
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

/// Installs the subscriber. Until then lines are discarded, at the cost of a load and a branch.
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
    // Fails only if one is installed already, which is fine.
    let _ = tracing::dispatcher::set_global_default(Dispatch::new(Lines { level, format, persona }));
}

/// Writes a warning before [`install`], in the format that will be installed.
#[cold]
pub fn before_install(format: LogFormat, text: &str) {
    let mut line = String::new();
    let fields = Fields { message: printable(text).into_owned(), ..Fields::default() };
    let _ = format.write(&mut line, Persona::Rinit, Level::WARN, &fields);
    backlog().err.say(&line);
}

/// Returns whether debug lines are wanted (`-v`).
#[inline(never)]
pub fn is_verbose() -> bool {
    tracing::enabled!(Level::DEBUG)
}

/// Logs one line; `service` is empty if it is about none.
pub fn line(level: LogLevel, service: &str, text: &str) {
    event(level, service, "", text);
}

/// Logs one line for a named event, which JSON readers see.
pub fn event(level: LogLevel, service: &str, event: &str, text: &str) {
    match level {
        LogLevel::Error => tracing::error!(service, event, message = text),
        LogLevel::Warn => tracing::warn!(service, event, message = text),
        LogLevel::Info => tracing::info!(service, event, message = text),
        LogLevel::Debug => tracing::debug!(service, event, message = text),
        LogLevel::Trace => tracing::trace!(service, event, message = text),
    }
}

/// Writes each event as one line. rinit has no spans, so it needs no span registry: that of tracing-subscriber's `fmt`
/// would touch a dozen pages at each start.
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
        // Program names, values and answers from outside must not send control sequences to a terminal.
        if let Cow::Owned(shown) = printable(&fields.message) {
            fields.message = shown;
        }
        let level = *event.metadata().level();
        // Like tini, its verbose messages go to standard output.
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

/// Returns where to split a message whose line is `length` bytes long, at a line break if possible; `None`: not needed.
fn piece_of(message: &str, length: usize) -> Option<usize> {
    if length <= MAX_LINE_BYTES {
        return None;
    }
    // Scaled down: escaped characters take more bytes in the line than in the message.
    let room = message.len() * MAX_LINE_BYTES / length;
    let end = message.floor_char_boundary(room.saturating_sub(100));
    let end = message.get(..end)?.rfind('\n').unwrap_or(end);
    Some(end).filter(|end| *end > 0)
}

/// Writes the prefix of a line: that of the init that rinit stands in for.
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
                // A message of several lines (a fault with its source line) keeps them.
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

/// The fields of rinit's events.
#[derive(Default)]
struct Fields {
    message: String,
    service: String,
    event: String,
}

impl Visit for Fields {
    // All fields are strings. `{:?}` would be empty in the release build.
    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}

    // Unused; the default implementations would add 10 KB of formatting code.
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
