//! A file, directory or program that somebody may not reach: whose it is, its mode, which component of the path refuses,
//! and a remedy that works. The same words wherever it is met: a start, a check, an env file, the configuration. Each
//! remedy is carried out as it is printed, and then the program runs.

use crate::harness::{Init, Launch, needs_root};

/// A place of the container's own, as an image is one.
const OWN: &str = "mkdir -p /mnt/files/own; mount -t tmpfs tmpfs /mnt/files/own; chmod 755 /mnt/files/own; cd /mnt/files/own";
/// rinit as a plain user.
const USER: &str = "setpriv --reuid=1000 --regid=1000 --clear-groups";
/// Root that is given no capability to pass by permissions.
const WEAK_ROOT: &str = "setpriv --bounding-set -dac_override,-dac_read_search";

/// rinit, through another program, in a place that a script has prepared.
fn after(script: &str, through: &str) -> Launch {
    let script = format!("{OWN}\n{script}\nexec {through} /mnt/rinit \"$@\"");
    Init::SHELL.launch().args(&["-ec", &script, "sh"])
}

/// rinit refuses and tells all of `words`; with `remedy`, one of them, done before, the command runs.
#[track_caller]
fn mended_by(prepare: &str, through: &str, config: &str, words: &[&str], remedy: &str) {
    needs_root();
    let launch = |script: &str| {
        let launch = after(script, through);
        let launch = if config.is_empty() { launch } else { launch.config(config) };
        launch.command(&["/bin/echo", "started"])
    };
    let refused = launch(prepare).run().tells(words).tells(&[remedy]);
    assert!(refused.code() != 0 && refused.out.is_empty(), "{}", refused.story());
    let ended = launch(&format!("{prepare}\n{remedy}")).run().expect(0);
    assert!(ended.out == "started\n" && !ended.err.contains(" may not "), "{}", ended.story());
}

/// What is wrong with a file below a closed directory is the directory: a mode of the file mends nothing.
#[test]
fn a_closed_directory_above_a_file_of_a_check() {
    let prepare =
        "mkdir -m 700 closed; mkdir closed/conf; echo x > closed/conf/key; chmod 644 closed/conf/key";
    let file = "/mnt/files/own/closed/conf/key";
    let words = ["may not enter the directory /mnt/files/own/closed (mode 0700, owner root:root)"];
    let remedy = "chmod o+x /mnt/files/own/closed";
    for config in [
        format!("[checks.file.\"{file}\"]"),
        format!("[checks.file.\"{file}\"]\nreadable = true\ncontains = \"x\""),
        "[checks.dir.\"/mnt/files/own/closed/conf\"]".to_string(),
        format!("[checks.file.\"{file}.none\"]\nabsent = true"),
        "[checks.volume.\"/mnt/files/own/closed/conf\"]".to_string(),
        format!("[services.web]\ncommand = \"/bin/true\"\ntype = \"oneshot\"\nenv_file = \"{file}.env\""),
    ] {
        let volume = if config.contains("volume") {
            "mount -t tmpfs tmpfs closed/conf; chmod 777 closed/conf; "
        } else {
            ""
        };
        let prepare = format!(
            "{prepare}; {volume}echo A=1 > closed/conf/key.env; touch closed/conf/key; chmod 644 closed/conf/*"
        );
        mended_by(&prepare, USER, &config, &words, remedy);
    }
}

/// "user app may not read" what it is to read: by whose right it could.
#[test]
fn a_closed_file_of_a_check() {
    let words = ["owned by root:root, mode 0600, not readable by uid 1000"];
    let config = "[checks.file.\"/mnt/files/own/key\"]\nreadable = true";
    mended_by("echo x > key; chmod 600 key", USER, config, &words, "chmod o+r /mnt/files/own/key");
    let config = "[checks.file.\"/mnt/files/own/key\"]\nwritable = true";
    let words = ["owned by root:root, mode 0600, not writable by uid 1000"];
    mended_by("echo x > key; chmod 600 key", USER, config, &words, "chown 1000:1000 /mnt/files/own/key");
    let config = "[checks.file.\"/mnt/files/own/key\"]\ncontains = \"x\"";
    let words = ["may not read /mnt/files/own/key (mode 0600, owner root:root)"];
    mended_by("echo x > key; chmod 600 key", USER, config, &words, "chmod o+r /mnt/files/own/key");
    let config = "[checks.dir.\"/mnt/files/own/d\"]\nempty = true";
    let words = ["may not list the directory /mnt/files/own/d (mode 0711, owner root:root)"];
    mended_by("mkdir -m 711 d", USER, config, &words, "chmod o+r /mnt/files/own/d");
}

