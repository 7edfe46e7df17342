//! What a variable has to do with others: `requires`, `conflicts`, `required_when`, `unset`, `deprecated`, `renamed_from`.

use crate::checks::read::variable_name;
use crate::checks::{Facts, Finding};
use crate::config::read::table::Table;
use crate::text::gather::Gather;
use crate::text::template::fill;

/// The keys that name other variables, or speak of the name itself.
#[derive(Default)]
pub struct Relations {
    requires: Vec<String>,
    conflicts: Vec<String>,
    pub required_when: Option<When>,
    /// It must not be set.
    pub unset: bool,
    /// What to use instead.
    deprecated: Option<String>,
    pub renamed_from: Option<String>,
}

/// `MODE=prod`, `MODE=prod|stage`, or `MODE` (set and not empty).
pub struct When {
    pub name: String,
    pub value: String,
}

impl When {
    pub fn holds(&self, facts: &Facts) -> bool {
        let value = facts.environ.get_full(&self.name);
        match self.value.as_str() {
            "set" => value.is_some(),
            values => value.is_some_and(|value| values.split('|').any(|one| one.trim() == value)),
        }
    }
}

pub fn read(name: &str, table: &Table<'_>) -> Relations {
    let names = |key: &'static str| {
        let list = table.list(key);
        if list.as_ref().is_some_and(|list| {
            list.is_empty() || list.iter().any(|other| other == name || !variable_name(other))
        }) {
            table.fault(key, "expected the names of other variables");
        }
        list.unwrap_or_default()
    };
    let required_when = table.text("required_when").map(|text| {
        let (other, value) = text.split_once('=').unwrap_or((&text, "set"));
        let (other, value) = (other.trim(), value.trim());
        if !variable_name(other) || other == name || value.is_empty() {
            let message = "expected another variable: \"NAME=value\", \"NAME=one|two\" or \"NAME\"";
            table.fault("required_when", message);
        }
        When { name: other.to_string(), value: value.to_string() }
    });
    let renamed_from = table.text("renamed_from");
    if renamed_from.as_ref().is_some_and(|old| old == name || !variable_name(old)) {
        table.fault("renamed_from", "expected the name that the variable had before");
    }
    Relations {
        requires: names("requires"),
        conflicts: names("conflicts"),
        required_when,
        unset: table.flag("unset").unwrap_or(false),
        deprecated: table.text("deprecated"),
        renamed_from,
    }
}

impl Relations {
    /// What they ask for while the variable is set, in words that follow its form.
    pub fn words(&self) -> String {
        let mut words = String::new();
        for (what, names) in [(", together with ", &self.requires), (", without ", &self.conflicts)] {
            if !names.is_empty() {
                words.push_str(what);
                words.push_str(&names.join(" and "));
            }
        }
        words
    }

    /// The variables that are named.
    pub fn others(&self) -> Vec<String> {
        let when = self.required_when.as_ref().map(|when| &when.name);
        let all = self.requires.iter().chain(&self.conflicts).chain(&self.renamed_from).chain(when);
        all.cloned().gather()
    }

    /// The value under the old name, which is taken over.
    pub fn old_value(&self, facts: &Facts) -> Option<(&str, String)> {
        let old = self.renamed_from.as_deref()?;
        Some((old, facts.environ.get_full(old)?))
    }

    /// Adds to what was found of the variable itself what follows from the others.
    pub fn evaluate(&self, name: &str, facts: &Facts, finding: &mut Finding) {
        let set = |name: &String| facts.environ.has_full(name);
        if let Some((old, _)) = self.old_value(facts) {
            finding.warnings.push(fill!("{} is now called {}; set {} instead", old, name, name));
        }
        let related = self.deprecated.is_some() || !self.requires.is_empty() || !self.conflicts.is_empty();
        if !related || !facts.environ.has_full(name) {
            return;
        }
        if let Some(instead) = &self.deprecated {
            finding.warnings.push(fill!("{} is deprecated: {}", name, instead));
        }
        let failed = match (
            self.requires.iter().find(|other| !set(other)),
            self.conflicts.iter().find(|other| set(other)),
        ) {
            (Some(other), _) => {
                (fill!("{} set without {}", name, other), fill!("set {} too, or drop {}", other, name))
            }
            (None, Some(other)) => {
                (fill!("both {} and {}", name, other), fill!("set only one of {} and {}", name, other))
            }
            (None, None) => return,
        };
        if finding.ok {
            let warnings = std::mem::take(&mut finding.warnings);
            *finding = Finding { warnings, ..Finding::fail_for_good(failed.0, failed.1) };
        }
    }
}
