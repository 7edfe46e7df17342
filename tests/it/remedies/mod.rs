//! Every remedy that a check prints works: the set-up is broken, rinit tells the remedy, the remedy is carried out as it is
//! printed, and the check passes. What needs an engine is carried out in `tests/docker/kinds`, what a user may not reach in
//! `tests/it/unreachable.rs`. [`every_hint_is_carried_out`] holds the list: a hint that is new wants its row.

mod lines;
mod list;

use crate::harness::{Init, Launch, needs_root};
use std::path::Path;

/// A place of the container's own.
const OWN: &str = "mkdir -p /mnt/files/own; mount -t tmpfs tmpfs /mnt/files/own; chmod 755 /mnt/files/own; cd /mnt/files/own";

fn after(script: &str, checks: &str) -> Launch {
    let script = format!("{OWN}\n{script}\nexec /mnt/rinit \"$@\"");
    Init::SHELL.launch().args(&["-ec", &script, "sh"]).config(checks).command(&["/bin/echo", "started"])
}

/// After `prepare` these checks fail, and tell `printed`; after `applied` they pass.
#[track_caller]
fn mended(prepare: &str, checks: &str, printed: &str, applied: &str) {
    mended_by(prepare, checks, printed, applied, checks);
}

/// The same, where what is mended is (also) the configuration.
#[track_caller]
fn mended_by(prepare: &str, checks: &str, printed: &str, applied: &str, mended: &str) {
    needs_root();
    let told = after(prepare, checks).run().expect(69);
    assert!(told.err.contains(printed), "no `{printed}` in {}", told.story());
    let ended = after(&format!("{prepare}\n{applied}"), mended).run().expect(0);
    assert_eq!((ended.out.as_str(), ended.err.as_str()), ("started\n", ""), "{}", ended.story());
}

/// What is printed is a command: it is run as it stands there.
#[track_caller]
fn by_command(prepare: &str, checks: &str, command: &str) {
    mended(prepare, checks, command, command);
}

fn check(kind: &str, name: &str, keys: &str) -> String {
    format!("[checks.{kind}.\"/mnt/files/own/{name}\"]\n{keys}\n")
}

#[test]
fn of_paths_that_are_not_to_be_there() {
    by_command("mkdir -p d/x", &check("dir", "d", "absent = true"), "rm -r /mnt/files/own/d");
    by_command("mkdir -p d/x", &check("file", "d", "absent = true"), "rm -r /mnt/files/own/d");
    by_command("echo x > f", &check("file", "f", "absent = true"), "rm /mnt/files/own/f");
    let remove = "remove it: rm /mnt/files/own/f";
    mended("ln -s /nowhere f", &check("file", "f", "absent = true"), remove, "rm /mnt/files/own/f");
    by_command("ln -s /etc l", &check("file", "l", "absent = true"), "rm -r /mnt/files/own/l");
}

#[test]
fn of_files_and_what_they_hold() {
    let file = "/mnt/files/own/f";
    let put = format!("put a file at {file}");
    mended("mkdir f", &check("file", "f", ""), &put, "rmdir f; touch f");
    mended("", &check("file", "f", ""), "put it into the image, or mount it at /mnt/files/own/f", "touch f");
    mended(": > f", &check("file", "f", "non_empty = true"), &format!("fill {file}"), "echo x > f");
    mended("echo x > f", &check("file", "f", "non_empty = false"), &format!("empty {file}"), ": > f");
    let old = format!("look at what touches {file}, or raise max_age");
    mended("touch -d 2001-01-01 f", &check("file", "f", "max_age = \"1h\""), &old, "touch f");
    let written = format!("write \"listen\" into {file}");
    mended("echo x > f", &check("file", "f", "contains = \"listen\""), &written, "echo listen > f");
    let removed = format!("remove \"changeme\" from {file}");
    mended(
        "echo changeme > f",
        &check("file", "f", "lacks = \"changeme\""),
        &removed,
        "sed -i s/changeme// f",
    );
    let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let right = format!("put the right file at {file}");
    mended("echo x > f", &check("file", "f", &format!("sha256 = \"{sum}\"")), &right, "printf abc > f");
    let keys = "contains = \"x\"";
    let printed = "or leave out contains, lacks and sha256";
    mended_by("mkfifo f", &check("file", "f", keys), printed, "", &check("file", "f", ""));
    let large = "truncate -s 17M f";
    let printed = "ask for its sha256 in place of contains and lacks";
    let sum = std::process::Command::new("sh")
        .args(["-c", "head -c 17825792 /dev/zero | sha256sum"])
        .output()
        .unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap();
    let summed = check("file", "f", &format!("sha256 = \"{}\"", &sum[..64]));
    mended_by(large, &check("file", "f", keys), printed, "", &summed);
}

