//! `docs/migration.md`, "What a user of each finds": each row names its test here, and each test here has its row.

use super::rinitctl::good;
use crate::harness::{Client, Ended, Init, Running, eventually};
use std::io::Read as _;

fn start(config: &str) -> (Running, Client) {
    let run = Init::config(config).env("RINIT_SOCKET", Client::SOCKET).start();
    let client = Client::of(&run);
    (run, client)
}

#[track_caller]
fn run(config: &str, code: i32) -> Ended {
    Init::config(config).run().expect(code)
}

#[track_caller]
fn is_off_until_it_is_started() {
    let (run, mut client) =
        start("when_idle = 'stay'\n[services.app]\ncommand = 'sleep 1000'\nenabled = false");
    assert_eq!(client.state("app"), "off");
    good(&run, &["start", "app"]);
    assert_eq!(client.state("app"), "running");
    run.stop().expect(0);
}

/// A shell that says what signals it gets, and ends with TERM.
const SAYS: &str = r#"["sh", "-c", "for s in HUP USR1 ALRM INT; do trap \"echo got $s\" $s; done; trap 'echo got TERM; exit 0' TERM; echo up; while :; do sleep 0.01; done"]"#;

#[test]
fn each_row_has_its_test_and_each_test_its_row() {
    let page = include_str!("../../docs/migration.md");
    let section = page.split("## What a user of each finds\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows: Vec<&str> = section
        .lines()
        .filter(|line| line.starts_with("| ") && line.ends_with("` |"))
        .map(|line| line.trim_end_matches("` |").rsplit('`').next().unwrap())
        .collect();
    let own = include_str!("other_inits.rs");
    let tests: Vec<&str> =
        own.split("#[test]\nfn ").skip(2).map(|rest| rest.split('(').next().unwrap()).collect();
    for row in &rows {
        assert!(tests.contains(row), "the row of {row} has no test");
    }
    for test in &tests {
        assert_eq!(rows.iter().filter(|row| *row == test).count(), 1, "the test {test} has no row");
    }
    assert!(rows.len() > 30, "{rows:?}");
}

// SysV init, BusyBox init

#[test]
fn init_respawn() {
    let run = Init::config(
        "[services.getty]\ncommand = 'echo login'\nrestart = 'always'\nrestart_policy = { delay = '1ms', max_delay = '1ms' }",
    )
    .start();
    eventually("it was started again", || run.out().matches("login").count() > 3);
    run.stop().expect(0);
}

#[test]
fn init_wait() {
    let config = r#"
        [services.fsck]
        type = "oneshot"
        command = ["sh", "-c", "sleep 0.1; echo checked"]
        [services.mount]
        type = "oneshot"
        command = "echo mounted"
        depends_on = ["fsck"]
    "#;
    assert_eq!(run(config, 0).out, "checked\nmounted\n");
}

#[test]
fn init_once() {
    let config = r#"
        [services.motd]
        command = "echo hello"
        restart = "no"
        essential = false
        [services.app]
        command = "sleep 1000"
    "#;
    let (run, mut client) = start(config);
    client.wait_for("motd", "done");
    client.wait_for("app", "running");
    assert_eq!(run.stop().expect(0).out, "hello\n");
}

#[test]
fn init_ctrlaltdel() {
    // The kernel sends INT: all of it stops, or what the file says.
    let run = Init::config(&format!("[services.app]\ncommand = {SAYS}")).start();
    run.wait_for("up");
    run.signal(libc::SIGINT);
    assert!(run.end().expect(0).out.contains("got TERM"));
    let config =
        format!("[services.app]\ncommand = {SAYS}\n[signals]\nINT = {{ service = 'app', signal = 'USR1' }}");
    let run = Init::config(&config).start();
    run.wait_for("up");
    run.signal(libc::SIGINT);
    run.wait_for("got USR1");
    run.stop().expect(0);
}

#[test]
fn init_shutdown() {
    let config = r#"
        [services.app]
        command = ["sh", "-c", "trap 'echo app ends; exit 0' TERM; echo up; while :; do sleep 0.01; done"]
        post_stop = ["echo", "shut down"]
    "#;
    let run = Init::config(config).start();
    run.wait_for("up");
    assert_eq!(run.stop().expect(0).out, "up\napp ends\nshut down\n");
}

#[test]
fn init_runlevel() {
    let config = r#"
        [services.rescue]
        type = "oneshot"
        command = "echo rescue"
        profiles = ["single"]
        [services.app]
        type = "oneshot"
        command = "echo app"
        profiles = ["multi"]
    "#;
    for (level, out) in [("single", "rescue\n"), ("multi", "app\n")] {
        assert_eq!(Init::config(config).args(&["--profile", level]).run().expect(0).out, out);
    }
}

// Upstart

#[test]
fn upstart_start_on_started() {
    let config = r#"
        [services.db]
        command = "sleep 1000"
        healthcheck = { file = "/mnt/files/ready", interval = "10ms", start_period = "1000s" }
        [services.web]
        command = "sleep 1001"
        depends_on = { db = "healthy" }
    "#;
    let (run, mut client) = start(config);
    client.wait_for("db", "running");
    assert_eq!(client.state("web"), "waiting");
    std::fs::write(run.directory().join("ready"), "").unwrap();
    client.wait_for("web", "running");
    run.stop().expect(0);
}

#[test]
fn upstart_start_on_stopped() {
    let config = r#"
        [services.setup]
        type = "oneshot"
        command = "echo set up"
        [services.app]
        type = "oneshot"
        command = "echo app"
        depends_on = { setup = "completed" }
    "#;
    assert_eq!(run(config, 0).out, "set up\napp\n");
}

#[test]
fn upstart_start_on_environment_and_files() {
    let config = r#"
        [services.tls]
        type = "oneshot"
        command = "echo tls"
        when_env = "TLS=on|yes"
        [services.data]
        type = "oneshot"
        command = "echo data"
        when_exists = "/mnt/files/data"
    "#;
    assert_eq!(Init::config(config).run().expect(0).out, "");
    let both = Init::config(config).env("TLS", "yes").file("data", "").run().expect(0);
    let mut lines: Vec<&str> = both.out.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["data", "tls"]);
}

