//! `[checks.limit]`: the container may use as much memory, as many processors, processes and files as it needs.

use super::common::docker::docker_size;
use super::common::finding::{add, all, failure, text};
use super::common::keys::{must_ask, no_export, no_wait};
use crate::checks::{Blocking, CheckFailure, CheckSpec, Facts, Kind, facts};
use crate::config::keys::{KeySpec, key};
use crate::config::read::table::Table;
use crate::sys::process::status;
use crate::text::gather::Gather;
use crate::text::template::fill;
use crate::text::units::{self, show_size, show_ulimit};

/// `limit`
pub const KIND: Kind = Kind { name: "limit", nameless: true, read, ..Kind::PLAIN };

/// The keys that are its own.
#[rustfmt::skip]
pub const KEYS: &[&[KeySpec]] = &[&[
    key("memory", "size", "", "the minimum memory, of the container's limit or else the machine"),
    key("cpus", "number", "", "the minimum number of CPUs, such as 0.5"),
    key("pids", "number", "", "the minimum of the limit on processes"),
    key("nofile", "number", "", "the minimum of this ulimit"),
    key("nproc", "number", "", "the minimum of this ulimit"),
    key("core", "size", "", "the minimum of this ulimit"),
    key("memlock", "size", "", "the minimum of this ulimit"),
    key("stack", "size", "", "the minimum of this ulimit"),
]];

/// What can be asked for, and how it is counted.
const ASKING: [(&str, Unit); 8] = [
    ("memory", Unit::Bytes),
    ("cpus", Unit::Thousandths),
    ("pids", Unit::Count),
    ("nofile", Unit::Count),
    ("nproc", Unit::Count),
    ("core", Unit::Bytes),
    ("memlock", Unit::Bytes),
    ("stack", Unit::Bytes),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Bytes,
    Count,
    Thousandths,
}

