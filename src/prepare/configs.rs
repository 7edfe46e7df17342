//! `[configs]` and `[secrets]`: what is in a file, and that it is there.

use super::{PrepareContext, PrepareFailure, PrepareStage, PrepareStep};
use crate::cli::LogLevel;
use crate::config::prepared::{FileSource, PreparedFile};
use crate::diagnosis::unreachable;
use crate::exit_code;
use crate::sys::fs::place::NoPlace;
use crate::sys::fs::publish::{self, FileSpec, Publication, Published, Unpublished};
use crate::sys::fs::stat::{self, Access};
use crate::sys::fs::{access, files, mounts, templates};
use crate::sys::process::caps;
use crate::sys::process::credentials::{self, Accounts};
use crate::sys::{Errno, container, random};
use crate::text::escape::{bytes_as_text, text_as_bytes};
use crate::text::expansion::{self, ExpansionFault, ExpansionRules, OnlyNames, VariableValue};
use crate::text::io_error::unreadable;
use crate::text::template::fill;
use std::path::{Path, PathBuf};

/// The longest value that is looked for in all that is shown.
const MAX_HIDDEN: usize = 64 << 10;

/// So often the rest of a template with faults is looked through for more.
const MAX_LOOKS: usize = 100;

/// As many faults of one template as are told.
const MAX_FAULTS: usize = 20;

/// The step that writes a file.
pub fn step(file: &PreparedFile) -> PrepareStep<'_> {
    PrepareStep {
        stage: PrepareStage::Configs,
        at: file.at,
        what: what(file),
        off: file.off.clone(),
        run: Box::new(|context| Writer { file, context, uid: None, gid: None, later: None }.run()),
    }
}

/// The step that looks for faults in a template that is there, and writes nothing; what `later` names will be set.
pub fn look_at_template<'a>(file: &'a PreparedFile, later: &'a [String]) -> PrepareStep<'a> {
    let is_template = matches!(&file.source, FileSource::File(path) if stat::stat(path).is_ok());
    let off = if is_template && file.is_known { file.off.clone() } else { Some(String::new()) };
    let run = |context: &mut PrepareContext| {
        Writer { file, context, uid: None, gid: None, later: Some(later) }.run()
    };
    PrepareStep { off, run: Box::new(run), ..step(file) }
}

/// What is written, in words. Never what is in it.
fn what(file: &PreparedFile) -> String {
    let source = match &file.source {
        FileSource::Content(_) => "its content".into(),
        FileSource::File(path) => path.clone(),
        FileSource::Environment(name) => fill!("the variable {}", name),
        FileSource::Generate(_) => "random bytes, where it is missing".into(),
    };
    let mode = format!("{:04o}", file.mode());
    let keep = if file.keep { ", where it is missing" } else { "" };
    let owner = match (&file.uid, &file.gid) {
        (None, None) => String::new(),
        (uid, gid) => {
            let word = |id: &Option<String>| id.clone().unwrap_or_default();
            fill!(", owner {}:{}", &word(uid), &word(gid))
        }
    };
    fill!("{}: {} from {}{}, mode {}{}", &file.path, &file.target, &source, keep, &mode, &owner)
}

struct Writer<'a> {
    file: &'a PreparedFile,
    context: &'a mut PrepareContext,
    uid: Option<u32>,
    gid: Option<u32>,
    /// Where nothing is to be written: the variables that will be set.
    later: Option<&'a [String]>,
}

