//! Another set of services, by a reload.

use super::{Logs, layout, order};
use crate::cli::LogLevel;
use crate::config::{Logging, ProbeSpec, RunnableService};
use crate::model::ServiceId;
use crate::output;
use std::rc::Rc;

/// What the relay has to know of these services.
fn relayed(
    services: &[RunnableService],
) -> impl Iterator<Item = (usize, &str, &Logging, Option<&ProbeSpec>)> {
    let all = services.iter().enumerate().filter(|(_, service)| service.program.logging.driver.is_relayed());
    all.map(|(at, service)| {
        (at, service.name.as_str(), &service.program.logging, service.program.probe.as_ref())
    })
}

/// Returns whether its healthcheck looks for something in its output.
pub(super) fn has_pattern(service: &RunnableService) -> bool {
    matches!(service.program.probe, Some(ProbeSpec::Log(_)))
}

impl Logs {
    /// Another set of services: makes pipes for those that have none, and a relay that knows all. `added` have ids that
    /// others may have had before. The pipes of a service that is removed stay, for what it writes at last.
    pub fn replace(&mut self, services: &Rc<[RunnableService]>, added: &[ServiceId]) {
        let before = std::mem::replace(&mut self.services, Rc::clone(services));
        let Some(memory) = &self.memory else { return };
        for (at, channel) in self.channels.iter_mut().enumerate() {
            channel.has_pattern = services.get(channel.service.index()).is_some_and(has_pattern);
            if added.contains(&channel.service) {
                channel.begins = memory.word(layout::slot(at) + layout::RING_END);
                channel.counted = layout::counters(at).map(|at| memory.word(at));
            }
        }
        if let Err(errno) = self.add_channels() {
            let text = ["no pipes for the output of new services: ", crate::sys::describe(errno)];
            output::line(LogLevel::Error, "", &text.concat());
        }
        if relayed(&before).ne(relayed(services)) {
            self.is_replaced = true;
            self.order(order::REPLACE);
        }
    }
}
