//! Faults of the configuration: where, what, what was expected, what to do; and the text they point into.

use crate::text::escape::on_one_line;
use crate::text::gather::Gather;
use std::fmt::Write as _;

/// A stretch of a configuration file, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Span {
    /// Index into [`SourceMap`].
    pub file: u16,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// One thing that is wrong. All faults of all files are collected before any is shown, in the order of their places.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Diagnostic {
    /// Where, when it is at a place in a file.
    pub at: Option<Span>,
    /// One line, lower case: the key's path, what was found, what was expected, what to do.
    pub message: String,
}

/// As many faults as anybody will read.
pub const MAX_DIAGNOSTICS: usize = 100;

/// As much of a line as a fault shows, in characters.
const MAX_LINE_WIDTH: usize = 160;

/// The files that were read, kept so that a fault can show its line.
#[derive(Default, Debug)]
pub struct SourceMap {
    files: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    name: String,
    text: String,
    /// Where each line but the first begins: a report names the place of every check.
    lines: Vec<u32>,
}

impl SourceMap {
    /// Adds a file and returns its index.
    pub fn add(&mut self, name: String, text: String) -> u16 {
        let ends = text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
        let lines = ends.map(|(at, _)| u32::try_from(at + 1).unwrap_or(u32::MAX)).gather();
        self.files.push(Source { name, text, lines });
        u16::try_from(self.files.len().saturating_sub(1)).unwrap_or(u16::MAX)
    }

    /// The text of a file.
    #[must_use]
    pub fn text(&self, file: u16) -> &str {
        self.files.get(usize::from(file)).map_or("", |source| &source.text)
    }

    /// Names of all files, in the order in which they were read.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|source| source.name.as_str())
    }

    /// File name, line and column, both from 1; the column counts characters.
    #[must_use]
    pub fn place(&self, at: Span) -> (&str, usize, usize) {
        let (name, line, start) = self.line(at);
        let column = self.text(at.file).get(start..at.start as usize).map_or(0, |s| s.chars().count()) + 1;
        (name, line, column)
    }

    /// Line and column of a place. `last` is another one with its column, which may be before it on the same line.
    #[must_use]
    pub fn place_after(&self, at: Span, last: (Span, usize)) -> (usize, usize) {
        let (_, line, mut start) = self.line(at);
        let (before, mut column) = last;
        if before.file == at.file && (start..=at.start as usize).contains(&(before.start as usize)) {
            start = before.start as usize;
        } else {
            column = 1;
        }
        (line, column + self.text(at.file).get(start..at.start as usize).map_or(0, |s| s.chars().count()))
    }

    /// File name, line from 1, and where the line begins: a report asks for the place of each of many checks, which
    /// may all stand on one line.
    fn line(&self, at: Span) -> (&str, usize, usize) {
        let Some(source) = self.files.get(usize::from(at.file)) else { return ("", 1, 0) };
        let before = source.lines.partition_point(|start| *start <= at.start);
        let start = before.checked_sub(1).and_then(|n| source.lines.get(n));
        (&source.name, before + 1, start.map_or(0, |start| *start as usize))
    }

    /// `file:line` of a place, as reports name it.
    #[must_use]
    pub fn file_line(&self, at: Span) -> String {
        let (name, line, _) = self.line(at);
        on_one_line(&format!("{name}:{line}"))
    }

    /// The fault as it is shown: `file:line:column: message`, the line itself, and a mark under the place.
    #[must_use]
    pub fn render(&self, fault: &Diagnostic) -> String {
        let Some(at) = fault.at else { return on_one_line(&fault.message) };
        let (name, line, column) = self.place(at);
        let text = self.text(at.file).get(self.line(at).2..).unwrap_or("").lines().next().unwrap_or("");
        let width = self
            .text(at.file)
            .get(at.start as usize..at.end as usize)
            .map_or(1, |s| s.lines().next().unwrap_or("").chars().count())
            .max(1);
        // Of a line that no screen holds, the part around the place.
        let skipped = if text.chars().nth(MAX_LINE_WIDTH).is_some() {
            (column - 1).saturating_sub(MAX_LINE_WIDTH / 2)
        } else {
            0
        };
        // What would move the cursor, ring or change colours is not sent to anybody's terminal: neither of the line, nor
        // of the names of keys and files.
        let harmless = |c: char| if c != '\t' && c.is_control() { '\u{fffd}' } else { c };
        let seen: String = text.chars().skip(skipped).take(MAX_LINE_WIDTH).map(harmless).collect();
        let before = seen.chars().take(column - 1 - skipped);
        let pad: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let marks = "^".repeat(width.min(MAX_LINE_WIDTH - (column - 1 - skipped).min(MAX_LINE_WIDTH - 1)));
        let mut shown = on_one_line(&format!("{name}:{line}:{column}: {}", fault.message));
        let _ = write!(shown, "\n{line:>5} | {seen}\n      | {pad}{marks}");
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::super::diagnostic::*;

    #[test]
    fn a_fault_shows_file_line_column_and_the_line() {
        let mut sources = SourceMap::default();
        let file = sources.add("a.toml".into(), "x = 1\n\ty = \"ä\" # z\n".into());
        let at = Span { file, start: 7, end: 8 };
        let shown = sources.render(&Diagnostic { at: Some(at), message: "wrong".into() });
        assert_eq!(shown, "a.toml:2:2: wrong\n    2 | \ty = \"ä\" # z\n      | \t^");
    }

    #[test]
    fn no_control_character_is_shown_as_it_is() {
        let mut sources = SourceMap::default();
        let file = sources.add("a\n\u{1b}[31m.toml".into(), "\u{9b}x = 1\n".into());
        let at = Span { file, start: 2, end: 3 };
        let message = "\u{1b}[1m\r\n\u{9b}".to_string();
        let escaped = "\\u{1b}[1m\\r\\n\\u{9b}";
        let shown = sources.render(&Diagnostic { at: Some(at), message: message.clone() });
        let place = "a\\n\\u{1b}[31m.toml:1";
        assert_eq!(shown, format!("{place}:2: {escaped}\n    1 | \u{fffd}x = 1\n      |  ^"));
        assert_eq!(sources.file_line(at), place);
        assert_eq!(sources.render(&Diagnostic { at: None, message }), escaped);
    }

    #[test]
    fn of_a_long_line_the_part_around_the_place_is_shown() {
        let mut sources = SourceMap::default();
        let file = sources.add("a.toml".into(), format!("{}X{}", "a".repeat(1000), "b".repeat(1000)));
        for (start, end, column, marks) in [(1000, 1001, 80, 1), (0, 2001, 0, 160), (2001, 2001, 80, 1)] {
            let shown =
                sources.render(&Diagnostic { at: Some(Span { file, start, end }), message: "wrong".into() });
            let mark = shown.lines().nth(2).expect("a mark");
            assert_eq!(mark, format!("      | {}{}", " ".repeat(column), "^".repeat(marks)), "{shown}");
            assert!(shown.lines().all(|line| line.len() <= 168), "{shown}");
        }
    }
}
