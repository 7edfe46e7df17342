//! One hook: started, followed, its lines passed on, its end judged.

use super::HookFailure;
use crate::cli::LogLevel;
use crate::config::{HookRules, Program, ProgramSettings};
use crate::exit_code;
use crate::model::{ExitStatus, Moment, Pid, Signal};
use crate::output;
use crate::service::exports::EnvFile;
use crate::service::extras::StartExtras;
use crate::service::launcher::{Role, Started, Starter};
use crate::sys::event::clock;
use crate::sys::event::poll::{PollInterest, Waiter, Wake};
use crate::sys::process::reap::{self, Reaped};
use crate::sys::process::{fork, kill, procfs};
use crate::sys::{stdio, write};
use crate::text::escape::{bytes_as_text, on_one_line, text_as_bytes};
use crate::text::gather::Gather;
use crate::text::redact;
use crate::text::template::fill;
use crate::text::units::show_duration;
use std::collections::VecDeque;
use std::ffi::CString;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::time::Duration;

/// After this long it is told which hook takes its time.
const TELL_AFTER: Duration = Duration::from_secs(10);
/// How long one that was killed is waited for.
const KILL_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a start that does not come to its program is let alone between two looks.
const LOAD_LOOK: Duration = Duration::from_millis(10);
/// A longer line is cut.
const MAX_LINE: usize = 16 * 1024;
/// As much as is told of what a hook said last.
const MAX_LAST_LINES: usize = 3;

/// What all hooks of a run have in common.
pub struct HookProcess {
    starter: Starter,
    waiter: Waiter,
    /// Variables that hooks have handed on.
    pub exported: Vec<(String, String)>,
    /// Who was left behind, and told.
    left: Vec<Pid>,
}

/// A hook that runs.
struct RunningHook<'h> {
    name: &'h str,
    pid: Pid,
    streams: [Stream; 2],
    last_lines: VecDeque<String>,
    outcome: Option<ExitStatus>,
    killed: bool,
    asked: Option<Signal>,
    deadline: Option<Moment>,
}

/// One of its outputs.
struct Stream {
    pipe: Option<OwnedFd>,
    to: RawFd,
    line: Vec<u8>,
}

impl HookProcess {
    pub fn new(starter: Starter) -> Self {
        Self { starter, waiter: Waiter::default(), exported: Vec::new(), left: Vec::new() }
    }

    /// Runs one to its end.
    pub fn run(&mut self, name: &str, words: &[String], rules: &HookRules) -> Result<(), HookFailure> {
        let since = clock::now();
        let deadline = rules.timeout.map(|timeout| since.after(timeout));
        let argv = words.iter().filter_map(|word| CString::new(word.as_bytes()).ok()).gather();
        let settings = ProgramSettings { export_env: rules.export_env.clone(), ..ProgramSettings::default() };
        let program = Program { argv, settings: settings.into(), ..Program::default() };
        let mut file = None;
        let failed = |why: String| HookFailure::new(fill!("{}: {}", name, &why));
        let (out, out_end) = fork::pipe().map_err(|errno| failed(crate::sys::describe(errno).into()))?;
        let (err, err_end) = fork::pipe().map_err(|errno| failed(crate::sys::describe(errno).into()))?;
        let ends = [out_end.as_raw_fd(), err_end.as_raw_fd()];
        let mut started = self
            .starter
            .start(&program, Role::Service, Some(ends), &mut file, None, &mut StartExtras::default())
            .map_err(|failure| HookFailure { code: failure.code, ..failed(failure.why) })?;
        drop((out_end, err_end));
        let stream = |pipe, to| Stream { pipe: Some(pipe), to, line: Vec::new() };
        let mut hook = RunningHook {
            name,
            pid: started.pid(),
            streams: [stream(out, 1), stream(err, 2)],
            last_lines: VecDeque::new(),
            outcome: None,
            killed: false,
            asked: None,
            deadline,
        };
        while let Started::Loading(loading) = started {
            if hook.killed || hook.outcome.is_some() || loading.has_failed() || loading.has_left() {
                let failure = |failure: crate::service::launcher::StartFailure| failed(failure.why);
                started = if hook.killed {
                    Started::Running(hook.pid)
                } else {
                    self.starter.finish(loading).map_err(failure)?
                };
            } else {
                let look = clock::now().after(LOAD_LOOK);
                hook.wait(&mut self.waiter, Some(look));
                started = Started::Loading(loading);
            }
        }
        let mut tell = Some(since.after(TELL_AFTER));
        while !hook.is_over() {
            hook.wait(&mut self.waiter, tell);
            if tell.is_some_and(|tell| clock::now() >= tell) {
                tell = None;
                let bound = rules.timeout.map_or_else(
                    || "without a bound".into(),
                    |bound| fill!("at most {}", &show_duration(bound)),
                );
                output::line(LogLevel::Info, "", &fill!("hook {}: still runs ({})", name, &bound));
            }
        }
        hook.end_lines();
        self.tell_left(name);
        let took = show_duration(clock::now().since(since));
        hook.judge(&took, rules)?;
        output::line(LogLevel::Debug, "", &fill!("hook {}: done after {}", name, &took));
        file.map_or(Ok(()), |file| self.take(name, &file, rules))
    }

