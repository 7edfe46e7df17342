//! `[hooks] before_start`, and a oneshot that is a directory of scripts.

use crate::harness::{Ended, Init, Launch, Running, eventually, ms, needs_root};
use std::time::Instant;

const HOOKS: &str = "[hooks]\nbefore_start = \"/mnt/files/hooks.d\"\n";

/// rinit behind this script, which may set things up; the directory of the files is nobody else's to change.
fn behind(set_up: &str, config: &str, words: &str) -> Launch {
    let script =
        format!("chmod 755 /mnt/files\n{set_up}\nexec /mnt/rinit --config /mnt/files/rinit.toml {words}");
    Init::SHELL.launch().file("rinit.toml", config).args(&["-c", &script])
}

/// With these hooks, each a shell script that can be executed.
fn hooks(config: &str, words: &str, list: &[(&str, &str)]) -> Launch {
    let launch = behind("", config, words);
    list.iter().fold(launch, |launch, (name, script)| {
        launch.file_with_mode(&format!("hooks.d/{name}"), &format!("#!/bin/sh\n{script}\n"), 0o755)
    })
}

#[track_caller]
fn says(ended: &Ended, lines: &[&str]) {
    let all = format!("{}{}", ended.out, ended.err);
    for line in lines {
        assert!(all.contains(line), "no `{line}`\n{}", ended.story());
    }
}

#[test]
fn hooks_run_in_version_order_each_line_with_its_name() {
    let list = [
        ("10-b.sh", "echo second; echo err >&2; printf 'no end'"),
        ("2-a.sh", "echo first; cat; echo \"$0\""),
        ("9", "exec sh -c 'echo ninth'"),
    ];
    let ended = hooks(HOOKS, "-- echo main", &list).run().expect(0);
    let want = "2-a.sh | first\n2-a.sh | /mnt/files/hooks.d/2-a.sh\n9 | ninth\n10-b.sh | second\n10-b.sh | no end\nmain\n";
    assert_eq!(ended.out, want, "{}", ended.story());
    says(&ended, &["10-b.sh | err\n"]);
}

/// An editor's backup ran beside its script, and a text by /bin/sh.
#[test]
fn what_is_no_hook_is_told_and_not_run() {
    let bad = ["10-a.sh~", ".#10-a.sh", "x.bak", "x.dpkg-old", "README", "notes.txt", "..data"];
    let list: Vec<_> = bad.iter().map(|name| (*name, "echo RAN")).chain([("10-a.sh", "echo good")]).collect();
    let launch = hooks(HOOKS, "-- echo main", &list).file("hooks.d/sub/x", "").file("hooks.d/data", "x");
    let ended = launch.run().expect(0);
    assert_eq!(ended.out, "10-a.sh | good\nmain\n", "{}", ended.story());
    for told in [
        "10-a.sh~ (a backup)",
        ".#10-a.sh (hidden)",
        "x.bak (a backup)",
        "x.dpkg-old (a backup)",
        "README (a text)",
        "notes.txt (a text)",
        "sub (a directory)",
        "data (neither executable nor a script with a first line #!)",
    ] {
        says(&ended, &[told]);
    }
    assert!(!ended.err.contains("..data"), "{}", ended.story());
}

#[test]
fn variables_go_to_later_hooks_services_and_the_command() {
    let config = format!(
        "{HOOKS}export_env = [\"HOST\", \"ROLE\"]\n[services.main]\nenvironment = {{ URL = \"http://${{HOST}}/\" }}\n[services.once]\ntype = \"oneshot\"\ncommand = \"echo once ${{ROLE:-none}}\"\n"
    );
    let list = [
        ("1", "echo HOST=db1 >> \"$RINIT_ENV\"; echo OTHER=x >> \"$RINIT_ENV\""),
        ("2", "echo sees $HOST and [$OTHER]; echo ROLE=primary > \"$RINIT_ENV\""),
        ("3", "echo has $HOST $ROLE; ls /proc/self/fd | wc -l"),
    ];
    let ended = hooks(&config, "-- sh -c 'echo main $URL $ROLE [$RINIT_ENV]'", &list).run().expect(0);
    says(
        &ended,
        &[
            "2 | sees db1 and []\n",
            "3 | has db1 primary\n",
            "\nonce primary\n",
            "\nmain http://db1/ primary []\n",
        ],
    );
    says(&ended, &["hook 1: not handed on, for export_env does not name it: OTHER"]);
    // Without a list all go on, but not into what is expanded at load; a value may be any bytes.
    let list =
        [("1", "printf '\\0%s\\0' \"V=a\nb\" >> \"$RINIT_ENV\"; printf 'R=\\377\\n' >> \"$RINIT_ENV\"")];
    let main = "-- sh -c 'printf \"%s\" \"$V$R\" | od -An -tx1'";
    let ended = hooks(HOOKS, main, &list).run().expect(0);
    assert_eq!(ended.out, " 61 0a 62 ff\n", "{}", ended.story());
    let ended = hooks(&config.replace("export_env", "# export_env"), "-- true", &list).run().expect(78);
    says(&ended, &["HOST is not set"]);
}

