//! The mount table: `/proc/self/mountinfo` (proc_pid_mountinfo(5)).

use crate::sys::Errno;
use crate::text::gather::Gather;
use crate::text::template::fill;
use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;

/// One line of mountinfo.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Mount {
    /// The kernel's mount id.
    pub id: u64,
    /// The mount point.
    pub point: String,
    /// `ext4`, `overlay`, `tmpfs`.
    pub fstype: String,
    /// The mounted device, or `tmpfs`, `none`.
    pub source: String,
    /// The mounted directory of the file system: `/` for the whole.
    pub root: String,
    /// Propagation fields: `shared:1 master:2`; empty for a private mount.
    pub propagation: String,
    /// Mount options, comma-separated: `ro,noexec`.
    pub options: String,
    /// File system options, common to all its mounts.
    pub super_options: String,
}

impl Mount {
    /// Returns whether the mount or its file system is read-only.
    #[must_use]
    pub fn read_only(&self) -> bool {
        self.lists("ro")
    }

    /// Returns whether an option is in effect: it is listed (`noexec`, `size`, `size=64k`), or it is a default whose
    /// opposite is not listed (`rw`, `exec`, `suid`, `dev`).
    #[must_use]
    pub fn has(&self, option: &str) -> bool {
        match option {
            "rw" => !self.read_only(),
            "exec" | "suid" | "dev" => !self.lists(&fill!("no{}", option)),
            option => self.lists(option),
        }
    }

    /// Returns whether the mount has this propagation type: `shared`, `slave`, `private` or `unbindable`. A mount may
    /// be both shared and slave.
    #[must_use]
    pub fn propagates(&self, word: &str) -> bool {
        match word {
            "shared" => self.propagation.contains("shared:"),
            "slave" => self.propagation.contains("master:"),
            "private" => self.propagation.is_empty(),
            word => self.propagation == word,
        }
    }

    /// Returns whether its file system depends on a server or daemon, and so may hang.
    #[must_use]
    pub fn asks_somebody(&self) -> bool {
        const ASKING: &[&str] = &[
            "nfs", "cifs", "smb", "fuse", "9p", "virtiofs", "ceph", "gluster", "lustre", "afs", "autofs",
            "orangefs", "ocfs2", "gfs2", "beegfs", "gpfs",
        ];
        ASKING.iter().any(|kind| self.fstype.starts_with(kind))
    }

    fn lists(&self, option: &str) -> bool {
        self.options
            .split(',')
            .chain(self.super_options.split(','))
            .any(|one| one == option || one.split_once('=').is_some_and(|(key, _)| key == option))
    }
}

/// Returns whether any of these mounts may hang: then any path lookup may block, since links can lead there. The root
/// mount is excluded: without it nothing works. True if the list of mounts is empty.
#[must_use]
pub fn may_hang(mounts: &[Mount]) -> bool {
    mounts.is_empty() || mounts.iter().any(|mount| mount.asks_somebody() && mount.point != "/")
}

/// Reads all mounts of this mount namespace, in the kernel's order: a later one covers an earlier one.
pub fn read() -> io::Result<Vec<Mount>> {
    let bytes = super::files::slurp("/proc/self/mountinfo", usize::MAX)?;
    Ok(parse(&String::from_utf8_lossy(&bytes)))
}

/// Parses mountinfo. Skips malformed lines.
#[must_use]
pub fn parse(text: &str) -> Vec<Mount> {
    text.lines().filter_map(line).gather()
}

fn line(line: &str) -> Option<Mount> {
    // A single hyphen ends the optional fields (`shared:1`).
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.splitn(7, ' ');
    let mut right = right.split(' ');
    let id = left.next()?.parse().ok()?;
    let mut left = left.skip(2);
    Some(Mount {
        id,
        root: unescape(left.next()?),
        point: unescape(left.next()?),
        options: left.next()?.to_string(),
        propagation: left.next().unwrap_or("").to_string(),
        fstype: right.next()?.to_string(),
        source: unescape(right.next()?),
        super_options: right.next().unwrap_or("").to_string(),
    })
}

