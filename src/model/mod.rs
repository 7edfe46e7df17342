//! The nouns that every part of rinit shares. No logic here waits, acts or reads a clock.

pub mod environ;

use std::fmt;
use std::time::Duration;

/// A process id, as wait(2) and kill(2) know it.
pub type Pid = i32;

/// A service, by its place in the configuration's list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ServiceId(pub u16);

impl ServiceId {
    /// The place in the list.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A moment on the monotonic clock, in nanoseconds since an origin that does not matter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Moment(pub u64);

impl Moment {
    /// This moment and `span` more; the far future instead of an overflow.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// The time from `earlier` until this moment; nothing when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A signal number, 1 to 64 (signal(7)).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(u8);

/// The names of signal(7) with their numbers on Linux, which are the same on x86, arm and riscv.
const NAMES: &[(&str, u8)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
    ("IOT", 6),
    ("CLD", 17),
    ("POLL", 29),
];

/// SIGRTMIN and SIGRTMAX as the C libraries have them: 32 and 33 are theirs.
const RT: (u8, u8) = (34, 64);

impl Signal {
    /// The signals that rinit itself speaks of.
    pub const HUP: Self = Self(1);
    /// See signal(7).
    pub const INT: Self = Self(2);
    /// See signal(7).
    pub const QUIT: Self = Self(3);
    /// See signal(7).
    pub const KILL: Self = Self(9);
    /// See signal(7).
    pub const ALRM: Self = Self(14);
    /// See signal(7).
    pub const TERM: Self = Self(15);
    /// See signal(7).
    pub const PIPE: Self = Self(13);
    /// See signal(7).
    pub const CHLD: Self = Self(17);
    /// See signal(7).
    pub const CONT: Self = Self(18);
    /// See signal(7).
    pub const STOP: Self = Self(19);
    /// See signal(7).
    pub const TSTP: Self = Self(20);
    /// A power failure: LXC's way to stop a container.
    pub const PWR: Self = Self(30);
    /// systemd's way to stop a container.
    pub const RTMIN_PLUS_3: Self = Self(RT.0 + 3);
    /// See signal(7).
    pub const XFSZ: Self = Self(25);
    /// See signal(7).
    pub const XCPU: Self = Self(24);
    /// See signal(7).
    pub const WINCH: Self = Self(28);
    /// See signal(7).
    pub const TTIN: Self = Self(21);
    /// See signal(7).
    pub const TTOU: Self = Self(22);

    /// The signal of this number, when there is one.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        u8::try_from(number).ok().filter(|n| (1..=RT.1).contains(n)).map(Self)
    }

    /// A name with or without `SIG`, in any case, a number, or `RTMIN+n`, `RTMAX-n`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let upper = text.trim().to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Ok(number) = name.parse::<i32>() {
            return Self::from_number(number).filter(|_| !upper.starts_with("SIG"));
        }
        if let Some(rest) = name.strip_prefix("RTMIN") {
            let plus = if rest.is_empty() { 0 } else { rest.strip_prefix('+')?.parse::<u8>().ok()? };
            return RT.0.checked_add(plus).filter(|n| *n <= RT.1).map(Self);
        }
        if let Some(rest) = name.strip_prefix("RTMAX") {
            let minus = if rest.is_empty() { 0 } else { rest.strip_prefix('-')?.parse::<u8>().ok()? };
            return RT.1.checked_sub(minus).filter(|n| *n >= RT.0).map(Self);
        }
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| Self(*number))
    }

    /// The number, 1 to 64.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }

    /// All names, for "did you mean".
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => write!(f, "SIG{name}"),
            None if self.0 >= RT.0 => write!(f, "SIGRTMIN+{}", self.0 - RT.0),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How a process ended, as wait(2) tells it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ExitStatus {
    /// It called exit with this code.
    Code(u8),
    /// This signal killed it.
    Signal(Signal),
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with code {code}"),
            Self::Signal(signal) => write!(f, "killed by {signal}"),
        }
    }
}

