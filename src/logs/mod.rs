//! The output of services that rinit relays: `logging.driver` is `prefix`, `json` or `file`.
//!
//! PID 1 copies no byte. It creates two pipes per such service, keeps both ends open for its whole life, and starts
//! the `relay`, a helper process that inherits them. So a killed relay loses nothing: the bytes stay in the pipes, and
//! the next relay continues. The relay peeks at a pipe (tee(2)), writes the data out, and only then consumes it; the
//! counters are in shared memory ([`layout`]). If it is killed in between, the next relay writes at most one piece
//! twice, and says so.
//!
//! Since PID 1 keeps the pipes open, the relay never sees their end. So PID 1 records at the end of each run the
//! position in the stream: an incomplete line is ended there.

pub mod layout;
mod relay;
mod replace;
mod tails;

pub use tails::Tail;

use crate::cli::LogLevel;
use crate::config::{LogDriver, RunnableService};
use crate::model::{ExitStatus, Moment, Pid, ServiceId};
use crate::output;
use crate::sys::Errno;
use crate::sys::event::clock;
use crate::sys::fs::pipe::{self, Pipe};
use crate::sys::fs::shared::SharedMemory;
use crate::sys::net::pair;
use crate::sys::process::{aside, kill, rlimits};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::rc::Rc;
use std::time::Duration;

/// The minimum time between two starts of the relay.
const RELAY_RESTART_INTERVAL: Duration = Duration::from_millis(100);
/// At exit: the time limit for the last lines, and the limit without any progress.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);
const DRAIN_STALL_TIMEOUT: Duration = Duration::from_millis(500);
/// With more services than this their pipes are smaller: the kernel gives each user 1,024 pipes of full size.
const MAX_FULL_PIPES: usize = 200;
const SMALL_PIPE: i32 = 16 * 1024;

/// How often in a row PID 1 counts what has gone into a pipe; when it does so again where that was in vain, and how long.
const MAX_POSITION_ATTEMPTS: u32 = 8;
const POSITION_RETRY_INTERVAL: Duration = Duration::from_millis(1);
const POSITION_TIMEOUT: Duration = Duration::from_millis(500);

/// Orders to the relay, and its replies.
mod order {
    pub const LOOK: u8 = b'l';
    pub const REOPEN: u8 = b'o';
    pub const FINISH: u8 = b'f';
    pub const REPLACE: u8 = b'r';
    pub const FLUSHED: u8 = b'd';
    pub const SEEN: u8 = b's';
}

/// A relayed service with its two streams.
struct Channel {
    service: ServiceId,
    pipes: [Pipe; 2],
    /// Whether its healthcheck looks for a pattern.
    has_pattern: bool,
    /// How many runs have ended, and are marked.
    runs: u64,
    /// When the run ended whose end is not marked yet.
    ended_at: Option<Moment>,
    /// Where the output of the service begins that has this id now, and what was counted before.
    begins: u64,
    counted: [u64; 3],
}

impl Channel {
    /// What lies in its pipes.
    fn unread(&self) -> u64 {
        self.pipes.iter().map(|end| pipe::unread(end.read.as_raw_fd())).sum()
    }
}

struct RelayProcess {
    pid: Pid,
    socket: OwnedFd,
}

/// PID 1's side.
pub struct Logs {
    services: Rc<[RunnableService]>,
    channels: Vec<Channel>,
    memory: Option<SharedMemory>,
    relay: Option<RelayProcess>,
    started: Moment,
    restart_at: Option<Moment>,
    /// When ends of runs are to be marked that could not be.
    mark_at: Option<Moment>,
    /// Whether the relay must not be restarted: everything is being killed.
    is_held: bool,
    /// Whether the relay was told to make room for another, which knows another set of services.
    is_replaced: bool,
}

impl Logs {
    /// Returns `None` if no service needs it: then it costs nothing.
    #[must_use]
    pub fn new(services: &Rc<[RunnableService]>) -> Option<Box<Self>> {
        services.iter().any(|service| service.program.logging.driver.is_relayed()).then(|| {
            Box::new(Self {
                services: Rc::clone(services),
                channels: Vec::new(),
                memory: None,
                relay: None,
                started: Moment(0),
                restart_at: None,
                mark_at: None,
                is_held: false,
                is_replaced: false,
            })
        })
    }

