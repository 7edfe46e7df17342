//! `sockets` and `start = "on-demand"`: what rinit opens, what a service gets of it, and what clients notice.

use super::scenarios::Example;
use crate::harness::{Client, FILES, Init, Launch, eventually, needs_root};

/// Tells what it was passed, in one line: whether LISTEN_PID is its own, how many, the names, and of each descriptor
/// family, type, address and whether it blocks.
const TELL: &str = r#"
import os, socket, sys
def fds():
    return [socket.socket(fileno=3 + n) for n in range(int(os.environ.get("LISTEN_FDS", 0)))]
def tell():
    all = []
    for s in fds():
        all.append(f"{s.family.name} {s.type.name} {s.getsockname()} blocks={os.get_blocking(s.fileno())}")
        s.detach()
    own = os.environ.get("LISTEN_PID") == str(os.getpid())
    print("own" if own else "foreign", os.environ.get("LISTEN_FDS"), os.environ.get("LISTEN_FDNAMES"), *all, sep=" | ", flush=True)
tell()
"#;

/// Serves each connection of descriptor 3 with its pid. One word: `once` (one connection, then a clean end), `fail` (ends
/// with 1, accepting nothing), `skip` (the same, with 0), `unlink` (removes its file as it ends).
const SERVE: &str = r#"
import os, signal, socket, sys
how = sys.argv[1] if len(sys.argv) > 1 else ""
print("up", flush=True)
if how in ("fail", "skip"):
    sys.exit(how == "fail")
s = socket.socket(fileno=3)
def end(*_):
    if how == "unlink":
        os.unlink(s.getsockname())
    os._exit(0)
signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGUSR1, end)
while True:
    c, _ = s.accept()
    c.sendall(str(os.getpid()).encode())
    c.close()
    if how == "once":
        sys.exit(0)
"#;

/// Asks an address in the namespace so often, one connection after the other, and prints how many were answered.
const ASK: &str = r#"
import socket, sys
address, count = sys.argv[1], int(sys.argv[2])
good = 0
for _ in range(count):
    unix = address.startswith("/")
    s = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
    s.settimeout(25)
    try:
        s.connect(address if unix else ("127.0.0.1", int(address)))
        good += len(s.recv(100)) > 0
    except OSError as why:
        print("refused:", why, flush=True)
    s.close()
print(f"answered {good} of {count}", flush=True)
"#;

fn launch(config: &str) -> Launch {
    Init::config(config)
        .file("tell.py", TELL)
        .file("serve.py", SERVE)
        .file("ask.py", ASK)
        .env("RINIT_SOCKET", Client::SOCKET)
        .network()
}

/// A oneshot that asks an address, once the loopback is up, and ends the container.
fn asks(address: &str, count: u32) -> String {
    format!(
        "[services.lo]\ntype = 'oneshot'\ncommand = 'ip link set lo up'\n[services.main]\n\
         command = ['python3', '{FILES}/ask.py', '{address}', '{count}']\n"
    )
}

#[test]
fn a_service_gets_its_sockets_from_descriptor_3_on() {
    needs_root();
    let config = format!(
        "[services.web]\ncommand = ['python3', '{FILES}/tell.py']\nuser = '1234'\nrestart = 'no'\n\
         [services.web.sockets]\nhttp = '0.0.0.0:80'\nboth = ':81'\nsix = '[::]:82'\ndns = '127.0.0.1:53/udp'\n\
         admin = {{ listen = '{FILES}/a.sock', mode = '0640', owner = 1234, group = 77 }}\nhidden = '@rinit-test'\n\
         log = {{ listen = '{FILES}/b.sock', type = 'datagram' }}\n"
    );
    let ended = launch(&config).run().expect(0);
    let want = format!(
        "own | 7 | http:both:six:dns:admin:hidden:log | AF_INET SOCK_STREAM ('0.0.0.0', 80) blocks=True \
         | AF_INET6 SOCK_STREAM ('::', 81, 0, 0) blocks=True | AF_INET6 SOCK_STREAM ('::', 82, 0, 0) blocks=True \
         | AF_INET SOCK_DGRAM ('127.0.0.1', 53) blocks=True | AF_UNIX SOCK_STREAM {FILES}/a.sock blocks=True \
         | AF_UNIX SOCK_STREAM b'\\x00rinit-test' blocks=True | AF_UNIX SOCK_DGRAM {FILES}/b.sock blocks=True"
    );
    assert_eq!(ended.out.trim(), want, "{}", ended.story());
}

