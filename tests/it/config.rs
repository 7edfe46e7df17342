//! What rinit says to a configuration, and that nothing is started from one that has a fault.

use crate::harness::{Ended, FILES, Init, Kind};

/// A service that would show that something was started.
const WITNESS: &str = "[services.witness]\ntype = \"oneshot\"\ncommand = \"touch /mnt/files/started\"\n";

/// Runs the faulty text behind a service that must not be started; the fault is at this line of it.
#[track_caller]
fn refused(text: &str) -> Ended {
    let run = Init::config(&format!("{WITNESS}{text}")).start();
    let directory = run.directory().to_owned();
    let started = move || directory.join("started").exists();
    let ended = run.end().expect(78);
    assert!(!started(), "it was started all the same\n{}", ended.story());
    ended
}

/// The place of a fault, `line` counted from the end of [`WITNESS`].
fn place(line: usize, column: usize) -> String {
    format!("rinit.toml:{}:{column}", WITNESS.lines().count() + line)
}

/// The key was mistyped: its place, the line itself, and what was probably meant.
#[test]
fn a_mistyped_key_names_its_neighbour() {
    let ended = refused("[services.web]\ncomand = \"true\"\n");
    ended.tells(&[&place(2, 1), "comand", "\"command\"", "comand = \"true\""]);
}

/// One run tells all: somebody who mends one fault an attempt gives up.
#[test]
fn every_fault_is_told_at_once() {
    let text = r#"[services.web]
comand = "true"
restart = "allways"
stop_grace_period = "10"
stop_signal = "SIGTREM"
depends_on = ["cachee"]
umask = "0999"
[services.cache]
command = "true"
healthcheck = { tcp = 99999 }
[servces.typo]
command = "true"
"#;
    let ended = refused(text);
    for (line, column, word) in [
        (2, 1, "comand"),
        (3, 11, "allways"),
        (4, 21, "10"),
        (5, 15, "SIGTREM"),
        (6, 15, "cachee"),
        (7, 9, "0999"),
        (10, 23, "99999"),
        (11, 2, "servces"),
    ] {
        assert!(ended.err.contains(&place(line, column)), "not at {line}:{column}\n{}", ended.story());
        assert!(ended.err.contains(word), "nothing is said of `{word}`\n{}", ended.story());
    }
    for neighbour in ["always", "TERM", "cache", "services"].map(|word| format!("\"{word}\"")) {
        assert!(ended.err.contains(&neighbour), "`{neighbour}` was meant\n{}", ended.story());
    }
}

/// Nobody reads thousands: the first hundred are told, and how many more there are.
#[test]
fn of_many_faults_the_first_are_told() {
    let text: String = (0..50_000).map(|n| format!("[checks.file.\"x{n}\"]\n")).collect();
    let ended = Init::config(&text).args(&["--validate"]).run().expect(78);
    let ended =
        ended.tells(&["rinit.toml:100:", "and 49900 more faults", "50000 faults in the configuration"]);
    assert_eq!(ended.err.lines().count(), 302);
}

/// All of all files, in one run.
#[test]
fn faults_of_every_file_are_told() {
    let launch = Init::RINIT.launch().args(&["--config", &format!("{FILES}/conf.d")]);
    let launch = launch.file("conf.d/10-a.toml", "[services.a]\ncomand = \"true\"\n");
    let launch = launch.file("conf.d/20-b.toml", "[services.b]\ncommand = \"true\"\nrestrat = \"no\"\n");
    launch.run().expect(78).tells(&["10-a.toml:2:1", "20-b.toml:3:1"]);
}

/// What is not TOML is told where it stops to be, and the rest is read all the same.
#[test]
fn broken_syntax_has_a_place() {
    let ended = refused("[services.web]\ncommand = \"true\nrestart = \"no\"\n");
    ended.tells(&[&format!("rinit.toml:{}:", WITNESS.lines().count() + 2)]);
}

#[test]
fn a_wrong_type_says_what_was_expected() {
    refused("[services.web]\ncommand = 5\n").tells(&[&place(2, 11), "command"]);
    refused("[services.web]\ncommand = \"true\"\nessential = \"perhaps\"\n")
        .tells(&[&place(3, 13), "perhaps"]);
}

#[test]
fn a_service_without_a_command_is_a_fault() {
    refused("[services.web]\nrestart = \"no\"\n").tells(&["rinit.toml:", "web", "command"]);
}

#[test]
fn an_unknown_dependency_is_a_fault() {
    let ended = refused("[services.web]\ncommand = \"true\"\ndepends_on = [\"witnes\"]\n");
    ended.tells(&[&place(3, 15), "witnes", "witness"]);
}

/// Horust and others hang here without a word.
#[test]
fn a_cycle_is_named() {
    let text = "[services.a]\ncommand = \"true\"\ndepends_on = [\"b\"]\n[services.b]\ncommand = \"true\"\n\
                depends_on = [\"c\"]\n[services.c]\ncommand = \"true\"\ndepends_on = [\"a\"]\n";
    let ended = refused(text).tells(&["rinit.toml:"]);
    let circle = ["a", "b", "c"].iter().all(|name| ended.err.contains(name));
    assert!(circle, "{}", ended.story());
    refused("[services.a]\ncommand = \"true\"\ndepends_on = [\"a\"]\n").tells(&[&place(3, 15)]);
}

