//! The program that the inits start: no C library, a handful of pages, and it reads the clock as its first action.
//! Built by the benchmark with rustc alone; not part of any crate.
//!
//! | words | what it does |
//! | --- | --- |
//! | `mark [PATH]` | writes the clock and its pid to PATH, or to standard output; ends |
//! | `stay PATH` | the same, and stays; holds PATH open until it dies |
//! | `exit` | ends |
//! | `signal PATH` | after SIGUSR1, in the handler: writes the clock |
//! | `orphans N` | makes N orphans one after the other that end at once; writes, and stays |
//! | `blow N` | makes N orphans that end together; writes how long it took until none was left |
//! | `bare N WORD… [-- WORD…]` | the bare loop: N × vfork and exec, then once what follows `--`; waits and starts again what was killed |
//! | `session …` | the same, with setsid(2), a signal mask and a limit for each |
//! | `wait` | waits for a signal: an init without anything |
#![no_std]
#![no_main]

use core::arch::{asm, global_asm};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    exit(101)
}

// The stack at the start: argc, argv…, null, environment…, null. `spawn_raw(function, stack, flags, argument)` is
// clone(2) with a child that runs the function on that stack.
global_asm!(
    ".globl _start",
    "_start:",
    "xor %ebp, %ebp",
    "mov %rsp, %rdi",
    "and $-16, %rsp",
    "call begin",
    ".globl spawn_raw",
    "spawn_raw:",
    "mov %rdi, %r9",
    "mov %rdx, %rdi",
    "sub $16, %rsi",
    "mov %rcx, (%rsi)",
    "xor %edx, %edx",
    "xor %r10d, %r10d",
    "xor %r8d, %r8d",
    "mov $56, %eax",
    "syscall",
    "test %eax, %eax",
    "jnz 1f",
    "xor %ebp, %ebp",
    "pop %rdi",
    "add $8, %rsp",
    "call *%r9",
    "1: ret",
    options(att_syntax)
);

unsafe extern "C" {
    fn spawn_raw(run: extern "C" fn(*const Argv) -> !, stack: *mut u8, flags: usize, argument: *const Argv) -> isize;
}

type Argv = *const u8;

// Numbers from <sys/syscall.h> and <signal.h>.
const READ: usize = 0;
const WRITE: usize = 1;
const OPEN: usize = 2;
const CLOSE: usize = 3;
const SIGACTION: usize = 13;
const PIPE: usize = 22;
const PAUSE: usize = 34;
const NANOSLEEP: usize = 35;
const GETPID: usize = 39;
const EXECVE: usize = 59;
const EXIT: usize = 231;
const WAIT4: usize = 61;
const KILL: usize = 62;
const SETPGID: usize = 109;
const SETSID: usize = 112;
const SIGPROCMASK: usize = 14;
const PRLIMIT: usize = 302;
const CLOCK: usize = 228;
const VFORK: usize = 0x4100 | 17;
const FORK: usize = 17;

fn call(number: usize, words: [usize; 4]) -> isize {
    let answer;
    // SAFETY: the callers pass valid arguments for that call.
    unsafe {
        asm!("syscall", inlateout("rax") number => answer, in("rdi") words[0], in("rsi") words[1],
            in("rdx") words[2], in("r10") words[3], out("rcx") _, out("r11") _);
    }
    answer
}

fn exit(code: usize) -> ! {
    loop {
        call(EXIT, [code, 0, 0, 0]);
    }
}

fn clock() -> u64 {
    let mut time = [0u64; 2];
    call(CLOCK, [1, (&raw mut time) as usize, 0, 0]);
    time[0] * 1_000_000_000 + time[1]
}

fn write(fd: usize, numbers: [u64; 2]) {
    call(WRITE, [fd, (&raw const numbers) as usize, 16, 0]);
}

fn doze(nanoseconds: u64) {
    let time = [0, nanoseconds];
    call(NANOSLEEP, [(&raw const time) as usize, 0, 0, 0]);
}

fn pause() -> ! {
    loop {
        call(PAUSE, [0; 4]);
    }
}

/// Opens a path for writing; without a path: standard output.
fn open(path: Argv) -> usize {
    if path.is_null() { 1 } else { call(OPEN, [path as usize, 1, 0, 0]).unsigned_abs() }
}

fn number(mut word: Argv) -> usize {
    let mut value = 0;
    // SAFETY: a NUL-terminated string.
    unsafe {
        while *word != 0 {
            value = value * 10 + usize::from(*word - b'0');
            word = word.add(1);
        }
    }
    value
}

fn is(word: Argv, text: &[u8]) -> bool {
    // SAFETY: a NUL-terminated string, where the comparison stops; `text` ends with a NUL too.
    unsafe { (0..text.len()).all(|n| *word.add(n) == text[n]) }
}

/// The child's stack may be reused: parents wait for the exec.
static mut STACK: [u8; 4096] = [0; 4096];
static mut ENVIRONMENT: *const Argv = core::ptr::null();
static mut OUT: usize = 1;

