//! The layout of the memory that PID 1 and the relay share. It survives a killed relay for the next one.
//!
//! All numbers are 8-byte words in native byte order. First a header page: per stream (standard output, standard
//! error) [`HALF_LINE`] tells whether a line was begun there and not ended, and [`TORN`] whether a write is in
//! progress that may be cut; then the progress of orders to reopen log files. Then one slot per relayed service: its
//! words, and a ring of [`RING`] bytes with the end of its output. Byte number N of the output is at N modulo
//! [`RING`]; [`RING_END`] is the number of the next byte, and [`RING_BEGUN`] the same before it is written: a reader
//! whose bytes lie between the two knows that they may be torn.

/// The size of the header.
pub const HEADER: usize = 4096;
/// In the header: non-zero if the last line of the stream is incomplete.
pub const HALF_LINE: usize = 8;
/// In the header: non-zero while a write of several parts is in progress.
pub const TORN: usize = 24;
/// In the header: the number of orders to reopen all log files, set by PID 1.
pub const REOPENS: usize = 40;
/// In the header: the number of these orders that are completed.
pub const REOPENED: usize = 48;
/// In the header: the number of files that could not be opened by the last of them.
pub const UNOPENED: usize = 56;

/// How many bytes of a service's output are kept.
pub const RING: usize = 4096;
/// How many ends of runs are remembered.
pub const MARKS: u64 = 32;
/// The size of a slot: its words and its ring.
pub const SLOT: usize = WORDS + RING;
/// The offset of the ring in a slot.
pub const WORDS: usize = MARKS_AT + 2 * STREAM_MARKS;

/// The pid of the running process, set by PID 1.
pub const PID: usize = 0;
/// The number of ended runs, set by PID 1.
pub const ENDED: usize = 8;
/// The number of runs whose output is written completely.
pub const FLUSHED: usize = 16;
/// See the module documentation.
pub const RING_BEGUN: usize = 24;
/// See the module documentation.
pub const RING_END: usize = 32;
/// The number of lines written.
pub const LINES: usize = 40;
/// The number of bytes consumed from the service.
pub const BYTES: usize = 48;
/// The number of bytes lost.
pub const DROPPED: usize = 56;

/// The last run in whose output the pattern of its healthcheck was seen, counted from 1.
pub const SEEN: usize = 128;

/// Per stream: the position up to which output may have begun.
#[must_use]
pub fn begun(stream: usize) -> usize {
    64 + stream * 32
}

/// Per stream: the position up to which everything is written and consumed from the pipe.
#[must_use]
pub fn taken(stream: usize) -> usize {
    72 + stream * 32
}

/// Per stream: non-zero while bytes are being consumed.
#[must_use]
pub fn taking(stream: usize) -> usize {
    80 + stream * 32
}

/// Of a stream: how many bytes the relay has taken from the pipe and not written out yet. Not 0 only where the kernel
/// refuses tee(2), so that a pipe cannot be peeked into.
#[must_use]
pub fn held(stream: usize) -> usize {
    88 + stream * 32
}

/// The offset of the first stream's marks in a slot.
const MARKS_AT: usize = 0x88;
/// The bytes of one stream's marks.
const STREAM_MARKS: usize = 8 * MARKS as usize;

/// Per stream: the position at which this run ended.
#[must_use]
pub fn mark(stream: usize, run: u64) -> usize {
    MARKS_AT + stream * STREAM_MARKS + usize::try_from(run % MARKS).unwrap_or(0) * 8
}

/// Returns the offset of a relayed service's slot.
#[must_use]
pub fn slot(channel: usize) -> usize {
    HEADER + channel * SLOT
}

/// Returns the offsets of a service's counters: lines, bytes, lost bytes.
#[must_use]
pub fn counters(channel: usize) -> [usize; 3] {
    [LINES, BYTES, DROPPED].map(|at| slot(channel) + at)
}

/// Returns the parts of a ring that hold `count` bytes from number `from` on: offset and length.
#[must_use]
pub fn ring_parts(from: u64, count: usize) -> [(usize, usize); 2] {
    let at = usize::try_from(from % RING as u64).unwrap_or(0);
    let first = count.min(RING - at);
    [(WORDS + at, first), (WORDS, count - first)]
}
