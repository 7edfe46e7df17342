//! Every text that rinit reads may be damaged, and none may make it panic or hang: real files (this machine's, and those
//! of containers in `samples`) and examples, with bytes changed, cut, doubled and moved at random; and texts that are
//! large and all alike, for what would take time by the square. The seed is in the message of a failure, and fixed, so
//! that a failure comes again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

use rinit::checks;
use rinit::checks::kinds::link;
use rinit::config::read::env_file;
use rinit::config::read::interpolate::{Scope, StartFacts, expand};
use rinit::config::read::table::ReadContext;
use rinit::config::resolve;
use rinit::config::source::diagnostic::SourceMap;
use rinit::config::source::document;
use rinit::config::source::files::{Files, Io, load};
use rinit::control::protocol;
use rinit::model::environ::Environ;
use rinit::sys::container::cgroup;
use rinit::sys::executable::format::{Content, first_bytes};
use rinit::sys::executable::lookup;
use rinit::sys::fs::mounts;
use rinit::sys::net::Protocol;
use rinit::sys::process::credentials::Accounts;
use rinit::sys::process::{procfs, status};
use rinit::sys::{container, net};
use rinit::text::regex::Pattern;
use rinit::text::shell_words;
use rinit::text::units;
use std::ffi::CString;
use std::time::Duration;

/// xorshift64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % most.max(1)
    }

    /// A text with a few of its characters changed, lost, doubled, or put elsewhere.
    fn damage(&mut self, text: &str) -> String {
        const ODD: &[char] = &[
            '\0', '\n', '\r', '\t', ' ', '"', '\'', '\\', '$', '{', '}', '[', ']', '=', ':', '#', '-', '9',
            '/', 'é', '\u{feff}', '|', '*', '(', ')',
        ];
        let mut chars: Vec<char> = text.chars().collect();
        for _ in 0..=self.below(6) {
            let (at, to) = (self.below(chars.len() + 1), self.below(chars.len() + 1));
            match self.below(6) {
                0 => chars.insert(at, ODD[self.below(ODD.len())]),
                1 if at < chars.len() => drop(chars.remove(at)),
                2 if at < chars.len() => chars[at] = ODD[self.below(ODD.len())],
                3 => chars.truncate(at),
                4 if at < to => {
                    let piece = chars[at..to.min(at + 40)].to_vec();
                    chars.extend(piece);
                }
                _ => {
                    let most = chars.len();
                    chars.rotate_left(at.min(most));
                }
            }
            chars.truncate(20_000);
        }
        chars.into_iter().collect()
    }

    /// The same with bytes; a number is put in that is too large for anything.
    fn damage_bytes(&mut self, bytes: &[u8]) -> Vec<u8> {
        const ODD: &[u8] = &[0, 1, 2, 3, 4, 8, 16, 32, 64, 0x7f, 0x80, 0xfe, 0xff];
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(6) {
            // What a header says stands at its beginning.
            let most = if self.below(2) == 0 { bytes.len().min(64) } else { bytes.len() };
            let (at, odd) = (self.below(most + 1), ODD[self.below(ODD.len())]);
            match self.below(5) {
                0 => bytes.insert(at, odd),
                1 if at < bytes.len() => drop(bytes.remove(at)),
                2 => bytes.truncate(at),
                3 => bytes.iter_mut().skip(at).take(8).for_each(|byte| *byte = odd),
                _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = odd),
            }
        }
        bytes
    }
}

/// A seed for a round that is as good as any other.
fn dice(round: usize) -> Dice {
    Dice((0x9e37_79b9_7f4a_7c15 ^ (round as u64 + 1).wrapping_mul(0x2545_f491_4f6c_dd1d)) | 1)
}

/// Feeds `reader` damaged copies of `seeds`.
fn feed(name: &str, seeds: &[String], rounds: usize, reader: impl Fn(&str) + std::panic::RefUnwindSafe) {
    assert!(!seeds.is_empty());
    for round in 0..rounds {
        let mut dice = dice(round);
        let base = dice.below(seeds.len());
        let text = dice.damage(&seeds[base]);
        let outcome = std::panic::catch_unwind(|| reader(&text));
        assert!(outcome.is_ok(), "{name}, round {round}: {text:?}");
    }
}

