//! The event loop's wait: signals, descriptors, the clock.

pub mod clock;
pub mod epoll;
pub mod poll;
pub mod signals;
pub mod wall_timer;
