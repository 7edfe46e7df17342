//! What the checks have found, in words: one line each for people, and JSON, TAP and JUnit for programs.
//! Nothing is printed here.

pub mod env_docs;
pub mod record;

use super::Level;
use crate::model::environ::Environ;
use crate::text::escape::{json_string, on_one_line};
use crate::text::template::fill;
use std::fmt::Write as _;

/// How a check came out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CheckStatus {
    /// It holds.
    Pass,
    /// It does not hold but is only a warning, or it holds and something is to be said about it.
    Warn,
    /// It does not hold: the container does not start.
    Fail,
    /// It is off (`when_*`).
    Skip,
}

/// One check, or one group of checks of which one must hold (`any_of`). Of one that holds without a warning the words
/// are empty, unless the report was to have every one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckEntry {
    /// `env`; `any_of` for a group.
    pub kind: &'static str,
    /// The check's NAME, the group's label.
    pub name: String,
    /// What was looked at: `env WEB_HOST`, `"where web is"`.
    pub subject: String,
    /// How it came out.
    pub status: CheckStatus,
    /// Whether it holds; a check that is off does.
    pub holds: bool,
    /// Whether it holds only because `ensure` will have made it so.
    pub is_foreseen: bool,
    /// What was found, or why it is off.
    pub found: String,
    /// What must hold.
    pub expected: String,
    /// What to do, when it does not hold.
    pub hint: String,
    /// Things worth a warning although it holds.
    pub warnings: Vec<String>,
    /// The configuration file.
    pub file: String,
    /// Its line there, from 1.
    pub line: usize,
}

/// All checks of one run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// In the order of the files; a group stands where its first check does.
    pub entries: Vec<CheckEntry>,
    /// The environment with what the checks set, for all services and the command.
    pub environ: Environ,
    /// Secrets that the checks have found.
    pub secrets: Vec<String>,
}

/// The most that Kubernetes reads of a termination message, without the `rinit: ` and the newline around it.
const MAX_SHORT_BYTES: usize = 4096 - 8;

