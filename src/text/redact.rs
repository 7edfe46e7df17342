//! Hides what rinit must never show: the values of secrets in any text, and passwords in URLs and connection strings
//! even if they were not declared as secrets.

use crate::text::escape::{escaped, on_one_line, text_as_bytes};
use crate::text::template::fill;
use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The replacement.
const HIDDEN: &str = "***";
/// Shorter values would match ordinary words.
const MIN_SECRET_LEN: usize = 4;
/// The minimum length of a part of a secret (a line of a key, a truncated start) that is hidden too.
const TELLING: usize = 8;

/// The known secrets. Global, like the log.
static KEPT: Mutex<Secrets> = Mutex::new(Secrets::NONE);

fn kept() -> MutexGuard<'static, Secrets> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hides these values from now on.
pub fn keep(values: &[String]) {
    let mut kept = kept();
    values.iter().for_each(|value| kept.add(value));
}

/// Returns all of them in every form in which a program may write them, longest first.
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

/// Reallocates the secrets to the allocator's current place, since they are kept.
pub fn copy() {
    let mut kept = kept();
    kept.values = kept.values.clone();
}

/// Hides all known secrets in a text.
#[must_use]
pub fn hide(text: String) -> String {
    kept().hide(text)
}

/// The same for many texts; does nothing if there are no secrets, the usual case.
pub fn hide_in<'t>(texts: impl Iterator<Item = &'t mut String>) {
    let kept = kept();
    if !kept.values.is_empty() {
        texts.for_each(|text| *text = kept.hide(std::mem::take(text)));
    }
}

/// Values that must be hidden.
#[derive(Debug)]
struct Secrets {
    /// Longest first, so that a value that contains another is hidden as a whole.
    values: Vec<String>,
}

impl Secrets {
    const NONE: Self = Self { values: Vec::new() };

    /// Adds a value, and its forms in messages: escaped on one line, each line, and without password-like parts.
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

    /// Hides them in a text.
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

/// Hides the start of a secret at the end of a truncated text.
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
            Some(kept) => out.push_str(&fill!("{}{}…", kept, HIDDEN)),
            None => out.push_str(&fill!("{}…", piece)),
        }
    }
    out
}

/// Hides the passwords of `scheme://user:password@host`, `user:password@host` and `password=…`. In doubt it hides: a
/// password with a `/`, `@` or space that should have been encoded is just what an error message is likely to be
/// about.
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

/// Returns the range of a password in `rest`, whose first word is `word`.
fn password(word: &str, rest: &str) -> Option<(usize, usize)> {
    let Some(scheme) = word.find("://") else {
        let end = word.rfind('@')?;
        let start = word.get(..end)?.find(':')? + 1;
        return Some((start, end));
    };
    let begin = scheme + 3;
    let Some(start) = word.get(begin..)?.find(':').map(|colon| begin + colon + 1) else {
        // A user without password is just a name, except on the web, where it may be a token.
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

/// Hides what follows `password=` and the like, quoted or up to where the next name may start.
fn without_named(text: &str) -> String {
    const NAMES: [&str; 7] = ["password", "passwd", "pwd", "secret", "token", "key", "signature"];
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((name, value)) = rest.split_once('=') {
        out.push_str(&fill!("{}=", name));
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
            // A URL without a password is unchanged.
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

    /// No password gets through, for any user and host.
    #[test]
    fn no_password_comes_through() {
        let parts = ["a", "/", "@", ":", "?", "#", " ", "80", "//", "&", "=", ","];
        for a in parts {
            for b in parts {
                for c in parts {
                    let password = ["S3", a, b, c, "cret"].concat();
                    let mut told = vec![format!("amqp://me:{password}@host/x")];
                    // After a name and "=" it ends where the next name may start.
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
