//! `[checks.dir.PATH]`: a directory is there (or is not), and who is to use it can.

use super::common::ensure::{ENSURE_DIR_KEYS, ENSURE_KEY, EnsureKind};
use super::common::finding::{add, fail, failure};
use super::common::path::{PATH_KEYS, PathSubject, RIGHTS_KEYS, absent, unreachable, what};
use crate::checks::{Blocking, CheckSpec, Facts, Kind, LookResult, SLOW_FILES, facts};
use crate::config::keys::{KeySpec, key};
use crate::config::read::table::Table;
use crate::sys::fs::stat::{Access, Stat};
use crate::sys::{Errno, errno};
use crate::text::template::fill;

/// `dir`
pub const KIND: Kind = Kind { name: "dir", looks_at_paths: true, hang_hint: SLOW_FILES, read, ..Kind::PLAIN };

/// The keys that are its own.
#[rustfmt::skip]
pub const KEYS: &[&[KeySpec]] = &[PATH_KEYS, RIGHTS_KEYS, ENSURE_KEY, ENSURE_DIR_KEYS, &[
    key("empty", "bool", "either", "whether it is empty"),
    key("non_empty", "bool", "either", "whether it has entries"),
]];

fn read(name: &str, table: &Table<'_>) -> Option<CheckSpec> {
    let mut expected = String::from("a directory");
    let place = PathSubject::read(name, table, &mut expected);
    let (empty, non_empty) = (table.flag("empty"), table.flag("non_empty"));
    if empty.is_some() && non_empty.is_some() {
        table.fault("non_empty", "says the same as empty; leave one of them out");
    }
    let empty = empty.or(non_empty.map(|full| !full));
    if let Some(empty) = empty {
        if absent(table).0 {
            table
                .fault("absent", "contradicts what is asked of the directory besides; leave one of them out");
        }
        add(&mut expected, &[if empty { "empty" } else { "not empty" }]);
    }
    let place = place?;
    if place.path == "/" && expected == "a directory" {
        table.fault_here("asserts nothing, for there is always a root; expected a key, such as mode");
    }
    let ensure = place.ensure(table, EnsureKind::Dir, true);
    let spec = CheckSpec::new(
        fill!("dir {}", place.path),
        expected,
        Blocking::Never,
        Box::new(move |facts| place.look(facts, &|stat| look(&place, empty, stat, facts))),
    );
    Some(CheckSpec { ensure, ..spec })
}

fn look(place: &PathSubject, empty: Option<bool>, stat: &Stat, facts: &Facts) -> LookResult {
    let path = &place.path;
    if !stat.dir {
        return fail!("{}", what(stat); "remove it, and make a directory there: mkdir {}", path);
    }
    place.rights(stat, facts)?;
    if let Some(empty) = empty {
        let names = facts.system.list(path).map_err(|error| {
            if errno(&error) == Errno::EACCES {
                return unreachable(path, Access::Read, facts);
            }
            failure!("a directory that cannot be listed: {}", &facts::why(&error); "look at what {} lies on", path)
        })?;
        match (empty, names.first()) {
            (true, Some(name)) => return fail!("a directory that holds {}", name; "empty {}", path),
            (false, None) => {
                return fail!("an empty directory"; "put files into {}, or mount them there", path);
            }
            _ => {}
        }
    }
    place.pass(stat, facts)
}

#[cfg(test)]
mod tests {
    use crate::checks::facts::fake::Fake;
    use crate::checks::read::testing::{fault, one};
    use crate::sys::fs::stat::Stat;

    #[test]
    fn every_key_can_fail_and_hold() {
        let dir = Stat { dir: true, mode: 0o750, ..Stat::default() };
        for (path, keys, ok, found) in [
            ("/full", "", true, "a directory owned by 0:0, mode 0750"),
            ("/file", "", false, "a file"),
            ("/none", "", false, "/none is not there"),
            ("/none", "absent = true", true, "nothing there"),
            ("/full", "absent = true", false, "a directory owned by 0:0, mode 0750"),
            ("/full", "owner = 1", false, "owned by 0:0, mode 0750"),
            ("/full", "max_mode = \"0700\"", false, "owned by 0:0, mode 0750"),
            ("/full", "writable = true", false, "on a read-only mount"),
            ("/full", "readable = true\nexecutable = true", true, "a directory owned by 0:0, mode 0750"),
            ("/full", "empty = true", false, "a directory that holds x"),
            ("/full", "non_empty = true", true, "a directory owned by 0:0, mode 0750"),
            ("/bare", "empty = true", true, "a directory owned by 0:0, mode 0750"),
            ("/bare", "empty = false", false, "an empty directory"),
        ] {
            let fake = Fake {
                files: [
                    ("/full".into(), dir),
                    ("/full/x".into(), dir),
                    ("/bare".into(), dir),
                    ("/file".into(), Stat { file: true, dir: false, ..dir }),
                ]
                .into(),
                refused: [(("/full".to_string(), "w"), libc::EROFS)].into(),
                ..Fake::default()
            };
            let finding = one(&format!("[checks.dir.\"{path}\"]\n{keys}")).spec.evaluate(&fake.facts(&[]));
            assert_eq!((finding.ok, finding.found.as_str()), (ok, found), "{path} {keys}");
        }
    }

    #[test]
    fn what_cannot_hold_is_a_fault() {
        for (keys, part) in [
            ("empty = true\nabsent = true", "contradicts"),
            ("empty = true\nnon_empty = false", "says the same"),
            ("mode = \"x\"", "in quotes"),
            ("path = \"/\"", "asserts nothing"),
        ] {
            let message = fault(&format!("[checks.dir.\"/x\"]\n{keys}"));
            assert!(message.contains(part), "{keys}: {message}");
        }
    }

    /// Whoever mends the owner alone would come back for the mode.
    #[test]
    fn all_that_is_to_be_done_is_told() {
        let stat = Stat { dir: true, mode: 0o755, ..Stat::default() };
        let facts = Fake { files: [("/d".into(), stat)].into(), ..Fake::default() }.facts(&[]);
        let check = one("[checks.dir.\"/d\"]\nowner = 5\ngroup = 6\nmode = \"0700\"");
        assert_eq!(check.spec.evaluate(&facts).remedy, "chown 5 /d; chgrp 6 /d; chmod 0700 /d");
    }
}
