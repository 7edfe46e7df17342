//! Whose process is this? Known pids, and ends that came before their pid was known.

use crate::model::{ExitStatus, Pid, ServiceId};

/// What a process is to rinit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Owner {
    /// The first process of a service, which leads its group.
    Leader(ServiceId),
    /// A probe of its health.
    Probe(ServiceId),
}

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct ProcessEnd {
    pub(super) outcome: ExitStatus,
    pub(super) group_left: bool,
}

/// The processes that belong to somebody.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Pids {
    /// Sorted by pid.
    known: Vec<(Pid, Owner)>,
    /// Ends of processes that nobody knows. A child may die before the answer that names it, so
    /// these are kept as long as any answer is outstanding.
    early: Vec<(Pid, ProcessEnd)>,
    /// Spawns and probes that were asked for and not yet answered.
    outstanding: usize,
}

impl Pids {
    /// Whether an end of this process would mean something.
    #[must_use]
    pub(super) fn knows(&self, pid: Pid) -> bool {
        self.find(pid).is_ok()
    }

    /// Whose first process it is.
    #[must_use]
    pub(super) fn leader(&self, pid: Pid) -> Option<ServiceId> {
        match self.known.get(self.find(pid).ok()?)?.1 {
            Owner::Leader(id) => Some(id),
            Owner::Probe(_) => None,
        }
    }

    /// A process was asked for.
    pub(super) fn ask(&mut self) {
        self.outstanding += 1;
    }

    /// The answer came: the process is `pid`. Its end, if that came before.
    #[must_use]
    pub(super) fn answer(&mut self, pid: Pid, owner: Owner) -> Option<ProcessEnd> {
        let early = self.answer_for_nobody(pid);
        if early.is_none() {
            self.adopt(pid, owner);
        }
        early
    }

    /// A process that nobody asked for belongs to somebody.
    pub(super) fn adopt(&mut self, pid: Pid, owner: Owner) {
        match self.find(pid) {
            Ok(at) => {
                // The kernel gives a pid only once: what had it before is gone.
                if let Some(entry) = self.known.get_mut(at) {
                    entry.1 = owner;
                }
            }
            Err(at) => self.known.insert(at, (pid, owner)),
        }
    }

    /// As [`Self::answer`], when nobody wants the process any more.
    #[must_use]
    pub(super) fn answer_for_nobody(&mut self, pid: Pid) -> Option<ProcessEnd> {
        let at = self.early.iter().position(|(early, _)| *early == pid);
        let early = at.map(|at| self.early.swap_remove(at).1);
        self.answer_without_process();
        early
    }

    /// The answer came: there is no process.
    pub(super) fn answer_without_process(&mut self) {
        self.outstanding = self.outstanding.saturating_sub(1);
        if self.outstanding == 0 {
            self.early.clear();
        }
    }

    /// A process ended: whose it was. An end that means nothing yet is kept while it still may.
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

    /// Whatever becomes of this process concerns nobody any more.
    pub(super) fn forget(&mut self, pid: Pid) {
        if let Ok(at) = self.find(pid) {
            self.known.remove(at);
        }
    }

    /// Whether an end of this process is kept.
    #[cfg(test)]
    pub(super) fn has_early(&self, pid: Pid) -> bool {
        self.early.iter().any(|(early, _)| *early == pid)
    }

    /// All that an end would mean something of.
    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = (Pid, Owner)> {
        self.known.iter().copied()
    }

    fn find(&self, pid: Pid) -> Result<usize, usize> {
        self.known.binary_search_by_key(&pid, |(known, _)| *known)
    }
}
