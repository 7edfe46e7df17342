//! `[checks.KIND.NAME]` tables -> checks: the keys that all kinds share, and every fault.

use super::kinds::env::form::literals;
use super::{Check, KINDS, Kind};
use crate::config::read::condition;
use crate::config::read::interpolate::{Expanded, expand};
use crate::config::read::table::{ReadContext, Table};
use crate::config::source::diagnostic::{SourceMap, Span};
use crate::config::source::document::{Entry, Node, Value};
use crate::model::environ::Environ;
use crate::text::gather::Gather;
use crate::text::suggest::did_you_mean;
use crate::text::template::fill;
use crate::text::units::show_duration;
use std::time::Duration;

/// How long to sleep between two looks of a check that waits, unless it says otherwise.
const INTERVAL: Duration = Duration::from_millis(500);

/// Where one check is written: of what kind it is, the entry of the kind, and that of the name, if it has one.
type Written<'a> = (&'static Kind, &'a Entry, Option<&'a Entry>);

/// Reads the table of all checks. Faults are noted in `reading`; a check with a fault is left out.
#[must_use]
pub fn read<'a>(root: Option<&'a Node>, reading: &'a ReadContext<'a>) -> Vec<Check> {
    let Some(table) = root.and_then(|root| Table::open(reading, "checks".into(), root.at, root)) else {
        return Vec::new();
    };
    let mut written = Vec::new();
    for entry in table.entries() {
        match KINDS.iter().find(|kind| kind.name == entry.key) {
            Some(kind) => find(kind, entry, reading, &mut written),
            None => {
                let names = || KINDS.iter().map(|kind| kind.name);
                let mut hint = did_you_mean(&entry.key, names());
                if hint.is_empty() {
                    hint = fill!("; there are {}", names().gather().join(", "));
                }
                reading
                    .fault(entry.at, fill!("checks: no kind of check is called \"{}\"{}", entry.key, hint));
            }
        }
    }
    // TOML groups by kind; people expect the order in which they wrote.
    crate::text::sort::sort_by_key(&mut written, |(_, kind, one)| {
        let at = one.map_or(kind.at, |one| one.at);
        (at.file, at.start)
    });
    let mut checks = Vec::with_capacity(written.len());
    for (kind, entry, one) in written {
        checks.extend(match one {
            Some(one) => read_named(kind, entry, one, reading),
            None => read_nameless(kind, entry, reading),
        });
    }
    checks
}

/// The variables that these checks may set, as far as they are on.
#[must_use]
pub fn exported(checks: &[Check]) -> Vec<String> {
    let on = checks.iter().filter(|check| check.off.is_none());
    on.flat_map(|check| {
        check.export.iter().cloned().chain(check.spec.variable.iter().flat_map(|variable| variable.sets()))
    })
    .gather()
}

/// Values of the variables that are called secret, before any check is read: the words of one may hold that of another.
#[must_use]
pub fn given_secrets(root: Option<&Node>, environ: &Environ) -> Vec<String> {
    let variables = root.and_then(|root| root.get("env")).map_or(&[][..], Node::entries);
    let secret =
        |entry: &&Entry| entry.node.get("secret").is_some_and(|node| node.value != Value::Bool(false));
    let hidden = |entry: &Entry| {
        let value = environ.text(&entry.key)?;
        let named = |key| literals(entry.node.get(key)).any(|one| one == value);
        Some(value.clone()).filter(|_| !named("one_of") && !named("not_in"))
    };
    variables.iter().filter(secret).filter_map(hidden).gather()
}

/// Values that these checks keep from being shown, as far as they are known before a look.
#[must_use]
pub fn secrets(checks: &[Check], environ: &Environ) -> Vec<String> {
    checks.iter().filter_map(|check| check.spec.variable.as_ref()).flat_map(|it| it.secrets(environ)).gather()
}

/// What each check would look at, without looking.
#[must_use]
pub fn explain(checks: &[Check], sources: &SourceMap) -> String {
    let mut text = String::new();
    for check in checks {
        let what = fill!("{}: expected {}", check.spec.subject, check.spec.expected);
        let off = check.off.as_ref().map_or_else(String::new, |why| fill!(" (off: {})", why));
        let wait = check.wait.map_or_else(String::new, |wait| fill!(", within {}", show_duration(wait)));
        text.push_str(&fill!("      {}{}{} ({})\n", what, wait, off, sources.file_line(check.at)));
    }
    if text.is_empty() { text } else { fill!("checks:\n{}", text) }
}

