//! What checks may know of the network, and ask of peers.

use crate::model::Pid;
use crate::sys::net::resolver::{Resolved, Unresolved};
use crate::sys::net::{Host, Interface, Protocol};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// What checks may know of the network, and ask of peers.
#[expect(missing_docs, reason = "each is the function of the same name in `sys`")]
pub trait NetFacts {
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
    fn exchange_unix(
        &self,
        path: &str,
        request: &[u8],
        timeout: Duration,
        whole: &dyn Fn(&[u8]) -> bool,
    ) -> io::Result<Vec<u8>>;
    fn bind(&self, address: SocketAddr, protocol: Protocol) -> io::Result<()>;
    fn listening(&self, protocol: Protocol) -> io::Result<Vec<SocketAddr>>;
    fn holder(&self, protocol: Protocol, at: &dyn Fn(SocketAddr) -> bool) -> Option<(String, Pid)>;
    fn unprivileged_port_start(&self) -> u16;
}
