//! Invariants, checked for every action and after every step. Actions are judged by the world alone; the core's
//! bookkeeping, by looking inside.

use super::world::{Ask, Group, Known, S, World};
use crate::model::*;
use crate::supervisor::ServiceStatus;
use crate::supervisor::event::{Action, ControlOrder, Event, Next, Note};
use crate::supervisor::service::{Order, ProbeState, ServiceState};
use crate::supervisor::shutdown::Phase;
use std::rc::Rc;

impl World {
    #[expect(clippy::too_many_lines, reason = "one table")]
    pub(super) fn check(&mut self, action: &Action) -> Result<(), &'static str> {
        if self.halted.is_some() {
            return Err("an action after the last one");
        }
        match *action {
            Action::Spawn { service } => {
                self.asks.push(Ask::Spawn(service));
                self.check_spawn(service)?;
                self.begin_attempt(service);
                self.known[service.index()] = Known::Spawning;
                for bits in [&mut self.notified, &mut self.followed, &mut self.rewatched] {
                    *bits &= !(1 << service.0);
                }
            }
            Action::FollowFork { service, pid } => self.check_follow(service, pid)?,
            Action::Hook { service, hook, .. } => {
                self.asks.push(Ask::Hook(service, hook));
                self.check_hook(service, hook)?;
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
                let probes = probes.filter(|group| group.hook.is_none() && !group.killed);
                rule(probes.count() == 0, "two probes of one service")?;
            }
            Action::Signal { pid, group, signal, .. } => {
                let target = self.groups.get_mut(&pid).ok_or("a signal to nobody")?;
                rule(target.leader || (group && target.members), "a signal to a process that is gone")?;
                rule(!target.loading || !target.leader, "a signal to what has not loaded its program")?;
                rule(!target.given_up, "a signal to what was given up")?;
                rule(!(signal == Signal::KILL && target.killed), "killed twice")?;
                if signal.number() == 10 {
                    self.usr1_left = self.usr1_left.checked_sub(1).ok_or("passed on twice")?;
                }
                let asks = signal != Signal::KILL && signal == self.rules[target.of.index()].stop_signal;
                let asked = asks && !target.asked && target.leader;
                let (of, all, target_leader) = (target.of, group, target.leader);
                target.killed |= signal == Signal::KILL;
                target.asked |= group;
                self.check_reach(of, all, target_leader, signal)?;
                self.check_pre_stop(of, asked)?;
            }
            Action::StandIn { service, slot } => self.stand_in(service, slot)?,
            Action::Survey { pid } | Action::SignalEscaped { pid, .. } => {
                let target = self.groups.get(&pid).ok_or("nobody's descendants")?;
                rule(self.rules[target.of.index()].kill_mode == KillMode::All, "others than its group")?;
            }
            Action::KillStart { pid } => {
                let target = self.groups.get_mut(&pid).ok_or("nobody is killed")?;
                let starts = !target.probe || target.hook.is_some_and(HookKind::is_before_start);
                let lives = starts && target.leader && !target.killed && !target.given_up;
                rule(lives, "killed, but no start that lives")?;
                (target.asked, target.killed) = (true, true);
            }
            Action::KillProbe { pid } => {
                let target = self.groups.get_mut(&pid).ok_or("nobody is killed")?;
                let is_probe = target.probe && target.hook.is_none();
                rule(is_probe && target.leader && !target.killed, "killed, but no probe that lives")?;
                target.killed = true;
            }
            Action::KillHook { pid } => {
                let target = self.groups.get_mut(&pid).ok_or("no hook is killed")?;
                rule(target.hook.is_some() && !target.killed, "killed, but no hook that lives")?;
                target.killed = true;
            }
            Action::Sweep { .. } => {
                let left = self.groups.values().any(|group| !group.probe && !group.given_up);
                rule(!left && !self.asks.iter().any(|ask| matches!(ask, Ask::Spawn(_))), "swept too early")?;
                rule(self.stopping || self.by_hand == 0, "ended, though some were only stopped by hand")?;
                (self.stopping, self.swept) = (true, true);
            }
            Action::Reload => rule(self.core.is_replaceable(), "a reload while the container stops")?,
            Action::Halt { code } => self.halted = Some(code),
            Action::Tell(note) => return self.check_note(&note),
        }
        Ok(())
    }

    /// Checks which processes a signal to a service may reach, whose first process lives or does not.
    fn check_reach(
        &self,
        of: ServiceId,
        group: bool,
        leader: bool,
        signal: Signal,
    ) -> Result<(), &'static str> {
        let alone = leader && signal != Signal::KILL;
        let whole = &self.core.whole;
        let all = whole.group_signals && whole.main == Some(of);
        match self.rules[of.index()].kill_mode {
            KillMode::Process => rule(!group || !leader, "more than the first process"),
            KillMode::Mixed | KillMode::All => {
                rule(!(group && alone) || all, "the group is asked before its first process has ended")
            }
            KillMode::Group => Ok(()),
        }
    }

    fn check_spawn(&mut self, id: ServiceId) -> Result<(), &'static str> {
        self.check_run(id)?;
        rule(!self.stopping, "a start while the container stops")?;
        self.check_new(id)?;
        rule(!self.is_by_hand(id), "started, though it was stopped by hand")?;
        rule(self.asks.iter().filter(|ask| **ask == Ask::Spawn(id)).count() == 1, "spawned twice")?;
        let mine = |group: &Group| group.of == id && !group.probe && !group.given_up;
        rule(!self.groups.values().any(mine), "two lives of one service")?;
        // Otherwise it was due when that hook was requested.
        if self.check_prepared(id)? {
            return Ok(());
        }
        rule(self.limit(id, HookKind::PreStart).is_none(), "started without its pre_start")?;
        if self.check_checked(id)? {
            return Ok(());
        }
        self.check_spawn_in_time(id)?;
        self.count_start(id);
        self.check_needs(id)
    }

    /// A start is due: what the service depends on is there.
    pub(super) fn check_needs(&self, id: ServiceId) -> Result<(), &'static str> {
        let edges = &Rc::clone(&self.rules)[id.index()].depends_on;
        if matches!(self.known[id.index()], Known::Restarting | Known::Listening)
            && !edges.iter().any(|edge| edge.restart)
        {
            return Ok(());
        }
        for edge in edges {
            let needed = edge.required && edge.condition.is_some();
            let mut met = instead_of(edge, edges).any(|edge| self.met(edge).0);
            met |= !needed && instead_of(edge, edges).all(|edge| self.met(edge).1);
            rule(met, "started before what it depends on")?;
        }
        Ok(())
    }

    /// Returns whether a dependency is satisfied, and whether it has ended.
    fn met(&self, edge: &Dependency) -> (bool, bool) {
        let on = &self.rules[edge.on.index()];
        let known = self.known[edge.on.index()];
        let waits = known == Known::Listening;
        let started = matches!(known, Known::Started | Known::Healthy) && self.has_reported(edge.on);
        let started = waits || started && self.is_started(edge.on);
        let needs_no_probe = on.kind == ServiceType::Daemon && on.health.is_none();
        let is_ready = started && (waits || known == Known::Healthy || needs_no_probe);
        if !on.enabled && known == Known::New {
            let order = self.core.records[edge.on].order;
            // An order that started it comes after, in the same step.
            let is_open = order == Order::Open || self.core.records[edge.on].state != ServiceState::Off;
            return (is_open, matches!(order, Order::Broken(_)));
        }
        let by_hand = known == Known::Stopped && self.is_by_hand(edge.on);
        let over = matches!(known, Known::Done | Known::Failed) || by_hand;
        let met = match edge.condition {
            None => is_ready || over,
            Some(Condition::Started) => started || known == Known::Done,
            Some(Condition::Healthy) => is_ready && (on.health.is_some() || on.readiness.is_some()),
            Some(Condition::Completed) => known == Known::Done,
        };
        (met, over)
    }

    pub(super) fn is_by_hand(&self, id: ServiceId) -> bool {
        self.by_hand & (1 << id.0) != 0
    }

    pub(super) fn ordered(&mut self, id: ServiceId, order: ControlOrder) {
        let bit = 1 << id.0;
        if !matches!(order, ControlOrder::Stop { .. } | ControlOrder::Signal(_)) {
            self.forget_starts(id);
        }
        match order {
            ControlOrder::Stop { .. } => self.credits[id.index()] = 0,
            ControlOrder::Roll => self.expect_rolled_run(id),
            _ => {}
        }
        (self.by_hand, self.alone) = (self.by_hand & !bit, self.alone & !bit);
        self.wanted &= !bit;
        match order {
            ControlOrder::Stop { .. } => {
                (self.reload.restarts, self.reload.new) =
                    (self.reload.restarts & !bit, self.reload.new & !bit);
            }
            _ => self.reload.turned &= !bit,
        }
        self.demand.not_before[id.index()] = Moment(0);
        let state = self.core.records[id].state;
        let runs = matches!(state, ServiceState::Running { .. });
        let no_start = matches!(order, ControlOrder::Stop { .. }) || runs && order == ControlOrder::Start;
        if !no_start {
            self.demand.summoned |= bit;
        }
        if !matches!(order, ControlOrder::Stop { .. })
            && matches!(self.core.records[id].state, ServiceState::Stopping(_) | ServiceState::Finishing(_))
        {
            self.wanted |= bit;
        }
        if let ControlOrder::Stop { only, .. } = order {
            self.by_hand |= bit;
            self.alone |= if only { bit } else { 0 };
        }
    }

    pub(super) fn check_unreachable(&mut self, id: ServiceId, needs: ServiceId) -> Result<(), &'static str> {
        self.credits[id.index()] = self.credits[id.index()].saturating_sub(1);
        self.known[id.index()] = Known::Failed;
        rule(!self.is_by_hand(needs), "given up, for what was only stopped by hand")
    }

    /// A service that was ordered to start while it was stopping is started again.
    pub(super) fn check_wanted(&mut self, id: ServiceId, next: Next) -> Result<(), &'static str> {
        let again = matches!(next, Next::Stopped | Next::Again) && !self.is_by_hand(id);
        self.credits[id.index()] += u16::from(again && !self.core.is_stopping());
        let bit = 1 << id.0;
        let wanted = self.wanted & bit != 0 && !self.core.is_stopping();
        self.wanted &= !bit;
        rule(!wanted || next == Next::Again, "a start that was ordered is forgotten")
    }

    pub(super) fn check_idle(&mut self, id: ServiceId) -> Result<(), &'static str> {
        let mine = |group: &Group| group.of == id && !group.probe && !group.given_up;
        rule(self.is_by_hand(id), "stopped, but not by hand")?;
        rule(!self.groups.values().any(mine), "it did run")?;
        self.known[id.index()] = Known::Stopped;
        Ok(())
    }

    /// Dependents that were stopped with a service are gone before it is asked to stop.
    pub(super) fn check_stop_by_hand(&self, id: ServiceId) -> Result<(), &'static str> {
        if !self.is_by_hand(id) || self.alone & (1 << id.0) != 0 {
            return Ok(()); // A restart, or by its own wish.
        }
        let holds = |group: &Group| {
            let edges = &self.rules[group.of.index()].depends_on;
            let needs = edges.iter().any(|edge| {
                let is_only = edge.any == 0 || self.is_by_hand(group.of);
                edge.on == id && edge.required && edge.condition.is_some() && is_only
            });
            !group.probe && !group.given_up && needs
        };
        rule(!self.groups.values().any(holds), "stopped by hand before what needs it")
    }

    pub(super) fn check_progress(&self, note: &Note) -> Result<(), &'static str> {
        let someone = match note {
            Note::StillWaiting => {
                self.core.records.ids().any(|id| self.core.state_of(id) == ServiceStatus::Waiting)
            }
            _ => self.core.stops(self.now).count() > 0,
        };
        rule(someone, "nobody waits")?;
        rule(self.now.since(self.said) >= 10 * S, "no silence")
    }

    /// Records what the world expects of a signal before it is sent.
    pub(super) fn expect(&mut self, event: Event) {
        if let Event::Order { service, order: ControlOrder::Roll } = event {
            self.rolls |= 1_u16.checked_shl(service.0.into()).unwrap_or(0);
        }
        if let Event::Notified { service, report } = event {
            self.expect_report(service, report);
        }
        if let Event::Order { service, order: ControlOrder::Start | ControlOrder::Restart } = event {
            self.expect_run(service);
        }
        let Event::Signal(signal) = event else { return };
        self.usr1_left += u32::from(signal.number() == 10);
        if [Signal::INT, Signal::QUIT].contains(&signal) {
            self.interrupted.get_or_insert(self.now);
        }
        let absent = |id| {
            matches!(
                self.core.state_of(id),
                ServiceStatus::Waiting
                    | ServiceStatus::Starting
                    | ServiceStatus::Listening
                    | ServiceStatus::Backoff { .. }
            )
        };
        let usr1 = Signal::from_number(10).unwrap();
        if signal == usr1
            && self.core.whole.main.is_some_and(absent)
            && !self.core.is_stopping()
            && self.core.phase != Phase::New
        {
            self.kept.push(signal);
        }
    }

    /// Signals that came for the main service before it ran reach it as soon as it does, once.
    pub(super) fn check_kept(&mut self, event: Event, out: &[Action]) -> Result<(), &'static str> {
        let Some(main) = self.core.whole.main else { return Ok(()) };
        if matches!(self.core.records[main].state, ServiceState::Down(_)) {
            // It may be started again by an order; earlier signals are not for that run.
            self.kept.clear();
        }
        match (event, self.core.records[main].state.leader()) {
            (Event::Spawned { service, .. }, Some(leader)) if service == main => {
                let kept = std::mem::take(&mut self.kept);
                let got = |signal: &Signal| {
                    let to = |action: &&Action| matches!(action, Action::Signal { pid, signal: sent, .. } if *pid == leader && sent == signal);
                    out.iter().filter(to).count() == 1
                };
                rule(kept.iter().all(got), "a signal for main was lost")
            }
            (Event::Spawned { service, .. }, None) if service == main => {
                self.kept.clear();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The invariants between two steps.
    #[expect(clippy::too_many_lines, reason = "one table")]
    pub(super) fn check_state(&mut self, event: Event) -> Result<(), &'static str> {
        let deadline = self.core.deadline();
        if self.halted.is_some() {
            return rule(deadline.is_none(), "a timer after the end");
        }
        if event == Event::Tick {
            rule(deadline.is_none_or(|at| at > self.now), "a timer that fired is still armed")?;
        }
        for id in self.core.records.ids() {
            rule(self.core.records[id].by_hand == self.is_by_hand(id), "by hand or not?")?;
        }
        self.check_reload()?;
        let mut lingering = 0;
        for id in self.core.records.ids() {
            let record = &self.core.records[id];
            match record.state {
                ServiceState::Finishing(_) => self.check_finishing(id)?,
                ServiceState::Off
                | ServiceState::Down(_)
                | ServiceState::Scheduled { .. }
                | ServiceState::Waiting
                | ServiceState::Listening { .. }
                | ServiceState::Backoff { .. } => {
                    if record.state != ServiceState::Waiting {
                        self.demand.connected &= !(1 << id.0);
                    }
                    rule(
                        matches!(record.probe, ProbeState::Off | ProbeState::Stale),
                        "a probe of what does not run",
                    )?;
                    if matches!(record.state, ServiceState::Off | ServiceState::Down(_)) {
                        rule(self.core.due(id).is_none(), "a timer of what is down")?;
                    }
                }
                ServiceState::Spawning { load: None, .. } => {
                    let asked =
                        [Ask::Spawn(id), Ask::Hook(id, HookKind::PreStart), Ask::Hook(id, HookKind::Checks)];
                    let asked = asked.iter().any(|ask| self.asks.contains(ask));
                    rule(asked, "waits for an answer to nothing")?;
                }
                ServiceState::Spawning { load: Some(load), .. } => self.check_load(id, load, event)?,
                ServiceState::Running { pid, .. } => {
                    let up = self.core.phase == Phase::Up;
                    rule(!up || !self.is_by_hand(id) || self.is_held(id), "runs, and was stopped by hand")?;
                    rule(self.groups.get(&pid).is_some_and(|group| group.leader), "what runs is dead")?;
                    if up && event == Event::Tick {
                        self.check_watchdog(id)?;
                    }
                }
                ServiceState::Stopping(ending) => {
                    let group = self.groups.get(&ending.pid).ok_or("what ends is gone")?;
                    rule(group.leader == ending.leader.is_none(), "alive or not?")?;
                    rule(group.killed == ending.killed, "killed or not?")?;
                    rule(group.leader || group.asked, "what is left of a group was not asked")?;
                    rule(
                        matches!(record.probe, ProbeState::Off | ProbeState::Stale),
                        "a probe of what ends",
                    )?;
                    lingering += usize::from(ending.leader.is_some());
                }
            }
            let idle = record.state == (ServiceState::Scheduled { start: None });
            rule(!idle || self.credits[id.index()] == 0, "a run that was due is forgotten")?;
            if self.core.phase == Phase::Up && record.state.awaits_others(record.order) {
                rule(self.waits_rightly(id), "waits for nothing")?;
            }
        }
        rule(self.core.lingering().count() == lingering, "who lingers?")?;
        for (pid, group) in &self.groups {
            if group.probe && !group.killed && !group.given_up {
                let theirs = match (group.hook, self.core.records[group.of].probe) {
                    (Some(hook), _) => self.is_awaited(group.of, hook, *pid),
                    (None, ProbeState::Running { pid: probe, .. }) => probe == *pid,
                    (None, _) => false,
                };
                rule(theirs, "a probe or hook that nobody waits for")?;
            }
            if !group.probe && !group.given_up {
                let theirs = match self.core.state_of(group.of) {
                    ServiceStatus::Running { pid: leader, .. }
                    | ServiceStatus::Stopping { pid: leader, .. } => leader == *pid,
                    ServiceStatus::Starting => group.loading || group.killed,
                    // What is left alone (`kill_mode`).
                    ServiceStatus::Finishing => !group.leader,
                    _ => false,
                };
                rule(theirs, "a service's process that nobody waits for")?;
            }
        }
        self.check_owners()?;
        self.check_rolling()?;
        let busy = self.core.records.ids().filter(|id| self.core.records[*id].state.is_busy()).count();
        let is = |state: fn(ServiceState) -> bool| {
            self.core.records.ids().filter(|id| state(self.core.records[*id].state)).count()
        };
        rule(
            self.core.waiting == is(|state| state == ServiceState::Waiting),
            "those that wait are miscounted",
        )?;
        let listen = is(|state| matches!(state, ServiceState::Listening { .. }));
        rule(self.core.listening == listen, "those that wait for connections are miscounted")?;
        let stop = is(|state| matches!(state, ServiceState::Stopping(_) | ServiceState::Finishing(_)));
        rule(self.core.stopping == stop, "those that stop are miscounted")?;
        let dues = self.core.records.ids().filter_map(|id| self.core.due(id));
        rule(self.core.timers.earliest() == dues.min(), "the timers are not those of the services")?;
        rule(self.core.busy == busy && self.core.news.is_empty(), "the books are wrong")
    }
}

/// Returns the dependencies of which one is enough: this one, unless it is one of several.
pub(super) fn instead_of<'e>(
    edge: &'e Dependency,
    edges: &'e [Dependency],
) -> impl Iterator<Item = &'e Dependency> {
    edges.iter().filter(move |other| if edge.any == 0 { *other == edge } else { other.any == edge.any })
}

pub(super) fn rule(holds: bool, otherwise: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(otherwise) }
}
