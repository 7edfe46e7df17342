//! A thousand services: until all run, until all are gone, and the resources they need.

use super::common::start::{Quiet, Space, Start, now, start};
use super::common::table::{Samples, Table};
use super::common::{Options, micros};
use super::fifo::Fifo;
use super::programs::Programs;
use super::{procs, services};

const COUNT: usize = 1000;

struct Figures {
    name: &'static str,
    up: Samples,
    cpu: Samples,
    gone: Samples,
    memory: Samples,
}

#[allow(clippy::cast_precision_loss)]
pub fn thousand(programs: &Programs, options: &Options) -> Vec<Table> {
    let path = |name: &str| programs.directory.join(format!("thousand-{name}.fifo"));
    let supervisors = services::all(programs, COUNT, |name| path(name).to_str().unwrap().to_owned(), &[]);
    let figures = |name| Figures {
        name,
        up: Samples::default(),
        cpu: Samples::default(),
        gone: Samples::default(),
        memory: Samples::default(),
    };
    let _quiet = Quiet::new();
    let mut all: Vec<Figures> = supervisors.iter().map(|one| figures(one.name)).collect();
    for _ in 0..if options.quick { 1 } else { 5 } {
        for (one, figures) in supervisors.iter().zip(&mut all) {
            if figures.up.median() > 10_000.0 {
                continue; // Known well enough.
            }
            one.renew();
            let fifo = Fifo::new(&path(one.name), false);
            let mut run = start(&Start { words: &one.words, space: Space::Proc, ..Start::default() });
            let last = (0..COUNT).try_fold(0, |last, _| fifo.next(60_000).map(|mark| last.max(mark.at)));
            let Some(last) = last else {
                eprintln!("{}: not all services run after a minute", one.name);
                continue;
            };
            figures.up.push(micros(last - run.start) / 1000.0);
            let inside = procs::inside(run.pid);
            let cpu: u64 = inside.iter().map(|pid| procs::cpu(*pid)).sum();
            figures.cpu.push(micros(cpu) / 1000.0);
            // `bare` is the probe program too.
            let ours = |pid: &&i32| **pid == run.pid || !procs::runs(**pid, &programs.probe);
            let memory: u64 = inside.iter().filter(ours).map(|pid| procs::private_dirty(*pid)).sum();
            figures.memory.push(memory as f64);
            let before = now();
            one.stop(run.pid);
            match fifo.deserted(60_000) {
                Some(gone) => figures.gone.push(micros(gone - before) / 1000.0),
                None => eprintln!("{}: services are left a minute after the stop", one.name),
            }
            if matches!(one.stop, services::Stop::Command(_)) {
                run.signal(libc::SIGKILL);
            }
            run.end();
        }
    }
    tables(&all)
}

fn tables(all: &[Figures]) -> Vec<Table> {
    let rows = |pick: fn(&Figures) -> &Samples| -> Vec<(String, Samples)> {
        all.iter().map(|figures| (figures.name.to_owned(), pick(figures).clone())).collect()
    };
    vec![
        Table::new("1,000 services: exec until all run", "ms", rows(|one| &one.up))
            .bar(0.25, &["s6"])
            .bar(1.2, &["bare-session"]),
        Table::new("1,000 services: CPU time of all processes until all run", "ms", rows(|one| &one.cpu))
            .bar(0.2, &["runit"]),
        Table::new("1,000 services: until all are gone", "ms", rows(|one| &one.gone))
            .bar(0.3, &["runit", "daemontools"]),
        Table::new(
            "1,000 services: private dirty memory of the whole supervision",
            "KiB",
            rows(|one| &one.memory),
        )
        .bar(600.0, &[]),
    ]
}
