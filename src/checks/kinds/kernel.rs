//! `[checks.kernel]`: what the container takes over from the machine that it runs on is as it needs it.

use super::common::docker::docker_size;
use super::common::finding::{add, all, fail, failure, text};
use super::common::keys::{asserting, at_least, must_ask, no_export, no_wait};
use super::common::path::denied;
use crate::checks::{Blocking, CheckFailure, CheckSpec, Facts, Kind, facts, listed, quoted};
use crate::config::keys::{KeySpec, key};
use crate::config::read::condition::docker_arch;
use crate::config::read::table::Table;
use crate::config::source::document::{Entry, Value};
use crate::sys::fs::stat::Access;
use crate::sys::{Errno, errno};
use crate::text::gather::Gather;
use crate::text::suggest::did_you_mean;
use crate::text::template::fill;
use crate::text::units::show_size;

/// `kernel`
pub const KIND: Kind = Kind { name: "kernel", nameless: true, sub_tables: &["sysctl"], read, ..Kind::PLAIN };

/// The keys that are its own.
#[rustfmt::skip]
pub const KEYS: &[&[KeySpec]] = &[&[
    key("version", "version", "any", "the minimum version"),
    key("arch", "strings", "any", "the allowed architectures, as uname(1) or Docker names them"),
    key("sysctl", "table", "", "names of sysctls, each with its minimum number or its exact text"),
    key("device", "paths", "", "devices that must be readable and writable"),
    key("shm", "size", "", "the minimum size of /dev/shm"),
    key("time_zone", "string", "any", "the time zone that programs use"),
    key("not_before", "date", "", "the date that the clock must have reached, such as \"2024-01-31\""),
    key("entropy", "bool", "false", "whether the kernel's random number generator must be ready"),
]];

/// One thing that is asked for.
enum WantedKernel {
    /// At least.
    Version(String),
    Arch(Vec<String>),
    /// At least this number, or equal to this text.
    Sysctl(String, Result<i64, String>),
    Device(String),
    /// Bytes of /dev/shm.
    Shm(u64),
    TimeZone(String),
    /// Seconds since 1970, and the date as it is written.
    NotBefore(i64, String),
    Entropy,
}

const ASKING: &str = "sysctl, version, arch, device, shm, time_zone, not_before, entropy";

fn read(name: &str, table: &Table<'_>) -> Option<CheckSpec> {
    let mut wanted = Vec::new();
    if let Some(version) = table.text_or_number("version") {
        if numbers(&version).is_empty() {
            table.fault("version", "is no version; expected one such as \"5.10\"");
        }
        wanted.push(WantedKernel::Version(version));
    }
    let arch = asserting(table, "arch");
    if !arch.is_empty() {
        wanted.push(WantedKernel::Arch(arch));
    }
    if let Some(sysctl) = table.table("sysctl") {
        sysctls("", sysctl.entries(), &sysctl, &mut wanted);
    }
    for path in asserting(table, "device") {
        if !path.starts_with('/') {
            table.fault("device", "is no absolute path; expected one such as \"/dev/fuse\"");
        }
        wanted.push(WantedKernel::Device(path));
    }
    wanted.extend(at_least(table, "shm").map(WantedKernel::Shm));
    wanted.extend(table.text("time_zone").map(WantedKernel::TimeZone));
    if let Some(date) = table.text("not_before") {
        match seconds(&date) {
            Some(seconds) => wanted.push(WantedKernel::NotBefore(seconds, date)),
            None => table.fault("not_before", "is no date; expected one such as \"2024-01-31\""),
        }
    }
    if table.flag("entropy") == Some(true) {
        wanted.push(WantedKernel::Entropy);
    }
    no_export(table);
    if !wanted.is_empty() && wanted.iter().all(WantedKernel::stays) {
        no_wait(table);
    }
    let mut expected = String::new();
    wanted.iter().for_each(|one| one.tell(&mut expected));
    // What is written and asks for nothing all the same has a fault of its own, but for these two.
    let faulty = ASKING.split(", ").any(|key| table.has(key) && !matches!(key, "entropy" | "sysctl"));
    must_ask(table, faulty || !wanted.is_empty(), ASKING);
    Some(CheckSpec::new(
        fill!("kernel {}", name),
        expected,
        Blocking::Never,
        Box::new(move |facts| all(wanted.iter().map(|one| one.evaluate(facts)).gather(), "")),
    ))
}

