//! The configuration is read anew: by HUP, and by `rinitctl reload`.

use crate::harness::{Client, Init, Running, eventually, ms};
use crate::rinitctl::{ctl, good};
use rinit::text::json::Json;
use std::fs;

const RELOAD: &str = r#"{"verb":"reload"}"#;

fn start(config: &str) -> (Running, Client) {
    let run = Init::config(config).env("RINIT_SOCKET", Client::SOCKET).start();
    let client = Client::of(&run);
    (run, client)
}

fn write(run: &Running, config: &str) {
    let path = run.directory().join("rinit.toml");
    // As an editor does: never half of it.
    fs::write(path.with_extension("new"), config).unwrap();
    fs::rename(path.with_extension("new"), path).unwrap();
}

/// A service that sleeps, for so long: by that it is told from others.
fn sleeper(name: &str, seconds: u32) -> String {
    format!("[services.{name}]\ncommand = [\"sleep\", \"{seconds}\"]\nessential = false\n")
}

fn pid(client: &mut Client, name: &str) -> u64 {
    client.wait_for(name, "running");
    client.service(name).number("pid").unwrap()
}

#[track_caller]
fn reload(client: &mut Client) -> Vec<String> {
    let (rows, last) = client.ask(RELOAD);
    let lines = lines(&rows);
    assert!(last.is_true("ok"), "{last:?}: {lines:?}");
    lines
}

fn lines(rows: &[Json]) -> Vec<String> {
    rows.iter().map(|row| row.text("text").unwrap().to_string()).collect()
}

