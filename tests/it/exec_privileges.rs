//! `nice`, `ionice`, `oom_score_adj`, `cpu_affinity`, `cap_add`, `cap_drop`, `no_new_privileges`, `pdeathsig`: each seen
//! in the service's own /proc, and refused in words where the container may not grant it.

use crate::harness::{Ended, Init};

/// What a service of these keys tells of itself.
const TELL: &str = r#"["sh", "-c", "grep -E '^(Cap|NoNewPrivs|Cpus_allowed_list)' /proc/self/status; echo nice $(nice); echo io $(ionice); echo adj $(cat /proc/$$/oom_score_adj)"]"#;

fn service(keys: &str) -> Ended {
    crate::harness::needs_root();
    Init::config(&format!("[services.a]\ntype = 'oneshot'\ncommand = {TELL}\n{keys}\n")).run().expect(0)
}

/// A rinit that was given only some capabilities, as `docker run --cap-drop ALL --cap-add …` makes it.
fn confined(capabilities: &str, keys: &str) -> Ended {
    crate::harness::needs_root();
    let config = format!("[services.a]\ntype = 'oneshot'\ncommand = {TELL}\n{keys}\n");
    let script = format!(
        "exec setpriv --bounding-set=-all{capabilities} --inh-caps=-all -- /mnt/rinit --config /mnt/files/rinit.toml"
    );
    Init::SHELL.launch().file("rinit.toml", &config).args(&["-c", &script]).run()
}

#[track_caller]
fn has(ended: &Ended, lines: &[&str]) {
    for line in lines {
        let found = ended.out.lines().any(|known| known.split_whitespace().eq(line.split_whitespace()));
        assert!(found, "no `{line}`\n{}", ended.story());
    }
}

#[test]
fn a_service_has_what_its_keys_say() {
    let ended = service(
        "nice = 7\nionice = 'idle'\noom_score_adj = 321\ncpu_affinity = [0]\nno_new_privileges = true",
    );
    // The program may be a moment ahead of its score: it is set once the program has memory of its own.
    has(&ended, &["nice 7", "io idle", "Cpus_allowed_list: 0", "NoNewPrivs: 1"]);
    let ended = service("nice = -5\nionice = 'best-effort:1'\ncpu_affinity = '0-0'");
    has(&ended, &["nice -5", "io best-effort: prio 1", "Cpus_allowed_list: 0", "NoNewPrivs: 0"]);
}

/// What shares memory shares its score: rinit's own was raised with its service's.
#[test]
fn the_score_is_the_services_alone() {
    let config = r#"
        [services.victim]
        command = ["sh", "-c", "while [ $(cat /proc/$$/oom_score_adj) != 500 ]; do sleep 0.01; done; echo $(cat /proc/1/oom_score_adj) $(cat /proc/self/oom_score_adj); exec sleep 1000"]
        oom_score_adj = 500
        [services.other]
        command = ["sh", "-c", "echo other $(cat /proc/self/oom_score_adj); exec sleep 1000"]
    "#;
    let own = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    let run = Init::config(config).start();
    run.wait_for(&format!("{} 500", own.trim()));
    run.wait_for(&format!("other {}", own.trim()));
    run.stop().expect(0);
}

