//! Sending signals: to one process, to a group, to everything that is left.
//!
//! Container root may lack CAP_KILL (`--cap-drop ALL`), and so the right to signal other users' processes, but have
//! CAP_SETUID, without which there would be no such processes. A stop without its stop signal would be a plain kill,
//! so rinit then sends each signal as the user of the target process.

use super::procfs::{self, Process};
use super::{caps, status};
use crate::model::{Pid, Signal};
use crate::sys::event::clock;
use crate::sys::fs::files;
use crate::sys::{Errno, raw};
use crate::text::gather::Gather;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

/// How many passes look for processes that a process tree has forked meanwhile.
const MAX_PASSES: usize = 16;

/// How long the sweep keeps looking for processes that are forked while it kills.
const SWEEP_TIMEOUT: Duration = Duration::from_secs(1);

/// After how many empty scans in a row no process is left, if processes may be forked meanwhile.
const MIN_EMPTY_LOOKS: u32 = 10;

/// How many scans of rinit's own children follow each full scan.
const MAX_FAST_LOOKS: usize = 50;

/// Users that services run as: the owners of their processes, for systems without /proc.
static SERVICE_USERS: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// Remembers that a process will run as this user.
pub fn remember_user(uid: u32) {
    if let Ok(mut known) = SERVICE_USERS.lock()
        && !known.contains(&uid)
    {
        known.push(uid);
    }
}

/// Sends signals to one process, in order (kill(2)).
pub fn process(pid: Pid, signals: &[Signal]) -> Result<(), Errno> {
    raw(pid, signals)
}

/// Sends signals to a process group, in order (kill(2)).
pub fn group(leader: Pid, signals: &[Signal]) -> Result<(), Errno> {
    raw(-leader, signals)
}

/// Returns whether a process group still has members, including zombies, after its leader was reaped. The kernel
/// reuses the leader's pid only when the group is empty: if a process with that pid exists, the group is gone and the
/// pid belongs to another process.
#[must_use]
pub fn group_outlives(leader: Pid) -> bool {
    send(-leader, 0) != Err(Errno::ESRCH) && send(leader, 0) == Err(Errno::ESRCH)
}

/// Kills what is left of a process group whose leader was reaped.
pub fn what_outlives(leader: Pid) {
    if group_outlives(leader) {
        let _ = group(leader, &[Signal::KILL]);
    }
}

/// Kills a process, its group and all its descendants, in other sessions too. Stops it first, so that it cannot fork.
/// Does not wait.
pub fn tree(root: Pid) {
    let _ = send(root, libc::SIGSTOP);
    if procfs::may_have_children(root) {
        kill_below(root);
    }
    let _ = group(root, &[Signal::KILL]);
    let _ = process(root, &[Signal::KILL]);
}

/// Kills all descendants of a process, until a scan finds none.
pub fn kill_below(root: Pid) {
    for _ in 0..MAX_PASSES {
        let below = procfs::descendants(root);
        if below.is_empty() {
            return;
        }
        for pid in below {
            let _ = send(pid, libc::SIGKILL);
        }
    }
}

fn raw(target: Pid, signals: &[Signal]) -> Result<(), Errno> {
    let mut sent = Ok(());
    for signal in signals {
        // Only the first result matters: CONT is always allowed within a session.
        sent = sent.and(send(target, i32::from(signal.number())));
    }
    // kill(2) on a group succeeds if any member was reached, so some may have been missed.
    if (sent == Err(Errno::EPERM) || target < 0 && sent.is_ok()) && is_denied() {
        let meant = |process: &Process| process.pid == target || process.group == -target;
        in_a_child(&|| in_their_names(&meant, target, signals));
        return Ok(());
    }
    sent
}

fn send(target: Pid, signal: i32) -> Result<(), Errno> {
    if target == 0 || target == -1 {
        return Err(Errno::EINVAL); // would be rinit's own group, or everybody
    }
    // SAFETY: kill takes no pointers.
    Errno::result(unsafe { libc::kill(target, signal) }).map(drop)
}

/// Returns whether rinit may switch users but not signal other users' processes. Computed once: it does not change.
fn is_denied() -> bool {
    static DENIED: OnceLock<bool> = OnceLock::new();
    *DENIED.get_or_init(|| {
        let rights = caps::effective();
        !caps::has(rights, "KILL") && caps::has(rights, "SETUID")
    })
}

/// Signals the processes selected by `meant` that belong to other users, each with the rights of its user (kill(2):
/// the sender's effective uid must match the target's real uid). Must run in a process of its own. Without /proc the
/// owners are unknown: then signals `target`, in the form of kill(2), as each service user.
fn in_their_names(meant: &dyn Fn(&Process) -> bool, target: Pid, signals: &[Signal]) {
    // SAFETY: no arguments.
    let own = unsafe { libc::getuid() };
    let all = procfs::all();
    if all.is_empty() {
        for user in SERVICE_USERS.lock().iter().flat_map(|known| known.iter()) {
            send_as(*user, own, target, signals);
        }
    }
    for process in all.into_iter().filter(|one| meant(one)) {
        let text = files::system_text(&format!("/proc/{}/status", process.pid)).unwrap_or_default();
        let user =
            status::field(&text, "Uid:").and_then(|users| users.split_whitespace().next()?.parse().ok());
        if let Some(user) = user.filter(|user| *user != own) {
            send_as(user, own, process.pid, signals);
        }
    }
}

/// Sends signals as `user`, then switches back to `own`.
fn send_as(user: u32, own: u32, target: Pid, signals: &[Signal]) {
    // The real and saved uid stay, which allow the way back. The C library's own would ask all threads, of which there is one.
    let become_user = |user: u32| {
        let kept = raw::number(-1);
        // SAFETY: integers only.
        unsafe { raw::call(libc::SYS_setresuid, &[kept, user as usize, kept]) }
    };
    if become_user(user).is_ok() {
        for signal in signals {
            // SAFETY: integers only.
            unsafe { libc::kill(target, i32::from(signal.number())) };
        }
        let _ = become_user(own);
    }
}