/// A dependency that can never be met.
#[test]
fn health_of_a_service_without_a_check_is_a_fault() {
    let text = "[services.db]\ncommand = \"true\"\n[services.web]\ncommand = \"true\"\ndepends_on = { db = \"healthy\" }\n";
    refused(text).tells(&["rinit.toml:", "db", "healthcheck"]);
}

/// A pair that can never act, and a list that asserts nothing.
#[test]
fn a_limit_that_can_never_act_is_a_fault() {
    let text =
        "[services.web]\ncommand = \"true\"\nrestart = \"no\"\nrestart_policy = { max_attempts = 3 }\n";
    refused(text).tells(&["max_attempts"]);
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let launch = Init::RINIT.launch().args(&["--config", "/nowhere/rinit.toml"]);
    launch.run().expect(78).tells(&["/nowhere/rinit.toml"]);
}

/// An empty string, no bytes, only a comment: nothing to run, which is said.
#[test]
fn an_empty_file_is_told() {
    for text in ["", "# nothing\n"] {
        let ended = Init::config(text).run();
        assert!([64, 78].contains(&ended.code()), "{}", ended.story());
        assert!(!ended.err.is_empty());
    }
}

/// A shell's operators in a command that no shell will see.
#[test]
fn a_command_line_for_a_shell_is_a_fault() {
    refused("[services.web]\ncommand = \"true && false\"\n").tells(&[&place(2, 11), "&&", "sh"]);
}

/// A container's own files, not rinit's words: bytes that are no UTF-8, a directory as a file, what cannot be read.
#[test]
fn what_is_no_configuration_is_told() {
    for path in ["/mnt/probe", "/proc/self/mem", "/etc"] {
        let ended = Init::RINIT.launch().args(&["--config", path]).run();
        assert!([64, 78].contains(&ended.code()), "{path}\n{}", ended.story());
    }
}

/// The line that is shown comes from a file that may be anything: it must neither command the terminal nor
/// fill the log.
#[test]
fn the_line_that_is_shown_is_harmless() {
    let long = "x".repeat(100_000);
    let text = format!("[services.web]\ncommand = \"true\"\n\u{1b}[2J\u{7}{long} = 1\n");
    let ended = Init::config(&text).run().expect(78).tells(&["rinit.toml:3:"]);
    let controls = ended.err.chars().filter(|c| c.is_control() && *c != '\n').count();
    assert_eq!(controls, 0, "control characters reach the terminal");
    assert!(ended.err.len() < 4096, "{} bytes for one fault", ended.err.len());
}

// ------------------------------------------------------------------------------ several files

/// A base image ships `10-base.toml`; the image on it adds `20-app.toml` and wins, table by table.
#[test]
fn later_files_win_table_by_table() {
    let base = "[services.web]\ntype = \"oneshot\"\ncommand = [\"sh\", \"-c\", \"echo $A $B\"]\n\
                environment = { A = \"base\", B = \"base\" }\n";
    let app = "[services.web]\nenvironment = { B = \"app\" }\n";
    let launch = Init::RINIT.launch().args(&["--config", &format!("{FILES}/conf.d")]);
    // Written in the other order; what is not `.toml` is not read.
    let launch = launch.file("conf.d/20-app.toml", app).file("conf.d/10-base.toml", base);
    let launch = launch.file("conf.d/30-off.toml.bak", "nonsense").file("conf.d/README", "nonsense");
    assert_eq!(launch.run().expect(0).out, "base app\n");
}

#[test]
fn several_files_may_be_named() {
    let launch = Init::RINIT.launch().file("b.toml", "[services.a]\nenvironment = { X = \"b\" }\n");
    let a = "[services.a]\ntype = \"oneshot\"\ncommand = [\"sh\", \"-c\", \"echo $X\"]\nenvironment = { X = \"a\" }\n";
    let launch = launch.file("a.toml", a).args(&["-c", "/mnt/files/a.toml", "-c", "/mnt/files/b.toml"]);
    assert_eq!(launch.run().expect(0).out, "b\n");
}

/// `RINIT_CONFIG` names the file where the command line does not.
#[test]
fn the_environment_may_name_the_file() {
    let text = "[services.a]\ntype = \"oneshot\"\ncommand = [\"echo\", \"found\"]\n";
    let launch = Init::RINIT.launch().file("x.toml", text).env("RINIT_CONFIG", "/mnt/files/x.toml");
    assert_eq!(launch.run().expect(0).out, "found\n");
}

// ------------------------------------------------------------------------------ expansion

#[test]
fn variables_are_expanded() {
    let config = r#"
        [services.a]
        type = "${KIND:-oneshot}"
        command = ["printf", "<%s>", "${NAME}", "${UNSET:-default}", "${EMPTY:-empty}", "${EMPTY-kept}", "$$HOME", "a${NAME}b"]
        run_timeout = "${SECONDS_:-5}s"
        essential = "${ESSENTIAL:-true}"
    "#;
    let launch = Init::config(config).env("NAME", "va lue").env("EMPTY", "");
    let ended = launch.run().expect(0);
    assert_eq!(ended.out, "<va lue><default><empty><><$HOME><ava lueb>", "{}", ended.story());
}

