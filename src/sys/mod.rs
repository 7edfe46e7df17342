//! The shell: the only place that touches Linux, and the only place with `unsafe`.

pub mod disk;
pub mod mounts;
pub mod net;
pub mod users;
