//! rinit in front of several services: each test is a small configuration and what must come of it.

use crate::harness::{Init, Running, eventually, ms};
use std::fmt::Write;
use std::time::{Duration, Instant};

/// A stop with nothing to wait for. Far below every grace, far above a busy machine's hiccup.
const AT_ONCE: Duration = ms(1500);

fn count(text: &str, line: &str) -> usize {
    text.lines().filter(|known| *known == line).count()
}

/// Sends TERM and measures.
#[track_caller]
fn stops_at_once(run: Running) -> crate::harness::Ended {
    let asked = Instant::now();
    run.signal(libc::SIGTERM);
    let ended = run.end();
    let took = ended.at - asked;
    assert!(took < AT_ONCE, "the stop took {took:?}\n{}", ended.story());
    ended
}

// ------------------------------------------------------------------------------ ends and exit codes

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
    stops_at_once(run).expect(0);
}

// ------------------------------------------------------------------------------ restarts

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

// ------------------------------------------------------------------------------ order

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

// ------------------------------------------------------------------------------ stops

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
    let ended = stops_at_once(run).expect(0);
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
    stops_at_once(run).expect(0);
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
    let ended = stops_at_once(run).expect(0);
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
        let ended = stops_at_once(run).expect(0);
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
    let ended = stops_at_once(run).expect(0);
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
    let ended = stops_at_once(run).expect(0);
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
        let ended = stops_at_once(run).expect(0);
        assert!(ended.out.contains(&format!("got {number}\n")), "{}", ended.story());
        // For those that are frozen.
        assert!(ended.out.contains("got 18\n"), "{}", ended.story());
    }
    let config = "[services.web]\ncommand = \"sleep 1000\"\nstop_signal = \"SIGUSR1\"";
    let run = Init::config(config).start();
    run.the("sleep 1000");
    stops_at_once(run).expect(0);
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

// ------------------------------------------------------------------------------ signals

#[test]
fn signals_have_the_meaning_that_the_file_gives_them() {
    let config = r#"
        [signals]
        USR1 = { service = "web", signal = "HUP" }
        SIGWINCH = "ignore"
        PWR = "stop"
        [services.web]
        command = "/mnt/probe signals 2"
        restart = "no"
    "#;
    let run = Init::config(config).start();
    run.wait_for("ready");
    run.signal(libc::SIGWINCH);
    run.signal(libc::SIGUSR1);
    run.wait_for("got 1\n");
    run.signal(libc::SIGPWR);
    let ended = run.end().expect(0);
    assert_eq!(ended.out, "ready\ngot 1\ngot 15\n");
}

/// A signal that has no meaning here is no reason to end.
#[test]
fn signals_without_a_meaning_are_survived() {
    for pid_1 in [true, false] {
        let run = Init::config("[services.web]\ncommand = \"/mnt/probe serve web\"").pid_1(pid_1).start();
        run.wait_for("web up");
        let stop = [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT];
        for signal in crate::harness::catchable_signals().filter(|signal| !stop.contains(signal)) {
            run.signal(signal);
        }
        stops_at_once(run).expect(0);
    }
}

// ------------------------------------------------------------------------------ health

#[test]
fn a_dependent_waits_for_health_by_a_program() {
    let config = r#"
        [services.db]
        command = "/mnt/probe serve db"
        healthcheck = { exec = ["test", "-e", "/mnt/files/healthy"], interval = "10ms", retries = 1000000 }
        [services.web]
        command = "/mnt/probe serve web"
        depends_on = { db = "healthy" }
    "#;
    let run = Init::config(config).start();
    run.wait_for("db up");
    std::thread::sleep(ms(100));
    assert!(run.find("serve web").is_empty());
    std::fs::write(run.directory().join("healthy"), "").unwrap();
    run.wait_for("web up");
    run.stop().expect(0);
}

/// A TCP check that no other tool has: connected is healthy.
#[test]
fn a_dependent_waits_for_health_by_tcp() {
    let config = r#"
        [services.cache]
        command = "/mnt/probe listen 6379 200"
        healthcheck = { tcp = 6379, interval = "10ms", start_period = "10s" }
        [services.web]
        command = ["echo", "web ran"]
        restart = "no"
        depends_on = { cache = "healthy" }
    "#;
    let ended = Init::config(config).network().run().expect(0);
    assert_eq!(ended.out, "listening\nweb ran\n", "{}", ended.story());
}