/// What kind of work a service does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceType {
    /// Runs until it is stopped; any end by itself is news.
    #[default]
    Daemon,
    /// Is done when it exits 0.
    Oneshot,
}

/// What a dependency must have reached before its dependent starts (Compose's `condition`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// Its process runs (or has run to a good end).
    #[serde(alias = "service_started")]
    Started,
    /// Its healthcheck has passed.
    #[serde(alias = "service_healthy")]
    Healthy,
    /// It has ended with success.
    #[serde(alias = "service_completed_successfully")]
    Completed,
}

/// One edge of the graph: what a service waits for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Dependency {
    /// The service that is waited for.
    pub on: ServiceId,
    /// What it must have reached. `None` is `after`: order alone, it is waited for only if it is to start at all.
    pub condition: Option<Condition>,
    /// Whether the dependent cannot start without it. False: its failure or absence is waited out, then ignored.
    pub required: bool,
    /// Whether the dependent is stopped and started again when the dependency is restarted.
    pub restart: bool,
}

/// When a service that ended is started again (Compose's `restart`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Never.
    No,
    /// Whatever the end.
    Always,
    /// When the end was a failure.
    OnFailure,
    /// As `always`; a stop by hand holds.
    UnlessStopped,
}

/// `restart` and `restart_policy` of one service.
#[derive(Clone, PartialEq, Debug)]
pub struct RestartPolicy {
    /// When to restart at all.
    pub when: Restart,
    /// Wait before the first restart.
    pub delay: Duration,
    /// The longest wait, jitter included.
    pub max_delay: Duration,
    /// Each further wait is this many times the one before; at least 1.
    pub factor: f64,
    /// The wait varies at random by at most this share of it, 0 to 0.5.
    pub jitter: f64,
    /// Restarts allowed in a row; `None` is without limit.
    pub max_attempts: Option<u32>,
    /// A run at least this long clears the count.
    pub window: Duration,
    /// Ends that are never followed by a restart, whatever `when` says.
    pub never_on: Vec<ExitStatus>,
    /// Ends that are always followed by one (within `max_attempts`), whatever `when` says.
    pub always_on: Vec<ExitStatus>,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            when: Restart::OnFailure,
            delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(30),
            factor: 2.0,
            jitter: 0.0,
            max_attempts: None,
            window: Duration::from_secs(60),
            never_on: Vec::new(),
            always_on: Vec::new(),
        }
    }
}

/// What happens to a service whose healthcheck has failed `retries` times in a row.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnUnhealthy {
    /// It is stopped, which counts as a failure, and its restart policy decides.
    #[default]
    Restart,
    /// It is told, nothing else.
    Ignore,
    /// It is stopped for good, a failure.
    Stop,
}

/// The timing of a healthcheck; what is probed is the shell's business.
#[derive(Clone, PartialEq, Debug)]
pub struct HealthRules {
    /// Between the end of one probe and the start of the next.
    pub interval: Duration,
    /// A probe that takes longer has failed and is killed.
    pub timeout: Duration,
    /// Failures in a row that make a service unhealthy; at least 1.
    pub retries: u32,
    /// Failures this soon after the start do not count.
    pub start_period: Duration,
    /// In place of `interval` until the first success, while failures do not count.
    pub start_interval: Duration,
    /// What follows `retries` failures.
    pub on_unhealthy: OnUnhealthy,
}

/// Which processes of a service a stop reaches (`kill_mode`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KillMode {
    /// The first process is asked alone; when it has ended, TERM goes to what is left of its group; KILL to all.
    #[default]
    Mixed,
    /// The whole group is asked at once.
    Group,
    /// Nobody but the first process is ever signalled.
    Process,
    /// As `Mixed`, and what has left the group too.
    All,
}

