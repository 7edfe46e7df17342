//! Text -> checked configuration.

pub mod expand;
pub mod fault;
pub mod table;
pub mod tree;
pub mod when;
pub mod words;

/// placeholder
pub struct Program {}
