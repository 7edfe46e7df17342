//! `[checks.mount.PATH]`: a file system is mounted there, as it should be.

use super::common::docker::volume_option;
use super::common::finding::{add, all, fail};
use super::common::keys::{absolute_path, asserting, word};
use super::common::mounted::mounted_at;
use crate::checks::{Blocking, CheckFailure, CheckSpec, Facts, Kind, LookResult, SLOW_FILES, listed};
use crate::config::keys::{KeySpec, key};
use crate::config::read::table::Table;
use crate::sys::fs::mounts::Mount;
use crate::sys::fs::stat::Access;
use crate::sys::{Errno, errno};
use crate::text::gather::Gather;
use crate::text::template::fill;
use crate::text::words::words;

/// `mount`
pub const KIND: Kind = Kind { name: "mount", hang_hint: SLOW_FILES, read, ..Kind::PLAIN };

/// The keys that are its own.
#[rustfmt::skip]
pub const KEYS: &[&[KeySpec]] = &[&[
    key("path", "path", "NAME", "its mount point, if NAME is only a label"),
    key("mode", "word", "either", "\"rw\" or \"ro\""),
    key("fstype", "strings", "any", "the allowed values"),
    key("options", "table", "", "mount options that it must have or must not have: { has, lacks }"),
    key("source", "strings", "any", "the allowed sources: devices, or directories of one"),
    key("propagation", "word", "any", "\"private\", \"shared\", \"slave\" or \"unbindable\""),
    key("volume", "name or bool", "either", "the name of the engine's volume; true: any volume, false: no volume"),
]];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum MountMode {
    Rw,
    Ro,
}

words!(MountMode { "rw" => Rw, "ro" => Ro });

struct MountCheck {
    path: String,
    mode: Option<MountMode>,
    fstype: Vec<String>,
    has: Vec<String>,
    lacks: Vec<String>,
    source: Vec<String>,
    propagation: Option<&'static str>,
    volume: Option<MountedVolume>,
}

/// Which volume of the engine's is meant.
enum MountedVolume {
    Named(String),
    Any,
    None,
}

const PROPAGATION: &[&str] = &["private", "shared", "slave", "unbindable"];

fn read(name: &str, table: &Table<'_>) -> Option<CheckSpec> {
    let path = absolute_path(name, table);
    let fstype = asserting(table, "fstype");
    let (mut has, mut lacks) = (Vec::new(), Vec::new());
    if let Some(options) = table.table("options") {
        has = asserting(&options, "has");
        lacks = asserting(&options, "lacks");
        if !options.has("has") && !options.has("lacks") {
            options.fault_here("asserts nothing; expected has or lacks");
        }
        if let Some(both) = has.iter().find(|option| lacks.contains(option)) {
            options.fault_here(&fill!("\"{}\" cannot be there and not be there", both));
        }
        options.close();
    }
    let source = asserting(table, "source");
    if source.iter().any(|of| of == "/") {
        table.fault("source", "is the root of any file system; name a device, or a directory of one");
    }
    let propagation = word(table, "propagation", PROPAGATION);
    let mode = table.word("mode");
    let volume = table.text_or_number("volume").map(|text| match text.as_str() {
        "true" | "any" => MountedVolume::Any,
        "false" => MountedVolume::None,
        name => {
            if name.is_empty() || name.contains('/') {
                let message =
                    "is no name of a volume; expected one, true or false; a directory of the host is a source";
                table.fault("volume", message);
            }
            MountedVolume::Named(name.into())
        }
    });
    if path.as_deref() == Some("/")
        && !["mode", "fstype", "options", "source", "propagation", "volume"].iter().any(|key| table.has(key))
    {
        table.fault_here(
            "asserts nothing, for there is always a root; expected mode, fstype, options or another",
        );
    }
    let check = MountCheck { path: path?, mode, fstype, has, lacks, source, propagation, volume };
    Some(CheckSpec::new(
        fill!("mount {}", check.path),
        check.expected(),
        Blocking::At(check.path.clone()),
        Box::new(move |facts| check.look(facts)),
    ))
}

