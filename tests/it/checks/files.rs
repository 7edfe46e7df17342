//! Files, directories, links, mounts and volumes.

use super::{Report, checking, report};
use crate::harness;
use crate::harness::Init;
use std::ffi::CString;

#[test]
fn files_are_what_they_should_be() {
    let checks = "
        [checks.file.there]\npath = \"/mnt/files/key\"
        [checks.file.gone]\npath = \"/mnt/files/none\"
        [checks.file.absent]\npath = \"/mnt/files/none\"\nabsent = true
        [checks.file.left]\npath = \"/mnt/files/key\"\nabsent = true
        [checks.file.closed]\npath = \"/mnt/files/key\"\nmode = \"0600\"
        [checks.file.open]\npath = \"/mnt/files/open\"\nmax_mode = \"0600\"
        [checks.file.sum]\npath = \"/mnt/files/key\"
        sha256 = \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"
        [checks.file.other]\npath = \"/mnt/files/open\"
        sha256 = \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"
        [checks.file.holds]\npath = \"/mnt/files/open\"\ncontains = \"listen\"\nlacks = \"changeme\"
        [checks.file.lacks]\npath = \"/mnt/files/open\"\ncontains = \"server\"
        [checks.file.empty]\npath = \"/mnt/files/empty\"\nnon_empty = true
        [checks.file.device]\npath = \"/dev/null\"\ntype = \"device\"\nwritable = true
        [checks.file.directory]\npath = \"/mnt/files\"
    ";
    let launch = checking(checks)
        .file_with_mode("key", "abc", 0o600)
        .file_with_mode("open", "listen 80;", 0o644)
        .file("empty", "");
    let report = report(launch);
    report.pass(&["there", "absent", "closed", "sum", "holds", "device"]);
    report.fail("gone", "/mnt/files/none is not there");
    report.fail("left", "a file owned by root:root, mode 0600");
    report.fail("open", "mode 0644").fail("other", "the SHA-256 ").fail("lacks", "without");
    report.fail("empty", "an empty file").fail("directory", "a directory");
}

#[test]
fn a_program_could_be_run() {
    let checks = ["good", "plain", "bash", "crlf", "bom", "sparc"]
        .map(|name| format!("[checks.file.{name}]\npath = \"/mnt/files/{name}\"\nexecutable = true\n"))
        .concat();
    // An ELF header whose machine is 2.
    let sparc = format!("\x7fELF\x02\x01\x01{}\x02\0\x02\0{}", "\0".repeat(9), "\0".repeat(44));
    let launch = checking(&checks)
        .file_with_mode("good", "#!/bin/sh\ntrue\n", 0o755)
        .file_with_mode("plain", "#!/bin/sh\ntrue\n", 0o644)
        .file_with_mode("bash", "#!/opt/no/bash\ntrue\n", 0o755)
        .file_with_mode("crlf", "#!/bin/sh\r\ntrue\r\n", 0o755)
        .file_with_mode("bom", "\u{feff}#!/bin/sh\ntrue\n", 0o755)
        .file_with_mode("sparc", &sparc, 0o755);
    let report = report(launch);
    report.pass(&["good"]).fail("plain", "not executable").fail("bash", "/opt/no/bash, is not there");
    report.fail("crlf", "carriage return").fail("bom", "byte order mark").fail("sparc", "machine number 2");
}

/// A script that is closed to its user is to be opened for reading too: the interpreter has to read it. Of what may be
/// run and not be read nobody can tell whether it is a script; a program would run.
#[test]
fn a_script_that_may_not_be_read_is_to_be_opened() {
    harness::needs_root();
    let check = |name: &str| {
        format!("[checks.file.{name}]\npath = \"/mnt/files/{name}\"\nexecutable = true\nas_user = 1\n")
    };
    let script = "#!/bin/sh\ntrue\n";
    let launch = checking(&["closed", "open", "dead"].map(check).concat());
    let launch = launch.file_with_mode("closed", script, 0o711).file_with_mode("open", script, 0o755);
    let report = report(launch.file_with_mode("dead", script, 0o750));
    report.pass(&["open", "closed"]).fail("dead", "not executable for user daemon (mode 0750");
    assert!(report.ended.out.contains("chmod o+rx /mnt/files/dead"), "{}", report.ended.story());
}

