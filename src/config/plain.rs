//! The short way from TOML to a [`Value`]: for a file without a fault, in one pass and without a tree between.
//!
//! Nearly every file that is ever read has no fault, is read at each start, and says nothing that is rare in TOML. Such
//! a one is built here right from the events of `toml`'s own parser. At the first thing that is wrong or rare (a
//! date, a NUL, an array of tables, a dotted key to the left of `=`, a table that is opened after one below it) all is given
//! up, and [`super::tree`] goes the long way by the package `toml`, which knows the rest and has words for every fault.
//! Where this way says something, it is what the long way says: a test holds both against each other.

use super::fault::At;
use super::tree::{Entry, Node, Value, place};
use std::borrow::Cow;
use toml_parser::decoder::{Encoding, ScalarKind};
use toml_parser::lexer::TokenKind;
use toml_parser::parser::{EventReceiver, parse_document};
use toml_parser::{ErrorSink, ParseError, Raw, Source, Span};

/// The deepest nesting of arrays and inline tables: the same as that of the long way, where deeper is a fault.
const DEEPEST: usize = 80;

/// The most parts of a header's name; longer ones are left to the long way, which has a limit of its own.
const LONGEST: usize = 32;

/// The most entries of a table that are looked through for one of the same name.
const MOST: usize = 4096;

/// As many tokens are parsed at once, and what is left of their line.
const PIECE: usize = 64;

/// The table of a whole file; `None` for what is wrong or rare.
pub fn parse(text: &str, file: u16) -> Option<Value> {
    let source = Source::new(text);
    let mut builder = Builder::new(source, file);
    let mut failed = false;
    let mut fail = |_: ParseError| failed = true;
    // Line by line, as far as brackets let it: the tokens of a whole file are many times its size.
    let mut tokens = Vec::with_capacity(PIECE + 16);
    let mut depth = 0usize;
    for token in source.lex() {
        tokens.push(token);
        match token.kind() {
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => depth += 1,
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => depth = depth.saturating_sub(1),
            TokenKind::Newline if depth == 0 && tokens.len() >= PIECE => {
                parse_document(&tokens, &mut builder, &mut fail);
                tokens.clear();
            }
            _ => {}
        }
    }
    parse_document(&tokens, &mut builder, &mut fail);
    builder.finish();
    (!failed && !builder.failed).then_some(Value::Table(builder.root))
}

/// What has been read so far.
struct Builder<'s> {
    source: Source<'s>,
    file: u16,
    root: Vec<Entry>,
    /// The keys of a header, until it is closed.
    header: Option<Vec<(String, At)>>,
    /// Where a header begins.
    from: usize,
    /// The place of the table that is being filled, as the number of an entry in each table on the way there.
    path: Vec<usize>,
    /// What it holds so far.
    table: Vec<Entry>,
    /// The key whose value comes next in it.
    key: Option<(String, At)>,
    /// A bit for the hash of each header so far (a Bloom filter): most names are seen to be new without a look at all
    /// others.
    named: Vec<u64>,
    /// Arrays and inline tables that are still open, the innermost last.
    open: Vec<Open>,
    failed: bool,
}

/// An array or an inline table, until it is closed.
struct Open {
    start: usize,
    value: Value,
    /// Of a table, the key whose value comes next.
    key: Option<(String, At)>,
}

impl<'s> Builder<'s> {
    fn new(source: Source<'s>, file: u16) -> Self {
        Self {
            source,
            file,
            root: Vec::new(),
            header: None,
            from: 0,
            path: Vec::new(),
            table: Vec::new(),
            key: None,
            named: vec![0; source.input().len() / 256 + 1],
            open: Vec::new(),
            failed: false,
        }
    }

    fn at(&self, start: usize, end: usize) -> At {
        place(self.file, &(start..end))
    }

