//! rinitctl in containers: as Docker's healthcheck, from `docker exec`, on a read-only root.

use crate::engine::Container;
use crate::eventually;
use crate::images::{Config, debian};

const SERVICES: &str = r#"
[services.web]
command = ["sleep", "1000"]
healthcheck = { test = ["CMD", "test", "!", "-e", "/dev/shm/sick"], interval = "200ms", retries = 2, on_unhealthy = "ignore" }
"#;

/// What `HEALTHCHECK CMD ["/sbin/rinit", "--ctl", "healthcheck"]` is to the engine.
const HEALTHCHECK: [&str; 3] =
    ["--health-cmd=/sbin/rinit --ctl healthcheck", "--health-interval=1s", "--health-retries=1"];

#[test]
fn the_engine_hears_that_a_service_is_sick_and_well_again() {
    let config = Config::new(SERVICES);
    let options: Vec<&str> = [config.mount.as_str()].into_iter().chain(HEALTHCHECK).collect();
    let container = Container::start(&options, debian(), &[]);
    let is = |state: &str| (container.inspect(".State.Health.Status") == state).then_some(());
    eventually("the container is healthy", || is("healthy"));
    container.exec(&["touch", "/dev/shm/sick"]);
    eventually("the container is unhealthy", || is("unhealthy"));
    let said = container.inspect("range .State.Health.Log}}{{.Output}}{{end");
    assert!(said.contains("web: unhealthy"), "{said}");
    container.exec(&["rm", "/dev/shm/sick"]);
    eventually("the container is healthy again", || is("healthy"));
    // The probes leave nothing behind.
    let processes = container.exec(&["ps", "-e", "-o", "stat="]).out;
    assert!(!processes.lines().any(|line| line.starts_with('Z')), "{processes}");
}

/// With nowhere to make a file, rinit listens at an abstract name, and `docker exec` finds it; another user does not.
#[test]
fn a_read_only_root_has_a_socket_too() {
    let config = Config::new(SERVICES);
    let container = Container::start(&[&config.mount, "--read-only"], debian(), &[]);
    eventually("rinitctl finds rinit", || {
        let status = container.exec(&["/sbin/rinit", "--ctl", "status", "web"]);
        (status.code == 0 && status.out.contains("running")).then_some(())
    });
    let name = container.name.as_str();
    let foreign = crate::engine::docker(&["exec", "--user", "1234", name, "/sbin/rinit", "--ctl", "status"]);
    assert!(foreign.code == 77 && foreign.err.contains("you are uid 1234"), "{foreign:?}");
    let stopped = container.exec(&["/sbin/rinit", "--ctl", "stop", "all"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert_eq!(container.inspect(".State.Status"), "running");
    crate::engine::docker(&["exec", name, "/sbin/rinit", "--ctl", "shutdown", "--code", "3"]);
    assert_eq!(container.wait(), 3);
}