/// `"net.core.somaxconn" = 1024`, and the same without the quotes, which TOML takes for tables.
fn sysctls(prefix: &str, entries: &[Entry], table: &Table<'_>, wanted: &mut Vec<WantedKernel>) {
    for entry in entries {
        let name = [prefix, &entry.key].concat();
        let value = match &entry.node.value {
            Value::Table(entries) => {
                sysctls(&fill!("{}.", name), entries, table, wanted);
                continue;
            }
            Value::Integer(least) => Ok(*least),
            Value::Text(text) => match table.expand_node("sysctl", &entry.node, text) {
                Some(text) => Err(text),
                None => continue,
            },
            _ => {
                table.wrong("sysctl", &entry.node, "a number (at least) or a string (equal)");
                continue;
            }
        };
        wanted.push(WantedKernel::Sysctl(name, value));
    }
}

impl WantedKernel {
    /// Whether it is the same as long as the machine runs. A sysctl is set, a device made, a clock put right.
    fn stays(&self) -> bool {
        matches!(self, Self::Version(_) | Self::Arch(_))
    }

    fn evaluate(&self, facts: &Facts) -> Result<String, CheckFailure> {
        self.look(facts).map_err(|failure| CheckFailure { may_change: !self.stays(), ..failure })
    }

    fn tell(&self, expected: &mut String) {
        match self {
            Self::Version(version) => add(expected, &["version ", version, " or later"]),
            Self::Arch(arch) => add(expected, &["arch ", &listed(arch)]),
            Self::Sysctl(name, Ok(least)) => add(expected, &[name, " of at least ", &least.to_string()]),
            Self::Sysctl(name, Err(text)) => add(expected, &[name, " = ", &quoted(text)]),
            Self::Device(path) => add(expected, &["the device ", path]),
            Self::Shm(size) => add(expected, &["/dev/shm of at least ", &show_size(*size)]),
            Self::TimeZone(zone) => add(expected, &["time zone ", zone]),
            Self::NotBefore(_, date) => add(expected, &["a clock not before ", date]),
            Self::Entropy => add(expected, &["entropy"]),
        }
    }

    fn look(&self, facts: &Facts) -> Result<String, CheckFailure> {
        match self {
            Self::Version(least) => {
                let (release, _) = facts.system.uname();
                let found = fill!("version {}", release);
                if numbers(&release) >= numbers(least) {
                    return Ok(found);
                }
                Err(failure!("{}", &found; "run it on a machine with Linux {} or later", least))
            }
            Self::Arch(wanted) => {
                let (_, machine) = facts.system.uname();
                let docker = docker_arch(&machine);
                if wanted.iter().any(|arch| *arch == machine || arch == docker) {
                    return Ok(machine);
                }
                Err(
                    failure!("arch {}", &machine; "run it on {}, or use the image for {}", &listed(wanted), docker),
                )
            }
            Self::Sysctl(name, value) => sysctl(name, value, facts),
            Self::Device(path) => device(path, facts),
            Self::Shm(least) => {
                let size = facts.system.space("/dev/shm").map_or(0, |space| space.size);
                let shown = show_size(size);
                if size >= *least {
                    return Ok(fill!("/dev/shm of {}", shown));
                }
                Err(failure!("/dev/shm of {}", &shown; "docker run --shm-size {}", &docker_size(*least)))
            }
            Self::TimeZone(zone) => time_zone(zone, facts),
            Self::NotBefore(seconds, date) => {
                if facts.system.clock() >= *seconds {
                    return Ok("a clock that is right".into());
                }
                Err(failure!("a clock before {}", date; "set the clock of the machine"))
            }
            Self::Entropy if facts.system.has_entropy() => Ok("entropy".into()),
            Self::Entropy => Err(
                failure!("no entropy yet"; "wait for it with wait, or give the machine a source (virtio-rng)"),
            ),
        }
    }
}

