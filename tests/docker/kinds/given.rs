//! What `docker run` gives to a container: `env`, `user`, `limit`.

use super::{Given, checked, refuses, starts, tells};
use crate::engine::run;
use crate::images::{Config, debian};

#[test]
fn env_a_variable_that_is_set_but_empty_is_told() {
    let checks = "[checks.env.API_TOKEN]\n";
    refuses(
        checks,
        &["--env=API_TOKEN="],
        &["check env API_TOKEN failed: found a string that is empty", "set API_TOKEN (/etc/rinit.toml:1)"],
    );
    refuses(checks, &[], &["found no such variable, expected a string that is not empty; set API_TOKEN"]);
    starts(checks, &["--env=API_TOKEN=x"]);
}

/// The one newline that editors and `echo` put at a secret's end is none of the program's business.
#[test]
fn env_a_secret_file_with_a_trailing_newline_is_read_without_it() {
    let checks = "[checks.env.TOKEN]\nfile = true\nsecret = true\npattern = \"[a-z0-9]+\"\n";
    let config = Config::new(checks);
    let with = |content: &str| {
        let secret = Given::new("/run/secrets/token", content, 0o644);
        let options = ["--env=TOKEN_FILE=/run/secrets/token", &secret.mount, &config.mount];
        run(&options, debian(), &["--", "sh", "-c", "printf '[%s]' \"$TOKEN\" \"$TOKEN_FILE\""])
    };
    for content in ["hunter2", "hunter2\n", "hunter2\r\n"] {
        let ran = with(content);
        assert_eq!(
            (ran.code, ran.out.as_str(), ran.err.as_str()),
            (0, "[hunter2][]", ""),
            "{content:?}: {ran:?}"
        );
    }
    // Two are too many: told without the secret, though what is wrong with it is just what cannot be seen.
    let ran = with("hunter2\n\n");
    assert_eq!((ran.code, ran.out.as_str()), (69, ""), "{ran:?}");
    assert!(!ran.err.contains("hunter2"), "{ran:?}");
    tells(
        &ran,
        &["a value that is not shown (it ends in a line end) in /run/secrets/token", "correct the value in"],
    );
}

#[test]
fn user_root_is_told_how_not_to_be_it() {
    let checks = "[checks.user]\nroot = false\n";
    refuses(
        checks,
        &[],
        &["found user root (uid 0), expected a user other than root", "docker run --user UID:GID"],
    );
    starts(checks, &["--user=1000:1000"]);
}

/// `docker run --user 1000` gives HOME=/, which only root can write: half of all programs stumble over that.
#[test]
fn user_without_an_entry_and_a_home_is_told() {
    let checks = "[checks.user]\nin_passwd = true\n";
    refuses(
        checks,
        &["--user=1000"],
        &["found uid 1000 (no name in /etc/passwd)", "add uid 1000 to the image"],
    );
    starts(checks, &["--user=redis"]);

    let checks = "[checks.user]\nhome_writable = true\n";
    let hint = "set HOME to a directory that this user can write (docker run --env HOME=/tmp)";
    refuses(checks, &["--user=1000"], &["whose home / is owned by root:root, mode 0755, not writable", hint]);
    starts(checks, &["--user=1000", "--env=HOME=/tmp"]);
}

#[test]
fn user_a_group_is_added_as_the_message_says() {
    let checks = "[checks.user]\nuid = 1000\ngroups = [\"www-data\"]\n";
    refuses(checks, &["--user=1000"], &["not a member of www-data", "docker run --group-add www-data"]);
    starts(checks, &["--user=1000", "--group-add=www-data"]);
    // Docker itself refuses to add a group that the image does not have.
    let unknown = "[checks.user]\ngroups = [\"ops\"]\n";
    refuses(unknown, &["--user=1000"], &["no ops in /etc/group", "add the group ops to the image"]);
}

#[test]
fn limit_64_mib_where_512_are_asked() {
    let checks = "[checks.limit]\nmemory = \"512MiB\"\n";
    refuses(
        checks,
        &["--memory=64m"],
        &[
            "found memory 64 MiB of the container, expected memory of at least 512 MiB",
            "raise memory to 512 MiB (docker run --memory 512m)",
        ],
    );
    starts(checks, &["--memory=512m"]);
    // No limit at all leaves what the machine has.
    starts(checks, &[]);
    starts("[checks.limit]\nmemory = \"unlimited\"\n", &[]);
}

/// What no option gives is not told to be given by one.
#[test]
fn limit_more_than_the_machine_has() {
    let checks = "[checks.limit]\nmemory = \"1000TiB\"\ncpus = 10000\n";
    let ran = checked(checks, &[]);
    assert_eq!(ran.code, 69, "{ran:?}");
    tells(&ran, &["of the machine; cpus ", "run it on a machine with more"]);
    assert!(!ran.err.contains("docker run --memory"), "{ran:?}");
}

#[test]
fn limit_all_that_is_too_low_is_told_at_once() {
    let checks = "[checks.limit]\ncpus = 1\npids = 100\nnofile = 4096\nnproc = 500\n";
    let low = ["--cpus=0.5", "--pids-limit=20", "--ulimit=nofile=512:1024", "--ulimit=nproc=100:1000"];
    refuses(
        checks,
        &low,
        &[
            "cpus 0.5 of the container; pids 20 of the container; nofile 512, hard limit 1024; nproc 100 by the soft",
            "docker run --cpus 1)",
            "docker run --pids-limit 100)",
            "docker run --ulimit nofile=4096:4096)",
            "docker run --ulimit nproc=500:1000)",
        ],
    );
    starts(checks, &["--cpus=1", "--pids-limit=100", "--ulimit=nofile=4096:4096", "--ulimit=nproc=500:1000"]);
}