/// As [`feed`], what is no text.
fn feed_bytes(
    name: &str,
    seeds: &[Vec<u8>],
    rounds: usize,
    reader: impl Fn(&[u8]) + std::panic::RefUnwindSafe,
) {
    assert!(seeds.iter().all(|seed| !seed.is_empty()));
    for round in 0..rounds {
        let mut dice = dice(round);
        let base = dice.below(seeds.len());
        let bytes = dice.damage_bytes(&seeds[base]);
        let outcome = std::panic::catch_unwind(|| reader(&bytes));
        assert!(outcome.is_ok(), "{name}, round {round}: {bytes:?}");
    }
}

/// Feeds a reader what is large: 256 KiB of one character after each beginning, and each beginning again and again. One
/// that took time by the square would take many times as long as it may, even if it only moved bytes.
fn feed_much(name: &str, beginnings: &[&str], reader: impl Fn(&str)) {
    const MUCH: usize = 1 << 18;
    const MAX_CPU: Duration = Duration::from_secs(2);
    let reader = |text: &str| {
        let begin = cpu_time();
        reader(text);
        let took = cpu_time().saturating_sub(begin);
        assert!(took < MAX_CPU, "{name}: {took:?} for {:?}…", text.chars().take(40).collect::<String>());
    };
    for beginning in beginnings {
        for one in [" ", "\n", ":", "\\", "/", "0", "9", "a", "#", ",", "=", "\0", "\u{fffd}", "(", "["] {
            let text = [*beginning, &one.repeat(MUCH / one.len())].concat();
            reader(&text);
        }
        let again = beginning.repeat(MUCH / beginning.len().max(1));
        assert!(again.len() <= MUCH, "{name}");
        reader(&again);
    }
}

/// The time that this thread has had: others on the machine do not count.
fn cpu_time() -> Duration {
    // SAFETY: all zero is a time.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: one structure, which is ours.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}

fn file(path: &str) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

/// A file as this machine, Docker, Podman and Kubernetes have it.
fn everywhere(own: &str, name: &str) -> Vec<String> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/samples");
    let of = |whose: &str| {
        let path = format!("{directory}/{whose}/{name}");
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    ["docker", "podman", "kubernetes"].map(of).into_iter().chain([file(own)]).collect()
}

fn examples() -> Vec<String> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/config-examples");
    std::fs::read_dir(directory).unwrap().map(|entry| file(entry.unwrap().path().to_str().unwrap())).collect()
}

fn scope() -> Scope<'static> {
    Scope {
        variable: &|name| (name.len() < 5).then(|| "value".to_string()),
        exists: &|path| path.len() % 2 == 0,
        read: &|_| Ok("A=1\nB='two'\n".into()),
        later: &[],
        start: StartFacts::default(),
    }
}

#[test]
fn a_damaged_configuration_is_a_fault_and_no_more() {
    feed("configuration", &examples(), 3_000, |text| {
        let mut sources = SourceMap::default();
        let file = sources.add("rinit.toml".into(), text.to_string());
        let mut faults = Vec::new();
        let root = document::parse(&sources, file, &mut faults);
        let reading = ReadContext::new(scope());
        let _ = checks::read(root.get("checks"), &reading);
        faults.extend(reading.into_faults());
        let files = Files { sources, root };
        let _ = resolve::resolve(Some(&files), &scope(), &[c"app".to_owned()], &mut faults);
        for fault in &faults {
            let shown = files.sources.render(fault);
            let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
            assert!(!shown.contains(odd) && shown.lines().count() <= 3, "{shown:?}");
        }
    });
}

