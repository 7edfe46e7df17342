//! What services write, line by line as `docker logs` has it: `RINIT_LONG=1` for all of it, as long as it takes.

use crate::engine::{Container, docker};
use crate::eventually;
use crate::images::{self, Config, ask, debian};
use rinit::text::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const WRITERS: usize = 10;
const LINES: usize = 100_000;

fn is_long() -> bool {
    std::env::var_os("RINIT_LONG").is_some()
}

/// A process as the host sees it: its parent, its name and its user.
fn stat(pid: i32) -> Option<(i32, String, u32)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
    Some((field("PPid:")?.parse().ok()?, field("Name:")?.to_owned(), field("Uid:")?.parse().ok()?))
}

fn init(container: &Container) -> i32 {
    container.inspect(".State.Pid").parse().expect("a pid")
}

/// The relay of a container: a child of its first process, which has made itself nobody.
fn relay(init: i32) -> Option<i32> {
    let pids = fs::read_dir("/proc").expect("/proc");
    let mut pids = pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.find(|pid| {
        stat(*pid).is_some_and(|(parent, name, uid)| parent == init && name == "rinit" && uid == 65534)
    })
}

fn kill(signal: &str, pid: i32) {
    let done = Command::new("kill").args([signal, &pid.to_string()]).status();
    assert!(done.expect("the `kill` command").success(), "kill {signal} {pid}");
}

/// The service that a line is of, and its text.
fn take_apart<'l>(line: &'l str, driver: &str) -> (&'l str, &'l str) {
    let apart = || match driver {
        "prefix" => line.split_once(" | ").map(|(name, text)| (name.trim_end(), text)),
        _ => {
            let (_, rest) = line.strip_prefix("{\"time\":\"")?.split_once("\",\"service\":\"")?;
            let (name, rest) = rest.split_once("\",\"stream\":\"stdout\",\"pid\":")?;
            Some((name, rest.split_once(",\"line\":\"")?.1.strip_suffix("\"}")?))
        }
    };
    apart().unwrap_or_else(|| panic!("neither whole nor told: {line:?}"))
}

fn line_of(name: &str, number: usize) -> String {
    format!("{name} {number} {}", "x".repeat(number % 97))
}

fn writers(driver: &str, pause: f64) -> String {
    let mut config = format!("when_idle = \"stay\"\n[defaults]\nlogging = \"{driver}\"\n");
    for number in 0..WRITERS {
        // Before each pause it is told all: a half line would be shown as one, for it might be a prompt.
        let script = format!(
            r#"for $i (1..{LINES}) {{ print "w{number} $i ", "x" x ($i % 97), "\n"; if ($i % 1000 == 0) {{ $| = 1; $| = 0; select(undef, undef, undef, {pause}) }} }}"#
        );
        write!(
            config,
            "[services.w{number}]\ntype = \"oneshot\"\ncommand = [\"perl\", \"-e\", '{script}']\n"
        )
        .unwrap();
    }
    config
}

/// Compares all lines of the writers; how many bytes of each are there twice.
fn compare(out: &str, driver: &str) -> BTreeMap<String, usize> {
    let mut seen = vec![vec![0u8; LINES + 1]; WRITERS];
    let mut twice: BTreeMap<String, usize> = BTreeMap::new();
    for line in out.lines().filter(|line| !line.contains("flaps")) {
        let (name, text) = take_apart(line, driver);
        let number = text.split(' ').nth(1).and_then(|number| number.parse().ok());
        let number: usize = number.filter(|n| *n <= LINES).unwrap_or_else(|| panic!("cut: {line:?}"));
        assert_eq!(text, line_of(name, number), "mixed: {line:?}");
        let writer: usize = name[1..].parse().expect("a writer's number");
        if seen[writer][number] > 0 {
            *twice.entry(name.to_owned()).or_default() += text.len() + 1;
        }
        seen[writer][number] += 1;
    }
    for (writer, seen) in seen.iter().enumerate() {
        let lost = seen.iter().skip(1).filter(|count| **count == 0).count();
        assert_eq!(lost, 0, "lines of w{writer} that were lost");
    }
    twice
}

fn wait_for_writers(container: &Container) {
    let names: Vec<String> = (0..WRITERS).map(|number| format!("w{number}")).collect();
    let mut words = vec!["/sbin/rinit", "--ctl", "wait", "--completed", "--timeout", "300s"];
    words.extend(names.iter().map(String::as_str));
    let waited = container.exec(&words);
    assert_eq!(waited.code, 0, "{waited:?}");
}

