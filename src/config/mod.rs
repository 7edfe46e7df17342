//! Text -> checked configuration. Reading (files -> one tree) and resolving (tree -> what is to be done)
//! are two steps, because the second depends on what the checks export.

pub mod keys;
pub mod prepared;
pub mod read;
pub mod resolve;
pub mod source;

pub use resolve::{for_this_command, resolve};
pub use source::files::Files;

use crate::model::listen::ListenSpec;
use crate::model::privileges::ExecPrivileges;
use crate::model::{Level, ServicePolicy, Settings, Signal, Ulimit};
use crate::text::words::words;
use prepared::PreparedFile;
use source::diagnostic::Span;
use std::ops::Deref;
use std::rc::Rc;
use std::time::Duration;

/// Everything that is to be run, by the tree and one state of the environment.
#[derive(Debug, Default)]
pub struct Plan {
    /// All services in the order of the files, `main` last; a `ServiceId` is an index into this list.
    pub services: Vec<Service>,
    /// What holds for the container as a whole.
    pub whole: Settings,
    /// The control socket.
    pub control: ControlSettings,
    /// Files that are written before anything is started.
    pub prepared: Vec<PreparedFile>,
    /// What is run before anything is started.
    pub hooks: HookSettings,
}

/// `[hooks]`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HookSettings {
    /// The condition that does not hold today, if one does not.
    pub off: Option<String>,
    /// Directories and files, and where each is written.
    pub before_start: Vec<(String, Span)>,
    /// How they are run.
    pub rules: HookRules,
}

/// How hooks are run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HookRules {
    /// The longest run of one; `None`: no limit.
    pub timeout: Option<Duration>,
    /// Whether it is as it should be that others could have changed them.
    pub trusted: bool,
    /// Which variables they may hand on; `None`: none.
    pub export_env: Option<Box<ExportEnv>>,
}

/// `[control]`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ControlSettings {
    /// Where it is: a path, `@NAME`, or `none`; `None`: as ever.
    pub socket: Option<String>,
    /// Users, by name or number, that may give orders.
    pub allow: Vec<String>,
    /// Users, by name or number, that may look.
    pub read_only: Vec<String>,
    /// Where HTTP is answered: `:PORT` or `IP:PORT`.
    pub http: Option<String>,
}

/// One service, complete.
#[derive(Debug, Default)]
pub struct Service {
    /// NAME of `[services.NAME]`.
    pub name: String,
    /// Where its table stands; `None` for a COMMAND that no file describes.
    pub at: Option<Span>,
    /// Why it is off, if it is.
    pub off: Option<Off>,
    /// What the supervisor decides by.
    pub rules: ServicePolicy,
    /// What is run.
    pub program: Program,
}

/// Why a service is not started by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Off {
    /// It is the COMMAND, and there is none.
    NoCommand,
    /// `enabled = false`.
    Disabled,
    /// None of its profiles is on: these.
    Profiles(String),
    /// A condition (`when_*`) does not hold today: this one.
    Skipped(String),
}

impl Off {
    /// In words.
    #[must_use]
    pub fn why(&self) -> &str {
        match self {
            Self::NoCommand => "no COMMAND was given",
            Self::Disabled => "enabled is false",
            Self::Skipped(why) | Self::Profiles(why) => why,
        }
    }
}

/// What is left of a [`Service`] when the supervisor has its policy: there may be thousands, and they stay.
#[derive(Clone, Debug, Default)]
pub struct RunnableService {
    /// NAME of `[services.NAME]`.
    pub name: String,
    /// Why it is off, if it is.
    pub off: Option<Box<Off>>,
    /// What is run.
    pub program: Program,
}

impl RunnableService {
    /// NAME of `[services.NAME]`, which all instances of a replicated service share.
    #[must_use]
    pub fn base(&self) -> &str {
        base_name(&self.name, self.program.instance)
    }
}

/// What a service's process is: everything that its spawn needs, and nothing that the supervisor does.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The program and its arguments. Bytes, not text: a COMMAND is passed on as it came.
    pub argv: Vec<std::ffi::CString>,
    /// What many services have in common, and then share.
    pub settings: Rc<ProgramSettings>,
    /// Which instance of a replicated service it is, from 1; 0: the service has no `replicas`.
    pub instance: u16,
}

