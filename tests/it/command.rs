//! The COMMAND beside services.

use crate::harness::Init;

#[test]
fn the_command_starts_after_the_services_and_ends_them() {
    let config = r#"
        [services.migrate]
        type = "oneshot"
        command = ["sh", "-c", "sleep 0.1; echo migrated"]
        [services.cache]
        command = "/mnt/probe serve cache 50"
    "#;
    for pid_1 in [true, false] {
        let command = "while ! grep -q serve /proc/*/cmdline; do :; done; echo command; exit 5";
        let ended = Init::config(config).sh(command).pid_1(pid_1).run().expect(5);
        let out: Vec<_> = ended.out.lines().filter(|line| *line != "cache up").collect();
        assert_eq!(out.first(), Some(&"migrated"), "{}", ended.story());
        assert_eq!(out.get(1), Some(&"command"), "{}", ended.story());
        assert!(ended.left.is_empty(), "left over: {:#?}", ended.left);
    }
}

/// TERM goes to the command first; its end is what stops the services, and its code is the container's.
#[test]
fn term_reaches_the_command_beside_services() {
    let config = "[services.cache]\ncommand = \"/mnt/probe serve cache\"";
    let run = Init::config(config)
        .sh("trap 'echo told; exit 6' TERM; echo ready; while :; do sleep 0.01; done")
        .start();
    run.wait_for("ready\n");
    run.wait_for("cache up");
    let ended = run.stops_at_once().expect(6);
    let told = ended.out.find("told").unwrap();
    assert!(told < ended.out.find("cache down").unwrap(), "{}", ended.story());
}

/// The command inherits all, beside services too: only services start clean.
#[test]
fn the_command_beside_services_inherits_descriptors() {
    let (_read, write) = std::io::pipe().unwrap();
    let config = "[services.cache]\ncommand = \"/mnt/probe serve cache\"";
    let run = Init::config(config).command(&["/mnt/probe", "report"]).fd(write.into(), 7).start();
    let ended = run.end().expect(0);
    assert!(ended.out.contains("fds=[0, 1, 2, 7]"), "{}", ended.story());
}

#[test]
fn the_file_may_describe_the_command() {
    let config = r#"
        [services.main]
        command = ["printf", "<%s>"]
        umask = "0077"
    "#;
    assert_eq!(Init::config(config).run().expect(0).out, "<>");
    // Arguments that begin with an option belong to it.
    assert_eq!(Init::config(config).command(&["-x", "y"]).run().expect(0).out, "<-x><y>");
    let ended = Init::config(config).command(&["sh", "-c", "umask"]).run().expect(0);
    assert_eq!(ended.out, "0077\n");
}