impl MountCheck {
    /// What must hold, in words.
    fn expected(&self) -> String {
        let mut expected = String::from(match self.mode {
            Some(MountMode::Rw) => "a writable mount",
            Some(MountMode::Ro) => "a read-only mount",
            None => "a mount",
        });
        if !self.fstype.is_empty() {
            expected.push_str(&fill!(" of type {}", listed(&self.fstype)));
        }
        if !self.has.is_empty() {
            expected.push_str(&fill!(" with {}", self.has.join(",")));
        }
        if !self.lacks.is_empty() {
            expected.push_str(&fill!(" without {}", self.lacks.join(",")));
        }
        if !self.source.is_empty() {
            expected.push_str(&fill!(" of {}", listed(&self.source)));
        }
        if let Some(word) = self.propagation {
            add(&mut expected, &[word]);
        }
        match &self.volume {
            Some(MountedVolume::Named(name)) => add(&mut expected, &["the volume ", name]),
            Some(MountedVolume::Any) => add(&mut expected, &["a volume of the engine's"]),
            Some(MountedVolume::None) => add(&mut expected, &["no volume of the engine's"]),
            None => {}
        }
        expected
    }

    fn look(&self, facts: &Facts) -> LookResult {
        self.judge_mount(mounted_at(&self.path, &self.how(), facts)?, facts)
    }

    /// What mounts there what is asked for.
    fn how(&self) -> String {
        let path = &self.path;
        let mode = if matches!(self.mode, Some(MountMode::Ro)) { ":ro" } else { "" };
        let is_tmpfs = self.fstype.iter().any(|kind| kind == "tmpfs");
        match &self.volume {
            Some(MountedVolume::Named(name)) => volume_option(path, name) + mode,
            Some(MountedVolume::Any) => volume_option(path, "") + mode,
            Some(MountedVolume::None) => {
                fill!("docker run --tmpfs {}{}, or bind a directory of the host there", path, mode)
            }
            None if is_tmpfs => fill!("docker run --tmpfs {}{}", path, mode),
            None if self.fstype.is_empty() && self.source.is_empty() => {
                fill!("{}{}, or --tmpfs {}{}", &volume_option(path, ""), mode, path, mode)
            }
            None => volume_option(path, "") + mode,
        }
    }

    fn judge_mount(&self, mount: &Mount, facts: &Facts) -> LookResult {
        let path = &self.path;
        let mode = |read_only| {
            let mode = if read_only { "ro" } else { "rw" };
            fill!("{} at {}, {}", mount.fstype, path, mode)
        };
        let nothing = |()| String::new();
        let looks = vec![
            self.judge_type(mount).map(nothing),
            self.judge_mode(mount, facts).map(mode),
            self.judge_options(mount).map(nothing),
            self.judge_origin(mount).map(nothing),
        ];
        all(looks, path)
    }

    fn judge_type(&self, mount: &Mount) -> Result<(), CheckFailure> {
        if self.fstype.is_empty() || self.fstype.contains(&mount.fstype) {
            return Ok(());
        }
        let wanted = listed(&self.fstype);
        fail!("{} of type {}", &mount.source, &mount.fstype; "mount {} at {}", &wanted, &self.path)
    }

    /// Whether it is read-only, when it may be so.
    fn judge_mode(&self, mount: &Mount, facts: &Facts) -> Result<bool, CheckFailure> {
        // What the kernel answers outweighs the flags: a file system may turn read-only after an error. Of a device
        // it says nothing, nor to a user whom the mode refuses.
        let path = &self.path;
        let plain = facts.system.stat(path).is_ok_and(|stat| stat.dir || stat.file);
        let read_only = match facts.system.access(path, Access::Write) {
            Ok(()) if plain => false,
            Err(error) if errno(&error) == Errno::EROFS => true,
            _ => mount.read_only(),
        };
        match self.mode {
            Some(MountMode::Rw) if read_only && path == "/" => {
                fail!("a read-only mount"; "leave out --read-only")
            }
            Some(MountMode::Rw) if read_only => {
                fail!("a read-only mount"; "mount it with rw instead of ro")
            }
            Some(MountMode::Ro) if !read_only && path == "/" => {
                fail!("a writable mount"; "docker run --read-only")
            }
            Some(MountMode::Ro) if !read_only => fail!("a writable mount"; "mount it with ro"),
            _ => Ok(read_only),
        }
    }

    fn judge_options(&self, mount: &Mount) -> Result<(), CheckFailure> {
        let that = |list: &[String], has: bool| -> Vec<String> {
            list.iter().filter(|option| mount.has(option) == has).cloned().gather()
        };
        let missing = that(&self.has, false).join(",");
        if !missing.is_empty() {
            return fail!("a mount without {}", &missing; "mount it with {}", &missing);
        }
        let extra = that(&self.lacks, true);
        if extra.is_empty() {
            return Ok(());
        }
        // Docker's tmpfs has noexec, nosuid and nodev although nobody has asked for them.
        let positive: Vec<&str> = extra.iter().filter_map(|option| option.strip_prefix("no")).gather();
        let (extra, path) = (extra.join(","), &self.path);
        if mount.fstype == "tmpfs" && positive.len() == extra.split(',').count() {
            let with = positive.join(",");
            return fail!("a mount with {}", &extra; "mount it with {} (docker run --tmpfs {}:{})", &with, path, &with);
        }
        fail!("a mount with {}", &extra; "mount it without {}", &extra)
    }

