//! Starts a program so that only its own time counts; optionally as PID 1 of a new PID namespace.

use std::ffi::{CString, c_char, c_int, c_void};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

/// Returns CLOCK_MONOTONIC in nanoseconds, the same clock as the probe's.
pub fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a structure of ours.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// While this exists, this process and its children are pinned to one CPU, and run under SCHED_RR (if allowed), so
/// that nothing else on the machine preempts them.
pub struct Quiet(());

impl Quiet {
    /// All CPUs instead of one: for programs that can use more.
    pub fn everywhere() -> Self {
        schedule(libc::SCHED_RR, 1);
        Self(())
    }

    pub fn new() -> Self {
        // The last CPU handles the fewest interrupts.
        let last = std::thread::available_parallelism().map_or(0, |count| count.get() - 1);
        pin(last..=last);
        if !schedule(libc::SCHED_RR, 1) {
            eprintln!("SCHED_RR is not allowed here: expect a wide spread on a machine that is not idle");
        }
        Self(())
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        schedule(libc::SCHED_OTHER, 0);
        pin(0..=1023);
    }
}

fn schedule(policy: c_int, priority: c_int) -> bool {
    // SAFETY: the kernel reads one integer of ours. A raw call, because musl's function always fails.
    unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const priority) == 0 }
}

fn pin(cpus: std::ops::RangeInclusive<usize>) {
    // SAFETY: a set of ours, for which zero is valid.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        cpus.for_each(|cpu| libc::CPU_SET(cpu, &mut set));
        assert_eq!(libc::sched_setaffinity(0, size_of_val(&set), &raw const set), 0);
    }
}

/// What to start.
#[derive(Default)]
pub struct Start<'a> {
    /// Program and arguments.
    pub words: &'a [String],
    /// Additional variables: `NAME=value`.
    pub variables: &'a [String],
    /// Standard output; default: /dev/null.
    pub out: Option<&'a OwnedFd>,
    /// Its namespaces.
    pub space: Space,
}

/// The namespaces of a process.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub enum Space {
    /// None.
    Shared,
    /// A PID namespace.
    #[default]
    Pid,
    /// Also a mount namespace with its own `/proc`. (Removing it takes time that is not the program's.)
    Proc,
}

/// A running program; killed on drop.
pub struct Running {
    /// Its outer pid.
    pub pid: libc::pid_t,
    /// The time just before execve(2).
    pub start: u64,
    /// The status of waitpid(2), once it has ended.
    pub status: c_int,
    ended: bool,
}

struct Order {
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    null: c_int,
    out: c_int,
    proc: bool,
    start: u64,
    errno: c_int,
}

/// Starts it. Returns when the program is loaded.
pub fn start(what: &Start) -> Running {
    let words: Vec<CString> = what.words.iter().map(|word| CString::new(word.as_str()).unwrap()).collect();
    let common =
        [c"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", c"HOME=/root", c"WHO=me"];
    let more: Vec<CString> = what.variables.iter().map(|one| CString::new(one.as_str()).unwrap()).collect();
    let env = common.into_iter().chain(more.iter().map(CString::as_c_str));
    let null = fs::File::options().read(true).write(true).open("/dev/null").unwrap();
    let mut order = Order {
        argv: words.iter().map(|word| word.as_ptr()).chain([std::ptr::null()]).collect(),
        envp: env.map(|entry| entry.as_ptr()).chain([std::ptr::null()]).collect(),
        null: null.as_raw_fd(),
        out: what.out.map_or(null.as_raw_fd(), |fd| fd.as_raw_fd()),
        proc: what.space == Space::Proc,
        start: 0,
        errno: 0,
    };
    let mut stack = vec![0u128; 4096];
    let own = match what.space {
        Space::Shared => 0,
        Space::Pid => libc::CLONE_NEWPID,
        Space::Proc => libc::CLONE_NEWPID | libc::CLONE_NEWNS,
    };
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD | own;
    let top = stack.as_mut_ptr_range().end;
    // SAFETY: CLONE_VFORK waits until the child has left our memory; the benchmark has one thread.
    let pid = unsafe { libc::clone(child, top.cast::<c_void>(), flags, (&raw mut order).cast::<c_void>()) };
    assert!(pid > 0, "no process: {}", io::Error::last_os_error());
    let running = Running { pid, start: order.start, status: 0, ended: false };
    assert_eq!(order.errno, 0, "{:?}: {}", what.words, io::Error::from_raw_os_error(order.errno));
    running
}

extern "C" fn child(order: *mut c_void) -> c_int {
    // SAFETY: `start` passed its own order and waits; only system calls.
    unsafe {
        let order = &mut *order.cast::<Order>();
        let mut mask = std::mem::zeroed();
        libc::sigemptyset(&raw mut mask);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const mask, std::ptr::null_mut());
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        libc::setsid();
        // An interrupted benchmark leaves nothing behind.
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        if order.proc {
            let private = libc::MS_REC | libc::MS_PRIVATE;
            libc::mount(c"".as_ptr(), c"/".as_ptr(), std::ptr::null(), private, std::ptr::null());
            libc::mount(c"proc".as_ptr(), c"/proc".as_ptr(), c"proc".as_ptr(), 0, std::ptr::null());
        }
        libc::dup2(order.null, 0);
        libc::dup2(order.out, 1);
        libc::dup2(order.null, 2);
        order.start = now();
        libc::execve(order.argv[0], order.argv.as_ptr(), order.envp.as_ptr());
        order.errno = *libc::__errno_location();
        libc::_exit(127)
    }
}

impl Running {
    pub fn signal(&self, signal: c_int) {
        // SAFETY: a child of ours that is not reaped.
        unsafe { libc::kill(self.pid, signal) };
    }

    /// Waits for its end; returns the time.
    pub fn end(&mut self) -> u64 {
        // SAFETY: a child of ours; the kernel writes one integer of ours.
        while !self.ended && unsafe { libc::waitpid(self.pid, &raw mut self.status, 0) } == -1 {}
        self.ended = true;
        now()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            self.signal(libc::SIGKILL);
            self.end();
        }
    }
}
