//! What most kinds are made of: words that are known as soon as their table has been read, and one look.

use crate::checks::{CheckFailure, Evaluate, Facts, Finding};
use crate::diagnosis::fill;
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

/// Adds to a list of what is expected: `a, b`.
pub(in crate::checks) fn add(expected: &mut String, parts: &[&str]) {
    if !expected.is_empty() {
        expected.push_str(", ");
    }
    parts.iter().for_each(|part| expected.push_str(part));
}
