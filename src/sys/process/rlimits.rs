//! The resource limits of this process (getrlimit(2)).

use crate::model::{ServiceId, Ulimit};
use crate::sys::{Errno, raw};
use crate::text::gather::Gather;
use crate::text::template::fill;
use std::ffi::CString;
use std::sync::{Mutex, PoisonError};

/// Returns the soft and hard limit (`u64::MAX`: unlimited) by its name in Docker and ulimit(1).
pub fn get(name: &str) -> Result<(u64, u64), Errno> {
    let resource = number(name).ok_or(Errno::EINVAL)?;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel fills a structure of ours.
    Errno::result(unsafe { libc::getrlimit(resource, &raw mut limit) })?;
    Ok((limit.rlim_cur, limit.rlim_max))
}

/// Which part of the arguments and environment exceeds the limit of execve(2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TooLong {
    /// `argument 3`, or `the variable NAME`.
    pub largest: String,
    /// Size in bytes, of that entry or of all together.
    pub bytes: u64,
    /// The limit in bytes.
    pub limit: u64,
    /// Whether that single entry exceeds the limit for one string.
    pub of_one: bool,
}

/// The limit for one string of execve(2), with its final NUL.
const MAX_ARG_STRLEN: u64 = 128 * 1024;

/// Finds what was too long, after E2BIG. Reports the name of a variable, never its value.
#[must_use]
pub fn too_long(argv: &[CString], entries: &[CString]) -> Option<TooLong> {
    let size = |text: &CString| u64::try_from(text.as_bytes_with_nul().len()).unwrap_or(u64::MAX);
    let arguments = argv.iter().enumerate().map(|(n, word)| (size(word), format!("argument {n}")));
    let variables = entries.iter().map(|entry| {
        let name = entry.as_bytes().split(|b| *b == b'=').next().unwrap_or_default();
        (size(entry), fill!("the variable {}", &String::from_utf8_lossy(name)))
    });
    let all: Vec<(u64, String)> = arguments.chain(variables).gather();
    // Each entry also takes a pointer.
    let whole = all.iter().fold(0_u64, |sum, (bytes, _)| sum.saturating_add(*bytes).saturating_add(8));
    let (bytes, largest) = all.into_iter().max_by_key(|(bytes, _)| *bytes)?;
    if bytes > MAX_ARG_STRLEN {
        return Some(TooLong { largest, bytes: bytes - 1, limit: MAX_ARG_STRLEN - 1, of_one: true });
    }
    // execve(2): a quarter of the stack limit, at least 128 KiB, at most three quarters of 8 MiB.
    let (stack, _) = get("stack").ok()?;
    let limit = (stack / 4).clamp(MAX_ARG_STRLEN, 6 << 20);
    Some(TooLong { largest, bytes: whole, limit, of_one: false })
}

/// Sets both limits of this process. Async-signal-safe.
pub fn set(limit: &Ulimit) -> Result<(), Errno> {
    let resource = number(limit.name).ok_or(Errno::EINVAL)?;
    let limit = libc::rlimit64 { rlim_cur: limit.soft, rlim_max: limit.hard };
    let resource = usize::try_from(resource).unwrap_or(usize::MAX);
    // SAFETY: the kernel reads a structure of ours.
    unsafe { raw::call(libc::SYS_prlimit64, &[0, resource, raw::address(&raw const limit), 0]) }.map(drop)
}

/// The limit of open files that rinit inherited, if rinit has raised its own: children get this one.
static GIVEN_OPEN_FILES: Mutex<Option<Ulimit>> = Mutex::new(None);

/// Raises the soft limit of open files to the hard limit, for rinit itself.
pub fn raise_open_files() -> Result<(), Errno> {
    let (soft, hard) = get("nofile")?;
    set(&Ulimit { name: "nofile", soft: hard, hard })?;
    GIVEN_OPEN_FILES.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(Ulimit {
        name: "nofile",
        soft,
        hard,
    });
    Ok(())
}

/// Returns the limit of open files for children, if it differs from rinit's own.
#[must_use]
pub fn given_open_files() -> Option<Ulimit> {
    *GIVEN_OPEN_FILES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a limit cannot be set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooHigh {
    /// The requested limit.
    pub limit: Ulimit,
    /// The maximum.
    pub most: u64,
    /// Whether that maximum holds even for privileged processes (`fs.nr_open`).
    pub for_anybody: bool,
}

/// Returns whether a limit exceeds the hard limit of this process, or the kernel's maximum.
#[must_use]
pub fn too_high(limit: &Ulimit) -> Option<TooHigh> {
    let (_, hard) = get(limit.name).ok()?;
    let open = || crate::sys::fs::files::system_text("/proc/sys/fs/nr_open").ok()?.trim().parse::<u64>().ok();
    let nr_open = if limit.name == "nofile" { open() } else { None };
    let (most, for_anybody) = match nr_open.filter(|most| limit.hard > *most) {
        Some(most) => (most, true),
        None => (hard, false),
    };
    (limit.hard > most).then_some(TooHigh { limit: *limit, most, for_anybody })
}

/// Returns the number by which the processes of a service are known again: their soft limit of file locks, which the
/// kernel has not enforced since Linux 2.4, and which is inherited whatever user, session and environment they take.
#[must_use]
pub fn mark(service: ServiceId) -> u64 {
    1 << 62 | u64::from(service.0)
}

/// Returns the limit that marks a service's processes, if it can be set.
#[must_use]
pub fn marking(service: ServiceId) -> Option<Ulimit> {
    let (soft, (_, hard)) = (mark(service), get("locks").ok()?);
    (soft <= hard).then_some(Ulimit { name: "locks", soft, hard })
}

/// Returns why this process may not set a limit.
#[must_use]
pub fn refused(limit: &Ulimit) -> Option<TooHigh> {
    too_high(limit)
        .filter(|refused| refused.for_anybody || !super::caps::has(super::caps::effective(), "SYS_RESOURCE"))
}

/// Maps a name to the kernel's number. The type differs between C libraries.
fn number(name: &str) -> Option<Resource> {
    Some(match name {
        "core" => libc::RLIMIT_CORE,
        "cpu" => libc::RLIMIT_CPU,
        "data" => libc::RLIMIT_DATA,
        "fsize" => libc::RLIMIT_FSIZE,
        "locks" => libc::RLIMIT_LOCKS,
        "memlock" => libc::RLIMIT_MEMLOCK,
        "msgqueue" => libc::RLIMIT_MSGQUEUE,
        "nice" => libc::RLIMIT_NICE,
        "nofile" => libc::RLIMIT_NOFILE,
        "nproc" => libc::RLIMIT_NPROC,
        "rss" => libc::RLIMIT_RSS,
        "rtprio" => libc::RLIMIT_RTPRIO,
        "rttime" => libc::RLIMIT_RTTIME,
        "sigpending" => libc::RLIMIT_SIGPENDING,
        "stack" => libc::RLIMIT_STACK,
        _ => return None,
    })
}

#[cfg(target_env = "musl")]
type Resource = libc::c_int;
#[cfg(not(target_env = "musl"))]
type Resource = libc::__rlimit_resource_t;

#[cfg(test)]
mod tests {
    use super::super::rlimits::*;

    #[test]
    fn every_name_has_its_limit() {
        for name in crate::model::ULIMITS {
            let (soft, hard) = get(name).expect("a limit");
            assert!(soft <= hard, "{name}");
        }
        assert_eq!(get("nothing"), Err(Errno::EINVAL));
    }
}
