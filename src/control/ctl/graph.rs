//! `rinitctl graph`.

use super::table::GRAPH_FORMAT;
use super::{CtlError, CtlRequest, print};
use crate::text::escape::{json_string, on_one_line};
use crate::text::gather::Gather;
use crate::text::json::Json;

pub(super) fn run(request: &CtlRequest<'_>) -> Result<u8, CtlError> {
    let mut client = request.connect()?;
    let (rows, _) = client.services(&[])?;
    let mut edges = Vec::new();
    client.ask("graph", &[], "", &mut |row| edges.push(row))?;
    let names: Vec<&str> = rows.iter().filter_map(|row| row.text("name")).gather();
    let text = match request.arguments.value(&GRAPH_FORMAT) {
        Some("dot") => dot(&names, &edges),
        Some("mermaid") => mermaid(&names, &edges),
        _ => text(&names, &edges),
    };
    Ok(print(&text))
}

/// Returns source, target and condition of a dependency.
fn parts(edge: &Json) -> (&str, &str, &str) {
    let part = |name| edge.text(name).unwrap_or("?");
    (part("from"), part("to"), part("condition"))
}

/// Returns whether the dependent needs it.
fn is_required(edge: &Json) -> bool {
    edge.get("required") != Some(&Json::Bool(false))
}

/// Lists each service with its dependencies below it.
fn text(names: &[&str], edges: &[Json]) -> String {
    let mut shown = String::new();
    for name in names {
        shown.extend([on_one_line(name).as_str(), "\n"]);
        for edge in edges.iter().filter(|edge| parts(edge).0 == *name) {
            let (_, to, condition) = parts(edge);
            let optional = if is_required(edge) || condition == "after" { "" } else { ", not required" };
            let restart = if edge.is_true("restart") { ", restarted with it" } else { "" };
            shown.extend(["  ", on_one_line(to).as_str(), " (", condition, optional, restart, ")\n"]);
        }
    }
    shown
}

fn dot(names: &[&str], edges: &[Json]) -> String {
    let mut shown = String::from("digraph rinit {\n  rankdir=LR;\n  node [shape=box];\n");
    for name in names {
        shown.push_str("  ");
        json_string(name, &mut shown);
        shown.push_str(";\n");
    }
    for edge in edges {
        let (from, to, condition) = parts(edge);
        shown.push_str("  ");
        json_string(from, &mut shown);
        shown.push_str(" -> ");
        json_string(to, &mut shown);
        let style = if is_required(edge) && condition != "after" { "" } else { ", style=dashed" };
        shown.extend([" [label=\"", condition, "\"", style, "];\n"]);
    }
    shown.push_str("}\n");
    shown
}

fn mermaid(names: &[&str], edges: &[Json]) -> String {
    let mut shown = String::from("graph LR\n");
    let number =
        |name: &str| names.iter().position(|known| *known == name).unwrap_or(names.len()).to_string();
    for name in names {
        let label = on_one_line(name).replace('"', "#quot;");
        shown.extend(["  s", number(name).as_str(), "[\"", &label, "\"]\n"]);
    }
    for edge in edges {
        let (from, to, condition) = parts(edge);
        let arrow = if is_required(edge) && condition != "after" { " -->|" } else { " -.->|" };
        shown.extend(["  s", number(from).as_str(), arrow, condition, "| s", &number(to), "\n"]);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::super::graph::*;
    use crate::text::json::parse;

    #[test]
    fn three_forms_of_one_graph() {
        let names = ["web", "a\"b"];
        let edges = [
            parse(r#"{"from":"web","to":"a\"b","condition":"healthy","required":true,"restart":true}"#)
                .expect("JSON"),
            parse(r#"{"from":"a\"b","to":"web","condition":"after","required":false}"#).expect("JSON"),
        ];
        assert_eq!(text(&names, &edges), "web\n  a\"b (healthy, restarted with it)\na\"b\n  web (after)\n");
        let dotted = dot(&names, &edges);
        assert!(dotted.contains("\"web\" -> \"a\\\"b\" [label=\"healthy\"];"), "{dotted}");
        assert!(dotted.contains("[label=\"after\", style=dashed];"), "{dotted}");
        let drawn = mermaid(&names, &edges);
        assert!(drawn.contains("s1[\"a#quot;b\"]") && drawn.contains("s0 -->|healthy| s1"), "{drawn}");
    }
}