#[test]
fn upstart_respawn_limit() {
    let config = r#"
        [services.app]
        command = "false"
        restart_policy = { delay = "1ms", max_attempts = 2, window = "100s" }
    "#;
    let ended = run(config, 1);
    assert_eq!(ended.err.matches("app: started").count(), 3, "{}", ended.story());
}

#[test]
fn upstart_scripts() {
    let config = r#"
        [services.app]
        command = ["sh", "-c", "echo app; exit 3"]
        restart = "no"
        pre_start = ["echo", "before"]
        post_stop = ["sh", "-c", "echo after $RINIT_EXIT_CODE"]
    "#;
    assert_eq!(run(config, 3).out, "before\napp\nafter 3\n");
    // A failed one before the start is a failed start.
    let failed = Init::config(&config.replace("[\"echo\", \"before\"]", "\"false\"")).run();
    assert!(!failed.out.contains("app"), "{}", failed.story());
}

#[test]
fn upstart_manual() {
    is_off_until_it_is_started();
}

#[test]
fn upstart_kill_timeout() {
    let config = r#"
        [services.app]
        command = ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.01; done"]
        stop_grace_period = "200ms"
    "#;
    let run = Init::config(config).start();
    run.wait_for("up");
    run.stop().tells(&["app: did not stop within ", "; killing"]);
}

#[test]
fn upstart_normal_exit() {
    let ended = run("[services.app]\ncommand = ['sh', '-c', 'exit 3']\nsuccess_exit_codes = [3]", 0);
    assert_eq!(ended.err.matches("app: started").count(), 1, "{}", ended.story());
}

