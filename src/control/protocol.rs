//! Client requests: one per line, as specified in `docs/control.md`.

use crate::model::Signal;
use crate::text::json::{self, Json};
use crate::text::template::fill;

/// The protocol version.
pub const VERSION: u64 = 1;

/// The maximum length of a request with its newline.
pub const MAX_REQUEST_BYTES: usize = 16_384;

/// One request.
#[derive(Clone, PartialEq, Debug)]
pub struct Request {
    /// The id that the client chose for it.
    pub id: Option<u64>,
    /// The operation.
    pub verb: RequestVerb,
    /// The services that it is about; empty: all.
    pub names: Vec<String>,
}

/// An operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestVerb {
    /// Version and identity of rinit.
    Version,
    /// The state of services.
    Status,
    /// The same, with totals.
    Metrics,
    /// Start services.
    Start,
    /// Stop services; `only`: without their dependents.
    Stop {
        /// Whether to leave dependents running.
        only: bool,
    },
    /// Restart services; `rolling`: one after the other.
    Restart {
        /// Whether each waits until the one before is ready.
        rolling: bool,
    },
    /// Send a signal to services.
    Signal(Signal),
    /// Stop the container.
    Shutdown {
        /// The exit code, if given.
        code: Option<u8>,
    },
    /// Events.
    Events {
        /// The last event that the client knows.
        since: Option<u64>,
        /// Whether to send later events too.
        follow: bool,
    },
    /// The end of a service's output.
    Logs {
        /// The position to start at.
        since: Option<u64>,
    },
    /// Reopen all log files.
    ReopenLogs,
    /// Read the configuration anew.
    Reload {
        /// Whether only to tell what would change.
        dry_run: bool,
    },
    /// The dependency graph.
    Graph,
    /// When services first waited, started, were ready and ended.
    Timeline,
    /// User, directory and environment of a service.
    ExecContext,
}

impl RequestVerb {
    /// Returns whether it is read-only and returns no secrets.
    #[must_use]
    pub fn is_reading(self) -> bool {
        match self {
            Self::Version
            | Self::Status
            | Self::Metrics
            | Self::Events { .. }
            | Self::Logs { .. }
            | Self::Graph
            | Self::Timeline => true,
            Self::Start
            | Self::Stop { .. }
            | Self::Restart { .. }
            | Self::Signal(_)
            | Self::Shutdown { .. }
            | Self::ReopenLogs
            | Self::Reload { .. }
            | Self::ExecContext => false,
        }
    }

    /// Returns whether it requires service names.
    #[must_use]
    pub fn needs_names(self) -> bool {
        match self {
            Self::Start | Self::Stop { .. } | Self::Restart { .. } | Self::Signal(_) | Self::ExecContext => {
                true
            }
            Self::Version
            | Self::Status
            | Self::Metrics
            | Self::Shutdown { .. }
            | Self::ReopenLogs
            | Self::Reload { .. }
            | Self::Events { .. }
            | Self::Logs { .. }
            | Self::Graph
            | Self::Timeline => false,
        }
    }
}

/// Why a request is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// An error code from the table in docs/control.md.
    pub error: &'static str,
    /// A message of one line.
    pub message: String,
    /// The service concerned.
    pub name: Option<String>,
}

impl Refusal {
    /// Creates a refusal that concerns no single service.
    #[must_use]
    pub fn new(error: &'static str, message: &str) -> Self {
        Self { error, message: message.into(), name: None }
    }
}

fn bad(message: &str) -> Refusal {
    Refusal::new("bad-request", message)
}

/// Parses a request. On failure also returns its id, if that is readable.
pub fn parse(line: &[u8]) -> Result<Request, (Option<u64>, Refusal)> {
    let text = std::str::from_utf8(line).map_err(|_| (None, bad("not UTF-8")))?;
    let value = json::parse(text).ok_or_else(|| (None, bad("not JSON")))?;
    if !matches!(value, Json::Object(_)) {
        return Err((None, bad("not an object")));
    }
    let id = optional(&value, "id", "a whole number", Json::as_number).map_err(|refusal| (None, refusal))?;
    read(&value, id).map_err(|refusal| (id, refusal))
}

fn read(value: &Json, id: Option<u64>) -> Result<Request, Refusal> {
    let version = optional(value, "v", "a whole number", Json::as_number)?.unwrap_or(VERSION);
    if version != VERSION {
        return Err(Refusal::new("version", "only version 1 of the protocol is spoken here"));
    }
    let verb = value.text("verb").ok_or_else(|| bad("no verb"))?;
    let names = names(value)?;
    let verb = self::verb(value, verb)?;
    if verb.needs_names() && names.is_empty() {
        return Err(bad("names are missing"));
    }
    Ok(Request { id, verb, names })
}

