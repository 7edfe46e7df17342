//! A world of simulated processes around the core, which checks after every step what must always
//! hold. It knows the core only by its actions, but for the few looks inside that say so.

#![allow(dead_code)]
use super::super::event::{Action, Cause, Event, Next, Note};
use super::super::service::{End, Probe, State};
use super::super::shutdown::Phase;
use super::super::{Status, Supervisor};
use super::Mutant;
use crate::model::*;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

pub(super) const S: Duration = Duration::from_secs(1);
/// Where every state's clock stands, when states are compared.
const NOON: u64 = 1_000_000_000_000;

/// A process group that lives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Group {
    pub of: ServiceId,
    pub probe: bool,
    pub leader: bool,
    pub members: bool,
    pub killed: bool,
    /// The core has said that it waits for it no longer.
    pub given_up: bool,
}

/// What the core has asked for and the world has not answered.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Ask {
    Spawn(ServiceId),
    Probe(ServiceId),
}

/// What the core has let be known of a service.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Known {
    New,
    Spawning,
    Started,
    Healthy,
    Restarting,
    Done,
    Failed,
    Stopped,
}

#[derive(Clone)]
pub(super) struct World {
    pub core: Supervisor,
    pub rules: Vec<Rules>,
    pub now: Moment,
    pub groups: BTreeMap<Pid, Group>,
    pub asks: Vec<Ask>,
    pub seen: Vec<Action>,
    pub events: Option<Vec<(Moment, Event)>>,
    pub halted: Option<u8>,
    /// The first rule that was broken.
    pub fault: Option<String>,
    pub steps: u64,
    known: Vec<Known>,
    stopping: bool,
    swept: bool,
    /// For each service the ones that depend on it, also by others.
    above: Vec<u16>,
}

impl World {
    pub fn new(rules: Vec<Rules>, whole: Whole) -> Self {
        let core = Supervisor::new(rules.clone(), whole);
        let mut above = vec![0_u16; rules.len()];
        for id in core.graph.order.iter().rev() {
            for edge in &rules[id.index()].depends_on {
                above[edge.on.index()] |= above[id.index()] | 1 << id.0;
            }
        }
        Self {
            core,
            known: vec![Known::New; rules.len()],
            rules,
            now: Moment(NOON),
            groups: BTreeMap::new(),
            asks: Vec::new(),
            seen: Vec::new(),
            events: None,
            halted: None,
            fault: None,
            steps: 0,
            stopping: false,
            swept: false,
            above,
        }
    }

    pub fn with(mut self, mutant: Option<Mutant>) -> Self {
        self.core.mutant = mutant;
        self
    }

    // What a script does.

    pub fn begin(&mut self) {
        self.feed(Event::Begin);
    }

    /// Answer all that was asked for: every process starts.
    pub fn answer_all(&mut self) {
        while !self.asks.is_empty() {
            self.answer();
        }
    }

    /// Answer the oldest question: the process starts.
    pub fn answer(&mut self) -> Pid {
        let ask = self.asks.remove(0);
        let pid = self.free_pid();
        self.start(ask, pid);
        pid
    }

    pub fn refuse(&mut self, lasting: bool, code: u8) {
        match self.asks.remove(0) {
            Ask::Spawn(service) => self.feed(Event::SpawnFailed { service, lasting, code }),
            Ask::Probe(service) => self.feed(Event::ProbeFailed { service }),
        }
    }

    /// The oldest question is answered by a process that has ended before.
    pub fn answer_early(&mut self, outcome: Outcome, group_left: bool) {
        let pid = self.free_pid();
        self.feed(Event::Exited { pid, outcome, group_left });
        if self.halted.is_some() {
            return;
        }
        let (ask, of) = match self.asks.remove(0) {
            Ask::Spawn(id) => (Event::Spawned { service: id, pid }, id),
            Ask::Probe(id) => (Event::ProbeSpawned { service: id, pid }, id),
        };
        if group_left {
            let probe = matches!(ask, Event::ProbeSpawned { .. });
            self.groups.insert(
                pid,
                Group { of, probe, leader: false, members: true, killed: false, given_up: probe },
            );
        }
        self.feed(ask);
    }

