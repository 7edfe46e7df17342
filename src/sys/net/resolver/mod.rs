//! Resolves names to addresses like glibc. musl's resolver fails if one of the two queries, or one step of the search
//! list, fails; this one queries each family separately and uses what it gets. It may take `MAX_LOOKUP`, so it runs in
//! a helper process.

mod ask;
mod message;
mod settings;

use crate::sys::event::clock;
use crate::sys::fs::files;
use crate::sys::net;
use crate::text::gather::Gather;
use crate::text::template::fill;
use message::{A, AAAA, NO_ERROR, NX_DOMAIN};
use settings::ResolverSettings;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::Duration;

/// The time limit of one name, below the time that a check has for one attempt.
const MAX_LOOKUP: Duration = Duration::from_secs(8);

/// The result for a name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Resolved {
    /// Its addresses, at least one; reachable ones first.
    pub addresses: Vec<IpAddr>,
    /// Failed queries, such as `AAAA: SERVFAIL from 10.0.0.2`; usually empty.
    pub trouble: String,
}

/// Why a name has no address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unresolved {
    /// The reason.
    pub why: String,
    /// How reliable that is.
    pub by: Authority,
}

/// How reliable the failure is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Authority {
    /// Name servers answered that the name does not exist.
    Known,
    /// A name server failed. Docker's own answers SERVFAIL for unknown names in an internal network.
    Failed,
    /// No name server has answered.
    Silence,
}

/// Resolves a name by /etc/hosts and the name servers of /etc/resolv.conf.
pub fn resolve(host: &str) -> Result<Resolved, Unresolved> {
    let mut addresses: Vec<IpAddr> = match host.parse() {
        Ok(address) => vec![address],
        Err(_) => in_hosts(host),
    };
    let mut trouble = String::new();
    if addresses.is_empty() {
        let settings = ResolverSettings::parse(&files::system_text("/etc/resolv.conf").unwrap_or_default());
        (addresses, trouble) = search(host, &settings)?;
    }
    // Few addresses: a library sort would be larger than all of this.
    let mut sorted: Vec<IpAddr> = Vec::new();
    for rank in 0..8 {
        sorted.extend(addresses.iter().filter(|address| preference(**address) == rank));
    }
    Ok(Resolved { addresses: sorted, trouble })
}

fn in_hosts(name: &str) -> Vec<IpAddr> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let named = |host: &net::Host| host.names.iter().any(|known| known.eq_ignore_ascii_case(name));
    net::hosts().iter().filter(|host| named(host)).map(|host| host.address).gather()
}

/// Ranks an address, as in RFC 6724 in short: reachable ones, then global IPv6, IPv4, site-local IPv6.
fn preference(address: IpAddr) -> u8 {
    let any: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // connect(2) on a datagram socket checks for a route and sends nothing.
    let is_reached = UdpSocket::bind((any, 0)).and_then(|socket| socket.connect((address, 53))).is_ok();
    let kind = match address {
        IpAddr::V6(v6) if v6.is_unique_local() || v6.is_unicast_link_local() => 2,
        IpAddr::V6(_) => 0,
        IpAddr::V4(_) => 1,
    };
    if is_reached { kind } else { kind + 4 }
}

/// Walks the search list. Continues after a step that a server fails, like glibc; stops after a step without any
/// answer.
fn search(name: &str, settings: &ResolverSettings) -> Result<(Vec<IpAddr>, String), Unresolved> {
    let until = clock::now().after(MAX_LOOKUP);
    let mut why = Unresolved { why: "name does not resolve".into(), by: Authority::Known };
    let mut is_silent = false;
    for (candidate, is_as_given) in settings.candidates(name) {
        if is_silent && !is_as_given {
            continue;
        }
        let Some(step) = ask::both(&candidate, settings, until) else { continue };
        let trouble = step.trouble(settings);
        if !step.addresses.is_empty() {
            return Ok((step.addresses, trouble));
        }
        is_silent |= step.is_silent;
        if why.by != Authority::Known {
            continue; // the first fault is the one to mend
        }
        if step.is_silent {
            why = Unresolved { why: "no name server answers".into(), by: Authority::Silence };
        } else if !trouble.is_empty() {
            // For a step of the search list, report that step's full name.
            let whose = if is_as_given { "" } else { &*fill!(" for {}", candidate) };
            why = Unresolved { why: [&trouble, whose].concat(), by: Authority::Failed };
        } else if step.is_known {
            why.why = "it has no address".into();
        }
    }
    Err(why)
}
