//! `[checks.privileges]`: the container may do what it needs, and no more: the hardened image.

use super::common::finding::{add, all, fail, failure, text};
use super::common::keys::{asserting, must_ask, no_export, no_wait, word};
use crate::checks::{Blocking, CheckFailure, CheckSpec, Facts, Kind, LOOK_TIMEOUT, SLOW_FILES, facts};
use crate::config::keys::{KeySpec, key};
use crate::config::read::table::Table;
use crate::model::privileges::{capability_names, capability_number};
use crate::sys::process::credentials::User;
use crate::sys::process::status::number;
use crate::sys::{Errno, errno};
use crate::text::gather::Gather;
use crate::text::suggest::did_you_mean;
use crate::text::template::fill;

/// `privileges`
pub const KIND: Kind = Kind {
    name: "privileges",
    nameless: true,
    sub_tables: &["capabilities"],
    hang_hint: SLOW_FILES,
    read,
    ..Kind::PLAIN
};

/// The keys that are its own.
#[rustfmt::skip]
pub const KEYS: &[&[KeySpec]] = &[&[
    key("capabilities", "table", "", "capabilities that rinit must have or must not have: { has, lacks }"),
    key("no_new_privs", "bool", "either", "whether no_new_privs is set"),
    key("seccomp", "bool", "either", "whether a seccomp filter is active"),
    key("apparmor", "name or bool", "any", "the AppArmor profile; true: any, false: none"),
    key("setuid_files", "word", "", "\"none\": there must be no set-user-ID files on the root file system"),
    key("paths", "paths", "\"/\"", "the directories that `setuid_files` searches"),
    key("allow", "paths", "", "set-user-ID files that are allowed"),
    key("exposed", "word", "", "\"none\": no engine's socket, no /proc or /sys of the host, not --privileged"),
    key("passwords", "word", "", "\"none empty\": no empty password in /etc/shadow, and no uid used twice"),
]];

const ASKING: &str = "capabilities, no_new_privs, seccomp, apparmor, setuid_files, exposed, passwords";

/// Sockets by which an engine is told what to do: whoever may write there is root on the machine.
const ENGINES: [&str; 6] = [
    "/run/docker.sock",
    "/var/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
    "/run/crio/crio.sock",
    "/run/balena-engine.sock",
];

/// How to see what this user may not: rinit that is no root cannot become it by as_user.
fn how_to_see(facts: &Facts) -> &'static str {
    if facts.system.current().uid == 0 {
        "docker run --cap-add DAC_READ_SEARCH"
    } else {
        "judge as root (in the Dockerfile: USER root, RUN rinit --check --only privileges)"
    }
}

