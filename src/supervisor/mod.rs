//! The pure core: decides everything, does nothing.
//!
//! [`Supervisor::step`] takes one event and returns the actions to perform. There is no I/O, no clock and no Linux
//! here: time is an argument, and a timer is a field that [`Supervisor::deadline`] looks up. The same events always
//! give the same actions, so the tests can visit every reachable state of a small set of services.
//!
//! The shell's part: perform the actions in order, and handle one child at a time: reap, `step`, act, reap the next.
//! (If a pid were reaped before a spawn but reported after it, it could be the new child's own pid.) A signal may
//! arrive between two actions; if it stops the container, the remaining spawns may be skipped.

pub mod event;
pub mod graph;
mod process_table;
mod service_map;
mod starting;
mod stopping;
mod timers;

mod demand;
mod health;
mod hooks;
mod limits;
mod load;
mod orders;
mod progress;
mod readiness;
pub mod reload;
mod restart;
mod rolling;
mod schedule;
mod service;
mod shutdown;
mod signals;

/// Always false outside tests; a test injects the named fault to prove that the invariants of the walk detect it.
#[cfg(test)]
macro_rules! faulty {
    ($core:expr, $fault:ident) => {
        $core.mutant == Some(crate::supervisor::tests::Mutant::$fault)
    };
}
#[cfg(not(test))]
macro_rules! faulty {
    ($core:expr, $fault:ident) => {
        false
    };
}
use faulty;

#[cfg(test)]
mod tests;

pub use progress::Wait;
pub use service::ServiceStatus;
pub use signals::ends_before_start;

use crate::model::{Dependency, ExitStatus, Moment, Pid, ServiceId, ServicePolicy, Settings, Signal};
use event::{Action, Event, Note, StopReason};
use graph::Graph;
use process_table::{Owner, Pids, ProcessEnd};
use readiness::Reports;
use restart::Random;
use service::{Record, ServiceState, Stopping};
use service_map::{ServiceMap, SharedMap};
use shutdown::{Phase, Stop};
use std::time::Duration;
use timers::{Records, Timers};

/// How long to wait for a killed process to go away before giving up on it.
const KILL_TIMEOUT: Duration = Duration::from_secs(2);

/// The state of every service and of the container as a whole.
#[derive(Clone)]
pub struct Supervisor {
    whole: Settings,
    /// Without `depends_on`, which has moved to `graph`.
    rules: SharedMap<ServicePolicy>,
    records: Records,
    timers: Timers,
    /// Whether the timers were computed for a container that is not stopping: only then do running services have
    /// timers.
    timers_are_up: bool,
    graph: Graph,
    pids: Pids,
    phase: Phase,
    stop: Stop,
    /// The fraction of its grace period that a service gets when the container stops.
    share: f64,
    /// The exit code, once decided.
    code: Option<u8>,
    /// How many services are live, waiting or in backoff.
    busy: usize,
    /// How many services wait, and how many are stopping.
    waiting: usize,
    stopping: usize,
    /// How many wait for a connection.
    listening: usize,
    /// Services whose first process is gone but whose group is not.
    lingering: Vec<ServiceId>,
    /// Services that go because of a reload: the first of each pair before the second.
    bonds: Vec<(ServiceId, ServiceId)>,
    /// How many services a reload has removed that are not gone yet.
    removing: usize,
    /// Signals queued for the main service while it has no process; in order, each once, like the kernel's pending
    /// set.
    pending: Vec<Signal>,
    /// Bit set of unused signals that were already reported.
    unused: u64,
    /// Hooks that run, but those before a start.
    hooks: Vec<hooks::HookRun>,
    /// When services were started, as far as that is limited.
    starts: limits::StartTimes,
    /// When to report waits.
    progress: progress::Progress,
    rolling: Option<Box<rolling::Rolling>>,
    /// Services whose change in this step may affect others. Empty between steps.
    news: Vec<ServiceId>,
    random: Random,
    /// What running services have reported on themselves.
    reports: Reports,
    /// The services with a schedule, by id.
    jobs: Box<[schedule::Job]>,
    #[cfg(test)]
    mutant: Option<tests::Mutant>,
}

