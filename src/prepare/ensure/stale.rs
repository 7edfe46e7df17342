//! `absent` with `ensure`: removes a pid or lock file that an earlier run left behind. Before any service is started only
//! rinit and its helpers live in the container, and pids repeat after a restart: a recorded pid that is theirs, or that
//! of a process younger than the file, says nothing.

use super::{Deed, EnsureFailure};
use crate::cli::LogLevel;
use crate::model::Pid;
use crate::output;
use crate::sys::Errno;
use crate::sys::fs::copy;
use crate::sys::fs::pin::{self, FileKind, Pinned};
use crate::sys::fs::resolve::PinnedPath;
use crate::sys::process::procfs::{self, Process};
use crate::text::escape::on_one_line;
use crate::text::template::fill;

/// As much of a file as a pid takes.
const MAX_PID_BYTES: usize = 64;

impl Deed<'_> {
    /// Removes what is there, if it is stale; true where it stays and the container starts all the same.
    pub(super) fn remove_stale(&self, place: &PinnedPath, always: bool) -> Result<bool, EnsureFailure> {
        let path = &self.spec.path;
        let Some(held) = &place.entry else { return Ok(false) };
        if held.stat.kind == FileKind::Dir {
            return Ok(false);
        }
        if !always {
            let file = open(place, held);
            if file.as_ref().is_some_and(|file| copy::lock(file) == Some(false)) {
                return Err(EnsureFailure::new(
                    [path, ", which somebody holds a lock on"].concat(),
                    "stop who uses it, or wait until it is stopped".into(),
                ));
            }
            let pid = file.as_ref().and_then(|file| pin::read_start(file, MAX_PID_BYTES).ok());
            let pid = pid.as_deref().and_then(pid_in);
            if let Some(process) = pid.and_then(|pid| older_process(pid, held.stat.mtime)) {
                let name = on_one_line(&process.name);
                let pid = process.pid.to_string();
                return Err(EnsureFailure::new(
                    fill!(
                        "{}, whose process lives: pid {} ({}), which is older than the file",
                        path,
                        &pid,
                        &name
                    ),
                    "stop that process".into(),
                ));
            }
            if let Some(volume) = self.shared_volume() {
                let subject = &self.check.spec.subject;
                let line = fill!(
                    "{}: kept, for another container may use the volume at {}; absent = \"always\" removes it",
                    subject,
                    &volume
                );
                output::line(LogLevel::Warn, "", &line);
                return Ok(true);
            }
        }
        match pin::remove_file(place.parent.raw(), &place.name) {
            Ok(()) => {
                let line = fill!("{}: removed, for it was stale", &self.check.spec.subject);
                output::line(LogLevel::Info, "", &line);
                Ok(false)
            }
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => {
                let remedy = super::refused::lacking(self.facts, "DAC_OVERRIDE");
                Err(EnsureFailure::of([path, " cannot be removed"].concat(), errno, &remedy))
            }
        }
    }

    /// Where the volume is mounted that the file lies on, if another container may use it too: any mount but the root and
    /// memory of this container's own.
    fn shared_volume(&self) -> Option<String> {
        let above = self.spec.path.rsplit_once('/').map_or("/", |(above, _)| above);
        let above = if above.is_empty() { "/" } else { above };
        let (mount, _) = self.facts.system.mount_of(above).ok().flatten()?;
        let own = mount.point == "/" || matches!(mount.fstype.as_str(), "tmpfs" | "ramfs" | "overlay");
        (!own).then(|| mount.point.clone())
    }
}

/// The file for reading, if it is one and still the same.
fn open(place: &PinnedPath, held: &Pinned) -> Option<Pinned> {
    if held.stat.kind != FileKind::File {
        return None;
    }
    let opened = pin::open_at(place.parent.raw(), &place.name, pin::READ, 0).and_then(Pinned::of).ok()?;
    Some(opened).filter(|opened| opened.stat.id == held.stat.id)
}

/// The pid that a file begins with.
fn pid_in(bytes: &[u8]) -> Option<Pid> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.split_whitespace().next()?.parse().ok().filter(|pid| *pid > 0)
}

/// The process of this pid, if it lives, is neither rinit nor a helper of its, and is older than a file of this time.
fn older_process(pid: Pid, mtime: i64) -> Option<Process> {
    let all = procfs::all();
    let process = all.iter().find(|one| one.pid == pid && !one.zombie)?.clone();
    let rinit = all.iter().find(|one| one.pid == crate::sys::pid())?.parent;
    let is_ours = pid == rinit || process.parent == rinit;
    let is_younger = procfs::started_at(&process).is_some_and(|started| started > mtime);
    (!is_ours && !is_younger).then_some(process)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_begins_with_a_pid() {
        for (bytes, pid) in [
            (&b"17\n"[..], Some(17)),
            (b"  17 1700000000\n/data\n", Some(17)),
            (b"", None),
            (b"text", None),
            (b"-1", None),
            (b"0", None),
            (b"\xff\xfe", None),
            (b"99999999999999", None),
        ] {
            assert_eq!(pid_in(bytes), pid, "{bytes:?}");
        }
    }
}
