//! `[signals]`: what a signal that rinit receives means.

use crate::config::read::table::{Table, signal};
use crate::config::source::document::{Entry, Value};
use crate::model::{ServiceId, Signal, SignalRule};
use crate::text::suggest::did_you_mean;
use crate::text::template::fill;

const EXPECTED: &str = "\"stop\", \"ignore\", another signal, or { service = \"web\", signal = \"USR1\" }";

/// Reads the table. A signal is replaced once, so that two of them may change places. `services` are the names of all services, by id.
pub fn read(table: &Table<'_>, services: &[&str]) -> Vec<(Signal, SignalRule)> {
    let mut rules: Vec<(Signal, SignalRule)> = Vec::new();
    for entry in table.entries() {
        let fault = |why: String| table.reading().fault(entry.at, fill!("signals.{}: {}", entry.key, why));
        let received = match signal(&entry.key) {
            Ok(Signal::KILL | Signal::STOP) => {
                fault("no process can catch it; expected another signal".into());
                continue;
            }
            Ok(Signal::CHLD) => {
                fault("rinit needs it for itself; expected another signal".into());
                continue;
            }
            Ok(received) => received,
            Err(why) => {
                fault(why);
                continue;
            }
        };
        if rules.iter().any(|(known, _)| *known == received) {
            fault("has a meaning already, under its other name; keep one of them".into());
        }
        if let Some(rule) = rule(table, entry, received, services) {
            rules.push((received, rule));
        }
    }
    rules
}

fn rule(table: &Table<'_>, entry: &Entry, received: Signal, services: &[&str]) -> Option<SignalRule> {
    let path = fill!("signals.{}", entry.key);
    let reading = table.reading();
    let fault = |why: &str| reading.fault(entry.node.at, fill!("{}: {}", path, why));
    match &entry.node.value {
        Value::Text(raw) => match table.expand_node(&entry.key, &entry.node, raw)?.as_str() {
            "stop" => Some(SignalRule::Stop),
            "ignore" => Some(SignalRule::Ignore),
            word => match Signal::parse(word) {
                Some(Signal::KILL | Signal::STOP | Signal::CHLD) | None => {
                    let hint = did_you_mean(raw, ["stop", "ignore"].into_iter().chain(Signal::names()));
                    fault(&format!("found \"{raw}\", expected {EXPECTED}{hint}"));
                    None
                }
                Some(other) if other == received => {
                    fault("stands for itself; expected another signal, or drop the key");
                    None
                }
                Some(other) => Some(SignalRule::As(other)),
            },
        },
        Value::Table(_) => {
            let below = Table::open(reading, path, entry.at, &entry.node)?;
            let sent = below.signal("signal").unwrap_or(received);
            let name = below.text("service");
            if !below.has("service") {
                below.fault_here("names no service; expected { service = \"web\", signal = \"USR1\" }");
            }
            let to = name.and_then(|name| {
                let index = services.iter().position(|known| *known == name);
                if index.is_none() {
                    let hint = did_you_mean(&name, services.iter().copied());
                    below.fault("service", &fill!("there is no service \"{}\"{}", name, hint));
                }
                index.and_then(|index| u16::try_from(index).ok())
            });
            below.close();
            to.map(|to| SignalRule::To(ServiceId(to), sent))
        }
        other => {
            fault(&format!("found {}, expected {EXPECTED}", other.kind()));
            None
        }
    }
}
