//! What `unix` and `http` share: a socket in the file system, and why it does not answer.

use super::finding::{fail, failure, held};
use super::path::{denied, refused, what};
use crate::checks::{Facts, LookResult, facts};
use crate::sys::{Errno, errno};
use crate::text::template::fill;

/// Connects once.
pub(in crate::checks) fn look(path: &str, facts: &Facts) -> LookResult {
    let start =
        |found: &str| failure!("{}", found; "start what is to listen on {}, or keep trying with wait", path);
    let stat = match facts.system.stat(path) {
        Ok(stat) if stat.socket => stat,
        Ok(stat) => return fail!("{}", what(&stat); "remove it, and let the server make {}", path),
        Err(error) if errno(&error) == Errno::ENOENT => return Err(start("no such socket")),
        Err(error) => return Err(refused(path, &error, facts)),
    };
    let Err(error) = facts.system.connect_unix(path) else { return held!("{} answers", path; path) };
    Err(match errno(&error) {
        // A socket for datagrams (/dev/log) says so only when somebody has it open.
        Errno::EPROTOTYPE => return held!("{} takes messages", path; path),
        Errno::EACCES => denied(path, &stat, "writable", &error, facts, ""),
        Errno::ECONNREFUSED => start("a socket on which nobody listens"),
        _ => start(&fill!("a socket that does not answer: {}", &facts::why(&error))),
    })
}
