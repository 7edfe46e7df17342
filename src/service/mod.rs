//! From the configuration of one service to its running process.

pub mod context;
mod credentials;
pub mod exports;
pub mod extras;
mod hook;
pub mod launcher;
pub mod notify;
mod passwd;
pub mod probe;
mod rights;
pub mod sockets;
