//! What checks may know of programs and users, and of this process.

use crate::sys::executable::lookup::ExecFacts;
use crate::sys::process::capture::Ran;
use crate::sys::process::credentials::{Accounts, Identity};
use crate::sys::process::spawn::SpawnError;
use std::ffi::CString;
use std::io;
use std::time::Duration;

/// What checks may know of programs and users, and of this process.
#[expect(missing_docs, reason = "each is the function of the same name in `sys`")]
pub trait ProcessFacts {
    fn look(&self, word: &str, path: Option<&[u8]>) -> ExecFacts;
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
}
