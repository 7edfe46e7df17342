//! Every key of every kind makes a check fail that holds without it; and none takes a value that says nothing. What
//! keys there are is asked of the code, so that a new one without its case here is seen.

use super::common::keys::COMMON;
use crate::checks::facts::fake::Fake;
use crate::checks::read::testing::{checks, one};
use crate::checks::{Finding, KINDS};
use crate::model::ExitStatus;
use crate::sys::executable::format::Content;
use crate::sys::executable::lookup::{ExecFacts, FileRights, Found};
use crate::sys::fs::mounts;
use crate::sys::fs::stat::Stat;
use crate::sys::net::Interface;
use crate::sys::process::capture::Ran;
use crate::sys::process::credentials::{Accounts, Identity};
use std::cell::RefCell;
use std::time::Duration;

/// KIND.NAME | keys with which it holds | the key that makes it fail, in the place of one that is there | found
const FAILING: &str = r#"
env.NUMBER      |                                           | type = "bool"                   | "5"
env.NUMBER      |                                           | min = 6                         | "5"
env.NUMBER      |                                           | max = 4                         | "5"
env.WORD        |                                           | min_length = 4                  | "abc"
env.WORD        |                                           | max_length = 2                  | "abc"
env.URL         | type = "url"                              | schemes = "https"               | "http://a.org/"
env.URL         | type = "url"                              | domains = "b.org"               | "http://a.org/"
env.WORD        |                                           | prefix = "b"                    | "abc"
env.WORD        |                                           | suffix = "b"                    | "abc"
env.WORD        |                                           | pattern = "[ab]*"               | "abc"
env.WORD        |                                           | one_of = ["a", "b"]             | "abc"
env.WORD        |                                           | not_in = ["abc"]                | "abc"
env.WORD        | type = "list"                             | of = "int"                      | "abc"
env.LIST        | type = "list"; of = "int"; separator = "/" | separator = ","                 | "1/2"
env.NONE        | required = false                          | required = true                 | no such variable
env.WORD        |                                           | file = true                     | both WORD and WORD_FILE
env.WORD        |                                           | requires = "NONE"               | WORD set without NONE
env.WORD        |                                           | conflicts = "NUMBER"            | both WORD and NUMBER
env.NONE        | required_when = "WORD=x"                  | required_when = "WORD=abc"      | no such variable
env.WORD        |                                           | unset = true                    | it set
env.NONE        | required = false; type = "int"            | renamed_from = "WORD"           | "abc" in WORD
env.*           | prefix = "NO_"                            | prefix = "WORD_"                | WORD_FILE
link.web        |                                           | port = 81                       | web with 80/tcp only
link.web        |                                           | protocol = "udp"                | web with 80/tcp only
link.web        |                                           | connect = true                  | 172.17.0.5:80 does not answer
link.db         | export = "X"                              | export_as = "port"              | no port to export
dns.db          |                                           | host = "bd"                     | no address of bd
dns.db          |                                           | family = "ipv6"                 | db at 10.0.0.5
dns.db          |                                           | addresses = "10.0.0.4"          | db at 10.0.0.5
tcp.db          | port = 80                                 | port = 81                       | connection refused
tcp.db:80       |                                           | address = "bd:80"               | no address of bd
tcp.db:80       |                                           | timeout = "1s"                  | timed out
http.http://db/ |                                           | url = "http://bd/"              | no address of bd
http.http://db/ |                                           | unix = "/run/none"              | no such socket
http.http://db/ |                                           | method = "POST"                 | status 405
http.http://db/ |                                           | headers = { X-Key = "bad" }     | status 403
http.http://db/ |                                           | status = [201, "300-399"]       | status 200
http.http://db/ |                                           | contains = "all down"           | without "all down"
http.http://db/ |                                           | timeout = "1s"                  | timed out
unix./run/sock  |                                           | path = "/etc/key"               | a file
network         |                                           | interface = "eth9"              | only lo, eth0, eth1
network.eth1    | address = false                           | address = true                  | eth1 with no address
network         |                                           | family = "ipv6"                 | only 172.17.0.2
network         |                                           | cidr = "10.0.0.0/8"             | only 172.17.0.2
network.eth0    |                                           | default_route = false           | with a default route
network.eth0    |                                           | mtu = 9000                      | an mtu of 1500
network.eth0    |                                           | ipv6 = true                     | IPv6 off
port.8080       |                                           | port = 80                       | port 80 taken
port.8080       |                                           | state = "listening"             | nobody listens on port 8080
port.22         | state = "listening"                       | address = "10.0.0.1"            | nobody listens on 10.0.0.1:22
port.22         | state = "listening"                       | protocol = "udp"                | nobody listens on port 22
mount./data     |                                           | path = "/etc"                   | which is part of the overlay at /
mount./data     |                                           | mode = "ro"                     | a writable mount
mount./data     |                                           | fstype = ["xfs", "tmpfs"]       | of type ext4
mount./data     |                                           | options = { has = "nodev" }     | a mount without nodev
mount./data     |                                           | options = { lacks = "nosuid" }  | a mount with nosuid
mount./data     |                                           | source = "/dev/sdb1"            | a mount of /dev/sda1
mount./data     |                                           | propagation = "shared"          | a mount that is private
mount./data     |                                           | volume = "db"                   | the directory /vol of the host, no volume
volume./data    |                                           | path = "/etc"                   | which is part of the overlay at /
volume./data    |                                           | readable = false                | readable by uid 1000
volume./data    |                                           | writable = false                | writable by uid 1000
volume./ro      | writable = false                          | writable = true                 | mounted read-only
volume./data    |                                           | min_free = "1GiB"               | 64 MiB free of 128 MiB
volume./data    |                                           | min_free_inodes = 101           | 100 free inodes of 200
volume./data    |                                           | empty = true                    | a volume that holds "x"
volume./data    |                                           | owner = 5                       | owned by app:app, mode 0755
volume./data    |                                           | group = 5                       | owned by app:app, mode 0755
volume./data    |                                           | mode = "0700"                   | owned by app:app, mode 0755
volume./data    |                                           | max_mode = "0700"               | owned by app:app, mode 0755
file./etc/key   |                                           | path = "/etc/none"              | /etc/none is not there
file./etc/key   |                                           | absent = true                   | a file owned by app:app
file./etc/key   |                                           | type = "socket"                 | a file
file./etc/key   |                                           | owner = 5                       | owned by app:app, mode 0640
file./etc/key   |                                           | group = 5                       | owned by app:app, mode 0640
file./etc/key   |                                           | mode = "0600"                   | owned by app:app, mode 0640
file./etc/key   |                                           | max_mode = "0600"               | owned by app:app, mode 0640
file./etc/key   |                                           | readable = false                | readable by uid 1000
file./etc/key   |                                           | writable = true                 | not writable by uid 1000
file./etc/key   |                                           | executable = true               | is not executable
file./etc/empty |                                           | non_empty = true                | an empty file
file./etc/key   |                                           | non_empty = false               | 3 bytes
file./etc/key   |                                           | min_size = 4                    | 3 bytes
file./etc/key   |                                           | max_age = "1m"                  | modified longer ago
file./etc/key   |                                           | sha256 = "0000000000000000000000000000000000000000000000000000000000000000" | the SHA-256 ba7816bf
file./etc/key   |                                           | contains = ["abc", "x"]         | a file without "x"
file./etc/key   |                                           | lacks = ["x", "b"]              | a file with "b"
dir./data       |                                           | path = "/etc/none"              | /etc/none is not there
dir./data       |                                           | absent = true                   | a directory owned by app:app
dir./data       |                                           | owner = 5                       | owned by app:app, mode 0755
dir./data       |                                           | group = 5                       | owned by app:app, mode 0755
dir./data       |                                           | mode = "0700"                   | owned by app:app, mode 0755
dir./data       |                                           | max_mode = "0700"               | owned by app:app, mode 0755
dir./data       |                                           | readable = false                | readable by uid 1000
dir./ro         |                                           | writable = true                 | which is read-only
dir./data       |                                           | executable = false              | executable by uid 1000
dir./data       |                                           | empty = true                    | a directory that holds x
dir./data       |                                           | non_empty = false               | a directory that holds x
link_target./ln |                                           | path = "/etc/key"               | a file, no link
link_target./ln |                                           | absent = true                   | a file owned by app:app
link_target./ln |                                           | target = "/etc/none"            | a link to key
link_target./ln |                                           | owner = 5                       | owned by app:app, mode 0640
link_target./ln |                                           | group = 5                       | owned by app:app, mode 0640
link_target./ln |                                           | mode = "0600"                   | owned by app:app, mode 0640
link_target./ln |                                           | max_mode = "0600"               | owned by app:app, mode 0640
link_target./ln |                                           | readable = false                | readable by uid 1000
link_target./ln |                                           | writable = false                | writable by uid 1000
link_target./ln |                                           | executable = false              | executable by uid 1000
command.app     |                                           | command = "none"                | no such program
command.app     |                                           | version = "2\\."                | /bin/app, "1.0"
command.app     | version = "1\\."                          | args = "-x"                     | /bin/app, "2.0"
exec.x          | command = "app"                           | command = "none"                | no such program
exec.x          | command = "app"                           | exit_codes = [1, 3]             | exit code 0
exec.x          | command = "app"                           | matches = "^2"                  | output "1.0"
exec.x          | command = "app"                           | timeout = "1s"                  | still running after 1s
user            | root = false                              | name = "root"                   | user app (uid 1000)
user            | root = false                              | uid = 5                         | user app (uid 1000)
user            | root = false                              | gid = 5                         | with group app (gid 1000)
user            | root = false                              | groups = ["app", 5]             | not a member of 5
user            | root = false                              | root = true                     | user app (uid 1000)
user            | root = false                              | in_passwd = false               | user app (uid 1000)
user            | root = false                              | home_writable = true            | whose home /ro is on the mount
privileges      | no_new_privs = true                       | no_new_privs = false            | no_new_privs on
privileges      | no_new_privs = true                       | capabilities = { has = "KILL" } | uid 1000 without KILL
privileges      | no_new_privs = true                       | capabilities = { lacks = "ALL" } | uid 1000 with CHOWN
privileges      | no_new_privs = true                       | seccomp = true                  | seccomp off
privileges      | no_new_privs = true                       | apparmor = "mine"               | apparmor unconfined
privileges      | no_new_privs = true                       | setuid_files = "none"           | setuid /bin/su
privileges      | setuid_files = "none"; paths = "/ro"       | paths = "/bin"                  | setuid /bin/su
privileges      | setuid_files = "none"; allow = "/bin/su"  | allow = "/bin/mount"            | setuid /bin/su
privileges      | no_new_privs = true                       | exposed = "none"                | exposed: /run/docker.sock
privileges      | no_new_privs = true                       | passwords = "none empty"        | an empty password of app
limit           | nofile = 1                                | nofile = 2048                   | nofile 1024
limit           | nofile = 1                                | nproc = 2048                    | nproc 1024
limit           | nofile = 1                                | core = 2048                     | core 1 KiB
limit           | nofile = 1                                | memlock = 2048                  | memlock 1 KiB
limit           | nofile = 1                                | stack = 2048                    | stack 1 KiB
limit           | nofile = 1                                | memory = "2KiB"                 | memory 1 KiB of the container
limit           | nofile = 1                                | cpus = 2                        | cpus 1.024 of the container
limit           | nofile = 1                                | pids = 2048                     | pids 1024 of the container
kernel          | version = "3"                             | version = "6.2"                 | version 6.1.0
kernel          | version = "3"                             | arch = ["vax", "arm64"]         | arch x86_64
kernel          | version = "3"                             | sysctl.kernel.pid_max = 9       | kernel.pid_max = 8
kernel          | version = "3"                             | sysctl = { kernel.pid_max = "9" } | kernel.pid_max = 8
kernel          | version = "3"                             | device = "/dev/fuse"            | no /dev/fuse
kernel          | version = "3"                             | shm = "1GiB"                    | /dev/shm of 0 bytes
kernel          | version = "3"                             | time_zone = "Mars/Olympus"      | time zone UTC
kernel          | version = "3"                             | not_before = "1970-01-02"       | a clock before 1970-01-02
kernel          | version = "3"                             | entropy = true                  | no entropy yet
"#;

