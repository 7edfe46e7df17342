//! What clients see of a schedule.

use super::View;
use super::rows::Row;
use crate::model::ServiceId;
use crate::text::calendar::rfc3339_local;

impl View<'_> {
    /// Adds what is known of the service's schedule, if it has one.
    pub(super) fn schedule(&self, row: &mut Row, service: ServiceId) {
        let Some(schedule) = &self.core.rules(service).schedule else { return };
        row.text("schedule", &schedule.line);
        row.text("timezone", &schedule.zone_name);
        let next = self.core.next_run(service);
        let shown = next.map(|at| rfc3339_local(at, schedule.zone.offset(at)));
        row.maybe_text("next_run", shown.as_deref());
        row.maybe_number("next_run_unix", next.and_then(|at| u64::try_from(at).ok()));
        let result = self.core.last_run(service);
        row.maybe_text("last_result", result.map(|success| if success { "success" } else { "failure" }));
    }
}
