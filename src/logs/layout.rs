//! Where what lies in the memory that PID 1 and the relay share. A relay that is killed leaves it to the next one.
//!
//! All numbers are words of 8 bytes in the machine's order. A page of header: for standard output and error each, at
//! [`HALF_LINE`] whether a line was begun there and not ended, at [`TORN`] whether a write is under way that may be cut; and
//! how far the orders have come to open log files anew.
//! Then one slot for each relayed service: 32 words, and a ring of [`RING`] bytes with the end of what it wrote. The ring
//! is a byte string without beginning: its byte number N lies at N modulo [`RING`]; [`RING_END`] is the number of
//! the next one, and [`RING_BEGUN`] the same before it is written, so that a reader whose bytes lie between the two
//! knows that they may be torn.

/// What comes before the slots.
pub const HEADER: usize = 4096;
/// In the header: not 0 when the stream's last line has no end yet.
pub const HALF_LINE: usize = 8;
/// In the header: not 0 while a write of several parts is under way.
pub const TORN: usize = 24;
/// In the header: how often all log files were ordered to be opened anew, by PID 1.
pub const REOPENS: usize = 40;
/// In the header: of how many of these orders the files are open.
pub const REOPENED: usize = 48;
/// In the header: how many files could not be opened by the last of them.
pub const UNOPENED: usize = 56;

/// How much of a service's output is kept.
pub const RING: usize = 4096;
/// How many ends of runs are known at once.
pub const MARKS: u64 = 8;
/// A slot: its words, and its ring.
pub const SLOT: usize = WORDS + RING;
/// Where in a slot the ring begins.
pub const WORDS: usize = 256;

/// The process that runs, by PID 1.
pub const PID: usize = 0;
/// How many runs have ended, by PID 1.
pub const ENDED: usize = 8;
/// Of how many of them all has been written out.
pub const FLUSHED: usize = 16;
/// See above.
pub const RING_BEGUN: usize = 24;
/// See above.
pub const RING_END: usize = 32;
/// Lines that were written out.
pub const LINES: usize = 40;
/// Bytes that were taken from the service.
pub const BYTES: usize = 48;
/// Bytes that nobody could be given.
pub const DROPPED: usize = 56;

/// Of a stream: up to which byte an output may have begun.
#[must_use]
pub fn begun(stream: usize) -> usize {
    64 + stream * 32
}

/// Of a stream: up to which byte all is written out, and taken from the pipe.
#[must_use]
pub fn taken(stream: usize) -> usize {
    72 + stream * 32
}

/// Of a stream: whether bytes are being taken in this moment.
#[must_use]
pub fn taking(stream: usize) -> usize {
    80 + stream * 32
}

/// Where the marks of the first stream begin in a slot.
const MARKS_AT: usize = 0x80;

/// Of a stream: at which byte the run of this number ended.
#[must_use]
pub fn mark(stream: usize, run: u64) -> usize {
    MARKS_AT + stream * 64 + usize::try_from(run % MARKS).unwrap_or(0) * 8
}

/// Where the slot of a relayed service begins, by its number among them.
#[must_use]
pub fn slot(channel: usize) -> usize {
    HEADER + channel * SLOT
}

/// The parts of a ring that bytes from number `from` on lie in: where, and how many of them.
#[must_use]
pub fn ring_parts(from: u64, count: usize) -> [(usize, usize); 2] {
    let at = usize::try_from(from % RING as u64).unwrap_or(0);
    let first = count.min(RING - at);
    [(WORDS + at, first), (WORDS, count - first)]
}
