//! What an init for one command owes to the command, to those who signal it, and to the orphans.
//!
//! Each case runs against rinit and, with the feature `peers`, against every peer that claims the
//! behaviour: a case that all peers fail is a wrong case, and a difference between rinit and a peer
//! is either a promise or a bug. Where an init's answer differs on purpose, the case says so.

use crate::harness::{Init, Kind, Launch, PROBE, catchable_signals, eventually, ms};
use std::io::Read;
use std::os::fd::OwnedFd;

/// Which inits each case is run against; each as PID 1 and as a child of a PID 1.
macro_rules! matrix {
    ($($case:ident: $($init:ident)+;)+) => {
        $(mod $case { $(matrix!(@init $case $init);)+ })+
    };
    (@init $case:ident rinit) => { matrix!(@tests $case rinit RINIT); };
    (@init $case:ident tini) => {
        #[cfg(feature = "peers")]
        matrix!(@tests $case tini TINI);
        matrix!(@init $case as_tini);
    };
    (@init $case:ident dumb_init) => {
        #[cfg(feature = "peers")]
        matrix!(@tests $case dumb_init DUMB_INIT);
        matrix!(@init $case as_dumb_init);
    };
    (@init $case:ident catatonit) => {
        #[cfg(feature = "peers")]
        matrix!(@tests $case catatonit CATATONIT);
        matrix!(@init $case as_catatonit);
    };
    (@init $case:ident as_tini) => { matrix!(@tests $case rinit_as_tini AS_TINI); };
    (@init $case:ident as_dumb_init) => { matrix!(@tests $case rinit_as_dumb_init AS_DUMB_INIT); };
    (@init $case:ident as_catatonit) => { matrix!(@tests $case rinit_as_catatonit AS_CATATONIT); };
    (@tests $case:ident $init:ident $name:ident) => {
        mod $init {
            use crate::harness::Init;
            #[test]
            fn as_pid_1() {
                crate::compliance::$case(Init::$name, true);
            }
            #[test]
            fn as_a_child() {
                crate::compliance::$case(Init::$name, false);
            }
        }
    };
}

// Each case that a peer passes is one for rinit under that peer's name too (`as_…`: for that alone).
//
// Where a peer is missing it does not claim the behaviour, or has been seen to fail: dumb-init signals a
// group that its child has not made yet (first moment) and
// clears what is blocked and ignored; catatonit leaves job control
// blocked and hangs under an ignored SIGCHLD; tini spins there, cannot start with closed streams, and is
// killed by its own warning when nobody reads it.
matrix! {
    hands_on_every_exit_code: rinit tini dumb_init catatonit;
    reports_a_death_by_signal_as_128_and_the_signal: rinit tini dumb_init catatonit;
    says_when_there_is_no_such_program: rinit tini dumb_init catatonit;
    says_when_a_file_is_not_executable: rinit tini dumb_init catatonit;
    keeps_every_word_as_it_is: rinit tini dumb_init catatonit;
    keeps_the_environment_and_the_directory: rinit tini dumb_init catatonit;
    forwards_every_signal: rinit tini dumb_init catatonit;
    forwards_to_a_command_that_is_stopped: rinit tini dumb_init catatonit;
    reaps_orphans: rinit tini dumb_init catatonit;
    ends_with_the_command_not_with_its_children: rinit tini dumb_init catatonit;
    takes_a_signal_in_its_first_moment: rinit tini as_dumb_init catatonit;
    hands_on_descriptors: rinit tini dumb_init catatonit;
    hands_on_sockets_in_the_commands_name: rinit as_tini as_dumb_init as_catatonit;
    hands_on_what_is_ignored: rinit tini catatonit;
    hands_on_what_is_blocked: rinit tini as_catatonit;
    leaves_nothing_of_its_own_to_the_command: rinit tini dumb_init as_catatonit;
    gives_the_terminal_to_the_command: rinit tini dumb_init catatonit;
    lets_a_key_reach_the_command_once: rinit tini dumb_init catatonit;
    starts_without_standard_streams: rinit as_tini dumb_init catatonit;
    starts_where_sigchld_is_ignored: rinit as_tini dumb_init as_catatonit;
    starts_where_everything_is_blocked: rinit tini dumb_init catatonit;
    signals_the_whole_group_on_request: rinit tini dumb_init catatonit;
    signals_the_command_alone_by_default: rinit tini catatonit;
    remaps_exit_codes: rinit tini;
    adopts_orphans_as_a_subreaper: rinit tini;
    takes_the_subreaper_flag_from_tinis_variable: rinit tini;
    signals_when_its_parent_dies: rinit tini;
    rewrites_signals: rinit dumb_init;
    drops_signals: rinit dumb_init;
    runs_without_a_reader_of_its_messages: rinit as_tini dumb_init catatonit;
}

