//! The events of the TOML parser, made a tree. Which keys and headers may follow which is what TOML 1.1 says: a table has one
//! header, dotted keys do not reach into a table that has one, nothing reaches into an inline table from outside.

use super::diagnostic::{Diagnostic, Span};
use super::document::{Node, Value, place};
use super::open_table::{Key, OpenTable, OpenValue};
use crate::text::gather::Gather;
use crate::text::template::fill;
use std::borrow::Cow;
use std::num::IntErrorKind;
use toml_parser::decoder::ScalarKind;
use toml_parser::parser::{Event, EventKind, RecursionGuard, ValidateWhitespace, parse_document};
use toml_parser::{Expected, ParseError, Source};

/// How deep arrays, inline tables and dotted keys may go.
const MAX_DEPTH: u32 = 80;

/// What a text says, and what is wrong with it: with its syntax, and with its values.
pub(super) struct Document {
    pub(super) root: Value,
    pub(super) errors: Vec<Diagnostic>,
    pub(super) faults: Vec<Diagnostic>,
}

/// Reads a text; what is wrong is left out, all else is read.
pub(super) fn read(text: &str, file: u16) -> Document {
    let source = Source::new(text);
    let (mut events, mut errors) = (Vec::new(), Vec::new());
    let mut note = |error: ParseError| errors.push(told(&error, file));
    let mut keep = |event: Event| match event.kind() {
        EventKind::Whitespace | EventKind::Comment | EventKind::Newline => {}
        _ => events.push(event),
    };
    let mut keep = ValidateWhitespace::new(&mut keep, source);
    parse_document(&source.lex().into_vec(), &mut RecursionGuard::new(&mut keep, MAX_DEPTH), &mut note);
    let mut reader = TreeReader { source, file, events: events.iter(), errors, faults: Vec::new() };
    let mut root = OpenTable::default();
    reader.document(&mut root);
    Document { root: root.close(), errors: reader.errors, faults: reader.faults }
}

/// An error of the parser as a fault of the file.
fn told(error: &ParseError, file: u16) -> Diagnostic {
    let mut message = fill!("not TOML: {}", error.description());
    if let Some(expected) = error.expected() {
        message.push_str(", expected ");
        if expected.is_empty() {
            message.push_str("nothing");
        }
        for (n, expected) in expected.iter().enumerate() {
            message.push_str(if n == 0 { "" } else { ", " });
            let (mark, word) = match expected {
                Expected::Literal("\n") => ("", "newline"),
                Expected::Literal("\r") => ("`", "\\r"),
                Expected::Literal("\t") => ("`", "\\t"),
                Expected::Literal("`") => ("'", "`"),
                Expected::Literal(text) => ("`", *text),
                Expected::Description(text) => ("", *text),
                _ => ("", "etc"),
            };
            [mark, word, mark].iter().for_each(|part| message.push_str(part));
        }
    }
    let at = error.unexpected().map_or(0..0, |span| span.start()..span.end());
    Diagnostic { at: Some(place(file, &at)), message: message.replace('\n', ", ") }
}

struct TreeReader<'i> {
    source: Source<'i>,
    file: u16,
    events: std::slice::Iter<'i, Event>,
    errors: Vec<Diagnostic>,
    faults: Vec<Diagnostic>,
}

