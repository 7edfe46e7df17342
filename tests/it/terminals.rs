//! rinit between a shell and its job, and full-screen programs below it, on a pseudo terminal that the test types on.

use crate::harness::{INIT, Init, Kind, PATIENCE, PROBE, Running, eventually, ms};
use std::time::Instant;

const BASH: Init = Init { kind: Kind::Other, path: "/bin/bash" };

/// What a shell may start its job with. (tini itself leaves the shell waiting; rinit in its name does not.)
const LINES: [&str; 5] = [INIT, "/mnt/tini -s", "/mnt/catatonit", "/mnt/dumb-init -c", "/mnt/dumb-init"];

fn shell() -> Running {
    let run = BASH.launch().args(&["--norc", "--noediting", "-i"]).env("PS1", "prompt> ").tty().start();
    run.wait_for("prompt> ");
    run
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

/// Waits until a job's program is in the state that it is to be in.
#[track_caller]
fn job_is(run: &Running, program: &str, state: char) {
    eventually(&format!("the job is {state}, in {}\n{:#?}", run.out(), run.others()), || {
        let jobs = run.find(program);
        !jobs.is_empty() && jobs.iter().all(|process| process.state == state)
    });
}

/// Waits until a full-screen program has drawn its screen: it throws away what is typed before.
#[track_caller]
fn settles(run: &Running) {
    let mut before = run.out().len();
    eventually("the screen is drawn", || {
        std::thread::sleep(ms(200));
        let now = run.out().len();
        std::mem::replace(&mut before, now) == now
    });
}

/// Ctrl-Z gives the shell its prompt back, `fg` continues, Ctrl-C ends, `bg` runs on behind the shell.
#[test]
fn a_job_of_a_shell_stops_and_goes_on() {
    for line in LINES {
        let mut run = shell();
        run.type_in(&format!("{line} -- sleep 1000\n"));
        eventually("it runs", || run.others().iter().any(|process| process.command == "sleep 1000"));
        for _ in 0..3 {
            say(&mut run, "\x1a", "Stopped");
            job_is(&run, "sleep 1000", 'T');
            say(&mut run, "echo a$((40+2))\n", "a42");
            say(&mut run, "fg\n", "-- sleep 1000");
            job_is(&run, "sleep 1000", 'S');
        }
        say(&mut run, "\x1a", "Stopped");
        say(&mut run, "bg\n", "&");
        job_is(&run, "sleep 1000", 'S');
        say(&mut run, "echo b$((40+2))\n", "b42");
        say(&mut run, "fg\n", "-- sleep 1000");
        // The shell has handed the terminal over when the job is in front.
        std::thread::sleep(ms(50));
        run.type_in("\x03");
        eventually(&format!("it has ended: {line}"), || run.find("sleep 1000").is_empty());
        say(&mut run, "echo code $?\n", "code 130");
    }
}

/// In a pipe or behind `&` a job does not take the terminal from the shell.
#[test]
fn a_job_in_the_background_leaves_the_terminal_alone() {
    for line in LINES {
        let mut run = shell();
        run.type_in(&format!("{line} -- sleep 1000 &\n"));
        eventually("it runs", || run.others().iter().any(|process| process.command == "sleep 1000"));
        say(&mut run, "echo c$((40+2))\n", "c42");
        say(&mut run, "kill %1; wait %1; echo code $?\n", "code 143");
    }
}

/// A new size of the window is heard once.
#[test]
fn a_new_size_reaches_the_command_once() {
    for init in [Init::RINIT, Init::AS_TINI, Init::AS_DUMB_INIT, Init::AS_CATATONIT] {
        for pid_1 in [true, false] {
            let run = init.command(&[PROBE, "signals", "2"]).tty().pid_1(pid_1).start();
            run.wait_for("ready");
            run.resize(50, 132);
            run.wait_for("got 28\r\n");
            run.signal(libc::SIGIO);
            let out = run.end().expect(0).out;
            assert!(out.ends_with("ready\r\ngot 28\r\ngot 29\r\n"), "{init:?}: {out}");
        }
    }
}

/// A pager takes keys and the size of the window, and is left in order.
#[test]
fn less_shows_a_file() {
    for init in [Init::RINIT, Init::AS_DUMB_INIT] {
        let text: String = (1..=500).map(|number| format!("line {number}\n")).collect();
        let launch = init.command(&["less", "/mnt/files/text"]).file("text", &text);
        let mut run = launch.env("TERM", "xterm").tty().start();
        run.wait_for("line 23");
        assert!(!run.out().contains("line 25"), "{}", run.out());
        settles(&run);
        run.resize(40, 80);
        run.wait_for("line 39");
        run.type_in("G");
        run.wait_for("line 500");
        run.type_in("q");
        run.end().expect(0);
    }
}

/// An editor is stopped from a shell, continued, writes its file.
#[test]
fn vim_edits_a_file() {
    let mut run = BASH
        .launch()
        .args(&["--norc", "--noediting", "-i"])
        .env("PS1", "prompt> ")
        .env("TERM", "xterm")
        .file("text", "before\n")
        .tty()
        .start();
    run.wait_for("prompt> ");
    run.type_in(&format!("{INIT} -- vim -u NONE -i NONE -n /mnt/files/text\n"));
    run.wait_for("before");
    settles(&run);
    run.type_in("ione \x1b");
    settles(&run);
    say(&mut run, "\x1a", "Stopped");
    say(&mut run, "echo d$((40+2))\n", "d42");
    // What it draws then cannot be waited for: a handler of vim's writes between any two bytes of it.
    say(&mut run, "fg\n", "-- vim");
    job_is(&run, "vim -u NONE", 'S');
    settles(&run);
    run.type_in("itwo \x1b");
    settles(&run);
    say(&mut run, ":wq\n", "prompt> ");
    say(&mut run, "echo code $?\n", "code 0");
    let text = run.file("text");
    assert!(text.contains("one") && text.contains("two") && text.contains("before"), "{text}");
}
