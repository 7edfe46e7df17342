//! `[checks.port.NUMBER]`: a network port of this container is free for its service, or somebody listens on it.

use crate::checks::{Evaluate, Facts, Finding, Kind, facts};
use crate::config::read::table::Table;
use crate::sys::net::Protocol;
use crate::sys::{Errno, errno};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// `port`
pub const KIND: Kind = Kind { name: "port", read, ..Kind::PLAIN };

const LOOK_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum PortState {
    #[default]
    Free,
    Listening,
}

struct Port {
    port: u16,
    /// `None`: all addresses.
    address: Option<IpAddr>,
    protocol: Protocol,
    state: PortState,
}

fn read(name: &str, table: &Table<'_>) -> Option<Box<dyn Evaluate>> {
    let written = table.node("port").is_some();
    let mut port = table.integer("port", 1, 65535).and_then(|port| u16::try_from(port).ok());
    if !written {
        port = name.parse().ok().filter(|port| *port > 0);
        if port.is_none() {
            table.fault_here("is no port; expected a number from 1 to 65535, or a key port");
        }
    }
    let address = table.text("address").and_then(|text| {
        let address = text.parse().ok();
        if address.is_none() {
            table.fault(
                "address",
                "is no IP address; expected one of this container's, such as \"127.0.0.1\"",
            );
        }
        address
    });
    let protocol = table.word("protocol").unwrap_or_default();
    let state = table.word("state").unwrap_or_default();
    Some(Box::new(Port { port: port?, address, protocol, state }))
}

impl Evaluate for Port {
    fn subject(&self) -> String {
        let address = self.address.map_or_else(String::new, |_| format!(" at {}", self.place()));
        let protocol = if self.protocol == Protocol::Udp { "/udp" } else { "" };
        format!("port {}{protocol}{address}", self.port)
    }

    fn expected(&self) -> String {
        match self.state {
            PortState::Free => "a port that is free for this user".into(),
            PortState::Listening => "somebody who listens".into(),
        }
    }

    fn evaluate(&self, facts: &Facts) -> Finding {
        match self.state {
            PortState::Free => self.judge_free(facts),
            PortState::Listening => self.judge_listening(facts),
        }
    }
}

impl Port {
    fn place(&self) -> String {
        self.address
            .map_or_else(|| format!("port {}", self.port), |at| SocketAddr::new(at, self.port).to_string())
    }

    fn judge_free(&self, facts: &Facts) -> Finding {
        let both = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        let addresses = self.address.map_or_else(|| both.to_vec(), |address| vec![address]);
        for address in addresses {
            let error = match facts.system.bind(SocketAddr::new(address, self.port), self.protocol) {
                Ok(()) => continue,
                Err(error) => error,
            };
            // A container without IPv6 has nothing there that could be taken.
            let no_family = matches!(errno(&error), Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL);
            if no_family && self.address.is_none() {
                continue;
            }
            return self.refused(&error, facts);
        }
        Finding::pass(format!("{} free", self.place()), self.port.to_string())
    }

    fn refused(&self, error: &io::Error, facts: &Facts) -> Finding {
        let place = self.place();
        match errno(error) {
            Errno::EADDRINUSE => {
                // One that is not in this PID namespace, or is another user's, is not told.
                let by = facts.system.holder(self.protocol, &|socket| self.in_the_way(socket));
                let (by, what) = match &by {
                    Some((name, pid)) => (format!("{name} (pid {pid})"), name.as_str()),
                    None => ("another process".into(), "what listens"),
                };
                Finding::fail(
                    format!("{place} taken by {by}"),
                    format!("stop {what} on {place} in this network namespace, or use another port"),
                )
            }
            Errno::EACCES => {
                let (uid, start) = (facts.system.current().uid, facts.system.unprivileged_port_start());
                let found = format!(
                    "{place} refused to uid {uid}: below net.ipv4.ip_unprivileged_port_start = {start} and without \
                     CAP_NET_BIND_SERVICE"
                );
                // What --cap-add gives, root alone has.
                let may = if uid == 0 {
                    "docker run --cap-add NET_BIND_SERVICE"
                } else {
                    "docker run --sysctl net.ipv4.ip_unprivileged_port_start=0"
                };
                let remedy = format!("use a port of {start} or more, or {may}");
                Finding::fail_for_good(found, remedy)
            }
            Errno::EADDRNOTAVAIL => Finding::fail(
                format!("{place}, whose address no interface has"),
                "correct address, or connect the container to that network".into(),
            ),
            _ => Finding::fail(format!("{place} refused: {}", facts::why(error)), "use another port".into()),
        }
    }

    fn judge_listening(&self, facts: &Facts) -> Finding {
        let place = self.place();
        let listens = match facts.system.listening(self.protocol) {
            Ok(sockets) => sockets.iter().any(|socket| self.serves(*socket)),
            // Without /proc only an answer tells.
            Err(_) if self.protocol == Protocol::Tcp => {
                let address = self.address.unwrap_or(Ipv4Addr::LOCALHOST.into());
                facts.system.connect(SocketAddr::new(address, self.port), LOOK_TIMEOUT).is_ok()
            }
            Err(error) => {
                let found = format!("no list of sockets: {}", facts::why(&error));
                return Finding::fail(found, "mount /proc in the container".into());
            }
        };
        if listens {
            return Finding::pass(format!("somebody listens on {place}"), self.port.to_string());
        }
        let found = format!("nobody listens on {place}");
        Finding::fail(found, format!("start what is to listen on {place}, or keep trying with wait"))
    }

