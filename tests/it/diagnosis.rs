//! Why a program does not start, or does not stay: each cause for real, and what is said of it. A message holds what
//! was to be started, where it was looked for, what was found, and what to type.

use crate::harness::{Ended, Init, Launch, ms, needs_root};
use std::fs;
use std::path::PathBuf;

/// rinit, with words that follow, as what a script becomes when it has prepared the place.
fn after(script: &str) -> Launch {
    after_with(script, "")
}

/// The same through a program that starts another.
fn after_with(script: &str, through: &str) -> Launch {
    let script = format!("{script}\nexec {through} /mnt/rinit \"$@\"");
    Init::SHELL.launch().args(&["-ec", &script, "sh"])
}

fn plain() -> Launch {
    Init::RINIT.launch()
}

/// The same cause for a service, for the COMMAND and with `--exec`.
#[track_caller]
fn told(prepared: impl Fn() -> Launch, command: &str, keys: &str, code: i32, words: &[&str]) {
    let service = format!("[services.web]\nrestart = \"no\"\ncommand = ['''{command}''']\n{keys}");
    let ended = prepared().config(&service).run().expect(code).tells(words);
    assert!(ended.err.contains("rinit: web: cannot start"), "{}", ended.story());
    let with_keys =
        || if keys.is_empty() { prepared() } else { prepared().config(&format!("[services.main]\n{keys}")) };
    with_keys().command(&[command]).run().expect(code).tells(words);
    with_keys().args(&["--exec"]).command(&[command]).run().expect(code).tells(words);
}

/// A program at `/mnt/files/run`.
#[track_caller]
fn run_told(text: &str, mode: u32, code: i32, words: &[&str]) {
    told(|| plain().file_with_mode("run", text, mode), "/mnt/files/run", "", code, words);
}

// ------------------------------------------------------------------------------ the file and its first bytes

#[test]
fn a_missing_interpreter() {
    let words = ["interpreter of /mnt/files/run, /nowhere/fancyscript, is not there", "install it"];
    run_told("#!/nowhere/fancyscript -x\n", 0o755, 127, &words);
}

#[test]
fn an_interpreter_that_is_elsewhere() {
    run_told("#!/nowhere/sh\n", 0o755, 127, &["/nowhere/sh, is not there; it is at /usr/bin/sh: write that"]);
}

/// env runs, and ends with 127: only the first line tells what was asked for.
#[test]
fn an_interpreter_that_env_does_not_find() {
    let words = ["first line of /mnt/files/run asks env for fancyscript, which is not in PATH; install it"];
    let config = "[services.web]\nrestart = \"no\"\ncommand = \"/mnt/files/run\"";
    let launch = || plain().file_with_mode("run", "#!/usr/bin/env -S fancyscript -x\n", 0o755);
    launch().config(config).run().expect(127).tells(&words);
    launch().command(&["/mnt/files/run"]).run().expect(127).tells(&words);
    // Others that end so tell their reason themselves.
    let ended = Init::RINIT.sh("exit 127").run().expect(127);
    assert_eq!(ended.err, "");
}

#[test]
fn a_carriage_return_in_the_first_line() {
    let words = [
        "first line of /mnt/files/run ends in a carriage return",
        "\"/bin/sh\\r\"",
        "sed -i 's/\\r$//' /mnt/files/run",
    ];
    run_told("#!/bin/sh\r\necho hello\r\n", 0o755, 127, &words);
    let launch = plain().file_with_mode("run", "#!/usr/bin/env sh\r\necho hello\r\n", 0o755);
    launch.command(&["/mnt/files/run"]).run().expect(127).tells(&["carriage return", "\"sh\\r\"", "sed -i"]);
}

/// The interpreter runs, and knows no such option.
#[test]
fn a_carriage_return_behind_an_argument_of_the_first_line() {
    let words = [
        "the first line of /mnt/files/run ends in a carriage return, so that its interpreter is given \"-e\\r\"",
        "sed -i 's/\\r$//' /mnt/files/run",
    ];
    let launch = || plain().file_with_mode("run", "#!/bin/sh -e\r\necho hello\r\n", 0o755);
    launch().command(&["/mnt/files/run"]).run().expect(2).tells(&words);
    let config = "[services.web]\nrestart = \"no\"\ncommand = \"/mnt/files/run\"";
    launch().config(config).run().expect(2).tells(&words);
    // Others that end so tell their reason themselves.
    assert_eq!(Init::RINIT.sh("exit 2").run().expect(2).err, "");
}

