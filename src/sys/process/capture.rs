//! Runs a program to its end and captures its output. For checks: runs in a helper process that has no other child.

use super::reap::{self, Reaped};
use super::spawn::{self, Environment, ExecSpec, Inheritance, SessionMode, SpawnError, Stage};
use super::{fork, kill};
use crate::model::{ExitStatus, Pid};
use crate::sys::event::clock;
use crate::sys::stdio;
use crate::text::gather::Gather;
use std::borrow::Cow;
use std::ffi::CString;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::Duration;

/// How much of each output stream is kept.
const MAX_OUTPUT_BYTES: usize = 1 << 20;

/// How long to wait for the program's processes to go away after killing them.
const END_TIMEOUT: Duration = Duration::from_millis(500);

/// The result of a run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ran {
    /// Its exit status; `None`: it timed out and was killed, with everything that it started.
    pub outcome: Option<ExitStatus>,
    /// Standard output and standard error.
    pub output: [Vec<u8>; 2],
}

/// Runs the program at `path`, for at most `patience`.
pub fn run(path: &str, argv: &[String], environ: &[CString], patience: Duration) -> Result<Ran, SpawnError> {
    let word = |word: &str| CString::new(word).unwrap_or_default();
    let stage = |errno| SpawnError { stage: Stage::Stdio, errno };
    let null = stdio::open_null();
    // Descendants in any session are reparented to the helper and end with it.
    let _ = crate::sys::become_subreaper();
    let (out, out_end) = fork::pipe().map_err(stage)?;
    let (err, err_end) = fork::pipe().map_err(stage)?;
    let pid = spawn::spawn_and_wait(ExecSpec {
        candidates: vec![word(path)],
        argv: argv.iter().map(|text| word(text)).gather().into(),
        environment: Environment::Entries(environ.into()),
        directory: None,
        given_directory: None,
        ids: None,
        umask: None,
        ulimits: Cow::Borrowed(&[]),
        cgroup: None,
        privileges: None,
        open_files: super::rlimits::given_open_files(),
        stdio: [null.as_ref().map(|fd| fd.as_raw_fd()), Some(out_end.as_raw_fd()), Some(err_end.as_raw_fd())],
        passed: Vec::new(),
        pid_variables: Vec::new(),
        // In the helper's session and group, so that rinit's kill of the helper reaches it.
        place: SessionMode::Stay,
        slate: Inheritance::Clean(&[]),
    })?;
    drop((out_end, err_end));
    Ok(follow(pid, [out, err], patience))
}

fn follow(pid: Pid, pipes: [OwnedFd; 2], patience: Duration) -> Ran {
    let until = clock::now().after(patience);
    let mut set =
        pipes.each_ref().map(|pipe| libc::pollfd { fd: pipe.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    let mut ran = Ran::default();
    loop {
        let reaped = reap::next();
        if let Reaped::Ended(ended, outcome) = reaped
            && ended == pid
        {
            ran.outcome = Some(outcome);
            for (pipe, output) in pipes.iter().zip(&mut ran.output) {
                fork::read_rest(pipe.as_raw_fd(), output);
                output.truncate(MAX_OUTPUT_BYTES);
            }
            end();
            return ran;
        }
        if clock::now() >= until {
            end();
            return ran;
        }
        if let Reaped::Ended(..) = reaped {
            continue; // an orphan of the program's: there may be more
        }
        let open = set.iter().any(|entry| entry.fd >= 0);
        // SAFETY: an array of two entries of ours.
        unsafe { libc::poll(set.as_mut_ptr(), 2, if open { 20 } else { 2 }) };
        for (entry, output) in set.iter_mut().zip(&mut ran.output).filter(|(entry, _)| entry.revents != 0) {
            if fork::read_some(entry.fd, output) == 0 {
                (entry.fd, entry.revents) = (-1, 0);
            }
            output.truncate(MAX_OUTPUT_BYTES);
        }
    }
}

/// Kills the program and everything that it started. Does not wait for processes that cannot die (uninterruptible
/// sleep).
fn end() {
    let until = clock::now().after(END_TIMEOUT);
    while reap::any_child() && clock::now() < until {
        kill::kill_below(crate::sys::pid());
        while let Reaped::Ended(..) | Reaped::Stopped(..) = reap::next() {}
        std::thread::sleep(Duration::from_millis(1));
    }
}
