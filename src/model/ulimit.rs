//! Resource limits.

/// Resource limits of a service, by their names in Compose and `docker run --ulimit`.
pub const ULIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// One resource limit (getrlimit(2)); `u64::MAX`: unlimited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ulimit {
    /// One of [`ULIMITS`].
    pub name: &'static str,
    /// The soft limit, in effect; the process may raise it up to the hard limit.
    pub soft: u64,
    /// The hard limit; only a privileged process may raise it.
    pub hard: u64,
}
