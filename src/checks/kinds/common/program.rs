//! Whether a program could be run by this user, and what stands in the way: and what it does when it is: for `file`, `command` and `exec`.

use super::finding::{fail, failure};
use crate::checks::{CheckFailure, Facts};
use crate::diagnosis;
use crate::sys::Errno;
use crate::sys::executable::lookup::ExecFacts;
use crate::sys::fs::stat::Access;
use crate::sys::process::capture::Ran;
use crate::text::units::show_duration;
use std::time::Duration;

/// Whether the program at a path, or of a name in PATH, can be run; where it is.
pub(in crate::checks) fn runs(word: &str, facts: &Facts) -> Result<String, CheckFailure> {
    let mut look = facts.system.look(word, facts.environ.bytes("PATH"));
    allow(&mut look, facts);
    match diagnosis::why_not(&look) {
        None => Ok(look.found.map_or_else(String::new, |found| found.path)),
        Some(why) => {
            let (found, remedy) = why.split_once("; ").unwrap_or((&why, ""));
            // "found not found" is no way to say it.
            match found.strip_prefix("not found") {
                Some(place) => fail!("no such program{}", place; "{}", remedy),
                None => fail!("{}", found; "{}", remedy),
            }
        }
    }
}

/// What the kernel allows (an access list, a capability) outweighs what the mode's bits say.
fn allow(look: &mut ExecFacts, facts: &Facts) {
    if let Some(found) = look.found.as_mut().filter(|found| !found.directory)
        && facts.system.access(&found.path, Access::Execute).is_ok()
    {
        (found.rights.execute, found.noexec) = (true, None);
        look.obstacle = None;
    }
}

/// The first line that says something.
pub(in crate::checks) fn first_line<'t>(mut lines: impl Iterator<Item = &'t str>) -> &'t str {
    lines.find(|line| !line.trim().is_empty()).map_or("", str::trim)
}

/// Runs a command to its end within `timeout`. Its path, and what it did.
pub(in crate::checks) fn output_of(
    argv: &[String],
    timeout: Duration,
    facts: &Facts,
) -> Result<(String, Ran), CheckFailure> {
    let path = runs(argv.first().map_or("", String::as_str), facts)?;
    let ran = facts.system.run(&path, argv, facts.environ.entries(), timeout).map_err(|error| match error
        .errno
    {
        Errno::EAGAIN => {
            failure!("no process for {}", &path; "raise the limit of processes (docker run --pids-limit)")
        }
        errno => failure!("{} cannot be started: {}", &path, crate::sys::describe(errno); "mend that, or try it by hand"),
    })?;
    if ran.outcome.is_none() {
        return fail!("{} still running after {}, and killed", &path, &show_duration(timeout); "look why it hangs, or give it a longer timeout");
    }
    Ok((path, ran))
}
