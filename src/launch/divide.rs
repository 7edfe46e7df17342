//! What is kept of a plan while services run.

use crate::config::{Plan, Program, ProgramSettings, RunnableService};
use crate::model::ServicePolicy;
use crate::supervisor::Supervisor;
use std::rc::Rc;

/// Splits a plan into the core and the runnable services, copied as compactly as possible, since they stay in memory.
#[inline(never)]
pub fn divide(rules: Vec<ServicePolicy>, plan: &Plan) -> (Box<Supervisor>, Rc<[RunnableService]>) {
    /// Compare settings with this many of the latest only: similar services stand together.
    const MAX_COMPARED: usize = 16;
    let core = Box::new(Supervisor::new(rules, plan.whole.clone()));
    let mut known: Vec<Rc<ProgramSettings>> = Vec::new();
    let kept = plan.services.iter().map(|service| {
        let own = &*service.program.settings;
        let equal = known.iter().find(|known| ***known == *own).map(Rc::clone);
        let settings = equal.unwrap_or_else(|| {
            let new = Rc::new(own.clone());
            known.truncate(MAX_COMPARED - 1);
            known.insert(0, Rc::clone(&new));
            new
        });
        let program =
            Program { argv: service.program.argv.clone(), settings, instance: service.program.instance };
        RunnableService { name: service.name.clone(), off: service.off.clone().map(Box::new), program }
    });
    (core, kept.collect())
}
