//! A cgroup of its own for one service: whatever its processes do, they stay in it. Only where cgroup v2 is mounted and
//! may be written, which an unprivileged container's is not. No controller is enabled: nothing is limited or counted.

use crate::model::Pid;
use crate::sys::fs::files;
use crate::text::gather::Gather;
use crate::text::template::fill;
use std::fs::{File, OpenOptions};
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

/// The cgroup of one service.
pub struct ServiceCgroup {
    directory: String,
}

impl ServiceCgroup {
    /// Makes it, below rinit's own; `None`: not possible here, or a service of this name has left processes in it.
    #[must_use]
    pub fn make(service: &str) -> Option<Self> {
        let found = Self::of(service)?;
        let is_new = std::fs::create_dir(&found.directory).is_ok();
        (is_new || found.exists() && found.processes().is_empty()).then_some(found)
    }

    fn of(service: &str) -> Option<Self> {
        let name = fill!("rinit-{}-{}", &crate::sys::pid().to_string(), service);
        own().map(|own| Self { directory: [own, "/", &name].concat() })
    }

    /// Removes that of a service, if there is one without processes.
    pub fn remove(service: &str) {
        if let Some(found) = Self::of(service) {
            let _ = std::fs::remove_dir(found.directory);
        }
    }

    fn exists(&self) -> bool {
        std::fs::metadata(&self.directory).is_ok()
    }

    /// Opens the file into which a process writes `0` to enter.
    #[must_use]
    pub fn entry(&self) -> Option<OwnedFd> {
        self.open("/cgroup.procs").map(Into::into)
    }

    fn open(&self, file: &str) -> Option<File> {
        OpenOptions::new().write(true).open([&self.directory, file].concat()).ok()
    }

    /// Lists its processes.
    #[must_use]
    pub fn processes(&self) -> Vec<Pid> {
        let text = files::system_text(&[&self.directory, "/cgroup.procs"].concat()).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).gather()
    }

    /// Kills them all at once, whatever they fork (Linux 5.14).
    pub fn kill(&self) {
        if let Some(mut file) = self.open("/cgroup.kill") {
            let _ = std::io::Write::write_all(&mut file, b"1");
        }
    }
}

/// The directory of rinit's own cgroup, if it is certain: it lists rinit.
fn own() -> Option<&'static str> {
    static OWN: OnceLock<Option<String>> = OnceLock::new();
    let find = || {
        let text = files::system_text("/proc/self/cgroup").ok()?;
        let path = text.lines().find_map(|line| line.strip_prefix("0::"))?.trim_end_matches('/').to_string();
        let pid = crate::sys::pid().to_string();
        // The path may be the host's, while the mount starts below it; v1 has v2 beside it.
        let places = ["", "/unified"].into_iter().flat_map(|mount| [(mount, &*path), (mount, "")]);
        places.map(|(mount, path)| ["/sys/fs/cgroup", mount, path].concat()).find(|directory| {
            let listed = files::system_text(&[directory, "/cgroup.procs"].concat());
            listed.is_ok_and(|listed| listed.lines().any(|line| line == pid))
        })
    };
    OWN.get_or_init(find).as_deref()
}
