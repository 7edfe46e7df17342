//! `restart`, `restart_policy`, and the ends that they speak of.

use crate::config::read::table::{Table, one_of, signal};
use crate::config::source::document::Value;
use crate::model::{ExitStatus, RateLimit, Restart, RestartPolicy, ServiceType};
use crate::text::template::fill;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Reads both. What `[defaults]` says of `restart` does not hold for `main`, which ends when its program does.
pub fn read(table: &Table<'_>, kind: ServiceType, is_main: bool) -> RestartPolicy {
    let standard = if is_main || kind == ServiceType::Oneshot { Restart::No } else { Restart::OnFailure };
    let written = when(table).filter(|_| !is_main || table.has("restart"));
    let (when, attempts) = written.unwrap_or((standard, None));
    let mut policy = RestartPolicy { when, max_attempts: attempts, ..RestartPolicy::default() };
    if let Some(below) = table.table("restart_policy") {
        limits(&below, &mut policy);
        if when == Restart::No && table.has("restart_policy") && policy.always_on.is_empty() {
            let why = match written {
                Some(_) => "restart is \"no\"; take one of them away",
                None if is_main => "main is not restarted by itself; add restart = \"on-failure\"",
                None => "a oneshot is not restarted by itself; add restart = \"on-failure\"",
            };
            table.fault("restart_policy", &fill!("its max_attempts and delays can never act: {}", why));
        }
        below.close();
    }
    policy
}

fn when(table: &Table<'_>) -> Option<(Restart, Option<u32>)> {
    const KEY: &str = "restart";
    if table.node(KEY).is_some_and(|node| matches!(node.value, Value::Bool(_))) {
        table.fault(KEY, "found a bool, expected a word; write \"no\" or \"always\", with quotation marks");
        return None;
    }
    table.parse(
        KEY,
        "\"no\", \"always\", \"on-failure\", \"on-failure:N\" or \"unless-stopped\"",
        |_| None,
        |text| {
            let Some(times) = text.strip_prefix("on-failure:") else {
                return one_of(text).map(|when| (when, None));
            };
            match times.parse() {
                Ok(0) => Err("0 attempts never act; write \"no\", or \"on-failure\" for no limit".into()),
                Ok(times) => Ok((Restart::OnFailure, Some(times))),
                Err(_) => Err("expected a number of attempts, as in \"on-failure:5\"".into()),
            }
        },
    )
}

fn limits(table: &Table<'_>, policy: &mut RestartPolicy) {
    let delay = table.duration("delay");
    let max_delay = table.duration("max_delay");
    match (delay, max_delay) {
        (Some(delay), Some(most)) if most < delay => {
            table.fault(
                "max_delay",
                "is shorter than delay, so that no wait fits both; raise it, or lower delay",
            );
        }
        // A limit that is written moves the one that is not.
        (Some(delay), None) => policy.max_delay = policy.max_delay.max(delay),
        (None, Some(most)) => policy.delay = policy.delay.min(most),
        _ => {}
    }
    policy.delay = delay.unwrap_or(policy.delay);
    policy.max_delay = max_delay.unwrap_or(policy.max_delay);
    policy.factor = share(table, "factor", 1.0..=1000.0, "1 and at most 1000").unwrap_or(policy.factor);
    policy.jitter = share(table, "jitter", 0.0..=0.5, "0 and at most 0.5").unwrap_or(policy.jitter);
    policy.window = table.duration("window").unwrap_or(policy.window);
    policy.start_limit = rate(table, "start_limit_burst", "start_limit_interval", START_LIMIT_INTERVAL);
    attempts(table, policy);
    policy.never_on = outcomes(table, "never_on");
    policy.always_on = outcomes(table, "always_on");
    if let Some(both) = policy.always_on.iter().find(|end| policy.never_on.contains(end)) {
        let end = match both {
            ExitStatus::Code(code) => code.to_string(),
            ExitStatus::Signal(signal) => signal.to_string(),
        };
        table.fault("always_on", &fill!("{} is in never_on too; keep it in one of them", end));
    }
}

/// `start_limit_interval` where it is not written: that of systemd.
const START_LIMIT_INTERVAL: Duration = Duration::from_secs(10);

/// Reads `[restart]`: a limit that holds for all services together.
pub fn of_container(table: &Table<'_>) -> Option<RateLimit> {
    rate(table, "max_restarts", "window", Duration::MAX)
}

/// Reads a number, and the time in which there may be so many.
fn rate(
    table: &Table<'_>,
    number: &'static str,
    time: &'static str,
    standard: Duration,
) -> Option<RateLimit> {
    let interval = table.duration(time);
    if interval.is_some_and(|span| span.is_zero()) {
        table.fault(time, "found no time at all, expected a duration such as \"10s\"");
    }
    let Some(burst) = table.integer(number, 1, MAX_RATE) else {
        if interval.is_some() && table.node(number).is_none() {
            table.fault(time, &fill!("can never act without {}; add that, or drop it", number));
        }
        return None;
    };
    Some(RateLimit {
        burst: u32::try_from(burst).unwrap_or(u32::MAX),
        interval: interval.unwrap_or(standard),
    })
}

/// The largest number of starts that are remembered.
const MAX_RATE: i64 = 1000;

fn share(table: &Table<'_>, key: &'static str, range: RangeInclusive<f64>, least: &str) -> Option<f64> {
    let number = table.number(key)?;
    if range.contains(&number.value) {
        return Some(number.value);
    }
    table.fault(key, &fill!("found {}, expected at least {}", number.text, least));
    None
}

fn attempts(table: &Table<'_>, policy: &mut RestartPolicy) {
    const KEY: &str = "max_attempts";
    let Some(node) = table.node(KEY) else { return };
    if matches!(&node.value, Value::Text(text) if text == "unlimited") {
        policy.max_attempts = None;
        return;
    }
    let Some(times) = table.integer(KEY, 0, i64::from(u32::MAX)) else { return };
    let times = u32::try_from(times).unwrap_or(u32::MAX);
    if times == 0 {
        table.fault(KEY, "0 attempts never act; write restart = \"no\", or leave it out for no limit");
    } else if table.has(KEY) && policy.max_attempts.is_some_and(|said| said != times) {
        table.fault(KEY, "restart = \"on-failure:N\" has another number; keep one of them");
    }
    policy.max_attempts = policy.max_attempts.or(Some(times));
}

/// A list of exit codes and signals, or one of them.
pub fn outcomes(table: &Table<'_>, key: &'static str) -> Vec<ExitStatus> {
    let Some(node) = table.node(key) else { return Vec::new() };
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let mut ends = Vec::with_capacity(items.len());
    for item in items {
        let Some(text) = table.text_of(key, item, "an exit code or a signal's name") else { continue };
        let end = match text.parse::<i64>() {
            Ok(code) => u8::try_from(code).map(ExitStatus::Code).map_err(|_| {
                format!("found {code}, expected an exit code from 0 to 255, or a signal's name")
            }),
            Err(_) => signal(&text).map(ExitStatus::Signal),
        };
        match end {
            Ok(end) => ends.push(end),
            Err(why) => table.reading().fault(item.at, fill!("{}: {}", table.path_of(key), why)),
        }
    }
    ends
}
