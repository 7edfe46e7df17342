//! Users and groups. Parses `/etc/passwd` and `/etc/group` directly: a static program has no NSS, and a container may
//! lack both files. A numeric id needs no entry.

use crate::model::Signal;
use crate::sys::fs::files;
use crate::sys::{Errno, raw};
use crate::text::gather::Gather;
use crate::text::template::fill;
use std::time::Duration;

/// A line of passwd(5).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct User {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
}

/// A line of group(5).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Group {
    /// Group name.
    pub name: String,
    /// Group id.
    pub gid: u32,
    /// Login names of its members, other than by primary group.
    pub members: Vec<String>,
}

/// The ids that a process has or is to have.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

impl Identity {
    /// Adds a supplementary group.
    pub fn join(&mut self, group: u32) {
        if !self.groups.contains(&group) {
            self.groups.push(group);
        }
    }

    /// Returns whether a process with the ids `own` already has these, as far as it can: only root may change groups.
    #[must_use]
    pub fn is_had_by(&self, own: &Self) -> bool {
        let covers = |one: &Self, other: &Self| {
            one.groups.iter().all(|group| *group == one.gid || other.groups.contains(group))
        };
        self.uid == own.uid && self.gid == own.gid && (own.uid != 0 || covers(self, own) && covers(own, self))
    }
}

/// All users and groups that this container knows by name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Accounts {
    /// In the order of the file.
    pub users: Vec<User>,
    /// In the order of the file.
    pub groups: Vec<Group>,
}

impl Accounts {
    /// Reads both files; a missing file counts as empty.
    #[must_use]
    pub fn read() -> Self {
        let text = |path| files::slurp(path, usize::MAX).unwrap_or_default();
        let (passwd, group) = (text("/etc/passwd"), text("/etc/group"));
        Self::parse(&String::from_utf8_lossy(&passwd), &String::from_utf8_lossy(&group))
    }

    /// Like [`Self::read`], for files that may be on a hanging file system (`docker run -v`): a helper reads files
    /// that are mounts of their own, for at most `timeout`. `None`: no answer in time.
    #[must_use]
    pub fn read_in_time(ignored: &[Signal], timeout: Duration) -> Option<Self> {
        let text = |path: &str| match files::read_on_root(path) {
            Some(read) => Some(read.or_else(|_| files::slurp(path, usize::MAX)).unwrap_or_default()),
            None => super::fork::answer(ignored, timeout, &|found| {
                found.extend(files::slurp(path, usize::MAX).unwrap_or_default());
            }),
        };
        let (passwd, group) = (text("/etc/passwd")?, text("/etc/group")?);
        Some(Self::parse(&String::from_utf8_lossy(&passwd), &String::from_utf8_lossy(&group)))
    }

    /// Parses the text of both files; skips malformed lines.
    #[must_use]
    pub fn parse(passwd: &str, group: &str) -> Self {
        Self {
            users: passwd.lines().filter_map(user_line).gather(),
            groups: group.lines().filter_map(group_line).gather(),
        }
    }

    /// Finds a user by name, else by number. Only users with an entry.
    #[must_use]
    pub fn user(&self, word: &str) -> Option<&User> {
        let named = self.users.iter().find(|user| user.name == word);
        named.or_else(|| word.parse().ok().and_then(|uid| self.user_of(uid)))
    }

    /// Returns the first entry with this user id.
    #[must_use]
    pub fn user_of(&self, uid: u32) -> Option<&User> {
        self.users.iter().find(|user| user.uid == uid)
    }

    /// Resolves a user name or number to a user id.
    #[must_use]
    pub fn uid(&self, word: &str) -> Option<u32> {
        self.user(word).map(|user| user.uid).or_else(|| word.parse().ok())
    }

    /// Resolves a group name or number to a group id.
    #[must_use]
    pub fn gid(&self, word: &str) -> Option<u32> {
        let named = self.groups.iter().find(|group| group.name == word);
        named.map(|group| group.gid).or_else(|| word.parse().ok())
    }

    /// Returns a user's name, or the number if it has none.
    #[must_use]
    pub fn user_name(&self, uid: u32) -> String {
        self.user_of(uid).map_or_else(|| uid.to_string(), |user| user.name.clone())
    }

    /// Returns a group's name, or the number if it has none.
    #[must_use]
    pub fn group_name(&self, gid: u32) -> String {
        let known = self.groups.iter().find(|group| group.gid == gid);
        known.map_or_else(|| gid.to_string(), |group| group.name.clone())
    }

    /// Resolves `user` or `user:group`, names or numbers. Without a group: the user's primary group and those that
    /// list the user; a number without an entry gets group 0, as in Docker. The error is one line.
    pub fn identity(&self, spec: &str) -> Result<Identity, String> {
        let (user, group) = match spec.split_once(':') {
            Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
            None => (spec, None),
        };
        let uid = self.uid(user).ok_or_else(|| fill!("no user \"{}\" in /etc/passwd", user))?;
        let entry = self.user(user);
        if let Some(group) = group {
            let gid = self.gid(group).ok_or_else(|| fill!("no group \"{}\" in /etc/group", group))?;
            return Ok(Identity { uid, gid, groups: vec![gid] });
        }
        let gid = entry.map_or(0, |user| user.gid);
        let mut groups = vec![gid];
        if let Some(user) = entry {
            let lists = self.groups.iter().filter(|group| group.members.contains(&user.name));
            groups.extend(lists.map(|group| group.gid).filter(|other| *other != gid));
        }
        Ok(Identity { uid, gid, groups })
    }
}

