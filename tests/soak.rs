//! What a long day brings: memory that must not grow, signals that must be heard whatever dies.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected is to stop, loudly"
)]

mod harness;

use harness::{Init, Launch, Running, eventually_within};
use std::time::Duration;

/// The memory that a process has for itself alone, in KiB.
fn private(pid: i32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Private_Dirty:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Lines that rinit has said so far.
fn lines(init: &Running) -> usize {
    init.err().bytes().filter(|byte| *byte == b'\n').count()
}

/// Runs it until it has said so many lines; its memory after the first 1,000 and at the end.
fn soak(launch: Launch, many: usize) -> [u64; 2] {
    let init = launch.start();
    [1_000, many].map(|many| {
        eventually_within(Duration::from_secs(300), "it says its lines", || {
            std::thread::sleep(Duration::from_millis(300));
            lines(&init) >= many
        });
        private(init.pid_outside())
    })
}

const FLAPPING: &str = r#"
    [defaults]
    restart = "always"
    restart_policy = { delay = "0s", window = "1h" }
    essential = false
    [services.a]
    command = ["/bin/false"]
    [services.a-name-that-is-longer-than-a-small-block-of-memory-holds]
    command = ["/bin/true", "with", "arguments"]
    environment = { A = "1", LONG = "0123456789012345678901234567890123456789012345678901234567890123456789" }
    [services.orphans]
    command = ["sh", "-c", "(true &); (true & true); exit 3"]
    [services.missing]
    command = ["/bin/not-there"]
    healthcheck = { exec = "not-there", interval = "1ms", on_unhealthy = "ignore" }
    [services.sick]
    command = ["sleep", "1000"]
    healthcheck = { exec = "not-there", interval = "1ms", on_unhealthy = "ignore" }
    [services.unhealthy]
    command = ["sleep", "1000"]
    healthcheck = { exec = "false", interval = "1ms", retries = 1 }
"#;

/// Each line that rinit said left 80 bytes behind in many set-ups (612 KB became 1,836 in 8 s).
#[test]
fn memory_does_not_grow_with_what_is_said_reaped_and_restarted() {
    let orphans = "while :; do (true &); done";
    for (name, launch, many) in [
        ("orphans", Init::RINIT.launch().args(&["-w"]).sh(orphans), 20_000),
        ("orphans, -v", Init::RINIT.launch().args(&["-w", "-v"]).sh(orphans), 5_000),
        ("as tini", Init::AS_TINI.launch().args(&["-w"]).sh(orphans), 5_000),
        ("flapping", Init::RINIT.launch().args(&["-w"]).config(FLAPPING), 20_000),
        (
            "flapping, JSON",
            Init::RINIT.launch().args(&["-v", "--log-format", "json"]).config(FLAPPING),
            10_000,
        ),
    ] {
        let [first, last] = soak(launch, many);
        assert_eq!(last, first, "{name}: KiB after {many} lines, and after 1,000");
    }
}
