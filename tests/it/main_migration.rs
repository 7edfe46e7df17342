//! `docs/migration.md`, "The command, who runs it, conditions": the script's line and rinit's, run side by side, give the
//! program the same.

use crate::harness::{Init, Launch, needs_root};

/// Tells what it was given.
const APP: &str =
    "#!/bin/sh\necho \"args=$*\"\nid -u; id -g; umask; ulimit -n; pwd; echo \"$PASSWORD $AWS_KEY\"\n";

fn launch(init: Init, environment: &[(&str, &str)]) -> Launch {
    let launch = init.launch().file_with_mode("bin/app", APP, 0o755).env("PASSWORD", "s").env("AWS_KEY", "k");
    let launch = launch.env("PATH", "/mnt/files/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    environment.iter().fold(launch, |launch, (name, value)| launch.env(name, value))
}

/// The script ends in `exec "$@"`; the keys are of `[services.main]`, with what follows them.
#[track_caller]
fn same(script: &str, keys: &str, command: &[&str], environment: &[(&str, &str)]) {
    needs_root();
    let script = format!("{script}\nexec \"$@\"");
    let old = launch(Init::SHELL, environment).args(&["-c", &script, "sh"]).args(command).run().expect(0);
    let new = launch(Init::RINIT, environment).config(&format!("[services.main]\n{keys}\n"));
    let new = new.args(&["--exec"]).command(command).run().expect(0);
    assert!(!old.out.is_empty() && old.out == new.out, "{script}\n{}\n{}", old.story(), new.story());
}

#[test]
fn of_the_command() {
    let option = "if [ $# = 0 ] || [ \"${1#-}\" != \"$1\" ]; then set -- app \"$@\"; fi";
    for command in [&[][..], &["-v", "a b"], &["app", "x"], &["echo", "x"]] {
        same(option, "command = 'app'", command, &[]);
    }
    let name = "case \"$1\" in -*|*.conf) set -- app \"$@\";; esac";
    for command in [&["/etc/my.conf"][..], &["-v"], &["echo", "my.conf"]] {
        same(name, "command = 'app'\nprepend_for = '*.conf'", command, &[]);
    }
    let alias = "case \"$1\" in worker) shift; set -- app -A project worker \"$@\";; esac";
    for command in [&["worker", "-l", "info"][..], &["app", "worker"]] {
        same(alias, "[aliases]\nworker = ['app', '-A', 'project', 'worker']", command, &[]);
    }
    for opts in ["", "-a  -b", "a*b 'c d'"] {
        same("set -f; set -- app $OPTS x", "command = 'app ${OPTS} x'", &[], &[("OPTS", opts)]);
        same("set -- app \"$OPTS\" x", "command = 'app \"${OPTS}\" x'", &[], &[("OPTS", opts)]);
    }
}

#[test]
fn of_who_runs_it_and_in_what() {
    let gosu = "exec setpriv --reuid daemon --regid daemon --init-groups \"$@\"";
    same(gosu, "user = 'daemon'", &["app"], &[]);
    let puid = "exec setpriv --reuid ${PUID:-4711} --regid ${PGID:-4711} --clear-groups \"$@\"";
    for environment in [&[][..], &[("PUID", "99"), ("PGID", "100")], &[("PUID", "")]] {
        same(puid, "user = '${PUID:-4711}:${PGID:-4711}'", &["app"], environment);
    }
    same("umask 0077", "umask = '0077'", &["app"], &[]);
    same("ulimit -n 77", "ulimits = { nofile = 77 }", &["app"], &[]);
    same("cd /usr", "working_dir = '/usr'", &["app"], &[]);
    same("unset PASSWORD", "unset = 'PASSWORD'", &["app"], &[]);
    same(
        "for v in $(env | sed -n 's/^\\(AWS_[^=]*\\)=.*/\\1/p'); do unset $v; done",
        "unset = 'AWS_*'",
        &["app"],
        &[],
    );
    same("export PASSWORD=${PASSWORD}x", "environment = { PASSWORD = '${PASSWORD}x' }", &["app"], &[]);
    let only = "if [ \"$1\" = app ]; then umask 0077; cd /usr; fi";
    for command in [&["app"][..], &["sh", "-c", "umask; pwd"]] {
        same(only, "when_command = 'app'\numask = '0077'\nworking_dir = '/usr'", command, &[]);
    }
}

/// A step of the script, and a oneshot with the condition.
#[test]
fn of_conditions() {
    for (test, condition) in [
        ("[ -n \"$PASSWORD\" ]", "when_env = 'PASSWORD'"),
        ("[ -z \"$PASSWORD\" ]", "when_env = '!PASSWORD'"),
        ("[ \"$METHOD\" != trust ]", "when_env = 'METHOD!=trust'"),
        ("[ \"$METHOD\" = trust ] || [ \"$METHOD\" = md5 ]", "when_env = 'METHOD=trust|md5'"),
        ("[ -n \"$PASSWORD\" ] && [ \"$METHOD\" != trust ]", "when_env = ['PASSWORD', 'METHOD!=trust']"),
        (
            "[ -n \"$NONE\" ] || [ -e /mnt/files/bin ]",
            "when_any = ['NONE', { when_exists = '/mnt/files/bin' }]",
        ),
        ("[ ! -e /mnt/files/.installed ]", "when_missing = '/mnt/files/.installed'"),
        ("[ -z \"$(ls -A /mnt/files/bin 2> /dev/null)\" ]", "when_empty = '/mnt/files/bin'"),
        ("[ -z \"$(ls -A /mnt/files/data 2> /dev/null)\" ]", "when_empty = '/mnt/files/data'"),
        ("[ \"$(uname -m)\" = x86_64 ]", "when_arch = 'x86_64'"),
        ("[ \"$(id -u)\" = 0 ]", "when_user = 'root'"),
        ("[ \"$(id -u)\" != 0 ]", "when_user = '!root'"),
    ] {
        for method in ["trust", "md5", ""] {
            let environment = [("METHOD", method)];
            let script = format!("if {test}; then echo step; fi; echo end");
            let old = launch(Init::SHELL, &environment).args(&["-c", &script]).run().expect(0);
            let text = format!(
                "[services.step]\ntype = 'oneshot'\ncommand = ['echo', 'step']\n{condition}\n[services.main]\ncommand = ['echo', 'end']\n"
            );
            let new = launch(Init::RINIT, &environment).config(&text).run().expect(0);
            assert_eq!(old.out, new.out, "{test} {method}: {}", new.story());
        }
    }
}
