//! What checks may know of files, directories and mounts.

use crate::sys::fs::access::{Barrier, Viewer};
use crate::sys::fs::mounts::Mount;
use crate::sys::fs::stat::{Access, Space, Stat};
use crate::sys::links::{self, DeadLink};
use std::io;

/// What checks may know of files, directories and mounts.
#[expect(missing_docs, reason = "each is the function of the same name in `sys`")]
pub trait FsFacts {
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
    fn set_id_files(&self, paths: &[String]) -> Result<Vec<String>, (String, io::Error)>;
    fn mounts(&self) -> &[Mount];
    /// The mount that a path lies on, and whether the path is where it is mounted.
    fn mount_of(&self, path: &str) -> io::Result<Option<(&Mount, bool)>>;
}
