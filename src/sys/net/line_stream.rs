//! A line-based connection to a server on this machine.

use super::local::peer_of;
use crate::model::{Moment, Pid};
use crate::sys::Errno;
use crate::sys::event::clock;
use crate::text::gather::Gather;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::time::Duration;

/// The maximum line length; a longer line is not from rinit.
const MAX_LINE_BYTES: usize = 1 << 22;

/// A connection to a Unix socket.
#[derive(Debug)]
pub struct LineStream {
    fd: OwnedFd,
    /// Received data; not consumed from `next` on.
    buffer: Vec<u8>,
    next: usize,
}

impl LineStream {
    /// Connects to a path, or with a leading `@` to an abstract name, within `patience`.
    pub fn connect(name: &str, patience: Option<Duration>) -> io::Result<Self> {
        let (address, length) = address(name)?;
        // SAFETY: integers only.
        let raw =
            Errno::result(unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) })?;
        // SAFETY: `raw` was just opened and has no other owner.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        let stream = Self { fd, buffer: Vec::new(), next: 0 };
        if let Some(patience) = patience {
            // connect(2) also waits, up to this timeout, while the backlog is full.
            stream.set_send_timeout(patience);
        }
        // SAFETY: an address of ours and its length.
        let result = unsafe { libc::connect(stream.fd.as_raw_fd(), (&raw const address).cast(), length) };
        Errno::result(result)?;
        Ok(stream)
    }

    fn set_send_timeout(&self, patience: Duration) {
        let span = libc::timeval {
            tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
            tv_usec: i64::from(patience.subsec_micros()),
        };
        // SAFETY: a time of ours and its size.
        unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_SNDTIMEO,
                (&raw const span).cast(),
                size_of::<libc::timeval>() as libc::socklen_t,
            );
        }
    }

    /// Returns the uid of the listening process.
    #[must_use]
    pub fn peer_uid(&self) -> Option<u32> {
        peer_of(self.raw()).map(|who| who.uid)
    }

    /// Returns the pid of the listening process in this PID namespace; `None`: it is in another one.
    #[must_use]
    pub fn peer_pid(&self) -> Option<Pid> {
        peer_of(self.raw()).map(|who| who.pid).filter(|pid| *pid > 0)
    }

    /// Returns the descriptor, to wait for it.
    #[must_use]
    pub fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Sends everything. A closed peer is an error, never a signal.
    pub fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            // SAFETY: the bytes are borrowed for the call.
            let count =
                unsafe { libc::send(self.raw(), rest.as_ptr().cast(), rest.len(), libc::MSG_NOSIGNAL) };
            match Errno::result(count) {
                Ok(count) => rest = rest.get(count.unsigned_abs()..).unwrap_or_default(),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// Returns the next line without its end. `None`: the peer has closed. Past `until`: an error of the kind
    /// `TimedOut`.
    pub fn line(&mut self, until: Option<Moment>) -> io::Result<Option<String>> {
        let mut seen = self.next;
        loop {
            let new = self.buffer.get(seen..).unwrap_or_default();
            if let Some(at) = new.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.get(self.next..seen + at).unwrap_or_default();
                let line = String::from_utf8_lossy(line).into_owned();
                self.next = seen + at + 1;
                return Ok(Some(line));
            }
            self.buffer.drain(..self.next);
            self.next = 0;
            seen = self.buffer.len();
            if seen > MAX_LINE_BYTES {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if !readable(&[self.raw()], until)? {
                return Err(io::ErrorKind::TimedOut.into());
            }
            if crate::sys::process::fork::read_some(self.raw(), &mut self.buffer) == 0 {
                return Ok(None);
            }
        }
    }

    /// Returns whether a whole line is already buffered.
    #[must_use]
    pub fn has_line(&self) -> bool {
        self.buffer.get(self.next..).unwrap_or_default().contains(&b'\n')
    }
}

/// Waits until one of these is readable; returns false on timeout.
pub fn readable(fds: &[RawFd], until: Option<Moment>) -> io::Result<bool> {
    let entry = |fd: &RawFd| libc::pollfd { fd: *fd, events: libc::POLLIN, revents: 0 };
    let mut set: Vec<libc::pollfd> = fds.iter().map(entry).gather();
    loop {
        let left = until.map(|until| clock::timespec(until.since(clock::now())));
        let left = left.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: entries and a timeout of ours.
        let ready =
            unsafe { libc::ppoll(set.as_mut_ptr(), set.len() as libc::nfds_t, left, std::ptr::null()) };
        match Errno::result(ready) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn address(name: &str) -> io::Result<(libc::sockaddr_un, libc::socklen_t)> {
    // SAFETY: zero is a valid sockaddr_un.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    let is_abstract = name.starts_with('@');
    let room = address.sun_path.len() - usize::from(!is_abstract);
    if name.is_empty() || name.len() > room || name.contains('\0') {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (place, byte) in address.sun_path.iter_mut().zip(name.bytes()) {
        *place = byte as libc::c_char;
    }
    if let Some(first) = address.sun_path.first_mut().filter(|_| is_abstract) {
        *first = 0;
    }
    let length = std::mem::offset_of!(libc::sockaddr_un, sun_path) + name.len() + usize::from(!is_abstract);
    Ok((address, length as libc::socklen_t))
}

#[cfg(test)]
mod tests {
    use super::super::line_stream::*;
    use std::io::Write as _;
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixListener};

    #[test]
    fn lines_come_as_they_were_sent() {
        let name = format!("rinit-test-{}", std::process::id());
        let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).expect("a name"));
        let listener = listener.expect("a socket");
        let mut stream =
            LineStream::connect(&["@", &name].concat(), Some(Duration::from_secs(1))).expect("a server");
        let (mut server, _) = listener.accept().expect("a client");
        assert_eq!(stream.peer_uid(), Some(nix::unistd::geteuid().as_raw()));
        server.write_all(b"one\ntwo\nthr").expect("written");
        let soon = || Some(clock::now().after(Duration::from_millis(20)));
        assert_eq!(stream.line(None).expect("a line").as_deref(), Some("one"));
        assert!(stream.has_line());
        assert_eq!(stream.line(None).expect("a line").as_deref(), Some("two"));
        assert_eq!(stream.line(soon()).expect_err("no line").kind(), io::ErrorKind::TimedOut);
        server.write_all(b"ee\n").expect("written");
        assert_eq!(stream.line(soon()).expect("a line").as_deref(), Some("three"));
        drop(server);
        assert_eq!(stream.line(None).expect("the end"), None);
        assert!(stream.send(b"x").is_err());
    }

    #[test]
    fn a_name_that_does_not_fit_is_refused() {
        for name in ["", &"x".repeat(108), "a\0b"] {
            assert!(LineStream::connect(name, None).is_err());
        }
    }
}
