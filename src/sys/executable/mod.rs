//! Programs: whether they may be run, and what they are.

pub mod format;
pub mod lookup;
