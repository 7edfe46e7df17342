//! Kernels, sandboxes and engines that do not know a system call: a kernel says EINVAL or ENOSYS, a sandbox ENOSYS, and an
//! engine whose profile is older than the call says EPERM. Each has its fallback.

use crate::harness::{Init, Running, eventually, ms};
use libc::{EINVAL, ENOSYS, EPERM, c_long};
use std::fs::{self, File};

/// What has come since 2.6.27 and is, or may be, called by rinit or by its C library.
const NEWER: [c_long; 28] = [
    libc::SYS_capget,
    libc::SYS_capset,
    libc::SYS_clone3,
    libc::SYS_close_range,
    libc::SYS_copy_file_range,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_execveat,
    libc::SYS_faccessat2,
    libc::SYS_getrandom,
    libc::SYS_inotify_init1,
    libc::SYS_memfd_create,
    libc::SYS_membarrier,
    libc::SYS_openat2,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_preadv2,
    libc::SYS_pwritev2,
    libc::SYS_renameat2,
    libc::SYS_rseq,
    libc::SYS_sched_getaffinity,
    libc::SYS_sendmmsg,
    libc::SYS_signalfd4,
    libc::SYS_statx,
    libc::SYS_timer_create,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
];

/// Checks of paths, one that waits, services with a user and a health, and a COMMAND.
const EVERYTHING: &str = r#"
[checks.file."/etc/passwd"]
readable = true
[checks.dir."/mnt/files"]
readable = true
[checks.dir."/usr"]
readable = true
as_user = "nobody"
[checks.volume."/mnt/files"]
writable = true
[checks.tcp.later]
address = "127.0.0.1"
port = 1
wait = "20ms"
level = "warn"

[services.once]
type = "oneshot"
command = ["sh", "-c", "id -u"]
user = "nobody"
ulimits.nofile = 300
[services.web]
command = ["/mnt/probe", "listen", "4711"]
healthcheck = { tcp = 4711, interval = "10ms", retries = 200 }
[services.main]
depends_on = { once = "completed", web = "healthy" }
"#;

fn rest(refused: &[(c_long, i32)]) {
    let launch = Init::config(EVERYTHING).network().refusing(refused).sh("echo runs; exec sleep 1000");
    let run = launch.start();
    run.wait_for("runs");
    let main = run.the("sleep 1000");
    assert_eq!(main.group, main.pid, "{refused:?}");
    let ended = run.stop().expect(143);
    assert!(ended.out.contains("65534\n"), "{refused:?}\n{}", ended.story());
    ended.tells(&["127.0.0.1:1", "once: ", "web: healthy"]);
}

/// faccessat2 answered with EPERM: `file`, `dir` and `volume` all failed; pwritev2 with EPERM: rinit was mute.
#[test]
fn calls_that_are_refused_have_a_fallback() {
    crate::harness::needs_root();
    rest(&[]);
    for errno in [EPERM, ENOSYS, EINVAL] {
        // All at once …
        rest(&NEWER.map(|call| (call, errno)));
    }
    // … and one at a time: a fallback must not lean on another newer call's failure.
    for call in NEWER {
        rest(&[(call, EPERM)]);
    }
}

/// Where no faccessat2 is, what may not be read is told as before.
#[test]
fn a_refused_look_at_rights_is_no_right() {
    crate::harness::needs_root();
    for errno in [EPERM, ENOSYS, EINVAL] {
        let config = "[checks.file.\"/etc/shadow\"]\nreadable = true\nas_user = \"nobody\"\n";
        let launch = Init::config(config).refusing(&[(libc::SYS_faccessat2, errno)]);
        launch.command(&["true"]).run().expect(69).tells(&["/etc/shadow"]);
    }
}

/// The open descriptors of the init's children, looked at from outside: there may be no /proc inside.
fn fds_of_children(run: &Running) -> Vec<Vec<i32>> {
    let init = run.pid_outside();
    let children = fs::read_to_string(format!("/proc/{init}/task/{init}/children")).unwrap();
    let fds = |pid| fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten().map(|entry| entry.file_name());
    let numbers = |pid| fds(pid).map(|name| name.to_str().unwrap().parse().unwrap());
    let sorted = |pid| {
        let mut fds: Vec<i32> = numbers(pid).collect();
        fds.sort_unstable();
        fds
    };
    children.split_whitespace().map(sorted).collect()
}

/// close_range refused: descriptors above the soft limit leaked into services, and rinit kept them. They are the COMMAND's.
#[test]
fn descriptors_above_the_limit_do_not_leak() {
    let config = "[services.a]\ncommand = \"sleep 1000\"\n[services.b]\ncommand = \"sleep 1000\"\n";
    for hidden in [false, true] {
        for errno in [EPERM, ENOSYS, EINVAL] {
            let null = || File::open("/dev/null").unwrap().into();
            let launch = Init::SHELL.launch().fd(null(), 7).fd(null(), 900).fd(null(), 3000);
            let launch = launch.file("rinit.toml", config).refusing(&[(libc::SYS_close_range, errno)]);
            let launch = if hidden { launch.hide("/proc") } else { launch };
            let script = "ulimit -Sn 64; exec /mnt/rinit -c /mnt/files/rinit.toml -- sleep 1000";
            let run = launch.args(&["-c", script]).start();
            run.wait_for_err("main: started");
            // A program that is being loaded has its libraries open.
            let given = vec![0, 1, 2, 7, 900, 3000];
            eventually("only the command has them", || {
                let mut all = fds_of_children(&run);
                all.sort();
                all == [vec![0, 1, 2], vec![0, 1, 2], given.clone()]
            });
            let fds = fs::read_dir(format!("/proc/{}/fd", run.pid_outside())).unwrap().flatten();
            assert!(fds.map(|fd| fd.file_name()).all(|fd| fd != "7" && fd != "900" && fd != "3000"));
            run.stop().expect(143);
        }
    }
}

/// The same for a COMMAND alone, which gets them, and rinit keeps none.
#[test]
fn the_command_has_what_was_given_and_rinit_has_not() {
    for errno in [EPERM, ENOSYS, EINVAL] {
        let null = || File::open("/dev/null").unwrap().into();
        let launch = Init::SHELL.launch().fd(null(), 7).fd(null(), 900);
        let launch = launch.refusing(&[(libc::SYS_close_range, errno)]);
        let run = launch.args(&["-c", "ulimit -Sn 64; exec /mnt/rinit -- sleep 1000"]).start();
        eventually("the command has them", || {
            let fds = run.the("sleep 1000").fds();
            fds.into_iter().map(|(fd, _)| fd).eq([0, 1, 2, 7, 900])
        });
        eventually("rinit has let go", || run.init().fds().len() == 3);
        run.stop().expect(143);
    }
}

/// signalfd4 refused while a check waits, and pwritev2 while nobody reads: TERM is heard all the same.
#[test]
fn a_stop_is_heard_while_a_check_waits() {
    for errno in [EPERM, ENOSYS, EINVAL] {
        let config = "[checks.tcp.never]\naddress = \"127.0.0.1\"\nport = 1\nwait = \"1h\"\n";
        let run =
            Init::config(config).network().refusing(&NEWER.map(|call| (call, errno))).sh("true").start();
        run.wait_until_it_takes(libc::SIGTERM);
        eventually("the check waits", || !run.others().is_empty() || run.init().state == 'S');
        let ended = run.stop();
        assert_eq!(ended.code(), 143, "{}", ended.story());
        assert!(ended.after < ms(700), "{}", ended.story());
    }
}
