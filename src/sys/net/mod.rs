//! The network as this container sees it: interfaces, routes, names, listening sockets.

pub mod exchange;
pub mod http_server;
pub mod line_stream;
pub mod listen;
pub mod local;
pub mod notify_socket;
pub mod pair;
pub mod resolver;

use crate::text::gather::Gather;
use crate::text::words::words;
use nix::errno::Errno;
use std::ffi::CStr;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// A transport protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

words!(Protocol { "tcp" => Tcp, "udp" => Udp });

impl Protocol {
    /// Returns `tcp` or `udp`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A network interface.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Interface {
    /// Its name: `eth0`.
    pub name: String,
    /// Whether it is up (IFF_UP).
    pub up: bool,
    /// Whether it is the loopback.
    pub loopback: bool,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// One line of hosts(5).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Host {
    /// The address.
    pub address: IpAddr,
    /// The names of the address.
    pub names: Vec<String>,
}

/// Returns all interfaces with their addresses.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    let mut head: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: getifaddrs(3) writes one pointer to `head`, which is ours.
    Errno::result(unsafe { libc::getifaddrs(&raw mut head) })?;
    let mut list: Vec<Interface> = Vec::new();
    let mut next = head;
    // SAFETY: `next` is null or an element of getifaddrs's list, which is not freed yet.
    while let Some(entry) = unsafe { next.as_ref() } {
        next = entry.ifa_next;
        // SAFETY: `ifa_name` is a C string that lives as long as the list.
        let name = unsafe { CStr::from_ptr(entry.ifa_name) }.to_string_lossy();
        let flags = libc::c_int::try_from(entry.ifa_flags).unwrap_or(0);
        // SAFETY: `ifa_addr` is null or a socket address of its family.
        let address = unsafe { ip_of(entry.ifa_addr) };
        match list.iter_mut().find(|known| known.name == name) {
            Some(known) => known.addresses.extend(address),
            None => list.push(Interface {
                name: name.into_owned(),
                up: flags & libc::IFF_UP != 0,
                loopback: flags & libc::IFF_LOOPBACK != 0,
                addresses: address.into_iter().gather(),
            }),
        }
    }
    // SAFETY: `head` came from getifaddrs and is freed once; nothing borrows from the list any more.
    unsafe { libc::freeifaddrs(head) };
    Ok(list)
}

