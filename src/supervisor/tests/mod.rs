//! Tests of the core: rules one by one ([`services`], [`container`]), every state of small sets and
//! random walks over larger ones ([`walk`]), and faults put in on purpose that the walks must find.

mod bonds;
mod compare;
mod container;
mod dice;
mod endings;
mod invariants;
mod orders;
mod scenes;
mod services;
mod walk;
mod world;

/// Faults that a test injects to show that the invariants catch them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mutant {
    /// The timers stay as they were.
    ForgetTimers,
    /// What was stopped by hand is started again by its restart policy.
    ForgetStopped,
    /// What was stopped by hand is taken for failed by those that need it.
    GiveUpStopped,
    /// A start that is ordered while the service stops is forgotten.
    ForgetAgain,
    /// What a service needs is stopped by hand before it.
    StopNeedsFirst,
    /// When everything was stopped by hand rinit ends.
    EndWhenStopped,
    /// A child that died before its pid was known is taken to run.
    DropEarlyExit,
    /// After the kill nobody looks again.
    LoseKillTimer,
    /// A service that has started does not tell those that wait for it.
    ForgetDependents,
    /// A restart that was due goes on while the container stops.
    SpawnDuringStop,
    /// The stop does not wait for dependents.
    StopAllAtOnce,
    /// What reaches its grace while it waits to be gone is not killed but asked again for ever.
    NeverEscalate,
    /// A probe outlives the service that it was for.
    LeaveProbe,
    /// A timer that fired stays armed.
    BusyLoop,
    /// The group of a service is given up with its first process.
    ForgetGroup,
    /// What the first process leaves is not asked to stop.
    ForgetRest,
    /// The whole group is asked at once, whatever `kill_mode` says.
    AskAllAtOnce,
    /// A start that never loads its program is waited for for ever.
    NeverGiveUp,
    /// A stop waits for a start to load its program.
    AwaitLoad,
    /// TERM again kills.
    KillAtSecondTerm,
    /// What came for the main service before it ran is lost.
    LosePending,
    /// Nobody is told who waits for what.
    SilentWait,
}

impl Mutant {
    pub(super) const ALL: [Self; 22] = [
        Self::ForgetTimers,
        Self::ForgetStopped,
        Self::GiveUpStopped,
        Self::ForgetAgain,
        Self::StopNeedsFirst,
        Self::EndWhenStopped,
        Self::DropEarlyExit,
        Self::LoseKillTimer,
        Self::ForgetDependents,
        Self::SpawnDuringStop,
        Self::StopAllAtOnce,
        Self::NeverEscalate,
        Self::LeaveProbe,
        Self::BusyLoop,
        Self::ForgetGroup,
        Self::ForgetRest,
        Self::AskAllAtOnce,
        Self::NeverGiveUp,
        Self::AwaitLoad,
        Self::KillAtSecondTerm,
        Self::LosePending,
        Self::SilentWait,
    ];
}
