//! `export_env`: the variables that a oneshot hands to those that are started later.

use crate::harness::{Ended, Init, Launch, PROBE, eventually, needs_root};

/// A oneshot that runs this script, and a COMMAND that tells what it was given.
fn oneshot(keys: &str, script: &str) -> Launch {
    let config =
        format!("[services.set]\ntype = \"oneshot\"\ncommand = [\"sh\", \"/mnt/files/set.sh\"]\n{keys}\n");
    Init::config(&config).file("set.sh", script)
}

#[track_caller]
fn main_sees(launch: Launch, lines: &[&str]) -> Ended {
    let ended = launch.command(&[PROBE, "report"]).run().expect(0);
    for line in lines {
        assert!(ended.out.lines().any(|known| known == *line), "no `{line}`\n{}", ended.story());
    }
    ended
}

#[track_caller]
fn lacks(ended: &Ended, words: &[&str]) {
    for word in words {
        assert!(!ended.out.contains(word), "`{word}`\n{}", ended.story());
    }
}

#[test]
fn what_a_oneshot_writes_is_seen_by_what_is_started_later() {
    let script = "echo DB_HOST=db1 >> \"$RINIT_ENV\"; echo \"DB_PORT=$((5000 + 432))\" >> \"$RINIT_ENV\"\n";
    let launch = oneshot("export_env = true", script).env("DB_HOST", "as the container had it");
    let ended = main_sees(launch, &["$DB_HOST=db1", "$DB_PORT=5432"]);
    // The file is the oneshot's alone: neither its name nor its descriptor is anybody else's.
    lacks(&ended, &["RINIT_ENV", "memfd"]);
    let daemon = "[services.web]\ncommand = [\"sh\", \"-c\", \"echo web has $DB_HOST; exec sleep 1000\"]\ndepends_on = [\"set\"]\n";
    let run =
        oneshot(&format!("export_env = [\"DB_HOST\"]\n{daemon}"), "echo DB_HOST=db2 >> \"$RINIT_ENV\"\n")
            .start();
    run.wait_for("web has db2");
    eventually("its file is closed", || !run.init().fds().iter().any(|(_, path)| path.contains("rinit-env")));
    run.stop();
}

/// It is made by rinit, is nobody's but the oneshot's user's, and is no file of any directory.
#[test]
fn the_file_is_the_users_own() {
    needs_root();
    let script = "stat -L -c 'stat %a %u:%g' \"$RINIT_ENV\" >&2; id -u >&2\nprintf 'A=1\\n' >> \"$RINIT_ENV\"\n\
        python3 -c 'import os; open(os.environ[\"RINIT_ENV\"], \"a\").write(\"B=2\\n\")'\n";
    let launch = oneshot("user = \"1234:777\"\nexport_env = [\"A\", \"B\"]", script).bare();
    main_sees(launch, &["$A=1", "$B=2"]).tells(&["stat 600 1234:777", "\n1234\n"]);
    // Without CAP_CHOWN, which gives it away.
    let config = "[services.set]\ntype = \"oneshot\"\ncommand = [\"sh\", \"-c\", 'echo A=1 >> \"$RINIT_ENV\"']\nuser = \"1234\"\nexport_env = [\"A\"]\n";
    let script =
        "exec setpriv --bounding-set -chown /mnt/rinit --config /mnt/files/rinit.toml -- sh -c 'echo got $A'";
    let ended = Init::SHELL.launch().file("rinit.toml", config).args(&["-c", script]).run().expect(0);
    assert!(ended.out.contains("got 1"), "{}", ended.story());
}

