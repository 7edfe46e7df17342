//! The images that the tests run, made of what is on this machine and Debian's packages.

use crate::engine::{Container, docker, docker_ok};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

/// Where rinit is in every image.
pub const RINIT: &str = "/sbin/rinit";

/// Debian with nginx, redis, a shell and what a person looks around with; `rinit` is its entry point.
pub fn debian() -> &'static str {
    static IMAGE: LazyLock<String> = LazyLock::new(|| {
        let base = debian_base();
        build("debian", &format!("FROM {base}\nCOPY rinit {RINIT}\nENTRYPOINT [\"{RINIT}\"]\n"), &[])
    });
    &IMAGE
}

/// Nothing but rinit and a static busybox: no /etc, no /tmp, no /run, no C library.
pub fn scratch() -> &'static str {
    static IMAGE: LazyLock<String> = LazyLock::new(|| {
        let file = format!(
            "FROM scratch\nCOPY rinit {RINIT}\nCOPY busybox /bin/busybox\n\
             RUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nENTRYPOINT [\"{RINIT}\"]\n"
        );
        build("scratch", &file, &[(Path::new("/bin/busybox"), "busybox")])
    });
    &IMAGE
}

/// The same Debian without rinit.
pub fn debian_base() -> &'static str {
    const PACKAGES: &str = "nginx-light,redis-server,redis-tools,procps,less,vim-tiny";
    static IMAGE: LazyLock<String> = LazyLock::new(|| import("debian", PACKAGES, "", |_| {}));
    &IMAGE
}

/// Imports a tree of Debian's packages as an image; `add` puts more into the tree, which depends on `key`.
/// Made once: the engine keeps the image, until the packages or the key are others.
pub fn import(name: &str, packages: &str, key: &str, add: impl FnOnce(&Path)) -> String {
    let mut hasher = DefaultHasher::new();
    (packages, key).hash(&mut hasher);
    let tag = format!("rinit-test/{name}:{:016x}", hasher.finish());
    if docker(&["image", "inspect", &tag]).code == 0 {
        return tag;
    }
    let tree = workplace().join(format!("{name}-{}", std::process::id()));
    let path = tree.to_str().expect("a path in UTF-8");
    let include = format!("--include={packages}");
    let mirror = std::env::var("DEBIAN_MIRROR").unwrap_or("http://deb.debian.org/debian".into());
    command("debootstrap", &["--variant=minbase", &include, "bookworm", path, &mirror]);
    for directory in ["var/lib/apt/lists", "var/cache/apt", "usr/share/doc", "usr/share/locale"] {
        let _ = fs::remove_dir_all(tree.join(directory));
    }
    // So that `apt-get update` in a test asks nobody: all that is needed is there.
    fs::write(tree.join("etc/apt/sources.list"), "").expect("a sources.list");
    add(&tree);
    let mut archive = Command::new("tar")
        .args(["-C", path, "-c", "."])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the `tar` command");
    let imported = Command::new("docker")
        .args(["import", "-", &tag])
        .stdin(archive.stdout.take().expect("a pipe"))
        .output()
        .expect("the `docker` command");
    assert!(archive.wait().expect("tar").success(), "tar of {path}");
    assert!(imported.status.success(), "docker import: {}", String::from_utf8_lossy(&imported.stderr));
    fs::remove_dir_all(&tree).expect("no tree left behind");
    tag
}

/// Builds an image of a Dockerfile, the binary under test as `rinit`, and more files; its id.
pub fn build(name: &str, dockerfile: &str, files: &[(&Path, &str)]) -> String {
    let context = workplace().join(format!("context-{name}-{}", std::process::id()));
    fs::create_dir_all(&context).expect("a directory");
    fs::write(context.join("Dockerfile"), dockerfile).expect("a Dockerfile");
    fs::copy(rinit(), context.join("rinit")).expect("a copy of rinit");
    for (from, to) in files {
        fs::copy(from, context.join(to)).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    }
    let id = docker_ok(&["build", "--quiet", context.to_str().expect("a path in UTF-8")]);
    fs::remove_dir_all(context).expect("the directory removed");
    id
}

/// The binary under test.
pub fn rinit() -> PathBuf {
    let built = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .with_file_name("x86_64-unknown-linux-musl")
        .join("release/rinit");
    let path = std::env::var_os("RINIT_BIN").map_or(built, PathBuf::from);
    assert!(
        path.exists(),
        "no {}: cargo build --release --target x86_64-unknown-linux-musl, or set RINIT_BIN",
        path.display()
    );
    path
}

/// A directory for what the tests make.
pub fn workplace() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

fn command(program: &str, words: &[&str]) {
    let output = Command::new(program)
        .args(words)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; install Debian's package of that name"));
    assert!(
        output.status.success(),
        "{program} {words:?}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A configuration that a container gets as `/etc/rinit.toml`, by the option of `docker run` in it.
pub struct Config {
    path: PathBuf,
    /// `--volume=…`
    pub mount: String,
}

impl Config {
    pub fn new(text: &str) -> Self {
        let path = workplace().join(format!("{}.toml", crate::engine::unique("config")));
        fs::write(&path, text).expect("a file under target");
        let mount = format!("--volume={}:/etc/rinit.toml:ro", path.display());
        Self { path, mount }
    }

    /// One of the examples that the repository shows, word for word.
    pub fn example(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config-examples").join(name);
        Self::new(&fs::read_to_string(path).expect("an example"))
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// What a server in a container answers to `request`, when it answers at all.
pub fn ask(container: &Container, port: u16, request: &str) -> Option<String> {
    let address = format!("{}:{port}", container.address()).parse().ok()?;
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer).ok()?;
    answer.truncate(length);
    Some(String::from_utf8_lossy(&answer).into_owned()).filter(|answer| !answer.is_empty())
}

/// Whether nginx serves its page.
pub fn serves_pages(container: &Container) -> Option<()> {
    let answer = ask(container, 80, "GET / HTTP/1.0\r\n\r\n")?;
    answer.starts_with("HTTP/1.1 200 OK").then_some(())
}

/// Whether redis answers.
pub fn answers_pings(container: &Container) -> Option<()> {
    (ask(container, 6379, "PING\r\n")? == "+PONG\r\n").then_some(())
}
