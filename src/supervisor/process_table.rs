//! Maps pids to their owners, and keeps ends that were reported before their pid was known.

use crate::model::{ExitStatus, HookKind, Pid, ServiceId};

/// What rinit uses a process for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Owner {
    /// The first process of a service; it leads the service's group.
    Leader(ServiceId),
    /// A health probe of this service.
    Probe(ServiceId),
    /// A hook of this service.
    Hook(ServiceId, HookKind),
}

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct ProcessEnd {
    pub(super) outcome: ExitStatus,
    pub(super) group_left: bool,
}

/// The pids that belong to services, their probes and hooks.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Pids {
    /// Sorted by pid.
    known: Vec<(Pid, Owner)>,
    /// Ends of unknown processes. A child may die before its spawn is answered, so they are kept while any answer is
    /// outstanding.
    early: Vec<(Pid, ProcessEnd)>,
    /// Requested spawns and probes that are not answered yet.
    outstanding: usize,
}

impl Pids {
    /// Returns whether this pid belongs to a service, probe or hook.
    #[must_use]
    pub(super) fn knows(&self, pid: Pid) -> bool {
        self.find(pid).is_ok()
    }

    /// Returns the service whose first process this is.
    #[must_use]
    pub(super) fn leader(&self, pid: Pid) -> Option<ServiceId> {
        match self.known.get(self.find(pid).ok()?)?.1 {
            Owner::Leader(id) => Some(id),
            Owner::Probe(_) | Owner::Hook(..) => None,
        }
    }

    /// Counts a requested process.
    pub(super) fn ask(&mut self) {
        self.outstanding += 1;
    }

    /// Answers a request: the process is `pid`. Returns its end if that was reported before.
    #[must_use]
    pub(super) fn answer(&mut self, pid: Pid, owner: Owner) -> Option<ProcessEnd> {
        let early = self.answer_for_nobody(pid);
        if early.is_none() {
            self.adopt(pid, owner);
        }
        early
    }

    /// Registers a process that was not requested.
    pub(super) fn adopt(&mut self, pid: Pid, owner: Owner) {
        match self.find(pid) {
            Ok(at) => {
                // The kernel has reused the pid: its previous owner is gone.
                if let Some(entry) = self.known.get_mut(at) {
                    entry.1 = owner;
                }
            }
            Err(at) => self.known.insert(at, (pid, owner)),
        }
    }

    /// Like [`Self::answer`], for a process that is no longer wanted.
    #[must_use]
    pub(super) fn answer_for_nobody(&mut self, pid: Pid) -> Option<ProcessEnd> {
        let at = self.early.iter().position(|(early, _)| *early == pid);
        let early = at.map(|at| self.early.swap_remove(at).1);
        self.answer_without_process();
        early
    }

    /// Answers a request: no process was created.
    pub(super) fn answer_without_process(&mut self) {
        self.outstanding = self.outstanding.saturating_sub(1);
        if self.outstanding == 0 {
            self.early.clear();
        }
    }

    /// Returns the owner of an ended process. Keeps the end of an unknown pid while a request is outstanding.
    pub(super) fn ended(&mut self, pid: Pid, end: ProcessEnd) -> Option<Owner> {
        match self.find(pid) {
            Ok(at) => Some(self.known.remove(at).1),
            Err(_) => {
                if self.outstanding > 0 {
                    self.early.push((pid, end));
                }
                None
            }
        }
    }

    /// Forgets a pid; its end no longer matters.
    pub(super) fn forget(&mut self, pid: Pid) {
        if let Ok(at) = self.find(pid) {
            self.known.remove(at);
        }
    }

    /// Returns whether an early end of this pid is kept.
    #[cfg(test)]
    pub(super) fn has_early(&self, pid: Pid) -> bool {
        self.early.iter().any(|(early, _)| *early == pid)
    }

    /// Returns all known pids with their owners.
    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = (Pid, Owner)> {
        self.known.iter().copied()
    }

    fn find(&self, pid: Pid) -> Result<usize, usize> {
        self.known.binary_search_by_key(&pid, |(known, _)| *known)
    }
}