/// One thing that is asked for.
enum WantedPrivilege {
    /// Capabilities that are had, or not had, with their numbers; and, of "ALL", the option that drops them.
    Capabilities(bool, Vec<(String, u8)>, Option<String>),
    /// A bit of /proc/self/status: its name there, what to call it, and how to have it.
    CheckStatus(&'static str, &'static str, &'static str, bool),
    Apparmor(String),
    NoSetuid(Vec<String>, Vec<String>),
    NothingExposed,
    NoEmptyPassword,
}

fn read(name: &str, table: &Table<'_>) -> Option<CheckSpec> {
    no_wait(table);
    no_export(table);
    let mut wanted = Vec::new();
    let mut expected = String::new();
    if let Some(table) = table.table("capabilities") {
        capabilities(&table, &mut wanted, &mut expected);
        table.close();
    }
    for (key, line, remedy) in [
        ("no_new_privs", "NoNewPrivs:", "docker run --security-opt no-new-privileges"),
        ("seccomp", "Seccomp:", "docker run --security-opt seccomp=PROFILE.json"),
    ] {
        if let Some(flag) = table.flag(key) {
            add(&mut expected, &[if flag { "" } else { "no " }, key]);
            wanted.push(WantedPrivilege::CheckStatus(line, key, remedy, flag));
        }
    }
    if let Some(profile) = table.text_or_number("apparmor") {
        let profiles = match profile.as_str() {
            "true" => "any profile",
            "false" => "unconfined",
            one => one,
        };
        add(&mut expected, &["apparmor ", profiles]);
        wanted.push(WantedPrivilege::Apparmor(profile));
    }
    let (paths, allow) = (asserting(table, "paths"), asserting(table, "allow"));
    for (key, list) in [("paths", &paths), ("allow", &allow)] {
        if list.iter().any(|path| !path.starts_with('/')) {
            table.fault(key, "holds what is no absolute path; expected one that begins with \"/\"");
        }
    }
    if word(table, "setuid_files", &["none"]).is_some() {
        add(&mut expected, &["no setuid files"]);
        let paths = if paths.is_empty() { vec!["/".to_string()] } else { paths };
        wanted.push(WantedPrivilege::NoSetuid(paths, allow));
    } else if !paths.is_empty() || !allow.is_empty() {
        let key = if paths.is_empty() { "allow" } else { "paths" };
        table.fault(key, "does nothing without setuid_files = \"none\"");
    }
    if word(table, "exposed", &["none"]).is_some() {
        add(&mut expected, &["nothing of the machine exposed"]);
        wanted.push(WantedPrivilege::NothingExposed);
    }
    if word(table, "passwords", &["none empty"]).is_some() {
        add(&mut expected, &["no empty password, no uid twice"]);
        wanted.push(WantedPrivilege::NoEmptyPassword);
    }
    must_ask(table, ASKING.split(", ").any(|key| table.has(key)), ASKING);
    let walks = wanted.iter().any(|one| matches!(one, WantedPrivilege::NoSetuid(..)));
    Some(CheckSpec::new(
        fill!("privileges {}", name),
        expected,
        if walks { Blocking::Within(LOOK_TIMEOUT.saturating_mul(6)) } else { Blocking::Never },
        Box::new(move |facts| all(wanted.iter().map(|one| one.look(facts)).gather(), "")),
    ))
}

fn capabilities(table: &Table<'_>, wanted: &mut Vec<WantedPrivilege>, expected: &mut String) {
    let mut had: Vec<(String, u8)> = Vec::new();
    for key in ["has", "lacks"] {
        let has = key == "has";
        let mut list = Vec::new();
        let mut drop = None;
        for name in asserting(table, key) {
            match capability_number(&name) {
                Some(number) if had.iter().any(|(_, other)| *other == number) => {
                    table.fault(key, &fill!("\"{}\" cannot be there and not be there", name));
                }
                Some(number) => list.push((name.clone(), number)),
                None if !has && name.eq_ignore_ascii_case("ALL") => {
                    // As with Docker's options: all are dropped, and some are given back.
                    list.extend(capability_names().map(str::to_string).zip(0..));
                    list.retain(|one| had.iter().all(|(_, number)| *number != one.1));
                    let kept: String = had.iter().map(|(name, _)| fill!(" --cap-add {}", name)).collect();
                    drop = Some(fill!("--cap-drop ALL{}", kept));
                    add(expected, &[if had.is_empty() { "no capability" } else { "no other capability" }]);
                    continue;
                }
                None => {
                    let hint = did_you_mean(name.strip_prefix("CAP_").unwrap_or(&name), capability_names());
                    let message = fill!("no capability is called \"{}\"{}", name, hint);
                    table.fault(key, &message);
                }
            }
            add(expected, &[if has { "capability " } else { "no capability " }, &name]);
        }
        if has {
            had.clone_from(&list);
        }
        wanted.push(WantedPrivilege::Capabilities(has, list, drop));
    }
    if !table.has("has") && !table.has("lacks") {
        table.fault_here("asserts nothing; expected has or lacks");
    }
}

impl WantedPrivilege {
    fn look(&self, facts: &Facts) -> Result<String, CheckFailure> {
        match self {
            Self::Capabilities(has, list, drop) => capabilities_of(*has, list, drop.as_deref(), facts),
            Self::CheckStatus(line, key, remedy, on) => {
                let is = number(facts.system.status(), line, 10).is_some_and(|n| n > 0);
                let found = [*key, if is { " on" } else { " off" }].concat();
                if is == *on {
                    return Ok(found);
                }
                Err(
                    failure!("{}", &found; "{}{}", if *on { "" } else { "leave out what gives it: " }, remedy),
                )
            }
            Self::Apparmor(profile) => apparmor(profile, facts),
            Self::NoSetuid(paths, allow) => setuid(paths, allow, facts),
            Self::NothingExposed => exposed(facts),
            Self::NoEmptyPassword => passwords(facts),
        }
    }
}

/// Those that are in force, for this user.
fn capabilities_of(
    has: bool,
    list: &[(String, u8)],
    drop: Option<&str>,
    facts: &Facts,
) -> Result<String, CheckFailure> {
    let bits = number(facts.system.status(), "CapEff:", 16).unwrap_or(0);
    let odd = list.iter().filter(|(_, number)| (bits >> number & 1 == 1) != has);
    let names: Vec<&str> = odd.map(|(name, _)| name.as_str()).gather();
    if names.is_empty() {
        return Ok(if list.is_empty() { "" } else { "capabilities as expected" }.into());
    }
    let uid = facts.system.current().uid.to_string();
    let (which, verb, how) = if has {
        ("without ", "--cap-add ", ", as root or by the capabilities of the file (setcap)")
    } else {
        ("with ", "--cap-drop ", ", or run as another user")
    };
    let option = drop.map_or_else(|| [verb, &names.join(&fill!(" {}", verb))].concat(), str::to_string);
    Err(failure!("uid {} {}{}", &uid, which, &names.join(", "); "docker run {}{}", &option, how))
}

fn apparmor(wanted: &str, facts: &Facts) -> Result<String, CheckFailure> {
    let read = |path: &str| text(facts, path);
    let own = read("/proc/self/attr/apparmor/current").or_else(|_| read("/proc/self/attr/current"));
    let own = own.unwrap_or_default();
    let text = own.trim_matches(['\0', '\n']);
    // `docker-default (enforce)`
    let profile = text.split(" (").next().filter(|name| !name.is_empty()).unwrap_or("unconfined");
    let found = fill!("apparmor {}", profile);
    let fits = match wanted {
        "true" => profile != "unconfined",
        "false" => profile == "unconfined",
        wanted => profile == wanted,
    };
    if fits {
        return Ok(found);
    }
    let remedy = match wanted {
        "true" => "leave out apparmor=unconfined, and run it on a machine with AppArmor",
        "false" => "docker run --security-opt apparmor=unconfined",
        wanted => return fail!("{}", &found; "docker run --security-opt apparmor={}", wanted),
    };
    fail!("{}", &found; "{}", remedy)
}

fn setuid(paths: &[String], allow: &[String], facts: &Facts) -> Result<String, CheckFailure> {
    // Where nothing is, nothing is ever found: most likely a name that is mistyped.
    let unseen = |path: &String| Some((path.clone(), facts.system.stat(path).err()?));
    if let Some((path, error)) = paths.iter().find_map(unseen) {
        if errno(&error) == Errno::EACCES {
            return Err(super::common::path::unreachable(&path, crate::sys::fs::stat::Access::Read, facts));
        }
        return Err(failure!("{} is not there", &path; "correct paths, or leave it out"));
    }
    let found = facts.system.set_id_files(paths).map_err(|(directory, error)| {
        let (how, or) = match errno(&error) {
            Errno::EACCES => (how_to_see(facts), ", or "),
            _ => ("", ""),
        };
        failure!("a directory that cannot be searched, {}: {}", &directory, &facts::why(&error); "{}{}name other paths", how, or)
    })?;
    let over: Vec<&str> = found.iter().filter(|path| !allow.contains(path)).map(String::as_str).gather();
    if over.is_empty() {
        return Ok("no setuid files".into());
    }
    let shown = over.get(..over.len().min(10)).unwrap_or_default();
    let shown_all = over.len() == shown.len();
    let more = if shown_all { "" } else { " …" };
    let mend = if shown_all {
        fill!("chmod a-s {}", &shown.join(" "))
    } else {
        ["find ", &paths.join(" "), " -xdev -type f -perm /6000 -exec chmod a-s {} +"].concat()
    };
    Err(failure!("setuid {}{}", &shown.join(", "), more; "in the image: {}, or name them in allow", &mend))
}

fn exposed(facts: &Facts) -> Result<String, CheckFailure> {
    let mut found: Vec<&str> = Vec::new();
    let is_socket = |path: &&&str| facts.system.stat(path).is_ok_and(|stat| stat.socket);
    // /var/run is most often /run.
    found.extend(ENGINES.iter().find(is_socket));
    for mount in facts.system.mounts() {
        let foreign = |own: &str| !mount.point.starts_with(own);
        if (mount.fstype == "proc" && foreign("/proc")) || (mount.fstype == "sysfs" && foreign("/sys")) {
            found.push(&mount.point);
        }
        // A socket that is mounted by itself may have any name here.
        let is = |engine: &&str| engine.rsplit('/').next() == mount.root.rsplit('/').next();
        if ENGINES.iter().any(is) && !found.contains(&mount.point.as_str()) {
            found.push(&mount.point);
        }
    }
    // To load a kernel module is what only --privileged gives.
    let bits = number(facts.system.status(), "CapBnd:", 16).unwrap_or(0);
    if ["SYS_ADMIN", "SYS_MODULE", "SYS_RAWIO"]
        .iter()
        .filter_map(|name| capability_number(name))
        .all(|n| bits >> n & 1 == 1)
    {
        found.push("all capabilities (--privileged)");
    }
    if found.is_empty() {
        return Ok("nothing exposed".into());
    }
    Err(failure!("exposed: {}", &found.join(", "); "leave out the volume or option that gives it"))
}

fn passwords(facts: &Facts) -> Result<String, CheckFailure> {
    let mut empty: Vec<String> = Vec::new();
    for path in ["/etc/passwd", "/etc/shadow"] {
        let text = match text(facts, path) {
            Ok(text) => text,
            Err(error) if errno(&error) == Errno::ENOENT => continue,
            Err(error) => {
                return fail!("{} that cannot be read: {}", path, &facts::why(&error); "{}", how_to_see(facts));
            }
        };
        for line in text.lines() {
            let mut fields = line.split(':');
            if let (Some(name), Some("")) = (fields.next(), fields.next())
                && !name.is_empty()
            {
                empty.push(name.to_string());
            }
        }
    }
    if !empty.is_empty() {
        let names = empty.join(", ");
        return Err(failure!("an empty password of {}", &names; "in the image: passwd -l {}", &names));
    }
    let mut users: Vec<&User> = facts.system.accounts().users.iter().gather();
    // By place in the file where the number is the same.
    crate::text::sort::sort_by_key(&mut users, |user| (user.uid, std::ptr::from_ref::<User>(user)));
    let twin = users.array_windows().find(|[one, other]| one.uid == other.uid && one.name != other.name);
    twin.map_or(Ok("no empty password".into()), |[_, user]| {
        let uid = user.uid.to_string();
        Err(failure!("uid {} twice in /etc/passwd", &uid; "give {} a uid of its own", &user.name))
    })
}

#[cfg(test)]
mod tests {
    use crate::checks::facts::fake::Fake;
    use crate::checks::read::testing::{checks, one};
    use crate::sys::fs::mounts;
    use crate::sys::fs::stat::Stat;
    use crate::sys::process::credentials::Accounts;

