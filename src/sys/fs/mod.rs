//! Files, directories, mounts.

pub mod access;
pub mod digest;
pub mod dir;
pub mod files;
pub mod mounts;
pub mod stat;