#[test]
fn a_hook_that_fails_is_the_last_and_nothing_is_started() {
    let list =
        [("1", "echo ok"), ("2", "echo one; echo two; echo three >&2; echo four; exit 3"), ("3", "echo RAN")];
    let ended = hooks(HOOKS, "-- echo main", &list).run().expect(69);
    assert!(!ended.out.contains("RAN") && !ended.out.contains("main"), "{}", ended.story());
    says(
        &ended,
        &[
            "rinit.toml:2:16: hooks.before_start: 2: exited with code 3 after ",
            "; its last lines were \"",
            "\"four\"",
            "nothing was started",
        ],
    );
    let ended = hooks(HOOKS, "-- echo main", &[("1", "kill -SEGV $$")]).run().expect(69);
    says(&ended, &["1: killed by SIGSEGV after "]);
    let ended = hooks(HOOKS, "-- echo main", &[("1", "printf A=ha >> \"$RINIT_ENV\"")]).run().expect(69);
    says(&ended, &["1: what it wrote to RINIT_ENV line 1 has no end of line", "nothing of it is taken"]);
}

#[test]
fn each_hook_is_bounded() {
    let config = format!("{HOOKS}timeout = \"300ms\"\n");
    let list = [("1", "setsid sleep 1000 & echo up; (trap '' TERM; sleep 1000)")];
    let ended = hooks(&config, "-- echo main", &list).nested().run().expect(69);
    says(
        &ended,
        &["1 | up\n", "1: not done within 300ms, and killed (hooks.timeout); its last line was \"up\""],
    );
    eventually("nobody is left", || ended.left.is_empty());
}

#[test]
fn a_stop_ends_a_hook_at_once() {
    for words in ["-- echo main", "--exec -- echo main"] {
        let run =
            hooks(HOOKS, words, &[("1", "trap '' TERM; setsid sleep 1000 & echo up; sleep 1000")]).start();
        run.wait_for("up");
        let asked = Instant::now();
        run.signal(libc::SIGTERM);
        let ended = run.end().expect(143);
        assert!(
            ended.at.duration_since(asked) < ms(2000) && !ended.out.contains("main"),
            "{}",
            ended.story()
        );
    }
}

#[test]
fn hooks_run_under_exec_too_and_never_under_check() {
    let list = [("1", "echo A=1 >> \"$RINIT_ENV\"; echo ran")];
    let ended = hooks(HOOKS, "--exec -- sh -c 'echo pid $$ has $A'", &list).run().expect(0);
    assert_eq!(ended.out, "1 | ran\npid 1 has 1\n", "{}", ended.story());
    for (words, told) in [
        ("--check", ""),
        ("--explain", "hooks /mnt/files/hooks.d (/mnt/files/rinit.toml:2)"),
        ("--validate", ""),
    ] {
        let ended = hooks(HOOKS, words, &list).run().expect(0);
        assert!(!ended.out.contains("ran") && ended.out.contains(told), "{}", ended.story());
    }
}

