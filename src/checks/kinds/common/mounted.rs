//! What is mounted at a path: for `mount` and `volume`.

use crate::checks::{CheckFailure, Facts, facts};
use crate::sys::fs::mounts::Mount;
use crate::sys::fs::stat::Access;
use crate::sys::{Errno, errno};
use crate::text::template::fill;

/// What is mounted at a path, or the finding that nothing is; `how` mounts it.
pub(in crate::checks) fn mounted_at<'f>(
    path: &str,
    how: &str,
    facts: &'f Facts,
) -> Result<&'f Mount, CheckFailure> {
    let remedy = || fill!("mount something at {} ({})", path, how);
    let mount = facts.system.mount_of(path).map_err(|error| {
        if errno(&error) == Errno::EACCES {
            return super::path::unreachable(path, Access::Execute, facts);
        }
        let why = match errno(&error) {
            Errno::ENOENT => " is not there".to_string(),
            _ => fill!(" cannot be looked at: {}", &facts::why(&error)),
        };
        CheckFailure::new([path, &why].concat(), remedy())
    })?;
    let mount = match mount {
        None => {
            return Err(CheckFailure::new("no list of mounts".into(), "mount /proc in the container".into()));
        }
        Some((mount, true)) => return Ok(mount),
        Some((mount, false)) => mount,
    };
    let found = fill!("{}, which is part of the {} at {}", path, mount.fstype, mount.point);
    Err(CheckFailure::new(found, remedy()))
}

/// Whether a path is on a file system that asks somebody before it answers, and so may not answer at all. What
/// kind it is stands in /proc, which always answers.
pub(in crate::checks) fn is_remote(path: &str, facts: &Facts) -> bool {
    // A path that is no mount point may lead elsewhere through a link.
    let mount = facts.system.mounts().iter().rfind(|mount| mount.point == path);
    mount.is_none_or(Mount::asks_somebody)
}
