//! One service's process: from its configuration to what runs.

pub mod context;
pub mod exports;
pub mod launcher;
