//! The inits that the same case is run against.

use super::{INIT, Launch};

/// Whose manners an init has: what differs between them is written down in the cases.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Rinit,
    Tini,
    DumbInit,
    Catatonit,
    /// Not an init at all: any program that a test wants as its parent.
    Other,
}

/// A program to be started as an init.
#[derive(Clone, Copy, Debug)]
pub struct Init {
    pub kind: Kind,
    /// Its path inside the namespace.
    pub path: &'static str,
}

impl Init {
    /// What this crate builds.
    pub const RINIT: Self = Self { kind: Kind::Rinit, path: INIT };
    /// Debian: `tini`.
    pub const TINI: Self = Self { kind: Kind::Tini, path: "/usr/bin/tini" };
    /// Debian: `dumb-init`.
    pub const DUMB_INIT: Self = Self { kind: Kind::DumbInit, path: "/usr/bin/dumb-init" };
    /// Debian: `catatonit`.
    pub const CATATONIT: Self = Self { kind: Kind::Catatonit, path: "/usr/bin/catatonit" };
    /// rinit under the name of each of them: with that one's command line and manners.
    pub const AS_TINI: Self = Self { kind: Kind::Tini, path: "/mnt/tini" };
    /// See [`Self::AS_TINI`].
    pub const AS_DUMB_INIT: Self = Self { kind: Kind::DumbInit, path: "/mnt/dumb-init" };
    /// See [`Self::AS_TINI`].
    pub const AS_CATATONIT: Self = Self { kind: Kind::Catatonit, path: "/mnt/catatonit" };
    /// A shell in the place of an init.
    pub const SHELL: Self = Self { kind: Kind::Other, path: "/bin/sh" };

    /// All that rinit is compared with.
    pub const PEERS: [Self; 3] = [Self::TINI, Self::DUMB_INIT, Self::CATATONIT];

    /// Where the binary under test is, outside.
    pub fn rinit_binary() -> String {
        std::env::var("RINIT_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_rinit").to_owned())
    }

    /// A start of it, without arguments.
    pub fn launch(self) -> Launch {
        Launch::new(self)
    }

    /// A start of it with this command.
    pub fn command(self, words: &[&str]) -> Launch {
        self.launch().command(words)
    }

    /// A start of it with this shell script as its command.
    pub fn sh(self, script: &str) -> Launch {
        self.command(&["sh", "-c", script])
    }

    /// rinit with this configuration.
    pub fn config(text: &str) -> Launch {
        Self::RINIT.launch().config(text)
    }
}
