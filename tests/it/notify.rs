//! `notify`, `watchdog`, `pid_file`: what services report on themselves.

use crate::harness::{Client, Init, eventually};
use crate::rinitctl::ctl;

/// Python that sends words to NOTIFY_SOCKET, as programs do without libsystemd.
const PYTHON: &str = r#"
import os, socket, sys, time
def notify(text, fds=()):
    to = os.environ["NOTIFY_SOCKET"]
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.connect("\0" + to[1:] if to[0] == "@" else to)
    socket.send_fds(s, [text.encode()], list(fds)) if fds else s.send(text.encode())
def wait(path):
    while not os.path.exists("/mnt/files/" + path):
        time.sleep(0.005)
def say(text):
    print(text, flush=True)
"#;

/// A configuration with one Python service `app` and these keys.
fn service(keys: &str, script: &str) -> String {
    format!("[services.app]\ncommand = [\"/usr/bin/python3\", \"-c\", '''{PYTHON}{script}''']\n{keys}\n")
}

const AFTER: &str = "[services.after]\ncommand = [\"echo\", \"after ran\"]\ndepends_on = [\"app\"]\nrestart = \"no\"\nessential = false\n";

#[test]
fn a_dependent_waits_until_a_service_says_that_it_is_ready() {
    let script = "
say('app up')
wait('go')
notify('STATUS=serving 7 clients\\nREADY=1')
time.sleep(1000)";
    for condition in ["started", "healthy"] {
        let after = AFTER.replace("[\"app\"]", &format!("{{ app = \"{condition}\" }}"));
        let run = Init::config(&(service("notify = \"systemd\"", script) + &after))
            .env("RINIT_SOCKET", Client::SOCKET)
            .start();
        run.wait_for("app up");
        let status = ctl(&run, &["status"]).out;
        assert!(status.contains("starting") && status.contains("waits for app"), "{status}");
        assert!(!run.out().contains("after ran"));
        std::fs::write(run.directory().join("go"), "").unwrap();
        run.wait_for("after ran");
        run.wait_for_err("app: ready");
        let status = ctl(&run, &["status"]).out;
        assert!(status.contains("serving 7 clients"), "{status}");
        run.stop().expect(0);
    }
}

/// `systemd-notify --ready` in a shell script: the sender is another process, and gone by the time that it is heard.
#[test]
fn another_process_of_the_service_may_say_it() {
    let script = "
if os.fork() == 0:
    notify('READY=1')
    os._exit(0)
time.sleep(1000)";
    let run = Init::config(&(service("notify = \"systemd\"\nuser = \"1000\"", script) + AFTER)).start();
    run.wait_for("after ran");
    run.stop().expect(0);
}

#[test]
fn a_newline_on_a_descriptor_is_readiness() {
    let config = r#"
        [services.app]
        command = ["sh", "-c", "printf 'text before' >&5; while ! [ -e /mnt/files/go ]; do sleep 0.01; done; echo >&5; exec 5>&-; exec sleep 1000"]
        notify = 5
        [services.after]
        command = ["sh", "-c", "ls /proc/self/fd >/mnt/files/fds; echo after ran"]
        depends_on = ["app"]
        restart = "no"
        essential = false
    "#;
    let run = Init::config(config).start();
    run.the("sh -c");
    assert!(!run.out().contains("after ran"));
    std::fs::write(run.directory().join("go"), "").unwrap();
    run.wait_for("after ran");
    assert!(!run.file("fds").contains('5'), "the descriptor is no other service's: {}", run.file("fds"));
    run.stop().expect(0);
}

#[test]
fn a_service_that_is_never_ready_fails_at_its_start_timeout() {
    for (notify, script, why) in [
        ("\"systemd\"", "time.sleep(1000)", "no READY=1 came to its NOTIFY_SOCKET"),
        ("3", "time.sleep(1000)", "no newline came on the descriptor of notify"),
        ("3", "os.close(3); time.sleep(1000)", "closed the descriptor of notify without a newline"),
    ] {
        let keys = format!("notify = {notify}\nstart_timeout = \"3s\"\nrestart = \"no\"");
        let ended = Init::config(&service(&keys, script)).run();
        assert_ne!(ended.code(), 0, "{}", ended.story());
        ended.tells(&["not ready within start_timeout", why]);
    }
}

#[test]
fn a_service_that_does_not_say_that_it_is_alive_is_restarted() {
    let script = "
assert os.environ['WATCHDOG_PID'] == str(os.getpid()), os.environ['WATCHDOG_PID']
assert os.environ['WATCHDOG_USEC'] == '1000000'
say('app up')
notify('READY=1')
for _ in range(10):
    time.sleep(0.2)
    notify('WATCHDOG=1')
say('app hangs')
time.sleep(1000)";
    let keys = "notify = \"systemd\"\nwatchdog = \"1s\"\nrestart_policy = { delay = \"10ms\" }";
    let run = Init::config(&service(keys, script)).start();
    eventually("it is restarted", || run.out().matches("app up").count() >= 2);
    assert!(run.out().starts_with("app up\napp hangs\napp up"), "{}", run.out());
    run.wait_for_err("no WATCHDOG=1 in time");
    run.stop().expect(0);
}

/// A keyless fault each.
#[test]
fn keys_that_can_never_act_are_faults() {
    for (keys, part) in [
        ("notify = 2", "expected \"systemd\", or the number of a descriptor from 3 to 255 (s6)"),
        ("notify = 'sytemd'", "expected \"systemd\", or the number of a descriptor"),
        ("watchdog = '1s'", "add notify = \"systemd\""),
        ("notify = 3\nwatchdog = '1s'", "add notify = \"systemd\""),
        ("pid_file = 'x.pid'", "is not an absolute path"),
        ("type = 'oneshot'\nnotify = 3", "a oneshot is done when it exits 0"),
    ] {
        let config = format!("[services.app]\ncommand = 'true'\n{keys}\n");
        Init::config(&config).run().expect(78).tells(&[part]);
    }
}