#[test]
fn upstart_instance() {
    let config = "[services.worker]\nreplicas = 2\ntype = 'oneshot'\ncommand = 'echo ${RINIT_INSTANCE}'";
    let ended = run(config, 0);
    let mut lines: Vec<&str> = ended.out.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["1", "2"]);
}

#[test]
fn upstart_expect_fork() {
    let run = Init::config(&FORKS.replace("KEYS", "")).start();
    run.wait_for("daemon up");
    run.wait_for("after ran");
    run.wait_for_err("app: its main process is pid");
    let ended = run.stop().expect(0);
    assert!(ended.out.contains("daemon ends"), "{}", ended.story());
}

/// A program that puts itself into the background, and one that waits for it.
const FORKS: &str = r#"
    [services.app]
    command = ["sh", "-c", """
        sh -c 'trap "echo daemon ends; exit 0" TERM; echo daemon up; while :; do sleep 0.01; done' &
        echo $! > /mnt/files/app.pid"""]
    pid_file = "/mnt/files/app.pid"
    KEYS
    [services.after]
    command = ["echo", "after ran"]
    depends_on = ["app"]
    restart = "no"
    essential = false
"#;

// systemd

#[test]
fn systemd_type_forking() {
    let (run, mut client) = start(&FORKS.replace("KEYS", "restart_policy = { delay = '1ms' }"));
    run.wait_for("daemon up");
    let main = || run.file("app.pid").trim().parse::<i32>().ok();
    eventually("it is followed", || {
        main().is_some()
            && client.service("app").number("pid").and_then(|pid| i32::try_from(pid).ok()) == main()
    });
    // Its end is the service's.
    let daemon = run.processes().into_iter().find(|process| Some(process.pid) == main()).expect("the daemon");
    run.signal_to(&daemon, libc::SIGKILL);
    eventually("it is started again", || run.err().matches("app: its main process is pid").count() == 2);
    run.stop().expect(0);
}

/// Python that waits for a file, then says that it is ready, and no more.
const SAYS_READY: &str = r#"
import os, socket, time
print("up", flush=True)
while not os.path.exists("/mnt/files/go"): time.sleep(0.01)
to = os.environ["NOTIFY_SOCKET"]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect("\0" + to[1:] if to[0] == "@" else to)
s.send(b"READY=1")
time.sleep(1000)
"#;

#[test]
fn systemd_type_notify() {
    let config = r#"
        [services.app]
        command = ["/usr/bin/python3", "/mnt/files/ready.py"]
        notify = "systemd"
        [services.next]
        command = ["echo", "next"]
        restart = "no"
        essential = false
        depends_on = ["app"]
    "#;
    let run = Init::config(config).file("ready.py", SAYS_READY).start();
    run.wait_for("up");
    assert!(!run.out().contains("next"));
    std::fs::write(run.directory().join("go"), "").unwrap();
    run.wait_for("next");
    run.stop().expect(0);
}

#[test]
fn systemd_watchdog() {
    let config = r#"
        [services.app]
        command = ["/usr/bin/python3", "/mnt/files/ready.py"]
        notify = "systemd"
        watchdog = "300ms"
        restart_policy = { delay = "1ms" }
    "#;
    let run = Init::config(config).file("ready.py", SAYS_READY).file("go", "").start();
    eventually("it is started again", || run.out().matches("up").count() >= 2);
    run.wait_for_err("no WATCHDOG=1 in time");
    run.stop().expect(0);
}

#[test]
fn systemd_type_simple_and_exec() {
    let config = "[services.app]\ncommand = 'sleep 1000'\n[services.next]\ncommand = 'sleep 1001'\ndepends_on = ['app']";
    let (run, mut client) = start(config);
    client.wait_for("next", "running");
    run.stop().expect(0);
    // A program that is not there is a failed start: what needs it does not start.
    let ended = self::run(&config.replace("sleep 1000", "/no/such/program"), 127);
    assert!(!ended.err.contains("next: started"), "{}", ended.story());
}

