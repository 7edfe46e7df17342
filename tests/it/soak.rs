//! What a long day brings: memory that must not grow, signals that must be heard whatever dies.

use crate::harness::{Init, Launch, Running, eventually_within};
use std::time::{Duration, Instant};

/// The memory that a process has for itself alone, in KiB: the least of some looks, for one may fall into a moment in which
/// it reads something large.
fn private(pid: i32) -> u64 {
    let looks = (0..50).map(|_| {
        std::thread::sleep(Duration::from_millis(5));
        private_now(pid)
    });
    looks.min().unwrap()
}

fn private_now(pid: i32) -> u64 {
    // Not `Private_Dirty`: pages of a program file that was just built count there until they are written back.
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Anonymous:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Lines that rinit has said so far.
fn lines(init: &Running) -> usize {
    init.err().bytes().filter(|byte| *byte == b'\n').count()
}

/// Runs it until it has said so many lines; its memory after the first 1,000 and at the end.
fn soak(launch: Launch, many: usize) -> [u64; 2] {
    let init = launch.start();
    [1_000, many].map(|many| {
        eventually_within(Duration::from_secs(300), "it says its lines", || {
            std::thread::sleep(Duration::from_millis(300));
            lines(&init) >= many
        });
        private(init.pid_outside())
    })
}

const FLAPPING: &str = r#"
    [defaults]
    restart = "always"
    restart_policy = { delay = "0s", window = "1h" }
    essential = false
    [services.a]
    command = ["/bin/false"]
    [services.a-name-that-is-longer-than-a-small-block-of-memory-holds]
    command = ["/bin/true", "with", "arguments"]
    environment = { A = "1", LONG = "0123456789012345678901234567890123456789012345678901234567890123456789" }
    [services.orphans]
    command = ["sh", "-c", "(true &); (true & true); exit 3"]
    [services.missing]
    command = ["/bin/not-there"]
    healthcheck = { exec = "not-there", interval = "1ms", on_unhealthy = "ignore" }
    [services.sick]
    command = ["sleep", "1000"]
    healthcheck = { exec = "not-there", interval = "1ms", on_unhealthy = "ignore" }
    [services.unhealthy]
    command = ["sleep", "1000"]
    healthcheck = { exec = "false", interval = "1ms", retries = 1 }
"#;

/// Two pages, in KiB: the most of what happens at once can come late. A leak of 80 bytes a line would be 400 KiB, and one
/// block of 16 bytes at each eighth line 10.
const PAGES: u64 = 8;

/// Each line that rinit said left 80 bytes behind in many set-ups (612 KB became 1,836 in 8 s).
#[test]
fn memory_does_not_grow_with_what_is_said_reaped_and_restarted() {
    let orphans = ["/mnt/probe", "breed"];
    let set_ups = [
        ("orphans", Init::RINIT.launch().args(&["-w"]).command(&orphans), 12_000),
        ("orphans, -v", Init::RINIT.launch().args(&["-w", "-v"]).command(&orphans), 5_000),
        ("as tini", Init::AS_TINI.launch().args(&["-w"]).command(&orphans), 5_000),
        ("flapping", Init::RINIT.launch().args(&["-w"]).config(FLAPPING), 6_000),
        (
            "flapping, JSON",
            Init::RINIT.launch().args(&["-v", "--log-format", "json"]).config(FLAPPING),
            6_000,
        ),
    ];
    // Side by side: most of the time each waits for its children.
    std::thread::scope(|scope| {
        for (name, launch, many) in set_ups {
            scope.spawn(move || {
                let [first, last] = soak(launch, many);
                assert!(last <= first + PAGES, "{name}: {first} KiB after 1,000 lines, {last} after {many}");
            });
        }
    });
}

/// Waits until rinit has begun to stop, and then for its end: how long each took after TERM.
fn stop(init: Running) -> [Duration; 2] {
    let sent = Instant::now();
    init.signal(libc::SIGTERM);
    init.wait_for_err("stopping");
    let heard = sent.elapsed();
    let ended = init.end();
    ended.expect(0);
    [heard, sent.elapsed()]
}

/// The loop reaped while anyone was dead, and each turn made new dead: TERM was not heard for 15 s and more.
#[test]
fn a_stop_is_heard_while_everything_flaps() {
    let mut config = String::new();
    for n in 0..20 {
        config += &format!(
            "[services.s{n}]\ncommand = [\"/bin/false\"]\nrestart = \"always\"\n\
             restart_policy = {{ delay = \"0s\" }}\nessential = false\n"
        );
    }
    let init = Init::config(&config).start();
    eventually_within(Duration::from_secs(30), "all flap", || lines(&init) > 1_000);
    let [heard, ended] = stop(init);
    assert!(heard < Duration::from_secs(3) && ended < Duration::from_secs(6), "{heard:?} {ended:?}");
}

/// 10,000 processes that were asked for before the stop were all made first.
#[test]
fn a_stop_is_heard_while_thousands_start() {
    let mut config = String::new();
    for n in 0..3_000 {
        config += &format!(
            "[services.s{n}]\ncommand = [\"sh\", \"-c\", \"echo >> /mnt/files/ran\"]\ntype = \"oneshot\"\n"
        );
    }
    let init = Init::config(&config).start();
    eventually_within(Duration::from_secs(30), "the first runs", || !init.file("ran").is_empty());
    let sent = Instant::now();
    init.signal(libc::SIGTERM);
    init.wait_for_err("stopping");
    let heard = sent.elapsed();
    let mut init = init;
    eventually_within(Duration::from_secs(60), "it has ended", || init.has_ended());
    let ran = init.file("ran").lines().count();
    assert!(heard < Duration::from_secs(3) && ran < 2_000, "{heard:?} {ran}");
    init.end().expect(0);
}

/// Signals of low numbers that come without end, and orphans that die without end: TERM is behind them all.
#[test]
fn a_stop_is_heard_in_a_flood_of_signals_and_orphans() {
    let flood = "import os, signal\nwhile True: os.kill(1, signal.SIGHUP); os.kill(1, signal.SIGUSR1); os.kill(1, signal.SIGINFO if hasattr(signal, 'SIGINFO') else signal.SIGWINCH)";
    let config = "[signals]\nHUP = \"ignore\"\nUSR1 = \"ignore\"\n\
         [services.flood]\ncommand = [\"/usr/bin/python3\", \"/mnt/files/flood.py\"]\n\
         [services.orphans]\ncommand = [\"sh\", \"-c\", \"while :; do (true &); done\"]\n\
         [services.more]\ncommand = [\"sh\", \"-c\", \"while :; do (true &); done\"]\n";
    let init = Init::config(config).args(&["-w"]).file("flood.py", flood).start();
    eventually_within(Duration::from_secs(30), "orphans are reaped", || lines(&init) > 500);
    let [heard, ended] = stop(init);
    assert!(heard < Duration::from_secs(3) && ended < Duration::from_secs(6), "{heard:?} {ended:?}");
}

/// The same while checks wait: their helpers' orphans are reaped, and a stop is heard in between.
#[test]
fn a_stop_is_heard_in_a_flood_while_checks_wait() {
    let flood = "import os, signal\nwhile True:\n os.kill(1, signal.SIGHUP); os.kill(1, signal.SIGUSR1)\n if os.fork() == 0:\n  os.fork()\n  os._exit(0)\n os.waitpid(-1, os.WNOHANG)";
    let config = "[checks.exec.flood]\ncommand = [\"/usr/bin/python3\", \"/mnt/files/flood.py\"]\ntimeout = \"1m\"\n\
         [services.x]\ncommand = \"sleep 1000\"\n";
    let init = Init::config(config).file("flood.py", flood).start();
    eventually_within(Duration::from_secs(10), "the flood", || init.processes().len() > 3);
    std::thread::sleep(Duration::from_millis(300));
    let sent = Instant::now();
    init.signal(libc::SIGTERM);
    init.end();
    assert!(sent.elapsed() < Duration::from_secs(4), "{:?}", sent.elapsed());
}

/// A probe was killed by its group alone, before it had made one: 3,554 processes were left after 32 s.
#[test]
fn no_probe_outlives_a_service_that_flaps() {
    let sink = "import socket, time\ns = socket.socket()\ns.bind(('127.0.0.1', 7777))\ns.listen(0)\n\
         cs = [socket.socket() for _ in range(4)]\nfor c in cs:\n c.setblocking(False)\n c.connect_ex(('127.0.0.1', 7777))\n\
         print('full', flush=True)\ntime.sleep(1000)\n";
    let mut config = "[services.sink]\ncommand = [\"/usr/bin/python3\", \"/mnt/files/sink.py\"]\n".to_owned();
    for n in 0..20 {
        config += &format!(
            "[services.s{n}]\ncommand = [\"sleep\", \"0.03\"]\nrestart = \"always\"\nessential = false\n\
             restart_policy = {{ delay = \"0s\", window = \"1h\" }}\n\
             healthcheck = {{ tcp = 7777, timeout = \"1m\", interval = \"1ms\", start_period = \"1h\" }}\n"
        );
    }
    let init = Init::config(&config).network().file("sink.py", sink).start();
    init.wait_for("full");
    eventually_within(Duration::from_secs(60), "all flap", || lines(&init) > 2_000);
    let alive = init.others().iter().filter(|process| !process.is_zombie()).count();
    assert!(alive < 100, "{alive} processes");
}

/// What an `exec` check had started in a session of its own lived on: into the run, after `--check`, after a stop.
#[test]
fn nothing_that_a_check_has_started_is_left() {
    let checks = "[checks.exec.quick]\ncommand = [\"sh\", \"-c\", \"setsid -f sleep 1111\"]\n\
         [checks.exec.late]\ncommand = [\"sh\", \"-c\", \"setsid -f sleep 1112; sleep 1113\"]\ntimeout = \"200ms\"\nlevel = \"warn\"\n";
    let hangs = "[checks.exec.hangs]\ncommand = [\"sh\", \"-c\", \"setsid -f sleep 1114; setsid sleep 1115\"]\ntimeout = \"1m\"\n";
    for pid_1 in [true, false] {
        let run = Init::config(&format!("{checks}[services.x]\ncommand = \"/mnt/probe serve x\"\n"));
        let run = run.pid_1(pid_1).start();
        run.wait_for("x up");
        assert!(run.find("sleep 11").is_empty(), "{:?}", run.find("sleep 11"));
        run.stop().expect(0);
    }
    let ended = Init::config(checks).args(&["--check"]).nested().start().end();
    assert!(ended.left.is_empty(), "{:?}", ended.left);
    for extra in [&["--check"][..], &[]] {
        let run = Init::config(&format!("{hangs}[services.x]\ncommand = \"sleep 1000\"\n"));
        let run = run.args(extra).nested().start();
        let sleeps = |process: &crate::harness::Process| process.command.starts_with("sleep ");
        eventually_within(Duration::from_secs(10), "both run", || {
            run.others().iter().filter(|process| sleeps(process)).count() == 2
        });
        let ended = run.stop();
        // Who was killed is not waited for, but sleeps no more.
        assert!(!ended.left.iter().any(|process| process.state == 'S'), "{:?}", ended.left);
    }
}

/// Each makes the next and ends: it survived the KILL of a rinit that is not PID 1 in two of three tries.
#[test]
fn a_chain_of_forks_does_not_outlive_the_sweep() {
    let chain = "import os, signal, sys\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nif os.fork(): os._exit(0)\nos.setsid()\nopen('/mnt/files/runs', 'w')\nwhile True:\n if os.fork(): os._exit(0)\n if len(sys.argv) > 1: os.setsid()\n";
    for args in ["", ", \"setsid\""] {
        for _ in 0..3 {
            let config = format!(
                "[services.x]\ncommand = [\"/usr/bin/python3\", \"/mnt/files/chain.py\"{args}]\n\
                 stop_grace_period = \"100ms\"\nessential = false\n[services.y]\ncommand = \"sleep 1000\"\n[stop]\nwithin = \"3s\"\n"
            );
            let run = Init::config(&config).file("chain.py", chain).nested().start();
            eventually_within(Duration::from_secs(10), "it runs", || run.directory().join("runs").exists());
            let ended = run.stop();
            assert!(ended.left.is_empty(), "{:?}\n{}", ended.left, ended.story());
        }
    }
}

/// A group whose number is a stranger's by now. The member of the service's group dies and is reaped by a parent outside,
/// which rinit is not told; then the leader's number is given to somebody else, who leads a group.
#[test]
fn a_group_that_is_gone_is_noticed_and_its_number_left_alone() {
    let leader = r#"
import os, signal, sys, time
leader = os.getpid()
def go(what):
    if os.fork() == 0:
        what()
        os._exit(0)
def outside():
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    member = os.fork()
    if member == 0:
        os.setpgid(0, leader)
        open('/mnt/files/joined', 'w')
        while os.path.exists(f'/proc/{leader}'): time.sleep(0.001)
        time.sleep(0.2)
        os._exit(0)
    os.waitpid(member, 0)
    if len(sys.argv) > 1:
        # A number is free when no session has it either.
        if os.fork(): os._exit(0)
        os.setsid()
        while True:
            open('/proc/sys/kernel/ns_last_pid', 'w').write(str(leader - 1))
            pid = os.fork()
            if pid == 0:
                if os.getpid() != leader: os._exit(0)
                os.setsid()
                os.execvp('sleep', ['sleep', '4321'])
            if pid == leader: break
            os.waitpid(pid, 0)
    time.sleep(1000)
go(outside)
while not os.path.exists('/mnt/files/joined'): time.sleep(0.001)
"#;
    for reuse in ["", ", \"reuse\""] {
        let config = format!(
            "[services.x]\ntype = \"oneshot\"\ncommand = [\"/usr/bin/python3\", \"/mnt/files/x.py\"{reuse}]\n\
             stop_grace_period = \"4s\"\n[services.y]\ncommand = \"sleep 1000\"\n"
        );
        let run = Init::config(&config).file("x.py", leader).start();
        let started = Instant::now();
        run.wait_for_err("x: ");
        eventually_within(Duration::from_secs(3), "the end of the group is told", || {
            run.err().contains("done") || run.err().contains("exit")
        });
        assert!(started.elapsed() < Duration::from_secs(3), "{:?}\n{}", started.elapsed(), run.err());
        if !reuse.is_empty() {
            run.the("sleep 4321");
            let ended = run.err().matches("x: exited").count();
            assert_eq!(ended, 1, "{}", run.err());
        }
        assert!(!run.err().contains("uninterruptible"), "{}", run.err());
    }
}

/// `docker pause`, as the kernel does it to each process: time in which nobody ran was a probe's timeout.
#[test]
fn a_pause_is_no_failure_of_a_probe() {
    let config = "[services.x]\ncommand = \"sleep 1000\"\n\
         healthcheck = { exec = [\"sleep\", \"0.4\"], timeout = \"4s\", interval = \"1ms\", retries = 1 }\n";
    let run = Init::config(config).start();
    run.wait_for_err("healthy");
    run.the("sleep 0.4");
    let others = run.others();
    run.signal(libc::SIGSTOP);
    others
        .iter()
        .filter(|process| process.command.starts_with("sleep 1000"))
        .for_each(|p| run.signal_to(p, libc::SIGSTOP));
    for process in run.find("sleep 0.4") {
        run.signal_to(&process, libc::SIGSTOP);
    }
    std::thread::sleep(Duration::from_secs(5));
    run.signal(libc::SIGCONT);
    std::thread::sleep(Duration::from_millis(300));
    for process in run.others() {
        run.signal_to(&process, libc::SIGCONT);
    }
    std::thread::sleep(Duration::from_secs(1));
    assert!(!run.err().contains("unhealthy") && !run.err().contains("restarting"), "{}", run.err());
    run.stop().expect(0);
}

/// What an `exec` probe leaves in the background, once an interval, is nobody's.
#[test]
fn nothing_that_a_probe_has_started_is_left() {
    let config = "[services.x]\ncommand = \"sleep 1000\"\n\
         healthcheck = { exec = [\"sh\", \"-c\", \"sleep 1234 & echo >>/mnt/files/probes\"], interval = \"1ms\" }\n";
    let run = Init::config(config).start();
    eventually_within(Duration::from_secs(20), "many probes", || run.file("probes").len() >= 20);
    let left = run.find("sleep 1234").len();
    assert!(left < 5, "{left} processes");
    run.stop().expect(0);
}
