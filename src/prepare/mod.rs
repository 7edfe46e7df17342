//! What is prepared between the checks and the first service (or `--exec`'s program): `ensure`, `[configs]` and
//! `[secrets]`, `[hooks]`, in this order. Never under `--check`.
//!
//! The work is a list of [`PrepareStep`]s that [`steps`] makes of the checks and the plan. A helper process runs them
//! one after the other ([`run`]), for each of them may block; PID 1 stays in its one wait, and what ends the checks at
//! once (TERM, INT) ends this too.
//!
//! # How a step is added
//!
//! Push a [`PrepareStep`] in [`steps`]: its [`PrepareStage`], where it is written, what it does in words (for
//! `--explain`), why it is off (`when_*`), and a closure that does it. The closure runs in the helper. It
//! - finds the variables of the start in [`PrepareContext::environ`], with what earlier steps have exported;
//! - exports a variable to later steps, services and the COMMAND with [`PrepareContext::export`];
//! - keeps a value from being shown with [`PrepareContext::keep_secret`] (in the helper at once, in rinit afterwards);
//! - tells what a user should know with [`PrepareContext::tell`];
//! - returns a [`PrepareFailure`] where the container is not to start: [`PrepareFailure::does_not_hold`] (69), or
//!   [`PrepareFailure::refused`] (71) where the system did not let it. Its message follows `file:line:column: `.
//!
//! Steps of one stage are all tried, so that one run tells every fault; but the first hook that fails is the last. No
//! stage is begun after one with a fault.

mod configs;
mod ensure;
pub mod hooks;
pub mod sockets;

use crate::checks::run::{Interrupted, SpawnWorker, WorkerEvent, codec};
use crate::checks::{Check, Facts, Finding};
use crate::cli::LogLevel;
use crate::config::Plan;
use crate::config::source::diagnostic::{Diagnostic, SourceMap, Span};
use crate::exit_code;
use crate::model::environ::Environ;
use crate::output;
use crate::text::gather::Gather as _;
use crate::text::redact;
use crate::text::template::fill;
use crate::text::units::show_duration;
use std::time::Duration;

/// How often it is told that the preparation goes on: a file system may never answer.
const WAIT_INTERVAL: Duration = Duration::from_secs(30);

/// The stages, in the order in which they are run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum PrepareStage {
    /// `ensure` of the checks.
    Ensure,
    /// `[configs]` and `[secrets]`.
    Configs,
    /// `[hooks] before_start`.
    Hooks,
    /// The sockets of services.
    Sockets,
}

/// What does one thing.
pub type PrepareFn<'a> = dyn Fn(&mut PrepareContext) -> Result<(), PrepareFailure> + 'a;

/// One thing that is to be done.
pub struct PrepareStep<'a> {
    /// When it is done.
    pub stage: PrepareStage,
    /// Where it is written.
    pub at: Span,
    /// What is done, in words: `dir /data: made where it is missing, owner redis`. Never a secret.
    pub what: String,
    /// Why it is not done today (`when_*`), if it is not.
    pub off: Option<String>,
    /// Does it. Runs in the helper process.
    pub run: Box<PrepareFn<'a>>,
}

/// Why the container does not start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PrepareFailure {
    /// rinit's exit code.
    pub code: u8,
    /// Where it can be mended, if not where the step is written.
    pub at: Option<Span>,
    /// What was found, what was expected, what to do.
    pub message: String,
}

impl PrepareFailure {
    /// What was to be so is not, and cannot be made so: 69, as a failed check.
    #[must_use]
    pub fn does_not_hold(message: String) -> Self {
        Self { code: exit_code::CHECK_FAILED, at: None, message }
    }

    /// The system refused something: 71.
    #[must_use]
    pub fn refused(message: String) -> Self {
        Self { code: exit_code::OS_ERROR, at: None, message }
    }
}

/// What a step works with.
pub struct PrepareContext {
    /// The environment, with what the checks and earlier steps have exported.
    pub environ: Environ,
    exported: Vec<(String, String)>,
    secrets: Vec<String>,
    faults: Vec<PrepareFailure>,
}

impl PrepareContext {
    /// Sets a variable for later steps, for services and for the COMMAND.
    pub fn export(&mut self, name: &str, value: &str) {
        self.environ.set(name, value);
        self.exported.push((name.into(), value.into()));
    }

    /// This value is never shown from here on.
    pub fn keep_secret(&mut self, value: String) {
        redact::keep(std::slice::from_ref(&value));
        self.secrets.push(value);
    }

    /// Notes a fault besides the one that the step returns.
    pub fn fault(&mut self, failure: PrepareFailure) {
        self.faults.push(failure);
    }

    /// Tells the user.
    pub fn tell(&self, level: LogLevel, line: &str) {
        output::line(level, "", line);
    }
}

