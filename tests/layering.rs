//! Who may know whom in `src`. The architecture is in `src/lib.rs`; this holds it.

#![expect(clippy::expect_used, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};

fn sources(under: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut directories = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(under)];
    while let Some(path) = directories.pop() {
        if path.is_dir() {
            directories.extend(
                fs::read_dir(&path).expect("a directory").map(|entry| entry.expect("an entry").path()),
            );
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).expect("text");
            found.push((path, text));
        }
    }
    assert!(!found.is_empty(), "no sources under {under}");
    found
}

/// The code without comments and strings' worth of doubt: lines that begin with `//` are left out, and
/// everything from the tests of a file on.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let end = text.find("#[cfg(test)]\n").unwrap_or(text.len());
    text[..end].lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Whether a line has the word, and not just the end of a longer one (`unix::` is not `nix::`).
fn names(line: &str, word: &str) -> bool {
    let longer = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| !line[..at].ends_with(longer) || !word.starts_with(longer))
}

fn forbid(under: &str, words: &[&str], except: &[&str]) {
    let mut faults = Vec::new();
    for (path, text) in sources(under) {
        let shown =
            path.strip_prefix(env!("CARGO_MANIFEST_DIR")).expect("under the manifest").display().to_string();
        if shown.ends_with("tests.rs")
            || shown.ends_with("fake.rs")
            || except.iter().any(|part| shown.contains(part))
        {
            continue;
        }
        for (number, line) in code(&text) {
            for word in words.iter().filter(|word| names(line, word)) {
                faults.push(format!("{shown}:{}: names {word}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The core decides and does nothing: no I/O, no clock, no Linux, no log.
#[test]
fn the_supervisor_knows_only_the_model() {
    let words = [
        "libc::",
        "nix::",
        "std::fs",
        "std::process",
        "std::io",
        "std::net",
        "std::env",
        "Instant::now",
        "SystemTime",
        "tracing",
        "unsafe",
    ];
    forbid("supervisor", &words, &["/tests/"]);
}

/// Only `sys` touches Linux.
#[test]
fn only_sys_names_the_system() {
    forbid("", &["libc::", "nix::", "signal_hook", "std::os::fd::FromRawFd"], &["src/sys/"]);
    forbid("", &["std::fs::", "std::net::Tcp", "std::net::Udp", "std::process::Command"], &["src/sys/"]);
}

/// Only `sys` is unsafe; the door's exported name is the one exception.
#[test]
fn only_sys_is_unsafe() {
    forbid("", &["unsafe"], &["src/sys/", "src/main.rs"]);
}

/// The table of `src/lib.rs`: each module, and those that it may use.
fn allowed() -> Vec<(String, Vec<String>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let text = fs::read_to_string(path).expect("text");
    let named = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let row = |line: &str| {
        let mut cells = line.strip_prefix("//! | `")?.split('|');
        Some((cells.next()?.trim().trim_end_matches('`').to_owned(), named(cells.next()?)))
    };
    text.lines().filter_map(row).collect()
}

/// Every module uses what the table of `src/lib.rs` allows it, and nothing else; a new one has a row.
#[test]
fn every_module_uses_only_what_it_may() {
    let allowed = allowed();
    let mut faults = Vec::new();
    let mut used: Vec<(String, String)> = Vec::new();
    for (path, text) in sources("") {
        let shown =
            path.strip_prefix(env!("CARGO_MANIFEST_DIR")).expect("under the manifest").display().to_string();
        let own = shown.split('/').nth(1).expect("a module").trim_end_matches(".rs").to_owned();
        if ["lib", "main"].contains(&own.as_str())
            || shown.ends_with("tests.rs")
            || shown.ends_with("fake.rs")
            || shown.contains("/tests/")
        {
            continue;
        }
        let Some((_, may)) = allowed.iter().find(|(module, _)| *module == own) else {
            faults.push(format!("{shown}: `{own}` has no row in the table of src/lib.rs"));
            continue;
        };
        for (number, line) in code(&text) {
            for path in line.split("crate::").skip(1) {
                let other: String = path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if other != own && other != "Error" && allowed.iter().any(|(module, _)| *module == other) {
                    if !may.contains(&other) {
                        faults.push(format!("{shown}:{}: `{own}` may not use `{other}`", number + 1));
                    }
                    used.push((own.clone(), other));
                }
            }
        }
    }
    for (module, may) in &allowed {
        let unused = may.iter().filter(|other| !used.contains(&(module.clone(), (*other).clone())));
        faults.extend(
            unused.map(|other| format!("the table allows `{module}` to use `{other}`, which it does not")),
        );
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A configuration is text that is understood, nothing that is done.
#[test]
fn the_configuration_does_nothing() {
    forbid("config", &["std::fs", "libc::", "supervisor::Supervisor", "supervisor::event"], &[]);
}

/// A name that is searched for is found once.
#[test]
fn no_type_has_the_name_of_another() {
    let mut names: Vec<(String, String)> = Vec::new();
    let mut faults = Vec::new();
    for (path, text) in sources("") {
        if path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests") {
            continue;
        }
        let mut conditional = false;
        for (_, line) in code(&text) {
            let line = line.trim_start();
            let plain = line.strip_prefix("pub").map_or(line, |rest| {
                rest.strip_prefix('(')
                    .and_then(|rest| rest.split_once(") "))
                    .map_or(rest.trim_start(), |(_, rest)| rest)
            });
            let kinds = ["struct ", "enum ", "trait "];
            if let Some(rest) = kinds.iter().find_map(|kind| plain.strip_prefix(kind)) {
                let name: String = rest.chars().take_while(|c| c.is_alphanumeric()).collect();
                let shown = path.display().to_string();
                if let Some((_, other)) = names.iter().find(|(known, _)| *known == name)
                    && !conditional
                {
                    faults.push(format!("{name}: {other} and {shown}"));
                }
                names.push((name, shown));
            }
            conditional = line.starts_with("#[cfg(");
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A kind of check stands alone: what two of them need is in `common`, which knows none of them.
#[test]
fn no_kind_knows_another() {
    let kinds = sources("checks/kinds");
    let stem = |path: &Path| path.file_stem().expect("a name").to_string_lossy().into_owned();
    let room = |path: &Path| {
        let below = path.components().rev().take_while(|part| part.as_os_str() != "kinds");
        let first = below.last().expect("below kinds").as_os_str();
        stem(Path::new(first))
    };
    let names: Vec<String> = kinds.iter().map(|(path, _)| room(path)).collect();
    let mut faults = Vec::new();
    for (path, text) in &kinds {
        let own = room(path);
        if own == "mod" || own.ends_with("_tests") {
            continue;
        }
        for (number, line) in code(text) {
            let foreign = |name: &&String| {
                **name != own
                    && *name != "common"
                    && *name != "mod"
                    && ["super::", "kinds::"].iter().any(|above| names_path(line, &format!("{above}{name}")))
            };
            for name in names.iter().filter(foreign) {
                faults.push(format!(
                    "{}:{}: names the kind {name}: {}",
                    path.display(),
                    number + 1,
                    line.trim()
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Whether a line has this path, and not just the beginning of a longer name.
fn names_path(line: &str, path: &str) -> bool {
    let longer = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(path).any(|(at, _)| !line[at + path.len()..].starts_with(longer))
}

/// What an exit code means stands in one file.
#[test]
fn exit_codes_have_one_place() {
    let words = ["code: 6", "code: 7", "128 |", "128 +", "126 |", "| 127", "Code(12", "Code(137", "EX_"];
    forbid("", &words, &["src/exit_code.rs", "/tests/"]);
}

/// Files are for people: none is longer than about 400 lines.
#[test]
fn files_are_short() {
    for (path, text) in sources("") {
        let lines = code(&text).count();
        assert!(lines <= 450, "{}: {lines} lines want splitting by subject", path.display());
    }
}
