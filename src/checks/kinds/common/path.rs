//! What the kinds that are about a path share: whether something is there, whose it is, and who may use it.

use super::ensure::{EnsureKind, EnsureSpec};
use super::finding::{add, fail, failure, held};
use super::keys::absolute_path;
use crate::checks::{CheckFailure, Facts, LookResult, facts};
use crate::config::keys::{KeySpec, key};
use crate::config::read::scalar::mode;
use crate::config::read::table::Table;
use crate::config::source::document::Value;
use crate::diagnosis;
use crate::sys::fs::mounts::mount_of;
use crate::sys::fs::stat::{Access, Stat};
use crate::sys::{Errno, errno};
use crate::text::template::fill;
use std::io;

/// Keys of what is at a path.
#[rustfmt::skip]
pub const PATH_KEYS: &[KeySpec] = &[
    key("path", "path", "NAME", "its path, if NAME is only a label"),
    key("absent", "bool or \"always\"", "false", "whether it must not exist; with `ensure` a stale pid or lock file is removed, with \"always\" even from a volume that another container may use"),
    key("readable", "bool", "either", "whether this user can read it"),
    key("writable", "bool", "either", "whether this user can write it"),
    key("executable", "bool", "either", "whether this user can execute it, or enter the directory"),
];

/// Keys of whose a path is.
#[rustfmt::skip]
pub const RIGHTS_KEYS: &[KeySpec] = &[
    key("owner", "name or number", "any", "its owner"),
    key("group", "name or number", "any", "its group"),
    key("mode", "octal string", "any", "its permission bits, such as \"0755\""),
    key("max_mode", "octal string", "any", "the most permission bits that it may have"),
];

/// Owner, group and mode that are asked for.
#[derive(Default)]
pub(in crate::checks) struct PathRights {
    pub owner: Option<String>,
    pub group: Option<String>,
    pub mode: Option<u32>,
    pub max_mode: Option<u32>,
}

