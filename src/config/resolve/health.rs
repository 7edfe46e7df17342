//! `healthcheck`: what is probed, and when.

use super::service::owner;
use super::{DEFAULTS, words};
use crate::config::read::table::Table;
use crate::config::source::document::{Node, Value};
use crate::config::{CheckProbe, ProbeSpec, UserSpec};
use crate::model::{HealthRules, ServiceType};
use crate::text::gather::Gather;
use crate::text::regex::Pattern;
use crate::text::template::fill;
use std::ffi::CString;
use std::time::Duration;

const PROBES: [&str; 8] = ["exec", "test", "tcp", "http", "unix", "file", "log", "check"];

/// The healthcheck of a service.
pub struct Healthcheck {
    /// When it probes, and what follows.
    pub rules: HealthRules,
    /// What it probes; `None` only beside a fault.
    pub probe: Option<ProbeSpec>,
    /// Who runs a probe that is a command, if not the service's user.
    pub user: Option<UserSpec>,
}

/// Reads the healthcheck that a service has.
pub fn read(table: &Table<'_>, kind: ServiceType) -> Option<Healthcheck> {
    let below = table.table("healthcheck")?;
    let rules = rules(&below);
    let written: Vec<&'static str> = PROBES.into_iter().filter(|key| below.node(key).is_some()).gather();
    let disabled = below.flag("disable") == Some(true);
    // `[defaults]` alone makes no healthcheck: it has no probe.
    let own = table.has("healthcheck") && table.path != DEFAULTS;
    let mut probe = None;
    let mut none = disabled || !own;
    match written.as_slice() {
        _ if none => {}
        [] => below.fault_here(
            "probes nothing; expected exec = [\"program\"], test = [\"CMD\", \"program\"], tcp = 6379, http = \"http://127.0.0.1:8080/\", unix, file, log or check = \"KIND.NAME\"",
        ),
        keys => {
            let key = latest(&below, keys);
            probe = read_probe(&below, key);
            none = key == "test" && below.node(key).is_some_and(is_none);
        }
    }
    let user = as_user(&below, probe.as_mut());
    below.close();
    if none {
        return None;
    }
    if kind == ServiceType::Oneshot {
        table.fault("healthcheck", "a oneshot is done, not healthy; drop it, or make it type = \"daemon\"");
    }
    Some(Healthcheck { rules, probe, user })
}

/// `as_user`: of a command it is the user that runs it, of a check that whose rights it judges with.
fn as_user(table: &Table<'_>, probe: Option<&mut ProbeSpec>) -> Option<UserSpec> {
    const KEY: &str = "as_user";
    let text = table.text_or_number(KEY)?;
    let (user, group) = text.split_once(':').map_or((&*text, None), |(user, group)| (user, Some(group)));
    [Some(user), group].into_iter().flatten().for_each(|name| owner(table, KEY, name));
    match probe {
        Some(ProbeSpec::Tcp(..) | ProbeSpec::Log(_)) if table.path != DEFAULTS => {
            table.fault(KEY, "can never act: this probe needs no right of any user; drop it");
        }
        Some(ProbeSpec::Check(check)) => check.as_user = Some(text),
        _ => {
            let group = group.map(ToOwned::to_owned);
            return Some(UserSpec { user: user.to_string(), group, ..UserSpec::default() });
        }
    }
    None
}

/// What `[defaults]` may not say of it.
pub fn check_defaults(table: &Table<'_>) {
    let Some(below) = table.table("healthcheck") else { return };
    for entry in below.entries().iter().filter(|entry| PROBES.contains(&entry.key.as_str())) {
        let message = fill!(
            "{}.{}: is each service's own; write it under [services.NAME.healthcheck]",
            below.path,
            entry.key
        );
        table.reading().fault(entry.at, message);
    }
}

/// Of several probes that of the latest file; two in one file contradict each other.
fn latest(table: &Table<'_>, keys: &[&'static str]) -> &'static str {
    let file = |key: &str| {
        table.entry(PROBES.into_iter().find(|k| *k == key).unwrap_or("tcp")).map(|entry| entry.at.file)
    };
    let newest = keys.iter().map(|key| file(key)).max().flatten();
    let mut of_newest = keys.iter().filter(|key| file(key) == newest);
    let first = of_newest.next().copied().unwrap_or("tcp");
    if let Some(second) = of_newest.next() {
        table.fault(second, &fill!("found {} too; a healthcheck has one probe, keep one of them", first));
    }
    first
}

fn is_none(node: &Node) -> bool {
    matches!(&node.value, Value::List(items)
        if matches!(items.first().map(|item| &item.value), Some(Value::Text(word)) if word == "NONE"))
}

