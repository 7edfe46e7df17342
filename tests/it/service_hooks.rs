//! `pre_start`, `post_start`, `pre_stop` and `post_stop` of services.

use crate::harness::{Init, eventually};

/// Each hook tells its name and what it was told; all write to one stream, so that their order shows.
const ALL: &str = r#"
    [defaults]
    restart_policy = { delay = "1ms", max_attempts = 1 }
    [services.web]
    command = ["sh", "-c", "trap 'echo asked; exit 0' TERM; echo up; while :; do sleep 0.01; done"]
    environment = { OWN = "own" }
    pre_start = ["sh", "-c", "echo pre_start $$RINIT_SERVICE $$OWN $$RINIT_RESTARTS"]
    post_start = ["sh", "-c", "echo post_start $$RINIT_SERVICE"]
    pre_stop = ["sh", "-c", "echo pre_stop $${RINIT_EXIT_CODE-none}"]
    post_stop = "sh -c 'echo post_stop $$RINIT_EXIT_CODE $${RINIT_EXIT_SIGNAL-none}'"
    [services.after]
    command = ["sh", "-c", "echo after; exec sleep 1000"]
    depends_on = ["web"]
"#;

#[test]
fn each_hook_runs_at_its_time() {
    let run = Init::config(ALL).start();
    run.wait_for("after");
    let ended = run.stop().expect(0);
    let lines: Vec<&str> = ended.out.lines().collect();
    assert_eq!(lines.first(), Some(&"pre_start web own 0"), "{}", ended.story());
    let at = |line: &str| lines.iter().position(|known| *known == line);
    assert!(at("post_start web") < at("after"), "{}", ended.story());
    let end = ["pre_stop none", "asked", "post_stop 0 none"];
    assert_eq!(lines.get(lines.len() - 3..), Some(&end[..]), "{}", ended.story());
}

#[test]
fn post_stop_is_told_of_each_end() {
    for (script, told) in [("exit 7", "post_stop 7 none"), ("kill -9 $$$$", "post_stop none SIGKILL")] {
        let text = format!(
            "[services.web]\ncommand = [\"sh\", \"-c\", \"{script}\"]\nrestart_policy = {{ delay = \"1ms\", max_attempts = 1 }}\n\
             post_stop = [\"sh\", \"-c\", \"echo post_stop $${{RINIT_EXIT_CODE-none}} $${{RINIT_EXIT_SIGNAL-none}} $$RINIT_RESTARTS\"]\n"
        );
        let ended = Init::config(&text).run();
        let lines: Vec<&str> = ended.out.lines().collect();
        assert_eq!(lines, [format!("{told} 0"), format!("{told} 1")], "{}", ended.story());
    }
}

#[test]
fn a_failed_pre_start_is_a_failed_start() {
    let text = r#"
        [services.web]
        command = ["sh", "-c", "echo up"]
        pre_start = ["sh", "-c", "echo pre; exit 4"]
        post_stop = ["sh", "-c", "echo post $$RINIT_EXIT_CODE"]
        restart_policy = { delay = "1ms", max_attempts = 1 }
    "#;
    let ended = Init::config(text).run().expect(4);
    assert_eq!(ended.out, "pre\npost 4\npre\npost 4\n", "{}", ended.story());
    ended.tells(&[
        "web: pre_start: exited with code 4 after ",
        "web: not started; failed; given up after 1 restart",
    ]);
}

/// It would fail again as it is: nothing is tried anew.
#[test]
fn a_pre_start_that_is_not_there_is_told_with_its_place() {
    let text = "[services.web]\ncommand = \"sleep 1000\"\npre_start = \"/nowhere/at/all\"\n";
    let ended = Init::config(text).run().expect(127);
    ended.tells(&[
        "web: pre_start: ",
        "rinit.toml:3:13",
        "web: not started; failed, and would fail again as it is",
    ]);
}

#[test]
fn a_failed_post_start_stops_the_service() {
    let text = r#"
        [services.web]
        command = ["sh", "-c", "trap 'echo asked; exit 0' TERM; while :; do sleep 0.01; done"]
        post_start = ["sh", "-c", "exit 5"]
        restart = "no"
        [services.after]
        command = "echo after"
        type = "oneshot"
        depends_on = ["web"]
    "#;
    let ended = Init::config(text).run().expect(1);
    let ended =
        ended.tells(&["web: post_start: exited with code 5", "web: stopping (post_start has failed)"]);
    assert!(!ended.out.contains("after"), "{}", ended.story());
}

/// A hook that hangs is killed with all that it has started, and the stop goes on.
#[test]
fn a_hook_that_hangs_is_killed_with_its_group() {
    let hang = "{ command = ['sh', '-c', 'sleep 1001 & sleep 1002'], timeout = '300ms' }";
    let text =
        format!("[services.web]\ncommand = ['sleep', '1000']\npre_stop = {hang}\npost_stop = {hang}\n");
    let run = Init::config(&text).nested().start();
    eventually("it runs", || run.err().contains("web: started"));
    let ended = run.stop().expect(0);
    let ended = ended.tells(&[
        "web: pre_stop: not done, and killed after 3",
        "web: post_stop: not done, and killed after 3",
    ]);
    assert!(ended.left.is_empty(), "{:?}", ended.left);
}

/// A stop does not wait for a start.
#[test]
fn a_stop_ends_a_pre_start_at_once() {
    let text = r#"
        [services.web]
        command = ["sleep", "1000"]
        pre_start = ["sh", "-c", "echo pre; exec sleep 1001"]
        post_stop = ["sh", "-c", "echo post"]
    "#;
    let run = Init::config(text).start();
    run.wait_for("pre");
    let ended = run.stop().expect(0);
    assert_eq!(ended.out, "pre\npost\n", "{}", ended.story());
}

/// They run as the service does, and their lines go where its lines go.
#[test]
fn a_hook_runs_as_the_service_does() {
    let text = r#"
        [services.web]
        command = ["sh", "-c", "exit 0"]
        restart = "no"
        user = "1234:1234"
        working_dir = "/usr"
        umask = "0027"
        logging = "prefix"
        pre_start = ["sh", "-c", "echo $(id -u) $(id -g) $(pwd) $(umask)"]
    "#;
    let ended = Init::config(text).run().expect(0);
    assert_eq!(ended.out, "web | 1234 1234 /usr 0027\n", "{}", ended.story());
}

#[test]
fn the_bound_of_a_stop_counts_post_stop() {
    let text = "[services.web]\ncommand = 'sleep 1000'\nstop_grace_period = '5s'\npost_stop = { command = 'true', timeout = '3s' }\n";
    let ended = Init::config(text).args(&["--explain"]).run().expect(0);
    assert!(ended.out.contains("a stop takes at most 14s"), "{}", ended.story());
}
