//! Each kind of check on real things: one that holds, one that does not, for the reason that it exists.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected is to stop, loudly"
)]

mod harness;

use harness::{Ended, Init, Launch, eventually, ms};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;

/// What `--check` said of each check, by its name.
struct Report {
    ended: Ended,
}

/// rinit with these checks, to be run.
fn checking(checks: &str) -> Launch {
    Init::config(checks).args(&["--check", "--format", "json"])
}

fn report(launch: Launch) -> Report {
    Report { ended: launch.run() }
}

impl Report {
    /// Status and found.
    #[track_caller]
    fn of(&self, name: &str) -> (&str, &str) {
        let named = format!("\"name\":\"{name}\"");
        let line = self.ended.out.lines().find(|line| line.contains(&named));
        let line = line.unwrap_or_else(|| panic!("no {name}\n{}", self.ended.story()));
        let field = |key: &str| {
            let (_, rest) = line.split_once(&format!("\"{key}\":\"")).expect("a field");
            rest.split("\",\"").next().unwrap_or_default()
        };
        (field("status"), field("found"))
    }

    /// These hold.
    #[track_caller]
    fn pass(&self, names: &[&str]) -> &Self {
        for name in names {
            assert_eq!(self.of(name).0, "pass", "{name}\n{}", self.ended.story());
        }
        self
    }

    /// This does not, because of that.
    #[track_caller]
    fn fail(&self, name: &str, found: &str) -> &Self {
        let (status, told) = self.of(name);
        assert!(status == "fail" && told.contains(found), "{name}: {found}\n{}", self.ended.story());
        assert_eq!(self.ended.code(), 69, "{}", self.ended.story());
        self
    }
}

#[test]
fn files_are_what_they_should_be() {
    let checks = "
        [checks.file.there]\npath = \"/mnt/files/key\"
        [checks.file.gone]\npath = \"/mnt/files/none\"
        [checks.file.absent]\npath = \"/mnt/files/none\"\nabsent = true
        [checks.file.left]\npath = \"/mnt/files/key\"\nabsent = true
        [checks.file.closed]\npath = \"/mnt/files/key\"\nmode = \"0600\"
        [checks.file.open]\npath = \"/mnt/files/open\"\nmax_mode = \"0600\"
        [checks.file.sum]\npath = \"/mnt/files/key\"
        sha256 = \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"
        [checks.file.other]\npath = \"/mnt/files/open\"
        sha256 = \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"
        [checks.file.holds]\npath = \"/mnt/files/open\"\ncontains = \"listen\"\nlacks = \"changeme\"
        [checks.file.lacks]\npath = \"/mnt/files/open\"\ncontains = \"server\"
        [checks.file.empty]\npath = \"/mnt/files/empty\"\nnon_empty = true
        [checks.file.device]\npath = \"/dev/null\"\ntype = \"device\"\nwritable = true
        [checks.file.folder]\npath = \"/mnt/files\"
    ";
    let launch = checking(checks)
        .file_with_mode("key", "abc", 0o600)
        .file_with_mode("open", "listen 80;", 0o644)
        .file("empty", "");
    let report = report(launch);
    report.pass(&["there", "absent", "closed", "sum", "holds", "device"]);
    report.fail("gone", "/mnt/files/none is not there");
    report.fail("left", "a file owned by root:root, mode 0600");
    report.fail("open", "mode 0644").fail("other", "the SHA-256 ").fail("lacks", "without");
    report.fail("empty", "an empty file").fail("folder", "a folder");
}

