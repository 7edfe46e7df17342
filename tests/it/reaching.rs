//! How rinitctl finds rinit, and what it learns there of what only rinit knows.

use crate::harness::{Client, Init, Launch, Running, eventually};
use crate::rinitctl::{Told, good, inside, told};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

/// As `docker exec` runs it, without a word on where the socket is.
fn unnamed(run: &Running, words: &[&str]) -> Told {
    let pid = run.pid_outside().to_string();
    let mut command = Command::new("nsenter");
    command.args(["-t", &pid, "-p", "-m", "-n", "--", "env", "-u", "RINIT_SOCKET", "/mnt/rinit", "--ctl"]);
    told(command.args(words).output().unwrap())
}

const SLEEPER: &str = "[services.web]\ncommand = ['sleep', '1000']\n";

/// Starts with the socket at that name of `[control]`, or where rinit looks for a place when it is empty.
fn start_at(socket: &str, launch: impl Fn(Launch) -> Launch) -> Running {
    let control = if socket.is_empty() { String::new() } else { format!("[control]\nsocket = '{socket}'\n") };
    let run = launch(Init::config(&[&control, SLEEPER].concat()).env("RINIT_SOCKET", "")).start();
    run.the("sleep");
    run
}

/// Who moved the socket in the file had to say so to each command as well.
#[test]
fn a_socket_that_the_file_names_is_found_by_the_client() {
    for (socket, name) in [
        ("/mnt/files/own.sock", "a path"),
        ("@of-the-file", "an abstract name"),
        ("${PLACE:-/mnt/files}/x.sock", "a variable"),
    ] {
        let run = start_at(socket, Launch::network);
        eventually(name, || unnamed(&run, &["status", "web"]).code == 0);
        eventually(name, || unnamed(&run, &["healthcheck"]).code == 0);
        run.stop().expect(0);
    }
    let run = start_at("none", Launch::network);
    let nobody = unnamed(&run, &["status"]);
    assert_eq!(nobody.code, 69);
    assert!(
        nobody.err.contains("[control] socket = \"none\": rinit has no control socket"),
        "{}",
        nobody.err
    );
    run.stop().expect(0);
}

/// Where nothing can be written the socket has a name alone: orders, events and waiting go all the same.
#[test]
fn an_abstract_name_serves_where_nothing_can_be_written() {
    let run = start_at("", |launch| launch.bare().network());
    eventually("it answers", || unnamed(&run, &["status", "web"]).code == 0);
    let directory = inside(&run, &["sh", "-c", "touch /run/x"]).output().unwrap();
    assert!(!directory.status.success(), "/run can be written");
    for words in [&["stop", "web"][..], &["start", "web"], &["wait", "--healthy", "web"], &["healthcheck"]] {
        let told = unnamed(&run, words);
        assert_eq!((told.code, told.err.as_str()), (0, ""), "{words:?}");
    }
    assert!(unnamed(&run, &["events", "web"]).out.contains("web: stop"), "events are told");
    // Nobody else's: whoever is of another pid namespace knows the name, and is refused.
    let pid = run.pid_outside().to_string();
    let name = std::fs::read_to_string(format!("/proc/{pid}/net/unix")).unwrap();
    let name = name.lines().find_map(|line| Some(line[line.find("@rinit-")?..].to_string())).unwrap();
    let words = ["-t", &pid, "-n", "--", &Init::rinit_binary(), "--ctl", "--socket", &name, "status"];
    let foreign = told(Command::new("nsenter").args(words).output().unwrap());
    assert!(foreign.code != 0 && foreign.err.contains("may not"), "{} {}", foreign.code, foreign.err);
    // It may be killed with all the rest before it has ended.
    unnamed(&run, &["shutdown", "--no-wait", "--code", "4"]);
    run.end().expect(4);
}

