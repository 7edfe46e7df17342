//! `--record`: the checks that describe this container as it is now, to start a file from. Names of variables are
//! written, never their values.

use crate::checks::Facts;
use crate::sys::fs::stat::Access;
use crate::text::escape::toml_key;
use crate::text::gather::Gather;
use crate::text::template::fill;

/// Variables that every shell or engine sets: they say nothing of this image.
const EVERYBODYS: &[&str] =
    &["HOME", "HOSTNAME", "PATH", "PWD", "OLDPWD", "SHLVL", "TERM", "USER", "LOGNAME", "SHELL", "LANG", "_"];
/// Mounts that the engine makes in every container.
const ENGINES: &[&str] =
    &["/proc", "/sys", "/dev", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/run/.containerenv"];

/// The text of a configuration.
#[must_use]
pub fn record(facts: &Facts) -> String {
    let mut text = String::from("# What this container is now; keep what must hold in every one.\n");
    user(facts, &mut text);
    mounts(facts, &mut text);
    if !facts.system.default_routes().is_empty() {
        text.push_str("\n[checks.network]\ndefault_route = true\n");
    }
    let mut names: Vec<String> =
        facts.environ.iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned()).gather();
    crate::text::sort::sort(&mut names);
    names.dedup();
    for name in &names {
        // One that is empty would have to be optional, which says nothing; "*" stands for many.
        let says = facts.environ.has_full(name) && crate::checks::read::variable_name(name) && name != "*";
        if says && !EVERYBODYS.contains(&name.as_str()) {
            text.push_str(&fill!("\n[checks.env.{}]\n", &key(name)));
        }
    }
    text
}

/// The name of a check, in which a `$` would be expanded.
fn key(name: &str) -> String {
    toml_key(&name.replace('$', "$$"))
}

fn user(facts: &Facts, text: &mut String) {
    let now = facts.system.current();
    text.push_str("\n[checks.user]\n");
    text.push_str(&fill!("uid = {}\ngid = {}\n", &now.uid.to_string(), &now.gid.to_string()));
    if now.uid != 0 {
        text.push_str("root = false\n");
    }
}

fn mounts(facts: &Facts, text: &mut String) {
    let all = facts.system.mounts();
    for (at, mount) in all.iter().enumerate() {
        // Of several on one point the last covers the others.
        if all.iter().skip(at + 1).any(|later| later.point == mount.point) {
            continue;
        }
        let mode = if mount.read_only() { "ro" } else { "rw" };
        let point = mount.point.as_str();
        let of_engine = |known: &&str| {
            point == *known || point.strip_prefix(*known).is_some_and(|rest| rest.starts_with('/'))
        };
        if point == "/" {
            text.push_str(&fill!("\n[checks.mount.\"/\"]\nmode = \"{}\"\n", mode));
        } else if !ENGINES.iter().any(of_engine) && facts.system.stat(point).is_ok_and(|stat| stat.dir) {
            // What this user may do there, which the mount's own flags do not tell.
            let may = |access| facts.system.access(point, access).is_ok();
            let (read, write) = (may(Access::Read), may(Access::Write));
            // A directory that cannot be entered is of no use, but it is there.
            let usable = may(Access::Execute) || !read && !write;
            let kind = if usable { "volume" } else { "mount" };
            text.push_str(&fill!("\n[checks.{}.{}]\n", kind, &key(point)));
            for (word, may) in [("readable", read), ("writable", write)] {
                let line = if may { " = true\n" } else { " = false\n" };
                if usable && (word == "writable" || !may) {
                    text.push_str(&[word, line].concat());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::*;
    use crate::checks::facts::fake::Fake;
    use crate::checks::read::testing::checks;
    use crate::sys::fs::mounts;
    use crate::sys::fs::stat::Stat;

    #[test]
    fn what_is_recorded_can_be_read_holds_and_tells_no_value() {
        let dir = Stat { dir: true, ..Stat::default() };
        let points =
            ["/", "/data", "/data", "/ro", "/closed", "/drop", "/none", "/dev/shm", "/a${X}b", "/a$$b"];
        let line = |point: &&str| format!("1 0 0:1 / {point} rw - ext4 /dev/sda1 rw\n");
        let fake = Fake {
            mounts: mounts::parse(&points.iter().map(line).collect::<String>()),
            files: points.map(|point| (point.to_string(), dir)).into(),
            refused: [
                ("/ro", "w"),
                ("/closed", "x"),
                ("/drop", "r"),
                ("/none", "r"),
                ("/none", "w"),
                ("/none", "x"),
            ]
            .map(|(point, what)| ((point.to_string(), what), libc::EACCES))
            .into(),
            ..Fake::default()
        };
        let facts = fake.facts(&[
            ("PATH", "/bin"),
            ("TOKEN", "hunter2"),
            ("A.B", "x"),
            ("X${Y}", "x"),
            ("EMPTY", ""),
            ("*", "x"),
        ]);
        let text = record(&facts);
        for part in [
            "[checks.mount.\"/\"]\nmode = \"rw\"\n",
            "[checks.volume.\"/data\"]\nwritable = true\n",
            "[checks.volume.\"/ro\"]\nwritable = false\n",
            "[checks.mount.\"/closed\"]\n\n",
            "[checks.volume.\"/drop\"]\nreadable = false\nwritable = true\n",
            "[checks.volume.\"/none\"]\nreadable = false\nwritable = false\n",
        ] {
            assert!(text.contains(part), "{part}{text}");
        }
        assert!(!text.contains("/dev"), "{text}");
        assert!(text.contains("[checks.env.TOKEN]") && text.contains("[checks.env.\"A.B\"]"), "{text}");
        assert!(text.contains("[checks.env.\"X$${Y}\"]") && !text.contains("EMPTY"), "{text}");
        assert!(!text.contains("hunter2") && !text.contains("PATH"), "{text}");
        let (read, faults) = checks(&text);
        assert!(faults.is_empty() && !read.is_empty(), "{faults:?}");
        for check in read {
            let finding = check.spec.evaluate(&facts);
            assert!(finding.ok, "{}: {}", check.spec.subject, finding.found);
        }
    }
}