#[test]
fn an_unhealthy_service_is_restarted() {
    let config = r#"
        [services.web]
        command = "/mnt/probe serve web"
        healthcheck = { exec = "false", interval = "10ms", retries = 2, on_unhealthy = "restart" }
        restart_policy = { delay = "10ms" }
    "#;
    let run = Init::config(config).start();
    eventually("it was stopped and started again", || {
        count(&run.out(), "web up") >= 3 && count(&run.out(), "web down") >= 2
    });
    run.stop().expect(0).tells(&["web", "unhealthy"]);
}

#[test]
fn an_unhealthy_service_may_be_left_alone() {
    let config = r#"
        [services.web]
        command = "/mnt/probe serve web"
        healthcheck = { exec = ["sh", "-c", "echo probe >> /mnt/files/probes; exit 1"], interval = "10ms", retries = 2, on_unhealthy = "ignore" }
    "#;
    let run = Init::config(config).start();
    eventually("it was probed often", || run.file("probes").lines().count() > 5);
    let ended = run.stop().expect(0);
    assert_eq!(count(&ended.out, "web up"), 1, "{}", ended.story());
}

#[test]
fn an_unhealthy_service_may_end_the_container() {
    let config = r#"
        [services.web]
        command = "/mnt/probe serve web"
        healthcheck = { exec = "false", interval = "10ms", retries = 2, on_unhealthy = "stop" }
    "#;
    let ended = Init::config(config).run().expect(1);
    assert_eq!(count(&ended.out, "web up"), 1, "{}", ended.story());
}

/// A probe that hangs is a failed probe, and leaves no process behind.
#[test]
fn a_probe_that_hangs_has_failed() {
    let config = r#"
        [services.web]
        command = "/mnt/probe serve web"
        restart = "no"
        healthcheck = { exec = ["sh", "-c", "sleep 1000; true"], timeout = "50ms", interval = "10ms", retries = 3 }
    "#;
    let ended = Init::config(config).nested().run().expect(1);
    assert!(ended.left.is_empty(), "left over: {:#?}", ended.left);
}

// ------------------------------------------------------------------------------ time limits

#[test]
fn a_service_that_is_not_ready_in_time_has_failed() {
    let config = r#"
        [services.web]
        command = "/mnt/probe serve web"
        restart = "no"
        start_timeout = "200ms"
        healthcheck = { exec = "false", interval = "10ms", retries = 1000000 }
    "#;
    let ended = Init::config(config).run().tells(&["web"]);
    assert_ne!(ended.code(), 0, "{}", ended.story());
    assert!((ms(200)..ms(2000)).contains(&ended.after), "{}", ended.story());
}

#[test]
fn a_oneshot_that_is_not_done_in_time_has_failed() {
    for key in ["start_timeout", "run_timeout"] {
        let config =
            format!("[services.job]\ntype = \"oneshot\"\ncommand = \"sleep 1000\"\n{key} = \"200ms\"");
        let ended = Init::config(&config).run().tells(&["job"]);
        assert_ne!(ended.code(), 0, "{}", ended.story());
        assert!((ms(200)..ms(2000)).contains(&ended.after), "{}", ended.story());
    }
}

// ------------------------------------------------------------------------------ what a service is given

fn report(keys: &str) -> crate::harness::Launch {
    let config = format!("[services.web]\ncommand = \"/mnt/probe report\"\nrestart = \"no\"\n{keys}");
    Init::config(&config)
}

#[track_caller]
fn reports(launch: crate::harness::Launch, lines: &[&str]) {
    let ended = launch.run().expect(0);
    for line in lines {
        assert!(ended.out.lines().any(|known| known == *line), "no `{line}`\n{}", ended.story());
    }
}

/// Horust sets the uid and keeps gid 0 and root's groups. The container has some to lose.
#[test]
fn user_sets_uid_gid_and_groups() {
    let given = |keys: &str| report(keys).groups(&[0, 4, 27, 12_345]);
    reports(given(""), &["Uid=0 0 0 0", "Groups=0 4 27 12345"]);
    let nobody = ["Uid=65534 65534 65534 65534", "Gid=65534 65534 65534 65534", "Groups=65534"];
    reports(given("user = \"nobody\""), &nobody);
    let daemon = ["Uid=1 1 1 1", "Gid=1 1 1 1", "Groups=1", "$USER=daemon", "$HOME=/usr/sbin"];
    reports(given("user = \"daemon\""), &daemon);
}

