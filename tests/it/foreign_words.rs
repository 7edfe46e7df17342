//! Words of other supervisors in a configuration, files that are theirs altogether, and faults that many share.

use crate::harness::{Ended, Init};

fn refused(text: &str) -> Ended {
    Init::config(text).run().expect(78)
}

fn count(ended: &Ended, text: &str) -> usize {
    ended.err.matches(text).count()
}

/// The keys of a Compose file, a unit or a program of supervisord were unknown, and the list of forty others no help.
#[test]
fn a_word_of_another_supervisor_names_what_says_the_same() {
    for (keys, words) in [
        ("entrypoint = [\"/entry.sh\"]", "unknown key \"entrypoint\", a word of Compose; write command = ["),
        ("ports = [\"80:80\"]", "docker run --publish"),
        ("autorestart = true", "a word of supervisord; write restart = \"always\""),
        ("stopwaitsecs = 10", "write stop_grace_period = \"10s\""),
        ("exitcodes = \"0,2\"", "write success_exit_codes = [0, 2]"),
        ("ExecStart = \"/bin/true\"", "a word of systemd; write command = ["),
        ("RestartSec = 5", "write restart_policy = { delay = "),
        ("finish = \"./finish\"", "a word of s6 and runit; "),
        ("notification-fd = 3", "a word of s6 and runit; write notify = 3"),
    ] {
        let ended = refused(&format!("[services.web]\ncommand = \"true\"\n{keys}\n"));
        let ended = ended.tells(&["rinit.toml:3:1: services.web: ", words]);
        assert!(!ended.err.contains("known here"), "{}", ended.story());
    }
    refused("[program.web]\ncommand = \"true\"\n")
        .tells(&["unknown table \"program\", a word of supervisord", "[services.NAME]"]);
}

/// A hundred faults of TOML in a file that is none.
#[test]
fn a_file_of_another_format_is_told_as_such_and_once() {
    let compose = "services:\n  web:\n    image: nginx\n    ports:\n      - \"80:80\"\n";
    let ini = "[supervisord]\nnodaemon=true\n\n[program:web]\ncommand=/usr/sbin/nginx -g 'daemon off;'\nautorestart=true\n";
    let unit = "[Unit]\nDescription=A web server\n\n[Service]\nExecStart=/usr/sbin/nginx -g 'daemon off;'\n";
    let json = "{\n  \"services\": { \"web\": { \"command\": [\"nginx\"] } }\n}\n";
    for (text, what) in
        [(compose, "YAML"), (ini, "an INI file of supervisord"), (unit, "a unit of systemd"), (json, "JSON")]
    {
        let ended = refused(text).tells(&[
            "rinit.toml:1:1: found ",
            what,
            "expected TOML",
            "[services.NAME]",
            "1 fault in",
        ]);
        assert!(!ended.err.contains("not TOML: "), "{}", ended.story());
    }
}

/// The same fault of eight services was eight messages.
#[test]
fn what_eight_services_have_in_common_is_told_once() {
    let text: String =
        (1..=8).map(|n| format!("[services.w{n}]\ncommand = \"true\"\nuser = \"a b\"\n")).collect();
    let ended = refused(&text).tells(&[
        "rinit.toml:3:8: services.w1.user: is neither a name nor a number",
        "and 7 more: services.w2 (/mnt/files/rinit.toml:6), services.w3 (",
        "8 faults in the configuration",
    ]);
    assert_eq!(count(&ended, "neither a name"), 1, "{}", ended.story());
}

/// Each key that nobody knows listed all that are known, again and again.
#[test]
fn the_known_keys_are_listed_once() {
    let ended = refused(
        "[services.a]\ncommand = \"true\"\nfoo = 1\nbar = 2\nenviroment = {}\n[services.b]\ncommand = \"true\"\nbaz = 1\n",
    );
    assert_eq!(count(&ended, "known here: "), 1, "{}", ended.story());
    assert_eq!(count(&ended, "stand above"), 2, "{}", ended.story());
    ended.tells(&["unknown table \"enviroment\"; did you mean \"environment\"?"]);
}

/// `docker run IMAGE status`: \"did you mean stat?\" was no help.
#[test]
fn a_suggestion_is_a_program_that_somebody_might_mean() {
    let ended = Init::RINIT.command(&["status"]).run().expect(127).tells(&["rinitctl status"]);
    assert!(!ended.err.contains("did you mean"), "{}", ended.story());
    let ended = Init::RINIT.command(&["staus"]).run().expect(127);
    assert!(!ended.err.contains("\"stat\""), "{}", ended.story());
    Init::RINIT.command(&["slep", "1"]).run().expect(127).tells(&["did you mean \"sleep\"?"]);
}
