//! What most kinds are made of: words that are known as soon as their table has been read, and one look.

use super::{Facts, Failure, Finding, Judge, quoted};
use crate::config::fault::did_you_mean;
use crate::config::table::Table;
use std::time::Duration;

/// What a look gives: what was found, and the value to export.
pub(super) type Verdict = Result<(String, String), Failure>;

/// It holds: what was found, in parts, and the value to export. Never inlined, as [`fail`]: there are many.
#[inline(never)]
pub(super) fn held(found: &[&str], value: &str) -> Verdict {
    Ok((found.concat(), value.to_string()))
}

/// It does not hold, but may on another look: what was found and what to do, in parts.
#[inline(never)]
pub(super) fn failure(found: &[&str], remedy: &[&str]) -> Failure {
    Failure::new(found.concat(), remedy.concat())
}

/// [`failure`], where a verdict is asked for.
#[inline(never)]
pub(super) fn fail<T>(found: &[&str], remedy: &[&str]) -> Result<T, Failure> {
    Err(failure(found, remedy))
}

/// How long a look may take that says nothing of it, where it may block at all.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A check whose words are made when its table is read.
pub(super) struct Asked {
    /// As [`Judge::subject`].
    pub subject: String,
    /// As [`Judge::expected`].
    pub expected: String,
    /// How long one look may take; zero when it cannot block.
    pub patience: Duration,
    /// The look.
    pub look: Box<dyn Fn(&Facts) -> Verdict>,
}

impl Judge for Asked {
    fn subject(&self) -> String {
        self.subject.trim_end().to_string()
    }

    fn expected(&self) -> String {
        self.expected.clone()
    }

    fn judge(&self, facts: &Facts) -> Finding {
        match (self.look)(facts) {
            Ok((found, value)) => Finding::pass(found, value),
            Err(failure) => failure.into(),
        }
    }

    fn may_block(&self) -> bool {
        !self.patience.is_zero()
    }

    fn patience(&self) -> Duration {
        self.patience.max(PATIENCE)
    }
}

/// A key that says one of these words.
pub(super) fn word(table: &Table<'_>, key: &'static str, words: &[&'static str]) -> Option<&'static str> {
    let text = table.text(key)?;
    let known = words.iter().find(|word| **word == text);
    if known.is_none() {
        let hint = did_you_mean(&text, words.iter().copied());
        let listed: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        table.fault(key, &["expected ", &listed.join(" or "), &hint].concat());
    }
    known.copied()
}

/// How long one attempt may take.
pub(super) fn timeout(table: &Table<'_>, default: Duration) -> Duration {
    let timeout = table.duration("timeout").unwrap_or(default);
    if timeout.is_zero() {
        table.fault("timeout", "is zero; expected some time for an answer");
    }
    timeout
}

/// Adds to a list of what is expected: `a, b`.
pub(super) fn add(expected: &mut String, parts: &[&str]) {
    if !expected.is_empty() {
        expected.push_str(", ");
    }
    parts.iter().for_each(|part| expected.push_str(part));
}
