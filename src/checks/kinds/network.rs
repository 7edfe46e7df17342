//! `[checks.network]` or `[checks.network.INTERFACE]`: there is a network, it is up and has an address.

use super::common::finding::{add, fail, failure, held, text};
use crate::checks::{Blocking, CheckFailure, CheckSpec, Facts, Kind, LookResult, facts};
use crate::config::keys::{KeySpec, key};
use crate::config::read::table::Table;
use crate::sys::net::Interface;
use crate::text::gather::Gather;
use crate::text::template::fill;
use crate::text::words::words;
use std::net::IpAddr;

/// `network`
pub const KIND: Kind = Kind { name: "network", nameless: true, read, ..Kind::PLAIN };

/// The keys that are its own.
#[rustfmt::skip]
pub const KEYS: &[&[KeySpec]] = &[&[
    key("interface", "string", "NAME, or any but the loopback", "the interface"),
    key("address", "bool", "true", "whether it has an address"),
    key("family", "word", "any", "\"ipv4\" or \"ipv6\""),
    key("cidr", "string", "any", "the network that the address must be in, such as \"10.0.0.0/8\""),
    key("default_route", "bool", "either", "whether the default route uses it"),
    key("mtu", "number", "any", "the minimum"),
    key("ipv6", "bool", "either", "whether IPv6 is enabled on it"),
]];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Family {
    Ipv4,
    Ipv6,
}

words!(Family { "ipv4" => Ipv4, "ipv6" => Ipv6 });

struct Network {
    /// `None`: any but the loopback.
    interface: Option<String>,
    address: bool,
    family: Option<Family>,
    default_route: Option<bool>,
    cidr: Option<Cidr>,
    mtu: Option<u32>,
    ipv6: Option<bool>,
}

/// Addresses that begin with the same bits.
struct Cidr {
    written: String,
    network: IpAddr,
    bits: u32,
}

impl Cidr {
    fn parse(written: &str) -> Option<Self> {
        let (network, bits) = written.split_once('/')?;
        let (network, bits): (IpAddr, u32) = (network.parse().ok()?, bits.parse().ok()?);
        let most = if network.is_ipv4() { 32 } else { 128 };
        let written = written.to_string();
        // All addresses there are would ask for nothing.
        (1..=most).contains(&bits).then_some(Self { written, network, bits })
    }

    fn holds(&self, address: &IpAddr) -> bool {
        let differs = match (self.network, address) {
            (IpAddr::V4(one), IpAddr::V4(other)) => (u32::from(one) ^ u32::from(*other)).leading_zeros(),
            (IpAddr::V6(one), IpAddr::V6(other)) => (u128::from(one) ^ u128::from(*other)).leading_zeros(),
            _ => 0,
        };
        differs >= self.bits
    }
}

fn read(name: &str, table: &Table<'_>) -> Option<CheckSpec> {
    let written = table.text("interface");
    if written.as_deref() == Some("") {
        table.fault("interface", "is empty; expected the name of one, such as \"eth0\"");
    }
    let interface = written.or_else(|| Some(name.to_string())).filter(|name| !name.is_empty());
    let address = table.flag("address").unwrap_or(true);
    let family = table.word("family");
    if family.is_some() && !address {
        table.fault("family", "does nothing with address = false; leave one of them out");
    }
    let cidr = table.text("cidr").and_then(|written| {
        let cidr = Cidr::parse(&written);
        if cidr.is_none() {
            table.fault("cidr", "is no network; expected one such as \"10.0.0.0/8\" or \"fd00::/8\"");
        }
        cidr
    });
    let ipv6 = table.flag("ipv6");
    if let Some(cidr) = &cidr {
        let v6 = cidr.network.is_ipv6();
        if !address {
            table.fault("cidr", "contradicts address = false; leave one of them out");
        }
        if family.is_some_and(|family| (family == Family::Ipv6) != v6) {
            table.fault("cidr", "is of another family; leave family out");
        }
        if v6 && ipv6 == Some(false) {
            table.fault("ipv6", "contradicts cidr; leave one of them out");
        }
    }
    if family == Some(Family::Ipv6) && ipv6 == Some(false) {
        table.fault("ipv6", "contradicts family; leave one of them out");
    }
    // No IPv4 interface may have less than 68, nor any more than the loopback.
    let mtu = table.integer("mtu", 69, 65536).and_then(|mtu| u32::try_from(mtu).ok());
    let default_route = table.flag("default_route");
    let subject = fill!("network {}", interface.as_deref().unwrap_or_default());
    let network = Network { interface, address, family, default_route, cidr, mtu, ipv6 };
    Some(CheckSpec::new(
        subject,
        network.expected(),
        Blocking::Never,
        Box::new(move |facts| network.look(facts)),
    ))
}

