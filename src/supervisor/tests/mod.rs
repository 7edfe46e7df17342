//! Tests of the core: single rules ([`services`], [`container`]), every state of small sets and random walks over
//! larger ones ([`walk`]), and injected faults that the walks must find.

mod bonds;
mod clock;
mod compare;
mod container;
mod day;
mod demand;
mod dice;
mod endings;
mod hooks;
mod invariants;
mod limits;
mod load;
mod notes;
mod orders;
mod readiness;
mod reload;
mod reports;
mod rolling;
mod scenes;
mod services;
mod walk;
mod world;

/// Faults that a test injects to prove that the invariants detect them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mutant {
    /// Timers are not updated.
    ForgetTimers,
    /// The restart policy restarts a service that was stopped by hand.
    ForgetStopped,
    /// Dependents treat a service that was stopped by hand as failed.
    GiveUpStopped,
    /// An order to start is forgotten if the service is still stopping.
    ForgetAgain,
    /// A stop by hand stops a dependency before its dependents.
    StopNeedsFirst,
    /// rinit exits when all services were stopped by hand.
    EndWhenStopped,
    /// A child that died before its pid was known is considered running.
    DropEarlyExit,
    /// There is no timer after the kill.
    LoseKillTimer,
    /// A service that has started does not notify its dependents.
    ForgetDependents,
    /// A restart that is due happens while the container stops.
    SpawnDuringStop,
    /// The stop does not wait for dependents.
    StopAllAtOnce,
    /// A service that exceeds its grace period is asked again forever, and never killed.
    NeverEscalate,
    /// A probe outlives its service.
    LeaveProbe,
    /// A timer that has fired stays armed.
    BusyLoop,
    /// The group of a service is forgotten with its first process.
    ForgetGroup,
    /// What the first process leaves behind is not asked to stop.
    ForgetRest,
    /// The whole group is asked at once, regardless of `kill_mode`.
    AskAllAtOnce,
    /// A start that never loads its program is waited for forever.
    NeverGiveUp,
    /// A stop waits for a start to load its program.
    AwaitLoad,
    /// A second TERM kills.
    KillAtSecondTerm,
    /// Signals for the main service that came before it ran are lost.
    LosePending,
    /// A probe that is asked for early comes beside the one that runs.
    ProbeTwice,
    /// Waits are never reported.
    SilentWait,
    /// Who waits for the first instance of a service does not see that another one is there.
    ForgetOthers,
    /// What a reload adds is started beside what it removes.
    StartBesideRemoved,
    /// What a reload removes is not stopped once its dependents are gone.
    ForgetLeaving,
    /// A reload restarts what has not changed.
    DisturbKept,
    /// A rolling restart does not wait until a service is ready.
    RollAhead,
    /// A rolling restart goes on after a service that did not get ready.
    RollOn,
    /// A service that is to say that it is ready counts as ready from its start.
    ReadyAtOnce,
    /// The watchdog of a service is not started.
    ForgetWatchdog,
    /// The old main process is still the known one.
    KeepOldMain,
    /// A service that waits for connections is started without one.
    StartUnasked,
    /// A service that waits for connections is not started again after a clean end.
    EndOnDemand,
    /// A connection that a short run has left starts it again at once.
    ServeAtOnce,
    /// Services are restarted as often as they end.
    IgnoreLimits,
    /// A hook may take as long as it likes.
    AwaitHook,
    /// A hook outlives what it was for.
    LeaveHook,
    /// A start goes on though its first hook has failed.
    IgnorePreStart,
    /// A service whose checks have passed is started without its `pre_start`.
    SkipPreStart,
    /// The stop signal does not wait for the hook before it.
    SignalFirst,
    /// No hook follows an end.
    SkipPostStop,
    /// A hook after the start, or `min_uptime`, keeps nobody waiting.
    StartedAtOnce,
    /// The virtual clock of a schedule follows the wall clock back.
    ForgetVirtualTime,
    /// What the clock starts is started while everything only serves on for a while.
    RunWhileDraining,
    /// A run that is due does not begin.
    LoseRun,
    /// A run that waits for the last one to end does not begin then.
    LoseQueued,
    /// With `start-first` the old process is stopped before the new one is ready.
    StopFirst,
    /// A stand-in is never dismissed.
    KeepStandIn,
}

impl Mutant {
    pub(super) const ALL: &[Self] = &[
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
        Self::ProbeTwice,
        Self::SilentWait,
        Self::ForgetOthers,
        Self::StartBesideRemoved,
        Self::ForgetLeaving,
        Self::DisturbKept,
        Self::RollAhead,
        Self::RollOn,
        Self::ReadyAtOnce,
        Self::ForgetWatchdog,
        Self::KeepOldMain,
        Self::StartUnasked,
        Self::EndOnDemand,
        Self::ServeAtOnce,
        Self::IgnoreLimits,
        Self::AwaitHook,
        Self::LeaveHook,
        Self::IgnorePreStart,
        Self::SkipPreStart,
        Self::SignalFirst,
        Self::SkipPostStop,
        Self::StartedAtOnce,
        Self::ForgetVirtualTime,
        Self::RunWhileDraining,
        Self::LoseRun,
        Self::LoseQueued,
        Self::StopFirst,
        Self::KeepStandIn,
    ];
}
