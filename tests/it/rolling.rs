//! Rolling restarts.

use super::rinitctl::{Told, ctl_command, told};
use crate::harness::{Client, Init, Running, eventually};
use std::process::Stdio;

/// Three instances, healthy as long as there is a file `well.N`.
const THREE: &str = r#"
    [services.web]
    replicas = 3
    essential = false
    command = ["sleep", "300"]
    restart_policy = { delay = "1h" }
    healthcheck = { test = ["CMD", "test", "-e", "/mnt/files/well.${RINIT_INSTANCE}"], interval = "20ms", start_period = "1h", retries = 2 }
"#;

fn start(config: &str) -> (Running, Client) {
    let launch = Init::config(config).env("RINIT_SOCKET", Client::SOCKET);
    let run = (1..=3).fold(launch, |launch, n| launch.file(&format!("well.{n}"), "")).start();
    let mut client = Client::of(&run);
    for n in 1..=3 {
        eventually("it is healthy", || client.service(&format!("web.{n}")).is_true("ready"));
    }
    (run, client)
}

fn pids(client: &mut Client) -> [u64; 3] {
    [1, 2, 3].map(|n| client.service(&format!("web.{n}")).number("pid").unwrap_or(0))
}

fn ctl(run: &Running, words: &[&str]) -> Told {
    told(ctl_command(run, words).output().unwrap())
}

#[test]
fn each_is_restarted_when_the_one_before_is_healthy_again() {
    let (run, mut client) = start(THREE);
    let before = pids(&mut client);
    let found = ctl(&run, &["restart", "--rolling", "web"]);
    assert_eq!((found.code, found.err.as_str()), (0, ""));
    let after = pids(&mut client);
    assert!((0..3).all(|n| after[n] != before[n] && after[n] != 0), "{before:?} {after:?}");
    // One was stopped only when the one before was healthy.
    let events = ctl(&run, &["events"]).out;
    let place = |text: &str| events.rfind(text).unwrap_or_else(|| panic!("{text}: {events}"));
    for n in 1..=2 {
        assert!(place(&format!("web.{n}: healthy")) < place(&format!("web.{}: stopping", n + 1)), "{events}");
    }
    run.stop().expect(0);
}

#[test]
fn one_that_does_not_get_healthy_ends_it_and_the_exit_code_says_so() {
    let (run, mut client) = start(&THREE.replace("start_period = \"1h\", ", ""));
    let before = pids(&mut client);
    std::fs::remove_file(run.directory().join("well.2")).unwrap();
    eventually("it is stopped for good", || client.state("web.2") == "backoff");
    // The first is restarted, the second does not get healthy, the third stays.
    let found = ctl(&run, &["restart", "--rolling", "web"]);
    assert_eq!(found.code, 1, "{}", found.err);
    let want = "web.2: not ready after its restart; the rolling restart ends there, 1 of 3 are restarted";
    assert!(found.err.contains(want), "{}", found.err);
    let after = pids(&mut client);
    assert!(after[0] != before[0] && after[2] == before[2], "{before:?} {after:?}");
    run.wait_for_err(
        "web.2: not ready after its restart; the rolling restart ends here, and 1 more run as they were",
    );
    run.stop().expect(0);
}

/// The order outlives the client that gave it, another one is refused meanwhile, and a stop ends it.
#[test]
fn it_goes_on_without_its_client_and_ends_with_the_container() {
    let (run, mut client) = start(THREE);
    let before = pids(&mut client);
    std::fs::remove_file(run.directory().join("well.1")).unwrap();
    let mut words = ctl_command(&run, &["restart", "--rolling", "web"]);
    let mut first = words.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("its turn has come", || ![0, before[0]].contains(&pids(&mut client)[0]));
    first.kill().unwrap();
    first.wait().unwrap();
    let found = ctl(&run, &["restart", "--rolling", "web"]);
    assert!(found.code == 1 && found.err.contains("it is the turn of web.1"), "{}", found.err);
    assert_eq!(pids(&mut client)[1..], before[1..]);
    std::fs::write(run.directory().join("well.1"), "").unwrap();
    eventually("all are restarted", || {
        let now = pids(&mut client);
        (0..3).all(|n| now[n] != before[n] && client.service(&format!("web.{}", n + 1)).is_true("ready"))
    });
    eventually("it is over", || ctl(&run, &["events"]).out.contains("web.3: rolled"));
    let found = ctl(&run, &["restart", "--rolling", "--no-wait", "web"]);
    assert_eq!(found.code, 0, "{}", found.err);
    run.stop().expect(0);
}

/// One instance; each process is healthy as long as there is a file `good`.
const START_FIRST: &str = r#"
    [services.web]
    command = ["sh", "-c", "echo $$ of $RINIT_INSTANCE; exec sleep 300"]
    replicas = 1
    logging = "prefix"
    update_config = { order = "start-first" }
    healthcheck = { test = ["CMD", "test", "-e", "/mnt/files/good"], interval = "20ms", retries = 2 }
"#;

fn start_first() -> (Running, Client) {
    let run = Init::config(START_FIRST).env("RINIT_SOCKET", Client::SOCKET).file("good", "").start();
    let mut client = Client::of(&run);
    eventually("it is healthy", || client.service("web.1").is_true("ready"));
    (run, client)
}

#[test]
fn with_start_first_something_runs_at_any_time() {
    let (run, mut client) = start_first();
    let before = client.service("web.1").number("pid");
    let found = ctl(&run, &["restart", "--rolling", "web"]);
    assert_eq!((found.code, found.err.as_str()), (0, ""));
    assert!(client.service("web.1").is_true("ready") && client.service("web.1").number("pid") != before);
    eventually("the stand-in is gone", || ctl(&run, &["events"]).out.contains("web.1 stand-in: removed"));
    let events = ctl(&run, &["events"]).out;
    let place = |text: &str| events.rfind(text).unwrap_or_else(|| panic!("{text}: {events}"));
    assert!(place("web.1 stand-in: healthy") < place("web.1: stopping"), "{events}");
    assert!(place("web.1: healthy") < place("web.1 stand-in: stopping"), "{events}");
    assert_eq!(client.ask(r#"{"verb":"status"}"#).0.len(), 1);
    // All three wrote to the log of the instance.
    eventually("three have written", || run.out().matches(" of 1\n").count() == 3);
    assert_eq!(run.out().matches("web.1 | ").count(), 3, "{}", run.out());
    // And once more, in the same slot.
    assert_eq!(ctl(&run, &["restart", "--rolling", "web"]).code, 0);
    run.stop().expect(0);
}

#[test]
fn with_start_first_the_old_one_runs_on_where_no_other_gets_ready() {
    let config = START_FIRST
        .replace("exec sleep 300", "test -e /mnt/files/bad && exit 3; exec sleep 300")
        .replace("logging", "restart = \"no\"\nlogging");
    let run = Init::config(&config).env("RINIT_SOCKET", Client::SOCKET).file("good", "").start();
    let mut client = Client::of(&run);
    eventually("it is healthy", || client.service("web.1").is_true("ready"));
    let before = client.service("web.1").number("pid");
    std::fs::write(run.directory().join("bad"), "").unwrap();
    let found = ctl(&run, &["restart", "--rolling", "web"]);
    assert_eq!(found.code, 1, "{}", found.err);
    assert!(found.err.contains("web.1: "), "{}", found.err);
    run.wait_for_err(
        "web.1: the new process beside it did not get ready, and it runs on; the rolling restart ends here\n",
    );
    assert!(client.service("web.1").is_true("ready") && client.service("web.1").number("pid") == before);
    run.stop().expect(0);
}