/// A million lines of ten services: none is lost, none is mixed, none is there twice.
#[test]
fn a_million_lines_are_all_there() {
    for driver in ["prefix", "json"] {
        let config = Config::new(&writers(driver, 0.0));
        let container = Container::start(&[&config.mount], debian(), &[]);
        let start = Instant::now();
        wait_for_writers(&container);
        container.stop();
        eprintln!("{driver}: written within {:?}", start.elapsed());
        let twice = compare(&container.logs().out, driver);
        assert!(twice.is_empty(), "{driver}: {twice:?}");
    }
}

/// The relay is killed again and again, and so is a service: no line is lost, and what is there twice was told.
#[test]
fn a_million_lines_survive_the_relay() {
    let (kills, pause) = if is_long() { (200, 0.4) } else { (30, 0.05) };
    for driver in ["prefix", "json"] {
        let mut config = writers(driver, pause);
        config += r#"[services.flaps]
            command = ["perl", "-e", 'for $i (1..1000000) { syswrite(STDOUT, "$$$$ $i flaps\n"); kill 9, $$$$ if rand() < 0.002 }']
            restart = "always"
            restart_policy = { delay = "20ms", max_delay = "20ms" }
            essential = false
        "#;
        let config = Config::new(&config);
        let container = Container::start(&[&config.mount, "--env=RINIT_LOG=warn"], debian(), &[]);
        let init = init(&container);
        let mut last = 0;
        for _ in 0..kills {
            last = eventually("the next relay", || relay(init).filter(|pid| *pid != last));
            kill("-KILL", last);
        }
        eventually("the last relay", || relay(init).filter(|pid| *pid != last));
        wait_for_writers(&container);
        container.stop();
        let logs = container.logs();
        let told = |name: &str| -> usize {
            let begin = format!("rinit: {name}: up to ");
            let rest = logs
                .err
                .lines()
                .filter_map(|line| line.strip_prefix(&begin)?.split(' ').next()?.parse::<usize>().ok());
            rest.sum()
        };
        let twice = compare(&logs.out, driver);
        for (name, twice) in &twice {
            assert!(told(name) >= *twice, "{twice} bytes of {name} twice, {} told", told(name));
        }
        let restarts = logs.err.matches("starting another: nothing is lost").count();
        assert_eq!(restarts, kills, "{}", logs.err.lines().take(20).collect::<String>());
        // A service that is killed: each run has its lines from the first to the last.
        let mut runs: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for line in logs.out.lines().filter(|line| line.contains("flaps")) {
            let (_, text) = take_apart(line, driver);
            let words: Vec<&str> = text.split(' ').collect();
            assert!(words.len() == 3 && words[2] == "flaps", "{line:?}");
            runs.entry(words[0]).or_default().push(words[1].parse().expect("a number"));
        }
        for numbers in runs.values_mut() {
            numbers.sort_unstable();
            numbers.dedup();
            assert!(numbers.iter().copied().eq(1..=numbers.len() as u32), "{numbers:?}");
        }
        eprintln!("{driver}: {kills} kills, {} runs of a service, twice: {twice:?}", runs.len());
        assert!(runs.len() > 10);
    }
}

/// The lines of each service.
fn by_service(out: &str, driver: &str) -> BTreeMap<String, Vec<String>> {
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in out.lines() {
        let (name, text) = if driver == "prefix" {
            let (name, text) = take_apart(line, driver);
            (name.to_owned(), text.to_owned())
        } else {
            let line = json::parse(line).expect("JSON");
            let field = |name| line.text(name).expect("a field").to_owned();
            (field("service"), field("line"))
        };
        texts.entry(name).or_default().push(text);
    }
    texts
}

