//! `docker run -it`: a person works in the container.

use crate::eventually;
use crate::images::{Config, debian};
use crate::terminal::{CTRL_BACKSLASH, CTRL_C, CTRL_Z, Terminal};

const SHELL: [&str; 4] = ["--", "bash", "--norc", "-i"];

/// The terminal sends SIGINT to its foreground group; rinit is not to add another.
#[test]
fn ctrl_c_reaches_the_command_once() {
    let script = "n=0; trap 'n=$((n+1)); echo interrupted-$n' INT; echo ready; \
                  until [ \"$line\" = over ]; do read line; done; echo total-$n; exit 3";
    let mut terminal = Terminal::run(&[], debian(), &["--", "bash", "-c", script]);
    terminal.shows("ready");
    terminal.types(CTRL_C);
    terminal.shows("interrupted-1");
    terminal.types("over\n");
    terminal.shows("total-");
    assert_eq!(terminal.ends(), 3);
    assert!(terminal.screen().contains("total-1"), "once:\n{}", terminal.screen());
}

/// What Ctrl-C and Ctrl-\ do to a program that does not catch them.
#[test]
fn ctrl_c_and_ctrl_backslash_end_a_plain_program() {
    for (key, code) in [(CTRL_C, 130), (CTRL_BACKSLASH, 131)] {
        let mut terminal = Terminal::run(&[], debian(), &["--", "sh", "-c", "echo ready; exec sleep 1000"]);
        terminal.shows("ready");
        terminal.types(key);
        assert_eq!(terminal.ends(), code);
    }
}

/// A shell with jobs: it has the terminal, stops a job, takes it back to the foreground and interrupts it.
#[test]
fn an_interactive_shell_controls_its_jobs() {
    let mut terminal = Terminal::run(&[], debian(), &SHELL);
    terminal.types("echo shell-$((40+2))\n");
    terminal.shows("shell-42");
    assert!(!terminal.screen().contains("no job control"), "{}", terminal.screen());
    terminal.types("sh -c 'echo job-$((1+1)); exec sleep 1000'\n");
    terminal.shows("job-2");
    terminal.types(CTRL_Z);
    terminal.shows("Stopped");
    terminal.types("fg; echo code-$?\n");
    terminal.shows_times("exec sleep 1000", 3); // as typed, as stopped, as resumed
    terminal.types(CTRL_C);
    terminal.types("echo still-$((4+4))\n");
    terminal.shows("still-8");
    terminal.types("exit 42\n");
    assert_eq!(terminal.ends(), 42);
}

/// Ctrl-Z at a program that is the command itself has nobody to bring it back: as without an init, it is of no
/// effect or undone, but the container is not stuck.
#[test]
fn ctrl_z_at_the_command_itself_does_not_hang_the_container() {
    let script = "trap 'echo interrupted; exit 4' INT; echo ready; while :; do sleep 0.1; done";
    let mut terminal = Terminal::run(&[], debian(), &["--", "bash", "-c", script]);
    terminal.shows("ready");
    terminal.types(CTRL_Z);
    terminal.types(CTRL_C);
    terminal.shows("interrupted");
    assert_eq!(terminal.ends(), 4);
}

/// The window's size is the command's from the start, and its changes come with SIGWINCH.
#[test]
fn the_windows_size_follows() {
    let script = "trap 'echo resized: $(stty size).' WINCH; echo ready; while :; do sleep 0.05; done";
    let mut terminal = Terminal::run(&[], debian(), &["--", "bash", "-c", script]);
    terminal.shows("ready");
    // The docker client looks at the size once, and only then begins to listen for changes: one that comes
    // between the two is lost. So the corner is dragged until the client has seen it.
    eventually("the docker client listens", || {
        terminal.resize(30, 100);
        terminal.resize(33, 101);
        terminal.screen().contains("resized: 33 101.").then_some(())
    });
    terminal.resize(12, 40);
    terminal.shows("resized: 12 40.");
    terminal.types(CTRL_C);
    assert_eq!(terminal.ends(), 130);
}

/// A full-screen program: it needs the terminal in the foreground, or it is stopped by SIGTTOU.
#[test]
fn an_editor_and_a_pager_work() {
    let mut terminal =
        Terminal::run(&["--env=TERM=xterm"], debian(), &["--", "vi", "-u", "NONE", "/tmp/note"]);
    terminal.shows("/tmp/note");
    terminal.types("ihello\x1b:w !sed s/^/saw-/\r");
    terminal.shows("saw-hello");
    terminal.types("\r:q!\r");
    assert_eq!(terminal.ends(), 0);

    let mut terminal = Terminal::run(&["--env=TERM=xterm"], debian(), &["--", "less", "/etc/passwd"]);
    terminal.shows("root:");
    terminal.types("q");
    assert_eq!(terminal.ends(), 0);
}

/// Services beside a shell: they run in sessions of their own, so Ctrl-C is not for them, and the shell's exit stops them.
#[test]
fn a_shell_beside_services() {
    let config = Config::new(
        "[services.side]\ncommand = [\"sh\", \"-c\", \"trap 'echo side-was-interrupted' INT; while :; do sleep 0.1; done\"]\n",
    );
    let mut terminal = Terminal::run(&[&config.mount], debian(), &SHELL);
    terminal.types("echo shell-$((40+2))\n");
    terminal.shows("shell-42");
    terminal.types("sh -c 'echo job-$((1+1)); exec sleep 1000'\n");
    terminal.shows("job-2");
    terminal.types(CTRL_C);
    terminal.types("echo still-$((4+4)); ps -C rinit -o stat=\n");
    terminal.shows("still-8");
    terminal.types("exit 5\n");
    assert_eq!(terminal.ends(), 5);
    assert!(!terminal.screen().contains("side-was-interrupted"), "{}", terminal.screen());
}