    /// Returns the descriptors for a service's standard output and error in its next run; `None` if it is not relayed.
    pub fn outputs(&mut self, service: ServiceId) -> Option<[RawFd; 2]> {
        let driver = self.services.get(service.index())?.program.logging.driver;
        if !driver.is_relayed() {
            return None;
        }
        if self.memory.is_none()
            && let Err(errno) = self.open()
        {
            let text = [
                "no pipes for the output of services: ",
                crate::sys::describe(errno),
                "; it goes out as it is",
            ];
            output::line(LogLevel::Error, "", &text.concat());
            self.channels.clear();
        }
        let at = self.channel(service)?;
        self.mark_end(at, true);
        let channel = self.channels.get_mut(at)?;
        if channel.runs > 0 {
            channel.pipes.iter_mut().for_each(Pipe::renew);
        }
        Some(channel.pipes.each_ref().map(|pipe| pipe.write.as_raw_fd()))
    }

    fn has_channel(&self, service: ServiceId) -> bool {
        self.channel(service).is_some()
    }

    fn channel(&self, service: ServiceId) -> Option<usize> {
        // In the order of the list, but for those that a reload has added.
        let is = |channel: &Channel| channel.service == service;
        let near = self.channels.get(service.index()).is_some_and(is).then_some(service.index());
        near.or_else(|| self.channels.iter().position(is))
    }

    /// Creates the pipes of all services, since the relay inherits those that exist when it starts.
    fn open(&mut self) -> Result<(), Errno> {
        let memory = SharedMemory::new(layout::slot(0))?;
        output::share_stderr(memory.raw_fd(), layout::HALF_LINE + 8, layout::TORN + 8);
        self.memory = Some(memory);
        if let Err(errno) = self.add_channels() {
            self.memory = None;
            return Err(errno);
        }
        self.start_relay();
        Ok(())
    }

    /// Creates the pipes of those services that have none yet.
    fn add_channels(&mut self) -> Result<(), Errno> {
        let services = Rc::clone(&self.services);
        let relayed = |service: &&RunnableService| service.program.logging.driver.is_relayed();
        let count = services.iter().filter(relayed).count();
        raise_descriptor_limit(count);
        for (at, service) in services.iter().enumerate() {
            let id = ServiceId(u16::try_from(at).unwrap_or(u16::MAX));
            if !service.program.logging.driver.is_relayed() || self.has_channel(id) {
                continue;
            }
            let pipes = [Pipe::new()?, Pipe::new()?];
            for end in &pipes {
                pipe::open_to_others(end.write.as_raw_fd());
                if count > MAX_FULL_PIPES {
                    pipe::resize(end.read.as_raw_fd(), SMALL_PIPE);
                }
            }
            let (has_pattern, begins, counted) = (replace::has_pattern(service), 0, [0; 3]);
            let ended_at = None;
            self.channels.push(Channel {
                service: id,
                pipes,
                has_pattern,
                runs: 0,
                ended_at,
                begins,
                counted,
            });
        }
        self.memory.as_mut().map_or(Ok(()), |memory| memory.grow(layout::slot(self.channels.len())))
    }

    fn start_relay(&mut self) {
        self.restart_at = None;
        self.started = clock::now();
        let Some(memory) = &self.memory else { return };
        let started = pair::pair().and_then(|(ours, theirs)| {
            let setup = relay::Setup {
                services: &self.services,
                channels: &self.channels,
                memory,
                control: &theirs,
                shares_with_services: self.shares_with_services(),
            };
            let pid = aside::fork(|| relay::run(&setup))?;
            Ok(RelayProcess { pid, socket: ours })
        });
        match started {
            Ok(relay) => self.relay = Some(relay),
            Err(errno) => {
                let text = [
                    "no process to relay the output of services: ",
                    crate::sys::describe(errno),
                    "; trying again",
                ];
                output::line(LogLevel::Error, "", &text.concat());
                self.restart_at = Some(self.started.after(RELAY_RESTART_INTERVAL));
            }
        }
    }

    /// Returns whether some services write to the container's output directly, beside the relay.
    fn shares_with_services(&self) -> bool {
        self.services.iter().any(|service| service.program.logging.driver == LogDriver::Inherit)
    }

    /// A run has started.
    pub fn run_started(&mut self, service: ServiceId, pid: Pid) {
        if let (Some(at), Some(memory)) = (self.channel(service), &self.memory) {
            memory.set_word(layout::slot(at) + layout::PID, u64::try_from(pid).unwrap_or(0));
        }
    }

    /// A run has ended: what is in its pipes now is its last output. Returns whether the relay was told and will
    /// reply.
    pub fn run_ended(&mut self, service: ServiceId) -> bool {
        let Some(at) = self.channel(service) else { return false };
        let Some(channel) = self.channels.get_mut(at) else { return false };
        channel.ended_at = Some(clock::now());
        self.mark_end(at, false);
        self.relay.is_some()
    }

