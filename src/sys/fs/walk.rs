//! A walk over a tree of directories that never follows a link and never crosses a mount, holds a bounded number of
//! descriptors however deep it is, and comes to a directory after all that is in it.

use super::pin::{self, EntryStat, FileKind, Pinned};
use crate::sys::{Errno, raw};
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

/// Directories that are open at a time.
const MAX_OPEN: usize = 16;

/// Bytes of names that are read at a time.
const BUFFER_BYTES: usize = 64 << 10;

/// Who is shown a tree.
pub trait TreeVisitor {
    /// Anything but a directory, by its name in the directory `dir`: looked at, not held.
    fn entry(&mut self, dir: RawFd, name: &CStr, stat: &EntryStat, path: &TreePath<'_>);
    /// A directory, all of which has been shown; not the one that the walk began at.
    fn directory(&mut self, held: &mut Pinned, path: &TreePath<'_>);
    /// What could not be looked at, and why. What has gone meanwhile is not told.
    fn unseen(&mut self, path: &TreePath<'_>, errno: Errno);
    /// Something is mounted here: it is not entered, nor is a file that is a mount shown.
    fn mount(&mut self, path: &TreePath<'_>);
    /// Whether it is enough.
    fn is_done(&self) -> bool {
        false
    }
}

/// Where the walk is, made a text only when asked.
pub struct TreePath<'w> {
    levels: &'w [TreeLevel],
    name: &'w CStr,
}

impl TreePath<'_> {
    /// Relative to where the walk began.
    #[must_use]
    pub fn shown(&self) -> String {
        let mut text = String::new();
        let names = self.levels.iter().map(|level| level.name.as_c_str()).chain([self.name]);
        for name in names.filter(|name| !name.is_empty()) {
            if !text.is_empty() {
                text.push('/');
            }
            text.push_str(&name.to_string_lossy());
        }
        text
    }
}

/// A directory on the way down.
struct TreeLevel {
    name: CString,
    /// `None` while it is far above: it is found again by `..`.
    held: Option<Pinned>,
    id: (u64, u64),
    /// Names of directories in it that are still to be seen, each with its NUL.
    names: Vec<u8>,
}

impl TreeLevel {
    /// The next directory in it.
    fn next(&mut self) -> Option<CString> {
        self.names.pop()?;
        let start = self.names.iter().rposition(|byte| *byte == 0).map_or(0, |at| at + 1);
        let name = self.names.split_off(start);
        CString::new(name).ok()
    }
}

/// Shows all that is below a directory.
pub fn walk(top: &Pinned, visitor: &mut dyn TreeVisitor) -> Result<(), Errno> {
    let held = Pinned::of(pin::open_dir_at(top.raw(), c".")?)?;
    let mount = mount_of(&held.stat, held.raw());
    if mount == 0 {
        // Without it no mount would be told from what it covers.
        return Err(Errno::EXDEV);
    }
    let mut walk = Walk { levels: Vec::new(), buffer: vec![0; BUFFER_BYTES], mount, visitor };
    walk.enter(CString::default(), held);
    while !walk.visitor.is_done() {
        let Some(level) = walk.levels.last_mut() else { break };
        match level.next() {
            Some(name) => walk.descend(name),
            None => walk.leave(),
        }
    }
    Ok(())
}

fn mount_of(stat: &EntryStat, fd: RawFd) -> u64 {
    if stat.mount == 0 { pin::mount_by_proc(fd) } else { stat.mount }
}

struct Walk<'w> {
    levels: Vec<TreeLevel>,
    buffer: Vec<u8>,
    mount: u64,
    visitor: &'w mut dyn TreeVisitor,
}

impl Walk<'_> {
    /// A directory: shows what is in it but directories, of which it keeps the names.
    fn enter(&mut self, name: CString, held: Pinned) {
        let fd = held.raw();
        self.levels.push(TreeLevel { name, id: held.stat.id, held: Some(held), names: Vec::new() });
        let mut names = Vec::new();
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            let length = match read_names(fd, &mut buffer) {
                Ok(0) | Err(Errno::ENOENT) => break,
                Ok(length) => length,
                Err(errno) => {
                    self.visitor.unseen(&TreePath { levels: &self.levels, name: c"" }, errno);
                    break;
                }
            };
            let mut rest = buffer.get(..length).unwrap_or_default();
            while let Some((kind, name, tail)) = next_name(rest) {
                rest = tail;
                if matches!(name.to_bytes(), b"." | b"..") {
                    continue;
                }
                if self.visitor.is_done() {
                    break;
                }
                if kind == libc::DT_DIR || !self.show(fd, name) {
                    names.extend_from_slice(name.to_bytes_with_nul());
                }
            }
            if self.visitor.is_done() {
                break;
            }
        }
        self.buffer = buffer;
        if let Some(level) = self.levels.last_mut() {
            level.names = names;
        }
        // The one that is the deepest stays, as does that above it, which is needed next.
        let open = self.levels.len().saturating_sub(MAX_OPEN);
        if let Some(level) = open.checked_sub(1).and_then(|far| self.levels.get_mut(far)) {
            level.held = None;
        }
    }

    /// Whether a file lies on another mount, for it is one itself.
    fn is_elsewhere(&self, fd: RawFd, name: &CStr, stat: &EntryStat) -> bool {
        if stat.mount != 0 {
            return stat.mount != self.mount;
        }
        Pinned::at(fd, name).is_ok_and(|held| pin::mount_by_proc(held.raw()) != self.mount)
    }

    /// Shows an entry; false where it is a directory after all.
    fn show(&mut self, fd: RawFd, name: &CStr) -> bool {
        let path = TreePath { levels: &self.levels, name };
        match pin::stat_at(fd, name) {
            Ok(stat) if stat.kind == FileKind::Dir => return false,
            Ok(stat) if self.is_elsewhere(fd, name, &stat) => self.visitor.mount(&path),
            Ok(stat) => self.visitor.entry(fd, name, &stat, &path),
            Err(Errno::ENOENT) => {}
            Err(errno) => self.visitor.unseen(&path, errno),
        }
        true
    }

    fn descend(&mut self, name: CString) {
        let Some(fd) = self.levels.last().and_then(|level| level.held.as_ref()).map(Pinned::raw) else {
            return;
        };
        // What it lies on is asked before it is opened: a mount may hang.
        let other = |stat: &EntryStat| stat.is_mount_root || stat.mount != 0 && stat.mount != self.mount;
        let path = TreePath { levels: &self.levels, name: &name };
        let opened = match pin::stat_at(fd, &name) {
            Ok(stat) if other(&stat) => return self.visitor.mount(&path),
            Ok(_) => pin::open_dir_at(fd, &name).and_then(Pinned::of),
            Err(errno) => Err(errno),
        };
        match opened {
            Ok(held) if mount_of(&held.stat, held.raw()) != self.mount => self.visitor.mount(&path),
            Ok(held) => self.enter(name, held),
            // Gone, or no longer a directory.
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => {}
            Err(errno) => self.visitor.unseen(&path, errno),
        }
    }

    /// All of the deepest directory has been shown: back to the one above, then itself.
    fn leave(&mut self) {
        let Some(done) = self.levels.pop() else { return };
        let Some(mut held) = done.held else { return };
        let mut lost = None;
        if let Some(level) = self.levels.last_mut()
            && level.held.is_none()
        {
            // Before the directory is given away: who owns it may forbid to go up from it.
            match pin::open_dir_at(held.raw(), c"..").and_then(Pinned::of) {
                Ok(up) if up.stat.id == level.id => level.held = Some(up),
                // It was moved while it was walked.
                Ok(_) => lost = Some(Errno::ESTALE),
                Err(errno) => lost = Some(errno),
            }
        }
        let path = TreePath { levels: &self.levels, name: &done.name };
        if !self.levels.is_empty() {
            self.visitor.directory(&mut held, &path);
        }
        if let Some(errno) = lost {
            self.visitor.unseen(&path, errno);
            // None of those above can be found again by descriptor: what is left of them stays unseen.
            while self.levels.last().is_some_and(|level| level.held.is_none()) {
                self.levels.pop();
            }
        }
    }
}

