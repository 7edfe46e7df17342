//! The path of the control socket, and the access rights of its clients.

use crate::config::ControlSettings;
use crate::sys::Errno;
use crate::sys::container::pid_namespace;
use crate::sys::net::local::{LocalListener, PeerCredentials};
use crate::sys::process::credentials::{self, Accounts};
use crate::text::gather::Gather;
use crate::text::template::fill;

/// The default path of the socket.
pub const DEFAULT_PATH: &str = "/run/rinit.sock";

/// The uid of processes whose own uid is not mapped: it never gets access, whatever the lists say.
const OVERFLOW_UID: u32 = 65_534;

/// What a client may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rights {
    /// Everything.
    All,
    /// Everything except reading secrets.
    Orders,
    /// Read-only.
    Reading,
}

/// The path of the control socket, and the access rights of its clients.
#[derive(Debug)]
pub struct ControlAccess {
    /// As configured: a path, `@NAME` or `none`.
    named: Option<String>,
    own: u32,
    orders: Vec<u32>,
    reading: Vec<u32>,
    is_abstract: bool,
}

impl ControlAccess {
    /// Builds it from `$RINIT_SOCKET` and `[control]`. Also returns a message per unknown name in the access lists.
    #[must_use]
    pub fn new(variable: Option<&str>, settings: &ControlSettings) -> (Self, Vec<String>) {
        let mut faults = Vec::new();
        let is_listed = !settings.allow.is_empty() || !settings.read_only.is_empty();
        let accounts = if is_listed { Accounts::read() } else { Accounts::default() };
        let mut uids = |key: &str, list: &[String]| -> Vec<u32> {
            let known = |name: &String| {
                let uid = accounts.uid(name).filter(|uid| *uid != OVERFLOW_UID);
                if uid.is_none() {
                    let why =
                        if accounts.uid(name).is_some() { "is let in by no list" } else { "is nobody here" };
                    faults.push(fill!("[control] {}: \"{}\" {}", key, name, why));
                }
                uid
            };
            list.iter().filter_map(known).gather()
        };
        let orders = uids("allow", &settings.allow);
        let reading = uids("read_only", &settings.read_only);
        let variable = variable.filter(|value| !value.is_empty());
        let named = variable.map(str::to_string).or_else(|| settings.socket.clone());
        let own = credentials::current().uid;
        (Self { named, own, orders, reading, is_abstract: false }, faults)
    }

    /// Listens, unless disabled.
    pub(super) fn bind(&mut self) -> Result<Option<LocalListener>, String> {
        let mode = if self.orders.is_empty() && self.reading.is_empty() { 0o600 } else { 0o666 };
        if let Some(name) = &self.named {
            if name == "none" {
                return Ok(None);
            }
            self.is_abstract = name.starts_with('@');
            let why = |errno: Errno| {
                let reason = if errno == Errno::EADDRINUSE {
                    "somebody else listens there"
                } else {
                    crate::sys::describe(errno)
                };
                fill!("no control socket at {} ({}): rinitctl cannot reach this rinit", name, reason)
            };
            return LocalListener::bind(name, mode).map(Some).map_err(why);
        }
        self.is_abstract = false;
        if let Ok(listener) = LocalListener::bind(DEFAULT_PATH, mode) {
            return Ok(Some(listener));
        }
        self.is_abstract = true;
        let name = abstract_name(crate::sys::pid());
        LocalListener::bind(&name, mode).map(Some).map_err(|errno| {
            let places = fill!("{} or {}", DEFAULT_PATH, name);
            fill!(
                "no control socket at {} ({}): rinitctl cannot reach this rinit",
                places,
                crate::sys::describe(errno)
            )
        })
    }

    /// Returns the socket's name.
    pub(super) fn name(&self) -> String {
        match &self.named {
            Some(name) => name.clone(),
            None if self.is_abstract => abstract_name(crate::sys::pid()),
            None => DEFAULT_PATH.into(),
        }
    }

    /// Returns what a client may do; `None`: no access.
    pub(super) fn rights_of(&self, peer: PeerCredentials) -> Option<Rights> {
        // An abstract name is visible in the whole network namespace; only accept clients of this PID namespace.
        if self.is_abstract && peer.pid == 0 {
            return None;
        }
        if peer.uid == 0 || peer.uid == self.own {
            return Some(Rights::All);
        }
        if peer.uid == OVERFLOW_UID {
            return None;
        }
        let orders = self.orders.contains(&peer.uid).then_some(Rights::Orders);
        orders.or_else(|| self.reading.contains(&peer.uid).then_some(Rights::Reading))
    }
}

/// Returns the abstract name of the rinit with this pid.
#[must_use]
pub fn abstract_name(pid: crate::model::Pid) -> String {
    fill!("@rinit-{}-{}", &pid_namespace().to_string(), &pid.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::access::*;

    #[test]
    fn nobody_is_let_in_by_a_name_and_root_always_is() {
        let settings = ControlSettings {
            socket: None,
            allow: vec!["1234".into(), "65534".into()],
            read_only: vec!["4321".into(), "no-such-user".into()],
            http: None,
        };
        let (mut access, faults) = ControlAccess::new(None, &settings);
        access.own = 7;
        assert_eq!(faults.len(), 2, "{faults:?}");
        let rights = |uid, pid| access.rights_of(PeerCredentials { pid, uid });
        assert_eq!(rights(0, 0), Some(Rights::All));
        assert_eq!(rights(7, 1), Some(Rights::All));
        assert_eq!(rights(1234, 1), Some(Rights::Orders));
        assert_eq!(rights(4321, 1), Some(Rights::Reading));
        assert_eq!((rights(65_534, 1), rights(5, 1)), (None, None));
        access.is_abstract = true;
        let rights = |uid, pid| access.rights_of(PeerCredentials { pid, uid });
        assert_eq!((rights(0, 0), rights(0, 9)), (None, Some(Rights::All)));
    }
}
