//! Checks who could have modified the file at a path, besides root and the user who is to run it.

use crate::sys::Errno;
use crate::text::gather::Gather;
use crate::text::template::fill;
use std::ffi::CString;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;

/// The kernel's limit of links to follow.
const MAX_LINKS: u32 = 40;

/// A place where another user could have replaced the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Loophole {
    /// The directory, link or file.
    pub path: String,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its permission bits.
    pub mode: u32,
}

/// Follows a path like the kernel; returns the path with links resolved, and the first loophole. The user and group in
/// `own`, and root with its group, are trusted; a read-only mount cannot be modified by anybody.
pub fn look(path: &str, own: (u32, u32)) -> io::Result<(String, Option<Loophole>)> {
    let parts = |text: &str| -> Vec<String> {
        text.split('/').rev().filter(|part| !part.is_empty() && *part != ".").map(str::to_string).gather()
    };
    let (mut at, mut ahead, mut links) = (String::from("/"), parts(path), 0);
    let mut found = weakness(&at, &std::fs::symlink_metadata("/")?, own, false);
    while let Some(name) = ahead.pop() {
        if name == ".." {
            at.truncate(at.rfind('/').unwrap_or(0).max(1));
            continue;
        }
        let next = fill!("{}/{}", at.trim_end_matches('/'), name);
        let data = std::fs::symlink_metadata(&next)?;
        let is_link = data.is_symlink();
        found = found.or_else(|| weakness(&next, &data, own, ahead.is_empty() && !is_link));
        if !is_link {
            at = next;
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(Errno::ELOOP.into());
        }
        let target = super::stat::read_link(&next)?;
        if target.starts_with('/') {
            at = "/".into();
        }
        ahead.extend(parts(&target));
    }
    Ok((at, found))
}

fn weakness(path: &str, data: &Metadata, own: (u32, u32), is_last: bool) -> Option<Loophole> {
    let (uid, gid, mode) = (data.uid(), data.gid(), data.mode() & 0o7777);
    // In a sticky directory only its owner can move an entry.
    let keeps = data.is_dir() && !is_last && mode & 0o1000 != 0;
    let (group, others) =
        if data.is_symlink() { (false, false) } else { (mode & 0o020 != 0, mode & 0o002 != 0) };
    let is_own = |id, own| id == 0 || id == own;
    let open = others || group && !is_own(gid, if own.0 == 0 { 0 } else { own.1 });
    let weak = !is_own(uid, own.0) || open && !keeps;
    (weak && !is_read_only(path)).then(|| Loophole { path: path.into(), uid, gid, mode })
}

/// Returns whether a path is read-only: its mount or its whole file system.
#[must_use]
pub fn is_read_only(path: &str) -> bool {
    let Ok(path) = CString::new(path) else { return false };
    // SAFETY: a string of ours, and a structure for which zero is valid and that the kernel fills.
    unsafe {
        let mut found: libc::statvfs = std::mem::zeroed();
        libc::statvfs(path.as_ptr(), &raw mut found) == 0 && found.f_flag & libc::ST_RDONLY != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn a_way_that_others_can_change_is_found() {
        let top = std::env::temp_dir().join(format!("rinit-trust-{}", std::process::id()));
        let made = |name: &str, mode: u32| {
            let path = top.join(name);
            std::fs::create_dir_all(&path).expect("a directory");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode");
            path.to_str().expect("text").to_string()
        };
        // SAFETY: no arguments.
        let own = unsafe { (libc::geteuid(), libc::getegid()) };
        let (good, open) = (made("good", 0o755), made("open", 0o777));
        let (sticky, below, under) =
            (made("sticky", 0o1777), made("sticky/below", 0o755), made("open/under", 0o755));
        symlink("open/under", top.join("way")).expect("a link");
        symlink(top.join("sticky/below"), top.join("good/way")).expect("a link");
        let way = top.join("way").to_str().expect("text").to_string();
        for (path, weak) in [
            (&good, None),
            (&open, Some(&open)),
            (&sticky, Some(&sticky)),
            (&below, None),
            (&under, Some(&open)),
            (&format!("{good}/../good/./"), None),
            (&format!("{good}/way"), None),
            (&way, Some(&open)),
        ] {
            let (real, found) = look(path, own).expect("a look");
            assert_eq!(real, super::super::stat::real_path(path).expect("a path"));
            assert_eq!(found.map(|found| found.path).as_ref(), weak, "{path}");
        }
        assert!(look(&format!("{good}/none"), own).is_err());
        std::fs::remove_dir_all(top).expect("gone");
    }
}
