//! `ensure`: what a check would find wrong is made right before anything starts, and only what differs is touched.

use crate::harness::{Ended, FILES, Init, needs_root};
use std::time::Duration;

/// A shell script around starts of rinit (`$R`) with this configuration, in `$D`, which is writable whatever else is. It is
/// PID 1 of namespaces of its own, so that it may mount what it likes.
#[track_caller]
pub fn script(config: &str, script: &str) -> Ended {
    needs_root();
    let begin = "R='/mnt/rinit --config /mnt/files/r.toml'; D=/mnt/files; cd $D; umask 022; own() { stat -c '%u:%g %a' \"$@\"; }\n";
    let text = [begin, script].concat();
    Init::SHELL.launch().file("r.toml", config).args(&["-c", &text]).run()
}

/// A check on a path below [`FILES`], with `ensure = true`.
pub fn check(kind: &str, path: &str, keys: &str) -> String {
    format!("[checks.{kind}.\"{FILES}/{path}\"]\nensure = true\n{keys}\n")
}

#[track_caller]
fn prints(ended: Ended, out: &str) -> Ended {
    assert_eq!(ended.out, out, "{}", ended.story());
    ended
}

#[test]
fn a_directory_is_made_and_given_away() {
    let config = check("dir", "a/b/data", "owner = 1234\nmode = \"0750\"");
    let ended = script(&config, "$R -- true && own a a/b a/b/data").expect(0);
    prints(ended, "0:0 755\n0:0 755\n1234:0 750\n");
    // As mkdir makes one, where nothing else is said; whatever the umask.
    let ended = script(&check("dir", "x/y", ""), "umask 077; $R -- true && own x x/y").expect(0);
    prints(ended, "0:0 755\n0:0 755\n");
    let config = check("dir", "g", "group = 77\nmode = \"2770\"");
    prints(script(&config, "$R -- true && own g").expect(0), "0:77 2770\n");
}

/// docker-library's idiom: group and mode stay what they are.
#[test]
fn owner_alone_leaves_group_and_mode() {
    let setup = "mkdir d; chown 5:6 d; chmod 2711 d; $R -- true && own d";
    prints(script(&check("dir", "d", "owner = 1234"), setup).expect(0), "1234:6 2711\n");
    prints(script(&check("dir", "d", "group = 1234"), setup).expect(0), "5:1234 2711\n");
    prints(script(&check("dir", "d", "mode = \"0700\""), setup).expect(0), "5:6 700\n");
    prints(script(&check("dir", "d", "max_mode = \"3750\""), setup).expect(0), "5:6 2710\n");
}

/// Names of /etc/passwd and numbers that have no entry; a name that nobody has is told before anything is made.
#[test]
fn owners_are_names_or_numbers() {
    let ended = script(&check("dir", "d", "owner = \"nobody\""), "$R -- true && stat -c %U d").expect(0);
    prints(ended, "nobody\n");
    let ended = script(&check("dir", "d", "owner = \"nobodies\""), "$R -- true; code=$?; ls; exit $code");
    prints(ended.expect(69).tells(&["no user \"nobodies\" in /etc/passwd"]), "r.toml\n");
}

/// A file is made empty, for nobody else before it has its mode; one that is there keeps what it holds.
#[test]
fn a_file_is_made_and_given_away() {
    let config = check("file", "log/app.log", "owner = 1234\nmode = \"0600\"");
    let ended =
        script(&config, "$R -- true && own log log/app.log && echo x > log/app.log && $R -- cat log/app.log");
    prints(ended.expect(0), "0:0 755\n1234:0 600\nx\n");
    // What is to hold something is not made empty.
    let config = check("file", "key", "non_empty = true\nmode = \"0400\"");
    let ended = script(&config, "$R -- true; code=$?; ls; exit $code").expect(69);
    prints(ended.tells(&["key is not there"]), "r.toml\n");
    prints(script(&config, "echo x > key; $R -- true && own key").expect(0), "0:0 400\n");
}

#[test]
fn a_link_is_made_and_corrected() {
    let config = check("link_target", "etc/app", &format!("target = \"{FILES}/data\""));
    let look = "mkdir data; $R -- true && readlink etc/app";
    prints(script(&config, look).expect(0), "/mnt/files/data\n");
    prints(
        script(&config, &format!("mkdir etc; ln -s /old etc/app; {look}; ls -A etc")).expect(0),
        "/mnt/files/data\napp\n",
    );
    // What is no link is somebody's.
    let ended = script(&config, &format!("mkdir -p etc/app; {look}")).expect(69);
    ended.tells(&["a directory, no link"]);
    // A link to nothing is made, and told.
    script(&config, "$R -- true").expect(69).tells(&["a link to /mnt/files/data, which is not there"]);
}

