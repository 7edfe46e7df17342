//! Descriptors that are kept for a service over its restarts (`FDSTORE=1`), and dropped when it is stopped.

use super::EventLoop;
use super::notify::ReportChannel;
use crate::cli::LogLevel;
use crate::model::ServiceId;
use crate::service::notify::NotifyMessage;
use crate::supervisor::event::{Next, Note, StopReason};
use crate::sys::event::poll::PollInterest;
use crate::sys::process::descriptors;
use crate::text::template::fill;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

/// What is kept for one service.
#[derive(Default)]
pub(super) struct FdStore {
    /// `fd_store`.
    pub(super) max: u16,
    fds: Vec<StoredFd>,
    /// Whether it was told that there is no room.
    told: bool,
}

struct StoredFd {
    name: String,
    fd: OwnedFd,
    /// Whether it is dropped once its other end is closed.
    watched: bool,
}

impl FdStore {
    /// Returns the descriptors and their names.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, RawFd)> {
        self.fds.iter().map(|stored| (stored.name.as_str(), stored.fd.as_raw_fd()))
    }

    /// Returns how many there are.
    pub(super) fn count(&self) -> u16 {
        u16::try_from(self.fds.len()).unwrap_or(u16::MAX)
    }

    /// Returns those whose other end may be closed: they are polled for nothing else.
    pub(super) fn watched(&self) -> impl Iterator<Item = PollInterest> {
        let watched = self.fds.iter().filter(|stored| stored.watched);
        watched.map(|stored| PollInterest { fd: stored.fd.as_raw_fd(), read: false, write: false })
    }

    /// Drops a descriptor whose other end is closed. Returns whether it is one of these.
    pub(super) fn hung_up(&mut self, fd: RawFd) -> bool {
        let before = self.fds.len();
        self.fds.retain(|stored| stored.fd.as_raw_fd() != fd);
        self.fds.len() < before
    }

    /// Takes what a message says of descriptors, and keeps those that came with it. Returns the first refusal.
    pub(super) fn take(&mut self, message: NotifyMessage<'_>, fds: Vec<OwnedFd>) -> Option<String> {
        let name = message.fd_name();
        if message.says("FDSTOREREMOVE") {
            self.fds.retain(|stored| stored.name != name);
        }
        if !message.says("FDSTORE") {
            return None;
        }
        let mut refused = false;
        for fd in fds {
            if self.fds.iter().any(|stored| descriptors::is_same(&stored.fd, &fd)) {
                continue;
            }
            if self.count() < self.max {
                let watched = message.value("FDPOLL") != Some(b"0");
                self.fds.push(StoredFd { name: name.to_string(), fd, watched });
            } else {
                refused = true;
            }
        }
        let first = refused && !std::mem::replace(&mut self.told, true);
        first.then(|| match self.max {
            0 => "a descriptor that it wants kept (FDSTORE=1) is closed: add fd_store = 16, or as many as there are".into(),
            max => fill!("a descriptor that it wants kept (FDSTORE=1) is closed: fd_store allows {}", &max.to_string()),
        })
    }
}

impl EventLoop {
    pub(super) fn store_of(&mut self, service: ServiceId) -> Option<&mut FdStore> {
        let channel = self.channels.iter_mut().find(|channel| channel.service() == service);
        channel.map(ReportChannel::store)
    }

    /// A message came with descriptors, or speaks of some.
    pub(super) fn take_fds(&mut self, service: ServiceId, message: NotifyMessage<'_>, fds: Vec<OwnedFd>) {
        let refused = self.store_of(service).and_then(|store| store.take(message, fds));
        if let Some(why) = refused {
            self.say(LogLevel::Warn, Some(service), &why);
        }
    }

    /// A service has ended: if it is not started again by itself, what is kept for it is dropped.
    pub(super) fn drop_stored(&mut self, note: Note) {
        if self.channels.is_empty() {
            return;
        }
        let service = match note {
            Note::Ended { service, next: Next::Stopped, cause, .. }
                if !matches!(cause, StopReason::Dependency(_) | StopReason::Reload) =>
            {
                service
            }
            Note::Ended { next: Next::Restarting { .. } | Next::Again | Next::Stopped, .. }
            | Note::NotStarted { next: Next::Restarting { .. } | Next::Again, .. } => return,
            Note::Ended { service, .. } | Note::NotStarted { service, .. } => service,
            Note::Removed { service } => {
                self.forget_channel(service);
                self.forget_main(service);
                return;
            }
            _ => return,
        };
        if let Some(store) = self.store_of(service) {
            *store = FdStore { max: store.max, ..FdStore::default() };
        }
    }
}
