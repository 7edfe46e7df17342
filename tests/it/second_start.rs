//! The second start: on the same volume, and in the same container. The first is the easy one.

use crate::harness::Init;

/// What is done once on a volume, and what needs it.
const ONCE: &str = r#"
[services.once]
type = "oneshot"
command = ["sh", "-c", "echo once ran; touch /mnt/files/DONE"]
when_missing = "/mnt/files/DONE"

[services.job]
type = "oneshot"
command = ["echo", "job ran"]
depends_on = ["once"]
"#;

/// A oneshot with `when_missing` that others depend on worked once; after it the container refused to start (78).
#[test]
fn what_was_done_once_is_skipped_and_counts_as_done() {
    let ended = Init::config(ONCE).run().expect(0);
    assert_eq!(ended.out, "once ran\njob ran\n", "{}", ended.story());
    let ended = Init::config(ONCE).file("DONE", "").run().expect(0);
    assert_eq!(ended.out, "job ran\n", "{}", ended.story());
}

/// c after b after a, b skipped: c still waits for a, at the start and at the stop.
#[test]
fn order_holds_through_a_service_that_is_skipped() {
    for (b, c) in [("depends_on", "depends_on"), ("after", "after"), ("depends_on", "after")] {
        let text = format!(
            r#"
[services.c]
command = ["sh", "-c", "trap 'sleep 0.2; echo c down; exit 0' TERM; echo c up; while :; do sleep 0.05; done"]
{c} = ["b"]

[services.b]
command = ["sh", "-c", "echo b up"]
when_env = "NONE"
{b} = ["a", "before"]

[services.a]
command = ["sh", "-c", "trap 'echo a down; exit 0' TERM; echo a up; while :; do sleep 0.05; done"]

[services.before]
type = "oneshot"
command = ["sh", "-c", "sleep 0.3; echo before done"]
"#
        );
        let run = Init::config(&text).start();
        run.wait_for("c up");
        let ended = run.stop().expect(0);
        let lines: Vec<&str> = ended.out.lines().filter(|line| *line != "a up").collect();
        assert_eq!(lines, ["before done", "c up", "c down", "a down"], "{}", ended.story());
    }
}

/// One that is off by `enabled = false` is another matter: somebody wrote both, and one of them is wrong.
#[test]
fn a_dependency_that_is_disabled_is_a_fault_unless_it_is_not_required() {
    let text = |depends_on| {
        format!(
            "[services.a]\ncommand = \"true\"\nenabled = false\n\
             [services.b]\ntype = \"oneshot\"\ncommand = [\"echo\", \"b ran\"]\ndepends_on = {depends_on}\n"
        )
    };
    Init::config(&text("[\"a\"]"))
        .run()
        .expect(78)
        .tells(&["rinit.toml:7:15: services.b.depends_on: \"a\" is off (enabled is false)"]);
    let ended = Init::config(&text("{ a = { required = false } }")).run().expect(0);
    assert_eq!(ended.out, "b ran\n", "{}", ended.story());
}
