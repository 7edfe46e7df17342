//! What most kinds are made of: words that are known as soon as their table has been read, and one look.

use crate::checks::{CheckFailure, Evaluate, Facts, Finding, quoted};
use crate::config::read::table::Table;
use crate::config::source::diagnostic::did_you_mean;
use crate::diagnosis::fill;
use crate::text::regex::Pattern;
use std::io;
use std::time::Duration;

/// What a look gives: what was found, and the value to export.
pub(in crate::checks) type FnResult = Result<(String, String), CheckFailure>;

impl From<FnResult> for Finding {
    fn from(verdict: FnResult) -> Self {
        match verdict {
            Ok((found, value)) => Self::pass(found, value),
            Err(failure) => failure.into(),
        }
    }
}

/// It holds: what was found, its `{}` replaced, and the value to export. Never inlined, as the others: there are many.
#[inline(never)]
pub(in crate::checks) fn held(found: &str, parts: &[&str], value: &str) -> FnResult {
    Ok((fill(found, parts), value.to_string()))
}

/// It does not hold, but may on another look: a line of what was found and one of what to do, each `{}` replaced
/// by the next of `parts`.
#[inline(never)]
pub(in crate::checks) fn failure(template: &str, parts: &[&str]) -> CheckFailure {
    let (found, remedy) = template.split_once('\n').unwrap_or((template, ""));
    let used = found.bytes().filter(|byte| *byte == b'{').count();
    let (first, rest) = parts.split_at(used.min(parts.len()));
    CheckFailure::new(fill(found, first), fill(remedy, rest))
}

/// [`failure`], where a verdict is asked for.
#[inline(never)]
pub(in crate::checks) fn fail<T>(template: &str, parts: &[&str]) -> Result<T, CheckFailure> {
    Err(failure(template, parts))
}

/// A small file of the system's, as text.
#[inline(never)]
pub(in crate::checks) fn text(facts: &Facts, path: &str) -> io::Result<String> {
    let bytes = facts.system.read(path, 1 << 20)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Keys that every kind has.
pub(in crate::checks) const COMMON: &str =
    "any_of, as_user, export, hint, interval, level, wait, when_env, when_exists, when_missing";

/// How long a look may take that says nothing of it, where it may block at all.
pub(in crate::checks) const LOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// A check whose words are made when its table is read.
pub(in crate::checks) struct FnCheck {
    /// As [`Evaluate::subject`].
    pub subject: String,
    /// As [`Evaluate::expected`].
    pub expected: String,
    /// How long one look may take; zero when it cannot block.
    pub patience: Duration,
    /// Whether the value that it finds must not be shown.
    pub secret: bool,
    /// The look.
    pub look: Box<dyn Fn(&Facts) -> FnResult>,
}

impl Evaluate for FnCheck {
    fn subject(&self) -> String {
        self.subject.trim_end().to_string()
    }

    fn expected(&self) -> String {
        self.expected.clone()
    }

    fn evaluate(&self, facts: &Facts) -> Finding {
        (self.look)(facts).into()
    }

    fn is_secret(&self, _: &Finding) -> bool {
        self.secret
    }

    fn may_block(&self, _: &Facts) -> bool {
        !self.patience.is_zero()
    }

    fn patience(&self) -> Duration {
        self.patience.max(LOOK_TIMEOUT)
    }
}

/// Several things that one check asks for, each looked at: all that do not hold are told.
pub(in crate::checks) fn all(looks: Vec<Result<String, CheckFailure>>, value: &str) -> FnResult {
    let mut found: Vec<String> = Vec::new();
    let mut failed: Option<CheckFailure> = None;
    for look in looks {
        match (look, &mut failed) {
            (Ok(text), _) => found.push(text),
            (Err(failure), None) => failed = Some(failure),
            (Err(failure), Some(first)) => {
                first.found.push_str("; ");
                first.found.push_str(&failure.found);
                first.remedy.push_str("; ");
                first.remedy.push_str(&failure.remedy);
                // All must hold: one that never will is enough to know.
                first.may_change &= failure.may_change;
            }
        }
    }
    found.retain(|text| !text.is_empty());
    failed.map_or_else(|| held("{}", &[&found.join("; ")], value), Err)
}

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
        let listed: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        table.fault(key, &["expected ", &listed.join(" or "), &hint].concat());
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
    let anywhere = ["(?:.|\n)*(?:", &text, ")(?:.|\n)*"].concat();
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
    let known = |key: &str| keys.split(", ").chain(COMMON.split(", ")).any(|known| known == key);
    if !asks && table.entries().iter().all(|entry| known(&entry.key)) {
        table.fault_here(&["asserts nothing; expected one of ", keys].concat());
    }
}

/// Adds to a list of what is expected: `a, b`.
pub(in crate::checks) fn add(expected: &mut String, parts: &[&str]) {
    if !expected.is_empty() {
        expected.push_str(", ");
    }
    parts.iter().for_each(|part| expected.push_str(part));
}
