//! From exec to the command, and from exec to exit.

use super::common::start::{Quiet, Space, Start, start};
use super::common::table::{Samples, Table, rows};
use super::common::{Options, micros};
use super::fifo::Fifo;
use super::programs::{Init, Programs};
use super::services;

/// Runs each in turn, `count` times after a few warm-up rounds; `one` returns µs.
fn rounds(programs: &Programs, count: usize, mut one: impl FnMut(&Init) -> u64) -> Vec<(String, Samples)> {
    let _quiet = Quiet::new();
    let mut rows = rows(programs.names());
    for round in 0..count + 5 {
        for (init, (_, samples)) in programs.inits.iter().zip(&mut rows) {
            let took = one(init);
            if round >= 5 {
                samples.push(micros(took));
            }
        }
    }
    rows
}

/// From exec of the init to the first instruction of the command.
pub fn launch(programs: &Programs, options: &Options) -> Vec<Table> {
    let command = programs.probe(&["mark"]);
    let (reader, writer) = Fifo::pipe();
    let rows = rounds(programs, options.samples(2000), |init| {
        let mut run = start(&Start { words: &init.words(&command), out: Some(&writer), ..Start::default() });
        run.end();
        reader.next(1000).expect("a mark").at - run.start
    });
    let table = Table::new("exec of the init to the first instruction of its command", "µs", rows);
    vec![table.bar(0.4, &["tini-static"])]
}

/// From exec of the init until its parent sees its end.
pub fn run(programs: &Programs, options: &Options) -> Vec<Table> {
    let commands = [
        ("a command without a C library, exec to reap", programs.probe(&["exit"]), 0.5),
        ("`true`, exec to reap", vec!["/bin/true"], 0.7),
    ];
    let mut tables = Vec::new();
    for (title, command, bar) in commands {
        let rows = rounds(programs, options.samples(1000), |init| {
            let mut run = start(&Start { words: &init.words(&command), ..Start::default() });
            let start = run.start;
            run.end() - start
        });
        tables.push(Table::new(title, "µs", rows).bar(bar, &["tini-static"]));
    }
    tables
}

/// Ten services and ten checks, then the command.
pub fn configured(programs: &Programs, options: &Options) -> Vec<Table> {
    let _quiet = Quiet::new();
    let path = programs.directory.join("configured.fifo");
    let fifo = Fifo::new(&path, true);
    let at = path.to_str().unwrap();
    let config = services::rinit_config(programs, 10, at, services::CHECKS);
    let mark = [programs.probe.as_str(), "stay"];
    let bare: Vec<String> = [&[&programs.probe, "bare", "10", &programs.probe, "stay", at, "--"], &mark[..]]
        .concat()
        .into_iter()
        .map(str::to_owned)
        .collect();
    let mut starts = vec![("bare", bare)];
    for init in programs.ours() {
        let words = [init.path(), "--quiet", "--config", &config, "--", mark[0], mark[1]];
        starts.push((init.name, words.map(str::to_owned).to_vec()));
    }
    let mut rows = rows(starts.iter().map(|(name, _)| *name));
    let (reader, writer) = Fifo::pipe();
    for round in 0..options.samples(500) + 5 {
        for ((_, words), (_, samples)) in starts.iter().zip(&mut rows) {
            let run = start(&Start { words, out: Some(&writer), space: Space::Proc, ..Start::default() });
            let mark = reader.next(5000).expect("the command's mark");
            let took = mark.at - run.start;
            for _ in 0..10 {
                fifo.next(5000).expect("a mark of each service");
            }
            if round >= 5 {
                samples.push(micros(took));
            }
        }
    }
    vec![
        Table::new("10 services and 10 checks, exec to the first instruction of the command", "µs", rows)
            .bar(2.0, &["bare"]),
    ]
}
