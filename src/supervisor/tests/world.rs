//! A world of simulated processes around the core, driven by a script or at random. [`super::invariants`] has what
//! must hold after every step.

use super::Mutant;
use super::clock::{EVENING, SlowCron, Way};
use crate::model::*;
use crate::supervisor::event::{Action, ControlOrder, Event, Next, Note};
use crate::supervisor::reload::Slot;
use crate::supervisor::service::ServiceState;
use crate::supervisor::{ServiceStatus, Supervisor};
use std::collections::BTreeMap;
use std::hash::Hash;
use std::rc::Rc;
use std::time::Duration;

pub(super) const S: Duration = Duration::from_secs(1);
/// The time of every state's clock when states are compared.
pub(super) const NOON: u64 = 1_000_000_000_000;

/// A live process group.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Group {
    pub of: ServiceId,
    /// Whether it is a probe or a hook.
    pub probe: bool,
    pub hook: Option<HookKind>,
    pub leader: bool,
    pub members: bool,
    /// All of it has been sent a signal.
    pub asked: bool,
    /// Its leader has not loaded its program yet.
    pub loading: bool,
    pub killed: bool,
    /// The core has stopped waiting for it.
    pub given_up: bool,
}

/// A request of the core that the world has not answered yet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Ask {
    Spawn(ServiceId),
    Probe(ServiceId),
    Hook(ServiceId, HookKind),
}

/// What the core has reported about a service.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Known {
    New,
    Spawning,
    Started,
    Healthy,
    Restarting,
    Listening,
    Done,
    Failed,
    Stopped,
}

#[derive(Clone)]
pub(super) struct World {
    pub core: Supervisor,
    /// The core's policies; shared by all copies of a world, like `above`.
    pub rules: Rc<[ServicePolicy]>,
    pub now: Moment,
    pub groups: BTreeMap<Pid, Group>,
    pub asks: Vec<Ask>,
    pub seen: Vec<Action>,
    pub events: Option<Vec<(Moment, Input)>>,
    pub halted: Option<u8>,
    /// The first violated rule.
    pub fault: Option<String>,
    pub steps: u64,
    pub known: Vec<Known>,
    pub stopping: bool,
    pub draining: bool,
    pub swept: bool,
    /// When the first INT or QUIT came.
    pub interrupted: Option<Moment>,
    /// When something was last reported, or a wait that may be reported last began.
    pub said: Moment,
    /// Signals for the main service when it runs.
    pub kept: Vec<Signal>,
    /// How many USR1 were not forwarded, or not yet.
    pub usr1_left: u32,
    /// For each service its direct and indirect dependents.
    pub above: Rc<[u16]>,
    /// Services that were stopped by hand, and those of them stopped without their dependents.
    pub by_hand: u16,
    /// Services that are stopping and were ordered to start.
    pub wanted: u16,
    pub alone: u16,
    /// Whose turn it is in a rolling restart, and whose is to come.
    pub rolling: Option<ServiceId>,
    pub rolls: u16,
    /// Services that have said that they are ready in this run; whose main process is known; and whose watchdog is no
    /// longer the configured one.
    pub notified: u16,
    pub followed: u16,
    pub rewatched: u16,
    /// When each was last known to be alive.
    pub alive: Vec<Moment>,
    /// What is known of starts by connections.
    pub demand: super::demand::Demand,
    /// What is known of hooks.
    pub hooks: super::hooks::HookLedger,
    /// How far the wall clock was set from where it would be, in seconds.
    pub set_by: i64,
    /// Cron's loop for each service with a schedule, and runs that are due and have not begun.
    pub crons: Vec<(ServiceId, SlowCron)>,
    pub credits: Vec<u16>,
    /// Who stands in for whom in a rolling restart.
    pub stand_in: Option<(ServiceId, ServiceId)>,
    pub started: super::limits::StartLedger,
    /// Whether the walk of all states includes orders.
    pub orders: bool,
    /// What reloads have changed.
    pub reload: super::reload::Expected,
}

/// What the core is told.
#[derive(Clone, Debug)]
pub(super) enum Input {
    Event(Event),
    Replace(Vec<Slot>),
}

/// A group that has just been started.
fn group(of: ServiceId, hook: Option<HookKind>, probe: bool) -> Group {
    Group {
        of,
        probe,
        hook,
        leader: true,
        members: false,
        asked: false,
        loading: false,
        killed: false,
        given_up: false,
    }
}

