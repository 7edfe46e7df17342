//! Texts in the quotes of another language.

use std::fmt::Write as _;

/// A string as JSON has it, with its quotes.
pub fn json_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Those above U+007F need not be, but a terminal may take them for commands.
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// A text on one line: control characters as escapes.
#[must_use]
pub fn on_one_line(text: &str) -> String {
    escape(text, "")
}

/// The same for a place between quotation marks.
#[must_use]
pub fn escaped(text: &str) -> String {
    escape(text, "\"\\")
}

fn escape(text: &str, besides: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || besides.contains(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// A name as a key of TOML: bare where that is allowed; otherwise in quotes, within which TOML has all escapes of JSON.
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
    use super::*;

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
}
