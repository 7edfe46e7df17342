//! From the command line to the end: read, check, resolve, run.

use crate::checks::report::Report;
use crate::checks::run::Interrupted;
use crate::checks::{self, Check, Facts};
use crate::cli::{Format, Invocation, LogFormat, LogLevel, Mode};
use crate::config::expand::Scope;
use crate::config::fault::{Fault, Sources};
use crate::config::files::{self, Files, Io};
use crate::config::table::Reading;
use crate::config::{self, Plan, resolve};
use crate::environ::Environ;
use crate::helpers::Crew;
use crate::model::Outcome;
use crate::runtime::{Ending, Given, Runtime};
use crate::say;
use crate::starter::Starter;
use crate::supervisor::Supervisor;
use crate::sys::signals::Inherited;
use crate::sys::wait::Waiter;
use crate::sys::{given, signals, stdio};

/// sysexits(3): the command line is wrong.
pub const USAGE: u8 = 64;
/// sysexits(3): a check failed (EX_UNAVAILABLE).
pub const CHECK_FAILED: u8 = 69;
/// sysexits(3): the system refused something (EX_OSERR).
pub const SYSTEM: u8 = 71;
/// sysexits(3): the configuration is wrong.
pub const CONFIG: u8 = 78;

/// Does what the command line asks for; rinit's exit code.
pub fn launch(invocation: &Invocation, inherited: Inherited) -> u8 {
    let mut faults = Vec::new();
    let io = Io { read: &crate::sys::files::read, list: &crate::sys::files::list_toml };
    let variable = given::variable("RINIT_CONFIG").and_then(|value| std::str::from_utf8(value).ok());
    let files = files::load(&invocation.config, variable, &io, &mut faults);
    let meant = files.as_ref().filter(|files| resolve::for_this_command(&files.root, &invocation.command));
    let plain = meant.is_none();
    let start = Start { invocation, inherited };
    start.install_log(plain);
    if !faults.is_empty() {
        let empty = Sources::default();
        return refuse(&faults, files.as_ref().map_or(&empty, |files| &files.sources));
    }
    match meant {
        Some(files) => start.configured(files),
        None => start.plain(files.is_some()),
    }
}

/// Tells every fault. Nothing has been started.
fn refuse(faults: &[Fault], sources: &Sources) -> u8 {
    for fault in faults {
        say::line(LogLevel::Error, "", &sources.render(fault));
    }
    let count = if faults.len() == 1 { "1 fault".into() } else { format!("{} faults", faults.len()) };
    say::line(LogLevel::Error, "", &format!("{count} in the configuration; nothing was started"));
    let first = faults.first().map_or_else(String::new, |fault| sources.render(fault));
    last_words(&first);
    CONFIG
}

/// Leaves the cause of a bad end where Kubernetes looks for it (at most 4096 bytes), when that place exists.
fn last_words(text: &str) {
    crate::sys::files::overwrite("/dev/termination-log", &format!("rinit: {text}\n"), 4096);
}

/// A start under way.
struct Start<'i> {
    invocation: &'i Invocation,
    inherited: Inherited,
}

