//! The conditions `when_env`, `when_exists` and `when_missing`, the same on every table that has them.

use super::env_file::check_name;
use super::table::Table;
use crate::text::gather::Gather;

/// Whether a table is on. All conditions that it names must hold; the first that does not is the reason.
/// A variable that a check may yet export counts as holding.
pub fn condition(table: &Table<'_>) -> Result<(), String> {
    let scope = &table.reading().scope;
    let mut off = None;
    if let Some(text) = table.text("when_env") {
        if check_name(parts(&text).0).is_err() {
            table.fault("when_env", "names no variable; expected \"NAME\", \"!NAME\" or \"NAME=one|two\"");
        }
        off = environment(&text, scope).err();
    }
    for (key, wanted, why) in [("when_exists", true, " does not exist"), ("when_missing", false, " exists")] {
        let Some(path) = table.text(key) else { continue };
        if !path.starts_with('/') {
            table.fault(key, "is not an absolute path; expected one that begins with \"/\"");
        }
        if (scope.exists)(&path) != wanted {
            off.get_or_insert_with(|| [path.as_str(), why].concat());
        }
    }
    off.map_or(Ok(()), Err)
}

/// `NAME` (set and not empty), `!NAME`, or `NAME=one|two`: the name, whether it is negated, and the values. Blanks around
/// a part are not meant.
fn parts(text: &str) -> (&str, bool, Option<Vec<&str>>) {
    let (name, values) = text.split_once('=').map_or((text, None), |(name, values)| (name, Some(values)));
    let (name, negated) = name.trim().strip_prefix('!').map_or((name, false), |name| (name, true));
    (name.trim(), negated, values.map(|values| values.split('|').map(str::trim).gather()))
}

fn environment(text: &str, scope: &super::interpolate::Scope<'_>) -> Result<(), String> {
    let (name, negated, wanted) = parts(text);
    let value = (scope.variable)(name).filter(|value| !value.is_empty());
    if value.is_none() && scope.later.iter().any(|later| later == name) {
        return Ok(());
    }
    let holds = match &wanted {
        None => value.is_some(),
        Some(values) => values.contains(&value.as_deref().unwrap_or("")),
    };
    if holds != negated {
        return Ok(());
    }
    let is = if negated { "is" } else { "is not" };
    Err(format!("{name} {is} {}", wanted.map_or_else(|| "set".into(), |values| values.join(" or "))))
}
