//! `profiles` of a service, `--profile` and `RINIT_PROFILES`: as Compose has them.

use crate::harness::Init;

const CONFIG: &str = r#"
    [services.app]
    type = "oneshot"
    command = ["echo", "app"]
    [services.shell]
    type = "oneshot"
    command = ["echo", "shell"]
    profiles = ["debug", "dev"]
    depends_on = ["app"]
    [services.load]
    type = "oneshot"
    command = ["echo", "load"]
    profiles = "test"
    depends_on = { shell = { required = false }, app = {} }
"#;

fn out(args: &[&str], variable: &str) -> String {
    let ended = Init::config(CONFIG).args(args).env("RINIT_PROFILES", variable).run().expect(0);
    let mut lines: Vec<&str> = ended.out.lines().collect();
    lines.sort_unstable();
    lines.join(" ")
}

#[test]
fn a_service_starts_where_its_profile_is_on() {
    for (args, variable, want) in [
        (&[][..], "", "app"),
        (&["--profile", "dev"], "", "app shell"),
        (&["--profile", "dev,test"], "", "app load shell"),
        (&["--profile=debug"], " test ,", "app load shell"),
        (&[], "test", "app load"),
        (&["--profile", "*"], "", "app load shell"),
    ] {
        assert_eq!(out(args, variable), want, "{args:?} {variable:?}");
    }
}

#[test]
fn a_profile_that_nobody_has_is_told() {
    let ended = Init::config(CONFIG).args(&["--profile", "debgu"]).run().expect(0);
    ended.tells(&["no service has the profile \"debgu\"; did you mean \"debug\"?"]);
}

/// What needs one that is off could never start.
#[test]
fn a_dependency_that_is_off_by_its_profile_is_a_fault() {
    let config = "[services.a]\ncommand = 'true'\nprofiles = ['x']\n[services.b]\ncommand = 'true'\ndepends_on = ['a']\n";
    Init::config(config).run().expect(78).tells(&[
        "rinit.toml:6:",
        "its profile is not on: start rinit with --profile x",
        "a = { required = false }",
    ]);
    let ended = Init::config("[services.a]\ncommand = 'true'\nprofiles = []\n").run().expect(78);
    ended.tells(&["services.a.profiles: is an empty list"]);
    // And where nothing is left, that is said.
    let ended = Init::config("[services.a]\ncommand = 'true'\nprofiles = ['x']\n").run().expect(64);
    ended.tells(&["nothing to run: a: its profile is not on: start rinit with --profile x"]);
}
