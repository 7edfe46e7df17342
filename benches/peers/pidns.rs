//! A program as PID 1 of a fresh PID namespace.

use std::ffi::{CString, c_char, c_int, c_void};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::Path;

/// Nanoseconds of CLOCK_MONOTONIC, the clock of the probe too.
pub fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time is ours.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// While this lives, this process and what it starts has one CPU for itself: pinned there, and as SCHED_RR
/// (where that is allowed) not put aside for whatever else the machine does.
pub struct Quiet(());

impl Quiet {
    /// All CPUs instead of one: for what may use more.
    pub fn everywhere() -> Self {
        schedule(libc::SCHED_RR, 1);
        Self(())
    }

    pub fn new() -> Self {
        // The last, which has the fewest interrupts to serve.
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
    let parameters = libc::sched_param { sched_priority: priority };
    // SAFETY: the parameters are ours.
    unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) == 0 }
}

fn pin(cpus: std::ops::RangeInclusive<usize>) {
    // SAFETY: a set of ours that is valid when zero.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        cpus.for_each(|cpu| libc::CPU_SET(cpu, &mut set));
        assert_eq!(libc::sched_setaffinity(0, size_of_val(&set), &raw const set), 0);
    }
}

/// What is to be started.
pub struct Start<'a> {
    /// Program and arguments.
    pub words: &'a [String],
    /// Standard output; /dev/null without one.
    pub out: Option<&'a OwnedFd>,
    /// A mount namespace with a `/proc` of the PID namespace. (Its end costs time that is not the init's.)
    pub proc: bool,
}

/// Something that runs as PID 1; killed when it is dropped.
pub struct Running {
    /// Its pid out here.
    pub pid: libc::pid_t,
    /// The clock right before execve(2).
    pub start: u64,
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

/// Starts it. When this returns, the program has been loaded.
pub fn start(what: &Start) -> Running {
    let words: Vec<CString> = what.words.iter().map(|word| CString::new(word.as_str()).unwrap()).collect();
    let env =
        [c"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", c"HOME=/root", c"WHO=me"];
    let null = fs::File::options().read(true).write(true).open("/dev/null").unwrap();
    let mut order = Order {
        argv: words.iter().map(|word| word.as_ptr()).chain([std::ptr::null()]).collect(),
        envp: env.iter().map(|entry| entry.as_ptr()).chain([std::ptr::null()]).collect(),
        null: null.as_raw_fd(),
        out: what.out.map_or(null.as_raw_fd(), |fd| fd.as_raw_fd()),
        proc: what.proc,
        start: 0,
        errno: 0,
    };
    let mut stack = vec![0u128; 4096];
    let mut flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_NEWPID | libc::SIGCHLD;
    if what.proc {
        flags |= libc::CLONE_NEWNS;
    }
    let top = stack.as_mut_ptr_range().end;
    // SAFETY: CLONE_VFORK: this waits until the child has left our memory; the benchmark has one thread.
    let pid = unsafe { libc::clone(child, top.cast::<c_void>(), flags, (&raw mut order).cast::<c_void>()) };
    assert!(pid > 0, "no process: {}", io::Error::last_os_error());
    let running = Running { pid, start: order.start, ended: false };
    assert_eq!(order.errno, 0, "{:?}: {}", what.words, io::Error::from_raw_os_error(order.errno));
    running
}

extern "C" fn child(order: *mut c_void) -> c_int {
    // SAFETY: `start` passed its own order and waits; system calls only.
    unsafe {
        let order = &mut *order.cast::<Order>();
        let mut mask = std::mem::zeroed();
        libc::sigemptyset(&raw mut mask);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const mask, std::ptr::null_mut());
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        libc::setsid();
        // A benchmark that is broken off leaves nothing behind.
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

    /// Waits for its end; the clock then.
    pub fn end(&mut self) -> u64 {
        // SAFETY: a child of ours; no status is asked for.
        while !self.ended && unsafe { libc::waitpid(self.pid, std::ptr::null_mut(), 0) } == -1 {}
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

/// Where probes report: a FIFO.
pub struct Fifo {
    fd: OwnedFd,
}

/// What a probe wrote.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    /// Its clock, as its first act.
    pub at: u64,
    /// Its pid in its namespace, or what else it had to say.
    pub more: u64,
}

impl Fifo {
    /// A new one at this path. With `keep`, it never reads as ended when its writers are gone.
    pub fn new(path: &Path, keep: bool) -> Self {
        let _ = fs::remove_file(path);
        let name = CString::new(path.to_str().unwrap()).unwrap();
        let how = if keep { libc::O_RDWR } else { libc::O_RDONLY };
        // SAFETY: a string of ours; a new descriptor, owned from here on.
        unsafe {
            assert_eq!(libc::mkfifo(name.as_ptr(), 0o666), 0, "{}", io::Error::last_os_error());
            let fd = libc::open(name.as_ptr(), how | libc::O_NONBLOCK | libc::O_CLOEXEC);
            assert!(fd >= 0, "{}", io::Error::last_os_error());
            libc::fcntl(fd, libc::F_SETPIPE_SZ, 1 << 20);
            Self { fd: OwnedFd::from_raw_fd(fd) }
        }
    }

    /// A pipe, and its end for writing.
    pub fn pipe() -> (Self, OwnedFd) {
        let mut ends = [0; 2];
        // SAFETY: two new descriptors, owned from here on.
        unsafe {
            assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
            libc::fcntl(ends[0], libc::F_SETFL, libc::O_NONBLOCK);
            (Self { fd: OwnedFd::from_raw_fd(ends[0]) }, OwnedFd::from_raw_fd(ends[1]))
        }
    }

    /// The next mark, waiting at most so long (milliseconds).
    pub fn next(&self, patience: u64) -> Option<Mark> {
        let end = now() + patience * 1_000_000;
        loop {
            let mut words = [0u64; 2];
            // SAFETY: 16 bytes of ours.
            let count = unsafe { libc::read(self.fd.as_raw_fd(), words.as_mut_ptr().cast(), 16) };
            if count == 16 {
                return Some(Mark { at: words[0], more: words[1] });
            }
            if now() > end {
                return None;
            }
            if count == 0 {
                // No writer at the moment: nothing to wait on.
                std::thread::sleep(std::time::Duration::from_micros(200));
            } else {
                self.poll(end);
            }
        }
    }

    fn poll(&self, end: u64) -> i16 {
        let mut set = libc::pollfd { fd: self.fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let left = (end.saturating_sub(now()) / 1_000_000 + 1).try_into().unwrap();
        // SAFETY: one entry of ours.
        unsafe { libc::poll(&raw mut set, 1, left) };
        set.revents
    }

    /// Waits until no writer is left; the clock then.
    pub fn deserted(&self, patience: u64) -> Option<u64> {
        let end = now() + patience * 1_000_000;
        while now() < end {
            let happened = self.poll(end);
            if happened & libc::POLLIN != 0 {
                self.next(0);
            } else if happened & libc::POLLHUP != 0 {
                return Some(now());
            }
        }
        None
    }
}
