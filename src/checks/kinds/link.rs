//! `[checks.link.ALIAS]`: another container is known here as ALIAS, by a legacy link's variables, by those of
//! a Kubernetes service, by /etc/hosts or by the name server; and, with `connect`, it answers.

use super::common::finding::{fail, failure, held};
use crate::checks::{Blocking, CheckFailure, CheckSpec, Facts, Kind, LOOK_TIMEOUT, LookResult, facts};
use crate::config::keys::{KeySpec, key};
use crate::config::read::table::Table;
use crate::model::environ::Environ;
use crate::sys::net::Protocol;
use crate::text::gather::Gather;
use crate::text::template::fill;
use crate::text::words::words;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// `link`
pub const KIND: Kind = Kind { name: "link", read, ..Kind::PLAIN };

/// The keys that are its own.
#[rustfmt::skip]
pub const KEYS: &[&[KeySpec]] = &[&[
    key("port", "number", "any", "the port that it exposes"),
    key("protocol", "word", "\"tcp\"", "\"tcp\" or \"udp\""),
    key("connect", "bool", "false", "whether it must accept a connection"),
    key("export_as", "word", "\"host\"", "what `export` sets: \"host\", \"address\", \"port\" or \"url\""),
]];

/// How long one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// What `export` hands on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum As {
    /// The alias; the address where the alias does not resolve.
    #[default]
    Host,
    Address,
    Port,
    /// `tcp://HOST:PORT`
    Url,
}

words!(As { "host" => Host, "address" => Address, "port" => Port, "url" => Url });

struct Link {
    alias: String,
    port: Option<u16>,
    /// `None`: any; a port is asked for as TCP then.
    protocol: Option<Protocol>,
    connect: bool,
    export: bool,
    export_as: As,
}

/// A port that variables tell of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exposed {
    /// Its number.
    pub port: u16,
    /// Its transport.
    pub protocol: Protocol,
    /// The address that the variable has.
    pub host: String,
}

/// What variables tell of an alias.
#[derive(Default, Debug)]
pub struct LinkVariables {
    /// Ports, those of TCP first.
    pub exposed: Vec<Exposed>,
    /// The variable that makes them those of a Kubernetes service, whose alias only a name server knows.
    pub kubernetes: Option<String>,
}

/// How an alias is known.
struct Known {
    /// In words: `WEB_PORT_80_TCP`, `/etc/hosts`, `the name server`.
    by: String,
    address: String,
    port: Option<u16>,
    /// Whether the alias itself can be used as a host.
    resolves: bool,
}

fn read(name: &str, table: &Table<'_>) -> Option<CheckSpec> {
    let port = table.integer("port", 1, 65535).and_then(|port| u16::try_from(port).ok());
    let protocol = table.word("protocol");
    let connect = table.flag("connect").unwrap_or(false);
    if connect && protocol == Some(Protocol::Udp) {
        table.fault("connect", "asks for an answer, which udp does not give; leave one of them out");
    }
    let export_as = table.word("export_as");
    if export_as.is_some() && !table.has("export") {
        table.fault("export_as", "does nothing without export; name the variable");
    }
    if name.contains(char::is_whitespace) {
        table.fault_here("is no alias; expected a name without blanks");
    }
    let export_as = export_as.unwrap_or_default();
    let link =
        Link { alias: name.to_string(), port, protocol, connect, export: table.has("export"), export_as };
    Some(CheckSpec::new(
        link.subject(),
        link.expected(),
        Blocking::Within(LOOK_TIMEOUT),
        Box::new(move |facts| link.look(facts)),
    ))
}

impl Link {
    fn subject(&self) -> String {
        let port = self.port.map_or_else(String::new, |port| fill!(":{}", &port.to_string()));
        let protocol = if self.protocol == Some(Protocol::Udp) { "/udp" } else { "" };
        fill!("link {}{}{}", &self.alias, &port, protocol)
    }