impl World {
    pub fn new(rules: Vec<ServicePolicy>, whole: Settings) -> Self {
        let core = Supervisor::new(rules.clone(), whole);
        let above = above(&core);
        let crons = (0_u16..).map(ServiceId).zip(&rules);
        let crons =
            crons.filter_map(|(id, rules)| Some((id, SlowCron::new(rules.schedule.as_ref()?, EVENING))));
        Self {
            core,
            set_by: 0,
            crons: crons.collect(),
            credits: vec![0; rules.len()],
            known: vec![Known::New; rules.len()],
            hooks: super::hooks::HookLedger::default(),
            started: super::limits::StartLedger::default(),
            demand: super::demand::Demand::new(rules.len()),
            rules: rules.into(),
            now: Moment(NOON),
            groups: BTreeMap::new(),
            asks: Vec::new(),
            seen: Vec::new(),
            events: None,
            halted: None,
            fault: None,
            steps: 0,
            stopping: false,
            draining: false,
            swept: false,
            interrupted: None,
            said: Moment(NOON),
            kept: Vec::new(),
            usr1_left: 0,
            by_hand: 0,
            rolling: None,
            rolls: 0,
            stand_in: None,
            wanted: 0,
            alone: 0,
            notified: 0,
            followed: 0,
            rewatched: 0,
            alive: vec![Moment(NOON); above.len()],
            above,
            orders: false,
            reload: super::reload::Expected::default(),
        }
    }

    /// Returns whether the walk of all states is about orders only.
    pub fn is_plain(&self) -> bool {
        self.orders && self.rules.len() > 1
    }

    pub fn with(mut self, mutant: Option<Mutant>) -> Self {
        self.core.mutant = mutant;
        self
    }

    // What a script does.

    pub fn begin(&mut self) {
        if !self.core.jobs.is_empty() {
            self.tell_wall(Way::Went);
        }
        self.feed(Event::Begin);
    }

    /// Answers all requests: every process starts.
    pub fn answer_all(&mut self) {
        while !self.asks.is_empty() {
            self.answer();
        }
    }

    /// Answers the oldest request: the process starts.
    pub fn answer(&mut self) -> Pid {
        let ask = self.asks.remove(0);
        let pid = self.free_pid();
        self.start(ask, pid);
        pid
    }

    /// Answers the oldest request, if it is for a service: the process exists, but its program is not loaded yet.
    pub fn answer_slowly(&mut self) {
        let Ask::Spawn(of) = self.asks[0] else { return };
        self.asks.remove(0);
        let pid = self.free_pid();
        self.groups.insert(pid, Group { loading: true, ..self::group(of, None, false) });
        self.feed(Event::Starting { service: of, pid });
    }

    /// A process loads its program.
    pub fn load(&mut self, pid: Pid) {
        let main = self.free_pid();
        let mut group = self.groups.remove(&pid).unwrap();
        let service = group.of;
        // What loads may be a helper that looks for the main process.
        let is_helper = self.core.is_following(service);
        let pid = if is_helper { main } else { pid };
        group.loading = false;
        group.killed &= !is_helper;
        self.groups.insert(pid, group);
        self.feed(Event::Spawned { service, pid });
    }

    /// A process ends without loading its program, and reports why.
    pub fn load_fails(&mut self, pid: Pid, lasting: bool) {
        let service = self.groups.remove(&pid).unwrap().of;
        self.feed(Event::SpawnFailed { service, lasting, code: 127 });
    }

    pub fn refuse(&mut self, lasting: bool, code: u8) {
        match self.asks.remove(0) {
            Ask::Spawn(service) => self.feed(Event::SpawnFailed { service, lasting, code }),
            Ask::Probe(service) => self.feed(Event::ProbeFailed { service }),
            Ask::Hook(service, hook) => self.feed(Event::HookNotSpawned { service, hook, lasting, code }),
        }
    }

    /// Answers the oldest request, if it is for a probe: it has passed without a process.
    pub fn pass(&mut self) {
        let Ask::Probe(service) = self.asks[0] else { return };
        self.asks.remove(0);
        self.feed(Event::ProbePassed { service });
    }

    /// Skips the oldest request, as the shell does with spawns once the container stops.
    pub fn skip(&mut self) {
        match self.asks.remove(0) {
            Ask::Spawn(service) if self.core.is_stopping() => self.feed(Event::SpawnSkipped { service }),
            Ask::Spawn(service) => self.feed(Event::SpawnFailed { service, lasting: false, code: 71 }),
            Ask::Probe(service) => self.feed(Event::ProbeFailed { service }),
            Ask::Hook(service, hook) => {
                self.feed(Event::HookNotSpawned { service, hook, lasting: false, code: 71 });
            }
        }
    }

