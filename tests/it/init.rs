//! rinit in front of one command: the promises that its peers do not make.

use crate::harness::{FILES, Init, PROBE, catchable_signals, eventually, eventually_within, ms};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How long after the last orphan's death no zombie may be left.
const REAPING: Duration = ms(200);

fn orphans_leave_no_zombie(count: usize, pid_1: bool) {
    let run = Init::RINIT.command(&[PROBE, "orphans", &count.to_string()]).pid_1(pid_1).start();
    eventually_within(Duration::from_secs(60), "the orphans are there", || run.out().contains("ready"));
    let own = run.processes().len() - count;
    run.signal(libc::SIGUSR1);
    run.wait_for("released");
    let alive =
        |run: &crate::harness::Running| run.processes().iter().filter(|process| !process.is_zombie()).count();
    eventually_within(Duration::from_secs(60), "the orphans have died", || alive(&run) == own);
    let died = Instant::now();
    eventually_within(REAPING, "every orphan is reaped", || run.processes().len() == own);
    assert!(died.elapsed() < REAPING);
    run.stop().expect(0);
}

#[test]
fn a_thousand_orphans_at_once_leave_no_zombie() {
    orphans_leave_no_zombie(1_000, true);
}

/// As a subreaper.
#[test]
fn a_thousand_orphans_of_a_child_leave_no_zombie() {
    orphans_leave_no_zombie(1_000, false);
}

/// SIGCHLD is one bit: ten thousand deaths may be one signal.
#[test]
fn ten_thousand_orphans_at_once_leave_no_zombie() {
    orphans_leave_no_zombie(10_000, true);
}

/// What the command left running is asked to stop and given the time for it, which the kernel, who
/// kills all when PID 1 ends, does not.
#[test]
fn what_the_command_leaves_is_asked_to_stop() {
    let script = "sh -c 'trap \"echo asked; exit\" TERM; echo ready; while :; do sleep 0.01; done' & \
                  while ! test -e go; do sleep 0.01; done; exit 3";
    let run = Init::RINIT.sh(script).start();
    run.wait_for("ready");
    std::fs::write(run.directory().join("go"), "").unwrap();
    let ended = run.end().expect(3);
    assert!(ended.out.contains("asked"), "{}", ended.story());
}

/// And killed when it does not; a child that is not PID 1 cannot leave this to the kernel.
#[test]
fn what_ignores_the_request_is_killed_before_rinit_ends() {
    let script = "trap '' TERM; sleep 1000 & setsid sleep 2000 & (sleep 3000 &); exit 3";
    for pid_1 in [true, false] {
        let ended = Init::RINIT.sh(script).pid_1(pid_1).run().expect(3);
        assert!(ended.left.is_empty(), "left over: {:#?}", ended.left);
    }
}

/// No fixed sleep, no poll: the end of the last child is the end of rinit. The best of a few tries,
/// for the machine may be busy.
#[test]
fn the_end_follows_the_last_child_within_50_ms() {
    for pid_1 in [true, false] {
        let best = (0..5).map(|_| {
            let run = Init::RINIT.command(&[PROBE, "last-words"]).pid_1(pid_1).start();
            let ended = run.end().expect(0);
            let now = crate::harness::now_ns() - u64::try_from(ended.at.elapsed().as_nanos()).unwrap();
            Duration::from_nanos(now - ended.out.trim().parse::<u64>().unwrap())
        });
        let best = best.min().unwrap();
        assert!(best < ms(50), "{best:?}");
    }
}

