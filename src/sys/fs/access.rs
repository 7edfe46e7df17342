//! File permissions: what a user may do with a path, and which component of it denies access first. Facts for
//! [`crate::diagnosis::unreachable`], which explains them. Only used after access was denied.

use super::mounts::{self, Mount};
use super::stat::{self, Access, Stat};
use crate::sys::links::{DeadLink, dead_link, joined};
use crate::sys::process::credentials::{self, Accounts, Identity};
use crate::sys::{Errno, errno};
use crate::text::template::fill;
use std::ffi::CString;
use std::path::Path;

/// How many links to follow; the kernel allows 40.
const MAX_LINKS: u8 = 16;

/// What the kernel shows for ids that are not mapped in the user namespace (`/proc/sys/kernel/overflowuid`).
const OVERFLOW_ID: u32 = 65534;

/// Where a file comes from, and thus who can change it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Origin {
    /// The image, or created by the container itself.
    #[default]
    Image,
    /// A volume of the container engine.
    Volume,
    /// A file or directory of the host (a bind mount).
    Host,
}

/// A file's owner and mode, and what they allow the process's user.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FileRights {
    /// Permission bits.
    pub mode: u32,
    /// `root:root`.
    pub owner: String,
    /// Numeric owner and group.
    pub ids: (u32, u32),
    /// The class of bits that applies to this user: `u`, `g` or `o`, as in chmod(1).
    pub class: &'static str,
    /// Whether the user may execute it or enter it.
    pub execute: bool,
    /// Whether the user may read it.
    pub read: bool,
    /// Where it comes from; only determined if the user may not read or execute it.
    pub origin: Origin,
    /// Whether it has an access control list (acl(5)); determined like `origin`.
    pub acl: bool,
}

/// A path component that denies access, or the path itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Barrier {
    /// The component that denies access.
    pub path: String,
    /// Its owner and mode.
    pub rights: FileRights,
    /// The kind of access that is missing.
    pub access: Access,
    /// Whether it is a directory.
    pub dir: bool,
    /// Whether it is a socket.
    pub socket: bool,
    /// Whether it is a parent directory rather than the requested path.
    pub on_the_way: bool,
}

/// The user who is denied access.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Viewer {
    /// `root`, or `user app`.
    pub who: String,
    /// User and group ids.
    pub ids: (u32, u32),
    /// Whether it is root without the capability to bypass permissions.
    pub lacks_override: bool,
    /// Whether it is a user set in the configuration, not the container's user.
    pub configured: bool,
}

/// The file system as one user sees it.
pub struct AccessView<'a> {
    ids: &'a Identity,
    /// Whether it is root with the capability to bypass permissions.
    bypasses_dac: bool,
    /// Whether it is this process's own user, so that the kernel can be asked.
    own: bool,
    accounts: Accounts,
}

/// What blocks access to a file or directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Obstacle {
    /// This directory does not exist.
    Missing(String),
    /// It is a dangling link.
    Dead(DeadLink),
    /// This is not a directory.
    File(String),
    /// The user may not enter this directory.
    Closed(Box<Barrier>),
}

/// Returns what first denies this process access to a path (`None`: nothing visible), and its user.
#[must_use]
pub fn barrier(path: &str, access: Access) -> (Option<Barrier>, Viewer) {
    let own = credentials::current();
    let bypasses_dac = own.uid == 0 && !crate::sys::executable::lookup::lacks().contains(&"DAC_OVERRIDE");
    let eyes = AccessView { own: true, ..AccessView::new(&own, bypasses_dac) };
    (eyes.barrier(path, access), eyes.viewer(false))
}

impl<'a> AccessView<'a> {
    pub(in crate::sys) fn new(ids: &'a Identity, bypasses_dac: bool) -> Self {
        Self { ids, bypasses_dac, own: false, accounts: Accounts::read() }
    }

    /// Creates the view of any user.
    pub(in crate::sys) fn of(ids: &'a Identity, bypasses_dac: bool, own: bool) -> Self {
        Self { own, ..Self::new(ids, bypasses_dac) }
    }