    /// Takes over what a hook has written to `RINIT_ENV`.
    fn take(&mut self, name: &str, file: &EnvFile, rules: &HookRules) -> Result<(), HookFailure> {
        let Some(allowed) = &rules.export_env else { return Ok(()) };
        let written = file.read(allowed).map_err(|why| HookFailure {
            code: exit_code::BAD_DATA,
            why: fill!("{}: what it wrote to RINIT_ENV {}; nothing of it is taken", name, &why),
        })?;
        if !written.refused.is_empty() {
            let text = "not handed on, for export_env does not name it";
            output::line(
                LogLevel::Warn,
                "",
                &fill!("hook {}: {}: {}", name, text, &written.refused.join(", ")),
            );
        }
        for variable in &written.taken {
            let (name, value) = variable.parts();
            self.exported.retain(|(known, _)| known != name);
            self.exported.push((name.into(), bytes_as_text(value)));
        }
        self.starter.exports.take(written.taken);
        Ok(())
    }

    /// Tells who was left behind: it lives on, but nobody looks after it.
    fn tell_left(&mut self, name: &str) {
        while let Reaped::Ended(..) | Reaped::Stopped(..) = reap::next() {}
        if !reap::any_child() {
            return;
        }
        let own = crate::sys::pid();
        let new: Vec<Pid> = procfs::all()
            .iter()
            .filter(|process| process.parent == own && !self.left.contains(&process.pid))
            .map(|process| process.pid)
            .gather();
        let shown: Vec<String> = new
            .iter()
            .filter_map(|pid| Some(fill!("{} (pid {})", &procfs::name(*pid)?, &pid.to_string())))
            .gather();
        if !shown.is_empty() {
            let text = "leaves behind what nobody looks after, and what it writes is read by nobody; make it a service";
            output::line(LogLevel::Warn, "", &fill!("hook {}: {}: {}", name, text, &shown.join(", ")));
        }
        self.left.extend(new);
    }
}

