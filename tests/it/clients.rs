//! Many clients, for long: `RINIT_LONG=1` for ten minutes of it. And none at all, for which nothing is done.

use crate::harness::{Client, Init, Process, Running, eventually, ms};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const LOGGED: &str = r#"
    [defaults]
    logging = "prefix"
    [services.web]
    command = ["sh", "-c", "echo ready; exec sleep 1000"]
    [services.worker]
    command = ["sh", "-c", "echo ready >&2; exec sleep 1000"]
    logging = "json"
    [services.filed]
    command = ["sh", "-c", "echo ready; exec sleep 1000"]
    logging = { driver = "file", file = "/mnt/files/filed.log" }
    [services.flaps]
    command = ["sh", "-c", "echo again; sleep 0.2; exit 1"]
    essential = false
    restart = "always"
    restart_policy = { delay = "10ms", max_delay = "10ms" }
    enabled = false
"#;

/// The processes of rinit's own, PID 1 first.
fn own(run: &Running) -> Vec<Process> {
    run.processes().into_iter().filter(|process| process.command.contains("rinit")).collect()
}

/// By the kernel's own account of how often each was put to sleep.
#[test]
fn neither_relay_nor_socket_wakes_an_idle_rinit() {
    let run = Init::config(LOGGED).env("RINIT_SOCKET", Client::SOCKET).start();
    let mut client = Client::of(&run);
    client.wait_for("worker", "running");
    eventually("all has been written", || {
        run.out().contains("web ")
            && run.err().contains("\"line\":\"ready\"")
            && !run.file("filed.log").is_empty()
    });
    let switches = || own(&run).iter().map(Process::switches).collect::<Vec<_>>();
    assert!(switches().len() >= 3, "rinit, the relay, and who opens files");
    let mut settled = switches();
    eventually("it has settled", || {
        std::thread::sleep(ms(1200));
        let now = switches();
        std::mem::replace(&mut settled, now.clone()) == now
    });
    std::thread::sleep(ms(3000));
    assert_eq!(switches(), settled, "something woke up");
    assert_eq!(client.state("web"), "running");
    run.stop();
}

/// Whoever connects takes a descriptor; those that a start needs are kept back.
#[test]
fn a_thousand_clients_starve_no_start() {
    let config = LOGGED.replace("enabled = false", "");
    let launch = Init::config(&config).env("RINIT_SOCKET", Client::SOCKET);
    let run = launch.limit(libc::RLIMIT_NOFILE, 64).start();
    Client::of(&run).wait_for("web", "running");
    let path = run.directory().join("c.sock");
    let mut clients = Vec::new();
    let begin = Instant::now();
    while clients.len() < 1000 && begin.elapsed() < Duration::from_secs(3) {
        let stream = UnixStream::connect(&path).unwrap();
        stream.set_nonblocking(true).unwrap();
        let _ = (&stream).write_all(b"{\"verb\":\"events\",\"follow\":true}\n");
        clients.push(stream);
    }
    let starts = || run.out().matches("again").count();
    let before = starts();
    eventually("it starts again and again", || starts() > before + 5);
    assert!(!run.err().contains("EMFILE") && !run.err().contains("open files"), "{}", run.err());
    drop(clients);
    assert_eq!(Client::of(&run).state("web"), "running");
    run.stop();
}

/// What one client does, and how it leaves.
fn visit(path: &Path, number: usize) {
    const ASKS: [&str; 10] = [
        "{\"verb\":\"status\"}\n",
        "{\"verb\":\"metrics\"}\n",
        "{\"verb\":\"logs\"}\n",
        "{\"verb\":\"events\",\"since\":0}\n",
        "{\"verb\":\"events\",\"follow\":true}\n",
        "{\"verb\":\"graph\"}\n{\"verb\":\"timeline\"}\n{\"verb\":\"version\"}\n",
        "{\"verb\":\"restart\",\"names\":[\"web\"]}\n",
        "{\"verb\":\"signal\",\"signal\":\"USR1\",\"names\":[\"nobody\"]}\n",
        "{\"verb\":\"exec-context\",\"names\":[\"worker\"]}\n",
        "[[[[\n\u{0}\n{\"verb\":\n",
    ];
    let Ok(mut stream) = UnixStream::connect(path) else { return };
    stream.set_read_timeout(Some(ms(100))).unwrap();
    stream.set_write_timeout(Some(ms(100))).unwrap();
    let _ = stream.write_all(ASKS[number % ASKS.len()].as_bytes());
    if number.is_multiple_of(3) {
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
    let mut answer = [0; 2000];
    // Some leave at once, some in the middle of the answer, some stay.
    for _ in 0..number % 4 {
        if !matches!(stream.read(&mut answer), Ok(1..)) {
            return;
        }
    }
}

/// Anonymous memory in KiB, and open descriptors, of each process of rinit's own.
fn cost(run: &Running) -> Vec<(u64, usize)> {
    let anonymous =
        |process: &Process| process.status("RssAnon").trim_end_matches(" kB").trim().parse().unwrap();
    own(run).iter().map(|process| (anonymous(process), process.fds().len())).collect()
}

#[test]
fn a_hundred_clients_leave_nothing_behind() {
    let time = Duration::from_secs(if std::env::var_os("RINIT_LONG").is_some() { 600 } else { 5 });
    let config = LOGGED.replace("enabled = false", "");
    let run = Init::config(&config).env("RINIT_SOCKET", Client::SOCKET).start();
    Client::of(&run).wait_for("web", "running");
    let path: PathBuf = run.directory().join("c.sock");
    let storm = |time: Duration| {
        let until = Instant::now() + time;
        std::thread::scope(|scope| {
            for first in 0..100 {
                let path = &path;
                scope.spawn(move || {
                    let mut number = first;
                    while Instant::now() < until {
                        visit(path, number);
                        number += 7;
                        std::thread::sleep(ms(20));
                    }
                });
            }
        });
        eventually("web runs again", || Client::of(&run).state("web") == "running");
    };
    // The events that are kept (512) are filled and replaced, and what else is filled once.
    let newest = || Client::of(&run).ask(r#"{"verb":"version"}"#).1.number("seq").unwrap();
    for _ in 0..20 {
        storm(Duration::from_secs(1));
        if newest() > 1500 {
            break;
        }
    }
    let settled = cost(&run);
    storm(time);
    // In a moment in which no service is being started, and all clients have gone. (64 KiB are 3 bytes a visit.)
    let is_as_before = |now: &[(u64, usize)]| {
        let pairs = now.iter().zip(&settled);
        now.len() == settled.len() && pairs.clone().all(|(now, then)| now.0 <= then.0 + 64 && now.1 <= then.1)
    };
    let begin = Instant::now();
    loop {
        let now = cost(&run);
        if is_as_before(&now) {
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(10), "{settled:?} KiB and descriptors became {now:?}");
        std::thread::sleep(ms(50));
    }
    run.stop();
}
