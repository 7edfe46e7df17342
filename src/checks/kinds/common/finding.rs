//! What a look has found, in words.

use crate::checks::{CheckFailure, Facts, Finding, LookResult};
use crate::text::template::{self, fill_places};
use std::io;

/// It does not hold, but may on another look: what was found; what to do. Each is a template with its parts.
macro_rules! failure {
    ($found:expr $(, $part:expr)*; $remedy:expr $(, $of_remedy:expr)* $(,)?) => {{
        use $crate::checks::kinds::common::finding::FailureTemplate;
        const TEMPLATE: FailureTemplate = FailureTemplate::new(
            $found,
            $crate::text::template::count!($($part),*),
            $remedy,
            $crate::text::template::count!($($of_remedy),*),
        );
        TEMPLATE.fill(&[$($part,)* $($of_remedy),*])
    }};
}

/// [`failure!`], where a result is asked for.
macro_rules! fail {
    ($($failure:tt)*) => { Err($crate::checks::kinds::common::finding::failure!($($failure)*)) };
}

/// It holds: what was found, a template with its parts; the value to export.
macro_rules! held {
    ($found:expr $(, $part:expr)*; $value:expr) => {
        Ok($crate::checks::Finding::pass($crate::text::template::fill!($found $(, $part)*), $value.to_string()))
    };
}

pub(in crate::checks) use {fail, failure, held};

/// What was found, and what to do, with places for parts.
pub(in crate::checks) struct FailureTemplate {
    found: &'static str,
    remedy: &'static str,
    /// How many of the parts are for `found`.
    of_found: usize,
}

impl FailureTemplate {
    /// Counts the places, when rinit is compiled.
    pub const fn new(found: &'static str, of_found: usize, remedy: &'static str, of_remedy: usize) -> Self {
        template::check(found, of_found);
        template::check(remedy, of_remedy);
        Self { found, remedy, of_found }
    }

    /// Never inlined: there are many.
    #[inline(never)]
    pub fn fill(&self, parts: &[&str]) -> CheckFailure {
        let (found, remedy) = parts.split_at(self.of_found.min(parts.len()));
        CheckFailure::new(fill_places(self.found, found), fill_places(self.remedy, remedy))
    }
}

/// A small file of the system's, as text.
#[inline(never)]
pub(in crate::checks) fn text(facts: &Facts, path: &str) -> io::Result<String> {
    let bytes = facts.system.read(path, 1 << 20)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Several things that one check asks for, each looked at: all that do not hold are told.
pub(in crate::checks) fn all(looks: Vec<Result<String, CheckFailure>>, value: &str) -> LookResult {
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
    failed.map_or_else(|| Ok(Finding::pass(found.join("; "), value.to_string())), Err)
}

/// Adds to a list of what is expected: `a, b`.
pub(in crate::checks) fn add(expected: &mut String, parts: &[&str]) {
    if !expected.is_empty() {
        expected.push_str(", ");
    }
    parts.iter().for_each(|part| expected.push_str(part));
}