    /// A span with its text, to be decoded.
    fn raw(&self, span: Span, encoding: Option<Encoding>) -> Raw<'s> {
        let text = self.source.input().get(span.start()..span.end()).unwrap_or("");
        Raw::new_unchecked(text, encoding, span)
    }

    fn give_up(&mut self) {
        self.failed = true;
    }

    /// A value is there: it goes into what is open, or under the key that waits for it.
    fn put(&mut self, node: Node) {
        let (key, entries) = match self.open.last_mut() {
            Some(Open { value: Value::List(items), .. }) => return items.push(node),
            Some(Open { value: Value::Table(entries), key, .. }) => (key.take(), entries),
            _ => (self.key.take(), &mut self.table),
        };
        let Some((key, at)) = key.filter(|(key, _)| is_new(entries, key)) else { return self.give_up() };
        entries.push(Entry { key, at, node });
    }

    fn open(&mut self, value: Value, span: Span) -> bool {
        let allowed = self.open.len() < DEEPEST;
        self.failed |= !allowed;
        self.open.push(Open { start: span.start(), value, key: None });
        allowed
    }

    fn close(&mut self, span: Span) {
        let Some(Open { start, value, key: None }) = self.open.pop() else { return self.give_up() };
        let at = self.at(start, span.end());
        self.put(Node { value, at });
    }

    /// Puts the table that was filled where it belongs.
    fn finish(&mut self) {
        // Into a list of just that length; this one is filled again.
        let filled = self.table.drain(..).collect();
        let whole = self.key.is_none() && self.open.is_empty() && self.header.is_none();
        match self.path.iter().try_fold(&mut self.root, |table, at| below(table.get_mut(*at)?)) {
            Some(table) if whole => *table = filled,
            _ => self.give_up(),
        }
        self.path.clear();
    }

    /// Begins the table that a header names, and those above it that are not there yet.
    fn begin(&mut self, mut keys: Vec<(String, At)>, whole: At) {
        let Some((last, at)) = keys.pop().filter(|_| keys.len() < LONGEST) else { return self.give_up() };
        let mut table = &mut self.root;
        for (key, at) in keys {
            let known = if is_fresh(&mut self.named, &self.path, table, &key) {
                table.push(Entry { key, at, node: Node { value: Value::Table(Vec::new()), at } });
                table.len() - 1
            } else {
                // Of tables with many below them, the newest is the likeliest.
                let known = table.iter().rev().take(MOST).position(|entry| entry.key == key);
                let Some(known) = known else { return self.give_up() };
                table.len() - 1 - known
            };
            self.path.push(known);
            // Below a value that was written out nothing can be added.
            match table.get_mut(known).filter(|entry| by_header(entry)).and_then(below) {
                Some(under) => table = under,
                None => return self.give_up(),
            }
        }
        if !is_fresh(&mut self.named, &self.path, table, &last) {
            return self.give_up();
        }
        self.path.push(table.len());
        table.push(Entry { key: last, at, node: Node { value: Value::Table(Vec::new()), at: whole } });
    }
}

fn below(entry: &mut Entry) -> Option<&mut Vec<Entry>> {
    match &mut entry.node.value {
        Value::Table(entries) => Some(entries),
        _ => None,
    }
}

/// Whether a table was made by a header, of its own or of one below it: a value stands behind its key.
fn by_header(entry: &Entry) -> bool {
    entry.node.at.start <= entry.at.start
}

/// Whether a header's name is new in the table at this path. Of a table with many entries it is said only where the
/// bits say so.
fn is_fresh(bits: &mut [u64], path: &[usize], table: &[Entry], key: &str) -> bool {
    // Only headers have bits; what was written out with `=` stands before them.
    let written = table.iter().take_while(|entry| !by_header(entry)).any(|entry| entry.key == key);
    !written && (is_unmarked(bits, path, key) || is_new(table, key))
}

/// Marks a name below a path, and says whether it was surely not marked before.
fn is_unmarked(bits: &mut [u64], path: &[usize], key: &str) -> bool {
    // FNV-1a, of 32 bits.
    let mix = |hash: u32, part: u32| (hash ^ part).wrapping_mul(0x0100_0193);
    let path = path.iter().fold(0x811c_9dc5, |hash, at| mix(hash, *at as u32));
    let hash = key.bytes().fold(path, |hash, byte| mix(hash, byte.into()));
    let place = hash as usize / 64 % bits.len().max(1);
    let Some(word) = bits.get_mut(place) else { return false };
    let bit = 1 << (hash % 64);
    std::mem::replace(word, *word | bit) & bit == 0
}

fn is_new(entries: &[Entry], key: &str) -> bool {
    entries.len() < MOST && !entries.iter().any(|entry| entry.key == key)
}

impl EventReceiver for Builder<'_> {
    fn std_table_open(&mut self, span: Span, _: &mut dyn ErrorSink) {
        self.finish();
        (self.header, self.from) = (Some(Vec::new()), span.start());
    }

    fn std_table_close(&mut self, span: Span, _: &mut dyn ErrorSink) {
        let whole = self.at(self.from, span.end());
        match self.header.take() {
            Some(keys) => self.begin(keys, whole),
            None => self.give_up(),
        }
    }

    fn array_table_open(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.give_up();
    }

    fn inline_table_open(&mut self, span: Span, _: &mut dyn ErrorSink) -> bool {
        self.open(Value::Table(Vec::new()), span)
    }

    fn inline_table_close(&mut self, span: Span, _: &mut dyn ErrorSink) {
        self.close(span);
    }

    fn array_open(&mut self, span: Span, _: &mut dyn ErrorSink) -> bool {
        self.open(Value::List(Vec::new()), span)
    }

    fn array_close(&mut self, span: Span, _: &mut dyn ErrorSink) {
        self.close(span);
    }

    fn simple_key(&mut self, span: Span, encoding: Option<Encoding>, error: &mut dyn ErrorSink) {
        let mut text = Cow::Borrowed("");
        self.raw(span, encoding).decode_key(&mut text, error);
        self.failed |= text.contains('\0');
        let key = (text.into_owned(), self.at(span.start(), span.end()));
        let waiting = match (&mut self.header, self.open.last_mut()) {
            (Some(keys), _) => return keys.push(key),
            (None, Some(open)) => &mut open.key,
            (None, None) => &mut self.key,
        };
        // A second one: the key is dotted.
        self.failed |= waiting.replace(key).is_some();
    }

    fn scalar(&mut self, span: Span, encoding: Option<Encoding>, error: &mut dyn ErrorSink) {
        let mut text = Cow::Borrowed("");
        let kind = self.raw(span, encoding).decode_scalar(&mut text, error);
        let value = match kind {
            ScalarKind::String if text.contains('\0') => return self.give_up(),
            ScalarKind::String => Value::Text(text.into_owned()),
            ScalarKind::Boolean(flag) => Value::Bool(flag),
            ScalarKind::Float => Value::Float(text.into_owned()),
            ScalarKind::Integer(radix) => match i64::from_str_radix(&text, radix.value()) {
                Ok(number) => Value::Integer(number),
                Err(_) => return self.give_up(),
            },
            ScalarKind::DateTime => return self.give_up(),
        };
        let at = self.at(span.start(), span.end());
        self.put(Node { value, at });
    }

    fn comment(&mut self, span: Span, error: &mut dyn ErrorSink) {
        self.raw(span, None).decode_comment(error);
    }

    fn newline(&mut self, span: Span, error: &mut dyn ErrorSink) {
        self.raw(span, None).decode_newline(error);
    }

    fn error(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.give_up();
    }
}

