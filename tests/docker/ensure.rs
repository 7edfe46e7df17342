//! `ensure` in real containers: an image without a start-up script, started as root, as another user, with what
//! capabilities are left to it, on volumes of every kind, twice, and side by side.

use crate::engine::{Container, Ran, Volume, docker_ok, run};
use crate::images::{Config, RINIT, debian};

/// redis's own: what its script does with chown, su and mkdir.
const REDIS: &str = r#"
[checks.volume."/data"]
owner = "redis"
ensure = true
recursive = true

[checks.dir."/run/redis"]
owner = "redis"
mode = "0750"
ensure = true

[services.main]
user = "redis"
"#;

/// Runs a command in a container of this configuration.
fn started(config: &str, options: &[&str], command: &[&str]) -> Ran {
    let config = Config::new(config);
    run(&[options, &[config.mount.as_str()]].concat(), debian(), &[&["--"], command].concat())
}

#[track_caller]
fn prints(ran: &Ran, out: &str) {
    assert_eq!((ran.code, ran.out.as_str()), (0, out), "{ran:?}");
}

#[test]
fn a_volume_of_roots_becomes_the_services() {
    let volume = Volume::new();
    let data = format!("--volume={}:/data", volume.0);
    let filled = run(
        &[&data, "--entrypoint=sh"],
        debian(),
        &["-c", "mkdir /data/a; touch /data/a/b; chmod 600 /data/a/b"],
    );
    assert_eq!(filled.code, 0, "{filled:?}");
    // As `services.main` has a user, who looks can: that is the point of it.
    let look = ["sh", "-c", "id -un; stat -c '%n %U %a' /data /data/a/b /run/redis; touch /data/mine"];
    prints(
        &started(REDIS, &[&data], &look),
        "redis\n/data redis 755\n/data/a/b redis 600\n/run/redis redis 750\n",
    );
    // The second start, on a volume that is right: nothing is said, nothing is done.
    let again = started(REDIS, &[&data], &look);
    prints(&again, "redis\n/data redis 755\n/data/a/b redis 600\n/run/redis redis 750\n");
    assert_eq!(again.err, "", "{again:?}");
}

/// Restarted, it is the same container with the files that it had.
#[test]
fn a_restart_finds_all_as_it_is_to_be() {
    let config = Config::new(REDIS);
    let container = Container::start(
        &[&config.mount, "--volume=/data"],
        debian(),
        &["--", "sh", "-c", "echo up; touch /data/x; exec sleep 1000"],
    );
    container.says("up\n");
    docker_ok(&["restart", "--time=5", &container.name]);
    crate::eventually("both starts", || (container.logs().out.matches("up\n").count() == 2).then_some(()));
    let logs = container.logs();
    assert!(!logs.err.contains("given away") && !logs.err.contains("fault"), "{logs:?}");
}

/// `--user`: it may not, and need not where the volume is this user's; else that is what is told.
#[test]
fn another_user_checks_what_root_would_do() {
    let config = "[checks.volume.\"/data\"]\nowner = \"redis\"\nensure = true\n";
    let volume = Volume::new();
    let data = format!("--volume={}:/data", volume.0);
    let refused = started(config, &[&data, "--user=1234"], &["true"]);
    assert_eq!(refused.code, 69, "{refused:?}");
    let told =
        "chown is refused: rinit is user 1234, not root, and user 1234 cannot work there (permission denied)";
    assert!(refused.err.contains(told), "{refused:?}");
    let mended = run(&[&data, "--entrypoint=chmod"], debian(), &["1777", "/data"]);
    assert_eq!(mended.code, 0, "{mended:?}");
    let ran = started(config, &[&data, "--user=1234"], &["echo", "started"]);
    prints(&ran, "started\n");
    assert!(ran.err.contains("user 1234 can work there, so it stays"), "{ran:?}");
}

