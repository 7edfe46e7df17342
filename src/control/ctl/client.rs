//! The client side of the protocol in `docs/control.md`.

use super::{CtlError, names};
use crate::cli::{self, Parsed};
use crate::config::read::context::ReadContext;
use crate::config::read::interpolate::{Scope, StartFacts};
use crate::config::read::table::Table;
use crate::config::source::files::{self, Io};
use crate::control::access::DEFAULT_PATH;
use crate::exit_code::{DENIED, FAILURE, TIMED_OUT, UNKNOWN_SERVICE, UNREACHED};
use crate::model::{Moment, Pid};
use crate::sys::event::clock;
use crate::sys::net::line_stream::{LineStream, readable};
use crate::sys::process::{credentials, procfs};
use crate::sys::{args, fs};
use crate::text::escape::json_string;
use crate::text::gather::Gather;
use crate::text::io_error;
use crate::text::json::{self, Json};
use crate::text::suggest::did_you_mean;
use crate::text::template::fill;
use std::ffi::{CStr, CString};
use std::io;
use std::time::Duration;

/// How much of a command line is read.
const MAX_COMMAND_LINE: usize = 64 * 1024;
/// The limit of names in one request, in bytes; rinit accepts requests of 16,384 bytes in all.
const MAX_NAMES_BYTES: usize = 12_000;
/// The polling interval if events cannot be followed.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// A connection to rinit.
#[derive(Debug)]
pub(super) struct CtlClient {
    stream: LineStream,
    /// The name of the connected socket.
    pub(super) socket: String,
    /// The deadline of the whole conversation.
    until: Option<Moment>,
}

impl CtlClient {
    /// Connects to the named socket, or to the first one found; within `patience`, answers included.
    pub(super) fn connect(named: Option<&str>, patience: Option<Duration>) -> Result<Self, CtlError> {
        let until = patience.map(|patience| clock::now().after(patience));
        let variable = args::variable("RINIT_SOCKET").and_then(|value| std::str::from_utf8(value).ok());
        let named = named.or(variable.filter(|value| !value.is_empty()));
        let guesses: [fn() -> Option<String>; 3] =
            [|| Some(DEFAULT_PATH.into()), abstract_name, configured_name];
        // Lazily, one after the other: a configuration file is read only if nobody else answers.
        let guessed = guesses.iter().filter(|_| named.is_none()).filter_map(|guess| guess());
        let mut failed: Option<(String, io::Error)> = None;
        for socket in named.map(str::to_string).into_iter().chain(guessed) {
            if socket == "none" {
                let by = if named.is_some() { "RINIT_SOCKET=none" } else { "[control] socket = \"none\"" };
                return Err(CtlError::new(UNREACHED, fill!("{}: rinit has no control socket here", by)));
            }
            match LineStream::connect(&socket, patience) {
                Ok(stream) => return Self::trusted(stream, socket, until),
                // An error from an existing socket is more useful than "not found".
                Err(error) if failed.is_some() && is_nobody(&error) => {}
                Err(error) => failed = Some((socket, error)),
            }
        }
        let (socket, error) = failed.unwrap_or_else(|| (String::new(), io::ErrorKind::NotFound.into()));
        Err(unreached(&socket, &error))
    }

    /// Checks that the peer is root or this user, where anybody could have taken the name.
    fn trusted(stream: LineStream, socket: String, until: Option<Moment>) -> Result<Self, CtlError> {
        match stream.peer_uid() {
            Some(uid) if uid != 0 && uid != credentials::current().uid => Err(CtlError::new(
                UNREACHED,
                format!(
                    "{socket}: the user {uid} listens there, who is neither root nor you; rinit is not asked there"
                ),
            )),
            _ => Ok(Self { stream, socket, until }),
        }
    }

    /// Sends a request; `fields` is appended after the verb: JSON members, each with a leading comma.
    fn send(&self, verb: &str, names: &[&str], fields: &str) -> Result<(), CtlError> {
        let mut line = String::from("{\"v\":1,\"verb\":");
        json_string(verb, &mut line);
        if !names.is_empty() {
            line.push_str(",\"names\":[");
            for (at, name) in names.iter().enumerate() {
                if at > 0 {
                    line.push(',');
                }
                json_string(name, &mut line);
            }
            line.push(']');
        }
        line.push_str(fields);
        line.push_str("}\n");
        // A server that refuses a client explains why before it closes: `read` returns that.
        match self.stream.send(line.as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(late(self)),
            _ => Ok(()),
        }
    }