#[test]
fn of_directories() {
    let make = "remove it, and make a directory there: mkdir /mnt/files/own/d";
    mended("touch d", &check("dir", "d", ""), make, "rm d; mkdir /mnt/files/own/d");
    mended("mkdir d; touch d/x", &check("dir", "d", "empty = true"), "empty /mnt/files/own/d", "rm -r d/*");
    let filled = "put files into /mnt/files/own/d, or mount them there";
    mended("mkdir d", &check("dir", "d", "empty = false"), filled, "touch d/x");
}

/// Owner, group and mode, in this order: chown takes bits of the mode.
#[test]
fn of_rights() {
    let file = "/mnt/files/own/f";
    let keys = "owner = \"daemon\"\ngroup = \"daemon\"\nmode = \"4750\"";
    let commands = format!("chown daemon {file}; chgrp daemon {file}; chmod 4750 {file}");
    by_command("echo x > f; chmod 644 f", &check("file", "f", keys), &commands);
    by_command(
        "echo x > f; chmod 644 f",
        &check("file", "f", "max_mode = \"0600\""),
        &format!("chmod 0600 {file}"),
    );
    let printed = "add the user, or use its number";
    mended_by(
        "touch f",
        &check("file", "f", "owner = \"nobody-knows\""),
        printed,
        "",
        &check("file", "f", "owner = 0"),
    );
    // Root may do nearly anything.
    let keys = "readable = false";
    let printed = "judge as another user (as_user): root may do nearly anything";
    let other = format!("{keys}\nas_user = \"daemon\"");
    mended_by("touch f; chmod 600 f", &check("file", "f", keys), printed, "", &check("file", "f", &other));
    let printed = "take it from that user with chmod or chown, or judge as another (as_user)";
    mended("touch f; chmod 644 f", &check("file", "f", &other), printed, "chmod o-r f");
}

/// `ln` alone had no directory for its link, and made it in the directory that stood there.
#[test]
fn of_links() {
    mended("ln -s t l", &check("file", "l", ""), "put it at t, or correct the link", "echo x > t");
    mended("ln -s t l", &check("dir", "l", ""), ", or correct the link", "ln -sfn /etc l");
    let target = "target = \"/etc\"";
    let missing = "mkdir -p /mnt/files/own/a/b && ln -s /etc /mnt/files/own/a/b/l";
    by_command("", &check("link_target", "a/b/l", target), missing);
    by_command("", &check("link_target", "l", target), "ln -s /etc /mnt/files/own/l");
    by_command("ln -s /usr l", &check("link_target", "l", target), "ln -sfn /etc /mnt/files/own/l");
    by_command("touch l", &check("link_target", "l", target), "ln -sfn /etc /mnt/files/own/l");
    let printed =
        "put it elsewhere (mv /mnt/files/own/l /mnt/files/own/l.old), and: ln -s /etc /mnt/files/own/l";
    let applied = "mv /mnt/files/own/l /mnt/files/own/l.old; ln -s /etc /mnt/files/own/l";
    mended("mkdir l", &check("link_target", "l", target), printed, applied);
}

