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
mod key_list_tests;
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

use crate::checks::Kind;
use crate::config::keys::KeySpec;

/// Every kind there is, from one list: what it does, and the keys that are its own.
macro_rules! registry {
    ($($kind:ident)*) => {
        /// Every kind there is.
        pub const KINDS: &[Kind] = &[$($kind::KIND),*];

        /// The keys of every kind, in parts, of which several kinds share some. Nothing at run time needs them.
        pub static KEYS: &[(&str, &[&[KeySpec]])] = &[$((stringify!($kind), $kind::KEYS)),*];
    };
}

registry! { command dir dns env exec file http kernel limit link link_target mount network port privileges tcp unix user volume }

/// The keys that every kind has.
pub static COMMON_KEYS: &[KeySpec] = common::keys::COMMON_KEYS;
