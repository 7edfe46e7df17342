//! Faults of the configuration: where, what, what was expected, what to do; and the text they point into.

use crate::text::escape::on_one_line;
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
        let lines = ends.map(|(at, _)| u32::try_from(at + 1).unwrap_or(u32::MAX)).collect();
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

/// The known name that is nearest to `word`, when one is near enough to be a slip of the finger.
#[must_use]
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // A word of one or two letters is near to everything.
    nearest_within((word.chars().count() / 3).min(3), word, known)
}

/// The same with at most so many slips.
#[must_use]
pub fn nearest_within<'k>(
    far: usize,
    word: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    let word = word.to_ascii_lowercase();
    let mut best = (far + 1, None);
    for name in known {
        closer(&word, name, &mut best);
    }
    best.1
}

fn closer<'k>(word: &str, name: &'k str, best: &mut (usize, Option<&'k str>)) {
    /// No slip of the finger is found in what nobody types, but much time is lost.
    const MAX_WORD_LEN: usize = 256;
    let longer = name.chars().count().abs_diff(word.chars().count());
    if longer >= best.0 || word.len() > MAX_WORD_LEN {
        return;
    }
    let steps = distance(word, &name.to_ascii_lowercase());
    if steps < best.0 {
        *best = (steps, Some(name));
    }
}

/// `; did you mean "web"?`, or nothing.
#[must_use]
pub fn did_you_mean<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    suggest(nearest(word, known))
}

fn suggest(name: Option<&str>) -> String {
    name.map_or_else(String::new, |name| format!("; did you mean \"{name}\"?"))
}

/// Edits (insert, delete, replace, swap of neighbours) from `a` to `b`: optimal string alignment.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    let mut previous = None;
    for (i, x) in a.chars().enumerate() {
        let mut row = vec![i + 1];
        let mut left_char = None;
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], n: usize| row.get(n).copied().unwrap_or(usize::MAX / 2);
            let mut best =
                (at(&above, j) + usize::from(x != *y)).min(at(&above, j + 1) + 1).min(at(&row, j) + 1);
            if j > 0 && previous == Some(*y) && left_char == Some(x) {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
            left_char = Some(*y);
        }
        before = above;
        above = row;
        previous = Some(x);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::diagnostic::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_word() {
        let known = ["command", "environment", "user"];
        assert_eq!(nearest("comand", known), Some("command"));
        assert_eq!(nearest("enviroment", known), Some("environment"));
        assert_eq!(nearest("uesr", known), Some("user"));
        assert_eq!(nearest("replicas", known), None);
    }

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
