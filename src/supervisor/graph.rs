//! The dependency graph: start order, dependents, cycles, longest chains. [`order`] is the only graph walk; the
//! configuration uses it too, and rejects cycles.

use super::service_map::{ServiceLists, ServiceMap};
use crate::model::{Dependency, ServiceId, ServicePolicy};
use std::time::Duration;

/// Dependencies in both directions, and a topological order.
#[derive(Clone, Debug)]
pub(super) struct Graph {
    /// Every service after its dependencies, otherwise in the order of the list.
    pub(super) order: Box<[ServiceId]>,
    /// The dependencies of each service, as listed.
    pub(super) depends_on: ServiceLists<Dependency>,
    /// The dependents of each service, as listed.
    pub(super) dependents: ServiceLists<Dependent>,
}

/// A reversed edge: a service that depends on this one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dependent {
    pub(super) by: ServiceId,
    pub(super) edge: Dependency,
}

impl Graph {
    /// Builds the graph and takes `depends_on` out of the policies. Drops edges that close a cycle or lead to no
    /// service: the configuration rejects both, and here they could only make a stop hang.
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

    /// Returns the largest sum of `cost` along any chain of dependents.
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

/// Returns services 0, 1, 2, … sorted topologically: dependencies first, otherwise in the order of the list. Calls
/// `cycle` for each edge that closes a cycle, with the path (each service depends on the next, the last on the first)
/// and the index of that edge among the dependencies of the last. Depth first with an explicit stack: a chain may be
/// as long as the list.
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
