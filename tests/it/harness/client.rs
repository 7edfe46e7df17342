//! A client of the control socket.

use super::{PATIENCE, Running, eventually};
use rinit::text::json::{self, Json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// A connection to the socket `c.sock` of a [`Running`]; `RINIT_SOCKET` must name it.
#[derive(Debug)]
pub struct Client {
    pub stream: UnixStream,
    lines: BufReader<UnixStream>,
}

impl Client {
    /// The value of `RINIT_SOCKET` that [`Client::of`] expects.
    pub const SOCKET: &str = "/mnt/files/c.sock";

    #[track_caller]
    pub fn of(run: &Running) -> Self {
        let path = run.directory().join("c.sock");
        eventually("the socket is there", || UnixStream::connect(&path).is_ok());
        Self::at(&path)
    }

    #[track_caller]
    pub fn at(path: &Path) -> Self {
        Self::with(UnixStream::connect(path).unwrap())
    }

    pub fn with(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap());
        Self { stream, lines }
    }

    /// Sends a line.
    #[track_caller]
    pub fn send(&mut self, line: &str) {
        self.stream.write_all(line.as_bytes()).unwrap();
        self.stream.write_all(b"\n").unwrap();
    }

    /// Returns the next line; `None` at the end.
    #[track_caller]
    pub fn line(&mut self) -> Option<Json> {
        let mut line = String::new();
        match self.lines.read_line(&mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(json::parse(&line).unwrap_or_else(|| panic!("no JSON: {line}"))),
        }
    }

    /// Sends a request; returns its rows and the last line.
    #[track_caller]
    pub fn ask(&mut self, line: &str) -> (Vec<Json>, Json) {
        self.send(line);
        let mut rows = Vec::new();
        loop {
            let line = self.line().unwrap_or_else(|| panic!("no answer to {line}"));
            if line.get("ok").is_some() {
                return (rows, line);
            }
            rows.push(line);
        }
    }

    /// Sends an order that must be accepted; returns `seq` of the answer.
    #[track_caller]
    pub fn order(&mut self, line: &str) -> u64 {
        let (rows, last) = self.ask(line);
        assert!(rows.is_empty() && last.is_true("ok"), "{last:?}");
        last.number("seq").unwrap()
    }

    /// Returns the error of a request that must be refused.
    #[track_caller]
    pub fn refused(&mut self, line: &str) -> String {
        let (_, last) = self.ask(line);
        assert!(!last.is_true("ok"), "{last:?}");
        last.text("error").unwrap().to_owned()
    }

    /// Returns the row of a service.
    #[track_caller]
    pub fn service(&mut self, name: &str) -> Json {
        let (mut rows, last) = self.ask(&format!("{{\"verb\":\"status\",\"names\":[\"{name}\"]}}"));
        assert!(last.is_true("ok"), "{last:?}");
        rows.remove(0)
    }

    /// Returns the state of a service.
    #[track_caller]
    pub fn state(&mut self, name: &str) -> String {
        self.service(name).text("state").unwrap().to_owned()
    }

    /// Waits until a service has this state.
    #[track_caller]
    pub fn wait_for(&mut self, name: &str, state: &str) {
        eventually(&format!("{name} is {state}"), || self.state(name) == state);
    }
}
