//! `ensure` against somebody who may write in the tree that is given away: nothing outside of it is touched.
//!
//! The races run for three seconds each, or for as many as `RINIT_RACE_SECONDS` says.

use super::ensure::{check, script};
use crate::harness::{Ended, FILES, Init, needs_root};

const OWNED: &str = "owner = 1234\nrecursive = true\nfile_mode = \"0666\"";

#[track_caller]
fn prints(ended: Ended, out: &str) -> Ended {
    assert_eq!(ended.out, out, "{}", ended.story());
    ended
}

fn race_seconds() -> String {
    std::env::var("RINIT_RACE_SECONDS").unwrap_or_else(|_| "3".into())
}

/// CVE-2017-18925, CVE-2018-6954: a link at every depth, and as the target itself.
#[test]
fn a_link_of_the_users_is_never_followed() {
    let victim = "mkdir -p out/in; echo secret > out/in/f; chmod 600 out/in/f; chmod 711 out out/in; ";
    let look = "; own out out/in out/in/f; exit $code";
    let untouched = "0:0 711\n0:0 711\n0:0 600\n";
    // In the tree.
    let links = "mkdir -p d/s/t; for p in d/l d/s/l d/s/t/l; do ln -s /mnt/files/out $p; done; ln -s ../out/in/f d/f; chown -hR 1234 d; $R -- true; code=$?";
    prints(script(&check("dir", "d", OWNED), &[victim, links, look].concat()).expect(0), untouched);
    // In the way to it, and as it: his directory, his link.
    for (path, link) in [("home/d", "home/d"), ("home/d/e", "home/d"), ("home/d/in", "home/d")] {
        let text = format!(
            "{victim} mkdir home; chown 1234 home; ln -s /mnt/files/out {link}; chown -h 1234 {link}; $R -- true; code=$?{look}"
        );
        let ended = script(&check("dir", path, OWNED), &text).expect(69);
        prints(ended, untouched)
            .tells(&["home/d, a link that others than root could have put there (it is 1234's)"]);
    }
    // A link of root's in a directory in which others may write could be another one the next moment.
    let text = format!(
        "{victim} mkdir home; chown 1234 home; ln -s /mnt/files/out home/d; $R -- true; code=$?{look}"
    );
    prints(script(&check("dir", "home/d", OWNED), &text).expect(69), untouched);
    // Links of root's in directories of root's are legal (/var/run).
    let text = "mkdir -p top/real top/etc; ln -s ../real top/etc/d; ln -s /mnt/files/top/etc top/var; $R -- true; own top/real";
    prints(script(&check("dir", "top/var/d", "owner = 1234"), text).expect(0), "1234:0 755\n");
}

/// The same for a file: a link in its place is not followed, whoever put it there.
#[test]
fn a_file_is_not_made_through_a_link() {
    let text = "mkdir log; chown 1234 log; ln -s /mnt/files/victim log/app.log; chown -h 1234 log/app.log; $R -- true; code=$?; ls -A; exit $code";
    let ended = script(&check("file", "log/app.log", "owner = 1234"), text).expect(69);
    prints(ended, "log\nr.toml\n");
}

/// CVE-2017-18078: where users may link what is not theirs, another name may be root's; the container cannot set that.
#[test]
fn a_hard_link_is_given_away_by_a_rule() {
    let setup =
        "mkdir d; echo x > victim; chmod 600 victim; ln victim d/linked; touch d/plain; chmod 600 d/plain; ";
    let off = "echo 0 > off; mount --bind off /proc/sys/fs/protected_hardlinks; ";
    let on = "echo 1 > on; mount --bind on /proc/sys/fs/protected_hardlinks; ";
    let look = "$R -- true && own victim d/plain";
    let ended = script(&check("dir", "d", OWNED), &[setup, off, look].concat()).expect(0);
    prints(ended, "0:0 600\n1234:0 666\n").tells(&[
        "1 file (linked) with another name besides left as they are",
        "chown 1234 /mnt/files/d/linked",
    ]);
    let ended = script(&check("dir", "d", OWNED), &[setup, on, look].concat()).expect(0);
    prints(ended, "1234:0 666\n1234:0 666\n");
    // The subject itself.
    let text = [setup, off, "$R -- true; code=$?; own victim; exit $code"].concat();
    let ended = script(&check("file", "d/linked", "owner = 1234"), &text).expect(69);
    prints(ended, "0:0 600\n").tells(&["which has another name (a hard link)"]);
}

/// Nothing is opened for real: a FIFO would wait for its other end, a device do what it does.
#[test]
fn fifos_and_devices_are_not_opened() {
    let text =
        "mkdir d; mkfifo d/p; mknod d/n c 1 3 || exit 9; mknod d/b b 7 99; $R -- true && own d/p d/n d/b";
    let ended = script(&check("dir", "d", OWNED), text);
    if ended.code() == 9 {
        eprintln!("no devices can be made here");
        return;
    }
    prints(ended.expect(0), "1234:0 644\n0:0 644\n0:0 644\n")
        .tells(&["2 devices (", "devices are never given away"]);
}

