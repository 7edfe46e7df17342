//! `[configs]` and `[secrets]`: files that are written before anything starts.

use crate::harness::{Ended, FILES, Init, Launch, eventually, needs_root};

/// A service that shows files when it runs.
fn showing(files: &str) -> String {
    format!(
        "[services.show]\ntype = \"oneshot\"\ncommand = [\"sh\", \"-c\", \"cd {FILES} && cat {files} && echo started\"]\n"
    )
}

/// A shell as PID 1, which prepares something and then starts rinit as often as it likes: `start` does it.
fn script(script: &str, config: &str) -> Launch {
    let script =
        format!("cd {FILES}\nstart() {{ /mnt/rinit --config {FILES}/rinit.toml \"$@\"; }}\n{script}");
    Init::SHELL.launch().args(&["-c", &script]).file("rinit.toml", config)
}

#[track_caller]
fn says(ended: &Ended, out: &str) {
    assert_eq!(ended.out, out, "{}", ended.story());
}

/// The three sources; `$$` is one `$` where every `${}` is ours.
#[test]
fn content_a_file_and_a_variable_are_written() {
    let config = format!(
        "[configs.content]\ncontent = \"port=${{PORT}} $$x $y\\n\"\ntarget = \"{FILES}/a/b/content\"\n\
         [configs.file]\nfile = \"app.conf.in\"\ntarget = \"{FILES}/file\"\n\
         [configs.environment]\nenvironment = \"RAW\"\ntarget = \"{FILES}/environment\"\n{}",
        showing("a/b/content file environment")
    );
    let launch = Init::config(&config).env("PORT", "80").env("RAW", "${PORT} $$ &|\\\n");
    // Beside the file that names it, as in Compose.
    let ended = launch.file("app.conf.in", "listen ${PORT:-1};\n$uri $$\n").run().expect(0);
    says(&ended, "port=80 $x $y\nlisten 80;\n$uri $\n${PORT} $$ &|\\\nstarted\n");
}

/// confd and dockerize wrote an empty text, or `<no value>`, and went on.
#[test]
fn an_unset_name_is_a_fault_with_its_place_and_nothing_is_started() {
    let config = format!(
        "[configs.app]\nfile = \"app.conf.in\"\ntarget = \"{FILES}/app.conf\"\n\
         [configs.two]\nfile = \"two.in\"\ntarget = \"{FILES}/two\"\n{}",
        showing("app.conf")
    );
    let launch = Init::config(&config).file("app.conf.in", "listen ${PORT};\nä ${HOST} ${PORT}\n${A!}\n");
    let run = launch.file("two.in", "${NO:?tell me}").start();
    let directory = run.directory().to_owned();
    let written = move || directory.join("app.conf").exists();
    let ended = run.end().expect(78).tells(&[
        "rinit.toml:2:8: configs.app.file: /mnt/files/app.conf.in:1:8: PORT is not set and has no default",
        "app.conf.in:2:3: HOST is not set",
        "app.conf.in:3:1: \"${A!}\": after the name comes",
        "two.in:1:1: NO is not set: tell me",
        "4 faults while preparing the start; nothing was started",
    ]);
    assert!(!written() && ended.out.is_empty(), "{}", ended.story());
}

/// nginx's own words in both spellings, PHP's `$$x` and what no rule of ours can read.
const OTHERS: &str = "return 301 ${scheme}://$host$uri; $$x ${x ${1} \\$ ${fastcgi:-} $(A)\n^/a$|${2,3}\n";

#[test]
fn with_vars_all_else_stays_byte_for_byte() {
    let config = format!(
        "[configs.file]\nfile = \"t\"\ntarget = \"{FILES}/file\"\nvars = [\"PORT\"]\n\
         [configs.none]\nfile = \"t\"\ntarget = \"{FILES}/none\"\nvars = []\n\
         [configs.content]\ncontent = '${{PORT}} $$x ${{scheme}}'\ntarget = \"{FILES}/content\"\nvars = \"PORT\"\n{}",
        showing("file none content")
    );
    let text = format!("${{PORT}} ${{HOME}} $PORT\n{OTHERS}");
    let ended = Init::config(&config).file("t", &text).env("PORT", "80").env("scheme", "no").run().expect(0);
    says(&ended, &format!("80 ${{HOME}} $PORT\n{OTHERS}{text}80 $$x ${{scheme}}started\n"));
}

