//! Parses resolv.conf(5).

use crate::sys::fs::files;
use crate::text::gather::Gather;
use crate::text::template::fill;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

/// The number of name servers that are used, as in the C library.
const MAX_SERVERS: usize = 3;

/// Name servers and options.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResolverSettings {
    /// The name servers, at least one.
    pub servers: Vec<SocketAddr>,
    /// Domains to append to a name.
    search: Vec<String>,
    /// A name with at least this many dots is first tried as it is.
    ndots: usize,
    /// The timeout of one query.
    pub timeout: Duration,
    /// How often to ask all servers.
    pub attempts: u32,
}

impl ResolverSettings {
    /// Parses the file; ignores unknown entries, as usual.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut found = Self {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
        };
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") if found.servers.len() < MAX_SERVERS => {
                    found.servers.extend(words.next().and_then(server));
                }
                Some("search") => found.search = words.map(str::to_string).gather(),
                Some("domain") => found.search = words.next().into_iter().map(str::to_string).gather(),
                Some("options") => words.for_each(|word| found.option(word)),
                _ => {}
            }
        }
        if found.servers.is_empty() {
            found.servers.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 53));
        }
        found
    }

    fn option(&mut self, word: &str) {
        let Some((name, value)) = word.split_once(':') else { return };
        let Ok(value) = value.parse::<u32>() else { return };
        match name {
            "ndots" => self.ndots = usize::try_from(value.min(15)).unwrap_or(1),
            "timeout" => self.timeout = Duration::from_secs(u64::from(value.clamp(1, 30))),
            "attempts" => self.attempts = value.clamp(1, 5),
            _ => {}
        }
    }

    /// Returns the names to try, in order; true: the name as given.
    #[must_use]
    pub fn candidates(&self, name: &str) -> Vec<(String, bool)> {
        let as_given = (name.to_string(), true);
        if name.ends_with('.') {
            return vec![as_given];
        }
        let dots = name.bytes().filter(|b| *b == b'.').count();
        let mut list: Vec<(String, bool)> = Vec::new();
        for domain in &self.search {
            let domain = domain.trim_matches('.');
            if !domain.is_empty() {
                list.push((fill!("{}.{}", name, domain), false));
            }
        }
        let at = if dots >= self.ndots { 0 } else { list.len() };
        list.insert(at, as_given);
        list
    }
}

/// Parses a server address, which may be link-local with its interface: `fe80::1%eth0`.
fn server(text: &str) -> Option<SocketAddr> {
    let Some((address, interface)) = text.split_once('%') else {
        return text.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, 53));
    };
    let index = files::system_text(&fill!("/sys/class/net/{}/ifindex", interface)).ok();
    let index = index.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    address.parse().ok().map(|address| SocketAddrV6::new(address, 53, 0, index).into())
}

#[cfg(test)]
mod tests {
    use super::super::settings::*;

    #[test]
    fn the_file_is_read_as_the_c_library_reads_it() {
        let text = "# Docker\nnameserver 10.0.0.2 # x\nnameserver ::1\nnameserver bad\nnameserver 10.0.0.3\n\
                    nameserver 10.0.0.4\ndomain old\nsearch a.example b.example.\n\
                    options ndots:5 timeout:1 attempts:9 edns0 ndots:x";
        let found = ResolverSettings::parse(text);
        let servers: Vec<String> = found.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["10.0.0.2:53", "[::1]:53", "10.0.0.3:53"]);
        assert_eq!((found.ndots, found.timeout, found.attempts), (5, Duration::from_secs(1), 5));
        let names = |name: &str| found.candidates(name).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names("db"), ["db.a.example", "db.b.example", "db"]);
        assert_eq!(names("a.b.c.d.e.f"), ["a.b.c.d.e.f", "a.b.c.d.e.f.a.example", "a.b.c.d.e.f.b.example"]);
        assert_eq!(names("db."), ["db."]);
        assert_eq!(ResolverSettings::parse("").servers, ["127.0.0.1:53".parse().expect("an address")]);
    }
}
