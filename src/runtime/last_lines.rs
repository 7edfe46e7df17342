//! Shows the last lines of a service that has failed for good; the relay may still be processing them.

use super::EventLoop;
use crate::cli::LogLevel;
use crate::exit_code;
use crate::model::{HookKind, Moment, ServiceId};
use crate::output::messages::Words;
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
struct AwaitedLines {
    service: ServiceId,
    until: Moment,
}

/// What goes into the termination log, and what is still to be shown of it.
#[derive(Default)]
pub(super) struct LastWords {
    /// The last failure.
    pub(super) words: String,
    /// The service that it is about.
    service: Option<ServiceId>,
    /// Why the last start failed, as far as that was told before [`Note::NotStarted`].
    pub(super) start_failure: String,
    awaited: Vec<AwaitedLines>,
}

impl EventLoop {
    /// Schedules the last lines after a note that a service has failed for good or never became ready.
    pub(super) fn await_last_lines(&mut self, note: Note) {
        let service = match note {
            Note::Ended { service, cause, next, .. }
                if cause == StopReason::StartTimeout
                    || matches!(
                        next,
                        Next::Failed
                            | Next::GivenUp { .. }
                            | Next::Over(
                                Over::Stays | Over::Unhealthy | Over::StartLimit | Over::RestartLimit
                            )
                    ) =>
            {
                service
            }
            _ => return,
        };
        if self.runtime.logs.as_ref().is_some_and(|logs| logs.tail(service, 0).is_some()) {
            self.last.awaited.push(AwaitedLines { service, until: clock::now().after(FLUSH_TIMEOUT) });
            self.tell_last_lines(false);
        }
    }

    /// Keeps a note for the termination log, if it may be the cause of rinit's exit. What fails while the container
    /// stops is not: it stands only where nothing else has failed.
    pub(super) fn keep_last_words(&mut self, note: Note, words: &Words, who: &str, hint: &str) {
        let (failed, late) = match note {
            Note::Ended { outcome, next, .. } => {
                let late = self.runtime.core.is_stopping() && next != Next::Failed;
                (exit_code::of(outcome) != exit_code::SUCCESS, late)
            }
            Note::NotStarted { next, .. } => (true, next == Next::Over(Over::Stopping)),
            Note::HookFailed { hook: HookKind::PreStart, .. } => {
                self.last.start_failure.clone_from(&words.text);
                return;
            }
            _ => (false, false),
        };
        let is_cause = words.level <= LogLevel::Error && !late;
        if !is_cause && !(self.last.words.is_empty() && (failed || words.level <= LogLevel::Error)) {
            return;
        }
        let why = match note {
            Note::NotStarted { .. } => std::mem::take(&mut self.last.start_failure),
            _ => String::new(),
        };
        let [after, before] = [&why, hint].map(|text| if text.is_empty() { "" } else { "; " });
        self.last.words = [who, &why, after, &words.text, before, hint].concat();
        self.last.service = words.service;
    }

    pub(super) fn last_lines_due(&self) -> Option<Moment> {
        self.last.awaited.iter().map(|awaited| awaited.until).min()
    }

    /// Shows the lines that are complete or have timed out; with `all`, shows everything (at exit).
    pub(super) fn tell_last_lines(&mut self, all: bool) {
        let Some(logs) = &self.runtime.logs else { return };
        let now = clock::now();
        let is_due = |awaited: &AwaitedLines| all || awaited.until <= now || logs.is_flushed(awaited.service);
        let (due, left) = std::mem::take(&mut self.last.awaited).into_iter().partition(is_due);
        self.last.awaited = left;
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
        let tail = self.last.service.and_then(|service| self.runtime.logs.as_ref()?.tail(service, 0));
        let lines = tail.unwrap_or_default().last_lines(MAX_LAST_LINES, MAX_LAST_WORDS);
        if !lines.is_empty() {
            self.last.words.push_str("; its last lines:");
        }
        for line in lines {
            self.last.words.extend(["\n", &line]);
        }
    }
}