#[test]
fn a_program_could_be_run() {
    let checks = ["good", "plain", "bash", "crlf", "bom", "sparc"]
        .map(|name| format!("[checks.file.{name}]\npath = \"/mnt/files/{name}\"\nexecutable = true\n"))
        .concat();
    // An ELF header whose machine is 2.
    let sparc = format!("\x7fELF\x02\x01\x01{}\x02\0\x02\0{}", "\0".repeat(9), "\0".repeat(44));
    let launch = checking(&checks)
        .file_with_mode("good", "#!/bin/sh\ntrue\n", 0o755)
        .file_with_mode("plain", "#!/bin/sh\ntrue\n", 0o644)
        .file_with_mode("bash", "#!/opt/no/bash\ntrue\n", 0o755)
        .file_with_mode("crlf", "#!/bin/sh\r\ntrue\r\n", 0o755)
        .file_with_mode("bom", "\u{feff}#!/bin/sh\ntrue\n", 0o755)
        .file_with_mode("sparc", &sparc, 0o755);
    let report = report(launch);
    report.pass(&["good"]).fail("plain", "not executable").fail("bash", "/opt/no/bash, is not there");
    report.fail("crlf", "carriage return").fail("bom", "byte order mark").fail("sparc", "machine number 2");
}

#[test]
fn folders_and_links_are_what_they_should_be() {
    let report = report(
        checking(
            "
            [checks.dir.there]\npath = \"/mnt/files/full\"\nwritable = true\nempty = false
            [checks.dir.full]\npath = \"/mnt/files/full\"\nempty = true
            [checks.dir.file]\npath = \"/mnt/files/full/x\"
            [checks.dir.gone]\npath = \"/mnt/files/none\"
            [checks.link_target.right]\npath = \"/proc/mounts\"\ntarget = \"self/mounts\"
            [checks.link_target.wrong]\npath = \"/proc/mounts\"\ntarget = \"/etc/mtab\"
            [checks.link_target.none]\npath = \"/mnt/files/full\"
            ",
        )
        .file("full/x", "x"),
    );
    report.pass(&["there", "right"]).fail("full", "a folder that holds x").fail("file", "a file");
    report.fail("gone", "is not there").fail("wrong", "a link to self/mounts").fail("none", "no link");
}

/// Root could read all: with the rights of another user the owner matters.
#[test]
fn rights_are_those_of_the_user_that_is_named() {
    harness::needs_root();
    let checks = ["root", "4711"]
        .map(|user| {
            format!(
                "[checks.file.{user}]\npath = \"/mnt/files/key\"\nreadable = true\nas_user = \"{user}\"\n"
            )
        })
        .concat();
    let report = report(checking(&checks).file_with_mode("key", "x", 0o600));
    report.pass(&["root"]).fail("4711", "owned by root:root, mode 0600, not readable by uid 4711");
}

/// A server that answers every request with this, and the address that it has.
fn server(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut request = [0; 2048];
            let count = client.read(&mut request).unwrap_or(0);
            let told = String::from_utf8_lossy(&request[..count]).contains("X-Token: sesame");
            let answer = if told || count == 0 { answer } else { "HTTP/1.1 403 Forbidden\r\n\r\n" };
            let _ = client.write_all(answer.as_bytes());
        }
    });
    address
}

/// An address on which nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn peers_answer_or_do_not() {
    let up = server("HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nall up");
    let down = server("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n");
    let token = "headers = { X-Token = \"sesame\" }";
    let report = report(checking(&format!(
        "
        [checks.tcp.up]\naddress = \"{up}\"
        [checks.tcp.nobody]\naddress = \"{}\"
        [checks.http.up]\nurl = \"http://{up}/health\"\n{token}\ncontains = \"all up\"
        [checks.http.forbidden]\nurl = \"http://{up}/health\"
        [checks.http.other]\nurl = \"http://{up}/health\"\n{token}\ncontains = \"all down\"
        [checks.http.down]\nurl = \"http://{down}/health?key=sesame\"\n{token}
        [checks.http.expected]\nurl = \"http://{down}/\"\n{token}\nstatus = [200, \"500-599\"]
        ",
        nobody()
    )));
    report.pass(&["up", "expected"]).fail("nobody", "connection refused");
    report.fail("forbidden", "status 403").fail("other", "without").fail("down", "status 503");
    assert!(!report.ended.story().contains("sesame"), "a secret is shown\n{}", report.ended.story());
}

