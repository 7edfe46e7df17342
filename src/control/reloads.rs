//! Reloads of the configuration: which runs, which are asked for, and what came of the last ones.
//!
//! They have numbers. One that is asked for while another runs comes after it, once, whoever asks: all of them get its
//! number.

use super::rows::Row;
use std::collections::VecDeque;

/// How many results are kept for clients that have not read them yet.
const MAX_REPORTS: usize = 8;

/// What came of a reload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReloadReport {
    /// Its number.
    pub number: u64,
    /// Whether the configuration is right.
    pub ok: bool,
    /// What has changed, or what is wrong: lines.
    pub lines: Vec<String>,
}

/// All reloads.
#[derive(Default, Debug)]
pub struct Reloads {
    /// The number of the last that was begun.
    begun: u64,
    /// Whether that one still runs.
    runs: bool,
    /// Those that follow; true: it only tells what would change.
    queued: VecDeque<bool>,
    reports: VecDeque<ReloadReport>,
}

impl Reloads {
    /// Returns the number that a reload which is asked for now gets.
    #[must_use]
    pub fn number(&self, dry_run: bool) -> u64 {
        let at = self.queued.iter().position(|queued| *queued == dry_run).unwrap_or(self.queued.len());
        self.begun + 1 + u64::try_from(at).unwrap_or(0)
    }

    /// Asks for a reload.
    pub fn ask(&mut self, dry_run: bool) {
        if !self.queued.contains(&dry_run) {
            self.queued.push_back(dry_run);
        }
    }

    /// Begins the next one, unless one runs: returns whether it only tells what would change.
    pub fn begin(&mut self) -> Option<bool> {
        if self.runs {
            return None;
        }
        let dry_run = self.queued.pop_front()?;
        (self.begun, self.runs) = (self.begun + 1, true);
        Some(dry_run)
    }

    /// The one that runs is over.
    pub fn end(&mut self, ok: bool, lines: Vec<String>) {
        self.runs = false;
        if self.reports.len() >= MAX_REPORTS {
            self.reports.pop_front();
        }
        self.reports.push_back(ReloadReport { number: self.begun, ok, lines });
    }

    /// Returns whether the reload of this number is over.
    #[must_use]
    pub fn is_over(&self, number: u64) -> bool {
        number < self.begun || number == self.begun && !self.runs
    }

    /// Returns what came of a reload, if that is still known.
    #[must_use]
    pub fn report(&self, number: u64) -> Option<&ReloadReport> {
        self.reports.iter().find(|report| report.number == number)
    }
}

/// Returns the row of a line of a reload's result.
pub fn reload_row(id: Option<u64>, line: &str) -> String {
    let mut row = Row::of("reload", id);
    row.text("text", line);
    row.end()
}

#[cfg(test)]
mod tests {
    use super::Reloads;

    #[test]
    fn one_that_comes_while_another_runs_comes_once_after_it() {
        let mut reloads = Reloads::default();
        assert_eq!((reloads.number(false), reloads.is_over(1)), (1, false));
        reloads.ask(false);
        assert_eq!(reloads.begin(), Some(false));
        assert_eq!(reloads.begin(), None, "one at a time");
        for _ in 0..20 {
            assert_eq!(reloads.number(false), 2);
            reloads.ask(false);
        }
        assert_eq!(reloads.number(true), 3);
        reloads.ask(true);
        reloads.end(true, vec!["a".into()]);
        assert!(reloads.is_over(1) && !reloads.is_over(2));
        assert_eq!(reloads.report(1).map(|report| report.lines.len()), Some(1));
        assert_eq!((reloads.begin(), reloads.number(true)), (Some(false), 3));
        reloads.end(false, Vec::new());
        assert_eq!(reloads.begin(), Some(true));
        reloads.end(true, Vec::new());
        assert_eq!((reloads.begin(), reloads.is_over(3)), (None, true));
        for _ in 0..20 {
            reloads.ask(false);
            assert_eq!(reloads.begin(), Some(false));
            reloads.end(true, Vec::new());
        }
        assert_eq!((reloads.report(3), reloads.is_over(3)), (None, true));
    }
}
