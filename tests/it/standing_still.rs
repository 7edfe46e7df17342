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
    std::fs::write(run.directory().join("go"), "go\n").unwrap();
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

/// `user` is looked up in /etc/passwd, by PID 1 itself: where that file is mounted from a server that is gone, nothing was heard.
#[test]
fn a_passwd_that_never_comes_ends_by_a_stop() {
    let config = r#"
        [services.app]
        command = ["sleep", "1000"]
        user = "nobody"
        [services.other]
        command = ["sh", "-c", "echo again; exit 1"]
        restart_policy = { delay = "10ms", max_delay = "10ms" }
    "#;
    let hang = "exec 3<>/dev/fuse; mount -i -t fuse -o fd=3,rootmode=100644,user_id=0,group_id=0 hang /etc/passwd && \
                { sleep 1000 3<&3 & exec 3>&-; }";
    let run = after(hang, "--config /mnt/files/rinit.toml").file("rinit.toml", config).start();
    run.wait_for_err("app: cannot start \"sleep\": no answer from the file system under /etc/passwd");
    let before = run.out().matches("again").count();
    eventually("others are restarted", || run.out().matches("again").count() > before + 3);
    let asked = Instant::now();
    run.signal(libc::SIGTERM);
    let ended = run.end();
    assert!(ended.at - asked < Duration::from_secs(2), "{:?}\n{}", ended.at - asked, ended.story());
}

/// rinit in a PID namespace whose terminal belongs to a session outside (`unshare --pid`): its own group has no number
/// inside, so that nothing took the terminal from the dead first run, and the second was stopped by SIGTTIN for ever.
#[test]
fn the_terminal_comes_back_in_a_namespace_below_the_session() {
    let config = r#"
        [services.main]
        command = ["sh", "-c", "echo run; read x; echo got $x; exit 1"]
        restart = "always"
        restart_policy = { delay = "10ms", max_delay = "10ms" }
    "#;
    let unshare = Init { kind: Kind::Other, path: "/usr/bin/unshare" };
    let words = ["--pid", "--fork", "--kill-child", "/mnt/rinit", "--config", "/mnt/files/rinit.toml"];
    let mut run = unshare.launch().args(&words).file("rinit.toml", config).tty().start();
    for word in ["one", "two", "three"] {
        eventually("it runs", || run.out().matches("run").count() > run.out().matches("got").count());
        run.type_in(&format!("{word}\n"));
        run.wait_for(&format!("got {word}"));
    }
    run.signal(libc::SIGKILL);
}

/// The word "failure" for an end that the service's own `success_exit_codes` name.
#[test]
fn a_stop_that_ends_as_the_service_says_is_no_failure() {
    let config = r#"
        [services.app]
        command = ["sh", "-c", "trap 'exit 9' TERM; echo up; while :; do sleep 0.01; done"]
        success_exit_codes = [9]
    "#;
    let run = Init::config(config).start();
    run.wait_for("up");
    run.signal(libc::SIGTERM);
    let ended = run.end().expect(0);
    assert!(ended.err.contains("app: stopped (ran"), "{}", ended.story());
}
