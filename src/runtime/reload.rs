//! A reload of the configuration, in two phases. A helper process reads and resolves it, for files may be on a file
//! system that hangs; PID 1 resolves once more what the helper has seen, without a look at any file, and puts it in
//! place. What is wrong is refused as a whole.

use super::EventLoop;
use super::merge::{Merged, merge};
use crate::cli::LogLevel;
use crate::config::Plan;
use crate::config::source::files::Files;
use crate::config::source::key_places::KeyPlaces;
use crate::logs::Logs;
use crate::model::environ::Environ;
use crate::model::{ExitStatus, Moment, Pid, ServiceId, Signal};
use crate::supervisor::event::{ControlOrder, Event, Note};
use crate::sys::event::clock;
use crate::sys::process::{fork, kill};
use crate::sys::stdio;
use crate::text::gather::Gather;
use crate::text::redact;
use crate::text::template::fill;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::rc::Rc;
use std::time::Duration;

/// How long the files may take to be read.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads the configuration once more.
pub trait ConfigReader {
    /// Reads and resolves it; this may block. Also returns all that was seen. The error is a line for each fault.
    fn read(&self, environ: &Environ) -> (Result<NewSet, Vec<String>>, Vec<u8>);
    /// Resolves what was seen, and blocks never.
    fn replay(&self, tape: Vec<u8>, environ: &Environ) -> Result<NewSet, Vec<String>>;
}

/// The configuration as it is now.
pub struct NewSet {
    /// What is to be run.
    pub plan: Plan,
    /// The files.
    pub files: Files,
}

/// A helper that reads.
pub(super) struct RunningReload {
    pid: Pid,
    pipe: OwnedFd,
    bytes: Vec<u8>,
    /// Whether only what would change is asked for.
    dry_run: bool,
    /// When it is killed.
    until: Option<Moment>,
}

/// What the helper sends: the first byte of its output.
const FAULTS: u8 = b'f';
const LINES: u8 = b'l';
const TAPE: u8 = b't';

impl EventLoop {
    /// Somebody asks for a reload.
    pub(super) fn ask_reload(&mut self, dry_run: bool) {
        let Some(control) = &mut self.runtime.control else { return };
        control.journal.reloads.ask(dry_run);
        self.begin_reload();
    }

    fn begin_reload(&mut self) {
        let Some(control) = &mut self.runtime.control else { return };
        let Some(dry_run) = control.journal.reloads.begin() else { return };
        if !self.runtime.core.is_replaceable() {
            return self.end_reload(dry_run, Err(vec!["the container stops".into()]));
        }
        match self.start_reader(dry_run) {
            Ok((pid, pipe)) => {
                let until = Some(clock::now().after(READ_TIMEOUT));
                self.reload = Some(RunningReload { pid, pipe, bytes: Vec::new(), dry_run, until });
            }
            Err(why) => self.end_reload(dry_run, Err(vec![why])),
        }
    }

    fn start_reader(&self, dry_run: bool) -> Result<(Pid, OwnedFd), String> {
        let no_process =
            |errno| fill!("no process to read the configuration: {}", crate::sys::describe(errno));
        let starter = self.runtime.starter;
        let (Some(reader), Some(environ)) = (&self.runtime.reader, &starter.environ) else {
            return Err("there is no configuration".into());
        };
        let (read, write) = fork::pipe().map_err(no_process)?;
        let job = || {
            // As at the start: names of files may be relative.
            if let Some(directory) = &starter.directory {
                let _ = crate::sys::change_directory(directory);
            }
            let (result, tape) = reader.read(environ);
            let (kind, bytes) = match result.and_then(|new| self.merged(new.plan).map_err(|why| vec![why])) {
                Err(faults) => (FAULTS, faults.join("\n").into_bytes()),
                Ok(merged) if dry_run => (LINES, merged.lines.join("\n").into_bytes()),
                Ok(_) => (TAPE, tape),
            };
            u8::from(!stdio::write_all(write.as_raw_fd(), &[&[kind][..], &bytes].concat()))
        };
        let pid = fork::fork(&starter.ignored, job).map_err(no_process)?;
        Ok((pid, read))
    }

    fn merged(&self, plan: Plan) -> Result<Merged, String> {
        let runtime = &self.runtime;
        let is_free = |id: ServiceId| {
            let control = runtime.control.as_ref();
            let is_told = self.sayings.is_empty() && control.is_none_or(|control| !control.journal.names(id));
            is_told && !self.env_files.iter().any(|file| file.is_of(id))
        };
        merge(&runtime.core, &runtime.services, plan, &is_free)
    }

    /// Returns the helper's pipe.
    pub(super) fn reload_pipe(&self) -> Option<RawFd> {
        self.reload.as_ref().map(|reload| reload.pipe.as_raw_fd())
    }

