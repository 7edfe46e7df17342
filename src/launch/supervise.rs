//! A start with a configuration: check, resolve, supervise.

use super::{Launch, answer, by_options, explain, last_words, refuse, run, wrong_usage};
use crate::checks::report::Report;
use crate::checks::run::Interrupted;
use crate::checks::run::workers::Workers;
use crate::checks::{self, Check, Facts};
use crate::cli::{Format, LogLevel, Mode};
use crate::config::read::interpolate::{Scope, StartFacts};
use crate::config::read::table::ReadContext;
use crate::config::source::diagnostic::Diagnostic;
use crate::config::source::document::Value;
use crate::config::source::files::Files;
use crate::config::source::key_places::KeyPlaces;
use crate::config::{Off, Plan, ProbeSpec, Service, base_name, resolve};
use crate::exit_code;
use crate::model::environ::Environ;
use crate::model::{HookKind, Signal, SignalRule};
use crate::output;
use crate::prepare::{self, Prepared};
use crate::received::{self, Early, Received};
use crate::runtime::InheritedFds;
use crate::service::exports::Exports;
use crate::service::launcher::Starter;
use crate::service::sockets::SocketTable;
use crate::sys::container::kernel;
use crate::sys::process::credentials;
use crate::sys::process::spawn::SessionMode;
use crate::sys::{allocator, args, stdio};
use crate::text::escape::escaped;
use crate::text::gather::Gather;
use crate::text::redact;
use crate::text::suggest::did_you_mean;
use crate::text::template::fill;
use std::mem::ManuallyDrop;
use std::rc::Rc;

/// A signal has ended the checks: returns the exit code.
fn interrupt(interrupted: Interrupted, early: &Early<'_>) -> u8 {
    if let Some(came) = early.ended_by {
        let text = format!("stopping ({} {}); nothing was started", came.0, received::sender(came));
        output::line(LogLevel::Info, "", &text);
        last_words(&text);
    }
    exit_code::of_signal(interrupted.0)
}

