//! Checks: facts about the container that must hold before anything starts.
//!
//! A kind is one file: it reads its table into a [`CheckSpec`], and is named once in
//! [`KINDS`]. What all kinds share (level, wait, any_of, export, when) is read in [`mod@read`] and applied in
//! [`run`]; the words for the user are made in [`report`].

pub mod facts;
pub mod gate;
pub mod kinds;
pub mod probe;
pub mod read;
pub mod report;
pub mod run;
pub mod select;

pub use crate::model::Level;
pub use facts::{Facts, Touched};
pub use kinds::KINDS;
pub use kinds::common::ensure::{EnsureKind, EnsureSpec, refused_path};
pub use read::{explain, exported, given_secrets, read, secrets};
pub use report::env_docs::Doc;

use crate::config::read::table::Table;
use crate::config::source::diagnostic::Span;
use crate::model::environ::Environ;
use crate::text::escape::on_one_line;
use crate::text::redact;
use crate::text::template::fill;
use std::rc::Rc;
use std::time::Duration;

/// A kind of check: its name in `[checks.KIND.NAME]`, and how its table is read. `name` is NAME, already
/// expanded; empty where there is none (`[checks.user]`). The reader asks for its own keys only; it must
/// not close the table. What a kind does not say is as in [`Kind::PLAIN`].
pub struct Kind {
    /// As it stands in the file.
    pub name: &'static str,
    /// Whether `[checks.KIND]` itself is the check (one a container), besides `[checks.KIND.NAME]`.
    pub nameless: bool,
    /// Keys of a kind without names that hold a table themselves, which is no check of that name.
    pub sub_tables: &'static [&'static str],
    /// Whether it looks at a path of the user's, and so blocks where the file system of that does not answer.
    pub looks_at_paths: bool,
    /// What to look for when a look takes too long.
    pub hang_hint: &'static str,
    /// Reads the kind's own keys.
    pub read: fn(name: &str, table: &Table<'_>) -> Option<CheckSpec>,
}

impl Kind {
    /// A kind with names that asks peers or the system.
    pub const PLAIN: Self = Self {
        name: "",
        nameless: false,
        sub_tables: &[],
        looks_at_paths: false,
        hang_hint: "look for a name server or file system that hangs",
        read: |_, _| None,
    };
}

/// The hint of a kind that looks at files alone.
const SLOW_FILES: &str = "look for a file system that hangs, or is slow";

/// How long a look may take that says nothing of it, where it may block at all.
pub(crate) const LOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// What one check looks at: its words, which are made when its table is read, and the look itself.
pub struct CheckSpec {
    /// What is looked at, in a few words: `link web:80`, `env WEB_HOST`, `mount /data`.
    pub subject: String,
    /// What must hold, in words that follow "expected": `a string that is set and not empty`.
    pub expected: String,
    /// Whether a look may take longer than a system call on local data.
    pub blocking: Blocking,
    /// What is made so where it is not (`ensure`).
    pub ensure: Option<EnsureSpec>,
    /// Whether the value that it finds must not be shown.
    pub secret: bool,
    /// What else is known where the check is about a variable.
    pub variable: Option<Rc<dyn Variable>>,
    /// Looks once and judges. Runs in rinit's own process where it does not block, in a helper process otherwise
    /// (and whenever `wait` or `as_user` ask for one); it must not change anything.
    pub look: Box<dyn Fn(&Facts) -> LookResult>,
}

/// What a look gives; the error is a [`Finding`] too, which `?` hands up.
pub type LookResult = Result<Finding, CheckFailure>;

/// Whether a look asks a name server, a peer or a network file system, and so may take its time.
pub enum Blocking {
    /// It never does.
    Never,
    /// It may, for so long.
    Within(Duration),
    /// It does where the file system at this path is one that asks somebody.
    At(String),
}

/// What the check of an environment variable knows besides.
pub trait Variable {
    /// Variables that it may set, so that `${NAME}` elsewhere is known to come later.
    fn sets(&self) -> Vec<String>;

    /// Values that must not be shown, as far as they are known before a look.
    fn secrets(&self, _: &Environ) -> Vec<String>;

    /// Whether the value that was found must not be shown.
    fn is_secret(&self, _: &Finding) -> bool;

    /// What is told of it, for `--env-docs`.
    fn doc(&self) -> Doc;
}

impl CheckSpec {
    /// A check that finds no secret.
    #[must_use]
    #[inline(never)]
    pub fn new(
        mut subject: String,
        expected: String,
        blocking: Blocking,
        look: Box<dyn Fn(&Facts) -> LookResult>,
    ) -> Self {
        subject.truncate(subject.trim_end().len());
        Self { subject, expected, blocking, ensure: None, secret: false, variable: None, look }
    }

    /// Looks once and judges.
    #[must_use]
    pub fn evaluate(&self, facts: &Facts) -> Finding {
        (self.look)(facts).unwrap_or_else(Finding::from)
    }

    /// Whether a look may block today.
    #[must_use]
    pub fn may_block(&self, facts: &Facts) -> bool {
        match &self.blocking {
            Blocking::Never => false,
            Blocking::Within(_) => true,
            Blocking::At(path) => kinds::common::mounted::is_remote(path, facts),
        }
    }

    /// How long one look may take before it is given up, where it may block.
    #[must_use]
    pub fn patience(&self) -> Duration {
        match self.blocking {
            Blocking::Within(patience) => patience.max(LOOK_TIMEOUT),
            _ => LOOK_TIMEOUT,
        }
    }

