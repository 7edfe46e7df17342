//! `[checks.user]` or `[checks.user.NAME]`: whose rights rinit, and so the command, runs with.

use super::common::finding::failure;
use super::common::keys::{asserting, must_ask, no_wait};
use super::common::path::{denied, refused};
use crate::checks::{Blocking, CheckFailure, CheckSpec, Facts, Finding, Kind, LookResult};
use crate::config::keys::{KeySpec, key};
use crate::config::read::table::Table;
use crate::sys::fs::stat::Access;
use crate::sys::process::credentials::{Accounts, Identity};
use crate::text::template::fill;

/// `user`
pub const KIND: Kind = Kind { name: "user", nameless: true, looks_at_paths: true, read, ..Kind::PLAIN };

/// The keys that are its own.
#[rustfmt::skip]
pub const KEYS: &[&[KeySpec]] = &[&[
    key("name", "name or number", "NAME, or any", "the user that rinit runs as"),
    key("uid", "number", "any", "its uid"),
    key("gid", "name or number", "any", "its group"),
    key("groups", "names or numbers", "", "groups that it must be a member of"),
    key("root", "bool", "either", "whether it is root"),
    key("in_passwd", "bool", "either", "whether /etc/passwd must have an entry for it"),
    key("home_writable", "bool", "false", "whether it must be able to write to its home directory"),
]];

const ASKING: &str = "name, uid, gid, groups, root, in_passwd, home_writable";

struct UserCheck {
    /// A name, or a number.
    user: Option<String>,
    uid: Option<u32>,
    gid: Option<String>,
    groups: Vec<String>,
    root: Option<bool>,
    in_passwd: Option<bool>,
    home_writable: bool,
}

fn read(name: &str, table: &Table<'_>) -> Option<CheckSpec> {
    no_wait(table);
    let number = |key| table.integer(key, 0, i64::from(u32::MAX) - 1).and_then(|n| u32::try_from(n).ok());
    let root = table.flag("root");
    let uid = number("uid");
    // NAME is the user, unless a key says who is meant; it is a label then.
    let told = table.has("name") || table.has("uid") || table.has("root");
    let named = Some(name.to_string()).filter(|name| !told && !name.is_empty());
    let groups = asserting(table, "groups");
    if root == Some(true) && uid.is_some_and(|uid| uid != 0) || root == Some(false) && uid == Some(0) {
        table.fault("root", "contradicts uid; leave one of them out");
    }
    let user = table.text_or_number("name").or(named);
    let in_passwd = table.flag("in_passwd");
    if in_passwd == Some(false) && user.as_ref().is_some_and(|user| user.parse::<u32>().is_err()) {
        table.fault("in_passwd", "contradicts the user's name, which is in /etc/passwd; give a number");
    }
    let home_writable = table.flag("home_writable");
    if home_writable == Some(false) {
        table.fault("home_writable", "asserts nothing when it is false; leave it out");
    }
    // Somebody it always is; to hand on who, or to be able to become another, is something to ask for.
    let asks = ASKING.split(", ").chain(["export", "as_user"]).any(|key| table.has(key));
    must_ask(table, asks || !name.is_empty(), ASKING);
    let user = UserCheck {
        user,
        uid,
        gid: table.text_or_number("gid"),
        groups,
        root,
        in_passwd,
        home_writable: home_writable == Some(true),
    };
    Some(CheckSpec::new(
        "user".into(),
        user.expected(),
        Blocking::Never,
        Box::new(move |facts| user.look(facts)),
    ))
}

impl UserCheck {
    fn expected(&self) -> String {
        let mut wanted = Vec::new();
        wanted.extend(self.user.as_ref().map(|user| fill!("user {}", user)));
        wanted.extend(self.uid.map(|uid| fill!("uid {}", &uid.to_string())));
        wanted.extend(self.gid.as_ref().map(|gid| fill!("gid {}", gid)));
        wanted.extend(self.groups.iter().map(|group| fill!("a member of {}", group)));
        wanted.extend(self.root.map(|root| if root { "root" } else { "a user other than root" }.to_string()));
        let listed = |listed| if listed { "listed in /etc/passwd" } else { "not listed in /etc/passwd" };
        wanted.extend(self.in_passwd.map(|known| listed(known).to_string()));
        if self.home_writable {
            wanted.push("with a home that can be written".into());
        }
        if wanted.is_empty() { "any user".into() } else { wanted.join(", ") }
    }

