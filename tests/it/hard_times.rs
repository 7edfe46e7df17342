//! Hard times: a reader that hangs, no process to be had, a program that daemonizes.

use crate::harness::{AT_ONCE, Init, eventually, ms};
use std::fmt::Write;
use std::time::Instant;

fn count(text: &str, line: &str) -> usize {
    text.lines().filter(|known| *known == line).count()
}

/// A log driver that hangs: whoever writes waits, and that is never PID 1. It goes on to restart, and
/// ends when it is asked to, though its own words find no room.
#[test]
fn a_reader_that_hangs_does_not_stop_rinit() {
    let config = r#"
        [services.loud]
        command = ["sh", "-c", "exec head -c 10000000 /dev/zero >&2"]
        [services.web]
        command = ["sh", "-c", "echo run >> /mnt/files/runs; exit 1"]
        restart_policy = { delay = "1ms", max_delay = "1ms" }
    "#;
    let run = Init::config(config).start();
    run.stop_reading(2);
    // Each run is a line or two of rinit's: far more than what fits into a pipe by then.
    eventually("it is restarted all the same", || run.file("runs").lines().count() > 1500);
    let asked = Instant::now();
    run.signal(libc::SIGTERM);
    let mut run = run;
    eventually("it has ended", || run.has_ended());
    assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
}

/// No more processes for this user: an attempt that failed, not the end of rinit. The limit is for rinit
/// and one service; the other gets its turn.
#[test]
fn a_fork_that_fails_is_tried_again() {
    let service = "type = \"oneshot\"\ncommand = [\"sh\", \"-c\", \"echo ran; exec sleep 0.2\"]\n\
                   restart = \"on-failure\"\nrestart_policy = { delay = \"20ms\", factor = 1.0 }\n";
    let config = format!("[services.a]\n{service}[services.b]\n{service}");
    let launch = Init::config(&config).user(61_235).limit(libc::RLIMIT_NPROC, 2);
    let ended = launch.run().expect(0);
    assert_eq!(count(&ended.out, "ran"), 2, "{}", ended.story());
    assert!(ended.after > ms(400), "the limit did not act\n{}", ended.story());
}

/// Few descriptors are enough, however many services there are.
#[test]
fn forty_services_need_few_descriptors() {
    let mut config = String::new();
    for number in 0..40 {
        write!(config, "[services.s{number}]\ncommand = \"/mnt/probe serve s{number}\"\n").unwrap();
    }
    let run = Init::config(&config).limit(libc::RLIMIT_NOFILE, 16).start();
    eventually("all are up", || run.out().matches(" up").count() == 40);
    let ended = run.stops_at_once().expect(0);
    assert_eq!(ended.out.matches(" down").count(), 40, "{}", ended.story());
}

/// A program that goes into the background leaves nobody to supervise; the message says what to do.
#[test]
fn a_program_that_daemonizes_is_told() {
    let daemon = "touch /mnt/files/up; while :; do sleep 0.01; done";
    let config = format!(
        "[services.web]\ncommand = [\"sh\", \"-c\", \"(setsid sh -c '{daemon}' &); \
         until test -e /mnt/files/up; do sleep 0.01; done\"]\nrestart = \"no\""
    );
    let ended = Init::config(&config).nested().run().tells(&["web", "background", "foreground"]);
    assert!(ended.left.is_empty(), "left over: {:#?}", ended.left);
}

/// Nobody reads what it writes: a death by SIGPIPE as in any shell, and rinit's own lines are lost alone.
#[test]
fn a_service_whose_output_has_no_reader_is_its_own_affair() {
    let config = r#"
        [services.loud]
        command = "yes"
        restart_policy = { delay = "1ms", max_attempts = 3 }
    "#;
    Init::config(config).without_reader().run().expect(141);
}