impl Start<'_> {
    fn install_log(&self, plain: bool) {
        let invocation = self.invocation;
        let named = given::variable("RINIT_LOG").and_then(|value| std::str::from_utf8(value).ok());
        let format = given::variable("RINIT_LOG_FORMAT").and_then(|value| std::str::from_utf8(value).ok());
        // With one command and nothing else, only what tini would print.
        let usual = if plain { LogLevel::Warn } else { LogLevel::Info };
        let level = match (invocation.quiet, invocation.verbosity) {
            (true, _) => LogLevel::Error,
            (_, 0) => named.and_then(|word| crate::config::table::one_of(word).ok()).unwrap_or(usual),
            (_, 1) => LogLevel::Debug,
            (_, _) => LogLevel::Trace,
        };
        let format =
            invocation.log_format.or_else(|| format.and_then(|word| crate::config::table::one_of(word).ok()));
        say::install(invocation.log_level.unwrap_or(level), format.unwrap_or(LogFormat::Text));
    }

    /// One command, no configuration.
    fn plain(self, ignored_files: bool) -> u8 {
        if self.invocation.command.is_empty() {
            let text = "nothing to run: give a COMMAND, or a configuration with --config (neither /etc/rinit.toml nor /etc/rinit.d/*.toml exists); rinit --help tells more";
            say::line(LogLevel::Error, "", text);
            return USAGE;
        }
        let mut plan = resolve::resolve(
            None,
            &Scope { variable: &|_| None, exists: &|_| false, read: &|_| Err(String::new()), later: &[] },
            &self.invocation.command,
            &mut Vec::new(),
        );
        match self.invocation.mode {
            Mode::Supervise => {}
            Mode::Exec => return self.exec(&plan, None),
            Mode::Check | Mode::Validate | Mode::Explain => {
                let why = if ignored_files {
                    "the configuration is not meant for this command"
                } else {
                    "there is no configuration"
                };
                stdio::write_all(
                    1,
                    format!("{why}: nothing is checked, the command is just run\n").as_bytes(),
                );
                return 0;
            }
        }
        // Of the one command, what it leaves in its own group is bounded like all else that it leaves.
        if let Some(main) = plan.services.first_mut() {
            main.rules.stop_grace = self.invocation.kill_after.unwrap_or(plan.whole.sweep_grace);
        }
        let starter = Starter {
            inherited: self.inherited,
            environ: None,
            ignored: Vec::new(),
            folder: None,
            null: None,
        };
        run(self.invocation, plan, starter, Given::All)
    }

    /// A configuration, with or without a command.
    fn configured(self, files: &Files) -> u8 {
        let given = given::environment();
        let mut faults = Vec::new();
        let checks = self.read_checks(files, &given, &mut faults);
        let exported = checks::exported(&checks);
        let plan = self.resolve(files, &given, &exported, &mut faults);
        if !faults.is_empty() {
            return refuse(&faults, &files.sources);
        }
        match self.invocation.mode {
            Mode::Validate => stdio::write_all(1, b"the configuration has no faults\n"),
            Mode::Explain => {
                let text = checks::explain(&checks, &files.sources) + &config::explain(Some(files), &plan);
                stdio::write_all(1, text.as_bytes());
            }
            Mode::Check => return self.check(files, &checks, given),
            Mode::Exec | Mode::Supervise => return self.go(files, &checks, given, plan, &exported),
        }
        0
    }

    /// Checks, then what the checks were for.
    fn go(self, files: &Files, checks: &[Check], given: Environ, mut plan: Plan, exported: &[String]) -> u8 {
        let environ = match self.judge(files, checks, given) {
            Ok(report) if report.ok() => report.environ,
            Ok(report) => {
                last_words(&report.short());
                return CHECK_FAILED;
            }
            Err(interrupted) => return Outcome::Signal(interrupted.0).exit_code(),
        };
        if !exported.is_empty() {
            // What was not known before the checks is known now.
            let mut faults = Vec::new();
            plan = self.resolve(files, &environ, &[], &mut faults);
            if !faults.is_empty() {
                return refuse(&faults, &files.sources);
            }
        }
        if self.invocation.mode == Mode::Exec {
            self.exec(&plan, Some(environ))
        } else {
            self.supervise(plan, environ)
        }
    }

    /// `--check`: the report and nothing else.
    fn check(&self, files: &Files, checks: &[Check], given: Environ) -> u8 {
        let mut crew = Crew::new(signals::ignored());
        let report = match checks::run::run(checks, &mut Facts::live(given), &files.sources, &mut crew) {
            Ok(report) => report,
            Err(interrupted) => return Outcome::Signal(interrupted.0).exit_code(),
        };
        let text = match self.invocation.format {
            Format::Human => report.human(),
            Format::Json => report.json(),
            Format::Tap => report.tap(),
            Format::Junit => report.junit(),
        };
        stdio::write_all(1, text.as_bytes());
        if report.ok() { 0 } else { CHECK_FAILED }
    }

    /// Runs the checks and tells what they found.
    fn judge(&self, files: &Files, checks: &[Check], given: Environ) -> Result<Report, Interrupted> {
        let mut crew = Crew::new(signals::ignored());
        let report = checks::run::run(checks, &mut Facts::live(given), &files.sources, &mut crew)?;
        for (level, line) in report.lines() {
            let level = if level == checks::Level::Error { LogLevel::Error } else { LogLevel::Warn };
            say::line(level, "", &line);
        }
        if !report.ok() {
            say::line(LogLevel::Error, "", &format!("{}; nothing was started", report.summary()));
        }
        Ok(report)
    }

    fn read_checks(&self, files: &Files, environ: &Environ, faults: &mut Vec<Fault>) -> Vec<Check> {
        let scope = Scope {
            variable: &|name| environ.get(name),
            exists: &|path| std::path::Path::new(path).exists(),
            read: &crate::sys::files::read_text,
            later: &[],
        };
        let reading = Reading::new(scope);
        let checks = checks::read(files.root.get("checks"), &reading);
        faults.extend(reading.into_faults());
        checks
    }

    fn resolve(&self, files: &Files, environ: &Environ, later: &[String], faults: &mut Vec<Fault>) -> Plan {
        let scope = Scope {
            variable: &|name| environ.get(name),
            exists: &|path| std::path::Path::new(path).exists(),
            read: &crate::sys::files::read_text,
            later,
        };
        resolve::resolve(Some(files), &scope, &self.invocation.command, faults)
    }

    fn supervise(self, plan: Plan, environ: Environ) -> u8 {
        let fds = stdio::open_above_stderr();
        let given = if plan.whole.main.is_some() {
            Given::Some(fds)
        } else {
            stdio::close(&fds);
            Given::Some(Vec::new())
        };
        let starter = Starter {
            inherited: self.inherited,
            environ: Some(environ),
            ignored: signals::ignored(),
            folder: crate::sys::sit_in_root().filter(|folder| folder.as_c_str() != c"/"),
            null: stdio::open_null(),
        };
        run(self.invocation, plan, starter, given)
    }

    /// Becomes the command.
    fn exec(self, plan: &Plan, environ: Option<Environ>) -> u8 {
        let others =
            plan.services.iter().enumerate().find(|(at, service)| {
                service.is_on() && plan.whole.main.is_none_or(|main| main.index() != *at)
            });
        if let Some((_, service)) = others {
            say::line(
                LogLevel::Error,
                "",
                &format!(
                    "--exec leaves no rinit behind to supervise the service {}; drop --exec, or the services",
                    service.name
                ),
            );
            return USAGE;
        }
        let Some(main) = plan.whole.main.and_then(|main| plan.services.get(main.index())) else {
            say::line(LogLevel::Error, "", "--exec needs a COMMAND to become: rinit --exec -- COMMAND");
            return USAGE;
        };
        let starter = Starter {
            inherited: self.inherited,
            environ,
            ignored: Vec::new(),
            folder: None,
            null: stdio::open_null(),
        };
        let failure = starter.replace(&main.program);
        say::line(LogLevel::Error, "", &failure.why);
        last_words(&failure.why);
        failure.code
    }
}

