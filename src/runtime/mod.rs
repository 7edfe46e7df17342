//! The event loop: wait, pass events to the supervisor, perform its actions.

mod actions;
mod control;
mod escaped;
mod exports;
mod fd_store;
mod foreground;
mod gates;
mod groups;
mod hooks;
mod http_helper;
mod last_lines;
mod loading;
mod main_pid;
mod merge;
mod notices;
mod notify;
mod originals;
mod probes;
pub mod reload;
mod rolling;
mod sockets;
mod wall_clock;

use crate::cli::{LogLevel, Persona};
use crate::config::RunnableService;
use crate::logs::Logs;
use crate::model::{ExitStatus, Moment, Pid, Restart, ServiceId, Signal};
use crate::received::{self, Received};
use crate::service::launcher::Starter;
use crate::supervisor::Supervisor;
use crate::supervisor::event::{Action, Event, Note};
use crate::sys::allocator;
use crate::sys::container::cgroup;
use crate::sys::event::poll::{Waiter, Wake};
use crate::sys::event::{clock, signals};
use crate::sys::process::reap::{self, Reaped};
use crate::sys::process::{kill, procfs};
use crate::sys::tty;
pub use control::Control;
use groups::GroupLooks;
pub use http_helper::HttpHelper;
use reload::ConfigReader;
use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::time::Duration;

/// All state of the event loop.
pub struct Runtime {
    /// Makes all decisions.
    pub core: Box<Supervisor>,
    /// The services, by id. A reload puts another list in its place.
    pub services: Rc<[RunnableService]>,
    /// Starts their processes. `'static`: a process that hangs while starting may read it indefinitely.
    pub starter: &'static Starter,
    /// The service that runs the COMMAND.
    pub main: Option<ServiceId>,
    /// Waits for signals, descriptors and timers.
    pub waiter: Waiter,
    /// Signals that are replaced by another or (`None`) dropped.
    pub rewrites: Vec<(Signal, Option<Signal>)>,
    /// Whether the COMMAND is the only service: then its end is not logged.
    pub alone: bool,
    /// Whether to warn about every reaped orphan.
    pub warn_on_reap: bool,
    /// The init that rinit stands in for.
    pub persona: Persona,
    /// Descriptors for the COMMAND only: closed once it has them.
    pub given: InheritedFds,
    /// The relay of the services' output, if a logging driver needs it.
    pub logs: Option<Box<Logs>>,
    /// The control socket, if there is a configuration.
    pub control: Option<Box<Control>>,
    /// The HTTP helper, if configured.
    pub http: Option<Box<HttpHelper>>,
    /// Reads the configuration once more, if there is one.
    pub reader: Option<Box<dyn ConfigReader>>,
}

/// The descriptors above 2 that rinit was given.
pub enum InheritedFds {
    /// These.
    Some(Vec<RawFd>),
    /// All of them: rinit has none of its own.
    All,
}

/// The result of the event loop.
pub struct RunResult {
    /// rinit's exit code.
    pub code: u8,
    /// The last failure, for the termination log.
    pub last_words: String,
}

impl Runtime {
    /// Runs until the supervisor halts. `kept` are signals that arrived before.
    pub fn run(self: Box<Self>, kept: Vec<Received>) -> RunResult {
        let mut turn = EventLoop {
            last: last_lines::LastWords::default(),
            events: VecDeque::from([Event::Begin]),
            actions: VecDeque::new(),
            decided: Vec::new(),
            dead: false,
            groups: GroupLooks::default(),
            sweeping: false,
            code: None,
            main_pid: None,
            sayings: VecDeque::new(),
            just_started: false,
            ended: None,
            short_of_memory: None,
            came: 0,
            told: Vec::new(),
            probes: Vec::new(),
            failures: Vec::new(),
            gates: Vec::new(),
            seen_files: Vec::new(),
            escaped: Vec::new(),
            loads: Vec::new(),
            env_files: Vec::new(),
            channels: Vec::new(),
            adopted: Vec::new(),
            followers: Vec::new(),
            socket_jobs: Vec::new(),
            stand_ins: Vec::new(),
            heard: None,
            wall_clock: None,
            reload: None,
            runtime: self,
        };
        turn.follow_wall_clock();
        for (signal, sender) in kept {
            turn.signal(signal, sender);
        }
        loop {
            let more = turn.work();
            if let Some(code) = turn.code {
                turn.end_logs();
                return RunResult { code, last_words: turn.last.words };
            }
            if !more && turn.short_of_memory.is_none() && !turn.runtime.alone {
                // Kills before the start are not news. Not worth a read for a single command.
                turn.short_of_memory = Some(cgroup::killed_for_memory());
            }
            turn.listen(more);
        }
    }
}

