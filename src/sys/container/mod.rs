//! Facts about the container for use in the configuration: `${RINIT_CPUS}` etc.

pub mod cgroup;
pub mod kernel;
pub mod service_cgroup;

use super::fs::files;
use super::net;
use super::process::status;
use crate::text::gather::Gather;

/// Returns the inode of this process's PID namespace; 0 if /proc does not show it.
#[must_use]
pub fn pid_namespace() -> u64 {
    nix::sys::stat::stat("/proc/self/ns/pid").map_or(0, |found| found.st_ino)
}

/// Returns the value of a fact; `None`: unknown name, or not available here.
#[must_use]
pub fn fact(name: &str) -> Option<String> {
    match name {
        "RINIT_CPUS" => Some(cpus().to_string()),
        "RINIT_MEMORY" => cgroup::most_memory().or_else(installed_memory).map(|bytes| bytes.to_string()),
        "RINIT_ADDRESS" => address(),
        "RINIT_NAMESERVERS" => files::system_text("/etc/resolv.conf").ok().map(|text| nameservers(&text)),
        "RINIT_ARCH" => Some(kernel::uname().1),
        _ => None,
    }
}

/// Returns the CPUs that this process may use: its affinity (sched_getaffinity(2)), or less by the cgroup's quota; a
/// fraction is rounded up.
fn cpus() -> u64 {
    let usable = usable_processors();
    cgroup::most_cpus().map_or(usable, |thousandths| usable.min(thousandths.div_ceil(1000).max(1)))
}

/// Returns the number of CPUs in this process's affinity mask; 1 if the kernel does not tell. The standard library's
/// `available_parallelism` would add 16 KB for cgroup code that exists here already.
fn usable_processors() -> u64 {
    /// Room for 8,192 CPUs, the maximum of any kernel build.
    const MAX_WORDS: usize = 128;
    let mut mask = [0_u64; MAX_WORDS];
    // SAFETY: the mask is ours and of the given size; the kernel writes no more than that.
    let written =
        unsafe { libc::syscall(libc::SYS_sched_getaffinity, 0, size_of_val(&mask), mask.as_mut_ptr()) };
    if written <= 0 {
        return 1;
    }
    mask.iter().map(|word| u64::from(word.count_ones())).sum::<u64>().max(1)
}

fn installed_memory() -> Option<u64> {
    status::installed_memory(&files::system_text("/proc/meminfo").ok()?)
}

/// Returns the first address of an interface that is up and not the loopback, IPv4 before IPv6.
fn address() -> Option<String> {
    let interfaces = net::interfaces().ok()?;
    let all = interfaces.iter().filter(|one| one.up && !one.loopback).flat_map(|one| &one.addresses);
    all.min_by_key(|address| !address.is_ipv4()).map(ToString::to_string)
}

/// Returns the name servers in the text of resolv.conf(5), separated by spaces.
#[must_use]
pub fn nameservers(text: &str) -> String {
    let rest = text.lines().filter_map(|line| line.strip_prefix("nameserver"));
    // The keyword must end at a space or tab.
    let servers = rest.filter(|rest| rest.starts_with([' ', '\t']));
    servers.filter_map(|rest| rest.split_ascii_whitespace().next()).gather().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::container::*;

    #[test]
    fn facts_are_found_and_others_are_none() {
        assert!(fact("RINIT_CPUS").is_some_and(|cpus| cpus.parse::<u64>().is_ok_and(|cpus| cpus > 0)));
        assert!(
            fact("RINIT_MEMORY").is_some_and(|bytes| bytes.parse::<u64>().is_ok_and(|bytes| bytes > 1 << 20))
        );
        assert_eq!(fact("RINIT_NONE"), None);
        assert_eq!(
            nameservers("# x\nnameserver 10.0.0.1\nsearch a\nnameserver\t::1 # y\nnameservers x\n"),
            "10.0.0.1 ::1"
        );
    }
}