/// What a user may do, the word for it, and whether it must be so or must not.
pub(in crate::checks) type Allowed = (&'static str, Access, bool);

/// What may be asked of a user's access, with the word for it.
const ACCESS: [(&str, Access); 3] =
    [("readable", Access::Read), ("writable", Access::Write), ("executable", Access::Execute)];

/// A path, and what is asked of it in every kind.
pub(in crate::checks) struct PathSubject {
    pub path: String,
    absent: bool,
    /// `absent = "always"`.
    always: bool,
    rights: PathRights,
    access: Vec<Allowed>,
    /// What makes it when it is not there, up to its path.
    pub make: Option<String>,
}

impl PathRights {
    /// Reads the keys, and adds what they ask for to `expected`.
    pub fn read(table: &Table<'_>, expected: &mut String) -> Self {
        let owner = table.text_or_number("owner");
        let group = table.text_or_number("group");
        for (what, name) in [("owned by ", &owner), ("of group ", &group)] {
            name.iter().for_each(|name| add(expected, &[what, name]));
        }
        let (mode, max_mode) = (mode(table, "mode"), mode(table, "max_mode"));
        for (what, mode) in [("mode ", mode), ("mode at most ", max_mode)] {
            mode.iter().for_each(|mode| add(expected, &[what, &octal(*mode)]));
        }
        if mode.is_some() && max_mode.is_some() {
            table.fault("max_mode", "does nothing beside mode; leave one of them out");
        }
        if max_mode == Some(0o7777) {
            table.fault("max_mode", "asserts nothing, for no mode has more bits; leave it out");
        }
        Self { owner, group, mode, max_mode }
    }

    /// Judges them.
    pub fn evaluate(&self, path: &str, stat: &Stat, facts: &Facts) -> Result<(), CheckFailure> {
        let accounts = facts.system.accounts();
        let no_such = |what: &str, name: &str| {
            let file = if what == "user" { "/etc/passwd" } else { "/etc/group" };
            let failure =
                failure!("no {} \"{}\" in {}", what, name, file; "add the {}, or use its number", what);
            CheckFailure { may_change: false, ..failure }
        };
        // All that is to be done: the mode last, for chown takes bits of it.
        let mut remedies: Vec<String> = Vec::new();
        let mut mend = |verb: &str, to: &str| remedies.push(fill!("{}{} {}", verb, to, path));
        if let Some(owner) = &self.owner
            && accounts.uid(owner).ok_or_else(|| no_such("user", owner))? != stat.uid
        {
            mend("chown ", owner);
        }
        if let Some(group) = &self.group
            && accounts.gid(group).ok_or_else(|| no_such("group", group))? != stat.gid
        {
            mend("chgrp ", group);
        }
        let mode = self.mode.or_else(|| self.max_mode.map(|max| stat.mode & max));
        if let Some(mode) = mode.filter(|mode| *mode != stat.mode) {
            mend("chmod ", &octal(mode));
        }
        if remedies.is_empty() || facts.rights_are_settled {
            return Ok(());
        }
        let failure = failure!("{}", &shown(stat, facts); "{}", &remedies.join("; "));
        Err(CheckFailure { mendable: true, ..failure })
    }
}

impl PathSubject {
    /// Reads the keys that all these kinds share; `expected` begins with what the kind is.
    pub fn read(name: &str, table: &Table<'_>, expected: &mut String) -> Option<Self> {
        let path = absolute_path(name, table);
        let (absent, always) = absent(table);
        let before = expected.len();
        let rights = PathRights::read(table, expected);
        let mut access = Vec::new();
        for (word, what) in ACCESS {
            if let Some(wanted) = table.flag(word) {
                add(expected, &[if wanted { "" } else { "not " }, word]);
                access.push((word, what, wanted));
            }
        }
        if absent {
            if expected.len() != before {
                table.fault("absent", "contradicts what is asked of the file besides; leave one of them out");
            }
            *expected = String::from("nothing there");
        }
        Some(Self { path: path?, absent, always, rights, access, make: None })
    }

    /// What `ensure` is to make so, if it is asked for. `kind` is what is to be there; `makes`: whether it is made where
    /// it is missing.
    pub fn ensure(&self, table: &Table<'_>, kind: EnsureKind, makes: bool) -> Option<EnsureSpec> {
        let is_file = kind == EnsureKind::File;
        let spec = EnsureSpec::read(table, kind, &self.path, &self.rights);
        if self.always && spec.is_none() {
            table.fault("absent", "says \"always\", which does nothing without ensure = true");
        }
        let mut spec = spec?;
        if self.absent {
            if !is_file {
                table.fault("absent", "with ensure removes files alone; expected [checks.file.PATH]");
            }
            spec.kind = EnsureKind::Absent(self.always);
        }
        let denied = |(word, _, wanted): &Allowed| *word == "writable" && !wanted;
        (spec.makes, spec.writes) = (makes, !self.access.iter().any(denied));
        Some(spec)
    }

    /// Looks at what is there, and on at what the kind asks besides when it is as asked so far.
    pub fn look(&self, facts: &Facts, besides: &dyn Fn(&Stat) -> LookResult) -> LookResult {
        let path = &self.path;
        match facts.system.stat(path) {
            Ok(stat) if self.absent => {
                let rm = if stat.dir { "rm -r" } else { "rm" };
                let failure =
                    failure!("{} {}", what(&stat), &shown(&stat, facts); "remove it: {} {}", rm, path);
                Err(CheckFailure { mendable: !stat.dir, ..failure })
            }
            Ok(stat) => besides(&stat),
            Err(error) if matches!(errno(&error), Errno::ENOENT | Errno::ENOTDIR) => self.missing(facts),
            Err(error) => Err(refused(path, &error, facts)),
        }
    }

    fn missing(&self, facts: &Facts) -> LookResult {
        let path = &self.path;
        if self.absent {
            let Ok(target) = facts.system.read_link(path) else { return held!("nothing there"; path) };
            return fail!("a link to {}, which is not there", &target; "remove it: rm {}", path);
        }
        if let Some(link) = facts.system.dead_link(path) {
            let which = if link.path == *path { "" } else { &*fill!("{} is ", link.path) };
            let failure = failure!(
                "{}a link to {}, which is not there", which, &link.target;
                "put it at {}, or correct the link", &link.target
            );
            // A link may be made to say something else; what it leads to is not made by that.
            let mendable = self.make.is_some() && link.path == *path;
            return Err(CheckFailure { mendable, ..failure });
        }
        let mut first = path.as_str();
        while let Some((above, _)) = first.rsplit_once('/').filter(|(above, _)| !above.is_empty())
            && facts.system.stat(above).is_err()
        {
            first = above;
        }
        let remedy = self.make.as_deref().unwrap_or("put it into the image, or mount it at");
        let above = path.rsplit_once('/').map_or("", |(above, _)| above);
        let dirs = if first == path || self.make.is_none() {
            String::new()
        } else {
            fill!("mkdir -p {} && ", above)
        };
        let failure = failure!("{} is not there", first; "{}{} {}", &dirs, remedy, path);
        Err(CheckFailure { mendable: true, ..failure })
    }

    /// Whether owner, mode and access are as asked.
    pub fn rights(&self, stat: &Stat, facts: &Facts) -> Result<(), CheckFailure> {
        for asked in &self.access {
            allows(&self.path, stat, *asked, facts, "")?;
        }
        self.rights.evaluate(&self.path, stat, facts)
    }

    /// Whether the flag was asked for.
    pub fn asks(&self, word: &str) -> bool {
        self.access.iter().any(|(known, _, wanted)| *known == word && *wanted)
    }

    /// It holds.
    pub fn pass(&self, stat: &Stat, facts: &Facts) -> LookResult {
        held!("{} {}", what(stat), &shown(stat, facts); &self.path)
    }
}

/// Whether nothing is to be there, and whether even what another container may use is to go.
pub(in crate::checks) fn absent(table: &Table<'_>) -> (bool, bool) {
    const KEY: &str = "absent";
    let other = |value: &Value| if let Value::Bool(flag) = value { Some((*flag, false)) } else { None };
    let read = table.parse(KEY, "true, false or \"always\"", other, |text| match text {
        "always" => Ok((true, true)),
        "true" | "yes" | "on" | "1" => Ok((true, false)),
        "false" | "no" | "off" | "0" | "" => Ok((false, false)),
        _ => Err("expected true or false, or \"always\"".into()),
    });
    read.unwrap_or_default()
}

pub(in crate::checks) fn octal(mode: u32) -> String {
    format!("{mode:04o}")
}

/// A directory above the path is closed, or a file system answers with an error.
pub(in crate::checks) fn refused(path: &str, error: &io::Error, facts: &Facts) -> CheckFailure {
    if errno(error) == Errno::ELOOP {
        return failure!("{} leads round in a circle of links", path; "correct the link (ls -l {})", path);
    }
    if errno(error) == Errno::EACCES {
        return unreachable(path, Access::Read, facts);
    }
    failure!("{} cannot be looked at: {}", path, &facts::why(error); "look at what it lies on")
}

/// What keeps this user from reading a path, listing it or going there.
pub(in crate::checks) fn unreachable(path: &str, access: Access, facts: &Facts) -> CheckFailure {
    let (barrier, viewer) = facts.system.barrier(path, access);
    let Some(barrier) = barrier else {
        // It was refused, and is no longer; or nothing of it can be seen.
        return failure!("{} may not use {}", &viewer.who, path; "let it: chmod o+r {}", path);
    };
    let (found, remedy) = diagnosis::unreachable::told(&barrier, &viewer);
    CheckFailure::new(found, remedy)
}

/// Whether the kernel lets this user do it, or does not, as is asked; `on` is where it would be mended, if elsewhere.
pub(in crate::checks) fn allows(
    path: &str,
    stat: &Stat,
    (word, access, wanted): Allowed,
    facts: &Facts,
    on: &str,
) -> Result<(), CheckFailure> {
    match (facts.system.access(path, access), wanted) {
        (Err(error), true) => {
            // Who owns it may be about to change; that nothing can be written to the mount is not.
            let mendable = errno(&error) == Errno::EACCES;
            return Err(CheckFailure { mendable, ..denied(path, stat, word, &error, facts, on) });
        }
        (Ok(()), true) | (Err(_), false) => return Ok(()),
        (Ok(()), false) => {}
    }
    let uid = facts.system.current().uid;
    let whole =
        if access == Access::Write && !on.is_empty() { "mount the volume ro, not rw, or " } else { "" };
    // No mode keeps root out, so that to change it would not help.
    let (shown, uid_shown) = (shown(stat, facts), uid.to_string());
    if uid == 0 {
        return fail!(
            "{}, {} by uid {}", &shown, word, &uid_shown;
            "{}judge as another user (as_user): root may do nearly anything", whole
        );
    }
    fail!(
        "{}, {} by uid {}", &shown, word, &uid_shown;
        "{}take it from that user with chmod or chown, or judge as another (as_user)", whole
    )
}

/// The kernel does not let this user do what is asked for.
pub(in crate::checks) fn denied(
    path: &str,
    stat: &Stat,
    word: &str,
    error: &io::Error,
    facts: &Facts,
    on: &str,
) -> CheckFailure {
    let shown = shown(stat, facts);
    let who = facts.system.current();
    let uid = who.uid.to_string();
    match errno(error) {
        Errno::EROFS if on.is_empty() => match mount_of(facts.system.mounts(), path) {
            Some(mount) if mount.point != "/" => {
                failure!("on the mount {}, which is read-only", &mount.point; "mount {} rw, not ro", &mount.point)
            }
            _ => {
                failure!("on a read-only mount"; "mount a volume or a tmpfs over {}, or leave out --read-only", path)
            }
        },
        Errno::EROFS => failure!("mounted read-only"; "mount the volume rw, not ro"),
        Errno::EACCES => {
            let access = match word {
                "readable" => Access::Read,
                "writable" => Access::Write,
                _ => Access::Execute,
            };
            let CheckFailure { remedy, .. } = unreachable(path, access, facts);
            failure!("{}, not {} by uid {}", &shown, word, &uid; "{}", &remedy)
        }
        _ => failure!("{}, not {}: {}", &shown, word, &facts::why(error); "look at what it lies on"),
    }
}

/// `owned by root:root, mode 0755`
pub(in crate::checks) fn shown(stat: &Stat, facts: &Facts) -> String {
    let accounts = facts.system.accounts();
    let (user, group) = (accounts.user_name(stat.uid), accounts.group_name(stat.gid));
    fill!("owned by {}:{}, mode {}", user, group, &octal(stat.mode))
}

/// What kind of file it is.
pub(in crate::checks) fn what(stat: &Stat) -> &'static str {
    match stat {
        Stat { dir: true, .. } => "a directory",
        Stat { file: true, .. } => "a file",
        Stat { socket: true, .. } => "a socket",
        Stat { fifo: true, .. } => "a fifo",
        _ => "a device",
    }
}