#[test]
fn a_byte_order_mark() {
    run_told("\u{feff}#!/bin/sh\n", 0o755, 126, &["/mnt/files/run begins with a byte order mark", "sed -i"]);
}

#[test]
fn no_first_line_and_nothing_at_all() {
    let launch = plain().file_with_mode("run", "echo ran\n", 0o755);
    assert_eq!(launch.command(&["/mnt/files/run"]).run().expect(0).out, "ran\n");
    run_told("", 0o755, 126, &["/mnt/files/run is an empty file", "copy"]);
    run_told("#!\n", 0o755, 126, &["first line of /mnt/files/run is #! without an interpreter", "#!/bin/sh"]);
}

#[test]
fn a_program_for_another_system() {
    run_told("MZ\u{0}\u{1}", 0o755, 126, &["/mnt/files/run is a program for Windows", "Linux"]);
}

/// A real program, its loader or its machine changed.
#[test]
fn a_missing_loader_and_another_machine() {
    let broken = "sed 's,/lib\\([0-9]*\\)/ld-linux,/liX\\1/ld-linux,' /bin/true >/mnt/files/run; chmod +x /mnt/files/run";
    let words =
        ["the loader of /mnt/files/run, /liX", "ld-linux", "is not there", "built for glibc", "Debian"];
    told(|| after(broken), "/mnt/files/run", "", 127, &words);
    // A script whose interpreter is that program.
    let script = || after(broken).file_with_mode("script", "#!/mnt/files/run\n", 0o755);
    let words = ["/mnt/files/script is a script", "the loader of /mnt/files/run, /liX"];
    told(script, "/mnt/files/script", "", 127, &words);
    let other = "cp /bin/true /mnt/files/run; printf '\\026\\0' | dd of=/mnt/files/run bs=1 seek=18 conv=notrunc 2>/dev/null";
    let words = ["/mnt/files/run is a program for s390x, this machine is", "docker build --platform"];
    told(|| after(other), "/mnt/files/run", "", 126, &words);
}

// ------------------------------------------------------------------------------ rights and mounts

#[test]
fn an_exec_bit_and_for_whom() {
    let words = [
        "/mnt/files/run is not executable for root (mode 0644, owner root:root)",
        "chmod a+x /mnt/files/run",
    ];
    run_told("#!/bin/sh\n", 0o644, 126, &words);
    needs_root();
    let launch = || plain().file_with_mode("run", "#!/bin/sh\n", 0o744);
    let words = [
        "not executable for user daemon (mode 0744, owner root:root); on the host: chmod o+x /mnt/files/run",
    ];
    told(launch, "/mnt/files/run", "user = \"daemon\"", 126, &words);
}

/// The kernel runs it, and its interpreter cannot open it.
#[test]
fn a_script_that_may_not_be_read() {
    needs_root();
    let text = "#!/bin/sh\necho hello\n";
    let script = |mode| plain().file_with_mode("run", text, mode);
    let words = [
        "not executable for user daemon (mode 0750, owner root:root); on the host: chmod o+rx /mnt/files/run",
    ];
    told(|| script(0o750), "/mnt/files/run", "user = \"daemon\"", 126, &words);
    let words = [
        "/mnt/files/run is not readable for user daemon, as a script must be (mode 0711, owner root:root); on the host: chmod o+rx",
    ];
    let config = "[services.web]\nrestart = \"no\"\nuser = \"daemon\"\ncommand = \"/mnt/files/run\"";
    script(0o711).config(config).run().tells(&words);
    script(0o711).user(1).command(&["/mnt/files/run"]).run().tells(&words);
    script(0o715).user(1).command(&["/mnt/files/run"]).run().expect(0);
    // A program needs no more than that.
    let program = "cp /bin/false /mnt/files/run; chmod 711 /mnt/files/run";
    let ended = after(program).config(config).run().expect(1);
    assert!(!ended.err.contains("readable"), "{}", ended.story());
}

#[test]
fn a_directory_that_is_closed() {
    needs_root();
    let script = "mkdir -m 700 /mnt/files/closed; cp /bin/true /mnt/files/closed/run";
    let words = [
        "user daemon may not enter the directory /mnt/files/closed (mode 0700, owner root:root); on the host: chmod o+x /mnt/files/closed",
    ];
    told(|| after(script), "/mnt/files/closed/run", "user = \"daemon\"", 126, &words);
}