fn sysctl(name: &str, wanted: &Result<i64, String>, facts: &Facts) -> Result<String, CheckFailure> {
    // As sysctl(8): with slashes, a dot is part of a name (net/ipv4/conf/eth0.1/forwarding).
    let below = if name.contains('/') { name.to_string() } else { name.replace('.', "/") };
    let text = text(facts, &fill!("/proc/sys/{}", below)).map_err(|error| {
        failure!("no {}: {}", name, &facts::why(&error); "correct the name, or run it on a kernel that has {}", name)
    })?;
    let value = text.split_whitespace().gather().join(" ");
    let (fits, value_wanted) = match wanted {
        Ok(least) => (value.parse::<i64>().is_ok_and(|value| value >= *least), least.to_string()),
        Err(text) => (value == *text, text.clone()),
    };
    let found = fill!("{} = {}", name, value);
    if fits {
        return Ok(found);
    }
    // Docker sets those alone that a container has for itself.
    let own = ["net/", "fs/mqueue/", "kernel/msg", "kernel/sem", "kernel/shm"];
    if own.iter().any(|own| below.starts_with(own)) {
        return fail!("{}", &found; "docker run --sysctl {}={}, or set it on the machine", name, &value_wanted);
    }
    fail!("{}", &found; "set it on the machine: sysctl -w {}={}", name, &value_wanted)
}

fn device(path: &str, facts: &Facts) -> Result<String, CheckFailure> {
    let stat = facts
        .system
        .stat(path)
        .map_err(|error| failure!("no {}: {}", path, &facts::why(&error); "docker run --device {}", path))?;
    let what = super::common::path::what(&stat);
    if what != "a device" {
        return Err(failure!("{} at {}", what, path; "docker run --device {}", path));
    }
    for (access, word) in [(Access::Read, "readable"), (Access::Write, "writable")] {
        facts.system.access(path, access).map_err(|error| match errno(&error) {
            Errno::EPERM => failure!(
                "a device that is not {}, as the engine gives it", word;
                "docker run --device {}:{}:rwm", path, path
            ),
            _ => denied(path, &stat, word, &error, facts, ""),
        })?;
    }
    Ok(path.to_string())
}

/// Where tzdata puts the zones.
const ZONES: &str = "/usr/share/zoneinfo";

/// Debian's images call it Etc/UTC.
fn bare_zone(zone: &str) -> &str {
    zone.strip_prefix("Etc/").unwrap_or(zone)
}

/// The zone that programs take: TZ, else /etc/localtime; one that the image does not have is UTC for them.
fn time_zone(zone: &str, facts: &Facts) -> Result<String, CheckFailure> {
    let file = fill!("{}/{}", ZONES, zone);
    let set = facts.environ.get_full("TZ").map(|tz| tz.trim_start_matches(':').to_string());
    let linked = || {
        let target = facts.system.read_link("/etc/localtime").ok()?;
        target.split_once("zoneinfo/").map(|(_, name)| name.to_string())
    };
    let read = |path: &str| facts.system.read(path, 64 << 10).ok();
    let same =
        || read("/etc/localtime").filter(|bytes| read(&file).as_ref() == Some(bytes)).map(|_| zone.into());
    let found = set.or_else(linked).or_else(same).unwrap_or_else(|| "UTC".into());
    let there = bare_zone(zone) == "UTC" || facts.system.stat(&file).is_ok();
    if !there && facts.system.stat(ZONES).is_ok() {
        // The data is there: the name is wrong.
        let (region, name) = zone.rsplit_once('/').unwrap_or(("", zone));
        let dir = if region.is_empty() { ZONES.to_string() } else { fill!("{}/{}", ZONES, region) };
        let names = facts.system.list(&dir).or_else(|_| facts.system.list(ZONES)).unwrap_or_default();
        let hint = did_you_mean(name, names.iter().map(String::as_str));
        return fail!(
            "time zone {}, and no {} beside the zones that there are", &found, &file;
            "correct time_zone (ls {}){}", ZONES, &hint
        );
    }
    if bare_zone(&found) != bare_zone(zone) {
        let and = if there { "" } else { ", and install tzdata in the image" };
        return Err(failure!("time zone {}", &found; "set TZ={}{}", zone, and));
    }
    if !there {
        return fail!(
            "time zone {}, but no {}, so that programs take UTC", zone, &file;
            "install tzdata in the image"
        );
    }
    Ok(fill!("time zone {}", zone))
}

/// `6.1.0-18-amd64` -> 6, 1, 0
fn numbers(version: &str) -> Vec<u32> {
    let digits = version.split('-').next().unwrap_or_default();
    digits.split('.').map_while(|part| part.parse().ok()).gather()
}

