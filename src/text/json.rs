//! Whether a text is JSON (RFC 8259). Nothing is built from it.

/// Arrays and objects within each other; deeper ones are refused, for the stack's sake.
const MAX_DEPTH: u32 = 64;

/// Whether the whole text is one JSON value.
pub fn is_json(text: &str) -> bool {
    let mut reader = JsonParser { rest: text.as_bytes() };
    reader.value(MAX_DEPTH).is_some() && {
        reader.blank();
        reader.rest.is_empty()
    }
}

struct JsonParser<'t> {
    rest: &'t [u8],
}

impl JsonParser<'_> {
    fn blank(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        self.blank();
        self.rest = self.rest.strip_prefix(&[byte])?;
        Some(())
    }

    fn value(&mut self, depth: u32) -> Option<()> {
        self.blank();
        match self.peek()? {
            b'{' => self.many(b'{', b'}', depth.checked_sub(1)?, true),
            b'[' => self.many(b'[', b']', depth.checked_sub(1)?, false),
            b'"' => self.string(),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(())
    }

    /// An array, or with `named` an object.
    fn many(&mut self, open: u8, close: u8, depth: u32, named: bool) -> Option<()> {
        self.take(open)?;
        if self.take(close).is_some() {
            return Some(());
        }
        loop {
            if named {
                self.blank();
                self.string()?;
                self.take(b':')?;
            }
            self.value(depth)?;
            if self.take(close).is_some() {
                return Some(());
            }
            self.take(b',')?;
        }
    }

    fn string(&mut self) -> Option<()> {
        self.take(b'"')?;
        loop {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            match byte {
                b'"' => return Some(()),
                b'\\' => self.escape()?,
                0..0x20 => return None,
                _ => {}
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        match byte {
            b'u' => {
                let (digits, rest) = self.rest.split_at_checked(4)?;
                self.rest = rest;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())
            }
            byte => b"\"\\/bfnrt".contains(byte).then_some(()),
        }
    }

    fn number(&mut self) -> Option<()> {
        self.word(b"-").or(Some(()))?;
        if self.peek()? == b'0' {
            self.word(b"0")?
        } else {
            self.digits()?
        }
        if self.word(b".").is_some() {
            self.digits()?;
        }
        if self.word(b"e").or_else(|| self.word(b"E")).is_some() {
            self.word(b"+").or_else(|| self.word(b"-")).or(Some(()))?;
            self.digits()?;
        }
        Some(())
    }

    /// One digit or more.
    fn digits(&mut self) -> Option<()> {
        let count = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
        self.rest = self.rest.get(count..)?;
        (count > 0).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::is_json;

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
}
