//! Turns a [`Plan`] into a process in its own namespaces.
//!
//! The test process has threads, so between clone and exec only system calls are allowed: everything that needs memory
//! is prepared before (`Ready`), and a failed step is reported through a pipe. If the C library does more than the
//! system call (for `setgroups` it synchronises all threads, with a lock that another thread may have held at the
//! clone), the raw call is used.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

/// Descriptors 0, 1 and 2.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Stdio {
    /// /dev/null and two pipes that the test reads.
    #[default]
    Pipes,
    /// /dev/null and two pipes without a reader.
    Deaf,
    /// A terminal that the test types on.
    Tty,
    /// Closed.
    Closed,
}

/// What to start; the methods of [`super::Launch`] explain the fields.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub program: CString,
    pub argv: Vec<CString>,
    pub envp: Vec<CString>,
    pub directory: CString,
    pub rinit: CString,
    pub nested: bool,
    pub bare: bool,
    pub network: bool,
    pub hidden: Vec<CString>,
    pub stdio: Stdio,
    pub fds: Vec<(OwnedFd, RawFd)>,
    pub ignored: Vec<c_int>,
    pub blocked: Vec<c_int>,
    pub user: Option<u32>,
    pub groups: Vec<u32>,
    pub cwd: CString,
    pub limits: Vec<(u32, u64, u64)>,
    /// System calls, with the errors that they fail with.
    pub refused: Vec<(libc::c_long, c_int)>,
}

/// A started init.
pub(super) struct Started {
    /// PID 1 of the namespace, by its outer pid.
    pub first: libc::pid_t,
    /// The init under test, by its outer pid: the same, or the nanny's child.
    pub init: libc::pid_t,
    /// The pipe where a nanny reports the wait status of the init.
    pub status: Option<OwnedFd>,
    /// What the test reads: standard output and error, or the terminal.
    pub output: Vec<OwnedFd>,
}

/// The child's own descriptors are at least this, above those that a test requests.
const HIGH: RawFd = 200;

/// Everything that the child needs, in the form of the system calls.
struct Ready<'a> {
    plan: &'a Plan,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    probe: CString,
    /// For 0, 1 and 2.
    stdio: Option<[OwnedFd; 3]>,
    /// (from, to)
    fds: Vec<(OwnedFd, RawFd)>,
    mask: libc::sigset_t,
    filter: Vec<libc::sock_filter>,
    /// Each byte allows the child to continue with one step.
    go: OwnedFd,
    /// Receives (step, errno) if a step fails.
    fault: OwnedFd,
    status: Option<OwnedFd>,
}

/// Starts it; an error names the step that failed.
pub(super) fn start(mut plan: Plan) -> io::Result<Started> {
    let (go_read, go_write) = pipe()?;
    let (fault_read, fault_write) = pipe()?;
    let (status_read, status_write) =
        if plan.nested { pipe().map(|(r, w)| (Some(r), Some(w)))? } else { (None, None) };
    let (stdio, output) = standard_streams(plan.stdio)?;
    let fds = std::mem::take(&mut plan.fds);
    let fds = fds.into_iter().map(|(fd, to)| Ok((high(fd)?, to))).collect::<io::Result<Vec<_>>>()?;
    let ready = Ready {
        argv: pointers(&plan.argv),
        envp: pointers(&plan.envp),
        probe: CString::new(std::env::current_exe()?.into_os_string().into_encoded_bytes())?,
        stdio,
        fds,
        mask: signal_set(&plan.blocked),
        filter: filter(&plan.refused),
        go: high(go_read)?,
        fault: high(fault_write)?,
        status: status_write.map(high).transpose()?,
        plan: &plan,
    };
    let first = spawn(&ready)?;
    drop(ready);
    match release(first, plan.nested, go_write, fault_read) {
        Ok(init) => Ok(Started { first, init, status: status_read, output }),
        Err(error) => {
            // SAFETY: a child of ours that is not reaped yet.
            unsafe { (libc::kill(first, libc::SIGKILL), libc::waitpid(first, ptr::null_mut(), 0)) };
            Err(error)
        }
    }
}

