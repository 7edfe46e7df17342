//! Tests of the core.

/// Faults that a test injects to show that the invariants catch them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mutant {
    DropEarlyExit,
    LoseKillTimer,
    ForgetDependents,
    SpawnDuringStop,
    StopAllAtOnce,
}