    /// Reads one row of an answer; `None`: `until` has passed.
    fn read(&mut self, until: Option<Moment>) -> Result<Option<Json>, CtlError> {
        match self.stream.line(until) {
            Ok(Some(line)) => match json::parse(&line) {
                Some(value) => Ok(Some(value)),
                None => {
                    Err(CtlError::new(UNREACHED, fill!("{}: what answers there is no rinit", self.socket)))
                }
            },
            Ok(None) => Err(CtlError::new(UNREACHED, "rinit has closed the connection")),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(None),
            Err(error) => Err(CtlError::new(UNREACHED, format!("{}: {error}", self.socket))),
        }
    }

    /// Sends a request, passes each row to the callback, and returns the last row.
    pub(super) fn ask(
        &mut self,
        verb: &str,
        names: &[&str],
        fields: &str,
        row: &mut dyn FnMut(Json),
    ) -> Result<Json, CtlError> {
        let mut left = names;
        loop {
            let mut bytes = 0;
            let fits = |name: &&&str| {
                bytes += name.len() + 3;
                bytes <= MAX_NAMES_BYTES
            };
            let count = left.iter().take_while(fits).count().max(1).min(left.len());
            let (now, later) = left.split_at(count);
            self.send(verb, now, fields)?;
            let last = loop {
                let line = self.read(self.until)?.ok_or_else(|| late(self))?;
                match line.get("ok") {
                    None => row(line),
                    Some(Json::Bool(true)) => break line,
                    Some(_) => return Err(self.refused(verb, &line)),
                }
            };
            if later.is_empty() {
                return Ok(last);
            }
            left = later;
        }
    }

    /// Returns the rows of services.
    pub(super) fn services(&mut self, names: &[&str]) -> Result<(Vec<Json>, Json), CtlError> {
        let mut rows = Vec::new();
        let last = self.ask("status", names, "", &mut |row| rows.push(row))?;
        Ok((rows, last))
    }

    /// Returns the services that these words select, in rinit's order; all if there are no words.
    pub(super) fn chosen(&mut self, words: &[String]) -> Result<(Vec<Json>, Json), CtlError> {
        let (mut rows, last) = self.services(&[])?;
        let name = |row: &Json| row.text("name").unwrap_or_default().to_string();
        for word in words {
            if rows.iter().any(|row| names::selects(word, row)) || word == "all" {
                continue;
            }
            let kind = if names::is_pattern(word) { "fits" } else { "is called" };
            let known: Vec<String> = rows.iter().map(name).gather();
            let hint = did_you_mean(word, known.iter().map(String::as_str));
            return Err(CtlError::new(UNKNOWN_SERVICE, fill!("no service {} \"{}\"{}", kind, word, hint)));
        }
        if !words.is_empty() {
            rows.retain(|row| words.iter().any(|word| names::selects(word, row)));
        }
        Ok((rows, last))
    }

    /// Requests all events after `since`; read them with [`CtlClient::event`].
    pub(super) fn follow(&self, since: Option<u64>) -> Result<(), CtlError> {
        let since = since.map_or_else(String::new, |since| format!(",\"since\":{since}"));
        self.send("events", &[], &fill!("{},\"follow\":true", since))
    }

    /// Returns the next event, or a gap row; `None`: `until` has passed.
    pub(super) fn event(&mut self, until: Option<Moment>) -> Result<Option<Json>, CtlError> {
        let line = self.read(until)?;
        match &line {
            Some(last) if last.get("ok").is_some() => Err(self.refused("events", last)),
            _ => Ok(line),
        }
    }

    /// Returns whether an event is already buffered.
    pub(super) fn has_event(&self) -> bool {
        self.stream.has_line()
    }

    /// Returns the pid of rinit in this PID namespace.
    pub(super) fn pid(&self) -> Option<Pid> {
        self.stream.peer_pid()
    }

    /// Returns the descriptor, to wait for it.
    pub(super) fn raw(&self) -> i32 {
        self.stream.raw()
    }

    /// Discards input; returns false at the end of the connection.
    pub(super) fn skim(&self) -> bool {
        let mut thrown = Vec::new();
        crate::sys::process::fork::read_some(self.stream.raw(), &mut thrown) > 0
    }

