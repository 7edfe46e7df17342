//! `schedule`: a cron line, or a table with one.

use super::{DEFAULTS, NOTHING};
use crate::config::read::interpolate::Scope;
use crate::config::read::table::Table;
use crate::config::source::document::{Node, Value};
use crate::model::cron::CronLine;
use crate::model::time_zone::TimeZone;
use crate::model::{Schedule, ServiceType};
use crate::text::escape::escaped;
use crate::text::template::fill;
use crate::text::units::show_duration;
use std::time::Duration;

const KEY: &str = "schedule";

/// Where the files of time zones are.
const DIRECTORIES: [&str; 2] = ["/usr/share/zoneinfo/", "/etc/zoneinfo/"];

/// What holds where neither `timezone` nor `TZ` says anything, if it is there.
const LOCAL_TIME: &str = "/etc/localtime";

const UTC: &str = "UTC";

/// Returns whether the service itself has a schedule.
pub fn is_written(table: &Table<'_>) -> bool {
    table.has(KEY) && table.path != DEFAULTS
}

/// Reads it from a service, or from `[defaults]`, which may have all of it but the line.
pub fn read(table: &Table<'_>, kind: ServiceType, is_main: bool) -> Option<Box<Schedule>> {
    let node = table.node(KEY)?;
    let (own, in_defaults) = (is_written(table), table.path == DEFAULTS);
    if !own && !in_defaults {
        return None; // What `[defaults]` says without a line is for others.
    }
    let is_table = matches!(node.value, Value::Table(_));
    if in_defaults && (!is_table || node.get("cron").is_some()) {
        table.fault(KEY, "a line is each service's own; write it under [services.NAME]");
        return None;
    }
    if own && is_main {
        table.fault(KEY, "the COMMAND is started at once; give the job a service of its own");
    } else if own && kind != ServiceType::Oneshot {
        table.fault(KEY, "is for a oneshot, which ends by itself; drop type = \"daemon\"");
    }
    let below = if is_table { table.table(KEY)? } else { beside_a_line(table, node)? };
    let line = if is_table { &below } else { table };
    let (text, cron) = line
        .parse(
            if is_table { "cron" } else { KEY },
            "a cron line such as \"30 2 * * *\", or a table with one: { cron = \"30 2 * * *\" }",
            |_| None,
            |text| Ok((Box::from(text), CronLine::parse(text)?)),
        )
        .unzip();
    if own && is_table && !below.has("cron") {
        below.fault_here("has no cron; expected a line such as cron = \"30 2 * * *\"");
    }
    let overlap = below.word("overlap").unwrap_or_default();
    let jitter = jitter(&below, cron.as_ref());
    let zone = zone(&below);
    if is_table {
        below.close();
    }
    let (zone_name, zone) = zone?;
    Some(Box::new(Schedule { line: text?, cron: cron?, zone_name, zone, overlap, jitter })).filter(|_| own)
}

/// The table of which a service has only the line: that of `[defaults]`, or none.
fn beside_a_line<'t>(table: &Table<'t>, node: &Node) -> Option<Table<'t>> {
    match table.inherited(KEY) {
        Some(entry) if matches!(entry.node.value, Value::Table(_)) => {
            Table::open(table.reading(), fill!("{}.{}", DEFAULTS, KEY), entry.at, &entry.node)
        }
        _ => Table::open(table.reading(), table.path_of(KEY), node.at, &NOTHING),
    }
}

fn jitter(table: &Table<'_>, cron: Option<&CronLine>) -> Duration {
    let Some(jitter) = table.duration("jitter") else { return Duration::ZERO };
    if let Some(cron) = cron {
        let gap = Duration::from_secs(60 * u64::try_from(cron.shortest_gap()).unwrap_or(1));
        if jitter >= gap {
            let gap = show_duration(gap);
            table.fault("jitter", &fill!("is not shorter than the time between two runs, which is {}", gap));
        }
    }
    jitter
}

/// The time zone of `timezone`, of TZ, or of the image, with its name.
fn zone(table: &Table<'_>) -> Option<(Box<str>, TimeZone)> {
    const ZONE: &str = "timezone";
    let scope = &table.reading().scope;
    let written = table.node(ZONE).is_some();
    let named = if written { Some(table.text(ZONE)?) } else { None };
    let name = named.or_else(|| (scope.variable)("TZ")).filter(|name| written || !name.is_empty());
    let Some(name) = name else {
        let Ok(bytes) = (scope.start.zone_file)(LOCAL_TIME) else {
            return Some((UTC.into(), TimeZone::default()));
        };
        let Some(zone) = TimeZone::file(&bytes) else {
            table.fault_here(&fill!("{} {}; name a timezone", LOCAL_TIME, NO_ZONE_FILE));
            return None;
        };
        return Some((LOCAL_TIME.into(), zone));
    };
    match find(scope, &name) {
        Ok(zone) => Some((name.into(), zone)),
        Err(why) => {
            let from = if written { "" } else { " (the value of TZ)" };
            let why = fill!("\"{}\"{}: {}", escaped(&name), from, why);
            if written {
                table.fault(ZONE, &why)
            } else {
                table.fault_here(&why)
            }
            None
        }
    }
}

const NO_ZONE_FILE: &str =
    "is no time zone file that rinit can read (TZif of version 2 or later, without leap seconds)";

fn find(scope: &Scope<'_>, name: &str) -> Result<TimeZone, String> {
    let name = name.strip_prefix(':').unwrap_or(name);
    if [UTC, "Etc/UTC", "GMT", "Z"].contains(&name) {
        return Ok(TimeZone::default());
    }
    if let Some(zone) = TimeZone::posix(name) {
        return Ok(zone);
    }
    let paths: Vec<String> = match name.starts_with('/') {
        true => vec![name.to_string()],
        false => DIRECTORIES.iter().map(|directory| [directory, name].concat()).collect(),
    };
    let is_name = !name.is_empty() && !name.split('/').any(|part| part == "..");
    for path in paths.iter().filter(|_| is_name) {
        if let Ok(bytes) = (scope.start.zone_file)(path) {
            return TimeZone::file(&bytes).ok_or_else(|| fill!("{} {}", path, NO_ZONE_FILE));
        }
    }
    Err("the image has no such time zone; install its package tzdata, or write the rule itself, such as \"CET-1CEST,M3.5.0,M10.5.0/3\"".into())
}