    fn expected(&self) -> String {
        let mut expected = fill!("a container linked as {}", &self.alias);
        if let Some(port) = self.port {
            expected.push_str(&fill!(" on port {}", &port.to_string()));
        }
        if self.connect {
            expected.push_str(" that answers");
        }
        expected
    }

    fn look(&self, facts: &Facts) -> LookResult {
        let variables = variables(&self.alias, &facts.environ);
        let told = !variables.exposed.is_empty();
        let chosen = variables.exposed.iter().find(|one| {
            self.port.is_none_or(|port| port == one.port)
                && (self.protocol.is_none() && self.port.is_none()
                    || self.protocol.unwrap_or_default() == one.protocol)
        });
        // Variables list what the other container exposes; only an answer can say that there is more.
        if told && chosen.is_none() && !self.connect {
            return Err(self.without_port(&variables.exposed));
        }
        let known = match chosen {
            Some(exposed) => self.by_variables(exposed, &variables, facts),
            None => self.by_name(facts).map_err(|why| self.unknown(&why))?,
        };
        if self.connect {
            self.answer(&known, facts)?;
        }
        self.pass(&known)
    }

    fn without_port(&self, exposed: &[Exposed]) -> CheckFailure {
        let each: Vec<String> =
            exposed.iter().map(|one| fill!("{}/{}", &one.port.to_string(), one.protocol.name())).gather();
        let protocol = self.protocol.unwrap_or_default().name();
        let what = match self.port {
            Some(port) => fill!("port {}/{}", &port.to_string(), protocol),
            None => fill!("a port of {}", protocol),
        };
        let failure = failure!(
            "{} with {} only", &self.alias, &each.join(", ");
            "link a container that exposes {} as {}, or correct port", &what, &self.alias
        );
        CheckFailure { may_change: false, ..failure }
    }

    fn by_variables(&self, exposed: &Exposed, variables: &LinkVariables, facts: &Facts) -> Known {
        let Exposed { port, protocol, host } = exposed;
        let (by, resolves) = match &variables.kubernetes {
            // Docker writes a legacy link's alias into /etc/hosts; Kubernetes needs a name server for it.
            Some(by) => (by.clone(), self.exports_name() && self.resolve(facts).is_ok()),
            None => {
                let protocol = protocol.name().to_ascii_uppercase();
                (fill!("{}_PORT_{}_{}", &prefix(&self.alias), &port.to_string(), &protocol), true)
            }
        };
        Known { by, address: host.clone(), port: Some(*port), resolves }
    }

    fn exports_name(&self) -> bool {
        self.export && matches!(self.export_as, As::Host | As::Url)
    }

    fn by_name(&self, facts: &Facts) -> Result<Known, String> {
        let (by, address) = self.resolve(facts)?;
        Ok(Known { by: by.into(), address: address.to_string(), port: self.port, resolves: true })
    }

    /// /etc/hosts first, then the name server.
    fn resolve(&self, facts: &Facts) -> Result<(&'static str, IpAddr), String> {
        let named = |names: &[String]| names.iter().any(|name| name.eq_ignore_ascii_case(&self.alias));
        let host = facts.system.hosts().iter().find(|host| named(&host.names));
        if let Some(host) = host {
            return Ok(("/etc/hosts", host.address));
        }
        // A resolver that does not answer is another fault than a name that is not there.
        let found = facts.system.resolve(&self.alias).map_err(|unresolved| unresolved.why)?;
        found
            .addresses
            .first()
            .map(|address| ("the name server", *address))
            .ok_or_else(|| "no address".into())
    }

    fn unknown(&self, why: &str) -> CheckFailure {
        let (prefix, alias) = (prefix(&self.alias), &self.alias);
        failure!(
            "no {}_PORT_… or {}_SERVICE_HOST variable, no {} in /etc/hosts or the name server ({})",
            &prefix, &prefix, alias, why;
            "link a container as {}, or join the network on which {} is known", alias, alias
        )
    }

