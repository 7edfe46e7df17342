//! The states of one service, and its record.

use super::event::StopReason;
use super::readiness::Reported;
use crate::model::{ExitStatus, HookKind, KillMode, Moment, Pid, ServiceId, ServicePolicy};

/// The life of a service:
///
/// - `Off`: the configuration does not enable it. Only an order leads out of `Off`. Its dependents still wait for what
///   it would wait for ([`Order`]).
/// - `Scheduled`: the clock has not come to its next run, or `jitter` delays it. It leads to `Waiting`, as does an order.
/// - `Waiting`: for its dependencies. It leads to a spawn, or to `Down` if a needed dependency will never be there.
/// - `Spawning`: from the request for its process until its program runs.
/// - `Running`: from then until its first process ends or is asked to stop.
/// - `Stopping`: while any process of its group is left after that: it was asked to stop and has not yet, or its first
///   process ended and left others behind.
/// - `Finishing`: from then until its hooks have ended too ([`super::hooks`]).
/// - `Backoff`: between an end and the restart that follows.
/// - `Listening`: started by the first connection to its sockets (`start = "on-demand"`), it waits for one.
/// - `Down`: it has ended and is not restarted. Only an order leads out of `Down`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum ServiceState {
    Off,
    Waiting,
    Scheduled {
        /// When the run starts that is due.
        start: Option<Moment>,
    },
    Spawning {
        /// A dependency with `restart = true` that was restarted meanwhile.
        disturbed: Option<ServiceId>,
        /// Its process, once it is known to be slow to load the program.
        load: Option<Load>,
    },
    Running {
        pid: Pid,
        since: Moment,
        /// A daemon is ready at once, or when it has said so and is first healthy; a oneshot when done.
        ready: bool,
    },
    Stopping(Stopping),
    /// Of it only hooks are left.
    Finishing(Ended),
    Backoff {
        until: Moment,
    },
    Listening {
        /// After a short run: a connection that comes before this was probably there already, and waits until then.
        not_before: Option<Moment>,
    },
    Down(FinalState),
}

/// The end of a run or of an attempt to start, of which the consequences are still to be drawn.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Ended {
    /// It ran, and its whole group is gone.
    Run(Stopping, ExitStatus),
    /// It could not be started.
    Start { lasting: bool, code: u8 },
    /// Its start was given up.
    Unstarted,
}

impl Ended {
    /// Returns how its process ended, as its hooks are told.
    pub(super) fn outcome(self) -> Option<ExitStatus> {
        match self {
            Self::Run(_, outcome) => Some(outcome),
            Self::Start { code, .. } => Some(ExitStatus::Code(code)),
            Self::Unstarted => None,
        }
    }
}

/// What a disabled service means to its dependents. It counts as satisfied once its own dependencies are there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Order {
    /// A dependency is not there yet.
    Waits,
    /// Nothing to wait for any more.
    Open,
    /// This needed dependency will never be there.
    Broken(ServiceId),
}

/// A process that has not loaded its program yet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Load {
    pub(super) pid: Pid,
    pub(super) since: Moment,
    /// When to warn or give up; once killed: when to stop waiting for it.
    pub(super) due: Moment,
    /// Why it was killed, if it was.
    pub(super) killed: Option<StopReason>,
    /// Whether it is the `pre_start` hook: it is never asked to stop either, and is killed by whatever ends the start.
    pub(super) hook: Option<HookKind>,
}

/// A service whose process group is ending.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Stopping {
    /// The first process; its pid is the group id.
    pub(super) pid: Pid,
    /// When it was started.
    pub(super) since: Moment,
    /// When it was asked to stop.
    pub(super) asked: Moment,
    /// How and when the first process ended, if it has.
    pub(super) leader: Option<(ExitStatus, Moment)>,
    /// When the next step is due: the kill, then giving up.
    pub(super) due: Moment,
    /// Whether it was killed.
    pub(super) killed: bool,
    /// Why it is being stopped.
    pub(super) cause: StopReason,
    /// Which processes the stop reaches; a reload does not change it.
    pub(super) mode: KillMode,
}

/// How a service ended for good.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum FinalState {
    Success,
    Failure,
    /// The container stopped before it could start, or it stopped as asked; while the container is up: stopped by
    /// hand.
    Stopped,
}

/// The state of a service's health probe.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum ProbeState {
    /// No probe: the service does not run or has no healthcheck.
    Off,
    /// The next probe is due at this moment.
    Due(Moment),
    /// A probe was requested and not answered yet.
    Asked,
    /// The same, but for a run that is over: the probe is killed as soon as it is there.
    Stale,
    /// A probe is running and times out at `until`.
    Running { pid: Pid, until: Moment },
    /// A probe timed out and was killed. The next one is due at `again`; if the killed one is still there by then,
    /// that is another failure.
    Killed { pid: Pid, again: Moment },
}