/// Keys that say nothing of whether a check holds: how it is told, and what is done when it does.
const OTHERS: &[(&str, &[&str])] = &[
    ("env", &["default", "deprecated", "description", "example", "pass", "secret"]),
    ("exec", &["secret"]),
    ("dir", &["ensure", "recursive", "file_mode", "dir_mode", "from", "ignore"]),
    ("volume", &["ensure", "recursive", "file_mode", "dir_mode", "from", "ignore"]),
    ("file", &["ensure"]),
    ("link_target", &["ensure"]),
];

/// Keys whose text may be empty: it is shown, or it is a name, which nobody has then, so that the check fails.
const EMPTY: &[&str] = &[
    "apparmor",
    "as_user",
    "deprecated",
    "description",
    "example",
    "gid",
    "group",
    "hint",
    "name",
    "owner",
    "time_zone",
];

/// A container of user app in which everything above fails.
fn container() -> Fake {
    let text = |path: &str, text: &str| (path.to_string(), text.to_string());
    let age = Duration::from_secs(3600);
    let file = Stat { file: true, uid: 1000, gid: 1000, mode: 0o640, size: 3, age, ..Stat::default() };
    let dir = Stat { dir: true, file: false, mode: 0o755, ..file };
    let socket = Stat { socket: true, file: false, ..file };
    Fake {
        files: [
            ("/", dir),
            ("/etc", dir),
            ("/etc/key", file),
            ("/etc/empty", Stat { size: 0, ..file }),
            ("/ln", file),
            ("/data", dir),
            ("/data/x", file),
            ("/ro", dir),
            ("/run/sock", socket),
            ("/run/docker.sock", socket),
            ("/bin", dir),
        ]
        .map(|(path, stat)| (path.to_string(), stat))
        .into(),
        texts: [
            text("/etc/key", "abc"),
            text("/etc/shadow", "app::1:\n"),
            text("/proc/self/status", "CapEff:\t1\nNoNewPrivs:\t1\nSeccomp:\t0\n"),
            text("/proc/sys/kernel/pid_max", "8\n"),
            text("/sys/class/net/eth0/mtu", "1500\n"),
        ]
        .into(),
        links: [text("/ln", "key")].into(),
        refused: [
            ("/etc/key", "w", libc::EACCES),
            ("/etc/key", "x", libc::EACCES),
            ("/ro", "w", libc::EROFS),
        ]
        .map(|(path, what, errno)| ((path.to_string(), what), errno))
        .into(),
        mounts: mounts::parse(
            "1 0 0:1 / / rw - overlay overlay rw\n2 1 0:2 /vol /data rw,nosuid - ext4 /dev/sda1 rw\n\
             3 1 0:3 / /ro ro - tmpfs tmpfs rw\n",
        ),
        free: 64 << 20,
        inodes: 200,
        accounts: Accounts::parse("root:x:0:0::/:\napp:x:1000:1000::/ro:\n", "app:x:1000:\n"),
        current: RefCell::new(Identity { uid: 1000, gid: 1000, groups: vec![] }),
        set_id: vec!["/bin/su".into()],
        cgroup: [("memory", 1024), ("cpus", 1024), ("pids", 1024)].into(),
        rlimits: ["nofile", "nproc", "core", "memlock", "stack"].map(|name| (name, (1024, 1024))).into(),
        uname: ("6.1.0".into(), "x86_64".into()),
        ..network()
    }
}

