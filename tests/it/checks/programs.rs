//! Programs that are there, and those that look themselves.

use super::{checking, report};
use crate::harness::{Init, PROBE, eventually, ms};

#[test]
fn commands_are_there_and_do_as_they_should() {
    let report = report(checking(
        "
        [checks.command.sh]
        [checks.command.no-such-program]
        [checks.command.right]\ncommand = \"sh\"\nargs = [\"-c\", \"echo version 3.14\"]\nversion = \"3\\\\.1\"
        [checks.command.old]\ncommand = \"sh\"\nargs = [\"-c\", \"echo version 2.7 >&2\"]\nversion = \"3\\\\.\"
        [checks.exec.good]\ncommand = [\"sh\", \"-c\", \"echo 42; exit 3\"]\nexit_codes = 3\nmatches = \"^42$\"
        [checks.exec.bad]\ncommand = [\"sh\", \"-c\", \"echo no such table >&2; exit 3\"]
        [checks.exec.killed]\ncommand = [\"sh\", \"-c\", \"kill -9 $$\"]
        [checks.exec.secret]\ncommand = [\"sh\", \"-c\", \"echo sesame; echo sesame >&2\"]\nmatches = \"x\"\nsecret = true
        [checks.exec.missing]\ncommand = \"no-such-program\"
        "
        .replace("$$", "$$$$")
        .as_str(),
    ));
    report.pass(&["sh", "right", "good"]).fail("no-such-program", "no such program in PATH");
    report.fail("old", "version 2.7").fail("bad", "exit code 3, saying").fail("killed", "SIGKILL");
    report.fail("secret", "not shown").fail("missing", "no such program in PATH");
    assert!(!report.ended.story().contains("sesame"), "a secret is shown\n{}", report.ended.story());
}

/// The command sees what its output is exported as.
#[test]
fn the_output_of_a_command_is_exported() {
    let checks = "[checks.exec.x]\ncommand = \"echo ' 42 '\"\nexport = \"ANSWER\"\n";
    let ended = Init::config(checks).sh("echo \"<$ANSWER>\"").run().expect(0);
    assert_eq!(ended.out, "<42>\n", "{}", ended.story());
}

/// Or the user is told why it cannot be.
#[test]
fn an_output_that_no_variable_can_hold_is_told() {
    let checks = "[checks.exec.x]\ncommand = [\"printf\", \"a\\\\0\"]\nexport = \"ANSWER\"\n";
    report(checking(checks)).fail("x", "holds a NUL, which no variable can");
}

/// Whom it leaves behind may write for ever: the check is judged by its own end, and by what was written until then.
#[test]
fn a_command_that_leaves_a_chatterer_behind_has_ended() {
    let checks = format!("[checks.exec.x]\ncommand = \"{PROBE} chatter\"\nmatches = \"^first\"\n");
    report(checking(&checks)).pass(&["x"]);
}

/// Neither the command nor what it started is left behind.
#[test]
fn a_command_that_hangs_is_killed_with_all_that_it_started() {
    let checks = "[checks.exec.hangs]\ntimeout = \"300ms\"\n\
                  command = [\"sh\", \"-c\", \"trap '' TERM; sleep 1000 & sleep 1000\"]\n";
    let report = report(checking(checks).nested());
    report.fail("hangs", "still running after 300ms");
    assert!(report.ended.left.is_empty(), "{:?}", report.ended.left);
}

/// What a command that holds has put into the background is not there while the services run.
#[test]
fn a_command_that_has_ended_leaves_nobody_behind() {
    let checks = "[checks.exec.leaves]\ncommand = [\"sh\", \"-c\", \"sleep 1000 & exit 0\"]\n";
    let run = Init::config(checks).command(&["sleep", "2000"]).start();
    run.the("sleep 2000");
    eventually("only the command is left", || run.find("sleep 1000").is_empty());
    run.signal(libc::SIGTERM);
    run.end().expect(143);
}

/// The same when rinit is stopped meanwhile.
#[test]
fn a_stop_ends_a_command_that_is_looked_with() {
    let checks = "[checks.exec.hangs]\ntimeout = \"1h\"\n\
                  command = [\"sh\", \"-c\", \"trap '' TERM; touch /mnt/files/up; sleep 1000 & sleep 1000\"]\n";
    let run = checking(checks).nested().start();
    let up = run.directory().join("up");
    eventually("the command runs", || up.exists());
    std::thread::sleep(ms(50));
    run.signal(libc::SIGTERM);
    // Killed, they may take a moment longer than rinit does.
    eventually("the command is gone", || !run.others().iter().any(|one| one.command.contains("sleep")));
    run.end().expect(143);
}
