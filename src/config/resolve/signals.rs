//! `[signals]`: what a signal that rinit receives means.

use super::depends_on::{Draft, Index, names};
use super::id;
use crate::config::read::table::{Table, signal};
use crate::config::source::document::{Entry, Value};
use crate::model::{Signal, SignalRule};
use crate::text::suggest::did_you_mean;
use crate::text::template::fill;

const EXPECTED: &str =
    "\"stop\", \"reload\", \"ignore\", another signal, or { service = \"web\", signal = \"USR1\" }";

/// Reads the table. A signal is replaced once, so that two of them may change places. One for a replicated service
/// has a rule for each instance.
pub fn read(table: &Table<'_>, drafts: &[Draft], index: &Index<'_>) -> Vec<(Signal, SignalRule)> {
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
        let meaning = meaning(table, entry, received, drafts, index).unwrap_or_default();
        rules.extend(meaning.into_iter().map(|rule| (received, rule)));
    }
    rules
}

fn meaning(
    table: &Table<'_>,
    entry: &Entry,
    received: Signal,
    drafts: &[Draft],
    index: &Index<'_>,
) -> Option<Vec<SignalRule>> {
    let path = fill!("signals.{}", entry.key);
    let reading = table.reading();
    let fault = |why: &str| reading.fault(entry.node.at, fill!("{}: {}", path, why));
    match &entry.node.value {
        Value::Text(raw) => match table.expand_node(&entry.key, &entry.node, raw)?.as_str() {
            "stop" => Some(vec![SignalRule::Stop]),
            "ignore" => Some(vec![SignalRule::Ignore]),
            "reload" => Some(vec![SignalRule::Reload]),
            word => match Signal::parse(word) {
                Some(Signal::KILL | Signal::STOP | Signal::CHLD) | None => {
                    let hint =
                        did_you_mean(raw, ["stop", "reload", "ignore"].into_iter().chain(Signal::names()));
                    fault(&format!("found \"{raw}\", expected {EXPECTED}{hint}"));
                    None
                }
                Some(other) if other == received => {
                    fault("stands for itself; expected another signal, or drop the key");
                    None
                }
                Some(other) => Some(vec![SignalRule::As(other)]),
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
                let found = index.find(drafts, &name);
                if found.is_none() {
                    let hint = did_you_mean(&name, names(drafts));
                    below.fault("service", &fill!("there is no service \"{}\"{}", name, hint));
                }
                found
            });
            below.close();
            let rules = to?.filter_map(id).map(|to| SignalRule::To(to, sent)).collect::<Vec<_>>();
            // Of a replicated service without an instance nobody is there to get it.
            Some(if rules.is_empty() { vec![SignalRule::Ignore] } else { rules })
        }
        other => {
            fault(&format!("found {}, expected {EXPECTED}", other.kind()));
            None
        }
    }
}
