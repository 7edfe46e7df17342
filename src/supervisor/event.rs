//! The whole vocabulary of the supervisor: what it is told, what it asks for, what it has to say.

#![expect(missing_docs, reason = "a variant's text names its fields")]

use crate::model::{ExitStatus, Pid, ServiceId, Signal};
use std::time::Duration;

/// Something that happened. Each is told once, in the order in which it came.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Event {
    /// Begin: start what can be started.
    Begin,
    /// [`Action::Spawn`] has made a process whose program is not loaded yet (its file system does not answer at once).
    /// [`Event::Spawned`] or [`Event::SpawnFailed`] follows, unless [`Event::Exited`] comes before.
    Starting { service: ServiceId, pid: Pid },
    /// [`Action::Spawn`] has been done: the service's process is `pid`, the leader of its own process group.
    Spawned { service: ServiceId, pid: Pid },
    /// [`Action::Spawn`] could not be done. `lasting`: another attempt would fail in the same way.
    /// `code` is what rinit exits with when this decides it (126, 127, 71).
    SpawnFailed { service: ServiceId, lasting: bool, code: u8 },
    /// [`Action::Spawn`] was not done, for the container stops.
    SpawnSkipped { service: ServiceId },
    /// A child of rinit was reaped: a service, a probe, or an orphan that nobody knows.
    /// `group_left`: other processes of its process group are still there (with `kill_mode = "all"`, also of those
    /// that have left it).
    Exited { pid: Pid, outcome: ExitStatus, group_left: bool },
    /// The last process of a group (and of what has left it, as above) that [`super::Supervisor::lingering`] named is gone.
    GroupGone { service: ServiceId },
    /// [`Action::Probe`] runs as this process.
    ProbeSpawned { service: ServiceId, pid: Pid },
    /// [`Action::Probe`] could not be started: a failed probe.
    ProbeFailed { service: ServiceId },
    /// rinit received this signal (never SIGCHLD).
    Signal(Signal),
    /// Somebody outside orders something of one service.
    Order { service: ServiceId, order: ControlOrder },
    /// Somebody outside orders the end of the container; with this code, if they name one.
    Shutdown { code: Option<u8> },
    /// Stop everything and end with this code (rinit's own reason, such as a system call that failed).
    Stop { code: u8 },
    /// No child of rinit is left, of any kind (wait(2) says ECHILD). Only told during the sweep.
    Childless,
    /// The moment that [`super::Supervisor::deadline`] named has come.
    Tick,
    /// The shell was woken long after that moment: everybody was frozen (`docker pause`), and nobody had the time that
    /// has passed.
    Resumed,
}

/// What somebody outside may order of a service.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ControlOrder {
    /// Start it, and what it needs.
    Start,
    /// Stop it, and before it what needs it; `only`: it alone. It stays down until it is started by hand.
    Stop { only: bool },
    /// Stop it, if it runs, and start it again.
    Restart,
    /// Send a signal to its first process.
    Signal(Signal),
}

/// Something to be done by the shell, in this order.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// Start the service's process; answer with [`Event::Spawned`], [`Event::SpawnFailed`] or [`Event::Starting`].
    Spawn { service: ServiceId },
    /// Send a signal to a service's process, or to its whole process group.
    /// `wake`: SIGCONT follows, so that a stopped process can take it.
    Signal { pid: Pid, group: bool, signal: Signal, wake: bool },
    /// Remember who descends from a service's first process, as long as that can be seen: it is asked to stop now.
    Survey { pid: Pid },
    /// Send a signal to those that have left the group of this first process, as far as it is known whose they are.
    SignalEscaped { pid: Pid, signal: Signal, wake: bool },
    /// Kill a process whose program is not loaded yet; it may lead a group or not. Its end will still be told.
    KillStart { pid: Pid },
    /// Run the service's healthcheck once, in a process of its own; answer with
    /// [`Event::ProbeSpawned`] or [`Event::ProbeFailed`]. Its exit code 0 is a pass.
    Probe { service: ServiceId },
    /// Kill this probe (its process group). Its end will still be told.
    KillProbe { pid: Pid },
    /// Every service is gone: send this signal (TERM, later KILL) to every process that is left.
    /// Answer with [`Event::Childless`] as soon as no child is left, at once when there is none.
    Sweep { signal: Signal },
    /// End rinit with this code. The last action there is.
    Halt { code: u8 },
    /// Tell the user.
    Tell(Note),
}