/// `2024-01-31` -> seconds since 1970.
fn seconds(date: &str) -> Option<i64> {
    let mut parts = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let most = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=most).contains(&day) {
        return None;
    }
    // Years from March to February, so that the day that may be missing is the last.
    let (years, months) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        years * 365 + years / 4 - years / 100 + years / 400 + (months * 153 + 2) / 5 + day - 1 - 719_468;
    Some(days * 86_400)
}

#[cfg(test)]
mod tests {
    use super::super::kernel::*;
    use crate::checks::Finding;
    use crate::checks::facts::fake::Fake;
    use crate::checks::read::testing::{fault, one};
    use crate::sys::fs::stat::Stat;

    fn evaluate(keys: &str, environ: &[(&str, &str)]) -> Finding {
        let text = |path: &str, text: &str| (path.to_string(), text.to_string());
        let file = |path: &str, file| (path.to_string(), Stat { file, ..Stat::default() });
        let fake = Fake {
            uname: ("6.1.0-18-amd64".into(), "x86_64".into()),
            unix_time: 1_706_745_600, // 2024-02-01
            free: 32 << 20,
            texts: [
                text("/proc/sys/net/core/somaxconn", "4096\n"),
                text("/proc/sys/vm/max_map_count", "65530\n"),
                text("/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n"),
            ]
            .into(),
            files: [
                file("/dev/fuse", false),
                file("/dev/kvm", false),
                file("/etc/x", true),
                file("/dev/shm", true),
                file("/usr/share/zoneinfo/Europe/Paris", true),
            ]
            .into(),
            refused: [(("/dev/kvm".to_string(), "w"), libc::EPERM)].into(),
            links: [text("/etc/localtime", "/usr/share/zoneinfo/Europe/Oslo")].into(),
            ..Fake::default()
        };
        one(&format!("[checks.kernel]\n{keys}")).spec.evaluate(&fake.facts(environ))
    }

    #[test]
    fn every_key_can_fail_and_hold() {
        for (keys, ok, found) in [
            ("version = \"5.10\"", true, "version 6.1.0-18-amd64"),
            ("version = 6.1", true, "version 6.1.0-18-amd64"),
            ("version = \"6.1.1\"", false, "version 6.1.0-18-amd64"),
            ("arch = \"amd64\"", true, "x86_64"),
            ("arch = [\"arm64\", \"x86_64\"]", true, "x86_64"),
            ("arch = \"arm64\"", false, "arch x86_64"),
            ("sysctl = { \"net.core.somaxconn\" = 1024 }", true, "net.core.somaxconn = 4096"),
            ("sysctl = { \"net/core/somaxconn\" = 1 }", true, "net/core/somaxconn = 4096"),
            ("sysctl.net.core.somaxconn = 4097", false, "net.core.somaxconn = 4096"),
            ("sysctl = { \"net.core.somaxconn\" = \"4096\" }", true, "net.core.somaxconn = 4096"),
            ("sysctl = { \"net.core.somaxconn\" = \"96\" }", false, "net.core.somaxconn = 4096"),
            (
                "sysctl.net.ipv4.ip_local_port_range = \"32768 60999\"",
                true,
                "net.ipv4.ip_local_port_range = 32768 60999",
            ),
            ("sysctl = { \"vm.none\" = 1 }", false, "no vm.none: no such file or directory"),
            ("device = \"/dev/fuse\"", true, "/dev/fuse"),
            ("device = \"/dev/none\"", false, "no /dev/none: no such file or directory"),
            ("device = \"/etc/x\"", false, "a file at /etc/x"),
            (
                "device = [\"/dev/fuse\", \"/dev/kvm\"]",
                false,
                "a device that is not writable, as the engine gives it",
            ),
            ("shm = \"64MiB\"", true, "/dev/shm of 64 MiB"),
            ("shm = \"65MiB\"", false, "/dev/shm of 64 MiB"),
            ("not_before = \"2024-02-01\"", true, "a clock that is right"),
            ("not_before = \"2024-02-02\"", false, "a clock before 2024-02-02"),
            ("entropy = true", false, "no entropy yet"),
            ("arch = \"x\"\nversion = \"7\"", false, "version 6.1.0-18-amd64; arch x86_64"),
        ] {
            let finding = evaluate(keys, &[]);
            assert_eq!((finding.ok, finding.found.as_str()), (ok, found), "{keys}");
        }
        let fake = Fake { entropy: true, ..Fake::default() };
        assert!(one("[checks.kernel]\nentropy = true").spec.evaluate(&fake.facts(&[])).ok);
    }

