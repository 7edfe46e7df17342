//! Whether a program could be run by this user, and what stands in the way: for `file` and `command`.

use super::check_fn::fail;
use crate::checks::{CheckFailure, Facts};
use crate::diagnosis;
use crate::sys::executable::lookup::ExecFacts;
use crate::sys::fs::stat::Access;

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
                Some(place) => fail("no such program{}\n{}", &[place, remedy]),
                None => fail("{}\n{}", &[found, remedy]),
            }
        }
    }
}

/// What the kernel allows (an access list, a capability) outweighs what the mode's bits say.
fn allow(look: &mut ExecFacts, facts: &Facts) {
    if let Some(found) = look.found.as_mut().filter(|found| !found.folder)
        && facts.system.access(&found.path, Access::Execute).is_ok()
    {
        (found.rights.execute, found.noexec) = (true, None);
        look.obstacle = None;
    }
}