/// "make room" where the whole is too small, and `--tmpfs` where a volume of the engine's is asked for.
#[test]
fn of_volumes_and_mounts() {
    let at = "/mnt/files/own/v";
    let tmpfs = |options: &str| format!("mkdir v; mount -t tmpfs -o {options} tmpfs v");
    let free = check("volume", "v", "min_free = \"2MiB\"");
    let told = after(&tmpfs("size=1m"), &free).run().expect(69);
    assert!(!told.err.contains("make room"), "{}", told.story());
    // What `--tmpfs PATH:OPTIONS` does.
    let resized =
        |option: &str| (format!("docker run --tmpfs {at}:{option}"), format!("mount -o remount,{option} v"));
    let (printed, applied) = resized("size=2m");
    mended(&tmpfs("size=1m"), &free, &printed, &applied);
    let full = format!("{}; head -c 3145728 /dev/zero > v/f", tmpfs("size=4m"));
    let (printed, applied) = resized("size=5m");
    mended(&full, &free, &format!("make room in {at}, or {printed}"), &applied);
    mended(&full, &free, &format!("make room in {at}, or "), "rm v/f");
    let inodes = check("volume", "v", "min_free_inodes = 20");
    let (printed, applied) = resized("nr_inodes=21");
    mended(&tmpfs("nr_inodes=10"), &inodes, &printed, &applied);
    let many = format!("{}; touch v/1 v/2 v/3 v/4 v/5 v/6 v/7 v/8", tmpfs("nr_inodes=25"));
    mended(
        &many,
        &inodes,
        &format!("remove files from {at}, or docker run --tmpfs {at}:nr_inodes=29"),
        "rm v/*",
    );
    mended(&tmpfs("size=1m"), &check("volume", "v", "empty = false"), "fill it, or mount at", "touch v/x");
    let filled = format!("{}; touch v/x", tmpfs("size=1m"));
    mended(
        &filled,
        &check("volume", "v", "empty = true"),
        &format!("empty {at}, or mount a new volume"),
        "rm v/x",
    );
    // Nothing is mounted there.
    let mounted = |checks: &str, printed: &str, refused: &str| {
        let told = after("mkdir v", checks).run().expect(69);
        assert!(told.err.contains(printed), "no `{printed}` in {}", told.story());
        assert!(refused.is_empty() || !told.err.contains(refused), "{}", told.story());
    };
    mounted(&check("mount", "v", "volume = true"), "docker run --volume v:/mnt/files/own/v)", "--tmpfs");
    mounted(&check("mount", "v", "volume = \"db\""), "docker run --volume db:/mnt/files/own/v)", "--tmpfs");
    mounted(&check("mount", "v", "fstype = \"tmpfs\""), "docker run --tmpfs /mnt/files/own/v)", "--volume");
    let checks = check("mount", "v", "mode = \"ro\"");
    mounted(&checks, "docker run --volume v:/mnt/files/own/v:ro, or --tmpfs /mnt/files/own/v:ro)", "");
    mended("mkdir v", &checks, ":ro", "mount -t tmpfs -o ro tmpfs v");
    mended(
        &tmpfs("ro"),
        &check("mount", "v", "mode = \"rw\""),
        "mount it with rw instead of ro",
        "mount -o remount,rw v",
    );
    mended(&tmpfs("rw"), &checks, "mount it with ro", "mount -o remount,ro v");
    let noexec = check("mount", "v", "options = { has = [\"noexec\"] }");
    mended(&tmpfs("size=1m"), &noexec, "mount it with noexec", "mount -o remount,noexec v");
    let exec = check("mount", "v", "options = { lacks = [\"noexec\"] }");
    let printed = format!("mount it with exec (docker run --tmpfs {at}:exec)");
    mended(&tmpfs("noexec"), &exec, &printed, "mount -o remount,exec v");
    let plain = check("mount", "v", "options = { lacks = [\"ro\"] }");
    mended(&tmpfs("ro"), &plain, "mount it without ro", "mount -o remount,rw v");
    let shared = check("mount", "v", "propagation = \"shared\"");
    mended(&tmpfs("size=1m"), &shared, "docker run --volume …:rshared, at", "mount --make-shared v");
    let own = check("mount", "v", "propagation = \"unbindable\"");
    by_command(&tmpfs("size=1m"), &own, &format!("mount --make-unbindable {at}"));
}

