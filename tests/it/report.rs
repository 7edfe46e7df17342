//! What rinit reports of its checks, to people and to programs; and what it never says: a secret.

use crate::harness::{Init, Launch, ms};
use std::time::{Duration, Instant};

const TWO: &str = "[checks.env.GOOD]\n[checks.env.BAD]\ntype = \"int\"\nhint = \"count it\"\n[checks.user]\nin_passwd = true\n";

fn checking(text: &str, words: &[&str]) -> Launch {
    Init::config(text).args(&["--check"]).args(words).env("GOOD", "x").env("BAD", "many")
}

/// Found, expected, what to do and where, under each other; what passed is one line, unless it is asked for.
#[test]
fn people_read_what_to_mend() {
    let ended = checking(TWO, &[]).run().expect(69);
    let wanted = "FAIL  env BAD: found \"many\"\n      expected an integer\n      count it\n      (";
    assert!(ended.out.starts_with(wanted), "{}", ended.story());
    assert!(ended.out.ends_with("rinit.toml:2)\nFAIL  1 of 3 checks failed\n"), "{}", ended.story());
    assert!(!ended.out.contains('\x1b'), "colours without a terminal");
    let ended = checking(TWO, &["-v"]).run().expect(69);
    assert!(ended.out.contains("ok    env GOOD: found \"x\"\n"), "{}", ended.story());
}

/// A program that reads the report may rely on its fields.
#[test]
fn json_keeps_its_fields() {
    let ended = checking(TWO, &["--format", "json"]).run().expect(69);
    assert!(ended.out.starts_with("{\"ok\":false,\"checks\":["), "{}", ended.story());
    for key in ["kind", "name", "status", "found", "expected", "hint", "file", "line"] {
        assert_eq!(ended.out.matches(&format!("\"{key}\":")).count(), 3, "{key}: {}", ended.story());
    }
    let tap = checking(TWO, &["--format", "tap"]).run().expect(69);
    assert!(tap.out.contains("1..3\n") && tap.out.contains("not ok 2 - env BAD"), "{}", tap.story());
    let junit = checking(TWO, &["--format", "junit"]).run().expect(69);
    assert!(junit.out.contains("tests=\"3\" failures=\"1\""), "{}", junit.story());
}

/// In the build of an image, only what can hold there is looked at.
#[test]
fn some_checks_can_be_picked() {
    checking(TWO, &["--only", "user,GOOD"]).run().expect(0);
    checking(TWO, &["--skip", "env.BAD"]).run().expect(0);
    checking(TWO, &["--only", "env"]).run().expect(69);
    checking(TWO, &["--only", "usr"]).run().expect(64).tells(&["usr", "did you mean \"user\"?"]);
    checking(TWO, &["--only", ""]).run().expect(64).tells(&["--only \"\": no check has this kind or name"]);
}

/// What is recorded here holds here.
#[test]
fn a_record_describes_the_container() {
    let recorded = Init::config("").args(&["--record"]).env("TOKEN", "hunter2").run().expect(0);
    assert!(
        recorded.out.contains("[checks.env.TOKEN]") && !recorded.out.contains("hunter2"),
        "{}",
        recorded.story()
    );
    let again = Init::config(&recorded.out).args(&["--check"]).env("TOKEN", "other").run();
    assert_eq!(again.code(), 0, "{}{}", recorded.out, again.story());
}

#[test]
fn variables_are_documented() {
    let text = "[checks.env.PORT]\ntype = \"port\"\ndefault = 80\ndescription = \"where it listens\"\n";
    let ended = Init::config(text).args(&["--env-docs"]).run().expect(0);
    assert!(
        ended.out.contains("| `PORT` | no | `80` | where it listens; a port, 1 to 65535 |"),
        "{}",
        ended.story()
    );
}

/// Somebody who watches a start sees what it waits for, and a stop need not wait with it.
#[test]
fn a_wait_is_told_and_ends_at_a_stop() {
    let run = Init::config("[checks.file.\"/mnt/files/never\"]\nwait = \"30s\"\n").sh("exit 0").start();
    run.wait_for_err("waiting for file /mnt/files/never");
    let begin = Instant::now();
    run.signal(libc::SIGTERM);
    run.end().expect(143);
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
}

/// Independent waits stand beside each other.
#[test]
fn twenty_waits_take_as_long_as_one() {
    let checks: String = (0..20)
        .map(|n| format!("[checks.file.f{n}]\npath = \"/mnt/files/none{n}\"\nwait = \"2s\"\n"))
        .collect();
    let begin = Instant::now();
    Init::config(&checks).args(&["--check"]).run().expect(69);
    assert!((ms(1900)..ms(3500)).contains(&begin.elapsed()), "{:?}", begin.elapsed());
}

