//! Sending signals: to one process, to a group, to all that is left.
//!
//! Root of a container may have been denied the right to signal the processes of others (CAP_KILL, which
//! `--cap-drop ALL` takes), while it has the right to become another, without which there would be none of them. A
//! stop that cannot be asked for would be a kill, so rinit then sends in the name of those whom it concerns.

use super::procs::{self, Process};
use super::{Errno, caps, files, status};
use crate::model::{Pid, Signal};
use std::sync::OnceLock;

/// kill(2) on one process, with one signal after the other.
pub fn process(pid: Pid, signals: &[Signal]) -> Result<(), Errno> {
    raw(pid, signals)
}

/// kill(2) on a process group, with one signal after the other.
pub fn group(leader: Pid, signals: &[Signal]) -> Result<(), Errno> {
    raw(-leader, signals)
}

/// Whether a process group has a member, dead ones that nobody reaped included.
#[must_use]
pub fn group_exists(leader: Pid) -> bool {
    send(-leader, 0) != Err(Errno::ESRCH)
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
        in_a_child(&|| in_their_names(&meant, signals));
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
        let status = files::system_text("/proc/self/status").unwrap_or_default();
        let rights = status::number(&status, "CapEff:", 16).unwrap_or(0);
        let may = |right| caps::number(right).is_some_and(|bit| rights >> bit & 1 == 1);
        !may("KILL") && may("SETUID")
    })
}

/// In a process that will do nothing else: signals those that are meant and belong to other users than rinit, each with
/// the rights of its user (kill(2): the sender's effective user is to be the receiver's real one).
fn in_their_names(meant: &dyn Fn(&Process) -> bool, signals: &[Signal]) {
    // SAFETY: no arguments.
    let own = unsafe { libc::getuid() };
    for process in procs::all().into_iter().filter(|one| meant(one)) {
        let text = files::system_text(&format!("/proc/{}/status", process.pid)).unwrap_or_default();
        let user =
            status::field(&text, "Uid:").and_then(|users| users.split_whitespace().next()?.parse().ok());
        let Some(user) = user.filter(|user| *user != own) else { continue };
        // SAFETY: integers only. The way back is the real and the saved user, which stay.
        unsafe {
            if libc::seteuid(user) == 0 {
                for signal in signals {
                    libc::kill(process.pid, i32::from(signal.number()));
                }
                libc::seteuid(own);
            }
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
    let rinit = super::pid();
    in_a_child(&|| send_to_all(rinit, [signal, Signal::CONT]));
}

fn send_to_all(rinit: Pid, signals: [Signal; 2]) {
    let own = super::pid();
    let below = if rinit == 1 { vec![-1] } else { procs::descendants(rinit) };
    for target in below.iter().filter(|pid| ![rinit, own].contains(pid)) {
        for signal in signals {
            // SAFETY: kill takes no memory; -1 spares the caller and PID 1.
            unsafe { libc::kill(*target, i32::from(signal.number())) };
        }
    }
    if is_denied() {
        let spared = |pid| pid == rinit || pid == own;
        in_their_names(&|one| !spared(one.pid) && (rinit == 1 || below.contains(&one.pid)), &signals);
    }
}
