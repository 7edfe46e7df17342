//! What the signals that rinit receives mean.

use super::event::{Action, Note};
use super::service::{ServiceState, Stopping};
use super::shutdown::Phase;
use super::{Step, Supervisor, faulty};
use crate::exit_code;
use crate::model::{KillMode, Pid, ServiceId, Signal, SignalRule};

impl Supervisor {
    /// Returns the target if this signal is simply forwarded to the main service: its pid, and whether the whole group
    /// gets it. Forwarding changes no state, so the shell may do it at once without
    /// [`Event::Signal`](super::event::Event::Signal).
    #[must_use]
    pub fn passes_on(&self, signal: Signal) -> Option<(Pid, bool)> {
        if self.phase != Phase::Up
            || !self.whole.signals.is_empty()
            || signal == Signal::TERM && self.whole.term_stops_main
        {
            return None;
        }
        match self.records[self.main()?].state {
            ServiceState::Running { pid, .. } => Some((pid, self.reaches_group(self.main()?))),
            ServiceState::Off
            | ServiceState::Waiting
            | ServiceState::Scheduled { .. }
            | ServiceState::Spawning { .. }
            | ServiceState::Stopping(_)
            | ServiceState::Finishing(_)
            | ServiceState::Backoff { .. }
            | ServiceState::Listening { .. }
            | ServiceState::Down(_) => None,
        }
    }
}

impl Supervisor {
    /// Returns whether signals for this service go to its whole group (`-g`).
    pub(super) fn reaches_group(&self, id: ServiceId) -> bool {
        self.whole.group_signals && self.main() == Some(id) && self.rules[id].kill_mode != KillMode::Process
    }
}

impl Step<'_> {
    pub(super) fn signal(&mut self, signal: Signal) {
        let mut known = false;
        // One for a replicated service has a rule for each instance.
        for at in 0.. {
            let Some((from, rule)) = self.core.whole.signals.get(at).copied() else { break };
            if from == signal {
                known = true;
                self.ruled_signal(signal, rule);
            }
        }
        if !known {
            self.plain_signal(signal);
        }
    }

    fn ruled_signal(&mut self, signal: Signal, rule: SignalRule) {
        match rule {
            SignalRule::As(other) => self.plain_signal(other),
            SignalRule::Ignore => {}
            SignalRule::Reload => self.ask_reload(),
            SignalRule::Stop => {
                let code = self.code_without_main(signal);
                self.request_stop(signal, code);
            }
            SignalRule::To(id, other) => self.signal_for(id, other),
        }
    }

    /// Handles a signal without a rule, or the result of a rule.
    fn plain_signal(&mut self, signal: Signal) {
        let Some(main) = self.core.main() else {
            if asks_to_stop(signal) {
                self.request_stop(signal, None);
            } else if signal == Signal::HUP {
                self.ask_reload();
            } else {
                self.tell_unused(signal);
            }
            return;
        };
        if self.core.is_stopping() {
            self.signal_while_stopping(main, signal);
            return;
        }
        match self.core.records[main].state {
            ServiceState::Running { .. } if signal == Signal::TERM && self.core.whole.term_stops_main => {
                self.request_stop(signal, None);
            }
            ServiceState::Running { .. } => self.pass_on(main, signal),
            // Its program does not run yet, so it cannot handle the signal.
            ServiceState::Spawning { load: Some(_), .. } if asks_to_stop(signal) => {
                let code = self.code_without_main(signal);
                self.request_stop(signal, code);
            }
            // Between fork and exec, or not answered yet: deliver it once the process is there.
            ServiceState::Spawning { .. } => self.keep(signal),
            // No process could handle it, so the signal is for rinit.
            ServiceState::Waiting | ServiceState::Backoff { .. } | ServiceState::Listening { .. }
                if asks_to_stop(signal) =>
            {
                let code = self.code_without_main(signal);
                self.request_stop(signal, code);
            }
            ServiceState::Waiting | ServiceState::Backoff { .. } | ServiceState::Listening { .. } => {
                self.keep(signal);
            }
            // It is ending anyway, but might be restarted.
            ServiceState::Stopping(_) | ServiceState::Finishing(_) if asks_to_stop(signal) => {
                self.request_stop(signal, None);
            }
            // Only its group is left: keep the signal for the next run, if there is one.
            ServiceState::Stopping(Stopping { leader: Some(_), .. }) | ServiceState::Finishing(_) => {
                self.keep(signal);
            }
            ServiceState::Stopping(_) => self.pass_on(main, signal),
            // It was stopped by hand.
            ServiceState::Down(_) if asks_to_stop(signal) => _ = self.request_stop(signal, None),
            ServiceState::Down(_) => self.tell_unused(signal),
            // Impossible: main() is `None` for a service that is off, and the COMMAND has no schedule.
            ServiceState::Off | ServiceState::Scheduled { .. } => {}
        }
    }

    fn signal_while_stopping(&mut self, main: ServiceId, signal: Signal) {
        if asks_to_stop(signal) && self.request_stop(signal, None) {
            return; // Everything was killed.
        }
        // It has its stop signal, or gets it in its turn. Some programs abort their clean-up on a second one.
        if signal == Signal::TERM && self.core.whole.term_stops_main {
            return;
        }
        match self.core.records[main].state {
            ServiceState::Running { .. } | ServiceState::Stopping(_) => {
                self.pass_on(main, signal);
            }
            ServiceState::Spawning { .. } => self.keep(signal),
            ServiceState::Off
            | ServiceState::Waiting
            | ServiceState::Finishing(_)
            | ServiceState::Scheduled { .. }
            | ServiceState::Backoff { .. }
            | ServiceState::Listening { .. }
            | ServiceState::Down(_) => {}
        }
    }

    /// Returns the exit code of a stop by this signal when the main service has no process to handle it.
    fn code_without_main(&self, signal: Signal) -> Option<u8> {
        let main = self.core.main()?;
        match self.core.records[main].state {
            ServiceState::Waiting
            | ServiceState::Backoff { .. }
            | ServiceState::Listening { .. }
            | ServiceState::Spawning { load: Some(_), .. } => Some(exit_code::of_signal(signal)),
            ServiceState::Off
            | ServiceState::Scheduled { .. }
            | ServiceState::Spawning { load: None, .. }
            | ServiceState::Running { .. }
            | ServiceState::Stopping(_)
            | ServiceState::Finishing(_)
            | ServiceState::Down(_) => None,
        }
    }

    /// Delivers the signals that were queued for the main service.
    pub(super) fn release_signals(&mut self, id: ServiceId) {
        if self.core.main() != Some(id) {
            return;
        }
        let pending = std::mem::take(&mut self.core.pending);
        for signal in pending {
            self.plain_signal(signal);
        }
    }

    /// Queues a signal for the main service until it has a process.
    fn keep(&mut self, signal: Signal) {
        if !self.core.pending.contains(&signal) && !faulty!(self.core, LosePending) {
            self.core.pending.push(signal);
        }
    }

    /// Applies a signal to one service by its rule.
    fn signal_for(&mut self, id: ServiceId, signal: Signal) {
        match self.core.records[id].state {
            ServiceState::Running { .. } | ServiceState::Stopping(Stopping { leader: None, .. }) => {
                self.pass_on(id, signal)
            }
            ServiceState::Waiting
            | ServiceState::Spawning { .. }
            | ServiceState::Backoff { .. }
            | ServiceState::Listening { .. }
                if self.core.main() == Some(id) && !self.core.is_stopping() =>
            {
                self.keep(signal);
            }
            ServiceState::Off
            | ServiceState::Waiting
            | ServiceState::Scheduled { .. }
            | ServiceState::Spawning { .. }
            | ServiceState::Stopping(_)
            | ServiceState::Finishing(_)
            | ServiceState::Backoff { .. }
            | ServiceState::Listening { .. }
            | ServiceState::Down(_) => self.tell(Note::NotForwarded { signal, service: id }),
        }
    }

    /// Reports, once each, a signal that has no use.
    fn tell_unused(&mut self, signal: Signal) {
        // A stopped process that continues has done all that CONT is for.
        if signal != Signal::CONT && self.core.unused & bit(signal) == 0 {
            self.core.unused |= bit(signal);
            self.tell(Note::Unused { signal });
        }
    }

    /// Forwards a signal to a service's first process, while it is alive.
    pub(super) fn pass_on(&mut self, id: ServiceId, signal: Signal) {
        let group = self.core.reaches_group(id);
        if let Some(pid) = self.core.records[id].state.leader() {
            self.act(Action::Signal { pid, group, signal, wake: false });
            self.tell(Note::Forwarded { signal, service: id, pid, group });
        }
    }
}