impl RunningHook<'_> {
    fn is_over(&self) -> bool {
        self.outcome.is_some()
    }

    /// Waits for what comes next, at most until one of these moments; at the first of them it is killed.
    fn wait(&mut self, waiter: &mut Waiter, look: Option<Moment>) {
        let fds: Vec<PollInterest> = self
            .streams
            .iter()
            .filter_map(|stream| Some(PollInterest::reading(stream.pipe.as_ref()?.as_raw_fd())))
            .gather();
        let until = [self.deadline.filter(|_| !self.killed), look].into_iter().flatten().min();
        match waiter.wait(until, &fds) {
            Wake::Ready(fd) => self.pass_on(fd),
            Wake::Signal { signal: Signal::CHLD, .. } => self.reap(),
            Wake::Signal { signal, .. } if [Signal::TERM, Signal::INT, Signal::QUIT].contains(&signal) => {
                self.asked = Some(signal);
                let _ = kill::group(self.pid, &[signal, Signal::CONT]);
            }
            Wake::Signal { .. } => {}
            Wake::Due => {}
        }
        if self.deadline.is_some_and(|deadline| clock::now() >= deadline) && !self.killed {
            // It may have ended while nobody read what it had written.
            self.reap();
            if !self.is_over() {
                self.killed = true;
                self.kill();
            }
        }
    }

    /// Ends it, with all below it. What cannot die (uninterruptible sleep) is not waited for.
    fn kill(&mut self) {
        kill::tree(self.pid);
        let until = clock::now().after(KILL_TIMEOUT);
        while !self.is_over() && clock::now() < until {
            self.reap();
            std::thread::sleep(Duration::from_millis(1));
        }
        self.outcome.get_or_insert(ExitStatus::Signal(Signal::KILL));
    }

    fn reap(&mut self) {
        loop {
            match reap::next() {
                Reaped::Ended(pid, outcome) if pid == self.pid => {
                    self.outcome = Some(outcome);
                    return;
                }
                Reaped::Ended(..) | Reaped::Stopped(..) => {}
                Reaped::NoneReady => return,
                Reaped::NoChildren => {
                    self.outcome.get_or_insert(ExitStatus::Signal(Signal::KILL));
                    return;
                }
            }
        }
    }

    /// Passes on what a pipe holds, line by line.
    fn pass_on(&mut self, fd: RawFd) {
        let is = |stream: &&mut Stream| stream.pipe.as_ref().is_some_and(|pipe| pipe.as_raw_fd() == fd);
        if let Some(stream) = self.streams.iter_mut().find(is) {
            if fork::read_some(fd, &mut stream.line) == 0 {
                stream.pipe = None;
            }
            stream.write_lines(self.name, &mut self.last_lines, false, self.deadline);
        }
    }

    /// What is left in the pipes. Somebody who was left behind may hold them open.
    fn end_lines(&mut self) {
        for stream in &mut self.streams {
            if let Some(pipe) = stream.pipe.take() {
                fork::read_rest(pipe.as_raw_fd(), &mut stream.line);
            }
            stream.write_lines(self.name, &mut self.last_lines, true, self.deadline);
        }
    }

    fn judge(&self, took: &str, rules: &HookRules) -> Result<(), HookFailure> {
        let (code, how) = match (self.outcome, self.killed, self.asked) {
            (_, true, _) => {
                let bound = rules.timeout.map_or_else(String::new, show_duration);
                (exit_code::TIMED_OUT, fill!("not done within {}, and killed (hooks.timeout)", &bound))
            }
            (_, _, Some(signal)) => {
                (exit_code::of_signal(signal), fill!("stopped by {}", &signal.to_string()))
            }
            (Some(ExitStatus::Code(0)), ..) => return Ok(()),
            (Some(outcome), ..) => (exit_code::of(outcome), fill!("{} after {}", &outcome.to_string(), took)),
            (None, ..) => (exit_code::OS_ERROR, "lost".into()),
        };
        let said: Vec<String> =
            self.last_lines.iter().map(|line| fill!("\"{}\"", &on_one_line(line))).gather();
        let last = match said.len() {
            0 => String::new(),
            1 => "; its last line was ".into(),
            _ => "; its last lines were ".into(),
        };
        let why = fill!("{}: {}{}{}", self.name, &how, &last, &said.join(", "));
        Err(HookFailure { code, why })
    }
}

impl Stream {
    /// Writes the lines that are whole, or with `is_end` all, each with the hook's name before it. Those that nobody has
    /// read until the hook's time is over are lost.
    fn write_lines(
        &mut self,
        name: &str,
        last: &mut VecDeque<String>,
        is_end: bool,
        deadline: Option<Moment>,
    ) {
        let mut out = Vec::new();
        let mut rest = self.line.as_slice();
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let (line, after) = match end {
                Some(at) => (rest.get(..at), rest.get(at + 1..)),
                None if is_end || rest.len() >= MAX_LINE => (Some(rest), None),
                None => break,
            };
            let line = line.unwrap_or_default();
            // Secrets are text, whatever else is in the line.
            let text = redact::hide(bytes_as_text(line));
            let text = text_as_bytes(&text);
            out.extend_from_slice(&[name.as_bytes(), b" | ", &text, b"\n"].concat());
            if last.len() == MAX_LAST_LINES {
                last.pop_front();
            }
            last.push_back(String::from_utf8_lossy(&text).into_owned());
            rest = after.unwrap_or_default();
        }
        self.line = rest.to_vec();
        match deadline {
            Some(deadline) => write::write_until(self.to, &out, deadline),
            None => stdio::write_all(self.to, &out),
        };
    }
}