impl Network {
    fn expected(&self) -> String {
        let mut expected = match &self.interface {
            Some(name) => fill!("the interface {}, up", name),
            None => "an interface besides the loopback, up".into(),
        };
        match (self.address, self.family) {
            (false, _) => {}
            (true, None) => expected.push_str(", with an address"),
            (true, Some(Family::Ipv4)) => expected.push_str(", with an IPv4 address"),
            (true, Some(Family::Ipv6)) => expected.push_str(", with an IPv6 address"),
        }
        if let Some(cidr) = &self.cidr {
            expected.push_str(" in ");
            expected.push_str(&cidr.written);
        }
        match self.default_route {
            Some(true) => expected.push_str(", with a default route"),
            Some(false) => expected.push_str(", without a default route"),
            None => {}
        }
        if let Some(mtu) = self.mtu {
            add(&mut expected, &["with an mtu of at least ", &mtu.to_string()]);
        }
        if let Some(on) = self.ipv6 {
            add(&mut expected, &["with IPv6 ", if on { "on" } else { "off" }]);
        }
        expected
    }

    fn look(&self, facts: &Facts) -> LookResult {
        let interfaces = facts.system.interfaces().map_err(|error| {
            failure!(
                "no list of interfaces: {}", &facts::why(&error);
                "allow netlink sockets in the seccomp profile"
            )
        })?;
        let routes = facts.system.default_routes();
        let candidates = interfaces.iter().filter(|one| match &self.interface {
            Some(name) => one.name == *name,
            None => !one.loopback,
        });
        let mut why = None;
        for one in candidates {
            match self.judge_one(one, &routes, facts) {
                Ok(finding) => return Ok(finding),
                Err(failure) => why.get_or_insert(failure),
            };
        }
        Err(why.unwrap_or_else(|| {
            let names: Vec<&str> = interfaces.iter().map(|one| one.name.as_str()).gather();
            let names = names.join(", ");
            let found = if names.is_empty() { "no interface".into() } else { fill!("only {}", &names) };
            failure!("{}", &found; "connect the container to a network (docker run --network …)")
        }))
    }

    fn judge_one(&self, one: &Interface, routes: &[(String, bool)], facts: &Facts) -> LookResult {
        let name = &one.name;
        if !one.up {
            return fail!("{}, which is down", name; "set {} up", name);
        }
        let address = one.addresses.iter().find(|address| self.counts(address));
        if self.address && address.is_none() {
            let has: Vec<String> = one.addresses.iter().map(ToString::to_string).gather();
            let has = if has.is_empty() { "no address".into() } else { fill!("only {}", &has.join(", ")) };
            return Err(CheckFailure::new(
                fill!("{} with {}", name, &has),
                match (&self.cidr, self.family) {
                    (Some(cidr), _) => {
                        fill!("connect the container to the network {}, or correct cidr", &cidr.written)
                    }
                    (None, Some(Family::Ipv6)) => "enable IPv6 on the container's network".into(),
                    _ => "connect the container to a network that gives it an address".into(),
                },
            ));
        }
        // No default route at all is meant, when no interface is named.
        let any = self.interface.is_none() && self.default_route == Some(false);
        let routed = routes.iter().any(|(through, v6)| {
            (any || through == name) && self.family.is_none_or(|family| (family == Family::Ipv6) == *v6)
        });
        match self.default_route {
            Some(true) if !routed => {
                return fail!(
                    "{} without a default route", name;
                    "connect the container to a network with a gateway (not an internal one)"
                );
            }
            Some(false) if routed => {
                return fail!(
                    "{} with a default route", name;
                    "connect the container to an internal network (docker network create --internal)"
                );
            }
            _ => {}
        }
        self.link_layer(name, facts)?;
        let shown = address.map_or_else(String::new, ToString::to_string);
        if shown.is_empty() { held!("{}, up", name; "") } else { held!("{} with {}", name, &shown; &shown) }
    }

