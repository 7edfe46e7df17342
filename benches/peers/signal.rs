//! From a signal to PID 1 to the handler of its command.

use super::common::start::{Quiet, Start, now, start};
use super::common::table::{Of, Table, rows};
use super::common::{Options, micros};
use super::fifo::Fifo;
use super::programs::Programs;

/// All inits run side by side; in every round each gets one signal.
pub fn signal(programs: &Programs, options: &Options) -> Vec<Table> {
    let _quiet = Quiet::new();
    // The kernel drops signals that PID 1 has no handler for; `direct` has one, `bare` forwards nothing.
    let inits: Vec<_> = programs.inits.iter().filter(|init| init.name != "bare").collect();
    let command = programs.probe(&["signal"]);
    let stand: Vec<_> = inits
        .iter()
        .map(|init| {
            let (reader, writer) = Fifo::pipe();
            let run = start(&Start { words: &init.words(&command), out: Some(&writer), ..Start::default() });
            reader.next(2000).expect("the command is ready");
            (run, reader)
        })
        .collect();
    let mut rows = rows(inits.iter().map(|init| init.name));
    for round in 0..options.samples(5000) + 20 {
        for ((run, reader), (_, samples)) in stand.iter().zip(&mut rows) {
            let before = now();
            run.signal(libc::SIGUSR1);
            let mark = reader.next(2000).expect("the handler's mark");
            if round >= 20 {
                samples.push(micros(mark.at - before));
            }
        }
    }
    let table = Table::new("a signal to PID 1 to the handler in its command", "µs", rows);
    vec![table.bar(0.95, &["tini"]).bar(1.05, &["dumb-init"]).bar_of(Of::P99, 1.2, &["tini"])]
}
