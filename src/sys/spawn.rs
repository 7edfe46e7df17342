//! Starting a process: a child that shares rinit's memory until execve (the way of
//! posix_spawn(3), for the price of a vfork(2)).
//!
//! Everything between clone and execve is in [`child`]. It allocates nothing, takes no lock, logs nothing,
//! and calls only what signal-safety(7) allows; what goes wrong there is written where the parent finds it.

use super::users::{self, Identity};
use super::{Errno, limits, signals};
use crate::model::{Pid, Signal, Ulimit};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::fd::RawFd;

/// Which step between clone and execve failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// No process could be made.
    Fork,
    /// setpgid or setsid.
    Group,
    /// setrlimit.
    Ulimits,
    /// The supplementary groups, the group or the user.
    Credentials,
    /// The working directory.
    Directory,
    /// Descriptors 0, 1, 2.
    Stdio,
    /// The program itself.
    Exec,
}

/// Why there is no process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpawnError {
    /// At which step.
    pub stage: Stage,
    /// What the kernel said.
    pub errno: Errno,
}

impl SpawnError {
    /// Whether another attempt may succeed: a want of processes, memory or descriptors, or a file being written.
    #[must_use]
    pub fn may_pass(self) -> bool {
        matches!(
            self.errno,
            Errno::EAGAIN
                | Errno::ENOMEM
                | Errno::EMFILE
                | Errno::ENFILE
                | Errno::ETXTBSY
                | Errno::EINTR
                | Errno::EIO
        )
    }
}

/// Where the process belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// A process group of its own in rinit's session; in the foreground of the terminal if rinit is there (the COMMAND).
    Foreground,
    /// A session of its own, out of the terminal's reach (a service).
    Session,
    /// A session of its own that takes the terminal at standard input (dumb-init).
    OwnTerminal,
    /// Where rinit is: the process that takes rinit's place (`--exec`).
    Stay,
}

/// What it inherits of signals and descriptors.
#[derive(Clone, Copy)]
pub enum Slate<'a> {
    /// What rinit was given, as if rinit were not there: the mask, what was ignored, and all descriptors.
    AsGiven(&'a signals::Inherited),
    /// Nothing blocked, nothing ignored (these are now), and descriptors 0, 1 and 2 alone.
    Clean(&'a [Signal]),
}

/// The environment of a process.
#[derive(Clone, Copy)]
pub enum Environment<'a> {
    /// The very block that rinit was given.
    Given,
    /// These entries.
    Entries(&'a [CString]),
}

/// Everything about the process to be started.
pub struct Recipe<'a> {
    /// Paths to try in turn, as execvp(3) does.
    pub candidates: &'a [CString],
    /// Its arguments, its name first.
    pub argv: &'a [CString],
    /// Its environment.
    pub environment: Environment<'a>,
    /// Where it is to start; `None`: nobody asked for a directory.
    pub directory: Option<&'a CStr>,
    /// Where it starts when nobody asked; `None`: where rinit is.
    pub given_directory: Option<&'a CStr>,
    /// Its rights; `None`: rinit's.
    pub ids: Option<&'a Identity>,
    /// Its file mode creation mask.
    pub umask: Option<u32>,
    /// What it may use of the kernel.
    pub ulimits: &'a [Ulimit],
    /// What becomes its 0, 1 and 2; `None`: rinit's own.
    pub stdio: [Option<RawFd>; 3],
    /// Process group and session.
    pub place: Place,
    /// Signals and descriptors.
    pub slate: Slate<'a>,
}

/// What the child reads and where it leaves its failure.
struct Order<'a> {
    recipe: &'a Recipe<'a>,
    candidates: &'a [*const c_char],
    argv: &'a [*const c_char],
    envp: *const *const c_char,
    /// The digits of `LISTEN_PID=`, to be filled with the child's own pid (sd_listen_fds(3)).
    listen_pid: *mut c_char,
    failure: Option<SpawnError>,
}

/// Room for the frames of `clone_and_wait` and of the C library's clone, above the child's own.
const CLEAR_OF_OURS: usize = 1024;
const LISTEN_PID: &[u8] = b"LISTEN_PID=";

/// Starts a process. When this returns `Ok` the program has been loaded and runs.
pub fn spawn(recipe: &Recipe<'_>) -> Result<Pid, SpawnError> {
    with_order(recipe, clone_and_wait)
}

/// Becomes the program. Returns only when that failed; the signal state is the program's by then.
#[must_use]
pub fn replace(recipe: &Recipe<'_>) -> SpawnError {
    with_order(recipe, |order| prepare(order.recipe).map_or_else(|error| error, |()| exec(&order)))
}

