//! What a single start hands to its process besides what the configuration says: descriptors, and variables about them.

use crate::model::environ::Environ;
use crate::sys::process::spawn::{Environment, ExecSpec, LISTEN_PID, PassedFd};
use crate::text::gather::Gather;
use std::os::fd::RawFd;

/// Descriptors and variables for one start. Most starts have none.
#[derive(Default)]
pub struct StartExtras {
    /// Descriptors with the numbers that they get.
    pub passed: Vec<PassedFd>,
    /// Descriptors that LISTEN_FDS counts, with their names: its sockets, added by the start, then what was kept for it.
    pub listed: Vec<(String, RawFd)>,
    /// Variables on top of all others.
    pub variables: Vec<(&'static str, String)>,
    /// Variables that get the pid of the process as their value, each with `=`.
    pub pid_variables: Vec<&'static [u8]>,
    /// The user that the process runs as, set by the start; `None`: rinit's own.
    pub uid: Option<u32>,
}

impl StartExtras {
    /// Returns whether there is nothing to hand over.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.passed.is_empty() && self.variables.is_empty() && self.listed.is_empty()
    }

    /// Adds all of it to the description of a process.
    pub(super) fn add_to(&self, recipe: &mut ExecSpec<'_>) {
        let variables: Vec<(&str, &str)> =
            self.variables.iter().map(|(name, value)| (*name, value.as_str())).gather();
        if !variables.is_empty() {
            set_variables(recipe, &variables);
        }
        recipe.passed.extend_from_slice(&self.passed);
        recipe.pid_variables.extend_from_slice(&self.pid_variables);
        if !self.listed.is_empty() {
            self.pass_listed(recipe);
        }
    }

    /// Passes the listed descriptors (sd_listen_fds_with_names(3)).
    fn pass_listed(&self, recipe: &mut ExecSpec<'_>) {
        let names: Vec<&str> = self.listed.iter().map(|(name, _)| name.as_str()).gather();
        let count = self.listed.len().to_string();
        let variables =
            [("LISTEN_FDS", count.as_str()), ("LISTEN_FDNAMES", &names.join(":")), ("LISTEN_PID", "")];
        set_variables(recipe, &variables);
        recipe.pid_variables.push(LISTEN_PID);
        recipe.passed.extend((3..).zip(&self.listed).map(|(to, (_, from))| PassedFd { from: *from, to }));
    }
}

/// Sets variables in the environment of a process that is about to be started.
pub fn set_variables(recipe: &mut ExecSpec<'_>, variables: &[(&str, &str)]) {
    let mut environ = match &recipe.environment {
        Environment::Given => crate::sys::args::environment(),
        Environment::Entries(entries) => Environ::from_entries(entries.iter().cloned()),
    };
    for (name, value) in variables {
        environ.set(name, value);
    }
    recipe.environment = Environment::Entries(environ.into_entries().into());
}