    /// Notes how far a run went that has ended. Where that is not certain it is tried again soon, unless it `must` be now.
    fn mark_end(&mut self, at: usize, must: bool) {
        let (Some(channel), Some(memory)) = (self.channels.get_mut(at), &self.memory) else { return };
        let Some(ended_at) = channel.ended_at else { return };
        let slot = layout::slot(at);
        let ends = [0, 1].map(|stream| {
            let fd = channel.pipes.get(stream).map_or(-1, |end| end.read.as_raw_fd());
            position(memory, slot, stream, fd)
        });
        let now = clock::now();
        let is_certain = ends.iter().all(|(_, is_certain)| *is_certain);
        if !is_certain && !must && now < ended_at.after(POSITION_TIMEOUT) {
            self.mark_at = Some(now.after(POSITION_RETRY_INTERVAL));
            return;
        }
        for (stream, (position, _)) in ends.into_iter().enumerate() {
            memory.set_word(slot + layout::mark(stream, channel.runs), position);
        }
        channel.ended_at = None;
        channel.runs += 1;
        memory.set_word(slot + layout::ENDED, channel.runs);
        self.order(order::LOOK);
    }

    fn mark_ends(&mut self) {
        self.mark_at = None;
        (0..self.channels.len()).for_each(|at| self.mark_end(at, false));
    }

    /// Returns the services in whose output of this run the pattern of their healthcheck was seen.
    pub fn seen(&self) -> impl Iterator<Item = ServiceId> {
        let channels = self.channels.iter().enumerate().filter(|(_, channel)| channel.has_pattern);
        channels
            .filter(|(at, channel)| {
                let seen =
                    self.memory.as_ref().map_or(0, |memory| memory.word(layout::slot(*at) + layout::SEEN));
                seen == channel.runs + 1 && channel.ended_at.is_none()
            })
            .map(|(_, channel)| channel.service)
    }

    /// Reopens all log files: somebody has moved them.
    pub fn reopen(&self) {
        if let Some(memory) = &self.memory {
            memory.set_word(layout::REOPENS, memory.word(layout::REOPENS) + 1);
        }
        self.order(order::REOPEN);
    }

    /// Returns how many files could not be reopened; `None` while in progress.
    #[must_use]
    pub fn unopened(&self) -> Option<u64> {
        let memory = self.memory.as_ref()?;
        let is_done = memory.word(layout::REOPENED) == memory.word(layout::REOPENS);
        is_done.then(|| memory.word(layout::UNOPENED))
    }

    /// Returns whether there are any log files.
    #[must_use]
    pub fn has_files(&self) -> bool {
        self.memory.is_some()
            && self.services.iter().any(|service| service.program.logging.driver == LogDriver::File)
    }

    fn order(&self, order: u8) {
        if let Some(relay) = &self.relay {
            // No room: it has enough orders to check everything anyway.
            let _ = pair::send(relay.socket.as_raw_fd(), &[order], None);
        }
    }

    /// Returns the descriptor to wait for.
    #[must_use]
    pub fn descriptor(&self) -> Option<RawFd> {
        self.relay.as_ref().map(|relay| relay.socket.as_raw_fd())
    }

