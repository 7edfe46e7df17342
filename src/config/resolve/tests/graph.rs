//! `depends_on` and `after`.

use crate::config::resolve::tests::*;
use crate::model::Condition;

fn edges(text: &str, of: usize) -> Vec<(u16, Option<Condition>, bool, bool)> {
    let (plan, faults) = plan_of(&[("t", text)], &[]);
    assert_eq!(faults, [""; 0], "{text}");
    let edges = &plan.services[of].rules.depends_on;
    edges.iter().map(|d| (d.on.0, d.condition, d.required, d.restart)).collect()
}

const TWO: &str = "[services.once]\ntype = 'oneshot'\ncommand = 'a'
    [services.well]\ncommand = 'a'\nhealthcheck = { tcp = 1 }
    [services.off]\ncommand = 'a'\nenabled = false
    [services.eager]\ncommand = 'a'\nrestart = 'always'
    [services.x]\ncommand = 'a'\n";

/// A oneshot with `when_missing` made its container refuse its second start.
#[test]
fn what_a_condition_keeps_from_starting_today_is_no_fault() {
    for condition in ["when_missing = '/there'", "when_exists = '/away'", "when_env = 'NO'"] {
        let text = format!(
            "[services.once]\ntype = 'oneshot'\ncommand = 'a'\n{condition}\n[services.x]\ncommand = 'a'\n"
        );
        for keys in ["depends_on = ['once']", "depends_on = { once = 'completed' }", "after = ['once']"] {
            assert_eq!(faults_of(&format!("{text}{keys}")), "", "{condition} {keys}");
        }
        let off = format!("{text}depends_on = ['once']")
            .replace(condition, &format!("{condition}\nenabled = false"));
        assert!(faults_of(&off).contains("is off (enabled is false)"), "{condition}");
    }
}

#[test]
fn a_dependency_says_what_it_waits_for() {
    use Condition::{Completed, Healthy, Started};
    for (keys, want) in [
        (
            "depends_on = ['once', 'well']",
            vec![(0, Some(Completed), true, false), (1, Some(Started), true, false)],
        ),
        ("depends_on = 'once'", vec![(0, Some(Completed), true, false)]),
        ("depends_on = { well = 'healthy' }", vec![(1, Some(Healthy), true, false)]),
        ("depends_on = { well = 'service_healthy' }", vec![(1, Some(Healthy), true, false)]),
        ("depends_on = { once = 'service_completed_successfully' }", vec![(0, Some(Completed), true, false)]),
        (
            "depends_on = { well = { condition = 'service_started', required = false, restart = true } }",
            vec![(1, Some(Started), false, true)],
        ),
        ("depends_on = { off = { required = false } }", vec![(2, Some(Started), false, false)]),
        ("after = ['well', 'off']", vec![(1, None, false, false), (2, None, false, false)]),
        ("depends_on = ['well']\nafter = ['well']", vec![(1, Some(Started), true, false)]),
    ] {
        assert_eq!(edges(&format!("{TWO}{keys}"), 4), want, "{keys}");
    }
}

#[test]
fn what_can_never_be_reached_is_a_fault() {
    for (keys, part) in [
        ("depends_on = ['onec']", "services.x.depends_on: \"onec\" is no service; did you mean \"once\"?"),
        ("after = ['x']", "services.x.after: \"x\" cannot wait for itself"),
        ("depends_on = ['well', 'well']", "is named twice"),
        ("depends_on = { eager = 'healthy' }", "\"eager\" has neither a healthcheck nor notify"),
        ("depends_on = { eager = 'completed' }", "\"eager\" never completes"),
        (
            "depends_on = ['off']",
            "\"off\" is off (enabled is false), so that this could never start; write off = { required = false }",
        ),
        ("depends_on = { well = 'helthy' }", "expected \"started\" or \"healthy\""),
        ("depends_on = { well = 3 }", "found an integer, expected a condition"),
        (
            "depends_on = { well = { conditoin = 'healthy' } }",
            "services.x.depends_on.well: unknown key \"conditoin\"; did you mean \"condition\"?",
        ),
        ("depends_on = [['a']]", "found an array, expected the name of a service"),
    ] {
        let faults = faults_of(&format!("{TWO}{keys}"));
        assert!(faults.contains(part), "{keys}: {faults}");
        assert_eq!(faults.lines().count(), 1, "{keys}: {faults}");
    }
}

#[test]
fn a_circle_is_told_once_with_its_way() {
    let text = "[services.a]\ncommand = 'a'\ndepends_on = ['b']\n[services.b]\ncommand = 'a'\nafter = ['c']
[services.c]\ncommand = 'a'\ndepends_on = ['a', 'd']\n[services.d]\ncommand = 'a'\ndepends_on = ['e']
[services.e]\ncommand = 'a'\ndepends_on = ['d']";
    let (_, faults) = plan_of(&[("t", text)], &[]);
    assert_eq!(
        faults,
        [
            "t:9:15: services.c: each would wait for the next: a -> b -> c -> a; drop one of these dependencies",
            "t:15:15: services.e: each would wait for the next: d -> e -> d; drop one of these dependencies",
        ]
    );
}

#[test]
fn a_chain_of_thousands_needs_no_stack() {
    let mut text = String::from("[services.s0]\ncommand = 'a'\ndepends_on = ['s4999']\n");
    for n in 1..5000 {
        text.push_str(&format!("[services.s{n}]\ncommand = 'a'\ndepends_on = ['s{}']\n", n - 1));
    }
    assert_eq!(faults_of(&text).lines().count(), 1);
}

/// Each of a chain of 20,000 in the order in which it is worst, and a COMMAND that waits for all of them, took the
/// square of the time.
#[test]
fn a_chain_of_twenty_thousand_takes_no_square_of_the_time() {
    let mut text = String::new();
    for n in 0..20_000 {
        text.push_str(&format!("[services.s{n}]\ncommand = 'a'\ndepends_on = ['s{}']\n", n + 1));
    }
    text.push_str("[services.s20000]\ncommand = 'a'\n");
    let begin = std::time::Instant::now();
    let (plan, faults) = plan_of(&[("t", &text)], &["app"]);
    assert_eq!(faults, [""; 0]);
    assert_eq!(plan.services[20_001].rules.depends_on.len(), 20_001);
    let told = crate::launch::explain::explain(None, &plan);
    assert!(told.starts_with("start order:\n   1. s20000 (daemon)\n   2. s19999"), "{}", &told[..60]);
    assert!(begin.elapsed() < std::time::Duration::from_secs(30), "{:?}", begin.elapsed());
}