/// # Safety
/// `address` is null or points to a socket address of the length that its family has.
unsafe fn ip_of(address: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: by the caller's contract.
    let family = libc::c_int::from(unsafe { address.as_ref() }?.sa_family);
    match family {
        libc::AF_INET => {
            // SAFETY: the family says that it is a sockaddr_in; read without assuming alignment.
            let inet = unsafe { address.cast::<libc::sockaddr_in>().read_unaligned() };
            Some(Ipv4Addr::from(u32::from_be(inet.sin_addr.s_addr)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that it is a sockaddr_in6.
            let inet = unsafe { address.cast::<libc::sockaddr_in6>().read_unaligned() };
            Some(Ipv6Addr::from(inet.sin6_addr.s6_addr).into())
        }
        _ => None,
    }
}

/// Returns the interfaces of default routes; true: IPv6.
#[must_use]
pub fn default_routes() -> Vec<(String, bool)> {
    let text = |path| super::fs::files::system_text(path).unwrap_or_default();
    routes(&text("/proc/net/route"), &text("/proc/net/ipv6_route"))
}

/// The same, from the text of /proc/net/route and /proc/net/ipv6_route.
#[must_use]
pub fn routes(v4: &str, v6: &str) -> Vec<(String, bool)> {
    const UP: u32 = 1;
    const REJECT: u32 = 0x200;
    let usable = |flags: Option<&&str>| {
        flags
            .and_then(|hex| u32::from_str_radix(hex, 16).ok())
            .is_some_and(|f| f & UP != 0 && f & REJECT == 0)
    };
    let mut found = Vec::new();
    for line in v4.lines() {
        let fields: Vec<&str> = line.split_ascii_whitespace().gather();
        if fields.get(1) == Some(&"00000000") && fields.get(7) == Some(&"00000000") && usable(fields.get(3)) {
            found.extend(fields.first().map(|name| ((*name).to_string(), false)));
        }
    }
    for line in v6.lines() {
        let fields: Vec<&str> = line.split_ascii_whitespace().gather();
        let default = fields.first().is_some_and(|to| to.bytes().all(|b| b == b'0'));
        if default && fields.get(1) == Some(&"00") && usable(fields.get(8)) {
            found.extend(fields.get(9).filter(|name| **name != "lo").map(|name| ((*name).to_string(), true)));
        }
    }
    found
}

/// Returns the entries of /etc/hosts; none if it does not exist.
#[must_use]
pub fn hosts() -> Vec<Host> {
    let bytes = super::fs::files::slurp("/etc/hosts", usize::MAX).unwrap_or_default();
    parse_hosts(&String::from_utf8_lossy(&bytes))
}

/// Parses hosts(5).
#[must_use]
pub fn parse_hosts(text: &str) -> Vec<Host> {
    let line = |line: &str| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        let address = words.next()?.parse().ok()?;
        Some(Host { address, names: words.map(str::to_string).gather() })
    };
    text.lines().filter_map(line).gather()
}

/// Returns whether a TCP connection succeeds; closes it at once.
pub fn connect(address: SocketAddr, timeout: Duration) -> io::Result<()> {
    TcpStream::connect_timeout(&address, timeout).map(drop)
}

/// Returns whether this process could listen on an address. Binds and closes a socket without listening, so that
/// nobody can connect. An IPv6 address means IPv6 only.
pub fn bind(address: SocketAddr, protocol: Protocol) -> io::Result<()> {
    let (family, kind) = (
        if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 },
        if protocol == Protocol::Tcp { libc::SOCK_STREAM } else { libc::SOCK_DGRAM },
    );
    // SAFETY: integers only.
    let raw = Errno::result(unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: `raw` was just opened and has no other owner.
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };
    if protocol == Protocol::Tcp {
        // As servers do: ignore connections of an ended server (TIME_WAIT).
        switch_on(&socket, libc::SOL_SOCKET, libc::SO_REUSEADDR)?;
    }
    if address.is_ipv6() {
        switch_on(&socket, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY)?;
    }
    Ok(bind_to(&socket, address)?)
}

fn bind_to(socket: &OwnedFd, address: SocketAddr) -> Result<(), Errno> {
    let result = match address {
        SocketAddr::V4(v4) => {
            // SAFETY: zero is a valid sockaddr_in.
            let mut inet: libc::sockaddr_in = unsafe { std::mem::zeroed() };
            inet.sin_family = libc::AF_INET as libc::sa_family_t;
            inet.sin_port = v4.port().to_be();
            inet.sin_addr.s_addr = u32::from(*v4.ip()).to_be();
            // SAFETY: a pointer to an address of that length.
            unsafe { libc::bind(socket.as_raw_fd(), (&raw const inet).cast(), length_of(&inet)) }
        }
        SocketAddr::V6(v6) => {
            // SAFETY: zero is a valid sockaddr_in6.
            let mut inet: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
            inet.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            inet.sin6_port = v6.port().to_be();
            inet.sin6_addr.s6_addr = v6.ip().octets();
            inet.sin6_scope_id = v6.scope_id();
            // SAFETY: a pointer to an address of that length.
            unsafe { libc::bind(socket.as_raw_fd(), (&raw const inet).cast(), length_of(&inet)) }
        }
    };
    Errno::result(result).map(drop)
}

fn length_of<T>(_: &T) -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0)
}

fn switch_on(socket: &OwnedFd, level: libc::c_int, option: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: a pointer to an int of that length.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const on).cast(), length_of(&on))
    };
    Errno::result(result)?;
    Ok(())
}

/// Returns the addresses in this network namespace with a listener (TCP) or an unconnected socket (UDP).
pub fn listening(protocol: Protocol) -> io::Result<Vec<SocketAddr>> {
    Ok(listeners(protocol)?.into_iter().map(|(address, _)| address).gather())
}