fn rules(table: &Table<'_>) -> HealthRules {
    let span = |key, standard: u64| {
        let Some(span) = table.duration(key) else { return Duration::from_millis(standard) };
        if span < Duration::from_millis(1) {
            table.fault(key, "is too short; expected at least \"1ms\"");
        }
        span
    };
    let rules = HealthRules {
        interval: span("interval", 10_000),
        timeout: span("timeout", 5_000),
        retries: table
            .integer("retries", 1, i64::from(u32::MAX))
            .map_or(3, |n| u32::try_from(n).unwrap_or(u32::MAX)),
        start_period: table.duration("start_period").unwrap_or_default(),
        start_interval: span("start_interval", 500),
        on_unhealthy: table.word("on_unhealthy").unwrap_or_default(),
    };
    if table.has("start_interval") && table.node("start_period").is_none() {
        table.fault(
            "start_interval",
            "can never act: it holds during start_period, which is \"0s\"; add start_period",
        );
    }
    rules
}

fn read_probe(table: &Table<'_>, key: &'static str) -> Option<ProbeSpec> {
    match key {
        "exec" => Some(ProbeSpec::Exec(words(table.command(key)?))),
        "test" => test(table).map(ProbeSpec::Exec),
        "tcp" => tcp(table),
        "log" => log(table),
        _ => check(table, key),
    }
}

/// A check: one of the kind that the key names, by its subject or its keys, or one of the file's own.
fn check(table: &Table<'_>, key: &'static str) -> Option<ProbeSpec> {
    let entry = table.entry(key)?;
    let kind = if key == "check" { "" } else { key };
    let mut probe = CheckProbe { kind: kind.into(), at: entry.at, ..CheckProbe::default() };
    match &entry.node.value {
        Value::Table(entries) if key != "check" => {
            probe.name = "healthcheck".into();
            entries.iter().for_each(|entry| entry.write(&mut probe.table));
        }
        _ => probe.name = table.text(key)?,
    }
    Some(ProbeSpec::Check(probe.into()))
}

/// Compose's `test`: a string is for the shell, an array begins with the word that says what it is.
fn test(table: &Table<'_>) -> Option<Vec<CString>> {
    const KEY: &str = "test";
    const EXPECTED: &str =
        "[\"CMD\", \"program\", …], [\"CMD-SHELL\", \"line\"], [\"NONE\"] or a line for the shell";
    let node = table.node(KEY)?;
    let shell = |line: String| vec!["/bin/sh".to_string(), "-c".into(), line];
    let argv = match &node.value {
        Value::Text(_) => shell(table.text(KEY)?),
        Value::List(items) => {
            let form = match items.first().map(|item| &item.value) {
                Some(Value::Text(form)) => form.as_str(),
                _ => "",
            };
            let rest = items.get(1..).unwrap_or(&[]);
            match (form, rest) {
                ("NONE", []) => return None,
                ("CMD", [_, ..]) => table.items(KEY, rest),
                ("CMD-SHELL", [_]) => shell(table.items(KEY, rest).into_iter().next()?),
                _ => {
                    table.fault(KEY, &format!("expected {EXPECTED}; a program's words alone go into exec"));
                    return None;
                }
            }
        }
        _ => {
            table.wrong(KEY, node, EXPECTED);
            return None;
        }
    };
    Some(words(argv))
}

fn tcp(table: &Table<'_>) -> Option<ProbeSpec> {
    const EXPECTED: &str = "a port, or \"host:port\"";
    let port = |value: &Value| match value {
        Value::Integer(number) => {
            u16::try_from(*number).ok().filter(|port| *port > 0).map(|port| local("", port))
        }
        _ => None,
    };
    let (host, port) = table.parse("tcp", "a port from 1 to 65535, or \"host:port\"", port, |text| {
        let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
        let port = port.parse::<u16>().ok().filter(|port| *port > 0);
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/') {
            return Err(format!("expected {EXPECTED}, such as \"db:5432\""));
        }
        if bare == host && host.contains(':') {
            return Err("expected the address in brackets, as in \"[::1]:6379\"".into());
        }
        port.map(|port| local(bare, port))
            .ok_or_else(|| format!("expected {EXPECTED}, the port from 1 to 65535"))
    })?;
    Some(ProbeSpec::Tcp(host, port))
}

/// A pattern that fits anywhere in a line.
fn log(table: &Table<'_>) -> Option<ProbeSpec> {
    const KEY: &str = "log";
    let pattern = table.text(KEY)?;
    if let Err(why) = Pattern::new(&pattern) {
        table.fault(KEY, &fill!("has {}", why));
    } else if pattern.is_empty() {
        table.fault(KEY, "is empty; expected what a line has when it is ready, such as \"ready to accept\"");
    }
    Some(ProbeSpec::Log(pattern))
}

/// A port alone is one of this container.
fn local(host: &str, port: u16) -> (String, u16) {
    (if host.is_empty() { "127.0.0.1".into() } else { host.into() }, port)
}
