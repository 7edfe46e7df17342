//! What used to end with success and without a word, though nothing was done.

use crate::harness::{Ended, FILES, Init};

fn refused(text: &str) -> Ended {
    Init::config(text).run().expect(64).tells(&[
        "nothing to run: ",
        "rinit -- COMMAND",
        "[services.main] command",
    ])
}

/// Only `[services.main]`, and nobody typed a COMMAND: it ended with 0, and nobody knew why.
#[test]
fn a_file_that_has_nothing_to_run_is_wrong_usage() {
    refused("[checks.user]\nroot = true\n").tells(&["the configuration has no services"]);
    refused("[services.main]\numask = \"0022\"\n").tells(&["main: no COMMAND was given"]);
    refused("[services.web]\ncommand = \"true\"\nenabled = false\n").tells(&["web: enabled is false"]);
    let both =
        "[services.web]\ncommand = \"true\"\nenabled = \"${WEB:-no}\"\n[services.main]\numask = \"0022\"\n";
    refused(both).tells(&["web: enabled is false, main: no COMMAND was given"]);
    Init::config(both).env("WEB", "yes").run().expect(0);
    // Each of the two ways that it names mends it.
    Init::config("[services.main]\numask = \"0022\"\n").command(&["true"]).run().expect(0);
    Init::config("[services.main]\numask = \"0022\"\ncommand = [\"true\"]\n").run().expect(0);
}

/// Every service off by its conditions: that may be as it should, but it is said.
#[test]
fn a_start_whose_conditions_leave_nothing_says_so() {
    let text = "[services.web]\ncommand = \"true\"\nwhen_env = \"WEB\"\n\
                [services.once]\ntype = \"oneshot\"\ncommand = \"true\"\nwhen_missing = \"/mnt/files\"\n\
                [services.gone]\ncommand = \"true\"\nenabled = false\n";
    let ended = Init::config(text).run().expect(0);
    let lines: Vec<&str> = ended.err.lines().collect();
    assert_eq!(
        lines,
        [
            "rinit: web: not started: WEB is not set",
            "rinit: once: not started: /mnt/files exists",
            "rinit: gone: not started: enabled is false",
        ]
    );
    let ended = Init::config(text).env("WEB", "1").run();
    assert!(!ended.err.contains("not started"), "{}", ended.story());
}

/// What the checks export decides too.
#[test]
fn a_switch_that_a_check_exports_is_told_as_well() {
    let text =
        "[checks.env.WEB]\ndefault = \"no\"\n[services.web]\ncommand = \"true\"\nwhen_env = \"WEB=yes\"\n";
    Init::config(text).run().expect(0).tells(&["web: not started: WEB is not yes"]);
    let text =
        "[checks.env.WEB]\ndefault = \"no\"\n[services.web]\ncommand = \"true\"\nenabled = \"${WEB}\"\n";
    Init::config(text).run().expect(64).tells(&["nothing to run: web: enabled is false"]);
}

/// `rinit --validate rinit.toml` in an image's build: the file was a COMMAND that nobody ran, and the build went on.
#[test]
fn a_file_in_the_place_of_a_command_is_wrong_usage() {
    let faulty = "[services.web]\ncomand = \"true\"\n";
    for option in ["--validate", "--check", "--explain", "--env-docs"] {
        for file in ["/mnt/files/rinit.toml", "conf.d/"] {
            let launch = Init::RINIT.launch().file("rinit.toml", faulty).args(&[option, file]);
            let remedy = format!("rinit {option} --config {file}");
            launch.run().expect(64).tells(&[&remedy]);
        }
    }
    // The remedy works.
    let config = format!("{FILES}/rinit.toml");
    let launch = Init::RINIT.launch().file("rinit.toml", faulty).args(&["--validate", "--config", &config]);
    launch.run().expect(78).tells(&["unknown key \"comand\""]);
}

#[test]
fn no_configuration_at_all_is_not_a_good_one() {
    for words in [&["--validate"][..], &["--check"], &["--check", "--", "true"], &["--env-docs"]] {
        Init::RINIT.launch().args(words).run().expect(64).tells(&["no configuration: ", "--config FILE"]);
    }
}

/// `ENTRYPOINT ["/sbin/rinit"]` and `docker run IMAGE --appendonly yes`.
#[test]
fn an_option_of_the_commands_names_the_entrypoint_that_passes_it_on() {
    for option in ["--appendonly", "-x"] {
        let launch = Init::RINIT.launch().args(&[option, "yes"]);
        launch.run().expect(64).tells(&["ENTRYPOINT [\"/sbin/rinit\", \"--\"]"]);
    }
    let config = "[services.main]\ncommand = [\"echo\", \"server\"]\n";
    let ended = Init::config(config).command(&["--appendonly", "yes"]).run().expect(0);
    assert_eq!(ended.out, "server --appendonly yes\n");
    for file in ["README.md", "Dockerfile.example"] {
        let text = std::fs::read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert!(text.contains("ENTRYPOINT [\"/sbin/rinit\", \"--\"]"), "{file}");
        assert!(!text.contains("ENTRYPOINT [\"/sbin/rinit\"]"), "{file}");
    }
}

/// A user, a directory and a program that the image lacks were told one by one, each by a start, and without their places.
const LACKING: &str = "[defaults]\nuser = \"nobdy\"\n\
    [services.a]\ncommand = \"no-such-program -x\"\nworking_dir = \"/no/such\"\n\
    [services.b]\ncommand = [\"/no/such/program\"]\n";

const LACKS: [&str; 5] = [
    "rinit.toml:2:8: services.a.user: no user \"nobdy\" in /etc/passwd",
    "rinit.toml:4:11: services.a.command: \"no-such-program\": not found in PATH",
    "rinit.toml:5:15: services.a.working_dir: there is no directory /no/such",
    "rinit.toml:7:11: services.b.command: \"/no/such/program\": no such file",
    "and 1 more: services.b",
];

#[test]
fn validate_warns_of_what_the_image_lacks() {
    let ended = Init::config(LACKING).args(&["--validate"]).run().expect(0);
    assert!(ended.out.contains("no faults, but the warnings"), "{}", ended.story());
    ended.tells(&LACKS);
    // In one run with the other faults.
    let faulty = format!("{LACKING}comand = 1\n");
    Init::config(&faulty)
        .args(&["--validate"])
        .run()
        .expect(78)
        .tells(&LACKS)
        .tells(&["unknown key \"comand\""]);
}

#[test]
fn a_start_that_fails_names_the_key() {
    for (keys, place) in [
        ("command = \"no-such-program\"", "(/mnt/files/rinit.toml:2:11)"),
        ("command = \"true\"\nuser = \"nobdy\"", "(/mnt/files/rinit.toml:3:8)"),
        ("command = \"true\"\nworking_dir = \"/no/such\"", "(/mnt/files/rinit.toml:3:15)"),
    ] {
        let ended = Init::config(&format!("[services.web]\n{keys}\n")).run();
        assert!(ended.err.contains(place), "{keys}\n{}", ended.story());
    }
}
