//! `docker run --init` with rinit in docker-init's place: an engine of its own, with `--init-path`.

use crate::engine::Ran;
use crate::eventually;
use crate::images;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A second engine beside the machine's, without a network; gone with all that it made at the end of its scope.
struct Engine {
    daemon: Child,
    directory: PathBuf,
}

impl Engine {
    fn start(init: &Path, directory: PathBuf) -> Self {
        let path = |name: &str| directory.join(name).display().to_string();
        let log = fs::File::create(path("log")).unwrap();
        // In a network of its own: an engine without a bridge removes docker0, which is the first engine's.
        let daemon = Command::new("unshare")
            .args([
                "--net",
                "dockerd",
                "--host",
                &format!("unix://{}", path("socket")),
                "--init-path",
                init.to_str().unwrap(),
            ])
            .args(["--data-root", &path("data"), "--exec-root", &path("run"), "--pidfile", &path("pid")])
            .args(["--bridge=none", "--iptables=false", "--ip6tables=false", "--storage-driver=vfs"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("dockerd: Debian's package docker.io");
        let engine = Self { daemon, directory };
        eventually("the second engine answers", || (engine.docker(&["version"]).code == 0).then_some(()));
        engine
    }

    fn docker(&self, words: &[&str]) -> Ran {
        let socket = format!("unix://{}", self.directory.join("socket").display());
        let mut command = Command::new("docker");
        command.args(["--host", &socket]).args(words).stdin(Stdio::null());
        Ran::from(command.output().expect("the docker command"))
    }

    #[track_caller]
    fn docker_ok(&self, words: &[&str]) -> String {
        let ran = self.docker(words);
        assert_eq!(ran.code, 0, "docker {words:?}\n{}{}", ran.out, ran.err);
        ran.out.trim().to_owned()
    }

    fn import_busybox(&self) {
        self.docker_ok(&["import", &busybox(&self.directory), "busybox"]);
    }

    fn run(&self, words: &[&str]) -> Ran {
        self.docker(&[&["run", "--rm", "--init", "--network=none", "busybox"], words].concat())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(self.directory.join("log")).unwrap_or_default());
        }
        let ids = self.docker(&["ps", "--all", "--quiet"]).out;
        for id in ids.split_whitespace() {
            self.docker(&["rm", "--force", id]);
        }
        // SAFETY: our own child, not reaped; TERM lets it take its containerd and its mounts with it.
        unsafe { libc::kill(i32::try_from(self.daemon.id()).unwrap(), libc::SIGTERM) };
        let _ = self.daemon.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// `FROM scratch` with a static busybox, as a tar: an image without any init.
fn busybox(directory: &Path) -> String {
    let tree = directory.join("tree");
    fs::create_dir_all(tree.join("bin")).unwrap();
    fs::copy("/bin/busybox", tree.join("bin/busybox")).expect("Debian's package busybox-static");
    for name in ["sh", "sleep", "ps", "cat", "kill"] {
        std::os::unix::fs::symlink("busybox", tree.join("bin").join(name)).unwrap();
    }
    let tar = directory.join("tree.tar");
    let [tree, tar] = [&tree, &tar].map(|path| path.to_str().unwrap());
    assert!(Command::new("tar").args(["-C", tree, "-cf", tar, "."]).status().unwrap().success());
    tar.to_owned()
}

/// A place for a second engine and its init, which may have any name there.
fn engine(init: &str) -> Engine {
    let directory = PathBuf::from(format!("/tmp/{}", crate::engine::unique(init)));
    fs::create_dir_all(&directory).unwrap();
    let path = directory.join(init);
    fs::copy(images::rinit(), &path).unwrap();
    let engine = Engine::start(&path, directory);
    engine.import_busybox();
    engine
}

#[test]
fn docker_run_init_runs_rinit_as_pid_1() {
    let engine = engine("rinit");
    let ran = engine.run(&["ps", "-o", "pid,args"]);
    assert!(ran.out.contains("1 /sbin/docker-init -- ps -o pid,args"), "{ran:?}");
    let exe = engine.run(&["sh", "-c", "/sbin/docker-init -l; exit 7"]);
    assert!(exe.out.starts_with("MIT License") && exe.code == 7, "{exe:?}");
    // Codes of programs that are not there, which the engine takes for its own.
    assert_eq!(engine.run(&["nope"]).code, 127);
    assert_eq!(engine.run(&["/bin"]).code, 126);
    // A stop reaches the command at once.
    let id = engine.docker_ok(&["run", "-d", "--init", "--network=none", "busybox", "sleep", "1000"]);
    let start = std::time::Instant::now();
    engine.docker_ok(&["stop", &id]);
    assert!(start.elapsed().as_secs() < 8, "{:?}", start.elapsed());
    assert_eq!(engine.docker_ok(&["inspect", "--format", "{{.State.ExitCode}}", &id]), "143");
    // Orphans are reaped.
    let script = "for n in 1 2 3 4 5; do sh -c 'sleep 0.1 &'; done; sleep 1; ps -o stat,args";
    let orphans = engine.run(&["sh", "-c", script]);
    assert!(!orphans.out.contains('Z') && orphans.code == 0, "{orphans:?}");
    // What the engine asks its init for.
    engine.docker_ok(&["info"]);
}

/// Under the usual name the engine can read the version.
#[test]
fn docker_info_reads_the_version_of_docker_init() {
    let engine = engine("docker-init");
    let id = engine.docker_ok(&["info", "--format", "{{.InitCommit.ID}}"]);
    assert_ne!(id, "N/A");
    assert!(!fs::read_to_string(engine.directory.join("log")).unwrap().contains("unknown output format"));
}

/// Podman puts its init at /run/podman-init, in catatonit's place.
#[test]
fn podman_run_init_runs_rinit_as_pid_1() {
    let directory = PathBuf::from(format!("/tmp/{}", crate::engine::unique("podman")));
    fs::create_dir_all(&directory).unwrap();
    let path = |name: &str| directory.join(name).display().to_string();
    let podman = |words: &[&str]| {
        let mut command = Command::new("podman");
        command.args(["--root", &path("root"), "--runroot", &path("run"), "--storage-driver=vfs"]);
        command.args(["--cgroup-manager=cgroupfs", "--events-backend=file", "--runtime=runc"]);
        Ran::from(command.args(words).stdin(Stdio::null()).output().expect("Debian's package podman"))
    };
    assert_eq!(podman(&["import", &busybox(&directory), "busybox"]).code, 0);
    // Podman asks for more than a machine may have to give.
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is ours.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    let files = format!("--ulimit=nofile={0}:{0}", limit.rlim_max);
    let init = format!("--init-path={}", images::rinit().display());
    let name = crate::engine::unique("podman");
    let options = ["run", "--init", &init, "--network=none", &files, "--ulimit=nproc=1000:1000"];
    let run = |words: &[&str]| podman(&[&options[..], &["--rm", "busybox"], words].concat());
    let ran = run(&["ps", "-o", "pid,args"]);
    assert!(ran.out.contains("1 /run/podman-init -- ps -o pid,args"), "{ran:?}");
    assert_eq!(run(&["sh", "-c", "exit 9"]).code, 9);
    let ran =
        podman(&[&options[..], &["--detach", "--name", &name, "busybox", "sleep", "1000"][..]].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(podman(&["stop", &name]).code, 0);
    assert_eq!(podman(&["inspect", "--format", "{{.State.ExitCode}}", &name]).out.trim(), "143");
    podman(&["rm", "--force", &name]);
    let _ = fs::remove_dir_all(&directory);
}
