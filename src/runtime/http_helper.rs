//! `[control] http`: the helper process that answers HTTP. PID 1 keeps the listening socket, so that connections queue
//! while the helper is restarted.

use super::EventLoop;
use crate::cli::LogLevel;
use crate::control::ctl::http;
use crate::model::{Moment, Pid, Signal};
use crate::sys::event::clock;
use crate::sys::net::http_server;
use crate::sys::process::{fork, kill};
use crate::text::template::fill;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// The minimum time between two starts of the helper.
const RESTART_INTERVAL: Duration = Duration::from_millis(500);

/// The helper and its listening socket.
pub struct HttpHelper {
    listener: OwnedFd,
    socket: String,
    /// `None`: not running; it is started at `start_at`.
    pid: Option<Pid>,
    start_at: Moment,
    /// A sweep that waits for the helper to end; then it is not restarted.
    sweep: Option<Signal>,
    over: bool,
}

impl HttpHelper {
    /// Listens on an address. The error is one line for the user.
    pub fn open(address: &str, socket: &str) -> Result<Self, String> {
        let listener = http_server::listen(address).map_err(|error| {
            let why = crate::sys::describe(crate::sys::errno(&error));
            fill!("[control] http: cannot listen at {} ({}): nobody answers there", address, why)
        })?;
        let socket = socket.to_string();
        Ok(Self { listener, socket, pid: None, start_at: Moment(0), sweep: None, over: false })
    }

    /// Returns when the helper is to be started.
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
    /// Returns when the helper is to be started.
    pub(super) fn helper_deadline(&self) -> Option<Moment> {
        self.runtime.http.as_ref().and_then(|helper| helper.deadline())
    }

    /// Starts the helper if it is due.
    pub(super) fn look_at_helper(&mut self) {
        let Some(helper) = &mut self.runtime.http else { return };
        if helper.deadline().is_some_and(|moment| moment <= clock::now()) {
            helper.start(&self.runtime.starter.ignored);
        }
    }

    /// Returns whether the ended process was the helper.
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

    /// Ends the helper before leftovers are asked to stop, since it is not one. Returns whether the sweep must wait
    /// for its end.
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
