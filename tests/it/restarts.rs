//! Restarts: policies, attempts, delays.

use crate::harness::{Init, eventually, ms};
use std::time::Duration;

fn count(text: &str, line: &str) -> usize {
    text.lines().filter(|known| *known == line).count()
}

#[test]
fn a_service_that_is_killed_is_started_again() {
    let config = "[services.web]\ncommand = \"/mnt/probe serve web\"\nrestart_policy = { delay = \"10ms\" }";
    for pid_1 in [true, false] {
        let run = Init::config(config).pid_1(pid_1).start();
        for starts in 1..=5 {
            eventually("it is up", || count(&run.out(), "web up") == starts);
            run.signal_to(&run.the("serve web"), libc::SIGKILL);
        }
        eventually("it is up", || count(&run.out(), "web up") == 6);
        run.stop().expect(0);
    }
}

/// Horust honours `attempts` for the one policy that does not restart. `max_attempts` are the restarts
/// in a row: the runs are one more.
#[test]
fn attempts_are_honoured_for_every_policy() {
    let cases = [
        (r#"restart = "no""#, 1),
        (r#"restart = "on-failure:3""#, 4),
        ("restart = \"on-failure\"\nrestart_policy = { delay = \"1ms\", max_attempts = 3 }", 4),
        ("restart = \"always\"\nrestart_policy = { delay = \"1ms\", max_attempts = 3 }", 4),
        ("restart = \"unless-stopped\"\nrestart_policy = { delay = \"1ms\", max_attempts = 3 }", 4),
        ("restart = \"always\"\nrestart_policy = { delay = \"1ms\", never_on = [7] }", 1),
        ("restart = \"no\"\nrestart_policy = { delay = \"1ms\", always_on = [7], max_attempts = 2 }", 3),
    ];
    for (policy, runs) in cases {
        let config = format!("[services.web]\ncommand = [\"sh\", \"-c\", \"echo ran; exit 7\"]\n{policy}");
        let ended = Init::config(&config).run().expect(7);
        assert_eq!(count(&ended.out, "ran"), runs, "{policy}\n{}", ended.story());
    }
}

/// `on-failure` leaves a good end alone; `always` does not.
#[test]
fn a_good_end_is_restarted_by_always_alone() {
    for (policy, runs) in [("on-failure", 1), ("always", 3)] {
        let config = format!(
            "[services.web]\ncommand = [\"sh\", \"-c\", \"echo ran\"]\nrestart = \"{policy}\"\n\
             restart_policy = {{ delay = \"1ms\", max_attempts = 2 }}"
        );
        let ended = Init::config(&config).run();
        assert_eq!(count(&ended.out, "ran"), runs, "{policy}\n{}", ended.story());
    }
}

/// A crash loop that now and then lives a moment too long for the count is no longer bounded; so only a
/// run of `window` clears it. Runs of 30 ms do not reach 10 s, and do reach 10 ms.
#[test]
fn only_a_long_enough_run_clears_the_count() {
    let config = |window: &str| {
        format!(
            "[services.web]\ncommand = [\"sh\", \"-c\", \"echo ran; sleep 0.03; exit 7\"]\n\
             restart_policy = {{ delay = \"1ms\", max_attempts = 2, window = \"{window}\" }}"
        )
    };
    let ended = Init::config(&config("10s")).run().expect(7);
    assert_eq!(count(&ended.out, "ran"), 3, "{}", ended.story());
    let run = Init::config(&config("10ms")).start();
    eventually("it is restarted again and again", || count(&run.out(), "ran") > 6);
}

/// The delay doubles up to its bound, is told as it is, and is kept.
#[test]
fn the_delay_grows_to_its_bound() {
    let config = r#"
        [services.web]
        command = ["sh", "-c", "date +%s%N; exit 1"]
        restart_policy = { delay = "50ms", factor = 2.0, max_delay = "200ms", max_attempts = 4 }
    "#;
    let ended = Init::config(config).run().expect(1);
    let starts: Vec<u64> = ended.out.lines().map(|line| line.parse().unwrap()).collect();
    let waits = starts.windows(2).map(|pair| Duration::from_nanos(pair[1] - pair[0]));
    let expected = [50, 100, 200, 200];
    assert_eq!(waits.len(), expected.len(), "{}", ended.story());
    for (n, (wait, expected)) in (1..).zip(waits.zip(expected)) {
        let told = format!("restarting in {expected}ms ({n} of 4)");
        assert!(ended.err.contains(&told), "no `{told}`\n{}", ended.story());
        // What it takes to start a shell, on a busy machine.
        assert!((ms(expected)..ms(expected + 750)).contains(&wait), "{wait:?}\n{}", ended.story());
    }
}

#[test]
fn an_end_before_min_uptime_is_a_failed_start() {
    let config = r#"
        [services.web]
        command = ["sh", "-c", "echo ran"]
        min_uptime = "10s"
        restart_policy = { delay = "1ms", max_attempts = 2 }
        [services.after]
        command = "echo after"
        type = "oneshot"
        depends_on = ["web"]
    "#;
    let ended = Init::config(config).run().expect(1);
    assert_eq!(count(&ended.out, "ran"), 3, "{}", ended.story());
    assert_eq!(count(&ended.out, "after"), 0, "{}", ended.story());
    ended.tells(&["(a failed start: shorter than min_uptime); failed; given up after 2 restarts"]);
}

#[test]
fn so_many_starts_within_a_time_are_enough() {
    let config = r#"
        [services.web]
        command = ["sh", "-c", "echo ran; exit 7"]
        restart_policy = { delay = "1ms", start_limit_burst = 3, start_limit_interval = "1h" }
    "#;
    let ended = Init::config(config).run().expect(7);
    assert_eq!(count(&ended.out, "ran"), 3, "{}", ended.story());
    ended.tells(&["start_limit_burst"]);
}

/// Neither is essential; what runs the container is to take over.
#[test]
fn too_many_restarts_of_all_end_the_container() {
    let config = r#"
        restart.max_restarts = 5
        [defaults]
        essential = false
        restart = "always"
        restart_policy = { delay = "1ms", factor = 1.0 }
        [services.a]
        command = "echo ran"
        [services.b]
        command = "echo ran"
    "#;
    let ended = Init::config(config).run().expect(1);
    assert!(count(&ended.out, "ran") <= 7, "{}", ended.story());
    ended.tells(&["restart.max_restarts ends the container"]);
}
