//! What careful people and odd set-ups do to a container.

use crate::engine::{Container, Ran, Volume, run};
use crate::eventually;
use crate::images::{Config, answers_pings, debian, scratch, serves_pages};
use crate::services::WEB_AND_CACHE;
use std::time::Duration;

/// What failed, and how to mend it, as `docker run` shows it.
#[track_caller]
fn refused(ran: &Ran, code: i32, parts: &[&str]) {
    assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{ran:?}");
    for part in parts {
        assert!(ran.err.contains(part), "no {part:?} in\n{}", ran.err);
    }
}

/// A read-only root without any directory that can be written: rinit needs none.
#[test]
fn a_read_only_root() {
    let ran = run(&["--read-only"], scratch(), &["--", "sh", "-c", "echo x >/x || exit 5"]);
    assert_eq!(ran.code, 5, "{ran:?}");

    let config = Config::new(
        "[services.once]\ntype = \"oneshot\"\ncommand = [\"echo\", \"prepared\"]\n\
         [services.side]\ncommand = [\"sleep\", \"1000\"]\n",
    );
    let ran = run(&["--read-only", &config.mount], scratch(), &["--", "echo", "done"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "prepared\ndone\n"), "{ran:?}");
}

/// Real services there, with what they themselves need to write in memory.
#[test]
fn services_on_a_read_only_root() {
    let config = Config::new(WEB_AND_CACHE);
    let options =
        ["--read-only", "--tmpfs=/run", "--tmpfs=/var/lib/nginx", "--tmpfs=/var/log/nginx", &config.mount];
    let container = Container::start(&options, debian(), &[]);
    eventually("nginx serves", || serves_pages(&container));
    eventually("redis answers", || answers_pings(&container));
    container.stop();
    assert_eq!(container.wait(), 0);
}

/// The mode of the root file system is a fact that can be asked for.
#[test]
fn the_mode_of_the_root_can_be_checked() {
    let wanted = Config::new("[checks.mount.\"/\"]\nmode = \"ro\"\n");
    let command = ["--", "echo", "started"];
    refused(&run(&[&wanted.mount], scratch(), &command), 69, &["mount /", "--read-only"]);
    assert_eq!(run(&["--read-only", &wanted.mount], scratch(), &command).code, 0);
}

/// A configuration that the engine has made a directory of, because its source is not there; and one that is closed.
#[test]
fn a_configuration_that_cannot_be_read() {
    let path = crate::images::workplace().join(crate::engine::unique("missing"));
    let missing = format!("--volume={}:/etc/rinit.toml", path.display());
    let command = ["--", "echo", "started"];
    let ran = run(&[&missing], scratch(), &command);
    std::fs::remove_dir(&path).expect("what the engine has made");
    let hint = "/etc/rinit.toml is a directory (a bind mount whose source is missing makes one)";
    refused(&ran, 78, &[hint, "nothing was started"]);

    std::fs::write(&path, "").expect("a file under target");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("closed");
    let ran = run(&[&missing, "--user=1000"], scratch(), &command);
    std::fs::remove_file(&path).expect("removed");
    refused(&ran, 78, &["may not read /etc/rinit.toml (mode "]);
}

/// A plain user, without an entry in any passwd.
#[test]
fn a_plain_user() {
    let config = Config::new(
        "[services.side]\ncommand = [\"sh\", \"-c\", \"id -u; exec sleep 1000\"]\n\
         [services.main]\ndepends_on = []\n",
    );
    let ran = run(&["--user=1000"], scratch(), &["--", "id", "-u"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "1000\n", ""), "{ran:?}");

    let container = Container::start(&["--user=1000:1000", &config.mount], debian(), &[]);
    container.says("1000");
    assert!(container.stop() < Duration::from_secs(4));
}

