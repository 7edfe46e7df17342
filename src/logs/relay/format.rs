//! Formats a service's output. Pure.

use super::mask::SHOWN;
use crate::sys::fs::pipe::find_byte;

/// Bytes read, and the ranges that must not be shown.
#[derive(Clone, Copy)]
pub struct Text<'b> {
    pub bytes: &'b [u8],
    /// Ascending, not overlapping.
    pub spans: &'b [(usize, usize)],
}

impl<'b> Text<'b> {
    /// Finds the first line end that is not part of a secret.
    pub fn line_end(&self, from: usize, to: usize) -> Option<usize> {
        let mut at = from;
        while let Some(step) = find_byte(self.bytes.get(at..to)?, b'\n') {
            match self.span_over(at + step) {
                Some((_, end)) if end >= to => return None,
                Some((_, end)) => at = end,
                None => return Some(at + step),
            }
        }
        None
    }

    fn span_over(&self, at: usize) -> Option<(usize, usize)> {
        let next = self.spans.partition_point(|(_, end)| *end <= at);
        self.spans.get(next).copied().filter(|(start, _)| *start <= at)
    }

    /// Returns the part at `at`: plain bytes, or a secret (`None`); and its end.
    fn part(&self, at: usize, to: usize) -> (Option<&'b [u8]>, usize) {
        let next = self.spans.partition_point(|(_, end)| *end <= at);
        match self.spans.get(next) {
            Some((start, end)) if *start <= at => (None, (*end).min(to)),
            Some((start, _)) if *start < to => (self.bytes.get(at..*start), *start),
            _ => (self.bytes.get(at..to), to),
        }
    }

    /// Copies a range as far as there is room; returns where it stopped.
    pub fn copy(&self, from: usize, to: usize, mut room: usize, out: &mut Vec<u8>) -> usize {
        let mut at = from;
        while at < to {
            let (bytes, end) = self.part(at, to);
            let shown = bytes.unwrap_or(SHOWN);
            if shown.len() <= room {
                out.extend_from_slice(shown);
                room -= shown.len();
                at = end;
                continue;
            }
            if bytes.is_some() {
                out.extend_from_slice(shown.get(..room).unwrap_or_default());
                at += room;
            }
            break;
        }
        at
    }

    /// Like `copy`, but escaped as the inside of a JSON string and only whole characters. `is_end`: nothing follows.
    /// Also returns whether invalid UTF-8 was replaced.
    pub fn json(
        &self,
        from: usize,
        to: usize,
        room: usize,
        is_end: bool,
        out: &mut Vec<u8>,
    ) -> (usize, bool) {
        let limit = out.len() + room;
        let (mut at, mut replaced) = (from, false);
        while at < to {
            let (bytes, end) = self.part(at, to);
            let left = limit.saturating_sub(out.len());
            let Some(bytes) = bytes else {
                if SHOWN.len() > left {
                    break;
                }
                out.extend_from_slice(SHOWN);
                at = end;
                continue;
            };
            let piece = bytes.get(..left).unwrap_or(bytes);
            let is_last = piece.len() == bytes.len() && (is_end || end < to);
            let (taken, lossy) = json_bytes(piece, limit, is_last, out);
            replaced |= lossy;
            at += taken;
            if taken < bytes.len() {
                break;
            }
        }
        (at, replaced)
    }
}

/// Escapes bytes up to a limit of the output; returns how many, and whether some were invalid UTF-8.
fn json_bytes(bytes: &[u8], limit: usize, is_last: bool, out: &mut Vec<u8>) -> (usize, bool) {
    const REPLACED: &[u8] = "\u{fffd}".as_bytes();
    let (mut taken, mut lossy) = (0, false);
    for chunk in bytes.utf8_chunks() {
        let done = json_text(chunk.valid(), limit, out);
        taken += done;
        if done < chunk.valid().len() {
            break;
        }
        let invalid = chunk.invalid();
        if invalid.is_empty() {
            continue;
        }
        // The start of a character whose rest may follow.
        let may_follow = !is_last && taken + invalid.len() == bytes.len() && taken > 0;
        if may_follow || out.len() + REPLACED.len() > limit {
            break;
        }
        out.extend_from_slice(REPLACED);
        taken += invalid.len();
        lossy = true;
    }
    (taken, lossy)
}

