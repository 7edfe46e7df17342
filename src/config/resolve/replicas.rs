//! `replicas`: one table, several services: `web.1`, `web.2`, …

use super::service::ServiceSite;
use crate::config::read::table::{ReadContext, Table};
use crate::config::source::document::Entry;
use crate::model::UpdateRules;
use crate::text::template::fill;
use crate::text::words::words;

/// The key.
pub const KEY: &str = "replicas";

/// The most instances of one service.
pub const MAX_REPLICAS: u16 = 1000;

/// Returns how many instances there are of a service; `None`: it has no `replicas`.
pub fn count(reading: &ReadContext<'_>, place: &ServiceSite<'_>) -> Option<u16> {
    place.node.get(KEY)?;
    let path = fill!("services.{}", place.name);
    let table = Table::open(reading, path, place.at.unwrap_or_default(), place.node)?;
    let count = table.integer(KEY, 0, MAX_REPLICAS.into());
    // One of which nothing is known yet, or a fault: its other keys are looked at all the same.
    Some(count.and_then(|count| u16::try_from(count).ok()).unwrap_or(1))
}

/// `update_config.order`.
#[derive(Clone, Copy, PartialEq)]
enum UpdateOrder {
    StopFirst,
    StartFirst,
}

words!(UpdateOrder { "stop-first" => StopFirst, "start-first" => StartFirst });

/// Reads `update_config`.
pub fn update(table: &Table<'_>) -> UpdateRules {
    let standard = UpdateRules::default();
    let Some(below) = table.table("update_config") else { return standard };
    let start_first = below.word("order") == Some(UpdateOrder::StartFirst);
    let monitor = below.duration("monitor").unwrap_or(standard.monitor);
    below.close();
    UpdateRules { start_first, monitor }
}

/// Rejects services that are named as an instance of another one is, or may be after `rinitctl scale`.
pub fn check_names(reading: &ReadContext<'_>, written: &[Entry]) {
    let replicated = |name: &str| written.iter().any(|one| one.key == name && one.node.get(KEY).is_some());
    for entry in written {
        if let Some((base, _)) = split(&entry.key)
            && replicated(base)
        {
            let message = fill!(
                "services.\"{}\": an instance of {}, which has replicas, is called so; give it another name",
                entry.key,
                base
            );
            reading.fault(entry.at, message);
        }
    }
}

/// Splits the name of an instance: `web.2`.
pub fn split(name: &str) -> Option<(&str, u16)> {
    let (base, number) = name.rsplit_once('.')?;
    let number = number.parse().ok().filter(|found: &u16| *found > 0 && found.to_string() == number)?;
    Some((base, number))
}
