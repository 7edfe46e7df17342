//! `[checks.file.PATH]`: a file is there (or is not), is what it should be, and holds what it should.

use super::common::content::holds;
use super::common::ensure::{ENSURE_KEY, EnsureKind};
use super::common::finding::{add, fail, failure};
use super::common::keys::{asserting, at_least, word};
use super::common::path::{PATH_KEYS, PathSubject, RIGHTS_KEYS, absent, unreachable, what};
use super::common::program;
use crate::checks::{
    Blocking, CheckFailure, CheckSpec, Facts, Kind, LOOK_TIMEOUT, LookResult, SLOW_FILES, Touched, facts,
    quoted,
};
use crate::config::keys::{KeySpec, key};
use crate::config::read::table::Table;
use crate::sys::fs::stat::{Access, Stat};
use crate::sys::{Errno, errno};
use crate::text::template::fill;
use crate::text::units::{show_duration, show_size};
use std::time::Duration;

/// `file`
pub const KIND: Kind =
    Kind { name: "file", looks_at_paths: true, hang_hint: SLOW_FILES, read, ..Kind::PLAIN };

/// The keys that are its own.
#[rustfmt::skip]
pub const KEYS: &[&[KeySpec]] = &[PATH_KEYS, RIGHTS_KEYS, ENSURE_KEY, &[
    key("type", "word", "any but a directory", "\"file\", \"socket\", \"fifo\" or \"device\""),
    key("non_empty", "bool", "either", "whether its size is more than 0"),
    key("min_size", "size", "", "the minimum size"),
    key("max_age", "duration", "any", "the longest time since it was last modified: a heartbeat"),
    key("sha256", "string", "any", "the SHA-256 of its content, in hexadecimal"),
    key("contains", "strings", "", "texts that it must contain"),
    key("lacks", "strings", "", "texts that it must not contain"),
]];

/// As much of a file as is searched.
const MAX_SEARCHED_BYTES: u64 = 16 << 20;

/// The largest file whose sum is taken: rinit's own way is small, not fast, and this much takes it half a minute.
const MAX_DIGEST_BYTES: u64 = 1 << 30;

const TYPES: &[&str] = &["file", "socket", "fifo", "device"];

struct File {
    place: PathSubject,
    kind: Option<&'static str>,
    empty: bool,
    min_size: u64,
    max_age: Option<Duration>,
    sha256: Option<String>,
    contains: Vec<String>,
    lacks: Vec<String>,
}

