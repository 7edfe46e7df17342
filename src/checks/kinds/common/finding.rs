//! What a look has found, in words.

use crate::checks::{CheckFailure, Facts, Finding, LookResult};
use crate::text::template::{self, fill_places};
use std::io;

/// It does not hold, but may on another look: what was found; what to do. Each is a template with its parts.
macro_rules! failure {
    ($found:literal $(, $part:expr)*; $remedy:literal $(, $of_remedy:expr)* $(,)?) => {{
        const _: () = $crate::text::template::check($found, $crate::text::template::count!($($part),*));
        const _: () = $crate::text::template::check($remedy, $crate::text::template::count!($($of_remedy),*));
        // In one text, which each of many calls is shorter by.
        $crate::checks::kinds::common::finding::fill_both(
            concat!($found, "\n", $remedy),
            &[$($part,)* $($of_remedy),*],
        )
    }};
}

/// [`failure!`], where a result is asked for.
macro_rules! fail {
    ($($failure:tt)*) => { Err($crate::checks::kinds::common::finding::failure!($($failure)*)) };
}

/// It holds: what was found, a template with its parts; the value to export.
macro_rules! held {
    ($found:expr $(, $part:expr)*; $value:expr) => {
        {
            const _: () = $crate::text::template::check($found, $crate::text::template::count!($($part),*));
            $crate::checks::kinds::common::finding::pass($found, &[$($part),*], $value)
        }
    };
}

pub(in crate::checks) use {fail, failure, held};

/// For [`failure!`]. Never inlined, as the next: there are many.
#[inline(never)]
pub(in crate::checks) fn fill_both(template: &str, parts: &[&str]) -> CheckFailure {
    let (found, remedy) = template.split_once('\n').unwrap_or((template, ""));
    let (first, rest) = parts.split_at(template::places(found).min(parts.len()));
    CheckFailure::new(fill_places(found, first), fill_places(remedy, rest))
}

/// For [`held!`].
#[inline(never)]
pub(in crate::checks) fn pass(found: &str, parts: &[&str], value: &str) -> LookResult {
    Ok(Finding::pass(fill_places(found, parts), value.to_string()))
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