/// Clones. Returns only in the test.
fn spawn(ready: &Ready) -> io::Result<libc::pid_t> {
    let mut flags = libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::SIGCHLD;
    if ready.plan.network {
        flags |= libc::CLONE_NEWNET;
    }
    // SAFETY: no arguments.
    if unsafe { libc::geteuid() } != 0 {
        flags |= libc::CLONE_NEWUSER;
    }
    // SAFETY: without CLONE_VM this is a fork; the child makes only system calls until it execs or exits.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    match pid {
        0 => child(ready),
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(libc::pid_t::try_from(pid).unwrap()),
    }
}

/// Lets the child continue, step by step, until the init runs. Returns the init's pid.
fn release(first: libc::pid_t, nested: bool, go: OwnedFd, fault: OwnedFd) -> io::Result<libc::pid_t> {
    // SAFETY: no arguments.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    if uid != 0 {
        fs::write(format!("/proc/{first}/setgroups"), "deny")?;
        fs::write(format!("/proc/{first}/uid_map"), format!("0 {uid} 1"))?;
        fs::write(format!("/proc/{first}/gid_map"), format!("0 {gid} 1"))?;
    }
    let mut go = fs::File::from(go);
    let mut fault = fs::File::from(fault);
    go.write_all(b"1")?;
    let mut init = first;
    if nested {
        let children = format!("/proc/{first}/task/{first}/children");
        super::eventually("the nanny has its child", || {
            let text = fs::read_to_string(&children).unwrap_or_default();
            // If the nanny is gone it has failed; the pipe says where.
            text.trim().parse().map(|pid| init = pid).is_ok() || is_gone(first)
        });
        // No reader if a step has failed.
        let _ = go.write_all(b"2");
    }
    let mut told = [0; 5];
    match fault.read(&mut told)? {
        0 => Ok(init),
        _ => {
            let error =
                io::Error::from_raw_os_error(i32::from_ne_bytes([told[1], told[2], told[3], told[4]]));
            Err(io::Error::other(format!("the sandbox cannot be made, step {}: {error}", told[0])))
        }
    }
}

fn is_gone(pid: libc::pid_t) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

// ---------------------------------------------------------------- in the child: system calls only

/// System calls that must succeed; the number identifies a failed one.
struct Step<'a>(&'a Ready<'a>, u8);

impl Step<'_> {
    fn must(&mut self, result: c_int) -> c_int {
        self.1 += 1;
        if result < 0 {
            // SAFETY: errno is thread-local; the buffer is ours.
            unsafe {
                let errno = (*libc::__errno_location()).to_ne_bytes();
                let told = [self.1, errno[0], errno[1], errno[2], errno[3]];
                libc::write(self.0.fault.as_raw_fd(), told.as_ptr().cast(), told.len());
                libc::_exit(125);
            }
        }
        result
    }

    fn wait_for_leave(&mut self) {
        let mut byte = 0u8;
        // SAFETY: one byte into one byte.
        let count = unsafe { libc::read(self.0.go.as_raw_fd(), ptr::from_mut(&mut byte).cast(), 1) };
        self.must(if count == 1 { 0 } else { -1 });
    }

    fn mount(&mut self, source: &CStr, target: &CStr, kind: &CStr, flags: u64) {
        // SAFETY: strings that outlive the call.
        let result =
            unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, ptr::null()) };
        self.must(result);
    }

    /// Sets or clears read-only on a mount, or on all mounts below it.
    fn read_only(&mut self, target: &CStr, set: bool, all: bool) {
        const MOUNT_ATTR_RDONLY: u64 = 1;
        // struct mount_attr: set, clear, propagation, user namespace.
        let attr = [u64::from(set) * MOUNT_ATTR_RDONLY, u64::from(!set) * MOUNT_ATTR_RDONLY, 0, 0];
        let recursive = if all { libc::AT_RECURSIVE } else { 0 };
        // SAFETY: a structure of the given length.
        let result = unsafe {
            libc::syscall(
                libc::SYS_mount_setattr,
                libc::AT_FDCWD,
                target.as_ptr(),
                recursive,
                attr.as_ptr(),
                size_of_val(&attr),
            )
        };
        self.must(if result == 0 { 0 } else { -1 });
    }
}