/// A program by this name.
fn program(word: &str, execute: bool) -> (String, ExecFacts) {
    let path = if word.starts_with('/') { word.into() } else { format!("/bin/{word}") };
    let rights = FileRights { execute, read: true, ..FileRights::default() };
    let found = Found { path, directory: false, rights, noexec: None, content: Content::Unreadable };
    (word.into(), ExecFacts { word: word.into(), found: Some(found), ..ExecFacts::default() })
}

/// Its network, and what its peers and programs answer.
fn network() -> Fake {
    let interface = |name: &str, addresses: &[&str]| Interface {
        name: name.into(),
        up: true,
        loopback: name == "lo",
        addresses: addresses.iter().map(|address| address.parse().expect("ip")).collect(),
    };
    Fake {
        interfaces: vec![
            interface("lo", &["127.0.0.1"]),
            interface("eth0", &["172.17.0.2"]),
            interface("eth1", &[]),
        ],
        routes: vec![("eth0".into(), false)],
        names: [("db".to_string(), "10.0.0.5".parse().expect("ip"))].into(),
        answers: vec!["10.0.0.5:80".parse().expect("address")],
        answer: "HTTP/1.1 200 OK\r\n\r\nall up".into(),
        unbindable: [(80, libc::EADDRINUSE)].into(),
        listening: vec!["127.0.0.1:22".parse().expect("address")],
        ran: Ran { outcome: Some(ExitStatus::Code(0)), output: [b"1.0".to_vec(), Vec::new()] },
        odd: vec![
            ("-x", "2.0"),
            ("POST", "HTTP/1.1 405 No\r\n\r\n"),
            ("X-Key: bad", "HTTP/1.1 403 No\r\n\r\n"),
        ],
        slow: Duration::from_secs(2),
        looks: [program("app", true), program("/etc/key", false)].into(),
        ..Fake::default()
    }
}

