//! Whom a stop reaches: `kill_mode`, and real programs that lose their work when all of their group is asked at once.

use crate::harness::{Init, Running, eventually};
use std::time::{Duration, Instant};

/// A shell that finishes what its child does; the child would die of TERM.
const FINISHES: &str = "trap 'echo asked; wait $!; echo over; exit 3' TERM; (echo job begun; sleep 0.5; echo job done) & wait $!";

/// The same with a `[services.NAME]` around it.
fn shell(keys: &str) -> String {
    format!("[services.job]\ncommand = [\"sh\", \"-c\", \"{FINISHES}\"]\n{keys}\n")
}

/// One check was enough to make TERM go to the whole group of the COMMAND: its shell lost its child.
#[test]
fn a_shell_finishes_with_its_child() {
    let one_check = "[checks.file.\"/proc/self/status\"]\n";
    let beside = "[services.beside]\ncommand = [\"sleep\", \"1000\"]\n";
    let starts = [
        Init::RINIT.sh(FINISHES),
        Init::config(one_check).sh(FINISHES),
        Init::config(beside).sh(FINISHES),
        Init::config(&shell("success_exit_codes = [3]")),
    ];
    for start in starts {
        let run = start.start();
        run.wait_for("job begun");
        let ended = run.stop();
        assert!(ended.out.contains("job begun\nasked\njob done\nover"), "{}", ended.story());
        assert!([0, 3].contains(&ended.code()), "{}", ended.story());
    }
}

/// For programs that rely on it, the old way remains; `-g` has the same effect on the COMMAND.
#[test]
fn a_group_is_asked_at_once_where_that_is_wanted() {
    let starts = [
        Init::config(&shell("kill_mode = \"group\"")),
        Init::config("[checks.file.\"/proc/self/status\"]\n").args(&["-g"]).sh(FINISHES),
        Init::config(&format!(
            "[services.main]\ncommand = [\"sh\", \"-c\", \"{FINISHES}\"]\nkill_mode = \"group\"\n"
        ))
        .sh(FINISHES),
    ];
    for start in starts {
        let run = start.start();
        run.wait_for("job begun");
        let ended = run.stop();
        assert!(!ended.out.contains("job done"), "{}", ended.story());
    }
}

/// What the first process leaves is asked when it has ended, and has what is left of the grace.
#[test]
fn what_a_leader_leaves_is_asked_and_then_killed() {
    let rest = "sh -c 'trap \\\"echo rest asked\\\" TERM; echo up; while :; do sleep 0.01; done' &";
    let config = format!(
        "[services.app]\ncommand = [\"sh\", \"-c\", \"\"\"trap 'echo asked; exit 0' TERM; {rest} while :; do sleep 0.01; done\"\"\"]\n\
         stop_grace_period = \"700ms\"\n"
    )
    .replace("\"\"\"", "\"");
    let run = Init::config(&config).nested().start();
    run.wait_for("up");
    let ended = run.stop().tells(&["app: did not stop within 7", "; killing its process group"]);
    assert!(ended.out.contains("asked\nrest asked\n"), "{}", ended.story());
    assert!(ended.left.is_empty(), "{:?}", ended.left);
    // It was asked to stop: that its first process ends before the others is no fault of it.
    assert!(!ended.err.contains("background"), "{}", ended.story());
}

/// `process`: nobody else is ever signalled, and a restart meets what was left.
#[test]
fn only_the_first_process_is_signalled() {
    let config = r#"
        [services.app]
        command = ["sh", "-c", "(trap 'echo asked' TERM; while :; do sleep 0.01; done) & echo up; sleep 0.1; exit 1"]
        kill_mode = "process"
        restart_policy = { delay = "1ms" }
        [services.beside]
        command = ["sleep", "1000"]
    "#;
    let run = Init::config(config).start();
    eventually("it was restarted", || run.out().matches("up").count() > 2);
    assert!(!run.out().contains("asked"), "{}", run.out());
    // The end of rinit is the end of all.
    run.stop().expect(0);
}

/// `all`: what has a group or a session of its own is asked and killed with the service.
#[test]
fn what_has_left_the_group_is_reached_too() {
    let config = |mode: &str| {
        format!(
            r#"
            [services.app]
            command = ["sh", "-c", "setsid sh -c 'trap \"echo away asked\" TERM; echo away up; while :; do sleep 0.01; done' & trap 'echo asked; exit 0' TERM; while :; do sleep 0.01; done"]
            kill_mode = "{mode}"
            stop_grace_period = "400ms"
            healthcheck = {{ exec = ["test", "!", "-e", "/mnt/files/sick"], interval = "10ms", retries = 1, start_period = "0s" }}
            restart_policy = {{ delay = "1ms" }}
            "#
        )
    };
    for (mode, reached) in [("mixed", false), ("all", true)] {
        let run = Init::config(&config(mode)).start();
        run.wait_for("away up");
        std::fs::write(run.directory().join("sick"), "").unwrap();
        run.wait_for_err("app: unhealthy");
        std::fs::remove_file(run.directory().join("sick")).unwrap();
        eventually("a second one", || run.out().matches("away up").count() >= 2);
        assert_eq!(run.out().contains("away asked"), reached, "{}\n{}", run.out(), run.err());
        if reached {
            run.wait_for_err("; killing its process group");
        }
        run.stop();
    }
}

