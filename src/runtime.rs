//! The loop: wait, tell the supervisor what happened, do what it answers.

mod acting;
mod escaped;
mod originals;
mod telling;

use crate::cli::{LogLevel, Persona};
use crate::config::Service;
use crate::model::{Outcome, Pid, Restart, ServiceId, Signal};
use crate::starter::Starter;
use crate::supervisor::Supervisor;
use crate::supervisor::event::{Action, Event, Note};
use crate::sys::reap::{self, Reaped};
use crate::sys::wait::{Waiter, Wake};
use crate::sys::{kill, procs, signals, time, tty};
use std::collections::VecDeque;
use std::os::fd::RawFd;

/// Everything that the loop works with.
pub struct Runtime {
    /// Decides.
    pub core: Supervisor,
    /// What the services are, by their ids.
    pub services: Vec<Service>,
    /// Makes their processes.
    pub starter: Starter,
    /// The service that the COMMAND is.
    pub main: Option<ServiceId>,
    /// Waits.
    pub waiter: Waiter,
    /// Signals that are taken for another, or (`None`) dropped.
    pub rewrites: Vec<(Signal, Option<Signal>)>,
    /// Whether the COMMAND is all there is: then its end is not news.
    pub alone: bool,
    /// Whether each orphan that is reaped is told as a warning.
    pub warn_on_reap: bool,
    /// Whose manners rinit has.
    pub persona: Persona,
    /// Descriptors that are the COMMAND's and not rinit's: closed once it has them.
    pub given: Given,
}

/// The descriptors above 2 that rinit was given.
pub enum Given {
    /// These.
    Some(Vec<RawFd>),
    /// All there are: rinit has none of its own.
    All,
}

/// How the loop ended.
pub struct Ending {
    /// rinit's exit code.
    pub code: u8,
    /// What failed last, for the termination log.
    pub last_words: String,
}

impl Runtime {
    /// Runs until the supervisor says that it is over.
    pub fn run(self: Box<Self>) -> Ending {
        let mut turn = Turn {
            last_words: String::new(),
            events: VecDeque::new(),
            actions: Vec::new(),
            sweeping: false,
            code: None,
            main_pid: None,
            sayings: VecDeque::new(),
            ended: None,
            short_of_memory: 0,
            came: 0,
            told: Vec::new(),
            escaped: Vec::new(),
            runtime: self,
        };
        turn.feed(Event::Begin);
        loop {
            if let Some(code) = turn.code {
                return Ending { code, last_words: turn.last_words };
            }
            let mut until = turn.runtime.core.deadline();
            let is_owing = crate::say::is_owing();
            if is_owing {
                let again = time::now().after(crate::say::RETRY_INTERVAL);
                until = Some(until.map_or(again, |until| until.min(again)));
            }
            match turn.runtime.waiter.wait(until, &[]) {
                Wake::Signal { signal: Signal::CHLD, .. } => turn.reap(),
                Wake::Signal { signal, sender } => turn.signal(signal, sender),
                Wake::Due => {
                    if is_owing {
                        crate::say::catch_up();
                    }
                    turn.feed(Event::Tick);
                }
                Wake::Readable(_) => {}
            }
        }
    }
}

struct Turn {
    runtime: Box<Runtime>,
    events: VecDeque<Event>,
    actions: Vec<Action>,
    sweeping: bool,
    code: Option<u8>,
    last_words: String,
    main_pid: Option<Pid>,
    /// The process whose end is being told to the supervisor.
    ended: Option<(Pid, Outcome)>,
    /// How many kills for want of memory have been seen.
    short_of_memory: u64,
    /// Signals that came from outside, a bit for each: who is ended by one of them was meant to be.
    came: u64,
    /// Services whose healthcheck has no program, which has been told.
    told: Vec<ServiceId>,
    /// What has left the groups of services with `kill_mode = "all"`.
    escaped: Vec<escaped::Escaped>,
    sayings: VecDeque<Saying>,
}

/// Something to be said when all is done.
enum Saying {
    Note(Note),
    Line(LogLevel, Option<ServiceId>, String),
}

impl Turn {
    /// Tells the supervisor one event, does what it asks, and tells it what came of that.
    fn feed(&mut self, event: Event) {
        self.events.push_back(event);
        while let Some(event) = self.events.pop_front() {
            let mut actions = std::mem::take(&mut self.actions);
            self.runtime.core.step(time::now(), event, &mut actions);
            for action in actions.drain(..) {
                self.act(action);
            }
            self.actions = actions;
        }
        while let Some(saying) = self.sayings.pop_front() {
            match saying {
                Saying::Note(note) => self.tell(note),
                Saying::Line(level, service, text) => self.say(level, service, &text),
            }
        }
    }

