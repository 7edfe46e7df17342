//! What checks may know: the environment, and the system behind a trait, so that each kind is tested over
//! facts that a test has made.

use crate::model::environ::Environ;
use crate::model::{Moment, Pid};
use crate::sys::container::{cgroup, kernel};
use crate::sys::event::clock;
use crate::sys::executable::lookup::{self, ExecFacts};
use crate::sys::fs::access::{self, Barrier, Viewer};
use crate::sys::fs::files;
use crate::sys::fs::mounts::{self, Mount};
use crate::sys::fs::stat::{self, Access, Space, Stat};
use crate::sys::links::{self, DeadLink};
use crate::sys::net::exchange;
use crate::sys::net::resolver::{self, Resolved, Unresolved};
use crate::sys::net::{self, Host, Interface, Protocol};
use crate::sys::process::capture::{self, Ran};
use crate::sys::process::credentials::{self, Accounts, Identity};
use crate::sys::process::spawn::SpawnError;
use crate::sys::process::{procfs, rlimits};
use std::cell::{Cell, OnceCell};
use std::ffi::CString;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// What is known about the container when checks are judged.
pub struct Facts {
    /// The environment that rinit was given.
    pub environ: Environ,
    /// The variables that a check speaks of.
    pub known: Vec<String>,
    /// All else.
    pub system: Box<dyn System>,
}

impl Facts {
    /// The facts of the container that this process runs in.
    #[must_use]
    pub fn live(environ: Environ) -> Self {
        Self { environ, known: Vec::new(), system: Box::new(LiveSystem::default()) }
    }
}

/// The system's side of the facts. Nothing here changes anything but [`System::switch_to`], the process's own ids.
#[expect(missing_docs, reason = "each is the function of the same name in `sys`")]
pub trait System {
    /// Files of /proc and /etc, and the process's own ids, are read once; this makes the next look read them again.
    fn forget(&mut self);
    fn now(&self) -> Moment;
    fn sleep(&self, span: Duration);

    fn stat(&self, path: &str) -> io::Result<Stat>;
    fn real_path(&self, path: &str) -> io::Result<String>;
    fn access(&self, path: &str, access: Access) -> io::Result<()>;
    /// What first refuses this process the access to a path, and who it is.
    fn barrier(&self, path: &str, access: Access) -> (Option<Barrier>, Viewer);
    fn space(&self, path: &str) -> io::Result<Space>;
    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>>;
    fn read_link(&self, path: &str) -> io::Result<String>;
    /// The link because of which there is nothing at a path.
    fn dead_link(&self, path: &str) -> Option<DeadLink> {
        links::dead_link_by(path, &|path| self.read_link(path), &|path| self.stat(path).is_ok())
    }
    fn list(&self, path: &str) -> io::Result<Vec<String>>;
    fn sha256(&self, path: &str) -> io::Result<String>;
    fn look(&self, word: &str, path: Option<&[u8]>) -> ExecFacts;
    fn set_id_files(&self, paths: &[String]) -> Result<Vec<String>, (String, io::Error)>;
    fn mounts(&self) -> &[Mount];
    /// The mount that a path lies on, and whether the path is where it is mounted.
    fn mount_of(&self, path: &str) -> io::Result<Option<(&Mount, bool)>>;

    /// `memory` in bytes, `cpus` in thousandths, `pids`, as the cgroup limits them.
    fn cgroup(&self, what: &str) -> Option<u64>;
    fn rlimit(&self, name: &str) -> io::Result<(u64, u64)>;
    fn uname(&self) -> (String, String);
    fn clock(&self) -> i64;
    fn has_entropy(&self) -> bool;

    fn accounts(&self) -> &Accounts;
    /// The text of /proc/self/status; empty without /proc.
    fn status(&self) -> &str;
    fn current(&self) -> Identity;
    fn switch_to(&self, who: &Identity) -> io::Result<()>;

    fn run(
        &self,
        path: &str,
        argv: &[String],
        environ: &[CString],
        patience: Duration,
    ) -> Result<Ran, SpawnError>;

