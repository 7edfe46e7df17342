//! rinit under the names of its peers: what is peculiar to each of them. With the feature `peers` the
//! originals are held to the same cases. What all inits have in common is in `compliance.rs`.

use crate::harness::{Init, Launch, PROBE, Running, eventually, ms};
use libc::{SIGCONT, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGUSR1};

/// rinit in this role, and the original where it is to be compared.
fn each(role: Init, original: Init) -> Vec<Init> {
    let mut inits = vec![role];
    if cfg!(feature = "peers") {
        inits.push(original);
    }
    inits
}

fn tinis() -> Vec<Init> {
    each(Init::AS_TINI, Init::TINI)
}

fn dumb_inits() -> Vec<Init> {
    each(Init::AS_DUMB_INIT, Init::DUMB_INIT)
}

fn catatonits() -> Vec<Init> {
    each(Init::AS_CATATONIT, Init::CATATONIT)
}

fn value(report: &str, key: &str) -> i32 {
    let found = report.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("no {key} in {report}")).trim().parse().unwrap()
}

// ------------------------------------------------------------------------------ the command line

/// What scripts read, and `docker info`: the first words of the version.
#[test]
fn a_version_is_read_as_the_originals() {
    let cases = [
        (tinis(), "--version", "tini version 0."),
        (catatonits(), "-V", "tini version 0."),
        (catatonits(), "--version", "tini version 0."),
    ];
    for (inits, option, begins) in cases {
        for init in inits {
            let ended = init.launch().args(&[option]).run().expect(0);
            assert!(ended.out.starts_with(begins) && ended.err.is_empty(), "{init:?}\n{}", ended.story());
        }
    }
    for init in dumb_inits() {
        for option in ["-V", "--version"] {
            let ended = init.launch().args(&[option]).run().expect(0);
            assert!(ended.err.starts_with("dumb-init v1.2."), "{init:?}\n{}", ended.story());
        }
    }
}

#[test]
fn bad_usage_ends_with_1_and_says_how() {
    let cases: [(Vec<Init>, &[&[&str]]); 3] = [
        (tinis(), &[&[], &["--"], &["-x"], &["-e", "256", "true"], &["-p", "NOSUCH", "true"], &["-p"]]),
        (dumb_inits(), &[&[], &["-x"], &["-r", "x", "true"], &["-r", "32:1", "true"], &["--ver"]]),
        (catatonits(), &[&[], &["--"], &["-x"]]),
    ];
    for (inits, lines) in cases {
        for init in inits {
            for line in lines {
                let ended = init.launch().args(line).run().expect(1);
                assert!(
                    !ended.err.is_empty() && ended.out.is_empty(),
                    "{init:?} {line:?}\n{}",
                    ended.story()
                );
            }
        }
    }
}

#[test]
fn help_is_no_fault() {
    let help = |init: Init| init.launch().args(&["-h"]).run().expect(0);
    assert!(tinis().into_iter().all(|init| help(init).out.contains("Usage: tini ")));
    assert!(dumb_inits().into_iter().all(|init| help(init).err.contains("Usage: ")));
    assert!(catatonits().into_iter().all(|init| help(init).err.starts_with("usage: catatonit ")));
}

/// With dumb-init and tini (as Alpine has it, and any with POSIXLY_CORRECT) options end at the first word of the
/// command; with catatonit they do not. `tini -s sh -c 'exit 5'` ended with its usage: `-c` was taken for tini's.
#[test]
fn options_end_where_they_end_with_the_original() {
    for init in [Init::AS_TINI, Init::RINIT] {
        for launch in [init.launch(), init.launch().env("POSIXLY_CORRECT", "1")] {
            launch.args(&["-s", "sh", "-c", "exit 5"]).run().expect(5);
        }
        assert_eq!(init.launch().args(&["echo", "-g", "--", "x"]).run().expect(0).out, "-g -- x\n");
    }
    for init in tinis() {
        let launch = init.launch().env("POSIXLY_CORRECT", "1");
        launch.args(&["-s", "-w", "sh", "-c", "exit 5"]).run().expect(5);
    }
    for init in dumb_inits() {
        assert_eq!(
            init.launch().args(&["echo", "-g", "-c", "-h"]).run().expect(0).out,
            "-g -c -h\n",
            "{init:?}"
        );
    }
    for init in catatonits() {
        assert_eq!(init.launch().args(&["echo", "-g", "x"]).run().expect(0).out, "x\n", "{init:?}");
        assert_eq!(init.launch().args(&["--", "echo", "-g", "x"]).run().expect(0).out, "-g x\n", "{init:?}");
    }
}

