//! What rinit itself writes, where nobody reads it: never a reason to stand still.

use crate::harness::{INIT, Init, Launch, Running, eventually, ms};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// A stop of services that end at once.
const AT_ONCE: Duration = Duration::from_millis(1500);

/// One that says a thousand lines through rinit, and then is quiet.
const CHATTY: &str = r#"
    [services.flapping]
    command = ["sh", "-c", "echo run >> /mnt/files/runs; exit 1"]
    essential = false
    restart_policy = { delay = "0s", max_delay = "0s", max_attempts = 1000 }
    [services.quiet]
    command = ["sleep", "1000"]
"#;

/// Started, and nobody reads standard error any more, which is the terminal where there is one.
fn chatty(launch: Launch, tty: bool) -> Running {
    let run = if tty { launch.tty() } else { launch }.start();
    run.stop_reading(if tty { 1 } else { 2 });
    eventually("it goes on all the same", || run.file("runs").lines().count() == 1001);
    run
}

/// Every line is one of rinit's, from its beginning to its end.
#[track_caller]
fn no_line_is_cut(text: &str) {
    assert!(text.ends_with('\n'), "{text}");
    for line in text.lines() {
        let line = line.trim_end_matches('\r');
        let ends = [")", "quiet: ", "restarts", "not read", "stopping", "after", "ms", "s"];
        assert!(line.starts_with("rinit: ") && ends.iter().any(|end| line.ends_with(end)), "{line:?}");
        assert_eq!(line.matches("rinit: ").count(), 1, "{line:?}");
    }
}

/// `docker run -t` whose client was stopped: a terminal says that it is writable when there is room for one byte of
/// it, and rinit hung in write(2) until `docker stop` killed it.
#[test]
fn a_terminal_that_nobody_reads_does_not_stop_rinit() {
    let whole = || Init::config(CHATTY);
    for (launch, tty) in
        [(whole(), true), (whole().hide("/proc"), true), (whole().user(61_236), true), (whole(), false)]
    {
        let mut run = chatty(launch, tty);
        let asked = Instant::now();
        run.signal(libc::SIGTERM);
        eventually("it has ended", || run.has_ended());
        assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
    }
}

/// A line went out in part, and the next one after it: both could not be read. And nobody knew that there had been more.
#[test]
fn who_reads_again_is_told_how_much_was_dropped() {
    for tty in [true, false] {
        let run = chatty(Init::config(CHATTY), tty);
        // Of its own accord: it has nothing else to say.
        run.read_on(if tty { 1 } else { 2 });
        let all = |run: &Running| if tty { run.out() } else { run.err() };
        eventually("it is told", || {
            all(&run).contains(" lines were dropped here: standard error was not read")
        });
        run.signal(libc::SIGTERM);
        let ended = run.end().expect(0);
        no_line_is_cut(if tty { &ended.out } else { &ended.err });
    }
}

/// Nothing wakes an idle rinit, whose reader is there again, for a debt that was paid.
#[test]
fn a_debt_that_was_paid_is_forgotten() {
    let run = chatty(Init::config(CHATTY), false);
    run.read_on(2);
    eventually("it is told", || run.err().contains("dropped here"));
    let mut settled = run.init().switches();
    eventually("it sleeps", || {
        std::thread::sleep(ms(1500));
        let now = run.init().switches();
        std::mem::replace(&mut settled, now) == now
    });
    run.stop();
}

fn full_pipe() -> (File, OwnedFd) {
    let (read, write) = std::io::pipe().unwrap();
    let write = OwnedFd::from(write);
    let mut ours = File::from(write.try_clone().unwrap());
    // A pipe of this size is full then; writing one byte more would wait.
    ours.write_all(&[b'\n'; 1 << 16]).unwrap();
    (File::from(OwnedFd::from(read)), write)
}

/// Whatever is asked for on the command line.
const ANSWERS: [&[&str]; 8] = [
    &["--help"],
    &["--version"],
    &["--check"],
    &["--check", "--format", "json"],
    &["--explain"],
    &["--validate"],
    &["--env-docs"],
    &["--record"],
];

const CHECK: &str = "[checks.env.HOME]\n[services.web]\ncommand = \"true\"\n";

/// `docker stop` of a container that only reports, whose log nobody reads, took until the KILL.
#[test]
fn an_answer_that_nobody_reads_ends_by_a_signal() {
    for words in ANSWERS {
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT] {
            let (_read, write) = full_pipe();
            let mut run = Init::config(CHECK).args(words).fd(write, 1).start();
            eventually("it ends", || {
                run.signal(signal);
                run.has_ended()
            });
            assert_eq!(run.end().code(), 128 + signal, "{words:?}");
        }
    }
}

/// And it is written whole once somebody does read.
#[test]
fn an_answer_waits_for_a_slow_reader() {
    let (mut read, write) = full_pipe();
    let run = Init::config(CHECK).args(&["--help"]).fd(write, 1).start();
    eventually("it waits", || run.init().state == 'S');
    let mut text = String::new();
    let reader = std::thread::spawn(move || {
        read.read_to_string(&mut text).unwrap();
        text
    });
    run.end().expect(0);
    let text = reader.join().unwrap();
    assert!(text.contains("--config") && text.contains("--version"), "{text}");
}

/// A full disk: silence and success were the answer.
#[test]
fn an_answer_that_cannot_be_written_is_no_success() {
    for words in ANSWERS {
        let full = OwnedFd::from(File::options().write(true).open("/dev/full").unwrap());
        let ended = Init::config(CHECK).args(words).fd(full, 1).run();
        ended.expect(71).tells(&["standard output cannot be written: No space left on device"]);
    }
    // What the checks found weighs more.
    let full = OwnedFd::from(File::options().write(true).open("/dev/full").unwrap());
    let config = "[checks.env.NOBODY_SETS_THIS]\n";
    Init::config(config).args(&["--check"]).fd(full, 1).run().expect(69).tells(&["cannot be written"]);
}

/// An alarm that somebody sends is the command's, though rinit uses that signal to bound a write.
#[test]
fn an_alarm_reaches_the_command() {
    let script = format!("exec {INIT} -v -- /mnt/probe signals 3");
    let run = Init { kind: crate::harness::Kind::Other, path: "/bin/sh" }
        .launch()
        .args(&["-c", &script])
        .tty()
        .start();
    run.wait_for("ready");
    for count in 1..=3 {
        run.signal(libc::SIGALRM);
        eventually("it is heard", || run.out().matches("got 14").count() == count);
    }
    run.end().expect(0);
}
