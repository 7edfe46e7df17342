//! What ended a program before its time, for every way, in words that mend: a signal of its own, a script that sh ran
//! because it does not say who is to, a line that only a shell understands, arguments that the kernel does not take, the
//! want of memory. The line to write that is told is written, and then the program runs.

use crate::harness::{Init, Launch, needs_root};

fn service(command: &str, keys: &str) -> String {
    format!("[services.web]\nrestart = \"no\"\ncommand = {command}\n{keys}")
}

fn plain() -> Launch {
    Init::RINIT.launch()
}

// ------------------------------------------------------------------------------ signals

/// "killed by SIGBUS" told nobody that /dev/shm was full.
#[test]
fn a_signal_of_its_own_is_named_and_what_usually_causes_it() {
    for (signal, words) in [
        ("ILL", "this processor does not have"),
        ("TRAP", "a breakpoint"),
        ("ABRT", "an assertion"),
        ("BUS", "/dev/shm is full"),
        ("FPE", "a division by zero"),
        ("SEGV", "memory that is not its own"),
        ("XCPU", "ulimit cpu"),
        ("XFSZ", "ulimit fsize"),
        ("SYS", "seccomp profile"),
    ] {
        let told = format!("killed by SIG{signal}, and not by rinit: ");
        let config = service(&format!("[\"sh\", \"-c\", \"kill -{signal} $$$$\"]"), "");
        let launch = Init::config(&config).limit(libc::RLIMIT_CORE, 0);
        let ended = launch.run().tells(&[&format!("rinit: web: {told}"), words]);
        assert!(ended.code() > 128, "{}", ended.story());
        // The one command, of which rinit says nothing when all is well.
        let command = Init::RINIT.sh(&format!("kill -{signal} $$")).limit(libc::RLIMIT_CORE, 0);
        let ended = command.run().tells(&[&format!("rinit: {told}"), words]);
        assert_eq!(ended.err.lines().count(), 1, "{}", ended.story());
        // A shell in between, whose code is all there is.
        let script = format!("sh -c 'kill -{signal} $$'; exit $?");
        let ended = Init::RINIT.sh(&script).limit(libc::RLIMIT_CORE, 0).run();
        ended.tells(&[&format!("as a shell does whose program was killed by SIG{signal}: "), words]);
    }
}

/// Who is ended by what rinit was to pass on, or by a signal that is no fault, was not ended early.
#[test]
fn a_signal_that_was_meant_is_not_told() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGABRT] {
        let run = Init::RINIT.sh("echo up; while :; do sleep 0.01; done").limit(libc::RLIMIT_CORE, 0).start();
        run.wait_for("up");
        run.signal(signal);
        let ended = run.end().expect(128 + signal);
        assert_eq!(ended.err, "", "{}", ended.story());
    }
    for signal in ["TERM", "HUP", "USR1", "PIPE", "KILL"] {
        let ended = Init::RINIT.sh(&format!("kill -{signal} $$")).run();
        assert_eq!(ended.err, "", "{}", ended.story());
    }
    // Nor where the configuration says that it is a success.
    let config = service(
        "[\"sh\", \"-c\", \"kill -SEGV $$$$\"]",
        "success_exit_codes = [\"SIGSEGV\"]\ntype = \"oneshot\"",
    );
    let ended = Init::config(&config).limit(libc::RLIMIT_CORE, 0).run();
    assert!(!ended.err.contains("not by rinit"), "{}", ended.story());
}

/// It is told once, however often the service is started again.
#[test]
fn a_signal_is_explained_once_a_service() {
    let config = "[services.web]\nrestart = \"on-failure:3\"\nrestart_policy = { delay = \"0s\" }\ncommand = [\"sh\", \"-c\", \"kill -ILL $$$$\"]";
    let ended = Init::config(config).limit(libc::RLIMIT_CORE, 0).run();
    assert_eq!(ended.err.matches("and not by rinit").count(), 1, "{}", ended.story());
}

#[test]
fn a_kill_by_hand_of_a_service() {
    let ended = Init::config(&service("[\"sh\", \"-c\", \"kill -KILL $$$$\"]", "")).run().expect(137);
    ended.tells(&["web: killed by SIGKILL, and neither by rinit nor for the container's memory limit"]);
}