#[test]
fn a_value_may_be_any_bytes() {
    let script = "printf '\\0%s\\0' \"CERT=-----BEGIN\nab=\n-----END\n\" >> \"$RINIT_ENV\"\n\
        printf '%s\\n' 'QUOTED=\"it'\"'\"'s\" \\n $HOME # all of it ' >> \"$RINIT_ENV\"\n\
        printf 'RAW=\\377\\376\\n' >> \"$RINIT_ENV\"\n\
        printf '\\0%s\\0' LAST=1 >> \"$RINIT_ENV\"\necho EMPTY= >> \"$RINIT_ENV\"\n";
    let shows =
        "printf '[%s]\\n' \"$CERT\" \"$QUOTED\" \"$LAST\" \"$EMPTY\"; printf %s \"$RAW\" | od -An -tx1";
    let ended = oneshot("export_env = true", script).sh(shows).run().expect(0);
    let want = "[-----BEGIN\nab=\n-----END\n]\n[\"it's\" \\n $HOME # all of it ]\n[1]\n[]\n ff fe\n";
    assert_eq!(ended.out, want, "{}", ended.story());
}

/// A list lets through what it names, for readers with other rights too. All of it is for those alone who could have
/// written it themselves, or for anybody where root wrote it.
#[test]
fn who_sees_what() {
    needs_root();
    let script = "echo A=1 >> \"$RINIT_ENV\"; echo B=2 >> \"$RINIT_ENV\"; echo LD_PRELOAD=/x.so >> \"$RINIT_ENV\"\n\
        echo RINIT_CONFIG=/x >> \"$RINIT_ENV\"\n";
    let ended = main_sees(oneshot("export_env = [\"A\"]\nuser = \"1000\"", script), &["$A=1"]);
    lacks(&ended, &["$B", "LD_PRELOAD", "RINIT_CONFIG"]);
    ended.tells(&["not handed on, for export_env does not name it: B, LD_PRELOAD, RINIT_CONFIG"]);
    let ended = main_sees(oneshot("export_env = true", script), &["$A=1", "$B=2"]);
    lacks(&ended, &["LD_PRELOAD", "RINIT_CONFIG"]);
    ended.tells(&["not handed on, for export_env does not name it: LD_PRELOAD, RINIT_CONFIG"]);
    let script = "echo LD_PRELOAD=/nowhere.so >> \"$RINIT_ENV\"; echo A=1 >> \"$RINIT_ENV\"\n";
    let listed = oneshot("export_env = [\"LD_PRELOAD\", \"A\"]", script).sh("echo preload $LD_PRELOAD").run();
    assert!(listed.out.contains("preload /nowhere.so"), "{}", listed.story());
    let ended = main_sees(oneshot("export_env = true\nuser = \"1000\"", "echo A=1 >> \"$RINIT_ENV\"\n"), &[]);
    lacks(&ended, &["$A"]);
    ended.tells(&["which runs as uid 0, does not get the variables that a oneshot of uid 1000 wrote (A, …)"]);
    let main = "export_env = true\nuser = \"1000\"\n[services.main]\nuser = \"1000\"";
    main_sees(oneshot(main, "echo A=1 >> \"$RINIT_ENV\"\n"), &["$A=1"]);
}

/// What a service says of itself stands above it, and who inherits nothing does not inherit this.
#[test]
fn a_service_has_the_last_word() {
    let script = "echo A=1 >> \"$RINIT_ENV\"; echo B=2 >> \"$RINIT_ENV\"\n";
    let own = "export_env = true\n[services.main]\nenvironment = { A = \"own\" }";
    main_sees(oneshot(own, script), &["$A=own", "$B=2"]);
    let ended = main_sees(
        oneshot(&own.replace("[services.main]", "[services.main]\nclear_env = true"), script),
        &["$A=own"],
    );
    lacks(&ended, &["$B"]);
}

/// A list of variables that is wrong anywhere is taken nowhere, and the run has failed: nothing starts on half of it.
#[test]
fn what_is_no_list_of_variables_is_a_failure() {
    for (script, told) in [
        ("printf 'A=1\\nB=ha' >> \"$RINIT_ENV\"", "line 2 has no end of line: it was written in halves"),
        ("printf '\\0A=ha' >> \"$RINIT_ENV\"", "record 1 begins with a NUL byte and does not end with one"),
        ("echo A=1 >> \"$RINIT_ENV\"; echo hidden >> \"$RINIT_ENV\"", "line 2 is no NAME=value"),
        ("echo '1A=hidden' >> \"$RINIT_ENV\"", "line 1 is no NAME=value"),
        ("echo 'export A=hidden' >> \"$RINIT_ENV\"", "line 1 begins with a shell's word; drop `export`"),
        ("head -c 70000 /dev/zero | tr '\\0' '\\n' >> \"$RINIT_ENV\"", "holds more than 64 KiB"),
    ] {
        let ended = oneshot("export_env = true", script).sh("echo started").run().expect(65);
        assert!(!ended.out.contains("started") && !ended.err.contains("hidden"), "{}", ended.story());
        ended.tells(&[
            "set: what it wrote to RINIT_ENV ",
            told,
            "; nothing of it is taken, and the run has failed",
        ]);
    }
}

