//! rinit inside rinit: the configuration is PID 1's, and its services run once.

use crate::harness::{FILES, Init, Launch, needs_root};

/// A start by the configuration that every rinit finds that is called without one of its own.
fn found_by_all(init: Init, text: &str) -> Launch {
    init.launch().file("rinit.toml", text).env("RINIT_CONFIG", &format!("{FILES}/rinit.toml"))
}

fn job(command: &str, more: &str) -> String {
    format!("[services.job]\ntype = \"oneshot\"\ncommand = {command}\n{more}\n")
}

/// A service `["rinit", "--", "app"]` called itself until there were no pids left.
#[test]
fn a_service_that_is_a_rinit_just_runs_its_command() {
    for pid_1 in [true, false] {
        for option in ["--", "--exec"] {
            let text = job(&format!("[\"/mnt/rinit\", \"{option}\", \"echo\", \"app\"]"), "");
            let ended = found_by_all(Init::RINIT, &text).pid_1(pid_1).run().expect(0);
            assert_eq!(ended.out, "app\n", "{}", ended.story());
        }
    }
    // With a shell between them.
    let text = job("[\"sh\", \"-c\", \"/mnt/rinit -- echo app; true\"]", "");
    let ended = found_by_all(Init::RINIT, &text).run().expect(0);
    assert_eq!(ended.out, "app\n", "{}", ended.story());
}

/// Who may not look at PID 1's file knows it by its name.
#[test]
fn the_rinit_of_another_user_knows_where_it_is() {
    needs_root();
    let text = job("[\"sh\", \"-c\", \"/mnt/rinit -- echo app; true\"]", "user = \"65534\"");
    let ended = found_by_all(Init::RINIT, &text).run().expect(0);
    assert_eq!(ended.out, "app\n", "{}", ended.story());
}

#[test]
fn without_a_command_it_is_refused_with_the_ways_that_there_are() {
    let text = job("[\"sh\", \"-c\", \"/mnt/rinit; echo $?\"]", "");
    let ended = found_by_all(Init::RINIT, &text).run().expect(0);
    assert_eq!(ended.out, "64\n", "{}", ended.story());
    ended.tells(&["nothing to run: PID 1 is rinit already", "rinitctl", "rinit -- COMMAND", "--config"]);
}

/// What is named is meant, and a look starts nothing.
#[test]
fn its_own_configuration_and_a_look_at_the_outer_one_are_as_ever() {
    let own = job("[\"echo\", \"own\"]", "");
    let text = job(
        "[\"sh\", \"-c\", \"/mnt/rinit --config /mnt/files/own.toml && /mnt/rinit --validate && /mnt/rinit --check\"]",
        "[checks.user]\nin_passwd = true",
    );
    let ended = found_by_all(Init::RINIT, &text).file("own.toml", &own).run().expect(0);
    assert!(ended.out.starts_with("own\nthe configuration has no faults\n"), "{}", ended.story());
}

/// An init of another name has no configuration, though it may be the same file: `docker run --init`.
#[test]
fn behind_an_init_of_another_name_the_configuration_is_read() {
    let text = job("[\"echo\", \"job\"]", "");
    for init in [Init::AS_TINI, Init::AS_DUMB_INIT] {
        let ended = found_by_all(init, &text).command(&["/mnt/rinit"]).run().expect(0);
        assert_eq!(ended.out, "job\n", "{}", ended.story());
    }
}
