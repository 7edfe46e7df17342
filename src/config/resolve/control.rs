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
    let http = table.text("http");
    let is_address = |text: &str| match text.strip_prefix(':') {
        Some(port) => port.parse().is_ok_and(|port: u16| port > 0),
        None => text.parse().is_ok_and(|address: std::net::SocketAddr| address.port() > 0),
    };
    if http.as_ref().is_some_and(|text| !is_address(text)) {
        table.fault("http", "expected \":PORT\" for every address, or \"IP:PORT\", such as \":8081\"");
    }
    ControlSettings {
        http,
        socket,
        allow: table.list("allow").unwrap_or_default(),
        read_only: table.list("read_only").unwrap_or_default(),
    }
}