/// The name of the service that this one is an instance of: `web` of `web.2`; its own if it has no `replicas`.
#[must_use]
pub fn base_name(name: &str, instance: u16) -> &str {
    name.rsplit_once('.').filter(|_| instance > 0).map_or(name, |(base, _)| base)
}

impl Deref for Program {
    type Target = ProgramSettings;

    fn deref(&self) -> &ProgramSettings {
        &self.settings
    }
}

/// All of a [`Program`] but what is run.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ProgramSettings {
    /// Variables on top of what is inherited, in order: `env_file` first, then `environment`.
    pub environment: Vec<(String, String)>,
    /// Whether nothing is inherited.
    pub clear_env: bool,
    /// Variables that are not inherited, by name or pattern.
    pub unset: Box<[String]>,
    /// Whether who it runs as gets an entry in /etc/passwd.
    pub passwd: bool,
    /// Where it starts; `None`: where rinit was started.
    pub working_dir: Option<String>,
    /// Whose rights it has; `None`: those of rinit.
    pub user: Option<UserSpec>,
    /// Its file mode creation mask; `None`: as inherited.
    pub umask: Option<u32>,
    /// What it may use of the kernel, where that is not as inherited.
    pub ulimits: Box<[Ulimit]>,
    /// What else the kernel is to let it do, or not; `None`: as inherited.
    pub privileges: Option<Box<ExecPrivileges>>,
    /// What follows where the container does not give it such privileges or limits.
    pub rights_level: Level,
    /// Where its output goes.
    pub logging: Logging,
    /// Checks that are judged right before each of its starts.
    pub gate: Box<[GateCheck]>,
    /// Who runs its healthcheck, if not the service's own user.
    pub probe_user: Option<UserSpec>,
    /// What its healthcheck runs.
    pub probe: Option<ProbeSpec>,
    /// Of a oneshot: which variables it may hand to those that are started later.
    pub export_env: Option<Box<ExportEnv>>,
    /// What its hooks run, if it has any.
    pub hooks: Option<Box<HookCommands>>,
    /// How it reports on itself, if it does.
    pub notify: Option<Box<NotifySettings>>,
    /// What rinit opens for it.
    pub sockets: Option<Rc<SocketSettings>>,
    /// What it gets at a reload that does not restart it.
    pub reload_signal: Option<Signal>,
}

/// How a service reports on itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NotifySettings {
    /// `notify`: where it says that it is ready; `None`: nowhere.
    pub channel: Option<NotifyChannel>,
    /// `watchdog`: how often it is to say that it is alive.
    pub watchdog: Option<Duration>,
    /// `pid_file`: the file that names its main process, once it has put itself into the background.
    pub pid_file: Option<String>,
    /// `fd_store`: how many descriptors are kept for it over its restarts.
    pub fd_store: u16,
}

/// `notify`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotifyChannel {
    /// `"systemd"`: a socket of its own, named by NOTIFY_SOCKET.
    Socket,
    /// A descriptor that gets a newline (s6).
    Descriptor(i32),
}

/// The commands of a service's hooks, in the order of [`HookKind::ALL`](crate::model::HookKind::ALL); empty: no such hook.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HookCommands(pub [Vec<std::ffi::CString>; 4]);

impl ProgramSettings {
    /// What rinit opens for it; usually nothing.
    #[must_use]
    pub fn sockets(&self) -> &[SocketSpec] {
        self.sockets.as_deref().map_or(&[], |all| &all.sockets)
    }
}

/// `sockets`, in the order in which they are passed, from descriptor 3 on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SocketSettings {
    /// At least one.
    pub sockets: Vec<SocketSpec>,
}

impl SocketSettings {
    /// Returns the first descriptor number that no socket has.
    #[must_use]
    pub fn first_free_number(&self) -> i32 {
        i32::try_from(self.sockets.len()).map_or(i32::MAX, |count| 3 + count)
    }
}

