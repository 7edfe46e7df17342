//! What rinit never shows: the values of secrets, wherever a text of rinit's would hold one, and the passwords in
//! URLs and connection strings that nobody has called a secret.

use crate::quoting::{escaped, on_one_line};

/// What stands in their place.
const HIDDEN: &str = "***";
/// A shorter value would be found in every other word.
const SHORTEST: usize = 4;
/// As much of a part of a secret (a line of a key, the beginning of what was cut) as gives something away.
const TELLING: usize = 8;

/// Values that must not be shown.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Secrets {
    /// The longest first, so that one that holds another is hidden whole.
    values: Vec<String>,
}

impl Secrets {
    /// None yet.
    pub const NONE: Self = Self { values: Vec::new() };

    /// Adds a value, also as it stands in a message: on one line, or line by line.
    pub fn add(&mut self, value: &str) {
        let whole = value.trim();
        let lines = whole.lines().map(str::trim).filter(|line| line.len() >= TELLING);
        for one in lines.chain([whole]) {
            for form in [one.to_string(), on_one_line(one), escaped(one)] {
                if form.len() >= SHORTEST && !self.values.contains(&form) {
                    self.values.push(form);
                }
            }
        }
        self.values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    }

    /// The text without them.
    #[must_use]
    pub fn hide(&self, mut text: String) -> String {
        for value in &self.values {
            if text.contains(value.as_str()) {
                text = text.replace(value.as_str(), HIDDEN);
            }
            text = without_beginning(text, value);
        }
        text
    }
}

/// A text that was cut may end in the beginning of a secret.
fn without_beginning(text: String, value: &str) -> String {
    let Some((before, after)) = text.split_once('…') else { return text };
    let starts = value.char_indices().map(|(at, _)| at).filter(|at| *at >= TELLING);
    let kept = starts.rev().find_map(|at| before.strip_suffix(value.get(..at)?));
    kept.map_or_else(|| [before, "…", after].concat(), |kept| [kept, HIDDEN, "…", after].concat())
}

/// A text without the passwords that stand in it as `scheme://user:password@host`, `user:password@host` and
/// `password=…`. What might be one is hidden: a password with a `/`, `@` or blank in it, which should have been
/// encoded, is just the one that a message will be about.
#[must_use]
pub fn without_passwords(text: &str) -> String {
    if !text.bytes().any(|b| matches!(b, b'@' | b'=')) {
        return text.to_string();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
        match password(word, rest) {
            Some((start, end)) => {
                out.push_str(rest.get(..start).unwrap_or_default());
                out.push_str(HIDDEN);
                rest = rest.get(end..).unwrap_or_default();
            }
            None => {
                out.push_str(&without_named(word));
                let blanks = after.len() - after.trim_start().len();
                let (blanks, after) = after.split_at(blanks);
                out.push_str(blanks);
                rest = after;
            }
        }
    }
    out
}

/// Where a password begins and ends in `rest`, whose first word is `word`.
fn password(word: &str, rest: &str) -> Option<(usize, usize)> {
    let Some(scheme) = word.find("://") else {
        let end = word.rfind('@')?;
        let start = word.get(..end)?.find(':')? + 1;
        return Some((start, end));
    };
    let begin = scheme + 3;
    let Some(start) = word.get(begin..)?.find(':').map(|colon| begin + colon + 1) else {
        // A user alone is a name, but on the web it is a token.
        let end = word.rfind('@').filter(|_| word.starts_with("http"))?;
        return Some((begin, end));
    };
    let tail = rest.get(start..)?;
    let digits = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let is_port =
        digits > 0 && !tail.get(digits..)?.starts_with(|c: char| !c.is_whitespace() && !"/?#,;".contains(c));
    let end = if is_port { word.rfind('@')? } else { rest.rfind('@')? };
    (end > start).then_some((start, end))
}