fn read(name: &str, table: &Table<'_>) -> Option<CheckSpec> {
    let kind = word(table, "type", TYPES);
    let mut expected = fill!("a {}", kind.unwrap_or("file"));
    let place = PathSubject::read(name, table, &mut expected);
    let own = ["type", "non_empty", "min_size", "max_age", "sha256", "contains", "lacks"];
    if absent(table).0 && own.iter().any(|key| table.has(key)) {
        table.fault("absent", "contradicts what is asked of the file besides; leave one of them out");
    }
    let full = table.flag("non_empty");
    let min_size = at_least(table, "min_size").unwrap_or(0).max(u64::from(full == Some(true)));
    if full == Some(false) {
        add(&mut expected, &["empty"]);
        if min_size > 0 {
            table.fault("min_size", "contradicts non_empty = false; leave one of them out");
        }
    }
    match min_size {
        0 => {}
        1 => add(&mut expected, &["not empty"]),
        size => add(&mut expected, &["of at least ", &show_size(size)]),
    }
    let max_age = table.duration("max_age");
    if let Some(age) = max_age {
        if age.is_zero() {
            table.fault("max_age", "is no time at all; expected how old it may be, such as \"30s\"");
        }
        add(&mut expected, &["modified within ", &show_duration(age)]);
    }
    let sha256 = table.text("sha256").map(|text| text.to_ascii_lowercase());
    if let Some(sum) = &sha256 {
        if sum.len() != 64 || !sum.bytes().all(|b| b.is_ascii_hexdigit()) {
            table.fault("sha256", "is no SHA-256; expected 64 hexadecimal digits, as sha256sum prints them");
        }
        add(&mut expected, &["with the SHA-256 ", sum]);
    }
    let (contains, lacks) = (asserting(table, "contains"), asserting(table, "lacks"));
    contains.iter().for_each(|text| add(&mut expected, &["with ", &quoted(text)]));
    lacks.iter().for_each(|text| add(&mut expected, &["without ", &quoted(text)]));
    let place = place?;
    // An empty file would not be what is asked for.
    let makes = kind.is_none_or(|kind| kind == "file")
        && min_size == 0
        && max_age.is_none()
        && sha256.is_none()
        && contains.is_empty();
    let ensure = place.ensure(table, EnsureKind::File, makes);
    let file = File { place, kind, empty: full == Some(false), min_size, max_age, sha256, contains, lacks };
    // Its whole content may be a lot to read; and what is on a volume may hang with it.
    let spec = CheckSpec::new(
        fill!("file {}", file.place.path),
        expected,
        if file.sha256.is_some() {
            Blocking::Within(LOOK_TIMEOUT.saturating_mul(6))
        } else if file.looks_inside() {
            Blocking::Within(LOOK_TIMEOUT)
        } else {
            Blocking::Never
        },
        Box::new(move |facts| file.place.look(facts, &|stat| file.look(stat, facts))),
    );
    Some(CheckSpec { ensure, ..spec })
}

impl File {
    fn looks_inside(&self) -> bool {
        self.sha256.is_some() || !self.contains.is_empty() || !self.lacks.is_empty()
    }

    fn look(&self, stat: &Stat, facts: &Facts) -> LookResult {
        let path = &self.place.path;
        let (kind, fits) = match self.kind {
            None => ("file", !stat.dir),
            Some(kind) => (kind, what(stat).ends_with(kind)),
        };
        if !fits {
            // What Docker makes of a bind mount whose source is not there.
            let why = if stat.dir { " (a bind mount whose source is missing makes a directory)" } else { "" };
            return fail!("{}", what(stat); "put a {} at {}{}", kind, path, why);
        }
        // First why it cannot be run: that a mode or a mount forbids it is only one of the reasons.
        if self.place.asks("executable") {
            program::runs(path, facts)?;
        }
        self.place.rights(stat, facts)?;
        let size = show_size(stat.size);
        if stat.size < self.min_size {
            return fail!("{}", if stat.size == 0 { "an empty file" } else { &size }; "fill {}", path);
        }
        if self.empty && stat.size > 0 {
            return fail!("{}", &size; "empty {}", path);
        }
        if let Some(max_age) = self.max_age {
            self.age(max_age, stat, facts)?;
        }
        if self.looks_inside() {
            self.content(stat, facts)?;
        }
        self.place.pass(stat, facts)
    }

    /// Whether it was modified lately. Where an earlier look is known the time between the looks counts, by a clock that
    /// does not jump.
    fn age(&self, max_age: Duration, stat: &Stat, facts: &Facts) -> Result<(), CheckFailure> {
        let now = facts.system.now();
        let age = match facts.touched.get() {
            Some(seen) if seen.modified == stat.modified => now.since(seen.at),
            Some(seen) => stat.age.min(now.since(seen.looked)),
            None => stat.age,
        };
        let at = now.before(age);
        facts.touched.set(Some(Touched { modified: stat.modified, at, looked: now }));
        if age > max_age {
            let path = &self.place.path;
            // Without its age, which would be news at each look.
            return fail!("one modified longer ago"; "look at what touches {}, or raise max_age", path);
        }
        Ok(())
    }

