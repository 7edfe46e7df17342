//! Who may do what with a path, and which component of it is the first to refuse: facts for
//! [`crate::diagnosis::unreachable`], which says them. Only looked at after something was refused.

use super::mounts::{self, Mount};
use super::stat::{self, Access, Stat};
use crate::sys::links::{DeadLink, dead_link, joined};
use crate::sys::process::credentials::{self, Accounts, Identity};
use crate::sys::{Errno, errno};
use std::ffi::CString;
use std::path::Path;

/// Links on links are followed this deep, as the kernel does at most 40.
const MAX_LINKS: u8 = 16;

/// What the kernel shows for a user or group that a user namespace does not have (`/proc/sys/kernel/overflowuid`).
const OVERFLOW_ID: u32 = 65534;

/// Where a file comes from: who it is that can change it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Origin {
    /// The image, or what the container itself has made.
    #[default]
    Image,
    /// A volume of the engine's.
    Volume,
    /// A file or directory of the host's (a bind mount).
    Host,
}

/// Whose a file is, and what its permission bits let the process's user do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FileRights {
    /// Its permission bits.
    pub mode: u32,
    /// `root:root`.
    pub owner: String,
    /// Owner and group as numbers.
    pub ids: (u32, u32),
    /// Which of the bits are this user's: `u`, `g` or `o`, as chmod(1) has them.
    pub class: &'static str,
    /// Whether the user may execute it, or enter it.
    pub execute: bool,
    /// Whether the user may read it.
    pub read: bool,
    /// Where it comes from; only looked at where the user may not read or execute it.
    pub origin: Origin,
    /// Whether it has an access list besides its mode (acl(5)); looked at as `origin` is.
    pub acl: bool,
}

/// What refuses a user the way to a path, or the path itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Barrier {
    /// The component that refuses.
    pub path: String,
    /// Whose it is.
    pub rights: FileRights,
    /// What the user would have to be allowed to do with it.
    pub access: Access,
    /// Whether it is a directory.
    pub dir: bool,
    /// Whether it is a socket.
    pub socket: bool,
    /// Whether it is a directory on the way, and not what was asked for.
    pub on_the_way: bool,
}

/// Who is refused.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Viewer {
    /// `root`, or `user app`.
    pub who: String,
    /// User and group.
    pub ids: (u32, u32),
    /// Root that lacks the capability to pass by permission bits.
    pub lacks_override: bool,
    /// Whether it is not the container's user, but one that the configuration names.
    pub configured: bool,
}

/// The view of a user on the file system.
pub struct AccessView<'a> {
    ids: &'a Identity,
    /// Root with the capability to pass by permission bits.
    bypasses_dac: bool,
    /// Whether it is this process that looks, so that the kernel can be asked.
    own: bool,
    accounts: Accounts,
}

/// What is in the way to a file or directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Obstacle {
    /// There is no such directory.
    Missing(String),
    /// A link in its place leads nowhere.
    Dead(DeadLink),
    /// This is no directory.
    File(String),
    /// The process's user may not enter this directory.
    Closed(Box<Barrier>),
}