/// A drop-in has no configuration: a variable or a file of rinit's means nothing to it.
#[test]
fn no_configuration_is_read() {
    for init in [Init::AS_TINI, Init::AS_DUMB_INIT, Init::AS_CATATONIT] {
        let launch = init.launch().file("bad.toml", "not = [toml").env("RINIT_CONFIG", "/mnt/files/bad.toml");
        launch.sh("exit 3").run().expect(3);
    }
}

/// The words by which a missing program is found in logs.
#[test]
fn a_missing_program_is_told_in_the_originals_words() {
    let cases = [
        (tinis(), "exec nope failed: No such file or directory", 127),
        (dumb_inits(), "[dumb-init] nope: No such file or directory", 2),
        (catatonits(), "failed to exec pid1: No such file or directory", 1),
    ];
    for (inits, words, code) in cases {
        for init in inits {
            init.command(&["nope"]).run().expect(code).tells(&[words]);
        }
    }
    // To tini a failed start is the child's end, and a code can be forgiven.
    for init in tinis() {
        init.launch().args(&["-e", "127", "nope"]).run().expect(0);
    }
}

// ------------------------------------------------------------------------------ what is left behind

/// Nobody waits for what the command leaves, nor stops it; as PID 1 the kernel does.
#[test]
fn what_the_command_leaves_is_left() {
    for init in tinis().into_iter().chain(catatonits()) {
        let script = format!("{PROBE} signals & while ! test -e ready; do sleep 0.01; done; exit 5");
        let mut run = init.sh(&script).nested().start();
        run.wait_for("ready");
        std::fs::write(run.directory().join("ready"), "").unwrap();
        eventually("it has ended", || run.has_ended());
        let left = run.the("signals");
        // It got no TERM, or it would say so before this one.
        run.signal_to(&left, libc::SIGWINCH);
        run.wait_for("got ");
        assert!(run.out().ends_with("ready\ngot 28\n"), "{init:?}: {}", run.out());
        run.signal_to(&left, libc::SIGKILL);
        run.end().expect(5);
    }
}

/// dumb-init tells the session's group at the end, and does not wait either.
#[test]
fn dumb_init_tells_what_the_command_leaves() {
    for (options, told) in
        [(&[][..], "got 15\n"), (&["-r", "15:12"], "got 12\n"), (&["-c"], ""), (&["-r", "15:0"], "")]
    {
        for init in dumb_inits() {
            let script = format!("{PROBE} signals & while ! test -e go; do sleep 0.01; done; exit 5");
            let mut run = init.launch().args(options).sh(&script).nested().start();
            run.wait_for("ready");
            std::fs::write(run.directory().join("go"), "").unwrap();
            eventually("it has ended", || run.has_ended());
            let left = run.the("signals");
            // Of two signals the one with the lower number is taken first.
            run.signal_to(&left, libc::SIGWINCH);
            run.wait_for("got 28");
            assert_eq!(run.out(), format!("ready\n{told}got 28\n"), "{init:?} {options:?}");
            run.signal_to(&left, libc::SIGKILL);
            run.end().expect(5);
        }
    }
}

// ------------------------------------------------------------------------------ tini

#[test]
fn tini_warns_where_it_cannot_reap() {
    for init in tinis() {
        let warns =
            |launch: Launch| launch.command(&["true"]).nested().run().expect(0).err.contains("won't work");
        assert!(warns(init.launch()), "{init:?}");
        assert!(!warns(init.launch().args(&["-s"])), "{init:?}");
        assert!(!warns(init.launch().env("TINI_SUBREAPER", "")), "{init:?}");
        assert!(!warns(init.launch().env("TINI_VERBOSITY", "0")), "{init:?}");
        let as_pid_1 = init.command(&["true"]).run().expect(0);
        assert_eq!(as_pid_1.err, "", "{init:?}");
    }
}

