//! From files to one tree: which files, the TOML parser, the merge, and diagnostics that know their place.

pub mod diagnostic;
pub mod document;
pub mod files;
pub mod grouping;
pub mod key_places;
mod open_table;
mod tree;