/// One file serves root and any other user, as the official images' start-up scripts do: a plain user cannot become
/// redis, so the service runs as who rinit is, which is told once.
#[test]
fn a_plain_user_runs_the_services_of_others() {
    let config = Config::new(
        "[services.a]\ntype = \"oneshot\"\nuser = \"redis\"\ncommand = [\"sh\", \"-c\", \"id -u; id -G\"]\n\
         [services.b]\ntype = \"oneshot\"\nuser = \"redis\"\ncommand = [\"true\"]\nafter = [\"a\"]\n",
    );
    let ran = run(&["--user=1000:1001", "--group-add=4242", &config.mount], debian(), &[]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "1000\n1001 4242\n"), "{ran:?}");
    assert_eq!(ran.err.matches("runs as who rinit is, uid 1000").count(), 1, "{ran:?}");
    // As root it is redis.
    let ran = run(&[&config.mount], debian(), &[]);
    assert!(ran.code == 0 && !ran.out.contains("1000\n") && !ran.err.contains("who rinit is"), "{ran:?}");
}

/// `docker run --group-add`, for a service of another user: the group of a socket or a device of the host's.
#[test]
fn the_groups_of_the_container_can_be_kept() {
    for (key, groups) in [("true", "1000 4242\n"), ("false", "1000\n")] {
        let config = Config::new(&format!(
            "[services.a]\ntype = \"oneshot\"\nuser = \"${{PUID:-1000}}:${{PGID:-1000}}\"\nkeep_groups = {key}\n\
             command = [\"id\", \"-G\"]\n"
        ));
        let ran = run(&["--group-add=4242", &config.mount], scratch(), &[]);
        assert_eq!((ran.code, ran.out.as_str()), (0, groups), "{ran:?}");
    }
}

/// The profile of an engine that is older than the calls: it answers them with EPERM, and `file`, `dir` and `volume`
/// all failed.
#[test]
fn a_seccomp_profile_that_is_older_than_the_calls() {
    let config = Config::new(
        "[checks.file.\"/etc/rinit.toml\"]\nreadable = true\n[checks.dir.\"/tmp\"]\nreadable = true\n\
         [checks.volume.\"/data\"]\nwritable = true\n\
         [services.a]\ntype = \"oneshot\"\nuser = \"1000\"\ncommand = [\"id\", \"-u\"]\n",
    );
    let profile = crate::images::workplace().join(crate::engine::unique("profile"));
    let names = "\"faccessat2\", \"statx\", \"close_range\", \"openat2\", \"pwritev2\", \"preadv2\", \"pidfd_open\", \
        \"pidfd_send_signal\", \"epoll_pwait2\", \"clone3\", \"copy_file_range\", \"rseq\", \"signalfd4\", \"signalfd\"";
    let refused = format!("{{\"names\": [{names}], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 1}}");
    let text = format!("{{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{refused}]}}");
    std::fs::write(&profile, text).expect("a file under target");
    let option = format!("--security-opt=seccomp={}", profile.display());
    let volume = Volume::new();
    let mount = format!("--volume={}:/data", volume.0);
    let command = ["--", "sh", "-c", "echo started"];
    let ran = run(&[&option, &mount, "--tmpfs=/tmp", &config.mount], scratch(), &command);
    std::fs::remove_file(&profile).expect("removed");
    assert_eq!((ran.code, ran.out.as_str()), (0, "1000\nstarted\n"), "{ran:?}");
    assert!(ran.err.contains("a: started"), "rinit is mute: {ran:?}");
}

/// Docker takes away the right to raise a hard limit. The message is the option that mends it.
#[test]
fn a_ulimit_above_the_hard_limit_is_told_and_can_be_mended() {
    let config = Config::new(
        "[services.a]\ntype = \"oneshot\"\ncommand = [\"sh\", \"-c\", \"ulimit -n\"]\nulimits.nofile = 6000\n",
    );
    let ran = run(&["--ulimit=nofile=100:200", &config.mount], scratch(), &[]);
    assert_eq!((ran.code, ran.out.as_str()), (71, ""), "{ran:?}");
    for part in ["nofile 6000 is above the hard limit, 200", "docker run --ulimit nofile=6000"] {
        assert!(ran.err.contains(part), "no {part:?} in\n{}", ran.err);
    }
    let ran = run(&["--ulimit=nofile=6000", &config.mount], scratch(), &[]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "6000\n"), "{ran:?}");
}