/// Another attempt begins with an empty file, and what a failed one wrote is nobody's.
#[test]
fn a_run_that_fails_hands_on_nothing() {
    let script = "echo x >> /mnt/files/runs\necho A$(wc -l < /mnt/files/runs)=1 >> \"$RINIT_ENV\"\n\
        [ $(wc -l < /mnt/files/runs) = 3 ]\n";
    let keys = "export_env = true\nrestart = \"on-failure\"\nrestart_policy = { delay = \"1ms\" }";
    let ended = main_sees(oneshot(keys, script), &["$A3=1"]);
    lacks(&ended, &["$A1", "$A2"]);
    // A code that is a success hands on.
    main_sees(
        oneshot("export_env = true\nsuccess_exit_codes = [7]", "echo A=1 >> \"$RINIT_ENV\"; exit 7"),
        &["$A=1"],
    );
}

/// The list is read when the first process ends: whoever it left behind is late, and that is told.
#[test]
fn what_is_written_too_late_is_told() {
    // What is left of its group hears of the end by TERM.
    let script = "(trap 'echo B=2 >> \"$RINIT_ENV\"; echo wrote; exit' TERM; echo up >> /mnt/files/up; while :; do sleep 0.01; done) &\n\
        while ! [ -e /mnt/files/up ]; do sleep 0.01; done; echo A=1 >> \"$RINIT_ENV\"\n";
    let keys = "export_env = true\nstop_grace_period = \"5s\"";
    let run = oneshot(keys, script).sh("echo A is $A, B is [$B]; exec sleep 1000").start();
    run.wait_for("wrote");
    run.wait_for("A is 1, B is []\n");
    run.wait_for_err("set: one of its processes wrote to RINIT_ENV when the first had ended: not taken");
    eventually("its file is closed", || !run.init().fds().iter().any(|(_, path)| path.contains("rinit-env")));
    run.stop();
}

#[test]
fn what_cannot_be_is_told_at_load() {
    for (service, told) in [
        ("command = \"true\"\nexport_env = true", "export_env: is for a oneshot"),
        ("command = \"true\"\ntype = \"oneshot\"\nexport_env = []", "export_env: is an empty list"),
        (
            "command = \"true\"\ntype = \"oneshot\"\nexport_env = [\"A-B\"]",
            "\"A-B\" is no name of a variable",
        ),
        (
            "command = \"true\"\ntype = \"oneshot\"\nexport_env = [\"RINIT_X\"]",
            "RINIT_X is for rinit alone to set",
        ),
        (
            "command = \"true\"\ntype = \"oneshot\"\nexport_env = 1",
            "found an integer, expected true, or an array of names",
        ),
    ] {
        let config = format!("[services.a]\n{service}\n");
        Init::config(&config).args(&["--validate"]).run().expect(78).tells(&[told]);
    }
    let config = "[defaults]\nexport_env = true\n[services.a]\ncommand = \"true\"\n";
    Init::config(config)
        .args(&["--validate"])
        .run()
        .expect(78)
        .tells(&["defaults.export_env: is each service's own"]);
}

/// Where the kernel makes no such file, the oneshot does not run, and why is said.
#[test]
fn a_kernel_that_refuses_the_file_is_told() {
    let ended =
        oneshot("export_env = true", "echo ran").refusing(&[(libc::SYS_memfd_create, libc::EPERM)]).run();
    assert!(!ended.out.contains("ran") && ended.code() != 0, "{}", ended.story());
    ended.tells(&["set: no file for what it writes to RINIT_ENV: memfd_create: "]);
}