impl TreeReader<'_> {
    fn peek(&self) -> Option<EventKind> {
        self.events.as_slice().first().map(Event::kind)
    }

    fn at(&self, event: &Event) -> Span {
        place(self.file, &(event.span().start()..event.span().end()))
    }

    fn error(&mut self, at: Span, message: &str) {
        self.errors.push(Diagnostic { at: Some(at), message: fill!("not TOML: {}", message) });
    }

    fn document(&mut self, root: &mut OpenTable) {
        self.entries(root);
        while let Some(event) = self.events.next() {
            if matches!(event.kind(), EventKind::StdTableOpen | EventKind::ArrayTableOpen) {
                self.headed(event, root);
            }
        }
    }

    /// The lines up to the next header.
    fn entries(&mut self, table: &mut OpenTable) {
        while let Some(kind) = self.peek() {
            if matches!(kind, EventKind::StdTableOpen | EventKind::ArrayTableOpen) {
                return;
            }
            let Some(event) = self.events.next() else { return };
            if kind == EventKind::SimpleKey {
                let path = self.key(event);
                if self.peek() != Some(EventKind::KeyValSep) {
                    // What follows a key without a value is not what it seems to be.
                    self.events = [].iter();
                    return;
                }
                self.events.next();
                let (at, value) = self.value();
                self.put(table, path, at, value, false);
            }
        }
    }

    /// A header, and the lines under it.
    fn headed(&mut self, open: &Event, root: &mut OpenTable) {
        let (mut path, mut at) = (Vec::new(), self.at(open));
        while let Some(event) = self.events.next() {
            match event.kind() {
                EventKind::SimpleKey => path = self.key(event),
                EventKind::StdTableClose | EventKind::ArrayTableClose => {
                    at.end = self.at(event).end;
                    break;
                }
                _ => {}
            }
        }
        // Under a header that is wrong the lines are read all the same, for what is wrong with them.
        let mut nowhere = OpenTable::default();
        let table = self.begin(root, path, at, open.kind() == EventKind::ArrayTableOpen);
        self.entries(table.unwrap_or(&mut nowhere));
    }

    /// The table that a header begins.
    fn begin<'t>(
        &mut self,
        root: &'t mut OpenTable,
        mut path: Vec<Key>,
        at: Span,
        is_array: bool,
    ) -> Option<&'t mut OpenTable> {
        let key = path.pop()?;
        let parent = self.descend(root, &path, false, false)?;
        let name = key.text.clone();
        if parent.find(&name).1.is_none() {
            let value =
                if is_array { OpenValue::Tables(Vec::new()) } else { OpenValue::Table(OpenTable::default()) };
            parent.insert(key, at, value);
        } else if !is_array {
            let entry = parent.get(&name)?;
            if !matches!(&entry.value, OpenValue::Table(table) if table.implicit && !table.dotted) {
                self.error(key.at, "duplicate key");
            }
            if !matches!(entry.value, OpenValue::Table(_)) {
                entry.value = OpenValue::Table(OpenTable::default());
            }
            (entry.key.at, entry.at) = (key.at, at);
        } else if !matches!(parent.get(&name)?.value, OpenValue::Tables(_)) {
            self.error(key.at, "duplicate key");
            return None;
        }
        match &mut parent.get(&name)?.value {
            OpenValue::Table(table) => {
                (table.implicit, table.dotted) = (false, false);
                Some(table)
            }
            OpenValue::Tables(tables) => {
                tables.push((at, OpenTable::default()));
                tables.last_mut().map(|(_, table)| table)
            }
            OpenValue::Done(_) => None,
        }
    }

    /// The table that a path leads to, made where it is missing.
    fn descend<'t>(
        &mut self,
        mut table: &'t mut OpenTable,
        path: &[Key],
        dotted: bool,
        inline: bool,
    ) -> Option<&'t mut OpenTable> {
        for key in path {
            if table.find(&key.text).1.is_none() {
                let made = OpenTable { implicit: true, dotted, inline, ..OpenTable::default() };
                table.insert(Key { text: key.text.clone(), at: key.at }, key.at, OpenValue::Table(made));
            }
            let found = &mut table.get(&key.text)?.value;
            let kind = found.kind();
            table = match found {
                OpenValue::Table(below) if below.inline && !inline => {
                    self.error(key.at, "cannot extend value of type inline table with a dotted key");
                    return None;
                }
                OpenValue::Table(below) if dotted && !below.implicit => {
                    self.error(key.at, "duplicate key");
                    return None;
                }
                OpenValue::Table(below) => {
                    below.dotted |= dotted;
                    below
                }
                OpenValue::Tables(tables) if !inline => &mut tables.last_mut()?.1,
                _ => {
                    let message = fill!("cannot extend value of type {} with a dotted key", kind);
                    self.error(key.at, &message);
                    return None;
                }
            };
        }
        Some(table)
    }

    /// Puts a value where its key says.
    fn put(&mut self, table: &mut OpenTable, mut path: Vec<Key>, at: Span, value: OpenValue, inline: bool) {
        let Some(key) = path.pop() else { return };
        let dotted = !path.is_empty();
        let Some(parent) = self.descend(table, &path, dotted, inline) else { return };
        if dotted && !parent.implicit || parent.find(&key.text).1.is_some() {
            self.error(key.at, "duplicate key");
        } else {
            parent.insert(key, at, value);
        }
    }

    /// A key with its dots.
    fn key(&mut self, first: &Event) -> Vec<Key> {
        let mut path = vec![self.name(first)];
        while self.peek() == Some(EventKind::KeySep) {
            self.events.next();
            while self.peek() == Some(EventKind::Error) {
                self.events.next();
            }
            if self.peek() == Some(EventKind::SimpleKey)
                && let Some(event) = self.events.next()
            {
                path.push(self.name(event));
            }
        }
        if path.len() > MAX_DEPTH as usize {
            self.error(self.at(first), "recursion limit");
            path.clear();
        }
        path
    }

    fn name(&mut self, event: &Event) -> Key {
        let (at, file, mut text) = (self.at(event), self.file, Cow::Borrowed(""));
        if let Some(raw) = self.source.get(event) {
            raw.decode_key(&mut text, &mut |error: ParseError| self.errors.push(told(&error, file)));
        }
        Key { text: self.text(text, at), at }
    }

    fn value(&mut self) -> (Span, OpenValue) {
        let next = self.peek().filter(|kind| {
            matches!(kind, EventKind::Scalar | EventKind::ArrayOpen | EventKind::InlineTableOpen)
        });
        if self.peek() == Some(EventKind::Error) {
            self.events.next();
        }
        match (next, next.and_then(|_| self.events.next())) {
            (Some(EventKind::Scalar), Some(event)) => (self.at(event), OpenValue::Done(self.scalar(event))),
            (Some(EventKind::ArrayOpen), Some(event)) => self.array(event),
            (Some(_), Some(event)) => self.inline(event),
            _ => (place(self.file, &(0..0)), OpenValue::Done(Value::Integer(0))),
        }
    }

    fn array(&mut self, open: &Event) -> (Span, OpenValue) {
        let (mut at, mut items) = (self.at(open), Vec::new());
        loop {
            match self.peek() {
                Some(EventKind::Scalar | EventKind::ArrayOpen | EventKind::InlineTableOpen) => {
                    let (at, value) = self.value();
                    items.push(Node { value: value.close(), at });
                }
                Some(kind @ (EventKind::ValueSep | EventKind::ArrayClose | EventKind::Error)) => {
                    at.end = self.events.next().map_or(at.end, |event| self.at(event).end);
                    if kind == EventKind::ArrayClose {
                        break;
                    }
                }
                _ => break,
            }
        }
        (at, OpenValue::Done(Value::List(items)))
    }

    fn inline(&mut self, open: &Event) -> (Span, OpenValue) {
        let mut at = self.at(open);
        let mut table = OpenTable { inline: true, ..OpenTable::default() };
        let (mut key, mut said) = (None, None);
        loop {
            match self.peek() {
                Some(EventKind::Scalar | EventKind::ArrayOpen | EventKind::InlineTableOpen) => {
                    said = Some(self.value());
                }
                Some(
                    kind @ (EventKind::SimpleKey
                    | EventKind::KeyValSep
                    | EventKind::ValueSep
                    | EventKind::Error
                    | EventKind::InlineTableClose),
                ) => {
                    let Some(event) = self.events.next() else { break };
                    at.end = self.at(event).end;
                    if kind == EventKind::SimpleKey {
                        key = Some(self.key(event));
                    } else if !matches!(kind, EventKind::KeyValSep | EventKind::Error)
                        && let (Some(path), Some((at, value))) = (key.take(), said.take())
                    {
                        self.put(&mut table, path, at, value, true);
                    }
                    if kind == EventKind::InlineTableClose {
                        break;
                    }
                }
                _ => break,
            }
        }
        (at, OpenValue::Table(table))
    }

    fn scalar(&mut self, event: &Event) -> Value {
        let (at, file, mut text) = (self.at(event), self.file, Cow::Borrowed(""));
        let Some(raw) = self.source.get(event) else { return Value::Integer(0) };
        let kind =
            raw.decode_scalar(&mut text, &mut |error: ParseError| self.errors.push(told(&error, file)));
        match kind {
            ScalarKind::String => Value::Text(self.text(text, at)),
            ScalarKind::Boolean(flag) => Value::Bool(flag),
            ScalarKind::Float => Value::Float(text.into_owned()),
            ScalarKind::Integer(radix) => match i64::from_str_radix(&text, radix.value()) {
                Ok(number) => Value::Integer(number),
                Err(why) => self.no_integer(at, why.kind()),
            },
            ScalarKind::DateTime => {
                if !is_date(&text) {
                    self.error(at, "no such date or time");
                }
                Value::Text(text.into_owned())
            }
        }
    }

    /// A name or a string. What holds a NUL ends there for the kernel, whatever it is meant for.
    fn text(&mut self, text: Cow<'_, str>, at: Span) -> String {
        if text.contains('\0') {
            let message = "a NUL character, which no path, argument or variable can hold; take it out".into();
            self.faults.push(Diagnostic { at: Some(at), message });
        }
        text.into_owned()
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

/// Whether a date, a time of day or both are written as RFC 3339 has them, in the order of their largest numbers. No key of
/// rinit's is one.
fn is_date(text: &str) -> bool {
    let numbers = |text: &str, mark: char, most: &[u32]| {
        let parts = text.split(mark).gather();
        let fits = |(digits, most): (&&str, &u32)| {
            digits.bytes().all(|byte| byte.is_ascii_digit())
                && digits.len() == most.ilog10() as usize + 1
                && digits.parse().is_ok_and(|number: u32| number <= *most)
        };
        (2..=most.len()).contains(&parts.len()) && parts.iter().zip(most).all(fits)
    };
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (Some(date), Some(time)),
        None if text.contains(':') => (None, Some(text)),
        None => (Some(text), None),
    };
    let is_time = |time: &str| {
        let (time, offset) = match time.strip_suffix(['Z', 'z']) {
            Some(time) => (time, Some("00:00")),
            None => time.split_once(['+', '-']).map_or((time, None), |(time, offset)| (time, Some(offset))),
        };
        let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
        numbers(time, ':', &[23, 59, 60])
            && !fraction.is_empty()
            && fraction.bytes().all(|byte| byte.is_ascii_digit())
            && offset.is_none_or(|offset| date.is_some() && numbers(offset, ':', &[23, 59]))
    };
    date.is_none_or(|date| date.len() == 10 && numbers(date, '-', &[9999, 12, 31]))
        && time.is_none_or(is_time)
}

