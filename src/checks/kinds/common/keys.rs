//! Keys that several kinds have, or all, and what is asked of every one of them.

use crate::checks::quoted;
use crate::config::keys::{KeySpec, key};
use crate::config::read::table::Table;
use crate::text::gather::Gather;
use crate::text::regex::Pattern;
use crate::text::suggest::did_you_mean;
use crate::text::template::fill;
use std::time::Duration;

/// Keys that every kind has, besides the conditions.
#[rustfmt::skip]
pub const COMMON_KEYS: &[KeySpec] = &[
    key("level", "word", "\"error\"", "\"error\": if it fails, the container does not start; \"warn\": only a warning"),
    key("hint", "string", "", "your own text on what to do, instead of rinit's"),
    key("wait", "duration", "one look", "how long to retry"),
    key("interval", "duration", "\"500ms\"", "with `wait`: the time between two attempts"),
    key("any_of", "string", "", "a label: of the checks with the same label at least one must pass"),
    key("as_user", "name or number", "who rinit is", "the user whose permissions the check uses: \"USER\" or \"USER:GROUP\""),
    key("export", "string", "", "the environment variable that is set to the value found"),
];

/// Keys that every kind has, besides the conditions.
pub(in crate::checks) const COMMON: &str = "any_of, as_user, export, hint, interval, level, wait";

/// A key that says one of these words.
pub(in crate::checks) fn word(
    table: &Table<'_>,
    key: &'static str,
    words: &[&'static str],
) -> Option<&'static str> {
    let text = table.text(key)?;
    let known = words.iter().find(|word| **word == text);
    if known.is_none() {
        let hint = did_you_mean(&text, words.iter().copied());
        let listed: Vec<String> = words.iter().map(|word| quoted(word)).gather();
        table.fault(key, &fill!("expected {}{}", &listed.join(" or "), hint));
    }
    known.copied()
}

/// What the check is about: its NAME, or what `key` says, when NAME is only a label.
pub(in crate::checks) fn named(name: &str, table: &Table<'_>, key: &'static str) -> Option<String> {
    let written = table.text(key);
    if table.has(key) { written } else { Some(name.to_string()) }
}

/// A fault of what [`named`] has read, where it stands.
pub(in crate::checks) fn misnamed(table: &Table<'_>, key: &'static str, message: &str) {
    if table.has(key) { table.fault(key, message) } else { table.fault_here(message) }
}

/// The path that a check is about: its NAME, or `path` when NAME is only a label.
pub(in crate::checks) fn absolute_path(name: &str, table: &Table<'_>) -> Option<String> {
    let path = named(name, table, "path")?;
    if path.starts_with('/') {
        return Some(path);
    }
    misnamed(table, "path", "is no absolute path; expected one that begins with \"/\"");
    None
}

/// A list that must say something when it is written.
pub(in crate::checks) fn asserting(table: &Table<'_>, key: &'static str) -> Vec<String> {
    let list = table.list(key);
    if list.as_ref().is_some_and(|list| list.is_empty() || list.iter().any(String::is_empty)) {
        table.fault(key, "asserts nothing; name something, or leave it out");
    }
    list.unwrap_or_default()
}

/// A size that there must be at least.
pub(in crate::checks) fn at_least(table: &Table<'_>, key: &'static str) -> Option<u64> {
    let size = table.size(key);
    if size == Some(0) {
        table.fault(key, "asserts nothing, for there is always that much; leave it out");
    }
    size
}

/// A pattern that is looked for anywhere in a text of several lines, and how it was written.
pub(in crate::checks) fn pattern(table: &Table<'_>, key: &'static str) -> Option<(String, Pattern)> {
    let text = table.text(key)?;
    // By itself first: a "(" of its own must not be closed by one of ours.
    let anywhere = fill!("(?:.|\n)*(?:{})(?:.|\n)*", text);
    match Pattern::new(&text).and_then(|_| Pattern::new(&anywhere)) {
        Ok(pattern) => {
            // Found in nothing and in what nobody writes, it is found in everything: `.*`, `x?`.
            if ["", "\u{1}", "a \u{1}\n0"].iter().all(|text| pattern.matches(text)) {
                table.fault(key, "asserts nothing, for it is found in every text");
            }
            Some((text, pattern))
        }
        Err(why) => {
            // Without the text, which the environment may have given.
            table.fault(key, &why);
            None
        }
    }
}

/// How long one attempt may take.
pub(in crate::checks) fn timeout(table: &Table<'_>, default: Duration) -> Duration {
    let timeout = table.duration("timeout").unwrap_or(default);
    if timeout.is_zero() {
        table.fault("timeout", "is zero; expected some time for an answer");
    }
    timeout
}

/// A `wait` for what stays as it is would only delay the failure.
pub(in crate::checks) fn no_wait(table: &Table<'_>) {
    if table.has("wait") {
        table.fault("wait", "waits for what does not change while the container runs; leave it out");
    }
}

/// What has no value of its own hands none on.
pub(in crate::checks) fn no_export(table: &Table<'_>) {
    if table.has("export") {
        table.fault("export", "hands on nothing, for this check finds no value; leave it out");
    }
}

/// A table that asks for nothing cannot fail. A key that nobody knows has a fault of its own.
pub(in crate::checks) fn must_ask(table: &Table<'_>, asks: bool, keys: &str) {
    let known = |key: &str| {
        key.starts_with("when_") || keys.split(", ").chain(COMMON.split(", ")).any(|known| known == key)
    };
    if !asks && table.entries().iter().all(|entry| known(&entry.key)) {
        table.fault_here(&fill!("asserts nothing; expected one of {}", keys));
    }
}

/// Whose rights a check is judged with: `user` or `user:group`, names or numbers, as in a service's `user`.
pub(in crate::checks) fn as_user(table: &Table<'_>) -> Option<String> {
    let spec = table.text_or_number("as_user")?;
    let known = |part: &str| {
        let odd = |c: char| c == ':' || c.is_whitespace() || c.is_control();
        // Digits and dots alone are a number, if one that no user has.
        let number = part.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let fits = !number || part.parse::<u32>().is_ok_and(|number| number != u32::MAX);
        fits && !part.starts_with('-') && !part.contains(odd)
    };
    if !spec.splitn(2, ':').all(known) {
        table.fault("as_user", "is no user; expected a name or a number, such as \"app\" or \"1000:1000\"");
    }
    Some(spec)
}