/// What is left of root.
#[test]
fn few_capabilities_are_enough_or_are_named() {
    let made = "[checks.dir.\"/run/redis\"]\nowner = \"redis\"\nmode = \"2750\"\nensure = true\n";
    let chown = started(
        made,
        &["--cap-drop=ALL", "--cap-add=CHOWN", "--cap-add=FSETID"],
        &["stat", "-c", "%U %a", "/run/redis"],
    );
    prints(&chown, "redis 2750\n");
    let config = "[checks.volume.\"/data\"]\nowner = \"redis\"\nensure = true\n";
    // Root itself can work there, and is who everything runs as.
    let none = started(config, &["--volume=/data", "--cap-drop=ALL"], &["echo", "started"]);
    prints(&none, "started\n");
    assert!(none.err.contains("CAP_CHOWN is missing; root can work there, so it stays"), "{none:?}");
    // redis, who can be asked, cannot.
    let asked = started(
        config,
        &["--volume=/data", "--cap-drop=ALL", "--cap-add=SETUID", "--cap-add=SETGID"],
        &["true"],
    );
    assert_eq!(asked.code, 69, "{asked:?}");
    assert!(asked.err.contains("CAP_CHOWN is missing, and redis cannot work there"), "{asked:?}");
    assert!(asked.err.contains("docker run --cap-add CHOWN"), "{asked:?}");
}

/// The remedy, word for word.
#[test]
fn a_read_only_root_names_the_mount_to_add() {
    let config = "[checks.dir.\"/srv/cache\"]\nowner = \"redis\"\nensure = true\n";
    let refused = started(config, &["--read-only"], &["true"]);
    assert_eq!(refused.code, 69, "{refused:?}");
    assert!(refused.err.contains("docker run --tmpfs /srv/cache"), "{refused:?}");
    let look = ["stat", "-c", "%U", "/srv/cache"];
    prints(&started(config, &["--read-only", "--tmpfs=/srv/cache"], &look), "redis\n");
}

/// Defaults into an empty named volume, a bind mount, a tmpfs, a volume that the engine fills itself: the same in all.
#[test]
fn defaults_are_the_same_on_every_kind_of_volume() {
    let config = "[checks.volume.\"/srv/app\"]\nfrom = \"/etc/redis\"\nensure = true\n";
    let look = [
        "sh",
        "-c",
        "diff -r /etc/redis /srv/app && stat -c '%U %a' /srv/app/redis.conf && ls -A /srv/app | wc -l",
    ];
    let plain = run(
        &["--entrypoint=sh"],
        debian(),
        &["-c", "stat -c '%U %a' /etc/redis/redis.conf; ls -A /etc/redis | wc -l"],
    );
    let volume = Volume::new();
    let directory = crate::images::workplace().join(crate::engine::unique("bound"));
    std::fs::create_dir_all(&directory).expect("a directory under target");
    let other = Volume::new();
    let bare = format!("--volume={}:/srv/app:nocopy", other.0);
    let bound = format!("--volume={}:/srv/app", directory.display());
    for mount in
        [&format!("--volume={}:/srv/app", volume.0), &bound, "--tmpfs=/srv/app", &bare, "--volume=/srv/app"]
    {
        prints(&started(config, &[mount], &look), &plain.out);
    }
    std::fs::remove_dir_all(&directory).expect("gone");
}

/// Two replicas on one fresh volume: one copies, the other waits.
#[test]
fn two_containers_on_one_volume_make_one() {
    let config = Config::new(
        "[checks.volume.\"/srv/app\"]\nfrom = \"/usr/share/vim\"\nensure = true\nowner = \"redis\"\nrecursive = true\n",
    );
    let look = ["--", "sh", "-c", "diff -r /usr/share/vim /srv/app && find /srv/app ! -user redis | wc -l"];
    for _ in 0..5 {
        let volume = Volume::new();
        let mount = format!("--volume={}:/srv/app", volume.0);
        let both = [(); 3].map(|()| Container::start(&[&config.mount, &mount], debian(), &look));
        for container in &both {
            assert_eq!(docker_ok(&["wait", &container.name]), "0", "{:?}", container.logs());
            assert_eq!(container.logs().out, "0\n", "{:?}", container.logs());
        }
    }
}