#[cfg(test)]
mod tests {
    use super::super::document::Entry;
    use super::*;
    use toml::de::{DeTable, DeValue};

    /// What the crate `toml` makes of a text, in words: the reference.
    fn reference(text: &str) -> (String, Vec<String>) {
        fn value(node: &DeValue<'_>, span: std::ops::Range<usize>, text: &str) -> String {
            let shown = match node {
                DeValue::String(_) if begins_with_digit(text, &span) => "date".into(),
                DeValue::String(text) => format!("{:?}", text.as_ref()),
                DeValue::Boolean(flag) => flag.to_string(),
                DeValue::Array(items) => {
                    let items = items.iter().map(|item| value(item.get_ref(), item.span(), text));
                    format!("[{}]", items.collect::<Vec<_>>().join(","))
                }
                DeValue::Table(below) => table(below, text),
                DeValue::Datetime(_) => "date".into(),
                DeValue::Integer(digits) => {
                    i64::from_str_radix(digits.as_str(), digits.radix()).unwrap_or(0).to_string()
                }
                DeValue::Float(digits) => digits.as_str().to_string(),
            };
            format!("{shown}@{}..{}", span.start, span.end)
        }
        fn table(table: &DeTable<'_>, text: &str) -> String {
            let mut entries: Vec<_> = table.iter().collect();
            entries.sort_by_key(|(key, _)| (key.span().start, key.get_ref().to_string()));
            let entry = |(key, below): (&toml::Spanned<Cow<'_, str>>, &toml::Spanned<DeValue<'_>>)| {
                format!(
                    "{:?}@{}={}",
                    key.get_ref().as_ref(),
                    key.span().start,
                    value(below.get_ref(), below.span(), text)
                )
            };
            format!("{{{}}}", entries.into_iter().map(entry).collect::<Vec<_>>().join(","))
        }
        let (read, errors) = DeTable::parse_recoverable(text);
        let mut told: Vec<_> = errors
            .iter()
            .map(|error| {
                format!("{:?} {}", error.span().unwrap_or(0..0), error.message().replace('\n', ", "))
            })
            .collect();
        told.sort();
        told.dedup();
        (table(read.get_ref(), text), told)
    }

