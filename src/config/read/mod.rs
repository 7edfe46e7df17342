//! From the tree to typed values: tables and their keys, interpolation, conditions.

pub mod command_line;
pub mod condition;
pub mod context;
pub mod env_file;
pub mod foreign;
pub mod interpolate;
pub mod scalar;
mod shell_line;
pub mod table;
