//! `depends_on` and `after`: from names to edges, and what is wrong with the graph that they make.

use super::{MAIN, id};
use crate::config::read::table::{ReadContext, Table, one_of};
use crate::config::source::diagnostic::Span;
use crate::config::source::document::{Node, Value};
use crate::config::{Off, Service};
use crate::model::{Condition, Dependency, Restart, ServiceId, ServicePolicy, ServiceType};
use crate::supervisor::graph;
use crate::text::gather::Gather;
use crate::text::suggest::did_you_mean;
use crate::text::template::fill;

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
        for (name, at) in names(table, KEY, node) {
            draft.after.push(Edge {
                name,
                at,
                condition: None,
                after: true,
                required: false,
                restart: false,
            });
        }
    }
}

fn names(table: &Table<'_>, key: &'static str, node: &Node) -> Vec<(String, Span)> {
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
    let plain = |name, at| Edge { name, at, condition: None, after: false, required: true, restart: false };
    let Value::Table(entries) = &node.value else {
        return names(table, KEY, node).into_iter().map(|(name, at)| plain(name, at)).gather();
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
                    below.close();
                }
            }
            other => {
                let found = other.kind();
                reading.fault(
                    entry.node.at,
                    format!("{path}: found {found}, expected a condition such as \"healthy\", or {{ condition, required, restart }}"),
                );
            }
        }
        edges.push(edge);
    }
    edges
}

/// Turns the names into edges of the graph. Every fault is told, at the name that is at fault.
pub fn link(reading: &ReadContext<'_>, drafts: &mut [Draft]) {
    let index = Index::new(drafts);
    let mut linked: Vec<Vec<Dependency>> = Vec::with_capacity(drafts.len());
    // Where each of these dependencies is written.
    let mut places: Vec<Vec<Span>> = Vec::with_capacity(drafts.len());
    // Who last named a service, and as which of its dependencies.
    let mut named: Vec<Option<(usize, usize)>> = vec![None; drafts.len()];
    for (own, draft) in drafts.iter().enumerate() {
        let mut dependencies: Vec<Dependency> = Vec::new();
        let mut spans: Vec<Span> = Vec::new();
        for edge in draft.edges() {
            let Some(to) = index.find(drafts, &edge.name) else {
                unknown(reading, draft, edge, drafts);
                continue;
            };
            if to == own {
                fault(reading, draft, edge, "cannot wait for itself; drop it");
                continue;
            }
            let (Some(on), Some(target), Some(name)) = (id(to), drafts.get(to), named.get_mut(to)) else {
                continue;
            };
            let before = name.filter(|(by, _)| *by == own).and_then(|(_, place)| dependencies.get(place));
            if let Some(known) = before {
                // `after` beside `depends_on` says nothing new.
                if edge.after == known.condition.is_none() {
                    fault(reading, draft, edge, "is named twice; keep one of them");
                }
                continue;
            }
            *name = Some((own, dependencies.len()));
            let condition =
                (!edge.after).then(|| edge.condition.unwrap_or_else(|| standard(&target.service.rules)));
            possible(reading, draft, edge, condition, &target.service);
            dependencies.push(Dependency { on, condition, required: edge.required, restart: edge.restart });
            spans.push(edge.at);
        }
        linked.push(dependencies);
        places.push(spans);
    }
    let order = order(reading, drafts, &linked, &places);
    if let Some((main, draft)) = drafts.iter().enumerate().next_back()
        && draft.is_main
        && draft.depends_on.is_none()
    {
        everything(drafts, main, &order, &mut linked);
    }
    for (draft, dependencies) in drafts.iter_mut().zip(linked) {
        draft.service.rules.depends_on = dependencies;
    }
}

/// The order of the start; tells of each edge that closes a circle.
fn order(
    reading: &ReadContext<'_>,
    drafts: &[Draft],
    linked: &[Vec<Dependency>],
    places: &[Vec<Span>],
) -> Vec<ServiceId> {
    let deps: Vec<&[Dependency]> = linked.iter().map(Vec::as_slice).gather();
    graph::order(&deps, &mut |way, edge| {
        let Some(last) = way.last().map(|id| id.index()) else { return };
        let names = way.iter().chain(way.first()).map(|id| name_of(drafts, id.index()));
        let message = fill!(
            "services.{}: each would wait for the next: {}; drop one of these dependencies",
            name_of(drafts, last),
            names.gather().join(" -> ")
        );
        if let Some(at) = places.get(last).and_then(|places| places.get(edge)) {
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
    !matches!(rules.restart.when, Restart::Always | Restart::UnlessStopped)
}

/// What `main` waits for by itself: every service that is on and does not in turn wait for `main`.
fn everything(drafts: &[Draft], main: usize, order: &[ServiceId], linked: &mut [Vec<Dependency>]) {
    // Those that wait for it, and what it names itself.
    let mut left_out = vec![false; drafts.len()];
    let mark = |left_out: &mut [bool], index: usize| left_out.get_mut(index).map(|mark| *mark = true);
    mark(&mut left_out, main);
    for service in order.iter().map(|id| id.index()) {
        let on = linked.get(service).into_iter().flatten().map(|edge| edge.on.index());
        if on.into_iter().any(|on| left_out.get(on) == Some(&true)) {
            mark(&mut left_out, service);
        }
    }
    let Some(of_main) = linked.get_mut(main) else { return };
    for known in of_main.iter() {
        mark(&mut left_out, known.on.index());
    }
    for (index, draft) in drafts.iter().enumerate() {
        let (Some(on), Some(false)) = (id(index), left_out.get(index)) else { continue };
        if draft.service.off.is_some() {
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
    match condition {
        Some(Condition::Healthy) if target.rules.health.is_none() => {
            fault(
                reading,
                draft,
                edge,
                "has no healthcheck, so that it never is healthy; add one, or wait for \"started\"",
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
    let known = drafts.iter().map(|known| known.service.name.as_str());
    let hint = if reading.has_many() { String::new() } else { did_you_mean(&edge.name, known) };
    fault(reading, draft, edge, &fill!("is no service{}", hint));
}

fn fault(reading: &ReadContext<'_>, draft: &Draft, edge: &Edge, why: &str) {
    let key = if edge.after { "after" } else { "depends_on" };
    reading.fault(edge.at, fill!("services.{}.{}: \"{}\" {}", draft.service.name, key, edge.name, why));
}

/// Services by name.
struct Index(Vec<usize>);

impl Index {
    fn new(drafts: &[Draft]) -> Self {
        let mut order: Vec<usize> = (0..drafts.len()).gather();
        crate::text::sort::sort_by_key(&mut order, |index| name_of(drafts, *index));
        Self(order)
    }

    fn find(&self, drafts: &[Draft], name: &str) -> Option<usize> {
        let place = self.0.binary_search_by(|index| name_of(drafts, *index).cmp(name)).ok()?;
        self.0.get(place).copied()
    }
}

fn name_of(drafts: &[Draft], index: usize) -> &str {
    drafts.get(index).map_or("", |draft| draft.service.name.as_str())
}
