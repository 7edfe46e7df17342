//! `pre_start`, `post_start`, `pre_stop` and `post_stop` of a service.

use super::{DEFAULTS, words};
use crate::config::HookCommands;
use crate::config::read::table::Table;
use crate::config::source::document::Value;
use crate::model::{HookKind, HookTimeouts, ServiceType};
use std::time::Duration;

/// How long a hook may take if nothing else is said: as much as `[hooks]` gives a script before the start, as much as
/// `stop_grace_period` after a stop. For `pre_stop` the grace period is the limit.
const DEFAULT_TIMEOUTS: [Duration; 4] =
    [Duration::from_secs(300), Duration::from_secs(300), Duration::MAX, Duration::from_secs(10)];

/// Reads the hooks of a service that stops within `grace`. Both are `None` if it has none.
pub fn read(
    table: &Table<'_>,
    kind: ServiceType,
    grace: Duration,
) -> (Option<Box<HookTimeouts>>, Option<Box<HookCommands>>) {
    let (mut timeouts, mut commands) = (HookTimeouts::default(), HookCommands::default());
    let each = timeouts.0.iter_mut().zip(&mut commands.0).zip(DEFAULT_TIMEOUTS);
    for (hook, ((limit, argv), standard)) in HookKind::ALL.into_iter().zip(each) {
        let key = hook.key();
        let Some(node) = table.node(key) else { continue };
        let (command, timeout) = match node.value {
            Value::Table(_) => of_table(table, key),
            _ => (table.command(key), None),
        };
        *limit = Some(timeout.unwrap_or(standard));
        *argv = words(command.unwrap_or_default());
        if hook == HookKind::PostStart && kind == ServiceType::Oneshot && table.path != DEFAULTS {
            table.fault(
                key,
                "a oneshot is done when it ends: let post_stop do this, or a service that depends on it",
            );
        }
        if hook == HookKind::PreStop && timeout.is_some_and(|timeout| timeout >= grace) {
            table.fault(
                key,
                "its timeout can never act: stop_grace_period ends it before; lower it, or raise that",
            );
        }
    }
    if timeouts == HookTimeouts::default() {
        return (None, None);
    }
    (Some(Box::new(timeouts)), Some(Box::new(commands)))
}

/// Reads `{ command, timeout }`.
fn of_table(table: &Table<'_>, key: &'static str) -> (Option<Vec<String>>, Option<Duration>) {
    let Some(below) = table.table(key) else { return (None, None) };
    let (command, timeout) = (below.command("command"), below.duration("timeout"));
    if below.node("command").is_none() {
        below.fault_here(
            "has no command; expected { command = [\"program\", \"argument\"], timeout = \"5s\" }",
        );
    }
    if timeout.is_some_and(|timeout| timeout.is_zero()) {
        below.fault("timeout", "found no time at all, expected a duration such as \"5s\"");
    }
    below.close();
    (command, timeout)
}
