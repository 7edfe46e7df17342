//! The privileges and limits that a service asks for, where this container may not give them: its start fails, or with
//! `level = "warn"` it is told and the service starts with what there is.

use super::launcher::{StartFailure, Starter, wrong};
use crate::cli::LogLevel;
use crate::config::Program;
use crate::diagnosis;
use crate::model::privileges::ExecPrivileges;
use crate::model::{Level, Ulimit};
use crate::output;
use crate::sys::process::{privileges, rlimits};
use crate::text::template::fill;
use std::borrow::Cow;
use std::ffi::CStr;

/// What the kernel is to let a process do.
pub(super) type Rights<'a> = (Option<Cow<'a, ExecPrivileges>>, Cow<'a, [Ulimit]>);

impl Starter {
    /// Returns the privileges and limits of a process, without those that are only warned about.
    pub(super) fn rights<'a>(&self, program: &'a Program, word: &CStr) -> Result<Rights<'a>, StartFailure> {
        let mut rights = program.privileges.as_deref().map(Cow::Borrowed);
        let warns = program.rights_level == Level::Warn;
        while let Some((key, why)) = rights.as_deref().and_then(privileges::refusal) {
            match rights.as_mut().filter(|_| warns && key != "cap_drop") {
                Some(rights) => privileges::go_without(rights.to_mut(), key),
                None => return Err(StartFailure { key, ..wrong(word, &why) }),
            }
            self.tell_rights(word, &why);
        }
        let mut limits = Cow::Borrowed(&*program.ulimits);
        if warns && limits.iter().any(|limit| rlimits::refused(limit).is_some()) {
            for limit in limits.to_mut() {
                // First the kernel's maximum, then the container's.
                while let Some(refused) = rlimits::refused(limit) {
                    self.tell_rights(word, &diagnosis::too_high(&refused));
                    (limit.soft, limit.hard) = (limit.soft.min(refused.most), refused.most);
                }
            }
        }
        Ok((rights, limits))
    }

    /// Warns once of each right that a program does not get.
    fn tell_rights(&self, word: &CStr, why: &str) {
        let text = fill!("\"{}\" runs without what it asks for: {}", &word.to_string_lossy(), why);
        let mut told = self.told_rights.borrow_mut();
        if !told.contains(&text) {
            output::line(LogLevel::Warn, "", &text);
            told.push(text);
        }
    }
}
