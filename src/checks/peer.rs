//! What `tcp` and `http` share: a host and a port, found and reached.

use super::asked::{failure, text};
use super::{Facts, Failure, facts};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long an answer may take, unless the check says otherwise.
pub(super) const TIMEOUT: Duration = Duration::from_secs(3);

/// Somebody on the network.
pub(super) struct Peer {
    pub host: String,
    pub port: u16,
}

impl Peer {
    /// `host:port`, `[::1]:port`; without a port the default one. `None`: neither.
    pub fn parse(text: &str, port: Option<u16>) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, port),
            Some((host, rest)) => (host, rest.strip_prefix(':')?.parse().ok()),
            None => match text.split_once(':') {
                // An IPv6 address by itself.
                Some((_, rest)) if rest.contains(':') => (text, port),
                Some((host, port)) => (host, port.parse().ok()),
                None => (text, port),
            },
        };
        let fits =
            !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/');
        Some(Self { host: host.to_string(), port: port.filter(|port| *port > 0 && fits)? })
    }

    /// `host:port`
    pub fn shown(&self) -> String {
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        [open, &self.host, close, ":", &self.port.to_string()].concat()
    }

    /// Tries each address of the host until one does.
    pub fn reach(
        &self,
        facts: &Facts,
        attempt: &mut dyn FnMut(SocketAddr) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let addresses = addresses(&self.host, facts)?;
        let mut why = String::new();
        for address in addresses {
            let Err(error) = attempt(SocketAddr::new(address, self.port)) else { return Ok(()) };
            let comma = if why.is_empty() { "" } else { ", " };
            why.push_str(&[comma, &address.to_string(), ": ", &facts::why(&error)].concat());
        }
        let shown = self.shown();
        Err(failure(
            "no answer from {}\nstart what is to listen at {}, correct the address, or keep trying with wait",
            &[&why, &shown],
        ))
    }
}

/// Why the resolver has no address.
pub(super) fn unresolved(error: &io::Error) -> String {
    let why = facts::why(error).to_ascii_lowercase();
    match why.strip_prefix("failed to lookup address information: ").unwrap_or(&why) {
        // What the C library says when no server has said anything.
        "try again" | "temporary failure in name resolution" => "no name server answers".into(),
        why => why.into(),
    }
}

/// The addresses of a host; at least one.
pub(super) fn addresses(host: &str, facts: &Facts) -> Result<Vec<IpAddr>, Failure> {
    let why = match facts.system.resolve(host) {
        Ok(found) if !found.is_empty() => return Ok(found),
        Ok(_) => String::from("it has no address"),
        Err(error) => unresolved(&error),
    };
    // Which server was asked is half of the diagnosis.
    let config = text(facts, "/etc/resolv.conf").unwrap_or_default();
    let servers = config.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    let servers = servers.map(str::trim).collect::<Vec<_>>().join(", ");
    let servers = if servers.is_empty() { "none" } else { &servers };
    Err(failure(
        "no address of {}: {} (name servers: {})\ncorrect the name, or join the network on which {} is known",
        &[host, &why, servers, host],
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_server_that_is_silent_is_another_fault_than_a_name_that_is_not_there() {
        for (text, want) in [
            ("failed to lookup address information: Try again", "no name server answers"),
            ("failed to lookup address information: Name does not resolve", "name does not resolve"),
        ] {
            assert_eq!(unresolved(&io::Error::other(text)), want);
        }
    }

    #[test]
    fn a_peer_is_a_host_and_a_port() {
        for (text, default, want) in [
            ("db:5432", None, Some("db:5432")),
            ("db", Some(80), Some("db:80")),
            ("[::1]:80", None, Some("[::1]:80")),
            ("[::1]", Some(80), Some("[::1]:80")),
            ("::1", Some(80), Some("[::1]:80")),
            ("10.0.0.1:1", Some(80), Some("10.0.0.1:1")),
            ("db", None, None),
            ("db:0", None, None),
            ("db:x", Some(80), None),
            (":80", None, None),
            ("d b:80", None, None),
            ("a/b:80", None, None),
            ("[::1]80", None, None),
        ] {
            assert_eq!(Peer::parse(text, default).map(|peer| peer.shown()).as_deref(), want, "{text}");
        }
    }
}
