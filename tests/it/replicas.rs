//! `replicas`: several instances of one service.

use super::rinitctl::{ctl_command, told};
use crate::harness::{Client, Init, Running, eventually};

fn start(config: &str) -> (Running, Client) {
    let run = Init::config(config).env("RINIT_SOCKET", Client::SOCKET).start();
    let client = Client::of(&run);
    (run, client)
}

const THREE: &str = r#"
    [services.web]
    replicas = "${WORKERS:-3}"
    command = ["sh", "-c", "echo $RINIT_INSTANCE of ${RINIT_SERVICE}, slot ${RINIT_INSTANCE}; exec sleep 300${RINIT_INSTANCE}"]
    logging = "prefix"
    [services.front]
    command = ["sleep", "400"]
    depends_on = ["web"]
"#;

#[test]
fn each_instance_has_a_name_a_number_and_a_prefix_of_its_own() {
    let (run, mut client) = start(THREE);
    client.wait_for("front", "running");
    for n in 1..=3 {
        client.wait_for(&format!("web.{n}"), "running");
        run.wait_for(&format!("web.{n} | {n} of web, slot {n}\n"));
        eventually("it runs", || run.find(&format!("sleep 300{n}")).len() == 1);
        assert_eq!(client.service(&format!("web.{n}")).number("instance"), Some(n));
    }
    assert_eq!(client.service("front").number("instance"), None);
    assert_eq!(client.refused(r#"{"verb":"status","names":["web.4"]}"#), "unknown");
    run.stop().expect(0);
}

#[test]
fn the_name_of_the_service_means_all_its_instances_and_that_of_one_means_it() {
    let (run, mut client) = start(THREE);
    client.wait_for("front", "running");
    let ctl = |words: &[&str]| {
        let told = told(ctl_command(&run, words).output().unwrap());
        assert_eq!(told.code, 0, "{words:?}: {}{}", told.out, told.err);
        told.out
    };
    // Others are left: who needs one of them goes on.
    ctl(&["stop", "web.2"]);
    let states = |client: &mut Client| ["web.1", "web.2", "web.3", "front"].map(|name| client.state(name));
    assert_eq!(states(&mut client), ["running", "stopped", "running", "running"]);
    assert_eq!(ctl(&["events", "web"]).matches("web.2: exited").count(), 1);
    // Who needs one of them goes before the last.
    ctl(&["stop", "web"]);
    assert_eq!(states(&mut client), ["stopped"; 4]);
    let events = ctl(&["events"]);
    let place = |text: &str| events.find(text).unwrap_or_else(|| panic!("{text}: {events}"));
    assert!(place("front: exited") < place("web.1: stopping"), "{events}");
    ctl(&["start", "web.3"]);
    assert_eq!(states(&mut client), ["stopped", "stopped", "running", "stopped"]);
    ctl(&["restart", "web"]);
    ctl(&["start", "front"]);
    assert_eq!(states(&mut client), ["running"; 4]);
    run.stop().expect(0);
}

#[test]
fn who_depends_on_it_waits_for_one_or_for_all() {
    let config = r#"
        [services.web]
        replicas = 2
        command = ["sleep", "300"]
        healthcheck = { test = ["CMD", "test", "-e", "/mnt/files/well.${RINIT_INSTANCE}"], interval = "20ms", retries = 100000 }
        [services.one]
        command = ["sleep", "401"]
        depends_on = { web = "healthy" }
        [services.both]
        command = ["sleep", "402"]
        depends_on = { web = { condition = "healthy", all = true } }
    "#;
    let run = Init::config(config).env("RINIT_SOCKET", Client::SOCKET).start();
    let mut client = Client::of(&run);
    client.wait_for("web.1", "running");
    client.wait_for("web.2", "running");
    assert_eq!((client.state("one"), client.state("both")), ("waiting".into(), "waiting".into()));
    std::fs::write(run.directory().join("well.2"), "").unwrap();
    client.wait_for("one", "running");
    assert_eq!(client.state("both"), "waiting");
    assert_eq!(client.service("both").text("waits_for"), Some("web.1"));
    std::fs::write(run.directory().join("well.1"), "").unwrap();
    client.wait_for("both", "running");
    run.stop().expect(0);
}

#[test]
fn a_signal_for_it_goes_to_all() {
    let config = r#"
        signals.USR1 = { service = "web" }
        [services.web]
        replicas = 2
        command = ["sh", "-c", "trap 'echo $RINIT_INSTANCE got it' USR1; echo $RINIT_INSTANCE is ready; while :; do sleep 0.05; done"]
    "#;
    let run = Init::config(config).start();
    for n in 1..=2 {
        run.wait_for(&format!("{n} is ready\n"));
    }
    run.signal(libc::SIGUSR1);
    for n in 1..=2 {
        run.wait_for(&format!("{n} got it\n"));
    }
    run.stop();
}

#[test]
fn without_an_instance_nobody_waits_for_one() {
    let config = r#"
        signals.USR1 = { service = "web" }
        [services.web]
        replicas = 0
        command = ["false"]
        [services.front]
        command = ["sleep", "400"]
        depends_on = { web = "started" }
    "#;
    let (run, mut client) = start(config);
    client.wait_for("front", "running");
    run.signal(libc::SIGUSR1);
    assert_eq!(client.refused(r#"{"verb":"status","names":["web"]}"#), "unknown");
    run.stop().expect(0);
}
