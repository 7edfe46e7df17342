//! The relay's destinations: the container's output, or a file.

use crate::model::Moment;
use crate::sys::Errno;
use crate::sys::fs::pipe;
use std::collections::VecDeque;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

/// Writes to a pipe up to this size are atomic (PIPE_BUF).
pub const ATOMIC: usize = 4096;

/// The result of a write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Written {
    /// Everything is written, or lost for good.
    All,
    /// This many bytes are written; the rest must wait.
    Part(usize),
    /// Nothing; the sink waits for its reader, or for a retry.
    Nothing,
}

/// The accounting that is due when the rest of a partial write is out: so many bytes of the source are done.
#[derive(Clone, Copy)]
pub struct Owed {
    pub source: usize,
    pub bytes: usize,
}

pub struct Sink {
    pub kind: SinkKind,
    /// The rest of a partial write, which goes first.
    pub rest: Vec<u8>,
    pub owed: Option<Owed>,
    /// The source whose line is incomplete.
    pub half_line: Option<usize>,
    /// Sources that wait for this sink.
    pub parked: VecDeque<usize>,
    pub is_blocked: bool,
    /// The current error, reported once.
    pub failed: Option<Errno>,
    /// The error that was reported.
    pub told: Option<Errno>,
    /// Bytes lost because there is no reader.
    pub dropped: u64,
}

pub enum SinkKind {
    /// Standard output or error.
    Stream {
        /// 0 or 1.
        stream: usize,
        fd: RawFd,
        /// A non-blocking open file description of the relay's own.
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
    /// A reply of the opener is pending.
    pub is_asked: bool,
    /// The pending reply is for a rotation.
    pub is_rotating: bool,
    /// It must be reopened: the file was moved since the request, or reopening failed.
    pub is_stale: bool,
    /// Do not retry before this time.
    pub retry_at: Option<Moment>,
    /// After a failed rotation or reopening, keep writing to the old file until this time.
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

    /// Returns whether it is a file that is not open, or is being rotated.
    pub fn is_opening(&self) -> bool {
        matches!(&self.kind, SinkKind::File(file) if file.is_asked || file.fd.is_none())
    }

    pub fn is_terminal(&self) -> bool {
        matches!(self.kind, SinkKind::Stream { is_terminal: true, .. })
    }

    /// Returns how much is written at once, up to a line's end, so that all of it is taken or nothing: as much as an empty
    /// pipe holds, else [`ATOMIC`].
    pub fn chunk_size(&self) -> usize {
        match &self.kind {
            SinkKind::Stream { own: Some(own), .. } if pipe::unread(own.as_raw_fd()) == 0 => {
                pipe::capacity(own.as_raw_fd()).max(ATOMIC)
            }
            _ => ATOMIC,
        }
    }

    /// Writes as much as fits.
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
                // There is no reader and never will be: services must neither die nor block because of that.
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
        // A shared description: never write more than fits.
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