#[test]
fn a_script_that_the_kernel_does_not_run() {
    let run = |text: &str, mode: u32| {
        behind("", HOOKS, "-- echo main").file_with_mode("hooks.d/1.sh", text, mode).run()
    };
    let ended = run("echo by a shell: \"$0\"\n", 0o755).expect(0);
    assert_eq!(ended.out, "1.sh | by a shell: /mnt/files/hooks.d/1.sh\nmain\n", "{}", ended.story());
    says(&run("#!/bin/sh\r\necho x\r\n", 0o755).expect(69), &["ends in a carriage return"]);
    says(&run("#!/no/such\n", 0o755).expect(69), &["1.sh: cannot start", "/no/such"]);
    let ended = run("#!/bin/sh\necho RAN\n", 0o644).expect(0);
    says(
        &ended,
        &[
            "not run in /mnt/files/hooks.d: 1.sh (not executable: chmod +x it (in a Dockerfile: COPY --chmod=755))",
        ],
    );
    assert_eq!(ended.out, "main\n", "{}", ended.story());
    // Who names a file means it.
    let config = "[hooks]\nbefore_start = [\"/mnt/files/hooks.d/1.sh\", \"/mnt/files/none\"]\n";
    let file = |mode: u32| {
        behind("", config, "-- echo main")
            .file_with_mode("hooks.d/1.sh", "#!/bin/sh\necho one\n", mode)
            .run()
            .expect(69)
    };
    says(&file(0o644), &["/mnt/files/hooks.d/1.sh: not executable: chmod +x it"]);
    says(
        &file(0o755),
        &[
            "1.sh | one\n",
            "rinit.toml:2:",
            "/mnt/files/none: no such file or directory; make it in the image",
        ],
    );
    let ended = hooks(HOOKS, "-- echo main", &[("1.envsh", "export A=1")]).run().expect(0);
    says(&ended, &["hook /mnt/files/hooks.d/1.envsh: is made to be sourced by a shell, and is run"]);
}

/// What an unprivileged user of the container could have put there would run as root.
#[test]
fn what_others_could_have_changed_is_refused() {
    needs_root();
    for (set_up, at) in [
        ("chmod 777 /mnt/files/hooks.d", "/mnt/files/hooks.d has the owner 0, the group 0 and the mode 0777"),
        (
            "chmod 1777 /mnt/files/hooks.d",
            "/mnt/files/hooks.d has the owner 0, the group 0 and the mode 01777",
        ),
        ("chown 1000 /mnt/files/hooks.d", "/mnt/files/hooks.d has the owner 1000,"),
        ("chgrp 1000 /mnt/files/hooks.d; chmod 775 /mnt/files/hooks.d", "the group 1000 and the mode 0775"),
        ("chmod 777 /mnt/files", "/mnt/files has the owner 0"),
        ("chown 1000 /mnt/files/hooks.d/1", "/mnt/files/hooks.d/1 has the owner 1000"),
        (
            "chmod 757 /mnt/files/hooks.d/1",
            "/mnt/files/hooks.d/1 has the owner 0, the group 0 and the mode 0757",
        ),
        (
            "mkdir -m 777 /mnt/files/w; mv /mnt/files/hooks.d/1 /mnt/files/w; ln -s ../w/1 /mnt/files/hooks.d/1",
            "/mnt/files/w has the owner 0",
        ),
        (
            "mv /mnt/files/hooks.d /mnt/files/h; ln -s h /mnt/files/hooks.d; chown -h 1000 /mnt/files/hooks.d",
            "/mnt/files/hooks.d has the owner 1000",
        ),
    ] {
        let start = |config: &str| {
            let text = "#!/bin/sh\necho ran\n";
            behind(set_up, config, "-- echo main").file_with_mode("hooks.d/1", text, 0o755).run()
        };
        let ended = start(HOOKS).expect(69);
        assert!(!ended.out.contains("ran"), "{set_up}: {}", ended.story());
        says(
            &ended,
            &[at, "not run, for others in this container could have changed it", "say trusted = true"],
        );
        // The word of trust that is named; and what nobody can write.
        says(&start(&format!("{HOOKS}trusted = true\n")).expect(0), &["ran\n"]);
    }
    for set_up in [
        "chmod 775 /mnt/files/hooks.d",
        "mkdir -m 1777 /mnt/files/t; mv /mnt/files/hooks.d /mnt/files/t; ln -s t/hooks.d /mnt/files/hooks.d",
    ] {
        let launch =
            behind(set_up, HOOKS, "-- echo main").file_with_mode("hooks.d/1", "#!/bin/sh\necho ran\n", 0o755);
        says(&launch.run().expect(0), &["1 | ran\n"]);
    }
}

/// `docker run --user`: the image's hooks are root's, and what that user could have changed is its own.
#[test]
fn hooks_of_a_container_without_root() {
    needs_root();
    for owner in ["0", "1234"] {
        let set_up = format!("chown -R {owner} /mnt/files/hooks.d; chmod -R 755 /mnt/files/hooks.d");
        let script = format!(
            "chmod 755 /mnt/files; {set_up}; exec setpriv --reuid 1234 --regid 1234 --clear-groups /mnt/rinit --config /mnt/files/rinit.toml -- sh -c 'echo main $A'"
        );
        let text = "#!/bin/sh\necho as $(id -u); echo A=1 >> \"$RINIT_ENV\"\n";
        let launch = Init::SHELL.launch().file("rinit.toml", HOOKS).args(&["-c", &script]);
        let ended = launch.file_with_mode("hooks.d/1", text, 0o755).run().expect(0);
        assert_eq!(ended.out, "1 | as 1234\nmain 1\n", "{}", ended.story());
    }
}

