//! The COMMAND in a terminal.

use super::EventLoop;
use crate::model::{Pid, Signal};
use crate::sys::tty;

impl EventLoop {
    /// A child was stopped. This matters for the COMMAND in a terminal: the shell above rinit takes over; without such
    /// a shell nobody could continue it.
    pub(super) fn stopped(&mut self, pid: Pid, signal: Signal) {
        self.load_stopped(pid);
        if self.main_pid != Some(pid) {
            return;
        }
        match (crate::sys::pid(), signal) {
            (1, Signal::TSTP) => tty::undo_stop(pid),
            (1, _) => {}
            (_, Signal::TSTP | Signal::TTIN | Signal::TTOU | Signal::STOP) => tty::stop_with(pid),
            (_, _) => {}
        }
    }
}
