//! File systems that do not answer, and what else keeps execve(2) from returning: a start never suspends rinit.
//!
//! `clone(CLONE_VFORK)` did: with a program, an interpreter, a working directory, a directory of PATH or a probe on a
//! FUSE that hangs, with a write lease on the program, or stopped by a `kill -STOP -1`, TERM was never heard.

use crate::harness::{Ended, FILES, INIT, Init, Kind, Launch, Running, eventually, ms};
use std::time::{Duration, Instant};

/// Far below every grace and timeout of a start.
const HEARD: Duration = Duration::from_secs(1);

/// A shell that mounts what hangs, and becomes rinit with these arguments.
fn with_hang(arguments: &[&str]) -> Launch {
    crate::harness::needs_root();
    let script =
        "mkdir hang; /mnt/probe hang /mnt/files/hang >hangs & until grep -q . hangs; do :; done; exec \"$@\"";
    let sh = Init { kind: Kind::Other, path: "/bin/sh" };
    sh.launch().args(&["-c", script, "sh", INIT]).args(arguments)
}

fn with_config(config: &str) -> Launch {
    let path = format!("{FILES}/rinit.toml");
    with_hang(&["-c", &path]).file("rinit.toml", config)
}

/// Runs besides what hangs, and is to be restarted all the while.
const BUSY: &str = r#"
    [services.busy]
    command = ["sh", "-c", "echo again; exit 1"]
    restart_policy = { delay = "10ms", max_delay = "10ms" }
    essential = false
"#;

/// Others are restarted, and TERM is heard.
#[track_caller]
fn goes_on(run: Running, code: i32) -> Ended {
    let before = run.out().matches("again").count();
    eventually("others are restarted", || run.out().matches("again").count() > before + 10);
    heard(run, code)
}

#[track_caller]
fn heard(run: Running, code: i32) -> Ended {
    let asked = Instant::now();
    run.signal(libc::SIGTERM);
    let ended = run.end().expect(code);
    assert!(ended.at - asked < HEARD, "TERM was heard after {:?}\n{}", ended.at - asked, ended.story());
    ended
}

fn hanging(service: &str) -> Running {
    let run = with_config(&format!("{BUSY}\n[services.slow]\n{service}"))
        .file_with_mode("script", "#!/mnt/files/hang/sh\n", 0o755)
        .start();
    run.wait_for("again");
    run
}

#[test]
fn a_program_that_hangs_hangs_nothing_else() {
    goes_on(hanging("command = \"/mnt/files/hang/program\""), 0);
}

#[test]
fn an_interpreter_that_hangs_hangs_nothing_else() {
    goes_on(hanging("command = \"/mnt/files/script\""), 0);
}

#[test]
fn a_working_directory_that_hangs_hangs_nothing_else() {
    goes_on(hanging("command = \"true\"\nworking_dir = \"/mnt/files/hang/x\""), 0);
}

#[test]
fn a_directory_of_path_that_hangs_hangs_nothing_else() {
    goes_on(hanging("command = \"true\"\nenvironment = { PATH = \"/mnt/files/hang:/usr/bin:/bin\" }"), 0);
}

/// A start that fails for a reason that stays, and whose reason is looked for below what hangs.
#[test]
fn the_reason_of_a_failure_is_not_waited_for() {
    let service = "command = \"x\"\nworking_dir = \"/missing\"\nenvironment = { PATH = \"/mnt/files/hang\" }\nessential = false";
    let run = hanging(service);
    run.wait_for_err("slow: cannot start");
    goes_on(run, 0);
}

#[test]
fn many_starts_that_hang_hang_nothing_else() {
    let many = (0..40).map(|n| format!("[services.s{n}]\ncommand = \"/mnt/files/hang/x\"\n"));
    let run = with_config(&format!("{BUSY}{}", many.collect::<String>())).start();
    run.wait_for("again");
    goes_on(run, 0);
}

#[test]
fn a_probe_that_hangs_is_a_failed_probe() {
    let health = "healthcheck = { exec = \"/mnt/files/hang/x\", interval = \"50ms\", timeout = \"100ms\", retries = 2, on_unhealthy = \"ignore\" }";
    let run = hanging(&format!("command = \"sleep 1000\"\n{health}"));
    run.wait_for_err("slow: unhealthy: its healthcheck failed 2 times in a row");
    eventually("probes are killed", || run.find("hang/x").len() < 2);
    goes_on(run, 0);
}

/// The one command: nothing of it runs, so it is rinit that TERM is for; and silence is no answer.
#[test]
fn a_command_that_hangs_is_told_and_can_be_stopped() {
    let run = with_hang(&["--", "/mnt/files/hang/program"]).start();
    run.wait_for_err(
        "its program is not loaded after 3s: no answer from the file system under /mnt/files/hang/program",
    );
    heard(run, 143);
}

