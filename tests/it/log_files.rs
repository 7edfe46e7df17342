//! The driver `file` beside logrotate, and its own rotation.

use crate::harness::{Client, Init, Launch, Running, eventually};
use crate::rinitctl::{ctl, good};
use std::fs;

fn launch(config: &str) -> Launch {
    Init::config(config).env("RINIT_SOCKET", Client::SOCKET)
}

/// A service that writes the numbers from A to B when there is a file `A-B`.
const STEPS: &str = r#"
    command = ["sh", "-c", "for step in 1-1000 1001-2000 2001-3000; do while ! [ -e /mnt/files/$step ]; do sleep 0.01; done; seq $${step%-*} $${step#*-}; done; exec sleep 1000"]
"#;

fn step(run: &Running, name: &str) {
    fs::write(run.directory().join(name), "").unwrap();
}

fn numbers(from: u32, to: u32) -> String {
    (from..=to).map(|n| format!("{n}\n")).collect()
}

/// logrotate's `copytruncate`: without O_APPEND the next line stands behind a hole as large as the old file; and the size
/// that is counted is not the file's any more.
#[test]
fn a_file_that_is_truncated_goes_on_at_its_beginning() {
    let config = format!(
        "[services.web]\nlogging = {{ driver = 'file', file = '/mnt/files/web.log', max_size = '6000' }}\n{STEPS}"
    );
    let run = launch(&config).start();
    let log = run.directory().join("web.log");
    step(&run, "1-1000");
    eventually("it is written", || run.file("web.log") == numbers(1, 1000));
    fs::copy(&log, run.directory().join("copy")).unwrap();
    fs::File::options().write(true).open(&log).unwrap().set_len(0).unwrap();
    step(&run, "1001-2000");
    eventually("it goes on", || run.file("web.log") == numbers(1001, 2000));
    assert_eq!(run.file("copy"), numbers(1, 1000));
    assert_eq!(run.file("web.log.1"), "", "what was truncated does not count");
    run.stop().expect(0);
}

/// logrotate's `create`: the file is moved, and who writes it is told.
#[test]
fn a_file_that_is_moved_is_opened_anew_by_order() {
    let config =
        format!("[services.web]\nlogging = {{ driver = 'file', file = '/mnt/files/web.log' }}\n{STEPS}");
    let run = launch(&config).start();
    let path = |name: &str| run.directory().join(name);
    step(&run, "1-1000");
    eventually("it is written", || run.file("web.log") == numbers(1, 1000));
    fs::rename(path("web.log"), path("moved")).unwrap();
    step(&run, "1001-2000");
    eventually("it goes on there", || run.file("moved") == numbers(1, 2000));
    assert_eq!(good(&run, &["logs", "--reopen"]), "");
    assert_eq!(run.file("web.log"), "", "it is there when the order is done");
    step(&run, "2001-3000");
    eventually("it goes on here", || run.file("web.log") == numbers(2001, 3000));
    assert_eq!(run.file("moved"), numbers(1, 2000));
    run.stop().expect(0);
}

/// The same while a service writes and writes: no line is lost, none is there twice, none is cut.
#[test]
fn no_line_is_lost_by_moving_a_file_that_is_written() {
    let config = r#"
        [services.web]
        logging = { driver = "file", file = "/mnt/files/web.log" }
        command = ["sh", "-c", "i=0; while [ $i -lt 300 ]; do seq $((i*100)) $((i*100+99)); i=$((i+1)); done; echo end; exec sleep 1000"]
    "#;
    let run = launch(config).start();
    let path = |name: &str| run.directory().join(name);
    let mut all = String::new();
    for n in 0..6 {
        eventually("something is written", || !run.file("web.log").is_empty());
        fs::rename(path("web.log"), path(&format!("moved.{n}"))).unwrap();
        good(&run, &["logs", "--reopen"]);
        all.push_str(&run.file(&format!("moved.{n}")));
        if all.ends_with("end\n") {
            break;
        }
    }
    if !all.ends_with("end\n") {
        eventually("it is written", || run.file("web.log").ends_with("end\n"));
        all.push_str(&run.file("web.log"));
    }
    let want = (0..30_000).map(|n| format!("{n}\n")).collect::<String>() + "end\n";
    assert!(all == want, "{} lines of {}", all.lines().count(), want.lines().count());
    run.stop().expect(0);
}

/// The old file was closed before the new one was open, and the lines between were lost.
#[test]
fn a_file_that_cannot_be_opened_anew_goes_on_until_it_can() {
    let config =
        format!("[services.web]\nlogging = {{ driver = 'file', file = '/mnt/files/log/web.log' }}\n{STEPS}");
    let run = launch(&config).file("log/there", "").start();
    let path = |name: &str| run.directory().join(name);
    step(&run, "1-1000");
    eventually("it is written", || run.file("log/web.log") == numbers(1, 1000));
    fs::rename(path("log"), path("gone")).unwrap();
    let failed = ctl(&run, &["logs", "--reopen"]);
    assert_eq!(failed.code, 1, "{}", failed.err);
    assert_eq!(failed.err, "rinitctl: 1 log files could not be opened anew; rinit's own lines say why\n");
    run.wait_for_err("the log /mnt/files/log/web.log cannot be rotated or opened anew: No such file or directory; going on in the old one");
    step(&run, "1001-2000");
    eventually("it goes on in the old one", || run.file("gone/web.log") == numbers(1, 2000));
    fs::create_dir(path("log")).unwrap();
    run.wait_for_err("the log /mnt/files/log/web.log is written again");
    step(&run, "2001-3000");
    eventually("it goes on in the new one", || run.file("log/web.log") == numbers(2001, 3000));
    let ended = run.stop().expect(0);
    assert_eq!(ended.err.matches("cannot be").count(), 1, "{}", ended.err);
}

/// As many files as were asked for, the newest lines in them; and one alone is begun anew.
#[test]
fn no_more_files_are_kept_than_were_asked_for() {
    let config = r#"
        when_idle = "stay"
        [services.three]
        type = "oneshot"
        command = ["seq", "10000", "12000"]
        logging = { driver = "file", file = "/mnt/files/three.log", max_size = "1KiB", max_file = 3 }
        [services.one]
        type = "oneshot"
        command = ["seq", "10000", "12000"]
        logging = { driver = "file", file = "/mnt/files/one.log", max_size = "1KiB", max_file = 1 }
    "#;
    let run = launch(config).start();
    let last = |name: &str| run.file(name).ends_with("12000\n");
    eventually("all is written", || last("three.log") && last("one.log"));
    let kept = ["three.log.2", "three.log.1", "three.log"].map(|name| run.file(name));
    assert!(kept.iter().all(|text| !text.is_empty() && text.len() <= 1024), "{kept:?}");
    assert!(numbers(10_000, 12_000).ends_with(&kept.concat()), "{kept:?}");
    let names: Vec<_> =
        fs::read_dir(run.directory()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name == "three.log.3" || name == "one.log.1"), "{names:?}");
    assert!(run.file("one.log").len() <= 1024);
    run.stop().expect(0);
}

/// Without a file there is nothing to be done, and that is said.
#[test]
fn an_order_for_files_that_there_are_none_of_is_refused() {
    let run = launch("[services.web]\nlogging = 'prefix'\ncommand = ['sleep', '1000']\n").start();
    Client::of(&run).wait_for("web", "running");
    let refused = ctl(&run, &["logs", "--reopen"]);
    assert_eq!(refused.code, 69);
    assert!(refused.err.contains("nothing to open anew"), "{}", refused.err);
    run.stop().expect(0);
}
