//! What a hostile reading of the prepare phase found.

use super::ensure::script;
use crate::harness::{FILES, Init, eventually, ms};
use std::time::Instant;

/// The helper stood in write(2), and looked at no clock: a hook whose lines nobody read had no bound.
#[test]
fn a_hook_is_bounded_though_nobody_reads_its_lines() {
    let config = "[hooks]\nbefore_start = \"/mnt/files/hooks.d\"\ntimeout = \"1s\"\n";
    let script = "chmod 755 /mnt/files; exec /mnt/rinit --config /mnt/files/rinit.toml -- echo main";
    let launch = || {
        let hook = "#!/bin/sh\necho up >&2\nexec yes\n";
        let launch = Init::SHELL.launch().file("rinit.toml", config).args(&["-c", script]);
        launch.file_with_mode("hooks.d/1", hook, 0o755)
    };
    for tty in [false, true] {
        let mut run = if tty { launch().tty() } else { launch() }.start();
        let begun = Instant::now();
        run.stop_reading(1);
        eventually("it has ended", || run.has_ended());
        assert!(begun.elapsed() < ms(10_000), "{:?}", begun.elapsed());
        let ended = run.end().expect(69);
        let all = [ended.out.as_str(), ended.err.as_str()].concat();
        assert!(tty || all.contains("1: not done within 1s, and killed"), "{}", ended.story());
    }
}

/// A user linked root's file into a directory of his own, and had it given to him: a `generate` takes over any text that is
/// there, and another source the same text.
#[test]
fn a_hard_link_of_a_users_is_not_given_to_him() {
    let setup = "mkdir d; chown 1234 d; echo x > victim; chmod 600 victim; ln victim d/f; ";
    let off = "echo 0 > off; mount --bind off /proc/sys/fs/protected_hardlinks; ";
    let on = "echo 1 > on; mount --bind on /proc/sys/fs/protected_hardlinks; ";
    let config = format!(
        "[secrets.s]\ngenerate = \"hex:32\"\ntarget = \"{FILES}/d/f\"\nuid = \"1234\"\nmode = \"0400\"\n"
    );
    let ended = script(&config, &[setup, off, "$R -- true; code=$?; own victim; exit $code"].concat());
    assert_eq!(ended.out, "0:0 600\n", "{}", ended.story());
    ended.expect(71).tells(&["secrets.s: /mnt/files/d/f has another name (a hard link)"]);
    let ended = script(&config, &[setup, on, "$R -- true; own victim"].concat()).expect(0);
    assert_eq!(ended.out, "1234:0 400\n", "{}", ended.story());
    // A link of root's, linked the same way, would have led to any file that it leads to.
    let text = "rm d/f; ln -s /mnt/files/victim l; ln -P l d/f; $R -- true; code=$?; cat victim; exit $code";
    let ended = script(&config, &[setup, off, text].concat());
    assert_eq!(ended.out, "x\n", "{}", ended.story());
    ended.expect(71).tells(&["d/f has another name (a hard link)"]);
    // What takes the place of the name touches no other.
    let config = format!(
        "[configs.c]\ncontent = \"x\\n\"\ntarget = \"{FILES}/d/f\"\nuid = \"1234\"\nmode = \"0400\"\n"
    );
    let ended = script(&config, &[setup, off, "$R -- true; own victim d/f"].concat()).expect(0);
    assert_eq!(ended.out, "0:0 600\n1234:0 400\n", "{}", ended.story());
}

/// Each look at the rest of a template began anew: half a million faults took minutes.
#[test]
fn a_template_of_nothing_but_faults_has_an_end() {
    let config =
        format!("[configs.c]\nfile = \"c.in\"\ntarget = \"{FILES}/c\"\n[services.a]\ncommand = \"true\"\n");
    let text = "${A:-".repeat(20_000) + &"}".repeat(20_000);
    let begun = Instant::now();
    Init::config(&config).file("c.in", &text).run().expect(78).tells(&["more than 16 deep"]);
    assert!(begun.elapsed() < ms(10_000), "{:?}", begun.elapsed());
}

/// A start that was killed left its link beside the other, and pids repeat in a container: the next one failed.
#[test]
fn a_link_that_a_killed_start_left_behind_is_in_nobodys_way() {
    let setup = "touch new; ln -s old l; seq -f .rinit-link-%g 2 400 | xargs touch; ";
    let config = super::ensure::check("link_target", "l", "target = \"new\"");
    let ended = script(&config, &[setup, "$R -- readlink l"].concat()).expect(0);
    assert_eq!(ended.out, "new\n", "{}", ended.story());
}

/// Root without its rights: "cannot be written" named neither what was wrong nor what helps.
#[test]
fn a_secret_that_is_there_and_cannot_be_read_says_so() {
    let config = format!("[secrets.s]\ngenerate = \"hex:32\"\ntarget = \"{FILES}/s\"\nuid = \"1234\"\n");
    let text =
        "echo x > s; chmod 400 s; chown 1234 s; setpriv --bounding-set -all --inh-caps -all $R -- true";
    script(&config, text).expect(71).tells(&["secrets.s: /mnt/files/s is there and cannot be read", "1234"]);
}

/// A hook whose name ends a line wrote lines that looked like rinit's own.
#[test]
fn a_name_with_a_line_end_forges_nothing() {
    let make = format!(
        "mkdir -p {FILES}/h; printf '#!/bin/sh\\necho ran\\n' > \"$(printf '{FILES}/h/1\\nrinit: forged')\"; cp {FILES}/h/1* \"$(printf '{FILES}/h/3\\377')\"; chmod 755 {FILES}/h/*"
    );
    let config = format!("[hooks]\nbefore_start = \"{FILES}/h\"\ntrusted = true\n");
    let script = format!("{make}; exec /mnt/rinit --exec -c {FILES}/r.toml -- echo started");
    let ended = Init::SHELL.launch().file("r.toml", &config).args(&["-c", &script]).run().expect(0);
    assert_eq!(ended.out, "started\n", "{}", ended.story());
    let ended = ended.tells(&["1\\nrinit: forged (a name with control characters, or that is not UTF-8)"]);
    assert!(!ended.err.contains("\nrinit: forged"), "{}", ended.story());
}
