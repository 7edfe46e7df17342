//! The control socket: what clients see and order, and what they cannot do to PID 1.

use crate::harness::{Client, Init, Launch, Running, eventually, eventually_within, ms};
use rinit::text::json::Json;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

const STACK: &str = r#"
    [services.db]
    command = ["sleep", "1000"]
    essential = false
    [services.web]
    command = ["sleep", "1000"]
    depends_on = ["db"]
    [services.job]
    type = "oneshot"
    command = ["true"]
    [services.spare]
    command = ["sleep", "1000"]
    enabled = false
"#;

fn launch(config: &str) -> Launch {
    Init::config(config).env("RINIT_SOCKET", Client::SOCKET)
}

fn start(config: &str) -> (Running, Client) {
    let run = launch(config).start();
    let client = Client::of(&run);
    (run, client)
}

/// The memory of its own that rinit has, in KiB.
fn anonymous_kib(run: &Running) -> u64 {
    run.init().status("RssAnon").trim_end_matches(" kB").trim().parse().unwrap()
}

fn names(rows: &[Json]) -> Vec<&str> {
    rows.iter().map(|row| row.text("name").unwrap()).collect()
}

#[test]
fn status_tells_what_runs() {
    let (run, mut client) = start(STACK);
    for (name, state) in [("db", "running"), ("web", "running"), ("job", "done"), ("spare", "off")] {
        client.wait_for(name, state);
    }
    let (rows, last) = client.ask(r#"{"v":1,"id":7,"verb":"status"}"#);
    assert_eq!(names(&rows), ["db", "web", "job", "spare"]);
    assert!(rows.iter().chain([&last]).all(|line| line.number("id") == Some(7)));
    assert_eq!(last.text("state"), Some("up"));
    let web = &rows[1];
    eventually("both sleep", || run.find("sleep 1000").len() == 2);
    assert_eq!(web.number("pid").unwrap(), u64::try_from(run.find("sleep 1000")[1].pid).unwrap());
    assert!(web.is_true("ready") && web.number("uptime_ms").is_some() && web.number("restarts") == Some(0));
    assert_eq!(rows[2].get("last_exit").unwrap().number("code"), Some(0));
    assert_eq!(rows[3].text("off"), Some("enabled is false"));
    let (rows, _) = client.ask(r#"{"verb":"graph"}"#);
    assert_eq!((rows[0].text("from"), rows[0].text("to")), (Some("web"), Some("db")));
    let (rows, last) = client.ask(r#"{"verb":"timeline","names":["web"]}"#);
    assert!(rows[0].number("started_ms").unwrap() <= last.number("uptime_ms").unwrap());
    let (_, last) = client.ask(r#"{"verb":"version"}"#);
    assert_eq!((last.number("pid"), last.list("config").len()), (Some(1), 1));
    assert_eq!(client.refused(r#"{"verb":"status","names":["wbe"]}"#), "unknown");
    run.stop().expect(0);
}

/// An essential service that is stopped by hand ended the container; its restart policy brought it back.
#[test]
fn a_stop_by_hand_holds_takes_dependents_first_and_ends_nothing() {
    let (run, mut client) = start(STACK);
    client.wait_for("web", "running");
    let before = client.order(r#"{"verb":"stop","names":["db"]}"#);
    client.wait_for("db", "stopped");
    assert_eq!(client.state("web"), "stopped");
    assert!(client.service("web").is_true("by_hand"));
    let (rows, _) = client.ask(&format!("{{\"verb\":\"events\",\"since\":{before}}}"));
    let told: Vec<_> =
        rows.iter().map(|row| (row.text("event").unwrap(), row.text("service").unwrap())).collect();
    let place = |event, service| told.iter().position(|one| *one == (event, service)).unwrap();
    assert!(place("exited", "web") < place("stopping", "db"), "{told:?}");
    assert!(rows.iter().all(|row| row.number("seq").unwrap() > before));
    // Nothing runs, and rinit stays. A start brings what is needed, too.
    client.order(r#"{"verb":"start","names":["web"]}"#);
    client.wait_for("web", "running");
    assert_eq!(client.state("db"), "running");
    client.order(r#"{"verb":"stop","names":["db"],"only":true}"#);
    client.wait_for("db", "stopped");
    assert_eq!(client.state("web"), "running");
    run.stop().expect(0);
}

#[test]
fn a_restart_and_a_signal_reach_the_service() {
    let config = r#"
        [services.web]
        command = ["sh", "-c", "trap 'echo heard' USR1; echo up; while :; do sleep 0.01; done"]
        [services.once]
        type = "oneshot"
        command = ["sh", "-c", "echo once"]
    "#;
    let (run, mut client) = start(config);
    run.wait_for("up");
    client.order(r#"{"verb":"signal","names":["web"],"signal":"USR1"}"#);
    run.wait_for("heard");
    client.wait_for("once", "done");
    assert_eq!(client.refused(r#"{"verb":"signal","names":["once"],"signal":"USR1"}"#), "not-running");
    let pid = client.service("web").number("pid");
    client.order(r#"{"verb":"restart","names":["web","once"]}"#);
    eventually("another process", || client.service("web").number("pid").is_some_and(|new| Some(new) != pid));
    eventually("again", || run.out().matches("once").count() == 2);
    assert_eq!(client.service("web").number("restarts"), Some(1));
    run.stop().expect(0);
}

#[test]
fn what_was_given_up_is_started_by_hand_and_what_is_off_too() {
    let config = r#"
        [services.flaky]
        command = ["sh", "-c", "test -e /mnt/files/well && exec sleep 1000"]
        essential = false
        restart = "no"
        [services.other]
        command = ["sleep", "1000"]
        enabled = false
        [services.keep]
        command = ["sleep", "1000"]
    "#;
    let (run, mut client) = start(config);
    client.wait_for("flaky", "failed");
    assert_eq!(client.service("flaky").text("reason"), Some("policy"));
    std::fs::write(run.directory().join("well"), "").unwrap();
    client.order(r#"{"verb":"start","names":["flaky","other"]}"#);
    client.wait_for("flaky", "running");
    client.wait_for("other", "running");
    run.stop().expect(0);
}

#[test]
fn shutdown_ends_with_the_code_that_is_named() {
    // One that takes its time to stop, so that there is somebody to ask.
    let slow = "[services.slow]\ncommand = [\"sh\", \"-c\", \"trap '' TERM; echo deaf; sleep 1000\"]\nstop_grace_period = \"1s\"\n";
    let (run, mut client) = start(&format!("{STACK}{slow}"));
    client.wait_for("web", "running");
    run.wait_for("deaf");
    client.order(r#"{"verb":"shutdown","code":3}"#);
    assert_eq!(client.ask(r#"{"verb":"status"}"#).1.text("state"), Some("stopping"));
    let file = run.directory().join("c.sock");
    run.end().expect(3);
    assert!(!file.exists(), "the socket goes with its owner");
}

/// Everything stopped by hand, then TERM: the main service is down, and nobody took the signal.
#[test]
fn a_stopped_command_leaves_the_signal_to_rinit() {
    let run = launch("[services.side]\ncommand = [\"sleep\", \"1000\"]").command(&["sleep", "2000"]).start();
    let mut client = Client::of(&run);
    client.wait_for("main", "running");
    client.order(r#"{"verb":"stop","names":["main","side"]}"#);
    client.wait_for("main", "stopped");
    client.wait_for("side", "stopped");
    run.stop().expect(0);
}

#[test]
fn events_are_followed_and_a_late_client_sees_the_gap() {
    let one = "command = [\"true\"]\nrestart = \"always\"\nrestart_policy = { delay = \"1ms\", max_delay = \"1ms\" }\n";
    let config: String = (0..6).map(|n| format!("[services.loop-{n}]\n{one}")).collect();
    let (run, mut client) = start(&config);
    let mut follower = Client::of(&run);
    follower.send(r#"{"id":1,"verb":"events","since":0,"follow":true}"#);
    let mut last = 0;
    for _ in 0..100 {
        let row = follower.line().unwrap();
        assert_eq!(row.number("seq"), Some(last + 1), "{row:?}");
        last += 1;
    }
    // It reads no more; what it misses is counted, and nobody waits for it.
    let much = Duration::from_secs(60);
    eventually_within(much, "much has happened", || {
        client.ask(r#"{"verb":"version"}"#).1.number("seq").unwrap() > 3000
    });
    let mut missed = 0;
    let mut next = last + 1;
    while missed == 0 {
        let row = follower.line().unwrap();
        if let Some(count) = row.number("missed") {
            missed = count;
            next += count;
        } else {
            assert_eq!(row.number("seq"), Some(next));
            next += 1;
        }
    }
    assert_eq!(follower.line().unwrap().number("seq"), Some(next));
    run.stop().expect(0);
}

/// 16,384 bytes are under way at most, and each row is made as it is read.
#[test]
fn a_status_of_a_thousand_services_comes_whole() {
    let name = |n: usize| format!("service-{n:04}-{}", "x".repeat(47));
    let config: String = (0..1000)
        .map(|n| {
            format!("[services.\"{}\"]\ncommand = [\"sleep\", \"1000\"]\nenabled = {}\n", name(n), n == 0)
        })
        .collect();
    let (run, mut client) = start(&config);
    let memory = anonymous_kib(&run);
    for _ in 0..3 {
        client.send(r#"{"verb":"status"}"#);
    }
    for _ in 0..3 {
        for n in 0..1000 {
            assert_eq!(client.line().unwrap().text("name"), Some(name(n).as_str()));
        }
        assert!(client.line().unwrap().is_true("ok"));
    }
    let after = anonymous_kib(&run);
    assert!(after < memory + 64, "{memory} KiB before, {after} after");
    run.stop().expect(0);
}

#[test]
fn garbage_floods_and_silence_cost_nothing() {
    let (run, mut client) = start(STACK);
    client.wait_for("web", "running");
    let path = run.directory().join("c.sock");
    assert_eq!(client.refused("nonsense"), "bad-request");
    assert_eq!(client.refused(r#"{"verb":"dance"}"#), "unknown-verb");
    assert_eq!(client.refused(r#"{"v":9,"verb":"status"}"#), "version");
    assert_eq!(client.refused(r#"{"verb":"stop"}"#), "bad-request");
    // A request without an end.
    let mut long = Client::at(&path);
    let _ = long.stream.write_all(&[b'x'; 40_000]);
    assert_eq!(long.line().unwrap().text("error"), Some("too-large"));
    // A thousand that say nothing, one after the other closing one half.
    let settled = anonymous_kib(&run);
    let mut silent: Vec<UnixStream> = Vec::new();
    let begin = Instant::now();
    for n in 0..1000 {
        // Those that are not taken yet wait in the queue of the socket, up to its length.
        match UnixStream::connect(&path) {
            Ok(stream) if n % 2 == 0 => {
                let _ = stream.shutdown(std::net::Shutdown::Write);
                silent.push(stream);
            }
            Ok(stream) => silent.push(stream),
            Err(_) => break,
        }
        if begin.elapsed() > Duration::from_secs(3) {
            break;
        }
    }
    // The client that was there before is served all the same, or makes room.
    let mut fresh = None;
    eventually("a new client is served", || {
        let Ok(stream) = UnixStream::connect(&path) else { return false };
        let mut one = Client::with(stream);
        one.send(r#"{"verb":"status"}"#);
        fresh = one.line();
        fresh.is_some()
    });
    drop(silent);
    let mut flood = Client::at(&path);
    for _ in 0..2000 {
        if flood.stream.write_all(b"{\"verb\":\"status\"}\n{}\n\n[[[[\n").is_err() {
            break;
        }
        flood.stream.set_write_timeout(Some(ms(50))).unwrap();
    }
    run.signal(libc::SIGTERM);
    let memory = anonymous_kib(&run);
    assert!(memory < settled + 200, "{settled} KiB before, {memory} after");
    run.end().expect(0);
    let mut rest = Vec::new();
    let _ = flood.stream.read_to_end(&mut rest);
}

/// A client that closes its half gets its answer before the end.
#[test]
fn a_half_closed_client_is_answered() {
    let (run, mut client) = start(STACK);
    client.send(r#"{"verb":"status"}"#);
    client.send(r#"{"verb":"graph"}"#);
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut lines = 0;
    while client.line().is_some() {
        lines += 1;
    }
    assert_eq!(lines, 7);
    let idle = run.init().switches();
    std::thread::sleep(ms(300));
    assert!(run.init().switches() - idle < 3, "nobody is there, and nothing is to be done");
    run.stop().expect(0);
}

#[test]
fn a_socket_that_is_removed_is_made_again() {
    let config = "[services.tick]\ntype = \"oneshot\"\nrestart = \"on-failure\"\ncommand = [\"sh\", \"-c\", \"sleep 0.2; exit 1\"]\nessential = false\n[services.keep]\ncommand = [\"sleep\", \"1000\"]";
    let (run, _client) = start(config);
    let path = run.directory().join("c.sock");
    std::fs::remove_file(&path).unwrap();
    eventually("it is there again", || UnixStream::connect(&path).is_ok());
    assert!(Client::at(&path).ask(r#"{"verb":"version"}"#).1.is_true("ok"));
    run.wait_for_err("the control socket was removed; it is made again");
    run.stop().expect(0);
}

/// Told once, and everything else works.
#[test]
fn where_no_socket_can_be_made_it_is_told() {
    let run = Init::config(STACK).env("RINIT_SOCKET", "/nowhere/at/all.sock").start();
    run.wait_for_err("no control socket at /nowhere/at/all.sock (No such file or directory)");
    run.stop().expect(0);
    let ended = Init::config("[services.a]\ntype = \"oneshot\"\ncommand = [\"true\"]")
        .env("RINIT_SOCKET", "none")
        .run();
    assert!(!ended.err.contains("control"), "{}", ended.story());
}

#[test]
fn who_is_not_named_is_told_so_and_who_may_look_may_only_look() {
    let config = [STACK, "[control]\nallow = [\"1234\", \"65534\"]\nread_only = [\"4321\"]\n"].concat();
    let (run, mut client) = start(&config);
    crate::harness::needs_root();
    eventually("it is told", || run.err().contains("\"65534\" is let in by no list"));
    client.wait_for("web", "running");
    let directory = run.directory();
    let ask = |uid: &str, line: &str| {
        let code = "import os,socket,sys\nos.chdir(sys.argv[2])\nos.setgid(int(sys.argv[1]))\nos.setuid(int(sys.argv[1]))\ns=socket.socket(socket.AF_UNIX)\ns.connect('c.sock')\ntry: s.sendall(sys.argv[3].encode()+b'\\n')\nexcept BrokenPipeError: pass\nprint(s.makefile().readline())";
        let directory = directory.to_str().unwrap();
        let out = Command::new("/usr/bin/python3").args(["-c", code, uid, directory, line]).output().unwrap();
        String::from_utf8(out.stdout).unwrap() + &String::from_utf8(out.stderr).unwrap()
    };
    let context = r#"{"verb":"exec-context","names":["web"]}"#;
    assert!(ask("77", r#"{"verb":"version"}"#).contains("denied"));
    assert!(ask("65534", r#"{"verb":"version"}"#).contains("denied"));
    assert!(ask("4321", r#"{"verb":"version"}"#).contains("\"ok\":true"));
    assert!(ask("4321", r#"{"verb":"stop","names":["web"]}"#).contains("denied"));
    assert!(ask("1234", context).contains("denied"));
    assert!(ask("1234", r#"{"verb":"stop","names":["web"]}"#).contains("\"ok\":true"));
    client.wait_for("web", "stopped");
    let (rows, last) = client.ask(context);
    assert!(last.is_true("ok") && rows[0].text("row") == Some("context"), "{rows:?}");
    assert!(rows.iter().any(|row| row.text("name") == Some("RINIT_SOCKET")));
    run.stop().expect(0);
}

/// The ten lines of the page.
#[test]
fn the_client_of_the_page_works() {
    let page = include_str!("../../docs/control.md");
    let code = page.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    let (run, mut client) = start(STACK);
    client.wait_for("web", "running");
    let path = run.directory().join("c.sock");
    let use_it =
        format!("{code}\nfor row in ask('status', {path:?}): print(row.get('name'), row.get('state'))");
    let out = Command::new("/usr/bin/python3").args(["-c", &use_it]).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(text.contains("web running\n") && text.ends_with("None up\n"), "{text}");
    run.stop().expect(0);
}