#[test]
fn tini_warns_of_each_zombie_on_request() {
    for init in tinis() {
        let script = "sh -c 'sleep 0.05 & exit'; sleep 0.5";
        for (options, warns) in [(&["-w"][..], true), (&[], false)] {
            let ended = init.launch().args(options).sh(script).run().expect(0);
            assert_eq!(ended.err.contains("Reaped zombie process with pid="), warns, "{}", ended.story());
        }
    }
}

/// What a script looks for in the log of a tini that was told to say more: on standard output, with these words.
#[test]
fn tini_says_more_in_its_own_words() {
    let script = "((sleep 0.05; echo gone) &); echo up; sleep 1000";
    for init in tinis() {
        let run = init.launch().args(&["-vvv"]).sh(script).start();
        run.wait_for("gone");
        // The shell and its child are still there. (tini's own lines come at its end: it writes to a pipe.)
        eventually("the orphan is reaped", || run.others().len() == 2);
        run.signal(SIGUSR1);
        let ended = run.end().expect(138);
        for text in [
            "[INFO  tini (1)] Spawned child process 'sh' with pid '2'\n",
            "[DEBUG tini (1)] Received SIGCHLD\n",
            "[DEBUG tini (1)] Reaped child with pid: '",
            "[TRACE tini (1)] No child to reap\n",
            "[DEBUG tini (1)] Passing signal: 'User defined signal 1'\n",
            "[INFO  tini (1)] Main child exited with signal (with signal 'User defined signal 1')\n",
            "[TRACE tini (1)] Exiting: child has exited\n",
        ] {
            assert!(ended.out.contains(text), "{init:?}: no {text}\n{}", ended.story());
        }
        let info = init.launch().args(&["-v"]).sh("exit 3").run().expect(3);
        let begin = "[INFO  tini (1)] ";
        let want = format!(
            "{begin}Spawned child process 'sh' with pid '2'\n{begin}Main child exited normally (with status '3')\n"
        );
        assert_eq!((info.out.as_str(), info.err.as_str()), (want.as_str(), ""), "{init:?}");
        let quiet = init.sh("exit 3").run().expect(3);
        assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""), "{init:?}");
        let nested = init.launch().args(&["-s", "-vvv"]).command(&["true"]).nested().run().expect(0);
        assert!(nested.out.contains("] Registered as child subreaper\n"), "{}", nested.story());
    }
}

/// The license, and the words of the usage by which it is known.
#[test]
fn tini_answers_in_its_own_words() {
    for init in tinis() {
        let license = init.launch().args(&["-l"]).run().expect(0);
        assert!(license.out.contains("MIT License") && license.out.contains("Copyright (c)"), "{license:?}");
        let usage = init.launch().args(&["-h"]).run().expect(0).out;
        for text in [
            "tini (tini version 0.",
            "\nUsage: tini [OPTIONS] PROGRAM -- [ARGS] | --version\n",
            "\nExecute a program under the supervision of a valid init process (",
            "\nCommand line options:\n\n  --version: Show version and exit.\n  -h: Show this help message and exit.\n  -s: Register as a process subreaper",
            "\n  -e EXIT_CODE: Remap EXIT_CODE (from 0 to 255) to 0",
            "\n  -l: Show license and exit.\n",
            "\nEnvironment variables:\n\n  TINI_SUBREAPER: ",
        ] {
            assert!(usage.contains(text), "{init:?}: no {text}\n{usage}");
        }
    }
    assert!(Init::RINIT.launch().args(&["-l"]).run().expect(0).out.starts_with("MIT License\n"));
}

/// The variables, under rinit's own name too.
#[test]
fn tinis_variables_hold() {
    let mut inits = tinis();
    inits.push(Init::RINIT);
    for init in inits {
        let script = format!("trap : USR2; {PROBE} signals & wait; sleep 1000");
        let run = init.launch().env("TINI_KILL_PROCESS_GROUP", "").sh(&script).start();
        run.wait_for("ready");
        run.signal(libc::SIGUSR2);
        run.wait_for("got 12");
    }
}