    fn interfaces(&self) -> io::Result<Vec<Interface>>;
    fn default_routes(&self) -> Vec<(String, bool)>;
    fn hosts(&self) -> &[Host];
    fn resolve(&self, host: &str) -> Result<Resolved, Unresolved>;
    fn connect(&self, address: SocketAddr, timeout: Duration) -> io::Result<()>;
    fn connect_unix(&self, path: &str) -> io::Result<()>;
    fn exchange(
        &self,
        address: SocketAddr,
        request: &[u8],
        timeout: Duration,
        whole: &dyn Fn(&[u8]) -> bool,
    ) -> io::Result<Vec<u8>>;
    fn bind(&self, address: SocketAddr, protocol: Protocol) -> io::Result<()>;
    fn listening(&self, protocol: Protocol) -> io::Result<Vec<SocketAddr>>;
    fn holder(&self, protocol: Protocol, at: &dyn Fn(SocketAddr) -> bool) -> Option<(String, Pid)>;
    fn unprivileged_port_start(&self) -> u16;
}

/// An error of the system in one line, lower case, without its number.
#[must_use]
pub fn why(error: &io::Error) -> String {
    let mut text = error.to_string().replace('\n', " ");
    if let Some(cut) = text.find(" (os error") {
        text.truncate(cut);
    }
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}

/// The real system.
#[derive(Default)]
struct LiveSystem {
    mounts: OnceCell<Vec<Mount>>,
    accounts: OnceCell<Accounts>,
    hosts: OnceCell<Vec<Host>>,
    current: OnceCell<Identity>,
    status: OnceCell<String>,
    /// Whether it has taken the ids of a user that the configuration names.
    switched: Cell<bool>,
}

impl System for LiveSystem {
    fn forget(&mut self) {
        *self = Self { switched: self.switched.clone(), ..Self::default() };
    }
    fn now(&self) -> Moment {
        clock::now()
    }
    fn sleep(&self, span: Duration) {
        std::thread::sleep(span);
    }
    fn stat(&self, path: &str) -> io::Result<Stat> {
        stat::stat(path)
    }
    fn real_path(&self, path: &str) -> io::Result<String> {
        stat::real_path(path)
    }
    fn access(&self, path: &str, access: Access) -> io::Result<()> {
        stat::access(path, access)
    }
    fn barrier(&self, path: &str, access: Access) -> (Option<Barrier>, Viewer) {
        let (barrier, viewer) = access::barrier(path, access);
        (barrier, Viewer { configured: self.switched.get(), ..viewer })
    }
    fn space(&self, path: &str) -> io::Result<Space> {
        stat::space(path)
    }
    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        stat::read(path, limit)
    }
    fn read_link(&self, path: &str) -> io::Result<String> {
        stat::read_link(path)
    }
    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        stat::list(path)
    }
    fn sha256(&self, path: &str) -> io::Result<String> {
        stat::sha256(path)
    }
    fn look(&self, word: &str, path: Option<&[u8]>) -> ExecFacts {
        lookup::look_for(word, path)
    }
    fn set_id_files(&self, paths: &[String]) -> Result<Vec<String>, (String, io::Error)> {
        stat::set_id_files(paths)
    }
    fn cgroup(&self, what: &str) -> Option<u64> {
        match what {
            "memory" => cgroup::most_memory(),
            "cpus" => cgroup::most_cpus(),
            _ => cgroup::most_processes(),
        }
    }
    fn rlimit(&self, name: &str) -> io::Result<(u64, u64)> {
        Ok(rlimits::get(name)?)
    }
    fn uname(&self) -> (String, String) {
        kernel::uname()
    }
    fn clock(&self) -> i64 {
        kernel::clock()
    }
    fn has_entropy(&self) -> bool {
        kernel::has_entropy()
    }
    fn mounts(&self) -> &[Mount] {
        self.mounts.get_or_init(|| mounts::read().unwrap_or_default())
    }
    fn mount_of(&self, path: &str) -> io::Result<Option<(&Mount, bool)>> {
        mounts::lies_on(self.mounts(), path)
    }
    fn accounts(&self) -> &Accounts {
        self.accounts.get_or_init(Accounts::read)
    }
    fn status(&self) -> &str {
        self.status.get_or_init(|| files::system_text("/proc/self/status").unwrap_or_default())
    }
    fn current(&self) -> Identity {
        self.current.get_or_init(credentials::current).clone()
    }
    fn switch_to(&self, who: &Identity) -> io::Result<()> {
        credentials::switch_to(who)?;
        self.switched.set(true);
        Ok(())
    }
    fn run(
        &self,
        path: &str,
        argv: &[String],
        environ: &[CString],
        patience: Duration,
    ) -> Result<Ran, SpawnError> {
        capture::run(path, argv, environ, patience)
    }
    fn interfaces(&self) -> io::Result<Vec<Interface>> {
        net::interfaces()
    }
    fn default_routes(&self) -> Vec<(String, bool)> {
        net::default_routes()
    }
    fn hosts(&self) -> &[Host] {
        self.hosts.get_or_init(net::hosts)
    }
    fn resolve(&self, host: &str) -> Result<Resolved, Unresolved> {
        resolver::resolve(host)
    }
    fn connect(&self, address: SocketAddr, timeout: Duration) -> io::Result<()> {
        net::connect(address, timeout)
    }
    fn connect_unix(&self, path: &str) -> io::Result<()> {
        exchange::connect_unix(path)
    }
    fn exchange(
        &self,
        address: SocketAddr,
        request: &[u8],
        timeout: Duration,
        whole: &dyn Fn(&[u8]) -> bool,
    ) -> io::Result<Vec<u8>> {
        exchange::exchange(address, request, timeout, whole)
    }
    fn bind(&self, address: SocketAddr, protocol: Protocol) -> io::Result<()> {
        net::bind(address, protocol)
    }
    fn listening(&self, protocol: Protocol) -> io::Result<Vec<SocketAddr>> {
        net::listening(protocol)
    }
    fn holder(&self, protocol: Protocol, at: &dyn Fn(SocketAddr) -> bool) -> Option<(String, Pid)> {
        procfs::holder(protocol, at)
    }
    fn unprivileged_port_start(&self) -> u16 {
        net::unprivileged_port_start()
    }
}

