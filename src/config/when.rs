//! The conditions `when_env`, `when_exists` and `when_missing`, the same on every table that has them.

use super::table::Table;

/// Whether a table is on. All conditions that it names must hold; the first that does not is the reason.
/// A variable that a check may yet export counts as holding.
pub fn condition(table: &Table<'_>) -> Result<(), String> {
    let scope = &table.reading().scope;
    let mut off = None;
    if let Some(text) = table.text("when_env") {
        let name = text.split('=').next().unwrap_or_default();
        if name.trim_start_matches('!').trim().is_empty() {
            table.fault("when_env", "names no variable; expected \"NAME\", \"!NAME\" or \"NAME=one|two\"");
        }
        off = environment(&text, scope).err();
    }
    for (key, wanted, why) in [("when_exists", true, " does not exist"), ("when_missing", false, " exists")] {
        let Some(path) = table.text(key) else { continue };
        if path.is_empty() {
            table.fault(key, "is empty; expected a path");
        }
        if (scope.exists)(&path) != wanted {
            off.get_or_insert_with(|| [path.as_str(), why].concat());
        }
    }
    off.map_or(Ok(()), Err)
}

/// `NAME` (set and not empty), `!NAME`, or `NAME=one|two`.
fn environment(text: &str, scope: &super::expand::Scope<'_>) -> Result<(), String> {
    let (name, wanted) = match text.split_once('=') {
        Some((name, values)) => (name, Some(values)),
        None => (text, None),
    };
    let (name, negated) = name.strip_prefix('!').map_or((name, false), |name| (name, true));
    let name = name.trim();
    let value = (scope.variable)(name).filter(|value| !value.is_empty());
    if value.is_none() && scope.later.iter().any(|later| later == name) {
        return Ok(());
    }
    let holds = match (wanted, &value) {
        (None, value) => value.is_some(),
        (Some(values), value) => values.split('|').any(|one| one == value.as_deref().unwrap_or("")),
    };
    if holds != negated {
        return Ok(());
    }
    Err(match (wanted, negated) {
        (None, false) => format!("{name} is not set"),
        (None, true) => format!("{name} is set"),
        (Some(values), false) => format!("{name} is not {}", values.replace('|', " or ")),
        (Some(values), true) => format!("{name} is {}", values.replace('|', " or ")),
    })
}
