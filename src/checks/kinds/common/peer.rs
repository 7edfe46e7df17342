//! What `tcp` and `http` share: a host and a port, found and reached.

use super::finding::{failure, text};
use crate::checks::{CheckFailure, Facts, facts};
use crate::sys::net::resolver::{Authority, Resolved, Unresolved};
use crate::text::gather::Gather;
use crate::text::template::fill;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// How long an answer may take, unless the check says otherwise.
pub(in crate::checks) const TIMEOUT: Duration = Duration::from_secs(3);

/// Somebody on the network.
pub(in crate::checks) struct Peer {
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
        fill!("{}{}{}:{}", open, self.host, close, &self.port.to_string())
    }

    /// Tries each address of the host until one does.
    pub fn reach(
        &self,
        facts: &Facts,
        attempt: &mut dyn FnMut(SocketAddr) -> io::Result<()>,
    ) -> Result<(), CheckFailure> {
        let Resolved { addresses, trouble } = addresses(&self.host, facts)?;
        let mut why = String::new();
        for address in addresses {
            let Err(error) = attempt(SocketAddr::new(address, self.port)) else { return Ok(()) };
            let comma = if why.is_empty() { "" } else { ", " };
            why.push_str(&fill!("{}{}: {}", comma, &address.to_string(), &facts::why(&error)));
        }
        why.push_str(&but(&trouble));
        let shown = self.shown();
        Err(
            failure!("no answer from {}", &why; "start what is to listen at {}, correct the address, or keep trying with wait", &shown),
        )
    }
}

/// The addresses of a host, at least one, and what of the name servers did not answer for it.
pub(in crate::checks) fn addresses(host: &str, facts: &Facts) -> Result<Resolved, CheckFailure> {
    let found = facts.system.resolve(host);
    found.map_err(|Unresolved { why, by }| {
        // Which server was asked is half of the diagnosis.
        let config = text(facts, "/etc/resolv.conf").unwrap_or_default();
        let servers = config.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
        let servers = servers.map(str::trim).gather().join(", ");
        let servers = if servers.is_empty() { "none" } else { &servers };
        let found = fill!("no address of {}: {} (name servers: {})", host, &why, servers);
        CheckFailure::new(found, match by {
            Authority::Known => fill!("correct the name, or join the network on which {} is known", host),
            Authority::Failed => fill!(
                "correct the name, or join the network on which {} is known; or look at why the name server fails",
                host
            ),
            // Docker's own is there, and silent of names of which those that it asks are.
            Authority::Silence if servers == "127.0.0.11" => fill!(
                "correct the name, or join the network on which {} is known; or look at the name servers of the host",
                host
            ),
            Authority::Silence => {
                "look at the name servers in /etc/resolv.conf (docker run --dns names others), or keep trying with wait".into()
            }
        })
    })
}

/// What did not answer, behind what did.
pub(in crate::checks) fn but(trouble: &str) -> String {
    if trouble.is_empty() { String::new() } else { fill!(" ({})", trouble) }
}

#[cfg(test)]
mod tests {
    use super::super::peer::*;

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