#[test]
fn capabilities_are_added_and_dropped() {
    // 10: NET_BIND_SERVICE, 0: CHOWN. A user who is not root has them as ambient ones.
    has(
        &service("user = '1000:1000'\ncap_add = ['NET_BIND_SERVICE', 'cap_chown']\nno_new_privileges = true"),
        &[
            "CapEff: 0000000000000401",
            "CapPrm: 0000000000000401",
            "CapAmb: 0000000000000401",
            "NoNewPrivs: 1",
        ],
    );
    has(&service("user = '1000:1000'"), &["CapEff: 0000000000000000", "CapAmb: 0000000000000000"]);
    // Root keeps what is not dropped, and nothing that it starts gets more.
    has(
        &service("cap_drop = ['ALL']\ncap_add = ['KILL']"),
        &["CapEff: 0000000000000020", "CapPrm: 0000000000000020", "CapBnd: 0000000000000020"],
    );
    let ended = service("cap_drop = ['NET_RAW', 'CHOWN']");
    let set = |name: &str| {
        let line = ended.out.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    for name in ["CapEff:", "CapPrm:", "CapBnd:"] {
        assert_eq!(set(name) & (1 << 13 | 1), 0, "{}", ended.story());
        assert_ne!(set(name) & (1 << 5), 0, "{}", ended.story());
    }
}

/// `cap_add` for a user who is not root did nothing elsewhere; here what the container lacks is told with the remedy.
#[test]
fn what_the_container_may_not_grant_is_told() {
    let few = ",+setuid,+setgid,+chown";
    for (keys, told) in [
        (
            "nice = -1",
            "nice -1 needs CAP_SYS_NICE, which this container is not given; docker run --cap-add SYS_NICE, or ask for at least 0 (/mnt/files/rinit.toml:4:8)",
        ),
        (
            "oom_score_adj = -999",
            "oom_score_adj -999 needs CAP_SYS_RESOURCE, which this container is not given; docker run --cap-add SYS_RESOURCE, or ask for at least ",
        ),
        ("ionice = 'realtime:0'", "ionice \"realtime\" needs CAP_SYS_NICE"),
        (
            "nice = 3\ncap_add = ['NET_ADMIN']",
            "cap_add: this container is not given CAP_NET_ADMIN; docker run --cap-add NET_ADMIN, or drop it from cap_add (/mnt/files/rinit.toml:5:11)",
        ),
        (
            "cap_drop = ['ALL']",
            "cap_drop needs CAP_SETPCAP, which this container is not given; docker run --cap-add SETPCAP, or let the engine drop them",
        ),
        ("cpu_affinity = 8000", "cpu_affinity: this container may use none of these processors"),
    ] {
        confined(few, keys).expect(71).tells(&[told]);
    }
    // What needs no right is granted all the same.
    let ended =
        confined(few, "nice = 3\noom_score_adj = 999\ncap_add = ['CHOWN']\nuser = '1000:1000'").expect(0);
    has(&ended, &["nice 3", "CapEff: 0000000000000001"]);
}

#[test]
fn a_wrong_value_is_a_fault() {
    for (keys, told) in [
        ("nice = 20", "nice"),
        ("oom_score_adj = 1001", "oom_score_adj"),
        ("ionice = 'fast'", "expected \"idle\", \"best-effort:0\""),
        ("cpu_affinity = 'all'", "numbers of processors, such as [0, 1] or \"0-3,8\""),
        ("cpu_affinity = [9000]", "numbers of processors"),
        ("cap_add = ['CHWON']", "which is no capability; did you mean \"CHOWN\"?"),
        ("cap_add = ['ALL']", "\"ALL\" is for cap_drop"),
        ("cap_drop = []", "is an empty list"),
        ("pdeathsig = 'SIGWHAT'", "pdeathsig"),
    ] {
        let config = format!("[services.a]\ncommand = 'true'\n{keys}\n");
        Init::config(&config).run().expect(78).tells(&["rinit.toml:3:", told]);
    }
}

/// rinit dies of KILL, where it is not PID 1: the service gets its signal.
#[test]
fn a_service_hears_of_rinits_death() {
    let config = r#"
        [services.a]
        command = ["sh", "-c", "trap 'echo heard > /mnt/files/heard; exit 0' USR1; echo up; while :; do sleep 0.01; done"]
        user = "0:0"
        pdeathsig = "USR1"
    "#;
    let run = Init::config(config).nested().start();
    run.wait_for("up");
    run.signal(libc::SIGKILL);
    crate::harness::eventually("it is heard", || run.directory().join("heard").exists());
}

/// One file for a container that grants it and one that does not: with `level = "warn"` it runs with what there is.
#[test]
fn what_the_container_may_not_grant_can_be_a_warning() {
    let keys = "level = 'warn'\nnice = -1\nionice = 'realtime:0'\noom_score_adj = -999\ncap_add = ['NET_ADMIN', 'CHOWN']\nuser = '1000:1000'\nulimits = { nofile = 99999999, core = 0 }";
    let ended = confined(",+setuid,+setgid,+chown", keys).expect(0).tells(&[
        "\"sh\" runs without what it asks for: nice -1 needs CAP_SYS_NICE, which this container is not given; docker run --cap-add SYS_NICE",
        "ionice \"realtime\" needs CAP_SYS_NICE",
        "oom_score_adj -999 needs CAP_SYS_RESOURCE",
        "docker run --cap-add NET_ADMIN",
        "ulimits: nofile 99999999 is ",
    ]);
    has(&ended, &["nice 0", "CapEff: 0000000000000001", "CapAmb: 0000000000000001"]);
    confined(",+setuid,+setgid", "ulimits = { nofile = 99999999 }").expect(71).tells(&[
        "ulimits: nofile 99999999 is ",
        "ask for at most ",
        "rinit.toml:4:",
    ]);
    confined(",+setuid,+setgid", "level = 'warn'\ncap_drop = ['ALL']")
        .expect(78)
        .tells(&["level: can never act"]);
    service("level = 'warn'\nnice = -1").tells(&[]);
}
