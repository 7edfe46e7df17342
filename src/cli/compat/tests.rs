//! What each of the four accepts and rejects, like the originals.

use crate::cli::compat::*;
use crate::cli::{LogLevel, parse};

fn line(words: &[&str], env: &[(&str, &'static str)]) -> Result<Parsed, String> {
    let owned: Vec<CString> = words.iter().map(|word| CString::new(*word).expect("no NUL")).collect();
    let variable =
        |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_bytes());
    parse(&owned.iter().map(CString::as_c_str).collect::<Vec<_>>(), &variable)
}

fn run(words: &[&str]) -> Invocation {
    run_with(words, &[])
}

fn run_with(words: &[&str], env: &[(&str, &'static str)]) -> Invocation {
    match line(words, env) {
        Ok(Parsed::Run(invocation)) => invocation,
        other => panic!("{words:?}: {other:?}"),
    }
}

fn answered(words: &[&str]) -> Answer {
    match line(words, &[]) {
        Ok(Parsed::Answer(answer)) => answer,
        other => panic!("{words:?}: {other:?}"),
    }
}

fn command(invocation: &Invocation) -> Vec<&str> {
    invocation.command.iter().map(|word| word.to_str().expect("utf-8")).collect()
}

#[test]
fn the_name_tells_who_is_meant() {
    for (name, persona) in [
        ("/sbin/docker-init", Persona::Tini),
        ("tini", Persona::Tini),
        ("/usr/bin/tini-static", Persona::Tini),
        ("./dumb-init", Persona::DumbInit),
        ("dumb-init_1.2.5_x86_64", Persona::DumbInit),
        ("/usr/libexec/podman/catatonit", Persona::Catatonit),
        ("/run/podman-init", Persona::Catatonit),
        ("/sbin/rinit", Persona::Rinit),
        ("init", Persona::Rinit),
        ("/opt/tini/init", Persona::Rinit),
        ("", Persona::Rinit),
    ] {
        assert_eq!(Persona::of(name.as_bytes()), persona, "{name}");
    }
}

#[test]
fn tini_takes_its_own_options() {
    let asked = run(&["tini", "-gsvw", "-p", "SIGINT", "-e143", "-e", "7", "app", "x", "-v"]);
    assert!(asked.group && asked.subreaper && asked.warn_on_reap);
    assert_eq!(asked.pdeathsig, Some(Signal::INT));
    assert_eq!(asked.remap, [143, 7]);
    assert_eq!(asked.log_level, Some(LogLevel::Info));
    assert_eq!(command(&asked), ["app", "x", "-v"]);
    assert_eq!(asked.kill_after, Some(Duration::ZERO));
    assert_eq!(command(&run(&["tini", "--", "-x"])), ["-x"]);
    assert_eq!(run(&["tini", "x"]).log_level, Some(LogLevel::Warn));
}

#[test]
fn tini_reads_its_variables() {
    let env = [("TINI_SUBREAPER", ""), ("TINI_KILL_PROCESS_GROUP", "0"), ("TINI_VERBOSITY", "3")];
    let asked = run_with(&["tini", "-v", "x"], &env);
    assert!(asked.subreaper && asked.group);
    assert_eq!(asked.log_level, Some(LogLevel::Debug));
    assert_eq!(run_with(&["tini", "x"], &[("TINI_VERBOSITY", "no")]).log_level, Some(LogLevel::Error));
}

#[test]
fn tini_answers() {
    let version = answered(&["tini", "--version"]);
    assert!(version.fd == 1 && version.code == 0 && version.text.starts_with("tini version 0.19.0 - "));
    let help = answered(&["/sbin/docker-init", "-h"]);
    assert!(help.fd == 1 && help.code == 0, "{help:?}");
    assert!(
        help.text.starts_with("docker-init (tini version 0.19.0")
            && help.text.contains("\nUsage: docker-init ")
    );
    for words in
        [&["tini"][..], &["tini", "--"], &["tini", "-x"], &["tini", "--version", "x"], &["tini", "-p"]]
    {
        let usage = answered(words);
        assert!(usage.fd == 2 && usage.code == 1 && usage.text.contains("Usage: tini"), "{usage:?}");
    }
    assert!(answered(&["tini", "--foo"]).text.starts_with("tini: invalid option -- '-'\n"));
    for words in [&["tini", "-p", "FOO", "x"][..], &["tini", "-p", "15", "x"], &["tini", "-e", "256", "x"]] {
        assert!(line(words, &[]).is_err_and(|why| why.starts_with("Not a valid option for -")), "{words:?}");
    }
}

#[test]
fn dumb_init_takes_its_own_options() {
    let asked = run(&["dumb-init", "-r", "15:3", "--rewrite=1:0", "-r15:2", "--verb", "app", "-c"]);
    assert!(asked.session && asked.group);
    assert_eq!(asked.log_level, Some(LogLevel::Debug));
    assert_eq!(command(&asked), ["app", "-c"]);
    let to = |from| asked.rewrites.iter().find(|(known, _)| *known == from).map(|(_, to)| *to);
    assert_eq!(to(Signal::TERM), Some(Some(Signal::INT)));
    assert_eq!(to(Signal::HUP), Some(None));
    assert_eq!(to(Signal::TSTP), Some(Some(Signal::STOP)));
    for single in
        [run(&["dumb-init", "-c", "x"]), run_with(&["dumb-init", "x"], &[("DUMB_INIT_SETSID", "0")])]
    {
        assert!(!single.session && !single.group && single.rewrites.is_empty());
    }
    assert_eq!(run_with(&["dumb-init", "x"], &[("DUMB_INIT_DEBUG", "1")]).log_level, Some(LogLevel::Debug));
}

#[test]
fn dumb_init_answers() {
    assert!(answered(&["dumb-init", "--help"]).text.starts_with("dumb-init v1.2.5"));
    let version = answered(&["dumb-init", "-V"]);
    assert!(version.fd == 2 && version.code == 0 && version.text.starts_with("dumb-init v1.2.5"));
    for (words, text) in [
        (&["dumb-init"][..], "Usage: dumb-init [option] program [args]\n"),
        (&["dumb-init", "-r", "x", "y"], "Usage: -r option takes <signum>:<signum>"),
        (&["dumb-init", "-r", "32:1", "y"], "Usage: -r option takes"),
        (&["dumb-init", "-r", "0:1", "y"], "Usage: -r option takes"),
        (&["dumb-init", "-x"], "dumb-init: invalid option -- 'x'\n"),
        (&["dumb-init", "-r"], "dumb-init: option requires an argument -- 'r'\n"),
        (&["dumb-init", "--rewrite"], "dumb-init: option '--rewrite' requires an argument\n"),
        (&["dumb-init", "--ver"], "dumb-init: option '--ver' is ambiguous"),
        (&["dumb-init", "--foo"], "dumb-init: unrecognized option '--foo'\n"),
        (&["dumb-init", "--help=1"], "dumb-init: option '--help' doesn't allow an argument\n"),
    ] {
        let usage = answered(words);
        assert!(usage.fd == 2 && usage.code == 1 && usage.text.starts_with(text), "{usage:?}");
    }
}

#[test]
fn catatonit_takes_its_own_options() {
    let asked = run(&["catatonit", "app", "-g", "x", "--", "-V"]);
    assert!(asked.group && command(&asked) == ["app", "x", "-V"]);
    assert!(run(&["catatonit", "-P"]).pause);
    let version = answered(&["catatonit", "--vers"]);
    assert!(version.fd == 1 && version.text.starts_with("tini version 0.2.1_catatonit"));
    assert_eq!(answered(&["catatonit", "-h"]).code, 0);
    assert_eq!(answered(&["catatonit", "-x"]).code, 1);
    assert!(
        line(&["catatonit", "--"], &[]).is_err_and(|why| why.starts_with("missing program name\nusage: "))
    );
}

#[test]
fn the_variables_of_the_others_hold_for_rinit_too() {
    let env = [("TINI_KILL_PROCESS_GROUP", "1"), ("TINI_VERBOSITY", "4")];
    let asked = run_with(&["rinit", "x"], &env);
    assert!(asked.group && asked.persona == Persona::Rinit && asked.kill_after.is_none());
    assert_eq!(asked.log_level, Some(LogLevel::Trace));
    assert_eq!(run_with(&["rinit", "x"], &[("DUMB_INIT_DEBUG", "1")]).verbosity, 1);
    assert_eq!(run(&["rinit", "--kill-after", "off", "x"]).kill_after, Some(Duration::ZERO));
}
