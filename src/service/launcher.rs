//! Starts a service's process from its configuration: environment, user, directory, descriptors.

use super::credentials::Credentials;
use super::exports::{EnvFile, Exports};
use super::extras::StartExtras;
use super::sockets::SocketTable;
use crate::config::source::key_places::KeyPlaces;
use crate::config::{LogDriver, Program, UserSpec};
use crate::diagnosis;
use crate::exit_code;
use crate::model::environ::Environ;
use crate::model::{Pid, ServiceId, Signal, Ulimit};
use crate::sys::Errno;
use crate::sys::container::cgroup;
use crate::sys::event::signals::Inherited;
use crate::sys::executable::format::Content;
use crate::sys::executable::lookup::{self, ExecFacts, ExecQuery};
use crate::sys::fs::pipe;
use crate::sys::process::spawn::{
    self, Environment, ExecSpec, Inheritance, Loading, SessionMode, SpawnError, Stage, Start,
};
use crate::sys::process::{fork, kill, rlimits};
use crate::sys::stdio;
use crate::text::escape::{on_one_line, text_as_bytes};
use crate::text::template::fill;
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::time::Duration;

/// Why a process could not be started.
#[derive(Debug)]
pub struct StartFailure {
    /// Whether a retry would fail in the same way.
    pub lasting: bool,
    /// rinit's exit code if this failure decides it.
    pub code: u8,
    /// One line for the user.
    pub why: String,
    /// The kernel's error, if it was a system call that failed.
    pub error: Option<SpawnError>,
    /// The service's key that caused it; empty: none.
    pub key: &'static str,
}

/// A process that was created.
pub enum Started<'a> {
    /// Its program runs.
    Running(Pid),
    /// Its program is not loaded yet; call [`Starter::finish`] later.
    Loading(Loading<'a>),
}

impl Started<'_> {
    /// Returns the process id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        match self {
            Self::Running(pid) => *pid,
            Self::Loading(loading) => loading.pid(),
        }
    }
}

/// How long to look for the cause of a failed start. Every file that it inspects may hang.
pub(super) const LOOK_TIMEOUT: Duration = Duration::from_millis(300);

/// What all starts have in common.
pub struct Starter {
    /// The signal state that rinit inherited.
    pub inherited: Inherited,
    /// The environment for services, including exports of the checks; `None`: exactly what rinit was given.
    pub environ: Option<Environ>,
    /// Signals that rinit inherited as ignored: reset for services.
    pub ignored: Vec<Signal>,
    /// Session and process group of the COMMAND.
    pub place: SessionMode,
    /// The directory where rinit was started, if it has moved since.
    pub directory: Option<CString>,
    /// /dev/null, for processes without input or output.
    pub null: Option<OwnedFd>,
    /// Source positions of configuration keys that can make a start fail.
    pub places: Option<RefCell<KeyPlaces>>,
    /// Whether the warning that services run as rinit's own user was logged.
    pub told_who_runs: Cell<bool>,
    /// Rights that programs do without, as already told.
    pub told_rights: RefCell<Vec<String>>,
    /// Whether it has already said that /etc/passwd cannot be written.
    pub told_passwd: Cell<bool>,
    /// Whether /bin/sh was used for a script without a `#!` line.
    pub by_shell: Cell<bool>,
    /// Variables exported by oneshots.
    pub exports: Exports,
    /// The sockets that rinit has opened for services.
    pub sockets: SocketTable,
}

/// How all processes of a service are known, wherever they go.
pub struct Fence {
    /// The `cgroup.procs` of its cgroup.
    pub cgroup: Option<OwnedFd>,
    /// A limit that it is marked by.
    pub mark: Option<Ulimit>,
}

/// What a process is to rinit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The COMMAND: it inherits what rinit was given.
    Main,
    /// A service or a probe: it gets a clean slate.
    Service,
    /// The COMMAND, replacing rinit.
    Replacement,
}

impl Starter {
    /// Creates a starter for processes that inherit everything unchanged.
    #[must_use]
    pub fn bare(inherited: Inherited, place: SessionMode) -> Self {
        Self {
            inherited,
            environ: None,
            ignored: Vec::new(),
            place,
            directory: None,
            null: None,
            places: None,
            by_shell: Cell::default(),
            told_who_runs: Cell::new(false),
            told_rights: RefCell::default(),
            told_passwd: Cell::new(false),
            exports: Exports::default(),
            sockets: SocketTable::default(),
        }
    }