    /// So do dates, which only the reference takes apart.
    fn begins_with_digit(text: &str, span: &std::ops::Range<usize>) -> bool {
        text.get(span.clone())
            .is_some_and(|text| text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+'))
    }

    fn own(text: &str) -> (String, Vec<String>) {
        fn value(node: &Node, text: &str) -> String {
            let shown = match &node.value {
                Value::Text(said) => {
                    let is_date = begins_with_digit(text, &(node.at.start as usize..node.at.end as usize));
                    if is_date { "date".into() } else { format!("{said:?}") }
                }
                Value::Integer(number) => number.to_string(),
                Value::Float(digits) => digits.clone(),
                Value::Bool(flag) => flag.to_string(),
                Value::List(items) => {
                    format!("[{}]", items.iter().map(|item| value(item, text)).collect::<Vec<_>>().join(","))
                }
                Value::Table(entries) => table(entries, text),
            };
            format!("{shown}@{}..{}", node.at.start, node.at.end)
        }
        fn table(entries: &[Entry], text: &str) -> String {
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_by_key(|entry| (entry.at.start, entry.key.clone()));
            let entry =
                |entry: &&Entry| format!("{:?}@{}={}", entry.key, entry.at.start, value(&entry.node, text));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(","))
        }
        let document = read(text, 0);
        let Value::Table(entries) = &document.root else { panic!("no table") };
        let told = |error: &Diagnostic| {
            let at = error.at.expect("a place");
            format!("{:?} {}", at.start..at.end, error.message.trim_start_matches("not TOML: "))
        };
        let mut errors: Vec<_> = document.errors.iter().map(told).collect();
        errors.sort();
        errors.dedup();
        (table(entries, text), errors)
    }