/// A deadline in the past: makes a wait just poll.
const AT_ONCE: Moment = Moment(0);

/// A wake-up that is late by more than this means that rinit was frozen or starved of CPU.
const MAX_WAKE_DELAY: Duration = Duration::from_millis(500);

/// How much work is done between two checks for signals, in units of about 10 to 50 µs.
const PORTION: u32 = 64;

/// A queue whose capacity exceeds this is freed once it is empty.
const MAX_QUEUE: usize = 64;

/// The cost of starting a process, in the units of [`PORTION`].
const START_COST: u32 = 8;

struct EventLoop {
    runtime: Box<Runtime>,
    /// The last signal received.
    heard: Option<Received>,
    /// Results of actions, to be passed to the supervisor.
    events: VecDeque<Event>,
    /// Actions that are not performed yet.
    actions: VecDeque<Action>,
    /// Output of one supervisor step. Empty between steps.
    decided: Vec<Action>,
    /// Whether there may be children to reap.
    dead: bool,
    groups: GroupLooks,
    sweeping: bool,
    code: Option<u8>,
    last: last_lines::LastWords,
    main_pid: Option<Pid>,
    /// The ended process that the supervisor is being told about.
    ended: Option<(Pid, ExitStatus)>,
    /// How many OOM kills were seen; `None`: not read yet.
    short_of_memory: Option<u64>,
    /// Bit set of signals received from outside: a process killed by one of them was meant to be.
    came: u64,
    /// Services already reported because their healthcheck program cannot be started.
    told: Vec<ServiceId>,
    probes: Vec<probes::RunningProbe>,
    /// Why probes failed, at most one per service.
    failures: Vec<probes::ProbeFailure>,
    /// Checks that are being judged before a start.
    gates: Vec<gates::RunningGate>,
    /// Files whose age is probed, at most one per service.
    seen_files: Vec<probes::SeenFile>,
    /// Processes that have left the groups of services with `kill_mode = "all"`.
    escaped: Vec<escaped::Escaped>,
    /// Processes that have not loaded their programs yet.
    loads: Vec<loading::LoadingStart>,
    /// Files to which running oneshots write variables.
    env_files: Vec<exports::OpenEnvFile>,
    /// Where services report on themselves.
    channels: Vec<notify::ReportChannel>,
    /// Main processes that rinit has not started as such.
    adopted: Vec<main_pid::AdoptedMain>,
    /// Helpers that look for one.
    followers: Vec<main_pid::Follower>,
    /// Helpers that look at sockets.
    socket_jobs: Vec<sockets::SocketJob>,
    /// Wakes the loop for services that are started by the clock, if there are any.
    wall_clock: Option<wall_clock::WallClock>,
    /// Slots of services that stand in for others.
    stand_ins: Vec<(ServiceId, ServiceId)>,
    sayings: VecDeque<DeferredLine>,
    /// Whether a process was started since the last line.
    just_started: bool,
    /// The reload that runs.
    reload: Option<reload::RunningReload>,
}

/// A line to be logged when all other work is done.
enum DeferredLine {
    Note(Note),
    Line(LogLevel, Option<ServiceId>, String),
}

impl EventLoop {
    /// Passes one event to the supervisor. Its actions are queued behind earlier ones.
    fn step(&mut self, event: Event) {
        self.runtime.core.step(clock::now(), event, &mut self.decided);
        self.actions.extend(self.decided.drain(..));
    }

    /// Works until nothing is left or one portion is used up, so that signals are heard regardless of load. Returns
    /// whether work is left.
    ///
    /// The order keeps the supervisor's contract: a child is reaped only when every action is performed and every
    /// result passed on. A signal may arrive between two actions; then the supervisor still counts a new process as
    /// being started.
    fn work(&mut self) -> bool {
        let mut left = PORTION;
        while left > 0 && self.code.is_none() {
            let cost = if let Some(action) = self.actions.pop_front() {
                self.act(action)
            } else if let Some(event) = self.events.pop_front() {
                self.step(event);
                1
            } else if let Some(saying) = self.sayings.pop_front() {
                // A new process may be waiting for this very CPU; lines, and what is looked up for them, can wait.
                if std::mem::take(&mut self.just_started) {
                    std::thread::yield_now();
                }
                self.utter(saying);
                1
            } else {
                self.ended = None;
                if self.dead {
                    self.reap();
                } else if !self.look_at_group() {
                    return false;
                }
                1
            };
            left = left.saturating_sub(cost);
        }
        if self.code.is_some() {
            // Nothing else to do: write the queued lines.
            while let Some(saying) = self.sayings.pop_front() {
                self.utter(saying);
            }
        }
        true
    }