/// Faults without number, names as long as a file, and one file over another: none takes time by the square.
#[test]
fn a_configuration_of_many_faults_comes_to_an_end() {
    const MAX_DIAGNOSTICS: usize = 20_000;
    let all = |line: fn(usize) -> String| (0..MAX_DIAGNOSTICS).map(line).collect::<String>();
    let paths = all(|n| format!("[checks.file.\"x{n}\"]\n[checks.fle.x{n}]\n"));
    let keys = all(|n| format!("k{n} = 1\n"));
    let long = "a".repeat(1 << 20);
    let long = format!("[services.{long}]\ncommand = 'a'\n[services.b]\ncommand = 'b'\nafter = '{long}b'\n");
    let waits: String = (0..5_000)
        .map(|n| format!("[services.s{n}]\ncommand = 'a'\nenvironment.A = 1\nafter = 'q{n}'\n"))
        .collect();
    for (text, least) in [(paths, MAX_DIAGNOSTICS), (keys, MAX_DIAGNOSTICS), (long, 1), (waits, 5_000)] {
        let mut faults = Vec::new();
        let read = |_: &str| Ok(text.clone().into_bytes());
        let list = |_: &str| Ok(Vec::new());
        let twice = ["a".to_string(), "b".to_string()];
        let files =
            load(&twice, None, &Io { read: &read, list: &list, why: &|_, _| String::new() }, &mut faults)
                .unwrap();
        let reading = ReadContext::new(scope());
        let _ = checks::read(files.root.get("checks"), &reading);
        faults.extend(reading.into_faults());
        let _ = resolve::resolve(Some(&files), &scope(), &[], &mut faults);
        assert!(faults.len() >= least, "{}", faults.len());
        for fault in &faults {
            assert!(files.sources.render(fault).lines().count() == 3);
        }
    }
}

/// All that is done with the text of each of the system's files.
mod readers {
    use super::*;

    pub fn mountinfo(text: &str) {
        let all = mounts::parse(text);
        let _ = mounts::mount_of(&all, "/b c/d");
        for mount in &all {
            let _ = (mount.read_only(), mount.has("noexec"), mount.propagates("shared"));
        }
    }

    pub fn accounts(text: &str) {
        let (passwd, group) = text.split_once('\u{1}').unwrap_or((text, ""));
        let known = Accounts::parse(passwd, group);
        let _ = known.identity("root");
        let _ = known.identity("www-data:adm");
    }

    pub fn hosts(text: &str) {
        drop(net::parse_hosts(text));
    }

    pub fn resolv_conf(text: &str) {
        drop(container::nameservers(text));
    }

    pub fn status(text: &str) {
        let _ = (status::processors(text), status::installed_memory(text), lookup::lacking(text));
        let _ = (status::number(text, "CapBnd:", 16), status::number(text, "Seccomp:", 10));
    }

    pub fn cgroup(text: &str) {
        drop(cgroup::places(text, "cpu.max", "cpu", "cpu.cfs_quota_us"));
    }

    pub fn limits(text: &str) {
        let _ = (cgroup::limit(text), cgroup::share(text, text), cgroup::kills(text));
    }

    pub fn environ(text: &str) {
        let entries = text.lines().filter_map(|line| CString::new(line).ok());
        let environ = Environ::from_entries(entries);
        for alias in ["web", "some-web.1", "kubernetes", "redis-primary", "resolver", ""] {
            drop(link::variables(alias, &environ));
        }
    }

    pub fn processes(text: &str) {
        drop(procfs::parse(1, text));
    }

    pub fn network(text: &str) {
        drop(net::routes(text, text));
        drop((net::sockets(text, Protocol::Tcp), net::sockets(text, Protocol::Udp)));
    }

    pub fn bytes(bytes: &[u8]) {
        if let Content::Elf { loader: Some((path, there)), .. } = first_bytes(bytes) {
            assert!(
                !there && path.len() <= 3 * bytes.len(),
                "it is a part of the file, and was not looked for"
            );
        }
    }
}

