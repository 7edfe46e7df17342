//! What rinit never shows: the values of secrets, wherever a text of rinit's would hold one, and the passwords in
//! URLs and connection strings that nobody has called a secret.

use crate::text::escape::{escaped, on_one_line, text_as_bytes};
use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What stands in their place.
const HIDDEN: &str = "***";
/// A shorter value would be found in every other word.
const MIN_SECRET_LEN: usize = 4;
/// As much of a part of a secret (a line of a key, the beginning of what was cut) as gives something away.
const TELLING: usize = 8;

/// What nothing shows from the moment on in which it is known. There is one, as there is one way out for each line.
static KEPT: Mutex<Secrets> = Mutex::new(Secrets::NONE);

fn kept() -> MutexGuard<'static, Secrets> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps these values out of all that follows.
pub fn keep(values: &[String]) {
    let mut kept = kept();
    values.iter().for_each(|value| kept.add(value));
}

/// All of them, in every form in which a program may write them, the longest first.
#[must_use]
pub fn byte_forms() -> Vec<Vec<u8>> {
    let mut forms: Vec<Vec<u8>> = Vec::new();
    for value in &kept().values {
        let mut json = String::new();
        crate::text::escape::json_string(value, &mut json);
        let json = json.trim_matches('"').as_bytes().to_vec();
        for form in [text_as_bytes(value).into_owned(), json] {
            if !forms.contains(&form) {
                forms.push(form);
            }
        }
    }
    crate::text::sort::sort_by_key(&mut forms, |form| std::cmp::Reverse(form.len()));
    forms
}

/// Copies what is kept to where the allocator now puts it: it stays.
pub fn copy() {
    let mut kept = kept();
    kept.values = kept.values.clone();
}

/// The text without the values that are kept.
#[must_use]
pub fn hide(text: String) -> String {
    kept().hide(text)
}

/// The same for many texts; mostly nothing is kept, and none is looked at.
pub fn hide_in<'t>(texts: impl Iterator<Item = &'t mut String>) {
    let kept = kept();
    if !kept.values.is_empty() {
        texts.for_each(|text| *text = kept.hide(std::mem::take(text)));
    }
}

/// Values that must not be shown.
#[derive(Debug)]
struct Secrets {
    /// The longest first, so that one that holds another is hidden whole.
    values: Vec<String>,
}

impl Secrets {
    const NONE: Self = Self { values: Vec::new() };

    /// Adds a value, also as it stands in a message: on one line, line by line, without what looks like a password.
    fn add(&mut self, value: &str) {
        if let Cow::Owned(bytes) = text_as_bytes(value) {
            self.add(&String::from_utf8_lossy(&bytes)); // as most of rinit shows what is not UTF-8
        }
        let whole = value.trim();
        let lines = whole.lines().map(str::trim).filter(|line| line.len() >= TELLING);
        for one in lines.chain([whole]) {
            let hidden = without_passwords(one);
            for form in [on_one_line(one), escaped(one), on_one_line(&hidden), one.to_string(), hidden] {
                if form.len() >= MIN_SECRET_LEN && form != HIDDEN && !self.values.contains(&form) {
                    self.values.push(form);
                }
            }
        }
        crate::text::sort::sort_by_key(&mut self.values, |value| std::cmp::Reverse(value.len()));
    }

    /// The text without them.
    fn hide(&self, mut text: String) -> String {
        for value in &self.values {
            if text.contains(value.as_str()) {
                text = text.replace(value.as_str(), HIDDEN);
            }
            if text.contains('…') {
                text = without_beginnings(&text, value);
            }
        }
        text
    }
}

/// What was cut in a text may end in the beginning of a secret.
fn without_beginnings(text: &str, value: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut pieces = text.split('…').peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            out.push_str(piece);
            break;
        }
        let starts = value.char_indices().map(|(at, _)| at).filter(|at| *at >= TELLING);
        match starts.rev().find_map(|at| piece.strip_suffix(value.get(..at)?)) {
            Some(kept) => out.push_str(&[kept, HIDDEN, "…"].concat()),
            None => out.push_str(&[piece, "…"].concat()),
        }
    }
    out
}