/// Runs `work` in a child of rinit, which is reaped like any other.
fn in_a_child(work: &dyn Fn()) {
    // SAFETY: rinit is single-threaded, so the child may run any code; it only sends signals and exits.
    match unsafe { libc::fork() } {
        0 => {
            work();
            // SAFETY: ends the child at once, without running exit handlers.
            unsafe { libc::_exit(0) }
        }
        // Cannot fork: rinit does it itself.
        -1 => work(),
        _ => {}
    }
}

/// Sends a signal to every process that is left: as PID 1 to the whole PID namespace, otherwise to every descendant. A
/// child does it, because kill(-1, SIGKILL) can block on a process in uninterruptible sleep; it is reaped like any
/// other. SIGCONT follows, so that a stopped process can handle the signal.
pub fn everything(signal: Signal) {
    let rinit = crate::sys::pid();
    in_a_child(&|| send_to_all(rinit, [signal, Signal::CONT]));
}

fn send_to_all(rinit: Pid, signals: [Signal; 2]) {
    let own = crate::sys::pid();
    let below = if rinit == 1 {
        for signal in signals {
            // SAFETY: kill takes no pointers; -1 excludes the caller and PID 1.
            unsafe { libc::kill(-1, i32::from(signal.number())) };
        }
        Vec::new()
    } else {
        send_below(rinit, own, signals)
    };
    if is_denied() {
        let spared = |pid| pid == rinit || pid == own;
        // Not PID 1 and without /proc, the descendants are unknown: target a pid that no process has.
        let target = if rinit == 1 { -1 } else { Pid::MAX };
        in_their_names(&|one| !spared(one.pid) && (rinit == 1 || below.contains(&one.pid)), target, &signals);
    }
}

/// Signals all descendants of rinit. While killing, repeats until a scan finds none and none can have been missed: in
/// a chain where each process forks the next and exits, a scan may see only a process that is gone when the signal
/// arrives, or none at all. A signal to a group reaches all its members at once, whatever they fork, so groups are
/// remembered; orphans that rinit adopts are killed by the fastest scan.
fn send_below(rinit: Pid, own: Pid, signals: [Signal; 2]) -> Vec<Pid> {
    let until = clock::now().after(SWEEP_TIMEOUT);
    let kills = signals.contains(&Signal::KILL);
    let mut groups: Vec<Pid> = Vec::new();
    let mut empty_looks = 0;
    loop {
        let before = procfs::last_pid();
        let processes = procfs::all();
        let mut found = procfs::below(rinit, &processes);
        found.retain(|process| process.pid != own);
        let is_below = |pid: Pid| found.iter().any(|process| process.pid == pid);
        // A group with a foreign leader may have foreign members.
        let is_ours = |leader: Pid| is_below(leader) || processes.iter().all(|process| process.pid != leader);
        groups.extend(found.iter().map(|process| process.group));
        crate::text::sort::sort(&mut groups);
        groups.dedup();
        for signal in signals.map(|signal| i32::from(signal.number())) {
            for leader in groups.iter().filter(|leader| **leader > 1 && is_ours(**leader)) {
                let _ = send(-*leader, signal);
            }
            for process in found.iter().filter(|one| !is_ours(one.group) || signal == libc::SIGKILL) {
                let _ = send(process.pid, signal);
            }
        }
        empty_looks = if found.is_empty() { empty_looks + 1 } else { 0 };
        let nobody_new = before.is_some() && before == procfs::last_pid();
        let is_empty = found.is_empty() && (nobody_new || empty_looks >= MIN_EMPTY_LOOKS);
        if !kills || is_empty || clock::now() >= until {
            return found.iter().map(|process| process.pid).gather();
        }
        kill_adopted(rinit, own);
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Kills rinit's direct children repeatedly, from the kernel's own list: faster than most processes can fork.
fn kill_adopted(rinit: Pid, own: Pid) {
    for _ in 0..MAX_FAST_LOOKS {
        for pid in procfs::listed_children(rinit).into_iter().filter(|pid| *pid != own) {
            let _ = send(pid, libc::SIGKILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
    use std::process::{Child, Command};

    fn gone(child: &mut Child) -> bool {
        (0..2_000).any(|_| {
            std::thread::sleep(Duration::from_millis(1));
            child.try_wait().unwrap().is_some_and(|status| status.signal() == Some(libc::SIGKILL))
        })
    }

    /// A new process is still in its parent's group: probes survived a kill of their own group alone.
    #[test]
    fn a_tree_is_killed_before_it_has_a_group_of_its_own() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        tree(child.id().cast_signed());
        let gone = gone(&mut child);
        let _ = child.kill();
        assert!(gone);
    }

    /// An orphan is no longer below the tree, but still in its group.
    #[test]
    fn a_tree_is_killed_with_the_orphans_of_its_group() {
        let (mut read, write) = std::io::pipe().unwrap();
        let mut child = Command::new("sh")
            .args(["-c", "(sleep 10 & echo up); exec sleep 1000"])
            .process_group(0)
            .stdout(write)
            .spawn()
            .unwrap();
        let mut up = [0; 3];
        std::io::Read::read_exact(&mut read, &mut up).unwrap();
        let killed = clock::now();
        tree(child.id().cast_signed());
        assert!(gone(&mut child));
        // The orphan held the other end.
        assert_eq!(std::io::Read::read(&mut read, &mut up).unwrap(), 0);
        assert!(clock::now().since(killed) < Duration::from_secs(5));
    }
}
