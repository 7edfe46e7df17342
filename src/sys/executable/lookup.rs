//! Inspects a program that could not be started: facts for [`crate::diagnosis`]. Only used after a failed start, so
//! successful starts do not pay for it.

use super::format::{Content, content};
use crate::sys::Errno;
use crate::sys::fs::access::{AccessView, exists};
pub use crate::sys::fs::access::{Barrier, FileRights, Obstacle, Viewer};
use crate::sys::fs::mounts::{self, Mount};
pub use crate::sys::links::DeadLink;
use crate::sys::links::dead_link;
use crate::sys::process::credentials::{self, Identity};
use crate::sys::process::rlimits::{TooHigh, TooLong};
use crate::sys::process::spawn;
use crate::text::gather::Gather;
use crate::text::template::fill;
use std::ffi::{CStr, CString};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::PathBuf;

/// A file found where a program was searched for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Its path.
    pub path: String,
    /// Whether it is a directory.
    pub directory: bool,
    /// Its permissions.
    pub rights: FileRights,
    /// The mount it is on, if that is mounted noexec.
    pub noexec: Option<String>,
    /// Its type.
    pub content: Content,
}

/// The program to look for, and the user it runs as.
pub struct ExecQuery<'a> {
    /// The command word.
    pub word: &'a CStr,
    /// The arguments, command word first; may be empty.
    pub argv: &'a [CString],
    /// The paths that were tried.
    pub candidates: &'a [CString],
    /// PATH in its environment.
    pub path: Option<&'a [u8]>,
    /// Its user; `None`: rinit's.
    pub ids: Option<&'a Identity>,
    /// Its working directory; `None`: rinit's.
    pub directory: Option<&'a CStr>,
}

/// Facts about a program that was to be started.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ExecFacts {
    /// The command word.
    pub word: String,
    /// Its full path, if the word has a slash.
    pub path: String,
    /// The arguments, command word first, if known.
    pub argv: Vec<String>,
    /// The argument or variable that exceeds the kernel's limit, if any.
    pub too_long: Option<TooLong>,
    /// The user who was to run it.
    pub viewer: Viewer,
    /// The PATH directories that were searched; empty if the word has a slash.
    pub searched: Vec<String>,
    /// The first file found there.
    pub found: Option<Found>,
    /// A dangling link that makes it, or its interpreter, missing.
    pub dead: Option<DeadLink>,
    /// What blocks access to it.
    pub obstacle: Option<Obstacle>,
    /// A mount on its path that is not one of the system's own.
    pub covered: Option<String>,
    /// Where a program of that name exists, if not in the searched places; for a script that exists: the same for its
    /// interpreter.
    pub elsewhere: Option<String>,
    /// Names in the searched directories, for "did you mean".
    pub names: Vec<String>,
    /// Whether the word contains spaces and its first part was found.
    pub whole_line: bool,
    /// Whether env(1), named in the `#!` line, would not find the interpreter in PATH.
    pub env_fails: bool,
    /// The working directory.
    pub directory: String,
    /// What blocks access to the working directory.
    pub no_directory: Option<Obstacle>,
    /// Whether rinit is root.
    pub root: bool,
    /// Capabilities that root usually has but rinit lacks, for other users and their files.
    pub lacks: Vec<&'static str>,
    /// The ulimit that cannot be set.
    pub too_high: Option<TooHigh>,
    /// The cgroup's limits of processes and memory; only read if the fork failed.
    pub most: (Option<u64>, Option<u64>),
}

/// Looks for the program that could not be started.
#[must_use]
pub fn look(ask: &ExecQuery<'_>) -> ExecFacts {
    let own = credentials::current();
    let ids = ask.ids.unwrap_or(&own);
    let lacks = lacks();
    let bypasses_dac = ids.uid == 0 && !lacks.contains(&"DAC_OVERRIDE");
    let eyes = AccessView::of(ids, bypasses_dac, ask.ids.is_none());
    let here = shown(std::env::current_dir().unwrap_or_default());
    let directory = ask.directory.map_or_else(|| here.clone(), |path| below(&here, path));
    let word = ask.word.to_string_lossy().into_owned();
    let mut look = ExecFacts {
        viewer: eyes.viewer(ask.ids.is_some()),
        argv: ask.argv.iter().map(|word| word.to_string_lossy().into_owned()).gather(),
        no_directory: eyes.way(&fill!("{}/", directory)),
        root: own.uid == 0,
        lacks,
        ..ExecFacts::default()
    };
    // A word with a slash has one candidate, so report what blocks it; a PATH search just moves on.
    let by_path = word.contains('/');
    let first = word.split_whitespace().next().unwrap_or("");
    let paths: Vec<String> = ask.candidates.iter().map(|path| below(&directory, path)).gather();
    for path in &paths {
        let directory = directory_of(path);
        if first != word && !first.is_empty() {
            look.whole_line |= exists(first) || exists(&fill!("{}/{}", directory, first));
        }
        look.found = look.found.or_else(|| eyes.found(path, 2));
        if by_path {
            look.path.clone_from(path);
        } else {
            look.searched.push(directory.to_string());
        }
    }
    for path in paths.iter().filter(|_| look.found.is_none()) {
        // A missing PATH directory is skipped.
        let is_link = by_path || crate::sys::fs::stat::read_link(path).is_ok();
        look.dead = look.dead.or_else(|| dead_link(path).filter(|_| is_link));
        names(directory_of(path), &mut look.names);
        look.covered = look.covered.or_else(|| mount_over(directory_of(path)));
    }
    look.obstacle = eyes.way(look.found.as_ref().map_or(&look.path, |found| &found.path));
    if !by_path && look.found.is_none() {
        // A PATH directory without access is not searched, and may contain the program.
        let unseen = |path: &&String| {
            std::fs::metadata(path).is_err_and(|error| crate::sys::errno(&error) == Errno::EACCES)
        };
        look.obstacle = paths.iter().filter(unseen).find_map(|path| eyes.way(path));
    }
    let sought = match look.found.as_ref().map(|found| &found.content) {
        Some(Content::Script { interpreter, found, asked, .. }) => {
            look.env_fails = asked.as_ref().is_some_and(|name| {
                let name = CString::new(name.as_str()).unwrap_or_default();
                !spawn::candidates(&name, ask.path).iter().any(|path| exists(&below(&directory, path)))
            });
            if look.env_fails { asked.as_ref() } else { Some(interpreter).filter(|_| found.is_none()) }
        }
        Some(_) => None,
        None => Some(&word),
    };
    look.dead = look.dead.or_else(|| look.found.as_ref().and_then(dead_runner));
    look.elsewhere = sought.and_then(|name| elsewhere(name, &directory));
    look.directory = directory;
    look.word = word;
    look
}

