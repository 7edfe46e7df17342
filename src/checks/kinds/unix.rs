//! `[checks.unix.PATH]`: somebody listens on a socket in the file system.

use super::common::keys::absolute_path;
use super::common::socket;
use crate::checks::{Blocking, CheckSpec, Kind, LOOK_TIMEOUT};
use crate::config::keys::{KeySpec, key};
use crate::config::read::table::Table;
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
        Box::new(move |facts| socket::look(&path, facts)),
    ))
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