#[test]
fn a_start_is_given_up_at_its_start_timeout() {
    let service = "type = \"oneshot\"\nrestart = \"on-failure\"\ncommand = \"/mnt/files/hang/x\"\nstart_timeout = \"300ms\"\nrestart_policy = { delay = \"10ms\", max_attempts = 1 }\nessential = false";
    let run = hanging(service);
    run.wait_for_err("slow: its program was not loaded within 300ms; killing it: no answer from the file system under /mnt/files/hang/x");
    run.wait_for_err("slow: not started; restarting in 10ms (1 of 1)");
    run.wait_for_err("slow: not started; failed; given up after 1 restart");
    assert!(run.find("hang/x").is_empty());
    goes_on(run, 0);
}

/// What was slow and answers in the end has hurt nobody: the file system goes away, which is an answer.
#[test]
fn a_start_goes_on_when_the_file_system_answers() {
    let service = "command = \"true\"\nenvironment = { PATH = \"/mnt/files/hang:/usr/bin:/bin\" }\nrestart = \"no\"\nessential = false";
    let run = hanging(service);
    run.signal_to(&run.the("/mnt/probe hang"), libc::SIGKILL);
    run.wait_for_err("slow: cannot start \"true\"");
    goes_on(run, 0);
}

/// Starts a program on whose file somebody has a write lease: execve waits up to 45 s (fs.lease-break-time).
fn with_lease(script: &str) -> Running {
    let holder = "import fcntl,os,signal,time\nsignal.signal(signal.SIGIO, signal.SIG_IGN)\nfcntl.fcntl(os.open('/mnt/files/program', os.O_RDONLY), fcntl.F_SETLEASE, fcntl.F_WRLCK)\nopen('/mnt/files/held', 'w').close()\ntime.sleep(1000)\n";
    let config = format!(
        r#"{BUSY}
        [services.holder]
        command = ["/usr/bin/python3", "/mnt/files/holder.py"]
        healthcheck = {{ exec = "test -e /mnt/files/held", interval = "20ms" }}
        restart = "no"
        essential = false
        [services.slow]
        command = "/mnt/files/program"
        depends_on = {{ holder = "healthy" }}
        "#
    );
    let launch = Init::config(&config).file("holder.py", holder);
    let run = launch.file_with_mode("program", &format!("#!/bin/sh\n{script}\n"), 0o755).start();
    run.wait_for_err("slow: its program is not loaded after 3s");
    run
}

#[test]
fn a_write_lease_hangs_nothing_else() {
    let run = with_lease("sleep 1000");
    run.wait_for_err("waits for who has a lease on it");
    goes_on(run, 0);
}

/// What was slow is looked at ever more seldom: it ran for most of a second, and a stop killed it without a word.
#[test]
fn what_was_slow_and_runs_is_asked_to_stop() {
    let run = with_lease("trap 'echo asked; exit 0' TERM; echo up; while :; do sleep 0.01; done");
    run.signal_to(&run.the("holder.py"), libc::SIGKILL);
    run.wait_for("up");
    let ended = heard(run, 0);
    assert!(ended.out.contains("asked"), "{}", ended.story());
}

/// Whoever is stopped between clone and execve stops nobody else.
#[test]
fn stopping_everybody_does_not_stop_rinit() {
    let stopper =
        "import os,signal,time\nwhile True:\n    os.kill(-1, signal.SIGSTOP)\n    time.sleep(0.001)\n";
    let config = r#"
        [defaults]
        stop_grace_period = "100ms"
        [services.stopper]
        command = ["/usr/bin/python3", "/mnt/files/stopper.py"]
        [services.a]
        command = "true"
        restart = "always"
        restart_policy = { delay = "0s" }
        [services.b]
        command = "true"
        restart = "always"
        restart_policy = { delay = "0s" }
    "#;
    for _ in 0..5 {
        let run = Init::RINIT.launch().config(config).file("stopper.py", stopper).start();
        run.the("stopper.py");
        let stopped = |name: &str| run.find(name).iter().any(|process| process.state == 'T');
        eventually("somebody is stopped", || stopped("true") || stopped("rinit"));
        let asked = Instant::now();
        run.signal(libc::SIGTERM);
        let ended = run.end();
        assert!(ended.at - asked < HEARD + ms(500), "{}", ended.story());
    }
}

/// A child that takes on other ids while it shares rinit's memory made PID 1 undumpable, and nobody without
/// `CAP_SYS_PTRACE` could open `/proc/1/fd/1`.
#[test]
fn the_user_of_a_service_leaves_rinit_as_it_was() {
    crate::harness::needs_root();
    let config = r#"
        [services.other]
        command = "sleep 1000"
        user = "1001:1001"
        [services.looks]
        type = "oneshot"
        command = ["sh", "-c", "readlink /proc/1/fd/1 && echo can look"]
        depends_on = ["other"]
    "#;
    let setpriv = Init { kind: Kind::Other, path: "/usr/bin/setpriv" };
    let words = ["--bounding-set=-sys_ptrace", INIT, "--config", "/mnt/files/rinit.toml"];
    let run = setpriv.launch().args(&words).file("rinit.toml", config).start();
    run.wait_for("can look");
    heard(run, 0);
}
