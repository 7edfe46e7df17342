//! Stops: at any moment, within the grace and the bound, down to the last process.

use crate::harness::{AT_ONCE, Init, eventually, ms};
use std::time::Instant;

fn count(text: &str, line: &str) -> usize {
    text.lines().filter(|known| *known == line).count()
}

/// dinit takes 24 s here.
#[test]
fn a_stop_while_a_oneshot_runs_is_quick() {
    let config = r#"
        [services.migrate]
        type = "oneshot"
        command = ["sh", "-c", "echo migrating; exec sleep 1000"]
        [services.web]
        command = ["echo", "web ran"]
        depends_on = ["migrate"]
    "#;
    let run = Init::config(config).start();
    run.wait_for("migrating");
    let ended = run.stops_at_once().expect(0);
    assert!(!ended.out.contains("web ran"), "{}", ended.story());
}

#[test]
fn a_stop_in_backoff_is_quick() {
    let config = r#"
        [services.web]
        command = ["sh", "-c", "echo ran; exit 1"]
        restart_policy = { delay = "1h", max_delay = "1h" }
    "#;
    let run = Init::config(config).start();
    run.wait_for("ran");
    eventually("it has ended", || run.others().is_empty());
    run.stops_at_once().expect(0);
}

#[test]
fn a_stop_while_a_dependency_is_awaited_is_quick() {
    let config = r#"
        [services.db]
        command = "/mnt/probe serve db"
        healthcheck = { exec = "false", interval = "10ms", retries = 1000000 }
        [services.web]
        command = ["echo", "web ran"]
        depends_on = { db = "healthy" }
    "#;
    let run = Init::config(config).start();
    run.wait_for("db up");
    let ended = run.stops_at_once().expect(0);
    assert!(!ended.out.contains("web ran"), "{}", ended.story());
}

/// The probe itself hangs, and ignores what it is told.
#[test]
fn a_stop_while_a_probe_hangs_is_quick() {
    let config = r#"
        [services.db]
        command = "/mnt/probe serve db"
        healthcheck = { exec = ["sh", "-c", "trap '' TERM; echo probing; sleep 1000"], timeout = "1h" }
    "#;
    for pid_1 in [true, false] {
        let run = Init::config(config).pid_1(pid_1).start();
        run.wait_for("db up");
        eventually("a probe runs", || !run.find("sleep 1000").is_empty());
        let ended = run.stops_at_once().expect(0);
        assert!(ended.left.is_empty(), "left over: {:#?}", ended.left);
    }
}

const STUBBORN: &str = r#"["sh", "-c", "trap '' TERM; echo up; while :; do sleep 1000; done"]"#;

/// 500 ms are 500 ms: neither 2.8 s (Horust) nor the next full second.
#[test]
fn the_grace_is_what_was_written() {
    let config = format!("[services.web]\ncommand = {STUBBORN}\nstop_grace_period = \"500ms\"");
    for pid_1 in [true, false] {
        let run = Init::config(&config).pid_1(pid_1).start();
        run.wait_for("up");
        let asked = Instant::now();
        let ended = run.stop().expect(137).tells(&["web: did not stop within 5", "killing it"]);
        let took = ended.at - asked;
        assert!((ms(500)..ms(1500)).contains(&took), "{took:?}\n{}", ended.story());
        assert!(ended.left.is_empty(), "left over: {:#?}", ended.left);
    }
}

/// What ends because it was asked to was not given up by its policy, and is not said to have been.
#[test]
fn a_stop_is_told_as_a_stop() {
    let config = r#"
        [services.web]
        command = ["sh", "-c", "trap 'exit 1' TERM; echo up; while :; do sleep 0.01; done"]
        restart = "always"
    "#;
    let run = Init::config(config).start();
    run.wait_for("up");
    let ended = run.stop().expect(1);
    assert!(!ended.err.contains("policy"), "{}", ended.story());
}

