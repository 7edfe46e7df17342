//! Found by an attack on the whole: where PID 1 stood still, lost a signal, or told what was not so.

use crate::harness::{Init, Kind, Process, Running, eventually};
use std::time::{Duration, Instant};

/// A shell that prepares something and becomes rinit.
fn after(prepare: &str, rinit: &str) -> crate::harness::Launch {
    let script = format!("{prepare}; echo ready; exec /mnt/rinit {rinit}");
    Init { kind: Kind::Other, path: "/bin/sh" }.launch().args(&["-c", &script])
}

/// A helper reads for it.
#[track_caller]
fn reads(run: &Running) {
    let is_rinit = |process: &&Process| process.command.starts_with("/mnt/rinit --config");
    eventually("a helper reads", || run.processes().iter().filter(is_rinit).count() == 2);
}

/// A FIFO as configuration is read for two seconds at most, and nothing was heard meanwhile.
#[test]
fn a_stop_is_heard_while_a_pipe_is_read_as_configuration() {
    for signal in [libc::SIGTERM, libc::SIGPWR, libc::SIGRTMIN() + 3] {
        let mut run = after("mkfifo /mnt/files/f", "--config /mnt/files/f -- true").start();
        run.wait_for("ready");
        reads(&run);
        let asked = Instant::now();
        run.signal(signal);
        eventually("it has ended", || run.has_ended());
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
        assert_eq!(run.end().code(), 128 + signal);
    }
}

/// What came while the configuration was read was sent again by rinit to itself, and what rinit sends is nobody's.
#[test]
fn a_signal_while_the_configuration_is_read_reaches_the_command() {
    let command = "sh -c 'trap \"echo heard; exit 5\" USR1; echo up; while :; do sleep 0.01; done'";
    let feed = "mkfifo /mnt/files/f /mnt/files/go; { read x </mnt/files/go; echo '[checks.env.PATH]' >/mnt/files/f; } & :";
    let run = after(feed, &format!("--config /mnt/files/f -- {command}")).start();
    run.wait_for("ready");
    reads(&run);
    run.signal(libc::SIGUSR1);
    std::fs::write(run.folder().join("go"), "go\n").unwrap();
    // Before its trap is set, it ends by the signal.
    let ended = run.end();
    assert!([5, 128 + libc::SIGUSR1].contains(&ended.code()), "{}", ended.story());
}

/// An engine that refuses ppoll(2): rinit spun, and heard a stop only when the next moment came that it waited for.
#[test]
fn a_stop_is_heard_where_ppoll_is_refused() {
    let config = r#"
        [services.app]
        command = ["sleep", "1000"]
        healthcheck = { exec = ["sleep", "1000"], timeout = "1h", interval = "1ms" }
    "#;
    let run = Init::config(config).refusing(&[(libc::SYS_ppoll, libc::EPERM)]).start();
    eventually("it is probed", || run.find("sleep 1000").len() == 2);
    let asked = Instant::now();
    run.signal(libc::SIGTERM);
    let ended = run.end().expect(0);
    assert!(ended.at - asked < Duration::from_secs(1), "{:?}", ended.at - asked);
}