/// The nginx image's habit: each `*.template`, and only what is set is replaced.
#[test]
fn a_directory_is_mirrored_and_only_names_that_are_set_are_replaced() {
    let config = format!(
        "[configs.t]\nfile = \"templates\"\ntarget = \"{FILES}/conf.d\"\nmode = \"0640\"\n{}",
        showing(
            "conf.d/a.conf conf.d/sub/b.conf && (cd conf.d && find . -type f | sort && stat -c %a sub/b.conf)"
        )
    );
    let text = format!("${{PORT}} ${{EMPTY}}|${{NONE}} ${{NONE:-d}} $PORT {OTHERS}");
    let launch = Init::config(&config).env("PORT", "80").env("EMPTY", "");
    let launch = launch.file("templates/a.conf.template", &text).file("templates/README", "${NONE:?no}");
    let ended = launch.file("templates/sub/b.conf.template", "b ${PORT}\n").run().expect(0);
    let text = format!("80 |${{NONE}} d $PORT {}", OTHERS.replace("${fastcgi:-}", ""));
    says(&ended, &format!("{text}b 80\n./a.conf\n./sub/b.conf\n640\nstarted\n"));
}

/// A ConfigMap is a directory of links into one whose name begins with `..`: each template was rendered three times.
#[test]
fn a_config_map_is_rendered_once() {
    let config = "[configs.t]\nfile = \"t\"\ntarget = \"/mnt/files/out\"\n";
    let prepare = "mkdir -p t/..2026; echo 'a ${A}' > t/..2026/a.template; ln -s ..2026 t/..data
        ln -s ..data/a.template t/a.template; start --exec -- find out -type f; cat out/a";
    let ended = script(prepare, config).env("A", "x").run().expect(0);
    says(&ended, "out/a\na x\n");
}

#[test]
fn a_directory_without_templates_is_told() {
    let config = "[configs.t]\nfile = \"t\"\ntarget = \"/mnt/files/out\"\n";
    let ended = script("mkdir t; : > t/a.conf; start --exec -- true", config).run().expect(0);
    ended.tells(&["configs.t: /mnt/files/t holds no *.template: nothing is written"]);
    script("start --exec -- true", config)
        .run()
        .expect(78)
        .tells(&["rinit.toml:2:8: configs.t.file: /mnt/files/t does not exist"]);
}

/// `&`, `|`, `\`, quotes, newlines and bytes that are no UTF-8: what passes values through sed breaks each of them.
#[test]
fn values_arrive_whatever_bytes_they_hold() {
    let config = "[configs.e]\nenvironment = \"RAW\"\ntarget = \"/mnt/files/e\"\n\
                  [configs.c]\ncontent = \"${RAW}\"\ntarget = \"/mnt/files/c\"\n\
                  [configs.f]\nfile = \"f.in\"\ntarget = \"/mnt/files/f\"\n\
                  [secrets.s]\nfile = \"raw\"\ntarget = \"/mnt/files/s\"\n\
                  [secrets.t]\nfile = \"nul\"\ntarget = \"/mnt/files/t\"\n";
    let prepare = r#"RAW=$(printf 'a&b|c\\d"e'"'"'f\ng ${A} $$ \001\200\376\377 \342\202\254'); export RAW
        printf %s "$RAW" > raw; printf '<${RAW}\377>' > f.in; printf '<%s\377>' "$RAW" > want
        printf 'a\000$$ ${A}\n' > nul
        start --exec -- true || exit; for f in e c s; do cmp raw $f || exit; done; cmp want f && cmp nul t && echo same"#;
    says(&script(prepare, config).run().expect(0), "same\n");
}

