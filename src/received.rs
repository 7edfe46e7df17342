//! Signals as rinit receives them: who sent them, which are its own doing, and what becomes of those that come before
//! anything was started.

use crate::model::{Pid, Signal, SignalRule};
use crate::supervisor::ends_before_start;
use crate::sys::process::procfs;

/// A signal and its sender: 0 is outside of this PID namespace, and `None` the kernel.
pub type Received = (Signal, Option<Pid>);

/// What a signal is taken for (`-r`); `None`: it is dropped.
#[must_use]
pub fn rewritten(rewrites: &[(Signal, Option<Signal>)], came: Signal) -> Option<Signal> {
    rewrites.iter().find(|(from, _)| *from == came).map_or(Some(came), |(_, to)| *to)
}

/// Whether rinit has brought it upon itself: by a line that nobody reads, or that is past a limit of its own. That is
/// nobody else's business. (The kernel names the writer as the sender, or itself.)
#[must_use]
pub fn is_own((came, sender): Received) -> bool {
    match sender {
        Some(pid) => pid == crate::sys::pid(),
        None => [Signal::PIPE, Signal::XFSZ, Signal::XCPU, Signal::TTIN, Signal::TTOU].contains(&came),
    }
}

/// Who sent it, in words.
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

/// The signals that come while the checks run. They mean what they mean later; what does not end rinit is kept.
pub struct Early<'r> {
    rewrites: &'r [(Signal, Option<Signal>)],
    rules: Vec<(Signal, SignalRule)>,
    /// In order, each once, as the kernel keeps those that are blocked.
    pub kept: Vec<Received>,
    /// What ended the checks.
    pub ended_by: Option<Received>,
}

impl<'r> Early<'r> {
    /// None so far.
    #[must_use]
    pub fn new(rewrites: &'r [(Signal, Option<Signal>)], rules: &[(Signal, SignalRule)]) -> Self {
        Self { rewrites, rules: rules.to_vec(), kept: Vec::new(), ended_by: None }
    }

    /// The signal as which this one ends all, if it does.
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
