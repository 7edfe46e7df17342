//! The child, from clone to execve. It shares rinit's memory while rinit may continue, so it only makes system calls.
//! Every signal is blocked until the last step.

use super::{Environment, ExecSpec, Inheritance, LISTEN_PID, SessionMode, SpawnError, Stage};
use crate::sys::event::signals;
use crate::sys::process::{credentials, descriptors, privileges, rlimits};
use crate::sys::{Errno, raw, stdio};
use crate::text::gather::Gather;
use std::ffi::{CStr, CString, c_char};
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

/// The child's input, and where it reports a failure.
pub(crate) struct ExecOrder<'a> {
    pub(crate) recipe: ExecSpec<'a>,
    candidates: Vec<*const c_char>,
    argv: Vec<*const c_char>,
    /// Pointers to the environment, unless it is the block that rinit was given.
    block: Vec<*const c_char>,
    /// Variables with room for the digits of the child's pid, and where the digits begin.
    pids: Vec<(usize, Vec<AtomicU8>)>,
    /// 1 while the child shares rinit's memory; the kernel clears it.
    pub(crate) shares: AtomicU32,
    /// 1: entering the working directory; n ≥ 2: executing candidate n - 2.
    pub(crate) step: AtomicU32,
    /// The step that failed, as a [`Stage`] counted from 1 (0: none), and its error.
    failed: AtomicU8,
    errno: AtomicU32,
}

impl<'a> ExecOrder<'a> {
    /// Prepares the arguments of execve(2) before the fork: the child must not allocate.
    pub(crate) fn new(recipe: ExecSpec<'a>) -> Self {
        let given = crate::sys::args::environment_block();
        let mut block = match &recipe.environment {
            Environment::Entries(entries) => pointers(entries),
            Environment::Given if given.is_null() => vec![std::ptr::null()],
            Environment::Given => Vec::new(), // as it is, without a copy
        };
        let inherits = matches!(recipe.slate, Inheritance::AsGiven(_));
        let given_listen = (inherits && crate::sys::args::variable("LISTEN_PID").is_some())
            .then_some(LISTEN_PID)
            .filter(|name| !recipe.pid_variables.contains(name));
        let mut pids = Vec::new();
        for name in recipe.pid_variables.iter().copied().chain(given_listen) {
            if block.is_empty() {
                block = copy_block(given);
            }
            redirect_pid(&mut block, name, &mut pids);
        }
        Self {
            candidates: pointers(&recipe.candidates),
            argv: pointers(&recipe.argv),
            recipe,
            block,
            pids,
            shares: AtomicU32::new(1),
            step: AtomicU32::new(0),
            failed: AtomicU8::new(0),
            errno: AtomicU32::new(0),
        }
    }

    fn fail(&self, error: SpawnError) {
        self.errno.store((error.errno as i32).cast_unsigned(), Ordering::Relaxed);
        self.failed.store(error.stage as u8 + 1, Ordering::Release);
    }

    /// Returns why the child could not execute the program, if it has failed.
    pub(crate) fn failure(&self) -> Option<SpawnError> {
        let stages = [
            Stage::Fork,
            Stage::Group,
            Stage::Ulimits,
            Stage::Privileges,
            Stage::Credentials,
            Stage::Directory,
            Stage::Stdio,
            Stage::Exec,
        ];
        let failed = usize::from(self.failed.load(Ordering::Acquire)).checked_sub(1)?;
        let stage = stages.get(failed).copied()?;
        Some(SpawnError { stage, errno: Errno::from_raw(self.errno.load(Ordering::Relaxed).cast_signed()) })
    }
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).gather()
}

fn copy_block(block: *const *const c_char) -> Vec<*const c_char> {
    let mut copy = Vec::new();
    for n in 0.. {
        // SAFETY: the block ends with a null pointer, where this stops.
        let entry = unsafe { *block.add(n) };
        copy.push(entry);
        if entry.is_null() {
            break;
        }
    }
    copy
}

