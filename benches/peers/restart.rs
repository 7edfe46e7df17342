//! From kill -9 of a service to the first instruction of its next run.

use super::common::start::{Quiet, Running, Space, Start, now, start};
use super::common::table::{Table, rows};
use super::common::{Options, micros};
use super::fifo::Fifo;
use super::procs;
use super::programs::Programs;
use super::services::{self, Supervisor};
use std::time::Duration;

const PEERS: [&str; 6] = ["bare", "s6", "runit", "daemontools", "supervisord", "horust"];

/// One that has lived 2 s, and one that has lived 100 ms; and the latter as users run it: on any CPU, at no priority.
pub fn restart(programs: &Programs, options: &Options) -> Vec<Table> {
    let quiet = Quiet::new();
    let old = one(programs, 2000, options.samples(40), "--quiet");
    let young = one(programs, 100, options.samples(40), "--quiet");
    drop(quiet);
    let usual = one(programs, 100, options.samples(200), "--log-level=info");
    let old =
        Table::new("kill -9 of a service that lived 2 s to the next one's first instruction", "µs", old);
    let young =
        Table::new("kill -9 of a service that lived 100 ms to the next one's first instruction", "µs", young);
    let usual = Table::new("the same as users run it: neither on one CPU nor with priority", "µs", usual);
    let old = old.bar(1.25, &["bare"]).bar(0.85, &["daemontools"]);
    vec![old, young.bar(1.25, &["bare"]), usual.bar(1.25, &["bare"])]
}

/// `lines` says which lines of its own rinit writes.
fn one(
    programs: &Programs,
    age: u64,
    count: usize,
    lines: &str,
) -> Vec<(String, super::common::table::Samples)> {
    let path = |name: &str| programs.directory.join(format!("restart-{name}.fifo"));
    let supervisors = services::all(programs, 1, |name| path(name).to_str().unwrap().to_owned(), &PEERS);
    let mut stand: Vec<(&Supervisor, Fifo, Running, u64)> = supervisors
        .iter()
        .map(|one| {
            let fifo = Fifo::new(&path(one.name), true);
            let words: Vec<_> = one
                .words
                .iter()
                .map(|word| if word == "--quiet" { lines.into() } else { word.clone() })
                .collect();
            let run = start(&Start { words: &words, space: Space::Proc, ..Start::default() });
            let born = fifo.next(10_000).unwrap_or_else(|| panic!("{} starts its service", one.name)).at;
            (one, fifo, run, born)
        })
        .collect();
    let mut rows = rows(supervisors.iter().map(|one| one.name));
    for _ in 0..count {
        for ((_, fifo, run, born), (_, samples)) in stand.iter_mut().zip(&mut rows) {
            while now() < *born + age * 1_000_000 {
                std::thread::sleep(Duration::from_millis(1));
            }
            let inside = procs::inside(run.pid);
            let service =
                inside.into_iter().find(|pid| *pid != run.pid && procs::runs(*pid, &programs.probe));
            let service = service.expect("the service runs");
            let before = now();
            // SAFETY: a process started by this benchmark.
            unsafe { libc::kill(service, libc::SIGKILL) };
            // Some take a second; a service that never comes back cannot be measured.
            let Some(mark) = fifo.next(10_000) else { panic!("the service does not come back") };
            *born = mark.at;
            samples.push(micros(mark.at - before));
        }
    }
    rows
}