/// A mount that PID 1 stands on or has open cannot be unmounted. What is handed on to the command is
/// the command's alone.
#[test]
fn keeps_nothing_busy() {
    let (_read, write) = std::io::pipe().unwrap();
    let file = File::open("/etc/passwd").unwrap();
    let launch = Init::RINIT.command(&["sh", "-c", "echo up; exec sleep 1000"]);
    let run = launch.fd(OwnedFd::from(write), 5).fd(OwnedFd::from(file), 9).cwd("/usr").start();
    run.wait_for("up");
    eventually("the command has what was given", || {
        let fds = run.the("sleep").fds();
        fds.iter().map(|(fd, _)| *fd).eq([0, 1, 2, 5, 9])
    });
    assert_eq!(run.the("sleep").cwd(), "/usr");
    eventually("rinit sits in /", || run.init().cwd() == "/");
    let fds = run.init().fds();
    let foreign = |target: &str| target.contains("passwd") || target.starts_with("pipe:");
    let kept: Vec<_> = fds.iter().filter(|(fd, target)| *fd > 2 && foreign(target)).collect();
    assert!(kept.is_empty(), "{fds:?}");
}

/// An idle init that holds no more than it needs: 0, 1, 2 and what it waits on.
#[test]
fn holds_few_descriptors() {
    let run = Init::RINIT.sh("echo up; exec sleep 1000").start();
    run.wait_for("up");
    let fds = run.init().fds();
    assert!(fds.len() <= 8, "{fds:?}");
}

/// Kubernetes' restricted profile: no root, no way to become it.
#[test]
fn works_for_a_user_without_rights() {
    for pid_1 in [true, false] {
        let run = Init::RINIT.sh("id -u; (sleep 1000 &); exit 4").user(1000).pid_1(pid_1).start();
        let ended = run.end().expect(4);
        assert_eq!(ended.out, "1000\n", "{}", ended.story());
        assert!(ended.left.is_empty(), "left over: {:#?}", ended.left);
    }
}

/// With descriptors 0, 1 and 2 closed the first file that rinit opens would become its standard error.
#[test]
fn opens_dev_null_where_a_stream_is_closed() {
    let run = Init::RINIT.sh(&format!("exec {PROBE} signals")).without_stdio().start();
    eventually("the command runs", || run.find("signals").len() == 1);
    let fds = run.init().fds();
    for number in 0..3 {
        assert!(fds.contains(&(number, "/dev/null".to_owned())), "{fds:?}");
    }
}

/// A container without /proc is rare, and no reason to fail.
#[test]
fn works_without_proc() {
    Init::RINIT.sh("(sleep 0.01 &); exit 5").hide("/proc").run().expect(5);
}

/// An image from scratch has no users, no resolver, no zone: one static file and rinit.
#[test]
fn works_without_etc() {
    Init::RINIT.sh("exit 6").hide("/etc").run().expect(6);
}

/// Every signal at once and again: none ends rinit, and its end is still the command's.
#[test]
fn survives_a_storm_of_signals() {
    let run = Init::RINIT.command(&[PROBE, "signals"]).start();
    run.wait_for("ready");
    for _ in 0..100 {
        for signal in catchable_signals() {
            run.signal(signal);
        }
        run.signal(libc::SIGCHLD);
    }
    run.wait_for("got 64");
    run.signal_to(&run.the("signals"), libc::SIGKILL);
    run.end().expect(137);
}

/// The children's terminal stops for a background process that writes to it; PID 1 must not stop.
#[test]
fn is_not_stopped_by_the_terminal() {
    let script = "stty tostop; kill -TTOU 1; kill -TTIN 1; kill -TSTP 1; exit 3";
    let ended = Init::RINIT.sh(&format!("trap '' TSTP TTIN TTOU; {script}")).tty().run();
    ended.expect(3);
}

/// A log driver that hangs blocks whoever writes, and that is not rinit: it says nothing.
#[test]
fn a_reader_that_hangs_delays_no_end() {
    let run = Init::RINIT.sh("echo up; (yes &); sleep 0.2; exit 3").start();
    run.wait_for("up");
    run.stop_reading(1);
    let mut run = run;
    eventually("the end comes", || run.has_ended());
}