/// A text without the passwords that stand in it as `scheme://user:password@host`, `user:password@host` and
/// `password=…`. What might be one is hidden: a password with a `/`, `@` or blank in it, which should have been
/// encoded, is just the one that a message will be about.
#[must_use]
pub fn without_passwords(text: &str) -> String {
    if !text.bytes().any(|b| matches!(b, b'@' | b'=')) {
        return text.to_string();
    }
    let text = without_named(text);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
        if let Some((start, end)) = password(word, rest) {
            out.push_str(&[rest.get(..start).unwrap_or_default(), HIDDEN].concat());
            rest = rest.get(end..).unwrap_or_default();
        } else {
            let blanks = after.len() - after.trim_start().len();
            let (told, after) = rest.split_at(word.len() + blanks);
            out.push_str(told);
            rest = after;
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
        let web = word.get(..scheme)?.trim_end_matches('s').ends_with("http");
        return Some((begin, word.rfind('@').filter(|_| web)?));
    };
    let tail = rest.get(start..)?;
    let digits = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let is_port =
        digits > 0 && !tail.get(digits..)?.starts_with(|c: char| !c.is_whitespace() && !"/?#,;".contains(c));
    let end = if is_port { word.rfind('@')? } else { rest.rfind('@')? };
    (end > start).then_some((start, end))
}

/// A text without what stands behind `password=` and the like, in quotes or up to where the next name may stand.
fn without_named(text: &str) -> String {
    const NAMES: [&str; 7] = ["password", "passwd", "pwd", "secret", "token", "key", "signature"];
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((name, value)) = rest.split_once('=') {
        out.push_str(&[name, "="].concat());
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let end = match quote {
            Some(quote) => value.match_indices(quote).nth(1).map_or(value.len(), |(at, _)| at + 1),
            None => value.find(|c: char| c.is_whitespace() || matches!(c, '&' | ';')).unwrap_or(value.len()),
        };
        let lower = name.to_ascii_lowercase();
        rest = value;
        if end > 0 && NAMES.iter().any(|known| lower.ends_with(known)) {
            out.push_str(HIDDEN);
            rest = value.get(end..).unwrap_or_default();
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::super::redact::*;

    #[test]
    fn a_value_is_hidden_in_every_form_in_which_it_is_told() {
        let mut secrets = Secrets::NONE;
        for value in [
            "hunter2\n",
            "first line\nsecond line\nx",
            "a\"b\\c",
            "abc",
            "hunter2 and more",
            "user:mid@longtail",
        ] {
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
            ("\"x…\", \"x 012345678901…\" and 0123456789012…", "\"x…\", \"x ***…\" and ***…"),
            ("\"user:mid@longtail\", \"user:***@longtail\"", "\"***\", \"***\""),
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
            ("host=db password=S3:x@cret", "host=db password=***"),
            ("Server=db;Password=S3:b@cret;", "Server=db;Password=***;"),
            ("jdbc:mysql://db/x?user=a&password=S3:q@cret", "jdbc:mysql://db/x?user=a&password=***"),
            ("postgres://db:5432/x?user=a&password=S3@cret", "postgres://db:5432/x?user=a&password=***"),
            ("host=db password='two words' user=y", "host=db password=*** user=y"),
            ("url=https://token@h/x", "url=https://***@h/x"),
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
                    let mut told = vec![format!("amqp://me:{password}@host/x")];
                    // Where a name and an "=" stand before it, it ends where the next may stand.
                    if ![" ", "&"].iter().any(|end| password.contains(end)) {
                        told.push(format!("host=db password={password}"));
                        told.push(format!("jdbc:x://db:80/x?user=a&password={password}&ssl=1"));
                    }
                    told.push(format!("host=db password='{password}' user=x"));
                    for text in told {
                        let shown = without_passwords(&text);
                        assert!(!shown.contains("S3") && !shown.contains("cret"), "{text}: {shown}");
                    }
                }
            }
        }
    }
}
