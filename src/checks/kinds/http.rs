//! `[checks.http."http://HOST/PATH"]`: a server answers a request as it should. Plain HTTP/1.1 alone: TLS would
//! be many times the size of rinit.

use super::common::content::holds;
use super::common::finding::{add, fail, held};
use super::common::keys::{asserting, misnamed, named, timeout};
use super::common::peer::{Peer, TIMEOUT};
use super::common::socket;
use crate::checks::{Blocking, CheckFailure, CheckSpec, Facts, Kind, LookResult, facts, quoted};
use crate::config::keys::{KeySpec, key};
use crate::config::read::table::Table;
use crate::config::source::document::Value;
use crate::text::template::fill;
use std::time::Duration;

/// `http`
pub const KIND: Kind = Kind { name: "http", read, ..Kind::PLAIN };

/// The keys that are its own.
#[rustfmt::skip]
pub const KEYS: &[&[KeySpec]] = &[&[
    key("url", "string", "NAME", "the URL to request (http:// only), if NAME is only a label"),
    key("unix", "path", "", "the socket to ask by; the host of the URL only goes into the request"),
    key("method", "string", "\"GET\"", "the request method"),
    key("headers", "table", "", "the request headers"),
    key("status", "numbers or ranges", "\"200-299\"", "the status codes that pass"),
    key("contains", "strings", "", "texts that the response must contain"),
    key("timeout", "duration", "\"3s\"", "the timeout for each address"),
]];

struct Http {
    peer: Peer,
    /// The Unix socket to ask by, in place of the peer.
    socket: Option<String>,
    /// Without what follows `?`, which may be a secret.
    url: String,
    request: String,
    status: Vec<(u16, u16)>,
    contains: Vec<String>,
    timeout: Duration,
}

fn read(name: &str, table: &Table<'_>) -> Option<CheckSpec> {
    let url = named(name, table, "url")?;
    let method = table.text("method").unwrap_or_else(|| "GET".into());
    if method.is_empty() || !method.bytes().all(|b| b.is_ascii_uppercase()) {
        table.fault("method", "is no method; expected one such as \"GET\" or \"HEAD\"");
    }
    let (status, written) = statuses(table);
    let contains = asserting(table, "contains");
    if method == "HEAD" && !contains.is_empty() {
        table.fault("contains", "asks for a content, which HEAD does not give; leave one of them out");
    }
    let mut expected = fill!("an answer of status {}", written);
    contains.iter().for_each(|text| add(&mut expected, &["with ", &quoted(text)]));
    let timeout = timeout(table, TIMEOUT);
    let headers = headers(table);
    let socket = table.text("unix");
    if socket.as_ref().is_some_and(|path| !path.starts_with('/')) {
        table.fault("unix", "is no absolute path; expected such as \"/run/app.sock\"");
    }
    let target = target(&url);
    if let Err(why) = &target {
        misnamed(table, "url", why);
    }
    let (peer, path) = target.ok()?;
    let shown = peer.shown();
    let host = shown.strip_suffix(":80").unwrap_or(&shown);
    // A body of its own length, so that no server waits for one.
    let body = if matches!(method.as_str(), "GET" | "HEAD") { "" } else { "Content-Length: 0\r\n" };
    let request = fill!(
        "{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: rinit\r\nConnection: close\r\n{}{}\r\n",
        method.as_str(),
        path,
        host,
        body,
        headers
    );
    let url = url.split(['?', '#']).next().unwrap_or_default().to_string();
    let http = Http { peer, socket, url, request, status, contains, timeout };
    Some(CheckSpec::new(
        fill!("http {}", http.url),
        expected,
        Blocking::Within(timeout.saturating_mul(4)),
        Box::new(move |facts| http.look(facts)),
    ))
}

/// The peer and the path of a URL.
fn target(url: &str) -> Result<(Peer, String), &'static str> {
    const NONE: &str = "is no URL that rinit can ask; expected one such as \"http://host:8080/health\"";
    if url.starts_with("https:") {
        return Err("is https, but rinit speaks plain http alone; ask its plain port, check the port with \
                    [checks.tcp], or run curl in [checks.exec]");
    }
    let rest = url.strip_prefix("http://").ok_or(NONE)?;
    let rest = rest.split('#').next().unwrap_or_default();
    let (place, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if place.contains('@') {
        return Err("holds a user, which rinit does not send; expected headers = { Authorization = \"…\" }");
    }
    if path.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(NONE);
    }
    let path = [if path.starts_with('/') { "" } else { "/" }, path].concat();
    Ok((Peer::parse(place, Some(80)).ok_or(NONE)?, path))
}

