//! `depends_on` and `after`: from names to edges, and what is wrong with the graph that they make.

use super::{MAIN, id, replicas};
use crate::config::read::table::{ReadContext, Table, one_of};
use crate::config::source::diagnostic::Span;
use crate::config::source::document::{Node, Value};
use crate::config::{Off, Service};
use crate::model::{Condition, Dependency, Restart, ServiceId, ServicePolicy, ServiceType};
use crate::supervisor::graph;
use crate::text::gather::Gather;
use crate::text::suggest::did_you_mean;
use crate::text::template::fill;
use std::ops::Range;

/// A service whose dependencies are still names.
pub struct Draft {
    /// Everything else.
    pub service: Service,
    /// Whether it is the COMMAND.
    pub is_main: bool,
    /// `None`: `depends_on` is not written.
    depends_on: Option<Vec<Edge>>,
    after: Vec<Edge>,
}

impl Draft {
    /// A service of which nothing is read yet.
    pub fn new(name: &str, at: Option<Span>, is_main: bool) -> Self {
        let service = Service { name: name.to_string(), at, ..Service::default() };
        Self { service, is_main, depends_on: None, after: Vec::new() }
    }

    fn is_instance(&self) -> bool {
        self.service.program.instance > 0
    }

    fn edges(&self) -> impl Iterator<Item = &Edge> {
        self.depends_on.iter().flatten().chain(&self.after)
    }
}

struct Edge {
    name: String,
    at: Span,
    condition: Option<Condition>,
    after: bool,
    required: bool,
    restart: bool,
    /// Of a replicated service: whether all its instances are waited for.
    all: bool,
}

/// Reads both keys.
pub fn read(table: &Table<'_>, draft: &mut Draft) {
    if table.has("depends_on") {
        draft.depends_on = Some(depends_on(table));
    } else {
        let _ = table.node("depends_on");
    }
    const KEY: &str = "after";
    if let Some(node) = table.node(KEY).filter(|_| table.has(KEY)) {
        for (name, at) in listed(table, KEY, node) {
            draft.after.push(Edge {
                name,
                at,
                condition: None,
                after: true,
                required: false,
                restart: false,
                all: true,
            });
        }
    }
}

fn listed(table: &Table<'_>, key: &'static str, node: &Node) -> Vec<(String, Span)> {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let name = |item| Some((table.text_of(key, item, "the name of a service")?, item.at));
    items.iter().filter_map(name).gather()
}

fn depends_on(table: &Table<'_>) -> Vec<Edge> {
    const KEY: &str = "depends_on";
    let Some(node) = table.node(KEY) else { return Vec::new() };
    let plain = |name, at| Edge {
        name,
        at,
        condition: None,
        after: false,
        required: true,
        restart: false,
        all: false,
    };
    let Value::Table(entries) = &node.value else {
        return listed(table, KEY, node).into_iter().map(|(name, at)| plain(name, at)).gather();
    };
    let reading = table.reading();
    let mut edges = Vec::with_capacity(entries.len());
    for entry in entries {
        let mut edge = plain(entry.key.clone(), entry.at);
        let path = fill!("{}.{}", table.path_of(KEY), entry.key);
        match &entry.node.value {
            Value::Text(text) => match table.expand_node(KEY, &entry.node, text).as_deref().map(one_of) {
                Some(Ok(condition)) => edge.condition = Some(condition),
                Some(Err(why)) => reading.fault(entry.node.at, fill!("{}: \"{}\": {}", path, text, why)),
                None => {}
            },
            Value::Table(_) => {
                if let Some(below) = Table::open(reading, path, entry.at, &entry.node) {
                    edge.condition = below.word("condition");
                    edge.required = below.flag("required").unwrap_or(true);
                    edge.restart = below.flag("restart").unwrap_or(false);
                    edge.all = below.flag("all").unwrap_or(false);
                    below.close();
                }
            }
            other => {
                let found = other.kind();
                reading.fault(
                    entry.node.at,
                    format!("{path}: found {found}, expected a condition such as \"healthy\", or {{ condition, required, restart, all }}"),
                );
            }
        }
        edges.push(edge);
    }
    edges
}

/// Turns the names into edges of the graph. Every fault is told, at the name that is at fault.
pub fn link(reading: &ReadContext<'_>, drafts: &mut [Draft], index: &Index<'_>) {
    let mut linked: Vec<Linked> = Vec::with_capacity(drafts.len());
    // Who last named a service, and as which of its dependencies.
    let mut named: Vec<Option<(usize, usize)>> = vec![None; drafts.len()];
    for (own, draft) in drafts.iter().enumerate() {
        let mut found = Linked::default();
        for edge in draft.edges() {
            let Some(targets) = index.find(drafts, &edge.name) else {
                unknown(reading, draft, edge, drafts);
                continue;
            };
            if targets.contains(&own) {
                fault(reading, draft, edge, "cannot wait for itself; drop it");
                continue;
            }
            found.add(reading, drafts, (own, edge), targets, &mut named);
        }
        linked.push(found);
    }
    let order = order(reading, drafts, &linked);
    if let Some((main, draft)) = drafts.iter().enumerate().next_back()
        && draft.is_main
        && draft.depends_on.is_none()
    {
        everything(drafts, main, &order, &mut linked);
    }
    for (draft, linked) in drafts.iter_mut().zip(linked) {
        draft.service.rules.depends_on = linked.dependencies;
    }
}

