//! `[hooks]`, and `command = { directory = … }` of a oneshot.

use super::service::export_names;
use crate::config::read::condition;
use crate::config::read::scalar;
use crate::config::read::table::Table;
use crate::config::source::document::{Node, Value};
use crate::config::{ExportEnv, HookRules, HookSettings};
use crate::text::gather::Gather;
use crate::text::template::fill;
use std::time::Duration;

/// How long a hook may take where nothing else is said.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);

/// The word by which rinit's own file is told to run a directory.
pub const HOOKS_WORD: &str = "--run-hooks";
/// The word behind a directory that is trusted.
pub const TRUSTED_WORD: &str = "trusted";

/// Reads `[hooks]`.
pub fn read(table: &Table<'_>) -> HookSettings {
    const KEY: &str = "before_start";
    let off = condition::condition(table).err();
    let mut before_start = Vec::new();
    if let Some(node) = table.node(KEY) {
        let items = match &node.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let path = |node: &Node| Some((table.text_of(KEY, node, "a path")?, node.at));
        before_start.extend(items.iter().filter_map(path));
        if before_start.iter().any(|(path, _)| !path.starts_with('/')) {
            table.fault(
                KEY,
                "is not an absolute path; expected a directory, or a file, that begins with \"/\"",
            );
        }
    }
    let export_env = if table.has("export_env") {
        export_names(table)
    } else {
        table.ignore(&["export_env"]);
        Some(ExportEnv::All)
    };
    let rules = HookRules {
        timeout: timeout(table),
        trusted: table.flag("trusted").unwrap_or(false),
        export_env: export_env.map(Box::new),
    };
    HookSettings { off, before_start, rules }
}

fn timeout(table: &Table<'_>) -> Option<Duration> {
    let timeout = table.duration_or_none("timeout").unwrap_or(Some(DEFAULT_TIMEOUT));
    if timeout.is_some_and(|timeout| timeout.is_zero()) {
        table.fault("timeout", "found no time at all, expected a duration, or \"none\" for no limit");
    }
    timeout
}

/// The names that hooks may hand on, as far as the file lists them: they are known once hooks have run, and not before.
#[must_use]
pub fn names(root: &Node) -> Vec<String> {
    let listed = root.get("hooks").and_then(|hooks| hooks.get("export_env"));
    let Some(Node { value: Value::List(items), .. }) = listed else { return Vec::new() };
    let text = |item: &Node| if let Value::Text(name) = &item.value { Some(name.clone()) } else { None };
    items.iter().filter_map(text).gather()
}

/// The words that run a directory, from `command`'s table.
pub fn command(table: &Table<'_>) -> Vec<String> {
    let directory = table.text("directory");
    match directory.as_deref() {
        None => table.fault_here("has no directory; expected command = { directory = \"/etc/cont-init.d\" }"),
        Some(path) => {
            scalar::is_absolute(table, "directory", path);
        }
    }
    let timeout =
        timeout(table).map_or_else(|| "none".into(), |span| fill!("{}ms", &span.as_millis().to_string()));
    let trusted = table.flag("trusted").unwrap_or(false).then(|| TRUSTED_WORD.to_string());
    let words = ["/proc/self/exe".into(), HOOKS_WORD.into(), timeout, directory.unwrap_or_default()];
    words.into_iter().chain(trusted).gather()
}
