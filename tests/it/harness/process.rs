//! A process of the namespace, as its `/proc` shows it.

use std::fs;
use std::path::PathBuf;

/// A snapshot of `/proc/PID`. Pids are those of the namespace.
#[derive(Clone, Debug)]
pub struct Process {
    pub pid: i32,
    pub parent: i32,
    pub group: i32,
    pub session: i32,
    /// `R`, `S`, `D`, `T`, `Z`, …
    pub state: char,
    /// The command line joined by spaces; for a zombie its name in brackets.
    pub command: String,
    directory: PathBuf,
}

impl Process {
    /// Reads a process directory of a `/proc`; `None` if the process is gone.
    pub(super) fn read(directory: PathBuf) -> Option<Self> {
        let pid = directory.file_name()?.to_str()?.parse().ok()?;
        let stat = fs::read_to_string(directory.join("stat")).ok()?;
        let (start, rest) = stat.rsplit_once(") ")?;
        let mut fields = rest.split(' ');
        let state = fields.next()?.chars().next()?;
        let mut number = || fields.next()?.parse().ok();
        let (parent, group, session) = (number()?, number()?, number()?);
        let words = fs::read(directory.join("cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).trim_end_matches('\0').replace('\0', " ");
        let name = start.split_once('(').map_or("", |(_, name)| name);
        let command = if words.is_empty() { format!("[{name}]") } else { words };
        Some(Self { pid, parent, group, session, state, command, directory })
    }

    pub fn is_zombie(&self) -> bool {
        self.state == 'Z'
    }

    /// Returns a field of `/proc/PID/status`, such as `SigBlk` or `Groups`; empty if the process is gone.
    pub fn status(&self, key: &str) -> String {
        let text = fs::read_to_string(self.directory.join("status")).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        line.unwrap_or_default().trim().to_owned()
    }

    /// Returns a signal mask of `/proc/PID/status`: bit 0 is signal 1.
    pub fn mask(&self, key: &str) -> u64 {
        u64::from_str_radix(&self.status(key), 16).unwrap_or(0)
    }

    /// Returns its open descriptors with their targets.
    pub fn fds(&self) -> Vec<(i32, String)> {
        let entries = fs::read_dir(self.directory.join("fd")).into_iter().flatten().flatten();
        let mut fds: Vec<_> = entries
            .filter_map(|entry| {
                let target = fs::read_link(entry.path()).ok()?;
                Some((entry.file_name().to_str()?.parse().ok()?, target.to_string_lossy().into_owned()))
            })
            .collect();
        fds.sort();
        fds
    }

    /// Returns its working directory.
    pub fn cwd(&self) -> String {
        let link = fs::read_link(self.directory.join("cwd")).unwrap_or_default();
        link.to_string_lossy().into_owned()
    }

    /// Returns the number of its voluntary context switches.
    pub fn switches(&self) -> u64 {
        self.status("voluntary_ctxt_switches").parse().unwrap_or(0)
    }
}

/// Returns whether a mask contains a signal.
pub fn has_signal(mask: u64, signal: i32) -> bool {
    mask >> (signal - 1) & 1 == 1
}