impl Launch<'_> {
    /// Runs a configuration, with or without a command. A separate function, to keep its frame off the stack of a
    /// plain start.
    #[inline(never)]
    pub(super) fn configured(self, files: ManuallyDrop<Files>) -> u8 {
        let given = args::environment();
        let mut faults = Vec::new();
        redact::keep(&resolve::written_secrets(&files.root));
        // Not dropped, like the files.
        let mut checks = ManuallyDrop::new(self.read_checks(&files, &given, &mut faults));
        redact::keep(&checks::secrets(&checks, &given));
        let exported = checks::exported(&checks);
        let later = [exported.clone(), resolve::hook_variables(&files.root)].concat();
        let plan = self.resolve(&files, &given, &later, &mut faults);
        if !faults.is_empty() {
            self.warn_of_missing(&files, &plan, &given);
            return refuse(&faults, &files.sources);
        }
        if let Err(why) = checks::select::select(&mut checks, &self.invocation.only, &self.invocation.skip) {
            return wrong_usage(&why);
        }
        for service in &plan.services {
            checks::gate::take_out(&mut checks, &service.name, &service.program.gate);
        }
        self.warn_of_profiles(&files);
        match self.invocation.mode {
            Mode::Validate => self.validate(&files, &plan, &given, &exported),
            Mode::Explain => {
                let mut plan = plan;
                by_options(self.invocation, &mut plan.whole);
                let prepared = prepare::explain(&prepare::steps(&checks, &plan), &checks, &files.sources);
                let sockets = prepare::sockets::explain(&plan, &|at| files.sources.file_line(at));
                let text = [checks::explain(&checks, &files.sources), prepared, sockets].concat()
                    + &explain::explain(Some(&files), &plan);
                tell(text)
            }
            Mode::Record => super::record(given),
            Mode::EnvDocs => tell(checks::report::env_docs::render(&checks)),
            Mode::Check => self.report(&files, &checks, given, &plan.whole.signals),
            Mode::Exec | Mode::Supervise => {
                if let Err(why) = self.something_to_run(&plan) {
                    return wrong_usage(&why);
                }
                self.go(files, checks, given, plan, exported)
            }
        }
    }

    /// Warns about profiles that no service has.
    fn warn_of_profiles(&self, files: &Files) {
        let services = files.root.get("services").map_or(&[][..], |node| node.entries());
        let lists = services.iter().filter_map(|entry| entry.node.get("profiles"));
        let mut known: Vec<&str> = Vec::new();
        for list in lists {
            match &list.value {
                Value::Text(name) => known.push(name),
                Value::List(items) => known.extend(items.iter().filter_map(|item| match &item.value {
                    Value::Text(name) => Some(name.as_str()),
                    _ => None,
                })),
                _ => {}
            }
        }
        for name in self.profiles.iter().filter(|name| *name != "*" && !known.contains(&name.as_str())) {
            let near = did_you_mean(name, known.iter().copied());
            let text = fill!("no service has the profile \"{}\"{}", &escaped(name), near);
            output::line(LogLevel::Warn, "", &text);
        }
    }

    /// Checks that there is something to start, and with `--exec` nothing that needs a supervisor.
    pub(super) fn something_to_run(&self, plan: &Plan) -> Result<(), String> {
        let is_main = |at: usize| plan.whole.main.is_some_and(|main| main.index() == at);
        let mut others =
            plan.services.iter().enumerate().filter(|(at, _)| !is_main(*at)).map(|(_, service)| service);
        if self.invocation.mode == Mode::Exec {
            return match others.find(|service| service.is_on()) {
                Some(service) => Err(fill!(
                    "--exec leaves no rinit behind to supervise the service {}; drop --exec, or the services",
                    service.name
                )),
                None if plan.whole.main.is_none() => {
                    Err("--exec needs a COMMAND to become: rinit --exec -- COMMAND".into())
                }
                None => Ok(()),
            };
        }
        // A service that its condition turns off counts, and so do services that wait to be started by hand.
        let stays = plan.whole.stay_when_idle && !plan.services.is_empty();
        let any = |service: &Service| matches!(service.off, None | Some(Off::Skipped(_)));
        if stays || plan.services.iter().any(any) {
            return Ok(());
        }
        let why = match plan.services.as_slice() {
            [] => "the configuration has no services".into(),
            services => services.iter().map(why_off).gather().join(", "),
        };
        Err(fill!(
            "nothing to run: {}; name a COMMAND (rinit -- COMMAND; in an image CMD [\"app\"]), or give a service a command: [services.main] command = [\"app\"]",
            why
        ))
    }

    /// Runs the checks, then starts.
    fn go(
        self,
        files: ManuallyDrop<Files>,
        checks: ManuallyDrop<Vec<Check>>,
        given: Environ,
        mut plan: Plan,
        exported: Vec<String>,
    ) -> u8 {
        let mut early = Early::new(&self.invocation.rewrites, &plan.whole.signals);
        let mut environ = match self.evaluate(&files, &checks, given, &mut early) {
            Ok(report) if report.ok() => report.environ,
            Ok(report) => {
                last_words(&report.short());
                return exit_code::CHECK_FAILED;
            }
            Err(interrupted) => return interrupt(interrupted, &early),
        };
        let by_hooks = resolve::hook_variables(&files.root);
        if !exported.is_empty() {
            // Values that were unknown before the checks are known now.
            plan = match self.resolve_again(&files, &environ, &by_hooks) {
                Ok(plan) => plan,
                Err(code) => return code,
            };
        }
        match self.prepare(&files, &checks, &plan, &mut environ, &mut early) {
            Ok(false) if by_hooks.is_empty() => {}
            Ok(_) => {
                plan = match self.resolve_again(&files, &environ, &[]) {
                    Ok(plan) => plan,
                    Err(code) => return code,
                }
            }
            Err(code) => return code,
        }
        let sockets = match self.open_sockets(&files, &plan, &environ, &mut early) {
            Ok(sockets) => sockets,
            Err(code) => return code,
        };
        let kept = early.kept;
        if self.invocation.mode == Mode::Exec {
            self.exec(&plan, Some(environ), sockets)
        } else {
            let names = plan.services.iter().map(Service::base);
            let places = allocator::compactly(|| KeyPlaces::new(&files, names));
            drop(exported);
            drop(ManuallyDrop::into_inner(checks));
            drop(ManuallyDrop::into_inner(files));
            self.supervise(places, plan, environ, kept, sockets)
        }
    }

    /// Resolves the plan again with variables that were unknown before. The error is the exit code if the start ends
    /// here.
    fn resolve_again(&self, files: &Files, environ: &Environ, later: &[String]) -> Result<Plan, u8> {
        let mut faults = Vec::new();
        let plan = self.resolve(files, environ, later, &mut faults);
        if !faults.is_empty() {
            return Err(refuse(&faults, &files.sources));
        }
        self.something_to_run(&plan).map(|()| plan).map_err(|why| wrong_usage(&why))
    }

    /// Prepares the start; returns whether that has set variables. The error is the exit code if the start ends here.
    fn prepare(
        &self,
        files: &Files,
        checks: &[Check],
        plan: &Plan,
        environ: &mut Environ,
        early: &mut Early<'_>,
    ) -> Result<bool, u8> {
        let steps = prepare::steps(checks, plan);
        if steps.iter().all(|step| step.off.is_some()) {
            return Ok(false);
        }
        let mut crew = Workers::new(self.ignored.clone(), early);
        let done = prepare::run(&steps, &files.sources, environ, &mut crew);
        let done = done.map_err(|interrupted| interrupt(interrupted, early))?;
        redact::keep(&done.secrets);
        done.exported.iter().for_each(|(name, value)| environ.set(name, value));
        if done.code == 0 {
            return Ok(!done.exported.is_empty());
        }
        Err(unprepared(&done))
    }

    /// Opens the sockets of services. The error is the exit code if the start ends here.
    fn open_sockets(
        &self,
        files: &Files,
        plan: &Plan,
        environ: &Environ,
        early: &mut Early<'_>,
    ) -> Result<SocketTable, u8> {
        let table = SocketTable::default();
        let unbound = prepare::sockets::unbound(plan);
        if !unbound.is_empty() {
            let mut crew = Workers::new(self.ignored.clone(), early);
            let steps = prepare::sockets::steps(&unbound);
            let done = prepare::run(&steps, &files.sources, environ, &mut crew);
            drop(steps);
            let done = done.map_err(|interrupted| interrupt(interrupted, early))?;
            if done.code != 0 {
                return Err(unprepared(&done));
            }
            prepare::sockets::keep(unbound, &done.exported, &table);
        }
        Ok(table)
    }

    /// `--check`: only reports.
    fn report(
        &self,
        files: &Files,
        checks: &[Check],
        given: Environ,
        signals: &[(Signal, SignalRule)],
    ) -> u8 {
        let verbose = self.invocation.verbosity > 0;
        let every = verbose || self.invocation.format != Format::Human;
        let mut early = Early::new(&self.invocation.rewrites, signals);
        let report = match self.look(files, checks, given, every, &mut early) {
            Ok(report) => report,
            Err(interrupted) => return interrupt(interrupted, &early),
        };
        let text = match self.invocation.format {
            Format::Human => report.human(verbose, stdio::is_terminal(1)),
            Format::Json => report.json(),
            Format::Tap => report.tap(),
            Format::Junit => report.junit(),
        };
        answer(&text, if report.ok() { 0 } else { exit_code::CHECK_FAILED })
    }

    /// Runs the checks and reports the result.
    fn evaluate(
        &self,
        files: &Files,
        checks: &[Check],
        given: Environ,
        early: &mut Early<'_>,
    ) -> Result<Report, Interrupted> {
        let report = self.look(files, checks, given, false, early)?;
        for (level, line) in report.lines() {
            let level = if level == checks::Level::Error { LogLevel::Error } else { LogLevel::Warn };
            output::line(level, "", &line);
        }
        if !report.ok() {
            output::line(LogLevel::Error, "", &fill!("{}; nothing was started", report.summary()));
        }
        Ok(report)
    }

    pub(super) fn read_checks(
        &self,
        files: &Files,
        environ: &Environ,
        faults: &mut Vec<Diagnostic>,
    ) -> Vec<Check> {
        let variable = |name: &str| environ.text(name).or_else(|| super::reading::fact(name));
        let reading = ReadContext::new(self.scope(files, &variable, &[]));
        let written = files.root.get("checks");
        redact::keep(&checks::given_secrets(written, environ));
        let checks = checks::read(written, &reading);
        faults.extend(reading.into_faults());
        checks
    }

    pub(super) fn resolve(
        &self,
        files: &Files,
        environ: &Environ,
        later: &[String],
        faults: &mut Vec<Diagnostic>,
    ) -> Plan {
        let variable = |name: &str| environ.text(name).or_else(|| super::reading::fact(name));
        let scope = self.scope(files, &variable, later);
        let mut plan = resolve::resolve(Some(files), &scope, &self.invocation.command, faults);
        let reading = ReadContext::new(scope);
        for Service { name, program, rules, .. } in &mut plan.services {
            let name = base_name(name, program.instance);
            let Some(settings) = Rc::get_mut(&mut program.settings) else { continue };
            let written = files.root.get("checks");
            if let Some(ProbeSpec::Check(probe)) = &mut settings.probe {
                checks::probe::complete(probe, name, written, &reading);
            }
            if !settings.gate.is_empty() {
                let at = files.at_of(name, "checks").unwrap_or_default();
                let gate = &mut settings.gate;
                let limit = checks::gate::complete(gate, (name, at), written, &files.sources, &reading);
                rules.hooks.get_or_insert_default().set(HookKind::Checks, limit);
            }
        }
        faults.extend(reading.into_faults());
        plan
    }

    /// Returns the scope for expansion: these variables, the files of this system, and facts about this start.
    fn scope<'a>(
        &'a self,
        files: &'a Files,
        variable: &'a dyn Fn(&str) -> Option<String>,
        later: &'a [String],
    ) -> Scope<'a> {
        let start = StartFacts {
            root: Some(&files.root),
            command: &self.invocation.command,
            profiles: &self.profiles,
            uid: || credentials::current().uid,
            arch: || kernel::uname().1,
            is_empty: super::reading::is_empty,
            zone_file: super::reading::read,
        };
        Scope { variable, exists: &super::reading::exists, read: &super::read_text, later, start }
    }

    /// Runs the checks; those that may block or wait run in helper processes.
    fn look(
        &self,
        files: &Files,
        checks: &[Check],
        given: Environ,
        every: bool,
        early: &mut Early<'_>,
    ) -> Result<Report, Interrupted> {
        let mut crew = Workers::new(self.ignored.clone(), early);
        let mut report = checks::run::run(checks, &mut Facts::live(given), &files.sources, &mut crew, every)?;
        redact::keep(&report.secrets);
        // Before formatting as JSON or XML, where secrets would be escaped differently.
        redact::hide_in(report.texts());
        Ok(report)
    }

    fn supervise(
        self,
        places: KeyPlaces,
        plan: Plan,
        environ: Environ,
        kept: Vec<Received>,
        sockets: SocketTable,
    ) -> u8 {
        // A container that exits at once with success should say why.
        if !plan.services.iter().any(Service::is_on) {
            for service in &plan.services {
                let why = service.off.as_ref().map_or("", Off::why);
                output::line(LogLevel::Warn, &service.name, &fill!("not started: {}", why));
            }
        }
        let mut fds = stdio::open_above_stderr();
        fds.retain(|fd| !sockets.holds(*fd));
        let given = if plan.whole.main.is_some() {
            InheritedFds::Some(fds)
        } else {
            stdio::close(&fds);
            InheritedFds::Some(Vec::new())
        };
        let reader = super::reload::reader(&self);
        let starter = Starter {
            inherited: self.inherited,
            environ: Some(allocator::compactly(|| environ.clone())),
            ignored: self.ignored,
            place: SessionMode::Foreground,
            directory: crate::sys::directory().filter(|directory| directory.as_c_str() != c"/"),
            null: stdio::open_null(),
            places: Some(std::cell::RefCell::new(places)),
            by_shell: std::cell::Cell::default(),
            told_who_runs: std::cell::Cell::new(false),
            told_rights: std::cell::RefCell::default(),
            told_passwd: std::cell::Cell::new(false),
            exports: Exports::default(),
            sockets,
        };
        drop(environ);
        crate::sys::sit_in_root();
        super::adopt_orphans();
        run(self.invocation, plan, starter, given, kept, Some(reader))
    }
}

/// Tells of faults while preparing; returns the exit code.
fn unprepared(done: &Prepared) -> u8 {
    for fault in &done.faults {
        output::line(LogLevel::Error, "", fault);
    }
    let count = done.faults.len();
    let many = if count == 1 { "" } else { "s" };
    output::line(
        LogLevel::Error,
        "",
        &format!("{count} fault{many} while preparing the start; nothing was started"),
    );
    last_words(done.faults.first().map_or("", String::as_str));
    done.code
}

/// Explains why a service is off: `web: enabled is false`.
fn why_off(service: &Service) -> String {
    fill!("{}: {}", service.name.as_str(), service.off.as_ref().map_or("", Off::why))
}

/// Writes a text to standard output.
fn tell(text: String) -> u8 {
    answer(&redact::hide(text), 0)
}