    const TEXTS: [&str; 22] = [
        "a = 1\nb.c = 2\nb.d.e = [1, 'x', {f = 1, g.h = 2}]\n[t]\nx = true\n[t.u]\ny = 0x1F\n[[l]]\nn = 1\n[l.m]\no = 1\n[[l]]\nn = 2\n",
        "[a.b]\nc = 1\n[a]\nd = 2\n[a]\ne = 3\n",
        "a = 1\na = 2\n[a]\nb = 1\n[a.c]\n",
        "[a]\nb.c = 1\n[a.b]\nd = 1\n",
        "a.b = 1\na.c = 2\n[a]\n",
        "[[a]]\nb = 1\n[a]\nc = 1\n[[a]]\nd = 1\n",
        "a = []\n[[a]]\nb = 1\n[a.c]\n",
        "a = {b = 1}\n[a.c]\n[a]\na.d = 1\n",
        "a = {b = {c = 1}, b.d = 2, e.f = 1, e.g = 2, e = 3}\n",
        "a = { b = 1, b = 2, }\nb = [1,\n2, # x\n]\n",
        "\"q\\tu\" = '''x\ny'''\nz = \"\"\"\\\n  k\\u00e9\"\"\"\n",
        "a = 1979-05-27T07:32:00Z\nb = 07:32:00\nc = 1979-05-27\nd = 1e5\ne = -inf\nf = +1_000\n",
        "a = \nb\n= 3\nc = [1, 2\nd = {x = 1\n",
        "[a\nb = 1\n[]\nc = 1\n[[d]\ne = 1\n",
        "a. = 1\n.b = 2\nc..d = 3\n",
        "a = 'x\nb = \"y\nc = 1 2\nd = tru\n",
        "x = 0b2\ny = 1__0\nz = 00\nw = 0x\n",
        "[a]\n[a.b]\n[[a.b]]\n[a.b.c]\nd.e = 1\n",
        "a = 1\nb = 2 c = 3\n[t] x\ny = 1\n",
        "\u{feff}a = 1\r\nb = 2\rc = 3\n",
        "fruit.apple.smooth = true\nfruit.orange = 2\nfruit.apple.x = {}\n[fruit.apple.y]\n",
        "a = [[[1], {b = [2]}], 3]\na.b = 1\n[a.c]\n[[a]]\n",
    ];