    /// Starts a service or the COMMAND. `outputs`, if given, become its standard output and error; they stay open
    /// here. `env_file` is the file to which it may write variables, `fence` by what it and all below it are known,
    /// `extras` what this start hands over.
    pub fn start<'a>(
        &'a self,
        program: &Program,
        role: Role,
        outputs: Option<[RawFd; 2]>,
        env_file: &mut Option<EnvFile>,
        fence: Option<Fence>,
        extras: &mut StartExtras,
    ) -> Result<Started<'a>, StartFailure> {
        if program.passwd {
            self.enter_in_passwd(program, &|job| fork::answer(&self.ignored, LOOK_TIMEOUT, job));
        }
        let mut recipe = self.recipe(program, &program.argv, role)?;
        if let Some(Fence { cgroup, mark }) = fence {
            recipe.cgroup = cgroup;
            let is_free = |mark: &Ulimit| recipe.ulimits.iter().all(|limit| limit.name != mark.name);
            if let Some(mark) = mark.filter(is_free) {
                recipe.ulimits.to_mut().push(mark);
            }
        }
        if let Some([out, err]) = outputs {
            let [input, ..] = recipe.stdio;
            // The COMMAND keeps a terminal.
            let keeps = |fd| role == Role::Main && stdio::is_terminal(fd);
            recipe.stdio = [input, Some(out).filter(|_| !keeps(1)), Some(err).filter(|_| !keeps(2))];
        }
        if recipe.ids.is_some() {
            open_to_others(recipe.stdio);
        }
        if program.export_env.is_some() {
            *env_file = Some(EnvFile::hand_to(&mut recipe)?);
        }
        self.list_sockets(program, extras)?;
        extras.uid = recipe.ids.as_ref().map(|ids| ids.uid);
        if !extras.is_empty() {
            extras.add_to(&mut recipe);
        }
        self.settle(spawn::spawn(recipe))
    }

    /// Adds the sockets of a program to what its start hands over.
    fn list_sockets(&self, program: &Program, extras: &mut StartExtras) -> Result<(), StartFailure> {
        if let Some(settings) = program.sockets.as_deref() {
            let mut all = self.sockets.named(settings).ok_or_else(|| {
                let word = program.argv.first().map_or(c"", CString::as_c_str);
                let failure = self::wrong(word, "one of its sockets is not open");
                StartFailure { key: "sockets", lasting: false, ..failure }
            })?;
            all.append(&mut extras.listed);
            extras.listed = all;
        }
        Ok(())
    }

    /// Completes a start that was still loading its program.
    pub fn finish<'a>(&self, loading: Loading<'a>) -> Result<Started<'a>, StartFailure> {
        match loading.finish() {
            Ok(pid) => Ok(Started::Running(pid)),
            Err((error, recipe)) => self.settle(Start::Failed(error, recipe)),
        }
    }

    pub(super) fn settle<'a>(&self, start: Start<'a>) -> Result<Started<'a>, StartFailure> {
        match start {
            Start::Running(pid) => Ok(Started::Running(pid)),
            Start::Loading(loading) => Ok(Started::Loading(loading)),
            Start::Failed(error, recipe) => {
                let look = |job: &Job<'_>| fork::answer(&self.ignored, LOOK_TIMEOUT, job);
                recover(recipe, error, &look, &spawn::spawn, &self.by_shell)
            }
        }
    }

    /// Explains why a program that was started exited with 2, 126 or 127, if known.
    #[must_use]
    pub fn explain_exit(&self, program: &Program, role: Role) -> Option<String> {
        let recipe = self.recipe(program, &program.argv, role).ok()?;
        let failure = self.settle(Start::Failed(diagnosis::STARTED, Box::new(recipe))).err()?;
        (!failure.why.is_empty()).then_some(failure.why)
    }

    /// Explains why the configured user cannot be used, if so.
    #[must_use]
    pub fn nobody(&self, program: &Program) -> Option<String> {
        let word = program.argv.first().map_or(c"", CString::as_c_str);
        self.person(program.user.as_ref(), word).err().map(|failure| failure.why)
    }

    /// Returns the source position of the key that made a start fail: ` (/etc/rinit.toml:3:11)`.
    #[must_use]
    pub fn place_of(&self, service: ServiceId, key: &str) -> String {
        let place = self.places.as_ref().and_then(|places| places.borrow().of(service, key));
        place.map_or_else(String::new, |place| fill!(" ({})", place))
    }

    /// Replaces rinit by the program. Returns only on failure.
    #[must_use]
    pub fn replace(&self, program: &Program) -> StartFailure {
        let become_it = |recipe| {
            let (error, recipe) = spawn::replace(recipe);
            Start::Failed(error, Box::new(recipe))
        };
        let here = |job: &Job<'_>| {
            let mut found = Vec::new();
            job(&mut found);
            Some(found)
        };
        if program.passwd {
            self.enter_in_passwd(program, &here);
        }
        let failed = self.recipe(program, &program.argv, Role::Replacement).and_then(|mut recipe| {
            let mut extras = StartExtras::default();
            self.list_sockets(program, &mut extras)?;
            extras.add_to(&mut recipe);
            let (error, recipe) = spawn::replace(recipe);
            recover(Box::new(recipe), error, &here, &become_it, &self.by_shell)
        });
        match failed {
            Err(failure) => failure,
            Ok(_) => StartFailure {
                lasting: true,
                code: exit_code::OS_ERROR,
                why: String::new(),
                error: None,
                key: "",
            },
        }
    }

    /// Builds the description of a program's process. It borrows nothing of the program: a reload may drop that while
    /// the process is still loading.
    pub(super) fn recipe<'a>(
        &'a self,
        program: &Program,
        argv: &[CString],
        role: Role,
    ) -> Result<ExecSpec<'a>, StartFailure> {
        self.recipe_as(program, program.user.as_ref(), argv, role)
    }

    /// Builds it for another user than the program's.
    pub(super) fn recipe_as<'a>(
        &'a self,
        program: &Program,
        user: Option<&UserSpec>,
        argv: &[CString],
        role: Role,
    ) -> Result<ExecSpec<'a>, StartFailure> {
        let word = argv.first().map_or(c"", CString::as_c_str);
        let person = self.person(user, word)?;
        let (privileges, ulimits) = self.rights(program, word)?;
        let environment = match self.entries(program, &person, word) {
            None => Environment::Given,
            Some(Cow::Borrowed(environ)) => Environment::Entries(environ.entries().into()),
            Some(Cow::Owned(environ)) => Environment::Entries(environ.into_entries().into()),
        };
        if let Some(ids) = &person.ids {
            kill::remember_user(ids.uid);
        }
        let asked = program.working_dir.as_ref().and_then(|dir| CString::new(text_as_bytes(dir)).ok());
        let null = self.null.as_ref().map(|fd| fd.as_raw_fd());
        Ok(ExecSpec {
            candidates: spawn::candidates(word, environment.path()),
            argv: argv.to_vec().into(),
            environment,
            directory: asked.map(Cow::Owned),
            given_directory: self.directory.as_deref(),
            ids: person.ids,
            umask: program.umask,
            ulimits: Cow::Owned(ulimits.into_owned()),
            cgroup: None,
            privileges: privileges.map(|privileges| Cow::Owned(privileges.into_owned())),
            open_files: rlimits::given_open_files(),
            stdio: match (role, program.logging.driver) {
                (Role::Service, LogDriver::None) => [null; 3],
                (Role::Service, _) => [null, None, None],
                (Role::Main | Role::Replacement, LogDriver::None) => [None, null, null],
                (Role::Main | Role::Replacement, _) => [None; 3],
            },
            passed: Vec::new(),
            pid_variables: Vec::new(),
            place: match role {
                Role::Main => self.place,
                Role::Service => SessionMode::Session,
                Role::Replacement => SessionMode::Stay,
            },
            slate: if role == Role::Service {
                Inheritance::Clean(&self.ignored)
            } else {
                Inheritance::AsGiven(&self.inherited)
            },
        })
    }

    /// Returns the environment of a process; `None`: exactly what rinit was given.
    pub(super) fn entries(
        &self,
        program: &Program,
        person: &Credentials,
        word: &CStr,
    ) -> Option<Cow<'_, Environ>> {
        let exported = !program.clear_env && !self.exports.is_empty();
        let own = program.clear_env
            || !program.unset.is_empty()
            || !program.environment.is_empty()
            || program.instance > 0;
        if !own && !exported && person.variables.is_empty() {
            return self.environ.as_ref().map(Cow::Borrowed);
        }
        let mut environ = match (&self.environ, program.clear_env) {
            (_, true) => Environ::default(),
            (Some(environ), false) => environ.clone(),
            (None, false) => crate::sys::args::environment(),
        };
        if exported {
            self.exports.add_to(&mut environ, person.ids.as_ref(), &word.to_string_lossy());
        }
        environ.remove_fitting(&program.unset);
        for (name, value) in &person.variables {
            environ.set(name, value);
        }
        if program.instance > 0 {
            environ.set("RINIT_INSTANCE", &program.instance.to_string());
        }
        for (name, value) in &program.environment {
            environ.set(name, value);
        }
        Some(Cow::Owned(environ))
    }
}

