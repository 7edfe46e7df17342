//! What is on and off by the conditions `when_*`, on checks and services.

use crate::harness::{FILES, Init, Launch};

/// A start with one oneshot for each condition, which says its number.
fn with(conditions: &[&str]) -> Launch {
    let mut text = String::new();
    for (n, condition) in conditions.iter().enumerate() {
        text += &format!("[services.s{n}]\ntype = \"oneshot\"\ncommand = [\"echo\", \"{n}\"]\n{condition}\n");
    }
    Init::config(&text)
}

/// The numbers that were said.
#[track_caller]
fn on(launch: Launch) -> Vec<usize> {
    let ended = launch.run().expect(0);
    let mut said: Vec<usize> = ended.out.lines().map(|line| line.parse().expect("a number")).collect();
    said.sort_unstable();
    said
}

/// `POSTGRES_HOST_AUTH_METHOD != trust`, and a password that is not there: what start-up scripts ask.
#[test]
fn variables_compared_and_joined() {
    let all = [
        "when_env = 'METHOD!=trust'",
        "when_env = ['METHOD', 'PASSWORD']",
        "when_env = ['METHOD', '!PASSWORD']",
        "when_any = ['PASSWORD', 'PASSWORD_FILE']",
        "when_any = ['PASSWORD', { when_exists = '/mnt/files/secret' }]",
        "when_env = '!METHOD=md5|trust'",
    ];
    assert_eq!(on(with(&all)), [0, 5]);
    assert_eq!(on(with(&all).env("METHOD", "trust")), [2]);
    assert_eq!(on(with(&all).env("METHOD", "md5").env("PASSWORD", "x")), [0, 1, 3, 4]);
    assert_eq!(on(with(&all).env("METHOD", "scram").file("secret", "x")), [0, 2, 4, 5]);
}

/// `[ -z "$(ls -A /data)" ]`, which `lost+found` spoils.
#[test]
fn what_is_there_and_what_is_empty() {
    let all = [
        "when_empty = '/mnt/files/data'",
        "when_empty = '!/mnt/files/data'",
        "when_exists = '/mnt/files/data'",
        "when_missing = ['/mnt/files/data', '/mnt/files/other']",
        "when_exists = '!/mnt/files/data'",
    ];
    assert_eq!(on(with(&all)), [0, 3, 4]);
    assert_eq!(on(with(&all).file("data", "")), [0, 2]);
    assert_eq!(on(with(&all).file("data", "x")), [1, 2]);
    assert_eq!(on(with(&all).file("data/lost+found/x", "")), [0, 2]);
    assert_eq!(on(with(&all).file("data/lost+found/x", "").file("data/PG_VERSION", "16")), [1, 2]);
}

/// One file for root and for any uid: what only root can do is on for root alone.
#[test]
fn who_rinit_is() {
    crate::harness::needs_root();
    let all = [
        "when_user = 'root'",
        "when_user = '!root'",
        "when_user = 'daemon'",
        "when_user = 4321",
        "when_user = ['0', 'daemon']",
        "when_user = '!daemon'",
    ];
    assert_eq!(on(with(&all)), [0, 4, 5]);
    assert_eq!(on(with(&all).user(1)), [1, 2, 4]);
    // Nobody knows this number by name (`docker run --user 4321`).
    assert_eq!(on(with(&all).user(4321)), [1, 3, 5]);
}

#[test]
fn the_machine_by_either_name() {
    let arch = std::env::consts::ARCH;
    let docker = if arch == "x86_64" { "amd64" } else { arch };
    let own = format!("when_arch = '{arch}'");
    let as_docker = format!("when_arch = ['vax', '{docker}']");
    let other = format!("when_arch = '!{arch}|vax'");
    assert_eq!(on(with(&[&own, &as_docker, &other, "when_arch = 'vax'"])), [0, 1]);
}

/// An image with several programs, each with what it needs.
#[test]
fn what_is_for_some_commands_only() {
    let text = "[checks.env.WORKERS]\nwhen_command = 'worker'\n[checks.env.PORT]\nwhen_command = '!worker'\n
[services.cache]\ntype = 'oneshot'\ncommand = ['echo', 'cache']\nwhen_command = ['web', 'echo']
[services.main]\ncommand = ['echo', 'main']\n";
    let launch = |words: &[&str]| Init::config(text).env("PORT", "80").command(words);
    let out = |words: &[&str]| launch(words).run().expect(0).out;
    assert_eq!(out(&[]), "cache\nmain\n");
    assert_eq!(out(&["-n"]), "cache\nmain -n\n");
    assert_eq!(out(&["/bin/echo", "a"]), "cache\na\n");
    assert_eq!(out(&["printf", "a"]), "a");
    Init::config(text).run().expect(69).tells(&["PORT"]);
    launch(&["/mnt/files/worker"]).run().expect(69).tells(&["WORKERS"]);
}

/// What is off is told by `--explain`, with the reason.
#[test]
fn why_something_is_off_is_told() {
    let text = format!(
        "[checks.file.'/none']\nwhen_user = 'nobody'\n[services.a]\ncommand = 'true'\nwhen_any = ['A', 'B=c']
[services.b]\ncommand = 'true'\nwhen_empty = '{FILES}'\n[services.c]\ncommand = 'true'\nwhen_command = '!true'\n"
    );
    let ended = Init::config(&text).args(&["--explain", "--", "true"]).run().expect(0);
    for line in [
        "(off: the user is not nobody)",
        "a: A is not set, and B is not c",
        "b: /mnt/files is not empty",
        "c: the command is true",
    ] {
        assert!(ended.out.contains(line), "{line}\n{}", ended.story());
    }
}

/// A condition that a check's export decides is judged after the checks.
#[test]
fn what_a_check_exports_decides() {
    let text = "[checks.env.MODE]\ndefault = 'web'
[services.a]\ntype = 'oneshot'\ncommand = ['echo', 'a']\nwhen_env = 'MODE=web'
[services.b]\ntype = 'oneshot'\ncommand = ['echo', 'b']\nwhen_env = 'MODE!=web'\n";
    assert_eq!(Init::config(text).run().expect(0).out, "a\n");
    assert_eq!(Init::config(text).env("MODE", "x").run().expect(0).out, "b\n");
}