/// The peers are to be there where the feature asks for them: none is left out in silence.
#[cfg(feature = "peers")]
#[test]
fn peers_are_there() {
    for peer in Init::PEERS {
        let there = std::fs::exists(peer.path).unwrap();
        assert!(there, "{} is missing: apt-get install tini dumb-init catatonit", peer.path);
    }
}

/// The container's exit code is the one thing that every orchestrator looks at.
fn hands_on_every_exit_code(init: Init, pid_1: bool) {
    for code in 0..=255 {
        init.sh(&format!("exit {code}")).pid_1(pid_1).run().expect(code);
    }
}

/// As a shell would, real-time signals too.
fn reports_a_death_by_signal_as_128_and_the_signal(init: Init, pid_1: bool) {
    // CONT, URG and WINCH do nothing by default, and the TTY signals stop.
    let harmless = [libc::SIGCONT, libc::SIGURG, libc::SIGWINCH, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
    for signal in catchable_signals().chain([libc::SIGKILL]).filter(|signal| !harmless.contains(signal)) {
        let script = format!("kill -{signal} $$; echo survived");
        let launch = init.sh(&script).limit(libc::RLIMIT_CORE, 0);
        launch.pid_1(pid_1).run().expect(128 + signal);
    }
}

/// 127 and 126 are what a shell, tini and Docker say; the two other peers have codes of their own.
fn says_when_there_is_no_such_program(init: Init, pid_1: bool) {
    let code = match init.kind {
        Kind::DumbInit => 2,
        Kind::Catatonit => 1,
        _ => 127,
    };
    for program in ["/nowhere/program", "no-such-program", ""] {
        let ended = init.command(&[program]).pid_1(pid_1).run().expect(code);
        assert!(!ended.err.is_empty(), "it must say why\n{}", ended.story());
    }
}

/// See above.
fn says_when_a_file_is_not_executable(init: Init, pid_1: bool) {
    let code = match init.kind {
        Kind::DumbInit => 2,
        Kind::Catatonit => 1,
        _ => 126,
    };
    for program in ["/mnt/files/text", "/mnt"] {
        let ended = init.command(&[program]).file("text", "not a program").pid_1(pid_1).run().expect(code);
        assert!(!ended.err.is_empty(), "it must say why\n{}", ended.story());
    }
}

/// Horust joins the words and splits them again; the quoting is lost on the way.
fn keeps_every_word_as_it_is(init: Init, pid_1: bool) {
    let words = ["a  b", "", "*", "$HOME", "'", "\"", "\\", "--", "-x", "tab\tnewline\n", "ünï"];
    let printf = ["sh", "-c", r#"printf '<%s>' "$@"; exit 3"#, "sh"];
    let command: Vec<_> = printf.iter().chain(&words).copied().collect();
    let ended = init.command(&command).pid_1(pid_1).run().expect(3);
    assert_eq!(ended.out, words.map(|word| format!("<{word}>")).concat());
}

/// Nothing added, nothing lost, though rinit and dumb-init themselves move to `/`.
fn keeps_the_environment_and_the_directory(init: Init, pid_1: bool) {
    let launch = init.command(&[PROBE, "report"]).env("A", "b=c d").env("EMPTY", "").cwd("/usr");
    let out = launch.pid_1(pid_1).run().expect(0).out;
    let environment: Vec<_> = out.lines().filter(|line| line.starts_with('$')).collect();
    assert!(environment.contains(&"$A=b=c d") && environment.contains(&"$EMPTY="), "{environment:?}");
    assert_eq!(environment.len(), 4, "{environment:?}");
    assert!(out.contains("cwd=/usr\n"), "{out}");
}

/// Whatever a user sends to the container is meant for the command. Each peer has signals that it
/// keeps: those of a fault of its own, and those of job control.
fn forwards_every_signal(init: Init, pid_1: bool) {
    use libc::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP, SIGTSTP, SIGTTIN, SIGTTOU};
    let kept: &[i32] = match init.kind {
        Kind::Tini => &[SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS, SIGTTIN, SIGTTOU],
        Kind::Catatonit => {
            &[SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS, SIGTSTP, SIGTTIN, SIGTTOU]
        }
        // These become SIGSTOP.
        Kind::DumbInit => &[SIGTSTP, SIGTTIN, SIGTTOU],
        _ => &[],
    };
    let run = init.command(&[PROBE, "signals"]).pid_1(pid_1).start();
    run.wait_for("ready");
    for signal in catchable_signals().filter(|signal| !kept.contains(signal)) {
        if init.kind == Kind::DumbInit && signal > 31 {
            break;
        }
        run.signal(signal);
        run.wait_for(&format!("got {signal}\n"));
    }
}

/// A program that is stopped (SIGSTOP, Ctrl-Z) gets TERM when it goes on, and an init that waits with
/// WUNTRACED must not take the stop for an end.
fn forwards_to_a_command_that_is_stopped(init: Init, pid_1: bool) {
    let mut run = init.sh("kill -STOP $$; echo went on; exit 4").pid_1(pid_1).start();
    eventually("the command is stopped", || run.others().iter().any(|process| process.state == 'T'));
    assert!(!run.has_ended());
    run.signal(libc::SIGCONT);
    let ended = run.end().expect(4);
    assert_eq!(ended.out, "went on\n");
}

/// tini and catatonit adopt orphans only as PID 1 (catatonit) or with `-s` (tini).
fn reaps_orphans(init: Init, pid_1: bool) {
    if init.kind != Kind::Rinit && !pid_1 {
        return;
    }
    let run = init.command(&[PROBE, "orphans", "1000"]).pid_1(pid_1).start();
    run.wait_for("ready");
    let own = run.processes().len() - 1000;
    run.signal(libc::SIGUSR1);
    run.wait_for("released");
    eventually("every orphan is reaped", || run.processes().len() == own);
    run.stop().expect(0);
}

/// The orphan that keeps standard output open delays nothing.
fn ends_with_the_command_not_with_its_children(init: Init, pid_1: bool) {
    let ended = init.sh("sleep 1000 & exit 5").pid_1(pid_1).run().expect(5);
    assert!(ended.after < ms(5000), "{:?}", ended.after);
}

/// Between the moment that an init takes signals and the moment that the command runs, a signal
/// is kept, not lost: `docker stop` right after `docker start`.
fn takes_a_signal_in_its_first_moment(init: Init, pid_1: bool) {
    for _ in 0..200 {
        let run = init.command(&["sleep", "1000"]).pid_1(pid_1).start();
        run.wait_until_it_takes(libc::SIGTERM);
        run.signal(libc::SIGTERM);
        run.end().expect(128 + libc::SIGTERM);
    }
}

/// Sockets that were opened by systemd or Podman, a lock, a pipe to the parent.
fn hands_on_descriptors(init: Init, pid_1: bool) {
    let (read, write) = std::io::pipe().unwrap();
    let launch = init.sh("echo through 7 >&7").fd(OwnedFd::from(write), 7);
    launch.pid_1(pid_1).run().expect(0);
    let mut text = String::new();
    std::io::BufReader::new(read).read_to_string(&mut text).unwrap();
    assert_eq!(text, "through 7\n");
}

/// The receiver of sockets looks whether LISTEN_PID is its own pid; the one who set it meant the init.
/// (catatonit does this from 0.2 on; Debian has 0.1.)
fn hands_on_sockets_in_the_commands_name(init: Init, pid_1: bool) {
    let (_read, write) = std::io::pipe().unwrap();
    let own = if pid_1 { "1" } else { "2" };
    let launch = init.command(&[PROBE, "report"]).fd(OwnedFd::from(write), 3);
    let launch = launch.env("LISTEN_PID", own).env("LISTEN_FDS", "1");
    let out = launch.pid_1(pid_1).run().expect(0).out;
    assert_eq!(value(&out, "$LISTEN_PID"), value(&out, "pid"), "{out}");
    assert_eq!(value(&out, "$LISTEN_FDS"), "1", "{out}");
}

/// `nohup`, and parents that ignore SIGPIPE or SIGINT on purpose.
fn hands_on_what_is_ignored(init: Init, pid_1: bool) {
    let ignored = [libc::SIGHUP, libc::SIGINT, libc::SIGUSR2, libc::SIGPIPE];
    let launch = init.command(&[PROBE, "report"]).ignoring(&ignored);
    let out = launch.pid_1(pid_1).run().expect(0).out;
    assert!(out.contains(&format!("ignored={ignored:?}\n")), "{out}");
}

/// The mask is the command's, not the init's.
fn hands_on_what_is_blocked(init: Init, pid_1: bool) {
    let blocked = [libc::SIGUSR1, libc::SIGWINCH, 40];
    let launch = init.command(&[PROBE, "report"]).blocking(&blocked);
    let out = launch.pid_1(pid_1).run().expect(0).out;
    assert!(out.contains(&format!("blocked={blocked:?}\n")), "{out}");
}

/// No descriptor, no ignored signal, no mask that the command would not have without an init.
/// (Rust's own start-up code would leave SIGPIPE ignored.)
fn leaves_nothing_of_its_own_to_the_command(init: Init, pid_1: bool) {
    let out = init.command(&[PROBE, "report"]).pid_1(pid_1).run().expect(0).out;
    assert!(out.contains("ignored=[]\n"), "{out}");
    assert!(out.contains("blocked=[]\n"), "{out}");
    assert!(out.contains("fds=[0, 1, 2]\n"), "{out}");
}

fn value<'a>(report: &'a str, key: &str) -> &'a str {
    let found = report.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("no {key} in {report}")).trim()
}

