//! Starts in the name of another init: no configuration, and that init's behaviour for orphans, session and terminal.

use super::{Launch, bare, run};
use crate::cli::{LogLevel, Persona};
use crate::config::Plan;
use crate::config::resolve::alone;
use crate::exit_code;
use crate::model::{Leftovers, Signal, SignalRule};
use crate::runtime::InheritedFds;
use crate::sys::event::signals;
use crate::sys::process::spawn::SessionMode;
use crate::sys::{stdio, tty};
use crate::text::template::fill;
use crate::{output, sys};

/// tini's message, word for word: scripts and its tests look for it.
const NOT_REAPING: &str = "\
Tini is not running as PID 1 and isn't registered as a child subreaper.
Zombie processes will not be re-parented to Tini, so zombie reaping won't work.
To fix the problem, use the -s option or set the environment variable TINI_SUBREAPER to register Tini as a child subreaper, or run Tini as PID 1.";

/// dumb-init's verbose messages about its variables.
const DUMB_INIT_VARIABLES: [(&str, &[u8], &str); 2] = [
    ("DUMB_INIT_DEBUG", b"1", "Running in debug mode."),
    ("DUMB_INIT_SETSID", b"0", "Not running in setsid mode."),
];

/// dumb-init's verbose messages about detaching from the terminal, such as the HUP that was not forwarded.
fn detached(letting_go: tty::LetGo) -> &'static [&'static str] {
    match letting_go {
        tty::LetGo::NoTerminal => &[
            "Unable to detach from controlling tty (errno=25 Inappropriate ioctl for device).",
            "Unable to attach to controlling tty (errno=25 Inappropriate ioctl for device).",
        ],
        tty::LetGo::Member => &["Detached from controlling tty, but was not session leader."],
        tty::LetGo::Leader => &[
            "Detached from controlling tty, ignoring the first SIGHUP and SIGCONT we receive.",
            "Received signal 1.",
            "Ignoring tty hand-off signal 1.",
            "Received signal 18.",
            "Ignoring tty hand-off signal 18.",
        ],
    }
}

fn debug(lines: &[&str]) {
    for line in lines {
        output::line(LogLevel::Debug, "", line);
    }
}

impl Launch<'_> {
    pub(super) fn dropin(mut self) -> u8 {
        let asked = self.invocation;
        if !self.adopt() {
            return exit_code::FAILURE;
        }
        if asked.pause {
            return self.pause();
        }
        let mut plan = alone(&asked.command);
        plan.whole.leftovers = Leftovers::Leave;
        let mut place = SessionMode::Foreground;
        if asked.persona == Persona::DumbInit {
            signals::forget(&mut self.inherited);
            place = SessionMode::Stay;
            for (name, value, text) in DUMB_INIT_VARIABLES {
                if sys::args::variable(name) == Some(value) {
                    debug(&[text]);
                }
            }
        }
        if asked.session {
            debug(detached(tty::let_go()));
            place = SessionMode::OwnTerminal;
            let term = asked.rewrites.iter().find(|(from, _)| *from == Signal::TERM);
            if let Some(signal) = term.map_or(Some(Signal::TERM), |(_, to)| *to) {
                plan.whole.leftovers = Leftovers::Tell(signal);
            }
        }
        let code = run(asked, plan, bare(self.inherited, place), InheritedFds::All, Vec::new(), None);
        if asked.persona == Persona::Tini {
            output::line(LogLevel::Trace, "", "Exiting: child has exited");
        }
        // To tini a failed start is the exit of the child, so `-e` applies to it.
        if asked.remap.contains(&code) { exit_code::SUCCESS } else { code }
    }

    /// Becomes a subreaper if needed, with that init's messages; returns false if it cannot continue.
    fn adopt(&self) -> bool {
        let wanted = match self.invocation.persona {
            Persona::Tini => self.invocation.subreaper,
            Persona::Catatonit => sys::pid() != 1,
            Persona::DumbInit | Persona::Rinit => false,
        };
        if wanted {
            let Err(errno) = sys::become_subreaper() else {
                if self.invocation.persona == Persona::Tini {
                    output::line(LogLevel::Trace, "", "Registered as child subreaper");
                }
                return true;
            };
            output::line(
                LogLevel::Error,
                "",
                &fill!("Failed to register as child subreaper: {}", crate::sys::describe(errno)),
            );
            return false;
        }
        if self.invocation.persona == Persona::Tini && sys::pid() != 1 && !sys::is_subreaper() {
            output::line(LogLevel::Warn, "", NOT_REAPING);
        }
        true
    }

    /// Reaps until TERM or INT: the pause process of a pod.
    fn pause(self) -> u8 {
        let mut plan = Plan::default();
        plan.whole.stay_when_idle = true;
        plan.whole.signals.push((Signal::QUIT, SignalRule::Ignore));
        plan.whole.leftovers = Leftovers::Leave;
        stdio::close_above_stderr();
        sys::sit_in_root();
        run(
            self.invocation,
            plan,
            bare(self.inherited, SessionMode::Foreground),
            InheritedFds::All,
            Vec::new(),
            None,
        )
    }
}
