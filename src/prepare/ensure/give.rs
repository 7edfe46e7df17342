//! Gives one file or directory away: owner, group and permission bits, through the descriptor that it is held by, and
//! only what differs.

use crate::sys::Errno;
use crate::sys::fs::files;
use crate::sys::fs::pin::{EntryStat, FileKind, Pinned};

/// What the kernel shows for a user or group that a user namespace does not have.
const OVERFLOW_ID: u32 = 65534;

/// Whose it is to be, and with which permission bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wanted {
    /// The owner.
    pub uid: Option<u32>,
    /// The group.
    pub gid: Option<u32>,
    /// The permission bits.
    pub mode: Option<u32>,
}

/// What the system did not let it do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused {
    /// `chown` or `chmod`.
    pub what: &'static str,
    /// Why; `None`: it was told that it is done, and it is not.
    pub errno: Option<Errno>,
    /// Whether it is immutable or append-only.
    pub immutable: bool,
}

/// What was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Given {
    /// Whether anything was.
    pub changed: bool,
    /// What could not be.
    pub refused: Option<Refused>,
    /// Whether it lost set-id bits or capabilities on the way, as a program does that was not root's.
    pub lost_bits: bool,
}

/// Whether an id is to be changed. One that is shown for those that have no place in this user namespace is nobody's.
fn differs(now: u32, wanted: u32, map: &str) -> bool {
    now != wanted || now == OVERFLOW_ID && !is_mapped(now, map)
}

/// Whether a user namespace has this id, by `uid_map` or `gid_map`; without the file there is just one.
#[must_use]
pub fn is_mapped(id: u32, map: &str) -> bool {
    let Ok(text) = files::system_text(&["/proc/self/", map].concat()) else { return true };
    text.lines().any(|line| {
        let mut numbers = line.split_whitespace().map(|word| word.parse::<u64>().unwrap_or(0));
        let (first, _, count) = (numbers.next(), numbers.next(), numbers.next());
        let (first, count) = (first.unwrap_or(0), count.unwrap_or(0));
        (first..first.saturating_add(count)).contains(&u64::from(id))
    })
}

impl Wanted {
    /// Whether owner or group is to be changed.
    fn owner_differs(&self, stat: &EntryStat) -> bool {
        self.uid.is_some_and(|uid| differs(stat.uid, uid, "uid_map"))
            || self.gid.is_some_and(|gid| differs(stat.gid, gid, "gid_map"))
    }

    /// Whether anything is to be changed. A link has no permission bits.
    #[must_use]
    pub fn differs(&self, stat: &EntryStat) -> bool {
        self.owner_differs(stat)
            || stat.kind != FileKind::Link && self.mode.is_some_and(|mode| mode != stat.mode)
    }

    /// Makes it so. The permission bits come first, for who gives a file away may have no right to change them then; but
    /// no set-id bit is given before the owner is the one that is meant.
    pub fn give(&self, held: &mut Pinned) -> Given {
        let mut given = Given::default();
        let now = held.stat;
        if !self.differs(&now) {
            return given;
        }
        let mode = self.mode.filter(|_| now.kind != FileKind::Link);
        let owner_differs = self.owner_differs(&now);
        let set_id = if owner_differs { now.mode & 0o6000 } else { mode.unwrap_or(0) & 0o6000 };
        if let Some(first) = mode.map(|mode| mode & 0o1777 | set_id).filter(|first| *first != now.mode) {
            given.note("chmod", held.chmod(first));
        }
        let is_fresh = owner_differs && self.hand_over(held, mode, &mut given);
        if let Some(refused) = &mut given.refused {
            refused.immutable = now.immutable;
        }
        if !is_fresh {
            let _ = held.look();
        }
        let after = held.stat;
        given.changed = after != now;
        if given.refused.is_none() {
            if self.owner_differs(&after) {
                given.refused = Some(Refused::forgotten("chown"));
            } else if mode.is_some_and(|mode| mode != after.mode) {
                given.refused = Some(Refused::forgotten("chmod"));
            }
        }
        given
    }

    /// Gives it to another; whether nothing has been done to it since it was looked at last.
    fn hand_over(&self, held: &mut Pinned, mode: Option<u32>, given: &mut Given) -> bool {
        let before = held.stat;
        let is_program = before.kind == FileKind::File && before.mode & 0o111 != 0;
        let capabilities = if is_program { held.capabilities() } else { None };
        let uid = self.uid.filter(|uid| differs(before.uid, *uid, "uid_map"));
        let gid = self.gid.filter(|gid| differs(before.gid, *gid, "gid_map"));
        given.note("chown", held.chown(uid, gid));
        if given.refused.is_some_and(|refused| refused.what == "chown") {
            return false;
        }
        let Ok(after) = held.look() else { return false };
        // The kernel takes set-id bits and capabilities from a program that changes hands. Those of root's stay: nobody
        // else has had it in hand.
        let is_roots = before.uid == 0;
        let kept = if is_roots { before.mode } else { after.mode };
        let wanted = mode.unwrap_or(kept);
        let is_lost = before.kind != FileKind::Link && wanted != after.mode;
        if is_lost {
            given.note("chmod", held.chmod(wanted));
        }
        given.lost_bits = mode.is_none() && !is_roots && before.mode & 0o6000 != after.mode & 0o6000;
        if let Some(value) = capabilities {
            given.lost_bits |= !is_roots || held.set_capabilities(&value).is_err();
        }
        !is_lost
    }
}

impl Refused {
    fn forgotten(what: &'static str) -> Self {
        Self { what, errno: None, immutable: false }
    }
}

impl Given {
    fn note(&mut self, what: &'static str, result: Result<(), Errno>) {
        if let Err(errno) = result {
            // That it could not be given away says more than that it has other bits.
            let is_more = what == "chown" || self.refused.is_none();
            if is_more {
                self.refused = Some(Refused { errno: Some(errno), ..Refused::forgotten(what) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_for_differs() {
        let stat = EntryStat { uid: 5, gid: 6, mode: 0o640, ..EntryStat::default() };
        let wanted = |uid, gid, mode| Wanted { uid, gid, mode };
        for (wanted, differs) in [
            (wanted(None, None, None), false),
            (wanted(Some(5), Some(6), Some(0o640)), false),
            (wanted(Some(6), None, None), true),
            (wanted(None, Some(5), None), true),
            (wanted(None, None, Some(0o600)), true),
        ] {
            assert_eq!(wanted.differs(&stat), differs, "{wanted:?}");
        }
        let link = EntryStat { kind: FileKind::Link, mode: 0o777, ..stat };
        assert!(!wanted(None, None, Some(0o600)).differs(&link));
    }
}
