//! What the container takes over from the machine: `kernel`.

use super::{checked, refuses, starts, tells};

/// Everything that options of `docker run` give: all that is missing is told at once, each with its option.
#[test]
fn kernel_what_docker_run_gives_is_told_with_its_option() {
    let checks = "[checks.kernel]\nsysctl = { \"net.core.somaxconn\" = 9000, \"net.ipv4.tcp_syncookies\" = \"2\" }\n\
                  device = \"/dev/full\"\nshm = \"128MiB\"\ntime_zone = \"Europe/Paris\"\n";
    let checks = &checks.replace("/dev/full", "/dev/sensor");
    refuses(
        checks,
        &[],
        &[
            "docker run --sysctl net.core.somaxconn=9000",
            "docker run --sysctl net.ipv4.tcp_syncookies=2",
            "no /dev/sensor: no such file or directory",
            "docker run --device /dev/sensor",
            "/dev/shm of 64 MiB",
            "docker run --shm-size 128m",
            "set TZ=Europe/Paris",
        ],
    );
    starts(
        checks,
        &[
            "--sysctl=net.core.somaxconn=9000",
            "--sysctl=net.ipv4.tcp_syncookies=2",
            "--device=/dev/full:/dev/sensor",
            "--shm-size=128m",
            "--env=TZ=Europe/Paris",
        ],
    );
}

/// A device that is there and may be read alone.
#[test]
fn kernel_a_device_without_the_right_to_write() {
    let checks = "[checks.kernel]\ndevice = \"/dev/sensor\"\n";
    refuses(
        checks,
        &["--device=/dev/fuse:/dev/sensor:r"],
        &["a device that is not writable, as the engine gives it", "--device /dev/sensor:/dev/sensor:rwm"],
    );
    starts(checks, &["--device=/dev/fuse:/dev/sensor:rwm"]);
}

/// What is the machine's own is not told to be given by an option, for Docker refuses that.
#[test]
fn kernel_what_only_the_machine_has() {
    starts(
        "[checks.kernel]\narch = \"amd64\"\nversion = \"3.10\"\nnot_before = \"2020-01-01\"\ntime_zone = \"UTC\"\n",
        &[],
    );
    let checks =
        "[checks.kernel]\narch = \"s390x\"\nversion = \"99.1\"\nsysctl.vm.max_map_count = 2000000000\n";
    let ran = checked(checks, &[]);
    assert_eq!((ran.code, ran.out.as_str()), (69, ""), "{ran:?}");
    tells(
        &ran,
        &[
            "run it on a machine with Linux 99.1 or later",
            "arch x86_64",
            "run it on \"s390x\", or use the image for amd64",
            "set it on the machine: sysctl -w vm.max_map_count=2000000000",
        ],
    );
    assert!(!ran.err.contains("docker run --sysctl"), "{ran:?}");
}
