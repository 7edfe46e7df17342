//! `ensure` where it may not: root too. Then it is asked whether who is to work there can.

use super::ensure::{check, script};
use crate::harness::{Ended, Init, needs_root};

/// With just these capabilities.
fn with(capabilities: &str) -> String {
    let drop = capabilities.split_whitespace().map(|name| format!(",+{name}")).collect::<String>();
    format!("setpriv --bounding-set -all{drop} --inh-caps -all /mnt/rinit --config /mnt/files/r.toml")
}

#[track_caller]
fn prints(ended: Ended, out: &str) -> Ended {
    assert_eq!(ended.out, out, "{}", ended.story());
    ended
}

/// `docker run --user`: who can work there is told, and starts; who cannot is told what to do.
#[test]
fn another_user_is_asked_whether_he_can_work_there() {
    let config = check("dir", "d", "owner = \"nobody\"");
    let user = "setpriv --reuid 1234 --regid 1234 --clear-groups $R -- echo started";
    let ended = script(&config, &["mkdir d; chmod 1777 d; ", user].concat()).expect(0);
    prints(ended, "started\n").tells(&["d owned by root:root, mode 1777; chown is refused: rinit is user 1234, not root; user 1234 can work there, so it stays"]);
    let ended = script(&config, &["mkdir d; ", user].concat()).expect(69);
    prints(ended, "").tells(&[
        "chown is refused: rinit is user 1234, not root, and user 1234 cannot work there (permission denied)",
    ]);
    // It is his own directory already: nothing is refused.
    let config = check("dir", "d", "owner = 1234\nmode = \"0700\"");
    let ended = script(&config, &["mkdir d; chown 1234 d; ", user].concat()).expect(0);
    assert_eq!((ended.out.as_str(), ended.err.as_str()), ("started\n", ""), "{}", ended.story());
}

/// `--cap-drop ALL --cap-add CHOWN`: the mode is given first, for what was given away may not be changed any more.
#[test]
fn chown_alone_is_enough_for_what_rinit_makes() {
    let config = check("dir", "d", "owner = 1234\nmode = \"2750\"");
    let text = format!("{} -- true && own d", with("chown fsetid"));
    prints(script(&config, &text).expect(0), "1234:0 2750\n");
    let config = check("file", "f", "owner = 1234\nmode = \"0600\"");
    let text = format!("{} -- true && own f", with("chown"));
    prints(script(&config, &text).expect(0), "1234:0 600\n");
}

/// Each capability that is missing is named, with the option that gives it.
#[test]
fn the_missing_capability_is_named() {
    for (config, setup, has, told) in [
        (check("dir", "d", "owner = 1234"), "mkdir d", "setuid setgid", "CAP_CHOWN is missing"),
        (
            check("dir", "d", "mode = \"0711\""),
            "mkdir d; chmod 700 d; chown 55 d",
            "setuid setgid",
            "CAP_FOWNER is missing",
        ),
        (
            check("dir", "d/e", ""),
            "mkdir d; chmod 755 d; chown 55 d",
            "",
            "docker run --cap-add DAC_OVERRIDE",
        ),
        (
            check("dir", "d/e", ""),
            "mkdir -p d/e; chmod 700 d; chown 55 d",
            "",
            "docker run --cap-add DAC_OVERRIDE",
        ),
    ] {
        let text = format!("{setup}; {} -- echo started", with(has));
        let ended = script(&config, &text).expect(69);
        prints(ended, "").tells(&[told]);
    }
}

/// What root may not make (NFS with root_squash, or no CAP_DAC_OVERRIDE), its owner may.
#[test]
fn what_root_may_not_make_is_made_as_its_owner() {
    let config = check("dir", "d/e", "owner = 55\nmode = \"0700\"");
    let text = format!("mkdir d; chown 55:55 d; {} -- true && own d/e", with("setuid setgid"));
    prints(script(&config, &text).expect(0), "55:0 700\n");
}

