//! What to start, and in which environment.

use super::running::Running;
use super::sandbox::{Plan, Stdio};
use super::{FILES, Init};
use std::ffi::CString;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// One start of an init: created by [`Init::launch`], executed by [`Launch::start`].
#[derive(Debug)]
pub struct Launch {
    init: Init,
    args: Vec<String>,
    env: Vec<(String, String)>,
    files: Files,
    /// The init's argv[0], if not its path.
    name: Option<String>,
    pub(super) plan: Plan,
}

impl Launch {
    pub(super) fn new(init: Init) -> Self {
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let bare = std::env::var_os("RINIT_BARE").is_some_and(|v| v == "1");
        let plan = Plan { bare, cwd: CString::new(FILES).unwrap(), ..Plan::default() };
        Self {
            init,
            args: Vec::new(),
            env: vec![("PATH".into(), path.into()), ("HOME".into(), "/root".into())],
            files: Files::new(),
            name: None,
            plan,
        }
    }

    /// Appends arguments.
    pub fn args(mut self, words: &[&str]) -> Self {
        self.args.extend(words.iter().map(|&word| word.to_owned()));
        self
    }

    /// Appends `--` and these words.
    pub fn command(self, words: &[&str]) -> Self {
        self.args(&["--"]).args(words)
    }

    /// Appends `--` and this shell script.
    pub fn sh(self, script: &str) -> Self {
        self.command(&["sh", "-c", script])
    }

    /// Creates a file in [`FILES`]; the test refers to it where needed.
    pub fn file(self, name: &str, text: &str) -> Self {
        self.file_with_mode(name, text, 0o644)
    }

    /// Creates a file with this mode.
    pub fn file_with_mode(self, name: &str, text: &str, mode: u32) -> Self {
        let path = self.files.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    /// Replaces the content of such a file; any bytes.
    pub fn bytes(self, name: &str, bytes: &[u8]) -> Self {
        fs::write(self.files.0.join(name), bytes).unwrap();
        self
    }

    /// Sets the configuration, as `rinit.toml` in [`FILES`].
    ///
    /// By default its control socket is in [`FILES`] too, rather than at the machine's default path, which all starts
    /// would share.
    pub fn config(self, text: &str) -> Self {
        let is_said = text.contains("socket") || self.env.iter().any(|(name, _)| name == "RINIT_SOCKET");
        let own = if is_said { self } else { self.env("RINIT_SOCKET", &format!("{FILES}/.rinit.sock")) };
        own.file("rinit.toml", text).args(&["--config", &format!("{FILES}/rinit.toml")])
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the init's argv[0].
    pub fn called(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Starts it as a child of a PID 1 that only waits; processes that the init leaves behind stay visible.
    pub fn nested(mut self) -> Self {
        self.plan.nested = true;
        self
    }

    /// Starts it as PID 1 or nested.
    pub fn pid_1(mut self, pid_1: bool) -> Self {
        self.plan.nested = !pid_1;
        self
    }

    /// Read-only root, no `/run`, no `/tmp`: what `RINIT_BARE=1` does to every start.
    pub fn bare(mut self) -> Self {
        self.plan.bare = true;
        self
    }

    /// Its own network namespace with only a loopback.
    pub fn network(mut self) -> Self {
        self.plan.network = true;
        self
    }

    /// Makes this directory empty.
    pub fn hide(mut self, directory: &str) -> Self {
        self.plan.hidden.push(CString::new(directory).unwrap());
        self
    }

    /// Descriptors 0, 1 and 2 are a terminal: the controlling terminal of the init's session.
    pub fn tty(mut self) -> Self {
        self.plan.stdio = Stdio::Tty;
        self
    }

    /// Standard output and error have no reader: a write gets SIGPIPE or EPIPE.
    pub fn without_reader(mut self) -> Self {
        self.plan.stdio = Stdio::Deaf;
        self
    }

    /// Descriptors 0, 1 and 2 are closed.
    pub fn without_stdio(mut self) -> Self {
        self.plan.stdio = Stdio::Closed;
        self
    }

    /// Opens this descriptor in the init under that number.
    pub fn fd(mut self, fd: OwnedFd, number: i32) -> Self {
        self.plan.fds.push((fd, number));
        self
    }

    /// Signals that are ignored at the start.
    pub fn ignoring(mut self, signals: &[i32]) -> Self {
        self.plan.ignored.extend_from_slice(signals);
        self
    }

    /// Signals that are blocked at the start.
    pub fn blocking(mut self, signals: &[i32]) -> Self {
        self.plan.blocked.extend_from_slice(signals);
        self
    }

    /// The init's supplementary groups, as from `docker run --group-add`.
    pub fn groups(mut self, groups: &[u32]) -> Self {
        super::needs_root();
        self.plan.groups = groups.to_vec();
        self
    }

    /// Runs the init as this user and group, with only the supplementary groups of [`Self::groups`].
    pub fn user(mut self, id: u32) -> Self {
        super::needs_root();
        self.plan.user = Some(id);
        self
    }

    /// The init's working directory; default: [`FILES`].
    pub fn cwd(mut self, directory: &str) -> Self {
        self.plan.cwd = CString::new(directory).unwrap();
        self
    }

    /// Sets a resource limit, soft and hard.
    pub fn limit(self, resource: u32, value: u64) -> Self {
        self.soft_limit(resource, value, value)
    }

    /// Sets the soft and hard value of a resource limit.
    pub fn soft_limit(mut self, resource: u32, soft: u64, hard: u64) -> Self {
        self.plan.limits.push((resource, soft, hard));
        self
    }

    /// Makes these system calls fail with these errors in the init and all its descendants (seccomp(2)): like an old
    /// kernel, a sandbox, or an engine whose profile does not know the call.
    pub fn refusing(mut self, calls: &[(libc::c_long, i32)]) -> Self {
        self.plan.refused.extend_from_slice(calls);
        self
    }

    /// Starts it. Returns when execve is done; the init has not run any code yet.
    #[track_caller]
    pub fn start(mut self) -> Running {
        let name = self.name.as_deref().unwrap_or(self.init.path);
        let words = std::iter::once(name).chain(self.args.iter().map(String::as_str));
        self.plan.argv = words.map(|word| CString::new(word).unwrap()).collect();
        let pairs = self.env.iter().map(|(name, value)| format!("{name}={value}"));
        self.plan.envp = pairs.map(|pair| CString::new(pair).unwrap()).collect();
        self.plan.program = CString::new(self.init.path).unwrap();
        self.plan.directory = CString::new(self.files.0.to_str().unwrap()).unwrap();
        self.plan.rinit = CString::new(Init::rinit_binary()).unwrap();
        Running::start(self.plan, self.files)
    }

    /// Starts it and waits for its end.
    #[track_caller]
    pub fn run(self) -> super::Ended {
        self.start().end()
    }
}

/// The directory that is [`FILES`] inside; removed with the start it belongs to.
#[derive(Debug)]
pub(super) struct Files(pub PathBuf);

impl Files {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("start-{}-{number}", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        // Services of other users write here.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        Self(path)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
