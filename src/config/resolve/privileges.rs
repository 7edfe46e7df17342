//! `nice`, `ionice`, `oom_score_adj`, `cpu_affinity`, `cap_add`, `cap_drop`, `no_new_privileges`, `pdeathsig`.

use super::DEFAULTS;
use crate::config::read::table::Table;
use crate::config::source::document::Value;
use crate::model::Level;
use crate::model::privileges::{ExecPrivileges, capability_names, capability_number};
use crate::text::suggest::did_you_mean;
use crate::text::template::fill;

/// The highest number of a processor that is taken.
const MAX_CPU: u16 = 8191;

/// Reads the keys; `None`: the service has what it would inherit.
pub fn read(table: &Table<'_>) -> Option<Box<ExecPrivileges>> {
    let privileges = ExecPrivileges {
        nice: table.integer("nice", -20, 19).and_then(|nice| i8::try_from(nice).ok()),
        ionice: ionice(table),
        oom_score_adj: table.integer("oom_score_adj", -1000, 1000).and_then(|adj| i16::try_from(adj).ok()),
        cpus: cpus(table),
        cap_add: capabilities(table, "cap_add"),
        cap_drop: capabilities(table, "cap_drop"),
        no_new_privileges: table.flag("no_new_privileges").unwrap_or(false),
        pdeathsig: table.signal("pdeathsig"),
    };
    (privileges != ExecPrivileges::default()).then(|| privileges.into())
}

/// `level`: what follows where the container does not give what is asked for.
pub fn level(table: &Table<'_>) -> Level {
    const KEY: &str = "level";
    let level = table.word(KEY).unwrap_or_default();
    let asked = ["nice", "ionice", "oom_score_adj", "cap_add", "ulimits"];
    if table.has(KEY) && table.path != DEFAULTS && asked.iter().all(|key| table.node(key).is_none()) {
        table.fault(
            KEY,
            "can never act: it is about nice, ionice, oom_score_adj, cap_add and ulimits; drop it",
        );
    }
    level
}

/// `"idle"`, `"best-effort"` or `"best-effort:N"`, `"realtime:N"`: the words of ionice(1).
fn ionice(table: &Table<'_>) -> Option<u16> {
    const EXPECTED: &str =
        "\"idle\", \"best-effort:0\" to \"best-effort:7\", or \"realtime:0\" to \"realtime:7\"";
    table.parse(
        "ionice",
        EXPECTED,
        |_| None,
        |text| {
            let (class, level) = text.split_once(':').unwrap_or((text, "4"));
            let level = level.parse::<u16>().ok().filter(|level| *level < 8);
            match (class, level) {
                ("realtime", Some(level)) => Ok(1 << 13 | level),
                ("best-effort", Some(level)) => Ok(2 << 13 | level),
                ("idle", _) if text == "idle" => Ok(3 << 13),
                _ => Err(fill!("expected {}", EXPECTED)),
            }
        },
    )
}

/// A number, a list of numbers, or `"0-3,8"`, as taskset(1) has it.
fn cpus(table: &Table<'_>) -> Box<[u64]> {
    const KEY: &str = "cpu_affinity";
    let Some(node) = table.node(KEY) else { return Box::default() };
    let text = match &node.value {
        Value::List(items) => table.items(KEY, items).join(","),
        _ => table.text_or_number(KEY).unwrap_or_default(),
    };
    let mut mask = Vec::new();
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse::<u16>().ok().filter(|cpu| *cpu <= MAX_CPU);
        let (Some(from), Some(to)) = (number(from), number(to)) else {
            table.wrong(KEY, node, "numbers of processors, such as [0, 1] or \"0-3,8\"");
            return Box::default();
        };
        for cpu in from..=to {
            let word = usize::from(cpu / 64);
            mask.resize(mask.len().max(word + 1), 0);
            if let Some(word) = mask.get_mut(word) {
                *word |= 1 << (cpu % 64);
            }
        }
    }
    mask.into()
}

/// A set of capabilities by name, `ALL` for all of them.
fn capabilities(table: &Table<'_>, key: &'static str) -> u64 {
    let mut set = 0;
    let names = table.list(key);
    if names.as_ref().is_some_and(Vec::is_empty) {
        table.fault(
            key,
            "is an empty list; name capabilities, such as [\"NET_BIND_SERVICE\"], or drop the key",
        );
    }
    for name in names.unwrap_or_default() {
        match capability_number(&name) {
            Some(number) => set |= 1 << number,
            None if name.eq_ignore_ascii_case("ALL") && key == "cap_drop" => set = u64::MAX,
            None if name.eq_ignore_ascii_case("ALL") => {
                table.fault(key, "\"ALL\" is for cap_drop; name the ones that it needs");
            }
            None => {
                let near = did_you_mean(&name, capability_names());
                table.fault(key, &fill!("found \"{}\", which is no capability{}", name, near));
            }
        }
    }
    set
}
