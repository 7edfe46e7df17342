//! Which names in a directory of hooks are meant, and in which order. Pure.

use crate::text::gather::Gather;
use std::cmp::Ordering;

/// Why a file of this name is no hook. `Some("")`: not worth a word.
#[must_use]
pub fn why_not(name: &str) -> Option<&'static str> {
    const BACKUPS: [&str; 11] =
        ["~", "#", ".bak", ".orig", ".rej", ".swp", ".swo", ".tmp", ".old", ".disabled", ".off"];
    const TEXTS: [&str; 3] = [".md", ".txt", ".rst"];
    let is_package = [".dpkg-", ".rpmsave", ".rpmnew", ".rpmorig", ".ucf-"];
    // `..data` and `..2026_…`: how Kubernetes swaps the files of a ConfigMap.
    if name.starts_with("..") {
        Some("")
    } else if name.starts_with('.') {
        Some("hidden")
    } else if BACKUPS.iter().any(|end| name.ends_with(end))
        || is_package.iter().any(|part| name.contains(part))
    {
        Some("a backup")
    } else if name.starts_with("README") || TEXTS.iter().any(|end| name.ends_with(end)) {
        Some("a text")
    } else if name.contains(|c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER) {
        // Its lines in the log would look like somebody else's.
        Some("a name with control characters, or that is not UTF-8")
    } else {
        None
    }
}

/// A name by its place in [version order](compare).
#[derive(PartialEq, Eq)]
pub struct VersionName(pub String);

impl Ord for VersionName {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.0, &other.0)
    }
}

impl PartialOrd for VersionName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Version order: runs of digits by their number, so that `2-` comes before `10-`.
#[must_use]
fn compare(one: &str, other: &str) -> Ordering {
    let (mut a, mut b) = (one.as_bytes(), other.as_bytes());
    while !a.is_empty() && !b.is_empty() {
        let ((x, after_x), (y, after_y)) = (run(a), run(b));
        let order = match (number(x), number(y)) {
            (Some(x), Some(y)) => x.len().cmp(&y.len()).then_with(|| x.cmp(y)),
            _ => x.cmp(y),
        };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (after_x, after_y);
    }
    a.len().cmp(&b.len()).then_with(|| one.cmp(other))
}

/// The digits, or what is none, at the beginning.
fn run(text: &[u8]) -> (&[u8], &[u8]) {
    let digit = text.first().is_some_and(u8::is_ascii_digit);
    let end = text.iter().position(|byte| byte.is_ascii_digit() != digit).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, &[]))
}

/// Digits without zeros before them.
fn number(run: &[u8]) -> Option<&[u8]> {
    run.first().filter(|first| first.is_ascii_digit())?;
    let zeros = run.iter().take_while(|digit| **digit == b'0').count();
    run.get(zeros..)
}

/// What `#!` names: the interpreter, and the one argument that it may have.
#[must_use]
pub fn interpreter(text: &[u8]) -> Option<Vec<String>> {
    let line = text.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?.trim_matches([' ', '\t']);
    let (program, argument) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let words = [program, argument.trim_matches([' ', '\t'])];
    let words: Vec<String> =
        words.iter().filter(|word| !word.is_empty()).map(|word| word.to_string()).gather();
    Some(words).filter(|words| !words.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_by_their_numbers() {
        let mut names =
            ["b.sh", "10-a.sh", "2-z.sh", "02-a.sh", "1", "a10b2", "a10b10", "a9", "B", "2-z", ""];
        names.sort_by(|a, b| compare(a, b));
        assert_eq!(
            names,
            ["", "1", "02-a.sh", "2-z", "2-z.sh", "10-a.sh", "B", "a9", "a10b2", "a10b10", "b.sh"]
        );
        assert_eq!(compare("2", "02"), Ordering::Greater);
        assert_eq!(compare("99999999999999999999", "100000000000000000000"), Ordering::Less);
    }

    #[test]
    fn what_editors_and_packages_leave_is_no_hook() {
        for name in
            ["10-a.sh~", ".#x", "x.bak", "x.dpkg-old", "x.rpmsave", "#x#", "README", "README.md", "x.swp"]
        {
            assert!(why_not(name).is_some_and(|why| !why.is_empty()), "{name}");
        }
        assert!(why_not("1\nrinit: forged").is_some() && why_not("3\u{fffd}").is_some());
        assert_eq!([why_not("..data"), why_not("..2026_11_29")], [Some(""); 2]);
        for name in ["10-a.sh", "x", "a.b.c", "backup", "bak", "10-readme.sh", "a.envsh"] {
            assert_eq!(why_not(name), None, "{name}");
        }
    }

    #[test]
    fn a_first_line_names_its_interpreter() {
        for (text, want) in [
            (&b"#!/bin/sh\necho"[..], Some(vec!["/bin/sh"])),
            (b"#! /usr/bin/env  -S bash -e \nx", Some(vec!["/usr/bin/env", "-S bash -e"])),
            (b"#!/bin/sh", Some(vec!["/bin/sh"])),
            (b"#!\n", None),
            (b"echo #!/bin/sh", None),
            (b"", None),
        ] {
            let want = want.map(|words| words.into_iter().map(str::to_string).collect::<Vec<_>>());
            assert_eq!(interpreter(text), want);
        }
    }
}
