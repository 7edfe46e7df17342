//! `[checks.http]` against servers that keep the connection open: an answer is over when HTTP says so.

use crate::harness::Init;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

/// A server that answers every request with this and leaves the connection open.
fn keeps_open(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut clients = Vec::new();
        for mut client in listener.incoming().flatten() {
            let _ = client.read(&mut [0; 2048]);
            let _ = client.write_all(answer.as_bytes());
            clients.push(client);
        }
    });
    address
}

/// A check of a 204 passed only when its timeout was over, for a body was waited for that never comes. So did a HEAD,
/// and a stream of events.
#[test]
fn an_answer_without_a_body_passes_at_once() {
    for (keys, answer) in [
        ("status = 204", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("status = 304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n"),
        ("method = \"HEAD\"", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"),
        ("method = \"HEAD\"", "HTTP/1.1 200 OK\r\n\r\n"),
        ("", "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n"),
        ("", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("contains = \"up\"", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nup"),
    ] {
        let url = format!("http://{}/health", keeps_open(answer));
        let checks = format!("[checks.http.\"{url}\"]\ntimeout = \"60s\"\n{keys}");
        let begun = Instant::now();
        let ended = Init::config(&checks).args(&["--check"]).run().expect(0);
        assert!(begun.elapsed() < Duration::from_secs(20), "{keys} {answer}\n{}", ended.story());
    }
}

/// An answer that can have no content fails at once where one is asked for.
#[test]
fn an_answer_without_a_body_has_no_content() {
    let url = format!("http://{}/health", keeps_open("HTTP/1.1 204 No Content\r\n\r\n"));
    let checks = format!("[checks.http.\"{url}\"]\ntimeout = \"60s\"\ncontains = \"up\"");
    let begun = Instant::now();
    let ended = Init::config(&checks).args(&["--check"]).run().expect(69);
    assert!(ended.out.contains("status 204 without \"up\""), "{}", ended.story());
    assert!(begun.elapsed() < Duration::from_secs(20), "{}", ended.story());
}
