//! JSON (RFC 8259): a strict, bounded parser into a tree, and a writer.

use crate::text::escape::json_string;

/// The maximum nesting of arrays and objects, to protect the stack.
const MAX_DEPTH: u32 = 64;

/// A JSON value.
#[derive(Clone, PartialEq, Debug)]
pub enum Json {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// As written, so that no digit is lost.
    Number(String),
    /// A string, unescaped; a lone surrogate becomes U+FFFD.
    Text(String),
    /// An array.
    List(Vec<Json>),
    /// An object with its members in source order.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Returns a member of an object; the last one if the name is duplicated.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        members.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Returns a member that is a string.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_text()
    }

    /// Returns a member that is a non-negative integer.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.as_number()
    }

    /// Returns whether a member is `true`.
    #[must_use]
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name) == Some(&Self::Bool(true))
    }

    /// Returns the elements of a member that is an array; empty otherwise.
    #[must_use]
    pub fn list(&self, name: &str) -> &[Self] {
        match self.get(name) {
            Some(Self::List(values)) => values,
            _ => &[],
        }
    }

    /// Returns the string.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the non-negative integer.
    #[must_use]
    pub fn as_number(&self) -> Option<u64> {
        match self {
            Self::Number(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// Writes it without whitespace.
    pub fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Number(text) => out.push_str(text),
            Self::Text(text) => json_string(text, out),
            Self::List(values) => {
                out.push('[');
                for (at, value) in values.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    value.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (at, (name, value)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    json_string(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// Parses a text that is exactly one JSON value.
#[must_use]
pub fn parse(text: &str) -> Option<Json> {
    let mut reader = JsonParser { rest: text.as_bytes() };
    let value = reader.value(MAX_DEPTH)?;
    reader.blank();
    reader.rest.is_empty().then_some(value)
}

/// Returns whether the text is exactly one JSON value.
#[must_use]
pub fn is_json(text: &str) -> bool {
    parse(text).is_some()
}

struct JsonParser<'t> {
    rest: &'t [u8],
}

impl JsonParser<'_> {
    fn blank(&mut self) {
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let count = self.rest.iter().take_while(|byte| is_blank(byte)).count();
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        self.blank();
        self.rest = self.rest.strip_prefix(&[byte])?;
        Some(())
    }

    fn value(&mut self, depth: u32) -> Option<Json> {
        self.blank();
        match self.peek()? {
            b'{' => self.object(depth.checked_sub(1)?),
            b'[' => self.list(depth.checked_sub(1)?),
            b'"' => self.string().map(Json::Text),
            b't' => self.word(b"true").map(|()| Json::Bool(true)),
            b'f' => self.word(b"false").map(|()| Json::Bool(false)),
            b'n' => self.word(b"null").map(|()| Json::Null),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(())
    }

    fn list(&mut self, depth: u32) -> Option<Json> {
        let mut values = Vec::new();
        self.take(b'[')?;
        if self.take(b']').is_some() {
            return Some(Json::List(values));
        }
        loop {
            values.push(self.value(depth)?);
            if self.take(b']').is_some() {
                return Some(Json::List(values));
            }
            self.take(b',')?;
        }
    }

    fn object(&mut self, depth: u32) -> Option<Json> {
        let mut members = Vec::new();
        self.take(b'{')?;
        if self.take(b'}').is_some() {
            return Some(Json::Object(members));
        }
        loop {
            self.blank();
            let name = self.string()?;
            self.take(b':')?;
            members.push((name, self.value(depth)?));
            if self.take(b'}').is_some() {
                return Some(Json::Object(members));
            }
            self.take(b',')?;
        }
    }

    fn string(&mut self) -> Option<String> {
        self.take(b'"')?;
        let mut bytes = Vec::new();
        loop {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            match byte {
                b'"' => return String::from_utf8(bytes).ok(),
                b'\\' => {
                    let mut buffer = [0; 4];
                    bytes.extend_from_slice(self.escape()?.encode_utf8(&mut buffer).as_bytes());
                }
                0..0x20 => return None,
                byte => bytes.push(*byte),
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(match byte {
            b'u' => return self.unicode(),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'"' | b'\\' | b'/' => char::from(*byte),
            _ => return None,
        })
    }

    /// Parses what follows `\u`, including a second surrogate.
    fn unicode(&mut self) -> Option<char> {
        let first = self.hex()?;
        if !(0xd800..0xdc00).contains(&first) {
            return Some(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let before = self.rest;
        let second = self.word(b"\\u").and_then(|()| self.hex());
        match second {
            Some(second @ 0xdc00..0xe000) => {
                char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))
            }
            _ => {
                self.rest = before;
                Some(char::REPLACEMENT_CHARACTER)
            }
        }
    }

    fn hex(&mut self) -> Option<u32> {
        let (digits, rest) = self.rest.split_at_checked(4)?;
        self.rest = rest;
        digits.iter().try_fold(0, |sum, digit| Some(sum * 16 + char::from(*digit).to_digit(16)?))
    }

    fn number(&mut self) -> Option<Json> {
        let start = self.rest;
        self.word(b"-").or(Some(()))?;
        if self.peek()? == b'0' {
            self.word(b"0")?;
        } else {
            self.digits()?;
        }
        if self.word(b".").is_some() {
            self.digits()?;
        }
        if self.word(b"e").or_else(|| self.word(b"E")).is_some() {
            self.word(b"+").or_else(|| self.word(b"-")).or(Some(()))?;
            self.digits()?;
        }
        let written = start.get(..start.len() - self.rest.len())?;
        String::from_utf8(written.to_vec()).ok().map(Json::Number)
    }

    /// Parses one or more digits.
    fn digits(&mut self) -> Option<()> {
        let count = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
        self.rest = self.rest.get(count..)?;
        (count > 0).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Json, is_json, parse};

    #[test]
    fn rfc_8259_decides() {
        for yes in ["null", " [1, 2.5e-3, -0] ", r#"{"a": {"b": []}, "c": "\u00e9\n"}"#, "\"x\"", "0", "{}"] {
            assert!(is_json(yes), "{yes}");
        }
        let deep = "[".repeat(100_000);
        for no in [
            "",
            "01",
            "[1,]",
            "{a:1}",
            "{\"a\"}",
            "\"\\x\"",
            "\"\n\"",
            "tru",
            "1 2",
            "[",
            "-",
            "1.",
            "'x'",
            deep.as_str(),
        ] {
            assert!(!is_json(no), "{}", no.get(..10).unwrap_or(no));
        }
    }

    #[test]
    fn a_value_is_read_and_written_again() {
        let text = r#"{"a":[1,-2.50e3,true,null],"b":"q\"\\ü\n","c":{},"d":[]}"#;
        let value = parse(text).expect("JSON");
        let mut again = String::new();
        value.write(&mut again);
        assert_eq!(again, text);
        assert_eq!((value.text("b"), value.number("a")), (Some("q\"\\ü\n"), None));
        let list: Vec<_> = value.list("a").iter().map(Json::as_number).collect();
        assert_eq!(list, [Some(1), None, None, None]);
        let escapes = parse(r#""\ud83d\ude00 \ud83dx \udc00 \/\b""#).expect("JSON");
        assert_eq!(escapes.as_text(), Some("😀 \u{fffd}x \u{fffd} /\u{8}"));
    }

    /// A form feed is not JSON whitespace, although Rust counts it as whitespace.
    #[test]
    fn blanks_are_four() {
        assert!(is_json(" \t\r\n1 ") && !is_json("\u{c}1") && !is_json("[1,\u{c}2]"));
    }
}
