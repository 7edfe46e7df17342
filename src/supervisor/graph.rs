//! Who waits for whom: the order of a start, the dependents of each service, cycles, longest chains. There is one walk,
//! [`order`]; the configuration, which refuses cycles, takes it too.

use super::service_map::{ServiceLists, ServiceMap};
use crate::model::{Dependency, ServiceId, ServicePolicy};
use std::time::Duration;

/// The edges seen from the other end, and one order in which all of them point backwards.
#[derive(Clone, Debug)]
pub(super) struct Graph {
    /// Every service after all that it depends on, otherwise as listed.
    pub(super) order: Box<[ServiceId]>,
    /// For each service what it depends on, as listed.
    pub(super) depends_on: ServiceLists<Dependency>,
    /// For each service those that depend on it, as listed.
    pub(super) dependents: ServiceLists<Dependent>,
}

/// An edge seen from the service that is depended on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dependent {
    pub(super) by: ServiceId,
    pub(super) edge: Dependency,
}

impl Graph {
    /// The graph of these services, out of whose rules the edges are taken. An edge that closes a cycle or leads to no
    /// service is left out: the configuration refuses both, and here they could only make a stop hang.
    pub(super) fn new(services: &mut [ServicePolicy]) -> Self {
        let deps: Vec<&[Dependency]> = services.iter().map(|rules| rules.depends_on.as_slice()).collect();
        let order = order(&deps, &mut |_, _| {});
        let mut place = ServiceMap::new(vec![0_usize; services.len()], usize::MAX);
        for (at, id) in order.iter().enumerate() {
            place[*id] = at;
        }
        for (by, rules) in place.ids().zip(&mut *services) {
            rules.depends_on.retain(|edge| place[edge.on] < place[by]);
        }
        let count = services.len();
        let edges = || {
            let each = place.ids().zip(&*services);
            each.flat_map(|(by, rules)| rules.depends_on.iter().map(move |edge| (by, *edge)))
        };
        let depends_on = ServiceLists::new(count, edges);
        let dependents =
            ServiceLists::new(count, || edges().map(|(by, edge)| (edge.on, Dependent { by, edge })));
        for rules in services {
            rules.depends_on = Vec::new();
        }
        Self { order: order.into(), depends_on, dependents }
    }

    /// The largest sum of `cost` along a chain of dependents.
    pub(super) fn longest(&self, cost: impl Fn(ServiceId) -> Duration) -> Duration {
        let mut totals = ServiceMap::new(vec![Duration::ZERO; self.order.len()], Duration::ZERO);
        for id in self.order.iter().rev() {
            let above = self.dependents[*id].iter().map(|dependent| totals[dependent.by]).max();
            totals[*id] = cost(*id).saturating_add(above.unwrap_or_default());
        }
        self.order.iter().map(|id| totals[*id]).max().unwrap_or_default()
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Mark {
    New,
    Open,
    Done,
}

/// Services 0, 1, 2 …, each after those that it depends on, otherwise as listed. `cycle` is told of each edge that
/// closes one: the way, each service on which depends on the next and the last on the first, and which of the last
/// one's dependencies that edge is. Depth first with a stack of its own, for a chain may be as long as the list.
#[must_use]
pub fn order(deps: &[&[Dependency]], cycle: &mut dyn FnMut(&[ServiceId], usize)) -> Vec<ServiceId> {
    let mut marks = ServiceMap::new(vec![Mark::New; deps.len()], Mark::Done);
    let mut order = Vec::with_capacity(deps.len());
    let mut stack: Vec<(ServiceId, usize)> = Vec::new();
    for root in marks.ids() {
        if marks[root] == Mark::New {
            marks[root] = Mark::Open;
            stack.push((root, 0));
        }
        while let Some(top) = stack.last_mut() {
            let (id, at) = *top;
            top.1 += 1;
            let Some(edge) = deps.get(id.index()).and_then(|edges| edges.get(at)) else {
                marks[id] = Mark::Done;
                order.push(id);
                stack.pop();
                continue;
            };
            match marks[edge.on] {
                Mark::Done => {}
                Mark::New => {
                    marks[edge.on] = Mark::Open;
                    stack.push((edge.on, 0));
                }
                Mark::Open => {
                    let way = stack.iter().map(|(id, _)| *id).skip_while(|id| *id != edge.on);
                    cycle(&way.collect::<Vec<_>>(), at);
                }
            }
        }
    }
    order
}
