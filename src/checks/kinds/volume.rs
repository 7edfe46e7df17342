//! `[checks.volume.PATH]`: a volume is mounted there, and who is to use it can.

use super::common::docker::{docker_size, volume_option};
use super::common::ensure::{ENSURE_DIR_KEYS, ENSURE_KEY, EnsureKind, EnsureSpec};
use super::common::finding::{add, fail, failure, held};
use super::common::keys::{absolute_path, at_least};
use super::common::mounted::mounted_at;
use super::common::path::{PathRights, RIGHTS_KEYS, allows, refused, shown, unreachable};
use crate::checks::{Blocking, CheckFailure, CheckSpec, Facts, Kind, LookResult, SLOW_FILES, facts, quoted};
use crate::config::keys::{KeySpec, key};
use crate::config::read::table::Table;
use crate::sys::fs::mounts::mount_of;
use crate::sys::fs::stat::{Access, Stat};
use crate::sys::{Errno, errno};
use crate::text::template::fill;
use crate::text::units::show_size;

/// `volume`
pub const KIND: Kind = Kind { name: "volume", hang_hint: SLOW_FILES, read, ..Kind::PLAIN };

/// The keys that are its own.
#[rustfmt::skip]
pub const KEYS: &[&[KeySpec]] = &[RIGHTS_KEYS, ENSURE_KEY, ENSURE_DIR_KEYS, &[
    key("path", "path", "NAME", "its mount point, if NAME is only a label"),
    key("readable", "bool", "true", "whether this user can read it"),
    key("writable", "bool", "true", "whether this user can write it"),
    key("min_free", "size", "", "the minimum free space"),
    key("min_free_inodes", "number", "", "the minimum number of free inodes"),
    key("empty", "bool", "either", "whether it is empty, apart from lost+found"),
]];

struct VolumeCheck {
    path: String,
    readable: bool,
    writable: bool,
    min_free: Option<u64>,
    min_free_inodes: Option<u64>,
    empty: Option<bool>,
    rights: PathRights,
}

fn read(name: &str, table: &Table<'_>) -> Option<CheckSpec> {
    let path = absolute_path(name, table);
    if path.as_deref() == Some("/") {
        table.fault_here("is the root file system, which is no volume; expected [checks.mount.\"/\"]");
    }
    // A volume is there to be used: what is not said must be so. What is said to be false must not.
    let writable = table.flag("writable").unwrap_or(true);
    let readable = table.flag("readable").unwrap_or(true);
    let mut expected = String::from(match (readable, writable) {
        (true, true) => "a volume that can be written",
        (true, false) => "a volume that can be read, not written",
        (false, true) => "a volume that can be written, not read",
        (false, false) => "a volume that can be neither read nor written",
    });
    let rights = PathRights::read(table, &mut expected);
    let min_free = at_least(table, "min_free");
    if let Some(free) = min_free {
        add(&mut expected, &["with at least ", &show_size(free), " free"]);
    }
    let min_free_inodes = table.integer("min_free_inodes", 1, i64::MAX).and_then(|n| u64::try_from(n).ok());
    if let Some(free) = min_free_inodes {
        add(&mut expected, &["with at least ", &free.to_string(), " free inodes"]);
    }
    let empty = table.flag("empty");
    if let Some(empty) = empty {
        add(&mut expected, &[if empty { "empty" } else { "not empty" }]);
    }
    let path = path?;
    let mut ensure = EnsureSpec::read(table, EnsureKind::Dir, &path, &rights);
    if let Some(ensure) = &mut ensure {
        // What is not mounted is not made.
        (ensure.makes, ensure.writes) = (false, writable);
        if ensure.words().is_empty() {
            table.fault(
                "ensure",
                "makes nothing so; expected owner, group, mode, max_mode, recursive or from",
            );
        }
    }
    let volume = VolumeCheck { path, readable, writable, min_free, min_free_inodes, empty, rights };
    let spec = CheckSpec::new(
        fill!("volume {}", volume.path),
        expected,
        Blocking::At(volume.path.clone()),
        Box::new(move |facts| volume.look(facts)),
    );
    Some(CheckSpec { ensure, ..spec })
}

