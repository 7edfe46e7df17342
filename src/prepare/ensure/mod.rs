//! `ensure`: what a check would find wrong is made right before anything starts; only what differs is touched.
//!
//! The way to the subject is gone component by component, each held by descriptor ([`crate::sys::fs::resolve`]); what is
//! changed is what was looked at. Whoever may not change it, root too, is asked another question instead: can the user
//! for whom it is work there ([`refused`])? Then it is told, and the container starts.

mod give;
mod refused;
mod seed;
mod stale;
mod tree;

use super::{PrepareContext, PrepareFailure, PrepareStage, PrepareStep};
use crate::checks::{Check, EnsureKind, EnsureSpec, Facts, Level, refused_path};
use crate::cli::LogLevel;
use crate::exit_code;
use crate::sys::Errno;
use crate::sys::fs::pin::{self, FileKind, Pinned};
use crate::sys::fs::resolve::{self, PathRefusal, PinnedPath};
use crate::sys::process::credentials::Identity;
use crate::text::template::fill;
use give::{Refused, Wanted};
use std::ffi::{CStr, CString};
use tree::TreeOutcome;

/// What makes the finding of this check a deed.
pub(super) fn step<'a>(check: &'a Check, spec: &'a EnsureSpec) -> PrepareStep<'a> {
    PrepareStep {
        stage: PrepareStage::Ensure,
        at: check.at,
        what: [&check.spec.subject, ": ", &spec.words()].concat(),
        off: check.off.clone(),
        run: Box::new(move |context| make_so(check, spec, context)),
    }
}

/// Why it could not be made so: in words that follow "found", and what to do.
pub(super) struct EnsureFailure {
    code: u8,
    found: String,
    remedy: String,
}

impl EnsureFailure {
    fn new(found: String, remedy: String) -> Self {
        Self { code: exit_code::CHECK_FAILED, found, remedy }
    }

    /// The system refused a call: for want of a right, which is a finding, or for something else.
    fn of(found: String, errno: Errno, remedy: &str) -> Self {
        let is_right =
            matches!(errno, Errno::EACCES | Errno::EPERM | Errno::EROFS | Errno::ELOOP | Errno::ENOTDIR);
        let code = if is_right { exit_code::CHECK_FAILED } else { exit_code::OS_ERROR };
        Self { code, found: [&found, ": ", &why(errno)].concat(), remedy: remedy.into() }
    }
}

/// An error of the system in one line.
fn why(errno: Errno) -> String {
    crate::checks::facts::why(&errno.into())
}

/// Makes it so, then judges it as any check.
fn make_so(check: &Check, spec: &EnsureSpec, context: &mut PrepareContext) -> Result<(), PrepareFailure> {
    let mut facts = Facts::live(context.environ.clone());
    let mut deed = Deed {
        check,
        spec,
        facts: &facts,
        user: Identity::default(),
        wanted: Wanted::default(),
        kept: false,
    };
    let done = deed.prepare().and_then(|()| deed.run());
    let is_settled = deed.kept;
    let failure = match done {
        Ok(true) => return Ok(()),
        Ok(false) => {
            facts.system.forget();
            facts.rights_are_settled = is_settled;
            let finding = check.spec.evaluate(&facts);
            if finding.ok {
                return Ok(());
            }
            EnsureFailure::new(finding.found, finding.remedy)
        }
        Err(failure) => failure,
    };
    let hint = check.hint.as_ref().unwrap_or(&failure.remedy);
    let hint = if hint.is_empty() { String::new() } else { ["; ", hint].concat() };
    let (subject, expected) = (&check.spec.subject, &check.spec.expected);
    let message = fill!("check {} failed: found {}, expected {}{}", subject, &failure.found, expected, &hint);
    if check.level == Level::Warn {
        context.tell(LogLevel::Warn, &message);
        return Ok(());
    }
    Err(PrepareFailure { code: failure.code, at: None, message })
}

/// One `ensure`, under way.
struct Deed<'d> {
    check: &'d Check,
    spec: &'d EnsureSpec,
    facts: &'d Facts,
    /// Who is to work there.
    user: Identity,
    /// What the subject is to be given.
    wanted: Wanted,
    /// Whether something was refused, and who is to work there can all the same.
    kept: bool,
}

