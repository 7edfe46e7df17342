//! `kill_mode = "all"`: tracks the processes that have left their service's group.

use super::EventLoop;
use crate::model::{KillMode, Pid, Signal};
use crate::sys::process::{kill, procfs};

/// The known processes that have left the group of one first process.
pub(super) struct Escaped {
    leader: Pid,
    /// Each with its start time, so that a reused pid is not hit.
    processes: Vec<(Pid, u64)>,
}

impl EventLoop {
    /// Returns whether any process of the service with this first process is left.
    pub(super) fn is_left(&mut self, leader: Pid) -> bool {
        self.survey(leader) || kill::group_outlives(leader)
    }

    /// Scans for processes that have left the group; returns whether there are any.
    pub(super) fn survey(&mut self, leader: Pid) -> bool {
        let known = self.escaped.iter().position(|escaped| escaped.leader == leader);
        let service = self.runtime.core.service_of(leader);
        let all = service.is_some_and(|id| self.runtime.core.rules(id).kill_mode == KillMode::All);
        // After the first process has ended its service is unknown, but what was seen before is still valid.
        if known.is_none() && !all {
            return false;
        }
        let known = known.map(|at| self.escaped.swap_remove(at).processes).unwrap_or_default();
        let processes = procfs::escaped(leader, &known);
        let left = !processes.is_empty();
        if left {
            self.escaped.push(Escaped { leader, processes });
        }
        left
    }

    pub(super) fn signal_escaped(&mut self, leader: Pid, signals: &[Signal]) {
        self.survey(leader);
        let Some(found) = self.escaped.iter().find(|escaped| escaped.leader == leader) else { return };
        for (pid, _) in &found.processes {
            let _ = kill::process(*pid, signals);
        }
    }
}
