//! `[control]`: where the control socket is, and who may use it.

use crate::config::ControlSettings;
use crate::config::read::table::Table;

/// Reads the table.
pub fn read(table: &Table<'_>) -> ControlSettings {
    let socket = table.text("socket");
    let fits =
        |name: &str| name == "none" || name.len() > 1 && name.starts_with(['/', '@']) && name.len() < 108;
    if socket.as_ref().is_some_and(|name| !fits(name)) {
        table.fault("socket", "expected a path from \"/\" on of at most 107 bytes, \"@NAME\", or \"none\"");
    }
    ControlSettings {
        socket,
        allow: table.list("allow").unwrap_or_default(),
        read_only: table.list("read_only").unwrap_or_default(),
    }
}
