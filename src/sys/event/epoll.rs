//! Waits for many descriptors, in a helper that has hundreds (epoll(7)).

use super::clock;
use crate::model::Moment;
use crate::sys::Errno;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

/// When a descriptor is reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interest {
    /// Once per arrival of new input (edge-triggered): unread input is not reported again.
    NewInput,
    /// While there is something to read (level-triggered).
    Input,
    /// Once, when there is room to write.
    RoomOnce,
}

/// A set of descriptors, each with a number that its owner chooses.
pub struct Epoll {
    fd: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Epoll {
    /// Creates an empty set.
    pub fn new() -> Result<Self, Errno> {
        // SAFETY: a new descriptor, owned from here on.
        let fd = unsafe { OwnedFd::from_raw_fd(Errno::result(libc::epoll_create1(libc::EPOLL_CLOEXEC))?) };
        let none = libc::epoll_event { events: 0, u64: 0 };
        Ok(Self { fd, events: vec![none; 64] })
    }

    /// Returns its descriptor.
    #[must_use]
    pub fn raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Removes a descriptor.
    pub fn forget(&self, fd: RawFd) -> Result<(), Errno> {
        let none = std::ptr::null_mut();
        // SAFETY: integers only.
        Errno::result(unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), libc::EPOLL_CTL_DEL, fd, none) })
            .map(drop)
    }

    /// Adds a descriptor or changes its interest. EPERM: a regular file, which never blocks.
    pub fn watch(&self, fd: RawFd, number: u64, interest: Interest) -> Result<(), Errno> {
        let flags = match interest {
            Interest::NewInput => libc::EPOLLIN | libc::EPOLLET,
            Interest::Input => libc::EPOLLIN,
            Interest::RoomOnce => libc::EPOLLOUT | libc::EPOLLONESHOT,
        };
        let mut event = libc::epoll_event { events: flags.cast_unsigned(), u64: number };
        let set = self.fd.as_raw_fd();
        // SAFETY: an entry of ours, borrowed for the call.
        let added = Errno::result(unsafe { libc::epoll_ctl(set, libc::EPOLL_CTL_ADD, fd, &raw mut event) });
        if added == Err(Errno::EEXIST) {
            // SAFETY: as above.
            let changed = unsafe { libc::epoll_ctl(set, libc::EPOLL_CTL_MOD, fd, &raw mut event) };
            return Errno::result(changed).map(drop);
        }
        added.map(drop)
    }

    /// Waits at most until `until`; appends the numbers of ready descriptors to `ready`.
    pub fn wait(&mut self, until: Option<Moment>, ready: &mut Vec<u64>) {
        let timeout = until.map_or(-1, |until| {
            let left = until.since(clock::now());
            // Rounded up: an early wake-up would only wait again.
            i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX)
        });
        let most = i32::try_from(self.events.len()).unwrap_or(1);
        // SAFETY: the buffer has that many entries.
        let count = unsafe { libc::epoll_wait(self.fd.as_raw_fd(), self.events.as_mut_ptr(), most, timeout) };
        let count = usize::try_from(count).unwrap_or(0);
        ready.extend(self.events.iter().take(count).map(|event| event.u64));
    }
}