/// What is right already is not touched: the same inode and times, and no fault on a read-only mount.
#[test]
fn what_is_unchanged_is_untouched() {
    needs_root();
    let config = "[configs.a]\ncontent = \"a\"\ntarget = \"/mnt/files/d/a\"\nmode = \"0640\"\nuid = 1\n\
                  [secrets.b]\ncontent = \"long secret\"\ntarget = \"/mnt/files/d/b\"\n\
                  [secrets.g]\ngenerate = \"uuid\"\ntarget = \"/mnt/files/d/g\"\n";
    let prepare =
        "start --exec -- true; touch -d '2001-01-01 00:00' d/*; stat -c '%n %i %y %z %u %a' d d/* > before
        start --exec -- true; stat -c '%n %i %y %z %u %a' d d/* | cmp before && echo same
        mount --bind d d && mount -o remount,bind,ro d && start --exec -- echo read-only";
    let ended = script(prepare, config).run().expect(0);
    says(&ended, "same\nread-only\n");
    assert_eq!(ended.err, "", "{}", ended.story());
}

/// Only owner and mode differ: the file stays, and gets them.
#[test]
fn owner_and_mode_are_given_where_they_differ_and_rewritten_files_have_them() {
    needs_root();
    let config = "[configs.a]\ncontent = \"a\"\ntarget = \"/mnt/files/a\"\nmode = \"0640\"\nuid = \"daemon\"\ngid = 7\n\
                  [configs.b]\ncontent = \"b\"\ntarget = \"/mnt/files/b\"\n\
                  [secrets.s]\ncontent = \"secret\"\ntarget = \"/mnt/files/s\"\n";
    let prepare = "umask $MASK; printf a > a; chmod 666 a; stat -c %i a > i; printf old > b; chmod 600 b
        start --exec -- true; stat -c %i a | cmp i; stat -c '%n %u %g %a' a b s";
    for mask in ["0000", "0077"] {
        let ended = script(prepare, config).env("MASK", mask).run().expect(0);
        says(&ended, "a 1 7 640\nb 0 0 644\ns 0 0 400\n");
    }
    let unknown = config.replace("\"daemon\"", "\"nobody-knows\"").replace("gid = 7", "gid = \"none\"");
    script("start --exec -- true", &unknown)
        .run()
        .expect(78)
        .tells(&["configs.a.uid: no user \"nobody-knows\"; name another, or a number"]);
}

/// A file-size limit kills the writer at its first byte: what it leaves behind has the owner and mode of the file already,
/// and the file itself is as it was. What is left behind is removed once it is old.
#[test]
fn owner_and_mode_come_before_the_first_byte() {
    needs_root();
    let config = "[secrets.s]\ncontent = \"new secret\"\ntarget = \"/mnt/files/d/s.conf\"\nuid = 1\ngid = 2\nmode = \"0440\"\n";
    let prepare = "mkdir d; echo old > d/s.conf; (ulimit -f 0; start --exec -- echo no); echo $?
        cat d/s.conf; stat -c '%s %u %g %a' d/.rinit-*; start --exec -- true; ls -A d | wc -l
        touch -d '1 minute ago' d/.rinit-*; echo x > d/s.conf; start --exec -- true; ls -A d; cat d/s.conf";
    let ended = script(prepare, config).run().expect(0);
    says(&ended, "71\nold\n0 1 2 440\n2\ns.conf\nnew secret");
}

/// A file that is a mount itself (a bind mount of one file, /etc/hosts) cannot be replaced: EBUSY.
#[test]
fn a_target_that_is_a_mount_is_written_in_place_and_that_is_said() {
    needs_root();
    let config = "[configs.a]\ncontent = \"a long text\"\ntarget = \"/mnt/files/a\"\nmode = \"0600\"\n";
    let prepare = "echo 'something that is longer' > host; ln host same; : > a; mount --bind host a
        start --exec -- cat same; echo; stat -c %a a; ls -A | grep rinit-; start --exec -- true
        mount -o remount,bind,ro a; start --exec -- echo unchanged; echo x > same; start --exec -- echo no";
    let ended = script(prepare, config).run().expect(71);
    says(&ended, "a long text\n600\nunchanged\n");
    let said = "configs.a: /mnt/files/a is a mount itself";
    assert_eq!(ended.err.matches(said).count(), 1, "{}", ended.story());
    ended.tells(&["configs.a: /mnt/files/a is a mount that is read-only; mount it without :ro"]);
}

/// docker-nginx #416 and three more: the mount that is to be added is named, and with it all is well.
#[test]
fn a_read_only_root_is_a_fault_that_names_the_mount_to_add() {
    needs_root();
    let config = "[configs.a]\ncontent = \"a\"\ntarget = \"/mnt/files/ro/app/a.conf\"\n";
    let prepare = "mkdir -p ro/app; echo x > ro/app/other; mount -t tmpfs tmpfs ro/app; umount ro/app
        mount --bind ro ro; mount -o remount,bind,ro ro; start --exec -- echo no
        mount -t tmpfs tmpfs ro/app; start --exec -- cat ro/app/a.conf";
    let ended = script(prepare, config).run().expect(0);
    says(&ended, "a");
    ended.tells(&[
        "rinit.toml:1:10: configs.a: /mnt/files/ro/app/a.conf cannot be written: the mount /mnt/files/ro is read-only; mount it writable, or something at /mnt/files/ro/app: docker run --tmpfs /mnt/files/ro/app, in Kubernetes an emptyDir",
    ]);
    let config = "[configs.a]\ncontent = \"a\"\ntarget = \"/usr/share/rinit/a.conf\"\n[configs.b]\ncontent = \"b\"\ntarget = \"/etc/b\"\n";
    let ended = Init::config(config).bare().command(&["echo", "no"]).run().expect(71);
    ended.tells(&[
        "/usr/share/rinit cannot be written: the root file system is read-only; mount something writable at /usr/share/rinit: docker run --tmpfs /usr/share/rinit, in Kubernetes an emptyDir\n",
        "/etc is no place for a mount; name a target in a directory of its own, such as /run/config/b",
    ]);
}

/// Nothing half is kept, and what was there stays.
#[test]
fn a_full_disk_changes_nothing() {
    needs_root();
    let config = "[configs.a]\nfile = \"big\"\nvars = []\ntarget = \"/mnt/files/d/a\"\n";
    let prepare =
        "mkdir d; mount -t tmpfs -o size=64k tmpfs d; echo old > d/a; head -c 200000 /dev/zero > big
        start --exec -- echo no; echo $?; cat d/a; ls -A d";
    let ended = script(prepare, config).run().expect(0);
    says(&ended, "71\nold\na\n");
    ended.tells(&["/mnt/files/d/a cannot be written: No space left on device; make room there"]);
}

#[test]
fn with_keep_a_file_that_is_there_stays() {
    let config = "[configs.a]\ncontent = \"new\"\ntarget = \"/mnt/files/a\"\nkeep = true\n\
                  [configs.b]\ncontent = \"new\"\ntarget = \"/mnt/files/b\"\nkeep = true\n";
    let prepare = "printf old > a; chmod 600 a; start --exec -- stat -c '%n %a %s' a b; echo more >> b
        start --exec -- cat a b";
    let ended = script(prepare, config).run().expect(0);
    says(&ended, "a 600 3\nb 644 3\noldnewmore\n");
}

const GENERATED: &str = "[secrets.a]\ngenerate = \"base64:32\"\ntarget = \"/mnt/files/s/a\"\n\
                         [secrets.b]\ngenerate = \"hex:16\"\ntarget = \"/mnt/files/s/b\"\nmode = \"0440\"\n\
                         [secrets.c]\ngenerate = \"alnum:24\"\ntarget = \"/mnt/files/s/c\"\n\
                         [secrets.d]\ngenerate = \"uuid\"\ntarget = \"/mnt/files/s/d\"\n";

/// Made once: the second start has the same, and one that another made (an operator) is taken as it is.
#[test]
fn what_is_generated_is_made_once_and_never_shown() {
    let prepare = r#"start --exec -- true; stat -c '%n %s %a' s/*; cp -r s t; start --exec -- true; diff -r s t && echo same
        grep -Ec '^[A-Za-z0-9+/]{43}=$' s/a; grep -Ec '^[0-9a-f]{32}$' s/b; grep -Ec '^[A-Za-z0-9]{24}$' s/c
        grep -Ec '^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$' s/d
        echo mine > s/c; start --exec -- cat s/c"#;
    let ended = script(prepare, GENERATED).run().expect(0);
    says(&ended, "s/a 44 400\ns/b 32 440\ns/c 24 400\ns/d 36 400\nsame\n1\n1\n1\n1\nmine\n");
    assert_eq!(ended.err, "", "{}", ended.story());
    // Nor by who debugs, nor of a service that writes it to a log of rinit's, nor in the cause of an end.
    let config = format!(
        "{GENERATED}[services.x]\ntype = \"oneshot\"\ncommand = [\"sh\", \"-c\", \"cat s/a; echo; cat s/c >&2; exit 3\"]\nlogging = \"prefix\"\n"
    );
    let prepare = "start -v -v; start --explain; start --validate; cat s/a s/c > all";
    let run = script(prepare, &config).start();
    let directory = run.directory().to_owned();
    let read = move |name: &str| std::fs::read_to_string(directory.join("s").join(name)).unwrap();
    run.wait_for("no faults");
    let (a, c) = (read("a"), read("c"));
    let ended = run.end().expect(0);
    for secret in [a, c] {
        let shown = [&ended.out, &ended.err].iter().any(|text| text.contains(&secret));
        assert!(secret.len() >= 24 && !shown, "{}", ended.story());
    }
    assert!(ended.out.contains("***") && ended.err.contains("***"), "{}", ended.story());
}

/// A start that was cut short between making a file and filling it left an empty one, which would be the secret.
#[test]
fn an_empty_secret_is_made_anew_and_that_is_told() {
    let config = "[secrets.a]\ngenerate = \"hex:16\"\ntarget = \"/mnt/files/a\"\n";
    let prepare = ": > a; touch -d '1 minute ago' a; start --exec -- wc -c a; start --exec -- true; ls -A";
    let ended = script(prepare, config).run().expect(0);
    says(&ended, "32 a\na\nrinit.toml\n");
    let told = "secrets.a: /mnt/files/a was empty, as a start leaves it that was cut short: it was made anew";
    assert_eq!(ended.err.matches(told).count(), 1, "{}", ended.story());
}

/// Of two that start at once on one volume one wins, and both have its value: by rename, where that is not known (NFS,
/// FUSE) by link, and where neither works (FAT) by whoever makes the file.
#[test]
fn of_two_starters_one_wins_and_both_have_its_value() {
    let config = "[secrets.a]\ngenerate = \"hex:16\"\ntarget = \"/mnt/files/d/a\"\n\
                  [configs.k]\ncontent = \"${WHO}\"\nkeep = true\ntarget = \"/mnt/files/d/k\"\n";
    let prepare = r#"for n in $(seq 40); do rm -rf d
        for who in 1 2 3; do WHO=$who start --exec -- sh -c 'cat d/a d/k > '$who & done; wait
        cmp 1 2 && cmp 2 3 && test $(wc -c < 1) = 33 && test $(ls -A d | wc -l) = 2 || exit 9; done; echo same"#;
    let rename = (libc::SYS_renameat2, libc::EINVAL);
    let link = (libc::SYS_linkat, libc::EPERM);
    let seccomp = (libc::SYS_renameat2, libc::EPERM);
    for refused in [&[][..], &[rename], &[seccomp], &[rename, link], &[(libc::SYS_renameat2, libc::ENOSYS)]] {
        let ended = script(prepare, config).refusing(refused).run();
        assert_eq!((ended.code(), ended.out.as_str()), (0, "same\n"), "{refused:?} {}", ended.story());
    }
}

/// As getrandom(2) is refused or not known, `/dev/urandom` has what it takes.
#[test]
fn random_bytes_need_no_getrandom() {
    for errno in [libc::ENOSYS, libc::EPERM] {
        let launch = script("start --exec -- wc -c s/d", GENERATED).refusing(&[(libc::SYS_getrandom, errno)]);
        says(&launch.run().expect(0), "36 s/d\n");
    }
}

/// What a link points to is written, as `>` does it: the link stays. One that another user has made may lead anywhere.
#[test]
fn links_of_root_are_followed_and_those_of_others_are_not() {
    needs_root();
    let config = "[configs.a]\ncontent = \"a\"\ntarget = \"/mnt/files/etc/a.conf\"\n";
    let prepare = "mkdir -p etc data; ln -s ../data/a.conf etc/a.conf; start --exec -- cat data/a.conf; echo
        test -L etc/a.conf && echo link; chown -h 1 etc/a.conf; rm data/a.conf; start --exec -- echo no; ls data
        chown -h root /mnt/files/etc/a.conf; start --exec -- cat data/a.conf; echo; rm data/a.conf
        rm etc/a.conf; rmdir etc; ln -s data etc; chown -h 1 etc; start --exec -- echo no; ls data";
    let ended = script(prepare, config).run().expect(0);
    says(&ended, "a\nlink\na\n");
    ended.tells(&[
        "configs.a: /mnt/files/etc/a.conf is a link of user 1, who could lead it anywhere: nothing is written through it",
        "chown -h root /mnt/files/etc/a.conf",
        "configs.a: /mnt/files/etc is a link of user 1",
    ]);
}

/// A FIFO, a device and a directory are left alone.
#[test]
fn what_is_no_file_is_not_replaced() {
    let config = "[configs.a]\ncontent = \"a\"\ntarget = \"/mnt/files/a\"\n";
    for (make, said) in [
        ("mkfifo a", "/mnt/files/a is neither a file nor missing: it is not replaced"),
        ("mkdir a", "/mnt/files/a is a directory (a bind mount whose source is missing makes one)"),
        ("ln -s a a", "configs.a: /mnt/files/a cannot be written: "),
        ("ln -s rinit.toml b; ln -s b/c a", "is no directory; name another target"),
    ] {
        let ended = script(
            &format!("{make}; ls -ld a > b4; start --exec -- echo no; echo $?; ls -ld a | cmp b4"),
            config,
        );
        let ended = ended.run();
        says(&ended, "71\n");
        ended.tells(&[said]);
    }
}

/// Whoever is not root gives nothing away, and services are the same user: it is told, and goes on. Root without the
/// capability is told which it is, and a secret that nobody else could read is a fault.
#[test]
fn who_may_not_give_files_away_is_told_why() {
    needs_root();
    let config = "[configs.a]\ncontent = \"a\"\ntarget = \"/mnt/files/a\"\nuid = 1\n\
                  [secrets.b]\ncontent = \"hunter2\"\ntarget = \"/mnt/files/b\"\nuid = 1\n";
    let run = || Init::config(config).command(&["sh", "-c", "cd /mnt/files; stat -c '%n %u %a' a b"]);
    let ended = run().user(1000).run().expect(0);
    says(&ended, "a 1000 644\nb 1000 400\n");
    ended.tells(&["rinit: configs.a: /mnt/files/a does not belong to whom it was to be given to: Operation not permitted; only root can give files away"]);
    let prepare = "setpriv --bounding-set -chown /mnt/rinit --config rinit.toml --exec -- echo no; ls";
    let ended = script(prepare, config).run().expect(0);
    says(&ended, "a\nrinit.toml\n");
    ended.tells(&[
        "configs.a: /mnt/files/a does not belong to whom it was to be given to: Operation not permitted; it takes the capability CHOWN",
        "secrets.b: /mnt/files/b cannot be given to whom it is for, and nobody else may read it: Operation not permitted; it takes the capability CHOWN (docker run --cap-add CHOWN)",
    ]);
}

/// A directory that the user may not write to: who may not, and what mends it.
#[test]
fn a_directory_that_is_closed_is_told() {
    needs_root();
    let config = "[configs.a]\ncontent = \"a\"\ntarget = \"/mnt/files/d/a\"\n";
    let ended = script(
        "mkdir -m 755 d; setpriv --reuid 4321 --clear-groups /mnt/rinit --config rinit.toml --exec -- true",
        config,
    );
    ended.run().expect(71).tells(&[
        "configs.a: /mnt/files/d/a cannot be written: user 4321 may not write to the directory /mnt/files/d (mode 0755, owner root:root)",
    ]);
}

#[test]
fn conditions_hold_on_both_and_what_is_off_needs_no_variable() {
    let config = format!(
        "[configs.a]\ncontent = \"${{NONE}}\"\ntarget = \"{FILES}/a\"\nwhen_env = \"NONE\"\n\
         [secrets.b]\nenvironment = \"NONE\"\ntarget = \"{FILES}/b\"\nwhen_exists = \"/no/such\"\n\
         [configs.c]\ncontent = \"c\"\ntarget = \"{FILES}/c\"\nwhen_env = \"YES=1|2\"\n"
    );
    let launch = || Init::config(&config).env("YES", "2");
    says(&launch().sh("ls /mnt/files").run().expect(0), "c\nrinit.toml\n");
    launch().args(&["--explain"]).run().expect(0);
    let ended = launch().args(&["--explain"]).run().expect(0);
    assert!(
        ended.out.contains("configs.a: /mnt/files/a from its content, mode 0644 (off: NONE is not set)"),
        "{}",
        ended.story()
    );
}

/// All but the checks is expanded after the checks.
#[test]
fn what_a_check_exports_is_seen() {
    let config = format!(
        "[checks.env.HOST]\ndefault = \"db\"\n\
         [configs.a]\ncontent = \"${{HOST}}\\n\"\ntarget = \"{FILES}/${{HOST}}/a\"\n\
         [configs.b]\nfile = \"t\"\ntarget = \"{FILES}/b\"\n\
         [configs.c]\nenvironment = \"HOST\"\ntarget = \"{FILES}/c\"\n{}",
        showing("db/a b c")
    );
    says(&Init::config(&config).file("t", "<${HOST}>").run().expect(0), "db\n<db>dbstarted\n");
    let ended = Init::config(&config).file("t", "").args(&["--explain"]).run().expect(0);
    assert!(ended.out.contains("configs.a: /mnt/files/${HOST}/a from its content"), "{}", ended.story());
}

/// A check that fails keeps all from being written; `--check`, `--validate` and `--explain` write nothing.
#[test]
fn nothing_is_written_but_by_a_start() {
    let config = "[configs.a]\ncontent = \"a\"\ntarget = \"/mnt/files/a\"\n[checks.env.NEEDED]\n";
    let run = |words: &[&str]| script(&format!("start {}; ls", words.join(" ")), config).env("NEEDED", "");
    for words in [&["--", "echo", "no"][..], &["--check"], &["--validate"], &["--explain"]] {
        let ended = run(words).run().expect(0);
        assert!(ended.out.ends_with("rinit.toml\n") && !ended.out.contains("a\nrinit"), "{}", ended.story());
    }
}

/// The text of a secret stands in the file, where a fault or `--explain` would show its line.
#[test]
fn a_secret_that_stands_in_the_file_is_not_shown() {
    let config = |rest: &str| {
        format!(
            "[secrets.a]\ncontent = \"hunter2 and more\"{rest}\ntarget = \"{FILES}/a\"\nmode = \"0440\"\n[services.x]\ncommand = \"true\"\n"
        )
    };
    let ended = Init::config(&config("")).args(&["--explain"]).run().expect(0);
    assert!(!ended.out.contains("hunter2"), "{}", ended.story());
    assert!(ended.out.contains("secrets.a: /mnt/files/a from its content, mode 0440"), "{}", ended.story());
    assert!(
        ended.out.contains("secrets.a.content is not shown  (/mnt/files/rinit.toml:2)"),
        "{}",
        ended.story()
    );
    for rest in
        ["\nfile = \"hunter2 and more\"", "\nkeep = \"hunter2 and more\"", "\nx = = \"hunter2 and more\""]
    {
        let ended = Init::config(&config(rest)).run().expect(78);
        assert!(!ended.err.contains("hunter2"), "{}", ended.story());
    }
}

/// A template that is a pipe nobody writes to, or lies on a file system that hangs: TERM ends the start at once.
#[test]
fn a_stop_is_heard_while_files_are_prepared() {
    let config = "[configs.a]\nfile = \"fifo\"\ntarget = \"/mnt/files/a\"\n";
    let launch = script("mkfifo fifo; exec /mnt/rinit --config rinit.toml -- echo no", config);
    let run = launch.start();
    eventually("the helper reads", || {
        run.others().iter().any(|process| process.command.starts_with("/mnt/rinit"))
    });
    let ended = run.stops_at_once();
    assert_eq!((ended.code(), ended.out.as_str()), (143, ""), "{}", ended.story());
}

/// `--validate` looks at the templates that are there; one that is not there yet may come with a volume.
#[test]
fn validation_finds_the_faults_of_templates() {
    let config = "[checks.env.HOST]\ndefault = \"db\"\n\
                  [configs.a]\nfile = \"a.in\"\ntarget = \"/mnt/files/out/a\"\n\
                  [configs.t]\nfile = \"t\"\ntarget = \"/mnt/files/out/t\"\nvars = [\"PORT\", \"HOST\"]\n";
    let run = |a: &str, t: &str| {
        let launch = Init::config(config).args(&["--validate"]).file("t/x.template", t);
        if a.is_empty() { launch.run() } else { launch.file("a.in", a).run() }
    };
    let ended = run("${HOST}\n ${PROT}\n", "${scheme} ${PORT} ${HOST}\n").expect(78);
    ended.tells(&[
        "rinit.toml:4:8: configs.a.file: /mnt/files/a.in:2:2: PROT is not set",
        "rinit.toml:7:8: configs.t.file: /mnt/files/t/x.template:1:11: PORT is not set",
    ]);
    let ended = run("", "${scheme} ${HOST}\n").expect(0);
    assert_eq!(ended.out, "the configuration has no faults, but the warnings above\n", "{}", ended.story());
    ended.tells(&["configs.a.file: there is no /mnt/files/a.in; put it into the image, or mount it"]);
    let ended = run("${HOST}", "").expect(0);
    assert_eq!((ended.out.as_str(), ended.err.as_str()), ("the configuration has no faults\n", ""));
}

/// Beside the script of the nginx image, which names what is set and gives that to envsubst(1): where templates say
/// `${NAME}`, the bytes are the same.
#[test]
fn a_directory_is_rendered_as_by_the_nginx_image() {
    let config = "[configs.t]\nfile = \"templates\"\ntarget = \"/mnt/files/ours\"\n";
    let theirs = r#"defined=$(printf '${%s} ' $(awk 'END { for (name in ENVIRON) print name }' < /dev/null))
        cd templates; find . -follow -type f -name '*.template' | while read -r file; do
        mkdir -p ../theirs/$(dirname $file); envsubst "$defined" < $file > ../theirs/${file%.template}; done; cd ..
        start --exec -- diff -r ours theirs && find ours -type f | wc -l"#;
    let text = OTHERS.replace("${fastcgi:-}", "");
    let launch =
        script(theirs, config).env("PORT", "80").env("VALUE", "a&b|c\\d \"e\" ${PORT} $$").env("EMPTY", "");
    let launch = launch.file(
        "templates/a.conf.template",
        &format!("{text}<${{PORT}}|${{VALUE}}|${{EMPTY}}|$${{PORT}}|${{NONE}}>"),
    );
    let launch = launch.file("templates/x/y/b.template", &format!("${{{{PORT}}}} {{${{PORT}}}}\n{text}"));
    says(&launch.file("templates/README", "").run().expect(0), "2\n");
}

/// What is to be there after a loss of power is synced, and an error of the disk is told; in memory nothing is.
#[test]
fn what_is_made_once_is_synced() {
    needs_root();
    let plain = "[configs.a]\ncontent = \"a\"\ntarget = \"/mnt/files/d/a\"\n";
    let kept = plain.to_owned() + "keep = true\n";
    let prepare = "mkdir d; mount -t tmpfs tmpfs d; start --exec -- ls -A d; echo $?; ls -A d";
    let run =
        |config: &str, errno| script(prepare, config).refusing(&[(libc::SYS_fsync, errno)]).run().expect(0);
    says(&run(plain, libc::EIO), "a\n0\na\n");
    says(&run(&kept, libc::EINVAL), "a\n0\na\n");
    let ended = run(&kept, libc::EIO);
    says(&ended, "71\n");
    ended.tells(&["configs.a: /mnt/files/d/a cannot be written: "]);
}

/// A mount that forgets modes (virtiofs, 9p, FAT): a secret that cannot be 0400 is told.
#[test]
fn a_mode_that_does_not_stick_is_told() {
    let config = "[secrets.a]\ncontent = \"hunter2\"\ntarget = \"/mnt/files/a\"\n";
    let launch = script("start --exec -- stat -c %a a", config);
    let ended = launch.refusing(&[(libc::SYS_fchmod, libc::EPERM)]).run().expect(0);
    says(&ended, "600\n");
    ended.tells(&[
        "secrets.a: /mnt/files/a has mode 0600 where 0400 was asked for: its mount does not keep modes",
    ]);
}

/// Hooks run after the files are written: what only they set is not known yet, and no half of a file is written.
#[test]
fn what_a_hook_sets_is_told_to_come_too_late() {
    let keys = |keys: &str| {
        format!(
            "[hooks]\nbefore_start = \"{FILES}/hooks\"\nexport_env = [\"LATE\"]\n[configs.a]\ntarget = \"{FILES}/a\"\n{keys}\n"
        )
    };
    let config = |body| keys(body) + "[services.x]\ntype = \"oneshot\"\ncommand = [\"echo\", \"no\"]\n";
    for body in ["content = \"${LATE}\"", "content = \"x\"\nuid = \"${LATE}\"", "file = \"/${LATE}\""] {
        let launch = Init::config(&config(body)).file_with_mode("hooks/1.sh", "#!/bin/sh\nexit 1\n", 0o755);
        let ended = launch.run().expect(78);
        ended.tells(&[
            "configs.a needs a variable that only a hook sets, and hooks run after files are written",
        ]);
    }
}
