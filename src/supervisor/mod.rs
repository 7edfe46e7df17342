//! The pure core.
pub mod event;
