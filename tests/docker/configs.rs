//! Templates and secrets in real containers: nginx's habit, volumes that two containers share, mounts that are files.

use crate::engine::{Container, Volume, docker, docker_ok, run};
use crate::eventually;
use crate::images::{Config, ask, debian, scratch, workplace};
use std::fs;
use std::path::PathBuf;

const EXAMPLE: &str = "nginx-templates.toml";
const NGINX: [&str; 4] = ["--", "nginx", "-g", "daemon off;"];

/// nginx's own words in both spellings beside ours.
const TEMPLATE: &str = "server {
    listen ${PORT};
    server_name ${SERVER_NAME};
    location /to { return 301 \"${scheme}://$host:${PORT}$uri?n=${SERVER_NAME}\"; }
    location ~ \"^/re(x{2,3})$\" { return 200 \"$1 ${server_name} $server_name\\n\"; }
    include conf.d/sub/*.inc;
}
";

/// A directory on the host, as a bind mount's source.
struct Directory(PathBuf);

impl Directory {
    fn new(files: &[(&str, &str)]) -> Self {
        let directory = Self(workplace().join(crate::engine::unique("directory")));
        fs::create_dir_all(&directory.0).unwrap();
        for (name, text) in files {
            let path = directory.0.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        directory
    }

    fn at(&self, name: &str, place: &str) -> String {
        format!("--volume={}:{place}", self.0.join(name).display())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The directory of templates, with the layout of a ConfigMap in it.
fn templates() -> Directory {
    let directory = Directory::new(&[
        ("..2026_11_29/app.conf.template", TEMPLATE),
        ("sub/extra.inc.template", "location /extra { return 200 \"${EXTRA}\"; }\n"),
        ("README", "no template ${SERVER_NAME}"),
    ]);
    for (to, from) in [("..2026_11_29", "..data"), ("..data/app.conf.template", "app.conf.template")] {
        std::os::unix::fs::symlink(to, directory.0.join(from)).unwrap();
    }
    directory
}

fn get(container: &Container, path: &str) -> Option<String> {
    ask(container, 8080, &format!("GET {path} HTTP/1.0\r\nHost: h.example\r\n\r\n"))
}

/// docker-nginx #258, #831: `$uri` was emptied, and each template of a ConfigMap rendered three times. Started anew, the
/// files are what they were, to the inode.
#[test]
fn real_nginx_serves_what_its_templates_say() {
    let (directory, config) = (templates(), Config::example(EXAMPLE));
    let volume = directory.at("", "/etc/nginx/templates:ro");
    let environment = ["--env=PORT=8080", "--env=SERVER_NAME=n.example", "--env=EXTRA=a&b|c"];
    let options = [&[volume.as_str(), &config.mount][..], &environment].concat();
    let container = Container::start(&options, debian(), &NGINX);
    let served = || {
        let answer = eventually("nginx serves", || get(&container, "/to/x"));
        assert!(answer.contains("Location: http://h.example:8080/to/x?n=n.example\r\n"), "{answer}");
    };
    served();
    let answer = get(&container, "/rexx").unwrap();
    assert!(answer.ends_with("\r\n\r\nxx n.example n.example\n"), "{answer}");
    assert!(get(&container, "/extra").unwrap().ends_with("a&b|c"));
    let look =
        || container.exec(&["sh", "-c", "cd /etc/nginx/conf.d; stat -c '%n %i %y %a' $(find . -type f)"]).out;
    let before = look();
    assert_eq!(before.lines().count(), 2, "{before}");
    docker_ok(&["restart", "--time", "5", &container.name]);
    served();
    assert_eq!(look(), before);
}

/// docker-nginx went on with the old file; here the mount that is to be added is named, and with it nginx serves.
#[test]
fn a_read_only_root_names_the_mount_and_with_it_nginx_serves() {
    let (directory, config) = (templates(), Config::example(EXAMPLE));
    let volume = directory.at("", "/etc/nginx/templates:ro");
    let environment = ["--env=PORT=8080", "--env=SERVER_NAME=n", "--env=EXTRA=e"];
    let options = [&["--read-only", volume.as_str(), &config.mount][..], &environment].concat();
    let ran = run(&options, debian(), &NGINX);
    assert_eq!(ran.code, 71, "{ran:?}");
    assert!(ran.err.contains("docker run --tmpfs /etc/nginx/conf.d, in Kubernetes an emptyDir"), "{ran:?}");
    let tmpfs = ["/etc/nginx/conf.d", "/run", "/var/lib/nginx", "/var/log/nginx"];
    let tmpfs = tmpfs.map(|path| format!("--tmpfs={path}"));
    let options = [&options[..], &tmpfs.each_ref().map(String::as_str)].concat();
    let container = Container::start(&options, debian(), &NGINX);
    eventually("nginx serves", || get(&container, "/to/x"));
}

/// Another COMMAND is just run, a variable that is missing is a fault before anything is written, and what is only for some
/// is written for them.
#[test]
fn other_commands_and_missing_variables() {
    let (directory, config) = (templates(), Config::example(EXAMPLE));
    let volume = directory.at("", "/etc/nginx/templates:ro");
    let ran = run(&[&volume, &config.mount], debian(), &["--", "ls", "/etc/nginx/conf.d"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""));
    let ran = run(&[&volume, &config.mount], debian(), &NGINX);
    assert_eq!(ran.code, 69, "{ran:?}");
    let text = fs::read_to_string("config-examples/nginx-templates.toml").unwrap();
    let config = Config::new(&text.replace("\"nginx-debug\"", "\"sh\""));
    let show = ["--", "sh", "-c", "cat /run/nginx-htpasswd; stat -c '%a %G' /run/nginx-htpasswd"];
    let options = ["--env=SERVER_NAME=n", "--env=ADMIN_PASSWORD=a$b", &volume, &config.mount];
    let ran = run(&options, debian(), &show);
    assert_eq!((ran.code, ran.out.as_str()), (0, "admin:{PLAIN}a$b\n440 www-data\n"), "{ran:?}");
}

/// nextcloud #1760's recipe: two `docker run` on one fresh volume in the same second.
#[test]
fn two_containers_on_one_volume_have_one_secret() {
    let config = Config::new("[secrets.key]\ngenerate = \"base64:32\"\ntarget = \"/data/key\"\n");
    for _ in 0..5 {
        let volume = Volume::new();
        let mount = format!("--volume={}:/data", volume.0);
        let show = ["--exec", "--", "sh", "-c", "cat /data/key; ls -A /data | wc -l"];
        let start = || run(&[&mount, &config.mount], scratch(), &show);
        let (one, other) = std::thread::scope(|scope| {
            let one = scope.spawn(start);
            let other = scope.spawn(start);
            (one.join().unwrap(), other.join().unwrap())
        });
        assert_eq!((one.code, other.code), (0, 0), "{one:?} {other:?}");
        assert!(one.out.get(..44) == other.out.get(..44) && one.out.len() > 44, "{one:?} {other:?}");
        // And a third, later.
        assert_eq!(start().out, format!("{}1\n", &one.out[..44]));
    }
}

/// A bind mount of one file, and the engine's own `/etc/hosts`: rename(2) is refused with EBUSY.
#[test]
fn files_that_are_mounts_are_written_in_place() {
    let directory = Directory::new(&[("app.conf", "old and longer than what follows\n")]);
    let config = Config::new(
        "[configs.app]\ncontent = \"new\\n\"\ntarget = \"/etc/app.conf\"\n\
         [configs.hosts]\ncontent = \"127.0.0.1 localhost\\n\"\ntarget = \"/etc/hosts\"\n",
    );
    let volume = directory.at("app.conf", "/etc/app.conf");
    let container = Container::start(&[&volume, &config.mount], debian(), &["--", "cat", "/etc/hosts"]);
    assert_eq!(container.wait(), 0);
    let logs = container.logs();
    assert_eq!(logs.out, "127.0.0.1 localhost\n", "{logs:?}");
    for path in ["/etc/app.conf", "/etc/hosts"] {
        assert!(logs.err.contains(&format!("{path} is a mount itself")), "{logs:?}");
    }
    assert_eq!(fs::read_to_string(directory.0.join("app.conf")).unwrap(), "new\n");
}

/// A secret that Compose gives as 0444, for a program that wants 0400 and its own: ssh, MongoDB. As another user it is
/// that user's, which is told; a user who may write nowhere is told the mount.
#[test]
fn a_secret_gets_its_owner_and_mode() {
    let directory = Directory::new(&[("key", "a$${KEY}\n")]);
    let config = Config::new(
        "[secrets.key]\nfile = \"/run/secrets/given\"\ntarget = \"/run/key/key\"\nuid = \"www-data\"\n",
    );
    let volume = directory.at("key", "/run/secrets/given:ro");
    let show = ["--", "sh", "-c", "cat /run/key/key; stat -c '%u %a' /run/key/key"];
    let ran = run(&[&volume, &config.mount], debian(), &show);
    assert_eq!((ran.code, ran.out.as_str()), (0, "a$${KEY}\n33 400\n"), "{ran:?}");
    let tmpfs = "--tmpfs=/run/key:mode=1777";
    let ran = run(&[&volume, &config.mount, tmpfs, "--user=1234", "--read-only"], debian(), &show);
    assert_eq!((ran.code, ran.out.as_str()), (0, "a$${KEY}\n1234 400\n"), "{ran:?}");
    assert!(ran.err.contains("only root can give files away"), "{ran:?}");
    let ran = run(&[&volume, &config.mount, "--user=1234"], debian(), &show);
    assert_eq!(ran.code, 71, "{ran:?}");
    assert!(ran.err.contains("user 1234 may not write to the directory /run"), "{ran:?}");
}

/// Killed at any moment and started again, the file is the old or the new one, whole, and nothing is left for long.
#[test]
fn what_is_killed_while_it_writes_leaves_a_whole_file() {
    let config = Config::new("[configs.big]\nfile = \"/src/big\"\nvars = []\ntarget = \"/data/big\"\n");
    let directory = Directory::new(&[("a", &"a".repeat(4_000_000)), ("b", &"b".repeat(4_000_000))]);
    let (volume, source) = (Volume::new(), directory.at("", "/src"));
    let mount = format!("--volume={}:/data", volume.0);
    for round in 0..6 {
        let letter = if round % 2 == 0 { "a" } else { "b" };
        fs::copy(directory.0.join(letter), directory.0.join("big")).unwrap();
        let container = Container::start(&[&mount, &source, &config.mount], scratch(), &["--", "sleep", "9"]);
        std::thread::sleep(std::time::Duration::from_millis(20 * round));
        docker(&["kill", &container.name]);
        let look =
            "cd /data; test -e big || exit 0; wc -c < big; tr -d a < big | wc -c; tr -d b < big | wc -c";
        let ran = run(&[&mount, "--entrypoint=/bin/sh"], scratch(), &["-c", look]);
        let whole = ["", "4000000\n0\n4000000\n", "4000000\n4000000\n0\n"].contains(&ran.out.as_str());
        assert!(whole, "{round}: {ran:?}");
    }
}
