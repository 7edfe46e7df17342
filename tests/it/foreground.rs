//! Who is in the foreground of the terminal when the COMMAND is started again, and what it was given besides.

use crate::harness::{INIT, Init, Kind, PATIENCE, PROBE, Running, eventually, ms};
use std::fmt::Write as _;
use std::fs::File;
use std::time::Instant;

const BASH: Init = Init { kind: Kind::Other, path: "/bin/bash" };

/// A COMMAND that is started again whenever it ends, `delay` later.
fn again(delay: &str) -> String {
    format!("[services.main]\nrestart = \"always\"\nrestart_policy = {{ delay = \"{delay}\", factor = 1 }}\n")
}

/// Types a line and waits until this comes after it.
#[track_caller]
fn say(run: &mut Running, line: &str, answer: &str) {
    let before = run.out().len();
    run.type_in(line);
    let start = Instant::now();
    while !run.out()[before..].contains(answer) {
        assert!(start.elapsed() < PATIENCE, "no {answer:?} after {line:?}: {:?}", &run.out()[before..]);
        std::thread::sleep(ms(1));
    }
}

const ASKS: &str = "echo ready $$; read word; echo got-$word";

/// The dead group of the first run still owned the terminal: the second was stopped by SIGTTIN for ever.
#[test]
fn a_command_that_is_started_again_reads_from_the_terminal() {
    for delay in ["0s", "20ms"] {
        for pid_1 in [true, false] {
            let mut run = Init::config(&again(delay)).sh(ASKS).tty().pid_1(pid_1).start();
            run.wait_for("ready");
            for number in 1..=3 {
                say(&mut run, &format!("w{number}\n"), &format!("got-w{number}"));
                let ready = number + 1;
                eventually("it runs again", || run.out().matches("ready").count() == ready);
            }
            // A key reaches it too.
            run.type_in("\x03");
            eventually("it was interrupted, and runs again", || run.out().matches("ready").count() == 5);
            run.stop();
        }
    }
}

/// The same below a shell whose job rinit is: the shell has its terminal back in the end, and is not disturbed by a
/// job in the background.
#[test]
fn a_command_that_is_started_again_is_in_the_foreground_of_a_shells_job() {
    let launch = BASH.launch().args(&["--norc", "--noediting", "-i"]).env("PS1", "prompt> ").tty();
    let mut run = launch.file("again.toml", &again("20ms")).file("asks", ASKS).start();
    run.wait_for("prompt> ");
    let line = format!("{INIT} -c /mnt/files/again.toml -- sh /mnt/files/asks");
    say(&mut run, &format!("{line}\n"), "ready");
    for number in 1..=2 {
        say(&mut run, &format!("w{number}\n"), "ready");
        assert!(run.out().contains(&format!("got-w{number}")), "{}", run.out());
    }
    say(&mut run, "\x1a", "Stopped");
    say(&mut run, "echo a$((40+2))\n", "a42");
    say(&mut run, "fg\n", "again.toml");
    say(&mut run, "w3\n", "ready");
    // The end from outside: the shell has its terminal again.
    let rinit = run.find(INIT).into_iter().find(|process| process.command.starts_with(INIT)).unwrap();
    run.signal_to(&rinit, libc::SIGTERM);
    eventually("it has ended", || run.find("again.toml").is_empty());
    say(&mut run, "echo b$((40+2))\n", "b42");
    // In the background it never takes the terminal, in no run.
    run.type_in(&format!(
        "{INIT} -q -c /mnt/files/again.toml -- sh -c 'sleep 0.02; echo x >>/mnt/files/runs' &\n"
    ));
    eventually("some runs", || run.file("runs").len() > 6);
    say(&mut run, "echo c$((40+2))\n", "c42");
    say(&mut run, "kill %1; wait %1; echo code$((3+4))\n", "code7");
}

/// An interactive shell that was killed while a job of its own had the terminal.
#[test]
fn a_shell_that_is_started_again_takes_the_terminal_from_a_job_of_the_first() {
    let launch = Init::config(&again("0s")).command(&["/bin/bash", "--norc", "--noediting", "-i"]);
    let mut run = launch.env("PS1", "prompt> ").tty().start();
    run.wait_for("prompt> ");
    run.type_in("setsid -f true; trap '' HUP TERM; sleep 1000\n");
    let job = run.the("sleep 1000");
    assert_ne!(job.group, 1);
    let bash = run.the("/bin/bash");
    run.signal_to(&bash, libc::SIGKILL);
    eventually("the shell runs again", || run.out().matches("prompt> ").count() >= 2);
    say(&mut run, "echo d$((40+2))\n", "d42");
    run.signal(libc::SIGTERM);
}

/// Between two runs the terminal's keys are for rinit, not for a group that is dead.
#[test]
fn between_two_runs_the_terminal_is_rinits() {
    let mut run = Init::config(&again("1h")).sh("echo ready; exit 3").env("RINIT_LOG", "debug").tty().start();
    run.wait_for("restarting in");
    run.type_in("\x03");
    run.end();
}

/// LISTEN_FDS was promised to each run, and descriptor 3 was closed after the first.
#[test]
fn a_command_that_is_started_again_has_its_descriptors() {
    let mut config = again("0s");
    write!(
        config,
        "[services.other]\ncommand = [\"sh\", \"-c\", \"readlink /proc/self/fd/3 >/mnt/files/other; sleep 1000\"]\n"
    )
    .unwrap();
    let null = File::open("/dev/null").unwrap();
    let launch = Init::config(&config).env("LISTEN_FDS", "1").env("LISTEN_PID", "1").fd(null.into(), 3);
    let run = launch.command(&[PROBE, "report"]).start();
    eventually("three runs", || run.out().matches("ignored=").count() >= 3);
    assert_eq!(run.file("other"), "", "a service has none of them");
    let out = run.stop().out;
    let fds = out.lines().filter(|line| line.starts_with("fds=")).collect::<Vec<_>>();
    assert!(fds.len() >= 3 && fds.iter().all(|fds| *fds == "fds=[0, 1, 2, 3]"), "{out}");
    let pids = |key: &str| {
        out.lines().filter_map(|line| line.strip_prefix(key)).map(str::to_owned).collect::<Vec<_>>()
    };
    // The last run may have been stopped within its report.
    for (pid, listen_pid) in pids("pid=").iter().zip(&pids("$LISTEN_PID=")) {
        assert_eq!(pid, listen_pid, "{out}");
    }
}