impl Writer<'_> {
    fn run(&mut self) -> Result<(), PrepareFailure> {
        if !self.file.is_known {
            return Err(self.fault(&[" needs a variable that only a hook sets, and hooks run after files are written; take it from a check (export), or write the file in the hook"]));
        }
        if self.later.is_none() {
            self.look_up()?;
        }
        let target = PathBuf::from(&self.file.target);
        match &self.file.source {
            FileSource::Content(text) => {
                self.write(&target, &text_as_bytes(text.as_deref().unwrap_or_default()))
            }
            FileSource::Environment(name) => match self.context.environ.bytes(name).map(<[u8]>::to_vec) {
                Some(value) => self.write(&target, &value),
                None => Err(self.fault(&[".environment: ", name, " is not set"])),
            },
            FileSource::File(path) => {
                let path = Path::new(path);
                match templates::read(path) {
                    Ok(Some(bytes)) => {
                        let bytes = self.render(path, &bytes, false)?;
                        self.write(&target, &bytes)
                    }
                    Ok(None) => self.directory(path, &target),
                    Err(error) => Err(self.unread(path, &error)),
                }
            }
            FileSource::Generate(generator) => {
                let make = || loop {
                    if let Some(text) = generator.text(&random::bytes(generator.needs())?) {
                        return Ok(text.into_bytes());
                    }
                };
                let done = publish::publish_once(&self.spec(&target), &make);
                let (published, bytes, was_empty) = done.map_err(|why| self.unpublished(&target, why))?;
                self.hide(&bytes);
                if was_empty {
                    let line = "was empty, as a start leaves it that was cut short: it was made anew";
                    self.tell(LogLevel::Warn, &published.path, line);
                }
                self.told(&published);
                Ok(())
            }
        }
    }

    /// The numbers of whom it is for.
    fn look_up(&mut self) -> Result<(), PrepareFailure> {
        if self.file.uid.is_none() && self.file.gid.is_none() {
            return Ok(());
        }
        let accounts = Accounts::read();
        let unknown = |key: &str, what: &str, word: &str| {
            self.fault(&[key, ": no ", what, " \"", word, "\"; name another, or a number"])
        };
        let uid = self.file.uid.as_ref();
        let uid = uid.map(|word| accounts.uid(word).ok_or_else(|| unknown(".uid", "user", word)));
        let gid = self.file.gid.as_ref();
        let gid = gid.map(|word| accounts.gid(word).ok_or_else(|| unknown(".gid", "group", word)));
        (self.uid, self.gid) = (uid.transpose()?, gid.transpose()?);
        Ok(())
    }

    /// Every template of a directory.
    fn directory(&mut self, from: &Path, target: &Path) -> Result<(), PrepareFailure> {
        let found = templates::find(from).map_err(|(path, error)| self.unread(&path, &error))?;
        if found.is_empty() {
            self.tell(LogLevel::Warn, from, "holds no *.template: nothing is written");
        }
        let (mut rendered, mut first) = (Vec::with_capacity(found.len()), None);
        for (path, below) in &found {
            let bytes = match templates::read(path) {
                Ok(bytes) => self.render(path, &bytes.unwrap_or_default(), true),
                Err(error) => Err(self.unread(path, &error)),
            };
            match bytes {
                Ok(bytes) => rendered.push((target.join(below), bytes)),
                Err(failure) => self.keep_first(&mut first, failure),
            }
        }
        if first.is_none() {
            for (target, bytes) in rendered {
                if let Err(failure) = self.write(&target, &bytes) {
                    self.keep_first(&mut first, failure);
                }
            }
        }
        first.map_or(Ok(()), Err)
    }

    fn keep_first(&mut self, first: &mut Option<PrepareFailure>, failure: PrepareFailure) {
        match first {
            None => *first = Some(failure),
            Some(_) => self.context.fault(failure),
        }
    }

    /// What is made of a template. Every fault in it is told.
    fn render(&mut self, path: &Path, text: &[u8], in_directory: bool) -> Result<Vec<u8>, PrepareFailure> {
        let environ = &self.context.environ;
        let later = self.later.unwrap_or_default();
        let value = |name: &str| {
            let fact = || container::fact(name).map(String::into_bytes);
            match environ.bytes(name).map(<[u8]>::to_vec).or_else(fact) {
                Some(value) if !value.is_empty() => VariableValue::Set(value),
                _ if later.iter().any(|known| known == name) => VariableValue::Later,
                value => value.map_or(VariableValue::Unset, VariableValue::Set),
            }
        };
        let listed = |name: &str, _: &str| self.file.vars.iter().flatten().any(|var| var == name);
        // A default, too, says that the name is ours.
        let is_set =
            |name: &str, operation: &str| !operation.is_empty() || value(name) != VariableValue::Unset;
        let only: OnlyNames<'_> = match (&self.file.vars, in_directory) {
            (Some(_), _) => Some(&listed),
            (None, true) => Some(&is_set),
            (None, false) => None,
        };
        let rules = ExpansionRules { value: &value, only };
        let mut faults: Vec<ExpansionFault> = Vec::new();
        let (mut from, mut looks) = (0, 0);
        // The same fault over and over tells nothing new.
        while looks < MAX_LOOKS {
            looks += 1;
            match expansion::expand(text.get(from..).unwrap_or_default(), &rules) {
                Ok(expanded) if faults.is_empty() => return Ok(expanded.bytes),
                Ok(_) => break,
                Err(fault) => {
                    let at = from + fault.at;
                    // Behind the "${" that is at fault.
                    from = at + 2;
                    if faults.iter().all(|known| known.message != fault.message) {
                        faults.push(ExpansionFault { at, ..fault });
                    }
                    if faults.len() >= MAX_FAULTS {
                        break;
                    }
                }
            }
        }
        let shown = path.to_string_lossy();
        let mut failures: Vec<PrepareFailure> = Vec::with_capacity(faults.len());
        for fault in faults {
            let (line, column) = expansion::line_and_column(text, fault.at);
            let place = format!(".file: {shown}:{line}:{column}: ");
            failures.push(self.fault(&[&place, &fault.message]));
        }
        let last = failures.pop();
        failures.into_iter().for_each(|failure| self.context.fault(failure));
        Err(last.unwrap_or_else(|| self.fault(&[])))
    }

    fn spec<'p>(&self, path: &'p Path) -> FileSpec<'p> {
        FileSpec {
            path,
            uid: self.uid,
            gid: self.gid,
            mode: self.file.mode(),
            sets_mode: self.file.mode.is_some(),
            keep: self.file.keep,
        }
    }

    fn write(&mut self, target: &Path, bytes: &[u8]) -> Result<(), PrepareFailure> {
        if self.later.is_some() {
            return Ok(());
        }
        self.hide(bytes);
        let done = publish::publish(&self.spec(target), bytes);
        let published = done.map_err(|why| self.unpublished(target, why))?;
        if published.how == Publication::Kept
            && let Some(path) = published.path.to_str()
            && let Ok(kept) = files::read(path)
        {
            self.hide(&kept);
        }
        self.told(&published);
        Ok(())
    }

    /// Keeps what is in a secret from being shown.
    fn hide(&mut self, bytes: &[u8]) {
        if self.file.secret && bytes.len() <= MAX_HIDDEN {
            self.context.keep_secret(bytes_as_text(bytes));
        }
    }

    fn tell(&self, level: LogLevel, path: &Path, line: &str) {
        self.context.tell(level, &fill!("{}: {} {}", self.file.path, &path.to_string_lossy(), line));
    }

    /// Tells what is not as it was asked for.
    fn told(&self, published: &Published) {
        let path = &published.path;
        match published.how {
            Publication::InPlace => {
                let line = "is a mount itself, which nothing can take the place of: it was written where it is, so that a reader may have seen half of it";
                self.tell(LogLevel::Info, path, line);
            }
            Publication::Written => self.tell(LogLevel::Debug, path, "was written"),
            Publication::Given => self.tell(LogLevel::Debug, path, "stays; owner or mode were given"),
            Publication::Unchanged | Publication::Kept => {}
        }
        if let Some(errno) = published.not_given {
            // As who is not root, the services are the same user too.
            let is_root = credentials::current().uid == 0;
            let level = if is_root { LogLevel::Warn } else { LogLevel::Info };
            let line = fill!("does not belong to whom it was to be given to: {}", &not_given(errno));
            self.tell(level, path, &line);
        }
        let asked = match published.how {
            Publication::Kept | Publication::Unchanged => return,
            Publication::Written => true,
            Publication::Given | Publication::InPlace => self.file.mode.is_some(),
        };
        if asked && published.mode != self.file.mode() {
            let (found, mode) = (format!("{:04o}", published.mode), format!("{:04o}", self.file.mode()));
            let line =
                fill!("has mode {} where {} was asked for: its mount does not keep modes", &found, &mode);
            self.tell(LogLevel::Warn, path, &line);
        }
    }

    /// A fault of the configuration, or of a template. The parts follow `configs.NAME`.
    fn fault(&self, parts: &[&str]) -> PrepareFailure {
        let message = [&self.file.path, parts.concat().as_str()].concat();
        PrepareFailure { code: exit_code::CONFIG, at: Some(self.file.source_at), message }
    }

    fn unread(&self, path: &Path, error: &std::io::Error) -> PrepareFailure {
        let shown = path.to_string_lossy();
        let barrier = (error.kind() == std::io::ErrorKind::PermissionDenied)
            .then(|| access::barrier(&shown, Access::Read));
        let why = match barrier {
            Some((Some(barrier), viewer)) => {
                fill!("cannot be read: {}", &unreachable::line(&barrier, &viewer))
            }
            _ => unreadable(error),
        };
        self.fault(&[".file: ", &shown, " ", &why])
    }

    fn unpublished(&self, target: &Path, why: Unpublished) -> PrepareFailure {
        let (path, why) = match why {
            Unpublished::NoPlace(NoPlace::ForeignLink(path, uid)) => {
                let (user, shown) = (uid.to_string(), path.to_string_lossy().into_owned());
                let why = fill!(
                    "is a link of user {}, who could lead it anywhere: nothing is written through it; remove it, or give it to root: chown -h root {}",
                    &user,
                    &shown
                );
                (path, why)
            }
            Unpublished::NoFile(path) => (
                path,
                "is neither a file nor missing: it is not replaced; remove it, or name another target".into(),
            ),
            Unpublished::HardLink(path) | Unpublished::NoPlace(NoPlace::HardLink(path)) => (
                path,
                "has another name (a hard link) and may be anybody's: it is neither given away nor followed; remove it, or name another target".into(),
            ),
            Unpublished::NotGiven(path, errno) => {
                let why = fill!(
                    "cannot be given to whom it is for, and nobody else may read it: {}",
                    &not_given(errno)
                );
                (path, why)
            }
            Unpublished::NoPlace(NoPlace::Refused(path, errno)) | Unpublished::Refused(path, errno) => {
                let why = unwritten(&path, target, errno);
                (path, why)
            }
        };
        let message = fill!("{}: {} {}", &self.file.path, &path.to_string_lossy(), &why);
        PrepareFailure::refused(message)
    }
}