/// Lays out what execve(2) takes, before there is a child that must not allocate.
fn with_order<T>(recipe: &Recipe<'_>, run: impl FnOnce(Order<'_>) -> T) -> T {
    let candidates = pointers(recipe.candidates);
    let argv = pointers(recipe.argv);
    let given = super::given::environment_block();
    let mut block = match recipe.environment {
        Environment::Entries(entries) => pointers(entries),
        Environment::Given if given.is_null() => vec![std::ptr::null()],
        Environment::Given => Vec::new(), // as it is, without a copy
    };
    let mut listen = Vec::new();
    let mut listen_pid = std::ptr::null_mut();
    if matches!(recipe.slate, Slate::AsGiven(_)) && super::given::variable("LISTEN_PID").is_some() {
        if block.is_empty() {
            block = copy_block(given);
        }
        listen_pid = redirect_listen_pid(&mut block, &mut listen);
    }
    let envp = if block.is_empty() { given } else { block.as_ptr() };
    run(Order { recipe, candidates: &candidates, argv: &argv, envp, listen_pid, failure: None })
}

/// Points the block's `LISTEN_PID=` at a text of ours, and returns where its digits go; null without one.
fn redirect_listen_pid(block: &mut [*const c_char], text: &mut Vec<u8>) -> *mut c_char {
    let is_listen = |entry: &&mut *const c_char| {
        // SAFETY: each entry of the block is a string or the final null.
        !entry.is_null() && unsafe { CStr::from_ptr(**entry) }.to_bytes().starts_with(LISTEN_PID)
    };
    let Some(slot) = block.iter_mut().find(is_listen) else { return std::ptr::null_mut() };
    text.extend_from_slice(LISTEN_PID);
    text.resize(LISTEN_PID.len() + 12, 0);
    *slot = text.as_ptr().cast();
    // SAFETY: within the text, which has 12 bytes behind the name.
    unsafe { text.as_mut_ptr().add(LISTEN_PID.len()) }.cast()
}

#[inline(never)]
fn clone_and_wait(mut order: Order<'_>) -> Result<Pid, SpawnError> {
    // Right below rinit's own frames, on a page that is touched already, as with vfork(2); but not on the frames of
    // the call itself, for the child begins there while rinit has yet to return from it.
    let mut here = 0u128;
    let top = (&raw mut here).cast::<u8>().wrapping_sub(CLEAR_OF_OURS);
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: CLONE_VFORK suspends rinit, its only thread, until the child has left this memory by execve
    // or _exit, so `order` outlives its use, and what is below rinit's frames is nobody else's meanwhile.
    let pid = unsafe { libc::clone(child, top.cast::<c_void>(), flags, (&raw mut order).cast::<c_void>()) };
    if pid < 0 {
        return Err(SpawnError { stage: Stage::Fork, errno: Errno::last() });
    }
    match order.failure {
        None => Ok(pid),
        Some(error) => {
            // The failed child is gone already; this does not wait.
            // SAFETY: a child of ours that nobody else knows; no status is asked for.
            unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
            Err(error)
        }
    }
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
}

fn copy_block(block: *const *const c_char) -> Vec<*const c_char> {
    let mut copy = Vec::new();
    for n in 0.. {
        // SAFETY: the block ends with a null pointer, where this stops.
        let entry = unsafe { *block.add(n) };
        copy.push(entry);
        if entry.is_null() {
            break;
        }
    }
    copy
}

