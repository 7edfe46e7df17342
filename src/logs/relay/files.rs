//! The relay's log files: opening, rotation, retries.

use super::opener::{self, FileOrder};
use super::sink::{LogFileSink, Sink, SinkKind};
use super::{RETRY_INTERVAL, Relay, layout};
use crate::cli::LogLevel;
use crate::model::Moment;
use crate::output;
use crate::sys::Errno;
use crate::sys::event::clock;
use crate::sys::fs::logfile;
use crate::text::template::fill;
use std::os::fd::{AsRawFd as _, RawFd};

impl Sink {
    pub(super) fn own_fd(&self) -> Option<RawFd> {
        match &self.kind {
            SinkKind::Stream { own, .. } => own.as_ref().map(|own| own.as_raw_fd()),
            SinkKind::File(_) => None,
        }
    }

    /// Returns 0 or 1 for standard output or error.
    pub(super) fn stream(&self) -> Option<usize> {
        match self.kind {
            SinkKind::Stream { stream, .. } => Some(stream),
            SinkKind::File(_) => None,
        }
    }

    pub(super) fn retry_at(&self) -> Option<Moment> {
        match &self.kind {
            SinkKind::Stream { .. } => None,
            SinkKind::File(file) => file.retry_at,
        }
    }
}

impl Relay<'_> {
    fn file(&mut self, sink: usize) -> Option<&mut LogFileSink> {
        match &mut self.sinks.get_mut(sink)?.kind {
            SinkKind::File(file) => Some(file),
            SinkKind::Stream { .. } => None,
        }
    }

    /// Opens all files; reopens those that are open.
    pub(super) fn open_files(&mut self) {
        self.reopening = self.memory.word(layout::REOPENS);
        for sink in 0..self.sinks.len() {
            if let Some(file) = self.file(sink) {
                file.is_stale = file.is_asked;
            }
            self.ask(sink, FileOrder::Open);
        }
        self.note_opened();
    }

    /// Records for rinit that all files are open, if possible.
    fn note_opened(&self) {
        let files = || {
            self.sinks.iter().filter_map(|sink| match &sink.kind {
                SinkKind::File(file) => Some(file),
                SinkKind::Stream { .. } => None,
            })
        };
        if files().all(|file| !file.is_asked) {
            let has_failed = |file: &&LogFileSink| file.fd.is_none() || file.no_rotation_until.is_some();
            let failed = files().filter(has_failed).count();
            self.memory.set_word(layout::UNOPENED, failed as u64);
            self.memory.set_word(layout::REOPENED, self.reopening);
        }
    }

    fn ask(&mut self, sink: usize, order: FileOrder) {
        let Some(opener) = self.opener.as_ref().map(|opener| opener.as_raw_fd()) else { return };
        let Some(file) = self.file(sink).filter(|file| !file.is_asked) else { return };
        match opener::ask(opener, sink, order, &file.path, file.max_file) {
            Ok(()) => {
                (file.is_asked, file.retry_at) = (true, None);
                file.is_rotating = order == FileOrder::Rotate;
            }
            Err(_) => file.retry_at = Some(clock::now().after(RETRY_INTERVAL)),
        }
    }

    fn ask_again(&mut self, sink: usize) {
        if let Some(file) = self.file(sink) {
            file.is_stale = false;
        }
        self.ask(sink, FileOrder::Open);
    }

    /// Returns whether a file must be rotated before `more` bytes are written; if so, the rotation is requested.
    pub(super) fn rotates(&mut self, sink: usize, more: usize) -> bool {
        let Some(file) = self.file(sink) else { return false };
        let Some(max_size) = file.max_size else { return false };
        let more = u64::try_from(more).unwrap_or(0);
        if file.size == 0 || file.size + more <= max_size {
            return false;
        }
        // It may have been truncated externally.
        file.size = file.fd.as_ref().map_or(0, logfile::size);
        if file.size == 0 || file.size + more <= max_size {
            return false;
        }
        if file.no_rotation_until.is_some_and(|until| until > clock::now()) {
            return false;
        }
        self.ask(sink, FileOrder::Rotate);
        true
    }

    /// Handles a reply of the opener.
    pub(super) fn file_opened(&mut self) {
        let Some(opener) = self.opener.as_ref().map(|opener| opener.as_raw_fd()) else { return };
        loop {
            let opened = match opener::answer(opener) {
                Ok(opened) => opened,
                Err(Errno::EAGAIN) => {
                    self.note_opened();
                    return;
                }
                // It has died, and the relay lacks the rights to start another: the next relay will.
                Err(_) => crate::sys::exit(75),
            };
            let sink = opened.sink;
            let Some(file) = self.file(sink) else { continue };
            file.is_asked = false;
            let was_moved = std::mem::take(&mut file.is_stale);
            match opened.fd {
                Ok(fd) => {
                    // The old file is closed only now.
                    file.size = logfile::size(&fd);
                    file.fd = Some(fd);
                    file.no_rotation_until = None;
                    self.tell_of_recovery(sink);
                    self.sink_has_room(sink);
                }
                Err(errno) if file.fd.is_some() => {
                    let later = clock::now().after(RETRY_INTERVAL);
                    file.no_rotation_until = Some(later);
                    if !file.is_rotating {
                        // Until then output goes to a file that may have no name any more.
                        (file.is_stale, file.retry_at) = (true, Some(later));
                    }
                    self.fail(sink, errno, "cannot be rotated or opened anew");
                    self.sink_has_room(sink);
                }
                Err(errno) => {
                    file.retry_at = Some(clock::now().after(RETRY_INTERVAL));
                    self.fail(sink, errno, "cannot be opened");
                }
            }
            if was_moved {
                self.ask_again(sink);
            }
        }
    }

    /// Retries what has failed earlier.
    pub(super) fn retry(&mut self) {
        let is_due = |sink: &Sink| sink.retry_at().is_some_and(|at| at <= clock::now());
        if !self.sinks.iter().any(|sink| sink.retry_at().is_some()) {
            return;
        }
        for sink in 0..self.sinks.len() {
            if !self.sinks.get(sink).is_some_and(is_due) {
                continue;
            }
            let Some(file) = self.file(sink) else { continue };
            file.retry_at = None;
            if file.fd.is_some() && !file.is_stale {
                self.sink_has_room(sink);
            } else {
                self.ask_again(sink);
            }
        }
    }

    fn fail(&mut self, sink: usize, errno: Errno, what: &str) {
        let Some(found) = self.sinks.get_mut(sink) else { return };
        let is_news = found.told != Some(errno);
        found.told = Some(errno);
        if is_news && let Some(file) = self.file(sink) {
            let held = if file.fd.is_some() { "going on in the old one" } else { "its services wait" };
            let text = [
                "the log ",
                &file.path,
                " ",
                what,
                ": ",
                crate::sys::describe(errno),
                "; ",
                held,
                ", trying again",
            ];
            output::line(LogLevel::Error, "", &text.concat());
        }
    }

    /// Reports a failed write, once.
    pub(super) fn tell_of_failure(&mut self, sink: usize) {
        let Some(found) = self.sinks.get_mut(sink) else { return };
        let Some(errno) = found.failed.filter(|errno| found.told != Some(*errno)) else { return };
        found.told = Some(errno);
        let text = match &found.kind {
            SinkKind::File(file) => fill!(
                "the log {} cannot be written: {}; its services wait, trying again",
                file.path,
                crate::sys::describe(errno)
            ),
            SinkKind::Stream { stream, .. } => {
                let which = if *stream == 0 { "output" } else { "error" };
                fill!(
                    "standard {} cannot be written: {}; what services write there is lost",
                    which,
                    crate::sys::describe(errno)
                )
            }
        };
        output::line(LogLevel::Error, "", &text);
    }

    /// Reports, once, that writing works again.
    pub(super) fn tell_of_recovery(&mut self, sink: usize) {
        let Some(found) = self.sinks.get_mut(sink) else { return };
        if found.failed.is_none()
            && found.told.take().is_some()
            && let SinkKind::File(file) = &found.kind
        {
            output::line(LogLevel::Info, "", &fill!("the log {} is written again", file.path));
        }
    }
}
