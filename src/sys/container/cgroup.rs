//! The resource limits of this container and its OOM kills: cgroups(7), v1 and v2. Nothing is known if neither is
//! mounted. Only read after something has failed.

use crate::text::template::fill;
/// Reads a file of this process's cgroup: by its v2 name, or by its v1 controller and name.
fn read(v2: &str, controller: &str, v1: &str) -> Option<String> {
    let own = crate::sys::fs::files::system_text("/proc/self/cgroup").ok()?;
    places(&own, v2, controller, v1).iter().find_map(|path| crate::sys::fs::files::system_text(path).ok())
}

/// Returns the possible paths of such a file, most likely first, given the text of /proc/self/cgroup.
#[must_use]
pub fn places(own: &str, v2: &str, controller: &str, v1: &str) -> Vec<String> {
    let mut places = Vec::new();
    for line in own.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (root, file) = match controllers {
            "" => (String::new(), v2),
            names if names.split(',').any(|name| name == controller) => (fill!("/{}", controller), v1),
            _ => continue,
        };
        // In a container the path is often the host's, while the mount starts below it.
        let path = path.trim_end_matches('/');
        let paths = if path.is_empty() { &[""][..] } else { &[path, ""] };
        places.extend(paths.iter().map(|path| fill!("/sys/fs/cgroup{}{}/{}", root, path, file)));
    }
    places
}

/// Returns the limit of processes. `None`: unlimited.
#[must_use]
pub fn most_processes() -> Option<u64> {
    limit(&read("pids.max", "pids", "pids.max")?)
}

/// Returns the memory limit in bytes. `None`: unlimited.
#[must_use]
pub fn most_memory() -> Option<u64> {
    limit(&read("memory.max", "memory", "memory.limit_in_bytes")?)
}

/// Returns the peak memory use in bytes. `None`: not reported (before Linux 5.19).
#[must_use]
pub fn peak_memory() -> Option<u64> {
    limit(&read("memory.peak", "memory", "memory.max_usage_in_bytes")?)
}

/// Returns the CPU limit in thousandths of a CPU. `None`: unlimited.
#[must_use]
pub fn most_cpus() -> Option<u64> {
    let quota = read("cpu.max", "cpu", "cpu.cfs_quota_us")?;
    let period = || read("cpu.max", "cpu", "cpu.cfs_period_us").unwrap_or_default();
    share(&quota, &period())
}

/// Returns the CPU quota in thousandths of a CPU from the text of two files: in v2 both have `QUOTA PERIOD` or `max
/// PERIOD`; in v1 one number each, or -1.
#[must_use]
pub fn share(quota: &str, period: &str) -> Option<u64> {
    let quota: u64 = quota.split_whitespace().next()?.parse().ok()?;
    let period: u64 = period.split_whitespace().last()?.parse().ok()?;
    quota.checked_mul(1000)?.checked_div(period)
}

/// Returns the number of OOM kills in this cgroup.
#[must_use]
pub fn killed_for_memory() -> u64 {
    read("memory.events", "memory", "memory.oom_control").map_or(0, |text| kills(&text))
}

/// Parses a limit; `None`: unlimited.
#[must_use]
pub fn limit(text: &str) -> Option<u64> {
    // v1 writes a number near the maximum, v2 the word `max`.
    text.trim().parse().ok().filter(|limit| *limit < 1 << 60)
}

/// Parses the number of OOM kills in `memory.events` or `memory.oom_control`.
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
