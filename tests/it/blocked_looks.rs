//! Looks at a file system that never answers: a stop is heard all the same.

use crate::harness::{INIT, Init, Kind, Launch, Running, eventually};
use std::time::{Duration, Instant};

const AT_ONCE: Duration = Duration::from_millis(1000);

/// A FUSE file system in whose name nobody answers, mounted at `/mnt/files/hang`, and a link that leads to it; then the
/// shell becomes rinit. (The sleep holds the file system's other end open.)
const HANGING: &str = "mkdir -p /mnt/files/hang; ln -s hang/deep /mnt/files/link; exec 3<>/dev/fuse && \
    mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 hang /mnt/files/hang && \
    { sleep 1000 3<&3 & exec 3>&-; } && echo mounted && exec";

fn launch(words: &str) -> Launch {
    let script = format!("{HANGING} {INIT} {words}");
    Init { kind: Kind::Other, path: "/bin/sh" }.launch().args(&["-c", &script])
}

/// It is rinit by now, and asleep.
#[track_caller]
fn waits(run: &Running) {
    run.wait_for("mounted");
    eventually("rinit waits", || {
        let init = run.init();
        init.command.starts_with(INIT) && init.state != 'R'
    });
}

#[track_caller]
fn a_stop_is_heard(words: &str, launch: Launch) {
    let mut run = launch.start();
    waits(&run);
    let asked = Instant::now();
    eventually(&format!("it hears: {words}"), || {
        run.signal(libc::SIGTERM);
        run.has_ended()
    });
    assert!(asked.elapsed() < AT_ONCE, "{words}: {:?}", asked.elapsed());
    assert_eq!(run.end().code(), 143, "{words}");
}

/// `--config` on a volume whose server is gone: `docker stop` took until the KILL. The same for whatever else the
/// configuration is read from, directly or through a link.
#[test]
fn a_configuration_that_never_comes_ends_by_a_stop() {
    for path in ["hang/rinit.toml", "hang", "link"] {
        let words = format!("--config /mnt/files/{path} -- true");
        a_stop_is_heard(&words, launch(&words));
        let by_variable = launch("-- true").env("RINIT_CONFIG", &format!("/mnt/files/{path}"));
        a_stop_is_heard(path, by_variable);
    }
    for config in [
        "[services.a]\ncommand = \"true\"\nenv_file = \"/mnt/files/hang/env\"\n",
        "[services.a]\ncommand = \"true\"\nwhen_exists = \"/mnt/files/hang/x\"\n",
        "[services.a]\ncommand = \"true\"\nwhen_missing = \"/mnt/files/link\"\n",
        "[checks.env.HOME]\nwhen_exists = \"/mnt/files/link/x\"\n[services.a]\ncommand = \"true\"\n",
    ] {
        let words = "--config /mnt/files/rinit.toml";
        a_stop_is_heard(config, launch(words).file("rinit.toml", config));
    }
}

/// `mount` and `volume` said that they may block; what else looks at a path did not.
#[test]
fn a_look_that_never_ends_is_ended_by_a_stop() {
    for check in [
        "file.\"/mnt/files/hang/x\"",
        "file.\"/mnt/files/link\"",
        "dir.\"/mnt/files/hang\"",
        "link_target.\"/mnt/files/hang/x\"",
        "command.\"/mnt/files/hang/x\"",
        "unix.\"/mnt/files/hang/x\"",
        "mount.\"/mnt/files/hang\"",
        "volume.\"/mnt/files/hang\"",
    ] {
        let words = "--config /mnt/files/rinit.toml -- true";
        a_stop_is_heard(check, launch(words).file("rinit.toml", &format!("[checks.{check}]\n")));
    }
}

/// Silence is never an answer.
#[test]
fn what_is_waited_for_is_told() {
    let run = launch("--config /mnt/files/hang/x -- true").start();
    run.wait_for_err("rinit: still waiting for /mnt/files/hang/x: its file system does not answer");
    run.signal(libc::SIGTERM);
    assert_eq!(run.end().code(), 143);
    let json = launch("--log-format json --config /mnt/files/hang/x -- true").start();
    let quiet = launch("-q --config /mnt/files/hang/x -- true").start();
    json.wait_for_err("\"level\":\"warn\",\"message\":\"still waiting for /mnt/files/hang/x: ");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(quiet.err(), "");
    for run in [json, quiet] {
        run.signal(libc::SIGTERM);
        assert_eq!(run.end().code(), 143);
    }
}

/// Where one mount may hang, all is read by helpers, and comes out as it would without: text, lists and errors.
#[test]
fn what_lies_elsewhere_is_read() {
    let config = "[services.web]\ncommand = [\"sh\", \"-c\", \"echo $WHERE; exit 0\"]\nenv_file = \"/mnt/files/env\"\n\
                  type = \"oneshot\"\n[checks.file.\"/mnt/files/env\"]\n[checks.command.sh]\n";
    let words = "--config /mnt/files";
    let ended = launch(words).file("rinit.toml", config).file("env", "WHERE=here\n").run().expect(0);
    assert!(ended.out.contains("here"), "{}", ended.story());
    let wrong = launch("--config /mnt/files/none").run().expect(78);
    wrong.tells(&["/mnt/files/none does not exist"]);
}

/// An engine that forbids signalfd(2): TERM during a check that waits was heard after a second, or never.
#[test]
fn a_stop_is_heard_where_signalfd_is_refused() {
    let config = "[checks.file.\"/none\"]\nwait = \"1h\"\ninterval = \"1h\"\n";
    for errno in [libc::EPERM, libc::ENOSYS] {
        let run = Init::config(config).command(&["true"]).refusing(&[(libc::SYS_signalfd4, errno)]).start();
        eventually("a helper looks", || run.others().len() == 1);
        let asked = Instant::now();
        run.signal(libc::SIGTERM);
        assert_eq!(run.end().code(), 143);
        assert!(asked.elapsed() < Duration::from_millis(500), "{:?}", asked.elapsed());
    }
}