    /// Describes the user.
    pub fn viewer(&self, configured: bool) -> Viewer {
        let Identity { uid, gid, .. } = *self.ids;
        Viewer {
            who: if uid == 0 { "root".into() } else { fill!("user {}", &self.accounts.user_name(uid)) },
            ids: (uid, gid),
            lacks_override: uid == 0 && !self.bypasses_dac,
            configured,
        }
    }

    /// Determines what the user may do with a file.
    pub(in crate::sys) fn rights(&self, path: &str, stat: &Stat) -> FileRights {
        let mut rights = rights(self.ids, self.bypasses_dac, &self.accounts, stat);
        if self.own {
            // If the kernel denies it because of a noexec mount, that is reported separately.
            rights.read = self.allows(path, Access::Read, rights.read);
        }
        if !rights.execute || !rights.read {
            self.trace(path, &mut rights);
        }
        rights
    }

    /// Asks the kernel if the user is this process's own; otherwise uses the mode.
    fn allows(&self, path: &str, access: Access, by_mode: bool) -> bool {
        if self.own { stat::access(path, access).is_ok() } else { by_mode }
    }

    /// Determines where a file comes from; the remedy depends on it.
    fn trace(&self, path: &str, rights: &mut FileRights) {
        rights.acl = has_acl(path);
        let all = mounts::read().unwrap_or_default();
        let mount = mounts::lies_on(&all, path).ok().flatten();
        rights.origin = origin(mount.map(|(mount, _)| mount));
    }

    /// Returns what first blocks the way to a file, checking its parent directories from the outermost.
    pub(in crate::sys) fn way(&self, path: &str) -> Option<Obstacle> {
        self.way_over(path, MAX_LINKS)
    }

    fn way_over(&self, path: &str, links: u8) -> Option<Obstacle> {
        for (at, _) in path.match_indices('/') {
            let dir = path.get(..at.max(1)).unwrap_or("");
            // A link leads through other directories.
            if let Ok(target) = stat::read_link(dir)
                && let Some(links) = links.checked_sub(1)
                && let Some(found @ Obstacle::Closed(_)) =
                    self.way_over(&fill!("{}/", &joined(dir, &target)), links)
            {
                return Some(found);
            }
            let stat = match stat::stat(dir) {
                Ok(stat) => stat,
                Err(error) if errno(&error) == Errno::EACCES => return None,
                Err(_) => {
                    let missing = || Obstacle::Missing(dir.into());
                    return Some(dead_link(dir).map_or_else(missing, Obstacle::Dead));
                }
            };
            if !stat.dir {
                return Some(Obstacle::File(dir.into()));
            }
            let mut rights = rights(self.ids, self.bypasses_dac, &self.accounts, &stat);
            if !self.allows(dir, Access::Execute, rights.execute) {
                self.trace(dir, &mut rights);
                return Some(Obstacle::Closed(Box::new(Barrier {
                    path: dir.into(),
                    rights,
                    access: Access::Execute,
                    dir: true,
                    socket: false,
                    on_the_way: true,
                })));
            }
        }
        let target = stat::read_link(path).ok()?;
        let found = self.way_over(&joined(path, &target), links.checked_sub(1)?);
        found.filter(|found| matches!(found, Obstacle::Closed(_)))
    }

    /// Returns what first denies access to a path: a parent directory, or the path itself.
    fn barrier(&self, path: &str, access: Access) -> Option<Barrier> {
        if let Some(Obstacle::Closed(barrier)) = self.way(path) {
            return Some(*barrier);
        }
        let stat = stat::stat(path).ok()?;
        let mut rights = rights(self.ids, self.bypasses_dac, &self.accounts, &stat);
        if self.allows(path, access, rights.has(access)) {
            return None;
        }
        self.trace(path, &mut rights);
        Some(Barrier::at(path, &stat, rights, access))
    }
}

impl Barrier {
    /// A barrier at the requested path itself.
    #[must_use]
    pub fn at(path: &str, stat: &Stat, rights: FileRights, access: Access) -> Self {
        Self { path: path.into(), rights, access, dir: stat.dir, socket: stat.socket, on_the_way: false }
    }
}

impl FileRights {
    /// Returns the bit for an access in a class whose bits are shifted by `shift`.
    fn bit(access: Access) -> u32 {
        match access {
            Access::Read => 4,
            Access::Write => 2,
            Access::Execute => 1,
        }
    }