/// A container that was killed left its pid file: the next start is not told that it runs already.
#[test]
fn a_pid_file_of_a_killed_container_is_removed() {
    let config = Config::new("[checks.file.\"/run/app.pid\"]\nabsent = true\nensure = true\n");
    let script = "[ ! -e /run/app.pid ] && echo free; echo $$ > /run/app.pid; exec sleep 1000";
    let container = Container::start(&[&config.mount], debian(), &["--", "sh", "-c", script]);
    container.says("free\n");
    docker_ok(&["kill", &container.name]);
    docker_ok(&["start", &container.name]);
    crate::eventually("both starts", || (container.logs().out.matches("free\n").count() == 2).then_some(()));
    // On a volume another container may be who uses it.
    let volume = Volume::new();
    let mount = format!("--volume={}:/run", volume.0);
    let first = run(&[&mount, "--entrypoint=sh"], debian(), &["-c", "echo 7 > /run/app.pid"]);
    assert_eq!(first.code, 0, "{first:?}");
    let kept = run(&[&config.mount, &mount], debian(), &["--", "ls", "/run/app.pid"]);
    prints(&kept, "/run/app.pid\n");
    assert!(kept.err.contains("kept, for another container may use the volume at /run"), "{kept:?}");
}

/// A stop ends it at once, and the last words are there where Kubernetes looks.
#[test]
fn a_failure_is_told_in_the_termination_log() {
    let config = Config::new("[checks.dir.\"/srv/a\"]\nensure = true\n");
    let script = format!(
        "ln -s /etc/passwd /srv/a; touch /dev/termination-log; {RINIT} -- true; echo $?; cat /dev/termination-log"
    );
    let ran = run(&[&config.mount, "--entrypoint=sh"], debian(), &["-c", &script]);
    assert!(ran.out.starts_with("69\nrinit: "), "{ran:?}");
    assert!(ran.out.contains("found a file, expected a directory"), "{ran:?}");
}

/// `config-examples/php-application.toml` with a stand-in for the server, which tells what it was given.
struct Application {
    config: Config,
    directory: std::path::PathBuf,
}

impl Application {
    fn new() -> Self {
        let directory = crate::images::workplace().join(crate::engine::unique("php"));
        std::fs::create_dir_all(directory.join("app/inc")).expect("a directory under target");
        let server = "#!/bin/sh\necho $(id -un) \"$*\" $DB_PASSWORD; cd /var/www/html && echo $(find . -user www-data | sort)
             touch mine && [ -e /run/apache2/apache2.pid ] && echo a stale pid file; echo 1 > /run/apache2/apache2.pid\n";
        for (name, text) in [
            ("app/index.php", "<?php"),
            ("app/inc/db.php", "<?php"),
            ("server", server),
            ("secret", "s3cret\n"),
        ] {
            std::fs::write(directory.join(name), text).expect("a file");
        }
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(directory.join("server"), mode).expect("its mode");
        Self { config: Config::example("php-application.toml"), directory }
    }

    fn options(&self) -> Vec<String> {
        let at = |name: &str, to: &str| format!("--volume={}/{name}:{to}:ro", self.directory.display());
        vec![
            self.config.mount.clone(),
            at("app", "/usr/src/app"),
            at("server", "/usr/local/bin/apache2-foreground"),
            at("secret", "/run/secret"),
        ]
    }