/// Points the block's entry of this name at our own buffer, into which the child writes its pid.
fn redirect_pid(block: &mut [*const c_char], name: &[u8], pids: &mut Vec<(usize, Vec<AtomicU8>)>) {
    let is_it = |entry: &&mut *const c_char| {
        // SAFETY: each entry of the block is a string or the final null.
        !entry.is_null() && unsafe { CStr::from_ptr(**entry) }.to_bytes().starts_with(name)
    };
    let Some(slot) = block.iter_mut().find(is_it) else { return };
    let text = name.iter().chain(&[0; 12]).copied().map(AtomicU8::new).gather();
    *slot = text.as_ptr().cast();
    pids.push((name.len(), text));
}

/// Entry point of the child.
pub(crate) extern "C" fn child(order: *mut ExecOrder<'_>) -> ! {
    // SAFETY: rinit keeps the order, unchanged, until this child has left its memory.
    let order = unsafe { &*order };
    order.fail(prepare(order).map_or_else(|error| error, |()| exec(order)));
    loop {
        // SAFETY: ends the child without exit handlers, which belong to the parent.
        let _ = unsafe { raw::call(libc::SYS_exit_group, &[127]) };
    }
}

fn at(stage: Stage) -> impl Fn(Errno) -> SpawnError {
    move |errno| SpawnError { stage, errno }
}

pub(crate) fn prepare(order: &ExecOrder<'_>) -> Result<(), SpawnError> {
    let recipe = &order.recipe;
    join_group(recipe.place).map_err(at(Stage::Group))?;
    if let Some(cgroup) = &recipe.cgroup {
        // Without it what leaves the service's session is found less surely.
        // SAFETY: one byte of ours; 0 is the writer itself.
        let _ = unsafe {
            raw::call(libc::SYS_write, &[raw::number(cgroup.as_raw_fd()), raw::address(c"0".as_ptr()), 1])
        };
    }
    for (target, source) in (0..).zip(recipe.stdio) {
        if let Some(source) = source {
            // Without O_CLOEXEC: the copy stays open.
            raw::call_integers(libc::SYS_dup3, &[raw::number(source), target, 0])
                .map_err(at(Stage::Stdio))?;
        }
    }
    if !recipe.passed.is_empty() {
        descriptors::pass(&recipe.passed).map_err(at(Stage::Stdio))?;
    }
    match recipe.slate {
        Inheritance::AsGiven(_) => {}
        Inheritance::Clean(_) if recipe.passed.is_empty() => stdio::close_above_stderr(),
        Inheritance::Clean(_) => descriptors::close_all_but(&recipe.passed),
    }
    if let Some(mask) = recipe.umask {
        let _ = raw::call_integers(libc::SYS_umask, &[usize::try_from(mask).unwrap_or(0o22)]);
    }
    // Before switching users: only root may raise a hard limit.
    for limit in recipe.open_files.iter().chain(&*recipe.ulimits) {
        rlimits::set(limit).map_err(at(Stage::Ulimits))?;
    }
    if let (None, Some(directory)) = (&recipe.directory, recipe.given_directory) {
        // Before switching users, since the user may have no access: without rinit's chdir to `/` the directory would
        // simply be inherited. For the same reason a missing one is no failure.
        order.step.store(1, Ordering::Relaxed);
        // SAFETY: a string that outlives the call.
        let _ = unsafe { raw::call(libc::SYS_chdir, &[raw::address(directory.as_ptr())]) };
    }
    if let Some(rights) = &recipe.privileges {
        privileges::before_user(rights).map_err(at(Stage::Privileges))?;
    }
    if let Some(ids) = &recipe.ids {
        // With added capabilities, `after_user` sets all of them.
        let keeps = recipe.privileges.as_ref().is_some_and(|rights| rights.cap_add != 0);
        credentials::switch_to(ids, keeps).map_err(at(Stage::Credentials))?;
    }
    if let Some(rights) = &recipe.privileges {
        privileges::after_user(rights, recipe.ids.is_some()).map_err(at(Stage::Privileges))?;
    }
    // After switching users: a directory that only rinit may enter must fail for the service.
    if let Some(directory) = &recipe.directory {
        order.step.store(1, Ordering::Relaxed);
        // SAFETY: a string that outlives the call.
        unsafe { raw::call(libc::SYS_chdir, &[raw::address(directory.as_ptr())]) }
            .map_err(at(Stage::Directory))?;
    }
    Ok(())
}