/// `Name: value` lines.
fn headers(table: &Table<'_>) -> String {
    let mut lines = String::new();
    let Some(headers) = table.table("headers") else { return lines };
    for entry in headers.entries() {
        let Value::Text(text) = &entry.node.value else {
            headers.wrong("headers", &entry.node, "a string");
            continue;
        };
        let Some(value) = headers.expand_node(&entry.key, &entry.node, text) else { continue };
        let bad = |c: char| c.is_control();
        if value.contains(bad) || entry.key.contains(|c: char| bad(c) || c == ':' || c == ' ') {
            table.fault("headers", "holds what is no header; expected names and values, each on one line");
            continue;
        }
        [entry.key.as_str(), ": ", &value, "\r\n"].iter().for_each(|part| lines.push_str(part));
    }
    lines
}

/// Which status will do: `200`, `"200-299"`, or a list of such.
fn statuses(table: &Table<'_>) -> (Vec<(u16, u16)>, String) {
    let list = asserting(table, "status");
    if list.is_empty() {
        return (vec![(200, 299)], "200-299".into());
    }
    let mut ranges = Vec::new();
    for text in &list {
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        let number = |text: &str| text.trim().parse().ok().filter(|n| (100..=599).contains(n));
        match (number(low), number(high)) {
            (Some(low), Some(high)) if low <= high => ranges.push((low, high)),
            _ => table
                .fault("status", "is no status; expected one such as 200, or a range such as \"200-299\""),
        }
    }
    (ranges, list.join(" or "))
}

impl Http {
    /// Whether there is enough of the answer, for a server that does not close the connection.
    fn whole(&self, answer: &[u8]) -> bool {
        let (head, Some(body)) = split(answer) else { return false };
        // What nobody asked for is not waited for: it may never end, or never come.
        if self.contains.is_empty() || self.request.starts_with("HEAD") || is_bodiless(status(&head)) {
            return true;
        }
        match header(&head, "content-length").and_then(|length| length.parse::<usize>().ok()) {
            Some(length) => body.len() >= length,
            None => header(&head, "transfer-encoding").is_some() && body.ends_with(b"0\r\n\r\n"),
        }
    }

    fn ask(&self, facts: &Facts) -> Result<Vec<u8>, CheckFailure> {
        let (request, whole) = (self.request.as_bytes(), &|got: &[u8]| self.whole(got));
        if let Some(path) = &self.socket {
            return facts.system.exchange_unix(path, request, self.timeout, whole).or_else(|error| {
                socket::look(path, facts)?;
                fail!("no answer: {}", &facts::why(&error); "look at what listens at {}", path)
            });
        }
        let mut answer = Vec::new();
        self.peer.reach(facts, &mut |address| {
            answer = facts.system.exchange(address, request, self.timeout, whole)?;
            Ok(())
        })?;
        Ok(answer)
    }

    fn look(&self, facts: &Facts) -> LookResult {
        let answer = self.ask(facts)?;
        let url = self.url.as_str();
        let (head, body) = split(&answer);
        let Some(status) = status(&head) else {
            let found = if answer.is_empty() { "no answer" } else { "an answer that is no HTTP" };
            let place = self.socket.clone().unwrap_or_else(|| self.peer.shown());
            return fail!("{}", found; "look at what listens at {}", &place);
        };
        let shown = fill!("status {}", &status.to_string());
        if !self.status.iter().any(|(low, high)| (*low..=*high).contains(&status)) {
            let to = header(&head, "location").map_or_else(String::new, |to| fill!(" to {}", &quoted(to)));
            return fail!("{}{}", &shown, &to; "mend what {} reports, or correct status", url);
        }
        let body = body.unwrap_or_default();
        let body = if header(&head, "transfer-encoding").is_some() { joined(body) } else { body.to_vec() };
        if let Some(text) = self.contains.iter().find(|text| !holds(&body, text.as_bytes())) {
            return fail!("{} without {}", &shown, &quoted(text); "mend what {} answers", url);
        }
        held!("{}", &shown; &status.to_string())
    }
}

