//! A file of 2,000 lines: parsed and resolved in this process, and by the whole program.

use super::common::start::{Quiet, Space, Start, now, start};
use super::common::table::{Samples, Table, rows};
use super::common::{Options, micros};
use super::place::Place;
use rinit::checks;
use rinit::config::read::interpolate::{Scope, StartFacts};
use rinit::config::read::table::ReadContext;
use rinit::config::source::diagnostic::SourceMap;
use rinit::config::source::document;
use rinit::config::source::files::Files;
use rinit::config::{Plan, resolve};
use std::hint::black_box;

/// From the text to the checks and the plan, as at a start.
fn ours(text: &str) -> (usize, Plan) {
    let variable = |name: &str| (name == "APP").then(|| "/opt/app".to_owned());
    let scope = Scope {
        variable: &variable,
        exists: &|_| true,
        read: &|_| Err("does not exist".into()),
        later: &[],
        start: StartFacts::default(),
    };
    let mut sources = SourceMap::default();
    let file = sources.add("rinit.toml".into(), text.to_owned());
    let mut faults = Vec::new();
    let root = document::parse(&sources, file, &mut faults);
    let reading = ReadContext::new(scope);
    let checks = checks::read(root.get("checks"), &reading);
    faults.extend(reading.into_faults());
    let files = Files { sources, root };
    let plan = resolve::resolve(Some(&files), &scope, &[], &mut faults);
    assert_eq!(faults, [], "the file has no faults");
    (checks.len(), plan)
}

/// Measures repeatedly in this process: compares the work itself, with memory already touched. `whole` shows the
/// additional cost of a start.
pub fn reading(place: &Place, options: &Options) -> Vec<Table> {
    let _quiet = Quiet::new();
    let text = place.long();
    let (checks, plan) = ours(&text);
    assert_eq!((checks, plan.services.len()), (200, 100), "all of it is read");
    let mut rows = rows(["toml", "toml, borrowed", "rinit"]);
    for round in 0..options.samples(300) + 5 {
        let mut took = [0; 3];
        took[0] = time(|| text.parse::<toml::Table>().unwrap());
        took[1] = time(|| toml::de::DeTable::parse(&text).unwrap());
        took[2] = time(|| ours(&text));
        if round >= 5 {
            rows.iter_mut().zip(took).for_each(|((_, samples), took)| samples.push(micros(took)));
        }
    }
    let title = "2,000 lines, read and resolved by the library, beside a bare TOML parser (`toml::Table`)";
    let library = Table::new(title, "µs", rows).bar(5.0, &["toml"]);
    vec![library, whole(place, &text, options)]
}

/// Measures a function; includes the time to drop its result.
fn time<T>(mut what: impl FnMut() -> T) -> u64 {
    let start = now();
    drop(black_box(what()));
    now() - start
}

/// Measures the program, which also reads the file from disk. For comparison; no bar.
fn whole(place: &Place, text: &str, options: &Options) -> Table {
    let long = place.config("long.toml", text);
    let empty = place.config("empty.toml", "");
    let words =
        |path: &str, config: &str| [path, "--config", config, "--validate"].map(str::to_owned).to_vec();
    let mut turns = vec![
        ("sh", ["/bin/sh", "-c", "true"].map(str::to_owned).to_vec()),
        ("bare", words(&place.ours[0].1, &empty)),
    ];
    turns.extend(place.ours.iter().map(|(name, path)| (*name, words(path, &long))));
    let mut rows: Vec<(String, Samples)> = rows(turns.iter().map(|(name, _)| *name));
    for round in 0..options.samples(300) + 5 {
        for ((_, words), (_, samples)) in turns.iter().zip(&mut rows) {
            let space = Space::Shared;
            let mut run = start(&Start { words, variables: &place.variables, space, ..Start::default() });
            let took = run.end() - run.start;
            assert_eq!(run.status, 0, "{}", words.join(" "));
            if round >= 5 {
                samples.push(micros(took));
            }
        }
    }
    Table::new("2,000 lines, `--validate`, exec to the end, beside one `sh -c true`", "µs", rows)
}
