//! The order of start and, reversed, of the stop.

use crate::harness::{Init, eventually, ms};
use std::fmt::Write;
use std::time::Instant;

/// A dependent starts after, and stops before, what it depends on. The services are written in an order
/// that is neither.
#[test]
fn stops_in_the_reverse_order_of_start() {
    let config = r#"
        [services.b]
        command = "/mnt/probe serve b 30"
        depends_on = ["a"]
        [services.c]
        command = "/mnt/probe serve c 30"
        depends_on = ["b"]
        [services.a]
        command = "/mnt/probe serve a 30"
    "#;
    for pid_1 in [true, false] {
        let run = Init::config(config).pid_1(pid_1).start();
        for name in ["a", "b", "c"] {
            run.wait_for(&format!("{name} up"));
        }
        let [a, b, c] = ["serve a", "serve b", "serve c"].map(|name| run.the(name).pid);
        assert!(a < b && b < c, "{a} {b} {c}");
        let ended = run.stop().expect(0);
        let downs: Vec<_> = ended.out.lines().filter(|line| line.ends_with("down")).collect();
        assert_eq!(downs, ["c down", "b down", "a down"]);
    }
}

/// Services that do not need each other stop side by side: four waits of 300 ms are one.
#[test]
fn stops_side_by_side_what_is_independent() {
    let mut config = String::new();
    for name in ["a", "b", "c", "d"] {
        write!(config, "[services.{name}]\ncommand = \"/mnt/probe serve {name} 300\"\n").unwrap();
    }
    let run = Init::config(&config).start();
    eventually("all are up", || run.out().matches("up").count() == 4);
    let asked = Instant::now();
    let ended = run.stop().expect(0);
    // One after the other they would take 1.2 s.
    assert!((ms(300)..ms(1150)).contains(&(ended.at - asked)), "{}", ended.story());
}

/// `completed` is the end of the oneshot, not its start.
#[test]
fn a_dependent_of_a_oneshot_waits_for_its_end() {
    let config = r#"
        [services.web]
        command = ["echo", "web ran"]
        restart = "no"
        depends_on = ["migrate"]
        [services.migrate]
        type = "oneshot"
        command = ["sh", "-c", "sleep 0.1; echo migrated"]
    "#;
    let ended = Init::config(config).run().expect(0);
    assert_eq!(ended.out, "migrated\nweb ran\n", "{}", ended.story());
}

/// What is not `required` is waited for, and its failure is no reason.
#[test]
fn a_dependency_that_is_not_required_may_fail() {
    let config = r#"
        [services.warmup]
        type = "oneshot"
        essential = false
        command = "false"
        [services.web]
        command = ["sh", "-c", "echo web ran; exit 3"]
        restart = "no"
        depends_on = { warmup = { condition = "completed", required = false } }
    "#;
    let ended = Init::config(config).run().expect(3);
    assert!(ended.out.contains("web ran"), "{}", ended.story());
}
