//! The hooks of a service: what runs beside its program.

use std::time::Duration;

/// A command of a service that runs beside its program: before or after its start or its stop.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum HookKind {
    /// Before its process is created; if it fails, the start has failed.
    PreStart,
    /// Once its process runs; the service is not started before this is done.
    PostStart,
    /// Before the stop signal.
    PreStop,
    /// After each end, and after a failed start.
    PostStop,
    /// Its `checks`, before anything else of a start; if one does not hold, the start has failed.
    Checks,
}

impl HookKind {
    /// All commands.
    pub const ALL: [Self; 4] = [Self::PreStart, Self::PostStart, Self::PreStop, Self::PostStop];

    /// Returns its key in the configuration.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::PreStart => "pre_start",
            Self::PostStart => "post_start",
            Self::PreStop => "pre_stop",
            Self::PostStop => "post_stop",
            Self::Checks => "checks",
        }
    }

    /// Returns whether the service's own process is only requested once this is done.
    #[must_use]
    pub fn is_before_start(self) -> bool {
        matches!(self, Self::Checks | Self::PreStart)
    }
}

/// How long each hook of a service may take; `None`: there is no such hook.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct HookTimeouts(pub [Option<Duration>; 5]);

impl HookTimeouts {
    /// Adds a hook.
    pub fn set(&mut self, hook: HookKind, limit: Duration) {
        if let Some(place) = self.0.get_mut(hook as usize) {
            *place = Some(limit);
        }
    }

    /// Returns the limit of one hook.
    #[must_use]
    pub fn of(&self, hook: HookKind) -> Option<Duration> {
        self.0.get(hook as usize).copied().flatten()
    }
}