/// The directory of a ConfigMap: 0777, links to links, files without the bit to execute, and read-only.
#[test]
fn hooks_of_a_config_map_run() {
    let set_up =
        "cd /mnt/files/hooks.d; mount -t tmpfs tmpfs .; cd .; cd /mnt/files/hooks.d; mkdir ..2026_11_29
        printf '#!/bin/sh -e\\necho \"first $0\"; false; echo not' > ..2026_11_29/2-a.sh
        printf 'echo second' > ..2026_11_29/10-b.sh
        printf 'text' > ..2026_11_29/README
        printf 'text' > ..2026_11_29/settings
        ln -s ..2026_11_29 ..data; for f in 2-a.sh 10-b.sh README settings; do ln -s ..data/$f $f; done
        chmod 1777 . ..2026_11_29; chmod 644 ..data/*; ORDER; cd /";
    let start = |order: &str, more: &str| {
        let config = format!("{HOOKS}{more}");
        behind(&set_up.replace("ORDER", order), &config, "-- echo main").file("hooks.d/x", "").run()
    };
    let ended = start("mount -o remount,ro .", "").expect(69);
    says(&ended, &["2-a.sh | first /mnt/files/hooks.d/2-a.sh\n", "2-a.sh: exited with code 1 after"]);
    let ended = start("sed -i s/false/true/ ..data/2-a.sh; mount -o remount,ro .", "").expect(0);
    let want = "2-a.sh | first /mnt/files/hooks.d/2-a.sh\n2-a.sh | not\n10-b.sh | second\nmain\n";
    assert_eq!(ended.out, want, "{}", ended.story());
    says(&ended, &["README (a text)", "settings (neither executable"]);
    assert!(!ended.err.contains("..data") && !ended.err.contains("..2026"), "{}", ended.story());
    // An emptyDir that an init container has filled is as open, and can be written.
    says(&start("true", "").expect(69), &["mount it read-only, or say trusted = true"]);
}

#[test]
fn what_a_hook_leaves_behind_is_told() {
    let list = [("1", "sleep 1000 & echo up"), ("2", "setsid sleep 1001 > /dev/null 2>&1 &"), ("3", "true")];
    let run = hooks(HOOKS, "-- sh -c 'echo main; exec sleep 2000'", &list).start();
    run.wait_for("main");
    for hook in ["1", "2"] {
        run.wait_for_err(&format!("hook {hook}: leaves behind what nobody looks after"));
    }
    assert!(!run.err().contains("hook 3:"), "{}", run.err());
    eventually("both live on", || run.find("sleep 100").len() == 2);
    run.stop();
}

#[test]
fn conditions_hold_for_hooks_and_faults_are_told_at_load() {
    let list = [("1", "echo ran")];
    let ended = hooks(&format!("{HOOKS}when_env = \"INIT\"\n"), "-- echo main", &list).run().expect(0);
    assert_eq!(ended.out, "main\n", "{}", ended.story());
    let ended =
        hooks(&format!("{HOOKS}when_missing = \"/nowhere\"\n"), "-- echo main", &list).run().expect(0);
    assert_eq!(ended.out, "1 | ran\nmain\n", "{}", ended.story());
    for (config, told) in [
        ("[hooks]\nbefore_start = \"hooks.d\"", "hooks.before_start: is not an absolute path"),
        ("[hooks]\nbefore_start = \"/h\"\ntimeout = \"0s\"", "hooks.timeout: found no time at all"),
        ("[hooks]\nbefore = \"/h\"", "hooks: unknown key \"before\"; known here: before_start"),
        (
            "[services.a]\ncommand = { directory = \"/h\" }",
            "command: a directory of scripts is for a oneshot",
        ),
        (
            "[services.a]\ntype = \"oneshot\"\ncommand = { dir = \"/h\" }",
            "services.a.command: unknown key \"dir\"",
        ),
        (
            "[services.a]\ntype = \"oneshot\"\ncommand = { directory = \"h\" }",
            "directory: is not an absolute path",
        ),
    ] {
        says(&Init::config(config).args(&["--validate"]).run().expect(78), &[told]);
    }
}

// ------------------------------------------------------------------------------ a oneshot that is a directory

fn directory(keys: &str, more: &str) -> String {
    format!(
        "[services.init]\ntype = \"oneshot\"\ncommand = {{ directory = \"/mnt/files/hooks.d\"{keys} }}\n{more}\n"
    )
}

#[test]
fn a_oneshot_may_be_a_directory_of_scripts() {
    needs_root();
    let list = [
        ("10-b", "echo second $A as $(id -u) [$RINIT_ENV]"),
        ("2-a", "echo first; echo A=1 >> \"$RINIT_ENV\"; printf '\\0B=x\ny\\0' >> \"$RINIT_ENV\""),
        ("x~", "echo RAN"),
    ];
    let keys = "user = \"1234\"\nexport_env = [\"A\", \"B\"]";
    let ended = hooks(&directory("", keys), "-- sh -c 'echo \"main $A $B\"'", &list).run().expect(0);
    says(
        &ended,
        &["2-a | first\n10-b | second 1 as 1234 [/proc/self/fd/", "\nmain 1 x\ny\n", "x~ (a backup)"],
    );
    let ended = hooks(
        &directory("", "environment = { C = \"3\" }"),
        "-- echo main",
        &[("1", "echo [$C] [$RINIT_ENV]")],
    )
    .run();
    says(&ended.expect(0), &["1 | [3] []\n", "main\n"]);
    // With a driver its name comes first.
    let ended =
        hooks(&directory("", "logging = \"prefix\""), "-- echo main", &[("1", "echo x")]).run().expect(0);
    says(&ended, &["init | 1 | x\n"]);
}

#[test]
fn a_directory_fails_with_the_code_of_its_hook() {
    let ended =
        hooks(&directory("", ""), "-- echo main", &[("1", "exit 7"), ("2", "echo RAN")]).run().expect(7);
    assert!(!ended.out.contains("RAN") && !ended.out.contains("main"), "{}", ended.story());
    says(&ended, &["rinit: hook 1: exited with code 7 after ", "rinit: init: exited with code 7"]);
    let ended =
        hooks(&directory(", timeout = \"200ms\"", ""), "-- true", &[("1", "sleep 1000")]).run().expect(124);
    says(&ended, &["hook 1: not done within 200ms, and killed"]);
}

#[test]
fn a_stop_reaches_the_script_of_a_directory() {
    let run: Running = hooks(
        &directory("", ""),
        "-- echo main",
        &[("1", "trap 'echo asked; exit 0' TERM; echo up; while :; do sleep 0.01; done"), ("2", "echo RAN")],
    )
    .start();
    run.wait_for("up");
    run.signal(libc::SIGTERM);
    let ended = run.end();
    assert!(ended.out.contains("1 | asked\n") && !ended.out.contains("RAN"), "{}", ended.story());
    // One that does not listen is killed with the rest.
    let keys = "stop_grace_period = \"300ms\"";
    let run = hooks(
        &directory("", keys),
        "-- echo main",
        &[("1", "trap '' TERM; echo up; while :; do sleep 0.01; done")],
    )
    .nested()
    .start();
    run.wait_for("up");
    run.signal(libc::SIGTERM);
    let ended = run.end();
    assert!(ended.left.is_empty(), "{}", ended.story());
}

#[test]
fn a_directory_that_others_could_change_is_refused() {
    needs_root();
    let start = |user: &str| {
        behind("chown 1234 /mnt/files/hooks.d", &directory("", user), "-- echo main")
            .file_with_mode("hooks.d/1", "#!/bin/sh\necho ran\n", 0o755)
            .run()
    };
    says(&start("").expect(69), &["could have changed it: /mnt/files/hooks.d has the owner 1234"]);
    // To that user it is its own.
    says(&start("user = \"1234\"").expect(0), &["1 | ran\n"]);
}

/// A sandbox that knows no memfd_create(2): the remedy that is named works.
#[test]
fn hooks_run_without_a_file_for_variables() {
    let start = |more: &str| {
        let launch = hooks(&format!("{HOOKS}{more}"), "-- echo main", &[("1", "echo [$RINIT_ENV]")]);
        launch.refusing(&[(libc::SYS_memfd_create, libc::ENOSYS)]).run()
    };
    says(&start("").expect(69), &["under [hooks]: export_env = false"]);
    assert_eq!(start("export_env = false\n").expect(0).out, "1 | []\nmain\n");
}
