//! rinit inside rinit: started by a service or `docker exec`. The configuration belongs to PID 1, and its services
//! must run only once.

use crate::cli::{Invocation, LogLevel, Mode, Persona};
use crate::exit_code;
use crate::model::Pid;
use crate::output;
use crate::sys;
use crate::sys::process::procfs;
use crate::text::template::fill;

/// Returns whether this start must not read the default configuration, because PID 1 or its parent has read it. With
/// `--config` it has its own, and modes that only inspect are always allowed.
#[cold]
#[inline(never)]
pub(super) fn another(invocation: &Invocation) -> bool {
    let starts =
        matches!(invocation.mode, Mode::Supervise | Mode::Exec) && invocation.persona == Persona::Rinit;
    starts && invocation.config.is_empty() && sys::pid() != 1 && outer().is_some()
}

/// Returns the pid of the outer rinit. One in the name of another init has read no configuration and does not count.
fn outer() -> Option<Pid> {
    let is =
        |pid: &Pid| procfs::runs_this_file(*pid).is_some_and(|name| Persona::of(&name) == Persona::Rinit);
    // An rinit that is not PID 1 is only recognised as the parent, which is enough to end a chain.
    [1, procfs::parent()].into_iter().filter(|pid| *pid > 0).find(is)
}

/// Refuses to start everything a second time.
#[cold]
pub(super) fn nothing_to_run() -> u8 {
    let outer = match outer() {
        Some(pid) if pid != 1 => format!("its parent (pid {pid})"),
        _ => "PID 1".into(),
    };
    let text = fill!(
        "nothing to run: {} is rinit already and has the configuration; ask that one with rinitctl, run a program beside it with rinit -- COMMAND, or name another configuration with --config",
        outer
    );
    output::line(LogLevel::Error, "", &text);
    exit_code::USAGE
}
