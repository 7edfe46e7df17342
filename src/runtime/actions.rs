//! Performs the supervisor's actions: starts processes and probes, sends signals, sweeps.

use super::probes::{self, RunningProbe};
use super::{DeferredLine, EventLoop, InheritedFds, START_COST};
use crate::checks;
use crate::cli::{LogLevel, Persona};
use crate::config::{CheckProbe, ProbeSpec, RunnableService};
use crate::diagnosis;
use crate::model::{Pid, ServiceId, Signal};
use crate::service::extras::StartExtras;
use crate::service::launcher::{Role, StartFailure, Started};
use crate::supervisor::event::{Action, Event, Next, Note};
use crate::sys::process::{fork, kill, reap};
use crate::sys::{args, stdio};
use crate::text::redact;
use crate::text::template::fill;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::rc::Rc;

impl EventLoop {
    /// Performs one action; returns its cost in units of a portion.
    pub(super) fn act(&mut self, action: Action) -> u32 {
        match action {
            // A service without a process yet does not need one once the stop has begun.
            Action::Spawn { service } if self.is_skipped(service) => {
                self.events.push_back(Event::SpawnSkipped { service });
            }
            Action::Probe { service } if self.runtime.core.is_stopping() => {
                self.events.push_back(Event::ProbeFailed { service });
            }
            Action::Spawn { service } if self.awaits_sockets(service) => return START_COST,
            Action::Spawn { service } => {
                self.spawn(service);
                return START_COST;
            }
            Action::Probe { service } if self.probe_log(service) => {}
            Action::Probe { service } => {
                self.probe(service);
                return START_COST;
            }
            Action::FollowFork { service, pid } => {
                self.follow(service, pid);
            }
            Action::Hook { service, hook, outcome } => {
                self.hook(service, hook, outcome);
                return START_COST;
            }
            Action::StandIn { service, slot } => self.stand_in(service, slot),
            Action::Signal { pid, group, signal, wake } => self.send(pid, group, signal, wake),
            // It may not lead its group yet.
            Action::KillProbe { pid } | Action::KillStart { pid } | Action::KillHook { pid } => {
                self.probe_killed(pid);
                let _ = kill::group(pid, &[Signal::KILL]);
                let _ = kill::process(pid, &[Signal::KILL]);
            }
            Action::Survey { pid } => _ = self.survey(pid),
            Action::SignalEscaped { pid, signal, wake } => {
                let signals: &[Signal] = if wake { &[signal, Signal::CONT] } else { &[signal] };
                self.signal_escaped(pid, signals);
            }
            Action::Sweep { signal } => self.sweep(signal),
            Action::Reload => self.ask_reload(false),
            Action::Halt { code } => {
                self.code = Some(code);
                self.remove_cgroups();
                self.close_socket();
            }
            Action::Tell(note) => {
                self.drop_stored(note);
                if let Note::Removed { service } = note {
                    self.dismiss(service);
                }
                self.write_down(note);
                self.settle_sockets(note);
                self.tell_in_time(note);
            }
        }
        1
    }

    pub(super) fn is_skipped(&self, service: ServiceId) -> bool {
        self.runtime.core.is_stopping() && self.runtime.main != Some(service)
    }

    fn send(&mut self, pid: Pid, group: bool, signal: Signal, wake: bool) {
        self.left_behind(pid);
        // The leader was reaped, so its pid may already belong to another process.
        if group && !self.runtime.core.knows(pid) && !self.any_group_outlives(pid) {
            let of = self.runtime.core.lingering().find(|(_, leader)| *leader == pid);
            if let Some((service, _)) = of
                && !self.is_left(pid)
            {
                self.events.push_back(Event::GroupGone { service });
            }
            return;
        }
        let signals: &[Signal] = if wake { &[signal, Signal::CONT] } else { &[signal] };
        // ESRCH: it has just ended and will be reaped.
        if group {
            self.signal_groups(pid, signals);
        } else {
            let _ = kill::process(pid, signals);
        }
    }

    /// Reports a note now, while /proc still shows what it is about; but a restart does not wait for that.
    fn tell_in_time(&mut self, note: Note) {
        match note {
            Note::Ended { next: Next::Restarting { delay, .. }, .. } => {
                if delay.is_zero() {
                    self.events.push_back(Event::Tick); // due in this moment
                }
                self.sayings.push_back(DeferredLine::Note(note));
            }
            note if self.sayings.is_empty() => self.tell(note),
            // After the lines that are already queued.
            note => self.sayings.push_back(DeferredLine::Note(note)),
        }
    }

    pub(super) fn spawn(&mut self, service: ServiceId) {
        let services = self.services();
        let Some(RunnableService { program, .. }) = services.get(service.index()) else { return };
        let role = if self.runtime.main == Some(service) { Role::Main } else { Role::Service };
        let writer = self.stands_for(service);
        let outputs = self.runtime.logs.as_mut().and_then(|logs| logs.outputs(writer));
        let (mut env_file, mut extras) = (None, StartExtras::default());
        let opened = program.notify.as_deref().map_or(Ok(()), |settings| {
            self.forget_main(service);
            self.open_channel(service, settings, &mut extras)
        });
        let (fence, cgroup) = self.fence(service);
        let starter = self.runtime.starter;
        let started = match opened {
            Ok(()) => starter.start(program, role, outputs, &mut env_file, fence, &mut extras),
            Err(errno) => Err(StartFailure::no_channel(errno)),
        };
        if let Ok(started) = &started {
            self.keep_fence(started.pid(), service, cgroup);
        }
        if program.notify.is_some() {
            self.set_reporter(service, extras.uid);
        }
        if program.export_env.is_some() {
            self.keep_env_file(service, env_file.filter(|_| started.is_ok()));
        }
        self.started(service, started);
    }

