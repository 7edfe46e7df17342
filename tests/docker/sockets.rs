//! Sockets that rinit opens for real servers: a client that never stops asking notices no restart.

use crate::engine::Container;
use crate::eventually;
use crate::images::{Config, build, debian, import};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const PORT: u16 = 8080;

/// nginx does not know LISTEN_FDS; it takes sockets by the variable of its own binary upgrade, where its `listen` lines name
/// the same addresses.
const NGINX: &str = r#"
[configs.nginx]
target = "/run/nginx.conf"
content = """
pid /run/nginx.pid;
events {}
http { access_log off; server { listen 0.0.0.0:8080; location / { return 200 "served\n"; } } }
"""

[services.web]
command = ["nginx", "-c", "/run/nginx.conf", "-g", "daemon off;"]
environment = { NGINX = "3;" }
sockets.http = "0.0.0.0:8080"
stop_signal = "QUIT"
restart = "always"
"#;

const GUNICORN: &str = r#"
[configs.app]
target = "/run/app.py"
content = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"served"]
"""

[services.web]
command = "gunicorn --chdir /run --workers 2 app:application"
user = "www-data"
sockets.http = ":8080"
restart = "always"
"#;

/// What a client has seen.
#[derive(Default, Debug)]
struct Seen {
    answered: u32,
    refused: u32,
    /// Accepted, and then not answered: what a server does with what it holds as it stops is its own.
    cut: u32,
    longest: Duration,
}

fn ask(address: &str, seen: &mut Seen) {
    let begun = Instant::now();
    let Ok(mut stream) = TcpStream::connect((address, PORT)) else {
        seen.refused += 1;
        return;
    };
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answer = String::new();
    let _ = stream
        .write_all(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        .and_then(|()| stream.read_to_string(&mut answer));
    if answer.contains("served") {
        seen.answered += 1
    } else {
        seen.cut += 1
    }
    seen.longest = seen.longest.max(begun.elapsed());
}

/// Restarts the service `web` so often while a client asks, one connection after the other.
fn hammered(container: &Container, restarts: u32) -> Seen {
    let address = container.address();
    eventually("it serves", || {
        let mut seen = Seen::default();
        ask(&address, &mut seen);
        (seen.answered > 0).then_some(())
    });
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut seen = Seen::default();
            while !stop.load(Ordering::Relaxed) {
                ask(&address, &mut seen);
            }
            seen
        });
        let script = format!(
            "n=0; while [ $n -lt {restarts} ]; do rinit --ctl restart web > /dev/null; \
             n=$(rinit --ctl status --json web | sed 's/.*\"restarts\":\\([0-9]*\\).*/\\1/'); done; echo $n"
        );
        let ran = container.exec(&["sh", "-c", &script]);
        stop.store(true, Ordering::Relaxed);
        assert!(
            ran.out.trim().parse::<u32>().is_ok_and(|n| n >= restarts),
            "{ran:?}\n{:?}",
            container.logs()
        );
        client.join().unwrap()
    })
}

/// `RINIT_RESTARTS=200` takes three minutes.
#[test]
fn nginx_is_restarted_time_and_again_and_refuses_nobody() {
    let config = Config::new(NGINX);
    let container = Container::start(&[&config.mount], debian(), &[]);
    let restarts = std::env::var("RINIT_RESTARTS").ok().and_then(|count| count.parse().ok()).unwrap_or(50);
    let seen = hammered(&container, restarts);
    println!("{seen:?}");
    assert_eq!(seen.refused, 0, "{seen:?}");
    assert!(seen.answered > 100, "{seen:?}");
}

#[test]
fn gunicorn_takes_its_socket_and_a_restart_refuses_nobody() {
    let base = import("gunicorn", "gunicorn,procps", "", |_| {});
    let dockerfile = format!("FROM {base}\nCOPY rinit /sbin/rinit\nENTRYPOINT [\"/sbin/rinit\"]\n");
    let image = build("gunicorn", &dockerfile, &[]);
    let config = Config::new(GUNICORN);
    let container = Container::start(&[&config.mount], &image, &[]);
    let seen = hammered(&container, 10);
    println!("{seen:?}");
    assert_eq!(seen.refused, 0, "{seen:?}");
    assert!(seen.answered > 10, "{seen:?}");
}