/// What came of it.
pub struct Prepared {
    /// The exit code of a start that ends here; 0: go on.
    pub code: u8,
    /// For each fault its lines, as they are told.
    pub faults: Vec<String>,
    /// Variables for services and the COMMAND.
    pub exported: Vec<(String, String)>,
    /// Values that are not to be shown.
    pub secrets: Vec<String>,
}

/// All that is to be done, in order.
#[must_use]
pub fn steps<'a>(checks: &'a [Check], plan: &'a Plan) -> Vec<PrepareStep<'a>> {
    let hooks = &plan.hooks;
    let step = |(path, at): &'a (String, Span)| PrepareStep {
        stage: PrepareStage::Hooks,
        at: *at,
        what: fill!("hooks {}", path.as_str()),
        off: hooks.off.clone(),
        run: Box::new(move |context| hooks::before_start(context, path, &hooks.rules)),
    };
    let ensures = checks.iter().filter_map(|check| Some(ensure::step(check, check.spec.ensure.as_ref()?)));
    ensures
        .chain(plan.prepared.iter().map(configs::step))
        .chain(hooks.before_start.iter().map(step))
        .collect()
}

/// A look at the templates that are there, for `--validate`: nothing is made or changed. What `later` names will be set.
#[must_use]
pub fn templates<'a>(plan: &'a Plan, later: &'a [String]) -> Vec<PrepareStep<'a>> {
    plan.prepared.iter().map(|file| configs::look_at_template(file, later)).gather()
}