    fn in_the_way(&self, socket: SocketAddr) -> bool {
        let all = self.address.is_some_and(|address| address.is_unspecified());
        self.serves(socket) || all && socket.port() == self.port
    }

    fn serves(&self, socket: SocketAddr) -> bool {
        let any = match (socket.ip(), self.address) {
            // [::] takes IPv4 as well, as most programs have it.
            (IpAddr::V6(ip), _) => ip.is_unspecified(),
            (IpAddr::V4(ip), Some(IpAddr::V4(_)) | None) => ip.is_unspecified(),
            _ => false,
        };
        socket.port() == self.port && (any || self.address.is_none_or(|address| address == socket.ip()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::port::*;
    use crate::checks::facts::fake::Fake;
    use crate::checks::read::testing::{fault, one};
    use crate::sys::process::credentials::Identity;
    use std::cell::RefCell;

    fn evaluate(text: &str, fake: Fake) -> Finding {
        one(text).evaluate.evaluate(&fake.facts(&[]))
    }

    #[test]
    fn a_port_is_free_taken_or_forbidden() {
        let refused = |errno| Fake { unbindable: [(80, errno)].into(), ..Fake::default() };
        let free = evaluate("[checks.port.8080]", refused(libc::EACCES));
        assert_eq!((free.ok, free.value.as_deref()), (true, Some("8080")));
        let taken = evaluate("[checks.port.80]", refused(libc::EADDRINUSE));
        assert_eq!((taken.found.as_str(), taken.may_change), ("port 80 taken by another process", true));
        let holder = |at: &str| Some((at.parse().expect("address"), "nginx", 7));
        let held = |keys: &str, at| {
            let fake = Fake { holder: holder(at), ..refused(libc::EADDRINUSE) };
            evaluate(&format!("[checks.port.80]\n{keys}"), fake).found
        };
        assert_eq!(held("", "127.0.0.1:80"), "port 80 taken by nginx (pid 7)");
        assert_eq!(held("address = \"0.0.0.0\"", "127.0.0.1:80"), "0.0.0.0:80 taken by nginx (pid 7)");
        assert_eq!(held("", "127.0.0.1:81"), "port 80 taken by another process");
        assert!(evaluate("[checks.port.81]", Fake { holder: holder("[::]:80"), ..Fake::default() }).ok);
        let forbidden = evaluate("[checks.port.web]\nport = 80", refused(libc::EACCES));
        assert!(forbidden.found.contains("ip_unprivileged_port_start = 1024"), "{forbidden:?}");
        assert!(forbidden.remedy.ends_with("--cap-add NET_BIND_SERVICE") && !forbidden.may_change);
        // To a user who is not root --cap-add gives nothing.
        let current = RefCell::new(Identity { uid: 1000, ..Identity::default() });
        let user = evaluate("[checks.port.80]", Fake { current, ..refused(libc::EACCES) });
        assert!(user.remedy.ends_with("--sysctl net.ipv4.ip_unprivileged_port_start=0"), "{user:?}");
        assert!(evaluate("[checks.port.80]", refused(libc::EAFNOSUPPORT)).ok);
        assert!(!evaluate("[checks.port.80]\naddress = \"10.9.9.9\"", refused(libc::EADDRNOTAVAIL)).ok);
    }

    #[test]
    fn somebody_listens_or_nobody_does() {
        let fake = |at: &str| Fake { listening: vec![at.parse().expect("address")], ..Fake::default() };
        for (keys, at, ok) in [
            ("", "0.0.0.0:80", true),
            ("", "127.0.0.1:80", true),
            ("", "[::]:80", true),
            ("", "0.0.0.0:81", false),
            ("address = \"127.0.0.1\"", "127.0.0.1:80", true),
            ("address = \"127.0.0.1\"", "[::]:80", true),
            ("address = \"127.0.0.1\"", "10.0.0.1:80", false),
            ("address = \"::1\"", "0.0.0.0:80", false),
        ] {
            let text = format!("[checks.port.80]\nstate = \"listening\"\n{keys}");
            assert_eq!(evaluate(&text, fake(at)).ok, ok, "{keys} {at}");
        }
        assert_eq!(one("[checks.port.53]\nprotocol = \"udp\"").evaluate.subject(), "port 53/udp");
    }

    #[test]
    fn what_is_no_port_is_a_fault() {
        assert!(fault("[checks.port.web]").contains("is no port"));
        assert!(fault("[checks.port.0]").contains("is no port"));
        assert!(fault("[checks.port.web]\nport = 70000").contains("from 1 to 65535"));
        assert!(fault("[checks.port.80]\naddress = \"web\"").contains("no IP address"));
    }
}
