//! Formats a line as a record, and keeps account of what was written.

use super::format::Text;
use super::pump::Batch;
use super::sink::Owed;
use super::{MAX_PIECE, Relay, RelayedService, Style, layout};
use crate::sys::fs::pipe;
use std::os::fd::AsRawFd;

const RESET: &[u8] = b"\x1b[0m";

impl Relay<'_> {
    /// Appends one record to the chunk: a line or a piece of one. Returns where in the text it stopped.
    pub(super) fn record(
        &mut self,
        batch: &Batch,
        text: &Text<'_>,
        from: usize,
        to: usize,
        ends: bool,
    ) -> usize {
        match batch.source.style {
            Style::Json => self.json_record(batch, text, from, to, ends),
            Style::Prefix | Style::Plain => self.plain_record(batch, text, from, to, ends),
        }
    }

    fn plain_record(&mut self, batch: &Batch, text: &Text<'_>, from: usize, to: usize, ends: bool) -> usize {
        let begin = self.chunk.len();
        if !batch.continues {
            if batch.source.style == Style::Prefix
                && let Some(label) = self.labels.get(batch.source.channel)
            {
                self.chunk.extend_from_slice(label);
            }
            if let Some(time) = &batch.time {
                self.chunk.extend_from_slice(time);
                self.chunk.push(b' ');
            }
        }
        let used = self.chunk.len() - begin;
        let room = batch.max_piece.saturating_sub(used + RESET.len() + 1).max(64);
        let content = self.chunk.len();
        let reached = text.copy(from, to, room, &mut self.chunk);
        let is_cut = reached < to;
        if ends || is_cut {
            // Reset colours that the line has left on.
            let has_escape = |bytes: &[u8]| pipe::find_byte(bytes, 0x1b).is_some();
            if batch.is_terminal && self.chunk.get(content..).is_some_and(has_escape) {
                self.chunk.extend_from_slice(RESET);
            }
            self.chunk.push(b'\n');
        }
        reached
    }

    fn json_record(&mut self, batch: &Batch, text: &Text<'_>, from: usize, to: usize, ends: bool) -> usize {
        /// Room for what follows the line.
        const TAIL: usize = 48;
        let begin = self.chunk.len();
        let source = &batch.source;
        let pid = self.memory.word(layout::slot(source.channel) + layout::PID).to_string();
        let mut name = String::new();
        crate::text::escape::json_string(self.name(source.channel), &mut name);
        let stream = if source.stream == 0 { "stdout" } else { "stderr" };
        let time = batch.time.as_ref().map_or(&b""[..], |time| time);
        let parts: [&[u8]; 9] = [
            b"{\"time\":\"",
            time,
            b"\",\"service\":",
            name.as_bytes(),
            b",\"stream\":\"",
            stream.as_bytes(),
            b"\",\"pid\":",
            pid.as_bytes(),
            b",\"line\":\"",
        ];
        parts.iter().for_each(|part| self.chunk.extend_from_slice(part));
        let used = self.chunk.len() - begin;
        let room = batch.max_piece.min(MAX_PIECE).saturating_sub(used + TAIL).max(64);
        let (reached, replaced) = text.json(from, to, room, ends, &mut self.chunk);
        if reached == from && from < to {
            // Nothing of it can be shown yet.
            self.chunk.truncate(begin);
            return from;
        }
        let is_piece = reached < to || !ends;
        let end = match (is_piece, replaced) {
            (false, false) => "\"}\n",
            (true, false) => "\",\"partial\":true}\n",
            (false, true) => "\",\"replaced\":true}\n",
            (true, true) => "\",\"partial\":true,\"replaced\":true}\n",
        };
        self.chunk.extend_from_slice(end.as_bytes());
        reached
    }

    pub(super) fn take(&mut self, source: &RelayedService, count: usize) {
        let slot = layout::slot(source.channel);
        let taking = slot + layout::taking(source.stream);
        self.memory.set_word(taking, 1);
        if self.cannot_peek {
            self.drop_held(source, count);
        } else {
            pipe::discard(source.fd, self.null.as_ref().map(AsRawFd::as_raw_fd), count);
        }
        self.memory.add(slot + layout::taken(source.stream), count as u64);
        self.memory.set_word(taking, 0);
        self.memory.add(slot + layout::BYTES, count as u64);
    }

    /// The rest of a partial write is out: completes its accounting.
    pub(super) fn settle(&mut self, owed: Owed) {
        let Some(source) = self.sources.get(owed.source).copied() else { return };
        self.take(&source, owed.bytes);
        let slot = layout::slot(source.channel);
        let taken = self.memory.word(slot + layout::taken(source.stream));
        self.memory.set_word(slot + layout::begun(source.stream), taken);
    }

    /// Appends to the ring of a service.
    pub(super) fn remember(&self, slot: usize, bytes: &[u8]) {
        let end = self.memory.word(slot + layout::RING_END);
        let after = end + bytes.len() as u64;
        self.memory.set_word(slot + layout::RING_BEGUN, after);
        let kept = bytes.get(bytes.len().saturating_sub(layout::RING)..).unwrap_or_default();
        let mut done = 0;
        for (at, count) in layout::ring_parts(after - kept.len() as u64, kept.len()) {
            self.memory.copy_in(slot + at, kept.get(done..done + count).unwrap_or_default());
            done += count;
        }
        self.memory.set_word(slot + layout::RING_END, after);
    }

    /// Records for rinit that the output of all ended runs is written, on both streams.
    pub(super) fn note_flushed(&mut self, channel: usize) {
        let slot = layout::slot(channel);
        let flushed = self.memory.word(slot + layout::FLUSHED);
        let both = self.sources.get(2 * channel..2 * channel + 2).unwrap_or_default();
        let seen = both.iter().map(|source| source.ended).min().unwrap_or(0);
        if seen > flushed {
            self.memory.set_word(slot + layout::FLUSHED, seen);
            self.has_flushed = true;
        }
    }
}
