//! `[checks.tcp."HOST:PORT"]`: somebody accepts connections there.

use super::common::finding::held;
use super::common::keys::{misnamed, named, timeout};
use super::common::peer::{Peer, TIMEOUT};
use crate::checks::{Blocking, CheckSpec, Kind};
use crate::config::keys::{KeySpec, key};
use crate::config::read::table::Table;
use crate::text::template::fill;

/// `tcp`
pub const KIND: Kind = Kind { name: "tcp", read, ..Kind::PLAIN };

/// The keys that are its own.
#[rustfmt::skip]
pub const KEYS: &[&[KeySpec]] = &[&[
    key("address", "\"host:port\"", "NAME", "the address to connect to, if NAME is only a label"),
    key("port", "number", "", "the port, if the address has none"),
    key("timeout", "duration", "\"3s\"", "the timeout for each address"),
]];

fn read(name: &str, table: &Table<'_>) -> Option<CheckSpec> {
    let port = table.integer("port", 1, 65535).and_then(|port| u16::try_from(port).ok());
    let address = named(name, table, "address")?;
    if port.is_some() && Peer::parse(&address, None).is_some() {
        table.fault("port", "does nothing beside the port of the address; leave one of them out");
    }
    let timeout = timeout(table, TIMEOUT);
    let peer = Peer::parse(&address, port);
    if peer.is_none() {
        let message = "is no place to connect to; expected \"HOST:PORT\", or a host and a key port";
        misnamed(table, "address", message);
    }
    let peer = peer?;
    let shown = peer.shown();
    Some(CheckSpec::new(
        fill!("tcp {}", shown),
        "somebody who accepts connections".into(),
        Blocking::Within(timeout.saturating_mul(4)),
        Box::new(move |facts| {
            peer.reach(facts, &mut |address| facts.system.connect(address, timeout))?;
            held!("{} answers", &shown; &shown)
        }),
    ))
}

#[cfg(test)]
mod tests {
    use crate::checks::Finding;
    use crate::checks::facts::fake::Fake;
    use crate::checks::read::testing::{fault, one};

    fn evaluate(text: &str) -> Finding {
        let fake = Fake {
            names: [("db".to_string(), "10.0.0.5".parse().expect("ip"))].into(),
            answers: vec!["10.0.0.5:5432".parse().expect("address")],
            texts: [("/etc/resolv.conf".to_string(), "search x\nnameserver 127.0.0.11\n".into())].into(),
            ..Fake::default()
        };
        one(text).spec.evaluate(&fake.facts(&[]))
    }

    #[test]
    fn somebody_answers_or_nobody_does() {
        let held = evaluate("[checks.tcp.\"db:5432\"]");
        assert_eq!((held.ok, held.value.as_deref()), (true, Some("db:5432")));
        assert!(evaluate("[checks.tcp.db]\nport = 5432").ok);
        assert!(evaluate("[checks.tcp.x]\naddress = \"db:5432\"\ntimeout = \"1s\"").ok);
        let refused = evaluate("[checks.tcp.\"db:80\"]");
        assert_eq!(
            (refused.ok, refused.found.as_str()),
            (false, "no answer from 10.0.0.5: connection refused")
        );
        assert!(refused.may_change);
        let unknown = evaluate("[checks.tcp.\"bd:80\"]");
        assert_eq!(unknown.found, "no address of bd: name does not resolve (name servers: 127.0.0.11)");
    }

    #[test]
    fn what_is_no_place_is_a_fault() {
        assert!(fault("[checks.tcp.db]").contains("HOST:PORT"));
        assert!(fault("[checks.tcp.x]\naddress = \":80\"").starts_with("checks.tcp.x.address"));
        assert!(fault("[checks.tcp.db]\nport = 70000\naddress = \"db:1\"").contains("from 1 to 65535"));
        assert!(fault("[checks.tcp.\"db:1\"]\nport = 2").contains("beside the port"));
        assert!(fault("[checks.tcp.\"db:1\"]\ntimeout = \"0s\"").contains("is zero"));
    }
}
