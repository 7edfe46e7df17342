//! `[checks.user]` or `[checks.user.NAME]`: whose rights rinit, and so the command, runs with.

use super::{Facts, Finding, Judge, Kind};
use crate::config::table::Table;

/// `user`
pub const KIND: Kind = Kind { name: "user", nameless: true, read };

struct User {
    /// A name, or a number.
    user: Option<String>,
    uid: Option<u32>,
    gid: Option<String>,
    groups: Vec<String>,
    root: Option<bool>,
}

fn read(name: &str, table: &Table<'_>) -> Option<Box<dyn Judge>> {
    let number = |key| table.integer(key, 0, i64::from(u32::MAX) - 1).and_then(|n| u32::try_from(n).ok());
    let root = table.flag("root");
    let uid = number("uid");
    // NAME is the user, unless a key says who is meant; it is a label then.
    let told = table.has("name") || table.has("uid") || table.has("root");
    let named = Some(name.to_string()).filter(|name| !told && !name.is_empty());
    let groups = table.list("groups");
    if groups.as_ref().is_some_and(Vec::is_empty) {
        table.fault("groups", "asserts nothing; name a group, or leave it out");
    }
    if root == Some(true) && uid.is_some_and(|uid| uid != 0) || root == Some(false) && uid == Some(0) {
        table.fault("root", "contradicts uid; leave one of them out");
    }
    Some(Box::new(User {
        user: table.text_or_number("name").or(named),
        uid,
        gid: table.text_or_number("gid"),
        groups: groups.unwrap_or_default(),
        root,
    }))
}

impl Judge for User {
    fn subject(&self) -> String {
        "user".into()
    }

    fn expected(&self) -> String {
        let mut wanted = Vec::new();
        wanted.extend(self.user.as_ref().map(|user| format!("user {user}")));
        wanted.extend(self.uid.map(|uid| format!("uid {uid}")));
        wanted.extend(self.gid.as_ref().map(|gid| format!("gid {gid}")));
        wanted.extend(self.groups.iter().map(|group| format!("a member of {group}")));
        wanted.extend(self.root.map(|root| if root { "root" } else { "a user other than root" }.to_string()));
        if wanted.is_empty() { "any user".into() } else { wanted.join(", ") }
    }

    fn judge(&self, facts: &Facts) -> Finding {
        let who = facts.system.current();
        let accounts = facts.system.accounts();
        let name = accounts.user_name(who.uid);
        let found = if name == who.uid.to_string() {
            format!("uid {} (no name in /etc/passwd)", who.uid)
        } else {
            format!("user {name} (uid {})", who.uid)
        };
        let run_as = |user: &str| {
            Finding::fail_for_good(found.clone(), format!("run as {user} (docker run --user {user})"))
        };
        if self.root == Some(false) && who.uid == 0 {
            let remedy = "run as another user (docker run --user UID:GID)";
            return Finding::fail_for_good(found, remedy.into());
        }
        if self.root == Some(true) && who.uid != 0 {
            return run_as("0");
        }
        if let Some(uid) = self.uid.filter(|uid| *uid != who.uid) {
            return run_as(&uid.to_string());
        }
        if let Some(user) = &self.user {
            match accounts.uid(user) {
                Some(uid) if uid == who.uid => {}
                Some(_) => return run_as(user),
                None => {
                    let remedy = format!("add the user {user} to the image, or use its number");
                    return Finding::fail_for_good(format!("{found}, and no {user} in /etc/passwd"), remedy);
                }
            }
        }
        if let Some(gid) = &self.gid
            && accounts.gid(gid) != Some(who.gid)
        {
            let group = accounts.group_name(who.gid);
            let remedy = format!("run with that group (docker run --user {}:{gid})", who.uid);
            return Finding::fail_for_good(format!("{found} with group {group} (gid {})", who.gid), remedy);
        }
        let member = |group: &String| {
            accounts.gid(group).is_some_and(|gid| gid == who.gid || who.groups.contains(&gid))
        };
        if let Some(group) = self.groups.iter().find(|group| !member(group)) {
            let remedy = format!("add the group (docker run --group-add {group})");
            return Finding::fail_for_good(format!("{found}, not a member of {group}"), remedy);
        }
        Finding::pass(found, name)
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::fake::Fake;
    use super::super::read::testing::{fault, one};
    use super::*;
    use crate::sys::users::{Accounts, Identity};
    use std::cell::RefCell;

    fn judge(text: &str, uid: u32) -> Finding {
        let fake = Fake {
            accounts: Accounts::parse("root:x:0:0::/:\napp:x:1000:50::/:\n", "mail:x:8:\nweb:x:50:\n"),
            current: RefCell::new(Identity { uid, gid: 50, groups: vec![8] }),
            ..Fake::default()
        };
        one(text).judge.judge(&fake.facts(&[]))
    }

    #[test]
    fn the_current_user_is_judged() {
        for (text, uid, ok) in [
            ("[checks.user]", 0, true),
            ("[checks.user]\nroot = false", 0, false),
            ("[checks.user]\nroot = false", 1000, true),
            ("[checks.user]\nroot = true", 1000, false),
            ("[checks.user.app]", 1000, true),
            ("[checks.user.app]", 0, false),
            ("[checks.user.1000]", 1000, true),
            ("[checks.user.label]\nroot = false", 1000, true),
            ("[checks.user]\nname = \"app\"\nuid = 1000\ngid = \"web\"", 1000, true),
            ("[checks.user]\nname = \"nobody\"", 1000, false),
            ("[checks.user]\nuid = 5", 1000, false),
            ("[checks.user]\nuid = 4711", 4711, true),
            ("[checks.user]\ngid = 8", 1000, false),
            ("[checks.user]\ngroups = [\"mail\", \"web\"]", 1000, true),
            ("[checks.user]\ngroups = [\"mail\", 7]", 1000, false),
        ] {
            assert_eq!(judge(text, uid).ok, ok, "{text} {uid}");
        }
    }

    #[test]
    fn words_and_value_name_the_user() {
        let root = judge("[checks.user]\nroot = false", 0);
        assert_eq!(root.found, "user root (uid 0)");
        assert!(root.remedy.contains("docker run --user"));
        assert_eq!(judge("[checks.user]", 77).found, "uid 77 (no name in /etc/passwd)");
        assert_eq!(judge("[checks.user]", 1000).value.as_deref(), Some("app"));
        assert_eq!(judge("[checks.user]", 77).value.as_deref(), Some("77"));
    }

    #[test]
    fn what_cannot_hold_is_a_fault() {
        assert!(fault("[checks.user]\ngroups = []").contains("asserts nothing"));
        assert!(fault("[checks.user]\nroot = true\nuid = 5").contains("contradicts"));
    }
}
