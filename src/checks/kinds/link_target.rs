//! `[checks.link_target.PATH]`: a symbolic link is there and leads where it should.

use super::common::ensure::{ENSURE_KEY, EnsureKind};
use super::common::finding::{add, fail, failure, held};
use super::common::path::{PATH_KEYS, PathSubject, RIGHTS_KEYS, absent, shown, what};
use crate::checks::{Blocking, CheckFailure, CheckSpec, Facts, Kind, LookResult, SLOW_FILES};
use crate::config::keys::{KeySpec, key};
use crate::config::read::table::Table;
use crate::sys::fs::stat::Stat;
use crate::text::template::fill;

/// `link_target`
pub const KIND: Kind =
    Kind { name: "link_target", looks_at_paths: true, hang_hint: SLOW_FILES, read, ..Kind::PLAIN };

/// The keys that are its own.
#[rustfmt::skip]
pub const KEYS: &[&[KeySpec]] = &[PATH_KEYS, RIGHTS_KEYS, ENSURE_KEY, &[
    key("target", "path", "any", "the target that it must have"),
]];

/// Stands for what the user knows.
const ANY: &str = "…";

fn read(name: &str, table: &Table<'_>) -> Option<CheckSpec> {
    let mut expected = String::from("a link that leads somewhere");
    let place = PathSubject::read(name, table, &mut expected);
    let target = table.text("target");
    if let Some(target) = &target {
        if absent(table).0 {
            table.fault("absent", "contradicts target; leave one of them out");
        }
        if target.is_empty() {
            table.fault("target", "is empty; expected the path that the link leads to");
        }
        add(&mut expected, &["to ", target]);
    }
    let mut place = place?;
    place.make = Some(fill!("ln -s {}", target.as_deref().unwrap_or(ANY)));
    let ensure = place.ensure(table, EnsureKind::Link(target.clone().unwrap_or_default()), true);
    if ensure.is_some() && target.is_none() {
        table.fault("ensure", "makes no link without a target; say where it leads");
    }
    let spec = CheckSpec::new(
        fill!("link_target {}", place.path),
        expected,
        Blocking::Never,
        Box::new(move |facts| place.look(facts, &|stat| look(&place, target.as_deref(), stat, facts))),
    );
    Some(CheckSpec { ensure, ..spec })
}

fn look(place: &PathSubject, target: Option<&str>, stat: &Stat, facts: &Facts) -> LookResult {
    let path = &place.path;
    let to = target.unwrap_or(ANY);
    let Ok(leads) = facts.system.read_link(path) else {
        if stat.dir {
            // ln would make its link in it.
            return fail!(
                "{}, no link, {}", what(stat), &shown(stat, facts);
                "put it elsewhere (mv {} {}.old), and: ln -s {} {}", path, path, to, path
            );
        }
        return fail!("{}, no link, {}", what(stat), &shown(stat, facts); "ln -sfn {} {}", to, path);
    };
    if let Some(target) = target
        && leads != target
        && facts.system.real_path(path).ok().as_deref() != Some(target)
    {
        let failure = failure!("a link to {}", &leads; "ln -sfn {} {}", to, path);
        return Err(CheckFailure { mendable: true, ..failure });
    }
    place.rights(stat, facts)?;
    held!("a link to {}", &leads; &leads)
}

#[cfg(test)]
mod tests {
    use crate::checks::facts::fake::Fake;
    use crate::checks::read::testing::{fault, one};
    use crate::sys::fs::stat::Stat;

    #[test]
    fn every_key_can_fail_and_hold() {
        for (path, keys, ok, found) in [
            ("/link", "", true, "a link to b"),
            ("/link", "target = \"b\"", true, "a link to b"),
            ("/link", "target = \"/link\"", true, "a link to b"),
            ("/link", "target = \"c\"", false, "a link to b"),
            ("/link", "owner = 5", false, "owned by 0:0, mode 0000"),
            ("/link", "absent = true", false, "a file owned by 0:0, mode 0000"),
            ("/file", "", false, "a file, no link, owned by 0:0, mode 0000"),
            ("/none", "", false, "/none is not there"),
            ("/none", "target = \"b\"", false, "/none is not there"),
            ("/none", "absent = true", true, "nothing there"),
            ("/dangling", "target = \"/gone\"", false, "a link to /gone, which is not there"),
        ] {
            let file = Stat { file: true, ..Stat::default() };
            let fake = Fake {
                files: [("/link".into(), file), ("/file".into(), file)].into(),
                links: [("/link".into(), "b".into()), ("/dangling".into(), "/gone".into())].into(),
                ..Fake::default()
            };
            let text = format!("[checks.link_target.\"{path}\"]\n{keys}");
            let finding = one(&text).spec.evaluate(&fake.facts(&[]));
            assert_eq!((finding.ok, finding.found.as_str()), (ok, found), "{path} {keys}");
        }
    }

    #[test]
    fn what_cannot_hold_is_a_fault() {
        let text = |keys: &str| format!("[checks.link_target.\"/x\"]\n{keys}");
        assert!(fault(&text("target = \"\"")).contains("is empty"));
        assert!(fault(&text("target = \"/y\"\nabsent = true")).contains("contradicts"));
    }
}
