//! What a signal that rinit receives means.

use super::event::{Action, Note};
use super::service::{ServiceState, Stopping};
use super::shutdown::Phase;
use super::{Step, Supervisor, faulty};
use crate::exit_code;
use crate::model::{KillMode, Pid, ServiceId, Signal, SignalRule};

impl Supervisor {
    /// Whom this signal is for, when it is just passed on to the main service: its process, and whether to its whole
    /// group. That changes nothing here, so a shell may do it at once and spare itself
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
            | ServiceState::Spawning { .. }
            | ServiceState::Stopping(_)
            | ServiceState::Backoff { .. }
            | ServiceState::Down(_) => None,
        }
    }
}

impl Supervisor {
    /// Whether what is for this service's first process goes to its whole group (`-g`).
    pub(super) fn reaches_group(&self, id: ServiceId) -> bool {
        self.whole.group_signals && self.main() == Some(id) && self.rules[id].kill_mode != KillMode::Process
    }
}

impl Step<'_> {
    pub(super) fn signal(&mut self, signal: Signal) {
        let rule = self.core.whole.signals.iter().find(|(from, _)| *from == signal).map(|(_, rule)| *rule);
        match rule {
            None => self.plain_signal(signal),
            Some(SignalRule::As(other)) => self.plain_signal(other),
            Some(SignalRule::Ignore) => {}
            Some(SignalRule::Stop) => {
                let code = self.code_without_main(signal);
                self.request_stop(signal, code);
            }
            Some(SignalRule::To(id, other)) => self.signal_for(id, other),
        }
    }

    /// A signal without a rule, or as a rule has it.
    fn plain_signal(&mut self, signal: Signal) {
        let Some(main) = self.core.main() else {
            if asks_to_stop(signal) {
                self.request_stop(signal, None);
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
            // Nothing of it runs that could take it.
            ServiceState::Spawning { load: Some(_), .. } if asks_to_stop(signal) => {
                let code = self.code_without_main(signal);
                self.request_stop(signal, code);
            }
            // Between fork and exec, or before the answer: it is told as soon as it is there.
            ServiceState::Spawning { .. } => self.keep(signal),
            // Nobody is there to take it, so it is rinit that is meant.
            ServiceState::Waiting | ServiceState::Backoff { .. } if asks_to_stop(signal) => {
                let code = self.code_without_main(signal);
                self.request_stop(signal, code);
            }
            ServiceState::Waiting | ServiceState::Backoff { .. } => self.keep(signal),
            // It is ending anyway, and might come back.
            ServiceState::Stopping(_) if asks_to_stop(signal) => _ = self.request_stop(signal, None),
            // Only its group is left: it is for the next run, if there is one.
            ServiceState::Stopping(Stopping { leader: Some(_), .. }) => self.keep(signal),
            ServiceState::Stopping(_) => self.pass_on(main, signal),
            // It was stopped by hand.
            ServiceState::Down(_) if asks_to_stop(signal) => _ = self.request_stop(signal, None),
            ServiceState::Down(_) => self.tell_unused(signal),
            // Then there is no main, which was seen to above.
            ServiceState::Off => {}
        }
    }

    fn signal_while_stopping(&mut self, main: ServiceId, signal: Signal) {
        if asks_to_stop(signal) && self.request_stop(signal, None) {
            return; // Everything was killed.
        }
        // It has got its stop signal, or gets it when it is its turn. At a second one some drop what they are at.
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
            | ServiceState::Backoff { .. }
            | ServiceState::Down(_) => {}
        }
    }

    /// The code of a stop by this signal when there is a main service that is not there to take it.
    fn code_without_main(&self, signal: Signal) -> Option<u8> {
        let main = self.core.main()?;
        match self.core.records[main].state {
            ServiceState::Waiting
            | ServiceState::Backoff { .. }
            | ServiceState::Spawning { load: Some(_), .. } => Some(exit_code::of_signal(signal)),
            ServiceState::Off
            | ServiceState::Spawning { load: None, .. }
            | ServiceState::Running { .. }
            | ServiceState::Stopping(_)
            | ServiceState::Down(_) => None,
        }
    }

    /// The answer for the main service came: what was kept for it comes now.
    pub(super) fn release_signals(&mut self, id: ServiceId) {
        if self.core.main() != Some(id) {
            return;
        }
        let pending = std::mem::take(&mut self.core.pending);
        for signal in pending {
            self.plain_signal(signal);
        }
    }

    /// Keep a signal for the main service until there is a process to take it.
    fn keep(&mut self, signal: Signal) {
        if !self.core.pending.contains(&signal) && !faulty!(self.core, LosePending) {
            self.core.pending.push(signal);
        }
    }

    /// A signal for one service, by its rule.
    fn signal_for(&mut self, id: ServiceId, signal: Signal) {
        match self.core.records[id].state {
            ServiceState::Running { .. } | ServiceState::Stopping(Stopping { leader: None, .. }) => {
                self.pass_on(id, signal)
            }
            ServiceState::Waiting | ServiceState::Spawning { .. } | ServiceState::Backoff { .. }
                if self.core.main() == Some(id) && !self.core.is_stopping() =>
            {
                self.keep(signal);
            }
            ServiceState::Off
            | ServiceState::Waiting
            | ServiceState::Spawning { .. }
            | ServiceState::Stopping(_)
            | ServiceState::Backoff { .. }
            | ServiceState::Down(_) => self.tell(Note::NotForwarded { signal, service: id }),
        }
    }

    /// There is nobody to whom this signal means anything.
    fn tell_unused(&mut self, signal: Signal) {
        // Who was stopped and goes on has done what CONT is for.
        if signal != Signal::CONT && self.core.unused & bit(signal) == 0 {
            self.core.unused |= bit(signal);
            self.tell(Note::Unused { signal });
        }
    }

    /// Send a signal to a service's first process, while that one lives.
    pub(super) fn pass_on(&mut self, id: ServiceId, signal: Signal) {
        let group = self.core.reaches_group(id);
        if let Some(pid) = self.core.records[id].state.leader() {
            self.act(Action::Signal { pid, group, signal, wake: false });
            self.tell(Note::Forwarded { signal, service: id, pid, group });
        }
    }
}

/// The signals that ask a program, or a container, to end: by `docker stop`, a terminal, LXC, systemd.
fn asks_to_stop(signal: Signal) -> bool {
    [Signal::TERM, Signal::INT, Signal::QUIT, Signal::PWR, Signal::RTMIN_PLUS_3].contains(&signal)
}

/// Whether a signal that comes before anything was started is a request to end. What is not is told the supervisor
/// once there is one.
#[must_use]
pub fn ends_before_start(rules: &[(Signal, SignalRule)], signal: Signal) -> bool {
    match rules.iter().find(|(from, _)| *from == signal) {
        None => asks_to_stop(signal),
        Some((_, SignalRule::As(other))) => asks_to_stop(*other),
        Some((_, SignalRule::Stop)) => true,
        Some((_, SignalRule::Ignore | SignalRule::To(..))) => false,
    }
}

/// The place of a signal in a set.
fn bit(signal: Signal) -> u64 {
    1 << (signal.number() - 1)
}

#[cfg(test)]
mod tests {
    use super::super::signals::*;
    use crate::model::{ExitStatus, Moment, ServicePolicy, Settings};
    use crate::supervisor::event::Event;

    /// The fast path is open exactly while a step would do nothing but pass the signal on.
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
