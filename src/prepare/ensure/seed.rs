//! `from`: the defaults that are copied into a directory while it is empty.
//!
//! Each entry is copied into a hidden directory beside the others ([`STAGING`]), and renamed when it is whole. That
//! directory is also the lock (flock(2), which ends with its holder), and the file [`BEGUN`] in it says that the copy was
//! begun in a directory that was empty: who finds it goes on where another start was killed. Both go when all is done.

use super::{Deed, EnsureFailure, why};
use crate::cli::LogLevel;
use crate::exit_code;
use crate::output;
use crate::sys::Errno;
use crate::sys::event::clock;
use crate::sys::fs::copy::{self, Uncopied};
use crate::sys::fs::pin::{self, FileKind, Pinned};
use crate::sys::fs::{resolve, walk};
use crate::text::template::fill;
use crate::text::units::show_duration;
use std::ffi::{CStr, CString};
use std::time::Duration;

const STAGING: &CStr = c".rinit-from";
const BEGUN: &CStr = c".rinit-begun";

/// How long another start may copy, unless `wait` says otherwise.
const COPY_TIMEOUT: Duration = Duration::from_secs(300);

/// Between two looks whether it has finished.
const LOCK_INTERVAL: Duration = Duration::from_millis(50);

impl Deed<'_> {
    /// Copies the defaults into an empty directory, or goes on with a copy that was not finished.
    pub(super) fn fill_from(&self, held: &Pinned, from: &str) -> Result<(), EnsureFailure> {
        let into = &self.spec.path;
        let failed = |errno| {
            let is_right = matches!(errno, Errno::EACCES | Errno::EPERM);
            let remedy = if is_right { "let this user write there, or start as root" } else { "" };
            EnsureFailure::of(fill!("{} cannot be filled from {}", into, from), errno, remedy)
        };
        let bound = self.check.wait.unwrap_or(COPY_TIMEOUT);
        let until = clock::now().after(bound);
        let mut is_told = false;
        loop {
            let (is_filled, is_begun) = self.content(held).map_err(failed)?;
            if is_filled && !is_begun {
                return Ok(());
            }
            let source = source(from)?;
            let is_ours = match pin::make_dir(held.raw(), STAGING, 0o700) {
                Ok(()) => true,
                Err(Errno::EEXIST) => false,
                Err(errno) => return Err(failed(errno)),
            };
            let staging = match pin::open_dir_at(held.raw(), STAGING).and_then(Pinned::of) {
                Err(Errno::ENOENT) => continue,
                staging => staging.map_err(failed)?,
            };
            if copy::lock(&staging) == Some(false) {
                if clock::now() >= until {
                    let bound = show_duration(bound);
                    return Err(EnsureFailure::new(
                        fill!("another start still copying {} into {} after {}", from, into, &bound),
                        "give it more time with wait, or look what keeps it".into(),
                    ));
                }
                if !is_told {
                    is_told = true;
                    let subject = &self.check.spec.subject;
                    let bound = show_duration(bound);
                    let line = fill!(
                        "{}: another start is copying {} into it; waiting for it, {} at most",
                        subject,
                        from,
                        &bound
                    );
                    output::line(LogLevel::Info, "", &line);
                }
                std::thread::sleep(LOCK_INTERVAL);
                continue;
            }
            // Who had the lock may have finished meanwhile, and taken the directory away.
            if pin::stat_at(held.raw(), STAGING).is_ok_and(|now| now.id == staging.stat.id) {
                return self.copy_all(held, &staging, &source, is_ours, from);
            }
        }
    }

    /// Whether there is anything in it, and whether a copy was begun.
    fn content(&self, held: &Pinned) -> Result<(bool, bool), Errno> {
        let names = walk::names(held)?;
        let counts = |name: &CString| {
            // What a trial of rinit's own left that was killed is nobody's.
            let ignored = |name: &str| {
                let own = name == "lost+found" || name.starts_with(".rinit-");
                own || self.spec.ignore.iter().any(|one| one == name)
            };
            !name.to_str().is_ok_and(ignored)
        };
        Ok((names.iter().any(counts), names.iter().any(|name| name.as_c_str() == STAGING)))
    }

    /// With the lock.
    fn copy_all(
        &self,
        held: &Pinned,
        staging: &Pinned,
        source: &Pinned,
        is_ours: bool,
        from: &str,
    ) -> Result<(), EnsureFailure> {
        let into = &self.spec.path;
        let failed = |errno| EnsureFailure::of(fill!("{} cannot be filled from {}", into, from), errno, "");
        let is_begun = !is_ours && pin::stat_at(staging.raw(), BEGUN).is_ok();
        let (is_filled, _) = self.content(held).map_err(failed)?;
        if is_begun {
            let line =
                fill!("{}: going on with a copy of {} that was not finished", &self.check.spec.subject, from);
            output::line(LogLevel::Info, "", &line);
        } else if is_filled {
            // Another start was quicker, from the look to the end.
            return pin::remove_dir(held.raw(), STAGING).map_err(failed);
        } else {
            let made = pin::make_file(staging.raw(), BEGUN).map(drop);
            made.or_else(|errno| if errno == Errno::EEXIST { Ok(()) } else { Err(errno) }).map_err(failed)?;
        }
        for name in walk::names(source).map_err(failed)? {
            if name.as_bytes() == b"lost+found" || pin::stat_at(held.raw(), &name).is_ok() {
                continue;
            }
            self.copy_one(held, staging, source, &name, from)?;
        }
        copy::sync(held);
        let done = pin::remove_file(staging.raw(), BEGUN);
        done.and_then(|()| pin::remove_dir(held.raw(), STAGING)).map_err(failed)
    }

    fn copy_one(
        &self,
        held: &Pinned,
        staging: &Pinned,
        source: &Pinned,
        name: &CStr,
        from: &str,
    ) -> Result<(), EnsureFailure> {
        // What a start left half that was killed.
        let cleared = copy::remove_tree(staging.raw(), name)
            .map_err(|errno| Uncopied { path: String::new(), errno: Some(errno) });
        let made = cleared.and_then(|()| copy::copy(source.raw(), name, staging.raw()));
        let into = &self.spec.path;
        if let Err(Uncopied { path, errno }) = made {
            let _ = copy::remove_tree(staging.raw(), name);
            let Some(errno) = errno else {
                return Err(EnsureFailure::new(
                    fill!("{}/{}, which is neither a file nor a directory nor a link", from, &path),
                    "remove it: fifos, sockets and devices are not copied".into(),
                ));
            };
            return Err(EnsureFailure {
                code: if errno == Errno::EACCES { exit_code::CHECK_FAILED } else { exit_code::OS_ERROR },
                found: fill!("{}/{}, which cannot be copied into {}: {}", from, &path, into, &why(errno)),
                remedy: "when that is mended, the next start goes on with it".into(),
            });
        }
        let renamed = match pin::rename((staging.raw(), name), (held.raw(), name), false) {
            // NFS, some FUSE: they cannot promise that. Whoever else copies waits for the lock.
            Err(Errno::EINVAL | Errno::ENOSYS | Errno::EPERM) => {
                pin::rename((staging.raw(), name), (held.raw(), name), true)
            }
            renamed => renamed,
        };
        renamed.map_err(|errno| {
            let found = fill!("{} cannot be given its name in {}", &name.to_string_lossy(), into);
            EnsureFailure::of(found, errno, "")
        })
    }
}

/// The directory that the defaults are in.
fn source(from: &str) -> Result<Pinned, EnsureFailure> {
    let put = || ["put the defaults into the image at ", from].concat();
    let found = resolve::resolve(from, true).ok().and_then(|place| place.entry);
    match found {
        Some(source) if source.stat.kind == FileKind::Dir => Ok(source),
        Some(_) => Err(EnsureFailure::new([from, ", which is no directory"].concat(), put())),
        None => Err(EnsureFailure::new([from, ", which is not there"].concat(), put())),
    }
}
