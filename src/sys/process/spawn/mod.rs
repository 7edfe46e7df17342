//! Starts a process: the child shares rinit's memory until execve (like posix_spawn(3), as cheap as vfork(2)).
//!
//! rinit waits briefly for execve and then continues: a program on a hanging file system must not hang PID 1. So the
//! child has its own stack, everything it reads is kept for it in a `Block`, and between clone and execve (`child`) it
//! only makes system calls: no allocation, no lock, no `errno`.

mod child;

use super::credentials::Identity;
pub use super::descriptors::PassedFd;
use crate::model::privileges::ExecPrivileges;
use crate::model::{Pid, Signal, Ulimit};
use crate::sys::event::signals;
use crate::sys::{Errno, raw};
use crate::text::gather::Gather;
use crate::text::template::fill;
use child::{ExecOrder, exec, prepare};
use std::borrow::Cow;
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::fd::{OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// The step between clone and execve that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// clone: no process could be created.
    Fork,
    /// setpgid or setsid.
    Group,
    /// setrlimit.
    Ulimits,
    /// Niceness, processors, capabilities.
    Privileges,
    /// The supplementary groups, the group or the user.
    Credentials,
    /// The working directory.
    Directory,
    /// Descriptors 0, 1, 2.
    Stdio,
    /// execve of the program itself.
    Exec,
}

/// Why a process could not be started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpawnError {
    /// The step that failed.
    pub stage: Stage,
    /// The kernel's error.
    pub errno: Errno,
}

impl SpawnError {
    /// Returns whether a retry may succeed: out of processes, memory or descriptors, or the file is being written.
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

/// Session and process group of the new process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SessionMode {
    /// Its own process group in rinit's session; in the terminal's foreground if rinit is (the COMMAND).
    Foreground,
    /// Its own session, detached from the terminal (a service).
    Session,
    /// Its own session, with the terminal at standard input as its controlling terminal (dumb-init).
    OwnTerminal,
    /// rinit's own: for the process that replaces rinit (`--exec`).
    Stay,
}

/// Signals and descriptors that the process inherits.
#[derive(Clone, Copy)]
pub enum Inheritance<'a> {
    /// What rinit inherited, as if rinit were not there: mask, ignored signals and all descriptors.
    AsGiven(&'a signals::Inherited),
    /// A clean slate: nothing blocked or ignored (rinit inherited these as ignored), descriptors 0, 1 and 2 only.
    Clean(&'a [Signal]),
}

/// The environment of a process.
#[derive(Clone)]
pub enum Environment<'a> {
    /// The original block that rinit was given.
    Given,
    /// These entries.
    Entries(Cow<'a, [CString]>),
}

impl Environment<'_> {
    /// Returns the PATH in it.
    #[must_use]
    pub fn path(&self) -> Option<&[u8]> {
        match self {
            Self::Given => crate::sys::args::variable("PATH"),
            Self::Entries(entries) => {
                entries.iter().find_map(|entry| entry.to_bytes().strip_prefix(b"PATH="))
            }
        }
    }
}

/// The description of a process to start.
pub struct ExecSpec<'a> {
    /// Paths to try in order, as execvp(3) does.
    pub candidates: Vec<CString>,
    /// Arguments, starting with its name.
    pub argv: Cow<'a, [CString]>,
    /// Environment.
    pub environment: Environment<'a>,
    /// Working directory; `None`: not configured.
    pub directory: Option<Cow<'a, CStr>>,
    /// Working directory if none is configured; `None`: rinit's.
    pub given_directory: Option<&'a CStr>,
    /// User and groups; `None`: rinit's.
    pub ids: Option<Identity>,
    /// File mode creation mask.
    pub umask: Option<u32>,
    /// Resource limits.
    pub ulimits: Cow<'a, [Ulimit]>,
    /// The `cgroup.procs` of the cgroup that it enters.
    pub cgroup: Option<OwnedFd>,
    /// Privileges and scheduling attributes.
    pub privileges: Option<Cow<'a, ExecPrivileges>>,
    /// The inherited limit of open files, if rinit has changed its own.
    pub open_files: Option<Ulimit>,
    /// Descriptors that become 0, 1 and 2; `None`: rinit's own.
    pub stdio: [Option<RawFd>; 3],
    /// Descriptors above 2 that it gets.
    pub passed: Vec<PassedFd>,
    /// Variables of its environment, each with `=`, that get its own pid as their value.
    pub pid_variables: Vec<&'static [u8]>,
    /// Process group and session.
    pub place: SessionMode,
    /// Signals and descriptors.
    pub slate: Inheritance<'a>,
}

