//! The whole run: read, check, resolve, supervise.

mod compat;
mod divide;
pub(crate) mod explain;
mod inside;
mod preflight;
mod reading;
mod reload;
mod supervise;
mod tape;

use crate::cli::{Invocation, LogFormat, LogLevel, Mode, Persona};
use crate::config::read::interpolate::{Scope, StartFacts};
use crate::config::source::diagnostic::{Diagnostic, MAX_DIAGNOSTICS, SourceMap};
use crate::config::source::files::{self, Io};
use crate::config::source::grouping;
use crate::config::{Files, Plan, resolve};
use crate::diagnosis::unreachable;
use crate::exit_code;
use crate::logs::Logs;
use crate::model::environ::Environ;
use crate::model::{Leftovers, Settings, Signal};
use crate::output;
use crate::received::Received;
use crate::runtime::reload::ConfigReader;
use crate::runtime::{Control, HttpHelper, InheritedFds, RunResult, Runtime};
use crate::service::launcher::Starter;
use crate::service::sockets::SocketTable;
use crate::sys::event::poll::Waiter;
use crate::sys::event::signals::Inherited;
use crate::sys::fs::access;
use crate::sys::fs::stat::Access;
use crate::sys::process::spawn::SessionMode;
use crate::sys::write::{self, Unwritten};
use crate::sys::{allocator, container};
use crate::sys::{args, stdio};
use crate::text::gather::Gather;
use crate::text::redact;
use crate::text::template::fill;
use std::mem::ManuallyDrop;

/// Runs what the command line asks for; returns rinit's exit code.
pub fn launch(invocation: &Invocation, inherited: Inherited) -> u8 {
    let mut faults = Vec::new();
    let log = log_choice(invocation);
    reading::LOG.get_or_init(|| log);
    let io = Io { read: &reading::read, list: &reading::list, why: &why_unread };
    let variable = args::variable("RINIT_CONFIG").and_then(|value| std::str::from_utf8(value).ok());
    // A path in a variable is only used once it is clear that it is meant for this rinit.
    let mut inside = variable.is_some() && inside::another(invocation);
    let mut files = match invocation.persona {
        Persona::Rinit if !inside => files::load(&invocation.config, variable, &io, &mut faults),
        // The other modes read no files.
        _ => None,
    };
    if !inside && files.is_some() && inside::another(invocation) {
        inside = true;
        faults.clear();
        files = None;
    }
    // Dropped only before services run: otherwise the process ends with this function, and the kernel frees it.
    let mut files = files.map(ManuallyDrop::new);
    let plain =
        !files.as_ref().is_some_and(|files| resolve::for_this_command(&files.root, &invocation.command));
    // Only a configuration's children get a clean slate.
    let ignored = if plain { Vec::new() } else { crate::sys::event::signals::ignored() };
    let profiles = if plain { Vec::new() } else { profiles(invocation) };
    let replaced =
        files.as_ref().filter(|_| plain).and_then(|files| unaliased(files, invocation, &mut faults));
    let start = Launch { invocation: replaced.as_ref().unwrap_or(invocation), inherited, ignored, profiles };
    // For a single command log only what tini would print.
    let level = log.0.unwrap_or(if plain { LogLevel::Warn } else { LogLevel::Info });
    output::install(level, log.1, invocation.persona);
    if !faults.is_empty() {
        files.iter().for_each(|files| redact::keep(&resolve::written_secrets(&files.root)));
        let empty = SourceMap::default();
        return refuse(&faults, files.as_ref().map_or(&empty, |files| &files.sources));
    }
    match files.take_if(|_| !plain) {
        Some(files) => start.configured(files),
        None if invocation.persona != Persona::Rinit => start.dropin(),
        None if inside && invocation.command.is_empty() => inside::nothing_to_run(),
        None => start.plain(files.is_some()),
    }
}

/// A COMMAND that the configuration is not meant for is just run; but what its alias stands for.
#[cold]
#[inline(never)]
fn unaliased(files: &Files, invocation: &Invocation, faults: &mut Vec<Diagnostic>) -> Option<Invocation> {
    let given = args::environment();
    let variable = |name: &str| given.text(name).or_else(|| container::fact(name));
    let start = StartFacts::default();
    let scope = Scope { variable: &variable, exists: &reading::exists, read: &read_text, later: &[], start };
    let command = resolve::unaliased(files, &scope, &invocation.command, faults)?;
    Some(Invocation { command, ..invocation.clone() })
}

