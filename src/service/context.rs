//! What a service's process is made with, for a client that is to be as it.

use super::launcher::{Role, Starter};
use crate::config::Program;
use crate::model::Ulimit;
use crate::sys::process::credentials::Identity;
use crate::sys::process::spawn::Environment;
use std::ffi::CString;

/// As whom, where and in which environment a service runs.
pub struct ExecContext {
    /// `NAME=value`.
    pub environment: Vec<CString>,
    /// Its ids; `None`: those of rinit.
    pub ids: Option<Identity>,
    /// Where it starts; `None`: where rinit was started, and that cannot be named.
    pub directory: Option<CString>,
    /// Its file mode creation mask; `None`: as rinit's.
    pub umask: Option<u32>,
    /// What it may use, where that is not as rinit's.
    pub ulimits: Vec<Ulimit>,
}

impl Starter {
    /// As whom, where and in which environment a program runs; or why it cannot.
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