#[test]
fn damaged_system_files_are_read_as_far_as_they_go() {
    let mut mountinfo = everywhere("/proc/self/mountinfo", "mountinfo");
    mountinfo.push("36 35 98:0 /a /b\\040c rw,noatime master:1 - ext4 /dev/x rw\n".into());
    feed("mountinfo", &mountinfo, 5_000, readers::mountinfo);
    let (passwd, group) = (everywhere("/etc/passwd", "passwd"), everywhere("/etc/group", "group"));
    let accounts: Vec<String> = passwd.iter().zip(&group).map(|(a, b)| format!("{a}\u{1}{b}")).collect();
    feed("passwd and group", &accounts, 5_000, readers::accounts);
    let mut hosts = everywhere("/etc/hosts", "hosts");
    hosts.push("127.0.0.1 localhost\n172.17.0.2 web 5f1e some-web # c\n::1 ip6\n".into());
    feed("hosts", &hosts, 5_000, readers::hosts);
    feed("resolv.conf", &everywhere("/etc/resolv.conf", "resolv.conf"), 5_000, readers::resolv_conf);
    let mut texts = everywhere("/proc/self/status", "status");
    texts.push(file("/proc/meminfo"));
    feed("status", &texts, 5_000, readers::status);
}

#[test]
fn damaged_limits_are_none_or_others() {
    feed("cgroup", &everywhere("/proc/self/cgroup", "cgroup"), 5_000, readers::cgroup);
    let limits = [
        "67108864\n",
        "max\n",
        "-1\n",
        "9223372036854771712\n",
        "150000 100000\n",
        "max 100000\n",
        "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n",
        "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 1\n",
    ];
    feed("limits", &limits.map(str::to_string), 20_000, readers::limits);
}

#[test]
fn damaged_link_variables_are_no_links() {
    feed("environ", &everywhere("/proc/self/environ", "environ"), 5_000, readers::environ);
    let lines = everywhere("/none", "environ").join("");
    let links: Vec<String> = lines.lines().filter(|line| line.contains("://")).map(str::to_string).collect();
    feed("a variable", &links, 20_000, readers::environ);
}

#[test]
fn damaged_programs_are_looked_at_no_further_than_they_reach() {
    let head = |path: &str| {
        let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        bytes[..bytes.len().min(4096)].to_vec()
    };
    // Of a 32-bit file there is none on this machine: the header of one for ARM, and its loader.
    let mut small = vec![0; 256];
    for (at, part) in [
        (0, &b"\x7fELF\x01\x01\x01"[..]),
        (16, &[2, 0, 40, 0, 1]),
        (28, &[52]),
        (42, &[32, 0, 1, 0]),
        (52, &[3, 0, 0, 0, 96]),
        (68, &[25]),
        (96, b"/lib/ld-linux-armhf.so.3"),
    ] {
        small[at..at + part.len()].copy_from_slice(part);
    }
    assert_eq!(
        first_bytes(&small),
        Content::Elf { machine: 40, loader: Some(("/lib/ld-linux-armhf.so.3".into(), false)) }
    );
    let mut big = small.clone();
    big[5] = 2;
    let seeds = [head("/proc/self/exe"), head("/bin/sh"), small, big];
    feed_bytes("ELF", &seeds, 20_000, readers::bytes);
    let texts =
        ["#!/usr/bin/env -S A=b bash -e\r\n", "#! /bin/sh -e\nexit\n", "\u{feff}#!/bin/sh\n", "MZ\0", "a\n"];
    feed_bytes("first bytes", &texts.map(|text| text.as_bytes().to_vec()), 20_000, readers::bytes);
}

#[test]
fn damaged_tables_of_the_kernel_are_read_as_far_as_they_go() {
    feed("stat", &[file("/proc/self/stat"), "7 (a) b (c)) S 3 6 5 0 -1".into()], 10_000, readers::processes);
    let tables = [file("/proc/net/route"), file("/proc/net/ipv6_route"), file("/proc/net/tcp6")];
    let one = "  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 7001 1 0\n";
    let tables: Vec<String> = tables.into_iter().chain([one.into()]).collect();
    feed("network", &tables, 5_000, readers::network);
}

