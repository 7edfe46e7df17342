//! Other processes, read from /proc; without /proc there are none.

use crate::model::Pid;
use crate::sys::fs::dir;
use crate::sys::net::{self, Protocol};
use crate::text::gather::Gather;
use crate::text::template::fill;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// A process, from /proc/PID/stat (proc_pid_stat(5)).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Process {
    /// Process id.
    pub pid: Pid,
    /// Program name, cut to 15 bytes by the kernel.
    pub name: String,
    /// Parent process id.
    pub parent: Pid,
    /// Process group id.
    pub group: Pid,
    /// Session id.
    pub session: Pid,
    /// Whether it has ended but was not reaped.
    pub zombie: bool,
    /// Start time in clock ticks since boot; pid and start time together identify a process despite pid reuse.
    pub started: u64,
}

/// Lists every process of this PID namespace.
#[must_use]
pub fn all() -> Vec<Process> {
    let names = dir::names("/proc").unwrap_or_default();
    let pids = names.iter().filter_map(|name| name.to_str()?.parse().ok());
    pids.filter_map(process).gather()
}

/// Returns one process of this PID namespace.
#[must_use]
pub fn process(pid: Pid) -> Option<Process> {
    parse(pid, &crate::sys::fs::files::system_text(&format!("/proc/{pid}/stat")).ok()?)
}

/// Returns the (real) user of a process.
#[must_use]
pub fn user(pid: Pid) -> Option<u32> {
    let text = crate::sys::fs::files::system_text(&format!("/proc/{pid}/status")).ok()?;
    super::status::field(&text, "Uid:")?.split_whitespace().next()?.parse().ok()
}

/// Parses the text of /proc/PID/stat.
#[must_use]
pub fn parse(pid: Pid, stat: &str) -> Option<Process> {
    // The name may contain spaces and parentheses: it ends at the last parenthesis.
    let (before, after) = stat.rsplit_once(") ")?;
    let (_, name) = before.split_once('(')?;
    let mut fields = after.split(' ');
    let zombie = fields.next()? == "Z";
    let mut number = || fields.next()?.parse().ok();
    let (parent, group, session) = (number()?, number()?, number()?);
    // Field 22 (starttime), counted from 1; the session was field 6.
    let started = fields.nth(15)?.parse().ok()?;
    Some(Process { pid, name: name.to_string(), parent, group, session, zombie, started })
}

/// When a process was started, in seconds since 1970.
#[must_use]
pub fn started_at(process: &Process) -> Option<i64> {
    let text = crate::sys::fs::files::system_text("/proc/stat").ok()?;
    let boot: i64 = text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    // SAFETY: a query by number.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    let ticks = u64::try_from(ticks).unwrap_or(100).max(1);
    Some(boot.saturating_add(i64::try_from(process.started / ticks).unwrap_or(0)))
}

/// Resources that processes use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// CPU time in milliseconds, including reaped children.
    pub cpu_ms: u64,
    /// Resident memory.
    pub resident_bytes: u64,
    /// Number of processes.
    pub processes: u64,
}

/// Lists every process of this PID namespace: pid, parent, usage.
#[must_use]
pub fn usage_of_all() -> Vec<(Pid, Pid, Usage)> {
    let (ticks, page) = (
        crate::sys::auxiliary(libc::AT_CLKTCK, 100) as u64,
        crate::sys::auxiliary(libc::AT_PAGESZ, 4096) as u64,
    );
    let names = dir::names("/proc").unwrap_or_default();
    let pids = names.iter().filter_map(|name| name.to_str()?.parse().ok());
    pids.filter_map(|pid: Pid| {
        let text = crate::sys::fs::files::system_text(&format!("/proc/{pid}/stat")).ok()?;
        let (_, after) = text.rsplit_once(") ")?;
        // Starts at field 3, the state.
        let fields: Vec<&str> = after.split(' ').gather();
        let number = |field: usize| fields.get(field - 3)?.trim().parse::<u64>().ok();
        let cpu = (14..=17).filter_map(number).sum::<u64>();
        let usage = Usage { cpu_ms: cpu * 1000 / ticks, resident_bytes: number(24)? * page, processes: 1 };
        Some((pid, Pid::try_from(number(4)?).ok()?, usage))
    })
    .gather()
}

