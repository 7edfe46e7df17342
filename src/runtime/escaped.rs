//! `kill_mode = "all"`: tracks the processes that have left their service's group, by a cgroup of its own where that can
//! be made, by session and descent, and by a mark that they inherit.

use super::EventLoop;
use crate::model::{KillMode, Pid, ServiceId, Signal};
use crate::service::launcher::Fence;
use crate::sys::container::service_cgroup::ServiceCgroup;
use crate::sys::process::{kill, procfs, rlimits};

/// The known processes that have left the group of one first process.
pub(super) struct Escaped {
    leader: Pid,
    /// Each with its start time, so that a reused pid is not hit.
    processes: Vec<(Pid, u64)>,
    service: ServiceId,
    /// Where all of them are.
    cgroup: Option<ServiceCgroup>,
}

impl Escaped {
    pub(super) fn is_of(&self, leader: Pid) -> bool {
        self.leader == leader
    }

    /// The main process of its service is another one from now on.
    pub(super) fn change_main(&mut self, service: ServiceId, main: Pid) {
        if self.service == service {
            self.leader = main;
        }
    }
}

impl EventLoop {
    /// How the processes of a service's next run are to be known, if it matters.
    pub(super) fn fence(&self, service: ServiceId) -> (Option<Fence>, Option<ServiceCgroup>) {
        let Some(found) = self.runtime.services.get(service.index()).filter(|_| self.is_all(service)) else {
            return (None, None);
        };
        let cgroup = ServiceCgroup::make(&found.name);
        let entry = cgroup.as_ref().and_then(ServiceCgroup::entry);
        (Some(Fence { cgroup: entry, mark: rlimits::marking(service) }), cgroup)
    }

    fn is_all(&self, service: ServiceId) -> bool {
        self.runtime.core.rules(service).kill_mode == KillMode::All
    }

    pub(super) fn keep_fence(&mut self, leader: Pid, service: ServiceId, cgroup: Option<ServiceCgroup>) {
        if self.is_all(service) {
            self.escaped.retain(|known| !known.is_of(leader));
            self.escaped.push(Escaped { leader, processes: Vec::new(), service, cgroup });
        }
    }

    /// Leaves no cgroup behind.
    pub(super) fn remove_cgroups(&self) {
        for (id, service) in (0..).map(ServiceId).zip(&*self.runtime.services) {
            if self.is_all(id) {
                ServiceCgroup::remove(&service.name);
            }
        }
    }

    /// Returns whether any process of the service with this first process, which was reaped, is left.
    pub(super) fn is_left(&mut self, leader: Pid) -> bool {
        let is_left = self.survey(leader) || self.any_group_outlives(leader);
        if !is_left {
            self.escaped.retain(|known| !known.is_of(leader));
        }
        is_left
    }

    /// Scans for processes that have left the group; returns whether there are any.
    pub(super) fn survey(&mut self, leader: Pid) -> bool {
        let known = self.escaped.iter().position(|escaped| escaped.is_of(leader)).or_else(|| {
            // Another process has become the main one (`pid_file`, MAINPID).
            let service = self.runtime.core.service_of(leader)?;
            self.escaped.iter().position(|escaped| escaped.service == service)
        });
        let Some(known) = known.and_then(|at| self.escaped.get_mut(at)) else { return false };
        known.leader = leader;
        let members = known.cgroup.as_ref().map(ServiceCgroup::processes).unwrap_or_default();
        let mark = rlimits::mark(known.service);
        known.processes = procfs::escaped(leader, &known.processes, &members, mark);
        !known.processes.is_empty()
    }

    pub(super) fn signal_escaped(&mut self, leader: Pid, signals: &[Signal]) {
        self.survey(leader);
        let Some(found) = self.escaped.iter().find(|escaped| escaped.leader == leader) else { return };
        if let Some(cgroup) = found.cgroup.as_ref().filter(|_| signals.contains(&Signal::KILL)) {
            cgroup.kill();
        }
        for (pid, _) in &found.processes {
            let _ = kill::process(*pid, signals);
        }
    }
}
