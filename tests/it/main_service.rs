//! What the file says of the COMMAND: `[services.main]` and `[aliases]`, as PID 1 and under `--exec`.

use crate::harness::{Ended, Init, Launch, PROBE};

/// How the COMMAND is started.
const WAYS: [&[&str]; 2] = [&[], &["--exec"]];

fn launch(way: &[&str], text: &str, command: &[&str]) -> Launch {
    Init::config(text).args(way).command(command)
}

#[track_caller]
fn has(ended: &Ended, lines: &[&str]) {
    for line in lines {
        assert!(ended.out.lines().any(|known| known == *line), "no `{line}`\n{}", ended.story());
    }
}

/// All keys at once, and each is seen by the program.
#[test]
fn every_key_holds_for_the_command() {
    crate::harness::needs_root();
    let text = format!(
        "[services.main]\ncommand = ['sh', '-c', 'ulimit -n; exec {PROBE} report']
user = 'daemon'\ngroup = 'adm'\ngroups = [777]\numask = '0027'\nenvironment = {{ A = 'a b', HOME = '/h' }}
working_dir = '/usr'\nulimits = {{ nofile = 77 }}\n"
    );
    for way in WAYS {
        let ended = launch(way, &text, &[]).run().expect(0);
        let who = ["Uid=1 1 1 1", "Gid=4 4 4 4", "Groups=4 777", "umask=0027", "cwd=/usr"];
        has(&ended, &who);
        has(&ended, &["77", "$A=a b", "$HOME=/h", "$USER=daemon", "$LOGNAME=daemon"]);
    }
}

/// `docker run IMAGE sh` is touched by none of it: no check, no preparation, no user, no umask.
#[test]
fn another_command_is_just_run() {
    crate::harness::needs_root();
    let text = "
[checks.env.PASSWORD]
[checks.file.'/none']
[configs.app]
content = 'x'
target = '/mnt/files/written'
[services.helper]
command = 'touch /mnt/files/helped'
[services.main]
command = ['redis-server']
when_command = ['redis-server', 'redis-sentinel']
user = 'daemon'
umask = '0027'
environment = { A = 'a' }
working_dir = '/usr'
clear_env = true
ulimits = { nofile = 77 }
[aliases]
sentinel = ['redis-sentinel']
";
    for way in [&[][..], &["--exec"]] {
        let run = launch(way, text, &[PROBE, "report"]).env("GIVEN", "g").start();
        let directory = run.directory().to_owned();
        let untouched = move || !directory.join("written").exists() && !directory.join("helped").exists();
        let ended = run.end().expect(0);
        has(&ended, &["Uid=0 0 0 0", "umask=0022", "cwd=/mnt/files", "$GIVEN=g", "$HOME=/root"]);
        assert!(!ended.out.contains("$A=") && ended.err.is_empty() && untouched(), "{}", ended.story());
        let ended = launch(way, text, &["sh", "-c", "ulimit -n"]).run().expect(0);
        assert_ne!(ended.out, "77\n");
    }
    // What it is meant for is checked, under its alias too.
    for command in [&["redis-server"][..], &["--port", "1"], &["/usr/bin/redis-sentinel"], &["sentinel"]] {
        launch(&[], text, command).run().expect(69).tells(&["PASSWORD", "/none"]);
    }
}

/// The image's own habit: `case "$1" in -*|*.conf) set -- redis-server "$@"`.
#[test]
fn the_files_command_goes_before_options_and_what_it_names() {
    let text = "[services.main]\ncommand = ['echo', 'server']\nprepend_for = ['*.conf', 'start']
when_command = 'echo'\n[checks.env.PASSWORD]\n";
    for way in WAYS {
        for (command, out) in [
            (&[][..], "server\n"),
            (&["--port", "1"], "server --port 1\n"),
            (&["/etc/redis/my.conf", "-x"], "server /etc/redis/my.conf -x\n"),
            (&["start"], "server start\n"),
        ] {
            let ended = launch(way, text, command).env("PASSWORD", "x").run().expect(0);
            assert_eq!(ended.out, out, "{}", ended.story());
            launch(way, text, command).run().expect(69).tells(&["PASSWORD"]);
        }
        // Any other word is a program.
        assert_eq!(launch(way, text, &["printf", "conf"]).run().expect(0).out, "conf");
        launch(way, text, &["started"]).run().expect(127);
    }
    let fault = |text: &str, part: &str| drop(Init::config(text).run().expect(78).tells(&[part]));
    fault("[services.main]\nprepend_for = '*.conf'", "can never act: there is no command to put before");
    fault("[services.main]\ncommand = 'a'\nprepend_for = []", "prepend_for: names no word");
    fault("[services.a]\ncommand = 'a'\nprepend_for = 'x'", "unknown key \"prepend_for\"");
}

