//! Starts a hook of a service: in its environment, as its user, with its output.

use super::launcher::{Role, StartFailure, Started, Starter, open_to_others};
use crate::config::Program;
use crate::sys::process::spawn::{self, Environment};
use std::borrow::Cow;
use std::ffi::CString;
use std::os::fd::RawFd;

impl Starter {
    /// Starts a hook. `outputs`, if given, become its standard output and error; `variables` are `NAME=value` entries
    /// on top of the service's environment.
    pub fn hook<'a>(
        &'a self,
        program: &Program,
        argv: &[CString],
        outputs: Option<[RawFd; 2]>,
        variables: Vec<CString>,
    ) -> Result<Started<'a>, StartFailure> {
        let mut recipe = self.recipe(program, argv, Role::Service)?;
        if let ([input, ..], Some([out, err])) = (recipe.stdio, outputs) {
            recipe.stdio = [input, Some(out), Some(err)];
        }
        if recipe.ids.is_some() {
            open_to_others(recipe.stdio);
        }
        let mut entries = match recipe.environment {
            Environment::Given => crate::sys::args::environment().into_entries(),
            Environment::Entries(entries) => entries.into_owned(),
        };
        let name = |entry: &CString| entry.to_bytes().split(|byte| *byte == b'=').next().map(<[u8]>::to_vec);
        entries.retain(|entry| !variables.iter().any(|variable| name(variable) == name(entry)));
        entries.extend(variables);
        recipe.environment = Environment::Entries(Cow::Owned(entries));
        self.settle(spawn::spawn(recipe))
    }
}