    fn answer(&self, known: &Known, facts: &Facts) -> Result<(), CheckFailure> {
        let Some(port) = self.port.or(known.port) else {
            let found = fill!("{}, but no port to connect to", &self.alias);
            return Err(CheckFailure::for_good(found, "name the port with port = …".into()));
        };
        let addresses: Vec<IpAddr> = match known.address.parse() {
            Ok(address) => vec![address],
            Err(_) => facts.system.resolve(&known.address).map(|found| found.addresses).unwrap_or_default(),
        };
        let mut last = "its address is not known".to_string();
        for address in addresses {
            let address = SocketAddr::new(address, port);
            match facts.system.connect(address, CONNECT_TIMEOUT) {
                Ok(()) => return Ok(()),
                Err(error) => {
                    last = fill!("{} does not answer: {}", &address.to_string(), &facts::why(&error));
                }
            }
        }
        fail!(
            "{} (by {}), but {}", &self.alias, &known.by, &last;
            "start the service on port {} of {}, or keep trying with wait", &port.to_string(), &self.alias
        )
    }

    fn pass(&self, known: &Known) -> LookResult {
        let port = self.port.or(known.port);
        let host = if known.resolves { &self.alias } else { &known.address };
        let value = match (self.export_as, port) {
            (As::Host, _) => host.clone(),
            (As::Address, _) => known.address.clone(),
            (As::Port, Some(port)) => port.to_string(),
            (As::Url, Some(port)) => {
                let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
                let protocol = self.protocol.unwrap_or_default().name();
                fill!("{}://{}{}{}:{}", protocol, open, host, close, &port.to_string())
            }
            (As::Port | As::Url, None) => {
                let found = fill!("{} (by {}), but no port to export", &self.alias, &known.by);
                return Err(CheckFailure::for_good(found, "name the port with port = …".into()));
            }
        };
        held!("{} at {} (by {})", &self.alias, &known.address, &known.by; &value)
    }
}

/// `web-1` -> `WEB_1`, and `web.1` -> `WEB.1`: Docker leaves a dot as it is, and a Kubernetes service has none.
fn prefix(alias: &str) -> String {
    alias.to_ascii_uppercase().replace('-', "_")
}

/// What the environment tells of an alias: `WEB_PORT_80_TCP=tcp://ADDR:80` of Docker's links and of Kubernetes,
/// `WEB_SERVICE_HOST` and `WEB_SERVICE_PORT…` of Kubernetes. A `WEB_PORT=8080` that a user has set is neither.
#[must_use]
pub fn variables(alias: &str, environ: &Environ) -> LinkVariables {
    let prefix = prefix(alias);
    let mut found = LinkVariables::default();
    for (name, value) in environ.iter() {
        let (Ok(name), Ok(value)) = (std::str::from_utf8(name), std::str::from_utf8(value)) else { continue };
        let exposed = name.strip_prefix(prefix.as_str()).and_then(|rest| link_variable(rest, value));
        found.exposed.extend(exposed);
    }
    if let Some(host) = environ.get_full(&fill!("{}_SERVICE_HOST", &prefix)) {
        let name = fill!("{}_SERVICE_PORT", &prefix);
        found.kubernetes = Some(fill!("{}_SERVICE_HOST", &prefix));
        let mut known: Vec<u16> = found.exposed.iter().map(|one| one.port).gather();
        crate::text::sort::sort(&mut known);
        for (variable, value) in environ.iter() {
            let named = variable.strip_prefix(name.as_bytes());
            let ours = named.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"_"));
            let port = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok()).filter(|_| ours);
            if let Some(port) = port.filter(|port| known.binary_search(port).is_err()) {
                found.exposed.push(Exposed { port, protocol: Protocol::Tcp, host: host.clone() });
            }
        }
    }
    crate::text::sort::sort_by_key(&mut found.exposed, |one| (one.protocol == Protocol::Udp, one.port));
    found.exposed.dedup();
    found
}

