//! The limits that this container is held to, and what the kernel has killed for them: cgroups(7), of version 2
//! and of version 1. Nothing is known where neither is mounted. Only looked at after something has failed.

/// A file of the cgroup that this process is in: its name in version 2, the controller and its name in version 1.
fn read(v2: &str, controller: &str, v1: &str) -> Option<String> {
    let own = crate::sys::fs::files::system_text("/proc/self/cgroup").ok()?;
    places(&own, v2, controller, v1).iter().find_map(|path| crate::sys::fs::files::system_text(path).ok())
}

/// Where such a file may be, by the text of /proc/self/cgroup, the likeliest place first.
#[must_use]
pub fn places(own: &str, v2: &str, controller: &str, v1: &str) -> Vec<String> {
    let mut places = Vec::new();
    for line in own.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (root, file) = match controllers {
            "" => (String::new(), v2),
            names if names.split(',').any(|name| name == controller) => (["/", controller].concat(), v1),
            _ => continue,
        };
        // In a container the path is often that of the host, and the mount begins below it.
        let path = path.trim_end_matches('/');
        let paths = if path.is_empty() { &[""][..] } else { &[path, ""] };
        places.extend(paths.iter().map(|path| ["/sys/fs/cgroup", &root, path, "/", file].concat()));
    }
    places
}

/// How many processes may be at once. `None`: as many as the machine bears.
#[must_use]
pub fn most_processes() -> Option<u64> {
    limit(&read("pids.max", "pids", "pids.max")?)
}

/// How many bytes of memory there may be in use. `None`: as many as the machine has.
#[must_use]
pub fn most_memory() -> Option<u64> {
    limit(&read("memory.max", "memory", "memory.limit_in_bytes")?)
}

/// How many bytes of memory were in use when it was most. `None`: the kernel does not tell (before 5.19).
#[must_use]
pub fn peak_memory() -> Option<u64> {
    limit(&read("memory.peak", "memory", "memory.max_usage_in_bytes")?)
}

/// How much of the processors may be used, in thousandths of one. `None`: all that there are.
#[must_use]
pub fn most_cpus() -> Option<u64> {
    let quota = read("cpu.max", "cpu", "cpu.cfs_quota_us")?;
    let period = || read("cpu.max", "cpu", "cpu.cfs_period_us").unwrap_or_default();
    share(&quota, &period())
}

/// The share of the processors, in thousandths of one, by the texts of two files: version 2 has `QUOTA PERIOD` in both, or
/// `max PERIOD`; version 1 one number in each, or -1.
#[must_use]
pub fn share(quota: &str, period: &str) -> Option<u64> {
    let quota: u64 = quota.split_whitespace().next()?.parse().ok()?;
    let period: u64 = period.split_whitespace().last()?.parse().ok()?;
    quota.checked_mul(1000)?.checked_div(period)
}

/// How many processes the kernel has killed here for want of memory.
#[must_use]
pub fn killed_for_memory() -> u64 {
    read("memory.events", "memory", "memory.oom_control").map_or(0, |text| kills(&text))
}

/// The limit that a file tells; `None`: there is none.
#[must_use]
pub fn limit(text: &str) -> Option<u64> {
    // Version 1 writes a number near the largest there is, version 2 the word `max`.
    text.trim().parse().ok().filter(|limit| *limit < 1 << 60)
}

/// The processes that were killed, by `memory.events` or `memory.oom_control`.
#[must_use]
pub fn kills(text: &str) -> u64 {
    crate::sys::process::status::number(text, "oom_kill ", 10).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::cgroup::*;

    #[test]
    fn a_share_of_the_processors_is_read() {
        for (quota, period, want) in [
            ("150000 100000\n", "150000 100000\n", Some(1500)),
            ("max 100000\n", "max 100000\n", None),
            ("50000\n", "100000\n", Some(500)),
            ("-1\n", "100000\n", None),
            ("1 0", "1 0", None),
            ("", "", None),
        ] {
            assert_eq!(share(quota, period), want, "{quota}");
        }
    }

    #[test]
    fn both_versions_are_read() {
        for (text, want) in [("536870912\n", Some(1 << 29)), ("max\n", None), ("9223372036854771712\n", None)]
        {
            assert_eq!(limit(text), want, "{text}");
        }
        for (text, want) in [
            ("low 0\nhigh 0\nmax 7\noom 2\noom_kill 3\noom_group_kill 1\n", 3),
            ("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", 2),
            ("oom_kill_disable 0\nunder_oom 0\n", 0),
            ("", 0),
        ] {
            assert_eq!(kills(text), want, "{text}");
        }
    }
}
