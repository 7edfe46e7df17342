//! What a reload changes: the services that run beside those that the configuration has now.

use crate::config::{LogDriver, Logging, Off, Plan, Program, ProgramSettings, RunnableService};
use crate::model::{Dependency, ServiceId, ServicePolicy, Settings, Signal, SignalRule};
use crate::supervisor::Supervisor;
use crate::supervisor::reload::{Change, Slot};
use crate::text::gather::Gather;
use crate::text::template::fill;
use std::rc::Rc;

/// The new set, by ids.
pub(super) struct Merged {
    pub(super) slots: Vec<Slot>,
    pub(super) services: Vec<RunnableService>,
    pub(super) whole: Settings,
    /// Those that are new.
    pub(super) added: Vec<ServiceId>,
    /// Those that get their `reload_signal`.
    pub(super) signalled: Vec<(ServiceId, Signal)>,
    /// What changes, a line each, and the counts.
    pub(super) lines: Vec<String>,
}

/// How many services are touched, and how.
#[derive(Default)]
struct ReloadCounts {
    added: usize,
    removed: usize,
    changed: usize,
    untouched: usize,
}

/// Gives each service of the plan its id: the old one by its name, or a vacant one that `is_free`.
pub(super) fn merge(
    core: &Supervisor,
    old: &[RunnableService],
    mut plan: Plan,
    is_free: &dyn Fn(ServiceId) -> bool,
) -> Result<Merged, String> {
    let places = places(core, old, &plan, is_free)?;
    let mut merged = removed_all(core, old, plan.whole.clone());
    let mut counts = ReloadCounts::default();
    let count = places.iter().map(|id| id.index() + 1).max().unwrap_or(0);
    while merged.slots.len() < count {
        merged.slots.push(Slot { policy: ServicePolicy::default(), change: Change::Vacant });
        merged.services.push(nobody());
    }
    for rule in &mut merged.whole.signals {
        if let (_, SignalRule::To(id, _)) = rule {
            *id = places.get(id.index()).copied().unwrap_or(*id);
        }
    }
    for (at, service) in plan.services.iter_mut().enumerate() {
        let Some(id) = places.get(at).copied() else { continue };
        let mut policy = std::mem::take(&mut service.rules);
        for Dependency { on, .. } in &mut policy.depends_on {
            *on = places.get(on.index()).copied().unwrap_or(*on);
        }
        let (program, off) = (std::mem::take(&mut service.program), service.off.take());
        let mut new = RunnableService { name: service.name.clone(), off: off.map(Box::new), program };
        let known = old.get(id.index()).filter(|_| !core.is_vacant(id));
        let before = merged.slots.get(id.index()).map(|slot| slot.policy.clone());
        let change = match known.zip(before) {
            None => {
                merged.added.push(id);
                counts.added += 1;
                merged.lines.push(fill!("{}: added", new.name.as_str()));
                Change::Add
            }
            Some((known, before)) => {
                keep_condition(known, &before, &mut new, &mut policy);
                share(known, &mut new);
                let (change, line) = compared(core, id, (known, &before), (&new, &policy));
                let is_signalled = change == Change::Keep && core.leader_of(id).is_some();
                let signal = new.program.reload_signal.filter(|_| is_signalled);
                if let Some(signal) = signal {
                    merged.signalled.push((id, signal));
                    merged.lines.push(fill!("{}: gets {}", new.name.as_str(), &signal.to_string()));
                }
                let is_touched = line.is_some();
                counts.changed += usize::from(is_touched);
                counts.untouched += usize::from(!is_touched);
                merged.lines.extend(line);
                change
            }
        };
        if let Some(slot) = merged.slots.get_mut(id.index()) {
            *slot = Slot { policy, change };
        }
        if let Some(service) = merged.services.get_mut(id.index()) {
            *service = new;
        }
    }
    tell_removed(core, &mut merged, &mut counts);
    let ReloadCounts { added, removed, changed, untouched } = counts;
    merged.lines.push(format!("{added} added, {removed} removed, {changed} changed, {untouched} untouched"));
    Ok(merged)
}

/// Returns the id of each service of the plan.
fn places(
    core: &Supervisor,
    old: &[RunnableService],
    plan: &Plan,
    is_free: &dyn Fn(ServiceId) -> bool,
) -> Result<Vec<ServiceId>, String> {
    let ids = || (0..u16::try_from(old.len()).unwrap_or(u16::MAX)).map(ServiceId);
    let mut free = ids().filter(|id| core.is_vacant(*id) && is_free(*id));
    let mut next = old.len();
    let mut places = Vec::with_capacity(plan.services.len());
    for service in &plan.services {
        let is = |id: &ServiceId| {
            let known = old.get(id.index()).is_some_and(|old| old.name == service.name);
            known && !core.is_vacant(*id) && !core.is_leaving(*id)
        };
        let id = ids().find(is).or_else(|| free.next());
        places.push(match id {
            Some(id) => id,
            None => {
                next += 1;
                let id = u16::try_from(next - 1).ok().filter(|id| *id < u16::MAX);
                ServiceId(id.ok_or("too many services: 65534 are the most")?)
            }
        });
    }
    Ok(places)
}