    fn reap(&mut self) {
        let verbose = self.is_talkative();
        self.original_received(Signal::CHLD);
        loop {
            // A name is to be had only before.
            let dead = if verbose { reap::peek() } else { None };
            let name = dead.and_then(procs::name);
            match reap::next() {
                Reaped::Ended(pid, outcome) => {
                    self.original_reaped(pid, outcome);
                    if verbose && !self.speaks_for_another() {
                        let name = name.unwrap_or_default();
                        self.say(LogLevel::Debug, None, &format!("reaped pid {pid} ({name}): {outcome}"));
                    }
                    if !self.runtime.core.knows(pid) {
                        self.orphan(pid);
                        continue;
                    }
                    if self.main_pid == Some(pid) && self.main_may_restart() {
                        tty::take_back(pid);
                    }
                    let group_left = self.is_left(pid);
                    self.ended = Some((pid, outcome));
                    self.feed(Event::Exited { pid, outcome, group_left });
                    self.ended = None;
                }
                Reaped::Stopped(pid, signal) => self.stopped(pid, signal),
                Reaped::NoneReady => {
                    self.original_reaped_all(true);
                    break;
                }
                Reaped::NoChildren => {
                    self.original_reaped_all(false);
                    if self.sweeping {
                        self.feed(Event::Childless);
                    }
                    break;
                }
            }
        }
        let lingering: Vec<(ServiceId, Pid)> = self.runtime.core.lingering().collect();
        for (service, leader) in lingering {
            if !self.is_left(leader) {
                self.feed(Event::GroupGone { service });
            }
        }
    }

    /// Whether the COMMAND may be started again: then what it was given is kept for its next run.
    fn main_may_restart(&self) -> bool {
        let runtime = &self.runtime;
        runtime.main.is_some_and(|main| runtime.core.rules(main).restart.when != Restart::No)
    }

    /// A child was stopped. That matters when it is the COMMAND in a terminal: a shell above rinit is to take over;
    /// where there is none, nobody could continue it.
    fn stopped(&self, pid: Pid, signal: Signal) {
        if self.main_pid != Some(pid) {
            return;
        }
        match (crate::sys::pid(), signal) {
            (1, Signal::TSTP) => tty::undo_stop(pid),
            (1, _) => {}
            (_, Signal::TSTP | Signal::TTIN | Signal::TTOU | Signal::STOP) => tty::stop_with(pid),
            (_, _) => {}
        }
    }

    fn signal(&mut self, came: Signal, sender: Option<Pid>) {
        // The kernel's answer to a line of rinit's own that nobody reads.
        if came == Signal::PIPE && sender == Some(crate::sys::pid()) {
            return;
        }
        self.came |= 1_u64.checked_shl(u32::from(came.number())).unwrap_or(0);
        let taken = self.runtime.rewrites.iter().find(|(from, _)| *from == came);
        let signal = taken.map_or(Some(came), |(_, to)| *to);
        if self.speaks_for_another() {
            self.original_received(came);
            self.original_forwarded(came);
        } else if crate::say::is_verbose() {
            let from = match sender {
                None => "from the kernel".into(),
                Some(0) => "from outside the container".into(),
                Some(pid) => format!("from pid {pid} ({})", procs::name(pid).unwrap_or_default()),
            };
            let dropped = if signal.is_none() { "; it is dropped" } else { "" };
            self.say(LogLevel::Debug, None, &format!("{came} came {from}{dropped}"));
        }
        if let Some(signal) = signal {
            self.take(signal);
        }
        // dumb-init stops with its child, for the shell whose job it is.
        if self.runtime.persona == Persona::DumbInit
            && [Signal::TSTP, Signal::TTIN, Signal::TTOU].contains(&came)
        {
            signals::stop_self();
        }
    }

    /// Whether a signal came from outside, and so may have been passed on.
    fn has_come(&self, signal: Signal) -> bool {
        1_u64.checked_shl(u32::from(signal.number())).is_none_or(|bit| self.came & bit != 0)
    }

    /// What is only passed on is passed on at once: its handler waits, maybe for this very processor.
    fn take(&mut self, signal: Signal) {
        match self.runtime.core.passes_on(signal) {
            Some((pid, group)) if !tracing::enabled!(tracing::Level::DEBUG) => {
                let _ = if group { kill::group(pid, &[signal]) } else { kill::process(pid, &[signal]) };
            }
            _ => self.feed(Event::Signal(signal)),
        }
    }
}
