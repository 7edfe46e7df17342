//! What checks may know of limits, of the kernel and of the machine.

use std::io;

/// What checks may know of limits, of the kernel and of the machine.
#[expect(missing_docs, reason = "each is the function of the same name in `sys`")]
pub trait LimitFacts {
    /// `memory` in bytes, `cpus` in thousandths, `pids`, as the cgroup limits them.
    fn cgroup(&self, what: &str) -> Option<u64>;
    fn rlimit(&self, name: &str) -> io::Result<(u64, u64)>;
    fn uname(&self) -> (String, String);
    fn clock(&self) -> i64;
    fn has_entropy(&self) -> bool;
}
