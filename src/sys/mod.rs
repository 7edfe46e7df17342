//! The shell: the only place that touches Linux, and the only place with `unsafe`.

pub mod files;