/// Everything as it is, and not configured any more.
fn removed_all(core: &Supervisor, old: &[RunnableService], whole: Settings) -> Merged {
    let mut slots = core.slots();
    for slot in slots.iter_mut().filter(|slot| slot.change == Change::Keep) {
        slot.change = Change::Remove;
    }
    let mut services: Vec<RunnableService> = Vec::with_capacity(old.len());
    for (service, slot) in old.iter().zip(&slots) {
        services.push(if slot.change == Change::Vacant { nobody() } else { service.clone() });
    }
    Merged { slots, services, whole, added: Vec::new(), signalled: Vec::new(), lines: Vec::new() }
}

fn nobody() -> RunnableService {
    let logging = Logging { driver: LogDriver::None, ..Logging::default() };
    let settings = Rc::new(ProgramSettings { logging, ..ProgramSettings::default() });
    RunnableService { name: String::new(), off: None, program: Program { settings, ..Program::default() } }
}

/// Conditions are judged at the start: one that does not hold any more stops nobody.
fn keep_condition(
    known: &RunnableService,
    before: &ServicePolicy,
    new: &mut RunnableService,
    policy: &mut ServicePolicy,
) {
    if before.enabled && matches!(new.off.as_deref(), Some(Off::Skipped(_))) {
        policy.enabled = true;
        new.off = known.off.clone();
    }
}

/// What has not changed is kept once.
fn share(known: &RunnableService, new: &mut RunnableService) {
    if *known.program.settings == *new.program.settings {
        new.program.settings = Rc::clone(&known.program.settings);
    }
}

/// Compares a service with what it was; returns the line about it, if anything has changed.
fn compared(
    core: &Supervisor,
    id: ServiceId,
    (known, before): (&RunnableService, &ServicePolicy),
    (new, policy): (&RunnableService, &ServicePolicy),
) -> (Change, Option<String>) {
    let restarting = changed_keys(&known.program, &new.program, before.kind != policy.kind);
    let others = other_keys(&known.program, &new.program, before, policy);
    let keys = || [restarting.as_slice(), others.as_slice()].concat().join(", ");
    let line = |end: &str| Some(fill!("{}: changed ({}){}", new.name.as_str(), keys(), end));
    let (was_on, is_on) = (before.enabled, policy.enabled);
    if was_on != is_on {
        let line = fill!("{}: {}", new.name.as_str(), if is_on { "on now" } else { "off now" });
        let change = if restarting.is_empty() { Change::Keep } else { Change::Restart };
        return (change, Some(line));
    }
    if restarting.is_empty() {
        let end = "; it goes on with the new rules";
        return (Change::Keep, if others.is_empty() { None } else { line(end) });
    }
    if core.is_main(id) {
        return (Change::Keep, line("; the COMMAND is not restarted by a reload: restart the container"));
    }
    (Change::Restart, line(""))
}

/// Returns the keys that have changed, and by which a process that runs is another than it would be now.
fn changed_keys(old: &Program, new: &Program, kind: bool) -> Vec<&'static str> {
    let (before, after) = (&*old.settings, &*new.settings);
    let mut keys = which([
        ("type", kind),
        ("command", old.argv != new.argv),
        ("environment", before.environment != after.environment),
        ("clear_env", before.clear_env != after.clear_env),
        ("unset_env", before.unset != after.unset),
        ("working_dir", before.working_dir != after.working_dir),
        ("user", before.user != after.user),
        ("umask", before.umask != after.umask),
        ("ulimits", before.ulimits != after.ulimits),
        ("rights", before.privileges != after.privileges),
        ("logging", before.logging != after.logging),
    ]);
    // What a probe runs is nothing to the process that it probes.
    let alike = || ProgramSettings {
        probe: before.probe.clone(),
        probe_user: before.probe_user.clone(),
        hooks: before.hooks.clone(),
        reload_signal: before.reload_signal,
        ..after.clone()
    };
    if keys.is_empty() && (old.instance != new.instance || before != after && *before != alike()) {
        keys.push("others");
    }
    keys
}

/// Returns the keys that have changed, and by which rinit goes from now on.
fn other_keys(
    old: &Program,
    new: &Program,
    before: &ServicePolicy,
    after: &ServicePolicy,
) -> Vec<&'static str> {
    let probe = old.probe != new.probe || old.probe_user != new.probe_user;
    let mut keys = which([
        ("healthcheck", probe || before.health != after.health),
        ("depends_on", before.depends_on != after.depends_on),
        ("restart", before.restart != after.restart),
        ("essential", before.essential != after.essential),
        ("success_exit_codes", before.success != after.success),
        ("start_timeout", before.start_timeout != after.start_timeout),
        ("run_timeout", before.run_timeout != after.run_timeout),
        ("stop_signal", before.stop_signal != after.stop_signal),
        ("stop_grace_period", before.stop_grace != after.stop_grace),
        ("kill_mode", before.kill_mode != after.kill_mode),
    ]);
    if keys.is_empty() && before.kind == after.kind && before.enabled == after.enabled && before != after {
        keys.push("others");
    }
    keys
}

/// Returns the keys that differ.
fn which<const N: usize>(keys: [(&'static str, bool); N]) -> Vec<&'static str> {
    let differing = keys.into_iter().filter(|(_, differs)| *differs);
    differing.map(|(key, _)| key).gather()
}

fn tell_removed(core: &Supervisor, merged: &mut Merged, counts: &mut ReloadCounts) {
    let ids = (0..).map(ServiceId);
    for (id, (slot, service)) in ids.zip(merged.slots.iter().zip(&merged.services)) {
        if slot.change == Change::Remove && !core.is_leaving(id) {
            counts.removed += 1;
            merged.lines.push(fill!("{}: removed", service.name.as_str()));
        }
    }
}
