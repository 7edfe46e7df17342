//! A service's `checks`: judged right before each of its starts, and not at the container's.

use crate::harness::{Client, Init, eventually};

const GATED: &str = r#"
    [checks.file.flag]
    path = "/mnt/files/flag"
    contains = "yes"
    [services.app]
    command = ["sh", "-c", "echo app up; exec sleep 1000"]
    checks = ["file.flag"]
    pre_start = ["echo", "prepared"]
    restart_policy = { delay = "10ms", max_delay = "10ms" }
    [services.other]
    command = ["sh", "-c", "echo other up; exec sleep 1001"]
    [services.next]
    command = "sleep 1002"
    depends_on = ["app"]
"#;

#[test]
fn a_check_holds_up_its_service_alone_and_at_each_start() {
    let run = Init::config(GATED).env("RINIT_SOCKET", Client::SOCKET).start();
    let mut client = Client::of(&run);
    run.wait_for("other up");
    run.wait_for_err(
        "app: check file /mnt/files/flag failed: found /mnt/files/flag is not there, expected a file, with \"yes\"",
    );
    run.wait_for_err("app: not started; restarting in 10ms");
    assert_eq!(client.state("next"), "waiting");
    assert!(!run.out().contains("prepared"), "{}", run.out());
    std::fs::write(run.directory().join("flag"), "yes").unwrap();
    run.wait_for("prepared\napp up");
    client.wait_for("next", "running");
    // The next start is held up again.
    std::fs::write(run.directory().join("flag"), "no").unwrap();
    run.signal_to(&run.the("sleep 1000"), libc::SIGKILL);
    run.wait_for_err("app: check file /mnt/files/flag failed: found a file without \"yes\"");
    assert_eq!(run.out().matches("app up").count(), 1, "{}", run.out());
    std::fs::write(run.directory().join("flag"), "yes").unwrap();
    eventually("it is started again", || run.out().matches("app up").count() == 2);
    run.stop().expect(0);
}

#[test]
fn a_failed_check_is_a_failed_start() {
    for (keys, code) in [("restart = 'no'", 69), ("restart_policy = { delay = '1ms', max_attempts = 2 }", 69)]
    {
        let config = format!(
            "[checks.env.NEEDED]\nhint = 'set it'\n[services.app]\ncommand = 'echo up'\nchecks = ['env.NEEDED']\n{keys}\n"
        );
        let ended = Init::config(&config).run().expect(code);
        assert_eq!(ended.out, "");
        ended.tells(&[
            "app: check env NEEDED failed: found no such variable",
            "set it (/mnt/files/rinit.toml:1)",
        ]);
    }
    // What is only warned of holds nobody up.
    let config = "[checks.env.NEEDED]\nlevel = 'warn'\n[services.app]\ntype = 'oneshot'\ncommand = 'echo up'\nchecks = ['env.NEEDED']\n";
    let ended = Init::config(config).run().expect(0);
    assert_eq!(ended.out, "up\n");
    ended.tells(&["app: check env NEEDED: found no such variable"]);
}

/// What may take long is done by a helper, which ends with the container.
#[test]
fn a_stop_ends_a_check_that_waits() {
    let config = r#"
        [checks.file.never]
        path = "/mnt/files/never"
        wait = "1000s"
        interval = "10ms"
        [checks.exec.hangs]
        command = ["sh", "-c", "echo asked > /mnt/files/asked; sleep 1000"]
        timeout = "1000s"
        [services.waits]
        command = "echo up"
        checks = ["file.never"]
        [services.hangs]
        command = "echo up"
        checks = ["exec.hangs"]
        [services.other]
        command = ["sh", "-c", "echo other up; exec sleep 1001"]
    "#;
    let run = Init::config(config).nested().start();
    run.wait_for("other up");
    eventually("it looks", || run.directory().join("asked").exists());
    let ended = run.stops_at_once();
    assert!(ended.left.is_empty() && !ended.out.contains("up\nup"), "{}", ended.story());
}

/// A wait that ends in time, a user of its own, one of several that is enough.
#[test]
fn checks_have_all_their_keys() {
    crate::harness::needs_root();
    let config = r#"
        [checks.file.soon]
        path = "/mnt/files/soon"
        wait = "1000s"
        interval = "10ms"
        [checks.file.private]
        path = "/mnt/files/private"
        as_user = "nobody"
        readable = false
        [checks.env.ONE]
        any_of = "one or two"
        [checks.env.TWO]
        any_of = "one or two"
        [services.setup]
        type = "oneshot"
        command = ["sh", "-c", "echo TWO=2 >> $RINIT_ENV"]
        export_env = ["TWO"]
        [services.app]
        type = "oneshot"
        command = ["echo", "app ran"]
        depends_on = ["setup"]
        checks = ["file.soon", "file.private", "env.ONE", "env.TWO"]
    "#;
    let run = Init::config(config).file_with_mode("private", "", 0o600).start();
    run.wait_for_err("setup: exited with code 0");
    assert!(!run.out().contains("app ran"));
    std::fs::write(run.directory().join("soon"), "").unwrap();
    run.wait_for("app ran");
    run.end().expect(0);
}

#[test]
fn what_can_never_be_judged_is_a_fault() {
    for (checks, keys, part) in [
        ("", "checks = ['tcp.bd']", "services.app.checks: \"tcp.bd\" is no check of the configuration"),
        (
            "[checks.env.A]\nexport = 'B'",
            "checks = ['env.A']",
            "\"env.A\" has export, which is for the container's start",
        ),
        (
            "[checks.dir.'/x']\nensure = true",
            "checks = ['dir./x']",
            "has ensure, which is for the container's start",
        ),
        ("", "checks = []", "services.app.checks: is an empty list"),
    ] {
        let config = format!("{checks}\n[services.app]\ncommand = 'true'\n{keys}\n");
        Init::config(&config).run().expect(78).tells(&["rinit.toml:", part]);
    }
    let ended = Init::config(GATED).args(&["--explain"]).run().expect(0);
    assert!(ended.out.contains("(off: judged before each start of app)"), "{}", ended.story());
    let ended = Init::config(GATED).args(&["--check", "--format", "json"]).run().expect(0);
    assert!(ended.out.contains("\"status\":\"skip\""), "{}", ended.story());
}
