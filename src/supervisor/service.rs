//! One service: the states it can be in, and what is remembered about it.

use super::event::StopReason;
use crate::model::{ExitStatus, Moment, Pid, ServiceId, ServicePolicy};

/// The life of a service:
///
/// - It is `Off` when the configuration does not enable it. Nothing but an order leads out of `Off`; but the order that it
///   stands for holds all the same: who waits for it waits for what it would wait for ([`Order`]).
/// - It is `Waiting` until what it depends on is there. From there it is spawned, or it is down
///   because something that it needs never will be there.
/// - It is `Spawning` from the request to start its process until its program runs.
/// - It is `Running` from that answer until its first process ends or is asked to stop.
/// - It is `Stopping` while anything of its process group is left after that: it was asked to stop
///   and has not done so, or its first process ended and left others behind.
/// - It is in `Backoff` between an end and the restart that follows.
/// - It is `Down` when it has ended and no restart follows. Nothing but an order leads out of `Down`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum ServiceState {
    Off,
    Waiting,
    Spawning {
        /// Something that it depends on with `restart = true` was restarted meanwhile.
        disturbed: Option<ServiceId>,
        /// Its process, once that is known to take longer to load the program.
        load: Option<Load>,
    },
    Running {
        pid: Pid,
        since: Moment,
        /// A daemon is ready at once or when first healthy; a oneshot is ready when done.
        ready: bool,
    },
    Stopping(Stopping),
    Backoff {
        until: Moment,
    },
    Down(FinalState),
}

/// What a service that is off means to those that wait for it. It counts as satisfied, once what it would wait for itself
/// is there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Order {
    /// Something that it would wait for is not there yet.
    Waits,
    /// Nothing more is to be waited for.
    Open,
    /// This service, which it would need, never will be there.
    Broken(ServiceId),
}

/// A process that has not loaded its program yet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Load {
    pub(super) pid: Pid,
    pub(super) since: Moment,
    /// When it is told, or given up; once it was killed: when it is waited for no longer.
    pub(super) due: Moment,
    /// Why it was killed, once it was.
    pub(super) killed: Option<StopReason>,
}

/// A service whose process group is on its way out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Stopping {
    /// The first process, which gave its id to the group.
    pub(super) pid: Pid,
    /// When it was started.
    pub(super) since: Moment,
    /// When it was asked to stop.
    pub(super) asked: Moment,
    /// How and when the first process ended, once it has.
    pub(super) leader: Option<(ExitStatus, Moment)>,
    /// When the next harder step is due: the kill, and after that giving up.
    pub(super) due: Moment,
    /// Whether it was killed.
    pub(super) killed: bool,
    /// Why.
    pub(super) cause: StopReason,
}

/// How a service ended for good.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum FinalState {
    Success,
    Failure,
    /// The container stopped before it could start, or it did as it was asked. While the container does not stop, it
    /// was asked by hand.
    Stopped,
}

/// The probes of a service's health.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum ProbeState {
    /// No probe: the service does not run, or has no healthcheck.
    Off,
    /// The next probe starts at this moment.
    Due(Moment),
    /// A probe was asked for; the answer is outstanding.
    Asked,
    /// The same, but the run that it was for is over: it is killed when it comes.
    Stale,
    /// A probe runs and must be done by then.
    Running { pid: Pid, until: Moment },
    /// A probe took too long and was killed. The next starts at this moment, if by then the killed
    /// one is gone; if not, that is one more failure.
    Killed { pid: Pid, again: Moment },
}

/// All that changes about one service.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Record {
    pub(super) state: ServiceState,
    pub(super) probe: ProbeState,
    /// Failed probes in a row.
    pub(super) failures: u32,
    /// Restarts in a row.
    pub(super) attempts: u32,
    /// The exit code of its last end.
    pub(super) code: u8,
    /// While it waits, or is off: the place in `depends_on` of what it was last found to wait for. Nothing
    /// else about it needs looking at before that one changes.
    pub(super) blocker: u32,
    /// Of a service that is off alone.
    pub(super) order: Order,
    /// Since when it waits, or last did.
    pub(super) waiting_since: Moment,
    /// Whether it was stopped by hand, or is to stop as soon as what needs it has: it is not started by itself.
    pub(super) by_hand: bool,
    /// Whether it is to be started, by order, when it has stopped.
    pub(super) again: bool,
    /// While the container stops: dependents that have not let go of it yet.
    pub(super) held: u32,
    /// Whether it has let go of what it depends on itself.
    pub(super) let_go: bool,
}

impl Record {
    pub(super) fn new(enabled: bool) -> Self {
        Self {
            state: if enabled { ServiceState::Waiting } else { ServiceState::Off },
            probe: ProbeState::Off,
            failures: 0,
            attempts: 0,
            code: 0,
            blocker: 0,
            waiting_since: Moment::default(),
            order: Order::Waits,
            by_hand: false,
            again: false,
            held: 0,
            let_go: false,
        }
    }

