//! Sending signals: to one process, to a group, to all that is left.
//!
//! Root of a container may have been denied the right to signal the processes of others (CAP_KILL, which
//! `--cap-drop ALL` takes), while it has the right to become another, without which there would be none of them. A
//! stop that cannot be asked for would be a kill, so rinit then sends in the name of those whom it concerns.

use super::procfs::{self, Process};
use super::{caps, status};
use crate::model::{Pid, Signal};
use crate::sys::Errno;
use crate::sys::event::clock;
use crate::sys::fs::files;
use crate::text::gather::Gather;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

/// How often a tree of processes is looked through for those that it has made meanwhile.
const MAX_PASSES: usize = 16;

/// How long the sweep goes on to look for processes that others make while it kills.
const SWEEP_TIMEOUT: Duration = Duration::from_secs(1);

/// How many looks in a row find nobody before nobody is left, where others make processes too.
const MIN_EMPTY_LOOKS: u32 = 10;

/// How many looks at rinit's own children follow one at everybody.
const MAX_FAST_LOOKS: usize = 50;

/// The users that services were started as: whom their processes belong to, where no /proc tells it.
static SERVICE_USERS: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// Keeps in mind that a process is to have this user.
pub fn remember_user(uid: u32) {
    if let Ok(mut known) = SERVICE_USERS.lock()
        && !known.contains(&uid)
    {
        known.push(uid);
    }
}

/// kill(2) on one process, with one signal after the other.
pub fn process(pid: Pid, signals: &[Signal]) -> Result<(), Errno> {
    raw(pid, signals)
}

/// kill(2) on a process group, with one signal after the other.
pub fn group(leader: Pid, signals: &[Signal]) -> Result<(), Errno> {
    raw(-leader, signals)
}

/// Whether a process group has a member although its leader was reaped, dead ones that nobody reaped included. The
/// kernel gives the leader's number to a new process only when the group is empty: where there is such a process, the
/// group is gone, and the number is a stranger's.
#[must_use]
pub fn group_outlives(leader: Pid) -> bool {
    send(-leader, 0) != Err(Errno::ESRCH) && send(leader, 0) == Err(Errno::ESRCH)
}

/// Kills a process, its group, and all below it, those in sessions of their own too. It is stopped first, so that it
/// starts nothing new. Nobody is waited for.
pub fn tree(root: Pid) {
    let _ = send(root, libc::SIGSTOP);
    if procfs::may_have_children(root) {
        kill_below(root);
    }
    let _ = group(root, &[Signal::KILL]);
    let _ = process(root, &[Signal::KILL]);
}

/// Kills all below a process until a look finds nobody.
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
        // The first is what matters: CONT is refused to nobody in the same session.
        sent = sent.and(send(target, i32::from(signal.number())));
    }
    // Of a group that was not refused as a whole some may not have been reached.
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
    // SAFETY: kill takes no memory.
    Errno::result(unsafe { libc::kill(target, signal) }).map(drop)
}

/// Whether rinit may become another user and may not signal others' processes. That stays as it is.
fn is_denied() -> bool {
    static DENIED: OnceLock<bool> = OnceLock::new();
    *DENIED.get_or_init(|| {
        let rights = caps::effective();
        !caps::has(rights, "KILL") && caps::has(rights, "SETUID")
    })
}

/// In a process that will do nothing else: signals those that are meant and belong to other users than rinit, each with
/// the rights of its user (kill(2): the sender's effective user is to be the receiver's real one). Without a /proc that
/// tells whose they are, `target`, as kill(2) takes it, in the name of each user that a service has.
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

/// Sends with the rights of `user`, and is `own` again.
fn send_as(user: u32, own: u32, target: Pid, signals: &[Signal]) {
    // SAFETY: integers only. The way back is the real and the saved user, which stay.
    unsafe {
        if libc::seteuid(user) == 0 {
            for signal in signals {
                libc::kill(target, i32::from(signal.number()));
            }
            libc::seteuid(own);
        }
    }
}

/// Lets a child of rinit's do it, which is reaped like any other.
fn in_a_child(work: &dyn Fn()) {
    // SAFETY: rinit is single-threaded, so the child may do anything; it only sends signals and ends.
    match unsafe { libc::fork() } {
        0 => {
            work();
            // SAFETY: ends the child at once, without exit handlers.
            unsafe { libc::_exit(0) }
        }
        // No process to be had: then rinit does it itself.
        -1 => work(),
        _ => {}
    }
}

/// Sends a signal to every process that is left below rinit: as PID 1 to everybody in the namespace,
/// otherwise to every descendant. A child of rinit does it, for kill(-1, SIGKILL) can block on a process
/// in uninterruptible sleep; it is reaped like any other. SIGCONT follows, so that a stopped process can take it.
pub fn everything(signal: Signal) {
    let rinit = crate::sys::pid();
    in_a_child(&|| send_to_all(rinit, [signal, Signal::CONT]));
}

fn send_to_all(rinit: Pid, signals: [Signal; 2]) {
    let own = crate::sys::pid();
    let below = if rinit == 1 {
        for signal in signals {
            // SAFETY: kill takes no memory; -1 spares the caller and PID 1.
            unsafe { libc::kill(-1, i32::from(signal.number())) };
        }
        Vec::new()
    } else {
        send_below(rinit, own, signals)
    };
    if is_denied() {
        let spared = |pid| pid == rinit || pid == own;
        // Not PID 1 and without /proc, nobody is known to be below: no process has this number.
        let target = if rinit == 1 { -1 } else { Pid::MAX };
        in_their_names(&|one| !spared(one.pid) && (rinit == 1 || below.contains(&one.pid)), target, &signals);
    }
}

/// Sends to everybody below rinit. Processes that make others while it looks are killed again and again, until nobody is
/// found and none can have been missed: of a chain, in which each makes the next and ends, a look may see one that is gone
/// when the signal comes, or nobody at all. A whole group is reached at one moment, whatever its members make in it, so a
/// group is kept in mind; those that a dead parent left to rinit are looked for where that is fastest.
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
        // A group whose leader is somebody else's may have members that are.
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

/// Kills the children of rinit, which the kernel lists at once, a number of times: faster than most can fork.
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

    /// One that has just been made is in its parent's group still: probes survived that were killed by their group alone.
    #[test]
    fn a_tree_is_killed_before_it_has_a_group_of_its_own() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        tree(child.id().cast_signed());
        let gone = gone(&mut child);
        let _ = child.kill();
        assert!(gone);
    }

    /// Whose parent has ended is below the tree no longer, but in its group.
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
