//! Health checks and time limits.

use super::rinitctl::good;
use crate::harness::{Client, Init, eventually, ms};

fn count(text: &str, line: &str) -> usize {
    text.lines().filter(|known| *known == line).count()
}

#[test]
fn a_dependent_waits_for_health_by_a_program() {
    let config = r#"
        [services.db]
        command = "/mnt/probe serve db"
        healthcheck = { exec = ["test", "-e", "/mnt/files/healthy"], interval = "10ms", retries = 1000000 }
        [services.web]
        command = "/mnt/probe serve web"
        depends_on = { db = "healthy" }
    "#;
    let run = Init::config(config).start();
    run.wait_for("db up");
    std::thread::sleep(ms(100));
    assert!(run.find("serve web").is_empty());
    std::fs::write(run.directory().join("healthy"), "").unwrap();
    run.wait_for("web up");
    run.stop().expect(0);
}

/// A TCP check that no other tool has: connected is healthy.
#[test]
fn a_dependent_waits_for_health_by_tcp() {
    let config = r#"
        [services.cache]
        command = "/mnt/probe listen 6379 200"
        healthcheck = { tcp = 6379, interval = "10ms", start_period = "10s" }
        [services.web]
        command = ["echo", "web ran"]
        restart = "no"
        depends_on = { cache = "healthy" }
    "#;
    let ended = Init::config(config).network().run().expect(0);
    assert_eq!(ended.out, "listening\nweb ran\n", "{}", ended.story());
}

#[test]
fn an_unhealthy_service_is_restarted() {
    let config = r#"
        [services.web]
        command = "/mnt/probe serve web"
        healthcheck = { exec = "false", interval = "10ms", retries = 2, on_unhealthy = "restart" }
        restart_policy = { delay = "10ms" }
    "#;
    let run = Init::config(config).start();
    eventually("it was stopped and started again", || {
        count(&run.out(), "web up") >= 3 && count(&run.out(), "web down") >= 2
    });
    run.stop().expect(0).tells(&["web", "unhealthy"]);
}

#[test]
fn an_unhealthy_service_may_be_left_alone() {
    let config = r#"
        [services.web]
        command = "/mnt/probe serve web"
        healthcheck = { exec = ["sh", "-c", "echo probe >> /mnt/files/probes; exit 1"], interval = "10ms", retries = 2, on_unhealthy = "ignore" }
    "#;
    let run = Init::config(config).start();
    eventually("it was probed often", || run.file("probes").lines().count() > 5);
    let ended = run.stop().expect(0);
    assert_eq!(count(&ended.out, "web up"), 1, "{}", ended.story());
}

#[test]
fn an_unhealthy_service_may_end_the_container() {
    let config = r#"
        [services.web]
        command = "/mnt/probe serve web"
        healthcheck = { exec = "false", interval = "10ms", retries = 2, on_unhealthy = "stop" }
    "#;
    let ended = Init::config(config).run().expect(1);
    assert_eq!(count(&ended.out, "web up"), 1, "{}", ended.story());
}

/// A probe that hangs is a failed probe, and leaves no process behind.
#[test]
fn a_probe_that_hangs_has_failed() {
    let config = r#"
        [services.web]
        command = "/mnt/probe serve web"
        restart = "no"
        healthcheck = { exec = ["sh", "-c", "sleep 1000; true"], timeout = "50ms", interval = "10ms", retries = 3 }
    "#;
    let ended = Init::config(config).nested().run().expect(1);
    assert!(ended.left.is_empty(), "left over: {:#?}", ended.left);
}

#[test]
fn a_service_that_is_not_ready_in_time_has_failed() {
    let config = r#"
        [services.web]
        command = "/mnt/probe serve web"
        restart = "no"
        start_timeout = "200ms"
        healthcheck = { exec = "false", interval = "10ms", retries = 1000000 }
    "#;
    let ended = Init::config(config).run().tells(&["web"]);
    assert_ne!(ended.code(), 0, "{}", ended.story());
    assert!((ms(200)..ms(2000)).contains(&ended.after), "{}", ended.story());
}

#[test]
fn a_oneshot_that_is_not_done_in_time_has_failed() {
    for key in ["start_timeout", "run_timeout"] {
        let config =
            format!("[services.job]\ntype = \"oneshot\"\ncommand = \"sleep 1000\"\n{key} = \"200ms\"");
        let ended = Init::config(&config).run().tells(&["job"]);
        assert_ne!(ended.code(), 0, "{}", ended.story());
        assert!((ms(200)..ms(2000)).contains(&ended.after), "{}", ended.story());
    }
}

