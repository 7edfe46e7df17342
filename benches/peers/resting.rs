//! The cost at rest: file size, and memory with one command.

use super::common::Options;
use super::common::start::{Space, Start, start};
use super::common::table::{Samples, Table, rows};
use super::procs;
use super::programs::Programs;
use std::fs;
use std::time::Duration;

/// The file size.
#[allow(clippy::cast_precision_loss)]
pub fn size(programs: &Programs, _: &Options) -> Vec<Table> {
    let inits = programs.inits.iter().filter(|init| !matches!(init.name, "direct" | "bare"));
    let sized = inits.map(|init| {
        let mut samples = Samples::default();
        samples.push(fs::metadata(init.path()).unwrap().len() as f64 / 1024.0);
        (init.name.to_owned(), samples)
    });
    let (small, plain): (Vec<_>, Vec<_>) = sized.partition(|(name, _)| name == "rinit-small");
    let plain = Table::new("size of the file", "KiB", plain).bar(960.0, &[]);
    let small = Table::new("size of the file that is released", "KiB", small).bar(800.0, &[]);
    vec![plain, small]
}

/// An idle command.
#[allow(clippy::cast_precision_loss)]
pub fn memory(programs: &Programs, options: &Options) -> Vec<Table> {
    let mut rows = rows(programs.names());
    let command = programs.probe(&["wait"]);
    for _ in 0..options.samples(20) {
        for (init, (_, samples)) in programs.inits.iter().zip(&mut rows) {
            let run = start(&Start { words: &init.words(&command), space: Space::Proc, ..Start::default() });
            std::thread::sleep(Duration::from_millis(50));
            samples.push(procs::private_dirty(run.pid) as f64);
        }
    }
    vec![
        Table::new("private dirty memory of PID 1, idle, one command", "KiB", rows)
            .bar(0.6, &["catatonit"])
            .bar(28.0, &[]),
    ]
}
