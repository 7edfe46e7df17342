//! Other containers, and by which name they are known: `link`, `dns`.

use super::{COMMAND, refuses, starts};
use crate::engine::{Container, docker, docker_ok, unique};
use crate::images::{Config, debian};
use std::time::Duration;

/// A network of one's own, on which aliases are names; removed after the containers on it.
pub struct Network {
    name: String,
    /// `--network=…`
    pub option: String,
}

impl Network {
    pub fn new() -> Self {
        let name = unique("network");
        // Internal: no name server of the machine's is asked for a name that is not there.
        docker_ok(&["network", "create", "--internal", &name]);
        let option = format!("--network={name}");
        Self { name, option }
    }

    /// A redis that is known here as `alias`.
    fn cache(&self, alias: &str) -> Container {
        let alias = format!("--network-alias={alias}");
        let server = ["--save", "", "--protected-mode", "no"];
        Container::start(&[&self.option, &alias, "--entrypoint=redis-server"], debian(), &server)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        docker(&["network", "rm", &self.name]);
    }
}

#[test]
fn link_a_legacy_link_that_is_missing() {
    let checks = "[checks.link.cache]\nport = 6379\n";
    let elsewhere = Network::new();
    refuses(
        checks,
        &[&elsewhere.option],
        &[
            "check link cache:6379 failed: found no CACHE_PORT_… or CACHE_SERVICE_HOST variable, no cache in /etc/hosts",
            "expected a container linked as cache on port 6379",
            "link a container as cache, or join the network on which cache is known",
        ],
    );
    let server = ["--protected-mode", "no"];
    let cache = Container::start(&["--expose=6379", "--entrypoint=redis-server"], debian(), &server);
    cache.says("Ready to accept connections");
    let link = format!("--link={}:cache", cache.name);
    starts(checks, &[&link]);
    starts("[checks.link.cache]\nport = 6379\nconnect = true\n", &[&link]);
    // Linked, but as something else than was meant.
    refuses("[checks.link.cache]\nport = 80\n", &[&link], &["cache with 6379/tcp only", "or correct port"]);
}

/// The story of every `docker compose up`: who is waited for comes up three seconds later.
#[test]
fn link_and_dns_an_alias_that_resolves_three_seconds_later() {
    let network = Network::new();
    let config = Config::new(
        "[checks.dns.cache]\nwait = \"30s\"\n\
         [checks.link.cache]\nport = 6379\nconnect = true\nwait = \"30s\"\nexport = \"CACHE_URL\"\nexport_as = \"url\"\n",
    );
    let command = ["--", "sh", "-c", "echo cache is at $CACHE_URL"];
    let waits = Container::start(&[&network.option, &config.mount], debian(), &command);
    waits.says("waiting for dns cache (");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(waits.inspect(".State.Status"), "running", "{:?}", waits.logs());

    let _cache = network.cache("cache");
    waits.says("cache is at tcp://cache:6379");
    assert_eq!(waits.wait(), 0);
    assert!(!waits.logs().err.contains("failed"), "{:?}", waits.logs());
}

#[test]
fn dns_an_alias_that_never_resolves() {
    let network = Network::new();
    let checks = "[checks.dns.cache]\nwait = \"500ms\"\n";
    refuses(
        checks,
        &[&network.option],
        &[
            "check dns cache failed: found no address of cache: ",
            "(name servers: 127.0.0.11), still after 500ms, expected a name with an address",
            "correct the name, or join the network on which cache is known",
        ],
    );
    let cache = network.cache("cache");
    let address = cache.inspect("range .NetworkSettings.Networks}}{{.IPAddress}}{{end");
    starts(checks, &[&network.option]);
    starts(
        &format!("[checks.dns.cache]\nfamily = \"ipv4\"\naddresses = [\"{address}\"]\n"),
        &[&network.option],
    );
    let other = "[checks.dns.cache]\naddresses = [\"192.0.2.1\"]\n";
    let told = format!("found cache at {address}, expected a name with an address, one of 192.0.2.1");
    refuses(other, &[&network.option], &[&told]);
}

/// Known, and nobody at home: the name alone is not what a service needs.
#[test]
fn link_that_is_known_but_does_not_answer() {
    let network = Network::new();
    let asleep = ["--network-alias=cache", &network.option, "--entrypoint=sleep"];
    let _asleep = Container::start(&asleep, debian(), &["1000"]);
    let checks = "[checks.link.cache]\nport = 6379\nconnect = true\n";
    refuses(
        checks,
        &[&network.option],
        &[
            "cache (by the name server), but ",
            ":6379 does not answer: connection refused",
            "start the service on port 6379 of cache, or keep trying with wait",
        ],
    );
    let config = Config::new("[checks.link.cache]\nport = 6379\n");
    let ran = crate::engine::run(&[&network.option, &config.mount], debian(), &COMMAND);
    assert_eq!((ran.code, ran.out.as_str()), (0, "started\n"), "{ran:?}");
}
