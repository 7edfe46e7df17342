//! `[control] http`: endpoints for Kubernetes, load balancers and Prometheus, served by a helper process that is an
//! ordinary, read-only client of the control socket.

use super::client::CtlClient;
use super::{CtlError, health, metrics, status};
use crate::sys::net::http_server;
use crate::text::template::fill;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Below kubelet's default of one second.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(800);

const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Serves forever, with answers from the rinit at this socket.
pub fn serve(listener: OwnedFd, socket: &str) -> ! {
    http_server::serve(listener, &mut |head| respond(head, &|page, open| look(socket, page, open)))
}

/// An endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum HttpPage {
    Alive,
    Ready,
    Metrics,
    Status,
}

/// A response: status, content type, body.
type HttpAnswer = (u16, &'static str, String);

fn look(socket: &str, page: HttpPage, open: bool) -> HttpAnswer {
    asked(socket, page, open).unwrap_or_else(|error| (503, TEXT, fill!("{}\n", error.text)))
}

fn asked(socket: &str, page: HttpPage, open: bool) -> Result<HttpAnswer, CtlError> {
    let mut client = CtlClient::connect(Some(socket), Some(ANSWER_TIMEOUT))?;
    Ok(match page {
        HttpPage::Alive => {
            client.ask("version", &[], "", &mut |_| {})?;
            (200, TEXT, "alive\n".into())
        }
        HttpPage::Ready => {
            let (rows, last) = client.services(&[])?;
            let faults = health::faults(&rows, &last, &[]);
            if faults.is_empty() {
                (200, TEXT, "ready\n".into())
            } else {
                (503, TEXT, faults.join("\n") + "\n")
            }
        }
        HttpPage::Metrics => {
            (200, if open { OPEN_METRICS } else { PROMETHEUS }, metrics::of(&mut client, open)?)
        }
        HttpPage::Status => {
            let (rows, last) = client.services(&[])?;
            (200, "application/json", status::json(&rows, &last))
        }
    })
}

/// Returns the bytes of the response to a request.
fn respond(head: Option<&str>, look: &dyn Fn(HttpPage, bool) -> HttpAnswer) -> Vec<u8> {
    let Some(head) = head else { return response(431, TEXT, "the request is too long\n", true) };
    let mut words = head.lines().next().unwrap_or_default().split(' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    let is_http = version.is_some_and(|version| version.starts_with("HTTP/1.")) && words.next().is_none();
    let Some(target) = target.filter(|_| is_http) else {
        return response(400, TEXT, "no HTTP\n", true);
    };
    let with_body = method != Some("HEAD");
    if !matches!(method, Some("GET" | "HEAD")) {
        return response(405, TEXT, "only GET and HEAD\n", true);
    }
    let page = match target.split(['?', '#']).next().unwrap_or_default() {
        "/alive" => HttpPage::Alive,
        "/ready" => HttpPage::Ready,
        "/metrics" => HttpPage::Metrics,
        "/status" => HttpPage::Status,
        _ => return response(404, TEXT, "/alive /ready /metrics /status\n", with_body),
    };
    let accepts = |line: &str| {
        let (name, value) = line.split_once(':').unwrap_or_default();
        name.eq_ignore_ascii_case("accept") && value.contains("application/openmetrics-text")
    };
    let (status, kind, body) = look(page, head.lines().skip(1).any(accepts));
    response(status, kind, &body, with_body)
}

fn response(status: u16, kind: &str, body: &str, with_body: bool) -> Vec<u8> {
    let reason = match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        431 => "Request Header Fields Too Large",
        _ => "Service Unavailable",
    };
    let allow = if status == 405 { "Allow: GET, HEAD\r\n" } else { "" };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{allow}\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    );
    [head.as_str(), if with_body { body } else { "" }].concat().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::http::*;

    fn ask(head: Option<&str>) -> String {
        let look = |page, open| (200, TEXT, format!("{page:?} {open}\n"));
        String::from_utf8(respond(head, &look)).expect("text")
    }

    #[test]
    fn requests_are_read_strictly_and_answered_once() {
        for (head, status, end) in [
            ("GET /alive HTTP/1.1\r\nHost: x\r\n\r\n", "200", "Alive false\n"),
            ("GET /ready?x=1 HTTP/1.0\r\n\r\n", "200", "Ready false\n"),
            ("HEAD /status HTTP/1.1\r\n\r\n", "200", "close\r\n\r\n"),
            (
                "GET /metrics HTTP/1.1\r\nACCEPT: text/plain, application/openmetrics-text;q=1\r\n\r\n",
                "200",
                "Metrics true\n",
            ),
            ("GET / HTTP/1.1\r\n\r\n", "404", "/status\n"),
            ("HEAD / HTTP/1.1\r\n\r\n", "404", "close\r\n\r\n"),
            ("POST /alive HTTP/1.1\r\n\r\n", "405", "HEAD\n"),
            ("GET /alive\r\n\r\n", "400", "HTTP\n"),
            ("\r\n\r\n", "400", "HTTP\n"),
        ] {
            let answer = ask(Some(head));
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.ends_with(end),
                "{head}\n{answer}"
            );
            assert!(answer.contains("\r\nConnection: close\r\n"));
        }
        assert!(ask(None).starts_with("HTTP/1.1 431 "));
        let head = ask(Some("HEAD /status HTTP/1.1\r\n\r\n"));
        assert!(head.contains("Content-Length: 13\r\n"), "{head}");
    }

    #[test]
    fn who_finds_no_rinit_says_so() {
        let (status, _, body) = look("@rinit-nobody-listens-here", HttpPage::Alive, false);
        assert!(status == 503 && body.contains("@rinit-nobody-listens-here"), "{body}");
    }
}
