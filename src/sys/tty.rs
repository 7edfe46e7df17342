//! The terminal, and jobs in it (tcsetpgrp(3)).

use super::event::signals;
use crate::model::{Pid, Signal};

/// How many columns standard output shows, where it is a terminal.
#[must_use]
pub fn columns() -> Option<usize> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel fills a structure of ours.
    let result = unsafe { libc::ioctl(1, libc::TIOCGWINSZ as _, &raw mut size) };
    (result == 0 && size.ws_col > 0).then(|| usize::from(size.ws_col))
}

/// Hands the terminal, if stdin is one, to a process group. SIGTTOU is blocked in rinit, so this works from the background.
fn give_to(group: Pid) {
    // SAFETY: integers only; without a terminal it is an error that means nothing.
    unsafe { libc::tcsetpgrp(0, group) };
}

/// The COMMAND, which was in the foreground, has ended and may be started again: rinit's own group has the terminal
/// meanwhile, and gives it to the next run. A dead group would own it for ever, and who reads from it as another is
/// stopped (SIGTTIN). A job of a shell above rinit never takes what that shell has; where rinit leads the session there is none.
pub fn take_back(group: Pid) {
    // SAFETY: integers only; without a terminal the first is an error.
    let (front, own) = unsafe { (libc::tcgetpgrp(0), libc::getpgrp()) };
    let is_front = |group| front == group && front > 0;
    // A group of a PID namespace outside has no number here, and nothing can be given to it: it gets one of rinit's own.
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

/// Lets go of the controlling terminal, so that the COMMAND can take it into a session of its own. To the leader
/// of a session that lets go the kernel sends HUP and CONT, which are not for the COMMAND.
pub fn let_go() -> LetGo {
    // SAFETY: integers only; without a terminal it is an error that means nothing.
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

/// How rinit stood to the terminal that it has let go of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LetGo {
    /// There was none.
    NoTerminal,
    /// Another process leads the session.
    Member,
    /// The session was rinit's, which got HUP and CONT; they were thrown away.
    Leader,
}

/// The COMMAND was stopped in the terminal, and rinit is a job of some shell: rinit stops too, so that the shell
/// takes over, and when the shell continues rinit, the COMMAND goes on in the foreground.
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

/// The COMMAND was stopped by Ctrl-Z, and above rinit there is no shell that could ever continue it (a container's
/// terminal): it goes on.
pub fn undo_stop(group: Pid) {
    // SAFETY: integers only.
    if unsafe { libc::tcgetpgrp(0) } == group {
        let _ = super::process::kill::group(group, &[Signal::CONT]);
    }
}