/// Returns the dangling link that makes a script's interpreter or a program's loader missing.
fn dead_runner(found: &Found) -> Option<DeadLink> {
    match &found.content {
        Content::Script { interpreter, found: None, .. } => dead_link(interpreter),
        Content::Elf { loader: Some((loader, false)), .. } => dead_link(loader),
        _ => None,
    }
}

/// Looks for a program before it is started: by path, or by name in the directories of `path`.
#[must_use]
pub fn look_for(word: &str, path: Option<&[u8]>) -> ExecFacts {
    // A NUL cannot be part of a name.
    let word = &CString::new(word).unwrap_or_default();
    look(&ExecQuery {
        word,
        argv: &[],
        candidates: &spawn::candidates(word, path),
        path,
        ids: None,
        directory: None,
    })
}

/// Resolves a path relative to a directory.
fn below(directory: &str, path: &CStr) -> String {
    let path = path.to_string_lossy();
    if path.starts_with('/') {
        return path.into_owned();
    }
    let directory = if directory == "/" { "" } else { directory };
    fill!("{}/{}", directory, path.strip_prefix("./").unwrap_or(&path))
}

fn directory_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

fn shown(path: PathBuf) -> String {
    path.into_os_string().to_string_lossy().into_owned()
}

impl AccessView<'_> {
    /// Inspects the file at a path; `deeper`: how many levels of interpreters to follow.
    pub(in crate::sys) fn found(&self, path: &str, deeper: u8) -> Option<Found> {
        let meta = std::fs::metadata(path).ok()?;
        let kind = meta.file_type();
        Some(Found {
            path: path.into(),
            directory: meta.is_dir(),
            rights: self.rights(path, &crate::sys::fs::stat::stat(path).ok()?),
            noexec: mount_of(path).filter(|mount| mount.has("noexec")).map(|mount| mount.point),
            content: if kind.is_file() {
                content(path, self, deeper)
            } else if kind.is_dir() {
                Content::Other
            } else if kind.is_fifo() {
                Content::Special("a pipe")
            } else {
                Content::Special(if kind.is_socket() { "a socket" } else { "a device" })
            },
        })
    }
}

/// Returns the mount that an existing file is on.
fn mount_of(path: &str) -> Option<Mount> {
    let all = mounts::read().ok()?;
    let (mount, _) = mounts::lies_on(&all, path).ok()??;
    Some(mount.clone())
}

/// Returns the mount of a directory, or of its nearest existing ancestor, if it is not one of the system's own.
fn mount_over(mut directory: &str) -> Option<String> {
    while !exists(directory) {
        directory = directory.rsplit_once('/')?.0;
    }
    let point = mount_of(directory)?.point;
    (!matches!(point.as_str(), "/" | "/usr" | "/proc" | "/sys" | "/dev")).then_some(point)
}

/// Searches for a program of this name in the usual directories and in those of known packages.
fn elsewhere(word: &str, directory: &str) -> Option<String> {
    const USUAL: &str = "/usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin /app /usr/games";
    let name = word.rsplit('/').next().filter(|name| !name.is_empty())?;
    let mut directories: Vec<String> = USUAL.split(' ').map(str::to_string).gather();
    directories.push(directory.to_string());
    for parent in ["/opt", "/usr/local", "/usr/lib/postgresql", "/usr/lib"] {
        let mut own = Vec::new();
        names(parent, &mut own);
        directories.extend(own.iter().map(|name| fill!("{}/{}/bin", parent, name)));
    }
    directories.into_iter().map(|directory| fill!("{}/{}", directory, name)).find(|path| {
        let meta = std::fs::metadata(path);
        meta.is_ok_and(|meta| meta.is_file() && meta.mode() & 0o111 != 0)
    })
}

fn names(directory: &str, into: &mut Vec<String>) {
    for name in crate::sys::fs::dir::names(directory).unwrap_or_default() {
        into.extend(name.into_string());
    }
}

/// Returns the capabilities for other users and their files that this process lacks.
pub(in crate::sys) fn lacks() -> Vec<&'static str> {
    lacking(&crate::sys::fs::files::system_text("/proc/self/status").unwrap_or_default())
}

/// Returns those that a process lacks, from /proc/PID/status (capabilities(7)); empty if not listed.
#[must_use]
pub fn lacking(status: &str) -> Vec<&'static str> {
    let Some(bits) = crate::sys::process::status::number(status, "CapEff:", 16) else { return Vec::new() };
    let known = [("DAC_OVERRIDE", 1), ("SETGID", 6), ("SETUID", 7)];
    known.into_iter().filter(|(_, bit)| bits >> bit & 1 == 0).map(|(name, _)| name).gather()
}