/// Explains why a file could not be read; follows the file's name.
#[cold]
fn why_unread(path: &str, error: &std::io::Error) -> String {
    let told = match error.kind() {
        std::io::ErrorKind::PermissionDenied => refusal(path),
        _ => nowhere(path, error),
    };
    told.unwrap_or_else(|| crate::text::io_error::unreadable(error))
}

/// Explains why this user may not read a path; follows the path.
#[cold]
fn refusal(path: &str) -> Option<String> {
    if tape::is_playing() {
        return None;
    }
    let (barrier, viewer) = access::barrier(path, Access::Read);
    let told = unreachable::line(&barrier?, &viewer);
    Some(fill!("cannot be read: {}", told))
}

/// Names the dangling link that makes a path missing; follows the path.
#[cold]
fn nowhere(path: &str, error: &std::io::Error) -> Option<String> {
    if tape::is_playing() {
        return None;
    }
    use crate::sys::Errno;
    if !matches!(crate::sys::errno(error), Errno::ENOENT | Errno::ELOOP) {
        return None;
    }
    let told = crate::diagnosis::dead_link(&crate::sys::links::dead_link(path)?);
    Some(fill!("cannot be read: {}", told))
}

/// Reads a file that the configuration names; the error follows the file's name.
fn read_text(path: &str) -> Result<String, String> {
    let read = reading::read(path);
    let link = read.as_ref().err().and_then(|error| nowhere(path, error));
    crate::sys::fs::files::text_of(read).map_err(|why| link.or_else(|| refusal(path)).unwrap_or(why))
}

/// Reports all faults, up to a limit. Nothing was started.
fn refuse(faults: &[Diagnostic], sources: &SourceMap) -> u8 {
    let mut told = grouping::told(faults, sources);
    let more = told.len().saturating_sub(MAX_DIAGNOSTICS);
    told.truncate(MAX_DIAGNOSTICS);
    for fault in told {
        output::line(LogLevel::Error, "", &fault);
    }
    if more > 0 {
        output::line(LogLevel::Error, "", &format!("and {more} more faults"));
    }
    let count = if faults.len() == 1 { "1 fault".into() } else { format!("{} faults", faults.len()) };
    output::line(LogLevel::Error, "", &fill!("{} in the configuration; nothing was started", count));
    let first = faults.first().map_or_else(String::new, |fault| sources.render(fault));
    last_words(&first);
    exit_code::CONFIG
}

/// Writes the cause of a failure to the file where Kubernetes looks for it, if that exists.
pub fn last_words(text: &str) {
    /// The size limit of Kubernetes.
    const MAX_TERMINATION_LOG: usize = 4096;
    let mut text = redact::hide(fill!("rinit: {}", text));
    text.truncate(text.floor_char_boundary(MAX_TERMINATION_LOG - 1));
    text.push('\n');
    crate::sys::fs::files::append("/dev/termination-log", &text, MAX_TERMINATION_LOG);
}

/// Tells what is wrong with the command line, in view of the configuration. Nothing was started.
fn wrong_usage(why: &str) -> u8 {
    output::line(LogLevel::Error, "", why);
    last_words(why);
    exit_code::USAGE
}

/// Writes an answer to standard output. Returns `code`, unless the write has failed.
pub fn answer(text: &str, code: u8) -> u8 {
    match write::answer(1, text.as_bytes()) {
        Ok(()) => code,
        Err(Unwritten::Signal(signal)) => exit_code::of_signal(signal),
        Err(Unwritten::Refused(errno)) => {
            output::install(LogLevel::Error, LogFormat::Text, Persona::Rinit);
            let why = fill!("standard output cannot be written: {}", crate::sys::describe(errno));
            output::line(LogLevel::Error, "", &why);
            // A failed result matters more than a failed write.
            if code == 0 { exit_code::OS_ERROR } else { code }
        }
    }
}