const ENVIRON: &[(&str, &str)] = &[
    ("PATH", "/bin"),
    ("NUMBER", "5"),
    ("WORD", "abc"),
    ("WORD_FILE", "/etc/key"),
    ("URL", "http://a.org/"),
    ("LIST", "1/2"),
    ("WEB_PORT_80_TCP", "tcp://172.17.0.5:80"),
];

/// `[checks.KIND."NAME"]` with these keys.
fn table(kind: &str, name: &str, keys: &[&str]) -> String {
    let name = if name.is_empty() { String::new() } else { format!(".\"{name}\"") };
    format!("[checks.{kind}{name}]\n{}", keys.join("\n"))
}

fn evaluate(text: &str) -> Finding {
    one(text).spec.evaluate(&container().facts(ENVIRON))
}

fn key_of(line: &str) -> &str {
    line.split([' ', '.']).next().unwrap_or_default()
}

/// Kind, NAME, keys with which it holds, the key that makes it fail, what is found then.
fn failing()
-> impl Iterator<Item = (&'static str, &'static str, Vec<&'static str>, &'static str, &'static str)> {
    FAILING.trim().lines().map(|line| {
        let columns: Vec<&str> = line.split(" | ").map(str::trim).collect();
        let [what, base, key, found] = columns[..] else { panic!("not four columns: {line}") };
        let (kind, name) = what.split_once('.').unwrap_or((what, ""));
        (kind, name, base.split("; ").filter(|line| !line.is_empty()).collect(), key, found)
    })
}