    fn look(&self, facts: &Facts) -> LookResult {
        let who = facts.system.current();
        let accounts = facts.system.accounts();
        let name = accounts.user_name(who.uid);
        let uid = who.uid.to_string();
        let found = if name == uid {
            fill!("uid {} (no name in /etc/passwd)", &uid)
        } else {
            fill!("user {} (uid {})", &name, &uid)
        };
        let run_as = |user: &str| {
            Err(CheckFailure::for_good(found.clone(), fill!("run as {} (docker run --user {})", user, user)))
        };
        if self.root == Some(false) && who.uid == 0 {
            let remedy = "run as another user (docker run --user UID:GID)";
            return Err(CheckFailure::for_good(found, remedy.into()));
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
                    let remedy = fill!("add the user {} to the image, or use its number", user);
                    let found = fill!("{}, and no {} in /etc/passwd", &found, user);
                    return Err(CheckFailure::for_good(found, remedy));
                }
            }
        }
        self.judge_groups(&who, accounts, &found)?;
        let known = accounts.user_of(who.uid).is_some();
        if self.in_passwd.is_some_and(|wanted| wanted != known) {
            let remedy = if known {
                "run as a uid that the image does not list (docker run --user UID:GID)".into()
            } else {
                fill!("add uid {} to the image (adduser), or run as one that it has", &uid)
            };
            return Err(CheckFailure::for_good(found, remedy));
        }
        if self.home_writable {
            let told = |why: CheckFailure| CheckFailure { found: fill!("{}, {}", &found, &why.found), ..why };
            home(&who, facts).map_err(told)?;
        }
        Ok(Finding::pass(found, name))
    }

    /// Whether the groups are as asked.
    fn judge_groups(&self, who: &Identity, accounts: &Accounts, found: &str) -> Result<(), CheckFailure> {
        let unknown = |group: &str| {
            let remedy = fill!("add the group {} to the image, or use its number", group);
            Err(CheckFailure::for_good(fill!("{}, and no {} in /etc/group", found, group), remedy))
        };
        if let Some(gid) = &self.gid
            && accounts.gid(gid) != Some(who.gid)
        {
            if accounts.gid(gid).is_none() {
                return unknown(gid);
            }
            let group = accounts.group_name(who.gid);
            let remedy = fill!("run with that group (docker run --user {}:{})", &who.uid.to_string(), gid);
            let found = fill!("{} with group {} (gid {})", found, &group, &who.gid.to_string());
            return Err(CheckFailure::for_good(found, remedy));
        }
        let member = |group: &String| {
            accounts.gid(group).is_some_and(|gid| gid == who.gid || who.groups.contains(&gid))
        };
        let Some(group) = self.groups.iter().find(|group| !member(group)) else { return Ok(()) };
        if accounts.gid(group).is_none() {
            return unknown(group);
        }
        let remedy = fill!("add the group (docker run --group-add {})", group);
        Err(CheckFailure::for_good(fill!("{}, not a member of {}", found, group), remedy))
    }
}