    /// Returns whether the mode allows it to the user.
    #[must_use]
    pub fn has(&self, access: Access) -> bool {
        match access {
            Access::Execute => self.execute,
            Access::Read => self.read,
            Access::Write => self.allows(self.class, access),
        }
    }

    /// Returns whether the mode allows it to the class `u`, `g` or `o`.
    #[must_use]
    pub fn allows(&self, class: &str, access: Access) -> bool {
        let shift = match class {
            "u" => 6,
            "g" => 3,
            _ => 0,
        };
        self.mode >> shift & Self::bit(access) != 0
    }

    /// Returns whether its owner or group is not mapped in this user namespace.
    #[must_use]
    pub fn foreign(&self) -> bool {
        self.ids.0 == OVERFLOW_ID
    }
}

/// Determines what the permission bits allow.
#[must_use]
pub fn rights(who: &Identity, bypasses_dac: bool, accounts: &Accounts, stat: &Stat) -> FileRights {
    let (class, shift) = if stat.uid == who.uid {
        ("u", 6)
    } else if stat.gid == who.gid || who.groups.contains(&stat.gid) {
        ("g", 3)
    } else {
        ("o", 0)
    };
    let bits = stat.mode >> shift;
    // Root bypasses all bits, but executing a file needs at least one x bit.
    let execute = if bypasses_dac { stat.dir || stat.mode & 0o111 != 0 } else { bits & 1 != 0 };
    let owner = fill!("{}:{}", &accounts.user_name(stat.uid), &accounts.group_name(stat.gid));
    FileRights {
        mode: stat.mode,
        owner,
        ids: (stat.uid, stat.gid),
        class,
        execute,
        read: bypasses_dac || bits & 4 != 0,
        ..FileRights::default()
    }
}

/// Determines who can change a path, by its mount: Docker and Podman keep volumes in `…/NAME/_data`, and a file system
/// that is mounted whole is used by the container alone.
#[must_use]
pub fn origin(mount: Option<&Mount>) -> Origin {
    match mount {
        Some(mount) if mount.point == "/" => Origin::Image,
        Some(mount) if mount.root.ends_with("/_data") => Origin::Volume,
        Some(mount) if mount.root != "/" => Origin::Host,
        Some(mount) if matches!(mount.fstype.as_str(), "tmpfs" | "overlay" | "proc" | "sysfs") => {
            Origin::Image
        }
        Some(_) => Origin::Volume,
        None => Origin::Image,
    }
}

/// Returns whether a file has an access control list.
fn has_acl(path: &str) -> bool {
    let Ok(path) = CString::new(path) else { return false };
    let name = c"system.posix_acl_access".as_ptr();
    // SAFETY: two NUL-terminated strings; with size 0 only the attribute's length is returned.
    unsafe { libc::getxattr(path.as_ptr(), name, std::ptr::null_mut(), 0) > 0 }
}

/// Returns whether a path exists; a dangling link does not.
pub(in crate::sys) fn exists(path: &str) -> bool {
    Path::new(path).exists()
}

#[cfg(test)]
mod tests {
    use super::super::access::*;

    #[test]
    fn the_mount_tells_whose_a_file_is() {
        let text = "1 0 0:1 / / rw - overlay overlay rw\n\
                    2 1 0:2 /docker.sock /run/docker.sock rw - tmpfs tmpfs rw\n\
                    3 1 8:1 /srv/app /app rw - ext4 /dev/sda1 rw\n\
                    4 1 8:1 /var/lib/docker/volumes/db/_data /data rw - ext4 /dev/sda1 rw\n\
                    5 1 0:3 / /tmp rw - tmpfs tmpfs rw\n\
                    6 1 8:2 / /disk rw - ext4 /dev/sdb rw\n";
        let all = mounts::parse(text);
        for (path, want) in [
            ("/etc/key", Origin::Image),
            ("/run/docker.sock", Origin::Host),
            ("/app/run", Origin::Host),
            ("/data/x", Origin::Volume),
            ("/tmp/x", Origin::Image),
            ("/disk/x", Origin::Volume),
        ] {
            assert_eq!(origin(mounts::mount_of(&all, path)), want, "{path}");
        }
    }
}
