//! Orphans: their CPU cost for PID 1, and the time until all are reaped.

use super::common::start::{Space, Start, start};
use super::common::table::{Of, Table, rows};
use super::common::{Options, micros};
use super::fifo::Fifo;
use super::procs;
use super::programs::Programs;
use std::time::Duration;

/// 50,000 orphans, one after the other: CPU time of PID 1. Their parent stays when it is done, so that its init can be
/// inspected.
pub fn orphans(programs: &Programs, options: &Options) -> Vec<Table> {
    let inits: Vec<_> = programs.inits.iter().filter(|init| init.name != "direct").collect();
    let mut rows = rows(inits.iter().map(|init| init.name));
    let count = if options.quick { "5000" } else { "50000" };
    let command = programs.probe(&["orphans", count]);
    for _ in 0..if options.quick { 2 } else { 5 } {
        for (init, (_, samples)) in inits.iter().zip(&mut rows) {
            let (reader, writer) = Fifo::pipe();
            let run = start(&Start {
                words: &init.words(&command),
                out: Some(&writer),
                space: Space::Proc,
                ..Start::default()
            });
            reader.next(120_000).expect("the maker's mark");
            // By then the last one is reaped.
            std::thread::sleep(Duration::from_millis(100));
            samples.push(micros(procs::cpu(run.pid)) / 1000.0);
        }
    }
    let title = format!("{count} orphans one after the other: CPU time of PID 1");
    vec![Table::new(&title, "ms", rows).bar(0.94, &["tini"])]
}

/// 1,000 orphans that end together.
pub fn blow(programs: &Programs, options: &Options) -> Vec<Table> {
    let inits: Vec<_> = programs.inits.iter().filter(|init| init.name != "direct").collect();
    let mut rows = rows(inits.iter().map(|init| init.name));
    let command = programs.probe(&["blow", "1000"]);
    for round in 0..options.samples(50) + 1 {
        for (init, (_, samples)) in inits.iter().zip(&mut rows) {
            let (reader, writer) = Fifo::pipe();
            let mut run = start(&Start {
                words: &init.words(&command),
                out: Some(&writer),
                space: Space::Proc,
                ..Start::default()
            });
            let mark = reader.next(20_000).expect("the maker's mark");
            run.end();
            if round > 0 {
                let all_gone = mark.more == 0;
                samples.push(if all_gone { micros(mark.at) / 1000.0 } else { f64::INFINITY });
            }
        }
    }
    let table = Table::new("1,000 zombies at one blow: until none is left", "ms", rows);
    // "Reaped within 200 ms" applies to the 99th percentile, as a plain limit.
    vec![table.bar(1.1, &["tini"]).bar_of(Of::P99, 200.0, &[])]
}
