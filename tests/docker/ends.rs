//! What ended a container's program, and what its user may not reach, as `docker run` shows it; each remedy is carried out.

use crate::engine::{Ran, run};
use crate::images::{Config, debian, workplace};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixListener;

#[track_caller]
fn tells(ran: &Ran, parts: &[&str]) {
    for part in parts {
        assert!(ran.err.contains(part), "no {part:?} in\n{}", ran.err);
    }
}

/// "exited with code 137" told neither who, nor how much it may have, nor how much it had.
#[test]
fn out_of_memory_names_the_program_the_limit_and_the_use() {
    let greedy = ["--", "tail", "/dev/zero"];
    let small = ["-m=32m", "--memory-swap=32m"];
    let ran = run(&small, debian(), &greedy);
    assert_eq!(ran.code, 137, "{ran:?}");
    tells(&ran, &["rinit: tail was killed by the kernel: out of memory, limit 32 MiB, used 3"]);
    let config = Config::new("[services.web]\nrestart = \"no\"\ncommand = [\"tail\", \"/dev/zero\"]\n");
    let ran = run(&[&small[..], &[&config.mount]].concat(), debian(), &[]);
    tells(&ran, &["rinit: web: tail was killed by the kernel: out of memory, limit 32 MiB, used 3"]);
    tells(&ran, &["raise that (docker run --memory)"]);
}

/// A profile that kills for a system call.
#[test]
fn a_system_call_that_the_seccomp_profile_kills_for() {
    let path = workplace().join(crate::engine::unique("profile"));
    let profile = "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": \
                   [{\"names\": [\"mkdir\", \"mkdirat\"], \"action\": \"SCMP_ACT_KILL_PROCESS\"}]}";
    fs::write(&path, profile).expect("a profile");
    let option = format!("--security-opt=seccomp={}", path.display());
    let command = ["--", "mkdir", "/tmp/new"];
    let ran = run(&[&option], debian(), &command);
    fs::remove_file(&path).expect("removed");
    assert_eq!(ran.code, 159, "{ran:?}");
    tells(
        &ran,
        &["rinit: killed by SIGSYS, and not by rinit: a system call that the seccomp profile forbids"],
    );
    let ran = run(&["--security-opt=seccomp=unconfined"], debian(), &command);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
}

/// A socket of the host's, as an engine's is: who uses it gets its group, and nobody changes its owner.
#[test]
fn an_engines_socket_wants_its_group() {
    let path = workplace().join(crate::engine::unique("socket"));
    let _server = UnixListener::bind(&path).expect("a socket");
    chown(&path, Some(0), Some(999)).expect("given to its group");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).expect("its mode");
    let mount = format!("--volume={}:/var/run/docker.sock", path.display());
    let config = Config::new("[checks.unix.\"/var/run/docker.sock\"]\n");
    let command = ["--", "echo", "started"];
    let refused = run(&[&mount, &config.mount, "--user=1000:1000"], debian(), &command);
    let started = run(&[&mount, &config.mount, "--user=1000:1000", "--group-add=999"], debian(), &command);
    // The same for a service's user.
    let checks = "[checks.unix.\"/var/run/docker.sock\"]\nas_user = \"1000:1000\"\n";
    let config = Config::new(checks);
    let service = run(&[&mount, &config.mount], debian(), &command);
    fs::remove_file(&path).expect("removed");
    assert_eq!(refused.code, 69, "{refused:?}");
    tells(
        &refused,
        &["owned by root:999, mode 0660, not writable by uid 1000", "docker run --group-add 999"],
    );
    assert!(!refused.err.contains("chown") && !refused.err.contains("chmod"), "{refused:?}");
    assert_eq!((started.code, started.out.as_str()), (0, "started\n"), "{started:?}");
    tells(&service, &["groups = [\"999\"]", "keep_groups = true"]);
}

/// Root that is not given the right to pass by permissions.
#[test]
fn root_without_dac_override() {
    let path = workplace().join(crate::engine::unique("closed"));
    fs::create_dir(&path).expect("a directory");
    fs::write(path.join("key"), "x").expect("a file");
    chown(&path, Some(1234), Some(1234)).expect("given away");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("its mode");
    let mount = format!("--volume={}:/secrets", path.display());
    let config = Config::new("[checks.file.\"/secrets/key\"]\nreadable = true\n");
    let command = ["--", "echo", "started"];
    let refused = run(&[&mount, &config.mount, "--cap-drop=ALL"], debian(), &command);
    let started =
        run(&[&mount, &config.mount, "--cap-drop=ALL", "--cap-add=DAC_OVERRIDE"], debian(), &command);
    fs::remove_dir_all(&path).expect("removed");
    assert_eq!(refused.code, 69, "{refused:?}");
    let words = [
        "root may not enter the directory /secrets (mode 0700, owner 1234:1234)",
        "docker run --cap-add DAC_OVERRIDE",
    ];
    tells(&refused, &words);
    assert_eq!((started.code, started.out.as_str()), (0, "started\n"), "{started:?}");
}