/// One socket of a service.
#[derive(Clone, Debug)]
pub struct SocketSpec {
    /// Its name in `LISTEN_FDNAMES`.
    pub name: String,
    /// Where its address is written.
    pub at: source::diagnostic::Span,
    /// What is opened.
    pub listen: ListenSpec,
}

impl PartialEq for SocketSpec {
    /// Wherever it is written: a reload that moves its line changes nothing.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.listen == other.listen
    }
}

impl Eq for SocketSpec {}

/// `export_env`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExportEnv {
    /// Whatever it writes, for those whose rights are not above its own.
    All,
    /// These names, for all.
    Names(Vec<String>),
    /// Whatever it writes, for all: another decides.
    Any,
}

impl ExportEnv {
    /// Variables that rinit itself gives to one process and another: nobody else may.
    #[must_use]
    pub fn is_rinits(name: &str) -> bool {
        ["NOTIFY_SOCKET", "FDSTORE"].contains(&name)
            || ["RINIT_", "LISTEN_", "WATCHDOG_"].iter().any(|prefix| name.starts_with(prefix))
    }

    /// Whether a variable is handed on. What makes every program load other code has to be named.
    #[must_use]
    pub fn allows(&self, name: &str) -> bool {
        match self {
            Self::All => !Self::is_rinits(name) && !name.starts_with("LD_"),
            Self::Any => !Self::is_rinits(name),
            Self::Names(names) => names.iter().any(|known| known == name),
        }
    }
}

/// `user`, `group` and `groups`, as written; looked up when the process is started.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UserSpec {
    /// A name or a number; empty when only the group is given.
    pub user: String,
    /// A name or a number; `None`: the user's own.
    pub group: Option<String>,
    /// Supplementary groups besides those that the user is a member of, names or numbers.
    pub groups: Vec<String>,
    /// Whether the supplementary groups that rinit was given stay.
    pub keep_groups: bool,
}

/// Where a service's output goes (`logging`).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Logging {
    /// Who carries it there.
    pub driver: LogDriver,
    /// Whether each line begins with the time.
    pub timestamps: bool,
    /// With the driver `file`: which.
    pub file: Option<Box<LogFile>>,
}

/// `logging.driver`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LogDriver {
    /// To rinit's own stdout and stderr, by the service itself.
    #[default]
    Inherit,
    /// The same, each line with the service's name before it.
    Prefix,
    /// The same, each line as a JSON object.
    Json,
    /// To a file.
    File,
    /// Nowhere.
    None,
}

words!(LogDriver { "inherit" => Inherit, "prefix" => Prefix, "json" => Json, "file" => File, "none" => None });

impl LogDriver {
    /// Whether the relay carries it.
    #[must_use]
    pub fn is_relayed(self) -> bool {
        matches!(self, Self::Prefix | Self::Json | Self::File)
    }
}

/// `logging.file` and its rotation.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LogFile {
    /// An absolute path.
    pub path: String,
    /// Past this size it is rotated; `None`: never.
    pub max_size: Option<u64>,
    /// How many files are kept, with the one that is written.
    pub max_file: u32,
}

/// What a healthcheck does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProbeSpec {
    /// Runs a command as the service's user, in its environment; exit code 0 is healthy.
    Exec(Vec<std::ffi::CString>),
    /// Connects to this host and port.
    Tcp(String, u16),
    /// Has seen this pattern in a line of its output since it was started.
    Log(String),
    /// Judges as a check does.
    Check(Box<CheckProbe>),
}

/// A check that a service's `checks` names. It is kept as a text, like a probe.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct GateCheck {
    /// Its kind; empty until the check of that name is found.
    pub kind: String,
    /// Its name; until then as the service names it: `tcp.db`.
    pub name: String,
    /// Its keys, as TOML.
    pub table: String,
    /// The file of its table, and the line there, from 1.
    pub place: (String, usize),
}

/// A check as a probe. It is kept as a text: what it takes to look is read in the process that looks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CheckProbe {
    /// Its kind; empty until the check of the name that `healthcheck.check` gives is found.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its keys, as TOML.
    pub table: String,
    /// Whose rights to judge with (`as_user` of the healthcheck).
    pub as_user: Option<String>,
    /// Where the service names it.
    pub at: source::diagnostic::Span,
}