/// The keys that a kind asks its table for, by what it says of one that it does not know.
pub(super) fn known(kind: &str, name: &str) -> Vec<String> {
    let unknown = "qqqqqqqqqqqqqqqqqqqq";
    let (_, faults) = checks(&table(kind, name, &[&format!("{unknown} = 1")]));
    let told = faults.iter().find(|fault| fault.contains(unknown)).expect("an unknown key is a fault");
    let (_, keys) = told.split_once("known here: ").expect("the keys that are known");
    keys.split(", ").map(str::to_string).collect()
}

/// Each kind with a name that it takes.
pub(super) fn named() -> impl Iterator<Item = (&'static str, &'static str)> {
    KINDS.iter().map(|kind| {
        let case = failing().find(|(of, ..)| *of == kind.name);
        let (_, name, ..) = case.unwrap_or_else(|| panic!("no case of {}", kind.name));
        (kind.name, name)
    })
}

#[test]
fn every_key_makes_a_check_fail_that_holds_without_it() {
    for (kind, name, base, key, found) in failing() {
        let holds = evaluate(&table(kind, name, &base));
        assert!(holds.ok, "{kind} {name} {base:?}: {holds:?}");
        let mut keys: Vec<&str> = base.into_iter().filter(|line| key_of(line) != key_of(key)).collect();
        keys.push(key);
        let fails = evaluate(&table(kind, name, &keys));
        assert!(!fails.ok && fails.found.contains(found), "{kind} {name} {keys:?}: {fails:?}");
        assert!(!fails.remedy.is_empty(), "{kind} {name} {keys:?}");
    }
}

