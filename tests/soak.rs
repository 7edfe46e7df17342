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
use std::time::{Duration, Instant};

/// The memory that a process has for itself alone, in KiB: the least of some looks, for one may fall into a moment in which
/// it reads something large.
fn private(pid: i32) -> u64 {
    let looks = (0..50).map(|_| {
        std::thread::sleep(Duration::from_millis(5));
        private_now(pid)
    });
    looks.min().unwrap()
}

fn private_now(pid: i32) -> u64 {
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

/// Waits until rinit has begun to stop, and then for its end: how long each took after TERM.
fn stop(init: Running) -> [Duration; 2] {
    let sent = Instant::now();
    init.signal(libc::SIGTERM);
    init.wait_for_err("stopping");
    let heard = sent.elapsed();
    let ended = init.end();
    ended.expect(0);
    [heard, sent.elapsed()]
}

/// The loop reaped while anyone was dead, and each turn made new dead: TERM was not heard for 15 s and more.
#[test]
fn a_stop_is_heard_while_everything_flaps() {
    let mut config = String::new();
    for n in 0..20 {
        config += &format!(
            "[services.s{n}]\ncommand = [\"/bin/false\"]\nrestart = \"always\"\n\
             restart_policy = {{ delay = \"0s\" }}\nessential = false\n"
        );
    }
    let init = Init::config(&config).start();
    eventually_within(Duration::from_secs(30), "all flap", || lines(&init) > 1_000);
    let [heard, ended] = stop(init);
    assert!(heard < Duration::from_millis(500) && ended < Duration::from_secs(2), "{heard:?} {ended:?}");
}

/// 10,000 processes that were asked for before the stop were all made first.
#[test]
fn a_stop_is_heard_while_thousands_start() {
    let mut config = String::new();
    for n in 0..3_000 {
        config += &format!("[services.s{n}]\ncommand = [\"/bin/true\"]\ntype = \"oneshot\"\n");
    }
    let init = Init::config(&config).args(&["-v"]).start();
    init.wait_for_err("started");
    let [heard, ended] = stop(init);
    assert!(heard < Duration::from_millis(500) && ended < Duration::from_secs(2), "{heard:?} {ended:?}");
}

/// Signals of low numbers that come without end, and orphans that die without end: TERM is behind them all.
#[test]
fn a_stop_is_heard_in_a_flood_of_signals_and_orphans() {
    let flood = "import os, signal\nwhile True: os.kill(1, signal.SIGHUP); os.kill(1, signal.SIGUSR1); os.kill(1, signal.SIGINFO if hasattr(signal, 'SIGINFO') else signal.SIGWINCH)";
    let config = "[signals]\nHUP = \"ignore\"\nUSR1 = \"ignore\"\n\
         [services.flood]\ncommand = [\"/usr/bin/python3\", \"/mnt/files/flood.py\"]\n\
         [services.orphans]\ncommand = [\"sh\", \"-c\", \"while :; do (true &); done\"]\n\
         [services.more]\ncommand = [\"sh\", \"-c\", \"while :; do (true &); done\"]\n";
    let init = Init::config(config).args(&["-w"]).file("flood.py", flood).start();
    eventually_within(Duration::from_secs(30), "orphans are reaped", || lines(&init) > 500);
    let [heard, ended] = stop(init);
    assert!(heard < Duration::from_millis(500) && ended < Duration::from_secs(2), "{heard:?} {ended:?}");
}

/// The same while checks wait: their helpers' orphans are reaped, and a stop is heard in between.
#[test]
fn a_stop_is_heard_in_a_flood_while_checks_wait() {
    let flood = "import os, signal\nwhile True:\n os.kill(1, signal.SIGHUP); os.kill(1, signal.SIGUSR1)\n if os.fork() == 0:\n  os.fork()\n  os._exit(0)\n os.waitpid(-1, os.WNOHANG)";
    let config = "[checks.exec.flood]\ncommand = [\"/usr/bin/python3\", \"/mnt/files/flood.py\"]\ntimeout = \"1m\"\n\
         [services.x]\ncommand = \"sleep 1000\"\n";
    let init = Init::config(config).file("flood.py", flood).start();
    eventually_within(Duration::from_secs(10), "the flood", || init.processes().len() > 3);
    std::thread::sleep(Duration::from_millis(300));
    let sent = Instant::now();
    init.signal(libc::SIGTERM);
    init.end();
    assert!(sent.elapsed() < Duration::from_millis(1000), "{:?}", sent.elapsed());
}