/// Whether this user can make files at home: where /etc/passwd says, or else HOME.
fn home(who: &Identity, facts: &Facts) -> Result<(), CheckFailure> {
    let entry = facts.system.accounts().user_of(who.uid).map(|user| user.home.clone());
    let home = entry.filter(|home| !home.is_empty()).or_else(|| facts.environ.get_full("HOME"));
    let Some(home) = home else {
        let remedy = "add the user to the image, or set HOME to a directory that it can write";
        return Err(CheckFailure::for_good("without a home".into(), remedy.into()));
    };
    let told = |failure: CheckFailure| CheckFailure {
        found: fill!("whose home {} is {}", &home, &failure.found),
        ..failure
    };
    let stat = match facts.system.stat(&home) {
        Ok(stat) if stat.dir => stat,
        Ok(_) => return Err(told(failure!("no directory"; "make a directory at {}", &home))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let (uid, gid) = (who.uid.to_string(), who.gid.to_string());
            return Err(told(failure!(
                "not there";
                "make it, as root: mkdir -p {} && chown {}:{} {}", &home, &uid, &gid, &home
            )));
        }
        Err(error) => return Err(refused(&home, &error, facts)),
    };
    for (access, word) in [(Access::Write, "writable"), (Access::Execute, "to be entered")] {
        if let Err(error) = facts.system.access(&home, access) {
            let mut failure = denied(&home, &stat, word, &error, facts, "");
            if home == "/" {
                // What Docker sets for a user without an entry; nobody is to own the root.
                failure.remedy =
                    "set HOME to a directory that this user can write (docker run --env HOME=/tmp)".into();
            }
            return Err(told(failure));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::user::*;
    use crate::checks::facts::fake::Fake;
    use crate::checks::read::testing::{fault, one};
    use crate::sys::fs::stat::Stat;
    use std::cell::RefCell;

    fn evaluate(text: &str, uid: u32) -> Finding {
        let fake = Fake {
            accounts: Accounts::parse("root:x:0:0::/:\napp:x:1000:50::/:\n", "mail:x:8:\nweb:x:50:\n"),
            current: RefCell::new(Identity { uid, gid: 50, groups: vec![8] }),
            ..Fake::default()
        };
        one(text).spec.evaluate(&fake.facts(&[]))
    }

    #[test]
    fn whose_rights_are_asked_for_is_a_user_that_could_be() {
        let text = |user: &str| format!("[checks.user]\nas_user = {user}");
        for user in ["0", "4294967294", "\"app\"", "\"app:1000\"", "\"first.last\""] {
            one(&text(user));
        }
        for user in [
            "-5",
            "1.5",
            "4294967295",
            "\"\"",
            "\":5\"",
            "\"app:\"",
            "\"a:b:c\"",
            "\"app:-1\"",
            "\"app:4294967296\"",
            "\"a b\"",
        ] {
            let message = fault(&text(user));
            assert!(message.starts_with("checks.user.as_user: is no user; expected"), "{user}: {message}");
        }
    }

    #[test]
    fn the_current_user_is_judged() {
        for (text, uid, ok) in [
            ("[checks.user]\nexport = \"WHO\"", 0, true),
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
            assert_eq!(evaluate(text, uid).ok, ok, "{text} {uid}");
        }
    }

    #[test]
    fn words_and_value_name_the_user() {
        let root = evaluate("[checks.user]\nroot = false", 0);
        assert_eq!(root.found, "user root (uid 0)");
        assert!(root.remedy.contains("docker run --user"));
        assert_eq!(evaluate("[checks.user]\nexport = \"X\"", 77).found, "uid 77 (no name in /etc/passwd)");
        assert_eq!(evaluate("[checks.user]\nexport = \"X\"", 1000).value.as_deref(), Some("app"));
        assert_eq!(evaluate("[checks.user]\nexport = \"X\"", 77).value.as_deref(), Some("77"));
        for key in ["gid = \"ops\"", "groups = [\"ops\"]"] {
            let unknown = evaluate(&format!("[checks.user]\n{key}"), 1000);
            assert_eq!(unknown.found, "user app (uid 1000), and no ops in /etc/group");
            assert_eq!(unknown.remedy, "add the group ops to the image, or use its number");
        }
    }

    #[test]
    fn what_cannot_hold_is_a_fault() {
        assert!(fault("[checks.user]\ngroups = []").contains("asserts nothing"));
        assert!(fault("[checks.user]").contains("asserts nothing; expected one of name, uid, "));
        assert!(fault("[checks.user]\nhint = \"x\"").contains("asserts nothing"));
        assert!(fault("[checks.user]\nroot = true\nuid = 5").contains("contradicts"));
        one("[checks.user]\nexport = \"WHO\"");
        one("[checks.user]\nas_user = 1000");
        assert!(fault("[checks.user.app]\nin_passwd = false").contains("contradicts"));
        assert!(fault("[checks.user]\nhome_writable = false").contains("asserts nothing"));
    }

    #[test]
    fn an_entry_and_a_home_are_judged() {
        let evaluate = |text: &str, uid, environ: &[(&str, &str)]| {
            let dir = Stat { dir: true, mode: 0o755, ..Stat::default() };
            let fake = Fake {
                accounts: Accounts::parse("app:x:1000:50::/app:\nfar:x:5:5::/none:\n", ""),
                current: RefCell::new(Identity { uid, gid: 50, groups: vec![] }),
                files: ["/app", "/"].map(|path| (path.to_string(), dir)).into(),
                refused: [(("/".to_string(), "w"), libc::EACCES)].into(),
                ..Fake::default()
            };
            one(text).spec.evaluate(&fake.facts(environ))
        };
        for (key, uid, ok, found) in [
            ("in_passwd = true", 1000, true, "user app (uid 1000)"),
            ("in_passwd = true", 77, false, "uid 77 (no name in /etc/passwd)"),
            ("in_passwd = false", 77, true, "uid 77 (no name in /etc/passwd)"),
            ("in_passwd = false", 1000, false, "user app (uid 1000)"),
            ("home_writable = true", 1000, true, "user app (uid 1000)"),
            ("home_writable = true", 5, false, "user far (uid 5), whose home /none is not there"),
            ("home_writable = true", 77, false, "uid 77 (no name in /etc/passwd), without a home"),
        ] {
            let finding = evaluate(&format!("[checks.user]\n{key}"), uid, &[]);
            assert_eq!((finding.ok, finding.found.as_str()), (ok, found), "{key} {uid}");
        }
        let text = "[checks.user]\nhome_writable = true";
        assert!(evaluate(text, 77, &[("HOME", "/app")]).ok);
        let Finding { found, remedy, .. } = evaluate(text, 77, &[("HOME", "/")]);
        assert!(
            found.ends_with("whose home / is owned by 0:0, mode 0755, not writable by uid 77"),
            "{found}"
        );
        assert!(remedy.starts_with("set HOME to a directory"), "{remedy}");
    }
}
