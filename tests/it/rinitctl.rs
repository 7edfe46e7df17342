//! rinitctl and the HTTP helper, beside a rinit that runs.

use crate::harness::{Client, Init, Launch, Running, eventually, ms};
use rinit::text::json::{self, Json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const STACK: &str = r#"
    [services.db]
    command = ["sleep", "1000"]
    essential = false
    healthcheck = { test = ["CMD", "test", "-e", "/mnt/files/well"], interval = "50ms", retries = 2, on_unhealthy = "ignore" }
    [services.web]
    command = ["sleep", "1001"]
    [services.job]
    type = "oneshot"
    command = ["true"]
    [services.spare]
    command = ["sleep", "1002"]
    enabled = false
"#;

fn launch(config: &str) -> Launch {
    Init::config(config).env("RINIT_SOCKET", Client::SOCKET).file("well", "")
}

/// Started, and each of these services in its state.
fn started(config: &str, states: &[(&str, &str)]) -> Running {
    let run = launch(config).start();
    let mut client = Client::of(&run);
    for (name, state) in states {
        client.wait_for(name, state);
    }
    run
}

/// rinitctl in the namespaces of a rinit, as `docker exec` runs it.
pub fn inside(run: &Running, words: &[&str]) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["-t", &run.pid_outside().to_string(), "-p", "-m", "--", "env"]);
    command.arg(format!("RINIT_SOCKET={}", Client::SOCKET)).args(words);
    command
}

pub fn ctl_command(run: &Running, words: &[&str]) -> Command {
    inside(run, &[&["/mnt/rinit", "--ctl"], words].concat())
}

pub struct Told {
    pub code: i32,
    pub out: String,
    pub err: String,
}

