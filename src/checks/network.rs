//! `[checks.network]` or `[checks.network.INTERFACE]`: there is a network, it is up and has an address.

use super::{Facts, Failure, Finding, Judge, Kind, facts};
use crate::config::table::Table;
use crate::sys::net::Interface;
use std::net::IpAddr;

/// `network`
pub const KIND: Kind = Kind { name: "network", nameless: true, read };

#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Family {
    Ipv4,
    Ipv6,
}

struct Network {
    /// `None`: any but the loopback.
    interface: Option<String>,
    address: bool,
    family: Option<Family>,
    default_route: Option<bool>,
}

fn read(name: &str, table: &Table<'_>) -> Option<Box<dyn Judge>> {
    let interface =
        table.text("interface").or_else(|| Some(name.to_string())).filter(|name| !name.is_empty());
    let address = table.flag("address").unwrap_or(true);
    let family = table.word("family");
    if family.is_some() && !address {
        table.fault("family", "does nothing with address = false; leave one of them out");
    }
    Some(Box::new(Network { interface, address, family, default_route: table.flag("default_route") }))
}

impl Judge for Network {
    fn subject(&self) -> String {
        self.interface.as_ref().map_or_else(|| "network".into(), |name| format!("network {name}"))
    }

    fn expected(&self) -> String {
        let mut expected = match &self.interface {
            Some(name) => format!("the interface {name}, up"),
            None => "an interface besides the loopback, up".into(),
        };
        match (self.address, self.family) {
            (false, _) => {}
            (true, None) => expected.push_str(", with an address"),
            (true, Some(Family::Ipv4)) => expected.push_str(", with an IPv4 address"),
            (true, Some(Family::Ipv6)) => expected.push_str(", with an IPv6 address"),
        }
        match self.default_route {
            Some(true) => expected.push_str(", with a default route"),
            Some(false) => expected.push_str(", without a default route"),
            None => {}
        }
        expected
    }

    fn judge(&self, facts: &Facts) -> Finding {
        let interfaces = match facts.system.interfaces() {
            Ok(interfaces) => interfaces,
            Err(error) => {
                let found = format!("no list of interfaces: {}", facts::why(&error));
                return Finding::fail(found, "allow netlink sockets in the seccomp profile".into());
            }
        };
        let routes = facts.system.default_routes();
        let candidates = interfaces.iter().filter(|one| match &self.interface {
            Some(name) => one.name == *name,
            None => !one.loopback,
        });
        let mut why = None;
        for one in candidates {
            match self.judge_one(one, &routes) {
                Ok(finding) => return finding,
                Err(failure) => why.get_or_insert(Finding::from(failure)),
            };
        }
        why.unwrap_or_else(|| {
            let names: Vec<&str> = interfaces.iter().map(|one| one.name.as_str()).collect();
            let found =
                if names.is_empty() { "no interface".into() } else { format!("only {}", names.join(", ")) };
            Finding::fail(found, "connect the container to a network (docker run --network …)".into())
        })
    }
}

impl Network {
    fn judge_one(&self, one: &Interface, routes: &[(String, bool)]) -> Result<Finding, Failure> {
        let name = &one.name;
        if !one.up {
            return Err(Failure::new(format!("{name}, which is down"), format!("set {name} up")));
        }
        let address = one.addresses.iter().find(|address| self.counts(address));
        if self.address && address.is_none() {
            let has: Vec<String> = one.addresses.iter().map(ToString::to_string).collect();
            let has = if has.is_empty() { "no address".into() } else { format!("only {}", has.join(", ")) };
            let remedy = match self.family {
                Some(Family::Ipv6) => "enable IPv6 on the container's network",
                _ => "connect the container to a network that gives it an address",
            };
            return Err(Failure::new(format!("{name} with {has}"), remedy.into()));
        }
        // No default route at all is meant, when no interface is named.
        let any = self.interface.is_none() && self.default_route == Some(false);
        let routed = routes.iter().any(|(through, v6)| {
            (any || through == name) && self.family.is_none_or(|family| (family == Family::Ipv6) == *v6)
        });
        match self.default_route {
            Some(true) if !routed => {
                let remedy = "connect the container to a network with a gateway (not an internal one)";
                return Err(Failure::new(format!("{name} without a default route"), remedy.into()));
            }
            Some(false) if routed => {
                let remedy =
                    "connect the container to an internal network (docker network create --internal)";
                return Err(Failure::new(format!("{name} with a default route"), remedy.into()));
            }
            _ => {}
        }
        let shown = address.map_or_else(String::new, ToString::to_string);
        let found = if shown.is_empty() { format!("{name}, up") } else { format!("{name} with {shown}") };
        Ok(Finding::pass(found, shown))
    }