/// Supervises until the end.
fn run(invocation: &Invocation, mut plan: Plan, starter: Starter, given: Given) -> u8 {
    if crate::sys::pid() != 1
        && let Err(errno) = crate::sys::become_subreaper()
    {
        say::line(
            LogLevel::Warn,
            "",
            &format!(
                "not PID 1, and orphans cannot be adopted ({errno}): they go to PID 1, which must reap them"
            ),
        );
    }
    if let Some(signal) = invocation.pdeathsig {
        let _ = crate::sys::signal_at_parents_death(signal);
    }
    if let Some(main) = plan.whole.main.and_then(|main| plan.services.get_mut(main.index())) {
        main.rules.success.extend(invocation.remap.iter().map(|code| Outcome::Code(*code)));
    }
    plan.whole.group_signals = invocation.group;
    plan.whole.sweep_grace = invocation.kill_after.unwrap_or(plan.whole.sweep_grace);
    plan.whole.seed = crate::sys::time::now().0;
    let main = plan.whole.main;
    let alone = plan.whole.main.is_some() && plan.services.len() == 1;
    let rules = plan.services.iter().map(|service| service.rules.clone()).collect();
    let runtime = Runtime {
        core: Supervisor::new(rules, plan.whole),
        services: plan.services,
        starter,
        main,
        waiter: Waiter::default(),
        rewrites: invocation.rewrites.clone(),
        alone,
        warn_on_reap: invocation.warn_on_reap,
        given,
    };
    let Ending { code, last_words: words } = runtime.run();
    if code != 0 && !words.is_empty() {
        last_words(&words);
    }
    code
}