    fn refused(&self, verb: &str, line: &Json) -> CtlError {
        let message = line.text("message").unwrap_or("refused");
        let (code, hint) = match line.text("error").unwrap_or_default() {
            "unknown" => (UNKNOWN_SERVICE, String::new()),
            "denied" => (
                DENIED,
                format!(
                    "; {verb} is for root, the user that rinit runs as, and those that [control] names (you are uid {})",
                    credentials::current().uid
                ),
            ),
            "version" => (UNREACHED, "; take the rinitctl of the same file as PID 1".into()),
            "unavailable" => (UNREACHED, String::new()),
            _ => (FAILURE, String::new()),
        };
        CtlError::new(code, [message, &hint].concat())
    }
}

fn late(client: &CtlClient) -> CtlError {
    CtlError::new(TIMED_OUT, fill!("{}: rinit does not answer", client.socket))
}

/// Returns the name that rinit uses if it cannot create a file.
fn abstract_name() -> Option<String> {
    let link = fs::stat::read_link("/proc/self/ns/pid").ok()?;
    let inode = link.strip_prefix("pid:[")?.strip_suffix(']')?;
    Some(fill!("@rinit-{}-1", inode))
}

fn is_nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

/// Returns the socket that the configuration files of PID 1 name.
#[cold]
fn configured_name() -> Option<String> {
    let words = fs::files::slurp("/proc/1/cmdline", MAX_COMMAND_LINE).ok()?;
    let words: Vec<CString> = words
        .split_inclusive(|byte| *byte == 0)
        .filter_map(|word| CString::from_vec_with_nul(word.into()).ok())
        .gather();
    let words: Vec<&CStr> = words.iter().map(CString::as_c_str).gather();
    let Ok(Parsed::Run(invocation)) = cli::parse(&words, &args::variable) else { return None };
    // PID 1's standard input is not this process's.
    if invocation.config.iter().any(|path| path.starts_with("/dev/") || path.starts_with("/proc/")) {
        return None;
    }
    let variable = |name: &str| args::variable(name).map(|value| String::from_utf8_lossy(value).into_owned());
    let io = Io {
        read: &fs::files::read,
        list: &fs::files::list_toml,
        why: &|_, error| io_error::unreadable(error),
    };
    let named = variable("RINIT_CONFIG");
    let files = files::load(&invocation.config, named.as_deref(), &io, &mut Vec::new())?;
    let reading = ReadContext::new(Scope {
        variable: &variable,
        exists: &fs::files::exists,
        read: &|_| Err(String::new()),
        later: &[],
        start: StartFacts::default(),
    });
    Table::open(&reading, String::new(), files.root.at, &files.root)?.table("control")?.text("socket")
}

/// Explains a failed connection, as far as it can be seen from here.
#[cold]
fn unreached(socket: &str, error: &io::Error) -> CtlError {
    let why = match crate::sys::errno(error) {
        crate::sys::Errno::UnknownErrno => error.to_string(),
        errno => crate::sys::describe(errno).to_string(),
    };
    let hint = match (procfs::runs_this_file(1), procfs::name(1)) {
        (Some(_), _) => {
            "PID 1 is rinit; has it a configuration, and no other socket (RINIT_SOCKET, [control] socket)?"
                .into()
        }
        (None, Some(name)) if name.starts_with("rinit") => {
            "PID 1 is rinit; has it a configuration, and no other socket (RINIT_SOCKET, [control] socket)?"
                .into()
        }
        (None, Some(name)) => fill!("PID 1 is {}, not rinit; name the socket of another with --socket", name),
        (None, None) => "name the socket with --socket or $RINIT_SOCKET".into(),
    };
    CtlError::new(UNREACHED, fill!("no rinit answers at {} ({}); {}", socket, why, hint))
}

/// Reports when something has happened: follows events, or polls if the limit of followers is reached.
pub(super) struct ChangeWatch {
    events: Option<CtlClient>,
}

impl ChangeWatch {
    /// Starts with the event after this number.
    pub(super) fn since(named: Option<&str>, since: Option<u64>) -> Self {
        let client = CtlClient::connect(named, None).and_then(|client| client.follow(since).map(|()| client));
        Self { events: client.ok() }
    }

    /// Waits for a change, at most until then. False: rinit is gone.
    pub(super) fn wait(&mut self, until: Option<Moment>) -> bool {
        let Some(events) = &mut self.events else {
            let soon = clock::now().after(POLL_INTERVAL);
            let _ = readable(&[], Some(until.map_or(soon, |until| until.min(soon))));
            return true;
        };
        match events.event(until) {
            Ok(_) => {
                // Events that arrive together count as one change.
                while events.has_event() && events.event(None).is_ok() {}
                true
            }
            Err(failure) if failure.code == UNREACHED => false,
            Err(_) => {
                self.events = None;
                true
            }
        }
    }
}