/// What would be done, for `--explain`.
#[must_use]
pub fn explain(steps: &[PrepareStep<'_>], checks: &[Check], sources: &SourceMap) -> String {
    let mut text = String::new();
    for step in steps {
        if text.is_empty() {
            text.push_str("prepared before the start:\n");
        }
        let off = step.off.as_ref().map_or_else(String::new, |why| fill!(" (off: {})", why));
        text.push_str(&fill!("      {}{} ({})\n", step.what, off, &sources.file_line(step.at)));
        let check = checks.iter().find(|check| check.at == step.at && step.off.is_none());
        let ensure = check.and_then(|check| check.spec.ensure.as_ref());
        if let Some(warning) = ensure.and_then(|ensure| ensure.warning(&Facts::live(Environ::default()))) {
            text.push_str(&["      warning: ", &warning, "\n"].concat());
        }
    }
    text
}

/// Does all that is on, in a helper process.
pub fn run(
    steps: &[PrepareStep<'_>],
    sources: &SourceMap,
    environ: &Environ,
    helpers: &mut dyn SpawnWorker,
) -> Result<Prepared, Interrupted> {
    let started = helpers.start(&mut |out| codec::encode(&work(steps, sources, environ), out));
    let helper = match started {
        Ok(helper) => helper,
        Err(error) => {
            let why = crate::checks::facts::why(&error);
            let told = [
                "no process to prepare in: ",
                &why,
                "; raise the limit of processes (docker run --pids-limit)",
            ];
            return Ok(failed(told.concat()));
        }
    };
    let begun = helpers.now();
    let mut tell_at = begun.after(WAIT_INTERVAL);
    loop {
        match helpers.wait(tell_at) {
            WorkerEvent::Done(pid, bytes) if pid == helper => {
                let found = bytes.and_then(|bytes| codec::decode(&bytes));
                return Ok(found.map_or_else(
                    || failed("the process that prepares the start has died before it was done".into()),
                    received,
                ));
            }
            WorkerEvent::Signal(signal) => {
                helpers.kill(helper);
                return Err(Interrupted(signal));
            }
            WorkerEvent::Done(..) => {}
            WorkerEvent::Due => {
                let passed = show_duration(helpers.now().since(begun));
                helpers.tell(&["still preparing the start, after ", &passed].concat());
                tell_at = helpers.now().after(WAIT_INTERVAL);
            }
        }
    }
}

fn failed(fault: String) -> Prepared {
    Prepared { code: exit_code::OS_ERROR, faults: vec![fault], exported: Vec::new(), secrets: Vec::new() }
}

/// All steps, in the helper. What it has to say travels as a finding.
fn work(steps: &[PrepareStep<'_>], sources: &SourceMap, environ: &Environ) -> Finding {
    output::owe_nothing();
    let environ = environ.clone();
    let mut context =
        PrepareContext { environ, exported: Vec::new(), secrets: Vec::new(), faults: Vec::new() };
    let (mut code, mut faults, mut stage) = (0, Vec::new(), PrepareStage::Ensure);
    for step in steps.iter().filter(|step| step.off.is_none()) {
        if code != 0 && (step.stage != stage || stage == PrepareStage::Hooks) {
            break;
        }
        stage = step.stage;
        let done = (step.run)(&mut context);
        for failure in context.faults.drain(..).chain(done.err()) {
            code = code.max(failure.code);
            let at = Some(failure.at.unwrap_or(step.at));
            faults.push(sources.render(&Diagnostic { at, message: failure.message }));
        }
    }
    Finding {
        ok: code == 0,
        found: code.to_string(),
        sets: context.exported,
        unsets: context.secrets,
        warnings: faults,
        ..Finding::default()
    }
}

fn received(found: Finding) -> Prepared {
    let code = if found.ok { 0 } else { found.found.parse().unwrap_or(exit_code::OS_ERROR) };
    Prepared { code, faults: found.warnings, exported: found.sets, secrets: found.unsets }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// What is run of these steps (stage, whether it is off, whether it fails), and what came of it.
    fn done(plan: &[(PrepareStage, bool, bool)]) -> (Vec<usize>, Prepared) {
        let ran = RefCell::new(Vec::new());
        let steps: Vec<PrepareStep<'_>> = plan
            .iter()
            .enumerate()
            .map(|(n, (stage, off, fails))| PrepareStep {
                stage: *stage,
                at: Span::default(),
                what: format!("step {n}"),
                off: off.then(|| "X is not set".to_string()),
                run: Box::new({
                    let ran = &ran;
                    move |context| {
                        ran.borrow_mut().push(n);
                        context.export("LAST", &n.to_string());
                        if *fails { Err(PrepareFailure::does_not_hold(format!("fault {n}"))) } else { Ok(()) }
                    }
                }),
            })
            .collect();
        let found = work(&steps, &SourceMap::default(), &Environ::default());
        let shown = explain(&steps, &[], &SourceMap::default());
        assert_eq!(shown.lines().count(), plan.len() + 1, "{shown}");
        drop(steps);
        (ran.into_inner(), received(found))
    }

    /// Helpers that are never done but as a test has it.
    struct Told {
        events: Vec<WorkerEvent>,
        now: u64,
        log: Vec<String>,
    }

    impl SpawnWorker for Told {
        fn start(&mut self, _: &mut dyn FnMut(&mut Vec<u8>)) -> std::io::Result<crate::model::Pid> {
            Ok(7)
        }
        fn wait(&mut self, until: crate::model::Moment) -> WorkerEvent {
            let event = self.events.remove(0);
            if matches!(event, WorkerEvent::Due) {
                self.now = until.0;
            }
            event
        }
        fn kill(&mut self, helper: crate::model::Pid) {
            self.log.push(format!("kill {helper}"));
        }
        fn now(&self) -> crate::model::Moment {
            crate::model::Moment(self.now)
        }
        fn tell(&mut self, line: &str) {
            self.log.push(line.into());
        }
    }

    /// A stop ends it at once; a file system that never answers is told; a helper that dies is a fault and no more.
    #[test]
    fn the_helper_is_waited_for_and_ended() {
        use crate::model::Signal;
        let run = |events: Vec<WorkerEvent>| {
            let mut helpers = Told { events, now: 0, log: Vec::new() };
            let done = super::run(&[], &SourceMap::default(), &Environ::default(), &mut helpers);
            (done.map(|done| (done.code, done.faults.len())), helpers.log)
        };
        let (done, log) =
            run(vec![WorkerEvent::Due, WorkerEvent::Done(3, None), WorkerEvent::Signal(Signal::TERM)]);
        assert_eq!(done, Err(Interrupted(Signal::TERM)));
        assert_eq!(log, ["still preparing the start, after 30s", "kill 7"]);
        let (died, _) = run(vec![WorkerEvent::Done(7, None)]);
        assert_eq!(died, Ok((exit_code::OS_ERROR, 1)));
        let mut bytes = Vec::new();
        codec::encode(&Finding { ok: true, ..Finding::default() }, &mut bytes);
        assert_eq!(run(vec![WorkerEvent::Done(7, Some(bytes))]).0, Ok((0, 0)));
    }

    #[test]
    fn all_of_a_stage_are_tried_but_hooks_and_no_later_stage_follows_a_fault() {
        use PrepareStage::{Configs, Ensure, Hooks};
        let (ran, made) = done(&[(Ensure, false, false), (Configs, true, true), (Hooks, false, false)]);
        assert_eq!((ran, made.code, made.faults.len()), (vec![0, 2], 0, 0));
        assert_eq!(made.exported.last(), Some(&("LAST".to_string(), "2".to_string())));
        let (ran, made) = done(&[(Ensure, false, true), (Ensure, false, true), (Configs, false, false)]);
        assert_eq!((ran, made.code, made.faults.len()), (vec![0, 1], exit_code::CHECK_FAILED, 2));
        let (ran, made) = done(&[(Hooks, false, true), (Hooks, false, false)]);
        assert_eq!((ran, made.code, made.faults.len()), (vec![0], exit_code::CHECK_FAILED, 1));
    }
}
