//! DNS queries and answers as bytes (RFC 1035, section 4). Parsing never fails badly: whatever a server sends is an
//! answer or none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The record types with addresses.
pub const A: u16 = 1;
pub const AAAA: u16 = 28;

/// No error; the name may still have no record of this type.
pub const NO_ERROR: u8 = 0;
/// The name does not exist.
pub const NX_DOMAIN: u8 = 3;

const HEADER: usize = 12;
const MAX_LABEL: usize = 63;
const MAX_NAME: usize = 253;

/// A server's answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DnsAnswer {
    /// The response code, [`NO_ERROR`] or another.
    pub code: u8,
    /// Whether the answer was truncated: repeat it over TCP.
    pub truncated: bool,
    /// The addresses of the requested type.
    pub addresses: Vec<IpAddr>,
}

/// Builds a query for the addresses of one type. `None`: not a valid name.
#[must_use]
pub fn question(id: u16, name: &str, kind: u16) -> Option<Vec<u8>> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() || name.len() > MAX_NAME {
        return None;
    }
    let [high, low] = id.to_be_bytes();
    // One question, recursion desired (RD).
    let mut message = vec![high, low, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|n| (1..=MAX_LABEL).contains(&usize::from(*n)))?;
        message.push(length);
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&kind.to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    Some(message)
}

/// Parses the answer to a query; `None`: it is not one.
#[must_use]
pub fn answer(question: &[u8], message: &[u8]) -> Option<DnsAnswer> {
    let asked = question.get(HEADER..)?;
    let repeated = message.get(HEADER..HEADER + asked.len());
    let [flags, more] = *message.get(2..4)? else { return None };
    let code = more & 0x0f;
    // A server that did not understand the query may leave the question out.
    let same = repeated.is_some_and(|said| said.eq_ignore_ascii_case(asked));
    if message.get(..2) != question.get(..2) || flags & 0x80 == 0 || !same && code == NO_ERROR {
        return None;
    }
    let kind = short(question, question.len().checked_sub(4)?)?;
    let mut addresses = Vec::new();
    if code == NO_ERROR {
        let mut at = HEADER + asked.len();
        for _ in 0..short(message, 6)? {
            // The rest was truncated.
            let Some((record, data, next)) = record(message, at) else { break };
            if record == kind
                && let Some(address) = address(data)
            {
                addresses.push(address);
            }
            at = next;
        }
    }
    Some(DnsAnswer { code, truncated: flags & 2 != 0, addresses })
}

/// Returns type and data of the record at an offset, and the offset of the next.
fn record(message: &[u8], at: usize) -> Option<(u16, &[u8], usize)> {
    let at = after_name(message, at)?;
    let data = at + 10;
    let next = data + usize::from(short(message, at + 8)?);
    Some((short(message, at)?, message.get(data..next)?, next))
}

/// Returns the offset after a name: after its last label, or after a compression pointer.
fn after_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length if length & 0xc0 == 0xc0 => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

fn short(message: &[u8], at: usize) -> Option<u16> {
    message.get(at..)?.first_chunk().map(|pair| u16::from_be_bytes(*pair))
}

fn address(data: &[u8]) -> Option<IpAddr> {
    match data.len() {
        4 => data.first_chunk::<4>().map(|bytes| Ipv4Addr::from(*bytes).into()),
        16 => data.first_chunk::<16>().map(|bytes| Ipv6Addr::from(*bytes).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::*;

    fn reply(code: u8, records: &[(u16, &[u8])]) -> Vec<u8> {
        let mut message = question(7, "db.example", A).expect("a name");
        message[2] |= 0x80;
        message[3] = code;
        message[7] = u8::try_from(records.len()).expect("few");
        for (kind, data) in records {
            // A compression pointer to the requested name.
            message.extend([0xc0, 12]);
            message.extend(kind.to_be_bytes());
            message.extend([0, 1, 0, 0, 0, 9, 0, u8::try_from(data.len()).expect("short")]);
            message.extend(*data);
        }
        message
    }

    #[test]
    fn an_answer_is_read_through_its_aliases() {
        let asked = question(7, "DB.example.", A).expect("a name");
        let message = reply(
            0,
            &[(5, &[1, b'x', 0xc0, 12]), (A, &[10, 0, 0, 5]), (AAAA, &[0; 16]), (A, &[10, 0, 0, 6])],
        );
        let addresses = vec![IpAddr::from([10, 0, 0, 5]), IpAddr::from([10, 0, 0, 6])];
        assert_eq!(answer(&asked, &message), Some(DnsAnswer { code: 0, truncated: false, addresses }));
        assert_eq!(answer(&asked, &reply(3, &[])).expect("an answer").code, NX_DOMAIN);
        // An answer to another query is none.
        assert_eq!(answer(&question(8, "db.example", A).expect("a name"), &message), None);
        assert_eq!(answer(&question(7, "ab.example", A).expect("a name"), &message), None);
        assert_eq!(answer(&question(7, "db.example", AAAA).expect("a name"), &message), None);
        assert_eq!(answer(&asked, &asked), None);
    }

    #[test]
    fn whatever_comes_is_survived() {
        let asked = question(7, "db.example", A).expect("a name");
        let message = reply(0, &[(5, &[1, b'x', 0xc0, 12]), (A, &[10, 0, 0, 5])]);
        for cut in 0..message.len() {
            assert!(answer(&asked, &message[..cut]).is_none_or(|one| one.addresses.is_empty()), "{cut}");
            for byte in [0, 1, 0x40, 0xc0, 0xff] {
                let mut broken = message.clone();
                broken[cut] = byte;
                let _ = answer(&asked, &broken);
            }
        }
    }

    #[test]
    fn what_is_no_name_is_not_asked() {
        let long = "a".repeat(64);
        let deep = "a.".repeat(130);
        for name in ["", ".", "a..b", ".a", &long, &deep] {
            assert_eq!(question(1, name, A), None, "{name}");
        }
    }
}