/// What first refuses this process the access to a path; `None`: nothing that can be seen. And who it is.
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

    /// The same of who need not be this process.
    pub(in crate::sys) fn of(ids: &'a Identity, bypasses_dac: bool, own: bool) -> Self {
        Self { own, ..Self::new(ids, bypasses_dac) }
    }

    /// Who looks.
    pub fn viewer(&self, configured: bool) -> Viewer {
        let Identity { uid, gid, .. } = *self.ids;
        Viewer {
            who: if uid == 0 { "root".into() } else { ["user ", &self.accounts.user_name(uid)].concat() },
            ids: (uid, gid),
            lacks_override: uid == 0 && !self.bypasses_dac,
            configured,
        }
    }

    /// What may be done with a file of this kind.
    pub(in crate::sys) fn rights(&self, path: &str, stat: &Stat) -> FileRights {
        let mut rights = rights(self.ids, self.bypasses_dac, &self.accounts, stat);
        if self.own {
            // Where the kernel refuses, a mount that is noexec is told apart.
            rights.read = self.allows(path, Access::Read, rights.read);
        }
        if !rights.execute || !rights.read {
            self.trace(path, &mut rights);
        }
        rights
    }

    /// The kernel's own answer, where it is this process that asks.
    fn allows(&self, path: &str, access: Access, by_mode: bool) -> bool {
        if self.own { stat::access(path, access).is_ok() } else { by_mode }
    }

    /// Where it comes from, which makes the remedy.
    fn trace(&self, path: &str, rights: &mut FileRights) {
        rights.acl = has_acl(path);
        let all = mounts::read().unwrap_or_default();
        let mount = mounts::lies_on(&all, path).ok().flatten();
        rights.origin = origin(mount.map(|(mount, _)| mount));
    }

    /// What is first in the way to a file: of the directories that lead to it, the outermost first.
    pub(in crate::sys) fn way(&self, path: &str) -> Option<Obstacle> {
        self.way_over(path, MAX_LINKS)
    }

    fn way_over(&self, path: &str, links: u8) -> Option<Obstacle> {
        for (at, _) in path.match_indices('/') {
            let dir = path.get(..at.max(1)).unwrap_or("");
            // A link leads through directories of its own.
            if let Ok(target) = stat::read_link(dir)
                && let Some(links) = links.checked_sub(1)
                && let Some(found @ Obstacle::Closed(_)) =
                    self.way_over(&[&joined(dir, &target), "/"].concat(), links)
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

    /// What first refuses the access to a path: a directory on the way, or what is there.
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
    /// What was asked for refuses itself.
    #[must_use]
    pub fn at(path: &str, stat: &Stat, rights: FileRights, access: Access) -> Self {
        Self { path: path.into(), rights, access, dir: stat.dir, socket: stat.socket, on_the_way: false }
    }
}

impl FileRights {
    /// The bits that are wanted for an access, of the class `shift` bits up.
    fn bit(access: Access) -> u32 {
        match access {
            Access::Read => 4,
            Access::Write => 2,
            Access::Execute => 1,
        }
    }

    /// Whether the mode allows it to the user.
    #[must_use]
    pub fn has(&self, access: Access) -> bool {
        match access {
            Access::Execute => self.execute,
            Access::Read => self.read,
            Access::Write => self.allows(self.class, access),
        }
    }

    /// Whether the mode allows it to `u`, `g` or `o`.
    #[must_use]
    pub fn allows(&self, class: &str, access: Access) -> bool {
        let shift = match class {
            "u" => 6,
            "g" => 3,
            _ => 0,
        };
        self.mode >> shift & Self::bit(access) != 0
    }

    /// Whether its owner or group are none of this user namespace's.
    #[must_use]
    pub fn foreign(&self) -> bool {
        self.ids.0 == OVERFLOW_ID
    }
}

/// What the permission bits allow.
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
    // Root passes by all bits, except that somebody must be allowed to execute a file.
    let execute = if bypasses_dac { stat.dir || stat.mode & 0o111 != 0 } else { bits & 1 != 0 };
    let owner = [&accounts.user_name(stat.uid), ":", &accounts.group_name(stat.gid)].concat();
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

/// Whose a path is to change, by the mount that it lies on: Docker and Podman keep volumes in `…/NAME/_data`, and of a
/// file system that is mounted whole the container is the only user.
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

/// Whether a file has an access list besides its mode.
fn has_acl(path: &str) -> bool {
    let Ok(path) = CString::new(path) else { return false };
    let name = c"system.posix_acl_access".as_ptr();
    // SAFETY: two strings that end in NUL; of an attribute of no bytes only its length is asked.
    unsafe { libc::getxattr(path.as_ptr(), name, std::ptr::null_mut(), 0) > 0 }
}

/// Whether a path exists; a link that leads nowhere does not.
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
