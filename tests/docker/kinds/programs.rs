//! What is to run: `command`, `exec`, `file` with `executable`; and the same programs as the container's command,
//! without any check.

use super::{Given, refuses, starts, tells};
use crate::engine::{Container, Volume, docker_ok, run, unique};
use crate::images::{debian, rinit};

#[test]
fn command_that_is_there_in_a_version_that_will_do() {
    starts("[checks.command.redis-server]\nversion = \"v=[67]\\\\.\"\n[checks.command.sh]\n", &[]);
    refuses(
        "[checks.command.psql]\n[checks.command.redis-serevr]\n[checks.command.redis-server]\nversion = \"v=99\"\n",
        &[],
        &[
            "check command psql failed: found no such program in PATH (/usr/local/sbin:",
            "install it, or give its full path (/etc/rinit.toml:1)",
            "did you mean \"redis-server\"?",
            "found /usr/bin/redis-server, \"Redis server v=",
            "install another version of /usr/bin/redis-server, or correct version",
        ],
    );
}

#[test]
fn exec_its_exit_code_and_what_it_says() {
    let pings = "[checks.exec.cache]\ncommand = [\"redis-cli\", \"-h\", \"127.0.0.1\", \"ping\"]\nmatches = \"PONG\"\n";
    refuses(
        pings,
        &[],
        &[
            "found exit code 1, saying \"Could not connect to Redis",
            "mend what /usr/bin/redis-cli complains of",
        ],
    );
    let cache = Container::start(&["--entrypoint=redis-server"], debian(), &[]);
    cache.says("Ready to accept connections");
    starts(pings, &[&format!("--network=container:{}", cache.name)]);

    let hangs = "[checks.exec.slow]\ncommand = [\"sleep\", \"1000\"]\ntimeout = \"300ms\"\n";
    refuses(hangs, &[], &["/usr/bin/sleep still running after 300ms, and killed", "a longer timeout"]);
}

const RUN: &str = "/app/run";

/// What keeps a program from starting is told by the check, and in the same words where there is none: then with
/// the shell's exit codes.
#[track_caller]
fn cannot_run(options: &[&str], code: i32, found: &str, remedy: &str) {
    let checks = format!("[checks.file.\"{RUN}\"]\nexecutable = true\n");
    refuses(&checks, options, &[&format!("check file {RUN} failed: found {found}"), remedy]);
    let ran = run(options, debian(), &["--", RUN]);
    assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{ran:?}");
    tells(&ran, &[found, remedy]);
}

fn program(content: impl AsRef<[u8]>, mode: u32) -> Given {
    Given::new(RUN, content, mode)
}

#[test]
fn file_that_can_be_run() {
    let script = program("#!/bin/sh\necho hello\n", 0o755);
    starts(&format!("[checks.file.\"{RUN}\"]\nexecutable = true\n"), &[&script.mount]);
    let ran = run(&[&script.mount], debian(), &["--", RUN]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "hello\n", ""), "{ran:?}");
}

/// As a checkout on Windows leaves it.
#[test]
fn file_a_script_with_crlf() {
    let found =
        "the first line of /app/run ends in a carriage return, so that its interpreter is looked for as";
    let mend = "save it with unix line ends: sed -i 's/\\r$//' /app/run";
    cannot_run(&[&program("#!/bin/sh\r\necho hello\r\n", 0o755).mount], 127, found, mend);
    // env(1) is started, and says half of it.
    cannot_run(
        &[&program("#!/usr/bin/env bash\r\n", 0o755).mount],
        127,
        &format!("{found} \"bash\\r\""),
        mend,
    );
}

#[test]
fn file_a_script_whose_interpreter_is_not_in_the_image() {
    let found = "the interpreter of /app/run, /usr/bin/python3, is not there";
    cannot_run(&[&program("#!/usr/bin/python3\n", 0o755).mount], 127, found, "install it");
    let found = "the first line of /app/run asks env for node, which is not in PATH";
    cannot_run(&[&program("#!/usr/bin/env node\n", 0o755).mount], 127, found, "install it");
}

/// rinit itself, with the number of another machine in its header.
#[test]
fn file_a_binary_of_another_architecture() {
    const AARCH64: [u8; 2] = [183, 0];
    let mut binary = std::fs::read(rinit()).expect("the binary under test");
    binary[18..20].copy_from_slice(&AARCH64);
    cannot_run(
        &[&program(binary, 0o755).mount],
        126,
        "/app/run is a program for aarch64 (arm64), this machine is x86_64 (amd64)",
        "build the image for this platform (docker build --platform)",
    );
}

/// A `COPY` without the bit.
#[test]
fn file_a_program_without_the_right_to_be_run() {
    let script = program("#!/bin/sh\n", 0o644);
    let found = "/app/run is not executable for root (mode 0644, owner root:root)";
    cannot_run(&[&script.mount], 126, found, "chmod a+x /app/run");

    let script = program("#!/bin/sh\n", 0o740);
    let found = "/app/run is not executable for user 1000 (mode 0740, owner root:root)";
    cannot_run(&[&script.mount, "--user=1000:1000"], 126, found, "chmod o+rx /app/run");
}

/// A volume in memory, into which another container has put the program.
#[test]
fn file_on_a_noexec_mount_that_holds_the_binary() {
    let volume = |options: &str| {
        let option = format!("o={options}");
        let words = ["--opt=type=tmpfs", "--opt=device=tmpfs", "--opt", &option];
        Volume(docker_ok(&[&["volume", "create"], &words[..], &[&unique("volume")]].concat()))
    };
    // It lasts while a container has it.
    let keep = |volume: &Volume| {
        let app = format!("--volume={}:/app", volume.0);
        let script = "cp /bin/echo /app/run && echo copied && exec sleep 1000";
        let keeper = Container::start(&[&app, "--entrypoint=sh"], debian(), &["-c", script]);
        keeper.says("copied");
        (keeper, app)
    };
    let noexec = volume("noexec");
    let (_keeper, app) = keep(&noexec);
    let found = "/app/run lies on /app, which is mounted noexec";
    cannot_run(
        &[&app],
        126,
        found,
        "mount that with exec (docker run --tmpfs /app:exec), or put the program elsewhere",
    );

    let exec = volume("exec");
    let (_keeper, app) = keep(&exec);
    starts(&format!("[checks.file.\"{RUN}\"]\nexecutable = true\n"), &[&app]);
    let ran = run(&[&app], debian(), &["--", RUN, "hello"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "hello\n", ""), "{ran:?}");
}