/// Why a file does not belong to whom it was to be given to, and what to do.
fn not_given(errno: Errno) -> String {
    let remedy = match errno {
        Errno::EPERM if credentials::current().uid != 0 => "; only root can give files away",
        Errno::EPERM if !caps::has(caps::effective(), "CHOWN") => {
            "; it takes the capability CHOWN (docker run --cap-add CHOWN)"
        }
        Errno::EPERM => "; its mount does not let root give files away (NFS with root_squash)",
        Errno::EINVAL => "; this user namespace has no such user or group (/proc/self/uid_map)",
        _ => "",
    };
    [crate::sys::describe(errno), remedy].concat()
}

/// Why a file could not be written, in words that follow its name, and what to do.
fn unwritten(path: &Path, target: &Path, errno: Errno) -> String {
    let shown = path.to_string_lossy();
    let why = crate::sys::describe(errno);
    match errno {
        Errno::EROFS => read_only(&shown, target),
        Errno::EACCES | Errno::EPERM => {
            let parent = path.parent().map_or_else(|| "/".into(), Path::to_string_lossy);
            match access::barrier(&parent, Access::Write) {
                (Some(barrier), viewer) => {
                    fill!("cannot be written: {}", &unreachable::line(&barrier, &viewer))
                }
                // One that is there is read before it is written.
                _ => match access::barrier(&shown, Access::Read) {
                    (Some(barrier), viewer) => {
                        fill!("is there and cannot be read: {}", &unreachable::line(&barrier, &viewer))
                    }
                    _ => fill!("cannot be written: {}", why),
                },
            }
        }
        Errno::EISDIR => {
            "is a directory (a bind mount whose source is missing makes one); expected a file, or nothing"
                .into()
        }
        Errno::ENOTDIR => "is no directory; name another target".into(),
        Errno::ENOSPC | Errno::EDQUOT => {
            fill!("cannot be written: {}; make room there: what was there stays as it was", why)
        }
        _ => fill!("cannot be written: {}", why),
    }
}