    fn fake(status: &str) -> Fake {
        let text = |path: &str, text: &str| (path.to_string(), text.to_string());
        Fake {
            texts: [
                text("/proc/self/status", status),
                text("/proc/self/attr/current", "docker-default (enforce)\n"),
                text("/etc/passwd", "root:x:0:0::/:\n"),
                text("/etc/shadow", "root:*:1::::::\n"),
            ]
            .into(),
            files: ["/", "/usr"].map(|path| (path.to_string(), Stat { dir: true, ..Stat::default() })).into(),
            set_id: vec!["/usr/bin/su".into(), "/usr/bin/mount".into()],
            ..Fake::default()
        }
    }

    #[test]
    fn every_key_can_fail_and_hold() {
        // CHOWN and NET_BIND_SERVICE.
        let status = "CapEff:\t0000000000000401\nCapBnd:\t0000000000000401\nNoNewPrivs:\t1\nSeccomp:\t0\n";
        for (keys, ok, found) in [
            ("capabilities = { has = [\"CAP_CHOWN\"] }", true, "capabilities as expected"),
            ("capabilities = { has = [\"SYS_ADMIN\"] }", false, "uid 0 without SYS_ADMIN"),
            ("capabilities = { lacks = [\"sys_admin\"] }", true, "capabilities as expected"),
            ("capabilities = { lacks = [\"NET_BIND_SERVICE\"] }", false, "uid 0 with NET_BIND_SERVICE"),
            ("capabilities = { lacks = \"ALL\" }", false, "uid 0 with CHOWN, NET_BIND_SERVICE"),
            ("capabilities = { has = \"CHOWN\", lacks = \"ALL\" }", false, "uid 0 with NET_BIND_SERVICE"),
            (
                "capabilities = { has = [\"CHOWN\", \"NET_BIND_SERVICE\"], lacks = \"ALL\" }",
                true,
                "capabilities as expected; capabilities as expected",
            ),
            ("no_new_privs = true", true, "no_new_privs on"),
            ("no_new_privs = false", false, "no_new_privs on"),
            ("seccomp = true", false, "seccomp off"),
            ("seccomp = false", true, "seccomp off"),
            ("apparmor = \"docker-default\"", true, "apparmor docker-default"),
            ("apparmor = true", true, "apparmor docker-default"),
            ("apparmor = false", false, "apparmor docker-default"),
            ("apparmor = \"mine\"", false, "apparmor docker-default"),
            ("setuid_files = \"none\"", false, "setuid /usr/bin/su, /usr/bin/mount"),
            (
                "setuid_files = \"none\"\nallow = \"/usr/bin/su\"\npaths = \"/usr\"",
                false,
                "setuid /usr/bin/mount",
            ),
            (
                "setuid_files = \"none\"\nallow = [\"/usr/bin/su\", \"/usr/bin/mount\"]",
                true,
                "no setuid files",
            ),
            ("setuid_files = \"none\"\npaths = [\"/usr\", \"/ust\"]", false, "/ust is not there"),
            ("exposed = \"none\"", true, "nothing exposed"),
            ("passwords = \"none empty\"", true, "no empty password"),
        ] {
            let finding =
                one(&format!("[checks.privileges]\n{keys}")).spec.evaluate(&fake(status).facts(&[]));
            assert_eq!((finding.ok, finding.found.trim_matches([';', ' '])), (ok, found), "{keys}");
        }
    }