#[test]
fn names_resolve_or_do_not() {
    let report = report(
        checking(
            "
            [checks.dns.localhost]\naddresses = [\"127.0.0.1\", \"::1\"]
            [checks.dns.elsewhere]\nhost = \"127.0.0.1\"\naddresses = \"10.0.0.1\"
            [checks.dns.six]\nhost = \"127.0.0.1\"\nfamily = \"ipv6\"
            [checks.dns.\"no-such-host.invalid\"]
            ",
        )
        .network(),
    );
    report.pass(&["localhost"]).fail("elsewhere", "127.0.0.1 at 127.0.0.1").fail("six", "127.0.0.1");
    report.fail("no-such-host.invalid", "no address of no-such-host.invalid");
}

#[test]
fn a_socket_is_listened_on_or_is_not() {
    let run = checking(
        "
        [checks.unix.later]\npath = \"/mnt/files/later\"\nwait = \"10s\"\ninterval = \"10ms\"
        [checks.unix.file]\npath = \"/mnt/files/rinit.toml\"
        [checks.unix.none]\npath = \"/mnt/files/none\"
        ",
    )
    .start();
    let listener = UnixListener::bind(run.folder().join("later")).unwrap();
    let report = Report { ended: run.end() };
    drop(listener);
    report.pass(&["later"]).fail("file", "a file").fail("none", "no such socket");
}

#[test]
fn commands_are_there_and_do_as_they_should() {
    let report = report(checking(
        "
        [checks.command.sh]
        [checks.command.no-such-program]
        [checks.command.right]\ncommand = \"sh\"\nargs = [\"-c\", \"echo version 3.14\"]\nversion = \"3\\\\.1\"
        [checks.command.old]\ncommand = \"sh\"\nargs = [\"-c\", \"echo version 2.7 >&2\"]\nversion = \"3\\\\.\"
        [checks.exec.good]\ncommand = [\"sh\", \"-c\", \"echo 42; exit 3\"]\nexit_codes = 3\nmatches = \"^42$\"
        [checks.exec.bad]\ncommand = [\"sh\", \"-c\", \"echo no such table >&2; exit 3\"]
        [checks.exec.killed]\ncommand = [\"sh\", \"-c\", \"kill -9 $$\"]
        [checks.exec.secret]\ncommand = [\"sh\", \"-c\", \"echo sesame; echo sesame >&2\"]\nmatches = \"x\"\nsecret = true
        [checks.exec.missing]\ncommand = \"no-such-program\"
        "
        .replace("$$", "$$$$")
        .as_str(),
    ));
    report.pass(&["sh", "right", "good"]).fail("no-such-program", "not found in PATH");
    report.fail("old", "version 2.7").fail("bad", "exit code 3, saying").fail("killed", "SIGKILL");
    report.fail("secret", "not shown").fail("missing", "not found in PATH");
    assert!(!report.ended.story().contains("sesame"), "a secret is shown\n{}", report.ended.story());
}

/// The command sees what its output is exported as.
#[test]
fn the_output_of_a_command_is_exported() {
    let checks = "[checks.exec.x]\ncommand = \"echo ' 42 '\"\nexport = \"ANSWER\"\n";
    let ended = Init::config(checks).sh("echo \"<$ANSWER>\"").run().expect(0);
    assert_eq!(ended.out, "<42>\n", "{}", ended.story());
}

/// Neither the command nor what it started is left behind.
#[test]
fn a_command_that_hangs_is_killed_with_all_that_it_started() {
    let checks = "[checks.exec.hangs]\ntimeout = \"300ms\"\n\
                  command = [\"sh\", \"-c\", \"trap '' TERM; sleep 1000 & sleep 1000\"]\n";
    let report = report(checking(checks).nested());
    report.fail("hangs", "still running after 300ms");
    assert!(report.ended.left.is_empty(), "{:?}", report.ended.left);
}

/// The same when rinit is stopped meanwhile.
#[test]
fn a_stop_ends_a_command_that_is_looked_with() {
    let checks = "[checks.exec.hangs]\ntimeout = \"1h\"\n\
                  command = [\"sh\", \"-c\", \"trap '' TERM; touch /mnt/files/up; sleep 1000 & sleep 1000\"]\n";
    let run = checking(checks).nested().start();
    let up = run.folder().join("up");
    eventually("the command runs", || up.exists());
    std::thread::sleep(ms(50));
    run.signal(libc::SIGTERM);
    // Killed, they may take a moment longer than rinit does.
    eventually("the command is gone", || !run.others().iter().any(|one| one.command.contains("sleep")));
    run.end().expect(143);
}

#[test]
fn limits_are_high_enough_or_are_not() {
    let checks = "
        [checks.limit.low]\nnofile = 128\nmemory = \"1MiB\"\ncpus = 0.01\npids = 1
        [checks.limit.high]\nnofile = 65536
        [checks.limit.much]\nmemory = \"1000TiB\"
        [checks.limit.many]\ncpus = 100000
        [checks.limit.core]\ncore = \"1GiB\"
    ";
    let launch = checking(checks).limit(libc::RLIMIT_NOFILE, 256).limit(libc::RLIMIT_CORE, 0);
    let report = report(launch);
    report.pass(&["low"]).fail("high", "nofile 256, hard limit 256").fail("core", "core 0 bytes, hard limit");
    report.fail("much", "memory ").fail("many", "cpus ");
}

#[test]
fn the_kernel_is_as_needed_or_is_not() {
    let report = report(
        checking(
            "
            [checks.kernel.good]\nversion = \"3.10\"\ndevice = \"/dev/null\"\nnot_before = \"2024-01-01\"\nentropy = true
            time_zone = \"UTC\"\nsysctl = { \"kernel.pid_max\" = 2 }
            [checks.kernel.new]\nversion = \"99\"
            [checks.kernel.arch]\narch = [\"mips\", \"vax\"]
            [checks.kernel.device]\ndevice = \"/dev/no-such-device\"
            [checks.kernel.file]\ndevice = \"/mnt/files/rinit.toml\"
            [checks.kernel.least]\nsysctl = { \"kernel.pid_max\" = 2000000000 }
            [checks.kernel.equal]\nsysctl.kernel.ostype = \"Minix\"
            [checks.kernel.unknown]\nsysctl = { \"kernel.no_such\" = 1 }
            [checks.kernel.zone]\ntime_zone = \"Mars/Olympus\"
            [checks.kernel.clock]\nnot_before = \"2999-01-01\"
            [checks.kernel.shm]\nshm = \"1000TiB\"
            ",
        )
        .env("TZ", "UTC"),
    );
    report.pass(&["good"]).fail("new", "version ").fail("arch", "arch ").fail("device", "no /dev/no-such");
    report
        .fail("file", "a file at")
        .fail("least", "kernel.pid_max = ")
        .fail("equal", "kernel.ostype = Linux");
    report.fail("unknown", "no kernel.no_such").fail("zone", "time zone UTC").fail("clock", "before 2999");
    report.fail("shm", "/dev/shm of ");
}

#[test]
fn privileges_are_few_enough_or_are_not() {
    harness::needs_root();
    let checks = "
        [checks.privileges.none]\ncapabilities = { lacks = \"ALL\" }\nno_new_privs = false
        [checks.privileges.bind]\ncapabilities = { has = [\"NET_BIND_SERVICE\"] }
        [checks.privileges.locked]\nno_new_privs = true
        [checks.privileges.found]\nsetuid_files = \"none\"\npaths = [\"/mnt/files\"]
        [checks.privileges.allowed]\nsetuid_files = \"none\"\npaths = [\"/mnt/files\"]\nallow = [\"/mnt/files/su\"]
    ";
    let with = |launch: Launch| report(launch.file_with_mode("su", "x", 0o4755));
    let user = with(checking(checks).user(4711));
    user.pass(&["none", "allowed"]).fail("bind", "uid 4711 without NET_BIND_SERVICE");
    user.fail("locked", "no_new_privs off").fail("found", "setuid /mnt/files/su");
    let root = with(checking(checks));
    root.pass(&["bind"]).fail("none", "uid 0 with ");
}
