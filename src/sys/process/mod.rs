//! Processes: start, reap, signal, inspect, and their privileges and limits.

pub mod aside;
pub mod caps;
pub mod capture;
pub mod credentials;
pub mod descriptors;
pub mod fork;
pub mod kill;
pub mod privileges;
pub mod procfs;
pub mod reap;
pub mod rlimits;
pub mod spawn;
pub mod status;
