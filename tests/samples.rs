//! What is read from the system's files as containers have them: each value, not only that nothing breaks (that is
//! `mutations.rs`). `samples/docker` and `samples/podman` are what real containers saw (Docker 28.2, Podman 4.3, cgroups of
//! version 1), started with limits, a user, volumes and links; `samples/kubernetes` is written after a pod on containerd
//! with cgroups of version 2.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

use rinit::checks::kinds::link::{self, Exposed};
use rinit::model::environ::Environ;
use rinit::sys::container::cgroup;
use rinit::sys::executable::format::{Content, first_bytes};
use rinit::sys::executable::lookup;
use rinit::sys::fs::mounts::{self, Mount, mount_of};
use rinit::sys::net::Protocol::{self, Tcp, Udp};
use rinit::sys::process::credentials::{Accounts, Identity};
use rinit::sys::process::status;
use rinit::sys::{container, net};
use std::ffi::CString;

const ALL: [&str; 3] = ["docker", "podman", "kubernetes"];

fn sample(whose: &str, name: &str) -> String {
    let path = format!("{}/tests/samples/{whose}/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn every_line_of_mountinfo_is_a_mount() {
    for whose in ALL {
        let text = sample(whose, "mountinfo");
        let mounts = mounts::parse(&text);
        assert_eq!(mounts.len(), text.lines().count(), "{whose}");
        assert!(mounts.iter().all(|mount| mount.point.starts_with('/') && mount.root.starts_with('/')));
    }
}

#[test]
fn mounts_are_what_the_engine_made() {
    // Whose, a path, then of its mount: the point, type, whether it is read-only, and what is mounted.
    for (whose, path, point, fstype, read_only, root) in [
        ("docker", "/usr/bin", "/", "overlay", false, "/"),
        ("docker", "/data/x", "/data", "ext4", true, "/home/me/my data\\x"),
        ("docker", "/tmp/a b/c", "/tmp/a b", "tmpfs", false, "/"),
        ("docker", "/tmp", "/", "overlay", false, "/"),
        ("docker", "/var/lib/app", "/var/lib/app", "ext4", false, "/var/lib/docker/volumes/appdata/_data"),
        ("docker", "/proc/sys/net", "/proc/sys", "proc", true, "/sys"),
        ("docker", "/proc/keys", "/proc/keys", "tmpfs", false, "/null"),
        ("docker", "/dev/shm", "/dev/shm", "tmpfs", false, "/"),
        ("podman", "/", "/", "overlay", false, "/"),
        ("podman", "/data", "/data", "ext4", true, "/home/me/my data\\x"),
        ("podman", "/tmp/a b", "/tmp/a b", "tmpfs", false, "/"),
        ("podman", "/sys/firmware/x", "/sys/firmware", "tmpfs", true, "/"),
        ("kubernetes", "/usr", "/", "overlay", true, "/"),
        ("kubernetes", "/etc/app/tls/tls.key", "/etc/app/tls", "tmpfs", true, "/"),
        ("kubernetes", "/var/lib/app data", "/var/lib/app data", "nfs4", false, "/pvc-8c1f"),
        ("kubernetes", "/sys/fs/cgroup/x", "/sys/fs/cgroup", "cgroup2", true, "/"),
        (
            "kubernetes",
            "/run/secrets/kubernetes.io/serviceaccount/token",
            "/run/secrets/kubernetes.io/serviceaccount",
            "tmpfs",
            true,
            "/",
        ),
    ] {
        let mounts = mounts::parse(&sample(whose, "mountinfo"));
        let Mount { point: at, fstype: kind, root: of, .. } = mount_of(&mounts, path).unwrap();
        assert_eq!((at.as_str(), kind.as_str(), of.as_str()), (point, fstype, root), "{whose} {path}");
        assert_eq!(mount_of(&mounts, path).unwrap().read_only(), read_only, "{whose} {path}");
    }
}

#[test]
fn mounts_have_the_options_that_the_engine_gave() {
    let of = |whose: &str, path: &str| {
        mount_of(&mounts::parse(&sample(whose, "mountinfo")), path).cloned().unwrap()
    };
    let docker = of("docker", "/tmp/a b");
    assert!(
        docker.has("noexec") && docker.has("size=64k") && docker.has("rw") && docker.propagates("private")
    );
    // What Docker makes noexec of itself, Podman does not.
    assert!(!of("podman", "/tmp/a b").has("noexec"));
    assert!(of("docker", "/").propagates("slave") && of("docker", "/var/lib/app").propagates("slave"));
    let secret = of("kubernetes", "/etc/app/tls");
    assert!(secret.read_only() && secret.has("noswap") && secret.source == "tmpfs");
    assert_eq!(of("kubernetes", "/var/lib/app data").source, "10.0.0.5:/export");
}

#[test]
fn the_status_tells_rights_and_processors() {
    // Docker without NET_RAW and with no-new-privileges, Podman as a user, a restricted pod on 80 processors.
    for (whose, effective, bounding, no_new_privs, processors, lacking) in [
        ("docker", 0xa804_05fb_u64 & !(1 << 13), 0xa804_05fb_u64 & !(1 << 13), 1, 2, &[][..]),
        ("podman", 0, 0x8004_01fb, 0, 2, &["DAC_OVERRIDE", "SETGID", "SETUID"]),
        ("kubernetes", 0, 0, 1, 80, &["DAC_OVERRIDE", "SETGID", "SETUID"]),
    ] {
        let text = sample(whose, "status");
        assert_eq!(status::number(&text, "CapEff:", 16), Some(effective), "{whose}");
        assert_eq!(status::number(&text, "CapBnd:", 16), Some(bounding), "{whose}");
        assert_eq!(status::number(&text, "NoNewPrivs:", 10), Some(no_new_privs), "{whose}");
        assert_eq!(status::number(&text, "Seccomp:", 10), Some(2), "{whose}");
        assert_eq!(status::processors(&text), Some(processors), "{whose}");
        assert_eq!(lookup::lacking(&text), lacking, "{whose}");
    }
    assert_eq!(lookup::lacking(""), [""; 0], "nothing is known, so nothing is told");
}

#[test]
fn accounts_are_those_of_the_image_and_of_the_engine() {
    let of = |whose: &str| Accounts::parse(&sample(whose, "passwd"), &sample(whose, "group"));
    let identity = |uid: u32, gid: u32, groups: &[u32]| Ok(Identity { uid, gid, groups: groups.to_vec() });
    assert_eq!(of("docker").identity("nginx"), identity(101, 101, &[101]));
    assert_eq!(of("docker").identity("root"), identity(0, 0, &[0, 2, 4]));
    assert_eq!(of("docker").identity("4711"), identity(4711, 0, &[0]));
    // Podman lists a --user that the image does not know, under its number.
    let podman = of("podman");
    assert_eq!(podman.user("4711").map(|user| (user.name.as_str(), user.home.as_str())), Some(("4711", "/")));
    assert_eq!(podman.identity("4711"), identity(4711, 0, &[0]));
    let pod = of("kubernetes");
    assert_eq!(pod.identity("nonroot:staff"), identity(65532, 50, &[50]));
    assert_eq!(pod.user_of(65532).map(|user| user.home.as_str()), Some("/home/nonroot"));
}

#[test]
fn hosts_have_every_name() {
    for (whose, name, addresses) in [
        ("docker", "web", &["172.17.0.2"][..]),
        ("docker", "some-web.1", &["172.17.0.2"]),
        ("docker", "ip6-localhost", &["::1"]),
        ("podman", "host.containers.internal", &["10.88.0.1"]),
        ("podman", "pensive_aryabhata", &["10.88.0.7"]),
        ("kubernetes", "web-6d4cf56db6-x2x5k", &["10.244.1.7", "fd00:10:244:1::7"]),
        ("kubernetes", "cache.remote", &["10.1.2.3"]),
        ("kubernetes", "file.", &[]),
    ] {
        let hosts = net::parse_hosts(&sample(whose, "hosts"));
        let known = hosts.iter().filter(|host| host.names.iter().any(|one| one == name));
        let known: Vec<String> = known.map(|host| host.address.to_string()).collect();
        assert_eq!(known, addresses, "{whose} {name}");
    }
}

#[test]
fn name_servers_are_told_and_nothing_else() {
    for (text, want) in [
        (sample("docker", "resolv.conf"), "192.0.2.53"),
        (sample("podman", "resolv.conf"), "192.0.2.53"),
        (sample("kubernetes", "resolv.conf"), "10.96.0.10"),
        // Docker, on a network that somebody has made.
        ("nameserver 127.0.0.11\noptions ndots:0\n".into(), "127.0.0.11"),
        (
            "# Generated by NetworkManager\nsearch a b\nnameserver fe80::1%eth0\nnameserver 10.0.0.2\n"
                .into(),
            "fe80::1%eth0 10.0.0.2",
        ),
        ("; nameserver 1.1.1.1\n nameserver 1.1.1.1\nnameservers 1.1.1.1\nnameserver\n".into(), ""),
    ] {
        assert_eq!(container::nameservers(&text), want, "{text}");
    }
}

#[test]
fn the_cgroup_s_files_are_looked_for_where_they_are() {
    let memory = |whose: &str| {
        cgroup::places(&sample(whose, "cgroup"), "memory.max", "memory", "memory.limit_in_bytes")
    };
    // The first of version 1 is there on the machine, the second in the container.
    for (whose, parent) in [("docker", "/docker/"), ("podman", "/libpod_parent/libpod-")] {
        let places = memory(whose);
        assert!(places[0].starts_with(&format!("/sys/fs/cgroup/memory{parent}")), "{places:?}");
        assert!(places[0].ends_with("/memory.limit_in_bytes"), "{places:?}");
        assert_eq!(places[1], "/sys/fs/cgroup/memory/memory.limit_in_bytes");
        assert_eq!(places.last().map(String::as_str), Some("/sys/fs/cgroup/memory.max"));
    }
    assert_eq!(memory("kubernetes"), ["/sys/fs/cgroup/memory.max"]);
    let cpu =
        cgroup::places("3:cpu,cpuacct:/a:b\nodd\n1:name=systemd:/x\n", "cpu.max", "cpu", "cpu.cfs_quota_us");
    let want = ["/sys/fs/cgroup/cpu/a:b/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us"];
    assert_eq!(cpu, want);
    assert_eq!(cgroup::places("", "a", "b", "c"), [""; 0]);
}

#[test]
fn limits_of_both_versions_are_read() {
    // As `docker run -m 64m --cpus 1.5 --pids-limit 100` makes them, and as they are without.
    for (text, want) in [
        ("67108864\n", Some(64 << 20)),
        ("100\n", Some(100)),
        ("9223372036854771712\n", None),
        ("max\n", None),
        ("-1\n", None),
        ("", None),
    ] {
        assert_eq!(cgroup::limit(text), want, "{text}");
    }
    for (quota, period, want) in [
        ("150000\n", "100000\n", Some(1500)),
        ("-1\n", "100000\n", None),
        ("150000 100000\n", "150000 100000\n", Some(1500)),
        ("max 100000\n", "max 100000\n", None),
        ("50000 0\n", "50000 0\n", None),
        ("99999999999999999999 1\n", "1\n", None),
    ] {
        assert_eq!(cgroup::share(quota, period), want, "{quota}");
    }
    assert_eq!(cgroup::kills("oom_kill_disable 0\nunder_oom 0\noom_kill 4\n"), 4);
    assert_eq!(cgroup::kills("low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 1\n"), 2);
    assert_eq!(
        status::installed_memory("MemTotal:       24682848 kB\nMemFree:  1 kB\n"),
        Some(24_682_848 << 10)
    );
}

#[test]
fn link_variables_tell_ports_and_addresses() {
    let told = |whose: &str, alias: &str| {
        let entries =
            sample(whose, "environ").lines().map(|line| CString::new(line).unwrap()).collect::<Vec<_>>();
        link::variables(alias, &Environ::from_entries(entries))
    };
    let exposed = |port: u16, protocol: Protocol, host: &str| Exposed { port, protocol, host: host.into() };
    let web = [exposed(80, Tcp, "172.17.0.2"), exposed(53, Udp, "172.17.0.2")];
    for alias in ["web", "Web", "some-web.1"] {
        let found = told("docker", alias);
        assert_eq!((found.exposed.as_slice(), found.kubernetes), (&web[..], None), "{alias}");
    }
    assert_eq!(told("docker", "some-web").exposed, []);
    assert_eq!(told("podman", "web").exposed, []);
    let api = told("kubernetes", "kubernetes");
    assert_eq!(api.exposed, [exposed(443, Tcp, "10.96.0.1")]);
    assert_eq!(api.kubernetes.as_deref(), Some("KUBERNETES_SERVICE_HOST"));
    let redis = [exposed(6379, Tcp, "10.96.44.11"), exposed(9121, Tcp, "10.96.44.11")];
    assert_eq!(told("kubernetes", "redis-primary").exposed, redis);
    // What begins alike is another.
    assert_eq!(told("kubernetes", "redis").exposed, []);
    assert_eq!(told("kubernetes", "resolver").exposed, [exposed(53, Udp, "fd00:10:96::a")]);
}

/// An ELF file with one program header for a loader, as far as it is looked at.
fn elf(wide: bool, big: bool, machine: u16, loader: &str) -> Vec<u8> {
    let mut file = vec![0; 256];
    file[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 1 + u8::from(wide), 1 + u8::from(big), 1]);
    let mut put = |at: usize, number: u64, size: usize| {
        let bytes = if big {
            number.to_be_bytes()[8 - size..].to_vec()
        } else {
            number.to_le_bytes()[..size].to_vec()
        };
        file[at..at + size].copy_from_slice(&bytes);
    };
    put(18, machine.into(), 2);
    let (table, size, count, word, offset, length) =
        if wide { (32, 54, 56, 8, 8, 32) } else { (28, 42, 44, 4, 4, 16) };
    put(table, 64, word);
    put(size, if wide { 56 } else { 32 }, 2);
    put(count, 2, 2);
    // The first is PT_PHDR.
    put(64, 6, 4);
    let header = 64 + if wide { 56 } else { 32 };
    put(header, 3, 4);
    put(header + offset, 200, word);
    put(header + length, loader.len() as u64 + 1, word);
    file[200..200 + loader.len()].copy_from_slice(loader.as_bytes());
    file
}