/// Lets a service of another user open `/dev/stdout` and `/dev/stderr`, if these are rinit's own.
pub(super) fn open_to_others(stdio: [Option<RawFd>; 3]) {
    for (fd, source) in (0..).zip(stdio).skip(1) {
        if source.is_none() {
            pipe::open_to_others(fd);
        }
    }
}

pub(super) fn wrong(word: &CStr, why: &str) -> StartFailure {
    let why = fill!("cannot start \"{}\": {}", &word.to_string_lossy(), why);
    StartFailure {
        lasting: true,
        code: exit_code::OS_ERROR,
        why: on_one_line(&why),
        error: None,
        key: "user",
    }
}

/// A job that inspects files, which may block; it appends its findings to the buffer.
pub(super) type Job<'a> = dyn Fn(&mut Vec<u8>) + 'a;

/// Runs a script without a `#!` line by /bin/sh, as execvp(3) does; explains any other failure. `look` runs a job that
/// may block; it returns nothing on a timeout.
#[cold]
#[inline(never)]
fn recover<'a>(
    recipe: Box<ExecSpec<'a>>,
    error: SpawnError,
    look: &dyn Fn(&Job<'_>) -> Option<Vec<u8>>,
    again: &dyn Fn(ExecSpec<'a>) -> Start<'a>,
    by_shell: &Cell<bool>,
) -> Result<Started<'a>, StartFailure> {
    // Format: the path of a script, a NUL, then the explanation.
    let found = if error.stage == Stage::Fork {
        let mut found = vec![0];
        found.extend(without_a_look(&recipe, error).into_bytes());
        Some(found)
    } else {
        look(&|found| found_out(&recipe, error, found))
    };
    let found = found.as_deref().and_then(|found| split_at_nul(found));
    let why = found.map_or_else(
        || without_a_look(&recipe, error) + "; a file system that does not answer hides why",
        |(_, why)| String::from_utf8_lossy(why).into_owned(),
    );
    if let Some((path, _)) = found
        && !path.is_empty()
    {
        let mut argv = vec![c"/bin/sh".to_owned(), CString::new(path).unwrap_or_default()];
        argv.extend(recipe.argv.iter().skip(1).cloned());
        let candidates = vec![c"/bin/sh".to_owned()];
        let script = again(ExecSpec { candidates, argv: argv.into(), ..*recipe });
        by_shell.set(!matches!(script, Start::Failed(..)) || by_shell.get());
        match script {
            Start::Running(pid) => return Ok(Started::Running(pid)),
            Start::Loading(loading) => return Ok(Started::Loading(loading)),
            Start::Failed(..) => {}
        }
    }
    let code = diagnosis::exit_code(error);
    // A name from outside may contain any bytes.
    let key = match error.stage {
        Stage::Credentials => "user",
        Stage::Exec => "command",
        Stage::Directory => "working_dir",
        Stage::Ulimits => "ulimits",
        Stage::Privileges => "cpu_affinity",
        Stage::Fork | Stage::Group | Stage::Stdio => "",
    };
    Err(StartFailure { lasting: !error.may_pass(), code, why: on_one_line(&why), error: Some(error), key })
}