    fn link_layer(&self, name: &str, facts: &Facts) -> Result<(), CheckFailure> {
        if let Some(wanted) = self.mtu {
            let mtu = text(facts, &fill!("/sys/class/net/{}/mtu", name))
                .map_err(|error| {
                    failure!("{}, whose mtu cannot be told: {}", name, &facts::why(&error); "mount /sys in the container")
                })?
                .trim()
                .to_string();
            if mtu.parse::<u32>().unwrap_or(0) < wanted {
                let driver = fill!("--opt com.docker.network.driver.mtu={}", &wanted.to_string());
                return fail!("{} with an mtu of {}", name, &mtu; "raise the mtu of the network (docker network create {})", &driver);
            }
        }
        match self.ipv6 {
            Some(wanted) if wanted != has_ipv6(name, facts) => {
                let (found, off) = if wanted { ("off", "0") } else { ("on", "1") };
                fail!("{} with IPv6 {}", name, found; "docker run --sysctl net.ipv6.conf.all.disable_ipv6={}", off)
            }
            _ => Ok(()),
        }
    }

    /// A link-local address is there without any network that leads anywhere.
    fn counts(&self, address: &IpAddr) -> bool {
        if let Some(cidr) = &self.cidr {
            return cidr.holds(address);
        }
        match (address, self.family) {
            (IpAddr::V4(_), None | Some(Family::Ipv4)) => true,
            (IpAddr::V6(v6), None | Some(Family::Ipv6)) => {
                v6.segments().first().is_none_or(|s| s & 0xffc0 != 0xfe80)
            }
            _ => false,
        }
    }
}

