//! Lists directories (readdir(3)). Not with the standard library, which panics if closing a directory fails.

use crate::sys::Errno;
use std::ffi::{CStr, CString, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

/// Returns all names except `.` and `..`, unsorted.
pub fn names(path: impl AsRef<Path>) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    each(path.as_ref(), &mut |name| {
        names.push(OsString::from_vec(name.to_vec()));
        true
    })?;
    Ok(names)
}

/// Returns whether a directory is empty, except for names that every file system has.
pub fn is_empty(path: &str) -> io::Result<bool> {
    let mut empty = true;
    each(path.as_ref(), &mut |name| {
        empty = name == b"lost+found";
        empty
    })?;
    Ok(empty)
}

/// Calls `more` for each name except `.` and `..`, until it returns false.
fn each(path: &Path, more: &mut dyn FnMut(&[u8]) -> bool) -> Result<(), Errno> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::ENOENT)?;
    // SAFETY: a string of ours; the result is ours until it is closed below.
    let directory = unsafe { libc::opendir(path.as_ptr()) };
    if directory.is_null() {
        return Err(Errno::last());
    }
    let result = loop {
        Errno::clear();
        // SAFETY: an open directory.
        let entry = unsafe { libc::readdir(directory) };
        if entry.is_null() {
            break Errno::last();
        }
        // SAFETY: the entry holds a string, and stays valid until the next readdir.
        let name = unsafe { CStr::from_ptr((&raw const (*entry).d_name).cast()) }.to_bytes();
        if name != b"." && name != b".." && !more(name) {
            break Errno::from_raw(0);
        }
    };
    // SAFETY: opened above and not used again. A failure cannot be handled.
    unsafe { libc::closedir(directory) };
    if result == Errno::from_raw(0) { Ok(()) } else { Err(result) }
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
        assert_eq!(is_empty("/proc").ok(), Some(false));
        let kind = |path: &str| names(path).expect_err(path).kind();
        assert_eq!(kind("/no/such/directory"), io::ErrorKind::NotFound);
        assert_eq!(kind("/proc/self/status"), io::ErrorKind::NotADirectory);
    }
}