/// A probe is a check: by its subject, by its keys, or one that the file has.
#[test]
fn a_probe_may_be_a_check() {
    let config = r#"
        [checks.file.ready]
        path = "/mnt/files/ready"
        contains = "yes"
        level = "warn"
        [services.web]
        command = ["/usr/bin/python3", "-c", '''
import http.server
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204 if self.path == "/health" else 404)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", 8080), H).serve_forever()''']
        healthcheck = { http = "http://127.0.0.1:8080/health", interval = "20ms", retries = 1000000 }
        [services.strict]
        command = "sleep 1000"
        depends_on = { web = "healthy" }
        healthcheck = { http = { url = "http://127.0.0.1:8080/other", status = 404 }, interval = "20ms" }
        [services.socket]
        command = ["/usr/bin/python3", "-c", "import socket,time; s=socket.socket(socket.AF_UNIX); s.bind('/mnt/files/s'); s.listen(); time.sleep(1000)"]
        healthcheck = { unix = "/mnt/files/s", interval = "20ms", retries = 1000000 }
        [services.file]
        command = "sleep 1000"
        healthcheck = { file = "/mnt/files/touched", interval = "20ms", retries = 1000000 }
        [services.own]
        command = "sleep 1000"
        healthcheck = { check = "file.ready", interval = "20ms", retries = 1000000 }
        [services.last]
        command = ["echo", "all are healthy"]
        depends_on = { strict = "healthy", socket = "healthy", file = "healthy", own = "healthy" }
        restart = "no"
        essential = false
    "#;
    let run = Init::config(config).network().args(&["-v"]).start();
    run.wait_for_err("strict: started");
    run.wait_for_err("file: healthcheck failed: file /mnt/files/touched: found ");
    run.wait_for_err("own: healthcheck failed: file /mnt/files/ready: found ");
    std::fs::write(run.directory().join("touched"), "").unwrap();
    std::fs::write(run.directory().join("ready"), "no").unwrap();
    run.wait_for_err("own: healthcheck failed: file /mnt/files/ready: found a file without ");
    std::fs::write(run.directory().join("ready"), "yes").unwrap();
    run.wait_for("all are healthy");
    run.stop().expect(0);
}

/// A probe that could never be is a fault of the file.
#[test]
fn a_check_that_is_not_there_is_no_probe() {
    for (probe, part) in [
        (
            "check = 'tcp.bd'",
            "services.web.healthcheck.check: no check is called \"tcp.bd\"; expected \"KIND.NAME\"",
        ),
        ("http = 'https://x/'", "services.web.healthcheck.http.https://x/: is https"),
        ("unix = 'x.sock'", "is no absolute path"),
        ("file = { path = '/x', contians = 'y' }", "did you mean \"contains\"?"),
        ("http = 'http://x/', tcp = 1", "a healthcheck has one probe"),
    ] {
        let config = format!("[services.web]\ncommand = 'true'\nhealthcheck = {{ {probe} }}\n");
        Init::config(&config).run().expect(78).tells(&["rinit.toml:3:", part]);
    }
}

/// A heartbeat: a file that is no longer touched is unhealthy, however old it was made to look.
#[test]
fn a_file_that_is_no_longer_touched_is_unhealthy() {
    let config = r#"
        [services.beats]
        command = ["sh", "-c", "trap 'exit 0' TERM; while :; do touch /mnt/files/beat; sleep 0.05; done"]
        healthcheck = { file = { path = "/mnt/files/beat", max_age = "30s" }, interval = "20ms", retries = 1000000 }
        [services.stands]
        command = ["sh", "-c", "touch /mnt/files/once; exec sleep 1000"]
        restart = "no"
        essential = false
        healthcheck = { file = { path = "/mnt/files/once", max_age = "1s" }, interval = "20ms", on_unhealthy = "stop" }
        [services.last]
        command = ["echo", "beats"]
        restart = "no"
        essential = false
        depends_on = { beats = "healthy" }
    "#;
    let run = Init::config(config).start();
    run.wait_for("beats");
    run.wait_for_err(
        "stands: unhealthy: its healthcheck failed 3 times in a row: file /mnt/files/once: found one modified longer ago, expected a file, modified within 1s; look at what touches /mnt/files/once, or raise max_age",
    );
    run.stop().expect(0);
}

