//! Signals that rinit receives: their senders, which are caused by rinit itself, and how those that arrive before the
//! start are handled.

use crate::model::{Pid, Signal, SignalRule};
use crate::supervisor::ends_before_start;
use crate::sys::process::procfs;

/// A signal and its sender: 0 is outside this PID namespace, `None` is the kernel.
pub type Received = (Signal, Option<Pid>);

/// Applies `-r` to a signal; `None`: it is dropped.
#[must_use]
pub fn rewritten(rewrites: &[(Signal, Option<Signal>)], came: Signal) -> Option<Signal> {
    rewrites.iter().find(|(from, _)| *from == came).map_or(Some(came), |(_, to)| *to)
}

/// Returns whether rinit caused the signal itself, by writing to a closed pipe or exceeding a resource limit: such a
/// signal is not passed on. (The kernel reports the writer or itself as the sender.)
#[must_use]
pub fn is_own((came, sender): Received) -> bool {
    match sender {
        Some(pid) => pid == crate::sys::pid(),
        None => [Signal::PIPE, Signal::XFSZ, Signal::XCPU, Signal::TTIN, Signal::TTOU].contains(&came),
    }
}

/// Describes the sender.
#[must_use]
pub fn sender((came, sender): Received) -> String {
    match sender {
        None if [Signal::INT, Signal::QUIT, Signal::HUP, Signal::TSTP, Signal::WINCH].contains(&came) => {
            "from the terminal".into()
        }
        None => "from the kernel".into(),
        Some(0) => "from outside the container".into(),
        Some(pid) => {
            // A process may give itself any name, and may be gone.
            let name = procfs::name(pid).unwrap_or_default().replace(char::is_control, "?");
            if name.is_empty() { format!("from pid {pid}") } else { format!("from pid {pid} ({name})") }
        }
    }
}

/// Signals that arrive while the checks run. They keep their meaning; those that do not end rinit are queued.
pub struct Early<'r> {
    rewrites: &'r [(Signal, Option<Signal>)],
    rules: Vec<(Signal, SignalRule)>,
    /// In order, each once, like the kernel's pending set.
    pub kept: Vec<Received>,
    /// The signal that ended the checks.
    pub ended_by: Option<Received>,
}

impl<'r> Early<'r> {
    /// Starts with no signals.
    #[must_use]
    pub fn new(rewrites: &'r [(Signal, Option<Signal>)], rules: &[(Signal, SignalRule)]) -> Self {
        Self { rewrites, rules: rules.to_vec(), kept: Vec::new(), ended_by: None }
    }

    /// Takes one signal; returns the signal to stop with, if it ends the checks.
    pub fn take(&mut self, received: Received) -> Option<Signal> {
        if is_own(received) {
            return None;
        }
        let signal = rewritten(self.rewrites, received.0)?;
        if ends_before_start(&self.rules, signal) {
            self.ended_by = Some(received);
            return Some(signal);
        }
        if !self.kept.iter().any(|(known, _)| *known == received.0) {
            self.kept.push(received);
        }
        None
    }
}