fn verb(value: &Json, verb: &str) -> Result<RequestVerb, Refusal> {
    let flag = |name| match value.get(name) {
        None | Some(Json::Null | Json::Bool(false)) => Ok(false),
        Some(Json::Bool(true)) => Ok(true),
        Some(_) => Err(bad(&fill!("{} is not true or false", name))),
    };
    let number = |name| optional(value, name, "a whole number", Json::as_number);
    Ok(match verb {
        "version" => RequestVerb::Version,
        "status" => RequestVerb::Status,
        "metrics" => RequestVerb::Metrics,
        "start" => RequestVerb::Start,
        "stop" => RequestVerb::Stop { only: flag("only")? },
        "restart" => RequestVerb::Restart { rolling: flag("rolling")? },
        "signal" => RequestVerb::Signal(signal(value)?),
        "shutdown" => {
            let code = number("code")?.map(u8::try_from).transpose();
            RequestVerb::Shutdown { code: code.map_err(|_| bad("code is not from 0 to 255"))? }
        }
        "events" => RequestVerb::Events { since: number("since")?, follow: flag("follow")? },
        "logs" => RequestVerb::Logs { since: number("since")? },
        "reopen-logs" => RequestVerb::ReopenLogs,
        "reload" => RequestVerb::Reload { dry_run: flag("dry_run")? },
        "graph" => RequestVerb::Graph,
        "timeline" => RequestVerb::Timeline,
        "exec-context" => RequestVerb::ExecContext,
        _ => return Err(Refusal::new("unknown-verb", "no such verb")),
    })
}

fn signal(value: &Json) -> Result<Signal, Refusal> {
    let named = match value.get("signal") {
        Some(Json::Text(word)) => Signal::parse(word),
        Some(Json::Number(number)) => number.parse().ok().and_then(Signal::from_number),
        _ => None,
    };
    named.ok_or_else(|| bad("signal is none"))
}

fn names(value: &Json) -> Result<Vec<String>, Refusal> {
    let wrong = || bad("names is not a list of strings");
    match value.get("names") {
        None | Some(Json::Null) => Ok(Vec::new()),
        Some(Json::List(names)) => {
            names.iter().map(|name| name.as_text().map(str::to_string).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

fn optional<'v, T>(
    value: &'v Json,
    name: &str,
    expected: &str,
    read: impl Fn(&'v Json) -> Option<T>,
) -> Result<Option<T>, Refusal> {
    match value.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(found) => read(found).map(Some).ok_or_else(|| bad(&fill!("{} is not {}", name, expected))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::protocol::*;

    fn refused(line: &str) -> (Option<u64>, &'static str) {
        let (id, refusal) = parse(line.as_bytes()).expect_err(line);
        (id, refusal.error)
    }

    #[test]
    fn a_request_is_read_whatever_else_it_holds() {
        let line = br#"{"v":1,"id":7,"verb":"stop","names":["web","a b"],"only":true,"later":[{}]}"#;
        let names = vec!["web".into(), "a b".into()];
        assert_eq!(parse(line), Ok(Request { id: Some(7), verb: RequestVerb::Stop { only: true }, names }));
        for (line, verb) in [
            (r#"{"verb":"status"}"#, RequestVerb::Status),
            (r#"{"verb":"shutdown","code":3}"#, RequestVerb::Shutdown { code: Some(3) }),
            (r#"{"verb":"shutdown","code":null}"#, RequestVerb::Shutdown { code: None }),
            (r#"{"verb":"signal","signal":1,"names":["a"]}"#, RequestVerb::Signal(Signal::HUP)),
            (r#"{"verb":"signal","signal":"SIGHUP","names":["a"]}"#, RequestVerb::Signal(Signal::HUP)),
            (
                r#"{"verb":"events","since":0,"follow":true}"#,
                RequestVerb::Events { since: Some(0), follow: true },
            ),
        ] {
            assert_eq!(parse(line.as_bytes()).expect(line).verb, verb);
        }
    }

    #[test]
    fn what_is_no_request_is_told_by_its_error() {
        for line in [
            "",
            "{",
            "[]",
            "\"status\"",
            "{\"verb\":1}",
            "{}",
            "{\"verb\":\"stop\"}",
            "nonsense",
            "{\"verb\":\"stop\",\"names\":[1]}",
            "{\"verb\":\"stop\",\"names\":[\"a\"],\"only\":1}",
            "{\"verb\":\"shutdown\",\"code\":256}",
            "{\"verb\":\"shutdown\",\"code\":-1}",
            "{\"id\":-1}",
            "{\"verb\":\"signal\",\"names\":[\"a\"],\"signal\":\"NONE\"}",
            "{\"verb\":\"signal\",\"names\":[\"a\"],\"signal\":0}",
            "{\"verb\":\"exec-context\"}",
        ] {
            assert_eq!(refused(line).1, "bad-request", "{line}");
        }
        assert_eq!(refused(r#"{"id":3,"verb":"dance"}"#), (Some(3), "unknown-verb"));
        assert_eq!(refused(r#"{"id":3,"v":2,"verb":"status"}"#), (Some(3), "version"));
        assert_eq!(parse(b"\xff").expect_err("no text").1.error, "bad-request");
        assert_eq!(refused(&["{\"verb\":", &"[".repeat(8000)].concat()).1, "bad-request");
    }
}