/// Real programs, each with its own way to write a log: nginx as another user opens /dev/stdout by its name, redis has its
/// own time stamps, Python buffers, Node writes without waiting.
#[test]
fn real_programs_are_told_apart() {
    const REQUESTS: usize = 500;
    const COUNT: usize = 20_000;
    const PACKAGES: &str = "nginx-light,redis-server,redis-tools,procps,python3-minimal,nodejs";
    let base = images::import("debian-logs", PACKAGES, "", |_| {});
    let dockerfile = format!("FROM {base}\nCOPY rinit /sbin/rinit\nENTRYPOINT [\"/sbin/rinit\"]\n");
    let image = images::build("debian-logs", &dockerfile, &[]);
    for driver in ["prefix", "json"] {
        let config = Config::new(&format!(
            r#"
            when_idle = "stay"
            [defaults]
            logging = "{driver}"
            [services.web]
            user = "www-data"
            command = ["sh", "-c", 'echo "pid /tmp/pid; daemon off; worker_processes 2; events {{}} http {{ client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s; access_log /dev/stdout; error_log /dev/stderr notice; server {{ listen 8080; root /usr/share/nginx/html; }} }}" > /tmp/nginx.conf; exec nginx -c /tmp/nginx.conf -e /dev/stderr']
            [services.cache]
            user = "redis"
            command = ["redis-server", "--save", "", "--logfile", ""]
            [services.worker]
            type = "oneshot"
            command = ["python3", "-c", 'for i in range({COUNT}): print("worker", i)']
            [services.writer]
            type = "oneshot"
            command = ["node", "-e", 'for (let i = 0; i < {COUNT}; i++) console.log("writer " + i)']
            "#
        ));
        let container = Container::start(&[&config.mount], &image, &[]);
        for number in 0..REQUESTS {
            let request = format!("GET /number-{number} HTTP/1.0\r\n\r\n");
            eventually("nginx answers", || ask(&container, 8080, &request));
        }
        let words = ["/sbin/rinit", "--ctl", "wait", "--completed", "--timeout", "60s", "worker", "writer"];
        let waited = container.exec(&words);
        assert_eq!(waited.code, 0, "{waited:?}");
        container.stop();
        let logs = container.logs();
        let texts = by_service(&logs.out, driver);
        assert_eq!(texts.keys().collect::<Vec<_>>(), ["cache", "web", "worker", "writer"]);
        let numbered = |name: &str| (0..COUNT).map(|number| format!("{name} {number}")).collect::<Vec<_>>();
        assert_eq!(texts["worker"], numbered("worker"), "{driver}");
        assert_eq!(texts["writer"], numbered("writer"), "{driver}");
        for number in 0..REQUESTS {
            let request = format!("\"GET /number-{number} HTTP/1.0\" 404");
            let found = texts["web"].iter().filter(|line| line.contains(&request)).count();
            assert_eq!(found, 1, "{driver}: {request}");
        }
        assert_eq!(texts["web"].len(), REQUESTS);
        assert!(texts["cache"].iter().any(|line| line.contains("Ready to accept connections")), "{texts:?}");
        // The errors of nginx are errors still.
        assert_eq!(logs.err.matches("html/number-").count(), REQUESTS, "{driver}");
    }
}

/// The exit code of rinitctl on the host, for the rinit whose `/run` is that directory. It answers soon.
fn ctl(run: &Path, words: &[&str]) -> Option<i32> {
    let start = Instant::now();
    let mut command = Command::new(images::rinit());
    let ran = command.arg("--ctl").args(words).env("RINIT_SOCKET", run.join("rinit.sock")).output();
    assert!(start.elapsed() < Duration::from_secs(5), "{words:?} took {:?}", start.elapsed());
    ran.expect("rinitctl").status.code()
}

/// The engine stops reading: the writers wait, and nothing else does; then it reads on, and nothing is lost. At last it
/// stops for good, and a stop ends in time all the same.
#[test]
fn an_engine_that_does_not_read_delays_no_stop() {
    let pause = Duration::from_secs(if is_long() { 30 } else { 3 });
    let directory = std::env::temp_dir().join(crate::engine::unique("run"));
    fs::create_dir_all(&directory).expect("a directory");
    let run = format!("--volume={}:/run", directory.display());
    let config = Config::new(
        r#"
        [services.talks]
        logging = "prefix"
        command = ["perl", "-e", 'for ($i = 0; ; $i++) { syswrite(STDOUT, "number $i " . "x" x 500 . "\n"); select(undef, undef, undef, 0.002) }']
        stop_grace_period = "1s"
        [services.files]
        logging = { driver = "file", file = "/run/files.log" }
        command = ["perl", "-e", '$| = 1; for (;;) { print "line\n"; select(undef, undef, undef, 0.05) }']
        [services.web]
        command = ["sleep", "1000"]
        healthcheck = { test = ["CMD", "true"], interval = "200ms", retries = 1 }
        "#,
    );
    let container = Container::start(&[&config.mount, &run], debian(), &[]);
    let init = init(&container);
    let shim = stat(init).expect("the container").0;
    let ctl = |words: &[&str]| ctl(&directory, words);
    let size = || fs::metadata(directory.join("files.log")).map_or(0, |found| found.len());
    container.says("number 10 ");
    eventually("web is healthy", || (ctl(&["healthcheck"]) == Some(0)).then_some(()));
    let start = Instant::now();
    kill("-STOP", shim);
    let mut before = size();
    while start.elapsed() < pause {
        assert_eq!(ctl(&["healthcheck"]), Some(0));
        assert_eq!(ctl(&["restart", "web"]), Some(0));
        eventually("the file grows", || (size() > before).then_some(()));
        before = size();
    }
    kill("-CONT", shim);
    let shown = |text: &str| docker(&["logs", "--tail", "1", &container.name]).out.contains(text);
    eventually("lines come again", || shown("talks | number").then_some(()));
    std::thread::sleep(Duration::from_millis(500));
    kill("-STOP", shim);
    // Until the engine's pipe is full, and the service's own.
    std::thread::sleep(Duration::from_secs(2));
    let start = Instant::now();
    kill("-TERM", init);
    eventually("the container's first process has ended", || {
        let status = fs::read_to_string(format!("/proc/{init}/status")).unwrap_or_default();
        (!status.contains("State:") || status.contains("State:\tZ")).then_some(())
    });
    let took = start.elapsed();
    kill("-CONT", shim);
    assert!(took < Duration::from_secs(9), "{took:?}");
    container.wait();
    let logs = container.logs();
    let numbers = logs
        .out
        .lines()
        .filter_map(|line| line.strip_prefix("talks | number ")?.split(' ').next()?.parse().ok());
    let numbers: Vec<usize> = numbers.collect();
    assert!(numbers.iter().copied().eq(0..numbers.len()), "not in order, or lost");
    let told = logs.err.contains("bytes of its output were not read, and are lost");
    assert!(told, "{}", logs.err);
    let _ = fs::remove_dir_all(&directory);
}