impl Report {
    /// Whether the container may start.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.count(CheckStatus::Fail) == 0
    }

    /// Every text that is not rinit's own.
    pub fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        self.entries.iter_mut().flat_map(|entry| {
            let CheckEntry { name, subject, found, expected, hint, warnings, .. } = entry;
            [name, subject, found, expected, hint].into_iter().chain(warnings)
        })
    }

    fn count(&self, status: CheckStatus) -> usize {
        self.entries.iter().filter(|entry| entry.status == status).count()
    }

    /// A line for each failure and warning, without `rinit:` and without a newline.
    #[must_use]
    pub fn lines(&self) -> Vec<(Level, String)> {
        let mut lines = Vec::new();
        for entry in &self.entries {
            let level = if entry.status == CheckStatus::Fail { Level::Error } else { Level::Warn };
            if !entry.holds {
                lines.push((level, entry.text()));
            }
            let told = |warning: &String| on_one_line(&format!("{warning} ({}:{})", entry.file, entry.line));
            lines.extend(entry.warnings.iter().map(|warning| (Level::Warn, told(warning))));
        }
        lines
    }

    /// `12 checks passed`, `1 of 12 checks failed, 2 skipped`.
    #[must_use]
    pub fn summary(&self) -> String {
        let skipped = self.count(CheckStatus::Skip);
        let all = self.entries.len() - skipped;
        let s = if all == 1 { "" } else { "s" };
        // One that is only warned of has not passed either.
        let passed = self.entries.iter().filter(|entry| entry.holds).count() - skipped;
        let mut summary = match self.count(CheckStatus::Fail) {
            0 if passed == all => format!("{all} check{s} passed"),
            0 => format!("{passed} of {all} check{s} passed"),
            failed => format!("{failed} of {all} check{s} failed"),
        };
        for (count, what) in [(self.count(CheckStatus::Warn), "with a warning"), (skipped, "skipped")] {
            if count > 0 {
                let _ = write!(summary, ", {count} {what}");
            }
        }
        summary
    }

    /// For people: what failed with what was found, expected, and to be done; one line for all that passed, or each
    /// with `every`; in colours with `colour`.
    #[must_use]
    pub fn human(&self, every: bool, colour: bool) -> String {
        let mut text = String::new();
        for entry in &self.entries {
            let quiet = matches!(entry.status, CheckStatus::Pass | CheckStatus::Skip);
            if every || !quiet || entry.is_foreseen {
                entry.block(colour, &mut text);
            }
        }
        let status = if self.ok() { CheckStatus::Pass } else { CheckStatus::Fail };
        status.mark(colour, &mut text);
        text.push_str(&self.summary());
        text.push('\n');
        text
    }

    /// The failures in short, for /dev/termination-log: a line each, the first in any case, and how many more there are.
    #[must_use]
    pub fn short(&self) -> String {
        let mut text = String::new();
        let mut left = self.count(CheckStatus::Fail);
        for entry in self.entries.iter().filter(|entry| entry.status == CheckStatus::Fail) {
            let mut line = entry.text();
            // Room for the line that says how many more there are.
            let room = MAX_SHORT_BYTES.saturating_sub(text.len() + 40);
            if line.len() > room {
                if !text.is_empty() {
                    break;
                }
                line.truncate(line.floor_char_boundary(room));
                line.push('…');
            }
            text.push_str(&line);
            text.push('\n');
            left -= 1;
        }
        if left > 0 {
            let _ = write!(text, "{left} more failed");
        }
        text.truncate(text.trim_end().len());
        text
    }

    /// `{"ok": bool, "checks": [{"kind", "name", "status", "found", "expected", "hint", "file", "line"}]}`
    #[must_use]
    pub fn json(&self) -> String {
        let mut out = format!("{{\"ok\":{},\"checks\":[", self.ok());
        for (n, entry) in self.entries.iter().enumerate() {
            out.push_str(if n == 0 { "\n{" } else { ",\n{" });
            let texts = [
                ("kind", entry.kind),
                ("name", &entry.name),
                ("status", entry.status.word()),
                ("found", &entry.found),
                ("expected", &entry.expected),
                ("hint", &entry.hint),
                ("file", &entry.file),
            ];
            for (key, value) in texts {
                let _ = write!(out, "\"{key}\":");
                json_string(value, &mut out);
                out.push(',');
            }
            let _ = write!(out, "\"line\":{},\"warnings\":[", entry.line);
            for (n, warning) in entry.warnings.iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                json_string(warning, &mut out);
            }
            out.push_str("]}");
        }
        out.push_str("\n]}\n");
        out
    }

    /// The Test Anything Protocol, version 13.
    #[must_use]
    pub fn tap(&self) -> String {
        let mut out = format!("TAP version 13\n1..{}\n", self.entries.len());
        for (n, entry) in self.entries.iter().enumerate() {
            let not = if entry.status == CheckStatus::Fail { "not " } else { "" };
            let subject = on_one_line(&entry.subject).replace('\\', "\\\\").replace('#', "\\#");
            let skip = match entry.status {
                CheckStatus::Skip => fill!(" # SKIP {}", &on_one_line(&entry.found)),
                _ => String::new(),
            };
            let _ = writeln!(out, "{not}ok {} - {subject}{skip}", n + 1);
            let told = (!entry.holds).then(|| entry.text());
            for line in told.iter().chain(&entry.warnings) {
                let _ = writeln!(out, "# {}", on_one_line(line));
            }
        }
        out
    }

    /// JUnit's XML, as CI servers read it.
    #[must_use]
    pub fn junit(&self) -> String {
        let mut out = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"rinit\" tests=\"{}\" failures=\"{}\" \
             skipped=\"{}\">\n",
            self.entries.len(),
            self.count(CheckStatus::Fail),
            self.count(CheckStatus::Skip)
        );
        for entry in &self.entries {
            let (class, name) = (xml(entry.kind), xml(&entry.subject));
            let _ = write!(out, "<testcase classname=\"{class}\" name=\"{name}\">");
            match entry.status {
                CheckStatus::Fail => {
                    let _ = write!(out, "<failure message=\"{}\"/>", xml(&entry.text()));
                }
                CheckStatus::Skip => {
                    let _ = write!(out, "<skipped message=\"{}\"/>", xml(&entry.found));
                }
                CheckStatus::Warn if !entry.holds => {
                    let _ = write!(out, "<system-out>{}</system-out>", xml(&entry.text()));
                }
                CheckStatus::Warn => {
                    let _ = write!(out, "<system-out>{}</system-out>", xml(&entry.warnings.join("\n")));
                }
                CheckStatus::Pass => {}
            }
            out.push_str("</testcase>\n");
        }
        out.push_str("</testsuite>\n");
        out
    }
}