/// A command probes as the service's user, or as whom `as_user` names; a check judges as rinit, or as whom it names.
#[test]
fn a_probe_has_a_user_of_its_own() {
    crate::harness::needs_root();
    let config = r#"
        [services.a]
        command = "sleep 1000"
        user = "daemon"
        healthcheck = { exec = ["sh", "-c", "echo $(id -u):$(id -g) $HOME; false"], as_user = "1234:99", interval = "20ms", retries = 2, on_unhealthy = "ignore" }
        [services.b]
        command = "sleep 1000"
        user = "daemon"
        healthcheck = { test = "id -u; false", interval = "20ms", retries = 2, on_unhealthy = "ignore" }
        [services.c]
        command = "sleep 1000"
        healthcheck = { file = { path = "/etc/shadow", readable = true }, as_user = "nobody", interval = "20ms", retries = 2, on_unhealthy = "ignore" }
    "#;
    let run = Init::config(config).start();
    run.wait_for_err(
        "a: unhealthy: its healthcheck failed 2 times in a row: exited with code 1, and said \"1234:99 /\"",
    );
    run.wait_for_err(
        "b: unhealthy: its healthcheck failed 2 times in a row: exited with code 1, and said \"1\"",
    );
    run.wait_for_err("c: unhealthy: its healthcheck failed 2 times in a row: file /etc/shadow: found ");
    run.stop().expect(0);
    for (keys, part) in [
        ("tcp = 80, as_user = 'nobody'", "as_user: can never act: this probe needs no right of any user"),
        ("exec = 'true', as_user = ''", "as_user: is empty"),
    ] {
        let config = format!("[services.web]\ncommand = 'true'\nhealthcheck = {{ {keys} }}\n");
        Init::config(&config).run().expect(78).tells(&["rinit.toml:3:", part]);
    }
}

/// Ready by a line of the log, as PostgreSQL and Java programs say it: seen by the relay, in this run alone.
#[test]
fn a_line_of_the_output_makes_a_service_healthy() {
    let config = r#"
        [defaults]
        logging = "prefix"
        [services.db]
        command = ["sh", "-c", '''
            echo starting; until [ -e /mnt/files/go ]; do sleep 0.01; done; rm /mnt/files/go
            echo "LOG: ready to accept 12 connections" >&2; exec sleep 1001''']
        healthcheck = { log = "ready to accept \\d+ conn", interval = "100s", start_period = "1000s", start_interval = "1000s" }
        [services.web]
        command = ["sh", "-c", "echo web runs; exec sleep 1000"]
        depends_on = { db = { condition = "healthy", restart = true } }
        [services.half]
        command = ["sh", "-c", "printf 'login: '; exec sleep 1000"]
        healthcheck = { log = "^login: $", interval = "100s", start_period = "1000s" }
        [services.last]
        command = ["echo", "all done"]
        restart = "no"
        essential = false
        depends_on = { half = "healthy" }
    "#;
    let run = Init::config(config).start();
    run.wait_for("| starting");
    run.wait_for("all done");
    let times = |line: &str| run.out().lines().filter(|known| known.trim_end().ends_with(line)).count();
    assert_eq!(times("web runs"), 0, "{}", run.out());
    std::fs::write(run.directory().join("go"), "").unwrap();
    eventually("it is ready", || times("web runs") == 1);
    // The next run has to say so again.
    run.signal_to(&run.the("sleep 1001"), libc::SIGKILL);
    eventually("it starts again", || times("| starting") == 2);
    assert_eq!(times("web runs"), 1, "{}", run.out());
    std::fs::write(run.directory().join("go"), "").unwrap();
    eventually("it is ready again", || times("web runs") == 2);
    run.stop().expect(0);
}

/// Never said within `start_period` and `retries`: unhealthy, and told what was waited for.
#[test]
fn a_line_that_never_comes_makes_a_service_unhealthy() {
    let config = r#"
        [services.a]
        command = ["sh", "-c", "echo up; exec sleep 1000"]
        logging = "json"
        restart = "no"
        healthcheck = { log = "listening on", interval = "20ms", retries = 2 }
    "#;
    let ended = Init::config(config).run();
    assert_ne!(ended.code(), 0, "{}", ended.story());
    ended.tells(&["a: unhealthy: its healthcheck failed 2 times in a row: no line of its output has \"listening on\" yet"]);
    for (keys, part) in [
        ("healthcheck = { log = 'x' }", "services.web.healthcheck: log needs rinit to carry its output"),
        ("logging = 'none'\nhealthcheck = { log = 'x' }", "log needs rinit to carry its output"),
        ("logging = 'json'\nhealthcheck = { log = '(x' }", "services.web.healthcheck.log: has "),
        ("logging = 'json'\nhealthcheck = { log = '' }", "services.web.healthcheck.log: is empty"),
    ] {
        let config = format!("[services.web]\ncommand = 'true'\n{keys}\n");
        Init::config(&config).run().expect(78).tells(&["rinit.toml:", part]);
    }
}