/// Python that serves descriptor 3, telling its pid.
const SERVES: &str = r#"
import os, socket
print("up", os.environ["LISTEN_FDS"], os.environ["LISTEN_FDNAMES"], os.environ["LISTEN_PID"] == str(os.getpid()), flush=True)
s = socket.socket(fileno=3)
while True:
    c, _ = s.accept()
    c.sendall(str(os.getpid()).encode())
    c.close()
"#;

/// A connection to the socket, and what is said on it: nobody is refused, whatever the service does.
fn ask(run: &Running) -> String {
    let mut answer = String::new();
    let mut stream =
        std::os::unix::net::UnixStream::connect(run.directory().join("web.sock")).expect("refused");
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn systemd_socket() {
    let config = r#"
        [services.web]
        command = ["/usr/bin/python3", "/mnt/files/serves.py"]
        sockets.http = "/mnt/files/web.sock"
        start = "on-demand"
    "#;
    let run = Init::config(config).file("serves.py", SERVES).env("RINIT_SOCKET", Client::SOCKET).start();
    let mut client = Client::of(&run);
    eventually("it listens", || run.directory().join("web.sock").exists());
    assert!(!run.out().contains("up"), "{}", run.out());
    // The first connection starts it.
    let first = ask(&run);
    assert_eq!(client.service("web").number("pid").map(|pid| pid.to_string()), Some(first.clone()));
    run.wait_for("up 1 http True");
    run.stop().expect(0);
}

#[test]
fn systemd_type_oneshot() {
    let config = "[services.job]\ntype = 'oneshot'\ncommand = 'true'\n[services.app]\ncommand = 'sleep 1000'\ndepends_on = ['job']";
    let (run, mut client) = start(config);
    client.wait_for("app", "running");
    // It remains done after its exit.
    assert_eq!(client.state("job"), "done");
    run.stop().expect(0);
}

#[test]
fn systemd_restart() {
    let config =
        |keys: &str, code: u8| format!("[services.app]\ncommand = ['sh', '-c', 'exit {code}']\n{keys}\n");
    for (keys, code, starts) in [
        ("restart = 'on-failure:2'\nrestart_policy = { delay = '1ms' }", 1, 3),
        ("restart = 'no'", 1, 1),
        ("restart = 'on-failure'", 0, 1),
        ("restart = 'always'\nrestart_policy = { delay = '1ms', max_attempts = 2 }", 0, 3),
        ("restart = 'always'\nrestart_policy = { never_on = [7] }", 7, 1),
        ("restart = 'no'\nrestart_policy = { delay = '1ms', max_attempts = 1, always_on = [5] }", 5, 2),
    ] {
        let ended = Init::config(&config(keys, code)).run();
        assert_eq!(ended.err.matches("app: started").count(), starts, "{keys}: {}", ended.story());
    }
}

#[test]
fn systemd_conditions() {
    let config = r#"
        [services.migrate]
        type = "oneshot"
        command = "echo migrated"
        when_missing = "/mnt/files/done"
        when_user = "root"
        [services.app]
        type = "oneshot"
        command = "echo app"
        depends_on = ["migrate"]
    "#;
    assert_eq!(run(config, 0).out, "migrated\napp\n");
    // One that does not hold counts as satisfied.
    assert_eq!(Init::config(config).file("done", "").run().expect(0).out, "app\n");
}

#[test]
fn systemd_requires_wants_and_part_of() {
    let config = |edge: &str| {
        format!(
            "[services.db]\ncommand = 'false'\nrestart = 'no'\nessential = false\n[services.app]\ntype = 'oneshot'\ncommand = 'echo app'\n{edge}\n"
        )
    };
    assert_eq!(Init::config(&config("depends_on = { db = 'healthy' }")).run().code(), 78);
    let ended = Init::config(&config("depends_on = { db = 'completed' }")).run();
    assert!(!ended.out.contains("app"), "{}", ended.story());
    let wants = config("depends_on = { db = { condition = 'completed', required = false } }");
    assert_eq!(Init::config(&wants).run().out, "app\n");
    assert_eq!(Init::config(&config("after = ['db']")).run().out, "app\n");
    // PartOf: restarted with it.
    let config = "[services.db]\ncommand = 'sleep 1000'\n[services.app]\ncommand = 'sleep 1001'\ndepends_on = { db = { restart = true } }";
    let (run, mut client) = start(config);
    client.wait_for("app", "running");
    let before = client.service("app").number("pid");
    good(&run, &["restart", "db"]);
    client.wait_for("app", "running");
    assert_ne!(client.service("app").number("pid"), before);
    run.stop().expect(0);
}

#[test]
fn systemd_exec_start_pre_and_its_sisters() {
    let config = r#"
        [services.app]
        command = ["sh", "-c", "trap 'echo app ends; exit 0' TERM; touch /mnt/files/up; while :; do sleep 0.01; done"]
        pre_start = ["echo", "pre"]
        post_start = ["sh", "-c", "until [ -e /mnt/files/up ]; do sleep 0.01; done; echo post"]
        pre_stop = ["echo", "stop"]
        post_stop = ["sh", "-c", "echo stopped $RINIT_SERVICE"]
        [services.next]
        command = ["echo", "next"]
        restart = "no"
        essential = false
        depends_on = ["app"]
    "#;
    let run = Init::config(config).start();
    // What needs it waits for what comes after its start.
    run.wait_for("next");
    assert_eq!(run.stop().expect(0).out, "pre\npost\nnext\nstop\napp ends\nstopped app\n");
}

#[test]
fn systemd_exec_condition() {
    let config = r#"
        [checks.file.ready]
        path = "/mnt/files/ready"
        [services.app]
        command = ["sh", "-c", "echo up; exec sleep 1000"]
        checks = ["file.ready"]
        restart_policy = { delay = "1ms", max_delay = "1ms" }
        [services.other]
        command = "sleep 1001"
    "#;
    let run = Init::config(config).start();
    run.wait_for_err("app: check file /mnt/files/ready failed");
    assert_eq!(run.out(), "");
    std::fs::write(run.directory().join("ready"), "").unwrap();
    run.wait_for("up");
    run.stop().expect(0);
}

#[test]
fn systemd_kill_mode() {
    let config = |mode: &str| {
        format!(
            r#"
            [services.app]
            command = ["sh", "-c", "sh -c 'trap \"echo child; exit 0\" TERM; echo up; while :; do sleep 0.01; done' & trap 'echo first; exit 0' TERM; while :; do sleep 0.01; done"]
            kill_mode = "{mode}"
            "#
        )
    };
    for (mode, child) in [("group", true), ("mixed", true), ("all", true)] {
        let run = Init::config(&config(mode)).start();
        run.wait_for("up");
        let ended = run.stop().expect(0);
        assert_eq!(ended.out.contains("child"), child, "{mode}: {}", ended.story());
        // The first process alone is asked, and what it leaves after it.
        if mode == "mixed" {
            assert!(ended.out.contains("first\nchild"), "{}", ended.story());
        }
    }
    let (run, mut client) = start(&(config("process") + "[services.beside]\ncommand = 'sleep 1000'"));
    run.wait_for("up");
    good(&run, &["stop", "app"]);
    assert_eq!(client.state("app"), "stopped");
    assert!(!run.out().contains("child"), "{}", run.out());
    run.stop();
}

#[test]
fn systemd_timeouts() {
    for (keys, told) in [
        (
            "start_timeout = '100ms'\nhealthcheck = { exec = 'false', interval = '10ms', start_period = '100s' }",
            "not ready",
        ),
        ("run_timeout = '100ms'", "run_timeout"),
    ] {
        let config = format!("[services.app]\ncommand = 'sleep 1000'\nrestart = 'no'\n{keys}");
        let ended = Init::config(&config).run();
        assert_ne!(ended.code(), 0, "{told}: {}", ended.story());
    }
}

#[test]
fn systemd_rights_and_limits() {
    crate::harness::needs_root();
    let config = r#"
        [services.app]
        type = "oneshot"
        command = ["sh", "-c", "id -u; id -g; ulimit -n; nice; grep -E '^(NoNewPrivs|CapAmb)' /proc/self/status; pwd; umask; echo $A"]
        user = "1234:99"
        ulimits = { nofile = 77 }
        nice = 5
        no_new_privileges = true
        cap_add = ["NET_BIND_SERVICE"]
        working_dir = "/mnt/files"
        umask = "0027"
        env_file = "app.env"
    "#;
    let ended = Init::config(config).file("app.env", "A=1\n").run().expect(0);
    let words: Vec<&str> = ended.out.split_whitespace().collect();
    let want = "1234 99 77 5 NoNewPrivs: 1 CapAmb: 0000000000000400 /mnt/files 0027 1";
    assert_eq!(
        words.join(" "),
        want.replace("NoNewPrivs: 1 CapAmb: 0000000000000400", "CapAmb: 0000000000000400 NoNewPrivs: 1")
    );
}

// runit, daemontools

#[test]
fn runit_run() {
    let ended = run("[services.app]\ntype = 'oneshot'\ncommand = ['sh', '-c', 'echo $0 $1', 'a b', 'c']", 0);
    assert_eq!(ended.out, "a b c\n");
}

#[test]
fn runit_log() {
    let config = r#"
        [services.app]
        type = "oneshot"
        command = ["sh", "-c", "for n in 1 2 3 4 5 6 7 8 9; do echo line $n of the log; done"]
        logging = { driver = "file", file = "/mnt/files/current", max_size = "64B", max_file = 3 }
    "#;
    let run = Init::config(config).start();
    eventually("it was rotated", || run.file("current").contains("line 9"));
    assert!(run.file("current.1").contains("of the log") && run.directory().join("current.2").exists());
    assert!(!run.directory().join("current.3").exists());
    run.end().expect(0);
}

#[test]
fn runit_finish() {
    let config = r#"
        [services.app]
        command = ["sh", "-c", "kill -9 $$$$"]
        restart = "no"
        post_stop = ["sh", "-c", "echo $RINIT_SERVICE $RINIT_EXIT_CODE $RINIT_EXIT_SIGNAL"]
    "#;
    assert_eq!(run(config, 137).out, "app SIGKILL\n");
}

#[test]
fn runit_check() {
    let config = r#"
        [services.app]
        command = "sleep 1000"
        healthcheck = { exec = ["test", "-e", "/mnt/files/up"], interval = "10ms", start_period = "1000s" }
    "#;
    let (run, mut client) = start(config);
    client.wait_for("app", "running");
    assert_eq!(client.service("app").text("health"), Some("starting"));
    std::fs::write(run.directory().join("up"), "").unwrap();
    good(&run, &["wait", "--healthy", "app"]);
    run.stop().expect(0);
}

#[test]
fn runit_down_file() {
    let (run, mut client) =
        start("when_idle = 'stay'\n[services.app]\ncommand = 'sleep 1000'\nenabled = false");
    assert_eq!(client.state("app"), "off");
    run.stop().expect(0);
}

#[test]
fn runit_sv() {
    let (run, mut client) =
        start(&format!("when_idle = 'stay'\n[services.app]\ncommand = {SAYS}\nrestart = 'always'"));
    run.wait_for("up");
    for signal in ["HUP", "USR1", "ALRM", "INT"] {
        good(&run, &["signal", signal, "app"]);
        run.wait_for(&format!("got {signal}"));
    }
    // Down and up, restart; paused and continued.
    good(&run, &["stop", "app"]);
    assert_eq!(client.state("app"), "stopped");
    good(&run, &["start", "app"]);
    good(&run, &["restart", "app"]);
    eventually("it was started three times", || run.out().matches("up\n").count() == 3);
    let pid = client.service("app").number("pid").unwrap();
    good(&run, &["signal", "STOP", "app"]);
    let state =
        || run.processes().into_iter().find(|process| process.pid as u64 == pid).map(|process| process.state);
    eventually("it is paused", || state() == Some('T'));
    good(&run, &["signal", "CONT", "app"]);
    eventually("it goes on", || state() != Some('T'));
    run.stop().expect(0);
}

#[test]
fn runit_chpst() {
    crate::harness::needs_root();
    let config = r#"
        [services.app]
        type = "oneshot"
        command = ["sh", "-c", "echo $(id -u) $(ulimit -c) $A"]
        user = "1234"
        ulimits = { core = 0 }
        environment = { A = "1" }
    "#;
    assert_eq!(run(config, 0).out, "1234 0 1\n");
}

// s6

#[test]
fn s6_readiness() {
    let config = r#"
        [services.app]
        command = ["sh", "-c", "until [ -e /mnt/files/go ]; do sleep 0.01; done; echo >&3; exec sleep 1000"]
        notify = 3
        [services.next]
        command = ["echo", "next"]
        restart = "no"
        essential = false
        depends_on = ["app"]
    "#;
    let (run, mut client) = start(config);
    client.wait_for("next", "waiting");
    std::fs::write(run.directory().join("go"), "").unwrap();
    run.wait_for("next");
    run.stop().expect(0);
}

#[test]
fn s6_fdholder() {
    let config = r#"
        [services.web]
        command = ["/usr/bin/python3", "/mnt/files/serves.py"]
        sockets.http = "/mnt/files/web.sock"
        restart_policy = { delay = "1ms" }
    "#;
    let run = Init::config(config).file("serves.py", SERVES).env("RINIT_SOCKET", Client::SOCKET).start();
    run.wait_for("up 1 http True");
    let first = ask(&run);
    good(&run, &["restart", "web"]);
    // Nobody closed it in between: another process serves the same one.
    assert_ne!(ask(&run), first);
    run.stop().expect(0);
}

#[test]
fn s6_oneshot() {
    let config = r#"
        [services.init]
        type = "oneshot"
        command = { directory = "/mnt/files/init.d", trusted = true }
        [services.app]
        type = "oneshot"
        command = "echo app"
        depends_on = ["init"]
    "#;
    let ended = Init::config(config)
        .file_with_mode("init.d/01-first", "#!/bin/sh\necho first\n", 0o755)
        .run()
        .expect(0);
    assert_eq!(ended.out, "01-first | first\napp\n");
}

#[test]
fn s6_log_rotation() {
    let config = r#"
        [services.app]
        command = ["sh", "-c", "echo before; until [ -e /mnt/files/go ]; do sleep 0.01; done; echo after; exec sleep 1000"]
        logging = { driver = "file", file = "/mnt/files/log", timestamps = true }
    "#;
    let (run, _) = start(config);
    eventually("it writes", || run.file("log").contains("before"));
    std::fs::rename(run.directory().join("log"), run.directory().join("log.old")).unwrap();
    good(&run, &["logs", "--reopen"]);
    std::fs::write(run.directory().join("go"), "").unwrap();
    eventually("it writes to a new one", || run.file("log").contains("after"));
    assert!(run.file("log.old").starts_with("20"), "a timestamp: {}", run.file("log.old"));
    run.stop().expect(0);
}

#[test]
fn s6_death_tally() {
    let ended = run(
        "[services.app]\ncommand = ['sh', '-c', 'exit 4']\nrestart_policy = { delay = '1ms', max_attempts = 1 }",
        4,
    );
    assert_eq!(ended.err.matches("app: started").count(), 2, "{}", ended.story());
}

// supervisord

#[test]
fn supervisord_autostart() {
    is_off_until_it_is_started();
}

#[test]
fn supervisord_startsecs() {
    let config = r#"
        [services.app]
        command = ["sh", "-c", "until [ -e /mnt/files/stays ]; do exit 0; done; exec sleep 1000"]
        min_uptime = "200ms"
        restart_policy = { delay = "1ms", max_delay = "1ms" }
        [services.next]
        command = ["echo", "next"]
        restart = "no"
        essential = false
        depends_on = ["app"]
    "#;
    let run = Init::config(config).start();
    // An end before that is a failed start, even with 0.
    eventually("it was started again", || run.err().matches("app: started").count() > 2);
    assert!(!run.out().contains("next"), "{}", run.out());
    std::fs::write(run.directory().join("stays"), "").unwrap();
    run.wait_for("next");
    run.stop().expect(0);
}

#[test]
fn supervisord_exitcodes() {
    let ended = run("[services.app]\ncommand = ['sh', '-c', 'exit 2']\nsuccess_exit_codes = [0, 2]", 0);
    assert_eq!(ended.err.matches("app: started").count(), 1, "{}", ended.story());
}

#[test]
fn supervisord_stopasgroup() {
    let config = r#"
        [services.app]
        command = ["sh", "-c", "sh -c 'trap \"echo child; exit 0\" TERM; echo up; while :; do sleep 0.01; done' & trap 'wait; exit 0' TERM; while :; do sleep 0.01; done"]
        kill_mode = "group"
    "#;
    let run = Init::config(config).start();
    run.wait_for("up");
    assert!(run.stop().expect(0).out.contains("child"));
}

#[test]
fn supervisord_numprocs() {
    let config = "[services.app]\nreplicas = 2\ntype = 'oneshot'\ncommand = ['echo', 'app ${RINIT_INSTANCE}']\nlogging = 'prefix'";
    let ended = run(config, 0);
    assert!(
        ended.out.contains("app.1 | app 1\n") && ended.out.contains("app.2 | app 2\n"),
        "{}",
        ended.story()
    );
}

#[test]
fn supervisord_priority() {
    let config = "[services.b]\ncommand = ['sh', '-c', 'echo b; exec sleep 1000']\nafter = ['a']\n[services.a]\ntype = 'oneshot'\ncommand = 'echo a'";
    let run = Init::config(config).start();
    run.wait_for("b");
    assert_eq!(run.stop().expect(0).out, "a\nb\n");
}

#[test]
fn supervisord_eventlistener() {
    let config = r#"
        [services.app]
        command = ["sh", "-c", "until [ -e /mnt/files/go ]; do sleep 0.01; done; exit 3"]
        restart = "no"
        essential = false
        [services.listener]
        command = ["sh", "-c", "/mnt/rinit --ctl events -f --json app > /mnt/files/events"]
    "#;
    let (run, mut client) = start(config);
    client.wait_for("listener", "running");
    std::fs::write(run.directory().join("go"), "").unwrap();
    eventually("it heard of the end", || {
        let text = run.file("events");
        text.contains("\"exited\"") && text.contains("\"code\":3")
    });
    run.stop();
}

#[test]
fn supervisord_rpc() {
    let (run, mut client) = start("[services.app]\ncommand = 'sleep 1000'");
    client.wait_for("app", "running");
    let before = client.service("app").number("pid");
    client.order(r#"{"verb":"restart","names":["app"]}"#);
    eventually("another one runs", || {
        let row = client.service("app");
        row.text("state") == Some("running") && row.number("pid") != before
    });
    run.stop().expect(0);
}
