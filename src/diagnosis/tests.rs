use crate::diagnosis::*;
use crate::model::Ulimit;
use crate::sys::executable::lookup::{DeadLink, FileRights, Viewer};

fn script(interpreter: &str, found: Option<Found>) -> Content {
    Content::Script {
        interpreter: interpreter.into(),
        found: found.map(Box::new),
        asked: None,
        carriage_return: None,
    }
}

fn found(path: &str, content: Content) -> Found {
    let rights = FileRights {
        mode: 0o755,
        owner: "root:root".into(),
        class: "o",
        execute: true,
        read: true,
        ..FileRights::default()
    };
    Found { path: path.into(), directory: false, rights, noexec: None, content }
}

fn closed(mode: u32, class: &'static str) -> FileRights {
    FileRights { mode, owner: "root:root".into(), class, execute: false, read: true, ..FileRights::default() }
}

fn user_app() -> Viewer {
    Viewer { who: "user app".into(), ids: (1000, 1000), ..Viewer::default() }
}

fn closed_way() -> Option<Obstacle> {
    Some(Obstacle::Closed(Box::new(Barrier {
        path: "/app".into(),
        rights: closed(0o710, "o"),
        access: Access::Execute,
        dir: true,
        socket: false,
        on_the_way: true,
    })))
}

fn root() -> ExecFacts {
    ExecFacts {
        word: "run".into(),
        viewer: Viewer { who: "root".into(), lacks_override: true, ..Viewer::default() },
        lacks: vec!["DAC_OVERRIDE"],
        root: true,
        ..ExecFacts::default()
    }
}

fn app(content: Content) -> ExecFacts {
    let found = Some(found("/app/run", content));
    ExecFacts {
        word: "/app/run".into(),
        path: "/app/run".into(),
        viewer: user_app(),
        found,
        root: true,
        ..ExecFacts::default()
    }
}

#[track_caller]
fn says(stage: Stage, errno: Errno, look: &ExecFacts, words: &[&str]) {
    let text = explain(SpawnError { stage, errno }, look);
    for word in words {
        assert!(text.contains(word), "nothing of `{word}` in: {text}");
    }
    assert!(!text.contains("{}") && !text.contains('\n'), "{text}");
}

fn dead(path: &str, target: &str, circle: bool) -> Option<DeadLink> {
    Some(DeadLink { path: path.into(), target: target.into(), circle })
}

#[test]
fn what_a_file_is_tells_why_it_cannot_run() {
    let other = if hints::OWN_MACHINE == 183 { 62 } else { 183 };
    let elf =
        |loader: &str| Content::Elf { machine: hints::OWN_MACHINE, loader: Some((loader.into(), false)) };
    let crlf = Content::Script {
        interpreter: "/bin/sh".into(),
        found: None,
        asked: None,
        carriage_return: Some("/bin/sh".into()),
    };
    let env = Content::Script {
        interpreter: "/usr/bin/env".into(),
        found: Some(Box::new(found("/usr/bin/env", Content::Other))),
        asked: Some("bash".into()),
        carriage_return: Some("bash".into()),
    };
    let deep = script("/bin/a", Some(found("/bin/a", elf("/lib/ld-musl-x86_64.so.1"))));
    let itself = script("/app/run", Some(found("/app/run", Content::Other)));
    for (content, errno, words) in [
        (
            script("/bin/bash", None),
            Errno::ENOENT,
            &["/app/run, /bin/bash, is not there", "Debian", "apk add bash"][..],
        ),
        (script("/bin/sh", None), Errno::ENOENT, &["distroless have no shell"]),
        (script("/usr/bin/python", None), Errno::ENOENT, &["python3"]),
        (script("", None), Errno::ENOENT, &["without an interpreter"]),
        (
            deep,
            Errno::ENOENT,
            &["/app/run is a script", "the loader of /bin/a, /lib/ld-musl", "Alpine base image"],
        ),
        (itself, Errno::ELOOP, &["names itself"]),
        (crlf, Errno::ENOENT, &["carriage return", "\"/bin/sh\\r\"", "sed -i 's/\\r$//' /app/run"]),
        (env, Errno::ENOEXEC, &["looked for as \"bash\\r\""]),
        (elf("/lib64/ld-linux-x86-64.so.2"), Errno::ENOENT, &["is not there", "glibc", "gcompat"]),
        (Content::Elf { machine: other, loader: None }, Errno::ENOEXEC, &["is a program for", "--platform"]),
        (Content::Elf { machine: 9999, loader: None }, Errno::ENOEXEC, &["machine number 9999"]),
        (Content::Empty, Errno::ENOEXEC, &["empty file"]),
        (Content::ByteOrderMark, Errno::ENOEXEC, &["byte order mark", "sed -i"]),
        (Content::Foreign("macOS"), Errno::ENOEXEC, &["for macOS"]),
        (Content::Text, Errno::ENOEXEC, &["begin it with #!/bin/sh"]),
        (Content::Other, Errno::ENOEXEC, &["no program that this machine can run"]),
        (Content::Other, Errno::EPERM, &["file capabilities", "--cap-add", "setcap -r"]),
        (Content::Special("a pipe"), Errno::EACCES, &["/app/run is a pipe, no program; put the program"]),
        (Content::Other, Errno::EACCES, &["ACL, SELinux or AppArmor"]),
        (Content::Other, Errno::EAGAIN, &["ulimit nproc"]),
    ] {
        says(Stage::Exec, errno, &app(content), words);
    }
}