/// Sums the usage of a process and all its descendants; `None`: no such process.
#[must_use]
pub fn usage_below(root: Pid, all: &[(Pid, Pid, Usage)]) -> Option<Usage> {
    let (_, _, mut sum) = *all.iter().find(|(pid, ..)| *pid == root)?;
    let mut of = vec![root];
    while let Some(parent) = of.pop() {
        for (pid, _, usage) in all.iter().filter(|(_, above, _)| *above == parent) {
            sum.cpu_ms += usage.cpu_ms;
            sum.resident_bytes += usage.resident_bytes;
            sum.processes += usage.processes;
            of.push(*pid);
        }
    }
    Some(sum)
}

/// Returns the name of a process, or of a zombie.
#[must_use]
pub fn name(pid: Pid) -> Option<String> {
    let text = crate::sys::fs::files::system_text(&format!("/proc/{pid}/comm")).ok()?;
    Some(text.trim_end().to_string())
}

/// Returns the `argv[0]` of a process if it runs the same executable as this one. Compares names where another user's
/// executable may not be read.
#[must_use]
pub fn runs_this_file(pid: Pid) -> Option<Vec<u8>> {
    let file = |of: &str| std::fs::metadata(fill!("/proc/{}/exe", of)).map(|file| (file.dev(), file.ino()));
    let other = pid.to_string();
    let same = match (file("self"), file(&other)) {
        (Ok(own), Ok(other)) => own == other,
        _ => name(pid)? == name(crate::sys::pid())?,
    };
    let words =
        crate::sys::fs::files::slurp(&fill!("/proc/{}/cmdline", other), 4096).ok().filter(|_| same)?;
    words.split(|byte| *byte == 0).next().map(<[u8]>::to_vec)
}

/// Returns the parent of this process; 0 if it is outside the PID namespace.
#[must_use]
pub fn parent() -> Pid {
    nix::unistd::getppid().as_raw()
}

/// Returns the live children of a process.
#[must_use]
pub fn children(of: Pid) -> Vec<Process> {
    all().into_iter().filter(|process| process.parent == of && !process.zombie).gather()
}

/// Returns the live processes that have left this leader's group, each with its start time: members of its session,
/// its descendants while it lives, those in `known` and in its cgroup, orphans with its mark, and the descendants of all
/// these.
#[must_use]
pub fn escaped(leader: Pid, known: &[(Pid, u64)], members: &[Pid], mark: u64) -> Vec<(Pid, u64)> {
    let (processes, rinit) = (all(), crate::sys::pid());
    let is_theirs = |p: &Process| {
        let is_near = p.pid == leader || p.session == leader || p.group == leader;
        is_near
            || known.contains(&(p.pid, p.started))
            || members.contains(&p.pid)
            || p.parent == rinit && p.pid != leader && marked(p.pid) == Some(mark)
    };
    let mut found: Vec<&Process> = processes.iter().filter(|p| is_theirs(p)).gather();
    let mut looked = 0;
    while let Some(of) = found.get(looked).map(|p| p.pid) {
        let below = processes.iter().filter(|p| p.parent == of);
        let new: Vec<&Process> = below.filter(|p| !found.iter().any(|known| known.pid == p.pid)).gather();
        found.extend(new);
        looked += 1;
    }
    let left = found.iter().filter(|p| p.group != leader && p.pid != leader && !p.zombie);
    left.map(|p| (p.pid, p.started)).gather()
}

