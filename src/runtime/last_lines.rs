//! Shows the last lines of a service that has failed for good; the relay may still be processing them.

use super::EventLoop;
use crate::cli::LogLevel;
use crate::model::{Moment, ServiceId};
use crate::supervisor::event::{Next, Note, Over, StopReason};
use crate::sys::event::clock;
use crate::text::escape::on_one_line;
use crate::text::gather::Gather;
use crate::text::template::fill;
use std::time::Duration;

/// How long to wait for the relay.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(300);
/// What fits in one line of rinit's log.
const MAX_TOLD_LINES: usize = 3;
const MAX_TOLD: usize = 400;
/// What goes into the termination log.
const MAX_LAST_LINES: usize = 20;
const MAX_LAST_WORDS: usize = 3000;

/// A failed service whose last lines are still to be shown.
pub(super) struct AwaitedLines {
    service: ServiceId,
    until: Moment,
}

impl EventLoop {
    /// Schedules the last lines after a note that a service has failed for good or never became ready.
    pub(super) fn await_last_lines(&mut self, note: Note) {
        let service = match note {
            Note::Ended { service, cause, next, .. }
                if cause == StopReason::StartTimeout
                    || matches!(
                        next,
                        Next::Failed | Next::GivenUp { .. } | Next::Over(Over::Stays | Over::Unhealthy)
                    ) =>
            {
                service
            }
            _ => return,
        };
        if self.runtime.logs.as_ref().is_some_and(|logs| logs.tail(service, 0).is_some()) {
            self.awaited_lines.push(AwaitedLines { service, until: clock::now().after(FLUSH_TIMEOUT) });
            self.tell_last_lines(false);
        }
    }

    pub(super) fn last_lines_due(&self) -> Option<Moment> {
        self.awaited_lines.iter().map(|awaited| awaited.until).min()
    }

    /// Shows the lines that are complete or have timed out; with `all`, shows everything (at exit).
    pub(super) fn tell_last_lines(&mut self, all: bool) {
        let Some(logs) = &self.runtime.logs else { return };
        let now = clock::now();
        let is_due = |awaited: &AwaitedLines| all || awaited.until <= now || logs.is_flushed(awaited.service);
        let (due, left) = std::mem::take(&mut self.awaited_lines).into_iter().partition(is_due);
        self.awaited_lines = left;
        let due: Vec<AwaitedLines> = due;
        for AwaitedLines { service, .. } in due {
            let lines = logs.tail(service, 0).unwrap_or_default().last_lines(MAX_TOLD_LINES, MAX_TOLD);
            let shown: Vec<String> = lines.iter().map(|line| fill!("\"{}\"", &on_one_line(line))).gather();
            if !shown.is_empty() {
                let what = if shown.len() == 1 { "its last line was " } else { "its last lines were " };
                self.say(LogLevel::Error, Some(service), &[what, &shown.join(", ")].concat());
            }
        }
    }

    /// At exit: flushes the relay and adds the last lines to the last words.
    pub(super) fn end_logs(&mut self) {
        let Some(logs) = &mut self.runtime.logs else { return };
        logs.finish();
        self.tell_last_lines(true);
        let tail = self.last_failed.and_then(|service| self.runtime.logs.as_ref()?.tail(service, 0));
        let lines = tail.unwrap_or_default().last_lines(MAX_LAST_LINES, MAX_LAST_WORDS);
        if !lines.is_empty() {
            self.last_words.push_str("; its last lines:");
        }
        for line in lines {
            self.last_words.extend(["\n", &line]);
        }
    }
}
