//! What checks may know: the environment, and the system behind traits by subject, so that each kind is tested over
//! facts that a test has made.

#[cfg(test)]
#[expect(missing_docs, reason = "the names of the facts")]
pub mod fake;
mod fs;
mod limits;
mod live;
mod net;
mod process;

pub use fs::FsFacts;
pub use limits::LimitFacts;
pub use net::NetFacts;
pub use process::ProcessFacts;

use crate::model::Moment;
use crate::model::environ::Environ;
use std::cell::Cell;
use std::io;
use std::time::Duration;

/// When a file was last seen to be modified: what the looks of one probe hand on, so that the age of the file does not
/// depend on the system's clock, which may jump.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Touched {
    /// Its time of modification, in nanoseconds since 1970.
    pub modified: i64,
    /// When that was.
    pub at: Moment,
    /// When it was last looked at.
    pub looked: Moment,
}

/// What is known about the container when checks are judged.
pub struct Facts {
    /// The environment that rinit was given.
    pub environ: Environ,
    /// The variables that a check speaks of.
    pub known: Vec<String>,
    /// Whether owner, group and mode are as they can be: `ensure` was refused, and who is to work there can.
    pub rights_are_settled: bool,
    /// Of a probe: what its last look has seen of a file's age.
    pub touched: Cell<Option<Touched>>,
    /// All else.
    pub system: Box<dyn System>,
}

impl Facts {
    /// The facts of the container that this process runs in.
    #[must_use]
    pub fn live(environ: Environ) -> Self {
        Self {
            environ,
            known: Vec::new(),
            rights_are_settled: false,
            touched: Cell::default(),
            system: Box::new(live::LiveSystem::default()),
        }
    }
}

/// The system's side of the facts, by subject. Nothing here changes anything but [`ProcessFacts::switch_to`], the
/// process's own ids.
pub trait System: FsFacts + NetFacts + ProcessFacts + LimitFacts {
    /// Files of /proc and /etc, and the process's own ids, are read once; this makes the next look read them again.
    fn forget(&mut self);
    /// Now.
    fn now(&self) -> Moment;
    /// Sleeps.
    fn sleep(&self, span: Duration);
}

/// An error of the system in one line, lower case, without its number.
#[must_use]
pub fn why(error: &io::Error) -> String {
    let mut text = error.to_string().replace('\n', " ");
    if let Some(cut) = text.find(" (os error") {
        text.truncate(cut);
    }
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_system_is_told_in_our_style() {
        assert_eq!(why(&io::Error::from_raw_os_error(libc::ENOENT)), "no such file or directory");
    }
}