/// Everything about a service that the supervisor decides by. What is run, and as whom, is in
/// the shell's half ([`crate::config::Program`]).
#[derive(Clone, PartialEq, Debug)]
pub struct ServicePolicy {
    /// Daemon or oneshot.
    pub kind: ServiceType,
    /// Whether it starts by itself (`enabled`, `when_*`).
    pub enabled: bool,
    /// Whether its end for good ends the container.
    pub essential: bool,
    /// What it waits for, and what in reverse waits for it to stop.
    pub depends_on: Vec<Dependency>,
    /// When it is started again.
    pub restart: RestartPolicy,
    /// Codes and signals that are success besides exit code 0.
    pub success: Vec<ExitStatus>,
    /// Until ready (healthy, or done for a oneshot).
    pub start_timeout: Option<Duration>,
    /// The longest single run.
    pub run_timeout: Option<Duration>,
    /// What asks it to stop.
    pub stop_signal: Signal,
    /// How long it may take to stop before it is killed.
    pub stop_grace: Duration,
    /// Whom a stop reaches.
    pub kill_mode: KillMode,
    /// Its healthcheck, when it has one.
    pub health: Option<HealthRules>,
}

impl Default for ServicePolicy {
    fn default() -> Self {
        Self {
            kind: ServiceType::Daemon,
            enabled: true,
            essential: true,
            depends_on: Vec::new(),
            restart: RestartPolicy::default(),
            success: Vec::new(),
            start_timeout: None,
            run_timeout: None,
            stop_signal: Signal::TERM,
            stop_grace: Duration::from_secs(10),
            kill_mode: KillMode::default(),
            health: None,
        }
    }
}

/// What a signal that rinit receives does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SignalRule {
    /// Stop everything.
    Stop,
    /// Nothing.
    Ignore,
    /// Treat it as this other signal.
    As(Signal),
    /// Send `1` to service `0`.
    To(ServiceId, Signal),
}

/// What becomes of processes that are there when the COMMAND has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leftovers {
    /// They are asked to stop, killed when they do not, and waited for.
    Stop,
    /// The COMMAND's process group is sent this signal, and nobody is waited for (dumb-init).
    Tell(Signal),
    /// Nothing: the kernel ends them with PID 1 (tini, catatonit).
    Leave,
}

/// The limits that a service may be given, as Compose and `docker run --ulimit` call them.
pub const ULIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// One limit of a process (getrlimit(2)); `u64::MAX`: none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ulimit {
    /// One of [`ULIMITS`].
    pub name: &'static str,
    /// What holds; the process may raise it up to the hard one.
    pub soft: u64,
    /// The most; only a privileged process may raise it.
    pub hard: u64,
}

/// What holds for the container as a whole.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// The service that the COMMAND is, when there is one.
    pub main: Option<ServiceId>,
    /// `[stop] within`: the bound of a whole stop, from the request to the end of rinit.
    pub stop_within: Option<Duration>,
    /// How long what is left over, when every service is gone, may take to stop before it is killed.
    pub sweep_grace: Duration,
    /// What becomes of what the COMMAND leaves behind.
    pub leftovers: Leftovers,
    /// Signals with a meaning of their own, by `[signals]`.
    pub signals: Vec<(Signal, SignalRule)>,
    /// Whether signals for the COMMAND go to its whole process group (`-g`).
    pub group_signals: bool,
    /// Whether TERM to a running COMMAND is a request to stop, bounded by its `stop_grace_period`.
    /// Without a configuration it is a signal like any other, as with tini.
    pub term_stops_main: bool,
    /// `when_idle = "stay"`: do not end when nothing is left to run.
    pub stay_when_idle: bool,
    /// Seed of the jitter.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            main: None,
            stop_within: None,
            sweep_grace: Duration::from_secs(2),
            leftovers: Leftovers::Stop,
            signals: Vec::new(),
            group_signals: false,
            term_stops_main: false,
            stay_when_idle: false,
            seed: 1,
        }
    }
}
