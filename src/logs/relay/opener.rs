//! Opens and rotates log files for the unprivileged relay, in a helper process with rinit's rights; that helper may
//! hang (a file system that does not respond) without delaying any line.

use crate::sys::Errno;
use crate::sys::fs::logfile;
use crate::sys::net::pair;
use crate::sys::process::aside;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

/// A request for a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileOrder {
    /// Open or create it.
    Open,
    /// Rotate it and create a new one.
    Rotate,
}

/// The reply.
pub struct Opened {
    /// The sink that asked.
    pub sink: usize,
    /// The file.
    pub fd: Result<OwnedFd, Errno>,
}

const HEADER: usize = 9;

/// Starts the process; returns the relay's end of its socket.
pub fn start(keep: &[RawFd]) -> Result<OwnedFd, Errno> {
    let (ours, theirs) = pair::pair()?;
    aside::fork(|| {
        let mut kept = keep.to_vec();
        kept.push(theirs.as_raw_fd());
        aside::keep_only(&mut kept);
        serve(&theirs);
        0
    })?;
    Ok(ours)
}

/// Requests a file.
pub fn ask(socket: RawFd, sink: usize, order: FileOrder, path: &str, max_file: u32) -> Result<(), Errno> {
    let mut message = Vec::with_capacity(HEADER + path.len());
    message.push(u8::from(order == FileOrder::Rotate));
    message.extend_from_slice(&u32::try_from(sink).unwrap_or(0).to_ne_bytes());
    message.extend_from_slice(&max_file.to_ne_bytes());
    message.extend_from_slice(path.as_bytes());
    pair::send(socket, &message, None)
}

/// Takes a reply, if one has arrived; EAGAIN: none yet, `EPIPE`: the opener has died.
pub fn answer(socket: RawFd) -> Result<Opened, Errno> {
    let mut message = [0; 8];
    let Some((_, fd)) = pair::receive(socket, &mut message, false)? else { return Err(Errno::EPIPE) };
    let [s, i, n, k, e, r, o, x] = message;
    let errno = Errno::from_raw(i32::from_ne_bytes([e, r, o, x]));
    let sink = usize::try_from(u32::from_ne_bytes([s, i, n, k])).unwrap_or(usize::MAX);
    Ok(Opened { sink, fd: fd.ok_or(errno) })
}

fn serve(socket: &OwnedFd) {
    let mut message = [0; HEADER + 4096];
    while let Ok(Some((count, _))) = pair::receive(socket.as_raw_fd(), &mut message, true) {
        let Some(&[rotate, s, i, n, k, m, a, x, f]) = message.first_chunk::<HEADER>() else { return };
        let path = message.get(HEADER..count).and_then(|path| std::str::from_utf8(path).ok());
        let max_file = u32::from_ne_bytes([m, a, x, f]);
        let done = match (path, rotate) {
            (None, _) => Err(Errno::EINVAL),
            (Some(path), 0) => logfile::open(path, false),
            (Some(path), _) => logfile::rotate(path, max_file),
        };
        let errno = done.as_ref().err().map_or(0, |errno| *errno as i32);
        let mut answer = [s, i, n, k, 0, 0, 0, 0];
        for (place, byte) in answer.iter_mut().skip(4).zip(errno.to_ne_bytes()) {
            *place = byte;
        }
        if pair::send(socket.as_raw_fd(), &answer, done.ok().as_ref().map(|fd: &OwnedFd| fd.as_raw_fd()))
            .is_err()
        {
            return;
        }
    }
}
