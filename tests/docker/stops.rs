//! A stop that comes at a bad moment: it ends at once, with a truthful code.

use crate::engine::Container;
use crate::images::{Config, debian, scratch};
use std::time::Duration;

/// A stop that needs the engine's KILL after 10 s would show in the time; an engine under load needs a second.
const AT_ONCE: Duration = Duration::from_secs(4);

/// `docker stop` in the first moment: the signal comes while rinit starts, and is not lost.
#[test]
fn right_after_the_start() {
    for _ in 0..5 {
        let container = Container::start(&[], scratch(), &["--", "sleep", "1000"]);
        container.has_begun();
        let took = container.stop();
        assert_eq!(container.wait(), 143);
        assert!(took < AT_ONCE, "{took:?}");
    }
}

/// The same with services: what was started is stopped, what was not is not started.
#[test]
fn right_after_the_start_of_services() {
    let config = Config::new(crate::services::WEB_AND_CACHE);
    for _ in 0..3 {
        let container = Container::start(&[&config.mount], debian(), &[]);
        container.has_begun();
        let took = container.stop();
        let code = container.wait();
        assert!(code == 0 || code == 143, "{code}: a stop, not a failure");
        assert!(took < AT_ONCE, "{took:?}");
    }
}

/// A check that goes on trying for 30 s does not hold up the stop.
#[test]
fn during_a_check_that_waits() {
    let config = Config::new("[checks.port.6379]\nstate = \"listening\"\nwait = \"30s\"\n");
    let container = Container::start(&[&config.mount], debian(), &["--", "echo", "main was run"]);
    // The check has begun when rinit has a helper beside itself.
    crate::eventually("the check's helper", || {
        let processes = crate::engine::docker(&["top", &container.name, "-o", "pid"]).out;
        (processes.lines().count() > 2).then_some(())
    });
    let took = container.stop();
    assert_eq!(container.wait(), 143);
    assert!(took < AT_ONCE, "{took:?}");
    assert_eq!(container.logs().out, "", "the command was not run");
}

/// A migration takes its time; the stop reaches it, and what waits for it is never started.
#[test]
fn during_a_oneshot() {
    let config = Config::new(
        r#"
[services.migrate]
type = "oneshot"
command = ["sh", "-c", "echo migrating; exec sleep 1000"]

[services.web]
command = ["sh", "-c", "echo web is up; exec sleep 1000"]
depends_on = ["migrate"]
"#,
    );
    let container = Container::start(&[&config.mount], debian(), &[]);
    container.says("migrating");
    let took = container.stop();
    let code = container.wait();
    assert!(code == 0 || code == 143, "{code}: a stop, not a failure");
    assert!(took < AT_ONCE, "{took:?}");
    assert!(!container.logs().out.contains("web is up"));
}

/// While a COMMAND still waits for its services there is nobody to send TERM to: it is a stop.
#[test]
fn while_the_command_waits_for_a_oneshot() {
    let config = Config::new(
        "[services.migrate]\ntype = \"oneshot\"\ncommand = [\"sh\", \"-c\", \"echo migrating; exec sleep 1000\"]\n",
    );
    let container = Container::start(&[&config.mount], debian(), &["--", "echo", "main was run"]);
    container.says("migrating");
    let took = container.stop();
    assert_eq!(container.wait(), 143);
    assert!(took < AT_ONCE, "{took:?}");
    assert!(!container.logs().out.contains("main was run"));
}

/// A service between two attempts: the backoff is no reason to wait.
#[test]
fn during_the_wait_before_a_restart() {
    let config = Config::new(
        "[services.failing]\ncommand = [\"sh\", \"-c\", \"echo tried; exit 3\"]\n\
         restart = \"always\"\nrestart_policy = { delay = \"1h\", max_delay = \"1h\" }\n",
    );
    let container = Container::start(&[&config.mount], debian(), &[]);
    container.says("restarting in 1h");
    let took = container.stop();
    let code = container.wait();
    assert!(took < AT_ONCE, "{took:?}");
    assert_eq!(container.logs().out.matches("tried").count(), 1);
    assert!(code == 0 || code == 3, "{code}: the stop was clean, or the service's own end is told");
}

/// A service that ignores TERM and a grandchild that does so too: killed after the grace, before the engine is.
#[test]
fn of_those_who_do_not_listen() {
    let config = Config::new(
        r#"
[services.stubborn]
command = ["sh", "-c", "trap '' TERM; (trap '' TERM; while :; do sleep 1; done) & echo ready; while :; do sleep 1; done"]
stop_grace_period = "1s"
"#,
    );
    let container = Container::start(&[&config.mount], debian(), &[]);
    container.says("ready");
    let took = container.stop();
    assert!(took > Duration::from_millis(900) && took < Duration::from_secs(6), "{took:?}");
    let log = container.logs().err;
    assert!(log.contains("stubborn: did not stop within 1s; killing it"), "{log}");
}

/// Root that has been denied the right to signal others' processes stops a service of another user all the same, and
/// what has left the service's group, and starts no second one beside one that it could not end.
#[test]
fn of_another_users_processes_without_the_capability_for_it() {
    let start = |config: &Config| {
        let options = ["--cap-drop=ALL", "--cap-add=SETUID", "--cap-add=SETGID", &config.mount];
        Container::start(&options, scratch(), &[])
    };
    let config = Config::new(
        r#"
[services.app]
command = ["sh", "-c", "trap 'echo asked; exit 0' TERM; setsid sleep 1000 & echo up; while :; do sleep 0.1; done"]
user = "1000:1000"
"#,
    );
    let container = start(&config);
    container.says("up");
    let took = container.stop();
    assert_eq!(
        (container.wait(), container.logs().out.contains("asked")),
        (0, true),
        "{:?}",
        container.logs()
    );
    assert!(took < AT_ONCE, "{took:?}");

    let config = Config::new(
        r#"
[services.app]
command = ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.1; done"]
user = "1000:1000"
stop_grace_period = "200ms"
healthcheck = { exec = ["false"], interval = "100ms", retries = 1, start_period = "0s" }
restart_policy = { delay = "10ms" }
"#,
    );
    let container = start(&config);
    crate::eventually("restarts", || (container.logs().out.matches("up").count() > 3).then_some(()));
    let shells = crate::engine::docker(&["top", &container.name, "-o", "args"]).out;
    assert!(shells.lines().filter(|line| line.contains("trap")).count() <= 1, "{shells}");
    container.stop();
    container.wait();
}