impl CheckEntry {
    /// `check env X failed: found …, expected …; what to do (file:line)`
    fn text(&self) -> String {
        let failed = if self.status == CheckStatus::Fail { " failed" } else { "" };
        let mut text = fill!("check {}{}: ", self.subject, failed);
        // A group's finding says what it is.
        let _ = match self.kind {
            ANY_OF => write!(text, "{}", self.found),
            _ => write!(text, "found {}, expected {}", self.found, self.expected),
        };
        if !self.hint.is_empty() {
            let _ = write!(text, "; {}", self.hint);
        }
        let _ = write!(text, " ({}:{})", self.file, self.line);
        on_one_line(&text)
    }
}

/// What stands before the lines of an entry, under its mark.
const INDENT: &str = "      ";

impl CheckEntry {
    /// The entry as lines that are aligned under each other.
    fn block(&self, colour: bool, text: &mut String) {
        self.status.mark(colour, text);
        let mut line = |parts: &[&str]| {
            text.push_str(on_one_line(&parts.concat()).trim_end());
            text.push('\n');
        };
        match self.status {
            CheckStatus::Skip => line(&[&self.subject, ": off, ", &self.found]),
            _ if self.kind == ANY_OF => line(&[&self.subject, ": ", &self.found]),
            _ => line(&[&self.subject, ": found ", &self.found]),
        }
        if !self.holds {
            if self.kind != ANY_OF {
                line(&[INDENT, "expected ", &self.expected]);
            }
            if !self.hint.is_empty() {
                line(&[INDENT, &self.hint]);
            }
        }
        for warning in &self.warnings {
            line(&[INDENT, warning]);
        }
        if !self.holds || !self.warnings.is_empty() {
            line(&[INDENT, "(", &self.file, ":", &self.line.to_string(), ")"]);
        }
    }
}

/// The kind of a group's entry.
pub const ANY_OF: &str = "any_of";

impl CheckStatus {
    /// The status as the first six characters of a line, in its colour.
    fn mark(self, colour: bool, text: &mut String) {
        let (word, code) = match self {
            Self::Pass => ("ok    ", "\x1b[32m"),
            Self::Warn => ("warn  ", "\x1b[33m"),
            Self::Fail => ("FAIL  ", "\x1b[31m"),
            Self::Skip => ("skip  ", "\x1b[2m"),
        };
        if colour {
            text.push_str(&fill!("{}{}\x1b[0m", code, word));
        } else {
            text.push_str(word);
        }
    }

    /// As `--format json` has it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skip => "skip",
        }
    }
}

