//! Who answers, and the container's own network.

use super::{Report, checking, report};
use crate::harness;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;

/// A server that answers every request with this, and the address that it has.
fn server(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut request = [0; 2048];
            let count = client.read(&mut request).unwrap_or(0);
            let told = String::from_utf8_lossy(&request[..count]).contains("X-Token: sesame");
            let answer = if told || count == 0 { answer } else { "HTTP/1.1 403 Forbidden\r\n\r\n" };
            let _ = client.write_all(answer.as_bytes());
        }
    });
    address
}

/// An address on which nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn peers_answer_or_do_not() {
    let up = server("HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nall up");
    let down = server("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n");
    let token = "headers = { X-Token = \"sesame\" }";
    let report = report(checking(&format!(
        "
        [checks.tcp.up]\naddress = \"{up}\"
        [checks.tcp.nobody]\naddress = \"{}\"
        [checks.http.up]\nurl = \"http://{up}/health\"\n{token}\ncontains = \"all up\"
        [checks.http.forbidden]\nurl = \"http://{up}/health\"
        [checks.http.other]\nurl = \"http://{up}/health\"\n{token}\ncontains = \"all down\"
        [checks.http.down]\nurl = \"http://{down}/health?key=sesame\"\n{token}
        [checks.http.expected]\nurl = \"http://{down}/\"\n{token}\nstatus = [200, \"500-599\"]
        ",
        nobody()
    )));
    report.pass(&["up", "expected"]).fail("nobody", "connection refused");
    report.fail("forbidden", "status 403").fail("other", "without").fail("down", "status 503");
    assert!(!report.ended.story().contains("sesame"), "a secret is shown\n{}", report.ended.story());
}

#[test]
fn names_resolve_or_do_not() {
    let report = report(
        checking(
            "
            [checks.dns.localhost]\naddresses = [\"127.0.0.1\", \"::1\"]
            [checks.dns.elsewhere]\nhost = \"127.0.0.1\"\naddresses = \"10.0.0.1\"
            [checks.dns.six]\nhost = \"127.0.0.1\"\nfamily = \"ipv6\"
            [checks.dns.\"no-such-host.invalid\"]
            ",
        )
        .network(),
    );
    report.pass(&["localhost"]).fail("elsewhere", "127.0.0.1 at 127.0.0.1").fail("six", "127.0.0.1");
    report.fail("no-such-host.invalid", "no address of no-such-host.invalid");
}

#[test]
fn a_socket_is_listened_on_or_is_not() {
    let run = checking(
        "
        [checks.unix.later]\npath = \"/mnt/files/later\"\nwait = \"10s\"\ninterval = \"10ms\"
        [checks.unix.file]\npath = \"/mnt/files/rinit.toml\"
        [checks.unix.none]\npath = \"/mnt/files/none\"
        ",
    )
    .start();
    let listener = UnixListener::bind(run.directory().join("later")).unwrap();
    let report = Report { ended: run.end() };
    drop(listener);
    report.pass(&["later"]).fail("file", "a file").fail("none", "no such socket");
}

/// One that is taken by what rinit itself was given, so that /proc tells by whom.
#[test]
fn ports_are_free_or_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (tcp, other) = (listener.local_addr().unwrap().port(), udp.local_addr().unwrap().port());
    let checks = format!(
        "
        [checks.port.up]\nport = {tcp}\nstate = \"listening\"
        [checks.port.udp]\nport = {other}\nstate = \"listening\"\nprotocol = \"udp\"
        [checks.port.elsewhere]\nport = {tcp}\naddress = \"127.0.0.2\"
        [checks.port.taken]\nport = {tcp}\naddress = \"127.0.0.1\"
        [checks.port.taken-udp]\nport = {other}\nprotocol = \"udp\"
        [checks.port.nobody]\nport = {}\nstate = \"listening\"
        [checks.port.not-there]\nport = {tcp}\nstate = \"listening\"\naddress = \"127.0.0.2\"
        [checks.port.foreign]\nport = {tcp}\naddress = \"192.0.2.1\"
        ",
        nobody().port()
    );
    let report = report(checking(&checks).fd(listener.into(), 5));
    report
        .pass(&["up", "udp", "elsewhere"])
        .fail("taken", &format!("127.0.0.1:{tcp} taken by rinit (pid 1)"));
    report.fail("taken-udp", "taken by another process").fail("nobody", "nobody listens");
    report.fail("not-there", "nobody listens on 127.0.0.2").fail("foreign", "whose address no interface has");
}

/// Who may not is told by what: the right that lacks, and from which port on none is needed.
#[test]
fn a_privileged_port_needs_a_right() {
    harness::needs_root();
    let checks = "[checks.port.80]\n[checks.port.1024]\n";
    let user = report(checking(checks).network().user(4711));
    user.pass(&["1024"]).fail("80", "refused to uid 4711: below net.ipv4.ip_unprivileged_port_start = 1024");
    report(checking(checks).network()).pass(&["80", "1024"]);
}

#[test]
fn a_network_is_there_or_is_not() {
    let checks = "
        [checks.network.lo]\ncidr = \"127.0.0.0/8\"\nmtu = 65536\ndefault_route = false
        [checks.network.any]\ninterface = \"lo\"\nfamily = \"ipv4\"
        [checks.network.eth7]
        [checks.network.cidr]\ninterface = \"lo\"\ncidr = \"10.0.0.0/8\"
        [checks.network.route]\ninterface = \"lo\"\ndefault_route = true
        [checks.network]\naddress = true
    ";
    let report = report(checking(checks).network());
    report.pass(&["lo", "any"]).fail("eth7", "only lo").fail("cidr", "lo with only 127.0.0.1");
    report.fail("route", "lo without a default route").fail("", "only lo");
}

#[test]
fn a_link_is_told_by_variables_and_answers_or_does_not() {
    let up = server("HTTP/1.1 200 OK\r\n\r\n").port();
    let down = nobody().port();
    let checks = format!(
        "
        [checks.link.web]\nport = {up}\nconnect = true
        [checks.link.kube]\nport = {up}\nconnect = true
        [checks.link.other]\nport = 1
        [checks.link.down]\nconnect = true
        [checks.link.udp]\nprotocol = \"udp\"
        [checks.link.\"no-such-host.invalid\"]
        "
    );
    let mut launch =
        checking(&checks).env("KUBE_SERVICE_HOST", "127.0.0.1").env("KUBE_SERVICE_PORT", &up.to_string());
    for (alias, port) in [("WEB", up), ("OTHER", up), ("DOWN", down), ("UDP", up)] {
        launch = launch.env(&format!("{alias}_PORT_{port}_TCP"), &format!("tcp://127.0.0.1:{port}"));
    }
    let report = report(launch);
    report.pass(&["web", "kube"]).fail("other", "/tcp only").fail("udp", "/tcp only");
    report.fail("down", "does not answer: connection refused");
    report.fail("no-such-host.invalid", "no NO_SUCH_HOST.INVALID_PORT_");
}