impl Supervisor {
    /// Creates a supervisor for these services; a [`ServiceId`] is an index into the list.
    #[must_use]
    pub fn new(mut services: Vec<ServicePolicy>, whole: Settings) -> Self {
        let graph = Graph::new(&mut services);
        let nobody = Box::new(reload::nobody());
        let records: Vec<Record> = services.iter().map(Record::of).collect();
        let jobs = schedule::jobs(&services, &[]);
        let mut core = Self {
            // At first a service is either waiting or off.
            busy: records.iter().filter(|record| record.state.is_busy()).count(),
            waiting: records.iter().filter(|record| record.state == ServiceState::Waiting).count(),
            stopping: 0,
            listening: 0,
            timers: Timers::new(records.len()),
            timers_are_up: true,
            records: Records::new(ServiceMap::new(records, Record::of(&nobody))),
            rules: SharedMap::new(services, nobody),
            graph,
            pids: Pids::default(),
            phase: Phase::New,
            stop: Stop::default(),
            share: 1.0,
            code: None,
            lingering: Vec::new(),
            bonds: Vec::new(),
            removing: 0,
            pending: Vec::new(),
            unused: 0,
            hooks: Vec::new(),
            starts: limits::StartTimes::default(),
            progress: progress::Progress::default(),
            rolling: None,
            news: Vec::new(),
            random: Random::new(whole.seed),
            jobs,
            whole,
            reports: Reports::default(),
            #[cfg(test)]
            mutant: None,
        };
        core.share = core.share_of_graces();
        core
    }

    /// Handles `event` and appends the resulting actions to `out`, in order.
    pub fn step(&mut self, now: Moment, event: Event, out: &mut Vec<Action>) {
        Step { core: self, now, out }.take(event);
    }

    /// Returns the earliest moment at which [`Event::Tick`] must be sent.
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        let moments = [self.timers.earliest(), self.whole_due(), self.progress_due(), self.roll_due()];
        moments.into_iter().flatten().min().filter(|_| self.phase != Phase::Halted)
    }

    /// Returns the groups whose first process is gone but which still had members at that time. The shell checks them
    /// after each batch of reaped children and sends [`Event::GroupGone`].
    pub fn lingering(&self) -> impl Iterator<Item = (ServiceId, Pid)> {
        self.lingering.iter().filter_map(|id| match self.records[*id].state {
            ServiceState::Stopping(Stopping { pid, .. }) => Some((*id, pid)),
            ServiceState::Off
            | ServiceState::Waiting
            | ServiceState::Scheduled { .. }
            | ServiceState::Spawning { .. }
            | ServiceState::Running { .. }
            | ServiceState::Finishing(_)
            | ServiceState::Backoff { .. }
            | ServiceState::Listening { .. }
            | ServiceState::Down(_) => None,
        })
    }

    /// Returns whether this is the process of a service, a probe or a hook. The shell may skip [`Event::Exited`] for all
    /// others.
    #[must_use]
    pub fn knows(&self, pid: Pid) -> bool {
        self.pids.knows(pid)
    }

    /// Returns the service whose first process this is.
    #[must_use]
    pub fn service_of(&self, pid: Pid) -> Option<ServiceId> {
        self.pids.leader(pid)
    }

    /// Returns the dependencies of a service.
    #[must_use]
    pub fn dependencies(&self, service: ServiceId) -> &[Dependency] {
        &self.graph.depends_on[service]
    }

    /// Returns the policy of a service, without `depends_on` (see [`Supervisor::dependencies`]).
    #[must_use]
    pub fn rules(&self, service: ServiceId) -> &ServicePolicy {
        &self.rules[service]
    }

    /// Returns all services, dependencies first.
    #[must_use]
    pub fn start_order(&self) -> Vec<ServiceId> {
        self.graph.order.to_vec()
    }

    /// Returns the state of a service.
    #[must_use]
    pub fn state_of(&self, service: ServiceId) -> ServiceStatus {
        self.records[service].state.status()
    }

    /// Returns the number of restarts in a row.
    #[must_use]
    pub fn attempts_of(&self, service: ServiceId) -> u32 {
        self.records[service].attempts
    }

    /// Returns the number of failed probes in a row.
    #[must_use]
    pub fn failed_probes_of(&self, service: ServiceId) -> u32 {
        self.records[service].failures
    }

    /// Returns the first process of a service, while it is alive.
    #[must_use]
    pub fn leader_of(&self, service: ServiceId) -> Option<Pid> {
        self.records[service].state.leader()
    }

    /// Returns one dependency that a waiting service waits for.
    #[must_use]
    pub fn waits_for(&self, service: ServiceId) -> Option<ServiceId> {
        let record = &self.records[service];
        let edge = self.graph.depends_on[service].get(record.blocker());
        edge.filter(|_| record.state == ServiceState::Waiting).map(|edge| edge.on)
    }

    /// Returns whether the container is stopping or has stopped.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        match self.phase {
            Phase::New | Phase::Up => false,
            Phase::Stopping | Phase::Sweeping { .. } | Phase::Halted => true,
        }
    }

    /// Returns whether a stop was asked for and everything still serves (`[stop] delay`).
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.stop.is_draining()
    }

    /// Updates the counters of waiting and stopping services for one in this state.
    fn count(&mut self, state: ServiceState, change: fn(usize, usize) -> usize) {
        let waits = state == ServiceState::Waiting;
        let stops = matches!(state, ServiceState::Stopping(_) | ServiceState::Finishing(_));
        self.busy = change(self.busy, usize::from(state.is_busy()));
        self.waiting = change(self.waiting, usize::from(waits));
        self.stopping = change(self.stopping, usize::from(stops));
        let listens = matches!(state, ServiceState::Listening { .. });
        self.listening = change(self.listening, usize::from(listens));
    }

    /// Updates the timers of the services that may have changed.
    fn set_timers(&mut self) {
        let are_up = !self.is_stopping();
        if self.timers_are_up != are_up {
            self.timers_are_up = are_up;
            for id in self.records.ids() {
                self.timers.set(id, self.due(id));
            }
        }
        while let Some(id) = self.records.next_touched() {
            self.timers.set(id, self.due(id));
        }
    }

    /// Returns the first service, from this one on, whose timer is due.
    fn first_due(&mut self, from: ServiceId, now: Moment) -> Option<ServiceId> {
        self.set_timers();
        self.timers.first_due(from, now)
    }

    fn due(&self, id: ServiceId) -> Option<Moment> {
        let own = self.records[id].due(&self.rules[id], self.reports.of(id), !self.is_stopping());
        own.into_iter().chain(self.hook_due_at(id)).min()
    }

    /// Returns the main service, if there is one and it is not off.
    fn main(&self) -> Option<ServiceId> {
        self.whole.main.filter(|id| self.records[*id].state != ServiceState::Off)
    }
}

