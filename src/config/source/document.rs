//! The TOML text as a tree that knows the place of every value, and the merge of several files into one.

use super::diagnostic::{Diagnostic, SourceMap, Span};
use crate::config::read::foreign;
use crate::text::escape::{json_string, toml_key};
use crate::text::gather::Gather;
use std::num::IntErrorKind;
use toml::de::{DeTable, DeValue};

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
    let (document, errors) = DeTable::parse_recoverable(sources.text(file));
    if !errors.is_empty()
        && let Some((span, message)) = foreign::format(sources.text(file))
    {
        // Nothing of it means what it seems to.
        let at = place(file, &span);
        faults.push(Diagnostic { at: Some(at), message });
        return Node { value: Value::Table(Vec::new()), at };
    }
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let at = place(file, &span);
        let message = error.message().replace('\n', ", ");
        let fault = Diagnostic { at: Some(at), message: format!("not TOML: {message}") };
        // The parser tells of a bracket that is never closed once for each bracket.
        if faults.last() != Some(&fault) {
            faults.push(fault);
        }
    }
    let span = document.span();
    let mut reader = TreeBuilder { file, faults };
    Node { value: reader.table(document.get_ref()), at: place(file, &span) }
}

/// Where a span of a file is.
#[must_use]
pub fn place(file: u16, span: &std::ops::Range<usize>) -> Span {
    let cut = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Span { file, start: cut(span.start), end: cut(span.end) }
}

struct TreeBuilder<'f> {
    file: u16,
    faults: &'f mut Vec<Diagnostic>,
}

impl TreeBuilder<'_> {
    fn table(&mut self, table: &DeTable<'_>) -> Value {
        let mut entries: Vec<Entry> = table
            .iter()
            .map(|(key, value)| {
                let at = place(self.file, &key.span());
                Entry {
                    key: self.text(key.get_ref(), at),
                    at,
                    node: self.node(value.get_ref(), &value.span()),
                }
            })
            .gather();
        // The parser sorts by name; people expect the order in which they wrote.
        crate::text::sort::sort_by_key(&mut entries, |entry| entry.at.start);
        Value::Table(entries)
    }

    fn node(&mut self, value: &DeValue<'_>, span: &std::ops::Range<usize>) -> Node {
        let at = place(self.file, span);
        let value = match value {
            DeValue::String(text) => Value::Text(self.text(text, at)),
            DeValue::Boolean(flag) => Value::Bool(*flag),
            DeValue::Array(items) => {
                Value::List(items.iter().map(|item| self.node(item.get_ref(), &item.span())).gather())
            }
            DeValue::Table(table) => self.table(table),
            DeValue::Datetime(date) => Value::Text(date.to_string()),
            DeValue::Integer(digits) => match i64::from_str_radix(digits.as_str(), digits.radix()) {
                Ok(number) => Value::Integer(number),
                Err(why) => self.no_integer(at, why.kind()),
            },
            DeValue::Float(digits) => Value::Float(digits.as_str().to_string()),
        };
        Node { value, at }
    }

    /// A name or a string. What holds a NUL ends there for the kernel, whatever it is meant for.
    fn text(&mut self, text: &str, at: Span) -> String {
        if text.contains('\0') {
            let message = "a NUL character, which no path, argument or variable can hold; take it out".into();
            self.faults.push(Diagnostic { at: Some(at), message });
        }
        text.to_string()
    }

    fn no_integer(&mut self, at: Span, why: &IntErrorKind) -> Value {
        let message = match why {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => {
                "a number that no computer word can hold"
            }
            // "0x" alone; all else that is wrong with a number the parser has told.
            _ if at.end - at.start == 2 => "not TOML: a number without digits",
            _ => return Value::Integer(0),
        };
        self.faults.push(Diagnostic { at: Some(at), message: message.into() });
        Value::Integer(0)
    }
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
