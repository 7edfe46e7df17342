//! The end of what each relayed service wrote, for whoever asks.

use super::{Logs, layout};
use crate::model::ServiceId;
use crate::text::gather::Gather;

/// A part of a service's output.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tail {
    /// The number of its first byte; those from the one that was asked for up to here are not kept any more.
    pub from: u64,
    /// The bytes, secrets masked.
    pub bytes: Vec<u8>,
}

impl Tail {
    /// The number of the byte that follows: what to ask for next time.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.from + self.bytes.len() as u64
    }

    /// The last lines, at most so many and so long together.
    #[must_use]
    pub fn last_lines(&self, lines: usize, bytes: usize) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.bytes);
        let mut all: Vec<&str> = text.lines().gather();
        // Of the first only the end may be kept.
        if self.from > 0 && all.len() > 1 {
            all.remove(0);
        }
        let mut room = bytes;
        let mut kept: Vec<String> = Vec::new();
        for line in all.into_iter().rev().filter(|line| !line.trim().is_empty()).take(lines) {
            if line.len() >= room {
                break;
            }
            room -= line.len() + 1;
            kept.push(line.to_string());
        }
        kept.reverse();
        kept
    }
}

impl Logs {
    /// What a service wrote from byte number `since` on, as far as it is kept; `None` for one without a log of rinit's.
    #[must_use]
    pub fn tail(&self, service: ServiceId, since: u64) -> Option<Tail> {
        let memory = self.memory.as_ref()?;
        let slot = layout::slot(self.channel(service)?);
        for _ in 0..8 {
            let end = memory.word(slot + layout::RING_END);
            let from = since.max(end.saturating_sub(layout::RING as u64)).min(end);
            let mut bytes = vec![0; usize::try_from(end - from).unwrap_or(0)];
            let mut done = 0;
            for (at, count) in layout::ring_parts(from, bytes.len()) {
                if let Some(part) = bytes.get_mut(done..done + count) {
                    memory.read(slot + at, part);
                }
                done += count;
            }
            // What has been begun since then may have overwritten the first of them.
            let begun = memory.word(slot + layout::RING_BEGUN);
            if begun <= from + layout::RING as u64 {
                return Some(Tail { from, bytes });
            }
        }
        let end = memory.word(slot + layout::RING_END);
        Some(Tail { from: end, bytes: Vec::new() })
    }

    /// Whether all that the ended runs of a service wrote has been written out.
    #[must_use]
    pub fn is_flushed(&self, service: ServiceId) -> bool {
        let (Some(memory), Some(at)) = (&self.memory, self.channel(service)) else { return true };
        let slot = layout::slot(at);
        memory.word(slot + layout::FLUSHED) >= memory.word(slot + layout::ENDED)
    }

    /// Lines, bytes and lost bytes of a service, for whoever counts.
    #[must_use]
    pub fn counts(&self, service: ServiceId) -> Option<[u64; 3]> {
        let memory = self.memory.as_ref()?;
        let slot = layout::slot(self.channel(service)?);
        Some([layout::LINES, layout::BYTES, layout::DROPPED].map(|at| memory.word(slot + at)))
    }
}

#[cfg(test)]
mod tests {
    use super::Tail;

    #[test]
    fn the_last_lines_are_whole_and_few() {
        let tail = Tail { from: 7, bytes: b"half\none\n\ntwo\nthree\n".to_vec() };
        assert_eq!(tail.last_lines(2, 100), ["two", "three"]);
        assert_eq!(tail.last_lines(9, 100), ["one", "two", "three"]);
        assert_eq!(tail.last_lines(9, 10), ["two", "three"]);
        assert_eq!(tail.end(), 27);
        assert_eq!(Tail { from: 0, bytes: b"only".to_vec() }.last_lines(9, 100), ["only"]);
    }
}