#[test]
fn no_key_is_without_its_case() {
    let mut untested = Vec::new();
    for (kind, name) in named() {
        let others = OTHERS.iter().find(|(of, _)| *of == kind).map_or(&[][..], |(_, keys)| keys);
        let cases = failing().filter(|(of, ..)| *of == kind).map(|(_, _, _, key, _)| key_of(key));
        let covered: Vec<&str> = cases.chain(others.iter().copied().chain(COMMON.split(", "))).collect();
        let has_case = |key: &str| covered.contains(&key) || key.starts_with("when_");
        let keys = known(kind, name).into_iter().filter(|key| !has_case(key));
        untested.extend(keys.map(|key| format!("{kind} {key}")));
    }
    assert!(untested.is_empty(), "these want a line in FAILING: {}", untested.join(", "));
}

#[test]
fn no_key_takes_a_value_that_says_nothing() {
    let mut taken = Vec::new();
    for (kind, name) in named() {
        for key in known(kind, name) {
            let told = |value: &str, part: &str| {
                let (_, faults) = checks(&table(kind, name, &[&format!("{key} = {value}")]));
                faults.iter().any(|fault| fault.contains(&format!("{key}: ")) && fault.contains(part))
            };
            // What is expanded to nothing is false, for a flag.
            let empty = EMPTY.contains(&key.as_str()) || told("\"?\"", "expected true or false");
            let values = ["[[]]", "[]", "[\"\"]", "\"\""];
            let values = values.iter().take(if empty { 3 } else { 4 }).filter(|value| !told(value, ""));
            taken.extend(values.map(|value| format!("{kind} {key} = {value}")));
        }
    }
    assert_eq!(taken, [""; 0]);
}

/// The reference's table has each key in the row of its kind; those in the sentence below it are any kind's.
#[test]
fn every_key_is_in_the_readme() {
    let readme = include_str!("../../../docs/reference.md");
    let (table, rest) =
        readme.split_once("The NAME is what is looked at.").expect("the sentence below the table");
    let (_, table) = table.split_once("what it looks at").expect("the table's head");
    let (naming, rest) = rest.split_once("A check that could not fail").expect("the next sentence");
    let (_, common) = rest.split_once("Common keys:").expect("the common keys");
    let mut missing = Vec::new();
    for (kind, name) in named() {
        let row = table
            .lines()
            .find(|line| line.split('|').nth(1).is_some_and(|kinds| kinds.contains(&format!("`{kind}`"))));
        let text = [row.expect(kind), naming, common].concat();
        let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        let told = |key: &str| words.contains(&if key.starts_with("when_") { "when_" } else { key });
        let keys = known(kind, name).into_iter().filter(|key| !told(key));
        missing.extend(keys.map(|key| format!("{kind} {key}")));
    }
    assert_eq!(missing, [""; 0]);
}

/// Files, mounts, peers and clocks change while a container waits; its variables, user, limits and machine do not.
#[test]
fn a_wait_on_what_never_changes_is_a_fault() {
    let refused = |kind: &str, name: &str, keys: &[&str]| {
        let (_, faults) = checks(&table(kind, name, &[keys, &["wait = \"1s\""]].concat()));
        assert!(faults.len() < 2, "{kind} {name} {keys:?}: {faults:?}");
        faults.iter().any(|fault| fault.contains("wait: waits for what does not change"))
    };
    for (kind, name) in named() {
        let (.., base, _, _) = failing().find(|(of, ..)| *of == kind).expect("a case");
        let fixed = ["env", "kernel", "limit", "privileges", "user"].contains(&kind);
        assert_eq!(refused(kind, name, &base), fixed, "{kind} {base:?}");
    }
    for (kind, name, keys, fixed) in [
        ("env", "*", "prefix = \"A_\"", true),
        ("env", "A", "unset = true", true),
        ("env", "A", "file = true", false),
        ("kernel", "", "arch = \"amd64\"\nversion = \"5\"", true),
        ("kernel", "", "arch = \"amd64\"\nentropy = true", false),
        ("kernel", "", "device = \"/dev/fuse\"", false),
        ("kernel", "", "sysctl.vm.a = 1", false),
        ("kernel", "", "not_before = \"2024-01-01\"", false),
    ] {
        assert_eq!(refused(kind, name, &[keys]), fixed, "{kind} {keys}");
    }
}
