//! Every text that rinit reads may be damaged, and none may make it panic or hang: real files and examples, with
//! bytes changed, cut, doubled and moved at random. The seed is in the message of a failure, and fixed, so that a
//! failure comes again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

use rinit::checks::{self, pattern::Pattern};
use rinit::config::expand::{Scope, expand};
use rinit::config::fault::Sources;
use rinit::config::files::Files;
use rinit::config::table::Reading;
use rinit::config::{env_file, resolve, tree, words};
use rinit::sys::users::Accounts;
use rinit::sys::{mounts, net};

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
}

/// Feeds `reader` damaged copies of `seeds`.
fn feed(name: &str, seeds: &[String], rounds: usize, reader: impl Fn(&str) + std::panic::RefUnwindSafe) {
    assert!(!seeds.is_empty());
    for round in 0..rounds {
        let seed = 0x9e37_79b9_7f4a_7c15 ^ (round as u64 + 1).wrapping_mul(0x2545_f491_4f6c_dd1d);
        let mut dice = Dice(seed | 1);
        let base = dice.below(seeds.len());
        let text = dice.damage(&seeds[base]);
        let outcome = std::panic::catch_unwind(|| reader(&text));
        assert!(outcome.is_ok(), "{name}, round {round}: {text:?}");
    }
}

fn file(path: &str) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

fn examples() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/config-examples");
    std::fs::read_dir(folder).unwrap().map(|entry| file(entry.unwrap().path().to_str().unwrap())).collect()
}

fn scope() -> Scope<'static> {
    Scope {
        variable: &|name| (name.len() < 5).then(|| "value".to_string()),
        exists: &|path| path.len() % 2 == 0,
        read: &|_| Ok("A=1\nB='two'\n".into()),
        later: &[],
    }
}

#[test]
fn a_damaged_configuration_is_a_fault_and_no_more() {
    feed("configuration", &examples(), 3_000, |text| {
        let mut sources = Sources::default();
        let file = sources.add("rinit.toml".into(), text.to_string());
        let mut faults = Vec::new();
        let root = tree::parse(&sources, file, &mut faults);
        let reading = Reading::new(scope());
        let _ = checks::read(root.get("checks"), &reading);
        faults.extend(reading.into_faults());
        let files = Files { sources, root };
        let _ = resolve::resolve(Some(&files), &scope(), &[c"app".to_owned()], &mut faults);
        for fault in &faults {
            let shown = files.sources.render(fault);
            assert!(!shown.contains('\u{1b}'), "{shown}");
        }
    });
}

#[test]
fn damaged_system_files_are_read_as_far_as_they_go() {
    let mountinfo = vec![
        file("/proc/self/mountinfo"),
        "36 35 98:0 /a /b\\040c rw,noatime master:1 - ext4 /dev/x rw\n".into(),
    ];
    feed("mountinfo", &mountinfo, 5_000, |text| {
        let all = mounts::parse(text);
        let _ = mounts::mount_of(&all, "/b c/d");
    });
    let accounts = vec![file("/etc/passwd") + "\u{1}" + &file("/etc/group")];
    feed("passwd and group", &accounts, 5_000, |text| {
        let (passwd, group) = text.split_once('\u{1}').unwrap_or((text, ""));
        let known = Accounts::parse(passwd, group);
        let _ = known.identity("root");
        let _ = known.identity("www-data:adm");
    });
    let hosts =
        vec![file("/etc/hosts"), "127.0.0.1 localhost\n172.17.0.2 web 5f1e some-web # c\n::1 ip6\n".into()];
    feed("hosts", &hosts, 5_000, |text| drop(net::parse_hosts(text)));
}

#[test]
fn small_languages_have_no_text_that_breaks_them() {
    let seeds = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    feed("expansion", &seeds(&["${A:-${B:-c}} $$ ${D:?e} ${F+g}"]), 20_000, |text| {
        drop(expand(text, &scope()))
    });
    feed("words", &seeds(&["nginx -g 'daemon off;' \"a b\" c\\ d"]), 20_000, |text| drop(words::split(text)));
    feed("durations", &seeds(&["1h30m5.25s", "500ms"]), 20_000, |text| drop(words::duration(text)));
    feed("sizes", &seeds(&["64MiB", "1.5G"]), 20_000, |text| drop(words::size(text)));
    feed("patterns", &seeds(&["^(a|b[c-e]+){2,3}\\d*.?$"]), 20_000, |text| {
        if let Ok(pattern) = Pattern::new(text) {
            let _ = pattern.matches("abcdeabcde123456789");
        }
    });
    feed("env files", &seeds(&["A=1\nexport B='two words' # c\nC=\"x\\ny\"\n\nD\n"]), 20_000, |text| {
        drop(env_file::parse(text, &scope()));
    });
}
