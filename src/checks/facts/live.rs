//! The facts of the container that this process runs in.

use crate::model::{Moment, Pid};
use crate::sys::container::{cgroup, kernel};
use crate::sys::event::clock;
use crate::sys::executable::lookup::{self, ExecFacts};
use crate::sys::fs::access::{self, Barrier, Viewer};
use crate::sys::fs::files;
use crate::sys::fs::mounts::{self, Mount};
use crate::sys::fs::stat::{self, Access, Space, Stat};
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

use super::{FsFacts, LimitFacts, NetFacts, ProcessFacts, System};

/// The real system.
#[derive(Default)]
pub(super) struct LiveSystem {
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
}

impl FsFacts for LiveSystem {
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
    fn set_id_files(&self, paths: &[String]) -> Result<Vec<String>, (String, io::Error)> {
        stat::set_id_files(paths)
    }
    fn mounts(&self) -> &[Mount] {
        self.mounts.get_or_init(|| mounts::read().unwrap_or_default())
    }
    fn mount_of(&self, path: &str) -> io::Result<Option<(&Mount, bool)>> {
        mounts::lies_on(self.mounts(), path)
    }
}

impl NetFacts for LiveSystem {
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
    fn exchange_unix(
        &self,
        path: &str,
        request: &[u8],
        timeout: Duration,
        whole: &dyn Fn(&[u8]) -> bool,
    ) -> io::Result<Vec<u8>> {
        exchange::exchange_unix(path, request, timeout, whole)
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

impl ProcessFacts for LiveSystem {
    fn look(&self, word: &str, path: Option<&[u8]>) -> ExecFacts {
        lookup::look_for(word, path)
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
        credentials::switch_to(who, false)?;
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
}

impl LimitFacts for LiveSystem {
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
}
