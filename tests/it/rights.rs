//! Whose rights a service has: its user and groups, and what capabilities are left to it.

use crate::harness::{Ended, Init, PROBE};
use std::fmt::Write as _;

/// One oneshot that tells what it was given; rinit itself is started behind these words.
#[track_caller]
fn report_below(words: &str, service: &str) -> Ended {
    crate::harness::needs_root();
    let config = format!("[services.a]\ntype = \"oneshot\"\ncommand = [\"{PROBE}\", \"report\"]\n{service}");
    let script = format!("exec {words} /mnt/rinit --config /mnt/files/rinit.toml");
    Init::SHELL.launch().file("rinit.toml", &config).args(&["-c", &script]).run().expect(0)
}

#[track_caller]
fn has(ended: &Ended, lines: &[&str]) {
    for line in lines {
        assert!(ended.out.lines().any(|known| known == *line), "no `{line}`\n{}", ended.story());
    }
}

const NO_CAPABILITY: [&str; 4] = [
    "CapInh=0000000000000000",
    "CapPrm=0000000000000000",
    "CapEff=0000000000000000",
    "CapAmb=0000000000000000",
];

/// A user of 1000 with ambient capabilities, as engines and `setpriv` make one. (net_bind_service, setgid, setuid, chown)
const AMBIENT: &str = "setpriv --reuid 1000 --regid 1000 --clear-groups \
    --inh-caps +net_bind_service,+setgid,+setuid,+chown --ambient-caps +net_bind_service,+setgid,+setuid,+chown";

/// The kernel takes capabilities from root alone that becomes another: a rinit with ambient ones handed them to `nobody`
/// (CapEff 10c0), and root the inheritable ones.
#[test]
fn a_service_of_another_user_has_no_capabilities() {
    let root = "setpriv --inh-caps +net_bind_service,+chown --ambient-caps +chown";
    let keeps = "setpriv --securebits +no_setuid_fixup,+keep_caps_locked";
    for words in [AMBIENT, root, keeps] {
        for service in ["user = \"nobody\"", "user = \"1234:99\"", "user = \"nobody\"\ngroups = [\"adm\"]"] {
            has(&report_below(words, service), &NO_CAPABILITY);
        }
    }
    // Without `user` they stay.
    has(&report_below(AMBIENT, ""), &["Uid=1000 1000 1000 1000", "CapAmb=00000000000004c1"]);
}

/// `docker run --user` with a file that names users: each service runs as who rinit is, which is told once.
#[test]
fn without_root_services_run_as_who_rinit_is() {
    let mut others = String::new();
    for name in ["b", "c"] {
        write!(others, "[services.{name}]\ntype = \"oneshot\"\ncommand = \"true\"\nuser = \"daemon\"\n")
            .unwrap();
    }
    let plain = "setpriv --reuid 4321 --regid 1001 --groups 1001,7";
    let ended = report_below(&format!("env HOME=/given {plain}"), &format!("user = \"nobody\"\n{others}"));
    has(&ended, &["Uid=4321 4321 4321 4321", "Gid=1001 1001 1001 1001", "Groups=7 1001", "$HOME=/given"]);
    let told = ended.err.matches("runs as who rinit is, uid 4321").count();
    assert_eq!(told, 1, "{}", ended.story());
    // Nothing is to be told of who is that user.
    let ended = report_below(plain, "user = \"${PUID:-4321}:${PGID:-1001}\"");
    assert!(!ended.err.contains("who rinit is"), "{}", ended.story());
    has(&ended, &["$HOME=/", "$USER=4321"]);
}

/// `groups` took the place of the user's groups, the primary one too; what `--group-add` gave was lost.
#[test]
fn groups_add_to_those_of_the_user() {
    let given = "setpriv --groups 0,4242,5";
    for (service, groups) in [
        ("user = \"daemon\"\ngroups = [\"adm\", 777]", "Groups=1 4 777"),
        ("user = \"daemon\"\ngroups = []", "Groups=1"),
        ("user = \"daemon\"\ngroup = \"adm\"\ngroups = [777]", "Groups=4 777"),
        ("user = \"daemon\"\nkeep_groups = true", "Groups=1 5 4242"),
        ("user = \"daemon\"\nkeep_groups = true\ngroups = [777]", "Groups=1 5 777 4242"),
        ("user = \"${PUID:-1000}:${PGID:-1000}\"\nkeep_groups = \"${KEEP:-true}\"", "Groups=5 1000 4242"),
        ("user = \"daemon\"\nkeep_groups = false", "Groups=1"),
    ] {
        has(&report_below(given, service), &[groups]);
    }
}

/// A rinit without /proc and without CAP_KILL may not signal a service of another user, and did not know it: the stop
/// took the whole grace (6.3 s). It asks capget(2), and sends in the name of the service's user.
#[test]
fn a_stop_without_proc_and_without_the_right_to_signal_others() {
    crate::harness::needs_root();
    for user in ["nobody", "4711:4711"] {
        let config = format!(
            "[services.a]\ncommand = \"sleep 1000\"\nuser = \"{user}\"\nstop_grace_period = \"8s\"\n"
        );
        let script =
            "exec setpriv --inh-caps=-all --bounding-set -kill /mnt/rinit --config /mnt/files/rinit.toml";
        let run =
            Init::SHELL.launch().hide("/proc").file("rinit.toml", &config).args(&["-c", script]).start();
        run.wait_for_err("a: started");
        let ended = run.stop().expect(0);
        assert!(ended.after < crate::harness::ms(4000), "{}", ended.story());
    }
}

