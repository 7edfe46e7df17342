//! Names are found as glibc finds them, whatever one of the two answers, one server or one step of the search list is:
//! with a name server of the test's own, in a network of its own.

use crate::harness::{Ended, Init};
use std::ffi::CString;
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const A: u8 = 1;
const AAAA: u8 = 28;

/// The answer by the first label: `ok-servfail` has an IPv4 address, and fails for IPv6. `None`: silence.
fn reply(question: &[u8], over_tcp: bool) -> Option<Vec<u8>> {
    let mut labels = Vec::new();
    let mut at = 12;
    while question[at] > 0 {
        let end = at + 1 + usize::from(question[at]);
        labels.push(String::from_utf8(question[at + 1..end].to_vec()).unwrap());
        at = end;
    }
    let kind = question[at + 2];
    let first = labels.first().unwrap();
    let wanted = match first.split_once('-') {
        Some((v4, v6)) => {
            if kind == A {
                v4
            } else {
                v6
            }
        }
        // What the search list makes of it.
        None => match labels.get(1).map(String::as_str) {
            Some("good") => "ok",
            Some("bad") => "servfail",
            Some(_) => "nx",
            None if first == "alone" => "ok",
            None => "nx",
        },
    };
    let mut answer = question[..at + 5].to_vec();
    answer[2] |= 0x80;
    let address: &[u8] =
        if kind == A { &[127, 0, 0, 9] } else { &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9] };
    let count = match wanted {
        "ok" => 1,
        "many" if over_tcp => 60,
        "many" => {
            answer[2] |= 2;
            0
        }
        "nodata" => 0,
        "silent" => return None,
        code => {
            answer[3] = match code {
                "nx" => 3,
                "servfail" => 2,
                "refused" => 5,
                other => panic!("{other}"),
            };
            0
        }
    };
    assert!(kind == A || kind == AAAA);
    answer[7] = count;
    for _ in 0..count {
        answer.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 9, 0, u8::try_from(address.len()).unwrap()]);
        answer.extend(address);
    }
    Some(answer)
}

/// A name server at port 53 of this address.
fn serve(address: &str) {
    let udp = UdpSocket::bind((address, 53)).unwrap();
    let tcp = TcpListener::bind((address, 53)).unwrap();
    std::thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((count, client)) = udp.recv_from(&mut question) {
            if let Some(answer) = reply(&question[..count], false) {
                let _ = udp.send_to(&answer, client);
            }
        }
    });
    std::thread::spawn(move || {
        for mut client in tcp.incoming().flatten() {
            let mut length = [0; 2];
            client.read_exact(&mut length).unwrap();
            let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
            client.read_exact(&mut question).unwrap();
            let answer = reply(&question, true).unwrap();
            client.write_all(&u16::try_from(answer.len()).unwrap().to_be_bytes()).unwrap();
            client.write_all(&answer).unwrap();
        }
    });
}

/// Sets the loopback up, in the network of this thread.
fn loopback_up() {
    // SAFETY: a request of ours for an interface that is there.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0);
        let mut request: libc::ifreq = std::mem::zeroed();
        for (place, byte) in request.ifr_name.iter_mut().zip(*b"lo\0") {
            *place = libc::c_char::try_from(byte).unwrap();
        }
        request.ifr_ifru.ifru_flags = libc::c_short::try_from(libc::IFF_UP).unwrap();
        assert_eq!(libc::ioctl(socket, libc::SIOCSIFFLAGS as _, &raw const request), 0);
        libc::close(socket);
    }
}

/// Runs a test in a network of its own, with a name server at 127.0.0.1 and at 127.0.0.2, somebody at 127.0.0.9:5432, and
/// this text as /etc/resolv.conf.
fn with_name_server(settings: &str, test: impl FnOnce() + Send + 'static) {
    crate::harness::needs_root();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = format!("{}/resolv-{}-{number}", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    std::fs::write(&path, settings).unwrap();
    let file = CString::new(path.as_str()).unwrap();
    // A thread may leave the namespaces of the others, and what it starts begins in its own.
    let thread = std::thread::spawn(move || {
        // SAFETY: system calls of this thread alone, with strings that outlive them.
        unsafe {
            assert_eq!(libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS), 0);
            let null = std::ptr::null();
            assert_eq!(
                libc::mount(null, c"/".as_ptr(), null, libc::MS_REC | libc::MS_PRIVATE, null.cast()),
                0
            );
            let target = c"/etc/resolv.conf".as_ptr();
            assert_eq!(libc::mount(file.as_ptr(), target, null, libc::MS_BIND, null.cast()), 0);
        }
        loopback_up();
        serve("127.0.0.1");
        serve("127.0.0.2");
        let somebody = TcpListener::bind("127.0.0.9:5432").unwrap();
        std::thread::spawn(move || somebody.incoming().flatten().for_each(drop));
        test();
    });
    let ended = thread.join();
    let _ = std::fs::remove_file(path);
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic);
    }
}

fn check(checks: &str) -> Ended {
    Init::config(checks).args(&["--check", "--format", "json"]).run()
}