/// Before any service, and before the program of `--exec`; as PID 1 too.
#[test]
fn it_is_done_before_anything_starts() {
    needs_root();
    let config = check("dir", "data", "owner = 1234");
    let look = "stat -c %u /mnt/files/data";
    let service = format!("[services.a]\ntype = \"oneshot\"\ncommand = \"{look}\"\n");
    prints(Init::config(&[config.as_str(), &service].concat()).run().expect(0), "1234\n");
    prints(Init::config(&config).args(&["--exec"]).sh(look).run().expect(0), "1234\n");
    prints(Init::config(&config).sh(look).run().expect(0), "1234\n");
}

/// What is not so yet is no failure there; nothing is made.
#[test]
fn check_and_explain_say_what_would_be_done() {
    let config = check("dir", "data", "owner = 1234\nrecursive = true\nfrom = \"/etc\"");
    let ended = script(&config, "$R --check && $R --explain -- true && ls").expect(0);
    let words = "ensure: made where it is missing, filled from /etc while it is empty, owner 1234, with all that is below it";
    assert!(
        ended.out.contains(&format!("ok    dir {FILES}/data: found {FILES}/data is not there; {words}\n")),
        "{}",
        ended.story()
    );
    assert!(ended.out.contains("ok    1 check passed\n"), "{}", ended.story());
    assert!(
        ended.out.contains(&format!("prepared before the start:\n      dir {FILES}/data: made where")),
        "{}",
        ended.story()
    );
    assert!(ended.out.ends_with("\nr.toml\n"), "{}", ended.story());
    // What ensure cannot mend is one.
    script(&check("dir", "data", ""), "touch data; $R --check").expect(69);
    let volume = check("volume", "data", "owner = 1234");
    script(&volume, "mkdir data; $R --check").expect(69);
    script(&volume, "mkdir data; $R -- true").expect(69).tells(&["which is part of"]);
}

/// A condition that does not hold: nothing is done.
#[test]
fn what_is_off_is_not_done() {
    let config = check("dir", "data", "when_env = \"NONE\"");
    prints(
        script(&config, "$R -- true && ls && $R --explain -- true | grep prepared -A1").expect(0),
        "r.toml\nprepared before the start:\n      dir /mnt/files/data: made where it is missing (off: NONE is not set) (/mnt/files/r.toml:1)\n",
    );
}

/// The whole tree in one walk: links themselves and not what they lead to, FIFOs too; modes for files and directories
/// apart.
#[test]
fn a_tree_is_given_away() {
    let config = check(
        "dir",
        "d",
        "owner = 1234\ngroup = 77\nrecursive = true\nmode = \"0700\"\nfile_mode = \"0640\"\ndir_mode = \"0750\"",
    );
    let setup = "mkdir -p d/s/t; echo x > d/s/f; mkfifo d/p; ln -s /mnt/files/out d/l; echo o > out; chmod 600 out d/s/f\n";
    let look = "$R -- true && own d d/s d/s/t d/s/f d/p d/l out";
    let ended = script(&config, &[setup, look].concat()).expect(0);
    prints(ended, "1234:77 700\n1234:77 750\n1234:77 750\n1234:77 640\n1234:77 644\n1234:77 777\n0:0 600\n")
        .tells(&["dir /mnt/files/d: 5 of 5 entries below it given away"]);
    // dir_mode is its own too, where mode says nothing.
    let config = check("dir", "d", "recursive = true\ndir_mode = \"0711\"");
    prints(script(&config, &[setup, "$R -- true && own d d/s"].concat()).expect(0), "0:0 711\n0:0 711\n");
}

/// The time of change tells who was written to.
#[test]
fn only_what_differs_is_touched() {
    let config = check("dir", "d", "owner = 1234\nrecursive = true\nfile_mode = \"0640\"");
    let text =
        "mkdir -p d/s; touch d/a d/s/b d/s/c; chmod 640 d/a d/s/b d/s/c; chown -R 1234 d; chown 0 d/s/c
        changed() { stat -c '%n %z' d d/s d/a d/s/b; }; changed > 1; $R -- true; changed > 2; cmp 1 2 && own d/s/c
        $R -- true; changed > 3; cmp 1 3 && echo same";
    let ended = prints(script(&config, text).expect(0), "1234:0 640\nsame\n");
    let told = ended.err.matches("given away").count();
    assert_eq!(told, 1, "{}", ended.story());
}