#[test]
fn what_is_not_there_tells_what_was_meant() {
    let name = || ExecFacts {
        word: "ngnix".into(),
        searched: vec!["/usr/bin".into(), "/bin".into()],
        ..ExecFacts::default()
    };
    let path = || ExecFacts { word: "./run".into(), path: "/app/run".into(), ..ExecFacts::default() };
    let near = ExecFacts { names: vec!["nginx".into()], covered: Some("/usr/bin".into()), ..name() };
    for (look, words) in [
        (name(), &["\"ngnix\": not found in PATH (/usr/bin:/bin); install it"][..]),
        (near, &["did you mean \"nginx\"?"]),
        (
            ExecFacts { word: "status".into(), names: vec!["stat".into()], ..name() },
            &["not found in PATH (/usr/bin:/bin); what a running rinit does is asked with rinitctl status"],
        ),
        (
            ExecFacts { word: "aps".into(), names: vec!["apt".into(), "ps".into(), "taps".into()], ..name() },
            &["did you mean \"apt\"?"],
        ),
        (
            ExecFacts {
                word: "staple".into(),
                names: vec!["stable2".into(), "tape".into(), "maple".into()],
                ..name()
            },
            &["(/usr/bin:/bin); install it"],
        ),
        (
            ExecFacts { elsewhere: Some("/usr/sbin/ngnix".into()), ..name() },
            &["it is at /usr/sbin/ngnix", "PATH"],
        ),
        (ExecFacts { covered: Some("/bin".into()), ..name() }, &["; /bin is a mount of its own", "hides"]),
        (path(), &["no such file: /app/run; correct the path"]),
        (
            ExecFacts { obstacle: Some(Obstacle::Missing("/app".into())), ..path() },
            &["there is no directory /app"],
        ),
        (
            ExecFacts { dead: dead("/app/run", "/x", false), ..path() },
            &["/app/run is a link to /x, which is not there"],
        ),
        (
            ExecFacts { dead: dead("/app/run", "/app/run", true), ..path() },
            &[
                "/app/run is a link to /app/run, which leads round in a circle of links; correct the link (ls -l /app/run)",
            ],
        ),
        (ExecFacts::default(), &["\"\": the name of the program is empty; give one"]),
        (ExecFacts { word: "app -x".into(), whole_line: true, ..name() }, &["[\"app\", \"-x\"]"]),
        (
            ExecFacts { word: "nginx -g 'daemon \"off\";'".into(), whole_line: true, ..name() },
            &["[\"nginx\", \"-g\", \"daemon \\\"off\\\";\"]"],
        ),
    ] {
        says(Stage::Exec, Errno::ENOENT, &look, words);
    }
}