    /// Waits, or polls if there is `more` to do: takes all pending signals and checks the timers.
    fn listen(&mut self, more: bool) {
        if !more {
            self.give_back();
        }
        self.follow_wall_clock();
        let owing = crate::output::retry_at();
        let relay = self.runtime.logs.as_ref().and_then(|logs| logs.deadline());
        let control = self.runtime.control.as_ref().and_then(|control| control.server.deadline(clock::now()));
        let core = self.runtime.core.deadline();
        let helper = self.helper_deadline();
        let moments = [
            core,
            self.groups.deadline(),
            self.next_look(),
            owing,
            relay,
            control,
            helper,
            self.last_lines_due(),
            self.reports_due(),
            self.socket_jobs_due(),
            self.wall_look(),
            self.reload_due(),
        ];
        let deadline = moments.into_iter().flatten().min();
        let mut until = if more { Some(AT_ONCE) } else { deadline };
        let awaited = until.filter(|moment| *moment > clock::now());
        let fds = self.descriptors();
        let mut wake = self.runtime.waiter.wait(until, &fds);
        if awaited.is_some_and(|moment| clock::now() > moment.after(MAX_WAKE_DELAY)) {
            self.step(Event::Resumed);
        }
        loop {
            match wake {
                Wake::Signal { signal: Signal::CHLD, .. } => {
                    self.original_received(Signal::CHLD);
                    self.dead = true;
                    break;
                }
                Wake::Signal { signal, sender } => {
                    self.signal(signal, sender);
                    until = Some(AT_ONCE);
                }
                Wake::Ready(fd) => {
                    self.ready(fd);
                    break;
                }
                Wake::Due => break,
            }
            wake = self.runtime.waiter.wait(until, &fds);
        }
        if deadline.is_some_and(|moment| clock::now() >= moment) {
            if owing.is_some_and(|moment| clock::now() >= moment) {
                crate::output::catch_up();
            }
            self.due();
        }
    }

    /// Frees queues that have grown in a burst of events.
    fn give_back(&mut self) {
        if self.actions.capacity() > MAX_QUEUE {
            self.actions = VecDeque::new();
            self.decided = Vec::new();
            self.events = VecDeque::new();
            self.sayings = VecDeque::new();
        }
        allocator::give_back_much();
    }

    /// A timer of the supervisor or of a periodic check is due.
    fn due(&mut self) {
        let now = clock::now();
        if let Some(logs) = &mut self.runtime.logs
            && logs.deadline().is_some_and(|moment| moment <= now)
        {
            logs.attend();
        }
        self.look_at_helper();
        self.give_up_socket_jobs();
        self.look_at_reload(false);
        if self.last_lines_due().is_some_and(|moment| moment <= now) {
            self.tell_last_lines(false);
        }
        if self.wall_look().is_some_and(|moment| moment <= now) {
            self.tell_wall_clock();
        }
        if self.groups.deadline().is_some_and(|moment| moment <= now) {
            self.groups.look(&self.runtime.core, clock::now);
        }
        // Otherwise the supervisor may not know these processes yet.
        if self.events.is_empty() && self.actions.is_empty() {
            self.look_at_loads();
        }
        if self.runtime.core.deadline().is_some_and(|moment| moment <= now) {
            self.step(Event::Tick);
        }
    }

    fn utter(&mut self, saying: DeferredLine) {
        match saying {
            DeferredLine::Note(note) => self.tell(note),
            DeferredLine::Line(level, service, text) => {
                self.say(level, service, &text);
                if level == LogLevel::Error {
                    self.last.start_failure = text;
                }
            }
        }
    }