/// Root without the capability is a user like others.
#[test]
fn root_that_may_not_pass_by_permissions() {
    needs_root();
    let script =
        "mkdir -m 700 /mnt/files/closed; cp /bin/true /mnt/files/closed/run; chown 1:1 /mnt/files/closed";
    let words = [
        "root may not enter the directory /mnt/files/closed (mode 0700, owner daemon:daemon)",
        "--cap-add DAC_OVERRIDE",
    ];
    let launch = || after_with(script, "setpriv --bounding-set -dac_override,-dac_read_search");
    told(launch, "/mnt/files/closed/run", "", 126, &words);
}

#[test]
fn a_mount_with_noexec() {
    let script = "mkdir /mnt/files/disk; mount -t tmpfs -o noexec none /mnt/files/disk; mkdir /mnt/files/disk/bin; cp /bin/true /mnt/files/disk/bin/run";
    let words = [
        "/mnt/files/disk/bin/run lies on /mnt/files/disk, which is mounted noexec",
        "--tmpfs /mnt/files/disk:exec",
    ];
    told(|| after(script), "/mnt/files/disk/bin/run", "", 126, &words);
}

#[test]
fn a_mount_that_hides_the_program() {
    let script = "mkdir -p /mnt/files/app/bin; cp /bin/true /mnt/files/app/bin/served; mount -t tmpfs none /mnt/files/app";
    let words = [
        "no such file: /mnt/files/app/bin/served; there is no directory /mnt/files/app/bin",
        "/mnt/files/app is a mount of its own",
        "hides",
    ];
    told(|| after(script), "/mnt/files/app/bin/served", "", 127, &words);
    let launch = || after(script).env("PATH", "/usr/bin:/mnt/files/app");
    told(
        launch,
        "served",
        "",
        127,
        &["not found in PATH (/usr/bin:/mnt/files/app)", "; /mnt/files/app is a mount of its own"],
    );
}

// ------------------------------------------------------------------------------ the name

#[test]
fn a_name_that_is_outside_of_path() {
    let launch = || plain().env("PATH", "/usr/bin");
    let words = [
        "not found in PATH (/usr/bin); it is at /usr/sbin/chroot: give that path, or add its directory to PATH",
    ];
    told(launch, "chroot", "", 127, &words);
}

#[test]
fn a_name_that_is_nearly_right() {
    told(plain, "sleeep", "", 127, &["not found in PATH (/usr/local/sbin:", "did you mean \"sleep\"?"]);
    let launch = || plain().file_with_mode("server", "", 0o755);
    told(
        launch,
        "/mnt/files/servr",
        "",
        127,
        &["no such file: /mnt/files/servr", "did you mean \"server\"?"],
    );
}

#[test]
fn a_command_line_in_one_word() {
    told(plain, "sleep 5", "", 127, &["cannot start \"sleep 5\"", "one word", "[\"sleep\", \"5\"]"]);
}

#[test]
fn a_directory_and_a_link_that_leads_nowhere() {
    told(plain, "/usr/bin", "", 126, &["/usr/bin is a directory", "name the program"]);
    let launch = || after("ln -s /nowhere/python3 /mnt/files/run");
    told(
        launch,
        "/mnt/files/run",
        "",
        127,
        &["/mnt/files/run is a link to /nowhere/python3, which is not there"],
    );
    // By itself, and on the way.
    for program in ["/mnt/files/run", "/mnt/files/run/app"] {
        let circle =
            "/mnt/files/run is a link to run, which leads round in a circle of links; correct the link";
        told(|| after("ln -s run /mnt/files/run"), program, "", 126, &[circle]);
    }
    let words = ["/usr/bin/env is a file, not a directory"];
    told(plain, "/usr/bin/env/run", "", 127, &words);
}

#[test]
fn a_pipe_or_a_device() {
    let launch = || after("mkfifo /mnt/files/run; chmod 755 /mnt/files/run");
    told(launch, "/mnt/files/run", "", 126, &["/mnt/files/run is a pipe, no program; put the program there"]);
    told(plain, "/dev/null", "", 126, &["/dev/null is a device, no program"]);
}

#[test]
fn a_name_that_is_empty() {
    for launch in [plain(), plain().args(&["--exec"])] {
        let ended = launch.command(&[""]).run().expect(127);
        ended.tells(&["cannot start \"\": the name of the program is empty; give one"]);
    }
}

/// A relative path is told as what it means.
#[test]
fn a_path_below_the_working_directory() {
    let words = ["cannot start \"./run\": no such file: /mnt/files/run"];
    told(plain, "./run", "working_dir = \"/mnt/files\"", 127, &words);
}

