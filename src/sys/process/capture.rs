//! Runs a program to its end and keeps what it writes: for checks, in a helper process, which has no child besides.

use super::reap::{self, Reaped};
use super::spawn::{self, Environment, ExecSpec, Inheritance, SessionMode, SpawnError, Stage};
use super::{fork, kill};
use crate::model::{ExitStatus, Pid};
use crate::sys::event::clock;
use crate::sys::stdio;
use crate::text::gather::Gather;
use std::ffi::CString;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::Duration;

/// As much of an output as is kept.
const MAX_OUTPUT_BYTES: usize = 1 << 20;

/// How long the processes of a program are waited for once they were killed.
const END_TIMEOUT: Duration = Duration::from_millis(500);

/// What a program did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ran {
    /// How it ended; `None`: it did not in time, and was killed with all that it had started.
    pub outcome: Option<ExitStatus>,
    /// Its standard output, and its standard error.
    pub output: [Vec<u8>; 2],
}

/// Runs the program at `path`.
pub fn run(path: &str, argv: &[String], environ: &[CString], patience: Duration) -> Result<Ran, SpawnError> {
    let word = |word: &str| CString::new(word).unwrap_or_default();
    let stage = |errno| SpawnError { stage: Stage::Stdio, errno };
    let null = stdio::open_null();
    // What the program starts stays below the helper, in whatever session, and ends with it.
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
        ulimits: &[],
        open_files: super::rlimits::given_open_files(),
        stdio: [null.as_ref().map(|fd| fd.as_raw_fd()), Some(out_end.as_raw_fd()), Some(err_end.as_raw_fd())],
        kept: None,
        // In the helper's session and group, with which it is killed when rinit gives up.
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
        // SAFETY: a list of two entries of ours.
        unsafe { libc::poll(set.as_mut_ptr(), 2, if open { 20 } else { 2 }) };
        for (entry, output) in set.iter_mut().zip(&mut ran.output).filter(|(entry, _)| entry.revents != 0) {
            if fork::read_some(entry.fd, output) == 0 {
                (entry.fd, entry.revents) = (-1, 0);
            }
            output.truncate(MAX_OUTPUT_BYTES);
        }
    }
}

/// Kills the program, and all that it has started. What cannot die (uninterruptible sleep) is not waited for.
fn end() {
    let until = clock::now().after(END_TIMEOUT);
    while reap::any_child() && clock::now() < until {
        kill::kill_below(crate::sys::pid());
        while let Reaped::Ended(..) | Reaped::Stopped(..) = reap::next() {}
        std::thread::sleep(Duration::from_millis(1));
    }
}
