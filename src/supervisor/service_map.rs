//! Something about each service, looked up by its id, without a way to fail.

use crate::model::ServiceId;
use std::ops::{Index, IndexMut};

/// One `T` for each service, and one more for an id that names none: whoever asks for a service
/// that does not exist gets nobody, who is always off. So a look-up needs no case for a fault.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct ServiceMap<T> {
    rows: Box<[T]>,
    nobody: T,
}

impl<T> ServiceMap<T> {
    pub(super) fn new(rows: Vec<T>, nobody: T) -> Self {
        Self { rows: rows.into(), nobody }
    }

    /// All ids, in the list's order. Borrows nothing, so that the table can change meanwhile.
    pub(super) fn ids(&self) -> impl DoubleEndedIterator<Item = ServiceId> + use<T> {
        (0..u16::try_from(self.rows.len()).unwrap_or(u16::MAX)).map(ServiceId)
    }
}

/// A list of `T` for each service, all in one block: most are empty or short, and there may be many.
#[derive(Clone, Debug)]
pub(super) struct ServiceLists<T> {
    /// Where each list begins; one more for the end of the last.
    starts: Box<[u32]>,
    items: Box<[T]>,
}

impl<T: Copy> ServiceLists<T> {
    /// From pairs in any order, which are asked for twice; each list is in the order of its pairs.
    pub(super) fn new<I: Iterator<Item = (ServiceId, T)>>(count: usize, pairs: impl Fn() -> I) -> Self {
        let mut starts = vec![0_u32; count + 1].into_boxed_slice();
        for (id, _) in pairs() {
            starts.get_mut(id.index() + 1).into_iter().for_each(|length| *length += 1);
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut next = starts.clone();
        let mut items: Box<[T]> =
            pairs().next().map_or_else(Box::default, |(_, any)| vec![any; sum as usize].into());
        for (id, item) in pairs() {
            if let Some(next) = next.get_mut(id.index())
                && let Some(place) = items.get_mut(*next as usize)
            {
                *place = item;
                *next += 1;
            }
        }
        Self { starts, items }
    }
}

impl<T> Index<ServiceId> for ServiceLists<T> {
    type Output = [T];

    fn index(&self, id: ServiceId) -> &[T] {
        let start = |at| self.starts.get(at).map_or(0, |start: &u32| *start as usize);
        self.items.get(start(id.index())..start(id.index() + 1)).unwrap_or_default()
    }
}

/// A `T` for each service, of which many are equal: each is there once.
#[derive(Clone, Debug)]
pub(super) struct SharedMap<T> {
    distinct: Box<[T]>,
    of: ServiceMap<u16>,
    nobody: Box<T>,
}

/// With so many of the newest a value is compared: services that are alike stand side by side, and with all of them it
/// would take the square of their number.
const MAX_COMPARED: usize = 16;

impl<T: PartialEq + Clone> SharedMap<T> {
    pub(super) fn new(rows: Vec<T>, nobody: Box<T>) -> Self {
        // The first of each kind; and which of these each row is like.
        let (mut firsts, mut of) = (Vec::new(), Vec::with_capacity(rows.len()));
        for (at, row) in rows.iter().enumerate() {
            let like = |first: &usize| rows.get(*first) == Some(row);
            let back = firsts.iter().rev().take(MAX_COMPARED).position(like).unwrap_or_else(|| {
                firsts.push(at);
                0
            });
            of.push(u16::try_from(firsts.len() - 1 - back).unwrap_or(u16::MAX));
        }
        let distinct = firsts.iter().filter_map(|first| rows.get(*first).cloned()).collect();
        Self { distinct, of: ServiceMap::new(of, u16::MAX), nobody }
    }
}

impl<T> Index<ServiceId> for SharedMap<T> {
    type Output = T;

    fn index(&self, id: ServiceId) -> &T {
        self.distinct.get(usize::from(self.of[id])).unwrap_or(&self.nobody)
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
