//! The exit codes of rinit: the one place where a number is given its meaning, and where the end of a process
//! becomes one. Until then an end travels as an [`ExitStatus`].

use crate::model::{ExitStatus, Signal};

/// All is well.
pub const SUCCESS: u8 = 0;
/// What a failure is told by that has no better code.
pub const FAILURE: u8 = 1;
/// sysexits(3), `EX_USAGE`: the command line is wrong.
pub const USAGE: u8 = 64;
/// sysexits(3), `EX_DATAERR`: what a oneshot wrote to RINIT_ENV is no list of variables.
pub const BAD_DATA: u8 = 65;
/// sysexits(3), `EX_UNAVAILABLE`: a check failed.
pub const CHECK_FAILED: u8 = 69;
/// sysexits(3), `EX_UNAVAILABLE`: no rinit answers rinitctl.
pub const UNREACHED: u8 = 69;
/// sysexits(3), `EX_NOPERM`: rinit does not let this user.
pub const DENIED: u8 = 77;
/// `rinitctl status`: a service that was named does not run (as LSB, supervisorctl and systemctl have it).
pub const NOT_RUNNING: u8 = 3;
/// rinitctl: there is no service of that name.
pub const UNKNOWN_SERVICE: u8 = 4;
/// As timeout(1) has it: the time is over.
pub const TIMED_OUT: u8 = 124;
/// sysexits(3), `EX_OSERR`: the system refused something.
pub const OS_ERROR: u8 = 71;
/// sysexits(3), `EX_CONFIG`: the configuration is wrong.
pub const CONFIG: u8 = 78;
/// As the shell has it: the command is there, and cannot be executed.
pub const NOT_EXECUTABLE: u8 = 126;
/// As the shell has it: there is no such command.
pub const NOT_FOUND: u8 = 127;
/// That of what was killed by SIGKILL.
pub const KILLED: u8 = SIGNAL_BASE + 9;
/// As the shell has it: signal N ended it, when N is added.
pub const SIGNAL_BASE: u8 = 128;

/// The exit code by which an end is handed on: the code itself, or 128 + the signal.
#[must_use]
pub fn of(status: ExitStatus) -> u8 {
    match status {
        ExitStatus::Code(code) => code,
        ExitStatus::Signal(signal) => of_signal(signal),
    }
}

/// The exit code of an end by this signal.
#[must_use]
pub fn of_signal(signal: Signal) -> u8 {
    SIGNAL_BASE | signal.number()
}

/// The signal that this exit code tells of.
#[must_use]
pub fn signal(code: u8) -> Option<Signal> {
    Signal::from_number(i32::from(code.checked_sub(SIGNAL_BASE)?))
}

/// The ends that `-e CODE` makes a success: those that it would be the exit code of.
pub fn remapped(code: u8) -> impl Iterator<Item = ExitStatus> {
    [Some(ExitStatus::Code(code)), signal(code).map(ExitStatus::Signal)].into_iter().flatten()
}

/// The code of an end that is a failure, whatever the process said of itself.
#[must_use]
pub fn of_failure(code: u8) -> u8 {
    code.max(FAILURE)
}

/// How an interpreter ends that can make nothing of its script (2), or that cannot execute it.
#[must_use]
pub fn may_be_unreadable_script(code: u8) -> bool {
    matches!(code, 2 | NOT_EXECUTABLE | NOT_FOUND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_and_its_exit_code_stand_for_each_other() {
        for signal_number in 1..=64 {
            let it = Signal::from_number(signal_number).expect("a signal");
            assert_eq!(i32::from(of(ExitStatus::Signal(it))), 128 + signal_number);
            assert_eq!(signal(of_signal(it)), Some(it));
        }
        for code in (0..=128).chain(193..=255) {
            assert_eq!(signal(code), None, "{code}");
            assert_eq!(remapped(code).collect::<Vec<_>>(), [ExitStatus::Code(code)]);
        }
        let term: Vec<_> = remapped(143).collect();
        assert_eq!(term, [ExitStatus::Code(143), ExitStatus::Signal(Signal::TERM)]);
    }

    #[test]
    fn a_failure_is_never_told_as_success() {
        assert_eq!([0, 1, 137].map(of_failure), [1, 1, 137]);
    }
}
