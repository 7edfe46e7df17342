//! Something about each service, looked up by its id, without a way to fail.

use crate::model::ServiceId;
use std::ops::{Index, IndexMut};

/// One `T` for each service, and one more for an id that names none: whoever asks for a service
/// that does not exist gets nobody, who is always off. So a look-up needs no case for a fault.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct ServiceMap<T> {
    rows: Vec<T>,
    nobody: T,
}

impl<T> ServiceMap<T> {
    pub(super) fn new(rows: Vec<T>, nobody: T) -> Self {
        Self { rows, nobody }
    }

    /// All ids, in the list's order. Borrows nothing, so that the table can change meanwhile.
    pub(super) fn ids(&self) -> impl DoubleEndedIterator<Item = ServiceId> + use<T> {
        (0..u16::try_from(self.rows.len()).unwrap_or(u16::MAX)).map(ServiceId)
    }
}

impl<T> Index<ServiceId> for ServiceMap<T> {
    type Output = T;

    fn index(&self, id: ServiceId) -> &T {
        self.rows.get(id.index()).unwrap_or(&self.nobody)
    }
}

impl<T> IndexMut<ServiceId> for ServiceMap<T> {
    fn index_mut(&mut self, id: ServiceId) -> &mut T {
        self.rows.get_mut(id.index()).unwrap_or(&mut self.nobody)
    }
}
