//! When each service's timer is due, and which is first; without scanning all: thousands may be idle while one
//! restarts.

use super::service::Record;
use super::service_map::ServiceMap;
use crate::model::{Moment, ServiceId};
use std::ops::{Index, IndexMut};

/// No timer.
const NEVER: Moment = Moment(u64::MAX);

/// A tournament tree of moments: the leaves are the services' timers, each inner node is the earlier of its two
/// children. Unlike a heap, its shape does not depend on the history.
#[derive(Clone, Debug)]
pub(super) struct Timers {
    /// The root has index 1; the children of `n` are `2n` and `2n + 1`.
    tree: Box<[Moment]>,
}

impl Timers {
    pub(super) fn new(count: usize) -> Self {
        Self { tree: vec![NEVER; 2 * count.next_power_of_two()].into() }
    }

    fn at(&self, place: usize) -> Moment {
        self.tree.get(place).copied().unwrap_or(NEVER)
    }

    /// Sets or clears the timer of a service.
    pub(super) fn set(&mut self, id: ServiceId, due: Option<Moment>) {
        let mut place = self.tree.len() / 2 + id.index();
        let mut moment = due.unwrap_or(NEVER);
        while let Some(known) = self.tree.get_mut(place).filter(|known| **known != moment) {
            *known = moment;
            moment = moment.min(self.at(place ^ 1));
            place /= 2;
            if place == 0 {
                break;
            }
        }
    }

    /// Returns the earliest timer.
    pub(super) fn earliest(&self) -> Option<Moment> {
        Some(self.at(1)).filter(|moment| *moment != NEVER)
    }

    /// Returns the first service, from this one on in list order, whose timer is due.
    pub(super) fn first_due(&self, from: ServiceId, now: Moment) -> Option<ServiceId> {
        let leaves = self.tree.len() / 2;
        let is_due = |place| self.at(place) <= now && self.at(place) != NEVER;
        let mut place = leaves + from.index();
        if place >= self.tree.len() {
            return None;
        }
        while !is_due(place) {
            // Up to a node that has a branch to its right.
            while place % 2 == 1 {
                place /= 2;
            }
            if place == 0 {
                return None;
            }
            place += 1;
        }
        while place < leaves {
            place *= 2;
            place += usize::from(!is_due(place));
        }
        u16::try_from(place - leaves).ok().map(ServiceId)
    }
}

/// The services' records, and the ids that may have changed since the last check: their timers may have changed too.
#[derive(Clone, Debug)]
pub(super) struct Records {
    rows: ServiceMap<Record>,
    touched: Vec<ServiceId>,
}

impl Records {
    pub(super) fn new(rows: ServiceMap<Record>) -> Self {
        Self { rows, touched: Vec::new() }
    }

    /// Returns all ids in list order.
    pub(super) fn ids(&self) -> impl DoubleEndedIterator<Item = ServiceId> + use<> {
        self.rows.ids()
    }

    /// Changes the number of records; all count as changed.
    pub(super) fn resize(&mut self, count: usize, new: impl FnMut(ServiceId) -> Record) {
        self.rows.resize(count, new);
        self.touched = self.ids().collect();
    }

    /// Returns all records.
    #[cfg(test)]
    pub(super) fn rows(&self) -> &ServiceMap<Record> {
        &self.rows
    }

    /// Notes that a service's timer may have changed though its record has not: what it depends on is kept elsewhere.
    pub(super) fn touch(&mut self, id: ServiceId) {
        if self.touched.last() != Some(&id) {
            self.touched.push(id);
        }
    }

    /// Returns one id that may have changed, and forgets it.
    pub(super) fn next_touched(&mut self) -> Option<ServiceId> {
        self.touched.pop()
    }
}

impl Index<ServiceId> for Records {
    type Output = Record;

    fn index(&self, id: ServiceId) -> &Record {
        &self.rows[id]
    }
}

impl IndexMut<ServiceId> for Records {
    fn index_mut(&mut self, id: ServiceId) -> &mut Record {
        self.touch(id);
        &mut self.rows[id]
    }
}

#[cfg(test)]
mod tests {
    use super::super::timers::*;

    /// For any sequence of updates, the tree gives the same answers as a scan of all timers.
    #[test]
    fn the_tree_answers_as_a_look_at_all_does() {
        let mut seed = 1_u64;
        let mut dice = move |most: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % most
        };
        for count in [1, 2, 3, 7, 8, 9, 100] {
            let mut timers = Timers::new(count);
            let mut plain = vec![None; count];
            for _ in 0..2_000 {
                let at = usize::try_from(dice(count as u64)).expect("a place");
                plain[at] = (dice(3) > 0).then(|| Moment(dice(50)));
                let id = |at| ServiceId(u16::try_from(at).expect("an id"));
                timers.set(id(at), plain[at]);
                assert_eq!(timers.earliest(), plain.iter().flatten().min().copied());
                let from = usize::try_from(dice(count as u64 + 1)).expect("a place");
                let now = Moment(dice(60));
                let first = (from..count).find(|at| plain[*at].is_some_and(|due| due <= now));
                assert_eq!(timers.first_due(id(from), now), first.map(id), "{plain:?} {from} {now:?}");
            }
        }
    }
}
