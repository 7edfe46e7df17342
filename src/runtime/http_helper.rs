//! `[control] http`: the process that answers HTTP. PID 1 only listens for it, so that nobody is refused while another is
//! made, and makes it again when it dies.

use super::EventLoop;
use crate::cli::LogLevel;
use crate::control::ctl::http;
use crate::model::{Moment, Pid, Signal};
use crate::sys::event::clock;
use crate::sys::net::http_server;
use crate::sys::process::{fork, kill};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Between the start of one helper and that of the next.
const RESTART_INTERVAL: Duration = Duration::from_millis(500);

/// The helper, and what it serves at.
pub struct HttpHelper {
    listener: OwnedFd,
    socket: String,
    /// `None`: there is none, and one is to be made at `start_at`.
    pid: Option<Pid>,
    start_at: Moment,
    /// Sent to all that are left when the helper is gone; from then on there is no other.
    sweep: Option<Signal>,
    over: bool,
}

impl HttpHelper {
    /// Listens at an address. Why it cannot is one line for the user.
    pub fn open(address: &str, socket: &str) -> Result<Self, String> {
        let listener = http_server::listen(address).map_err(|error| {
            let why = crate::sys::errno(&error).desc();
            ["[control] http: cannot listen at ", address, " (", why, "): nobody answers there"].concat()
        })?;
        let socket = socket.to_string();
        Ok(Self { listener, socket, pid: None, start_at: Moment(0), sweep: None, over: false })
    }

    /// When one is to be made.
    fn deadline(&self) -> Option<Moment> {
        (self.pid.is_none() && !self.over).then_some(self.start_at)
    }

    fn start(&mut self, ignored: &[Signal]) {
        let parent = crate::sys::pid();
        self.start_at = clock::now().after(RESTART_INTERVAL);
        let Ok(copy) = self.listener.try_clone() else { return };
        let serve = || match http_server::settle(copy, c"rinit-http", parent) {
            Some(listener) => http::serve(listener, &self.socket),
            None => 1,
        };
        self.pid = fork::fork(ignored, serve).ok();
    }
}

impl EventLoop {
    /// When the helper is to be made.
    pub(super) fn helper_deadline(&self) -> Option<Moment> {
        self.runtime.http.as_ref().and_then(|helper| helper.deadline())
    }

    /// Makes the helper, if it is time.
    pub(super) fn look_at_helper(&mut self) {
        let Some(helper) = &mut self.runtime.http else { return };
        if helper.deadline().is_some_and(|moment| moment <= clock::now()) {
            helper.start(&self.runtime.starter.ignored);
        }
    }

    /// Whether it was the helper that has ended.
    pub(super) fn helper_ended(&mut self, pid: Pid) -> bool {
        let Some(helper) = self.runtime.http.as_mut().filter(|helper| helper.pid == Some(pid)) else {
            return false;
        };
        helper.pid = None;
        match helper.sweep.take() {
            Some(signal) => self.sweep(signal),
            None if helper.over => {}
            None => self.say(LogLevel::Debug, None, "the http helper has ended; another is made"),
        }
        true
    }

    /// Ends the helper before what is left is asked to stop: it is nobody's leftover. Whether that is to wait for its end.
    pub(super) fn end_helper(&mut self, signal: Signal) -> bool {
        let Some(helper) = &mut self.runtime.http else { return false };
        let is_first = !std::mem::replace(&mut helper.over, true);
        helper.sweep = None;
        let Some(pid) = helper.pid.filter(|_| is_first) else { return false };
        helper.sweep = Some(signal);
        let _ = kill::process(pid, &[Signal::KILL]);
        true
    }
}
