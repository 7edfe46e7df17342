//! Tables indexed by service id, with lookups that cannot fail.

use crate::model::ServiceId;
use std::ops::{Index, IndexMut};

/// One `T` per service, plus one for invalid ids: a lookup of a service that does not exist finds this entry, which is
/// always off. So callers need no error case.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct ServiceMap<T> {
    rows: Box<[T]>,
    nobody: T,
}

impl<T> ServiceMap<T> {
    pub(super) fn new(rows: Vec<T>, nobody: T) -> Self {
        Self { rows: rows.into(), nobody }
    }

    /// Changes the number of rows; new ones are made by `new`.
    pub(super) fn resize(&mut self, count: usize, new: impl FnMut(ServiceId) -> T) {
        let known = self.rows.len();
        let mut rows = std::mem::take(&mut self.rows).into_vec();
        rows.truncate(count);
        rows.extend((known..count).filter_map(|at| u16::try_from(at).ok()).map(ServiceId).map(new));
        self.rows = rows.into();
    }

    /// Returns all ids in the order of the list. Does not borrow the table, so it can be changed meanwhile.
    pub(super) fn ids(&self) -> impl DoubleEndedIterator<Item = ServiceId> + use<T> {
        (0..u16::try_from(self.rows.len()).unwrap_or(u16::MAX)).map(ServiceId)
    }
}

/// A list of `T` per service, all in one allocation: most lists are empty or short, and there may be many.
#[derive(Clone, Debug)]
pub(super) struct ServiceLists<T> {
    /// The start of each list, plus the end of the last.
    starts: Box<[u32]>,
    items: Box<[T]>,
}

impl<T: Copy> ServiceLists<T> {
    /// Builds the lists from pairs in any order; `pairs` is called twice. Each list keeps the order of its pairs.
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

/// A `T` per service; most equal values are stored once.
#[derive(Clone, Debug)]
pub(super) struct SharedMap<T> {
    distinct: Box<[T]>,
    of: ServiceMap<u16>,
    nobody: Box<T>,
}

/// Compare a value with this many of the latest only: similar services stand together, and comparing with all would be
/// quadratic.
const MAX_COMPARED: usize = 16;

impl<T: PartialEq + Clone> SharedMap<T> {
    pub(super) fn new(rows: Vec<T>, nobody: Box<T>) -> Self {
        // The first row of each distinct value, and the value that each row uses.
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
