//! Identifies an executable file by its first bytes: a script, an ELF file, or why it is neither.

use super::lookup::Found;
use crate::sys::fs::access::AccessView;
use std::path::Path;

/// The type of a file, by its first bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// An empty file.
    Empty,
    /// An ELF file for this machine type, possibly with a loader.
    Elf {
        /// `e_machine` of elf(5).
        machine: u16,
        /// The path of its loader, and whether that exists.
        loader: Option<(String, bool)>,
    },
    /// A first line `#!INTERPRETER`.
    Script {
        /// The path of the interpreter, without a trailing carriage return.
        interpreter: String,
        /// What that path is; `None`: it does not exist.
        found: Option<Box<Found>>,
        /// If the interpreter is env(1): the program that it will search in PATH.
        asked: Option<String>,
        /// The last word of the line if it ends in a carriage return, as written by editors on Windows.
        carriage_return: Option<String>,
    },
    /// Text that starts with a byte order mark.
    ByteOrderMark,
    /// A program for another operating system, by name.
    Foreign(&'static str),
    /// Text without a `#!` line.
    Text,
    /// Anything else.
    Other,
    /// Not readable by rinit.
    Unreadable,
    /// Not a regular file: `a pipe`.
    Special(&'static str),
}

/// Magic numbers of programs that Linux does not run: PE, and Mach-O in its three forms.
const FOREIGN: &[(&[u8], &str)] = &[
    (b"MZ", "Windows"),
    (b"\xcf\xfa\xed\xfe", "macOS"),
    (b"\xce\xfa\xed\xfe", "macOS"),
    (b"\xca\xfe\xba\xbe", "macOS (or a Java class)"),
];

/// Identifies a file. `deeper`: how many levels of interpreters to follow.
pub(in crate::sys) fn content(path: &str, eyes: &AccessView<'_>, deeper: u8) -> Content {
    let Ok(head) = crate::sys::fs::files::slurp(path, 4096) else { return Content::Unreadable };
    let mut content = first_bytes(&head);
    match &mut content {
        Content::Elf { loader: Some((path, there)), .. } => *there = Path::new(path).exists(),
        Content::Script { interpreter, found, .. } => {
            *found = deeper.checked_sub(1).and_then(|deeper| eyes.found(interpreter, deeper)).map(Box::new);
        }
        _ => {}
    }
    content
}

/// Identifies the type of a file by its first bytes. Pure: does not check whether a loader or interpreter exists.
#[must_use]
pub fn first_bytes(head: &[u8]) -> Content {
    if head.is_empty() {
        return Content::Empty;
    }
    if head.starts_with(b"\x7fELF") {
        return elf(head);
    }
    if [&b"\xef\xbb\xbf"[..], b"\xff\xfe", b"\xfe\xff"].iter().any(|mark| head.starts_with(mark)) {
        return Content::ByteOrderMark;
    }
    if let Some((_, system)) = FOREIGN.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Content::Foreign(system);
    }
    if let Some(rest) = head.strip_prefix(b"#!") {
        return script(rest);
    }
    let start = head.get(..head.len().min(256)).unwrap_or(head);
    if start.contains(&0) { Content::Other } else { Content::Text }
}

fn script(rest: &[u8]) -> Content {
    let line = String::from_utf8_lossy(rest.split(|b| *b == b'\n').next().unwrap_or_default());
    let mut words = line.split_whitespace();
    let last = words.clone().next_back().filter(|_| line.ends_with('\r'));
    let carriage_return = last.map(str::to_string);
    let interpreter = words.next().unwrap_or("").to_string();
    let by_env = interpreter.ends_with("/env");
    let asked = words.find(|word| by_env && !word.starts_with('-') && !word.contains('='));
    let asked = asked.map(str::to_string);
    Content::Script { found: None, interpreter, asked, carriage_return }
}

/// Returns the machine type and loader (the first program header PT_INTERP) of a 32- or 64-bit ELF file, elf(5).
/// Trusts no number in it.
fn elf(head: &[u8]) -> Content {
    let wide = head.get(4) == Some(&2);
    let big = head.get(5) == Some(&2);
    let number = |at: usize, size: usize| -> Option<usize> {
        let bytes = head.get(at..at.checked_add(size)?)?;
        let fold = |sum: usize, byte: &u8| sum << 8 | usize::from(*byte);
        Some(if big { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) })
    };
    // Offsets in the ELF header: of the program headers, the size of one, and their number; offsets in a program
    // header: of its offset and its length; and the width of such a number.
    let (start, size, count, offset, length, bytes) =
        if wide { (32, 54, 56, 8, 32, 8) } else { (28, 42, 44, 4, 16, 4) };
    let loader = || -> Option<String> {
        let (start, size) = (number(start, bytes)?, number(size, 2)?);
        let mut headers =
            (0..number(count, 2)?.min(64)).map(|n| start.saturating_add(n.saturating_mul(size)));
        let header = headers.find(|header| number(*header, 4) == Some(3))?;
        let from = number(header.checked_add(offset)?, bytes)?;
        let to = from.checked_add(number(header.checked_add(length)?, bytes)?)?;
        let path = head.get(from..to)?.split(|byte| *byte == 0).next()?;
        Some(String::from_utf8_lossy(path).into_owned())
    };
    let machine = number(18, 2).and_then(|n| u16::try_from(n).ok()).unwrap_or(0);
    Content::Elf { machine, loader: loader().map(|path| (path, false)) }
}

#[cfg(test)]
mod tests {
    use super::super::format::*;
    use crate::sys::process::credentials;

    #[test]
    fn first_bytes_are_understood() {
        let ids = credentials::current();
        let eyes = AccessView::new(&ids, true);
        let path = std::env::temp_dir().join(format!("rinit-content-{}", std::process::id()));
        let path = path.to_str().expect("text");
        let script = |line: &[u8]| {
            std::fs::write(path, [b"#!", line].concat()).expect("a file");
            match content(path, &eyes, 1) {
                Content::Script { interpreter, found, asked, carriage_return } => {
                    (interpreter, found.is_some(), asked, carriage_return)
                }
                other => panic!("{other:?}"),
            }
        };
        let bash = Some("bash".to_string());
        assert_eq!(script(b" /bin/sh -e\nx"), ("/bin/sh".into(), true, None, None));
        assert_eq!(script(b"/no/sh\r\n"), ("/no/sh".into(), false, None, Some("/no/sh".into())));
        assert_eq!(script(b"/bin/sh -e\r\n").3.as_deref(), Some("-e"));
        assert_eq!(script(b"/usr/bin/env bash\n"), ("/usr/bin/env".into(), true, bash.clone(), None));
        assert_eq!(script(b"/usr/bin/env -S A=b bash -e").2, bash);
        assert_eq!(script(b"").0, "");
        for (bytes, want) in [
            (&b""[..], Content::Empty),
            (b"\xef\xbb\xbf#!/bin/sh", Content::ByteOrderMark),
            (b"\xff\xfe#\0!\0", Content::ByteOrderMark),
            (b"MZ\x90\0", Content::Foreign("Windows")),
            (b"\xcf\xfa\xed\xfe\x07", Content::Foreign("macOS")),
            (b"echo x", Content::Text),
            (b"a\0b", Content::Other),
            (b"\x7fELF", Content::Elf { machine: 0, loader: None }),
        ] {
            std::fs::write(path, bytes).expect("a file");
            assert_eq!(content(path, &eyes, 1), want, "{bytes:?}");
        }
        std::fs::remove_file(path).expect("a file");
        assert_eq!(content(path, &eyes, 1), Content::Unreadable);
    }
}
