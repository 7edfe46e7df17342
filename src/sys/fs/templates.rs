//! Finds the templates in a directory.

use super::dir;
use crate::sys::Errno;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The suffix of templates.
const ENDING: &[u8] = b".template";

/// The maximum number of templates.
const MAX_TEMPLATES: usize = 10_000;

/// The maximum depth of directories.
const MAX_DEPTH: usize = 64;

/// A template, and the path of its output relative to the target.
pub type FoundTemplate = (PathBuf, PathBuf);

/// Finds all templates below a directory, ordered by name. Follows links, since a ConfigMap consists of links; skips
/// names that start with `..`, where a ConfigMap keeps the actual files. An error includes the path that could not be
/// read.
pub fn find(top: &Path) -> Result<Vec<FoundTemplate>, (PathBuf, io::Error)> {
    let mut found = Vec::new();
    look(top, Path::new(""), &mut Vec::new(), &mut found)?;
    crate::text::sort::sort(&mut found);
    Ok(found)
}

fn look(
    at: &Path,
    below: &Path,
    above: &mut Vec<(u64, u64)>,
    found: &mut Vec<FoundTemplate>,
) -> Result<(), (PathBuf, io::Error)> {
    let unread = |error| (at.to_path_buf(), error);
    let own = std::fs::metadata(at).map_err(unread)?;
    let own = (own.dev(), own.ino());
    // A link to a parent directory adds nothing new.
    if above.contains(&own) {
        return Ok(());
    }
    if above.len() > MAX_DEPTH || found.len() > MAX_TEMPLATES {
        return Err(unread(Errno::ELOOP.into()));
    }
    above.push(own);
    for name in dir::names(at).map_err(unread)? {
        if name.as_bytes().starts_with(b"..") {
            continue;
        }
        let path = at.join(&name);
        let stem = stem(&name);
        match std::fs::metadata(&path) {
            Ok(stat) if stat.is_dir() => look(&path, &below.join(&name), above, found)?,
            // Devices and pipes are not templates, whatever their name.
            Ok(stat) => found.extend(stem.filter(|_| stat.is_file()).map(|stem| (path, below.join(stem)))),
            // Errors only matter for templates.
            Err(error) if stem.is_some() => return Err((path, error)),
            Err(_) => {}
        }
    }
    above.pop();
    Ok(())
}

/// Returns the output name of a template.
fn stem(name: &OsStr) -> Option<OsString> {
    let stem = name.as_bytes().strip_suffix(ENDING)?;
    Some(OsStr::from_bytes(stem).to_owned()).filter(|stem| !stem.is_empty())
}

/// Reads a file; `None` for a directory.
pub fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let Some(path) = path.to_str() else {
        return Err(Errno::EILSEQ.into());
    };
    match super::files::read(path) {
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => Ok(None),
        read => read.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_config_map_is_found_once_and_a_circle_has_an_end() {
        let base = std::env::temp_dir().join(format!("templates-{}", std::process::id()));
        let data = base.join("..2026_11_29");
        std::fs::create_dir_all(data.join("x")).expect("a directory");
        std::fs::create_dir_all(base.join("sub/deep")).expect("a directory");
        for name in ["a.conf.template", "x/b.template", "README", ".template"] {
            std::fs::write(data.join(name), "").expect("a file");
        }
        std::fs::write(base.join("sub/deep/c.template"), "").expect("a file");
        for (to, from) in [
            ("..2026_11_29", "..data"),
            ("..data/a.conf.template", "a.conf.template"),
            ("..data/README", "README"),
            ("..data/.template", ".template"),
            ("..", "sub/up"),
            ("sub", "again"),
            ("nowhere", "dead"),
        ] {
            symlink(to, base.join(from)).expect("a link");
        }
        let found: Vec<_> = find(&base).expect("templates").into_iter().map(|(_, to)| to).collect();
        let want = ["a.conf", "again/deep/c", "sub/deep/c"].map(PathBuf::from);
        assert_eq!(found, want);
        symlink("nowhere", base.join("z.template")).expect("a link");
        let (path, error) = find(&base).expect_err("a dead link");
        assert_eq!((path, error.kind()), (base.join("z.template"), io::ErrorKind::NotFound));
        std::fs::remove_dir_all(base).expect("gone");
    }
}
