//! Dangling symbolic links, anywhere on a path (path_resolution(7)).

use super::fs::stat;
use crate::text::template::fill;
use std::io;

/// The kernel's limit of links to follow.
const MAX_LINKS: u8 = 40;

/// A dangling link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadLink {
    /// The path of the link: a component of the requested path, or the path itself.
    pub path: String,
    /// Its target.
    pub target: String,
    /// Whether it is part of a loop.
    pub circle: bool,
}

/// Returns the link that makes a path dangle. Only called after a path was not found.
#[must_use]
pub fn dead_link(path: &str) -> Option<DeadLink> {
    dead_link_by(path, &stat::read_link, &|path| stat::stat(path).is_ok())
}

/// Like [`dead_link`], with the file system given by two functions.
pub fn dead_link_by(
    path: &str,
    read_link: &dyn Fn(&str) -> io::Result<String>,
    exists: &dyn Fn(&str) -> bool,
) -> Option<DeadLink> {
    let mut path = path.to_string();
    let mut found: Option<DeadLink> = None;
    let mut outermost = None;
    for _ in 0..MAX_LINKS {
        // Find the outermost missing component; everything before it exists.
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        let first = ends.filter(|end| *end > 0).find(|end| !exists(path.get(..*end).unwrap_or("")));
        let Some(link) = first.and_then(|end| path.get(..end)) else { return found };
        let Ok(target) = read_link(link) else { return found };
        let next = joined(link, &target);
        found = Some(DeadLink { path: link.to_string(), target, circle: false });
        outermost = outermost.or_else(|| found.clone());
        // If it points to another link, that one must be fixed.
        path = next;
    }
    // In a loop any link will do; report the first, which the user knows.
    outermost.map(|link| DeadLink { circle: true, ..link })
}

/// Resolves the target of a link relative to the link's directory.
pub(super) fn joined(link: &str, target: &str) -> String {
    let dir = link.rsplit_once('/').map_or("", |(dir, _)| dir);
    if target.starts_with('/') || !link.contains('/') {
        return target.into();
    }
    fill!("{}/{}", dir, target)
}

#[cfg(test)]
mod tests {
    use super::super::links::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn the_link_that_is_to_be_mended_is_found() {
        let base = std::env::temp_dir().join(format!("rinit-links-{}", std::process::id()));
        std::fs::create_dir_all(base.join("real")).expect("a directory");
        for (target, link) in [
            ("gone", "dangling"),
            ("dangling", "chain"),
            ("b", "a"),
            ("a", "b"),
            ("real", "good"),
            ("/nowhere/here", "absolute"),
            ("../none", "real/up"),
        ] {
            symlink(target, base.join(link)).expect("a link");
        }
        let base = base.to_str().expect("utf-8");
        for (path, link, target) in [
            ("dangling", "dangling", "gone"),
            ("dangling/x/y", "dangling", "gone"),
            ("chain/x", "dangling", "gone"),
            ("absolute", "absolute", "/nowhere/here"),
            ("good/up", "good/up", "../none"),
        ] {
            let found = dead_link(&[base, "/", path].concat()).expect(path);
            assert_eq!(
                (found.path, &*found.target, found.circle),
                ([base, "/", link].concat(), target, false)
            );
        }
        assert!(
            dead_link(&[base, "/a/x"].concat()).is_some_and(|link| link.circle && link.path.ends_with("/a"))
        );
        for path in ["good", "good/none", "none", "none/x"] {
            assert_eq!(dead_link(&[base, "/", path].concat()), None, "{path}");
        }
        std::fs::remove_dir_all(base).expect("removed");
    }
}
