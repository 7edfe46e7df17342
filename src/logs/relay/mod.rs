//! The relay: a helper process that copies the output of services to its destination.
//!
//! One loop over hundreds of pipes. It never waits for one reader while it could serve another, holds no byte that is
//! not also in a pipe, and has neither privileges nor secrets that it does not need.

mod files;
mod format;
mod mask;
mod opener;
mod pump;
mod records;
mod setup;
mod sink;

use super::{Channel, layout, order};
use crate::cli::LogLevel;
use crate::config::RunnableService;
use crate::model::Moment;
use crate::output;
use crate::sys::Errno;
use crate::sys::event::clock;
use crate::sys::event::epoll::{Epoll, Interest};
use crate::sys::fs::pipe::{self, Pipe};
use crate::sys::fs::shared::{Mapping, SharedMemory};
use crate::sys::net::pair;
use crate::sys::process::aside;
use crate::sys::stdio;
use crate::text::gather::Gather;
use crate::text::redact;
use crate::text::regex::Pattern;
use crate::text::template::fill;
use mask::Mask;
use sink::{Sink, SinkKind};
use std::collections::VecDeque;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::time::Duration;

/// How long to wait for the rest of an incomplete line before it is shown.
const HALF_LINE_DELAY: Duration = Duration::from_millis(100);
/// The interval of retries.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// After the death of rinit: the time limit for the last lines.
const ORPHANED_TIMEOUT: Duration = Duration::from_secs(2);
/// How long it goes on when another takes its place.
const REPLACED_TIMEOUT: Duration = Duration::from_millis(500);
/// Lines that come faster than this are a burst, and are carried together; the timer's slack (50 µs) makes up the pause.
const BURST_INTERVAL: Duration = Duration::from_micros(100);
const BURST_PAUSE: Duration = Duration::from_micros(1);
const NEVER: Moment = Moment(u64::MAX);
/// How much is read at once: the capacity of a pipe.
const BATCH: usize = 64 * 1024;
/// The maximum size of a piece of a line, including its newline: container engines split longer lines themselves.
const MAX_PIECE: usize = 16 * 1024;

/// Event numbers that are not a source.
const CONTROL: u64 = 1 << 32;
const OPENER: u64 = CONTROL + 1;
const SINKS: u64 = 1 << 33;

/// The arguments of the relay.
pub(super) struct Setup<'a> {
    pub services: &'a [RunnableService],
    pub channels: &'a [Channel],
    pub memory: &'a SharedMemory,
    pub control: &'a OwnedFd,
    /// Whether some services write to the container's output directly, beside the relay.
    pub shares_with_services: bool,
}

/// The format of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Prefix,
    Json,
    Plain,
}

/// One stream of one service.
#[derive(Clone, Copy)]
struct RelayedService {
    channel: usize,
    stream: usize,
    fd: RawFd,
    sink: usize,
    style: Style,
    timestamps: bool,
    /// An incomplete line of this length is written in pieces: the pipe may not hold more.
    piece_at: usize,
    /// When the current incomplete line was first seen.
    half_since: Option<Moment>,
    /// How many ends of runs were handled.
    ended: u64,
    is_queued: bool,
    is_parked: bool,
}

struct Relay<'a> {
    setup: &'a Setup<'a>,
    memory: Mapping,
    epoll: Epoll,
    /// A pipe into which sources are peeked.
    view: Pipe,
    null: Option<OwnedFd>,
    /// Whether the kernel refuses tee(2); what was read of each source is then held here until it is written out.
    cannot_peek: bool,
    held: Vec<Vec<u8>>,
    opener: Option<OwnedFd>,
    sources: Vec<RelayedService>,
    sinks: Vec<Sink>,
    /// `web | `, per service.
    labels: Vec<Vec<u8>>,
    mask: Mask,
    /// Per service what its healthcheck looks for; empty: nothing for any.
    patterns: Vec<Option<Pattern>>,
    /// Sources to be checked.
    ready: VecDeque<usize>,
    /// Sources with an incomplete line.
    halves: Vec<usize>,
    /// Whether to tell rinit that the output of an ended run is written.
    has_flushed: bool,
    /// When finishing: the deadline.
    finishing: Option<Moment>,
    /// The order to reopen all files that is in progress.
    reopening: u64,
    buffer: Vec<u8>,
    chunk: Vec<u8>,
    spans: Vec<(usize, usize)>,
}

