//! Who the COMMAND and services run as, where that is said by variables: `user = "${PUID:-4711}:${PGID:-4711}"`, and the
//! entry in /etc/passwd that some programs look for.

use crate::harness::{Ended, Init, Launch, PROBE, needs_root};

const USER: &str = "user = '${PUID:-4711}:${PGID:-4711}'\n";

fn report(keys: &str) -> String {
    format!("[services.main]\ncommand = ['{PROBE}', 'report']\n{keys}")
}

#[track_caller]
fn has(ended: &Ended, lines: &[&str]) {
    for line in lines {
        assert!(ended.out.lines().any(|known| known == *line), "no `{line}`\n{}", ended.story());
    }
}

/// The habit of linuxserver's images. Numbers need no entry, and one that exists already does not matter.
#[test]
fn uid_and_gid_by_variables() {
    needs_root();
    for way in [&[][..], &["--exec"]] {
        let start = |variables: &[(&str, &str)]| {
            let launch = Init::config(&report(USER)).args(way);
            variables.iter().fold(launch, |launch, (name, value)| launch.env(name, value)).run().expect(0)
        };
        let nobody = ["Uid=4711 4711 4711 4711", "Gid=4711 4711 4711 4711", "Groups=4711"];
        has(&start(&[]), &nobody);
        // Unset and empty are the same (`docker run -e PUID=`).
        has(&start(&[("PUID", ""), ("PGID", "")]), &nobody);
        has(&start(&[]), &["$HOME=/", "$USER=4711", "$LOGNAME=4711"]);
        // Unraid's 99:100, whose group is there already.
        has(
            &start(&[("PUID", "99"), ("PGID", "100")]),
            &["Uid=99 99 99 99", "Gid=100 100 100 100", "Groups=100"],
        );
        has(
            &start(&[("PUID", "0"), ("PGID", "0")]),
            &["Uid=0 0 0 0", "Gid=0 0 0 0", "$HOME=/root", "$USER=root"],
        );
        has(&start(&[("PUID", "1"), ("PGID", "12")]), &["Uid=1 1 1 1", "Gid=12 12 12 12", "$USER=daemon"]);
        has(
            &start(&[("PUID", "4294967294"), ("PGID", "1")]),
            &["Uid=4294967294 4294967294 4294967294 4294967294"],
        );
    }
}

/// What is no id is told before anything runs, with its place.
#[test]
fn what_is_no_id_is_told() {
    needs_root();
    for (puid, code, told) in [
        ("1000:1000", 78, "rinit.toml:3:8: services.main.user: is neither a name nor a number"),
        ("4294967295", 78, "services.main.user: the number is too large; expected at most 4294967294"),
        ("99999999999", 78, "services.main.user: the number is too large"),
        ("-1", 78, "services.main.user: is neither a name nor a number"),
        ("10 00", 78, "services.main.user: is neither a name nor a number"),
        ("abc", 71, "no user \"abc\" in /etc/passwd"),
    ] {
        for way in [&[][..], &["--exec"]] {
            let ended =
                Init::config(&report(USER)).args(way).env("PUID", puid).run().expect(code).tells(&[told]);
            assert!(!ended.out.contains("Uid="), "{}", ended.story());
        }
    }
    // `-` in place of `:-`: an empty variable is a value.
    let text = report("user = '${PUID-1000}'\n");
    Init::config(&text).env("PUID", "").run().expect(78).tells(&["services.main.user: is empty"]);
}

/// A rootless engine maps few ids: one outside of them cannot be had, and setresuid(2) says no more than EINVAL.
#[test]
fn an_id_that_this_namespace_does_not_map() {
    needs_root();
    let script = "exec unshare --user --map-root-user /mnt/rinit --config /mnt/files/rinit.toml";
    for way in ["", " --exec"] {
        let launch = Init::SHELL.launch().file("rinit.toml", &report(USER));
        let ended = launch.args(&["-c", &[script, way].concat()]).run();
        assert!(ended.code() != 0 && !ended.out.contains("Uid="), "{}", ended.story());
        ended.tells(&["the user namespace does not have that user or group"]);
    }
}

/// `docker run --user`: rinit cannot give another user, says so once, and runs all the same.
#[test]
fn without_root_it_runs_as_who_rinit_is() {
    needs_root();
    for way in [&[][..], &["--exec"]] {
        let launch = Init::config(&report(USER)).args(way).user(4321).env("HOME", "/given");
        let ended = launch.run().expect(0);
        has(&ended, &["Uid=4321 4321 4321 4321", "$HOME=/given"]);
        assert_eq!(ended.err.matches("runs as who rinit is, uid 4321").count(), 1, "{}", ended.story());
    }
}