#[test]
fn a_file_has_the_mode_and_owner_that_are_asked_for() {
    needs_root();
    let config = format!(
        "[services.web]\ncommand = 'stat -c \"%A %u:%g\" {FILES}/a.sock {FILES}/b.sock'\nrestart = 'no'\n\
         sockets.a = {{ listen = '{FILES}/a.sock', mode = '0640', owner = 1234, group = 77 }}\nsockets.b = '{FILES}/b.sock'\n"
    );
    let ended = launch(&config).run().expect(0);
    assert_eq!(ended.out, "srw-r----- 1234:77\nsrw-rw-rw- 0:0\n", "{}", ended.story());
}

#[test]
fn the_command_gets_sockets_too_and_so_does_what_replaces_rinit() {
    let config = format!(
        "[services.main]\ncommand = ['python3', '{FILES}/tell.py']\nsockets.listen = ['127.0.0.1:8080', '@x']\n"
    );
    for args in [&[][..], &["--exec"]] {
        let ended = launch(&config).args(args).run().expect(0);
        let want = "own | 2 | main:main | AF_INET SOCK_STREAM ('127.0.0.1', 8080) blocks=True";
        assert!(ended.out.starts_with(want), "{}", ended.story());
    }
}

#[test]
fn a_restart_refuses_no_connection() {
    let config = format!(
        "[services.web]\ncommand = ['python3', '{FILES}/serve.py', 'once']\nrestart = 'always'\n\
         restart_policy = {{ delay = '0s', max_delay = '1ms' }}\nsockets.http = '0.0.0.0:80'\n{}",
        asks("80", 50)
    );
    let ended = launch(&config).command(&[]).run().expect(0);
    assert!(ended.out.contains("answered 50 of 50"), "{}", ended.story());
}

#[test]
fn the_first_connection_starts_a_service_and_so_does_the_next_after_a_clean_end() {
    let config = format!(
        "[services.web]\ncommand = ['python3', '{FILES}/serve.py', 'once']\nstart = 'on-demand'\n\
         restart_policy = {{ delay = '1ms', factor = 1.0 }}\nsockets.http = '0.0.0.0:80'\n{}",
        asks("80", 5)
    );
    let ended = launch(&config).command(&[]).run().expect(0);
    assert!(ended.out.contains("answered 5 of 5"), "{}", ended.story());
    assert_eq!(ended.out.matches("up\n").count(), 5, "{}", ended.story());
    ended.tells(&["web: the next connection starts it", "web: exited with code 0 after"]);
}

/// Who connects and is not served is still there after the end: rinit started it again at once, for ever.
#[test]
fn a_connection_that_nobody_accepts_starts_it_no_sooner_than_a_restart_would() {
    for how in ["fail", "skip"] {
        let config = format!(
            "[services.web]\ncommand = ['python3', '{FILES}/serve.py', '{how}']\nstart = 'on-demand'\nessential = false\n\
             restart_policy = {{ delay = '1000s', max_delay = '1000s' }}\nsockets.x = '{FILES}/x.sock'\n"
        );
        let run = launch(&config).start();
        let mut client = Client::of(&run);
        client.wait_for("web", "listening");
        let path = run.directory().join("x.sock");
        let _client = std::os::unix::net::UnixStream::connect(path).unwrap();
        client.wait_for("web", "backoff");
        run.wait_for("up\n");
        assert_eq!(run.stop().expect(0).out, "up\n");
    }
}