/// Facts that a test makes. What it does not set is not there.
#[cfg(test)]
#[expect(missing_docs, reason = "the names of the facts")]
pub mod fake {
    use super::super::facts::*;
    use crate::sys::executable::format::Content;
    use crate::sys::executable::lookup::{FileRights, Found};
    use std::cell::RefCell;
    use std::collections::HashMap;
    use std::net::IpAddr;
    use std::rc::Rc;

    /// `Err` of an errno.
    pub fn errno<T>(number: i32) -> io::Result<T> {
        Err(io::Error::from_raw_os_error(number))
    }

    /// A container as a test describes it.
    #[derive(Default)]
    pub struct Fake {
        pub clock: Rc<Cell<Moment>>,
        pub files: HashMap<String, Stat>,
        pub texts: HashMap<String, String>,
        pub links: HashMap<String, String>,
        pub looks: HashMap<String, ExecFacts>,
        /// What every program does.
        pub ran: Ran,
        /// A request, or a command line, that holds the first is answered with the second.
        pub odd: Vec<(&'static str, &'static str)>,
        /// How long peers and programs take.
        pub slow: Duration,
        /// Path and what is to be done -> the errno that refuses it.
        pub refused: HashMap<(String, &'static str), i32>,
        pub free: u64,
        /// Files in all on every file system, of which half are free.
        pub inodes: u64,
        pub set_id: Vec<String>,
        pub cgroup: HashMap<&'static str, u64>,
        pub rlimits: HashMap<&'static str, (u64, u64)>,
        pub uname: (String, String),
        pub unix_time: i64,
        pub entropy: bool,
        pub mounts: Vec<Mount>,
        pub accounts: Accounts,
        pub current: RefCell<Identity>,
        pub interfaces: Vec<Interface>,
        pub routes: Vec<(String, bool)>,
        pub hosts: Vec<Host>,
        pub names: HashMap<String, IpAddr>,
        pub answers: Vec<SocketAddr>,
        /// What a peer answers, and what it was asked.
        pub answer: String,
        pub sent: Rc<RefCell<String>>,
        /// The errno of a connection to any socket in the file system; 0: it is accepted.
        pub unix: i32,
        /// Ports that cannot be bound, and why.
        pub unbindable: HashMap<u16, i32>,
        /// By TCP.
        pub listening: Vec<SocketAddr>,
        /// Who is bound to an address: name and pid.
        pub holder: Option<(SocketAddr, &'static str, Pid)>,
        /// A name that is known from this moment on.
        pub appears: Option<(Moment, String)>,
        /// What of the name servers does not answer.
        pub trouble: String,
    }

    impl Fake {
        /// A container with these programs in /bin.
        pub fn with_programs(names: &[&str]) -> Self {
            let looks = names.iter().map(|name| {
                let found = Found {
                    path: format!("/bin/{name}"),
                    folder: false,
                    rights: FileRights { execute: true, read: true, ..FileRights::default() },
                    noexec: None,
                    content: Content::Unreadable,
                };
                (
                    (*name).to_string(),
                    ExecFacts { word: (*name).into(), found: Some(found), ..ExecFacts::default() },
                )
            });
            Self { looks: looks.collect(), ..Self::default() }
        }

        /// The facts, with this environment.
        pub fn facts(self, environ: &[(&str, &str)]) -> Facts {
            let mut known = Environ::default();
            for (name, value) in environ {
                known.set(name, value);
            }
            Facts { environ: known, known: Vec::new(), system: Box::new(self) }
        }
    }

    impl System for Fake {
        fn forget(&mut self) {}
        fn now(&self) -> Moment {
            self.clock.get()
        }
        fn sleep(&self, span: Duration) {
            self.clock.set(self.clock.get().after(span));
        }
        fn stat(&self, path: &str) -> io::Result<Stat> {
            self.files.get(path).copied().map_or_else(|| errno(libc::ENOENT), Ok)
        }
        fn real_path(&self, path: &str) -> io::Result<String> {
            self.stat(path).map(|_| path.to_string())
        }
        fn access(&self, path: &str, access: Access) -> io::Result<()> {
            let what = match access {
                Access::Read => "r",
                Access::Write => "w",
                Access::Execute => "x",
            };
            self.stat(path)?;
            self.refused.get(&(path.to_string(), what)).map_or(Ok(()), |number| errno(*number))
        }
        fn barrier(&self, path: &str, access: Access) -> (Option<Barrier>, Viewer) {
            let who = self.current();
            let viewer = Viewer {
                who: format!("user {}", who.uid),
                ids: (who.uid, who.gid),
                lacks_override: who.uid == 0,
                configured: false,
            };
            let barrier = self.files.get(path).map(|stat| {
                let mut rights = access::rights(&who, false, &self.accounts, stat);
                rights.origin = access::origin(mounts::mount_of(&self.mounts, path));
                Barrier::at(path, stat, rights, access)
            });
            (barrier, viewer)
        }
        fn space(&self, path: &str) -> io::Result<Space> {
            self.stat(path)?;
            let (free, inodes) = (self.free, self.inodes);
            Ok(Space { free, size: free * 2, free_inodes: inodes / 2, inodes })
        }
        fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
            match self.texts.get(path) {
                Some(text) if text.len() as u64 > limit => errno(libc::EFBIG),
                text => text.map_or_else(|| errno(libc::ENOENT), |text| Ok(text.clone().into_bytes())),
            }
        }
        fn read_link(&self, path: &str) -> io::Result<String> {
            self.links.get(path).map_or_else(|| errno(libc::EINVAL), |to| Ok(to.clone()))
        }
        fn list(&self, path: &str) -> io::Result<Vec<String>> {
            let below = |name: &&String| name.strip_prefix(path).is_some_and(|name| name.starts_with('/'));
            Ok(self
                .files
                .keys()
                .filter(below)
                .filter_map(|name| name.rsplit('/').next())
                .map(Into::into)
                .collect())
        }
        fn sha256(&self, path: &str) -> io::Result<String> {
            crate::sys::fs::digest::sha256(&mut self.read(path, u64::MAX)?.as_slice())
        }
        fn look(&self, word: &str, _: Option<&[u8]>) -> ExecFacts {
            let missing =
                || ExecFacts { word: word.into(), searched: vec!["/bin".into()], ..ExecFacts::default() };
            self.looks.get(word).cloned().unwrap_or_else(missing)
        }
        fn set_id_files(&self, paths: &[String]) -> Result<Vec<String>, (String, io::Error)> {
            if let Some(path) = paths.iter().find(|path| self.refused.contains_key(&((*path).clone(), "r"))) {
                return self
                    .access(path, Access::Read)
                    .map(|()| Vec::new())
                    .map_err(|error| (path.clone(), error));
            }
            let below = |file: &&String| paths.iter().any(|path| file.starts_with(path));
            Ok(self.set_id.iter().filter(below).cloned().collect())
        }
        fn cgroup(&self, what: &str) -> Option<u64> {
            self.cgroup.get(what).copied()
        }
        fn rlimit(&self, name: &str) -> io::Result<(u64, u64)> {
            self.rlimits.get(name).map_or_else(|| errno(libc::EINVAL), |limits| Ok(*limits))
        }
        fn uname(&self) -> (String, String) {
            self.uname.clone()
        }
        fn clock(&self) -> i64 {
            self.unix_time
        }
        fn has_entropy(&self) -> bool {
            self.entropy
        }
        fn mounts(&self) -> &[Mount] {
            &self.mounts
        }
        fn mount_of(&self, path: &str) -> io::Result<Option<(&Mount, bool)>> {
            self.stat(path)?;
            Ok(mounts::mount_of(&self.mounts, path).map(|mount| (mount, mount.point == path)))
        }
        fn accounts(&self) -> &Accounts {
            &self.accounts
        }
        fn status(&self) -> &str {
            self.texts.get("/proc/self/status").map_or("", String::as_str)
        }
        fn current(&self) -> Identity {
            self.current.borrow().clone()
        }
        fn switch_to(&self, who: &Identity) -> io::Result<()> {
            if self.current.borrow().uid != 0 {
                return errno(libc::EPERM);
            }
            *self.current.borrow_mut() = who.clone();
            Ok(())
        }
        fn run(
            &self,
            _: &str,
            argv: &[String],
            _: &[CString],
            patience: Duration,
        ) -> Result<Ran, SpawnError> {
            let mut ran = self.ran.clone();
            if let Some((_, output)) = self.odd.iter().find(|(word, _)| argv.iter().any(|one| one == word)) {
                ran.output = [output.as_bytes().to_vec(), Vec::new()];
            }
            ran.outcome = ran.outcome.filter(|_| self.slow <= patience);
            Ok(ran)
        }
        fn interfaces(&self) -> io::Result<Vec<Interface>> {
            Ok(self.interfaces.clone())
        }
        fn default_routes(&self) -> Vec<(String, bool)> {
            self.routes.clone()
        }
        fn hosts(&self) -> &[Host] {
            &self.hosts
        }
        fn resolve(&self, host: &str) -> Result<Resolved, Unresolved> {
            let known = |address| Ok(Resolved { addresses: vec![address], trouble: self.trouble.clone() });
            if self.appears.as_ref().is_some_and(|(when, name)| name == host && self.now() >= *when) {
                return known(IpAddr::from([10, 0, 0, 9]));
            }
            let (why, by) = match self.trouble.as_str() {
                "" => ("name does not resolve", resolver::Authority::Known),
                trouble => (trouble, resolver::Authority::Silence),
            };
            self.names.get(host).map_or(Err(Unresolved { why: why.into(), by }), |ip| known(*ip))
        }
        fn connect(&self, address: SocketAddr, timeout: Duration) -> io::Result<()> {
            match self.answers.contains(&address) {
                true if self.slow > timeout => errno(libc::ETIMEDOUT),
                true => Ok(()),
                false => errno(libc::ECONNREFUSED),
            }
        }
        fn connect_unix(&self, _: &str) -> io::Result<()> {
            if self.unix == 0 { Ok(()) } else { errno(self.unix) }
        }
        fn exchange(
            &self,
            address: SocketAddr,
            request: &[u8],
            timeout: Duration,
            _: &dyn Fn(&[u8]) -> bool,
        ) -> io::Result<Vec<u8>> {
            self.connect(address, timeout)?;
            let request = String::from_utf8_lossy(request).into_owned();
            let odd = self.odd.iter().find(|(word, _)| request.contains(word));
            *self.sent.borrow_mut() = request;
            Ok(odd.map_or(self.answer.as_str(), |(_, answer)| answer).as_bytes().to_vec())
        }
        fn bind(&self, address: SocketAddr, _: Protocol) -> io::Result<()> {
            self.unbindable.get(&address.port()).map_or(Ok(()), |number| errno(*number))
        }
        fn listening(&self, protocol: Protocol) -> io::Result<Vec<SocketAddr>> {
            Ok(if protocol == Protocol::Tcp { self.listening.clone() } else { Vec::new() })
        }
        fn holder(&self, _: Protocol, at: &dyn Fn(SocketAddr) -> bool) -> Option<(String, Pid)> {
            self.holder.filter(|(address, ..)| at(*address)).map(|(_, name, pid)| (name.into(), pid))
        }
        fn unprivileged_port_start(&self) -> u16 {
            1024
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::*;

    #[test]
    fn an_error_of_the_system_is_told_in_our_style() {
        assert_eq!(why(&io::Error::from_raw_os_error(libc::ENOENT)), "no such file or directory");
    }
}