#[test]
fn elf_files_tell_their_machine_and_loader() {
    for (wide, big, machine, loader) in [
        (true, false, 62, "/lib64/ld-linux-x86-64.so.2"),
        (true, false, 183, "/lib/ld-musl-aarch64.so.1"),
        (false, false, 40, "/lib/ld-linux-armhf.so.3"),
        (true, true, 22, "/lib/ld64.so.1"),
    ] {
        let want = Content::Elf { machine, loader: Some((loader.into(), false)) };
        assert_eq!(first_bytes(&elf(wide, big, machine, loader)), want);
    }
    // A program of this machine's, and one that begins and ends.
    let own = std::fs::read("/proc/self/exe").unwrap();
    let here = if cfg!(target_arch = "x86_64") { 62 } else { 183 };
    match first_bytes(&own[..4096]) {
        Content::Elf { machine, loader: Some((loader, _)) } => {
            assert!(machine == here && loader.starts_with("/lib"), "{machine} {loader}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(first_bytes(b"\x7fELF"), Content::Elf { machine: 0, loader: None });
}

#[test]
fn numbers_of_an_elf_file_that_lead_nowhere_are_no_loader() {
    // The table of headers, the loader and its length, at the end of all numbers.
    for at in [32, 120 + 8, 120 + 32] {
        let mut file = elf(true, false, 62, "/lib64/ld-linux-x86-64.so.2");
        file[at..at + 8].copy_from_slice(&[0xff; 8]);
        assert_eq!(first_bytes(&file), Content::Elf { machine: 62, loader: None }, "{at}");
    }
    let mut file = elf(true, false, 62, "/lib64/ld-linux-x86-64.so.2");
    file[54..58].copy_from_slice(&[0xff; 4]);
    assert_eq!(first_bytes(&file), Content::Elf { machine: 62, loader: None }, "sizes and counts of headers");
}