    /// What is mounted, and who is told of mounts below.
    fn judge_origin(&self, mount: &Mount) -> Result<(), CheckFailure> {
        let path = &self.path;
        // Of a bind mount, the directory that is bound says more than the device that it lies on.
        if !self.source.is_empty() && !self.source.iter().any(|of| *of == mount.source || *of == mount.root) {
            return fail!("a mount of {} (its {})", &mount.source, &mount.root; "mount {} at {}", &listed(&self.source), path);
        }
        if let Some(wanted) = self.propagation.filter(|wanted| !mount.propagates(wanted)) {
            let is: Vec<&str> = PROPAGATION.iter().copied().filter(|word| mount.propagates(word)).gather();
            let is = is.join(" and ");
            // Docker has no word for the last, nor for the root.
            if wanted == "unbindable" || path == "/" {
                return fail!("a mount that is {}", &is; "make it {}: mount --make-{} {}", wanted, wanted, path);
            }
            return fail!(
                "a mount that is {}", &is;
                "mount it as {} (docker run --volume …:r{}, at {})", wanted, wanted, path
            );
        }
        self.volume.as_ref().map_or(Ok(()), |wanted| wanted.evaluate(path, mount))
    }
}

impl MountedVolume {
    fn evaluate(&self, path: &str, mount: &Mount) -> Result<(), CheckFailure> {
        let is = volume_of(&mount.root);
        let fits = match self {
            Self::Named(name) => is == Some(name),
            Self::Any => is.is_some(),
            Self::None => is.is_none(),
        };
        if fits {
            return Ok(());
        }
        let whole = fill!("{} of {}", mount.fstype, mount.source);
        let found = match is {
            // What the engine calls a volume that nobody has named; the beginning is enough to find it by.
            Some(id) if id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()) => {
                fill!("the anonymous volume {}", id.get(..12).unwrap_or(id))
            }
            Some(name) => fill!("the volume {}", name),
            None if mount.root == "/" => fill!("the whole {}, no volume", &whole),
            None => fill!("the directory {} of the host, no volume", &mount.root),
        };
        Err(CheckFailure::new(
            found,
            match self {
                Self::Named(name) => fill!("docker run --volume {}:{}", name, path),
                Self::Any => fill!("docker run --volume NAME:{}", path),
                Self::None => {
                    fill!("mount a directory of the host instead: docker run --volume /DIRECTORY:{}", path)
                }
            },
        ))
    }
}

/// The name of the engine's volume that the directory of a file system is, by where Docker and Podman keep them:
/// `/var/lib/docker/volumes/NAME/_data`, of which the beginning is cut when the engine has a file system of its own.
/// A directory in the volume may be mounted alone. A volume whose driver mounts something else is not known by it.
fn volume_of(root: &str) -> Option<&str> {
    let (directory, _) =
        root.split_once("/_data").filter(|(_, rest)| rest.is_empty() || rest.starts_with('/'))?;
    let (above, name) = directory.rsplit_once('/')?;
    (!name.is_empty() && (above.is_empty() || above.ends_with("/volumes"))).then_some(name)
}

#[cfg(test)]
mod tests {
    use crate::checks::facts::fake::Fake;
    use crate::checks::read::testing::{fault, one};
    use crate::sys::fs::mounts;
    use crate::sys::fs::stat::Stat;

