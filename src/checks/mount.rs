//! `[checks.mount.PATH]`: a file system is mounted there, as it should be.

use super::asked::{add, failure, word};
use super::{Facts, Failure, Finding, Judge, Kind, facts, listed};
use crate::config::table::Table;
use crate::sys::disk::Access;
use crate::sys::mounts::{Mount, mount_of};
use crate::sys::{Errno, errno};

/// `mount`
pub const KIND: Kind = Kind { name: "mount", nameless: false, read };

#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Rw,
    Ro,
}

struct MountCheck {
    path: String,
    mode: Option<Mode>,
    fstype: Vec<String>,
    has: Vec<String>,
    lacks: Vec<String>,
    source: Vec<String>,
    propagation: Option<&'static str>,
}

const PROPAGATION: &[&str] = &["private", "shared", "slave", "unbindable"];

fn read(name: &str, table: &Table<'_>) -> Option<Box<dyn Judge>> {
    let path = path(name, table);
    let fstype = asserting(table, "fstype");
    let (mut has, mut lacks) = (Vec::new(), Vec::new());
    if let Some(options) = table.table("options") {
        has = asserting(&options, "has");
        lacks = asserting(&options, "lacks");
        if !options.has("has") && !options.has("lacks") {
            options.fault_here("asserts nothing; expected has or lacks");
        }
        if let Some(both) = has.iter().find(|option| lacks.contains(option)) {
            options.fault_here(&format!("\"{both}\" cannot be there and not be there"));
        }
        options.close();
    }
    let source = asserting(table, "source");
    if source.iter().any(|of| of == "/") {
        table.fault("source", "is the root of any file system; name a device, or a folder of one");
    }
    let propagation = word(table, "propagation", PROPAGATION);
    let mode = table.word("mode");
    Some(Box::new(MountCheck { path: path?, mode, fstype, has, lacks, source, propagation }))
}

/// The path that a check is about: its NAME, or `path` when NAME is only a label.
pub(super) fn path(name: &str, table: &Table<'_>) -> Option<String> {
    let written = table.node("path").is_some();
    let path = if written { table.text("path")? } else { name.to_string() };
    if path.starts_with('/') {
        return Some(path);
    }
    let message = "is no absolute path; expected one that begins with \"/\"";
    if written {
        table.fault("path", message)
    } else {
        table.fault_here(message)
    }
    None
}

/// A list that must say something when it is written.
pub(super) fn asserting(table: &Table<'_>, key: &'static str) -> Vec<String> {
    let list = table.list(key).unwrap_or_default();
    if list.is_empty() && table.has(key) {
        table.fault(key, "asserts nothing; name something, or leave it out");
    }
    list
}

/// What is mounted at a path, or the finding that nothing is.
pub(super) fn mounted_at<'f>(path: &str, facts: &'f Facts) -> Result<&'f Mount, Failure> {
    let remedy = || format!("mount something at {path} (docker run --volume …:{path}, or --tmpfs {path})");
    let real = facts.system.real_path(path).map_err(|error| {
        Failure::new(format!("{path} cannot be looked at: {}", facts::why(&error)), remedy())
    })?;
    let mounts = facts.system.mounts();
    let Some(mount) = mount_of(mounts, &real) else {
        return Err(Failure::new("no list of mounts".into(), "mount /proc in the container".into()));
    };
    if mount.point == real {
        return Ok(mount);
    }
    let found = format!("{path}, which is part of the {} at {}", mount.fstype, mount.point);
    Err(Failure::new(found, remedy()))
}

impl Judge for MountCheck {
    fn subject(&self) -> String {
        format!("mount {}", self.path)
    }

    fn expected(&self) -> String {
        let mut expected = String::from(match self.mode {
            Some(Mode::Rw) => "a writable mount",
            Some(Mode::Ro) => "a read-only mount",
            None => "a mount",
        });
        if !self.fstype.is_empty() {
            expected.push_str(&format!(" of type {}", listed(&self.fstype)));
        }
        if !self.has.is_empty() {
            expected.push_str(&format!(" with {}", self.has.join(",")));
        }
        if !self.lacks.is_empty() {
            expected.push_str(&format!(" without {}", self.lacks.join(",")));
        }
        if !self.source.is_empty() {
            expected.push_str(&format!(" of {}", listed(&self.source)));
        }
        if let Some(word) = self.propagation {
            add(&mut expected, &[word]);
        }
        expected
    }

