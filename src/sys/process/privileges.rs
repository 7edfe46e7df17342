//! Niceness, CPUs and capabilities: what a child sets for itself between clone and execve.

use super::{caps, rlimits};
use crate::model::privileges::{ExecPrivileges, capabilities_of};
use crate::sys::{Errno, raw};
use crate::text::gather::Gather;
use crate::text::template::fill;

fn prctl(option: i32, argument: usize) -> Result<(), Errno> {
    raw::call_integers(libc::SYS_prctl, &[raw::number(option), argument, 0, 0, 0]).map(drop)
}

/// Applies what must precede the switch of users, since it may need privileges. Async-signal-safe.
pub fn before_user(privileges: &ExecPrivileges) -> Result<(), Errno> {
    if let Some(nice) = privileges.nice {
        raw::call_integers(libc::SYS_setpriority, &[0, 0, raw::number(i32::from(nice))])?;
    }
    if let Some(ionice) = privileges.ionice {
        const IOPRIO_WHO_PROCESS: usize = 1;
        raw::call_integers(libc::SYS_ioprio_set, &[IOPRIO_WHO_PROCESS, 0, usize::from(ionice)])?;
    }
    if !privileges.cpus.is_empty() {
        let mask = &privileges.cpus;
        // SAFETY: the kernel reads a mask of ours.
        unsafe {
            raw::call(
                libc::SYS_sched_setaffinity,
                &[0, size_of_val::<[u64]>(mask), raw::address(mask.as_ptr())],
            )?;
        }
    }
    // Removing from the bounding set needs SETPCAP, which the switch of users drops.
    for bit in (0..64).filter(|bit| (privileges.cap_drop & !privileges.cap_add) >> bit & 1 == 1) {
        // EINVAL: beyond the last capability of this kernel.
        match prctl(libc::PR_CAPBSET_READ, bit) {
            Err(_) => break,
            Ok(()) => drop_bounding(bit)?,
        }
    }
    if privileges.cap_add != 0 {
        prctl(libc::PR_SET_KEEPCAPS, 1)?;
    }
    Ok(())
}

fn drop_bounding(bit: usize) -> Result<(), Errno> {
    let has = raw::call_integers(libc::SYS_prctl, &[raw::number(libc::PR_CAPBSET_READ), bit, 0, 0, 0]);
    if has == Ok(1) { prctl(libc::PR_CAPBSET_DROP, bit) } else { Ok(()) }
}

/// Applies what the switch of users would undo. Async-signal-safe.
pub fn after_user(privileges: &ExecPrivileges, is_other: bool) -> Result<(), Errno> {
    let (add, drop) = (privileges.cap_add, privileges.cap_drop & !privileges.cap_add);
    if add != 0 || drop != 0 {
        // SAFETY: no arguments.
        let is_root = unsafe { libc::geteuid() } == 0;
        // After root has switched to another user, only added capabilities remain.
        let keep = if is_other && !is_root { add } else { caps::permitted() & !drop };
        if keep & add != add {
            return Err(Errno::EPERM);
        }
        // execve gives root the whole bounding set; other users get the ambient set, which must be inheritable.
        let inheritable = caps::inheritable() & keep | add;
        caps::set(keep, inheritable)?;
        for bit in 0..64 {
            let lowers = drop >> bit & 1 == 1;
            let raises = !is_root && add >> bit & 1 == 1;
            if raises {
                ambient(libc::PR_CAP_AMBIENT_RAISE, bit)?;
            } else if lowers {
                let _ = ambient(libc::PR_CAP_AMBIENT_LOWER, bit);
            }
        }
    }
    if privileges.no_new_privileges {
        prctl(libc::PR_SET_NO_NEW_PRIVS, 1)?;
    }
    if let Some(signal) = privileges.pdeathsig {
        prctl(libc::PR_SET_PDEATHSIG, usize::from(signal.number()))?;
    }
    Ok(())
}

fn ambient(what: i32, bit: usize) -> Result<(), Errno> {
    raw::call_integers(libc::SYS_prctl, &[raw::number(libc::PR_CAP_AMBIENT), raw::number(what), bit, 0, 0])
        .map(drop)
}

