//! A table while its file is read: found by key, and with what TOML allows to be added to it.

use super::diagnostic::Span;
use super::document::{Entry, Node, Value};
use crate::text::gather::Gather;

/// A table that is still being read.
#[derive(Default)]
pub(super) struct OpenTable {
    pub(super) entries: Vec<OpenEntry>,
    /// Their numbers, by key.
    pub(super) order: Vec<u32>,
    /// It is only there for what is in it: no header and no braces say it.
    pub(super) implicit: bool,
    /// Dotted keys made it.
    pub(super) dotted: bool,
    /// In braces.
    pub(super) inline: bool,
}

pub(super) struct OpenEntry {
    pub(super) key: Key,
    pub(super) at: Span,
    pub(super) value: OpenValue,
}

pub(super) enum OpenValue {
    Done(Value),
    Table(OpenTable),
    /// `[[NAME]]`
    Tables(Vec<(Span, OpenTable)>),
}

pub(super) struct Key {
    pub(super) text: String,
    pub(super) at: Span,
}

impl OpenTable {
    /// The place of a key in the order, and its number if it is there.
    pub(super) fn find(&self, key: &str) -> (usize, Option<usize>) {
        let key_of = |n: &u32| self.entries.get(*n as usize).map_or("", |entry| entry.key.text.as_str());
        let at = self.order.partition_point(|n| key_of(n) < key);
        (at, self.order.get(at).filter(|n| key_of(n) == key).map(|n| *n as usize))
    }

    pub(super) fn get(&mut self, key: &str) -> Option<&mut OpenEntry> {
        let number = self.find(key).1?;
        self.entries.get_mut(number)
    }

    pub(super) fn insert(&mut self, key: Key, at: Span, value: OpenValue) {
        let (place, _) = self.find(&key.text);
        self.order.insert(place.min(self.order.len()), u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
        self.entries.push(OpenEntry { key, at, value });
    }

    pub(super) fn close(self) -> Value {
        let close = |entry: OpenEntry| Entry {
            key: entry.key.text,
            at: entry.key.at,
            node: Node { value: entry.value.close(), at: entry.at },
        };
        let mut entries = self.entries.into_iter().map(close).gather();
        // A header that comes after one of a table below it is where the table is said.
        if !entries.is_sorted_by_key(|entry| entry.at.start) {
            crate::text::sort::sort_by_key(&mut entries, |entry| entry.at.start);
        }
        Value::Table(entries)
    }
}

impl OpenValue {
    pub(super) fn close(self) -> Value {
        match self {
            Self::Done(value) => value,
            Self::Table(table) => table.close(),
            Self::Tables(tables) => {
                let close = |(at, table): (Span, OpenTable)| Node { value: table.close(), at };
                Value::List(tables.into_iter().map(close).gather())
            }
        }
    }

    /// What it is called where a key wants to reach into it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Done(Value::Text(_)) => "string",
            Self::Done(Value::Integer(_)) => "integer",
            Self::Done(Value::Float(_)) => "float",
            Self::Done(Value::Bool(_)) => "boolean",
            Self::Done(Value::List(_)) | Self::Tables(_) => "array",
            Self::Done(Value::Table(_)) | Self::Table(_) => "table",
        }
    }
}
