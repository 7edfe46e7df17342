//! Processes: start, reap, signal, look at, and what they may do.

pub mod aside;
pub mod caps;
pub mod capture;
pub mod credentials;
pub mod descriptors;
pub mod fork;
pub mod kill;
pub mod procfs;
pub mod reap;
pub mod rlimits;
pub mod spawn;
pub mod status;