/// That no mode is at fault is seen, where it is the mount.
#[test]
fn a_program_on_a_mount_without_exec_cannot_be_run() {
    let checks = "[checks.file.run]\npath = \"/mnt/files/disk/run\"\nexecutable = true\n";
    let script = "mkdir disk; mount -t tmpfs -o noexec none disk; cp /bin/true disk/run
                  exec /mnt/rinit --config checks.toml --check --format json";
    let launch = Init::config("").file("checks.toml", checks).sh(script);
    report(launch).fail("run", "/mnt/files/disk/run lies on /mnt/files/disk, which is mounted noexec");
}

#[test]
fn directories_and_links_are_what_they_should_be() {
    let report = report(
        checking(
            "
            [checks.dir.there]\npath = \"/mnt/files/full\"\nwritable = true\nempty = false
            [checks.dir.full]\npath = \"/mnt/files/full\"\nempty = true
            [checks.dir.file]\npath = \"/mnt/files/full/x\"
            [checks.dir.gone]\npath = \"/mnt/files/none\"
            [checks.link_target.right]\npath = \"/proc/mounts\"\ntarget = \"self/mounts\"
            [checks.link_target.wrong]\npath = \"/proc/mounts\"\ntarget = \"/etc/mtab\"
            [checks.link_target.none]\npath = \"/mnt/files/full\"
            ",
        )
        .file("full/x", "x"),
    );
    report.pass(&["there", "right"]).fail("full", "a directory that holds x").fail("file", "a file");
    report.fail("gone", "is not there").fail("wrong", "a link to self/mounts").fail("none", "no link");
}

#[test]
fn links_that_lead_round_in_a_circle_are_called_so() {
    let checks = "
        [checks.file.file]\npath = \"/mnt/files/a\"\nexecutable = true
        [checks.dir.dir]\npath = \"/mnt/files/a/b\"
        [checks.link_target.link]\npath = \"/mnt/files/a\"
        [checks.command.command]\ncommand = \"/mnt/files/a\"
    ";
    let script = "ln -s b a; ln -s a b; exec /mnt/rinit --config checks.toml --check --format json";
    let report = report(Init::config("").file("checks.toml", checks).sh(script));
    for name in ["file", "dir", "link", "command"] {
        report.fail(name, "leads round in a circle of links");
    }
    assert_eq!(report.ended.out.matches("correct the link (ls -l /mnt/files/a").count(), 4);
}

/// Root could read all: with the rights of another user the owner matters.
#[test]
fn rights_are_those_of_the_user_that_is_named() {
    harness::needs_root();
    let checks = ["root", "4711"]
        .map(|user| {
            format!(
                "[checks.file.{user}]\npath = \"/mnt/files/key\"\nreadable = true\nas_user = \"{user}\"\n"
            )
        })
        .concat();
    let report = report(checking(&checks).file_with_mode("key", "x", 0o600));
    report.pass(&["root"]).fail("4711", "owned by root:root, mode 0600, not readable by uid 4711");
}

/// The kernel judges, so an access list counts as well as the mode.
#[test]
fn an_access_list_is_a_right_too() {
    harness::needs_root();
    let check = |name: &str| {
        format!(
            "[checks.dir.{name}]\npath = \"/mnt/files/{name}\"\nas_user = \"4711\"\nreadable = true\nwritable = true\n"
        )
    };
    let listed = check("listed") + "executable = true\nwait = \"10s\"\ninterval = \"10ms\"\n";
    let run = checking(&(listed + &check("closed"))).file("listed/x", "").file("closed/x", "").start();
    // posix_acl_xattr_header, and entries of tag, rights and id: owner, user 4711, group, mask, others.
    let mut acl = vec![2, 0, 0, 0];
    for (tag, rights, id) in
        [(1u16, 7u16, u32::MAX), (2, 7, 4711), (4, 0, u32::MAX), (16, 7, u32::MAX), (32, 0, u32::MAX)]
    {
        acl.extend([tag.to_le_bytes(), rights.to_le_bytes()].concat());
        acl.extend(id.to_le_bytes());
    }
    let path = CString::new(run.directory().join("listed").to_str().unwrap()).unwrap();
    let name = c"system.posix_acl_access";
    // SAFETY: strings and bytes that live.
    let set = unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), acl.as_ptr().cast(), acl.len(), 0) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
    let report = Report { ended: run.end() };
    report.pass(&["listed"]).fail("closed", "not writable by uid 4711");
}

