//! The helper processes that checks look and wait in, made of `sys`.

use crate::checks::run::{SpawnWorker, WorkerEvent};
use crate::model::{ExitStatus, Moment, Pid, Signal};
use crate::received::Early;
use crate::sys::event::clock;
use crate::sys::event::poll::{self, Waiter};
use crate::sys::process::reap::{self, Reaped};
use crate::sys::process::{fork, kill};
use crate::sys::stdio;
use crate::text::gather::Gather;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

/// The helpers of one round of checks.
pub struct Workers<'e, 'r> {
    early: &'e mut Early<'r>,
    /// Signals that rinit's parent ignored, reset in each helper.
    ignored: Vec<Signal>,
    waiter: Waiter,
    live: Vec<Worker>,
    ended: VecDeque<(Pid, Option<Vec<u8>>)>,
    /// Whether a child may have ended that is not reaped yet.
    dead: bool,
}

/// How many children are reaped between two looks for signals.
const PORTION: usize = 64;

struct Worker {
    pid: Pid,
    /// `None` once it has been read to its end.
    pipe: Option<OwnedFd>,
    bytes: Vec<u8>,
}

impl<'e, 'r> Workers<'e, 'r> {
    /// A crew without anybody in it.
    #[must_use]
    pub fn new(ignored: Vec<Signal>, early: &'e mut Early<'r>) -> Self {
        Self {
            early,
            ignored,
            waiter: Waiter::default(),
            live: Vec::new(),
            ended: VecDeque::new(),
            dead: false,
        }
    }

    /// Reaps some of those that have ended, orphans of others too. There may be ever more of them: a signal is to be
    /// heard in between.
    fn reap(&mut self) {
        for _ in 0..PORTION {
            let (pid, outcome) = match reap::next() {
                Reaped::Ended(pid, outcome) => (pid, outcome),
                Reaped::Stopped(..) => continue,
                Reaped::NoneReady | Reaped::NoChildren => {
                    self.dead = false;
                    return;
                }
            };
            let Some(at) = self.live.iter().position(|helper| helper.pid == pid) else { continue };
            let mut helper = self.live.swap_remove(at);
            // Who only looked is to leave nothing: what its program has put into the background ends with it.
            kill::what_outlives(pid);
            if let Some(pipe) = &helper.pipe {
                fork::read_rest(pipe.as_raw_fd(), &mut helper.bytes);
            }
            self.ended.push_back((pid, Some(helper.bytes).filter(|_| outcome == ExitStatus::Code(0))));
        }
    }
}

impl SpawnWorker for Workers<'_, '_> {
    fn start(&mut self, job: &mut dyn FnMut(&mut Vec<u8>)) -> io::Result<Pid> {
        let (read, write) = fork::pipe()?;
        let pid = fork::fork(&self.ignored, || {
            let mut bytes = Vec::new();
            job(&mut bytes);
            stdio::write_all(write.as_raw_fd(), &bytes);
            0
        })?;
        self.live.push(Worker { pid, pipe: Some(read), bytes: Vec::new() });
        Ok(pid)
    }

    fn wait(&mut self, until: Moment) -> WorkerEvent {
        loop {
            if self.dead {
                self.reap();
            }
            if let Some((pid, bytes)) = self.ended.pop_front() {
                return WorkerEvent::Done(pid, bytes);
            }
            let fds: Vec<_> = self
                .live
                .iter()
                .filter_map(|helper| helper.pipe.as_ref())
                .map(|pipe| poll::PollInterest::reading(pipe.as_raw_fd()))
                .gather();
            let more = self.dead && clock::now() < until;
            match self.waiter.wait(Some(if more { Moment(0) } else { until }), &fds) {
                poll::Wake::Due if more => {}
                poll::Wake::Due => return WorkerEvent::Due,
                poll::Wake::Signal { signal: Signal::CHLD, .. } => self.dead = true,
                poll::Wake::Signal { signal, sender } => {
                    if let Some(signal) = self.early.take((signal, sender)) {
                        return WorkerEvent::Signal(signal);
                    }
                }
                poll::Wake::Ready(fd) => {
                    let is = |helper: &&mut Worker| {
                        helper.pipe.as_ref().is_some_and(|pipe| pipe.as_raw_fd() == fd)
                    };
                    if let Some(helper) = self.live.iter_mut().find(is)
                        && fork::read_some(fd, &mut helper.bytes) == 0
                    {
                        helper.pipe = None;
                    }
                }
            }
        }
    }

    fn kill(&mut self, helper: Pid) {
        let Some(at) = self.live.iter().position(|known| known.pid == helper) else { return };
        self.live.swap_remove(at);
        // What it runs is below it, and its group does not exist yet when it has just been made.
        kill::tree(helper);
    }

    fn tell(&mut self, line: &str) {
        crate::output::line(crate::cli::LogLevel::Info, "", line);
    }

    fn now(&self) -> Moment {
        clock::now()
    }
}