fn spawn(run: extern "C" fn(*const Argv) -> !, argument: *const Argv, flags: usize) -> isize {
    // SAFETY: with vfork the parent waits; with fork the stack is a copy.
    unsafe { spawn_raw(run, (&raw mut STACK).cast::<u8>().add(4096), flags, argument) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn begin(stack: *const usize) -> ! {
    let now = clock();
    // SAFETY: set up by the kernel.
    let (argc, argv) = unsafe { (*stack, stack.add(1).cast::<Argv>()) };
    // SAFETY: single-threaded; argc strings, a null, the environment.
    unsafe { ENVIRONMENT = argv.add(argc + 1) };
    let word = |n: usize| if n < argc { unsafe { *argv.add(n) } } else { core::ptr::null() };
    let what = word(1);
    if is(what, b"exit\0") {
        exit(0)
    } else if is(what, b"mark\0") {
        write(open(word(2)), [now, call(GETPID, [0; 4]).unsigned_abs() as u64]);
    } else if is(what, b"stay\0") {
        write(open(word(2)), [now, call(GETPID, [0; 4]).unsigned_abs() as u64]);
        pause()
    } else if is(what, b"wait\0") {
        pause()
    } else if is(what, b"signal\0") {
        // SAFETY: single-threaded, before the handler is installed.
        unsafe { OUT = open(word(2)) };
        handle(10, note);
        write(unsafe { OUT }, [now, 0]);
        pause()
    } else if is(what, b"orphans\0") {
        for _ in 0..number(word(2)) {
            let pid = spawn(parent_of_one, core::ptr::null(), VFORK);
            call(WAIT4, [pid.unsigned_abs(), 0, 0, 0]);
        }
        write(1, [now, 0]);
        pause()
    } else if is(what, b"blow\0") {
        blow(number(word(2)));
    } else if is(what, b"bare\0") {
        // SAFETY: the kernel's own list.
        bare(number(word(2)), unsafe { argv.add(3) }, become_it);
    } else if is(what, b"session\0") {
        // SAFETY: as above.
        bare(number(word(2)), unsafe { argv.add(3) }, become_it_in_a_session);
    }
    exit(0)
}

fn handle(signal: usize, handler: extern "C" fn()) {
    let action = [handler as *const () as usize, 0x0400_0000, back as *const () as usize, 0];
    call(SIGACTION, [signal, (&raw const action) as usize, 0, 8]);
}

global_asm!(".globl back", "back:", "mov $15, %eax", "syscall", options(att_syntax));
unsafe extern "C" {
    fn back();
}

extern "C" fn note() {
    let now = clock();
    // SAFETY: written before the handler was installed.
    write(unsafe { OUT }, [now, 1]);
}

extern "C" fn parent_of_one(_: *const Argv) -> ! {
    spawn(one, core::ptr::null(), FORK);
    exit(0)
}

extern "C" fn one(_: *const Argv) -> ! {
    exit(0)
}

/// Creates N orphans in one group that read from a pipe; closing it ends them all.
fn blow(count: usize) {
    let mut ends = [0u32; 2];
    call(PIPE, [(&raw mut ends) as usize, 0, 0, 0]);
    let maker = spawn(make, [count as Argv, ends[0] as usize as Argv, ends[1] as usize as Argv].as_ptr(), FORK);
    call(WAIT4, [maker.unsigned_abs(), 0, 0, 0]);
    call(CLOSE, [ends[0] as usize, 0, 0, 0]);
    doze(50_000_000);
    let start = clock();
    call(CLOSE, [ends[1] as usize, 0, 0, 0]);
    let group = maker.wrapping_neg().cast_unsigned();
    while call(KILL, [group, 0, 0, 0]) == 0 && clock() - start < 2_000_000_000 {
        doze(20_000);
    }
    write(1, [clock() - start, u64::from(call(KILL, [group, 0, 0, 0]) == 0)]);
}

extern "C" fn make(words: *const Argv) -> ! {
    // SAFETY: three integers of the caller, copied with its memory.
    let (count, read, write) = unsafe { (*words as usize, *words.add(1) as usize, *words.add(2) as usize) };
    call(SETPGID, [0; 4]);
    call(CLOSE, [write, 0, 0, 0]);
    for _ in 0..count {
        spawn(read_to_end, read as *const Argv, FORK);
    }
    exit(0)
}

extern "C" fn read_to_end(fd: *const Argv) -> ! {
    let mut byte = 0u8;
    call(READ, [fd as usize, (&raw mut byte) as usize, 1, 0]);
    exit(0)
}

static mut STOPPED: bool = false;

extern "C" fn stop() {
    // SAFETY: single-threaded; a flag.
    unsafe { STOPPED = true };
    call(KILL, [usize::MAX, 15, 0, 0]);
}

fn bare(count: usize, argv: *const Argv, become_it: extern "C" fn(*const Argv) -> !) {
    let mut after = argv;
    // SAFETY: a null-terminated list. Replaces `--` by a null, since the kernel's memory is writable.
    unsafe {
        while !(*after).is_null() && !is(*after, b"--\0") {
            after = after.add(1);
        }
        let more = !(*after).is_null();
        after.cast_mut().write(core::ptr::null());
        handle(15, stop);
        for _ in 0..count {
            spawn(become_it, argv, VFORK);
        }
        if more {
            spawn(become_it, after.add(1), VFORK);
        }
    }
    loop {
        let pid = call(WAIT4, [usize::MAX, 0, 0, 0]);
        if pid == -10 || (pid == -4 && count == 0) {
            return;
        }
        // SAFETY: a flag.
        if pid > 0 && count == 1 && !unsafe { STOPPED } {
            spawn(become_it, argv, VFORK);
        }
    }
}

extern "C" fn become_it_in_a_session(argv: *const Argv) -> ! {
    let (none, mut limit) = (0u64, [0u64; 2]);
    call(SETSID, [0; 4]);
    call(SIGPROCMASK, [2, (&raw const none) as usize, 0, 8]);
    call(PRLIMIT, [0, 7, 0, (&raw mut limit) as usize]);
    call(PRLIMIT, [0, 7, (&raw const limit) as usize, 0]);
    become_it(argv)
}

extern "C" fn become_it(argv: *const Argv) -> ! {
    // SAFETY: the kernel's own lists.
    unsafe { call(EXECVE, [*argv as usize, argv as usize, ENVIRONMENT as usize, 0]) };
    exit(127)
}
