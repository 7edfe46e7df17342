//! Types shared by all parts of rinit. Nothing here waits, acts or reads a clock.

pub mod cron;
pub mod environ;
pub mod hooks;
pub mod listen;
pub mod privileges;
pub mod time_zone;
mod ulimit;
mod update;

pub use ulimit::{ULIMITS, Ulimit};
pub use update::UpdateRules;

pub use hooks::{HookKind, HookTimeouts};

use crate::text::words::words;
use std::fmt;
use std::time::Duration;

/// A process id, as wait(2) and kill(2) know it.
pub type Pid = i32;

/// A service: its index in the configuration's list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ServiceId(pub u16);

impl ServiceId {
    /// Returns the index in the list.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A time on the monotonic clock, in nanoseconds since an arbitrary origin.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Moment(pub u64);

impl Moment {
    /// Adds a duration; saturates on overflow.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Subtracts a duration; saturates at zero.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Returns the time since `earlier`; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A signal number, 1 to 64 (signal(7)).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(u8);

/// Names and numbers of signal(7) on Linux; the same on x86, arm and riscv.
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

/// SIGRTMIN and SIGRTMAX of the C libraries, which use 32 and 33 themselves.
const RT: (u8, u8) = (34, 64);

impl Signal {
    /// See signal(7).
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
    /// Power failure: LXC's stop signal for a container.
    pub const PWR: Self = Self(30);
    /// systemd's stop signal for a container.
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

    /// Returns the signal with this number, if valid.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        u8::try_from(number).ok().filter(|n| (1..=RT.1).contains(n)).map(Self)
    }

    /// Parses a name with or without `SIG`, in any case, a number, or `RTMIN+n`, `RTMAX-n`.
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

    /// Returns the number, 1 to 64.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }

    /// Returns all names, for "did you mean".
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

/// How a process ended, as reported by wait(2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ExitStatus {
    /// It exited with this code.
    Code(u8),
    /// It was killed by this signal.
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

/// The kind of work of a service.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum ServiceType {
    /// Runs until it is stopped; an end by itself is unexpected.
    #[default]
    Daemon,
    /// Done when it exits with 0.
    Oneshot,
}

words!(ServiceType { "daemon" => Daemon, "oneshot" => Oneshot });

/// The state that a dependency must reach before its dependent starts (Compose's `condition`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Condition {
    /// Its process runs (or has ended with success).
    Started,
    /// Its healthcheck has passed.
    Healthy,
    /// It has exited with success.
    Completed,
}

words!(Condition { "started" => Started, "service_started" => Started, "healthy" => Healthy, "service_healthy" => Healthy, "completed" => Completed, "service_completed_successfully" => Completed });

/// One edge of the dependency graph.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Dependency {
    /// The service that must come first.
    pub on: ServiceId,
    /// The state that it must reach. `None` is `after`: ordering only; wait for it only if it is to start at all.
    pub condition: Option<Condition>,
    /// Whether the dependent cannot start without it. If false, its failure or absence is ignored once it is final.
    pub required: bool,
    /// Whether a restart of the dependency restarts the dependent too.
    pub restart: bool,
    /// Not 0: of the dependencies with this number one is enough (the instances of a replicated service).
    pub any: u16,
}

/// When an ended service is restarted (Compose's `restart`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Restart {
    /// Never.
    No,
    /// After any end.
    Always,
    /// After a failure.
    OnFailure,
    /// Like `always`, but not after a stop by hand.
    UnlessStopped,
}

words!(Restart { "no" => No, "always" => Always, "on-failure" => OnFailure, "unless-stopped" => UnlessStopped });

/// At most so many within a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RateLimit {
    /// So many; at least 1.
    pub burst: u32,
    /// The time.
    pub interval: Duration,
}