/// Who cannot fill an empty volume is told so.
#[test]
fn another_user_cannot_fill_what_is_not_his() {
    let config = check("dir", "d", "from = \"/mnt/files/seed\"");
    let user =
        "mkdir d seed; touch seed/x; setpriv --reuid 1234 --regid 1234 --clear-groups $R -- echo started";
    let ended = script(&config, user).expect(69);
    prints(ended, "")
        .tells(&["d cannot be filled from /mnt/files/seed: permission denied", "let this user write there"]);
    let ended = script(&config, &user.replace("touch seed/x", "touch seed/x; chown 1234 d")).expect(0);
    prints(ended, "started\n");
}

/// root without CAP_CHOWN, on a directory that its user can write all the same.
#[test]
fn root_that_may_not_is_asked_the_same() {
    let config = check("dir", "d", "owner = 1234\nrecursive = true");
    let text =
        format!("mkdir d; touch d/a d/b; chmod 1777 d; {} -- echo started; own d d/a", with("setuid setgid"));
    let ended = script(&config, &text).expect(0);
    prints(ended, "started\n0:0 1777\n0:0 644\n")
        .tells(&["2 entries (", "chown is refused: CAP_CHOWN is missing; 1234 can work there, so it stays"]);
}

/// A user namespace: an id without a place in it, and files that only show as nobody's.
#[test]
fn an_id_that_is_not_mapped_is_told() {
    let config = check("dir", "d", "owner = 1234");
    let text = "mkdir d; unshare --user --map-root-user $R -- echo started";
    let ended = script(&config, text).expect(0);
    prints(ended, "started\n").tells(&["chown is impossible: the id has no place in this user namespace (/proc/self/uid_map); root can work there, so it stays"]);
    // nobody's number, and shown for all that are not mapped: no match.
    let config = check("dir", "d", "owner = 65534");
    let text = "mkdir d; chown 77 d; unshare --user --map-root-user sh -c 'stat -c %u d; exec /mnt/rinit --config /mnt/files/r.toml -- echo started'";
    let ended = script(&config, text).expect(69);
    prints(ended, "65534\n").tells(&["chown is impossible", "and root cannot work there"]);
}

/// A read-only mount: what is right already is no matter; what is not is judged by what can be done there.
#[test]
fn a_read_only_mount_is_told() {
    let ro = "mkdir d; mount -t tmpfs none d; touch d/f; mount -o remount,ro d; ";
    let config = check("dir", "d", "owner = 1234");
    let ended = script(&config, &[ro, "$R -- true"].concat()).expect(69);
    ended.tells(&[
        "chown is refused: a read-only file system, and 1234 cannot work there (read-only file system)",
    ]);
    let config = check("dir", "d", "owner = 1234\nwritable = false");
    let ended = script(&config, &[ro, "$R -- echo started"].concat()).expect(0);
    prints(ended, "started\n").tells(&["1234 can work there, so it stays"]);
    let config = check("dir", "d", "owner = 0\nrecursive = true");
    let ended = script(&config, &[ro, "$R -- echo started"].concat()).expect(0);
    assert_eq!((ended.out.as_str(), ended.err.as_str()), ("started\n", ""), "{}", ended.story());
}

/// A part below a volume that nobody may change is counted and named, and does not end the start.
#[test]
fn an_immutable_file_is_told_once() {
    let config = check("dir", "d", "owner = 1234\nrecursive = true");
    let text = "mkdir d; touch d/a d/b d/c; chattr +i d/b || exit 9; $R -- echo started; code=$?; chattr -i d/b; own d d/a d/b d/c; exit $code";
    let ended = script(&config, text);
    if ended.code() == 9 {
        eprintln!("no immutable files here");
        return;
    }
    prints(ended.expect(0), "started\n1234:0 755\n1234:0 644\n0:0 644\n1234:0 644\n")
        .tells(&["1 entry (b) below /mnt/files/d; chown is refused: it is immutable"]);
}

