//! The context of a service's process, for a client that wants to run a program in it.

use super::launcher::{Role, Starter};
use crate::config::Program;
use crate::model::Ulimit;
use crate::sys::process::credentials::Identity;
use crate::sys::process::spawn::Environment;
use std::ffi::CString;

/// The environment, user and directory that a service runs with.
pub struct ExecContext {
    /// `NAME=value` entries.
    pub environment: Vec<CString>,
    /// Its user and groups; `None`: rinit's.
    pub ids: Option<Identity>,
    /// Its working directory; `None`: where rinit was started, which has no known path.
    pub directory: Option<CString>,
    /// Its file mode creation mask; `None`: rinit's.
    pub umask: Option<u32>,
    /// Its resource limits, if they differ from rinit's.
    pub ulimits: Vec<Ulimit>,
}

impl Starter {
    /// Returns the context that a program would run with, or why it cannot.
    pub fn context(&self, program: &Program, role: Role) -> Result<ExecContext, String> {
        let recipe = self.recipe(program, &program.argv, role).map_err(|failure| failure.why)?;
        let environment = match recipe.environment {
            Environment::Given => crate::sys::args::environment().into_entries(),
            Environment::Entries(entries) => entries.into_owned(),
        };
        let given = recipe.given_directory.map(ToOwned::to_owned);
        Ok(ExecContext {
            environment,
            ids: recipe.ids,
            directory: recipe.directory.map(|directory| directory.into_owned()).or(given),
            umask: recipe.umask,
            ulimits: recipe.ulimits.to_vec(),
        })
    }
}
