//! Exit codes and signals of one command, as the engine sees them.

use crate::engine::{Container, run};
use crate::images::{debian, scratch};

#[test]
fn the_commands_exit_code_is_the_containers() {
    for code in [0, 1, 2, 3, 42, 64, 69, 77, 78, 125, 126, 127, 128, 137, 143, 254, 255] {
        let ran = run(&[], scratch(), &["--", "sh", "-c", &format!("exit {code}")]);
        assert_eq!(ran.code, code, "{ran:?}");
        assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""), "exit {code}: rinit has nothing to add");
    }
}

#[test]
fn a_command_that_a_signal_killed_is_128_and_the_signal() {
    for (signal, code) in [("HUP", 129), ("INT", 130), ("KILL", 137), ("SEGV", 139), ("TERM", 143)] {
        let ran = run(&[], scratch(), &["--", "sh", "-c", &format!("kill -{signal} $$")]);
        assert_eq!(ran.code, code, "{signal}: {ran:?}");
    }
}

/// 127 and 126, as the shell and Docker itself have them, and words that tell what is wrong.
#[test]
fn a_command_that_cannot_be_started_says_why() {
    let ran = run(&[], scratch(), &["--", "no-such-program"]);
    assert_eq!(ran.code, 127, "{ran:?}");
    assert!(ran.err.contains("no-such-program") && ran.err.contains("PATH"), "{ran:?}");

    let ran = run(&[], debian(), &["--", "/etc/passwd"]);
    assert_eq!(ran.code, 126, "{ran:?}");
    assert!(ran.err.contains("/etc/passwd") && ran.err.contains("chmod a+x"), "{ran:?}");

    let ran = run(&[], debian(), &["--", "/etc"]);
    assert_eq!(ran.code, 126, "{ran:?}");

    // The most frequent fault of a Dockerfile's shell form: a whole command line in one word.
    let ran = run(&[], debian(), &["--", "echo hello"]);
    assert_eq!(ran.code, 127, "{ran:?}");
    assert!(ran.err.contains("echo hello"), "{ran:?}");
}

/// Quoting and empty words survive: no shell is between.
#[test]
fn words_reach_the_command_as_they_are() {
    let ran = run(&[], debian(), &["--", "printf", "[%s]", "a  b", "", "$HOME", "*"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "[a  b][][$HOME][*]"), "{ran:?}");
}

/// `docker kill -s`: the signals that programs give a meaning of their own, real-time ones too.
#[test]
fn docker_kill_reaches_the_command() {
    let signals = ["HUP", "INT", "QUIT", "USR1", "USR2", "WINCH", "CONT", "ALRM", "RTMIN+3", "RTMAX-1"];
    let traps: String =
        signals.iter().map(|signal| format!("trap 'echo got {signal}.' {signal}; ")).collect();
    let script = format!("{traps} echo ready; while :; do sleep 0.05; done");
    let container = Container::start(&[], debian(), &["--", "bash", "-c", &script]);
    container.says("ready");
    for signal in signals {
        container.signal(signal);
        container.says(&format!("got {signal}."));
    }
    let log = container.logs().out;
    for signal in signals {
        assert_eq!(log.matches(&format!("got {signal}.")).count(), 1, "{signal} once:\n{log}");
    }
}

/// The image's STOPSIGNAL goes to the command like any other.
#[test]
fn a_stopsignal_of_ones_own_reaches_the_command() {
    let script = "trap 'echo told; exit 5' RTMIN+3; echo ready; while :; do sleep 0.05; done";
    let container = Container::start(&["--stop-signal=RTMIN+3"], debian(), &["--", "bash", "-c", script]);
    container.says("ready");
    container.stop();
    assert_eq!(container.wait(), 5);
    assert!(container.logs().out.contains("told"));
}

/// Closed standard input is the usual case of `docker run -i` in a script: the command sees its end.
#[test]
fn standard_input_is_the_commands() {
    let ran = run(&["-i"], debian(), &["--", "cat"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{ran:?}");
}
