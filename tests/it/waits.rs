//! What is told while something waits: who for what, after ten seconds in which nothing else was.

use crate::harness::{Init, eventually, eventually_within, ms};

/// A daemon that was never healthy, with no `start_timeout`: everybody waited, and nobody said a word.
#[test]
fn who_waits_for_what_is_told_after_ten_seconds() {
    let config = r#"
        [services.db]
        command = ["sleep", "1000"]
        healthcheck = { exec = "false", interval = "1h", start_period = "2h", start_interval = "1h" }
        [services.web]
        command = ["sleep", "1000"]
        depends_on = { db = "healthy" }
        [services.api]
        command = ["sleep", "1000"]
        depends_on = { db = "healthy" }
        [services.late]
        command = ["sleep", "1000"]
        depends_on = ["web"]
    "#;
    let run = Init::config(config).start();
    run.wait_for_err("db: started");
    let settled = run.init().switches();
    eventually_within(ms(20_000), "it is told", || {
        run.err().contains("rinit: web, api wait for db to be healthy (10s)")
    });
    assert!(run.init().switches() - settled < 10, "it is told by a timer, not by looking again and again");
    // What depends on one that waits itself is not told beside it.
    assert_eq!(run.err().matches("wait").count(), 1, "{}", run.err());
    run.stop().expect(0);
}

/// A stop that takes its time says who it is, and how long that may go on.
#[test]
fn who_is_still_stopping_is_told_too() {
    let config = r#"
        [services.slow]
        command = ["sh", "-c", "trap 'echo asked' TERM; echo up; while :; do sleep 0.05; done"]
        stop_grace_period = "12s"
    "#;
    let run = Init::config(config).start();
    run.wait_for("up");
    run.signal(libc::SIGTERM);
    eventually_within(ms(20_000), "it is told", || {
        run.err().contains("rinit: still stopping: slow (KILL in ")
    });
    eventually("it is killed", || run.err().contains("slow: did not stop within 12s"));
    let ended = run.end();
    assert!(ended.err.contains("slow: stopped with a failure (ran "), "{}", ended.story());
}

/// "stopped after 1m13s" read as how long the stop took.
#[test]
fn how_long_it_ran_and_how_long_the_stop_took_are_two_things() {
    let config = r#"
        [services.web]
        command = ["sh", "-c", "trap 'sleep 0.2; exit 0' TERM; echo up; while :; do sleep 0.01; done"]
    "#;
    let run = Init::config(config).start();
    run.wait_for("up");
    let ended = run.stop().expect(0);
    let told = ended.err.split("web: stopped (ran ").nth(1).unwrap_or_else(|| panic!("{}", ended.story()));
    let took = told.split("stop took ").nth(1).unwrap().split("ms)").next().unwrap();
    assert!(took.parse::<u64>().unwrap() >= 200, "{told}");
}