#[test]
fn what_is_added_starts_what_is_removed_stops_and_the_rest_is_not_touched() {
    let kept = sleeper("kept", 1001);
    let (run, mut client) = start(&[&kept, &*sleeper("old", 1002), &sleeper("other", 1003)].concat());
    let (kept_pid, other_pid) = (pid(&mut client, "kept"), pid(&mut client, "other"));
    pid(&mut client, "old");
    write(&run, &[&sleeper("new", 1004), &*sleeper("other", 1005), &kept].concat());
    let told = reload(&mut client);
    assert_eq!(
        told,
        [
            "new: added",
            "other: changed (command)",
            "old: removed",
            "1 added, 1 removed, 1 changed, 1 untouched"
        ]
    );
    pid(&mut client, "new");
    eventually("the old one is gone", || run.find("sleep 1002").is_empty());
    eventually("the other is another", || pid(&mut client, "other") != other_pid);
    assert_eq!(pid(&mut client, "kept"), kept_pid);
    let (rows, _) = client.ask(r#"{"verb":"status"}"#);
    let mut names: Vec<_> = rows.iter().map(|row| row.text("name").unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["kept", "new", "other"]);
    run.wait_for_err("the configuration was reloaded: 1 added, 1 removed, 1 changed, 1 untouched");
    assert_eq!(reload(&mut client), ["0 added, 0 removed, 0 changed, 3 untouched"]);
    run.stop().expect(0);
}

#[test]
fn hup_reloads_and_so_does_a_signal_that_is_to() {
    let signals = "[signals]\nUSR1 = \"reload\"\n";
    let (run, mut client) = start(&[signals, &*sleeper("a", 1001)].concat());
    let before = pid(&mut client, "a");
    write(&run, &[signals, &*sleeper("a", 1001), &sleeper("b", 1002)].concat());
    run.signal(libc::SIGHUP);
    eventually("b is added", || run.find("sleep 1002").len() == 1);
    write(&run, &[signals, &*sleeper("a", 1001)].concat());
    run.signal(libc::SIGUSR1);
    eventually("b is removed", || run.find("sleep 1002").is_empty());
    assert_eq!(pid(&mut client, "a"), before);
    run.stop().expect(0);
}

#[test]
fn a_bad_file_is_refused_whole_and_what_runs_goes_on() {
    let good_one = sleeper("a", 1001);
    let (run, mut client) = start(&good_one);
    let before = pid(&mut client, "a");
    write(&run, &[&sleeper("b", 1002), "[services.a]\ncomand = \"x\"\nrestart = \"maybe\"\n"].concat());
    let (rows, last) = client.ask(RELOAD);
    assert_eq!((last.is_true("ok"), last.text("error")), (false, Some("refused")));
    let told = lines(&rows).join("\n");
    assert!(told.contains("rinit.toml:5:") && told.contains("comand") && told.contains("maybe"), "{told}");
    run.wait_for_err("not reloaded; what runs goes on as it was");
    run.wait_for_err("did you mean \"command\"");
    let told = ctl(&run, &["reload"]);
    assert_eq!(told.code, 1);
    assert!(told.err.contains("comand") && told.err.contains("not reloaded"), "{}", told.err);
    write(&run, "");
    assert!(ctl(&run, &["reload"]).err.contains("nothing to run"));
    assert_eq!(pid(&mut client, "a"), before);
    assert!(run.find("sleep 1002").is_empty());
    write(&run, &good_one);
    assert_eq!(reload(&mut client), ["0 added, 0 removed, 0 changed, 1 untouched"]);
    run.stop().expect(0);
}

#[test]
fn what_is_compared_is_what_is_resolved() {
    let config = r#"
        [services.a]
        command = ["sleep", "1001"]
        env_file = "/mnt/files/a.env"
        [services.b]
        command = ["sleep", "1002"]
    "#;
    let run = Init::config(config).env("RINIT_SOCKET", Client::SOCKET).file("a.env", "X=1\n").start();
    let mut client = Client::of(&run);
    let (a, b) = (pid(&mut client, "a"), pid(&mut client, "b"));
    // Comments, and the order of keys and tables, are nothing.
    write(
        &run,
        r#"# b comes first
        [services.b]
        command = ["sleep", "1002"]
        [services.a]
        env_file = "/mnt/files/a.env"
        command = "sleep 1001" # as words
    "#,
    );
    assert_eq!(reload(&mut client), ["0 added, 0 removed, 0 changed, 2 untouched"]);
    fs::write(run.directory().join("a.env"), "X=2\n").unwrap();
    let told = reload(&mut client);
    assert_eq!(told[0], "a: changed (environment)");
    eventually("a is another", || pid(&mut client, "a") != a);
    assert_eq!(pid(&mut client, "b"), b);
    run.stop().expect(0);
}

/// The rules of a process that goes on are the new ones.
#[test]
fn rules_change_without_a_restart() {
    let config = |more: &str| format!("{}{more}", sleeper("a", 1001));
    let (run, mut client) = start(&config("stop_grace_period = \"5s\"\n"));
    let before = pid(&mut client, "a");
    write(&run, &config("stop_signal = \"KILL\"\nhealthcheck = { exec = [\"true\"], interval = \"1s\" }\n"));
    let told = reload(&mut client);
    let rules = "a: changed (healthcheck, stop_signal, stop_grace_period); it goes on with the new rules";
    assert_eq!(told[0], rules);
    eventually("it is probed", || client.service("a").text("health") == Some("healthy"));
    assert_eq!(pid(&mut client, "a"), before);
    good(&run, &["stop", "a"]);
    let exit = client.service("a");
    assert_eq!(exit.get("last_exit").unwrap().text("signal"), Some("SIGKILL"));
    assert_eq!(reload(&mut client), ["0 added, 0 removed, 0 changed, 1 untouched"]);
    assert_eq!(client.state("a"), "stopped", "by hand, and so it stays");
    run.stop().expect(0);
}

/// Each writes a line when it starts and when it stops.
fn link(name: &str, needs: &str, version: u32) -> String {
    let needs = if needs.is_empty() { String::new() } else { format!("depends_on = [\"{needs}\"]\n") };
    let script = format!(
        "echo {name}{version} up >> /mnt/files/log; trap 'echo {name}{version} down >> /mnt/files/log; exit 0' TERM; while :; do sleep 0.1; done"
    );
    format!("[services.{name}]\ncommand = [\"sh\", \"-c\", \"{script}\"]\nessential = false\n{needs}")
}

#[test]
fn a_chain_that_changes_stops_from_its_end_and_starts_from_its_root() {
    let all = |version| [link("a", "", version), link("b", "a", version), link("c", "b", version)].concat();
    let (run, mut client) = start(&all(1));
    eventually("all are up", || run.file("log").lines().count() == 3);
    write(&run, &all(2));
    reload(&mut client);
    eventually("all are up again", || run.file("log").lines().count() == 9);
    let log = run.file("log");
    let down: Vec<_> = log.lines().filter(|line| line.ends_with("down")).collect();
    assert_eq!(down, ["c1 down", "b1 down", "a1 down"]);
    assert!(log.find("a1 down") < log.find("a2 up") && log.find("a2 up") < log.find("c2 up"), "{log}");
    run.stop().expect(0);
}

#[test]
fn a_dry_run_tells_what_would_change_and_changes_nothing() {
    let (run, mut client) = start(&[sleeper("a", 1001), sleeper("b", 1002)].concat());
    let before = (pid(&mut client, "a"), pid(&mut client, "b"));
    write(&run, &[sleeper("a", 1003), sleeper("c", 1004)].concat());
    let told = good(&run, &["reload", "--dry-run"]);
    assert_eq!(
        told,
        "a: changed (command)\nc: added\nb: removed\n1 added, 1 removed, 1 changed, 0 untouched\n"
    );
    assert_eq!((pid(&mut client, "a"), pid(&mut client, "b")), before);
    assert!(!run.err().contains("reloaded"), "{}", run.err());
    run.stop().expect(0);
}

/// Clients all get an answer, what is not touched is not, and the last configuration is the one that runs.
#[test]
fn twenty_in_a_row_under_load_lose_nothing() {
    let load = r#"
        [services.load]
        command = ["sh", "-c", "i=0; while :; do i=$((i+1)); echo line $i; done"]
        logging = "none"
        [services.flaky]
        command = ["sh", "-c", "exit 1"]
        essential = false
        restart_policy = { delay = "1ms", max_delay = "1ms" }
    "#;
    let config = |n: u32| [load, &*sleeper("kept", 1001), &sleeper(&format!("n{n}"), 2000 + n)].concat();
    let (run, mut client) = start(&config(0));
    let (load, kept) = (pid(&mut client, "load"), pid(&mut client, "kept"));
    for n in 1..=20 {
        write(&run, &config(n));
        run.signal(libc::SIGHUP);
        let mut other = Client::of(&run);
        other.send(RELOAD);
        reload(&mut client);
        let answer = std::iter::from_fn(|| other.line()).find(|line| line.get("ok").is_some());
        assert!(answer.is_some_and(|line| line.is_true("ok")));
    }
    pid(&mut client, "n20");
    eventually("the others are gone", || {
        (0..20).all(|n| run.find(&format!("sleep {}", 2000 + n)).is_empty())
    });
    assert_eq!((pid(&mut client, "load"), pid(&mut client, "kept")), (load, kept));
    run.stop().expect(0);
}

/// The memory of its own that rinit has, in KiB.
fn anonymous_kib(run: &Running) -> u64 {
    run.init().status("RssAnon").trim_end_matches(" kB").trim().parse().unwrap()
}

#[test]
fn five_hundred_reloads_leave_no_memory_behind() {
    let config = |n: u32| [sleeper("kept", 1001), sleeper(&format!("n{}", n % 7), 2000 + n)].concat();
    let (run, mut client) = start(&config(0));
    let mut turn = |from: u32, to: u32| {
        for n in from..to {
            write(&run, &config(n));
            reload(&mut client);
        }
        client.wait_for(&format!("n{}", (to - 1) % 7), "running");
    };
    turn(1, 150);
    let before = anonymous_kib(&run);
    turn(150, 500);
    let after = anonymous_kib(&run);
    assert!(after <= before + 64, "{before} KiB, then {after} KiB");
    run.stop().expect(0);
}

const SLOW_STOP: &str = r#"
    [services.slow]
    command = ["sh", "-c", "trap 'echo asked' TERM; echo up; while :; do sleep 0.1; done"]
    stop_grace_period = "4s"
"#;

#[test]
fn a_reload_while_the_container_stops_is_refused() {
    let (run, mut client) = start(SLOW_STOP);
    run.wait_for("up");
    run.signal(libc::SIGTERM);
    run.wait_for("asked");
    assert_eq!(client.refused(RELOAD), "stopping");
    run.signal(libc::SIGHUP);
    run.wait_for_err("not reloaded: the container stops");
    run.end().expect(137);
}

/// A file system that does not answer, in the configuration that is read next.
fn with_a_hang() -> (Running, Client) {
    crate::harness::needs_root();
    let hang = "[services.hang]\ncommand = [\"sh\", \"-c\", \"mkdir -p /mnt/files/hang; exec /mnt/probe hang /mnt/files/hang\"]\n";
    let (run, mut client) = start(&[hang, &*sleeper("a", 1001)].concat());
    client.wait_for("a", "running");
    eventually("it is mounted", || !run.out().is_empty());
    write(&run, &[hang, &*sleeper("a", 1001), "env_file = \"/mnt/files/hang/x\"\n"].concat());
    (run, client)
}

/// The helper that reads the configuration.
fn is_read(run: &Running) -> bool {
    run.others().iter().any(|other| other.command.contains("rinit.toml"))
}

#[test]
fn a_stop_during_a_reload_that_hangs_ends_at_once() {
    let (run, mut client) = with_a_hang();
    client.send(RELOAD);
    eventually("the helper reads", || is_read(&run));
    run.signal(libc::SIGTERM);
    run.end();
}

#[test]
fn a_reload_that_hangs_is_given_up_and_the_next_one_is_as_ever() {
    let (run, mut client) = with_a_hang();
    let before = pid(&mut client, "a");
    let (rows, last) = client.ask(RELOAD);
    assert_eq!(last.text("error"), Some("refused"));
    assert_eq!(lines(&rows), ["not read within 10s: a file system does not answer"]);
    write(&run, &sleeper("a", 1001));
    assert_eq!(reload(&mut client).last().unwrap(), "0 added, 1 removed, 0 changed, 1 untouched");
    assert_eq!(pid(&mut client, "a"), before);
    run.stop().expect(0);
}

/// Such as nginx, whose own configuration rinit does not read.
#[test]
fn a_service_that_reads_files_of_its_own_gets_its_reload_signal() {
    let config = |more: &str| {
        format!(
            "[services.a]\ncommand = [\"sh\", \"-c\", \"trap 'echo again' HUP; echo up; while :; do sleep 0.1; done\"]\nreload_signal = \"HUP\"\n{more}"
        )
    };
    let (run, mut client) = start(&config(""));
    run.wait_for("up");
    let before = pid(&mut client, "a");
    assert_eq!(reload(&mut client), ["a: gets SIGHUP", "0 added, 0 removed, 0 changed, 1 untouched"]);
    run.wait_for("again");
    assert_eq!(pid(&mut client, "a"), before);
    write(&run, &config("umask = \"027\"\n"));
    assert_eq!(reload(&mut client)[0], "a: changed (umask)");
    eventually("it is another", || pid(&mut client, "a") != before);
    assert_eq!(run.out().matches("again").count(), 1, "{}", run.out());
    run.stop().expect(0);
}

/// The relay is another one then, and what lay in the pipes is not lost.
#[test]
fn what_is_added_has_its_output_relayed() {
    let talker = |name: &str, count: u32| {
        let script =
            format!("i=0; while [ $i -lt {count} ]; do i=$((i+1)); echo {name} $i; done; sleep 1000");
        format!("[services.{name}]\ncommand = [\"sh\", \"-c\", \"{script}\"]\nlogging = \"prefix\"\n")
    };
    let (run, mut client) = start(&talker("first", 5000));
    for n in 0..5 {
        let more: String = (0..=n).map(|n| talker(&format!("t{n}"), 100)).collect();
        write(&run, &[talker("first", 5000), more].concat());
        reload(&mut client);
        run.wait_for(&format!("| t{n} 100\n"));
    }
    run.wait_for("| first 5000\n");
    let out = run.out();
    for n in 1..=5000 {
        let count = out.matches(&format!("| first {n}\n")).count();
        assert_eq!(count, 1, "line {n} is there {count} times");
    }
    assert!(!run.err().contains("relay"), "{}", run.err());
    let (rows, _) = client.ask(r#"{"verb":"logs","names":["t0"]}"#);
    assert!(rows[0].text("text").unwrap().starts_with("t0 1\n"));
    run.stop().expect(0);
}

/// What is removed and added under another name has the same port, say.
#[test]
fn a_new_name_starts_when_the_old_one_is_gone() {
    let lock = |name: &str| {
        let script = "mkdir /mnt/files/lock || exit 9; trap 'sleep 0.5; rmdir /mnt/files/lock; exit 0' TERM; echo up; while :; do sleep 0.1; done";
        format!("[services.{name}]\ncommand = [\"sh\", \"-c\", \"{script}\"]\nrestart = \"no\"\n")
    };
    let (run, mut client) = start(&lock("one"));
    run.wait_for("up");
    write(&run, &lock("two"));
    reload(&mut client);
    run.wait_for("up\nup");
    assert_eq!(client.state("two"), "running");
    std::thread::sleep(ms(1));
    run.stop().expect(0);
}
