//! An entry in /etc/passwd for who a program runs as (`passwd = true`).

use super::launcher::{Job, Starter};
use crate::cli::LogLevel;
use crate::config::Program;
use crate::output;
use crate::sys::process::credentials;
use crate::text::template::fill;

impl Starter {
    /// Adds an entry to /etc/passwd for a uid that has none, where that can be written (`passwd = true`). That it cannot
    /// is told once.
    #[cold]
    #[inline(never)]
    pub(super) fn enter_in_passwd(&self, program: &Program, look: &dyn Fn(&Job<'_>) -> Option<Vec<u8>>) {
        // Why there is nobody is told by the start itself.
        let Ok(person) = self.person(program.user.as_ref(), c"") else { return };
        let environ = self.entries(program, &person, c"");
        let home =
            environ.map_or_else(|| crate::sys::args::environment().text("HOME"), |all| all.text("HOME"));
        let ids = person.ids.unwrap_or_else(credentials::current);
        let done = look(&|found| {
            if !credentials::add_user(ids.uid, ids.gid, home.as_deref().unwrap_or("/")) {
                found.push(b'!');
            }
        });
        if done.is_none_or(|found| !found.is_empty()) && !self.told_passwd.replace(true) {
            let uid = ids.uid.to_string();
            let text = fill!(
                "no entry for uid {} in /etc/passwd, which cannot be written here (`passwd`); a program that looks for its own name finds none",
                &uid
            );
            output::line(LogLevel::Info, "", &text);
        }
    }
}
