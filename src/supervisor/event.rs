//! The interface of the supervisor: the events it takes, the actions it returns, the notes it reports.

#![expect(missing_docs, reason = "a variant's text names its fields")]

use crate::model::{ExitStatus, HookKind, Pid, ServiceId, Signal};
use std::time::Duration;

/// Something that happened. The shell passes each event once, in the order of arrival.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Event {
    /// Begin: start what can be started.
    Begin,
    /// [`Action::Spawn`] has created a process that has not loaded its program yet (a slow file system). Then follows
    /// [`Event::Spawned`] or [`Event::SpawnFailed`], unless [`Event::Exited`] comes first.
    Starting { service: ServiceId, pid: Pid },
    /// [`Action::Spawn`] succeeded: the service runs as `pid`, the leader of its own process group.
    Spawned { service: ServiceId, pid: Pid },
    /// [`Action::Spawn`] failed. `lasting`: a retry would fail in the same way. `code` is rinit's exit code if this
    /// failure decides it (126, 127, 71).
    SpawnFailed { service: ServiceId, lasting: bool, code: u8 },
    /// [`Action::Spawn`] was skipped because the container is stopping.
    SpawnSkipped { service: ServiceId },
    /// A child of rinit was reaped: a service, a probe, or an unknown orphan. `group_left`: other members of its
    /// process group are still alive (with `kill_mode = "all"`, also processes that have left the group).
    Exited { pid: Pid, outcome: ExitStatus, group_left: bool },
    /// The last process of a group named by [`super::Supervisor::lingering`] is gone (and, as above, of those that
    /// left it).
    GroupGone { service: ServiceId },
    /// [`Action::Probe`] runs as this process.
    ProbeSpawned { service: ServiceId, pid: Pid },
    /// [`Action::Probe`] could not be started; this counts as a failed probe.
    ProbeFailed { service: ServiceId },
    /// [`Action::Probe`] was answered without a process: the service is healthy.
    ProbePassed { service: ServiceId },
    /// A probe of the service would pass now: it is not to wait for its next one.
    ProbeNow { service: ServiceId },
    /// A service has reported on itself (sd_notify(3), or a newline on its descriptor).
    Notified { service: ServiceId, report: SelfReport },
    /// The main process of a running service is another one from now on: a live process of its own (`MAINPID=`).
    MainPid { service: ServiceId, pid: Pid },
    /// A client has connected to a socket of this service, which waits for that ([`super::ServiceStatus::Listening`]).
    Activated { service: ServiceId },
    /// [`Action::Hook`] runs as this process.
    HookSpawned { service: ServiceId, hook: HookKind, pid: Pid },
    /// [`Action::Hook`] could not be started, which counts as a failed hook; fields as in [`Event::SpawnFailed`].
    HookNotSpawned { service: ServiceId, hook: HookKind, lasting: bool, code: u8 },
    /// rinit received this signal (never SIGCHLD).
    Signal(Signal),
    /// A control client orders something of one service.
    Order { service: ServiceId, order: ControlOrder },
    /// A control client orders the container to stop, optionally with an exit code.
    Shutdown { code: Option<u8> },
    /// Stop everything and exit with this code (rinit's own reason, such as a failed system call).
    Stop { code: u8 },
    /// rinit has no child left (wait(2) returns ECHILD). Only sent during the sweep.
    Childless,
    /// The wall clock, in seconds since 1970: before [`Event::Begin`] if there are schedules, then when
    /// [`super::Supervisor::wall_deadline`] has come, and at once when the clock was set.
    WallClock { at: i64 },
    /// The deadline returned by [`super::Supervisor::deadline`] has passed.
    Tick,
    /// The shell woke up long after the deadline: the whole container was frozen (`docker pause`), so no process could
    /// use the time that has passed.
    Resumed,
}

/// What a service may report on itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SelfReport {
    /// It is ready, or has reloaded its configuration.
    Ready,
    /// It reloads its configuration; `Ready` follows.
    Reloading,
    /// It has begun to stop by itself.
    Stopping,
    /// It is alive.
    Alive,
    /// It wants to be treated as if it had missed its watchdog.
    Trigger,
    /// Its watchdog interval is this from now on; zero: none.
    Watchdog(Duration),
    /// It needs this much time from now on for what it does (its start, its run, its stop).
    Extend(Duration),
}

/// What a control client may order of a service.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ControlOrder {
    /// Start it and what it needs.
    Start,
    /// Stop it, after everything that needs it (`only`: it alone). It stays down until it is started by hand. `all`: so
    /// are the other instances of its service, so that who needs one of them loses the last.
    Stop { only: bool, all: bool },
    /// Stop it if it runs, then start it.
    Restart,
    /// The same, when all that were ordered so before it are ready again.
    Roll,
    /// Send a signal to its first process.
    Signal(Signal),
}