    fn start(&mut self, ask: Ask, pid: Pid) {
        let (of, probe) = match ask {
            Ask::Spawn(id) => (id, false),
            Ask::Probe(id) => (id, true),
        };
        let group = Group { of, probe, leader: true, members: false, killed: false, given_up: false };
        self.groups.insert(pid, group);
        self.feed(if probe {
            Event::ProbeSpawned { service: of, pid }
        } else {
            Event::Spawned { service: of, pid }
        });
    }

    fn free_pid(&self) -> Pid {
        // The kernel gives no pid anew so soon that its last owner's end is still being told.
        (100..).find(|pid| !self.groups.contains_key(pid) && !self.core.pids.has_early(*pid)).unwrap()
    }

    /// The pid of a service's group.
    pub fn pid(&self, id: u16) -> Pid {
        let mine = |(_, group): &(&Pid, &Group)| group.of == ServiceId(id) && !group.probe && !group.given_up;
        *self.groups.iter().find(mine).unwrap_or_else(|| panic!("{id} runs not: {:?}", self.seen)).0
    }

    pub fn probe_pid(&self, id: u16) -> Pid {
        *self.groups.iter().find(|(_, group)| group.of == ServiceId(id) && group.probe).unwrap().0
    }

    /// The first process of a group ends.
    pub fn end(&mut self, pid: Pid, outcome: Outcome, group_left: bool) {
        if group_left {
            let group = self.groups.get_mut(&pid).unwrap();
            group.leader = false;
            group.members = true;
        } else {
            self.groups.remove(&pid);
        }
        self.feed(Event::Exited { pid, outcome, group_left });
    }

    pub fn exit(&mut self, id: u16, code: u8) {
        self.end(self.pid(id), Outcome::Code(code), false);
    }

    pub fn die(&mut self, id: u16, signal: Signal) {
        self.end(self.pid(id), Outcome::Signal(signal), false);
    }

    pub fn group_gone(&mut self, id: u16) {
        let pid = self.pid(id);
        self.groups.remove(&pid);
        self.feed(Event::GroupGone { service: ServiceId(id) });
    }

    pub fn probe(&mut self, id: u16, code: u8) {
        self.end(self.probe_pid(id), Outcome::Code(code), false);
    }

    pub fn signal(&mut self, signal: Signal) {
        self.feed(Event::Signal(signal));
    }