    /// Returns when something is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        self.restart_at.filter(|_| !self.is_held).into_iter().chain(self.mark_at).min()
    }

    /// Handles a readable descriptor or a deadline.
    pub fn attend(&mut self) {
        let mut answer = [0; 16];
        while let Some(socket) = self.descriptor() {
            match pair::receive(socket, &mut answer, false) {
                Ok(Some(_)) => {}
                Err(Errno::EAGAIN) => break,
                Ok(None) | Err(_) => self.relay_ended(),
            }
        }
        let now = clock::now();
        if self.restart_at.is_some_and(|moment| moment <= now && !self.is_held) {
            self.start_relay();
        }
        if self.mark_at.is_some_and(|moment| moment <= now) {
            self.mark_ends();
        }
    }

    fn relay_ended(&mut self) {
        let Some(relay) = self.relay.take() else { return };
        // It is in the last steps of its exit: this does not block.
        let how = aside::reap(relay.pid, true);
        if self.is_held {
            return;
        }
        if std::mem::take(&mut self.is_replaced) {
            return self.start_relay();
        }
        let how = how.unwrap_or(ExitStatus::Code(0)).to_string();
        // Without tee(2) what the relay held is lost: the next one says of which service.
        let end = if self.held() == 0 { ": nothing is lost" } else { "" };
        let text = ["the relay of the services' output was ", &how, "; starting another", end];
        output::line(LogLevel::Warn, "", &text.concat().replace("was exited", "exited"));
        self.restart_at = Some(self.started.after(RELAY_RESTART_INTERVAL).max(clock::now()));
    }

    /// Everything is about to be killed, including the relay: do not restart it.
    pub fn hold(&mut self) {
        self.is_held = true;
    }

    /// At exit: drains the pipes as far as they are read; counts and reports what is lost.
    pub fn finish(&mut self) {
        if self.memory.is_none() {
            return;
        }
        self.attend();
        if self.relay.is_none() {
            // Killed with everything else.
            self.start_relay();
        }
        self.mark_ends();
        while self.mark_at.is_some() {
            std::thread::sleep(POSITION_RETRY_INTERVAL);
            self.mark_ends();
        }
        self.order(order::FINISH);
        self.wait_for_relay();
        if let Some(relay) = self.relay.take() {
            let _ = kill::process(relay.pid, &[crate::model::Signal::KILL]);
            let _ = aside::reap(relay.pid, true);
        }
        self.tell_of_loss();
    }

    fn wait_for_relay(&self) {
        let Some(relay) = &self.relay else { return };
        let (mut left, end) = (self.unread(), clock::now().after(DRAIN_TIMEOUT));
        let mut stalled = clock::now().after(DRAIN_STALL_TIMEOUT);
        let mut answer = [0; 16];
        while clock::now() < end.min(stalled) {
            if pair::wait(relay.socket.as_raw_fd(), Duration::from_millis(20))
                && matches!(pair::receive(relay.socket.as_raw_fd(), &mut answer, false), Ok(None))
            {
                return;
            }
            let now = self.unread();
            if now < left {
                (left, stalled) = (now, clock::now().after(DRAIN_STALL_TIMEOUT));
            }
        }
    }

    /// What lies in all pipes, or is held by the relay.
    fn unread(&self) -> u64 {
        self.channels.iter().enumerate().map(|(at, channel)| channel.unread() + self.held_of(at)).sum()
    }

    /// What the relay has taken from the pipes of a service and not written out.
    fn held_of(&self, at: usize) -> u64 {
        let Some(memory) = &self.memory else { return 0 };
        [0, 1].map(|stream| memory.word(layout::slot(at) + layout::held(stream))).iter().sum()
    }

    fn held(&self) -> u64 {
        (0..self.channels.len()).map(|at| self.held_of(at)).sum()
    }

    fn tell_of_loss(&self) {
        for (at, channel) in self.channels.iter().enumerate() {
            let lost = channel.unread() + self.held_of(at);
            if lost > 0 {
                let name = self.services.get(channel.service.index()).map_or("", |found| &found.name);
                let text =
                    ["the last ", &lost.to_string(), " bytes of its output were not read, and are lost"];
                output::line(LogLevel::Warn, name, &text.concat());
            }
        }
    }
}

/// How many bytes have ever gone into a pipe, and whether that is certain: while bytes are being taken the counts do not
/// fit together, and the relay may be preempted, or killed, in the middle of that.
fn position(memory: &SharedMemory, slot: usize, stream: usize, fd: RawFd) -> (u64, bool) {
    let counts = || [layout::taken(stream), layout::held(stream)].map(|at| memory.word(slot + at));
    let mut position = 0;
    for _ in 0..MAX_POSITION_ATTEMPTS {
        let before = counts();
        position = before.iter().sum::<u64>() + pipe::unread(fd);
        let is_taking = memory.word(slot + layout::taking(stream)) != 0;
        if !is_taking && counts() == before {
            return (position, true);
        }
        std::thread::yield_now();
    }
    (position, false)
}

/// Raises the limit of 1,024 descriptors, which two pipes with both ends per service may exceed.
fn raise_descriptor_limit(services: usize) {
    const OTHERS: u64 = 64;
    let wanted = 4 * services as u64 + OTHERS;
    let Ok((soft, hard)) = rlimits::get("nofile") else { return };
    if wanted <= soft {
        return;
    }
    if rlimits::raise_open_files().is_err() || wanted > hard {
        let text = format!(
            "{services} services with a log of rinit's need {wanted} descriptors, and rinit may have {hard}: raise it (docker run --ulimit nofile={wanted})"
        );
        output::line(LogLevel::Warn, "", &text);
    }
}