/// `docker run -it IMAGE sh` wants job control, and reads from a background group are SIGTTIN.
fn gives_the_terminal_to_the_command(init: Init, pid_1: bool) {
    let out = init.command(&[PROBE, "report"]).tty().pid_1(pid_1).run().expect(0).out;
    assert_eq!(value(&out, "foreground"), value(&out, "pid"), "{out}");
    assert_eq!(value(&out, "group"), value(&out, "pid"), "{out}");
}

/// Ctrl-C is sent to the foreground group by the kernel. When the init were in it and forwarded its
/// own copy, the command would get two: many programs take the second for "at once".
fn lets_a_key_reach_the_command_once(init: Init, pid_1: bool) {
    let mut run = init.command(&[PROBE, "signals", "2"]).tty().pid_1(pid_1).start();
    run.wait_for("ready");
    run.type_in("\x03");
    run.wait_for("got 2\r\n");
    run.signal(libc::SIGUSR1);
    let out = run.end().expect(0).out;
    assert_eq!(out.matches("got ").count(), 2, "{out}");
    assert!(out.ends_with("got 10\r\n"), "{out}");
}

/// A container runtime may give none; the first file that is opened must not become descriptor 1.
fn starts_without_standard_streams(init: Init, pid_1: bool) {
    init.sh("exit 7").without_stdio().pid_1(pid_1).run().expect(7);
}

