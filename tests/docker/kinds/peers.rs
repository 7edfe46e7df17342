//! Who answers: `tcp`, `http`, `unix`; and over what: `network`.

use super::names::Network;
use super::{refuses, starts};
use crate::engine::{Container, Volume, docker_ok};
use crate::eventually;
use crate::images::debian;

/// A real nginx, which is known as `web` on a network.
fn web(network: &Network) -> Container {
    let options = [&network.option, "--network-alias=web", "--entrypoint=nginx"];
    Container::start(&options, debian(), &["-g", "daemon off;"])
}

#[test]
fn tcp_a_port_on_which_somebody_listens_and_one_on_which_nobody_does() {
    let network = Network::new();
    let _web = web(&network);
    starts("[checks.tcp.\"web:80\"]\nwait = \"20s\"\n", &[&network.option]);
    refuses(
        "[checks.tcp.\"web:81\"]\n[checks.tcp.\"wbe:80\"]\n",
        &[&network.option],
        &[
            "check tcp web:81 failed: found no answer from ",
            ": connection refused, expected somebody who accepts connections",
            "start what is to listen at web:81, correct the address, or keep trying with wait",
            "check tcp wbe:80 failed: found no address of wbe: ",
        ],
    );
}

#[test]
fn http_what_nginx_answers() {
    let network = Network::new();
    let _web = web(&network);
    starts(
        "[checks.http.\"http://web/\"]\ncontains = \"Welcome to nginx\"\nwait = \"20s\"\n\
         [checks.http.head]\nurl = \"http://web/\"\nmethod = \"HEAD\"\nwait = \"20s\"\n\
         [checks.http.missing]\nurl = \"http://web/missing\"\nstatus = 404\nwait = \"20s\"\n",
        &[&network.option],
    );
    refuses(
        "[checks.http.\"http://web/health\"]\n[checks.http.\"http://web/\"]\ncontains = \"it works\"\n\
         [checks.http.\"http://web:8080/\"]\n",
        &[&network.option],
        &[
            "found status 404, expected an answer of status 200-299; mend what http://web/health reports",
            "found status 200 without \"it works\"",
            "start what is to listen at web:8080",
        ],
    );
}

/// A socket that redis makes on a volume of both, and what is left of it when redis is killed.
#[test]
fn unix_a_socket_on_which_redis_listens_and_one_that_it_left_behind() {
    let checks = "[checks.unix.\"/run/shared/redis.sock\"]\n";
    let volume = Volume::new();
    let shared = format!("--volume={}:/run/shared", volume.0);
    refuses(
        checks,
        &[&shared],
        &[
            "found no such socket",
            "start what is to listen on /run/shared/redis.sock, or keep trying with wait",
        ],
    );

    let server = ["--unixsocket", "/run/shared/redis.sock", "--unixsocketperm", "755"];
    let redis = Container::start(&[&shared, "--entrypoint=redis-server"], debian(), &server);
    starts(&format!("{checks}wait = \"20s\"\n"), &[&shared]);
    // To connect is to write.
    refuses(
        checks,
        &[&shared, "--user=1000:1000"],
        &["not writable by uid 1000", "chown 1000:1000", "or run as uid 0"],
    );

    redis.signal("KILL");
    redis.wait();
    refuses(checks, &[&shared], &["found a socket on which nobody listens"]);
}

#[test]
fn network_none_at_all() {
    let checks = "[checks.network]\n";
    refuses(
        checks,
        &["--network=none"],
        &[
            "check network failed: found only lo, expected an interface besides the loopback, up, with an address",
            "connect the container to a network (docker run --network …)",
        ],
    );
    starts(checks, &[]);
}

#[test]
fn network_one_that_leads_nowhere_and_one_that_is_another() {
    let apart = crate::engine::unique("network");
    docker_ok(&["network", "create", &apart, "--subnet=192.168.211.0/24"]);
    let here = format!("--network={apart}");
    let cidr = "[checks.network]\ncidr = \"192.168.211.0/24\"\ndefault_route = true\n";
    let result = std::panic::catch_unwind(|| {
        starts(cidr, &[&here]);
        refuses(
            cidr,
            &[],
            &["found eth0 with only ", "connect the container to the network 192.168.211.0/24"],
        );
        let closed = "[checks.network]\ndefault_route = false\n";
        refuses(closed, &[&here], &["eth0 with a default route", "docker network create --internal"]);
    });
    eventually("the network removed", || {
        (crate::engine::docker(&["network", "rm", &apart]).code == 0).then_some(())
    });
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}