    /// A link-local address is there without any network that leads anywhere.
    fn counts(&self, address: &IpAddr) -> bool {
        match (address, self.family) {
            (IpAddr::V4(_), None | Some(Family::Ipv4)) => true,
            (IpAddr::V6(v6), None | Some(Family::Ipv6)) => {
                v6.segments().first().is_none_or(|s| s & 0xffc0 != 0xfe80)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::fake::Fake;
    use super::super::read::testing::{fault, one};
    use super::*;

    fn interface(name: &str, up: bool, addresses: &[&str]) -> Interface {
        Interface {
            name: name.into(),
            up,
            loopback: name == "lo",
            addresses: addresses.iter().map(|text| text.parse().expect("ip")).collect(),
        }
    }

    fn judge(text: &str, interfaces: &[Interface], routes: &[(&str, bool)]) -> Finding {
        let routes = routes.iter().map(|(name, v6)| ((*name).to_string(), *v6)).collect();
        let fake = Fake { interfaces: interfaces.to_vec(), routes, ..Fake::default() };
        one(text).judge.judge(&fake.facts(&[]))
    }

    #[test]
    fn any_interface_but_the_loopback_will_do() {
        let lo = interface("lo", true, &["127.0.0.1", "::1"]);
        let eth0 = interface("eth0", true, &["172.17.0.2"]);
        assert_eq!(judge("[checks.network]", std::slice::from_ref(&lo), &[]).found, "only lo");
        let both = judge("[checks.network]", &[lo.clone(), eth0.clone()], &[]);
        assert_eq!((both.ok, both.value.as_deref()), (true, Some("172.17.0.2")));
        assert!(judge("[checks.network.eth0]", &[lo.clone(), eth0.clone()], &[]).ok);
        assert!(judge("[checks.network.outside]\ninterface = \"eth0\"", std::slice::from_ref(&eth0), &[]).ok);
        assert!(!judge("[checks.network.eth1]", &[lo.clone(), eth0], &[]).ok);
        assert!(judge("[checks.network.lo]", &[lo], &[]).ok);
    }

    #[test]
    fn down_without_address_and_the_wrong_family_fail() {
        let judge =
            |keys: &str, one: Interface| judge(&format!("[checks.network.eth0]\n{keys}"), &[one], &[]);
        assert_eq!(judge("", interface("eth0", false, &["10.0.0.1"])).found, "eth0, which is down");
        assert_eq!(judge("", interface("eth0", true, &[])).found, "eth0 with no address");
        assert_eq!(judge("", interface("eth0", true, &["fe80::1"])).found, "eth0 with only fe80::1");
        assert!(judge("address = false", interface("eth0", true, &[])).ok);
        assert!(!judge("family = \"ipv6\"", interface("eth0", true, &["10.0.0.1"])).ok);
        assert!(judge("family = \"ipv6\"", interface("eth0", true, &["10.0.0.1", "fd00::2"])).ok);
    }

    #[test]
    fn a_default_route_can_be_asked_for_or_forbidden() {
        let eth0 = [interface("eth0", true, &["10.0.0.1"])];
        let table =
            [(true, &[("eth0", false)][..], true), (true, &[], false), (false, &[("eth0", false)], false)];
        for (wanted, routes, ok) in table {
            let text = format!("[checks.network]\ndefault_route = {wanted}");
            assert_eq!(judge(&text, &eth0, routes).ok, ok, "{wanted} {routes:?}");
        }
        assert!(fault("[checks.network]\naddress = false\nfamily = \"ipv4\"").contains("does nothing"));
    }
}