    /// Answers the oldest request with a process that has already ended.
    pub fn answer_early(&mut self, outcome: ExitStatus, group_left: bool) {
        let pid = self.free_pid();
        self.feed(Event::Exited { pid, outcome, group_left });
        if self.halted.is_some() {
            return;
        }
        let (ask, of, hook) = match self.asks.remove(0) {
            Ask::Spawn(id) => (Event::Spawned { service: id, pid }, id, None),
            Ask::Probe(id) => (Event::ProbeSpawned { service: id, pid }, id, None),
            Ask::Hook(id, hook) => (Event::HookSpawned { service: id, hook, pid }, id, Some(hook)),
        };
        let probe = !matches!(ask, Event::Spawned { .. });
        if group_left {
            let left = self::group(of, hook, probe);
            self.groups.insert(pid, Group { leader: false, members: true, given_up: probe, ..left });
        }
        self.hook_ended(of, hook, outcome);
        self.feed(ask);
    }

    fn start(&mut self, ask: Ask, pid: Pid) {
        let (of, hook, event) = match ask {
            Ask::Spawn(id) => (id, None, Event::Spawned { service: id, pid }),
            Ask::Probe(id) => (id, None, Event::ProbeSpawned { service: id, pid }),
            Ask::Hook(id, hook) => (id, Some(hook), Event::HookSpawned { service: id, hook, pid }),
        };
        self.groups.insert(pid, self::group(of, hook, !matches!(ask, Ask::Spawn(_))));
        self.feed(event);
    }

    pub(super) fn free_pid(&self) -> Pid {
        // The kernel does not reuse a pid while the end of its last owner is still being reported.
        (100..).find(|pid| !self.groups.contains_key(pid) && !self.core.pids.has_early(*pid)).unwrap()
    }

    /// Returns the pid of a service's group.
    pub fn pid(&self, id: u16) -> Pid {
        let mine = |(_, group): &(&Pid, &Group)| group.of == ServiceId(id) && !group.probe && !group.given_up;
        *self.groups.iter().find(mine).unwrap_or_else(|| panic!("{id} runs not: {:?}", self.seen)).0
    }

    pub fn probe_pid(&self, id: u16) -> Pid {
        let is =
            |(_, group): &(&Pid, &Group)| group.of == ServiceId(id) && group.probe && group.hook.is_none();
        *self.groups.iter().find(is).unwrap().0
    }

    /// Returns the pid of a service's hook.
    pub fn hook_pid(&self, id: u16, hook: HookKind) -> Pid {
        let is = |(_, group): &(&Pid, &Group)| group.of == ServiceId(id) && group.hook == Some(hook);
        *self.groups.iter().find(is).unwrap_or_else(|| panic!("no {hook:?}: {:?}", self.seen)).0
    }

    /// A hook ends.
    pub fn hook(&mut self, id: u16, hook: HookKind, code: u8) {
        self.end(self.hook_pid(id, hook), ExitStatus::Code(code), false);
    }

    /// The first process of a group ends.
    pub fn end(&mut self, pid: Pid, outcome: ExitStatus, group_left: bool) {
        if let Some(Group { of, hook, killed: false, .. }) = self.groups.get(&pid).copied() {
            self.hook_ended(of, hook, outcome);
        }
        if group_left {
            let group = self.groups.get_mut(&pid).unwrap();
            group.leader = false;
            group.members = true;
            group.loading = false;
        } else {
            self.groups.remove(&pid);
        }
        self.feed(Event::Exited { pid, outcome, group_left });
    }

    pub fn exit(&mut self, id: u16, code: u8) {
        self.end(self.pid(id), ExitStatus::Code(code), false);
    }

    pub fn die(&mut self, id: u16, signal: Signal) {
        self.end(self.pid(id), ExitStatus::Signal(signal), false);
    }

    pub fn group_gone(&mut self, id: u16) {
        let pid = self.pid(id);
        self.groups.remove(&pid);
        self.feed(Event::GroupGone { service: ServiceId(id) });
    }

    pub fn probe(&mut self, id: u16, code: u8) {
        self.end(self.probe_pid(id), ExitStatus::Code(code), false);
    }

