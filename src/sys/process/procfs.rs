//! Other processes, as /proc shows them; nobody is there without /proc.

use crate::model::Pid;
use crate::sys::fs::dir;
use crate::sys::net::{self, Protocol};
use crate::text::gather::Gather;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// A process, by its line in /proc/PID/stat (proc_pid_stat(5)).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Process {
    /// Its id.
    pub pid: Pid,
    /// The name of its program, cut to 15 bytes by the kernel.
    pub name: String,
    /// Its parent.
    pub parent: Pid,
    /// Its process group.
    pub group: Pid,
    /// Its session.
    pub session: Pid,
    /// Whether it has ended and waits to be reaped.
    pub zombie: bool,
    /// When it was started, in clock ticks since the boot: with the id it is this process and no later one.
    pub started: u64,
}

/// Every process of this PID namespace.
#[must_use]
pub fn all() -> Vec<Process> {
    let names = dir::names("/proc").unwrap_or_default();
    let pids = names.iter().filter_map(|name| name.to_str()?.parse().ok());
    pids.filter_map(|pid: Pid| {
        parse(pid, &crate::sys::fs::files::system_text(&format!("/proc/{pid}/stat")).ok()?)
    })
    .gather()
}

/// Reads the text of /proc/PID/stat.
#[must_use]
pub fn parse(pid: Pid, stat: &str) -> Option<Process> {
    // The name may hold blanks and parentheses: it ends at the last one.
    let (before, after) = stat.rsplit_once(") ")?;
    let (_, name) = before.split_once('(')?;
    let mut fields = after.split(' ');
    let zombie = fields.next()? == "Z";
    let mut number = || fields.next()?.parse().ok();
    let (parent, group, session) = (number()?, number()?, number()?);
    // Field 22, counted from 1; the session was the sixth.
    let started = fields.nth(15)?.parse().ok()?;
    Some(Process { pid, name: name.to_string(), parent, group, session, zombie, started })
}

/// What processes use of the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Processor time in milliseconds, that of children that were reaped included.
    pub cpu_ms: u64,
    /// Memory in RAM.
    pub resident_bytes: u64,
    /// How many they are.
    pub processes: u64,
}

/// Every process of this PID namespace with its parent and what it uses.
#[must_use]
pub fn usage_of_all() -> Vec<(Pid, Pid, Usage)> {
    // SAFETY: queries by number.
    let (ticks, page) = unsafe { (libc::sysconf(libc::_SC_CLK_TCK), libc::sysconf(libc::_SC_PAGESIZE)) };
    let (ticks, page) = (u64::try_from(ticks).unwrap_or(100).max(1), u64::try_from(page).unwrap_or(4096));
    let names = dir::names("/proc").unwrap_or_default();
    let pids = names.iter().filter_map(|name| name.to_str()?.parse().ok());
    pids.filter_map(|pid: Pid| {
        let text = crate::sys::fs::files::system_text(&format!("/proc/{pid}/stat")).ok()?;
        let (_, after) = text.rsplit_once(") ")?;
        // From the state on, which is field 3.
        let fields: Vec<&str> = after.split(' ').gather();
        let number = |field: usize| fields.get(field - 3)?.trim().parse::<u64>().ok();
        let cpu = (14..=17).filter_map(number).sum::<u64>();
        let usage = Usage { cpu_ms: cpu * 1000 / ticks, resident_bytes: number(24)? * page, processes: 1 };
        Some((pid, Pid::try_from(number(4)?).ok()?, usage))
    })
    .gather()
}

/// What a process and all below it use; `None`: it is not there.
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

/// The name of a process, a dead one that was not reaped included.
#[must_use]
pub fn name(pid: Pid) -> Option<String> {
    let text = crate::sys::fs::files::system_text(&format!("/proc/{pid}/comm")).ok()?;
    Some(text.trim_end().to_string())
}

/// What a process was called when it was started (`argv[0]`), where it runs the same file as this one. By their names where
/// the file of another user's process may not be looked at.
#[must_use]
pub fn runs_this_file(pid: Pid) -> Option<Vec<u8>> {
    let file = |of: &str| std::fs::metadata(format!("/proc/{of}/exe")).map(|file| (file.dev(), file.ino()));
    let other = pid.to_string();
    let same = match (file("self"), file(&other)) {
        (Ok(own), Ok(other)) => own == other,
        _ => name(pid)? == name(crate::sys::pid())?,
    };
    let words =
        crate::sys::fs::files::slurp(&format!("/proc/{other}/cmdline"), 4096).ok().filter(|_| same)?;
    words.split(|byte| *byte == 0).next().map(<[u8]>::to_vec)
}

/// The parent of this process; 0 where it is outside of the PID namespace.
#[must_use]
pub fn parent() -> Pid {
    nix::unistd::getppid().as_raw()
}

/// The living children of a process.
#[must_use]
pub fn children(of: Pid) -> Vec<Process> {
    all().into_iter().filter(|process| process.parent == of && !process.zombie).gather()
}

/// The living processes that have left the group of this leader, each with its start: those of its session (which it
/// leads), its descendants while it lives, what was known before, and the descendants of all these. A process that has a
/// session of its own and whose parents ended before anybody looked cannot be told from others.
#[must_use]
pub fn escaped(leader: Pid, known: &[(Pid, u64)]) -> Vec<(Pid, u64)> {
    let processes = all();
    let is_theirs = |p: &Process| {
        p.pid == leader || p.session == leader || p.group == leader || known.contains(&(p.pid, p.started))
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

/// Every living process below `root`.
#[must_use]
pub fn descendants(root: Pid) -> Vec<Pid> {
    below(root, &all()).iter().map(|process| process.pid).gather()
}

/// Those of `processes` that live and are below `root`.
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

/// Whether a process may have children; cheaper than a look at all processes, where the kernel tells it.
#[must_use]
pub fn may_have_children(of: Pid) -> bool {
    let text = crate::sys::fs::files::system_text(&format!("/proc/{of}/task/{of}/children"));
    text.is_ok_and(|text| !text.trim().is_empty())
}

/// The children of a process as the kernel lists them, dead ones that nobody reaped included: a look at one file in place
/// of one at every process. None where the kernel does not tell.
#[must_use]
pub fn listed_children(of: Pid) -> Vec<Pid> {
    let text = crate::sys::fs::files::system_text(&format!("/proc/{of}/task/{of}/children"));
    text.unwrap_or_default().split_whitespace().filter_map(|pid| pid.parse().ok()).gather()
}

/// The number that was given to a process last: as long as it stays, nobody has made one (proc(5), loadavg).
#[must_use]
pub fn last_pid() -> Option<Pid> {
    crate::sys::fs::files::system_text("/proc/loadavg").ok()?.split_whitespace().next_back()?.parse().ok()
}

/// The sockets that a process has open, by their inodes; none when it may not be looked into.
#[must_use]
pub fn sockets(pid: Pid) -> Vec<u64> {
    let directory = format!("/proc/{pid}/fd");
    let files = dir::names(&directory).unwrap_or_default();
    let links = files.iter().filter_map(|file| {
        std::fs::read_link(Path::new(&directory).join(file)).ok()?.into_os_string().into_string().ok()
    });
    links.filter_map(|link| link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()).gather()
}

/// The name and id of the first visible process that listens at such an address.
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
