//! The way to a path, component by component, each held by descriptor.

use super::pin::{EntryStat, FileKind, Pinned, link_target};
use crate::sys::Errno;
use crate::text::gather::Gather;
use std::ffi::CString;

/// Links on links are followed this deep, as the kernel does.
const MAX_LINKS: usize = 40;

/// Where a path leads.
#[derive(Debug)]
pub struct PinnedPath {
    /// The directory that holds it.
    pub parent: Pinned,
    /// Its name there; `.` of the root itself.
    pub name: CString,
    /// What is there, if anything is.
    pub entry: Option<Pinned>,
    /// Components that are missing below [`PinnedPath::parent`], the last one included.
    pub missing: Vec<CString>,
}

/// Why a path cannot be gone.
#[derive(Debug)]
pub enum PathRefusal {
    /// The system refused this directory.
    Refused(String, Errno),
    /// A link that somebody else could have put there, and whose it is.
    Untrusted(String, u32),
}

/// Goes along an absolute path component by component, each held by descriptor. A link on the way is followed only where
/// nobody but root, or this process's own user, can have put it there: it is theirs, and so is the directory that it
/// lies in, in which nobody else may write. `last`: whether the last component, if it is a link, is followed too.
pub fn resolve(path: &str, last: bool) -> Result<PinnedPath, PathRefusal> {
    let (mut left, mut gone, mut links) = (components(path.as_bytes()), String::new(), 0);
    let mut parent = root()?;
    loop {
        let Some(name) = left.pop() else {
            // The root itself.
            left.push(c".".into());
            continue;
        };
        let above = gone.len();
        gone.push('/');
        gone.push_str(&name.to_string_lossy());
        let refused = |errno| PathRefusal::Refused(gone.clone(), errno);
        let entry = match Pinned::at(parent.raw(), &name) {
            Err(Errno::ENOENT) => {
                left.push(name.clone());
                left.reverse();
                return Ok(PinnedPath { parent, name, entry: None, missing: left });
            }
            entry => entry.map_err(refused)?,
        };
        let is_last = left.is_empty();
        if entry.stat.kind == FileKind::Link && (last || !is_last) {
            links += 1;
            if links > MAX_LINKS {
                return Err(refused(Errno::ELOOP));
            }
            if !trusted(&parent.stat, &entry.stat) {
                return Err(PathRefusal::Untrusted(gone, entry.stat.uid));
            }
            let target = link_target(&entry).map_err(refused)?;
            gone.truncate(above);
            if target.starts_with(b"/") {
                (parent, gone) = (root()?, String::new());
            }
            left.append(&mut components(&target));
        } else if is_last {
            return Ok(PinnedPath { parent, name, entry: Some(entry), missing: left });
        } else if entry.stat.kind == FileKind::Dir {
            parent = entry;
        } else {
            return Err(refused(Errno::ENOTDIR));
        }
    }
}

fn root() -> Result<Pinned, PathRefusal> {
    let root = Pinned::at(libc::AT_FDCWD, c"/");
    root.map_err(|errno| PathRefusal::Refused("/".into(), errno))
}

/// The components of a path, the first one last.
fn components(path: &[u8]) -> Vec<CString> {
    let parts = path.rsplit(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    parts.filter_map(|part| CString::new(part).ok()).gather()
}

/// Whether nobody but root and this process's user can have made this link. What such a user may do is no more than any
/// of his links could make him do.
fn trusted(dir: &EntryStat, link: &EntryStat) -> bool {
    let own = nix::unistd::geteuid().as_raw();
    let ours = |uid: u32| uid == 0 || uid == own;
    // In a directory with the sticky bit nobody takes away what is another's.
    own != 0 || ours(link.uid) && ours(dir.uid) && (dir.mode & 0o022 == 0 || dir.mode & 0o1000 != 0)
}