/// A word without what stands behind `password=` and the like.
fn without_named(word: &str) -> String {
    const NAMES: [&str; 7] = ["password", "passwd", "pwd", "secret", "token", "key", "signature"];
    let mut out = String::with_capacity(word.len());
    for part in word.split_inclusive(['&', '?', ';']) {
        let value = part.trim_end_matches(['&', '?', ';']);
        let named = value.split_once('=').filter(|(name, value)| {
            let name = name.to_ascii_lowercase();
            !value.is_empty() && NAMES.iter().any(|known| name.ends_with(known))
        });
        match named {
            Some((name, _)) => {
                [name, "=", HIDDEN, part.get(value.len()..).unwrap_or_default()]
                    .iter()
                    .for_each(|part| out.push_str(part));
            }
            None => out.push_str(part),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_hidden_in_every_form_in_which_it_is_told() {
        let mut secrets = Secrets::NONE;
        for value in ["hunter2\n", "first line\nsecond line\nx", "a\"b\\c", "abc", "hunter2 and more"] {
            secrets.add(value);
        }
        let long = "0123456789".repeat(20);
        secrets.add(&long);
        for (text, want) in [
            ("found hunter2, expected hunter", "found ***, expected hunter"),
            ("hunter2 and more", "***"),
            ("\"first line\\nsecond line\\nx\"", "\"***\""),
            ("saying \"second line\"", "saying \"***\""),
            ("a\"b\\c or a\\\"b\\\\c", "*** or ***"),
            ("abc is too short to be hidden", "abc is too short to be hidden"),
            ("\"x 012345678901…\" and more", "\"x ***…\" and more"),
            ("\"x 01234…\"", "\"x 01234…\""),
            ("", ""),
        ] {
            assert_eq!(secrets.hide(text.into()), want);
        }
        assert_eq!(secrets.hide(format!("<{long}>")), "<***>");
        assert_eq!(Secrets::NONE.hide("hunter2".into()), "hunter2");
    }

    #[test]
    fn a_password_is_hidden_whatever_it_holds() {
        for (text, want) in [
            ("postgres://me:pass@word@db:5432/x", "postgres://me:***@db:5432/x"),
            ("postgres://me:pa/ss@db/x", "postgres://me:***@db/x"),
            ("postgres://me:pa?ss#@db/x", "postgres://me:***@db/x"),
            ("postgres://me:80/ss@db/x", "postgres://me:***@db/x"),
            ("postgres://me:pa ss@db/x", "postgres://me:***@db/x"),
            ("postgres://me:p@a ss@db/x", "postgres://me:***@db/x"),
            ("postgres://me:a://b@db/x", "postgres://me:***@db/x"),
            ("redis://:pass@h:1", "redis://:***@h:1"),
            ("redis://u:p1@h,redis://u:p2@h", "redis://u:***@h"),
            ("redis://h:6379 redis://u:p2@h", "redis://h:6379 redis://u:***@h"),
            ("me:pass@db:5432", "me:***@db:5432"),
            ("https://token@host/x", "https://***@host/x"),
            ("jdbc:x://db/x?user=a&password=b&ssl=1", "jdbc:x://db/x?user=a&password=***&ssl=1"),
            ("host=db Password=x user=y", "host=db Password=*** user=y"),
            ("Server=db;Pwd=x;", "Server=db;Pwd=***;"),
            ("?api_key=x", "?api_key=***"),
            // What has none stays as it is.
            ("ssh://git@host/x", "ssh://git@host/x"),
            ("http://db:80/x and me@host", "http://db:80/x and me@host"),
            ("http://db:80, me@host", "http://db:80, me@host"),
            ("me@example.org", "me@example.org"),
            (" two  blanks\n", " two  blanks\n"),
            ("password=", "password="),
            ("key", "key"),
            ("", ""),
        ] {
            assert_eq!(without_passwords(text), want);
        }
    }

    /// Whatever the user and the host, no password comes through.
    #[test]
    fn no_password_comes_through() {
        let parts = ["a", "/", "@", ":", "?", "#", " ", "80", "//", "&", "=", ","];
        for a in parts {
            for b in parts {
                for c in parts {
                    let password = ["S3", a, b, c, "cret"].concat();
                    let shown = without_passwords(&format!("amqp://me:{password}@host/x"));
                    assert!(!shown.contains("S3") && !shown.contains("cret"), "{password}: {shown}");
                }
            }
        }
    }
}