/// AAAA answered with NXDOMAIN, SERVFAIL, REFUSED, nothing or silence made each of `dns`, `tcp` and `link` fail, although
/// there is an IPv4 address: 15 of 15.
#[test]
fn an_ipv4_address_is_enough() {
    with_name_server("nameserver 127.0.0.1\n", || {
        let mut checks = String::new();
        for bad in ["nx", "servfail", "refused", "silent", "nodata"] {
            let name = format!("ok-{bad}.test");
            checks += &format!("[checks.dns.\"{name}\"]\naddresses = \"127.0.0.9\"\n");
            checks += &format!("[checks.tcp.\"{name}:5432\"]\n");
            checks += &format!("[checks.link.\"{name}\"]\nport = 5432\nconnect = true\n");
        }
        let ended = check(&checks).expect(0);
        assert_eq!(ended.out.matches("\"status\":\"pass\"").count(), 15, "{}", ended.story());
        for told in [
            "(AAAA: SERVFAIL from 127.0.0.1)",
            "(AAAA: REFUSED from 127.0.0.1)",
            "(AAAA: no answer from 127.0.0.1)",
        ] {
            assert!(ended.out.contains(told), "{told}\n{}", ended.story());
        }
    });
}

/// And the other way round.
#[test]
fn an_ipv6_address_is_enough() {
    with_name_server("nameserver 127.0.0.1\n", || {
        let mut checks = String::new();
        for bad in ["nx", "servfail", "refused", "silent", "nodata"] {
            checks += &format!("[checks.dns.\"{bad}-ok.test\"]\nfamily = \"ipv6\"\n");
        }
        let ended = check(&checks).expect(0);
        assert_eq!(ended.out.matches("at 2001:db8::9").count(), 5, "{}", ended.story());
    });
}

/// A name that is not there is another fault than a server that does not answer, and so is what mends it.
#[test]
fn who_is_at_fault_is_told() {
    with_name_server("nameserver 127.0.0.1\n", || {
        for (name, found, remedy) in [
            ("nx-nx.test", "name does not resolve (name servers: 127.0.0.1)", "correct the name"),
            ("nodata-nodata.test", "it has no address", "correct the name"),
            (
                "servfail-servfail.test",
                "test: SERVFAIL from 127.0.0.1 (",
                "look at why the name server fails",
            ),
            ("servfail-nodata.test", "test: A: SERVFAIL from 127.0.0.1 (", "look at why"),
            ("refused-silent.test", "A: REFUSED from 127.0.0.1; AAAA: no answer from 127.0.0.1", "look at"),
            (
                "silent-silent.test",
                "no name server answers (name servers: 127.0.0.1)",
                "look at the name servers",
            ),
        ] {
            let begun = Instant::now();
            let ended = check(&format!("[checks.dns.\"{name}\"]\n")).expect(69);
            assert!(ended.out.contains(found) && ended.out.contains(remedy), "{name}\n{}", ended.story());
            assert!(begun.elapsed() < Duration::from_secs(9), "{name}\n{}", ended.story());
        }
    });
}

/// One step of the search list that a server fails at ended the search.
#[test]
fn a_bad_step_of_the_search_list_is_no_end() {
    with_name_server("search bad.test good.test\nnameserver 127.0.0.1\noptions ndots:5\n", || {
        let ended = check("[checks.dns.db]\n[checks.dns.alone]\n[checks.tcp.\"db:5432\"]\n").expect(0);
        assert_eq!(ended.out.matches("\"status\":\"pass\"").count(), 3, "{}", ended.story());
    });
    with_name_server("search bad.test other.test\nnameserver 127.0.0.1\n", || {
        let ended = check("[checks.dns.db]\n").expect(69);
        assert!(ended.out.contains("SERVFAIL from 127.0.0.1 for db.bad.test"), "{}", ended.story());
        check("[checks.dns.alone]\n").expect(0);
    });
}

/// What does not fit into a datagram is asked for again, over TCP.
#[test]
fn a_long_answer_comes_over_tcp() {
    with_name_server("nameserver 127.0.0.1\n", || {
        let ended = check("[checks.dns.\"many-many.test\"]\naddresses = \"127.0.0.9\"\n").expect(0);
        assert!(ended.out.contains("2001:db8::9"), "{}", ended.story());
    });
}

/// A server at whose place nobody listens is passed over.
#[test]
fn another_server_is_asked() {
    with_name_server("nameserver 127.0.0.8\nnameserver 127.0.0.2\n", || {
        let begun = Instant::now();
        let ended = check("[checks.dns.\"ok-ok.test\"]\n[checks.dns.\"servfail-nx.test\"]\n").expect(69);
        assert!(ended.out.contains("ok-ok.test at "), "{}", ended.story());
        assert!(
            ended.out.contains("A: nobody listens at 127.0.0.8, SERVFAIL from 127.0.0.2"),
            "{}",
            ended.story()
        );
        assert!(begun.elapsed() < Duration::from_secs(3), "{}", ended.story());
    });
}

/// A healthcheck looks names up in the same way.
#[test]
fn a_probe_needs_one_family_too() {
    with_name_server("nameserver 127.0.0.1\n", || {
        let config = "[services.web]\ncommand = [\"sleep\", \"1000\"]\n\
            healthcheck = { tcp = \"ok-servfail.test:5432\", interval = \"50ms\" }\n";
        let run = Init::config(config).start();
        run.wait_for_err("web: healthy");
        run.stop().expect(0);
    });
}