    fn run(&self, options: &[&str], command: &[&str]) -> Ran {
        let own = self.options();
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        run(&[own.as_slice(), options].concat(), debian(), &[&["--exec", "--"], command].concat())
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// In the ways in which such an image is started.
#[test]
fn the_example_replaces_the_script() {
    let application = Application::new();
    let volume = Volume::new();
    // Debian's own page is there, which the engine would copy.
    let html = format!("--volume={}:/var/www/html:nocopy", volume.0);
    let password = "--env=DB_PASSWORD=s3cret";
    let all = ". ./inc ./inc/db.php ./index.php ./uploads";
    let server = ["apache2-foreground"];
    // Root, on an empty volume; the second start on it; a read-only root; the secret by file; an option as COMMAND.
    let first = application.run(&[&html, password], &server);
    prints(&first, &format!("www-data  s3cret\n{all}\n"));
    assert!(
        first.err.contains("4 of 4 entries below it given away") || !first.err.contains("fault"),
        "{first:?}"
    );
    let all = ". ./inc ./inc/db.php ./index.php ./mine ./uploads";
    for (options, command, words) in [
        (&[password][..], &server[..], ""),
        (&["--read-only", "--tmpfs=/run/apache2", password], &server, ""),
        (&["--env=DB_PASSWORD_FILE=/run/secret"], &server, ""),
        (&[password], &["-D", "FOREGROUND"], "-D FOREGROUND"),
        (&[password, "--user=www-data", "--tmpfs=/run/apache2:mode=1777"], &server, ""),
    ] {
        let ran = application.run(&[&[html.as_str()], options].concat(), command);
        prints(&ran, &format!("www-data {words} s3cret\n{all}\n"));
    }
    // Another owner than the image's: given back.
    let taken = run(&[&html, "--entrypoint=chown"], debian(), &["-R", "4711", "/var/www/html"]);
    assert_eq!(taken.code, 0, "{taken:?}");
    prints(&application.run(&[&html, password], &server), &format!("www-data  s3cret\n{all}\n"));
    // A foreign COMMAND is just run; a variable or the volume that is missing is told, and nothing is made.
    prints(&application.run(&[&html], &["id", "-un"]), "root\n");
    for (options, part) in
        [(&[html.as_str()][..], "DB_PASSWORD"), (&[password], "--volume html:/var/www/html")]
    {
        let ran = application.run(options, &server);
        assert_eq!((ran.code, ran.out.as_str()), (69, ""), "{ran:?}");
        assert!(ran.err.contains(part), "{ran:?}");
    }
    // A user who is neither root nor the owner: told, as nothing can be done about it.
    let other = application.run(&[&html, password, "--user=1234"], &server);
    assert_eq!(other.code, 69, "{other:?}");
}

/// The same container, killed and started again: the pid file of the last time is no matter.
#[test]
fn the_example_is_restarted() {
    let application = Application::new();
    let own = application.options();
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let options = [own.as_slice(), &["--env=DB_PASSWORD=s3cret", "--volume=/var/www/html"]].concat();
    let container = Container::start(&options, debian(), &["--exec", "--", "apache2-foreground"]);
    assert_eq!(docker_ok(&["wait", &container.name]), "0", "{:?}", container.logs());
    docker_ok(&["start", &container.name]);
    assert_eq!(docker_ok(&["wait", &container.name]), "0", "{:?}", container.logs());
    let logs = container.logs();
    assert!(!logs.out.contains("stale") && logs.out.matches("www-data").count() == 2, "{logs:?}");
    assert!(logs.err.contains("apache2.pid: removed, for it was stale"), "{logs:?}");
}

/// What the image brings lies on an overlay, where device numbers differ without a mount: it is one tree. What is right
/// already is not copied into the container's layer.
#[test]
fn a_directory_of_the_image_is_one_tree_and_is_not_copied_for_nothing() {
    let of = |owner: &str| {
        format!("[checks.dir.\"/usr/share/vim\"]\nowner = \"{owner}\"\nensure = true\nrecursive = true\n")
    };
    let look = [
        "sh",
        "-c",
        "touch /usr/share/vim/x; find /usr/share/vim ! -user redis | wc -l; find /usr/share/vim | wc -l",
    ];
    let ran = started(&of("redis"), &[], &look);
    let mut counts = ran.out.lines();
    assert_eq!((ran.code, counts.next()), (0, Some("1")), "{ran:?}");
    assert!(counts.next().is_some_and(|all| all.parse::<u32>().is_ok_and(|all| all > 10)), "{ran:?}");
    let config = Config::new(&of("root"));
    let container = Container::start(&[&config.mount], debian(), &["--", "true"]);
    assert_eq!(docker_ok(&["wait", &container.name]), "0", "{:?}", container.logs());
    let changed = docker_ok(&["diff", &container.name]);
    assert!(!changed.contains("/usr"), "{changed}");
}
