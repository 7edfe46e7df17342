//! One request and response with a peer that may be slow, silent or endless.

use crate::model::Moment;
use crate::sys::event::clock;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The maximum size of a response.
const MAX_RESPONSE_BYTES: usize = 1 << 20;

/// Sends a request and reads until `whole` accepts the response, the peer closes, the time is up, or the limit is
/// reached.
pub fn exchange(
    address: SocketAddr,
    request: &[u8],
    patience: Duration,
    whole: &dyn Fn(&[u8]) -> bool,
) -> io::Result<Vec<u8>> {
    let until = clock::now().after(patience);
    converse(TcpStream::connect_timeout(&address, patience)?, request, until, whole)
}

/// The same by a Unix socket.
pub fn exchange_unix(
    path: &str,
    request: &[u8],
    patience: Duration,
    whole: &dyn Fn(&[u8]) -> bool,
) -> io::Result<Vec<u8>> {
    let until = clock::now().after(patience);
    // Reading, writing and time limits are the same system calls.
    converse(TcpStream::from(OwnedFd::from(UnixStream::connect(path)?)), request, until, whole)
}

fn converse(
    mut stream: TcpStream,
    request: &[u8],
    until: Moment,
    whole: &dyn Fn(&[u8]) -> bool,
) -> io::Result<Vec<u8>> {
    let patience = until.since(clock::now()).max(Duration::from_millis(1));
    stream.set_write_timeout(Some(patience))?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    let mut piece = [0u8; 4096];
    loop {
        let left = until.since(clock::now());
        if left.is_zero() || answer.len() > MAX_RESPONSE_BYTES || whole(&answer) {
            return Ok(answer);
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut piece) {
            Ok(0) => return Ok(answer),
            Ok(count) => answer.extend_from_slice(piece.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A partial response may be enough.
            Err(error) => return if answer.is_empty() { Err(error) } else { Ok(answer) },
        }
    }
}

/// Returns whether a Unix socket accepts connections; closes the connection at once.
pub fn connect_unix(path: &str) -> io::Result<()> {
    UnixStream::connect(path).map(drop)
}

#[cfg(test)]
mod tests {
    use super::super::exchange::*;
    use std::net::TcpListener;

    #[test]
    fn an_answer_ends_with_the_connection_or_the_time() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = std::thread::spawn(move || {
            let (mut one, _) = listener.accept().expect("a client");
            let mut got = [0u8; 2];
            one.read_exact(&mut got).expect("a request");
            one.write_all(b"bye").expect("an answer");
            drop(one);
            let (mut other, _) = listener.accept().expect("a client");
            other.write_all(b"part").expect("an answer");
            let (mut last, _) = listener.accept().expect("a client");
            last.write_all(b"part").expect("an answer");
            (got, other, last)
        });
        let ask = |patience, enough: usize| exchange(address, b"hi", patience, &|got| got.len() >= enough);
        assert_eq!(ask(Duration::from_secs(5), 100).expect("an answer"), b"bye");
        assert_eq!(ask(Duration::from_millis(100), 100).expect("a part"), b"part");
        assert_eq!(ask(Duration::from_hours(1), 4).expect("all that is wanted"), b"part");
        assert_eq!(&server.join().expect("no panic").0, b"hi");
        let path = std::env::temp_dir().join(format!("rinit-exchange-{}", std::process::id()));
        let listener = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
        let server = std::thread::spawn(move || {
            let (mut one, _) = listener.accept().expect("a client");
            one.write_all(b"bye").expect("an answer");
        });
        let answer =
            exchange_unix(path.to_str().expect("text"), b"hi", Duration::from_secs(5), &|got| got.len() > 2);
        std::fs::remove_file(&path).expect("the socket");
        server.join().expect("no panic");
        assert_eq!(answer.expect("an answer"), b"bye");
        let closed = ask(Duration::from_secs(1), 1).expect_err("nobody");
        assert_eq!(closed.kind(), io::ErrorKind::ConnectionRefused);
    }
}