/// The dependencies of one service.
#[derive(Default)]
struct Linked {
    dependencies: Vec<Dependency>,
    /// Where each is written.
    places: Vec<Span>,
    /// How many of them were to any instance of a replicated service.
    choices: u16,
}

impl Linked {
    /// Adds an edge of a service to this target, or to these instances of one.
    fn add(
        &mut self,
        reading: &ReadContext<'_>,
        drafts: &[Draft],
        (own, edge): (usize, &Edge),
        targets: Range<usize>,
        named: &mut [Option<(usize, usize)>],
    ) {
        let Some(draft) = drafts.get(own) else { return };
        let target = drafts.get(targets.start).filter(|_| !targets.is_empty());
        if edge.all && !edge.after && target.is_some_and(|one| !one.is_instance()) {
            fault(reading, draft, edge, "has no replicas, so that \"all\" says nothing; drop the key");
        }
        let any = if edge.all || targets.len() < 2 {
            0
        } else {
            self.choices += 1;
            self.choices
        };
        for to in targets.clone() {
            let (Some(on), Some(target), Some(name)) = (id(to), drafts.get(to), named.get_mut(to)) else {
                continue;
            };
            let before =
                name.filter(|(by, _)| *by == own).and_then(|(_, place)| self.dependencies.get(place));
            if let Some(known) = before {
                // `after` beside `depends_on` says nothing new.
                if edge.after == known.condition.is_none() {
                    fault(reading, draft, edge, "is named twice; keep one of them");
                }
                continue;
            }
            *name = Some((own, self.dependencies.len()));
            let condition =
                (!edge.after).then(|| edge.condition.unwrap_or_else(|| standard(&target.service.rules)));
            if to == targets.start {
                possible(reading, draft, edge, condition, &target.service);
            }
            let (required, restart) = (edge.required, edge.restart);
            self.dependencies.push(Dependency { on, condition, required, restart, any });
            self.places.push(edge.at);
        }
    }
}

/// The order of the start; tells of each edge that closes a circle.
fn order(reading: &ReadContext<'_>, drafts: &[Draft], linked: &[Linked]) -> Vec<ServiceId> {
    let deps: Vec<&[Dependency]> = linked.iter().map(|linked| linked.dependencies.as_slice()).gather();
    graph::order(&deps, &mut |way, edge| {
        let Some(last) = way.last().map(|id| id.index()) else { return };
        let names = way.iter().chain(way.first()).map(|id| name_of(drafts, id.index()));
        let message = fill!(
            "services.{}: each would wait for the next: {}; drop one of these dependencies",
            name_of(drafts, last),
            names.gather().join(" -> ")
        );
        if let Some(at) = linked.get(last).and_then(|linked| linked.places.get(edge)) {
            reading.fault(*at, message);
        }
    })
}

/// What a bare name waits for.
fn standard(target: &ServicePolicy) -> Condition {
    match target.kind {
        ServiceType::Daemon => Condition::Started,
        ServiceType::Oneshot => Condition::Completed,
    }
}

/// Whether it ends for good at all, when all goes well.
fn completes(rules: &ServicePolicy) -> bool {
    !rules.on_demand && !matches!(rules.restart.when, Restart::Always | Restart::UnlessStopped)
}

/// What `main` waits for by itself: every service that is on and does not in turn wait for `main`.
fn everything(drafts: &[Draft], main: usize, order: &[ServiceId], linked: &mut [Linked]) {
    // Those that wait for it, and what it names itself.
    let mut left_out = vec![false; drafts.len()];
    let mark = |left_out: &mut [bool], index: usize| left_out.get_mut(index).map(|mark| *mark = true);
    mark(&mut left_out, main);
    for service in order.iter().map(|id| id.index()) {
        let edges = linked.get(service).into_iter().flat_map(|linked| &linked.dependencies);
        let on = edges.map(|edge| edge.on.index());
        if on.into_iter().any(|on| left_out.get(on) == Some(&true)) {
            mark(&mut left_out, service);
        }
    }
    let Some(of_main) = linked.get_mut(main).map(|linked| &mut linked.dependencies) else { return };
    for known in of_main.iter() {
        mark(&mut left_out, known.on.index());
    }
    for (index, draft) in drafts.iter().enumerate() {
        let (Some(on), Some(false)) = (id(index), left_out.get(index)) else { continue };
        if draft.service.off.is_some() || draft.service.rules.schedule.is_some() {
            continue;
        }
        let rules = &draft.service.rules;
        let condition = match rules.kind {
            _ if rules.health.is_some() => Condition::Healthy,
            ServiceType::Oneshot if completes(rules) => Condition::Completed,
            _ => Condition::Started,
        };
        of_main.push(Dependency {
            on,
            condition: Some(condition),
            required: rules.essential,
            restart: false,
            any: 0,
        });
    }
}