#[cfg(test)]
mod tests {
    use super::super::fault::Sources;
    use super::super::tree;
    use super::*;

    /// What the long way says; `None` when it has a fault to tell.
    fn long_way(text: &str) -> Option<Value> {
        let mut sources = Sources::default();
        let file = sources.add("rinit.toml".into(), text.into());
        let mut faults = Vec::new();
        let node = tree::parse_whole(&sources, file, &mut faults);
        faults.is_empty().then_some(node.value)
    }

    #[test]
    fn both_ways_come_to_the_same() {
        for text in [
            "",
            "a = 1",
            "\u{feff}a = 1 # x\r\n\r\n'b c' = 0xf_f\n",
            "a = -1_000\nb = 0xff\nc = 0o17\nd = 0b11\ne = 1.5e3\nf = inf\ng = -nan\nh = +1.0_0",
            "a = \"\\u00e4\\n\"\nb = 'c:\\x'\nc = \"\"\"\nmore\\\n   lines\"\"\"\nd = '''\na''b'''",
            "[a]\nb = true\n[c.\"d e\".f]\ng = []\n[c.x]\n[a.z]\n",
            "[a]\nb = 1\n[a.c]\n[a.d.e]\n[a.d.f]\n[d]\n[d.c]\n[d.d]",
            "a = [1, [2, \"x\", {}],\n # why\n]\nb = { c = { d = 1 }, \"e\" = [{f = 2}] }",
            "[a.b]\n[c.d]\n[a.e]\n[c.f.g]\n[a.b.c]\n",
            "[ a . b ]\n[a.b.c]\nd = 1\n[a.b.e]\n",
        ] {
            let short = parse(text, 0);
            assert!(short.is_some(), "{text}");
            assert_eq!(short, long_way(text), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_or_rare_goes_the_long_way() {
        for text in [
            "a",
            "a =",
            "= 1",
            "a = 1\na = 2",
            "[a]\n[a]",
            "[a",
            "[[a]]",
            "a.b = 1",
            "a = 1979-05-27",
            "a = [1",
            "a = {b = 1\n",
            "a = 1 b = 2",
            "a = 99999999999999999999",
            "[a]\nb = 1\n[a.b]",
            "a = {}\n[a.b]",
            "[a.b]\n[a]",
            "[a.b]\n[a.b]",
            "[a.b.c]\n[a.b]",
            "a = \"\\q\"",
            "a = [\"\\u0000\"]",
            "[\"b\\u0000\"]",
            "a = 01",
            "a = 0x",
            "# \u{1}\n",
            "a = { b = 1, b = 2 }",
            "a = {b.c = 1}",
            "\r",
            "a = \"x",
            "[]",
            "[a.]",
            "[a]]",
            "a = tru",
            "a = ]",
        ] {
            assert_eq!(parse(text, 0), None, "{text}");
        }
        let deep = |n: usize| format!("a = {}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse(&deep(80), 0).is_some() && parse(&deep(81), 0).is_none());
        assert!(long_way(&deep(80)).is_some() && long_way(&deep(81)).is_none());
        // Of a depth that nobody's stack would survive, the long way says so.
        let header = |n: usize| format!("[{}a]", "a.".repeat(n));
        assert!(parse(&header(LONGEST - 1), 0).is_some() && parse(&header(LONGEST), 0).is_none());
        assert_eq!((parse(&header(100_000), 0), long_way(&header(100_000))), (None, None));
        let many = |n: usize| (0..n).map(|n| format!("k{n} = 1\n")).collect::<String>();
        assert!(parse(&many(MOST), 0).is_some() && parse(&many(MOST + 1), 0).is_none());
        let headers = (0..MOST).map(|n| format!("[a.k{n}]\n")).collect::<String>();
        assert_eq!(parse(&headers, 0), long_way(&headers));
    }
}