/// Runs until it is told to end; returns the exit code.
pub(super) fn run(setup: &Setup<'_>) -> u8 {
    output::owe_nothing();
    let Ok(mut relay) = Relay::new(setup) else { return 71 };
    relay.tell_what_was_cut();
    relay.serve();
    0
}

impl<'a> Relay<'a> {
    fn new(setup: &'a Setup<'a>) -> Result<Self, Errno> {
        let view = Pipe::new()?;
        let null = stdio::open_null();
        let mut sinks = setup::streams();
        let out_of = |stream: usize| if sinks.len() == 1 { 0 } else { stream };
        let colors = [0, 1].map(|stream| sinks.get(out_of(stream)).is_some_and(Sink::is_terminal));
        let streams = [out_of(0), out_of(1)];
        let sources = setup::sources(setup, streams, &mut sinks);
        let opener = if sinks.iter().any(|sink| matches!(sink.kind, SinkKind::File(_))) {
            Some(opener::start(&[])?)
        } else {
            None
        };
        let memory = setup.memory.map()?;
        let epoll = Epoll::new()?;
        epoll.watch(setup.control.as_raw_fd(), CONTROL, Interest::Input)?;
        if let Some(opener) = &opener {
            epoll.watch(opener.as_raw_fd(), OPENER, Interest::Input)?;
        }
        for (number, source) in (0..).zip(&sources) {
            epoll.watch(source.fd, number, Interest::NewInput)?;
        }
        let mut keep: Vec<RawFd> = sources.iter().map(|source| source.fd).gather();
        keep.extend([&view.read, &view.write, setup.control].map(|fd| fd.as_raw_fd()));
        keep.extend(null.iter().map(|fd| fd.as_raw_fd()));
        keep.extend(opener.iter().map(|fd| fd.as_raw_fd()));
        keep.extend([epoll.raw_fd(), setup.memory.raw_fd()]);
        keep.extend(sinks.iter().filter_map(Sink::own_fd));
        aside::keep_only(&mut keep);
        aside::give_up_rights();
        Ok(Self {
            memory,
            epoll,
            view,
            null,
            cannot_peek: false,
            held: vec![Vec::new(); sources.len()],
            opener,
            ready: (0..sources.len()).collect(),
            halves: Vec::new(),
            labels: setup::labels(setup, colors.contains(&true)),
            sources,
            sinks,
            mask: Mask::new(redact::byte_forms()),
            patterns: setup::patterns(setup),
            has_flushed: false,
            finishing: None,
            reopening: 0,
            buffer: vec![0; BATCH],
            chunk: Vec::new(),
            spans: Vec::new(),
            setup,
        })
    }

    /// Reports what the previous relay has left incomplete.
    fn tell_what_was_cut(&mut self) {
        for number in 0..self.sinks.len() {
            let Some(stream) = self.sinks.get(number).and_then(Sink::stream) else { continue };
            let torn = layout::TORN + 8 * stream;
            let half = layout::HALF_LINE + 8 * stream;
            let begun = self.memory.word(half);
            if let Some(sink) = self.sinks.get_mut(number) {
                sink.half_line = usize::try_from(begun).ok().and_then(|begun| begun.checked_sub(1));
                if self.memory.word(torn) != 0 {
                    sink.write(b"\n");
                    sink.half_line = None;
                    self.memory.set_word(half, 0);
                    self.memory.set_word(torn, 0);
                }
            }
        }
        for number in 0..self.sources.len() {
            let Some(source) = self.sources.get(number).copied() else { continue };
            let slot = layout::slot(source.channel);
            let (begun, taken) = (slot + layout::begun(source.stream), slot + layout::taken(source.stream));
            let twice = self.memory.word(begun).saturating_sub(self.memory.word(taken));
            if twice > 0 && self.memory.word(slot + layout::held(source.stream)) == 0 {
                let what = fill!("up to {} bytes of its output may be there twice", &twice.to_string());
                output::line(LogLevel::Warn, self.name(source.channel), &what);
            }
            let held = self.memory.word(slot + layout::held(source.stream));
            if held > 0 {
                let what = fill!("{} bytes of its output were lost with the relay", &held.to_string());
                output::line(LogLevel::Warn, self.name(source.channel), &what);
                self.memory.add(taken, held);
                self.memory.set_word(slot + layout::held(source.stream), 0);
            }
            self.memory.set_word(begun, self.memory.word(taken));
            self.memory.set_word(slot + layout::taking(source.stream), 0);
        }
    }

