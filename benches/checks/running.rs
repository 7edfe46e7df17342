//! The whole program with its checks, from exec to exit.

use super::common::start::{Quiet, Space, Start, start};
use super::common::table::{Samples, Table, rows};
use super::common::{Options, micros};
use super::place::Place;
use std::fmt::Write as _;

/// A program to measure: its name, its arguments, and its expected exit code.
struct Turn {
    name: &'static str,
    words: Vec<String>,
    code: i32,
}

impl Turn {
    fn new(name: &'static str, words: &[&str], code: i32) -> Self {
        Self { name, words: words.iter().map(|word| (*word).to_owned()).collect(), code }
    }
}

/// Each binary under test with a configuration, and the first with an empty one as the baseline.
fn checks(place: &Place, config: &str, code: i32) -> Vec<Turn> {
    let of = |name: &'static str, path: &str, config: &str, code: i32| {
        Turn::new(name, &[path, "--config", config, "--check"], code)
    };
    let empty = place.config("empty.toml", "");
    let mut turns = vec![of("bare", &place.ours[0].1, &empty, 0)];
    turns.extend(place.ours.iter().map(|(name, path)| of(name, path, config, code)));
    turns
}

/// Runs each in turn, `count` times after `warm` warm-up rounds; returns the times in µs.
fn measure(place: &Place, turns: &[Turn], warm: usize, count: usize) -> Vec<(String, Samples)> {
    let mut rows = rows(turns.iter().map(|turn| turn.name));
    for round in 0..count + warm {
        for (turn, (_, samples)) in turns.iter().zip(&mut rows) {
            let what = Start {
                words: &turn.words,
                variables: &place.variables,
                space: Space::Shared,
                ..Start::default()
            };
            let mut run = start(&what);
            let took = run.end() - run.start;
            assert!(libc::WIFEXITED(run.status), "{}: killed", turn.name);
            let code = libc::WEXITSTATUS(run.status);
            assert_eq!(code, turn.code, "the exit code of {}", turn.words.join(" "));
            if round >= warm {
                samples.push(micros(took));
            }
        }
    }
    rows
}

/// 200 checks of four kinds; all pass.
pub fn many(place: &Place, options: &Options) -> Vec<Table> {
    let _quiet = Quiet::new();
    let config = place.config("many.toml", &place.many());
    let mut turns = vec![Turn::new("sh", &["/bin/sh", "-c", "true"], 0)];
    turns.extend(checks(place, &config, 0));
    let title = "200 checks of files, variables, mounts and the user, beside one `sh -c true`";
    let rows = measure(place, &turns, 5, options.samples(500));
    vec![Table::new(title, "µs", rows).bar(4.0, &["sh"])]
}

/// Ten checks, and a script that does the same ones.
pub fn ten(place: &Place, options: &Options) -> Vec<Table> {
    let _quiet = Quiet::new();
    let config = place.config("ten.toml", include_str!("ten.toml"));
    let script = place.config("ten.sh", include_str!("ten.sh"));
    let mut turns = vec![Turn::new("script", &["/bin/sh", &script], 0)];
    turns.extend(checks(place, &config, 0));
    let title = "ten checks, beside a shell script that does the same ten";
    let rows = measure(place, &turns, 5, options.samples(300));
    vec![Table::new(title, "µs", rows).bar(0.25, &["script"])]
}

/// 20 files that never appear, each waited for 2 s: concurrently, so no longer than that.
pub fn waits(place: &Place, options: &Options) -> Vec<Table> {
    let mut text = String::new();
    for n in 0..20 {
        writeln!(text, "[checks.file.\"{}\"]\nwait = \"2s\"", place.path(&format!("none{n}"))).unwrap();
    }
    let config = place.config("waits.toml", &text);
    let mut turns = checks(place, &config, 69);
    turns.remove(0);
    turns.insert(0, Turn::new("sleep", &["/bin/sleep", "2"], 0));
    let title = "20 checks that wait 2 s in vain, beside one `sleep 2`";
    let mut rows = measure(place, &turns, 0, options.samples(5));
    rows.iter_mut().for_each(|(_, samples)| samples.scale(0.001));
    vec![Table::new(title, "ms", rows).bar(1.05, &["sleep"])]
}
