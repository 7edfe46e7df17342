//! What is done where something may not be given away: why that is, in words that name the missing capability or the
//! mount's nature, and whether who is to work there can all the same, by trying it as that user.

use super::give::{Refused, Wanted, is_mapped};
use super::tree::Counted;
use crate::checks::{EnsureSpec, Facts};
use crate::sys::Errno;
use crate::sys::fs::pin::{self, FileKind, Pinned};
use crate::sys::process::credentials::Identity;
use crate::sys::process::{caps, fork};
use crate::text::template::fill;

/// Why, and what mends it.
pub(super) struct RefusalReason {
    /// In words that follow `chown`.
    pub found: String,
    /// What to do.
    pub remedy: String,
}

/// `3 files, a/b the first of them,`
pub(super) fn counted(counted: &Counted, one: &str, many: &str) -> String {
    if counted.count == 1 {
        return ["1 ", one, " (", &counted.first, ")"].concat();
    }
    [&counted.count.to_string(), " ", many, " (", &counted.first, " the first)"].concat()
}

/// What to do about a capability that root lacks; empty where it has it, or is not root.
pub(super) fn lacking(facts: &Facts, name: &str) -> String {
    if facts.system.current().uid != 0 || caps::has(caps::effective(), name) {
        return String::new();
    }
    fill!("root lacks CAP_{} here: docker run --cap-add {} (Kubernetes: capabilities.add)", name, name)
}

/// Why it was refused.
pub(super) fn reason(refused: &Refused, wanted: &Wanted, path: &str, facts: &Facts) -> RefusalReason {
    let told = |found: &str, remedy: &str| RefusalReason { found: found.into(), remedy: remedy.into() };
    let mount = facts.system.mount_of(path).ok().flatten().map(|(mount, _)| mount);
    let fstype = mount.map_or("", |mount| mount.fstype.as_str());
    let asks = mount.is_some_and(|mount| mount.asks_somebody());
    let owner = wanted.uid.map_or_else(String::new, |uid| uid.to_string());
    let outside = format!("give it away where the volume comes from (chown {owner}), or run as who owns it");
    let Some(errno) = refused.errno else {
        let found = fill!("is taken and forgotten: this mount ({}) does not keep it", fstype);
        return RefusalReason { found, remedy: outside };
    };
    let unmapped = wanted.uid.is_some_and(|uid| !is_mapped(uid, "uid_map"))
        || wanted.gid.is_some_and(|gid| !is_mapped(gid, "gid_map"));
    let capability = if refused.what == "chown" { "CHOWN" } else { "FOWNER" };
    let lacks = lacking(facts, capability);
    let who = facts.system.current().uid.to_string();
    match errno {
        Errno::EINVAL | Errno::EOVERFLOW if unmapped => told(
            "is impossible: the id has no place in this user namespace (/proc/self/uid_map)",
            "use an id that is mapped, or map it (podman run --userns, subuid)",
        ),
        Errno::EROFS => told("is refused: a read-only file system", "mount it rw, not ro"),
        Errno::EPERM | Errno::EACCES if who != "0" => {
            let found = fill!("is refused: rinit is user {}, not root", &who);
            RefusalReason { found, remedy: outside }
        }
        Errno::EPERM | Errno::EACCES if !lacks.is_empty() => {
            RefusalReason { found: fill!("is refused: CAP_{} is missing", capability), remedy: lacks }
        }
        Errno::EPERM if refused.immutable => {
            told("is refused: it is immutable or append-only", "chattr -i -a it where the volume comes from")
        }
        Errno::EPERM | Errno::EACCES if asks => {
            let root = if fstype.starts_with("nfs") { " (root_squash)" } else { "" };
            let found = fill!("is refused by the mount ({}){}: root is nobody special there", fstype, root);
            RefusalReason { found, remedy: outside }
        }
        Errno::EACCES => {
            told("is refused by SELinux or AppArmor", "give the volume its label: docker run -v …:z")
        }
        errno => {
            let found = ["is refused: ", &super::why(errno)].concat();
            RefusalReason { found, remedy: outside }
        }
    }
}

/// Whether who is to work there can, and who that is: its owner, or, where rinit may not become that user, as whom all
/// services run then, itself.
pub(super) fn can_work(
    user: &Identity,
    held: &Pinned,
    spec: &EnsureSpec,
    facts: &Facts,
) -> (String, Result<(), Errno>) {
    let is_dir = held.stat.kind == FileKind::Dir;
    let writes = spec.writes && (is_dir || spec.mode.is_none_or(|mode| mode & 0o200 != 0));
    let own = facts.system.current();
    let work = || pin::can_work(&spec.path, is_dir, writes);
    let name = |uid| facts.system.accounts().user_name(uid);
    if user.uid != own.uid {
        let code = |result: Result<(), Errno>| result.err().map_or(0, |errno| errno as i32);
        let tried = fork::run_as(user, &|| u8::try_from(code(work())).unwrap_or(u8::MAX - 1));
        if let Some(code) = tried {
            let result = if code == 0 { Ok(()) } else { Err(Errno::from_raw(i32::from(code))) };
            return (name(user.uid), result);
        }
    }
    let who = name(own.uid);
    let who = if own.uid == user.uid || own.uid == 0 { who } else { ["user ", &who].concat() };
    (who, work())
}
