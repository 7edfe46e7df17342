//! One turn of one source: peek, write, consume.

use super::format::Text;
use super::sink::{ATOMIC, Owed, SinkKind, Written};
use super::{BATCH, MAX_PIECE, Relay, RelayedService, Style, layout, order};
use crate::sys::Errno;
use crate::sys::event::clock;
use crate::sys::fs::pipe;
use crate::sys::net::pair;
use crate::text::timestamp::rfc3339;
use std::os::fd::AsRawFd as _;

/// The state of one batch.
pub(super) struct Batch {
    number: usize,
    pub(super) source: RelayedService,
    /// Chunks are written at this size, at a line end.
    chunk_size: usize,
    pub(super) max_piece: usize,
    pub(super) is_terminal: bool,
    pub(super) time: Option<[u8; 27]>,
    /// Whether the next line continues one that was partly shown.
    pub(super) continues: bool,
    /// How many bytes have their lines in the chunk, and how many have them written.
    covered: usize,
    done: usize,
    lines: u64,
    /// Whether the sink has no room.
    is_blocked: bool,
}

/// A line in the input: the range of its text, whether it is complete, and the start of the next one.
struct Line {
    at: usize,
    to: usize,
    ends: bool,
    after: usize,
}

impl Relay<'_> {
    /// Relays up to one batch of a source; with `flush`, also an incomplete line. Returns whether there may be more.
    pub(super) fn pump(&mut self, number: usize, flush: bool) -> bool {
        let Some(source) = self.sources.get(number).copied() else { return false };
        if source.is_parked {
            return false;
        }
        if self
            .sinks
            .get(source.sink)
            .is_some_and(|sink| sink.is_blocked || !sink.rest.is_empty() || sink.is_opening())
        {
            self.park(number);
            return false;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut spans = std::mem::take(&mut self.spans);
        let count = self.look(number, &source, &mut buffer);
        let more = self.carry(number, source, buffer.get(..count).unwrap_or_default(), &mut spans, flush);
        self.buffer = buffer;
        self.spans = spans;
        more
    }

    /// Peeks at the pipe's content.
    fn look(&mut self, number: usize, source: &RelayedService, buffer: &mut [u8]) -> usize {
        if self.cannot_peek {
            return self.look_and_hold(number, source, buffer);
        }
        let count = match pipe::peek(source.fd, self.view.write.as_raw_fd(), BATCH) {
            Ok(count) => count,
            Err(Errno::EAGAIN) => return 0,
            Err(_) => {
                self.cannot_peek = true;
                return self.look_and_hold(number, source, buffer);
            }
        };
        let mut got = 0;
        while got < count {
            let Some(rest) = buffer.get_mut(got..count) else { break };
            match pipe::read(self.view.read.as_raw_fd(), rest) {
                0 => break,
                more => got += more,
            }
        }
        got
    }

    /// The same without tee(2): what is read is held until it is written out, and lost when the relay is killed. PID 1
    /// is told how much that is.
    fn look_and_hold(&mut self, number: usize, source: &RelayedService, buffer: &mut [u8]) -> usize {
        let Some(held) = self.held.get_mut(number) else { return 0 };
        let (known, rest) = buffer.split_at_mut(held.len().min(buffer.len()));
        known.copy_from_slice(held.get(..known.len()).unwrap_or_default());
        let slot = layout::slot(source.channel);
        let taking = slot + layout::taking(source.stream);
        self.memory.set_word(taking, 1);
        let count = pipe::read_available(source.fd, rest);
        held.extend_from_slice(rest.get(..count).unwrap_or_default());
        self.memory.set_word(slot + layout::held(source.stream), held.len() as u64);
        self.memory.set_word(taking, 0);
        held.len()
    }

    /// The first bytes of what is held of a source are written out.
    pub(super) fn drop_held(&mut self, source: &RelayedService, count: usize) {
        let Some(held) = self.held.get_mut(2 * source.channel + source.stream) else { return };
        held.drain(..count.min(held.len()));
        if held.is_empty() {
            *held = Vec::new();
        }
        let word = layout::slot(source.channel) + layout::held(source.stream);
        self.memory.set_word(word, held.len() as u64);
    }

    fn carry(
        &mut self,
        number: usize,
        source: RelayedService,
        bytes: &[u8],
        spans: &mut Vec<(usize, usize)>,
        flush: bool,
    ) -> bool {
        let slot = layout::slot(source.channel);
        let base = self.memory.word(slot + layout::taken(source.stream));
        let end = self.decided(&source, bytes, spans, base);
        let text = Text { bytes, spans };
        self.memory.set_word(slot + layout::begun(source.stream), base + end as u64);
        let mut batch = self.batch(number, source);
        let has_half = self.write_lines(&mut batch, &text, end, base, flush);
        self.write_chunk(&mut batch);
        self.commit(&batch, base, &text);
        if let Some(known) = self.sources.get_mut(number) {
            known.ended = batch.source.ended;
            known.half_since = match known.half_since {
                _ if !has_half || batch.is_blocked => None,
                Some(since) if batch.done == 0 => Some(since),
                _ => Some(clock::now()),
            };
            if known.half_since.is_some() && !self.halves.contains(&number) {
                self.halves.push(number);
            }
        }
        self.note_flushed(batch.source.channel);
        if batch.is_blocked {
            self.park(number);
            self.wait_for(batch.source.sink);
            return false;
        }
        batch.done > 0
    }

    /// Returns how many bytes may be shown already; finds the secrets in them.
    fn decided(
        &self,
        source: &RelayedService,
        bytes: &[u8],
        spans: &mut Vec<(usize, usize)>,
        base: u64,
    ) -> usize {
        spans.clear();
        let end = bytes.len();
        if self.mask.is_empty() {
            return end;
        }
        self.mask.find(bytes, spans);
        let ends = self.next_mark(source).is_some_and(|mark| mark <= base + end as u64);
        if ends || self.finishing.is_some() { end } else { self.mask.decided(bytes, spans) }
    }

    /// Writes the available lines, and ends the lines of ended runs. Returns whether an incomplete line is left.
    fn write_lines(
        &mut self,
        batch: &mut Batch,
        text: &Text<'_>,
        end: usize,
        base: u64,
        flush: bool,
    ) -> bool {
        let mut at = 0;
        while !batch.is_blocked {
            let mark = self.next_mark(&batch.source).map(|mark| mark.saturating_sub(base));
            let mark = mark.and_then(|mark| usize::try_from(mark).ok()).filter(|mark| *mark <= end);
            let stop = mark.map_or(end, |mark| mark.max(at));
            if at >= stop {
                if mark.is_none() {
                    return false;
                }
                self.end_half_line(batch);
                if !batch.is_blocked {
                    batch.source.ended += 1;
                }
                continue;
            }
            let line_end = text.line_end(at, stop);
            let ends = line_end.is_some() || mark.is_some() || self.finishing.is_some();
            let (to, after) = line_end.map_or((stop, stop), |found| (found, found + 1));
            let line = Line { at, to, ends, after };
            if !ends && !flush && to - at < batch.source.piece_at {
                return true;
            }
            self.look_for_pattern(&batch.source, text.bytes.get(at..to).unwrap_or_default());
            let reached = self.write_line(batch, text, &line, flush);
            if !ends && reached == at {
                return reached < end;
            }
            at = if ends { after } else { reached };
        }
        false
    }

    /// Tells rinit of the first line of a run that the service's healthcheck waits for.
    fn look_for_pattern(&mut self, source: &RelayedService, line: &[u8]) {
        let Some(Some(pattern)) = self.patterns.get(source.channel) else { return };
        let (word, run) = (layout::slot(source.channel) + layout::SEEN, source.ended + 1);
        if self.memory.word(word) != run && pattern.matches(&String::from_utf8_lossy(line)) {
            self.memory.set_word(word, run);
            let _ = pair::send(self.setup.control.as_raw_fd(), &[order::SEEN], None);
        }
    }

    fn batch(&mut self, number: usize, source: RelayedService) -> Batch {
        let shared = self.setup.shares_with_services;
        let (mut chunk_size, mut max_piece, mut is_terminal, mut continues) =
            (ATOMIC, MAX_PIECE, false, false);
        if let Some(sink) = self.sinks.get_mut(source.sink) {
            if let Some(stream) = sink.stream() {
                // rinit has ended that line, to log a line itself.
                if sink.half_line.is_some() && self.memory.word(layout::HALF_LINE + 8 * stream) == 0 {
                    sink.half_line = None;
                }
                if shared {
                    max_piece = ATOMIC;
                } else {
                    chunk_size = sink.chunk_size().min(BATCH);
                }
            }
            if let SinkKind::File(file) = &sink.kind {
                let most = file.max_size.and_then(|size| usize::try_from(size).ok()).unwrap_or(BATCH);
                chunk_size = most.min(BATCH);
                max_piece = usize::MAX;
            }
            is_terminal = sink.is_terminal();
            continues = sink.half_line == Some(number);
        }
        let needs_time = source.timestamps || source.style == Style::Json;
        let time = needs_time.then(|| {
            let (seconds, nanoseconds) = clock::calendar();
            rfc3339(seconds, nanoseconds)
        });
        self.chunk.clear();
        Batch {
            number,
            source,
            chunk_size,
            max_piece,
            is_terminal,
            time,
            continues,
            covered: 0,
            done: 0,
            lines: 0,
            is_blocked: false,
        }
    }

    /// Returns the position where the next run ends.
    fn next_mark(&self, source: &RelayedService) -> Option<u64> {
        let slot = layout::slot(source.channel);
        let ended = self.memory.word(slot + layout::ENDED);
        // If there were more ends than can be kept, skip the oldest.
        let next = source.ended.max(ended.saturating_sub(layout::MARKS));
        (next < ended).then(|| self.memory.word(slot + layout::mark(source.stream, next)))
    }

    /// Ends a partly shown line, because another line begins in the same sink or a run has ended.
    fn end_half_line(&mut self, batch: &mut Batch) {
        self.write_chunk(batch);
        let is_half = self.sinks.get(batch.source.sink).is_some_and(|sink| sink.half_line.is_some());
        if batch.is_blocked || !is_half {
            return;
        }
        self.chunk.push(b'\n');
        self.write_chunk(batch);
        if !batch.is_blocked {
            self.set_half_line(batch, None);
            batch.continues = false;
        }
    }

    fn set_half_line(&mut self, batch: &Batch, of: Option<usize>) {
        let Some(sink) = self.sinks.get_mut(batch.source.sink) else { return };
        if sink.half_line != of {
            sink.half_line = of;
            if let Some(stream) = sink.stream() {
                let word = of.map_or(0, |number| number as u64 + 1);
                self.memory.set_word(layout::HALF_LINE + 8 * stream, word);
            }
        }
    }

    /// Writes a line, or its available part, in pieces. Returns where it stopped.
    fn write_line(&mut self, batch: &mut Batch, text: &Text<'_>, line: &Line, flush: bool) -> usize {
        let Line { at: from, to, ends, after } = *line;
        let half_line = self.sinks.get(batch.source.sink).and_then(|sink| sink.half_line);
        if half_line.is_some_and(|of| of != batch.number || batch.source.style == Style::Json) {
            self.end_half_line(batch);
        }
        let mut at = from;
        loop {
            if batch.is_blocked {
                return at;
            }
            // The rest of an incomplete line stays in the pipe until it grows.
            if !ends && !flush && to - at < batch.source.piece_at {
                return at;
            }
            let before = self.chunk.len();
            let reached = self.record(batch, text, at, to, ends);
            let is_whole = reached >= to && ends;
            let is_half = reached >= to && !ends && batch.source.style != Style::Json;
            if self.chunk.len() > batch.chunk_size && before > 0 {
                self.write_front(batch, before);
                if batch.is_blocked {
                    return at;
                }
            }
            batch.covered = if is_whole { after } else { reached };
            batch.lines += u64::from(is_whole);
            at = reached;
            // An incomplete line is written at once, since the sink must record it.
            if is_half || self.chunk.len() >= batch.chunk_size {
                let half = (is_half && self.chunk.last() != Some(&b'\n')).then_some(batch.number);
                self.write_chunk_with(batch, half);
            } else {
                batch.continues = false;
            }
            if reached >= to || reached == from && !ends {
                return reached;
            }
        }
    }

    /// Writes the first `count` bytes of the chunk, which are whole lines.
    fn write_front(&mut self, batch: &mut Batch, count: usize) {
        let rest = self.chunk.split_off(count);
        self.write_chunk(batch);
        if !batch.is_blocked {
            self.chunk.extend_from_slice(&rest);
        }
    }

    fn write_chunk(&mut self, batch: &mut Batch) {
        self.write_chunk_with(batch, None);
    }

    /// Writes the chunk; then the sink's last line is complete, or an incomplete one of this source.
    fn write_chunk_with(&mut self, batch: &mut Batch, half: Option<usize>) {
        if self.chunk.is_empty() || batch.is_blocked {
            return;
        }
        if self.rotates(batch.source.sink, self.chunk.len()) {
            batch.is_blocked = true;
            self.chunk.clear();
            return;
        }
        let Some(sink) = self.sinks.get_mut(batch.source.sink) else { return };
        let torn = sink.stream().map(|stream| layout::TORN + 8 * stream);
        // What an empty pipe holds is written whole.
        let may_tear = torn.filter(|_| self.chunk.len() > batch.chunk_size.max(ATOMIC));
        if let Some(torn) = may_tear {
            self.memory.set_word(torn, 1);
        }
        let (failed, dropped) = (sink.failed, sink.dropped);
        let written = sink.write(&self.chunk);
        let lost = sink.dropped - dropped;
        if sink.failed != failed && written == Written::All {
            if sink.failed.is_some() {
                self.tell_of_failure(batch.source.sink)
            } else {
                self.tell_of_recovery(batch.source.sink)
            }
        }
        if lost > 0 {
            self.memory.add(layout::slot(batch.source.channel) + layout::DROPPED, lost);
        }
        if let (Some(torn), Written::Part(_)) = (torn, written) {
            self.memory.set_word(torn, 1);
        } else if let Some(torn) = may_tear {
            self.memory.set_word(torn, 0);
        }
        match written {
            Written::All => {
                batch.done = batch.covered;
                if let Some(sink) = self.sinks.get(batch.source.sink).filter(|sink| sink.stream().is_some())
                    && !self.setup.shares_with_services
                {
                    batch.chunk_size = sink.chunk_size().min(BATCH);
                }
            }
            Written::Nothing => batch.is_blocked = true,
            Written::Part(count) => {
                batch.is_blocked = true;
                let bytes = batch.covered - batch.done;
                if let Some(sink) = self.sinks.get_mut(batch.source.sink) {
                    sink.rest = self.chunk.get(count..).unwrap_or_default().to_vec();
                    sink.owed = Some(Owed { source: batch.number, bytes });
                }
            }
        }
        if written != Written::Nothing {
            self.set_half_line(batch, half);
            batch.continues = half.is_some();
        }
        self.chunk.clear();
    }

    /// Consumes what was written, and keeps its end in the ring.
    fn commit(&mut self, batch: &Batch, base: u64, text: &Text<'_>) {
        let source = &batch.source;
        let slot = layout::slot(source.channel);
        if batch.done > 0 {
            self.take(source, batch.done);
            self.memory.add(slot + layout::LINES, batch.lines);
            if text.spans.is_empty() {
                self.remember(slot, text.bytes.get(..batch.done).unwrap_or_default());
            } else {
                let mut shown = Vec::new();
                text.copy(0, batch.done, usize::MAX, &mut shown);
                self.remember(slot, &shown);
            }
        }
        let owed = self.sinks.get(source.sink).and_then(|sink| sink.owed).is_some();
        if !owed {
            self.memory.set_word(slot + layout::begun(source.stream), base + batch.done as u64);
        }
    }

    fn park(&mut self, number: usize) {
        let Some(source) = self.sources.get_mut(number) else { return };
        if source.is_parked {
            return;
        }
        source.is_parked = true;
        source.half_since = None;
        if let Some(sink) = self.sinks.get_mut(source.sink) {
            sink.parked.push_back(number);
        }
    }
}
