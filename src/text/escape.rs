//! Escapes texts for other formats, and encodes bytes that are not UTF-8.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Writes a string as JSON, with quotes.
pub fn json_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Escaping those above U+007F is optional, but a terminal may interpret them.
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Escapes control characters, so that the text is on one line.
#[must_use]
pub fn on_one_line(text: &str) -> String {
    escape(text, "")
}

/// The same for text between quotation marks.
#[must_use]
pub fn escaped(text: &str) -> String {
    escape(text, "\"\\")
}

fn escape(text: &str, besides: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if let Some(byte) = byte_of(c) {
            let _ = write!(shown, "\\x{byte:02x}");
        } else if c.is_control() || besides.contains(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Makes a text safe for a terminal or log: keeps line breaks, escapes other control characters.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    let is_kept = |c: char| matches!(c, '\n' | '\t');
    if !text.chars().any(|c| c.is_control() && !is_kept(c) || byte_of(c).is_some()) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for piece in text.split_inclusive(is_kept) {
        let (rest, end) = piece.split_at(piece.trim_end_matches(is_kept).len());
        shown.push_str(&on_one_line(rest));
        shown.push_str(end);
    }
    Cow::Owned(shown)
}

/// The last private-use characters each stand for a byte from 0x80 on that is not valid UTF-8.
const BYTES_FROM: u32 = 0x10_ff00;

/// Returns the byte that a character of [`bytes_as_text`] stands for.
fn byte_of(c: char) -> Option<u8> {
    u8::try_from(u32::from(c).checked_sub(BYTES_FROM)?).ok().filter(|byte| *byte >= 0x80)
}

/// Encodes any bytes as text: invalid UTF-8 becomes private-use characters. [`text_as_bytes`] reverses it.
#[must_use]
pub fn bytes_as_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let stand_in = |byte: &u8| char::from_u32(BYTES_FROM + u32::from(*byte));
    let mut buffer = [0; 4];
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if byte_of(c).is_some() {
                // One of these characters itself is encoded byte by byte too, so that it can be decoded.
                text.extend(c.encode_utf8(&mut buffer).as_bytes().iter().filter_map(stand_in));
            } else {
                text.push(c);
            }
        }
        text.extend(chunk.invalid().iter().filter_map(stand_in));
    }
    text
}

/// Decodes a text of [`bytes_as_text`].
#[must_use]
pub fn text_as_bytes(text: &str) -> Cow<'_, [u8]> {
    if !text.chars().any(|c| byte_of(c).is_some()) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut buffer = [0; 4];
    for c in text.chars() {
        match byte_of(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes()),
        }
    }
    Cow::Owned(bytes)
}

/// Formats a name as a TOML key: bare if possible; otherwise quoted, with the escapes of JSON, all of which TOML
/// knows.
#[must_use]
pub fn toml_key(name: &str) -> String {
    if !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')) {
        return name.to_string();
    }
    let mut quoted = String::new();
    json_string(name, &mut quoted);
    quoted
}

#[cfg(test)]
mod tests {
    use super::super::escape::*;

    #[test]
    fn a_key_is_bare_or_quoted_and_toml_reads_it_again() {
        for (name, want) in [
            ("Web_1-a", "Web_1-a"),
            ("", "\"\""),
            ("a.b", "\"a.b\""),
            ("ä \"\\\t\n\r", "\"ä \\\"\\\\\\t\\n\\r\""),
            ("\0\u{8}\u{1b}\u{7f}\u{9b}", "\"\\u0000\\u0008\\u001b\\u007f\\u009b\""),
        ] {
            assert_eq!(toml_key(name), want);
        }
        let every = (0..=0x2100).filter_map(char::from_u32).collect::<String>();
        for name in every.chars().map(String::from).chain([every.clone()]) {
            let read: toml::Table = [&toml_key(&name), " = 1"].concat().parse().expect(&name);
            assert_eq!(read.keys().collect::<Vec<_>>(), [&name]);
        }
    }

    #[test]
    fn any_bytes_are_found_again() {
        let every: Vec<u8> = (0..=255).collect();
        for bytes in
            [&every[..], b"", "ä\u{10ff80}\u{10ffff}".as_bytes(), b"\xc3", b"a\xf4\x8f", b"\xff=\xfe"]
        {
            let text = bytes_as_text(bytes);
            assert_eq!(text_as_bytes(&text), bytes);
            assert_eq!(text_as_bytes(&bytes_as_text(text.as_bytes())), text.as_bytes());
        }
        assert_eq!(bytes_as_text("ä\n".as_bytes()), "ä\n");
        assert_eq!(on_one_line(&bytes_as_text(b"a\xff\n")), "a\\xff\\n");
    }

    #[test]
    fn nothing_commands_a_terminal() {
        for (text, want) in [
            ("plain\n\tline", "plain\n\tline"),
            ("a\x1b[31m\r\nb\u{9b}c\n", "a\\u{1b}[31m\\r\nb\\u{9b}c\n"),
            ("\u{10ff80}\n", "\\x80\n"),
        ] {
            assert_eq!(printable(text), want);
        }
    }
}
