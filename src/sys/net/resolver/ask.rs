//! Resolves one name: asks all name servers, for both address families at once.

use super::message::{self, DnsAnswer};
use super::{A, AAAA, NO_ERROR, NX_DOMAIN, ResolverSettings};
use crate::model::Moment;
use crate::sys::event::clock;
use crate::text::gather::Gather;
use crate::text::template::fill;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

/// The time limit of one step of the search list, whatever resolv.conf says: a check must end.
const MAX_STEP: Duration = Duration::from_secs(4);
/// How long to wait for the other family once there is an address. Usually both answers arrive together; a server that
/// never answers for IPv6 must not slow down IPv4.
const OTHER_FAMILY_TIMEOUT: Duration = Duration::from_millis(500);
/// The time limit of a TCP query.
const TCP_TIMEOUT: Duration = Duration::from_secs(2);
/// Marks a server without a listener.
const UNREACHED: u8 = u8::MAX;

/// The result of one step.
pub struct SearchStep {
    /// Addresses of both families.
    pub addresses: Vec<IpAddr>,
    /// Whether the name exists, with or without an address.
    pub is_known: bool,
    /// Whether no server has answered.
    pub is_silent: bool,
    families: [AddressFamily; 2],
}

/// The query for one family.
struct AddressFamily {
    name: &'static str,
    question: Vec<u8>,
    answer: Option<DnsAnswer>,
    /// Per server: the code of its error response.
    refused: Vec<Option<u8>>,
}

/// Resolves a name; `None`: it is not a valid name.
pub fn both(name: &str, settings: &ResolverSettings, until: Moment) -> Option<SearchStep> {
    let family = |kind, label| {
        let question = message::question(random(), name, kind)?;
        Some(AddressFamily {
            name: label,
            question,
            answer: None,
            refused: vec![None; settings.servers.len()],
        })
    };
    let mut asking = Asking {
        families: [family(A, "A")?, family(AAAA, "AAAA")?],
        sockets: settings.servers.iter().map(|server| socket(*server)).gather(),
        servers: &settings.servers,
        until,
    };
    asking.go(settings);
    let families = asking.families;
    let answers = || families.iter().filter_map(|family| family.answer.as_ref());
    let addresses: Vec<IpAddr> = answers().flat_map(|answer| answer.addresses.iter().copied()).gather();
    let is_known = answers().any(|answer| answer.code == NO_ERROR);
    let said = |code: &Option<u8>| code.is_some_and(|code| code != UNREACHED);
    let is_silent = answers().next().is_none() && !families.iter().any(|one| one.refused.iter().any(said));
    Some(SearchStep { addresses, is_known, is_silent, families })
}

impl SearchStep {
    /// Lists failed queries: `AAAA: SERVFAIL from 10.0.0.2`.
    pub fn trouble(&self, settings: &ResolverSettings) -> String {
        let [v4, v6] = &self.families;
        let (first, second) = (v4.trouble(settings), v6.trouble(settings));
        match (first.is_empty(), second.is_empty()) {
            (false, false) if first == second => first,
            (false, false) => fill!("{}: {}; {}: {}", v4.name, first, v6.name, second),
            (false, true) => fill!("{}: {}", v4.name, first),
            (true, false) => fill!("{}: {}", v6.name, second),
            (true, true) => String::new(),
        }
    }
}

impl AddressFamily {
    fn trouble(&self, settings: &ResolverSettings) -> String {
        let mut text = String::new();
        if self.answer.is_some() {
            return text;
        }
        for (server, code) in settings.servers.iter().zip(&self.refused) {
            let what = match code {
                None => "no answer",
                Some(1) => "FORMERR",
                Some(2) => "SERVFAIL",
                Some(4) => "NOTIMP",
                Some(5) => "REFUSED",
                Some(UNREACHED) => "nobody listens",
                Some(_) => "an error",
            };
            let before = if text.is_empty() { "" } else { ", " };
            let (by, ip) =
                if *code == Some(UNREACHED) { (" at ", server.ip()) } else { (" from ", server.ip()) };
            [before, what, by, &ip.to_string()].iter().for_each(|part| text.push_str(part));
        }
        text
    }

    /// Returns whether this server still has to answer.
    fn waits_for(&self, server: usize) -> bool {
        self.answer.is_none() && self.refused.get(server).is_some_and(Option::is_none)
    }
}

struct Asking<'s> {
    families: [AddressFamily; 2],
    /// One per server; `None`: unreachable.
    sockets: Vec<Option<UdpSocket>>,
    servers: &'s [SocketAddr],
    until: Moment,
}

