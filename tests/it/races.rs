//! Moments and surroundings in which inits have lost a signal, a child or themselves. Each case for rinit and
//! for rinit under each of its peers' names.

use crate::harness::{Ended, INIT, Init, Kind, PROBE, catchable_signals, eventually, ms};
use libc::{SIGCHLD, SIGCONT, SIGSTOP, SIGTERM, SIGUSR1};
use std::os::fd::OwnedFd;
use std::time::Duration;

const ROLES: [Init; 4] = [Init::RINIT, Init::AS_TINI, Init::AS_DUMB_INIT, Init::AS_CATATONIT];

/// Both as PID 1 and as a child.
fn everywhere(case: impl Fn(Init, bool)) {
    for init in ROLES {
        for pid_1 in [true, false] {
            case(init, pid_1);
        }
    }
}

// ------------------------------------------------------------------------------ signals

/// Before the first wait, between clone and exec, in the command's own first moment.
#[test]
fn a_signal_in_the_first_moments_is_not_lost() {
    everywhere(|init, pid_1| {
        for number in 0..60 {
            let run = init.command(&[PROBE, "signals", "1"]).pid_1(pid_1).start();
            run.wait_until_it_takes(SIGTERM);
            std::thread::sleep(Duration::from_micros(number * 25));
            run.signal(SIGTERM);
            let ended = run.end();
            // The probe has taken it, or it came before the probe could.
            let taken = ended.code() == 0 && ended.out.contains("got 15");
            assert!(taken || ended.code() == 143, "{init:?}, try {number}\n{}", ended.story());
        }
    });
}

/// Ctrl-Z between clone and exec would stop a child that PID 1 waits for.
#[test]
fn a_stop_from_the_terminal_in_the_first_moments_hangs_nothing() {
    for init in [Init::RINIT, Init::AS_TINI, Init::AS_CATATONIT] {
        for number in 0..100 {
            let mut run = init.command(&["sleep", "1000"]).tty().start();
            run.wait_until_it_takes(SIGTERM);
            for _ in 0..number % 10 {
                run.type_in("\x1a");
            }
            run.signal(SIGTERM);
            run.end().expect(143);
        }
    }
}

/// While the command dies, and after that.
#[test]
fn a_signal_around_the_commands_death_changes_nothing() {
    everywhere(|init, pid_1| {
        for number in 0..60 {
            // Both do nothing to who has no handler: they may come at any time.
            let mut run = init.sh("exit 7").pid_1(pid_1).start();
            let mut sent = 0;
            while sent < 1000 && !run.has_ended() {
                run.signal(libc::SIGWINCH);
                run.signal(SIGCONT);
                sent += 1;
            }
            let code = run.end().code();
            assert_eq!(code, 7, "{init:?}, try {number}");
        }
    });
}

