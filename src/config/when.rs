//! The conditions `when_env`, `when_exists` and `when_missing`, the same on every table that has them.

use super::table::Table;

/// Whether a table is on. All conditions that it names must hold; the first that does not is the reason.
/// A variable that a check may yet export counts as holding.
pub fn condition(table: &Table<'_>) -> Result<(), String> {
    let scope = &table.reading().scope;
    let mut off = None;
    if let Some(text) = table.text("when_env")
        && let Err(why) = environment(&text, scope)
    {
        off.get_or_insert(why);
    }
    if let Some(path) = table.text("when_exists")
        && !(scope.exists)(&path)
    {
        off.get_or_insert(format!("{path} does not exist"));
    }
    if let Some(path) = table.text("when_missing")
        && (scope.exists)(&path)
    {
        off.get_or_insert(format!("{path} exists"));
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