    fn name(&self, channel: usize) -> &'a str {
        let service = self.setup.channels.get(channel).map(|channel| channel.service.index());
        service.and_then(|at| self.setup.services.get(at)).map_or("", |service| &service.name)
    }

    fn serve(&mut self) {
        let mut woken = Vec::new();
        self.open_files();
        loop {
            for _ in 0..self.ready.len() {
                if let Some(number) = self.ready.pop_front() {
                    self.turn(number);
                }
            }
            self.flush_halves();
            self.retry();
            if std::mem::take(&mut self.has_flushed) {
                let _ = pair::send(self.setup.control.as_raw_fd(), &[order::FLUSHED], None);
            }
            if self.is_done() {
                return;
            }
            let until = if self.ready.is_empty() { self.deadline() } else { Some(Moment(0)) };
            let begin = clock::now();
            self.epoll.wait(until, &mut woken);
            if self.ready.is_empty() && clock::now().since(begin) < BURST_INTERVAL {
                self.let_more_come(&woken);
            }
            for number in woken.drain(..) {
                self.wake(number);
            }
        }
    }

    /// In a burst each write of a service would be a wake-up, and a line that is carried alone: a moment later there are
    /// many in the pipe. Not where it is half full already.
    fn let_more_come(&self, woken: &[u64]) {
        let source = |number: &u64| self.sources.get(usize::try_from(*number).ok()?);
        let mut sources = woken.iter().filter_map(source).peekable();
        let is_burst = sources.peek().is_some() && self.finishing.is_none();
        if is_burst && sources.all(|source| pipe::unread(source.fd) < source.piece_at as u64) {
            std::thread::sleep(BURST_PAUSE);
        }
    }

    fn is_done(&self) -> bool {
        let Some(until) = self.finishing else { return false };
        let waits = self.sinks.iter().any(|sink| !sink.parked.is_empty() || !sink.rest.is_empty());
        self.ready.is_empty() && !waits || clock::now() > until
    }

    fn deadline(&self) -> Option<Moment> {
        let halves = self.halves.iter().filter_map(|number| self.sources.get(*number)?.half_since);
        let halves = halves.map(|since| since.after(HALF_LINE_DELAY));
        let retries = self.sinks.iter().filter_map(Sink::retry_at);
        halves.chain(retries).chain(self.finishing.filter(|until| *until != NEVER)).min()
    }

    fn wake(&mut self, number: u64) {
        match number {
            CONTROL => self.take_orders(),
            OPENER => self.file_opened(),
            SINKS.. => {
                let sink = usize::try_from(number - SINKS).unwrap_or(usize::MAX);
                self.sink_has_room(sink);
            }
            number => self.queue(usize::try_from(number).unwrap_or(usize::MAX)),
        }
    }

    fn take_orders(&mut self) {
        let mut message = [0; 16];
        loop {
            match pair::receive(self.setup.control.as_raw_fd(), &mut message, false) {
                Ok(Some(_)) => {}
                Err(Errno::EAGAIN) => return,
                // rinit has died.
                Ok(None) | Err(_) => {
                    self.finish(clock::now().after(ORPHANED_TIMEOUT));
                    return;
                }
            }
            match message.first() {
                Some(&order::LOOK) => {
                    for number in 0..self.sources.len() {
                        if self.source_has_ended(number) {
                            self.queue(number);
                        }
                    }
                }
                Some(&order::REOPEN) => self.open_files(),
                Some(&order::FINISH) => self.finish(NEVER),
                // What is left in the pipes is for the next one.
                Some(&order::REPLACE) => self.finish(clock::now().after(REPLACED_TIMEOUT)),
                _ => {}
            }
        }
    }

    fn source_has_ended(&self, number: usize) -> bool {
        self.sources.get(number).is_some_and(|source| {
            self.memory.word(layout::slot(source.channel) + layout::ENDED) != source.ended
        })
    }

    fn finish(&mut self, until: Moment) {
        if self.finishing.is_none_or(|known| known > until) {
            self.finishing = Some(until);
            if until != NEVER {
                let _ = self.epoll.forget(self.setup.control.as_raw_fd());
            }
            (0..self.sources.len()).for_each(|number| self.queue(number));
        }
    }

    /// Queues a source for its next turn.
    fn queue(&mut self, number: usize) {
        if let Some(source) = self.sources.get_mut(number)
            && !source.is_queued
            && !source.is_parked
        {
            source.is_queued = true;
            self.ready.push_back(number);
        }
    }

    fn turn(&mut self, number: usize) {
        if let Some(source) = self.sources.get_mut(number) {
            source.is_queued = false;
        }
        if self.pump(number, false) {
            self.queue(number);
        }
    }

    /// Shows lines that have been incomplete for a while, such as prompts.
    fn flush_halves(&mut self) {
        if self.halves.is_empty() {
            return;
        }
        let now = clock::now();
        let mut halves = std::mem::take(&mut self.halves);
        halves.retain(|number| {
            let since = self.sources.get(*number).and_then(|source| source.half_since);
            if since.is_some_and(|since| since.after(HALF_LINE_DELAY) <= now) {
                if let Some(source) = self.sources.get_mut(*number) {
                    source.half_since = None;
                }
                if self.pump(*number, true) {
                    self.queue(*number);
                }
                return false;
            }
            since.is_some()
        });
        self.halves.append(&mut halves);
    }

    /// A sink has room, or a retry is due.
    fn sink_has_room(&mut self, number: usize) {
        let Some(sink) = self.sinks.get_mut(number) else { return };
        sink.is_blocked = false;
        if !sink.rest.is_empty() {
            let rest = std::mem::take(&mut sink.rest);
            let written = sink.write(&rest);
            let done = match written {
                sink::Written::All => rest.len(),
                sink::Written::Part(done) => done,
                sink::Written::Nothing => 0,
            };
            sink.rest = rest.get(done..).unwrap_or_default().to_vec();
            if !sink.rest.is_empty() {
                self.wait_for(number);
                return;
            }
            if let Some(stream) = sink.stream() {
                self.memory.set_word(layout::TORN + 8 * stream, 0);
            }
            if let Some(owed) = sink.owed.take() {
                self.settle(owed);
            }
        }
        let Some(sink) = self.sinks.get_mut(number) else { return };
        for source in std::mem::take(&mut sink.parked) {
            if let Some(source) = self.sources.get_mut(source) {
                source.is_parked = false;
            }
            self.queue(source);
        }
    }

    /// A sink has no room: its sources wait.
    fn wait_for(&mut self, number: usize) {
        let Some(sink) = self.sinks.get_mut(number) else { return };
        let fd = match &mut sink.kind {
            SinkKind::Stream { fd, own, .. } => own.as_ref().map_or(*fd, |own| own.as_raw_fd()),
            SinkKind::File(file) => {
                if !file.is_asked {
                    file.retry_at = Some(clock::now().after(RETRY_INTERVAL));
                }
                self.tell_of_failure(number);
                return;
            }
        };
        let token = SINKS + u64::try_from(number).unwrap_or(0);
        if self.epoll.watch(fd, token, Interest::RoomOnce).is_err() {
            // A file that cannot be polled (a full disk behind `rinit > log`) is retried by timer.
            self.wake(token);
        }
    }
}