/// A bind mount of the same disk has the same device number: only the mount tells it apart. A file may be one too.
#[test]
fn no_mount_is_crossed() {
    let config = check("dir", "d", "owner = 1234\nrecursive = true");
    let text = "mkdir -p d/bound d/tmp other/x d/s; touch other/x/y d/s/f file d/file
        mount --bind other d/bound; mount -t tmpfs none d/tmp; touch d/tmp/z; mount --bind file d/file
        $R -- true && own d d/s/f d/bound other/x/y d/tmp d/tmp/z file";
    let ended = script(&config, text).expect(0);
    prints(ended, "1234:0 755\n1234:0 644\n0:0 755\n0:0 644\n0:0 1777\n0:0 644\n0:0 644\n");
}

/// The same where statx(2) does not tell mounts apart.
#[test]
fn no_mount_is_crossed_on_an_older_kernel() {
    let config = check("dir", "d", "owner = 1234\nrecursive = true");
    let text = "mkdir -p d/bound other d/s; touch other/y d/s/f file d/file; mount --bind other d/bound; mount --bind file d/file
        strace -f -qq -o /dev/null -e trace=statx -e inject=statx:error=ENOSYS $R -- true && own d d/s/f d/bound other/y file";
    prints(script(&config, text).expect(0), "1234:0 755\n1234:0 644\n0:0 755\n0:0 644\n0:0 644\n");
}

/// chown takes set-id bits and capabilities from programs: root's keep them.
#[test]
fn programs_of_roots_keep_their_bits() {
    let config = check("dir", "d", "owner = 1234\nrecursive = true");
    let text = "mkdir d; for f in d/root d/other d/cap; do cp /bin/true $f; done; chown 55 d/other; chmod 6755 d/root d/other
        setcap cap_net_bind_service+ep d/cap; $R -- true && own d/root d/other && getcap d/cap";
    let ended = script(&config, text).expect(0);
    prints(ended, "1234:0 6755\n1234:0 755\nd/cap cap_net_bind_service=ep\n")
        .tells(&["1 program (other) lost set-id bits"]);
}

/// A mode with set-id bits is given when the owner is the one that is meant.
#[test]
fn faults_of_the_keys_are_told_at_once() {
    for (path, keys, part) in [
        ("/", "owner = 1", "ensure: is not for /"),
        ("/etc", "owner = 1", "ensure: is not for /etc"),
        ("/usr/", "", "ensure: is not for /usr"),
        ("/proc/sys", "", "ensure: is not for /proc"),
        ("/sys/fs", "", "ensure: is not for /sys"),
        ("/dev", "recursive = true\nowner = 1", "ensure: is not for /dev"),
        ("/data/../etc", "", "\"..\""),
        ("/data", "file_mode = \"0600\"", "file_mode: does nothing without recursive"),
        ("/data", "recursive = true", "recursive: gives nothing away"),
        ("/data", "from = \"seed\"", "from: is no absolute path"),
        ("/data", "ignore = \"a\"", "ignore: does nothing without from"),
        ("/data", "as_user = 5", "as_user: contradicts ensure"),
        ("/data", "any_of = \"x\"", "any_of: contradicts ensure"),
        ("/data", "wait = \"1s\"", "wait: waits for what ensure makes so"),
        ("/data", "absent = true", "absent: with ensure removes files alone"),
        ("/data", "recursve = true", "did you mean \"recursive\"?"),
    ] {
        let config = format!("[checks.dir.\"{path}\"]\nensure = true\n{keys}\n");
        Init::config(&config).sh("true").run().expect(78).tells(&["rinit.toml:", part]);
    }
    for (text, part) in [
        ("[checks.dir.\"/d\"]\nrecursive = true", "recursive: does nothing without ensure"),
        ("[checks.dir.\"/d\"]\nfrom = \"/x\"", "from: does nothing without ensure"),
        ("[checks.volume.\"/d\"]\nensure = true", "ensure: makes nothing so; expected owner"),
        ("[checks.file.\"/d\"]\nabsent = \"always\"", "does nothing without ensure"),
        ("[checks.file.\"/d\"]\nabsent = \"never\"", "expected true or false, or \"always\""),
        ("[checks.file.\"/d\"]\nensure = true\nrecursive = true", "unknown key \"recursive\""),
        ("[checks.link_target.\"/d\"]\nensure = true", "makes no link without a target"),
        ("[checks.link_target.\"/d\"]\nensure = true\ntarget = \"/x\"\nowner = 5", "makes the link alone"),
    ] {
        Init::config(text).sh("true").run().expect(78).tells(&["rinit.toml:", part]);
    }
}

/// What leads there by a link is refused too.
#[test]
fn a_link_to_the_systems_own_is_refused() {
    let config = check("dir", "s/d", "owner = 1234\nrecursive = true");
    let ended = script(&config, "mkdir s; ln -s /etc s/d; $R -- true; code=$?; stat -c %u /etc; exit $code")
        .expect(69);
    prints(ended.tells(&["d, which leads to /etc"]), "0\n");
}

