//! `depends_on` and `after`: from names to edges, and what is wrong with the graph that they make.

use super::{MAIN, id};
use crate::config::read::table::{ReadContext, Table, one_of};
use crate::config::source::diagnostic::Span;
use crate::config::source::document::{Node, Value};
use crate::config::{Off, Service};
use crate::model::{Condition, Dependency, Restart, ServicePolicy, ServiceType};
use crate::text::suggest::did_you_mean;

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
    items.iter().filter_map(name).collect()
}

fn depends_on(table: &Table<'_>) -> Vec<Edge> {
    const KEY: &str = "depends_on";
    let Some(node) = table.node(KEY) else { return Vec::new() };
    let plain = |name, at| Edge { name, at, condition: None, after: false, required: true, restart: false };
    let Value::Table(entries) = &node.value else {
        return names(table, KEY, node).into_iter().map(|(name, at)| plain(name, at)).collect();
    };
    let reading = table.reading();
    let mut edges = Vec::with_capacity(entries.len());
    for entry in entries {
        let mut edge = plain(entry.key.clone(), entry.at);
        let path = format!("{}.{}", table.path_of(KEY), entry.key);
        match &entry.node.value {
            Value::Text(text) => match table.expand_node(KEY, &entry.node, text).as_deref().map(one_of) {
                Some(Ok(condition)) => edge.condition = Some(condition),
                Some(Err(why)) => reading.fault(entry.node.at, format!("{path}: \"{text}\": {why}")),
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
    let mut graph: Vec<Vec<(usize, Span)>> = Vec::with_capacity(drafts.len());
    let mut linked: Vec<Vec<Dependency>> = Vec::with_capacity(drafts.len());
    for (own, draft) in drafts.iter().enumerate() {
        let mut dependencies: Vec<Dependency> = Vec::new();
        let mut targets: Vec<(usize, Span)> = Vec::new();
        for edge in draft.edges() {
            let Some(to) = index.find(drafts, &edge.name) else {
                unknown(reading, draft, edge, drafts);
                continue;
            };
            if to == own {
                fault(reading, draft, edge, "cannot wait for itself; drop it");
                continue;
            }
            let (Some(on), Some(target)) = (id(to), drafts.get(to)) else { continue };
            targets.push((to, edge.at));
            if let Some(known) = dependencies.iter().find(|known| known.on == on) {
                // `after` beside `depends_on` says nothing new.
                if edge.after == known.condition.is_none() {
                    fault(reading, draft, edge, "is named twice; keep one of them");
                }
                continue;
            }
            let condition =
                (!edge.after).then(|| edge.condition.unwrap_or_else(|| standard(&target.service.rules)));
            possible(reading, draft, edge, condition, &target.service);
            dependencies.push(Dependency { on, condition, required: edge.required, restart: edge.restart });
        }
        graph.push(targets);
        linked.push(dependencies);
    }
    if let Some((main, draft)) = drafts.iter().enumerate().next_back()
        && draft.is_main
        && draft.depends_on.is_none()
        && let Some(of_main) = linked.last_mut()
    {
        everything(drafts, main, &graph, of_main);
    }
    cycles(reading, drafts, &graph);
    for (draft, dependencies) in drafts.iter_mut().zip(linked) {
        draft.service.rules.depends_on = dependencies;
    }
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
fn everything(drafts: &[Draft], main: usize, graph: &[Vec<(usize, Span)>], of_main: &mut Vec<Dependency>) {
    let mut later = vec![false; drafts.len()];
    if let Some(own) = later.get_mut(main) {
        *own = true;
    }
    loop {
        let mut grew = false;
        for (service, targets) in graph.iter().enumerate() {
            let waits = targets.iter().any(|(to, _)| later.get(*to) == Some(&true));
            if let Some(known) = later.get_mut(service).filter(|known| waits && !**known) {
                *known = true;
                grew = true;
            }
        }
        if !grew {
            break;
        }
    }
    for (index, draft) in drafts.iter().enumerate() {
        let (Some(on), Some(false)) = (id(index), later.get(index)) else { continue };
        if draft.service.off.is_some() || of_main.iter().any(|known| known.on == on) {
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
    if let Some(off @ (Off::Disabled | Off::NoCommand)) = &target.off
        && draft.service.off.is_none()
        && edge.required
    {
        let why = off.why();
        let remedy = format!("write {name} = {{ required = false }} when it can do without");
        fault(reading, draft, edge, &format!("is off ({why}), so that this could never start; {remedy}"));
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
    fault(reading, draft, edge, &format!("is no service{hint}"));
}

fn fault(reading: &ReadContext<'_>, draft: &Draft, edge: &Edge, why: &str) {
    let key = if edge.after { "after" } else { "depends_on" };
    reading.fault(edge.at, format!("services.{}.{key}: \"{}\" {why}", draft.service.name, edge.name));
}

/// Services by name.
struct Index(Vec<usize>);

impl Index {
    fn new(drafts: &[Draft]) -> Self {
        let mut order: Vec<usize> = (0..drafts.len()).collect();
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

/// Walks the graph depth first, without recursion, and tells of each edge that closes a circle.
fn cycles(reading: &ReadContext<'_>, drafts: &[Draft], graph: &[Vec<(usize, Span)>]) {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        No,
        OnPath,
        Done,
    }
    let mut seen = vec![Seen::No; graph.len()];
    for start in 0..graph.len() {
        let mut path: Vec<(usize, usize)> = Vec::new();
        if seen.get(start) == Some(&Seen::No) {
            path.push((start, 0));
        }
        while let Some((node, next)) = path.last_mut() {
            let node = *node;
            if let Some(mark) = seen.get_mut(node) {
                *mark = Seen::OnPath;
            }
            let Some((to, at)) = graph.get(node).and_then(|targets| targets.get(*next)).copied() else {
                if let Some(mark) = seen.get_mut(node) {
                    *mark = Seen::Done;
                }
                path.pop();
                continue;
            };
            *next += 1;
            match seen.get(to) {
                Some(Seen::No) => path.push((to, 0)),
                Some(Seen::OnPath) => {
                    let circle = path.iter().map(|(node, _)| *node).skip_while(|node| *node != to);
                    let names: Vec<&str> = circle.chain([to]).map(|node| name_of(drafts, node)).collect();
                    let message = format!(
                        "services.{}: each would wait for the next: {}; drop one of these dependencies",
                        name_of(drafts, node),
                        names.join(" -> ")
                    );
                    reading.fault(at, message);
                }
                _ => {}
            }
        }
    }
}