/// What can be copied from a Compose file: each form of `test` does what it does there.
#[test]
fn compose_forms_of_test_all_work() {
    let config = r#"
        [defaults]
        command = "sleep 1000"
        healthcheck = { interval = "10ms", retries = 1000000 }
        [services.string]
        command = "sleep 1000"
        healthcheck = { test = "test -e /mnt/files/ready && true || exit 1" }
        [services.cmd]
        command = "sleep 1000"
        healthcheck = { test = ["CMD", "test", "-e", "/mnt/files/ready"] }
        [services.shell]
        command = "sleep 1000"
        healthcheck = { test = ["CMD-SHELL", "test -e /mnt/files/ready || exit 1"] }
        [services.none]
        command = "sleep 1000"
        healthcheck = { test = ["NONE"] }
        [services.disabled]
        command = "sleep 1000"
        healthcheck = { test = "false", disable = true }
    "#;
    let config = config.replacen("        command = \"sleep 1000\"\n", "", 1);
    let run = Init::config(&config).env("RINIT_SOCKET", Client::SOCKET).start();
    let mut client = Client::of(&run);
    for name in ["string", "cmd", "shell"] {
        client.wait_for(name, "running");
        assert_eq!(client.service(name).text("health"), Some("starting"), "{name}");
    }
    std::fs::write(run.directory().join("ready"), "").unwrap();
    for name in ["string", "cmd", "shell"] {
        good(&run, &["wait", "--healthy", name]);
    }
    for name in ["none", "disabled"] {
        assert!(client.service(name).is_true("ready") && client.service(name).text("health").is_none());
    }
    run.stop().expect(0);
}

/// No delay: probes run from the start, failures do not count, and the first success ends it.
#[test]
fn failures_in_the_start_period_do_not_count() {
    let config = r#"
        [services.web]
        command = "/mnt/probe serve web"
        healthcheck = { exec = ["sh", "-c", "echo probe >> /mnt/files/probes; test -e /mnt/files/ready"], start_period = "1000s", start_interval = "10ms", interval = "20ms", retries = 2 }
        restart = "no"
    "#;
    let run = Init::config(config).start();
    eventually("it was probed often", || run.file("probes").lines().count() > 10);
    assert!(!run.err().contains("unhealthy"), "{}", run.err());
    std::fs::write(run.directory().join("ready"), "").unwrap();
    run.wait_for_err("web: healthy");
    std::fs::remove_file(run.directory().join("ready")).unwrap();
    run.wait_for_err("web: unhealthy: its healthcheck failed 2 times in a row");
    assert_ne!(run.end().code(), 0);
}

/// An exit code, a signal, the time limit; each with the last line of what was written.
#[test]
fn why_a_probe_failed_is_in_the_status() {
    let config = r#"
        [defaults]
        healthcheck = { interval = "10ms", timeout = "3s", retries = 1, on_unhealthy = "ignore" }
        [services.code]
        command = "sleep 1000"
        healthcheck = { exec = ["sh", "-c", "echo one; echo no disk; exit 3"] }
        [services.signal]
        command = "sleep 1000"
        healthcheck = { exec = ["sh", "-c", "kill -9 $$$$"] }
        [services.hangs]
        command = "sleep 1000"
        healthcheck = { exec = ["sh", "-c", "echo asking; sleep 1000"], timeout = "100ms" }
    "#;
    let run = Init::config(config).env("RINIT_SOCKET", Client::SOCKET).start();
    let mut client = Client::of(&run);
    for (name, why) in [
        ("code", "exited with code 3, and said \"no disk\""),
        ("signal", "killed by SIGKILL"),
        ("hangs", "over its timeout of 100ms, and said \"asking\""),
    ] {
        eventually(name, || client.service(name).text("health_reason") == Some(why));
        let status = good(&run, &["status", name]);
        assert!(status.contains(why), "{status}");
        run.wait_for_err(&format!("{name}: unhealthy: its healthcheck failed: {why}"));
    }
    let ended = run.stop().expect(0);
    for name in ["code", "signal", "hangs"] {
        assert_eq!(ended.err.matches(&format!("rinit: {name}: unhealthy")).count(), 1, "{}", ended.story());
    }
}

/// HTTP by a Unix socket, as gunicorn and many others listen.
#[test]
fn http_is_asked_by_a_unix_socket_too() {
    let config = r#"
        [services.web]
        command = ["/usr/bin/python3", "-c", '''
import http.server, socketserver
class H(http.server.BaseHTTPRequestHandler):
    def address_string(self): return "unix"
    def do_GET(self):
        good = self.path == "/health" and self.headers["Host"] == "app" and self.headers["X-Key"] == "k"
        self.send_response(200 if good else 500)
        self.end_headers()
        self.wfile.write(b"all is well")
socketserver.UnixStreamServer("/mnt/files/web.sock", H).serve_forever()''']
        healthcheck = { http = { url = "http://app/health", unix = "/mnt/files/web.sock", headers = { X-Key = "k" }, contains = "is well" }, interval = "20ms", retries = 1000000 }
        [services.next]
        command = ["echo", "it answers"]
        restart = "no"
        essential = false
        depends_on = { web = "healthy" }
    "#;
    let run = Init::config(config).start();
    run.wait_for("it answers");
    run.stop().expect(0);
}