/// `restart` and `restart_policy` of one service.
#[derive(Clone, PartialEq, Debug)]
pub struct RestartPolicy {
    /// When to restart at all.
    pub when: Restart,
    /// Delay before the first restart.
    pub delay: Duration,
    /// The maximum delay, including jitter.
    pub max_delay: Duration,
    /// The factor by which each delay grows; at least 1.
    pub factor: f64,
    /// The random variation of a delay, as a fraction of it, 0 to 0.5.
    pub jitter: f64,
    /// Restarts allowed in a row; `None`: unlimited.
    pub max_attempts: Option<u32>,
    /// A run at least this long resets the count.
    pub window: Duration,
    /// How many starts there may be within a time; `None`: no limit.
    pub start_limit: Option<RateLimit>,
    /// Ends that never lead to a restart, regardless of `when`.
    pub never_on: Vec<ExitStatus>,
    /// Ends that always lead to a restart (within `max_attempts`), regardless of `when`.
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
            start_limit: None,
            never_on: Vec::new(),
            always_on: Vec::new(),
        }
    }
}

/// How much it weighs that something does not hold: a check, or a right that the container does not give.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Level {
    /// Nothing is started without it.
    #[default]
    Error,
    /// It is told.
    Warn,
}

words!(Level { "error" => Error, "warn" => Warn });

/// What happens to a service whose healthcheck has failed `retries` times in a row.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum OnUnhealthy {
    /// It is stopped, which counts as a failure; then its restart policy decides.
    #[default]
    Restart,
    /// Only a log line.
    Ignore,
    /// It is stopped for good, as a failure.
    Stop,
}

words!(OnUnhealthy { "restart" => Restart, "ignore" => Ignore, "stop" => Stop });

/// The timing of a healthcheck; the shell knows the probe itself.
#[derive(Clone, PartialEq, Debug)]
pub struct HealthRules {
    /// From the end of one probe to the start of the next.
    pub interval: Duration,
    /// A probe that takes longer is killed and counts as failed.
    pub timeout: Duration,
    /// Failures in a row that make the service unhealthy; at least 1.
    pub retries: u32,
    /// Failures within this time after the start do not count.
    pub start_period: Duration,
    /// Replaces `interval` until the first success, while failures do not count.
    pub start_interval: Duration,
    /// What happens after `retries` failures.
    pub on_unhealthy: OnUnhealthy,
}

/// How a service reports on itself (`notify`, `watchdog`, `pid_file`); a service without these has none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct ReadinessRules {
    /// Whether it says when it is ready. Until then no dependent starts, as with systemd's `Type=notify`.
    pub notifies: bool,
    /// Whether its main process is another one, to be found once the first has exited with code 0 (`pid_file`).
    pub forks: bool,
    /// How often it must say that it is alive, once it is ready.
    pub watchdog: Option<Duration>,
}

/// Which processes of a service a stop reaches (`kill_mode`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum KillMode {
    /// The stop signal goes to the first process only; when that has ended, TERM to the rest of its group; KILL to
    /// all.
    #[default]
    Mixed,
    /// The stop signal goes to the whole group at once.
    Group,
    /// Only the first process is ever signalled.
    Process,
    /// Like `Mixed`, and also processes that have left the group.
    All,
}

words!(KillMode { "mixed" => Mixed, "group" => Group, "process" => Process, "all" => All });

/// What becomes of a run that is due while the last one goes on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Overlap {
    /// It is skipped, and told.
    #[default]
    Skip,
    /// It starts when the last one is over.
    Queue,
}

words!(Overlap { "skip" => Skip, "queue" => Queue });

/// `schedule`: when a oneshot is started by the clock.
#[derive(Clone, PartialEq, Debug)]
pub struct Schedule {
    /// The line as it is written.
    pub line: Box<str>,
    /// What it says.
    pub cron: cron::CronLine,
    /// The name of the time zone, as it is written.
    pub zone_name: Box<str>,
    /// The time zone whose minutes count.
    pub zone: time_zone::TimeZone,
    /// What becomes of a run that is due while the last one goes on.
    pub overlap: Overlap,
    /// A run starts up to this much later, at random.
    pub jitter: Duration,
}

