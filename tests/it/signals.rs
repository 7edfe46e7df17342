//! What rinit makes of the signals that it gets: once and again, while checks run, from whom, and which are its own.

use crate::harness::{Init, Running, eventually, ms};
use libc::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};

/// Takes half a second to end, as what saves its data does.
const SAVES: &str = "[services.db]\ncommand = [\"sh\", \"-c\", \"trap 'echo saving; sleep 0.5; echo saved; exit 0' TERM; echo up; while :; do sleep 0.01; done\"]\n";

/// Each check waits until the test lets it go.
const WAITS: &str = "[checks.file.\"/mnt/files/go\"]\nwait = \"30s\"\ninterval = \"5ms\"\n";

fn begin_checks(run: &Running) {
    run.wait_until_it_takes(SIGTERM);
    eventually("a helper looks", || !run.others().is_empty());
}

fn let_go(run: &Running) {
    std::fs::write(run.directory().join("go"), "").unwrap();
}

/// `timeout 5 docker run` and two `docker kill`: the second TERM was a KILL, and redis lost what it had not saved.
#[test]
fn term_again_changes_nothing() {
    for (first, again) in [(SIGTERM, SIGTERM), (SIGINT, SIGINT), (SIGQUIT, SIGINT), (SIGINT, SIGTERM)] {
        let run = Init::config(SAVES).start();
        run.wait_for("up");
        run.signal(first);
        run.wait_for("saving");
        for _ in 0..3 {
            run.signal(again);
        }
        let ended = run.end().expect(0);
        assert_eq!(ended.out.matches("saving").count(), 1, "{}", ended.story());
        assert!(ended.out.contains("saved"), "{}", ended.story());
    }
}

/// The same beside a COMMAND, whose TERM is a stop by the configuration.
#[test]
fn term_again_does_not_reach_the_command_twice() {
    let script =
        "trap 'echo asked; sleep 0.3; echo over; exit 4' TERM; echo up; while :; do sleep 0.01; done";
    let run = Init::config("[checks.file.\"/proc/self/status\"]\n").sh(script).start();
    run.wait_for("up");
    run.signal(SIGTERM);
    run.wait_for("asked");
    run.signal(SIGTERM);
    let ended = run.end().expect(4);
    assert_eq!(ended.out.matches("asked").count(), 1, "{}", ended.story());
}

/// Who presses Ctrl-C again a second later has lost patience.
#[test]
fn a_second_int_a_second_later_kills() {
    let config = "[services.deaf]\ncommand = [\"sh\", \"-c\", \"trap '' TERM; echo up; while :; do sleep 0.01; done\"]\nstop_grace_period = \"1h\"\n";
    for second in [SIGINT, SIGQUIT] {
        let run = Init::config(config).nested().start();
        run.wait_for("up");
        run.signal(SIGINT);
        run.wait_for_err("stopping");
        std::thread::sleep(ms(1100)); // The rule is one of time.
        run.signal(second);
        let ended =
            run.end().tells(&["asked to stop again; killing everything (SIG", "from outside the container)"]);
        assert!(ended.left.is_empty(), "left over: {:#?}", ended.left);
    }
}

/// LXC and systemd stop a container with these.
#[test]
fn pwr_and_rtmin_plus_3_stop() {
    for (signal, name) in [(libc::SIGPWR, "SIGPWR"), (37, "SIGRTMIN+3")] {
        let run = Init::config(SAVES).start();
        run.wait_for("up");
        run.signal(signal);
        let ended = run.end().expect(0).tells(&[&format!("stopping ({name} from outside the container)")]);
        assert!(ended.out.contains("saved"), "{}", ended.story());
        // With a COMMAND they are its own.
        let trap = name.trim_start_matches("SIG");
        let run = Init::config("[checks.file.\"/proc/self/status\"]\n")
            .command(&[
                "bash",
                "-c",
                &format!("trap 'echo mine; exit 5' {trap}; echo up; while :; do sleep 0.01; done"),
            ])
            .start();
        run.wait_for("up");
        run.signal(signal);
        assert!(run.end().expect(5).out.contains("mine"));
    }
}

