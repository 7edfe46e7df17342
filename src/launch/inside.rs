//! rinit inside rinit: a service that calls it again, or `docker exec`. The configuration is PID 1's, and its services run
//! once.

use crate::cli::{Invocation, LogLevel, Mode, Persona};
use crate::exit_code;
use crate::model::Pid;
use crate::output;
use crate::sys;
use crate::sys::process::procfs;

/// Whether this start is not meant to read the configuration that PID 1, or its own parent, has read: what it names
/// itself (`--config`) is its own, and what is only looked at is started by nobody.
#[cold]
#[inline(never)]
pub(super) fn another(invocation: &Invocation) -> bool {
    let starts =
        matches!(invocation.mode, Mode::Supervise | Mode::Exec) && invocation.persona == Persona::Rinit;
    starts && invocation.config.is_empty() && sys::pid() != 1 && outer().is_some()
}

/// The rinit around this one. In another init's name it would have read no configuration.
fn outer() -> Option<Pid> {
    let is =
        |pid: &Pid| procfs::runs_this_file(*pid).is_some_and(|name| Persona::of(&name) == Persona::Rinit);
    // One that is not PID 1 is known by being the parent, which is enough to end a chain of them.
    [1, procfs::parent()].into_iter().filter(|pid| *pid > 0).find(is)
}

/// Refuses what would start everything a second time.
#[cold]
pub(super) fn nothing_to_run() -> u8 {
    let outer = match outer() {
        Some(pid) if pid != 1 => format!("its parent (pid {pid})"),
        _ => "PID 1".into(),
    };
    let text = format!(
        "nothing to run: {outer} is rinit already and has the configuration; ask that one with rinitctl, run a program beside it with rinit -- COMMAND, or name another configuration with --config"
    );
    output::line(LogLevel::Error, "", &text);
    exit_code::USAGE
}