    pub fn order(&mut self, id: u16, order: ControlOrder) {
        self.feed(Event::Order { service: ServiceId(id), order });
    }

    pub fn signal(&mut self, signal: Signal) {
        self.feed(Event::Signal(signal));
    }

    // What a script asks.

    pub fn take(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.seen)
    }

    pub fn notes(&self) -> impl DoubleEndedIterator<Item = &Note> {
        self.seen.iter().filter_map(|action| if let Action::Tell(note) = action { Some(note) } else { None })
    }

    pub fn next(&self, id: u16) -> Option<Next> {
        self.notes().rev().find_map(|note| match note {
            Note::Ended { service, next, .. } | Note::NotStarted { service, next } if service.0 == id => {
                Some(*next)
            }
            _ => None,
        })
    }

    pub fn status(&self, id: u16) -> ServiceStatus {
        self.core.state_of(ServiceId(id))
    }

    pub fn runs(&self, id: u16) -> bool {
        matches!(self.status(id), ServiceStatus::Running { .. })
    }

    pub fn signals_to(&self, pid: Pid) -> Vec<Signal> {
        let to = |action: &Action| match action {
            Action::Signal { pid: to, signal, .. } if *to == pid => Some(*signal),
            _ => None,
        };
        self.seen.iter().filter_map(to).collect()
    }

    /// Lets every process stop as asked, in any order; returns rinit's exit code.
    pub fn finish(&mut self) -> u8 {
        for _ in 0..1000 {
            assert_eq!(self.fault, None);
            self.answer_all();
            if let Some(code) = self.halted {
                return code;
            }
            let asked = self.core.records.ids().find_map(|id| match self.core.records[id].state {
                ServiceState::Stopping(ending) => Some((id, ending)),
                _ => None,
            });
            match asked {
                Some((id, ending)) if ending.leader.is_some() => self.group_gone(id.0),
                Some((id, ending)) if ending.killed => self.die(id.0, Signal::KILL),
                Some((id, _)) => self.die(id.0, self.rules[id.index()].stop_signal),
                None if self.swept => self.feed(Event::Childless),
                None => assert!(self.tick(), "nothing happens any more: {:?}", self.seen),
            }
        }
        panic!("no end");
    }

    // The core, and the rules that hold whatever happens.

    pub fn feed(&mut self, event: Event) {
        self.steps += 1;
        if let Some(events) = &mut self.events {
            events.push((self.now, Input::Event(event)));
        }
        let mut out = Vec::new();
        let before = self.halted;
        self.expect(event);
        let due = event == Event::Tick && self.core.deadline().is_some_and(|at| at <= self.now);
        let key = due.then(|| self.key());
        self.core.step(self.now, event, &mut out);
        self.judge(before, out, key, &format!("{event:?}"), event);
    }

    /// Checks the actions of a step, and the state after it.
    pub(super) fn judge(
        &mut self,
        before: Option<u8>,
        out: Vec<Action>,
        key: Option<u64>,
        input: &str,
        event: Event,
    ) {
        for action in &out {
            if let Err(fault) = self.check(action) {
                self.fault.get_or_insert_with(|| format!("{fault}: {action:?} upon {input}, with {out:?}"));
            }
        }
        if before.is_some() && !out.is_empty() {
            self.fault.get_or_insert_with(|| format!("after the end: {out:?}"));
        }
        if let Err(fault) = self.check_state(event) {
            self.fault.get_or_insert_with(|| format!("{fault} after {input}, with {out:?}"));
        }
        let is_shown = |note: &Note| !matches!(note, Note::Forwarded { .. } | Note::Sweeping { .. });
        if out.iter().any(|action| matches!(action, Action::Tell(note) if is_shown(note))) {
            self.said = self.now;
        }
        if key.is_some_and(|key| out.is_empty() && key == self.key()) {
            self.fault.get_or_insert_with(|| "woken for nothing".into());
        }
        if let Err(fault) = self.check_kept(event, &out) {
            self.fault.get_or_insert_with(|| format!("{fault} after {input}, with {out:?}"));
        }
        self.seen.extend(out);
    }
}

/// Returns for each service its direct and indirect dependents.
pub(super) fn above(core: &Supervisor) -> Rc<[u16]> {
    let mut above = vec![0_u16; core.graph.order.len()];
    for id in core.graph.order.iter().rev() {
        for edge in &core.graph.depends_on[*id] {
            above[edge.on.index()] |= above[id.index()] | 1 << id.0;
        }
    }
    above.into()
}