/// Returns why this process cannot grant such privileges: the key, and a text that follows `cannot start "web": `.
#[must_use]
pub fn refusal(privileges: &ExecPrivileges) -> Option<(&'static str, String)> {
    let rights = caps::effective();
    let lacks = |name: &str| !caps::has(rights, name);
    let needs = |key: &'static str, value: &str, name: &str, or: &str| {
        let blank = if value.is_empty() { "" } else { " " };
        let text = fill!(
            "{}{}{} needs CAP_{}, which this container is not given; docker run --cap-add {}{}",
            key,
            blank,
            value,
            name,
            name,
            or
        );
        Some((key, text))
    };
    if let Some(nice) = privileges.nice {
        let (own, most) = niceness();
        let least = own.min(20 - most);
        if i64::from(nice) < least && lacks("SYS_NICE") {
            let or = fill!(", or ask for at least {}", &least.to_string());
            return needs("nice", &nice.to_string(), "SYS_NICE", &or);
        }
    }
    if privileges.ionice.is_some_and(|ionice| ionice >> 13 == 1) && lacks("SYS_ADMIN") && lacks("SYS_NICE") {
        return needs("ionice", "\"realtime\"", "SYS_NICE", ", or ask for \"best-effort:0\"");
    }
    if let Some(adj) = privileges.oom_score_adj {
        let own = oom_score_adj();
        if i64::from(adj) < own && lacks("SYS_RESOURCE") {
            let or = fill!(", or ask for at least {}", &own.to_string());
            return needs("oom_score_adj", &adj.to_string(), "SYS_RESOURCE", &or);
        }
    }
    let missing: Vec<&str> = capabilities_of(privileges.cap_add & !caps::permitted()).gather();
    if !missing.is_empty() {
        let or = fill!(", or drop {} from cap_add", if missing.len() == 1 { "it" } else { "them" });
        let names = missing.join(" and CAP_");
        return Some((
            "cap_add",
            fill!(
                "cap_add: this container is not given CAP_{}; docker run --cap-add {}{}",
                names,
                &missing.join(" --cap-add "),
                or
            ),
        ));
    }
    if privileges.cap_drop & !privileges.cap_add != 0 && lacks("SETPCAP") {
        let bounding = |bit: usize| {
            raw::call_integers(libc::SYS_prctl, &[raw::number(libc::PR_CAPBSET_READ), bit, 0, 0, 0]) == Ok(1)
        };
        let left = privileges.cap_drop & !privileges.cap_add;
        if (0..64).any(|bit| left >> bit & 1 == 1 && bounding(bit)) {
            return needs("cap_drop", "", "SETPCAP", ", or let the engine drop them (docker run --cap-drop)");
        }
    }
    None
}

/// Drops the demand of a key that [`refusal`] has named.
pub fn go_without(privileges: &mut ExecPrivileges, key: &str) {
    match key {
        "nice" => privileges.nice = None,
        "ionice" => privileges.ionice = None,
        "oom_score_adj" => privileges.oom_score_adj = None,
        _ => privileges.cap_add &= caps::permitted(),
    }
}

/// Returns this process's niceness, and its lower limit (getrlimit(2), RLIMIT_NICE).
fn niceness() -> (i64, i64) {
    // The raw system call returns 20 - niceness.
    let own = raw::call_integers(libc::SYS_getpriority, &[0, 0]).ok().and_then(|raw| i64::try_from(raw).ok());
    let most = rlimits::get("nice").ok().and_then(|(soft, _)| i64::try_from(soft).ok());
    (20 - own.unwrap_or(20), most.unwrap_or(0))
}

/// Returns this process's OOM score adjustment (proc(5)).
fn oom_score_adj() -> i64 {
    let text = crate::sys::fs::files::system_text("/proc/self/oom_score_adj");
    text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// Sets it for a process with its own memory: the kernel sets it for all processes that share one.
pub fn set_oom_score_adj(pid: crate::model::Pid, adj: i16) -> Result<(), Errno> {
    let path = fill!("/proc/{}/oom_score_adj", &pid.to_string());
    std::fs::write(path, adj.to_string()).map_err(|error| crate::sys::errno(&error))
}