    /// Reaps one child and tells the supervisor at once: its pid must not be used any more.
    fn reap(&mut self) {
        let verbose = self.is_talkative();
        // The name is only available before reaping.
        let dead = if verbose { reap::peek() } else { None };
        let name = dead.and_then(procfs::name);
        match reap::next() {
            Reaped::Ended(pid, outcome) => {
                self.original_reaped(pid, outcome);
                self.probe_ended(pid, outcome);
                self.gate_ended(pid);
                if verbose && !self.speaks_for_another() {
                    let name = name.unwrap_or_default();
                    self.say(LogLevel::Debug, None, &format!("reaped pid {pid} ({name}): {outcome}"));
                }
                let is_helper = self.helper_ended(pid) || self.reload_ended(pid, outcome);
                if self.load_ended(pid) || is_helper || self.follower_ended(pid) || self.socket_job_ended(pid)
                {
                    self.escaped.retain(|known| !known.is_of(pid));
                    return;
                }
                if !self.runtime.core.knows(pid) {
                    self.first_ended(pid);
                    self.count_orphan();
                    self.orphan(pid);
                    return;
                }
                if self.main_pid == Some(pid) && self.main_may_restart() {
                    tty::take_back(pid);
                }
                match self.runtime.core.service_of(pid) {
                    Some(service) => {
                        self.hear_before_the_end(service);
                        self.first_ended(pid);
                    }
                    // A probe: its background processes end with it.
                    None => kill::what_outlives(pid),
                }
                let group_left = self.is_left(pid);
                let outcome = self.take_env(pid, outcome);
                self.ended = Some((pid, outcome));
                let service = self.runtime.core.service_of(pid);
                self.step(Event::Exited { pid, outcome, group_left });
                if let Some(service) = service {
                    self.look_at_sockets(service);
                    if let Some(logs) = &mut self.runtime.logs
                        && !self.runtime.core.is_following(service)
                    {
                        logs.run_ended(service);
                    }
                }
            }
            Reaped::Stopped(pid, signal) => self.stopped(pid, signal),
            Reaped::NoneReady => self.all_reaped(true),
            Reaped::NoChildren => {
                self.all_reaped(false);
                if self.sweeping {
                    self.step(Event::Childless);
                }
            }
        }
    }

    fn all_reaped(&mut self, any_left: bool) {
        self.original_reaped_all(any_left);
        self.dead = false;
        self.look_at_socket();
        if !self.env_files.is_empty() {
            self.look_at_env_files();
        }
        self.groups.look(&self.runtime.core, clock::now);
    }

    /// Returns whether the COMMAND may be restarted: then its inherited descriptors are kept.
    fn main_may_restart(&self) -> bool {
        let runtime = &self.runtime;
        runtime.main.is_some_and(|main| runtime.core.rules(main).restart.when != Restart::No)
    }

    fn signal(&mut self, came: Signal, sender: Option<Pid>) {
        // dumb-init handles terminal signals on behalf of its group.
        if received::is_own((came, sender))
            && !(self.runtime.persona == Persona::DumbInit && sender.is_none())
        {
            return;
        }
        self.came |= 1_u64.checked_shl(u32::from(came.number())).unwrap_or(0);
        let signal = received::rewritten(&self.runtime.rewrites, came);
        if self.speaks_for_another() {
            self.original_received(came);
            self.original_forwarded(came);
        } else if crate::output::is_verbose() {
            let from = received::sender((came, sender));
            let dropped = if signal.is_none() { "; it is dropped" } else { "" };
            self.say(LogLevel::Debug, None, &format!("{came} came {from}{dropped}"));
        }
        if let Some(signal) = signal {
            // CONT follows a stop request (timeout(1) sends both) and is not one itself.
            if came != Signal::CONT {
                self.heard = Some((came, sender));
            }
            self.take(signal);
        }
        // dumb-init stops together with its child, for the shell's job control.
        if self.runtime.persona == Persona::DumbInit
            && [Signal::TSTP, Signal::TTIN, Signal::TTOU].contains(&came)
        {
            signals::stop_self();
        }
    }

    /// Returns whether a signal came from outside, and so may have been forwarded.
    fn has_come(&self, signal: Signal) -> bool {
        1_u64.checked_shl(u32::from(signal.number())).is_none_or(|bit| self.came & bit != 0)
    }

    /// Forwards a plain signal at once: its handler may be waiting for this very CPU.
    fn take(&mut self, signal: Signal) {
        match self.runtime.core.passes_on(signal) {
            Some((pid, group)) if !tracing::enabled!(tracing::Level::DEBUG) => {
                if group {
                    self.signal_groups(pid, &[signal]);
                } else {
                    let _ = kill::process(pid, &[signal]);
                }
            }
            _ => {
                self.look_before_a_signal();
                self.step(Event::Signal(signal));
            }
        }
    }
}