/// Why a service is being stopped, or was.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StopReason {
    /// It ended by itself; only the rest of its group is being cleared away.
    Itself,
    /// The container stops.
    Shutdown,
    /// It was not ready, or not done, within `start_timeout`.
    StartTimeout,
    /// It ran longer than `run_timeout`.
    RunTimeout,
    /// Its healthcheck failed `retries` times in a row.
    Unhealthy,
    /// Something that it depends on with `restart = true` was restarted.
    Dependency(ServiceId),
    /// Somebody ordered it.
    ByHand,
}

/// What became of a service that ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Next {
    /// It is started again after `delay`; this is restart `attempt` of `of`.
    Restarting { delay: Duration, attempt: u32, of: Option<u32> },
    /// It is done, with success.
    Done,
    /// It has failed and is not started again: its policy says no.
    Failed,
    /// It has failed and is not started again, whatever its policy says.
    Over(Over),
    /// It has failed and is not started again: its attempts are used up.
    GivenUp { attempts: u32 },
    /// It has stopped, as it was asked to.
    Stopped,
    /// Somebody has ordered it to be started again.
    Again,
}

/// Why a service that failed is not started again, where that is not its restart policy.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Over {
    /// Its start would fail again.
    Stays,
    /// The container stops.
    Stopping,
    /// It was unhealthy, and `on_unhealthy` says so.
    Unhealthy,
}

/// Something the user should know. [`crate::output::messages`] puts each into words.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Note {
    /// A service's process was started.
    Started { service: ServiceId, pid: Pid },
    /// A service is ready: healthy, for the first time since its start.
    Healthy { service: ServiceId },
    /// A service's healthcheck has failed `failures` times in a row, which is enough.
    Unhealthy { service: ServiceId, failures: u32 },
    /// A service's process has ended. It ran for `after`, until it ended or was asked to stop; until all of it was gone,
    /// it took `took` more.
    Ended {
        service: ServiceId,
        outcome: ExitStatus,
        after: Duration,
        took: Duration,
        cause: StopReason,
        next: Next,
    },
    /// A service's process could not be started (the shell has told why).
    NotStarted { service: ServiceId, next: Next },
    /// A service's process has not loaded its program `after` so long (the shell tells what it waits for).
    /// `given_up`: it is killed, which is a failed start.
    SlowStart { service: ServiceId, after: Duration, given_up: bool },
    /// A service will never start, because something it needs has failed.
    Unreachable { service: ServiceId, needs: ServiceId },
    /// A service is asked to stop.
    Stopping { service: ServiceId, cause: StopReason },
    /// A service did not stop within its grace and is killed. `leader` tells whether its first process still ran.
    Killing { service: ServiceId, after: Duration, leader: bool },
    /// A killed process is still there after a while (uninterruptible sleep); it is waited for no longer.
    Stuck { service: ServiceId },
    /// The whole container stops; `because` is the service whose end decided it, if one did.
    ShuttingDown { because: Option<ServiceId> },
    /// A second request: everything is killed at once.
    KillingAll,
    /// Processes that belong to no service are asked to stop, or killed.
    Sweeping { signal: Signal },
    /// A service is to be started or stopped because of an order for `because`, which may be itself.
    Ordered { service: ServiceId, order: ControlOrder, because: ServiceId },
    /// A service that was stopped by hand, and had no process.
    StoppedIdle { service: ServiceId },
    /// Services wait for others ([`super::Supervisor::waits`]), and nothing else was told for a while.
    StillWaiting,
    /// Services have not stopped yet ([`super::Supervisor::stops`]), and nothing else was told for a while.
    StillStopping,
    /// A signal is for a service that does not run.
    NotForwarded { signal: Signal, service: ServiceId },
    /// A signal came for which nobody has a use: told once each.
    Unused { signal: Signal },
    /// A signal was passed on to a service: to this process, or to its group.
    Forwarded { signal: Signal, service: ServiceId, pid: Pid, group: bool },
}
