//! Checks: facts about the container that must hold before anything starts.
//!
//! A kind is one file: it reads its table into a value that implements [`Judge`], and is named once in
//! [`KINDS`]. What all kinds share (level, wait, any_of, export, when) is read and applied here and in
//! [`run`]; the words for the user are made in [`report`].

use crate::config::fault::At;
use crate::config::table::Table;
use crate::environ::Environ;
use std::time::Duration;

/// A kind of check: its name in `[checks.KIND.NAME]`, and how its table is read. `name` is NAME, already
/// expanded; `None` for a kind whose table has no names (`[checks.user]`). The reader asks for its own
/// keys only; it must not close the table.
pub struct Kind {
    /// As it stands in the file.
    pub name: &'static str,
    /// Whether `[checks.KIND]` itself is the check (one a container), besides `[checks.KIND.NAME]`.
    pub nameless: bool,
    /// Reads the kind's own keys.
    pub read: fn(name: &str, table: &Table<'_>) -> Option<Box<dyn Judge>>,
}

/// What a kind knows how to do.
pub trait Judge {
    /// What is looked at, in a few words: `link web:80`, `env WEB_HOST`, `mount /data`.
    fn subject(&self) -> String;

    /// What must hold, in words that follow "expected": `a string that is set and not empty`.
    fn expected(&self) -> String;

    /// Looks once and judges. Runs in rinit's own process unless [`Judge::may_block`], in a helper process
    /// otherwise (and whenever `wait` or `as_user` ask for one); it must not change anything.
    fn judge(&self, facts: &Facts) -> Finding;

    /// Whether looking may take longer than a system call on local data: a name server, a peer, a network file system.
    fn may_block(&self) -> bool {
        false
    }

    /// Variables that this check may set, so that `${NAME}` elsewhere is known to come later.
    fn sets(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What is known about the container when checks are judged. Files of /proc and /etc are read once.
pub struct Facts {
    /// The environment that rinit was given, with what earlier checks exported.
    pub environ: Environ,
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
    /// The value that `export` hands on (for a link: host, `export_as` has chosen).
    pub value: Option<String>,
    /// Variables to set besides `export` (the `default` of an `env` check).
    pub sets: Vec<(String, String)>,
    /// Things worth a warning although the check holds.
    pub warnings: Vec<String>,
}

/// How much a failed check weighs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The container does not start: exit code 69.
    #[default]
    Error,
    /// It is told.
    Warn,
}

/// One check of the configuration.
pub struct Check {
    /// `link`
    pub kind: &'static str,
    /// `web`; empty for a nameless one.
    pub name: String,
    /// Where its table stands.
    pub at: At,
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
    pub judge: Box<dyn Judge>,
}

/// Every kind there is.
pub const KINDS: &[Kind] = &[];