/// Numbers need no entry in /etc/passwd: `user = "${PUID}:${PGID}"`.
#[test]
fn user_may_be_numbers() {
    crate::harness::needs_root();
    let lines = ["Uid=12345 12345 12345 12345", "Gid=54321 54321 54321 54321"];
    reports(report("user = \"${PUID:-1}:${PGID}\"").env("PUID", "12345").env("PGID", "54321"), &lines);
    let lines = ["Uid=12345 12345 12345 12345", "Gid=100 100 100 100", "Groups=4 27 100"];
    let launch = report("user = \"12345\"\ngroup = \"users\"\ngroups = [\"adm\", 27, 100]");
    reports(launch, &lines);
}

/// Who has the ids already needs no capability to have them: root too.
#[test]
fn user_may_be_who_rinit_is_without_capabilities() {
    crate::harness::needs_root();
    let config = "[services.a]\ntype = \"oneshot\"\nuser = \"root\"\ncommand = \"id -u\"\n\
                  [checks.dir.\"/mnt\"]\nas_user = \"root\"\n";
    let script = "exec setpriv --groups 0 --bounding-set -all /mnt/rinit --config root.toml";
    let ended = Init::config("").file("root.toml", config).sh(script).run().expect(0);
    assert_eq!(ended.out, "0\n", "{}", ended.story());
}

#[test]
fn an_unknown_user_is_told_and_not_retried() {
    let ended = report("user = \"no-such-user\"").run().tells(&["no-such-user"]);
    assert_ne!(ended.code(), 0, "{}", ended.story());
    assert!(ended.out.is_empty(), "{}", ended.story());
}

#[test]
fn umask_directory_and_environment_are_set() {
    let keys = r#"
        umask = "0027"
        working_dir = "/usr/share"
        environment = { GREETING = "a  b", HOME = "/elsewhere" }
    "#;
    let lines = ["umask=0027", "cwd=/usr/share", "$GREETING=a  b", "$HOME=/elsewhere", "$GIVEN=yes"];
    reports(report(keys).env("GIVEN", "yes"), &lines);
}

/// The soft and the hard limit, as the process itself sees them; rinit's own stay as they are.
#[test]
fn ulimits_are_set() {
    let keys = "ulimits = { nofile = { soft = 77, hard = 88 }, core = 0, stack = \"1MiB\" }";
    let config = format!(
        "[services.a]\ntype = \"oneshot\"\ncommand = [\"cat\", \"/proc/self/limits\"]\n{keys}\n\
         [services.b]\ntype = \"oneshot\"\ncommand = [\"sh\", \"-c\", \"ulimit -Sn 88; ulimit -n 89 || echo refused\"]\n\
         user = 1000\nulimits.nofile = {{ soft = 77, hard = 88 }}\nafter = [\"a\"]\n"
    );
    let ended = Init::config(&config).run().expect(0);
    let has = |limit: [&str; 3]| {
        ended
            .out
            .lines()
            .any(|line| limit.iter().all(|part| line.split("  ").any(|word| word.trim() == *part)))
    };
    assert!(has(["Max open files", "77", "88"]), "{}", ended.story());
    assert!(has(["Max core file size", "0", "0"]), "{}", ended.story());
    assert!(has(["Max stack size", "1048576", "1048576"]), "{}", ended.story());
    assert!(ended.out.ends_with("refused\n"), "{}", ended.story());
}

/// Compose's order: the file first, `environment` over it.
#[test]
fn env_files_are_read() {
    let file = "# comment\n\nA=from file\nB=\"quoted\"\nexport C='single'\nD=\n";
    let keys = "env_file = \"/mnt/files/web.env\"\nenvironment = { A = \"from key\" }";
    let lines = ["$A=from key", "$B=quoted", "$C=single", "$D="];
    reports(report(keys).file("web.env", file).env("B", "from outside"), &lines);
}

