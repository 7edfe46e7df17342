//! System calls without the C library, for a child that shares rinit's memory while rinit continues: a wrapper would
//! set `errno`, which the child shares with rinit.

use super::Errno;
use std::arch::asm;
use std::ffi::{c_int, c_long, c_void};

/// Converts a pointer to an argument.
pub(super) fn address<T: ?Sized>(of: *const T) -> usize {
    of.cast::<c_void>().expose_provenance()
}

/// Converts an integer to an argument; sign-extends negative ones.
pub(super) fn number(of: c_int) -> usize {
    isize::try_from(of).unwrap_or(-1).cast_unsigned()
}

/// Makes a system call that takes only integers.
pub(super) fn call_integers(number: c_long, arguments: &[usize]) -> Result<usize, Errno> {
    // SAFETY: no pointers.
    unsafe { call(number, arguments) }
}

/// Makes a system call of up to five arguments. Async-signal-safe.
///
/// # Safety
///
/// The arguments must be valid for the call, including all memory that it reads or writes through them.
pub(super) unsafe fn call(call: c_long, arguments: &[usize]) -> Result<usize, Errno> {
    let argument = |at: usize| arguments.get(at).copied().unwrap_or(0);
    let (a, b, c, d, e) = (argument(0), argument(1), argument(2), argument(3), argument(4));
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the kernel preserves all registers but these three; the rest is the caller's contract.
    unsafe {
        asm!("syscall", inlateout("rax") call as isize => result, in("rdi") a, in("rsi") b, in("rdx") c,
            in("r10") d, in("r8") e, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the kernel preserves all registers but the result's; the rest is the caller's contract.
    unsafe {
        asm!("svc 0", in("x8") call, inlateout("x0") a => result, in("x1") b, in("x2") c, in("x3") d, in("x4") e,
            options(nostack));
    }
    checked(result)
}

fn checked(result: isize) -> Result<usize, Errno> {
    match result {
        -4095..0 => Err(Errno::from_raw(i32::try_from(-result).unwrap_or(0))),
        good => Ok(good.cast_unsigned()),
    }
}

/// clone(2) with a child that starts at `entry` on its own stack; CLONE_CHILD_CLEARTID clears `tid`.
///
/// # Safety
///
/// `top` must be the 16-byte aligned upper end of a stack that only the child uses until it has exited or executed a
/// program; what `argument` and `tid` point to must live as long.
pub(super) unsafe fn clone<T>(
    flags: c_int,
    top: *mut u8,
    tid: *const u32,
    entry: extern "C" fn(*mut T) -> !,
    argument: *mut T,
) -> Result<usize, Errno> {
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the parent skips the child's code, which starts on the new stack and never returns.
    unsafe {
        asm!("syscall", "test rax, rax", "jnz 2f", "mov rdi, {argument}", "call {entry}", "ud2", "2:",
            argument = in(reg) argument, entry = in(reg) entry,
            inlateout("rax") libc::SYS_clone as isize => result, in("rdi") number(flags), in("rsi") top,
            in("rdx") 0, in("r10") tid, in("r8") 0, out("rcx") _, out("r11") _);
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        asm!("svc 0", "cbnz x0, 2f", "mov x0, {argument}", "blr {entry}", "brk 1", "2:",
            argument = in(reg) argument, entry = in(reg) entry,
            in("x8") libc::SYS_clone, inlateout("x0") number(flags) => result, in("x1") top, in("x2") 0, in("x3") 0,
            in("x4") tid);
    }
    checked(result)
}
