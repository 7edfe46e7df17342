//! The TOML text as a tree that knows the place of every value, and the merge of several files into one.

use super::diagnostic::{Diagnostic, SourceMap, Span};
use super::tree::{self, Document};
use crate::config::read::foreign;
use crate::text::escape::{json_string, toml_key};
use crate::text::gather::Gather;

/// A value and where it stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Where it is.
    pub at: Span,
}

/// What TOML can say, without dates (no key of rinit's is one; a date is kept as its text).
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// A string, not yet expanded.
    Text(String),
    /// An integer.
    Integer(i64),
    /// A float, as it is written.
    Float(String),
    /// A bool.
    Bool(bool),
    /// An array.
    List(Vec<Node>),
    /// A table, in the order of the file.
    Table(Vec<Entry>),
}

/// A key of a table with its value.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// The key, unquoted.
    pub key: String,
    /// Where the key stands.
    pub at: Span,
    /// What it holds.
    pub node: Node,
}

impl Node {
    /// What a table holds under a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// What a table holds; nothing of anything else.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        if let Value::Table(entries) = &self.value { entries } else { &[] }
    }
}

impl Entry {
    /// Writes the entry as a line of TOML, tables as inline ones.
    pub fn write(&self, out: &mut String) {
        out.push_str(&toml_key(&self.key));
        out.push_str(" = ");
        self.node.value.write(out);
        out.push('\n');
    }
}

impl Value {
    /// Writes the value as TOML has it on one line.
    fn write(&self, out: &mut String) {
        match self {
            Self::Text(text) => json_string(text, out),
            Self::Integer(number) => out.push_str(&number.to_string()),
            Self::Float(text) => out.push_str(text),
            Self::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Self::List(items) => {
                out.push('[');
                for item in items {
                    item.value.write(out);
                    out.push(',');
                }
                out.push(']');
            }
            Self::Table(entries) => {
                out.push('{');
                for (n, entry) in entries.iter().enumerate() {
                    out.push_str(if n == 0 { "" } else { ", " });
                    out.push_str(&toml_key(&entry.key));
                    out.push_str(" = ");
                    entry.node.value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// What to call it in a message.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number",
            Self::Bool(_) => "a bool",
            Self::List(_) => "an array",
            Self::Table(_) => "a table",
        }
    }
}

/// Parses one file. Every syntax error becomes a fault; what could be read is returned all the same.
pub fn parse(sources: &SourceMap, file: u16, faults: &mut Vec<Diagnostic>) -> Node {
    let text = sources.text(file);
    let Document { root, errors, faults: of_values } = tree::read(text, file);
    let whole = place(file, &(0..0));
    if !errors.is_empty()
        && let Some((span, message)) = foreign::format(text)
    {
        // Nothing of it means what it seems to.
        let at = place(file, &span);
        faults.push(Diagnostic { at: Some(at), message });
        return Node { value: Value::Table(Vec::new()), at };
    }
    for error in errors {
        // The parser tells of a bracket that is never closed once for each bracket.
        if faults.last() != Some(&error) {
            faults.push(error);
        }
    }
    faults.extend(of_values);
    Node { value: root, at: whole }
}

/// Where a span of a file is.
#[must_use]
pub fn place(file: u16, span: &std::ops::Range<usize>) -> Span {
    let cut = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Span { file, start: cut(span.start), end: cut(span.end) }
}

/// Lays `upper` over `lower`, table by table: what `upper` says replaces, what it does not say stays. Of `environment`,
/// which may be a list too, each form is kept beside the other: their reader merges them by name.
pub fn merge(lower: &mut Node, upper: Node) {
    match (&mut lower.value, upper.value) {
        (Value::Table(below), Value::Table(above)) => lay(below, above),
        (_, value) => *lower = Node { value, at: upper.at },
    }
}

fn lay(below: &mut Vec<Entry>, above: Vec<Entry>) {
    // By name, for there may be many; of one name, which only `environment` may have twice, the newest last.
    let mut order: Vec<usize> = (0..below.len()).gather();
    crate::text::sort::sort_by_key(&mut order, |at| (below.get(*at).map(|entry| entry.key.as_str()), *at));
    let mut new = Vec::new();
    for entry in above {
        let tables = |known: &Entry| {
            matches!((&known.node.value, &entry.node.value), (Value::Table(_), Value::Table(_)))
        };
        let end = order.partition_point(|at| below.get(*at).is_some_and(|known| known.key <= entry.key));
        let newest = end.checked_sub(1).and_then(|end| order.get(end));
        match newest.and_then(|at| below.get_mut(*at)).filter(|known| known.key == entry.key) {
            Some(known) if known.key != "environment" || tables(known) => {
                if !tables(known) {
                    known.at = entry.at;
                }
                merge(&mut known.node, entry.node);
            }
            _ => new.push(entry),
        }
    }
    below.append(&mut new);
}