/// Adds a user to /etc/passwd who has no entry there, with a name of their own; returns whether there is an entry now.
/// The file is added to in place: it may be a mount of its own, or lie in a directory that nobody may write.
#[must_use]
pub fn add_user(uid: u32, gid: u32, home: &str) -> bool {
    const PASSWD: &str = "/etc/passwd";
    let known = Accounts::read();
    if known.user_of(uid).is_some() {
        return true;
    }
    let mut name = ["user", &uid.to_string()].concat();
    while known.users.iter().any(|user| user.name == name) {
        name.push('_');
    }
    // What would end the field or the line is no directory of anybody's.
    let home = if home.starts_with('/') && !home.contains([':', '\n']) { home } else { "/" };
    let line = format!("{name}:x:{uid}:{gid}::{home}:/bin/sh\n");
    files::append(PASSWD, &line, usize::MAX);
    Accounts::read().user_of(uid).is_some()
}

fn user_line(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?.to_string();
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    let home = fields.nth(1).unwrap_or("").to_string();
    let shell = fields.next().unwrap_or("").to_string();
    Some(User { name, uid, gid, home, shell })
}

fn group_line(line: &str) -> Option<Group> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?.to_string();
    let gid = fields.nth(1)?.parse().ok()?;
    let members = fields.next().unwrap_or("").split(',').filter(|name| !name.is_empty());
    Some(Group { name, gid, members: members.map(str::to_string).gather() })
}

/// Returns the effective ids of this process.
#[must_use]
pub fn current() -> Identity {
    // SAFETY: without a list the kernel tells how long it is.
    let count = unsafe { libc::getgroups(0, std::ptr::null_mut()) };
    let mut groups = vec![0; usize::try_from(count).unwrap_or(0)];
    // SAFETY: the list is as long as is said.
    let count = unsafe { libc::getgroups(count.max(0), groups.as_mut_ptr()) };
    groups.truncate(usize::try_from(count).unwrap_or(0));
    Identity { uid: nix::unistd::geteuid().as_raw(), gid: nix::unistd::getegid().as_raw(), groups }
}

/// Switches to other ids for good: groups, then group, then user, since the last step drops the right to the others.
/// Async-signal-safe. Raw system calls: a C library would synchronise threads that do not exist here.
pub fn switch_to(who: &Identity, keeps_capabilities: bool) -> Result<(), Errno> {
    let (uid, gid) = (who.uid, who.gid);
    if uid == u32::MAX || gid == u32::MAX {
        // -1 would leave the id unchanged.
        return Err(Errno::EINVAL);
    }
    let [new_uid, new_gid] = [uid, gid].map(|id| [id as usize; 3]);
    // SAFETY: setgroups(2) reads `len` numbers behind a pointer that is valid for the call; the others take integers.
    let was = unsafe {
        let was = raw::call(libc::SYS_geteuid, &[])?;
        raw::call(libc::SYS_setgroups, &[who.groups.len(), raw::address(who.groups.as_ptr())])?;
        raw::call(libc::SYS_setresgid, &new_gid)?;
        raw::call(libc::SYS_setresuid, &new_uid)?;
        was
    };
    if uid == 0 || keeps_capabilities {
        return Ok(()); // execve gives root what the bounding set leaves, whatever is given up here
    }
    // The kernel drops capabilities only when root becomes another user, and never the inheritable ones.
    super::caps::drop_all().or_else(|errno| if was == 0 { Ok(()) } else { Err(errno) })
}

#[cfg(test)]
mod tests {
    use super::super::credentials::*;

    fn accounts() -> Accounts {
        Accounts::parse(
            "root:x:0:0:root:/root:/bin/sh\nredis:x:999:1000:Redis:/var/lib/redis:\n# no\nbad:x:y:1::\n",
            "root:x:0:\nredis:x:1000:\nmail:x:8:postfix,redis\n",
        )
    }

    #[test]
    fn names_and_numbers_become_ids() {
        let known = accounts();
        assert_eq!((known.users.len(), known.groups.len()), (2, 3));
        for (spec, uid, gid, groups) in [
            ("redis", 999, 1000, vec![1000, 8]),
            ("999", 999, 1000, vec![1000, 8]),
            ("redis:mail", 999, 8, vec![8]),
            ("4711", 4711, 0, vec![0]),
            ("4711:12", 4711, 12, vec![12]),
            ("root:", 0, 0, vec![0]),
        ] {
            assert_eq!(known.identity(spec), Ok(Identity { uid, gid, groups }), "{spec}");
        }
        assert_eq!(known.identity("redsi"), Err("no user \"redsi\" in /etc/passwd".into()));
        assert_eq!(known.identity("0:nobodies"), Err("no group \"nobodies\" in /etc/group".into()));
        assert_eq!((known.user_name(999), known.group_name(77)), ("redis".into(), "77".into()));
    }

    #[test]
    fn who_has_the_ids_already_need_not_switch() {
        let ids = |uid, gid, groups: &[u32]| Identity { uid, gid, groups: groups.to_vec() };
        let root = ids(0, 0, &[0]);
        for (own, had) in [
            (ids(0, 0, &[0]), true),
            (ids(0, 0, &[]), true),
            (ids(0, 0, &[0, 10]), false),
            (ids(0, 5, &[0]), false),
            (ids(5, 0, &[0]), false),
        ] {
            assert_eq!((root.is_had_by(&own), own.is_had_by(&root)), (had, had), "{own:?}");
        }
        assert!(ids(5, 5, &[5]).is_had_by(&ids(5, 5, &[7])));
    }

    #[test]
    fn a_container_without_the_files_knows_numbers() {
        let none = Accounts::default();
        assert_eq!(none.identity("7"), Ok(Identity { uid: 7, gid: 0, groups: vec![0] }));
        assert!(none.identity("root").is_err());
    }
}
