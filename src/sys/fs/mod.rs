//! Files, directories, mounts.

pub mod access;
pub mod copy;
pub mod digest;
pub mod dir;
pub mod files;
pub mod logfile;
pub mod memory_file;
pub mod mounts;
pub mod pin;
pub mod pipe;
pub mod place;
pub mod publish;
pub mod resolve;
pub mod shared;
pub mod stat;
pub mod templates;
pub mod trust;
pub mod walk;