    fn judge(&self, facts: &Facts) -> Finding {
        match mounted_at(&self.path, facts) {
            Ok(mount) => self.judge_mount(mount, facts),
            Err(failure) => failure.into(),
        }
    }

    fn may_block(&self, facts: &Facts) -> bool {
        remote(&self.path, facts)
    }
}

impl MountCheck {
    fn judge_mount(&self, mount: &Mount, facts: &Facts) -> Finding {
        let path = &self.path;
        let remount = |options: &str| {
            if path == "/" { format!("docker run {options}") } else { format!("mount it with {options}") }
        };
        if !self.fstype.is_empty() && !self.fstype.contains(&mount.fstype) {
            let found = format!("{} of type {}", mount.source, mount.fstype);
            return Finding::fail(found, format!("mount {} at {path}", listed(&self.fstype)));
        }
        // The flags, and what the kernel answers: a file system may turn read-only after an error.
        let refused = facts.system.access(path, Access::Write).err();
        let read_only = mount.read_only() || refused.is_some_and(|error| errno(&error) == Errno::EROFS);
        match self.mode {
            Some(Mode::Rw) if read_only => {
                let remedy =
                    if path == "/" { "leave out --read-only".into() } else { remount("rw instead of ro") };
                return Finding::fail("a read-only mount".into(), remedy);
            }
            Some(Mode::Ro) if !read_only => {
                let options = if path == "/" { "--read-only" } else { "ro" };
                return Finding::fail("a writable mount".into(), remount(options));
            }
            _ => {}
        }
        let missing: Vec<&str> =
            self.has.iter().filter(|option| !mount.has(option)).map(String::as_str).collect();
        if !missing.is_empty() {
            let missing = missing.join(",");
            return Finding::fail(format!("a mount without {missing}"), format!("mount it with {missing}"));
        }
        let extra: Vec<&str> =
            self.lacks.iter().filter(|option| mount.has(option)).map(String::as_str).collect();
        if !extra.is_empty() {
            let extra = extra.join(",");
            return Finding::fail(format!("a mount with {extra}"), format!("mount it without {extra}"));
        }
        // Of a bind mount, the folder that is bound says more than the device that it lies on.
        if !self.source.is_empty() && !self.source.iter().any(|of| *of == mount.source || *of == mount.root) {
            let of = &listed(&self.source);
            let parts = &[mount.source.as_str(), &mount.root, of, path];
            return failure("a mount of {} (its {})\nmount {} at {}", parts).into();
        }
        if let Some(wanted) = self.propagation.filter(|wanted| !mount.propagates(wanted)) {
            let is: Vec<&str> = PROPAGATION.iter().copied().filter(|word| mount.propagates(word)).collect();
            let is = is.join(" and ");
            // Docker has no word for the last, nor for the root.
            let template = if wanted == "unbindable" || path == "/" {
                "a mount that is {}\nmake it {}: mount --make-{} {}"
            } else {
                "a mount that is {}\nmount it as {} (docker run --volume …:r{}, at {})"
            };
            return failure(template, &[&is, wanted, wanted, path]).into();
        }
        let mode = if read_only { "ro" } else { "rw" };
        Finding::pass(format!("{} at {path}, {mode}", mount.fstype), path.clone())
    }
}

/// Whether a path is on a file system that asks somebody before it answers, and so may not answer at all. What
/// kind it is stands in /proc, which always answers.
pub(super) fn remote(path: &str, facts: &Facts) -> bool {
    const ASKING: &[&str] =
        &["nfs", "cifs", "smb", "fuse", "9p", "ceph", "gluster", "lustre", "afs", "autofs"];
    let mount = mount_of(facts.system.mounts(), path);
    // A path that is no mount point may lead elsewhere through a link.
    mount.is_none_or(|mount| mount.point != path || ASKING.iter().any(|kind| mount.fstype.starts_with(kind)))
}

