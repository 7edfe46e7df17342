//! How a rolling restart goes.

use std::time::Duration;

/// How a rolling restart restarts a service (`update_config`).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct UpdateRules {
    /// Whether a new process is ready before the old one is stopped.
    pub start_first: bool,
    /// How long it must have run without a healthcheck to count as ready.
    pub monitor: Duration,
}

impl Default for UpdateRules {
    fn default() -> Self {
        Self { start_first: false, monitor: Duration::from_secs(1) }
    }
}
