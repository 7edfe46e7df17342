//! `[checks.port.NUMBER]`: a network port of this container is free for its service, or somebody listens on it.

use super::common::finding::{fail, failure, held};
use crate::checks::{Blocking, CheckFailure, CheckSpec, Facts, Kind, LookResult, facts};
use crate::config::keys::{KeySpec, key};
use crate::config::read::table::Table;
use crate::diagnosis::unbound::UnboundPort;
use crate::sys::net::Protocol;
use crate::sys::{Errno, errno};
use crate::text::template::fill;
use crate::text::words::words;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// `port`
pub const KIND: Kind = Kind { name: "port", read, ..Kind::PLAIN };

/// The keys that are its own.
#[rustfmt::skip]
pub const KEYS: &[&[KeySpec]] = &[&[
    key("port", "number", "NAME", "the port, if NAME is only a label"),
    key("address", "address", "all", "the local address"),
    key("protocol", "word", "\"tcp\"", "\"tcp\" or \"udp\""),
    key("state", "word", "\"free\"", "\"free\" (this user can bind it) or \"listening\""),
]];

/// How long a connection may take where /proc does not tell who listens.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum PortState {
    #[default]
    Free,
    Listening,
}

words!(PortState { "free" => Free, "listening" => Listening });

struct Port {
    port: u16,
    /// `None`: all addresses.
    address: Option<IpAddr>,
    protocol: Protocol,
    state: PortState,
}

fn read(name: &str, table: &Table<'_>) -> Option<CheckSpec> {
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
    let expected = match state {
        PortState::Free => "a port that is free for this user",
        PortState::Listening => "somebody who listens",
    };
    let port = Port { port: port?, address, protocol, state };
    Some(CheckSpec::new(
        port.subject(),
        expected.into(),
        Blocking::Never,
        Box::new(move |facts| port.look(facts)),
    ))
}

impl Port {
    fn subject(&self) -> String {
        let port = self.port.to_string();
        let protocol = if self.protocol == Protocol::Udp { "/udp" } else { "" };
        let at = self.address.map_or_else(String::new, |_| fill!(" at {}", &self.place()));
        fill!("port {}{}{}", &port, protocol, &at)
    }

    fn look(&self, facts: &Facts) -> LookResult {
        match self.state {
            PortState::Free => self.judge_free(facts),
            PortState::Listening => self.judge_listening(facts),
        }
    }

    fn place(&self) -> String {
        self.address.map_or_else(
            || fill!("port {}", &self.port.to_string()),
            |at| SocketAddr::new(at, self.port).to_string(),
        )
    }

    fn judge_free(&self, facts: &Facts) -> LookResult {
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
            return Err(self.refused(&error, facts));
        }
        held!("{} free", &self.place(); &self.port.to_string())
    }

    fn refused(&self, error: &io::Error, facts: &Facts) -> CheckFailure {
        let place = self.place();
        match errno(error) {
            errno @ (Errno::EADDRINUSE | Errno::EACCES | Errno::EADDRNOTAVAIL) => {
                let unbound = UnboundPort {
                    place: &place,
                    errno,
                    holder: &|| facts.system.holder(self.protocol, &|socket| self.in_the_way(socket)),
                    uid: facts.system.current().uid,
                    lowest: &|| facts.system.unprivileged_port_start(),
                };
                let (found, remedy) = unbound.told();
                CheckFailure { may_change: errno != Errno::EACCES, ..CheckFailure::new(found, remedy) }
            }
            _ => failure!("{} refused: {}", &place, &facts::why(error); "use another port"),
        }
    }

    fn judge_listening(&self, facts: &Facts) -> LookResult {
        let place = self.place();
        let listens = match facts.system.listening(self.protocol) {
            Ok(sockets) => sockets.iter().any(|socket| self.serves(*socket)),
            // Without /proc only an answer tells.
            Err(_) if self.protocol == Protocol::Tcp => {
                let address = self.address.unwrap_or(Ipv4Addr::LOCALHOST.into());
                facts.system.connect(SocketAddr::new(address, self.port), CONNECT_TIMEOUT).is_ok()
            }
            Err(error) => {
                return fail!("no list of sockets: {}", &facts::why(&error); "mount /proc in the container");
            }
        };
        if listens {
            return held!("somebody listens on {}", &place; &self.port.to_string());
        }
        fail!("nobody listens on {}", &place; "start what is to listen on {}, or keep trying with wait", &place)
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
    use crate::checks::Finding;
    use crate::checks::facts::fake::Fake;
    use crate::checks::read::testing::{fault, one};
    use crate::sys::process::credentials::Identity;
    use std::cell::RefCell;

    fn evaluate(text: &str, fake: Fake) -> Finding {
        one(text).spec.evaluate(&fake.facts(&[]))
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
        assert_eq!(one("[checks.port.53]\nprotocol = \"udp\"").spec.subject, "port 53/udp");
    }

    #[test]
    fn what_is_no_port_is_a_fault() {
        assert!(fault("[checks.port.web]").contains("is no port"));
        assert!(fault("[checks.port.0]").contains("is no port"));
        assert!(fault("[checks.port.web]\nport = 70000").contains("from 1 to 65535"));
        assert!(fault("[checks.port.80]\naddress = \"web\"").contains("no IP address"));
    }
}
