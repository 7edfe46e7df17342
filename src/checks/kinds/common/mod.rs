//! What several kinds are made of.

pub(crate) mod content;
pub(crate) mod docker;
pub mod ensure;
pub(crate) mod finding;
pub(crate) mod keys;
pub(crate) mod mounted;
pub(crate) mod path;
pub(crate) mod peer;
pub(crate) mod program;
pub(crate) mod socket;