/// Head and body of an answer, past those that only say that it is under way (100, 103). No body: the head is not
/// all there.
fn split(mut answer: &[u8]) -> (String, Option<&[u8]>) {
    loop {
        let end = answer.windows(4).position(|part| part == b"\r\n\r\n");
        let (head, rest) = answer.split_at(end.unwrap_or(answer.len()));
        let head = String::from_utf8_lossy(head).into_owned();
        let body = rest.get(4..);
        match body {
            // 101 is the last that is said in HTTP.
            Some(next) if matches!(status(&head), Some(100 | 102..=199)) => answer = next,
            _ => return (head, body),
        }
    }
}

/// The status in the first line of a head; `None`: that is no HTTP.
fn status(head: &str) -> Option<u16> {
    head.lines().next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()
}

/// Whether an answer has no body whatever its headers say (RFC 9112, section 6.3).
fn is_bodiless(status: Option<u16>) -> bool {
    matches!(status, Some(100..=199 | 204 | 304))
}

/// The value of a header.
fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// A body that was sent in chunks, in one piece; up to where it stops to be one.
fn joined(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = chunks.iter().position(|b| *b == b'\n') {
        let (line, rest) = chunks.split_at(end + 1);
        let line = std::str::from_utf8(line).unwrap_or_default();
        let size = line.split(';').next().unwrap_or_default().trim();
        let Ok(size) = usize::from_str_radix(size, 16) else { break };
        if size == 0 {
            break;
        }
        let (chunk, rest) = rest.split_at(size.min(rest.len()));
        body.extend_from_slice(chunk);
        chunks = rest.strip_prefix(b"\r\n").unwrap_or(rest);
    }
    body
}

#[cfg(test)]
mod tests {
    use super::super::http::*;
    use crate::checks::Finding;
    use crate::checks::facts::fake::Fake;
    use crate::checks::read::testing::{fault, one};
    use std::rc::Rc;

    fn ask(text: &str, answer: &str) -> (Finding, String) {
        let sent = Rc::default();
        let fake = Fake {
            names: [("web".to_string(), "10.0.0.5".parse().expect("ip"))].into(),
            answers: vec!["10.0.0.5:80".parse().expect("address"), "10.0.0.5:81".parse().expect("address")],
            answer: answer.into(),
            sent: Rc::clone(&sent),
            ..Fake::default()
        };
        let finding = one(text).spec.evaluate(&fake.facts(&[]));
        (finding, sent.take())
    }

    #[test]
    fn the_request_is_as_the_keys_say() {
        let ok = "HTTP/1.1 200 OK\r\n\r\n";
        let (finding, sent) = ask("[checks.http.\"http://web/a?token=x#top\"]", ok);
        assert_eq!((finding.ok, finding.found.as_str()), (true, "status 200"));
        assert_eq!(
            sent,
            "GET /a?token=x HTTP/1.1\r\nHost: web\r\nUser-Agent: rinit\r\nConnection: close\r\n\r\n"
        );
        let (_, sent) = ask(
            "[checks.http.x]\nurl = \"http://web:81\"\nmethod = \"POST\"\nheaders = { X-Key = \"${SET}\" }",
            ok,
        );
        assert!(sent.starts_with("POST / HTTP/1.1\r\nHost: web:81\r\n"), "{sent}");
        assert!(sent.ends_with("Content-Length: 0\r\nX-Key: set\r\n\r\n"), "{sent}");
        assert_eq!(one("[checks.http.\"http://web/a?token=x\"]").spec.subject, "http http://web/a");
    }