type WantedLimit = (&'static str, Unit, u64);

fn read(name: &str, table: &Table<'_>) -> Option<CheckSpec> {
    no_wait(table);
    no_export(table);
    let mut expected = String::new();
    let mut wanted: Vec<WantedLimit> = Vec::new();
    for (key, unit) in ASKING {
        let Some(text) = table.text_or_number(key) else { continue };
        let number = match unit {
            Unit::Thousandths => thousandths(&text),
            _ if text == "unlimited" => Some(u64::MAX),
            _ => units::size(&text).ok(),
        };
        match number.filter(|number| *number > 0) {
            Some(number) => wanted.push((key, unit, number)),
            None if unit == Unit::Thousandths => {
                table.fault(key, "is no number of processors, such as 2 or 0.5")
            }
            None => {
                table.fault(key, "is no limit; expected a number or a size of at least 1, or \"unlimited\"")
            }
        }
        if let Some(number) = number {
            let least = if number == u64::MAX { " " } else { " of at least " };
            add(&mut expected, &[key, least, &unit.show(number)]);
        }
    }
    must_ask(
        table,
        ASKING.iter().any(|(key, _)| table.has(key)),
        "memory, cpus, pids, nofile, nproc, core, memlock, stack",
    );
    Some(CheckSpec::new(
        fill!("limit {}", name),
        expected,
        Blocking::Never,
        Box::new(move |facts| all(wanted.iter().map(|one| look(*one, facts)).gather(), "")),
    ))
}

/// `1.5` -> 1500
pub(in crate::checks) fn thousandths(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let part: u64 = fill!("{}000", part).get(..3)?.parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(part)
}

impl Unit {
    fn show(self, number: u64) -> String {
        match self {
            _ if number == u64::MAX => "unlimited".into(),
            Self::Bytes => show_size(number),
            Self::Count => number.to_string(),
            Self::Thousandths => {
                let part = format!(".{:03}", number % 1000);
                [&(number / 1000).to_string(), part.trim_end_matches(['0', '.'])].concat()
            }
        }
    }
}

fn look((key, unit, wanted): WantedLimit, facts: &Facts) -> Result<String, CheckFailure> {
    let shown = unit.show(wanted);
    let cgroup = |machine: u64, option: &str| {
        // No machine is without an end: "unlimited" asks for no limit of the container's.
        let machine = if wanted == u64::MAX { u64::MAX } else { machine };
        let container = facts.system.cgroup(key).filter(|most| *most <= machine);
        let least = container.unwrap_or(machine);
        let whose = match container {
            _ if least == u64::MAX => "",
            Some(_) => " of the container",
            None => " of the machine",
        };
        let found = fill!("{} {}{}", key, &unit.show(least), whose);
        if least >= wanted {
            return Ok(found);
        }
        Err(match container {
            None if key == "cpus" => {
                failure!("{}", &found; "run it on a machine with more, or allow it more (docker run --cpuset-cpus)")
            }
            None => failure!("{}", &found; "run it on a machine with more"),
            Some(_) if wanted == u64::MAX => {
                failure!("{}", &found; "take that limit away (docker run without --{})", option)
            }
            Some(_) => {
                let argument = if unit == Unit::Bytes { docker_size(wanted) } else { shown.clone() };
                failure!("{}", &found; "raise {} to {} (docker run --{} {})", key, &shown, option, &argument)
            }
        })
    };
    match key {
        "memory" => cgroup(machine_memory(facts), "memory"),
        "cpus" => cgroup(machine_cpus(facts), "cpus"),
        "pids" => cgroup(u64::MAX, "pids-limit"),
        _ => resource((key, unit, wanted), facts),
    }
}

fn resource((key, unit, wanted): WantedLimit, facts: &Facts) -> Result<String, CheckFailure> {
    let (soft, hard) = facts
        .system
        .rlimit(key)
        .map_err(|error| failure!("no limit of {}: {}", key, &facts::why(&error); "leave it out"))?;
    let (soft_shown, hard_shown, shown) = (unit.show(soft), unit.show(hard), unit.show(wanted));
    if soft >= wanted {
        return Ok(fill!("{} {}", key, soft_shown));
    }
    let (least, most) = (show_ulimit(wanted), show_ulimit(hard.max(wanted)));
    let limits = fill!(" (docker run --ulimit {}={}:{})", key, least, most);
    Err(if hard < wanted {
        failure!("{} {}, hard limit {}", key, &soft_shown, &hard_shown; "raise the hard limit to {}{}", &shown, &limits)
    } else {
        failure!("{} {} by the soft limit, the hard one is {}", key, &soft_shown, &hard_shown; "raise the soft limit to {}{}", &shown, &limits)
    })
}

fn machine_memory(facts: &Facts) -> u64 {
    let meminfo = text(facts, "/proc/meminfo").ok();
    meminfo.and_then(|text| status::installed_memory(&text)).unwrap_or(u64::MAX)
}

/// The processors that this process may run on, in thousandths.
fn machine_cpus(facts: &Facts) -> u64 {
    status::processors(facts.system.status()).map_or(u64::MAX, |count| count.saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use super::super::limit::*;
    use crate::checks::facts::fake::Fake;
    use crate::checks::read::testing::{fault, one};

    fn fake() -> Fake {
        Fake {
            cgroup: [("memory", 256 << 20), ("cpus", 1500)].into(),
            rlimits: [("nofile", (1024, 4096)), ("core", (0, u64::MAX)), ("stack", (8 << 20, u64::MAX))]
                .into(),
            texts: [
                ("/proc/meminfo".to_string(), "MemTotal:        2097152 kB\n".to_string()),
                ("/proc/self/status".to_string(), "Name:\tx\nCpus_allowed:\tf,00000001\n".to_string()),
            ]
            .into(),
            ..Fake::default()
        }
    }

    #[test]
    fn every_key_can_fail_and_hold() {
        for (keys, ok, found) in [
            ("memory = \"256MiB\"", true, "memory 256 MiB of the container"),
            ("memory = \"512MiB\"", false, "memory 256 MiB of the container"),
            ("cpus = 1.5", true, "cpus 1.5 of the container"),
            ("cpus = 2", false, "cpus 1.5 of the container"),
            ("pids = 4000", true, "pids unlimited"),
            ("nofile = 1024", true, "nofile 1024"),
            ("nofile = 4096", false, "nofile 1024 by the soft limit, the hard one is 4096"),
            ("nofile = 65536", false, "nofile 1024, hard limit 4096"),
            ("core = \"unlimited\"", false, "core 0 bytes by the soft limit, the hard one is unlimited"),
            ("stack = \"8MiB\"", true, "stack 8 MiB"),
            ("nproc = 1", false, "no limit of nproc: invalid argument"),
            ("memlock = 1", false, "no limit of memlock: invalid argument"),
            (
                "memory = \"1G\"\nnofile = 5000",
                false,
                "memory 256 MiB of the container; nofile 1024, hard limit 4096",
            ),
        ] {
            let finding = one(&format!("[checks.limit]\n{keys}")).spec.evaluate(&fake().facts(&[]));
            assert_eq!((finding.ok, finding.found.as_str()), (ok, found), "{keys}");
        }
        let machine = |keys: &str| {
            let fake = Fake { cgroup: [("pids", 5)].into(), ..fake() };
            one(&format!("[checks.limit.x]\n{keys}")).spec.evaluate(&fake.facts(&[])).found
        };
        assert_eq!(machine("memory = \"3G\""), "memory 2 GiB of the machine");
        assert_eq!(machine("cpus = 6"), "cpus 5 of the machine");
        assert_eq!(machine("pids = 6"), "pids 5 of the container");
        // The machine's end is none of the container's limits.
        let unlimited = Fake { cgroup: [].into(), ..fake() };
        assert!(one("[checks.limit]\nmemory = \"unlimited\"").spec.evaluate(&unlimited.facts(&[])).ok);
    }

    #[test]
    fn the_remedy_is_what_mends_it() {
        for (keys, remedy) in [
            ("memory = \"512MiB\"", "raise memory to 512 MiB (docker run --memory 512m)"),
            ("memory = \"3G\"", "raise memory to 3 GiB (docker run --memory 3072m)"),
            ("memory = \"unlimited\"", "take that limit away (docker run without --memory)"),
            ("cpus = 2", "raise cpus to 2 (docker run --cpus 2)"),
            ("nofile = 65536", "raise the hard limit to 65536 (docker run --ulimit nofile=65536:65536)"),
        ] {
            let finding = one(&format!("[checks.limit]\n{keys}")).spec.evaluate(&fake().facts(&[]));
            assert_eq!(finding.remedy, remedy, "{keys}");
        }
        for (keys, remedy) in [
            ("memory = \"3G\"", "run it on a machine with more"),
            ("cpus = 6", "run it on a machine with more, or allow it more (docker run --cpuset-cpus)"),
        ] {
            let fake = Fake { cgroup: [].into(), ..fake() };
            let finding = one(&format!("[checks.limit]\n{keys}")).spec.evaluate(&fake.facts(&[]));
            assert_eq!(finding.remedy, remedy, "{keys}");
        }
    }

    #[test]
    fn what_cannot_hold_is_a_fault() {
        for (keys, part) in [
            ("", "asserts nothing"),
            ("memory = \"much\"", "is no limit"),
            ("pids = 0", "at least 1"),
            ("cpus = \"two\"", "no number of processors"),
            ("cpus = -1", "no number of processors"),
            ("memory = \"1G\"\nwait = \"1s\"", "does not change"),
            ("memory = \"1G\"\nexport = \"X\"", "hands on nothing"),
        ] {
            let message = fault(&format!("[checks.limit]\n{keys}"));
            assert!(message.contains(part), "{keys}: {message}");
        }
        for (text, want) in
            [("2", Some(2000)), ("0.25", Some(250)), ("1.5", Some(1500)), (".5", None), ("x", None)]
        {
            assert_eq!(thousandths(text), want, "{text}");
        }
    }
}