/// The checks of one kind.
fn find<'a>(
    kind: &'static Kind,
    entry: &'a Entry,
    reading: &ReadContext<'_>,
    written: &mut Vec<Written<'a>>,
) {
    let path = || fill!("checks.{}", entry.key);
    let Value::Table(entries) = &entry.node.value else {
        // Opened for its fault.
        let _ = Table::open(reading, path(), entry.at, &entry.node);
        return;
    };
    written.extend(entries.iter().filter(|one| is_named(kind, one)).map(|one| (kind, entry, Some(one))));
    if kind.nameless && (entries.is_empty() || entries.iter().any(|one| !is_named(kind, one))) {
        written.push((kind, entry, None));
    } else if entries.is_empty() {
        let path = path();
        reading.fault(entry.at, fill!("{}: says nothing; expected [{}.NAME]", path, path));
    }
}

/// Whether an entry below a kind is a check of that name, not a key of the one without a name.
fn is_named(kind: &Kind, one: &Entry) -> bool {
    let own = || kind.sub_tables.contains(&one.key.as_str());
    !kind.nameless || (matches!(one.node.value, Value::Table(_)) && !own())
}

fn read_named(kind: &'static Kind, entry: &Entry, one: &Entry, reading: &ReadContext<'_>) -> Option<Check> {
    let path = fill!("checks.{}.{}", entry.key, one.key);
    match expand(&one.key, &reading.scope) {
        Ok(Expanded::Text(name)) if !name.is_empty() => {
            let table = Table::open(reading, path, one.at, &one.node)?;
            return read_check(kind, name, table);
        }
        Ok(_) => reading.fault(one.at, fill!("{}: an empty name", path)),
        Err(why) => reading.fault(one.at, fill!("{}: {}", path, why)),
    }
    None
}

fn read_nameless(kind: &'static Kind, entry: &Entry, reading: &ReadContext<'_>) -> Option<Check> {
    let Value::Table(entries) = &entry.node.value else { return None };
    let own = entries.iter().filter(|one| !is_named(kind, one)).cloned().gather();
    let node = Node { value: Value::Table(own), at: entry.node.at };
    let table = Table::open(reading, fill!("checks.{}", entry.key), entry.at, &node)?;
    read_check(kind, String::new(), table)
}

fn read_check(kind: &'static Kind, name: String, table: Table<'_>) -> Option<Check> {
    let at: Span = table.at;
    let off = condition::condition(&table).err();
    let level = table.word("level").unwrap_or_default();
    let hint = table.text("hint").map(|hint| hint.lines().gather().join(" "));
    let wait = table.duration("wait").filter(|wait| !wait.is_zero());
    let interval = table.duration("interval");
    if interval.is_some() && !table.has("wait") {
        table.fault("interval", "does nothing without wait; say how long to keep trying");
    }
    if interval.is_some_and(|interval| interval.is_zero()) {
        table.fault("interval", "is zero; expected some time between two looks");
    }
    let any_of = table.text("any_of");
    if any_of.as_deref() == Some("") {
        table.fault("any_of", "is empty; expected a label that several checks share");
    }
    let as_user = super::kinds::common::keys::as_user(&table);
    let export = table.text("export").filter(|export| {
        let named = variable_name(export);
        if !named {
            table.fault("export", "is no name of a variable; expected one without \"=\" and blanks");
        }
        named
    });
    let spec = (kind.read)(&name, &table);
    if let Some(ensure) = spec.as_ref().and_then(|spec| spec.ensure.as_ref()) {
        for key in ["as_user", "any_of"].into_iter().filter(|key| table.has(key)) {
            table.fault(key, "contradicts ensure, which makes it so for its owner; leave one of them out");
        }
        if table.has("wait") && ensure.from.is_none() {
            table.fault("wait", "waits for what ensure makes so at once; leave one of them out");
        }
    }
    table.close();
    Some(Check {
        kind,
        name,
        at,
        off,
        level,
        hint,
        wait,
        interval: interval.filter(|interval| !interval.is_zero()).unwrap_or(INTERVAL),
        any_of,
        as_user,
        export,
        spec: spec?,
    })
}

/// Whether an environment can hold it. Not only what a shell could name: programs read `discovery.type` too.
pub(super) fn variable_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c == '=' || c.is_whitespace() || c.is_control())
}

/// Reading for tests of this module's kinds.
#[cfg(test)]
pub mod testing {
    use super::super::read::*;
    use crate::config::read::interpolate::{Scope, StartFacts};
    use crate::config::source::diagnostic::SourceMap;
    use crate::config::source::document;

    /// Reads the checks of a TOML text; the second list is the messages of all faults.
    pub fn checks(text: &str) -> (Vec<Check>, Vec<String>) {
        let (checks, faults, _) = with_sources(text);
        (checks, faults)
    }

