//! What lies in the container: `file`, `dir`, `link_target`.

use super::{COMMAND, Given, refuses, starts};
use crate::engine::run;
use crate::images::{Config, RINIT, debian, workplace};

/// For a program that reads the file by itself, the newline that `echo` has written is part of the secret.
#[test]
fn file_a_secret_with_a_trailing_newline() {
    let checks = "[checks.file.\"/run/secrets/token\"]\nnon_empty = true\nlacks = \"\\n\"\n";
    let secret = |content: &str| Given::new("/run/secrets/token", content, 0o644);
    let told = ["a file with \"\\n\"", "remove \"\\n\" from /run/secrets/token (/etc/rinit.toml:1)"];
    refuses(checks, &[&secret("hunter2\n").mount], &told);
    refuses(checks, &[&secret("").mount], &["found an empty file", "fill /run/secrets/token"]);
    starts(checks, &[&secret("hunter2").mount]);
}

/// The engine makes a directory of what it does not find, and the program then "cannot read its configuration".
#[test]
fn file_a_bind_mount_whose_source_is_missing() {
    let checks = "[checks.file.\"/etc/app.conf\"]\n";
    let missing = workplace().join(crate::engine::unique("missing"));
    let mount = format!("--volume={}:/etc/app.conf", missing.display());
    refuses(
        checks,
        &[&mount],
        &["found a directory", "a bind mount whose source is missing makes a directory"],
    );
    std::fs::remove_dir(&missing).expect("what the engine has made");
    refuses(
        checks,
        &[],
        &["/etc/app.conf is not there", "put it into the image, or mount it at /etc/app.conf"],
    );
    starts(checks, &[&Given::new("/etc/app.conf", "x", 0o644).mount]);
}

/// The remedy mends for whom it is told to: the file's own user, another one, and for a read-only mount none of these.
#[test]
fn file_who_may_not_use_it_is_told_what_mends_it() {
    let key = "/etc/app/key.pem";
    let readable = format!("[checks.file.\"{key}\"]\nreadable = true\nmax_mode = \"0640\"\n");
    let closed = Given::new(key, "PRIVATE KEY", 0o640);
    let hint = format!("chown 1000:1000 {key}, or run as uid 0");
    refuses(&readable, &["--user=1000:1000", &closed.mount], &["not readable by uid 1000", &hint]);
    starts(&readable, &[&closed.mount]);
    let open = Given::new(key, "PRIVATE KEY", 0o644);
    refuses(&readable, &[&open.mount], &["owned by root:root, mode 0644", &format!("chmod 0640 {key}")]);

    let writable = format!("[checks.file.\"{key}\"]\nwritable = true\n");
    let (found, hint) =
        (format!("on the mount {key}, which is read-only"), format!("mount {key} rw, not ro"));
    refuses(&writable, &[&open.mount], &[&found, &hint]);
    starts(&writable, &[open.mount.trim_end_matches(":ro")]);
}

#[test]
fn dir_tmp_on_a_read_only_root_without_a_tmpfs() {
    let checks = "[checks.dir.\"/tmp\"]\nwritable = true\n";
    refuses(
        checks,
        &["--read-only"],
        &["found on a read-only mount", "mount a volume or a tmpfs over /tmp, or leave out --read-only"],
    );
    starts(checks, &["--read-only", "--tmpfs=/tmp"]);
    starts(checks, &[]);
}

#[test]
fn dir_a_mount_over_it_hides_what_the_image_has_there() {
    let checks = "[checks.dir.\"/etc/nginx\"]\nempty = false\n";
    starts(checks, &[]);
    refuses(checks, &["--tmpfs=/etc/nginx"], &["found an empty directory", "put files into /etc/nginx"]);
}

/// The command of the message, run in the container before rinit.
#[test]
fn link_target_is_mended_by_the_command_that_is_told() {
    let mend = "ln -sfn /usr/share/zoneinfo/Europe/Paris /etc/localtime";
    let checks = "[checks.link_target.\"/etc/localtime\"]\ntarget = \"/usr/share/zoneinfo/Europe/Paris\"\n";
    refuses(checks, &[], &["found a link to /usr/share/zoneinfo/Etc/UTC", mend]);

    let config = Config::new(checks);
    let script = format!("{mend} && exec {RINIT} {}", COMMAND.join(" "));
    let ran = run(&[&config.mount, "--entrypoint=sh"], debian(), &["-c", &script]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "started\n", ""), "{ran:?}");
}