/// Returns the soft limit of file locks of a process, which marks a service's (see [`super::rlimits::mark`]): anybody
/// may read it, unlike its environment.
fn marked(pid: Pid) -> Option<u64> {
    let limits = crate::sys::fs::files::system_text(&fill!("/proc/{}/limits", &pid.to_string())).ok()?;
    limits
        .lines()
        .find_map(|line| line.strip_prefix("Max file locks"))?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

/// Returns every live descendant of `root`.
#[must_use]
pub fn descendants(root: Pid) -> Vec<Pid> {
    below(root, &all()).iter().map(|process| process.pid).gather()
}

/// Filters `processes` for the live descendants of `root`.
#[must_use]
pub fn below(root: Pid, processes: &[Process]) -> Vec<&Process> {
    let mut found: Vec<&Process> = Vec::new();
    let mut of = root;
    for looked in 0.. {
        found.extend(processes.iter().filter(|p| p.parent == of && p.pid != root && !p.zombie));
        match found.get(looked) {
            Some(next) => of = next.pid,
            None => break,
        }
    }
    found
}

/// Returns whether a process may have children; cheaper than a full scan, where the kernel lists children.
#[must_use]
pub fn may_have_children(of: Pid) -> bool {
    !listed_children(of).is_empty()
}

/// Returns the children of a process as listed by the kernel, zombies included: reads one file instead of scanning all
/// processes. Empty if the kernel does not list them.
#[must_use]
pub fn listed_children(of: Pid) -> Vec<Pid> {
    let text = crate::sys::fs::files::system_text(&format!("/proc/{of}/task/{of}/children"));
    text.unwrap_or_default().split_whitespace().filter_map(|pid| pid.parse().ok()).gather()
}

/// Returns the most recently allocated pid: unchanged as long as no process is created (proc(5), loadavg).
#[must_use]
pub fn last_pid() -> Option<Pid> {
    crate::sys::fs::files::system_text("/proc/loadavg").ok()?.split_whitespace().next_back()?.parse().ok()
}

/// Returns the inodes of a process's open sockets; empty if it may not be inspected.
#[must_use]
pub fn sockets(pid: Pid) -> Vec<u64> {
    let directory = format!("/proc/{pid}/fd");
    let files = dir::names(&directory).unwrap_or_default();
    let links = files.iter().filter_map(|file| {
        std::fs::read_link(Path::new(&directory).join(file)).ok()?.into_os_string().into_string().ok()
    });
    links.filter_map(|link| link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()).gather()
}

/// Returns the name and pid of the first visible process that listens on a matching address.
#[must_use]
pub fn holder(protocol: Protocol, at: &dyn Fn(SocketAddr) -> bool) -> Option<(String, Pid)> {
    let mut inodes: Vec<u64> = Vec::new();
    inodes.extend(
        net::listeners(protocol).ok()?.into_iter().filter(|(address, _)| at(*address)).map(|of| of.1),
    );
    if inodes.is_empty() {
        return None;
    }
    let holds = |process: &Process| sockets(process.pid).iter().any(|inode| inodes.contains(inode));
    // A process may give itself any name.
    all().into_iter().find(holds).map(|process| (process.name.replace(char::is_control, "?"), process.pid))
}

#[cfg(test)]
mod tests {
    use super::super::procfs::*;

    #[test]
    fn a_listener_is_found_by_its_socket() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address");
        let found = holder(Protocol::Tcp, &|at| at == address).expect("a holder");
        assert_eq!(u32::try_from(found.1).ok(), Some(std::process::id()));
        assert_eq!(holder(Protocol::Tcp, &|_| false), None);
    }

    #[test]
    fn a_name_with_parentheses_is_no_trap() {
        let process =
            parse(7, "7 (a) b (c)) S 3 6 5 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4321 0").expect("a process");
        let name = "a) b (c)".to_string();
        assert_eq!(
            process,
            Process { pid: 7, name, parent: 3, group: 6, session: 5, zombie: false, started: 4321 }
        );
        assert_eq!(parse(7, "7 (x"), None);
    }
}