/// The user that an image insists on.
#[test]
fn the_user_can_be_checked() {
    let config = Config::new("[checks.user]\nroot = false\n");
    refused(&run(&[&config.mount], debian(), &["--", "id", "-u"]), 69, &["user", "--user"]);
    let ran = run(&["--user=1000", &config.mount], debian(), &["--", "id", "-u"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "1000\n"), "{ran:?}");
}

const DATA: &str = "[checks.volume.\"/data\"]\nowner = \"redis\"\n";

/// A volume that nobody has mounted: the data would be lost with the container.
#[test]
fn a_missing_volume_is_told() {
    let config = Config::new(DATA);
    let ran = run(&[&config.mount], debian(), &["--", "echo", "started"]);
    refused(&ran, 69, &["/data", "--volume"]);
}

/// The engine makes volumes for root. The message is the command that mends it, and having followed it mends it.
#[test]
fn a_volume_with_the_wrong_owner_is_told_and_can_be_mended() {
    let config = Config::new(DATA);
    let volume = Volume::new();
    let data = format!("--volume={}:/data", volume.0);
    let ran = run(&[&data, &config.mount], debian(), &["--", "echo", "started"]);
    refused(&ran, 69, &["volume /data", "owned by root:root", "chown redis /data"]);

    assert_eq!(run(&[&data], debian(), &["--", "chown", "redis", "/data"]).code, 0);
    let ran = run(&[&data, &config.mount], debian(), &["--", "echo", "started"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "started\n"), "{ran:?}");
}

/// Whether it is the volume that is meant, another, one that nobody has named, or a directory of the host.
#[test]
fn the_volume_that_is_mounted_can_be_checked() {
    let volume = Volume::new();
    let named = Config::new(&format!("[checks.mount.\"/data\"]\nvolume = \"{}\"\n", volume.0));
    let any = Config::new("[checks.mount.\"/data\"]\nvolume = true\n");
    let none = Config::new("[checks.mount.\"/data\"]\nvolume = false\n");
    let command = ["--", "echo", "started"];
    let right = format!("--volume={}:/data", volume.0);
    for (mount, config, found) in [
        (right.as_str(), &named, None),
        (&right, &any, None),
        (&right, &none, Some("found the volume rinit-test-")),
        ("--volume=/data", &named, Some("found the anonymous volume ")),
        ("--volume=/data", &any, None),
        ("--volume=/tmp:/data", &named, Some("found the directory /tmp of the host, no volume")),
        ("--volume=/tmp:/data", &any, Some("docker run --volume NAME:/data")),
        ("--volume=/tmp:/data", &none, None),
        ("--tmpfs=/data", &any, Some("found the whole tmpfs of tmpfs, no volume")),
    ] {
        let ran = run(&[mount, &config.mount], scratch(), &command);
        match found {
            Some(found) => refused(&ran, 69, &["mount /data", found]),
            None => assert_eq!((ran.code, ran.out.as_str()), (0, "started\n"), "{mount} {ran:?}"),
        }
    }
}

/// `writable = false`: whoever writes, by whatever right, is told; root too.
#[test]
fn a_volume_that_must_not_be_written() {
    let config = Config::new("[checks.volume.\"/data\"]\nwritable = false\n");
    let volume = Volume::new();
    let (rw, ro) = (format!("--volume={}:/data", volume.0), format!("--volume={}:/data:ro", volume.0));
    let command = ["--", "echo", "started"];
    refused(
        &run(&[&rw, &config.mount], scratch(), &command),
        69,
        &["writable by uid 0", "mount the volume ro"],
    );
    assert_eq!(run(&[&ro, &config.mount], scratch(), &command).code, 0);
    assert_eq!(run(&["--user=7", &rw, &config.mount], scratch(), &command).code, 0);
}