    /// Time passes.
    pub fn wait(&mut self, span: Duration) {
        let until = self.now.after(span);
        while let Some(at) = self.core.deadline().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            self.feed(Event::Tick);
            if self.fault.is_some() {
                return;
            }
        }
        self.now = until;
    }

    /// Time passes until something is due.
    pub fn tick(&mut self) -> bool {
        let Some(at) = self.core.deadline() else { return false };
        self.now = at.max(self.now);
        self.feed(Event::Tick);
        true
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

    pub fn status(&self, id: u16) -> Status {
        self.core.state_of(ServiceId(id))
    }

    pub fn runs(&self, id: u16) -> bool {
        matches!(self.status(id), Status::Running { .. })
    }

    pub fn signals_to(&self, pid: Pid) -> Vec<Signal> {
        let to = |action: &Action| match action {
            Action::Signal { pid: to, signal, .. } if *to == pid => Some(*signal),
            _ => None,
        };
        self.seen.iter().filter_map(to).collect()
    }

    /// Every process goes as asked, in whatever order it takes; the code that rinit ends with.
    pub fn finish(&mut self) -> u8 {
        for _ in 0..1000 {
            assert_eq!(self.fault, None);
            self.answer_all();
            if let Some(code) = self.halted {
                return code;
            }
            let asked = self.core.records.ids().find_map(|id| match self.core.records[id].state {
                State::Ending(ending) => Some((id, ending)),
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
            events.push((self.now, event));
        }
        let mut out = Vec::new();
        let before = self.halted;
        self.core.step(self.now, event, &mut out);
        for action in &out {
            if let Err(fault) = self.check(action) {
                self.fault.get_or_insert_with(|| format!("{fault}: {action:?} upon {event:?}, with {out:?}"));
            }
        }
        if before.is_some() && !out.is_empty() {
            self.fault.get_or_insert_with(|| format!("after the end: {out:?}"));
        }
        if let Err(fault) = self.check_state(event) {
            self.fault.get_or_insert_with(|| format!("{fault} after {event:?}, with {out:?}"));
        }
        self.seen.extend(out);
    }

    fn check(&mut self, action: &Action) -> Result<(), &'static str> {
        if self.halted.is_some() {
            return Err("an action after the last one");
        }
        match *action {
            Action::Spawn { service } => {
                self.asks.push(Ask::Spawn(service));
                self.check_spawn(service)?;
                self.known[service.index()] = Known::Spawning;
            }
            Action::Probe { service } => {
                self.asks.push(Ask::Probe(service));
                let runs =
                    |group: &Group| group.of == service && !group.probe && group.leader && !group.given_up;
                rule(self.groups.values().any(runs), "a probe of a service that does not run")?;
                rule(!self.stopping, "a probe while the container stops")?;
                let probes = self
                    .groups
                    .values()
                    .filter(|group| group.of == service && group.probe && !group.given_up);
                rule(probes.filter(|group| !group.killed).count() == 0, "two probes of one service")?;
            }
            Action::Signal { pid, group, signal, .. } => {
                let target = self.groups.get_mut(&pid).ok_or("a signal to nobody")?;
                rule(target.leader || (group && target.members), "a signal to a process that is gone")?;
                rule(!target.given_up, "a signal to what was given up")?;
                rule(!(signal == Signal::KILL && target.killed), "killed twice")?;
                target.killed |= signal == Signal::KILL;
            }
            Action::KillProbe { pid } => {
                let target = self.groups.get_mut(&pid).ok_or("nobody is killed")?;
                rule(target.probe && target.leader && !target.killed, "killed, but no probe that lives")?;
                target.killed = true;
            }
            Action::Sweep { .. } => {
                let left = self.groups.values().any(|group| !group.probe && !group.given_up);
                rule(!left && !self.asks.iter().any(|ask| matches!(ask, Ask::Spawn(_))), "swept too early")?;
                (self.stopping, self.swept) = (true, true);
            }
            Action::Halt { code } => self.halted = Some(code),
            Action::Tell(note) => return self.check_note(&note),
        }
        Ok(())
    }

    fn check_spawn(&self, id: ServiceId) -> Result<(), &'static str> {
        rule(!self.stopping, "a start while the container stops")?;
        rule(self.asks.iter().filter(|ask| **ask == Ask::Spawn(id)).count() == 1, "spawned twice")?;
        let mine = |group: &Group| group.of == id && !group.probe && !group.given_up;
        rule(!self.groups.values().any(mine), "two lives of one service")?;
        let edges = &self.rules[id.index()].depends_on;
        if self.known[id.index()] == Known::Restarting && !edges.iter().any(|edge| edge.restart) {
            return Ok(());
        }
        for edge in edges {
            let on = &self.rules[edge.on.index()];
            let known = self.known[edge.on.index()];
            let started = matches!(known, Known::Started | Known::Healthy);
            let is_ready =
                known == Known::Healthy || (started && on.kind == ServiceType::Daemon && on.health.is_none());
            let over = !on.enabled || matches!(known, Known::Done | Known::Failed);
            let met = match edge.condition {
                None => is_ready || over,
                Some(Condition::Started) => started || known == Known::Done,
                Some(Condition::Healthy) => known == Known::Healthy,
                Some(Condition::Completed) => known == Known::Done,
            };
            rule(met || (!edge.required && over), "started before what it depends on")?;
        }
        Ok(())
    }

    fn check_note(&mut self, note: &Note) -> Result<(), &'static str> {
        match *note {
            Note::Started { service, .. } => self.known[service.index()] = Known::Started,
            Note::Healthy { service } => self.known[service.index()] = Known::Healthy,
            Note::Ended { service, next, .. } | Note::NotStarted { service, next } => {
                self.known[service.index()] = match next {
                    Next::Restarting { .. } => Known::Restarting,
                    Next::Done => Known::Done,
                    // Given up after an end that was a success in itself: `always` ran out.
                    Next::GivenUp { .. } => match self.core.state_of(service) {
                        Status::Done => Known::Done,
                        _ => Known::Failed,
                    },
                    Next::Failed => Known::Failed,
                    Next::Stopped => Known::Stopped,
                };
                let mine = |group: &Group| group.of == service && !group.probe && !group.given_up;
                rule(!self.groups.values().any(mine), "ended, but it lives")?;
            }
            Note::Unreachable { service, .. } => self.known[service.index()] = Known::Failed,
            Note::Stopping { service, cause: Cause::Shutdown } => {
                let above = self.above[service.index()];
                let holds = |group: &Group| !group.probe && !group.given_up && above & (1 << group.of.0) != 0;
                rule(!self.groups.values().any(holds), "stopped before a dependent was gone")?;
                let asked = |ask: &Ask| matches!(ask, Ask::Spawn(id) if above & (1 << id.0) != 0);
                rule(!self.asks.iter().any(asked), "stopped before a dependent had come and gone")?;
            }
            Note::Stuck { service } => {
                let stuck = self
                    .groups
                    .values_mut()
                    .find(|group| group.of == service && !group.probe && !group.given_up);
                let stuck = stuck.ok_or("stuck, but not there")?;
                rule(stuck.killed, "given up and never killed")?;
                stuck.given_up = true;
            }
            Note::ShuttingDown { .. } => {
                rule(!self.stopping, "stops twice")?;
                self.stopping = true;
            }
            Note::Stopping { .. }
            | Note::Unhealthy { .. }
            | Note::Killing { .. }
            | Note::KillingAll
            | Note::Sweeping { .. }
            | Note::Forwarded { .. } => {}
        }
        Ok(())
    }

    /// What must hold between two steps.
    fn check_state(&mut self, event: Event) -> Result<(), &'static str> {
        let deadline = self.core.deadline();
        if self.halted.is_some() {
            return rule(deadline.is_none(), "a timer after the end");
        }
        if event == Event::Tick {
            rule(deadline.is_none_or(|at| at > self.now), "a timer that fired is still armed")?;
        }
        let mut lingering = 0;
        for id in self.core.records.ids() {
            let record = &self.core.records[id];
            match record.state {
                State::Off | State::Down(_) | State::Waiting | State::Backoff { .. } => {
                    rule(matches!(record.probe, Probe::Off | Probe::Stale), "a probe of what does not run")?;
                    if matches!(record.state, State::Off | State::Down(_)) {
                        rule(self.core.due(id).is_none(), "a timer of what is down")?;
                    }
                }
                State::Spawning { .. } => {
                    rule(self.asks.contains(&Ask::Spawn(id)), "waits for an answer to nothing")?;
                }
                State::Running { pid, .. } => {
                    rule(self.groups.get(&pid).is_some_and(|group| group.leader), "what runs is dead")?;
                }
                State::Ending(ending) => {
                    let group = self.groups.get(&ending.pid).ok_or("what ends is gone")?;
                    rule(group.leader == ending.leader.is_none(), "alive or not?")?;
                    rule(group.killed == ending.killed, "killed or not?")?;
                    rule(matches!(record.probe, Probe::Off | Probe::Stale), "a probe of what ends")?;
                    lingering += usize::from(ending.leader.is_some());
                }
            }
            if self.core.phase == Phase::Up && record.state == State::Waiting {
                rule(self.waits_rightly(id), "waits for nothing")?;
            }
        }
        rule(self.core.lingering().count() == lingering, "who lingers?")?;
        for (pid, group) in &self.groups {
            if group.probe && !group.killed && !group.given_up {
                let theirs = match self.core.records[group.of].probe {
                    Probe::Running { pid: probe, .. } => probe == *pid,
                    _ => false,
                };
                rule(theirs, "a probe that nobody waits for")?;
            }
            if !group.probe && !group.given_up {
                let theirs = match self.core.state_of(group.of) {
                    Status::Running { pid: leader, .. } | Status::Stopping { pid: leader, .. } => {
                        leader == *pid
                    }
                    _ => false,
                };
                rule(theirs, "a service's process that nobody waits for")?;
            }
        }
        let busy = self.core.records.ids().filter(|id| self.core.records[*id].state.is_busy()).count();
        rule(self.core.busy == busy && self.core.news.is_empty(), "the books are wrong")
    }

    /// Whether a waiting service has something to wait for, and nothing that will never come.
    fn waits_rightly(&self, id: ServiceId) -> bool {
        let mut blocked = false;
        for edge in &self.rules[id.index()].depends_on {
            let on = &self.core.records[edge.on];
            let retries = self.rules[edge.on.index()].health.as_ref().map_or(1, |health| health.retries);
            match (on.state, edge.condition) {
                (State::Waiting | State::Spawning { .. } | State::Ending(_) | State::Backoff { .. }, _) => {
                    blocked = true
                }
                (State::Running { .. }, Some(Condition::Completed)) => blocked = true,
                (State::Running { ready, .. }, Some(Condition::Healthy)) => {
                    blocked |= !ready || on.failures >= retries
                }
                (State::Running { ready, .. }, None) => blocked |= !ready,
                (State::Running { .. }, Some(Condition::Started)) => {}
                (State::Down(End::Success), Some(Condition::Healthy)) => {
                    if edge.required {
                        return false;
                    }
                }
                (State::Down(End::Success), _) => {}
                (State::Off | State::Down(_), Some(_)) if edge.required => return false,
                (State::Off | State::Down(_), _) => {}
            }
        }
        blocked
    }

    // Comparing states.

    /// Set the clock back to noon: two states are the same when they differ by the time alone.
    /// What is longer ago than `memory` is that long ago.
    pub fn rebase(&mut self, memory: Duration) {
        let now = self.now.0;
        let memory = u64::try_from(memory.as_nanos()).unwrap();
        let shift = |at: &mut Moment| {
            let past = now.saturating_sub(at.0).min(memory);
            *at = Moment(NOON + at.0.saturating_sub(now) - past);
        };
        let core = &mut self.core;
        for id in core.records.ids() {
            match &mut core.records[id].state {
                State::Running { since, .. } => shift(since),
                State::Backoff { until } => shift(until),
                State::Ending(ending) => {
                    [&mut ending.since, &mut ending.asked, &mut ending.due].into_iter().for_each(shift);
                    if let Some((_, at)) = &mut ending.leader {
                        shift(at);
                    }
                }
                State::Off | State::Waiting | State::Spawning { .. } | State::Down(_) => {}
            }
            match &mut core.records[id].probe {
                Probe::Due(at) | Probe::Running { until: at, .. } | Probe::Killed { again: at, .. } => {
                    shift(at)
                }
                Probe::Off | Probe::Asked | Probe::Stale => {}
            }
        }
        if let Phase::Sweeping { due, .. } = &mut core.phase {
            shift(due);
        }
        core.stop.moments().into_iter().flatten().for_each(shift);
        self.now = Moment(NOON);
    }

    pub fn key(&self) -> u64 {
        let mut hash = DefaultHasher::new();
        let core = &self.core;
        (&core.records, &core.pids, core.phase, core.stop, core.code, core.pending).hash(&mut hash);
        (&core.lingering, &self.groups, &self.asks, &self.known, self.halted, self.now).hash(&mut hash);
        hash.finish()
    }
}

fn rule(holds: bool, otherwise: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(otherwise) }
}