impl VolumeCheck {
    fn look(&self, facts: &Facts) -> LookResult {
        mounted_at(&self.path, &self.how(), facts)?;
        let stat = facts.system.stat(&self.path).map_err(|error| refused(&self.path, &error, facts))?;
        self.usable(&stat, facts)?;
        self.rights.evaluate(&self.path, &stat, facts)?;
        self.roomy(facts)?;
        self.filled(facts)?;
        held!("a volume {}", &shown(&stat, facts); &self.path)
    }

    fn usable(&self, stat: &Stat, facts: &Facts) -> Result<(), CheckFailure> {
        let (read, write) = (self.readable, self.writable);
        let mut asked = vec![("readable", Access::Read, read), ("writable", Access::Write, write)];
        if (read || write) && stat.dir {
            asked.push(("to be entered", Access::Execute, true));
        }
        asked.into_iter().try_for_each(|asked| allows(&self.path, stat, asked, facts, " (on the volume)"))
    }

    fn roomy(&self, facts: &Facts) -> Result<(), CheckFailure> {
        if self.min_free.is_none() && self.min_free_inodes.is_none() {
            return Ok(());
        }
        let path = &self.path;
        let space = facts.system.space(path).map_err(|error| {
            let why = facts::why(&error);
            failure!("free room cannot be told: {}", &why; "look at what {} lies on", path)
        })?;
        if let Some(wanted) = self.min_free.filter(|wanted| space.free < *wanted) {
            let used = space.size.saturating_sub(space.free);
            return fail!("{} free of {}", &show_size(space.free), &show_size(space.size); "{}", &self.room(wanted, space.size, used, "size", facts));
        }
        // A file system that makes inodes as they are needed (btrfs) has none in all.
        if space.inodes > 0
            && let Some(wanted) = self.min_free_inodes.filter(|wanted| space.free_inodes < *wanted)
        {
            let used = space.inodes.saturating_sub(space.free_inodes);
            return fail!("{} free inodes of {}", &space.free_inodes.to_string(), &space.inodes.to_string(); "{}", &self.room(wanted, space.inodes, used, "nr_inodes", facts));
        }
        Ok(())
    }

    /// What makes enough room: where the whole is too small, to remove something does not.
    fn room(&self, wanted: u64, whole: u64, used: u64, what: &str, facts: &Facts) -> String {
        let path = &self.path;
        let need = wanted.saturating_add(used);
        let need = if what == "size" { docker_size(need) } else { need.to_string() };
        let mount = mount_of(facts.system.mounts(), path);
        let larger = match mount.map(|mount| mount.fstype.as_str()) {
            Some("tmpfs") if path == "/dev/shm" && what == "size" => {
                fill!("docker run --shm-size {}", need)
            }
            Some("tmpfs") => fill!("docker run --tmpfs {}:{}={}", path, what, need),
            _ if what == "size" => fill!("give it a volume of {} or more", need),
            _ => fill!("give it a volume with {} inodes or more", need),
        };
        if whole < wanted {
            return larger;
        }
        let verb = if what == "size" { "make room in " } else { "remove files from " };
        fill!("{}{}, or {}", verb, path, larger)
    }

    /// What mounts one there.
    fn how(&self) -> String {
        let mode = if self.writable { "" } else { ":ro" };
        volume_option(&self.path, "") + mode
    }