    /// Handles the result of a start.
    pub(super) fn started(&mut self, service: ServiceId, started: Result<Started<'static>, StartFailure>) {
        let is_main = self.runtime.main == Some(service);
        let services = self.services();
        let Some(RunnableService { program, .. }) = services.get(service.index()) else { return };
        if let (Some(logs), Ok(started)) = (&mut self.runtime.logs, &started) {
            logs.run_started(service, started.pid());
        }
        if program.notify.is_some() && !matches!(started, Ok(Started::Loading(_))) {
            self.hand_over_channel(service);
        }
        match started {
            Ok(Started::Running(pid)) => {
                self.just_started = true;
                if is_main {
                    self.main_pid = Some(pid);
                    self.original_spawned(program, pid);
                    self.let_go();
                }
                self.events.push_back(Event::Spawned { service, pid });
            }
            Ok(Started::Loading(loading)) => {
                let pid = loading.pid();
                if is_main {
                    self.main_pid = Some(pid);
                }
                self.load(loading, Some(service));
                self.events.push_back(Event::Starting { service, pid });
            }
            Err(StartFailure { lasting, mut code, mut why, error, key }) => {
                let persona = self.runtime.persona;
                if let Some(error) = error.filter(|_| persona != Persona::Rinit) {
                    let word =
                        program.argv.first().map_or_else(Default::default, |word| word.to_string_lossy());
                    (code, why) = diagnosis::as_said_by(persona, error, &word);
                }
                why.push_str(&self.runtime.starter.place_of(service, key));
                self.say_later(LogLevel::Error, Some(service).filter(|_| !is_main), why);
                self.events.push_back(Event::SpawnFailed { service, lasting, code });
            }
        }
    }

    /// Returns the services as they are now.
    pub(super) fn services(&self) -> Rc<[RunnableService]> {
        Rc::clone(&self.runtime.services)
    }

    pub(super) fn say_later(&mut self, level: LogLevel, service: Option<ServiceId>, text: String) {
        self.sayings.push_back(DeferredLine::Line(level, service, text));
    }

    /// The COMMAND has its descriptors: moves to `/` and closes rinit's copies, so that rinit keeps nothing busy.
    /// Keeps them open if a next run may need them (LISTEN_FDS).
    fn let_go(&mut self) {
        crate::sys::sit_in_root();
        if self.main_may_restart() {
            return;
        }
        match &mut self.runtime.given {
            InheritedFds::Some(fds) => stdio::close(&std::mem::take(fds)),
            InheritedFds::All => stdio::close_above_stderr(),
        }
    }

    fn probe(&mut self, service: ServiceId) {
        let services = self.services();
        let Some(found) = services.get(service.index()) else { return };
        let timeout = self.probe_timeout(service);
        let is_check = matches!(found.program.probe, Some(ProbeSpec::Check(_)));
        let started = match &found.program.probe {
            Some(ProbeSpec::Check(check)) => self.judge(service, check),
            _ => self.runtime.starter.probe(&found.program, timeout),
        };
        match started {
            Ok((started, output)) => {
                let pid = started.pid();
                self.probes.push(RunningProbe::new(service, pid, output, is_check));
                self.events.push_back(Event::ProbeSpawned { service, pid });
                if let Started::Loading(loading) = started {
                    self.load(loading, None);
                }
            }
            Err(failure) => {
                if !self.told.contains(&service) {
                    let never = if failure.lasting { "; as it is, it can never pass" } else { "" };
                    let text = fill!("healthcheck: {}{}", failure.why, never);
                    self.say_later(LogLevel::Warn, Some(service), text);
                    // Warn once per service: every probe would repeat it.
                    if failure.lasting {
                        self.told.push(service);
                    }
                }
                self.events.push_back(Event::ProbeFailed { service });
            }
        }
    }

    /// Starts a process that evaluates a check; returns the pipe with its result.
    fn judge(
        &self,
        service: ServiceId,
        check: &CheckProbe,
    ) -> Result<(Started<'static>, Option<OwnedFd>), StartFailure> {
        let (read, write) = fork::pipe().ok().unzip();
        let starter = self.runtime.starter;
        let mut touched = self.touched_by(service);
        let job = || {
            let environ = starter.environ.clone().unwrap_or_else(args::environment);
            let judged = checks::probe::judge(check, environ, &mut touched);
            if let Some(write) = &write {
                let mut text = touched.map_or_else(String::new, probes::show_touched);
                if let Err(why) = &judged {
                    text.push_str(&redact::hide(why.clone()));
                }
                stdio::write_all(write.as_raw_fd(), text.as_bytes());
            }
            u8::from(judged.is_err())
        };
        fork::fork(&starter.ignored, job)
            .map(|pid| (Started::Running(pid), read))
            .map_err(StartFailure::no_probe)
    }

    pub(super) fn sweep(&mut self, signal: Signal) {
        self.look_at_reload(true);
        if self.end_helper(signal) {
            return;
        }
        self.sweeping = true;
        if reap::any_child() {
            self.sayings.push_back(DeferredLine::Note(Note::Sweeping { signal }));
            if let Some(logs) = self.runtime.logs.as_mut().filter(|_| signal == Signal::KILL) {
                logs.hold();
            }
            kill::everything(signal);
        } else {
            self.events.push_back(Event::Childless);
        }
    }
}
