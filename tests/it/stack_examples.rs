//! The examples of common stacks: PHP-FPM behind nginx, a Java application, gunicorn. The programs are stand-ins that
//! tell what they were given and behave as the real ones do towards an init; gunicorn's speaks HTTP.

use super::scenarios::Example;
use crate::harness::{Running, eventually};

/// A program that says its arguments, then what signals it gets; it ends with QUIT and TERM.
fn server(before: &str, code: u8) -> String {
    format!(
        "#!/bin/sh\nname=${{0##*/}}\nfor s in HUP USR1; do trap \"echo $name got $s\" $s; done\n\
         for s in QUIT TERM; do trap \"echo $name ends by $s; exit {code}\" $s; done\n\
         echo \"$name $*\"\n{before}\nwhile :; do sleep 0.01; done\n"
    )
}

/// A file in Python that listens on a Unix socket and answers HTTP.
const ANSWERS: &str = r#"
import http.server, os, socketserver, sys
class H(http.server.BaseHTTPRequestHandler):
    def address_string(self): return "unix"
    def log_message(self, *args): pass
    def do_GET(self):
        self.send_response(200 if os.path.exists("/mnt/files/well") else 503)
        self.end_headers()
socketserver.UnixStreamServer(sys.argv[1], H).serve_forever()
"#;

fn start(example: &Example, prelude: &str) -> Running {
    example.after(&format!("{prelude}\nexec /mnt/rinit -c /mnt/files/rinit.toml"), &[]).network().start()
}

fn touch(run: &Running, name: &str) {
    std::fs::write(run.directory().join(name), "").unwrap();
}

#[test]
fn php_fpm_and_nginx() {
    let listens = "until [ -e /mnt/files/go ]; do sleep 0.01; done\n\
        python3 -c 'import socket,time; s=socket.socket(socket.AF_UNIX); s.bind(\"/mnt/files/php/php-fpm.sock\"); s.listen(); time.sleep(1000)' &";
    let example = Example::of("php-fpm-and-nginx.toml", "")
        .with("/run/php", "/mnt/files/php")
        .program("php-fpm", &server(listens, 0))
        .program("nginx", &server("", 0));
    let run = start(&example, "");
    run.wait_for("php-fpm -F\n");
    assert!(!run.out().contains("nginx"), "{}", run.out());
    touch(&run, "go");
    run.wait_for("nginx -g daemon off;\n");
    for (signal, name) in [(libc::SIGHUP, "HUP"), (libc::SIGUSR1, "USR1")] {
        run.signal(signal);
        run.wait_for(&format!("nginx got {name}\n"));
    }
    let ended = run.stop().expect(0);
    // What needs the other ends first.
    assert!(ended.out.contains("nginx ends by QUIT\nphp-fpm ends by QUIT\n"), "{}", ended.story());
}

#[test]
fn a_java_application_that_starts_slowly() {
    let slow =
        "until [ -e /mnt/files/go ]; do sleep 0.01; done; echo 'INFO Started Application in 61.3 seconds'";
    let example = || {
        Example::of("java-application.toml", "")
            .with("user = \"app\"", "user = \"daemon\"")
            .program("java", &server(slow, 143))
            .program("jmx-exporter", &server("", 0))
    };
    let run = start(&example().env("JAVA_OPTS", "-Xss1m -Dkey=value"), "");
    run.wait_for("app | java -XX:MaxRAMPercentage=50 -Xss1m -Dkey=value -jar /app/app.jar\n");
    assert!(!run.out().contains("jmx-exporter"), "{}", run.out());
    touch(&run, "go");
    run.wait_for("jmx-exporter 9404\n");
    run.wait_for_err("app: healthy");
    run.stop().expect(0);
}

#[test]
fn gunicorn_on_a_unix_socket() {
    let answers = "python3 /mnt/files/bin/answers /mnt/files/app/web.sock &";
    let example = Example::of("gunicorn.toml", "")
        .with("/run/app", "/mnt/files/app")
        .with("\"app\"\nensure", "\"daemon\"\nensure")
        .with("user = \"app\"", "user = \"daemon\"")
        .program("gunicorn", &server(answers, 0))
        .program("answers", ANSWERS)
        .env("DATABASE_HOST", "localhost")
        .env("WORKERS", "3");
    let run = start(&example, "");
    run.wait_for("gunicorn --bind unix:/mnt/files/app/web.sock --workers 3 app:application\n");
    eventually("it is asked", || run.directory().join("app/web.sock").exists());
    assert!(!run.err().contains("web: healthy"), "{}", run.err());
    touch(&run, "well");
    run.wait_for_err("web: healthy");
    run.signal(libc::SIGHUP);
    run.wait_for("gunicorn got HUP");
    let ended = run.stop().expect(0);
    assert!(ended.out.contains("gunicorn ends by TERM"), "{}", ended.story());
    // Each start has a worker for each processor where nothing else is asked for.
    let cpus = start(&example.without("WORKERS"), "");
    cpus.wait_for("--workers ");
    assert!(!cpus.out().contains("--workers  "), "{}", cpus.out());
    cpus.stop().expect(0);
    // What it needs is missing.
    let missing = Example::of("gunicorn.toml", "").with("/run/app", "/mnt/files/app").run("", &[]);
    missing.expect(69).tells(&["DATABASE_HOST"]);
}

/// The worker of the example, whose function stands in its comment.
#[test]
fn a_python_worker_with_a_watchdog() {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config-examples/python-worker.toml"));
    let text = text.unwrap();
    let shown =
        text.lines().skip_while(|line| !line.contains("import os")).take_while(|line| line.starts_with('#'));
    let (mut lines, mut calls) = (Vec::new(), Vec::new());
    for line in shown.map(|line| line.trim_start_matches('#').get(5..).unwrap_or_default()) {
        if line.starts_with("notify(") { calls.push(line) } else { lines.push(line) }
    }
    assert_eq!((lines.len(), calls.len()), (7, 2), "{lines:?} {calls:?}");
    let wait = |file: &str| format!("while not os.path.exists('/mnt/files/{file}'): time.sleep(0.01)");
    let worker = format!(
        "{}\nimport signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: (print('ends'), sys.exit(0)))\nprint('loads')\n{}\n{}\nfor n in range(8):\n    {}\n    time.sleep(0.1)\nprint('hangs')\n{}\n",
        lines.join("\n"),
        wait("loaded"),
        calls[0],
        calls[1],
        wait("never"),
    );
    let example = Example::of("python-worker.toml", "")
        .with("user = \"app\"", "user = \"daemon\"")
        .with("/app/", "/mnt/files/bin/")
        .with("delay = \"1s\"", "delay = \"1ms\"")
        .program("worker.py", &worker)
        .program("beat.py", "import time\nprint('beats')\ntime.sleep(1000)\n")
        .env("WATCHDOG", "2s");
    let run = start(&example, "");
    run.wait_for("loads");
    assert!(!run.out().contains("beats"), "{}", run.out());
    touch(&run, "loaded");
    run.wait_for("beats");
    // Alive for longer than the watchdog waits, then not.
    run.wait_for("hangs");
    run.wait_for_err("worker: ");
    eventually("it is started again", || run.out().matches("loads").count() == 2);
    assert!(run.stop().expect(0).out.contains("ends"));
}