/// Python takes its time to start where others build.
fn work_begins(run: &Running, text: &str) {
    let begin = Instant::now();
    while !format!("{}{}", run.out(), run.err()).contains(text) {
        assert!(begin.elapsed() < Duration::from_secs(30), "no work\n{}\n{}", run.out(), run.err());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Celery's main process finishes the running task; with its pool's processes asked too, the task was lost.
#[test]
fn celery_finishes_its_task() {
    let app = r#"
import time, celery
app = celery.Celery("tasks", broker="redis://127.0.0.1:6379/0")
app.conf.worker_hijack_root_logger = False
@app.task(acks_late=False)
def job():
    print("job begun", flush=True)
    time.sleep(1.5)
    print("job done", flush=True)
"#;
    let config = r#"
        [services.broker]
        command = ["redis-server", "--save", "", "--port", "6379"]
        healthcheck = { tcp = 6379, interval = "20ms", start_period = "10s" }
        [services.worker]
        command = ["sh", "-c", """
            mount -t tmpfs tmpfs /dev/shm # its pool has semaphores there
            exec /usr/bin/python3 -B -m celery -A tasks worker -c 1 --without-mingle --without-gossip --without-heartbeat"""]
        working_dir = "/mnt/files"
        depends_on = { broker = "healthy" }
        [services.ask]
        type = "oneshot"
        command = ["/usr/bin/python3", "-B", "-c", "import tasks; tasks.job.delay()"]
        working_dir = "/mnt/files"
        depends_on = { broker = "healthy" }
    "#;
    let run = Init::config(config).network().file("tasks.py", app).env("C_FORCE_ROOT", "1").start();
    work_begins(&run, "job begun");
    run.signal(libc::SIGTERM);
    // Its pool ends at its own pace after that.
    run.wait_for_err("job done");
}

/// gunicorn's workers finish their request and die by their master's word; asked by rinit too, the master warns.
#[test]
fn gunicorn_finishes_its_request_without_a_warning() {
    let app = r#"
import time
def app(environ, start_response):
    print("request begun", flush=True)
    time.sleep(0.7)
    start_response("200 OK", [("Content-Length", "8")])
    return [b"answered"]
"#;
    let client = r#"
import signal, time, urllib.request
signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    try:
        print(urllib.request.urlopen("http://127.0.0.1:8000").read(), flush=True)
        break
    except urllib.error.URLError:
        time.sleep(0.02)
"#;
    let config = r#"
        [services.web]
        command = ["/usr/bin/python3", "-B", "/usr/bin/gunicorn", "--bind", "127.0.0.1:8000", "--workers", "1", "--worker-tmp-dir", "/mnt/files", "web:app"]
        working_dir = "/mnt/files"
        healthcheck = { tcp = 8000, interval = "20ms", start_period = "10s" }
        [services.client]
        type = "oneshot"
        essential = false
        command = ["/usr/bin/python3", "-B", "client.py"]
        working_dir = "/mnt/files"
    "#;
    let run = Init::config(config).network().file("web.py", app).file("client.py", client).start();
    work_begins(&run, "request begun");
    let ended = run.stop();
    assert!(ended.out.contains("b'answered'"), "{}", ended.story());
    assert!(!ended.err.contains("WARNING") && !ended.err.contains("[ERROR]"), "{}", ended.story());
    assert!(ended.err.contains("Shutting down: Master"), "{}", ended.story());
}

/// Binds a port in a process that has left its group and session, and lost its parent: `$1` is how its first process
/// ends then.
const ESCAPES: &str = r#"
import os, signal, socket, sys, time
ready, told = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        held = socket.socket()
        try:
            held.bind(("127.0.0.1", 7654)); held.listen()
            print("bound", flush=True)
        except OSError as error:
            print("busy", flush=True)
        os.write(told, b"x")
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(1000)
    os._exit(0) if sys.argv[1] == "orphan" else time.sleep(1000)
os.read(ready, 1)
while not os.path.exists("/mnt/files/go"): time.sleep(0.01)
os._exit(1)
"#;

/// A port that an escaped child holds is free before the service is started again.
#[test]
fn a_restart_finds_the_port_free() {
    for (how, has_cgroups) in [("child", true), ("orphan", true), ("child", false), ("orphan", false)] {
        let config = r#"
            [services.app]
            command = ["/usr/bin/python3", "/mnt/files/escapes.py", "HOW"]
            kill_mode = "all"
            stop_grace_period = "100ms"
            restart_policy = { delay = "1ms" }
        "#;
        let launch = Init::config(&config.replace("HOW", how)).file("escapes.py", ESCAPES).network().nested();
        let run = if has_cgroups { launch } else { launch.hide("/sys/fs/cgroup") }.start();
        run.wait_for("bound");
        std::fs::write(run.directory().join("go"), "").unwrap();
        eventually("it has started again", || run.out().matches("bound").count() >= 3);
        std::fs::remove_file(run.directory().join("go")).unwrap();
        let ended = run.stop();
        assert!(!ended.out.contains("busy"), "{how}: {}", ended.story());
        assert!(ended.left.is_empty(), "{how}: {:?}", ended.left);
    }
}
