//! What is there where a program was to be started: facts for [`crate::diagnosis`]. Only looked at after a
//! start has failed, so nothing here is on the way of a start that works.

use super::users::{self, Identity};
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What the first bytes of a file make of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// Nothing in it.
    Empty,
    /// An ELF file for this machine number, with this loader if it names one.
    Elf {
        /// `e_machine` of elf(5).
        machine: u16,
        /// The path of its loader, and whether that is there.
        loader: Option<(String, bool)>,
    },
    /// A first line `#!INTERPRETER`.
    Script {
        /// The path of the interpreter, without a carriage return behind it, and whether that is there.
        interpreter: (String, bool),
        /// The line ends in a carriage return, as an editor on Windows writes it.
        carriage_return: bool,
    },
    /// A byte order mark before `#!`.
    ByteOrderMark,
    /// Text without a first line that names an interpreter.
    Text,
    /// Neither.
    Other,
    /// Not to be read by rinit.
    Unreadable,
}

/// One file that stands where a program was looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Its path.
    pub path: String,
    /// Whether it is a folder.
    pub folder: bool,
    /// Its permission bits.
    pub mode: u32,
    /// Whose it is.
    pub owner: (u32, u32),
    /// Whether the process's user may execute it, by its bits.
    pub executable: bool,
    /// Whether its file system is mounted noexec.
    pub noexec: bool,
    /// What it is.
    pub content: Content,
}

/// What is known about a program that was to be started.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Look {
    /// The word it was called by.
    pub word: String,
    /// The folders of PATH that were searched; empty when the word has a slash.
    pub searched: Vec<String>,
    /// The first file found there.
    pub found: Option<Found>,
    /// A folder on the way that the process's user may not enter, and its mode.
    pub closed: Option<(String, u32)>,
    /// The first folder on the way that does not exist.
    pub missing_folder: Option<String>,
    /// Names that PATH's folders do have, for "did you mean".
    pub names: Vec<String>,
    /// Whether the word holds blanks and its first part could be found.
    pub whole_line: bool,
}

/// Looks for the program that `candidates` could not be started as, with the eyes of `ids`.
#[must_use]
pub fn look(word: &CStr, candidates: &[CString], ids: Option<&Identity>) -> Look {
    let own = users::current();
    let ids = ids.unwrap_or(&own);
    let paths: Vec<PathBuf> =
        candidates.iter().map(|path| Path::new(OsStr::from_bytes(path.to_bytes())).into()).collect();
    let text = word.to_string_lossy().into_owned();
    let by_path = !text.contains('/');
    let first_word = text.split_whitespace().next().unwrap_or("");
    let mut look = Look { whole_line: first_word != text && !first_word.is_empty(), ..Look::default() };
    if look.whole_line {
        look.whole_line = if first_word.contains('/') {
            Path::new(first_word).exists()
        } else {
            paths.iter().filter_map(|path| path.parent()).any(|dir| dir.join(first_word).exists())
        };
    }
    // A word with a slash has one candidate, whose way is worth telling; a search just passes over.
    look.found = paths.iter().find_map(|path| found(path, ids));
    if by_path {
        let folders: Vec<&Path> = paths.iter().filter_map(|path| path.parent()).collect();
        look.searched = folders.iter().map(|dir| dir.display().to_string()).collect();
        if look.found.is_none() {
            look.names = folders.iter().flat_map(|dir| names(dir)).collect();
        }
    }
    if let Some(path) = paths.first().filter(|_| !by_path) {
        walk(path, ids, &mut look);
    } else if let Some(found) = look.found.clone() {
        walk(Path::new(&found.path), ids, &mut look);
    }
    look.word = text;
    look
}

/// Looks for a program before anybody starts it: by its path, or by its name in the folders of `path`.
#[must_use]
pub fn look_for(word: &str, path: Option<&[u8]>) -> Look {
    // A NUL cannot be part of a name.
    let word = CString::new(word).unwrap_or_default();
    look(&word, &super::spawn::candidates(&word, path), None)
}

/// Whether the permission bits give `ids` the right `bit` (4, 2 or 1). Root needs one x for anybody to execute.
fn allows(meta: &std::fs::Metadata, ids: &Identity, bit: u32) -> bool {
    if ids.uid == 0 {
        return bit != 1 || meta.is_dir() || meta.mode() & 0o111 != 0;
    }
    let shift = if meta.uid() == ids.uid {
        6
    } else if meta.gid() == ids.gid || ids.groups.contains(&meta.gid()) {
        3
    } else {
        0
    };
    meta.mode() >> shift & bit != 0
}

