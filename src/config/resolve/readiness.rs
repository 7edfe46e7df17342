//! `notify`, `watchdog`, `pid_file`, `fd_store`: how a service reports on itself.

use super::DEFAULTS;
use crate::config::read::table::Table;
use crate::config::source::document::Value;
use crate::config::{NotifyChannel, NotifySettings};
use crate::model::{ReadinessRules, ServiceType};

/// A descriptor below is standard input, output or error.
const MIN_FD: i32 = 3;
/// The largest number that fits every limit of open files.
const MAX_FD: i32 = 255;

/// The largest number of descriptors that are kept for a service.
const MAX_STORED: i64 = 253;

/// The keys that need `notify = "systemd"`, or something of the kind.
const KEYS: [&str; 4] = ["notify", "watchdog", "pid_file", "fd_store"];

/// Reads the keys: what the supervisor decides by, and what the shell needs.
pub fn read(table: &Table<'_>, kind: ServiceType) -> Option<(ReadinessRules, NotifySettings)> {
    let channel = channel(table);
    let pid_file = pid_file(table);
    let watchdog = table.duration("watchdog");
    let fd_store = table.integer("fd_store", 0, MAX_STORED).and_then(|most| u16::try_from(most).ok());
    if watchdog.is_some_and(|span| span.is_zero()) {
        table.fault("watchdog", "found no time at all, expected a duration such as \"30s\"");
    }
    if kind == ServiceType::Oneshot && table.path != DEFAULTS {
        // What `[defaults]` says is for daemons.
        for key in KEYS.into_iter().filter(|key| table.has(key)) {
            table.fault(key, "a oneshot is done when it exits 0, and reports nothing; drop it, or make it type = \"daemon\"");
        }
        return None;
    }
    if channel != Some(NotifyChannel::Socket) {
        for key in ["watchdog", "fd_store"].into_iter().filter(|key| table.has(key)) {
            table.fault(
                key,
                "can never act: it is about messages to a NOTIFY_SOCKET; add notify = \"systemd\", or drop the key",
            );
        }
    }
    if channel.is_none() && pid_file.is_none() {
        return None;
    }
    let watchdog = watchdog.filter(|_| channel == Some(NotifyChannel::Socket));
    let rules = ReadinessRules { notifies: channel.is_some(), forks: pid_file.is_some(), watchdog };
    Some((rules, NotifySettings { channel, watchdog, pid_file, fd_store: fd_store.unwrap_or(0) }))
}

fn channel(table: &Table<'_>) -> Option<NotifyChannel> {
    const EXPECTED: &str = "\"systemd\", or the number of a descriptor from 3 to 255 (s6)";
    let of_number =
        |number: i32| (MIN_FD..=MAX_FD).contains(&number).then_some(NotifyChannel::Descriptor(number));
    let other = |value: &Value| match value {
        Value::Integer(number) => i32::try_from(*number).ok().and_then(of_number),
        _ => None,
    };
    table.parse("notify", EXPECTED, other, |text| match text {
        "systemd" => Ok(NotifyChannel::Socket),
        _ => text.parse().ok().and_then(of_number).ok_or_else(|| ["expected ", EXPECTED].concat()),
    })
}

fn pid_file(table: &Table<'_>) -> Option<String> {
    const KEY: &str = "pid_file";
    let path = table.text(KEY)?;
    if !path.starts_with('/') {
        table.fault(KEY, "is not an absolute path; expected one such as \"/run/app.pid\"");
    }
    Some(path)
}