    fn content(&self, stat: &Stat, facts: &Facts) -> Result<(), CheckFailure> {
        let path = &self.place.path;
        if !stat.file {
            return fail!("{}, in which nothing is looked for", what(stat); "put a file at {}, or leave out contains, lacks and sha256", path);
        }
        let unreadable = |error: std::io::Error| {
            if errno(&error) == Errno::EACCES {
                return unreachable(path, Access::Read, facts);
            }
            if errno(&error) == Errno::EFBIG {
                return failure!(
                    "a file of more than 16 MiB, which is not searched";
                    "ask for its sha256 in place of contains and lacks"
                );
            }
            failure!("a file that cannot be read: {}", &facts::why(&error); "look at what it lies on")
        };
        if let Some(wanted) = &self.sha256 {
            if stat.size > MAX_DIGEST_BYTES {
                return fail!("{}, too much to take the SHA-256 of", &show_size(stat.size); "let an exec check with a timeout run sha256sum -c, or leave out sha256");
            }
            let sum = facts.system.sha256(path).map_err(unreadable)?;
            if sum != *wanted {
                return fail!("the SHA-256 {}", &sum; "put the right file at {}, or correct sha256", path);
            }
        }
        if self.contains.is_empty() && self.lacks.is_empty() {
            return Ok(());
        }
        let bytes = facts.system.read(path, MAX_SEARCHED_BYTES).map_err(unreadable)?;
        let texts = self.contains.iter().map(|text| (text, true));
        for (text, wanted) in texts.chain(self.lacks.iter().map(|text| (text, false))) {
            if holds(&bytes, text.as_bytes()) != wanted {
                let text = quoted(text);
                return if wanted {
                    fail!("a file without {}", &text; "write {} into {}", &text, path)
                } else {
                    fail!("a file with {}", &text; "remove {} from {}", &text, path)
                };
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::*;
    use crate::checks::Finding;
    use crate::checks::facts::fake::Fake;
    use crate::checks::read::testing::{fault, one};
    use crate::model::Moment;
    use crate::sys::executable::format::Content;
    use crate::sys::executable::lookup::{ExecFacts, FileRights, Found};
    use crate::sys::process::credentials::{Accounts, Identity};
    use std::cell::RefCell;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn fake() -> Fake {
        let file = Stat { file: true, mode: 0o640, size: 3, ..Stat::default() };
        let stats = [
            ("/", Stat { dir: true, ..Stat::default() }),
            ("/etc", Stat { dir: true, ..Stat::default() }),
            ("/etc/key", file),
            ("/etc/empty", Stat { size: 0, ..file }),
            ("/run/sock", Stat { file: false, socket: true, ..file }),
            ("/dev/null", Stat { file: false, ..file }),
        ];
        Fake {
            files: stats.map(|(path, stat)| (path.to_string(), stat)).into(),
            texts: [("/etc/key".to_string(), "abc".to_string())].into(),
            links: [("/etc/dangling".to_string(), "/nowhere".to_string())].into(),
            refused: [(("/etc/key".to_string(), "w"), libc::EACCES)].into(),
            accounts: Accounts::parse("root:x:0:0::/:\n", "root:x:0:\n"),
            current: RefCell::new(Identity { uid: 1000, gid: 1000, groups: vec![] }),
            ..Fake::default()
        }
    }

    fn evaluate(path: &str, keys: &str) -> Finding {
        one(&format!("[checks.file.\"{path}\"]\n{keys}")).spec.evaluate(&fake().facts(&[]))
    }

    #[test]
    fn every_key_can_fail_and_hold() {
        for (path, keys, ok, found) in [
            ("/etc/key", "", true, "a file owned by root:root, mode 0640"),
            ("/etc/none", "", false, "/etc/none is not there"),
            ("/srv/app/none", "", false, "/srv is not there"),
            ("/etc/dangling", "", false, "a link to /nowhere, which is not there"),
            ("/etc", "", false, "a directory"),
            ("/etc/none", "absent = true", true, "nothing there"),
            ("/etc/key", "absent = true", false, "a file owned by root:root, mode 0640"),
            ("/etc/dangling", "absent = true", false, "a link to /nowhere, which is not there"),
            ("/run/sock", "type = \"socket\"", true, "a socket owned by root:root, mode 0640"),
            ("/etc/key", "type = \"socket\"", false, "a file"),
            ("/dev/null", "type = \"device\"", true, "a device owned by root:root, mode 0640"),
            ("/etc/key", "mode = \"0640\"", true, "a file owned by root:root, mode 0640"),
            ("/etc/key", "mode = \"0600\"", false, "owned by root:root, mode 0640"),
            ("/etc/key", "max_mode = \"0640\"", true, "a file owned by root:root, mode 0640"),
            ("/etc/key", "max_mode = \"0600\"", false, "owned by root:root, mode 0640"),
            ("/etc/key", "owner = \"root\"\ngroup = 0", true, "a file owned by root:root, mode 0640"),
            ("/etc/key", "owner = 1000", false, "owned by root:root, mode 0640"),
            ("/etc/key", "group = \"web\"", false, "no group \"web\" in /etc/group"),
            ("/etc/key", "readable = true", true, "a file owned by root:root, mode 0640"),
            ("/etc/key", "readable = false", false, "owned by root:root, mode 0640, readable by uid 1000"),
            ("/etc/key", "writable = true", false, "owned by root:root, mode 0640, not writable by uid 1000"),
            ("/etc/key", "writable = false", true, "a file owned by root:root, mode 0640"),
            ("/etc/empty", "non_empty = true", false, "an empty file"),
            ("/etc/empty", "non_empty = false", true, "a file owned by root:root, mode 0640"),
            ("/etc/key", "non_empty = false", false, "3 bytes"),
            ("/etc/key", "non_empty = true", true, "a file owned by root:root, mode 0640"),
            ("/etc/key", "min_size = 4", false, "3 bytes"),
            ("/etc/key", "min_size = 3", true, "a file owned by root:root, mode 0640"),
            ("/etc/key", "contains = \"bc\"", true, "a file owned by root:root, mode 0640"),
            ("/etc/key", "contains = [\"a\", \"x\"]", false, "a file without \"x\""),
            ("/etc/key", "lacks = \"bc\"", false, "a file with \"bc\""),
            ("/etc/key", "lacks = \"x\"", true, "a file owned by root:root, mode 0640"),
        ] {
            let finding = evaluate(path, keys);
            assert_eq!((finding.ok, finding.found.as_str()), (ok, found), "{path} {keys}");
        }
        assert!(evaluate("/etc/key", &format!("sha256 = \"{}\"", ABC.to_uppercase())).ok);
        let other = evaluate("/etc/key", &format!("sha256 = \"{}\"", "0".repeat(64)));
        assert_eq!((other.ok, other.found), (false, format!("the SHA-256 {ABC}")));
    }

    /// By the clock of the system at the first look, then by one that does not jump.
    #[test]
    fn the_age_of_a_file_does_not_depend_on_a_clock_that_jumps() {
        const SECOND: u64 = 1_000_000_000;
        for (age, seen, ok) in [
            (5, None, true),
            (15, None, false),
            // Modified since the last look, or not; each when the clock has jumped.
            (3600, Some((1, 0, 25)), true),
            (0, Some((7, 0, 30)), false),
            (3600, Some((7, 25, 30)), true),
            // Looks that are far apart.
            (15, Some((1, 0, 0)), false),
            (5, Some((1, 0, 0)), true),
        ] {
            let mut fake = fake();
            let stat = Stat { modified: 7, age: Duration::from_secs(age), ..fake.files["/etc/key"] };
            fake.files.insert("/etc/key".into(), stat);
            fake.clock.set(Moment(30 * SECOND));
            let facts = fake.facts(&[]);
            facts.touched.set(seen.map(|(modified, at, looked)| {
                let [at, looked] = [at, looked].map(|seconds| Moment(seconds * SECOND));
                Touched { modified, at, looked: Moment(looked.0.max(at.0)) }
            }));
            let check = one("[checks.file.\"/etc/key\"]\nmax_age = \"10s\"");
            assert_eq!(check.spec.evaluate(&facts).ok, ok, "{age} {seen:?}");
        }
    }

    #[test]
    fn why_a_file_is_not_searched_is_told_in_clean_words() {
        let search = |path: &str, text: String| {
            let mut fake = fake();
            fake.texts = [(path.to_string(), text)].into();
            let finding = one("[checks.file.\"/etc/key\"]\ncontains = \"x\"").spec.evaluate(&fake.facts(&[]));
            (finding.found, finding.remedy)
        };
        let large = search("/etc/key", "a".repeat((16 << 20) + 1));
        assert_eq!(large.0, "a file of more than 16 MiB, which is not searched");
        assert_eq!(large.1, "ask for its sha256 in place of contains and lacks");
        let gone = search("/etc/other", String::new());
        assert_eq!(gone.0, "a file that cannot be read: no such file or directory");
        assert_eq!(gone.1, "look at what it lies on");
    }

    /// Another owner does not mend what the owner himself, or nobody, may do; nor does it help to leave out
    /// --read-only where a volume is read-only.
    #[test]
    fn who_is_refused_is_told_what_mends_it() {
        let remedy = |path: &str, uid, mode, owner, (word, access, errno): (&str, &'static str, i32)| {
            let mounts = "1 0 0:1 / / ro - overlay overlay ro\n2 1 0:2 / /data ro - ext4 /dev/sda1 ro\n";
            let fake = Fake {
                files: [(path.into(), Stat { file: true, mode, uid: owner, ..Stat::default() })].into(),
                refused: [((path.into(), access), errno)].into(),
                mounts: crate::sys::fs::mounts::parse(mounts),
                current: RefCell::new(Identity { uid, gid: uid, groups: vec![] }),
                ..Fake::default()
            };
            let check = one(&format!("[checks.file.\"{path}\"]\n{word} = true"));
            check.spec.evaluate(&fake.facts(&[])).remedy
        };
        let write = ("writable", "w", libc::EACCES);
        assert_eq!(remedy("/x", 1000, 0o644, 0, write), "chown 1000:1000 /x, or run as uid 0");
        assert_eq!(remedy("/x", 1000, 0o500, 1000, write), "chmod u+w /x");
        assert_eq!(remedy("/x", 1000, 0o200, 1000, ("readable", "r", libc::EACCES)), "chmod u+r /x");
        let write = ("writable", "w", libc::EROFS);
        let root = "mount a volume or a tmpfs over /x, or leave out --read-only";
        assert_eq!(remedy("/x", 0, 0o644, 0, write), root);
        assert_eq!(remedy("/data/x", 0, 0o644, 0, write), "mount /data rw, not ro");
    }

    /// What has no end, or would take too long, is not begun.
    #[test]
    fn the_content_is_that_of_a_file_of_some_size() {
        let sum = format!("sha256 = \"{ABC}\"");
        for keys in [&sum, "contains = \"x\"", "lacks = \"x\""] {
            let device = evaluate("/dev/null", keys);
            assert_eq!(device.found, "a device, in which nothing is looked for", "{keys}");
            assert!(device.remedy.starts_with("put a file at /dev/null, or leave out"), "{device:?}");
        }
        let sized = |size| {
            let mut fake = fake();
            fake.files.insert("/etc/key".into(), Stat { file: true, size, ..Stat::default() });
            one(&format!("[checks.file.\"/etc/key\"]\n{sum}")).spec.evaluate(&fake.facts(&[]))
        };
        assert!(sized(1 << 30).ok);
        assert_eq!(sized(20 << 30).found, "20 GiB, too much to take the SHA-256 of");
    }

    #[test]
    fn an_executable_file_can_be_run() {
        let sound = |path: &str, content: Content| Found {
            path: path.into(),
            directory: false,
            rights: FileRights { mode: 0o755, execute: true, read: true, ..FileRights::default() },
            noexec: None,
            content,
        };
        let evaluate = |content: Content| {
            let found = sound("/etc/key", content);
            let look = ExecFacts { word: "/etc/key".into(), found: Some(found), ..ExecFacts::default() };
            let fake = Fake { looks: [("/etc/key".to_string(), look)].into(), ..fake() };
            one("[checks.file.\"/etc/key\"]\nexecutable = true").spec.evaluate(&fake.facts(&[]))
        };
        const OWN_MACHINE: u16 = if cfg!(target_arch = "x86_64") { 62 } else { 183 };
        let own = || Content::Elf { machine: OWN_MACHINE, loader: None };
        let script = |there: bool, crlf: bool| Content::Script {
            interpreter: "/bin/bash".into(),
            found: there.then(|| Box::new(sound("/bin/bash", own()))),
            asked: None,
            carriage_return: crlf.then(|| "/bin/bash".into()),
        };
        let closed = |noexec: Option<&str>, execute| {
            let rights = FileRights { mode: 0o644, execute, ..FileRights::default() };
            let found = Found { rights, noexec: noexec.map(Into::into), ..sound("/etc/key", own()) };
            let look = ExecFacts { word: "/etc/key".into(), found: Some(found), ..ExecFacts::default() };
            let refused = [(("/etc/key".to_string(), "x"), libc::EACCES)].into();
            let fake = Fake { looks: [("/etc/key".to_string(), look)].into(), refused, ..fake() };
            one("[checks.file.\"/etc/key\"]\nexecutable = true").spec.evaluate(&fake.facts(&[])).found
        };
        assert!(
            closed(Some("/etc"), true).contains("which is mounted noexec"),
            "{}",
            closed(Some("/etc"), true)
        );
        assert!(closed(None, false).contains("not executable"), "{}", closed(None, false));
        assert!(evaluate(own()).ok);
        assert!(evaluate(script(true, false)).ok);
        for (content, part) in [
            (script(false, false), "/bin/bash, is not there"),
            (script(true, true), "carriage return"),
            (Content::ByteOrderMark, "byte order mark"),
            (Content::Empty, "empty file"),
            (Content::Elf { machine: 2, loader: None }, "machine number 2"),
            (
                Content::Elf { machine: OWN_MACHINE, loader: Some(("/lib/ld-musl".into(), false)) },
                "the loader of /etc/key, /lib/ld-musl, is not there",
            ),
        ] {
            let finding = evaluate(content);
            assert!(!finding.ok && finding.found.contains(part), "{part}: {finding:?}");
        }
    }

    #[test]
    fn what_cannot_hold_is_a_fault() {
        for (keys, part) in [
            ("absent = true\nowner = 0", "contradicts"),
            ("absent = true\nnon_empty = true", "contradicts"),
            ("mode = 644", "in quotes"),
            ("max_mode = \"9\"", "in quotes"),
            ("mode = \"0600\"\nmax_mode = \"0600\"", "beside mode"),
            ("sha256 = \"abc\"", "64 hexadecimal digits"),
            ("contains = []", "asserts nothing"),
            ("contains = \"\"", "asserts nothing"),
            ("min_size = 0", "asserts nothing"),
            ("min_size = 1\nnon_empty = false", "contradicts"),
            ("max_mode = \"7777\"", "asserts nothing"),
            ("lacks = []", "asserts nothing"),
            ("type = \"scoket\"", "did you mean \"socket\"?"),
        ] {
            let message = fault(&format!("[checks.file.\"/x\"]\n{keys}"));
            assert!(message.contains(part), "{keys}: {message}");
        }
        assert!(fault("[checks.file.x]").contains("no absolute path"));
    }
}
