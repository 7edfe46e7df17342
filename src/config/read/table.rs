//! A table of the configuration as its reader sees it: typed access by key, expansion on the way,
//! every fault noted and none fatal, and at the end a fault for each key that nobody asked for.
//!
//! A key that is absent and a key that is faulty both read as `None`: the fault is noted, the reader
//! goes on with its default, so that one run finds all faults.

pub use super::context::ReadContext;
use super::foreign;
use super::interpolate::{Expanded, OnlyNames, Scope, StartFacts, expand_only};
use super::scalar::word_number;
pub use super::scalar::{one_of, scalar, signal};
use super::shell_line;
use crate::config::source::diagnostic::Span;
use crate::config::source::document::{Entry, Node, Value};
use crate::config::source::grouping::KNOWN_HERE;
use crate::model::Signal;
use crate::text::gather::Gather;
use crate::text::suggest::did_you_mean;
use crate::text::template::fill;
use crate::text::units::{self, Number};
use crate::text::words::Word;
use std::cell::{Cell, RefCell};
use std::time::Duration;

/// About as many keys as the reader of a table asks for.
const ASKED: usize = 32;

/// The entries of a table. Readers ask for all the keys that they know, of which few are there: a mark for each key
/// that is there makes most answers quick.
#[derive(Clone, Copy)]
struct Keys<'a> {
    entries: &'a [Entry],
    marks: u64,
}

impl<'a> Keys<'a> {
    fn of(entries: &'a [Entry]) -> Self {
        Self { entries, marks: entries.iter().fold(0, |marks, entry| marks | mark(&entry.key)) }
    }

    fn get(self, key: &str) -> Option<&'a Entry> {
        self.find(key, mark(key)).map(|(_, entry)| entry)
    }

    /// The entry and its number.
    fn find(self, key: &str, mark: u64) -> Option<(usize, &'a Entry)> {
        if self.marks & mark == 0 {
            return None;
        }
        self.entries.iter().enumerate().find(|(_, entry)| entry.key == key)
    }
}

/// The bit of an entry; none of one that is far behind.
fn bit(n: usize) -> u64 {
    u32::try_from(n).ok().and_then(|n| 1_u64.checked_shl(n)).unwrap_or(0)
}

/// One of 64 bits, by the length of a key and its first byte.
fn mark(key: &str) -> u64 {
    let first = key.as_bytes().first().map_or(0, |byte| usize::from(*byte));
    1 << ((key.len() + 5 * first) % 64)
}

/// One table, being read.
pub struct Table<'a> {
    /// Where it stands in the hierarchy: `services.web`.
    pub path: String,
    /// Its header, or the value itself for an inline table.
    pub at: Span,
    own: Keys<'a>,
    /// Looked into for keys that `own` does not have: `[defaults]`.
    fallback: Keys<'a>,
    /// What that is called in messages.
    fallback_path: String,
    reading: &'a ReadContext<'a>,
    asked: RefCell<Vec<&'static str>>,
    /// A bit for each of the first 64 own entries that was asked for, so that the list need not be searched for it.
    found: Cell<u64>,
}

impl<'a> Table<'a> {
    /// Begins to read a node as a table; anything else is a fault.
    pub fn open(reading: &'a ReadContext<'a>, path: String, at: Span, node: &'a Node) -> Option<Self> {
        match &node.value {
            Value::Table(entries) => Some(Self::of(reading, path, at, entries)),
            other => {
                reading.fault(node.at, fill!("{}: found {}, expected a table", path, other.kind()));
                None
            }
        }
    }

    fn of(reading: &'a ReadContext<'a>, path: String, at: Span, entries: &'a [Entry]) -> Self {
        let asked = RefCell::new(Vec::with_capacity(ASKED));
        let (own, fallback, fallback_path) = (Keys::of(entries), Keys::of(&[]), String::new());
        Self { path, at, own, fallback, fallback_path, reading, asked, found: Cell::new(0) }
    }

    /// The same table with `[defaults]` for the keys that it lacks. A table that both have is merged key by key.
    #[must_use]
    pub fn with_fallback(mut self, fallback: Option<&'a Node>) -> Self {
        if let Some(Node { value: Value::Table(entries), .. }) = fallback {
            self.fallback = Keys::of(entries);
            self.fallback_path = "defaults".into();
        }
        self
    }

    /// The reading that this table is part of.
    #[must_use]
    pub fn reading(&self) -> &'a ReadContext<'a> {
        self.reading
    }

