//! What a service is given: user, directory, environment, limits.

use crate::harness::Init;

fn report(keys: &str) -> crate::harness::Launch {
    let config = format!("[services.web]\ncommand = \"/mnt/probe report\"\nrestart = \"no\"\n{keys}");
    Init::config(&config)
}

#[track_caller]
fn reports(launch: crate::harness::Launch, lines: &[&str]) {
    let ended = launch.run().expect(0);
    for line in lines {
        assert!(ended.out.lines().any(|known| known == *line), "no `{line}`\n{}", ended.story());
    }
}

/// Horust sets the uid and keeps gid 0 and root's groups. The container has some to lose.
#[test]
fn user_sets_uid_gid_and_groups() {
    let given = |keys: &str| report(keys).groups(&[0, 4, 27, 12_345]);
    reports(given(""), &["Uid=0 0 0 0", "Groups=0 4 27 12345"]);
    let nobody = ["Uid=65534 65534 65534 65534", "Gid=65534 65534 65534 65534", "Groups=65534"];
    reports(given("user = \"nobody\""), &nobody);
    let daemon = ["Uid=1 1 1 1", "Gid=1 1 1 1", "Groups=1", "$USER=daemon", "$HOME=/usr/sbin"];
    reports(given("user = \"daemon\""), &daemon);
}

/// Numbers need no entry in /etc/passwd: `user = "${PUID}:${PGID}"`.
#[test]
fn user_may_be_numbers() {
    crate::harness::needs_root();
    let lines = ["Uid=12345 12345 12345 12345", "Gid=54321 54321 54321 54321"];
    reports(report("user = \"${PUID:-1}:${PGID}\"").env("PUID", "12345").env("PGID", "54321"), &lines);
    let lines = ["Uid=12345 12345 12345 12345", "Gid=100 100 100 100", "Groups=4 27 100"];
    let launch = report("user = \"12345\"\ngroup = \"users\"\ngroups = [\"adm\", 27, 100]");
    reports(launch, &lines);
}

/// Who has the ids already needs no capability to have them: root too.
#[test]
fn user_may_be_who_rinit_is_without_capabilities() {
    crate::harness::needs_root();
    let config = "[services.a]\ntype = \"oneshot\"\nuser = \"root\"\ncommand = \"id -u\"\n\
                  [checks.dir.\"/mnt\"]\nas_user = \"root\"\n";
    let script = "exec setpriv --groups 0 --bounding-set -all /mnt/rinit --config root.toml";
    let ended = Init::config("").file("root.toml", config).sh(script).run().expect(0);
    assert_eq!(ended.out, "0\n", "{}", ended.story());
}

#[test]
fn an_unknown_user_is_told_and_not_retried() {
    let ended = report("user = \"no-such-user\"").run().tells(&["no-such-user"]);
    assert_ne!(ended.code(), 0, "{}", ended.story());
    assert!(ended.out.is_empty(), "{}", ended.story());
}

#[test]
fn umask_directory_and_environment_are_set() {
    let keys = r#"
        umask = "0027"
        working_dir = "/usr/share"
        environment = { GREETING = "a  b", HOME = "/elsewhere" }
    "#;
    let lines = ["umask=0027", "cwd=/usr/share", "$GREETING=a  b", "$HOME=/elsewhere", "$GIVEN=yes"];
    reports(report(keys).env("GIVEN", "yes"), &lines);
}

/// The soft and the hard limit, as the process itself sees them; rinit's own stay as they are.
#[test]
fn ulimits_are_set() {
    let keys = "ulimits = { nofile = { soft = 77, hard = 88 }, core = 0, stack = \"1MiB\" }";
    let config = format!(
        "[services.a]\ntype = \"oneshot\"\ncommand = [\"cat\", \"/proc/self/limits\"]\n{keys}\n\
         [services.b]\ntype = \"oneshot\"\ncommand = [\"sh\", \"-c\", \"ulimit -Sn 88; ulimit -n 89 || echo refused\"]\n\
         user = 1000\nulimits.nofile = {{ soft = 77, hard = 88 }}\nafter = [\"a\"]\n"
    );
    let ended = Init::config(&config).run().expect(0);
    let has = |limit: [&str; 3]| {
        ended
            .out
            .lines()
            .any(|line| limit.iter().all(|part| line.split("  ").any(|word| word.trim() == *part)))
    };
    assert!(has(["Max open files", "77", "88"]), "{}", ended.story());
    assert!(has(["Max core file size", "0", "0"]), "{}", ended.story());
    assert!(has(["Max stack size", "1048576", "1048576"]), "{}", ended.story());
    assert!(ended.out.ends_with("refused\n"), "{}", ended.story());
}

/// Compose's order: the file first, `environment` over it.
#[test]
fn env_files_are_read() {
    let file = "# comment\n\nA=from file\nB=\"quoted\"\nexport C='single'\nD=\n";
    let keys = "env_file = \"/mnt/files/web.env\"\nenvironment = { A = \"from key\" }";
    let lines = ["$A=from key", "$B=quoted", "$C=single", "$D="];
    reports(report(keys).file("web.env", file).env("B", "from outside"), &lines);
}

#[test]
fn clear_env_leaves_what_the_file_names() {
    let launch = report("clear_env = true\nenvironment = { A = \"b\" }").env("SECRET", "x");
    let ended = launch.run().expect(0);
    assert!(ended.out.contains("$A=b\n") && !ended.out.contains("SECRET"), "{}", ended.story());
}

/// No mask, no ignored signal, no descriptor but its three: what a service gets is clean, whatever
/// rinit itself was given.
#[test]
fn a_service_starts_clean() {
    let (_read, write) = std::io::pipe().unwrap();
    let launch = report("").fd(write.into(), 7).ignoring(&[libc::SIGPIPE, libc::SIGHUP]);
    let ended = launch.blocking(&[libc::SIGUSR1, libc::SIGTERM]).run().expect(0);
    for line in ["blocked=[]", "ignored=[]", "fds=[0, 1, 2]"] {
        assert!(ended.out.lines().any(|known| known == line), "no `{line}`\n{}", ended.story());
    }
}

/// One that cannot be set up as it was described does not run at all.
#[test]
fn a_directory_that_is_not_there_is_told() {
    let ended = report("working_dir = \"/nowhere\"").run().tells(&["/nowhere"]);
    assert_ne!(ended.code(), 0, "{}", ended.story());
    assert!(ended.out.is_empty(), "{}", ended.story());
}

#[test]
fn a_command_line_is_split_as_a_shell_would() {
    let config = "[services.web]\ncommand = \"printf '<%s>' 'a  b' c\\\\ d \\\"e\\\" ''\"\nrestart = \"no\"";
    assert_eq!(Init::config(config).run().expect(0).out, "<a  b><c d><e><>");
}
