//! A small HTTP server for a helper process: one thread, one poll, all resources limited. Whatever clients do, the
//! next one is served: the oldest is dropped for it, and each has only a few seconds.

use crate::model::Moment;
use crate::sys::Errno;
use crate::sys::event::clock;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::time::Duration;

/// The maximum number of connections.
const MAX_CONNECTIONS: usize = 256;
/// The maximum size of a request head.
pub const MAX_HEAD_BYTES: usize = 8192;
/// How long a client may take to send its request, and again to read the response.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long further input of a client is discarded, so that it reads the response before a reset.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Listens on `HOST:PORT`, or with `:PORT` on all addresses, including IPv6 if available.
pub fn listen(address: &str) -> io::Result<OwnedFd> {
    let every = address.strip_prefix(':').and_then(|port| port.parse::<u16>().ok());
    if let Some(port) = every {
        return bound((Ipv6Addr::UNSPECIFIED, port).into())
            .or_else(|_| bound((IpAddr::V4(Ipv4Addr::UNSPECIFIED), port).into()));
    }
    let address = address.parse::<SocketAddr>().map_err(|_| io::ErrorKind::InvalidInput)?;
    bound(address)
}

fn bound(address: SocketAddr) -> io::Result<OwnedFd> {
    // The standard library sets SO_REUSEADDR and CLOEXEC, and keeps the system's IPV6_V6ONLY: off.
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener.into())
}

enum RequestPhase {
    /// Reading the request.
    Asking(Vec<u8>),
    /// Sending the response, and how much of it was sent.
    Answering(Vec<u8>, usize),
    /// Everything was sent.
    Draining,
}

struct Connection {
    stream: TcpStream,
    phase: RequestPhase,
    /// When it times out.
    until: Moment,
}

/// Serves forever. `answer` gets the request head, or `None` if it is too long, and returns the whole response.
pub fn serve(listener: OwnedFd, answer: &mut dyn FnMut(Option<&str>) -> Vec<u8>) -> ! {
    let listener = TcpListener::from(listener);
    let mut all: Vec<Connection> = Vec::new();
    loop {
        let mut set: Vec<libc::pollfd> = Vec::with_capacity(all.len() + 1);
        set.push(libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 });
        set.extend(all.iter().map(|one| {
            let events =
                if matches!(one.phase, RequestPhase::Answering(..)) { libc::POLLOUT } else { libc::POLLIN };
            libc::pollfd { fd: one.stream.as_raw_fd(), events, revents: 0 }
        }));
        let left =
            all.iter().map(|one| one.until).min().map(|until| clock::timespec(until.since(clock::now())));
        let left = left.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: entries and a timeout of ours.
        unsafe { libc::ppoll(set.as_mut_ptr(), set.len() as libc::nfds_t, left, std::ptr::null()) };
        let now = clock::now();
        let mut ready = set.iter().skip(1).map(|entry| entry.revents != 0);
        all.retain_mut(|one| {
            let is_ready = ready.next().unwrap_or(false);
            (!is_ready || go_on(one, now, answer)) && now < one.until
        });
        if set.first().is_some_and(|entry| entry.revents != 0) {
            accept(&listener, &mut all, now);
        }
    }
}

fn accept(listener: &TcpListener, all: &mut Vec<Connection>, now: Moment) {
    /// The maximum number of accepts before existing connections are served.
    const MAX_ACCEPTS: usize = 32;
    for _ in 0..MAX_ACCEPTS {
        match listener.accept() {
            Ok((stream, _)) => {
                if all.len() >= MAX_CONNECTIONS {
                    // Fast clients are answered at once, so the oldest is a slow one.
                    all.remove(0);
                }
                if stream.set_nonblocking(true).is_ok() {
                    all.push(Connection {
                        stream,
                        phase: RequestPhase::Asking(Vec::new()),
                        until: now.after(CLIENT_TIMEOUT),
                    });
                }
            }
            Err(error) if matches!(super::super::errno(&error), Errno::EMFILE | Errno::ENFILE) => {
                if all.is_empty() {
                    // No connection to drop: pause before the next attempt.
                    std::thread::sleep(Duration::from_millis(50));
                    return;
                }
                all.remove(0);
            }
            Err(_) => return,
        }
    }
}

