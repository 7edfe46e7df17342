//! Real nginx and redis under rinit.

use crate::engine::{Container, run};
use crate::eventually;
use crate::images::{Config, answers_pings, debian, serves_pages};
use std::time::Duration;

/// As an image with two daemons would be configured: a migration, then the cache, then the web server.
pub const WEB_AND_CACHE: &str = r#"
[services.migrate]
type = "oneshot"
command = ["sh", "-c", "echo migrated"]

[services.cache]
command = ["redis-server", "--save", "", "--bind", "0.0.0.0", "--protected-mode", "no"]
user = "redis"
depends_on = ["migrate"]
healthcheck = { tcp = 6379, interval = "200ms", retries = 25 }

[services.web]
command = "nginx -g 'daemon off;'"
depends_on = { migrate = "completed", cache = "healthy" }
stop_signal = "SIGQUIT"
stop_grace_period = "5s"
"#;

fn web_and_cache() -> (Container, Config) {
    let config = Config::new(WEB_AND_CACHE);
    let container = Container::start(&[&config.mount], debian(), &[]);
    eventually("nginx serves", || serves_pages(&container));
    eventually("redis answers", || answers_pings(&container));
    (container, config)
}

/// The first pid of this name that is not `but`.
fn pid_of(container: &Container, program: &str, but: Option<&str>) -> Option<String> {
    let found = container.exec(&["pgrep", "-o", "-x", program]).out.trim().to_owned();
    Some(found).filter(|pid| !pid.is_empty() && Some(pid.as_str()) != but)
}

fn place(log: &str, text: &str) -> usize {
    log.find(text).unwrap_or_else(|| panic!("no {text:?} in\n{log}"))
}

/// The order of the configuration is the order of the start, and both servers serve.
#[test]
fn nginx_and_redis_start_in_order_and_serve() {
    let (container, _config) = web_and_cache();
    let logs = container.logs();
    assert_eq!(logs.out.matches("migrated").count(), 1, "{logs:?}");
    let log = &logs.err;
    assert!(place(log, "migrate: exited with code 0") < place(log, "cache: started"), "{log}");
    assert!(place(log, "cache: started") < place(log, "cache: healthy"), "{log}");
    assert!(place(log, "cache: healthy") < place(log, "web: started"), "{log}");
    // Redis has the user that it was promised, and nginx its workers.
    let processes = container.exec(&["ps", "-eo", "user,comm,ppid"]).out;
    let redis = processes.lines().find(|line| line.contains("redis-server")).expect("redis");
    assert!(redis.starts_with("redis "), "{processes}");
}

/// A reverse-order stop: nginx ends its requests and is gone before redis is asked, quickly and with 0.
#[test]
fn docker_stop_stops_in_reverse_order_and_ends_with_0() {
    let (container, _config) = web_and_cache();
    let took = container.stop();
    assert_eq!(container.wait(), 0);
    assert!(took < Duration::from_secs(5), "{took:?}");
    let log = container.logs().err;
    let stopping = place(&log, "rinit: stopping");
    let (_, log) = log.split_at(stopping);
    assert!(place(log, "web: stopped (ran") < place(log, "cache: stopped (ran"), "{log}");
}

/// The kernel's OOM killer, or an operator: the master dies, its workers stay and hold port 80. They are cleared
/// away before the service is started again, so that it can be.
#[test]
fn a_killed_nginx_is_restarted_and_serves_again() {
    let (container, _config) = web_and_cache();
    let first = pid_of(&container, "nginx", None).expect("nginx");
    assert_eq!(container.exec(&["kill", "-KILL", &first]).code, 0);
    container.says("web: killed by SIGKILL");
    eventually("another nginx", || pid_of(&container, "nginx", Some(&first)));
    eventually("nginx serves again", || serves_pages(&container));
    assert_eq!(answers_pings(&container), Some(()), "redis was not disturbed");
    assert_eq!(container.logs().err.matches("cache: started").count(), 1);
    container.stop();
    assert_eq!(container.wait(), 0);
}

/// Redis is restarted alone: nginx, which depends on it, goes on serving.
#[test]
fn a_killed_redis_is_restarted_and_nginx_is_not_disturbed() {
    let (container, _config) = web_and_cache();
    let nginx = pid_of(&container, "nginx", None).expect("nginx");
    let first = pid_of(&container, "redis-server", None).expect("redis");
    assert_eq!(container.exec(&["kill", "-KILL", &first]).code, 0);
    eventually("another redis", || pid_of(&container, "redis-server", Some(&first)));
    eventually("redis answers again", || answers_pings(&container));
    assert_eq!(pid_of(&container, "nginx", None), Some(nginx));
    assert_eq!(serves_pages(&container), Some(()));
}

/// A COMMAND beside the services starts when they are healthy; its end is the end of all, with its code.
#[test]
fn a_command_beside_services_decides_the_exit_code() {
    let config = Config::new(WEB_AND_CACHE);
    let ran = run(&[&config.mount], debian(), &["--", "sh", "-c", "redis-cli ping; exit 7"]);
    assert_eq!(ran.code, 7, "{ran:?}");
    assert!(ran.out.contains("PONG"), "{ran:?}");
}

/// `docker stop` goes to the COMMAND, whose end stops the services.
#[test]
fn docker_stop_reaches_the_command_beside_services() {
    let config = Config::new(WEB_AND_CACHE);
    let script = "trap 'echo told; exit 9' TERM; echo ready; while :; do sleep 0.1; done";
    let container = Container::start(&[&config.mount], debian(), &["--", "sh", "-c", script]);
    container.says("ready");
    let took = container.stop();
    assert_eq!(container.wait(), 9);
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(container.logs().out.contains("told"));
}

/// A container that was killed starts clean: nothing on its disk is from the run before.
#[test]
fn a_container_that_was_killed_starts_again() {
    let (container, _config) = web_and_cache();
    container.signal("KILL");
    assert_eq!(container.wait(), 137);
    crate::engine::docker_ok(&["start", &container.name]);
    eventually("nginx serves", || serves_pages(&container));
    eventually("redis answers", || answers_pings(&container));
    container.stop();
    assert_eq!(container.wait(), 0);
}

/// Programs that daemonize leave orphans: PID 1 adopts them and buries them all.
#[test]
fn a_thousand_orphans_leave_no_zombie() {
    let script = "i=0; while [ $i -lt 1000 ]; do (sleep 0.2 &); i=$((i+1)); done; echo made; sleep 1000";
    let container = Container::start(&[], debian(), &["--", "sh", "-c", script]);
    container.says("made");
    eventually("no zombie, and no orphan", || {
        let states = container.exec(&["ps", "-C", "sleep", "-o", "stat="]).out;
        let zombies = states.lines().filter(|line| line.starts_with('Z')).count();
        (zombies == 0 && states.lines().count() == 1).then_some(())
    });
}