/// Conditions that can never be reached.
fn possible(
    reading: &ReadContext<'_>,
    draft: &Draft,
    edge: &Edge,
    condition: Option<Condition>,
    target: &Service,
) {
    let name = &edge.name;
    // What a condition keeps from starting today counts as satisfied.
    if let Some(off @ (Off::Disabled | Off::NoCommand | Off::Profiles(_))) = &target.off
        && draft.service.off.is_none()
        && edge.required
    {
        let why = off.why();
        let remedy = format!("write {name} = {{ required = false }} when it can do without");
        fault(reading, draft, edge, &fill!("is off ({}), so that this could never start; {}", why, remedy));
    }
    if target.rules.schedule.is_some() {
        let why = "is started by the clock, so that nothing can wait for it; drop it, or its schedule";
        return fault(reading, draft, edge, why);
    }
    match condition {
        Some(Condition::Healthy) if target.rules.on_demand => {
            let why = "is started by the first connection, and may never be healthy before; wait for \"started\", and it serves whoever connects";
            fault(reading, draft, edge, why);
        }
        Some(Condition::Healthy) if target.rules.health.is_none() && target.rules.readiness.is_none() => {
            fault(
                reading,
                draft,
                edge,
                "has neither a healthcheck nor notify, so that it never is healthy; add one, or wait for \"started\"",
            );
        }
        Some(Condition::Completed) if !completes(&target.rules) => {
            fault(
                reading,
                draft,
                edge,
                "never completes, as it is always restarted; give it restart = \"on-failure\", or wait for \"started\"",
            );
        }
        _ => {}
    }
}

fn unknown(reading: &ReadContext<'_>, draft: &Draft, edge: &Edge, drafts: &[Draft]) {
    if edge.name == MAIN {
        // There is no COMMAND now; there may be one at another time.
        if edge.required {
            fault(
                reading,
                draft,
                edge,
                "is no service now: there is no COMMAND, and no services.main with a command",
            );
        }
        return;
    }
    let hint = if reading.has_many() { String::new() } else { did_you_mean(&edge.name, names(drafts)) };
    fault(reading, draft, edge, &fill!("is no service{}", hint));
}

fn fault(reading: &ReadContext<'_>, draft: &Draft, edge: &Edge, why: &str) {
    let key = if edge.after { "after" } else { "depends_on" };
    reading.fault(edge.at, fill!("services.{}.{}: \"{}\" {}", draft.service.base(), key, edge.name, why));
}

/// Services by name.
pub struct Index<'p> {
    /// Sorted by the name of their tables.
    sorted: Vec<usize>,
    /// Replicated services without an instance.
    empty: Vec<&'p str>,
}

impl<'p> Index<'p> {
    /// Sorts these services, which the table of all services declares.
    pub fn new(drafts: &[Draft], root: &Table<'p>) -> Self {
        let mut sorted: Vec<usize> = (0..drafts.len()).gather();
        crate::text::sort::sort_by_key(&mut sorted, |index| name_of(drafts, *index));
        let mut index = Self { sorted, empty: Vec::new() };
        let services = root.node("services").map_or(&[][..], |node| node.entries());
        let replicated = services.iter().filter(|entry| entry.node.get(replicas::KEY).is_some());
        index.empty = replicated
            .filter(|entry| index.named(drafts, &entry.key).is_none())
            .map(|entry| entry.key.as_str())
            .collect();
        index
    }

    /// Returns the service of this name, or all instances of the replicated service of this name, maybe none.
    pub fn find(&self, drafts: &[Draft], name: &str) -> Option<Range<usize>> {
        if let Some(all) = self.named(drafts, name) {
            return Some(all);
        }
        if self.empty.contains(&name) {
            return Some(0..0);
        }
        let (base, number) = replicas::split(name)?;
        let all = self.named(drafts, base)?;
        let one = (all.start + usize::from(number)).checked_sub(1)?;
        let is_one = drafts.get(one).is_some_and(|draft| draft.service.name == name);
        is_one.then_some(one..one + 1)
    }

    fn named(&self, drafts: &[Draft], name: &str) -> Option<Range<usize>> {
        let place = self.sorted.binary_search_by(|index| name_of(drafts, *index).cmp(name)).ok()?;
        let found = *self.sorted.get(place)?;
        let instance = drafts.get(found).map_or(0, |draft| draft.service.program.instance);
        // The instances of one service stand one after the other.
        let start = found.checked_sub(usize::from(instance.saturating_sub(1)))?;
        let count = drafts.get(start..)?.iter().take_while(|draft| draft.service.base() == name).count();
        Some(start..start + count)
    }
}

/// Returns the names of all tables of services.
pub fn names(drafts: &[Draft]) -> impl Iterator<Item = &str> {
    drafts.iter().map(|draft| draft.service.base())
}

fn name_of(drafts: &[Draft], index: usize) -> &str {
    drafts.get(index).map_or("", |draft| draft.service.base())
}
