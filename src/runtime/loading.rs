//! Processes that have not loaded their programs yet, because of a slow file system.
//!
//! The kernel notifies only a blocked waiter when such a process leaves rinit's memory, so rinit polls: soon at first,
//! then at growing intervals.

use super::EventLoop;
use crate::model::{Moment, Pid, ServiceId};
use crate::supervisor::ServiceStatus;
use crate::sys::event::clock;
use crate::sys::fs::files;
use crate::sys::process::spawn::{Loading, LoadingStep};
use crate::text::template::fill;
use std::time::Duration;

const MIN_LOOK: Duration = Duration::from_millis(1);
const MAX_LOOK: Duration = Duration::from_secs(1);

/// A process that is still loading.
pub(super) struct LoadingStart {
    loading: Loading<'static>,
    /// Its service; `None`: a probe.
    service: Option<ServiceId>,
    since: Moment,
    look: Moment,
    stopped: bool,
}

impl EventLoop {
    pub(super) fn load(&mut self, loading: Loading<'static>, service: Option<ServiceId>) {
        let now = clock::now();
        self.loads.push(LoadingStart {
            loading,
            service,
            since: now,
            look: now.after(MIN_LOOK),
            stopped: false,
        });
    }

    /// Returns when the next check is due.
    pub(super) fn next_look(&self) -> Option<Moment> {
        self.loads.iter().map(|load| load.look).min()
    }

    /// Checks which processes have loaded their programs.
    pub(super) fn look_at_loads(&mut self) {
        let now = clock::now();
        let mut at = 0;
        while let Some(load) = self.loads.get_mut(at) {
            if load.look > now {
                at += 1;
                continue;
            }
            // A failed one is about to be reaped.
            if load.loading.has_left() && !load.loading.has_failed() {
                let load = self.loads.swap_remove(at);
                self.end_of_load(load);
            } else {
                load.look = now.after((now.since(load.since) / 4).clamp(MIN_LOOK, MAX_LOOK));
                at += 1;
            }
        }
    }

    /// Reports programs that are loaded by now before a signal is handled: a stop kills a process that is still
    /// loading without asking it to stop.
    pub(super) fn look_before_a_signal(&mut self) {
        let mut at = 0;
        while let Some(LoadingStart { loading, .. }) = self.loads.get(at) {
            // One that is not yet reported to the supervisor comes later, in order.
            if loading.has_left() && !loading.has_failed() && self.runtime.core.knows(loading.pid()) {
                let load = self.loads.swap_remove(at);
                let before = self.events.len();
                self.end_of_load(load);
                for event in self.events.split_off(before) {
                    self.step(event);
                }
            } else {
                at += 1;
            }
        }
    }

    /// A process was reaped. Returns whether it never ran its program, so that nothing else is to do.
    pub(super) fn load_ended(&mut self, pid: Pid) -> bool {
        let Some(at) = self.loads.iter().position(|load| load.loading.pid() == pid) else { return false };
        let load = self.loads.swap_remove(at);
        let failed = load.loading.has_failed() && load.service.is_some();
        if failed {
            self.end_of_load(load);
        } else {
            // A probe just ends as failed, as does a killed process.
            let _ = load.loading.finish();
        }
        failed
    }

    fn end_of_load(&mut self, load: LoadingStart) {
        let pid = load.loading.pid();
        let Some(service) = load.service.filter(|_| self.runtime.core.knows(pid)) else {
            let _ = load.loading.finish();
            return;
        };
        let started = self.runtime.starter.finish(load.loading);
        self.started(service, started);
    }

    pub(super) fn load_stopped(&mut self, pid: Pid) {
        if let Some(load) = self.loads.iter_mut().find(|load| load.loading.pid() == pid) {
            load.stopped = true;
        }
    }

    /// Returns what a service's process waits for while it is still loading.
    pub(super) fn why_slow(&self, service: ServiceId) -> Option<String> {
        let load = self.loads.iter().find(|load| load.service == Some(service))?;
        if self.runtime.core.state_of(service) != ServiceStatus::Starting {
            return None;
        }
        if load.stopped {
            let pid = load.loading.pid();
            return Some(format!(
                "its process was stopped (SIGSTOP) before it had loaded it; kill -CONT {pid} lets it go on"
            ));
        }
        let (path, what) = match load.loading.step() {
            LoadingStep::Setup => return None,
            LoadingStep::Directory(path) => (path, "the working directory"),
            LoadingStep::Exec(path) => (path, "the program, its directory, or its interpreter"),
        };
        let leased = files::system_text("/proc/locks").is_ok_and(|text| text.contains("BREAKING"));
        let or = if leased {
            ", or waits for who has a lease on it (fcntl F_SETLEASE; see /proc/locks)"
        } else {
            ""
        };
        Some(fill!("no answer from the file system under {} ({}){}", path.to_string_lossy(), what, or))
    }
}