/// The child, from clone to execve. Async-signal-safe throughout; every signal is blocked until the last step.
extern "C" fn child(order: *mut c_void) -> c_int {
    // SAFETY: `clone_and_wait` passed its own `Order`, and waits for us to be done with it.
    let order = unsafe { &mut *order.cast::<Order<'_>>() };
    let error = prepare(order.recipe).map_or_else(|error| error, |()| exec(order));
    order.failure = Some(error);
    // SAFETY: ends the child without exit handlers, which are the parent's.
    unsafe { libc::_exit(127) }
}

/// A system call that takes and returns integers, made directly: the C library's set*id would look for threads.
fn call(stage: Stage, result: libc::c_long) -> Result<(), SpawnError> {
    if result == -1 { Err(SpawnError { stage, errno: Errno::last() }) } else { Ok(()) }
}

fn prepare(recipe: &Recipe<'_>) -> Result<(), SpawnError> {
    join_group(recipe.place)?;
    for (target, source) in (0..).zip(recipe.stdio) {
        if let Some(source) = source {
            // SAFETY: a query and a copy of descriptor numbers. The flag on the copy is cleared by dup2.
            call(Stage::Stdio, libc::c_long::from(unsafe { libc::dup2(source, target) }))?;
        }
    }
    if let Slate::Clean(_) = recipe.slate {
        super::stdio::close_above_stderr();
    }
    if let Some(mask) = recipe.umask {
        // SAFETY: takes an integer.
        unsafe { libc::umask(mask) };
    }
    // Before the user: only root may raise a hard limit.
    for limit in recipe.ulimits {
        limits::set(limit).map_err(|errno| SpawnError { stage: Stage::Ulimits, errno })?;
    }
    if let (None, Some(directory)) = (recipe.directory, recipe.given_directory) {
        // Before the user, who may be one that cannot go there: without rinit in `/` it would just be inherited. One that
        // is gone is no failure either.
        // SAFETY: a string that lives for the call.
        unsafe { libc::chdir(directory.as_ptr()) };
    }
    if let Some(ids) = recipe.ids {
        users::switch_to(ids).map_err(|errno| SpawnError { stage: Stage::Credentials, errno })?;
    }
    // After the user: a folder that only rinit may enter is no place for the service.
    if let Some(directory) = recipe.directory {
        // SAFETY: a string that lives for the call.
        call(Stage::Directory, libc::c_long::from(unsafe { libc::chdir(directory.as_ptr()) }))?;
    }
    Ok(())
}

fn join_group(place: Place) -> Result<(), SpawnError> {
    match place {
        Place::Stay => {
            signals::outlast_terminal_stop();
            return Ok(());
        }
        // SAFETY: no arguments. The child leads no group yet, so this cannot be refused.
        Place::Session => return call(Stage::Group, libc::c_long::from(unsafe { libc::setsid() })),
        Place::OwnTerminal => {
            // SAFETY: integers only; without a terminal the second is an error that means nothing.
            return call(Stage::Group, unsafe {
                let session = libc::c_long::from(libc::setsid());
                libc::ioctl(0, libc::TIOCSCTTY as _, 0);
                session
            });
        }
        Place::Foreground => {}
    }
    // SAFETY: integers only.
    unsafe {
        let before = libc::getpgrp();
        if libc::setpgid(0, 0) == -1 && Errno::last() != Errno::EPERM {
            return Err(SpawnError { stage: Stage::Group, errno: Errno::last() });
        }
        // Only the group in the foreground may give the terminal away; SIGTTOU is blocked here.
        if libc::tcgetpgrp(0) == before {
            signals::outlast_terminal_stop();
            libc::tcsetpgrp(0, libc::getpid());
        }
    }
    Ok(())
}

fn exec(order: &Order<'_>) -> SpawnError {
    if !order.listen_pid.is_null() {
        write_pid(order.listen_pid);
    }
    match order.recipe.slate {
        Slate::AsGiven(inherited) => signals::restore(inherited),
        Slate::Clean(ignored) => signals::clean_slate(ignored),
    }
    // As execvp(3): a folder that lacks the program or may not be entered is passed over, but the want
    // of a permission is what is told in the end.
    let mut errno = Errno::ENOENT;
    for path in order.candidates.iter().filter(|path| !path.is_null()) {
        // SAFETY: strings and lists that end in null and outlive the call, which only returns on failure.
        unsafe { libc::execve(*path, order.argv.as_ptr(), order.envp) };
        match Errno::last() {
            Errno::ENOENT | Errno::ENOTDIR => {}
            Errno::EACCES => errno = Errno::EACCES,
            other => {
                errno = other;
                break;
            }
        }
    }
    SpawnError { stage: Stage::Exec, errno }
}

/// Writes the own pid in decimal, ended by a NUL, into a place for 12 bytes.
fn write_pid(place: *mut c_char) {
    // SAFETY: no arguments.
    let mut left = unsafe { libc::getpid() }.unsigned_abs();
    let mut digits = [0u8; 10];
    let mut count = 0;
    for digit in &mut digits {
        *digit = b'0' + u8::try_from(left % 10).unwrap_or(0);
        left /= 10;
        count += 1;
        if left == 0 {
            break;
        }
    }
    for (n, digit) in digits.iter().take(count).rev().enumerate() {
        // SAFETY: at most 10 digits into 12 bytes that were zero, so that a NUL follows.
        unsafe { *place.add(n) = digit.cast_signed() as c_char };
    }
}

/// Where execvp(3) would look for a program: the word itself when it has a slash, else every folder of `path`.
#[must_use]
pub fn candidates(program: &CStr, path: Option<&[u8]>) -> Vec<CString> {
    let word = program.to_bytes();
    if word.contains(&b'/') || word.is_empty() {
        return vec![program.to_owned()];
    }
    // The default of the C libraries for an unset PATH, without the current directory.
    path.unwrap_or(b"/usr/local/bin:/bin:/usr/bin")
        .split(|b| *b == b':')
        .filter_map(|folder| {
            let folder = if folder.is_empty() { b".".as_slice() } else { folder };
            CString::new([folder, b"/", word].concat()).ok()
        })
        .collect()
}