#[test]
fn an_unset_variable_without_default_is_a_fault() {
    refused("[services.web]\ncommand = [\"echo\", \"${NOT_SET}\"]\n").tells(&[&place(2, 20), "NOT_SET"]);
}

#[test]
fn a_variable_may_have_its_own_message() {
    let ended = refused("[services.web]\ncommand = [\"echo\", \"${DB_URL:?name your database}\"]\n");
    ended.tells(&["DB_URL", "name your database"]);
}

// ------------------------------------------------------------------------------ modes

#[test]
fn validate_runs_nothing() {
    let launch = || Init::config(WITNESS).args(&["--validate"]);
    let run = launch().start();
    let directory = run.directory().to_owned();
    run.end().expect(0);
    assert!(!directory.join("started").exists());
    let launch = Init::config("[services.web]\ncomand = \"true\"\n").args(&["--validate"]);
    launch.run().expect(78).tells(&["rinit.toml:2:1", "command"]);
}

/// What would be started, in what order, and how long a stop can take.
#[test]
fn explain_tells_order_and_bound() {
    let config = r#"
        [services.web]
        command = "web --port 80"
        depends_on = ["cache"]
        stop_grace_period = "7s"
        [services.cache]
        command = "cache"
        stop_grace_period = "4s"
    "#;
    let run = Init::config(config).args(&["--explain"]).start();
    let ended = run.end().expect(0);
    let at = |word: &str| ended.out.find(word).unwrap_or_else(|| panic!("no `{word}`\n{}", ended.story()));
    assert!(at("cache") < at("web"), "{}", ended.story());
    assert!(
        ended.out.contains("a stop takes at most 19s\n"),
        "both graces and their kills, one after the other, and the sweep's\n{}",
        ended.story()
    );
}

/// `RINIT_CONFIG` and options are the operator's; `-q` is silence where all is well.
#[test]
fn nothing_is_printed_where_all_is_well() {
    let ended = Init::RINIT.sh("exit 0").run().expect(0);
    assert_eq!(ended.err, "");
    let config = "[services.a]\ntype = \"oneshot\"\ncommand = \"true\"\n";
    assert_eq!(Init::config(config).args(&["-q"]).run().expect(0).err, "");
}

/// Facts of the container stand where a variable may, and a variable of that name stands above them.
#[test]
fn facts_of_the_container_can_be_named() {
    let text = "[services.main]\ncommand = [\"echo\", \"${RINIT_CPUS}/${RINIT_MEMORY}/${RINIT_ARCH}/${RINIT_SERVICE}\"]\n";
    let ended = Init::config(text).run().expect(0);
    let said: Vec<&str> = ended.out.trim().split('/').collect();
    let number = |n: usize| said[n].parse::<u64>().is_ok_and(|n| n > 0);
    assert!(number(0) && number(1) && !said[2].is_empty() && said[3] == "main", "{}", ended.story());
    Init::config(text)
        .env("RINIT_ARCH", "mine")
        .run()
        .expect(0)
        .tells(&[])
        .out
        .contains("/mine/")
        .then_some(())
        .unwrap();
}

/// A pipe in a file's place is read, when something comes out of it soon; what does not come is not waited for.
#[test]
fn a_pipe_does_not_hold_up_a_start() {
    let prepare = "mkfifo /mnt/files/rinit.toml /mnt/files/env /mnt/files/key";
    let shell = |then: &str| {
        let script = format!("{prepare}; {then}");
        Init { kind: Kind::Other, path: "/bin/sh" }.launch().args(&["-c", &script]).run()
    };
    let rinit = "exec /mnt/rinit --config /mnt/files/rinit.toml";
    shell(rinit).expect(78).tells(&["/mnt/files/rinit.toml is no file but a pipe"]);
    // Nobody writes into this one any more: it is an empty file.
    shell(": | exec /mnt/rinit --config /dev/stdin --validate").expect(0);
    let service = "[services.app]\\ncommand = \"echo started\"\\nrestart = \"no\"\\n";
    let feed = format!("{{ sleep 0.3; printf '{service}'; }} >/mnt/files/rinit.toml &");
    assert_eq!(shell(&format!("{feed} {rinit}")).expect(0).out, "started\n");
    for (key, text) in [
        ("env_file = \"/mnt/files/env\"", "env_file"),
        ("healthcheck = { exec = \"/mnt/files/env\" }", "started"),
        ("[checks.env.KEY]\\nfile = true", "cannot be read: nothing comes out of this pipe"),
    ] {
        let config = format!("printf '%b' '{service}{key}\\n' >/mnt/files/c.toml; chmod 755 /mnt/files/env");
        let ended =
            shell(&format!("{config}; KEY_FILE=/mnt/files/key exec /mnt/rinit --config /mnt/files/c.toml"));
        assert!([ended.out.as_str(), &ended.err].concat().contains(text), "{}", ended.story());
    }
}