/// The file of `NAME_FILE`, and the directory that it is in.
#[test]
fn a_secret_that_a_variable_names() {
    let config = "[checks.env.KEY]\nfile = true";
    let through = format!("{USER} env KEY_FILE=/mnt/files/own/s/key");
    let words = ["may not enter the directory /mnt/files/own/s (mode 0700, owner root:root)"];
    let prepare = "mkdir -m 700 s; echo x > s/key; chmod 644 s/key";
    mended_by(prepare, &through, config, &words, "chmod o+x /mnt/files/own/s");
    let words = ["may not read /mnt/files/own/s/key (mode 0600, owner root:root)"];
    let prepare = "mkdir -m 755 s; echo x > s/key; chmod 600 s/key";
    mended_by(prepare, &through, config, &words, "chmod o+r /mnt/files/own/s/key");
}

/// "chmod a+r" on the file was printed where the directory is closed.
#[test]
fn a_configuration_in_a_closed_directory() {
    needs_root();
    let prepare = "mkdir -m 700 conf; echo '[checks.user]' > conf/app.toml; echo 'root = false' >> conf/app.toml; chmod 644 conf/app.toml";
    let words = "may not enter the directory /mnt/files/own/conf (mode 0700, owner root:root); chmod o+x /mnt/files/own/conf";
    for path in ["/mnt/files/own/conf/app.toml", "/mnt/files/own/conf"] {
        // A directory is to be listed, too.
        let bits = if path.ends_with("conf") { "o+rx" } else { "o+x" };
        let launch =
            |script: &str| after(script, USER).args(&["--config", path]).command(&["/bin/echo", "started"]);
        let refused = launch(prepare).run().expect(78);
        if bits == "o+x" {
            refused.tells(&["--config: /mnt/files/own/conf/app.toml cannot be read: ", words]);
        } else {
            refused
                .tells(&["may not list the directory /mnt/files/own/conf", "chmod o+rx /mnt/files/own/conf"]);
        }
        let mended = format!("{prepare}\nchmod {bits} /mnt/files/own/conf");
        assert_eq!(launch(&mended).run().expect(0).out, "started\n");
    }
}

/// A program in the home of root is there: not to be installed, but to be moved, or let be reached.
#[test]
fn a_program_below_the_home_of_root() {
    needs_root();
    let home = "mount -t tmpfs tmpfs /root; chmod 700 /root; mkdir /root/bin; cp /bin/echo /root/bin/hello";
    let words = "may not enter the directory /root (mode 0700, owner root:root); move what is in it to where everybody may go (a program: to /usr/local/bin), or chmod o+x /root";
    for (through, config) in [(USER, ""), ("", "[services.main]\nuser = \"1000:1000\"")] {
        let launch = |script: &str, word: &str| {
            let launch =
                after(&[home, script].join("\n"), &format!("{through} env PATH=/root/bin:/usr/bin:/bin"));
            let launch = if config.is_empty() { launch } else { launch.config(config) };
            launch.command(&[word, "started"])
        };
        for word in ["/root/bin/hello", "hello"] {
            let ended = launch("", word).run().expect(126).tells(&[words]);
            assert!(!ended.err.contains("install it"), "{}", ended.story());
            assert_eq!(launch("chmod o+x /root", word).run().expect(0).out, "started\n");
        }
        // By a link that everybody may follow to where nobody may go.
        let link = "ln -s /root/bin/hello /mnt/files/own/hello";
        launch(link, "/mnt/files/own/hello").run().expect(126).tells(&[words]);
    }
}