// ------------------------------------------------------------------------------ surroundings

#[test]
fn a_user_or_group_that_nobody_knows() {
    let words = ["no user \"daemn\" in /etc/passwd; did you mean \"daemon\"?", "number"];
    told(plain, "true", "user = \"daemn\"", 71, &words);
    let words = ["no group \"auido\" in /etc/group; did you mean \"audio\"?", "number"];
    told(plain, "true", "user = \"0:auido\"", 71, &words);
}

#[test]
fn a_capability_that_user_needs() {
    needs_root();
    let words =
        ["as user daemon rinit needs SETGID and SETUID, capabilities", "--cap-add SETGID --cap-add SETUID"];
    told(
        || after_with("", "setpriv --bounding-set -setuid,-setgid"),
        "true",
        "user = \"daemon\"",
        71,
        &words,
    );
}

#[test]
fn a_working_directory_that_is_missing_or_closed() {
    let words = [
        "cannot start \"true\": working directory /nowhere/deep: there is no directory /nowhere;",
        "RUN mkdir -p /nowhere/deep",
    ];
    told(plain, "true", "working_dir = \"/nowhere/deep\"", 71, &words);
    told(plain, "true", "working_dir = \"/bin/sh\"", 71, &["/bin/sh is a file, not a directory"]);
    needs_root();
    let launch = || after("mkdir -m 700 /mnt/files/closed");
    let words = [
        "user daemon may not enter the directory /mnt/files/closed (mode 0700, owner root:root); on the host: chmod o+x",
    ];
    told(launch, "true", "working_dir = \"/mnt/files/closed\"\nuser = \"daemon\"", 71, &words);
}

#[test]
fn an_env_file_that_is_missing_or_closed() {
    let config = |path: &str| format!("[services.web]\ncommand = \"true\"\nenv_file = \"{path}\"");
    Init::config(&config("/nowhere.env"))
        .run()
        .expect(78)
        .tells(&["rinit.toml:3:12", "/nowhere.env does not exist"]);
    let launch = Init::config(&config("/mnt/files/closed.env")).file_with_mode("closed.env", "", 0);
    launch.user(1000).run().expect(78).tells(&[
        "rinit.toml:3:12",
        "may not read /mnt/files/closed.env (mode 0000, owner root:root); on the host: chmod o+r",
    ]);
}

// ------------------------------------------------------------------------------ the cgroup

/// A cgroup for one test, with this limit. rinit waits in a shell until it has been put in.
struct Group(PathBuf);

impl Group {
    fn new(controller: &str, name: &str, limits: &[(&str, &str, &str)]) -> Self {
        needs_root();
        let old = PathBuf::from("/sys/fs/cgroup").join(controller);
        let is_old = old.is_dir();
        let root = if is_old { old } else { PathBuf::from("/sys/fs/cgroup") };
        if !is_old {
            let _ = fs::write(root.join("cgroup.subtree_control"), format!("+{controller}"));
        }
        let path = root.join(format!("rinit-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        for (v2, v1, value) in limits {
            fs::write(path.join(if is_old { v1 } else { v2 }), value).unwrap();
        }
        Self(path)
    }

    #[track_caller]
    fn run(&self, launch: Launch) -> Ended {
        let run = launch.start();
        fs::write(self.0.join("cgroup.procs"), run.pid_outside().to_string()).unwrap();
        fs::write(run.directory().join("in"), "").unwrap();
        run.end()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for _ in 0..1000 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(ms(1));
        }
    }
}

const UNTIL_IN: &str = "until test -e /mnt/files/in; do sleep 0.01; done";

#[test]
fn the_limit_of_processes() {
    let group = Group::new("pids", "pids", &[("pids.max", "pids.max", "2")]);
    let config = "[defaults]\nrestart = \"no\"\n[services.a]\ncommand = \"sleep 1000\"\n[services.web]\ncommand = \"sleep 1000\"";
    let ended = group.run(after(UNTIL_IN).config(config)).expect(71);
    ended.tells(&["web: cannot start \"sleep\"", "pids.max is 2", "docker run --pids-limit"]);
}