fn walk(path: &Path, ids: &Identity, look: &mut Look) {
    let mut folders: Vec<&Path> =
        path.ancestors().skip(1).filter(|dir| !dir.as_os_str().is_empty()).collect();
    folders.reverse();
    for folder in folders {
        match std::fs::metadata(folder) {
            Ok(meta) if meta.is_dir() && !allows(&meta, ids, 1) => {
                look.closed.get_or_insert((folder.display().to_string(), meta.mode() & 0o7777));
            }
            Ok(_) => {}
            Err(_) => {
                look.missing_folder.get_or_insert(folder.display().to_string());
            }
        }
    }
}

fn found(path: &Path, ids: &Identity) -> Option<Found> {
    let meta = std::fs::metadata(path).ok()?;
    let name = CString::new(path.as_os_str().as_bytes()).ok()?;
    Some(Found {
        path: path.display().to_string(),
        folder: meta.is_dir(),
        mode: meta.mode() & 0o7777,
        owner: (meta.uid(), meta.gid()),
        executable: allows(&meta, ids, 1),
        noexec: noexec(&name),
        content: if meta.is_file() { content(path) } else { Content::Other },
    })
}

fn noexec(path: &CStr) -> bool {
    let mut facts = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: a string that lives for the call, and a structure of ours.
    unsafe {
        libc::statvfs(path.as_ptr(), facts.as_mut_ptr()) == 0
            && facts.assume_init().f_flag & libc::ST_NOEXEC != 0
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// What a file is, by its first bytes.
#[must_use]
pub fn content(path: &Path) -> Content {
    let mut head = Vec::new();
    let Ok(file) = File::open(path) else { return Content::Unreadable };
    if file.take(4096).read_to_end(&mut head).is_err() {
        return Content::Unreadable;
    }
    if head.is_empty() {
        return Content::Empty;
    }
    if head.starts_with(b"\x7fELF") {
        return elf(&head);
    }
    if head.starts_with(b"\xef\xbb\xbf#!") {
        return Content::ByteOrderMark;
    }
    if let Some(rest) = head.strip_prefix(b"#!") {
        let line = rest.split(|b| *b == b'\n').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        let carriage_return = line.ends_with('\r');
        let interpreter = line.split_whitespace().next().unwrap_or("").to_string();
        let there = Path::new(&interpreter).exists();
        return Content::Script { interpreter: (interpreter, there), carriage_return };
    }
    let start = head.get(..head.len().min(256)).unwrap_or(&head);
    if start.contains(&0) { Content::Other } else { Content::Text }
}

/// The machine and the loader (program header PT_INTERP) of a 32- or 64-bit ELF file, elf(5).
fn elf(head: &[u8]) -> Content {
    let wide = head.get(4) == Some(&2);
    let big = head.get(5) == Some(&2);
    let number = |at: usize, size: usize| -> Option<usize> {
        let bytes = head.get(at..at + size)?;
        let fold = |sum: usize, byte: &u8| sum << 8 | usize::from(*byte);
        Some(if big { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) })
    };
    let machine = number(18, 2).and_then(|n| u16::try_from(n).ok()).unwrap_or(0);
    let table = if wide {
        (number(32, 8), number(54, 2), number(56, 2))
    } else {
        (number(28, 4), number(42, 2), number(44, 2))
    };
    let mut loader = None;
    if let (Some(start), Some(size), Some(count)) = table {
        for header in (0..count.min(64)).map(|n| start.saturating_add(n.saturating_mul(size))) {
            if number(header, 4) != Some(3) {
                continue;
            }
            let (offset, length) = if wide {
                (number(header + 8, 8), number(header + 32, 8))
            } else {
                (number(header + 4, 4), number(header + 16, 4))
            };
            if let (Some(offset), Some(length)) = (offset, length)
                && let Some(bytes) = head.get(offset..offset.saturating_add(length))
            {
                let path = String::from_utf8_lossy(bytes).trim_end_matches('\0').to_string();
                let there = Path::new(&path).exists();
                loader = Some((path, there));
            }
        }
    }
    Content::Elf { machine, loader }
}