impl Asking<'_> {
    /// Asks the servers in turn, and again, until each family is answered, refused by all, or the time is up. Late
    /// answers of earlier servers count too.
    fn go(&mut self, settings: &ResolverSettings) {
        let turns = settings.attempts.saturating_mul(u32::try_from(self.servers.len()).unwrap_or(1));
        let now = clock::now();
        let all = settings.timeout.saturating_mul(settings.attempts).min(MAX_STEP).min(self.until.since(now));
        self.until = now.after(all);
        for turn in 0..turns {
            let server = usize::try_from(turn).unwrap_or(0) % self.servers.len().max(1);
            if !self.is_waiting_for(server) {
                continue;
            }
            self.send(server);
            let turn_ends = clock::now().after(all / turns.max(1));
            while self.is_waiting_for(server) {
                let left = turn_ends.min(self.until).since(clock::now());
                if left.is_zero() {
                    break;
                }
                self.receive(left);
            }
            if self.until.since(clock::now()).is_zero() {
                return;
            }
        }
    }

    fn is_waiting_for(&self, server: usize) -> bool {
        self.families.iter().any(|family| family.waits_for(server))
    }

    fn send(&mut self, server: usize) {
        let socket = self.sockets.get(server).and_then(Option::as_ref);
        let mut is_sent = socket.is_some();
        for family in self.families.iter().filter(|family| family.waits_for(server)) {
            is_sent &= socket.is_some_and(|socket| socket.send(&family.question).is_ok());
        }
        if !is_sent {
            self.unreached(server);
        }
    }

    fn unreached(&mut self, server: usize) {
        for family in self.families.iter_mut().filter(|family| family.waits_for(server)) {
            if let Some(place) = family.refused.get_mut(server) {
                *place = Some(UNREACHED);
            }
        }
    }

    /// Waits, then handles the answers that have arrived.
    fn receive(&mut self, left: Duration) {
        let entry = |socket: &Option<UdpSocket>| libc::pollfd {
            fd: socket.as_ref().map_or(-1, UdpSocket::as_raw_fd),
            events: libc::POLLIN,
            revents: 0,
        };
        let mut set: Vec<libc::pollfd> = self.sockets.iter().map(entry).gather();
        let count = libc::nfds_t::try_from(set.len()).unwrap_or(0);
        let millis = i32::try_from(left.as_millis() + 1).unwrap_or(i32::MAX);
        // SAFETY: an array of ours and its length.
        unsafe { libc::poll(set.as_mut_ptr(), count, millis) };
        for (server, entry) in set.iter().enumerate() {
            if entry.revents != 0 {
                self.take(server);
            }
        }
    }

    fn take(&mut self, server: usize) {
        let mut message = [0u8; 4096];
        let Some(Some(socket)) = self.sockets.get(server) else { return };
        match socket.recv(&mut message) {
            Ok(count) => self.evaluate(server, message.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => self.unreached(server),
            Err(_) => {}
        }
    }

    fn evaluate(&mut self, server: usize, message: &[u8]) {
        let Some(address) = self.servers.get(server) else { return };
        for family in self.families.iter_mut().filter(|family| family.answer.is_none()) {
            let Some(mut answer) = message::answer(&family.question, message) else { continue };
            if answer.truncated
                && let Some(whole) = over_tcp(*address, &family.question)
            {
                answer = whole;
            }
            if !matches!(answer.code, NO_ERROR | NX_DOMAIN) {
                if let Some(place) = family.refused.get_mut(server) {
                    *place = Some(answer.code);
                }
                return;
            }
            // NXDOMAIN counts only for IPv4: some servers return it for IPv6 although the name exists.
            let is_over = !answer.addresses.is_empty() || answer.code == NX_DOMAIN && family.name == "A";
            family.answer = Some(answer);
            if is_over {
                self.until = self.until.min(clock::now().after(OTHER_FAMILY_TIMEOUT));
            }
            return;
        }
    }
}

/// Creates a socket that only receives from this server.
fn socket(server: SocketAddr) -> Option<UdpSocket> {
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(server).ok()?;
    socket.set_nonblocking(true).ok()?;
    Some(socket)
}

/// Repeats the query over TCP, where any answer fits: each message follows its length.
fn over_tcp(server: SocketAddr, question: &[u8]) -> Option<DnsAnswer> {
    let mut stream = TcpStream::connect_timeout(&server, TCP_TIMEOUT).ok()?;
    stream.set_read_timeout(Some(TCP_TIMEOUT)).ok()?;
    let length = u16::try_from(question.len()).ok()?.to_be_bytes();
    stream.write_all(&[&length, question].concat()).ok()?;
    let mut length = [0u8; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0u8; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).ok()?;
    message::answer(question, &message)
}

/// Returns an unpredictable number, against spoofed answers.
fn random() -> u16 {
    let mut bytes = [0u8; 2];
    // SAFETY: two bytes of ours. If it fails, the source port is still random.
    unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), 2, libc::GRND_NONBLOCK) };
    u16::from_ne_bytes(bytes)
}