/// `_PORT_80_TCP` and `tcp://172.17.0.5:80`.
fn link_variable(rest: &str, value: &str) -> Option<Exposed> {
    let (port, protocol) = rest.strip_prefix("_PORT_")?.split_once('_')?;
    let port = port.parse().ok()?;
    let (protocol, scheme) = match protocol {
        "TCP" => (Protocol::Tcp, "tcp://"),
        "UDP" => (Protocol::Udp, "udp://"),
        _ => return None,
    };
    let (host, at) = value.strip_prefix(scheme)?.rsplit_once(':')?;
    at.parse::<u16>().ok()?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then(|| Exposed { port, protocol, host: host.to_string() })
}

#[cfg(test)]
mod tests {
    use super::super::link::*;
    use crate::checks::Finding;
    use crate::checks::facts::fake::Fake;
    use crate::checks::read::testing::{fault, one};
    use crate::sys::net::Host;
    use std::ffi::CString;

    const DOCKER: &[(&str, &str)] = &[
        ("WEB_PORT", "tcp://172.17.0.5:80"),
        ("WEB_NAME", "/me/web"),
        ("WEB_PORT_80_TCP", "tcp://172.17.0.5:80"),
        ("WEB_PORT_80_TCP_ADDR", "172.17.0.5"),
        ("WEB_PORT_80_TCP_PORT", "80"),
        ("WEB_PORT_80_TCP_PROTO", "tcp"),
        ("WEB_PORT_53_UDP", "udp://172.17.0.5:53"),
    ];
    const KUBERNETES: &[(&str, &str)] = &[
        ("WEB_SERVICE_HOST", "10.0.0.11"),
        ("WEB_SERVICE_PORT", "80"),
        ("WEB_SERVICE_PORT_ADMIN", "8080"),
        ("WEB_PORT_80_TCP", "tcp://10.0.0.11:80"),
    ];

    fn evaluate(keys: &str, fake: Fake, environ: &[(&str, &str)]) -> Finding {
        one(&format!("[checks.link.web]\n{keys}")).spec.evaluate(&fake.facts(environ))
    }

    fn by_hosts() -> Fake {
        let address = "172.17.0.9".parse().expect("ip");
        Fake { hosts: vec![Host { address, names: vec!["web".into(), "1a2b".into()] }], ..Fake::default() }
    }

    fn by_dns() -> Fake {
        let names = [("web".to_string(), "10.1.1.1".parse().expect("ip"))].into();
        Fake { names, ..Fake::default() }
    }

    #[test]
    fn a_legacy_link_tells_its_ports() {
        assert!(evaluate("port = 80", Fake::default(), DOCKER).ok);
        assert!(evaluate("", Fake::default(), DOCKER).ok);
        assert!(evaluate("port = 53\nprotocol = \"udp\"", Fake::default(), DOCKER).ok);
        assert!(!evaluate("port = 53", Fake::default(), DOCKER).ok);
        // Docker writes the alias into /etc/hosts too; that says nothing of the port.
        let other = evaluate("port = 81", by_hosts(), DOCKER);
        assert_eq!((other.ok, other.found.as_str()), (false, "web with 80/tcp, 53/udp only"));
        assert!(!other.may_change);
    }

    #[test]
    fn a_variable_of_the_users_is_no_link() {
        for environ in [
            &[("WEB_PORT", "8080")][..],
            &[("WEB_PORT_80_TCP", "80")],
            &[("WEB_PORT_80_TCP", "tcp://:80")],
            &[("WEB_PORT_80", "tcp://1.2.3.4:80")],
            &[("WEBSITE_PORT_80_TCP", "tcp://1.2.3.4:80")],
            &[("WEB_SERVICE_PORT", "80")],
        ] {
            let finding = evaluate("port = 80", Fake::default(), environ);
            assert!(!finding.ok && finding.may_change, "{environ:?} {finding:?}");
            assert!(finding.found.contains("no WEB_PORT_… or WEB_SERVICE_HOST variable"), "{finding:?}");
        }
    }