/// An ignored SIGCHLD makes the kernel throw exit codes away, which a parent may leave behind.
fn starts_where_sigchld_is_ignored(init: Init, pid_1: bool) {
    init.sh("exit 8").ignoring(&[libc::SIGCHLD]).pid_1(pid_1).run().expect(8);
}

/// The mask is for the command; the init itself must hear of its children.
fn starts_where_everything_is_blocked(init: Init, pid_1: bool) {
    let all: Vec<i32> = (1..=64).collect();
    init.sh("exit 9").blocking(&all).pid_1(pid_1).run().expect(9);
}

fn with_group_signals(init: Init) -> Launch {
    match init.kind {
        // Its default.
        Kind::DumbInit => init.launch(),
        _ => init.launch().args(&["-g"]),
    }
}

/// A shell script that does not `exec` its program: the program is to hear of the stop too.
fn signals_the_whole_group_on_request(init: Init, pid_1: bool) {
    let script = format!("trap : USR2; {PROBE} signals & {PROBE} signals & wait; sleep 1000");
    let run = with_group_signals(init).sh(&script).pid_1(pid_1).start();
    eventually("both are ready", || run.out().matches("ready").count() == 2);
    run.signal(libc::SIGUSR2);
    eventually("both got it", || run.out().matches("got 12").count() == 2);
}

