//! The helper program: the test executable itself, started under the name `probe`.
//!
//! A function in `.init_array` runs before Rust's start-up code, which would ignore SIGPIPE and open closed
//! descriptors: the probe reports what it was really given. There is nothing to build or to find: wherever a test
//! runs, its helper is there.
//!
//! | words | what it does |
//! | --- | --- |
//! | `report` | writes what it was given, one `key=value` a line, and exits 0 |
//! | `signals [N]` | `ready`, then `got S` for each signal; exits 0 after N of them |
//! | `orphans N` | makes N orphans that wait, `ready`; at SIGUSR1 they all end, `released`; exits 0 at SIGTERM |
//! | `serve NAME [MS [START_MS]]` | `NAME up` (START_MS after its start), at SIGTERM `NAME down` after MS milliseconds, exit 0 |
//! | `last-words` | writes the monotonic clock in ns as its last deed, and exits 0 |
//! | `listen PORT [MS]` | listens on 127.0.0.1, from MS milliseconds after its start, and accepts for ever |
//! | `hang DIR` | mounts a file system at DIR that answers nothing, `hangs`; it does so until this ends |
//! | `chatter` | writes `first`, and exits 0; leaves a child behind that writes for ever |

use super::ms;
use std::ffi::{CStr, c_char, c_int};
use std::ptr;

#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn(c_int, *const *const c_char) = before_main;

extern "C" fn before_main(argc: c_int, argv: *const *const c_char) {
    // SAFETY: glibc passes the arguments of main. (musl does not; the tests do not support it.)
    let words = unsafe { std::slice::from_raw_parts(argv, usize::try_from(argc).unwrap_or(0)) };
    // SAFETY: as above.
    let words: Vec<_> = words.iter().map(|&word| unsafe { CStr::from_ptr(word) }.to_string_lossy()).collect();
    if words.first().is_some_and(|name| name == "probe" || name.ends_with("/probe")) {
        let words: Vec<&str> = words.iter().skip(1).map(AsRef::as_ref).collect();
        let code = act(&words);
        // SAFETY: ends the process in any state.
        unsafe { libc::_exit(code) };
    }
}

fn act(words: &[&str]) -> c_int {
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok());
    match words.first() {
        Some(&"report") => report(),
        Some(&"signals") => signals(number(1).unwrap_or(u64::MAX)),
        Some(&"orphans") => orphans(number(1).unwrap_or(1)),
        Some(&"breed") => breed(),
        Some(&"serve") => serve(words[1], number(2).unwrap_or(0), number(3).unwrap_or(0)),
        Some(&"last-words") => say(&now_ns().to_string()),
        Some(&"listen") => listen(number(1).unwrap_or(0), number(2).unwrap_or(0)),
        Some(&"hang") => hang(words[1]),
        Some(&"chatter") => chatter(),
        _ => say(&format!("probe: what is {words:?}?")),
    }
    0
}

/// Mounts a FUSE file system whose daemon never reads: any access below it blocks.
fn hang(directory: &str) {
    // SAFETY: NUL-terminated strings; the descriptor stays open until the end.
    unsafe {
        let fd = libc::open(c"/dev/fuse".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        let place = std::ffi::CString::new(directory).unwrap();
        let data = format!("fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other\0");
        let made = libc::mount(
            c"hang".as_ptr(),
            place.as_ptr(),
            c"fuse".as_ptr(),
            libc::MS_NODEV,
            data.as_ptr().cast(),
        );
        say(if made == 0 { "hangs" } else { "cannot mount" });
        while libc::pause() == -1 {}
    }
}

/// Writes a line with a single write: lines of several processes never mix.
fn say(line: &str) {
    let line = format!("{line}\n");
    // SAFETY: the bytes are borrowed for the call.
    unsafe { libc::write(1, line.as_ptr().cast(), line.len()) };
}

/// Returns CLOCK_MONOTONIC, which is the same for all processes of the machine.
pub fn now_ns() -> u64 {
    // SAFETY: a structure of ours.
    unsafe {
        let mut time = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time);
        u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
    }
}

fn report() {
    // SAFETY: integers only; the umask is restored.
    let [pid, parent, group, session, foreground, umask] = unsafe {
        let umask = libc::umask(0);
        libc::umask(umask);
        let umask = i32::try_from(umask).unwrap_or(-1);
        [libc::getpid(), libc::getppid(), libc::getpgrp(), libc::getsid(0), libc::tcgetpgrp(0), umask]
    };
    let cwd = std::env::current_dir().unwrap_or_default();
    say(&format!(
        "pid={pid}\nparent={parent}\ngroup={group}\nsession={session}\nforeground={foreground}\n\
         umask={umask:04o}\ncwd={}\nblocked={:?}\nignored={:?}\nfds={:?}",
        cwd.display(),
        blocked(),
        ignored(),
        open_fds()
    ));
    for line in std::fs::read_to_string("/proc/self/status").unwrap_or_default().lines() {
        if let Some((
            key @ ("Uid" | "Gid" | "Groups" | "CapInh" | "CapPrm" | "CapEff" | "CapAmb" | "NoNewPrivs"),
            value,
        )) = line.split_once(':')
        {
            say(&format!("{key}={}", value.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
    }
    let mut environment: Vec<_> = std::env::vars().collect();
    environment.sort();
    for (name, value) in environment {
        say(&format!("${name}={value}"));
    }
}

fn blocked() -> Vec<c_int> {
    // SAFETY: a set of ours, filled before it is read.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigprocmask(libc::SIG_SETMASK, ptr::null(), &raw mut set);
        (1..=64).filter(|&signal| libc::sigismember(&raw const set, signal) == 1).collect()
    }
}

fn ignored() -> Vec<c_int> {
    let is_ignored = |&signal: &c_int| {
        // SAFETY: a structure of ours, filled before it is read.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, ptr::null(), &raw mut action) == 0 && action.sa_sigaction == libc::SIG_IGN
        }
    };
    (1..=64).filter(is_ignored).collect()
}

fn open_fds() -> Vec<c_int> {
    // SAFETY: integers only.
    (0..1024).filter(|&fd| unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0).collect()
}

/// Blocks all signals, to take them with sigwait: none is lost and none acts by itself.
fn all_blocked() -> libc::sigset_t {
    // SAFETY: sigfillset makes the set valid before it is used.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigfillset(&raw mut set);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut());
        set
    }
}

