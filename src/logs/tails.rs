//! The end of each relayed service's output.

use super::{Logs, layout};
use crate::model::ServiceId;
use crate::text::gather::Gather;

/// A part of a service's output.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tail {
    /// The number of its first byte; older bytes from the requested one on are no longer kept.
    pub from: u64,
    /// The bytes, with secrets masked.
    pub bytes: Vec<u8>,
}

impl Tail {
    /// Returns the number of the following byte, for the next request.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.from + self.bytes.len() as u64
    }

    /// Returns the last lines, limited in number and total length.
    #[must_use]
    pub fn last_lines(&self, lines: usize, bytes: usize) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.bytes);
        let mut all: Vec<&str> = text.lines().gather();
        // The first line may be incomplete.
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
    /// Returns a service's output from byte `since` on, as far as it is kept; `None`: not relayed.
    #[must_use]
    pub fn tail(&self, service: ServiceId, since: u64) -> Option<Tail> {
        let memory = self.memory.as_ref()?;
        let at = self.channel(service)?;
        let since = since.max(self.channels.get(at)?.begins);
        let slot = layout::slot(at);
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
            // Writes begun since then may have overwritten the first bytes.
            let begun = memory.word(slot + layout::RING_BEGUN);
            if begun <= from + layout::RING as u64 {
                return Some(Tail { from, bytes });
            }
        }
        let end = memory.word(slot + layout::RING_END);
        Some(Tail { from: end, bytes: Vec::new() })
    }

    /// Returns whether the output of all ended runs of a service is written.
    #[must_use]
    pub fn is_flushed(&self, service: ServiceId) -> bool {
        let (Some(memory), Some(at)) = (&self.memory, self.channel(service)) else { return true };
        let slot = layout::slot(at);
        memory.word(slot + layout::FLUSHED) >= memory.word(slot + layout::ENDED)
    }

    /// Returns lines, bytes and lost bytes of a service.
    #[must_use]
    pub fn counts(&self, service: ServiceId) -> Option<[u64; 3]> {
        let memory = self.memory.as_ref()?;
        let at = self.channel(service)?;
        let before = self.channels.get(at)?.counted;
        let now = layout::counters(at).map(|at| memory.word(at));
        let mut counts = now.into_iter().zip(before).map(|(now, before)| now.saturating_sub(before));
        Some([counts.next()?, counts.next()?, counts.next()?])
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
