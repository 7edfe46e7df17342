//! What all tables of one reading share.

use super::interpolate::Scope;
use crate::config::source::diagnostic::{Diagnostic, MAX_DIAGNOSTICS, Span};
use std::cell::{Cell, RefCell};

/// What all tables of one reading share: what variables mean, and the faults found so far.
pub struct ReadContext<'a> {
    /// What `${NAME}` means.
    pub scope: Scope<'a>,
    faults: RefCell<Vec<Diagnostic>>,
    lenient: Cell<bool>,
}

impl<'a> ReadContext<'a> {
    /// Begins a reading.
    #[must_use]
    pub fn new(scope: Scope<'a>) -> Self {
        Self { scope, faults: RefCell::default(), lenient: Cell::new(false) }
    }

    /// From here on an unset variable is no fault, and what needs it reads as `None`: for a service that is off.
    pub fn forgive_unset(&self) {
        self.lenient.set(true);
    }

    /// Whether [`ReadContext::forgive_unset`] holds.
    #[must_use]
    pub fn forgives(&self) -> bool {
        self.lenient.get()
    }

    /// Takes over the faults of another reading of the same files.
    pub fn absorb(&self, faults: Vec<Diagnostic>) {
        self.faults.borrow_mut().extend(faults);
    }

    /// Notes a fault.
    pub fn fault(&self, at: Span, message: String) {
        self.faults.borrow_mut().push(Diagnostic { at: Some(at), message });
    }

    /// Whether there are so many faults that a hint on one more would only take time.
    #[must_use]
    pub fn has_many(&self) -> bool {
        self.faults.borrow().len() >= MAX_DIAGNOSTICS
    }

    /// All faults, in the order of the files.
    #[must_use]
    pub fn into_faults(self) -> Vec<Diagnostic> {
        let mut faults = self.faults.into_inner();
        crate::text::sort::sort(&mut faults);
        // `[defaults]` is read once for each service; its faults are told once.
        faults.dedup();
        faults
    }
}