/// Returns whether a signal asks a program or a container to stop: sent by `docker stop`, a terminal, LXC or systemd.
fn asks_to_stop(signal: Signal) -> bool {
    [Signal::TERM, Signal::INT, Signal::QUIT, Signal::PWR, Signal::RTMIN_PLUS_3].contains(&signal)
}

/// Returns whether a signal that arrives before anything was started is a stop request. Other signals are passed to
/// the supervisor once it exists.
#[must_use]
pub fn ends_before_start(rules: &[(Signal, SignalRule)], signal: Signal) -> bool {
    match rules.iter().find(|(from, _)| *from == signal) {
        None => asks_to_stop(signal),
        Some((_, SignalRule::As(other))) => asks_to_stop(*other),
        Some((_, SignalRule::Stop)) => true,
        Some((_, SignalRule::Ignore | SignalRule::Reload | SignalRule::To(..))) => false,
    }
}

/// Returns the bit of a signal in a set.
fn bit(signal: Signal) -> u64 {
    1 << (signal.number() - 1)
}

#[cfg(test)]
mod tests {
    use super::super::signals::*;
    use crate::model::{ExitStatus, Moment, ServicePolicy, Settings};
    use crate::supervisor::event::Event;

    /// The fast path is open only while a step would do nothing but forward the signal.
    #[test]
    fn a_signal_is_passed_on_at_once_only_while_it_is_nothing_else() {
        let main = ServiceId(0);
        let whole =
            Settings { main: Some(main), term_stops_main: true, group_signals: true, ..Settings::default() };
        let mut core = Supervisor::new(vec![ServicePolicy::default()], whole);
        let step = |core: &mut Supervisor, event| {
            let mut actions = Vec::new();
            core.step(Moment(1), event, &mut actions);
            actions
        };
        assert_eq!(core.passes_on(Signal::HUP), None);
        step(&mut core, Event::Begin);
        assert_eq!(core.passes_on(Signal::HUP), None);
        step(&mut core, Event::Spawned { service: main, pid: 7 });
        assert_eq!(core.passes_on(Signal::HUP), Some((7, true)));
        let passed = step(&mut core, Event::Signal(Signal::HUP));
        assert!(passed.contains(&Action::Signal { pid: 7, group: true, signal: Signal::HUP, wake: false }));
        assert_eq!(core.passes_on(Signal::TERM), None, "that begins a stop");
        step(&mut core, Event::Exited { pid: 7, outcome: ExitStatus::Code(0), group_left: false });
        assert_eq!(core.passes_on(Signal::HUP), None);
    }
}