fn child(ready: &Ready) -> ! {
    let mut step = Step(ready, 0);
    step.wait_for_leave(); // 1
    surroundings(&mut step, ready.plan, &ready.probe);
    step.1 = 50;
    // Die with the test.
    // SAFETY: integers only.
    step.must(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) });
    if ready.plan.nested {
        // SAFETY: like the first clone.
        let pid = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
        if pid != 0 {
            step.must(if pid < 0 { -1 } else { 0 });
            nanny(ready, pid);
        }
        step.wait_for_leave();
    }
    step.1 = 60;
    person(&mut step);
    step.1 = 70;
    descriptors(&mut step);
    step.1 = 80;
    refuse(&mut step);
    // SAFETY: null-terminated arrays of NUL-terminated strings; the mask is a valid set.
    step.must(unsafe {
        libc::sigprocmask(libc::SIG_SETMASK, &raw const ready.mask, ptr::null_mut());
        libc::execve(ready.plan.program.as_ptr(), ready.argv.as_ptr(), ready.envp.as_ptr())
    });
    // Not reached: a failed execve has ended the process above.
    // SAFETY: ends the process.
    unsafe { libc::_exit(125) }
}

/// Sets up mounts and network: steps 2 to 49.
fn surroundings(step: &mut Step, plan: &Plan, probe: &CStr) {
    step.mount(c"none", c"/", c"none", libc::MS_REC | libc::MS_PRIVATE);
    step.mount(c"proc", c"/proc", c"proc", 0);
    step.mount(c"tmpfs", c"/mnt", c"tmpfs", 0);
    for (from, to) in [(plan.rinit.as_c_str(), c"/mnt/rinit"), (probe, c"/mnt/probe")] {
        // SAFETY: a string that outlives the call; the descriptor is closed at once.
        unsafe { libc::close(step.must(libc::open(to.as_ptr(), libc::O_CREAT | libc::O_CLOEXEC, 0o755))) };
        step.mount(from, to, c"none", libc::MS_BIND);
    }
    for name in [c"/mnt/tini", c"/mnt/dumb-init", c"/mnt/catatonit"] {
        // SAFETY: strings that outlive the call.
        step.must(unsafe { libc::symlink(c"rinit".as_ptr(), name.as_ptr()) });
    }
    // SAFETY: a string that outlives the call.
    step.must(unsafe { libc::mkdir(c"/mnt/files".as_ptr(), 0o755) });
    step.mount(&plan.directory, c"/mnt/files", c"none", libc::MS_BIND);
    for directory in &plan.hidden {
        step.mount(c"tmpfs", directory, c"tmpfs", libc::MS_RDONLY);
    }
    if plan.bare {
        step.mount(c"tmpfs", c"/run", c"tmpfs", 0);
        step.mount(c"tmpfs", c"/tmp", c"tmpfs", 0);
        step.read_only(c"/", true, true);
        step.read_only(c"/mnt/files", false, false);
        if !plan.hidden.iter().any(|directory| directory.as_c_str() == c"/proc") {
            step.read_only(c"/proc", false, false);
        }
    }
    if plan.network {
        loopback(step);
    }
}

/// Brings `lo` up, which gives it 127.0.0.1.
fn loopback(step: &mut Step) {
    // SAFETY: zero is a valid request; SIOCSIFFLAGS reads the flags of the union.
    unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = c_char::from_ne_bytes(*b"l");
        request.ifr_name[1] = c_char::from_ne_bytes(*b"o");
        request.ifr_ifru.ifru_flags = libc::c_short::try_from(libc::IFF_UP).unwrap_or(1);
        let socket = step.must(libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0));
        step.must(libc::ioctl(socket, libc::SIOCSIFFLAGS as _, &raw const request));
        libc::close(socket);
    }
}