// ------------------------------------------------------------------------------ dumb-init

#[test]
fn dumb_init_makes_a_session_unless_told_not_to() {
    for init in dumb_inits() {
        for tty in [false, true] {
            let launch = |options: &[&str]| {
                let launch = init.launch().args(options);
                if tty { launch.tty() } else { launch }
            };
            let session = launch(&[]).command(&[PROBE, "report"]).run().expect(0).out;
            let pid = value(&session, "pid");
            assert_eq!((value(&session, "session"), value(&session, "group")), (pid, pid), "{init:?}");
            assert_eq!(value(&session, "foreground"), if tty { pid } else { -1 }, "{init:?}");
            let off = launch(&[]).env("DUMB_INIT_SETSID", "0");
            for single in [launch(&["-c"]), off] {
                let out = single.command(&[PROBE, "report"]).run().expect(0).out;
                assert_eq!((value(&out, "session"), value(&out, "group")), (1, 1), "{init:?}");
            }
        }
    }
}

/// HUP and CONT, which the kernel sends to who gives a terminal away, are not for the command.
#[test]
fn dumb_init_lets_go_of_the_terminal_in_silence() {
    for init in dumb_inits() {
        for _ in 0..5 {
            let run = init.command(&[PROBE, "signals", "1"]).tty().start();
            run.wait_for("ready");
            run.signal(SIGUSR1);
            assert!(run.end().expect(0).out.ends_with("ready\r\ngot 10\r\n"), "{init:?}");
        }
    }
}

/// Nothing is blocked and nothing ignored for the command, whatever was given.
#[test]
fn dumb_init_gives_a_clean_signal_state() {
    for init in dumb_inits() {
        let launch = init.launch().ignoring(&[libc::SIGHUP, libc::SIGPIPE]).blocking(&[SIGUSR1, SIGTERM]);
        let out = launch.command(&[PROBE, "report"]).run().expect(0).out;
        assert!(out.contains("blocked=[]\nignored=[]\n"), "{init:?}: {out}");
    }
}

/// The lines that its own test suite looks for.
#[test]
fn dumb_init_says_more_in_its_own_words() {
    let mark = |lines: &[&str]| lines.iter().map(|line| format!("[dumb-init] {line}\n")).collect::<String>();
    for init in dumb_inits() {
        let single = init.launch().args(&["-vc"]).sh("exit 3").run().expect(3);
        let lines = [
            "Child spawned with PID 2.",
            "Received signal 17.",
            "A child with PID 2 exited with exit status 3.",
            "Forwarded signal 15 to children.",
            "Child exited with status 3. Goodbye.",
        ];
        assert_eq!(single.err, mark(&lines), "{init:?}");
        let run =
            init.launch().args(&["--verbose", "-r", "15:2", "-r", "1:0"]).sh("echo up; sleep 9").start();
        run.wait_for("up");
        run.signal(libc::SIGHUP);
        run.wait_for_err("Not forwarding signal 0 to children (ignored).");
        run.signal(SIGTERM);
        run.end().expect(130).tells(&[
            "[dumb-init] setsid complete.\n",
            &mark(&["Received signal 1.", "Translating signal 1 to 0."]),
            &mark(&["Received signal 15.", "Translating signal 15 to 2.", "Forwarded signal 2 to children."]),
            &mark(&["A child with PID 2 was terminated by signal 2.", "Translating signal 15 to 2."]),
            &mark(&["Child exited with status 130. Goodbye."]),
        ]);
        let debug = init.launch().env("DUMB_INIT_DEBUG", "1").env("DUMB_INIT_SETSID", "0");
        debug
            .sh("exit 3")
            .run()
            .expect(3)
            .tells(&[&mark(&["Running in debug mode.", "Not running in setsid mode."])]);
        let tty = init.launch().args(&["-v"]).sh("exit 3").tty().run().expect(3).out.replace('\r', "");
        for line in [
            "Detached from controlling tty, ignoring the first SIGHUP and SIGCONT we receive.",
            "Ignoring tty hand-off signal 1.",
            "Ignoring tty hand-off signal 18.",
        ] {
            assert!(tty.contains(&mark(&[line])), "{init:?}: {tty}");
        }
        assert!(
            !tty.contains("Forwarded signal 18") && !tty.contains("Forwarded signal 1 "),
            "{init:?}: {tty}"
        );
    }
}