#[test]
fn given_up_it_refuses_clients_until_it_is_started_by_hand() {
    let config = format!(
        "[services.web]\ncommand = ['python3', '{FILES}/serve.py', 'fail']\nstart = 'on-demand'\nessential = false\n\
         restart = 'no'\nsockets.x = '{FILES}/x.sock'\n[services.stay]\ncommand = 'sleep 1000'\n"
    );
    let run = launch(&config).start();
    let mut client = Client::of(&run);
    client.wait_for("web", "listening");
    let path = run.directory().join("x.sock");
    let connect = || std::os::unix::net::UnixStream::connect(&path);
    let _client = connect().unwrap();
    client.wait_for("web", "failed");
    run.wait_for_err("its sockets are closed: clients are refused until it is started again");
    eventually("clients are refused", || connect().is_err());
    client.ask(r#"{"verb":"start","names":["web"]}"#);
    eventually("it ran again, with its socket", || run.out() == "up\nup\n");
    run.stop().expect(0);
}

#[test]
fn a_socket_that_the_program_removed_is_bound_again() {
    let config = format!(
        "[services.web]\ncommand = ['python3', '{FILES}/serve.py', 'unlink']\nrestart = 'always'\n\
         restart_policy = {{ delay = '1ms' }}\nsockets.x = '{FILES}/x.sock'\n"
    );
    let run = launch(&config).start();
    let path = run.directory().join("x.sock");
    let ask = || {
        use std::io::Read as _;
        let mut text = String::new();
        let _ =
            std::os::unix::net::UnixStream::connect(&path).map(|mut stream| stream.read_to_string(&mut text));
        text
    };
    let mut first = String::new();
    eventually("it answers", || {
        first = ask();
        !first.is_empty()
    });
    run.signal_to(&run.the("serve.py"), libc::SIGUSR1);
    run.wait_for_err(&format!("web: the file of its socket {FILES}/x.sock was removed"));
    eventually("another one answers", || {
        let next = ask();
        !next.is_empty() && next != first
    });
    run.stop().expect(0);
}

#[test]
fn an_address_that_is_taken_is_told_before_anything_starts() {
    let config = format!(
        "[services.web]\ncommand = 'echo started'\nsockets.a = '127.0.0.1:80'\nsockets.b = '/nowhere/b.sock'\n\
         sockets.c = {{ listen = '{FILES}/c.sock', owner = 'nobody-here' }}\n"
    );
    let script = format!(
        "ip link set lo up; python3 -c 'import socket, time; s = socket.socket(); s.bind((\"0.0.0.0\", 80)); s.listen(); print(\"up\", flush=True); time.sleep(1000)' > {FILES}/up & \
         while [ ! -s {FILES}/up ]; do sleep 0.01; done; exec /mnt/rinit --config {FILES}/web.toml"
    );
    let ended =
        Init::SHELL.launch().file("web.toml", &config).network().args(&["-c", &script]).run().expect(71);
    assert!(!ended.out.contains("started"), "{}", ended.story());
    ended.tells(&[
        "web.toml:3:13: 127.0.0.1:80 taken by python3 (pid ",
        "web.toml:4:13: /nowhere/b.sock: its directory does not exist",
        "web.toml:5:24: no user \"nobody-here\"",
        "3 faults while preparing the start; nothing was started",
    ]);
}

/// A datagram starts a service too, and one that is not read does not start it for ever.
#[test]
fn a_datagram_starts_a_service() {
    let read = "import socket; s = socket.socket(fileno=3); print(s.recv(100).decode(), flush=True)";
    let send =
        "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.sendto(b'hello', ('127.0.0.1', 53))";
    let config = format!(
        "[services.dns]\ncommand = [\"python3\", \"-c\", \"{read}\"]\nstart = 'on-demand'\nsockets.dns = '127.0.0.1:53/udp'\n\
         [services.lo]\ntype = 'oneshot'\ncommand = 'ip link set lo up'\n\
         [services.send]\ntype = 'oneshot'\ncommand = [\"python3\", \"-c\", \"{send}\"]\ndepends_on = ['lo', 'dns']\n"
    );
    let run = launch(&config).start();
    run.wait_for("hello");
    run.wait_for_err("dns: exited with code 0");
    Client::of(&run).wait_for("dns", "listening");
    run.stop().expect(0);
}

/// Of a service that is off nothing is opened; started by hand it has its sockets, and what stops it by hand leaves them.
#[test]
fn a_service_that_is_off_gets_its_sockets_when_it_is_started() {
    let config = format!(
        "[services.web]\ncommand = ['python3', '{FILES}/serve.py']\nenabled = false\nsockets.x = '{FILES}/x.sock'\n\
         [services.stay]\ncommand = 'sleep 1000'\n"
    );
    let run = launch(&config).start();
    let mut client = Client::of(&run);
    client.wait_for("stay", "running");
    let path = run.directory().join("x.sock");
    assert!(!path.exists());
    client.ask(r#"{"verb":"start","names":["web"]}"#);
    run.wait_for("up\n");
    client.ask(r#"{"verb":"stop","names":["web"]}"#);
    client.wait_for("web", "stopped");
    let waits = std::os::unix::net::UnixStream::connect(&path).unwrap();
    client.ask(r#"{"verb":"start","names":["web"]}"#);
    let mut text = String::new();
    std::io::Read::read_to_string(&mut &waits, &mut text).unwrap();
    assert!(!text.is_empty());
    run.stop().expect(0);
}

/// The example: a web server as nobody on a port of root's, and a report that somebody asks for.
#[test]
fn the_example_serves_a_port_without_root_and_reports_when_asked() {
    let (serve, once) =
        (SERVE, SERVE.replace("how = sys.argv[1] if len(sys.argv) > 1 else \"\"", "how = \"once\""));
    let example = Example::of("gunicorn-with-sockets.toml", "")
        .with("\"/app/report.py\"", "\"/mnt/files/bin/report.py\"")
        .with("/run/report.sock", "/mnt/files/report.sock")
        .program(
            "gunicorn",
            &format!("#!/usr/bin/python3\nimport os\nprint('gunicorn', os.getuid(), flush=True)\n{serve}"),
        )
        .program("report.py", &once)
        .program("ask.py", ASK);
    let prelude = "ip link set lo up\n(until [ -e /mnt/files/go ]; do sleep 0.01; done; python3 /mnt/files/bin/ask.py 80 5; for n in 1 2; do python3 /mnt/files/bin/ask.py /mnt/files/report.sock 1; done) &\nexec /mnt/rinit -c /mnt/files/rinit.toml";
    for _ in 0..2 {
        let run = example.after(prelude, &[]).network().start();
        run.wait_for("gunicorn 65534");
        // By now all sockets are open.
        std::fs::write(run.directory().join("go"), "").unwrap();
        run.wait_for("answered 5 of 5");
        eventually("both reports are made", || run.out().matches("answered 1 of 1").count() == 2);
        eventually("it waits again", || run.err().matches("report: exited with code 0").count() == 2);
        run.stop().expect(0);
    }
}

/// Says whether descriptor 3 blocks, makes it not block, and says it again with each USR1.
const FLAGS: &str = r#"
import os, signal, sys
name = os.environ.get("RINIT_INSTANCE", "0")
def tell(*_): print(name, "blocks", os.get_blocking(3), flush=True)
signal.signal(signal.SIGUSR1, tell)
tell()
os.set_blocking(3, False)
print(name, "up", flush=True)
while True: signal.pause()
"#;

/// The flag is everybody's who has the socket: a restart found it as the last run had left it, and to clear it under another
/// replica would let that one hang in accept(2).
#[test]
fn a_start_finds_its_socket_blocking_unless_another_replica_uses_it() {
    let config = |keys: &str| {
        let command = format!("command = ['python3', '{FILES}/flags.py']");
        launch(&format!("[services.web]\n{command}\nsockets.x = '@rinit-flags'\n{keys}\n"))
            .file("flags.py", FLAGS)
    };
    let run = config("").start();
    run.wait_for("0 up");
    Client::of(&run).ask(r#"{"verb":"restart","names":["web"]}"#);
    eventually("it was started twice", || run.out().matches("0 up").count() == 2);
    assert_eq!(run.stop().expect(0).out.matches("0 blocks True").count(), 2);
    let run = config("replicas = 2").start();
    run.wait_for("1 up");
    run.wait_for("2 up");
    let mut client = Client::of(&run);
    client.ask(r#"{"verb":"restart","names":["web.2"]}"#);
    eventually("the second was started twice", || run.out().matches("2 up").count() == 2);
    client.ask(r#"{"verb":"signal","names":["web.1"],"signal":"USR1"}"#);
    eventually("the first tells", || run.out().matches("1 blocks").count() == 2);
    let out = run.out();
    assert_eq!(out.lines().rfind(|line| line.starts_with("1 blocks")), Some("1 blocks False"), "{out}");
    run.stop().expect(0);
}