// ------------------------------------------------------------------------------ shells

/// A script of bash without a first line is run by sh, as every shell does it, and fails at what sh does not know.
#[test]
fn a_script_without_a_first_line_that_sh_cannot_run() {
    let script = "list=(a b)\necho \"${list[1]}\"\n";
    let told = "/mnt/files/run has no first line that names its interpreter, so that /bin/sh ran it";
    let launch = |text: &str| plain().file_with_mode("run", text, 0o755).command(&["/mnt/files/run"]);
    launch(script).run().tells(&[told, "begin it with", "#!/bin/bash"]);
    let with_line = launch(&["#!/bin/bash\n", script].concat()).run().expect(0);
    assert_eq!((with_line.out.as_str(), with_line.err.as_str()), ("b\n", ""));
    // Whatever it fails with.
    launch("exit 3\n").run().expect(3).tells(&[told]);
    assert_eq!(launch("exit 0\n").run().expect(0).err, "");
    let config = service("\"/mnt/files/run\"", "");
    let ended = Init::config(&config).file_with_mode("run", "exit 3\n", 0o755).run().expect(3);
    ended.tells(&["rinit: web: ", told]);
}

/// The line that is told, as a list of words.
#[track_caller]
fn told_line(err: &str) -> Vec<String> {
    let from = err.find(" [\"").map(|at| at + 2).unwrap_or_else(|| panic!("no line in {err}"));
    let list = &err[from..from + err[from..].find("\"]").expect("an end") + 1];
    let words = list.split("\", \"").map(|word| word.trim_matches('"').replace("\\\"", "\""));
    words.collect()
}

/// A shell line, `$NAME`, `FOO=x`, `exec` or a piece of a Dockerfile's list in place of a program: the line that is to
/// be written is told, for the one command and for a service, and works.
#[test]
fn what_only_a_shell_understands_is_told_with_the_line_to_write() {
    for (words, told, out) in [
        (&["exec", "/bin/echo", "a b"][..], "no shell runs, whose word this is; leave it out", "a b\n"),
        (&["cd", "/usr", "&&", "pwd"], "no shell runs, and cd is a word of the shell's", "/usr\n"),
        (&["cd /usr; pwd"], "no shell runs, and cd is a word of the shell's", "/usr\n"),
        (&["echo a | tr a b"], "no shell runs, and this is a line for one", "b\n"),
        (&["FOO=x", "sh", "-c", "echo $FOO"], "no shell runs, and nobody takes this for a variable", "x\n"),
        (&["FOO=x env | grep FOO"], "no shell runs, and nobody takes this for a variable", "FOO=x\n"),
        (&["$GREET", "hello"], "no shell runs, which would replace $GREET", "hello\n"),
        (&["[/bin/echo,", "start]"], "is a piece of a list that is no JSON", "start\n"),
        (&["['/bin/echo', 'start']"], "is a piece of a list that is no JSON", "start\n"),
    ] {
        let launch = |words: &[&str]| plain().env("GREET", "/bin/echo").command(words);
        let ended = launch(words).run().expect(127).tells(&[told]);
        let line = told_line(&ended.err);
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        let mended = launch(&line).run().expect(0);
        assert_eq!((mended.out.as_str(), mended.err.as_str()), (out, ""), "{line:?}: {}", mended.story());
        let list: Vec<String> = words.iter().map(|word| format!("'''{word}'''")).collect();
        let config = service(&format!("[{}]", list.join(", ")), "").replace("${", "$${");
        Init::config(&config)
            .env("GREET", "/bin/echo")
            .run()
            .expect(127)
            .tells(&["rinit: web: cannot start", told]);
    }
    // Without a full stop a name is a name.
    let ended = plain().command(&["executor"]).run().expect(127);
    assert!(!ended.err.contains("shell"), "{}", ended.story());
}

