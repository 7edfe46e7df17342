//! What a service listens on (`sockets`), as it is written.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest path or name of a Unix socket (unix(7)), without the NUL.
pub const MAX_UNIX_PATH: usize = 107;

/// An address that a socket is bound to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ListenAddress {
    /// IPv4 or IPv6, not both.
    Inet(SocketAddr),
    /// A port of all addresses, IPv6 ones too where there is IPv6.
    Port(u16),
    /// A Unix socket in the file system.
    Path(String),
    /// A Unix socket with an abstract name, here without its `@`.
    Abstract(String),
}

impl ListenAddress {
    /// Returns the addresses that it takes, the preferred one first; none for a Unix socket.
    pub fn inet(&self) -> impl Iterator<Item = SocketAddr> {
        let (first, second) = match self {
            Self::Inet(address) => (Some(*address), None),
            Self::Port(port) => {
                (Some((Ipv6Addr::UNSPECIFIED, *port).into()), Some((Ipv4Addr::UNSPECIFIED, *port).into()))
            }
            Self::Path(_) | Self::Abstract(_) => (None, None),
        };
        first.into_iter().chain(second)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Port(port) => write!(f, "port {port}"),
            Self::Path(path) => f.write_str(path),
            Self::Abstract(name) => write!(f, "@{name}"),
        }
    }
}

/// One socket that rinit opens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListenSpec {
    /// Where.
    pub address: ListenAddress,
    /// UDP, or Unix datagrams; otherwise connections.
    pub datagram: bool,
    /// How many connections may wait; `None`: as many as the kernel allows.
    pub backlog: Option<u32>,
    /// Whether others may bind the same address (SO_REUSEPORT).
    pub reuse_port: bool,
    /// Of a Unix socket's file: its mode, and its owner and group by name or number.
    pub mode: u32,
    /// See `mode`.
    pub owner: Option<String>,
    /// See `mode`.
    pub group: Option<String>,
}

impl ListenSpec {
    /// Returns whether both are the same place: only one of them can be bound.
    #[must_use]
    pub fn is_same_place(&self, other: &Self) -> bool {
        self.address == other.address && self.datagram == other.datagram
    }

    /// Reads an address: `0.0.0.0:80`, `[::]:80`, `:80` or `80` (all addresses), `0.0.0.0:53/udp`, a path, or `@NAME`.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "expected an address with a port, such as \"0.0.0.0:80\", \"[::]:80\" or \":80\" (all addresses), with \"/udp\" for UDP, an absolute path, or \"@NAME\"; names of hosts are not looked up";
        let unix = |name: &str| {
            if name.len() > MAX_UNIX_PATH {
                Err("is longer than the 107 bytes that the kernel allows")
            } else {
                Ok(name.to_string())
            }
        };
        let plain = |address, datagram| Self {
            address,
            datagram,
            backlog: None,
            reuse_port: false,
            mode: 0o666,
            owner: None,
            group: None,
        };
        if text.starts_with('/') {
            return unix(text).map(|path| plain(ListenAddress::Path(path), false));
        }
        if let Some(name) = text.strip_prefix('@').filter(|name| !name.is_empty()) {
            return unix(name).map(|name| plain(ListenAddress::Abstract(name), false));
        }
        let (place, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let port = place.strip_prefix("*:").or(place.strip_prefix(':')).unwrap_or(place);
        let address = match (port.parse(), place.parse::<SocketAddr>()) {
            (Ok(port), _) if port > 0 => ListenAddress::Port(port),
            (_, Ok(address)) if address.port() > 0 => ListenAddress::Inet(address),
            _ => return Err(EXPECTED),
        };
        match protocol {
            "tcp" => Ok(plain(address, false)),
            "udp" => Ok(plain(address, true)),
            _ => Err(EXPECTED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_docker_and_systemd_write_it() {
        for (text, want) in [
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::1]:80", "[::1]:80"),
            (":80", "port 80"),
            ("*:80", "port 80"),
            ("80", "port 80"),
            ("127.0.0.1:53/udp", "127.0.0.1:53 datagram"),
            ("53/udp", "port 53 datagram"),
            ("80/tcp", "port 80"),
            ("/run/a/udp", "/run/a/udp"),
            ("@name", "@name"),
        ] {
            let spec = ListenSpec::parse(text).expect(text);
            let datagram = if spec.datagram { " datagram" } else { "" };
            assert_eq!(format!("{}{datagram}", spec.address), want, "{text}");
        }
        for text in ["", "@", "localhost:80", "0.0.0.0", ":0", "0", "70000", "80/sctp", "::1:80x", "run/a"] {
            assert!(ListenSpec::parse(text).is_err(), "{text}");
        }
        assert!(ListenSpec::parse(&format!("/{}", "a".repeat(106))).is_ok());
        assert!(ListenSpec::parse(&format!("/{}", "a".repeat(107))).is_err());
    }
}
