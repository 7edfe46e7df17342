//! Starting a process: a child that shares rinit's memory until execve (the way of
//! posix_spawn(3), for the price of a vfork(2)).
//!
//! rinit waits for execve a moment, and then goes on: a program on a file system that hangs must not hang PID 1. The
//! child so has a stack of its own, all that it reads is kept for it in a `Block`, and what it does between clone
//! and execve (`child`) is done with system calls alone: no allocation, no lock, no `errno`.

mod child;

use super::credentials::Identity;
use crate::model::{Pid, Signal, Ulimit};
use crate::sys::event::signals;
use crate::sys::{Errno, raw};
use crate::text::gather::Gather;
use child::{ExecOrder, exec, prepare};
use std::borrow::Cow;
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

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
pub enum SessionMode {
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
pub enum Inheritance<'a> {
    /// What rinit was given, as if rinit were not there: the mask, what was ignored, and all descriptors.
    AsGiven(&'a signals::Inherited),
    /// Nothing blocked, nothing ignored (these are now), and descriptors 0, 1 and 2 alone.
    Clean(&'a [Signal]),
}

/// The environment of a process.
#[derive(Clone)]
pub enum Environment<'a> {
    /// The very block that rinit was given.
    Given,
    /// These entries.
    Entries(Cow<'a, [CString]>),
}

impl Environment<'_> {
    /// The PATH in it.
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

/// Everything about the process to be started.
pub struct ExecSpec<'a> {
    /// Paths to try in turn, as execvp(3) does.
    pub candidates: Vec<CString>,
    /// Its arguments, its name first.
    pub argv: Cow<'a, [CString]>,
    /// Its environment.
    pub environment: Environment<'a>,
    /// Where it is to start; `None`: nobody asked for a directory.
    pub directory: Option<Cow<'a, CStr>>,
    /// Where it starts when nobody asked; `None`: where rinit is.
    pub given_directory: Option<&'a CStr>,
    /// Its rights; `None`: rinit's.
    pub ids: Option<Identity>,
    /// Its file mode creation mask.
    pub umask: Option<u32>,
    /// What it may use of the kernel.
    pub ulimits: &'a [Ulimit],
    /// The limit of open files that rinit was given, where it has another now.
    pub open_files: Option<Ulimit>,
    /// What becomes its 0, 1 and 2; `None`: rinit's own.
    pub stdio: [Option<RawFd>; 3],
    /// A descriptor above 2 that it keeps, with [`Inheritance::Clean`].
    pub kept: Option<RawFd>,
    /// Process group and session.
    pub place: SessionMode,
    /// Signals and descriptors.
    pub slate: Inheritance<'a>,
}

/// What became of a start.
pub enum Start<'a> {
    /// The program has been loaded and runs.
    Running(Pid),
    /// The process is there; the program is not loaded yet.
    Loading(Loading<'a>),
    /// There is no process.
    Failed(SpawnError, Box<ExecSpec<'a>>),
}

/// What a start waits for that has not loaded its program yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoadingStep<'a> {
    /// It has not come to a path yet.
    Setup,
    /// To enter the working directory.
    Directory(&'a CStr),
    /// To execute what is at this path, or its interpreter.
    Exec(&'a CStr),
}

/// As long as rinit waits for execve, when no other start is loading: far more than a disk takes.
const LOAD_WAIT: Duration = Duration::from_millis(64);
const LISTEN_PID: &[u8] = b"LISTEN_PID=";

/// The child's stack: what it uses in a released file, many times over. Touched is only what is used.
const STACK: usize = if cfg!(debug_assertions) { 64 * 1024 } else { 4 * 1024 };

/// What is shared with a child until it has left rinit's memory.
#[repr(C)]
struct Block<'a> {
    stack: [MaybeUninit<u128>; STACK / size_of::<u128>()],
    order: ExecOrder<'a>,
}

/// Starts that share rinit's memory now, and those among them that take on other ids.
static LOADING: AtomicU32 = AtomicU32::new(0);
static LOADING_AS_OTHERS: AtomicU32 = AtomicU32::new(0);
/// Whether rinit was dumpable before the first of these: a child that takes on other ids while it shares the memory
/// takes that from it.
static DUMPABLE: AtomicBool = AtomicBool::new(false);
/// Whether this kernel does not tell that a child has left (qemu-user, gVisor): then rinit is suspended until it has.
static SUSPENDS: AtomicBool = AtomicBool::new(false);

/// Starts a process, and waits a moment for its program to be loaded.
pub fn spawn(recipe: ExecSpec<'_>) -> Start<'_> {
    let loading = match Loading::begin(recipe) {
        Ok(loading) => loading,
        Err((error, recipe)) => return Start::Failed(error, recipe),
    };
    // Whoever has many that hang does not wait that long for each.
    let others = LOADING.load(Ordering::Relaxed).saturating_sub(1).min(7);
    if !loading.wait(LOAD_WAIT / (1 << others)) {
        return Start::Loading(loading);
    }
    let pid = loading.pid;
    match loading.finish() {
        Ok(pid) => Start::Running(pid),
        Err((error, recipe)) => {
            // It is beyond all signals, on the last steps of its exit: this does not wait.
            // SAFETY: a child of ours that nobody else knows; no status is asked for.
            unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
            Start::Failed(error, recipe)
        }
    }
}

/// Starts a process, and waits until its program is loaded. For a helper, which is killed when that takes too long.
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

/// Becomes the program. Returns only when that failed; the signal state is the program's by then.
#[must_use]
pub fn replace(recipe: ExecSpec<'_>) -> (SpawnError, ExecSpec<'_>) {
    let order = ExecOrder::new(recipe);
    signals::outlast_terminal_stop();
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
        // SAFETY: room for a block, of which the order is made here; a stack needs no first content.
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

    /// The process.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    fn order(&self) -> &ExecOrder<'a> {
        // SAFETY: made by `begin`, and freed by `finish` alone. The child changes nothing of it but its atomics.
        unsafe { &(*self.block.as_ptr()).order }
    }

    /// Waits at most this long until the child has left rinit's memory; whether it has.
    fn wait(&self, bound: Duration) -> bool {
        let time = crate::sys::event::clock::timespec(bound);
        let word = &self.order().shares;
        // An interruption begins the time anew: not often.
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
            // SAFETY: futex(2) looks at a word and a time that are ours.
            if unsafe { raw::call(libc::SYS_futex, &arguments) } == Err(Errno::ETIMEDOUT) {
                break;
            }
        }
        word.load(Ordering::Acquire) == 0
    }

    /// Whether the child has left rinit's memory: its program was loaded, or it has ended.
    #[must_use]
    pub fn has_left(&self) -> bool {
        if self.order().shares.load(Ordering::Acquire) == 0 {
            return true;
        }
        let exe = |pid: &str| std::fs::read_link(["/proc/", pid, "/exe"].concat()).ok();
        let left = exe(&self.pid.to_string()).is_some_and(|path| Some(path) != exe("self"));
        if left {
            SUSPENDS.store(true, Ordering::Relaxed);
        }
        left
    }

    /// Whether the child has failed: it ends, or has ended.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.order().failure().is_some()
    }

