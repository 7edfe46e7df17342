//! The inits that the same test case runs against.

use super::{INIT, Launch};

/// The kind of an init; the test cases list the differences.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Rinit,
    Tini,
    DumbInit,
    Catatonit,
    /// Not an init: any program that a test needs as its parent.
    Other,
}

/// A program to start as an init.
#[derive(Clone, Copy, Debug)]
pub struct Init {
    pub kind: Kind,
    /// Its path inside the namespace.
    pub path: &'static str,
}

impl Init {
    /// The rinit of this crate.
    pub const RINIT: Self = Self { kind: Kind::Rinit, path: INIT };
    /// Debian: `tini`.
    pub const TINI: Self = Self { kind: Kind::Tini, path: "/usr/bin/tini" };
    /// Debian: `dumb-init`.
    pub const DUMB_INIT: Self = Self { kind: Kind::DumbInit, path: "/usr/bin/dumb-init" };
    /// Debian: `catatonit`.
    pub const CATATONIT: Self = Self { kind: Kind::Catatonit, path: "/usr/bin/catatonit" };
    /// rinit under the name of each of them, with its command line and behaviour.
    pub const AS_TINI: Self = Self { kind: Kind::Tini, path: "/mnt/tini" };
    /// See [`Self::AS_TINI`].
    pub const AS_DUMB_INIT: Self = Self { kind: Kind::DumbInit, path: "/mnt/dumb-init" };
    /// See [`Self::AS_TINI`].
    pub const AS_CATATONIT: Self = Self { kind: Kind::Catatonit, path: "/mnt/catatonit" };
    /// A shell in place of an init.
    pub const SHELL: Self = Self { kind: Kind::Other, path: "/bin/sh" };

    /// All inits that rinit is compared with.
    pub const PEERS: [Self; 3] = [Self::TINI, Self::DUMB_INIT, Self::CATATONIT];

    /// Returns the path of the binary under test, outside the namespace.
    pub fn rinit_binary() -> String {
        std::env::var("RINIT_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_rinit").to_owned())
    }

    /// Prepares a start without arguments.
    pub fn launch(self) -> Launch {
        Launch::new(self)
    }

    /// Prepares a start with this command.
    pub fn command(self, words: &[&str]) -> Launch {
        self.launch().command(words)
    }

    /// Prepares a start with this shell script as the command.
    pub fn sh(self, script: &str) -> Launch {
        self.command(&["sh", "-c", script])
    }

    /// Prepares a start of rinit with this configuration.
    pub fn config(text: &str) -> Launch {
        Self::RINIT.launch().config(text)
    }
}
