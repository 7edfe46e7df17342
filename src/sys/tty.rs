//! The terminal, and job control in it (tcsetpgrp(3)).

use super::event::signals;
use crate::model::{Pid, Signal};

/// Returns the width of standard output in columns, if it is a terminal.
#[must_use]
pub fn columns() -> Option<usize> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel fills a structure of ours.
    let result = unsafe { libc::ioctl(1, libc::TIOCGWINSZ as _, &raw mut size) };
    (result == 0 && size.ws_col > 0).then(|| usize::from(size.ws_col))
}

/// Makes a process group the foreground group, if stdin is a terminal. rinit blocks SIGTTOU, so this works from the
/// background.
fn give_to(group: Pid) {
    // SAFETY: integers only; fails without a terminal, which does not matter.
    unsafe { libc::tcsetpgrp(0, group) };
}

/// The COMMAND has ended in the foreground and may be restarted: rinit's own group becomes the foreground group until
/// then. Otherwise a dead group would keep the terminal, and any reader would be stopped (SIGTTIN). As a job of a
/// shell, rinit never takes the terminal from that shell; as session leader, it has no such shell.
pub fn take_back(group: Pid) {
    // SAFETY: integers only; fails without a terminal.
    let (front, own) = unsafe { (libc::tcgetpgrp(0), libc::getpgrp()) };
    let is_front = |group| front == group && front > 0;
    // rinit's group belongs to an outer PID namespace and has no number here: create a group of its own.
    let own = if own == 0 && is_front(group) {
        // SAFETY: integers only.
        unsafe { libc::setpgid(0, 0) };
        super::pid()
    } else {
        own
    };
    // SAFETY: integers only.
    let leads = front > 0 && unsafe { libc::getsid(0) } == super::pid();
    if !is_front(own) && (is_front(group) || leads) {
        give_to(own);
    }
}

/// Detaches from the controlling terminal, so that the COMMAND's own session can acquire it. When a session leader
/// detaches, the kernel sends it HUP and CONT, which are not for the COMMAND.
pub fn let_go() -> LetGo {
    // SAFETY: integers only; fails without a terminal, which does not matter.
    if unsafe { libc::ioctl(0, libc::TIOCNOTTY as _) } != 0 {
        return LetGo::NoTerminal;
    }
    // SAFETY: integers only.
    if unsafe { libc::getsid(0) } != super::pid() {
        return LetGo::Member;
    }
    signals::drop_pending(&[Signal::HUP, Signal::CONT]);
    LetGo::Leader
}

/// rinit's relation to the terminal that it has detached from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LetGo {
    /// There was none.
    NoTerminal,
    /// Another process leads the session.
    Member,
    /// rinit led the session; the HUP and CONT that it got were discarded.
    Leader,
}

/// The COMMAND was stopped in the terminal, and rinit is a job of a shell: stops rinit too, so that the shell takes
/// over. When the shell continues rinit, the COMMAND continues in the foreground.
pub fn stop_with(group: Pid) {
    // SAFETY: no arguments.
    let own = unsafe { libc::getpgrp() };
    // SAFETY: integers only.
    if unsafe { libc::tcgetpgrp(0) } != group {
        return; // not in the foreground of rinit's terminal: somebody else's business
    }
    give_to(own);
    signals::stop_self();
    // SAFETY: integers only. `bg` leaves the terminal with the shell.
    if unsafe { libc::tcgetpgrp(0) } == own {
        give_to(group);
    }
    let _ = super::process::kill::group(group, &[Signal::CONT]);
}

/// The COMMAND was stopped by Ctrl-Z, and there is no shell above rinit that could continue it (a container's
/// terminal): continues it.
pub fn undo_stop(group: Pid) {
    // SAFETY: integers only.
    if unsafe { libc::tcgetpgrp(0) } == group {
        let _ = super::process::kill::group(group, &[Signal::CONT]);
    }
}