/// kubelet gives the whole volume away anew at each start when its root has lost the set-gid bit.
#[test]
fn a_mode_without_set_gid_on_a_mount_point_is_warned_of() {
    let volume = "mkdir v; mount -t tmpfs none v; chgrp 2000 v; chmod 2770 v; ";
    let told = "mode 0700 takes the set-gid bit from the mount point /mnt/files/v: Kubernetes (fsGroup)";
    let config = check("volume", "v", "owner = 1234\nmode = \"0700\"");
    let ended =
        script(&config, &[volume, "$R --check; $R --explain -- true; $R -- true; own v"].concat()).expect(0);
    assert_eq!([ended.out.as_str(), &ended.err].concat().matches(told).count(), 3, "{}", ended.story());
    assert!(ended.out.ends_with("1234:2000 700\n"), "{}", ended.story());
    // Below it, and where the bit stays, nothing is to be said; nor is the mode of all directories meant for it.
    for (kind, path, keys, own) in [
        ("volume", "v", "mode = \"2700\"", "0:2000 2700"),
        ("volume", "v", "recursive = true\ndir_mode = \"0750\"", "0:2000 2750"),
        ("dir", "v/private", "mode = \"0700\"", "0:2000 700"),
    ] {
        let text = format!("{volume} $R -- true; own {path}");
        let ended = prints(script(&check(kind, path, keys), &text).expect(0), &format!("{own}\n"));
        assert!(!ended.err.contains("set-gid"), "{}", ended.story());
    }
}

/// Old profiles and sandboxes: each newer call has its fallback.
#[test]
fn it_works_without_newer_system_calls() {
    needs_root();
    const SYS_FCHMODAT2: libc::c_long = 452;
    let config = [
        check("dir", "a/b", "owner = 1234\nmode = \"0750\"\nfrom = \"/mnt/files/seed\"\nrecursive = true\nfile_mode = \"0640\""),
        check("link_target", "l", "target = \"/mnt/files/a\""),
    ]
    .concat();
    // stat(1) itself has no fallback.
    let look = "cd /mnt/files; busybox stat -c '%u %a' a a/b a/b/x a/b/y a/b/y/z";
    for errno in [libc::EPERM, libc::ENOSYS] {
        let calls = [libc::SYS_openat2, libc::SYS_statx, SYS_FCHMODAT2, libc::SYS_renameat2]
            .map(|call| (call, errno));
        let launch = Init::config(&config).file("seed/x", "").file("seed/y/z", "");
        let ended = launch.refusing(&calls).sh(look).run();
        prints(ended.expect(0), "0 755\n1234 750\n1234 640\n1234 755\n1234 640\n");
    }
}

/// A mount that takes a chown and forgets it (virtiofs), one that refuses root (NFS): told, and the same at each start; in a
/// tree it is not tried with every file.
#[test]
fn a_mount_that_does_not_keep_owners_is_told() {
    needs_root();
    for (errno, told) in
        [(0, "chown is taken and forgotten: this mount ("), (libc::EPERM, "chown is refused")]
    {
        let refused = [(libc::SYS_fchownat, errno)];
        // Nobody can write there.
        let launch =
            Init::config(&check("dir", "d", "owner = \"nobody\"")).file("d/x", "").refusing(&refused);
        let ended = launch.sh("echo started").run().expect(69);
        prints(ended, "").tells(&[told, "nobody cannot work there (permission denied)"]);
        // The harness's own directory can be written by all.
        let mut launch =
            Init::config(&check("dir", "", "owner = \"nobody\"\nrecursive = true")).refusing(&refused);
        for n in 0..100 {
            launch = launch.file(&format!("d/{n}"), "");
        }
        let ended = launch.sh("echo started").run().expect(0);
        prints(ended, "started\n").tells(&["16 entries (", told, "nobody can work there, so it stays"]);
    }
}