/// What a reload wants of a service ([`super::reload`]).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Tenure {
    /// Nothing.
    Stays,
    /// It is stopped, then started with its new configuration.
    Restarts,
    /// It is stopped, and off then.
    TurnsOff,
    /// It is stopped, and its slot vacant then.
    Leaves,
    /// Nothing; it is another process of a service that is restarted, and its slot is vacant after it.
    StandIn,
    /// There is no service.
    Vacant,
}

impl Tenure {
    /// Returns whether the present run is to end.
    pub(super) fn goes(self) -> bool {
        matches!(self, Self::Restarts | Self::TurnsOff | Self::Leaves)
    }

    /// Returns whether no other run follows.
    pub(super) fn ends(self) -> bool {
        matches!(self, Self::TurnsOff | Self::Leaves | Self::StandIn)
    }
}

/// What a service that runs still lacks to count as started. A healthcheck is judged apart from this.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Pending {
    /// Its `post_start` hook is not done.
    pub(super) post_start: bool,
    /// It has not run for `min_uptime`.
    pub(super) uptime: bool,
    /// Its healthcheck has passed already, though it was not started.
    pub(super) healthy: bool,
}

impl Pending {
    /// Returns whether it counts as started.
    pub(super) fn is_none(self) -> bool {
        !self.post_start && !self.uptime
    }
}

/// Everything that changes about one service.
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
    /// While waiting or off: the index in `depends_on` of the dependency that it was last seen to wait for. Nothing
    /// else needs checking until that one changes.
    pub(super) blocker: u32,
    /// Only for a service that is off.
    pub(super) order: Order,
    /// When its current or last wait began.
    pub(super) waiting_since: Moment,
    /// Whether it was stopped by hand, or will be once its dependents are gone: it is not started by itself.
    pub(super) by_hand: bool,
    /// Whether to start it, by order, once it has stopped.
    pub(super) again: bool,
    /// What a reload wants of it.
    pub(super) tenure: Tenure,
    /// Whether its next start waits until all that a reload has removed is gone.
    pub(super) is_new: bool,
    /// Whether it is down because it could never start: a dependency had failed.
    pub(super) is_unreached: bool,
    /// Of a service that is started by connections: whether an order has asked for it, so that it waits for none.
    pub(super) wanted: bool,
    /// While running: what it takes until it counts as started.
    pub(super) pending: Pending,
    /// While the container stops: dependents that still hold it.
    pub(super) held: u32,
    /// Whether it has released its own dependencies.
    pub(super) let_go: bool,
}

impl Record {
    /// The record of a service that nothing has happened to.
    pub(super) fn of(rules: &ServicePolicy) -> Self {
        let plain = Self::new(rules.enabled);
        match rules.schedule {
            Some(_) if rules.enabled => Self { state: ServiceState::Scheduled { start: None }, ..plain },
            _ => plain,
        }
    }

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
            tenure: Tenure::Stays,
            is_new: false,
            is_unreached: false,
            wanted: false,
            pending: Pending::default(),
            held: 0,
            let_go: false,
        }
    }

    /// Returns the index in `depends_on` of what it waits for.
    pub(super) fn blocker(&self) -> usize {
        self.blocker as usize
    }

    /// Returns whether an order has stopped it, also one that a later order starts again, and it is not gone.
    pub(super) fn is_still_going(&self) -> bool {
        (self.by_hand || self.again) && self.state.is_live()
    }

    /// Returns when its timer is due. `up`: the container is not stopping; while it stops, a running service only
    /// waits for its turn and has no timer.
    pub(super) fn due(&self, rules: &ServicePolicy, reports: Option<&Reported>, up: bool) -> Option<Moment> {
        match self.state {
            ServiceState::Running { since, ready, .. } if up => {
                let limit = |span| reports.map_or(since.after(span), |row| row.limit(span));
                let start = rules.start_timeout.filter(|_| !ready).map(limit);
                let run = rules.run_timeout.map(limit);
                let [alive, reload] = reports.map_or([None; 2], Reported::due);
                let uptime = self.pending.uptime.then(|| since.after(rules.min_uptime));
                [start, run, uptime, self.probe.due(), alive, reload].into_iter().flatten().min()
            }
            ServiceState::Stopping(ending) => Some(ending.due),
            ServiceState::Backoff { until } => Some(until),
            ServiceState::Scheduled { start } => start,
            ServiceState::Spawning { load, .. } => load.map(|load| load.due),
            ServiceState::Off
            | ServiceState::Waiting
            | ServiceState::Running { .. }
            | ServiceState::Listening { .. }
            | ServiceState::Finishing(_)
            | ServiceState::Down(_) => None,
        }
    }
}

impl ProbeState {
    /// Returns when the timer of this state is due.
    pub(super) fn due(self) -> Option<Moment> {
        match self {
            Self::Due(at) | Self::Running { until: at, .. } | Self::Killed { again: at, .. } => Some(at),
            Self::Off | Self::Asked | Self::Stale => None,
        }
    }
}

