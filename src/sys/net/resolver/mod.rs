//! Names to addresses, as glibc finds them. musl's resolver gives up where one of the two answers, or one step of the
//! search list, is bad; here each family of addresses is asked for apart, and what there is is taken. It may take
//! `MAX_LOOKUP`, so a process of its own does it.

mod ask;
mod message;
mod settings;

use crate::sys::event::clock;
use crate::sys::fs::files;
use crate::sys::net;
use crate::text::gather::Gather;
use message::{A, AAAA, NO_ERROR, NX_DOMAIN};
use settings::ResolverSettings;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::Duration;

/// How long a name may take in all, below what a check has for one look.
const MAX_LOOKUP: Duration = Duration::from_secs(8);

/// What a name was found to be.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Resolved {
    /// Its addresses, at least one, those first that this container can reach.
    pub addresses: Vec<IpAddr>,
    /// What did not answer, such as `AAAA: SERVFAIL from 10.0.0.2`; mostly empty.
    pub trouble: String,
}

/// Why a name has no address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unresolved {
    /// In words.
    pub why: String,
    /// Who says so.
    pub by: Authority,
}

/// How sure it is that there is no such name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Authority {
    /// Name servers know that there is none.
    Known,
    /// A name server failed. Docker's own says SERVFAIL of a name that no container of an internal network has.
    Failed,
    /// No name server has said anything.
    Silence,
}

/// The addresses of a name, by /etc/hosts and the name servers of /etc/resolv.conf.
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
    // Few, and a sort of the library's would be larger than all of this.
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

/// Whom to try first, as RFC 6724 has it in short: what can be reached, then IPv6 of the world, IPv4, IPv6 of a site.
fn preference(address: IpAddr) -> u8 {
    let any: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // Connecting a datagram socket asks for a route, and sends nothing.
    let is_reached = UdpSocket::bind((any, 0)).and_then(|socket| socket.connect((address, 53))).is_ok();
    let kind = match address {
        IpAddr::V6(v6) if v6.is_unique_local() || v6.is_unicast_link_local() => 2,
        IpAddr::V6(_) => 0,
        IpAddr::V4(_) => 1,
    };
    if is_reached { kind } else { kind + 4 }
}

/// Walks the search list. A step that a server fails at is no end, as with glibc; a step at which all are silent is.
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
            // Of a step of the search list it is the step's name that matters.
            let whose = if is_as_given { "" } else { &*[" for ", &candidate].concat() };
            why = Unresolved { why: [&trouble, whose].concat(), by: Authority::Failed };
        } else if step.is_known {
            why.why = "it has no address".into();
        }
    }
    Err(why)
}
