//! `from`: defaults into an empty directory; `absent`: stale pid and lock files.

use super::ensure::{check, script};
use crate::harness::{Ended, FILES};

/// What a seed may hold: modes, owners, links, times, holes, nested directories.
const SEED: &str =
    "mkdir -p seed/s/t; echo one > seed/one; echo two > seed/s/two; chmod 600 seed/one; chmod 2750 seed/s
    chown 12:34 seed/one seed/s; ln -s one seed/link; touch -d @1000000000 seed/one seed/s/two
    truncate -s 3M seed/holes; echo end >> seed/holes; cp /bin/true seed/prog; chmod 4711 seed/prog\n";

fn filled(keys: &str) -> String {
    check("dir", "data", &format!("from = \"{FILES}/seed\"\n{keys}"))
}

#[track_caller]
fn prints(ended: Ended, out: &str) -> Ended {
    assert_eq!(ended.out, out, "{}", ended.story());
    ended
}

#[test]
fn an_empty_directory_is_filled_with_all_that_the_defaults_are() {
    let text = "$R -- true && diff -r --no-dereference seed data && own data/one data/s data/prog data/link
        stat -c %Y data/one data/s/two; [ $(du -k data/holes | cut -f1) -lt 100 ] && ls -A data | tr '\\n' ' '";
    let ended = script(&filled(""), &[SEED, text].concat()).expect(0);
    prints(ended, "12:34 600\n12:34 2750\n0:0 4711\n0:0 777\n1000000000\n1000000000\nholes link one prog s ");
}

/// With capabilities and what users attach to files; not with labels.
#[test]
fn attributes_are_copied_too() {
    let text = "mkdir seed; cp /bin/true seed/p; setcap cap_net_raw+ep seed/p; chmod 755 seed/p
        $R -- true && getcap data/p";
    prints(script(&filled(""), text).expect(0), "data/p cap_net_raw=ep\n");
}

/// A directory that holds something is somebody's; what a new ext4 holds is not, nor what a key names.
#[test]
fn what_is_filled_is_left_alone() {
    for (setup, keys, out) in [
        ("mkdir data; touch data/mine", "", "mine"),
        ("mkdir -p data/lost+found", "", "holes link lost+found one prog s"),
        ("mkdir -p data/lost+found data/.snapshot", "", ".snapshot lost+found"),
        (
            "mkdir -p data/lost+found data/.snapshot",
            "ignore = \".snapshot\"",
            ".snapshot holes link lost+found one prog s",
        ),
    ] {
        let text = [SEED, setup, "; $R -- true && echo $(ls -A data)"].concat();
        prints(script(&filled(keys), &text).expect(0), &[out, "\n"].concat());
    }
}

/// The second start, and the next container on the same volume: what the user has removed stays so.
#[test]
fn it_is_done_once() {
    let text = [SEED, "$R -- true; rm data/one; $R -- true && $R -- true && echo $(ls -A data)"].concat();
    prints(script(&filled(""), &text).expect(0), "holes link prog s\n");
}

/// Owner and modes of the defaults are what `recursive` makes of them, in the same start.
#[test]
fn what_was_copied_is_given_away_in_the_same_start() {
    let text = [SEED, "$R -- true && own data data/one data/s/two data/link"].concat();
    let ended = script(&filled("owner = 1234\nrecursive = true"), &text).expect(0);
    prints(ended, "1234:0 755\n1234:34 600\n1234:0 644\n1234:0 777\n");
}

#[test]
fn what_cannot_be_copied_is_told() {
    let ended = script(
        &filled(""),
        "mkdir -p seed/s; mkfifo seed/s/pipe; $R -- true; code=$?; find data; exit $code",
    )
    .expect(69);
    prints(
        ended.tells(&["seed/s/pipe, which is neither a file nor a directory nor a link"]),
        "data\ndata/.rinit-from\ndata/.rinit-from/.rinit-begun\n",
    );
    script(&filled(""), "$R -- true")
        .expect(69)
        .tells(&["seed, which is not there", "put the defaults into the image"]);
    script(&filled(""), "touch seed; $R -- true").expect(69).tells(&["seed, which is no directory"]);
}

/// Nothing half is kept under its name, and the next start goes on when there is room.
#[test]
fn a_full_disk_leaves_nothing_half() {
    let text = "mkdir seed data; head -c 100000 /dev/urandom > seed/a; head -c 9000000 /dev/urandom > seed/b
        mount -t tmpfs -o size=4m none data; $R -- true; echo $?; [ ! -e data/b ] && echo not there
        mount -o remount,size=40m data; $R -- true; echo $?; diff -r seed data && ls -A data | wc -l";
    let ended = script(&filled(""), text).expect(0);
    prints(ended, "71\nnot there\n0\n2\n").tells(&[
        "which cannot be copied into",
        "no space left on device",
        "going on with a copy",
    ]);
}