/// The program runs, and is given what the shell was to do.
#[test]
fn operators_that_went_to_a_program() {
    for (words, told) in [
        (&["cat", "/nowhere", "&&", "true"][..], "no shell runs, and && went to the program as an argument"),
        (&["/bin/sh", "-c", "[/bin/echo, start]"], "/bin/sh ran a list that is no JSON"),
    ] {
        let ended = plain().command(words).run().tells(&[told]);
        assert!(ended.code() != 0 && ended.err.contains("[\""), "{}", ended.story());
        let list: Vec<String> = words.iter().map(|word| format!("'''{word}'''")).collect();
        Init::config(&service(&format!("[{}]", list.join(", ")), "")).run().tells(&["rinit: web: ", told]);
    }
    // Who ends well has known what to do with them.
    assert_eq!(plain().command(&["/bin/echo", "&&"]).run().expect(0).err, "");
}

// ------------------------------------------------------------------------------ arguments

/// "Argument list too long" names neither which, nor how long it is, nor what is allowed.
#[test]
fn arguments_that_are_too_long() {
    let long = "x".repeat(140_000);
    let words = ["argument 2 has 140000 bytes", "more than 131071"];
    let config = service(&format!("[\"echo\", \"a\", \"{long}\"]"), "");
    Init::config(&config).run().expect(126).tells(&words);
    let config = service("\"true\"", &format!("environment = {{ BIG = \"{long}\" }}"));
    let ended = Init::config(&config).run().expect(126).tells(&["the variable BIG has 140004 bytes"]);
    assert!(!ended.err.contains("xxxxx"), "no value is shown: {}", &ended.err[..ended.err.len().min(500)]);
    // A shorter one runs.
    let short = "x".repeat(131_000);
    Init::config(&service(&format!("[\"true\", \"{short}\"]"), "")).run().expect(0);
}

#[test]
fn arguments_that_are_too_many() {
    let variable = |n: usize| format!("V{n} = \"{}\"\n", "x".repeat(100_000 + n));
    let many: String = (0..25).map(variable).collect();
    let config = service("\"true\"", &format!("[services.web.environment]\n{many}"));
    let launch = |stack: u64| Init::config(&config).limit(libc::RLIMIT_STACK, stack);
    let words = ["bytes together, and may have 2097152", "--ulimit stack=33554432", "the variable V24"];
    launch(8 << 20).run().expect(126).tells(&words);
    launch(33_554_432).run().expect(0);
}

// ------------------------------------------------------------------------------ and what follows

/// "its restart policy does not start it again" was said of what the policy would have started again.
#[test]
fn the_restart_policy_is_blamed_only_where_it_decides() {
    let policy = "its restart policy does not start it again";
    let ended = Init::config(&service("[\"sh\", \"-c\", \"exit 3\"]", "")).run().expect(3);
    assert!(ended.err.contains(policy), "{}", ended.story());
    let config = "[services.web]\nrestart = \"always\"\ncommand = \"/nowhere/program\"";
    let ended = Init::config(config).run().expect(127).tells(&["failed, and would fail again as it is"]);
    assert!(!ended.err.contains(policy), "{}", ended.story());
    let config = "[services.web]\nrestart = \"always\"\ncommand = [\"sleep\", \"1000\"]\n\
                  healthcheck = { exec = [\"false\"], interval = \"10ms\", retries = 1, on_unhealthy = \"stop\" }";
    let ended = Init::config(config).run().tells(&["on_unhealthy = \"stop\" ends it"]);
    assert!(!ended.err.contains(policy), "{}", ended.story());
    needs_root();
    // It fails by itself while it waits for its turn in a stop.
    let config = "[services.first]\nrestart = \"always\"\ncommand = [\"sh\", \"-c\", \"until test -e /mnt/files/go; do sleep 0.01; done; exit 3\"]\n\
                  [services.last]\ndepends_on = [\"first\"]\ncommand = [\"sh\", \"-c\", \"trap 'touch /mnt/files/go; sleep 0.5; exit 0' TERM; echo up; while :; do sleep 0.01; done\"]";
    let run = Init::config(config).start();
    run.wait_for("up");
    let ended = run.stop().tells(&["first: exited with code 3", "failed while the container stops"]);
    assert!(!ended.err.contains(policy), "{}", ended.story());
}
