//! The shell: the only place that touches Linux, and the only place with `unsafe`.
//!
//! Each file is one subject. What comes out is in the words of [`crate::model`] or plain data; what
//! goes wrong comes out as an [`Errno`].

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

/// The system's number in an error of the standard library.
#[must_use]
pub fn errno(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(0))
}

/// This process's id; 1 in a container.
#[must_use]
pub fn pid() -> crate::model::Pid {
    nix::unistd::getpid().as_raw()
}

/// Makes orphans below this process its children, as those of PID 1 are (prctl(2), PR_SET_CHILD_SUBREAPER).
pub fn become_subreaper() -> Result<(), Errno> {
    // SAFETY: prctl with integer arguments only; it touches no memory of ours.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }).map(drop)
}

/// Whether this process is one that orphans below it go to.
#[must_use]
pub fn is_subreaper() -> bool {
    let mut is: libc::c_int = 0;
    // SAFETY: the kernel writes one number, ours.
    unsafe { libc::prctl(libc::PR_GET_CHILD_SUBREAPER, &raw mut is) == 0 && is != 0 }
}

/// Asks the kernel for `signal` when rinit's own parent dies (prctl(2), PR_SET_PDEATHSIG).
pub fn signal_at_parents_death(signal: crate::model::Signal) -> Result<(), Errno> {
    let number = libc::c_ulong::from(signal.number());
    // SAFETY: as above.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, number, 0, 0, 0) }).map(drop)
}

/// Whether this process may be looked into by its own user (prctl(2), PR_GET_DUMPABLE).
fn is_dumpable() -> bool {
    // SAFETY: as above.
    unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) == 1 }
}

/// Lets this process be looked into again, as before one that shares its memory took on other ids: without that nobody,
/// not even root in the container, can open its descriptors in `/proc`.
fn be_dumpable() {
    // SAFETY: as above.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0) };
}

/// The directory that rinit is in, if it can be named.
#[must_use]
pub fn directory() -> Option<std::ffi::CString> {
    use std::os::unix::ffi::OsStringExt as _;
    let directory = nix::unistd::getcwd().ok()?;
    std::ffi::CString::new(directory.into_os_string().into_vec()).ok()
}

/// Ends this process at once.
pub fn exit(code: u8) -> ! {
    // SAFETY: ends the process; nothing of ours is to be run at its end.
    unsafe { libc::_exit(i32::from(code)) }
}

/// Goes to `/`, so that no mount is kept busy by rinit.
pub fn sit_in_root() {
    let _ = nix::unistd::chdir(c"/");
}
