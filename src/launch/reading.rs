//! Reads files that the user names (the configuration, `env_file`, `when_exists`). If their file system may hang, a
//! helper process does it, so that a stop is heard; with only local file systems, the usual case, rinit does it
//! itself.

use super::tape;
use crate::cli::{LogFormat, LogLevel};
use crate::config::source::files::{DEFAULT_DIRECTORY, DEFAULT_FILE};
use crate::exit_code;
use crate::model::{Pid, Signal};
use crate::output;
use crate::received::Received;
use crate::supervisor::ends_before_start;
use crate::sys::container;
use crate::sys::event::poll::{PollInterest, Waiter, Wake};
use crate::sys::event::{clock, signals};
use crate::sys::fs::{files, mounts, stat};
use crate::sys::process::reap::{self, Reaped};
use crate::sys::process::{fork, kill};
use crate::sys::{Errno, stdio};
use crate::text::gather::Gather;
use crate::text::template::fill;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::OnceLock;
use std::time::Duration;

/// Report what is being waited for after this time.
const TELL_AFTER: Duration = Duration::from_secs(5);

/// How rinit is to log: the level, if one is chosen, and the format.
pub static LOG: OnceLock<(Option<LogLevel>, LogFormat)> = OnceLock::new();

/// Reads a file of the configuration.
pub fn read(path: &str) -> io::Result<Vec<u8>> {
    if let Some(answer) = taped("read ", path, &|| files::read(path)) {
        return answer;
    }
    let here = is_default(path).then(|| files::read_on_root(path)).flatten();
    let look = || files::read(path);
    here.unwrap_or_else(|| {
        // A pipe answers only when somebody writes to it, on any file system.
        if may_hang() || files::is_stream(path) { in_helper(path, &look) } else { look() }
    })
}

/// Lists the `*.toml` files of a directory.
pub fn list(path: &str) -> io::Result<Vec<String>> {
    if !tape::is_on()
        && let Some(listed) = is_default(path).then(|| files::list_on_root(path)).flatten()
    {
        return listed;
    }
    let names = ask("list ", path, &|| Ok(files::list_toml(path)?.join("\0").into_bytes()))?;
    let names = String::from_utf8(names).unwrap_or_default();
    Ok(names.split('\0').filter(|name| !name.is_empty()).map(str::to_string).gather())
}

/// Returns whether a path exists.
pub fn exists(path: &str) -> bool {
    ask("exists ", path, &|| {
        if files::exists(path) { Ok(Vec::new()) } else { Err(ErrorKind::NotFound.into()) }
    })
    .is_ok()
}

/// Returns whether a path is missing, or is an empty directory or file.
pub fn is_empty(path: &str) -> bool {
    ask("is empty ", path, &|| {
        if stat::is_empty(path) { Ok(Vec::new()) } else { Err(ErrorKind::NotFound.into()) }
    })
    .is_ok()
}

/// Returns whether it is a default path, which the user did not name: reading it must cost nothing.
fn is_default(path: &str) -> bool {
    path == DEFAULT_FILE || path.starts_with(DEFAULT_DIRECTORY)
}

/// Returns a fact about the container that a text may name.
pub fn fact(name: &str) -> Option<String> {
    let look = || container::fact(name).map(String::into_bytes).ok_or(ErrorKind::NotFound.into());
    match taped("fact ", name, &look) {
        Some(answer) => String::from_utf8(answer.ok()?).ok(),
        None => container::fact(name),
    }
}

/// A helper that reads for a reload is killed when it hangs, and needs no helpers of its own.
fn taped(question: &str, path: &str, look: &dyn Fn() -> io::Result<Vec<u8>>) -> Option<io::Result<Vec<u8>>> {
    tape::through(&[question, path], look, (encode, decode))
}

fn may_hang() -> bool {
    static MAY_HANG: OnceLock<bool> = OnceLock::new();
    *MAY_HANG.get_or_init(|| mounts::may_hang(&mounts::read().unwrap_or_default()))
}

fn ask(question: &str, path: &str, look: &dyn Fn() -> io::Result<Vec<u8>>) -> io::Result<Vec<u8>> {
    if let Some(answer) = taped(question, path, look) {
        return answer;
    }
    if may_hang() { in_helper(path, look) } else { look() }
}

fn in_helper(path: &str, look: &dyn Fn() -> io::Result<Vec<u8>>) -> io::Result<Vec<u8>> {
    ask_helper(path, look).unwrap_or_else(|_| look())
}