#[test]
fn out_of_memory() {
    let limits = [("memory.max", "memory.limit_in_bytes", "33554432")];
    let words = ["tail was killed by the kernel: out of memory, limit 32 MiB, used 3", "docker run --memory"];
    let group = Group::new("memory", "service", &limits);
    let config = "[services.web]\nrestart = \"no\"\ncommand = [\"tail\", \"/dev/zero\"]";
    let ended = group.run(after(UNTIL_IN).config(config)).expect(137).tells(&words);
    assert!(ended.err.contains("rinit: web: tail was killed by the kernel"), "{}", ended.story());
    // The one command; and a shell in between, whose code is all there is.
    for command in [&["tail", "/dev/zero"][..], &["sh", "-c", "tail /dev/zero; exit $?"]] {
        let group = Group::new("memory", command[0], &limits);
        let who = ["a process of sh", "tail"][usize::from(command[0] == "tail")];
        let told = [who, " was killed by the kernel: out of memory, limit 32 MiB, used 3"].concat();
        group.run(after(UNTIL_IN).command(command)).expect(137).tells(&[&told]);
    }
}

/// Killed by somebody: no word of memory.
#[test]
fn a_kill_by_hand_is_not_the_kernel() {
    let ended = Init::RINIT.sh("kill -KILL $$").run().expect(137);
    assert_eq!(ended.err, "");
}

// ------------------------------------------------------------------------------ ends and health

const DAEMON: &str = "touch /mnt/files/up; while :; do sleep 0.01; done";
const UNTIL_UP: &str = "until test -e /mnt/files/up; do sleep 0.01; done";

#[test]
fn a_daemon_in_the_background_of_another_name() {
    let config = "[services.web]\nrestart = \"no\"\ncommand = [\"/mnt/files/nginx\"]\n";
    let script = format!("#!/bin/sh\nsetsid sh -c '{DAEMON}' &\n{UNTIL_UP}\n");
    let ended = Init::config(config).file_with_mode("nginx", &script, 0o755).run();
    ended.tells(&["web: it has put itself into the background: sh (pid ", "-g 'daemon off;'", "oneshot"]);
}

/// It did not even leave its group, and is stopped with it.
#[test]
fn a_daemon_in_the_background_of_its_group() {
    let config =
        format!("[services.web]\nrestart = \"no\"\ncommand = [\"sh\", \"-c\", \"({DAEMON}) & {UNTIL_UP}\"]");
    Init::config(&config).run().expect(0).tells(&["web: it has put itself into the background: sh (pid "]);
}

#[test]
fn a_command_in_the_background() {
    let script = format!("setsid sh -c '{DAEMON}' & {UNTIL_UP}");
    Init::RINIT.sh(&script).run().expect(0).tells(&["it has put itself into the background: sh (pid "]);
}

#[test]
fn a_daemon_that_ends_with_0_at_once() {
    let ended = Init::config("[services.web]\ncommand = \"true\"").run().expect(0);
    ended.tells(&[
        "web: a daemon is to stay, and this one ended at once",
        "type = \"oneshot\"",
        "foreground",
    ]);
    for config in
        ["[services.web]\ntype = \"oneshot\"\ncommand = \"true\"", "[services.web]\ncommand = \"sleep 1.1\""]
    {
        let ended = Init::config(config).run().expect(0);
        assert!(!ended.err.contains("daemon"), "{}", ended.story());
    }
}

#[test]
fn a_healthcheck_without_its_program() {
    let config = |check: &str| {
        format!(
            "[services.web]\nrestart = \"no\"\ncommand = \"sleep 1000\"\n\
             healthcheck = {{ {check}, interval = \"10ms\", retries = 3 }}"
        )
    };
    let ended = Init::config(&config("exec = [\"crul\", \"-f\", \"localhost\"]")).run();
    let text = "web: healthcheck: cannot start \"crul\": not found in PATH";
    assert_eq!(ended.err.matches(text).count(), 1, "{}", ended.story());
    let ended = ended.tells(&["it can never pass", "unhealthy"]);
    assert_ne!(ended.code(), 0);
    let ended = Init::config(&config("test = \"crul -f localhost\"")).run();
    ended.tells(&["web: its healthcheck ends with 127", "/bin/sh -c crul -f localhost", "install"]);
}

#[test]
fn a_healthcheck_of_another_port() {
    let config = "[services.web]\nrestart = \"no\"\ncommand = \"/mnt/probe listen 3000\"\n\
                  healthcheck = { tcp = 8080, interval = \"30ms\", retries = 5, on_unhealthy = \"ignore\" }";
    let run = Init::config(config).network().start();
    run.wait_for("listening");
    run.wait_for_err("nothing listens on port 8080 of 127.0.0.1");
    run.stop().tells(&["the service listens on 127.0.0.1:3000; correct the healthcheck"]);
}
