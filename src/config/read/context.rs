//! What all tables of one reading share.

use super::interpolate::Scope;
use crate::config::source::diagnostic::{At, Fault, MANY};
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
        self.faults.borrow_mut().extend(faults);
    }

    /// Notes a fault.
    pub fn fault(&self, at: At, message: String) {
        self.faults.borrow_mut().push(Fault { at: Some(at), message });
    }

    /// Whether there are so many faults that a hint on one more would only take time.
    #[must_use]
    pub fn has_many(&self) -> bool {
        self.faults.borrow().len() >= MANY
    }

    /// All faults, in the order of the files.
    #[must_use]
    pub fn into_faults(self) -> Vec<Fault> {
        let mut faults = self.faults.into_inner();
        crate::text::sort::sort(&mut faults);
        // `[defaults]` is read once for each service; its faults are told once.
        faults.dedup();
        faults
    }
}
