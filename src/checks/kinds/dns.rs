//! `[checks.dns.NAME]`: a name has an address, of a family, or one of those that are expected.

use super::common::finding::{add, fail, held};
use super::common::keys::{asserting, misnamed, named, word};
use super::common::peer::{addresses, but};
use crate::checks::{Blocking, CheckSpec, Facts, Kind, LOOK_TIMEOUT, LookResult};
use crate::config::keys::{KeySpec, key};
use crate::config::read::table::Table;
use crate::sys::net::resolver::Resolved;
use crate::text::gather::Gather;
use crate::text::template::fill;
use std::net::IpAddr;

/// `dns`
pub const KIND: Kind = Kind { name: "dns", read, ..Kind::PLAIN };

/// The keys that are its own.
#[rustfmt::skip]
pub const KEYS: &[&[KeySpec]] = &[&[
    key("host", "string", "NAME", "the host name, if NAME is only a label"),
    key("family", "word", "any", "\"ipv4\" or \"ipv6\""),
    key("addresses", "addresses", "any", "addresses of which the host must have at least one"),
]];

fn read(name: &str, table: &Table<'_>) -> Option<CheckSpec> {
    let host = named(name, table, "host")?;
    if host.is_empty() || host.contains(char::is_whitespace) {
        misnamed(table, "host", "is no name of a host; expected one without blanks");
    }
    let family = word(table, "family", &["ipv4", "ipv6"]);
    let mut expected = String::from("a name with an address");
    family.iter().for_each(|family| add(&mut expected, &["of ", family]));
    let list = asserting(table, "addresses");
    let mut wanted: Vec<IpAddr> = Vec::new();
    for text in &list {
        match text.parse() {
            Ok(address) => wanted.push(address),
            Err(_) => table.fault("addresses", "holds what is no IP address, such as \"10.0.0.1\""),
        }
    }
    if !list.is_empty() {
        add(&mut expected, &["one of ", &list.join(", ")]);
    }
    Some(CheckSpec::new(
        fill!("dns {}", host),
        expected,
        Blocking::Within(LOOK_TIMEOUT),
        Box::new(move |facts| look(&host, family, &wanted, facts)),
    ))
}

fn look(host: &str, family: Option<&str>, wanted: &[IpAddr], facts: &Facts) -> LookResult {
    let Resolved { addresses: found, trouble } = addresses(host, facts)?;
    let texts: Vec<String> = found.iter().map(ToString::to_string).gather();
    let all = texts.join(", ") + &but(&trouble);
    let fits = |address: &&IpAddr| {
        family.is_none_or(|family| (family == "ipv6") == address.is_ipv6())
            && (wanted.is_empty() || wanted.contains(address))
    };
    match found.iter().find(fits) {
        Some(address) => held!("{} at {}", host, &all; &address.to_string()),
        None => fail!("{} at {}", host, &all; "correct what the name server or /etc/hosts says of {}", host),
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::Finding;
    use crate::checks::facts::fake::Fake;
    use crate::checks::read::testing::{fault, one};

    fn evaluate(keys: &str) -> Finding {
        let names = [("db".to_string(), "10.0.0.5".parse().expect("ip"))].into();
        one(&format!("[checks.dns.{keys}")).spec.evaluate(&Fake { names, ..Fake::default() }.facts(&[]))
    }

    #[test]
    fn every_key_can_fail_and_hold() {
        for (keys, ok, found) in [
            ("db]", true, "db at 10.0.0.5"),
            ("x]\nhost = \"db\"", true, "db at 10.0.0.5"),
            ("bd]", false, "no address of bd: name does not resolve (name servers: none)"),
            ("db]\nfamily = \"ipv4\"", true, "db at 10.0.0.5"),
            ("db]\nfamily = \"ipv6\"", false, "db at 10.0.0.5"),
            ("db]\naddresses = [\"10.0.0.4\", \"10.0.0.5\"]", true, "db at 10.0.0.5"),
            ("db]\naddresses = \"10.0.0.4\"", false, "db at 10.0.0.5"),
        ] {
            let finding = evaluate(keys);
            assert_eq!((finding.ok, finding.found.as_str()), (ok, found), "{keys}");
        }
        assert_eq!(evaluate("db]").value.as_deref(), Some("10.0.0.5"));
    }

    /// The fault of a name server is told, and is no reason to correct the name.
    #[test]
    fn who_does_not_answer_is_told() {
        let names: std::collections::HashMap<_, _> =
            [("db".to_string(), "10.0.0.5".parse().expect("ip"))].into();
        let trouble = String::from("AAAA: SERVFAIL from 10.0.0.2");
        let evaluate = |keys: &str| {
            let fake = Fake {
                names: names.clone().into_iter().collect(),
                trouble: trouble.clone(),
                ..Fake::default()
            };
            one(&format!("[checks.dns.{keys}]")).spec.evaluate(&fake.facts(&[]))
        };
        assert_eq!(evaluate("db").found, "db at 10.0.0.5 (AAAA: SERVFAIL from 10.0.0.2)");
        let none = evaluate("bd");
        assert_eq!(none.found, "no address of bd: AAAA: SERVFAIL from 10.0.0.2 (name servers: none)");
        assert!(none.remedy.starts_with("look at the name servers"), "{}", none.remedy);
    }

    #[test]
    fn what_cannot_hold_is_a_fault() {
        for (keys, part) in [
            ("addresses = []", "asserts nothing"),
            ("addresses = [\"web\"]", "no IP address"),
            ("family = \"ip\"", "\"ipv4\" or \"ipv6\""),
            ("host = \"a b\"", "without blanks"),
        ] {
            let message = fault(&format!("[checks.dns.db]\n{keys}"));
            assert!(message.contains(part), "{keys}: {message}");
        }
    }
}