/// A thousand signals of twenty kinds while a thousand children end.
#[test]
fn a_burst_of_signals_while_children_end_leaves_no_zombie() {
    everywhere(|init, pid_1| {
        if !pid_1 && matches!(init.kind, Kind::Tini | Kind::DumbInit) {
            return; // They adopt nobody as a child.
        }
        let run = init.command(&[PROBE, "orphans", "1000"]).pid_1(pid_1).start();
        run.wait_for("ready");
        let own = run.processes().len() - 1000;
        let stops = [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
        let kinds = catchable_signals().filter(|signal| ![SIGTERM, SIGUSR1].contains(signal));
        let kinds: Vec<i32> =
            kinds.filter(|signal| *signal < 32 && !stops.contains(signal)).take(20).collect();
        assert_eq!(kinds.len(), 20);
        run.signal(SIGUSR1);
        for number in 0..1000 {
            run.signal(kinds[number % kinds.len()]);
        }
        run.wait_for("released");
        eventually("every orphan is reaped", || run.processes().len() == own);
        run.stop().expect(0);
    });
}

/// Stopped and continued at once, again and again: each stop is a SIGCHLD and no end.
#[test]
fn stops_and_continuations_are_no_end() {
    everywhere(|init, pid_1| {
        let mut run = init.command(&[PROBE, "signals"]).pid_1(pid_1).start();
        run.wait_for("ready");
        let command = run.the("signals");
        for _ in 0..50 {
            run.signal_to(&command, SIGSTOP);
            run.signal_to(&command, SIGCONT);
        }
        assert!(!run.has_ended(), "{init:?}");
        run.signal(SIGUSR1);
        run.wait_for("got 10");
    });
}

/// Two SIGCHLDs are one: of an orphan and of the command, in any order.
#[test]
fn children_that_end_at_once_are_all_reaped() {
    everywhere(|init, pid_1| {
        for _ in 0..40 {
            init.sh("(exit 3 &); (exit 4 &); exit 5").pid_1(pid_1).run().expect(5);
        }
    });
}

// ------------------------------------------------------------------------------ a start that fails

/// An ELF file that asks for more memory than there can be: exec fails when there is no way back.
#[test]
fn an_exec_that_fails_late_is_a_death() {
    let mut elf = vec![0x7f, b'E', b'L', b'F', 2, 1, 1];
    elf.resize(16, 0);
    elf.extend([2, 0, 62, 0, 1, 0, 0, 0]); // ET_EXEC, x86-64
    for word in [0x40_0078_u64, 64, 0] {
        elf.extend(word.to_le_bytes()); // entry, program headers, section headers
    }
    elf.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    elf.extend([1, 0, 0, 0, 7, 0, 0, 0]); // PT_LOAD, rwx
    for word in [0, 0x40_0000, 0x40_0000, 120, 0x7fff_ffff_0000, 0x1000] {
        elf.extend(u64::to_le_bytes(word));
    }
    everywhere(|init, pid_1| {
        let launch = init.command(&["/mnt/files/huge"]).pid_1(pid_1).file_with_mode("huge", "", 0o755);
        let launch = launch.bytes("huge", &elf);
        let code = launch.run().code();
        // The kernel has given the old program up by then, and has nothing to go back to.
        assert_eq!(code, 128 + libc::SIGSEGV, "{init:?}");
    });
}

/// The user may have no more processes: it says so and ends, at once.
#[test]
fn no_process_to_be_had_is_an_end_with_words() {
    crate::harness::needs_root();
    everywhere(|init, _| {
        let launch = init.sh("exit 0").user(54_321).limit(libc::RLIMIT_NPROC, 1);
        let ended = launch.run().expect(if init.kind == Kind::Rinit { 71 } else { 1 });
        assert!(!ended.err.is_empty(), "{init:?}");
    });
}

// ------------------------------------------------------------------------------ surroundings

/// Each of the three streams closed, and each pair.
#[test]
fn a_closed_stream_is_no_hindrance() {
    for init in ROLES {
        for closed in ["<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", ">&- 2>&-"] {
            let script = format!("exec {} -- sh -c 'exit 7' {closed}", init.path);
            Init::SHELL.launch().args(&["-c", &script]).run().expect(7);
        }
    }
}

/// What the parent blocks or ignores is for the command; rinit takes what comes.
#[test]
fn what_is_blocked_or_ignored_at_the_start_stops_nothing() {
    let all: Vec<i32> = (1..=64).collect();
    let sets: [&[i32]; 4] = [&[SIGCHLD], &[SIGTERM], &[SIGCHLD, SIGTERM], &all];
    for (blocked, ignored) in sets.iter().flat_map(|set| [(*set, &[][..]), (&[], *set), (*set, *set)]) {
        everywhere(|init, pid_1| {
            let launch = init.command(&[PROBE, "signals", "1"]).blocking(blocked).ignoring(ignored);
            let run = launch.pid_1(pid_1).start();
            run.wait_for("ready");
            run.signal(SIGTERM);
            let ended = run.end().expect(0);
            assert_eq!(ended.out, "ready\ngot 15\n", "{init:?} {blocked:?} {ignored:?}");
        });
    }
}

/// Whether the binary under test needs a loader, which needs descriptors and a stack of its own.
fn is_static() -> bool {
    let file = std::fs::read(Init::rinit_binary()).unwrap();
    let headers = u16::from_le_bytes([file[56], file[57]]);
    (0..usize::from(headers)).all(|number| file[64 + number * 56] != 3)
}

/// Not one descriptor to be had. The command is rinit itself, for that needs none either (when it is static).
#[test]
fn no_free_descriptor_is_no_hindrance() {
    let limits = if is_static() { 3..=5 } else { 4..=5 };
    for limit in limits {
        everywhere(|init, pid_1| {
            let launch = init.command(&[INIT, "--version"]).limit(libc::RLIMIT_NOFILE, limit).pid_1(pid_1);
            let ended: Ended = launch.run().expect(0);
            assert!(ended.out.contains("rinit "), "{}", ended.story());
        });
    }
    if is_static() {
        let (_read, write) = std::io::pipe().unwrap();
        let launch = Init::RINIT.command(&[INIT, "--version"]).limit(libc::RLIMIT_NOFILE, 4);
        launch.fd(OwnedFd::from(write), 3).run().expect(0);
    }
}

/// 64 KiB of stack, the least that Linux gives to anybody, for rinit and for the command.
#[test]
fn a_small_stack_is_enough() {
    everywhere(|init, pid_1| {
        let launch = init.sh("(exit 3 &); exit 6").limit(libc::RLIMIT_STACK, 64 * 1024);
        launch.pid_1(pid_1).run().expect(6);
    });
}

/// No /proc, no /etc/passwd.
#[test]
fn nothing_of_the_system_is_needed() {
    for directory in ["/proc", "/etc"] {
        everywhere(|init, pid_1| {
            init.sh("(sleep 0.01 &); exit 5").hide(directory).pid_1(pid_1).run().expect(5);
        });
    }
}

/// A command that ends before anybody looks, thousands of times: no end is missed.
#[test]
fn an_end_at_once_is_never_missed() {
    let started = std::time::Instant::now();
    let mut count = 0;
    while count < 200 || started.elapsed() < ms(500) {
        Init::RINIT.command(&["true"]).run().expect(0);
        count += 1;
    }
}

// ------------------------------------------------------------------------------ the kernel

/// What is refused once, against all expectation, costs at most the start; rinit ends, and by itself.
#[cfg(feature = "peers")]
#[test]
fn a_system_call_that_is_refused_once_hangs_nothing() {
    let strace = Init { kind: Kind::Other, path: "/usr/bin/strace" };
    for (call, error) in [
        ("wait4", "ECHILD"),
        ("wait4", "EINTR"),
        ("rt_sigprocmask", "EPERM"),
        ("rt_sigaction", "EINVAL"),
        ("rt_sigtimedwait", "EAGAIN"),
        ("clone", "EAGAIN"),
        ("prctl", "EPERM"),
        ("ioctl", "EIO"),
        ("fcntl", "EINVAL"),
        ("chdir", "EACCES"),
        ("getpid", "EPERM"),
    ] {
        for when in 1..=3 {
            let inject = format!("inject={call}:error={error}:when={when}");
            let words = ["-o", "/dev/null", "-e", &inject, INIT, "--", "sh", "-c", "exit 7"];
            let ended = strace.launch().args(&words).run();
            assert!([7, 71, 127].contains(&ended.code()), "{inject}\n{}", ended.story());
        }
    }
}