/// Something that the shell must do; the order matters.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// Start the service's process. Answered by [`Event::Spawned`], [`Event::SpawnFailed`] or [`Event::Starting`].
    Spawn { service: ServiceId },
    /// The first process of a service has exited with code 0 and has left its main process behind: find that one (the
    /// rest of the group of `pid` is the shell's from now on). Answered like [`Action::Spawn`]: [`Event::Starting`]
    /// with a helper that looks for it, then [`Event::Spawned`] with the main process.
    FollowFork { service: ServiceId, pid: Pid },
    /// This slot is for another process of a service, beside its own, in a rolling restart. [`Note::Removed`] says when
    /// it is gone.
    StandIn { service: ServiceId, slot: ServiceId },
    /// Send a signal to a service's process or to its whole process group. `wake`: follow it with SIGCONT, so that a
    /// stopped process can handle it.
    Signal { pid: Pid, group: bool, signal: Signal, wake: bool },
    /// Remember the descendants of a service's first process while they can still be found: it is about to be stopped.
    Survey { pid: Pid },
    /// Send a signal to the known descendants of this first process that have left its group.
    SignalEscaped { pid: Pid, signal: Signal, wake: bool },
    /// Kill a process that has not loaded its program yet; it may or may not lead a group. Its end is still reported.
    KillStart { pid: Pid },
    /// Run the service's healthcheck once, in its own process. Answered by [`Event::ProbeSpawned`] or
    /// [`Event::ProbeFailed`], or by [`Event::ProbePassed`]. Exit code 0 is a pass.
    Probe { service: ServiceId },
    /// Kill this probe and its process group. Its end is still reported.
    KillProbe { pid: Pid },
    /// Run a hook of a service. `outcome`: how the service ended, if it has. Answered by [`Event::HookSpawned`] or
    /// [`Event::HookNotSpawned`]. Exit code 0 is success.
    Hook { service: ServiceId, hook: HookKind, outcome: Option<ExitStatus> },
    /// Kill this hook and its process group. Its end is still reported.
    KillHook { pid: Pid },
    /// All services are gone: send this signal (TERM, later KILL) to every remaining process. Answered by
    /// [`Event::Childless`] once no child is left (at once if there is none).
    Sweep { signal: Signal },
    /// Exit rinit with this code. Always the last action.
    Halt { code: u8 },
    /// Read the configuration anew; [`super::Supervisor::replace`] follows, if it is right.
    Reload,
    /// Tell the user.
    Tell(Note),
}

/// Why a service is or was being stopped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StopReason {
    /// It ended by itself; only the rest of its process group is being cleaned up.
    Itself,
    /// The same, before it had run for `min_uptime`: a failed start.
    TooEarly,
    /// Its `post_start` hook has failed.
    PostStart,
    /// The container stops.
    Shutdown,
    /// It was not ready (a oneshot: not done) within `start_timeout`.
    StartTimeout,
    /// It ran longer than `run_timeout`.
    RunTimeout,
    /// Its healthcheck failed `retries` times in a row.
    Unhealthy,
    /// It did not say that it is alive within `watchdog`.
    Watchdog,
    /// A dependency with `restart = true` was restarted.
    Dependency(ServiceId),
    /// A control client ordered it.
    ByHand,
    /// A reload has changed, removed or turned it off.
    Reload,
    /// It stood in for a service that is restarted.
    Rolled,
}

impl StopReason {
    /// Returns whether nobody asked it to stop: it ended by itself.
    #[must_use]
    pub fn is_own(self) -> bool {
        matches!(self, Self::Itself | Self::TooEarly)
    }
}

/// What happens to a service after it has ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Next {
    /// It is restarted after `delay`; this is restart `attempt` of `of`.
    Restarting { delay: Duration, attempt: u32, of: Option<u32> },
    /// It completed with success.
    Done,
    /// It failed, and its restart policy says not to restart.
    Failed,
    /// It failed and is not restarted, regardless of its policy.
    Over(Over),
    /// It failed, and all its restart attempts are used up.
    GivenUp { attempts: u32 },
    /// It stopped as requested.
    Stopped,
    /// A control client has ordered a new start.
    Again,
    /// It is started again by the next connection.
    Listening,
}

/// Why a failed service is not restarted, other than by its restart policy.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Over {
    /// A new start would fail in the same way.
    Stays,
    /// Its schedule starts it the next time.
    Scheduled,
    /// The container stops.
    Stopping,
    /// It was unhealthy, and `on_unhealthy` forbids a restart.
    Unhealthy,
    /// It was started as often, within a time, as `start_limit_burst` allows.
    StartLimit,
    /// Services were restarted as often, within a time, as `[restart] max_restarts` allows: the container stops.
    RestartLimit,
}