/// The bound of the whole holds, whatever each service was promised: nine tenths of it are theirs, in equal shares.
#[test]
fn the_bound_of_the_whole_stop_is_kept() {
    let config = format!(
        "[stop]\nwithin = \"1500ms\"\n[services.a]\ncommand = {STUBBORN}\n\
         [services.b]\ncommand = {STUBBORN}\ndepends_on = [\"a\"]"
    );
    let run = Init::config(&config).start();
    eventually("both are up", || count(&run.out(), "up") == 2);
    let asked = Instant::now();
    let ended = run.stop().expect(137);
    // Twice the bound would be 2,700.
    assert!((ms(1350)..ms(2400)).contains(&(ended.at - asked)), "{:?}\n{}", ended.at - asked, ended.story());
}

/// The group outlives its leader, and ignores TERM: KILL after the grace, and nobody is left.
#[test]
fn the_whole_group_is_gone_before_rinit() {
    let config = r#"
        [services.web]
        command = ["sh", "-c", "trap '' TERM; sleep 1000 & exit 0"]
        restart = "no"
        stop_grace_period = "300ms"
    "#;
    let ended = Init::config(config).nested().run().expect(0);
    assert!(ended.left.is_empty(), "left over: {:#?}", ended.left);
    assert!((ms(300)..ms(3000)).contains(&ended.after), "{}", ended.story());
}

/// The next run finds the port free: nothing of the last one is left when it starts.
#[test]
fn the_whole_group_is_gone_before_a_restart() {
    let config = r#"
        [services.web]
        command = ["sh", "-c", "sleep 1000 & echo run; exit 1"]
        restart_policy = { delay = "10ms", max_attempts = 3 }
        stop_grace_period = "300ms"
    "#;
    let run = Init::config(config).nested().start();
    eventually("it was restarted", || {
        let left = run.others().into_iter().filter(|process| process.command == "sleep 1000");
        assert!(left.count() <= 1);
        count(&run.out(), "run") == 4
    });
    assert!(run.end().expect(1).left.is_empty());
}

/// A session of its own is no way out.
#[test]
fn a_daemon_that_escaped_is_stopped_too() {
    let config = r#"
        [services.web]
        command = ["sh", "-c", "setsid -f sleep 1000; exec /mnt/probe serve web"]
    "#;
    let run = Init::config(config).nested().start();
    run.wait_for("web up");
    run.the("sleep 1000");
    let ended = run.stops_at_once().expect(0);
    assert!(ended.left.is_empty(), "left over: {:#?}", ended.left);
}

/// A process that is stopped (SIGSTOP) cannot take TERM before CONT.
#[test]
fn a_service_that_is_frozen_can_be_stopped() {
    let config = "[services.web]\ncommand = \"/mnt/probe serve web\"\nstop_grace_period = \"1h\"";
    let run = Init::config(config).start();
    run.wait_for("web up");
    run.signal_to(&run.the("serve web"), libc::SIGSTOP);
    eventually("it is frozen", || run.the("serve web").state == 'T');
    let ended = run.stops_at_once().expect(0);
    assert!(ended.out.contains("web down"), "{}", ended.story());
}

/// nginx stops gently at QUIT alone; the end by its own stop signal is a clean one.
#[test]
fn a_service_may_have_another_stop_signal() {
    for (name, number) in [("SIGQUIT", 3), ("quit", 3), ("RTMIN+3", 37)] {
        let config = format!(
            "[services.web]\ncommand = \"/mnt/probe signals 2\"\nstop_signal = \"{name}\"\nrestart = \"no\""
        );
        let run = Init::config(&config).start();
        run.wait_for("ready");
        let ended = run.stops_at_once().expect(0);
        assert!(ended.out.contains(&format!("got {number}\n")), "{}", ended.story());
        // For those that are frozen.
        assert!(ended.out.contains("got 18\n"), "{}", ended.story());
    }
    let config = "[services.web]\ncommand = \"sleep 1000\"\nstop_signal = \"SIGUSR1\"";
    let run = Init::config(config).start();
    run.the("sleep 1000");
    run.stops_at_once().expect(0);
}

/// Ctrl-C and SIGQUIT stop as TERM does, when there is no command to forward them to.
#[test]
fn int_and_quit_stop_too() {
    for signal in [libc::SIGINT, libc::SIGQUIT] {
        let run = Init::config("[services.web]\ncommand = \"/mnt/probe serve web\"").start();
        run.wait_for("web up");
        run.signal(signal);
        let ended = run.end_within(AT_ONCE).expect(0);
        assert!(ended.out.contains("web down"), "{}", ended.story());
    }
}