/// "install tzdata" where it is there and the zone is wrong.
#[test]
fn of_time_zones() {
    needs_root();
    let zones = "mount -t tmpfs tmpfs /usr/share/zoneinfo; mkdir -p /usr/share/zoneinfo/Europe; \
                 echo berlin > /usr/share/zoneinfo/Europe/Berlin; export TZ";
    let wrong = "[checks.kernel]\ntime_zone = \"Europe/Berln\"";
    let right = "[checks.kernel]\ntime_zone = \"Europe/Berlin\"";
    let told = after(&format!("{zones}; TZ=Europe/Berln"), wrong).run().expect(69);
    told.tells(&["correct time_zone (ls /usr/share/zoneinfo); did you mean \"Berlin\"?"]);
    mended_by(&format!("{zones}; TZ=Europe/Berlin"), wrong, "correct time_zone", "", right);
    mended(&format!("{zones}; TZ=UTC"), right, "set TZ=Europe/Berlin", "TZ=Europe/Berlin");
    // None is there at all.
    let none = "mount -t tmpfs tmpfs /usr/share; export TZ";
    let install = "mkdir -p /usr/share/zoneinfo/Europe; echo berlin > /usr/share/zoneinfo/Europe/Berlin";
    let printed = "set TZ=Europe/Berlin, and install tzdata in the image";
    mended(&format!("{none}; TZ=UTC"), right, printed, &format!("TZ=Europe/Berlin; {install}"));
    mended(&format!("{none}; TZ=Europe/Berlin"), right, "install tzdata in the image", install);
}

