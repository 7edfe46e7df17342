//! `[checks.env."*"]` with `prefix`: a variable under the prefix that no check knows is told, with the nearest known one.

use crate::checks::kinds::common::keys::{no_export, no_wait};
use crate::checks::{Blocking, CheckFailure, CheckSpec, Facts, Finding, LookResult};
use crate::config::read::table::Table;
use crate::text::suggest::did_you_mean;
use crate::text::template::fill;

pub fn read(table: &Table<'_>) -> Option<CheckSpec> {
    no_wait(table);
    no_export(table);
    let prefix = table.text("prefix").unwrap_or_default();
    if prefix.is_empty() {
        table.fault("prefix", "is missing; expected what the names begin with, such as \"APP_\"");
    }
    Some(CheckSpec::new(
        fill!("env {}*", prefix),
        "only variables that a check knows".into(),
        Blocking::Never,
        Box::new(move |facts| look(&prefix, facts)),
    ))
}

fn look(prefix: &str, facts: &Facts) -> LookResult {
    let mut found = String::new();
    for (name, _) in facts.environ.iter().filter(|(name, _)| name.starts_with(prefix.as_bytes())) {
        let name = String::from_utf8_lossy(name);
        if facts.known.iter().any(|known| *known == name) {
            continue;
        }
        if !found.is_empty() {
            found.push_str(", ");
        }
        found.push_str(&name);
        found.push_str(
            &did_you_mean(&name, facts.known.iter().map(String::as_str))
                .replace("; ", " (")
                .replace('?', "?)"),
        );
    }
    if found.is_empty() {
        return Ok(Finding { ok: true, found: "no other".into(), ..Finding::default() });
    }
    Err(CheckFailure::for_good(found, "correct the name, or add a check for it".into()))
}
