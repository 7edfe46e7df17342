//! `ensure`: the keys that make of a check's finding a deed. What they ask for is done by [`crate::prepare`].

use super::keys::asserting;
use super::path::{PathRights, octal};
use crate::checks::{Facts, Finding};
use crate::config::keys::{KeySpec, key};
use crate::config::read::scalar::mode;
use crate::config::read::table::Table;
use crate::text::template::fill;

/// The key that kinds have of which only the subject itself is made.
#[rustfmt::skip]
pub const ENSURE_KEY: &[KeySpec] = &[
    key("ensure", "bool", "false", "whether rinit creates or corrects it, before the first service or the program of `--exec` starts"),
];

/// Keys of kinds that are about a directory.
#[rustfmt::skip]
pub const ENSURE_DIR_KEYS: &[KeySpec] = &[
    key("recursive", "bool", "false", "with `ensure`: set owner and group of everything below it too; symbolic links are not followed, mounts not crossed"),
    key("file_mode", "octal string", "as they are", "with `recursive`: the permission bits of files below it"),
    key("dir_mode", "octal string", "as they are", "with `recursive`: the permission bits of directories below it, and its own without `mode`"),
    key("from", "path", "", "with `ensure`: a directory whose content is copied into it if it is empty"),
    key("ignore", "names", "", "with `from`: names that do not count when it is judged empty, besides `lost+found`"),
];

/// What is to be there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EnsureKind {
    /// A directory.
    Dir,
    /// A file.
    File,
    /// A link that says this.
    Link(String),
    /// Nothing; with `true` even what another container may be using.
    Absent(bool),
}

/// What `ensure` is to make so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EnsureSpec {
    /// What is to be there.
    pub kind: EnsureKind,
    /// Where.
    pub path: String,
    /// Whose.
    pub owner: Option<String>,
    /// Of which group.
    pub group: Option<String>,
    /// With these permission bits.
    pub mode: Option<u32>,
    /// With no others than these.
    pub max_mode: Option<u32>,
    /// Whether what is below it is given away too.
    pub recursive: bool,
    /// Permission bits of files below it.
    pub file_mode: Option<u32>,
    /// Permission bits of directories below it.
    pub dir_mode: Option<u32>,
    /// Where its content comes from while it is empty.
    pub from: Option<String>,
    /// Names that do not count for that.
    pub ignore: Vec<String>,
    /// Whether it is made where it is missing.
    pub makes: bool,
    /// Whether who uses it is to be able to write there.
    pub writes: bool,
}

/// Directories of the image and the kernel, which are nobody's to be given away.
const REFUSED: &[&str] =
    &["/", "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/sbin", "/sys", "/usr"];

/// Why nothing is to be changed at this path, if so.
#[must_use]
pub fn refused_path(path: &str) -> Option<&'static str> {
    let path = path.trim_end_matches('/');
    let path = if path.is_empty() { "/" } else { path };
    let kernels = ["/proc", "/sys"];
    let below = |top: &&&str| path.strip_prefix(**top).is_some_and(|rest| rest.starts_with('/'));
    REFUSED.iter().find(|refused| **refused == path).or_else(|| kernels.iter().find(below)).copied()
}

impl EnsureSpec {
    /// Reads the keys; `None` without `ensure = true`. `kind` is what the check is about.
    pub(in crate::checks) fn read(
        table: &Table<'_>,
        kind: EnsureKind,
        path: &str,
        rights: &PathRights,
    ) -> Option<Self> {
        let is_dir = kind == EnsureKind::Dir;
        let mut spec = Self {
            kind,
            path: path.to_string(),
            owner: rights.owner.clone(),
            group: rights.group.clone(),
            mode: rights.mode,
            max_mode: rights.max_mode,
            recursive: false,
            file_mode: None,
            dir_mode: None,
            from: None,
            ignore: Vec::new(),
            makes: true,
            writes: true,
        };
        if is_dir {
            spec.recursive = table.flag("recursive").unwrap_or(false);
            spec.file_mode = mode(table, "file_mode");
            spec.dir_mode = mode(table, "dir_mode");
            spec.from = table.text("from");
            spec.ignore = asserting(table, "ignore");
        }
        let ensure = table.flag("ensure").unwrap_or(false);
        if !ensure {
            let keys = ["recursive", "file_mode", "dir_mode", "from", "ignore"];
            for key in keys.into_iter().filter(|key| is_dir && table.has(key)) {
                table.fault(key, "does nothing without ensure = true");
            }
            return None;
        }
        spec.faults(table);
        Some(spec)
    }

    fn faults(&self, table: &Table<'_>) {
        if let Some(refused) = refused_path(&self.path) {
            let why =
                ["is not for ", refused, ", which is the system's; name a directory of your own below it"];
            table.fault("ensure", &why.concat());
        }
        if self.path.split('/').any(|part| part == "..") {
            table.fault("ensure", "is not for a path with \"..\" in it; write where it leads");
        }
        for key in ["file_mode", "dir_mode"].into_iter().filter(|key| !self.recursive && table.has(key)) {
            table.fault(key, "does nothing without recursive = true");
        }
        let asks = self.owner.is_some() || self.group.is_some();
        if self.recursive && !asks && self.file_mode.is_none() && self.dir_mode.is_none() {
            table.fault("recursive", "gives nothing away; expected owner, group, file_mode or dir_mode");
        }
        if self.from.as_ref().is_some_and(|from| !from.starts_with('/')) {
            table.fault("from", "is no absolute path; expected one that begins with \"/\"");
        }
        if self.from.is_none() && table.has("ignore") {
            table.fault("ignore", "does nothing without from");
        }
        if matches!(self.kind, EnsureKind::Link(_))
            && (asks || self.mode.is_some() || self.max_mode.is_some())
        {
            let why = "makes the link alone; to give away what it leads to, name that in a check of its own";
            table.fault("ensure", why);
        }
    }