fn json_text(text: &str, limit: usize, out: &mut Vec<u8>) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let rest = text.get(at..).unwrap_or_default();
        let run = plain_run(rest.as_bytes());
        let room = limit.saturating_sub(out.len());
        let run = if run <= room { run } else { rest.floor_char_boundary(room) };
        out.extend_from_slice(bytes.get(at..at + run).unwrap_or_default());
        at += run;
        let Some(byte) = bytes.get(at).filter(|byte| needs_escape(**byte)) else { break };
        let mut escape = *b"\\u0000";
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\t' => b"\\t",
            b'\r' => b"\\r",
            b'\n' => b"\\n",
            byte => {
                for (place, digit) in escape.iter_mut().skip(4).zip([byte >> 4, byte & 15]) {
                    *place = if digit < 10 { b'0' + digit } else { b'a' - 10 + digit };
                }
                &escape
            }
        };
        if out.len() + escape.len() > limit {
            break;
        }
        out.extend_from_slice(escape);
        at += 1;
    }
    at
}

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\' || byte == 0x7f
}

/// Returns how many bytes need no escaping. Checks eight at a time.
fn plain_run(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let (words, _) = bytes.as_chunks::<8>();
    let mut at = 0;
    for word in words {
        let word = u64::from_le_bytes(*word);
        let zero = |v: u64| v.wrapping_sub(ONES) & !v & HIGH;
        // Any control character, quote, backslash or DEL; a false positive only costs time.
        let low = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        if low | zero(word ^ (ONES * 0x22)) | zero(word ^ (ONES * 0x5c)) | zero(word ^ (ONES * 0x7f)) != 0 {
            break;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| needs_escape(*byte)).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(bytes: &[u8], room: usize, is_end: bool) -> (String, usize, bool) {
        let mut out = Vec::new();
        let text = Text { bytes, spans: &[] };
        let (at, lossy) = text.json(0, bytes.len(), room, is_end, &mut out);
        (String::from_utf8(out).expect("UTF-8"), at, lossy)
    }

    #[test]
    fn json_is_whole_characters_within_the_room() {
        for (bytes, room, is_end, want, at, lossy) in [
            (
                &b"plain text, long enough for words"[..],
                99,
                true,
                "plain text, long enough for words",
                33,
                false,
            ),
            (b"a\"b\\c\td\x1b\x00", 99, true, "a\\\"b\\\\c\\td\\u001b\\u0000", 9, false),
            ("h\u{e4}\u{2028}".as_bytes(), 99, true, "h\u{e4}\u{2028}", 6, false),
            (b"a\xffb", 99, true, "a\u{fffd}b", 3, true),
            (b"ab\xc3", 99, false, "ab", 2, false),
            (b"ab\xc3", 99, true, "ab\u{fffd}", 3, true),
            ("ab\u{e4}".as_bytes(), 3, true, "ab", 2, false),
            (b"ab\x01cd", 6, true, "ab", 2, false),
            (b"12345678\"", 9, true, "12345678", 8, false),
            (b"", 9, true, "", 0, false),
        ] {
            assert_eq!(json(bytes, room, is_end), (want.to_string(), at, lossy), "{bytes:?}");
        }
    }

    #[test]
    fn secrets_are_masked_and_never_cut() {
        let bytes = b"x hunter2\ny two\nlines z\n";
        let text = Text { bytes, spans: &[(2, 9), (12, 21)] };
        assert_eq!(text.line_end(0, bytes.len()), Some(9));
        assert_eq!(text.line_end(10, bytes.len()), Some(23));
        assert_eq!(text.line_end(10, 21), None);
        let mut out = Vec::new();
        assert_eq!(text.copy(10, 23, 99, &mut out), 23);
        assert_eq!(out, b"y *** z");
        out.clear();
        assert_eq!(text.copy(0, 9, 4, &mut out), 2);
        assert_eq!(out, b"x ");
        out.clear();
        assert_eq!(text.json(10, 23, 99, true, &mut out), (23, false));
        assert_eq!(out, b"y *** z");
    }

    /// For any input and any room: the pieces together are the text, and each is valid.
    #[test]
    fn pieces_make_the_whole() {
        let mut state = 7u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> 33
        };
        for _ in 0..2000 {
            let bytes: Vec<u8> = (0..next() % 40)
                .map(|_| b"ab\"\\\n\xc3\xa4\xe2\x82\xac\xff\x00 x"[(next() % 14) as usize])
                .collect();
            let text = Text { bytes: &bytes, spans: &[] };
            let room = 6 + (next() % 12) as usize;
            let (mut at, mut whole) = (0, Vec::new());
            while at < bytes.len() {
                let mut out = Vec::new();
                let (to, _) = text.json(at, bytes.len(), room, true, &mut out);
                assert!(to > at && out.len() <= room, "{bytes:?} {at} {room}");
                assert!(std::str::from_utf8(&out).is_ok());
                whole.extend(out);
                at = to;
            }
            let mut once = Vec::new();
            text.json(0, bytes.len(), 1 << 20, true, &mut once);
            // A cut through an invalid sequence may replace it in two parts.
            let plain = |v: &[u8]| String::from_utf8_lossy(v).replace('\u{fffd}', "");
            assert_eq!(plain(&whole), plain(&once), "{bytes:?}");
        }
    }
}