/// `docker run IMAGE worker --loglevel info`.
#[test]
fn an_alias_stands_for_a_command() {
    let text = "[aliases]\nworker = ['echo', 'celery', '-A', '${APP:-app}']\nweb = 'echo \"a b\" ${WORDS:-}'\nbroken = 'sh -c \"exit 3\"'
debug = ['--verbose']\necho = ['echo', 'once']\nother = ['printf', '${APP:-app}']
[services.main]\ncommand = ['echo', 'main']\nwhen_command = ['echo']\n[checks.env.PASSWORD]\n";
    for way in WAYS {
        for (command, out) in [
            (&["worker", "--loglevel", "info"][..], "celery -A app --loglevel info\n"),
            (&["web", "c"], "a b c\n"),
            (&["debug"], "main --verbose\n"),
            (&["echo", "x"], "once x\n"),
        ] {
            let ended = launch(way, text, command).env("PASSWORD", "x").run().expect(0);
            assert_eq!(ended.out, out, "{}", ended.story());
            // It is looked up before `when_command`: the checks are for it.
            launch(way, text, command).run().expect(69).tells(&["PASSWORD"]);
        }
        // One for a program that the file is not meant for: that is just run.
        assert_eq!(launch(way, text, &["other"]).env("APP", "y").run().expect(0).out, "y");
        launch(way, text, &["broken"]).run().expect(3);
        // Only the first word is one, and only as it is written.
        launch(way, text, &["/worker"]).run().expect(127);
    }
    let fault =
        |text: &str, part: &str| drop(Init::config(text).command(&["true"]).run().expect(78).tells(&[part]));
    fault("[aliases]\na = []", "aliases.a: is empty; expected a program");
    fault("[aliases]\na = 3", "aliases.a: found an integer, expected an array of words");
    fault("[aliases]\na = ['${B:-c}']", "aliases.a: found a variable in the first word");
    fault("[aliases]\na = ['b', '${NONE}']", "NONE is not set");
    fault("aliases = 'x'", "aliases: found a string, expected a table");
}

/// What only the preparation needs stays out of the program's environment.
#[test]
fn variables_that_only_the_preparation_needs() {
    let text = |keys: &str| {
        format!(
            "[checks.env.POSTGRES_PASSWORD]\n[checks.env.MODE]\ndefault = 'x'\n[services.main]\ncommand = ['{PROBE}', 'report']\n{keys}\n"
        )
    };
    let start = |way: &[&str], keys: &str| {
        let launch = Init::config(&text(keys)).args(way).env("POSTGRES_PASSWORD", "p").env("AWS_A", "1");
        launch.env("AWS_B", "2").env("KEPT", "k").run().expect(0)
    };
    for way in WAYS {
        let ended = start(way, "unset = ['POSTGRES_PASSWORD', 'AWS_*']");
        assert!(
            !ended.out.contains("$POSTGRES_PASSWORD") && !ended.out.contains("$AWS_"),
            "{}",
            ended.story()
        );
        has(&ended, &["$KEPT=k", "$MODE=x"]);
        // What the service itself says stands.
        let ended = start(way, "unset = 'AWS_*'\nenvironment = ['AWS_A=3', 'AWS_B']");
        has(&ended, &["$AWS_A=3", "$AWS_B=2", "$POSTGRES_PASSWORD=p"]);
        let ended = start(way, "clear_env = true\nenvironment = ['KEPT', 'X=${MODE}']");
        let variables: Vec<&str> = ended.out.lines().filter(|line| line.starts_with('$')).collect();
        assert_eq!(variables, ["$KEPT=k", "$X=x"], "{}", ended.story());
    }
    let fault = |keys: &str, part: &str| drop(Init::config(&text(keys)).run().expect(78).tells(&[part]));
    fault("unset = []", "unset: holds no name");
    fault("unset = ['A=B']", "unset: holds no name");
    fault("unset = 'A'\nclear_env = true", "unset: can never act");
}

/// Services inherit `unset` from `[defaults]`, and a probe has the environment of its service.
#[test]
fn unset_for_services_and_their_probes() {
    let text = "[defaults]\nunset = 'SECRET'\n[services.a]\ncommand = ['sh', '-c', 'echo \"a:$SECRET\"; sleep 1000']
healthcheck = { exec = ['sh', '-c', 'test -z \"$SECRET\" && echo > /mnt/files/probed'], interval = '50ms' }\n";
    let run = Init::config(text).env("SECRET", "s").start();
    run.wait_for("a:\n");
    crate::harness::eventually("the probe ran", || run.directory().join("probed").exists());
    run.stop().expect(0);
}

/// In a string, outside quotes; inside them and in an array it is one.
#[test]
fn a_value_is_as_many_words_as_it_has() {
    let text = |command: &str| format!("[services.main]\ncommand = {command}\n");
    for (command, value, out) in [
        ("'printf <%s> ${OPTS}'", "-a  -b c", "<-a><-b><c>"),
        ("'printf <%s> \"${OPTS}\"'", "-a  -b c", "<-a  -b c>"),
        ("\"printf <%s> '${OPTS}' x\"", "-a -b", "<-a -b><x>"),
        ("['printf', '<%s>', '${OPTS}']", "-a  -b c", "<-a  -b c>"),
        ("'printf <%s> x ${OPTS} y'", "", "<x><y>"),
        ("'printf <%s> x \"${OPTS}\" y'", "", "<x><><y>"),
        ("'printf <%s> ${OPTS}'", "\"a b\" $HOME;|*", "<\"a><b\"><$HOME;|*>"),
        ("'printf <%s> ${NONE:-x y \"v w\"}'", "", "<x><y><v w>"),
    ] {
        for way in WAYS {
            let ended = launch(way, &text(command), &[]).env("OPTS", value).run().expect(0);
            assert_eq!(ended.out, out, "{command} {value:?}: {}", ended.story());
        }
    }
    // So in every command.
    let text =
        "[services.a]\ncommand = 'sleep 1000'\nhealthcheck = { exec = 'sh ${WORDS}', interval = '50ms' }
[checks.exec.b]\ncommand = 'test ${WORDS2}'\n";
    let run = Init::config(text).env("WORDS", "-c :>/mnt/files/probed").env("WORDS2", "-n x").start();
    crate::harness::eventually("the probe ran", || run.directory().join("probed").exists());
    run.stop().expect(0);
}
