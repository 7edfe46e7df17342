mod faults;
mod graph;
mod keys;
mod main;
mod prepared;
mod replicas;
mod schedule;

use crate::config::Off;
use crate::config::read::interpolate::StartFacts;
use crate::config::resolve::*;
use crate::config::source::files::{Io, load};
use crate::model::{HealthRules, Restart};
use std::io;

/// Files of a test, by path.
fn read(files: &[(&str, &str)]) -> (Files, Vec<Diagnostic>) {
    let read = |path: &str| {
        let known = files.iter().find(|(name, _)| *name == path);
        known.map(|(_, text)| text.as_bytes().to_vec()).ok_or(io::Error::from(io::ErrorKind::NotFound))
    };
    let list = |_: &str| Err(io::Error::from(io::ErrorKind::NotFound));
    let paths: Vec<String> = files.iter().map(|(name, _)| (*name).to_string()).collect();
    let mut faults = Vec::new();
    let files = load(&paths, None, &Io { read: &read, list: &list, why: &|_, _| String::new() }, &mut faults)
        .expect("files");
    (files, faults)
}

fn variable(name: &str) -> Option<String> {
    match name {
        "SET" => Some("value".into()),
        "EMPTY" => Some(String::new()),
        "THREE" => Some("3".into()),
        _ => None,
    }
}

fn plan_of(files: &[(&str, &str)], command: &[&str]) -> (Plan, Vec<String>) {
    let (files, mut faults) = read(files);
    let later = ["SOON".to_string()];
    let read = |path: &str| match path {
        "/ok.env" | "/etc/ok.env" => Ok("# c\nA=1\nexport B=\"${A}2\\n\"\nC='$x' # y\nSET\n".to_string()),
        "/bad.env" => Ok("A=1\nB B=2\nC='open\n".to_string()),
        _ => Err("does not exist".to_string()),
    };
    let scope = Scope {
        variable: &variable,
        exists: &|path| path == "/there",
        read: &read,
        later: &later,
        start: StartFacts { zone_file: schedule::zone_file, ..StartFacts::default() },
    };
    let command: Vec<CString> = command.iter().map(|word| CString::new(*word).expect("no NUL")).collect();
    let plan = resolve(Some(&files), &scope, &command, &mut faults);
    let told = faults.iter().map(|fault| match fault.at {
        Some(at) => {
            let (name, line, column) = files.sources.place(at);
            format!("{name}:{line}:{column}: {}", fault.message)
        }
        None => fault.message.clone(),
    });
    (plan, told.collect())
}

#[test]
fn every_example_resolves_without_a_fault() {
    let examples = [
        include_str!("../../../../config-examples/checks.toml"),
        include_str!("../../../../config-examples/quickstart.toml"),
        include_str!("../../../../config-examples/web-and-cache.toml"),
        include_str!("../../../../config-examples/linked-web.toml"),
        include_str!("../../../../config-examples/main-beside-services.toml"),
        include_str!("../../../../config-examples/nginx-templates.toml"),
        include_str!("../../../../config-examples/node-service.toml"),
        include_str!("../../../../config-examples/puid-and-pgid.toml"),
        include_str!("../../../../config-examples/redis.toml"),
        include_str!("../../../../config-examples/scheduled-jobs.toml"),
        include_str!("../../../../config-examples/worker-with-restart-policy.toml"),
    ];
    for text in examples {
        let (_, faults) = plan_of(&[("example.toml", text)], &[]);
        assert_eq!(faults, [""; 0], "{text}");
        let (plan, faults) = plan_of(&[("example.toml", text)], &["app"]);
        assert_eq!(faults, [""; 0], "{text}");
        assert!(plan.whole.main.is_some());
    }
}

/// The one service `x` of a body of keys, which must be without a fault.
fn service(body: &str) -> Service {
    let text = format!("[services.x]\n{body}");
    let (plan, faults) = plan_of(&[("t", &text)], &[]);
    assert_eq!(faults, [""; 0], "{body}");
    plan.services.into_iter().next().expect("a service")
}

/// The faults of a body of keys, without their place.
fn faults_of(text: &str) -> String {
    let (_, faults) = plan_of(&[("t", text)], &[]);
    let cut = |fault: &String| fault.split_once(": ").map_or("", |(_, message)| message).to_string();
    faults.iter().map(cut).collect::<Vec<_>>().join("\n")
}