/// Reads names of a directory (getdents64(2)): how many bytes.
fn read_names(fd: RawFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: a place of ours whose size is said.
    unsafe {
        raw::call(libc::SYS_getdents64, &[raw::number(fd), raw::address(buffer.as_mut_ptr()), buffer.len()])
    }
}

/// The first of these (struct linux_dirent64: inode, offset, length, kind, name), and what follows it.
fn next_name(bytes: &[u8]) -> Option<(u8, &CStr, &[u8])> {
    let length = usize::from(u16::from_ne_bytes(*bytes.get(16..)?.first_chunk()?));
    let (entry, rest) = bytes.split_at_checked(length)?;
    let name = CStr::from_bytes_until_nul(entry.get(19..)?).ok()?;
    Some((*entry.get(18)?, name, rest))
}

/// All names in a directory that is held, but `.` and `..`.
pub fn names(dir: &Pinned) -> Result<Vec<CString>, Errno> {
    let fd: OwnedFd = pin::open_dir_at(dir.raw(), c".")?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut names = Vec::new();
    loop {
        let length = read_names(fd.as_raw_fd(), &mut buffer)?;
        if length == 0 {
            return Ok(names);
        }
        let mut rest = buffer.get(..length).unwrap_or_default();
        while let Some((_, name, tail)) = next_name(rest) {
            rest = tail;
            if !matches!(name.to_bytes(), b"." | b"..") {
                names.push(name.to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};

    fn base(name: &str) -> PathBuf {
        let base = std::env::temp_dir().join(format!("walk-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&base);
        std::fs::create_dir_all(&base).expect("a directory");
        base
    }

    fn hold(path: &Path) -> Pinned {
        let path = CString::new(path.to_str().expect("text")).expect("no NUL");
        Pinned::at(libc::AT_FDCWD, &path).expect("held")
    }

    /// What it is shown, in order; `meddle` is done when it is shown this.
    #[derive(Default)]
    struct Shown {
        all: Vec<String>,
        meddle: Option<(&'static str, PathBuf, PathBuf)>,
    }

    impl Shown {
        fn note(&mut self, path: &TreePath<'_>, what: &str) {
            let shown = path.shown();
            if let Some((_, from, to)) = self.meddle.take_if(|(at, ..)| *at == shown) {
                std::fs::rename(from, to).expect("moved");
            }
            self.all.push([what, &shown].concat());
        }
    }

    impl TreeVisitor for Shown {
        fn entry(&mut self, _: RawFd, _: &CStr, _: &EntryStat, path: &TreePath<'_>) {
            self.note(path, "");
        }
        fn directory(&mut self, _: &mut Pinned, path: &TreePath<'_>) {
            self.note(path, "dir ");
        }
        fn unseen(&mut self, path: &TreePath<'_>, errno: Errno) {
            self.note(path, &format!("{errno:?} "));
        }
        fn mount(&mut self, path: &TreePath<'_>) {
            self.note(path, "mount ");
        }
    }

    #[test]
    fn a_directory_is_shown_after_all_that_is_in_it() {
        let base = base("order");
        std::fs::create_dir_all(base.join("a/b")).expect("directories");
        std::fs::write(base.join("a/b/f"), "").expect("a file");
        std::fs::write(base.join("a/g"), "").expect("a file");
        symlink("/etc", base.join("l")).expect("a link");
        let mut shown = Shown::default();
        walk(&hold(&base), &mut shown).expect("a walk");
        assert_eq!(shown.all, ["l", "a/g", "a/b/f", "dir a/b", "dir a"]);
        std::fs::remove_dir_all(base).expect("gone");
    }

    /// Far deeper than descriptors are kept: those above are found again; a directory that was moved meanwhile is told.
    #[test]
    fn the_way_up_is_found_again_or_told() {
        let base = base("deep");
        let mut path = base.clone();
        for _ in 0..40 {
            path.push("d");
        }
        std::fs::create_dir_all(&path).expect("directories");
        std::fs::write(path.join("f"), "").expect("a file");
        let mut shown = Shown::default();
        walk(&hold(&base), &mut shown).expect("a walk");
        assert_eq!((shown.all.len(), shown.all.first().map(String::len)), (41, Some(81)));
        assert_eq!(shown.all.last().map(String::as_str), Some("dir d"));
        // The third from the top goes elsewhere while the deepest is shown.
        let deepest: &'static str = Box::leak(shown.all[0].clone().into_boxed_str());
        let away = base.join("away");
        let mut moved =
            Shown { meddle: Some((deepest, base.join("d/d/d"), away.clone())), ..Shown::default() };
        walk(&hold(&base), &mut moved).expect("a walk");
        assert!(moved.all.iter().any(|told| told.starts_with("ESTALE d/d/d")), "{:?}", moved.all);
        assert!(!moved.all.contains(&"dir d".to_string()), "{:?}", moved.all);
        std::fs::remove_dir_all(base).expect("gone");
    }
}
