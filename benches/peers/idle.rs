//! The cost of an idle minute.

use super::common::Options;
use super::common::start::{Running, Space, Start, start};
use super::common::table::{Table, rows};
use super::fifo::Fifo;
use super::programs::Programs;
use super::{procs, services};
use std::time::Duration;

const COUNT: usize = 100;

/// 100 services under each supervisor, and one command under each init, all in the same minute.
#[allow(clippy::cast_precision_loss)]
pub fn idle(programs: &Programs, options: &Options) -> Vec<Table> {
    let path = |name: &str| programs.directory.join(format!("idle-{name}.fifo"));
    let supervisors = services::all(programs, COUNT, |name| path(name).to_str().unwrap().to_owned(), &[]);
    let mut stand: Vec<Running> = Vec::new();
    for one in &supervisors {
        let fifo = Fifo::new(&path(one.name), true);
        stand.push(start(&Start { words: &one.words, space: Space::Proc, ..Start::default() }));
        for _ in 0..COUNT {
            assert!(fifo.next(60_000).is_some(), "{}: not all services run", one.name);
        }
    }
    let command = programs.probe(&["wait"]);
    for init in &programs.inits {
        stand.push(start(&Start { words: &init.words(&command), space: Space::Proc, ..Start::default() }));
    }
    // By then all work after a start (s6's readiness, supervisord's startsecs) is done.
    std::thread::sleep(Duration::from_secs(if options.quick { 1 } else { 10 }));
    let supervision = |run: &Running| -> Vec<i32> {
        let ours = |pid: &i32| *pid == run.pid || !procs::runs(*pid, &programs.probe);
        procs::inside(run.pid).into_iter().filter(ours).collect()
    };
    let groups: Vec<Vec<i32>> = stand.iter().map(supervision).collect();
    let count = |group: &Vec<i32>| -> u64 { group.iter().map(|pid| procs::switches(*pid)).sum() };
    let before: Vec<u64> = groups.iter().map(count).collect();
    std::thread::sleep(Duration::from_secs(if options.quick { 5 } else { 60 }));
    let mut after: Vec<u64> = groups.iter().map(count).collect();
    after.iter_mut().zip(before).for_each(|(after, before)| *after -= before);
    let names = supervisors.iter().map(|one| one.name);
    let (with, without) = after.split_at(supervisors.len());
    let mut services = rows(names);
    services.iter_mut().zip(with).for_each(|((_, samples), count)| samples.push(*count as f64));
    let mut inits = rows(programs.names());
    inits.iter_mut().zip(without).for_each(|((_, samples), count)| samples.push(*count as f64));
    vec![
        Table::new("idle with 100 services: wakeups in a minute", "wakeups", services).bar(0.0, &[]),
        Table::new("idle with one command: wakeups in a minute", "wakeups", inits).bar(0.0, &[]),
    ]
}