#[cfg(test)]
mod tests {
    use super::super::facts::fake::Fake;
    use super::super::read::testing::{fault, one};
    use crate::sys::disk::Stat;
    use crate::sys::mounts;

    fn fake() -> Fake {
        let text = "1 0 0:1 / / ro,relatime - overlay overlay rw\n\
                    2 1 0:2 /vol /data rw,nosuid,noexec shared:4 master:1 - ext4 /dev/sda1 rw\n\
                    3 1 0:3 / /broken rw - ext4 /dev/sdb1 rw\n";
        let dir = Stat { dir: true, ..Stat::default() };
        Fake {
            mounts: mounts::parse(text),
            files: ["/", "/data", "/data/sub", "/broken"].map(|path| (path.to_string(), dir)).into(),
            refused: [
                (("/broken".to_string(), "w"), libc::EROFS),
                (("/data".to_string(), "w"), libc::EACCES),
            ]
            .into(),
            ..Fake::default()
        }
    }

    #[test]
    fn modes_types_and_options_are_judged() {
        for (path, keys, ok, found) in [
            ("/", "mode = \"ro\"", true, "overlay at /, ro"),
            ("/", "mode = \"rw\"", false, "a read-only mount"),
            ("/data", "mode = \"rw\"", true, "ext4 at /data, rw"),
            ("/data", "mode = \"ro\"", false, "a writable mount"),
            ("/broken", "mode = \"rw\"", false, "a read-only mount"),
            ("/data", "fstype = \"ext4\"", true, "ext4 at /data, rw"),
            ("/data", "fstype = [\"tmpfs\", \"xfs\"]", false, "/dev/sda1 of type ext4"),
            ("/data", "options = { has = [\"nosuid\"], lacks = [\"exec\"] }", true, "ext4 at /data, rw"),
            ("/data", "options = { has = [\"nodev\", \"nosuid\"] }", false, "a mount without nodev"),
            ("/data", "options = { lacks = [\"noexec\"] }", false, "a mount with noexec"),
            ("/data", "source = \"/dev/sda1\"", true, "ext4 at /data, rw"),
            ("/data", "source = [\"x\", \"/vol\"]", true, "ext4 at /data, rw"),
            ("/data", "source = \"/dev/sdb1\"", false, "a mount of /dev/sda1 (its /vol)"),
            ("/data", "propagation = \"shared\"", true, "ext4 at /data, rw"),
            ("/data", "propagation = \"slave\"", true, "ext4 at /data, rw"),
            ("/data", "propagation = \"private\"", false, "a mount that is shared and slave"),
            ("/", "propagation = \"private\"", true, "overlay at /, ro"),
            ("/", "propagation = \"unbindable\"", false, "a mount that is private"),
            ("/data/sub", "", false, "/data/sub, which is part of the ext4 at /data"),
            ("/none", "", false, "/none cannot be looked at: no such file or directory"),
        ] {
            let finding = one(&format!("[checks.mount.\"{path}\"]\n{keys}")).judge.judge(&fake().facts(&[]));
            assert_eq!((finding.ok, finding.found.as_str()), (ok, found), "{path} {keys}");
        }
    }

    #[test]
    fn lists_that_assert_nothing_are_faults() {
        for (keys, part) in [
            ("options = { has = [] }", "asserts nothing"),
            ("options = {}", "asserts nothing"),
            ("fstype = []", "asserts nothing"),
            ("options = { has = [\"ro\"], lacks = [\"ro\"] }", "cannot be there"),
            ("options = { hsa = [\"ro\"], lacks = [\"x\"] }", "did you mean \"has\"?"),
            ("mode = \"w\"", "\"rw\""),
            ("source = []", "asserts nothing"),
            ("source = \"/\"", "any file system"),
            ("propagation = \"rshared\"", "did you mean \"shared\"?"),
        ] {
            let message = fault(&format!("[checks.mount.\"/\"]\n{keys}"));
            assert!(message.contains(part), "{keys}: {message}");
        }
        assert!(fault("[checks.mount.data]").contains("no absolute path"));
        assert_eq!(one("[checks.mount.data]\npath = \"/data\"").judge.subject(), "mount /data");
    }
}
