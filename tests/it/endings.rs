//! Ends and exit codes: who ends the container, with which code.

use crate::harness::{AT_ONCE, Init, eventually, ms};
use std::fmt::Write;

fn count(text: &str, line: &str) -> usize {
    text.lines().filter(|known| *known == line).count()
}

/// Horust hangs here for ever: a child that ended before its pid was written down was dropped.
#[test]
fn forty_oneshots_that_end_at_once_are_all_seen() {
    let mut config = String::new();
    for number in 0..40 {
        write!(config, "[services.s{number}]\ntype = \"oneshot\"\ncommand = \"true\"\n").unwrap();
    }
    for pid_1 in [true, false] {
        Init::config(&config).pid_1(pid_1).run().expect(0);
    }
}

/// The same with programs that are not essential, whose ends are news but no reason to stop.
#[test]
fn forty_daemons_that_end_at_once_are_all_seen() {
    let mut config = String::from("[defaults]\nrestart = \"no\"\nessential = false\n");
    for number in 0..40 {
        write!(config, "[services.s{number}]\ncommand = [\"echo\", \"{number} ran\"]\n").unwrap();
    }
    let ended = Init::config(&config).run();
    for number in 0..40 {
        assert_eq!(count(&ended.out, &format!("{number} ran")), 1, "{}", ended.story());
    }
}

/// The exit code says which service broke the container.
#[test]
fn an_essential_service_that_fails_ends_the_container_with_its_code() {
    let config = r#"
        [services.web]
        command = ["sh", "-c", "exit 42"]
        restart = "no"
        [services.cache]
        command = "sleep 1000"
    "#;
    for pid_1 in [true, false] {
        let ended = Init::config(config).pid_1(pid_1).run().expect(42).tells(&["web", "42"]);
        assert!(ended.left.is_empty(), "left over: {:#?}", ended.left);
        assert!(ended.after < AT_ONCE, "{}", ended.story());
    }
}

#[test]
fn a_service_killed_by_a_signal_ends_the_container_with_128_and_the_signal() {
    let config = r#"
        [services.web]
        command = ["sh", "-c", "kill -SEGV $$$$"]
        restart = "no"
    "#;
    Init::config(config).limit(libc::RLIMIT_CORE, 0).run().expect(139).tells(&["web", "SEGV"]);
}

#[test]
fn a_service_that_is_not_essential_ends_alone() {
    let config = r#"
        [services.helper]
        command = ["sh", "-c", "echo helped; exit 42"]
        restart = "no"
        essential = false
        [services.web]
        command = ["/mnt/probe", "serve", "web"]
    "#;
    let mut run = Init::config(config).start();
    run.wait_for("helped");
    run.wait_for("web up");
    eventually("the helper is gone", || run.others().len() == 1);
    assert!(!run.has_ended());
    run.stop().expect(0);
}

#[test]
fn other_exit_codes_may_be_success() {
    let config = r#"
        [services.web]
        command = ["sh", "-c", "echo ran; exit 3"]
        success_exit_codes = [3]
        restart = "on-failure"
    "#;
    let ended = Init::config(config).run().expect(0);
    assert_eq!(count(&ended.out, "ran"), 1, "{}", ended.story());
}

/// Not 0, not a hang: what needs the failed oneshot is named.
#[test]
fn a_failed_dependency_is_told_and_ends_the_container() {
    let config = r#"
        [services.migrate]
        type = "oneshot"
        command = ["sh", "-c", "exit 9"]
        [services.web]
        command = ["echo", "web ran"]
        depends_on = { migrate = "completed" }
    "#;
    let ended = Init::config(config).run().expect(9).tells(&["migrate", "9"]);
    assert!(!ended.out.contains("web ran"), "{}", ended.story());
}

/// A start that fails for a reason that stays is not tried again.
#[test]
fn a_program_that_is_not_there_is_not_retried() {
    let config = "[services.web]\ncommand = \"/nowhere/web\"\nrestart = \"always\"";
    let ended = Init::config(config).run().expect(127).tells(&["web", "/nowhere/web"]);
    assert!(ended.after < AT_ONCE, "{}", ended.story());
}

#[test]
fn an_idle_rinit_may_be_told_to_stay() {
    let config = "when_idle = \"stay\"\n[services.once]\ntype = \"oneshot\"\ncommand = \"echo done\"";
    let mut run = Init::config(config).start();
    run.wait_for("done");
    eventually("nothing is left", || run.others().is_empty());
    std::thread::sleep(ms(50));
    assert!(!run.has_ended());
    run.stops_at_once().expect(0);
}