/// Names as long as they can be, names that are no text; 100 levels with a few descriptors.
#[test]
fn names_and_depths_have_no_bound_of_their_own() {
    let text = "mkdir d; n=$(printf %0255d 0); touch d/$n; mkdir d/1$(printf %0254d 0); touch \"$(printf 'd/\\377\\n')\"
        cd d; for i in $(seq 100); do mkdir l s$i; touch l/f; cd l; done; cd /mnt/files
        ulimit -n 32; $R -- true && find d ! -user 1234 | wc -l; find d -type f ! -perm 666 | wc -l; find d | wc -l";
    prints(script(&check("dir", "d", OWNED), text).expect(0), "0\n0\n304\n");
    // A path that is longer than any path may be.
    let text = "mkdir d; python=/usr/bin/python3; $python -c '
import os
os.chdir(\"d\")
for i in range(40):
    os.mkdir(\"x\"*200); os.chdir(\"x\"*200)
open(\"f\", \"w\")
'; $R -- true && find d ! -user 1234 | wc -l; find d | wc -l";
    prints(script(&check("dir", "d", OWNED), text).expect(0), "0\n42\n");
}

/// A file system without a free block or inode: nothing half, and it is said.
#[test]
fn a_full_disk_is_told() {
    let text = "mkdir m; mount -t tmpfs -o nr_inodes=2 none m; touch m/f; $R -- true";
    script(&check("dir", "m/a/b", ""), text)
        .expect(71)
        .tells(&["m/a/b cannot be made (a): no space left on device", "make room"]);
    // What is there needs no room to be given away.
    let text = "mkdir m; mount -t tmpfs -o size=4k none m; touch m/a; head -c 9000 /dev/zero > m/f 2>/dev/null; $R -- true && own m/a";
    prints(script(&check("dir", "m", OWNED), text).expect(0), "1234:0 666\n");
}

/// What flips names while walk after walk is under way, as the user whose tree it is; then whether what is outside is as it was.
#[track_caller]
fn race(setup: &str, flip: &str, keys: &str) {
    needs_root();
    let flipper = format!(
        "import os, time, ctypes\nos.setgid(1234); os.setuid(1234); os.chdir('{FILES}/d')\n\
         libc = ctypes.CDLL(None)\ndef swap(a, b): libc.renameat2(-100, a, -100, b, 2)\nwhile True:\n{flip}"
    );
    let text = format!(
        "mkdir -p d out/in; echo secret > out/in/f; echo secret > out/f; chmod 600 out/f out/in/f; chmod 711 out out/in
        {setup}
        chown -hR 1234 d; chmod 755 d; find out -printf '%p %u %g %m %C@\\n' | sort > before
        for n in 1 2; do /usr/bin/python3 flip.py 2>/dev/null & done; sleep 0.3; rounds=0; end=$(($(date +%s) + {}))
        while [ $(date +%s) -lt $end ]; do $R -- true 2>/dev/null; rounds=$((rounds + 1)); chown 0 d; chown 1234 d; done
        kill $!; find out -printf '%p %u %g %m %C@\\n' | sort > after; cmp before after && echo untouched; [ $rounds -gt 2 ] && echo raced",
        race_seconds()
    );
    let begin = "R='/mnt/rinit --config /mnt/files/r.toml'; cd /mnt/files; umask 022\n";
    let ended = Init::SHELL
        .launch()
        .file("r.toml", &check("dir", "d", keys))
        .file("flip.py", &flipper)
        .args(&["-c", &[begin, &text].concat()])
        .start()
        .end_within(std::time::Duration::from_secs(600));
    assert!(ended.out.ends_with("untouched\nraced\n"), "{}", ended.story());
}

/// CVE-2018-6954, CVE-2018-21269: a directory in the middle is swapped for a link while the walk is in it.
#[test]
fn a_directory_that_is_swapped_for_a_link_leads_nowhere() {
    let setup = "mkdir -p d/a/in; for n in $(seq 300); do touch d/a/$n d/a/in/$n; done; touch d/a/f d/a/in/f; ln -s ../out d/b; ln -s ../out d/c";
    race(
        setup,
        "    swap(b'a', b'b')\n    swap(b'b', b'c')\n",
        "owner = 77\nrecursive = true\nfile_mode = \"0666\"\ndir_mode = \"0777\"",
    );
}

/// A name that is a file, a link and a hard link by turns, between the look and the deed.
#[test]
fn a_name_that_is_a_file_and_a_link_by_turns_is_no_way_out() {
    let setup = "for n in $(seq 50); do touch d/f$n; ln -s ../out/f d/l$n; done";
    let flip = "    for n in range(1, 51): swap(b'f%d' % n, b'l%d' % n)\n";
    race(setup, flip, "owner = 77\nrecursive = true\nfile_mode = \"0666\"");
}
