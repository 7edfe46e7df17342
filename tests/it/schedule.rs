//! Services that are started by the clock. The one test that waits for a minute to begin has all that needs one.

use crate::harness::{Client, INIT, Init, Running, eventually, eventually_within};
use rinit::text::json::Json;
use std::time::Duration;

/// The longest wait for a minute to begin, on a busy machine.
const MINUTE: Duration = Duration::from_secs(100);

fn start(config: &str) -> (Running, Client) {
    let run = Init::config(config).env("RINIT_SOCKET", Client::SOCKET).env("TZ", "").start();
    let client = Client::of(&run);
    (run, client)
}

fn row(client: &mut Client, name: &str) -> Json {
    let (rows, _) = client.ask(&format!(r#"{{"verb":"status","names":["{name}"]}}"#));
    rows.into_iter().next().expect("a row")
}

fn started(client: &mut Client, name: &str) -> u64 {
    // Only starts after the first count.
    row(client, name).number("restarts").expect("a number")
}

fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.expect("a time after 1970").as_secs()
}

#[test]
fn a_container_with_nothing_but_a_schedule_stays_up() {
    let (run, mut client) = start(
        "[services.leap]\ncommand = 'true'\nschedule = { cron = '30 2 29 2 *', timezone = 'CET-1CEST,M3.5.0,M10.5.0/3' }",
    );
    client.wait_for("leap", "scheduled");
    let leap = row(&mut client, "leap");
    let next = leap.text("next_run").expect("a time");
    assert!(next.ends_with("-02-29T02:30:00+01:00"), "{next}");
    assert!(leap.number("next_run_unix").expect("a number") > now());
    assert!(leap.get("pid").and_then(|_| leap.number("pid")).is_none() && leap.is_true("ready"));
    assert_eq!((leap.text("last_result"), leap.text("type")), (None, Some("oneshot")));
    run.stop().expect(0);
}

#[test]
fn a_run_by_hand_is_now_and_its_result_is_kept() {
    let (run, mut client) = start(
        "[services.good]\ncommand = 'true'\nschedule = '@yearly'
        [services.bad]\ncommand = ['sh', '-c', 'exit 3']\nschedule = '@yearly'",
    );
    for name in ["good", "bad"] {
        client.wait_for(name, "scheduled");
        client.order(&format!(r#"{{"verb":"start","names":["{name}"]}}"#));
    }
    eventually("both have run", || {
        row(&mut client, "good").text("last_result") == Some("success")
            && row(&mut client, "bad").text("last_result") == Some("failure")
    });
    run.wait_for_err("bad: exited with code 3");
    run.wait_for_err("failed; its schedule starts it again");
    // Suspended, it is not due any more.
    client.order(r#"{"verb":"stop","names":["bad"]}"#);
    client.wait_for("bad", "stopped");
    assert_eq!(row(&mut client, "bad").text("next_run"), None);
    client.order(r#"{"verb":"start","names":["bad"]}"#);
    client.wait_for("bad", "scheduled");
    run.stop().expect(0);
}

#[test]
fn rinitctl_waits_for_the_run_that_it_starts() {
    let (run, _) = start(
        "[services.good]\ncommand = 'true'\nschedule = '@yearly'
        [services.bad]\ncommand = ['sh', '-c', 'exit 3']\nschedule = '@yearly'
        [services.ask]\ntype = 'oneshot'\nessential = false
        command = ['sh', '-c', '/mnt/rinit --ctl start good; echo good $?; /mnt/rinit --ctl start bad; echo bad $?; /mnt/rinit --ctl status bad']",
    );
    assert_eq!(INIT, "/mnt/rinit");
    run.wait_for("good 0\n");
    run.wait_for("bad 1\n");
    run.wait_for("next run 2");
    run.wait_for("exited with code 3");
    run.stop().expect(0);
}

#[test]
fn a_failed_job_that_is_essential_ends_the_container() {
    let (run, mut client) =
        start("[services.bad]\ncommand = ['sh', '-c', 'exit 3']\nschedule = '@yearly'\nessential = true");
    client.wait_for("bad", "scheduled");
    // rinit may be gone before it can answer.
    client.send(r#"{"verb":"start","names":["bad"]}"#);
    run.end().expect(3);
}

#[test]
fn a_zone_that_the_image_lacks_is_refused() {
    let job = "[services.job]\ncommand = 'true'\nschedule = ";
    let config = format!("{job}{{ cron = '@daily', timezone = 'Europe/Nowhere' }}");
    Init::config(&config).run().expect(78).tells(&[
        "schedule.timezone: \"Europe/Nowhere\": the image has no such time zone",
        "tzdata",
        "CET-1CEST,M3.5.0,M10.5.0/3",
    ]);
    let ended = Init::config(&format!("{job}'@daily'")).env("TZ", "Europe/Nowhere").run().expect(78);
    ended.tells(&["\"Europe/Nowhere\" (the value of TZ): the image has no such time zone"]);
    Init::config(&format!("{job}'0 0 31 4 *'")).run().expect(78).tells(&["no month has that day"]);
}

/// A sandbox without timers of that kind: the clock is looked at instead.
const NO_TIMER: &[(libc::c_long, i32)] = &[(libc::SYS_timerfd_create, libc::EPERM)];

/// All that needs the beginning of a minute.
const JOBS: &str = r#"
    [services.tick]
    command = ["sh", "-c", "date +%S > /mnt/files/tick"]
    schedule = { cron = "* * * * *", timezone = "<+0530>-5:30" }
    [services.depends]
    command = ["sh", "-c", "echo with $(cat /mnt/files/db)"]
    depends_on = { db = "completed" }
    schedule = "*/1 * * * *"
    [services.db]
    type = "oneshot"
    command = ["sh", "-c", "echo it > /mnt/files/db"]
    [services.busy]
    command = ["sleep", "1000"]
    schedule = "* * * * *"
    [services.queue]
    command = ["sh", "-c", "echo begun >> /mnt/files/queue; until test -e /mnt/files/go; do sleep 0.01; done; echo over >> /mnt/files/queue"]
    schedule = { cron = "* * * * *", overlap = "queue" }
    [services.stopped]
    command = ["true"]
    schedule = "* * * * *"
    [services.never]
    command = ["true"]
    schedule = "@yearly"
"#;

/// Starts them twice, the second time without a timer, and one of them by hand before a minute has begun.
fn before_a_minute() -> (Running, Client, Running) {
    loop {
        let minute = now() / 60;
        let (run, mut client) = start(JOBS);
        let odd = Init::config(JOBS).refusing(NO_TIMER).start();
        prepare(&run, &mut client);
        if now() / 60 == minute {
            return (run, client, odd);
        }
    }
}

fn prepare(run: &Running, client: &mut Client) {
    client.wait_for("db", "done");
    for name in ["tick", "depends", "never"] {
        client.wait_for(name, "scheduled");
    }
    client.order(r#"{"verb":"start","names":["busy","queue"]}"#);
    client.wait_for("busy", "running");
    eventually("it has begun", || run.file("queue").starts_with("begun\n"));
    client.order(r#"{"verb":"stop","names":["stopped"]}"#);
    client.wait_for("stopped", "stopped");
}

#[test]
fn jobs_run_when_their_minute_begins() {
    let (run, mut client, odd) = before_a_minute();
    eventually_within(MINUTE, "a minute begins", || run.file("tick").ends_with('\n'));
    let second: u32 = run.file("tick").trim().parse().expect("a second");
    // Not before it; how long after is the machine's business.
    assert!(second < 45, "at second {second}");
    eventually_within(MINUTE, "also without a timer", || odd.file("tick").ends_with('\n'));
    run.wait_for("with it");
    run.wait_for_err("busy: due by its schedule while the last run goes on; skipped");
    // What is queued begins when the first run is over.
    assert_eq!(run.file("queue"), "begun\n");
    std::fs::write(run.directory().join("go"), "").expect("a file");
    eventually("the second run is over", || run.file("queue").starts_with("begun\nover\nbegun\nover\n"));
    assert_eq!(started(&mut client, "never"), 0);
    assert_eq!(row(&mut client, "stopped").text("state"), Some("stopped"));
    assert_eq!(run.find("sleep 1000").len(), 1);
    assert!(row(&mut client, "tick").number("next_run_unix").expect("a number") + 60 >= now());
    odd.stop().expect(0);
    let ended = run.stop().expect(0);
    assert!(!ended.err.contains("stopped: started"), "{}", ended.story());
}

#[test]
fn the_example_runs_its_jobs_beside_the_application() {
    let path = format!("{}/config-examples/scheduled-jobs.toml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("an example");
    let text = text.replace("\"/app/clean\"", "\"echo\", \"cleaned\"").replace("\"/app/sync\"", "\"true\"");
    let launch =
        Init::config(&text).env("RINIT_SOCKET", Client::SOCKET).env("APP_USER", "0").env("TZ", "UTC0");
    let run = launch.command(&["sleep", "1000"]).start();
    let mut client = Client::of(&run);
    client.wait_for("main", "running");
    client.wait_for("sync", "scheduled");
    assert_eq!(row(&mut client, "clean").text("schedule"), Some("17 3 * * *"));
    client.order(r#"{"verb":"start","names":["clean"]}"#);
    run.wait_for("cleaned --older-than 30d");
    client.wait_for("clean", "scheduled");
    run.stop().expect(143);
}