    #[test]
    fn the_remedy_is_what_mends_it() {
        let remedy = |keys: &str, fake: Fake| {
            one(&format!("[checks.privileges]\n{keys}")).spec.evaluate(&fake.facts(&[])).remedy
        };
        let status = "CapEff:\t0000000000000401\n";
        let all = remedy("capabilities = { lacks = \"ALL\" }", fake(status));
        assert_eq!(all, "docker run --cap-drop ALL, or run as another user");
        let others = remedy("capabilities = { has = \"CHOWN\", lacks = \"ALL\" }", fake(status));
        assert_eq!(others, "docker run --cap-drop ALL --cap-add CHOWN, or run as another user");
        let bare = || Fake { texts: [].into(), ..fake("") };
        assert!(remedy("apparmor = true", bare()).contains("leave out apparmor=unconfined"));
        assert_eq!(remedy("apparmor = \"mine\"", bare()), "docker run --security-opt apparmor=mine");
        let many = Fake { set_id: (0..11).map(|n| format!("/bin/{n}")).collect(), ..fake("") };
        let find = remedy("setuid_files = \"none\"", many);
        assert!(find.contains("find / -xdev -type f -perm /6000 -exec chmod a-s {} +"), "{find}");
    }

    #[test]
    fn what_is_exposed_is_named() {
        let evaluate =
            |fake: Fake| one("[checks.privileges]\nexposed = \"none\"").spec.evaluate(&fake.facts(&[])).found;
        let socket = Stat { socket: true, ..Stat::default() };
        let files =
            ["/run/docker.sock", "/var/run/docker.sock"].map(|path| (path.to_string(), socket)).into();
        assert_eq!(evaluate(Fake { files, ..fake("") }), "exposed: /run/docker.sock");
        let mounts = mounts::parse(
            "1 0 0:1 / /proc rw - proc proc rw\n2 0 0:2 / /proc/bus ro - proc proc rw\n\
             3 0 0:3 / /host/proc rw - proc proc rw\n4 0 0:4 / /host/sys rw - sysfs sysfs rw\n",
        );
        assert_eq!(evaluate(Fake { mounts, ..fake("") }), "exposed: /host/proc, /host/sys");
        let mounts = mounts::parse(
            "1 0 0:1 /docker.sock /tmp/x rw - tmpfs tmpfs rw\n2 0 0:1 /podman/podman.sock /run/docker.sock rw - tmpfs tmpfs rw\n",
        );
        let files = [("/run/docker.sock".to_string(), socket)].into();
        assert_eq!(evaluate(Fake { mounts, files, ..fake("") }), "exposed: /run/docker.sock, /tmp/x");
        let bypasses_dac = fake("CapBnd:\t000001ffffffffff\n");
        assert_eq!(evaluate(bypasses_dac), "exposed: all capabilities (--privileged)");
    }