impl ServiceState {
    /// Returns the details of a start in progress.
    pub(super) fn spawning(self) -> Option<(Option<ServiceId>, Option<Load>)> {
        match self {
            Self::Spawning { disturbed, load } => Some((disturbed, load)),
            Self::Off
            | Self::Waiting
            | Self::Scheduled { .. }
            | Self::Running { .. }
            | Self::Stopping(_)
            | Self::Finishing(_)
            | Self::Backoff { .. }
            | Self::Listening { .. }
            | Self::Down(_) => None,
        }
    }

    /// Returns whether it waits for its dependencies, or is off, and so may pass on their wait.
    pub(super) fn is_waiting_or_off(self) -> bool {
        match self {
            Self::Off | Self::Waiting => true,
            Self::Scheduled { .. }
            | Self::Spawning { .. }
            | Self::Running { .. }
            | Self::Stopping(_)
            | Self::Finishing(_)
            | Self::Backoff { .. }
            | Self::Listening { .. }
            | Self::Down(_) => false,
        }
    }

    /// Returns whether it still waits for others, or passes on their wait.
    pub(super) fn awaits_others(self, order: Order) -> bool {
        self == Self::Waiting || self == Self::Off && order == Order::Waits
    }

    /// Returns whether any process of it exists or is about to.
    pub(super) fn is_live(self) -> bool {
        match self {
            Self::Spawning { .. } | Self::Running { .. } | Self::Stopping(_) | Self::Finishing(_) => true,
            Self::Off
            | Self::Waiting
            | Self::Scheduled { .. }
            | Self::Backoff { .. }
            | Self::Listening { .. }
            | Self::Down(_) => false,
        }
    }

    /// Returns whether anything more will happen to it by itself.
    pub(super) fn is_busy(self) -> bool {
        self.is_live()
            || matches!(
                self,
                Self::Waiting | Self::Scheduled { .. } | Self::Backoff { .. } | Self::Listening { .. }
            )
    }

    /// Returns its first process, while it is alive.
    pub(super) fn leader(self) -> Option<Pid> {
        match self {
            Self::Running { pid, .. } | Self::Stopping(Stopping { pid, leader: None, .. }) => Some(pid),
            Self::Off
            | Self::Waiting
            | Self::Scheduled { .. }
            | Self::Spawning { .. }
            | Self::Stopping(_)
            | Self::Finishing(_)
            | Self::Backoff { .. }
            | Self::Listening { .. }
            | Self::Down(_) => None,
        }
    }

    /// Returns the public form of this state.
    pub(super) fn status(self) -> ServiceStatus {
        match self {
            Self::Off => ServiceStatus::Off,
            Self::Waiting => ServiceStatus::Waiting,
            Self::Scheduled { .. } => ServiceStatus::Scheduled,
            Self::Spawning { .. } => ServiceStatus::Starting,
            Self::Running { pid, since, ready } => ServiceStatus::Running { pid, since, ready },
            Self::Stopping(Stopping { pid, since, cause, .. }) => {
                ServiceStatus::Stopping { pid, since, cause }
            }
            Self::Finishing(_) => ServiceStatus::Finishing,
            Self::Backoff { until } => ServiceStatus::Backoff { until },
            Self::Listening { .. } => ServiceStatus::Listening,
            Self::Down(FinalState::Success) => ServiceStatus::Done,
            Self::Down(FinalState::Failure) => ServiceStatus::Failed,
            Self::Down(FinalState::Stopped) => ServiceStatus::Stopped,
        }
    }
}

impl ServiceStatus {
    /// Returns whether it does its work, has done it, or does it for whoever connects.
    #[must_use]
    pub fn is_ready(self) -> bool {
        matches!(self, Self::Running { ready: true, .. } | Self::Done | Self::Listening | Self::Scheduled)
    }
}

/// The state of a service, as clients see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServiceStatus {
    /// Not enabled.
    Off,
    /// Waits for its dependencies.
    Waiting,
    /// Is started by the clock; a next run is not due.
    Scheduled,
    /// Its process is being created.
    Starting,
    /// Runs.
    Running {
        /// Its first process.
        pid: Pid,
        /// When that was started.
        since: Moment,
        /// Whether it is ready: has said so, if it is to, and was healthy once, if it has a healthcheck. A oneshot is
        /// never ready before it is done.
        ready: bool,
    },
    /// Was asked to stop, or left processes behind that are being cleaned up.
    Stopping {
        /// Its process group.
        pid: Pid,
        /// When its first process was started.
        since: Moment,
        /// Why.
        cause: StopReason,
    },
    /// Ended; only a hook of it still runs.
    Finishing,
    /// Ended, and will be restarted.
    Backoff {
        /// When it is restarted.
        until: Moment,
    },
    /// Waits for a connection to its sockets.
    Listening,
    /// Ended with success, no restart.
    Done,
    /// Failed for good, or could not start.
    Failed,
    /// Stopped with the container, or by hand.
    Stopped,
}