/// A start in progress.
struct Launch<'i> {
    invocation: &'i Invocation,
    inherited: Inherited,
    /// Signals that rinit inherited as ignored.
    ignored: Vec<Signal>,
    /// The active profiles.
    profiles: Vec<String>,
}

/// Returns the profiles of the command line and of `RINIT_PROFILES`.
fn profiles(invocation: &Invocation) -> Vec<String> {
    let named = args::variable("RINIT_PROFILES").and_then(|value| std::str::from_utf8(value).ok());
    let named = named.into_iter().flat_map(|names| names.split(',')).map(str::trim);
    let all = invocation.profiles.iter().map(|name| name.trim()).chain(named);
    all.filter(|name| !name.is_empty()).map(str::to_string).gather()
}

/// Returns the level, if one is chosen, and the format of rinit's own lines: options before variables.
fn log_choice(invocation: &Invocation) -> (Option<LogLevel>, LogFormat) {
    fn named<T: crate::text::words::Word>(variable: &str) -> Option<T> {
        let value = args::variable(variable).and_then(|value| std::str::from_utf8(value).ok());
        value.and_then(|word| crate::config::read::table::one_of(word).ok())
    }
    let level = match (invocation.quiet, invocation.verbosity) {
        (true, _) => Some(LogLevel::Error),
        (_, 0) => named("RINIT_LOG"),
        (_, 1) => Some(LogLevel::Debug),
        (_, _) => Some(LogLevel::Trace),
    };
    let format = invocation.log_format.or_else(|| named("RINIT_LOG_FORMAT"));
    (invocation.log_level.or(level), format.unwrap_or(LogFormat::Text))
}

impl Launch<'_> {
    /// Runs a single command without configuration.
    fn plain(self, ignored_files: bool) -> u8 {
        if self.invocation.mode == Mode::Record {
            return record(args::environment());
        }
        // Without a configuration these modes have nothing to inspect.
        if !ignored_files && matches!(self.invocation.mode, Mode::Validate | Mode::Check | Mode::EnvDocs) {
            return wrong_usage(
                "no configuration: neither /etc/rinit.toml nor /etc/rinit.d/*.toml exists; name one with --config FILE",
            );
        }
        if self.invocation.command.is_empty() {
            if inside::another(self.invocation) {
                return inside::nothing_to_run();
            }
            return wrong_usage(
                "nothing to run: give a COMMAND, or a configuration with --config (neither /etc/rinit.toml nor /etc/rinit.d/*.toml exists); rinit --help tells more",
            );
        }
        let mut plan = resolve::alone(&self.invocation.command);
        match self.invocation.mode {
            Mode::Supervise => {}
            Mode::Exec => return self.exec(&plan, None, SocketTable::default()),
            Mode::Record | Mode::Check | Mode::Validate | Mode::Explain | Mode::EnvDocs => {
                let why = if ignored_files {
                    "the configuration is not meant for this command"
                } else {
                    "there is no configuration"
                };
                return answer(&fill!("{}: nothing is checked, the command is just run\n", why), 0);
            }
        }
        // The time for leftovers in the COMMAND's group is limited like that for all others.
        if let Some(main) = plan.services.first_mut() {
            main.rules.stop_grace = self.invocation.kill_after.unwrap_or(plan.whole.sweep_grace);
        }
        adopt_orphans();
        run(
            self.invocation,
            plan,
            bare(self.inherited, SessionMode::Foreground),
            InheritedFds::All,
            Vec::new(),
            None,
        )
    }

    /// Replaces rinit by the command.
    fn exec(self, plan: &Plan, environ: Option<Environ>, sockets: SocketTable) -> u8 {
        let Some(main) = plan.whole.main.and_then(|main| plan.services.get(main.index())) else {
            return exit_code::USAGE;
        };
        let starter = Starter {
            environ,
            sockets,
            null: stdio::open_null(),
            ..bare(self.inherited, SessionMode::Foreground)
        };
        output::finish();
        let failure = starter.replace(&main.program);
        output::line(LogLevel::Error, "", &failure.why);
        last_words(&failure.why);
        failure.code
    }
}