/// Kibibytes of memory that a process alone has, without what it shares with the first process by a descriptor.
fn private_kib(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap_or_default();
    let (mut sum, mut is_counted) = (0, true);
    for line in text.lines() {
        if line.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit()) {
            is_counted = !line.contains("/memfd:");
        } else if line.starts_with("Private_") && is_counted {
            sum += line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    sum
}

/// Milliseconds within the hour, of `MM:SS.ffffff`.
fn of_the_hour(text: &str) -> Option<i64> {
    let (minutes, seconds) = text.split_once(':')?;
    let millis = seconds.parse::<f64>().ok()? * 1000.0;
    Some(minutes.parse::<i64>().ok()? * 60_000 + millis as i64)
}

/// One service writes 100 MB and never ends its line; 99 others write a line a second.
#[test]
fn a_line_without_an_end_delays_nobody() {
    let mut config = String::from("when_idle = \"stay\"\n[defaults]\nlogging = \"json\"\n");
    for number in 0..99 {
        // Once a second, without a process for it.
        let tick = "exec 3<> <(:); while :; do echo $EPOCHREALTIME; read -t 1 -u 3; done";
        write!(
            config,
            "[services.tick{number}]\ncommand = [\"bash\", \"-c\", '{tick}']\nstop_grace_period = \"1s\"\n"
        )
        .unwrap();
    }
    config += "[services.flood]\ntype = \"oneshot\"\ncommand = [\"perl\", \"-e\", 'sleep 3; print \"x\" x 1000000 for 1..100; print \"\\n\"']\n";
    let config = Config::new(&config);
    let container = Container::start(&[&config.mount], debian(), &[]);
    let relay = eventually("the relay", || relay(init(&container)));
    let (mut largest, before) = (0, private_kib(relay));
    let mut waits = Command::new("docker")
        .args(["exec", &container.name, "/sbin/rinit", "--ctl", "wait", "--completed", "flood"])
        .spawn()
        .expect("docker");
    while waits.try_wait().expect("docker").is_none() {
        largest = largest.max(private_kib(relay));
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_secs(1));
    container.stop();
    let logs = docker(&["logs", "--timestamps", &container.name]).out;
    let (mut flood, mut delays) = (0, Vec::new());
    for line in logs.lines() {
        let (time, line) = line.split_once(' ').expect("the engine's time");
        if line.contains("\"service\":\"flood\"") {
            assert!(
                line.len() < 16 * 1024 && json::parse(line).is_some_and(|line| line.text("line").is_some())
            );
            flood += line.matches('x').count();
            continue;
        }
        let (_, written) = line.split_once("\"line\":\"").expect("a line");
        let written: f64 = written.strip_suffix("\"}").and_then(|time| time.parse().ok()).expect("a time");
        let written = (written * 1000.0) as i64;
        let read = time
            .split_once('T')
            .and_then(|(_, time)| of_the_hour(time[3..].trim_end_matches('Z')))
            .expect("a time");
        delays.push((read - written).rem_euclid(3_600_000));
    }
    delays.sort_unstable();
    let at = |part: usize| delays[(delays.len() - 1) * part / 100];
    eprintln!(
        "{} lines, delay {} ms at the median, {} ms at 99 %, {} ms at most",
        delays.len(),
        at(50),
        at(99),
        at(100)
    );
    eprintln!("private memory of the relay: {before} KiB, at most {largest} KiB");
    assert_eq!(flood, 100_000_000);
    assert!(delays.len() >= 99 * 3 && at(99) < 2000, "{delays:?}");
    assert!(largest <= 300, "{largest} KiB");
}