/// Continues reading or writing; returns false when the connection is finished.
fn go_on(one: &mut Connection, now: Moment, answer: &mut dyn FnMut(Option<&str>) -> Vec<u8>) -> bool {
    let is_later =
        |error: &io::Error| matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted);
    let mut piece = [0u8; 4096];
    if let RequestPhase::Asking(head) = &mut one.phase {
        match one.stream.read(&mut piece) {
            Ok(0) => return false,
            Ok(count) => head.extend_from_slice(piece.get(..count).unwrap_or_default()),
            Err(error) => return is_later(&error),
        }
        let text = match end_of_head(head) {
            Some(end) => Some(String::from_utf8_lossy(head.get(..end).unwrap_or_default()).into_owned()),
            None if head.len() > MAX_HEAD_BYTES => None,
            None => return true,
        };
        one.phase = RequestPhase::Answering(answer(text.as_deref()), 0);
        one.until = clock::now().after(CLIENT_TIMEOUT);
    }
    if let RequestPhase::Answering(bytes, sent) = &mut one.phase {
        match one.stream.write(bytes.get(*sent..).unwrap_or_default()) {
            Ok(count) => *sent += count,
            Err(error) => return is_later(&error),
        }
        if *sent < bytes.len() {
            return true;
        }
        let _ = one.stream.shutdown(std::net::Shutdown::Write);
        (one.phase, one.until) = (RequestPhase::Draining, now.after(DRAIN_TIMEOUT));
    }
    match one.stream.read(&mut piece) {
        Ok(count) => count > 0,
        Err(error) => is_later(&error),
    }
}

/// Returns the index after the blank line that ends the head.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let long = bytes.windows(4).position(|part| part == b"\r\n\r\n").map(|at| at + 4);
    let short = bytes.windows(2).position(|part| part == b"\n\n").map(|at| at + 2);
    [long, short].into_iter().flatten().min().filter(|end| *end <= MAX_HEAD_BYTES)
}

/// Prepares the server process: keeps the first three descriptors and this one, drops all capabilities, sets its name,
/// and dies with its parent. Returns the descriptor's new number.
pub fn settle(listener: OwnedFd, name: &std::ffi::CStr, parent: crate::model::Pid) -> Option<OwnedFd> {
    const KEPT: libc::c_int = 3;
    // SAFETY: integers and a NUL-terminated string. This process's copy of descriptor 3 has no owner.
    unsafe {
        libc::prctl(libc::PR_SET_NAME, name.as_ptr());
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if libc::getppid() != parent {
            return None;
        }
        let raw = std::os::fd::IntoRawFd::into_raw_fd(listener);
        if raw != KEPT && libc::dup3(raw, KEPT, libc::O_CLOEXEC) != KEPT {
            return None;
        }
        if libc::syscall(libc::SYS_close_range, KEPT + 1, u32::MAX, 0) != 0 {
            for fd in KEPT + 1..crate::sys::process::descriptors::highest() {
                libc::close(fd);
            }
        }
        let _ = crate::sys::process::caps::drop_all();
        Some(OwnedFd::from_raw_fd(KEPT))
    }
}

#[cfg(test)]
mod tests {
    use super::super::http_server::*;

    #[test]
    fn a_head_ends_with_a_blank_line() {
        for (text, want) in [
            ("GET / HTTP/1.1\r\n\r\nbody", Some(18)),
            ("GET / HTTP/1.0\n\n", Some(16)),
            ("GET / HTTP/1.1\r\nHost: a\r\n", None),
            ("", None),
        ] {
            assert_eq!(end_of_head(text.as_bytes()), want, "{text:?}");
        }
        assert_eq!(end_of_head(["x".repeat(MAX_HEAD_BYTES).as_str(), "\n\n"].concat().as_bytes()), None);
    }

    /// Listening on all addresses also works without IPv6, and a port in use is reported.
    #[test]
    fn an_address_is_one_or_all() {
        assert!(listen(":0").is_ok() && listen("127.0.0.1:0").is_ok());
        for wrong in ["", "8081", "localhost", ":99999", "127.0.0.1"] {
            assert!(listen(wrong).is_err(), "{wrong}");
        }
    }
}