    fn fake() -> Fake {
        let text = "1 0 0:1 / / ro,relatime - overlay overlay rw\n\
                    2 1 0:2 /vol /data rw,nosuid,noexec shared:4 master:1 - ext4 /dev/sda1 rw\n\
                    3 1 0:3 / /broken rw - ext4 /dev/sdb1 rw\n\
                    4 1 0:4 / /flagged ro - fuse x rw\n\
                    5 1 0:5 /null /dev/null ro - devtmpfs x rw\n";
        let dir = Stat { dir: true, ..Stat::default() };
        Fake {
            mounts: mounts::parse(text),
            files: ["/", "/data", "/data/sub", "/broken", "/flagged", "/dev/null"]
                .map(|path| (path.to_string(), Stat { dir: path != "/dev/null", ..dir }))
                .into(),
            refused: [("/", libc::EROFS), ("/broken", libc::EROFS), ("/data", libc::EACCES)]
                .map(|(path, errno)| ((path.to_string(), "w"), errno))
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
            ("/broken", "mode = \"ro\"", true, "ext4 at /broken, ro"),
            ("/flagged", "mode = \"ro\"", false, "a writable mount"),
            ("/dev/null", "mode = \"ro\"", true, "devtmpfs at /dev/null, ro"),
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
            ("/none", "", false, "/none is not there"),
        ] {
            let finding =
                one(&format!("[checks.mount.\"{path}\"]\n{keys}")).spec.evaluate(&fake().facts(&[]));
            assert_eq!((finding.ok, finding.found.as_str()), (ok, found), "{path} {keys}");
        }
    }

    #[test]
    fn a_volume_is_known_by_its_directory() {
        const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        let evaluate = |root: &str, keys: &str| {
            let mounts = mounts::parse(&format!("2 1 8:1 {root} /data rw - ext4 /dev/sda1 rw\n"));
            one(&format!("[checks.mount.\"/data\"]\n{keys}"))
                .spec
                .evaluate(&Fake { mounts, ..fake() }.facts(&[]))
        };
        for root in [
            "/var/lib/docker/volumes/db/_data",
            "/volumes/db/_data",
            "/db/_data",
            "/home/me/.local/share/containers/storage/volumes/db/_data",
            "/var/lib/docker/volumes/db/_data/below/_data",
        ] {
            for (keys, ok, found) in [
                ("volume = \"db\"", true, "ext4 at /data, rw"),
                ("volume = true", true, "ext4 at /data, rw"),
                ("volume = \"any\"", true, "ext4 at /data, rw"),
                ("volume = \"cache\"", false, "the volume db"),
                ("volume = false", false, "the volume db"),
            ] {
                let finding = evaluate(root, keys);
                assert_eq!((finding.ok, finding.found.as_str()), (ok, found), "{root} {keys}");
            }
        }
        for (root, found) in [
            ("/srv/x", "the directory /srv/x of the host, no volume"),
            ("/srv/volumes/x", "the directory /srv/volumes/x of the host, no volume"),
            ("/srv/x/_data", "the directory /srv/x/_data of the host, no volume"),
            ("/volumes/x/_database", "the directory /volumes/x/_database of the host, no volume"),
            ("/", "the whole ext4 of /dev/sda1, no volume"),
        ] {
            assert_eq!(evaluate(root, "volume = \"db\"").found, found);
            assert!(!evaluate(root, "volume = true").ok && evaluate(root, "volume = false").ok, "{root}");
        }
        let anonymous = evaluate(&format!("/volumes/{ID}/_data"), "volume = \"db\"");
        assert_eq!(anonymous.found, "the anonymous volume 0123456789ab");
        assert_eq!(anonymous.remedy, "docker run --volume db:/data");
        assert!(evaluate(&format!("/volumes/{ID}/_data"), "volume = true").ok);
        let expected = |keys: &str| one(&format!("[checks.mount.\"/data\"]\n{keys}")).spec.expected;
        assert_eq!(expected("volume = \"db\""), "a mount, the volume db");
        assert_eq!(expected("volume = true"), "a mount, a volume of the engine's");
        assert_eq!(expected("volume = false"), "a mount, no volume of the engine's");
    }

    #[test]
    fn what_dockers_tmpfs_forbids_unasked_is_allowed_by_name() {
        let text = "1 0 0:1 / / rw - overlay overlay rw\n2 1 0:2 / /data rw,nosuid,noexec - tmpfs tmpfs rw\n";
        let fake = Fake { mounts: mounts::parse(text), ..fake() };
        let check = one("[checks.mount.\"/data\"]\noptions = { lacks = [\"noexec\", \"nosuid\"] }");
        let remedy = check.spec.evaluate(&fake.facts(&[])).remedy;
        assert_eq!(remedy, "mount it with exec,suid (docker run --tmpfs /data:exec,suid)");
    }

    #[test]
    fn lists_that_assert_nothing_are_faults() {
        for (keys, part) in [
            ("", "asserts nothing, for there is always a root"),
            ("volume = \"\"", "is no name of a volume"),
            ("volume = \"/srv/x\"", "a directory of the host is a source"),
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
        assert_eq!(one("[checks.mount.data]\npath = \"/data\"").spec.subject, "mount /data");
    }
}
