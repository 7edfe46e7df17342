//! What the container was given: limits, a kernel, privileges, a user, variables.

use super::{checking, report};
use crate::harness;
use crate::harness::{Init, Launch};

#[test]
fn limits_are_high_enough_or_are_not() {
    let checks = "
        [checks.limit.low]\nnofile = 128\nmemory = \"1MiB\"\ncpus = 0.01\npids = 1
        [checks.limit.high]\nnofile = 65536
        [checks.limit.much]\nmemory = \"1000TiB\"
        [checks.limit.many]\ncpus = 100000
        [checks.limit.core]\ncore = \"1GiB\"
    ";
    let launch = checking(checks).limit(libc::RLIMIT_NOFILE, 256).limit(libc::RLIMIT_CORE, 0);
    let report = report(launch);
    report.pass(&["low"]).fail("high", "nofile 256, hard limit 256").fail("core", "core 0 bytes, hard limit");
    report.fail("much", "memory ").fail("many", "cpus ");
}

#[test]
fn the_kernel_is_as_needed_or_is_not() {
    let report = report(
        checking(
            "
            [checks.kernel.good]\nversion = \"3.10\"\ndevice = \"/dev/null\"\nnot_before = \"2024-01-01\"\nentropy = true
            time_zone = \"UTC\"\nsysctl = { \"kernel.pid_max\" = 2 }
            [checks.kernel.new]\nversion = \"99\"
            [checks.kernel.arch]\narch = [\"mips\", \"vax\"]
            [checks.kernel.device]\ndevice = \"/dev/no-such-device\"
            [checks.kernel.file]\ndevice = \"/mnt/files/rinit.toml\"
            [checks.kernel.least]\nsysctl = { \"kernel.pid_max\" = 2000000000 }
            [checks.kernel.equal]\nsysctl.kernel.ostype = \"Minix\"
            [checks.kernel.unknown]\nsysctl = { \"kernel.no_such\" = 1 }
            [checks.kernel.zone]\ntime_zone = \"Mars/Olympus\"
            [checks.kernel.clock]\nnot_before = \"2999-01-01\"
            [checks.kernel.shm]\nshm = \"1000TiB\"
            ",
        )
        .env("TZ", "UTC"),
    );
    report.pass(&["good"]).fail("new", "version ").fail("arch", "arch ").fail("device", "no /dev/no-such");
    report
        .fail("file", "a file at")
        .fail("least", "kernel.pid_max = ")
        .fail("equal", "kernel.ostype = Linux");
    report.fail("unknown", "no kernel.no_such").fail("zone", "time zone UTC").fail("clock", "before 2999");
    report.fail("shm", "/dev/shm of ");
}

#[test]
fn privileges_are_few_enough_or_are_not() {
    harness::needs_root();
    let checks = "
        [checks.privileges.none]\ncapabilities = { lacks = \"ALL\" }\nno_new_privs = false
        [checks.privileges.bind]\ncapabilities = { has = [\"NET_BIND_SERVICE\"] }
        [checks.privileges.locked]\nno_new_privs = true
        [checks.privileges.found]\nsetuid_files = \"none\"\npaths = [\"/mnt/files\"]
        [checks.privileges.allowed]\nsetuid_files = \"none\"\npaths = [\"/mnt/files\"]\nallow = [\"/mnt/files/su\"]
    ";
    let with = |launch: Launch| report(launch.file_with_mode("su", "x", 0o4755));
    let user = with(checking(checks).user(4711));
    user.pass(&["none", "allowed"]).fail("bind", "uid 4711 without NET_BIND_SERVICE");
    user.fail("locked", "no_new_privs off").fail("found", "setuid /mnt/files/su");
    let root = with(checking(checks));
    root.pass(&["bind"]).fail("none", "uid 0 with ");
}

#[test]
fn the_user_is_the_one_that_is_meant_or_is_not() {
    harness::needs_root();
    let checks = "
        [checks.user.plain]\nroot = false\nin_passwd = false\ngid = 4711
        [checks.user.root]\nname = \"root\"\nuid = 0\ngid = \"root\"\nin_passwd = true
        [checks.user.member]\nuid = 4711\ngroups = \"adm\"
        [checks.user.home]\nuid = 4711\nhome_writable = true
    ";
    let user = report(checking(checks).user(4711));
    user.pass(&["plain"]).fail("root", "uid 4711 (no name in /etc/passwd)");
    user.fail("member", "not a member of adm").fail("home", "whose home /root is owned by root:root");
    let root = report(checking(checks));
    root.pass(&["root"]).fail("plain", "user root (uid 0)").fail("member", "user root (uid 0)");
}

/// What the command is given of a variable, its file, its default and its old name.
#[test]
fn variables_are_as_they_should_be_and_handed_on() {
    let checks = "
        [checks.env.KEY]\nfile = true\nsecret = true\nmin_length = 3
        [checks.env.PORT]\ntype = \"port\"\ndefault = 8080
        [checks.env.NEW]\nrenamed_from = \"OLD\"\none_of = [\"a\", \"b\"]
        [checks.env.ADMIN]\nrequires = \"PORT_NAME\"\npass = false
    ";
    let launch = |key: &str, old: &str| {
        let launch = Init::config(checks).file("key", key).env("KEY_FILE", "/mnt/files/key").env("OLD", old);
        launch.env("ADMIN", "x").env("PORT_NAME", "y")
    };
    let good = launch("abc\n", "a").sh("echo $KEY-$KEY_FILE-$PORT-$NEW-$ADMIN-").run().expect(0);
    assert_eq!(good.out, "abc--8080-a--\n", "{}", good.story());
    let bad = launch("ab\n", "c").env("PORT", "0").env("PORT_NAME", "").sh("echo started").run().expect(69);
    assert_eq!(bad.out, "", "{}", bad.story());
    let wanted = [
        "/mnt/files/key (by KEY_FILE)",
        "\"0\", expected a port",
        "\"c\" in OLD",
        "ADMIN set without PORT_NAME",
    ];
    bad.tells(&wanted);
}