/// Every fault of one run, each with its place; the first also where Kubernetes looks.
#[test]
fn a_fault_names_its_place_and_the_container_ends() {
    let config = [
        check("dir", "a", ""),
        check("dir", "b", "hint = \"ask the admin\""),
        check("dir", "c", "level = \"warn\""),
    ]
    .concat();
    let text = "touch f; for n in a b c; do ln -s /mnt/files/f $n; done; $R -- echo started";
    let ended = script(&config, text).expect(69);
    prints(ended, "").tells(&["check dir /mnt/files/a failed: found a file, expected a directory"]);
    // A link that leads nowhere cannot be made a directory.
    let text = "ln -s /nowhere a; mkdir b c; $R -- echo started";
    let ended = script(&config, text).expect(69);
    prints(ended.tells(&["a link to /nowhere, which is not there"]), "");
}

/// A warning does not keep the container from starting.
#[test]
fn a_check_of_level_warn_only_warns() {
    let config = check("dir", "ro/d", "level = \"warn\"");
    let text = "mkdir ro; mount -t tmpfs -o ro none ro; $R -- echo started";
    prints(script(&config, text).expect(0), "started\n")
        .tells(&["ro/d cannot be made (d): read-only file system"]);
    let config = check("dir", "ro/d", "");
    let ended = script(&config, text).expect(69);
    prints(ended, "").tells(&[
        "r.toml:1:",
        "docker run --tmpfs /mnt/files/ro/d",
        "1 fault while preparing the start; nothing was started",
    ]);
}

/// A stop ends it at once, as it ends the checks.
#[test]
fn a_stop_ends_it_at_once() {
    needs_root();
    let config = check("dir", "d", &format!("from = \"{FILES}/seed\""));
    // Somebody else copies, and does not come to an end.
    let begin = format!(
        "mkdir -p {FILES}/seed {FILES}/d/.rinit-from; touch {FILES}/seed/x; exec 9<{FILES}/d/.rinit-from; flock 9"
    );
    for main in ["--exec", "--log-level=info"] {
        let text = format!("{begin}; exec /mnt/rinit {main} --config {FILES}/r.toml -- echo started");
        let run = Init::SHELL.launch().file("r.toml", &config).args(&["-c", &text]).start();
        run.wait_for_err("another start is copying");
        run.signal(libc::SIGTERM);
        let ended = run.end_within(Duration::from_secs(5));
        assert_eq!((ended.code(), ended.out.as_str()), (143, ""), "{}", ended.story());
    }
}

/// Killed at any moment and started again, all of it is given away, the directory itself last.
#[test]
fn a_walk_that_was_killed_is_made_good_by_the_next() {
    let config =
        check("dir", "d", "owner = 1234\nrecursive = true\nfile_mode = \"0640\"\ndir_mode = \"0750\"");
    let text = "for n in $(seq 60); do mkdir -p d/$n/s; for m in 1 2 3 4 5 6 7 8; do : > d/$n/s/$m; : > d/$n/$m; done; done
        for n in $(seq 20); do
            chown -R 0:0 d; timeout -s KILL 0.0$(printf %02d $n) $R -- true 2>/dev/null
            [ $(stat -c %u d) = 0 ] || find d ! -user 1234 | sed 's/^/given away too soon: /'
            $R -- true 2>/dev/null || echo failed
            find d ! -user 1234 -o -type f ! -perm 640 -o -type d ! -perm 750
        done; echo done";
    prints(script(&config, text).expect(0), "done\n");
}

/// Who waits is told how far it is.
#[test]
fn a_long_walk_tells_how_far_it_is() {
    let config = check("dir", "d", "owner = 1234\nrecursive = true");
    let text = "mkdir d; cd d; seq -f f%04g 3000 | xargs touch; cd ..
        strace -f -qq -o /dev/null -e trace=getdents64 -e inject=getdents64:delay_enter=2600000 $R -- true; own d/f0001";
    let ended = prints(script(&config, text).expect(0), "1234:0 644\n");
    ended.tells(&[" entries looked at so far, ", "3000 of 3000 entries below it given away"]);
}

/// Who is to own it may come from the environment, and where it is may go there.
#[test]
fn owners_are_expanded_and_paths_exported() {
    needs_root();
    let config = check("dir", "d", "owner = \"${PUID:-1000}\"\ngroup = \"${PGID:-1000}\"\nexport = \"DATA\"");
    let look = "stat -c '%u:%g' $DATA";
    prints(Init::config(&config).sh(look).run().expect(0), "1000:1000\n");
    let launch = Init::config(&config).env("PUID", "99").env("PGID", "100");
    prints(launch.args(&["--exec"]).sh(look).run().expect(0), "99:100\n");
}