#[test]
fn clear_env_leaves_what_the_file_names() {
    let launch = report("clear_env = true\nenvironment = { A = \"b\" }").env("SECRET", "x");
    let ended = launch.run().expect(0);
    assert!(ended.out.contains("$A=b\n") && !ended.out.contains("SECRET"), "{}", ended.story());
}

/// No mask, no ignored signal, no descriptor but its three: what a service gets is clean, whatever
/// rinit itself was given.
#[test]
fn a_service_starts_clean() {
    let (_read, write) = std::io::pipe().unwrap();
    let launch = report("").fd(write.into(), 7).ignoring(&[libc::SIGPIPE, libc::SIGHUP]);
    let ended = launch.blocking(&[libc::SIGUSR1, libc::SIGTERM]).run().expect(0);
    for line in ["blocked=[]", "ignored=[]", "fds=[0, 1, 2]"] {
        assert!(ended.out.lines().any(|known| known == line), "no `{line}`\n{}", ended.story());
    }
}

/// One that cannot be set up as it was described does not run at all.
#[test]
fn a_directory_that_is_not_there_is_told() {
    let ended = report("working_dir = \"/nowhere\"").run().tells(&["/nowhere"]);
    assert_ne!(ended.code(), 0, "{}", ended.story());
    assert!(ended.out.is_empty(), "{}", ended.story());
}

#[test]
fn a_command_line_is_split_as_a_shell_would() {
    let config = "[services.web]\ncommand = \"printf '<%s>' 'a  b' c\\\\ d \\\"e\\\" ''\"\nrestart = \"no\"";
    assert_eq!(Init::config(config).run().expect(0).out, "<a  b><c d><e><>");
}

// ------------------------------------------------------------------------------ the COMMAND beside services

#[test]
fn the_command_starts_after_the_services_and_ends_them() {
    let config = r#"
        [services.migrate]
        type = "oneshot"
        command = ["sh", "-c", "sleep 0.1; echo migrated"]
        [services.cache]
        command = "/mnt/probe serve cache 50"
    "#;
    for pid_1 in [true, false] {
        let command = "while ! grep -q serve /proc/*/cmdline; do :; done; echo command; exit 5";
        let ended = Init::config(config).sh(command).pid_1(pid_1).run().expect(5);
        let out: Vec<_> = ended.out.lines().filter(|line| *line != "cache up").collect();
        assert_eq!(out.first(), Some(&"migrated"), "{}", ended.story());
        assert_eq!(out.get(1), Some(&"command"), "{}", ended.story());
        assert!(ended.left.is_empty(), "left over: {:#?}", ended.left);
    }
}

/// TERM goes to the command first; its end is what stops the services, and its code is the container's.
#[test]
fn term_reaches_the_command_beside_services() {
    let config = "[services.cache]\ncommand = \"/mnt/probe serve cache\"";
    let run = Init::config(config)
        .sh("trap 'echo told; exit 6' TERM; echo ready; while :; do sleep 0.01; done")
        .start();
    run.wait_for("ready\n");
    run.wait_for("cache up");
    let ended = stops_at_once(run).expect(6);
    let told = ended.out.find("told").unwrap();
    assert!(told < ended.out.find("cache down").unwrap(), "{}", ended.story());
}

/// The command inherits all, beside services too: only services start clean.
#[test]
fn the_command_beside_services_inherits_descriptors() {
    let (_read, write) = std::io::pipe().unwrap();
    let config = "[services.cache]\ncommand = \"/mnt/probe serve cache\"";
    let run = Init::config(config).command(&["/mnt/probe", "report"]).fd(write.into(), 7).start();
    let ended = run.end().expect(0);
    assert!(ended.out.contains("fds=[0, 1, 2, 7]"), "{}", ended.story());
}

#[test]
fn the_file_may_describe_the_command() {
    let config = r#"
        [services.main]
        command = ["printf", "<%s>"]
        umask = "0077"
    "#;
    assert_eq!(Init::config(config).run().expect(0).out, "<>");
    // Arguments that begin with an option belong to it.
    assert_eq!(Init::config(config).command(&["-x", "y"]).run().expect(0).out, "<-x><y>");
    let ended = Init::config(config).command(&["sh", "-c", "umask"]).run().expect(0);
    assert_eq!(ended.out, "0077\n");
}

// ------------------------------------------------------------------------------ hard times

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
    let ended = stops_at_once(run).expect(0);
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