/// `--record`.
#[inline(never)]
fn record(environ: Environ) -> u8 {
    answer(&crate::checks::report::record::record(&crate::checks::Facts::live(environ)), 0)
}

/// Creates a starter for a COMMAND that inherits everything unchanged.
fn bare(inherited: Inherited, place: SessionMode) -> Starter {
    Starter::bare(inherited, place)
}

/// Becomes a subreaper: a process that is not PID 1 must ask for orphans.
fn adopt_orphans() {
    if crate::sys::pid() != 1
        && let Err(errno) = crate::sys::become_subreaper()
    {
        output::line(
            LogLevel::Warn,
            "",
            &fill!(
                "not PID 1, and orphans cannot be adopted ({}): they go to PID 1, which must reap them",
                crate::sys::describe(errno)
            ),
        );
    }
}

/// Supervises until rinit exits.
fn run(
    invocation: &Invocation,
    plan: Plan,
    starter: Starter,
    given: InheritedFds,
    kept: Vec<Received>,
    reader: Option<Box<dyn ConfigReader>>,
) -> u8 {
    if let Some(signal) = invocation.pdeathsig {
        let _ = crate::sys::signal_at_parents_death(signal);
    }
    let RunResult { code, last_words: words } = assemble(invocation, plan, starter, given, reader).run(kept);
    if code != 0 {
        let words = if words.is_empty() { fill!("ended with code {}", &code.to_string()) } else { words };
        last_words(&words);
    }
    code
}

/// Applies command line options to the settings of the container.
fn by_options(invocation: &Invocation, whole: &mut Settings) {
    whole.group_signals = invocation.group;
    whole.sweep_grace = invocation.kill_after.unwrap_or(whole.sweep_grace);
    if whole.sweep_grace.is_zero() && whole.leftovers == Leftovers::Stop {
        whole.leftovers = Leftovers::Leave;
    }
}

/// Assembles the event loop. Separate and boxed, to keep the loop's stack shallow: rinit uses only a handful of pages,
/// and the stack is one of them.
#[inline(never)]
fn assemble(
    invocation: &Invocation,
    mut plan: Plan,
    starter: Starter,
    given: InheritedFds,
    reader: Option<Box<dyn ConfigReader>>,
) -> Box<Runtime> {
    if let Some(main) = plan.whole.main.and_then(|main| plan.services.get_mut(main.index())) {
        main.rules.success.extend(invocation.remap.iter().copied().flat_map(exit_code::remapped));
    }
    by_options(invocation, &mut plan.whole);
    let control = starter.places.as_ref().map(|_| Control::open(&plan.control, plan.services.len()));
    let http = control.as_ref().and_then(|control| http_helper(&plan, control));
    plan.whole.seed = crate::sys::event::clock::now().0;
    let (main, alone) = (plan.whole.main, plan.whole.main.is_some() && plan.services.len() == 1);
    // The policies move to the core; the services keep what is run.
    let rules = plan.services.iter_mut().map(|service| std::mem::take(&mut service.rules)).gather();
    let (core, services) = allocator::compactly(|| divide::divide(rules, &plan));
    drop(plan);
    if starter.places.is_some() {
        // This is all that is kept of the configuration.
        allocator::compactly(redact::copy);
        allocator::give_back();
    }
    Box::new(Runtime {
        logs: Logs::new(&services),
        main,
        alone,
        core,
        services,
        starter: Box::leak(Box::new(starter)),
        waiter: Waiter::default(),
        rewrites: invocation.rewrites.clone(),
        warn_on_reap: invocation.warn_on_reap,
        persona: invocation.persona,
        given,
        control,
        http,
        reader,
    })
}

/// Starts the HTTP helper, if configured. Reports a failure.
#[cold]
#[inline(never)]
fn http_helper(plan: &Plan, control: &Control) -> Option<Box<HttpHelper>> {
    let address = plan.control.http.as_ref()?;
    let opened = match control.server.name() {
        Some(socket) => HttpHelper::open(address, &socket),
        None => Err("[control] http: there is no control socket to ask: nobody answers".into()),
    };
    match opened {
        Ok(helper) => Some(Box::new(helper)),
        Err(why) => {
            output::line(LogLevel::Warn, "", &why);
            None
        }
    }
}