/// A text in XML; a character that XML cannot hold is replaced.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c < ' ' || ('\u{fffe}'..='\u{ffff}').contains(&c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::report::*;

    fn entry(name: &str, status: CheckStatus) -> CheckEntry {
        CheckEntry {
            kind: "env",
            name: name.into(),
            subject: format!("env {name}"),
            status,
            holds: status != CheckStatus::Fail,
            is_foreseen: false,
            found: "no \"such\" variable".into(),
            expected: "a <string>".into(),
            hint: format!("set {name}"),
            warnings: Vec::new(),
            file: "rinit.toml".into(),
            line: 3,
        }
    }

    fn report() -> Report {
        let warned = CheckEntry { warnings: vec!["B is set".into()], ..entry("B", CheckStatus::Warn) };
        let entries = vec![
            entry("A", CheckStatus::Pass),
            warned,
            entry("C", CheckStatus::Fail),
            entry("D#", CheckStatus::Skip),
        ];
        Report { entries, ..Report::default() }
    }

    #[test]
    fn people_read_what_to_mend() {
        assert_eq!(
            report().human(false, false),
            "warn  env B: found no \"such\" variable\n      B is set\n      (rinit.toml:3)\n\
             FAIL  env C: found no \"such\" variable\n      expected a <string>\n      set C\n      (rinit.toml:3)\n\
             FAIL  1 of 3 checks failed, 1 with a warning, 1 skipped\n"
        );
        assert!(report().human(true, false).starts_with("ok    env A: found"));
        assert!(report().human(false, true).contains("\x1b[31mFAIL  \x1b[0menv C"));
    }

    #[test]
    fn the_summary_counts_what_holds() {
        let warned = CheckEntry { holds: false, ..entry("B", CheckStatus::Warn) };
        let summary =
            |entries: &[CheckEntry]| Report { entries: entries.to_vec(), ..Report::default() }.summary();
        let (pass, skip) = (entry("A", CheckStatus::Pass), entry("D", CheckStatus::Skip));
        assert_eq!(summary(&[]), "0 checks passed");
        assert_eq!(summary(&[pass.clone(), skip.clone()]), "1 check passed, 1 skipped");
        assert_eq!(
            summary(&[pass.clone(), entry("B", CheckStatus::Warn)]),
            "2 checks passed, 1 with a warning"
        );
        assert_eq!(summary(&[pass, warned, skip]), "1 of 2 checks passed, 1 with a warning, 1 skipped");
    }

    #[test]
    fn json_is_escaped() {
        let json = report().json();
        assert!(
            json.starts_with(
                "{\"ok\":false,\"checks\":[\n{\"kind\":\"env\",\"name\":\"A\",\"status\":\"pass\""
            )
        );
        assert!(json.contains("\"found\":\"no \\\"such\\\" variable\""));
        assert!(json.contains("\"line\":3,\"warnings\":[\"B is set\"]}"));
        let mut out = String::new();
        json_string("a\u{1}\\\n\u{7f}ä", &mut out);
        assert_eq!(out, "\"a\\u0001\\\\\\n\\u007fä\"");
    }

    #[test]
    fn tap_and_junit_say_the_same() {
        let tap = report().tap();
        assert!(
            tap.starts_with(
                "TAP version 13\n1..4\nok 1 - env A\nok 2 - env B\n# B is set\nnot ok 3 - env C\n"
            )
        );
        assert!(tap.contains("ok 4 - env D\\# # SKIP no"));
        let junit = report().junit();
        assert!(junit.contains("tests=\"4\" failures=\"1\" skipped=\"1\""));
        assert!(junit.contains("found no &quot;such&quot; variable, expected a &lt;string&gt;"));
    }

    /// No name, warning or reason makes a line of its own: it would be read as another's.
    #[test]
    fn nothing_forges_a_line() {
        let hostile = "x\nok 9 - forged\r\u{1b}[2K\u{85}rinit: forged".to_string();
        let entries = [CheckStatus::Fail, CheckStatus::Warn, CheckStatus::Skip].map(|status| CheckEntry {
            name: hostile.clone(),
            subject: hostile.clone(),
            found: hostile.clone(),
            expected: hostile.clone(),
            hint: hostile.clone(),
            warnings: vec![hostile.clone()],
            ..entry("X", status)
        });
        let report = Report { entries: entries.to_vec(), ..Report::default() };
        let harmless = |text: &str| !text.contains(|c: char| c.is_control() && c != '\n');
        assert!(report.lines().iter().all(|(_, line)| harmless(line) && !line.contains('\n')));
        for text in [report.human(true, false), report.tap(), report.short()] {
            assert!(harmless(&text), "{text:?}");
            assert!(
                !text.lines().any(|line| line.starts_with("ok 9") || line.starts_with("rinit")),
                "{text}"
            );
        }
        assert_eq!(report.tap().lines().filter(|line| !line.starts_with('#')).count(), 5);
    }

    #[test]
    fn the_short_form_fits() {
        let many = Report { entries: vec![entry("X", CheckStatus::Fail); 500], ..Report::default() };
        let short = many.short();
        assert!(short.len() <= MAX_SHORT_BYTES && short.ends_with(" more failed"), "{}", short.len());
        let one = report().short();
        assert!(one.starts_with("check env C failed: found") && one.ends_with("(rinit.toml:3)"), "{one}");
        // A first reason that is too long is told as far as there is room.
        let long = CheckEntry { found: "ä".repeat(5000), ..entry("X", CheckStatus::Fail) };
        let short =
            Report { entries: vec![long, entry("Y", CheckStatus::Fail)], ..Report::default() }.short();
        assert!((MAX_SHORT_BYTES - 60..=MAX_SHORT_BYTES).contains(&short.len()), "{}", short.len());
        assert!(short.starts_with("check env X failed: found ää") && short.ends_with("ä…\n1 more failed"));
    }
}