    #[test]
    fn the_answer_is_judged() {
        for (keys, answer, ok, found) in [
            ("", "HTTP/1.0 204 No Content\r\n\r\n", true, "status 204"),
            ("", "HTTP/1.1 503 Busy\r\n\r\n", false, "status 503"),
            ("", "HTTP/1.1 302 F\r\nLocation: /login\r\n\r\n", false, "status 302 to \"/login\""),
            ("status = [200, \"300-399\"]", "HTTP/1.1 302 F\r\n\r\n", true, "status 302"),
            ("status = 401", "HTTP/1.1 200 OK\r\n\r\n", false, "status 200"),
            ("contains = \"up\"", "HTTP/1.1 200 OK\r\n\r\nall up", true, "status 200"),
            ("contains = \"up\"", "HTTP/1.1 200 up\r\n\r\ndown", false, "status 200 without \"up\""),
            (
                "contains = \"all up\"",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x=1\r\nall \r\n2\r\nup\r\n0\r\n\r\n",
                true,
                "status 200",
            ),
            ("", "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", true, "status 200"),
            ("", "", false, "no answer"),
            ("", "SSH-2.0-OpenSSH\r\n", false, "an answer that is no HTTP"),
        ] {
            let (finding, _) = ask(&format!("[checks.http.\"http://web/\"]\n{keys}"), answer);
            assert_eq!((finding.ok, finding.found.as_str()), (ok, found), "{keys} {answer}");
        }
        let (refused, _) = ask("[checks.http.\"http://web:82/\"]", "");
        assert_eq!(refused.found, "no answer from 10.0.0.5: connection refused");
    }

    #[test]
    fn what_cannot_be_asked_is_a_fault() {
        for (keys, part) in [
            ("url = \"https://web/\"", "[checks.tcp]"),
            ("url = \"web/\"", "http://host:8080/health"),
            ("url = \"http://me:secret@web/\"", "Authorization"),
            ("url = \"http://web/a b\"", "is no URL"),
            ("url = \"http:///\"", "is no URL"),
            ("method = \"get\"", "is no method"),
            ("method = \"HEAD\"\ncontains = \"x\"", "HEAD does not give"),
            ("contains = []", "asserts nothing"),
            ("contains = [\"up\", \"\"]", "asserts nothing"),
            ("status = []", "asserts nothing"),
            ("status = 700", "is no status"),
            ("status = \"299-200\"", "is no status"),
            ("headers = { A = \"x\\r\\nB: y\" }", "no header"),
            ("headers = { A = 1 }", "expected a string"),
            ("timeout = \"0s\"", "is zero"),
            ("unix = \"run/s\"", "is no absolute path"),
        ] {
            let message = fault(&format!("[checks.http.\"http://web/\"]\n{keys}"));
            assert!(message.contains(part), "{keys}: {message}");
        }
    }

    /// A 204 of a server that keeps the connection open was waited for until the timeout, as was every HEAD.
    #[test]
    fn the_end_of_an_answer_is_known() {
        let http = |request: &str, contains: &[&str]| Http {
            peer: Peer { host: String::new(), port: 80 },
            socket: None,
            url: String::new(),
            request: request.into(),
            status: Vec::new(),
            contains: contains.iter().map(ToString::to_string).collect(),
            timeout: TIMEOUT,
        };
        for (request, answer, whole) in [
            ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", true),
            ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na", false),
            ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", false),
            ("GET", "HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n", true),
            ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", true),
            ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", false),
            ("GET", "HTTP/1.1 200 OK\r\n\r\nab", false),
            ("GET", "HTTP/1.1 204 No Content\r\n\r\n", true),
            ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", true),
            ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n", false),
            ("GET", "HTTP/1.1 101 Switching Protocols\r\n\r\n", true),
            ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", true),
            ("HEAD", "HTTP/1.1 200 OK\r\n\r\n", true),
            ("GET", "HTTP/1.1 100 Continue\r\n\r\n", false),
            ("GET", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 None\r\n\r\n", true),
            ("GET", "", false),
        ] {
            assert_eq!(http(request, &["a"]).whole(answer.as_bytes()), whole, "{request} {answer}");
        }
        // Where no content is asked for, the head is all that matters.
        for (answer, whole) in [
            ("HTTP/1.1 200 OK\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na", true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", false),
        ] {
            assert_eq!(http("GET", &[]).whole(answer.as_bytes()), whole, "{answer}");
        }
    }

    #[test]
    fn chunks_may_break_off() {
        for (text, want) in [("5\r\nab", "ab"), ("zz\r\n", ""), ("", ""), ("ffffffffffffffff\r\na", "a")] {
            assert_eq!(joined(text.as_bytes()), want.as_bytes());
        }
    }
}