    #[test]
    fn a_directory_that_cannot_be_searched_is_named() {
        for (uid, errno, remedy) in [
            (1000, libc::EACCES, "judge as root (in the Dockerfile: USER root, RUN rinit --check"),
            (0, libc::EACCES, "docker run --cap-add DAC_READ_SEARCH, or name other paths"),
            (0, libc::EINVAL, "name other paths"),
        ] {
            let refused = [(("/usr".to_string(), "r"), errno)].into();
            let fake = Fake { refused, ..fake("") };
            fake.current.borrow_mut().uid = uid;
            let text = "[checks.privileges]\nsetuid_files = \"none\"\npaths = \"/usr\"";
            let finding = one(text).spec.evaluate(&fake.facts(&[]));
            assert!(finding.found.starts_with("a directory that cannot be searched, /usr: "), "{finding:?}");
            assert!(finding.remedy.starts_with(remedy), "{finding:?}");
        }
    }

    #[test]
    fn a_password_that_is_empty_and_a_uid_twice_are_named() {
        let evaluate = |path: &str, text: &str, passwd: &str| {
            let mut fake = Fake { accounts: Accounts::parse(passwd, ""), ..fake("") };
            fake.texts.insert(path.into(), text.into());
            one("[checks.privileges]\npasswords = \"none empty\"").spec.evaluate(&fake.facts(&[]))
        };
        assert_eq!(evaluate("/etc/shadow", "root:*:1:\napp::1:\n", "").found, "an empty password of app");
        assert_eq!(evaluate("/etc/passwd", "app::1:1::/:\n", "").found, "an empty password of app");
        let twice = "root:x:0:0::/:\ntoor:x:0:0::/:\n";
        let finding = evaluate("/x", "", twice);
        assert_eq!(
            (finding.found.as_str(), finding.remedy.as_str()),
            ("uid 0 twice in /etc/passwd", "give toor a uid of its own")
        );
        let many: String = (0..50_000).map(|n| format!("u{n}:x:{n}:0::/:\n")).collect();
        assert_eq!(evaluate("/x", "", &many).found, "no empty password");
        assert_eq!(evaluate("/x", "", &(many + "x:x:7:0::/:\n")).found, "uid 7 twice in /etc/passwd");
    }

