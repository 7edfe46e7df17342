//! Explains, before a start, why a program could not run.

use super::{exec, hints};
use crate::sys::Errno;
use crate::sys::executable::format::Content;
use crate::sys::executable::lookup::{ExecFacts, Found, Obstacle};

/// Returns the explanation; `None` if no problem is found.
#[must_use]
pub fn why_not(look: &ExecFacts) -> Option<String> {
    let Some(found) = &look.found else { return Some(exec(Errno::ENOENT, look)) };
    let closed = matches!(look.obstacle, Some(Obstacle::Closed(..) | Obstacle::File(_)));
    if closed || found.directory || !found.rights.execute || found.noexec.is_some() {
        return Some(exec(Errno::EACCES, look));
    }
    // An unreadable file may be a program, which need not be readable: it is only blamed once it has failed.
    if look.env_fails || super::hidden(found) && found.content != Content::Unreadable {
        return super::first_line(look);
    }
    (!sound(found)).then(|| exec(Errno::ENOEXEC, look))
}

fn sound(found: &Found) -> bool {
    match &found.content {
        Content::Script { found: Some(found), carriage_return: None, .. } => sound(found),
        Content::Elf { machine, loader } => {
            // A 64-bit machine can run programs of its 32-bit variant.
            let kin = matches!((hints::OWN_MACHINE, machine), (62, 3) | (183, 40));
            (kin || *machine == hints::OWN_MACHINE) && loader.as_ref().is_none_or(|(_, there)| *there)
        }
        Content::Unreadable => true,
        _ => false,
    }
}