    /// What is done, for `--explain` and `--check`.
    #[must_use]
    pub fn words(&self) -> String {
        let mut words = match &self.kind {
            EnsureKind::Absent(false) => return "removed where it is stale".into(),
            EnsureKind::Absent(true) => return "removed, whoever may be using it".into(),
            EnsureKind::Link(target) => return ["made to lead to ", target].concat(),
            _ if self.makes => String::from("made where it is missing"),
            _ => String::new(),
        };
        let mut add = |parts: &[&str]| super::finding::add(&mut words, parts);
        if let Some(from) = &self.from {
            add(&["filled from ", from, " while it is empty"]);
        }
        let modes = [("mode ", self.mode), ("mode at most ", self.max_mode)];
        let names = [("owner ", &self.owner), ("group ", &self.group)];
        names.iter().for_each(|(what, name)| name.iter().for_each(|name| add(&[what, name])));
        modes.iter().for_each(|(what, mode)| mode.iter().for_each(|mode| add(&[what, &octal(*mode)])));
        if self.recursive {
            add(&["with all that is below it"]);
            for (what, mode) in [("files ", self.file_mode), ("directories ", self.dir_mode)] {
                mode.iter().for_each(|mode| add(&[what, &octal(*mode)]));
            }
        }
        words
    }

    /// The permission bits that it is to have itself, where it has these.
    #[must_use]
    pub fn mode_of(&self, now: u32, is_mount_root: bool) -> Option<u32> {
        let for_all = self.dir_mode.filter(|_| self.kind == EnsureKind::Dir);
        // Of the modes of many, none is asked of the mount point by name.
        let for_all = for_all.map(|mode| if is_mount_root { mode | now & 0o2000 } else { mode });
        self.mode.or(self.max_mode.map(|max| now & max)).or(for_all)
    }

    /// What follows from taking the set-gid bit from a mount point, if that is what is asked for.
    #[must_use]
    pub fn warning(&self, facts: &Facts) -> Option<String> {
        let stat = facts.system.stat(&self.path).ok()?;
        let is_mount_root = facts.system.mount_of(&self.path).ok().flatten().is_some_and(|(_, root)| root);
        let mode = self.mode_of(stat.mode, is_mount_root)?;
        let drops = stat.dir && is_mount_root && stat.mode & 0o2000 != 0 && mode & 0o2000 == 0;
        drops.then(|| {
            fill!(
                "mode {} takes the set-gid bit from the mount point {}: Kubernetes (fsGroup) then gives the whole volume away anew at each start; leave the mode of the mount point out, or write {}, and use a directory below it for what is private",
                &octal(mode),
                &self.path,
                &octal(mode | 0o2000)
            )
        })
    }

    /// What a look has found, with what is yet to be done: what can be made so is no failure.
    pub fn foresee(&self, mut finding: Finding, facts: &Facts) -> Finding {
        let more = self.recursive || self.from.is_some();
        if finding.ok && !more || !finding.ok && !finding.mendable {
            return finding;
        }
        finding.found = [&finding.found, "; ensure: ", &self.words()].concat();
        finding.warnings.extend(self.warning(facts));
        finding.value = finding.value.or_else(|| Some(self.path.clone()));
        (finding.ok, finding.mendable, finding.remedy) = (true, true, String::new());
        finding
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::read::testing::one;

    #[test]
    fn the_systems_own_directories_are_refused() {
        for (path, refused) in [
            ("/", Some("/")),
            ("/etc/", Some("/etc")),
            ("/etc/app", None),
            ("/usr", Some("/usr")),
            ("/usr/share/app", None),
            ("/proc/1/fd", Some("/proc")),
            ("/sys/fs/cgroup", Some("/sys")),
            ("/dev", Some("/dev")),
            ("/dev/shm/app", None),
            ("/data", None),
            ("/etcetera", None),
        ] {
            assert_eq!(refused_path(path), refused, "{path}");
        }
    }

    #[test]
    fn what_is_done_is_told_in_words() {
        for (text, words) in [
            ("[checks.dir.\"/d\"]\nensure = true", "made where it is missing"),
            ("[checks.file.\"/d\"]\nensure = true\nabsent = true", "removed where it is stale"),
            ("[checks.file.\"/d\"]\nensure = true\nabsent = \"always\"", "removed, whoever may be using it"),
            ("[checks.link_target.\"/d\"]\nensure = true\ntarget = \"/e\"", "made to lead to /e"),
            ("[checks.volume.\"/d\"]\nensure = true\nowner = 5\nmode = \"0700\"", "owner 5, mode 0700"),
        ] {
            let spec = one(text).spec.ensure.expect(text);
            assert_eq!(spec.words(), words, "{text}");
        }
    }

    /// Of a mode for many, none takes set-gid from the mount point.
    #[test]
    fn the_mode_of_a_mount_point_keeps_set_gid() {
        let of =
            |keys: &str| one(&format!("[checks.dir.\"/d\"]\nensure = true\n{keys}")).spec.ensure.expect(keys);
        let all = of("recursive = true\ndir_mode = \"0750\"");
        assert_eq!((all.mode_of(0o2770, true), all.mode_of(0o2770, false)), (Some(0o2750), Some(0o750)));
        assert_eq!(of("mode = \"0700\"").mode_of(0o2770, true), Some(0o700));
        assert_eq!(of("max_mode = \"0750\"").mode_of(0o2777, false), Some(0o750));
        assert_eq!(of("owner = 5").mode_of(0o2777, true), None);
    }
}