/// Sets up session, signals, limits and user: steps from 60.
fn person(step: &mut Step) {
    let plan = step.0.plan;
    // SAFETY: integers, and a string that outlives the call.
    unsafe {
        step.must(libc::setsid());
        for signal in 1..=64 {
            // Some cannot be set; these have their default anyway.
            let how = if plan.ignored.contains(&signal) { libc::SIG_IGN } else { libc::SIG_DFL };
            // The kernel's structure: handler, flags, restorer, mask.
            let action = [how, 0, 0, 0];
            libc::syscall(libc::SYS_rt_sigaction, signal, action.as_ptr(), ptr::null_mut::<c_void>(), 8);
        }
        if !plan.cwd.is_empty() {
            step.must(libc::chdir(plan.cwd.as_ptr()));
        }
        for &(resource, soft, hard) in &plan.limits {
            let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
            step.must(libc::setrlimit(resource, &raw const limit));
        }
        if plan.user.is_some() || !plan.groups.is_empty() {
            let (count, groups) = (plan.groups.len(), plan.groups.as_ptr());
            step.must(if libc::syscall(libc::SYS_setgroups, count, groups) == 0 { 0 } else { -1 });
        }
        if let Some(id) = plan.user {
            step.must(if libc::syscall(libc::SYS_setresgid, id, id, id) == 0 { 0 } else { -1 });
            step.must(if libc::syscall(libc::SYS_setresuid, id, id, id) == 0 { 0 } else { -1 });
        }
    }
}

/// Sets up descriptors: steps from 70.
fn descriptors(step: &mut Step) {
    let ready = step.0;
    // SAFETY: descriptors of which this process has its own copy.
    unsafe {
        step.must(if libc::syscall(libc::SYS_close_range, 3, c_int::MAX, libc::CLOSE_RANGE_CLOEXEC) == 0 {
            0
        } else {
            -1
        });
        for number in 0..3 {
            match &ready.stdio {
                Some(streams) => step.must(libc::dup2(streams[number as usize].as_raw_fd(), number)),
                None => libc::close(number),
            };
        }
        if ready.plan.stdio == Stdio::Tty {
            step.must(libc::ioctl(0, libc::TIOCSCTTY as _, 0));
        }
        for (from, to) in &ready.fds {
            step.must(libc::dup2(from.as_raw_fd(), *to));
        }
    }
}

/// Installs the seccomp filter: steps from 80.
fn refuse(step: &mut Step) {
    let filter = &step.0.filter;
    if step.0.plan.refused.is_empty() {
        return;
    }
    let program = libc::sock_fprog {
        len: libc::c_ushort::try_from(filter.len()).unwrap_or(0),
        filter: filter.as_ptr().cast_mut(),
    };
    let how = libc::c_ulong::from(libc::SECCOMP_MODE_FILTER);
    // SAFETY: integers, and a program that outlives the call.
    unsafe {
        if libc::geteuid() != 0 {
            step.must(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
        }
        step.must(libc::prctl(libc::PR_SET_SECCOMP, how, &raw const program));
    }
}

/// PID 1 if the init under test is not: reaps, reports how the init ended, and stays.
fn nanny(ready: &Ready, init: i64) -> ! {
    // SAFETY: integers and a buffer of ours. Closes every descriptor except the status pipe, so that the test sees the
    // end of the streams.
    unsafe {
        let status_fd = libc::dup2(ready.status.as_ref().map_or(-1, AsRawFd::as_raw_fd), 3);
        libc::syscall(libc::SYS_close_range, 0, 2, 0);
        libc::syscall(libc::SYS_close_range, 4, c_int::MAX, 0);
        loop {
            let mut status: c_int = 0;
            let pid = libc::waitpid(-1, &raw mut status, 0);
            if i64::from(pid) == init {
                libc::write(status_fd, (&raw const status).cast::<c_void>(), size_of::<c_int>());
            } else if pid < 0 {
                libc::pause();
            }
        }
    }
}

// ---------------------------------------------------------------- before the child

fn pointers(words: &[CString]) -> Vec<*const c_char> {
    words.iter().map(|word| word.as_ptr()).chain([ptr::null()]).collect()
}

/// Builds a seccomp(2) filter: an error for each of these calls; all others are allowed.
fn filter(refused: &[(libc::c_long, c_int)]) -> Vec<libc::sock_filter> {
    let step = |code: u32, k: u32, jump_false: u8| libc::sock_filter {
        code: u16::try_from(code).unwrap(),
        jt: 0,
        jf: jump_false,
        k,
    };
    // The structure starts with the number of the call.
    let mut program = vec![step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)];
    for &(call, errno) in refused {
        let answer = libc::SECCOMP_RET_ERRNO | u32::try_from(errno).unwrap();
        program.push(step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, u32::try_from(call).unwrap(), 1));
        program.push(step(libc::BPF_RET | libc::BPF_K, answer, 0));
    }
    program.push(step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0));
    program
}