impl Deed<'_> {
    /// Looks the names up.
    fn prepare(&mut self) -> Result<(), EnsureFailure> {
        let accounts = self.facts.system.accounts();
        let unknown = |what: &str, name: &str, file: &str| {
            EnsureFailure::new(
                fill!("no {} \"{}\" in {}", what, name, file),
                fill!("add the {}, or use its number", what),
            )
        };
        self.user = self.facts.system.current();
        if let Some(owner) = &self.spec.owner {
            self.user = accounts.identity(owner).map_err(|_| unknown("user", owner, "/etc/passwd"))?;
            self.wanted.uid = Some(self.user.uid);
        }
        if let Some(group) = &self.spec.group {
            let gid = accounts.gid(group).ok_or_else(|| unknown("group", group, "/etc/group"))?;
            self.wanted.gid = Some(gid);
        }
        Ok(())
    }

    /// Does it; true where there is nothing to be judged after it.
    fn run(&mut self) -> Result<bool, EnsureFailure> {
        let path = &self.spec.path;
        let is_link = matches!(self.spec.kind, EnsureKind::Link(_) | EnsureKind::Absent(_));
        let mut place = resolve::resolve(path, !is_link).map_err(|why| self.unresolved(&why))?;
        if let EnsureKind::Link(target) = &self.spec.kind {
            return self.link(&mut place, target).map(|()| false);
        }
        if let EnsureKind::Absent(always) = self.spec.kind {
            return self.remove_stale(&place, always);
        }
        let mut held = match place.entry.take() {
            Some(held) => held,
            None if self.spec.makes => {
                self.make_above(&mut place)?;
                self.make_one(&place.parent, &place.name, true)?
            }
            // The check says what is to be done.
            None => return Ok(false),
        };
        if let Some(system) = held.real_path().as_deref().and_then(refused_path) {
            return Err(EnsureFailure::new(
                fill!("{}, which leads to {}", path, system),
                "name a directory of your own: nothing is changed there".into(),
            ));
        }
        let (is_dir, wants_dir) = (held.stat.kind == FileKind::Dir, self.spec.kind == EnsureKind::Dir);
        if is_dir != wants_dir || matches!(held.stat.kind, FileKind::Device | FileKind::Link) {
            return Ok(false);
        }
        self.wanted.mode = self.spec.mode_of(held.stat.mode, held.stat.is_mount_root);
        if let Some(from) = &self.spec.from {
            self.fill_from(&held, from)?;
        }
        let left = if self.spec.recursive { self.tree(&held)? } else { None };
        self.give(&mut held)?;
        // Only now it is clear what who is to work there can do.
        if let Some((what, refused)) = left {
            self.refused(&what, &refused, &held, false)?;
        }
        Ok(false)
    }

    fn unresolved(&self, why: &PathRefusal) -> EnsureFailure {
        match why {
            PathRefusal::Refused(at, errno) => {
                let lacks = refused::lacking(self.facts, "DAC_READ_SEARCH");
                let remedy = if *errno == Errno::EACCES { lacks } else { String::new() };
                EnsureFailure::of([at, " cannot be entered"].concat(), *errno, &remedy)
            }
            PathRefusal::Untrusted(at, uid) => {
                let owner = self.facts.system.accounts().user_name(*uid);
                EnsureFailure::new(
                    fill!("{}, a link that others than root could have put there (it is {}'s)", at, &owner),
                    "write the path that it leads to, or give the link and its directory to root".into(),
                )
            }
        }
    }

    /// Makes the directories that lead to what is missing, as mkdir -p does.
    fn make_above(&self, place: &mut PinnedPath) -> Result<(), EnsureFailure> {
        let mut missing = std::mem::take(&mut place.missing);
        let last = missing.pop();
        for name in missing {
            place.parent = self.make_one(&place.parent, &name, false)?;
        }
        place.name = last.unwrap_or_default();
        Ok(())
    }

    /// Makes a directory or a file, for nobody else yet but with its permission bits.
    fn make_one(&self, above: &Pinned, name: &CStr, is_subject: bool) -> Result<Pinned, EnsureFailure> {
        let is_file = is_subject && self.spec.kind == EnsureKind::File;
        let dir = above.raw();
        let made = if is_file { pin::make_file(dir, name) } else { self.make_dir(dir, name) };
        let is_new = made.is_ok();
        let mut held = match made {
            // Another start was quicker.
            Err(Errno::EEXIST) => Pinned::at(dir, name),
            made => made,
        }
        .map_err(|errno| self.unmade(name, errno))?;
        if is_new {
            let usual = if is_file { 0o644 } else { 0o755 } | held.stat.mode & 0o2000;
            let mode = self.spec.mode_of(usual, false).filter(|_| is_subject).unwrap_or(usual);
            let _ = Wanted { mode: Some(mode & 0o3777), ..Wanted::default() }.give(&mut held);
        }
        if !is_subject && held.stat.kind != FileKind::Dir {
            return Err(self.unmade(name, Errno::ENOTDIR));
        }
        Ok(held)
    }

    /// Makes a directory for nobody else yet.
    fn make_dir(&self, dir: i32, name: &CStr) -> Result<Pinned, Errno> {
        match pin::make_dir(dir, name, 0o700) {
            Err(Errno::EACCES | Errno::EPERM) => self.make_as_user(dir, name)?,
            made => made?,
        }
        let held = Pinned::at(dir, name)?;
        // In a directory that is another's, its name may mean something else by now.
        if held.stat.kind == FileKind::Dir { Ok(held) } else { Err(Errno::ESTALE) }
    }

    /// Where root may not (an NFS server that makes it nobody), its owner may.
    fn make_as_user(&self, dir: i32, name: &CStr) -> Result<(), Errno> {
        let code = crate::sys::process::fork::run_as(&self.user, &|| {
            pin::make_dir(dir, name, 0o700).err().map_or(0, |errno| u8::try_from(errno as i32).unwrap_or(1))
        });
        match code {
            Some(0) => Ok(()),
            Some(code) => Err(Errno::from_raw(i32::from(code))),
            None => Err(Errno::EACCES),
        }
    }

    fn unmade(&self, name: &CStr, errno: Errno) -> EnsureFailure {
        let path = &self.spec.path;
        let remedy = match errno {
            Errno::EROFS => fill!(
                "mount a volume or a tmpfs at {} (docker run --tmpfs {}; in Kubernetes an emptyDir), or leave out --read-only",
                path,
                path
            ),
            Errno::EACCES | Errno::EPERM => {
                let by_root = refused::lacking(self.facts, "DAC_OVERRIDE");
                let own = "make it in the image, or let this user write to the directory above it";
                if by_root.is_empty() { own.into() } else { by_root }
            }
            Errno::ENOSPC | Errno::EDQUOT => ["make room on what ", path, " lies on"].concat(),
            _ => String::new(),
        };
        let found = fill!("{} cannot be made ({})", path, &name.to_string_lossy());
        EnsureFailure::of(found, errno, &remedy)
    }

    /// A link that says what it is to say. What is no link is left alone.
    fn link(&self, place: &mut PinnedPath, target: &str) -> Result<(), EnsureFailure> {
        let Ok(target) = CString::new(target) else { return Ok(()) };
        let Some(held) = &place.entry else {
            self.make_above(place)?;
            return match pin::make_link(&target, place.parent.raw(), &place.name) {
                Ok(()) | Err(Errno::EEXIST) => Ok(()),
                Err(errno) => Err(self.unmade(&place.name, errno)),
            };
        };
        let (dir, name) = (place.parent.raw(), &place.name);
        if held.stat.kind != FileKind::Link
            || pin::link_target(held).is_ok_and(|now| now == target.as_bytes())
        {
            return Ok(());
        }
        // Made beside it and renamed, so that there is always one. Pids repeat in containers: the name of one that was
        // killed here, or that does the same on this volume, would be taken.
        let random = crate::sys::random::bytes(8).unwrap_or_default();
        let random = random.iter().fold(0u64, |all, byte| all << 8 | u64::from(*byte));
        let beside = CString::new([".rinit-link-", &random.to_string()].concat()).unwrap_or_default();
        let made = pin::make_link(&target, dir, &beside)
            .and_then(|()| pin::rename((dir, &beside), (dir, name), true));
        made.map_err(|errno| {
            let _ = pin::remove_file(dir, &beside);
            self.unmade(name, errno)
        })
    }

    /// All that is below it, but not itself; what could not be given away, and why.
    fn tree(&self, held: &Pinned) -> Result<Option<(String, Refused)>, EnsureFailure> {
        let path = &self.spec.path;
        let owner = Wanted { mode: None, ..self.wanted };
        let (files, dirs) =
            (Wanted { mode: self.spec.file_mode, ..owner }, Wanted { mode: self.spec.dir_mode, ..owner });
        let done = tree::give_away(held, &self.check.spec.subject, files, dirs);
        let done = done.map_err(|errno| {
            let remedy = match errno {
                Errno::EXDEV => {
                    "mount /proc in the container: without it this kernel does not tell mounts apart".into()
                }
                _ => refused::lacking(self.facts, "DAC_READ_SEARCH"),
            };
            EnsureFailure::of([path, " cannot be walked"].concat(), errno, &remedy)
        })?;
        self.tell_tree(&done);
        let what =
            |_: &Refused| fill!("{} below {}", &refused::counted(&done.refused, "entry", "entries"), path);
        Ok(done.why.map(|refused| (what(&refused), refused)))
    }

    /// What became of a tree, and what was left in it.
    fn tell_tree(&self, done: &TreeOutcome) {
        let subject = &self.check.spec.subject;
        let path = &self.spec.path;
        let told = |line: &str| crate::output::line(LogLevel::Warn, "", &[subject, ": ", line].concat());
        if done.given > 0 {
            let (given, seen) = (done.given.to_string(), done.seen.to_string());
            let line = fill!("{}: {} of {} entries below it given away", subject, &given, &seen);
            crate::output::line(LogLevel::Info, "", &line);
        }
        let first = |counted: &tree::Counted| [path, "/", &counted.first].concat();
        if done.hard_links.count > 0 {
            let (what, first) =
                (refused::counted(&done.hard_links, "file", "files"), first(&done.hard_links));
            told(&fill!(
                "{} with another name besides left as they are (hard links: fs.protected_hardlinks is off, so it may be anybody's file); look at it, then: chown {} {}",
                &what,
                self.spec.owner.as_deref().unwrap_or("USER"),
                &first
            ));
        }
        if done.devices.count > 0 {
            let what = refused::counted(&done.devices, "device", "devices");
            told(&[&what, " left as they are: devices are never given away"].concat());
        }
        if done.lost_bits.count > 0 {
            let what = refused::counted(&done.lost_bits, "program", "programs");
            told(&[&what, " lost set-id bits or capabilities (chown takes them); give them again where they are meant"].concat());
        }
        if let Some(errno) = done.why_unseen {
            let what = refused::counted(&done.unseen, "entry", "entries");
            let lacks = refused::lacking(self.facts, "DAC_READ_SEARCH");
            let reason = if errno == Errno::ESTALE { "moved while it was walked".into() } else { why(errno) };
            let hint = if lacks.is_empty() { String::new() } else { ["; ", &lacks].concat() };
            told(&[&what, " not looked at: ", &reason, &hint].concat());
        }
    }

    /// The subject itself, last.
    fn give(&mut self, held: &mut Pinned) -> Result<(), EnsureFailure> {
        if held.stat.links > 1 && held.stat.kind == FileKind::File && self.wanted.differs(&held.stat) {
            let protected = crate::sys::fs::files::system_text("/proc/sys/fs/protected_hardlinks");
            if !protected.is_ok_and(|text| text.trim() == "1") {
                return Err(EnsureFailure::new(
                    fill!("{}, which has another name (a hard link) and may be anybody's", &self.spec.path),
                    "give it away by hand, or put a file there that has one name".into(),
                ));
            }
        }
        let Some(refused) = self.wanted.give(held).refused else { return Ok(()) };
        let stat = held.stat;
        let accounts = self.facts.system.accounts();
        let (owner, group) = (accounts.user_name(stat.uid), accounts.group_name(stat.gid));
        let mode = format!("{:04o}", stat.mode);
        let what = fill!("{} owned by {}:{}, mode {}", &self.spec.path, &owner, &group, &mode);
        self.refused(&what, &refused, held, true)
    }

    /// It may not be given away. Then it is asked whether who is to work there can.
    fn refused(
        &mut self,
        what: &str,
        refused: &Refused,
        held: &Pinned,
        is_subject: bool,
    ) -> Result<(), EnsureFailure> {
        let reason = refused::reason(refused, &self.wanted, &self.spec.path, self.facts);
        let (who, can) = refused::can_work(&self.user, held, self.spec, self.facts);
        let found = fill!("{}; {} {}", what, refused.what, &reason.found);
        match can {
            Ok(()) => {
                self.kept |= is_subject;
                let line =
                    fill!("{}: {}; {} can work there, so it stays", &self.check.spec.subject, &found, &who);
                // Who is not root was not meant to.
                let level =
                    if self.facts.system.current().uid == 0 { LogLevel::Warn } else { LogLevel::Info };
                crate::output::line(level, "", &line);
                Ok(())
            }
            Err(errno) => Err(EnsureFailure::new(
                fill!("{}, and {} cannot work there ({})", &found, &who, &why(errno)),
                reason.remedy,
            )),
        }
    }
}