#[test]
fn mounts_are_as_they_should_be() {
    let checks = "
        [checks.mount.files]\npath = \"/mnt/files\"\nmode = \"rw\"\npropagation = \"private\"\nvolume = false
        [checks.mount.srv]\npath = \"/srv\"\nmode = \"ro\"\nfstype = \"tmpfs\"\nsource = \"tmpfs\"
        options = { has = [\"ro\", \"exec\"], lacks = \"noexec\" }
        [checks.mount.writable]\npath = \"/mnt/files\"\nmode = \"ro\"
        [checks.mount.closed]\npath = \"/srv\"\nmode = \"rw\"
        [checks.mount.type]\npath = \"/srv\"\nfstype = [\"ext4\", \"xfs\"]
        [checks.mount.has]\npath = \"/srv\"\noptions = { has = \"noexec\" }
        [checks.mount.lacks]\npath = \"/srv\"\noptions = { lacks = \"ro\" }
        [checks.mount.source]\npath = \"/srv\"\nsource = \"/dev/sdz\"
        [checks.mount.shared]\npath = \"/srv\"\npropagation = \"shared\"
        [checks.mount.volume]\npath = \"/mnt/files\"\nvolume = true
        [checks.mount.directory]\npath = \"/mnt/files/full\"
        [checks.mount.gone]\npath = \"/mnt/files/none\"
    ";
    let report = report(checking(checks).file("full/x", "").hide("/srv"));
    report.pass(&["files", "srv"]).fail("writable", "a writable mount").fail("closed", "a read-only mount");
    report.fail("type", "of type tmpfs").fail("has", "without noexec").fail("lacks", "a mount with ro");
    report
        .fail("source", "a mount of tmpfs")
        .fail("shared", "private")
        .fail("volume", "of the host, no volume");
    report.fail("directory", "which is part of").fail("gone", "is not there");
}

#[test]
fn volumes_are_as_they_should_be() {
    let checks = "
        [checks.volume.files]\npath = \"/mnt/files\"\nempty = false\nmin_free = 1\nmode = \"0777\"
        [checks.volume.srv]\npath = \"/srv\"\nwritable = false\nempty = true
        [checks.volume.directory]\npath = \"/mnt/files/full\"
        [checks.volume.closed]\npath = \"/srv\"
        [checks.volume.open]\npath = \"/mnt/files\"\nwritable = false
        [checks.volume.read]\npath = \"/mnt/files\"\nreadable = false
        [checks.volume.room]\npath = \"/mnt/files\"\nmin_free = \"1000TiB\"
        [checks.volume.inodes]\npath = \"/srv\"\nwritable = false\nmin_free_inodes = 1000000000000
        [checks.volume.full]\npath = \"/mnt/files\"\nempty = true
        [checks.volume.bare]\npath = \"/srv\"\nwritable = false\nempty = false
        [checks.volume.mode]\npath = \"/mnt/files\"\nmax_mode = \"0755\"
        [checks.volume.owner]\npath = \"/mnt/files\"\nowner = 4711
        [checks.volume.group]\npath = \"/mnt/files\"\ngroup = 4711
    ";
    let report = report(checking(checks).file("full/x", "").hide("/srv"));
    report.pass(&["files", "srv"]).fail("directory", "which is part of").fail("closed", "mounted read-only");
    report.fail("open", "writable by uid 0").fail("read", "readable by uid 0").fail("room", " free of ");
    report
        .fail("inodes", " free inodes of ")
        .fail("full", "a volume that holds")
        .fail("bare", "an empty volume");
    for name in ["mode", "owner", "group"] {
        report.fail(name, "owned by root:root, mode 0777");
    }
}
