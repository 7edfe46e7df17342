//! Facts about the container that the configuration may name: `${RINIT_CPUS}` and its like.

pub mod cgroup;
pub mod kernel;

use super::fs::files;
use super::net;
use super::process::status;
use crate::text::gather::Gather;

/// The number of this process's pid namespace; 0 where /proc does not tell.
#[must_use]
pub fn pid_namespace() -> u64 {
    nix::sys::stat::stat("/proc/self/ns/pid").map_or(0, |found| found.st_ino)
}

/// The value of a fact; `None`: there is no such fact, or it cannot be found out here.
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

/// The processors that this process may use: those it may run on (sched_getaffinity(2)), or fewer by the cgroup's
/// quota; a part of one counts as one.
fn cpus() -> u64 {
    let usable = usable_processors();
    cgroup::most_cpus().map_or(usable, |thousandths| usable.min(thousandths.div_ceil(1000).max(1)))
}

/// The processors that the scheduler may give to this process; 1 where the kernel does not say. The standard
/// library's `available_parallelism` asks the cgroup too, which is 16 KB for what is known here already.
fn usable_processors() -> u64 {
    /// Room for 8,192 processors, the most that any kernel is built for.
    const MAX_WORDS: usize = 128;
    let mut mask = [0_u64; MAX_WORDS];
    // SAFETY: the mask is ours and as large as is said; the kernel writes no more than that.
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

/// The first address of an interface that is up and no loopback, IPv4 before IPv6.
fn address() -> Option<String> {
    let interfaces = net::interfaces().ok()?;
    let all = interfaces.iter().filter(|one| one.up && !one.loopback).flat_map(|one| &one.addresses);
    all.min_by_key(|address| !address.is_ipv4()).map(ToString::to_string)
}

/// The name servers of resolv.conf(5), with blanks between.
#[must_use]
pub fn nameservers(text: &str) -> String {
    let rest = text.lines().filter_map(|line| line.strip_prefix("nameserver"));
    // The keyword ends at a blank.
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