/// The checks saw the environment of `docker exec`, where a variable that the start needs is not set.
#[test]
fn check_sees_the_environment_that_rinit_was_started_with() {
    let config = format!("[checks.env.NEEDED]\nmin_length = 3\n{SLEEPER}");
    let run = Init::config(&config).env("RINIT_SOCKET", Client::SOCKET).env("NEEDED", "set").start();
    Client::of(&run).wait_for("web", "running");
    good(&run, &["check", "env"]);
    crate::harness::needs_root();
    // Another user may not see it, and is told what that means.
    let allowed = format!("[control]\nallow = ['1234']\n{config}");
    let run = Init::config(&allowed).env("RINIT_SOCKET", Client::SOCKET).env("NEEDED", "set").start();
    Client::of(&run).wait_for("web", "running");
    let words = ["setpriv", "--reuid=1234", "--clear-groups", "/mnt/rinit", "--ctl", "check", "env"];
    let other = told(inside(&run, &words).output().unwrap());
    assert_eq!(other.code, 69, "{}", other.err);
    assert!(other.err.contains("the checks see that of this command"), "{}", other.err);
    run.stop().expect(0);
}

/// What each service wrote, and what of it nobody could be given.
#[test]
fn output_is_counted_by_service() {
    let config = r#"
        [services.web]
        logging = "prefix"
        command = ["sh", "-c", "echo one; echo two; printf half; exec sleep 1000"]
        [services.plain]
        command = ["sleep", "1000"]
    "#;
    let run = Init::config(config).env("RINIT_SOCKET", Client::SOCKET).start();
    run.wait_for("web | half");
    let mut client = Client::of(&run);
    let row = client.service("web");
    let count = |name: &str| row.number(name);
    assert_eq!((count("log_lines"), count("log_bytes"), count("log_dropped")), (Some(2), Some(12), Some(0)));
    assert_eq!(client.service("plain").get("log_lines"), None);
    let metrics = good(&run, &["metrics"]);
    for line in [
        "rinit_service_log_bytes_total{service=\"web\"} 12\n",
        "rinit_service_log_lines_total{service=\"web\"} 2\n",
        "rinit_service_log_dropped_bytes_total{service=\"web\"} 0\n",
    ] {
        assert!(metrics.contains(line), "{line}{metrics}");
    }
    run.stop().expect(0);
    // The reader is gone: what it was not given counts.
    let config = "[services.web]\nlogging = 'prefix'\ncommand = ['sh', '-c', 'seq 1000; exec sleep 1000']\n";
    let run = Init::config(config).env("RINIT_SOCKET", Client::SOCKET).without_reader().start();
    let mut client = Client::of(&run);
    eventually("it is counted", || client.service("web").number("log_lines") == Some(1000));
    assert_eq!(client.service("web").number("log_bytes"), Some(3893));
    assert!(client.service("web").number("log_dropped") > Some(3893));
    run.stop().expect(0);
}

/// rinitctl in a container whose socket's directory is read-only by now, and as a user whom the file lets in.
#[test]
fn a_read_only_directory_and_another_user_are_no_obstacle() {
    crate::harness::needs_root();
    let config = format!("[control]\nread_only = ['1234']\n{SLEEPER}");
    let run = Init::config(&config).env("RINIT_SOCKET", "/mnt/files/sock/c").file("sock/x", "").start();
    let ask = |words: &[&str]| {
        let all = [&["env", "RINIT_SOCKET=/mnt/files/sock/c"], words].concat();
        told(inside(&run, &all).output().unwrap())
    };
    eventually("it answers", || ask(&["/mnt/rinit", "--ctl", "status", "web"]).code == 0);
    let directory = run.directory().join("sock");
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o555)).unwrap();
    let mounted = ask(&[
        "sh",
        "-c",
        "mount --bind /mnt/files/sock /mnt/files/sock && mount -o remount,bind,ro /mnt/files/sock",
    ]);
    assert_eq!(mounted.code, 0, "{}", mounted.err);
    assert_eq!(ask(&["/mnt/rinit", "--ctl", "status", "web"]).code, 0);
    let other = ["setpriv", "--reuid=1234", "--clear-groups", "/mnt/rinit", "--ctl"];
    assert_eq!(ask(&[&other[..], &["status", "web"]].concat()).code, 0);
    let denied = ask(&[&other[..], &["stop", "web"]].concat());
    assert!(denied.code == 77 && denied.err.contains("you are uid 1234"), "{} {}", denied.code, denied.err);
    assert_eq!(ask(&["/mnt/rinit", "--ctl", "restart", "--no-wait", "web"]).code, 0);
    run.signal(libc::SIGTERM);
    // The file cannot be removed, and nothing waits for that.
    run.end().expect(0);
}
