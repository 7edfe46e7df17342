//! `[checks.env."*"]` with `prefix`: a variable under the prefix that no check knows is told, with the nearest known one.

use crate::checks::kinds::common::keys::{no_export, no_wait};
use crate::checks::{Evaluate, Facts, Finding};
use crate::config::read::table::Table;
use crate::text::suggest::did_you_mean;

struct Under {
    prefix: String,
}

pub fn read(table: &Table<'_>) -> Option<Box<dyn Evaluate>> {
    no_wait(table);
    no_export(table);
    let prefix = table.text("prefix").unwrap_or_default();
    if prefix.is_empty() {
        table.fault("prefix", "is missing; expected what the names begin with, such as \"APP_\"");
    }
    Some(Box::new(Under { prefix }))
}

impl Evaluate for Under {
    fn subject(&self) -> String {
        ["env ", &self.prefix, "*"].concat()
    }

    fn expected(&self) -> String {
        "only variables that a check knows".into()
    }

    fn evaluate(&self, facts: &Facts) -> Finding {
        let mut found = String::new();
        for (name, _) in facts.environ.iter().filter(|(name, _)| name.starts_with(self.prefix.as_bytes())) {
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
            return Finding { ok: true, found: "no other".into(), ..Finding::default() };
        }
        Finding::fail_for_good(found, "correct the name, or add a check for it".into())
    }
}