pub fn told(output: Output) -> Told {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Told { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

pub fn ctl(run: &Running, words: &[&str]) -> Told {
    told(ctl_command(run, words).output().unwrap())
}

#[track_caller]
pub fn good(run: &Running, words: &[&str]) -> String {
    let told = ctl(run, words);
    assert_eq!((told.code, told.err.as_str()), (0, ""), "{words:?}: {}", told.out);
    told.out
}

const UP: &[(&str, &str)] = &[("db", "running"), ("web", "running"), ("job", "done")];

#[test]
fn status_is_a_table_json_and_an_exit_code() {
    let run = started(STACK, UP);
    let table = good(&run, &[]);
    let heads = ["NAME", "STATE", "HEALTH", "PID", "UPTIME", "RESTARTS", "WHY"];
    assert_eq!(table.lines().next().unwrap().split_whitespace().collect::<Vec<_>>(), heads);
    let line = |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap().to_string();
    assert!(line("web").contains("running") && line("spare").contains("enabled is false"), "{table}");
    assert!(!table.contains('\x1b'));
    let text = good(&run, &["status", "--json", "w*"]);
    let value = json::parse(text.trim()).unwrap();
    assert_eq!(value.text("state"), Some("up"));
    let [web] = value.list("services") else { panic!("{text}") };
    assert_eq!((web.text("name"), web.number("restarts")), (Some("web"), Some(0)));
    assert!(web.get("row").is_none() && web.number("pid").is_some());
    assert_eq!(ctl(&run, &["status", "web", "spare"]).code, 3);
    let unknown = ctl(&run, &["status", "wbe"]);
    assert_eq!(
        (unknown.code, unknown.err.as_str()),
        (4, "rinitctl: no service is called \"wbe\"; did you mean \"web\"?\n")
    );
    // By its other name.
    let named = told(
        inside(&run, &["sh", "-c", "ln -s /mnt/rinit /mnt/files/rinitctl; /mnt/files/rinitctl status web"])
            .output()
            .unwrap(),
    );
    assert_eq!(named.code, 0, "{}", named.err);
    run.stop().expect(0);
}

#[test]
fn orders_wait_for_what_comes_of_them() {
    let config = r#"
        [services.web]
        command = ["sleep", "1001"]
        [services.flaky]
        command = ["sh", "-c", "sleep 0.2; exit 3"]
        restart = "no"
        enabled = false
        essential = false
        [services.slow]
        command = ["sh", "-c", "trap 'sleep 0.3; exit 0' TERM; while :; do sleep 0.01; done"]
    "#;
    let run = started(config, &[("web", "running"), ("slow", "running")]);
    let mut client = Client::of(&run);
    let began = Instant::now();
    good(&run, &["stop", "slow"]);
    assert!(began.elapsed() >= ms(300) && client.state("slow") == "stopped");
    let failed = ctl(&run, &["start", "flaky"]);
    assert_eq!(failed.code, 1);
    assert!(
        failed.err.starts_with("rinitctl: flaky: not started: failed") && failed.err.contains("code 3"),
        "{}",
        failed.err
    );
    let pid = client.service("web").number("pid");
    let began = Instant::now();
    good(&run, &["restart", "web"]);
    assert!(client.service("web").number("pid") != pid && began.elapsed() >= Duration::from_secs(1));
    let began = Instant::now();
    good(&run, &["restart", "--no-wait", "web"]);
    assert!(began.elapsed() < Duration::from_secs(1));
    let late = ctl(&run, &["start", "--timeout", "100ms", "slow"]);
    assert_eq!((late.code, late.err.contains("within the time")), (124, true), "{}", late.err);
    good(&run, &["signal", "CONT", "web"]);
    good(&run, &["stop", "all"]);
    assert!(["web", "slow", "flaky"].iter().all(|name| client.state(name) != "running"));
    // Nothing runs, and rinit is there; shutdown ends it.
    let mut ordered = ctl_command(&run, &["shutdown", "--code", "7"]).stderr(Stdio::null()).spawn().unwrap();
    run.end().expect(7);
    ordered.wait().unwrap();
}

#[test]
fn wait_ends_when_it_can_or_can_no_more() {
    let run = started(STACK, UP);
    good(&run, &["wait", "--healthy", "db", "web", "job"]);
    good(&run, &["wait", "--completed", "job"]);
    good(&run, &["wait", "--stopped", "spare", "job"]);
    let lost = ctl(&run, &["wait", "spare"]);
    assert_eq!((lost.code, lost.err.as_str()), (1, "rinitctl: spare: off: enabled is false\n"));
    assert_eq!(ctl(&run, &["wait", "--stopped", "--timeout", "50ms", "web"]).code, 124);
    let mut waiting = ctl_command(&run, &["wait", "--stopped", "web"]).spawn().unwrap();
    good(&run, &["stop", "web"]);
    assert!(waiting.wait().unwrap().success());
    run.stop().expect(0);
}

/// A probe that hangs piles up where the runtime does not end it; kubelet waits a second.
#[test]
fn healthcheck_is_quick_and_says_what_is_wrong() {
    let run = started(STACK, UP);
    let mut client = Client::of(&run);
    eventually("db is healthy", || client.service("db").text("health") == Some("healthy"));
    assert_eq!(good(&run, &["healthcheck"]), "");
    std::fs::remove_file(run.directory().join("well")).unwrap();
    eventually("db is unhealthy", || client.service("db").text("health") == Some("unhealthy"));
    let sick = ctl(&run, &["healthcheck"]);
    assert!(sick.code == 1 && sick.out.starts_with("db: unhealthy"), "{} {}", sick.out, sick.err);
    std::fs::write(run.directory().join("well"), "").unwrap();
    eventually("db is healthy again", || ctl(&run, &["healthcheck"]).code == 0);
    // PID 1 does not answer.
    run.signal(libc::SIGSTOP);
    let began = Instant::now();
    let dead = ctl(&run, &["healthcheck"]);
    assert_eq!((dead.code, dead.err.contains("does not answer")), (1, true), "{}", dead.err);
    assert!(began.elapsed() < ms(1500), "{:?}", began.elapsed());
    run.signal(libc::SIGCONT);
    run.stop().expect(0);
}

#[test]
fn events_graph_timeline_and_metrics_are_told() {
    let config = "[services.db]\ncommand = [\"sleep\", \"1000\"]\n[services.web]\ncommand = [\"sleep\", \"1001\"]\ndepends_on = [\"db\"]\n";
    let run = started(config, &[("db", "running"), ("web", "running")]);
    let told = good(&run, &["events"]);
    assert!(told.lines().any(|line| line.contains("db: started pid=")), "{told}");
    let lines = good(&run, &["events", "--json", "web"]);
    assert!(
        lines.lines().all(|line| json::parse(line).unwrap().text("service") == Some("web"))
            && !lines.is_empty()
    );
    let mut follower = ctl_command(&run, &["events", "-f", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    good(&run, &["stop", "web"]);
    let mut seen = String::new();
    let mut out = follower.stdout.take().unwrap();
    while !seen.contains("\"event\":\"exited\"") {
        let mut piece = [0; 4096];
        let count = out.read(&mut piece).unwrap();
        assert!(count > 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&piece[..count]));
    }
    follower.kill().unwrap();
    follower.wait().unwrap();
    assert_eq!(good(&run, &["graph"]), "db\nweb\n  db (started)\n");
    assert!(good(&run, &["graph", "--format", "dot"]).contains("\"web\" -> \"db\""));
    assert!(good(&run, &["graph", "--format=mermaid"]).starts_with("graph LR\n"));
    let svg = good(&run, &["timeline"]);
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n") && svg.contains(">web</text>"), "{svg}");
    assert!(good(&run, &["timeline", "--format", "text", "db"]).starts_with("db  "));
    let metrics = good(&run, &["metrics"]);
    assert!(
        metrics.ends_with("# EOF\n") && metrics.contains("rinit_service_processes{service=\"db\"} 1\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("rinit_service_state{service=\"web\",rinit_service_state=\"stopped\"} 1\n"),
        "{metrics}"
    );
    run.stop().expect(0);
}

#[test]
fn exec_runs_as_the_service_does() {
    crate::harness::needs_root();
    let config = r#"
        [services.web]
        command = ["sleep", "1001"]
        user = "1234:1235"
        umask = "0027"
        working_dir = "/mnt"
        environment = { TOKEN = "s3cret=x", EMPTY = "" }
        ulimits = { nofile = 77 }
    "#;
    let run = started(config, &[("web", "running")]);
    let script = "echo $(id -u):$(id -g) $(umask) $(pwd) $TOKEN $(ulimit -n)";
    assert_eq!(good(&run, &["exec", "web", "--", "sh", "-c", script]), "1234:1235 0027 /mnt s3cret=x 77\n");
    assert_eq!(ctl(&run, &["exec", "web", "--", "sh", "-c", "exit 9"]).code, 9);
    let none = ctl(&run, &["exec", "web", "--", "no-such-program"]);
    assert_eq!(none.code, 127, "{}", none.err);
    run.stop().expect(0);
}

#[test]
fn check_runs_the_checks_of_the_start() {
    let config = "[checks.file.\"/mnt/files/well\"]\n[services.web]\ncommand = [\"sleep\", \"1001\"]\n";
    let run = started(config, &[("web", "running")]);
    assert_eq!(ctl(&run, &["check"]).code, 0);
    std::fs::remove_file(run.directory().join("well")).unwrap();
    let failed = ctl(&run, &["check", "--json"]);
    assert_eq!(failed.code, 69, "{}", failed.err);
    assert_eq!(json::parse(failed.out.trim()).unwrap().get("ok"), Some(&Json::Bool(false)));
    run.stop().expect(0);
}

/// What is asked where there is no rinit, and by whom rinit does not know.
#[test]
fn who_finds_no_rinit_is_told_so() {
    let run = started("[services.web]\ncommand = [\"sleep\", \"1001\"]\n", &[("web", "running")]);
    let nowhere = ctl(&run, &["--socket", "/mnt/files/none", "status"]);
    assert_eq!(nowhere.code, 69);
    assert!(
        nowhere.err.contains("no rinit answers at /mnt/files/none") && nowhere.err.contains("PID 1 is rinit"),
        "{}",
        nowhere.err
    );
    crate::harness::needs_root();
    let words = ["setpriv", "--reuid=1234", "--clear-groups", "/mnt/rinit", "--ctl", "status"];
    let foreign = told(inside(&run, &words).output().unwrap());
    assert_eq!(foreign.code, 69, "{}", foreign.err);
    assert!(foreign.err.contains("(Permission denied)"), "{}", foreign.err);
    run.stop().expect(0);
    let outside =
        Command::new(Init::rinit_binary()).args(["--ctl", "-s", "@nobody-at-all"]).output().unwrap();
    assert!(told(outside).err.contains("not rinit; name the socket"));
}

/// Each script is read by its shell, and knows verbs, options and services.
#[test]
fn completions_complete_in_their_shells() {
    let run = started(STACK, UP);
    let shell = |shell: &str, rest: &str| {
        let script = format!(
            "mkdir -p /mnt/files/bin; ln -sf /mnt/rinit /mnt/files/bin/rinitctl; export PATH=/mnt/files/bin:$PATH\n\
             rinitctl completions {shell} > /mnt/files/{shell}.completion || exit 1\n{rest}"
        );
        let told = told(inside(&run, &["sh", "-c", &script]).output().unwrap());
        assert_eq!((told.code, told.err.as_str()), (0, ""), "{shell}: {}", told.out);
        told.out
    };
    let bash = r#"exec bash -c '. /mnt/files/bash.completion
        complete_it() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _rinitctl; echo "${COMPREPLY[*]}"; }
        complete_it rinitctl sta
        complete_it rinitctl restart w
        complete_it rinitctl status --j
        complete_it rinitctl graph --format d
        complete_it_too() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _rinit; echo "${COMPREPLY[0]}"; }
        complete_it_too rinit --config x --val
        complete_it_too rinit --config --val
        complete_it_too rinit -g -- tru
        complete_it_too rinit true --val'"#;
    assert_eq!(shell("bash", bash), "status start\nweb\n--json\ndot\n--validate\n\ntrue\n\n");
    let fish = r#"exec fish --no-config -c 'source /mnt/files/fish.completion
        complete -C "rinitctl sta" | string split -f1 \t
        complete -C "rinitctl restart w" | string split -f1 \t
        complete -C "rinitctl status --j" | string split -f1 \t
        complete -C "rinitctl graph --format d" | string split -f1 \t
        complete -C "rinit --val" | string split -f1 \t'"#;
    let told = shell(
        "fish",
        &format!("export HOME=/mnt/files XDG_DATA_HOME=/mnt/files XDG_CONFIG_HOME=/mnt/files\n{fish}"),
    );
    let mut words: Vec<&str> = told.lines().collect();
    words.sort_unstable();
    assert_eq!(words, ["--json", "--validate", "dot", "start", "status", "web"]);
    let zsh = r#"exec zsh -f -c 'autoload -U compinit; compinit -D -u
        source /mnt/files/zsh.completion
        [[ $_comps[rinitctl] == _rinitctl ]] || exit 3
        _describe() { print -l -- ${(P)2} }
        compadd() { print -l -- $@ }
        words=(rinitctl ""); CURRENT=2; _rinitctl
        words=(rinitctl restart ""); CURRENT=3; _rinitctl
        [[ $_comps[rinit] == _rinit ]] || exit 3
        _arguments() { print -l -- $@ }
        _rinit'"#;
    let told = shell("zsh", zsh);
    for line in [
        "status:what runs, how it is, since when, and why not",
        "--no-wait:do not wait for the result",
        "web",
        "all",
        "*--validate[report every fault of the configuration, and end]",
        "*-r[send TO in place of the signal FROM; 0 drops it]:FROM:TO:_files",
        "*::command: _normal",
    ] {
        assert!(told.lines().any(|found| found == line), "{line}\n{told}");
    }
    run.stop().expect(0);
}

/// A request and all of the answer.
fn http(run: &Running, request: &str) -> String {
    let mut stream = connect(run);
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

/// The port that the helper listens at: one for each process of the tests.
fn port() -> u16 {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    20_000 + (std::process::id() % 2000) as u16 * 5 + NEXT.fetch_add(1, Ordering::Relaxed)
}

fn connect(run: &Running) -> TcpStream {
    let port: u16 = run.file("port").parse().unwrap();
    let mut stream = None;
    eventually("the helper listens", || {
        stream = TcpStream::connect(("127.0.0.1", port)).ok();
        stream.is_some()
    });
    let stream = stream.unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

fn with_http(config: &str) -> Running {
    let port = port();
    let config = format!("[control]\nhttp = \":{port}\"\n{config}");
    let run = launch(&config).file("port", &port.to_string()).start();
    connect(&run);
    run
}

#[test]
fn http_answers_what_kubernetes_asks() {
    let run = with_http(STACK);
    let mut client = Client::of(&run);
    eventually("db is healthy", || client.service("db").text("health") == Some("healthy"));
    let get =
        |path: &str| http(&run, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n"));
    eventually("ready", || get("/ready").starts_with("HTTP/1.1 200 "));
    assert!(get("/alive").ends_with("\r\n\r\nalive\n"));
    assert!(get("/status").contains("{\"state\":\"up\",\"services\":["));
    let metrics = http(&run, "GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text\r\n\r\n");
    assert!(metrics.contains("application/openmetrics-text; version=1.0.0") && metrics.ends_with("# EOF\n"));
    let head = http(&run, "HEAD /metrics HTTP/1.0\r\n\r\n");
    assert!(head.contains("text/plain; version=0.0.4") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(http(&run, "POST /alive HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    let long = format!("GET /alive HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    assert!(http(&run, &long).starts_with("HTTP/1.1 431 "));
    std::fs::remove_file(run.directory().join("well")).unwrap();
    eventually("not ready", || {
        let answer = get("/ready");
        answer.starts_with("HTTP/1.1 503 ") && answer.contains("db: unhealthy")
    });
    run.stop().expect(0);
}

/// A thousand clients that send nothing: a probe is answered all the same, and rinit has not noticed.
#[test]
fn slow_clients_do_not_keep_a_probe_from_its_answer() {
    let run = with_http("[services.web]\ncommand = [\"sleep\", \"1001\"]\n");
    let fds = run.init().fds().len();
    let mut slow = Vec::new();
    for number in 0..1000 {
        let mut stream = connect(&run);
        if number % 2 == 0 {
            let _ = stream.write_all(b"GET /alive HT");
        }
        slow.push(stream);
    }
    let began = Instant::now();
    assert!(http(&run, "GET /alive HTTP/1.1\r\n\r\n").ends_with("alive\n"));
    assert!(began.elapsed() < ms(900), "{:?}", began.elapsed());
    eventually("rinit has no more open", || run.init().fds().len() <= fds + 1);
    drop(slow);
    run.stop().expect(0);
}

/// The helper died, and nobody answered any more; it is made again, and its end changes nothing else.
#[test]
fn the_http_helper_is_made_again() {
    let run = with_http("[services.web]\ncommand = [\"sleep\", \"1001\"]\n");
    let helpers = || {
        let is = |process: &crate::harness::Process| process.status("Name") == "rinit-http";
        run.others().into_iter().filter(is).collect::<Vec<_>>()
    };
    eventually("there is a helper", || helpers().len() == 1);
    let first = helpers().remove(0);
    eventually("it has no capability", || first.mask("CapEff") == 0);
    let foreign: Vec<_> = first.fds().into_iter().filter(|(fd, _)| *fd > 3).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    run.signal_to(&first, libc::SIGKILL);
    eventually("there is another", || helpers().first().is_some_and(|helper| helper.pid != first.pid));
    assert!(http(&run, "GET /alive HTTP/1.1\r\n\r\n").ends_with("alive\n"));
    assert_eq!(run.find("sleep 1001").len(), 1);
    run.stop().expect(0);
}

/// The first moment of a stop takes a container out of a balancer, while services still finish their work.
#[test]
fn nobody_is_ready_from_the_first_moment_of_a_stop() {
    let run = with_http(
        "[services.web]\ncommand = [\"sh\", \"-c\", \"trap 'while [ ! -e /mnt/files/go ]; do sleep 0.01; done; exit 0' TERM; echo up; while :; do sleep 0.01; done\"]\n",
    );
    run.wait_for("up");
    eventually("ready", || http(&run, "GET /ready HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 "));
    run.signal(libc::SIGTERM);
    eventually("it stops", || {
        Client::of(&run).ask(r#"{"verb":"status"}"#).1.text("state") == Some("stopping")
    });
    let answer = http(&run, "GET /ready HTTP/1.1\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("rinit is stopping\n"), "{answer}");
    assert!(http(&run, "GET /alive HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 "));
    std::fs::write(run.directory().join("go"), "").unwrap();
    run.end().expect(0);
}

/// A rinit that answers each request with the next of these texts; at the end it hangs up.
fn played(name: &str, answers: &[&str]) -> std::thread::JoinHandle<Vec<String>> {
    use std::io::{BufRead, BufReader};
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};
    let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap();
    let answers: Vec<String> = answers.iter().map(|text| (*text).to_owned()).collect();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut requests = BufReader::new(stream.try_clone().unwrap()).lines();
        let mut asked = Vec::new();
        for answer in answers {
            asked.push(requests.next().unwrap().unwrap());
            stream.write_all(answer.as_bytes()).unwrap();
        }
        asked
    })
}

/// Lines are whole, in front of each stands whose it is, what follows begins where the last ended, and what was lost is
/// told.
#[test]
fn logs_follow_without_a_gap_or_a_double() {
    let name = format!("rinit-played-{}", std::process::id());
    let end = "{\"ok\":true,\"seq\":1}\n";
    let status =
        format!("{{\"row\":\"service\",\"name\":\"a\"}}\n{{\"row\":\"service\",\"name\":\"bcd\"}}\n{end}");
    let first = format!(
        "{{\"row\":\"log\",\"service\":\"a\",\"from\":0,\"to\":11,\"text\":\"1\\n2\\n3\\nha\"}}\n{end}"
    );
    let other =
        format!("{{\"row\":\"log\",\"service\":\"bcd\",\"from\":0,\"to\":2,\"text_hex\":\"ff0a\"}}\n{end}");
    let more = format!(
        "{{\"row\":\"log\",\"service\":\"a\",\"from\":11,\"to\":14,\"text\":\"lf\\n\"}}\n{{\"row\":\"gap\",\"service\":\"a\",\"missed\":9}}\n{{\"row\":\"log\",\"service\":\"a\",\"from\":23,\"to\":25,\"text\":\"x\\n\"}}\n{end}"
    );
    let server = played(&name, &[&status, &first, &other, &more, end]);
    let output = Command::new(Init::rinit_binary())
        .args(["--ctl", "-s", &format!("@{name}"), "logs", "-f", "-n", "2"])
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(out, "a   | 3\nbcd | \u{fffd}\na   | half\na   | … 9 bytes were missed\na   | x\n");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let asked = server.join().unwrap();
    assert!(asked[3].contains("\"since\":11") && asked[4].contains("\"since\":2"), "{asked:?}");
}

/// `[stop] delay`: a load balancer that asks is told at once, and what runs serves on.
#[test]
fn what_drains_serves_and_says_that_it_stops() {
    let config = r#"
        [stop]
        delay = "3s"
        [services.web]
        command = ["sh", "-c", "trap 'echo down; exit 0' TERM; echo up; while :; do sleep 0.01; done"]
    "#;
    let run = with_http(config);
    run.wait_for("up");
    let get = |path: &str| http(&run, &format!("GET {path} HTTP/1.0\r\n\r\n"));
    eventually("ready", || get("/ready").starts_with("HTTP/1.1 200 "));
    let asked = Instant::now();
    run.signal(libc::SIGTERM);
    run.wait_for_err("rinit: stopping in 3s; everything serves until then (SIGTERM ");
    assert!(get("/ready").starts_with("HTTP/1.1 503 ") && get("/alive").starts_with("HTTP/1.1 200 "));
    let mut client = Client::of(&run);
    assert_eq!(client.state("web"), "running");
    assert_eq!(client.refused(r#"{"verb":"stop","names":["web"]}"#), "stopping");
    assert!(!run.out().contains("down"));
    let ended = run.end().expect(0);
    let took = ended.at - asked;
    assert!(ended.out.contains("down") && took >= Duration::from_secs(3), "{took:?} {}", ended.story());
    let ended = Init::config("[stop]\nwithin = \"5s\"\ndelay = \"5s\"\n").run().expect(78);
    ended.tells(&["stop.delay: leaves no time to stop: it is part of stop.within, and must be less"]);
}