fn wait_for(set: &libc::sigset_t, wanted: &[c_int]) -> c_int {
    loop {
        // SAFETY: a valid set; no details are requested.
        let signal = unsafe { libc::sigwaitinfo(ptr::from_ref(set), ptr::null_mut()) };
        if signal > 0 && (wanted.is_empty() || wanted.contains(&signal)) {
            return signal;
        }
    }
}

fn signals(count: u64) {
    let set = all_blocked();
    say("ready");
    for _ in 0..count {
        say(&format!("got {}", wait_for(&set, &[])));
    }
}

fn serve(name: &str, stop_ms: u64, start_ms: u64) {
    let set = all_blocked();
    std::thread::sleep(ms(start_ms));
    say(&format!("{name} up"));
    wait_for(&set, &[libc::SIGTERM]);
    std::thread::sleep(ms(stop_ms));
    say(&format!("{name} down"));
}

fn listen(port: u64, wait_ms: u64) {
    std::thread::sleep(ms(wait_ms));
    let listener = std::net::TcpListener::bind(("127.0.0.1", u16::try_from(port).unwrap_or(0))).unwrap();
    say("listening");
    for client in listener.incoming() {
        drop(client);
    }
}

/// On one CPU it preempts its reader, which is its parent: the pipe is full again before the next read.
fn chatter() {
    say("first");
    let piece = [b'\n'; 1 << 16];
    // SAFETY: structures and bytes of ours; this process has one thread.
    unsafe {
        let mut here: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(usize::try_from(libc::sched_getcpu()).unwrap_or(0), &mut here);
        let reader = libc::getppid();
        for pid in [0, reader] {
            libc::sched_setaffinity(pid, size_of_val(&here), &raw const here);
        }
        let idle = libc::sched_param { sched_priority: 0 };
        libc::sched_setscheduler(reader, libc::SCHED_IDLE, &raw const idle);
        let pieces = if libc::fork() == 0 { usize::MAX } else { 1 };
        for _ in 0..pieces {
            libc::write(1, piece.as_ptr().cast(), piece.len());
        }
    }
}

/// An intermediate process creates them and exits. They share its memory and have only a stack of their own, so tens
/// of thousands are cheap.
fn orphans(count: u64) {
    let set = all_blocked();
    let mut ends = [0; 2];
    let mut made = [0; 2];
    // SAFETY: two arrays of two integers.
    unsafe { (libc::pipe(ends.as_mut_ptr()), libc::pipe(made.as_mut_ptr())) };
    // SAFETY: this process has one thread.
    let between = unsafe { libc::fork() };
    if between == 0 {
        for _ in 0..count {
            let orphan = orphan(ends);
            if orphan < 0 {
                say("probe: cannot make more orphans");
            }
        }
        // SAFETY: ends only this process.
        unsafe { libc::_exit(0) };
    }
    // SAFETY: a child of ours; when it has ended, all its children exist.
    unsafe { (libc::waitpid(between, ptr::null_mut(), 0), libc::close(ends[0])) };
    say("ready");
    wait_for(&set, &[libc::SIGUSR1]);
    // SAFETY: a descriptor of ours. Without a writer each orphan's read returns.
    unsafe { libc::close(ends[1]) };
    say("released");
    wait_for(&set, &[libc::SIGTERM]);
}

/// Creates one orphan after the other, without end.
fn breed() {
    loop {
        // SAFETY: this process has one thread; its children end at once, without exit handlers.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::fork();
                libc::_exit(0);
            }
            libc::waitpid(child, ptr::null_mut(), 0);
        }
    }
}

fn orphan(ends: [c_int; 2]) -> c_int {
    extern "C" fn wait(ends: *mut libc::c_void) -> c_int {
        let ends = ends.cast::<[c_int; 2]>();
        // SAFETY: the pair is on the heap and never freed; the descriptors are this process's own copies.
        unsafe {
            libc::close((*ends)[1]);
            libc::read((*ends)[0], [0u8].as_mut_ptr().cast(), 1);
            libc::_exit(0)
        }
    }
    const STACK: usize = 16 * 1024;
    let stack = Vec::leak(vec![0u8; STACK]);
    let ends = Box::leak(Box::new(ends));
    // SAFETY: its own stack, never freed, aligned by hand.
    unsafe {
        let top = stack.as_mut_ptr().add(STACK - STACK % 16);
        let top = top.sub(top.addr() % 16);
        libc::clone(wait, top.cast(), libc::CLONE_VM | libc::SIGCHLD, ptr::from_mut(ends).cast())
    }
}