    /// What it waits for.
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

    /// The end of a start: the child [has left](Self::has_left), or was reaped.
    pub fn finish(self) -> Result<Pid, (SpawnError, Box<ExecSpec<'a>>)> {
        let (pid, failure) = (self.pid, self.order().failure());
        let recipe = close(self.block, self.order().recipe.ids.is_some());
        failure.map_or(Ok(pid), |error| Err((error, Box::new(recipe))))
    }
}

/// Takes a block back that no child uses.
fn close<'a>(block: NonNull<Block<'a>>, as_other: bool) -> ExecSpec<'a> {
    LOADING.fetch_sub(1, Ordering::Relaxed);
    if as_other && LOADING_AS_OTHERS.fetch_sub(1, Ordering::Relaxed) == 1 && DUMPABLE.load(Ordering::Relaxed)
    {
        crate::sys::be_dumpable();
    }
    // SAFETY: it came from a box, its order is made, and nobody has a reference to it any more. A stack needs no end.
    let Block { order, .. } = *unsafe { Box::from_raw(block.as_ptr()) };
    order.recipe
}

/// Makes the child. Returns at once, or where the kernel knows no such child when it has left.
fn clone(order: *mut ExecOrder<'_>) -> Result<Pid, Errno> {
    let shares = libc::CLONE_VM | libc::SIGCHLD;
    // SAFETY: the order lies behind the stack, in one block, which is kept until the child is done with it.
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

/// Where execvp(3) would look for a program: the word itself when it has a slash, else every directory of `path`.
#[must_use]
pub fn candidates(program: &CStr, path: Option<&[u8]>) -> Vec<CString> {
    let word = program.to_bytes();
    if word.contains(&b'/') || word.is_empty() {
        return vec![program.to_owned()];
    }
    // The default of the C libraries for an unset PATH, without the current directory.
    path.unwrap_or(b"/usr/local/bin:/bin:/usr/bin")
        .split(|b| *b == b':')
        .filter_map(|directory| {
            let directory = if directory.is_empty() { b".".as_slice() } else { directory };
            CString::new([directory, b"/", word].concat()).ok()
        })
        .gather()
}