/// "correct the name" where no server answers at all.
#[test]
fn of_name_servers() {
    needs_root();
    let server = "import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((\"127.0.0.1\", 53))
open(\"/mnt/files/own/up\", \"w\")
while True:
    q, who = s.recvfrom(512)
    four = q[-4:-2] == b\"\\0\\1\"
    a = b\"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\1\\0\\4\\x0a\\0\\0\\1\" if four else b\"\"
    s.sendto(q[:2] + b\"\\x81\\x80\\0\\1\\0\" + (b\"\\1\" if four else b\"\\0\") + b\"\\0\\0\\0\\0\" + q[12:] + a, who)
";
    let prepare = "printf 'nameserver 127.0.0.1\\noptions timeout:1 attempts:1\\n' > resolv.conf; mount --bind resolv.conf /etc/resolv.conf";
    let applied = "/usr/bin/python3 /mnt/files/server.py & until test -e up; do sleep 0.01; done";
    let checks = "[checks.dns.\"db.example.com\"]";
    let launch = |script: &str| after(script, checks).file("server.py", server).network();
    let told = launch(prepare).run().expect(69).tells(&[
        "look at the name servers in /etc/resolv.conf (docker run --dns names others), or keep trying with wait",
    ]);
    assert!(!told.err.contains("correct the name"), "{}", told.story());
    assert_eq!(launch(&format!("{prepare}\n{applied}")).run().expect(0).out, "started\n");
}

/// "or keep trying with wait" where wait ran out.
#[test]
fn of_waits() {
    needs_root();
    let peer = |keys: &str| format!("[checks.tcp.\"127.0.0.1:4567\"]\n{keys}");
    let socket = |keys: &str| check("unix", "s", keys);
    let listen = "(sleep 0.3; exec /mnt/probe listen 4567) >/dev/null &";
    let printed = "or keep trying with wait";
    for checks in [peer(""), socket("")] {
        after("", &checks).network().run().expect(69).tells(&[printed]);
    }
    for checks in [peer("wait = \"100ms\""), socket("wait = \"100ms\"")] {
        let told = after("", &checks).network().run().expect(69).tells(&["still after 100ms"]);
        assert!(!told.err.contains("with wait"), "{}", told.story());
    }
    let ended = after(listen, &peer("wait = \"20s\"")).network().run().expect(0);
    assert_eq!(ended.out, "started\n");
    let serve = "(sleep 0.3; exec /usr/bin/python3 -c 'import socket, time; s = socket.socket(socket.AF_UNIX); s.bind(\"s\"); s.listen(9); time.sleep(60)') &";
    after(serve, &socket("wait = \"20s\"")).run().expect(0);
    let printed = "remove it, and let the server make /mnt/files/own/s";
    mended_by("touch s", &socket(""), printed, &format!("rm s; {serve}"), &socket("wait = \"20s\""));
}

#[test]
fn of_users_and_limits() {
    let soft = "[checks.limit]\nnofile = 900";
    mended("ulimit -Sn 100", soft, "raise the soft limit to 900", "ulimit -Sn 900");
    needs_root();
    let told = after("ulimit -Sn 100; ulimit -Hn 200", soft).run().expect(69);
    told.tells(&["raise the hard limit to 900"]);
}

/// A home is made with all that is above it.
#[test]
fn of_a_home() {
    needs_root();
    let checks = "[checks.user]\nhome_writable = true";
    let prepare = "export HOME=/mnt/files/own/a/home";
    let printed = "mkdir -p /mnt/files/own/a/home && chown 4242:4242 /mnt/files/own/a/home";
    let launch = |script: &str| {
        let script = format!(
            "{OWN}\n{prepare}\n{script}\nexec setpriv --reuid=4242 --regid=4242 --clear-groups /mnt/rinit \"$@\""
        );
        Init::SHELL.launch().args(&["-ec", &script, "sh"]).config(checks).command(&["/bin/echo", "started"])
    };
    launch("").run().expect(69).tells(&[printed]);
    assert_eq!(launch(printed).run().expect(0).out, "started\n");
}

/// The template of what is to be done in each `fail!(…; "…")` and `failure!(…; "…")` of a code.
fn hints_in(code: &str) -> Vec<String> {
    let mut hints = Vec::new();
    for call in code.split("fail!(").skip(1).chain(code.split("failure!(").skip(1)) {
        // Every second piece is a text, so that its marks are none of the code's.
        let escaped = call.replace("\\\"", "\u{1}");
        let mut pieces = escaped.split('"');
        let (mut depth, mut second) = (1, false);
        while let (Some(between), Some(text)) = (pieces.next(), pieces.next()) {
            for c in between.chars() {
                match c {
                    '(' | '[' | '{' => depth += 1,
                    ')' | ']' | '}' => depth -= 1,
                    ';' if depth == 1 => second = true,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
            }
            if depth == 0 {
                break;
            }
            if second {
                hints.push(text.replace('\u{1}', "\\\""));
                break;
            }
        }
    }
    hints
}

/// The templates of what is to be done, as they stand in the code of the checks.
fn hints() -> Vec<String> {
    let mut hints = Vec::new();
    let checks = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/checks"));
    let mut directories = vec![checks.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let module = path.strip_prefix(checks).unwrap().with_extension("").to_string_lossy().into_owned();
            if list::NO_CHECKS.contains(&module.as_str()) {
                continue;
            }
            if path.is_dir() {
                directories.push(path);
            } else if !module.ends_with("tests") {
                let text = std::fs::read_to_string(&path).expect("text");
                let code = text.split("#[cfg(test)]\n").next().unwrap_or("");
                let lines: Vec<&str> =
                    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
                hints.extend(hints_in(&lines.join("\n")));
            }
        }
    }
    // What checks of ports share with sockets that cannot be opened.
    for remedy in include_str!("../../../src/diagnosis/unbound.rs").split("let remedy =").skip(1) {
        hints.extend(remedy.split('"').nth(1).map(ToString::to_string));
    }
    hints.retain(|hint| hint.contains(|c: char| c.is_ascii_lowercase()));
    hints.sort();
    hints.dedup();
    hints
}

/// A hint that is new wants a row that carries it out; one that is gone wants its row removed.
#[test]
fn every_hint_is_carried_out() {
    let found = hints();
    assert!(found.len() > 60, "{found:?}");
    let mut faults = Vec::new();
    for hint in &found {
        let Some((_, by)) = list::HINTS.iter().find(|(known, _)| known == hint) else {
            faults.push(format!(
                "nobody carries out `{hint}`: give it a row, and name that in tests/remedies/list.rs"
            ));
            continue;
        };
        if by.starts_with("nobody: ") {
            continue;
        }
        let text =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(by)).unwrap_or_default();
        let pieces = hint
            .split("{}")
            .map(|piece| piece.trim_matches([' ', ',', '(', ')', ':', '=']))
            .filter(|piece| piece.len() > 3);
        if !pieces.clone().any(|piece| text.contains(piece)) && pieces.count() > 0 {
            faults.push(format!("{by} has no word of `{hint}`"));
        }
    }
    for (hint, _) in list::HINTS.iter().filter(|(hint, _)| !found.iter().any(|one| one == hint)) {
        faults.push(format!("`{hint}` is no longer printed"));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
