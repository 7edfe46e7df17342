//! rinit's own lines: one event a line, to stderr, through `tracing`. A line that a stopped reader cannot
//! take is dropped; PID 1 never waits for it.

use crate::cli::{LogFormat, LogLevel, Persona};
use std::fmt::{self, Write as _};
use std::io;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

/// Installs the subscriber. Until then, lines go nowhere and cost a load and a branch.
pub fn install(level: LogLevel, format: LogFormat, persona: Persona) {
    let level = match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    };
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .log_internal_errors(false)
        .with_ansi(false)
        .with_writer(Stderr)
        .event_format(Line { format, persona })
        .finish();
    // Fails only when one is installed already, and that one serves.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Says one line; `service` is empty when it is about none.
pub fn line(level: LogLevel, service: &str, text: &str) {
    match level {
        LogLevel::Error => tracing::error!(service, "{text}"),
        LogLevel::Warn => tracing::warn!(service, "{text}"),
        LogLevel::Info => tracing::info!(service, "{text}"),
        LogLevel::Debug => tracing::debug!(service, "{text}"),
        LogLevel::Trace => tracing::trace!(service, "{text}"),
    }
}

/// One event as one line.
struct Line {
    format: LogFormat,
    persona: Persona,
}

impl Line {
    /// What a line begins with: the mark of the init that rinit stands in for.
    fn begin(&self, out: &mut Writer<'_>, level: Level) -> fmt::Result {
        let level = match (self.persona, level) {
            (Persona::Rinit, _) => return out.write_str("rinit: "),
            (Persona::DumbInit, _) => return out.write_str("[dumb-init] "),
            (Persona::Tini, Level::ERROR) => "FATAL",
            (_, level) => level.as_str(),
        };
        let pid = crate::sys::pid();
        match self.persona {
            Persona::Tini => write!(out, "[{level:<5} tini ({pid})] "),
            _ => write!(out, "{level} (catatonit:{pid}): "),
        }
    }
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let service = Some(fields.service.as_str()).filter(|name| !name.is_empty());
        match self.format {
            LogFormat::Text => {
                self.begin(&mut out, *event.metadata().level())?;
                if let Some(name) = service {
                    write!(out, "{name}: ")?;
                }
                // A message of several lines (a fault with its line) keeps them.
                writeln!(out, "{}", fields.message)
            }
            LogFormat::Json => {
                let level = event.metadata().level().as_str().to_ascii_lowercase();
                write!(out, "{{\"level\":\"{level}\"")?;
                if let Some(name) = service {
                    write!(out, ",\"service\":{}", Quoted(name))?;
                }
                writeln!(out, ",\"message\":{}}}", Quoted(&fields.message))
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
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            "service" => write!(self.service, "{value:?}"),
            _ => Ok(()),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            "service" => self.service.push_str(value),
            _ => {}
        }
    }
}

/// A JSON string.
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                c if u32::from(c) < 0x20 => write!(f, "\\u{:04x}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

struct Stderr;

impl MakeWriter<'_> for Stderr {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

impl io::Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        crate::sys::stdio::write_or_drop(2, line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
