//! The resource limits of this process (getrlimit(2)).

use crate::model::Ulimit;
use crate::sys::{Errno, raw};
use crate::text::gather::Gather;
use std::ffi::CString;
use std::sync::{Mutex, PoisonError};

/// The soft and the hard limit; `u64::MAX`: none. By the name that Docker and ulimit(1) have for it.
pub fn get(name: &str) -> Result<(u64, u64), Errno> {
    let resource = number(name).ok_or(Errno::EINVAL)?;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel fills a structure of ours.
    Errno::result(unsafe { libc::getrlimit(resource, &raw mut limit) })?;
    Ok((limit.rlim_cur, limit.rlim_max))
}

/// What of arguments and environment is more than execve(2) takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TooLong {
    /// `argument 3`, or `the variable NAME`.
    pub largest: String,
    /// How many bytes that has, or all have together.
    pub bytes: u64,
    /// How many it, or all, may have.
    pub limit: u64,
    /// Whether it is that one alone which is too long.
    pub of_one: bool,
}

/// The longest string that execve(2) takes, with its end.
const MAX_ARG_STRLEN: u64 = 128 * 1024;

/// Looks for what is too long; asked when the kernel has refused it. The name of a variable is told, never its value.
#[must_use]
pub fn too_long(argv: &[CString], entries: &[CString]) -> Option<TooLong> {
    let size = |text: &CString| u64::try_from(text.as_bytes_with_nul().len()).unwrap_or(u64::MAX);
    let arguments = argv.iter().enumerate().map(|(n, word)| (size(word), format!("argument {n}")));
    let variables = entries.iter().map(|entry| {
        let name = entry.as_bytes().split(|b| *b == b'=').next().unwrap_or_default();
        (size(entry), ["the variable ", &String::from_utf8_lossy(name)].concat())
    });
    let all: Vec<(u64, String)> = arguments.chain(variables).gather();
    // Each is a pointer, too.
    let whole = all.iter().fold(0_u64, |sum, (bytes, _)| sum.saturating_add(*bytes).saturating_add(8));
    let (bytes, largest) = all.into_iter().max_by_key(|(bytes, _)| *bytes)?;
    if bytes > MAX_ARG_STRLEN {
        return Some(TooLong { largest, bytes: bytes - 1, limit: MAX_ARG_STRLEN - 1, of_one: true });
    }
    // execve(2): a quarter of the stack's limit, at least 128 KiB and at most three quarters of 8 MiB.
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

/// What rinit was given as its limit of open files, once it has raised that for itself: its children get it back.
static GIVEN_OPEN_FILES: Mutex<Option<Ulimit>> = Mutex::new(None);

/// Raises the soft limit of open files to the hard one, for rinit alone.
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

/// What children are to have as their limit of open files, where it is not rinit's own.
#[must_use]
pub fn given_open_files() -> Option<Ulimit> {
    *GIVEN_OPEN_FILES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a limit cannot be set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooHigh {
    /// What was asked for.
    pub limit: Ulimit,
    /// The most that could be.
    pub most: u64,
    /// Whether nobody may have more (`fs.nr_open`), privileged or not.
    pub for_anybody: bool,
}

/// Whether a limit is above the hard limit of this process, or above what the kernel has for anybody.
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

/// The kernel's number of a limit. The type differs between C libraries.
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