/// The settings of a service that the supervisor uses. What it runs, and as which user, is only known to the shell
/// ([`crate::config::Program`]).
#[derive(Clone, PartialEq, Debug)]
pub struct ServicePolicy {
    /// Daemon or oneshot.
    pub kind: ServiceType,
    /// Whether it starts by itself (`enabled`, `when_*`).
    pub enabled: bool,
    /// Whether the container stops when it ends for good.
    pub essential: bool,
    /// Its dependencies; in reverse order they apply to the stop.
    pub depends_on: Vec<Dependency>,
    /// When it is restarted.
    pub restart: RestartPolicy,
    /// Exit codes and signals that count as success, besides exit code 0.
    pub success: Vec<ExitStatus>,
    /// Whether it is started by the first connection to its sockets (`start = "on-demand"`).
    pub on_demand: bool,
    /// Time limit until it is ready (a oneshot: done).
    pub start_timeout: Option<Duration>,
    /// Time limit of a single run.
    pub run_timeout: Option<Duration>,
    /// The signal that asks it to stop.
    pub stop_signal: Signal,
    /// How long it may take to stop before it is killed.
    pub stop_grace: Duration,
    /// Which processes a stop reaches.
    pub kill_mode: KillMode,
    /// Its healthcheck, if it has one.
    pub health: Option<HealthRules>,
    /// How it reports on itself, if it does.
    pub readiness: Option<Box<ReadinessRules>>,
    /// A run this long is a successful start; before that it is not ready, and an end by itself is a failure.
    pub min_uptime: Duration,
    /// Its hooks, if it has any.
    pub hooks: Option<Box<HookTimeouts>>,
    /// When it is started by the clock, rather than with the container.
    pub schedule: Option<Box<Schedule>>,
    /// How a rolling restart restarts it.
    pub update: UpdateRules,
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
            on_demand: false,
            start_timeout: None,
            run_timeout: None,
            stop_signal: Signal::TERM,
            stop_grace: Duration::from_secs(10),
            kill_mode: KillMode::default(),
            health: None,
            readiness: None,
            min_uptime: Duration::ZERO,
            hooks: None,
            schedule: None,
            update: UpdateRules::default(),
        }
    }
}

/// What rinit does on a signal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SignalRule {
    /// Stop everything.
    Stop,
    /// Ignore it.
    Ignore,
    /// Read the configuration anew.
    Reload,
    /// Handle it as this other signal.
    As(Signal),
    /// Send `1` to service `0`.
    To(ServiceId, Signal),
}

/// What happens to the remaining processes when the COMMAND has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leftovers {
    /// They are asked to stop, waited for, and killed after a grace period.
    Stop,
    /// The COMMAND's process group gets this signal; no waiting (dumb-init).
    Tell(Signal),
    /// Nothing: the kernel kills them when PID 1 exits (tini, catatonit).
    Leave,
}

/// Settings of the container as a whole.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// The service that runs the COMMAND, if there is one.
    pub main: Option<ServiceId>,
    /// `[stop] within`: the time limit of a whole stop, from the request to rinit's exit.
    pub stop_within: Option<Duration>,
    /// `[stop] delay`: how long everything still serves after a stop request.
    pub stop_delay: Duration,
    /// How long leftover processes may take to stop, once every service is gone, before they are killed.
    pub sweep_grace: Duration,
    /// What happens to processes that the COMMAND leaves behind.
    pub leftovers: Leftovers,
    /// Signals with their own rule, from `[signals]`.
    pub signals: Vec<(Signal, SignalRule)>,
    /// Whether signals for the COMMAND go to its whole process group (`-g`).
    pub group_signals: bool,
    /// Whether TERM to a running COMMAND is a stop request, limited by its `stop_grace_period`. Without a
    /// configuration it is an ordinary signal, as with tini.
    pub term_stops_main: bool,
    /// `[restart]`: how many restarts of services there may be within a time; one more ends the container.
    pub restart_limit: Option<RateLimit>,
    /// `when_idle = "stay"`: do not exit when nothing is left to run.
    pub stay_when_idle: bool,
    /// Seed of the jitter.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            main: None,
            stop_within: None,
            stop_delay: Duration::ZERO,
            sweep_grace: Duration::from_secs(2),
            leftovers: Leftovers::Stop,
            signals: Vec::new(),
            group_signals: false,
            term_stops_main: false,
            restart_limit: None,
            stay_when_idle: false,
            seed: 1,
        }
    }
}