    /// Whether the value that was found must not be shown.
    #[must_use]
    pub fn is_secret(&self, finding: &Finding) -> bool {
        self.secret || self.variable.as_ref().is_some_and(|variable| variable.is_secret(finding))
    }
}

/// What a look at one fact has found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Finding {
    /// Whether it holds.
    pub ok: bool,
    /// What was found, in words that follow "found": `a string that is empty`. Never a secret.
    pub found: String,
    /// What to do when it does not hold, if the check's own `hint` does not say it better.
    pub remedy: String,
    /// Whether looking again could find something else (a peer that is not up yet). False ends a `wait` early.
    pub may_change: bool,
    /// Whether `ensure` can make it so; of one that holds: will only have made it so before the start.
    pub mendable: bool,
    /// The value that `export` hands on (for a link: host, `export_as` has chosen).
    pub value: Option<String>,
    /// Variables to set besides `export` (the `default` of an `env` check).
    pub sets: Vec<(String, String)>,
    /// Variables to remove (`NAME_FILE` once its file has been read).
    pub unsets: Vec<String>,
    /// Things worth a warning although the check holds.
    pub warnings: Vec<String>,
}

/// Why a check does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckFailure {
    /// As [`Finding::found`].
    pub found: String,
    /// As [`Finding::remedy`].
    pub remedy: String,
    /// As [`Finding::may_change`].
    pub may_change: bool,
    /// As [`Finding::mendable`].
    pub mendable: bool,
}

impl From<CheckFailure> for Finding {
    #[inline(never)]
    fn from(CheckFailure { found, remedy, may_change, mendable }: CheckFailure) -> Self {
        Self { found, remedy, may_change, mendable, ..Self::default() }
    }
}

impl CheckFailure {
    /// It may hold on another look.
    #[inline(never)]
    #[must_use]
    pub fn new(found: String, remedy: String) -> Self {
        Self { found, remedy, may_change: true, mendable: false }
    }

    /// It never will in this container.
    #[inline(never)]
    #[must_use]
    pub fn for_good(found: String, remedy: String) -> Self {
        Self { found, remedy, may_change: false, mendable: false }
    }
}

impl Finding {
    /// It holds; `value` is what `export` hands on.
    #[inline(never)]
    #[must_use]
    pub fn pass(found: String, value: String) -> Self {
        Self { ok: true, found, value: Some(value), ..Self::default() }
    }

    /// It does not hold, but may on another look.
    #[inline(never)]
    #[must_use]
    pub fn fail(found: String, remedy: String) -> Self {
        CheckFailure::new(found, remedy).into()
    }

    /// It does not hold and never will in this container.
    #[inline(never)]
    #[must_use]
    pub fn fail_for_good(found: String, remedy: String) -> Self {
        CheckFailure::for_good(found, remedy).into()
    }
}

/// One check of the configuration.
pub struct Check {
    /// Of what kind it is.
    pub kind: &'static Kind,
    /// `web`; empty for a nameless one.
    pub name: String,
    /// Where its table stands.
    pub at: Span,
    /// Why it is off (`when_*`), if it is.
    pub off: Option<String>,
    /// Error or warning.
    pub level: Level,
    /// The user's own words on what to do.
    pub hint: Option<String>,
    /// How long to keep trying.
    pub wait: Option<Duration>,
    /// Between two tries.
    pub interval: Duration,
    /// Of the checks that share this label, one must hold.
    pub any_of: Option<String>,
    /// Whose rights to judge with: `user[:group]`, names or numbers.
    pub as_user: Option<String>,
    /// The variable that gets the finding's value.
    pub export: Option<String>,
    /// What the kind looks at.
    pub spec: CheckSpec,
}

/// A value as a message shows it: in quotes, on one line, not too long, without the passwords in it.
#[must_use]
pub(crate) fn quoted(value: &str) -> String {
    const MAX_LISTED: usize = 100;
    /// What comes later cannot change what is shown.
    const READ: usize = 4096;
    // First what is known to be a secret: it may look like a password in part.
    let value = redact::hide(value.to_string());
    let end = value.floor_char_boundary(READ);
    let value = redact::without_passwords(value.get(..end).unwrap_or_default());
    let cut = value.char_indices().nth(MAX_LISTED).and_then(|(end, _)| value.get(..end));
    let end = if cut.is_some() { "…\"" } else { "\"" };
    fill!("\"{}{}", &on_one_line(cut.unwrap_or(&value)), end)
}

/// `a, b or c`, each in quotes.
#[must_use]
pub(crate) fn listed(words: &[String]) -> String {
    let mut shown = String::new();
    for (n, word) in words.iter().enumerate() {
        if n > 0 {
            shown.push_str(if n + 1 == words.len() { " or " } else { ", " });
        }
        shown.push_str(&quoted(word));
    }
    shown
}

#[cfg(test)]
mod tests {
    use crate::checks::*;

    #[test]
    fn a_value_is_shown_on_one_line_and_without_its_password() {
        for (value, want) in [
            ("plain", "\"plain\""),
            ("two\nlines", "\"two\\nlines\""),
            ("postgres://me:pass@word@db:5432/x", "\"postgres://me:***@db:5432/x\""),
        ] {
            assert_eq!(quoted(value), want);
        }
        assert_eq!(quoted(&"x".repeat(200)).chars().count(), 103);
        assert_eq!(listed(&["a".into(), "b".into(), "c".into()]), "\"a\", \"b\" or \"c\"");
    }
}