/// A shell may want to see to its children itself.
fn signals_the_command_alone_by_default(init: Init, pid_1: bool) {
    let script = format!("trap 'echo told' USR2; {PROBE} signals & echo up; wait; wait");
    let run = init.sh(&script).pid_1(pid_1).start();
    run.wait_for("up");
    run.wait_for("ready");
    run.signal(libc::SIGUSR2);
    run.wait_for("told");
    assert!(!run.out().contains("got"), "{}", run.out());
}

/// Java ends with 143 at SIGTERM, and that is success.
fn remaps_exit_codes(init: Init, pid_1: bool) {
    let launch = || init.launch().args(&["-e", "143", "-e", "7"]).pid_1(pid_1);
    launch().sh("exit 7").run().expect(0);
    launch().sh("exit 8").run().expect(8);
    launch().sh("kill -TERM $$").run().expect(0);
}

fn adopts(launch: Launch) {
    let run = launch.nested().sh("(sleep 1000 & sleep 1000 &); exec sleep 2000").start();
    let init = run.init().pid;
    let adopted = || {
        let mut others = run.others();
        others.retain(|process| process.command == "sleep 1000" && process.parent == init);
        others
    };
    eventually("the init is the orphans' parent", || adopted().len() == 2);
    for orphan in adopted() {
        run.signal_to(&orphan, libc::SIGKILL);
    }
    eventually("the orphans are reaped", || run.others().len() == 1);
}

/// Under `docker run --init`, or under a shell, an init that is not PID 1 must ask for the orphans.
fn adopts_orphans_as_a_subreaper(init: Init, _pid_1: bool) {
    adopts(init.launch().args(&["-s"]));
}

fn takes_the_subreaper_flag_from_tinis_variable(init: Init, _pid_1: bool) {
    adopts(init.launch().env("TINI_SUBREAPER", "1"));
}

/// For an init whose parent may die and leave it alone, as under a job scheduler.
fn signals_when_its_parent_dies(init: Init, pid_1: bool) {
    let parent = format!("{} -s -p SIGUSR1 -- {PROBE} signals & wait", init.path);
    let run = Init::SHELL.launch().args(&["-c", &format!("sh -c '{parent}' & wait; sleep 1000")]);
    let run = run.pid_1(pid_1).start();
    run.wait_for("ready");
    let parent = run.find("sh -c").into_iter().max_by_key(|process| process.pid).unwrap();
    run.signal_to(&parent, libc::SIGKILL);
    run.wait_for("got 10");
}

/// nginx wants QUIT for a graceful stop; the engine sends TERM.
fn rewrites_signals(init: Init, pid_1: bool) {
    let launch = init.launch().args(&["--rewrite", "15:3"]).command(&[PROBE, "signals"]);
    let run = launch.pid_1(pid_1).start();
    run.wait_for("ready");
    run.signal(libc::SIGTERM);
    run.wait_for("got 3\n");
}

fn drops_signals(init: Init, pid_1: bool) {
    let launch = init.launch().args(&["-r", "28:0"]).command(&[PROBE, "signals", "1"]);
    let run = launch.pid_1(pid_1).start();
    run.wait_for("ready");
    run.signal(libc::SIGWINCH);
    run.signal(libc::SIGUSR1);
    assert_eq!(run.end().expect(0).out, "ready\ngot 10\n");
}

/// Somebody closed the pipe: a message that cannot be written must not end PID 1, nor change the code.
fn runs_without_a_reader_of_its_messages(init: Init, pid_1: bool) {
    init.launch().sh("exit 6").without_reader().pid_1(pid_1).run().expect(6);
}