/// Where rinit was started nobody asked for: a service whose user may not go there was not started, though setpriv(1) and
/// `--exec` start it.
#[test]
fn a_directory_that_nobody_asked_for_need_not_be_entered() {
    crate::harness::needs_root();
    let config = "[services.a]\ntype = \"oneshot\"\nuser = \"nobody\"\ncommand = [\"/bin/sh\", \"-c\", \"readlink /proc/self/cwd\"]\n";
    let closed = |launch: crate::harness::Launch| {
        let launch = launch.file("rinit.toml", config).file("closed/x", "");
        launch
            .args(&["-c", "cd /mnt/files/closed && chmod 700 . && exec /mnt/rinit -c /mnt/files/rinit.toml"])
    };
    let ended = closed(Init::SHELL.launch()).run().expect(0);
    assert_eq!(ended.out, "/mnt/files/closed\n", "{}", ended.story());
    // One that is gone is no failure.
    let gone = "mkdir /mnt/files/gone && cd /mnt/files/gone && rmdir ../gone && exec /mnt/rinit -c /mnt/files/rinit.toml";
    Init::SHELL.launch().file("rinit.toml", config).args(&["-c", gone]).run().expect(0);
    // One that was asked for is.
    let asked = [config, "working_dir = \"/mnt/files/closed\"\n"].concat();
    let launch = Init::SHELL.launch().file("rinit.toml", &asked).file("closed/x", "");
    let script = "chmod 700 /mnt/files/closed && exec /mnt/rinit -c /mnt/files/rinit.toml";
    let ended = launch.args(&["-c", script]).run();
    assert_ne!(ended.code(), 0);
    ended.tells(&["/mnt/files/closed"]);
}

/// The environment that a program was started with below rinit, given these bytes of a shell's printf.
#[track_caller]
fn environment_of(give: &str, config: &str) -> Ended {
    let config = format!("[services.a]\ntype = \"oneshot\"\n{config}");
    let script = format!("{give} /mnt/rinit -c /mnt/files/rinit.toml");
    Init::SHELL.launch().file("rinit.toml", &config).args(&["-c", &script]).run().expect(0)
}

/// A value that is not UTF-8 reached no program through `${X}`: each byte of it had become U+FFFD.
#[test]
fn values_that_are_not_utf_8_pass_unchanged() {
    let config = "environment = { Y = \"<${X}>\", Z = \"ä${X:-no}\" }\n\
        command = [\"sh\", \"-c\", 'printf \"%s|\" \"$1\" \"$X\" \"$Y\" \"$Z\" | od -An -v -tx1', \"sh\", \"${X}.\"]\n";
    let ended = environment_of("X=$(printf 'a\\377\\303z') exec", config);
    let hex = ended.out.split_whitespace().collect::<Vec<_>>().join(" ");
    let x = "61 ff c3 7a";
    assert_eq!(hex, format!("{x} 2e 7c {x} 7c 3c {x} 3e 7c c3 a4 {x} 7c"), "{}", ended.story());
}

/// `A=1 A=2`, which execve(2) allows, were two names still when the configuration had set one.
#[test]
fn what_was_given_twice_is_one_name_when_it_is_set() {
    let give = "exec /usr/bin/python3 -c \"
import ctypes, sys
c = ctypes.CDLL(None)
words = [w.encode() for w in sys.argv[1:]]
argv = (ctypes.c_char_p * (len(words) + 1))(*words, None)
envp = (ctypes.c_char_p * 4)(b'A=1', b'PATH=/bin:/usr/bin', b'A=2', None)
c.execve(argv[0], argv, envp)\"";
    let ended = environment_of(give, "environment = { A = \"3\" }\ncommand = \"env\"\n");
    let given: Vec<_> = ended.out.lines().filter(|line| line.starts_with("A=")).collect();
    assert_eq!(given, ["A=3"], "{}", ended.story());
}

/// A name with ESC in it commanded the terminal that showed the log, and one with a newline forged lines of it.
#[test]
fn control_characters_of_names_never_reach_the_log() {
    let name = "no\u{1b}[31m\nrinit: forged\r\u{9b}x";
    let raw = |ended: &Ended| {
        let text = ended.err.replace('\n', "");
        assert!(!text.chars().any(char::is_control), "{:?}", ended.err);
        assert!(!ended.err.contains("\nrinit: forged"), "{:?}", ended.err);
        assert!(ended.err.contains("\\u{1b}[31m"), "{:?}", ended.err);
    };
    raw(&Init::RINIT.command(&[name]).run().expect(127));
    raw(&Init::RINIT.launch().args(&["--exec", "--", name]).run().expect(127));
    raw(&Init::RINIT.launch().args(&[&format!("--{name}")]).run().expect(64));
    raw(&Init::config(
        &format!("[services.a]\nuser = 7\ncommand = [{name:?}]\n")
            .replace("\\u{", "\\u{")
            .replace("{1b}", "001b")
            .replace("{9b}", "009b"),
    )
    .run());
    let service = "[services.a]\nuser = 7\ncommand = [\"no\\u001b[31m\\nrinit: forged\"]\n";
    raw(&Init::config(service).run());
    // The name of a process, where -v tells who was reaped.
    let script = "cp /bin/sleep \"/mnt/files/$1\"; (\"/mnt/files/$1\" 0.05 &); sleep 0.3";
    let name = "x\u{1b}[31m\ny";
    raw(&Init::RINIT.launch().args(&["-v", "--", "sh", "-c", script, "sh", name]).run());
}