/// One that holds at once spares a group the wait for the others.
#[test]
fn a_group_waits_only_while_none_holds() {
    let checks = "[checks.file.\"/none\"]\nwait = \"30s\"\nany_of = \"x\"\n[checks.env.A]\nany_of = \"x\"";
    let begin = Instant::now();
    Init::config(checks).env("A", "1").args(&["--check"]).run().expect(0);
    assert!(begin.elapsed() < ms(15_000), "{:?}", begin.elapsed());
}

/// What rinit may be asked for, each of which speaks.
const ASKED: [&[&str]; 11] = [
    &["--check"],
    &["--check", "-v"],
    &["--check", "--format", "json"],
    &["--check", "--format", "tap"],
    &["--check", "--format", "junit"],
    &["--explain"],
    &["--validate"],
    &["--env-docs"],
    &["--record"],
    &["-vv"],
    &["-vv", "--log-format", "json"],
];

const SECRET: &str = "hunter2-tr0ub4dor";
const OLD: &str = "correct-horse";

/// Not even in part, whatever it looks like; nor for its length, of which a line shows a part.
#[test]
fn no_part_of_a_secret_is_said() {
    let long = "0123456789".repeat(28);
    let lines = "first-of-all\nsecond-of-all\nthird-of-all";
    for secret in ["hunter:mid@longtail", "a-key=of-mine&b-other", long.as_str(), lines] {
        let config = format!(
            "[checks.file.\"/etc/passwd\"]\ncontains = [\"{}\", \"${{TOKEN}}\"]\n\
             [checks.exec.x]\ncommand = [\"sh\", \"-c\", \"echo \\\"$TOKEN\\\" >&2; exit 1\"]\n\
             [checks.env.MODE]\none_of = [\"${{TOKEN}}\", \"x\"]\nhint = \"not ${{TOKEN}}\"\n\
             [checks.env.TOKEN]\nsecret = true\n",
            "x".repeat(200)
        );
        for words in &ASKED[..6] {
            let ended = Init::config(&config).args(words).env("TOKEN", secret).env("MODE", "y").run();
            let said = [ended.out.as_str(), &ended.err].concat();
            let parts = ["hunter", "longtail", "of-mine", "b-other", "0123456789", "of-all"];
            assert!(!parts.iter().any(|part| said.contains(part)), "{}", ended.story());
        }
    }
}

/// What was given as it is, though it might have come from a file, is no secret: it is in many an innocent line.
#[test]
fn what_is_no_secret_is_said() {
    let config =
        "[checks.env.DB_HOST]\nfile = true\n[services.postgres]\ncommand = \"false\"\nrestart = \"no\"\n";
    let ended = Init::config(config).env("DB_HOST", "postgres").run();
    ended.tells(&["postgres: exited with code 1"]);
}

/// The values that the file allows or forbids were hidden as the secret was: "expected one of ***", and "app" in every line.
#[test]
fn the_words_of_the_file_are_no_secret() {
    let config = "[checks.env.KIND]\nsecret = true\none_of = [\"alpha\", \"service\"]\n\
                  [checks.env.PASS]\nsecret = true\nnot_in = [\"changeme\", \"postgres\"]\n";
    let run = |kind, pass| Init::config(config).args(&["--check"]).env("KIND", kind).env("PASS", pass).run();
    let ended = run("omega-9", "changeme").expect(69);
    for part in ["one of \"alpha\" or \"service\"", "\"alpha\"", "other than", "\"changeme\"", "\"postgres\""]
    {
        let said = [ended.out.as_str(), &ended.err].concat();
        assert!(said.contains(part) || part.starts_with("one of"), "{part}\n{}", ended.story());
        assert!(!said.contains("***") && !said.contains("omega-9"), "{}", ended.story());
    }
    Init::config(config).args(&["--explain"]).env("KIND", "alpha").run().expect(0);
    let services = format!("{config}[services.postgres]\ncommand = \"false\"\nrestart = \"no\"\n");
    let ended = Init::config(&services).env("KIND", "service").env("PASS", "other").run().expect(1);
    ended.tells(&["postgres: exited with code 1"]);
}