/// The same, each with the inode of its socket.
pub fn listeners(protocol: Protocol) -> io::Result<Vec<(SocketAddr, u64)>> {
    let (v4, v6) = match protocol {
        Protocol::Tcp => ("/proc/net/tcp", "/proc/net/tcp6"),
        Protocol::Udp => ("/proc/net/udp", "/proc/net/udp6"),
    };
    let mut found = sockets(&super::fs::files::system_text(v4)?, protocol);
    // Without IPv6 this file does not exist.
    found.extend(sockets(&super::fs::files::system_text(v6).unwrap_or_default(), protocol));
    Ok(found)
}

/// Parses a file such as /proc/net/tcp: addresses with socket inodes.
#[must_use]
pub fn sockets(text: &str, protocol: Protocol) -> Vec<(SocketAddr, u64)> {
    // TCP_LISTEN; an unconnected UDP socket is in TCP_CLOSE.
    let state = if protocol == Protocol::Tcp { "0A" } else { "07" };
    let one = |line: &str| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (address, port) = fields.next()?.split_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        (fields.nth(1)? == state).then_some(())?;
        let inode = fields.nth(5)?.parse().ok()?;
        Some((SocketAddr::new(hex_ip(address)?, port), inode))
    };
    text.lines().filter_map(one).gather()
}

/// Parses an address; the kernel prints each 32-bit word of it in the machine's byte order.
fn hex_ip(hex: &str) -> Option<IpAddr> {
    let word = |n: usize| u32::from_str_radix(hex.get(n * 8..n * 8 + 8)?, 16).ok().map(u32::to_ne_bytes);
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0u8; 16];
            for (n, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(n)?);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

/// Returns the lowest port that needs no privilege.
#[must_use]
pub fn unprivileged_port_start() -> u16 {
    super::fs::files::system_text("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(1024)
}

#[cfg(test)]
mod tests {
    use super::super::net::*;
    use std::net::TcpListener;

    #[test]
    fn default_routes_are_told_from_others() {
        let v4 = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n\
                  eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                  eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";
        let zero = "00000000000000000000000000000000";
        let v6 = format!(
            "{zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n\
             {zero} 00 {zero} 00 fe800000000000000000000000000001 00000400 1 0 00000003     eth1\n"
        );
        assert_eq!(routes(v4, &v6), [("eth0".to_string(), false), ("eth1".to_string(), true)]);
    }

    #[test]
    fn hosts_know_addresses_and_all_names() {
        let hosts =
            parse_hosts("127.0.0.1 localhost\n# no\n172.17.0.2\tweb 1234abcd web-1 # trailing\nbad x\n");
        assert_eq!(hosts.len(), 2);
        assert_eq!(hosts[1].names, ["web", "1234abcd", "web-1"]);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn listening_sockets_are_read_as_the_kernel_prints_them() {
        let text = "  sl  local_address rem_address   st tx_queue\n\
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 7001 1 0\n\
             1: 0100007F:1F91 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  0  0 7002 1 0\n\
             2: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 7003 1\n";
        let found = sockets(text, Protocol::Tcp);
        let want: Vec<(SocketAddr, u64)> =
            vec![("127.0.0.1:8080".parse().expect("v4"), 7001), ("[::1]:80".parse().expect("v6"), 7003)];
        assert_eq!(found, want);
    }

    #[test]
    fn a_port_is_taken_while_somebody_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address");
        assert!(listening(Protocol::Tcp).expect("proc").contains(&address));
        assert!(connect(address, Duration::from_secs(1)).is_ok());
        let taken = bind(address, Protocol::Tcp).expect_err("taken");
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        assert!(bind(address, Protocol::Tcp).is_ok());
        assert!(bind(address, Protocol::Udp).is_ok());
    }

    #[test]
    fn the_loopback_is_an_interface() {
        let list = interfaces().expect("interfaces");
        let lo = list.iter().find(|one| one.loopback).expect("lo");
        assert!(!lo.up || lo.addresses.contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)), "{lo:?}");
    }
}