    /// Returns when the helper has had its time.
    pub(super) fn reload_due(&self) -> Option<Moment> {
        self.reload.as_ref().and_then(|reload| reload.until)
    }

    /// Reads what the helper has written, if this descriptor is its pipe.
    pub(super) fn reload_says(&mut self, fd: RawFd) -> bool {
        let Some(reload) = self.reload.as_mut().filter(|reload| reload.pipe.as_raw_fd() == fd) else {
            return false;
        };
        let before = reload.bytes.len();
        fork::read_rest(fd, &mut reload.bytes);
        if before == reload.bytes.len() {
            // It has closed the pipe, and is about to end.
            self.dead = true;
        }
        true
    }

    /// Kills the helper when its time is over, or (`now`) the container ends.
    pub(super) fn look_at_reload(&mut self, now: bool) {
        if let Some(reload) = &mut self.reload
            && (now || reload.until.is_some_and(|until| until <= clock::now()))
        {
            reload.until = None;
            let _ = kill::process(reload.pid, &[Signal::KILL]);
        }
    }

    /// A process has ended; returns whether it was the helper.
    pub(super) fn reload_ended(&mut self, pid: Pid, outcome: ExitStatus) -> bool {
        let Some(mut reload) = self.reload.take_if(|reload| reload.pid == pid) else { return false };
        fork::read_rest(reload.pipe.as_raw_fd(), &mut reload.bytes);
        let lines = |text: &[u8]| -> Vec<String> {
            String::from_utf8_lossy(text).lines().map(|line| redact::hide(line.to_string())).gather()
        };
        let result = match reload.bytes.split_first() {
            _ if reload.until.is_none() && outcome == ExitStatus::Signal(Signal::KILL) => {
                let bound = READ_TIMEOUT.as_secs().to_string();
                Err(vec![fill!("not read within {}s: a file system does not answer", &bound)])
            }
            Some((&FAULTS, text)) => Err(lines(text)),
            Some((&LINES, text)) if reload.dry_run => Ok(lines(text)),
            Some((&TAPE, tape)) if outcome == ExitStatus::Code(0) => self.commit(tape.to_vec()),
            _ => Err(vec![format!("the process that reads the configuration {outcome}")]),
        };
        self.end_reload(reload.dry_run, result);
        true
    }

    /// Puts what the helper has read in place.
    fn commit(&mut self, tape: Vec<u8>) -> Result<Vec<String>, Vec<String>> {
        if !self.runtime.core.is_replaceable() {
            return Err(vec!["the container stops".into()]);
        }
        let (Some(reader), Some(environ)) = (&self.runtime.reader, &self.runtime.starter.environ) else {
            return Err(Vec::new());
        };
        let NewSet { plan, files } = reader.replay(tape, environ)?;
        let merged = self.merged(plan).map_err(|why| vec![why])?;
        let Merged { slots, services, whole, added, signalled, lines } = merged;
        let runtime = &mut self.runtime;
        if let Some(places) = &runtime.starter.places {
            places.replace(KeyPlaces::new(&files, services.iter().map(|service| service.name.as_str())));
        }
        drop(files);
        if let Some(control) = &mut runtime.control {
            control.journal.resize(services.len(), &added);
        }
        runtime.services = Rc::from(services);
        runtime.alone = false;
        match &mut runtime.logs {
            Some(logs) => logs.replace(&runtime.services, &added),
            None => runtime.logs = Logs::new(&runtime.services),
        }
        self.told.clear();
        runtime.core.set_settings(whole);
        runtime.core.replace(clock::now(), slots, &mut self.decided);
        self.actions.extend(self.decided.drain(..));
        let order = |(service, signal)| Event::Order { service, order: ControlOrder::Signal(signal) };
        self.events.extend(signalled.into_iter().map(order));
        Ok(lines)
    }

    /// Tells what came of a reload, and begins the next one.
    fn end_reload(&mut self, dry_run: bool, result: Result<Vec<String>, Vec<String>>) {
        let ok = result.is_ok();
        match &result {
            _ if dry_run => {}
            Ok(lines) => {
                let all = lines.last().map_or("", String::as_str);
                self.say(LogLevel::Info, None, &fill!("the configuration was reloaded: {}", all));
            }
            Err(faults) => {
                for fault in faults {
                    self.say(LogLevel::Error, None, fault);
                }
                self.say(LogLevel::Error, None, "not reloaded; what runs goes on as it was");
            }
        }
        if !dry_run {
            self.write_down(Note::ConfigReloaded { ok });
        }
        if let Some(control) = &mut self.runtime.control {
            control.journal.reloads.end(ok, result.unwrap_or_else(|faults| faults));
        }
        self.begin_reload();
    }
}