/// The outer error is one of the helper, the inner one of the job.
#[inline(never)]
fn ask_helper(path: &str, look: &dyn Fn() -> io::Result<Vec<u8>>) -> Result<io::Result<Vec<u8>>, Errno> {
    let (read, write) = fork::pipe()?;
    let pid = fork::fork(&[], || {
        stdio::write_all(write.as_raw_fd(), &encode(look()));
        0
    })?;
    drop(write);
    Ok(decode(&answer(path, pid, read)))
}

/// Waits for the helper's output and end. A stop signal ends rinit, since nothing was started; other signals are
/// queued with their sender. Signals caused by rinit itself are dropped.
fn answer(path: &str, helper: Pid, pipe: OwnedFd) -> Vec<u8> {
    let mut waiter = Waiter::default();
    let mut tell_at = Some(clock::now().after(TELL_AFTER));
    let (mut bytes, mut open, mut ended) = (Vec::new(), Some(pipe), false);
    let mut kept: Vec<Received> = Vec::new();
    while !ended || open.is_some() {
        let fds: Vec<_> = open.iter().map(|pipe| PollInterest::reading(pipe.as_raw_fd())).gather();
        match waiter.wait(tell_at, &fds) {
            Wake::Signal { signal: Signal::CHLD, .. } => ended |= reap(helper),
            Wake::Signal { signal, .. } if ends_before_start(&[], signal) => {
                let _ = kill::process(helper, &[Signal::KILL]);
                crate::sys::exit(exit_code::of_signal(signal));
            }
            Wake::Signal { signal, sender } => kept.push((signal, sender)),
            Wake::Ready(fd) => {
                if fork::read_some(fd, &mut bytes) == 0 {
                    open = None;
                }
            }
            Wake::Due => {
                tell_at = None;
                tell(path);
            }
        }
    }
    for (signal, sender) in kept {
        signals::put_back(signal, sender);
    }
    bytes
}

/// Reaps ended children; returns whether the helper is among them.
fn reap(helper: Pid) -> bool {
    let mut ended = false;
    loop {
        match reap::next() {
            Reaped::Ended(pid, _) => ended |= pid == helper,
            Reaped::Stopped(..) => {}
            Reaped::NoneReady => return ended,
            Reaped::NoChildren => return true,
        }
    }
}

/// Reports as the command line and the environment ask for: the log is installed once the configuration is read.
fn tell(path: &str) {
    let (level, format) = LOG.get().copied().unwrap_or_default();
    if level.is_none_or(|level| level >= LogLevel::Warn) {
        output::before_install(format, &fill!("still waiting for {}: its file system does not answer", path));
    }
}

const TOO_LARGE: i32 = -1;
const TIMED_OUT: i32 = -2;

fn encode(result: io::Result<Vec<u8>>) -> Vec<u8> {
    match result {
        Ok(bytes) => [&0i32.to_ne_bytes()[..], &bytes].concat(),
        Err(error) => {
            let code = match error.kind() {
                ErrorKind::FileTooLarge => TOO_LARGE,
                ErrorKind::TimedOut => TIMED_OUT,
                _ => error.raw_os_error().unwrap_or(Errno::ENOENT as i32),
            };
            code.to_ne_bytes().to_vec()
        }
    }
}

fn decode(bytes: &[u8]) -> io::Result<Vec<u8>> {
    match bytes.split_first_chunk::<4>().map(|(code, rest)| (i32::from_ne_bytes(*code), rest)) {
        Some((0, rest)) => Ok(rest.to_vec()),
        Some((TOO_LARGE, _)) => Err(ErrorKind::FileTooLarge.into()),
        Some((TIMED_OUT, _)) => Err(ErrorKind::TimedOut.into()),
        Some((code, _)) => Err(io::Error::from_raw_os_error(code)),
        None => Err(Errno::EIO.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::reading::*;

    #[test]
    fn what_a_helper_found_comes_back_as_it_was() {
        assert_eq!(decode(&encode(Ok(b"x".to_vec()))).expect("bytes"), b"x");
        for kind in [ErrorKind::FileTooLarge, ErrorKind::TimedOut, ErrorKind::NotFound] {
            assert_eq!(decode(&encode(Err(kind.into()))).expect_err("an error").kind(), kind);
        }
        let closed = Err(io::Error::from_raw_os_error(Errno::EACCES as i32));
        assert_eq!(decode(&encode(closed)).expect_err("an error").kind(), ErrorKind::PermissionDenied);
        assert_eq!(decode(b"").expect_err("died").raw_os_error(), Some(Errno::EIO as i32));
    }
}