/// What anybody may send to PID 1.
#[test]
fn damaged_requests_are_refused_or_others() {
    let seeds = [
        r#"{"v":1,"id":7,"verb":"stop","names":["web","a \u00e9 b"],"only":true,"later":[{"a":null}]}"#,
        r#"{"verb":"shutdown","code":3}"#,
        r#"{"verb":"signal","signal":"SIGHUP","names":["a"]}"#,
        r#"{"verb":"events","since":9007199254740991,"follow":true}"#,
    ];
    let seeds = seeds.map(String::from);
    feed("requests", &seeds, 4000, |text| {
        if let Ok(request) = protocol::parse(text.as_bytes()) {
            assert!(
                request.names.len() <= text.len()
                    && (!request.verb.needs_names() || !request.names.is_empty())
            );
        }
    });
    let beginnings = ["[", "{\"a\":", "{\"verb\":\"status\",\"names\":[", "\"\\u0000", "1", "\\"];
    feed_much("requests", &beginnings, |text| _ = protocol::parse(text.as_bytes()));
}

#[test]
fn what_is_large_and_all_alike_comes_to_an_end() {
    type Reader = fn(&str);
    let line = "36 35 98:0 /a /b\\040c rw,noatime master:1 - ext4 /dev/x rw\n";
    let link = "WEB_PORT_80_TCP=tcp://172.17.0.2:80\nWEB_SERVICE_HOST=x\nWEB_SERVICE_PORT_A=1\n";
    let all: [(&str, &[&str], Reader); 10] = [
        ("mountinfo", &["", line, "36 35 98:0 ", "36 35 98:0 /a /b rw - "], readers::mountinfo),
        ("passwd", &["", "a:x:1:1:A:/:/bin/sh\n", "a:x:1:1:", "\u{1}a:x:1:"], readers::accounts),
        ("hosts", &["", "1.1.1.1 a\n", "1.1.1.1 "], readers::hosts),
        ("resolv.conf", &["", "nameserver 1.1.1.1\n", "nameserver "], readers::resolv_conf),
        ("status", &["", "Cpus_allowed:\tff,ff\n", "Cpus_allowed:", "CapEff:\t"], readers::status),
        ("cgroup", &["", "0::/a\n", "0::/", "3:cpu,", "3:cpu:/"], readers::cgroup),
        ("limits", &["", "1 ", "oom_kill 1\n", "oom_kill "], readers::limits),
        (
            "environ",
            &["", link, "WEB_PORT_", "WEB_PORT_80_TCP=tcp://", "WEB_SERVICE_HOST="],
            readers::environ,
        ),
        ("stat", &["", "1 (", "1 (a) S ", "1 (a) S 1 1 1\n"], readers::processes),
        ("network", &["", "0: 0100007F:1F90 0:0 0A 0 0 0 0 0 7\n", "0: 0100007F:"], readers::network),
    ];
    for (name, beginnings, reader) in all {
        feed_much(name, beginnings, reader);
    }
    feed_much("first bytes", &["", "#!", "#!/usr/bin/env ", "\u{7f}ELF\u{2}\u{1}"], |text| {
        readers::bytes(text.as_bytes());
    });
    // As many ports as there are.
    let ports: String = (1..=20_000).map(|port| format!("WEB_SERVICE_PORT_{port}={port}\n")).collect();
    readers::environ(&format!("WEB_SERVICE_HOST=x\n{ports}"));
}

#[test]
fn small_languages_have_no_text_that_breaks_them() {
    let seeds = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    feed("expansion", &seeds(&["${A:-${B:-c}} $$ ${D:?e} ${F+g}"]), 20_000, |text| {
        drop(expand(text, &scope()))
    });
    feed("words", &seeds(&["nginx -g 'daemon off;' \"a b\" c\\ d"]), 20_000, |text| {
        drop(shell_words::split(text))
    });
    feed("durations", &seeds(&["1h30m5.25s", "500ms"]), 20_000, |text| drop(units::duration(text)));
    feed("sizes", &seeds(&["64MiB", "1.5G"]), 20_000, |text| drop(units::size(text)));
    feed("patterns", &seeds(&["^(a|b[c-e]+){2,3}\\d*.?$"]), 20_000, |text| {
        if let Ok(pattern) = Pattern::new(text) {
            let _ = pattern.matches("abcdeabcde123456789");
        }
    });
    feed("env files", &seeds(&["A=1\nexport B='two words' # c\nC=\"x\\ny\"\n\nD\n"]), 20_000, |text| {
        drop(env_file::parse(text, &scope()));
    });
}
