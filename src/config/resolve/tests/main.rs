//! The COMMAND as the service `main`.

use crate::config::resolve::tests::*;

fn main_of(text: &str, command: &[&str]) -> (Plan, Service) {
    let (mut plan, faults) = plan_of(&[("t", text)], command);
    assert_eq!(faults, [""; 0], "{text} {command:?}");
    let main = plan.services.pop().expect("main");
    assert_eq!(main.name, "main");
    (plan, main)
}

#[test]
fn a_command_without_a_configuration_is_alone() {
    let scope = Scope {
        variable: &variable,
        exists: &|_| false,
        read: &|_| Err(String::new()),
        later: &[],
        start: StartFacts::default(),
    };
    let mut faults = Vec::new();
    let plan = resolve(None, &scope, &[c"a".into(), c"-x".into()], &mut faults);
    assert_eq!(
        (plan.services.len(), plan.whole.main, plan.whole.term_stops_main),
        (1, Some(ServiceId(0)), false)
    );
    assert_eq!(plan.services[0].rules.restart.when, Restart::No);
    assert_eq!(resolve(None, &scope, &[], &mut faults).services.len(), 0);
    assert_eq!(faults, []);
}

#[test]
fn the_files_command_goes_before_options_and_gives_way_to_a_program() {
    let text = "[services.main]\ncommand = ['redis', '--save']\nuser = 'redis'";
    for (command, want) in [
        (&[][..], &["redis", "--save"][..]),
        (&["--port", "1"], &["redis", "--save", "--port", "1"]),
        (&["sh", "-c"], &["sh", "-c"]),
    ] {
        let (plan, main) = main_of(text, command);
        let argv: Vec<_> = main.program.argv.iter().map(|word| word.to_str().expect("text")).collect();
        assert_eq!(argv, want);
        assert_eq!((plan.whole.main, plan.whole.term_stops_main), (Some(ServiceId(0)), true));
        assert_eq!((main.rules.restart.when, main.rules.enabled), (Restart::No, true));
    }
}

#[test]
fn without_a_command_of_either_kind_main_is_off() {
    let (plan, main) = main_of("[services.x]\ncommand = 'a'\n[services.main]\nuser = 'u'", &[]);
    assert_eq!((main.off, plan.whole.main), (Some(Off::NoCommand), None));
    let (plan, main) = main_of("[services.main]\ncommand = 'a'\nenabled = false", &[]);
    assert_eq!((main.off, plan.whole.main), (Some(Off::Disabled), None));
    let (_, main) = main_of("[services.main]\ncommand = 'a'\nenabled = false", &["b"]);
    assert_eq!(main.off, None, "a COMMAND that was typed runs");
}

#[test]
fn main_is_last_and_waits_for_all_that_does_not_wait_for_it() {
    let text = "
        [defaults]
        restart = 'always'
        [services.main]
        umask = '022'
        [services.once]
        type = 'oneshot'
        restart = 'no'
        command = 'a'
        [services.well]
        command = 'a'
        healthcheck = { tcp = 1 }
        [services.runs]
        command = 'a'
        essential = false
        [services.later]
        command = 'a'
        after = ['main']
        [services.last]
        command = 'a'
        depends_on = ['later']
        [services.off]
        command = 'a'
        enabled = false";
    let (_, main) = main_of(text, &["app"]);
    let waits: Vec<_> =
        main.rules.depends_on.iter().map(|d| (d.on.0, d.condition.expect("one"), d.required)).collect();
    use crate::model::Condition::{Completed, Healthy, Started};
    assert_eq!(waits, [(0, Completed, true), (1, Healthy, true), (2, Started, false)]);
    assert_eq!((main.rules.restart.when, main.program.umask), (Restart::No, Some(18)));
    let (_, main) = main_of("[services.a]\ncommand = 'a'\n[services.main]\ndepends_on = []", &["app"]);
    assert_eq!(main.rules.depends_on, []);
}

#[test]
fn a_configuration_may_be_for_some_commands_only() {
    let (files, _) = read(&[("t", "[services.main]\nwhen_command = ['redis', '/bin/x']")]);
    for (command, want) in [
        (&[][..], true),
        (&["-x"], true),
        (&["redis"], true),
        (&["/usr/bin/redis"], true),
        (&["/bin/x"], true),
        (&["x"], false),
        (&["sh"], false),
    ] {
        let command: Vec<CString> =
            command.iter().map(|w: &&str| CString::new(*w).expect("no NUL")).collect();
        assert_eq!(for_this_command(&files.root, &command), want, "{command:?}");
    }
    let (files, _) = read(&[("t", "[services.a]\ncommand = 'a'")]);
    assert!(for_this_command(&files.root, &[c"sh".into()]));
}

#[test]
fn what_main_cannot_be_is_told() {
    for (text, part) in [
        ("[services.main]\nessential = false", "services.main.essential: found false"),
        ("[services.main]\nrestart_policy = { delay = '1s' }", "can never act: main"),
        ("[services.main]\nwhen_command = []", "empty list"),
        ("[services.main]\nwhen_command = ['${SET}']", "found a variable"),
        ("[services.main]\nwhen_command = 3", "expected the name of a program"),
        ("[services.a]\ncommand = 'a'\ndepends_on = ['main']", "there is no COMMAND"),
    ] {
        assert!(faults_of(text).contains(part), "{text}: {}", faults_of(text));
    }
}