/// The result of a start.
pub enum Start<'a> {
    /// The program is loaded and runs.
    Running(Pid),
    /// The process exists but has not loaded the program yet.
    Loading(Loading<'a>),
    /// No process was created, or it failed before the program ran.
    Failed(SpawnError, Box<ExecSpec<'a>>),
}

/// What a start that is still loading waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoadingStep<'a> {
    /// A step before any path is used.
    Setup,
    /// chdir to the working directory.
    Directory(&'a CStr),
    /// execve of this path, or its interpreter.
    Exec(&'a CStr),
}

/// How long rinit waits for execve if no other start is loading: much longer than any disk takes.
const LOAD_WAIT: Duration = Duration::from_millis(64);

/// See sd_listen_fds(3).
pub const LISTEN_PID: &[u8] = b"LISTEN_PID=";

/// The child's stack: several times what the release build uses. Only used pages are touched.
const STACK: usize = if cfg!(debug_assertions) { 64 * 1024 } else { 4 * 1024 };

/// Memory that the child uses until it has left rinit's address space.
#[repr(C)]
struct Block<'a> {
    stack: [MaybeUninit<u128>; STACK / size_of::<u128>()],
    order: ExecOrder<'a>,
}

/// Starts that currently share rinit's memory, and those among them that switch users.
static LOADING: AtomicU32 = AtomicU32::new(0);
static LOADING_AS_OTHERS: AtomicU32 = AtomicU32::new(0);
/// Whether rinit was dumpable before the first of these: a child that switches users while sharing the memory clears
/// the flag.
static DUMPABLE: AtomicBool = AtomicBool::new(false);
/// Whether this kernel does not signal that a child has left (qemu-user, gVisor): then clone suspends rinit until it
/// has.
static SUSPENDS: AtomicBool = AtomicBool::new(false);

/// Starts a process and waits briefly for its program to be loaded.
pub fn spawn(recipe: ExecSpec<'_>) -> Start<'_> {
    let loading = match Loading::begin(recipe) {
        Ok(loading) => loading,
        Err((error, recipe)) => return Start::Failed(error, recipe),
    };
    // With several hanging starts, wait less for each.
    let others = LOADING.load(Ordering::Relaxed).saturating_sub(1).min(7);
    if !loading.wait(LOAD_WAIT / (1 << others)) {
        return Start::Loading(loading);
    }
    let pid = loading.pid;
    match loading.finish() {
        Ok(pid) => Start::Running(pid),
        Err((error, recipe)) => {
            // The child is past all signals, in the last steps of its exit: this does not block.
            // SAFETY: a child of ours that no other code knows; no status is requested.
            unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
            Start::Failed(error, recipe)
        }
    }
}

/// Starts a process and waits until its program is loaded. For a helper, which is killed if that takes too long.
pub fn spawn_and_wait(recipe: ExecSpec<'_>) -> Result<Pid, SpawnError> {
    match spawn(recipe) {
        Start::Running(pid) => Ok(pid),
        Start::Failed(error, _) => Err(error),
        Start::Loading(loading) => {
            while !loading.wait(Duration::from_secs(1)) && !loading.has_left() {}
            loading.finish().map_err(|(error, _)| error)
        }
    }
}

/// Replaces this process by the program. Returns only on failure; by then the signal state is the program's.
#[must_use]
pub fn replace(recipe: ExecSpec<'_>) -> (SpawnError, ExecSpec<'_>) {
    let order = ExecOrder::new(recipe);
    signals::outlast_terminal_stop();
    set_oom_score_adj(crate::sys::pid(), &order.recipe);
    let error = prepare(&order).map_or_else(|error| error, |()| exec(&order));
    (error, order.recipe)
}

/// A start whose program is not loaded yet. Its child shares rinit's memory.
pub struct Loading<'a> {
    pid: Pid,
    block: NonNull<Block<'a>>,
}

impl<'a> Loading<'a> {
    fn begin(recipe: ExecSpec<'a>) -> Result<Self, (SpawnError, Box<ExecSpec<'a>>)> {
        let as_other = recipe.ids.is_some();
        let block = NonNull::from(Box::leak(Box::<Block<'a>>::new_uninit())).cast::<Block<'a>>();
        // SAFETY: the block is uninitialised; only the order is written, and the stack needs no initialisation.
        let order = unsafe {
            let order = &raw mut (*block.as_ptr()).order;
            order.write(ExecOrder::new(recipe));
            order
        };
        LOADING.fetch_add(1, Ordering::Relaxed);
        if as_other && LOADING_AS_OTHERS.fetch_add(1, Ordering::Relaxed) == 0 {
            DUMPABLE.store(crate::sys::is_dumpable(), Ordering::Relaxed);
        }
        match clone(order) {
            Ok(pid) => Ok(Self { pid, block }),
            Err(errno) => {
                let recipe = Box::new(close(block, as_other));
                Err((SpawnError { stage: Stage::Fork, errno }, recipe))
            }
        }
    }

    /// Returns the process id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    fn order(&self) -> &ExecOrder<'a> {
        // SAFETY: initialised by `begin`, freed only by `finish`. The child changes only its atomics.
        unsafe { &(*self.block.as_ptr()).order }
    }

    /// Waits up to `bound` for the child to leave rinit's memory; returns whether it has.
    fn wait(&self, bound: Duration) -> bool {
        let time = crate::sys::event::clock::timespec(bound);
        let word = &self.order().shares;
        // An interrupted wait restarts with the full time, a few times at most.
        for _ in 0..4 {
            if word.load(Ordering::Acquire) == 0 {
                return true;
            }
            let arguments = [
                raw::address(word.as_ptr()),
                raw::number(libc::FUTEX_WAIT),
                1,
                raw::address(&raw const time),
            ];
            // SAFETY: futex(2) reads a word and a time of ours.
            if unsafe { raw::call(libc::SYS_futex, &arguments) } == Err(Errno::ETIMEDOUT) {
                break;
            }
        }
        word.load(Ordering::Acquire) == 0
    }

    /// Returns whether the child has left rinit's memory: the program is loaded, or the child has ended.
    #[must_use]
    pub fn has_left(&self) -> bool {
        if self.order().shares.load(Ordering::Acquire) == 0 {
            return true;
        }
        let exe = |pid: &str| std::fs::read_link(fill!("/proc/{}/exe", pid)).ok();
        let left = exe(&self.pid.to_string()).is_some_and(|path| Some(path) != exe("self"));
        if left {
            SUSPENDS.store(true, Ordering::Relaxed);
        }
        left
    }

    /// Returns whether the child has failed and is exiting, or has exited.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.order().failure().is_some()
    }

    /// Returns the current step.
    #[must_use]
    pub fn step(&self) -> LoadingStep<'_> {
        let order = self.order();
        let directory = order.recipe.directory.as_deref().or(order.recipe.given_directory);
        match (order.step.load(Ordering::Relaxed), directory) {
            (0, _) => LoadingStep::Setup,
            (1, Some(directory)) => LoadingStep::Directory(directory),
            (n, _) => {
                let at = usize::try_from(n).unwrap_or(0).saturating_sub(2);
                order.recipe.candidates.get(at).map_or(LoadingStep::Setup, |path| LoadingStep::Exec(path))
            }
        }
    }

    /// Finishes a start whose child [has left](Self::has_left) or was reaped.
    pub fn finish(self) -> Result<Pid, (SpawnError, Box<ExecSpec<'a>>)> {
        let (pid, failure) = (self.pid, self.order().failure());
        let recipe = close(self.block, self.order().recipe.ids.is_some());
        if failure.is_none() {
            set_oom_score_adj(pid, &recipe);
        }
        failure.map_or(Ok(pid), |error| Err((error, Box::new(recipe))))
    }
}