/// `EAGAIN` at the first fork: an error that is told, not a panic and not a hang.
#[test]
fn says_when_it_cannot_fork() {
    let launch = Init::RINIT.sh("exit 3").user(61_234).limit(libc::RLIMIT_NPROC, 0);
    launch.run().expect(71);
}

/// What its parent ignored is for the command; rinit itself hears of it.
#[test]
fn hears_what_its_parent_ignored() {
    let script = format!("echo up; exec {PROBE} signals 1");
    let run = Init::RINIT.sh(&script).ignoring(&[libc::SIGCHLD, libc::SIGHUP]).start();
    run.wait_for("ready");
    run.signal(libc::SIGHUP);
    run.end().expect(0);
}

/// A word that begins with a dash is an option only before the command.
#[test]
fn the_command_needs_no_dashes() {
    let ended = Init::RINIT.launch().args(&["sh", "-c", "echo $0; exit 3", "-v"]).run().expect(3);
    assert_eq!(ended.out, "-v\n");
}

/// Bad usage is 64, and names the option.
#[test]
fn an_unknown_option_is_bad_usage() {
    Init::RINIT.launch().args(&["--no-such-option", "true"]).run().expect(64).tells(&["--no-such-option"]);
}

/// Nothing to do is a mistake in the image, and is said.
#[test]
fn nothing_to_run_is_bad_usage() {
    let ended = Init::RINIT.launch().run();
    assert!([64, 78].contains(&ended.code()), "{}", ended.story());
    assert!(!ended.err.is_empty());
}

#[test]
fn help_and_version_go_to_standard_output() {
    let help = Init::RINIT.launch().args(&["--help"]).run().expect(0);
    assert!(help.out.contains("--config") && help.err.is_empty(), "{}", help.story());
    let version = Init::RINIT.launch().args(&["--version"]).run().expect(0);
    assert!(version.out.contains(env!("CARGO_PKG_VERSION")), "{}", version.story());
}

/// `rinit --exec -- app`: no rinit stays behind.
#[test]
fn exec_leaves_no_rinit_behind() {
    let run = Init::RINIT.launch().args(&["--exec"]).command(&[PROBE, "report"]).start();
    let ended = run.end().expect(0);
    assert!(ended.out.contains("pid=1\n"), "{}", ended.story());
    assert!(ended.out.contains("ignored=[]\nfds=[0, 1, 2]\n"), "{}", ended.story());
    assert!(ended.out.contains("blocked=[]\n"), "{}", ended.story());
    assert!(ended.out.contains(&format!("cwd={FILES}\n")), "{}", ended.story());
}

/// What a program gets that has no exec bit, an interpreter that is missing, or DOS line ends is the
/// same bare number from the kernel; the message is to tell them apart.
#[test]
fn says_why_a_program_cannot_be_started() {
    let cases = [
        ("no-interpreter", "#!/nowhere/python\n", 0o755, 127, "/nowhere/python"),
        ("dos", "#!/bin/sh\r\nexit 0\r\n", 0o755, 127, "carriage return"),
        ("no-x", "#!/bin/sh\n", 0o644, 126, "chmod"),
    ];
    for (name, text, mode, code, word) in cases {
        let path = format!("{FILES}/{name}");
        let launch = Init::RINIT.command(&[&path]).file_with_mode(name, text, mode);
        launch.run().expect(code).tells(&[&path, word]);
    }
}

/// Read-only root, nothing in `/run` and `/tmp`. One case proves that the harness makes such a place;
/// `RINIT_BARE=1` runs all the others in it.
#[test]
fn works_on_a_bare_root() {
    let script =
        "for f in /x /run/x /tmp/x /etc/x /dev/x /mnt/x; do touch $f 2>/dev/null && echo wrote $f; done
                  ls -A /run /tmp; touch here && echo wrote here; exit 3";
    let ended = Init::RINIT.sh(script).bare().run().expect(3);
    assert_eq!(ended.out, "/run:\n\n/tmp:\nwrote here\n", "{}", ended.story());
}
