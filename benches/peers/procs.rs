//! Processes of a PID namespace, from /proc.

use std::fs;
use std::path::Path;

/// Returns the processes of the namespace whose PID 1 has this outer pid.
pub fn inside(first: libc::pid_t) -> Vec<libc::pid_t> {
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let Some(wanted) = namespace(&first.to_string()) else { return Vec::new() };
    let names =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|name| name.bytes().all(|b| b.is_ascii_digit()))
        .filter(|name| namespace(name).as_ref() == Some(&wanted))
        .filter_map(|name| name.parse().ok())
        .collect()
}

/// Returns whether this process runs this program.
pub fn runs(pid: libc::pid_t, program: &str) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|path| path == Path::new(program))
}

/// Returns the private dirty memory of a process in KiB.
pub fn private_dirty(pid: libc::pid_t) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Private_Dirty:"));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").trim().parse().ok()).unwrap_or(0)
}

/// Returns the CPU time of a process in nanoseconds.
pub fn cpu(pid: libc::pid_t) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    text.split_ascii_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// Returns the number of context switches of all threads: each wakeup ends with one.
pub fn switches(pid: libc::pid_t) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let texts = tasks.filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
    let count = |text: String| -> u64 {
        let lines = text.lines().filter(|line| line.contains("_ctxt_switches:"));
        lines.filter_map(|line| line.split_ascii_whitespace().last()?.parse::<u64>().ok()).sum()
    };
    texts.map(count).sum()
}
