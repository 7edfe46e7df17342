//! `ulimits`: what a service may use of the kernel, in the words of Compose.

use crate::config::read::table::Table;
use crate::config::source::document::Value;
use crate::model::{ULIMITS, Ulimit};
use crate::text::gather::Gather;
use crate::text::template::fill;
use crate::text::units;

/// Reads the table: a number for both limits, or the soft and the hard one.
pub fn read(table: &Table<'_>) -> Box<[Ulimit]> {
    const KEY: &str = "ulimits";
    let Some(below) = table.table(KEY) else { return Box::default() };
    let limits: Vec<Ulimit> = ULIMITS.iter().filter_map(|name| one(&below, name)).gather();
    if below.entries().is_empty() && table.has(KEY) {
        table.fault(KEY, "limits nothing; expected such as { nofile = 65536 }, or drop it");
    }
    below.close();
    limits.into()
}

fn one(table: &Table<'_>, name: &'static str) -> Option<Ulimit> {
    if !matches!(table.node(name)?.value, Value::Table(_)) {
        let both = bound(table, name)?;
        return Some(Ulimit { name, soft: both, hard: both });
    }
    let limits = table.table(name)?;
    let (soft, hard) = (bound(&limits, "soft"), bound(&limits, "hard"));
    for key in ["soft", "hard"] {
        if limits.node(key).is_none() {
            limits
                .fault_here(&fill!("lacks {}; expected { soft = N, hard = N }, or one number for both", key));
        }
    }
    let limit = Ulimit { name, soft: soft?, hard: hard? };
    if limit.soft > limit.hard {
        limits.fault("soft", "is more than hard, which is the most that it may be");
    }
    limits.close();
    Some(limit)
}

fn bound(table: &Table<'_>, key: &'static str) -> Option<u64> {
    let expected = "a number, a size such as \"64MiB\", or -1 or \"unlimited\"";
    let number = |value: &Value| match value {
        Value::Integer(-1) => Some(u64::MAX),
        Value::Integer(number) => u64::try_from(*number).ok(),
        _ => None,
    };
    table.parse(key, expected, number, |text| match text {
        "unlimited" | "-1" => Ok(u64::MAX),
        text => units::size(text).map_err(|_| fill!("expected {}", expected)),
    })
}
