//! Where the relay reads and writes, as the configuration has it.

use super::sink::{LogFileSink, Sink, SinkKind};
use super::{MAX_PIECE, RelayedService, Setup, Style};
use crate::config::{LogDriver, ProbeSpec, RunnableService};
use crate::logs::Channel;
use crate::sys::fs::pipe;
use crate::sys::stdio;
use crate::text::gather::Gather;
use crate::text::regex::Pattern;
use crate::text::template::fill;
use std::os::fd::AsRawFd as _;

/// Returns the sinks of standard output and error; one if both are the same.
pub(super) fn streams() -> Vec<Sink> {
    let stream = |stream: usize| {
        let fd = if stream == 0 { 1 } else { 2 };
        let is_terminal = stdio::is_terminal(fd);
        Sink::new(SinkKind::Stream { stream, fd, own: pipe::reopen_nonblocking(fd), is_terminal })
    };
    // PID 1 logs to standard error.
    if pipe::is_same(1, 2) { vec![stream(1)] } else { vec![stream(0), stream(1)] }
}

pub(super) fn sources(setup: &Setup<'_>, streams: [usize; 2], sinks: &mut Vec<Sink>) -> Vec<RelayedService> {
    let mut sources = Vec::with_capacity(2 * setup.channels.len());
    for (channel, found) in setup.channels.iter().enumerate() {
        let Some(service) = setup.services.get(found.service.index()) else { continue };
        let logging = &service.program.logging;
        let file = logging.file.as_ref().filter(|_| logging.driver == LogDriver::File).map(|file| {
            let is = |sink: &Sink| matches!(&sink.kind, SinkKind::File(known) if known.path == file.path);
            sinks.iter().position(is).unwrap_or_else(|| {
                let (path, max_size, max_file) = (file.path.clone(), file.max_size, file.max_file);
                let file = LogFileSink { path, max_size, max_file, ..LogFileSink::default() };
                sinks.push(Sink::new(SinkKind::File(file)));
                sinks.len() - 1
            })
        });
        for (stream, (end, out)) in found.pipes.iter().zip(streams).enumerate() {
            let fd = end.read.as_raw_fd();
            sources.push(RelayedService {
                channel,
                stream,
                fd,
                sink: file.unwrap_or(out),
                style: match logging.driver {
                    LogDriver::Prefix => Style::Prefix,
                    LogDriver::Json => Style::Json,
                    _ => Style::Plain,
                },
                timestamps: logging.timestamps,
                piece_at: (pipe::capacity(fd) / 2).min(MAX_PIECE),
                half_since: None,
                ended: 0,
                is_queued: true,
                is_parked: false,
            });
        }
    }
    sources
}

/// Returns what healthchecks look for in the output of each service.
pub(super) fn patterns(setup: &Setup<'_>) -> Vec<Option<Pattern>> {
    if setup.channels.iter().all(|channel| !channel.has_pattern) {
        return Vec::new();
    }
    let pattern = |channel: &Channel| match &setup.services.get(channel.service.index())?.program.probe {
        // Anywhere in a line.
        Some(ProbeSpec::Log(text)) => Pattern::new(&fill!(".*(?:{}).*", text)).ok(),
        _ => None,
    };
    setup.channels.iter().map(pattern).gather()
}

/// Returns the prefix of each service's lines: its name, padded to the longest; coloured on a terminal.
pub(super) fn labels(setup: &Setup<'_>, colored: bool) -> Vec<Vec<u8>> {
    const COLORS: [&str; 6] = ["36", "33", "32", "35", "34", "31"];
    let service = |channel: &Channel| setup.services.get(channel.service.index());
    let is_prefixed =
        |service: &&RunnableService| matches!(service.program.logging.driver, LogDriver::Prefix);
    let all = setup.channels.iter().filter_map(service).filter(is_prefixed);
    let width = all.map(|service| service.name.chars().count()).max().unwrap_or(0);
    let label = |(at, channel): (usize, &Channel)| {
        let name = service(channel).map_or("", |service| service.name.as_str());
        let padding = " ".repeat(width.saturating_sub(name.chars().count()));
        let color = COLORS.get(at % COLORS.len()).copied().unwrap_or_default();
        let [begin, end] =
            if colored { [fill!("\x1b[{}m", color), "\x1b[0m".into()] } else { <[String; 2]>::default() };
        fill!("{}{}{} | {}", begin, name, padding, end).into_bytes()
    };
    setup.channels.iter().enumerate().map(label).gather()
}
