//! Variables that oneshots export to later services (`export_env`).

use super::extras;
use super::launcher::StartFailure;
use crate::cli::LogLevel;
use crate::config::ExportEnv;
use crate::exit_code;
use crate::model::environ::Environ;
use crate::output;
use crate::sys::fs::memory_file::MemoryFile;
use crate::sys::process::credentials::{self, Identity};
use crate::sys::process::spawn::{ExecSpec, PassedFd};
use crate::text::assignments::{self, MAX_ENV_FILE};
use crate::text::template::fill;
use std::cell::RefCell;
use std::ffi::CString;

/// The variable with the path of the file.
pub const VARIABLE: &str = "RINIT_ENV";

/// The file of one run; only that process finds it, by the path in [`VARIABLE`].
pub struct EnvFile {
    file: MemoryFile,
    /// The user who writes it.
    uid: u32,
}

impl EnvFile {
    /// Creates the file for a process that is about to be started, and adds its path to the environment.
    pub fn hand_to(recipe: &mut ExecSpec<'_>) -> Result<Self, StartFailure> {
        let owner = recipe.ids.as_ref().map(|ids| (ids.uid, ids.gid));
        let file = MemoryFile::new(owner).map_err(|errno| StartFailure {
            lasting: false,
            code: exit_code::OS_ERROR,
            why: fill!(
                "no file for what it writes to RINIT_ENV: memfd_create: {}; allow that system call, or drop export_env (under [hooks]: export_env = false)",
                crate::sys::describe(errno)
            ),
            error: None,
            key: "export_env",
        })?;
        extras::set_variables(recipe, &[(VARIABLE, &file.path())]);
        recipe.passed.push(PassedFd { from: file.raw_fd(), to: file.raw_fd() });
        Ok(Self { file, uid: recipe.ids.as_ref().map_or_else(|| credentials::current().uid, |ids| ids.uid) })
    }

    /// Returns the current size.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.file.size()
    }

    /// Reads what was written; in an error the message follows the variable's name.
    pub fn read(&self, allowed: &ExportEnv) -> Result<WrittenEnv, String> {
        let bytes = self.file.read(MAX_ENV_FILE + 1);
        let mut written = WrittenEnv::default();
        for entry in assignments::parse(&bytes)? {
            let name = entry.split(|byte| *byte == b'=').next().unwrap_or_default();
            let (Ok(name), Ok(value)) = (std::str::from_utf8(name), CString::new(entry)) else { continue };
            if allowed.allows(name) {
                let entry = ExportedVariable {
                    name: name.into(),
                    entry: value,
                    uid: self.uid,
                    for_all: *allowed != ExportEnv::All,
                };
                written.taken.push(entry);
            } else if !written.refused.iter().any(|known| known == name) {
                written.refused.push(name.into());
            }
        }
        Ok(written)
    }
}

/// The variables that one run has written.
#[derive(Default)]
pub struct WrittenEnv {
    /// Accepted variables.
    pub taken: Vec<ExportedVariable>,
    /// Names of rejected variables.
    pub refused: Vec<String>,
}

/// One exported variable.
pub struct ExportedVariable {
    name: Box<str>,
    /// `NAME=value`.
    entry: CString,
    /// The user who wrote it.
    uid: u32,
    /// Whether processes with other rights get it too: its name is listed.
    for_all: bool,
}

impl ExportedVariable {
    /// Its name, and its value.
    #[must_use]
    pub fn parts(&self) -> (&str, &[u8]) {
        (&self.name, self.entry.as_bytes().get(self.name.len() + 1..).unwrap_or_default())
    }
}

/// All exported variables, in order of arrival.
#[derive(Default)]
pub struct Exports {
    variables: RefCell<Vec<ExportedVariable>>,
    told: std::cell::Cell<bool>,
}

impl Exports {
    /// Adds the variables of one run; replaces those with the same name.
    pub fn take(&self, written: Vec<ExportedVariable>) {
        let mut known = self.variables.borrow_mut();
        for new in written {
            known.retain(|old| old.name != new.name || (old.uid, old.for_all) != (new.uid, new.for_all));
            known.push(new);
        }
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.variables.borrow().is_empty()
    }

    /// Adds them to the environment of a process with these ids (`None`: rinit's own).
    pub fn add_to(&self, environ: &mut Environ, ids: Option<&Identity>, word: &str) {
        let reader = ids.map_or_else(|| credentials::current().uid, |ids| ids.uid);
        for variable in &*self.variables.borrow() {
            if variable.for_all || variable.uid == 0 || variable.uid == reader {
                environ.put(&variable.name, variable.entry.clone());
            } else if !self.told.replace(true) {
                let text = fill!(
                    "\"{}\", which runs as uid {}, does not get the variables that a oneshot of uid {} wrote ({}, …): `true` holds for a oneshot of root, or of the same user; list their names: export_env = [\"{}\"]",
                    word,
                    &reader.to_string(),
                    &variable.uid.to_string(),
                    &variable.name,
                    &variable.name
                );
                output::line(LogLevel::Warn, "", &text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(entry: &str, uid: u32, for_all: bool) -> ExportedVariable {
        let name = entry.split('=').next().unwrap_or_default().into();
        ExportedVariable { name, entry: CString::new(entry).expect("no NUL"), uid, for_all }
    }

    /// Otherwise an unprivileged oneshot's `LD_PRELOAD` would run in a service of root.
    #[test]
    fn what_is_not_listed_goes_to_no_more_rights_than_its_writers() {
        let exports = Exports::default();
        exports.take(vec![
            variable("A=root", 0, false),
            variable("B=app", 1000, false),
            variable("C=app", 1000, true),
            variable("A=app", 1000, false),
            variable("B=again", 1000, false),
        ]);
        let seen_by = |uid| {
            let mut environ = Environ::default();
            exports.add_to(&mut environ, Some(&Identity { uid, gid: 1, groups: vec![] }), "x");
            let text = environ.into_entries().into_iter().map(|e| e.into_string().expect("text"));
            let mut list: Vec<_> = text.collect();
            list.sort();
            list
        };
        assert_eq!(seen_by(1000), ["A=app", "B=again", "C=app"]);
        assert_eq!(seen_by(1001), ["A=root", "C=app"]);
        assert_eq!(seen_by(0), ["A=root", "C=app"]);
    }
}
