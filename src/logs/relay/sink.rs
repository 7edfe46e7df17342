//! Where the relay writes: the container's output, or a file.

use crate::model::Moment;
use crate::sys::Errno;
use crate::sys::fs::pipe;
use std::collections::VecDeque;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

/// A write of so many bytes to a pipe is never mixed with another's (PIPE_BUF).
pub const ATOMIC: usize = 4096;

/// What became of a write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Written {
    /// All of it is out, or is lost for good.
    All,
    /// So much of it is, and the rest has to wait.
    Part(usize),
    /// Nothing; the sink waits for its reader, or for better times.
    Nothing,
}

/// What a source is owed when the rest of a write is out: so many of its bytes are done.
#[derive(Clone, Copy)]
pub struct Owed {
    pub source: usize,
    pub bytes: usize,
}

pub struct Sink {
    pub kind: SinkKind,
    /// Begins with the rest of what was written in part.
    pub rest: Vec<u8>,
    pub owed: Option<Owed>,
    /// Whose line has no end yet.
    pub half_line: Option<usize>,
    /// Sources that wait for this.
    pub parked: VecDeque<usize>,
    pub is_blocked: bool,
    /// What writing it failed with, told once.
    pub failed: Option<Errno>,
    /// The failure that was told.
    pub told: Option<Errno>,
    /// Bytes that nobody reads any more.
    pub dropped: u64,
}

pub enum SinkKind {
    /// Standard output or error.
    Stream {
        /// 0 or 1.
        stream: usize,
        fd: RawFd,
        /// A description of the relay's own, on which nothing waits.
        own: Option<OwnedFd>,
        is_terminal: bool,
    },
    File(LogFileSink),
}

/// A log file.
#[derive(Default)]
pub struct LogFileSink {
    pub path: String,
    pub max_size: Option<u64>,
    pub max_file: u32,
    pub fd: Option<OwnedFd>,
    pub size: u64,
    /// An answer of the opener is awaited.
    pub is_asked: bool,
    /// What is awaited is a rotation.
    pub is_rotating: bool,
    /// It is to be opened once more: the file has been moved since it was asked for, or could not be opened anew.
    pub is_stale: bool,
    /// Not before then is it tried again.
    pub retry_at: Option<Moment>,
    /// After it could not be rotated or opened anew it goes on in the old file until then.
    pub no_rotation_until: Option<Moment>,
}

impl Sink {
    pub fn new(kind: SinkKind) -> Self {
        Self {
            kind,
            rest: Vec::new(),
            owed: None,
            half_line: None,
            parked: VecDeque::new(),
            is_blocked: false,
            failed: None,
            told: None,
            dropped: 0,
        }
    }

    /// Whether it is a file that there is no descriptor of, or one that is just being rotated.
    pub fn is_opening(&self) -> bool {
        matches!(&self.kind, SinkKind::File(file) if file.is_asked || file.fd.is_none())
    }

    pub fn is_terminal(&self) -> bool {
        matches!(self.kind, SinkKind::Stream { is_terminal: true, .. })
    }

    /// Writes as much as there is room for.
    pub fn write(&mut self, bytes: &[u8]) -> Written {
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            let written = match &mut self.kind {
                SinkKind::Stream { fd, own, .. } => write_stream(*fd, own.as_ref(), rest),
                SinkKind::File(file) => file.write(rest),
            };
            match written {
                Ok(count) => {
                    done += count;
                    if self.failed.is_some() && matches!(self.kind, SinkKind::File(_)) {
                        self.failed = None;
                    }
                }
                Err(Errno::EAGAIN) => {
                    self.is_blocked = true;
                    return if done == 0 { Written::Nothing } else { Written::Part(done) };
                }
                Err(errno) if matches!(self.kind, SinkKind::File(_)) => {
                    self.failed = Some(errno);
                    self.is_blocked = true;
                    return if done == 0 { Written::Nothing } else { Written::Part(done) };
                }
                // Nobody reads it, and nobody ever will: services must not die, or stand still, of that.
                Err(errno) => {
                    self.failed = Some(errno);
                    self.dropped += u64::try_from(rest.len()).unwrap_or(0);
                    return Written::All;
                }
            }
        }
        Written::All
    }
}

fn write_stream(fd: RawFd, own: Option<&OwnedFd>, rest: &[u8]) -> Result<usize, Errno> {
    match own {
        Some(own) => pipe::write(own.as_raw_fd(), rest),
        // A description that others have too: never more than there is room for.
        None if pipe::has_room(fd) => pipe::write(fd, rest.get(..ATOMIC).unwrap_or(rest)),
        None => Err(Errno::EAGAIN),
    }
}

impl LogFileSink {
    fn write(&mut self, rest: &[u8]) -> Result<usize, Errno> {
        let Some(fd) = &self.fd else { return Err(Errno::EAGAIN) };
        let count = pipe::write(fd.as_raw_fd(), rest)?;
        self.size += u64::try_from(count).unwrap_or(0);
        Ok(count)
    }
}