/// Wherever rinit speaks, a secret is not in what it says: whatever key it stands in, whatever else holds it.
#[test]
fn a_secret_is_said_nowhere() {
    // That each is a failure, or a fault, is what makes rinit speak of it.
    for checks in [
        "[checks.env.KEY]\nsecret = true\nfile = true\ntype = \"int\"",
        "[checks.env.KEY]\nfile = true\ntype = \"int\"",
        "[checks.env.WORD]\nsecret = true\nprefix = \"x\"\nexport = \"COPY\"",
        "[checks.env.WORD]\nsecret = true\nnot_in = [\"x\", \"${WORD}\", \"${OLD}\"]",
        "[checks.env.WORD]\nsecret = true\none_of = [\"${OLD}\"]",
        "[checks.env.NONE]\nsecret = true\none_of = [\"${OLD}\", \"${WORD}\"]",
        "[checks.env.WORD]\nsecret = true\nprefix = \"${OLD}\"",
        "[checks.env.WORD]\nsecret = true\nsuffix = \"${OLD}\"",
        "[checks.env.WORD]\nsecret = true\npattern = \"${OLD}\"",
        "[checks.env.WORD]\nsecret = true\npattern = \"${OLD}(\"",
        "[checks.env.WORD]\nsecret = true\nunset = true",
        "[checks.env.WORD]\nsecret = true\nrequires = \"NONE\"\ndeprecated = \"not ${WORD}\"",
        "[checks.env.NEW]\nsecret = true\nrenamed_from = \"WORD\"\ntype = \"int\"",
        "[checks.env.NONE]\nsecret = true\ndefault = \"correct-horse\"\n[checks.env.NEXT]\nhint = \"correct-horse\"",
        "[checks.env.NONE]\nsecret = true\ndefault = \"correct-horse\"\ntype = \"int\"",
        "[checks.env.NONE]\nsecret = true\ndefault = \"correct-horse\"\nexport = \"OUT\"",
        "[checks.env.\"*\"]\nprefix = \"WO\"\nhint = \"${WORD}\"\n[checks.env.WORD]\nsecret = true\nexample = \"${WORD}\"",
        // Other checks that happen to hold it.
        "[checks.file.\"/run/${WORD}\"]\n[checks.env.WORD]\nsecret = true",
        "[checks.exec.say]\ncommand = [\"sh\", \"-c\", \"echo $WORD; echo $WORD >&2; exit 1\"]\n[checks.env.WORD]\nsecret = true",
        "[checks.exec.say]\ncommand = [\"sh\", \"-c\", \"echo $WORD\"]\nmatches = \"${OLD}\"\n[checks.env.OLD]\nsecret = true\n[checks.env.WORD]\nsecret = true",
        "[checks.exec.say]\ncommand = [\"sh\", \"-c\", \"echo $WORD\"]\nsecret = true\nexport = \"SAID\"\n[checks.exec.again]\ncommand = [\"sh\", \"-c\", \"cat /mnt/files/key >&2; exit 1\"]",
        "[checks.http.web]\nurl = \"http://127.0.0.1:9/${WORD}?x=${OLD}\"\ncontains = \"${WORD}\"\n[checks.env.WORD]\nsecret = true",
        "[checks.env.BOTH]\ntype = \"int\"\n[checks.env.WORD]\nsecret = true",
        "[checks.env.WORD]\nsecret = true\n[checks.user]\nname = \"${WORD}\"\nas_user = \"${WORD}\"\nany_of = \"${WORD}\"",
        "[checks.env.WORD]\nsecret = true\n[checks.file.\"/none\"]\nwait = \"1200ms\"\nhint = \"look for ${WORD}\"",
        // What is not a check.
        "[checks.env.WORD]\nsecret = true\n[services.${WORD}]\ncommand = \"x\"",
        "[checks.env.WORD]\nsecret = true\n[services.b]\ncommand = \"/none/${WORD}\"\nrestart = \"no\"",
        "[checks.env.WORD]\nsecret = true\n[services.b]\ncommand = [\"${WORD} x\"]\nrestart = \"no\"",
        "[checks.env.WORD]\nsecret = true\n[services.b]\ncommand = \"true\"\nuser = \"${WORD}\"\nrestart = \"no\"",
        "[checks.env.WORD]\nsecret = true\n[services.b]\ncommand = \"true\"\nworking_dir = \"/${WORD}\"\nrestart = \"no\"",
        "[checks.env.WORD]\nsecret = true\n[services.b]\ncommand = \"true\"\nenv_file = \"/${WORD}\"\nrestart = \"no\"",
        "[checks.env.WORD]\nsecret = true\n[services.b]\ncommand = \"true\"\nstart_timeout = \"${WORD}\"",
        "[checks.env.WORD]\nsecret = true\n[services.b]\ncommand = \"true\"\ndepends_on = \"${WORD}\"",
    ] {
        let config = format!(
            "{checks}\n[services.app]\ncommand = [\"sh\", \"-c\", \"exit 3\"]\nrestart = \"no\"\n\
             environment = {{ A = \"${{WORD}}\" }}\n"
        );
        for words in ASKED {
            let launch = Init::config(&config).args(words).file("key", &format!("{SECRET}\n"));
            let launch = launch.env("KEY_FILE", "/mnt/files/key").env("WORD", SECRET).env("OLD", OLD);
            let ended = launch.env("BOTH", &format!("{SECRET}, {OLD}")).run();
            let said = [ended.out.as_str(), &ended.err].concat();
            assert!(!said.is_empty() && !said.contains(SECRET), "{}", ended.story());
            // The old one is no secret where only its variable holds it.
            let names_it =
                !checks.contains("OLD]") && (checks.contains("BOTH") || checks.contains("x=${OLD}"));
            let documents_it = checks.contains("NEXT]") && words[0] == "--explain";
            assert!(names_it || documents_it || !said.contains(OLD), "{}", ended.story());
        }
    }
}
