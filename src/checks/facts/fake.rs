//! Facts that a test makes. What it does not set is not there.

use super::{Facts, FsFacts, LimitFacts, NetFacts, ProcessFacts, System};
use crate::model::environ::Environ;
use crate::model::{Moment, Pid};
use crate::sys::executable::lookup::ExecFacts;
use crate::sys::fs::access::{self, Barrier, Viewer};
use crate::sys::fs::mounts::{self, Mount};
use crate::sys::fs::stat::{Access, Space, Stat};
use crate::sys::net::resolver::{self, Resolved, Unresolved};
use crate::sys::net::{Host, Interface, Protocol};
use crate::sys::process::capture::Ran;
use crate::sys::process::credentials::{Accounts, Identity};
use crate::sys::process::spawn::SpawnError;
use std::cell::Cell;
use std::ffi::CString;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

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
                directory: false,
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
        Facts {
            environ: known,
            known: Vec::new(),
            rights_are_settled: false,
            touched: Default::default(),
            system: Box::new(self),
        }
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
}

impl FsFacts for Fake {
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
    fn mounts(&self) -> &[Mount] {
        &self.mounts
    }
    fn mount_of(&self, path: &str) -> io::Result<Option<(&Mount, bool)>> {
        self.stat(path)?;
        Ok(mounts::mount_of(&self.mounts, path).map(|mount| (mount, mount.point == path)))
    }
}

impl NetFacts for Fake {
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
    fn exchange_unix(
        &self,
        path: &str,
        request: &[u8],
        _: Duration,
        _: &dyn Fn(&[u8]) -> bool,
    ) -> io::Result<Vec<u8>> {
        self.stat(path)?;
        self.connect_unix(path)?;
        *self.sent.borrow_mut() = String::from_utf8_lossy(request).into_owned();
        Ok(self.answer.as_bytes().to_vec())
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

impl ProcessFacts for Fake {
    fn look(&self, word: &str, _: Option<&[u8]>) -> ExecFacts {
        let missing =
            || ExecFacts { word: word.into(), searched: vec!["/bin".into()], ..ExecFacts::default() };
        self.looks.get(word).cloned().unwrap_or_else(missing)
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
    fn run(&self, _: &str, argv: &[String], _: &[CString], patience: Duration) -> Result<Ran, SpawnError> {
        let mut ran = self.ran.clone();
        if let Some((_, output)) = self.odd.iter().find(|(word, _)| argv.iter().any(|one| one == word)) {
            ran.output = [output.as_bytes().to_vec(), Vec::new()];
        }
        ran.outcome = ran.outcome.filter(|_| self.slow <= patience);
        Ok(ran)
    }
}

impl LimitFacts for Fake {
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
}