/// The same on a read-only mount: which mount is to be added.
fn read_only(shown: &str, target: &Path) -> String {
    let mounts = mounts::read().unwrap_or_default();
    let point = mounts::mount_of(&mounts, shown).map_or("/", |mount| mount.point.as_str());
    let dir = target.parent().map_or_else(|| "/".into(), Path::to_string_lossy);
    if point == shown {
        return "is a mount that is read-only; mount it without :ro (docker run --volume), or name another target".into();
    }
    let shared = ["/", "/etc", "/usr", "/var", "/bin", "/lib", "/sbin", "/opt", "/home", "/root"];
    if point != "/" && point != dir {
        return fill!(
            "cannot be written: the mount {} is read-only; mount it writable, or something at {}: docker run --tmpfs {}, in Kubernetes an emptyDir",
            point,
            &dir,
            &dir
        );
    }
    if point == dir {
        return fill!("cannot be written: the mount {} is read-only; mount it writable", point);
    }
    if shared.contains(&&*dir) {
        return fill!(
            "cannot be written: the root file system is read-only, and {} is no place for a mount; name a target in a directory of its own, such as {}, with docker run --tmpfs for that directory, in Kubernetes an emptyDir",
            &dir,
            &fill!("/run/config/{}", &target.file_name().unwrap_or_default().to_string_lossy())
        );
    }
    let hides = stat::list(&dir).is_ok_and(|names| !names.is_empty());
    fill!(
        "cannot be written: the root file system is read-only; mount something writable at {}: docker run --tmpfs {}, in Kubernetes an emptyDir{}",
        &dir,
        &dir,
        if hides { " (it hides what the image has there)" } else { "" }
    )
}