/// A tmpfs is a volume, too; its size is a fact.
#[test]
fn a_tmpfs() {
    let config = Config::new("[checks.mount.\"/data\"]\nfstype = [\"tmpfs\"]\nmode = \"rw\"\n");
    let command = ["--", "sh", "-c", "echo kept >/data/x && cat /data/x"];
    let ran = run(&["--read-only", "--tmpfs=/data", &config.mount], debian(), &command);
    assert_eq!((ran.code, ran.out.as_str()), (0, "kept\n"), "{ran:?}");
    refused(&run(&[&config.mount], debian(), &command), 69, &["/data", "--tmpfs"]);
    let ran = run(&["--tmpfs=/data:ro", &config.mount], debian(), &command);
    refused(&ran, 69, &["/data", "read-only"]);

    let volume = Config::new("[checks.volume.\"/data\"]\nmin_free = \"64MiB\"\n");
    let ran = run(&["--tmpfs=/data:size=1m", &volume.mount], debian(), &command);
    refused(&ran, 69, &["volume /data", "64 MiB free"]);
    assert_eq!(run(&["--tmpfs=/data:size=100m", &volume.mount], debian(), &command).code, 0);
}

/// No capabilities at all: what needs none works.
#[test]
fn no_capabilities() {
    let ran = run(&["--cap-drop=ALL"], scratch(), &["--", "sh", "-c", "kill -TERM $$"]);
    assert_eq!((ran.code, ran.err.as_str()), (143, ""), "{ran:?}");

    let config = Config::new("[services.side]\ncommand = [\"sleep\", \"1000\"]\n");
    let container = Container::start(&["--cap-drop=ALL", &config.mount], scratch(), &[]);
    container.says("side: started");
    assert!(container.stop() < Duration::from_secs(4));
    assert_eq!(container.wait(), 0);

    // Root by number alone: it may not become redis, which is a capability.
    let services = Config::new(WEB_AND_CACHE);
    let ran = run(&["--cap-drop=ALL", &services.mount], debian(), &[]);
    assert_eq!(ran.code, 71, "{ran:?}");
    assert!(ran.err.contains("redis") && ran.err.to_lowercase().contains("cap"), "{ran:?}");
}

/// A `no-new-privileges` container, with the engine's other restrictions.
#[test]
fn no_new_privileges_and_few_processes() {
    let options = ["--security-opt=no-new-privileges", "--pids-limit=20", "--memory=64m", "--network=none"];
    let ran = run(&options, scratch(), &["--", "sh", "-c", "exit 4"]);
    assert_eq!((ran.code, ran.err.as_str()), (4, ""), "{ran:?}");
}

/// `docker run --init` puts an init of its own before rinit, which then is no PID 1: services are supervised,
/// orphans adopted and the stop is the same.
#[test]
fn beside_docker_init() {
    let ran = run(&["--init"], debian(), &["--", "sh", "-c", "cat /proc/1/comm; exit 6"]);
    assert_eq!((ran.code, ran.err.as_str()), (6, ""), "{ran:?}");
    assert!(!ran.out.contains("rinit"), "{ran:?}");

    let config = Config::new(WEB_AND_CACHE);
    let container = Container::start(&["--init", &config.mount], debian(), &[]);
    eventually("nginx serves", || serves_pages(&container));
    container.exec(&["pkill", "-KILL", "-o", "-x", "nginx"]);
    container.says("web: killed by SIGKILL");
    eventually("nginx serves again", || serves_pages(&container));
    let took = container.stop();
    assert_eq!(container.wait(), 0);
    assert!(took < Duration::from_secs(5), "{took:?}");
}

/// An engine that is slow to read the log, or nobody who reads it: the services go on.
#[test]
fn many_lines_reach_the_log() {
    let script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done";
    let ran = run(&[], scratch(), &["--", "sh", "-c", script]);
    assert_eq!(ran.code, 0);
    assert_eq!(ran.out.lines().count(), 20000);
    assert!(ran.out.ends_with("line 19999\n"));
}

/// The engine kills a container that takes more memory than it has; PID 1 is not what it takes.
#[test]
fn a_command_that_takes_too_much_memory() {
    let config = Config::new("[services.side]\ncommand = [\"sleep\", \"1000\"]\n");
    let options = ["--memory=32m", "--memory-swap=32m", &config.mount];
    let ran = run(&options, debian(), &["--", "sh", "-c", "tail -c 200m /dev/zero | cat >/dev/null; exit 8"]);
    assert_eq!(ran.code, 8, "{ran:?}");
}
