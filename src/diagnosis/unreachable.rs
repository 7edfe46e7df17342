//! Explains denied access: owner and mode, which component of the path denies it, and the remedy. Common to programs,
//! checks, env files and the configuration; the facts come from [`crate::sys::fs::access`].

use crate::sys::fs::access::{Barrier, Origin, Viewer};
use crate::sys::fs::stat::Access;
use crate::text::template::fill;

/// Returns what was found and the remedy.
#[must_use]
pub fn told(barrier: &Barrier, viewer: &Viewer) -> (String, String) {
    let verb = match barrier.access {
        Access::Read if barrier.dir => "list the directory",
        Access::Read => "read",
        Access::Write if barrier.dir => "write to the directory",
        Access::Write if barrier.socket => "use the socket",
        Access::Write => "write",
        Access::Execute if barrier.dir => "enter the directory",
        Access::Execute => "execute",
    };
    let mode = format!("{:04o}", barrier.rights.mode);
    let found = fill!(
        "{} may not {} {} (mode {}, owner {})",
        &viewer.who,
        verb,
        &barrier.path,
        &mode,
        &barrier.rights.owner
    );
    (found, remedy(barrier, viewer, ""))
}

/// The same on one line.
#[must_use]
pub fn line(barrier: &Barrier, viewer: &Viewer) -> String {
    let (found, remedy) = told(barrier, viewer);
    fill!("{}; {}", found, remedy)
}

/// Returns the missing permission bits in the notation of chmod(1).
fn letters(barrier: &Barrier) -> String {
    let wanted: &[(char, Access)] = match barrier.access {
        Access::Read if barrier.dir => &[('r', Access::Read), ('x', Access::Execute)],
        Access::Write if barrier.dir => &[('w', Access::Write), ('x', Access::Execute)],
        Access::Write if barrier.socket => &[('r', Access::Read), ('w', Access::Write)],
        Access::Read => &[('r', Access::Read)],
        Access::Write => &[('w', Access::Write)],
        Access::Execute => &[('x', Access::Execute)],
    };
    let rights = &barrier.rights;
    wanted
        .iter()
        .filter(|(_, access)| !rights.allows(rights.class, *access))
        .map(|(letter, _)| *letter)
        .collect()
}

/// Returns the remedy. `bits`: the bits to add, if not just those that are missing.
#[must_use]
pub fn remedy(barrier: &Barrier, viewer: &Viewer, bits: &str) -> String {
    let Barrier { path, rights, .. } = barrier;
    let just_that = bits.is_empty();
    let bits = &if just_that { letters(barrier) } else { bits.to_string() };
    let (uid, gid) = (viewer.ids.0.to_string(), viewer.ids.1.to_string());
    let program = barrier.access == Access::Execute && !barrier.dir;
    // If nobody may execute it, let everybody.
    let class = if program && rights.mode & 0o111 == 0 { "a" } else { rights.class };
    let chmod = fill!("chmod {}+{} {}", class, bits, path);
    let is_root = viewer.ids.0 == 0;
    if is_root && rights.foreign() {
        return fill!(
            "its owner is none of this user namespace's (/proc/self/uid_map), over whose files root has no power here; on the host: {}, or chown it to a user of the namespace",
            &chmod
        );
    }
    let by_mode = if is_root && !viewer.lacks_override {
        program && class == "a"
    } else {
        !rights.allows(rights.class, barrier.access)
    };
    if !by_mode {
        return against_the_mode(barrier, &uid, bits);
    }
    if viewer.lacks_override {
        let give = "give root the capability that passes by this (docker run --cap-add DAC_OVERRIDE)";
        return match rights.origin {
            Origin::Host => fill!("{}, or on the host: {}", give, &chmod),
            _ => fill!("{}, or {}", &chmod, give),
        };
    }
    if class != "o" && class != "g" {
        return [&chmod, on_volume(barrier)].concat();
    }
    match rights.origin {
        Origin::Host => on_the_host(barrier, viewer, &chmod, just_that),
        _ if barrier.on_the_way && path == "/root" => fill!(
            "move what is in it to where everybody may go (a program: to /usr/local/bin), or {}",
            &chmod
        ),
        _ if barrier.access == Access::Write && owner_may(barrier) => fill!(
            "chown {}:{} {}{}, or run as uid {}",
            &uid,
            &gid,
            path,
            on_volume(barrier),
            &rights.ids.0.to_string()
        ),
        _ if barrier.access == Access::Read && just_that && owner_may(barrier) => {
            fill!("chown {}:{} {}{}, or {}", &uid, &gid, path, on_volume(barrier), &chmod)
        }
        _ => [&chmod, on_volume(barrier)].concat(),
    }
}

fn on_volume(barrier: &Barrier) -> &'static str {
    if barrier.rights.origin == Origin::Volume { " (on the volume)" } else { "" }
}

/// Returns whether the file's owner has the access.
fn owner_may(barrier: &Barrier) -> bool {
    barrier.rights.allows("u", barrier.access)
}

/// Explains a denial although the mode allows the access.
fn against_the_mode(barrier: &Barrier, uid: &str, bits: &str) -> String {
    if barrier.rights.acl {
        return fill!(
            "its mode allows it, but its access list (getfacl) does not: setfacl -m u:{}:{} {}",
            uid,
            bits,
            &barrier.path
        );
    }
    "its mode allows it: SELinux or AppArmor may forbid it (see the host's log; with SELinux a bind mount wants :z), or the server of a network file system".into()
}

/// Returns the remedy for a file of the host, which cannot be changed from inside: the container's user must fit.
fn on_the_host(barrier: &Barrier, viewer: &Viewer, chmod: &str, just_that: bool) -> String {
    let (owner, group) = barrier.rights.ids;
    // Running as root would be too much, except for an engine's socket, which gives root anyway.
    let by_group = barrier.rights.class == "o"
        && barrier.rights.allows("g", barrier.access)
        && (barrier.socket || group != 0);
    let by_owner = owner_may(barrier) && (barrier.socket || owner != 0);
    let (owner, group) = (owner.to_string(), group.to_string());
    let join = match (by_group, viewer.configured) {
        (false, _) => String::new(),
        (true, false) => fill!("docker run --group-add {}", &group),
        (true, true) => fill!(
            "groups = [\"{}\"] beside its user (or docker run --group-add {} and keep_groups = true)",
            &group,
            &group
        ),
    };
    if barrier.socket && by_group {
        return join;
    }
    let run = match (by_owner, viewer.configured) {
        (false, _) => String::new(),
        (true, false) => fill!("run as its owner (docker run --user {}:{})", &owner, &group),
        (true, true) => fill!("run as its owner (user = \"{}:{}\")", &owner, &group),
    };
    // A file to read or write may be a secret: give it to that user, not to everybody.
    let secret = just_that && barrier.access != Access::Execute && owner_may(barrier);
    let host = if barrier.socket {
        String::new()
    } else if secret {
        let own = if by_owner || viewer.configured { "" } else { ", or run as uid 0" };
        let (uid, gid) = (viewer.ids.0.to_string(), viewer.ids.1.to_string());
        fill!("on the host: chown {}:{} {}{}", &uid, &gid, &barrier.path, own)
    } else {
        fill!("on the host: {}", chmod)
    };
    let mut text = String::new();
    for part in [join, run, host] {
        if !text.is_empty() && !part.is_empty() {
            text.push_str(", or ");
        }
        text.push_str(&part);
    }
    text
}