/// One step: the supervisor, the current time, and the output. The submodules implement their part of it.
struct Step<'a> {
    core: &'a mut Supervisor,
    now: Moment,
    out: &'a mut Vec<Action>,
}

impl Step<'_> {
    fn take(&mut self, event: Event) {
        if self.core.phase == Phase::Halted {
            return;
        }
        match event {
            Event::Begin => self.begin(),
            Event::Starting { service, pid } => self.starting(service, pid),
            Event::Spawned { service, pid } => self.spawned(service, pid),
            Event::SpawnFailed { service, lasting, code } => self.spawn_failed(service, lasting, code),
            Event::SpawnSkipped { service } => self.spawn_skipped(service),
            Event::Exited { pid, outcome, group_left } => self.exited(pid, outcome, group_left),
            Event::GroupGone { service } => self.group_gone(service),
            Event::ProbeSpawned { service, pid } => self.probe_spawned(service, pid),
            Event::ProbeFailed { service } => self.probe_answered(service, false),
            Event::ProbePassed { service } => self.probe_answered(service, true),
            Event::ProbeNow { service } => self.probe_now(service),
            Event::Notified { service, report } => self.notified(service, report),
            Event::MainPid { service, pid } => self.main_pid(service, pid),
            Event::Activated { service } => self.activated(service),
            Event::HookSpawned { service, hook, pid } => self.hook_spawned(service, hook, pid),
            Event::HookNotSpawned { service, hook, lasting, code } => {
                self.hook_not_spawned(service, hook, lasting, code);
            }
            Event::Signal(signal) => self.signal(signal),
            Event::Order { service, order } => self.order(service, order),
            Event::Shutdown { code } => self.shut_down_by_hand(code),
            Event::Stop { code } => self.stop_with(code),
            Event::Childless => self.childless(),
            Event::WallClock { at } => self.wall_clock(at),
            Event::Tick => self.tick(),
            Event::Resumed => self.resumed(),
        }
        self.spread();
        self.roll();
        if !faulty!(self.core, ForgetTimers) {
            self.core.set_timers();
        }
    }

    fn exited(&mut self, pid: Pid, outcome: ExitStatus, group_left: bool) {
        let end = ProcessEnd { outcome, group_left };
        match self.core.pids.ended(pid, end) {
            Some(Owner::Leader(id)) => self.leader_gone(id, end),
            Some(Owner::Probe(id)) => self.probe_gone(id, pid, outcome),
            Some(Owner::Hook(id, hook)) => self.hook_gone(id, hook, pid, outcome),
            None => {}
        }
    }

    /// Handles everything that is due. One timer may make another one due at once (a zero grace period), hence the
    /// loop; each timer is moved or cleared, so the loop ends.
    fn tick(&mut self) {
        let mut quiet = faulty!(self.core, BusyLoop);
        while !quiet && self.core.phase != Phase::Halted {
            quiet = true;
            let mut from = ServiceId(0);
            while let Some(id) = self.core.first_due(from, self.now) {
                self.service_due(id);
                from = id;
                quiet = false;
            }
            self.spread();
            self.roll();
            if self.core.whole_due().is_some_and(|at| at <= self.now) {
                self.fire_whole();
                quiet = false;
            }
            // What was told to others may have asked one to stop that gets no time for it.
            quiet = quiet && self.core.first_due(ServiceId(0), self.now).is_none();
        }
        if self.core.progress_due().is_some_and(|at| at <= self.now) && self.core.phase != Phase::Halted {
            self.tell_progress();
        }
    }

    /// After a freeze: extends every overdue timer once. Not the bound of the whole stop, which the container engine
    /// enforces by its own clock; that one did not stop.
    fn resumed(&mut self) {
        for id in self.core.records.ids() {
            self.resume_health(id);
            self.resume_reports(id);
            self.resume_hooks(id);
            if self.core.due(id).is_none_or(|at| at > self.now) {
                continue;
            }
            match self.core.records[id].state {
                ServiceState::Running { pid, ready, .. } => {
                    self.set(id, ServiceState::Running { pid, since: self.now, ready });
                }
                ServiceState::Stopping(ending) => {
                    let patience = if ending.killed { KILL_TIMEOUT } else { self.core.grace(id) };
                    self.set(
                        id,
                        ServiceState::Stopping(Stopping { due: self.now.after(patience), ..ending }),
                    );
                }
                ServiceState::Off
                | ServiceState::Waiting
                | ServiceState::Scheduled { .. }
                | ServiceState::Spawning { .. }
                | ServiceState::Finishing(_)
                | ServiceState::Backoff { .. }
                | ServiceState::Listening { .. }
                | ServiceState::Down(_) => {}
            }
        }
        if let Phase::Sweeping { due, killed } = self.core.phase
            && due <= self.now
        {
            let patience = if killed { KILL_TIMEOUT } else { self.core.whole.sweep_grace };
            self.core.phase = Phase::Sweeping { due: self.now.after(patience), killed };
        }
    }

    fn service_due(&mut self, id: ServiceId) {
        if self.hook_due(id) {
            return;
        }
        match self.core.records[id].state {
            ServiceState::Running { since, ready, .. } => {
                let rules = &self.core.rules[id];
                let row = self.core.reports.of(id);
                let past = |span: Duration| row.map_or(since.after(span), |row| row.limit(span)) <= self.now;
                if !ready && rules.start_timeout.is_some_and(past) {
                    self.stop(id, StopReason::StartTimeout);
                } else if rules.run_timeout.is_some_and(past) {
                    self.stop(id, StopReason::RunTimeout);
                } else if self.core.records[id].pending.uptime && since.after(rules.min_uptime) <= self.now {
                    self.uptime_reached(id);
                } else if !self.report_due(id) {
                    self.probe_due(id);
                }
            }
            ServiceState::Stopping(ending) => self.escalate(id, ending),
            ServiceState::Backoff { .. } => self.start_again(id),
            ServiceState::Scheduled { .. } => self.start_run(id),
            ServiceState::Spawning { disturbed, load: Some(load) } => self.load_due(id, disturbed, load),
            // No timer in these states.
            ServiceState::Off
            | ServiceState::Waiting
            | ServiceState::Listening { .. }
            | ServiceState::Spawning { load: None, .. }
            | ServiceState::Finishing(_)
            | ServiceState::Down(_) => {}
        }
    }

    /// Notifies dependents and dependencies until nothing changes any more, then checks what this means for the
    /// container. A queue, not recursion: a chain may be as long as the list.
    fn spread(&mut self) {
        let mut at = 0;
        while let Some(id) = self.core.news.get(at).copied() {
            at += 1;
            match self.core.phase {
                Phase::New => {}
                Phase::Up => {
                    self.tell_dependents(id);
                    self.let_go_by_hand(id);
                    self.let_go_to_leave(id);
                }
                Phase::Stopping | Phase::Sweeping { .. } | Phase::Halted => self.let_go(id),
            }
        }
        self.core.news.clear();
        if self.core.busy == 0 {
            self.nothing_left();
        }
    }

    fn set(&mut self, id: ServiceId, state: ServiceState) {
        let record = &mut self.core.records[id];
        let before = std::mem::replace(&mut record.state, state);
        self.core.count(before, usize::saturating_sub);
        self.core.count(state, usize::saturating_add);
    }

    fn act(&mut self, action: Action) {
        self.out.push(action);
    }

    fn tell(&mut self, note: Note) {
        self.end_silence(note);
        self.out.push(Action::Tell(note));
    }
}