fn join_group(place: SessionMode) -> Result<(), Errno> {
    match place {
        SessionMode::Stay => return Ok(()),
        // The child leads no group yet, so this cannot fail.
        SessionMode::Session => return raw::call_integers(libc::SYS_setsid, &[]).map(drop),
        SessionMode::OwnTerminal => {
            let session = raw::call_integers(libc::SYS_setsid, &[]);
            // Fails without a terminal, which does not matter.
            let _ = raw::call_integers(libc::SYS_ioctl, &[0, terminal_request(libc::TIOCSCTTY), 0]);
            return session.map(drop);
        }
        SessionMode::Foreground => {}
    }
    let before = raw::call_integers(libc::SYS_getpgid, &[0])?;
    match raw::call_integers(libc::SYS_setpgid, &[0, 0]) {
        Ok(_) | Err(Errno::EPERM) => {}
        Err(errno) => return Err(errno),
    }
    let own = raw::call_integers(libc::SYS_getpid, &[])?;
    let mut group = 0i32;
    let [get, set] = [libc::TIOCGPGRP, libc::TIOCSPGRP].map(terminal_request);
    // SAFETY: the kernel writes one integer of ours and reads one.
    unsafe {
        let asked = raw::call(libc::SYS_ioctl, &[0, get, raw::address(&raw mut group)]);
        // Only the foreground group may hand over the terminal; SIGTTOU is blocked here.
        if asked.is_ok() && usize::try_from(group) == Ok(before) {
            group = i32::try_from(own).unwrap_or(0);
            let _ = raw::call(libc::SYS_ioctl, &[0, set, raw::address(&raw mut group)]);
        }
    }
    Ok(())
}

/// Converts a request of ioctl(2), whose type differs between C libraries.
fn terminal_request(request: impl TryInto<usize>) -> usize {
    request.try_into().unwrap_or(0)
}

pub(crate) fn exec(order: &ExecOrder<'_>) -> SpawnError {
    for (at, text) in &order.pids {
        write_pid(text.get(*at..).unwrap_or_default());
    }
    match order.recipe.slate {
        Inheritance::AsGiven(inherited) => signals::restore(inherited),
        Inheritance::Clean(ignored) => signals::clean_slate(ignored),
    }
    let envp =
        if order.block.is_empty() { crate::sys::args::environment_block() } else { order.block.as_ptr() };
    // As execvp(3): skip directories that lack the program or cannot be entered, but report EACCES at the end.
    let mut errno = Errno::ENOENT;
    for (n, path) in (2..).zip(order.candidates.iter().filter(|path| !path.is_null())) {
        order.step.store(n, Ordering::Relaxed);
        let arguments = [raw::address(*path), raw::address(order.argv.as_ptr()), raw::address(envp)];
        // SAFETY: null-terminated strings and lists that outlive the call, which returns only on failure.
        match unsafe { raw::call(libc::SYS_execve, &arguments) } {
            Ok(_) | Err(Errno::ENOENT | Errno::ENOTDIR) => {}
            Err(Errno::EACCES) => errno = Errno::EACCES,
            Err(other) => {
                errno = other;
                break;
            }
        }
    }
    SpawnError { stage: Stage::Exec, errno }
}

/// Writes our own pid in decimal into 12 zero bytes. Atomic, because rinit shares the buffer: the
/// compiler could drop a plain write.
fn write_pid(text: &[AtomicU8]) {
    let mut left = raw::call_integers(libc::SYS_getpid, &[]).unwrap_or(0);
    let mut digits = [0u8; 10];
    let mut count = 0;
    for digit in &mut digits {
        *digit = b'0' + u8::try_from(left % 10).unwrap_or(0);
        left /= 10;
        count += 1;
        if left == 0 {
            break;
        }
    }
    for (place, digit) in text.iter().zip(digits.iter().take(count).rev()) {
        place.store(*digit, Ordering::Relaxed);
    }
}