    fn filled(&self, facts: &Facts) -> Result<(), CheckFailure> {
        let Some(empty) = self.empty else { return Ok(()) };
        let path = &self.path;
        let names = facts.system.list(path).map_err(|error| {
            if errno(&error) == Errno::EACCES {
                return unreachable(path, Access::Read, facts);
            }
            let why = facts::why(&error);
            failure!("a volume that cannot be listed: {}", &why; "look at what {} lies on", path)
        })?;
        // A new ext4 holds this one.
        match (empty, names.iter().find(|name| *name != "lost+found")) {
            (true, Some(name)) => {
                fail!("a volume that holds {}", &quoted(name); "empty {}, or mount a new volume", path)
            }
            (false, None) => {
                fail!("an empty volume"; "fill it, or mount at {} the volume that is meant", path)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::volume::*;
    use crate::checks::Finding;
    use crate::checks::facts::fake::Fake;
    use crate::checks::read::testing::{fault, one};
    use crate::sys::fs::mounts;
    use crate::sys::process::credentials::{Accounts, Identity};
    use std::cell::RefCell;

    fn fake(refused: Option<i32>) -> Fake {
        let text = "1 0 0:1 / / rw - overlay overlay rw\n2 1 0:2 / /data rw - ext4 /dev/sda1 rw\n";
        let dir = Stat { dir: true, mode: 0o755, ..Stat::default() };
        Fake {
            mounts: mounts::parse(text),
            files: ["/", "/data", "/srv"].map(|path| (path.to_string(), dir)).into(),
            refused: refused.map(|errno| (("/data".to_string(), "w"), errno)).into_iter().collect(),
            free: 1 << 20,
            inodes: 200,
            accounts: Accounts::parse("root:x:0:0::/:\napp:x:1000:1000::/:\n", "root:x:0:\n"),
            current: RefCell::new(Identity { uid: 1000, gid: 1000, groups: vec![] }),
            ..Fake::default()
        }
    }

    fn evaluate(text: &str, refused: Option<i32>) -> Finding {
        one(text).spec.evaluate(&fake(refused).facts(&[]))
    }

    #[test]
    fn a_directory_of_the_root_is_no_volume() {
        assert!(evaluate("[checks.volume.\"/data\"]", None).ok);
        let directory = evaluate("[checks.volume.\"/srv\"]", None);
        assert_eq!(directory.found, "/srv, which is part of the overlay at /");
        assert!(directory.remedy.contains("--volume"));
        assert!(!evaluate("[checks.volume.\"/none\"]", None).ok);
        assert!(fault("[checks.volume.\"/\"]").contains("[checks.mount.\"/\"]"));
    }

    #[test]
    fn who_cannot_write_is_told_what_to_do() {
        let finding = evaluate("[checks.volume.\"/data\"]", Some(libc::EACCES));
        assert_eq!(finding.found, "owned by root:root, mode 0755, not writable by uid 1000");
        assert_eq!(finding.remedy, "chown 1000:1000 /data (on the volume), or run as uid 0");
        assert_eq!(evaluate("[checks.volume.\"/data\"]", Some(libc::EROFS)).found, "mounted read-only");
    }

    /// `false` is no "perhaps": it must not be so, whether by the mount or by the mode.
    #[test]
    fn what_is_not_to_be_used_cannot_be() {
        let evaluate = |keys: &str, what: &[&'static str], uid| {
            let refused = what.iter().map(|what| (("/data".to_string(), *what), libc::EACCES)).collect();
            let current = RefCell::new(Identity { uid, gid: 0, groups: vec![] });
            let check = one(&format!("[checks.volume.\"/data\"]\n{keys}"));
            let finding = check.spec.evaluate(&Fake { refused, current, ..fake(None) }.facts(&[]));
            (finding.ok, finding.found, finding.remedy)
        };
        for (keys, refused, ok, found) in [
            ("writable = false", &["w"][..], true, "a volume owned by root:root, mode 0755"),
            ("writable = false", &[], false, "owned by root:root, mode 0755, writable by uid 7"),
            ("writable = false", &["w", "r"], false, "owned by root:root, mode 0755, not readable by uid 7"),
            (
                "writable = false",
                &["w", "x"],
                false,
                "owned by root:root, mode 0755, not to be entered by uid 7",
            ),
            ("readable = false", &["r"], true, "a volume owned by root:root, mode 0755"),
            ("readable = false", &[], false, "owned by root:root, mode 0755, readable by uid 7"),
            (
                "readable = false\nwritable = false",
                &["r", "w", "x"],
                true,
                "a volume owned by root:root, mode 0755",
            ),
        ] {
            let told = evaluate(keys, refused, 7);
            assert_eq!((told.0, told.1.as_str()), (ok, found), "{keys} {refused:?}");
        }
        assert!(self::evaluate("[checks.volume.\"/data\"]\nwritable = false", Some(libc::EROFS)).ok);
        for (uid, remedy) in [
            (
                7,
                "mount the volume ro, not rw, or take it from that user with chmod or chown, or judge as another (as_user)",
            ),
            (
                0,
                "mount the volume ro, not rw, or judge as another user (as_user): root may do nearly anything",
            ),
        ] {
            assert_eq!(evaluate("writable = false", &[], uid).2, remedy);
        }
    }

    #[test]
    fn owner_mode_and_room_are_judged() {
        for (keys, ok, found) in [
            ("owner = \"root\"\ngroup = 0\nmode = \"0755\"", true, "a volume owned by root:root, mode 0755"),
            ("owner = 1000", false, "owned by root:root, mode 0755"),
            ("owner = \"nobody\"", false, "no user \"nobody\" in /etc/passwd"),
            ("group = 5", false, "owned by root:root, mode 0755"),
            ("mode = \"0700\"", false, "owned by root:root, mode 0755"),
            ("max_mode = \"0750\"", false, "owned by root:root, mode 0755"),
            ("min_free = \"512KiB\"", true, "a volume owned by root:root, mode 0755"),
            ("min_free = \"1GiB\"", false, "1 MiB free of 2 MiB"),
            ("min_free_inodes = 100", true, "a volume owned by root:root, mode 0755"),
            ("min_free_inodes = 101", false, "100 free inodes of 200"),
        ] {
            let finding = evaluate(&format!("[checks.volume.\"/data\"]\n{keys}"), None);
            assert_eq!((finding.ok, finding.found.as_str()), (ok, found), "{keys}");
        }
        // 755 in TOML is a decimal number, which is another mode.
        assert!(fault("[checks.volume.\"/data\"]\nmode = 755").contains("in quotes"));
        assert!(fault("[checks.volume.\"/data\"]\nmin_free_inodes = 0").contains("at least 1"));
        assert!(fault("[checks.volume.\"/data\"]\nmin_free = 0").contains("asserts nothing"));
    }

    #[test]
    fn a_volume_is_empty_or_not() {
        for (held, empty, found) in [
            (&["/data/lost+found"][..], true, None),
            (&["/data/lost+found"], false, Some("an empty volume")),
            (&["/data/lost+found", "/data/a"], true, Some("a volume that holds \"a\"")),
            (&["/data/a"], false, None),
        ] {
            let mut fake = fake(None);
            fake.files.extend(held.iter().map(|path| ((*path).to_string(), Stat::default())));
            let check = one(&format!("[checks.volume.\"/data\"]\nempty = {empty}"));
            let finding = check.spec.evaluate(&fake.facts(&[]));
            assert_eq!(finding.ok, found.is_none(), "{held:?} {empty}");
            assert!(found.is_none_or(|found| finding.found == found), "{finding:?}");
        }
        assert!(fault("[checks.volume.\"/data\"]\nempty = \"maybe\"").contains("true or false"));
        // No limit on inodes is enough of them.
        let unlimited = Fake { inodes: 0, ..fake(None) };
        let check = one("[checks.volume.\"/data\"]\nmin_free_inodes = 9");
        assert!(check.spec.evaluate(&unlimited.facts(&[])).ok);
    }
}