/// Decodes the kernel's octal escapes of space, tab, newline and backslash.
fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = match (first, tail) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..]) => {
                Some((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'))
            }
            _ => None,
        };
        out.push(code.unwrap_or(*first));
        rest = if code.is_some() { tail.get(3..).unwrap_or(&[]) } else { tail };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Asks the kernel (statx(2)) for the id of the mount that a path is on, following links, and whether the path is its
/// mount point. `None`: not supported (before Linux 5.8), or blocked by the engine.
fn mounted(path: &str) -> io::Result<Option<(u64, bool)>> {
    let path = CString::new(path)?;
    let mut found = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: a NUL-terminated path, and a structure of ours that the kernel fills.
    let result =
        unsafe { libc::statx(libc::AT_FDCWD, path.as_ptr(), 0, libc::STATX_MNT_ID, found.as_mut_ptr()) };
    match Errno::result(result) {
        // The call is unknown to the kernel, or blocked by an engine that does not know it.
        Err(Errno::EPERM | Errno::ENOSYS | Errno::EINVAL) => return Ok(None),
        result => result?,
    };
    // SAFETY: every bit pattern is valid, and it was zeroed.
    let found = unsafe { found.assume_init() };
    let root = u64::from(libc::STATX_ATTR_MOUNT_ROOT.unsigned_abs());
    let known = found.stx_mask & libc::STATX_MNT_ID != 0 && found.stx_attributes_mask & root != 0;
    // An emulator may set the mask but not the id; no container's mount has id 0.
    Ok((known && found.stx_mnt_id != 0).then_some((found.stx_mnt_id, found.stx_attributes & root != 0)))
}

/// Returns the mount that a path is on, following links, and whether the path is its mount point. `None`: not in the
/// list.
pub fn lies_on<'m>(mounts: &'m [Mount], path: &str) -> io::Result<Option<(&'m Mount, bool)>> {
    let by_number = |(id, root)| Some((mounts.iter().find(|mount| mount.id == id)?, root));
    if let Some(found) = mounted(path)?.and_then(by_number) {
        return Ok(Some(found));
    }
    let real = super::stat::real_path(path)?;
    Ok(mount_of(mounts, &real).map(|mount| (mount, mount.point == real)))
}

/// Returns the mount of an absolute path without links: the longest matching mount point, the last one among equals.
#[must_use]
pub fn mount_of<'m>(mounts: &'m [Mount], path: &str) -> Option<&'m Mount> {
    let mut found: Option<&Mount> = None;
    for mount in mounts {
        let point = mount.point.as_bytes();
        // Check the end position first: that rules out most mounts.
        let ends = point.len() == 1 || matches!(path.as_bytes().get(point.len()), None | Some(b'/'));
        let longest = found.is_none_or(|found| found.point.len() <= point.len());
        if longest && ends && path.as_bytes().starts_with(point) {
            found = Some(mount);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::mounts::*;

    const TEXT: &str = "\
22 1 0:20 / / rw,relatime shared:1 - overlay overlay rw,lowerdir=/a
23 22 0:21 / /data rw - ext4 /dev/sda1 rw
24 22 0:22 / /data/deep ro,noexec master:2 - tmpfs tmpfs rw,size=64k
25 22 0:23 / /with\\040blank\\134 rw - tmpfs none ro
26 22 0:24 / /data rw - xfs /dev/sdb1 rw
odd line
";

    #[test]
    fn lines_are_read_and_escapes_undone() {
        let mounts = parse(TEXT);
        assert_eq!(mounts.len(), 5);
        assert_eq!(mounts[3].point, "/with blank\\");
        assert!(mounts[3].read_only() && mounts[2].read_only() && !mounts[0].read_only());
        assert_eq!((mounts[1].fstype.as_str(), mounts[1].source.as_str()), ("ext4", "/dev/sda1"));
    }

    #[test]
    fn optional_fields_tell_of_propagation() {
        let mounts = parse(&format!(
            "{TEXT}27 22 0:25 /v /v rw shared:3 master:1 - xfs x rw\n28 22 0:26 / /u rw unbindable - xfs x rw\n"
        ));
        for (n, words) in [
            (0, &["shared"][..]),
            (1, &["private"]),
            (2, &["slave"]),
            (5, &["shared", "slave"]),
            (6, &["unbindable"]),
        ] {
            for word in ["shared", "slave", "private", "unbindable"] {
                assert_eq!(mounts[n].propagates(word), words.contains(&word), "{n} {word}");
            }
        }
        assert_eq!(
            (mounts[5].root.as_str(), mounts[5].point.as_str(), mounts[5].options.as_str()),
            ("/v", "/v", "rw")
        );
    }

    #[test]
    fn the_longest_and_last_mount_point_has_the_path() {
        let mounts = parse(TEXT);
        for (path, fstype) in [
            ("/", "overlay"),
            ("/data", "xfs"),
            ("/data/x", "xfs"),
            ("/database", "overlay"),
            ("/data/deep/x", "tmpfs"),
        ] {
            assert_eq!(mount_of(&mounts, path).map(|m| m.fstype.as_str()), Some(fstype), "{path}");
        }
    }

    #[test]
    fn options_are_found_by_name_value_and_opposite() {
        let mounts = parse(TEXT);
        let deep = &mounts[2];
        for (option, want) in [
            ("noexec", true),
            ("exec", false),
            ("suid", true),
            ("rw", false),
            ("ro", true),
            ("size", true),
            ("size=64k", true),
            ("size=1k", false),
        ] {
            assert_eq!(deep.has(option), want, "{option}");
        }
    }

    #[test]
    fn this_machine_has_a_root() {
        let mounts = read().expect("mountinfo");
        let root = mount_of(&mounts, "/").expect("a root");
        let proc = mount_of(&mounts, "/proc/self/status").expect("/proc");
        for (path, on, at) in [("/", root, true), ("/proc", proc, true), ("/proc/self/../stat", proc, false)]
        {
            // On a kernel that does not tell, only the list can be tested.
            if let Some(answer) = mounted(path).expect("a path that is there") {
                assert_eq!(answer, (on.id, at), "{path}");
            }
        }
        assert_eq!(mounted("/none").expect_err("nothing").raw_os_error(), Some(libc::ENOENT));
    }
}