fn is_stopped(run: &Running, command: &str) -> bool {
    run.find(command).iter().all(|process| process.state == 'T')
}

/// Job control: a signal of the terminal stops the command, and the init with it, for the shell to see.
#[test]
fn dumb_init_stops_with_its_command() {
    for init in dumb_inits() {
        for (options, signal) in [(&[][..], SIGTSTP), (&[], SIGTTIN)] {
            let run = init.launch().args(options).command(&[PROBE, "signals"]).nested().start();
            run.wait_for("ready");
            run.signal(signal);
            eventually("the init is stopped", || run.init().state == 'T');
            eventually("the command is stopped", || is_stopped(&run, "signals"));
            run.signal(SIGCONT);
            eventually("the init goes on", || run.init().state != 'T');
            eventually("the command goes on", || !is_stopped(&run, "signals"));
        }
    }
}

// ------------------------------------------------------------------------------ catatonit

/// The root of a pod: nothing is run, orphans are reaped, and INT and TERM end it.
#[test]
fn catatonit_pauses() {
    for init in catatonits() {
        for signal in [SIGINT, SIGTERM] {
            for pid_1 in [true, false] {
                let mut run = init.launch().args(&["-P"]).pid_1(pid_1).start();
                eventually("it sleeps", || run.init().state == 'S');
                std::thread::sleep(ms(20));
                for harmless in [SIGQUIT, libc::SIGHUP, SIGUSR1, SIGTSTP] {
                    run.signal(harmless);
                }
                std::thread::sleep(ms(20));
                assert!(!run.has_ended(), "{init:?}");
                run.signal(signal);
                run.end().expect(0);
            }
        }
    }
}

/// As a child it adopts orphans unasked.
#[test]
fn catatonit_adopts() {
    for init in catatonits() {
        let run = init.sh("(sleep 1000 &); exec sleep 2000").nested().start();
        let parent = run.init().pid;
        eventually("it is the orphan's parent", || run.the("sleep 1000").parent == parent);
    }
}

// ------------------------------------------------------------------------------ rinit as itself

/// `--kill-after 0s` and `off`: as tini.
#[test]
fn kill_after_nothing_leaves_what_is_left() {
    for off in ["0s", "off"] {
        let script = "trap '' TERM; sleep 1000 & exit 5";
        let ended = Init::RINIT.launch().args(&["--kill-after", off]).sh(script).nested().run().expect(5);
        assert_eq!(ended.left.len(), 1, "{}", ended.story());
    }
}

/// Who debugs wants to know which signal came, from whom, to whom it went, and who was reaped.
#[test]
fn verbose_tells_of_signals_and_of_the_dead() {
    let run = Init::RINIT.launch().args(&["-v"]).sh("(sleep 0.1 &); echo up; exec sleep 1000").start();
    run.wait_for("up");
    run.wait_for_err("(sleep): exited with code 0");
    run.signal(libc::SIGWINCH);
    run.wait_for_err("SIGWINCH came from outside the container");
    run.signal(SIGTERM);
    let ended = run.end().expect(143);
    let pid = 2;
    ended.tells(&[
        &format!("passed SIGTERM on to pid {pid}"),
        &format!("reaped pid {pid} (sleep): killed by SIGTERM"),
    ]);
    // From inside: the sender's pid and name.
    let script = "kill -USR1 1; sleep 0.2; exit 3";
    let launch = Init::RINIT.launch().args(&["-v"]).command(&["sh", "-c", &format!("trap : USR1; {script}")]);
    launch.run().expect(3).tells(&["SIGUSR1 came from pid 2 (sh)", "passed SIGUSR1 on to pid 2"]);
}