/// Something that the user should know. [`crate::output::messages`] formats it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Note {
    /// A service's process was started.
    Started { service: ServiceId, pid: Pid },
    /// A service has said that it is ready, for the first time since its start, or is without saying so, some time after
    /// its start.
    Ready { service: ServiceId },
    /// A service has said that it reloads its configuration.
    Reloading { service: ServiceId },
    /// It has said that it is ready again, or, not `confirmed`, has not in time.
    Reloaded { service: ServiceId, confirmed: bool },
    /// The main process of a service is this one from now on.
    MainPid { service: ServiceId, pid: Pid },
    /// A service is healthy for the first time since its start.
    Healthy { service: ServiceId },
    /// A service's healthcheck has failed `failures` times in a row and reached its limit.
    Unhealthy { service: ServiceId, failures: u32 },
    /// A service has ended. `after`: how long it ran until it ended or was asked to stop; `took`: how much longer
    /// until its whole group was gone.
    Ended {
        service: ServiceId,
        outcome: ExitStatus,
        after: Duration,
        took: Duration,
        cause: StopReason,
        next: Next,
    },
    /// A service's process could not be started (the shell has reported why).
    NotStarted { service: ServiceId, next: Next },
    /// A hook of a service has failed. `outcome`: how it ended; `None`: it was killed, because it took too long.
    HookFailed { service: ServiceId, hook: HookKind, outcome: Option<ExitStatus>, after: Duration },
    /// A hook of a service still runs after this time; it may take `limit`.
    HookRuns { service: ServiceId, hook: HookKind, after: Duration, limit: Duration },
    /// A service's process has not loaded its program after this time (the shell adds what it waits for). `given_up`:
    /// it is killed, and the start has failed.
    SlowStart { service: ServiceId, after: Duration, given_up: bool },
    /// A service will never start, because a dependency has failed.
    Unreachable { service: ServiceId, needs: ServiceId },
    /// A service is asked to stop.
    Stopping { service: ServiceId, cause: StopReason },
    /// A service did not stop within its grace period and is killed. `leader`: its first process was still alive.
    Killing { service: ServiceId, after: Duration, leader: bool },
    /// A killed process does not go away (uninterruptible sleep); rinit no longer waits for it.
    Stuck { service: ServiceId },
    /// A stop was asked for; everything serves for so long (`[stop] delay`).
    Draining { delay: Duration },
    /// The whole container stops; `because` is the service whose end caused it, if any.
    ShuttingDown { because: Option<ServiceId> },
    /// A second stop request: everything is killed at once.
    KillingAll,
    /// Processes that belong to no service are asked to stop, or killed.
    Sweeping { signal: Signal },
    /// A service is started or stopped because of an order for `because` (possibly itself).
    Ordered { service: ServiceId, order: ControlOrder, because: ServiceId },
    /// A service waits for a connection to its sockets.
    Listening { service: ServiceId },
    /// A connection starts this service.
    Activated { service: ServiceId },
    /// A run was due by the clock while the last one goes on, and so many wait already (`overlap = "queue"`); told once
    /// for each run that goes on.
    RunSkipped { service: ServiceId, queued: u16 },
    /// A service that has no process was stopped by hand.
    StoppedIdle { service: ServiceId },
    /// A reload was asked for while the container stops: there is none.
    NotReloaded,
    /// The configuration was read anew: it is in use now, or (`ok` false) it was refused as a whole.
    ConfigReloaded { ok: bool },
    /// A reload has added a service.
    Added { service: ServiceId },
    /// A service that a reload has removed is gone, and its id is free.
    Removed { service: ServiceId },
    /// A service that a reload has turned off is gone.
    TurnedOff { service: ServiceId },
    /// In a rolling restart it was the turn of this service, and it is ready again.
    Rolled { service: ServiceId },
    /// The rolling restart ends at this service, which did not get ready; `left` others are as they were. `kept`: so is
    /// it itself, as it was its stand-in that did not.
    RollFailed { service: ServiceId, left: usize, kept: bool },
    /// Nothing was reported for a while, and services still wait ([`super::Supervisor::waits`]).
    StillWaiting,
    /// Nothing was reported for a while, and services still stop ([`super::Supervisor::stops`]).
    StillStopping,
    /// A signal was meant for a service that is not running.
    NotForwarded { signal: Signal, service: ServiceId },
    /// A signal has no use; reported once per signal.
    Unused { signal: Signal },
    /// A signal was forwarded to a service: to this process or its group.
    Forwarded { signal: Signal, service: ServiceId, pid: Pid, group: bool },
}