/// Root without the capability is told of it, whoever asks.
#[test]
fn root_that_may_not_pass_by_permissions() {
    needs_root();
    let prepare = "mkdir -m 700 d; echo x > d/key; chown 1:1 d";
    let config = "[checks.file.\"/mnt/files/own/d/key\"]";
    let words = [
        "root may not enter the directory /mnt/files/own/d (mode 0700, owner daemon:daemon)",
        "or give root the capability that passes by this (docker run --cap-add DAC_OVERRIDE)",
    ];
    mended_by(prepare, WEAK_ROOT, config, &words, "chmod o+x /mnt/files/own/d");
    // With the capability there is nothing to mend.
    let ended = after(prepare, "").config(config).command(&["/bin/echo", "started"]).run().expect(0);
    assert_eq!(ended.err, "");
}

/// What is bound from the host is the host's: who runs here is to fit it.
#[test]
fn a_directory_of_the_host() {
    needs_root();
    // The files of a test are bound from outside.
    let prepare = "mkdir -m 750 /mnt/files/host; touch /mnt/files/host/f; chown -R 1234:4321 /mnt/files/host";
    let config = "[checks.file.\"/mnt/files/host/f\"]";
    let remedies = [
        ("docker run --group-add 4321", "setpriv --reuid=1000 --regid=1000 --groups 4321"),
        (
            "run as its owner (docker run --user 1234:4321)",
            "setpriv --reuid=1234 --regid=4321 --clear-groups",
        ),
        ("on the host: chmod o+x /mnt/files/host", ""),
    ];
    let launch = |script: &str, through: &str| {
        after(script, through).config(config).command(&["/bin/echo", "started"])
    };
    let words = ["may not enter the directory /mnt/files/host (mode 0750, owner 1234:4321)"];
    let told = launch(prepare, USER).run().expect(69).tells(&words);
    for (remedy, through) in remedies {
        assert!(told.err.contains(remedy), "{}", told.story());
        let (script, through) = match through {
            "" => (format!("{prepare}\nchmod o+x /mnt/files/host"), USER),
            through => (prepare.to_string(), through),
        };
        assert_eq!(launch(&script, through).run().expect(0).out, "started\n", "{remedy}");
    }
    // A service's user is the configuration's.
    let service = |user: &str| format!("[services.main]\nworking_dir = \"/mnt/files/host\"\n{user}");
    let launch = |user: &str| after(prepare, "").config(&service(user)).command(&["/bin/echo", "started"]);
    launch("user = \"1000:1000\"").run().expect(71).tells(&["groups = [\"4321\"]", "user = \"1234:4321\""]);
    launch("user = \"1000:1000\"\ngroups = [\"4321\"]").run().expect(0);
    launch("user = \"1234:4321\"").run().expect(0);
}

/// A socket of an engine is never to be given another owner or mode.
#[test]
fn a_socket_of_the_host() {
    needs_root();
    let bind =
        "import socket; s = socket.socket(socket.AF_UNIX); s.bind(\"/mnt/files/docker.sock\"); s.listen(9)";
    let prepare = format!(
        "python=/usr/bin/python3; $python -c '{bind}; import os, time; os.chmod(\"/mnt/files/docker.sock\", 0o660); os.chown(\"/mnt/files/docker.sock\", 0, 999); time.sleep(60)' & \
         while ! [ \"$(stat -c %g /mnt/files/docker.sock 2>/dev/null)\" = 999 ]; do :; done"
    );
    let config = "[checks.unix.\"/mnt/files/docker.sock\"]";
    let launch = |through: &str| after(&prepare, through).config(config).command(&["/bin/echo", "started"]);
    let told = launch(USER).run().expect(69);
    assert!(told.err.contains("docker run --group-add 999"), "{}", told.story());
    assert!(!told.err.contains("chown") && !told.err.contains("chmod"), "{}", told.story());
    launch("setpriv --reuid=1000 --regid=1000 --groups 999").run().expect(0);
}