fn signal_set(signals: &[c_int]) -> libc::sigset_t {
    // SAFETY: sigemptyset initialises the set before it is used.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for &signal in signals {
            libc::sigaddset(&raw mut set, signal);
        }
        set
    }
}

/// Creates a pipe that no other start inherits.
pub(super) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: an array of two integers; the descriptors have no other owner.
    unsafe {
        if libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])))
    }
}

/// Duplicates a descriptor to [`HIGH`] or above.
fn high(fd: OwnedFd) -> io::Result<OwnedFd> {
    // SAFETY: a new descriptor without other owner.
    unsafe {
        match libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, HIGH) {
            -1 => Err(io::Error::last_os_error()),
            new => Ok(OwnedFd::from_raw_fd(new)),
        }
    }
}

/// Creates the child's 0, 1 and 2, and the ends that the test reads.
fn standard_streams(kind: Stdio) -> io::Result<(Option<[OwnedFd; 3]>, Vec<OwnedFd>)> {
    match kind {
        Stdio::Closed => Ok((None, Vec::new())),
        Stdio::Pipes | Stdio::Deaf => {
            let null = OwnedFd::from(fs::File::open("/dev/null")?);
            let (out_read, out_write) = pipe()?;
            let (err_read, err_write) = pipe()?;
            let read = if kind == Stdio::Deaf { Vec::new() } else { vec![out_read, err_read] };
            Ok((Some([high(null)?, high(out_write)?, high(err_write)?]), read))
        }
        Stdio::Tty => {
            let (master, slave) = terminal()?;
            Ok((Some([high(slave.try_clone()?)?, high(slave.try_clone()?)?, high(slave)?]), vec![master]))
        }
    }
}

/// Creates a pseudo terminal: the test's end and the child's.
fn terminal() -> io::Result<(OwnedFd, OwnedFd)> {
    // SAFETY: each descriptor is checked and has one owner; the size is a plain structure.
    unsafe {
        let master = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC);
        if master < 0 {
            return Err(io::Error::last_os_error());
        }
        let master = OwnedFd::from_raw_fd(master);
        let mut name = [0; 64];
        if libc::grantpt(master.as_raw_fd()) < 0
            || libc::unlockpt(master.as_raw_fd()) < 0
            || libc::ptsname_r(master.as_raw_fd(), name.as_mut_ptr(), name.len()) != 0
        {
            return Err(io::Error::last_os_error());
        }
        let slave = libc::open(name.as_ptr(), libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC);
        if slave < 0 {
            return Err(io::Error::last_os_error());
        }
        let slave = OwnedFd::from_raw_fd(slave);
        let size = libc::winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        libc::ioctl(master.as_raw_fd(), libc::TIOCSWINSZ as _, &raw const size);
        Ok((master, slave))
    }
}
