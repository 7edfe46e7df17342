//! Pure functions on texts and lists, which know nobody else in the crate.

pub mod sort;
