//! When each service is due, and which one first: found without a look at all of them, for there may be thousands that
//! rest while one is restarted.

use super::service::Record;
use super::service_map::ServiceMap;
use crate::model::{Moment, ServiceId};
use std::ops::{Index, IndexMut};

/// Nothing waits for this moment.
const NEVER: Moment = Moment(u64::MAX);

/// A tree of moments: the services' own are its leaves, and above two stands the earlier of both. Unlike a queue it is
/// the same for the same moments, whatever was before.
#[derive(Clone, Debug)]
pub(super) struct Timers {
    /// The root has the number 1, and below `n` stand `2n` and `2n + 1`.
    tree: Box<[Moment]>,
}

impl Timers {
    pub(super) fn new(count: usize) -> Self {
        Self { tree: vec![NEVER; 2 * count.next_power_of_two()].into() }
    }

    fn at(&self, place: usize) -> Moment {
        self.tree.get(place).copied().unwrap_or(NEVER)
    }

    /// Notes when a service is due.
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

    /// The earliest moment at which any is due.
    pub(super) fn earliest(&self) -> Option<Moment> {
        Some(self.at(1)).filter(|moment| *moment != NEVER)
    }

    /// The first service from this one on, in the list's order, that is due by now.
    pub(super) fn first_due(&self, from: ServiceId, now: Moment) -> Option<ServiceId> {
        let leaves = self.tree.len() / 2;
        let is_due = |place| self.at(place) <= now && self.at(place) != NEVER;
        let mut place = leaves + from.index();
        if place >= self.tree.len() {
            return None;
        }
        while !is_due(place) {
            // Up to where another branch stands to the right.
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

/// The services' records, and which of them may have changed since that was last asked: their timers may have, too.
#[derive(Clone, Debug)]
pub(super) struct Records {
    rows: ServiceMap<Record>,
    touched: Vec<ServiceId>,
}

impl Records {
    pub(super) fn new(rows: ServiceMap<Record>) -> Self {
        Self { rows, touched: Vec::new() }
    }

    /// All ids, in the list's order.
    pub(super) fn ids(&self) -> impl DoubleEndedIterator<Item = ServiceId> + use<> {
        self.rows.ids()
    }

    /// All of them.
    #[cfg(test)]
    pub(super) fn rows(&self) -> &ServiceMap<Record> {
        &self.rows
    }

    /// One that may have changed.
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
        if self.touched.last() != Some(&id) {
            self.touched.push(id);
        }
        &mut self.rows[id]
    }
}

#[cfg(test)]
mod tests {
    use super::super::timers::*;

    /// Whatever is set in whatever order, the answers are those of a look at all.
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
