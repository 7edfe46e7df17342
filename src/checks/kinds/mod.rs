//! The kinds of check, one file each, and what they share.

pub(crate) mod command;
pub mod common;
pub(crate) mod dir;
pub(crate) mod dns;
pub mod env;
pub(crate) mod exec;
pub(crate) mod file;
pub(crate) mod http;
pub(crate) mod kernel;
#[cfg(test)]
pub(crate) mod key_tests;
pub(crate) mod limit;
pub mod link;
pub(crate) mod link_target;
pub mod mount;
pub mod network;
pub mod port;
pub(crate) mod privileges;
pub(crate) mod tcp;
pub(crate) mod unix;
pub mod user;
pub mod volume;
