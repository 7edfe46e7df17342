//! rinit's own lines: one event a line, to stderr, through `tracing`. A line that a stopped reader cannot
//! take is dropped; PID 1 never waits for it.

use crate::cli::{LogFormat, LogLevel, Persona};
use crate::quoting::json_string;
use crate::secrets;
use std::fmt::{self, Write as _};
use tracing::field::{Field, Visit};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber, span};
use tracing_subscriber::filter::LevelFilter;

/// Installs the subscriber. Until then, lines go nowhere and cost a load and a branch.
pub fn install(level: LogLevel, format: LogFormat, persona: Persona) {
    let level = LevelFilter::from_level(match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    });
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
    match level {
        LogLevel::Error => tracing::error!(service, message = text),
        LogLevel::Warn => tracing::warn!(service, message = text),
        LogLevel::Info => tracing::info!(service, message = text),
        LogLevel::Debug => tracing::debug!(service, message = text),
        LogLevel::Trace => tracing::trace!(service, message = text),
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
        fields.message = secrets::hide(fields.message);
        let mut line = String::new();
        let _ = self.format.write(&mut line, self.persona, *event.metadata().level(), &fields);
        // What tini says on request goes to standard output, where its users look for it.
        let fd = if self.persona == Persona::Tini && *event.metadata().level() > Level::WARN { 1 } else { 2 };
        crate::sys::stdio::write_or_drop(fd, line.as_bytes());
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
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
                write!(out, "{{\"level\":\"{level}\"")?;
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

/// The two fields that rinit's events have.
#[derive(Default)]
struct Fields {
    message: String,
    service: String,
}

impl Visit for Fields {
    // Both are strings. `{:?}` would be empty in the released file, which is built without it.
    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}

    // No event has such a field; what would print them takes 10 KB.
    fn record_f64(&mut self, _: &Field, _: f64) {}
    fn record_i128(&mut self, _: &Field, _: i128) {}
    fn record_u128(&mut self, _: &Field, _: u128) {}

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            "service" => self.service.push_str(value),
            _ => {}
        }
    }
}
