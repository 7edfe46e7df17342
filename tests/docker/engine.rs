//! The `docker` command, and containers that remove themselves.

use crate::eventually;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Runs `docker` with these words; how it ended and what it wrote.
pub fn docker(words: &[&str]) -> Ran {
    let output = Command::new("docker")
        .args(words)
        .stdin(Stdio::null())
        .output()
        .expect("the `docker` command: Debian's package docker.io");
    Ran::from(output)
}

/// As [`docker`], for what cannot fail: its standard output, trimmed.
#[track_caller]
pub fn docker_ok(words: &[&str]) -> String {
    let ran = docker(words);
    assert_eq!(ran.code, 0, "docker {words:?}\n{}{}", ran.out, ran.err);
    ran.out.trim().to_owned()
}

/// A name that nothing else has.
pub fn unique(stem: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("rinit-test-{}-{}-{stem}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// How a program ended, and what it wrote.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code().unwrap_or(-1),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }
}

/// Runs a container to its end: `docker run --rm OPTIONS… IMAGE WORDS…`.
pub fn run(options: &[&str], image: &str, words: &[&str]) -> Ran {
    docker(&[&["run", "--rm"], options, &[image], words].concat())
}

/// A container in the background, removed (with its anonymous volumes) at the end of its scope.
pub struct Container {
    pub name: String,
}

impl Container {
    /// `docker run -d OPTIONS… IMAGE WORDS…`
    #[track_caller]
    pub fn start(options: &[&str], image: &str, words: &[&str]) -> Self {
        let container = Self { name: unique("container") };
        docker_ok(&[&["run", "-d", "--name", &container.name], options, &[image], words].concat());
        container
    }

    /// A name for a container that somebody else starts; it is removed all the same.
    pub fn to_be_started() -> Self {
        Self { name: unique("container") }
    }

    /// A field of `docker inspect`, as a Go template names it.
    #[track_caller]
    pub fn inspect(&self, field: &str) -> String {
        docker_ok(&["inspect", "--format", &format!("{{{{{field}}}}}"), &self.name])
    }

    /// Its address on the default bridge.
    #[track_caller]
    pub fn address(&self) -> String {
        self.inspect(".NetworkSettings.IPAddress")
    }

    /// What it has written so far.
    #[track_caller]
    pub fn logs(&self) -> Ran {
        docker(&["logs", &self.name])
    }

    /// Waits until standard output or error has `text`; both, as far as they are then.
    #[track_caller]
    pub fn says(&self, text: &str) -> String {
        eventually(&format!("{text:?} in the logs of {}", self.name), || {
            // Before the logs are read, which would otherwise lack what it says as it ends.
            let ended = self.inspect(".State.Status") == "exited";
            let logs = self.logs();
            let all = format!("{}{}", logs.out, logs.err);
            if all.contains(text) {
                return Some(all);
            }
            assert!(!ended, "ended without {text:?}:\n{all}");
            None
        })
    }

    /// Waits until the engine's own start-up code has become rinit. `docker run` returns before that, and a
    /// signal that comes so early is the engine's (which then ends with 2).
    #[track_caller]
    pub fn has_begun(&self) {
        let name = format!("/proc/{}/comm", self.inspect(".State.Pid"));
        eventually("rinit as the container's first process", || {
            let name = std::fs::read_to_string(&name).unwrap_or_default();
            (!name.starts_with("runc")).then_some(())
        });
    }

    /// `docker exec`
    pub fn exec(&self, words: &[&str]) -> Ran {
        docker(&[&["exec", &self.name], words].concat())
    }

    /// `docker kill --signal SIGNAL`
    #[track_caller]
    pub fn signal(&self, signal: &str) {
        docker_ok(&["kill", "--signal", signal, &self.name]);
    }

    /// `docker stop`, which waits 10 s before it kills; how long it took.
    #[track_caller]
    pub fn stop(&self) -> Duration {
        let start = Instant::now();
        docker_ok(&["stop", &self.name]);
        start.elapsed()
    }

    /// Waits for its end; its exit code.
    #[track_caller]
    pub fn wait(&self) -> i32 {
        eventually(&format!("the end of {}", self.name), || {
            (self.inspect(".State.Status") == "exited").then(|| self.inspect(".State.ExitCode"))
        })
        .parse()
        .expect("an exit code")
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = self.logs();
            eprintln!(
                "--- {}, standard output:\n{}--- standard error:\n{}---",
                self.name, logs.out, logs.err
            );
        }
        docker(&["rm", "--force", "--volumes", &self.name]);
    }
}

/// A named volume, removed at the end of its scope (after the containers that use it).
pub struct Volume(pub String);

impl Volume {
    /// An empty one; as the engine makes them, it belongs to root.
    #[track_caller]
    pub fn new() -> Self {
        Self(docker_ok(&["volume", "create", &unique("volume")]))
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        docker(&["volume", "rm", "--force", &self.0]);
    }
}