    /// The raw entry of a key, for values that have several forms. Counts as asked for.
    pub fn entry(&self, key: &'static str) -> Option<&'a Entry> {
        self.asked.borrow_mut().push(key);
        let mark = mark(key);
        // Of most keys both lack it.
        if (self.own.marks | self.fallback.marks) & mark == 0 {
            return None;
        }
        let Some((n, entry)) = self.own.find(key, mark) else {
            return self.fallback.find(key, mark).map(|(_, entry)| entry);
        };
        self.found.set(self.found.get() | bit(n));
        Some(entry)
    }

    /// What the fallback, then the table itself says of a key that files say more than once; whether it is the fallback.
    pub fn layers(&self, key: &'static str) -> impl Iterator<Item = (bool, &'a Node)> {
        let of = move |keys: Keys<'a>, inherited| {
            let said = keys.entries.iter().filter(move |entry| entry.key == key);
            said.map(move |entry| (inherited, &entry.node))
        };
        self.ignore(&[key]);
        of(self.fallback, true).chain(of(self.own, false))
    }

    /// What the fallback says of a key, whether or not the table says it too.
    pub fn inherited(&self, key: &str) -> Option<&'a Entry> {
        self.fallback.get(key)
    }

    /// The raw node of a key.
    pub fn node(&self, key: &'static str) -> Option<&'a Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// Keys that are known here, but read elsewhere or not at all.
    pub fn ignore(&self, keys: &[&'static str]) {
        self.asked.borrow_mut().extend(keys);
    }

    /// Whether the key is written in this table itself (not in its fallback).
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.own.get(key).is_some()
    }

    /// All entries of this table itself, in the order of the file, for tables whose keys are names. All count as asked for.
    #[must_use]
    pub fn entries(&self) -> &'a [Entry] {
        self.own.entries
    }

    /// Notes a fault at a key's value, or at the table when the key is not there.
    pub fn fault(&self, key: &'static str, message: &str) {
        let at = self.node(key).map_or(self.at, |node| node.at);
        self.reading.fault(at, fill!("{}: {}", self.path_of(key), message));
    }

    /// Notes a fault about the table as a whole.
    pub fn fault_here(&self, message: &str) {
        self.reading.fault(self.at, fill!("{}: {}", self.path, message));
    }

    /// The key with the path of the table that says it: `services.web.restart`, `defaults.restart`.
    #[must_use]
    pub fn path_of(&self, key: &str) -> String {
        let said = self.has(key) || self.inherited(key).is_none();
        let path = if said { &self.path } else { &self.fallback_path };
        if path.is_empty() { key.to_string() } else { fill!("{}.{}", path, key) }
    }

    /// Notes that a node (the key's value, or an element of it) is of the wrong kind.
    pub fn wrong(&self, key: &str, node: &Node, expected: &str) {
        let found = node.value.kind();
        self.reading.fault(node.at, fill!("{}: found {}, expected {}", self.path_of(key), found, expected));
    }

    /// Expands a text node. `None`: not known before the checks, or a fault (noted).
    pub fn expand_node(&self, key: &str, node: &Node, text: &str) -> Option<String> {
        self.expand_only(key, node, text, None)
    }

    /// The same of some names alone, as [`expand_only`] has it.
    pub fn expand_only(&self, key: &str, node: &Node, text: &str, only: OnlyNames<'_>) -> Option<String> {
        match expand_only(text, &self.reading.scope, only) {
            Ok(Expanded::Text(text)) => Some(text),
            Ok(Expanded::Later) => None,
            Err(_) if self.reading.forgives() && only_unset(text, only) => None,
            Err(message) => {
                self.reading.fault(node.at, fill!("{}: {}", self.path_of(key), message));
                None
            }
        }
    }

    /// Reads a key by a function from its expanded text, or by `other` from what is no text; `expected` says what
    /// the text should be.
    pub fn parse<T>(
        &self,
        key: &'static str,
        expected: &str,
        other: impl Fn(&Value) -> Option<T>,
        text: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (node, said) = self.said(key)?;
        let why = match said {
            RawValue::Text(expanded) => match text(&expanded) {
                Ok(read) => return Some(read),
                Err(why) => Some(why),
            },
            RawValue::Other(value) => match other(value) {
                Some(read) => return Some(read),
                None => None,
            },
        };
        self.misread(key, node, expected, why);
        None
    }

    #[inline(never)]
    fn said(&self, key: &'static str) -> Option<(&'a Node, RawValue<'a>)> {
        let node = self.node(key)?;
        let said = match &node.value {
            Value::Text(raw) => RawValue::Text(self.expand_node(key, node, raw)?),
            other => RawValue::Other(other),
        };
        Some((node, said))
    }

    #[inline(never)]
    fn misread(&self, key: &'static str, node: &Node, expected: &str, why: Option<String>) {
        match (&node.value, why) {
            // The expanded value may be a secret: only what stands in the file is shown.
            (Value::Text(raw), Some(why)) => {
                self.reading.fault(node.at, fill!("{}: \"{}\": {}", self.path_of(key), raw, why));
            }
            _ => self.wrong(key, node, expected),
        }
    }

    /// A string.
    pub fn text(&self, key: &'static str) -> Option<String> {
        self.parse(key, "a string", |_| None, |text| Ok(text.to_string()))
    }

    /// A string, or a number or bool taken as its text (`user = 1000`).
    pub fn text_or_number(&self, key: &'static str) -> Option<String> {
        self.parse(key, "a string or a number", scalar, |text| Ok(text.to_string()))
    }

    /// A bool, or a string that is one after expansion.
    pub fn flag(&self, key: &'static str) -> Option<bool> {
        let other = |value: &Value| if let Value::Bool(flag) = value { Some(*flag) } else { None };
        self.parse(key, "true or false", other, |text| match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(true),
            "false" | "no" | "off" | "0" | "" => Ok(false),
            _ => Err("expected true or false".into()),
        })
    }

    /// An integer between `min` and `max`, or a string that is one after expansion.
    pub fn integer(&self, key: &'static str, min: i64, max: i64) -> Option<i64> {
        let other = |value: &Value| if let Value::Integer(number) = value { Some(*number) } else { None };
        let expected = match (min, max) {
            (i64::MIN, i64::MAX) => "an integer".to_string(),
            (min, i64::MAX) => format!("an integer of at least {min}"),
            (min, max) => format!("an integer from {min} to {max}"),
        };
        let number = self.parse(key, &expected, other, |text| {
            text.trim().parse().map_err(|_| fill!("expected {}", expected))
        })?;
        if (min..=max).contains(&number) {
            return Some(number);
        }
        self.fault(key, &format!("found {number}, expected {expected}"));
        None
    }

    /// A number, or a string that is one after expansion.
    pub fn number(&self, key: &'static str) -> Option<Number> {
        let other = |value: &Value| scalar(value).and_then(|text| units::number(&text));
        self.parse(key, "a finite number", other, |text| {
            units::number(text.trim()).ok_or_else(|| "expected a number".into())
        })
    }

    /// A duration, with its unit.
    pub fn duration(&self, key: &'static str) -> Option<Duration> {
        self.parse(key, "a duration with its unit, such as \"10s\"", |_| None, units::duration)
    }

    /// A duration or `"none"`. The outer `None`: not written.
    pub fn duration_or_none(&self, key: &'static str) -> Option<Option<Duration>> {
        let parse = |text: &str| if text == "none" { Ok(None) } else { units::duration(text).map(Some) };
        self.parse(key, "a duration with its unit, or \"none\"", |_| None, parse)
    }

    /// A size in bytes.
    pub fn size(&self, key: &'static str) -> Option<u64> {
        let other = |value: &Value| if let Value::Integer(n) = value { u64::try_from(*n).ok() } else { None };
        self.parse(key, "a size such as \"64MiB\"", other, units::size)
    }

    /// A signal: a name with or without SIG, or a number.
    pub fn signal(&self, key: &'static str) -> Option<Signal> {
        let other = |value: &Value| match value {
            Value::Integer(number) => i32::try_from(*number).ok().and_then(Signal::from_number),
            _ => None,
        };
        self.parse(key, "a signal's name or number, 1 to 64", other, signal)
    }

    /// One word of a closed list.
    pub fn word<T: Word>(&self, key: &'static str) -> Option<T> {
        let number = self.parse(key, "a word", |_| None, |text| word_number(text, T::NAMES))?;
        T::VALUES.get(number).copied()
    }

    /// A string or an array of strings, each expanded. Elements that are not known yet, or faulty, are left out; where
    /// none is left, the key reads as absent, for it is not empty.
    pub fn list(&self, key: &'static str) -> Option<Vec<String>> {
        let node = self.node(key)?;
        match &node.value {
            Value::List(items) => {
                Some(self.items(key, items)).filter(|list| !list.is_empty() || items.is_empty())
            }
            _ => self.text_or_number(key).map(|text| vec![text]),
        }
    }

    /// A command: an array of words, or a string that is split into words as a shell would. Words that are not known
    /// yet are left out.
    pub fn command(&self, key: &'static str) -> Option<Vec<String>> {
        self.command_of(key, self.node(key)?)
    }

    /// The same of a node under a key.
    pub fn command_of(&self, key: &str, node: &Node) -> Option<Vec<String>> {
        let fault = |why: &str| self.reading.fault(node.at, [&self.path_of(key), ": ", why].concat());
        let (words, known) = match &node.value {
            Value::List(items) => {
                let words = self.items(key, items);
                let known = words.len() == items.len();
                (words, known)
            }
            Value::Text(line) => {
                match shell_line::words(key, line, &mut |text| self.expand_node(key, node, text)) {
                    Ok(words) => words,
                    Err(why) => {
                        fault(&why);
                        return None;
                    }
                }
            }
            _ => {
                self.wrong(key, node, "an array of words, or a string");
                return None;
            }
        };
        match words.first() {
            None if known => fault("is empty; expected a program and its arguments"),
            Some(program) if known && program.is_empty() => {
                fault("the program's name is empty; expected a program and its arguments");
            }
            _ => {}
        }
        Some(words)
    }

    /// The elements of an array as strings, each expanded. Elements that are not known yet are left out.
    pub fn items(&self, key: &str, items: &[Node]) -> Vec<String> {
        let mut list = Vec::with_capacity(items.len());
        for node in items {
            match &node.value {
                Value::Text(text) => list.extend(self.expand_node(key, node, text)),
                value => match scalar(value) {
                    Some(text) => list.push(text),
                    None => self.wrong(key, node, "a string"),
                },
            }
        }
        list
    }

    /// The text of a node under a key: a string, expanded, or a number or bool as it is written.
    pub fn text_of(&self, key: &'static str, node: &Node, expected: &str) -> Option<String> {
        match &node.value {
            Value::Text(text) => self.expand_node(key, node, text),
            value => scalar(value).or_else(|| {
                self.wrong(key, node, expected);
                None
            }),
        }
    }

    /// A table under this one, with the fallback's table of this name as its fallback.
    pub fn table(&self, key: &'static str) -> Option<Table<'a>> {
        let entry = self.entry(key)?;
        let below = self.inherited(key);
        let path = self.path_of(key);
        let mut table = match self.own.get(key) {
            Some(_) => Table::open(self.reading, path, entry.at, &entry.node)?,
            // Nothing of it is said here: its keys are those of the fallback alone.
            None => Table::of(self.reading, path, entry.at, &[]),
        };
        if let Some(Entry { node: Node { value: Value::Table(entries), .. }, .. }) = below {
            table.fallback = Keys::of(entries);
            table.fallback_path = fill!("{}.{}", self.fallback_path, key);
        }
        Some(table)
    }

    /// The tables under this one, whose keys are names; the place is that of the name.
    pub fn tables(&self) -> Vec<(&'a str, Table<'a>)> {
        self.own
            .entries
            .iter()
            .filter_map(|entry| {
                let path = self.path_of(&entry.key);
                Some((entry.key.as_str(), Table::open(self.reading, path, entry.at, &entry.node)?))
            })
            .gather()
    }

    /// Ends the reading of this table: every key that nobody asked for is a fault that names the nearest one.
    pub fn close(self) {
        let asked = self.asked.into_inner();
        #[cfg(test)]
        crate::config::keys::asked::note(&self.path, &asked);
        let found = self.found.get();
        let unseen = self.own.entries.iter().enumerate().filter(|(n, _)| found & bit(*n) == 0);
        for (_, entry) in unseen.filter(|(_, entry)| !asked.contains(&entry.key.as_str())) {
            let kind = if matches!(entry.node.value, Value::Table(_)) { "table" } else { "key" };
            let mut message = format!("unknown {kind} \"{}\"", entry.key);
            if !self.path.is_empty() {
                message = format!("{}: {message}", self.path);
            }
            if let Some((whose, advice)) = foreign::advice(&self.path, &entry.key) {
                let known = format!("{message}, a word of {whose}; {advice}");
                self.reading.fault(entry.at, known);
                continue;
            }
            let hint = did_you_mean(&entry.key, asked.iter().copied());
            if hint.is_empty() {
                let mut known = asked.clone();
                crate::text::sort::sort(&mut known);
                known.dedup();
                message.push_str(KNOWN_HERE);
                message.push_str(&known.join(", "));
            }
            self.reading.fault(entry.at, message + &hint);
        }
    }
}

/// What a key says: a text, expanded, or something else.
enum RawValue<'a> {
    Text(String),
    Other(&'a Value),
}

/// Whether a text that cannot be expanded could be if all its variables were set.
fn only_unset(text: &str, only: OnlyNames<'_>) -> bool {
    let set = Scope {
        variable: &|_| Some("set".into()),
        exists: &|_| false,
        read: &|_| Err(String::new()),
        later: &[],
        start: StartFacts::default(),
    };
    expand_only(text, &set, only).is_ok()
}
