//! Tables and colours on the terminal.

use crate::sys::{args, stdio, tty};
use crate::text::gather::Gather;
use crate::text::template::fill;

/// The meaning of a cell, shown as a colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum CellTone {
    /// No colour.
    Plain,
    /// Green.
    Good,
    /// Yellow.
    Pending,
    /// Red.
    Bad,
    /// Grey.
    Faint,
}

/// Returns whether standard output gets colours (<https://no-color.org>).
pub(super) fn is_coloured() -> bool {
    let unwanted = args::variable("NO_COLOR").is_some_and(|value| !value.is_empty());
    stdio::is_terminal(1) && !unwanted && args::variable("TERM") != Some(b"dumb")
}

/// Returns the width of the terminal; `None`: not a terminal.
pub(super) fn width() -> Option<usize> {
    if stdio::is_terminal(1) { Some(tty::columns().unwrap_or(80)) } else { None }
}

/// Colours a text.
pub(super) fn painted(text: &str, tone: CellTone, coloured: bool) -> String {
    let code = match tone {
        CellTone::Good => "32",
        CellTone::Pending => "33",
        CellTone::Bad => "31",
        CellTone::Faint => "2",
        CellTone::Plain => "",
    };
    if !coloured || code.is_empty() || text.is_empty() {
        return text.to_string();
    }
    fill!("\x1b[{}m{}\x1b[0m", code, text)
}

/// A first column that is wider than this may be cut.
const MIN_FIRST_COLUMN: usize = 16;

/// A cell of a table.
pub(super) type TableCell = (String, CellTone);

/// Formats rows under their headings; each column is as wide as its widest cell, the first (down to
/// [`MIN_FIRST_COLUMN`]), then the last is cut for the terminal's width.
pub(super) fn table(heads: &[&str], rows: &[Vec<TableCell>], width: Option<usize>, coloured: bool) -> String {
    let length = |text: &str| text.chars().count();
    let mut widths: Vec<usize> = heads.iter().map(|head| length(head)).gather();
    for row in rows {
        for (place, (text, _)) in widths.iter_mut().zip(row) {
            *place = (*place).max(length(text));
        }
    }
    // Long names leave room for the reason at the end.
    let total = widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1);
    let over = width.map_or(0, |width| total.saturating_sub(width));
    if let Some(first) = widths.first_mut() {
        *first -= over.min(first.saturating_sub(MIN_FIRST_COLUMN));
    }
    let head: Vec<TableCell> = heads.iter().map(|head| ((*head).to_string(), CellTone::Faint)).gather();
    let mut shown = String::new();
    for row in std::iter::once(&head).chain(rows) {
        let mut at = 0;
        let last = row.len().saturating_sub(1);
        let mut line = String::new();
        for (number, ((text, tone), column)) in row.iter().zip(&widths).enumerate() {
            let room = width.map_or(usize::MAX, |width| width.saturating_sub(at));
            let text = cut(text, if number < last { room.min(*column) } else { room });
            line.push_str(&painted(&text, *tone, coloured));
            if number < last {
                line.push_str(&" ".repeat((column + 2).saturating_sub(length(&text))));
            }
            at += column + 2;
        }
        shown.push_str(line.trim_end());
        shown.push('\n');
    }
    shown
}

/// Cuts a text to a width; `…` marks a cut.
pub(super) fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_string();
    }
    let mut short: String = text.chars().take(room.saturating_sub(1)).collect();
    if room > 0 {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::super::picture::*;

    #[test]
    fn a_table_keeps_its_columns_and_its_width() {
        let cell = |text: &str| (text.to_string(), CellTone::Good);
        let rows = [vec![cell("web"), cell("a long reason")], vec![cell("worker"), cell("")]];
        let shown = table(&["NAME", "WHY"], &rows, None, false);
        assert_eq!(shown, "NAME    WHY\nweb     a long reason\nworker\n");
        let narrow = table(&["NAME", "WHY"], &rows, Some(14), false);
        assert_eq!(narrow, "NAME    WHY\nweb     a lon…\nworker\n");
        let rows = [vec![cell("a-name-of-25-characters--"), cell("a reason")]];
        let narrow = table(&["NAME", "WHY"], &rows, Some(30), false);
        assert_eq!(narrow, "NAME                  WHY\na-name-of-25-charac…  a reason\n");
        let rows = [vec![cell("web"), cell("a long reason")]];
        let coloured = table(&["NAME", "WHY"], &rows, None, true);
        assert!(coloured.contains("\x1b[32mweb\x1b[0m   \x1b[32ma long"), "{coloured:?}");
    }
}
