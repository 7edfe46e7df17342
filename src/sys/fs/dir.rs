//! The names in a directory (readdir(3)). Not by the standard library, which panics when a directory cannot be closed.

use crate::sys::Errno;
use std::ffi::{CStr, CString, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

/// All names but `.` and `..`, in no order.
pub fn names(path: impl AsRef<Path>) -> io::Result<Vec<OsString>> {
    list(path.as_ref()).map_err(io::Error::from)
}

fn list(path: &Path) -> Result<Vec<OsString>, Errno> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::ENOENT)?;
    // SAFETY: a string of ours; what comes back is ours until it is closed below.
    let directory = unsafe { libc::opendir(path.as_ptr()) };
    if directory.is_null() {
        return Err(Errno::last());
    }
    let mut names = Vec::new();
    let result = loop {
        Errno::clear();
        // SAFETY: an open directory.
        let entry = unsafe { libc::readdir(directory) };
        if entry.is_null() {
            break Errno::last();
        }
        // SAFETY: the entry holds a string, and is not touched before the next is read.
        let name = unsafe { CStr::from_ptr((&raw const (*entry).d_name).cast()) }.to_bytes();
        if name != b"." && name != b".." {
            names.push(OsString::from_vec(name.to_vec()));
        }
    };
    // SAFETY: opened above, and not used again. There is nothing to be done about a failure.
    unsafe { libc::closedir(directory) };
    if result == Errno::from_raw(0) { Ok(names) } else { Err(result) }
}

#[cfg(test)]
mod tests {
    use super::super::dir::*;

    #[test]
    fn every_name_is_told_once() {
        let mut found = names(concat!(env!("CARGO_MANIFEST_DIR"), "/src/sys")).expect("a directory");
        found.sort_unstable();
        assert!(found.windows(2).all(|pair| pair[0] != pair[1]) && found.contains(&"stdio.rs".into()));
        assert!(!found.iter().any(|name| name == "." || name == ".."));
        let kind = |path: &str| names(path).expect_err(path).kind();
        assert_eq!(kind("/no/such/directory"), io::ErrorKind::NotFound);
        assert_eq!(kind("/proc/self/status"), io::ErrorKind::NotADirectory);
    }
}
