//! Programs: whether they can be executed, and their format.

pub mod format;
pub mod lookup;
