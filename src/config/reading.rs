//! What all tables of one reading share.

use super::expand::Scope;
use super::fault::{At, Fault};
use std::cell::{Cell, RefCell};

/// What all tables of one reading share: what variables mean, and the faults found so far.
pub struct Reading<'a> {
    /// What `${NAME}` means.
    pub scope: Scope<'a>,
    faults: RefCell<Vec<Fault>>,
    lenient: Cell<bool>,
}

impl<'a> Reading<'a> {
    /// Begins a reading.
    #[must_use]
    pub fn new(scope: Scope<'a>) -> Self {
        Self { scope, faults: RefCell::default(), lenient: Cell::new(false) }
    }

    /// From here on an unset variable is no fault, and what needs it reads as `None`: for a service that is off.
    pub fn forgive_unset(&self) {
        self.lenient.set(true);
    }

    /// Whether [`Reading::forgive_unset`] holds.
    #[must_use]
    pub fn forgives(&self) -> bool {
        self.lenient.get()
    }

    /// Takes over the faults of another reading of the same files.
    pub fn absorb(&self, faults: Vec<Fault>) {
        for fault in faults {
            self.note(fault);
        }
    }

    /// Notes a fault.
    pub fn fault(&self, at: At, message: String) {
        self.note(Fault { at: Some(at), message });
    }

    fn note(&self, fault: Fault) {
        let mut faults = self.faults.borrow_mut();
        // `[defaults]` is read once for each service; its faults are told once.
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    }

    /// All faults, in the order of the files.
    #[must_use]
    pub fn into_faults(self) -> Vec<Fault> {
        let mut faults = self.faults.into_inner();
        faults.sort_by_key(|fault| fault.at.map(|at| (at.file, at.start)));
        faults
    }
}
