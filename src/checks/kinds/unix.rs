//! `[checks.unix.PATH]`: somebody listens on a socket in the file system.

use super::common::finding::{fail, failure, held};
use super::common::keys::absolute_path;
use super::common::path::{denied, refused, what};
use crate::checks::{Blocking, CheckSpec, Facts, Kind, LOOK_TIMEOUT, LookResult, facts};
use crate::config::keys::{KeySpec, key};
use crate::config::read::table::Table;
use crate::sys::{Errno, errno};
use crate::text::template::fill;

/// `unix`
pub const KIND: Kind = Kind { name: "unix", read, ..Kind::PLAIN };

/// The keys that are its own.
#[rustfmt::skip]
pub const KEYS: &[&[KeySpec]] = &[&[
    key("path", "path", "NAME", "the path of the socket, if NAME is only a label"),
]];

fn read(name: &str, table: &Table<'_>) -> Option<CheckSpec> {
    let path = absolute_path(name, table)?;
    Some(CheckSpec::new(
        fill!("unix {}", path),
        "a socket on which somebody listens".into(),
        Blocking::Within(LOOK_TIMEOUT),
        Box::new(move |facts| look(&path, facts)),
    ))
}

pub(super) fn look(path: &str, facts: &Facts) -> LookResult {
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

#[cfg(test)]
mod tests {
    use crate::checks::facts::fake::Fake;
    use crate::checks::read::testing::{fault, one};
    use crate::sys::fs::stat::Stat;

    #[test]
    fn somebody_listens_or_nobody_does() {
        let socket = Stat { socket: true, ..Stat::default() };
        for (path, errno, ok, found) in [
            ("/run/s", 0, true, "/run/s answers"),
            ("/run/s", libc::EPROTOTYPE, true, "/run/s takes messages"),
            ("/run/s", libc::ECONNREFUSED, false, "a socket on which nobody listens"),
            ("/run/s", libc::EACCES, false, "owned by 0:0, mode 0000, not writable by uid 0"),
            (
                "/run/s",
                libc::EAGAIN,
                false,
                "a socket that does not answer: resource temporarily unavailable",
            ),
            ("/run/none", 0, false, "no such socket"),
            ("/run/file", 0, false, "a file"),
        ] {
            let fake = Fake {
                files: [
                    ("/run/s".into(), socket),
                    ("/run/file".into(), Stat { file: true, ..Stat::default() }),
                ]
                .into(),
                unix: errno,
                ..Fake::default()
            };
            let finding = one(&format!("[checks.unix.\"{path}\"]")).spec.evaluate(&fake.facts(&[]));
            assert_eq!((finding.ok, finding.found.as_str()), (ok, found), "{path} {errno}");
        }
        assert!(fault("[checks.unix.x]").contains("no absolute path"));
    }
}