    #[test]
    fn a_zone_must_be_set_and_there() {
        for (zone, tz, ok, found) in [
            ("Europe/Paris", Some("Europe/Paris"), true, "time zone Europe/Paris"),
            ("Europe/Paris", Some("Europe/Rome"), false, "time zone Europe/Rome"),
            ("Europe/Paris", None, false, "time zone Europe/Oslo"),
            (
                "Europe/Oslo",
                None,
                false,
                "time zone Europe/Oslo, but no /usr/share/zoneinfo/Europe/Oslo, so that programs take UTC",
            ),
        ] {
            let environ: Vec<(&str, &str)> = tz.map(|tz| ("TZ", tz)).into_iter().collect();
            let finding = evaluate(&format!("time_zone = \"{zone}\""), &environ);
            assert_eq!((finding.ok, finding.found.as_str()), (ok, found), "{zone} {tz:?}");
        }
        let debian = "/usr/share/zoneinfo/Etc/UTC".to_string();
        for links in [[].into(), [("/etc/localtime".to_string(), debian)].into()] {
            let fake = Fake { links, ..Fake::default() };
            assert!(one("[checks.kernel]\ntime_zone = \"UTC\"").spec.evaluate(&fake.facts(&[])).ok);
        }
    }

    /// Docker refuses --sysctl for what the whole machine shares, and a size with a blank in it.
    #[test]
    fn the_remedy_is_what_mends_it() {
        for (keys, remedy) in [
            (
                "sysctl.net.core.somaxconn = 5000",
                "docker run --sysctl net.core.somaxconn=5000, or set it on the machine",
            ),
            ("sysctl.vm.max_map_count = 262144", "set it on the machine: sysctl -w vm.max_map_count=262144"),
            ("shm = \"65MiB\"", "docker run --shm-size 65m"),
            ("device = \"/dev/kvm\"", "docker run --device /dev/kvm:/dev/kvm:rwm"),
        ] {
            assert_eq!(evaluate(keys, &[]).remedy, remedy, "{keys}");
        }
    }

    #[test]
    fn what_cannot_hold_is_a_fault() {
        for (keys, part) in [
            ("", "asserts nothing"),
            ("entropy = false", "asserts nothing"),
            ("sysctl = {}", "asserts nothing"),
            ("version = \"new\"", "is no version"),
            ("arch = []", "asserts nothing"),
            ("device = \"fuse\"", "/dev/fuse"),
            ("not_before = \"2024-13-01\"", "is no date"),
            ("not_before = \"yesterday\"", "is no date"),
            ("version = \"5\"\nsysctl = { a = true }", "a number (at least)"),
            ("shm = \"big\"", "such as \"64MiB\""),
            ("shm = 0", "asserts nothing"),
            ("version = \"5\"\nexport = \"X\"", "hands on nothing"),
            ("version = \"5\"\narch = \"amd64\"\nwait = \"1s\"", "does not change"),
        ] {
            let (_, faults) = crate::checks::read::testing::checks(&format!("[checks.kernel]\n{keys}"));
            assert!(faults.iter().any(|message| message.contains(part)), "{keys}: {faults:?}");
        }
        assert!(fault("[checks.kernel]").contains("asserts nothing"));
    }

    /// A wait for entropy is of use, but not on the wrong machine.
    #[test]
    fn a_wait_ends_where_nothing_helps() {
        for (keys, may_change) in [
            ("entropy = true", true),
            ("version = \"5\"\nentropy = true", true),
            ("version = \"99\"\nentropy = true", false),
            ("arch = \"vax\"\nentropy = true", false),
        ] {
            let finding = evaluate(&format!("{keys}\nwait = \"1s\""), &[]);
            assert_eq!((finding.ok, finding.may_change), (false, may_change), "{keys}");
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (date, want) in [
            ("1970-01-01", Some(0)),
            ("2000-02-29", Some(951_782_400)),
            ("2024-02-01", Some(1_706_745_600)),
            ("2024-02", None),
            ("2024-02-29", Some(1_709_164_800)),
            ("2023-02-29", None),
            ("2100-02-29", None),
            ("2024-04-31", None),
        ] {
            assert_eq!(seconds(date), want, "{date}");
        }
    }
}
