//! Stops at random moments: between any two steps of the start there is one where TERM can come.

use crate::harness::{INIT, Init, Kind, eventually, ms};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Everything that a start can be in the middle of: a check, a oneshot, a health check, a pending
/// dependency, a crash loop, a stubborn service, a daemon that escapes. Those whose end is not clean are
/// not essential, so that the exit code of the whole is 0.
const BOOT: &str = r#"
    [services.prepare]
    type = "oneshot"
    command = ["sh", "-c", "sleep 0.005"]
    [services.db]
    command = "/mnt/probe serve db"
    depends_on = ["prepare"]
    healthcheck = { exec = "true", interval = "2ms" }
    [services.escapes]
    command = ["sh", "-c", "setsid -f sleep 1000; exec sleep 1000"]
    [services.stubborn]
    command = ["sh", "-c", "trap '' TERM; exec sleep 1000"]
    stop_grace_period = "100ms"
    essential = false
    [services.loop]
    command = ["sh", "-c", "exit 1"]
    restart_policy = { delay = "3ms", max_delay = "3ms" }
    essential = false
    [services.web]
    command = "/mnt/probe serve web"
    depends_on = { db = "healthy" }
"#;

/// A check that waits belongs to the boot too.
const CHECKED: &str = "[checks.link.never]\nport = 1\nwait = \"1h\"\ninterval = \"1ms\"\n";

/// The largest grace, what the sweep may take (an escaped daemon heeds TERM), and a busy machine.
const BOUND: Duration = ms(2500);

/// Random numbers that a failure can be repeated with.
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let seed = std::env::var("RINIT_SEED").ok().and_then(|seed| seed.parse().ok());
        let dice = Self(seed.unwrap_or(u64::from(now.subsec_nanos()) | 1));
        eprintln!("RINIT_SEED={}", dice.0);
        dice
    }

    /// From 0 to below `bound`.
    fn roll(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Starts, waits for a moment of 0 to 30 ms, stops, and holds the end to its bound.
fn stop_at_random(config: &str, pid_1: bool, tries: u32) {
    let mut dice = Dice::new();
    for number in 0..tries {
        let run = Init::config(config).pid_1(pid_1).start();
        // Before this moment nobody is there to hear it, as PID 1; as a child it would simply die.
        run.wait_until_it_takes(libc::SIGTERM);
        let delay = Duration::from_micros(dice.roll(30_000));
        std::thread::sleep(delay);
        let asked = Instant::now();
        run.signal(libc::SIGTERM);
        let ended = run.end_within(Duration::from_secs(20));
        let took = ended.at - asked;
        let story = format!("try {number}, after {delay:?}, took {took:?}\n{}", ended.story());
        assert!(took < BOUND, "too long: {story}");
        assert!(ended.left.is_empty(), "left over: {:#?}\n{story}", ended.left);
        assert_eq!(ended.code(), 0, "{story}");
    }
}

#[test]
fn a_stop_at_any_moment_of_the_boot_ends_in_time() {
    stop_at_random(BOOT, true, 150);
}

#[test]
fn a_stop_at_any_moment_leaves_nobody() {
    stop_at_random(BOOT, false, 150);
}

/// A start-up check that waits for an hour is no reason to wait for an hour.
#[test]
fn a_stop_during_a_check_that_waits_is_quick() {
    let config = format!("{CHECKED}{BOOT}");
    for pid_1 in [true, false] {
        let run = Init::config(&config).network().pid_1(pid_1).start();
        run.wait_until_it_takes(libc::SIGTERM);
        std::thread::sleep(ms(50));
        let asked = Instant::now();
        run.signal(libc::SIGTERM);
        let ended = run.end();
        assert!(ended.at - asked < BOUND, "{}", ended.story());
        assert!(!ended.out.contains("up"), "{}", ended.story());
    }
}

/// A second and a third request at random moments after the first: killed at once or ended before,
/// never stuck.
#[test]
fn impatience_never_hangs() {
    let mut dice = Dice::new();
    for number in 0..60 {
        let run = Init::config(BOOT).nested().start();
        run.wait_until_it_takes(libc::SIGTERM);
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGTERM] {
            std::thread::sleep(Duration::from_micros(dice.roll(10_000)));
            run.signal(signal);
        }
        let ended = run.end_within(BOUND);
        assert!(ended.left.is_empty(), "try {number}, left over: {:#?}\n{}", ended.left, ended.story());
    }
}

/// With a command: the same moments, and the code is the command's death or its own.
#[test]
fn a_stop_at_any_moment_reaches_the_command() {
    let mut dice = Dice::new();
    for _ in 0..150 {
        let run = Init::RINIT.command(&["sleep", "1000"]).start();
        run.wait_until_it_takes(libc::SIGTERM);
        std::thread::sleep(Duration::from_micros(dice.roll(3_000)));
        run.signal(libc::SIGTERM);
        run.end().expect(143);
    }
}

/// Root that may not signal other users' processes reaches those in a group with its own, and each once.
#[test]
fn a_group_of_two_users_is_asked_whole_without_the_capability_for_it() {
    crate::harness::needs_root();
    let asked = "setpriv --reuid=1001 --clear-groups /mnt/probe signals 1 & exec /mnt/probe signals 1";
    let config = format!("[services.two]\ncommand = [\"sh\", \"-c\", \"{asked}\"]\n");
    let setpriv = Init { kind: Kind::Other, path: "/usr/bin/setpriv" };
    let words = ["--bounding-set=-kill", INIT, "--config", "/mnt/files/rinit.toml"];
    let run = setpriv.launch().args(&words).file("rinit.toml", &config).start();
    eventually("both are up", || run.out().matches("ready").count() == 2);
    run.signal(libc::SIGTERM);
    let begin = Instant::now();
    let ended = run.end().expect(0);
    assert_eq!(ended.out.matches("got 15").count(), 2, "{}", ended.story());
    assert!(begin.elapsed() < Duration::from_secs(5), "{}", ended.story());
}
