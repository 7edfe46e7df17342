//! `recursive`: all that is below a directory, in one walk. Children first: who a directory is given to cannot plant
//! anything in it while the walk is under way.
//!
//! A file with more than one name (a hard link) is given away only where the kernel keeps users from linking what is not
//! theirs (`fs.protected_hardlinks`); else another name of it may be root's. Devices are never given away. What is left
//! is counted, and one of it named.

use super::give::{Refused, Wanted};
use crate::cli::LogLevel;
use crate::model::Moment;
use crate::output;
use crate::sys::Errno;
use crate::sys::event::clock;
use crate::sys::fs::files;
use crate::sys::fs::pin::{EntryStat, FileKind, Pinned};
use crate::sys::fs::walk::{self, TreePath, TreeVisitor};
use crate::text::escape::on_one_line;
use std::ffi::CStr;
use std::os::fd::RawFd;
use std::time::Duration;

/// How often it is told how far the walk is.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// So many entries are looked at between two looks at the clock.
const ENTRIES_PER_LOOK: u64 = 1024;

/// After so many refusals without a success in between, the mount lets nobody: the walk ends.
const MAX_REFUSALS_IN_A_ROW: u32 = 16;

/// Things of one sort: how many there are, and the first.
#[derive(Default, Debug)]
pub struct Counted {
    /// How many.
    pub count: u64,
    /// The first, relative to the top.
    pub first: String,
}

impl Counted {
    fn add(&mut self, path: &TreePath<'_>) {
        self.count += 1;
        if self.count == 1 {
            self.first = on_one_line(&path.shown());
        }
    }
}

/// What became of a tree.
#[derive(Default, Debug)]
pub struct TreeOutcome {
    /// Entries below the top.
    pub seen: u64,
    /// Of these, those that were changed.
    pub given: u64,
    /// Left for they have other names.
    pub hard_links: Counted,
    /// Left for they are devices.
    pub devices: Counted,
    /// Those that the system did not let be changed, and the reason of the first.
    pub refused: Counted,
    /// That reason.
    pub why: Option<Refused>,
    /// Those that could not be looked at, and the reason of the first.
    pub unseen: Counted,
    /// That reason.
    pub why_unseen: Option<Errno>,
    /// Those that lost set-id bits or capabilities.
    pub lost_bits: Counted,
    /// Whether it ended early, for nothing can be changed here.
    pub stopped: bool,
}

/// Gives away all that is below `top`, not `top` itself.
pub fn give_away(top: &Pinned, subject: &str, files: Wanted, dirs: Wanted) -> Result<TreeOutcome, Errno> {
    let protected = files::system_text("/proc/sys/fs/protected_hardlinks");
    let mut giver = TreeGiver {
        subject,
        files,
        dirs,
        links_are_safe: protected.is_ok_and(|text| text.trim() == "1"),
        in_a_row: 0,
        tell_at: clock::now().after(PROGRESS_INTERVAL),
        outcome: TreeOutcome::default(),
    };
    walk::walk(top, &mut giver)?;
    Ok(giver.outcome)
}

struct TreeGiver<'t> {
    subject: &'t str,
    files: Wanted,
    dirs: Wanted,
    links_are_safe: bool,
    in_a_row: u32,
    tell_at: Moment,
    outcome: TreeOutcome,
}

impl TreeGiver<'_> {
    fn seen(&mut self) {
        self.outcome.seen += 1;
        if self.outcome.seen.is_multiple_of(ENTRIES_PER_LOOK) && clock::now() >= self.tell_at {
            self.tell_at = clock::now().after(PROGRESS_INTERVAL);
            let (seen, given) = (self.outcome.seen.to_string(), self.outcome.given.to_string());
            let line = [self.subject, ": ", &seen, " entries looked at so far, ", &given, " given away"];
            output::line(LogLevel::Info, "", &line.concat());
        }
    }

    fn give(&mut self, wanted: Wanted, held: &mut Pinned, path: &TreePath<'_>) {
        let given = wanted.give(held);
        self.outcome.given += u64::from(given.changed);
        if given.lost_bits {
            self.outcome.lost_bits.add(path);
        }
        let Some(refused) = given.refused else {
            self.in_a_row = 0;
            return;
        };
        self.outcome.refused.add(path);
        self.outcome.why.get_or_insert(refused);
        // That one file cannot be changed says nothing of the others.
        self.in_a_row += u32::from(!refused.immutable);
        self.outcome.stopped = self.in_a_row >= MAX_REFUSALS_IN_A_ROW;
    }

    /// For what is no regular file there are no permission bits to give.
    fn wanted(&self, stat: &EntryStat) -> Wanted {
        let mode = self.files.mode.filter(|_| stat.kind == FileKind::File);
        Wanted { mode, ..self.files }
    }
}

impl TreeVisitor for TreeGiver<'_> {
    fn entry(&mut self, dir: RawFd, name: &CStr, stat: &EntryStat, path: &TreePath<'_>) {
        self.seen();
        if !self.wanted(stat).differs(stat) {
            return;
        }
        // From here on it is held, and looked at once more: the name may mean something else by now.
        let mut held = match Pinned::at(dir, name) {
            Ok(held) => held,
            Err(Errno::ENOENT) => return,
            Err(errno) => return self.unseen(path, errno),
        };
        let wanted = self.wanted(&held.stat);
        if held.stat.kind == FileKind::Dir || held.stat.mount != stat.mount || !wanted.differs(&held.stat) {
            return;
        }
        if held.stat.kind == FileKind::Device {
            self.outcome.devices.add(path);
        } else if held.stat.links > 1 && !self.links_are_safe {
            self.outcome.hard_links.add(path);
        } else {
            self.give(wanted, &mut held, path);
        }
    }

    fn directory(&mut self, held: &mut Pinned, path: &TreePath<'_>) {
        self.seen();
        // In it much may have happened since it was looked at.
        if held.look().is_ok() && self.dirs.differs(&held.stat) {
            self.give(self.dirs, held, path);
        }
    }

    fn unseen(&mut self, path: &TreePath<'_>, errno: Errno) {
        self.outcome.unseen.add(path);
        self.outcome.why_unseen.get_or_insert(errno);
    }

    fn mount(&mut self, _: &TreePath<'_>) {}

    fn is_done(&self) -> bool {
        self.outcome.stopped
    }
}