    #[test]
    fn what_cannot_hold_is_a_fault() {
        for (keys, part) in [
            ("", "asserts nothing"),
            ("capabilities = {}", "expected has or lacks"),
            ("capabilities = { has = [] }", "asserts nothing"),
            ("capabilities = { has = [\"SYS_ADMN\"] }", "did you mean \"SYS_ADMIN\"?"),
            ("capabilities = { has = [\"ALL\"] }", "no capability is called"),
            ("capabilities = { has = \"CHOWN\", lacks = \"cap_chown\" }", "cannot be there and not be there"),
            ("setuid_files = \"non\"", "did you mean \"none\"?"),
            ("exposed = \"all\"", "expected \"none\""),
            ("passwords = \"none\"", "\"none empty\""),
            ("no_new_privs = true\npaths = [\"/\"]", "nothing without setuid_files"),
            ("no_new_privs = true\nallow = [\"/x\"]", "nothing without setuid_files"),
            ("setuid_files = \"none\"\npaths = \"usr\"", "no absolute path"),
            ("setuid_files = \"none\"\nallow = \"su\"", "no absolute path"),
            ("no_new_privs = true\nexport = \"X\"", "hands on nothing"),
            ("no_new_privs = true\nwait = \"1s\"", "does not change"),
        ] {
            let (_, faults) = checks(&format!("[checks.privileges]\n{keys}"));
            assert!(faults.iter().any(|message| message.contains(part)), "{keys}: {faults:?}");
        }
    }
}