fn split_at_nul(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == 0)?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}

/// Inspects the files involved in a failed start.
fn found_out(recipe: &ExecSpec<'_>, error: SpawnError, found: &mut Vec<u8>) {
    let argv = &*recipe.argv;
    let look = &mut lookup::look(&ExecQuery {
        word: argv.first().map_or(c"", CString::as_c_str),
        argv,
        candidates: &recipe.candidates,
        path: recipe.environment.path(),
        ids: recipe.ids.as_ref(),
        directory: recipe.directory.as_deref().or(recipe.given_directory),
    });
    look.too_high = recipe.ulimits.iter().find_map(rlimits::too_high);
    if error.errno == Errno::E2BIG {
        let given;
        let entries = match &recipe.environment {
            Environment::Entries(entries) => entries,
            Environment::Given => {
                given = crate::sys::args::environment();
                given.entries()
            }
        };
        look.too_long = rlimits::too_long(argv, entries);
    }
    if error.errno == Errno::ENOEXEC
        && let Some(script) = look.found.as_ref().filter(|found| found.content == Content::Text)
    {
        found.extend_from_slice(script.path.as_bytes());
    }
    found.push(0);
    found.extend(diagnosis::explain(error, look).into_bytes());
}

/// Describes a failure without inspecting files.
fn without_a_look(recipe: &ExecSpec<'_>, error: SpawnError) -> String {
    let word = recipe.argv.first().map_or_else(String::new, |word| word.to_string_lossy().into_owned());
    let most = match error.stage {
        Stage::Fork => (cgroup::most_processes(), cgroup::most_memory()),
        _ => return fill!("cannot start \"{}\": {}", &word, crate::sys::describe(error.errno)),
    };
    diagnosis::explain(error, &ExecFacts { word, most, ..ExecFacts::default() })
}