    /// The place in `depends_on` of what it waits for.
    pub(super) fn blocker(&self) -> usize {
        self.blocker as usize
    }

    /// The moment at which something must happen to it. `up`: the container is not stopping; while
    /// it stops, a service that runs only waits for its turn.
    pub(super) fn due(&self, rules: &ServicePolicy, up: bool) -> Option<Moment> {
        match self.state {
            ServiceState::Running { since, ready, .. } if up => {
                let start = rules.start_timeout.filter(|_| !ready).map(|span| since.after(span));
                let run = rules.run_timeout.map(|span| since.after(span));
                [start, run, self.probe.due()].into_iter().flatten().min()
            }
            ServiceState::Stopping(ending) => Some(ending.due),
            ServiceState::Backoff { until } => Some(until),
            ServiceState::Spawning { load, .. } => load.map(|load| load.due),
            ServiceState::Off
            | ServiceState::Waiting
            | ServiceState::Running { .. }
            | ServiceState::Down(_) => None,
        }
    }
}

impl ProbeState {
    /// The moment at which something must happen to it.
    pub(super) fn due(self) -> Option<Moment> {
        match self {
            Self::Due(at) | Self::Running { until: at, .. } | Self::Killed { again: at, .. } => Some(at),
            Self::Off | Self::Asked | Self::Stale => None,
        }
    }
}

impl ServiceState {
    /// What is known of a start that is under way.
    pub(super) fn spawning(self) -> Option<(Option<ServiceId>, Option<Load>)> {
        match self {
            Self::Spawning { disturbed, load } => Some((disturbed, load)),
            Self::Off
            | Self::Waiting
            | Self::Running { .. }
            | Self::Stopping(_)
            | Self::Backoff { .. }
            | Self::Down(_) => None,
        }
    }

    /// Whether its place in the order depends on others still.
    pub(super) fn awaits_others(self, order: Order) -> bool {
        self == Self::Waiting || self == Self::Off && order == Order::Waits
    }

    /// Whether anything of it runs, or is about to.
    pub(super) fn is_live(self) -> bool {
        match self {
            Self::Spawning { .. } | Self::Running { .. } | Self::Stopping(_) => true,
            Self::Off | Self::Waiting | Self::Backoff { .. } | Self::Down(_) => false,
        }
    }

    /// Whether anything is still to be expected from it.
    pub(super) fn is_busy(self) -> bool {
        self.is_live() || matches!(self, Self::Waiting | Self::Backoff { .. })
    }

    /// Its first process, while that one lives.
    pub(super) fn leader(self) -> Option<Pid> {
        match self {
            Self::Running { pid, .. } | Self::Stopping(Stopping { pid, leader: None, .. }) => Some(pid),
            Self::Off
            | Self::Waiting
            | Self::Spawning { .. }
            | Self::Stopping(_)
            | Self::Backoff { .. }
            | Self::Down(_) => None,
        }
    }

    /// What the world may know of it.
    pub(super) fn status(self) -> ServiceStatus {
        match self {
            Self::Off => ServiceStatus::Off,
            Self::Waiting => ServiceStatus::Waiting,
            Self::Spawning { .. } => ServiceStatus::Starting,
            Self::Running { pid, since, ready } => ServiceStatus::Running { pid, since, ready },
            Self::Stopping(Stopping { pid, since, cause, .. }) => {
                ServiceStatus::Stopping { pid, since, cause }
            }
            Self::Backoff { until } => ServiceStatus::Backoff { until },
            Self::Down(FinalState::Success) => ServiceStatus::Done,
            Self::Down(FinalState::Failure) => ServiceStatus::Failed,
            Self::Down(FinalState::Stopped) => ServiceStatus::Stopped,
        }
    }
}

/// The state of a service, for `status`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServiceStatus {
    /// Not enabled.
    Off,
    /// Waits for what it depends on.
    Waiting,
    /// Its process is about to exist.
    Starting,
    /// Runs.
    Running {
        /// Its first process.
        pid: Pid,
        /// When that was started.
        since: Moment,
        /// Whether it is ready: healthy once, where it has a healthcheck. A oneshot never is before it is done.
        ready: bool,
    },
    /// Was asked to stop, or left processes behind that are being cleared away.
    Stopping {
        /// Its process group.
        pid: Pid,
        /// When its first process was started.
        since: Moment,
        /// Why.
        cause: StopReason,
    },
    /// Ended, and is started again at this moment.
    Backoff {
        /// That moment.
        until: Moment,
    },
    /// Ended for good, with success.
    Done,
    /// Ended for good, or could not start.
    Failed,
    /// Stopped with the container, or by hand.
    Stopped,
}
