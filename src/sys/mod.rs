//! The shell: the only code that touches Linux, and the only code with `unsafe`.
//!
//! Each file is one subject. Results are types of [`crate::model`] or plain data; errors are an [`Errno`].

pub mod allocator;
pub mod args;
pub mod container;
pub mod event;
pub mod executable;
pub mod fs;
pub mod links;
pub mod net;
pub mod process;
pub mod random;
mod raw;
pub mod stdio;
pub mod tty;
pub mod write;

pub use nix::errno::Errno;

/// Returns the errno of a standard library error.
#[must_use]
pub fn errno(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(0))
}

/// What an error is called: in the C library's words, which are in the file in any case, but where they are unusual.
#[must_use]
pub fn describe(errno: Errno) -> &'static str {
    match errno {
        Errno::UnknownErrno => "Unknown errno",
        Errno::EADDRINUSE => "Address already in use",
        Errno::EADDRNOTAVAIL => "Cannot assign requested address",
        Errno::EAGAIN => "Try again",
        Errno::EBUSY => "Device or resource busy",
        Errno::EDQUOT => "Disc quota exceeded",
        Errno::EHOSTUNREACH => "No route to host",
        Errno::ELIBBAD => "Accessing a corrupted shared library",
        Errno::ELOOP => "Too many symbolic links encountered",
        Errno::EMFILE => "Too many open files",
        Errno::ENAMETOOLONG => "File name too long",
        Errno::ENFILE => "File table overflow",
        Errno::ENETUNREACH => "Network is unreachable",
        Errno::EOPNOTSUPP => "Operation not supported",
        Errno::ETIMEDOUT => "Connection timed out",
        Errno::EUCLEAN => "Structure needs cleaning",
        _ => {
            // SAFETY: the text of a number that the C library knows is a constant of its own.
            let text = unsafe { std::ffi::CStr::from_ptr(libc::strerror(errno as i32)) };
            text.to_str().unwrap_or_default()
        }
    }
}

/// A number that the kernel has handed over with the program (`AT_PAGESZ`, `AT_CLKTCK`); sysconf(3) would be 1 KB.
fn auxiliary(kind: std::ffi::c_ulong, usual: usize) -> usize {
    // SAFETY: asks for a number.
    let number = unsafe { libc::getauxval(kind) };
    usize::try_from(number).ok().filter(|number| *number != 0).unwrap_or(usual)
}

/// Returns this process's id; 1 in a container.
#[must_use]
pub fn pid() -> crate::model::Pid {
    nix::unistd::getpid().as_raw()
}

/// Makes this process adopt its orphaned descendants, as PID 1 does (prctl(2), PR_SET_CHILD_SUBREAPER).
pub fn become_subreaper() -> Result<(), Errno> {
    // SAFETY: integer arguments only.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }).map(drop)
}

/// Returns whether this process adopts its orphaned descendants.
#[must_use]
pub fn is_subreaper() -> bool {
    let mut is: libc::c_int = 0;
    // SAFETY: the kernel writes one integer of ours.
    unsafe { libc::prctl(libc::PR_GET_CHILD_SUBREAPER, &raw mut is) == 0 && is != 0 }
}

/// Requests `signal` when rinit's parent dies (prctl(2), PR_SET_PDEATHSIG).
pub fn signal_at_parents_death(signal: crate::model::Signal) -> Result<(), Errno> {
    let number = libc::c_ulong::from(signal.number());
    // SAFETY: as above.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, number, 0, 0, 0) }).map(drop)
}

/// Returns whether this process is dumpable (prctl(2), PR_GET_DUMPABLE).
fn is_dumpable() -> bool {
    // SAFETY: as above.
    unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) == 1 }
}

/// Makes this process dumpable again, after a process that shares its memory has switched users: otherwise nobody, not
/// even root in the container, can open its descriptors in `/proc`.
fn be_dumpable() {
    // SAFETY: as above.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0) };
}

/// Returns rinit's working directory, if it has a path.
#[must_use]
pub fn directory() -> Option<std::ffi::CString> {
    use std::os::unix::ffi::OsStringExt as _;
    let directory = nix::unistd::getcwd().ok()?;
    std::ffi::CString::new(directory.into_os_string().into_vec()).ok()
}

/// Exits this process at once.
pub fn exit(code: u8) -> ! {
    // SAFETY: no exit handlers of ours need to run.
    unsafe { libc::_exit(i32::from(code)) }
}

/// Moves to a directory: for helper processes.
pub fn change_directory(directory: &std::ffi::CStr) -> Result<(), Errno> {
    nix::unistd::chdir(directory)
}

/// Changes to `/`, so that rinit keeps no mount busy.
pub fn sit_in_root() {
    let _ = nix::unistd::chdir(c"/");
}