    /// As [`checks`], with the files that they stand in.
    pub fn with_sources(text: &str) -> (Vec<Check>, Vec<String>, SourceMap) {
        let mut sources = SourceMap::default();
        let file = sources.add("rinit.toml".into(), text.into());
        let mut faults = Vec::new();
        let root = document::parse(&sources, file, &mut faults);
        assert_eq!(faults, [], "{text}");
        let scope = Scope {
            variable: &|name| (name == "SET").then(|| "set".to_string()),
            exists: &|_| false,
            read: &|_| Err(String::new()),
            later: &[],
            start: StartFacts::default(),
        };
        let reading = ReadContext::new(scope);
        let Value::Table(entries) = &root.value else { panic!("no table") };
        let checks = read(entries.iter().find(|e| e.key == "checks").map(|e| &e.node), &reading);
        let faults = reading.into_faults().into_iter().map(|fault| fault.message).gather();
        (checks, faults, sources)
    }

    /// The one check of a text without a fault.
    pub fn one(text: &str) -> Check {
        let (mut checks, faults) = checks(text);
        assert!(faults.is_empty(), "{text}: {faults:?}");
        assert_eq!(checks.len(), 1, "{text}");
        checks.remove(0)
    }

    /// The one fault of a text.
    pub fn fault(text: &str) -> String {
        let (_, mut faults) = checks(text);
        assert_eq!(faults.len(), 1, "{text}: {faults:?}");
        faults.remove(0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::super::read::*;
    use super::testing::{checks, fault, one};

    #[test]
    fn what_all_kinds_share_is_read() {
        let check = one(
            "[checks.env.\"${SET}\"]\nlevel = \"warn\"\nhint = \"do\\nit\"\nwait = \"3s\"\nfile = true\n\
                         interval = \"1s\"\nany_of = \"x\"\nas_user = 1000\nexport = \"OUT\"\nwhen_env = \"NONE\"",
        );
        assert_eq!((check.kind.name, check.name.as_str()), ("env", "set"));
        assert_eq!(check.level, Level::Warn);
        assert_eq!(check.hint.as_deref(), Some("do it"));
        assert_eq!(check.wait, Some(Duration::from_secs(3)));
        assert_eq!((check.any_of.as_deref(), check.as_user.as_deref()), (Some("x"), Some("1000")));
        assert_eq!(check.off.as_deref(), Some("NONE is not set"));
        assert_eq!(exported(&[check]), [""; 0]);
    }

    #[test]
    fn a_kind_without_names_takes_both_forms() {
        let (both, faults) = checks("[checks.user]\nroot = false\n[checks.user.second]\nuid = 0");
        assert_eq!(faults, [""; 0]);
        let names: Vec<&str> = both.iter().map(|check| check.name.as_str()).collect();
        assert_eq!(names, ["", "second"]);
        assert_eq!(one("[checks.user]\nroot = true").name, "");
        assert_eq!(one("[checks.kernel]\nsysctl.a = 1").name, "");
        assert_eq!(one("[checks.kernel.x]\nsysctl.a = 1").name, "x");
        assert_eq!(one("[checks.privileges.capabilities]\nlacks = \"ALL\"").name, "");
    }

    #[test]
    fn the_example_has_every_kind() {
        let (checks, faults) = checks(include_str!("../../config-examples/checks.toml"));
        assert_eq!(faults, [""; 0]);
        for kind in KINDS {
            assert!(checks.iter().any(|check| check.kind.name == kind.name), "no {}", kind.name);
        }
        for check in checks {
            assert!(!check.spec.expected.is_empty() && check.spec.subject.starts_with(check.kind.name));
        }
    }

    #[test]
    fn faults_say_what_to_write() {
        for (text, part) in [
            ("[checks.ling.web]", "did you mean \"link\"?"),
            ("[checks.zzz.web]", "; there are "),
            ("[checks.env.X]\nrequird = true", "did you mean \"required\"?"),
            ("[checks.env]\nX = true", "expected a table"),
            ("[checks]\nenv = 1", "expected a table"),
            ("[checks.env]", "expected [checks.env.NAME]"),
            ("[checks.env.X]\nexport = \"a=b\"", "no name of a variable"),
            ("[checks.env.X]\ninterval = \"1s\"", "nothing without wait"),
            ("[checks.file.\"/x\"]\nwait = \"1s\"\ninterval = \"0s\"", "is zero"),
            ("[checks.env.X]\nwait = \"1s\"", "does not change"),
            ("[checks.env.\"${NONE}\"]", "NONE is not set"),
            ("[checks.user]\nrot = false", "did you mean \"root\"?"),
            ("[checks.env.X]\nlevel = \"wrn\"", "did you mean \"warn\"?"),
        ] {
            let message = fault(text);
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