    fn same(text: &str) {
        let (mut theirs, mut ours) = (reference(text), own(text));
        // A date that is none is told in words of its own.
        let date = |error: &mut String| {
            *error = error.replace("type datetime", "type string");
            let words = [
                "invalid date",
                "invalid time",
                "invalid day",
                "invalid month",
                "invalid year",
                "invalid offset",
                "no such date",
            ];
            if let Some(at) = words.iter().find_map(|words| error.find(words)) {
                error.truncate(at);
            }
        };
        theirs.1.iter_mut().for_each(date);
        ours.1.iter_mut().for_each(date);
        assert_eq!(ours, theirs, "{text:?}");
    }

    #[test]
    fn every_text_is_read_as_the_reference_reads_it() {
        TEXTS.iter().for_each(|text| same(text));
        for directory in ["config-examples", "benches/checks"] {
            for entry in std::fs::read_dir(directory).expect(directory) {
                let path = entry.expect("an entry").path();
                if path.extension().is_some_and(|ending| ending == "toml") {
                    same(&std::fs::read_to_string(&path).expect("text"));
                }
            }
        }
        same(&"[".repeat(200));
        same(&["a = ", &"[".repeat(100), &"]".repeat(100)].concat());
        let deep = own(&["a", &".b".repeat(100), " = 1"].concat());
        assert_eq!(deep, ("{}".into(), vec!["0..1 recursion limit".into()]));
    }

    /// Texts with characters taken out, put in and changed, and lines of one put into another.
    #[test]
    fn a_text_that_is_damaged_is_read_as_the_reference_reads_it() {
        let mut seed = 0x9e37_79b9_u32;
        let mut dice = move |most: usize| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as usize % most
        };
        let bits = [
            "[", "]", "[[", "{", "}", ".", "=", ",", "\"", "'", "\n", "a", "b.c", "1", " ", "#", "'''", "\\",
            "e", ":", "-",
        ];
        for _ in 0..6_000 {
            let mut text: Vec<char> = TEXTS[dice(TEXTS.len())].chars().collect();
            for _ in 0..=dice(4) {
                let at = dice(text.len() + 1);
                match dice(4) {
                    0 if at < text.len() => _ = text.remove(at),
                    1 => {
                        let line: Vec<_> = TEXTS[dice(TEXTS.len())].lines().collect();
                        let line = [line[dice(line.len())], "\n"].concat();
                        text.splice(at..at, line.chars());
                    }
                    _ => _ = text.splice(at..at, bits[dice(bits.len())].chars()),
                }
            }
            same(&text.into_iter().collect::<String>());
        }
    }

    #[test]
    fn dates_are_of_their_form() {
        for date in [
            "1979-05-27",
            "07:32:00",
            "07:32",
            "1979-05-27 07:32:00.99",
            "1979-05-27t07:32:00-07:00",
            "2000-01-01T00:00:00Z",
        ] {
            assert!(is_date(date), "{date}");
        }
        for none in [
            "1979-13-27",
            "1979-1-27",
            "24:00:00",
            "1979-05-27T",
            "07:32:00:00",
            "07:32:00Z",
            "07:32:00.",
            "1979-05-27T07:32:00+25:00",
        ] {
            assert!(!is_date(none), "{none}");
        }
    }
}
