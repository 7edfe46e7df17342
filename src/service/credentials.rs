//! Who a program runs as: `user`, `group` and `groups`, resolved on this system.

use super::launcher::{LOOK_TIMEOUT, StartFailure, Starter, wrong};
use crate::cli::LogLevel;
use crate::config::UserSpec;
use crate::diagnosis;
use crate::output;
use crate::sys::process::caps;
use crate::sys::process::credentials::{self, Accounts, Identity};
use crate::text::suggest::did_you_mean;
use crate::text::template::fill;
use std::ffi::CStr;

/// A program's user, resolved on this system.
#[derive(Default)]
pub(super) struct Credentials {
    pub(super) ids: Option<Identity>,
    /// `HOME`, `USER`, `LOGNAME`.
    pub(super) variables: Vec<(&'static str, String)>,
}

impl Starter {
    /// Resolves `user`, `group` and `groups` to numbers, with the variables that depend on the user.
    pub(super) fn person(&self, spec: Option<&UserSpec>, word: &CStr) -> Result<Credentials, StartFailure> {
        let Some(spec) = spec else { return Ok(Credentials::default()) };
        let Some(accounts) = Accounts::read_in_time(&self.ignored, LOOK_TIMEOUT) else {
            let why = "no answer from the file system under /etc/passwd or /etc/group, in which `user` is looked up";
            return Err(StartFailure { lasting: false, ..wrong(word, why) });
        };
        let own = credentials::current();
        let wrong = |why: &str, name: &str, known: &mut dyn Iterator<Item = &str>| {
            let near = did_you_mean(name, known);
            let end = "add it to the image (adduser, addgroup), or use a number";
            wrong(word, &[why, &diagnosis::otherwise(&near, end)].concat())
        };
        let no_group = |name: &str| {
            let why = fill!("no group \"{}\" in /etc/group", name);
            wrong(&why, name, &mut accounts.groups.iter().map(|group| group.name.as_str()))
        };
        let name = if spec.user.is_empty() { own.uid.to_string() } else { spec.user.clone() };
        let group = spec.group.as_ref();
        let full = group.map_or_else(|| name.clone(), |group| fill!("{}:{}", name, group));
        let mut ids = accounts.identity(&full).map_err(|why| match group {
            Some(group) if accounts.uid(&name).is_some() => no_group(group),
            _ => wrong(&why, &name, &mut accounts.users.iter().map(|user| user.name.as_str())),
        })?;
        for group in &spec.groups {
            ids.join(accounts.gid(group).ok_or_else(|| no_group(group))?);
        }
        if spec.keep_groups {
            // All but rinit's own primary group, which nobody has configured for the service.
            own.groups.iter().filter(|group| **group != own.gid).for_each(|group| ids.join(*group));
        }
        let is_had = ids.is_had_by(&own);
        if !is_had && own.uid != 0 && !caps::may_switch_user() {
            self.tell_who_runs(own.uid, word);
            return Ok(Credentials::default());
        }
        let variables = if spec.user.is_empty() {
            Vec::new()
        } else {
            let entry = accounts.user_of(ids.uid);
            let home = entry.map_or("/", |user| user.home.as_str()).to_string();
            let login = entry.map_or_else(|| ids.uid.to_string(), |user| user.name.clone());
            vec![("HOME", home), ("USER", login.clone()), ("LOGNAME", login)]
        };
        // Skip set*id when the ids already match: no privilege needed.
        Ok(Credentials { ids: Some(ids).filter(|_| !is_had), variables })
    }

    /// Warns, once, that rinit cannot switch users: the same configuration serves root and other users.
    fn tell_who_runs(&self, uid: u32, word: &CStr) {
        if !self.told_who_runs.replace(true) {
            let uid = uid.to_string();
            let text = fill!(
                "rinit is not root: \"{}\", and whatever else has a `user`, runs as who rinit is, uid {}",
                &word.to_string_lossy(),
                &uid
            );
            output::line(LogLevel::Info, "", &text);
        }
    }
}