/// Applied once the process has its own memory. Whether rinit may do this was checked before.
fn set_oom_score_adj(pid: Pid, recipe: &ExecSpec<'_>) {
    if let Some(adj) = recipe.privileges.as_ref().and_then(|rights| rights.oom_score_adj) {
        let _ = super::privileges::set_oom_score_adj(pid, adj);
    }
}

/// Reclaims a block that no child uses any more.
fn close<'a>(block: NonNull<Block<'a>>, as_other: bool) -> ExecSpec<'a> {
    LOADING.fetch_sub(1, Ordering::Relaxed);
    if as_other && LOADING_AS_OTHERS.fetch_sub(1, Ordering::Relaxed) == 1 && DUMPABLE.load(Ordering::Relaxed)
    {
        crate::sys::be_dumpable();
    }
    // SAFETY: the block came from a Box, its order is initialised, and no reference to it is left. The stack has no
    // destructor.
    let Block { order, .. } = *unsafe { Box::from_raw(block.as_ptr()) };
    order.recipe
}

/// Creates the child. Returns at once, or, on a kernel that does not support this, when the child has left.
fn clone(order: *mut ExecOrder<'_>) -> Result<Pid, Errno> {
    let shares = libc::CLONE_VM | libc::SIGCHLD;
    // SAFETY: the order lies behind the stack in the same block, which is kept until the child is done with it.
    let made = unsafe {
        let top = order.cast::<u8>();
        let top = top.wrapping_sub(top.addr() % size_of::<u128>());
        let tid = (*order).shares.as_ptr();
        let made = if SUSPENDS.load(Ordering::Relaxed) {
            Err(Errno::EINVAL)
        } else {
            raw::clone(shares | libc::CLONE_CHILD_CLEARTID, top, tid, child::child, order)
        };
        made.or_else(|errno| {
            if errno != Errno::EINVAL {
                return Err(errno);
            }
            SUSPENDS.store(true, Ordering::Relaxed);
            let made = raw::clone(shares | libc::CLONE_VFORK, top, std::ptr::null(), child::child, order);
            (*order).shares.store(0, Ordering::Release);
            made
        })
    };
    made.map(|pid| Pid::try_from(pid).unwrap_or(0))
}

/// Returns the paths where execvp(3) would look for a program: the word itself if it has a slash, else each directory
/// of `path`.
#[must_use]
pub fn candidates(program: &CStr, path: Option<&[u8]>) -> Vec<CString> {
    let word = program.to_bytes();
    if word.contains(&b'/') || word.is_empty() {
        return vec![program.to_owned()];
    }
    // The default of C libraries for an unset PATH, without the current directory.
    path.unwrap_or(b"/usr/local/bin:/bin:/usr/bin")
        .split(|b| *b == b':')
        .filter_map(|directory| {
            let directory = if directory.is_empty() { b".".as_slice() } else { directory };
            CString::new([directory, b"/", word].concat()).ok()
        })
        .gather()
}