/// Whether an interface speaks IPv6: by its own switch, which the one for all sets, or else by its addresses.
fn has_ipv6(name: &str, facts: &Facts) -> bool {
    let switch = |name: &str| text(facts, &fill!("/proc/sys/net/ipv6/conf/{}/disable_ipv6", name));
    match switch(name).or_else(|_| switch("all")) {
        Ok(disabled) => disabled.trim() == "0",
        Err(_) => text(facts, "/proc/net/if_inet6")
            .is_ok_and(|lines| lines.lines().any(|line| line.split_ascii_whitespace().last() == Some(name))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::network::*;
    use crate::checks::Finding;
    use crate::checks::facts::fake::Fake;
    use crate::checks::read::testing::{fault, one};

    fn interface(name: &str, up: bool, addresses: &[&str]) -> Interface {
        Interface {
            name: name.into(),
            up,
            loopback: name == "lo",
            addresses: addresses.iter().map(|text| text.parse().expect("ip")).collect(),
        }
    }

    fn evaluate(text: &str, interfaces: &[Interface], routes: &[(&str, bool)]) -> Finding {
        let routes = routes.iter().map(|(name, v6)| ((*name).to_string(), *v6)).collect();
        let fake = Fake { interfaces: interfaces.to_vec(), routes, ..Fake::default() };
        one(text).spec.evaluate(&fake.facts(&[]))
    }

    #[test]
    fn any_interface_but_the_loopback_will_do() {
        let lo = interface("lo", true, &["127.0.0.1", "::1"]);
        let eth0 = interface("eth0", true, &["172.17.0.2"]);
        assert_eq!(evaluate("[checks.network]", std::slice::from_ref(&lo), &[]).found, "only lo");
        let both = evaluate("[checks.network]", &[lo.clone(), eth0.clone()], &[]);
        assert_eq!((both.ok, both.value.as_deref()), (true, Some("172.17.0.2")));
        assert!(evaluate("[checks.network.eth0]", &[lo.clone(), eth0.clone()], &[]).ok);
        assert!(
            evaluate("[checks.network.outside]\ninterface = \"eth0\"", std::slice::from_ref(&eth0), &[]).ok
        );
        assert!(!evaluate("[checks.network.eth1]", &[lo.clone(), eth0], &[]).ok);
        assert!(evaluate("[checks.network.lo]", &[lo], &[]).ok);
    }

    #[test]
    fn down_without_address_and_the_wrong_family_fail() {
        let evaluate =
            |keys: &str, one: Interface| evaluate(&format!("[checks.network.eth0]\n{keys}"), &[one], &[]);
        assert_eq!(evaluate("", interface("eth0", false, &["10.0.0.1"])).found, "eth0, which is down");
        assert_eq!(evaluate("", interface("eth0", true, &[])).found, "eth0 with no address");
        assert_eq!(evaluate("", interface("eth0", true, &["fe80::1"])).found, "eth0 with only fe80::1");
        assert!(evaluate("address = false", interface("eth0", true, &[])).ok);
        assert!(!evaluate("family = \"ipv6\"", interface("eth0", true, &["10.0.0.1"])).ok);
        assert!(evaluate("family = \"ipv6\"", interface("eth0", true, &["10.0.0.1", "fd00::2"])).ok);
    }

    #[test]
    fn a_default_route_can_be_asked_for_or_forbidden() {
        let eth0 = [interface("eth0", true, &["10.0.0.1"])];
        let table =
            [(true, &[("eth0", false)][..], true), (true, &[], false), (false, &[("eth0", false)], false)];
        for (wanted, routes, ok) in table {
            let text = format!("[checks.network]\ndefault_route = {wanted}");
            assert_eq!(evaluate(&text, &eth0, routes).ok, ok, "{wanted} {routes:?}");
        }
        assert!(fault("[checks.network]\naddress = false\nfamily = \"ipv4\"").contains("does nothing"));
    }

    #[test]
    fn an_address_is_in_a_network_or_not() {
        let eth0 = interface("eth0", true, &["172.17.0.2", "fd00:1::2", "fe80::1"]);
        for (cidr, ok) in [
            ("172.16.0.0/12", true),
            ("172.17.0.2/32", true),
            ("172.17.0.3/32", false),
            ("10.0.0.0/8", false),
            ("128.0.0.0/1", true),
            ("fd00::/8", true),
            ("fd00:2::/32", false),
            ("fe80::/10", true),
        ] {
            let text = format!("[checks.network]\ncidr = \"{cidr}\"");
            assert_eq!(evaluate(&text, std::slice::from_ref(&eth0), &[]).ok, ok, "{cidr}");
        }
        let other = evaluate("[checks.network]\ncidr = \"10.0.0.0/8\"", &[eth0], &[]);
        assert_eq!(other.found, "eth0 with only 172.17.0.2, fd00:1::2, fe80::1");
        let expected = one("[checks.network]\ncidr = \"10.0.0.0/8\"\nmtu = 900").spec.expected;
        assert!(
            expected.ends_with("up, with an address in 10.0.0.0/8, with an mtu of at least 900"),
            "{expected}"
        );
        assert!(other.remedy.contains("10.0.0.0/8"), "{}", other.remedy);
        for keys in ["10.0.0.0", "10.0.0.0/33", "0.0.0.0/0", "web/8", "::/129"] {
            let message = fault(&format!("[checks.network]\ncidr = \"{keys}\""));
            assert!(message.contains("is no network"), "{message}");
        }
        assert!(fault("[checks.network]\ninterface = \"\"").contains("is empty"));
        for keys in [
            "cidr = \"10.0.0.0/8\"\naddress = false",
            "cidr = \"10.0.0.0/8\"\nfamily = \"ipv6\"",
            "cidr = \"fd00::/8\"\nipv6 = false",
            "family = \"ipv6\"\nipv6 = false",
        ] {
            assert!(fault(&format!("[checks.network]\n{keys}")).contains("leave"), "{keys}");
        }
    }

    #[test]
    fn mtu_and_ipv6_are_judged() {
        let off = "/proc/sys/net/ipv6/conf/eth0/disable_ipv6";
        let all = "/proc/sys/net/ipv6/conf/all/disable_ipv6";
        let addresses = "/proc/net/if_inet6";
        let line = "fe800000000000000000000000000001 02 40 20 80 eth0\n";
        let mtu = "/sys/class/net/eth0/mtu";
        for (keys, path, content, ok, found) in [
            ("mtu = 1500", mtu, "1500\n", true, "eth0 with 10.0.0.1"),
            ("mtu = 1501", mtu, "1500\n", false, "eth0 with an mtu of 1500"),
            ("mtu = 1500", "", "", false, "eth0, whose mtu cannot be told: no such file or directory"),
            ("ipv6 = true", off, "0\n", true, "eth0 with 10.0.0.1"),
            ("ipv6 = true", off, "1\n", false, "eth0 with IPv6 off"),
            ("ipv6 = false", off, "0\n", false, "eth0 with IPv6 on"),
            ("ipv6 = false", all, "1\n", true, "eth0 with 10.0.0.1"),
            ("ipv6 = true", addresses, line, true, "eth0 with 10.0.0.1"),
            ("ipv6 = true", "", "", false, "eth0 with IPv6 off"),
        ] {
            let interfaces = vec![interface("eth0", true, &["10.0.0.1"])];
            let texts = [(path.to_string(), content.to_string())].into();
            let facts = Fake { interfaces, texts, ..Fake::default() }.facts(&[]);
            let finding = one(&format!("[checks.network]\n{keys}")).spec.evaluate(&facts);
            assert_eq!((finding.ok, finding.found.as_str()), (ok, found), "{keys} {path}");
        }
        assert!(fault("[checks.network]\nmtu = 1").contains("from 69 to 65536"));
    }
}