/// A start whose /etc/passwd is a file of its own, with this mode and what is told behind the start.
fn with_passwd(passwd: &str, mode: &str, keys: &str, rinit: &str) -> Launch {
    needs_root();
    let script = format!(
        "chmod {mode} /mnt/files/passwd && mount --bind /mnt/files/passwd /etc/passwd && {rinit} /mnt/rinit --config /mnt/files/rinit.toml
code=$?; {rinit} /mnt/rinit --config /mnt/files/rinit.toml --exec -- true; cat /etc/passwd; stat -c %a /etc/passwd; exit $code"
    );
    let text =
        format!("[services.main]\ncommand = ['sh', '-c', 'id -un; echo $HOME']\npasswd = true\n{keys}");
    Init::SHELL.launch().file("rinit.toml", &text).file("passwd", passwd).args(&["-c", &script])
}

const KNOWN: &str = "root:x:0:0:root:/root:/bin/sh\n";

/// Once, however often it is started; by the number, with a name of its own; the file stays the file that it was.
#[test]
fn an_entry_is_added_for_a_number_that_has_none() {
    let entry = "user4711:x:4711:4711::/:/bin/sh\n";
    let ended = with_passwd(KNOWN, "644", USER, "").run().expect(0);
    assert_eq!(ended.out, format!("user4711\n/\n{KNOWN}{entry}644\n"), "{}", ended.story());
    // A last line without an end, and a name that somebody else has.
    let taken = "root:x:0:0:root:/root:/bin/sh\nuser4711:x:7:7::/:/bin/false";
    let ended = with_passwd(taken, "644", USER, "").run().expect(0);
    assert_eq!(
        ended.out,
        format!("user4711_\n/\n{taken}\nuser4711_:x:4711:4711::/:/bin/sh\n644\n"),
        "{}",
        ended.story()
    );
    // Where there is an entry nothing is written.
    let known = "root:x:0:0:root:/root:/bin/sh\napp:x:4711:4711::/srv:/bin/sh\n";
    let ended = with_passwd(known, "644", USER, "").run().expect(0);
    assert_eq!(ended.out, format!("app\n/srv\n{known}644\n"), "{}", ended.story());
    // The home is the service's.
    let keys = format!("{USER}environment = {{ HOME = '/data' }}\n");
    let ended = with_passwd(KNOWN, "644", &keys, "").run().expect(0);
    assert_eq!(
        ended.out,
        format!("user4711\n/data\n{KNOWN}user4711:x:4711:4711::/data:/bin/sh\n644\n"),
        "{}",
        ended.story()
    );
}

/// OpenShift: any uid, group 0, and an /etc/passwd that the image gave to group 0.
#[test]
fn an_entry_for_a_uid_that_was_given_from_outside() {
    let rinit = "env HOME=/home/x setpriv --reuid 123456 --regid 0 --clear-groups";
    let ended = with_passwd(KNOWN, "664", "", rinit).run().expect(0);
    assert_eq!(
        ended.out,
        format!("user123456\n/home/x\n{KNOWN}user123456:x:123456:0::/home/x:/bin/sh\n664\n"),
        "{}",
        ended.story()
    );
    // Where it may not be written that is told once, and the program runs. The mode stays.
    let ended = with_passwd(KNOWN, "644", "", rinit).run();
    assert!(ended.out.ends_with(&format!("/home/x\n{KNOWN}644\n")), "{}", ended.story());
    ended.tells(&["no entry for uid 123456 in /etc/passwd, which cannot be written here"]);
}

/// A read-only root.
#[test]
fn an_entry_that_cannot_be_written_is_told() {
    needs_root();
    let text = report(&format!("{USER}passwd = true\n"));
    let script = "mount --bind /etc/passwd /etc/passwd && mount -o remount,bind,ro /etc/passwd && exec /mnt/rinit --config /mnt/files/rinit.toml";
    let ended = Init::SHELL.launch().file("rinit.toml", &text).args(&["-c", script]).run().expect(0);
    has(&ended, &["Uid=4711 4711 4711 4711", "$USER=4711"]);
    assert_eq!(ended.err.matches("which cannot be written here").count(), 1, "{}", ended.story());
}

/// `--validate` and `--explain` write nothing.
#[test]
fn a_look_adds_no_entry() {
    needs_root();
    for mode in ["--validate", "--explain", "--check"] {
        let script = format!(
            "cp /mnt/files/passwd0 /mnt/files/passwd && mount --bind /mnt/files/passwd /etc/passwd && /mnt/rinit {mode} --config /mnt/files/rinit.toml > /dev/null; cmp /etc/passwd /mnt/files/passwd0"
        );
        let launch = Init::SHELL.launch().file("rinit.toml", &report(&format!("{USER}passwd = true\n")));
        launch.file("passwd0", KNOWN).args(&["-c", &script]).run().expect(0);
    }
}

/// One file for root and for any uid: what `when_user` lets root alone do.
#[test]
fn one_file_for_root_and_any_uid() {
    needs_root();
    let text = "[checks.privileges]\ncapabilities = { has = 'CHOWN' }\nwhen_user = 'root'
[services.own]\ntype = 'oneshot'\ncommand = ['echo', 'own']\nwhen_user = 'root'
[services.main]\ncommand = ['sh', '-c', 'id -u']\nuser = '${PUID:-4711}'\n";
    assert_eq!(Init::config(text).run().expect(0).out, "own\n4711\n");
    assert_eq!(Init::config(text).user(1234).run().expect(0).out, "1234\n");
}