/// Killed at any moment, the next start ends right: whole, or not yet there under its name.
#[test]
fn a_copy_that_was_killed_is_continued() {
    let text = "mkdir -p seed; for n in $(seq 40); do mkdir seed/d$n; head -c 60000 /dev/urandom > seed/d$n/f; echo x > seed/f$n; done
        for n in $(seq 25); do
            rm -rf data
            timeout -s KILL 0.0$(printf %02d $n) $R -- true 2>>log
            for f in data/*; do [ -e \"$f\" ] || continue; diff -r $f seed/${f#data/} || echo half $f; done
            $R -- true 2>>log || echo failed
            diff -r seed data || echo differs
            rm -rf data/*; touch data/own; $R -- true 2>>log; ls -A data
        done | sort | uniq -c | tr -s ' '; grep -c 'going on' log";
    let ended = script(&filled(""), text);
    // How often it was caught in the middle is the machine's business.
    assert_eq!(ended.out.lines().next(), Some(" 25 own"), "{}", ended.story());
    assert!(ended.out.lines().count() == 2, "{}", ended.story());
}

/// One copies, the other waits; both find it whole.
#[test]
fn of_two_starts_at_once_one_copies() {
    let text = "mkdir -p seed; for n in $(seq 30); do mkdir seed/d$n; head -c 30000 /dev/urandom > seed/d$n/f; done
        for n in $(seq 25); do
            rm -rf data
            $R -- diff -r seed data & one=$!; $R -- diff -r seed data & two=$!; $R -- diff -r seed data & three=$!
            wait $one || echo one $?; wait $two || echo two $?; wait $three || echo three $?
        done; ls -A data | wc -l";
    prints(script(&filled(""), text).expect(0), "30\n");
}

/// Who waits says for whom, and not for ever.
#[test]
fn the_wait_for_another_start_is_bounded() {
    let text =
        "mkdir -p seed data/.rinit-from; touch seed/x; exec 9<data/.rinit-from; flock 9; $R -- echo started";
    let ended = script(&filled("wait = \"300ms\""), text).expect(69);
    prints(ended, "").tells(&[
        "another start is copying /mnt/files/seed into it; waiting for it, 300ms at most",
        "after 300ms",
    ]);
}

/// A pid or lock file that an earlier run left, and those that somebody still uses.
#[test]
fn stale_pid_files_are_removed() {
    let config = check("file", "run/app.pid", "absent = true");
    // 1 is PID 1, in whose name rinit runs; 99999 nobody's; a helper's is never older than the file.
    for content in
        ["printf 99999", "printf ''", "echo text", "printf '99999 5\\n/data\\n'", "head -c 300 /dev/urandom"]
    {
        let text =
            format!("mkdir run; mount -t tmpfs none run; {content} > run/app.pid; $R -- true && ls -A run");
        prints(script(&config, &text).expect(0), "").tells(&["app.pid: removed, for it was stale"]);
    }
    // Nothing there is what is wanted; a second start says nothing.
    let ended = script(&config, "$R -- true").expect(0);
    assert_eq!(ended.err, "", "{}", ended.story());
    // A link is removed itself, a socket too; a directory is not.
    let text = "mkdir run; mount -t tmpfs none run; echo 1 > x; ln -s /mnt/files/x run/app.pid; $R -- true && ls -A run; cat x";
    prints(script(&config, text).expect(0), "1\n");
    let text = "mkdir -p run/app.pid; $R -- true";
    script(&config, text).expect(69).tells(&["app.pid", "a directory"]);
}

/// Pids repeat after a restart: rinit's own, and that of a process younger than the file.
#[test]
fn a_pid_that_is_rinits_or_younger_is_stale() {
    let config = check("file", "run/app.pid", "absent = true");
    let memory = "mkdir run; mount -t tmpfs none run; cd run; ";
    let text = [memory, "echo 1 > app.pid; exec $R -- ls"].concat();
    prints(script(&config, &text).expect(0), "");
    // It was there before that process was.
    let text =
        [memory, "sleep 60 & echo $! > app.pid; touch -d '1 hour ago' app.pid; $R -- ls; kill $!"].concat();
    prints(script(&config, &text).expect(0), "");
    // And one that is older than the file lives.
    let text = [memory, "sleep 60 & echo $! > app.pid; touch -d '+1 hour' app.pid; $R -- true; code=$?; kill $!; ls; exit $code"].concat();
    let ended = script(&config, &text).expect(69);
    prints(ended.tells(&["whose process lives: pid ", "(sleep), which is older than the file"]), "app.pid\n");
}

#[test]
fn a_lock_that_is_held_is_no_stale_one() {
    let config = check("file", "lock", "absent = true");
    let text = "exec 9>lock; flock 9; $R -- true; code=$?; ls; exit $code";
    prints(
        script(&config, text).expect(69).tells(&["lock, which somebody holds a lock on"]),
        "lock\nr.toml\n",
    );
}

/// Its process may live in another container, which no pid tells of.
#[test]
fn on_a_volume_it_is_kept_unless_always() {
    let mounted = "truncate -s 4M disk; mkfs.ext4 -q disk; mkdir vol; mount -o loop disk vol || exit 9; echo 99999 > vol/pid\n";
    let look = "$R -- true && ls vol; umount vol";
    let text = [mounted, look].concat();
    let kept = script(&check("file", "vol/pid", "absent = true"), &text);
    if kept.code() == 9 {
        eprintln!("no loop device here");
        return;
    }
    prints(kept.expect(0), "lost+found\npid\n")
        .tells(&["kept, for another container may use the volume at /mnt/files/vol"]);
    prints(script(&check("file", "vol/pid", "absent = \"always\""), &text).expect(0), "lost+found\n");
}
