//! The resource limits of this process (getrlimit(2)).

use super::Errno;

/// The soft and the hard limit; `u64::MAX`: none. By the name that Docker and ulimit(1) have for it.
pub fn get(name: &str) -> Result<(u64, u64), Errno> {
    let resource = match name {
        "nofile" => libc::RLIMIT_NOFILE,
        "nproc" => libc::RLIMIT_NPROC,
        "core" => libc::RLIMIT_CORE,
        "memlock" => libc::RLIMIT_MEMLOCK,
        "stack" => libc::RLIMIT_STACK,
        _ => return Err(Errno::EINVAL),
    };
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel fills a structure of ours.
    Errno::result(unsafe { libc::getrlimit(resource, &raw mut limit) })?;
    Ok((limit.rlim_cur, limit.rlim_max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_its_limit() {
        for name in ["nofile", "nproc", "core", "memlock", "stack"] {
            let (soft, hard) = get(name).expect("a limit");
            assert!(soft <= hard, "{name}");
        }
        assert_eq!(get("nothing"), Err(Errno::EINVAL));
    }
}
