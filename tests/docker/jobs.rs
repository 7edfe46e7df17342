//! Work that is under way when the container is stopped: it is finished, and what was to be saved is.

use crate::engine::{Container, docker_ok};
use crate::eventually;
use crate::images::{Config, answers_pings, ask, debian};

/// A shell that waits for its job when it is asked to stop: one check in a configuration was enough to end the job too.
#[test]
fn a_shell_finishes_its_job() {
    let config = Config::new("[checks.file.\"/etc/passwd\"]\n");
    let script =
        "trap 'echo asked; wait $!; echo over; exit 0' TERM; (echo begun; sleep 1; echo done) & wait $!";
    let container = Container::start(&[&config.mount], debian(), &["--", "sh", "-c", script]);
    container.says("begun");
    container.stop();
    assert_eq!((container.wait(), container.logs().out.as_str()), (0, "begun\nasked\ndone\nover\n"));
}

/// Two TERMs within milliseconds, as `timeout` before `docker run` sends them: redis saves its data and ends with 0.
#[test]
fn redis_saves_its_data_at_a_doubled_term() {
    let config = Config::new(
        "[services.redis]\ncommand = [\"redis-server\", \"--save\", \"3600 1\", \"--bind\", \"0.0.0.0\", \"--protected-mode\", \"no\", \"--dir\", \"/var/lib/redis\", \"--rdb-key-save-delay\", \"50000\"]\n",
    );
    let container = Container::start(&[&config.mount], debian(), &[]);
    eventually("redis answers", || answers_pings(&container));
    for key in 0..20 {
        let set = format!("SET key{key} kept\r\n");
        assert_eq!(ask(&container, 6379, &set).as_deref(), Some("+OK\r\n"));
    }
    container.signal("TERM");
    container.signal("TERM");
    assert_eq!(container.wait(), 0, "{:?}", container.logs());
    docker_ok(&["start", &container.name]);
    eventually("redis answers", || answers_pings(&container));
    assert_eq!(ask(&container, 6379, "GET key19\r\n").as_deref(), Some("$4\r\nkept\r\n"));
}
