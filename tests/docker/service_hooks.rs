//! Hooks of services, and rinit's last words, in real containers.

use crate::engine::{Container, docker_ok, run};
use crate::images::{Config, RINIT, debian};

/// redis that saves nothing by itself: what it has in memory is there after a restart because `pre_stop` saved it.
#[test]
fn redis_is_saved_before_it_is_stopped() {
    let config = Config::new(
        r#"
        [checks.volume."/data"]
        owner = "redis"
        ensure = true
        [services.cache]
        command = ["redis-server", "--save", "", "--dir", "/data"]
        user = "redis"
        healthcheck = { tcp = 6379, interval = "1s" }
        post_start = ["sh", "-c", "until redis-cli ping; do sleep 0.1; done"]
        pre_stop = ["redis-cli", "save"]
        post_stop = ["sh", "-c", "echo ended $$RINIT_EXIT_CODE with $(ls /data)"]
        "#,
    );
    let container = Container::start(&[&config.mount, "--volume=/data"], debian(), &[]);
    container.says("cache: healthy");
    assert_eq!(container.exec(&["redis-cli", "set", "kept", "yes"]).out, "OK\n");
    docker_ok(&["restart", &container.name]);
    container.says("ended 0 with dump.rdb");
    crate::eventually("both starts", || {
        (container.logs().err.matches("cache: healthy").count() == 2).then_some(())
    });
    assert_eq!(container.exec(&["redis-cli", "get", "kept"]).out, "yes\n");
}

/// Each end that is not 0 leaves its cause where Kubernetes looks for it.
#[test]
fn every_end_leaves_its_cause_in_the_termination_log() {
    let web = |keys: &str| format!("[services.web]\nlogging = \"prefix\"\nrestart = \"no\"\n{keys}\n");
    let cases = [
        (String::new(), "-- /no/such/program", 127, "main: cannot start \"/no/such/program\": no such file"),
        (String::new(), "-- sh -c 'exit 3'", 3, "main: exited with code 3"),
        (String::new(), "-- sh -c 'kill -9 $$'", 137, "main: killed by SIGKILL"),
        (String::new(), "--no-such-option", 64, "unknown option --no-such-option"),
        (web("command = \"sh -c 'echo last; exit 4'\""), "", 4, "its last lines:\nlast\n"),
        (
            web("command = \"sleep 1\"\npre_start = \"sh -c 'exit 5'\""),
            "",
            5,
            "web: pre_start: exited with code 5",
        ),
        (web("comand = \"sleep 1\""), "", 78, "services.web: has no command"),
        ("[checks.env.NEEDED]\n".into(), "-- true", 69, "check env NEEDED failed"),
    ];
    for (text, words, code, told) in cases {
        let config = Config::new(&text);
        let mount: &[&str] = if text.is_empty() { &[] } else { &[&config.mount] };
        let script =
            format!("touch /dev/termination-log; {RINIT} {words}; echo $?; cat /dev/termination-log");
        let options = [mount, &["--entrypoint=sh"]].concat();
        let ran = run(&options, debian(), &["-c", &format!("{script} | sed 's/^/log /'")]);
        assert!(
            ran.out.contains(&format!("{code}\n")) && ran.out.contains("log rinit: "),
            "{words}: {ran:?}"
        );
        assert!(ran.out.replace("log ", "").contains(told), "{words}: {ran:?}");
    }
}