/// Nothing is silent, and what is told can be done: the line maps the signal.
#[test]
fn a_signal_that_nobody_uses_is_told_once_with_the_line_that_maps_it() {
    let config = "[services.web]\ncommand = [\"sh\", \"-c\", \"trap 'echo got' HUP USR1 USR2; trap 'exit 0' TERM; echo up; while :; do sleep 0.01; done\"]\n";
    for (signal, name) in [(SIGUSR1, "USR1"), (SIGUSR2, "USR2"), (62, "RTMIN+28")] {
        let run = Init::config(config).start();
        run.wait_for("up");
        run.signal(signal);
        run.wait_for_err(&format!("SIG{name} "));
        run.signal(signal);
        run.signal(SIGWINCH);
        run.wait_for_err("SIGWINCH came");
        let ended = run.stop().expect(0);
        let told: Vec<&str> = ended.err.lines().filter(|line| line.contains("[signals]: ")).collect();
        assert_eq!(told.len(), 2, "{}", ended.story());
        let line = told[0].split("[signals]: ").nth(1).unwrap();

        let mapped = format!("{config}[signals]\n{line}\n");
        let run = Init::config(&mapped).start();
        run.wait_for("up");
        run.signal(signal);
        if signal < 34 {
            run.wait_for("got");
            let ended = run.stop().expect(0);
            assert!(!ended.err.contains("[signals]"), "{}", ended.story());
        } else {
            // The shell has no trap for it.
            run.wait_for_err("web: killed by SIGRTMIN+28");
            run.stop();
        }
    }
}

/// What is for the COMMAND was lost while checks ran.
#[test]
fn what_comes_during_checks_reaches_the_command() {
    // What gets them before it is ready for them dies of them, as anywhere: this one starts with them blocked.
    let signals = [SIGUSR2, SIGHUP, SIGUSR1, SIGHUP];
    let run = Init::config(WAITS).blocking(&signals).command(&["/mnt/probe", "signals", "3"]).start();
    begin_checks(&run);
    for signal in signals {
        run.signal(signal);
        eventually("it is taken", || !crate::harness::has_signal(run.init().mask("ShdPnd"), signal));
    }
    let_go(&run);
    let ended = run.end().expect(0);
    for got in ["got 1\n", "got 10\n", "got 12\n"] {
        assert_eq!(ended.out.matches(got).count(), 1, "{}", ended.story());
    }
}

/// `[signals]` and `-r` held only once everything ran.
#[test]
fn signals_during_checks_obey_the_rules() {
    // Not a stop any more.
    for (args, rules) in [(vec!["-r", "15:10"], ""), (vec![], "[signals]\nTERM = \"ignore\"\n")] {
        let run = Init::config(&format!("{WAITS}{rules}"))
            .args(&args)
            .blocking(&[SIGUSR1])
            .command(&["/mnt/probe", "signals", "1"])
            .start();
        begin_checks(&run);
        run.signal(SIGTERM);
        eventually("it is taken", || !crate::harness::has_signal(run.init().mask("ShdPnd"), SIGTERM));
        let_go(&run);
        run.wait_for("ready");
        // In the first case it is what the other stands for.
        run.signal(SIGUSR1);
        assert!(run.end().expect(0).out.contains("got 10"));
    }
    // And a stop now.
    let run = Init::config(&format!("{WAITS}[signals]\nUSR2 = \"stop\"\n")).sh("echo up").start();
    begin_checks(&run);
    run.signal(SIGUSR2);
    let ended =
        run.end().expect(140).tells(&["stopping (SIGUSR2 from outside the container); nothing was started"]);
    assert!(!ended.out.contains("up"));
}

/// rinit's own line was longer than its limit allowed, and the signal for that killed the COMMAND.
#[test]
fn what_rinits_own_lines_cause_is_not_for_the_command() {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("full-log"))
        .unwrap();
    log.set_len(4096).unwrap();
    let run = Init::RINIT
        .launch()
        .args(&["-v"])
        .fd(log.into(), 2)
        .limit(libc::RLIMIT_FSIZE, 4096)
        .sh("trap 'echo usr1' USR1; echo up; while :; do sleep 0.01; done")
        .start();
    run.wait_for("up");
    // It is told on a file that is full.
    for _ in 0..3 {
        run.signal(SIGUSR1);
        eventually("it is passed on", || run.out().contains("usr1"));
    }
    run.stop().expect(143);
}