    /// Every container of a namespace of Kubernetes is told of every service in it, and a service has many ports.
    #[test]
    fn many_variables_are_looked_through_once() {
        let ports = (1..=u16::MAX).map(|port| format!("WEB_SERVICE_PORT_{port}={port}"));
        let twice = ports.clone().chain(ports).chain((0..70_000).map(|n| format!("S{n}_SERVICE_PORT=80")));
        let all =
            twice.chain(["WEB_SERVICE_HOST=10.0.0.1".into(), "WEB_PORT_53_UDP=udp://10.0.0.1:53".into()]);
        let environ = Environ::from_entries(all.map(|entry| CString::new(entry).expect("no NUL")));
        let found = variables("web", &environ).exposed;
        let ports: Vec<u16> = found.iter().map(|one| one.port).collect();
        let want: Vec<u16> = (1..=u16::MAX).filter(|port| *port != 53).chain([53]).collect();
        assert_eq!(ports, want);
    }

    #[test]
    fn aliases_become_the_names_of_variables() {
        let environ = [("WEB_1.A_PORT_80_TCP", "tcp://1.2.3.4:80")];
        let check = one("[checks.link.\"web-1.a\"]\nport = 80");
        assert!(check.spec.evaluate(&Fake::default().facts(&environ)).ok);
        assert_eq!(check.spec.subject, "link web-1.a:80");
    }

    #[test]
    fn a_name_in_hosts_or_dns_is_known_with_any_port() {
        assert!(evaluate("port = 80", by_hosts(), &[]).ok);
        assert!(evaluate("port = 80", by_dns(), &[]).ok);
    }

    #[test]
    fn what_is_exported_is_chosen() {
        let value = |keys: &str, fake: Fake, environ| {
            evaluate(&format!("export = \"X\"\n{keys}"), fake, environ).value.unwrap_or_default()
        };
        for (keys, fake, environ, want) in [
            ("", Fake::default(), DOCKER, "web"),
            ("export_as = \"address\"", Fake::default(), DOCKER, "172.17.0.5"),
            ("export_as = \"port\"", Fake::default(), DOCKER, "80"),
            ("export_as = \"url\"", Fake::default(), DOCKER, "tcp://web:80"),
            ("", Fake::default(), KUBERNETES, "10.0.0.11"),
            ("", by_dns(), KUBERNETES, "web"),
            ("port = 8080\nexport_as = \"url\"", Fake::default(), KUBERNETES, "tcp://10.0.0.11:8080"),
            ("", by_hosts(), &[], "web"),
            ("export_as = \"address\"", by_dns(), &[], "10.1.1.1"),
            ("port = 81\nexport_as = \"port\"", by_dns(), &[], "81"),
            ("export_as = \"port\"", by_dns(), &[], ""),
        ] {
            assert_eq!(value(keys, fake, environ), want, "{keys} {environ:?}");
        }
    }

    #[test]
    fn connect_asks_for_an_answer() {
        let refused = evaluate("port = 80\nconnect = true", by_dns(), &[]);
        assert_eq!(
            (refused.ok, refused.may_change, refused.found.as_str()),
            (false, true, "web (by the name server), but 10.1.1.1:80 does not answer: connection refused")
        );
        let answering = |at: &str| Fake { answers: vec![at.parse().expect("address")], ..by_dns() };
        assert!(evaluate("port = 80\nconnect = true", answering("10.1.1.1:80"), &[]).ok);
        assert!(evaluate("connect = true", answering("172.17.0.5:80"), DOCKER).ok);
        // More than the variables tell, but it answers.
        assert!(evaluate("port = 81\nconnect = true", answering("10.1.1.1:81"), DOCKER).ok);
        assert!(evaluate("connect = true", by_dns(), &[]).remedy.contains("port ="));
    }

    #[test]
    fn keys_that_cannot_act_are_faults() {
        for (keys, part) in [
            ("protocol = \"udp\"\nconnect = true", "udp does not give"),
            ("export_as = \"port\"", "nothing without export"),
            ("port = 0", "from 1 to 65535"),
        ] {
            let message = fault(&format!("[checks.link.web]\n{keys}"));
            assert!(message.contains(part), "{keys}: {message}");
        }
    }
}
