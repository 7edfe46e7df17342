//! What is mounted: `mount`, `volume`.

use super::{COMMAND, refuses, starts};
use crate::engine::{Ran, Volume, run};
use crate::images::{Config, RINIT, debian};

/// The engine makes volumes for root, whoever is to use them.
#[test]
fn volume_of_root_while_the_service_is_user_1000() {
    let checks = "[checks.volume.\"/data\"]\n";
    let volume = Volume::new();
    let data = format!("--volume={}:/data", volume.0);
    let user = "--user=1000:1000";
    refuses(
        checks,
        &[&data, user],
        &[
            "found owned by root:root, mode 0755, not writable by uid 1000, expected a volume that can be written",
            "chown 1000:1000 /data (on the volume), or run as uid 0",
        ],
    );
    starts(checks, &[&data]);
    let mended = run(&[&data, "--entrypoint=chown"], debian(), &["1000:1000", "/data"]);
    assert_eq!(mended.code, 0, "{mended:?}");
    starts(checks, &[&data, user]);

    // Its own user, to whom another owner is no remedy.
    let closed = run(&[&data, "--entrypoint=chmod"], debian(), &["0500", "/data"]);
    assert_eq!(closed.code, 0, "{closed:?}");
    refuses(
        checks,
        &[&data, user],
        &["mode 0500, not writable by uid 1000", "chmod u+w /data (on the volume)"],
    );
}

/// rinit as root, the service as another: judged with the service's rights.
#[test]
fn volume_judged_with_the_rights_of_the_services_user() {
    let volume = Volume::new();
    let data = format!("--volume={}:/data", volume.0);
    starts("[checks.volume.\"/data\"]\n", &[&data]);
    let checks = "[checks.volume.\"/data\"]\nas_user = \"redis\"\n";
    refuses(checks, &[&data], &["owned by root:root, mode 0755, not writable by uid"]);
    let mended = run(&[&data, "--entrypoint=chown"], debian(), &["redis", "/data"]);
    assert_eq!(mended.code, 0, "{mended:?}");
    starts(checks, &[&data]);
}

#[test]
fn volume_forgotten_and_volume_mounted_read_only() {
    let checks = "[checks.volume.\"/srv\"]\n";
    refuses(checks, &[], &["/srv, which is part of the overlay at /", "docker run --volume srv:/srv"]);
    refuses(checks, &["--tmpfs=/srv:ro"], &["found mounted read-only", "mount the volume rw, not ro"]);
    starts(checks, &["--tmpfs=/srv"]);
}

/// A small disk that something has filled.
#[test]
fn volume_on_a_full_disk() {
    let checks = "[checks.volume.\"/data\"]\nmin_free = \"64KiB\"\n";
    let config = Config::new(checks);
    let full_of = |size: &str| -> Ran {
        let script = format!("head -c {size} /dev/zero >/data/log; exec {RINIT} {}", COMMAND.join(" "));
        run(&["--tmpfs=/data:size=1m", &config.mount, "--entrypoint=sh"], debian(), &["-c", &script])
    };
    let ran = full_of("2m");
    assert_eq!((ran.code, ran.out.as_str()), (69, ""), "{ran:?}");
    let told =
        "found 0 bytes free of 1 MiB, expected a volume that can be written, with at least 64 KiB free";
    super::tells(&ran, &[told, "make room in /data, or docker run --tmpfs /data:size=1114112"]);
    let ran = full_of("100k");
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "started\n", ""), "{ran:?}");
}

#[test]
fn volume_without_inodes() {
    let checks = "[checks.volume.\"/data\"]\nmin_free_inodes = 1000\n";
    let few = ["--tmpfs=/data:nr_inodes=10"];
    refuses(checks, &few, &["found 9 free inodes of 10", "docker run --tmpfs /data:nr_inodes=1001"]);
    starts(checks, &["--tmpfs=/data:nr_inodes=2000"]);
}

/// Nobody asked for it: the engine mounts a tmpfs so.
#[test]
fn mount_a_tmpfs_from_which_nothing_can_be_run() {
    let checks = "[checks.mount.\"/app\"]\nfstype = \"tmpfs\"\noptions = { lacks = [\"noexec\"] }\n";
    refuses(
        checks,
        &["--tmpfs=/app"],
        &["found a mount with noexec", "mount it with exec (docker run --tmpfs /app:exec)"],
    );
    starts(checks, &["--tmpfs=/app:exec"]);
    refuses(checks, &[], &["/app is not there", "--tmpfs /app)"]);
}

#[test]
fn mount_the_mode_of_the_root() {
    let checks = "[checks.mount.\"/\"]\nmode = \"ro\"\n";
    refuses(checks, &[], &["found a writable mount, expected a read-only mount; docker run --read-only"]);
    starts(checks, &["--read-only"]);
    let checks = "[checks.mount.\"/\"]\nmode = \"rw\"\n";
    refuses(checks, &["--read-only"], &["found a read-only mount", "leave out --read-only"]);
}
