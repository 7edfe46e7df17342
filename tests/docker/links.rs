//! The start-up script that looks for a linked container "web", or else for `WEB_HOST`, as data.

use crate::engine::{Container, run};
use crate::images::{Config, RINIT, debian, scratch};

const EXAMPLE: &str = "linked-web.toml";
const TELL: [&str; 4] = ["--", "sh", "-c", "echo web is at $WEB_HOST"];

/// A container that a link finds something in: it exposes port 80.
fn web() -> Container {
    let server = ["-f", "-p", "80", "-h", "/"];
    Container::start(&["--expose=80", "--entrypoint=/bin/httpd"], scratch(), &server)
}

#[test]
fn a_linked_container_is_found_and_told() {
    let web = web();
    let config = Config::example(EXAMPLE);
    let ran = run(&[&format!("--link={}:web", web.name), &config.mount], debian(), &TELL);
    assert_eq!((ran.code, ran.out.as_str()), (0, "web is at web\n"), "{ran:?}");
    assert!(!ran.err.contains("WEB_HOST"), "nothing to complain about: {ran:?}");
}

/// What was set by hand is what its user wants; that it hides a link is worth a word.
#[test]
fn a_variable_beside_the_link_wins_with_a_warning() {
    let web = web();
    let config = Config::example(EXAMPLE);
    let link = format!("--link={}:web", web.name);
    let ran = run(&[&link, "--env=WEB_HOST=other", &config.mount], debian(), &TELL);
    assert_eq!((ran.code, ran.out.as_str()), (0, "web is at other\n"), "{ran:?}");
    assert!(ran.err.contains("WEB_HOST") && ran.err.contains("overrid"), "a warning: {ran:?}");
}

#[test]
fn the_variable_alone_will_do() {
    let config = Config::example(EXAMPLE);
    let ran = run(&["--env=WEB_HOST=example.org", &config.mount], debian(), &TELL);
    assert_eq!((ran.code, ran.out.as_str()), (0, "web is at example.org\n"), "{ran:?}");
}

/// Neither: the command is not run, and the message names both ways to mend it.
#[test]
fn neither_is_a_failure_that_names_both() {
    let config = Config::example(EXAMPLE);
    let ran = run(&[&config.mount], debian(), &TELL);
    assert_eq!((ran.code, ran.out.as_str()), (69, ""), "{ran:?}");
    for part in ["where web is", "WEB_HOST", "link a container as web"] {
        assert!(ran.err.contains(part), "no {part:?} in\n{}", ran.err);
    }
}

/// The same where there is no /etc at all, by `--exec`: no rinit stays behind.
#[test]
fn a_link_is_found_from_scratch_and_under_exec() {
    let web = web();
    let config = Config::example(EXAMPLE);
    let link = format!("--link={}:web", web.name);
    let script = "echo $WEB_HOST; cat /proc/1/comm; exit 0";
    let options = [link.as_str(), &config.mount, &format!("--entrypoint={RINIT}")];
    let ran = run(&options, scratch(), &["--exec", "--", "sh", "-c", script]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "web\nsh\n"), "{ran:?}");
}

/// Beside the shell script that it replaces: the same outcome with and without the link, with the variable unset,
/// empty and set.
#[test]
fn the_same_outcomes_as_the_script_that_it_replaces() {
    let web = web();
    let config = Config::example(EXAMPLE);
    let link = format!("--link={}:web", web.name);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/docker/linked_web.sh");
    let script = format!("--volume={script}:/start.sh:ro");
    for linked in [&[][..], &[link.as_str()]] {
        for variable in [&[][..], &["--env=WEB_HOST="], &["--env=WEB_HOST=other"]] {
            let given = [linked, variable].concat();
            let ours = run(&[&given[..], &[&config.mount]].concat(), debian(), &TELL);
            let options = [&given[..], &[&script, "--entrypoint=/start.sh"]].concat();
            let theirs = run(&options, debian(), &TELL[1..]);
            assert_eq!((ours.code, &ours.out), (theirs.code, &theirs.out), "{given:?}: {ours:?} {theirs:?}");
            assert_eq!(ours.err.is_empty(), theirs.err.is_empty(), "{given:?}: {ours:?} {theirs:?}");
        }
    }
}
