//! Stand-ins of rolling restarts: another process of a service, in a slot of its own, with all that the service has.

use super::EventLoop;
use crate::config::RunnableService;
use crate::model::ServiceId;
use crate::text::gather::Gather;
use crate::text::template::fill;
use std::rc::Rc;

impl EventLoop {
    /// Gives a slot the program of a service. No service can have such a name, for it holds a blank.
    pub(super) fn stand_in(&mut self, service: ServiceId, slot: ServiceId) {
        let mut services: Vec<RunnableService> = self.runtime.services.iter().cloned().gather();
        let Some(own) = services.get(service.index()).cloned() else { return };
        let name = fill!("{} stand-in", own.name);
        if services.len() <= slot.index() {
            services.resize(slot.index() + 1, RunnableService::default());
        }
        if let Some(place) = services.get_mut(slot.index()) {
            *place = RunnableService { name, ..own };
        }
        self.runtime.services = Rc::from(services);
        self.stand_ins.push((slot, service));
    }

    /// A slot is vacant: forgets for whom it stood in, if it did.
    pub(super) fn dismiss(&mut self, slot: ServiceId) {
        self.stand_ins.retain(|(known, _)| *known != slot);
    }

    /// Returns the service that a slot stands in for, or the service itself: they write to the same log.
    pub(super) fn stands_for(&self, service: ServiceId) -> ServiceId {
        let known = self.stand_ins.iter().find(|(slot, _)| *slot == service);
        known.map_or(service, |(_, service)| *service)
    }
}