#[test]
fn rights_and_surroundings_name_who_and_what() {
    let mut plain = app(Content::Other);
    if let Some(found) = &mut plain.found {
        found.rights = closed(0o640, "g");
    }
    says(
        Stage::Exec,
        Errno::EACCES,
        &plain,
        &["not executable for user app (mode 0640, owner root:root); chmod a+x /app/run"],
    );
    let mut noexec = app(Content::Other);
    if let Some(found) = &mut noexec.found {
        found.noexec = Some("/app".into());
    }
    says(Stage::Exec, Errno::EACCES, &noexec, &["lies on /app, which is mounted noexec"]);
    let way = closed_way();
    says(
        Stage::Exec,
        Errno::EACCES,
        &ExecFacts { obstacle: way.clone(), ..root() },
        &[
            "root may not enter the directory /app (mode 0710, owner root:root); chmod o+x /app",
            "--cap-add DAC_OVERRIDE",
        ],
    );
    let directory = ExecFacts { directory: "/srv".into(), no_directory: way, ..app(Content::Other) };
    says(
        Stage::Directory,
        Errno::EACCES,
        &directory,
        &["working directory /srv: user app may not enter the directory /app"],
    );
    let most = ExecFacts { most: (Some(7), Some(1 << 29)), ..root() };
    says(Stage::Fork, Errno::EAGAIN, &most, &["pids.max is 7", "--pids-limit"]);
    says(Stage::Fork, Errno::ENOMEM, &most, &["limit 512 MiB", "--memory"]);
    says(Stage::Fork, Errno::EAGAIN, &root(), &["kernel.pid_max"]);
    let lacks = ExecFacts { lacks: vec!["SETGID", "SETUID"], viewer: user_app(), ..root() };
    says(Stage::Credentials, Errno::EPERM, &lacks, &["--cap-add SETGID --cap-add SETUID"]);
    says(Stage::Credentials, Errno::EPERM, &root(), &["user namespace"]);
    let high = |name, hard, most, for_anybody| {
        let limit = Ulimit { name, soft: 1, hard };
        ExecFacts { too_high: Some(TooHigh { limit, most, for_anybody }), ..root() }
    };
    let above =
        ["ulimits: nproc 9 is above the hard limit, 7", "docker run --ulimit nproc=9, or ask for at most 7"];
    says(Stage::Ulimits, Errno::EPERM, &high("nproc", 9, 7, false), &above);
    let without =
        ["ulimits: nproc unlimited is above the hard limit, 7", "docker run --ulimit nproc=-1, or ask"];
    says(Stage::Ulimits, Errno::EPERM, &high("nproc", u64::MAX, 7, false), &without);
    let never = [
        "nofile unlimited is more than the kernel has for anybody (sysctl fs.nr_open is 8); ask for at most 8",
    ];
    says(Stage::Ulimits, Errno::EPERM, &high("nofile", u64::MAX, 8, true), &never);
    says(Stage::Ulimits, Errno::EINVAL, &root(), &["ulimits: Invalid argument"]);
    says(Stage::Credentials, Errno::EPERM, &ExecFacts { root: false, ..lacks }, &["not root", "--user 0"]);
}

#[test]
fn a_script_that_may_not_be_read() {
    let mut look = app(script("/bin/sh", None));
    let mut hidden = |mode, execute| {
        if let Some(found) = &mut look.found {
            found.rights = FileRights { execute, read: false, ..closed(mode, "o") };
        }
        look.clone()
    };
    let words = ["not executable for user app (mode 0750, owner root:root); chmod o+rx /app/run"];
    says(Stage::Exec, Errno::EACCES, &hidden(0o750, false), &words);
    let early = explain(STARTED, &hidden(0o711, true));
    assert_eq!(
        early,
        "/app/run is not readable for user app, as a script must be (mode 0711, owner root:root); chmod o+rx /app/run"
    );
    assert_eq!(why_not(&hidden(0o711, true)), Some(early));
    // A program need not be readable, and only a program has a set-id bit.
    for (content, mode, told) in [
        (Content::Elf { machine: hints::OWN_MACHINE, loader: None }, 0o711, false),
        (Content::Unreadable, 0o4711, false),
        (Content::Unreadable, 0o711, false),
    ] {
        let mut look = hidden(mode, true);
        look.found.iter_mut().for_each(|found| found.content = content.clone());
        assert_eq!(why_not(&look).is_some(), told, "{content:?} {mode:o}");
    }
}

/// Only for a script's first line; other programs report errors themselves.
#[test]
fn first_lines_are_told_of_when_a_program_has_ended_early() {
    let asked = |last: Option<&str>| Content::Script {
        interpreter: "/usr/bin/env".into(),
        found: None,
        asked: Some("bash".into()),
        carriage_return: last.map(Into::into),
    };
    let text = explain(STARTED, &ExecFacts { env_fails: true, ..app(asked(None)) });
    assert!(
        text.contains("asks env for bash, which is not in PATH") && text.contains("apk add bash"),
        "{text}"
    );
    let text = explain(STARTED, &app(asked(Some("bash"))));
    assert!(text.contains("so that its interpreter is looked for as \"bash\\r\";"), "{text}");
    let text = explain(STARTED, &app(asked(Some("-e"))));
    assert!(text.contains("so that its interpreter is given \"-e\\r\";"), "{text}");
    assert_eq!(explain(STARTED, &app(asked(None))), "");
    let text = explain(STARTED, &app(Content::Text));
    assert!(text.contains("so that /bin/sh ran it; begin it with"), "{text}");
}

#[test]
fn exit_codes_are_the_shells() {
    let code = |stage, errno| exit_code(SpawnError { stage, errno });
    assert_eq!(code(Stage::Exec, Errno::ENOENT), 127);
    assert_eq!(code(Stage::Exec, Errno::EACCES), 126);
    assert_eq!(code(Stage::Exec, Errno::ENOEXEC), 126);
    assert_eq!(code(Stage::Credentials, Errno::EPERM), 71);
}

#[test]
fn known_programs_have_their_own_option() {
    assert_eq!(hints::foreground("nginx"), "-g 'daemon off;'");
    assert_eq!(hints::foreground("php-fpm8.2"), "-F");
    assert!(hints::foreground("app").contains("--foreground"));
}
